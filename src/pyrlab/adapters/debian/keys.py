"""The keys that sign Debian's archives: its own, and those of other archives, each checked against its fingerprint."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path

import pysequoia

from pyrlab.adapters.http import Web, is_web_page, public
from pyrlab.errors import BuildError, UsageError
from pyrlab.model import servers
from pyrlab.model.debian_sources import Key
from pyrlab.model.settings import Settings

# Gives the bytes of a URL. Raises NotThereError, RefusedError and NetworkError.
Get = Callable[[str], bytes]
_AGENT = "pyrlab"
_ARCHIVE_KEY = re.compile(r"Archive Automatic Signing Key .*<[^@>]+@(?P<domain>[^>]+)>")
_REMEDY = "check signed-by in base.apt_sources and r.apt_sources, and debian.keys in pyrlab.toml"


def reader(settings: Settings) -> Get:
    """Return what brings a key: not by the proxy for Debian packages, as that may have nothing but packages."""
    web = Web(settings.cache, ca_file=settings.ca_file, proxies=settings.proxies, kind=servers.KEY)
    return lambda url: web.get(url, agent=_AGENT).path.read_bytes()


def certificates(keys: Sequence[Key], get: Get, now: datetime | None = None) -> list[pysequoia.Cert]:
    """Return the certificates that may sign: those of these keys, or Debian's own where there are none.

    One whose primary key has expired may sign nothing, nor a revoked one: Sequoia would believe its earlier signatures
    for ever. Of several copies of one key the newest word of each counts.
    Raises UsageError, NetworkError, and BuildError where none counts any longer.
    """
    if not keys:
        return debian_keys()
    now = now or datetime.now(UTC)
    found: dict[str, pysequoia.Cert] = {}
    for cert in (cert for key in keys for cert in _certificates_of(key, get)):
        found[cert.fingerprint] = found[cert.fingerprint].merge(cert) if cert.fingerprint in found else cert
    faults = {cert.fingerprint.upper(): _fault(cert, now) for cert in found.values()}
    sound = [cert for cert in found.values() if not faults[cert.fingerprint.upper()]]
    if not sound:
        raise BuildError(
            f"the key of an archive counts no longer: {', '.join(f'{one} {fault}' for one, fault in faults.items())}",
            remedy="get the newer one from whoever keeps the archive, for debian.keys in pyrlab.toml; "
            "or look at this machine's clock",
        )
    return sound


def _fault(cert: pysequoia.Cert, now: datetime) -> str:
    """Return why a certificate may sign nothing, as the end of a sentence; nothing where it may."""
    if cert.is_revoked:
        return "is revoked"
    try:
        expiration = cert.expiration
    except RuntimeError as error:
        # One that binds itself by a hash that Sequoia believes no more, as SHA-1. The text ends in a stack of calls.
        reason = str(error).partition("\n")[0]
        return f"cannot be believed ({reason})"
    if expiration and expiration <= now:
        return f"has expired on {expiration:%Y-%m-%d}"
    return ""


def _certificates_of(key: Key, get: Get) -> list[pysequoia.Cert]:
    """Return the one certificate with the key's fingerprint, or all where it has none. Raises UsageError."""
    shown = public(key.place) if "://" in key.place else key.place
    content = _content(key.place, get)
    try:
        found = pysequoia.Cert.split_bytes(content)
    except Exception as error:  # pysequoia has no error of its own
        what = "a web page, no keyring" if is_web_page(content) else "no keyring"
        raise UsageError(f"{shown} is {what}", remedy=_REMEDY) from error
    if not found:
        raise UsageError(f"{shown} has no key", remedy=_REMEDY)
    wanted = [cert for cert in found if key.fingerprint in {"", cert.fingerprint.upper()}]
    if not wanted:
        there = ", ".join(cert.fingerprint.upper() for cert in found)
        raise UsageError(
            f"{shown} has no key {key.fingerprint}; it has {there}",
            remedy="do not trust it: ask whoever keeps the archive for the fingerprint, and mend debian.keys in "
            "pyrlab.toml",
        )
    return wanted


def _content(place: str, get: Get) -> bytes:
    if "://" in place:
        return get(place)
    try:
        return Path(place).read_bytes()
    except OSError as error:
        raise UsageError(f"the keyring {place} cannot be read: {error.strerror}", remedy=_REMEDY) from error


def armored(certs: Iterable[pysequoia.Cert]) -> str:
    """Return certificates as one keyring in ASCII; nothing for none. No secret part of a key is in it."""
    content = b"".join(bytes(cert) for cert in certs)
    return pysequoia.armor(content, pysequoia.ArmorKind.PublicKey) if content else ""


@cache
def debian_keys() -> list[pysequoia.Cert]:
    """Return the keys that sign Debian's archives; tools/archive_keys.py brings newer ones."""
    file = resources.files("pyrlab") / "data" / "debian-archive-keys.asc"
    return pysequoia.Cert.split_bytes(file.read_bytes())


@cache
def debian_domain() -> str:
    """Return the domain of Debian's archive, as its keys say it."""
    names = [str(user_id) for cert in debian_keys() for user_id in cert.user_ids]
    (domain,) = {match["domain"] for name in names if (match := _ARCHIVE_KEY.search(name))}
    return domain
