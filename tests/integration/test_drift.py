"""Debian replaces packages: a pin may be gone from the archive when the images are built. And archives go stale."""

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import PREFIX, Project, images_of, make_project

from pyrlab.adapters.docker import engine
from pyrlab.model.locks.debs import DebsLock

ESSENTIAL = "pyrlab-test-essential"
WANTED = "pyrlab-test-wanted"


class Archive:
    """A Debian archive of two tiny packages, at one version each: one is essential, so that every root holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, version: str, *, valid_until: str = "") -> None:
        """Replace the archive's content by the packages at ``version``."""
        for old in self.folder.glob("*.deb"):
            old.unlink()
        stanzas = []
        for name in (ESSENTIAL, WANTED):
            tree = self.folder / name / "DEBIAN"
            tree.mkdir(parents=True, exist_ok=True)
            fields = {
                "Package": name,
                "Version": version,
                "Architecture": "all",
                "Maintainer": "pyrlab <nobody@example.org>",
                "Description": "A package for a test",
                **({"Essential": "yes"} if name == ESSENTIAL else {}),
            }
            (tree / "control").write_text(stanza(fields), encoding="utf-8")
            file = self.folder / f"{name}_{version}_all.deb"
            command = ["dpkg-deb", "--root-owner-group", "--build", str(tree.parent), str(file)]
            # The same bytes each time.
            timeless = {**os.environ, "SOURCE_DATE_EPOCH": "946684800"}
            subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=True, env=timeless)
            stanzas.append(stanza({**fields, **facts(file)}))
        (self.folder / "Packages").write_text("\n".join(stanzas), encoding="utf-8")
        index = facts(self.folder / "Packages")
        release = {
            "Codename": "trixie",  # mmdebstrap takes essential packages from its own suite only
            "Date": "Mon, 06 Jan 2020 00:00:00 UTC",
            **({"Valid-Until": valid_until} if valid_until else {}),
            "SHA256": f"\n {index['SHA256']} {index['Size']} Packages",
        }
        (self.folder / "Release").write_text(stanza(release), encoding="utf-8")


def stanza(fields: Mapping[str, str]) -> str:
    """Return a stanza of Debian's control format."""
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def facts(file: Path) -> dict[str, str]:
    """Return what an archive's index says of a file."""
    content = file.read_bytes()
    return {"Filename": file.name, "Size": str(len(content)), "SHA256": hashlib.sha256(content).hexdigest()}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on this machine's loopback and yield the URL."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@dataclasses.dataclass(frozen=True)
class Drift:
    """An archive, the project that was locked while it held 1.0, and the cache of its roots."""

    archive: Archive
    project: Project


@pytest.fixture(scope="module")
def locked_drift(built_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drift]:
    """Return a project whose root and base come from Debian's own archive and from one of our own, locked at 1.0."""
    folder = tmp_path_factory.mktemp("drift")
    (folder / "archive").mkdir()
    archive = Archive(folder / "archive")
    archive.publish("1.0")
    own = engine.client().containers.run(
        f"{PREFIX}pyrlab-base:latest", ["/etc/apt/sources.list"], entrypoint="cat", remove=True
    )
    project = make_project(folder / "project", XDG_CACHE_HOME=str(folder / "cache"))
    project.write("base_debs.txt", f"{WANTED}\n")
    project.write("requirements.lock", built_project.read("requirements.lock"))
    with served(archive.folder) as url:
        sources = [*own.decode().splitlines(), f"deb [trusted=yes] {url} ./"]
        quoted = ", ".join(f'"{source}"' for source in sources if source.startswith("deb"))
        project.write(
            "pyrlab.toml",
            f"[base]\napt_sources = [{quoted}]\n{images_of('drift-')}",
        )
        project.succeed("lock", "debs")
        yield Drift(archive, project)


@pytest.fixture
def archive(locked_drift: Drift) -> Archive:
    """Return the archive, back at 1.0."""
    locked_drift.archive.publish("1.0")
    return locked_drift.archive


@pytest.fixture
def drifting(locked_drift: Drift, tmp_path: Path) -> Project:
    """Return a copy of the project that a test may change."""
    return locked_drift.project.copy(tmp_path / "project")


def versions(project: Project) -> dict[str, str]:
    """Return the locked versions of the two packages, by section."""
    lock = DebsLock.parse(project.read("debs.lock"))
    return {f"{section}/{pin.name}": pin.version for section, pins in lock.sections.items() for pin in pins}


def moved(printed: str) -> list[list[str]]:
    """Return the rows of the change table that tell of newer versions: no other line begins so."""
    rows = (line.split() for line in printed.splitlines())
    return [row[1:] for row in rows if row[:1] == ["up"]]


def test_a_version_that_is_gone_is_locked_anew_and_said_or_refused(drifting: Project, archive: Archive) -> None:
    before = versions(drifting)
    assert (before[f"root/{ESSENTIAL}"], before[f"pyrlab-base/{WANTED}"]) == ("1.0", "1.0")
    requirements = drifting.read("requirements.lock")

    # Locking has fetched the root, so it needs nothing from the archive: just the other package is missed.
    archive.publish("1.1")
    refused = drifting.run("build", "pyrlab-base", "--locked")
    assert refused.status == 4, refused.output
    assert f"error: the archive no longer has {WANTED} 1.0\n" in refused.output
    assert versions(drifting) == before

    printed = drifting.succeed("build", "pyrlab-base")
    assert "WARNING: the archive has dropped pinned packages" in printed
    assert moved(printed) == [[WANTED, "(pyrlab-base)", "1.0", "1.1"]]
    assert versions(drifting) == {**before, f"pyrlab-base/{WANTED}": "1.1"}
    assert drifting.read("requirements.lock") == requirements
    assert installed() == b"1.1"


def test_what_the_archive_has_dropped_comes_from_a_snapshot_archive(
    drifting: Project, archive: Archive, tmp_path: Path
) -> None:
    """For somebody whose store lacks it: without a word, and the lock stays. It is found by its version."""
    before = drifting.read("debs.lock")
    kept = (archive.folder / f"{WANTED}_1.0_all.deb").read_bytes()
    archive.publish("1.1")
    sha1 = hashlib.sha1(kept).hexdigest()  # noqa: S324 - so Debian's service calls files
    found = json.dumps({"result": [{"architecture": "all", "hash": sha1}]}).encode()
    for path, content in {f"mr/binary/{WANTED}/1.0/binfiles": found, f"file/{sha1}": kept}.items():
        (tmp_path / "snapshot" / path).parent.mkdir(parents=True)
        (tmp_path / "snapshot" / path).write_bytes(content)
    # What this finds is no news to the other tests.
    shutil.copytree(drifting.environment["XDG_CACHE_HOME"], tmp_path / "cache", copy_function=os.link)
    with served(tmp_path / "snapshot") as url:
        drifting.write("pyrlab.toml", f'{drifting.read("pyrlab.toml")}[debian]\nsnapshot = "{url}"\n')
        printed = drifting.succeed("build", "pyrlab-base", "--locked", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert not [line for line in printed.splitlines() if "longer" in line or "snapshot" in line or "WARNING" in line]
    assert drifting.read("debs.lock") == before
    assert installed() == b"1.0"


def installed() -> bytes:
    """Return the version of the package that the list wants in the image that was built last."""
    show = ["--show", "--showformat=${Version}", WANTED]
    run = engine.client().containers.run
    return bytes(run(f"{PREFIX}drift-pyrlab-base:latest", show, entrypoint="dpkg-query", remove=True))


@pytest.mark.nightly
def test_the_root_is_repaired_too(drifting: Project, archive: Archive, tmp_path: Path) -> None:
    before = versions(drifting)
    archive.publish("1.1")
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "empty-cache")}
    refused = drifting.run("build", "pyrlab-base", "--locked", **elsewhere)
    assert refused.status == 4, refused.output
    assert f"error: the archive no longer has {ESSENTIAL} 1.0, {WANTED} 1.0\n" in refused.output
    assert versions(drifting) == before

    printed = drifting.succeed("build", "pyrlab-base", **elsewhere)
    assert moved(printed) == [[ESSENTIAL, "(root)", "1.0", "1.1"], [WANTED, "(pyrlab-base)", "1.0", "1.1"]]
    after = {**before, f"root/{ESSENTIAL}": "1.1", f"pyrlab-base/{WANTED}": "1.1"}
    assert versions(drifting) == after


@pytest.mark.nightly
def test_an_archive_past_its_date_works_by_setting_only(drifting: Project, archive: Archive, tmp_path: Path) -> None:
    archive.publish("1.0", valid_until="Wed, 01 Jan 2020 00:00:00 UTC")
    settings = drifting.read("pyrlab.toml")
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "empty-cache")}

    drifting.write("pyrlab.toml", settings.replace("[base]\n", '[base]\ncheck_valid_until = "yes"\n'))
    refused = drifting.run("lock", "debs", "--upgrade", **elsewhere)
    assert refused.status == 7, refused.output
    assert "error: the archive's Release file is past its Valid-Until date" in refused.output
    assert 'try: for a snapshot, or a mirror that stands still: check_valid_until = "no"' in refused.output

    drifting.write("pyrlab.toml", settings.replace("[base]\n", '[base]\ncheck_valid_until = "no"\n'))
    drifting.succeed("lock", "debs", "--upgrade", **elsewhere)
