"""The Python index's own advisories: which of them an update repairs, and indexes that have none."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_server import IndexServer, serve

from pyrlab.adapters import http
from pyrlab.adapters.http import NotThereError, Web
from pyrlab.adapters.python.advisories import Move, repaired
from pyrlab.errors import NetworkError

MOVE = Move("pillow", "11.0", "11.3")
# As the index has it, without the words.
ENTRY = {"id": "PYSEC-2025-61", "aliases": ["CVE-2025-48379", "GHSA-xg8h"], "fixed_in": ["11.3.0"], "withdrawn": None}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    """Serve an empty index."""
    with serve(tmp_path / "index") as running:
        yield running


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Web:
    """Return what downloads, without a user's netrc."""
    monkeypatch.setenv("NETRC", "/dev/null")
    return Web(tmp_path / "cache", retries=0)


def publish(index: IndexServer, name: str, version: str, document: object) -> None:
    """Let the index say this of a release."""
    path = index.folder / f"pypi/{name}/{version}/json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("root", ["/simple", "/simple/"])
def test_what_the_old_version_has_and_the_new_one_has_not_is_repaired(index: IndexServer, web: Web, root: str) -> None:
    publish(index, "pillow", "11.0", {"vulnerabilities": [ENTRY]})
    assert repaired(web, index.url + root, [MOVE]) == {MOVE: ("CVE-2025-48379",)}
    assert [path for path, _ in index.asked] == ["/pypi/pillow/11.0/json"]


def test_each_update_is_asked_for_and_one_without_advisories_is_not_told(index: IndexServer, web: Web) -> None:
    other = Move("numpy", "2.0", "2.1")
    publish(index, "pillow", "11.0", {"vulnerabilities": [ENTRY, {**ENTRY, "aliases": ["CVE-2025-1"]}, ENTRY]})
    publish(index, "numpy", "2.0", {"vulnerabilities": []})
    assert repaired(web, f"{index.url}/simple", [other, MOVE]) == {MOVE: ("CVE-2025-1", "CVE-2025-48379")}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        pytest.param({"aliases": []}, ("PYSEC-2025-61",), id="its own id without a CVE"),
        pytest.param({"aliases": ["GHSA-xg8h"]}, ("PYSEC-2025-61",), id="its own id before another than a CVE"),
        pytest.param({"fixed_in": ["11.3"]}, ("CVE-2025-48379",), id="repaired by the very version"),
        pytest.param({"fixed_in": ["10.9.1", "11.2.1"]}, ("CVE-2025-48379",), id="repaired on the way"),
        pytest.param({"fixed_in": ["11.4"]}, (), id="repaired later"),
        pytest.param({"fixed_in": ["11.0"]}, (), id="repaired already"),
        pytest.param({"fixed_in": []}, (), id="not repaired"),
        pytest.param({"fixed_in": ["after tuesday"]}, (), id="no version"),
        pytest.param({"withdrawn": "2025-08-01T00:00:00Z"}, (), id="withdrawn"),
    ],
)
def test_what_is_told_of_an_advisory(
    index: IndexServer, web: Web, entry: dict[str, object], told: tuple[str, ...]
) -> None:
    publish(index, "pillow", "11.0", {"vulnerabilities": [{**ENTRY, **entry}]})
    assert repaired(web, f"{index.url}/simple", [MOVE]).get(MOVE, ()) == told


def test_an_index_without_advisories_says_so(index: IndexServer, web: Web) -> None:
    with pytest.raises(NotThereError):
        repaired(web, f"{index.url}/simple", [MOVE])


def test_a_release_that_is_gone_hides_no_other(index: IndexServer, web: Web) -> None:
    publish(index, "pillow", "11.0", {"vulnerabilities": [ENTRY]})
    gone = Move("gone", "1.0", "2.0")
    assert repaired(web, f"{index.url}/simple", [gone, MOVE]) == {MOVE: ("CVE-2025-48379",)}


@pytest.mark.parametrize("document", [{}, [], {"vulnerabilities": None}, {"vulnerabilities": [3]}])
def test_what_is_no_answer_is_none(index: IndexServer, web: Web, document: object) -> None:
    publish(index, "pillow", "11.0", document)
    with pytest.raises(NotThereError, match="no advisories"):
        repaired(web, f"{index.url}/simple", [MOVE])


def test_an_index_that_is_down_is_an_error_of_the_network(
    index: IndexServer, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BACKOFF", 0)
    with pytest.raises(NetworkError):
        repaired(web, index.url.rpartition(":")[0] + ":1/simple", [MOVE])


def test_without_updates_nothing_is_asked(index: IndexServer, web: Web) -> None:
    assert repaired(web, f"{index.url}/simple", []) == {}
    assert index.asked == []
