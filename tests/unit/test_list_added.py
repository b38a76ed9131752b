"""What the labs' own programs say of added packages, on folders like a lab's."""

import errno
import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from graphs import SOURCE

from pyrlab.model.added import Added
from pyrlab.steps import added
from pyrlab.steps.labs import Running

PROGRAMS = SOURCE / "docker/install/lab"
HERE = "{}.{}".format(*sys.version_info[:2])


class Lab:
    """The folders of a lab: its own packages and the added ones."""

    def __init__(self, root: Path, program: ModuleType) -> None:
        self.root, self.program = root, program
        self.added = root / "added"
        self.python(self.added).mkdir(parents=True)
        self.python(root).mkdir(parents=True)
        (self.added / "R").mkdir()
        self.describe(root / "R/base", Version="4.5.0")

    @staticmethod
    def python(prefix: Path, version: str = HERE) -> Path:
        """Return where Python's packages are below a prefix."""
        return prefix / f"lib/python{version}/site-packages"

    def add_python(
        self, name: str, version: str = "1.0", *, own: bool = False, python: str = HERE, wanted: bool = True
    ) -> Path:
        """Put a distribution into the lab as pip does, and return its metadata's folder."""
        folder = self.python(self.root if own else self.added, python)
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not me\n")
        for file in ("RECORD", "INSTALLER", *(["REQUESTED"] if wanted else [])):
            (info / file).touch()
        return info

    def add_r(self, name: str, version: str = "1.0", *, own: bool = False, **fields: str) -> Path:
        """Put an R package into the lab, and return its folder."""
        folder = (self.root if own else self.added) / "R" / name
        fields = {"Repository": "CRAN", "Built": "R 4.5.1; ; 2026-01-01 00:00:00 UTC; unix", **fields}
        self.describe(folder, Package=name, Version=version, **fields)
        return folder

    @staticmethod
    def describe(folder: Path, **fields: str) -> None:
        """Write a DESCRIPTION."""
        folder.mkdir(parents=True)
        (folder / "DESCRIPTION").write_text("".join(f"{key}: {value}\n" for key, value in fields.items() if value))

    def find(self) -> dict[str, dict[str, Any]]:
        """Return what was added, by name."""
        return {package["name"]: package for package in self.program.find()}

    def says(self) -> list[str]:
        """Return what is said of it."""
        said: list[str] = self.program.sentences(self.program.find())
        return said


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab to which nothing was added."""
    loader = SourceFileLoader("list_added", str(PROGRAMS / "list-added"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_loader("list_added", loader)
    assert spec
    program = importlib.util.module_from_spec(spec)
    loader.exec_module(program)
    places = {"ADDED": tmp_path / "added", "LAB": tmp_path, "R_LIBRARIES": (tmp_path / "R",)}
    for name, value in {**places, "JUPYTER": (tmp_path / "share/jupyter",)}.items():
        monkeypatch.setattr(program, name, value)
    return Lab(tmp_path, program)


def test_nothing_added_is_nothing_said(lab: Lab) -> None:
    assert (lab.find(), lab.says()) == ({}, [])


def test_what_was_asked_for_is_named_and_the_rest_counted(lab: Lab) -> None:
    lab.add_python("numpy-financial")
    lab.add_python("needed", wanted=False)
    lab.add_r("top", Imports="R (>= 4.0), middle (>= 1.0)", Depends="R (>= 3.5)")
    lab.add_r("middle", LinkingTo="bottom")
    lab.add_r("bottom")
    assert {name for name, package in lab.find().items() if package["wanted"]} == {"numpy-financial", "top"}
    assert lab.says() == ["numpy-financial 1.0, top 1.0 and 3 more were added to the image"]


def test_r_covers_the_images_and_python_does_not(lab: Lab) -> None:
    for name in ("older", "newer", "same"):
        lab.add_r(name, "1.10-2")
    for name, version in {"older": "1.9", "newer": "1.10-10", "same": "1.10-2"}.items():
        lab.add_r(name, version, own=True)
    lab.add_python("Py.Same")
    lab.add_python("py-other")
    lab.add_python("py-same", own=True)
    lab.add_python("py-other", "2.0", own=True)
    assert {name: package["note"] for name, package in lab.find().items()} == {
        "older": "covers the image's 1.9",
        "newer": "covers the image's newer 1.10-10",
        "same": "is in the image by now, in this very version",
        "Py.Same": "is in the image by now, in this very version",
        "py-other": "is not used: the image has 2.0, and Python looks there first",
    }
    assert all(package["fits"] for package in lab.find().values())
    assert "older 1.10-2 covers the image's 1.9" in lab.says()


def test_an_image_with_another_python_does_not_see_what_was_added_before(lab: Lab) -> None:
    lab.add_python("lost", python="3.2")
    lab.add_python("back", python="3.2")
    lab.add_python("back", "2.0")
    packages: list[dict[str, Any]] = lab.program.find()
    found = {(one["name"], one["version"]): (one["fits"], bool(one["note"])) for one in packages}
    assert found == {("lost", "1.0"): (False, True), ("back", "1.0"): (True, True), ("back", "2.0"): (True, False)}
    assert f"lost 1.0 is not seen: it was added to Python 3.2, and the image has {HERE}" in lab.says()


def test_an_image_with_another_r_does_not_fit_what_was_compiled(lab: Lab) -> None:
    lab.add_r("compiled", Built="R 4.4.3; x86_64-pc-linux-gnu; 2025-01-01 00:00:00 UTC; unix")
    lab.add_r("plain", Built="R 4.4.3; ; 2025-01-01 00:00:00 UTC; unix")
    found = lab.find()
    assert (found["compiled"]["fits"], found["plain"]["fits"]) == (False, True)
    assert found["compiled"]["note"].startswith("was compiled for R 4.4, and the image has 4.5: install.packages(")


def test_a_killed_installation_is_told(lab: Lab) -> None:
    for name, file in {"early": "RECORD", "late": "INSTALLER"}.items():
        (lab.add_python(name) / file).unlink()
    lab.add_r("source", Built="")
    (lab.added / "R/00LOCK-locked/locked").mkdir(parents=True)
    found = lab.find()
    assert {name: (package["fits"], package["wanted"]) for name, package in found.items()} == dict.fromkeys(
        ("early", "late", "source", "locked"), (False, False)
    )
    assert "pip install --ignore-installed late" in found["late"]["note"]
    assert found["locked"]["note"].endswith("remove " + str(lab.added / "R/00LOCK-locked"))


@pytest.mark.parametrize("language", ["python", "r"])
def test_a_library_that_the_image_lacks_is_told(lab: Lab, language: str) -> None:
    """As after a move to a newer Debian. What another package brings is loaded by packages themselves."""
    if language == "python":
        info = lab.add_python("gone")
        (info / "RECORD").write_text("gone/a.cpython-x.so,sha256=x,1\ngone/b.py,,\n")
        target = lab.python(lab.added) / "gone/a.cpython-x.so"
    else:
        target = lab.add_r("gone") / "libs/gone.so"
    target.parent.mkdir(parents=True)
    whole = a_library()
    target.write_bytes(whole)
    assert lab.find()["gone"]["fits"]
    target.write_bytes(whole.replace(b"\0libc.so.6\0", b"\0gone.so.7\0"))
    package = lab.find()["gone"]
    assert (package["fits"], package["note"]) == (False, "does not load: the image lacks gone.so.7")
    (lab.added / "gone.so.7").touch()
    assert lab.find()["gone"]["fits"]


def a_library() -> bytes:
    """Return a shared library that this very process has, and that needs libc."""
    paths = {Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    contents = (path.read_bytes() for path in sorted(paths, key=lambda path: path.stat().st_size))
    return next(content for content in contents if b"\0libc.so.6\0" in content)


def test_where_a_package_came_from_is_told_unless_it_was_an_index(lab: Lab) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    (lab.add_python("local") / "direct_url.json").write_text(json.dumps({"url": "file:///x\x1b[2J", "dir_info": {}}))
    lab.add_python("index")
    lab.add_r("github", Repository="", RemoteType="github", RemoteUsername="owner", RemoteRepo="repo", RemoteSha=commit)
    lab.add_r("folder", Repository="")
    lab.add_r("pak", Repository="", RemoteType="standard")
    assert {name: package["source"] for name, package in lab.find().items()} == {
        "local": "file:///x?[2J",
        "index": "",
        "github": f"owner/repo@{commit}",
        "folder": "a file, a folder, or a repository that it does not name",
        "pak": "",
    }


def test_what_is_secret_in_a_url_is_not_told(lab: Lab) -> None:
    url = "https://me:s3cret@git.test/one.tar.gz?token=s3cret"
    (lab.add_python("one") / "direct_url.json").write_text(json.dumps({"url": url, "archive_info": {}}))
    lab.add_r("two", Repository="", RemoteType="url", RemoteUrl=url)
    assert {package["source"] for package in lab.find().values()} == {"https://git.test/one.tar.gz"}


def test_who_needs_a_package_of_github_does_not_know_its_commit(lab: Lab) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    lab.add_r("needed", Repository="", RemoteType="github", RemoteUsername="o", RemoteRepo="r", RemoteSha=commit)
    lab.add_r("top", Imports="needed")
    assert {name for name, package in lab.find().items() if package["wanted"]} == {"needed", "top"}


def test_names_that_are_none_are_files_of_nobody(lab: Lab) -> None:
    info = lab.add_python("evil")
    (info / "METADATA").write_text("Name: evil\x1b[2J\nVersion: 1.0\n")
    (lab.add_python("~umpy") / "METADATA").write_text("")
    lab.add_r("e\x1b[2Jvil")
    assert {(one["kind"], one["name"]) for one in lab.program.find()} == {
        ("file", str(info.relative_to(lab.added))),
        ("file", "R/e?[2Jvil"),
    }


def test_what_belongs_to_no_package_is_told(lab: Lab) -> None:
    """Each folder once, and neither what packages brought nor what Python keeps beside them."""
    site = lab.python(lab.added)
    files = {
        "share/jupyter/kernels/mine/kernel.json": True,
        "etc/jupyter/jupyter_server_config.d/mine.json": True,
        "bin/mine": True,
        "notes/a/b.txt": True,
        "R/half/data.rds": True,
        "bin/theirs": False,
        "share/jupyter/kernels/theirs/kernel.json": False,
        "etc/jupyter/nbconfig/theirs.json": False,
        "R/zoo/cache/x.rds": False,
        "R/00LOCK-xts/xts/x": False,
        f"{site.relative_to(lab.added)}/theirs/__init__.py": False,
        f"{site.relative_to(lab.added)}/theirs/downloaded/model.bin": False,
        f"{site.relative_to(lab.added)}/__pycache__/mine.cpython-313.pyc": False,
        f"{site.relative_to(lab.added)}/~heirs/__init__.py": False,
        f"{site.relative_to(lab.added)}/README.txt": False,
        "notes/README.txt": True,
        f"{site.relative_to(lab.added)}/mine.pth": True,
    }
    info = lab.add_python("theirs")
    lab.add_r("zoo")
    for name in files:
        (lab.added / name).parent.mkdir(parents=True, exist_ok=True)
        (lab.added / name).touch()
    (lab.added / "empty/empty").mkdir(parents=True)
    record = ["theirs/__init__.py", *(f"../../../{name}" for name in files if "theirs" in name and "lib" not in name)]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in record))
    told = {one["name"] for one in lab.program.find() if one["kind"] == "file"}
    assert told == {
        "share/jupyter/kernels/mine",
        "etc/jupyter/jupyter_server_config.d",
        "bin/mine",
        "notes",
        "R/half",
        f"{site.relative_to(lab.added)}/mine.pth",
    }
    assert all(one["wanted"] for one in lab.program.find() if one["kind"] == "file")


def test_what_pip_was_at_when_it_was_killed_is_not_told_file_by_file(lab: Lab) -> None:
    (lab.add_python("late") / "RECORD").unlink()
    (lab.python(lab.added) / "late").mkdir()
    (lab.python(lab.added) / "late/__init__.py").touch()
    assert [one["kind"] for one in lab.program.find()] == ["python"]


def test_a_kernel_that_covers_the_images_is_told(lab: Lab) -> None:
    """Whether a package brought it, or somebody made it."""
    info = lab.add_python("theirs")
    (info / "RECORD").write_text("../../../share/jupyter/kernels/python3/kernel.json,,\n")
    for folder in (lab.added, lab.root):
        for name in ("kernels/python3/kernel.json", "labextensions/@scope/one/package.json"):
            (folder / "share/jupyter" / name).parent.mkdir(parents=True)
            (folder / "share/jupyter" / name).touch()
    (lab.added / "share/jupyter/labextensions/@scope/two").mkdir()
    assert [(one["name"], one["note"], one["wanted"]) for one in lab.program.find()] == [
        ("theirs", "", True),
        ("kernels/python3", "covers the image's", False),
        ("labextensions/@scope/one", "covers the image's", True),
    ]


def test_no_answer_is_too_long_or_nameless_to_be_taken(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lab's side says is read elsewhere, which refuses endless lines; and adopt names what it cannot take."""
    library = lab.python(lab.added) / "x.so"
    library.touch()
    (lab.add_python("x") / "RECORD").write_text("x.so,,\n")
    lacks = [(str(library), f"libsomething-{number}.so.1") for number in range(60)]
    monkeypatch.setattr(lab.program, "_ask_loader", lambda _: lacks)
    for number in range(20):
        (lab.added / f"{number:02}{'d' * 100}").touch()
    (lab.added / "\n").touch()
    (lab.added / os.fsdecode(b"\xff\xfe")).touch()
    told = Added.parse(json.dumps({"packages": lab.program.find(), "says": lab.says()}))
    assert [package.note[-12:] for package in told.packages if not package.fits] == [" and 48 more"]
    assert {"?", "??"} < {package.path for package in told.packages}
    assert told.says[0].endswith(" more were added to the image")


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["a"] * 3000)])
def test_a_name_that_no_file_can_have_is_no_trouble(lab: Lab, name: str) -> None:
    (lab.add_python("x") / "RECORD").write_text(f"{name}.so,,\n")
    assert set(lab.find()) == {"x"}


def test_folders_that_cannot_be_looked_into_are_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may look into every folder, so the system's calls are played."""
    (lab.added / "data").mkdir()
    hidden = [str(folder) for folder in (lab.add_python("x"), lab.add_r("y"), lab.added / "data")]

    def refuse(name: str, ends: str) -> None:
        real = getattr(os, name)

        def call(path: object, *args: object, **options: object) -> object:
            if f"{path}{ends}".startswith(tuple(f"{folder}/" for folder in hidden)):
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, *args, **options)

        monkeypatch.setattr(os, name, call)

    refuse("stat", "")
    refuse("scandir", "/")
    refuse("listdir", "/")
    assert set(lab.find()) == {"x", "R/y", "data"}


@pytest.mark.parametrize("said", ["", "[" * 100_000, "[]", '{"packages": ["a"]}', '{"packages": 5, "says": []}'])
def test_what_a_lab_says_is_not_believed(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Whatever runs in it may have taken the place of the program."""
    monkeypatch.setattr("pyrlab.steps.added.containers.ask", lambda *_: said)
    assert added.of_running(cast("Running", SimpleNamespace(container=None))) is None


def test_a_folder_that_pip_has_removed_is_no_trouble(lab: Lab) -> None:
    lab.python(lab.added).rmdir()
    assert lab.says() == []


def test_a_folder_that_nobody_can_write_in_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    owner = lab.added.stat().st_uid
    assert lab.says() == [
        f"nothing can be added: user {os.getuid()} cannot write in {lab.added}, which belongs to user {owner}"
    ]


def test_it_answers_with_json_or_with_lines_for_the_log(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.add_r("zoo")
    monkeypatch.setattr(sys, "argv", ["list-added"])
    lab.program.main()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["packages"], answer["says"]) == (lab.program.find(), ["zoo 1.0 was added to the image"])
    monkeypatch.setattr(sys, "argv", ["list-added", "--say"])
    lab.program.main()
    assert capsys.readouterr().out == "start-lab: zoo 1.0 was added to the image\n"


@pytest.fixture
def pip(lab: Lab) -> list[str]:
    """Return the command of a Python that knows the lab's folders, for which its own ones cannot be written in."""
    site = lab.python(lab.root)
    (site / "lab_pip.py").write_bytes((PROGRAMS / "lab_pip.py").read_bytes())
    start = (
        f"import os, sys; os.access = lambda *_: False; sys.path += [{str(site)!r}, {str(lab.python(lab.added))!r}];"
        "import lab_pip; lab_pip.prepare(sys.argv[1:]); print([path for path in sys.path if 'site-packages' in path])"
    )
    return [sys.executable, "-I", "-S", "-c", start]


@pytest.mark.parametrize("called", [["python", "-m", "pip"], ["/opt/lab/bin/pip3.13", "--quiet"]])
def test_pip_removes_what_was_added_and_tells_why_not_the_images(lab: Lab, pip: list[str], called: list[str]) -> None:
    lab.add_python("num.py", own=True)
    lab.add_python("both", own=True)
    lab.add_python("both")
    refused = subprocess.run(
        [*pip, *called, "uninstall", "-y", "Num-Py", "both"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("ERROR: the image's own packages stay: num-py. Only what was added")
    assert refused.stderr.count("\n") == 1
    goes = subprocess.run(
        [*pip, *called, "uninstall", "-y", "both"], capture_output=True, text=True, check=True, timeout=60
    )
    assert goes.stdout == f"{[str(lab.python(lab.added)), str(lab.python(lab.root))]}\n"


def test_other_programs_may_uninstall_what_they_like(lab: Lab, pip: list[str]) -> None:
    lab.add_python("numpy", own=True)
    goes = subprocess.run([*pip, "apt", "uninstall", "numpy"], capture_output=True, text=True, check=True, timeout=60)
    assert goes.stdout == f"{[str(lab.python(lab.root)), str(lab.python(lab.added))]}\n"
