"""A machine for whole runs of lock and build: archives of the tests' own, and what stands in for BuildKit and Docker.

What runs inside a build is played: a small apt and a small uv that answer as docker/lock does, for the tests
of what pyrlab asks and what it makes of the answers. The real ones are the integration tests'.
"""

import contextlib
import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import debian_archives
import pytest
from debian_archives import entry, tar_of
from docker.errors import ImageNotFound
from graphs import SOURCE
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.lists_files import read_lists
from pyrlab.adapters.lock_files import read_locks
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonFile, PythonPin
from pyrlab.model.settings import Settings
from pyrlab.model.wish import KINDS, Wish
from pyrlab.steps import locking

PATH = "pool/main"
# What each project gets without asking: the root's packages, and those that the images need.
DEBS = {
    "apt": "2.9",
    "base-files": "13",
    "ca-certificates": "2025",
    "libc6": "2.41-12",
    "libnss-extrausers": "0.6-6",
    "locales": "2.41-12",
    "python3": "3.13.5-1",
    "python3-venv": "3.13.5-1",
    "r-base-core": "4.5.0-3",
    "r-base-dev": "4.5.0-3",
    "tini": "1:0.19.0-2",
}
UNSOLVABLE = (
    "error: No solution found when resolving dependencies\n"
    "  cause: Because only {0}<1 is available and you require {1}, we can conclude that your requirements are "
    "unsatisfiable.\n"
)
# Nobody listens there.
INDEX = "http://127.0.0.1:1"
WHEELS = ("ipykernel", "jupyter-server-proxy", "jupyterlab", "nbconvert", "pip", "setuptools")


@dataclass(frozen=True)
class Answer:
    """What a played server answers."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def response_of(adapter: HTTPAdapter, request: PreparedRequest, answer: Answer) -> Response:
    """Return an answer as requests makes one of it."""
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    raw = HTTPResponse(io.BytesIO(answer.body), headers, answer.status, preload_content=False)
    return adapter.build_response(request, raw)


@dataclass(frozen=True)
class Question:
    """What a lock stage was asked: the files of the request, uv's options, and what lay below it."""

    kind: str
    request: Mapping[str, str]
    options: str
    root: tuple[str, ...]
    dockerfile: str
    target: Mapping[str, Any]


@dataclass
class Machine:
    """Archives in ``folder``, with the one suite ``suite``, a Python index at INDEX, and an engine.

    ``questions`` are what lock stages were asked, ``bakes`` the targets of each build with its secrets, ``images`` the
    labels of what the engine has, by tag, ``commands`` all programs that were started. ``fail`` is what bake prints
    instead of doing its work, ``log`` what uv does, and ``garbage`` what it writes behind its answers;
    ``output`` are lines of BuildKit's, and ``date`` is what the archive's Release file says. ``servers`` answer for
    other hosts, and ``base`` are the files that docker/lock/describe-base writes of a base image.
    """

    folder: Path
    suite: str = "trixie"
    architecture: str = "amd64"
    origin: str = ""
    date: str = ""
    fail: str = ""
    log: bytes = b""
    output: Sequence[str] = ()
    garbage: str = ""
    debs: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    wheels: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    bakes: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    commands: list[Sequence[str]] = field(default_factory=list)
    servers: dict[str, Callable[[PreparedRequest], Answer]] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    images: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _stanzas: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _r: list[str] = field(default_factory=list)
    _is_busy: bool = False

    @property
    def archive(self) -> Path:
        """The Debian archive's folder."""
        return self.folder / "archive"

    @property
    def cran(self) -> Path:
        """The folder of a repository of R packages."""
        return self.folder / "cran"

    def stock(self) -> None:
        """Put what each project gets into the archives."""
        with self.at_once():
            for name, version in DEBS.items():
                fields = {"Essential": "yes"} if name in {"base-files", "libc6"} else {}
                self.add_deb(name, version, **fields)
            self.add_r_deb("IRkernel", "1.3.2", "repr")
            self.add_r_deb("repr", "1.1.7")
            for name in WHEELS:
                self.add_wheel(name)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Write the indexes once, when all within the ``with`` is in the archives."""
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False
            self._publish()
            self.publish_r()

    # ---- Debian

    def add_deb(self, name: str, version: str = "1", *depends: str, description: str = "", **fields: str) -> Path:
        """Put a deb into the archive, with the DESCRIPTION of an R package where one is given; return its file.

        ``depends`` are as in its field, "libc6 (>= 2)" among them; ``fields`` are more of what it says of itself.
        """
        members = [entry(f"./usr/share/doc/{name}/copyright", f"{name} {version}".encode())]
        if description:
            package = re.findall(r"^Package: (.*)$", description, re.MULTILINE)[0]
            members = [entry(f"./usr/lib/R/site-library/{package}/DESCRIPTION", description.encode())]
        pool = self.archive / PATH
        pool.mkdir(parents=True, exist_ok=True)
        said = {**({"Depends": ", ".join(depends)} if depends else {}), **fields}
        made = debian_archives.deb(pool, name, *members, version=version.rpartition(":")[2], **said)
        self.debs.setdefault(name, {})[version] = [text.partition(" ")[0] for text in depends]
        lines = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Filename": f"{PATH}/{made.name}",
            "Size": str(made.stat().st_size),
            "SHA256": hashlib.sha256(made.read_bytes()).hexdigest(),
            **said,
        }
        self._stanzas[name, version] = lines
        self._publish()
        return made

    def add_r_deb(self, name: str, version: str, *imports: str, depends: Sequence[str] = ()) -> Path:
        """Put a deb with an R package into the archive, which depends on the debs of what it imports."""
        text = f"Package: {name}\nVersion: {version}\n" + (f"Imports: {', '.join(imports)}\n" if imports else "")
        others = [f"r-cran-{other.split(' ')[0].lower()}" for other in imports]
        return self.add_deb(f"r-cran-{name.lower()}", f"{version}-1", *others, *depends, description=text)

    def drop_deb(self, name: str, version: str) -> None:
        """Let the archive have a version no longer."""
        del self.debs[name][version]
        fields = self._stanzas.pop((name, version))
        (self.archive / fields["Filename"]).unlink()
        self._publish()

    def change_deb(self, name: str, version: str, *, whole: bytes = b"") -> None:
        """Let the archive have other bytes under the same version: ``whole``, or a few more than before."""
        fields = self._stanzas[name, version]
        file = self.archive / fields["Filename"]
        file.write_bytes(whole or file.read_bytes() + b"!")
        fields["SHA256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        fields["Size"] = str(file.stat().st_size)
        self._publish()

    def publish_index(self, path: str, text: str) -> None:
        """Put another index into the archive, as ``Contents-amd64``."""
        file = self.archive / f"dists/{self.suite}/main" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode(), mtime=0))
        self._publish()

    def _publish(self) -> None:
        if self._is_busy:
            return
        folder = self.archive / f"dists/{self.suite}"
        packages = folder / f"main/binary-{self.architecture}/Packages"
        packages.parent.mkdir(parents=True, exist_ok=True)
        stanzas = ("".join(f"{key}: {value}\n" for key, value in lines.items()) for lines in self._stanzas.values())
        packages.write_text("\n".join(stanzas), encoding="utf-8")
        listed = [
            f" {hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} {file.relative_to(folder)}\n"
            for file in sorted((folder / "main").rglob("*"))
            if file.is_file()
        ]
        (folder / "Release").write_text(f"Codename: {self.suite}\nSHA256:\n{''.join(listed)}", encoding="utf-8")

    # ---- Python and R

    def add_wheel(self, name: str, version: str = "1.0", *requires: str) -> PythonPin:
        """Put a wheel into the index, and return its pin."""
        return self._add_file(name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", b"", requires)

    def change_wheel(self, name: str, version: str) -> None:
        """Let the index have another wheel of the same version, and no longer the one of before."""
        requires = self.wheels[name][version]
        self._files[name] = [file for file in self._files[name] if f"-{version}-" not in file["filename"]]
        filename = f"{name.replace('-', '_')}-{version}-1-py3-none-any.whl"
        self._add_file(name, version, filename, b"", requires)

    def add_sdist(self, name: str, version: str, build_requires: Sequence[str]) -> PythonPin:
        """Put a source distribution into the index, and return its pin."""
        text = f"[build-system]\nrequires = {list(build_requires)}\n"
        packed = gzip.compress(tar_of(entry(f"{name}-{version}/pyproject.toml", text.encode())), mtime=0)
        return self._add_file(name, version, f"{name}-{version}.tar.gz", packed, ())

    def _add_file(self, name: str, version: str, filename: str, content: bytes, requires: Sequence[str]) -> PythonPin:
        if filename.endswith(".whl"):
            content = _wheel(name, version, requires, f"{filename} {self._files.get(name)}")
        digest = hashlib.sha256(content).hexdigest()
        known = self._files.setdefault(name, [])
        known.append(
            {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": digest}, "size": len(content)}
        )
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": known, "versions": [version]}
        _write(self.folder / f"index/files/{filename}", content)
        _write(self.folder / f"index/simple/{name}/index.html", json.dumps(page).encode())
        self.wheels.setdefault(name, {})[version] = list(requires)
        file = PythonFile("amd64", filename, len(content), digest)
        return PythonPin(name, version, "", (f"sha256:{digest}",), ("list",), (file,))

    def add_r(
        self,
        name: str,
        version: str,
        *,
        code: str = "",
        files: Mapping[str, str] | None = None,
        beside: bool = False,
        **fields: str,
    ) -> Path:
        """Put a source package into the R repository, with C code where it has some; return its file.

        The index then has this version alone, or ``beside`` earlier ones.
        """
        lines = {"Package": name, "Version": version, "NeedsCompilation": "yes" if code else "no", **fields}
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        members = [entry(f"{name}/DESCRIPTION", text.encode())]
        if code:
            members.append(entry(f"{name}/src/code.c", code.encode()))
        members += [entry(f"{name}/{file}", content.encode()) for file, content in (files or {}).items()]
        path = self.cran / f"src/contrib/{name}_{version}.tar.gz"
        _write(path, gzip.compress(tar_of(*members), mtime=0))
        assert tarfile.is_tarfile(path)
        others = [stanza for stanza in self._r if beside or not stanza.startswith(f"Package: {name}\n")]
        self._r = [*others, text]
        self.publish_r()
        return path

    def publish_r(self) -> None:
        """Write the R repository's index."""
        if self._is_busy:
            return
        _write(self.cran / "src/contrib/PACKAGES", "\n".join(self._r).encode())

    def answer(self, adapter: HTTPAdapter, request: PreparedRequest) -> Response:
        """Take the place of what sends a request of requests: there are the index, and ``servers``."""
        url = str(request.url)
        server = self.servers.get(urlsplit(url).netloc)
        if server:
            return response_of(adapter, request, server(request))
        assert url.startswith(f"{INDEX}/"), url
        file = self.folder / "index" / urlsplit(url).path.lstrip("/")
        if url.endswith("/"):
            file /= "index.html"
        status, body = (200, file.read_bytes()) if file.is_file() else (404, b"")
        return response_of(adapter, request, Answer(body, status))

    # ---- Docker

    def tags(self) -> list[str]:
        """Return the names of the images that the engine has."""
        return sorted(tag.partition(":")[0] for tag in self.images)

    def get(self, tag: str) -> "Image":
        """Take the place of the engine's ``images.get``, which takes a tag or an image's id."""
        for name, labels in self.images.items():
            if tag in {name, _image_id(labels)}:
                return Image(labels, self)
        raise ImageNotFound(tag)

    def remove(self, tag: str, *, noprune: bool) -> None:
        """Take the place of the engine's ``images.remove``."""
        assert not noprune
        if tag not in self.images:
            raise ImageNotFound(tag)
        del self.images[tag]

    def run(self, command: Sequence[str], *, timeout: float, **given: object) -> str:
        """Take the place of ``process.run``."""
        assert timeout > 0
        self.commands.append(command)
        if command[:3] == ["docker", "buildx", "bake"]:
            work = given["cwd"]
            assert isinstance(work, Path)
            self._bake(work)
            on_line = given["on_line"]
            assert callable(on_line)
            for line in self.output:
                on_line(line)
            return ""
        if command[:3] == ["docker", "buildx", "version"]:
            return "github.com/docker/buildx 0.18.0"
        if command[0] == "git" and self.origin:
            return self.origin
        raise process.MissingProgramError(command[0])

    def _bake(self, work: Path) -> None:
        if self.fail:
            raise process.CommandError(["docker"], "ended with status 1", self.fail, 1)
        targets = json.loads((work / "bake.json").read_text(encoding="utf-8"))["target"]
        secrets = {}
        for target in targets.values():
            for line in target["secret"]:
                name, path = re.findall(r"id=([\w-]+),src=(.*)", line)[0]
                secrets[name] = (work / path).read_text(encoding="utf-8")
        self.bakes.append((targets, secrets))
        for name, target in targets.items():
            # All that is named must be there: BuildKit says so, too.
            for folder in target["contexts"].values():
                assert (work / folder).is_dir(), folder
            context = work / target["context"]
            dockerfile = (context / target["dockerfile"]).read_text(encoding="utf-8")
            assert re.search(rf"^FROM .* AS {target['target']}$", dockerfile, re.MULTILINE), target["target"]
            added = re.findall(r"^ADD (\S+) /$", dockerfile, re.MULTILINE)
            assert [path.name for path in context.glob("*.tar")] == added
            assert set(re.findall(r"^FROM (\S+) AS trial-", dockerfile, re.MULTILINE)) <= self.images.keys()
            if name == "describe":
                out = work / target["output"][0].removeprefix("type=local,dest=")
                out.mkdir(parents=True)
                for file, text in self.base.items():
                    (out / file).write_text(text, encoding="utf-8")
            elif name.startswith("lock-"):
                self._answer(work, target, dockerfile)
            else:
                self.images[target["tags"][0]] = target["labels"]

    def _answer(self, work: Path, target: Mapping[str, Any], dockerfile: str) -> None:
        request = {
            path.name: path.read_text(encoding="utf-8") for path in (work / target["contexts"]["request"]).iterdir()
        }
        kind = target["target"].removeprefix("lock-")
        if self.base:
            installed = (line.split() for line in self.base["installed"].splitlines())
            root = tuple(f"{name}={version}" for _, name, version, _ in installed)
        else:
            pins = (work / "sections/root/pins").read_text(encoding="utf-8").splitlines()
            root = tuple(f"{name}={version}" for _, _, name, version, _ in map(str.split, pins))
        options = target["args"]["options"]
        self.questions.append(Question(kind, request, options, root, dockerfile, target))
        out = work / target["output"][0].removeprefix("type=local,dest=")
        assert not out.exists(), "an earlier answer would be mixed with this one"
        out.mkdir(parents=True)
        if kind == "debs":
            Apt(self, request, {line.partition("=")[0] for line in root}, out).answer()
        else:
            self._compile(request, options.split(), out)

    def _compile(self, request: Mapping[str, str], options: Sequence[str], out: Path) -> None:
        """Play uv: the newest versions, but those of the constraints and of the earlier lock."""
        if self.log:
            (out / "status").write_text("2\n", encoding="utf-8")
            (out / "log").write_bytes(self.log)
            return
        pins = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
        locked = dict(pins.findall(request.get("requirements.lock", "")))
        for option in options:
            assert option == "--upgrade" or option.startswith("--upgrade-package=")
            locked.pop(option.removeprefix("--upgrade-package="), None)
        kept = {} if "--upgrade" in options else locked
        kept |= dict(pins.findall(request.get("constraints.txt", "")))
        below = dict(re.findall(r"^([a-z0-9-]+)<(\S+)", request.get("constraints.txt", ""), re.MULTILINE))
        found: dict[str, tuple[str, set[str]]] = {}
        waiting = [(line, "list") for line in request["requirements.in"].splitlines()]
        for line, wanting in waiting:
            requirement = Requirement(line)
            name = requirement.name
            bound = requirement.specifier & SpecifierSet(f"<{below[name]}" if name in below else "")
            fitting = [version for version in self.wheels.get(name, {}) if bound.contains(version)]
            if not fitting:
                (out / "status").write_text("1\n", encoding="utf-8")
                (out / "log").write_text(UNSOLVABLE.format(name, line), encoding="utf-8")
                return
            version = kept[name] if kept.get(name) in fitting else fitting[-1]
            if name not in found:
                waiting += [(other, name) for other in self.wheels[name][version]]
            found.setdefault(name, (version, set()))[1].add(wanting)
        lines = [str(self._pin(name, version, via)) for name, (version, via) in sorted(found.items())]
        (out / "status").write_text("0\n", encoding="utf-8")
        (out / "requirements.lock").write_text("".join(lines) + self.garbage, encoding="utf-8")

    def _pin(self, name: str, version: str, via: set[str]) -> PythonPin:
        files = [file for file in self._files[name] if f"-{version}" in file["filename"]]
        hashes = tuple(sorted(f"sha256:{file['hashes']['sha256']}" for file in files))
        return PythonPin(name, version, "", hashes, tuple(sorted(via)))


def running(folder: Path, patch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose archives have what each project gets, in place of BuildKit, Docker and the network."""
    patch.setenv("NETRC", "/dev/null")
    machine = Machine(folder)
    machine.stock()
    patch.setattr(process, "run", machine.run)
    patch.setattr(engine, "find", lambda: SimpleNamespace(architecture=machine.architecture))
    patch.setattr(engine, "client", lambda: SimpleNamespace(images=machine))
    patch.setattr(HTTPAdapter, "send", lambda adapter, request, **_: machine.answer(adapter, request))
    return machine


@dataclass(frozen=True)
class Image:
    """What the engine tells of an image."""

    labels: Mapping[str, str]
    machine: Machine

    @property
    def id(self) -> str:
        """The image's id: the same for the same image."""
        return _image_id(self.labels)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the engine tells beside: the size in bytes."""
        return {"Size": 1000 + len(self.labels)}

    def tag(self, repository: str, tag: str) -> None:
        """Let a tag name this image."""
        self.machine.images[f"{repository}:{tag}"] = self.labels


def _wheel(name: str, version: str, requires: Sequence[str], remark: str) -> bytes:
    """Return a wheel with one module, and ``remark``, which makes two wheels of one version differ."""
    stem = name.replace("-", "_")
    metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires), "", remark]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in ((f"{stem}.py", ""), (f"{stem}-{version}.dist-info/METADATA", "\n".join(metadata))):
            archive.writestr(zipfile.ZipInfo(path), text)
    return out.getvalue()


def _image_id(labels: Mapping[str, str]) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()


@dataclass
class Apt:
    """Plays apt for docker/lock/lock-debs: all that is asked for with its dependencies, without the root's packages."""

    machine: Machine
    request: Mapping[str, str]
    root: set[str]
    out: Path
    closures: dict[str, dict[str, str]] = field(default_factory=dict)

    def answer(self) -> None:
        """Write what the script would write."""
        stanzas = self.machine._stanzas.values()  # noqa: SLF001 - it is the machine's own apt
        self._write(
            "available",
            [
                f"{one['Package']} {one['Version']} all {one['SHA256']} {one['Size']} ./{one['Filename']}"
                for one in stanzas
            ],
        )
        shown = [name for name in self.machine.debs if name.startswith("r-cran-")]
        shown += self.request["build"].split()
        taken = [self.machine._stanzas[name, self._version(name)] for name in shown]  # noqa: SLF001
        self._write("dates", [f"Date: {self.machine.date}"] if self.machine.date else [])
        self._write("stanzas", ["".join(f"{key}: {value}\n" for key, value in one.items()) for one in taken])
        for line in self.request["images"].splitlines():
            image, below, _ = line.split()
            if not self._close(image, self._exact(below) + self.request[f"debs.{image}"].split()):
                return
        if "r" in self.request:
            image, below = self.request["r"].split()
            names = [f"r-cran-{name}" for name in self.request["names"].split()]
            names = [name for name in names if name in self.machine.debs]
            self._write("names", names)
            if not self._close(f"{image}-system", self._exact(below) + names + self.request["run"].split()):
                return
            if self.request["build"]:
                self._close(f"{image}-build", self._exact(f"{image}-system") + self.request["build"].split())

    def _close(self, image: str, words: list[str]) -> bool:
        found: dict[str, str] = {}
        for word in words:
            name, _, version = word.partition("=")
            if name in self.root or name in found:
                continue
            if version and version not in self.machine.debs.get(name, {}):
                self._write(f"{image}.err", [f"E: Version '{version}' for '{name}' was not found"])
                return False
            if name not in self.machine.debs:
                self._write(f"{image}.err", [f"E: Unable to locate package {name}"])
                return False
            found[name] = version or self._version(name)
            words += self.machine.debs[name][found[name]]
        self.closures[image] = found
        files = [f"{name}_{version.replace(':', '%3a')}_all.deb" for name, version in sorted(found.items())]
        self._write(f"{image}.uris", [f"'file:/{PATH}/{file}' {file} 10 SHA256:00" for file in files])
        return True

    def _exact(self, below: str) -> list[str]:
        return [f"{name}={version}" for name, version in self.closures.get(below, {}).items()]

    def _version(self, name: str) -> str:
        """Return the version that apt would take: a preferred one, or the newest."""
        there = self.machine.debs[name]
        preferred = re.findall(
            rf"^Package: {re.escape(name)}\nPin: version (\S+)\nPin-Priority: 1001\n$",
            self.request["preferences"],
            re.MULTILINE,
        )
        return next((version for version in preferred if version in there), list(there)[-1])

    def _write(self, name: str, lines: Sequence[str]) -> None:
        (self.out / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def settings_text(machine: Machine, *, repositories: Sequence[str] = ("debian",)) -> str:
    """Return a pyrlab.toml that names the machine's archives. ``mine`` stands for its R repository."""
    names = [f"mine={machine.cran.as_uri()}" if name == "mine" else name for name in repositories]
    return f"""
[base]
apt_sources = ["deb [trusted=yes] {machine.archive.as_uri()} {machine.suite} main"]
check_valid_until = "no"
[network]
python_index = "{INDEX}/simple"
[r]
repositories = {names}
"""


class Project:
    """A project on a machine: lists that start empty, its settings in ``toml``, and runs of lock.

    ``said`` is what the last run told its user.
    """

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder = folder
        self.machine = machine
        self.toml = settings_text(machine)
        self.said: list[str] = []
        shutil.copytree(SOURCE / "docker", folder / "docker", dirs_exist_ok=True)
        tools = [machine.add_wheel("uv", "0.9"), machine.add_wheel("flit-core", "3.12")]
        lock = "".join(str(pin) for pin in sorted(tools))
        (folder / "docker/install/python/tools.lock").write_text(f"# Tools.\n\n{lock}", encoding="utf-8")

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        (self.folder / "pyrlab.toml").write_text(self.toml, encoding="utf-8")
        return read_settings(self.folder, {"XDG_CACHE_HOME": str(self.cache.parent)})

    @property
    def cache(self) -> Path:
        """The cache's folder."""
        return self.machine.folder / "cache/pyrlab"

    def write(self, name: str, *lines: str) -> None:
        """Write a list."""
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def read(self, name: str) -> str:
        """Return the text of a file of the project."""
        return (self.folder / name).read_text(encoding="utf-8")

    def lock(self, *kinds: str, upgrade: bool = False, packages: str = "") -> dict[str, list[str]]:
        """Lock, and return what changed by file, a line each."""
        self.said.clear()
        self.machine.questions.clear()
        wish = Wish(frozenset(kinds or KINDS), upgrade, frozenset(packages.split()))
        changed = locking.lock(self.settings, wish, say=self.said.append)
        return {
            file: [" ".join([one.kind, one.name, *filter(None, [one.old, one.new])]) for one in changes]
            for file, changes in changed.items()
        }

    def moved(self, *kinds: str, upgrade: bool = False, packages: str = "") -> list[str]:
        """Lock, and return all that changed."""
        changed = self.lock(*kinds, upgrade=upgrade, packages=packages)
        return [line for lines in changed.values() for line in lines]

    @property
    def locks(self) -> Locks:
        """The locks that were written, which must agree with the lists."""
        locks = read_locks(self.settings)
        lists = read_lists(self.folder, self.settings.graph)
        locks.check(lists, self.settings, architecture=self.machine.architecture)
        return locks

    @property
    def asked(self) -> list[str]:
        """The kinds of questions of the last run."""
        return [question.kind for question in self.machine.questions]
