"""The rendered Dockerfile, and the keys of its stages: what decides an image, all of it and nothing else."""

import re
from collections.abc import Mapping

import pytest
from graphs import FIVE, GRAPH, SOURCE
from lockmaker import deb, locks_of, pin, source_pin

from pyrlab.adapters import recipe
from pyrlab.model.graph import Graph
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.r import RFile, RPin
from pyrlab.model.sections import CA, HEAVY, Section, sections
from pyrlab.model.stages import Stage, keys, needed, render, root_tar, stages_in, stamped

DOCKER = SOURCE / "docker"
RECIPE = recipe.digests(recipe.read(DOCKER))
TOOLS = {"tools": Section("tools", {"pins": "uv"})}


def template(name: str) -> str:
    return recipe.stage_template(DOCKER, name)


def found_in(locks: Locks, graph: Graph = GRAPH) -> tuple[dict[str, Stage], dict[str, Section]]:
    made = sections(graph, locks, recipe=RECIPE["r"], origin="trixie") | TOOLS
    return stages_in(render(graph, made, template, cache="ours")), made


def keys_of(locks: Locks, graph: Graph = GRAPH, recipe: Mapping[str, str] = RECIPE) -> dict[str, str]:
    stages, made = found_in(locks, graph)
    found = keys(stages, made, recipe)
    return {name: found[name] for name in graph.images}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


BASE = locks_of(pin("numpy", size=HEAVY), pin("six"))


@pytest.mark.parametrize("graph", [GRAPH, FIVE], ids=["four", "five"])
def test_every_step_has_no_network(graph: Graph) -> None:
    """What runs while an image is built can reach nobody."""
    stages, _ = found_in(locks_of(pin("numpy", size=HEAVY), source_pin("peewee"), graph=graph), graph)
    text = "\n".join(stage.text for stage in stages.values())
    runs = re.findall(r"^RUN .*", text, re.MULTILINE)
    assert len(runs) > 10
    assert [run for run in runs if not run.startswith("RUN --network=none ")] == []
    mounts = re.findall(r"--mount=type=cache,(\S+)", text)
    assert mounts == ["id=ours,target=/var/cache/pyrlab-r,mode=0700"]


@pytest.mark.parametrize("graph", [GRAPH, FIVE], ids=["four", "five"])
def test_every_section_is_installed_by_the_images_that_have_it(graph: Graph) -> None:
    stages, made = found_in(locks_of(pin("numpy", size=HEAVY), source_pin("peewee"), graph=graph), graph)
    installed = {name for stage in stages.values() for name in stage.sections}
    assert installed == set(made)
    for name in graph.images:
        own = {section for stage in needed(stages, [name]) for section in stages[stage].sections}
        lineage = [image.name for image in graph.lineage(name)]
        expected = {one for one in made if one.split(".")[0].removesuffix("-system").removesuffix("-build") in lineage}
        # A source distribution is built where the compilers of the first image are.
        assert own == expected | {"root", "tools", "shared"}


def test_all_stages_that_are_named_exist() -> None:
    stages, _ = found_in(BASE)
    assert {other for stage in stages.values() for other in stage.stages} <= stages.keys()


def test_whose_cache_it_is_changes_no_image() -> None:
    """It depends on a file in the user's cache folder, which anybody may empty."""
    made = sections(GRAPH, BASE, recipe=RECIPE["r"], origin="trixie") | TOOLS
    ours, theirs = (stages_in(render(GRAPH, made, template, cache=cache)) for cache in ("ours", "theirs"))
    assert ours["rlab-library"].text != theirs["rlab-library"].text
    assert keys(ours, made, RECIPE) == keys(theirs, made, RECIPE)


def test_a_new_python_package_changes_its_lab_only() -> None:
    assert changed(keys_of(BASE), keys_of(locks_of(pin("numpy", size=HEAVY), pin("six"), pin("xlrd")))) == {"pylab"}


def test_what_all_share_changes_all() -> None:
    with_comm = locks_of(pin("numpy", size=HEAVY), pin("six"), pin("comm", "ipykernel"))
    assert changed(keys_of(BASE), keys_of(with_comm)) == set(GRAPH.images)


def test_a_new_version_of_an_r_package_changes_rlab_only() -> None:
    def of(version: str) -> Locks:
        file = RFile("source", f"src/contrib/cli_{version}.tar.gz", "b" * 64)
        return locks_of(r_packages=(RPin("cli", version, "cran", requested=True, files=(file,)),))

    assert changed(keys_of(of("3.6.4")), keys_of(of("3.6.5"))) == {"rlab"}


def test_a_deb_of_rs_image_changes_rs_images_only() -> None:
    other = locks_of(pin("numpy", size=HEAVY), pin("six"), debs={"rlab-base": [deb("r-base-core", "2")]})
    assert changed(keys_of(BASE), keys_of(other)) == {"rlab-base", "rlab"}


@pytest.mark.parametrize(
    ("folder", "images"),
    [
        pytest.param("lock", set(), id="a-lock-script-is-in-no-image"),
        pytest.param("r", {"rlab"}, id="r"),
        pytest.param("debs", set(GRAPH.images), id="debs"),
        pytest.param("root", set(GRAPH.images), id="root"),
    ],
)
def test_a_build_step_changes_the_images_that_it_makes(folder: str, images: set[str]) -> None:
    assert changed(keys_of(BASE), keys_of(BASE, recipe={**RECIPE, folder: "other"})) == images


def test_a_file_that_goes_into_the_images_changes_them() -> None:
    assert changed(keys_of(BASE), keys_of(BASE, recipe={**RECIPE, "lab/start-lab": "other"})) == set(GRAPH.images)


def test_a_fifth_image_changes_no_other() -> None:
    assert changed(keys_of(locks_of()), keys_of(locks_of(graph=FIVE), FIVE)) == set()


def test_the_compiler_of_r_packages_is_in_no_image() -> None:
    """What only compiles them is installed in a stage of its own, from which rlab copies the library alone."""
    stages, _ = found_in(BASE)
    below = stages["rlab-library"]
    copied = re.findall(r"^COPY .*--from=rlab-library (.*)$", stages["rlab-debian"].text, re.MULTILINE)
    assert below.text.startswith("FROM rlab-compilers")
    assert copied == ["/usr/local/lib/R /usr/local/lib/R", "/usr/local/share/jupyter /usr/local/share/jupyter"]
    assert "FROM rlab-system" in stages["rlab-debian"].text


def test_whom_labs_trust_changes_the_images_and_no_step_below() -> None:
    """So another certificate costs seconds: nothing is installed or compiled anew."""

    def with_trust(text: str) -> dict[str, str]:
        made = sections(GRAPH, BASE, recipe=RECIPE["r"], origin="trixie") | TOOLS
        made |= {CA: Section(CA, {"pyrlab-000.crt": text})} if text else {}
        return keys(stages_in(render(GRAPH, made, template, cache="ours")), made, RECIPE)

    without, first, second = with_trust(""), with_trust("one"), with_trust("two")
    assert changed(without, first) == changed(first, second) == set(GRAPH.images)


@pytest.mark.parametrize("trusted", [{}, {"pyrlab-000.crt": "one"}], ids=["no-trust", "trust"])
@pytest.mark.parametrize("graph", [GRAPH, FIVE], ids=["four", "five"])
def test_an_image_ends_with_the_check_of_its_python_environment(graph: Graph, trusted: Mapping[str, str]) -> None:
    """Nothing of what it checks comes after it: whom a lab trusts is none of that."""
    made = sections(graph, locks_of(source_pin("peewee"), graph=graph), recipe="", origin="trixie") | TOOLS
    made |= {CA: Section(CA, trusted)} if trusted else {}
    stages = stages_in(render(graph, made, template, cache="ours"))
    for name in graph.images:
        steps = re.sub(r"\\\n +", "", stages[name].text).splitlines()
        words = [step.partition(" ")[0] for step in steps]
        check = words.index("RUN")
        assert steps[check].endswith(" /dev/python/check-environment /dev/tools/bin/uv")
        assert words[check + 1 :] == [*(["RUN", "ENV"] if trusted else []), "USER"]
        assert "/dev/lab/trust-ca " in steps[check + 1] or not trusted


def test_light_parts_lie_above_heavy_ones() -> None:
    """Layers above a changed one are stacked anew when an image is exported."""
    stages, _ = found_in(BASE)
    order = re.findall(r"--from=python-(\S+)", stages["pylab"].text)
    assert order == ["pylab.numpy", "pylab.light-07"]


def test_only_what_comes_as_source_is_installed_where_compilers_are() -> None:
    stages, _ = found_in(locks_of(pin("numpy", size=HEAVY), source_pin("peewee"), pin("six")))
    below = {name: stage.stages for name, stage in stages.items() if name.startswith("python-pylab.")}
    compiled = {name for name, others in below.items() if "pyrlab-base-debian" in others}
    assert compiled == {"python-pylab.peewee-wheel"}
    assert len(below) == 4


def test_all_files_of_a_copy_count() -> None:
    """But for the place where they go."""
    stage = Stage.parse("FROM root AS one\nCOPY --link --from=recipe lab/first lab/second /there\n")
    assert stage.recipe == {"lab/first", "lab/second"}
    assert stage == Stage("one", stage.text, frozenset({"root"}), frozenset(), stage.recipe)
    with pytest.raises(ValueError, match=r"^not a stage: 'RUN true'$"):
        Stage.parse("RUN true")


@pytest.mark.parametrize("graph", [GRAPH, FIVE], ids=["four", "five"])
def test_a_dockerfile_holds_instructions_alone(graph: Graph) -> None:
    made = sections(graph, locks_of(pin("numpy", size=HEAVY), pin("six"), graph=graph), recipe="", origin="trixie")
    text = render(graph, made | TOOLS, template, cache="ours")
    lines = re.sub(r"\\\n", " ", text).splitlines()
    words = {line.split(" ")[0] for line in lines if line and not line.startswith("#")}
    assert words <= {
        "FROM",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "USER",
        "WORKDIR",
        "ENTRYPOINT",
        "CMD",
        "ARG",
        "EXPOSE",
        "LABEL",
        "HEALTHCHECK",
        "SHELL",
        "STOPSIGNAL",
        "VOLUME",
    }
    assert "\n\n\n" not in text


def test_a_step_names_what_it_mounts_by_digest() -> None:
    """What a killed engine believes of the files that it has must not make an old step pass for a new one."""
    before, after = BASE, locks_of(pin("numpy", size=HEAVY), pin("six", version="2.0"))
    texts = []
    for locks in (before, after):
        made = sections(GRAPH, locks, recipe=RECIPE["r"], origin="trixie") | TOOLS
        plain = render(GRAPH, made, template, cache="ours")
        text = stamped(plain, made, RECIPE)
        found = stages_in(text)
        assert found.keys() == stages_in(plain).keys()
        for stage in found.values():
            for section in stage.sections:
                assert f"{section}@{made[section].digest[:16]}" in stage.text
            for folder in stage.recipe:
                # What is copied, and not run, is told apart by its name and bytes alone.
                assert "/" in folder or f"{folder}@{RECIPE[folder][:16]}" in stage.text
        texts.append(found)
    moved = {name for name in texts[0] if texts[1][name].text != texts[0][name].text}
    assert len(moved) == 1
    assert re.fullmatch(r"python-\S+\.light-\S+", moved.pop())


def test_a_stamp_changes_nothing_else() -> None:
    made = sections(GRAPH, BASE, recipe=RECIPE["r"], origin="trixie") | TOOLS
    plain = render(GRAPH, made, template, cache="ours")
    text = re.sub(r": (?:\S+@[0-9a-f]{16} )+&& ", "", stamped(plain, made, RECIPE))
    assert text.replace(f"ADD {root_tar(made['root'])} /", "ADD root.tar /") == plain
