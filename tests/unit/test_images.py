"""The graph of images: its laws, and that Docker's own files agree with it."""

import re
from pathlib import Path

import pytest

from pyrlab.commands import build
from pyrlab.errors import UsageError
from pyrlab.model import graph, settings
from pyrlab.model.graph import IMAGES, LABS
from pyrlab.model.locks.debs import DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RLock

DOCKER = Path(__file__).parents[2] / "docker"
BAKE = (DOCKER / "docker-bake.hcl").read_text(encoding="utf-8")
HOST_NETWORK = (DOCKER / "host-network.yaml").read_text(encoding="utf-8")
STAGES = {
    match["name"]: (match["parent"], match["body"])
    for match in re.finditer(
        r"^FROM (?P<parent>\S+) AS (?P<name>\S+)$(?P<body>.*?)(?=^FROM |\Z)",
        (DOCKER / "Dockerfile").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}
EMPTY = Locks(
    DebsLock("", "trixie", "amd64", {"root": (), "pyrlab-base": (), "rlab-base": ()}),
    PythonLock("", "3.13", ()),
    RLock("", "4.5.0", ("debian",), (), ()),
)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_stands_on_its_parents(name: str) -> None:
    """A lineage begins at the root's side, ends with the image, and each one stands on the one before."""
    line = graph.lineage(name)
    assert line[0].parent is None
    assert line[-1] == IMAGES[name]
    assert [image.parent for image in line[1:]] == [image.name for image in line[:-1]]


def test_parents_come_before_their_children() -> None:
    """Whoever goes through the images in order finds what each one needs."""
    seen: set[str | None] = {None}
    for name, image in IMAGES.items():
        assert image.parent in seen
        seen.add(name)


@pytest.mark.parametrize(
    ("name", "locks"),
    [
        pytest.param("pyrlab-base", ["debs.lock"], id="pyrlab-base"),
        pytest.param("pylab", ["debs.lock", "requirements.lock"], id="pylab"),
        pytest.param("rlab-base", ["debs.lock"], id="rlab-base"),
        pytest.param("rlab", ["debs.lock", "r_packages.lock"], id="rlab"),
    ],
)
def test_an_image_depends_on_the_locks_of_its_lineage(name: str, locks: list[str]) -> None:
    """Its own, and its parents'."""
    assert graph.locks_of(name) == locks
    assert graph.find_image(name) == IMAGES[name]


def test_an_unknown_image_or_lab_is_told_the_known_ones() -> None:
    """An image that is no lab is no lab."""
    with pytest.raises(UsageError) as image:
        graph.find_image("pilab")
    assert str(image.value) == "there is no image called 'pilab'"
    assert image.value.remedy == "choose from: pyrlab-base, pylab, rlab-base, rlab"
    with pytest.raises(UsageError) as lab:
        graph.find_lab("rlab-base")
    assert (str(lab.value), lab.value.remedy) == ("there is no lab called 'rlab-base'", "choose from: pylab, rlab")


@pytest.mark.parametrize("name", LABS)
def test_a_lab_is_an_image_whose_port_the_settings_know(name: str) -> None:
    """The port is written in two places, which agree; it is never TensorBoard's."""
    lab = graph.find_lab(name)
    assert lab.image in IMAGES
    section, key = settings.VARIABLES[lab.port_variable]
    assert settings.DEFAULTS[section][key] == lab.port != graph.RESERVED_PORT


def test_labs_have_ports_of_their_own() -> None:
    """Both may run at once."""
    assert len({lab.port for lab in LABS.values()}) == len(LABS)


def test_every_section_is_written_and_belongs_to_one_image() -> None:
    """What the build writes is what the images install."""
    sections = [section for image in IMAGES.values() for section in image.sections]
    assert sorted(sections) == sorted(build.pin_files(EMPTY))
    assert graph.sections_of("rlab") == [
        "pyrlab-base.debs",
        "jupyter.txt",
        "rlab-base.debs",
        "rlab.debs",
        "rlab-build.debs",
        "r-plan.json",
        "r-library.txt",
    ]
    assert graph.sections_of("pylab")[2:] == [f"part-{part}.txt" for part in range(graph.PARTS)]


def test_the_bake_file_builds_these_images() -> None:
    """As its default, and by name."""
    for pattern in (r'group "default" \{ targets = \[(.*?)\]', r"matrix\s*= \{ image = \[(.*?)\] \}"):
        [found] = re.findall(pattern, BAKE)
        assert re.findall(r'"([^"]*)"', found) == list(IMAGES)


def test_every_target_can_build_on_the_hosts_network() -> None:
    """One that is forgotten would not reach a proxy or mirror on this machine."""
    [kinds] = re.findall(r"matrix\s*= \{ list = \[(.*?)\] \}", BAKE)
    locking = [f"lock-{kind}" for kind in re.findall(r'"([^"]*)"', kinds)]
    assert re.findall(r"^  ([a-z-]+): \{", HOST_NETWORK, re.MULTILINE) == [*locking, *IMAGES]
    assert set(locking) <= set(STAGES)


def test_the_compiler_of_r_packages_is_in_no_image() -> None:
    """What only compiles them is installed in a stage of its own, from which rlab copies the library alone."""
    assert [stage for stage in STAGES if "rlab-build.debs" in debs_below(stage)] == ["r-build", "r-library"]
    bodies = "".join(body for _, body in STAGES.values())
    copied = re.findall(r"^COPY .*--from=r-library .*$", bodies, re.MULTILINE)
    assert [line.split()[-2:] for line in copied] == [
        ["/usr/local/lib/R", "/usr/local/lib/R"],
        ["/usr/local/share/jupyter", "/usr/local/share/jupyter"],
    ]


@pytest.mark.parametrize("name", IMAGES)
def test_the_dockerfile_installs_the_sections_of_an_image(name: str) -> None:
    """Each image is a stage, which reaches all sections of its lineage, and no other one."""
    assert sorted(sections_below(name)) == sorted(graph.sections_of(name))


def sections_below(stage: str) -> set[str]:
    """Return the sections that a stage of the Dockerfile installs, or copies from stages that do."""
    parent, body = STAGES.get(stage, ("", ""))
    others = {parent, *re.findall(r"--from=(\S+)", body)} & set(STAGES)
    own = set(re.findall(r"from=pins,source=([^,\s]+)", body))
    return own.union(*(sections_below(other) for other in others))


def test_parents_are_parents_in_the_dockerfile_too() -> None:
    """An image's stage stands on its parent's stage, or has all of its debs."""
    for image in IMAGES.values():
        if image.parent:
            assert debs_below(image.parent) == debs_below(image.name)[: len(debs_below(image.parent))]


def debs_below(stage: str) -> list[str]:
    """Return the sections of debs that a stage and those that it stands on install, the lowest first."""
    parent, body = STAGES.get(stage, ("", ""))
    return [*debs_below(parent), *re.findall(r"from=pins,source=(\S+?\.debs)", body)] if body else []
