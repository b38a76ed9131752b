"""`why`: which line brings a package, by which chain, into which image, and since which commit, as a user reads it."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import lock_samples as samples
import lockmaker
import pytest
from debian_archives import deb
from graphs import FIVE, GRAPH
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.model.commits import CommitRequest
from pyrlab.model.cran.record import Dependency
from pyrlab.model.debian import Index
from pyrlab.model.lists import Lists, PythonRequest, RRequest
from pyrlab.model.locks.debs import DebPin, DebsLock
from pyrlab.model.locks.lockset import Locks
from pyrlab.model.locks.python import PythonLock
from pyrlab.model.locks.r import RFile, RLock, RPin
from pyrlab.model.outdated import DEBIAN, PYTHON, R
from pyrlab.model.wants import Line, Node, Wants, wants
from pyrlab.model.why import Chain, chains, near_names

Run = Callable[..., tuple[int, str, str]]
WITHOUT_DEBS = replace(samples.R, debs=(), build_debs=())

# ---- The laws

NODES = st.builds(Node, st.sampled_from([PYTHON, R]), st.just("lab"), st.sampled_from("abcdefgh"))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Wants, Node]:
    """Draw who wants whom, in any shape, circles among them, and a pin to ask for."""
    found = Wants()
    edges = draw(st.lists(st.tuples(NODES, NODES), max_size=20))
    for parent, child in edges:
        found.parents[child].add(parent)
    for number, node in enumerate(draw(st.lists(NODES, max_size=5)), start=1):
        found.lines[node].append(Line(f"list:{number}", node.name))
    return found, draw(NODES)


def reached(found: Wants, top: Node) -> dict[Node, int]:
    """Return all that a pin brings, with the number of steps to it: from above, where `chains` looks from below."""
    steps, edge, number = {top: 0}, {top}, 0
    while edge:
        number += 1
        edge = {child for child, parents in found.parents.items() if parents & edge} - set(steps)
        steps.update(dict.fromkeys(edge, number))
    return steps


@given(worlds())
def test_each_line_that_brings_a_pin_has_its_shortest_chain(world: tuple[Wants, Node]) -> None:
    found, node = world
    told = {chain.line: len(chain.names) - 1 for chain in chains(found, node)}
    expected = {
        line: reached(found, top)[node]
        for top, lines in found.lines.items()
        for line in lines
        if node in reached(found, top)
    }
    assert told == expected


@given(worlds())
def test_the_order_of_what_is_known_does_not_matter(world: tuple[Wants, Node]) -> None:
    found, node = world
    turned = Wants()
    for child in reversed(list(found.parents)):
        turned.parents[child] = set(found.parents[child])
    for top in reversed(list(found.lines)):
        turned.lines[top] = list(found.lines[top])
    assert chains(turned, node) == chains(found, node)


@given(samples.python_locks(), st.data())
def test_a_chain_of_python_packages_is_made_of_the_locks_own_notes(lock: PythonLock, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(samples.PYTHON_NAMES)))
    lists = lists_of(python=tuple(PythonRequest(name, name, "requirements.in:1") for name in sorted(names)))
    found = wants(GRAPH, lists, Locks(samples.DEBS, {"pylab": lock}, None), Index())
    pins = {pin.name: pin for pin in lock.pins}
    for node in (node for node in found.pins if node.ecosystem == PYTHON):
        for chain in chains(found, node):
            assert chain.names[0] in names
            assert chain.names[-1] == node.name
            for parent, child in zip(chain.names, chain.names[1:], strict=False):
                assert parent in pins[child].via


@given(samples.r_locks(), st.data())
def test_a_chain_of_r_packages_is_made_of_the_locks_own_dependencies(lock: RLock, data: st.DataObject) -> None:
    """Down to the debs: what carries a package, what it loads, and what compiles it."""
    names = data.draw(st.sets(st.sampled_from(samples.R_NAMES)))
    lists = lists_of(r=tuple(RRequest(name, "", "", "r_packages.txt:1") for name in sorted(names)))
    found = wants(GRAPH, lists, Locks(samples.DEBS, {"pylab": samples.PYTHON}, lock), Index())
    pins = {pin.name: pin for pin in lock.packages}
    for node in (node for node in found.pins if node.ecosystem in {R, DEBIAN}):
        for chain in (chain for chain in chains(found, node) if chain.line.where == "r_packages.txt:1"):
            assert chain.names[0] in names
            assert chain.names[-1] == node.name
            for parent, child in zip(chain.names, chain.names[1:], strict=False):
                pin = pins[parent]
                needs = {wanted.name for wanted in pin.dependencies} | {*pin.system, *pin.build}
                assert child in needs | ({pin.deb.name} if pin.deb else set())


def lists_of(*, python: tuple[PythonRequest, ...] = (), r: tuple[RRequest, ...] = ()) -> Lists:
    empty = {image.name: () for image in GRAPH.with_debs}
    return Lists(empty, {"pylab": python}, r)


# ---- Debs, whose needs are in their files


class Debs:
    """Debs of a test's own, in a store as this machine has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sections: dict[str, list[DebPin]] = {"root": [], "pyrlab-base": [], "rlab-base": []}

    def pin(self, place: str, name: str, version: str = "1", *, absent: bool = False, **fields: str) -> DebPin:
        """Pin a deb in a section; its file is in the store, unless it is ``absent``.

        ``Pre_Depends`` is spelled with an underscore.
        """
        spelled = {key.replace("_", "-"): value for key, value in fields.items()}
        content = deb(self._folder, name, version=version, **spelled).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if not absent:
            store = self._folder / "cache/pyrlab/files"
            store.mkdir(parents=True, exist_ok=True)
            (store / digest).write_bytes(content)
        pin = DebPin(name, version, "all", digest, len(content), f"pool/{name}_{version}_all.deb", requested=False)
        self.sections.setdefault(place, []).append(pin)
        return pin

    @property
    def lock(self) -> DebsLock:
        """The lock that pins them."""
        return replace(
            samples.DEBS, sections={name: tuple(sorted(pins)) for name, pins in self.sections.items() if pins}
        )


@pytest.fixture
def debs(tmp_path: Path) -> Debs:
    """Return debs that are enough for a lock: a root with Python and R, and what the images need."""
    made = Debs(tmp_path)
    made.pin("root", "libc6", "2.41-12")
    made.pin("root", "bash", Essential="yes", Pre_Depends="libc6 (>= 2.38)")
    made.pin("root", "apt", Essential="yes", Depends="bash")
    made.pin("root", "python3", "3.13.5-1", Depends="libc6")
    made.pin("pyrlab-base", "tini")
    made.pin("rlab-base", "r-base-core", "4.5.0-1", Depends="libcurl4t64, tini")
    made.pin("rlab-base", "libcurl4t64", Depends="libc6")
    return made


@pytest.fixture
def write(project: Path, debs: Debs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a writer of the project's lists, by file name, and of its locks."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))

    def lay(lists: Mapping[str, str], *, python: PythonLock = samples.PYTHON, r: RLock = WITHOUT_DEBS) -> None:
        for name, text in lists.items():
            (project / name).write_text(text, encoding="utf-8")
        lock = debs.lock
        texts = {
            "debs.lock": lock.render(),
            "requirements.lock": python.render(),
            "r_packages.lock": replace(r, debs_body=lock.body).render(),
        }
        for name, text in texts.items():
            (project / name).write_text(text, encoding="utf-8")

    return lay


def told(run: Run, name: str) -> list[str]:
    """Return what a user reads who asks for a name."""
    status, said, error = run("why", name)
    assert status == 0, error
    return said.splitlines()


def test_a_python_package_and_the_lines_that_bring_it(write: Callable[..., None], command_line: Run) -> None:
    """Python's own way to write a name is taken, too."""
    pins = (
        samples.wheel("numpy", "2.3.1", "list", "pandas", "scipy"),
        samples.wheel("pandas", "2.3", "list", "seaborn"),
        samples.wheel("scipy", "1.16", "seaborn"),
        samples.wheel("seaborn", "0.13", "list"),
        samples.wheel("typing-extensions", "4.1", "seaborn"),
    )
    write(
        {"requirements.in": "seaborn\n\npandas>=2\nnumpy\n"},
        python=replace(samples.PYTHON, pins=pins),
    )
    assert told(command_line, "NumPy") == [
        "Python: numpy 2.3.1, in pylab",
        "  requirements.in:4: numpy",
        "  requirements.in:3: pandas>=2 → numpy",
        "  requirements.in:1: seaborn → pandas → numpy",
        "  in requirements.lock",
    ]
    assert told(command_line, "Typing_Extensions")[:2] == [
        "Python: typing-extensions 4.1, in pylab",
        "  requirements.in:1: seaborn → typing-extensions",
    ]


def test_a_program_reads_why(write: Callable[..., None], command_line: Run) -> None:
    """All lines, where people are told the first ones."""
    parents = [f"p{number}" for number in range(1, 8)]
    pins = (samples.wheel("numpy", "2", *parents), *(samples.wheel(name) for name in parents))
    write({"requirements.in": "\n".join(parents)}, python=replace(samples.PYTHON, pins=pins))
    status, said, _ = command_line("why", "numpy", "--json")
    [found] = json.loads(said)
    assert status == 0
    assert (found["name"], found["version"], found["images"], found["since"]) == ("numpy", "2", ["pylab"], "")
    lines = [(line["where"], line["chain"]) for line in found["lines"]]
    assert lines == [(f"requirements.in:{number}", [f"p{number}", "numpy"]) for number in range(1, 8)]


def test_what_all_images_share_is_in_all_of_them(write: Callable[..., None], command_line: Run) -> None:
    pins = (samples.wheel("jupyterlab", "4.4"), samples.wheel("tornado", "6.5", "jupyterlab"))
    write({}, python=replace(samples.PYTHON, pins=pins))
    assert told(command_line, "tornado") == [
        "Python: tornado 6.5, in pyrlab-base, pylab, rlab-base, rlab",
        "  pyrlab itself: jupyterlab → tornado",
        "  in requirements.lock",
    ]


def test_many_lines_are_counted(write: Callable[..., None], command_line: Run) -> None:
    parents = [f"p{number}" for number in range(1, 8)]
    pins = (samples.wheel("numpy", "2", *parents), *(samples.wheel(name) for name in parents))
    write({"requirements.in": "\n".join(parents)}, python=replace(samples.PYTHON, pins=pins))
    said = told(command_line, "numpy")
    assert said[1:6] == [f"  requirements.in:{number}: p{number} → numpy" for number in range(1, 6)]
    assert said[6:] == ["  and 2 more lines of the lists", "  in requirements.lock"]


def test_a_marker_may_keep_a_pin_out_of_all_images(write: Callable[..., None], command_line: Run) -> None:
    pin = replace(samples.wheel("colorama", "0.4", "click"), marker='sys_platform == "win32"', files=())
    write({"requirements.in": "click\n"}, python=replace(samples.PYTHON, pins=(samples.wheel("click"), pin)))
    assert told(command_line, "colorama")[:2] == [
        'Python: colorama 0.4, in no image, by its marker: sys_platform == "win32"',
        "  requirements.in:1: click → colorama",
    ]


def test_a_deb_and_what_it_is_there_for(debs: Debs, write: Callable[..., None], command_line: Run) -> None:
    """By Depends and Pre-Depends, by alternatives, and by what another deb provides."""
    debs.pin("pyrlab-base", "libz", Provides="libz-abi (= 2)")
    debs.pin("pyrlab-base", "curl", Depends="absent | libcurl4 (>= 8)")
    debs.pin("pyrlab-base", "libcurl4", Depends="libz-abi")
    write({"base_debs.txt": "curl=1\n"})
    assert told(command_line, "libz") == [
        "Debian: libz 1, in pyrlab-base, pylab, rlab-base, rlab",
        "  base_debs.txt:1: curl=1 → libcurl4 → libz",
        "  in debs.lock",
    ]


def test_the_root_is_there_for_debian_itself_and_for_python(write: Callable[..., None], command_line: Run) -> None:
    write({"base_debs.txt": "tini\n"})
    assert told(command_line, "libc6") == [
        "Debian: libc6 2.41-12, in pyrlab-base, pylab, rlab-base, rlab",
        "  Debian itself: bash → libc6",
        "  pyrlab itself: python3 → libc6",
        "  pyrlab itself: r-base-core → libcurl4t64 → libc6",
        "  in debs.lock",
    ]


def test_a_line_for_an_image_below_comes_first(debs: Debs, write: Callable[..., None], command_line: Run) -> None:
    """What stands above only finds the deb there. It cannot be what brought it, however short its chain."""
    debs.pin("pyrlab-base", "git", Depends="perl")
    debs.pin("pyrlab-base", "perl", Depends="libx")
    debs.pin("pyrlab-base", "libx")
    debs.pin("rlab-base", "r-recommended", Depends="libx")
    write({"base_debs.txt": "git\n", "r_debs.txt": "r-recommended\n"})
    assert told(command_line, "libx")[1:3] == [
        "  base_debs.txt:1: git → perl → libx",
        "  r_debs.txt:1: r-recommended → libx",
    ]


def test_an_alternative_above_is_not_what_a_deb_below_needed(
    debs: Debs, write: Callable[..., None], command_line: Run
) -> None:
    """When the image below was made, it was not there."""
    debs.pin("pyrlab-base", "curl", Depends="tini | nss")
    debs.pin("rlab-base", "nss")
    write({"base_debs.txt": "curl\n", "r_debs.txt": "nss\n"})
    assert told(command_line, "nss") == [
        "Debian: nss 1, in rlab-base, rlab",
        "  r_debs.txt:1: nss",
        "  in debs.lock",
    ]


@pytest.mark.parametrize(
    ("others", "lacking"),
    [
        pytest.param([], "the file of a pinned deb, where its needs stand, is not on this machine", id="one"),
        pytest.param(
            ["git", "less"], "the files of 3 pinned debs, where their needs stand, are not on this machine", id="three"
        ),
        pytest.param(["git"], "the files of 2 pinned debs, where their needs stand, are not on this machine", id="two"),
    ],
)
def test_debs_that_are_not_here_are_told(
    debs: Debs, write: Callable[..., None], command_line: Run, others: list[str], lacking: str
) -> None:
    debs.pin("pyrlab-base", "curl", Depends="libcurl4", absent=True)
    for name in others:
        debs.pin("pyrlab-base", name, absent=True)
    debs.pin("pyrlab-base", "libcurl4")
    debs.pin("rlab-base", "r-recommended", Depends="libcurl4")
    write({"base_debs.txt": "curl\n", "r_debs.txt": "r-recommended\n"})

    fetching = "nox -s build fetches what the images hold"
    # A line for an image above cannot be what brought it.
    assert told(command_line, "libcurl4")[1:] == [
        "  r_debs.txt:1: r-recommended → libcurl4",
        f"  base_debs.txt brings it, by which line is not known: {lacking}; {fetching}",
        "  in debs.lock",
    ]
    assert told(command_line, "curl")[1:] == [
        "  base_debs.txt:1: curl",
        f"  there may be more lines: {lacking}; {fetching}",
        "  in debs.lock",
    ]
    # What stands on an image is not needed by anything in it, whatever is not known of that.
    assert told(command_line, "libcurl4t64")[1:] == [
        "  pyrlab itself: r-base-core → libcurl4t64",
        "  in debs.lock",
    ]


def test_an_r_package_down_to_its_debs(debs: Debs, write: Callable[..., None], command_line: Run) -> None:
    gdal, gxx = debs.pin("none", "libgdal36"), debs.pin("none", "g++-14")
    del debs.sections["none"]
    file = RFile("source", "src/contrib/terra_1.0.tar.gz", "a" * 64)
    terra = RPin("terra", "1.0", "cran", requested=False, files=(file,), system=("libgdal36",), build=("g++-14",))
    leaflet = replace(samples.r_pin("leaflet", "2.2"), dependencies=(Dependency("terra", ">=", "1.0"),), deb=None)
    packages = (replace(leaflet, files=(file,)), terra)
    lock = replace(samples.R, packages=packages, debs=(gdal,), build_debs=(gxx,))
    write({"r_packages.txt": "leaflet >= 2\n"}, r=lock)
    assert told(command_line, "terra") == [
        "R: terra 1.0, in rlab",
        "  r_packages.txt:1: leaflet >= 2 → terra",
        "  in r_packages.lock",
    ]
    assert told(command_line, "libgdal36") == [
        "Debian: libgdal36 1, in rlab",
        "  r_packages.txt:1: leaflet >= 2 → terra → libgdal36",
        "  in r_packages.lock",
    ]
    assert told(command_line, "g++-14") == [
        "Debian: g++-14 1, in no image: it only compiles R packages",
        "  r_packages.txt:1: leaflet >= 2 → terra → g++-14",
        "  in r_packages.lock",
    ]


def test_the_deb_of_an_r_package(debs: Debs, write: Callable[..., None], command_line: Run) -> None:
    pin = debs.pin("none", "r-cran-zoo", "1.0-1")
    del debs.sections["none"]
    lock = replace(samples.R, packages=(replace(samples.r_pin("zoo"), deb=pin),), debs=(pin,), build_debs=())
    write({"r_packages.txt": "zoo\n"}, r=lock)
    assert told(command_line, "r-cran-zoo")[:2] == [
        "Debian: r-cran-zoo 1.0-1, in rlab",
        "  r_packages.txt:1: zoo → r-cran-zoo",
    ]


def test_what_a_package_suggests_has_no_chain_in_the_lock(write: Callable[..., None], command_line: Run) -> None:
    write({"r_packages.txt": "zoo[Suggests]\n"}, r=WITHOUT_DEBS)
    assert told(command_line, "uuid")[1] == (
        "  it is, or is needed by, what one of these suggests: r_packages.txt:1 zoo[Suggests]"
    )


def test_a_pin_that_no_line_brings_any_more(write: Callable[..., None], command_line: Run) -> None:
    write({"requirements.in": "numpy\n"})
    assert told(command_line, "certifi")[1] == "  no line of the lists brings it any more: nox -s lock drops it"


def test_a_commit_is_called_by_its_package() -> None:
    commit = CommitRequest.parse(f"me/tiny-repo@{'0' * 40}", where="r_packages.txt:3")
    pin = RPin("tiny", "0.1", "github", requested=True, files=(RFile("commit", commit.path, "a" * 64),))
    lists = replace(lists_of(), r_commits=(commit,))
    lock = replace(samples.R, packages=(pin,))
    found = wants(GRAPH, lists, Locks(samples.DEBS, {"pylab": samples.PYTHON}, lock), Index())
    (chain,) = chains(found, Node(R, "rlab", "tiny"))
    assert (chain.line.where, str(chain)) == ("r_packages.txt:3", f"{commit} (tiny)")


def test_a_name_of_several_ecosystems_shows_all(write: Callable[..., None], command_line: Run) -> None:
    """R has another one, which is told as well."""
    python = replace(samples.PYTHON, pins=(samples.wheel("curl"),))
    r = replace(WITHOUT_DEBS, packages=(samples.r_pin("Curl"), samples.r_pin("curl", "6.0")))
    write({"requirements.in": "curl\n", "r_packages.txt": "curl\n"}, python=python, r=r)
    said = told(command_line, "curl")
    assert [line for line in said if not line.startswith(" ")] == [
        "Python: curl 1, in pylab",
        "R: curl 6.0, in rlab",
        "R tells upper from lower case: there is Curl, too",
    ]


def test_an_image_of_its_own_branch_has_its_own_answer() -> None:
    """Two locks may pin one name at two versions; what all share, one lock says for all."""
    dash = PythonLock(
        "dash.lock", "sha256:0", "3.13", "2.41", (lockmaker.pin("numpy", version="2"), lockmaker.pin("pip"))
    )
    locks = lockmaker.locks_of(lockmaker.pin("numpy"), graph=FIVE)
    locks = replace(locks, python={**locks.python, "dashlab": dash})
    lists = Lists({image.name: () for image in FIVE.with_debs}, {"pylab": (), "dashlab": ()}, ())
    pins = wants(FIVE, lists, locks, Index()).pins
    found = {node.place: (pin.version, pin.lock, pin.images) for node, pin in pins.items() if node.name == "numpy"}
    assert found == {
        "pylab": ("1", "requirements.lock", ("pylab",)),
        "dashlab": ("2", "dash.lock", ("dashlab",)),
    }
    assert [node.place for node in pins if node.name == "pip"] == ["pylab"]


@pytest.mark.parametrize(
    ("name", "status", "message", "remedy"),
    [
        pytest.param("nunpy", 2, "no lock has a package called 'nunpy'", "did you mean numpy?", id="typo"),
        pytest.param("ZOO", 2, "no lock has a package called 'ZOO'", "did you mean zoo?", id="case-of-r"),
        pytest.param(
            "qqqqqqqq",
            2,
            "no lock has a package called 'qqqqqqqq'",
            "write the name as a list or a lock has it",
            id="nothing-like-it",
        ),
        pytest.param("pandas", 4, "no lock has pandas>=2 (requirements.in:2) yet", "nox -s lock", id="not-locked"),
        pytest.param(
            "colorama",
            2,
            'no lock has colorama; sys_platform == "win32" (requirements.in:3): its marker leaves it out',
            "if it should be there, nox -s lock",
            id="marker",
        ),
    ],
)
def test_a_name_that_no_lock_has(
    write: Callable[..., None], command_line: Run, name: str, status: int, message: str, remedy: str
) -> None:
    write({"requirements.in": "numpy\npandas>=2\ncolorama; sys_platform=='win32'\n"})
    assert command_line("why", name) == (status, "", f"error: {message}\n  try: {remedy}\n")


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{1,6}", fullmatch=True), max_size=9), st.data())
def test_near_names_are_names_that_there_are(names: list[str], data: st.DataObject) -> None:
    """Those with the very letters come first."""
    asked = data.draw(st.sampled_from([*names, "nothing"]))
    near = near_names(asked, names)
    assert set(near) <= set(names)
    if asked in names:
        assert near[0].lower() == asked.lower()


# ---- Since which commit


@pytest.fixture
def git(project: Path) -> Callable[..., str]:
    """Return a runner of git in the project, in which nobody's own settings count."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_AUTHOR_DATE": "2026-11-02T12:00:00Z",
        "GIT_COMMITTER_DATE": "2026-11-02T12:00:00Z",
    }

    def run(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=project, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    return run


def locked(version: str, *, other: str = "9") -> PythonLock:
    """Return a lock with numpy at a version, and beside it what is called alike."""
    others = [samples.wheel("numpy-financial", other), samples.wheel("xnumpy", other)]
    return replace(samples.PYTHON, pins=(samples.wheel("numpy", version), *others))


def commit(git: Callable[..., str], subject: str) -> str:
    git("add", "*.lock", "*.in", "*.txt")
    git("commit", "--quiet", "--message", subject)
    return git("rev-parse", "--short", "HEAD")


def since(run: Run, name: str) -> str:
    return told(run, name)[-1].strip()


def test_the_commit_since_which_a_lock_has_the_pin(
    write: Callable[..., None], command_line: Run, git: Callable[..., str]
) -> None:
    """At this very version: an earlier time with it, and one whose version only begins so, do not count."""
    lists = {"requirements.in": "numpy\n"}
    write(lists, python=locked("2.3"))
    assert since(command_line, "numpy") == "in requirements.lock"
    git("init", "--quiet")
    assert since(command_line, "numpy") == "in requirements.lock, not committed yet"
    commit(git, "First")
    write(lists, python=locked("2.3.1"))
    assert since(command_line, "numpy") == "in requirements.lock, not committed yet"
    commit(git, "Newer")
    write(lists, python=locked("2.3"))
    back = commit(git, "Back to 2.3")
    write(lists, python=locked("2.3", other="2.3"))
    commit(git, "Something else")
    assert since(command_line, "numpy") == f"in requirements.lock since {back} 2026-11-02 Back to 2.3"


def test_each_lock_has_its_own_history(write: Callable[..., None], command_line: Run, git: Callable[..., str]) -> None:
    write({"r_packages.txt": "zoo\n"}, r=samples.R)
    git("init", "--quiet")
    first = commit(git, "First")
    zoo = replace(samples.R, packages=(samples.r_pin("repr"), samples.r_pin("zoo", "1.1")))
    write({}, r=zoo)
    second = commit(git, "zoo 1.1")
    assert since(command_line, "repr") == f"in r_packages.lock since {first} 2026-11-02 First"
    assert since(command_line, "zoo") == f"in r_packages.lock since {second} 2026-11-02 zoo 1.1"
    assert since(command_line, "gcc-14") == f"in r_packages.lock since {first} 2026-11-02 First"
    assert since(command_line, "tini") == f"in debs.lock since {first} 2026-11-02 First"


def test_a_merge_is_named_only_where_it_brought_the_pin_itself(
    write: Callable[..., None], command_line: Run, git: Callable[..., str]
) -> None:
    lists = {"requirements.in": "numpy\n"}
    write(lists, python=locked("1"))
    git("init", "--quiet", "--initial-branch", "main")
    commit(git, "First")
    git("checkout", "--quiet", "-b", "side")
    write(lists, python=locked("2"))
    side = commit(git, "On the side")
    git("checkout", "--quiet", "main")
    write({**lists, "base_debs.txt": "tini\n"}, python=locked("1"))
    commit(git, "Meanwhile")
    git("merge", "--quiet", "--no-ff", "--message", "Merge it", "side")
    assert since(command_line, "numpy") == f"in requirements.lock since {side} 2026-11-02 On the side"

    git("checkout", "--quiet", "-b", "other", "HEAD~1")
    write(lists, python=locked("3"))
    commit(git, "Another")
    git("merge", "--quiet", "--no-commit", "--strategy", "ours", "main")
    write(lists, python=locked("4"))
    merge = commit(git, "Merge, locked anew")
    assert since(command_line, "numpy") == f"in requirements.lock since {merge} 2026-11-02 Merge, locked anew"


def test_a_chain_says_what_its_line_says() -> None:
    assert str(Chain(Line("x:1", "a>=1"), ("a", "b"))) == "a>=1 → b"
    assert str(Chain(Line("Debian itself", ""), ("a", "b"))) == "a → b"
