"""Debian packages and archives of the tests' own, made in memory."""

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pysequoia

from pyrlab.adapters.http import NotThereError

URI = "http://mirror.example/debian"


def ar(members: Mapping[str, bytes]) -> bytes:
    """Pack members into one archive, as a .deb is. Source: deb(5)."""
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        parts += [head.encode(), content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a .deb's data: a file, unless ``type`` says something else."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def deb(folder: Path, name: str, *entries: tuple[tarfile.TarInfo, bytes], version: str = "1", **fields: str) -> Path:
    """Write a .deb that holds these members, and return its path; ``fields`` are more of what it says of itself."""
    lines = {"Package": name, "Version": version, "Architecture": "all", **fields}
    control = tar_of(entry("./control", "".join(f"{key}: {value}\n" for key, value in lines.items()).encode()))
    path = folder / f"{name}_{version}_all.deb"
    path.write_bytes(_packed(control, tar_of(*entries)))
    return path


@cache
def _packed(control: bytes, data: bytes) -> bytes:
    """Return a .deb of these two tars. Many tests make the same ones, and packing is what takes the time."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(control, mtime=0),
        "data.tar.xz": lzma.compress(data),
    }
    return ar(members)


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a tar of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in entries:
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def stanza(name: str, version: str = "1", **fields: str) -> str:
    """Return a stanza of a Packages file; ``Pre_Depends`` is spelled with an underscore."""
    digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    lines = {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Filename": f"pool/{name}_{version}.deb",
        "Size": "10",
        "SHA256": digest,
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def packed(text: str, form: str) -> bytes:
    """Return an index in the form that a suffix names."""
    content = text.encode()
    if form == ".xz":
        return lzma.compress(content)
    return gzip.compress(content) if form == ".gz" else content


def packages(*stanzas: str) -> str:
    """Return the text of a Packages file."""
    return "\n".join(stanzas)


@cache
def key(name: str) -> pysequoia.Tsk:
    """Return a secret key of the tests' own."""
    return pysequoia.Tsk.generate(f"{name} <{name}@example.org>")


def keyring(folder: Path, name: str) -> Path:
    """Write the public half of a key, and return its path."""
    path = folder / f"{name}.asc"
    path.write_text(str(key(name).extract_certificate()), encoding="ascii")
    return path


def sign(text: str, name: str, *, detached: bool = False) -> bytes:
    """Return a text as a key signs it, or the signature alone."""
    mode = pysequoia.SignatureMode.DETACHED if detached else pysequoia.SignatureMode.CLEAR
    return bytes(pysequoia.sign(key(name).signer(), text.encode(), mode=mode))


@dataclass
class Mirror:
    """A web server's files by URL; ``asked`` are the URLs that were asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, url: str) -> bytes:
        """Return a file, as ``Web.get`` does. Raises NotThereError."""
        self.asked.append(url)
        if url not in self.files:
            raise NotThereError("not there", remedy="")
        return self.files[url]

    def publish(
        self,
        suite: str,
        text: str,
        *,
        signer: str = "archive",
        forms: Sequence[str] = (".xz",),
        uri: str = URI,
        by_hash: bool = False,
        architecture: str = "amd64",
        **fields: str,
    ) -> str:
        """Put a suite with one Packages file on the server, and return the text of its Release file."""
        path = f"main/binary-{architecture}/Packages"
        folder = f"{uri}/dists/{suite}"
        sums = []
        for form in forms:
            content = packed(text, form)
            digest = hashlib.sha256(content).hexdigest()
            sums.append(f" {digest} {len(content)} {path}{form}")
            place = f"main/binary-{architecture}/by-hash/SHA256/{digest}" if by_hash else f"{path}{form}"
            self.files[f"{folder}/{place}"] = content
        lines = {"Codename": suite, "Architectures": architecture, "Components": "main", **fields}
        if by_hash:
            lines["Acquire-By-Hash"] = "yes"
        release = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in lines.items())
        release += "SHA256:\n" + "".join(f"{line}\n" for line in sums)
        self.files[f"{folder}/InRelease"] = sign(release, signer)
        return release
