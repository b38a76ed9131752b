"""BuildKit: what a failed build says, what a build is given, and what it tells while it runs."""

import configparser
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.adapters.docker import buildkit as bake
from pyrlab.errors import BuildError, GoneError, HashMismatchError, NetworkError, PyrlabError, StaleLockError
from pyrlab.model.settings import Settings

Load = Callable[..., Settings]
BAKE = (Path(__file__).parents[2] / bake.FILE).read_text(encoding="utf-8")


def failed(*lines: str) -> str:
    """Return BuildKit's plain output of a step that prints ``lines`` and fails."""
    printed = [f"#14 {number}.531 {line}" for number, line in enumerate(lines, start=2)]
    trailer = ["------", " > [rlab base-debs 2/3] RUN step:", *(line.partition(" ")[2] for line in printed), "------"]
    return "\n".join(
        [
            "#1 [internal] load local bake definitions",
            "#13 [tools 2/2] RUN other",
            "#13 0.400 Connection pool is full",
            "#14 [rlab base-debs 2/3] RUN step",
            *printed,
            '#14 ERROR: process "/bin/sh -c step" did not complete successfully: exit code: 1',
            "#13 CANCELED",
            *trailer,
            'ERROR: target rlab: failed to solve: process "/bin/sh -c step" did not complete: exit code: 1',
        ]
    )


INDEX_MESSAGE = "a package index or archive could not be reached"
INDEX_REMEDY = "check the network, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or their keys in pyrlab.toml"
LOCK_REMEDY = "restore the lock from version control, or lock that package anew: nox -s lock -- --upgrade-package NAME"
GONE_REMEDY = "nox -s lock -- debs, which moves just these; or use a snapshot archive (base.apt_sources)"


@pytest.mark.parametrize(
    ("lines", "kind", "message", "remedy"),
    [
        pytest.param(
            ["pyrlab-gone vim 2:9.1-1", "pyrlab-gone curl 8.14.1-2"],
            GoneError,
            "the archive no longer has curl 8.14.1-2, vim 2:9.1-1",
            GONE_REMEDY,
            id="dropped-by-the-archive",
        ),
        pytest.param(
            ["pyrlab-gone vim 2:9.1-1", "pyrlab-mismatch curl 8.14.1-2"],
            HashMismatchError,
            "the archive has other bytes than debs.lock for curl 8.14.1-2",
            "find out why before you trust them; nox -s lock -- --upgrade-package NAME takes them as they are",
            id="other-bytes-outweigh-what-is-gone",
        ),
        pytest.param(
            ["  x Failed to download `numpy==2.3.4`", "  ╰─▶ Hash mismatch for `numpy==2.3.4`"],
            HashMismatchError,
            "numpy==2.3.4 is not the file that was locked: its hash differs",
            LOCK_REMEDY,
            id="hash-of-a-wheel",
        ),
        pytest.param(
            ["pyrlab-unlocked libfoo any"],
            StaleLockError,
            "no lock has libfoo, which pinned packages need",
            "nox -s lock -- debs",
            id="a-pin-lost-from-the-lock",
        ),
        pytest.param(
            ["E: Failed to fetch http://deb.example/x.deb  Hash Sum mismatch"],
            HashMismatchError,
            "a Debian package is not the file that was locked: its hash differs",
            LOCK_REMEDY,
            id="hash-of-a-deb",
        ),
        pytest.param(
            ["Err:1 http://deb.example trixie InRelease", "  Temporary failure resolving 'deb.example'"],
            NetworkError,
            INDEX_MESSAGE,
            INDEX_REMEDY,
            id="no-name-server",
        ),
        pytest.param(
            ["error: Request failed after 3 retries", "  Caused by: invalid peer certificate: UnknownIssuer"],
            NetworkError,
            INDEX_MESSAGE,
            INDEX_REMEDY,
            id="certificate-of-an-inspecting-proxy",
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
    error = bake.explain(failed(*lines))
    assert (type(error), str(error), error.remedy) == (kind, message, remedy)


def test_pips_words_for_other_bytes_are_understood_too() -> None:
    """The tools that lock and install are themselves installed by pip, by hash."""
    lines = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "    uv==0.9 from x.whl:"
    assert isinstance(bake.explain(failed(*lines)), HashMismatchError)


def test_the_detail_is_what_the_failed_step_printed() -> None:
    """Without BuildKit's numbers and times, and without the steps beside it."""
    error = bake.explain(failed("compiling", "gcc: error: no input files"))
    assert error.detail.splitlines()[:2] == ["compiling", "gcc: error: no input files"]
    assert "Connection pool" not in error.detail


def test_output_without_a_failed_step_is_shown_from_its_end() -> None:
    """Such as a bake file that cannot be read."""
    error = bake.explain("\n".join(map(str, range(50))))
    assert error.detail.splitlines() == [str(number) for number in range(30, 50)]


def test_without_settings_no_secret_says_anything(load_settings: Load) -> None:
    """But for apt's date check, which is always decided."""
    written = {name: text.strip() for name, text in bake.secret_files(load_settings()).items()}
    check = 'Acquire::Check-Valid-Until "true";'
    assert written == {"apt": check, "sources": "", "pip": "[global]", "uv": "", "ca": ""}


def test_secrets_hold_the_network_settings(load_settings: Load, tmp_path: Path) -> None:
    """Each tool's own configuration, as that tool reads it."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
    source = "deb https://deb.example/debian trixie main"
    written = bake.secret_files(
        load_settings(
            f'[base]\napt_sources = ["{source}"]\ncheck_valid_until = "no"',
            APTPROXY="http://cache.example:3142",
            PIPPROXY='https://me:p"w@index.example/simple',
            PIPHOST="index.example",
            SSL_CERT_FILE=os.fspath(tmp_path / "ca.pem"),
        )
    )
    assert written["sources"] == f"{source}\n"
    assert written["ca"] == "-----BEGIN CERTIFICATE-----\n"
    assert written["apt"].splitlines() == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://cache.example:3142";',
        'Acquire::https::Proxy "http://cache.example:3142";',
        'Acquire::https::CaInfo "/run/secrets/ca";',
        'Dir::Etc::SourceList "/run/secrets/sources";',
        'Dir::Etc::SourceParts "/dev/null";',
    ]
    index = 'https://me:p"w@index.example/simple'
    pip = configparser.RawConfigParser()
    pip.read_string(written["pip"])
    assert dict(pip["global"]) == {"index-url": index, "trusted-host": "index.example"}
    uv = tomllib.loads(written["uv"])
    assert uv == {"allow-insecure-host": ["index.example"], "index": [{"url": index, "default": True}]}


class Docker:
    """Stands in for `docker buildx bake`: prints lines, and notes what it was given."""

    def __init__(self, *lines: str, status: int = 0) -> None:
        """Take the lines to print, and the status to end with."""
        self.lines, self.status = lines, status
        self.command: Sequence[str] = ()
        self.env: Mapping[str, str] = {}
        self.secrets: dict[str, tuple[str, int]] = {}

    def run(self, command: Sequence[str], **given: object) -> str:
        """Take the place of process.run."""
        if command == ["docker", "buildx", "version"]:
            return "github.com/docker/buildx 0.13.1"
        env, on_line = given["env"], given["on_line"]
        assert isinstance(env, dict)
        assert callable(on_line)
        self.command, self.env = command, env
        for path in Path(env["SECRETS"]).iterdir():
            self.secrets[path.name] = (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777)
        for line in self.lines:
            on_line(line)
        if self.status:
            raise process.CommandError(command, f"ended with status {self.status}", "\n".join(self.lines))
        return "\n".join(self.lines)


def run(settings: Settings, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Bake two targets on an empty root with ``docker``, and return what was told."""
    monkeypatch.setattr(process, "run", docker.run)
    told: list[str] = []
    below = settings.project / "below"
    below.mkdir(exist_ok=True)
    bake.bake(settings, ["pylab", "rlab"], below=below, variables={"LABELS": "{}", "RUN": "1"}, say=told.append)
    return told


def test_secrets_are_this_users_alone_and_gone_afterwards(load_settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """All five, whether or not they say anything."""
    settings, docker = load_settings(APTPROXY="http://cache.example:3142"), Docker()
    run(settings, docker, monkeypatch)
    assert docker.secrets == {name: (text, 0o600) for name, text in bake.secret_files(settings).items()}
    assert not Path(docker.env["SECRETS"]).exists()
    listed = re.findall(r'for name in \[(.*?)\] : "id=\$', BAKE)
    assert sorted(re.findall(r"\w+", listed[0])) == sorted(docker.secrets)


def test_a_build_is_given_only_variables_that_the_bake_file_declares(
    load_settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelled one would be lost without a word."""
    docker = Docker()
    run(load_settings('[images]\nprefix = "team/"', HTTPS_PROXY="http://localhost:3128"), docker, monkeypatch)
    given = {name: value for name, value in docker.env.items() if os.environ.get(name) != value}
    assert (given["PREFIX"], given["HTTPS_PROXY"]) == ("team/", "http://localhost:3128")
    undeclared = set(given) - set(re.findall(r'variable "(\w+)"', BAKE))
    assert undeclared == {"BUILDX_NO_DEFAULT_ATTESTATIONS", "BUILDX_BAKE_ENTITLEMENTS_FS"}
    assert docker.command[-2:] == ["pylab", "rlab"]


def test_steps_that_ran_are_told_with_their_times(load_settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert run(load_settings(), docker, monkeypatch) == ["base-debs: 12.5 s"]


def test_a_failed_bake_is_explained(load_settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause reaches the user, and the secrets are gone even so."""
    docker = Docker(*failed("pyrlab-gone curl 8.14.1-2").splitlines(), status=1)
    with pytest.raises(GoneError, match=r"^the archive no longer has curl 8\.14\.1-2$"):
        run(load_settings(), docker, monkeypatch)
    assert not Path(docker.env["SECRETS"]).exists()


def test_a_retry_that_worked_is_not_the_cause() -> None:
    """Only what the failed step said counts."""
    output = "#5 1.0 Retrying: Connection reset\n#5 DONE 2.0s\n#7 5.0 gcc: error: x.c\n#7 ERROR: exit code: 1\n"
    error = bake.explain(output)
    assert (type(error), error.detail) == (BuildError, "gcc: error: x.c\nERROR: exit code: 1")
