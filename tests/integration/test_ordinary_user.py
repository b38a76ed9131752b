"""README's first command, as an ordinary user who has Python, git and the docker command, and nothing else."""

import grp
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import PREFIX, SOURCE, Project, images_of, printed_by, remove_tags

# Nobody's: an ordinary user need not even have an entry in the user database.
USER = 12345
PROGRAMS = ("python3", "git", "docker")
SYSTEM = "/usr/bin:/bin:/usr/local/bin"
TIMEOUT = 1200
LEFT_OUT = (".git", ".nox", ".pyrlab", "*_cache", ".hypothesis", "__pycache__")


def first_command() -> str:
    """Return the first command in the README."""
    match = re.search(r"```sh\n(.*?)\n```", (SOURCE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert match
    return match[1]


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder that another user can reach: pytest's own are root's alone, and each pytest sees to that."""
    with tempfile.TemporaryDirectory(prefix="pyrlab-ordinary-") as folder:
        yield Path(folder)


@pytest.fixture
def ordinary(project: Project, home: Path) -> Project:
    """Return a whole checkout with small lists, of a user who may talk to the engine and has three programs."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    checkout = home / "checkout"
    shutil.copytree(SOURCE, checkout, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for path in project.path.iterdir():
        if path.is_file():
            shutil.copy(path, checkout)
    (checkout / "pyrlab.toml").write_text(images_of("ordinary-"), "utf-8")
    for name in ("home", "bin"):
        (home / name).mkdir()
    for program in PROGRAMS:
        found = shutil.which(program, path=SYSTEM)
        assert found, f"this machine has no {program} for all its users"
        (home / "bin" / program).symlink_to(found)
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHON", "VIRTUAL"))
    }
    own = {"HOME": str(home / "home"), "PATH": str(home / "bin"), "FILES": str(home / "notebooks")}
    return Project(checkout, {**environment, **own, "USER": "ordinary", "LOGNAME": "ordinary"})


def as_user(project: Project, command: str, **environment: str) -> str:
    """Run a shell command as the ordinary user, and return what it printed."""
    return printed_by(
        ["/bin/sh", "-c", command],
        cwd=project.path,
        env={**project.environment, **environment},
        user=USER,
        group=USER,
        extra_groups=[grp.getgrnam("docker").gr_gid],
        timeout=TIMEOUT,
    )


def test_the_first_command_works_without_root_and_without_debians_tools(ordinary: Project, free_port: int) -> None:
    try:
        printed = as_user(ordinary, first_command(), PORT=str(free_port))
        link = re.findall(r"http://127\.0\.0\.1:\S+", printed)[-1]
        session = requests.Session()
        session.trust_env = False
        assert "<title>JupyterLab</title>" in session.get(link, timeout=30).text
        assert as_user(ordinary, "python3 -m nox -s stop -- pylab").count("pylab is stopped.") == 1
        # Nor do the lock of Python packages, its check, and doctor need more of this machine.
        assert "requirements.lock: nothing changed" in as_user(ordinary, "python3 -m nox -s lock -- python")
        assert "The locks agree with the lists." in as_user(ordinary, "python3 -m nox -s lock -- --check")
        looked = as_user(ordinary, "python3 -m nox -s doctor -- --json || true")
        checks = {one["name"]: one["state"] for one in json.loads(looked[looked.index("[\n") : looked.rindex("]") + 1])}
        assert {checks[name] for name in ("engine", "buildx", "architecture", "locks")} == {"ok"}
    finally:
        remove_tags(f"{PREFIX}ordinary-")
