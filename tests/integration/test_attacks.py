"""Attacks on the pins: each must end in a clear error, or have no effect."""

import gzip
import hashlib
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import PREFIX, Project, images_of
from cran_server import CranServer, put, tarball
from index_server import served, source_distribution, wheel

from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.debs import DebsLock

NAME = "pyrlab-test-hostile"
# What a package's own code tries while it is asked for its dependencies, and while its wheel is built; and notes. The
# index, which it tries to reach at {port}, is in reach of the step that asks.
SETUP = """
import os, socket, sys
from pathlib import Path
from setuptools import setup

done = []

def attempt(what, action):
    try:
        action()
    except BaseException:
        return
    done.append(what)

def writable(cache):
    # Of uv's cache it has its own folder, which no lock believes.
    folders = (folder for folder, _, _ in os.walk(cache) if os.access(folder, os.W_OK))
    return next(folder for folder in folders if not folder.startswith((f"{{cache}}/sdists-", f"{{cache}}/builds-")))

attempt("opened a connection", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt("could write into uv's cache", lambda: writable("/var/cache/pyrlab-uv"))
attempt("wrote into the tools", lambda: Path("/opt/tools/bin/pyrlab-was-here").write_text(""))
attempt("wrote an answer", lambda: Path("/out/pyrlab-was-here").write_text(""))
attempt("changed the request", lambda: Path("/tmp/lock/requirements.in").write_text(""))
attempt("read a secret", lambda: Path("/run/secrets/uv").read_text())
attempt("saw the host", lambda: Path({host!r}).read_text())
attempt("wrote into the section", lambda: Path("/dev/section/pyrlab-was-here").write_text(""))
if os.getuid() == 0:
    done.append("was root")
if "bdist_wheel" in sys.argv:
    attempt("had a route", lambda: Path("/proc/net/route").read_text().splitlines()[1])
Path("pyrlab_test_hostile.py").write_text(f"DONE = {{done!r}}\\n")
if "egg_info" in sys.argv or "dist_info" in sys.argv:
    if done:
        raise SystemExit(f"HOSTILE {{done}}")
setup(name="pyrlab-test-hostile", version="1.0", py_modules=["pyrlab_test_hostile"])
"""
# The same for R: what stands outside of functions is run while the package is installed.
R_CODE = """
done <- character()
attempt <- function(what, action) {{
  stopped <- function(condition) NULL
  tryCatch({{ force(action); done <<- c(done, what) }}, error = stopped, warning = stopped)
}}
attempt("opened a connection", socketConnection("127.0.0.1", {port}, timeout = 2))
attempt("had a route", stopifnot(length(readLines("/proc/net/route")) > 1))
attempt("saw the host", readLines("{host}", warn = FALSE))
attempt("saw other packages in the cache", stopifnot(length(list.files("/var/cache/pyrlab-r")) > 0))
attempt("read the seal", readLines("/run/secrets/seal", warn = FALSE))
library <- "/usr/local/lib/R/site-library"
for (folder in c("/var/cache/pyrlab-r", "/dev/section", "/dev/r", library, R.home("library"))) {{
  attempt(paste("wrote into", folder), writeLines("", file.path(folder, "pyrlab-was-here")))
}}
# What anybody may do: without it nobody would know whether anything is tried at all.
attempt("read what is its own", readLines("/etc/os-release", warn = FALSE))
if (system("id -u", intern = TRUE) == "0") done <- c(done, "was root")
tried <- function() done
"""


# A program that the last step of a build calls as root, if it takes the lab's own for that.
SHADOW = "pyrlab-test-shadow"
PROGRAM = '#!/bin/sh\ntouch /pyrlab-was-here\nexec /usr/bin/setpriv "$@"\n'


@pytest.fixture
def of_the_host(tmp_path: Path) -> Path:
    """Return a file of this machine that everybody here can read."""
    path = tmp_path / "of-the-host"
    path.write_text("of the host", encoding="utf-8")
    return path


def test_a_hostile_python_package_reaches_nobody(project: Project, of_the_host: Path) -> None:
    """Neither when its dependencies are asked for, nor when its wheel is built, nor by a program that it brings."""
    project.write("requirements.in", f"tabulate==0.9.0\n{NAME}\n{SHADOW}\n")
    project.write("pyrlab.toml", images_of("hostile-"))
    packages = {SHADOW: wheel(SHADOW, "1.0", {"pyrlab_test_shadow-1.0.data/scripts/setpriv": PROGRAM})}
    with served(packages) as url:
        setup = SETUP.format(host=str(of_the_host), port=urlsplit(url).port)
        packages[NAME] = source_distribution(NAME, "1.0", {"setup.py": setup})
        project.succeed("lock", "python", PIPPROXY=url)
        project.succeed("build", "pylab", PIPPROXY=url)
    printed = engine.client().containers.run(
        f"{PREFIX}hostile-pylab:latest",
        ["-c", "import os, pyrlab_test_hostile as own; print(own.DONE, os.path.exists('/pyrlab-was-here'))"],
        entrypoint="/opt/lab/bin/python",
        remove=True,
    )
    assert printed == b"[] False\n"


def test_a_hostile_r_package_reaches_nobody(built_project: Project, project: Project, of_the_host: Path) -> None:
    """Its own code runs while it is installed, and again in the gate; it tries all that the Python one does."""
    del built_project
    folder = of_the_host.with_name("repository")
    with CranServer(folder) as server:
        files = {
            "DESCRIPTION": "Package: hostile\nVersion: 1.0\nTitle: Made for a test\n",
            "NAMESPACE": "export(tried)\n",
            "R/tried.R": R_CODE.format(host=of_the_host, port=urlsplit(server.url).port),
            # No cache has it.
            "inst/run": uuid.uuid4().hex,
        }
        data = tarball({f"hostile/{path}": text.encode() for path, text in files.items()})
        put(folder, "src/contrib/hostile_1.0.tar.gz", data)
        put(folder, "src/contrib/PACKAGES.gz", gzip.compress(b"Package: hostile\nVersion: 1.0\n"))
        project.write("r_packages.txt", "zoo\nhostile\n")
        project.write("pyrlab.toml", images_of("hostile-") + f'[r]\nrepositories = ["debian", "lab={server.url}"]\n')
        project.succeed("lock", "r")
        project.succeed("build", "rlab")
    printed = engine.client().containers.run(
        f"{PREFIX}hostile-rlab:latest",
        ["--vanilla", "-e", "cat('tried:', hostile::tried())"],
        entrypoint="Rscript",
        remove=True,
    )
    assert printed == b"tried: read what is its own"


def test_a_source_distribution_that_needs_what_nobody_pins_is_refused_when_locking(untouched: Project) -> None:
    """Not at build time, where it would be resolved by whoever answers."""
    pyproject = '[build-system]\nrequires = ["pyrlab-test-backend>=1"]\nbuild-backend = "setuptools.build_meta"\n'
    metadata = f"Metadata-Version: 2.2\nName: {NAME}\nVersion: 1.0\n"
    files = {"pyproject.toml": pyproject, "PKG-INFO": metadata, "setup.py": "from setuptools import setup; setup()"}
    untouched.write("requirements.in", f"tabulate==0.9.0\n{NAME}\n")
    with served({NAME: source_distribution(NAME, "1.0", files)}) as url:
        outcome = untouched.run("lock", "python", PIPPROXY=url)
    assert outcome.status != 0, outcome.output
    assert "pyrlab-test-backend" in outcome.output, outcome.output
    assert "Traceback" not in outcome.output


def deb_of(project: Project, name: str) -> tuple[Path, Path]:
    """Return the file of a locked deb in the store, and in the section that installs it."""
    lock = DebsLock.parse(project.read("debs.lock"))
    pin = next(pin for pin in lock.sections["pyrlab-base"] if pin.name == name)
    settings = read_settings(project.path, project.environment)
    in_section = settings.workspace.work / "sections/pyrlab-base.debs" / f"{name}_{pin.version}_{pin.architecture}.deb"
    return settings.cache / "files" / pin.sha256, in_section


@pytest.mark.parametrize("where", ["store", "section"])
def test_a_deb_of_the_right_name_and_size_but_other_bytes_is_not_installed(
    built_project: Project, project: Project, where: str
) -> None:
    """In whichever place: it is found out and fetched anew."""
    del built_project
    project.write("pyrlab.toml", images_of("swapped-"))
    project.succeed("build", "pyrlab-base")
    in_store, in_section = deb_of(project, "ed")
    good = in_store.read_bytes()
    bad = good[:-10] + bytes(byte ^ 0xFF for byte in good[-10:])
    path = in_store if where == "store" else in_section
    # A file of its own: the attacker's, under the good one's name, and as old as that.
    other = path.with_name("attack")
    other.write_bytes(bad)
    other.replace(path)
    project.write("base_debs.txt", "ed\nless\n")
    project.succeed("lock", "debs")
    project.succeed("build", "pyrlab-base")
    assert hashlib.sha256(in_store.read_bytes()).hexdigest() == in_store.name
    assert in_section.read_bytes() == good
    installed = engine.client().containers.run(
        f"{PREFIX}swapped-pyrlab-base:latest", ["--verify", "ed"], entrypoint="dpkg", remove=True
    )
    assert installed == b""
