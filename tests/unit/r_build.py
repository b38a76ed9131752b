"""A folder with what the build step of R packages sees, a fake R, and the script run in it."""

import hashlib
import importlib
import io
import itertools
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docker/install/r"))
archives: Any = importlib.import_module("archives")
cache: Any = importlib.import_module("cache")
jobs: Any = importlib.import_module("jobs")
plan: Any = importlib.import_module("plan")
sandbox: Any = importlib.import_module("sandbox")
script: Any = importlib.import_module("install_packages")

ROOT = os.geteuid() == 0
# Users of this test run alone.
IDS = 200_000 + os.getpid() % 10_000 * 10_000
_builds = itertools.count()
MTIME = 1_000_000_000
KEY = "the user's own key"
# Installs as R does, as far as a file system sees it. A package with a file "wrong" fails and prints it; one with a
# file "hostile" runs it first, with the package's name and the private library as arguments.
FAKE_R = """#!/bin/sh
for last; do case $last in --library=*) library=${last#*=} ;; esac; done
name=${last##*/}
env >"$library/environment"
if [ -e "$last/wrong" ]; then cat "$last/wrong"; exit 1; fi
cp -r "$last" "$library" || exit
rm -f "$library/$name/hostile"
echo "Built: by R" >>"$library/$name/DESCRIPTION"
[ ! -e "$last/environment" ] || mv "$library/environment" "$library/$name/environment"
if [ -e "$last/hostile" ]; then . "$last/hostile"; fi
"""


def package(name: str, after: Iterable[str] = (), **changes: object) -> dict[str, Any]:
    """Return one entry of a plan."""
    own = {"name": name, "version": "1.0", "key": f"{name}-key", "files": [], "after": list(after)}
    return own | {"system_requirements": ""} | changes


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Return a member of an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, link, MTIME
    return info


class Build:
    """A folder with what a build step sees, and the script run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._capsys, self._monkeypatch = folder, capsys, monkeypatch
        for name in ("bin", "files", "library"):
            (folder / name).mkdir()
        (folder / "seal").write_text(KEY, encoding="utf-8")
        (folder / "seal").chmod(0o400)
        (folder / "bin" / "R").write_text(FAKE_R, encoding="utf-8")
        (folder / "bin" / "R").chmod(0o755)
        # Limits count the processes of a user, on the whole machine: what another test ended may not be gone yet.
        monkeypatch.setattr(sandbox, "FIRST_ID", IDS + 40 * next(_builds))
        monkeypatch.setattr(sandbox, "KEEPER", 5_000)
        monkeypatch.setattr(script, "PATH", f"{folder / 'bin'}:/usr/bin:/bin")

    def file(
        self, name: str, kind: str = "source", version: str = "1.0", top: str = "", **files: str
    ) -> list[dict[str, str]]:
        """Make a downloaded file of one package, in a folder ``top``, and return what a plan says of it."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for path, text in {"DESCRIPTION": f"Package: {name}\nVersion: {version}\n", **files}.items():
                info = member(f"{top or name}/{path}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        sha256 = hashlib.sha256(stream.getvalue()).hexdigest()
        (self.folder / "files" / sha256).write_bytes(stream.getvalue())
        return [{"kind": kind, "sha256": sha256}]

    def hostile(self, name: str, attack: str, **files: str) -> dict[str, Any]:
        """Return a package whose install runs shell code, with $name, $library and the build's $folder."""
        return package(name, files=self.file(name, hostile=f"folder={self.folder}\n{attack}\n", **files))

    def run(self, *entries: Mapping[str, Any], options: Sequence[str] = ()) -> tuple[int, list[str]]:
        """Run the script, and return its exit status and lines."""
        self.folder.joinpath("plan.json").write_text(json.dumps({"packages": entries}), encoding="utf-8")
        places = [str(self.folder / name) for name in ("plan.json", "files", "library", "cache")]
        others = ["--kernels", str(self.folder / "kernels"), "--seal", str(self.folder / "seal")]
        self._monkeypatch.setattr(sys, "argv", ["install", *places, *others, *options])
        status: int = script.main()
        return status, self._capsys.readouterr().out.splitlines()

    def tree(self, folder: str) -> dict[str, tuple[bytes, float]]:
        """Return bytes and time of each file below a folder."""
        top = self.folder / folder
        return {
            path.relative_to(top).as_posix(): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime)
            for path in top.rglob("*")
        }


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that every user may enter: pytest's own are closed to all but theirs."""
    folder = Path(tempfile.mkdtemp(prefix="pyrlab-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def make_build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Make an empty library and cache, with an R that only copies.

    Who is not root has no other users to compile as: there, all runs as one, and test_r_sandbox.py is skipped.
    """
    if not ROOT:
        monkeypatch.setattr(sandbox, "lowered", lambda command, _: list(command))
        monkeypatch.setattr(sandbox.os, "chown", lambda *_, **__: None)
        monkeypatch.setattr(sandbox, "end_all", lambda _: None)
    with open_folder() as folder:
        yield Build(folder, capsys, monkeypatch)
