"""R packages from CRAN-like repositories: chosen, hashed and compiled once, on small packages made for the test."""

import gzip
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import PREFIX, Project, compiled, fails, images_of
from cran_server import CranServer, put, r_package, tarball

from pyrlab.adapters.debian.archive import default_sources
from pyrlab.adapters.docker import engine
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.r import RLock

CONTRIB = "src/contrib"
R_IMAGES = f"{PREFIX}r-"
DEBIAN_FIRST = images_of("r-") + '[r]\nrepositories = ["debian", "lab={url}"]\n'


class Lab:
    """A CRAN-like repository in a folder, and the server in front of it."""

    def __init__(self, server: CranServer) -> None:
        self.server = server
        self.current: dict[str, str] = {}

    def add(self, name: str, version: str, data: bytes, **fields: str) -> None:
        """Make this the current version of a package; an earlier one moves to the Archive, as on CRAN."""
        for old in (self.server.folder / CONTRIB).glob(f"{name}_*.tar.gz"):
            archive = self.server.folder / CONTRIB / "Archive" / name
            archive.mkdir(parents=True, exist_ok=True)
            old.rename(archive / old.name)
        put(self.server.folder, f"{CONTRIB}/{name}_{version}.tar.gz", data)
        lines = {"Package": name, "Version": version, **fields}
        self.current[name] = "".join(f"{key}: {value}\n" for key, value in lines.items())
        put(self.server.folder, f"{CONTRIB}/PACKAGES.gz", gzip.compress("\n".join(self.current.values()).encode()))

    def pure(self, name: str, version: str = "1.0", **fields: str) -> None:
        """Add a package without C code; its bytes are new in each run, so no cache has it."""
        self.add(
            name, version, r_package(name, version, **fields, Run=uuid.uuid4().hex), NeedsCompilation="no", **fields
        )

    def compiled(self, name: str, version: str = "1.0", *, code: str = "", flags: str = "", **fields: str) -> None:
        """Add a package with C code and a header of its own; its bytes are new in each run, so no cache has it."""
        described = {"Package": name, "Version": version, "Title": "Made for a test", **fields}
        files = {
            "DESCRIPTION": "".join(f"{key}: {value}\n" for key, value in described.items()),
            "NAMESPACE": f"useDynLib({name})\nexport(answer)\n",
            "R/answer.R": f"answer <- function() .Call('{name}_answer', PACKAGE = '{name}')\n",
            f"inst/include/{name}.h": f"#define {name.upper()} {int(version.replace('.', ''))}\n",
            "src/answer.c": f"#include <Rinternals.h>\n{code}SEXP {name}_answer(void) "
            f"{{ return Rf_ScalarInteger({fields.get('LinkingTo', '42').upper()}); }}\n",
            "inst/run": uuid.uuid4().hex,
            **({"src/Makevars": f"PKG_LIBS = {flags}\n"} if flags else {}),
        }
        if "LinkingTo" in fields:
            files["src/answer.c"] = f"#include <{fields['LinkingTo']}.h>\n" + files["src/answer.c"]
        data = tarball({f"{name}/{path}": text.encode() for path, text in files.items()})
        self.add(name, version, data, NeedsCompilation="yes", **fields)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Run an empty repository on this machine's loopback."""
    folder = tmp_path / "repository"
    folder.mkdir()
    with CranServer(folder) as server:
        yield Lab(server)


@pytest.fixture
def r_project(project: Project, lab: Lab) -> Project:
    """Return a copy of the small project that takes R packages from Debian first, and then from the repository."""
    project.write("pyrlab.toml", DEBIAN_FIRST.format(url=lab.server.url))
    return project


def know_headers(project: Project, lab: Lab, packages: Mapping[str, str]) -> None:
    """Add a Debian archive of our own, whose Contents tell which package has which file.

    A mirror may be out of step with itself for days, and then its own Contents tell nothing.
    """
    lock = DebsLock.parse(project.read("debs.lock"))
    contents = "".join(f"usr/{file} libdevel/{deb}\n" for file, deb in packages.items())
    indexes = {
        f"main/binary-{lock.architecture}/Packages": b"",
        f"main/Contents-{lock.architecture}.gz": gzip.compress(contents.encode()),
    }
    listed = [
        f" {put(lab.server.folder, f'debian/dists/headers/{path}', data)} {len(data)} {path}\n"
        for path, data in indexes.items()
    ]
    release = {
        "Codename": "headers",
        "Components": "main",
        "Architectures": lock.architecture,
        "Date": "Mon, 06 Jan 2020 00:00:00 UTC",
        "SHA256": "\n" + "".join(listed),
    }
    text = "".join(f"{key}: {value.rstrip()}\n" for key, value in release.items())
    put(lab.server.folder, "debian/dists/headers/Release", text.encode())
    sources = [*map(str, default_sources(lock.suite)), f"deb [trusted=yes] {lab.server.url}/debian headers main"]
    project.write("pyrlab.toml", f"[base]\napt_sources = {json.dumps(sources)}\n{project.read('pyrlab.toml')}")


def r(code: str) -> str:
    """Run R code in the rlab that was built last, and return what it printed."""
    printed = engine.client().containers.run(
        f"{R_IMAGES}rlab:latest", ["--vanilla", "-e", code], entrypoint="Rscript", remove=True
    )
    return str(printed.decode())


def without_downloads(project: Project, path: Path) -> dict[str, str]:
    """Return the variable that gives a command a cache which has the locked debs, and no R package."""
    mine = Path(project.environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pyrlab/files"
    cache = path / "cache/pyrlab"
    (cache / "files").mkdir(parents=True)
    r_lock = RLock.parse(project.read("r_packages.lock"))
    for pin in (*DebsLock.parse(project.read("debs.lock")).pins(), *r_lock.debs, *r_lock.build_debs):
        if (mine / pin.sha256).exists():
            shutil.copyfile(mine / pin.sha256, cache / "files" / pin.sha256)
    shutil.rmtree(project.path / ".pyrlab/sections", ignore_errors=True)
    return {"XDG_CACHE_HOME": str(cache.parent)}


def test_each_package_is_compiled_once_and_again_only_with_what_it_needs(
    built_project: Project, r_project: Project, lab: Lab, tmp_path: Path
) -> None:
    del built_project
    lab.compiled("alpha")
    lab.compiled("beta", LinkingTo="alpha")
    lab.compiled("gamma", Imports="alpha (>= 1.0)")
    lab.pure("delta")
    r_project.write("r_packages.txt", "beta\ngamma >= 1.0 @ lab\n")
    r_project.succeed("lock", "r")
    assert lab.server.url not in r_project.read("r_packages.lock")
    first = r_project.succeed("--debug", "build", "rlab")
    assert compiled(first) == {"alpha", "beta", "gamma"}
    assert r("cat(beta::answer(), gamma::answer())") == "10 42"
    assert "no compiler" in r("cat(if (nzchar(Sys.which('gcc'))) 'a compiler' else 'no compiler')")

    r_project.write("r_packages.txt", "beta\ngamma >= 1.0 @ lab\ndelta\n")
    r_project.succeed("lock", "r")
    assert compiled(r_project.succeed("build", "rlab")) == {"delta"}

    lab.compiled("alpha", "1.1")
    lab.compiled("gamma", "1.1", Imports="alpha (>= 1.0)")
    assert "r_packages.lock: nothing changed" in r_project.succeed("lock", "r")
    moved = r_project.copy(tmp_path / "moved")
    moved.write("pyrlab.toml", r_project.read("pyrlab.toml").replace("/r-", "/r-moved-"))
    moved.succeed("build", "rlab", **without_downloads(moved, tmp_path))
    assert f"/{CONTRIB}/Archive/alpha/alpha_1.0.tar.gz" in {hit.path for hit in lab.server.hits if hit.status == 200}

    assert re.search(r"up +alpha +1\.0 +1\.1", r_project.succeed("lock", "r", "--upgrade-package", "alpha"))
    second = r_project.succeed("--debug", "build", "rlab")
    # Their code is compiled against it, or loads it while it is installed.
    assert compiled(second) == {"alpha", "beta", "gamma"}
    assert r("cat(beta::answer(), format(packageVersion('gamma')))") == "11 1.0"
    before = r_project.read("r_packages.lock")
    r_project.succeed("lock", "r")
    assert r_project.read("r_packages.lock") == before
    r_project.succeed("lock", "--check")


@pytest.mark.nightly
def test_a_commit_of_a_forge_is_locked_by_hash_and_compiled(
    built_project: Project, r_project: Project, lab: Lab, tmp_path: Path
) -> None:
    """Its repository is called otherwise than the package; what it needs comes from the repositories."""
    del built_project
    first, second = "0123456789" * 4, "9876543210" * 4
    lab.compiled("alpha")

    def push(sha: str, value: int) -> None:
        files = {
            # As in a repository: R CMD build would add author and maintainer.
            "DESCRIPTION": "Package: forged\nVersion: 0.1.0.9000\nTitle: Made for a test\nImports: alpha (>= 1.0)\n"
            "Authors@R: person('A', 'B', email = 'a@example.org', role = c('aut', 'cre'))\n",
            "NAMESPACE": "useDynLib(forged)\nexport(value)\nimportFrom(alpha, answer)\n",
            "R/value.R": "value <- function() .Call('forged_value', PACKAGE = 'forged')\n",
            "src/value.c": "#include <Rinternals.h>\n"
            f"SEXP forged_value(void) {{ return Rf_ScalarInteger({value}); }}\n",
            "inst/run": uuid.uuid4().hex,
        }
        data = tarball({f"forged-repo-{sha}/{path}": text.encode() for path, text in files.items()})
        put(lab.server.folder, f"me/forged-repo/tar.gz/{sha}", data)

    push(first, 1)
    push(second, 2)
    r_project.write("pyrlab.toml", f'{r_project.read("pyrlab.toml")}github = "{lab.server.url}"\n')
    r_project.write("r_packages.txt", f"zoo\nme/forged-repo@{first}\n")
    r_project.succeed("lock", "r")
    lock = r_project.read("r_packages.lock")
    assert f'path = "me/forged-repo/tar.gz/{first}"' in lock
    assert lab.server.url not in lock
    assert compiled(r_project.succeed("--debug", "build", "rlab")) == {"alpha", "forged"}
    assert r("cat(forged::value(), format(packageVersion('forged')))") == "1 0.1.0.9000"
    r_project.succeed("lock", "r")
    assert r_project.read("r_packages.lock") == lock

    r_project.write("r_packages.txt", f"zoo\nme/forged-repo@{second}\n")
    fails(r_project, "build", "rlab", status=4, says=f"lacks me/forged-repo@{second}", remedy="nox -s lock -- r")
    r_project.succeed("lock", "r")
    # Who has not got it yet gets the locked bytes, or none.
    push(second, 3)
    nowhere = without_downloads(r_project, tmp_path)
    says = "is not the file that was locked"
    fails(r_project, "build", "rlab", status=8, says=says, remedy="--upgrade-package forged", **nowhere)
    assert compiled(r_project.succeed("--debug", "build", "rlab")) == {"forged"}
    assert r("cat(forged::value())") == "2"


def test_libraries_and_headers_come_without_being_listed(built_project: Project, r_project: Project, lab: Lab) -> None:
    """Debian does not know this package; its sources tell which headers it needs."""
    del built_project
    know_headers(r_project, lab, {"include/archive.h": "libarchive-dev", "include/libtasn1.h": "libtasn1-6-dev"})
    lab.compiled("squeeze", code="#include <archive.h>\n#include <libtasn1.h>\n", flags="-larchive -ltasn1")
    r_project.write("r_packages.txt", "squeeze\n")
    r_project.succeed("lock", "r")
    lock = r_project.read("r_packages.lock")
    own = lock[lock.index('name = "squeeze"') :]
    assert re.search(r'system = \[\s+"libarchive13t?6?4?",', own)
    assert '"libarchive-dev"' in own
    assert '"libtasn1-6-dev"' in own
    r_project.succeed("build", "rlab")
    assert r("cat(squeeze::answer())") == "42"


def test_a_failed_compile_names_the_deb_that_would_help(built_project: Project, r_project: Project, lab: Lab) -> None:
    del built_project
    know_headers(r_project, lab, {"include/oniguruma.h": "libonig-dev"})
    # A header behind a macro is nothing that anybody finds beforehand.
    code = "#define WANTED <oniguruma.h>\n#include WANTED\n"
    lab.compiled("regexes", code=code, SystemRequirements="oniguruma, the regular expressions")
    r_project.write("r_packages.txt", "regexes\n")
    r_project.succeed("lock", "r")
    before = r_project.state()
    outcome = r_project.run("build", "rlab")
    assert outcome.status == 7, outcome.output
    assert "oniguruma.h: No such file or directory" in outcome.output
    error, tip = outcome.output.splitlines()[-2:]
    assert error == (
        "error: regexes 1.0 could not be compiled; its SystemRequirements: oniguruma, the regular expressions"
    )
    assert tip == "  try: add libonig-dev to r_debs.txt, then: nox -s lock -- debs"
    assert r_project.state() == before


def test_credentials_are_used_and_kept_nowhere(built_project: Project, r_project: Project, tmp_path: Path) -> None:
    del built_project
    with CranServer(tmp_path / "private", credentials=("reader", "hush:@/hush")) as server:
        Lab(server).pure("secretive")
        address = server.url.removeprefix("http://")
        r_project.write("r_packages.txt", "secretive\n")
        r_project.write("pyrlab.toml", DEBIAN_FIRST.format(url=f"http://${{CRAN_USER}}:${{CRAN_PASSWORD}}@{address}"))
        given = {"CRAN_USER": "reader", "CRAN_PASSWORD": "hush:@/hush"}
        wrong = r_project.run("lock", "r", **{**given, "CRAN_USER": "guest"})
        assert wrong.status == 6, wrong.output
        assert "refused this user" in wrong.output
        printed = r_project.succeed("--debug", "lock", "r", **given)
        printed += r_project.succeed("--debug", "build", "rlab", **given)
        r_project.write("pyrlab.toml", DEBIAN_FIRST.format(url=server.url))
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login reader password hush:@/hush\n", encoding="utf-8")
        netrc.chmod(0o600)
        r_project.succeed("lock", "r", "--upgrade", NETRC=str(netrc), **without_downloads(r_project, tmp_path))
    assert "hush" not in printed + r_project.read("r_packages.lock")
    image = engine.client().images.get(f"{R_IMAGES}rlab:latest")
    assert "hush" not in str(image.history()) + str(image.attrs)
    kept = [path for path in r_project.path.rglob("*") if path.is_file() and b"hush:@" in path.read_bytes()]
    assert kept == []


def test_binaries_are_taken_where_they_fit_and_sources_where_not(
    built_project: Project, r_project: Project, lab: Lab, tmp_path: Path
) -> None:
    """As from a repository that serves Linux binaries to R, and sources to others."""
    del built_project
    for name in ("fits", "outlandish"):
        lab.pure(name, Imports="tools")
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(lab.server.folder / CONTRIB / "fits_1.0.tar.gz", work)
    engine.client().containers.run(
        f"{PREFIX}rlab-base:latest",
        ["CMD", "INSTALL", "--build", "--library=/tmp", "fits_1.0.tar.gz"],
        entrypoint="R",
        working_dir="/work",
        volumes={str(work): {"bind": "/work", "mode": "rw"}},
        user="root",
        remove=True,
    )
    (binary,) = work.glob("fits_1.0_R_*.tar.gz")
    put(lab.server.folder, f"binaries/{CONTRIB}/fits_1.0.tar.gz", binary.read_bytes())
    other = r_package("outlandish", "1.0", Imports="tools", Built="R 4.1.0; ; 2021-05-18 00:00:00 UTC; unix")
    put(lab.server.folder, f"binaries/{CONTRIB}/outlandish_1.0.tar.gz", other)
    r_project.write("r_packages.txt", "fits\noutlandish\n")
    said = r_project.succeed("lock", "r")
    assert re.search(r"lab has no binary for R \S+ on \S+ of outlandish \(only for R 4\.1\.0\): sources are", said)
    lock = r_project.read("r_packages.lock")
    assert re.findall(r'kind = "(\w+)"\npath = "src/contrib/(\w+)_', lock) == [
        ("binary", "fits"),
        ("source", "fits"),
        ("source", "outlandish"),
    ]
    printed = r_project.succeed("build", "rlab")
    assert "unpacked fits 1.0, a binary" in printed
    assert r("cat(packageDescription('fits')$Built, packageVersion('outlandish') == '1.0')").endswith("TRUE")

    # The binary was made anew under its old name: then the locked source will do.
    put(lab.server.folder, f"binaries/{CONTRIB}/fits_1.0.tar.gz", other)
    nowhere = without_downloads(r_project, tmp_path)
    r_project.succeed("build", "pyrlab-base")
    fresh = r_project.copy(tmp_path / "fresh")
    fresh.write("pyrlab.toml", r_project.read("pyrlab.toml").replace("/r-", "/r-fresh-"))
    assert "unpacked fits" not in fresh.succeed("build", "rlab", **nowhere)


@pytest.mark.parametrize(
    ("wanted", "status", "says", "remedy"),
    [
        pytest.param("alhpa", 3, "r_packages.txt:1: no repository has an R package 'alhpa'", "alpha", id="nearest"),
        pytest.param(
            "Alpha", 3, "no repository has an R package 'Alpha'", "upper from lower case: write alpha", id="case"
        ),
        pytest.param("alpha == 7.0", 3, "r_packages.txt:1: alpha == 7.0 cannot be had", "another version", id="pin"),
        pytest.param("alpha @ cran", 3, "no repository called 'cran'", "debian, lab", id="repository"),
        pytest.param("modern", 3, "modern 1.0 of lab needs R >= 99.0", "newer R", id="newer-r"),
        pytest.param("ring", 3, "need each other", "drop ring from it", id="ring"),
        pytest.param("gapped", 3, "gapped 1.0 of lab needs nowhere.to.be.found", "add a repository", id="missing"),
        pytest.param(
            "alpha < 1.1\nupper", 3, "r_packages.txt:2: upper → upper 1.0 wants alpha >= 1.1", "other", id="chain"
        ),
        pytest.param("vanished", 6, "vanished_1.0.tar.gz is not there", "pyrlab.toml", id="not-found"),
        pytest.param("masked", 6, "it holds alpha 1.1", "damaged", id="another-package"),
        pytest.param("page", 6, "it is a web page", "damaged", id="web-page"),
    ],
)
def test_what_cannot_be_had(untouched: Project, lab: Lab, wanted: str, status: int, says: str, remedy: str) -> None:
    lab.pure("alpha")
    lab.pure("alpha", "1.1")
    lab.pure("modern", Depends="R (>= 99.0)")
    lab.pure("ring", Imports="ring2")
    lab.pure("ring2", Imports="ring")
    lab.pure("gapped", Imports="nowhere.to.be.found")
    lab.pure("upper", Imports="alpha (>= 1.1)")
    lab.add("vanished", "1.0", b"")
    (lab.server.folder / CONTRIB / "vanished_1.0.tar.gz").unlink()
    lab.add("masked", "1.0", r_package("alpha", "1.1"))
    lab.add("page", "1.0", b"<html>please log in</html>")
    untouched.write("pyrlab.toml", DEBIAN_FIRST.format(url=lab.server.url))
    untouched.write("r_packages.txt", f"{wanted}\n")
    fails(untouched, "lock", "r", status=status, says=says, remedy=remedy)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(gzip.compress(b"Package: alpha\nVersion: 1.0\n" * 99)[:-20], "is truncated", id="truncated"),
        pytest.param(b"<html>hello</html>", "is a web page", id="web-page"),
        pytest.param(None, "has no index", id="none"),
    ],
)
def test_an_index_that_cannot_be_read(untouched: Project, lab: Lab, data: bytes | None, says: str) -> None:
    if data is not None:
        put(lab.server.folder, f"{CONTRIB}/PACKAGES.gz", data)
    untouched.write("pyrlab.toml", DEBIAN_FIRST.format(url=lab.server.url))
    fails(untouched, "lock", "r", status=6, says=says, remedy="r.repositories")


def test_a_repository_that_keeps_failing_is_asked_again_and_then_named(untouched: Project, lab: Lab) -> None:
    lab.pure("alpha")
    untouched.write("pyrlab.toml", DEBIAN_FIRST.format(url=lab.server.url))
    lab.server.failures = 99
    fails(untouched, "lock", "r", status=6, says="answered 503", remedy="check the network")
    assert lab.server.statuses == [503] * 4


def test_changed_bytes_under_the_same_version_stop_the_build(
    built_project: Project, r_project: Project, lab: Lab, tmp_path: Path
) -> None:
    del built_project
    lab.pure("alpha")
    r_project.write("r_packages.txt", "alpha\n")
    r_project.succeed("lock", "r")
    lab.pure("alpha", Title="Changed")
    (lab.server.folder / CONTRIB / "Archive/alpha/alpha_1.0.tar.gz").unlink()
    before = r_project.state()
    nowhere = without_downloads(r_project, tmp_path)
    fails(
        r_project,
        "build",
        "rlab",
        status=8,
        says="alpha_1.0.tar.gz in lab is not the file",
        remedy="find out",
        **nowhere,
    )
    (lab.server.folder / CONTRIB / "alpha_1.0.tar.gz").unlink()
    fails(r_project, "build", "rlab", status=6, says="lab has alpha_1.0.tar.gz no longer", remedy="alpha", **nowhere)
    assert r_project.state() == before


def test_a_package_that_would_write_elsewhere_is_refused(built_project: Project, r_project: Project, lab: Lab) -> None:
    del built_project
    described = {"evil/DESCRIPTION": b"Package: evil\nVersion: 1.0\n", "evil/NAMESPACE": b"", "evil/../../etc/x": b"x"}
    lab.add("evil", "1.0", tarball(described), NeedsCompilation="no")
    r_project.write("r_packages.txt", "evil\n")
    r_project.succeed("lock", "r")
    before = r_project.state()
    fails(r_project, "build", "rlab", status=7, says="evil 1.0: evil/../../etc/x is not in", remedy="do not use")
    assert r_project.state() == before


def test_the_gate_refuses_what_does_not_load_or_fit(built_project: Project, r_project: Project, lab: Lab) -> None:
    """R itself installs both: one fails at load only, of the other's bounds R never looks at this one."""
    del built_project
    lab.pure("alpha")
    described = "Package: {}\nVersion: 1.0\nTitle: Made for a test\n{}"
    grumpy = {
        "grumpy/DESCRIPTION": described.format("grumpy", "").encode(),
        "grumpy/NAMESPACE": b"",
        "grumpy/R/load.R": b".onLoad <- function(...) stop('not today')\n",
    }
    picky = {
        "picky/DESCRIPTION": described.format("picky", "Imports: alpha (>= 9.0)\n").encode(),
        "picky/NAMESPACE": b"",
    }
    lab.add("grumpy", "1.0", tarball(grumpy), NeedsCompilation="no")
    # The index promises less than the package wants.
    lab.add("picky", "1.0", tarball(picky), NeedsCompilation="no", Imports="alpha")
    r_project.write("r_packages.txt", "grumpy\npicky\n")
    r_project.succeed("lock", "r")
    before = r_project.state()
    outcome = r_project.run("build", "rlab")
    assert outcome.status == 7, outcome.output
    assert "grumpy 1.0: does not load" in outcome.output
    assert "not today" in outcome.output
    assert "picky 1.0: wants alpha >= 9.0 and the library has 1.0" in outcome.output
    assert r_project.state() == before


def test_what_a_package_writes_when_it_is_loaded_is_in_no_image(
    built_project: Project, r_project: Project, lab: Lab
) -> None:
    """Nor does it find a proxy's password, which Docker's own configuration may hold."""
    del built_project
    places = ("/tmp", "/var/tmp", "/run/lock", "/home/notebook", "/opt/lab/added")  # noqa: S108 - a package's places
    writes = "".join(f"try(writeLines(Sys.getenv('HTTP_PROXY'), '{place}/left'))\n" for place in places)
    leaving = {
        "litter/DESCRIPTION": b"Package: litter\nVersion: 1.0\nTitle: Made for a test\n",
        "litter/NAMESPACE": b"",
        # New in each run: a gate that BuildKit remembers would not run, and so see no proxy.
        "litter/inst/run": uuid.uuid4().hex.encode(),
        "litter/R/load.R": f".onLoad <- function(...) {{\n{writes}"
        "if (nzchar(Sys.getenv('HTTP_PROXY'))) stop('there is a proxy')\n"
        "try(file.rename('/home/notebook/.bashrc', '/home/notebook/mine'))\n}\n".encode(),
    }
    lab.add("litter", "1.0", tarball(leaving), NeedsCompilation="no")
    r_project.write("r_packages.txt", "litter\n")
    r_project.succeed("lock", "r")
    docker = r_project.path.parent / "docker-config"
    docker.mkdir()
    proxy = "http://someone:hush-hush@127.0.0.1:9"
    (docker / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": proxy}}}), encoding="utf-8")
    r_project.succeed("build", "rlab", DOCKER_CONFIG=str(docker))
    command = ["-c", "ls -a /tmp /var/tmp /run/lock /home/notebook /opt/lab/added"]
    listed = engine.client().containers.run(f"{R_IMAGES}rlab:latest", command, entrypoint="sh", remove=True).decode()
    assert "left" not in listed
    assert ".bashrc" in listed


def test_a_package_that_ends_r_does_not_pass_the_gate(built_project: Project, r_project: Project, lab: Lab) -> None:
    """Not even with the status of success, when all that is behind it has not been looked at."""
    del built_project
    leaving = {
        "leaving/DESCRIPTION": b"Package: leaving\nVersion: 1.0\nTitle: Made for a test\n",
        "leaving/NAMESPACE": b"",
        "leaving/R/load.R": b".onLoad <- function(...) quit(status = 0)\n",
    }
    lab.add("leaving", "1.0", tarball(leaving), NeedsCompilation="no")
    r_project.write("r_packages.txt", "leaving\n")
    r_project.succeed("lock", "r")
    before = r_project.state()
    fails(r_project, "build", "rlab", status=7, says="leaving 1.0: ends R when it loads", remedy="")
    assert r_project.state() == before


def test_a_disk_that_fills_while_downloading(r_project: Project, lab: Lab, tmp_path: Path) -> None:
    described = b"Package: enormous\nVersion: 1.0\n"
    lab.add("enormous", "1.0", tarball({"enormous/DESCRIPTION": described, "enormous/x": os.urandom(2**22)}))
    r_project.write("r_packages.txt", "enormous\n")
    nowhere = without_downloads(r_project, tmp_path)
    small = Path(nowhere["XDG_CACHE_HOME"]) / "pyrlab/files"
    held = {path.name: path.read_bytes() for path in small.iterdir()}
    # What is there already, by pages, and a little more.
    size = sum(len(content) // 4096 + 1 for content in held.values()) * 4096 + 2**20
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "none", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts no small disk: {mounted.stderr.decode()}")
    try:
        for name, content in held.items():
            (small / name).write_bytes(content)
        before = r_project.state()
        fails(r_project, "lock", "r", status=1, says="No space left on device", remedy="run the same again", **nowhere)
        assert r_project.state() == before
        assert list(small.rglob("*.part")) == []
    finally:
        subprocess.run(["/bin/umount", small], check=True)


def test_a_snapshot_that_moves_is_refused(untouched: Project, lab: Lab) -> None:
    untouched.write("pyrlab.toml", DEBIAN_FIRST.format(url=f"{lab.server.url}/cran/latest"))
    outcome = untouched.run("lock", "r")
    assert outcome.status == 2, outcome.output
    assert re.search(r"try: name one that stands still, as \S+/cran/\d{4}-\d\d-\d\d;", outcome.output)


def names(lock: str) -> Mapping[str, str]:
    """Return the repository of each package in a lock."""
    return dict(re.findall(r'name = "(\S+)"\nversion = "\S+"\nrepository = "(\w+)"', lock))


def test_the_first_repository_with_a_fitting_version_wins(r_project: Project, lab: Lab) -> None:
    lab.pure("zoo", "99.0")
    lab.pure("xts", "99.0", Imports="zoo (>= 2.0)")
    r_project.write("r_packages.txt", "zoo\n")
    r_project.succeed("lock", "r")
    assert names(r_project.read("r_packages.lock"))["zoo"] == "debian"
    r_project.write("r_packages.txt", "xts @ lab\n")
    r_project.succeed("lock", "r")
    found = names(r_project.read("r_packages.lock"))
    assert (found["xts"], found["zoo"], found["IRkernel"]) == ("lab", "lab", "debian")


def test_bounds_hold_between_debians_packages_and_others(r_project: Project, lab: Lab) -> None:
    """Debian's xts wants a newer zoo than this one, as its DESCRIPTION tells once it is there."""
    lab.pure("zoo", "1.7-0")
    lab.pure("xts", "0.5", Imports="zoo")
    r_project.write("r_packages.txt", "xts\nzoo @ lab\n")
    r_project.succeed("lock", "r")
    found = names(r_project.read("r_packages.lock"))
    assert (found["xts"], found["zoo"]) == ("lab", "lab")


def test_a_token_in_a_path_is_not_shown(untouched: Project, lab: Lab) -> None:
    untouched.write("pyrlab.toml", DEBIAN_FIRST.format(url=f"{lab.server.url}/${{TEAM}}/cran"))
    outcome = untouched.run("--debug", "lock", "r", TEAM="tell-nobody")
    assert outcome.status == 6, outcome.output
    assert "tell-nobody" not in outcome.output
    assert "lab has no index" in outcome.output
