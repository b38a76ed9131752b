"""`nox -s build`: what is built again, what is shared, and what never enters an image."""

import http.server
import io
import json
import os
import re
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
from conftest import PREFIX, Project, images_of

from pyrlab.adapters.docker import buildkit, engine
from pyrlab.adapters.docker.buildkit import Bake

IMAGES = ("pyrlab-base", "pylab", "rlab-base", "rlab")


def ids() -> dict[str, str]:
    """Return the ids of the small project's images, by image."""
    client = engine.client()
    return {name: str(client.images.get(f"{PREFIX}{name}:latest").id) for name in IMAGES}


def layers(name: str, tag: str = "latest") -> list[str]:
    """Return the digests of an image's layers, lowest first, but for that of the proof, which holds nothing."""
    image = engine.client().images.get(f"{PREFIX}{name}:{tag}")
    made_by = [entry["CreatedBy"] for entry in reversed(image.history())]
    steps = [text for text in made_by if text.split()[0] in {"COPY", "RUN", "WORKDIR"}]
    digests: list[str] = image.attrs["RootFS"]["Layers"]
    return [digest for digest, text in zip(digests, steps, strict=True) if "check-environment" not in text]


def steps(printed: str) -> list[str]:
    """Return the build steps that really ran, as `build` tells them."""
    return re.findall(r"^· (\S+): [\d.]+ s$", printed, re.MULTILINE)


def run_in(name: str, *command: str) -> str:
    """Run a command in a container of an image and return what it printed."""
    printed = engine.client().containers.run(
        f"{PREFIX}{name}:latest", list(command[1:]), entrypoint=command[0], remove=True
    )
    return str(printed.decode())


@pytest.fixture(autouse=True)
def _as_built(built_project: Project) -> Iterator[None]:
    """Give the shared tags back to the shared project, however the test ends."""
    yield
    built_project.succeed("build")


def test_a_second_build_changes_nothing(built_project: Project) -> None:
    before = ids()
    printed = built_project.succeed("build", "--locked")
    assert printed == "· nothing to do: pyrlab-base, pylab, rlab-base, rlab are what the locks say\n"
    assert ids() == before


def test_the_labs_share_jupyterlab_and_debian_as_layers(built_project: Project) -> None:
    del built_project
    shared = set(layers("pylab")) & set(layers("rlab"))
    assert set(layers("pyrlab-base")) == shared
    for name in ("pylab", "rlab"):
        assert run_in(name, "jupyter", "--version")


def test_images_tell_what_they_are_made_from(built_project: Project) -> None:
    del built_project
    labels = engine.client().images.get(f"{PREFIX}rlab:latest").labels
    assert labels["org.opencontainers.image.title"] == "rlab"
    assert labels["io.pyrlab.debs.lock"].startswith("sha256:")
    assert labels["io.pyrlab.r_packages.lock"].startswith("sha256:")
    assert "io.pyrlab.requirements.lock" not in labels


def test_a_layer_made_again_has_the_digest_it_had(built_project: Project) -> None:
    """A step that the engine's cache has lost runs again, and nobody has to transfer its layer again."""
    # Its own bake file: the last build may have been of rlab alone.
    engine.client().images.remove(f"{PREFIX}pylab:latest", noprune=True)
    built_project.succeed("build", "pylab")
    work, step = built_project.path / ".pyrlab", "python-pylab.light-05"
    target = json.loads((work / buildkit.BAKE_FILE).read_text("utf-8"))["target"]["pylab"]
    again = {**target, "secret": [], "no-cache-filter": [step], "tags": [f"{PREFIX}pylab:again"]}
    said: list[str] = []
    buildkit.bake(Bake(work, {"pylab": again}), say=said.append)
    assert any(line.startswith(f"{step}: ") for line in said)
    assert layers("pylab", "again") == layers("pylab")
    # But for the one folder where everybody may add packages.
    find = "find /opt/lab -path /opt/lab/added -prune -o -perm -o=w ! -type l -print"
    assert run_in("pylab", "sh", "-c", find) == ""


def test_an_image_on_top_can_ask_debian(built_project: Project) -> None:
    """As `RUN apt-get update` of a Dockerfile with `FROM pyrlab-base` does, as root."""
    del built_project
    ask = "apt-get update --error-on=any >/dev/null && apt-get install --simulate --quiet sl | grep '^Inst sl '"
    proxies = {name: value for name, value in os.environ.items() if name in {"http_proxy", "https_proxy", "no_proxy"}}
    run = engine.client().containers.run
    found = run(
        f"{PREFIX}pyrlab-base:latest", ["-c", ask], entrypoint="sh", user="root", environment=proxies, remove=True
    )
    assert found


def test_python_packages_are_compiled_but_for_their_tests(built_project: Project) -> None:
    del built_project
    assert run_in("pylab", "find", "/opt/lab/lib", "-path", "*/traitlets/__pycache__/traitlets.*.pyc").count("\n") == 1
    assert run_in("pylab", "find", "/opt/lab/lib", "-path", "*/tests/*.py", "-print", "-quit")
    assert run_in("pylab", "find", "/opt/lab/lib", "-path", "*/tests/*.pyc") == ""


def test_a_python_package_rebuilds_its_own_part_only(project: Project) -> None:
    project.write("requirements.in", "tabulate==0.9.0\nxlrd\n")
    project.succeed("lock", "python")
    before, pylab = ids(), layers("pylab")
    printed = project.succeed("build")
    # At most: what BuildKit's cache still holds from an earlier run is not built again.
    ran = {step for step in steps(printed) if step != "pylab"}
    assert len(ran) <= 1
    assert all(step.startswith("python-pylab.light-") for step in ran)
    after = ids()
    assert {name for name in before if before[name] != after[name]} == {"pylab"}
    assert len(set(layers("pylab")) - set(pylab)) == 1
    assert "xlrd" in run_in("pylab", "python", "-c", "import xlrd; print(xlrd.__name__)")


def test_an_r_package_leaves_pylab_alone(project: Project) -> None:
    project.write("r_packages.txt", "zoo\nxts\n")
    project.succeed("lock", "r")
    before = ids()
    printed = project.succeed("build")
    assert set(steps(printed)) <= {"rlab-system", "rlab-compilers", "rlab-library", "rlab-debian", "rlab"}
    after = ids()
    assert {name for name in before if before[name] != after[name]} == {"rlab"}
    assert "0." in run_in("rlab", "Rscript", "-e", "cat(as.character(packageVersion('xts')))")


class ForwardingHandler(http.server.BaseHTTPRequestHandler):
    """A forwarding HTTP proxy: it fetches what it is asked for and remembers the hosts."""

    seen: set[str] = set()  # noqa: RUF012 - one proxy a test

    def do_GET(self) -> None:
        """Fetch the absolute URL of the request line."""
        self.seen.add(str(urlsplit(self.path).hostname))
        with build_opener(ProxyHandler({})).open(self.path, timeout=60) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def proxy() -> Iterator[str]:
    """Run a forwarding proxy on this machine's loopback and yield its URL, with credentials in it."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ForwardingHandler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://someone:hush-hush@127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_a_proxy_is_used_and_leaves_no_trace(built_project: Project, project: Project, proxy: str) -> None:
    project.write("base_debs.txt", "ed\nless\n")
    project.write("pyrlab.toml", images_of("proxied-"))
    project.succeed("lock", "debs", APTPROXY=proxy)
    project.succeed("--debug", "build", "pyrlab-base", APTPROXY=proxy)
    assert ForwardingHandler.seen
    del built_project
    image = engine.client().images.get(f"{PREFIX}proxied-pyrlab-base:latest")
    assert "hush-hush" not in str(image.history()) + str(image.attrs)
    for lock in ("debs.lock", "r_packages.lock"):
        assert "hush-hush" not in project.read(lock)
    stream = io.BytesIO(b"".join(image.save()))
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is None or b"hush-hush" not in file.read(), member.name
