"""Settings: defaults, pyrlab.toml, and the environment above it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from graphs import GRAPH

from pyrlab.adapters import process
from pyrlab.adapters.settings_file import read as read_settings
from pyrlab.model.proxies import proxy_for
from pyrlab.model.r_repositories import RRepository
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.settings import Settings
from pyrlab.model.urls import FILE

Load = Callable[..., Settings]


def test_every_setting_has_a_default(load_settings: Load, project: Path) -> None:
    """An empty file and an empty environment are a working project."""
    loaded = load_settings()
    assert loaded.project == project
    assert loaded.cache == Path("~/.cache/pyrlab").expanduser()
    assert (loaded.base_image, loaded.suite, loaded.apt_sources) == ("", "trixie", ())
    assert (loaded.apt_proxy, loaded.python_index, loaded.python_trusted_host, loaded.ca_file) == ("", "", "", None)
    assert (loaded.r_repositories, loaded.prefix, loaded.proxies) == ((RRepository("debian"),), "", {})
    assert loaded.ports == {lab.image: lab.port for lab in GRAPH.labs.values()}
    assert loaded.notebooks == Path("~/notebooks").expanduser()
    assert not loaded.uses_loopback


def test_a_project_without_the_file_has_the_defaults(load_settings: Load, project: Path) -> None:
    """pyrlab.toml may be deleted."""
    loaded = load_settings()
    (project / FILE).unlink()
    assert read_settings(project, {}) == loaded


@pytest.mark.parametrize(
    ("variable", "section", "key", "attribute"),
    [
        pytest.param("FILES", "serve", "notebooks", "notebooks", id="FILES"),
        pytest.param("APTPROXY", "network", "apt_proxy", "apt_proxy", id="APTPROXY"),
        pytest.param("PIPPROXY", "network", "python_index", "python_index", id="PIPPROXY"),
        pytest.param("PIPHOST", "network", "python_trusted_host", "python_trusted_host", id="PIPHOST"),
    ],
)
def test_the_environment_wins_over_the_file(
    load_settings: Load, variable: str, section: str, key: str, attribute: str
) -> None:
    """And an empty variable is none."""
    toml = f'[{section}]\n{key} = "/from/file"'
    assert str(getattr(load_settings(toml, **{variable: "/from/environment"}), attribute)).endswith("/from/environment")
    assert str(getattr(load_settings(toml, **{variable: ""}), attribute)).endswith("/from/file")


def test_packages_are_exempt_from_smoke_tests_with_a_reason(load_settings: Load) -> None:
    loaded = load_settings('[smoke.exempt]\ntorch = "needs a GPU"')
    assert loaded.smoke_exempt == {"torch": "needs a GPU"}
    assert load_settings().smoke_exempt == {}


def test_ports_in_the_environment_are_numbers(load_settings: Load) -> None:
    """PORT is pylab's, RPORT is rlab's; a port in the file is overridden."""
    loaded = load_settings("[serve]\nport = 1\nr_port = 9000", PORT="8080")
    assert loaded.ports == {"pylab": 8080, "rlab": 9000}
    assert load_settings(RPORT="65535").ports["rlab"] == 65535


def test_folders_may_begin_with_a_tilde(load_settings: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The notebooks', the certificates', and the cache's own rule."""
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    (tmp_path / "ca.pem").touch()
    loaded = load_settings('[serve]\nnotebooks = "~/work"', SSL_CERT_FILE="~/ca.pem")
    assert (loaded.notebooks, loaded.ca_file, loaded.cache) == (
        tmp_path / "work",
        tmp_path / "ca.pem",
        tmp_path / ".cache" / "pyrlab",
    )
    assert load_settings(XDG_CACHE_HOME="/var/cache").cache == Path("/var/cache/pyrlab")


def test_the_command_line_wins_for_the_lab_that_it_names(
    load_settings: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Folders are made absolute, as Docker wants them; without arguments all stays."""
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(PORT="8000", FILES="here")
    assert loaded.serving("rlab", port=9001, notebooks=None).ports == {"pylab": 8000, "rlab": 9001}
    assert loaded.serving("rlab", port=None, notebooks=Path("there")).notebooks == tmp_path / "there"
    assert loaded.serving("pylab", port=None, notebooks=None).notebooks == tmp_path / "here"


def test_proxies_are_read_in_either_case(load_settings: Load) -> None:
    """As curl and pip do; where both are set, the upper-case one counts."""
    loaded = load_settings(http_proxy="http://a:1", HTTPS_PROXY="http://b:2", https_proxy="http://c:3", FTP_PROXY="x")
    asked = {name: url for name, url in loaded.proxies.items() if name != "NO_PROXY"}
    assert asked == {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2"}


def test_a_proxy_may_be_written_without_a_scheme(load_settings: Load) -> None:
    """As curl takes it. apt would take the host for one, and requests does where there is a user."""
    loaded = load_settings(http_proxy="me:hush@a:1", HTTPS_PROXY="https://b:2", NO_PROXY="c", APTPROXY="d:3142")
    assert (loaded.proxies["HTTP_PROXY"], loaded.proxies["HTTPS_PROXY"]) == ("http://me:hush@a:1", "https://b:2")
    assert loaded.proxies["NO_PROXY"].startswith("c,")
    assert loaded.apt_proxy == "http://d:3142"


@pytest.mark.parametrize("no_proxy", ["", "corp.test"])
def test_a_proxy_is_not_asked_for_what_is_on_this_machine(load_settings: Load, no_proxy: str) -> None:
    """Such as the index of ``nox -s proxies``: the proxy would look for it on its own machine. uv is told so, too."""
    loaded = load_settings(HTTP_PROXY="http://p.test:1", NO_PROXY=no_proxy)
    for host in ("127.0.0.1:3141", "localhost", "[::1]:3141"):
        assert proxy_for(f"http://{host}/root/pypi/+simple/", loaded.proxies) == ""
    assert proxy_for("http://i.test/", loaded.proxies) == "http://p.test:1"
    assert "127.0.0.1" in next(line for line in lock_secrets(loaded, "")["proxy"].splitlines() if "no_proxy" in line)
    assert load_settings(NO_PROXY="x").proxies == {"NO_PROXY": "x"}


def test_prefix_goes_before_the_image_and_a_tag_behind(load_settings: Load) -> None:
    """A registry and a team, or nothing; a tag that people fix, or one of this project's own."""
    fixed = load_settings('[images]\nprefix = "registry.example/team/"\ntag = "latest"')
    assert fixed.tag("pylab") == "registry.example/team/pylab:latest"
    own = load_settings()
    assert own.tag("rlab") == f"rlab:{own.workspace.slug}-{own.workspace.identity}"


def test_the_workspace_is_in_the_project_whatever_way_leads_to_it(load_settings: Load, project: Path) -> None:
    """A link to a project is that project."""
    load_settings()
    link = project.parent / f"{project.name}-link"
    link.symlink_to(project)
    direct, linked = read_settings(project, {}).workspace, read_settings(link, {}).workspace
    assert direct == linked
    assert (direct.project, direct.work, direct.owner) == (project, project / ".pyrlab", os.getuid())


@pytest.mark.parametrize("said", ["cache", "./cache", "", "../cache"])
def test_a_relative_cache_folder_is_none(load_settings: Load, said: str) -> None:
    """The XDG base directory specification wants it ignored."""
    assert load_settings(XDG_CACHE_HOME=said).cache == Path("~/.cache/pyrlab").expanduser()
    assert load_settings(XDG_CACHE_HOME="/var/cache/me").cache == Path("/var/cache/me/pyrlab")


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "team/",
        "a-b/c_d.e/f-",
        "localhost/",
        "localhost:5000/",
        "Registry.Example/team/",
        "host:5000/team/",
        "team-",
    ],
)
def test_prefixes_that_docker_takes(load_settings: Load, prefix: str) -> None:
    """A registry with or without a port, teams, and a beginning of the name itself."""
    assert load_settings(f'[images]\nprefix = "{prefix}"\ntag = "1"').tag("pylab") == f"{prefix}pylab:1"


@pytest.mark.parametrize(
    ("toml", "environment", "expected"),
    [
        pytest.param("", {"APTPROXY": "http://127.0.0.1:3142"}, True, id="apt-proxy"),
        pytest.param("", {"PIPPROXY": "http://localhost:3141/root/simple/"}, True, id="python-index"),
        pytest.param("", {"https_proxy": "http://[::1]:3128"}, True, id="proxy-on-ipv6"),
        pytest.param("", {"HTTP_PROXY": "localhost:3128"}, True, id="proxy-without-scheme"),
        pytest.param(
            '[base]\napt_sources = ["deb [trusted=yes] http://localhost:8000/debian trixie main"]',
            {},
            True,
            id="archive",
        ),
        pytest.param("", {"APTPROXY": "http://proxy.example:3142"}, False, id="another-machine"),
        pytest.param("", {"NO_PROXY": "localhost"}, False, id="what-needs-no-proxy"),
    ],
)
def test_servers_on_this_machine_are_noticed(
    load_settings: Load, toml: str, environment: dict[str, str], *, expected: bool
) -> None:
    """A build step reaches them over the host's network only."""
    assert load_settings(toml, **environment).uses_loopback is expected


def repositories(load_settings: Load, *entries: str, moving: bool = False, **environment: str) -> dict[str, str]:
    """Return the URLs of R repositories by name, as they are read from pyrlab.toml."""
    toml = f"[r]\nrepositories = {list(entries)}\nallow_moving = {str(moving).lower()}"
    return {one.name: one.url for one in load_settings(toml, **environment).r_repositories}


def test_r_repositories_are_names_with_urls_in_the_users_order(load_settings: Load) -> None:
    """Debian has no URL; a slash at the end means nothing."""
    read = repositories(
        load_settings, "mirror = https://cran.example.org/", "debian", "mine=file:///srv/r", "r.2=http://127.0.0.1:8000"
    )
    assert list(read.items()) == [
        ("mirror", "https://cran.example.org"),
        ("debian", ""),
        ("mine", "file:///srv/r"),
        ("r.2", "http://127.0.0.1:8000"),
    ]


def test_credentials_of_a_repository_come_from_the_environment(load_settings: Load) -> None:
    """A password may hold what a URL may not."""
    entry = "cran=https://${R_USER}:${MIRROR_KEY}@cran.example.org"
    read = repositories(load_settings, entry, R_USER="me", MIRROR_KEY="p@ss/w:rd")
    assert read == {"cran": "https://me:p%40ss%2Fw%3Ard@cran.example.org"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("cran=https://me:${MIRROR_KEY}@cran.example.org", id="of-the-environment"),
        pytest.param("cran=https://me:hunter2@cran.example.org", id="as-written"),
    ],
)
def test_credentials_of_a_repository_are_not_shown(load_settings: Load, entry: str) -> None:
    """Settings end up in messages and logs."""
    loaded = load_settings(f'[r]\nrepositories = ["{entry}"]', MIRROR_KEY="hunter2")
    assert "hunter2" in loaded.r_repositories[0].url
    assert "hunter2" not in repr(loaded)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://ppm.example.org/cran/2026-11-01", id="dated"),
        pytest.param("https://ppm.example.org/cran/__linux__/trixie/2026-11-01", id="dated-binaries"),
        pytest.param("https://bioc.example.org/packages/3.21/bioc", id="bioconductor-release-by-number"),
        pytest.param("https://latest.example.org/release/devel", id="moving-words-elsewhere"),
    ],
)
def test_what_stands_still_needs_no_leave(load_settings: Load, url: str) -> None:
    """A plain mirror neither: it keeps its old packages in the Archive."""
    assert repositories(load_settings, f"r={url}") == {"r": url}


@pytest.mark.parametrize(
    ("suite", "url"),
    [
        pytest.param("trixie", "https://ppm.example.org/cran/__linux__/trixie/2026-11-01", id="of-the-suite"),
        pytest.param("trixie", "https://ppm.example.org/cran/__linux__/manylinux_2_28/2026-11-01", id="portable"),
        pytest.param("stable", "https://ppm.example.org/cran/__linux__/trixie/2026-11-01", id="suite-by-another-name"),
        pytest.param("trixie", "https://ppm.example.org/jammy/2026-11-01", id="a-folder-of-that-name"),
    ],
)
def test_binaries_that_fit_the_suite_are_taken(load_settings: Load, suite: str, url: str) -> None:
    loaded = load_settings(f'[base]\nsuite = "{suite}"\n[r]\nrepositories = ["r={url}"]')
    assert [one.url for one in loaded.r_repositories] == [url]


def test_a_snapshot_may_move_where_the_user_says_so(load_settings: Load) -> None:
    """The URL is taken as it is."""
    read = repositories(load_settings, "ppm=https://ppm.example.org/cran/latest", moving=True)
    assert read == {"ppm": "https://ppm.example.org/cran/latest"}


@pytest.mark.parametrize(
    ("choice", "shown", "expected"),
    [
        pytest.param("yes", 'Acquire::Check-Valid-Until "false";', "true", id="yes"),
        pytest.param("no", "", "false", id="no"),
        pytest.param("host", "", "true", id="host-says-nothing"),
        pytest.param("host", 'Acquire::Check-Valid-Until "false";', "false", id="host-says-false"),
        pytest.param("host", 'Acquire::Check-Valid-Until "0";', "false", id="host-says-0"),
        pytest.param("host", None, "true", id="host-has-no-apt"),
    ],
)
def test_the_hosts_apt_is_asked_where_the_choice_says_so(
    load_settings: Load, monkeypatch: pytest.MonkeyPatch, choice: str, shown: str | None, expected: str
) -> None:
    """``shown`` is what apt-config prints, None where there is no such program."""

    def run(command: Sequence[str], *, timeout: float) -> str:
        assert command[0] == "apt-config"
        assert timeout > 0
        return str(shown)

    if shown is not None:
        monkeypatch.setattr(process, "run", run)
    assert load_settings(f'[base]\ncheck_valid_until = "{choice}"').check_valid_until == expected


@pytest.mark.parametrize("port", [1, 65535])
def test_all_ports_are_to_be_had(load_settings: Load, port: int) -> None:
    assert load_settings(f"[serve]\nport = {port}").ports["pylab"] == port


def test_a_repositorys_url_ends_without_slashes(load_settings: Load) -> None:
    assert repositories(load_settings, "cran=https://cran.example.org/X//") == {"cran": "https://cran.example.org/X"}


def test_limits_of_a_build_are_read(load_settings: Load) -> None:
    settings = load_settings("[build]\njobs = 3\ntimeout = 60")
    assert (settings.jobs, settings.compile_timeout) == (3, 60)
    assert (load_settings().jobs, load_settings().compile_timeout) == (0, 3600)
