"""`bundle` and `unbundle`: one archive, the same for the same project, of which nothing is used unless all is right."""

import errno
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from graphs import SOURCE, TEXT
from hypothesis import assume, given
from hypothesis import strategies as st
from machine import Project

from pyrlab.adapters import bundle_file, process, store
from pyrlab.adapters.bundle_file import BundleFile, Part
from pyrlab.adapters.docker import archives, engine
from pyrlab.adapters.docker.engine import Engine
from pyrlab.cli import unbundle as alone
from pyrlab.commands.bundle import bundle
from pyrlab.commands.unbundle import unbundle
from pyrlab.errors import BuildError, EngineError, HashMismatchError, NoRoomError, StaleLockError, UsageError
from pyrlab.model import oci
from pyrlab.model.bundle import BLOCK, BadBundleError, Manifest, Member, in_order
from pyrlab.model.oci import Image, Layer
from pyrlab.model.passwords import keys_with_users
from pyrlab.steps.images import Plan

CONFIG = b'{"architecture":"amd64","os":"linux"}'
LAYERS = (b"layer one, a tar", b"layer two")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def made(
    files: Mapping[str, bytes], *, images: Sequence[str] = ("pylab",), project: str = "analysis"
) -> tuple[Manifest, dict[str, Part]]:
    """Return a bundle of these files and of images with the same two layers."""
    layers = tuple(Layer(sha256(layer), "tar") for layer in LAYERS)
    configs = {name: CONFIG + name.encode() for name in images}
    found = tuple(Image(name, sha256(config), layers) for name, config in configs.items())
    blobs = {sha256(content): content for content in (*LAYERS, *configs.values())}
    contents = {oci.blob(name): content for name, content in blobs.items()}
    documents = oci.layout(found, {name: len(content) for name, content in blobs.items()})
    parts = {path: Part.of(content) for path, content in {**files, **contents, **documents}.items()}
    members = in_order(Member(path, part.size, part.sha256) for path, part in parts.items())
    return Manifest(project, "amd64", "3.13", found, members), parts


PROJECT_FILES = {
    "project/docker/images.toml": TEXT.encode(),
    "project/base_debs.txt": b"less\n",
    "project/pyrlab.toml": b'[images]\nprefix = "team/"\n',
    "project/docker/install/run": b"#!/bin/sh\n",
    "project/a_file_with_a_name_longer_than_the_hundred_characters_that_old_tar_files_have_for_names/of/it.txt": b"",
    "toolkit/nox-1-py3-none-any.whl": b"wheel",
    f"sources/{sha256(b'deb')}": b"deb",
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a small bundle."""
    path = tmp_path / "x.tar"
    bundle_file.write(path, *made(PROJECT_FILES))
    return path


def verify(path: Path) -> Manifest:
    """Verify an archive."""
    with path.open("rb") as file:
        return BundleFile(file, path.name).verify()


# ---- The archive


def test_what_is_written_is_read_and_any_tar_reads_it(archive: Path) -> None:
    manifest, parts = made(PROJECT_FILES)
    assert verify(archive) == manifest
    assert archive.stat().st_size == manifest.size
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert names[0] == "pyrlab-bundle"
        assert set(names[1:]) == set(parts)
        extracted = tar.extractfile("project/base_debs.txt")
        assert extracted
        assert extracted.read() == b"less\n"


def test_of_a_bundle_an_engine_gets_the_images_alone(archive: Path) -> None:
    with archive.open("rb") as file:
        bundle_of = BundleFile(file, "x")
        manifest = bundle_of.verify()
        with bundle_of.layout(manifest) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            names = tar.getnames()
    assert names == sorted(names)
    assert {name.partition("/")[0] for name in names} == {"blobs", "index.json", "manifest.json", "oci-layout"}


def test_who_reads_only_some_of_the_images_leaves_no_thread(archive: Path) -> None:
    threads = threading.active_count()
    with archive.open("rb") as file:
        bundle_of = BundleFile(file, "x")
        manifest = bundle_of.verify()
        with bundle_of.layout(manifest) as stream:
            assert stream.read(5) == b"blobs"
        assert threading.active_count() == threads


def test_what_is_found_out_after_the_program_has_ended_is_told(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may have enough before all of it was compared."""
    ended = threading.Event()

    def chunks(_: BundleFile, member: Member) -> Iterator[bytes]:
        yield bytes(member.size)
        ended.wait(30)
        raise HashMismatchError("changed", remedy="-")

    with archive.open("rb") as file:
        bundle_of = BundleFile(file, "x")
        manifest = bundle_of.verify()
        monkeypatch.setattr(BundleFile, "chunks", chunks)
        with pytest.raises(HashMismatchError, match="changed"), bundle_of.layout(manifest):
            threading.Timer(0.1, ended.set).start()


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    manifest, parts = made(dict(reversed(PROJECT_FILES.items())))
    first = bundle_file.write(tmp_path / "a", manifest, parts)
    content = tmp_path / "b_content"
    content.write_bytes(b"xxless\nyy")
    os.utime(content, (1, 1))
    parts["project/base_debs.txt"] = Part(5, sha256(b"less\n"), content, 2)
    again = bundle_file.write(tmp_path / "b", *made(PROJECT_FILES))
    by_path = bundle_file.write(tmp_path / "c", manifest, parts)
    assert first == again == by_path == sha256((tmp_path / "a").read_bytes())


def test_a_flipped_bit_anywhere_is_found_and_named(archive: Path) -> None:
    """In headers, lists, files, and what is between them: here and there, and where each begins and ends."""
    whole = archive.read_bytes()
    with tarfile.open(archive) as tar:
        edges = [place for one in tar for place in (one.offset, one.offset_data, one.offset_data + one.size - 1)]
    said = set()
    for place in sorted({*range(0, len(whole), 97), *edges, len(whole) - 1}):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises(HashMismatchError, match=r"^x.tar is no bundle that can be used: ") as caught:
            _verify_bytes(archive, bytes(damaged))
        said.add(str(caught.value).partition("used: ")[2])
    names = {name for text in said for name in re.findall(r"project/\S+|blobs/\S+|sources/\S+|toolkit/\S+", text)}
    assert {member.path for member in verify(_write(archive, whole)).members if "/" in member.path} == names
    assert {"its end is damaged", "its list of members is damaged", "it does not begin as a bundle does"} <= said


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _verify_bytes(path: Path, content: bytes) -> Manifest:
    return verify(_write(path, content))


@given(data=st.data())
def test_bytes_more_or_less_are_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.tar"
    bundle_file.write(path, *made({"project/a": b"x"}))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(HashMismatchError):
        _verify_bytes(path, whole[:cut])
    with pytest.raises(HashMismatchError, match="goes on behind its end"):
        _verify_bytes(path, whole + data.draw(st.binary(min_size=1, max_size=2 * BLOCK)))


PATHS = st.from_regex(r"project(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,5}){1,3}", fullmatch=True)


@given(st.dictionaries(PATHS, st.binary(max_size=20), max_size=5))
def test_a_manifest_is_read_as_it_was_written(files: dict[str, bytes]) -> None:
    folded = [path.casefold() for path in files]
    assume(len(set(folded)) == len(folded))
    assume(not any(other.startswith(f"{path}/") for path in folded for other in folded))
    manifest, _ = made(files)
    assert Manifest.parse(manifest.render()) == manifest


def _with(manifest: Manifest, path: str, *, content: bytes = b"x", size: int = 1) -> Manifest:
    return replace(manifest, members=in_order([*manifest.members, Member(path, size, sha256(content))]))


def _without(manifest: Manifest, path: str) -> Manifest:
    return replace(manifest, members=tuple(one for one in manifest.members if not one.path.startswith(path)))


MANIFEST = made({"project/a": b"x"})[0]
OTHER = made({"project/a": b"x"}, images=("rlab",))[0]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        pytest.param(_with(MANIFEST, "project/../../etc/cron.d/x"), "is no path of a bundle", id="up"),
        pytest.param(_with(MANIFEST, "/etc/passwd"), "is no path of a bundle", id="absolute"),
        pytest.param(_with(MANIFEST, "project//etc/passwd"), "is no path of a bundle", id="absolute-in-it"),
        pytest.param(_with(MANIFEST, "project/.git/hooks/pre-commit"), "is no path of a bundle", id="git"),
        pytest.param(_with(MANIFEST, "project/.pyrlab/toolkit/x.whl"), "is no path of a bundle", id="work-folder"),
        pytest.param(_with(MANIFEST, "project/a\\b"), "is no path of a bundle", id="backslash"),
        pytest.param(_with(MANIFEST, "project/a\n"), "is no path of a bundle", id="newline"),
        pytest.param(_with(MANIFEST, "project/C:x"), "is no path of a bundle", id="drive"),
        pytest.param(_with(MANIFEST, "project/" + "a" * 300), "is no path of a bundle", id="long"),
        pytest.param(_with(MANIFEST, "toolkit/../x.whl"), "is no path of a bundle", id="toolkit-up"),
        pytest.param(_with(MANIFEST, "toolkit/sitecustomize.py"), "is no path of a bundle", id="toolkit-code"),
        pytest.param(_with(MANIFEST, "elsewhere"), "is no path of a bundle", id="no-group"),
        pytest.param(_with(MANIFEST, "project/A"), "it has a file twice", id="case"),
        pytest.param(_with(MANIFEST, "project/a/b"), "is a file and a folder", id="file-and-folder"),
        pytest.param(_with(MANIFEST, "project/b", size=-1), "is no size", id="negative"),
        pytest.param(_with(MANIFEST, "project/b", size=2**70), "is no size", id="beyond-all"),
        pytest.param(_with(MANIFEST, f"sources/{'a' * 64}"), "is named by another hash", id="wrong-name"),
        pytest.param(_with(MANIFEST, oci.blob(sha256(b"x"))), "belongs to no image", id="foreign-blob"),
        pytest.param(_without(MANIFEST, oci.blob(sha256(LAYERS[0]))), "it lacks blobs/", id="no-layer"),
        pytest.param(_without(MANIFEST, "manifest.json"), "its manifest.json is not that of", id="no-document"),
        pytest.param(replace(MANIFEST, images=OTHER.images), "it lacks blobs/", id="other-images"),
        pytest.param(replace(MANIFEST, images=()), "its index.json is not that of its images", id="no-images"),
        pytest.param(replace(MANIFEST, images=MANIFEST.images * 2), "it has an image twice", id="image-twice"),
        pytest.param(replace(MANIFEST, members=MANIFEST.members[::-1]), "its members are not in order", id="order"),
        pytest.param(replace(MANIFEST, project="../x"), "is not allowed there", id="project-up"),
        pytest.param(replace(MANIFEST, architecture="$(x)"), "is not allowed there", id="architecture"),
        pytest.param(replace(MANIFEST, python="3; x"), "is not allowed there", id="python"),
    ],
)
def test_a_hostile_list_of_members_is_refused(manifest: Manifest, says: str) -> None:
    """Its own hash is right: whoever wrote it meant it."""
    with pytest.raises(BadBundleError, match=re.escape(says)):
        Manifest.parse(manifest.render())


@pytest.mark.parametrize("body", ["[]", "{}", "null", '{"members": 1}', "[" * 100000, '{"images": [{"name": []}]}', ""])
def test_a_list_of_something_else_is_refused(body: str) -> None:
    text = body.encode()
    with pytest.raises(BadBundleError, match="its list of members cannot be read"):
        Manifest.parse(f"pyrlab-bundle 1 sha256:{sha256(text)}\n".encode() + text)


@pytest.mark.parametrize("change", [("{\n", "{\n\n"), ('"amd64"', '"\\u0061md64"'), ("{\n", '{\n"more": 1,\n')])
def test_a_list_that_says_the_same_in_another_way_is_refused(change: tuple[str, str]) -> None:
    """There is one form, so that two readers cannot read two things."""
    _, _, body = MANIFEST.render().decode().partition("\n")
    other = body.replace(*change, 1)
    assert other != body
    with pytest.raises(BadBundleError, match="is not written as bundle writes it"):
        Manifest.parse(f"pyrlab-bundle 1 sha256:{sha256(other.encode())}\n{other}".encode())


def test_a_tag_that_would_take_another_image_is_refused() -> None:
    """The engine goes by these documents. They are what follows from the images, and nothing else."""
    manifest, parts = made({})
    document = json.loads(parts["manifest.json"].content)
    document[0]["RepoTags"] = ["python:latest"]
    text = json.dumps(document).encode()
    members = [
        one if one.path != "manifest.json" else Member(one.path, len(text), sha256(text)) for one in manifest.members
    ]
    with pytest.raises(BadBundleError, match=r"^its manifest.json is not that of its images$"):
        Manifest.parse(replace(manifest, members=tuple(members)).render())


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_what_is_no_file_is_refused(archive: Path, kind: bytes) -> None:
    whole = archive.read_bytes()
    info = tarfile.TarInfo("project/base_debs.txt")
    info.size, info.mode, info.type, info.linkname = 5, 0o644, kind, "/etc/passwd"
    own = tarfile.TarInfo("project/base_debs.txt")
    own.size, own.mode = 5, 0o644
    hostile = whole.replace(own.tobuf(tarfile.GNU_FORMAT), info.tobuf(tarfile.GNU_FORMAT))
    assert hostile != whole
    with pytest.raises(HashMismatchError, match=r"the header of project/base_debs.txt is damaged$"):
        _verify_bytes(archive, hostile)


@pytest.mark.parametrize("size", [2**40, 2**62])
def test_a_file_that_says_it_is_huge_is_refused_at_once(tmp_path: Path, size: int) -> None:
    """Neither memory nor disk is taken for it."""
    manifest, _ = made({"project/a": b"x"})
    text = _with(manifest, "project/b", size=size).render()
    info = tarfile.TarInfo("pyrlab-bundle")
    info.size, info.mode = len(text), 0o644
    (tmp_path / "x").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + text + bytes(-len(text) % BLOCK))
    with pytest.raises(HashMismatchError, match="is cut short: it has"):
        verify(tmp_path / "x")
    info.size = size
    (tmp_path / "x").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + text)
    with pytest.raises(HashMismatchError, match="does not begin as a bundle does"):
        verify(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"\0" * 2048, b"PK\x03\x04" * 512], ids=["empty", "zeros", "zip"])
def test_another_file_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HashMismatchError, match="it does not begin as a bundle does"):
        _verify_bytes(tmp_path / "x", content)


def test_nothing_half_written_has_the_name(tmp_path: Path) -> None:
    """As on a disk that is full; and a bundle of before stays."""
    manifest, parts = made({"project/a": b"x", "project/b": b"y"})
    (tmp_path / "x").write_bytes(b"of before")
    parts["project/b"] = Part(1, sha256(b"y"), tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        bundle_file.write(tmp_path / "x", manifest, parts)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    (tmp_path / "gone").write_bytes(b"z")
    with pytest.raises(HashMismatchError, match=r"^project/b was changed while it was written"):
        bundle_file.write(tmp_path / "x", manifest, parts)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"of before", "gone": b"z"}


# ---- Images


def saved(path: Path, *, old: bool, layers: Sequence[bytes] = LAYERS, diff: Sequence[bytes] = LAYERS) -> bytes:
    """Write what `docker save` writes of two images with the same layers; return their configuration.

    ``old`` is as Docker 24 and older do it, which have a link for a layer that is there already.
    """
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{sha256(one)}" for one in diff]}}).encode()
    with tarfile.open(path, "w") as tar:

        def add(name: str, content: bytes = b"", link: str = "") -> str:
            info = tarfile.TarInfo(name)
            info.size, info.linkname = len(content), link
            info.type = tarfile.SYMTYPE if link else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(content))
            return name

        entries = []
        for image in ("pylab", "rlab"):
            if old:
                first = image == "pylab"
                names = [
                    add(
                        f"{image}{number}/layer.tar",
                        content if first else b"",
                        "" if first else f"../pylab{number}/layer.tar",
                    )
                    for number, content in enumerate(layers)
                ]
                named = add(f"{sha256(config)}.json", config)
            else:
                names = [add(oci.blob(sha256(content)), content) for content in layers]
                named = add(oci.blob(sha256(config)), config)
                add("blobs/sha256/" + "0" * 64, b'{"created":"now"}')
            entries.append({"Config": named, "RepoTags": [f"{image}:x"], "Layers": names})
        add("manifest.json", json.dumps(entries).encode())
    return config


@pytest.fixture
def docker_save(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a way to let `docker save` write an archive of before or after Docker 25."""

    def arrange(*, old: bool, layers: Sequence[bytes] = LAYERS, diff: Sequence[bytes] = LAYERS) -> None:
        def run(command: Sequence[str], **_: object) -> str:
            assert command[:3] == ["docker", "save", "--output"]
            assert list(command[4:]) == ["pylab:x", "rlab:x"]
            saved(Path(command[3]), old=old, layers=layers, diff=diff)
            return ""

        monkeypatch.setattr(process, "run", run)

    return arrange


TAGS = {"pylab": "pylab:x", "rlab": "rlab:x"}


def test_old_and_new_engines_save_the_same_layout(docker_save: Callable[..., None], tmp_path: Path) -> None:
    layouts = []
    for old in (True, False):
        docker_save(old=old)
        images, blobs = archives.save(TAGS, tmp_path / f"{old}.tar")
        assert set(blobs) == oci.blobs(images)
        assert [image.name for image in images] == ["pylab", "rlab"]
        contents = {name: b"".join(part.chunks()) for name, part in blobs.items()}
        assert all(sha256(content) == name for name, content in contents.items())
        layouts.append(oci.layout(images, {name: len(content) for name, content in contents.items()}))
    assert layouts[0] == layouts[1]
    tags = [entry["RepoTags"] for entry in json.loads(layouts[0]["manifest.json"])]
    config = images[0].config[:16]
    assert tags == [[f"pyrlab-bundle/pylab:{config}"], [f"pyrlab-bundle/rlab:{config}"]]


@pytest.mark.parametrize("prefix", ["docker.io/", "docker.io/library/", "index.docker.io/", "library/"])
def test_docker_hub_s_names_are_found_in_the_form_that_the_engine_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str
) -> None:
    """`docker save` leaves out where Docker Hub is, and its folder of official images."""
    monkeypatch.setattr(process, "run", lambda command, **_: saved(Path(command[3]), old=False) and "")
    full = {name: f"{prefix}{tag}" for name, tag in TAGS.items()}
    assert archives.save(full, tmp_path / "a.tar")[0] == archives.save(TAGS, tmp_path / "b.tar")[0]


@pytest.mark.parametrize(
    ("tag", "familiar"),
    [
        pytest.param("docker.io/acme/pylab:x", "acme/pylab:x", id="docker-hub"),
        pytest.param("docker.io/library/acme/pylab:x", "library/acme/pylab:x", id="a-user-called-library"),
        pytest.param("registry.test/library/pylab:x", "registry.test/library/pylab:x", id="another-registry"),
        pytest.param("localhost:5000/pylab:x", "localhost:5000/pylab:x", id="a-port"),
        pytest.param("acme/pylab:x", "acme/pylab:x", id="as-it-is"),
    ],
)
def test_the_familiar_form_of_a_tag(tag: str, familiar: str) -> None:
    assert oci.familiar(tag) == familiar


def test_packed_layers_are_called_so(docker_save: Callable[..., None], tmp_path: Path) -> None:
    """An engine with containerd's store keeps them as they came: the configuration names other hashes."""
    packed = (b"\x1f\x8bpacked", b"\x28\xb5\x2f\xfdpacked")
    docker_save(old=False, layers=packed)
    images, blobs = archives.save(TAGS, tmp_path / "x.tar")
    assert [layer.form for layer in images[0].layers] == ["tar+gzip", "tar+zstd"]
    index = json.loads(oci.layout(images, {name: part.size for name, part in blobs.items()})["index.json"])
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"].startswith("docker.io/pyrlab-bundle/pylab:")


def test_other_layers_than_the_configurations_are_refused(docker_save: Callable[..., None], tmp_path: Path) -> None:
    docker_save(old=False, layers=LAYERS[::-1])
    with pytest.raises(BuildError, match="its layers are not those of the image"):
        archives.save(TAGS, tmp_path / "x.tar")


def test_a_full_engine_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: Sequence[str], **_: object) -> str:
        raise process.CommandError(command, "ended with status 1", "write /x: no space left on device")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(NoRoomError):
        archives.save(TAGS, tmp_path / "x.tar")
    with pytest.raises(NoRoomError):
        archives.load(io.BytesIO(), made({})[0].images)


# ---- Unbundling


@dataclass
class Docker:
    """Plays the engine: what it was asked, in order, and the tags that it has, with the layers of each."""

    layers: Sequence[str] = tuple(f"sha256:{sha256(layer)}" for layer in LAYERS)
    asked: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    on_load: Callable[[], None] = lambda: None

    def run(self, command: Sequence[str], *, stdin: BinaryIO | None = None, **_: object) -> str:
        """Take the place of process.run."""
        self.asked.append(" ".join(command[1:3]))
        if command[1] == "load":
            assert stdin
            # As another process reads it: from where the descriptor stands.
            with os.fdopen(os.dup(stdin.fileno()), "rb") as own, tarfile.open(fileobj=own, mode="r|") as tar:
                for member in tar:
                    self.loaded.append(member.name)
                    if member.name == "manifest.json":
                        content = tar.extractfile(member)
                        assert content
                        self.tags |= {tag for entry in json.load(content) for tag in entry["RepoTags"]}
            self.on_load()
            return "Loaded image"
        if command[2] == "inspect":
            assert command[-1] in self.tags
            return f"WARNING: x\n{json.dumps(list(self.layers)) if 'Layers' in command[4] else 'sha256:1'}\n"
        if command[2] == "tag":
            self.tags.add(command[4])
        elif command[2] == "rm":
            self.tags.remove(command[-1])
        return ""


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Play the engine."""
    played = Docker()
    monkeypatch.setattr(process, "run", played.run)
    monkeypatch.setattr(engine, "find", lambda: Engine("26", "amd64"))
    return played


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Return the folder of a bundle on a stick; the project goes beside it."""
    (tmp_path / "stick").mkdir()
    bundle_file.write(tmp_path / "stick/x.tar", *made(PROJECT_FILES))
    return tmp_path / "stick"


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_becomes_a_project_with_its_images(docker: Docker, stick: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    done = unbundle(stick / "x.tar", target, cache=tmp_path / "cache", say=lambda _: None)
    wanted = {
        name.removeprefix("project/"): text for name, text in PROJECT_FILES.items() if name.startswith("project/")
    }
    wanted[".pyrlab/toolkit/nox-1-py3-none-any.whl"] = b"wheel"
    wanted[".pyrlab/.gitignore"] = b"*\n"
    assert files_in(target) == wanted
    assert (target / "docker/install/run").stat().st_mode & 0o777 == 0o755
    assert (target / "base_debs.txt").stat().st_mode & 0o777 == 0o644
    assert target.stat().st_mode & 0o777 == 0o755
    assert files_in(tmp_path / "cache") == {f"files/{sha256(b'deb')}": b"deb"}
    assert all(not name.startswith(("project", "sources", "toolkit", "pyrlab-bundle")) for name in docker.loaded)
    # As build and serve call it there, and nothing else.
    (tag,) = docker.tags
    assert re.fullmatch(r"team/pylab:mine-[0-9a-f]{8}", tag)
    assert done.tags == {"pylab": tag}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine", "stick"]


def test_nothing_is_loaded_or_written_of_a_damaged_one(docker: Docker, stick: Path, tmp_path: Path) -> None:
    whole = (stick / "x.tar").read_bytes()
    (stick / "x.tar").write_bytes(whole[:-1] + b"\1")
    with pytest.raises(HashMismatchError, match="its end is damaged"):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert docker.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["stick"]


@pytest.mark.parametrize("kind", ["file", "full", "link"])
def test_it_never_writes_over_anything(docker: Docker, stick: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    if kind == "full":
        target.mkdir()
        (target / "x").write_text("mine", encoding="utf-8")
    elif kind == "file":
        target.write_text("mine", encoding="utf-8")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is there already"):
        unbundle(stick / "x.tar", target, cache=tmp_path / "cache", say=lambda _: None)
    assert docker.asked == []


def test_files_that_come_meanwhile_stay(docker: Docker, stick: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    docker.on_load = (target / "x").touch
    with pytest.raises(UsageError, match="is there already"):
        unbundle(stick / "x.tar", target, cache=tmp_path / "cache", say=lambda _: None)
    assert files_in(target) == {"x": b""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine", "stick"]


def test_an_interrupt_leaves_no_folder(docker: Docker, stick: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    docker.on_load = interrupt
    with pytest.raises(KeyboardInterrupt):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "stick"]


def test_a_full_disk_leaves_no_folder(
    docker: Docker, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which disk; the engine was not asked."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert str(caught.value.filename).startswith(str(tmp_path))
    assert docker.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["stick"]


DOCKER = """#!/bin/sh
case "$1" in
version) echo '{"Version": "26.1.5", "Arch": "amd64"}' ;;
buildx) echo "github.com/docker/buildx v0.13.1" ;;
load) echo $$ >started.new && mv started.new started && exec sleep 60 ;;
esac
"""


def test_a_run_that_is_killed_leaves_no_folder_of_the_name(stick: Path) -> None:
    program = stick / "bin/docker"
    program.parent.mkdir()
    program.write_text(DOCKER, encoding="utf-8")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    run = subprocess.Popen(
        [sys.executable, "-m", "pyrlab.cli.unbundle", "x.tar", "mine"],
        cwd=stick,
        env={"PYTHONPATH": str(SOURCE / "src"), "PATH": path, "XDG_CACHE_HOME": str(stick / "cache")},
    )
    try:
        deadline = time.monotonic() + 30
        while not (stick / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        run.kill()
        run.wait()
    # It has a session of its own, and outlives who is killed so.
    os.kill(int((stick / "started").read_text(encoding="utf-8")), signal.SIGKILL)
    left = [path.name for path in stick.iterdir() if path.name not in {"bin", "cache", "started", "x.tar"}]
    assert len(left) == 1
    assert left[0].startswith(f".tmp-{run.pid}-")


def test_what_was_changed_since_it_was_verified_reaches_no_engine(
    docker: Docker, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick may be written to by others."""
    path, verified = stick / "x.tar", BundleFile.verify

    def verify_and_change(bundle_of: BundleFile) -> Manifest:
        manifest = verified(bundle_of)
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"pyrlab-bundle/pylab:", b"python-bundle/3.14a:"))
        return manifest

    monkeypatch.setattr(BundleFile, "verify", verify_and_change)
    with pytest.raises(HashMismatchError, match="was changed meanwhile"):
        unbundle(path, tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert docker.tags == set()
    assert not (tmp_path / "mine").exists()


def test_another_image_of_that_name_is_not_taken_for_it(docker: Docker, stick: Path, tmp_path: Path) -> None:
    docker.layers = ["sha256:" + "0" * 64, "sha256:" + "1" * 64]
    with pytest.raises(HashMismatchError, match="the engine has another image as pyrlab-bundle/pylab:"):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert not (tmp_path / "mine").exists()


def test_images_for_another_architecture_are_refused(
    docker: Docker, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find", lambda: Engine("26", "arm64"))
    with pytest.raises(EngineError, match=r"^the images are for amd64, and the engine is arm64$"):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert docker.asked == []


def test_it_says_how_to_go_on(
    docker: Docker, stick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a folder it takes the project's name. On errors it says what to do, and what nothing was done to."""
    monkeypatch.chdir(stick)
    monkeypatch.setenv("XDG_CACHE_HOME", str(stick / "cache"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["unbundle", "x.tar"])
    assert alone.main() == 0
    shown = capsys.readouterr().out
    (tag,) = docker.tags
    assert f"{stick}/analysis is the project, and the engine has {tag}." in shown
    assert "  python3.13 -m venv .venv\n" in shown
    assert "  .venv/bin/nox -s serve -- pylab\n" in shown
    assert "docker run --rm -it -p 127.0.0.1:8888:8888 -e PORT=8888 " in shown
    assert shown.endswith("What the locks pin is in the store: nox -s build needs no network.\n")
    assert alone.main() == 2
    assert "error: analysis is there already" in capsys.readouterr().err.replace(f"{stick}/", "")
    monkeypatch.setattr(sys, "argv", ["unbundle", "nowhere.tar"])
    assert alone.main() == 2
    assert "error: nowhere.tar cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("pyrlab.toml", b'tag = "\xff"', "pyrlab.toml cannot be read: 'utf-8' codec", id="no-utf-8"),
        pytest.param("pyrlab.toml", b"images", "pyrlab.toml cannot be read: Expected", id="no-toml"),
        pytest.param("pyrlab.toml", b"images = 3", "pyrlab.toml: images is no table", id="no-table"),
        pytest.param("docker/images.toml", b"\xff", "docker/images.toml cannot be read: 'utf-8' codec", id="graph"),
    ],
)
def test_a_project_that_cannot_be_read_is_told(
    docker: Docker, stick: Path, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    bundle_file.write(stick / "x.tar", *made({**PROJECT_FILES, f"project/{name}": content}))
    with pytest.raises(UsageError, match=f"^{re.escape(says)}"):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert docker.asked == []
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("others", [{}, {"project/docker/images.toml/x": b""}])
def test_a_bundle_without_a_project_is_told(
    docker: Docker, stick: Path, tmp_path: Path, others: Mapping[str, bytes]
) -> None:
    bundle_file.write(stick / "x.tar", *made({"project/base_debs.txt": b"less\n", **others}))
    with pytest.raises(UsageError, match=r"^docker/images.toml cannot be read: (No such file|Is a directory)"):
        unbundle(stick / "x.tar", tmp_path / "mine", cache=tmp_path / "cache", say=lambda _: None)
    assert docker.asked == []
    assert not (tmp_path / "mine").exists()


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    """-S hides what is installed; -I would hide pyrlab, too."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pyrlab.cli.unbundle", "nowhere.tar"],
        env={"PYTHONPATH": str(SOURCE / "src"), "PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (5, "error: no docker command on the PATH\n  try: nox -s engine\n")


# ---- Bundling


@pytest.fixture
def built(own: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a locked project whose images the engine has; what `docker save` writes of them is played."""
    own.lock()
    monkeypatch.setattr(Plan, "is_current", lambda *_: True)
    before = process.run

    def run(command: Sequence[str], **given: Any) -> str:  # noqa: ANN401 - it is handed on
        if command[:2] == ["docker", "save"]:
            tags = command[4:]
            saved(Path(command[3]), old=False)
            with tarfile.open(command[3]) as tar:
                entries = json.load(tar.extractfile("manifest.json") or io.BytesIO())
                blobs = {
                    member.name: (tar.extractfile(member) or io.BytesIO()).read()
                    for member in tar.getmembers()
                    if member.name.startswith("blobs")
                }
            entry = entries[0]
            with tarfile.open(command[3], "w") as tar:
                documents = [{**entry, "RepoTags": [tag]} for tag in tags]
                for name, content in {**blobs, "manifest.json": json.dumps(documents).encode()}.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
            return ""
        return before(command, **given)

    monkeypatch.setattr(process, "run", run)
    return own


def test_a_project_is_bundled_whole_and_always_the_same(built: Project, tmp_path: Path) -> None:
    (built.folder / "docker/.#images.toml").write_text("an editor's", encoding="utf-8")
    (built.folder / "docker/link").symlink_to("/etc/passwd")
    settings = built.settings
    first = bundle(settings, tmp_path / "a.tar", sources=False, say=lambda _: None)
    again = bundle(settings, None, sources=False, say=lambda _: None)
    assert first.sha256 == again.sha256 == sha256((tmp_path / "a.tar").read_bytes())
    assert again.path == built.folder / ".pyrlab/bundle.tar"
    manifest = verify(first.path)
    names = set(manifest.within("project"))
    assert names >= {"pyrlab.toml", "base_debs.txt", "debs.lock", "requirements.lock", "docker/images.toml"}
    assert not any("link" in name or "/." in f"/{name}" for name in names)
    assert [image.name for image in manifest.images] == sorted(settings.graph.images)
    assert manifest.within("sources") == {}
    assert list(settings.workspace.work.glob(".tmp-*")) == []


def test_a_list_that_is_a_link_is_bundled(built: Project, tmp_path: Path) -> None:
    """Projects may share a list or the graph. On the other machine it is a file of its own."""
    for name in ("base_debs.txt", "docker/images.toml"):
        shared = tmp_path / "shared" / name
        shared.parent.mkdir(parents=True, exist_ok=True)
        (built.folder / name).rename(shared)
        (built.folder / name).symlink_to(shared)
    path = bundle(built.settings, tmp_path / "a.tar", sources=False, say=lambda _: None).path
    with tarfile.open(path) as tar:
        for name in ("base_debs.txt", "docker/images.toml"):
            extracted = tar.extractfile(f"project/{name}")
            assert extracted
            assert extracted.read() == (built.folder / name).read_bytes()


def test_a_link_to_nothing_is_told(built: Project, tmp_path: Path) -> None:
    (built.folder / "README.md").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"^README.md is a link that leads to no file$"):
        bundle(built.settings, tmp_path / "a.tar", sources=False, say=lambda _: None)
    assert not (tmp_path / "a.tar").exists()


def test_what_pyrlab_runs_with_goes_along_for_every_release_of_this_python(built: Project, tmp_path: Path) -> None:
    """A lock for many Pythons has a package more than once."""
    minor = f"3.{sys.version_info.minor}"
    markers = {
        "1.0": f"python_full_version < '{minor}.1'",
        "2.0": f"python_full_version >= '{minor}.1'",
        "3.0": "sys_platform == 'win32'",
    }
    pins = [replace(built.machine.add_wheel("nox", version), marker=marker) for version, marker in markers.items()]
    (built.folder / "toolkit.lock").write_text("".join(f"{replace(pin, files=())}" for pin in pins), encoding="utf-8")
    manifest = verify(bundle(built.settings, tmp_path / "a.tar", sources=False, say=lambda _: None).path)
    assert set(manifest.within("toolkit")) == {"nox-1.0-py3-none-any.whl", "nox-2.0-py3-none-any.whl"}
    assert manifest.python == minor
    assert "toolkit.lock" in manifest.within("project")


def test_with_sources_it_has_every_file_of_the_locks(built: Project, tmp_path: Path) -> None:
    """Also those that the store did not have."""
    settings = built.settings
    for path in (built.cache / "files").iterdir():
        path.unlink()
    manifest = verify(bundle(settings, tmp_path / "a.tar", sources=True, say=lambda _: None).path)
    locks = built.locks
    pinned = {pin.sha256 for pin in locks.all_debs}
    pinned |= {file.sha256 for lock in locks.python.values() for pin in lock.pins for file in pin.files}
    assert set(manifest.within("sources")) >= pinned


def test_sources_are_verified_once(built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are gigabytes."""
    read: list[str] = []
    verified = store.is_file_of

    def note(path: Path, sha256: str) -> bool:
        read.append(sha256)
        return verified(path, sha256)

    monkeypatch.setattr(store, "is_file_of", note)
    manifest = verify(bundle(built.settings, tmp_path / "a.tar", sources=True, say=lambda _: None).path)
    assert set(read) >= set(manifest.within("sources"))
    assert len(read) == len(set(read))


def test_old_images_are_not_bundled(own: Project, tmp_path: Path) -> None:
    own.lock()
    with pytest.raises(
        StaleLockError, match=r"^not what the locks say: pyrlab-base, pylab, rlab-base, rlab$"
    ) as caught:
        bundle(own.settings, tmp_path / "a.tar", sources=False, say=lambda _: None)
    assert caught.value.remedy == "nox -s build"
    own.write("base_debs.txt", "less")
    with pytest.raises(StaleLockError):
        bundle(own.settings, tmp_path / "a.tar", sources=False, say=lambda _: None)
    assert not (tmp_path / "a.tar").exists()


def test_a_password_in_the_settings_is_not_bundled(built: Project, tmp_path: Path) -> None:
    built.toml = built.toml.replace("[network]", '[network]\napt_proxy = "http://me:hush@cache.test"')
    with pytest.raises(UsageError, match=r"^pyrlab.toml has a user in network.apt_proxy, and a bundle goes to others$"):
        bundle(built.settings, tmp_path / "a.tar", sources=False, say=lambda _: None)
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param('[network]\napt_proxy = "http://cache:3142"', [], id="no-user"),
        pytest.param('[network]\napt_proxy = "me:hush@cache:3142"', ["network.apt_proxy"], id="no-scheme"),
        pytest.param('[network]\npython_index = "https://token@x/simple"', ["network.python_index"], id="token"),
        pytest.param('[r]\nrepositories = ["a=https://${U}:${P}@x/y", "b=https://${T}@x"]', [], id="variables"),
        pytest.param('[r]\nrepositories = ["a=https://u:${P}@x/y"]', ["r.repositories"], id="half"),
        pytest.param('[r]\nrepositories = ["a=https://x/y@2"]', [], id="at-in-a-path"),
        pytest.param('[base]\napt_sources = ["deb [a=b] http://u:p@x/ s main"]', ["base.apt_sources"], id="sources"),
        pytest.param("", [], id="empty"),
    ],
)
def test_keys_with_users_are_found(text: str, keys: list[str]) -> None:
    assert keys_with_users(text) == keys
