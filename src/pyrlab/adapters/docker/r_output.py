"""What the build steps of R packages print, as progress for the user and as one of our errors."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pyrlab.adapters.docker import room
from pyrlab.adapters.docker.failed_step import FailedStep
from pyrlab.errors import BuildError, HashMismatchError, PyrlabError

_DONE = re.compile(
    r"pyrlab-r (?P<how>compiled|unpacked|cached) (?P<name>\S+) (?P<version>\S+)(?: (?P<seconds>[\d.]+)s)?$"
)
# What compilers, linkers, pkg-config and the loader say of what they lack, and the file that would help, as it is
# called in the archive's Contents without usr/ and the folder of the architecture.
_MISSING = (
    (re.compile(r"fatal error: (\S+): No such file or directory"), ("include/{}",)),
    (re.compile(r"cannot find -l([^\s:]+)"), ("lib/lib{}.so",)),
    (
        re.compile(r"(?:Package '?|No package ')([^\s',]+)'?,? (?:was not found|required by \S+ not found|found)"),
        ("lib/pkgconfig/{}.pc", "share/pkgconfig/{}.pc"),
    ),
    (re.compile(r"(lib\S+\.so[.\d]*): cannot open shared object file"), ("lib/{}",)),
)
# Many configure scripts of R packages name Debian's package themselves.
_NAMED = re.compile(r"\* deb: ([a-z0-9][a-z0-9.+-]+)")


class CompileError(BuildError):
    """An R package could not be compiled or loaded: ``missing`` are files that it lacks, ``debs`` what it asks for."""

    def __init__(self, message: str, *, remedy: str, detail: str, said: str) -> None:
        super().__init__(message, remedy=remedy, detail=detail)
        self.missing = tuple(dict.fromkeys(_missing(said)))
        self.debs = tuple(dict.fromkeys(_NAMED.findall(said)))


def _missing(said: str) -> Iterable[str]:
    for pattern, files in _MISSING:
        for match in pattern.finditer(said):
            yield from (file.format(match[1]) for file in files)


def reader(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a reader of BuildKit's lines that tells of each R package that is compiled or unpacked.

    Those from the cache are counted, and told when their step is done.
    """
    # A build may print a line twice, when a step fails.
    told: set[str] = set()
    cached: dict[str, int] = {}

    def read(line: str) -> None:
        step = line.partition(" ")[0]
        if f"{step} DONE" in line and step in cached:
            say(f"R packages that were compiled before: {cached.pop(step)}")
        match = _DONE.search(line)
        if not match or match["name"] in told:
            return
        told.add(match["name"])
        package = f"{match['name']} {match['version']}"
        if match["how"] == "cached":
            cached[step] = cached.get(step, 0) + 1
        elif match["how"] == "compiled":
            say(f"compiled {package}: {match['seconds']} s")
        else:
            say(f"unpacked {package}, a binary")

    return read


@dataclass(frozen=True, slots=True)
class Said:
    """What the steps of R packages said: marked lines of one kind, and all lines."""

    marked: Sequence[str]
    lines: Sequence[str]

    @property
    def first(self) -> str:
        """The first of the marked lines."""
        return self.marked[0]

    @property
    def evidence(self) -> str:
        """The end of what a compile printed."""
        first, last = "pyrlab-r output", "pyrlab-r end"
        if first not in self.lines:
            return ""
        rest = self.lines[self.lines.index(first) + 1 :]
        return "\n".join(rest[: rest.index(last)] if last in rest else rest)


def explain(step: FailedStep) -> PyrlabError | None:
    """Return the error that a failed step of R packages speaks of, or None."""
    marked: dict[str, list[str]] = {}
    for line in step.lines:
        mark, _, rest = line.partition(" ")
        kind, _, text = rest.partition(" ")
        if mark == "pyrlab-r" and kind in _KINDS and text not in marked.get(kind, ()):
            marked.setdefault(kind, []).append(text)
    for kind, error in _KINDS.items():
        # What package code prints, at the gate or elsewhere, is not believed of bytes: see buildkit._MARKED.
        if kind in marked and (kind != "mismatch" or step.status == HashMismatchError.exit_code):
            return error(Said(marked[kind], step.lines))
    return None


def _mismatch(said: Said) -> PyrlabError:
    return HashMismatchError(
        f"the bytes of {', '.join(said.marked)} are not those that r_packages.lock names",
        remedy="something changed files while they were built from: run the same again, and find out what it was",
    )


def _refused(said: Said) -> PyrlabError:
    return BuildError(
        f"{said.first}: the package was refused",
        remedy="do not use this file: ask whoever keeps the repository, or name another one in r_packages.txt",
    )


def _full(_: Said) -> PyrlabError:
    return room.error("")


def _plan(said: Said) -> PyrlabError:
    return BuildError(f"r_packages.lock cannot be installed: {said.first}", remedy="nox -s lock -- r")


def _slow(said: Said) -> PyrlabError:
    package, _, seconds = said.first.rpartition(" ")
    return BuildError(
        f"{package} still compiled after {seconds} s, and was ended",
        remedy="allow more time: build.timeout in pyrlab.toml, in seconds",
        detail=said.evidence,
    )


def _failed(said: Said) -> PyrlabError:
    name = said.first.split(" ")[0]
    prefix = f"pyrlab-r requirements {name}: "
    wants = next((line.removeprefix(prefix) for line in said.lines if line.startswith(prefix)), "")
    return CompileError(
        f"{said.first} could not be compiled" + (f"; its SystemRequirements: {wants}" if wants else ""),
        remedy="the last lines say why; what is missing may be a Debian package for r_debs.txt",
        detail=said.evidence,
        said=said.evidence,
    )


def _broken(said: Said) -> PyrlabError:
    return CompileError(
        f"R packages of rlab do not work together: {'; '.join(said.marked)}",
        remedy="nox -s lock -- r --upgrade; or ask for other versions in r_packages.txt",
        detail="",
        said="\n".join(said.marked),
    )


# The gravest first: what it causes is told beside it.
_KINDS: dict[str, Callable[[Said], PyrlabError]] = {
    "full": _full,
    "mismatch": _mismatch,
    "refused": _refused,
    "plan": _plan,
    "slow": _slow,
    "failed": _failed,
    "broken": _broken,
}
