"""What the build steps of R packages print, as progress for the user and as one of our errors."""

import re
from collections.abc import Callable, Iterable

from pyrlab.errors import BuildError, HashMismatchError, PyrlabError

_PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
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


def explain(output: str) -> PyrlabError | None:
    """Return the error that the steps of R packages speak of in BuildKit's output, or None."""
    lines = [_PREFIX.sub("", line) for line in output.splitlines()]
    marked = [line.removeprefix("pyrlab-r ") for line in lines if line.startswith("pyrlab-r ")]
    said = {kind: [line.removeprefix(f"{kind} ") for line in marked if line.split(" ")[0] == kind] for kind in _KINDS}
    kind = next((kind for kind in _KINDS if said[kind]), None)
    return _KINDS[kind](list(dict.fromkeys(said[kind])), lines) if kind else None


def _mismatch(packages: list[str], lines: list[str]) -> PyrlabError:
    del lines
    return HashMismatchError(
        f"the file of {', '.join(packages)} is not the one that r_packages.lock names",
        remedy="restore the lock from version control, and delete .pyrlab/r-files",
    )


def _refused(packages: list[str], lines: list[str]) -> PyrlabError:
    del lines
    return BuildError(
        f"{packages[0]}: the package was refused",
        remedy="do not use this file: ask whoever keeps the repository, or name another one in r_packages.txt",
    )


def _full(packages: list[str], lines: list[str]) -> PyrlabError:
    del packages, lines
    return BuildError("the Docker engine's disk is full", remedy="make room: docker system df, docker builder prune")


def _plan(reasons: list[str], lines: list[str]) -> PyrlabError:
    del lines
    return BuildError(f"r_packages.lock cannot be installed: {reasons[0]}", remedy="nox -s lock -- r")


def _failed(packages: list[str], lines: list[str]) -> PyrlabError:
    said = _between(lines, "pyrlab-r output", "pyrlab-r end")
    name = packages[0].split(" ")[0]
    wants = next((line.partition(": ")[2] for line in lines if line.startswith(f"pyrlab-r requirements {name}: ")), "")
    return CompileError(
        f"{packages[0]} could not be compiled" + (f"; its SystemRequirements: {wants}" if wants else ""),
        remedy="the last lines say why; what is missing may be a Debian package for r_debs.txt",
        detail="\n".join(said),
        said="\n".join(said),
    )


def _broken(reasons: list[str], lines: list[str]) -> PyrlabError:
    del lines
    return CompileError(
        f"R packages of rlab do not work together: {'; '.join(reasons)}",
        remedy="nox -s lock -- r --upgrade; or ask for other versions in r_packages.txt",
        detail="",
        said="\n".join(reasons),
    )


def _between(lines: list[str], first: str, last: str) -> list[str]:
    if first not in lines:
        return []
    rest = lines[lines.index(first) + 1 :]
    return rest[: rest.index(last)] if last in rest else rest


_KINDS: dict[str, Callable[[list[str], list[str]], PyrlabError]] = {
    "full": _full,
    "mismatch": _mismatch,
    "refused": _refused,
    "plan": _plan,
    "failed": _failed,
    "broken": _broken,
}
