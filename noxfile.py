"""Sessions: each installs the pinned toolkit and calls `python -m pyrlab VERB`, or one tool."""

import functools
import inspect
import os
import ssl
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import nox

if os.pathsep in str(Path.cwd()):
    # A virtual environment cannot be there, and PYTHONPATH would be cut in two.
    raise SystemExit(
        f"error: the project's folder has a {os.pathsep} in its path: {Path.cwd()}\n"
        "  try: move the project to a folder without it"
    )

nox.needs_version = ">=2024.4.15"
# uv, where it is there, makes a session start in a fraction of a second; virtualenv and pip do everywhere.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
# What fails first is what to read first.
nox.options.stop_on_first_error = True
nox.options.sessions = ["lint", "types", "unit"]

HELP = {"-h", "--help"}
TEST_FOLDERS = ("tests/unit", "tests/integration", "tests/smoke", "tests/browser")
SCRIPT_FOLDERS = (
    ".ci",
    "docker/install/debs",
    "docker/install/lab",
    "docker/install/proxies",
    "docker/install/python",
    "docker/install/r",
    "docker/install/root",
    "docker/install/trial",
    "docker/lock",
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What `nox -s proxies` starts.
OWN_INDEX = "http://127.0.0.1:3141/"


def toolkit(session: nox.Session, *, starts_index: bool = False) -> None:
    """Install what toolkit.lock pins, by hash, and pyrlab itself from src/."""
    # What unbundle has brought: on its machine there is no index.
    bundled = Path(".pyrlab/toolkit")
    offline = ["--no-index", "--find-links", str(bundled)] if bundled.is_dir() else []
    variables = of_the_index(starts_index=starts_index)
    session.install("--quiet", *offline, "--require-hashes", "-r", "toolkit.lock", env=variables)
    # In full, as some of what runs here starts programs in other folders.
    session.env["PYTHONPATH"] = str(Path("src").resolve())
    # Many containers forbid Python to keep what it compiles, and uv compiles nothing: each start would take a second
    # more, and the unit tests start a hundred programs. Here it is kept, out of everybody's sight.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    session.env["PYTHONPYCACHEPREFIX"] = str(Path(session.virtualenv.location, "bytecode").resolve())


def of_the_index(*, starts_index: bool = False) -> dict[str, str]:
    """Return the variables by which uv and pip use the Python index of the settings, and trust its certificate.

    They may hold a password, and everybody can read the arguments of a program.
    """
    path = Path("pyrlab.toml")
    try:
        network = tomllib.loads(path.read_text(encoding="utf-8"))["network"] if path.is_file() else {}
        network = {key: value for key, value in network.items() if isinstance(value, str)}
    except (ValueError, KeyError, AttributeError):
        # pyrlab says what is wrong with it.
        network = {}
    index = os.environ.get("PIPPROXY") or network.get("python_index")
    if starts_index and index and index.startswith(OWN_INDEX):
        # It may not run yet.
        index = None
    direct: dict[str, str] = {}
    host = (os.environ.get("PIPHOST") or network.get("python_trusted_host", "")).lower()
    authorities = os.environ.get("SSL_CERT_FILE") or network.get("ca_file")
    if urlsplit(index or "").hostname in LOOPBACK:
        # As pyrlab does: a proxy would look for it on its own machine.
        named = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, [named, *LOOPBACK])))
    own = ssl.get_default_verify_paths()
    has_store = own.cafile or (own.capath and any(Path(own.capath).iterdir()))
    found = {"UV_DEFAULT_INDEX": index, "PIP_INDEX_URL": index, "UV_INSECURE_HOST": host, "PIP_TRUSTED_HOST": host}
    if authorities:
        found |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), str(Path(authorities).expanduser()))
    elif has_store:
        # pip trusts whom this machine trusts; uv, old and new, has to be told.
        found |= dict.fromkeys(("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"), "true")
    return {name: value for name, value in (found | direct).items() if value}


def pyrlab(session: nox.Session, verb: str, *arguments: str) -> None:
    """Call one verb of pyrlab."""
    toolkit(session, starts_index=verb == "proxies")
    # After Ctrl-C pyrlab ends what it started and removes what is half made: it gets the time for that.
    session.run("python", "-m", "pyrlab", verb, *arguments, interrupt_timeout=60, terminate_timeout=30)


def with_help(run: Callable[[nox.Session], None]) -> Callable[[nox.Session], None]:
    """Let ``-- --help`` show a session's docstring, where no program behind it has a help of its own."""

    @functools.wraps(run)
    def session_or_help(session: nox.Session) -> None:
        if HELP & set(session.posargs):
            session.log(inspect.getdoc(run))
        else:
            run(session)

    return session_or_help


@nox.session
def engine(session: nox.Session) -> None:
    """Make sure that a Docker engine answers; on Debian or Ubuntu as root, install and start one."""
    # `nox -s engine serve -- pylab` gives the lab's arguments to both sessions.
    pyrlab(session, "engine", *(argument for argument in session.posargs if argument in {"--debug", *HELP}))


@nox.session
def doctor(session: nox.Session) -> None:
    """Tell whether this machine, its engine and its network will do: `--json`, `--fix`."""
    pyrlab(session, "doctor", *session.posargs)


@nox.session
def proxies(session: nox.Session) -> None:
    """Run apt-cacher-ng and devpi on this machine, and print the settings that use them: `--stop` ends them."""
    pyrlab(session, "proxies", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Pin every list. `-- python`, `r` or `debs`; `--upgrade`, `--upgrade-package NAME`, `--check`."""
    pyrlab(session, "lock", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the four images, or those named: `-- rlab`. `--locked` never touches a lock."""
    pyrlab(session, "build", *session.posargs)


@nox.session
def smoke(session: nox.Session) -> None:
    """Start the labs for real and run notebooks in them: `-- rlab` for one, and pytest's own options."""
    pyrlab(session, "smoke", *session.posargs)


@nox.session
def serve(session: nox.Session) -> None:
    """Open a lab: `-- pylab` or `-- rlab`, with `--port`, `--notebooks`, `--name` and more; bare, list the labs."""
    pyrlab(session, "serve", *session.posargs)


@nox.session(name="list")
def list_(session: nox.Session) -> None:
    """List what runs: since when, port, image, memory, kernels; `-- --json`."""
    pyrlab(session, "list", *session.posargs)


@nox.session(name="open")
def open_(session: nox.Session) -> None:
    """Print the link of a lab that runs, and open it: `-- pylab`."""
    pyrlab(session, "open", *session.posargs)


@nox.session
def logs(session: nox.Session) -> None:
    """Show a lab's log: `-- pylab`; with `-f` what comes, too."""
    pyrlab(session, "logs", *session.posargs)


@nox.session
def shell(session: nox.Session) -> None:
    """Open a shell in a lab: `-- pylab`."""
    pyrlab(session, "shell", *session.posargs)


@nox.session
def restart(session: nox.Session) -> None:
    """Stop a lab, and start it from the present image with the same link: `-- pylab`."""
    pyrlab(session, "restart", *session.posargs)


@nox.session
def stop(session: nox.Session) -> None:
    """Stop a lab: `-- pylab`. Notebooks, settings and link stay."""
    pyrlab(session, "stop", *session.posargs)


@nox.session
def adopt(session: nox.Session) -> None:
    """Write what was added in a stopped lab into the lists, for the next lock to pin: `-- pylab`."""
    pyrlab(session, "adopt", *session.posargs)


@nox.session
def clean(session: nox.Session) -> None:
    """Show what is of no use any more, and what it frees; `-- --yes` removes it."""
    pyrlab(session, "clean", *session.posargs)


@nox.session
def upgrade(session: nox.Session) -> None:
    """Move everything to the newest versions that keep the labs proved: `-- python`, `--dry-run`, `--strict`."""
    pyrlab(session, "upgrade", *session.posargs)


@nox.session
def rollback(session: nox.Session) -> None:
    """Bring back the locks and images of before the latest upgrade."""
    pyrlab(session, "rollback", *session.posargs)


@nox.session
def history(session: nox.Session) -> None:
    """List what each upgrade replaced, and rollback brings back."""
    pyrlab(session, "history", *session.posargs)


@nox.session
def bundle(session: nox.Session) -> None:
    """Write images, lists, locks and settings into one archive: `-- FILE`, `--sources` to build again from it."""
    pyrlab(session, "bundle", *session.posargs)


@nox.session(venv_backend="none", default=False)
def unbundle(session: nox.Session) -> None:
    """Verify an archive, load its images, and write its project: `-- FILE`. Needs no network, and no packages."""
    session.run(sys.executable, "-m", "pyrlab.cli.unbundle", *session.posargs, external=True, env={"PYTHONPATH": "src"})


@nox.session
def outdated(session: nox.Session) -> None:
    """Show what is newer than the locks: `--all`, `--json`. Changes nothing."""
    pyrlab(session, "outdated", *session.posargs)


@nox.session
def why(session: nox.Session) -> None:
    """Show which line of which list brings a package, by which chain, and since when: `-- numpy`."""
    pyrlab(session, "why", *session.posargs)


@nox.session
def changes(session: nox.Session) -> None:
    """Show what changed in the locks since a commit: `-- main`. Also as Markdown, in .pyrlab/changes.md."""
    pyrlab(session, "changes", *session.posargs)


@nox.session
def propose(session: nox.Session) -> None:
    """Push what an upgrade changed as the branch pyrlab/upgrade, for a pull request: `--merge-request BRANCH`."""
    pyrlab(session, "propose", *session.posargs)


@nox.session(name="import")
def import_(session: nox.Session) -> None:
    """Take R packages over from another tool's file: `-- renv.lock`, a lock of pak, a DESCRIPTION."""
    pyrlab(session, "import", *session.posargs)


@nox.session
@with_help
def lint(session: nox.Session) -> None:
    """Check the style of Python, Dockerfile and shell scripts, and that CI's files are sound and safe."""
    toolkit(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-logo")
    session.run("hadolint", "--config", "docker/hadolint.yaml", *map(str, sorted(Path("docker/stages").iterdir())))
    session.run("shellcheck", "--external-sources", *shell_scripts())
    workflows = list(map(str, sorted(Path(".github/workflows").iterdir())))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml")
    session.run("zizmor", "--quiet", "--offline", *workflows)


def shell_scripts() -> list[str]:
    """Return what the shell runs: whatever begins so."""
    paths = [path for folder in SCRIPT_FOLDERS for path in sorted(Path(folder).iterdir()) if path.is_file()]
    return [
        str(path)
        for path in paths
        if path.read_bytes().startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))
    ]


@nox.session
@with_help
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    toolkit(session)
    session.run("mypy", "src", "noxfile.py")
    session.run("mypy", *map(str, sorted(Path("tools").glob("*.py"))))
    session.run("mypy", "tests/bench.py", "tests/bench_r.py", env={"MYPYPATH": "src:tests:tests/integration"})
    session.run("mypy", "tests/bench_upgrade.py", env={"MYPYPATH": "src:tests/unit"})
    session.run("mypy", *map(str, sorted(Path("docker/install/r").glob("*.py"))), env={"MYPYPATH": "docker/install/r"})
    for folder in TEST_FOLDERS:
        session.run("mypy", folder, env={"MYPYPATH": folder})


@nox.session
@with_help
def unit(session: nox.Session) -> None:
    """Run the quick tests: no Docker, no network. What follows `--` goes to pytest: `-- -k workspace`."""
    toolkit(session)
    session.run("pytest", "tests/unit", "-n", "auto", "--dist", "worksteal", *session.posargs)


@nox.session
@with_help
def integration(session: nox.Session) -> None:
    """Run the tests of pyrlab itself on a real engine, with small projects: `-- -m nightly` the slow ones."""
    toolkit(session)
    # Two files at a time: what one builds, the other downloads or waits for. pytest takes the last -m.
    two = ("-n", "2", "--dist", "loadfile")
    session.run("pytest", "tests/integration", *two, "-m", "not nightly", *session.posargs)


@nox.session
@with_help
def browser(session: nox.Session) -> None:
    """Use the labs in a real browser; as root on Debian, install one. `-- --pictures DIR` takes pictures."""
    toolkit(session)
    # Not of toolkit.lock: it is large, there are systems that it has no wheel for, and no other session needs it.
    session.install("playwright==1.65.2", env=of_the_index())
    session.run("python", "tests/browser/chromium.py")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session
@with_help
def tests(session: nox.Session) -> None:
    """Run everything: lint, types, unit, integration, a build of all images, smoke, browser, and a short benchmark."""
    for name in ("lint", "types", "unit", "integration", "build", "smoke", "browser"):
        session.notify(name, posargs=[])
    session.notify("bench", posargs=["--quick"])


@nox.session(default=False)
@with_help
def mutants(session: nox.Session) -> None:
    """Break the code in a thousand places, and tell which ones no quick test notices: `-- --sample 0` tries all."""
    toolkit(session)
    # A tool of its own with much beside it, that no other session needs.
    session.install("mutmut==3.8.1", env=of_the_index())
    # A new sample is a point or two off the last one; this is well below what it was when it was last looked at.
    session.run("python", "tools/mutants.py", "--at-least", "90", *session.posargs, env={"EXAMPLES": "first"})


@nox.session(default=False)
@with_help
def relock(session: nox.Session) -> None:
    """Pin the toolkit's own dependencies anew, and the tools that lock and install inside the images."""
    toolkit(session)
    compiled = ("uv", "pip", "compile", "--quiet", "--upgrade")
    variables = of_the_index()
    own = ["--all-extras", "--python-version", "3.11", "--universal", "--generate-hashes", "--no-header"]
    session.run(*compiled, "pyproject.toml", *own, "--output-file", "toolkit.lock", env=variables)
    session.run("python", "tools/pin_tools.py", env=variables)
    # Wheels for the Python of the default suite; the servers run in its root.
    devpi = "docker/install/proxies/devpi"
    linux = ["--python-platform", "linux", "--python-version", "3.13", "--generate-hashes", "--custom-compile-command"]
    session.run(*compiled, f"{devpi}.in", *linux, "nox -s relock", "-o", f"{devpi}.lock", env=variables)


@nox.session
@with_help
def bench(session: nox.Session) -> None:
    """Measure what the documentation claims: `-- --quick`; `-- upgrade` runs a hundred random upgrades."""
    toolkit(session)
    if session.posargs[:1] == ["upgrade"]:
        session.run("python", "tests/bench_upgrade.py", *session.posargs[1:])
    else:
        session.run("python", "tests/bench.py", *session.posargs)
