"""What the locks name is what the images hold, each package at its version, and all of it can be used."""

import json
import re
from pathlib import Path

import pytest
from labs import RunningLab
from packaging.markers import Marker
from project import same

HERE = Path(__file__).parent
# In seconds, for one package: most take a tenth of it, and two are tried at once.
PER_PACKAGE = 5.0
AT_LEAST = 240.0
# How the Python lock notes that a distribution is in the list itself.
LIST = "list"
ABSENT = re.compile(r"ModuleNotFoundError: No module named '\w+'")
DPKG_FORMAT = "${binary:Package}\t${Version}\t${db:Status-Abbrev}\n"


def test_debs_are_those_of_the_locks(lab: RunningLab) -> None:
    """Same names, same versions, no deb more and none less."""
    lines = [line.split("\t") for line in lab.run("dpkg-query", "-W", "-f", DPKG_FORMAT).splitlines()]
    assert {status.strip() for _, _, status in lines} == {"ii"}
    assert {name.partition(":")[0]: version for name, version, _ in lines} == lab.contents.debs


@pytest.mark.late
def test_python_distributions_are_those_of_the_lock(lab: RunningLab) -> None:
    """Same names, same versions, no distribution more and none less; none lacks another, and every module imports."""
    probe = (HERE / "probe_python.py").read_text()
    timeout = max(AT_LEAST, PER_PACKAGE * len(lab.contents.python))
    report = json.loads(lab.run("python", "-P", "-c", probe, *lab.exempt, timeout=timeout))
    environment = report["environment"]
    pins = [pin for pin in lab.contents.python if not pin.marker or Marker(pin.marker).evaluate(environment)]
    assert report["versions"] == {pin.name: pin.version for pin in pins}
    assert lab.run("python", "-m", "pip", "check") == "No broken requirements found.\n"
    assert {name: why for name, why in report["failures"].items() if not _is_bridge(name, why, lab)} == {}


@pytest.mark.late
@pytest.mark.needs(r=[])
def test_r_packages_load_at_their_locked_versions(lab: RunningLab) -> None:
    """Each loads by itself, in an R that has loaded nothing else. No other is there, but for the debs."""
    listed = "cat(rownames(installed.packages('/usr/local/lib/R/site-library')), sep = '\\n')"
    assert set(lab.run("Rscript", "--vanilla", "-e", listed).split()) <= lab.contents.r.keys()
    script = lab.add(HERE / "probe_r.R")
    packages = sorted(name for name in lab.contents.r if same(name) not in lab.exempt)
    timeout = max(AT_LEAST, PER_PACKAGE * len(packages))
    printed = lab.run("Rscript", "--vanilla", script, *packages, timeout=timeout)
    assert printed.splitlines() == [f"{name} {lab.contents.r[name]}" for name in packages]


def _is_bridge(name: str, why: str, lab: RunningLab) -> bool:
    """Tell whether a module merely joins its user to a package that this lab does not have, as matplotlib_inline does.

    That is so when no list asks for it and it declares no need of what it lacks, which `pip check` has shown. Whatever
    did need it would fail to import as well.
    """
    requested = any(pin.name == name and LIST in pin.via for pin in lab.contents.python)
    return not requested and ABSENT.fullmatch(why) is not None
