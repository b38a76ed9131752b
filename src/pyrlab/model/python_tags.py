"""Which file of a Python release an image installs: pip's own choice, made for the image and not for this machine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename

# Debian's names of architectures, and Python's with the oldest C library that wheels for it name. Source: PEP 600.
MACHINES = {"amd64": ("x86_64", 5), "arm64": ("aarch64", 17)}
# Older names of some. Source: PEPs 513, 571 and 599.
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
SOURCES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file of a release, as an index shows it.

    ``size`` in bytes is 0, and ``sha256`` empty, where the index does not say. ``url`` may hold credentials.
    """

    filename: str
    url: str = field(repr=False)
    sha256: str
    size: int = 0
    requires_python: str = ""
    yanked: bool = False


def tags(*, python: str, glibc: str, architecture: str) -> list[Tag]:
    """Return the tags of wheels that an image can install, the best first.

    ``python`` as in 3.13, ``glibc`` as in 2.41, ``architecture`` as Debian calls it.
    """
    version = tuple(int(part) for part in python.split("."))
    platforms = list(_platforms(glibc, architecture))
    interpreter = f"cp{''.join(python.split('.'))}"
    own = cpython_tags(version, abis=[interpreter], platforms=platforms)
    return [*own, *compatible_tags(version, interpreter=interpreter, platforms=platforms)]


def _platforms(glibc: str, architecture: str) -> Iterator[str]:
    """Yield the platforms of wheels: built on the spot, then from the newest C library to the oldest (PEP 600)."""
    machine, oldest = MACHINES.get(architecture, (architecture, 17))
    yield f"linux_{machine}"
    for minor in range(int(glibc.split(".")[1]), oldest - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in LEGACY and (machine == "x86_64" or minor >= MACHINES["arm64"][1]):
            yield f"{LEGACY[minor]}_{machine}"


def choose(files: Iterable[IndexFile], tags: Sequence[Tag], *, python: str) -> IndexFile | None:
    """Return the file of one release that pip would install: the wheel with the best tag, or else the source.

    Of several wheels for one tag the highest build number counts, and a yanked file only where all are (PEP 592).
    None if no file fits.
    """
    rank = {tag: place for place, tag in enumerate(tags)}
    allowed = [file for file in files if _allows(file.requires_python, python)]
    fitting = [file for file in allowed if not file.yanked] or allowed
    wheels = [(key, file) for file in fitting if (key := _rank(file.filename, rank)) is not None]
    if wheels:
        return min(wheels, key=lambda pair: pair[0])[1]
    sources = [file for file in fitting if file.filename.endswith(SOURCES)]
    return min(sources, key=lambda file: SOURCES.index(_suffix(file.filename)), default=None)


def fits(filename: str, tags: Sequence[Tag]) -> bool:
    """Tell whether a file can be installed by these tags: a wheel with one of them, or a source distribution."""
    if not filename.endswith(".whl"):
        return filename.endswith(SOURCES)
    return _rank(filename, {tag: place for place, tag in enumerate(tags)}) is not None


def environment(*, python: str, architecture: str) -> dict[str, str]:
    """Return the values of an image's markers (PEP 508). ``python`` as in 3.13, ``architecture`` as Debian calls it."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": MACHINES.get(architecture, (architecture, 0))[0],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def applies(marker: Marker | None, environment: Mapping[str, str]) -> bool:
    """Tell whether a requirement with this marker counts in an image; one without always does."""
    return marker is None or marker.evaluate({"extra": "", **environment})


def _suffix(filename: str) -> str:
    return next(suffix for suffix in SOURCES if filename.endswith(suffix))


def _rank(filename: str, rank: dict[Tag, int]) -> tuple[int, tuple[int, str], str] | None:
    """Return what a wheel is compared by, or None for what cannot be installed."""
    if not filename.endswith(".whl"):
        return None
    try:
        _, _, build, own = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    places = [rank[tag] for tag in own if tag in rank]
    return (min(places), _newest_first(build), filename) if places else None


def _newest_first(build: BuildTag) -> tuple[int, str]:
    return (-build[0], build[1]) if build else (0, "")


def _allows(requires_python: str, python: str) -> bool:
    try:
        # A release of that series: index files ask for 3.13.1 at most in jest.
        return not requires_python or f"{python}.99" in SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
