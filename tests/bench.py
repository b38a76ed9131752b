"""Measure what the documentation promises, side by side in one run, and print it as a table.

``--quick`` takes seconds: what starts, and what has nothing to do. The whole takes a quarter of an hour or more.
"""

import io
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings

SOURCE = Path(__file__).parents[1]
sys.path.insert(0, str(SOURCE / "tests/integration"))
ROUNDS = 5
TIMEOUT = 3600
PREFIX = "pyrlab-bench/"
# Left in a project's copy: what git, Nox and builds keep beside it.
BESIDE = (".git", ".nox", ".pyrlab", "__pycache__", ".*_cache", ".hypothesis")
Row = tuple[str, str]
# The usual way to such a lab: what somebody writes who knows Docker.
CLASSIC = """\
FROM {root}
ARG run
RUN : $run && apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes {debs}
{python}
"""
CLASSIC_PYTHON = """\
COPY requirements.in /
RUN --mount=type=secret,id=ca PIP_CERT=/run/secrets/ca python3 -m venv /opt/lab && \\
    PIP_CERT=/run/secrets/ca /opt/lab/bin/pip install --quiet --no-cache-dir -r /requirements.in
"""


def main() -> None:
    """Run the measurements in this checkout; its images must be built."""
    project = Path.cwd()
    rows = [*idle(project), *starts(project)]
    if "--quick" not in sys.argv:
        import bench_r  # noqa: PLC0415 - a quick run needs nothing of it

        rows += [*cold(project), *one_more_package(project), *bench_r.rows(), *sizes(project)]
    table = Table("measured", "value", title=f"{os.cpu_count()} cores; median of {ROUNDS} where it is repeated")
    for name, text in rows:
        table.add_row(name, text)
    Console(width=120).print(table)


def idle(project: Path) -> Iterator[Row]:
    """Measure the whole command when there is nothing to do."""
    yield "build, nothing to do", seconds(median(lambda: pyrlab(project, "build")))


def starts(project: Path) -> Iterator[Row]:
    """Measure how long a lab takes to answer."""
    for lab in read_settings(project, os.environ).graph.labs:
        yield f"{lab}: docker run to the first answer of /api", seconds(median(start(project, lab)))


def cold(project: Path) -> Iterator[Row]:
    """Measure builds of all images from nothing, and the classic way beside it."""
    with copied(project) as copy, tempfile.TemporaryDirectory() as nothing:
        make_new(copy)
        yield "cold build of all images, downloads included", seconds(pyrlab(copy, "build", XDG_CACHE_HOME=nothing))
        make_new(copy)
        yield "cold build of all images, files fetched already", seconds(pyrlab(copy, "build"))
        for lab, took in classic(copy).items():
            yield f"classic Dockerfile of {lab}, downloads included", seconds(took)
        remove_images(copy)


def make_new(project: Path) -> None:
    """Edit a step that all others stand on: for BuildKit nothing is then known."""
    with (project / "docker/install/root/configure-root").open("a", encoding="utf-8") as file:
        file.write(f"# {secrets.token_hex(16)}\n")


def classic(project: Path) -> dict[str, float]:
    """Return the seconds that the classic way to each lab takes; the copy's images were built before."""
    root = f"{PREFIX}root:latest"
    bake = ["docker", "buildx", "bake", "--file", "bake.json", "--set", "pylab.target=root", "--set", "pylab.secrets="]
    subprocess.run(
        [*bake, "--set", f"pylab.tags={root}", "pylab"], cwd=project / ".pyrlab", check=True, timeout=TIMEOUT
    )
    base, r_debs = words(project / "base_debs.txt"), words(project / "r_debs.txt")
    of_r = [f"r-cran-{name.lower()}" for name in words(project / "r_packages.txt")]
    return {
        "pylab": classic_build(project, CLASSIC.format(root=root, debs=" ".join(base), python=CLASSIC_PYTHON)),
        "rlab": classic_build(project, CLASSIC.format(root=root, debs=" ".join([*base, *r_debs, *of_r]), python="")),
    }


def words(path: Path) -> list[str]:
    """Return the names in a list."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def classic_build(project: Path, dockerfile: str) -> float:
    """Build a Dockerfile from nothing, and return the seconds that it took."""
    (project / "Dockerfile.classic").write_text(dockerfile, encoding="utf-8")
    settings = read_settings(project, os.environ)
    ca = settings.ca_file or os.devnull
    command = ["docker", "buildx", "build", "--file", "Dockerfile.classic", "--no-cache", "--secret", f"id=ca,src={ca}"]
    tag = f"{PREFIX}classic:latest"
    began = time.perf_counter()
    run = ["--build-arg", f"run={secrets.token_hex(8)}", "--tag", tag, "."]
    subprocess.run([*command, *run], cwd=project, check=True, timeout=TIMEOUT, capture_output=True)
    took = time.perf_counter() - began
    engine.client().images.remove(tag, force=True)
    return took


def one_more_package(project: Path) -> Iterator[Row]:
    """Measure a relock and a rebuild with one more Python package, whose bytes nobody has seen before."""
    from index_server import served  # noqa: PLC0415 - it stands with the integration tests

    name = f"pyrlab-bench-{secrets.token_hex(4)}"
    with copied(project) as copy, served({name: wheel(name)}) as url:
        pyrlab(copy, "build", "pylab")
        before = layers(copy)
        with (copy / "requirements.in").open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        yield "one more Python package: lock", seconds(pyrlab(copy, "lock", "python", PIPPROXY=url))
        yield "one more Python package: build", seconds(pyrlab(copy, "build", "pylab", PIPPROXY=url))
        after = layers(copy)
        new = sum(size for digest, size in after.items() if digest not in before)
        yield "one more Python package: re-shipped", f"{100 * new / sum(after.values()):.2f} % of the image"
        remove_images(copy)


def sizes(project: Path) -> Iterator[Row]:
    """Tell how large the images are."""
    settings = read_settings(project, os.environ)
    for name in settings.graph.images:
        size = engine.client().images.get(settings.tag(name)).attrs["Size"]
        yield f"{name}: size", f"{size / 1e9:.2f} GB"


def seconds(value: float) -> str:
    """Return a time as the table shows it."""
    return f"{value:.2f} s"


def median(measure: Callable[[], float]) -> float:
    """Return the median of some rounds, in seconds."""
    return statistics.median(measure() for _ in range(ROUNDS))


def pyrlab(project: Path, *arguments: str, **environment: str) -> float:
    """Run pyrlab in ``project`` and return the seconds that it took."""
    began = time.perf_counter()
    own = {**os.environ, "PYTHONPATH": str(SOURCE / "src"), **environment}
    command = [sys.executable, "-m", "pyrlab", *arguments]
    subprocess.run(command, cwd=project, env=own, timeout=TIMEOUT, check=True, capture_output=True)
    return time.perf_counter() - began


@contextmanager
def copied(project: Path) -> Iterator[Path]:
    """Yield a copy of the project whose images have names of their own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*BESIDE))
        toml = copy / "pyrlab.toml"
        text = toml.read_text(encoding="utf-8")
        assert 'prefix = ""' in text, "a prefix is set: the copy would build over its images"
        toml.write_text(text.replace('prefix = ""', f'prefix = "{PREFIX}"'), encoding="utf-8")
        yield copy


def remove_images(project: Path) -> None:
    """Remove what a copy has built."""
    settings = read_settings(project, os.environ)
    tags = {tag for image in engine.client().images.list() for tag in image.tags}
    for name in settings.graph.images:
        if settings.tag(name) in tags:
            engine.client().images.remove(settings.tag(name), force=True)


def layers(project: Path) -> dict[str, int]:
    """Return the sizes in bytes of pylab's layers, by digest."""
    image = engine.client().images.get(read_settings(project, os.environ).tag("pylab"))
    shown = [entry["Size"] for entry in reversed(image.history()) if entry["Size"]]
    digests = image.attrs["RootFS"]["Layers"]
    # An empty layer has a digest, and no size to speak of.
    return dict(zip(digests[-len(shown) :], shown, strict=True)) if len(shown) <= len(digests) else {}


def wheel(name: str) -> dict[str, bytes]:
    """Return a wheel with random bytes in it, as {file name: content}."""
    module, stream = name.replace("-", "_"), io.BytesIO()
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{module}.py", f'NOISE = "{secrets.token_hex(1000)}"\n')
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return {f"{module}-1.0-py3-none-any.whl": stream.getvalue()}


def start(project: Path, lab: str) -> Callable[[], float]:
    """Return a measurement: seconds from `docker run` until ``/api`` answers."""
    tag = read_settings(project, os.environ).tag(lab)

    def measure() -> float:
        began = time.perf_counter()
        container: Container = engine.client().containers.run(tag, ports={"8888/tcp": ("127.0.0.1", 0)}, detach=True)
        try:
            container.reload()
            port = (container.ports["8888/tcp"] or [{}])[0]["HostPort"]
            session = requests.Session()
            session.trust_env = False
            while True:
                try:
                    if session.get(f"http://127.0.0.1:{port}/api", timeout=5).ok:
                        return time.perf_counter() - began
                except requests.RequestException:
                    time.sleep(0.02)
        finally:
            container.remove(force=True)

    return measure


if __name__ == "__main__":
    main()
