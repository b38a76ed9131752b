"""From locks to what each build step is given."""

import json
from dataclasses import replace

from graphs import FIVE, GRAPH
from hypothesis import given
from hypothesis import strategies as st
from lockmaker import HASH, SHARED, deb, locks_of, pin, source_pin

from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonPin
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import HEAVY, PinnedFile, Section, python_parts, python_section, requirement, sections

# Some are needed by JupyterLab, and by what it needs; some by the list alone.
NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True).filter(lambda name: name not in GRAPH.shared_python)
PINS = st.lists(
    st.builds(
        lambda name, via, size: pin(name, via, size=size),
        NAMES,
        st.one_of(st.sampled_from(["list", "jupyterlab"]), NAMES),
        st.sampled_from([1000, HEAVY - 1, HEAVY, 100 * HEAVY]),
    ),
    max_size=12,
    unique_by=lambda pin: pin.name,
)


def made(locks: Locks) -> dict[str, Section]:
    return sections(GRAPH, locks, recipe="sha256:0", origin="trixie")


def python_sections(locks: Locks) -> dict[str, Section]:
    return {name: found for name, found in made(locks).items() if name == "shared" or name.startswith("pylab.")}


@given(pins=PINS)
def test_every_pin_is_in_exactly_one_section(pins: list[PythonPin]) -> None:
    """Nothing is installed twice, and nothing is left out."""
    locks = locks_of(*pins)
    placed = [file.pin.name for section in python_sections(locks).values() for file in section.files]
    assert sorted(placed) == sorted(pin.name for pin in locks.python["pylab"].pins)


@given(pins=PINS)
def test_what_jupyterlab_needs_is_in_the_shared_section(pins: list[PythonPin]) -> None:
    """Just its closure, so that all images hold the same bytes."""
    locks = locks_of(*pins)
    closure = [pin.name for pin in locks.python["pylab"].closure(GRAPH.shared_roots)]
    assert sorted(file.pin.name for file in made(locks)["shared"].files) == sorted(closure)


@given(pins=PINS, data=st.data())
def test_a_new_pin_changes_one_section_only(pins: list[PythonPin], data: st.DataObject) -> None:
    """All other parts keep their bytes, and with them their layers."""
    known = {name for pin in (*pins, *SHARED) for name in (pin.name, *pin.via)}
    new = data.draw(NAMES.filter(lambda name: name not in known))
    size = data.draw(st.sampled_from([1000, HEAVY]))
    before, after = made(locks_of(*pins)), made(locks_of(*pins, pin(new, size=size)))
    digests = {name: section.digest for name, section in before.items()}
    changed = [name for name, section in after.items() if digests.get(name) != section.digest]
    assert len(changed) == 1
    assert [file.pin.name for file in after[changed[0]].files].count(new) == 1


def test_what_all_labs_show_is_shared_only_where_it_is_locked() -> None:
    """A lean list stays lean, and nothing of it is installed twice."""
    lean, full = (
        made(locks_of(pin("six"))),
        made(locks_of(pin("six"), pin("jupyterlab-git"), pin("nbdime", "jupyterlab-git"))),
    )
    added = {file.pin.name for file in full["shared"].files} - {file.pin.name for file in lean["shared"].files}
    assert added == {"jupyterlab-git", "nbdime"}
    assert {file.pin.name for file in lean["shared"].files} == {pin.name for pin in SHARED}


def test_heavy_distributions_are_parts_of_their_own_below_the_light_ones() -> None:
    """So that a new small package re-ships little, and moves no large layer."""
    parts = python_parts([pin("torch", size=HEAVY), pin("six"), source_pin("peewee")], [], "amd64")
    assert list(parts) == ["peewee", "torch", "light-07"]
    assert [pin.name for pin in parts["light-07"]] == ["six"]


def test_a_distribution_that_is_called_as_another_section_is_a_part_too() -> None:
    """One of the two would be left out, and nothing would say so."""
    found = made(locks_of(pin("light-07", size=HEAVY), pin("six"), pin("r", size=HEAVY), pin("debs", size=HEAVY)))
    own = {name: file.pin.name for name, section in found.items() for file in section.files if name[:6] == "pylab."}
    assert own == {
        "pylab.only.debs": "debs",
        "pylab.only.light-07": "light-07",
        "pylab.only.r": "r",
        "pylab.light-07": "six",
    }


def test_a_distribution_stays_in_its_part_for_good() -> None:
    """Golden values: another hash would reinstall everything once, for everybody."""
    parts = python_parts([pin(name) for name in ("six", "tabulate", "pytz", "xlrd")], [], "amd64")
    placed = {pin.name: part for part, pins in parts.items() for pin in pins}
    assert placed == {"six": "light-07", "tabulate": "light-05", "pytz": "light-07", "xlrd": "light-02"}


def test_requirements_name_the_one_file() -> None:
    """Another file of the same release would be another program."""
    section = made(locks_of(pin("torch", size=HEAVY)))["pylab.torch"]
    assert section.texts["pins"] == f"torch==1 --hash=sha256:{HASH}\n"
    assert [file.name for file in section.files] == ["torch-1-py3-none-any.whl"]


def test_debs_are_written_as_install_debs_reads_them() -> None:
    found = made(locks_of(debs={"pyrlab-base": [deb("ed", "1:2.0-1")]}))
    assert found["pyrlab-base.debs"].texts["pins"] == f"{HASH} ed_1%3a2.0-1_amd64.deb ed 1:2.0-1 auto\n"
    debs = {name for name in found if name.endswith(".debs")}
    assert debs == {"pyrlab-base.debs", "rlab-base.debs", "rlab-system.debs", "rlab-build.debs"}


def test_the_root_is_a_section_like_the_others() -> None:
    assert [file.name for file in made(locks_of())["root"].files] == ["of-root_1_amd64.deb"]


def test_r_packages_are_a_section_of_their_own() -> None:
    """What the build step is to install, and what the gate is to prove."""
    file = RFile("source", "src/contrib/cli_3.6.5.tar.gz", "b" * 64)
    found = made(locks_of(r_packages=(RPin("cli", "3.6.5", "cran", requested=True, files=(file,)),)))["rlab.r"]
    assert [package["name"] for package in json.loads(found.texts["plan"])["packages"]] == ["cli"]
    assert found.texts["library"] == "cli 3.6.5\n"
    assert [file.sha256 for file in found.files] == ["b" * 64]


def test_a_fifth_image_has_sections_of_its_own() -> None:
    found = sections(FIVE, locks_of(graph=FIVE), recipe="", origin="")
    assert {name for name in found if name.startswith("dashlab")} == {"dashlab.debs", "dashlab.light-00"}


def test_bytes_and_names_decide_a_sections_digest() -> None:
    before = made(locks_of(pin("six")))["pylab.light-07"]
    other_bytes = made(locks_of(pin("six", sha256="b" * 64)))["pylab.light-07"]
    assert before.digest == made(locks_of(pin("six")))["pylab.light-07"].digest != other_bytes.digest


def test_a_distribution_is_checked_by_its_sum_before_it_is_installed() -> None:
    """The texts are read by name; the files are those that they speak of."""
    known = pin("six", size=2000)
    section = python_section("pylab.x", [known, source_pin("peewee")], "amd64")
    assert section.texts == {
        "pins": f"peewee==1 --hash=sha256:{HASH}\nsix==1 --hash=sha256:{HASH}\n",
        "sums": f"{HASH} peewee-1.tar.gz peewee 1\n{HASH} six-1-py3-none-any.whl six 1\n",
    }
    assert section.files[1] == PinnedFile("six-1-py3-none-any.whl", HASH, 2000, known, known.files[0])
    assert python_section("pylab.x", [known], "arm64").files == ()


def test_a_marker_stays_in_the_requirement() -> None:
    known = replace(pin("six"), marker='python_version < "3.14"')
    assert requirement(known) == 'six==1 ; python_version < "3.14"'


def test_what_compiles_r_packages_is_in_the_key_of_each() -> None:
    file = RFile("source", "src/contrib/cli_3.6.5.tar.gz", "b" * 64)
    locks = locks_of(r_packages=(RPin("cli", "3.6.5", "cran", requested=True, files=(file,)),))
    plans = [sections(GRAPH, locks, recipe=recipe, origin="trixie")["rlab.r"] for recipe in ("a", "b")]
    assert plans[0].digest != plans[1].digest


def test_what_decides_the_root_beside_its_packages_is_in_its_section() -> None:
    """Apt's sources in it, and how it is made."""
    here, there = (sections(GRAPH, locks_of(), recipe="", origin=origin)["root"] for origin in ("trixie", "forky"))
    assert here.texts["origin"] == "trixie\n"
    assert here.digest != there.digest


def test_what_another_architecture_installs_is_in_no_part() -> None:
    """And hides no other distribution."""
    elsewhere = replace(pin("abc"), marker='platform_machine == "aarch64"', files=())
    parts = python_parts([elsewhere, pin("six"), pin("torch", size=HEAVY)], [], "amd64")
    assert {part: [pin.name for pin in pins] for part, pins in parts.items()} == {
        "torch": ["torch"],
        "light-07": ["six"],
    }
