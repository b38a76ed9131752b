"""A company's own authority inside the labs: trusted there as soon as `labs.trust_ca` says so, and not before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from conftest import PREFIX, Project, fails, images_of
from cran_server import CranServer, put
from docker.errors import ContainerError
from index_server import wheel

from pyrlab.adapters.docker import engine

TRUSTING = images_of("trusting-") + "[labs]\ntrust_ca = true\n"
# What asks a server, each with a list of authorities of its own, and what it prints where it trusts.
PIP = "python -m pip download --quiet --no-deps --retries 0 --dest /tmp/d --index-url {url}/simple behind && ls /tmp/d"
REQUESTS = "python -c \"import requests; print(requests.get('{url}/simple/').status_code)\""
R = "Rscript -e \"download.file('{url}/simple/', '/tmp/x', quiet = TRUE); cat(file.size('/tmp/x') > 0)\""
PROGRAMS = [
    pytest.param("pylab", PIP, "behind-1.0-py3-none-any.whl", id="pip"),
    pytest.param("pylab", REQUESTS, "200", id="requests"),
    pytest.param("rlab", R, "TRUE", id="R"),
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
def trusting(built_project: Project, company: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the labs with the company's authority, and return what their images' names begin with."""
    project = built_project.copy(tmp_path_factory.mktemp("trusting") / "project")
    project.write("pyrlab.toml", TRUSTING)
    fails(project, "build", status=2, says="no certificates are named", remedy="network.ca_file", SSL_CERT_FILE="")
    project.succeed("build", SSL_CERT_FILE=str(company[1]))
    return f"{PREFIX}trusting-"


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
        said(f"{PREFIX}{lab}", asked)


def test_a_key_beside_the_certificate_does_not_enter_an_image(trusting: str) -> None:
    folders = "/usr/local/share/ca-certificates /etc/ssl"
    assert said(f"{trusting}pylab", f"cat $(find {folders} -type f) | grep -c 'PRIVATE KEY' || true") == "0"
    assert said(f"{trusting}pylab", "ls /usr/local/share/ca-certificates") == "pyrlab-000.crt"
