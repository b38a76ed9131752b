"""BuildKit: runs targets of a bake file, and turns what they print into errors with a remedy."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyrlab.adapters import network, process, temporary
from pyrlab.adapters.docker import r_output, room
from pyrlab.adapters.docker.failed_step import FailedStep, failed_step
from pyrlab.adapters.http_errors import masked
from pyrlab.errors import (
    BuildError,
    EngineError,
    HashMismatchError,
    NetworkError,
    PyrlabError,
    StaleLockError,
)

# The first buildx whose bake has --allow, and does not build on the host's network without it.
_ENTITLEMENTS = (0, 18)
TIMEOUT = 4 * 3600.0
# BuildKit's own last word, not a step's output. Seen after an engine was killed while files were sent to it: it takes
# the rest of them for sent, and does not find them. It keeps such files until they are pruned.
_DAMAGED = re.compile(
    r"^(?:ERROR: )?(?:failed to \w[\w ]*: )*failed to calculate checksum of ref .*: not found", re.MULTILINE
)
# The same of two builds at once that have steps in common: BuildKit loses its way between them, seldom, and for once.
_CONFUSED = re.compile(r"^ERROR: (?:failed to \w[\w ]*: )*inconsistent graph state", re.MULTILINE)
# What buildx says at last when the engine is killed, ends, or is not there: as seen with Docker 26.1 and buildx 0.13.
_ENDED = re.compile(
    r"^ERROR: .*(?:Unavailable.*(?:error reading from server|transport: Error while dialing)"
    r"|Cannot connect to the Docker daemon)",
    re.MULTILINE,
)
# BuildKit's own last word, too, where it cannot bring an image. Of all images only the base image has a digest.
_NO_BASE = re.compile(
    r"^(?:ERROR: )?(?:failed to \w[\w ]*: )?(?:\S+@sha256:\w+: )?failed to resolve source metadata for "
    r"(?P<image>\S+)@sha256:\w+: (?P<reason>.+)$",
    re.MULTILINE,
)
BAKE_FILE = "bake.json"
# A compose file by its name; all JSON is YAML.
NETWORK_FILE = "host-network.yaml"
_STEP = re.compile(r"#(?P<number>\d+) \[(?:\S+ )?(?P<stage>\S+) +\d+/\d+\] RUN ")
_DONE = re.compile(r"#(?P<number>\d+) DONE (?P<seconds>[\d.]+)s")
# Package code prints into the same log, and could print the very words. So these count only in a step that ended with
# the status of their own. The scripts in docker/install end so at their first look at the files, before any package
# code has run; what it returns later they turn into a 1.
_MARKED = re.compile(r"pyrlab-(?P<kind>mismatch|unlocked) (?P<name>\S+) (?P<version>\S+)")
_STATUSES = {HashMismatchError.exit_code: "mismatch", StaleLockError.exit_code: "unlocked"}
_BROKEN = re.compile(r"pyrlab-python broken (?P<reason>.+)")
_UNBUILT = re.compile(r"pyrlab-python unbuilt (?P<name>\S+) (?P<version>\S+)")


@dataclass(frozen=True)
class Bake:
    """One call of bake, in the folder ``work``: the targets as the bake file's, and what steps may see of this machine.

    ``secrets`` are texts by id; ``reach`` lets steps use this machine's own network, for servers on its loopback;
    ``timeout`` is in seconds. ``platform`` is another one than the engine's own, as in ``linux/arm64``.
    """

    work: Path
    targets: Mapping[str, Mapping[str, Any]]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    reach: bool = False
    timeout: float = TIMEOUT
    platform: str = ""


def bake(call: Bake, *, say: Callable[[str], None]) -> None:
    """Build all targets of a call; ``say`` is told each step that ran, with its time.

    The bake file stays in the work folder, for those who build by hand.
    Raises HashMismatchError, StaleLockError, NetworkError, EngineError, or BuildError with the end of the failed step's
    output.
    """
    with _secrets(call) as folder:
        # Fields between commas, where quotes count: a relative path has none of those of the project's folder.
        secret = [f"id={name},src={folder.name}/{name}" for name in sorted(call.secrets)]
        more: dict[str, object] = {"secret": secret, **({"platforms": [call.platform]} if call.platform else {})}
        document = {
            "group": {"default": {"targets": sorted(call.targets)}},
            "target": {name: {**target, **more} for name, target in call.targets.items()},
        }
        (call.work / BAKE_FILE).write_text(json.dumps(_literal(document), indent=1), encoding="utf-8")
        environment = {
            # It would go into the images, and is in no key.
            **{name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"},
            **call.environment,
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            # Newer buildx wants to be allowed each path outside the project; the secrets are such.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        }
        reach = _host_network(call) if call.reach else []
        command = ["docker", "buildx", "bake", *reach, "--file", BAKE_FILE, "--progress", "plain"]
        run = partial(process.run, command, timeout=call.timeout, env=environment, cwd=call.work, on_line=_steps(say))
        try:
            try:
                run()
            except process.CommandError as error:
                trouble = _mended(error.output)
                if not trouble:
                    raise
                say(trouble)
                run()
        except process.CommandError as error:
            raise (_late(call, error.output) if error.status is None else explain(error.output)) from error


def _mended(output: str) -> str:
    """Mend what troubled the engine itself, where asking it again will do, and return what to tell; else nothing."""
    if _DAMAGED.search(output):
        _forget_sent_files()
        return "the engine has lost files that it was sent: sending them again"
    if _CONFUSED.search(output):
        return "the engine has mixed up two builds: asking it again"
    return ""


def _forget_sent_files() -> None:
    """Remove the builder's copies of build contexts, of all projects: each sends its own anew at its next build."""
    process.run(["docker", "buildx", "prune", "--force", "--filter", "type=source.local"], timeout=TIMEOUT)


def _literal(value: object) -> object:
    """Return a part of a bake file whose strings stand for themselves: bake takes each for a template of HCL's.

    Source: HCL JSON syntax specification, "String expressions".
    """
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, Mapping):
        return {key: _literal(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_literal(one) for one in value]
    return value


def _late(call: Bake, output: str) -> PyrlabError:
    """Return the error of a build that was ended because its time was over: no step of it has failed."""
    said = masked(process.tail(output, 20))
    limit = f"{call.timeout / 60:.0f} minutes" if call.timeout >= 120 else f"{call.timeout:.0f} s"  # noqa: PLR2004
    return _of_engine(output, said) or BuildError(
        f"the builder took more than {limit}, and was ended",
        remedy="run the same again, which goes on where this came to; the last lines say what took so long",
        detail=said,
    )


def explain(output: str) -> PyrlabError:
    """Turn BuildKit's plain output of a failed build into the error that names its cause."""
    step = failed_step(output)
    said = masked(process.tail("\n".join(step.lines) or output, 20))
    return (
        r_output.explain(step)
        or _of_pins(step)
        or _of_engine(output, said)
        or _of_base(output)
        or _of_python(step, said)
        or network.explain(said, said)
        or BuildError("a build step failed", remedy="its last lines say why; --debug shows all", detail=said)
    )


def _of_pins(step: FailedStep) -> PyrlabError | None:
    """Return the error of a file that is not what the lock names, or of one that no lock names."""
    kind = _STATUSES.get(step.status)
    marked = [match for line in step.lines if (match := _MARKED.fullmatch(line)) and match["kind"] == kind]
    names = sorted({(match["name"], match["version"]) for match in marked})
    if not names:
        return None
    if kind == "mismatch":
        return HashMismatchError(
            f"the bytes of {', '.join(map(' '.join, names))} are not those that the lock names",
            remedy="something changed files while they were built from: run the same again, and find out what it was",
        )
    unlocked = ", ".join(name for name, _ in names)
    return StaleLockError(f"no lock has {unlocked}, which pinned packages need", remedy="nox -s lock -- debs")


def _of_base(output: str) -> PyrlabError | None:
    """Return the error of a base image that the engine cannot bring."""
    match = _NO_BASE.search(output)
    if match is None:
        return None
    host = match["image"].partition("/")[0]
    return NetworkError(
        f"the engine cannot bring the base image {match['image']} by the digest that debs.lock pins: {match['reason']}",
        remedy=f"docker login {host}, where it wants a user; where the image is gone, nox -s lock -- --upgrade-package "
        "with the name in base.image takes what that name has now",
    )


def _of_python(step: FailedStep, said: str) -> PyrlabError | None:
    """Return the error of Python packages that do not fit together, or of one that cannot be built."""
    broken = list(dict.fromkeys(match["reason"] for line in step.lines if (match := _BROKEN.fullmatch(line))))
    if broken:
        return BuildError(
            f"the Python packages do not fit together: {'; '.join(broken)}",
            remedy="nox -s lock -- python --upgrade; or ask for other versions in the list",
        )
    # The last one is the script's own: it says so after all that the package has printed.
    unbuilt = [match for line in step.lines if (match := _UNBUILT.fullmatch(line))]
    if unbuilt:
        return BuildError(
            f"{unbuilt[-1]['name']} {unbuilt[-1]['version']} comes as source only, and could not be built",
            remedy="its last lines say why; what is missing may be a Debian package for the list of debs",
            detail=said,
        )
    return None


def _of_engine(output: str, said: str) -> PyrlabError | None:
    """Return the error of an engine that lacks room, has lost its way, or is there no longer."""
    if full := room.of(output, said):
        return full
    if _CONFUSED.search(output):
        return EngineError(
            "the Docker engine has mixed up builds that ran at once", remedy="run the same again", detail=said
        )
    if _ENDED.search(output):
        return EngineError(
            "the Docker engine ended, or lost its connection, while it built",
            remedy="nox -s engine starts it; then run the same again: what was built is kept",
            detail=said,
        )
    return None


def _steps(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a reader of BuildKit's lines that tells of each step that really ran, when it is done."""
    running: dict[str, str] = {}
    # Several targets that share a step each have it in BuildKit's output.
    told: set[str] = set()
    read_r = r_output.reader(say)

    def read(line: str) -> None:
        read_r(line)
        if match := _STEP.match(line):
            running[match["number"]] = match["stage"]
        elif (match := _DONE.match(line)) and (stage := running.pop(match["number"], None)) and stage not in told:
            told.add(stage)
            say(f"{stage}: {match['seconds']} s")

    return read


def _host_network(call: Bake) -> list[str]:
    """Return the options that let build steps reach servers on this machine's loopback.

    They are a compose file's: older buildx knows a target's network from nowhere else.
    """
    services = {
        name: {"build": {"context": target["context"], "network": "host"}} for name, target in call.targets.items()
    }
    (call.work / NETWORK_FILE).write_text(json.dumps({"services": services}), encoding="utf-8")
    shown = process.run(["docker", "buildx", "version"], timeout=30)
    version = re.search(r"(\d+)\.(\d+)", shown)
    asks_leave = version is not None and (int(version[1]), int(version[2])) >= _ENTITLEMENTS
    return ["--file", NETWORK_FILE, *(["--allow", "network.host"] if asks_leave else [])]


@contextlib.contextmanager
def _secrets(call: Bake) -> Iterator[Path]:
    """Write secrets as files that only this user can read, for as long as one build runs."""
    # In the work folder, where the next run sweeps what a killed one leaves.
    with temporary.folder(call.work) as folder:
        for name, text in call.secrets.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        yield folder
