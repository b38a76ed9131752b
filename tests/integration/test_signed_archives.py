"""An extra archive for R's images, and one of a company's own: signed, by keys that are known by their fingerprints."""

import contextlib
import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia
import pytest
from conftest import Project, fails, images_of
from cran_server import CranServer
from deb_archive import deb, publish_flat

from pyrlab.adapters.debian import archive, keys
from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.errors import PyrlabError
from pyrlab.model.locks.debs import DebsLock
from pyrlab.steps.fetch import debian_web

NAME, PLACE = "pyrlab-test-signed", "trixie-extra"
FILE = "usr/share/pyrlab-test-signed"
# The store of this machine has each package once it was fetched: no two runs have the same one.
CONTENT = f"signed {time.time_ns()}"
DEBS = {
    (NAME, "1.0"): deb(NAME, "1.0", {FILE: (CONTENT, 0o644)}),
    # All images have Debian's ed. This one is newer, and only R's images may have it.
    ("ed", "99"): deb("ed", "99", {"bin/ed": ("not Debian's", 0o755)}),
}
# Each of these characters means something in a URL, or to apt.
WORD = "hush:@/'hush"
PAST = "Mon, 13 Jan 2020 00:00:00 UTC"


@dataclasses.dataclass(frozen=True)
class Signed:
    """An archive on this machine's loopback with its key, which lies beside it together with another one."""

    folder: Path
    url: str
    key: pysequoia.Tsk
    other: pysequoia.Tsk

    def publish(self, *, key: pysequoia.Tsk | None = None, **fields: str) -> None:
        """Write the archive anew, signed by its own key or another one."""
        publish_flat(self.folder, PLACE, DEBS, key=key or self.key, **fields)

    def offer(self, *certs: pysequoia.Cert) -> None:
        """Put keys where the settings say that the key is."""
        (self.folder / "keys.asc").write_text(keys.armored(certs), encoding="ascii")

    def tamper(self, path: str, old: bytes, new: bytes) -> None:
        """Change some bytes of a file."""
        file = self.folder / PLACE / path
        content = file.read_bytes()
        assert old in content
        file.write_bytes(content.replace(old, new, 1))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key."""
        return self.key.extract_certificate().fingerprint.upper()

    @property
    def line(self) -> str:
        """The source line that names it."""
        return f"deb [signed-by={self.fingerprint}] {self.url} {PLACE}/"

    @property
    def toml(self) -> str:
        """The settings that name it as a source of R's images."""
        return (
            f"[base]\ncheck_valid_until = 'yes'\n[r]\napt_sources = {json.dumps([self.line])}\n"
            f"[debian.keys]\n{self.fingerprint.lower()} = '{self.url}/keys.asc'\n"
        )


@contextlib.contextmanager
def offered(folder: Path, credentials: tuple[str, str] | None = None) -> Iterator[Signed]:
    """Run an archive out of a folder, for everybody or for one user."""
    key, other = pysequoia.Tsk.generate("archive <a@example.org>"), pysequoia.Tsk.generate("other <o@example.org>")
    folder.mkdir()
    with CranServer(folder, credentials=credentials) as server:
        # Two files of one second would be the same file to who asks by that date.
        server.validators = False
        made = Signed(folder, server.url, key, other)
        made.offer(other.extract_certificate(), key.extract_certificate())
        made.publish()
        yield made


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    with offered(tmp_path / "www") as made:
        yield made


def extended(project: Project, signed: Signed) -> Project:
    """Let a project take a package from the archive, for R's images."""
    project.write("pyrlab.toml", images_of("signed-") + signed.toml)
    project.write("r_debs.txt", f"{NAME}\n")
    return project


def wrong_key(signed: Signed) -> None:
    signed.publish(key=signed.other)


def unknown_key(signed: Signed) -> None:
    signed.offer(signed.other.extract_certificate())


def expired_key(signed: Signed) -> None:
    # It was good when it signed.
    time.sleep(1)
    until = datetime.now(UTC) - timedelta(seconds=1)
    signed.offer(signed.key.extract_certificate().set_expiration(until, signed.key.certifier()))


def revoked_key(signed: Signed) -> None:
    cert = signed.key.extract_certificate()
    signed.offer(pysequoia.Cert.from_bytes(bytes(cert) + bytes(cert.revoke(signed.key.certifier()))))


def past_its_date(signed: Signed) -> None:
    signed.publish(Valid_Until=PAST)


def tampered_release(signed: Signed) -> None:
    signed.tamper("InRelease", b"Date: Mon, 06", b"Date: Tue, 07")


def tampered_index(signed: Signed) -> None:
    signed.tamper("Packages", b"Version: 1.0", b"Version: 1.1")


REFUSED = [
    pytest.param(wrong_key, 7, "no valid signature of", "do not trust it", id="wrong-key"),
    pytest.param(unknown_key, 2, "has no key", "ask whoever keeps the archive", id="unknown-fingerprint"),
    pytest.param(expired_key, 7, "has expired on ", "get the newer one", id="expired-key"),
    pytest.param(revoked_key, 7, "is revoked", "get the newer one", id="revoked-key"),
    pytest.param(past_its_date, 7, "past its Valid-Until date", "check_valid_until", id="past-its-date"),
    pytest.param(tampered_release, 7, "no valid signature of", "do not trust it", id="tampered-InRelease"),
    pytest.param(tampered_index, 7, "does not fit its Release file", "try again", id="tampered-Packages"),
]


@pytest.mark.parametrize(("spoil", "status", "says", "remedy"), REFUSED)
def test_what_is_not_the_archives_own_word_is_refused(
    project: Project, signed: Signed, spoil: Callable[[Signed], None], status: int, says: str, remedy: str
) -> None:
    """By apt where it locks, and by this machine's own reader. Nothing is written."""
    extended(project, signed)
    spoil(signed)
    before = project.state()
    fails(project, "lock", "debs", status=status, says=says, remedy=remedy)
    assert project.state() == before
    settings = read_settings(project.path, project.environment)
    with pytest.raises(PyrlabError) as caught:
        archive.read_index(settings, archive.r_sources(settings), architecture="amd64", web=debian_web(settings))
    assert caught.value.exit_code == status
    assert says in str(caught.value)
    assert remedy in caught.value.remedy


def said(image: str, *command: str) -> str:
    """Return what a command prints in an image."""
    words = engine.client().containers.run(image, list(command), entrypoint="", remove=True, network_mode="none")
    return bytes(words).decode().strip()


def test_rs_images_alone_have_what_an_archive_for_them_has(
    built_project: Project, signed: Signed, tmp_path: Path
) -> None:
    """It does not know the archive or its key. Another image installs what its own sections of the lock name."""
    project = extended(built_project.copy(tmp_path / "project"), signed)
    project.succeed("lock", "debs", "--upgrade-package", "ed")
    lock = DebsLock.parse(project.read("debs.lock"))
    where = {name: section for section, pins in lock.sections.items() for pin in pins for name in [pin.name]}
    assert (where[NAME], where["ed"]) == ("rlab-base", "pyrlab-base")
    assert lock.version_of("ed") != "99"
    assert lock.snapshot > "2021"
    for word in (signed.url, signed.fingerprint, signed.fingerprint.lower()):
        assert word not in project.read("debs.lock")
    signed.tamper(f"{NAME}_1.0_all.deb", b"2.0\n", b"2.1\n")
    fails(project, "build", "--locked", "rlab-base", status=8, says=NAME, remedy="")
    signed.publish()
    project.succeed("build", "rlab-base")
    prefix = images_of("signed-").split('"')[1]
    assert said(f"{prefix}rlab-base:latest", "cat", f"/{FILE}") == CONTENT
    looked = said(f"{prefix}rlab-base:latest", "sh", "-c", "grep -rlE 'trixie-extra|keys.asc' /etc /run || echo none")
    assert looked == "none"


def test_a_companys_own_archive_has_its_key_and_wants_a_user(
    built_project: Project, project: Project, tmp_path: Path
) -> None:
    """From the environment or netrc; apt in lock's steps and this machine's fetching send it, and nothing keeps it."""
    del built_project
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login reader password {WORD}\n", encoding="utf-8")
    netrc.chmod(0o600)
    by_name = {"MIRROR_USER": "reader", "MIRROR_PASSWORD": WORD}
    project.write("base_debs.txt", f"ed\n{NAME}\n")
    with offered(tmp_path / "www", credentials=("reader", WORD)) as company:
        shutil.copy(tmp_path / "www/keys.asc", project.path / "company.asc")
        project.write("pyrlab.toml", of_a_company(project, company, user=""))
        fails(project, "lock", "debs", status=6, says="refused this user", remedy="~/.netrc")
        printed = project.succeed("--debug", "lock", "debs", NETRC=str(netrc))
        project.write("pyrlab.toml", of_a_company(project, company, user="${MIRROR_USER}:${MIRROR_PASSWORD}@"))
        printed += project.succeed("--debug", "lock", "debs", "--upgrade-package", NAME, **by_name)
        printed += project.succeed("--debug", "build", "pyrlab-base", **by_name)
        lock = project.read("debs.lock")
        assert [word for word in (company.url.removeprefix("http://"), company.fingerprint) if word in lock] == []
    assert NAME in {pin.name for pin in DebsLock.parse(lock).sections["pyrlab-base"]}
    image = images_of("company-").split('"')[1] + "pyrlab-base:latest"
    assert said(image, "cat", f"/{FILE}") == CONTENT
    attributes = engine.client().images.get(image)
    assert "hush" not in f"{printed} {attributes.history()} {attributes.attrs}"
    # In the URL, or as the netrc has it.
    kept = [path for path in project.path.rglob("*") if path.is_file() and re.search(rb"hush[%:]", path.read_bytes())]
    assert kept == []


def of_a_company(project: Project, company: Signed, *, user: str) -> str:
    """Return settings that name the archive after Debian's own, as a user who is written so."""
    suite = DebsLock.parse(project.read("debs.lock")).suite
    address = company.url.removeprefix("http://")
    own = f"deb [signed-by={company.fingerprint}] http://{user}{address} {PLACE}/"
    sources = json.dumps([*map(str, archive.default_sources(suite)), own])
    key = f"[debian.keys]\n{company.fingerprint} = 'company.asc'\n"
    return f"{images_of('company-')}[base]\napt_sources = {sources}\n{key}"
