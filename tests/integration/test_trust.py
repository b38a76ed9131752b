"""A company's own authority: trusted in the steps of `lock` where it is named, and inside labs by `labs.trust_ca`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from conftest import PREFIX, Project, fails, images_of
from cran_server import CranServer, put
from deb_archive import deb, publish
from docker.errors import ContainerError
from index_server import served, wheel
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from pyrlab.adapters.debian.archive import default_sources
from pyrlab.adapters.docker import engine
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.python import PythonLock

TRUSTING = images_of("trusting-") + "[labs]\ntrust_ca = true\n"
# What asks a server, each with a list of authorities of its own, and what it prints where it trusts.
PIP = "python -m pip download --quiet --no-deps --retries 0 --dest /tmp/d --index-url {url}/simple behind && ls /tmp/d"
REQUESTS = "python -c \"import requests; print(requests.get('{url}/simple/').status_code)\""
UV = "uv pip install --quiet --no-cache --target /tmp/u --index-url {url}/simple behind && ls /tmp/u | grep py$"
CURL = "curl --silent --output /tmp/x --write-out '%{{http_code}}' {url}/simple/"
R = "Rscript -e \"download.file('{url}/simple/', '/tmp/x', quiet = TRUE); cat(file.size('/tmp/x') > 0)\""
PROGRAMS = [
    pytest.param("pylab", PIP, "behind-1.0-py3-none-any.whl", id="pip"),
    pytest.param("pylab", REQUESTS, "200", id="requests"),
    pytest.param("pylab", UV, "behind.py", id="uv"),
    pytest.param("rlab", R, "TRUE", id="R"),
    pytest.param("rlab", CURL, "200", id="curl"),
]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run a server with TLS on this machine's loopback; yield its URL, and a file with its authority and a key."""
    folder = tmp_path_factory.mktemp("company")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    pems = (authority.private_key_pem, authority.cert_pem)
    (folder / "ca.pem").write_bytes(b"".join(pem.bytes() for pem in pems))
    for name, content in wheel("behind", "1.0", {"behind.py": ""}).items():
        put(folder / "www", f"simple/behind/{name}", content)
    with CranServer(folder / "www", tls=folder / "server.pem") as server:
        yield server.url, folder / "ca.pem"


@pytest.fixture(scope="module")
def trusting(locked_project: Project, company: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build labs with the company's authority, and without it; return what the names of the former begin with."""
    project = locked_project.copy(tmp_path_factory.mktemp("trusting") / "project")
    # Two of the programs are in no lab of their own accord.
    project.write("requirements.in", "tabulate==0.9.0\nuv\n")
    project.write("r_debs.txt", "curl\n")
    project.write("pyrlab.toml", images_of("not-trusting-"))
    project.succeed("lock")
    project.succeed("build")
    project.write("pyrlab.toml", TRUSTING)
    fails(project, "build", status=2, says="no certificates are named", remedy="network.ca_file", SSL_CERT_FILE="")
    project.succeed("build", SSL_CERT_FILE=str(company[1]))
    return f"{PREFIX}trusting-"


def test_apt_and_uv_ask_a_companys_own_servers_where_its_authority_is_named(project: Project, tmp_path: Path) -> None:
    """In the steps of `lock`, for an archive and an index with its certificate; and not where it is not named."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    # What is not the company's comes from where it always does.
    others = Path(os.environ.get("SSL_CERT_FILE") or DEFAULT_CA_BUNDLE_PATH)
    named = tmp_path / "authorities.pem"
    named.write_bytes(others.read_bytes() + b"\n" + authority.cert_pem.bytes())
    debs = {("pyrlab-test-own", "1"): deb("pyrlab-test-own", "1", {"usr/share/pyrlab-test-own": ("own\n", 0o644)})}
    lock = DebsLock.parse(project.read("debs.lock"))
    publish(tmp_path / "www/debian", "own", lock.architecture, debs)
    packages = {"pyrlab-test-own": wheel("pyrlab-test-own", "1.0", {"pyrlab_test_own.py": ""})}
    tls = tmp_path / "server.pem"
    with served(packages, tls=tls) as index, CranServer(tmp_path / "www", tls=tls) as server:
        sources = [*map(str, default_sources(lock.suite)), f"deb [trusted=yes] {server.url}/debian own main"]
        project.write("pyrlab.toml", f"[base]\napt_sources = {json.dumps(sources)}\n{images_of()}")
        project.write("base_debs.txt", "ed\npyrlab-test-own\n")
        project.write("requirements.in", "tabulate==0.9.0\npyrlab-test-own\n")
        for step in ("debs", "python"):
            says = "is not trusted"
            unnamed = {"SSL_CERT_FILE": str(others), "PIPPROXY": index}
            fails(project, "lock", step, status=6, says=says, remedy="SSL_CERT_FILE", **unnamed)
            if step == "python":
                # A host that is to be believed without a certificate; what it has not, comes from elsewhere.
                believing = project.copy(tmp_path / "believing")
                believing.succeed("lock", step, **unnamed, PIPHOST="127.0.0.1")
                assert believing.read("requirements.lock").count("pyrlab-test-own==1.0") == 1
            project.succeed("lock", step, SSL_CERT_FILE=str(named), PIPPROXY=index)
    assert DebsLock.parse(project.read("debs.lock")).version_of("pyrlab-test-own") == "1"
    assert PythonLock.parse(project.read("requirements.lock")).versions()["pyrlab-test-own"] == "1.0"


def said(image: str, command: str) -> str:
    """Return what a command prints in a container on this machine's own network."""
    printed = engine.client().containers.run(
        f"{image}:latest", ["-c", command], entrypoint="sh", network_mode="host", remove=True
    )
    return bytes(printed).decode().strip()


@pytest.mark.parametrize(("lab", "command", "answer"), PROGRAMS)
def test_programs_in_a_lab_trust_the_companys_authority(
    trusting: str, company: tuple[str, Path], lab: str, command: str, answer: str
) -> None:
    asked = command.format(url=company[0])
    assert said(f"{trusting}{lab}", asked) == answer
    with pytest.raises(ContainerError):
        said(f"{PREFIX}not-trusting-{lab}", asked)


def test_a_key_beside_the_certificate_does_not_enter_an_image(trusting: str) -> None:
    folders = "/usr/local/share/ca-certificates /etc/ssl"
    assert said(f"{trusting}pylab", f"cat $(find {folders} -type f) | grep -c 'PRIVATE KEY' || true") == "0"
    assert said(f"{trusting}pylab", "ls /usr/local/share/ca-certificates") == "pyrlab-000.crt"
