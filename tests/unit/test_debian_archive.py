"""Archives that are read without apt, among them hostile and half updated ones."""

import dataclasses
import lzma
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pysequoia
import pytest
from debian_archives import URI, Mirror, keyring, packages, sign, stanza

from pyrlab.adapters.debian import archive
from pyrlab.errors import BuildError, NetworkError, PyrlabError, UsageError
from pyrlab.model.debian_sources import Key, Source
from pyrlab.model.settings import Settings

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PAST, FUTURE = "Mon, 02 Nov 2026 08:00:00 UTC", "Mon, 30 Nov 2026 08:00:00 UTC"
TEXT = packages(stanza("apt", "3.0"), stanza("dpkg", "1.22"))
FOLDER = f"{URI}/dists/trixie"
INRELEASE = f"{FOLDER}/InRelease"
PACKAGES = f"{FOLDER}/main/binary-amd64/Packages"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Return the source of an archive that signs with a key of the tests' own."""
    return Source(URI, "trixie", ("main",), signed_by=(Key(str(keyring(tmp_path, "archive"))),))


def read(source: Source, mirror: Mirror, *, check_valid_until: bool = True) -> archive.Archive:
    return archive.read([source], "amd64", mirror.get, check_valid_until=check_valid_until, now=NOW)


def names(found: archive.Archive) -> set[str]:
    return {name for name in ("apt", "dpkg", "curl") if found.index.versions(name)}


@pytest.mark.parametrize(
    ("forms", "by_hash"),
    [
        pytest.param((".xz", ".gz", ""), False, id="xz"),
        pytest.param((".gz",), False, id="gz"),
        pytest.param(("",), False, id="plain"),
        pytest.param((".xz",), True, id="by-hash"),
    ],
)
def test_an_archive_is_read_in_each_form(source: Source, forms: tuple[str, ...], by_hash: bool) -> None:  # noqa: FBT001
    mirror = Mirror()
    mirror.publish("trixie", TEXT, forms=forms, by_hash=by_hash)
    found = read(source, mirror)
    assert names(found) == {"apt", "dpkg"}
    assert [url for url in mirror.asked if "binary" in url and ("by-hash" in url) != by_hash] == []


def test_a_mirror_without_its_by_hash_files_is_read_by_name(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    mirror.publish("trixie", TEXT, by_hash=True)
    mirror.files = {url: content for url, content in mirror.files.items() if "by-hash" not in url}
    assert names(read(source, mirror)) == {"apt", "dpkg"}


def test_a_signature_of_its_own_file_counts(source: Source) -> None:
    mirror = Mirror()
    release = mirror.publish("trixie", TEXT)
    del mirror.files[INRELEASE]
    mirror.files[f"{FOLDER}/Release"] = release.encode()
    with pytest.raises(BuildError, match="is not signed"):
        read(source, mirror)
    mirror.files[f"{FOLDER}/Release.gpg"] = sign(release, "archive", detached=True)
    assert names(read(source, mirror)) == {"apt", "dpkg"}
    mirror.files[f"{FOLDER}/Release"] = release.replace("amd64", "arm64", 1).encode()
    with pytest.raises(BuildError, match="has no valid signature"):
        read(source, mirror)


def one_letter(content: bytes) -> bytes:
    return content.replace(b"Components: main", b"Components: mail")


def another_key(_: bytes) -> bytes:
    return sign("Codename: trixie\n", "stranger")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(one_letter, id="one-letter"),
        pytest.param(another_key, id="another-key"),
        pytest.param(lambda content: content[: len(content) // 2], id="truncated"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"Codename: trixie\n", id="not-signed"),
    ],
)
def test_a_release_file_without_a_valid_signature_is_refused(source: Source, change: Callable[[bytes], bytes]) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    changed = change(mirror.files[INRELEASE])
    assert changed != mirror.files[INRELEASE]
    mirror.files[INRELEASE] = changed
    with pytest.raises(BuildError, match=r"no valid signature of .*archive.asc") as caught:
        read(source, mirror)
    assert "backtrace" not in caught.value.detail
    assert not any("Packages" in url for url in mirror.asked)


def test_only_what_is_signed_is_read(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    evil = b"Codename: evil\nArchitectures: amd64\nComponents: main\nSHA256:\n 0 0 main/binary-amd64/Packages\n\n"
    mirror.files[INRELEASE] = evil + mirror.files[INRELEASE] + b"\n" + evil
    assert names(read(source, mirror)) == {"apt", "dpkg"}


def test_debians_own_keys_do_not_trust_a_stranger() -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    with pytest.raises(BuildError, match="no valid signature of Debian's own keys"):
        read(Source(URI, "trixie", ("main",)), mirror)


def test_a_trusted_source_needs_no_signature() -> None:
    trusted = Source(URI, "trixie", ("main",), trusted=True)
    mirror = Mirror()
    release = mirror.publish("trixie", TEXT, signer="stranger")
    assert names(read(trusted, mirror)) == {"apt", "dpkg"}
    del mirror.files[INRELEASE]
    mirror.files[f"{FOLDER}/Release"] = release.encode()
    assert names(read(trusted, mirror)) == {"apt", "dpkg"}
    mirror.files[f"{PACKAGES}.xz"] = lzma.compress(packages(stanza("curl")).encode())
    with pytest.raises(BuildError, match="does not fit its Release file"):
        read(trusted, mirror)


def test_a_trusted_folder_needs_no_release_file() -> None:
    mirror = Mirror({f"{URI}/Packages": stanza("curl").encode()})
    assert names(read(Source.parse(f"deb [trusted=yes] {URI} ./"), mirror)) == {"curl"}
    with pytest.raises(NetworkError, match="nor a Release file"):
        read(Source.parse(f"deb {URI} ./"), mirror)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(lzma.compress(packages(stanza("evil")).encode()), "does not fit its Release file", id="other"),
        pytest.param(b"short", "does not fit its Release file: 5 bytes, not ", id="truncated"),
        pytest.param(b"<!DOCTYPE html><title>Log in</title>", "is a web page", id="web-page"),
        pytest.param(None, "is not there, though its Release file lists it", id="missing"),
    ],
)
def test_an_index_that_does_not_fit_is_an_error(source: Source, content: bytes | None, reason: str) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    del mirror.files[f"{PACKAGES}.xz"]
    if content is not None:
        mirror.files[f"{PACKAGES}.xz"] = content
    with pytest.raises(PyrlabError, match=f"Packages.xz {reason}") as caught:
        read(dataclasses.replace(source, optional=True), mirror)
    assert "base.apt_sources" in caught.value.remedy


def test_equal_length_is_not_enough(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT, forms=("",))
    mirror.files[PACKAGES] = mirror.files[PACKAGES].replace(b"apt_3.0", b"apt_9.9")
    with pytest.raises(BuildError, match="it has another SHA-256"):
        read(source, mirror)


def test_another_form_that_fits_is_used(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT, forms=(".xz", ".gz"))
    mirror.files[f"{PACKAGES}.xz"] = b"of yesterday"
    assert names(read(source, mirror)) == {"apt", "dpkg"}
    del mirror.files[f"{PACKAGES}.gz"]
    with pytest.raises(BuildError, match=r"Packages.xz does not fit its Release file"):
        read(source, mirror)


def test_a_source_for_other_architectures_is_not_asked(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    assert names(read(dataclasses.replace(source, architectures=("arm64",)), mirror)) == set()
    assert mirror.asked == []
    assert names(read(dataclasses.replace(source, architectures=("arm64", "amd64")), mirror)) == {"apt", "dpkg"}


def test_an_expired_release_file_is_refused_unless_told_otherwise(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT, Valid_Until=PAST)
    with pytest.raises(BuildError, match="past its Valid-Until date") as caught:
        read(source, mirror)
    assert "check_valid_until" in caught.value.remedy
    assert "valid until 2026-11-02 08:00 UTC" in caught.value.detail
    assert names(read(source, mirror, check_valid_until=False)) == {"apt", "dpkg"}
    assert names(read(dataclasses.replace(source, check_valid_until=False), mirror)) == {"apt", "dpkg"}
    mirror.publish("trixie", TEXT, Valid_Until=FUTURE)
    assert names(read(source, mirror)) == {"apt", "dpkg"}


def test_another_suite_in_the_place_of_one_is_refused(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT, Codename="buster", Suite="oldstable")
    with pytest.raises(BuildError, match="is not of 'trixie': it calls itself buster or oldstable"):
        read(source, mirror)
    mirror.publish("trixie", TEXT, Codename="duke", Suite="trixie")
    assert names(read(source, mirror)) == {"apt", "dpkg"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"components": ("contrib",)}, "contrib/binary-amd64/Packages", id="component"),
        pytest.param({"components": ("main", "contrib")}, "contrib/binary-amd64/Packages", id="one-of-two"),
    ],
)
def test_a_component_that_is_not_there_is_an_error(source: Source, change: dict[str, object], path: str) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    with pytest.raises(BuildError, match=f"lists no {path}"):
        read(dataclasses.replace(source, **change), mirror)  # type: ignore[arg-type] # of the right types


def test_packages_for_all_architectures_may_have_an_index_of_their_own(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", packages(stanza("curl")), architecture="all")
    every = mirror.files[INRELEASE].decode().split("SHA256:\n")[1].split("\n-----")[0]
    release = mirror.publish("trixie", TEXT)
    for apart, expected in (
        ("", {"apt", "dpkg", "curl"}),
        ("No-Support-for-Architecture-all: Packages\n", {"apt", "dpkg"}),
    ):
        text = apart + release.replace("Architectures: amd64", "Architectures: all amd64") + every + "\n"
        mirror.files[INRELEASE] = sign(text, "archive")
        assert names(read(source, mirror)) == expected


def test_backports_only_give_what_the_release_lacks(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    backports = dataclasses.replace(source, suite="trixie-backports")
    mirror.publish(
        "trixie-backports", packages(stanza("apt", "9"), stanza("curl")), NotAutomatic="yes", ButAutomaticUpgrades="yes"
    )
    experimental = dataclasses.replace(source, suite="experimental")
    mirror.publish("experimental", packages(stanza("apt", "99"), stanza("curl", "99")), NotAutomatic="yes")
    found = archive.read([experimental, backports, source], "amd64", mirror.get, now=NOW)
    assert found.index.versions("curl")[0].version == "1"
    assert found.index.versions("apt")[0].version == "3.0"
    assert names(found) == {"apt", "dpkg", "curl"}


def test_a_suite_that_is_not_there_is_left_out_only_where_it_is_optional(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    security = dataclasses.replace(source, suite="trixie-security")
    with pytest.raises(NetworkError, match=r"there is no .*/trixie-security/InRelease"):
        archive.read([source, security], "amd64", mirror.get, now=NOW)
    optional = dataclasses.replace(security, optional=True)
    assert archive.read([source, optional], "amd64", mirror.get, now=NOW).missing == (optional,)


def test_security_updates_that_cannot_be_trusted_are_never_left_out(source: Source) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    mirror.publish("trixie-security", TEXT, signer="stranger")
    optional = dataclasses.replace(source, suite="trixie-security", optional=True)
    with pytest.raises(BuildError, match="no valid signature"):
        archive.read([source, optional], "amd64", mirror.get, now=NOW)


def test_no_message_shows_a_password(source: Source) -> None:
    private = dataclasses.replace(source, uri="http://me:secret@mirror.example/debian")
    mirror = Mirror()
    messages = []

    def fails() -> None:
        with pytest.raises(PyrlabError) as caught:
            read(private, mirror)
        messages.append(f"{caught.value} {caught.value.remedy} {caught.value.detail}")

    fails()
    mirror.publish("trixie", TEXT, uri=private.uri, signer="stranger")
    fails()
    mirror.publish("trixie", TEXT, uri=private.uri, Valid_Until=PAST)
    fails()
    mirror.publish("trixie", TEXT, uri=private.uri, Codename="buster")
    fails()
    mirror.publish("trixie", TEXT, uri=private.uri)
    mirror.files[f"{private.folder}/main/binary-amd64/Packages.xz"] = b"<html>"
    fails()
    mirror.files[f"{private.folder}/main/binary-amd64/Packages.xz"] = b"other"
    fails()
    assert len(messages) == 6
    assert not any("secret" in message for message in messages)
    assert all("mirror.example" in message for message in messages)


def test_a_keyring_that_cannot_be_read_is_named(source: Source, tmp_path: Path) -> None:
    mirror = Mirror()
    mirror.publish("trixie", TEXT)
    with pytest.raises(UsageError, match=r"nowhere.gpg cannot be read: No such file"):
        read(dataclasses.replace(source, signed_by=(Key(str(tmp_path / "nowhere.gpg")),)), mirror)
    (tmp_path / "text.gpg").write_text("not a key", encoding="utf-8")
    with pytest.raises(UsageError, match=r"text.gpg is no keyring"):
        read(dataclasses.replace(source, signed_by=(Key(str(tmp_path / "text.gpg")),)), mirror)


def test_the_keys_of_debian_are_public_and_name_its_own_mirrors() -> None:
    file = Path(archive.__file__).parents[2] / "data" / "debian-archive-keys.asc"
    certs = pysequoia.Cert.split_bytes(file.read_bytes())
    owners = " ".join(str(user_id) for cert in certs for user_id in cert.user_ids)
    assert file.read_text(encoding="ascii").startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert len(certs) >= 9
    assert all(release in owners for release in ("11/bullseye", "12/bookworm", "13/trixie"))
    release, updates, security = archive.default_sources("trixie")
    assert (release.suite, updates.suite, security.suite) == ("trixie", "trixie-updates", "trixie-security")
    assert urlsplit(release.uri).path == "/debian"
    assert urlsplit(security.uri).path == "/debian-security"
    host = urlsplit(release.uri).hostname
    assert host is not None
    assert f"ftpmaster@{host.removeprefix('deb.')}" in owners
    assert [source.optional for source in (release, updates, security)] == [False, True, True]


def test_unstable_has_no_updates() -> None:
    assert [source.suite for source in archive.default_sources("sid")] == ["sid"]


def test_pool_paths_are_looked_for_at_each_source_once(load_settings: Callable[..., Settings]) -> None:
    lines = ["deb http://m/d trixie main", "deb http://m/d trixie-updates main", "deb http://m/s trixie-security main"]
    of_r = "[r]\napt_sources = ['deb http://m/d trixie main', 'deb http://m/r sid/']"
    assert archive.bases(load_settings(f"[base]\napt_sources = {lines}")) == ("http://m/d", "http://m/s")
    assert archive.bases(load_settings(f"[base]\napt_sources = {lines}\n{of_r}")) == (
        "http://m/d",
        "http://m/s",
        "http://m/r",
    )
    *debians_own, last = archive.bases(load_settings(of_r))
    assert (len(debians_own), last) == (3, "http://m/r")
    with pytest.raises(UsageError, match="has no line that begins with deb"):
        archive.base_sources(load_settings("[base]\napt_sources = ['# nothing']"))
