"""The engine: found or refused with a remedy, and never replaced."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine, engine_install
from pyrlab.errors import EngineError


class Commands:
    """Answers of programs by their first words; a missing one fails as a program that is not there."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.ran: list[str] = []

    def run(self, command: Sequence[str], **_: object) -> str:
        """Take the place of process.run."""
        self.ran.append(" ".join(command))
        key = f"{command[0]}_{command[1]}".replace("-", "_")
        if key not in self.answers:
            raise process.MissingProgramError(command[0])
        return self.answers[key]


BUILDX = "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3"


def server(version: str, arch: str = "amd64", api: str = "") -> str:
    """Return what `docker version` prints of an engine."""
    return json.dumps({"Version": version, "Arch": arch, "ApiVersion": api})


def use(monkeypatch: pytest.MonkeyPatch, **answers: str) -> Commands:
    """Put ``answers`` in the place of real programs."""
    commands = Commands(**answers)
    monkeypatch.setattr(process, "run", commands.run)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return commands


@pytest.mark.parametrize(
    ("info", "shown"),
    [
        pytest.param(
            {"SecurityOptions": ["name=seccomp,profile=builtin"], "OperatingSystem": "Debian"}, "", id="plain"
        ),
        pytest.param(
            {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]},
            " (rootless)",
            id="rootless",
        ),
        pytest.param({"SecurityOptions": ["name=seccomp", "name=userns"]}, " (with mapped users)", id="userns-remap"),
        pytest.param({"SecurityOptions": ["name=apparmor", "name=cgroupns"]}, "", id="cgroups-only"),
        pytest.param({"SecurityOptions": ["name=selinux", "name=seccomp"]}, " (with SELinux)", id="selinux"),
        pytest.param({"SecurityOptions": ["name=rootless", "name=selinux"]}, " (rootless, with SELinux)", id="both"),
        pytest.param({"OperatingSystem": "Docker Desktop"}, " (Docker Desktop)", id="desktop"),
        pytest.param({"SecurityOptions": None}, "", id="says-nothing"),
    ],
)
def test_an_engine_that_answers_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, info: dict[str, object], shown: str
) -> None:
    commands = use(
        monkeypatch, docker_version=server("26.1.5+dfsg1"), docker_buildx=BUILDX, docker_info=json.dumps(info)
    )
    assert engine_install.ensure() == f"Docker 26.1.5+dfsg1{shown} answers; nothing to do."
    assert [command.split()[1] for command in commands.ran] == ["version", "buildx", "info"]


@pytest.mark.parametrize(
    ("version", "api", "is_fit"),
    [
        pytest.param("23.0.0", "1.42", True, id="oldest"),
        pytest.param("28.0.0-rc.1", "1.48", True, id="release-candidate"),
        pytest.param("22.06.0-beta.0", "1.42", False, id="before"),
        pytest.param("dev", "1.48", True, id="dev"),
        pytest.param("dev", "1.41", False, id="old-dev"),
        pytest.param("library-import", "", True, id="tells-nothing"),
        pytest.param("", "", True, id="empty"),
    ],
)
def test_an_engines_version_is_read_whatever_it_looks_like(
    monkeypatch: pytest.MonkeyPatch, version: str, api: str, *, is_fit: bool
) -> None:
    use(monkeypatch, docker_version=server(version, api=api), docker_buildx=BUILDX)
    if is_fit:
        assert engine.find().version == (version or "unknown")
    else:
        with pytest.raises(EngineError, match=rf"^the Docker engine is version {version}, and COPY --link needs 23 or"):
            engine.find()


@pytest.mark.parametrize(
    ("shown", "version"),
    [
        pytest.param(BUILDX, (0, 13), id="debian"),
        pytest.param("github.com/docker/buildx v0.12.0-desktop.2 9a5b1c2", (0, 12), id="desktop"),
        pytest.param("github.com/docker/buildx v0.10.5 86bdced", (0, 10), id="too-old"),
        pytest.param("github.com/docker/buildx v1.0.0 86bdced", (1, 0), id="one"),
        pytest.param("github.com/docker/buildx v0.0.0+unknown ", None, id="unknown"),
        pytest.param("github.com/docker/buildx (devel) ", None, id="devel"),
        pytest.param("github.com/docker/buildx 9a5b1c2.m 9a5b1c2", None, id="commit"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_buildx_version(monkeypatch: pytest.MonkeyPatch, shown: str, version: tuple[int, int] | None) -> None:
    """One that is too old is refused; one that tells no version was built by hand, and is taken."""
    assert engine.buildx_version(shown) == version
    use(monkeypatch, docker_version=server("26.1.5"), docker_buildx=shown)
    if version == (0, 10):
        with pytest.raises(EngineError) as caught:
            engine.find()
        assert str(caught.value) == "buildx is version 0.10, and the bake file's matrices need 0.11 or newer"
        assert "docker-buildx-plugin" in caught.value.remedy
    else:
        engine.find()


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        pytest.param("amd64", "amd64", id="amd64"),
        pytest.param("arm64", "arm64", id="arm64"),
        pytest.param("arm", "armhf", id="arm"),
        pytest.param("386", "i386", id="386"),
        pytest.param("ppc64le", "ppc64el", id="ppc64le"),
        pytest.param("aarch64", "arm64", id="kernel-word"),
    ],
)
def test_the_architecture_is_the_engines_in_debians_word(
    monkeypatch: pytest.MonkeyPatch, arch: str, expected: str
) -> None:
    """The host, whose machine() is something else, is not asked."""
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    use(monkeypatch, docker_version=server("26.1.5", arch), docker_buildx=BUILDX)
    assert engine.find().architecture == expected


@pytest.mark.parametrize("arch", ["wasm", ""])
def test_an_architecture_that_debian_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch, arch: str) -> None:
    use(monkeypatch, docker_version=server("26.1.5", arch), docker_buildx=BUILDX)
    with pytest.raises(EngineError, match=rf"architecture is {arch or 'not told'}, for which Debian has no packages$"):
        engine.find()


@pytest.mark.parametrize("shown", ["null", "", "warning: no engine"])
def test_an_answer_without_an_engine_is_none(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    """As other programs that are called docker print it."""
    use(monkeypatch, docker_version=shown, docker_buildx=BUILDX)
    with pytest.raises(EngineError, match=r"^no Docker engine answers$"):
        engine.find()


@pytest.mark.parametrize(
    ("address", "machine"),
    [
        pytest.param("unix:///var/run/docker.sock", "", id="socket"),
        pytest.param("npipe:////./pipe/docker_engine", "", id="pipe"),
        pytest.param("tcp://127.0.0.1:2375", "", id="loopback"),
        pytest.param("tcp://localhost:2375", "", id="localhost"),
        pytest.param("tcp://[::1]:2375", "", id="loopback-6"),
        pytest.param("tcp://build.example:2376", "build.example", id="tcp"),
        pytest.param("ssh://me@build.example", "build.example", id="ssh"),
        pytest.param("tcp://[::1", "", id="broken"),
    ],
)
def test_an_engine_on_another_machine_is_noticed(address: str, machine: str) -> None:
    assert engine.other_machine(address) == machine


def test_an_old_engine_is_refused_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = use(monkeypatch, docker_version=server("20.10.24"))
    with pytest.raises(EngineError) as caught:
        engine_install.ensure()
    assert str(caught.value) == "the Docker engine is version 20.10.24, and COPY --link needs 23 or newer"
    assert caught.value.remedy == "install a newer engine, or remove this one and run: nox -s engine"
    assert len(commands.ran) == 1


def test_an_engine_elsewhere_is_not_replaced_by_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example:2375")
    with pytest.raises(EngineError) as caught:
        engine_install.ensure()
    assert str(caught.value) == "no docker command on the PATH at DOCKER_HOST=tcp://build.example:2375"
    assert caught.value.remedy == "start that engine, or unset DOCKER_HOST to use one on this machine"


@pytest.mark.parametrize(
    ("release", "uid", "says", "remedy"),
    [
        pytest.param(
            {"ID": "fedora", "PRETTY_NAME": "Fedora"}, 0, "Fedora is not Debian", "docs.docker.com", id="fedora"
        ),
        pytest.param({"ID": "debian"}, 1000, "only root can install", "sudo nox -s engine", id="not-root"),
    ],
)
def test_where_none_can_be_installed_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], uid: int, says: str, remedy: str
) -> None:
    use(monkeypatch)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    with pytest.raises(EngineError) as caught:
        engine_install.ensure()
    assert says in str(caught.value)
    assert remedy in caught.value.remedy


def test_only_stale_pid_files_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    files = {"gone": "999999999", "garbled": "?", "another": "1", "alive": str(Path("/proc/self").resolve().name)}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    pid_files = {tmp_path / name: own if name == "alive" else "dockerd" for name in [*files, "absent"]}
    monkeypatch.setattr(engine_install, "PID_FILES", pid_files)
    engine_install.remove_stale_pid_files()
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]
