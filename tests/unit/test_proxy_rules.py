"""Which proxy is asked, and what apt, the doctor's probe and Nox's own installs are told of it."""

import importlib.util
import json
import subprocess
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nox.registry
import pytest
import trustme
from docker import APIClient, DockerClient
from docker.utils.proxy import ProxyConfig

from pyrlab.adapters import network
from pyrlab.adapters.docker import buildkit, engine, servers
from pyrlab.commands import proxies
from pyrlab.errors import BuildError, UsageError
from pyrlab.model import caching, reach
from pyrlab.model.proxies import proxy_for
from pyrlab.model.reach import DEBIAN, Question
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.settings import Settings
from pyrlab.steps import question
from pyrlab.steps.materials import authorities

Load = Callable[..., Settings]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxied"),
    [
        pytest.param("http://a.test/x", "", True, id="unset"),
        pytest.param("http://a.test/x", "*", False, id="all"),
        pytest.param("http://A.test/x", " b.test , a.TEST ", False, id="name"),
        pytest.param("http://a.test/x", "test", False, id="end"),
        pytest.param("http://a.test/x", ".test", False, id="end-with-dot"),
        pytest.param("http://atest/x", ".test", True, id="end-of-a-word"),
        pytest.param("http://a.test:80/x", "a.test:80", False, id="port"),
        pytest.param("http://a.test:81/x", "a.test:80", True, id="other-port"),
        pytest.param("http://10.1.2.3/x", "10.0.0.0/8", False, id="network"),
        pytest.param("http://10.1.2.3/x", "10.1.0.0/24", True, id="other-network"),
        pytest.param("http://10.1.2.3/x", "10.1.2.99/24", False, id="network-by-a-host"),
        pytest.param("http://10.1.2.3/x", "2.3", True, id="end-of-an-address"),
        pytest.param("http://[fd00::7]/x", "fd00::/8", False, id="ipv6-network"),
        pytest.param("http://[fd00::7]/x", "[fe80::]/10,[fd00::7]", False, id="ipv6-address"),
        pytest.param("http://10.1.2.3/x", "fd00::/8,10.0.0.0/99", True, id="no-network"),
        pytest.param("http://a.test/x", "10.0.0.0/8", True, id="a-name-is-not-looked-up"),
    ],
)
def test_no_proxy_has_names_ends_and_networks(url: str, no_proxy: str, *, proxied: bool) -> None:
    proxies = {"HTTP_PROXY": "http://p:1", "NO_PROXY": no_proxy}
    assert proxy_for(url, proxies) == ("http://p:1" if proxied else "")
    assert proxy_for(url.replace("http:", "https:"), proxies) == ""


def test_ends_of_names_with_a_star_are_told_to_all_tools_without_it(load_settings: Load) -> None:
    proxies = load_settings(HTTP_PROXY="http://p:1", NO_PROXY="*.corp.test, other.test").proxies
    assert proxies["NO_PROXY"].split(",")[:2] == [".corp.test", "other.test"]
    assert proxy_for("http://a.corp.test/x", proxies) == ""
    assert load_settings(HTTP_PROXY="http://p:1", NO_PROXY="*").proxies["NO_PROXY"].split(",")[0] == "*"


def test_apt_is_told_which_archives_it_asks_directly(load_settings: Load) -> None:
    """Its own NO_PROXY knows no networks."""
    lines = [
        "deb [trusted=yes] http://10.1.2.3:8/debian trixie main",
        "deb https://m.corp.test/d x/",
        "deb http://m.test y/",
    ]
    toml = f"[base]\napt_sources = {lines}\n"
    given = {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,corp.test"}
    direct = [line for line in lock_secrets(load_settings(toml, **given), "")["apt"].splitlines() if "DIRECT" in line]
    assert direct == ['Acquire::http::Proxy::10.1.2.3 "DIRECT";', 'Acquire::https::Proxy::m.corp.test "DIRECT";']
    assert "DIRECT" not in lock_secrets(load_settings(toml, **given, APTPROXY="http://c:3142"), "")["apt"]


def test_of_debians_own_archives_apt_is_told_the_same(load_settings: Load) -> None:
    """They are in no setting."""
    given = {"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}
    assert 'Proxy::m.test "DIRECT"' in lock_secrets(load_settings(**given), "", ["http://m.test/debian"])["apt"]


def test_apt_does_not_read_no_proxy_by_itself(tmp_path: Path) -> None:
    """It would leave the proxy for Debian packages, and take ``test`` for the end of ``atest``."""
    (tmp_path / "proxy").write_text("export http_proxy=http://p:1\nexport no_proxy=x\nexport NO_PROXY=x\n")
    sourced = (ROOT / "docker/lock/apt-net.sh").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    shown = subprocess.run(["/bin/sh", "-euc", f"{sourced}\nenv"], env={}, capture_output=True, text=True, check=True)
    assert "http_proxy=http://p:1" in shown.stdout.splitlines()
    assert "no_proxy" not in shown.stdout.lower()


@pytest.fixture
def baked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Mapping[str, str]]:
    """Return a list that gets the secrets of each build, of which none is made."""
    given: list[Mapping[str, str]] = []
    nothing = SimpleNamespace(work=tmp_path, root=lambda *_: None, tools=lambda _: None, template=lambda _: "")
    monkeypatch.setattr(question, "Materials", lambda _: nothing)
    monkeypatch.setattr(question.Below, "_provide", lambda *_: {})
    monkeypatch.setattr(buildkit, "bake", lambda call, **_: given.append(call.secrets))
    return given


def test_apt_knows_the_users_of_netrc_and_what_no_proxy_has_in_each_step(
    load_settings: Load, baked: list[Mapping[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In those of lock, and in the one that makes the caching proxies."""
    (tmp_path / "netrc").write_text("machine m.test login me password hush\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    given = {"XDG_CACHE_HOME": str(tmp_path), "HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}
    for toml in ('[base]\napt_sources = ["deb http://m.test/debian trixie main"]\n', ""):
        below = question.Below(load_settings(toml, **given), (), "amd64")
        below.ask("debs", {}, say=lambda _: None)
        below.make_proxies("tag", say=lambda _: None)
    assert [secrets["sources"].strip() for secrets in baked] == ["deb http://me:hush@m.test/debian trixie main"] * 2 + [
        ""
    ] * 2
    assert all('"DIRECT";' in secrets["apt"] for secrets in baked)


@pytest.mark.parametrize(("no_proxy", "told"), [("10.0.0.0/8", {}), ("11.0.0.0/8", {"HTTP_PROXY": "http://p:1"})])
def test_the_probe_in_a_build_is_told_what_no_proxy_means(no_proxy: str, told: dict[str, str]) -> None:
    question = Question(DEBIAN, "x", "http://10.1.2.3/x", {"HTTP_PROXY": "http://p:1", "NO_PROXY": no_proxy})
    assert json.loads(reach.request([question]))[0]["proxies"] == told


def test_the_probe_in_a_build_knows_the_proxy_that_a_redirect_may_need() -> None:
    """As from http to https: this machine asks by it, too."""
    question = Question(DEBIAN, "x", "http://m.test/x", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "corp.test"})
    assert json.loads(reach.request([question]))[0]["proxies"] == {"HTTPS_PROXY": "http://p:1"}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        pytest.param(
            "Err:1 http://m.test:8 stable InRelease\n  407  Proxy Authentication Required [IP: 127.0.0.1 3128]",
            "the proxy before m.test:8 wants a user and a password, or refuses the given ones (407)",
            id="apt-407",
        ),
        pytest.param(
            "error: Failed to fetch: `https://i.test/simple/x/`\n  cause: tunnel error: proxy authorization required",
            "the proxy before i.test wants a user and a password, or refuses the given ones (407)",
            id="uv-407",
        ),
        pytest.param(
            "Err:1 https://m.test:8 stable InRelease\n  Invalid response from proxy: HTTP/1.1 407 No  [IP: ::1 8]",
            "the proxy before m.test:8 wants a user and a password, or refuses the given ones (407)",
            id="apt-407-tls",
        ),
        pytest.param(
            "error: Failed to fetch: `https://i.test/x/`\n  cause: HTTP status client error (407 No) for url",
            "the proxy before i.test wants a user and a password, or refuses the given ones (407)",
            id="uv-407-plain",
        ),
        pytest.param(
            "error: Failed to fetch: `https://i.test/x/`\n  cause: invalid peer certificate: certificate not valid yet",
            "the certificate of i.test is not valid yet",
            id="uv-clock-behind",
        ),
        pytest.param(
            "error: Failed to fetch: `https://i.test/x/`\n  cause: invalid peer certificate: certificate not valid for "
            'name "i.test"; certificate is only valid for DnsName("a.test")',
            "the certificate of i.test is for another name",
            id="uv-other-name",
        ),
        pytest.param(
            "Err:2 https://m.test stable InRelease\n  SSL connection failed: error:0A000086:SSL routines::certificate "
            "verify failed / certificate is not yet valid [IP: 127.0.0.1 8]",
            "the certificate of m.test is not valid yet",
            id="apt-clock-behind",
        ),
        pytest.param(
            "Err:2 https://m.test stable InRelease\n  SSL connection failed: error:0A000086:SSL routines::certificate "
            "verify failed / certificate has expired [IP: 127.0.0.1 8]",
            "the certificate of m.test has expired",
            id="apt-expired",
        ),
        pytest.param(
            "error: Failed to fetch: `https://me:hush@i.test/x/`\n  cause: invalid peer certificate: UnknownIssuer",
            "the certificate of i.test is not trusted",
            id="uv-untrusted",
        ),
        pytest.param(
            "Err:1 http://m.test:8 s\n  Could not connect to m.test:8", "m.test:8 could not be reached", id="apt-down"
        ),
        pytest.param(
            "Err:1 http://m.test s\n  Could not connect to p.test:1 (127.0.0.1). - connect (111: Connection refused)",
            "m.test could not be reached: p.test:1 is not there, or does not answer",
            id="apt-proxy-down",
        ),
        pytest.param(
            "Err:1 http://[2001:db8::1]/d s\n  Could not connect to 2001:db8::1:80 (2001:db8::1). - connect (111)",
            "[2001:db8::1] could not be reached",
            id="apt-ipv6-down",
        ),
        pytest.param(
            "Err:1 http://m.test s\n  Could not connect to ::1:3142 (::1). - connect (111: Connection refused)",
            "m.test could not be reached: [::1]:3142 is not there, or does not answer",
            id="apt-ipv6-proxy-down",
        ),
        pytest.param(
            "Err:1 http://m.test s\n  Unable to connect to p.test:http:",
            "m.test could not be reached: p.test:http is not there, or does not answer",
            id="apt-proxy-down-in-short",
        ),
        pytest.param(
            "Err:1 http://a.test s\n  Connection timed out\nErr:2 http://b.test s\n  Could not connect to b.test:80",
            "a.test could not be reached",
            id="apt-two-down",
        ),
        pytest.param(
            "No solution found when resolving dependencies\nerror sending request for url (https://i.test/x/)",
            "i.test could not be reached",
            id="uv-resolving",
        ),
        pytest.param(
            "Err:1 http://m.test s\n  Temporary failure resolving 'p.test'",
            "m.test could not be reached: p.test is not there, or does not answer",
            id="apt-proxy-unknown",
        ),
        pytest.param(
            "error: Failed to fetch: `https://i.test/x/`\n  cause: error sending request for url\n  "
            "cause: tunnel error: failed to create underlying connection\n  cause: tcp connect error",
            "i.test could not be reached: the proxy before it is not there, or does not answer",
            id="uv-proxy-down",
        ),
        pytest.param("dns error", "a package index or archive could not be reached", id="nobody-is-named"),
    ],
)
def test_what_apt_and_uv_say_is_told_with_the_host(said: str, error: str) -> None:
    found = network.explain(said, said)
    assert found is not None
    assert str(found) == error
    assert found.exit_code == 6


def test_another_failure_is_none_of_the_networks() -> None:
    assert network.explain("gcc: no input files http://m.test 4071", "") is None
    assert (
        network.explain(
            "http://m.test\nx.c:407:12: error: expected ';'\nFetched 407 kB in 1s (407 kB/s)\n  407 | int x", ""
        )
        is None
    )
    assert isinstance(network.explain("E: Release file for http://m.test is expired", ""), BuildError)


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return the noxfile as a module, in a project's folder."""
    spec = importlib.util.spec_from_file_location("noxfile_of_tests", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.chdir(tmp_path)
    # Nox warns of sessions that it knows already.
    monkeypatch.setattr(nox.registry, "_REGISTRY", OrderedDict())
    for name in ("PIPPROXY", "PIPHOST", "SSL_CERT_FILE", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=None, capath=None))
    return module


def test_nox_installs_from_the_index_of_the_settings(noxfile: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the file, and without either uv and pip have their own."""
    assert noxfile.of_the_index() == {}
    with monkeypatch.context() as with_store:
        paths = SimpleNamespace(cafile="/there", capath=None)
        with_store.setattr(noxfile.ssl, "get_default_verify_paths", lambda: paths)
        assert noxfile.of_the_index() == {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    Path("pyrlab.toml").write_text(
        '[network]\npython_index = "http://a.test/"\nca_file = "/ca.pem"\n', encoding="utf-8"
    )
    index = {"UV_DEFAULT_INDEX": "http://a.test/", "PIP_INDEX_URL": "http://a.test/"}
    assert noxfile.of_the_index() == {**index, "SSL_CERT_FILE": "/ca.pem", "PIP_CERT": "/ca.pem"}
    monkeypatch.setenv("PIPPROXY", "http://me:hush@b.test/")
    monkeypatch.setenv("PIPHOST", "B.test")
    found = noxfile.of_the_index()
    assert (found["UV_DEFAULT_INDEX"], found["PIP_INDEX_URL"]) == ("http://me:hush@b.test/",) * 2
    assert (found["UV_INSECURE_HOST"], found["PIP_TRUSTED_HOST"]) == ("b.test", "b.test")
    Path("pyrlab.toml").write_text("no toml", encoding="utf-8")
    assert found["UV_DEFAULT_INDEX"] == noxfile.of_the_index()["UV_DEFAULT_INDEX"]


@pytest.mark.parametrize("text", ["network = 3", "[network]\npython_index = 3", "[base]\n"])
def test_nox_leaves_mistakes_in_the_file_to_pyrlab(noxfile: ModuleType, text: str) -> None:
    Path("pyrlab.toml").write_text(text, encoding="utf-8")
    assert noxfile.of_the_index() == {}


def test_an_index_on_this_machine_is_asked_without_a_proxy(
    noxfile: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that starts it does not need it: it may be the first one on a new machine."""
    monkeypatch.setenv("PIPPROXY", caching.PYTHON.url)
    monkeypatch.setenv("NO_PROXY", "corp.test")
    found = noxfile.of_the_index()
    assert found["PIP_INDEX_URL"] == caching.PYTHON.url
    assert found["NO_PROXY"] == found["no_proxy"] == "corp.test,localhost,127.0.0.1,::1"
    assert noxfile.of_the_index(starts_index=True) == {}
    monkeypatch.setenv("PIPPROXY", "http://i.test/")
    assert noxfile.of_the_index(starts_index=True) == {
        "UV_DEFAULT_INDEX": "http://i.test/",
        "PIP_INDEX_URL": "http://i.test/",
    }


class Session:
    """Plays a session of Nox: notes whether the toolkit was installed, and where each program looks for modules."""

    posargs = ()

    def __init__(self, folder: Path) -> None:
        self.virtualenv = SimpleNamespace(location=str(folder))
        self.env: dict[str, str] = {}
        self.has_toolkit = False
        self.paths: set[str] = set()

    def install(self, *arguments: str, **_: object) -> None:
        """Install."""
        self.has_toolkit |= "toolkit.lock" in arguments

    def run(self, *_: str, env: Mapping[str, str] | None = None, **__: object) -> None:
        """Start a program."""
        self.paths.add({**self.env, **(env or {})}.get("PYTHONPATH", ""))

    def notify(self, *_: str, **__: object) -> None:
        """Let another session follow."""


@pytest.mark.usefixtures("noxfile")
def test_programs_of_the_toolkit_find_pyrlab_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bench starts some in the projects that it measures: a path relative to this one would lead nowhere."""
    monkeypatch.chdir(ROOT)
    found = {}
    for name, run in nox.registry.get().items():
        session = Session(tmp_path)
        run(session)
        if session.has_toolkit:
            found[name] = session.paths
    here = str((ROOT / "src").resolve())
    assert {name: paths for name, paths in found.items() if paths != {here}} == {}
    assert {"bench", "serve", "smoke", "unit"} <= found.keys()


def test_the_caching_proxies_do_not_ask_themselves(load_settings: Load) -> None:
    """Whoever has their addresses in the settings starts them all the same."""
    own = {"APTPROXY": caching.DEBIAN.url, "PIPPROXY": caching.PYTHON.url}
    upstream = caching.upstream(load_settings(**own))
    assert (upstream.apt_proxy, upstream.python_index) == ("", "")
    others = {"APTPROXY": "http://cache.test:3142", "PIPPROXY": "http://127.0.0.1:8/simple/"}
    upstream = caching.upstream(load_settings(**others))
    assert (upstream.apt_proxy, upstream.python_index) == tuple(others.values())


def test_a_caching_proxy_shows_no_password_of_dockers_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's library puts the proxies of ~/.docker/config.json into the environment of each container."""
    asked: list[Mapping[str, object]] = []
    client = APIClient(base_url="tcp://127.0.0.1:1", version="1.43")
    monkeypatch.setattr(client, "_proxy_configs", ProxyConfig(http="http://me:hush@p.test:1"))

    def create(config: Mapping[str, object], *_: object) -> None:
        asked.append(config)
        raise InterruptedError

    monkeypatch.setattr(client, "create_container_from_config", create)
    played = DockerClient.__new__(DockerClient)
    played.api = client
    monkeypatch.setattr(engine, "client", lambda: played)
    with pytest.raises(InterruptedError):
        servers.start("image", ["x"], name="n", user="u", folder="/f", given={}, label="l")
    assert "hush" not in str(asked)


def test_devpi_is_ready_once_it_goes_by_its_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers before, out of another index, and remembers what that one lacks."""
    answers = iter([1, 1, 0])
    asked: list[list[str]] = []

    def exec_run(command: list[str]) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(exit_code=next(answers))

    container = SimpleNamespace(
        exec_run=exec_run, reload=lambda: None, status="running", attrs={"RestartCount": 0}, logs=lambda: b""
    )
    monkeypatch.setattr(proxies, "_answers", lambda _: True)
    proxies._wait(caching.PYTHON, container)  # type: ignore[arg-type]  # noqa: SLF001 - one step of a start
    assert asked == [["test", "-e", "/tmp/ready"]] * 3  # noqa: S108 - the container's own


def test_steps_are_given_certificates_and_nothing_else_of_their_file(load_settings: Load, tmp_path: Path) -> None:
    """No key, and no words between them, which may be in any encoding."""
    path = tmp_path / "ca.pem"
    first, second = (trustme.CA() for _ in range(2))
    pems = (first.cert_pem, first.private_key_pem, second.cert_pem)
    path.write_bytes("# Übersicht\n".encode("latin-1").join(pem.bytes() for pem in pems))
    settings = load_settings(SSL_CERT_FILE=str(path))
    told = question.certificates(settings)
    assert told.split() == f"{first.cert_pem.bytes().decode()} {second.cert_pem.bytes().decode()}".split()
    path.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no certificate"):
        question.certificates(settings)


def test_labs_are_given_authorities_and_no_key(tmp_path: Path) -> None:
    """A PEM file may hold more: keys, text, servers' own certificates."""
    authority = trustme.CA()
    server = authority.issue_cert("a.test")
    path = tmp_path / "all.pem"
    pems = [authority.cert_pem, server.private_key_pem, *server.cert_chain_pems, trustme.CA().cert_pem]
    path.write_bytes(b"who we are\n" + b"".join(pem.bytes() for pem in pems))
    section = authorities(path)
    assert len(section.texts) == 2
    assert authority.cert_pem.bytes().decode() in section.texts.values()
    assert "PRIVATE" not in str(section)
    path.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no certificate of an authority"):
        authorities(path)
