"""Installs R packages by a plan: verified first, compiled on all cores, kept compiled for the builds to come.

Each line that begins with "pyrlab-r" is for pyrlab to read; it comes when a package is done, or with the failure.
"""

import argparse
import contextlib
import errno
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import archives
from plan import Package, PackageError, read_plan, run

CACHE_BYTES = 3 * 2**30
CCACHE_SIZE = "1Gi"
KERNELS = Path("/usr/local/share/jupyter/kernels")
PATH = "/usr/local/bin:/usr/bin:/bin"
TAIL_LINES = 40
TIMEOUT = 3600.0
# A file that another build left half written, in seconds: no compile takes that long.
STALE = 86400.0
# A gate loads every package when all are in, so no install needs to. R's own staging keeps a half-installed package out
# of the library, where another one could find it and take it for whole.
OPTIONS = ("--use-vanilla", "--pkglock", "--no-multiarch", "--strip", "--strip-lib", "--no-test-load")
# Debian's R compiles with -g, and --strip would throw away what that costs.
FLAGS = (
    *(f"C{year}FLAGS" for year in ("", 90, 99, 17, 23)),
    *(f"CXX{year}FLAGS" for year in ("", 11, 14, 17, 20, 23, 26)),
    "FFLAGS",
    "FCFLAGS",
)
COMPILERS = (*(f"CC{year}" for year in ("", 90, 99, 17, 23)), *(f"CXX{year}" for year in ("", 11, 14, 17, 20, 23, 26)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where files come from and go to. ``work`` is in the library, so that what is ready moves in by a rename."""

    files: Path
    library: Path
    cache: Path
    work: Path
    cores: int


def install(package: Package, place: Place) -> str:
    """Put one package into the library, from the cache or from its file, and return the line that says how.

    Raises PackageError, and OSError when the disk is full.
    """
    folder = place.work / package.name
    kind, file = _verified(package, place.files)
    if kind == "source" and _cached(package, place, folder):
        return f"pyrlab-r cached {package}"
    tree = _unpack(file, folder, package)
    if kind == "binary":
        if not _field(tree, "Built"):
            raise _refused(package, "DESCRIPTION says that it is source, and the plan that it is a binary")
        _settle(tree, place)
        return f"pyrlab-r unpacked {package}"
    begin = time.monotonic()
    _compile(package, tree, place)
    seconds = time.monotonic() - begin
    _store(package, place)
    shutil.rmtree(folder)
    return f"pyrlab-r compiled {package} {seconds:.1f}s"


def _cached(package: Package, place: Place, folder: Path) -> bool:
    """Tell whether the package was in the cache, and is now in the library. A damaged entry goes away."""
    entry = place.cache / f"{package.key}.tar"
    try:
        os.utime(entry)
        _settle(_unpack(entry, folder, package), place)
    except FileNotFoundError:
        return False
    except PackageError:
        entry.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def _verified(package: Package, files: Path) -> tuple[str, Path]:
    """Return kind and path of the first file that was downloaded. Raises PackageError when its bytes are others."""
    for kind, sha256 in package.files:
        with contextlib.suppress(FileNotFoundError), (files / sha256).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise PackageError(f"pyrlab-r mismatch {package}")
            return kind, files / sha256
    raise _refused(package, "none of its files was downloaded")


def _unpack(path: Path, folder: Path, package: Package) -> Path:
    """Unpack a package's file into ``folder`` and return its tree there. Raises PackageError."""
    try:
        tree = archives.unpack(path, folder, package.name)
    except ValueError as error:
        raise _refused(package, str(error)) from error
    said = f"{_field(tree, 'Package')} {_field(tree, 'Version')}"
    if said != str(package):
        raise _refused(package, f"DESCRIPTION says {said}")
    return tree


def _field(tree: Path, name: str) -> str:
    """Return a one-line field of an unpacked package's DESCRIPTION, or an empty text."""
    with contextlib.suppress(FileNotFoundError):
        text = (tree / "DESCRIPTION").read_text(encoding="latin-1")
        if match := re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", text, re.MULTILINE):
            return match[1]
    return ""


def _refused(package: Package, reason: str) -> PackageError:
    return PackageError(f"pyrlab-r refused {package}: {reason}")


def _settle(tree: Path, place: Place) -> None:
    """Move an installed package's tree into the library, in the place of what is there."""
    _date(tree, (tree / "DESCRIPTION").stat().st_mtime)
    target = place.library / tree.name
    shutil.rmtree(target, ignore_errors=True)
    tree.rename(target)
    tree.parent.rmdir()


def _date(tree: Path, moment: float) -> None:
    """Give a whole tree one time, so that two builds give the same bytes."""
    for folder, _, names in os.walk(tree):
        for name in (".", *names):
            os.utime(Path(folder, name), (moment, moment), follow_symlinks=False)


def _compile(package: Package, tree: Path, place: Place) -> None:
    """Run R CMD INSTALL. The date that it writes into the package is the source's, not today's."""
    moment = int((tree / "DESCRIPTION").stat().st_mtime)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    command = ["R", "CMD", "INSTALL", *OPTIONS, f"--built-timestamp={stamp}", f"--library={place.library}", str(tree)]
    output = tree.parent / "output"
    if not _succeeds(command, output, {**environment(place, tree.parent), "SOURCE_DATE_EPOCH": str(moment)}):
        text = output.read_text(encoding="utf-8", errors="replace")
        full = ["pyrlab-r full"] if os.strerror(errno.ENOSPC) in text else []
        wants = package.system_requirements
        raise PackageError(
            *full,
            f"pyrlab-r failed {package}",
            "pyrlab-r output",
            *text.splitlines()[-TAIL_LINES:],
            "pyrlab-r end",
            *([f"pyrlab-r requirements {package.name}: {wants}"] if wants else []),
        )
    _date(place.library / package.name, moment)


def _succeeds(command: list[str], output: Path, variables: Mapping[str, str]) -> bool:
    """Run a command with its output in a file, and tell whether it ended with 0, and in time."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=output.parent,
            start_new_session=True,
        )
        try:
            return process.wait(TIMEOUT) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            stream.write(f"\nstill running after {TIMEOUT:.0f} seconds\n".encode())
            return False


def environment(place: Place, home: Path) -> dict[str, str]:
    """Return all variables that a compile sees: nothing of who builds, and where."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "R_LIBS": str(place.library),
        "R_MAKEVARS_USER": str(place.work / "Makevars"),
        "MAKEFLAGS": f"-j{place.cores}",
        "CCACHE_DIR": str(place.cache / "ccache"),
        "CCACHE_MAXSIZE": CCACHE_SIZE,
        "CCACHE_NOHASHDIR": "1",
    }


def makevars(*, ccache: bool) -> str:
    """Return what make reads after R's own settings: no debug information, and ccache where it is installed."""
    lines = [f"{name} += -g0\n" for name in FLAGS]
    if ccache:
        lines += [f"{name} := $(if $({name}),ccache $({name}))\n" for name in COMPILERS]
    return "".join(lines)


def _store(package: Package, place: Place) -> None:
    """Keep an installed package for the next build, which sees the whole entry or none."""
    with tempfile.NamedTemporaryFile(dir=place.cache, prefix=".", suffix=".half", delete=False) as stream:
        half = Path(stream.name)
        try:
            with tarfile.open(fileobj=stream, mode="w") as archive:
                archive.add(place.library / package.name, package.name, filter=archives.plain)
            stream.flush()
            os.fsync(stream.fileno())
            half.replace(place.cache / f"{package.key}.tar")
        finally:
            half.unlink(missing_ok=True)


def prune(cache: Path, limit: int) -> None:
    """Remove the entries used longest ago until ``limit`` bytes are left, and what other builds left half written."""
    entries = []
    for path in (*cache.glob("*.tar"), *cache.glob(".*.half")):
        with contextlib.suppress(FileNotFoundError):
            entries.append((path.stat().st_mtime, path.stat().st_size, path))
    kept = 0
    for moment, size, path in sorted(entries, reverse=True):
        kept += size
        if kept > limit or (path.suffix == ".half" and moment < time.time() - STALE):
            path.unlink(missing_ok=True)


def add_kernel(library: Path, kernels: Path) -> None:
    """Copy IRkernel's own kernelspec to where Jupyter looks."""
    shutil.copytree(library / "IRkernel" / "kernelspec", kernels / "ir", dirs_exist_ok=True)


def ccache_use(place: Place) -> list[str]:
    """Return a line that tells how many files ccache has had ever, and how many it compiled, if it is there."""
    if not shutil.which("ccache", path=PATH):
        return []
    variables = {"PATH": PATH, "CCACHE_DIR": str(place.cache / "ccache")}
    shown = subprocess.run(
        ["/usr/bin/ccache", "--print-stats"], env=variables, capture_output=True, text=True, check=False
    )
    counts = dict(line.split("\t", 1) for line in shown.stdout.splitlines() if "\t" in line)
    hits = sum(int(counts.get(f"{kind}_cache_hit", 0)) for kind in ("direct", "preprocessed"))
    return [f"pyrlab-r ccache {hits} hits, {counts.get('cache_miss', 0)} misses"]


def main() -> int:
    """Install what the plan says. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("plan", "files", "library", "cache"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--kernels", type=Path, default=KERNELS)
    options = parser.parse_args()
    os.umask(0o022)
    work = options.library / ".pyrlab"
    place = Place(options.files, options.library, options.cache, work, len(os.sched_getaffinity(0)))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    place.cache.mkdir(parents=True, exist_ok=True)
    (work / "Makevars").write_text(makevars(ccache=shutil.which("ccache", path=PATH) is not None), encoding="utf-8")
    try:
        packages = read_plan(options.plan)
        for line in run(packages, lambda package: install(package, place), workers=place.cores):
            say(line)
    except ValueError as error:
        say(f"pyrlab-r plan {error}")
        return 1
    except PackageError as error:
        say(*error.args)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if "IRkernel" in packages:
        add_kernel(place.library, options.kernels)
    prune(place.cache, CACHE_BYTES)
    say(*ccache_use(place))
    return 0


def say(*lines: str) -> None:
    """Print lines at once, for BuildKit to pass on."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
