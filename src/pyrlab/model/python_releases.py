"""The newest release of a Python project: of all, and of those that an image can install."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.tags import Tag
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pyrlab.model.python_tags import IndexFile, choose


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest version that an index has, and the newest of which a file fits; None where there is none."""

    version: Version | None
    fitting: Version | None


def newest(files: Iterable[IndexFile], fitting: Sequence[Tag], *, python: str, prereleases: bool = False) -> Newest:
    """Return the newest version among all files of a project, yanked ones left out.

    Pre-releases count when they are asked for, or where there is nothing else, as for pip. ``fitting`` are the tags of
    an image and ``python`` its version as in 3.13.
    """
    releases: dict[Version, list[IndexFile]] = {}
    for file in files:
        version = _version(file.filename)
        if version is not None and not file.yanked:
            releases.setdefault(version, []).append(file)
    final = [version for version in releases if prereleases or not version.is_prerelease]
    versions = sorted(final or releases, reverse=True)
    found = next((version for version in versions if choose(releases[version], fitting, python=python)), None)
    return Newest(versions[0] if versions else None, found)


def _version(filename: str) -> Version | None:
    """Return the version in a file's name; None for files that are of no use, or too old to be read."""
    try:
        return parse_wheel_filename(filename)[1] if filename.endswith(".whl") else parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
