"""Which lines a list gets for packages that were added in a lab, and the list with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from packaging.utils import canonicalize_name

from pyrlab.errors import ListError, UsageError
from pyrlab.model.added import PYTHON, Added, Package, R
from pyrlab.model.commits import is_commit
from pyrlab.model.graph import Graph
from pyrlab.model.lists import IMPLIED, Lists
from pyrlab.model.serving import ADDED

_KIND = {PYTHON: "Python", R: "R"}
_REASON = "  # added in "
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True)
class Proposal:
    """What becomes of added packages: new lines by list, what a list has already, and what is not written.

    ``listed`` has the list that names each. ``along`` came with others, and comes with them again; ``broken`` is half
    installed.
    """

    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    listed: Mapping[Package, str] = field(default_factory=dict)
    along: Sequence[Package] = ()
    broken: Sequence[Package] = ()


def propose(added: Added, lists: Lists, graph: Graph, *, lab: str) -> Proposal:
    """Return what becomes of what was added to a lab of the image ``lab``.

    Raises UsageError when the image has no list of that kind, or a package came from where no list can name it.
    """
    files = _lists_of(graph, lab)
    lines: dict[str, dict[str, str]] = {}
    listed: dict[Package, str] = {}
    wanted = {package.key: package for package in added.packages if package.wanted}
    for kind, name in sorted(wanted, key=lambda key: (key[0], key[1].lower())):
        package = wanted[kind, name]
        if package.path:
            raise UsageError(
                f"{package.path} among what was added belongs to no package, so no list can name it",
                remedy=f"move it to your notebooks, or remove it: in the lab it is {ADDED}/{package.path}",
            )
        if kind not in files:
            raise UsageError(
                f"the image {lab} has no list of {_KIND[kind]} packages, so {package} cannot be adopted",
                remedy=f"say in docker/images.toml which list it has ({kind} = …), or remove {package.name} in the lab",
            )
        file = _names(package, lists, graph, lab=lab)
        if file:
            listed[package] = file
        else:
            lines.setdefault(files[kind], {})[name] = _line_of(package, files[kind])
    rest = {package.key: package for package in added.packages if package.key not in wanted and package.kind in _KIND}
    along = [package for package in rest.values() if package.whole]
    broken = [package for package in rest.values() if not package.whole]
    return Proposal({file: list(found.values()) for file, found in lines.items()}, listed, along, broken)


def _lists_of(graph: Graph, lab: str) -> dict[str, str]:
    """Return the lists that an image installs, by kind: its own come before those of what it stands on."""
    found = {}
    for image in graph.lineage(lab):
        found.update({kind: file for kind, file in ((PYTHON, image.python), (R, image.r)) if file})
    return found


def _names(package: Package, lists: Lists, graph: Graph, *, lab: str) -> str:
    """Return the list that names a package already, or nothing."""
    for image in graph.lineage(lab):
        if package.kind == PYTHON:
            names = {one.name for one in lists.python.get(image.name, ()) if one.where != IMPLIED}
            if canonicalize_name(package.name) in names:
                return image.python
        elif image.r:
            names = {one.name for one in lists.r if one.where != IMPLIED}
            # Nobody knows what the package of a repository is called, but it is nearly always the repository's name.
            repositories = {one.place.rpartition("/")[2].lower() for one in lists.r_commits}
            if package.name in names or package.name.lower() in repositories:
                return image.r
    return ""


def _line_of(package: Package, file: str) -> str:
    if not package.source:
        return package.name
    if package.kind == R and is_commit(package.source):
        return package.source
    raise UsageError(
        f"{package} was added from {package.source}, which no list can name",
        # R does not note which repository a package came from; the package itself says it if it is CRAN's.
        remedy=f"if an index or a repository of yours has it, write {package.name} into {file} yourself;"
        " else remove it in the lab; then adopt again",
    )


def write_into(text: str, lines: Iterable[str], *, lab: str, day: date) -> str:
    """Return a list's text with lines at its end, each with its reason, and in the list's own line ends."""
    end = "\r\n" if "\r\n" in text else "\n"
    own = text.removeprefix(_BYTE_ORDER_MARK)
    last = own.splitlines()[-1] if own else ""
    start = text if not own or own.endswith("\n") else f"{text}{end}"
    gap = end if last.strip() and _REASON not in last else ""
    return start + gap + "".join(f"{line}{_REASON}{lab} on {day:%Y-%m-%d}{end}" for line in lines)


def check(graph: Graph, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raise ListError when the new lists could not be read. ``before`` are all lists' texts, ``after`` the new ones."""
    try:
        Lists.parse(graph, {file: text.removeprefix(_BYTE_ORDER_MARK) for file, text in {**before, **after}.items()})
    except ListError as error:
        raise ListError(f"adopting would break a list: {error}", remedy=error.remedy) from error
