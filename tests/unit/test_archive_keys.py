"""The keys of archives: by fingerprint, from a file or a URL, for this machine's reader and for apt."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import hypothesis.strategies as st
import pysequoia
import pytest
from debian_archives import URI, Mirror, key, keyring, packages, stanza
from hypothesis import given
from index_server import serve

from pyrlab.adapters.debian import archive, keys
from pyrlab.adapters.docker import buildkit
from pyrlab.errors import BuildError, NetworkError, UsageError
from pyrlab.model.debian import Index
from pyrlab.model.debian_sources import Key, KeyPlaces, Source, fingerprint, parse_sources
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.settings import Settings
from pyrlab.steps import question
from pyrlab.steps.fetch import debian_web
from pyrlab.steps.question import Below

Load = Callable[..., Settings]
NOW = datetime(2026, 11, 25, tzinfo=UTC)
PLACE = "https://keys.example/archive.asc"
R_PROJECT = "95C0FAF38DB3CCAD0C080A7BDC78B2DDEABC47B7"


def certificate(name: str) -> pysequoia.Cert:
    return key(name).extract_certificate()


def of(name: str) -> str:
    """Return the fingerprint of a key of the tests' own, as people write it."""
    return certificate(name).fingerprint.upper()


def served(content: bytes) -> Mirror:
    return Mirror({PLACE: content})


def both(*names: str) -> bytes:
    """Return a keyring of several keys."""
    return keys.armored(map(certificate, names)).encode()


def revoked(name: str) -> pysequoia.Cert:
    """Return a key that its owner has taken back."""
    cert = certificate(name)
    return pysequoia.Cert.from_bytes(bytes(cert) + bytes(cert.revoke(key(name).certifier())))


def expired(name: str, until: datetime) -> pysequoia.Cert:
    """Return a key that was good until then."""
    return certificate(name).set_expiration(until, key(name).certifier())


# ---- The settings


@given(st.sampled_from([40, 64]).flatmap(lambda size: st.text("0123456789abcdefABCDEF", min_size=size, max_size=size)))
def test_a_fingerprint_is_the_same_in_each_spelling(text: str) -> None:
    wanted = fingerprint(text)
    assert wanted == text.upper()
    groups = " ".join(text[place : place + 4] for place in range(0, len(text), 4))
    assert {fingerprint(wanted), fingerprint(f" {groups.lower()}\t")} == {wanted}
    assert fingerprint(text[:-1]) == fingerprint(f"{text}!") == fingerprint(f"0x{text}") == ""


def test_a_source_names_its_keys(load_settings: Load) -> None:
    spaced = " ".join(R_PROJECT[place : place + 4].lower() for place in range(0, 40, 4))
    other, third = "A" * 40, "B" * 64
    settings = load_settings(
        f"""
        [base]
        apt_sources = [
            "deb [signed-by={R_PROJECT.lower()},{other}] https://m.example/debian trixie main",
            "deb [signed-by={third},/etc/own.gpg,keys/ours.asc] https://m.example/ours ./",
        ]
        [debian.keys]
        "{spaced}" = "https://${{KEEPER}}@keys.example/r.asc"
        "{other}" = "keys/other.asc"
        "{third}" = "/etc/third.asc"
        """,
        KEEPER="a:b",
    )
    first, second = archive.base_sources(settings)
    assert first.signed_by == (
        Key("https://a%3Ab@keys.example/r.asc", R_PROJECT),
        Key(str(settings.project / "keys/other.asc"), other),
    )
    assert second.signed_by == (
        Key("/etc/third.asc", third),
        Key("/etc/own.gpg"),
        Key(str(settings.project / "keys/ours.asc")),
    )
    assert "a%3Ab" in settings.hidden
    assert "a%3Ab" not in f"{settings} {first}"


@pytest.mark.parametrize(
    ("table", "message", "remedy"),
    [
        pytest.param(
            '"DDEABC47B7" = "r.asc"', "has 'DDEABC47B7', which is no fingerprint", "gpg --show-keys", id="short"
        ),
        pytest.param(f'{R_PROJECT} = ""', f"debian.keys.{R_PROJECT} is ''", "file or URL", id="no-place"),
        pytest.param(f"{R_PROJECT} = 1", f"debian.keys.{R_PROJECT} is 1", "file or URL", id="number"),
        pytest.param(
            f'{R_PROJECT} = "ftp://k.example/r.asc"',
            f"debian.keys.{R_PROJECT} is no URL",
            "https://HOST/PATH",
            id="ftp",
        ),
        pytest.param(
            f'{R_PROJECT} = "r.asc"\n{R_PROJECT.lower()} = "other.asc"',
            f"debian.keys has {R_PROJECT} twice",
            "leave one of them out",
            id="twice",
        ),
        pytest.param(
            f'{R_PROJECT} = "https://${{NONE}}@k.example/r.asc"', "uses ${NONE}, which is not set", "export", id="unset"
        ),
    ],
)
def test_mistakes_in_the_table_of_keys(load_settings: Load, table: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(f"[debian.keys]\n{table}\n")
    assert message in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_fingerprint_without_a_place_says_what_to_write(load_settings: Load) -> None:
    settings = load_settings(f"[r]\napt_sources = ['deb [signed-by={R_PROJECT}] http://me:hush@r.example sid/']\n")
    with pytest.raises(UsageError) as caught:
        archive.all_sources(settings)
    assert str(caught.value) == (
        f"r.apt_sources: 'deb [signed-by={R_PROJECT}] http://r.example sid/' wants the key {R_PROJECT}, "
        "and nothing says where that is"
    )
    assert caught.value.remedy == (
        f'write its file or URL into pyrlab.toml: [debian.keys] "{R_PROJECT}" = "keys/archive.asc"'
    )


@pytest.mark.parametrize("word", ["DDEABC47B7", "0xDDEABC47B7", f"{R_PROJECT}!", R_PROJECT[:-1]])
def test_a_part_of_a_fingerprint_names_no_key(word: str) -> None:
    """Anybody can make a key whose fingerprint ends so."""
    with pytest.raises(UsageError, match="has an option signed-by that is no whole fingerprint"):
        parse_sources([f"deb [signed-by={word}] http://m sid/"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(
            "deb [signed-by='/my keys/a.asc'] http://m sid/", "has a space in the option signed-by", id="space"
        ),
        pytest.param("deb [signed-by='/a.asc] http://m sid/", "has a quote that is not closed", id="open-quote"),
        pytest.param("deb [signed-by=https://me:hush@k/a.asc] http://m s/", "option signed-by is a URL", id="url"),
        pytest.param("deb [signed-by=/a Signed-By=/b] http://m sid/", "has the option signed-by twice", id="twice"),
        pytest.param("# mine\ndeb http://m sid main", "has a line break", id="two-lines"),
        pytest.param("deb http://me:hu\nsh@m sid main", "has a line break", id="line-break"),
        pytest.param("deb http://m\u00a0sid main", "has a line break, or another character", id="no-break-space"),
        pytest.param('deb http://m/"a b" sid main', "has quotes, brackets or $(ARCH)", id="quote"),
        pytest.param("deb http://m/[a b] sid main", "has quotes, brackets or $(ARCH)", id="brackets"),
        pytest.param("deb http://m $(ARCH)/", "has quotes, brackets or $(ARCH)", id="variable"),
    ],
)
def test_what_apt_would_read_otherwise_is_refused(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sources(["deb http://[2001:db8::1]:8/debian sid main", "deb http://me:x@[::1] sid main", line])
    assert reason in str(caught.value)
    assert "hush" not in str(caught.value) + caught.value.remedy


WORDS = st.sampled_from(["a", "main", "trixie", "x-y.z"])


@given(
    components=st.lists(WORDS, max_size=2),
    trusted=st.booleans(),
    signed_by=st.lists(st.sampled_from(["/k.asc", "/a=b.gpg", R_PROJECT]), max_size=2),
    architectures=st.lists(st.sampled_from(["amd64", "arm64"]), max_size=2),
    check_valid_until=st.booleans(),
)
def test_apt_is_told_the_source_that_the_settings_have(
    *, components: list[str], trusted: bool, signed_by: list[str], architectures: list[str], check_valid_until: bool
) -> None:
    places = KeyPlaces(Path("/"), {R_PROJECT: "/r.asc"})
    source = Source(
        "http://m/debian",
        "trixie" if components else "./",
        tuple(components),
        trusted=trusted,
        signed_by=tuple(places.find(word, "", "") for word in signed_by),
        architectures=tuple(architectures),
        check_valid_until=check_valid_until,
    )
    assert Source.parse(source.line(",".join(signed_by)), places) == source


# ---- The keys themselves


def test_only_the_key_with_the_fingerprint_counts() -> None:
    """Others in the same file do not: whoever serves it could add one."""
    mirror = served(both("stranger", "archive"))
    [cert] = keys.certificates([Key(PLACE, of("archive"))], mirror.get, NOW)
    assert cert.fingerprint.upper() == of("archive")
    mirror.publish("trixie", packages(stanza("apt")), signer="stranger")
    with pytest.raises(BuildError, match=f"has no valid signature of {of('archive')}$"):
        read(mirror, Key(PLACE, of("archive")))
    mirror.publish("trixie", packages(stanza("apt")), signer="archive")
    assert read(mirror, Key(PLACE, of("archive"))).versions("apt")
    # A file without a fingerprint is this machine's own, and all of it counts.
    assert len(keys.certificates([Key(PLACE)], mirror.get, NOW)) == 2


def read(mirror: Mirror, *signed_by: Key) -> Index:
    source = Source(URI, "trixie", ("main",), signed_by=signed_by)
    return archive.read([source], "amd64", mirror.get, now=NOW).index


def test_another_key_in_its_place_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        keys.certificates([Key(PLACE, of("archive"))], served(both("stranger")).get, NOW)
    assert str(caught.value) == f"{PLACE} has no key {of('archive')}; it has {of('stranger')}"
    assert "ask whoever keeps the archive" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"<!DOCTYPE html><html>sign in</html>", "is a web page, no keyring", id="page"),
        pytest.param(b"words", "is no keyring", id="words"),
        pytest.param(b"", "has no key", id="empty"),
    ],
)
def test_what_is_no_keyring_is_told(content: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"^https://keys\.example/archive\.asc {reason}$"):
        keys.certificates([Key(PLACE.replace("//", "//me:hush@"), of("archive"))], lambda _: content, NOW)


def test_a_key_that_has_expired_signs_nothing() -> None:
    """Sequoia, and apt by it, would go on to believe what it signed before."""
    mirror = served(bytes(expired("archive", datetime.now(UTC) - timedelta(seconds=1))))
    mirror.publish("trixie", packages(stanza("apt")))
    source = Source(URI, "trixie", ("main",), signed_by=(Key(PLACE, of("archive")),))
    says = f"^the key of an archive counts no longer: {of('archive')} has expired on 20"
    with pytest.raises(BuildError, match=says) as caught:
        archive.read([source], "amd64", mirror.get)
    assert "debian.keys in pyrlab.toml" in caught.value.remedy


def test_a_key_that_was_revoked_signs_nothing() -> None:
    mirror = served(bytes(revoked("archive")))
    mirror.publish("trixie", packages(stanza("apt")))
    with pytest.raises(BuildError, match=f"counts no longer: {of('archive')} is revoked$"):
        read(mirror, Key(PLACE, of("archive")))


@pytest.mark.parametrize("newest", [0, 1], ids=["first", "last"])
def test_of_copies_of_a_key_the_newest_word_counts(newest: int) -> None:
    """Wherever it stands: a file may have older copies, and a line of sources several files."""
    gone, plain = revoked("archive"), certificate("archive")
    both_ways = b"".join(map(bytes, (gone, plain) if newest == 0 else (plain, gone)))
    with pytest.raises(BuildError, match=r"is revoked$"):
        keys.certificates([Key(PLACE, of("archive"))], served(both_ways).get, NOW)
    now = datetime.now(UTC)
    old = expired("archive", now + timedelta(days=1))
    signed = int(time.time())
    # Signatures know their second.
    while int(time.time()) == signed:
        time.sleep(0.01)
    renewed = old.set_expiration(now + timedelta(days=9), key("archive").certifier())
    content = b"".join(map(bytes, (renewed, old) if newest == 0 else (old, renewed)))
    assert keys.certificates([Key(PLACE, of("archive"))], served(content).get, now + timedelta(days=2))


def test_a_key_that_cannot_be_believed_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that binds itself by SHA-1: Sequoia raises an error of no class of its own."""

    class Weak:
        fingerprint = of("archive").lower()
        is_revoked = False

        @property
        def expiration(self) -> datetime:
            raise RuntimeError("no binding signature at this time\n\nStack backtrace:\n   0: <anyhow::Error")

    monkeypatch.setattr(pysequoia.Cert, "split_bytes", lambda _: [Weak()])
    with pytest.raises(BuildError, match=r"cannot be believed \(no binding signature at this time\)$"):
        keys.certificates([Key(PLACE, of("archive"))], served(b"").get, NOW)


def test_an_expired_key_beside_a_living_one_is_left_out() -> None:
    """So keys are rotated."""
    now = datetime.now(UTC)
    old = expired("old", now + timedelta(days=1))
    mirror = served(keys.armored([old, certificate("archive")]).encode())
    wanted = [Key(PLACE, of("old")), Key(PLACE, of("archive"))]
    assert len(keys.certificates(wanted, mirror.get, now)) == 2
    [left] = keys.certificates(wanted, mirror.get, now + timedelta(days=1))
    assert left.fingerprint.upper() == of("archive")


def test_no_keyring_holds_a_secret_key() -> None:
    assert "PUBLIC KEY" in keys.armored([certificate("archive")])
    assert not keys.armored([])


# ---- What apt is given in the steps of lock


@pytest.fixture
def ask(load_settings: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Mapping[str, str]]:
    """Return what gives the secrets of a lock step of such settings. No step is run."""
    monkeypatch.setenv("NETRC", "/dev/null")
    given: list[Mapping[str, str]] = []
    nothing = SimpleNamespace(work=tmp_path, root=lambda *_: None, tools=lambda _: None, template=lambda _: "")
    monkeypatch.setattr(question, "Materials", lambda _: nothing)
    monkeypatch.setattr(Below, "_provide", lambda *_: {})
    monkeypatch.setattr(buildkit, "bake", lambda call, **_: given.append(call.secrets))

    def secrets(toml: str, kind: str = "debs") -> Mapping[str, str]:
        Below(load_settings(toml, XDG_CACHE_HOME=str(tmp_path)), (), "amd64").ask(kind, {}, say=lambda _: None)
        return given.pop()

    return secrets


def in_keyring(text: str) -> set[str]:
    return {cert.fingerprint.upper() for cert in pysequoia.Cert.split_bytes(text.encode())}


def lines_of(text: str) -> Sequence[str]:
    return text.splitlines()


def test_apt_gets_the_keys_of_the_sources_and_no_other(ask: Callable[..., Mapping[str, str]], tmp_path: Path) -> None:
    """Each line has the fingerprints of its own: no archive's key may sign for another one."""
    (tmp_path / "many.asc").write_bytes(both("archive", "stranger"))
    own = keyring(tmp_path, "own")
    secrets = ask(
        f"""
        [base]
        apt_sources = [
            "deb [signed-by={of("archive")} arch=amd64] http://m.example/debian trixie main",
            "deb [signed-by={own}] http://m.example/own ./",
            "deb http://m.example/debian sid main",
        ]
        [debian.keys]
        {of("archive")} = "{tmp_path}/many.asc"
        {of("unused")} = "{tmp_path}/nowhere.asc"
        """
    )
    ring = "signed-by=/run/secrets/keys.asc"
    assert lines_of(secrets["sources"]) == [
        f"deb [arch=amd64 {ring},{of('archive')}] http://m.example/debian trixie main",
        f"deb [{ring},{of('own')}] http://m.example/own ./",
        "deb http://m.example/debian sid main",
    ]
    assert in_keyring(secrets["keys"]) == {of("archive"), of("own")}
    assert secrets["r-sources"] == ""


def test_rs_images_have_their_sources_beside_the_others(ask: Callable[..., Mapping[str, str]], tmp_path: Path) -> None:
    """Which are Debian's own where the settings name none."""
    path = keyring(tmp_path, "r")
    secrets = ask(f'[r]\napt_sources = ["deb [signed-by={path}] http://r.example trixie-cran40/"]')
    debians = [str(source) for source in archive.default_sources("trixie")]
    assert lines_of(secrets["sources"]) == debians
    assert lines_of(secrets["r-sources"]) == [
        *debians,
        f"deb [signed-by=/run/secrets/keys.asc,{of('r')}] http://r.example trixie-cran40/",
    ]
    assert 'Dir::Etc::SourceList "/run/secrets/sources";' in secrets["apt"]
    assert in_keyring(secrets["keys"]) == {of("r")}


def test_their_users_come_from_the_environment_and_netrc(
    ask: Callable[..., Mapping[str, str]], load_settings: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = '[r]\napt_sources = ["deb http://${WHO}@r.example sid/", "deb http://n.example sid/"]'
    with pytest.raises(UsageError, match=r"r\.apt_sources uses \$\{WHO\}, which is not set"):
        load_settings(toml)
    assert load_settings(toml, WHO="a:b").hidden == ("a%3Ab",)
    (tmp_path / "netrc").write_text("machine n.example login me password hush\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    secrets = ask(toml.replace("${WHO}@", ""))
    assert lines_of(secrets["r-sources"])[-2:] == ["deb http://r.example sid/", "deb http://me:hush@n.example sid/"]


def test_their_archives_are_reached_as_the_others_are(load_settings: Load) -> None:
    """On this machine's own loopback, and without a proxy where NO_PROXY says so."""
    toml = '[r]\napt_sources = ["deb http://127.0.0.1:8/r sid/", "deb http://r.example sid/"]'
    settings = load_settings(toml, HTTP_PROXY="http://p.example:1", NO_PROXY="r.example")
    assert settings.uses_loopback
    assert 'Acquire::http::Proxy::r.example "DIRECT";' in lock_secrets(settings, "")["apt"]
    with pytest.raises(UsageError, match=r"^pyrlab\.toml: r\.apt_sources is no URL that can be read$"):
        load_settings('[r]\napt_sources = ["deb http://[::1 sid/"]')


def test_a_key_does_not_come_by_the_proxy_for_packages(load_settings: Load, tmp_path: Path) -> None:
    """It may have nothing but packages."""
    mirror = Mirror()
    mirror.publish("trixie", packages(stanza("apt")), uri=tmp_path.as_uri())
    for url, content in mirror.files.items():
        file = Path(url.removeprefix("file://"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    keyring(tmp_path, "archive")
    with serve(tmp_path) as server:
        settings = load_settings(
            f"""
            [base]
            apt_sources = ["deb [signed-by={of("archive")}] {tmp_path.as_uri()} trixie main"]
            [debian.keys]
            {of("archive")} = "{server.url}/archive.asc"
            """,
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            APTPROXY="http://127.0.0.1:9",
        )
        sources = archive.base_sources(settings)
        index = archive.read_index(settings, sources, architecture="amd64", web=debian_web(settings))
        suites, missed = archive.suites(settings, architecture="amd64", web=debian_web(settings))
    assert index.versions("apt")
    assert (len(suites), missed) == (1, [])


def test_what_is_trusted_needs_no_key(ask: Callable[..., Mapping[str, str]]) -> None:
    secrets = ask('[base]\napt_sources = ["deb [trusted=yes signed-by=/nowhere.asc] http://m.example ./"]')
    assert lines_of(secrets["sources"]) == ["deb [trusted=yes] http://m.example ./"]
    assert secrets["keys"] == ""


def test_a_key_that_cannot_be_had_stops_the_step(ask: Callable[..., Mapping[str, str]]) -> None:
    """It is fetched by the ordinary proxies: one for Debian packages may have nothing else."""
    with pytest.raises(NetworkError, match=r"^key of an archive: http://127\.0\.0\.1:9/r\.asc") as caught:
        ask(
            f"""
            [base]
            apt_sources = ["deb [signed-by={R_PROJECT}] http://m.example ./"]
            [debian.keys]
            {R_PROJECT} = "http://127.0.0.1:9/r.asc"
            """
        )
    assert "debian.keys in pyrlab.toml" in caught.value.remedy


def test_python_is_locked_without_the_keys_of_archives(ask: Callable[..., Mapping[str, str]]) -> None:
    toml = '[base]\napt_sources = ["deb [signed-by=/nowhere.asc] http://m.example ./"]'
    assert ask(toml, "python")["keys"] == ""


@pytest.mark.parametrize("word", ["nowhere.asc", "/nowhere.asc"])
def test_a_keyring_that_is_not_there_is_told(ask: Callable[..., Mapping[str, str]], word: str) -> None:
    with pytest.raises(UsageError, match=r"^the keyring /.*nowhere\.asc cannot be read: No such file"):
        ask(f'[base]\napt_sources = ["deb [signed-by={word}] http://m.example ./"]')


def test_a_source_is_hashable_with_its_keys() -> None:
    source = Source("http://m", "./", signed_by=(Key("/k.asc"),))
    assert len({source, dataclasses.replace(source)}) == 1
