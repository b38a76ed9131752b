"""requirements.lock: read from uv, rendered for pip and uv, and cut into closures."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import lock_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import StaleLockError
from pyrlab.model.lists import PYTHON, Lists
from pyrlab.model.locks import OldFormatError, python
from pyrlab.model.locks.python import PythonFile, PythonLock, PythonPin, parse_pins

ReadLists = Callable[[Mapping[str, str]], Lists]
A, B = (f"sha256:{letter * 64}" for letter in "ab")
NAMES = st.sampled_from(samples.PYTHON_NAMES)


@given(lock=samples.python_locks(), data=st.data())
def test_order_of_what_is_read_does_not_change_the_file(lock: PythonLock, data: st.DataObject) -> None:
    """Neither the order of pins nor that of their hashes."""
    shuffled = [
        replace(pin, hashes=pin.hashes[::-1], via=pin.via[::-1], files=pin.files[::-1])
        for pin in data.draw(st.permutations(lock.pins))
    ]
    assert replace(lock, pins=parse_pins("".join(map(str, shuffled)))).render() == lock.render()


def test_a_lock_looks_like_this() -> None:
    """A golden file, small enough to read."""
    wheel = PythonFile("amd64", "numpy-2.3.1-cp313-cp313-manylinux_2_28_x86_64.whl", 16000000, "b" * 64)
    sdist = PythonFile("arm64", "numpy-2.3.1.tar.gz", 20000000, "a" * 64)
    pins = (
        PythonPin("comm", "0.2.3", "", (A,), ("ipykernel", "ipywidgets")),
        PythonPin("numpy", "2.3.1", 'python_version < "3.14"', (A, B), ("list",), (wheel, sdist)),
    )
    assert PythonLock("requirements.lock", "sha256:0", "3.13", "2.41", pins).render() == (
        "# Made by `nox -s lock`. Do not edit.\n"
        "# format: 2\n"
        "# input: sha256:0\n# python: 3.13\n# glibc: 2.41\n"
        "# body: sha256:37ad3a816ef9ae6b7a2bf6443cbe5eae365d7438636be0370c58ee1990cc0a25\n"
        "# sums: CCz/zA==\n\n"
        f"comm==0.2.3 \\\n    --hash={A}\n    # via ipykernel, ipywidgets\n"
        f'numpy==2.3.1 ; python_version < "3.14" \\\n    --hash={A} \\\n    --hash={B}\n'
        f"    # amd64: numpy-2.3.1-cp313-cp313-manylinux_2_28_x86_64.whl 16000000 {B}\n"
        f"    # arm64: numpy-2.3.1.tar.gz 20000000 {A}\n"
        "    # via list\n"
    )


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        pytest.param("zope_interface-5.0-py3-none-any.whl", True, id="wheel"),
        pytest.param("zope.interface-5.0.0-1-cp313-cp313-manylinux_2_17_x86_64.whl", True, id="build-number"),
        pytest.param("zope.interface-5.0.tar.gz", True, id="sdist"),
        pytest.param("Zope.Interface-5.0.zip", True, id="zip"),
        pytest.param("zope_interface-5.1-py3-none-any.whl", False, id="another-version"),
        pytest.param("zope_event-5.0.tar.gz", False, id="another-name"),
        pytest.param("zope.interface-5.0.tar.bz2", True, id="of-old-times"),
        pytest.param("zope.interface-5.0.tgz", True, id="of-older-times"),
        pytest.param("zope.interface-5.0.exe", False, id="another-kind"),
        pytest.param("../zope_interface-5.0.tar.gz", False, id="path"),
        pytest.param("-zope_interface-5.0.tar.gz", False, id="option"),
        pytest.param("zope_interface-5.0.whl", False, id="wheel-without-tags"),
    ],
)
def test_a_file_belongs_to_a_version_by_its_name(filename: str, *, expected: bool) -> None:
    """As pip reads names of files."""
    assert PythonFile("amd64", filename, 1, "a" * 64).belongs_to("zope-interface", "5.0") is expected


COMM = samples.wheel("comm", "0.2.3")
FILE = COMM.files[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            [replace(FILE, filename="comm-0.2.4.tar.gz")],
            "requirements.lock: comm-0.2.4.tar.gz is no file of comm 0.2.3",
            id="another-version",
        ),
        pytest.param(
            [replace(FILE, sha256="b" * 64)],
            "requirements.lock: comm-0.2.3-py3-none-any.whl is no file of comm 0.2.3",
            id="another-hash",
        ),
        pytest.param(
            [FILE, replace(FILE, filename="comm-0.2.3.tar.gz")],
            "requirements.lock: comm-0.2.3.tar.gz is no file of comm 0.2.3",
            id="two-of-one-architecture",
        ),
    ],
)
def test_a_file_that_is_not_the_pins_is_refused(files: list[PythonFile], message: str) -> None:
    """Even where the lock was sealed with it."""
    lock = replace(samples.PYTHON, pins=(replace(COMM, files=tuple(files)),))
    with pytest.raises(StaleLockError) as caught:
        PythonLock.parse(lock.render())
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


def test_the_file_of_an_architecture_is_found() -> None:
    """Or none."""
    assert COMM.file_for("amd64") == FILE
    assert COMM.file_for("arm64") is None


def test_the_first_format_keeps_its_pins_for_locking_alone() -> None:
    """It knew no files, and stood on no C library."""
    old = samples.without_files(samples.PYTHON)
    text = "# Made by hand.\n# input: sha256:0\n# python: 3.13\n\n" + "".join(map(str, old.pins))
    with pytest.raises(OldFormatError) as caught:
        PythonLock.parse(text)
    message = "requirements.lock has format 1, of an earlier pyrlab; this one needs 2"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python, which keeps its pins")
    assert PythonLock.earlier(text, warn=samples.never) == old


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
            f"h2==4.0 --hash={A}\n    # via httpx[http2]\n",
            PythonPin("h2", "4.0", "", (A,), ("httpx",)),
            id="extra-of-a-parent",
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
        pytest.param(
            f"comm==1 --hash={A}\n    # amd64: comm-1.tar.gz {A}\n",
            f"requirements.lock:1: '# amd64: comm-1.tar.gz {A}' names no file",
            id="file-without-its-size",
        ),
        pytest.param(
            f"comm==1 --hash={A}\nattrs==1 --hash={A}\nComm==1 --hash={A}\n",
            "requirements.lock:3: comm is there twice, first in line 1",
            id="twice",
        ),
    ],
)
def test_what_is_not_pinned_by_hash_is_refused(text: str, message: str) -> None:
    """With the line, and the remedy that makes the lock anew."""
    with pytest.raises(StaleLockError) as caught:
        parse_pins(text)
    assert str(caught.value) == message
    assert "git checkout -- requirements.lock" in caught.value.remedy or "keep one" in caught.value.remedy


def test_a_lock_without_its_header_is_stale() -> None:
    """Such as what pip-compile writes."""
    with pytest.raises(StaleLockError) as caught:
        PythonLock.parse(f"comm==1 --hash={A}\n    # via list\n")
    assert str(caught.value) == "requirements.lock has no line '# input: …'"


@given(lock=samples.python_locks(), roots=st.sets(NAMES), more=st.sets(NAMES))
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
    pins = tuple(PythonPin(name, "1", "", (A,), via) for name, via in ring)
    lock = replace(samples.PYTHON, pins=pins)
    assert [pin.name for pin in lock.closure(["c"])] == ["b", "c", "d"]
    assert lock.closure([]) == ()


def locked(lists: Lists, *names: str) -> PythonLock:
    """Return a lock of these names, and of what every image needs, that fits ``lists``."""
    wanted = {*names, *(request.name for request in lists.python["pylab"] if not request.conditional)}
    pins = tuple(samples.wheel(name) for name in sorted(wanted))
    return replace(samples.PYTHON, input=python.input_of(lists.python["pylab"], "trixie"), pins=pins)


def test_a_lock_of_this_list_passes(read_lists: ReadLists) -> None:
    """Names are compared as the index does it."""
    lists = read_lists({PYTHON: "QuantLib\nscikit_learn"})
    lock = locked(lists, "quantlib", "scikit-learn")
    python.check(lock, lists.python["pylab"], suite="trixie", python="3.13")


@pytest.mark.parametrize(
    ("text", "suite", "version", "message"),
    [
        pytest.param(
            "numpy\nscipy>=1", "trixie", "3.13", "requirements.lock lacks scipy>=1 (requirements.in:2)", id="new-line"
        ),
        pytest.param(
            "numpy\nabc\nscipy",
            "trixie",
            "3.13",
            "requirements.lock lacks abc (requirements.in:2), scipy (requirements.in:3)",
            id="new-lines",
        ),
        pytest.param(
            "numpy", "trixie", "3.14", "requirements.lock is for Python 3.13, and the root has 3.14", id="python"
        ),
        pytest.param(
            "numpy>=3",
            "trixie",
            "3.13",
            "requirements.lock was made from another list than this one",
            id="changed-line",
        ),
        pytest.param(
            "numpy", "forky", "3.13", "requirements.lock was made from another list than this one", id="suite"
        ),
    ],
)
def test_a_lock_of_something_else_is_stale(
    read_lists: ReadLists, text: str, suite: str, version: str, message: str
) -> None:
    """The message says what does not agree."""
    lock = locked(read_lists({PYTHON: "numpy"}), "numpy")
    with pytest.raises(StaleLockError) as caught:
        python.check(lock, read_lists({PYTHON: text}).python["pylab"], suite=suite, python=version)
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


def test_a_line_whose_marker_excludes_the_image_is_not_lacking(read_lists: ReadLists) -> None:
    """Uv leaves it out, and that is right."""
    lists = read_lists({PYTHON: 'pywin32; sys_platform == "win32"'})
    python.check(locked(lists), lists.python["pylab"], suite="trixie", python="3.13")


def test_parents_that_are_gone_are_named(read_lists: ReadLists) -> None:
    """Each with a distribution that it left behind."""
    lists = read_lists({})
    lock = locked(lists)
    children = (samples.wheel("certifi", "1", "httpx", "requests"), samples.wheel("h2", "1", "httpx"))
    with pytest.raises(StaleLockError) as caught:
        python.check(replace(lock, pins=(*lock.pins, *children)), lists.python["pylab"], suite="trixie", python="3.13")
    message = "requirements.lock lacks httpx, which wants certifi; requests, which wants certifi"
    assert (str(caught.value), caught.value.remedy) == (message, "nox -s lock -- python")


@pytest.mark.parametrize(
    ("older", "newer"),
    [pytest.param("1.9", "1.10", id="numeric"), pytest.param("2.0rc1", "2.0", id="candidate-is-before")],
)
def test_order_is_that_of_pip(older: str, newer: str) -> None:
    """So that up and down in a difference are what pip means by them."""
    order = samples.PYTHON.order
    assert order(older) < order(newer)
