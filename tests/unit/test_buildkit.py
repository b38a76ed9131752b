"""BuildKit: what a failed build says, what a build is given, and what it tells while it runs."""

import hashlib
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from graphs import SOURCE

from pyrlab.adapters import process
from pyrlab.adapters.docker import buildkit
from pyrlab.adapters.docker.buildkit import Bake
from pyrlab.adapters.http import hide
from pyrlab.errors import (
    BuildError,
    EngineError,
    HashMismatchError,
    NetworkError,
    NoRoomError,
    PyrlabError,
    StaleLockError,
)
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.settings import Settings

Load = Callable[..., Settings]
# What the scripts in docker/install end with when the locks do not fit; else they end with 1.
STATUSES: Mapping[type[PyrlabError], int] = {HashMismatchError: 8, StaleLockError: 4}


def failed(*lines: str, status: int = 1) -> str:
    """Return BuildKit's plain output of a step that prints ``lines`` and fails with an exit status."""
    printed = [f"#14 {number}.531 {line}" for number, line in enumerate(lines, start=2)]
    trailer = ["------", " > [rlab base-debs 2/3] RUN step:", *(line.partition(" ")[2] for line in printed), "------"]
    return "\n".join(
        [
            "#1 [internal] load local bake definitions",
            "#13 [tools 2/2] RUN other",
            "#13 1.200 WARNING: Connection pool is full, could not connect",
            "#14 [rlab base-debs 2/3] RUN step",
            *printed,
            f'#14 ERROR: process "/bin/sh -c step" did not complete successfully: exit code: {status}',
            "#13 CANCELED",
            *trailer,
            f'ERROR: target rlab: failed to solve: process "/bin/sh -c step" did not complete: exit code: {status}',
        ]
    )


@pytest.mark.parametrize(
    ("lines", "kind", "message", "remedy"),
    [
        pytest.param(
            ["pyrlab-mismatch curl 8.14.1-2", "pyrlab-mismatch numpy 2.3.4"],
            HashMismatchError,
            "the bytes of curl 8.14.1-2, numpy 2.3.4 are not those that the lock names",
            "something changed files while they were built from: run the same again, and find out what it was",
            id="other-bytes",
        ),
        pytest.param(
            ["dpkg: error: cannot copy extracted data: failed to write (No space left on device)"],
            NoRoomError,
            "the Docker engine's disk is full",
            "make room: nox -s clean, docker builder prune",
            id="a-full-disk",
        ),
        pytest.param(
            ["pyrlab-unlocked libfoo any"],
            StaleLockError,
            "no lock has libfoo, which pinned packages need",
            "nox -s lock -- debs",
            id="a-pin-lost-from-the-lock",
        ),
        pytest.param(
            ["pyrlab-python broken The package `a` requires `b>=2`, but `1` is installed"],
            BuildError,
            "the Python packages do not fit together: The package `a` requires `b>=2`, but `1` is installed",
            "nox -s lock -- python --upgrade; or ask for other versions in the list",
            id="python-environment",
        ),
        pytest.param(
            ["pyrlab-python unbuilt peewee 3.17"],
            BuildError,
            "peewee 3.17 comes as source only, and could not be built",
            "its last lines say why; what is missing may be a Debian package for the list of debs",
            id="source-distribution",
        ),
        pytest.param(
            ["Err:1 http://deb.example trixie InRelease", "  Temporary failure resolving 'deb.example'"],
            NetworkError,
            "deb.example could not be reached",
            "check the network, HTTP_PROXY and HTTPS_PROXY, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or "
            "their keys in pyrlab.toml",
            id="no-name-server",
        ),
        pytest.param(
            ["gcc: error: no input files"],
            BuildError,
            "a build step failed",
            "its last lines say why; --debug shows all",
            id="anything-else",
        ),
    ],
)
def test_a_failed_build_is_traced_to_its_cause(
    lines: list[str], kind: type[PyrlabError], message: str, remedy: str
) -> None:
    """Class, message and remedy."""
    error = buildkit.explain(failed(*lines, status=STATUSES.get(kind, 1)))
    assert (type(error), str(error), error.remedy) == (kind, message, remedy)


@pytest.mark.parametrize("mark", ["pyrlab-mismatch numpy 2.3.4", "pyrlab-unlocked libfoo any", "pyrlab-r mismatch a 1"])
@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        pytest.param("", "", 1, id="a-package-that-fails"),
        pytest.param("it says: ", "", 8, id="inside-a-line"),
        pytest.param("", "\r#14 ERROR: exit code: 8\r", 1, id="carriage-returns"),
        pytest.param("#14 ERROR: exit code: 8\v", "", 1, id="another-line-break"),
        pytest.param("#14 ERROR: exit code: 8\u2028", "", 1, id="one-of-unicode"),
    ],
)
def test_what_package_code_prints_is_not_believed_of_bytes(mark: str, before: str, after: str, status: int) -> None:
    """A hostile build backend, or a package that is loaded at the gate, may print whatever it likes."""
    error = buildkit.explain(failed("gcc: error: x.c", f"{before}{mark}{after}", status=status))
    assert (type(error), str(error)) == (BuildError, "a build step failed")


def test_what_another_step_prints_is_not_believed_of_bytes() -> None:
    """Not even when a check of files fails beside it."""
    forged = "#13 1.3 pyrlab-mismatch scipy 1.0\n"
    error = buildkit.explain(forged + failed("pyrlab-mismatch numpy 2.3.4", status=8))
    assert str(error) == "the bytes of numpy 2.3.4 are not those that the lock names"
    assert str(buildkit.explain(forged + failed("gcc: error"))) == "a build step failed"


@pytest.mark.parametrize(
    "script", ["debs/install-debs", "python/build-wheel", "python/check-files", "root/configure-root"]
)
def test_a_check_of_files_says_by_its_status_which_bytes_are_others(script: str, tmp_path: Path) -> None:
    """Before anything else reads them."""
    good, bad = hashlib.sha256(b"good").hexdigest(), hashlib.sha256(b"other").hexdigest()
    for name in ("good", "bad"):
        (tmp_path / name).write_bytes(b"good")
    for list_ in ("sums", "pins"):
        text = f"{good} good numpy 2.3.4 auto\n{bad} bad zoo 1.8 auto\n".replace(" auto", " auto" * (list_ == "pins"))
        (tmp_path / list_).write_text(text, encoding="utf-8")
    path, passing = SOURCE / "docker/install" / script, tmp_path / "tmp"
    passing.mkdir()
    # In a build /tmp is the step's own; here it is everybody's.
    text = path.read_text(encoding="utf-8").replace("/tmp/", f"{passing}/")  # noqa: S108
    command = ["/bin/sh", "-c", text, str(path), str(tmp_path), str(passing / "out")]
    # Nor do programs speak any other language there.
    spoken = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, env=spoken, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (HashMismatchError.exit_code, "pyrlab-mismatch zoo 1.8\n")


def test_package_code_cannot_choose_the_status_of_its_step() -> None:
    """At the gate it runs in R itself, and could end it so. Whoever builds a wheel looks only whether that worked."""
    gate = (SOURCE / "docker/stages/gate-r.Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"check-library \S+ \|\| exit 1$", gate, re.MULTILINE)


def test_the_detail_is_what_the_failed_step_printed() -> None:
    """Without BuildKit's numbers and times, and without the steps beside it."""
    error = buildkit.explain(failed("compiling", "gcc: error: no input files"))
    assert error.detail.splitlines()[:2] == ["compiling", "gcc: error: no input files"]
    assert "Connection pool" not in error.detail


def test_output_without_a_failed_step_is_shown_from_its_end() -> None:
    """Such as a bake file that cannot be read."""
    error = buildkit.explain("\n".join(str(number) for number in range(50)))
    assert error.detail.splitlines() == [str(number) for number in range(30, 50)]


def test_a_retry_that_worked_is_not_the_cause() -> None:
    """Only what the failed step said counts."""
    output = "#5 1.0 Retrying: Connection reset\n#5 DONE 2.0s\n#7 5.0 gcc: error: x.c\n#7 ERROR: exit code: 1\n"
    error = buildkit.explain(output)
    assert (type(error), error.detail) == (BuildError, "gcc: error: x.c\nERROR: exit code: 1")


def test_without_settings_no_secret_says_anything(load_settings: Load) -> None:
    """But for apt's date check, which is always decided."""
    written = {name: text.strip() for name, text in lock_secrets(load_settings(), "").items()}
    check = 'Acquire::Check-Valid-Until "true";'
    assert written == {"apt": check, **dict.fromkeys(("sources", "r-sources", "keys", "uv", "ca", "proxy"), "")}


def test_proxies_are_a_secret_that_a_shell_reads(load_settings: Load, tmp_path: Path) -> None:
    """They may hold a password, with whatever signs; programs look for them in either case."""
    proxy = "http://me:p'w$x@proxy.example:3128"
    (tmp_path / "proxy").write_text(lock_secrets(load_settings(HTTP_PROXY=proxy), "")["proxy"], encoding="utf-8")
    shown = subprocess.run(
        ["/bin/sh", "-euc", '. "$1"; env', "sh", str(tmp_path / "proxy")],
        env={},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    ).stdout.splitlines()
    assert {f"HTTP_PROXY={proxy}", f"http_proxy={proxy}"} <= set(shown)


def test_a_percent_sign_in_a_source_is_one_after_apt_has_decoded_it(load_settings: Load) -> None:
    """Apt decodes the words of a sources.list, and then reads the URL: a password with a slash would end the host."""
    toml = '[base]\napt_sources = ["deb https://me:${WORD}@deb.example/debian trixie main"]\n'
    # Its other words apt decodes once.
    r = '[r]\napt_sources = ["deb [trusted=yes] https://r.example/a%20b c%20d/"]\n'
    written = lock_secrets(load_settings(toml + r, WORD="a:/b"), "")
    own = "deb https://me:a%253A%252Fb@deb.example/debian trixie main\n"
    assert written["sources"] == own
    assert written["r-sources"] == f"{own}deb [trusted=yes] https://r.example/a%2520b c%20d/\n"


def test_secrets_hold_the_network_settings(load_settings: Load, tmp_path: Path) -> None:
    """Each tool's own configuration, as that tool reads it."""
    (tmp_path / "ca.pem").touch()
    source = "deb https://deb.example/debian trixie main"
    written = lock_secrets(
        load_settings(
            f'[base]\napt_sources = ["{source}"]\ncheck_valid_until = "no"',
            APTPROXY="http://cache.example:3142",
            PIPPROXY='https://me:p"w@index.example/simple',
            PIPHOST="index.example",
            SSL_CERT_FILE=os.fspath(tmp_path / "ca.pem"),
        ),
        "certificates",
    )
    assert (written["sources"], written["ca"]) == (f"{source}\n", "certificates")
    assert written["apt"].splitlines() == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://cache.example:3142";',
        'Acquire::https::Proxy "http://cache.example:3142";',
        'Acquire::https::CaInfo "/run/secrets/ca";',
        'Dir::Etc::SourceList "/run/secrets/sources";',
        'Dir::Etc::SourceParts "/dev/null";',
    ]
    index = 'https://me:p"w@index.example/simple'
    uv = {"allow-insecure-host": ["index.example"], "index": [{"url": index, "default": True}]}
    assert tomllib.loads(written["uv"]) == uv


class Docker:
    """Stands in for `docker buildx bake`: prints lines, and notes what it was given."""

    def __init__(self, *lines: str, status: int = 0) -> None:
        """Take the lines to print, and the status to end with."""
        self.lines, self.status = lines, status
        self.command: Sequence[str] = ()
        self.document: dict[str, dict[str, dict[str, list[str]]]] = {}
        self.secrets: dict[str, tuple[str, int]] = {}
        self.places: list[Path] = []

    def run(self, command: Sequence[str], **given: object) -> str:
        """Take the place of process.run."""
        if command == ["docker", "buildx", "version"]:
            return "github.com/docker/buildx 0.18.0"
        work, on_line = given["cwd"], given["on_line"]
        assert isinstance(work, Path)
        assert callable(on_line)
        self.command = command
        self.document = json.loads((work / "bake.json").read_text(encoding="utf-8"))
        for entry in self.document["target"]["pylab"]["secret"]:
            match = re.fullmatch(r"id=(\w+),src=(.*)", entry)
            assert match
            path = work / match[2]
            self.places.append(path)
            self.secrets[match[1]] = (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777)
        for line in self.lines:
            on_line(line)
        if self.status:
            raise process.CommandError(command, f"ended with status {self.status}", "\n".join(self.lines), self.status)
        return "\n".join(self.lines)


class DamagedDocker(Docker):
    """An engine that was killed while files were sent to it: it misses them, until its copies are pruned."""

    def __init__(self, *, heals: bool = True) -> None:
        """Take whether pruning helps."""
        super().__init__(
            "#5 [root-configured 1/1] RUN --mount=type=bind,from=recipe,source=root,target=/dev/recipe configure",
            '#5 ERROR: failed to calculate checksum of ref eae1::j2615: "/root": not found',
            'ERROR: failed to calculate checksum of ref eae1::j2615: "/root": not found',
            status=1,
        )
        self.heals, self.pruned = heals, 0

    def run(self, command: Sequence[str], **given: object) -> str:
        """Take the place of process.run."""
        if command[2] == "prune":
            assert command[3:] == ["--force", "--filter", "type=source.local"]
            self.pruned += 1
            self.status = 0 if self.heals else 1
            return ""
        return super().run(command, **given)


class ConfusedDocker(Docker):
    """An engine that mixes up two builds, some times in a row."""

    def __init__(self, times: int) -> None:
        """Take how often."""
        super().__init__("#7 DONE 0.0s", "ERROR: failed to solve: failed to get edge: inconsistent graph state")
        self.times = times

    def run(self, command: Sequence[str], **given: object) -> str:
        """Take the place of process.run."""
        self.times -= 1
        self.status = 1 if self.times >= 0 else 0
        return super().run(command, **given)


def run(work: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch, *, reach: bool = False) -> list[str]:
    """Bake two targets with ``docker``, and return what was told."""
    monkeypatch.setattr(process, "run", docker.run)
    told: list[str] = []
    targets: Mapping[str, Mapping[str, object]] = {name: {"context": "root"} for name in ("pylab", "rlab")}
    call = Bake(work, targets, secrets={"seal": "hush", "limits": ""}, reach=reach)
    buildkit.bake(call, say=told.append)
    return told


def test_what_settings_hide_is_not_in_the_words_of_a_failed_step() -> None:
    """Apt repeats the whole URL."""
    hide(["s3cret-word"])
    error = buildkit.explain(failed("Err:1 https://mirror.test/s3cret-word/debian trixie InRelease", status=100))
    assert "https://mirror.test/…/debian" in error.detail
    assert "s3cret-word" not in f"{error} {error.remedy} {error.detail}"


def test_secrets_are_this_users_alone_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Docker()
    run(tmp_path, docker, monkeypatch)
    assert docker.secrets == {"seal": ("hush", 0o600), "limits": ("", 0o600)}
    assert not any(path.exists() for path in docker.places)
    assert "hush" not in " ".join(docker.command) + json.dumps(docker.document)


class SlowDocker(Docker):
    """An engine that is not done in time."""

    def run(self, command: Sequence[str], **given: object) -> str:
        """Take the place of process.run."""
        super().run(command, **given)
        raise process.CommandError(command, f"took more than {given['timeout']} s", "\n".join(self.lines))


def test_a_build_over_its_time_says_so_and_what_it_was_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step has failed, so none is blamed."""
    docker = SlowDocker("#7 [rlab-library 1/1] RUN install-library", "#7 12.3 pyrlab-r compiled alpha 1.0 3.0s")
    with pytest.raises(BuildError) as caught:
        run(tmp_path, docker, monkeypatch)
    assert str(caught.value) == "the builder took more than 240 minutes, and was ended"
    assert "goes on where this came to" in caught.value.remedy
    assert "compiled alpha" in caught.value.detail


def test_where_a_build_over_its_time_had_no_room_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = SlowDocker("#7 ERROR: write /x: no space left on device", "ERROR: write /x: no space left on device")
    with pytest.raises(NoRoomError, match="disk is full"):
        run(tmp_path, docker, monkeypatch)


def test_steps_reach_this_machine_only_where_they_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Docker()
    run(tmp_path, docker, monkeypatch)
    assert "--allow" not in docker.command
    run(tmp_path, docker, monkeypatch, reach=True)
    assert docker.command[3:7] == ["--file", "host-network.yaml", "--allow", "network.host"]


def test_steps_that_ran_are_told_with_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what comes from the cache, nor BuildKit's own, nor a stage's copies."""
    docker = Docker(
        "#1 [internal] load local bake definitions",
        "#1 DONE 0.1s",
        "#7 [pylab base-debs 2/3] RUN --mount=type=bind install",
        "#8 [tools  2/2] RUN pip",
        "#8 CACHED",
        "#9 [rlab 2/2] COPY --link --from=shared / /",
        "#9 DONE 2.0s",
        "#7 DONE 12.5s",
    )
    assert run(tmp_path, docker, monkeypatch) == ["base-debs: 12.5 s"]


def test_a_failed_bake_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause reaches the user, and the secrets are gone even so."""
    docker = Docker(*failed("pyrlab-unlocked libfoo any", status=4).splitlines(), status=1)
    with pytest.raises(StaleLockError, match=r"^no lock has libfoo, which pinned packages need$"):
        run(tmp_path, docker, monkeypatch)
    assert not any(path.exists() for path in docker.places)


def test_files_that_a_killed_engine_lost_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = DamagedDocker()
    assert run(tmp_path, docker, monkeypatch)[0] == "the engine has lost files that it was sent: sending them again"
    assert docker.pruned == 1


def test_an_engine_that_stays_damaged_is_asked_twice_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = DamagedDocker(heals=False)
    with pytest.raises(BuildError, match=r"^a build step failed$"):
        run(tmp_path, docker, monkeypatch)
    assert docker.pruned == 1


def test_an_engine_that_mixes_up_two_builds_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, ConfusedDocker(1), monkeypatch) == ["the engine has mixed up two builds: asking it again"]
    with pytest.raises(EngineError, match=r"^the Docker engine has mixed up builds that ran at once$"):
        run(tmp_path, ConfusedDocker(2), monkeypatch)
    said = "#7 0.1 ERROR: failed to solve: inconsistent graph state"
    with pytest.raises(BuildError):
        run(tmp_path, Docker("#7 [pylab base-debs 2/3] RUN install", said, status=1), monkeypatch)


ENDS = [
    "ERROR: failed to solve: Unavailable: error reading from server: EOF",
    "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
    'ERROR: failed to solve: Unavailable: connection error: desc = "transport: Error while dialing: dial unix"',
    "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
]


@pytest.mark.parametrize("end", ENDS)
def test_an_engine_that_ends_is_no_fault_of_a_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """An upgrade would hold back what it built just then."""
    with pytest.raises(EngineError, match=r"^the Docker engine ended"):
        run(tmp_path, Docker("#7 [pylab base-debs 2/3] RUN install", end, status=1), monkeypatch)
    with pytest.raises(BuildError):
        run(tmp_path, Docker("#7 [pylab base-debs 2/3] RUN install", f"#7 0.1 {end}", status=1), monkeypatch)


def test_a_packages_own_words_prune_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = DamagedDocker()
    docker.lines = tuple(f"#5 0.1 {line}" for line in docker.lines)
    with pytest.raises(BuildError):
        run(tmp_path, docker, monkeypatch)
    assert docker.pruned == 0


@pytest.mark.parametrize(
    "reason",
    [
        "127.0.0.1:5000/team/base@sha256:00: not found",
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
        'failed to do request: Head "https://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
    ],
)
def test_a_base_image_that_the_engine_cannot_bring(reason: str) -> None:
    """In BuildKit's own words; what a step prints is not believed."""
    image = f"127.0.0.1:5000/team/base@sha256:{'0' * 64}"
    said = f"failed to solve: {image}: failed to resolve source metadata for {image}: {reason}"
    error = buildkit.explain(f"#3 [internal] load metadata for {image}\n#3 ERROR: {reason}\nERROR: {said}\n")
    assert isinstance(error, NetworkError)
    assert str(error).startswith("the engine cannot bring the base image 127.0.0.1:5000/team/base by the digest")
    assert str(error).endswith(reason)
    assert "docker login 127.0.0.1:5000" in error.remedy
    step = f"#7 [root 2/3] RUN x\n#7 0.1 {said}\n#7 ERROR: process did not complete successfully: exit code: 1\n"
    assert type(buildkit.explain(step)) is BuildError


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param(
            "W: OpenPGP signature verification failed: http://me:hush@m.test/own r/ InRelease: Missing key B878\n"
            "E: The repository 'http://me:hush@m.test/own r/ InRelease' is not signed.",
            "http://m.test/own has no valid signature of the keys that count for it",
            id="signature",
        ),
        pytest.param(
            "W: An error occurred during the signature verification. The repository is not updated and the previous "
            "index files will be used. OpenPGP signature verification failed: http://m.test/own r/ InRelease: No good "
            "signature from required signer: E96B\n"
            "E: Failed to fetch http://m.test/own/r/InRelease  No good signature from required signer: E96B",
            "http://m.test/own has no valid signature of the keys that count for it",
            id="signature-after-a-good-one",
        ),
        pytest.param(
            "E: The repository 'http://m.test/own r/ InRelease' is not signed.",
            "http://m.test/own has no valid signature of the keys that count for it",
            id="not-signed",
        ),
        pytest.param(
            "E: Failed to fetch http://me:hush@m.test/own/r/Packages  Hash Sum mismatch",
            "http://m.test/own/r/Packages does not fit its Release file",
            id="index",
        ),
        pytest.param(
            "E: Failed to fetch http://m.test/own/r/Packages.gz  File has unexpected size (9 != 8). Mirror sync?",
            "http://m.test/own/r/Packages.gz does not fit its Release file",
            id="size",
        ),
        pytest.param(
            "E: Release file for http://m.test/own/InRelease is expired (invalid since 2512d 16h)",
            "the archive's Release file is past its Valid-Until date",
            id="date",
        ),
    ],
)
def test_what_apt_does_not_believe_is_told(said: str, message: str) -> None:
    """Whatever else it says; it ends with status 100."""
    lines = "".join(f"#7 1.0 {line}\n" for line in said.splitlines())
    error = buildkit.explain(f"{lines}#7 ERROR: exit code: 100\n")
    assert (type(error), str(error)) == (BuildError, message)
    assert "hush" not in f"{error} {error.remedy}"
