"""Trials over images that are there: what is put over one, and what goes from it, so that it is that of other locks."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from graphs import GRAPH, SOURCE
from hypothesis import given
from hypothesis import strategies as st
from lock_samples import debs_locks, python_locks

from pyrlab.adapters import recipe
from pyrlab.model import stages
from pyrlab.model.base_image import Base
from pyrlab.model.cran.record import Dependency
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonFile, PythonLock, PythonPin
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.sections import sections as sections_of_locks
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.overlay import Overlay, between, render, sections, with_library_of, with_r_of
from pyrlab.steps.overlays import TrialPlan

PYTHON3 = DebPin("python3", "3.13.5-1", "amd64", "a" * 64, 1, "pool/python3.deb")


def deb(name: str, version: str) -> DebPin:
    return DebPin(name, version, "all", version[0] * 64, 10, f"pool/{name}.deb")


def wheel(name: str, version: str, ending: str = "-py3-none-any.whl") -> PythonPin:
    digest = version[0] * 64
    file = PythonFile("amd64", f"{name}-{version}{ending}", 100, digest)
    return PythonPin(name, version, "", (f"sha256:{digest}",), ("list",), (file,))


def cran(name: str, version: str) -> RPin:
    return RPin(name, version, "cran", requested=True, files=(RFile("source", f"{name}.tar.gz", version[0] * 64),))


def locks(
    base: tuple[DebPin, ...] = (), python: tuple[PythonPin, ...] = (), r: tuple[RPin, ...] = (), *more: DebPin
) -> Locks:
    debs = DebsLock("sha256:0", "trixie", "amd64", {"root": (PYTHON3,), "pyrlab-base": base, "rlab-base": ()})
    pins = PythonLock("requirements.lock", "sha256:0", "3.13", "2.41", python)
    return Locks(debs, {"pylab": pins}, RLock("sha256:0", debs.body, "4.5.0", ("debian",), r, more))


def made(old: Locks, new: Locks, image: str = "pylab") -> Overlay:
    found = between(GRAPH, image, old, new)
    assert found
    return found


def test_only_what_differs_is_installed_and_what_it_replaces_goes() -> None:
    old = locks(
        (deb("editor", "1"), deb("old", "1"), deb("same", "1")), (wheel("a", "1"), wheel("b", "1"), wheel("c", "1"))
    )
    new = locks(
        (deb("editor", "2"), deb("new", "1"), deb("same", "1")), (wheel("a", "2"), wheel("b", "1"), wheel("d", "1"))
    )
    found = made(old, new)
    assert [str(pin).split()[:2] for pin in found.debs] == [["editor", "2"], ["new", "1"]]
    assert found.gone_debs == ("old",)
    assert [(pin.name, pin.version) for pin in found.python] == [("a", "2"), ("d", "1")]
    assert found.gone_python == ("a", "c")
    assert {pin.name for pin in found.there} == {"python3", "editor", "new", "same"}
    assert found.size == 2 * 10 + 2 * 100
    assert not found.r


def test_an_earlier_version_is_put_over_a_later_one() -> None:
    old, new = locks((deb("editor", "2"),), (wheel("a", "2"),)), locks((deb("editor", "1"),), (wheel("a", "1"),))
    assert ([pin.version for pin in made(old, new).debs], [pin.version for pin in made(old, new).python]) == (
        ["1"],
        ["1"],
    )


def test_other_bytes_of_the_same_version_are_put_over() -> None:
    other = replace(deb("editor", "1"), sha256="f" * 64)
    file = replace(wheel("a", "1").files[0], sha256="f" * 64)
    wheels = replace(wheel("a", "1"), files=(file,), hashes=("sha256:" + "f" * 64,))
    found = made(locks((deb("editor", "1"),), (wheel("a", "1"),)), locks((other,), (wheels,)))
    assert (found.debs, found.python, found.gone_python) == ((other,), (wheels,), ("a",))


def test_what_is_no_part_of_an_image_does_not_touch_it() -> None:
    old, new = locks((), (wheel("a", "1"),), (cran("zoo", "1"),)), locks((), (wheel("a", "1"),), (cran("zoo", "2"),))
    assert not made(old, new).r
    assert made(old, new, "rlab").r


def test_what_was_compiled_for_another_r_is_put_over_nothing_that_has_it() -> None:
    """As where R's graphics have another version: packages that draw do not load then."""

    def with_r(version: str, *packages: RPin) -> Locks:
        return locks((deb("r-base-core", version),), (), packages)

    zoo = cran("zoo", "1")
    assert between(GRAPH, "rlab", with_r("4.5.0-1", zoo), with_r("4.6.0-1", zoo)) is None
    assert made(with_r("4.5.0-1", zoo), with_r("4.6.0-1", zoo), "pylab")
    assert made(with_r("4.5.0-1", zoo), with_r("4.5.2-1", zoo), "rlab")
    assert made(with_r("4.5.0-1"), with_r("4.6.0-1", zoo), "rlab")


def test_what_a_trial_puts_over_its_images_is_counted_in_all_ecosystems() -> None:
    old, new = locks((), (wheel("a", "1"),), (cran("zoo", "1"),)), locks((), (), (cran("zoo", "2"),))
    for images, count in ((["pylab"], 1), (["rlab"], 1), (["pylab", "rlab"], 2)):
        over = {image: made(old, new, image) for image in images}
        assert TrialPlan(cast("Settings", None), old, new, over, {}).count == count


def test_system_packages_of_r_are_those_of_the_lab_that_has_r() -> None:
    old, new = locks((), (), (), deb("libzoo", "1")), locks((), (), (), deb("libzoo", "2"))
    assert made(old, new).debs == ()
    assert [pin.version for pin in made(old, new, "rlab").debs] == ["2"]


def test_r_packages_are_compiled_where_those_of_the_image_were() -> None:
    """Else the builder's cache would keep, under one name, what was compiled against another library."""
    old, new = locks((deb("libx", "1"),), (), (cran("zoo", "1"),)), locks((deb("libx", "2"),), (), (cran("zoo", "2"),))
    mixed = with_r_of(old, new)
    assert mixed.debs == old.debs
    assert mixed.r
    assert [pin.version for pin in mixed.r.packages] == ["2"]


def carried(name: str, version: str) -> RPin:
    """Return an R package that Debian has."""
    return RPin(name, version, "debian", requested=True, deb=deb(f"r-cran-{name.lower()}", version))


def test_a_compiled_package_is_kept_under_the_debs_that_it_was_compiled_against() -> None:
    """Else a later build would take, for the newer deb's headers, what was compiled against the older one's."""
    needs = (Dependency("Rcpp"), Dependency("fast"))
    old_zoo, new_zoo = (replace(cran("zoo", version), dependencies=needs) for version in ("1", "2"))
    old = locks((), (), (old_zoo, carried("Rcpp", "1"), carried("fast", "1")))
    new = locks((), (), (new_zoo, carried("Rcpp", "2"), cran("fast", "2")))
    mixed = with_r_of(old, new)
    assert mixed.r
    assert {pin.name: (pin.version, pin.deb is None) for pin in mixed.r.packages} == {
        "Rcpp": ("1", False),
        "fast": ("2", True),
        "zoo": ("2", True),
    }
    section = sections_of_locks(GRAPH, mixed, recipe="", origin="")["rlab.r"]
    of_old = locks((), (), (carried("Rcpp", "1"), cran("fast", "2"), new_zoo))
    assert section.texts["plan"] == sections_of_locks(GRAPH, of_old, recipe="", origin="")["rlab.r"].texts["plan"]
    # The gate looks at the image as it is then.
    assert with_library_of(new, section).texts == {**section.texts, "library": "zoo 2\nRcpp 2\nfast 2\n"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (locks(), locks((), (wheel("a", "1", ".tar.gz"),))),
        (locks(), locks((replace(deb("editor", "1"), sha256=""),))),
    ],
    ids=["source distribution", "part of a base image"],
)
def test_what_only_a_build_can_make_is_put_over_nothing(old: Locks, new: Locks) -> None:
    assert between(GRAPH, "pylab", old, new) is None


def test_another_base_image_or_another_python_is_put_over_nothing() -> None:
    image = Base("python:3.13", "sha256:" + "a" * 64, "3.13.5")
    old, based = locks(), replace(locks(), debs=replace(locks().debs, base=image))
    other = replace(old, debs=replace(old.debs, sections={"root": (replace(PYTHON3, version="3.14.0-1"),)}))
    assert between(GRAPH, "pylab", old, based) is None
    assert between(GRAPH, "pylab", old, other) is None
    assert between(GRAPH, "pylab", based, based)


@given(st.data())
def test_law_an_image_with_its_overlay_is_that_of_the_new_locks(data: st.DataObject) -> None:
    """What was there, less what goes, and with what is put over it, is what the new locks say; no more is moved."""

    def draw() -> Locks:
        debs = replace(data.draw(debs_locks()), architecture="amd64", base=None)
        return Locks(debs, {"pylab": as_wheels(data.draw(python_locks()))}, None)

    old, new = draw(), draw()
    image = data.draw(st.sampled_from(["pyrlab-base", "pylab", "rlab-base"]))
    nothing = Locks(replace(old.debs, sections={"root": ()}), {"pylab": replace(old.python["pylab"], pins=())}, None)
    found, before, after = made(old, new, image), made(nothing, old, image), made(nothing, new, image)
    there = {pin.name: (pin.version, pin.sha256) for pin in before.there if pin.name not in found.gone_debs}
    there |= {pin.name: (pin.version, pin.sha256) for pin in found.debs}
    assert there == {pin.name: (pin.version, pin.sha256) for pin in after.there}
    python = {pin.name: pin.file_for("amd64") for pin in before.python if pin.name not in found.gone_python}
    assert not python.keys() & {pin.name for pin in found.python}
    python |= {pin.name: pin.file_for("amd64") for pin in found.python}
    assert python == {pin.name: pin.file_for("amd64") for pin in after.python}
    assert between(GRAPH, image, new, new) == replace(found, debs=(), gone_debs=(), python=(), gone_python=(), size=0)


def as_wheels(lock: PythonLock) -> PythonLock:
    """Return a lock all of whose distributions come as wheels."""

    def file(one: PythonFile, pin: PythonPin) -> PythonFile:
        return replace(one, filename=f"{pin.name.replace('-', '_')}-{pin.version}-py3-none-any.whl")

    return replace(
        lock, pins=tuple(replace(pin, files=tuple(file(one, pin) for one in pin.files)) for pin in lock.pins)
    )


def test_the_stages_stand_on_what_is_there_and_install_without_a_network() -> None:
    old, new = locks((), (), (cran("zoo", "1"),)), locks((), (), (cran("zoo", "2"),))

    def template(name: str) -> str:
        return recipe.stage_template(SOURCE / "docker", name)

    for image, r in (("pylab", False), ("rlab", True)):
        text = render(GRAPH, {image: made(old, new, image)}, {image: f"{image}:newest"}, template)
        found = stages.stages_in(text)
        assert found.keys() == {f"trial-{image}", f"python-trial-{image}"}
        stage = found[f"trial-{image}"]
        assert stage.text.startswith(f"FROM {image}:newest AS")
        assert stage.text.count("RUN --network=none") == stage.text.count("RUN ")
        assert stage.recipe >= {"trial", "lab", "python"}
        assert "change-debs /dev/section /dev/lab" in stage.text
        # The image is a lab already: packages' own programs come first there.
        assert not re.search(r"(?<![/\w-])(rm|setpriv) -", stage.text)
        assert ("rlab-library" in stage.stages) == r
        # The gates of labs stand behind what is put over: of R where there is R of CRAN, of Python always.
        assert ("/dev/r/check-library" in stage.text) == r
        assert stage.text.index("/dev/python/check-environment") > stage.text.index("COPY --link")
        assert stage.sections >= {section.name for section in sections(image, made(old, new, image), "amd64")} - {
            f"trial-{image}.python"
        }


def test_root_runs_no_program_that_a_package_has_put_into_the_lab(tmp_path: Path) -> None:
    programs, ran = tmp_path / "bin", tmp_path / "ran"
    programs.mkdir()
    for name in ("setpriv", "sed"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    command = ["/bin/sh", str(SOURCE / "docker/install/python/check-environment"), "/nowhere/uv"]
    subprocess.run(command, env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, check=False, timeout=60)
    assert not ran.exists()


def test_labs_get_their_locale_back_where_debian_s_package_takes_it_away() -> None:
    """Its script makes the locales anew that Debian's own list names, and that list is empty."""
    install = SOURCE / "docker/install"
    assert (install / "lab/make-locale").read_text(encoding="utf-8").count(" en_US.UTF-8\n") == 2
    for script in ("lab/make-user", "trial/change-debs"):
        assert '/make-locale"\n' in (install / script).read_text(encoding="utf-8")


@pytest.fixture
def remover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script that removes distributions, for a lab below a folder of its own."""
    path = SOURCE / "docker/install/trial/remove-distributions"
    loader = SourceFileLoader("remove_distributions", str(path))
    spec = importlib.util.spec_from_loader("remove_distributions", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "LAB", tmp_path / "lab")
    return module


def installed(lab: Path, name: str, *paths: str) -> None:
    """Put a distribution's files there, with a RECORD that names them."""
    packages = lab / "lib/python3.13/site-packages"
    info = f"{name}-1.0.dist-info/RECORD"
    for path in (*paths, info):
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        (packages / path).write_text("", encoding="utf-8")
    (packages / info).write_text("".join(f'"{path}",sha256=x,1\n' for path in (*paths, info)), encoding="utf-8")


def test_distributions_go_with_their_bytecode_and_empty_folders_and_nothing_else(
    remover: ModuleType, tmp_path: Path
) -> None:
    lab, packages = tmp_path / "lab", tmp_path / "lab/lib/python3.13/site-packages"
    (tmp_path / "kept.txt").touch()
    installed(
        lab, "Zope.Interface", "zope/interface/a, b.py", "zope/shared.py", "../../../bin/zope", "../../../../kept.txt"
    )
    installed(lab, "zope_event", "zope/event.py", "zope/shared.py")
    (packages / "zope/interface/__pycache__").mkdir()
    (packages / "zope/interface/__pycache__/a, b.cpython-313.pyc").touch()
    (tmp_path / "gone").write_text("zope-interface\n", encoding="utf-8")
    remover.main(tmp_path)
    left = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert left == {"zope/event.py", "zope/shared.py", "zope_event-1.0.dist-info/RECORD"}
    assert not (lab / "bin/zope").exists()
    assert not (packages / "zope/interface").exists()
    assert (tmp_path / "kept.txt").exists()


def test_a_distribution_that_is_not_found_is_no_trial(remover: ModuleType, tmp_path: Path) -> None:
    """As one without a RECORD, or with a name that nobody expects: what it has would stay beside what replaces it."""
    lab = tmp_path / "lab"
    installed(lab, "there", "there.py")
    installed(lab, "odd-name", "odd.py")
    (tmp_path / "gone").write_text("there\nodd-name\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="odd-name"):
        remover.main(tmp_path)
    assert list(lab.rglob("there.py"))


def test_a_record_may_name_folders_and_files_with_any_name(remover: ModuleType, tmp_path: Path) -> None:
    lab, packages = tmp_path / "lab", tmp_path / "lab/lib/python3.13/site-packages"
    installed(lab, "odd", "odd/[a].py", "odd/kept.txt")
    installed(lab, "other", "odd/kept.txt")
    (packages / "odd/__pycache__").mkdir()
    (packages / "odd/__pycache__/[a].cpython-313.pyc").touch()
    with (packages / "odd-1.0.dist-info/RECORD").open("a", encoding="utf-8") as record:
        record.write("odd/,,\nodd,,\n")
    (tmp_path / "gone").write_text("odd\n", encoding="utf-8")
    remover.main(tmp_path)
    assert [path.name for path in (packages / "odd").iterdir()] == ["kept.txt"]
