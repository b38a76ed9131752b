"""Which file an image installs: the same that pip would take there."""

import itertools
import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker, default_environment
from packaging.tags import sys_tags

from pyrlab.model import python_tags
from pyrlab.model.python_tags import IndexFile, choose, fits

TAGS = python_tags.tags(python="3.13", glibc="2.41", architecture="amd64")
WHEELS = [
    "abc-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
    "abc-1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "abc-1.0-cp39-abi3-manylinux_2_28_x86_64.whl",
    "abc-1.0-py3-none-any.whl",
    "abc-1.0.tar.gz",
]


def files(*names: str) -> list[IndexFile]:
    return [IndexFile(name, f"https://example.org/{name}", "") for name in names]


def chosen(*names: str, python: str = "3.13") -> str:
    found = choose(files(*names), TAGS, python=python)
    return found.filename if found else ""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.machine() != "x86_64" or sys.implementation.name != "cpython",
    reason="compares with this machine's own answer, which must be one for CPython on Linux",
)
def test_the_tags_are_those_of_a_real_python() -> None:
    """The image's are computed; this machine's can be asked for."""
    python = ".".join(map(str, sys.version_info[:2]))
    ours = python_tags.tags(python=python, glibc=platform.libc_ver()[1], architecture="amd64")
    assert ours == list(sys_tags())


@pytest.mark.parametrize(
    ("architecture", "oldest"),
    [
        pytest.param("amd64", "manylinux1_x86_64", id="amd64"),
        pytest.param("arm64", "manylinux2014_aarch64", id="arm64"),
    ],
)
def test_each_architecture_ends_at_its_oldest_glibc(architecture: str, oldest: str) -> None:
    tags = python_tags.tags(python="3.14", glibc="2.43", architecture=architecture)
    platforms = list(dict.fromkeys(tag.platform for tag in tags))
    machine = oldest.partition("_")[2]
    assert platforms[:2] == [f"linux_{machine}", f"manylinux_2_43_{machine}"]
    assert platforms[-2:] == [oldest, "any"]
    assert str(tags[0]) == f"cp314-cp314-linux_{machine}"


@given(st.permutations(WHEELS), st.integers(min_value=1, max_value=len(WHEELS)))
def test_the_best_is_taken_whatever_the_order(names: list[str], count: int) -> None:
    """The list above is in pip's order."""
    assert chosen(*names[:count]) == min(names[:count], key=WHEELS.index)


@pytest.mark.parametrize(
    ("names", "best"),
    [
        pytest.param(["abc-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"], "", id="another-python"),
        pytest.param(["abc-1.0-cp313-cp313t-manylinux_2_17_x86_64.whl"], "", id="free-threaded"),
        pytest.param(["abc-1.0-cp313-cp313-manylinux_2_42_x86_64.whl"], "", id="newer-glibc"),
        pytest.param(["abc-1.0-cp313-cp313-musllinux_1_2_x86_64.whl"], "", id="another-libc"),
        pytest.param(["abc-1.0-cp313-cp313-manylinux_2_17_aarch64.whl", "abc-1.0.zip"], "abc-1.0.zip", id="source"),
        pytest.param(["abc-1.0.zip", "abc-1.0.tar.gz"], "abc-1.0.tar.gz", id="tar-before-zip"),
        pytest.param(
            ["abc-1.0-1-py3-none-any.whl", "abc-1.0-2b-py3-none-any.whl"],
            "abc-1.0-2b-py3-none-any.whl",
            id="build-number",
        ),
        pytest.param(
            ["abc-1.0-9-py3-none-any.whl", "abc-1.0-10-py3-none-any.whl"],
            "abc-1.0-10-py3-none-any.whl",
            id="build-number-is-no-text",
        ),
        pytest.param(
            ["abc-1.0-py3-none-any.whl", "abc-1.0-1-py3-none-any.whl"],
            "abc-1.0-1-py3-none-any.whl",
            id="any-build-number-before-none",
        ),
        pytest.param(
            ["abc-1.0-7-py3-none-any.whl", "abc-1.0-cp313-none-any.whl"],
            "abc-1.0-cp313-none-any.whl",
            id="tag-before-build-number",
        ),
        pytest.param(["abc.whl", "abc-1.0.exe", "abc-1.0.egg"], "", id="nonsense"),
    ],
)
def test_what_fits_the_image(names: list[str], best: str) -> None:
    assert {chosen(*order) for order in itertools.permutations(names)} == {best}


@pytest.mark.parametrize(
    ("requires", "python", "allowed"),
    [
        pytest.param(">=3.9", "3.13", True, id="newer"),
        pytest.param(">=3.14", "3.13", False, id="older"),
        pytest.param("<3.13", "3.13", False, id="bound"),
        pytest.param(">=3.13.2", "3.13", True, id="some-release-of-this-minor"),
        pytest.param("!=3.13.0,>=3.8", "3.13", True, id="one-release-is-broken"),
        pytest.param(">=3.6.*", "3.13", True, id="unreadable"),
        pytest.param("", "3.13", True, id="unsaid"),
    ],
)
def test_requires_python_counts(requires: str, python: str, *, allowed: bool) -> None:
    file = IndexFile("abc-1.0-py3-none-any.whl", "", "", requires_python=requires)
    assert bool(choose([file], TAGS, python=python)) is allowed


def test_a_yanked_file_is_the_last_resort() -> None:
    """A pin names the version, so yanked files count where there are no others (PEP 592)."""
    wheel = IndexFile("abc-1.0-py3-none-any.whl", "", "", yanked=True)
    source = IndexFile("abc-1.0.tar.gz", "", "")
    assert choose([wheel, source], TAGS, python="3.13") == source
    assert choose([wheel], TAGS, python="3.13") == wheel


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        pytest.param("abc-1.0-cp313-cp313-manylinux_2_28_x86_64.whl", True, id="wheel"),
        pytest.param("abc-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", False, id="another-python"),
        pytest.param("abc-1.0-cp313-cp313-manylinux_2_42_x86_64.whl", False, id="newer-glibc"),
        pytest.param("abc.whl", False, id="no-wheel"),
        pytest.param("abc-1.0.tar.gz", True, id="source"),
        pytest.param("abc-1.0.exe", False, id="installer"),
    ],
)
def test_a_file_fits_by_its_name(filename: str, *, expected: bool) -> None:
    assert fits(filename, TAGS) is expected


@pytest.mark.parametrize(
    ("marker", "counts"),
    [
        ("", True),
        ("os_name == 'nt'", False),
        ("sys_platform == 'linux' and platform_machine == 'aarch64'", True),
        ("python_version < '3.13'", False),
        ("python_full_version >= '3.13.0'", True),
        ("platform_python_implementation == 'PyPy'", False),
        ("extra == 'test'", False),
        ("extra == ''", True),
        ("os_name == 'posix'", True),
        ("sys_platform == 'linux'", True),
        ("platform_system == 'Linux'", True),
        ("platform_python_implementation == 'CPython'", True),
        ("implementation_name == 'cpython'", True),
        ("implementation_version == '3.13.0'", True),
        ("platform_release == '' and platform_version == ''", True),
    ],
)
def test_markers_are_the_images_not_the_hosts(marker: str, *, counts: bool) -> None:
    values = python_tags.environment(python="3.13", architecture="arm64")
    assert python_tags.applies(Marker(marker) if marker else None, values) is counts


def test_a_machine_that_python_names_as_debian_does_has_tags_too() -> None:
    """From the C library on for which wheels of new machines are made."""
    tags = python_tags.tags(python="3.13", glibc="2.19", architecture="riscv64")
    assert list(dict.fromkeys(tag.platform for tag in tags)) == [
        "linux_riscv64",
        "manylinux_2_19_riscv64",
        "manylinux_2_18_riscv64",
        "manylinux_2_17_riscv64",
        "manylinux2014_riscv64",
        "any",
    ]
    values = python_tags.environment(python="3.13", architecture="riscv64")
    assert values["platform_machine"] == "riscv64"


def test_no_marker_is_left_to_the_host() -> None:
    """It may be a Mac, or have another Python."""
    values = python_tags.environment(python="3.13", architecture="arm64")
    assert values.keys() == default_environment().keys()


def test_a_file_that_an_index_shows_twice_is_one() -> None:
    assert chosen(WHEELS[0], WHEELS[0]) == WHEELS[0]


def test_wheels_for_any_abi_are_those_of_the_images_python() -> None:
    """Not of the one that pyrlab runs on."""
    names = {str(tag) for tag in python_tags.tags(python="3.99", glibc="2.41", architecture="amd64")}
    assert {"py399-none-any", "py3-none-any", "cp399-none-any"} <= names
    assert "py3100-none-any" not in names
