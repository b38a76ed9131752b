"""Measure what the documentation promises, side by side in one run, and print it as a table."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bench_r
import requests
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model import graph

ROUNDS = 5
TIMEOUT = 3600
# Small, pure and in no list.
NEW_PACKAGE = "toolz"


def main() -> None:
    """Run all measurements in this checkout; its images must be built."""
    project = Path.cwd()
    rows = [("nothing to build", median(lambda: pyrlab(project, "build")))]
    rows += [(f"{lab}: docker run to the first answer of /api", median(start(lab))) for lab in graph.LABS]
    rows += one_more_package(project)
    r_rows = bench_r.rows()
    table = Table("measured", "value", title=f"{os.cpu_count()} cores, median of {ROUNDS} where repeated")
    for name, value in rows:
        table.add_row(name, f"{value:.2f} s")
    for name, text in r_rows:
        table.add_row(name, text)
    for name in graph.IMAGES:
        size = engine.client().images.get(read_settings(project, os.environ).tag(name)).attrs["Size"]
        table.add_row(f"{name}: size", f"{size / 1e9:.2f} GB")
    Console().print(table)


def median(measure: Callable[[], float]) -> float:
    """Return the median of some rounds, in seconds."""
    return statistics.median(measure() for _ in range(ROUNDS))


def pyrlab(project: Path, *arguments: str) -> float:
    """Run pyrlab in ``project`` and return the seconds that it took."""
    began = time.perf_counter()
    source = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    command = [sys.executable, "-m", "pyrlab", *arguments]
    subprocess.run(command, cwd=project, env={**os.environ, **source}, timeout=TIMEOUT, check=True, capture_output=True)
    return time.perf_counter() - began


def start(lab: str) -> Callable[[], float]:
    """Return a measurement: seconds from `docker run` until ``/api`` answers."""

    def measure() -> float:
        began = time.perf_counter()
        container: Container = engine.client().containers.run(
            read_settings(Path.cwd(), os.environ).tag(lab), ports={"8888/tcp": ("127.0.0.1", 0)}, detach=True
        )
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


def one_more_package(project: Path) -> list[tuple[str, float]]:
    """Return the seconds to relock and to rebuild pylab with one more Python package, in a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git", ".nox", ".pyrlab"))
        toml = copy / "pyrlab.toml"
        assert 'prefix = ""' in toml.read_text(encoding="utf-8"), (
            "a prefix is set: the copy would build over its images"
        )
        text = toml.read_text(encoding="utf-8").replace('prefix = ""', 'prefix = "pyrlab-bench/"')
        toml.write_text(text.replace('tag = ""', 'tag = "latest"'), "utf-8")
        pyrlab(copy, "build", "pylab")
        with (copy / "requirements.in").open("a", encoding="utf-8") as file:
            file.write(f"{NEW_PACKAGE}\n")
        relock = pyrlab(copy, "lock", "python")
        rebuild = pyrlab(copy, "build", "pylab")
        engine.client().images.remove("pyrlab-bench/pylab:latest", force=True)
    return [("one more Python package: relock", relock), ("one more Python package: rebuild pylab", rebuild)]


if __name__ == "__main__":
    main()
