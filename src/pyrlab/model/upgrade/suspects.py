"""Which packages a failure's own words point at: the code that ran, what could not be loaded, what was imported."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name

from pyrlab.model.cran import debian
from pyrlab.model.upgrade.bumps import Bump, Package
from pyrlab.model.upgrade.compose import DEBS, PYTHON, R

# A frame of a Python traceback, with or without a terminal's colours between its parts.
_FRAME = re.compile(r"/(?:site|dist)-packages/(?P<name>[A-Za-z0-9_]+)")
_MODULE = re.compile(r"(?:No module named|cannot import name .+? from|module) ['\"](?P<name>[A-Za-z0-9_]+)")
_R_CALL = re.compile(r"\b(?P<name>[A-Za-z][A-Za-z0-9.]+):::?[A-Za-z_.]")
# R quotes what its messages name.
_R_QUOTED = re.compile("(?:package|namespace)['\" ]+([A-Za-z][A-Za-z0-9.]+)|\u2018([A-Za-z][A-Za-z0-9.]+)\u2019")
_SHARED = re.compile(r"\b(?P<name>lib[A-Za-z0-9_+-]+)\.so")
_PROGRAM = re.compile(r"/usr/bin/(?P<name>[A-Za-z0-9+._-]+)")
_IMPORT = re.compile(
    r"^\s*(?:import|from) +(?P<name>[A-Za-z0-9_]+)|\blibrary\(['\"]?(?P<r>[A-Za-z][A-Za-z0-9.]+)", re.MULTILINE
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9.+_-]+")


def suspects(text: str, source: str, bumps: Sequence[Bump], modules: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of bumps that a failure points at, the most suspect first.

    ``text`` is the failure, ``source`` the code that ran; ``modules`` gives the distribution of a Python module where
    its name is another. The code that ran last comes first, then what is named, then what the code imports.
    """
    owner = {member.package: bump.name for bump in bumps for member in bump.members}
    shown = re.sub(r"\x1b\[[0-9;]*m", "", text)
    named = [*_frames(shown, modules), *_named(shown, modules), *_imports(source, modules), *_words(shown, owner)]
    return tuple(dict.fromkeys(owner[package] for package in named if package in owner))


def _frames(text: str, modules: Mapping[str, str]) -> Iterator[Package]:
    # The innermost frame stands last, and is the likeliest.
    for match in reversed(list(_FRAME.finditer(text))):
        yield _python(match["name"], modules)
    for match in reversed(list(_R_CALL.finditer(text))):
        yield from _of_r(match["name"])


def _named(text: str, modules: Mapping[str, str]) -> Iterator[Package]:
    for match in _MODULE.finditer(text):
        yield _python(match["name"], modules)
    for match in _R_QUOTED.finditer(text):
        yield from _of_r(match[1] or match[2])
    for match in (*_SHARED.finditer(text), *_PROGRAM.finditer(text)):
        yield Package(DEBS, match["name"])


def _imports(source: str, modules: Mapping[str, str]) -> Iterator[Package]:
    for match in _IMPORT.finditer(source):
        if match["name"]:
            yield _python(match["name"], modules)
        else:
            yield from _of_r(match["r"])


def _words(text: str, packages: Iterable[Package]) -> Iterator[Package]:
    """Yield packages that the text has as a word, the last one first."""
    known: dict[str, list[Package]] = {}
    for package in packages:
        known.setdefault(_plain(package.name), []).append(package)
    for match in reversed(list(_WORD.finditer(text))):
        yield from known.get(_plain(match[0].strip(".")), ())


def _plain(name: str) -> str:
    return str(canonicalize_name(name))


def _python(module: str, modules: Mapping[str, str]) -> Package:
    return Package(PYTHON, _plain(modules.get(module, module)))


def _of_r(name: str) -> Iterator[Package]:
    yield Package(R, name)
    for prefix in debian.PREFIXES:
        yield Package(DEBS, f"{prefix}{name.lower()}")
