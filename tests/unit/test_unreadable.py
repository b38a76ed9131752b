"""What stands in the place of a file and is none, and streams that are closed: one message, and never a wait."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from graphs import SOURCE

# Enough for pyrlab, and soon full of what a device without an end gives.
MEMORY = 2**31


def pyrlab(project: Path, *arguments: str, streams: str = "") -> "subprocess.CompletedProcess[str]":
    """Run pyrlab as a program, as something may wait or take all memory; ``streams`` are a shell's redirections."""
    words = " ".join([sys.executable, "-m", "pyrlab", *arguments])
    return subprocess.run(
        ["/bin/sh", "-c", f"exec {words} {streams}"],
        cwd=project,
        env={**os.environ, "HOME": str(project), "PYTHONPATH": str(SOURCE / "src")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    ("name", "verb", "status"),
    [
        pytest.param("debs.lock", ["lock", "--check"], 4, id="lock"),
        pytest.param("requirements.in", ["lock"], 3, id="list"),
        pytest.param("pyrlab.toml", ["lock"], 2, id="settings"),
        pytest.param("docker/images.toml", ["lock"], 2, id="graph"),
    ],
)
def test_what_is_no_regular_file_is_said_at_once(
    project: Path, name: str, verb: list[str], status: int, kind: str
) -> None:
    """Reading a pipe waits for a writer, and /dev/zero has no end."""
    path = project / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    ended = pyrlab(project, *verb)
    message, remedy = ended.stderr.splitlines()
    assert (ended.returncode, message) == (status, f"error: {name} cannot be read: it is not a regular file")
    assert remedy.startswith(("  try: make it a file that you can read", "  try: restore it from version control"))


def test_a_pipe_that_is_called_like_a_lock_is_none_of_ours(project: Path) -> None:
    """`lock` looks at all locks before it starts; this one belongs to somebody else."""
    os.mkfifo(project / "other.lock")
    (project / "requirements.in").write_text("!", encoding="utf-8")
    assert "requirements.in:1" in pyrlab(project, "lock").stderr


def test_an_image_graph_that_is_no_text_is_said(project: Path) -> None:
    (project / "docker/images.toml").write_bytes("[root]".encode("utf-16"))
    ended = pyrlab(project, "lock")
    message, remedy = ended.stderr.splitlines()
    assert (ended.returncode, remedy) == (
        2,
        "  try: restore it from version control: git checkout -- docker/images.toml",
    )
    assert message.startswith("error: docker/images.toml cannot be read: 'utf-8' codec can't decode byte 0xff")


def test_nobody_need_listen(project: Path) -> None:
    """After `>&-` there is no stream to write to: what fails says so all the same, and what works works."""
    silent = pyrlab(project, "lock", "--check", streams=">&-")
    assert (silent.returncode, silent.stderr.splitlines()[0]) == (4, "error: there is no debs.lock")
    assert pyrlab(project, "lock", "--check", streams=">&- 2>&-").returncode == 4
    assert pyrlab(project, "--help", streams=">&-").returncode == 0
