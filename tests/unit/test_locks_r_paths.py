"""A lock of R packages leads nowhere but into its repositories, and may be of none."""

from dataclasses import replace

import lock_samples as samples
import pytest

from pyrlab.errors import StaleLockError
from pyrlab.model.locks.r import RFile, RLock, RPin

CURL = RPin("curl", "6.4.0", "cran", requested=True, files=(RFile("source", "src/curl.tar.gz", "c" * 64),))


def with_path(path: str) -> str:
    """Return the text of a lock whose file has this path."""
    return replace(samples.R, packages=(replace(CURL, files=(replace(CURL.files[0], path=path),)),)).render()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("src/contrib/curl_6.4.0.tar.gz", id="usual"),
        pytest.param("src/contrib/Archive/..curl/curl.tar.gz", id="dots-in-a-name"),
        pytest.param("curl.tar.gz", id="short"),
        pytest.param("src/größe/curl.tar.gz", id="letters"),
    ],
)
def test_a_path_below_the_repository_is_taken(path: str) -> None:
    assert RLock.parse(with_path(path)).packages[0].files[0].path == path


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../curl.tar.gz", id="upwards"),
        pytest.param("src/../../curl.tar.gz", id="upwards-in-between"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("src//curl.tar.gz", id="no-name-in-between"),
        pytest.param("src/./curl.tar.gz", id="here"),
        pytest.param("src/", id="a-folder"),
        pytest.param("", id="nothing"),
        pytest.param("http://evil.example/curl.tar.gz", id="another-server"),
        pytest.param("c:/curl.tar.gz", id="drive"),
        pytest.param("src\\..\\curl.tar.gz", id="backslashes"),
        pytest.param("src/my curl.tar.gz", id="space"),
        pytest.param("src/curl.tar.gz\u00a0", id="space-that-looks-like-none"),
        pytest.param("src/\u202ecurl.tar.gz", id="turns-the-text-round"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(StaleLockError, match="which is not below a repository's root"):
        RLock.parse(with_path(path))


def test_a_lock_without_packages_is_one() -> None:
    """A list that asks for none, of images that need none."""
    lock = replace(samples.R, packages=(), debs=(), build_debs=())
    assert RLock.parse(lock.render()) == lock
    assert RLock.earlier(lock.render(), warn=samples.never) == lock


def test_tables_that_are_not_there_are_empty() -> None:
    """TOML has no other way to write that a list of tables has none, where it is written by hand."""
    lock = replace(samples.R, packages=(), debs=(), build_debs=())
    warnings: list[str] = []
    text = lock.render().replace("package = []\ndeb = []\n", "")
    assert RLock.earlier(text, warn=warnings.append) == lock
    assert len(warnings) == 1


def test_a_double_is_named_by_its_lines() -> None:
    lines = samples.R.render().split("\n")
    opened = lines.index("[[package]]")
    end = lines.index("[[package]]", opened + 1)
    lines[end:end] = lines[opened:end]
    name = next(number for number, line in enumerate(lines, start=1) if line.startswith('name = "repr"'))
    with pytest.raises(StaleLockError) as caught:
        RLock.parse("\n".join(lines))
    assert str(caught.value) == (f"r_packages.lock:{name + end - opened}: repr is there twice, first in line {name}")
