"""What pip-compile said when it failed, as an error that names the line of the list."""

from collections.abc import Callable, Mapping

import pytest

from pyrlab.adapters.python.pip_compile import explain
from pyrlab.errors import BuildError, ListError, NetworkError, PyrlabError
from pyrlab.model.lists import PYTHON, Lists, PythonRequest

ReadLists = Callable[[Mapping[str, str]], Lists]
LIST = "# arrays\nnumpy==99\nScikit_Learn\npandas<2"

TRACEBACK = 'Traceback (most recent call last):\n  File "resolver.py", line 1, in resolve\n'
UNKNOWN = """\
  ERROR: Could not find a version that satisfies the requirement {0} (from versions: none)
ERROR: No matching distribution found for {0}
"""
NOT_FOUND = UNKNOWN + TRACEBACK + "pip.DistributionNotFound: No matching distribution found for {0}\n"
REASONS = "  ERROR: Cannot install pandas<2 and shap 0.49 because of conflicting dependencies.\n"
IMPOSSIBLE = "pip.DistributionNotFound: ResolutionImpossible: for help visit the user guide"
CONFLICT = REASONS + TRACEBACK + IMPOSSIBLE + "\n"
OFFLINE = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("
    "'Failed to establish a new connection: [Errno 111] Connection refused')': /simple/numpy/\n"
    + NOT_FOUND.format("numpy")
)
BROKEN = "  error: subprocess-exited-with-error\n" + TRACEBACK + "pip.InstallationSubprocessError: metadata failed\n"
COMPILER = "      src/ta.c:12:5: error: conflicting types for 'open'\n" + BROKEN


def requests(read_lists: ReadLists, text: str) -> tuple[PythonRequest, ...]:
    """Return what a list of Python packages asks for."""
    return read_lists({PYTHON: text}).python["pylab"]


@pytest.mark.parametrize(
    ("log", "kind", "message", "remedy"),
    [
        pytest.param(
            NOT_FOUND.format("numpy==99"),
            ListError,
            "requirements.in:2: the Python package index has no numpy that fits",
            "check the name and version",
            id="version-of-a-line",
        ),
        pytest.param(
            NOT_FOUND.format("scikit-learn[all]>=9"),
            ListError,
            "requirements.in:3: the Python package index has no scikit-learn that fits",
            "check the name and version",
            id="name-in-another-spelling",
        ),
        pytest.param(
            NOT_FOUND.format("nosuch"),
            ListError,
            "requirements.in: the Python package index has no nosuch that fits",
            "check the name and version",
            id="dependency-that-no-line-names",
        ),
        pytest.param(
            OFFLINE,
            NetworkError,
            "a package index or archive could not be reached",
            "check the network, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or their keys in pyrlab.toml",
            id="no-network",
        ),
        pytest.param(
            BROKEN,
            BuildError,
            "pip-compile failed",
            "its last lines say why; --debug shows all",
            id="anything-else",
        ),
        pytest.param(
            COMPILER,
            BuildError,
            "pip-compile failed",
            "its last lines say why; --debug shows all",
            id="a-compilers-conflict-is-not-one-of-versions",
        ),
    ],
)
def test_a_failure_is_traced_to_its_cause(
    read_lists: ReadLists, log: str, kind: type[PyrlabError], message: str, remedy: str
) -> None:
    """Class, message and remedy."""
    error = explain(log, requests(read_lists, LIST), PYTHON)
    assert (type(error), str(error), error.remedy) == (kind, message, remedy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "numpy==99\nscipy\npandas<2",
            "no set of versions satisfies all of requirements.in; pinned in it: "
            "requirements.in:1 (numpy==99), requirements.in:3 (pandas<2)",
            id="lines-with-versions-are-suspects",
        ),
        pytest.param("numpy\npandas", "no set of versions satisfies all of requirements.in", id="no-suspects"),
    ],
)
def test_a_conflict_names_the_lines_with_versions(read_lists: ReadLists, text: str, message: str) -> None:
    """Even though pip, on its way, did not find a distribution."""
    error = explain(UNKNOWN.format("numpy") + CONFLICT, requests(read_lists, text), PYTHON)
    assert (type(error), str(error)) == (ListError, message)


def test_a_line_that_is_spelled_in_capitals_is_no_suspect(read_lists: ReadLists) -> None:
    """Only a version, an extra or a marker can be loosened."""
    error = explain(CONFLICT, requests(read_lists, "Scikit_Learn\nQuantLib"), PYTHON)
    assert str(error) == "no set of versions satisfies all of requirements.in"


def test_pips_own_words_are_shown_without_the_traceback() -> None:
    """The end of what it said before, and the last line."""
    said = "\n".join(map(str, range(100)))
    error = explain(f"{said}\n{CONFLICT}", (), PYTHON)
    assert error.detail.splitlines() == [*map(str, range(76, 100)), REASONS.rstrip(), IMPOSSIBLE]


def test_without_a_traceback_no_line_is_shown_twice() -> None:
    """Such as when pip-compile refuses an option."""
    assert explain("Usage: pip-compile\nError: no such option\n", (), PYTHON).detail == (
        "Usage: pip-compile\nError: no such option"
    )
