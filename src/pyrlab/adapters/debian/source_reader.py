"""Reads one source of Debian packages: its signed Release file, and the Packages files that this vouches for."""

import gzip
import hashlib
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pysequoia
from debian import deb822

from pyrlab.adapters.debian import keys
from pyrlab.adapters.debian.keys import Get
from pyrlab.adapters.http import NotThereError, is_web_page, public
from pyrlab.errors import BuildError, NetworkError
from pyrlab.model.debian import PRIORITY
from pyrlab.model.debian_release import IndexFile, Release
from pyrlab.model.debian_sources import Source

_SYNC_REMEDY = (
    "the mirror may be in the middle of an update: try again in some minutes, "
    "or name another mirror in base.apt_sources of pyrlab.toml"
)
_SOURCES_REMEDY = "check base.suite, base.apt_sources and r.apt_sources in pyrlab.toml"


@dataclass(frozen=True, slots=True)
class Listing:
    """The text of a Packages file that was checked, and the weight of its packages for ``Index.add``."""

    text: str
    weight: int


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Reads one source at the moment ``now``."""

    source: Source
    architecture: str
    get: Get
    get_key: Get
    now: datetime

    def listings(self) -> list[Listing] | None:
        """Return the Packages files, or None for an optional suite that the archive does not have."""
        try:
            release = self.release()
        except NotThereError:
            if self.source.optional:
                return None
            raise NetworkError(
                f"there is no {self._shown('InRelease')}, nor a Release file beside it", remedy=_SOURCES_REMEDY
            ) from None
        if release is None:
            return [Listing(self._unlisted(), PRIORITY)]
        forms = self._indexes(release)
        return [Listing(self._index(alternatives, release), release.weight) for alternatives in forms]

    # ---- The Release file

    def release(self) -> Release | None:
        """Return what the Release file says, checked. None for a trusted flat folder without one.

        Raises NotThereError, NetworkError and BuildError.
        """
        text = self._release_text()
        if text is None:
            return None
        release = Release.parse(text, where=self._shown("Release"))
        self._check(release)
        return release

    def _release_text(self) -> str | None:
        """Return the signed text. None for a trusted flat folder without a Release file. Raises NotThereError."""
        text = self._unsigned() if self.source.trusted else self._signed()
        return None if text is None else text.decode("utf-8", errors="replace")

    def _signed(self) -> bytes:
        certs = keys.certificates(self.source.signed_by, self.get_key, self.now)
        try:
            signed = self._get("InRelease")
        except NotThereError:
            text = self._get("Release")
            try:
                signature = self._get("Release.gpg")
            except NotThereError:
                raise BuildError(
                    f"{self._shown('Release')} is not signed",
                    remedy="use a signed archive; or say [trusted=yes] in base.apt_sources if you trust this one",
                ) from None
            return self._verified(text, certs, signature)
        return self._verified(signed, certs, None)

    def _verified(self, signed: bytes, certs: list[pysequoia.Cert], signature: bytes | None) -> bytes:
        """Return the very bytes that a key of ours signed, and nothing that stands around them."""
        try:
            detached = None if signature is None else pysequoia.Sig.from_bytes(signature)
            verified = pysequoia.verify(bytes=signed, store=lambda _: certs, signature=detached)
            text = signed if detached else verified.bytes
        # pysequoia has no error of its own. Its texts go on with a stack of calls.
        except Exception as error:  # noqa: BLE001
            reason = str(error).partition("\n")[0]
            raise self._bad_signature(reason) from None
        if not verified.valid_sigs or text is None:
            raise self._bad_signature("no valid signature")
        return text

    def _bad_signature(self, reason: str) -> BuildError:
        signers = ", ".join(map(str, self.source.signed_by)) or "Debian's own keys"
        return BuildError(
            f"{self._shown('the Release file')} has no valid signature of {signers}",
            remedy="do not trust it: use another mirror; or for an archive with its own key, "
            "[signed-by=FINGERPRINT] in its line in pyrlab.toml, and the key's place in debian.keys",
            detail=reason,
        )

    def _unsigned(self) -> bytes | None:
        try:
            return self._get("Release")
        except NotThereError:
            pass
        try:
            lines = iter(self._get("InRelease").splitlines())
        except NotThereError:
            if self.source.flat:
                return None
            raise
        return b"\n".join(deb822.Deb822.split_gpg_and_payload(lines)[1])

    def _check(self, release: Release) -> None:
        """Raise BuildError for a Release file of another suite, or one that is too old."""
        source = self.source
        if not source.flat and not release.is_called(source.suite):
            raise BuildError(
                f"{self._shown('the Release file')} is not of {source.suite!r}: it calls itself "
                f"{' or '.join(filter(None, [release.codename, release.suite]))}",
                remedy=_SOURCES_REMEDY,
            )
        until = release.valid_until
        if until and until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        if source.check_valid_until and until and until < self.now:
            raise BuildError(
                "the archive's Release file is past its Valid-Until date",
                remedy='for a snapshot, or a mirror that stands still: check_valid_until = "no" in pyrlab.toml; '
                "else look at this machine's clock",
                detail=f"{self._shown('the Release file')} was valid until {until:%Y-%m-%d %H:%M} UTC",
            )

    # ---- Packages files

    def _indexes(self, release: Release) -> list[list[IndexFile]]:
        """Return the Packages files, each in its forms. Raises BuildError for a component without one."""
        if self.source.flat:
            found = [release.forms("Packages")]
            if not found[0]:
                raise self._lacks("Packages")
            return found
        indexes = []
        for component in self.source.components:
            forms = release.indexes(component, self.architecture)
            if not forms:
                raise self._lacks(f"{component}/binary-{self.architecture}/Packages")
            indexes += forms
        return indexes

    def _lacks(self, path: str) -> BuildError:
        return BuildError(
            f"{self._shown('the Release file')} lists no {path}",
            remedy="check suite, components and the engine's architecture against what this archive has: "
            "base.suite and base.apt_sources in pyrlab.toml",
        )

    def _index(self, forms: Sequence[IndexFile], release: Release) -> str:
        """Return the text of one Packages file, in the first form that can be had and fits the Release file."""
        failure: NetworkError | BuildError | None = None
        for form in forms:
            places = [form.by_hash, form.path] if release.by_hash else [form.path]
            for place in places:
                try:
                    return self._unpack(self._fitting(form, place), form.path)
                except (NotThereError, BuildError) as error:
                    failure = failure or error
        if failure is None or isinstance(failure, NotThereError):
            raise NetworkError(
                f"{self._shown(forms[0].path)} is not there, though its Release file lists it", remedy=_SYNC_REMEDY
            )
        raise failure

    def _fitting(self, form: IndexFile, place: str) -> bytes:
        content = self._get(place)
        if len(content) != form.size or hashlib.sha256(content).hexdigest() != form.sha256:
            raise BuildError(
                f"{self._shown(form.path)} does not fit its Release file: {len(content)} bytes, not {form.size}"
                if len(content) != form.size
                else f"{self._shown(form.path)} does not fit its Release file: it has another SHA-256",
                remedy=_SYNC_REMEDY,
            )
        return content

    def _unlisted(self) -> str:
        """Return the Packages file of a trusted folder that has no Release file."""
        for path in ("Packages.xz", "Packages.gz", "Packages"):
            try:
                return self._unpack(self._get(path), path)
            except NotThereError:
                continue
        raise NetworkError(f"there is no {self._shown('Packages')}", remedy=_SOURCES_REMEDY)

    def _unpack(self, content: bytes, path: str) -> str:
        try:
            if path.endswith(".xz"):
                content = lzma.decompress(content)
            elif path.endswith(".gz"):
                content = gzip.decompress(content)
            return content.decode("utf-8")
        except (lzma.LZMAError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise BuildError(f"{self._shown(path)} is damaged", remedy=_SYNC_REMEDY) from error

    # ---- All files

    def _get(self, path: str) -> bytes:
        """Return the bytes of a file. Raises NotThereError, and NetworkError for a web page in its place."""
        content = self.get(f"{self.source.folder}/{path}")
        if is_web_page(content):
            raise NetworkError(
                f"{self._shown(path)} is a web page, no file of an archive: it may be a sign-in page of this network",
                remedy="open its host in a browser; check the network, and base.apt_sources in pyrlab.toml",
            )
        return content

    def _shown(self, path: str) -> str:
        """Return the URL of a file, or ``path`` of the suite, as a message may show it."""
        if " " in path:
            return f"{path} in {public(self.source.folder)}"
        return public(f"{self.source.folder}/{path}")
