"""Whole runs of `lock` for R: Debian's packages and those of other repositories, and what these need of Debian."""

import gzip
import itertools
from pathlib import Path

import pytest
from machine import Project, settings_text

from pyrlab.errors import HashMismatchError, ListError
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.steps.choose_r import Asked, Choice

CODE = "#include <R.h>\n#include <zlib.h>\n#include <curl/curl.h>\n#include <own.h>\n"
CONTENTS = """\
usr/include/zlib.h libdevel/zlib1g-dev
usr/include/x86_64-linux-gnu/curl/curl.h libdevel/libcurl4-gnutls-dev,libdevel/libcurl4-openssl-dev
"""


@pytest.fixture
def mixed(own: Project) -> Project:
    """Return a project with a repository of its own behind Debian's, and what packages of it compile with."""
    own.toml = settings_text(own.machine, repositories=("debian", "mine"))
    own.machine.add_deb("zlib1g-dev", "1", "zlib1g")
    own.machine.add_deb("zlib1g")
    own.machine.add_deb("libcurl4-openssl-dev", "8", "libcurl4t64")
    own.machine.add_deb("libcurl4-gnutls-dev", "8", "libcurl3t64-gnutls")
    own.machine.add_deb("libcurl4t64", "8")
    own.machine.add_deb("libcurl3t64-gnutls", "8")
    own.machine.publish_index("Contents-amd64", CONTENTS)
    return own


def lock_of(own: Project) -> RLock:
    """Return the lock of R packages."""
    lock = own.locks.r
    assert lock
    return lock


def pin_of(own: Project, name: str) -> RPin:
    """Return the pin of a package."""
    return next(pin for pin in lock_of(own).packages if pin.name == name)


def shown(own: Project) -> list[str]:
    """Return the packages of the lock with their repositories; a star marks what the list asks for."""
    return [f"{pin.name} {pin.version} {pin.repository}{'*' if pin.requested else ''}" for pin in lock_of(own).packages]


# ---- Debian's own


def test_debians_packages_come_with_their_debs(own: Project) -> None:
    own.machine.add_r_deb("zoo", "1.8", "lattice", depends=["libc6", "libgomp1"])
    own.machine.add_r_deb("lattice", "0.22")
    own.machine.add_deb("libgomp1", "14")
    own.write("r_packages.txt", "zoo")
    own.lock()
    lock = lock_of(own)
    assert (lock.r, lock.repositories, lock.build_debs) == ("4.5.0", ("debian",), ())
    assert shown(own) == ["IRkernel 1.3.2 debian*", "lattice 0.22 debian", "repr 1.1.7 debian", "zoo 1.8 debian*"]
    assert [f"{pin.name}{'*' if pin.requested else ''}" for pin in lock.debs] == [
        "libgomp1",
        "r-cran-irkernel*",
        "r-cran-lattice",
        "r-cran-repr",
        "r-cran-zoo*",
    ]
    zoo = pin_of(own, "zoo")
    assert (zoo.system, zoo.build, zoo.files, [str(one) for one in zoo.dependencies]) == (
        ("libc6", "libgomp1"),
        (),
        (),
        ["lattice"],
    )
    assert zoo.deb
    assert (zoo.deb.name, zoo.deb.requested) == ("r-cran-zoo", True)


def test_apt_is_asked_once_where_nothing_comes_from_elsewhere(own: Project) -> None:
    own.machine.add_r_deb("zoo", "1.8")
    own.write("r_packages.txt", "zoo")
    own.lock()
    assert own.asked == ["debs", "python"]
    assert own.machine.questions[0].request["names"] == "irkernel\nzoo\n"


def test_what_rlab_base_has_is_not_added_again(own: Project) -> None:
    own.machine.add_r_deb("zoo", "1.8")
    own.write("r_debs.txt", "r-cran-zoo")
    own.write("r_packages.txt", "zoo")
    own.lock()
    assert "zoo 1.8 debian*" in shown(own)
    assert "r-cran-zoo" not in {pin.name for pin in lock_of(own).debs}
    assert "r-cran-zoo" in {pin.name for pin in own.locks.debs.sections["rlab-base"]}


def test_a_package_that_nobody_has_is_named(own: Project) -> None:
    own.write("r_packages.txt", "zoo")
    with pytest.raises(ListError, match=r"^r_packages\.txt:1: "):
        own.lock()


def test_apt_without_a_solution_for_r_packages_is_said(own: Project) -> None:
    own.machine.add_r_deb("zoo", "1.8", depends=["libgone"])
    own.write("r_packages.txt", "zoo")
    with pytest.raises(ListError) as caught:
        own.lock()
    assert (str(caught.value), caught.value.detail) == (
        "r_packages.txt: apt cannot install all of it together",
        "E: Unable to locate package libgone\n",
    )


def test_a_deb_whose_description_cannot_be_read_is_said(own: Project) -> None:
    """Debian's own words then count."""
    own.machine.add_deb("r-cran-zoo", "1.8-1", description="Package: zoo\nVersion: one\n")
    own.write("r_packages.txt", "zoo")
    own.lock()
    assert "zoo 1.8 debian*" in shown(own)
    (line,) = [line for line in own.said if line.startswith("r-cran-zoo: ")]
    assert line.startswith("r-cran-zoo: its DESCRIPTION cannot be read, so Debian's own words on it count: Version: ")


def test_a_deb_that_cannot_be_unpacked_is_said(own: Project) -> None:
    own.machine.add_r_deb("zoo", "1.8")
    own.machine.change_deb("r-cran-zoo", "1.8-1", whole=b"no deb at all")
    own.write("r_packages.txt", "zoo")
    own.lock()
    assert any(line.startswith("r-cran-zoo: its DESCRIPTION cannot be read") for line in own.said)


def test_descriptions_are_read_once(own: Project) -> None:
    own.lock("debs")
    notes = list((own.cache / "descriptions").iterdir())
    assert len(notes) == 2


# ---- Other repositories


def test_a_package_from_elsewhere_has_its_file_and_what_it_needs(mixed: Project) -> None:
    """It compiles with what its sources include, and runs on what that is linked to."""
    mixed.machine.add_r(
        "curl", "6.4.0", code=CODE, Depends="R (>= 3.5)", Imports="repr (>= 1.0)", SystemRequirements="libcurl"
    )
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    pin = pin_of(mixed, "curl")
    (file,) = pin.files
    assert (pin.version, pin.repository, pin.requested, pin.deb) == ("6.4.0", "mine", True, None)
    assert (file.kind, file.path) == ("source", "src/contrib/curl_6.4.0.tar.gz")
    assert pin.build == ("libcurl4-gnutls-dev", "zlib1g-dev", "r-base-dev")
    assert pin.system == ("libcurl3t64-gnutls",)
    assert [str(one) for one in pin.dependencies] == ["R >= 3.5", "repr >= 1.0"]
    assert pin.system_requirements == "libcurl"
    lock = lock_of(mixed)
    assert lock.repositories == ("debian", "mine")
    assert "libcurl3t64-gnutls" in {deb.name for deb in lock.debs if deb.requested}
    assert {deb.name: deb.requested for deb in lock.build_debs} == {
        "libcurl4-gnutls-dev": True,
        "r-base-dev": True,
        "zlib1g": False,
        "zlib1g-dev": True,
    }


def test_of_several_debs_with_a_header_debians_own_choice_is_taken(mixed: Project) -> None:
    mixed.machine.publish_index(
        "source/Sources", "Package: r-cran-rcurl\nBinary: r-cran-rcurl\nBuild-Depends: libcurl4-openssl-dev\n"
    )
    mixed.machine.add_r("curl", "6.4.0", code=CODE)
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    assert pin_of(mixed, "curl").build == ("libcurl4-openssl-dev", "zlib1g-dev", "r-base-dev")
    assert pin_of(mixed, "curl").system == ("libcurl4t64",)


def test_headers_of_packages_that_it_links_to_are_not_looked_up(mixed: Project) -> None:
    mixed.machine.add_r("own", "1.0", code="#include <R.h>\n", files={"inst/include/own.h": ""})
    mixed.machine.add_r("other", "1.0", code="#include <own.h>\n#include <zlib.h>\n", LinkingTo="own")
    mixed.write("r_packages.txt", "other", "own")
    mixed.lock()
    assert "looking up in Debian's Contents: include/zlib.h" in mixed.said
    pin = pin_of(mixed, "other")
    assert (pin.linking, pin.build) == (("own",), ("zlib1g-dev", "r-base-dev"))
    assert pin_of(mixed, "own").build == ("r-base-dev",)


def test_a_header_is_looked_up_once_in_a_run(mixed: Project) -> None:
    """However often apt is asked, and also one that nobody has."""
    mixed.machine.add_r("curl", "6.4.0", code=CODE)
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    looked = [line for line in mixed.said if line.startswith("looking up")]
    assert looked == ["looking up in Debian's Contents: include/curl/curl.h, include/own.h, include/zlib.h"]
    assert mixed.asked.count("debs") > 1


def test_a_package_without_code_needs_no_compiler(mixed: Project) -> None:
    mixed.machine.add_r("plain", "1.0")
    mixed.write("r_packages.txt", "plain")
    mixed.lock()
    assert (pin_of(mixed, "plain").build, pin_of(mixed, "plain").system) == ((), ())
    assert lock_of(mixed).build_debs == ()


def test_what_debian_has_of_it_says_what_it_needs(mixed: Project) -> None:
    """In another version, as the list asks for a newer one."""
    mixed.machine.add_r_deb("curl", "5.0", depends=["libcurl4t64"])
    mixed.machine.publish_index(
        "source/Sources", "Package: r-cran-curl\nBinary: r-cran-curl\nBuild-Depends: libcurl4-openssl-dev, debhelper\n"
    )
    mixed.machine.add_r("curl", "6.4.0", code=CODE)
    mixed.write("r_packages.txt", "curl >= 6")
    mixed.lock()
    pin = pin_of(mixed, "curl")
    assert (pin.version, pin.repository) == ("6.4.0", "mine")
    assert (pin.build, pin.system) == (("libcurl4-openssl-dev", "r-base-dev"), ("libcurl4t64",))
    assert not any(line.startswith("looking up") for line in mixed.said)
    assert "r-cran-curl" not in {deb.name for deb in lock_of(mixed).debs}


def test_the_first_repository_that_has_a_package_gives_it(mixed: Project) -> None:
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.machine.add_r("zoo", "2.0")
    mixed.write("r_packages.txt", "zoo")
    mixed.lock()
    assert "zoo 1.8 debian*" in shown(mixed)
    mixed.toml = settings_text(mixed.machine, repositories=("mine", "debian"))
    (mixed.folder / "r_packages.lock").unlink()
    mixed.lock()
    assert "zoo 2.0 mine*" in shown(mixed)
    mixed.write("r_packages.txt", "zoo @ debian")
    mixed.lock()
    assert "zoo 1.8 debian*" in shown(mixed)


def test_locking_again_asks_apt_once_and_downloads_nothing(mixed: Project) -> None:
    """The first guess is what is locked."""
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.machine.add_r("curl", "6.4.0", code=CODE, Imports="zoo")
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    before = mixed.read("r_packages.lock")
    assert mixed.moved() == []
    assert mixed.read("r_packages.lock") == before
    assert mixed.asked == ["debs", "python"]
    request = mixed.machine.questions[0].request
    assert (request["names"], request["run"], request["build"]) == (
        "irkernel\nzoo\n",
        "libcurl3t64-gnutls\n",
        "libcurl4-gnutls-dev\nr-base-dev\nzlib1g-dev\n",
    )
    assert not any(line.startswith(("looking up", "downloading")) for line in mixed.said)


def archive(own: Project, file: Path) -> None:
    """Let a repository have a package in its Archive alone."""
    place = own.machine.cran / "src/contrib/Archive" / file.name.partition("_")[0] / file.name
    place.parent.mkdir(parents=True)
    file.rename(place)


@pytest.fixture
def archived(mixed: Project) -> Project:
    """Return a project whose curl is in the Archive by now, and whose repository has a newer one."""
    mixed.machine.add_r("own", "1.0", files={"inst/include/own.h": ""})
    old = mixed.machine.add_r(
        "curl",
        "6.4.0",
        code=CODE,
        Depends="R (>= 3.5)",
        Imports="repr (>= 1.0)",
        LinkingTo="own",
        SystemRequirements="libcurl",
    )
    mixed.write("r_packages.txt", "curl", "own")
    mixed.lock()
    archive(mixed, old)
    mixed.machine.add_r("curl", "7.0.0")
    return mixed


def test_an_earlier_version_from_elsewhere_stays(archived: Project) -> None:
    """With all that the lock says of it."""
    before = pin_of(archived, "curl")
    assert archived.moved() == []
    assert pin_of(archived, "curl") == before
    changed = archived.lock(packages="curl")["r_packages.lock"]
    assert "up curl 6.4.0 7.0.0" in changed
    assert pin_of(archived, "curl").build == ()


def test_an_earlier_version_from_elsewhere_stays_with_another_r(archived: Project) -> None:
    """Its files, and what it compiles with, are looked up anew."""
    before = pin_of(archived, "curl")
    archived.machine.add_deb("r-base-core", "4.6.0-1")
    archived.lock(packages="r-base-core")
    after = pin_of(archived, "curl")
    assert lock_of(archived).r == "4.6.0"
    assert (after.version, after.build, after.linking) == (before.version, before.build, before.linking)


def test_an_earlier_version_moves_where_r_is_too_new_for_it(mixed: Project) -> None:
    """The lock knows its bounds."""
    old = mixed.machine.add_r("curl", "6.4.0", Depends="R (< 4.6)")
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    archive(mixed, old)
    mixed.machine.add_r("curl", "7.0.0")
    mixed.machine.add_deb("r-base-core", "4.6.0-1")
    assert "up curl 6.4.0 7.0.0" in mixed.moved(packages="r-base-core")


def test_a_package_of_debians_stays_where_another_repository_has_it_too(mixed: Project) -> None:
    """Even one that comes before Debian."""
    mixed.toml = settings_text(mixed.machine, repositories=("mine", "debian"))
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.write("r_packages.txt", "zoo")
    mixed.lock()
    mixed.machine.add_r("zoo", "2.0")
    assert mixed.moved() == []
    assert "zoo 1.8 debian*" in shown(mixed)
    assert mixed.moved(packages="zoo")[-1:] == ["up zoo 1.8 2.0"]


def test_a_version_that_nobody_has_any_more_stays_unless_its_suggestions_are_asked_for(mixed: Project) -> None:
    """These are in its file alone."""
    old = mixed.machine.add_r("curl", "6.4.0")
    mixed.machine.add_r("other", "1.0", Suggests="repr")
    mixed.write("r_packages.txt", "curl", "other[Suggests]")
    mixed.lock()
    old.unlink()
    mixed.machine.add_r("curl", "7.0.0")
    assert mixed.moved() == []
    mixed.write("r_packages.txt", "curl[Suggests]", "other")
    assert mixed.moved() == ["up curl 6.4.0 7.0.0"]


def test_a_binary_is_locked_beside_its_source_only_for_this_r(mixed: Project) -> None:
    """With another R, or on another machine, files are chosen anew."""
    mixed.machine.add_r("curl", "6.4.0", code=CODE)
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    file = mixed.machine.cran / "src/contrib/curl_6.4.0.tar.gz"
    before = file.read_bytes()
    mixed.machine.add_r("curl", "6.4.0", code=CODE + "// other bytes\n")
    assert mixed.moved() == []
    assert pin_of(mixed, "curl").files[0].sha256 in mixed.read("r_packages.lock")
    locked = pin_of(mixed, "curl").files
    mixed.machine.add_deb("r-base-core", "4.5.9-1")
    mixed.lock(packages="r-base-core")
    assert (lock_of(mixed).r, pin_of(mixed, "curl").files) == ("4.5.9", locked)
    mixed.machine.add_deb("r-base-core", "4.6.0-1")
    mixed.lock(packages="r-base-core")
    assert lock_of(mixed).r == "4.6.0"
    assert pin_of(mixed, "curl").files != locked
    assert before != file.read_bytes()


def test_a_file_with_other_bytes_than_the_index_says_is_refused(mixed: Project) -> None:
    mixed.machine.add_r("curl", "6.4.0", SHA256="0" * 64)
    mixed.write("r_packages.txt", "curl")
    with pytest.raises(HashMismatchError, match=r"^curl: src/contrib/curl_6\.4\.0\.tar\.gz has another SHA-256"):
        mixed.lock()


def test_what_is_suggested_comes_as_far_as_it_can_be_had(mixed: Project) -> None:
    mixed.machine.add_r("curl", "6.4.0", Suggests="zoo, nowhere")
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.write("r_packages.txt", "curl[Suggests]")
    mixed.lock()
    assert "zoo 1.8 debian" in shown(mixed)
    (line,) = [line for line in mixed.said if line.startswith("left out")]
    assert line.startswith("left out: nowhere, which is only suggested: ")
    assert mixed.moved() == []
    assert any(line.startswith("left out: nowhere, ") for line in mixed.said)


def test_what_an_archived_version_suggests_is_read_from_its_file(mixed: Project) -> None:
    """The lock does not say what a package suggests."""
    old = mixed.machine.add_r("curl", "6.4.0", Suggests="zoo")
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    archive(mixed, old)
    mixed.machine.add_r("curl", "7.0.0", Suggests="lattice")
    mixed.write("r_packages.txt", "curl[Suggests]")
    assert "added zoo 1.8" in mixed.moved()
    assert "curl 6.4.0 mine*" in shown(mixed)


def test_a_repository_that_was_dropped_holds_nothing(mixed: Project) -> None:
    mixed.machine.add_r("zoo", "2.0")
    mixed.write("r_packages.txt", "zoo")
    mixed.lock()
    mixed.machine.add_r_deb("zoo", "1.8")
    assert mixed.moved() == []
    mixed.toml = settings_text(mixed.machine)
    assert "down zoo 2.0 1.8" in mixed.moved()
    assert "zoo 1.8 debian*" in shown(mixed)


def test_without_debian_among_the_repositories_none_of_its_packages_is_taken(own: Project) -> None:
    own.toml = settings_text(own.machine, repositories=("mine",))
    own.machine.add_r("IRkernel", "1.3.1", Imports="repr")
    own.machine.add_r("repr", "1.1.6")
    own.lock()
    assert shown(own) == ["IRkernel 1.3.1 mine*", "repr 1.1.6 mine"]
    assert own.machine.questions[0].request["names"] == ""
    assert lock_of(own).debs == ()


def test_debians_packages_are_given_up_where_it_is_no_repository_any_more(own: Project) -> None:
    own.lock()
    own.toml = settings_text(own.machine, repositories=("mine",))
    own.machine.add_r("IRkernel", "1.3.1", Imports="repr")
    own.machine.add_r("repr", "1.1.6")
    own.lock()
    assert shown(own) == ["IRkernel 1.3.1 mine*", "repr 1.1.6 mine"]


def test_an_index_that_is_no_index_stops_the_run(mixed: Project) -> None:
    path = mixed.machine.cran / "src/contrib/PACKAGES.gz"
    path.write_bytes(gzip.compress(b"<html>"))
    mixed.write("r_packages.txt", "curl")
    with pytest.raises(Exception, match="the index of mine"):
        mixed.lock()


def test_debians_sources_are_read_only_for_packages_from_elsewhere(mixed: Project) -> None:
    """They are large."""
    mixed.lock()
    assert any("what R packages need to compile is found by their headers alone" in line for line in mixed.said)
    mixed.toml = settings_text(mixed.machine)
    mixed.lock()
    assert not any("headers alone" in line for line in mixed.said)


def test_an_index_with_several_versions_tells_what_each_suggests(mixed: Project) -> None:
    """It has the locked one, too, beside a newer one."""
    mixed.machine.add_r("curl", "6.4.0", Suggests="zoo")
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.write("r_packages.txt", "curl")
    mixed.lock()
    mixed.machine.add_r("curl", "7.0.0", beside=True, Suggests="lattice")
    mixed.machine.add_r_deb("lattice", "0.22")
    mixed.write("r_packages.txt", "curl[Suggests]")
    assert mixed.moved() == ["added zoo 1.8"]
    assert "curl 6.4.0 mine*" in shown(mixed)


def test_a_version_that_has_to_move_has_needs_of_its_own(archived: Project) -> None:
    """Not those of the version that was locked."""
    archived.write("r_packages.txt", "curl >= 7", "own")
    assert "up curl 6.4.0 7.0.0" in archived.moved()
    assert (pin_of(archived, "curl").build, pin_of(archived, "curl").system) == ((), ())


def test_a_package_without_code_needs_no_compiler_for_another_r_either(mixed: Project) -> None:
    mixed.machine.add_r("plain", "1.0")
    mixed.write("r_packages.txt", "plain")
    mixed.lock()
    mixed.machine.add_deb("r-base-core", "4.6.0-1")
    mixed.lock(packages="r-base-core")
    assert lock_of(mixed).r == "4.6.0"
    assert pin_of(mixed, "plain").build == ()


def test_a_choice_that_never_comes_to_rest_is_given_up(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """After six questions, with the packages that come and go."""
    answers = itertools.cycle([Asked(frozenset({"irkernel", "b"})), Asked(frozenset({"irkernel", "a"}))])
    monkeypatch.setattr(Choice, "asked", lambda *_: next(answers))
    with pytest.raises(ListError) as caught:
        own.lock()
    assert str(caught.value) == "Debian's packages and those of other repositories keep moving each other: a, b"
    assert caught.value.remedy == (
        "say for these where they shall come from: NAME @ debian in r_packages.txt, or another repository"
    )
    assert own.asked == ["debs"] * 6


def test_what_rlab_base_has_is_not_asked_for_again(mixed: Project) -> None:
    mixed.machine.add_r_deb("zoo", "1.8")
    mixed.write("r_debs.txt", "r-cran-zoo")
    mixed.machine.add_r("plain", "1.0", Imports="zoo")
    mixed.write("r_packages.txt", "plain")
    mixed.lock()
    assert mixed.machine.questions[-2].request["names"] == "irkernel\n"
    assert "zoo 1.8 debian" in shown(mixed)


def test_what_debian_compiled_links_to_nothing_any_more(own: Project) -> None:
    """Its headers are of no use to who installs the deb."""
    text = "Package: zoo\nVersion: 1.8\nLinkingTo: repr\n"
    own.machine.add_deb("r-cran-zoo", "1.8-1", description=text)
    own.write("r_packages.txt", "zoo")
    own.lock()
    assert pin_of(own, "zoo").linking == ()
