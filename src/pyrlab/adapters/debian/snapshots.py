"""Fetches from a snapshot archive what mirrors no longer have: by the time of the lock, else by the version."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyrlab.adapters.http import NotThereError, Wanted, Web
from pyrlab.model import debian_snapshot
from pyrlab.model.locks.debs import DebPin

AGENT = "pyrlab"


@dataclass(frozen=True, slots=True)
class Snapshots:
    """A snapshot archive at ``url``; ``time`` is that of the lock as in 20261129T043612Z, or empty for none."""

    web: Web
    url: str
    time: str

    def fetch_all(self, pins: Sequence[DebPin]) -> list[DebPin]:
        """Bring these packages into the store, and return those that the snapshot archive does not have.

        Raises HashMismatchError, NetworkError.
        """
        lost = list(pins)
        for archive in debian_snapshot.ARCHIVES:
            places = [(pin, debian_snapshot.place(self.url, archive, self.time, pin.path)) for pin in lost]
            lost = self._fetch([(pin, [place] if place else []) for pin, place in places])
        # A lock keeps earlier pins, which the archive may have dropped by the time that the lock notes.
        return self._fetch([(pin, self._by_version(pin)) for pin in lost])

    def _fetch(self, found: Sequence[tuple[DebPin, Sequence[str]]]) -> list[DebPin]:
        """Bring each package from one of its URLs, and return those that none of them has."""
        pins = {file_of(pin, urls): pin for pin, urls in found}
        asked = [file for file in pins if file.urls]
        # The first one alone: where nobody answers, it is enough to wait for that once.
        gone = self.web.fetch_all(asked[:1], agent=AGENT) + self.web.fetch_all(asked[1:], agent=AGENT)
        return [pin for file, pin in pins.items() if file in gone or not file.urls]

    def _by_version(self, pin: DebPin) -> Sequence[str]:
        """Return where the snapshot archive says that the file of this version is."""
        try:
            answer = self.web.get(debian_snapshot.files_of(self.url, pin.name, pin.version), agent=AGENT)
        except NotThereError:
            return ()
        return debian_snapshot.files_in(self.url, answer.path.read_bytes(), pin.architecture)


def file_of(pin: DebPin, urls: Sequence[str]) -> Wanted:
    """Return the file of a package, which these URLs may have."""
    return Wanted(tuple(urls), pin.sha256, pin.size, f"{pin.name} {pin.version}")
