"""CRAN-like repositories of real packages: as three Debian releases have them, so as time goes by.

The upstream tarballs come from Debian's source archive, through apt in a container. vintages.json pins them; it is made
anew, where a root is cached, by ``python tests/integration/vintages.py PROJECT > tests/integration/vintages.json``.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Self

from debian.deb822 import Deb822

from pyrlab.adapters import process
from pyrlab.adapters.docker import engine
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.errors import HashMismatchError
from pyrlab.model.cran.record import Record
from pyrlab.model.secrets import lock_secrets

SOURCE = Path(__file__).parents[2]
FILE = Path(__file__).with_suffix(".json")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pyrlab-tests"
IMAGE = "pyrlab-test/archive:root"
# In the order of their time. The last one moves: what it has in place of a pin is taken as apt verified it.
VINTAGES = ("bookworm", "trixie", "forky")
MOVING = "forky"
ROOTS = ("IRkernel", "dplyr", "ggplot2", "lattice", "zoo", "curl", "xml2")
# R 4.5 does not compile these, and nothing in them says so; ggplot2's next version wants the next scales.
LEFT_OUT = {"bookworm": {"curl", "digest", "ggplot2", "jsonlite", "scales", "xml2"}}
# Those of tools::write_PACKAGES, in its order; MD5 is all that it has to know a file by.
FIELDS = (
    *("Package", "Version", "Priority", "Depends", "Imports", "LinkingTo", "Suggests", "Enhances", "License"),
    *("MD5sum", "NeedsCompilation"),
)
MTIME = 946684800
TIMEOUT = 900.0
# One package that the archive lacks must not keep apt from fetching the others.
GET = """
set -eu
. /debs/apt-net.sh
. /etc/os-release
suite=$1 at=/tmp/$1 list="" parts=""
shift
ask() {
    apt-get --quiet -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$at.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$at" -o Dir::Cache="$at" "$@"
}
if [ ! -d "$at" ]; then
    mkdir -p "$at/partial"
    eval "$(apt-config shell list Dir::Etc::SourceList/f parts Dir::Etc::SourceParts/d)"
    for file in "$list" "$parts"*.list; do
        [ ! -f "$file" ] || sed -n "s/^deb /deb-src /p" "$file"
    done >"$at.all"
    sed -n "s/ $VERSION_CODENAME / $suite /p" "$at.all" >"$at.list"
    ask update --error-on=any
fi
cd "/out/$suite"
ask source --download-only --tar-only "$@" || for name in "$@"; do
    ask source --download-only --tar-only "$name" || true
done
"""

Download = Callable[[str, Sequence[str]], list[Path]]


@dataclasses.dataclass(frozen=True, slots=True)
class Tarball:
    """A package's upstream tarball, at ``path``, and what its DESCRIPTION says."""

    path: Path
    record: Record
    fields: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a tarball that holds a package in its top folder. Raises ValueError for any other."""
        with tarfile.open(path) as archive:
            files = {one.name: one for one in archive if one.isfile()}
            for name in filter(_is_description, files):
                text = _read(archive, files[name]).decode(errors="replace")
                fields = {key: " ".join(value.split()) for key, value in Deb822(text).items()}
                compiled = any(Path(one).parts[1:2] == ("src",) for one in files)
                fields.setdefault("NeedsCompilation", "yes" if compiled else "no")
                return cls(path, Record.of(fields, file=path.name), fields)
        raise ValueError(f"{path} holds no R package")

    @property
    def file(self) -> str:
        """The name that the file has in a CRAN-like repository."""
        return f"{self.record.name}_{self.record.version}.tar.gz"

    def content(self) -> bytes:
        """Return the file as CRAN would have it: upstream's own bytes, if they are a gzip of ``NAME/``."""
        data = self.path.read_bytes()
        with tarfile.open(self.path) as archive:
            fits = all(name.split("/")[0] == self.record.name for name in archive.getnames())
        return data if fits and data.startswith(b"\x1f\x8b") else repack(self.path, self.record.name)


Vintages = Mapping[str, Mapping[str, Tarball]]


def fetch(project: Path, environment: Mapping[str, str]) -> Vintages:
    """Return the pinned tarballs by vintage and R name: out of the cache, or as the archive has them.

    ``project`` has been locked, so that it has a root to run apt in; ``environment`` is what pyrlab runs in there. What
    the moving vintage has in another version than pinned is taken, and what it lacks is left out; a line says so.
    Raises HashMismatchError when a frozen vintage lacks a file, or has other bytes.
    """
    pins = json.loads(FILE.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Tarball]] = {}
    with contextlib.ExitStack() as stack:
        download = None
        for vintage in VINTAGES:
            cached = {name: pin for name, pin in pins[vintage].items() if _is_cached(pin["sha256"])}
            found[vintage] = {name: Tarball.read(CACHE / pin["sha256"]) for name, pin in cached.items()}
            wanted = {name: pin for name, pin in pins[vintage].items() if name not in cached}
            if wanted:
                download = download or stack.enter_context(_archive(project, environment))
                found[vintage] |= _download(download, vintage, wanted)
    return found


def repository(folder: Path, vintage: str, vintages: Vintages) -> Path:
    """Write into ``folder`` the repository as it stood at ``vintage``, older versions in Archive; return ``folder``.

    A package that a vintage lacks is there in its version before, or else in its first one after.
    """
    contrib = folder / "src/contrib"
    contrib.mkdir(parents=True)
    stanzas = []
    for name in sorted({name for own in vintages.values() for name in own}, key=str.casefold):
        *earlier, current = history(name, vintage, vintages)
        content = current.content()
        (contrib / current.file).write_bytes(content)
        stanzas.append(stanza(current.fields, content))
        for old in earlier:
            archived = contrib / "Archive" / name / old.file
            archived.parent.mkdir(parents=True, exist_ok=True)
            archived.write_bytes(old.content())
    index = "\n".join(stanzas).encode()
    (contrib / "PACKAGES").write_bytes(index)
    (contrib / "PACKAGES.gz").write_bytes(gzip.compress(index, mtime=0))
    return folder


def history(name: str, vintage: str, vintages: Vintages) -> list[Tarball]:
    """Return the versions of a package up to ``vintage``, oldest first, or the first one after it.

    A version that did not change keeps the bytes that it had first.
    """
    until = VINTAGES.index(vintage) + 1
    known = [vintages[one][name] for one in VINTAGES[:until] if name in vintages[one]]
    known = known or [vintages[one][name] for one in VINTAGES[until:] if name in vintages[one]][:1]
    first = {one.record.version: one for one in reversed(known)}
    return [first[version] for version in sorted(first)]


def stanza(fields: Mapping[str, str], content: bytes) -> str:
    """Return a package's stanza as tools::write_PACKAGES has it, long fields over several lines."""
    known = {**fields, "MD5sum": hashlib.md5(content, usedforsecurity=False).hexdigest()}
    fold = textwrap.TextWrapper(80, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{fold.fill(f'{key}: {known[key]}')}\n" for key in FIELDS if key in known)


def repack(path: Path, name: str) -> bytes:
    """Return a tarball with the package's files below ``NAME/``: the same bytes for the same files."""
    out = io.BytesIO()
    with (
        tarfile.open(path) as archive,
        gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        # In the archive's own order: to go back in a compressed one is to unpack it from its start again.
        files = {one.name: (one.mode, _read(archive, one)) for one in archive if one.isfile()}
        top = next(filter(_is_description, files)).removesuffix("DESCRIPTION")
        for old in sorted(one for one in files if one.startswith(top)):
            mode, content = files[old]
            member = tarfile.TarInfo(f"{name}/{old.removeprefix(top)}")
            member.size, member.mtime, member.mode = len(content), MTIME, mode & 0o755 | 0o644
            new.addfile(member, io.BytesIO(content))
    return out.getvalue()


def pin(project: Path, environment: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Return new pins: of each vintage, what the archive has of the closures of ROOTS in any of them."""
    found: dict[str, dict[str, Tarball]] = {vintage: {} for vintage in VINTAGES}
    seen, wanted = set[str](), set(ROOTS)
    with _archive(project, environment) as download:
        while new := wanted - seen:
            seen |= new
            for vintage in VINTAGES:
                sources = [f"r-cran-{name.lower()}" for name in sorted(new)]
                got = {one.record.name: one for one in map(Tarball.read, download(vintage, sources))}
                found[vintage] |= got
                wanted |= {one.name for tarball in got.values() for one in tarball.record.dependencies}
        return {vintage: _pins(own, but=LEFT_OUT.get(vintage, set())) for vintage, own in found.items()}


def _pins(tarballs: Mapping[str, Tarball], *, but: AbstractSet[str]) -> dict[str, dict[str, str]]:
    """Return the pins of a vintage, sorted, without the recommended packages, which the images have as debs."""
    pins = {}
    for name in sorted(tarballs.keys() - but, key=str.casefold):
        path, record = tarballs[name].path, tarballs[name].record
        if name in ROOTS or tarballs[name].fields.get("Priority") != "recommended":
            sha256 = _keep(path).name
            pins[name] = {"file": path.name, "sha256": sha256, "source": _source(path), "version": str(record.version)}
    return pins


def _source(path: Path) -> str:
    """Return the Debian source package that a file belongs to, as in ``SOURCE_VERSION.orig.tar.gz``."""
    return path.name.partition("_")[0]


def _download(download: Download, vintage: str, wanted: Mapping[str, Mapping[str, str]]) -> dict[str, Tarball]:
    """Return, by R name, what the archive has of these pins, or has in their place in the moving vintage."""
    kept = {_source(path): _keep(path) for path in download(vintage, [pin["source"] for pin in wanted.values()])}
    for pin in wanted.values():
        path = kept.get(pin["source"])
        if path and path.name == pin["sha256"]:
            continue
        has = f"has {Tarball.read(path).record.version} of {path.name}" if path else "lacks it"
        said = f"{vintage}: {pin['file']} is pinned with {pin['sha256']}, and the archive {has}"
        if vintage != MOVING:
            raise HashMismatchError(said, remedy="make vintages.json anew, as vintages.py says")
        print(said)  # noqa: T201 - CI's log shall have it
    return {name: Tarball.read(kept[pin["source"]]) for name, pin in wanted.items() if pin["source"] in kept}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return archive.extractfile(member).read()  # type: ignore[union-attr]


def _is_description(name: str) -> bool:
    parts = Path(name).parts
    return len(parts) == 2 and parts[1] == "DESCRIPTION"


def _is_cached(sha256: str) -> bool:
    path = CACHE / sha256
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _keep(path: Path) -> Path:
    """Put a file into the cache, under its SHA-256."""
    data = path.read_bytes()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as file:
        file.write(data)
    return Path(file.name).replace(CACHE / hashlib.sha256(data).hexdigest())


@contextlib.contextmanager
def _archive(project: Path, environment: Mapping[str, str]) -> Iterator[Download]:
    """Start the project's root as a container; yield what downloads source packages of a vintage with its apt."""
    own = read_settings(project, environment)
    (root,) = (project / ".pyrlab/root").glob("*.tar")
    process.run(["docker", "import", str(root), IMAGE], timeout=TIMEOUT)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(engine.client().images.remove, IMAGE, force=True)
        container = engine.client().containers.run(
            IMAGE,
            ["sleep", "infinity"],
            detach=True,
            auto_remove=True,
            network_mode="host" if own.uses_loopback else "bridge",
            environment={form: url for name, url in own.proxies.items() for form in (name, name.lower())},
            volumes=_volumes(folder, lock_secrets(own, own.ca_file.read_text("utf-8") if own.ca_file else "")),
        )
        stack.callback(container.kill)

        def download(vintage: str, sources: Sequence[str]) -> list[Path]:
            before = set((folder / vintage).iterdir())
            command = ["docker", "exec", str(container.id), "sh", "-c", GET, "get", vintage, *sources]
            process.run(command, timeout=TIMEOUT)
            return sorted(set((folder / vintage).iterdir()) - before)

        yield download


def _volumes(folder: Path, secrets: Mapping[str, str]) -> list[str]:
    """Make in ``folder`` the folders that apt reads and writes, and return where the container has them."""
    for name in (*VINTAGES, "secrets"):
        (folder / name).mkdir()
    for name, text in secrets.items():
        (folder / "secrets" / name).write_text(text, encoding="utf-8")
    return [f"{folder}:/out", f"{folder}/secrets:/run/secrets:ro", f"{SOURCE}/docker/lock:/debs:ro"]


if __name__ == "__main__":
    print(json.dumps(pin(Path(sys.argv[1]), os.environ), indent=1))  # noqa: T201 - the pins go where the shell says
