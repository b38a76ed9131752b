"""Debian archives in a folder, of packages that tests make: unsigned, for apt's ``[trusted=yes]``, or signed."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pysequoia

MTIME = 946684800


def deb(name: str, version: str, files: dict[str, tuple[str, int]]) -> bytes:
    """Return a deb of these files, {path: (text, mode)}."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: tests\nDescription: for a test\n"
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _packed({"./control": (control, 0o644)}),
        "data.tar.gz": _packed({f"./{path}": file for path, file in files.items()}),
    }
    out = b"!<arch>\n"
    for part, content in parts.items():
        out += f"{part:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def publish(folder: Path, suite: str, architecture: str, debs: dict[tuple[str, str], bytes]) -> None:
    """Write an archive of these debs, by name and version."""
    packages = _packages(folder, "pool", debs)
    index = f"main/binary-{architecture}/Packages"
    _put(folder / "dists" / suite / index, packages)
    fields = {"Codename": suite, "Components": "main", "Architectures": architecture}
    _put(folder / "dists" / suite / "Release", _release(packages, index, fields))


def publish_flat(
    folder: Path, place: str, debs: dict[tuple[str, str], bytes], *, key: pysequoia.Tsk, **fields: str
) -> None:
    """Write an archive of these debs that lies in one folder, as the R project's does, signed by a key.

    ``fields`` are more of its Release file, with ``_`` for ``-``.
    """
    packages = _packages(folder, place, debs)
    _put(folder / place / "Packages", packages)
    release = _release(packages, "Packages", {name.replace("_", "-"): value for name, value in fields.items()})
    signed = pysequoia.sign(key.signer(), release, mode=pysequoia.SignatureMode.CLEAR)
    _put(folder / place / "InRelease", bytes(signed))


def _packages(folder: Path, pool: str, debs: dict[tuple[str, str], bytes]) -> bytes:
    """Write debs below ``pool``, and return the text of their index."""
    stanzas = []
    for (name, version), content in sorted(debs.items()):
        path = f"{pool}/{name}_{version}_all.deb"
        _put(folder / path, content)
        fields = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Filename": path,
            "Size": len(content),
            "SHA256": hashlib.sha256(content).hexdigest(),
            "Description": "for a test",
        }
        stanzas.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return "\n".join(stanzas).encode()


def _release(packages: bytes, index: str, fields: Mapping[str, str]) -> bytes:
    """Return the Release file of one index."""
    release = {
        **fields,
        "Date": "Mon, 06 Jan 2020 00:00:00 UTC",
        "SHA256": f"\n {hashlib.sha256(packages).hexdigest()} {len(packages)} {index}",
    }
    return "".join(f"{key}: {value}\n" for key, value in release.items()).encode()


def _packed(files: dict[str, tuple[str, int]]) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path, (text, mode) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(text.encode()), mode, MTIME
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
