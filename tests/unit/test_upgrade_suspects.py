"""What a failure points at, and what packages say of each other: real words of Python, R, dpkg and the loader."""

import pytest
from packaging.requirements import Requirement

from pyrlab.model.cran.record import Dependency
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock, PythonPin
from pyrlab.model.locks.r import RLock, RPin
from pyrlab.model.upgrade.bounds import Files, bounds_of, sources_of
from pyrlab.model.upgrade.bumps import Bump, Member, Package
from pyrlab.model.upgrade.suspects import suspects

MEMBERS = [
    *(Member(Package("python", name), "1", "2") for name in ("numpy", "pandas", "scikit-learn", "seaborn")),
    *(Member(Package("r", name), "1", "2") for name in ("dplyr", "ggplot2", "data.table")),
    *(Member(Package("debs", name), "1", "2") for name in ("pandoc", "libgdal36", "r-cran-zoo")),
]
BUMPS = [Bump(member.package.name, (member,)) for member in MEMBERS]
MODULES = {"sklearn": "scikit-learn"}
TRACEBACK = """
File /opt/lab/lib/python3.13/site-packages/seaborn/axisgrid.py:118, in f
File \x1b[32m/opt/lab/lib/python3.13/site-packages/pandas/core/frame.py:9\x1b[0m, in __init__
File /opt/lab/lib/python3.13/site-packages/numpy/_core/x.py:1
TypeError: Cannot convert
"""


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        pytest.param(TRACEBACK, "", ["numpy", "pandas", "seaborn"], id="innermost-frame-first"),
        pytest.param(
            "ModuleNotFoundError: No module named 'sklearn.x'", "", ["scikit-learn"], id="module-by-another-name"
        ),
        pytest.param("Error in dplyr::filter(x) : unused argument", "", ["dplyr"], id="r-call"),
        pytest.param(
            "Error: package or namespace load failed for \u2018data.table\u2019", "", ["data.table"], id="r-load"
        ),
        pytest.param("there is no package called \u2018zoo\u2019", "", ["r-cran-zoo"], id="debians-r-package"),
        pytest.param("libgdal36.so.36: cannot open shared object file", "", ["libgdal36"], id="library"),
        pytest.param("/usr/bin/pandoc: unknown option", "", ["pandoc"], id="program"),
        pytest.param("pandoc died with exitcode 2", "", ["pandoc"], id="word"),
        pytest.param(
            "AssertionError", "import pandas as pd\nfrom sklearn import x", ["pandas", "scikit-learn"], id="imports"
        ),
        pytest.param("Error: x", "library(ggplot2)\nlibrary('dplyr')", ["ggplot2", "dplyr"], id="r-imports"),
        pytest.param("AssertionError: 1 != 2", "x = 1", [], id="nothing"),
    ],
)
def test_what_ran_last_comes_first(text: str, source: str, expected: list[str]) -> None:
    assert list(suspects(text, source, BUMPS, MODULES)) == expected


def deb(name: str, version: str) -> DebPin:
    return DebPin(name, version, "all", f"{name}-{version}", 1, f"{name}.deb")


def locks(r: list[RPin]) -> Locks:
    debs = DebsLock(
        "", "trixie", "amd64", {"root": (deb("tool", "2"), deb("python3", "3.13.5-1"), deb("libtool1", "2"))}
    )
    python = PythonLock("requirements.lock", "", "3.13", "2.41", (PythonPin("a", "1", "", (), ("list",)),))
    return Locks(debs, {"pylab": python}, RLock("", "", "4.5.0", (), tuple(r), (deb("r-cran-zoo", "1.8.12-1"),)))


PINS = [
    RPin("zoo", "1.8-12", "debian", requested=True, deb=deb("r-cran-zoo", "1.8.12-1")),
    RPin(
        "dplyr",
        "1.1.4",
        "cran",
        requested=True,
        dependencies=(Dependency.parse("zoo >= 1.8-10"), Dependency.parse("R >= 4.1")),
    ),
]
FILES = Files(
    {
        "tool-2": {"Depends": "libtool1 (= 2), libc6 | libc7", "Breaks": "old (<< 3)", "Source": "tools (1:2)"},
        "libtool1-2": {"Source": "tools"},
    },
    {"a": [Requirement("b[x]<2"), Requirement("c")]},
)


@pytest.mark.parametrize(
    ("package", "other", "fits", "refused"),
    [
        (("debs", "tool"), ("debs", "libtool1"), ["2"], ["1", "3", ""]),
        (("debs", "tool"), ("debs", "old"), ["3", "4", ""], ["2.9"]),
        (("python", "a"), ("python", "b"), ["1", "1.9"], ["2", "3", ""]),
        (("python", "a"), ("python", "c"), ["0", "9"], [""]),
        (("python", "a"), ("debs", "python3"), ["3.13.5-1", "3.13.9"], ["3.14.0-1", ""]),
        (("r", "dplyr"), ("r", "zoo"), ["1.8-10", "1.8-12"], ["1.8-9", ""]),
        (("r", "dplyr"), ("debs", "r-base-core"), ["4.5.0-3", "4.1.0-1"], ["4.0.5-1", ""]),
        (("r", "zoo"), ("debs", "r-cran-zoo"), ["1.8.12-1"], ["1.8.14-1", ""]),
        (("debs", "r-cran-zoo"), ("r", "zoo"), ["1.8-12"], ["1.8-14", ""]),
    ],
)
def test_bounds_are_what_the_files_say(
    package: tuple[str, str], other: tuple[str, str], fits: list[str], refused: list[str]
) -> None:
    bound = bounds_of(locks(PINS), FILES)[Package(*package)][Package(*other)]
    assert [version for version in (*fits, *refused) if bound(version)] == fits


def test_alternatives_and_unknown_files_bound_nothing() -> None:
    bounds = bounds_of(locks(PINS), FILES)
    assert Package("debs", "libc6") not in bounds[Package("debs", "tool")]
    assert Package("debs", "python3") not in bounds


def test_debs_of_one_source_package_are_known() -> None:
    sources = sources_of(locks(PINS), FILES)
    assert sources[Package("debs", "tool")] == sources[Package("debs", "libtool1")] == "tools"
    assert Package("debs", "python3") not in sources
