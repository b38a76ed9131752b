"""Locks for the unit tests: strategies that draw whole ones, and small ones that a test can read."""

import operator
import string
from dataclasses import replace

from hypothesis import strategies as st

from pyrlab.model.cran.record import Dependency
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.python import PythonFile, PythonLock, PythonPin
from pyrlab.model.locks.r import RFile, RLock, RPin


def never(text: str) -> None:
    """Take a warning where there must be none."""
    raise AssertionError(text)


SECTIONS = ("root", "pyrlab-base", "rlab-base")
LOWER, DIGITS = string.ascii_lowercase, string.digits
HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)
SIZES = st.integers(1, 10**10)


def words(first: str, others: str, least: int, most: int) -> st.SearchStrategy[str]:
    """Return a strategy of words: one character of ``first``, and ``least`` to ``most`` of ``others``.

    ``st.from_regex`` could say it shorter, and takes ten times as long, character by character.
    """
    return st.builds(operator.add, st.sampled_from(first), st.text(others, min_size=least, max_size=most))


DEB_VERSIONS = st.builds(
    "{}{}{}".format,
    st.sampled_from([*[""] * 10, *(f"{epoch}:" for epoch in DIGITS)]),
    words(DIGITS, f"{DIGITS}{LOWER}.+~", 0, 6),
    st.text(DIGITS, max_size=2).map(lambda revision: f"-{revision}" if revision else ""),
)
FOLDERS = st.text(LOWER, max_size=4).map(lambda word: f"pool/main/{word[0]}/{word[1:]}/" if len(word) > 1 else "")
DEB_PATHS = st.builds("{}{}.deb".format, FOLDERS, words(f"{LOWER}{DIGITS}+_%~-", f"{LOWER}{DIGITS}+_%~.-", 1, 9))


def deb_pins(names: st.SearchStrategy[str]) -> st.SearchStrategy[DebPin]:
    """Return a strategy of pins that are called by ``names``."""
    return st.builds(
        DebPin,
        name=names,
        version=DEB_VERSIONS,
        architecture=st.sampled_from(["all", "amd64"]),
        sha256=HASHES,
        size=SIZES,
        path=DEB_PATHS,
        requested=st.booleans(),
    )


DEB_PINS = deb_pins(words(LOWER, f"{LOWER}{DIGITS}+.-", 1, 6))


@st.composite
def debs_locks(draw: st.DrawFn) -> DebsLock:
    """Draw a debs.lock, each of whose packages is in one section."""
    pins = draw(st.lists(DEB_PINS, max_size=9, unique_by=lambda pin: pin.name))
    sections: dict[str, list[DebPin]] = {name: [] for name in SECTIONS}
    for pin in pins:
        sections[draw(st.sampled_from(SECTIONS))].append(pin)
    return DebsLock(
        input=draw(st.sampled_from(["sha256:0", "sha256:f"])),
        suite=draw(st.sampled_from(["trixie", "forky"])),
        architecture=draw(st.sampled_from(["amd64", "arm64"])),
        sections={name: tuple(sorted(section)) for name, section in sections.items()},
        snapshot=draw(st.sampled_from(["", "20261108T101500Z"])),
    )


PYTHON_NAMES = ("attrs", "bleach", "comm", "debugpy", "executing", "via", "viable", "zope-interface")
PYTHON_VERSIONS = st.builds(
    "{}{}{}".format,
    words(DIGITS, DIGITS, 0, 1),
    st.text(DIGITS, max_size=2).map(lambda parts: "".join(f".{part}" for part in parts)),
    st.sampled_from(["", "rc1", ".post2", "+cpu"]),
)
MARKERS = st.sampled_from(["", 'python_version < "3.13"', 'sys_platform == "linux" and extra == "a"'])


@st.composite
def python_locks(draw: st.DrawFn) -> PythonLock:
    """Draw a requirements.lock in which each distribution has a file, and all that is wanted is there."""
    names = draw(st.lists(st.sampled_from(PYTHON_NAMES), max_size=6, unique=True))
    pins = []
    for name in names:
        version = draw(PYTHON_VERSIONS)
        hashes = draw(st.lists(HASHES, min_size=1, max_size=2, unique=True).map(sorted))
        stem = f"{name.replace('-', '_')}-{version}"
        files = [
            PythonFile(
                architecture,
                draw(st.sampled_from([f"{stem}-py3-none-any.whl", f"{stem}.tar.gz", f"{stem}.zip"])),
                draw(SIZES),
                draw(st.sampled_from(hashes)),
            )
            for architecture in draw(st.sampled_from([["amd64"], ["arm64"], ["amd64", "arm64"]]))
        ]
        via = draw(st.sets(st.sampled_from(["list", *names]), min_size=1, max_size=3))
        signed = tuple(f"sha256:{value}" for value in hashes)
        pins.append(PythonPin(name, version, draw(MARKERS), signed, tuple(sorted(via)), tuple(files)))
    return PythonLock(
        name="requirements.lock",
        input="sha256:0",
        python=draw(st.sampled_from(["3.13", "3.14"])),
        glibc=draw(st.sampled_from(["2.41", "2.42"])),
        pins=tuple(sorted(pins)),
    )


R_NAMES = ("IRkernel", "Rcpp", "data.table", "repr", "uuid", "zoo")
R_VERSIONS = st.builds(
    lambda first, signs, others: first + "".join(map(operator.add, signs, others)),
    words(DIGITS, DIGITS, 0, 1),
    st.text(".-", min_size=3, max_size=3),
    st.text(DIGITS, min_size=1, max_size=3),
)
DEPENDENCIES = st.builds(
    lambda name, bound: Dependency(name, *bound),
    st.sampled_from([*R_NAMES, "R"]),
    st.just(("", "")) | st.tuples(st.sampled_from([">=", ">", "==", "!=", "<=", "<"]), R_VERSIONS),
)
R_FILES = st.builds(
    RFile,
    kind=st.sampled_from(["source", "binary"]),
    path=st.builds(
        "{}/{}".format,
        st.sampled_from(["src", "bin"]),
        words(f"{string.ascii_letters}{DIGITS}_-", f"{string.ascii_letters}{DIGITS}._-", 0, 11),
    ),
    sha256=HASHES,
)
LIBRARIES = st.sets(st.sampled_from(["libc6", "libstdc++6", "libcurl4t64"])).map(sorted).map(tuple)
COMMON = {
    "version": R_VERSIONS,
    "requested": st.booleans(),
    "dependencies": st.sets(DEPENDENCIES, max_size=2).map(sorted).map(tuple),
    "system": LIBRARIES,
    # SystemRequirements are free text, of any alphabet.
    "system_requirements": st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9),
}
R_PINS = st.one_of(
    st.builds(
        RPin,
        name=st.sampled_from(R_NAMES),
        repository=st.just("debian"),
        deb=deb_pins(
            st.builds(
                "r-{}-{}".format,
                st.sampled_from(["cran", "bioc"]),
                words(f"{LOWER}{DIGITS}", f"{LOWER}{DIGITS}", 0, 5),
            )
        ),
        **COMMON,
    ),
    st.builds(
        RPin,
        name=st.sampled_from(R_NAMES),
        repository=st.sampled_from(["cran", "mirror"]),
        files=st.lists(R_FILES, min_size=1, max_size=2).map(tuple),
        linking=st.sets(st.sampled_from(R_NAMES), max_size=2).map(sorted).map(tuple),
        build=LIBRARIES,
        **COMMON,
    ),
)


@st.composite
def r_locks(draw: st.DrawFn) -> RLock:
    """Draw an r_packages.lock."""
    packages = draw(st.lists(R_PINS, max_size=4, unique_by=lambda pin: pin.name))
    debs = draw(st.lists(DEB_PINS, max_size=6, unique_by=lambda pin: pin.name))
    half = draw(st.integers(0, len(debs)))
    return RLock(
        input="sha256:0",
        r=draw(st.sampled_from(["4.5.0", "4.6.1"])),
        repositories=draw(st.sampled_from([("debian",), ("cran", "debian"), ("debian", "mirror", "cran")])),
        packages=tuple(sorted(packages, key=lambda pin: pin.name)),
        debs=tuple(sorted(debs[:half])),
        build_debs=tuple(sorted(debs[half:])),
        debs_body=draw(st.sampled_from(["sha256:1", "sha256:2"])),
    )


def deb(name: str, version: str = "1", *, requested: bool = False) -> DebPin:
    """Return a pin of this name."""
    path = f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    return DebPin(name, version, "amd64", "a" * 64, 1000, path, requested)


def wheel(name: str, version: str = "1", *via: str, architecture: str = "amd64") -> PythonPin:
    """Return a pin of this name with a wheel, that the list wants unless ``via`` says who does."""
    file = PythonFile(architecture, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", 1000, "a" * 64)
    return PythonPin(name, version, "", (f"sha256:{'a' * 64}",), via or ("list",), (file,))


def r_pin(name: str, version: str = "1.0") -> RPin:
    """Return an R package that Debian has."""
    return RPin(name, version, "debian", requested=True, deb=deb(f"r-cran-{name.lower()}", f"{version}-1"))


DEBS = DebsLock(
    "sha256:0",
    "trixie",
    "amd64",
    {
        "root": (deb("apt"), deb("bash"), deb("libc6", "2.41-12"), deb("python3", "3.13.5-1"), deb("zlib1g")),
        "pyrlab-base": (deb("curl", requested=True), deb("tini")),
    },
)
PYTHON = PythonLock(
    name="requirements.lock",
    input="sha256:0",
    python="3.13",
    glibc="2.41",
    pins=(
        wheel("cachetools"),
        wheel("certifi", "1", "requests"),
        wheel("cffi"),
        wheel("numpy", "2.3.1"),
        wheel("requests"),
    ),
)
R = RLock(
    input="sha256:0",
    debs_body=DEBS.body,
    r="4.5.0",
    repositories=("debian",),
    packages=(r_pin("repr"), r_pin("uuid"), r_pin("zoo")),
    debs=(deb("libuv"), deb("libzmq5")),
    build_debs=(deb("gcc-14"),),
)


def without_files(lock: PythonLock) -> PythonLock:
    """Return what the lock's first format could say."""
    return replace(lock, glibc="", pins=tuple(replace(pin, files=()) for pin in lock.pins))
