"""Whole runs of `lock` for Python: what uv is asked, and which file of each distribution is locked."""

from urllib.parse import urlsplit

import pytest
from graphs import FIFTH, TEXT
from machine import INDEX, Answer, Project
from requests import PreparedRequest

from pyrlab.errors import BuildError, ListError, NetworkError, StaleLockError
from pyrlab.model.locks.python import PythonLock, PythonPin

NEEDED = ["ipykernel", "jupyter-server-proxy", "jupyterlab", "nbconvert", "pip"]


def versions(lock: PythonLock) -> list[str]:
    """Return pins as ``name version``, with who wants them."""
    return [f"{pin.name} {pin.version} ({', '.join(pin.via)})" for pin in lock.pins]


def pin_of(own: Project, name: str) -> PythonPin:
    """Return pylab's pin of a distribution."""
    (found,) = [pin for pin in own.locks.python["pylab"].pins if pin.name == name]
    return found


@pytest.fixture
def five(own: Project) -> Project:
    """Return a project with a second list of Python packages, whose image starts after pylab."""
    (own.folder / "docker/images.toml").write_text(TEXT + FIFTH, encoding="utf-8")
    own.write("dash.in")
    own.write("dash_debs.txt")
    return own


def test_uv_is_asked_for_the_list_and_what_each_lab_needs(own: Project) -> None:
    own.write("requirements.in", "requests>=2  # for the web", "pip")
    own.machine.add_wheel("requests", "2.1", "idna")
    own.machine.add_wheel("idna")
    own.lock()
    question = own.machine.questions[-1]
    assert dict(question.request) == {"requirements.in": "".join(f"{name}\n" for name in [*NEEDED, "requests>=2"])}
    assert question.options == ""
    lock = own.locks.python["pylab"]
    assert (lock.name, lock.python, lock.glibc) == ("requirements.lock", "3.13", "2.41")
    assert versions(lock)[0] == "idna 1.0 (requests)"
    assert versions(lock)[-1] == "requests 2.1 (list)"


def test_uv_is_given_the_earlier_lock(own: Project) -> None:
    own.lock()
    before = own.read("requirements.lock")
    own.lock("python")
    assert own.machine.questions[0].request["requirements.lock"] == before
    assert own.machine.questions[0].options == ""


@pytest.mark.parametrize(
    ("upgrade", "packages", "options"),
    [
        pytest.param(True, "", "--upgrade", id="all"),
        pytest.param(
            False, "Jupyter_Server.Proxy pip", "--upgrade-package=jupyter-server-proxy --upgrade-package=pip", id="some"
        ),
        pytest.param(False, "tini pip", "--upgrade-package=pip", id="not-those-of-other-locks"),
        pytest.param(False, "tini", "", id="none-of-this-lock"),
    ],
)
def test_uv_is_told_what_may_move(own: Project, upgrade: bool, packages: str, options: str) -> None:  # noqa: FBT001
    own.lock()
    own.lock("python", upgrade=upgrade, packages=packages)
    assert own.machine.questions[0].options == options


def test_what_all_images_share_has_one_version(five: Project) -> None:
    """Of what the first list has, also what its packages bring; its other packages bind nobody."""
    five.machine.add_wheel("jupyterlab", "2.0", "tornado")
    five.machine.add_wheel("tornado", "6.0")
    five.machine.add_wheel("dash", "1.0", "tornado")
    five.machine.add_wheel("numpy", "1.0")
    five.write("requirements.in", "numpy")
    five.write("dash.in", "dash", "numpy")
    five.lock()
    five.machine.add_wheel("tornado", "6.1")
    five.machine.add_wheel("numpy", "2.0")
    (five.folder / "dash.lock").unlink()
    five.lock("python")
    first, second = five.machine.questions
    assert "constraints.txt" not in first.request
    assert second.request["constraints.txt"].splitlines() == [
        "ipykernel==1.0",
        "jupyter-server-proxy==1.0",
        "jupyterlab==2.0",
        "nbconvert==1.0",
        "pip==1.0",
        "tornado==6.0",
    ]
    assert versions(five.locks.python["dashlab"]) == ["dash 1.0 (list)", "numpy 2.0 (list)", "tornado 6.0 (dash)"]
    assert five.said[-1].startswith("asking uv for the closure of dash.in")


def test_locks_of_several_lists_are_kept_each_for_itself(five: Project) -> None:
    five.machine.add_wheel("dash", "1.0")
    five.write("dash.in", "dash")
    assert "dash.lock" in five.lock()
    five.machine.add_wheel("dash", "2.0")
    assert five.moved() == []
    assert five.moved(packages="dash") == ["up dash 1.0 2.0"]
    (five.folder / "dash.lock").unlink()
    assert five.moved() == ["added dash 2.0"]


def test_what_uv_cannot_solve_names_the_line(own: Project) -> None:
    own.write("requirements.in", "pip", "", "Requests >=3")
    own.machine.add_wheel("requests", "2.0")
    with pytest.raises(ListError) as caught:
        own.lock()
    assert (str(caught.value), caught.value.remedy) == (
        "requirements.in:3: the Python package index has no requests that fits",
        "check the name and version",
    )
    assert "you require Requests>=3" in caught.value.detail


NONE = (
    b"error: No solution found when resolving dependencies\n  cause: Because there are no versions of nosuch and you "
    b"require nosuch, we can conclude that your requirements are unsatisfiable.\n"
)


def test_a_sign_in_page_is_no_fault_of_the_list(own: Project) -> None:
    """To uv it is the page of a package without versions."""
    own.write("requirements.in", "nosuch")
    own.machine.log = NONE
    page = own.machine.folder / "index/simple/nosuch/index.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(NetworkError) as caught:
        own.lock()
    assert str(caught.value).endswith("/nosuch/ is no page of a Python index: it may be a sign-in page of this network")
    assert caught.value.detail == NONE.decode().strip()


def test_a_server_that_has_nothing_is_no_fault_of_the_list(own: Project) -> None:
    """As where the URL is not quite an index's: to uv no package has any version."""
    own.lock()
    own.write("requirements.in", "nosuch")
    own.machine.log = NONE
    own.machine.servers[urlsplit(INDEX).netloc] = lambda _: Answer(b"", 404)
    with pytest.raises(NetworkError) as caught:
        own.lock()
    assert str(caught.value) == f"{INDEX}/simple/ has neither nosuch nor ipykernel: it may be no Python index"
    assert "PIPPROXY" in caught.value.remedy


def test_a_package_in_another_spelling_is_no_other_one(own: Project) -> None:
    """Twice the same would be no reason to doubt the index."""
    own.lock()
    graph = own.folder / "docker/images.toml"
    graph.write_text(graph.read_text(encoding="utf-8").replace('"ipykernel"', '"IPykernel"'), encoding="utf-8")
    own.machine.log = NONE.replace(b"nosuch", b"ipykernel")
    own.machine.servers[urlsplit(INDEX).netloc] = lambda _: Answer(b"", 404)
    with pytest.raises(NetworkError, match="has neither ipykernel nor jupyter-server-proxy: "):
        own.lock("python")


@pytest.mark.parametrize("status", [404, 403, 200])
def test_where_an_index_answers_the_list_is_at_fault(own: Project, status: int) -> None:
    """Or where this machine does not reach it, and uv has."""
    own.lock()
    own.write("requirements.in", "nosuch")
    own.machine.log = NONE
    body = b'{"meta": {"api-version": "1.0"}, "name": "nosuch", "files": []}'

    def answer(request: PreparedRequest) -> Answer:
        return Answer(body, status if str(request.url).endswith("/nosuch/") else 200)

    own.machine.servers[urlsplit(INDEX).netloc] = answer
    with pytest.raises(ListError, match=r"^requirements\.in:1: the Python package index has no nosuch that fits$"):
        own.lock()


def test_a_uv_that_fails_otherwise_shows_its_last_lines(own: Project) -> None:
    own.machine.log = b"uv broke \xff\n"
    with pytest.raises(BuildError) as caught:
        own.lock()
    assert (str(caught.value), caught.value.detail) == ("uv could not resolve the list", "uv broke \ufffd")


def test_an_answer_that_cannot_be_read_is_of_the_list_s_own_lock(five: Project) -> None:
    five.machine.add_wheel("dash", "1.0")
    five.write("dash.in", "dash")
    five.lock()
    five.machine.garbage = "no pin\n"
    (five.folder / "docker/images.toml").write_text(
        (TEXT + FIFTH).replace('image = "pylab"', 'image = "dashlab"'), encoding="utf-8"
    )
    with pytest.raises(StaleLockError, match=r"^dash\.lock:[0-9]+: 'no pin' is not a pin with SHA-256 hashes$"):
        five.lock("python")


def test_the_best_file_is_locked_and_stays_when_a_better_one_comes(own: Project) -> None:
    """What was tried with it holds for as long as the pin."""
    own.machine.add_sdist("numpy", "1.0", ["flit_core"])
    own.write("requirements.in", "numpy")
    own.lock()
    before = pin_of(own, "numpy")
    assert [file.filename for file in before.files] == ["numpy-1.0.tar.gz"]
    own.machine.add_wheel("numpy", "1.0")
    own.lock()
    after = pin_of(own, "numpy")
    assert (after.files, len(after.hashes)) == (before.files, 2)
    (own.folder / "requirements.lock").unlink()
    own.lock()
    after = pin_of(own, "numpy")
    assert [file.filename for file in after.files] == ["numpy-1.0-py3-none-any.whl"]


def test_what_a_source_distribution_is_built_with_must_be_pinned(own: Project) -> None:
    """The tools of docker/ are; nothing else is fetched while an image is built."""
    own.machine.add_sdist("good", "1.0", ["flit_core>=3", 'tomli; python_version < "3.11"'])
    own.machine.add_sdist("bad", "1.0", ["flit_core>=4", "cython"])
    own.write("requirements.in", "good")
    assert "added good 1.0" in own.moved()
    own.write("requirements.in", "good", "bad")
    with pytest.raises(ListError) as caught:
        own.lock()
    assert str(caught.value) == (
        "requirements.in:2: bad 1.0 comes as source only, and to build it wants flit_core>=4, cython, which "
        "docker/install/python/tools.lock does not pin; docker/install/python/tools.lock pins flit-core 3.12"
    )


def test_a_broken_tools_lock_is_named(own: Project) -> None:
    tools = own.folder / "docker/install/python/tools.lock"
    own.lock("debs")
    tools.write_text(tools.read_text(encoding="utf-8") + "no pin\n", encoding="utf-8")
    with pytest.raises(StaleLockError, match=r"^python/tools\.lock:[0-9]+: 'no pin' is not a pin"):
        own.lock("python")


def test_an_edited_lock_is_called_by_its_own_name(five: Project) -> None:
    five.machine.add_wheel("dash", "1.0")
    five.machine.add_wheel("numpy", "1.0")
    five.write("dash.in", "dash", "numpy")
    five.lock()
    text = five.read("dash.lock")
    five.write("dash.lock", text[: text.index("numpy==")])
    assert five.moved("python") == ["added numpy 1.0"]
    assert five.said[0].startswith("dash.lock was edited or merged by hand: a pin is missing after dash 1.0")


def test_a_forged_hash_is_not_taken_over(own: Project) -> None:
    """The index is asked again, and the wheel stays what is locked."""
    own.lock()
    before = own.read("requirements.lock")
    pin = own.locks.python["pylab"].pins[0]
    own.write("requirements.lock", *before.replace(pin.files[0].sha256, "0" * 64).splitlines())
    own.lock("python")
    assert "0" * 64 not in own.machine.questions[0].request["requirements.lock"]
    assert own.read("requirements.lock") == before


def test_a_version_that_was_set_by_hand_is_taken_with_its_own_file(own: Project) -> None:
    """Below it stand the newer one's file and hash: nobody edits those."""
    older, newer = (own.machine.add_wheel("numpy", version) for version in ("1.0", "2.0"))
    own.write("requirements.in", "numpy")
    own.lock()
    assert pin_of(own, "numpy") == newer
    before = own.read("requirements.lock")
    own.write("requirements.lock", *before.replace("numpy==2.0", "numpy==1.0").splitlines())
    own.lock("python")
    assert own.said[0] == (
        "requirements.lock was edited or merged by hand: numpy 1.0 is not what was locked; its versions are taken as "
        "they are, and its files looked up anew"
    )
    assert pin_of(own, "numpy") == older
