"""A base image of a registry: Debian's docker-registry gives it, and the labs run on the image's own Python."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SOURCE, Project, fails, make_project, tagged
from registry_server import (
    OFFICIAL_TAG,
    ROOT_TAG,
    USER,
    Registry,
    busy,
    digest,
    docker,
    make_official_image,
    registry,
)

from pyrlab.adapters import registry as adapter
from pyrlab.adapters.docker import engine
from pyrlab.adapters.http import RefusedError, Web
from pyrlab.errors import NetworkError, UsageError
from pyrlab.model.base_image import Reference

NAME, TAG = "team/python", "3.13-slim-trixie"
OWN = "pyrlab-test/registry-"


def resolve(
    server: Registry,
    cache: Path,
    *,
    architecture: str = "amd64",
    ca_file: Path | None = None,
    retries: int | None = 1,
) -> str:
    """Return the digest that lock would pin."""
    reference = Reference.parse(f"{server.host}/{NAME}:{TAG}", where="base.image")
    web = Web(cache, ca_file=ca_file, retries=retries)
    return adapter.Registry(web, reference, adapter.credentials(reference.host)).resolve(architecture)


def log_in(folder: Path, host: str, user: tuple[str, str]) -> None:
    """Write what `docker login` would write into a configuration folder."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(":".join(user).encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}), encoding="utf-8")


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a Docker configuration that knows nobody."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate of 127.0.0.1, which signs itself, and its key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*made, *subject, *files], check=True, timeout=60, stderr=subprocess.DEVNULL)
    return paths


def test_an_index_gives_each_architecture_its_own(tmp_path: Path, docker_config: Path) -> None:
    assert not docker_config.exists()
    with registry(tmp_path / "registry") as server:
        single = server.put_image(NAME, TAG)
        assert resolve(server, tmp_path / "cache") == single
        with pytest.raises(UsageError, match="it is for linux/amd64, and the engine is arm64"):
            resolve(server, tmp_path / "cache", architecture="arm64")
        digests = server.make_index(NAME, TAG, "arm64")
        found = {name: resolve(server, tmp_path / "cache", architecture=name) for name in ("amd64", "arm64")}
        assert found == digests
        assert found["amd64"] == single != found["arm64"]
        with pytest.raises(UsageError, match="it is for linux/arm64, linux/amd64, and the engine is riscv64"):
            resolve(server, tmp_path / "cache", architecture="riscv64")


def test_only_who_is_logged_in_gets_in(tmp_path: Path, docker_config: Path) -> None:
    with registry(tmp_path / "registry", closed=True) as server:
        digest = server.put_image(NAME, TAG)
        with pytest.raises(RefusedError) as caught:
            resolve(server, tmp_path / "cache")
        assert caught.value.remedy.startswith(f"docker login {server.host}")
        log_in(docker_config, server.host, (USER[0], "wrong"))
        with pytest.raises(RefusedError):
            resolve(server, tmp_path / "cache")
        log_in(docker_config, server.host, USER)
        assert resolve(server, tmp_path / "cache") == digest


def test_tls_is_trusted_by_the_ca_of_the_settings_alone(
    tmp_path: Path, docker_config: Path, certificate: tuple[Path, Path]
) -> None:
    with registry(tmp_path / "registry", closed=True, tls=certificate) as server:
        digest = server.put_image(NAME, TAG)
        log_in(docker_config, server.host, USER)
        assert resolve(server, tmp_path / "cache", ca_file=certificate[0]) == digest
        with pytest.raises(NetworkError, match="no trusted connection"):
            resolve(server, tmp_path / "cache")
        # The password never went over a line without TLS.
        assert "HTTP request to an HTTPS server" not in (tmp_path / "registry/log").read_text(encoding="utf-8")


def test_a_registry_that_asks_for_patience_gets_it(tmp_path: Path, docker_config: Path) -> None:
    """As the public ones do where many ask: 429, and the seconds to wait."""
    assert not docker_config.exists()
    with registry(tmp_path / "registry") as server, busy(server, refusals=2) as (host, statuses):
        digest = server.put_image(NAME, TAG)
        began = time.monotonic()
        assert resolve(dataclasses.replace(server, host=host), tmp_path / "cache", retries=None) == digest
        assert time.monotonic() - began >= 2
    assert statuses == [429, 429, 200, 200]


def test_a_registry_that_has_no_time_at_all_is_named(tmp_path: Path, docker_config: Path) -> None:
    assert not docker_config.exists()
    with registry(tmp_path / "registry") as server, busy(server, refusals=99) as (host, statuses):
        project = make_project(tmp_path / "project")
        project.write("pyrlab.toml", f'[base]\nsource = "registry"\nimage = "{host}/{NAME}:{TAG}"\n')
        fails(project, "lock", status=6, says=f"{host}/v2/{NAME}/manifests/{TAG} answered 429", remedy="base.image")
    assert statuses == [429] * 4
    assert not (project.path / "debs.lock").exists()


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the engine have an image that is laid out like Python's official ones."""
    project = make_project(tmp_path_factory.mktemp("bootstrapped"))
    shutil.copy(SOURCE / "debs.lock", project.path)
    project.succeed("lock", "debs")
    make_official_image(project)
    yield
    docker("rmi", "--force", ROOT_TAG, OFFICIAL_TAG)


@pytest.fixture
def based(tmp_path: Path, official: None) -> Iterator[tuple[Project, Registry]]:
    """Return a small project on an image of a registry that wants a user, and the registry."""
    assert official is None
    log_in(tmp_path / "docker", "", USER)
    with registry(tmp_path / "registry", closed=True) as server:
        log_in(tmp_path / "docker", server.host, USER)
        project = make_project(tmp_path / "project", DOCKER_CONFIG=str(tmp_path / "docker"))
        image = server.push(OFFICIAL_TAG, f"{NAME}:{TAG}", config=tmp_path / "docker")
        project.write(
            "pyrlab.toml",
            f'[base]\nsource = "registry"\nimage = "{image}"\n[images]\nprefix = "{OWN}"\ntag = "latest"\n',
        )
        shutil.copy(SOURCE / "requirements.lock", project.path)
        yield project, server
    for tag in tagged(OWN):
        if tag not in {ROOT_TAG, OFFICIAL_TAG}:
            engine.client().images.remove(tag, force=True)


def asked_for_the_tag(server: Registry) -> int:
    """Return how often the registry was asked what the tag names."""
    return (server.folder / "log").read_text(encoding="utf-8").count(f'"GET /v2/{NAME}/manifests/{TAG} ')


def test_labs_run_on_the_python_of_an_image(based: tuple[Project, Registry]) -> None:
    """From an index for two architectures, whose tag moves later."""
    project, server = based
    digests = server.make_index(NAME, TAG, "arm64")
    project.succeed("lock")
    lock = project.read("debs.lock")
    assert f"# digest: {digests['amd64']}\n" in lock
    project.succeed("build")
    assert f"FROM {server.host}/{NAME}@{digests['amd64']} AS root\n" in project.read(".pyrlab/Dockerfile")
    said = docker(
        "run",
        "--rm",
        "pyrlab-test/registry-pylab",
        "python",
        "-c",
        "import sys, tabulate; print(sys.base_prefix, sys.prefix)",
    )
    assert said.splitlines()[-1] == "/usr/local /opt/lab"
    assert '"packages": []' in docker("run", "--rm", "pyrlab-test/registry-rlab", "list-added")
    # A lock run that may move nothing does not even ask.
    asked = asked_for_the_tag(server)
    project.succeed("lock", "debs")
    assert asked_for_the_tag(server) == asked > 0
    assert project.read("debs.lock") == lock
    move_the_tag(server, Path(project.environment["DOCKER_CONFIG"]))
    project.succeed("lock", "debs")
    assert project.read("debs.lock") == lock
    image = f"{server.host}/{NAME}:{TAG}"
    assert f"other files  {image}" in project.succeed("lock", "debs", "--upgrade-package", image)
    pinned = re.findall(r"^# digest: (.*)$", project.read("debs.lock"), re.MULTILINE)
    assert pinned == [digest(server.manifest(NAME, TAG))] != [digests["amd64"]]


def move_the_tag(server: Registry, config: Path) -> None:
    """Let the tag name another image, of the same packages."""
    tag = f"{OFFICIAL_TAG}-moved"
    text = f"FROM {OFFICIAL_TAG}\nLABEL moved=yes\n"
    docker("buildx", "build", "--quiet", "--provenance=false", f"--tag={tag}", "-", text=text)
    server.push(tag, f"{NAME}:{TAG}", config=config)
    docker("rmi", tag)


def layers(tag: str) -> list[str]:
    """Return the digests of an image's layers."""
    return [str(layer) for layer in json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", tag))]


@pytest.mark.nightly
def test_such_a_project_is_built_again_from_a_bundle(based: tuple[Project, Registry], tmp_path: Path) -> None:
    """From the image that came along: the registry is asked for nothing there."""
    project, server = based
    project.succeed("lock")
    project.succeed("build")
    project.succeed("bundle", "--sources", str(tmp_path / "labs.tar"))
    there = Project(tmp_path / "there", {**project.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    taken = [sys.executable, "-S", "-m", "pyrlab.cli.unbundle", str(tmp_path / "labs.tar"), str(there.path)]
    subprocess.run(taken, check=True, timeout=600, env=there.environment)
    digest = re.findall(r"^# digest: sha256:(\w{32})", there.read("debs.lock"), re.MULTILINE)[0]
    assert f"pyrlab-root:{digest}" in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "pyrlab-root")
    try:
        # Under names that nothing was loaded for.
        there.write("pyrlab.toml", there.read("pyrlab.toml").replace("/registry-", "/registry-again-"))
        asked = (server.folder / "log").read_text(encoding="utf-8").count(f"/v2/{NAME}/")
        printed = there.succeed("build", "--locked")
        assert "building pyrlab-base, pylab, rlab-base, rlab" in printed
        assert "downloading" not in printed
        assert f"FROM pyrlab-root:{digest} AS root\n" in there.read(".pyrlab/Dockerfile")
        assert (server.folder / "log").read_text(encoding="utf-8").count(f"/v2/{NAME}/") == asked
        below = layers(f"pyrlab-root:{digest}")
        assert layers(f"{OWN}again-pylab")[: len(below)] == below
    finally:
        docker("image", "rm", f"pyrlab-root:{digest}")


def test_an_image_without_python_is_refused(based: tuple[Project, Registry]) -> None:
    """Nothing is written: the bootstrapped root, which has Debian's Python, is such an image."""
    project, server = based
    image = server.push(ROOT_TAG, "team/debian:trixie", config=Path(project.environment["DOCKER_CONFIG"]))
    project.write("pyrlab.toml", project.read("pyrlab.toml").replace(f"{server.host}/{NAME}:{TAG}", image))
    fails(project, "lock", status=2, says=f"the image {image} has no Python of its own", remedy="base.image")
    assert not (project.path / "debs.lock").exists()
