"""The Dockerfile's stages, rendered from the image graph, and what decides the bytes of each: its key."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from string import Template

from pyrlab.model.graph import Graph, Image
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.sections import CA, IMAGE, SHARED, Section

_FROM = re.compile(r"^FROM (?P<below>\S+) AS (?P<name>\S+)$", re.MULTILINE)
_COPIED = re.compile(r"COPY (?:--link )?--from=(?P<where>\S+) (?P<paths>[^\n]+)")
_MOUNTED = re.compile(r"--mount=type=bind,from=(?P<where>[^,\s]+),source=(?P<source>[^,\s]+)")
_SECTION = re.compile(r"--mount=type=bind,from=section\.(?P<name>[^,\s]+),")
_RUN = re.compile(r"^RUN (?:--\S+ (?:\\\n +)?)+", re.MULTILINE)
_CACHE_ID = re.compile(r"(?<=--mount=type=cache,)id=[^,\s]+")
RECIPE = "recipe"
# What docker/stages/root.Dockerfile calls it.
_ROOT_TAR = "root.tar"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its text, and what it takes in: other stages, sections, and paths of the recipe."""

    name: str
    text: str
    stages: frozenset[str]
    sections: frozenset[str]
    recipe: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """Read what a stage takes in out of its own text, so that nothing can be forgotten."""
        head = _FROM.search(text)
        if head is None:
            raise ValueError(f"not a stage: {text!r}")
        places = [(match["where"], match["source"]) for match in _MOUNTED.finditer(text)]
        for match in _COPIED.finditer(text):
            # The last word is where the files go.
            places += [(match["where"], path) for path in match["paths"].split()[:-1]]
        # An image, of a registry by its digest or of the engine by its tag, is no stage.
        below = set() if head["below"] == "scratch" or ":" in head["below"] else {head["below"]}
        return cls(
            name=head["name"],
            text=text,
            stages=frozenset(below | {where for where, _ in places if where != RECIPE}),
            sections=frozenset(match["name"] for match in _SECTION.finditer(text)),
            recipe=frozenset(path for where, path in places if where == RECIPE),
        )


def render(graph: Graph, sections: Mapping[str, Section], template: Callable[[str], str], *, cache: str) -> str:
    """Return the Dockerfile of all images. ``template`` gives a file of docker/stages by name.

    ``cache`` is the id of the cache mount of compiled R packages.
    """
    fill = filler(template)
    parts = [
        root_stages(sections[ROOT], template),
        template("tools"),
        fill("python", stage="python-shared", section=SHARED),
    ]
    parts.append(fill("shared", part="python-shared"))
    for image in graph.images.values():
        parts += _debian(image, fill, cache)
        parts += [_python_part(image, graph, sections[name], fill) for name in _parts_of(image, sections)]
        copies = "".join(
            f"\nCOPY --link --from=python-{name} /out /"
            for ancestor in graph.lineage(image.name)
            for name in _parts_of(ancestor, sections)
        )
        trust = more(template("trust")) if CA in sections else ""
        gate, below = more(template("gate")), f"{image.name}-debian"
        parts.append(fill("image", image=image.name, below=below, parts=copies, gate=gate, trust=trust))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def filler(template: Callable[[str], str]) -> Callable[..., str]:
    """Return what gives a template's text by its name, with values in the place of its variables."""

    def fill(name: str, **values: str) -> str:
        return Template(template(name)).substitute(values)

    return fill


def more(text: str) -> str:
    """Return the steps of a file that is part of others, to follow a step there."""
    return f"\n{text.strip()}"


def root_stages(section: Section, template: Callable[[str], str]) -> str:
    """Return the stages of the root: made of Debian's packages, or an image of a registry."""
    if IMAGE not in section.texts:
        return template("root")
    return Template(template("base")).substitute(image=section.texts[IMAGE])


def stamped(dockerfile: str, sections: Mapping[str, Section], recipe: Mapping[str, str]) -> str:
    """Return a Dockerfile in which each step names, by digest, what it takes of the contexts.

    BuildKit keeps an account of the files that it was sent, and knows by that whether a step has run before. An engine
    that is killed in the middle leaves an account that is behind its files: with the digest a step is new all the same.
    """

    def stamp(run: re.Match[str]) -> str:
        paths = [match["source"] for match in _MOUNTED.finditer(run[0]) if match["where"] == RECIPE]
        digests = [(path, recipe[path]) for path in paths]
        digests += [(match["name"], sections[match["name"]].digest) for match in _SECTION.finditer(run[0])]
        names = [f"{name}@{digest[:16]}" for name, digest in digests]
        return f"{run[0]}: {' '.join(names)} && " if names else run[0]

    return _RUN.sub(stamp, dockerfile.replace(f"ADD {_ROOT_TAR} ", f"ADD {root_tar(sections[ROOT])} "))


def section_context(name: str) -> str:
    """Return what the Dockerfile calls the build context of a section: one for each.

    BuildKit keeps what it was sent of a context, and is sent what differs. What several steps would take of one
    context it is sent at once, and each into the copy that happens to be free: so nearly all of it each time.
    """
    return f"section.{name}"


def root_tar(section: Section) -> str:
    """Return the name of the tar of the root that a section pins."""
    return f"root-{section.digest[:16]}.tar"


def _debian(image: Image, fill: Callable[..., str], cache: str) -> list[str]:
    """Return the stages of an image's Debian side, the last of them called ``NAME-debian``."""
    below = f"{image.parent}-debian" if image.parent else "root"
    stage = f"{image.name}-debian"
    if image.parent is None:
        first = fill("debs", image=image.name, below=below, stage=f"{image.name}-debs", section=f"{image.name}.debs")
        return [first, fill("user", below=f"{image.name}-debs", stage=stage)]
    found = []
    if image.debs:
        found.append(
            fill("debs", image=image.name, below=below, stage=f"{image.name}-debs", section=f"{image.name}.debs")
        )
        below = f"{image.name}-debs"
    if image.r:
        # Its system debs come from r_packages.lock.
        found.append(
            fill(
                "debs", image=image.name, below=below, stage=f"{image.name}-system", section=f"{image.name}-system.debs"
            )
        )
        gate = more(fill("gate-r", image=image.name))
        found.append(fill("r", image=image.name, below=f"{image.name}-system", stage=stage, cache=cache, gate=gate))
        return found
    return [*found, f"FROM {below} AS {stage}\n"]


def _parts_of(image: Image, sections: Mapping[str, Section]) -> list[str]:
    """Return the names of the sections that an image's own Python list falls into, in their order."""
    known = {f"{image.name}.debs", f"{image.name}.r"}
    return [name for name in sections if name.startswith(f"{image.name}.") and name not in known]


def _python_part(image: Image, graph: Graph, section: Section, fill: Callable[..., str]) -> str:
    if all(file.name.endswith(".whl") for file in section.files):
        return fill("python", stage=f"python-{section.name}", section=section.name)
    base = graph.lineage(image.name)[0].name
    return fill("python-source", stage=f"python-{section.name}", section=section.name, compilers=f"{base}-debian")


def stages_in(dockerfile: str) -> dict[str, Stage]:
    """Return the stages of a Dockerfile, by name; comments do not count."""
    text = "".join(f"{line}\n" for line in dockerfile.splitlines() if line.strip() and not line.startswith("#"))
    starts = [match.start() for match in _FROM.finditer(text)]
    stages = [Stage.parse(text[start:end]) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return {stage.name: stage for stage in stages}


def keys(stages: Mapping[str, Stage], sections: Mapping[str, Section], recipe: Mapping[str, str]) -> dict[str, str]:
    """Return the key of each stage: equal keys mean equal inputs, all of them and nothing else.

    ``recipe`` are digests by path, of files and of folders. BuildKit itself looks at the same before it runs a step.
    Whose cache a step may use is left out: it decides how long the step takes, and not what comes out.
    """
    found: dict[str, str] = {}

    def key(name: str) -> str:
        if name not in found:
            stage = stages[name]
            lines = [
                _CACHE_ID.sub("", stage.text),
                *(f"stage {other} {key(other)}" for other in sorted(stage.stages)),
                *(f"section {other} {sections[other].digest}" for other in sorted(stage.sections)),
                *(f"recipe {path} {recipe[path]}" for path in sorted(stage.recipe)),
            ]
            found[name] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return found[name]

    return {name: key(name) for name in stages}


def needed(stages: Mapping[str, Stage], targets: Iterable[str]) -> set[str]:
    """Return the names of the stages that the targets are made of, themselves included."""
    wanted: set[str] = set()
    ahead = list(targets)
    while ahead:
        name = ahead.pop()
        if name not in wanted:
            wanted.add(name)
            ahead += stages[name].stages
    return wanted
