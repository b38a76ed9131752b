"""What must not cost more than it has to: memory that runs out, a full disk, files that go while they are listed."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kernels
import pytest
import requests
from docker.types import Mount
from kernels import Kernel
from labs import NOTEBOOKS, Fleet, RunningLab, wait_for

MEMORY = "1g"
KILLED = "The kernel was killed: the lab used all of the memory that it may (1.0 GiB)."
# By language: code that does the same in each.
ASSIGN = {"python": "kept = 1", "R": "kept <- 1"}
EXISTS = {"python": "print('kept' in globals())", "R": "cat(exists('kept'))"}
HOG = {"python": "hog = bytearray(2 * 2**30)", "R": "hog <- numeric(2^28)"}
PID = {"python": "import os\nprint(os.getpid())", "R": "cat(Sys.getpid())"}

DISK = 2**20
OLD = "o" * (DISK // 4)
# With a copy of the old file beside it, all but the last bytes of this would fit: there Jupyter itself fails.
LARGE = "n" * (DISK * 3 // 4 + 1000)


def test_a_kernel_that_takes_all_memory_goes_alone(fleet: Fleet, lab_name: str, kernel_name: str) -> None:
    """Below its cell, and in the log, stands why; a kernel beside it knows what it knew; it starts again, empty."""
    with fleet.another(lab_name, mem_limit=MEMORY, memswap_limit=MEMORY) as lab:
        _run_out_of_memory(lab, kernel_name)
        assert lab.get("/api/status").status_code == 200


def _run_out_of_memory(lab: RunningLab, kernel_name: str) -> None:
    with kernels.start(lab, kernel_name) as witness, kernels.start(lab, kernel_name) as victim:
        for kernel in (witness, victim):
            kernel.execute(ASSIGN[kernel.language])
        assert KILLED in _last_words(victim, HOG[victim.language])
        # The engine takes what a lab logs a moment later.
        logged = f"kernel {victim.client.id}: {KILLED}"
        wait_for("the log to say why", lambda: logged in lab.log(), timeout=30, evidence=lab.log)
        assert _knows(witness)
        wait_for("the kernel to start again", victim.answers, timeout=60, evidence=lab.log)
        assert not _knows(victim)


@pytest.mark.language("python")
def test_a_kernel_that_is_killed_otherwise_is_not_called_out_of_memory(lab: RunningLab) -> None:
    """Somebody who killed it knows why."""
    with kernels.start(lab, lab.kernel("python")) as kernel:
        kernel.execute(ASSIGN["python"])
        # The shell's own: a small list brings no program of this name.
        lab.run("sh", "-c", f"kill -KILL {kernel.execute(PID['python']).stdout.strip()}")
        wait_for("the kernel to start again", lambda: f"kernel {kernel.client.id} restarted" in lab.log(), timeout=30)
        wait_for("the kernel to answer", kernel.answers, timeout=60, evidence=lab.log)
    assert "was killed: " not in lab.log()


def test_a_full_disk_leaves_the_old_file_and_says_so(fleet: Fleet, lab_name: str) -> None:
    """A text and a notebook; nothing lies about afterwards, what is smaller can be saved, and kernels start."""
    disk = Mount(f"{NOTEBOOKS}/disk", None, type="tmpfs", tmpfs_size=DISK, tmpfs_mode=0o777)
    with fleet.another(lab_name, prepare=_make_mount_point, mounts=[disk]) as lab:
        for path, model in (("disk/old.txt", _text), ("disk/old.ipynb", _notebook)):
            assert _save(lab, path, model(OLD)).status_code == 201
            failed = _save(lab, path, model(LARGE))
            assert _content(lab, path) == OLD
            assert failed.status_code == 507
            assert failed.json()["message"] == (
                f"{path[5:]} was not saved: the disk is full. The file is as it was; make room and save again."
            )
            assert _save(lab, path, model("small")).status_code == 200
            assert _content(lab, path) == "small"
        assert lab.run("ls", "-A", "disk").split() == [".ipynb_checkpoints", "old.ipynb", "old.txt"]
        with kernels.start(lab, next(iter(lab.lab.kernels))) as kernel:
            assert kernel.answers()


def test_what_is_saved_keeps_its_rights_its_link_and_its_other_names(lab: RunningLab) -> None:
    """A file is replaced where nobody can tell; where somebody could, it is written over as ever."""
    for path in ("program.txt", "linked.txt", "twice.txt"):
        assert _save(lab, path, _text("old")).status_code == 201
    lab.run("sh", "-c", "chmod 750 program.txt; ln -s linked.txt link.txt; ln twice.txt again.txt")
    for path in ("program.txt", "link.txt", "twice.txt"):
        assert _save(lab, path, _text("new")).status_code == 200
    said = lab.run("sh", "-c", "stat -c %a program.txt; readlink link.txt; cat linked.txt again.txt program.txt")
    assert said == "750\nlinked.txt\nnewnewnew"


def test_a_folder_is_listed_while_its_files_get_other_names(lab: RunningLab) -> None:
    """As where a program writes its results under a passing name: the file browser leaves out only what went."""
    restless = lab.folder / "restless"
    restless.mkdir()
    (restless / "still.txt").touch()
    with _renames_without_end(restless):
        lists = [lab.get("/api/contents/restless?content=1") for _ in range(20)]
    assert {answer.status_code for answer in lists} == {200}
    assert all("still.txt" in {file["name"] for file in answer.json()["content"]} for answer in lists)
    assert lab.get("/api/contents/restless/gone.txt?content=0").status_code == 404


@contextmanager
def _renames_without_end(folder: Path, files: int = 60) -> Iterator[None]:
    names = [(folder / f"{number}.txt", folder / f"{number}.part") for number in range(files)]
    for done, _ in names:
        done.touch()
    ended = threading.Event()

    def rename() -> None:
        while not ended.is_set():
            for done, part in names:
                done.rename(part)
            for done, part in names:
                part.rename(done)

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _make_mount_point(folder: Path) -> None:
    (folder / "disk").mkdir()
    # Some engines give what they mount there the rights of what is there.
    (folder / "disk").chmod(0o777)


def _knows(kernel: Kernel) -> bool:
    return kernel.execute(EXISTS[kernel.language]).stdout.strip().lower() == "true"


class _SaidError(Exception):
    """What a test waits for was written."""


def _last_words(kernel: Kernel, code: str) -> str:
    """Execute what kills the kernel, and return what then stands below the cell on standard error."""

    def hear(message: Mapping[str, Any]) -> None:
        if message["content"].get("name") == "stderr":
            raise _SaidError(message["content"]["text"])

    with pytest.raises(_SaidError) as said:
        kernel.client.execute_interactive(code, timeout=25, output_hook=hear)
    return str(said.value)


def _text(text: str) -> dict[str, object]:
    return {"type": "file", "format": "text", "content": text}


def _notebook(text: str) -> dict[str, object]:
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    return {"type": "notebook", "format": "json", "content": content}


def _save(lab: RunningLab, path: str, model: Mapping[str, object]) -> requests.Response:
    return lab.request("PUT", f"/api/contents/{path}", token=lab.token, json=model)


def _content(lab: RunningLab, path: str) -> str:
    """Return a text, or that of a notebook's only cell, as whoever opens it sees it."""
    content = lab.get(f"/api/contents/{path}").json()["content"]
    return str(content if isinstance(content, str) else content["cells"][0]["source"])
