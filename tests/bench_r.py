"""Measure what is claimed of R packages: resolving, locking, and compiling beside R's own way of it."""

import gzip
import hashlib
import io
import itertools
import json
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pyrlab.adapters.docker import engine
from pyrlab.model.cran.index import Index
from pyrlab.model.cran.record import Record
from pyrlab.model.cran.resolver import resolve
from pyrlab.model.cran.universe import Universe
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

sys.path.insert(0, str(Path(__file__).parent / "integration"))

import conftest
import vintages
from cran_server import CranServer

RECORDS = 22_000
ROOTS = (160, 3000)
SEED = 20261123
BUILDER = "pyrlab-bench/r-build"
KEPT = "pyrlab-bench/r-library"
BINARIES = 100
INSTALLER = conftest.SOURCE / "docker/install/r"
INSTALL = "python3 /r/install_packages.py /section/plan /section /usr/local/lib/R/site-library /tmp/cache"
PACK = """
set -eu
cd /usr/local/lib/R/site-library
for name in *; do
    version=$(sed -n "s/^Version: *//p" "$name/DESCRIPTION")
    tar -czf "/out/${name}_$version.tar.gz" "$name"
done
"""
TIMEOUT = 3600
SETTINGS = '[images]\nprefix = "pyrlab-bench/"\ntag = "latest"\n[r]\nrepositories = ["cran={url}"]\n'
LISTS = {
    "r_debs.txt": "r-recommended\nr-base-dev\n",
    "r_packages.txt": "dplyr\nggplot2\n",
}
BASELINE = "options(repos = 'file:///repository'); install.packages(c('IRkernel', 'dplyr', 'ggplot2'))"
# The baseline ends with 0 whatever it failed to do.
PROOF = "stopifnot(all(sapply(c('IRkernel', 'dplyr', 'ggplot2'), requireNamespace)))"


def rows() -> list[tuple[str, str]]:
    """Return all that was measured: what, and how much."""
    return [*resolving(), *building()]


class Shelf:
    """A repository that is an index alone."""

    def __init__(self, index: Index) -> None:
        self.name = "cran"
        self.index = index
        self.names = index.names

    def records(self, name: str) -> tuple[Record, ...]:
        """Return what the index has."""
        return self.index.records(name)

    def archived(self, name: str) -> tuple[str, ...]:
        """Return nothing."""
        del name
        return ()

    def describe(self, name: str, version: str) -> None:
        """Return nothing."""

    def broken(self, name: str) -> tuple[str, ...]:
        """Return what the index says."""
        return self.index.broken(name)

    def needs(self, name: str) -> bool:
        """Return what the index says."""
        return self.index.needs(name)


def generated() -> bytes:
    """Return a PACKAGES index as long as CRAN's, where a few packages are needed by many, as there."""
    chance = random.Random(SEED)  # noqa: S311 - a benchmark's data, the same each time
    stanzas = []
    for number in range(RECORDS):
        needed = {int(chance.random() ** 3 * min(number, 500)) for _ in range(min(number, chance.randint(0, 7)))}
        imports = ", ".join(f"package{one} (>= 1.0)" for one in sorted(needed))
        filler = " ".join(f"suggested{chance.randint(0, RECORDS)}," for _ in range(12))
        stanzas.append(
            f"Package: package{number}\nVersion: 1.{number % 40}.{number % 7}\nDepends: R (>= 3.5.0), methods\n"
            f"Imports: {imports}\nSuggests: {filler}\nLicense: GPL (>= 3)\nMD5sum: {'0' * 32}\nNeedsCompilation: no\n"
        )
    return "\n".join(stanzas).encode()


def resolving() -> list[tuple[str, str]]:
    """Measure a short and a long list, each in a process of its own, so that its memory is the resolver's."""
    found = []
    for roots in ROOTS:
        code = f"import bench_r; bench_r.resolve_once({roots})"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
        )
        count, seconds, megabytes = done.stdout.split()
        what = f"resolve {count} packages among {RECORDS} records, index read anew"
        found += [(what, f"{float(seconds):.2f} s"), ("its memory at most, Python's own included", f"{megabytes} MB")]
    return found


def resolve_once(roots: int) -> None:
    """Resolve a list of so many packages once and print packages, seconds and megabytes."""
    data = generated()
    requests = [RRequest(f"package{number * 3}", "", "", f"list:{number}") for number in range(roots)]
    began = time.perf_counter()
    solution = resolve(requests, Universe(RVersion.parse("4.5.0"), [Shelf(Index.parse(data))]))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{len(solution.packages)} {seconds:.3f} {peak}\n")


def building() -> list[tuple[str, str]]:
    """Measure locks and builds on the real packages of one vintage."""
    with tempfile.TemporaryDirectory() as folder:
        project = conftest.make_project(Path(folder, "project"))
        shutil.copy(conftest.SOURCE / "requirements.lock", project.path)
        project.succeed("lock")
        found = vintages.fetch(project.path, project.environment)
        cran = vintages.repository(Path(folder, "cran"), "trixie", found)
        renew(cran / "src/contrib", "zoo")
        with CranServer(cran) as server:
            for name, text in LISTS.items():
                project.write(name, text)
            project.write("pyrlab.toml", SETTINGS.format(url=server.url))
            project.succeed("lock", "r")
            project.succeed("build", "rlab")
            measured = [
                ("lock again, all downloads there", timed(lambda: project.succeed("lock", "r"))),
                *one_more(project),
            ]
        builder(project.path)
        packed, section = Path(folder, "packed"), Path(folder, "section")
        packed.mkdir()
        section.mkdir()
        ours, theirs = compiling(project.path, cran, packed)
        unpacked, size = unpacking(packed, section)
    clean()
    return [
        *((what, f"{seconds:.2f} s") for what, seconds in measured),
        ("compile the closure of IRkernel, dplyr and ggplot2", f"{ours:.0f} s"),
        ("the same by install.packages", f"{theirs:.0f} s, {theirs / ours:.2f} times as long"),
        (f"install {BINARIES} Linux binaries, {size / 1e6:.0f} MB", f"{unpacked:.2f} s"),
    ]


def renew(contrib: Path, name: str) -> None:
    """Pack a package anew with another time in it, so that nobody has compiled these bytes yet."""
    (package,) = contrib.glob(f"{name}_*.tar.gz")
    package.write_bytes(gzip.compress(gzip.decompress(package.read_bytes()), mtime=time.time()))


def one_more(project: conftest.Project) -> list[tuple[str, float]]:
    """Measure what one more small source package costs; its bytes are new, so nothing has it compiled."""
    project.write("r_packages.txt", f"{LISTS['r_packages.txt']}zoo\n")
    return [
        ("one more R package with C code: lock", timed(lambda: project.succeed("lock", "r"))),
        ("one more R package with C code: build rlab", timed(lambda: project.succeed("build", "rlab"))),
    ]


def builder(project: Path) -> None:
    """Give the stage that compiles a name, so that both ways of compiling start from the same."""
    chosen = ["--set", "rlab.target=rlab-compilers", "--set", f"rlab.tags={BUILDER}", "--set", "rlab.secrets="]
    command = ["docker", "buildx", "bake", "--file", "bake.json", *chosen, "rlab"]
    subprocess.run(command, cwd=project / ".pyrlab", check=True, timeout=TIMEOUT, capture_output=True)


def compiling(project: Path, cran: Path, out: Path) -> tuple[float, float]:
    """Return the seconds that our build step takes for the whole closure, nothing cached, and install.packages'.

    What ours installed is packed into ``out``, a file for each package.
    """
    section = project / ".pyrlab/sections/rlab.r"
    ours = run(f'{INSTALL} && Rscript -e "{PROOF}"', {INSTALLER: "/r", section: "/section"}, keep=out)
    theirs = run(f'Rscript -e "{BASELINE}; {PROOF}"', {cran: "/repository"})
    return ours, theirs


def unpacking(binaries: Path, section: Path) -> tuple[float, int]:
    """Return the seconds that our build step takes for a hundred binaries, and their bytes.

    They are what was compiled before; to make a hundred, some are there again under other names.
    """
    packages, size = [], 0
    for number, path in zip(range(BINARIES), itertools.cycle(sorted(binaries.iterdir())), strict=False):
        name, _, version = path.name.removesuffix(".tar.gz").partition("_")
        other = f"{name}.copy{number}"
        content = renamed(path, name, other)
        digest = hashlib.sha256(content).hexdigest()
        (section / digest).write_bytes(content)
        size += len(content)
        files = [{"kind": "binary", "sha256": digest}]
        entry = {"name": other, "version": version, "key": digest, "files": files}
        packages.append({**entry, "after": [], "system_requirements": ""})
    (section / "plan").write_text(json.dumps({"packages": packages}), encoding="utf-8")
    return run(INSTALL, {INSTALLER: "/r", section: "/section"}), size


def renamed(path: Path, name: str, other: str) -> bytes:
    """Return a binary package under another name."""
    stream = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=stream, mode="w:gz") as new:
        for member in old:
            data = old.extractfile(member) if member.isfile() else None
            content = data.read() if data else b""
            if member.name == f"{name}/DESCRIPTION":
                content = content.replace(f"Package: {name}\n".encode(), f"Package: {other}\n".encode())
            member.name = other + member.name.removeprefix(name)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def run(command: str, mounts: dict[Path, str], keep: Path | None = None) -> float:
    """Return the seconds that a command takes in a fresh container of the builder, as root.

    Afterwards the library that it made is packed into the folder ``keep``.
    """
    volumes = {str(path.resolve()): {"bind": target, "mode": "ro"} for path, target in mounts.items()}
    if keep:
        volumes[str(keep)] = {"bind": "/out", "mode": "rw"}
    container = engine.client().containers.create(
        BUILDER, ["-c", command], entrypoint="sh", volumes=volumes, user="root"
    )
    try:
        container.start()
        began = time.perf_counter()
        status = container.wait()["StatusCode"]
        took = time.perf_counter() - began
        assert status == 0, container.logs().decode()
        if keep:
            container.commit(KEPT)
            engine.client().containers.run(
                KEPT, ["-c", PACK], entrypoint="sh", volumes=volumes, user="root", remove=True
            )
    finally:
        container.remove(force=True)
    return took


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def clean() -> None:
    """Remove the images of the benchmark."""
    client = engine.client()
    for image in client.images.list():
        for tag in image.tags:
            if tag.startswith("pyrlab-bench/"):
                client.images.remove(tag, force=True)
