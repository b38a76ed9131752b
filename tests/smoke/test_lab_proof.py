"""What `upgrade` tells of labs: how long one takes to answer, and that the user's own notebooks, [proof], run."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from labs import OWNER, TIMED_OUT, RunningLab
from project import ProofNotebook

from pyrlab.model.proof import inject

# What no notebook reads, and may be large.
LEFT_OUT = shutil.ignore_patterns(".pyrlab", ".git", ".nox", ".ipynb_checkpoints", "__pycache__")


def test_answers(lab: RunningLab) -> None:
    """It does, with the token: `upgrade` asks how long that takes."""
    assert lab.get("/api/status").ok


def test_own_notebook(
    lab: RunningLab,
    proof_notebook: ProofNotebook,
    outputs: Path | None,
    record_property: Callable[[str, object], None],
) -> None:
    """No cell fails but those tagged ``raises-exception``. It works on a copy of its folder."""
    name = proof_notebook.path
    path = _copied(proof_notebook, lab)
    kernel = lab.kernel(proof_notebook.language)
    ended = lab.attempt(
        *("jupyter", "nbconvert", "--to", "notebook", "--execute", "--allow-errors", "--inplace"),
        # A kernel that wants input would wait for ever; the limit of the whole is ours.
        *(f"--ExecutePreprocessor.kernel_name={kernel}", "--ExecutePreprocessor.timeout=-1"),
        str(path.relative_to(lab.folder)),
        timeout=proof_notebook.timeout,
    )
    if ended.status == TIMED_OUT:
        pytest.fail(f"{name} took more than {proof_notebook.timeout} s (proof.timeout)", pytrace=False)
    if ended.status:
        pytest.fail(f"{name} cannot be executed:\n{ended.stderr[-3000:]}", pytrace=False)
    executed = json.loads(path.read_text(encoding="utf-8"))
    if outputs is not None:
        target = outputs / f"{lab.lab.image}-{name}"
        record_property("output", target.relative_to(outputs).as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(executed), encoding="utf-8")
    _none_failed(name, executed)


def _copied(notebook: ProofNotebook, lab: RunningLab) -> Path:
    """Copy the folder in which the notebook stands, as the lab user's own, and return the notebook with its parameters.

    It is a file of its own there, whatever the notebook is called: nbconvert takes ``*`` and brackets for patterns, and
    what is a link in the copied folder leads to the user's own file.
    """
    folder = lab.folder / f"proof-{zlib.crc32(notebook.path.encode()):08x}"
    shutil.copytree(notebook.file.parent, folder, ignore=LEFT_OUT, symlinks=True)
    path = folder / "pyrlab-proof.ipynb"
    path.unlink(missing_ok=True)
    source = json.loads(notebook.file.read_text(encoding="utf-8"))
    path.write_text(json.dumps(inject(source, notebook.parameters, notebook.language)), encoding="utf-8")
    for own in (folder, *folder.rglob("*")):
        os.chown(own, *OWNER, follow_symlinks=False)
    return path


def _none_failed(name: str, executed: dict[str, list[dict[str, object]]]) -> None:
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, start=1):
        metadata = cell.get("metadata")
        tags = metadata.get("tags", ()) if isinstance(metadata, dict) else ()
        outputs = cell.get("outputs")
        errors = [one for one in outputs if one["output_type"] == "error"] if isinstance(outputs, list) else []
        if errors and "raises-exception" not in tags:
            error = errors[0]
            trace = "\n".join(error["traceback"])
            pytest.fail(f"{name}, cell {number}: {error['ename']}: {error['evalue']}\n{trace}", pytrace=False)
