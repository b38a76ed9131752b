"""The root's tar: what packages put where, equal bytes, and hostile packages."""

import hashlib
import io
import lzma
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from debian_archives import ar, deb, entry, tar_of

from pyrlab.adapters.debian import rootfs
from pyrlab.errors import BuildError
from pyrlab.model.settings import Settings

LATE = rootfs.EPOCH + 86400
EARLY = rootfs.EPOCH - 86400
DATA = lzma.compress(tar_of(entry("./usr/a", bytes(range(256)) * 100), entry("./usr/b", b"b" * 9)))


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


def packed(*debs: Path, extra: dict[str, bytes] | None = None) -> bytes:
    """Return the tar of a root of these packages."""
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in debs}
    return b"".join(rootfs.tar_chunks(hashes, extra_files=extra or {}))


def written(*debs: Path, extra: dict[str, bytes] | None = None) -> dict[str, tarfile.TarInfo]:
    """Return the members of that tar by name."""
    with tarfile.open(fileobj=io.BytesIO(packed(*debs, extra=extra))) as tar:
        members = {member.name: member for member in tar}
        assert len(members) == len(tar.getnames())
    return members


def test_members_keep_modes_and_owners_and_no_time_is_later_than_the_epoch(tmp_path: Path) -> None:
    package = deb(
        tmp_path,
        "a",
        folder("./"),
        folder("./var/"),
        folder("./var/mail/", 0o2775),
        entry("./var/mail/new", b"x", mode=0o4711, uid=8, gid=12, mtime=LATE),
        entry("./var/mail/old", b"y", mtime=EARLY),
        link("./var/spool", "mail"),
    )
    members = written(package)
    assert members["var/mail"].mode == 0o2775
    new = members["var/mail/new"]
    assert (new.mode, new.uid, new.gid, new.mtime, new.size) == (0o4711, 8, 12, rootfs.EPOCH, 1)
    assert members["var/mail/old"].mtime == EARLY
    assert members["var/spool"].linkname == "mail"
    assert max(member.mtime for member in members.values()) == rootfs.EPOCH


def test_everything_lands_in_a_merged_usr(tmp_path: Path) -> None:
    base = deb(tmp_path, "base-files", folder("./usr/"), link("./lib64", "usr/lib64"), link("./bin", "usr/bin"))
    libc = deb(
        tmp_path,
        "libc6",
        folder("./lib64/"),
        entry("./lib64/ld.so", b"ld"),
        entry("./bin/tool", b"tool"),
        link("./bin/same", "./bin/tool", tarfile.LNKTYPE),
        entry("./lib32/old.so", b"32"),
    )
    members = written(libc, base)
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    assert links == {"bin": "usr/bin", "lib": "usr/lib", "sbin": "usr/sbin", "lib64": "usr/lib64", "lib32": "usr/lib32"}
    assert {"usr/lib64/ld.so", "usr/bin/tool", "usr/lib32/old.so"} <= set(members)
    assert members["usr/bin/same"].linkname == "usr/bin/tool"
    assert not any(name.startswith(("bin/", "lib64/", "lib32/")) for name in members)


def test_the_order_of_packages_does_not_change_a_byte(tmp_path: Path) -> None:
    debs = [
        deb(tmp_path, "b", folder("./etc/", 0o700), entry("./etc/b", b"b", mtime=LATE)),
        deb(tmp_path, "a", folder("./etc/", 0o711), entry("./etc/a", b"a")),
        deb(tmp_path, "base-files", folder("./etc/"), entry("./etc/c", b"c")),
    ]
    one = packed(*debs, extra={"etc/y": b"1", "etc/x": b"2"})
    for path in debs:
        os.utime(path, (0, 0))
    assert packed(*debs[::-1], extra={"etc/x": b"2", "etc/y": b"1"}) == one
    assert written(*debs)["etc"].mode == 0o755


def test_folders_that_no_package_brings_are_made(tmp_path: Path) -> None:
    members = written(deb(tmp_path, "a", entry("./opt/x/y", b"")), extra={"etc/apt/sources.list": b"deb\n"})
    assert {"opt", "opt/x", "etc", "etc/apt"} <= {name for name, member in members.items() if member.isdir()}
    assert members["etc/apt/sources.list"].mode == 0o644
    assert (members["opt/x"].mode, members["opt/x"].uid, members["opt/x"].mtime) == (0o755, 0, rootfs.EPOCH)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        pytest.param([entry("/etc/passwd", b"x")], "a file called '/etc/passwd'", id="absolute"),
        pytest.param([entry("../../etc/passwd", b"x")], "a file called '../../etc/passwd'", id="upwards"),
        pytest.param([entry("./usr/../../x", b"x")], "a file called './usr/../../x'", id="upwards-inside"),
        pytest.param([entry("./a\nb", b"x")], "a file called", id="line-break"),
        pytest.param([entry("./dev/sda", type=tarfile.BLKTYPE)], "dev/sda is a device or a pipe", id="block-device"),
        pytest.param([entry("./dev/null", type=tarfile.CHRTYPE)], "dev/null is a device or a pipe", id="device"),
        pytest.param([entry("./run/p", type=tarfile.FIFOTYPE)], "run/p is a device or a pipe", id="pipe"),
        pytest.param(
            [link("./etc", "/"), entry("./etc/passwd", b"x")],
            "etc/passwd is below etc, which is no folder",
            id="through-link",
        ),
        pytest.param(
            [link("./x", "/etc/shadow", tarfile.LNKTYPE)], "a file called '/etc/shadow'", id="hard-link-outside"
        ),
        pytest.param([link("./x", "./etc/shadow", tarfile.LNKTYPE)], "x is a hard link to", id="hard-link-to-nothing"),
        pytest.param(
            [link("./s", "/etc/shadow"), link("./x", "./s", tarfile.LNKTYPE)],
            "x is a hard link",
            id="hard-link-to-link",
        ),
    ],
)
def test_a_hostile_package_is_refused_by_name(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], reason: str
) -> None:
    good, bad = deb(tmp_path, "good", entry("./etc/ok", b"x")), deb(tmp_path, "zz-bad", *members)
    if "below etc" in reason:
        good = deb(tmp_path, "good", entry("./opt/ok", b"x"))
    with pytest.raises(BuildError, match=r"zz-bad_1_all.deb is not installed") as caught:
        written(good, bad)
    assert reason in str(caught.value)


def test_a_link_in_the_place_of_usrs_own_is_not_followed(tmp_path: Path) -> None:
    bad = deb(tmp_path, "bad", link("./bin", "/home/evil"), entry("./bin/sh", b"sh"))
    members = written(bad)
    assert members["bin"].linkname == "usr/bin"
    assert "usr/bin/sh" in members


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>not here</html>", id="web-page"),
        pytest.param(ar({"debian-binary": b"2.0\n"}), id="no-data"),
        pytest.param(
            ar({"debian-binary": b"2.0\n", "control.tar": tar_of(), "data.tar.xz": DATA[: len(DATA) // 2]}),
            id="truncated",
        ),
    ],
)
def test_a_damaged_package_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad_1_all.deb"
    path.write_bytes(content)
    with pytest.raises(BuildError, match=r"bad_1_all.deb is damaged"):
        written(path)


def settings(suite: str, *sources: str) -> Settings:
    return cast("Settings", SimpleNamespace(suite=suite, apt_sources=sources))


def test_a_root_has_debians_own_sources_but_never_the_users(tmp_path: Path) -> None:
    stable = [deb(tmp_path, "base-files", entry("./etc/debian_version", b"13.8\n"))]
    files = rootfs.sources_files(settings("trixie"), stable)
    assert list(files) == ["etc/apt/sources.list"]
    suites = [line.split()[2:] for line in files["etc/apt/sources.list"].decode().splitlines()]
    assert suites == [["trixie", "main"], ["trixie-updates", "main"], ["trixie-security", "main"]]
    assert rootfs.sources_files(settings("trixie", "deb http://me:secret@m/d trixie main"), stable) == files


def test_testing_may_take_from_unstable_what_it_lacks(tmp_path: Path) -> None:
    testing = [deb(tmp_path, "apt"), deb(tmp_path, "base-files", entry("./etc/debian_version", b"forky/sid\n"))]
    files = rootfs.sources_files(settings("forky"), testing)
    assert files["etc/apt/sources.list.d/unstable.list"].split()[2:] == [b"sid", b"main"]
    assert files["etc/apt/preferences.d/unstable"] == b"Package: *\nPin: release n=sid\nPin-Priority: 100\n"
    assert list(rootfs.sources_files(settings("sid"), testing)) == ["etc/apt/sources.list"]
