"""Installs R packages by a plan: verified first, compiled on all cores, kept compiled for the builds to come.

Each line that begins with "pyrlab-r" is for pyrlab to read; it comes when a package is done, or with the failure.
"""

import argparse
import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import archives
import jobs
import sandbox
from cache import Cache
from plan import Package, PackageError, read_plan, run

KERNELS = Path("/usr/local/share/jupyter/kernels")
PATH = "/usr/local/bin:/usr/bin:/bin"
TAIL_LINES = 40
LINE_LENGTH = 1000
TIMEOUT = 3600.0
# The exit status when a file has other bytes than the plan says.
MISMATCH = 8
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where files come from and go to. ``work`` is in the library, so that what is ready moves in by a rename.

    ``ids`` are the users that packages' own code runs as, by package; ``timeout`` is for each of them, in seconds.
    """

    files: Path
    library: Path
    cache: Cache
    work: Path
    server: jobs.JobServer
    ids: Mapping[str, int]
    timeout: float


def install(package: Package, place: Place) -> str:
    """Put one package into the library, from the cache or from its file, and return the line that says how.

    Raises PackageError, and OSError when the disk is full.
    """
    folder = place.work / "packages" / package.name
    try:
        with place.server.token(package.name, place.ids[package.name]) as makeflags:
            return _install(package, place, folder, makeflags)
    finally:
        sandbox.remove(folder)


def _install(package: Package, place: Place, folder: Path, makeflags: str) -> str:
    kind, content = _verified(package, place.files)
    if kind != "binary" and _cached(package, place, folder):
        return f"pyrlab-r cached {package}"
    # A forge packs a commit into a folder called after repository and commit.
    tree = _unpack(content, folder, package, any_top=kind == "commit")
    if kind == "binary":
        if not _field(tree, "Built"):
            raise _refused(package, "DESCRIPTION says that it is source, and the plan that it is a binary")
        _settle(tree, place)
        return f"pyrlab-r unpacked {package}"
    begin = time.monotonic()
    packed = _compile(package, tree, place, makeflags)
    seconds = time.monotonic() - begin
    # Unpacked like an entry of the cache: so the next build, which takes it from there, has the very same.
    _settle(_unpack(packed, folder / "packed", package), place)
    place.cache.add(package.key, packed)
    return f"pyrlab-r compiled {package} {seconds:.1f}s"


def _cached(package: Package, place: Place, folder: Path) -> bool:
    """Tell whether the package was in the cache, and is now in the library."""
    content = place.cache.get(package.key)
    if content is None:
        return False
    _settle(_unpack(content, folder, package), place)
    return True


def _verified(package: Package, files: Path) -> tuple[str, bytes]:
    """Return kind and bytes of the first file that was fetched. Raises PackageError when its bytes are others."""
    for kind, sha256 in package.files:
        with contextlib.suppress(FileNotFoundError):
            content = (files / sha256).read_bytes()
            if hashlib.sha256(content).hexdigest() != sha256:
                raise PackageError(f"pyrlab-r mismatch {package}")
            return kind, content
    raise _refused(package, "none of its files was fetched")


def _unpack(content: bytes, folder: Path, package: Package, *, any_top: bool = False) -> Path:
    """Unpack a package's file into ``folder`` and return its tree there. Raises PackageError."""
    try:
        tree = archives.unpack(content, folder, package.name, any_top=any_top)
    except ValueError as error:
        raise _refused(package, str(error)) from error
    _must_be(tree, package)
    return tree


def _must_be(tree: Path, package: Package) -> None:
    said = f"{_field(tree, 'Package')} {_field(tree, 'Version')}"
    if said != str(package):
        raise _refused(package, f"DESCRIPTION says {said}")


def _field(tree: Path, name: str) -> str:
    """Return a one-line field of an unpacked package's DESCRIPTION, or an empty text."""
    with contextlib.suppress(OSError):
        text = (tree / "DESCRIPTION").read_text(encoding="latin-1")
        if match := re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", text, re.MULTILINE):
            return match[1]
    return ""


def _refused(package: Package, reason: str) -> PackageError:
    # A reason may hold names that the package chose: no line break of theirs begins a line of ours.
    printable = "".join(sign if sign.isprintable() else "?" for sign in reason)
    return PackageError(f"pyrlab-r refused {package}: {printable}")


def _settle(tree: Path, place: Place) -> None:
    """Move an installed package's tree into the library, in the place of what is there."""
    _date(tree, (tree / "DESCRIPTION").stat().st_mtime)
    target = place.library / tree.name
    shutil.rmtree(target, ignore_errors=True)
    tree.rename(target)


def _date(tree: Path, moment: float) -> None:
    """Give a whole tree one time, so that two builds give the same bytes."""
    for folder, _, names in os.walk(tree):
        for name in (".", *names):
            os.utime(Path(folder, name), (moment, moment), follow_symlinks=False)


def _compile(package: Package, tree: Path, place: Place, makeflags: str) -> bytes:
    """Run R CMD INSTALL as the package's own user, into a library of its own; return what it installed, packed.

    The date that R writes into the package is the source's, not today's.
    """
    folder, uid = tree.parent, place.ids[package.name]
    moment = int((tree / "DESCRIPTION").stat().st_mtime)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    # No package's name begins so.
    private = folder / ".library"
    private.mkdir()
    sandbox.give(folder, uid)
    command = ["R", "CMD", "INSTALL", *OPTIONS, f"--built-timestamp={stamp}", f"--library={private}", str(tree)]
    variables = {**environment(place, folder), "MAKEFLAGS": makeflags, "SOURCE_DATE_EPOCH": str(moment)}
    try:
        well, output = sandbox.run(command, uid=uid, variables=variables, timeout=place.timeout, cwd=folder)
        if not well:
            raise _failed(package, output)
        sandbox.claim(folder, private, private / package.name)
        return _packed(private / package.name, moment)
    except sandbox.SlowError as slow:
        raise PackageError(*_tail(slow.output), f"pyrlab-r slow {package} {place.timeout:.0f}") from None
    except (sandbox.SandboxError, tarfile.TarError) as error:
        raise _refused(package, str(error)) from error


def _failed(package: Package, output: str) -> PackageError:
    full = ["pyrlab-r full"] if os.strerror(errno.ENOSPC) in output else []
    wants = package.system_requirements
    requirements = [f"pyrlab-r requirements {package.name}: {wants}"] if wants else []
    return PackageError(*full, f"pyrlab-r failed {package}", *_tail(output), *requirements)


def _tail(output: str) -> list[str]:
    """Return the end of what a compile printed, between lines that mark it. None of it looks like a line of ours."""
    said = output.replace("pyrlab-r", "pyrlab_r").splitlines()
    return ["pyrlab-r output", *(line[:LINE_LENGTH] for line in said[-TAIL_LINES:]), "pyrlab-r end"]


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
    }


def makevars() -> str:
    """Return what make reads after R's own settings: no debug information."""
    return "".join(f"{name} += -g0\n" for name in FLAGS)


def _packed(tree: Path, moment: int) -> bytes:
    """Return an installed package as an archive, all of it with one time in seconds: so equal trees are equal bytes."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = moment
        return archives.plain(member)

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(tree, tree.name, filter=plain)
    return stream.getvalue()


def add_kernel(library: Path, kernels: Path) -> None:
    """Copy IRkernel's own kernelspec to where Jupyter looks."""
    shutil.copytree(library / "IRkernel" / "kernelspec", kernels / "ir", dirs_exist_ok=True)


def main() -> int:
    """Install what the plan says. Returns the exit status."""
    options = _options()
    os.umask(0o022)
    work = options.library / ".pyrlab"
    sandbox.remove(work)
    work.mkdir(parents=True)
    (work / "Makevars").write_text(makevars(), encoding="utf-8")
    seal = options.seal.read_bytes().strip() if options.seal and options.seal.is_file() else b""
    count = jobs.bounded(options.jobs)
    cache = Cache(options.cache, seal)
    try:
        packages = read_plan(options.plan)
        ids = {name: sandbox.FIRST_ID + place for place, name in enumerate(sorted(packages))}
        server = jobs.JobServer(work / "jobs", count)
        place = Place(options.files, options.library, cache, work, server, ids, options.timeout)
        for line in run(packages, lambda package: install(package, place), workers=count):
            say(line)
    except ValueError as error:
        say(f"pyrlab-r plan {error}")
        return 1
    except PackageError as error:
        say(*error.args)
        # By its status, this is told from what packages' own code prints: nothing of theirs decides it.
        return MISMATCH if any(line.startswith("pyrlab-r mismatch ") for line in error.args) else 1
    finally:
        sandbox.remove(work)
    if "IRkernel" in packages:
        add_kernel(place.library, options.kernels)
    cache.prune()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("plan", "files", "library", "cache"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--kernels", type=Path, default=KERNELS)
    parser.add_argument("--seal", type=Path, help="a file with the key that entries of the cache are sealed by")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="compilers at once")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for each package")
    return parser.parse_args()


def say(*lines: str) -> None:
    """Print lines at once, for BuildKit to pass on."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
