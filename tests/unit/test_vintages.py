"""The test repository of real packages: its index, its archive and its tarballs, made of tiny packages here."""

import contextlib
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyrlab.errors import HashMismatchError


def load() -> types.ModuleType:
    """Import tests/integration/vintages.py, which is on no path here."""
    path = Path(__file__).parents[1] / "integration" / "vintages.py"
    spec = importlib.util.spec_from_file_location("vintages", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["vintages"] = module  # dataclasses look there for the types of their fields
    spec.loader.exec_module(module)
    return module


vintages = load()
MakeTarball = Callable[..., Path]


@pytest.fixture
def make_tarball(tmp_path: Path) -> MakeTarball:
    """Return what writes a tarball of files at ``top``, in which the package says to be ``pair`` at a version."""

    def make(version: str = "1.2-3", *, top: str = "pair/", mode: str = "gz", said: str = "", mtime: int = 5) -> Path:
        path = tmp_path / f"r-cran-pair_{version}-{mtime}.orig.tar.{mode}"
        description = f"Package: pair\nVersion: {version}\n{said}"
        files = {
            "DESCRIPTION": description,
            "inst/DESCRIPTION": "Package: inner\nVersion: 9.9\n",
            "R/pair.R": "1\n",
            "src/pair.c": "",
        }
        with tarfile.open(path, f"w:{mode}") as archive:  # type: ignore[call-overload]
            for name, text in sorted(files.items(), reverse=True):
                member = tarfile.TarInfo(f"{top}{name}")
                member.size, member.mtime, member.uid, member.mode = len(text), mtime, 1000, 0o664
                archive.addfile(member, io.BytesIO(text.encode()))
        if mode == "gz":
            # The same bytes also a second later: tarfile writes the time of day into the header.
            path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=mtime))
        return path

    return make


def members(content: bytes) -> list[tuple[str, float, int, int]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return [(one.name, one.mtime, one.uid, one.mode) for one in archive]


def index(folder: Path) -> dict[str, str]:
    """Return the one stanza of a repository's index, long fields joined."""
    text = (folder / "src/contrib/PACKAGES").read_text(encoding="utf-8")
    assert gzip.decompress((folder / "src/contrib/PACKAGES.gz").read_bytes()).decode() == text
    return dict(line.split(": ", 1) for line in text.replace("\n        ", " ").splitlines())


@pytest.mark.parametrize(
    ("top", "mode"),
    [
        pytest.param("pair-1.2.3/", "gz", id="folder-with-version"),
        pytest.param("pair/", "xz", id="repacked-as-xz"),
        pytest.param("./pair/", "gz", id="dot-before-it"),
    ],
)
def test_a_tarball_that_r_cannot_take_is_repacked(make_tarball: MakeTarball, top: str, mode: str) -> None:
    """The files are below NAME/, sorted, with fixed times, owners and modes."""
    content = vintages.Tarball.read(make_tarball(top=top, mode=mode)).content()
    assert members(content) == [
        (f"pair/{name}", vintages.MTIME, 0, 0o644)
        for name in ("DESCRIPTION", "R/pair.R", "inst/DESCRIPTION", "src/pair.c")
    ]


def test_repacking_the_same_files_gives_the_same_bytes(make_tarball: MakeTarball) -> None:
    one, other = make_tarball(top="a/", mtime=5), make_tarball(top="b/", mtime=6)
    assert vintages.repack(one, "pair") == vintages.repack(other, "pair")


def test_a_fitting_tarball_keeps_its_bytes(make_tarball: MakeTarball) -> None:
    path = make_tarball()
    assert vintages.Tarball.read(path).content() == path.read_bytes()


def test_a_tarball_without_a_package_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("deep/er/DESCRIPTION"))
    with pytest.raises(ValueError, match=r"other\.tar holds no R package"):
        vintages.Tarball.read(path)


def test_the_index_has_the_fields_of_r_and_the_md5_of_the_file(make_tarball: MakeTarball, tmp_path: Path) -> None:
    said = f"Imports: utils,\n    {', '.join(f'package{number}' for number in range(20))}\nTitle: Two\n"
    tarball = vintages.Tarball.read(make_tarball(said=said))
    folder = vintages.repository(tmp_path / "made", "trixie", {one: {"pair": tarball} for one in vintages.VINTAGES})
    file = folder / "src/contrib/pair_1.2-3.tar.gz"
    assert index(folder) == {
        "Package": "pair",
        "Version": "1.2-3",
        "Imports": f"utils, {', '.join(f'package{number}' for number in range(20))}",
        "MD5sum": hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest(),
        "NeedsCompilation": "yes",
    }
    assert max(map(len, (folder / "src/contrib/PACKAGES").read_text(encoding="utf-8").splitlines())) <= 80


@pytest.mark.parametrize(
    ("versions", "vintage", "current", "archived"),
    [
        pytest.param(("1.9", "1.10", "2.0"), "bookworm", "1.9", [], id="first"),
        pytest.param(("1.9", "1.10", "2.0"), "trixie", "1.10", ["1.9"], id="second"),
        pytest.param(("1.9", "1.10", "2.0"), "forky", "2.0", ["1.10", "1.9"], id="third"),
        pytest.param(("1.9", "1.9", "2.0"), "trixie", "1.9", [], id="unchanged"),
        pytest.param(("1.9", "1.10", ""), "forky", "1.10", ["1.9"], id="lacks-it-as-before"),
        pytest.param(("", "1.10", "2.0"), "bookworm", "1.10", [], id="lacks-it-as-after"),
    ],
)
def test_a_vintage_has_its_version_and_archives_the_older(
    make_tarball: MakeTarball,
    tmp_path: Path,
    versions: tuple[str, ...],
    vintage: str,
    current: str,
    archived: list[str],
) -> None:
    known: Mapping[str, object] = {
        one: {"pair": vintages.Tarball.read(make_tarball(version))} if version else {}
        for one, version in zip(vintages.VINTAGES, versions, strict=True)
    }
    contrib = vintages.repository(tmp_path / "made", vintage, known) / "src/contrib"
    assert [path.name for path in contrib.glob("*.tar.gz")] == [f"pair_{current}.tar.gz"]
    assert sorted(path.name for path in contrib.glob("Archive/pair/*")) == [f"pair_{one}.tar.gz" for one in archived]
    assert index(tmp_path / "made")["Version"] == current


def test_an_unchanged_version_keeps_the_bytes_that_it_had_first(make_tarball: MakeTarball) -> None:
    first, again = (vintages.Tarball.read(make_tarball(mtime=mtime)) for mtime in (5, 6))
    known = {"bookworm": {"pair": first}, "trixie": {"pair": again}, "forky": {}}
    assert vintages.history("pair", "forky", known) == [first]


@pytest.fixture
def pinned(make_tarball: MakeTarball, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what pins a version of pair in one vintage, while the archive has 1.2-3 of it and the cache is empty."""

    @contextlib.contextmanager
    def archive(*_: object) -> Iterator[Callable[[str, list[str]], list[Path]]]:
        yield lambda _vintage, sources: [make_tarball()] if sources == ["r-cran-pair"] else []

    def make(vintage: str, version: str = "1.2-3") -> Path:
        path = make_tarball(version)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        entry = {"file": path.name, "sha256": sha256, "source": "r-cran-pair", "version": version}
        pins = {one: {"pair": entry} if one == vintage else {} for one in vintages.VINTAGES}
        vintages.FILE.write_text(json.dumps(pins), encoding="utf-8")
        return tmp_path / "cache" / sha256

    monkeypatch.setattr(vintages, "FILE", tmp_path / "vintages.json")
    monkeypatch.setattr(vintages, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(vintages, "_archive", archive)
    return make


def test_a_pinned_file_is_downloaded_once(
    pinned: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = pinned("trixie")
    first = vintages.fetch(tmp_path, {})
    monkeypatch.delattr(vintages, "_archive")
    assert vintages.fetch(tmp_path, {}) == first
    assert first["trixie"]["pair"].path == cached


def test_a_damaged_file_of_the_cache_is_downloaded_again(pinned: Callable[[str], Path], tmp_path: Path) -> None:
    cached = pinned("trixie")
    vintages.fetch(tmp_path, {})
    cached.write_bytes(b"damaged")
    assert vintages.fetch(tmp_path, {})["trixie"]["pair"].content() != b"damaged"


def test_a_frozen_vintage_with_other_bytes_is_an_error(pinned: Callable[..., Path], tmp_path: Path) -> None:
    pinned("bookworm", "1.2-2")
    with pytest.raises(HashMismatchError, match=r"bookworm: r-cran-pair_1\.2-2\S+ is pinned .* has 1\.2-3"):
        vintages.fetch(tmp_path, {})


def test_the_moving_vintage_may_have_a_newer_version(
    pinned: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned("forky", "1.2-2")
    found = vintages.fetch(tmp_path, {})
    assert found["forky"]["pair"].file == "pair_1.2-3.tar.gz"
    assert "forky: r-cran-pair_1.2-2-5.orig.tar.gz is pinned" in capsys.readouterr().out


@example(value=" ".join(["aa-bbbbbbb"] * 30))
@given(value=st.text("ab (>=).,-", min_size=1, max_size=300).map(lambda text: " ".join(text.split())))
def test_folding_a_field_loses_nothing(value: str) -> None:
    """Whoever joins the lines of a field with a space has the value again."""
    lines = vintages.stanza({"Imports": value}, b"").splitlines()
    folded = " ".join(line.strip() for line in lines if not line.startswith("MD5sum"))
    assert folded == f"Imports: {value}".strip()
