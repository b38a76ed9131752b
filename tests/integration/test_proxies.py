"""Behind a proxy that wants a password: all goes through it, nothing goes beside it, and the password stays nowhere."""

import base64
import contextlib
import dataclasses
import functools
import http.server
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import deb_archive
import index_server
import pytest
import registry_server
import squid_proxy
import trustme
from conftest import Project, fails, remove_tags
from cran_server import CranServer
from index_server import wheel
from registry_server import registry
from squid_proxy import PASSWORD, USER, Squid
from test_base_images import NAME, TAG, log_in
from test_r_packages import Lab

from pyrlab.adapters.docker import engine, volumes
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.debs import DebsLock

PREFIX = "pyrlab-test/proxied-"
# Only the proxy knows these names: who asks for them directly finds nobody, on this machine and in a build step.
ARCHIVE, INDEX, CRAN = "archive.pyrlab-test.invalid", "index.pyrlab-test.invalid", "cran.pyrlab-test.invalid"
REGISTRY = "registry.pyrlab-test.invalid"
NAMES = dict.fromkeys((ARCHIVE, INDEX, CRAN), "127.0.0.1")
SECRETS = (
    PASSWORD,
    squid_proxy.IN_URL,
    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
)
TOML = """
[images]
prefix = "{prefix}"
tag = "latest"
[base]
apt_sources = {sources}
[r]
repositories = ["debian", "lab={cran}"]
"""


@dataclass(frozen=True)
class Behind:
    """A project whose archive, index and R repository only a proxy knows."""

    project: Project
    squid: Squid
    hosts: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What a user behind the proxy sets."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy"), self.squid.url)
        return {**proxies, "PIPPROXY": f"http://{self.hosts[INDEX]}/simple/"}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve ``folder`` on this machine's loopback and yield the port."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", squid_proxy.low_port()), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def squid_image(locked_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build an image with Debian's squid, as users build theirs."""
    project = locked_project.copy(tmp_path_factory.mktemp("squid") / "project")
    project.write("base_debs.txt", "squid\n")
    project.write("pyrlab.toml", '[images]\nprefix = "pyrlab-test/squid-"\ntag = "latest"\n')
    project.succeed("lock", "debs")
    project.succeed("build", "pyrlab-base")
    image = "pyrlab-test/squid-pyrlab-base:latest"
    yield image
    engine.client().images.remove(image, force=True)


@pytest.fixture(scope="module")
def behind(locked_project: Project, squid_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Return a project behind squid that wants a package of each kind, each with bytes of this very run."""
    folder = tmp_path_factory.mktemp("behind")
    project = locked_project.copy(folder / "project")
    architecture = DebsLock.parse(project.read("debs.lock")).architecture
    deb = deb_archive.deb("pyrlab-test-behind", "1.0", {"usr/share/behind": (f"{uuid.uuid4().hex}\n", 0o644)})
    deb_archive.publish(folder / "archive", "stable", architecture, {("pyrlab-test-behind", "1.0"): deb})
    python = {"pyrlab-test-behind": wheel("pyrlab-test-behind", "1.0", {"behind.py": f"RUN = '{uuid.uuid4().hex}'\n"})}
    (folder / "cran").mkdir()
    with (
        served(folder / "archive") as archive,
        index_server.served(python) as index,
        CranServer(folder / "cran") as cran,
        squid_proxy.running(squid_image, folder / "squid", NAMES) as squid,
    ):
        Lab(cran).pure("behind")
        ports = {ARCHIVE: archive, INDEX: urlsplit(index).port, CRAN: urlsplit(cran.url).port}
        hosts = {name: f"{name}:{port}" for name, port in ports.items()}
        own = engine.client().containers.run(
            squid_image, ["/etc/apt/sources.list"], entrypoint="cat", network_mode="none", remove=True
        )
        sources = [*own.decode().splitlines(), f"deb [trusted=yes] http://{hosts[ARCHIVE]} stable main"]
        project.write("base_debs.txt", "ed\npyrlab-test-behind\n")
        project.write("requirements.in", "pyrlab-test-behind\n")
        project.write("r_packages.txt", "behind\n")
        project.write("pyrlab.toml", TOML.format(prefix=PREFIX, sources=sources, cran=f"http://{hosts[CRAN]}"))
        yield Behind(project, squid, hosts)
    remove_tags(PREFIX)


def holds(folder: Path, *, since: float = 0.0) -> list[Path]:
    """Return the files below a folder that hold a secret, of those that came or were written after a time."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_ctime >= since]
    return [path for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS)]


def test_all_goes_through_a_proxy_and_its_password_stays_nowhere(behind: Behind) -> None:
    """The log of squid shows the requests of lock's steps in the engine, and those of this machine's fetching."""
    began = time.time()
    with squid_proxy.watched_processes(*SECRETS) as seen:
        printed = behind.project.succeed("--debug", "lock", **behind.environment)
        of_locking = behind.squid.passed()
        behind.squid.forget()
        printed += behind.project.succeed("--debug", "build", **behind.environment)
    assert {(USER, "GET", host) for host in behind.hosts.values()} <= of_locking
    # The index of the test sends uv to the real one, which speaks TLS.
    assert any(method == "CONNECT" for _, method, _ in of_locking)
    # What lock had to read it has fetched already.
    assert (USER, "GET", behind.hosts[ARCHIVE]) in behind.squid.passed()

    images = [engine.client().images.get(f"{PREFIX}{lab}:latest") for lab in ("pylab", "rlab")]
    shown = f"{[(image.history(), image.attrs) for image in images]} {printed}"
    assert [secret for secret in SECRETS if secret in shown] == []
    assert seen == set()
    assert holds(behind.project.path) == []
    assert holds(Path(behind.project.environment["XDG_STATE_HOME"])) == []
    assert holds(read_settings(behind.project.path, behind.project.environment).cache, since=began) == []
    for image in images:
        rest = b""
        for chunk in image.save():
            assert not any(secret.encode() in rest + chunk for secret in SECRETS)
            rest = chunk[-100:]


def test_nothing_goes_beside_the_proxy(behind: Behind) -> None:
    """The same without one finds nobody; so what was found, the proxy has brought."""
    index = {"PIPPROXY": behind.environment["PIPPROXY"]}
    for kind, name in {"debs": ARCHIVE, "python": INDEX}.items():
        fails(behind.project, "lock", kind, status=6, says=name, remedy="network", **index)


@pytest.mark.parametrize(("kind", "name"), [("debs", ARCHIVE), ("python", INDEX)], ids=["apt", "uv"])
def test_what_no_proxy_names_is_asked_directly(behind: Behind, kind: str, name: str) -> None:
    """And so not found: nobody but the proxy knows that name, and it is not asked."""
    behind.squid.forget()
    unproxied = {**behind.environment, "no_proxy": "other.invalid,.pyrlab-test.invalid"}
    fails(behind.project, "lock", kind, status=6, says=name, remedy="network", **unproxied)
    assert [host for _, _, host in behind.squid.passed() if host == behind.hosts[name]] == []


def test_a_registry_is_asked_through_the_proxy_and_not_beside_it(
    locked_project: Project, squid_image: str, tmp_path: Path
) -> None:
    """By TLS, with the user of `docker login`: what the proxy sees is that somebody asks for the host."""
    authority = trustme.CA()
    certificate, key, ca = (tmp_path / name for name in ("certificate.pem", "key.pem", "ca.pem"))
    issued = authority.issue_cert(REGISTRY, "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    with (
        registry(tmp_path / "registry", closed=True, tls=(certificate, key)) as server,
        squid_proxy.running(squid_image, tmp_path / "squid", {REGISTRY: "127.0.0.1"}) as squid,
    ):
        digest = dataclasses.replace(server, ca=ca).put_image(NAME, TAG)
        host = f"{REGISTRY}:{server.host.partition(':')[2]}"
        log_in(tmp_path / "docker", host, registry_server.USER)
        project = locked_project.copy(tmp_path / "project")
        project.write("pyrlab.toml", f'[base]\nsource = "registry"\nimage = "{host}/{NAME}:{TAG}"\n')
        given = {"SSL_CERT_FILE": str(ca), "DOCKER_CONFIG": str(tmp_path / "docker")}
        fails(project, "lock", "debs", status=6, says=REGISTRY, remedy="network", **given)
        squid.forget()
        # What the name stands for `lock` has learnt; the engine, which brings the image, knows nothing of this proxy.
        fails(project, "lock", "debs", status=6, says=digest, remedy="docker login", HTTPS_PROXY=squid.url, **given)
        assert squid.passed() == {(USER, "CONNECT", host)}


@pytest.mark.parametrize(("kind", "user"), [("debs", f"{USER}:wrong@"), ("python", "")], ids=["apt", "uv"])
def test_a_proxy_that_wants_a_password_says_so(behind: Behind, kind: str, user: str) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy"), f"http://{user}{behind.squid.address}")
    given = {**behind.environment, **proxies}
    fails(behind.project, "lock", kind, status=6, says="proxy", remedy="http://USER:PASSWORD@HOST:PORT", **given)


@pytest.fixture
def caching(behind: Behind) -> Iterator[Project]:
    """Run `proxies` in the project behind squid, and yield it; at the end nothing of them is left."""
    if volumes.labelled({"io.pyrlab.proxies": ""}):
        pytest.skip(
            "nox -s proxies has run here, and the test would remove what they keep: nox -s proxies -- --stop, and "
            "docker volume rm pyrlab-apt-cacher-ng pyrlab-devpi, if it may go"
        )
    behind.project.succeed("proxies", **behind.environment)
    try:
        yield behind.project
    finally:
        behind.project.succeed("proxies", "--stop")
        for volume in volumes.labelled({"io.pyrlab.proxies": ""}):
            volumes.remove(volume)


def test_proxies_of_ones_own_are_one_command(behind: Behind, caching: Project) -> None:
    """apt-cacher-ng and devpi go on through squid, which alone knows the archive and the index."""
    again = caching.succeed("proxies", **behind.environment)
    assert "starting" not in again
    line = next(line for line in again.splitlines() if line.startswith("  export "))
    settings = dict(word.split("=", 1) for word in line.split()[1:])
    assert set(settings) == {"APTPROXY", "PIPPROXY"}

    behind.squid.forget()
    caching.succeed("lock", "debs", "python", **{**behind.environment, **settings})
    of_debian, of_python = (engine.client().containers.get(f"pyrlab-{name}") for name in ("apt-cacher-ng", "devpi"))
    _, log = of_debian.exec_run(["cat", "/var/log/apt-cacher-ng/apt-cacher.log"])
    assert b"dists/stable" in log
    assert b"GET /root/pypi/+simple/pyrlab-test-behind/" in of_python.logs()
    assert {(USER, "GET", behind.hosts[ARCHIVE]), (USER, "GET", behind.hosts[INDEX])} <= behind.squid.passed()

    kept = f"{of_debian.attrs} {of_python.attrs} {of_debian.logs()!r} {of_python.logs()!r}"
    assert [secret for secret in SECRETS if secret in kept] == []
    elsewhere = engine.client().networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    for port in (3141, 3142):
        assert is_open("127.0.0.1", port)
        assert not is_open(elsewhere, port)

    caching.succeed("proxies", "--stop")
    assert not is_open("127.0.0.1", 3142)
    assert "nothing to do" in caching.succeed("proxies", "--stop")


def is_open(address: str, port: int) -> bool:
    """Tell whether somebody answers at a port."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0
