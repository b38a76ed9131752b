"""Headers that a source package takes from elsewhere, read from its tarball."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrlab.adapters.cran.headers import included_headers

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Return a maker of tarballs, out of the bytes of each file."""

    def make(files: dict[str, bytes], *, compression: str = "gz") -> Path:
        path = tmp_path / "pkg_1.0.tar.gz"
        with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    return make


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"#include <zlib.h>", ["include/zlib.h"], id="plain"),
        pytest.param(b"#include <curl/curl.h>", ["include/curl/curl.h"], id="in-a-folder"),
        pytest.param(b"  #  include\t<zlib.h>  // zip", ["include/zlib.h"], id="spaces"),
        pytest.param(b"#include<zlib.h>\r\n", ["include/zlib.h"], id="no-space"),
        pytest.param(b"#include <Eigen/Dense>", ["include/Eigen/Dense"], id="without-suffix"),
        pytest.param(b'#include "zlib.h"', [], id="in-quotes"),
        pytest.param(b"// #include <zlib.h>", [], id="comment"),
        pytest.param(b"#include <zlib.h", [], id="open"),
        pytest.param(b"#include <../../etc/passwd>", [], id="path-that-leads-out"),
        pytest.param(b"\xff\xfe caf\xe9\n#include <zlib.h>", ["include/zlib.h"], id="not-utf-8"),
    ],
)
def test_an_include_in_angle_brackets_is_a_header_from_elsewhere(pack: Pack, line: bytes, expected: list[str]) -> None:
    """As the archive's Contents is asked for it."""
    assert included_headers(pack({"pkg/src/init.c": b"int x;\n" + line + b"\n"})) == expected


def test_headers_of_all_sources_are_sorted_and_named_once(pack: Pack) -> None:
    """C and C++, in folders of src too."""
    files = {
        "pkg/src/b.cpp": b"#include <zlib.h>\n#include <curl/curl.h>\n",
        "pkg/src/lib/a.hpp": b"#include <zlib.h>\n#include <bzlib.h>\n",
    }
    assert included_headers(pack(files)) == ["include/bzlib.h", "include/curl/curl.h", "include/zlib.h"]


def test_headers_that_a_package_brings_along_are_not_missing(pack: Pack) -> None:
    """Whole names count: a header whose name ends alike is another one."""
    files = {
        "pkg/src/init.c": b"#include <uv.h>\n#include <uv/unix.h>\n#include <lib.h>\n",
        "pkg/src/libuv/include/uv.h": b"",
        "pkg/inst/include/uv/unix.h": b"",
        "pkg/src/zlib.h": b"",
    }
    assert included_headers(pack(files)) == ["include/lib.h"]


def test_only_sources_that_are_compiled_are_read(pack: Pack) -> None:
    """Neither documentation, nor examples, nor other files beside the sources."""
    include = b"#include <zlib.h>\n"
    files = {"pkg/inst/examples/a.c": include, "pkg/src/README.md": include, "pkg/R/a.R": b"#include <zlib.h>\n"}
    assert included_headers(pack(files)) == []


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", ""])
def test_tarballs_are_read_however_they_are_compressed(pack: Pack, compression: str) -> None:
    """R's own rule: the name says .gz all the same."""
    package = pack({"pkg/src/init.c": b"#include <zlib.h>\n"}, compression=compression)
    assert included_headers(package) == ["include/zlib.h"]
