"""What uv said when it failed, as an error that names the lines of the list."""

from collections.abc import Callable, Mapping

import pytest

from pyrlab.adapters.python.uv_answer import explain, without_versions
from pyrlab.errors import BuildError, ListError, NetworkError, PyrlabError
from pyrlab.model.lists import PYTHON, Lists, PythonRequest

ReadLists = Callable[[Mapping[str, str]], Lists]
LIST = "# arrays\nnumpy==99\nScikit_Learn\npandas<2"
END = "we can conclude that your requirements are unsatisfiable."
UNSOLVABLE = "error: No solution found when resolving dependencies\n  cause: {0}, " + END + "\n"
NO_VERSION = UNSOLVABLE.format("Because there is no version of numpy==99 and you require numpy==99")
TOO_NEW = UNSOLVABLE.format("Because only scikit-learn<=1.9.1 is available and you require scikit-learn>=9")
UNKNOWN = UNSOLVABLE.format("Because nosuch was not found in the package registry and you require nosuch")
UNKNOWN_DEPENDENCY = UNSOLVABLE.format(
    "Because pandas was not found in the package registry and all versions of seaborn depend on pandas, "
    "we can conclude that all versions of seaborn cannot be used.\n         And because you require seaborn"
)
NO_WHEEL = UNSOLVABLE.format(
    "Because numpy==99 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you require numpy==99"
)
CONFLICT = UNSOLVABLE.format(
    "Because scikit-learn==1.4.0 depends on numpy>=1.19.5,<2.0 and you require scikit-learn==1.4, "
    "we can conclude that you require numpy>=1.19.5,<2.0.\n         And because you require numpy>2"
)
OFFLINE = """\
error: Request failed after 3 retries in 7.1s
  cause: Failed to fetch: http://127.0.0.1:1/simple/tabulate/
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
UNWELL = """\
error: Request failed after 3 retries in 7.1s
  cause: Failed to fetch: http://127.0.0.1:1/simple/tabulate/
  cause: HTTP status server error (503 Service Unavailable) for url (http://127.0.0.1:1/simple/tabulate/)
"""
REFUSED = UNKNOWN + (
    "\nhint: An index URL (http://127.0.0.1:1/simple) could not be queried due to a lack of valid authentication "
    "credentials (401 Unauthorized).\n"
)
FORBIDDEN = UNKNOWN + (
    "\nhint: An index (http://127.0.0.1:1/simple) returned a 403 Forbidden error. Check the credentials.\n"
)
YOUNG = UNSOLVABLE.format("Because there are no versions of pandas and you require pandas") + (
    "\nhint: `pandas` was filtered by `exclude-newer` to only include packages uploaded before 2026-01-01T00:00:00Z.\n"
)
BROKEN = UNSOLVABLE.format(
    "Because tabulate==1.0 has an invalid package format and only tabulate==1.0 is available, we can conclude that all "
    "versions of tabulate cannot be used.\n         And because you require tabulate"
) + ("\nhint: The structure of `tabulate` (v1.0) was invalid:\n  Failed to read from zip file\n")
NONE = UNSOLVABLE.format("Because there are no versions of scikit-learn and you require scikit-learn")
UNBUILT = """\
error: Failed to build `minisom==2.3.6`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         src/ta.c:12:5: error: conflicting types for 'open'
"""


def requests(read_lists: ReadLists, text: str) -> tuple[PythonRequest, ...]:
    """Return what a list of Python packages asks for."""
    return read_lists({PYTHON: text}).python["pylab"]


@pytest.mark.parametrize(
    ("log", "kind", "message", "remedy"),
    [
        pytest.param(
            NO_VERSION,
            ListError,
            "requirements.in:2: the Python package index has no numpy that fits",
            "check the name and version",
            id="version-of-a-line",
        ),
        pytest.param(
            TOO_NEW,
            ListError,
            "requirements.in:3: the Python package index has no scikit-learn that fits",
            "check the name and version",
            id="name-in-another-spelling",
        ),
        pytest.param(
            NO_WHEEL,
            ListError,
            "requirements.in:2: the Python package index has no numpy that fits",
            "check the name and version",
            id="nothing-for-this-python",
        ),
        pytest.param(
            UNKNOWN,
            ListError,
            "requirements.in: the Python package index has no nosuch that fits",
            "check the name and version",
            id="name-that-no-line-has",
        ),
        pytest.param(
            UNKNOWN_DEPENDENCY,
            ListError,
            "requirements.in:4: the Python package index has no pandas that fits",
            "check the name and version",
            id="dependency-that-is-not-there",
        ),
        pytest.param(
            OFFLINE,
            NetworkError,
            "127.0.0.1:1 could not be reached",
            "check the network, HTTP_PROXY and HTTPS_PROXY, and APTPROXY, PIPPROXY, PIPHOST and SSL_CERT_FILE, or "
            "their keys in pyrlab.toml",
            id="no-network",
        ),
        pytest.param(
            UNWELL,
            NetworkError,
            "http://127.0.0.1:1/simple/tabulate/ answered 503 Service Unavailable",
            "try again in some minutes; else check PIPPROXY, or network.python_index in pyrlab.toml, and HTTP_PROXY "
            "and HTTPS_PROXY for a proxy on the way",
            id="index-that-is-unwell",
        ),
        pytest.param(
            REFUSED,
            NetworkError,
            "the Python package index http://127.0.0.1:1/simple refuses us: HTTP 401",
            "check the name and password in PIPPROXY, or network.python_index in pyrlab.toml",
            id="wrong-password",
        ),
        pytest.param(
            FORBIDDEN,
            NetworkError,
            "the Python package index http://127.0.0.1:1/simple refuses us: HTTP 403",
            "check the name and password in PIPPROXY, or network.python_index in pyrlab.toml",
            id="no-right",
        ),
        pytest.param(
            YOUNG,
            ListError,
            "the Python package index has no pandas that fits and is as old as upgrade.min_age says,"
            " or does not say when its files came",
            "wait, or shorten upgrade.min_age in pyrlab.toml, or leave it out",
            id="too-young",
        ),
        pytest.param(
            BROKEN,
            NetworkError,
            "tabulate 1.0: what the Python package index gave is no wheel; it may be half of one, or a sign-in page of "
            "this network",
            "try again in some minutes; else check the network, and PIPPROXY, or network.python_index in pyrlab.toml, "
            "and HTTP_PROXY and HTTPS_PROXY for a proxy on the way",
            id="page-in-the-place-of-a-wheel",
        ),
        pytest.param(
            UNBUILT,
            BuildError,
            "minisom 2.3.6 comes as source only, and does not say what it depends on",
            "its last lines say why; another version may be there as a wheel",
            id="source-whose-backend-fails",
        ),
        pytest.param(
            "error: unexpected argument '--nosuch' found\n",
            BuildError,
            "uv could not resolve the list",
            "its last lines say why; --debug shows all",
            id="anything-else",
        ),
    ],
)
def test_a_failure_is_traced_to_its_cause(
    read_lists: ReadLists, log: str, kind: type[PyrlabError], message: str, remedy: str
) -> None:
    """Class, message and remedy."""
    error = explain(log, requests(read_lists, LIST), PYTHON)
    assert (type(error), str(error), error.remedy) == (kind, message, remedy)
    assert error.detail == log.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "scipy<1\nscikit-learn==1.4\nnumpy>2",
            "no set of versions satisfies all of requirements.in; at odds: "
            "requirements.in:3 (numpy>2), requirements.in:2 (scikit-learn==1.4)",
            id="the-lines-that-are-at-odds",
        ),
        pytest.param("scipy<1", "no set of versions satisfies all of requirements.in", id="none-of-the-list"),
    ],
)
def test_a_conflict_names_the_lines_that_are_at_odds(read_lists: ReadLists, text: str, message: str) -> None:
    """And no others, be they pinned or not."""
    error = explain(CONFLICT, requests(read_lists, text), PYTHON)
    assert (type(error), str(error)) == (ListError, message)


@pytest.mark.parametrize(
    ("log", "name"),
    [
        pytest.param(NONE, "scikit-learn", id="no-versions"),
        pytest.param(NO_VERSION, "numpy", id="no-such-version"),
        pytest.param(UNKNOWN, "nosuch", id="not-there"),
        pytest.param(TOO_NEW, "", id="others-are-there"),
        pytest.param(CONFLICT, "", id="conflict"),
        pytest.param(OFFLINE, "", id="no-network"),
    ],
)
def test_the_package_of_which_uv_found_nothing_is_known(log: str, name: str) -> None:
    """Its page tells whether it is an index that answers."""
    assert without_versions(log) == name


def test_what_uv_said_last_is_shown() -> None:
    said = "\n".join(map(str, range(100)))
    assert explain(said, (), PYTHON).detail.splitlines() == list(map(str, range(75, 100)))
