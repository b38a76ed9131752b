"""The door to BuildKit: runs targets of docker/docker-bake.hcl, and turns what they print into errors with a remedy."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pyrlab.adapters import network, process, temporary
from pyrlab.adapters.docker import r_output
from pyrlab.errors import BuildError, GoneError, HashMismatchError, PyrlabError, StaleLockError
from pyrlab.model.settings import Settings
from pyrlab.model.workspace import WORK

FILE = "docker/docker-bake.hcl"
NETWORK_FILE = "docker/host-network.yaml"
# The first buildx whose bake has --allow, and does not build on the host's network without it.
_ENTITLEMENTS = (0, 18)
TIMEOUT = 3600.0
# Folders in it that every build is given, whether or not they hold something.
CONTEXTS = ("pins", "r-files")
_STEP = re.compile(r"#(?P<number>\d+) \[(?:\S+ )?(?P<stage>\S+) +\d+/\d+\] RUN ")
_DONE = re.compile(r"#(?P<number>\d+) DONE (?P<seconds>[\d.]+)s")
_MARKED = re.compile(r"pyrlab-(?P<kind>gone|mismatch|unlocked) (?P<name>\S+) (?P<version>\S+)$", re.MULTILINE)
_HASHES = re.compile(r"Hash mismatch for `?(?P<name>[^`\n]+)|Hash Sum mismatch|DO NOT MATCH THE HASHES")


def bake(
    settings: Settings,
    targets: Sequence[str],
    *,
    below: Path,
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Build ``targets`` of the project's bake file on the root in the folder ``below``.

    ``variables`` are the bake file's; ``say`` is told each step that ran, with its time.

    Raises GoneError, HashMismatchError, NetworkError, or BuildError with the end of the failed step's output.
    """
    _link(settings.project / WORK / "root", below)
    for context in CONTEXTS:
        (settings.project / WORK / context).mkdir(exist_ok=True)
    with _secrets(settings) as secrets:
        environment = {
            **os.environ,
            **settings.proxies,
            "SECRETS": str(secrets),
            "PREFIX": settings.prefix,
            "TAG": settings.workspace.tag_name,
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            # Newer buildx wants leave for every path outside the project; the root and the secrets are such.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
            **variables,
        }
        reach = _host_network() if settings.uses_loopback else []
        command = ["docker", "buildx", "bake", *reach, "--file", FILE, "--progress", "plain", *targets]
        try:
            process.run(command, timeout=TIMEOUT, env=environment, cwd=settings.project, on_line=_steps(say))
        except process.CommandError as error:
            raise explain(error.output) from error


def explain(output: str) -> PyrlabError:
    """Turn BuildKit's plain output of a failed build into the error that names its cause."""
    of_r = r_output.explain(output)
    if of_r:
        return of_r
    marked = sorted({(match["kind"], match["name"], match["version"]) for match in _MARKED.finditer(output)})
    mismatched = [f"{name} {version}" for kind, name, version in marked if kind == "mismatch"]
    if mismatched:
        return HashMismatchError(
            f"the archive has other bytes than debs.lock for {', '.join(mismatched)}",
            remedy="find out why before you trust them; nox -s lock -- --upgrade-package NAME takes them as they are",
        )
    unlocked = [name for kind, name, _ in marked if kind == "unlocked"]
    if unlocked:
        return StaleLockError(
            f"no lock has {', '.join(unlocked)}, which pinned packages need", remedy="nox -s lock -- debs"
        )
    gone = [f"{name} {version}" for _, name, version in marked]
    if gone:
        return GoneError(gone)
    said = _failed_step(output)
    mismatch = _HASHES.search(output)
    if mismatch:
        name = mismatch["name"] or ("a Debian package" if "Hash Sum" in mismatch[0] else "a Python package")
        return HashMismatchError(
            f"{name} is not the file that was locked: its hash differs",
            remedy="restore the lock from version control, or lock that package anew: "
            "nox -s lock -- --upgrade-package NAME",
            detail=said,
        )
    return network.explain(said, said) or BuildError(
        "a build step failed", remedy="its last lines say why; --debug shows all", detail=said
    )


def _failed_step(output: str) -> str:
    """Return the end of what the failed step printed: BuildKit repeats it after a line of dashes."""
    lines = output.splitlines()
    number = next((match[1] for line in lines if (match := re.match(r"(#\d+) ERROR: ", line))), None)
    if number is None:
        return process.tail(output, 20)
    own = [re.sub(r"^#\d+ (?:\d+\.\d+ )?", "", line) for line in lines if line.startswith(f"{number} ")]
    own = [line for line in own if line != "..." and not line.startswith("[")]
    return process.tail("\n".join(own), 20)


def _steps(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a reader of BuildKit's lines that tells of each step that really ran, when it is done."""
    running: dict[str, str] = {}
    read_r = r_output.reader(say)

    def read(line: str) -> None:
        read_r(line)
        if match := _STEP.match(line):
            running[match["number"]] = match["stage"]
        elif (match := _DONE.match(line)) and (stage := running.pop(match["number"], None)):
            say(f"{stage}: {match['seconds']} s")

    return read


def _host_network() -> list[str]:
    """Return the options that let build steps reach servers on this machine's loopback."""
    shown = process.run(["docker", "buildx", "version"], timeout=30)
    version = re.search(r"(\d+)\.(\d+)", shown)
    asks_leave = version is not None and (int(version[1]), int(version[2])) >= _ENTITLEMENTS
    return ["--file", NETWORK_FILE, *(["--allow", "network.host"] if asks_leave else [])]


@contextlib.contextmanager
def _secrets(settings: Settings) -> Iterator[Path]:
    """Write the network settings as files that only this user can read, for as long as one build runs."""
    # In the work folder, where the next run sweeps what a killed one leaves.
    with temporary.folder(settings.workspace.work) as folder:
        for name, text in secret_files(settings).items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        yield folder


def secret_files(settings: Settings) -> dict[str, str]:
    """Return the text of each build secret: configuration for apt, pip and uv, apt's sources, and certificates."""
    apt = [f'Acquire::Check-Valid-Until "{settings.check_valid_until}";']
    if settings.apt_proxy:
        apt += [f'Acquire::{scheme}::Proxy "{settings.apt_proxy}";' for scheme in ("http", "https")]
    if settings.ca_file:
        apt.append('Acquire::https::CaInfo "/run/secrets/ca";')
    if settings.apt_sources:
        apt += ['Dir::Etc::SourceList "/run/secrets/sources";', 'Dir::Etc::SourceParts "/dev/null";']
    pip, uv = ["[global]"], []
    if settings.python_index:
        pip.append(f"index-url = {settings.python_index}")
        uv.append(f"[[index]]\nurl = {json.dumps(settings.python_index)}\ndefault = true")
    if settings.python_trusted_host:
        pip.append(f"trusted-host = {settings.python_trusted_host}")
        uv.insert(0, f"allow-insecure-host = [{json.dumps(settings.python_trusted_host)}]")
    return {
        "apt": "\n".join([*apt, ""]),
        "sources": "\n".join([*settings.apt_sources, ""]),
        "pip": "\n".join([*pip, ""]),
        "uv": "\n".join([*uv, ""]),
        "ca": settings.ca_file.read_text(encoding="utf-8") if settings.ca_file else "",
    }


def _link(link: Path, target: Path) -> None:
    """Point the bake file's main context at the root in use; it stays, for those who call bake by hand."""
    link.parent.mkdir(exist_ok=True)
    new = link.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
