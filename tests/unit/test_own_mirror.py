"""A mirror of one's own: signed by its own key, behind a password, and of no interest to the lock."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from debian_archives import Mirror, keyring, packages, stanza
from index_server import IndexServer, serve
from lock_samples import DEBS
from machine import Project

from pyrlab.adapters.debian import archive
from pyrlab.adapters.http import RefusedError
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.transport import with_user
from pyrlab.commands.build import build
from pyrlab.errors import BuildError, PyrlabError, StaleLockError, UsageError
from pyrlab.model import locks
from pyrlab.model.locks import debs
from pyrlab.model.settings import Settings
from pyrlab.steps.fetch import debian_web

Load = Callable[..., Settings]
PASSWORD = "hunter2/%:@"  # noqa: S105 - nobody's
URI = "http://here"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """Return a signed archive behind a password; its hello is at 2.10."""
    monkeypatch.setenv("NETRC", "/dev/null")
    with serve(tmp_path / "served", f"me:{PASSWORD}") as server:
        publish(server)
        yield server


def publish(server: IndexServer, *, signer: str = "company", valid: timedelta = timedelta(days=1)) -> None:
    """Put the archive on the server, signed by a key, valid for a time from now on."""
    made = Mirror()
    until = f"{datetime.now(UTC) + valid:%a, %d %b %Y %H:%M:%S} UTC"
    made.publish("trixie", packages(stanza("hello", "2.10")), signer=signer, uri=URI, Valid_Until=until)
    for url, content in made.files.items():
        file = server.folder / urlsplit(url).path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads the archive as a project does whose settings name it."""

    load: Load
    folder: Path

    def settings(self, server: IndexServer, *, user: str = "${WHO}:${KEY}@", key: str = "company") -> Settings:
        """Return the settings of such a project."""
        url = server.url.replace("//", f"//{user}")
        line = f"deb [signed-by={keyring(self.folder, key)}] {url} trixie main"
        environment = {"XDG_CACHE_HOME": str(self.folder / "cache"), "WHO": "me", "KEY": PASSWORD}
        toml = f"[base]\napt_sources = ['{line}']\ncheck_valid_until = 'yes'\n"
        return self.load(toml, **environment)

    def read(self, server: IndexServer, **given: str) -> str:
        """Return the version of hello that the archive has."""
        settings = self.settings(server, **given)
        index = archive.read_index(
            settings, archive.base_sources(settings), architecture="amd64", web=debian_web(settings)
        )
        return index.versions("hello")[0].version


@pytest.fixture
def reader(load_settings: Load, tmp_path: Path) -> Reader:
    return Reader(load_settings, tmp_path)


def test_user_and_password_come_from_the_environment(mirror: IndexServer, reader: Reader) -> None:
    """The password has what a URL cannot hold. The file with the settings has neither."""
    assert reader.read(mirror) == "2.10"
    assert all(had_user for _, had_user in mirror.asked)


def test_user_and_password_come_from_netrc(
    mirror: IndexServer, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For apt in the step that locks, too; a user in the URL comes first."""
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert reader.read(mirror, user="") == "2.10"
    (line,) = map(with_user, reader.settings(mirror, user="").apt_sources)
    assert line.split()[2:] == [mirror.with_user(f"me:{quote(PASSWORD, safe='')}"), "trixie", "main"]
    assert with_user("deb http://you@127.0.0.1/ trixie main") == "deb http://you@127.0.0.1/ trixie main"
    assert with_user("deb http://elsewhere.example/ ./") == "deb http://elsewhere.example/ ./"
    with pytest.raises(RefusedError):
        reader.read(mirror, user="me:wrong@")


def test_a_password_is_in_no_message(mirror: IndexServer, reader: Reader) -> None:
    settings = reader.settings(mirror, user="${WHO}:${KEY}@", key="company")
    assert "hunter2" not in repr(settings)
    with pytest.raises(PyrlabError) as caught:
        reader.read(mirror, user="${KEY}:${WHO}@")
    assert f"{mirror.url}/dists/trixie/InRelease refused this user" in str(caught.value)
    assert caught.value.remedy.endswith("as ${VARIABLE} into the URL: base.apt_sources in pyrlab.toml")
    assert "hunter2" not in f"{caught.value} {caught.value.remedy} {caught.value.detail}"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("deb http://m/${KEY} trixie", "'deb http://m/${KEY} trixie' needs components", id="words"),
        pytest.param("deb [x=${KEY}] http://m trixie main", "has an option that pyrlab does not know, x", id="option"),
        pytest.param("deb http://m/${NONE} trixie main", "base.apt_sources uses ${NONE}, which is not set", id="unset"),
    ],
)
def test_a_line_with_a_mistake_is_shown_as_it_is_written(load_settings: Load, line: str, shown: str) -> None:
    with pytest.raises(UsageError, match=re.escape(shown)) as caught:
        load_settings(f"[base]\napt_sources = ['{line}']", KEY="hunter2")
    assert "hunter2" not in str(caught.value)


# ---- Signatures, over a real server


def test_another_key_is_refused(mirror: IndexServer, reader: Reader) -> None:
    with pytest.raises(BuildError, match=r"has no valid signature of .*other\.asc$"):
        reader.read(mirror, key="other")


def test_an_archive_past_its_date_is_refused(mirror: IndexServer, reader: Reader) -> None:
    publish(mirror, valid=timedelta(days=-1))
    with pytest.raises(BuildError, match="past its Valid-Until date"):
        reader.read(mirror)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("dists/trixie/InRelease", "has no valid signature", id="release"),
        pytest.param("dists/trixie/main/binary-amd64/Packages.xz", "does not fit its Release file", id="packages"),
    ],
)
def test_what_was_tampered_with_is_refused(mirror: IndexServer, reader: Reader, path: str, message: str) -> None:
    file = mirror.folder / path
    content = file.read_bytes()
    file.write_bytes(content.replace(b"main", b"evil") if b"main" in content else content[:-1] + b"!")
    with pytest.raises(BuildError, match=message):
        reader.read(mirror)


# ---- The lock


def test_a_colleague_behind_another_mirror_uses_the_same_lock(own: Project) -> None:
    """The lock has names and hashes; who serves them is each one's own business. The root is the same, too."""
    own.lock()
    before = own.read("debs.lock")
    assert own.machine.folder.as_uri() not in before
    other = own.machine.folder / "elsewhere"
    own.machine.archive.rename(other)
    own.toml = own.toml.replace(own.machine.archive.as_uri(), other.as_uri())
    for path in (own.cache / "files").iterdir():
        path.unlink()
    said: list[str] = []
    build(own.settings, ["pyrlab-base"], locked=True, say=said.append, warn=lambda changed: pytest.fail(f"{changed}"))
    assert own.read("debs.lock") == before


def test_a_lock_of_before_is_good_where_it_was_made(own: Project) -> None:
    """Its input had the mirrors' URLs. With others it is locked anew, once."""
    own.lock()
    made = own.locks
    sources = own.settings.apt_sources
    lines = ["suite trixie", *(f"source {source}" for source in sources)]
    lists = read_lists(own.folder, own.settings.graph)
    lines += [f"{image} {request}" for image, requests in lists.debs.items() for request in requests]
    old = dataclasses.replace(made.debs, input=locks.digest(lines))
    debs.check(old, lists, suite="trixie", apt_sources=sources, architecture="amd64")
    with pytest.raises(StaleLockError):
        debs.check(old, lists, suite="trixie", apt_sources=(), architecture="amd64")
    with pytest.raises(StaleLockError):
        debs.check(DEBS, lists, suite="trixie", apt_sources=sources, architecture="amd64")
