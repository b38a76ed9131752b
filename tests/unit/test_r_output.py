"""What the build steps of R packages print: progress while they run, and the error when one fails."""

import pytest

from pyrlab.adapters.docker import buildkit as bake
from pyrlab.adapters.docker import r_output
from pyrlab.adapters.docker.failed_step import failed_step
from pyrlab.adapters.docker.r_output import CompileError, reader
from pyrlab.errors import BuildError, HashMismatchError, NoRoomError, PyrlabError


def explain(output: str) -> PyrlabError | None:
    return r_output.explain(failed_step(output))


def failed(*lines: str, status: int = 1) -> str:
    """Return BuildKit's plain output of a step that prints ``lines`` and fails: it prints them twice."""
    times = [f"{number}.531 {line}" for number, line in enumerate(lines, start=2)]
    return "\n".join(
        [
            "#11 [r-build 1/1] RUN install-debs",
            "#11 DONE 4.2s",
            "#12 [r-library 1/1] RUN python3 install_packages.py",
            *(f"#12 {line}" for line in times),
            f'#12 ERROR: process "/bin/sh -c python3" did not complete successfully: exit code: {status}',
            "------",
            " > [r-library 1/1] RUN python3 install_packages.py:",
            *times,
            "------",
            "ERROR: target rlab: failed to solve: exit code: 1",
        ]
    )


def compile_failure(*said: str, requirements: str = "") -> str:
    """Return the output of a build in which curl does not compile."""
    wants = [f"pyrlab-r requirements curl: {requirements}"] if requirements else []
    return failed(
        "pyrlab-r compiled cli 3.6.5 12.3s",
        "pyrlab-r failed curl 6.4.0",
        "pyrlab-r output",
        *said,
        "pyrlab-r end",
        *wants,
    )


COMPILE_REMEDY = "the last lines say why; what is missing may be a Debian package for r_debs.txt"


@pytest.mark.parametrize(
    ("lines", "kind", "message", "remedy"),
    [
        pytest.param(
            ["pyrlab-r mismatch curl 6.4.0", "pyrlab-r mismatch cli 3.6.5", "pyrlab-r mismatch curl 6.4.0"],
            HashMismatchError,
            "the bytes of curl 6.4.0, cli 3.6.5 are not those that r_packages.lock names",
            "something changed files while they were built from: run the same again, and find out what it was",
            id="other-bytes",
        ),
        pytest.param(
            ["pyrlab-r refused curl 6.4.0: it holds ../../etc/passwd"],
            BuildError,
            "curl 6.4.0: it holds ../../etc/passwd: the package was refused",
            "do not use this file: ask whoever keeps the repository, or name another one in r_packages.txt",
            id="dangerous-tarball",
        ),
        pytest.param(
            ["pyrlab-r plan cli and curl wait for each other"],
            BuildError,
            "r_packages.lock cannot be installed: cli and curl wait for each other",
            "nox -s lock -- r",
            id="plan-that-cannot-be-done",
        ),
        pytest.param(
            ["pyrlab-r full", "pyrlab-r failed curl 6.4.0"],
            NoRoomError,
            "the Docker engine's disk is full",
            "make room: nox -s clean, docker builder prune",
            id="full-disk-before-what-it-broke",
        ),
        pytest.param(
            ["pyrlab-r failed curl 6.4.0", "pyrlab-r output", "ERROR: compilation failed", "pyrlab-r end"],
            CompileError,
            "curl 6.4.0 could not be compiled",
            COMPILE_REMEDY,
            id="compilation",
        ),
        pytest.param(
            [
                "pyrlab-r failed curl 6.4.0",
                "pyrlab-r output",
                "pyrlab-r end",
                "pyrlab-r requirements cli: nothing of curl's",
                "pyrlab-r requirements curl: libcurl: libcurl-devel (rpm)",
            ],
            CompileError,
            "curl 6.4.0 could not be compiled; its SystemRequirements: libcurl: libcurl-devel (rpm)",
            COMPILE_REMEDY,
            id="compilation-with-requirements",
        ),
        pytest.param(
            ["pyrlab-r output", "** byte-compile and prepare", "pyrlab-r end", "pyrlab-r slow curl 6.4.0 3600"],
            BuildError,
            "curl 6.4.0 still compiled after 3600 s, and was ended",
            "allow more time: build.timeout in pyrlab.toml, in seconds",
            id="too-slow",
        ),
        pytest.param(
            ["pyrlab-r broken curl 6.4.0: it wants cli >= 4", "pyrlab-r broken vctrs 0.6.5: it does not load"],
            CompileError,
            "R packages of rlab do not work together: curl 6.4.0: it wants cli >= 4; vctrs 0.6.5: it does not load",
            "nox -s lock -- r --upgrade; or ask for other versions in r_packages.txt",
            id="gate",
        ),
    ],
)
def test_each_failure_is_an_error_of_its_own(
    lines: list[str], kind: type[PyrlabError], message: str, remedy: str
) -> None:
    """Class, message and remedy; what BuildKit repeats is told once."""
    error = explain(failed(*lines, status=8 if kind is HashMismatchError else 1))
    assert error is not None
    assert (type(error), str(error), error.remedy) == (kind, message, remedy)


def test_the_error_reaches_who_bakes() -> None:
    """Before Debian's and Python's own explanations, whose words a compiler may use."""
    error = bake.explain(compile_failure("Temporary failure resolving 'deb.example.org'"))
    assert (type(error), str(error)) == (CompileError, "curl 6.4.0 could not be compiled")


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("", id="nothing"),
        pytest.param(failed("E: Unable to locate package x"), id="another-step"),
        pytest.param(failed("pyrlab-r compiled cli 3.6.5 12.3s", "gcc: killed"), id="progress-only"),
        pytest.param(failed("echo pyrlab-r failed curl"), id="elsewhere-in-a-line"),
        pytest.param(failed("pyrlab-gone curl 8"), id="mark-of-debs"),
    ],
)
def test_other_output_is_for_others_to_explain(output: str) -> None:
    """Only our own marks, at the beginning of a line, count."""
    assert explain(output) is None


def test_the_detail_is_what_the_compiler_said() -> None:
    """Between the marks, without BuildKit's numbers and times, once."""
    error = explain(compile_failure("curl.c:1:10: fatal error: x.h", "ERROR: compilation failed"))
    assert error is not None
    assert error.detail == "curl.c:1:10: fatal error: x.h\nERROR: compilation failed"


def test_the_detail_of_a_slow_package_is_what_it_said_last() -> None:
    """So that a user sees whether it went on, or hung."""
    lines = ["pyrlab-r output", "checking for curl...", "pyrlab-r end", "pyrlab-r slow curl 6.4.0 60"]
    error = explain(failed(*lines))
    assert error is not None
    assert error.detail == "checking for curl..."


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        pytest.param(
            "callbacks.c:2:10: fatal error: curl/curl.h: No such file or directory",
            ("include/curl/curl.h",),
            id="header",
        ),
        pytest.param("/usr/bin/ld: cannot find -lgsl: No such file or directory", ("lib/libgsl.so",), id="linker"),
        pytest.param("/usr/bin/ld: cannot find -lgsl", ("lib/libgsl.so",), id="older-linker"),
        pytest.param(
            "Package libcurl was not found in the pkg-config search path.",
            ("lib/pkgconfig/libcurl.pc", "share/pkgconfig/libcurl.pc"),
            id="pkg-config",
        ),
        pytest.param(
            "No package 'libcurl' found",
            ("lib/pkgconfig/libcurl.pc", "share/pkgconfig/libcurl.pc"),
            id="pkg-config-no-package",
        ),
        pytest.param(
            "Package 'libcurl', required by 'virtual:world', not found",
            ("lib/pkgconfig/libcurl.pc", "share/pkgconfig/libcurl.pc"),
            id="pkgconf",
        ),
        pytest.param(
            "Package 'gtk+-3.0', required by 'virtual:world', not found",
            ("lib/pkgconfig/gtk+-3.0.pc", "share/pkgconfig/gtk+-3.0.pc"),
            id="pkgconf-name-with-signs",
        ),
        pytest.param(
            "  libgsl.so.27: cannot open shared object file: No such file or directory",
            ("lib/libgsl.so.27",),
            id="loader",
        ),
        pytest.param(
            "x: error while loading shared libraries: libproj.so.25: cannot open shared object file",
            ("lib/libproj.so.25",),
            id="loader-of-a-program",
        ),
        pytest.param("curl.c:1:10: error: unknown type name", (), id="nothing-that-is-missing"),
    ],
)
def test_what_is_missing_is_named_as_the_archives_contents_is_asked(line: str, missing: tuple[str, ...]) -> None:
    """So that the deb that has it can be looked up."""
    error = explain(compile_failure("gcc -c curl.c", line, "ERROR: compilation failed"))
    assert isinstance(error, CompileError)
    assert error.missing == missing


def test_each_missing_file_is_named_once() -> None:
    """Compilers complain in each file; what they say of other steps does not count."""
    header = "fatal error: zlib.h: No such file or directory"
    error = explain(f"#5 1.0 fatal error: other.h: No such file or directory\n{compile_failure(header, header)}")
    assert isinstance(error, CompileError)
    assert error.missing == ("include/zlib.h",)


def test_the_debs_that_a_configure_script_names_are_kept() -> None:
    """Many say so themselves, for each system."""
    error = explain(
        compile_failure(
            "Configuration failed to find libcurl. Try installing:",
            " * deb: libcurl4-openssl-dev (Debian, Ubuntu, etc)",
            " * rpm: libcurl-devel (Fedora, CentOS, RHEL)",
            " * deb: libcurl4-openssl-dev",
            " * deb: libssl3-dev",
        )
    )
    assert isinstance(error, CompileError)
    assert error.debs == ("libcurl4-openssl-dev", "libssl3-dev")


def test_a_library_that_the_gate_misses_is_looked_up_too() -> None:
    """A package compiles beside its -dev packages, and may not load without them."""
    error = explain(failed("pyrlab-r broken sf 1.0-21: libproj.so.25: cannot open shared object file"))
    assert isinstance(error, CompileError)
    assert error.missing == ("lib/libproj.so.25",)


def told(*lines: str) -> list[str]:
    """Return what a user is told of these lines of a build."""
    heard: list[str] = []
    read = reader(heard.append)
    for line in lines:
        read(line)
    return heard


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["#12 14.531 pyrlab-r compiled cli 3.6.5 12.3s"], ["compiled cli 3.6.5: 12.3 s"], id="compiled"),
        pytest.param(["#12 0.5 pyrlab-r unpacked BH 1.87.0-1"], ["unpacked BH 1.87.0-1, a binary"], id="binary"),
        pytest.param(
            ["#12 0.1 pyrlab-r cached cli 3.6.5", "#12 0.1 pyrlab-r cached BH 1.87.0-1", "#12 DONE 0.4s"],
            ["R packages that were compiled before: 2"],
            id="cached-are-counted",
        ),
        pytest.param(["#12 0.1 pyrlab-r cached cli 3.6.5"], [], id="cached-before-the-step-ends"),
        pytest.param(
            ["#12 0.1 pyrlab-r cached cli 3.6.5", "#7 DONE 0.4s", "#1 DONE 0.1s"], [], id="another-step-is-done"
        ),
        pytest.param(
            ["#12 14.5 pyrlab-r compiled cli 3.6.5 12.3s", "14.5 pyrlab-r compiled cli 3.6.5 12.3s"],
            ["compiled cli 3.6.5: 12.3 s"],
            id="printed-twice",
        ),
        pytest.param(
            ["#12 0.5 pyrlab-r failed cli 3.6.5", "#12 0.5 checking pyrlab-r compiled", "#12 DONE 1s"], [], id="others"
        ),
    ],
)
def test_progress_is_told_package_by_package(lines: list[str], expected: list[str]) -> None:
    """As it happens."""
    assert told(*lines) == expected
