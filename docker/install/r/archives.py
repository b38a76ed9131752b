"""Unpacks an R package's archive, once it is sure that nothing would be written outside the package's own folder."""

import errno
import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path


def unpack(content: bytes, folder: Path, name: str, *, any_top: bool = False) -> Path:
    """Unpack a package's archive into ``folder`` and return its tree there, ``folder/NAME``.

    With ``any_top`` the archive's one folder may have another name, as that of a commit has: it is renamed.

    Raises ValueError for an archive that is broken or would write elsewhere; of the latter nothing is written.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = [plain(member) for member in archive.getmembers()]
            top = members[0].name.partition("/")[0] if any_top and members else name
            if reason := objection(members, top):
                raise ValueError(reason)
            # All that Python's own filters refuse is refused above, and Debian 12's Python has none.
            archive.extraction_filter = lambda member, _: member
            archive.extractall(folder, members)  # noqa: S202 - checked member by member
            if top != name:
                (folder / top).rename(folder / name)
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, KeyError, OSError) as error:
        # A full disk is nobody's fault here. Other such errors come from an archive at odds with itself.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise ValueError(f"its file is no whole tar archive: {error}") from error
    return folder / name


def objection(members: Iterable[tarfile.TarInfo], name: str) -> str:
    """Return why an archive must not be unpacked, or an empty text.

    Every member has to be a file, folder or link of the folder ``name``, links have to stay in it, and no member may
    come in through a link. A link's target may go up at its beginning only: what follows a link and goes up from there
    is not where its text says.
    """
    members = list(members)
    links = {member.name for member in members if member.issym()}
    for member in members:
        path = member.name
        if not _inside(path, name) or (path == name and not member.isdir()):
            return f"{path} is not in the folder {name}"
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            return f"{path} is neither a file nor a folder nor a link"
        if any(above in links for above in _above(path)):
            return f"{path} comes in through a link"
        base = posixpath.dirname(path) if member.issym() else ""
        if (member.issym() or member.islnk()) and (
            posixpath.normpath(member.linkname) != member.linkname.rstrip("/")
            or not _inside(posixpath.normpath(posixpath.join(base, member.linkname)), name)
        ):
            return f"the link {path} leads to {member.linkname}"
    return ""


def _inside(path: str, name: str) -> bool:
    """Tell whether an archive's path is ``name`` or below it, without a detour."""
    parts = path.split("/")
    return parts[0] == name and not {"", ".", ".."} & set(parts)


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member without its packer: owned by root, readable for all, written by nobody else."""
    member.name = member.name.removeprefix("./")
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
