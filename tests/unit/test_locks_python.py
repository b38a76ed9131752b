"""requirements.lock: read from pip-compile, rendered for pip and uv, and cut into closures."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.graph import REQUIRED_PYTHON
from pyrlab.model.lists import PYTHON, Lists
from pyrlab.model.locks import python
from pyrlab.model.locks.python import PythonLock, PythonPin, parse_pins

ReadLists = Callable[[Mapping[str, str]], Lists]
A, B = (f"sha256:{letter * 64}" for letter in "ab")
NAMES = st.sampled_from(["attrs", "bleach", "comm", "debugpy", "executing", "via", "viable"])
HASHES = st.sets(st.integers(0, 2**256 - 1).map("sha256:{:064x}".format), min_size=1, max_size=2)
PINS = st.builds(
    PythonPin,
    name=NAMES,
    version=st.from_regex(r"[0-9]{1,2}(\.[0-9]){0,2}(rc1|\.post2|\+cpu)?", fullmatch=True),
    marker=st.sampled_from(["", 'python_version < "3.13"', 'sys_platform == "linux" and extra == "a"']),
    hashes=HASHES.map(sorted).map(tuple),
    via=st.sets(st.one_of(NAMES, st.just("list")), min_size=1, max_size=3).map(sorted).map(tuple),
)
LOCKS = st.builds(
    PythonLock,
    input=st.just("sha256:0"),
    python=st.sampled_from(["3.13", "3.14"]),
    pins=st.lists(PINS, max_size=6, unique_by=lambda pin: pin.name).map(sorted).map(tuple),
)


@given(lock=LOCKS)
def test_a_lock_is_parsed_as_it_is_rendered(lock: PythonLock) -> None:
    """Parse then render is the identity, for the value and for the bytes."""
    assert PythonLock.parse(lock.render()) == lock
    assert PythonLock.parse(lock.render()).render() == lock.render()


@given(lock=LOCKS, data=st.data())
def test_order_of_what_is_read_does_not_change_the_file(lock: PythonLock, data: st.DataObject) -> None:
    """Neither the order of pins nor that of their hashes."""
    shuffled = [
        PythonPin(pin.name, pin.version, pin.marker, tuple(reversed(pin.hashes)), tuple(reversed(pin.via)))
        for pin in data.draw(st.permutations(lock.pins))
    ]
    assert PythonLock(lock.input, lock.python, parse_pins("".join(map(str, shuffled)))).render() == lock.render()


def test_a_lock_looks_like_this() -> None:
    """A golden file, small enough to read."""
    pins = (
        PythonPin("comm", "0.2.3", "", (A,), ("ipykernel", "ipywidgets")),
        PythonPin("numpy", "2.3.1", 'python_version < "3.14"', (A, B), ("list",)),
    )
    assert PythonLock("sha256:0", "3.13", pins).render() == (
        "# Made by `nox -s lock` from `requirements.in`. Do not edit.\n# input: sha256:0\n# python: 3.13\n\n"
        f"comm==0.2.3 \\\n    --hash={A}\n    # via ipykernel, ipywidgets\n"
        f'numpy==2.3.1 ; python_version < "3.14" \\\n    --hash={A} \\\n    --hash={B}\n    # via list\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            f"comm==0.2.3 \\\n    --hash={B} \\\n    --hash={A}\n    # via ipykernel, ipywidgets\n",
            PythonPin("comm", "0.2.3", "", (A, B), ("ipykernel", "ipywidgets")),
            id="annotation-on-a-line",
        ),
        pytest.param(
            f"comm==0.2.3 \\\n    --hash={A}\n    # via\n    #   ipywidgets\n    #   ipykernel\n",
            PythonPin("comm", "0.2.3", "", (A,), ("ipykernel", "ipywidgets")),
            id="annotation-on-lines",
        ),
        pytest.param(
            f"numpy==2.0 --hash={A}\n    # via -r requirements.in, pandas\n",
            PythonPin("numpy", "2.0", "", (A,), ("list", "pandas")),
            id="wanted-by-the-list",
        ),
        pytest.param(
            f"Jupyter_Server[all]==2.0 --hash={A}\n    # via jupyterlab\n",
            PythonPin("jupyter-server", "2.0", "", (A,), ("jupyterlab",)),
            id="name-is-normalised",
        ),
        pytest.param(
            f'tomli==2.0 ; python_version < "3.11" \\\n    --hash={A}\n    # via jupyterlab\n',
            PythonPin("tomli", "2.0", 'python_version < "3.11"', (A,), ("jupyterlab",)),
            id="marker",
        ),
        pytest.param(
            f"# The following packages are unsafe:\n\npip==25.0 \\\n    --hash={A}\n    # via -r requirements.in\n",
            PythonPin("pip", "25.0", "", (A,), ("list",)),
            id="comment-at-the-margin",
        ),
    ],
)
def test_pip_compiles_output_is_read(text: str, expected: PythonPin) -> None:
    """In each of its shapes."""
    assert parse_pins(text) == (expected,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "comm==0.2.3\n", "requirements.lock:1: 'comm==0.2.3' is not a pin with SHA-256 hashes", id="no-hash"
        ),
        pytest.param(
            f"\ncomm>=0.2 --hash={A}\n",
            f"requirements.lock:2: 'comm>=0.2 --hash={A}' is not a pin with SHA-256 hashes",
            id="no-pin",
        ),
        pytest.param(
            f"comm==1 \\\n    --hash={A} \\\n    --hash=md5:{'a' * 32}\n",
            "requirements.lock:1: 'comm==1 \\\\' is not a pin with SHA-256 hashes",
            id="weak-hash-beside-a-good-one",
        ),
        pytest.param(
            "--index-url x\n", "requirements.lock:1: '--index-url x' is not a pin with SHA-256 hashes", id="option"
        ),
    ],
)
def test_what_is_not_pinned_by_hash_is_refused(text: str, message: str) -> None:
    """With the line, and the remedy that makes the lock anew."""
    with pytest.raises(StaleLockError) as caught:
        parse_pins(text)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


def test_a_lock_without_its_header_is_stale() -> None:
    """Such as what pip-compile wrote by hand."""
    with pytest.raises(StaleLockError) as caught:
        PythonLock.parse(f"comm==1 --hash={A}\n    # via list\n")
    assert str(caught.value) == "requirements.lock has no line '# input: …'"


@given(lock=LOCKS, roots=st.sets(NAMES), more=st.sets(NAMES))
def test_closure_is_monotone_and_closed(lock: PythonLock, roots: set[str], more: set[str]) -> None:
    """More roots never give less; a closure holds its roots, and all that its members need; twice is once."""
    closure = set(lock.closure(roots))
    names = {pin.name for pin in closure}
    assert closure <= set(lock.closure(roots | more))
    assert roots & set(lock.versions()) <= names
    assert {pin for pin in lock.pins if names.intersection(pin.via)} <= closure
    assert set(lock.closure(roots | names)) == closure


def test_closure_follows_needs_downwards_only() -> None:
    """What wants a root is not a part of it; rings end."""
    ring = (("a", ("list",)), ("b", ("a", "d")), ("c", ("b",)), ("d", ("c",)), ("e", ("list",)))
    lock = PythonLock("sha256:0", "3.13", tuple(PythonPin(name, "1", "", (A,), via) for name, via in ring))
    assert [pin.name for pin in lock.closure(["c"])] == ["b", "c", "d"]
    assert lock.closure([]) == ()


def locked(lists: Lists, *names: str) -> PythonLock:
    """Return a lock of these names, and of what every image needs, that fits ``lists``."""
    pins = tuple(PythonPin(name, "1", "", (A,), ("list",)) for name in sorted({*names, *REQUIRED_PYTHON}))
    return PythonLock(python.input_of(lists, "trixie"), "3.13", pins)


def test_a_lock_of_this_list_passes(read_lists: ReadLists) -> None:
    """Names are compared as the index does it."""
    lists = read_lists({PYTHON: "QuantLib\nscikit_learn"})
    python.check(locked(lists, "quantlib", "scikit-learn"), lists, suite="trixie", python="3.13")


@pytest.mark.parametrize(
    ("text", "suite", "version", "message"),
    [
        pytest.param(
            "numpy\nscipy>=1", "trixie", "3.13", "requirements.lock lacks scipy>=1 (requirements.in:2)", id="new-line"
        ),
        pytest.param(
            "numpy", "trixie", "3.14", "requirements.lock is for Python 3.13, and the root has 3.14", id="python"
        ),
        pytest.param(
            "numpy>=3",
            "trixie",
            "3.13",
            "requirements.lock was made from another list than requirements.in",
            id="changed-line",
        ),
        pytest.param(
            "numpy",
            "forky",
            "3.13",
            "requirements.lock was made from another list than requirements.in",
            id="suite",
        ),
    ],
)
def test_a_lock_of_something_else_is_stale(
    read_lists: ReadLists, text: str, suite: str, version: str, message: str
) -> None:
    """The message says what does not agree."""
    lock = locked(read_lists({PYTHON: "numpy"}), "numpy")
    with pytest.raises(StaleLockError) as caught:
        python.check(lock, read_lists({PYTHON: text}), suite=suite, python=version)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


def test_a_line_whose_marker_excludes_the_image_is_not_lacking(read_lists: ReadLists) -> None:
    """pip-compile leaves it out, and that is right."""
    lists = read_lists({PYTHON: 'pywin32; sys_platform == "win32"'})
    python.check(locked(lists), lists, suite="trixie", python="3.13")


@pytest.mark.parametrize(
    ("older", "newer"),
    [pytest.param("1.9", "1.10", id="numeric"), pytest.param("2.0rc1", "2.0", id="candidate-is-before")],
)
def test_order_is_that_of_pip(older: str, newer: str) -> None:
    """So that up and down in a difference are what pip means by them."""
    assert python.order(older) < python.order(newer)
