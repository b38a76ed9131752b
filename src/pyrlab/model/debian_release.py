"""A suite's Release file: what it is called, until when it holds, and the files that it vouches for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Self

from debian import deb822

from pyrlab.errors import BuildError
from pyrlab.model.debian import AUTOMATIC_UPGRADES, NOT_AUTOMATIC, PRIORITY

# The best compressed first.
_SUFFIXES = (".xz", ".gz", "")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that a Release file names; ``path`` is relative to its folder, ``size`` in bytes."""

    path: str
    size: int
    sha256: str

    @property
    def by_hash(self) -> str:
        """The path under which the file stays to be had while the archive changes."""
        folder = "/".join(self.path.split("/")[:-1])
        return "/".join(filter(None, [folder, "by-hash", "SHA256", self.sha256]))


@dataclass(frozen=True, slots=True)
class Release:
    """What is read of a Release file. Source: DebianRepository/Format in Debian's wiki."""

    suite: str
    codename: str
    valid_until: datetime | None
    by_hash: bool
    weight: int
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    apart: bool
    files: Mapping[str, IndexFile]

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Parse the text of the file. Raises BuildError."""
        fields = deb822.Release(text.splitlines())
        try:
            valid_until = fields.get("Valid-Until")
            files = {
                entry["name"]: IndexFile(entry["name"], int(entry["size"]), entry["sha256"].lower())
                for entry in fields.get("SHA256", ())
            }
            until = parsedate_to_datetime(valid_until) if valid_until else None
        except (KeyError, TypeError, ValueError) as error:
            raise BuildError(
                f"{where} cannot be read", remedy="tell whoever keeps this archive, or use another one"
            ) from error
        return cls(
            suite=fields.get("Suite", ""),
            codename=fields.get("Codename", ""),
            valid_until=until,
            by_hash=fields.get("Acquire-By-Hash") == "yes",
            weight=_weight(fields.get("NotAutomatic") == "yes", fields.get("ButAutomaticUpgrades") == "yes"),
            architectures=tuple(fields.get("Architectures", "").split()),
            components=tuple(fields.get("Components", "").split()),
            apart="Packages" not in fields.get("No-Support-for-Architecture-all", "").split(),
            files=files,
        )

    def is_called(self, suite: str) -> bool:
        """Tell whether this is the suite that was asked for; an archive may leave its names out."""
        names = {self.suite, self.codename} - {""}
        return not names or suite in names

    def indexes(self, component: str, architecture: str) -> list[list[IndexFile]]:
        """Return the Packages files of a component: each as the forms that there are of it, the smallest first.

        Where packages for all architectures have an index of their own, it is the second one.
        """
        names = [architecture, *(["all"] if self.apart and "all" in self.architectures else [])]
        found = [self.forms(f"{component}/binary-{name}/Packages") for name in names]
        return [forms for forms in found if forms]

    def forms(self, path: str) -> list[IndexFile]:
        """Return the forms that there are of one file, the smallest first."""
        return [self.files[path + suffix] for suffix in _SUFFIXES if path + suffix in self.files]


def _weight(not_automatic: bool, but_upgrades: bool) -> int:  # noqa: FBT001 - two fields, side by side
    """Return what apt_preferences(5) gives to an archive with these two fields."""
    if not not_automatic:
        return PRIORITY
    return AUTOMATIC_UPGRADES if but_upgrades else NOT_AUTOMATIC
