"""A mirror that moved on: the locked bytes come from a snapshot archive, and where nobody has them, it is said well."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from debian_archives import packages, stanza
from hypothesis import given
from hypothesis import strategies as st
from machine import Project
from snapshot_server import Server, Snapshots, folder, serve

from pyrlab.adapters.debian import archive
from pyrlab.commands.build import build
from pyrlab.errors import GoneError, HashMismatchError, PyrlabError, StaleLockError, UsageError
from pyrlab.model import debian_snapshot
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import PinnedFile, Section, deb_section
from pyrlab.model.settings import Settings
from pyrlab.steps.fetch import fetch
from pyrlab.steps.root import ensure_root

LOCKED = "20261108T101500Z"
LATER = "20261108T150000Z"  # the first snapshot after that
Load = Callable[..., Settings]


def pin(name: str, version: str, data: bytes, architecture: str = "amd64") -> DebPin:
    """Return the pin of a deb with these bytes."""
    path = f"pool/main/{name}/{name}_{version.rpartition(':')[2]}_{architecture}.deb"
    return DebPin(name, version, architecture, hashlib.sha256(data).hexdigest(), len(data), path)


HELLO, CURL = pin("hello", "2.10-5", b"hello, as it was"), pin("libstdc++6", "1:8.14~rc1-2", b"curl, as it was", "all")
DATA = {HELLO: b"hello, as it was", CURL: b"curl, as it was"}


@dataclass
class Scene:
    """A mirror that has newer versions only, a snapshot archive, and a project that uses both."""

    load: Load
    mirror: Server
    service: Server
    snapshots: Snapshots
    cache: Path
    said: list[str]

    def settings(self, snapshot: str | None = None) -> Settings:
        """Return the project's settings, with its snapshot archive, or the one at another URL."""
        url = self.service.url if snapshot is None else snapshot
        toml = f"""
        [base]
        apt_sources = ["deb [trusted=yes] {self.mirror.url}/debian trixie main"]
        [debian]
        snapshot = "{url}"
        """
        return self.load(toml, XDG_CACHE_HOME=str(self.cache))

    def fetch(self, *pins: DebPin, time: str = LOCKED, snapshot: str | None = None) -> list[bytes]:
        """Fetch these debs as a build does, and return what the store has of them."""
        section = deb_section("rlab.debs", pins)
        settings = self.settings(snapshot)
        store = fetch(settings, [section], r="", architecture="amd64", say=self.said.append, snapshot=time)
        return [path.read_bytes() for pin in pins if (path := store.get(pin.sha256))]


@pytest.fixture
def scene(load_settings: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Return a scene in which nothing is to be had yet."""
    monkeypatch.setenv("NETRC", "/dev/null")
    listed = tmp_path / "mirror/debian/dists/trixie/main/binary-amd64/Packages"
    listed.parent.mkdir(parents=True)
    listed.write_text(packages(stanza("hello", "2.10-6"), stanza("hello", "2.10-4")), encoding="utf-8")
    sha256, size = hashlib.sha256(listed.read_bytes()).hexdigest(), listed.stat().st_size
    release = f"Codename: trixie\nSHA256:\n {sha256} {size} main/binary-amd64/Packages\n"
    (tmp_path / "mirror/debian/dists/trixie/Release").write_text(release, encoding="utf-8")
    snapshots = Snapshots()
    with ExitStack() as stack:
        mirror = stack.enter_context(serve(folder(tmp_path / "mirror")))
        service = stack.enter_context(serve(snapshots))
        yield Scene(load_settings, mirror, service, snapshots, tmp_path / "cache", [])


def test_what_the_mirror_dropped_comes_from_the_snapshot_of_the_lock_without_a_word(scene: Scene) -> None:
    """The mirror is asked first. Debian's own service gives the snapshot before the time that it is asked for."""
    scene.snapshots.take("20261108T090000Z", {})
    scene.snapshots.take(LATER, {HELLO.path: DATA[HELLO]})
    scene.snapshots.take("20261201T000000Z", {})
    assert scene.fetch(HELLO) == [DATA[HELLO]]
    assert scene.said == ["downloading 1 package (0 MB) of Debian"]
    assert scene.mirror.asked == [f"/debian/{HELLO.path}"]
    assert [path.rpartition("/pool")[0] for path in scene.service.asked] == ["/archive/debian/20261108T161500Z"]


def test_so_does_the_root_that_a_lock_run_stands_on(scene: Scene) -> None:
    """By the time in its lock, which the pins of a section do not know."""
    scene.snapshots.take(LATER, {HELLO.path: DATA[HELLO]})
    lock = DebsLock(input="", suite="trixie", architecture="amd64", sections={"root": (HELLO,)}, snapshot=LOCKED)
    ensure_root(scene.settings(), lock, say=scene.said.append)
    assert (scene.settings().cache / "files" / HELLO.sha256).read_bytes() == DATA[HELLO]


def test_security_updates_are_in_an_archive_of_their_own(scene: Scene) -> None:
    scene.snapshots.take(LATER, {})
    scene.snapshots.take(LATER, {HELLO.path: DATA[HELLO]}, archive="debian-security")
    assert scene.fetch(HELLO) == [DATA[HELLO]]


@pytest.mark.parametrize("time", [pytest.param("", id="no-time"), pytest.param(LOCKED, id="dropped-before-the-lock")])
def test_what_was_not_there_at_that_time_is_found_by_its_version(scene: Scene, time: str) -> None:
    """A lock of before has no time; and one may keep pins that the archive had dropped by then."""
    scene.snapshots.take(LATER, {})
    scene.snapshots.keep("hello", "2.10-5", arm64=b"other", amd64=DATA[HELLO])
    scene.snapshots.keep("libstdc++6", "1:8.14~rc1-2", all=DATA[CURL])
    assert scene.fetch(HELLO, CURL, time=time) == [DATA[HELLO], DATA[CURL]]
    assert len([path for path in scene.service.asked if path.startswith("/file/")]) == 2, "none for another machine"


def test_what_the_mirror_still_has_asks_no_snapshot(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "mirror/debian" / HELLO.path
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA[HELLO])
    assert scene.fetch(HELLO) == [DATA[HELLO]]
    assert scene.service.asked == []


def test_what_the_store_has_asks_nobody(scene: Scene) -> None:
    """Though mirror and snapshot archive have lost it."""
    scene.snapshots.take(LATER, {HELLO.path: DATA[HELLO]})
    scene.fetch(HELLO)
    scene.snapshots.runs.clear()
    scene.mirror.asked.clear()
    scene.service.asked.clear()
    assert scene.fetch(HELLO) == [DATA[HELLO]]
    assert scene.mirror.asked == scene.service.asked == []


def gone(scene: Scene, *pins: DebPin, snapshot: str | None = None) -> tuple[str, str]:
    """Return the message and the remedy for debs that nobody has."""
    with pytest.raises(GoneError) as caught:
        scene.fetch(*pins, snapshot=snapshot)
    return str(caught.value), caught.value.remedy


def test_what_is_nowhere_is_named_with_what_locking_would_change(scene: Scene) -> None:
    assert gone(scene, HELLO, CURL) == (
        (
            "the archive no longer has hello 2.10-5, libstdc++6 1:8.14~rc1-2; "
            f"nor has the snapshot archive {scene.service.url}"
        ),
        "nox -s lock -- debs, which moves hello to 2.10-6, has to do without libstdc++6",
    )


def test_without_a_snapshot_archive_one_is_proposed(scene: Scene) -> None:
    assert gone(scene, HELLO, snapshot="") == (
        "the archive no longer has hello 2.10-5",
        "nox -s lock -- debs, which moves hello to 2.10-6; or name a snapshot archive: debian.snapshot in pyrlab.toml",
    )


def test_where_the_archives_index_is_lost_too_the_packages_are_named_all_the_same(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "mirror/debian/dists/trixie/Release").unlink()
    assert gone(scene, HELLO)[1] == "nox -s lock -- debs, which moves just these"


def test_a_snapshot_archive_that_does_not_answer_leaves_the_way_out(scene: Scene) -> None:
    """It is asked for the first package alone, as often as any other server, and the message says so."""
    scene.service.answer = lambda _: (503, b"")
    message, remedy = gone(scene, HELLO, CURL)
    path = f"/archive/debian/20261108T161500Z/{HELLO.path}"
    assert scene.service.asked == [path] * 4
    assert message == (
        "the archive no longer has hello 2.10-5, libstdc++6 1:8.14~rc1-2; snapshot archive: "
        f"{scene.service.url}{path} answered 503 Service Unavailable, 4 times"
    )
    assert remedy == "nox -s lock -- debs, which moves hello to 2.10-6, has to do without libstdc++6"


@pytest.mark.parametrize("way", ["time", "version"])
def test_other_bytes_of_a_snapshot_archive_are_refused(scene: Scene, way: str) -> None:
    """Whoever gives them; and nothing of them stays."""
    if way == "time":
        scene.snapshots.take(LATER, {HELLO.path: b"another deb, of some length"})
    else:
        scene.snapshots.keep("hello", "2.10-5", amd64=b"another deb, of some length")
    with pytest.raises(HashMismatchError, match=r"^hello 2\.10-5 has other bytes than the lock says$"):
        scene.fetch(HELLO)
    assert HELLO.sha256 not in {path.name for path in (scene.cache / "pyrlab/files").iterdir()}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"<html>sign in</html>", id="web-page"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"result": [{"architecture": "amd64"}]}', id="no-hash"),
        pytest.param(b'{"result": [{"architecture": "amd64", "hash": "../../x"}]}', id="no-sha1"),
        pytest.param(b'{"result": [{"architecture": "amd64", "hash": 7}]}', id="number"),
        pytest.param(b'{"result": null}', id="null"),
    ],
)
def test_an_answer_that_says_nothing_names_no_file(answer: bytes) -> None:
    assert debian_snapshot.files_in("http://s", answer, "amd64") == ()


# ---- R packages


def test_r_packages_come_from_the_archive_of_their_repository(
    load_settings: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version has taken the place of the one that is locked."""
    monkeypatch.setenv("NETRC", "/dev/null")
    data = b"source of cli"
    sha256 = hashlib.sha256(data).hexdigest()
    file = tmp_path / "cran/src/contrib/Archive/cli/cli_3.6.5.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    locked = RFile("source", "src/contrib/cli_3.6.5.tar.gz", sha256)
    package = RPin("cli", "3.6.5", "mine", requested=True, files=(locked,))
    section = Section("rlab.r", files=(PinnedFile(sha256, sha256, 0, package, locked),))
    said: list[str] = []
    with serve(folder(tmp_path / "cran")) as cran:
        settings = load_settings(f'[r]\nrepositories = ["mine={cran.url}"]', XDG_CACHE_HOME=str(tmp_path / "cache"))
        store = fetch(settings, [section], r="4.5.0", architecture="amd64", say=said.append)
    assert (found := store.get(sha256))
    assert found.read_bytes() == data
    assert said == ["downloading 1 R package"]
    assert cran.asked == ["/src/contrib/cli_3.6.5.tar.gz", "/src/contrib/Archive/cli/cli_3.6.5.tar.gz"]


# ---- The time in the lock


DATE = "Sun, 08 Nov 2026 10:15:00 UTC"


@pytest.mark.parametrize(
    ("dates", "stamp"),
    [
        pytest.param(["Sat, 07 Nov 2026 20:00:00 UTC", DATE, "Sun, 08 Nov 2026 08:00:00 UTC"], LOCKED, id="newest"),
        pytest.param(["Sun, 08 Nov 2026 12:15:00 +0200"], LOCKED, id="zone"),
        pytest.param(["yesterday", DATE], LOCKED, id="one-unreadable"),
        pytest.param(["Fri, 31 Dec 9999 23:00:00 -0500", DATE], LOCKED, id="beyond-time"),
        pytest.param(["yesterday"], "", id="unreadable"),
        pytest.param([], "", id="none"),
    ],
)
def test_the_time_is_that_of_the_newest_release_file(dates: Sequence[str], stamp: str) -> None:
    """So the same archive gives the same lock, whatever this machine's clock says."""
    assert debian_snapshot.stamp(dates) == stamp


@given(st.text(max_size=16))
def test_a_time_that_is_none_leads_nowhere(text: str) -> None:
    place = debian_snapshot.place("http://s", "debian", text, "x")
    assert not place or debian_snapshot.STAMP.fullmatch(place.split("/")[5])
    assert not any(debian_snapshot.place("http://s", "debian", time, "x") for time in ("", "99991231T235959Z"))


def test_a_lock_with_a_time_has_a_format_of_its_own() -> None:
    """An earlier pyrlab says that a newer one made it; one without a time is as before."""
    lock = DebsLock("sha256:0", "trixie", "amd64", {"root": (HELLO,)}, LOCKED)
    text = lock.render()
    assert "# format: 3\n" in text
    assert f"# snapshot: {LOCKED}\n" in text
    assert DebsLock.parse(text) == lock
    older = replace(lock, snapshot="")
    assert "# format: 2\n" in older.render()
    assert DebsLock.parse(older.render()) == older


@pytest.mark.parametrize("time", ["2026", "20261108T101500Z/..", "../../x"])
def test_a_lock_with_another_time_is_refused(time: str) -> None:
    text = DebsLock("sha256:0", "trixie", "amd64", {"root": (HELLO,)}, LOCKED).render().replace(LOCKED, time)
    with pytest.raises(StaleLockError):
        DebsLock.parse(text)


def test_a_clone_that_is_built_weeks_later_has_the_locked_bytes_and_the_lock_stays(own: Project) -> None:
    """Its store is empty, and the archive has newer versions."""
    machine = own.machine
    machine.date = DATE
    own.lock()
    assert own.locks.debs.snapshot == LOCKED
    before = own.read("debs.lock")
    place = machine.folder / "snapshot/archive/debian/20261108T161500Z"
    place.parent.mkdir(parents=True)
    (machine.folder / "old").mkdir()
    (machine.archive / "pool").rename(machine.folder / "old/pool")
    place.symlink_to(machine.folder / "old", target_is_directory=True)
    machine.date = "Tue, 01 Dec 2026 00:00:00 UTC"
    for name in ("r-base-core", "libc6"):
        machine.add_deb(name, "99")
    for path in (own.cache / "files").iterdir():
        path.unlink()
    own.toml += f'\n[debian]\nsnapshot = "{(machine.folder / "snapshot").as_uri()}"\n'
    said: list[str] = []
    build(own.settings, [], locked=False, say=said.append, warn=lambda changed: pytest.fail(f"{changed}"))
    assert [line for line in said if "snapshot" in line or "longer" in line] == []
    assert own.read("debs.lock") == before
    assert len(machine.images) == 4


def test_a_build_that_locks_anew_says_what_became_of_the_snapshot_archive(own: Project) -> None:
    """With it the pins would have stayed."""
    own.lock()
    own.machine.add_deb("r-base-core", "99")
    own.machine.drop_deb("r-base-core", "4.5.0-3")
    for path in (own.cache / "files").iterdir():
        path.unlink()
    own.toml += '\n[debian]\nsnapshot = "http://127.0.0.1:1"\n'
    said: list[str] = []
    build(own.settings, [], locked=False, say=said.append, warn=lambda _: said.append("locked anew"))
    told = next(line for line in said if line.startswith("the archive no longer has r-base-core "))
    assert "127.0.0.1:1" in told
    assert said.index(told) < said.index("locked anew")


def test_the_time_moves_with_the_pins_only(own: Project) -> None:
    """What pins the same is the same, whenever it is locked; a new pin brings the time at which it was there."""
    own.machine.date = DATE
    own.lock()
    before = own.read("debs.lock")
    own.machine.date = "Tue, 01 Dec 2026 00:00:00 UTC"
    own.lock("debs")
    assert own.read("debs.lock") == before
    own.machine.add_deb("locales", "99")
    own.lock("debs", packages="locales")
    assert own.locks.debs.snapshot == "20261201T000000Z"


# ---- The setting

DEBIANS_OWN = archive.default_sources("sid")[0].uri.removesuffix("/debian").replace("//deb.", "//snapshot.")


@pytest.mark.parametrize(
    ("toml", "url"),
    [
        pytest.param("", DEBIANS_OWN, id="debians-own-mirrors"),
        pytest.param('[base]\napt_sources = ["deb http://mirror.example/debian trixie main"]', "", id="other-mirrors"),
        pytest.param('[r]\napt_sources = ["deb http://r.example sid/"]', DEBIANS_OWN, id="others-for-r-alone"),
        pytest.param('[debian]\nsnapshot = "https://keeps.example/"', "https://keeps.example", id="named"),
    ],
)
def test_debians_own_service_is_for_debians_own_mirrors(load_settings: Load, toml: str, url: str) -> None:
    """Who names another mirror may be meant to ask nobody else. Its name is derived as that of the archive is."""
    assert archive.snapshots_of(load_settings(toml)) == url


@pytest.mark.parametrize("url", ["keeps.example", "ftp://keeps.example", "http://", "http://[::1", "http://a:x/"])
def test_what_is_no_url_is_refused_and_not_shown(load_settings: Load, url: str) -> None:
    with pytest.raises(UsageError, match=r"^pyrlab.toml: debian.snapshot is no URL that can be read$"):
        load_settings(f'[debian]\nsnapshot = "{url}"')


def test_a_password_comes_from_the_environment_and_is_in_no_message(scene: Scene) -> None:
    """``${VARIABLE}``, as in the URLs of R repositories."""
    settings = scene.load(
        f"""
        [base]
        apt_sources = ["deb [trusted=yes] {scene.mirror.url}/debian trixie main"]
        [debian]
        snapshot = "{scene.service.url}/${{KEY}}"
        """,
        XDG_CACHE_HOME=str(scene.cache),
        KEY="hunter2",
    )
    with pytest.raises(PyrlabError) as caught:
        fetch(settings, [deb_section("x", [HELLO])], r="", architecture="amd64", say=scene.said.append)
    assert all(path.startswith("/hunter2/") for path in scene.service.asked)
    assert "hunter2" not in f"{caught.value} {caught.value.remedy} {settings!r} {scene.said}"
