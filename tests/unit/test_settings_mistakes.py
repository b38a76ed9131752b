"""Settings: each mistake is answered by its origin, the bad value and a remedy."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyrlab.errors import UsageError
from pyrlab.model.settings import Settings

Load = Callable[..., Settings]
REPOSITORY = 'write "debian", or a name of your choice and a URL: "cran=https://cran.example.org"'
URL = "write it as http://HOST:PORT; in a password, write special characters as %XX"
PREFIX = 'use lower-case letters, digits and single . _ - between them, as in "registry.example.org/team/"'
TENSORBOARD = "choose another port; TensorBoard is then at /proxy/6006/ of the lab's link"


@pytest.mark.parametrize(
    ("toml", "environment", "message", "remedy"),
    [
        pytest.param(
            "",
            {"PORT": "6006"},
            "PORT is 6006, which is TensorBoard's port inside the lab",
            TENSORBOARD,
            id="6006-in-PORT",
        ),
        pytest.param(
            "",
            {"RPORT": "6006"},
            "RPORT is 6006, which is TensorBoard's port inside the lab",
            TENSORBOARD,
            id="6006-in-RPORT",
        ),
        pytest.param(
            "[serve]\nport = 6006",
            {},
            "pyrlab.toml: serve.port (PORT) is 6006, which is TensorBoard's port inside the lab",
            TENSORBOARD,
            id="6006-in-port",
        ),
        pytest.param(
            "[serve]\nr_port = 6006",
            {"PORT": "8000"},
            "pyrlab.toml: serve.r_port (RPORT) is 6006, which is TensorBoard's port inside the lab",
            TENSORBOARD,
            id="6006-in-r_port",
        ),
        pytest.param(
            "", {"PORT": "65536"}, "PORT is 65536, which is no port", "choose one from 1 to 65535", id="port-too-high"
        ),
        pytest.param(
            "[serve]\nr_port = 0",
            {},
            "pyrlab.toml: serve.r_port (RPORT) is 0, which is no port",
            "choose one from 1 to 65535",
            id="port-zero",
        ),
        pytest.param(
            "[serve]\nport = -1",
            {},
            "pyrlab.toml: serve.port (PORT) is -1, which is no port",
            "choose one from 1 to 65535",
            id="port-negative",
        ),
        pytest.param(
            "",
            {"PORT": "1" * 5000},
            "PORT is a number of many digits, which is no port",
            "choose one from 1 to 65535",
            id="port-of-5000-digits",
        ),
        pytest.param(
            f"[serve]\nport = 0x{'f' * 5000}",
            {},
            "pyrlab.toml: serve.port (PORT) is a number of many digits, which is no port",
            "choose one from 1 to 65535",
            id="port-of-5000-hex-digits",
        ),
        pytest.param(
            "", {"APTPROXY": "http://[::1"}, "APTPROXY is no URL that can be read", URL, id="proxy-without-bracket"
        ),
        pytest.param(
            "",
            {"https_proxy": "http://me:pa/ss@proxy.example:3128"},
            "HTTPS_PROXY is no URL that can be read",
            URL,
            id="proxy-with-slash-in-its-password",
        ),
        pytest.param(
            '[network]\npython_index = "http://host:port/"',
            {},
            "pyrlab.toml: network.python_index (PIPPROXY) is no URL that can be read",
            URL,
            id="index-with-a-word-as-port",
        ),
        pytest.param(
            '[base]\napt_sources = ["deb http://[::1 trixie main"]',
            {},
            "pyrlab.toml: base.apt_sources is no URL that can be read",
            URL,
            id="source-without-bracket",
        ),
        pytest.param(
            '[images]\nprefix = "Team/"',
            {},
            "pyrlab.toml: images.prefix is 'Team/', which cannot start the name of an image",
            PREFIX,
            id="prefix-in-upper-case",
        ),
        pytest.param(
            '[images]\nprefix = "my team/"',
            {},
            "pyrlab.toml: images.prefix is 'my team/', which cannot start the name of an image",
            PREFIX,
            id="prefix-with-a-space",
        ),
        pytest.param(
            '[images]\nprefix = "team//"',
            {},
            "pyrlab.toml: images.prefix is 'team//', which cannot start the name of an image",
            PREFIX,
            id="prefix-with-two-slashes",
        ),
        pytest.param(
            '[images]\ntag = "my tag"',
            {},
            "pyrlab.toml: images.tag is 'my tag', which is no tag of an image",
            'use at most 128 letters, digits and . _ -, as in "latest", or "" for one of this project',
            id="tag-with-a-space",
        ),
        pytest.param("", {"PORT": "http"}, "PORT is 'http'", "it must be a number", id="port-is-a-word"),
        pytest.param(
            "[serve]\nport = true", {}, "pyrlab.toml: serve.port is True", "it must be a number", id="port-is-a-boolean"
        ),
        pytest.param(
            "[base]\nsuite = 13",
            {},
            "pyrlab.toml: base.suite is 13",
            "it must be text in quotes",
            id="text-is-a-number",
        ),
        pytest.param(
            '[base]\napt_sources = "deb x"',
            {},
            "pyrlab.toml: base.apt_sources is 'deb x'",
            "it must be a list of texts",
            id="list-is-a-text",
        ),
        pytest.param(
            "[base]\napt_sources = [1]",
            {},
            "pyrlab.toml: base.apt_sources is [1]",
            "it must be a list of texts",
            id="list-of-numbers",
        ),
        pytest.param(
            "[serve]\nports = 1",
            {},
            "pyrlab.toml: 'ports' is no key of [serve]",
            "did you mean 'port'?",
            id="unknown-key",
        ),
        pytest.param(
            "[images]\nzzz = 1",
            {},
            "pyrlab.toml: 'zzz' is no key of [images]",
            "choose from: prefix, tag",
            id="no-such-key",
        ),
        pytest.param(
            "[netwrk]", {}, "pyrlab.toml: 'netwrk' is no section", "did you mean 'network'?", id="unknown-section"
        ),
        pytest.param(
            "[smoke.exempt]\ntorch = ''",
            {},
            "pyrlab.toml: smoke.exempt: 'torch' has no reason",
            'write torch = "why it is exempt"',
            id="exempt-without-a-reason",
        ),
        pytest.param(
            "[smoke]\nexempt = ['torch']",
            {},
            "pyrlab.toml: smoke.exempt is ['torch']",
            "it must be a table of its own",
            id="exempt-as-a-list",
        ),
        pytest.param(
            "serve = 8888",
            {},
            "pyrlab.toml: serve is a section, not a value",
            "write it as [serve]",
            id="section-as-value",
        ),
        pytest.param(
            '[base]\ncheck_valid_until = "maybe"',
            {},
            "pyrlab.toml: base.check_valid_until is 'maybe'",
            "choose from: host, yes, no",
            id="no-such-choice",
        ),
        pytest.param(
            '[r]\nrepositories = ["other"]',
            {},
            "pyrlab.toml: r.repositories has 'other'",
            REPOSITORY,
            id="repository-without-url",
        ),
        pytest.param(
            '[r]\nrepositories = ["https://cran.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'https://cran.example.org'",
            REPOSITORY,
            id="repository-without-name",
        ),
        pytest.param(
            '[r]\nrepositories = ["cran=ftp://cran.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'cran=ftp://cran.example.org'",
            REPOSITORY,
            id="repository-of-another-scheme",
        ),
        pytest.param(
            '[r]\nrepositories = ["debian=https://cran.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'debian=https://cran.example.org'",
            REPOSITORY,
            id="repository-with-debians-name",
        ),
        pytest.param(
            '[r]\nrepositories = ["a b=https://cran.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'a b=https://cran.example.org'",
            REPOSITORY,
            id="repository-with-a-space-in-its-name",
        ),
        pytest.param(
            '[r]\nrepositories = ["https://me:hunter2@cran.example.org?token=hunter2"]',
            {},
            "pyrlab.toml: r.repositories has 'https://cran.example.org'",
            REPOSITORY,
            id="repository-with-a-password",
        ),
        pytest.param(
            '[r]\nrepositories = ["cran=https://a.example.org", "debian", "cran=https://b.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'cran' twice",
            "give each a name of its own",
            id="repository-named-twice",
        ),
        pytest.param(
            '[r]\nrepositories = ["debian", "debian"]',
            {},
            "pyrlab.toml: r.repositories has 'debian' twice",
            "give each a name of its own",
            id="debian-twice",
        ),
        pytest.param(
            '[r]\nrepositories = ["cran=https://${R_USER}:${MIRROR_KEY}@cran.example.org"]',
            {"R_USER": "me"},
            "pyrlab.toml: r.repositories uses ${MIRROR_KEY}, which is not set",
            "export MIRROR_KEY=…",
            id="variable-that-is-not-set",
        ),
        pytest.param(
            '[r]\nrepositories = ["github=https://cran.example.org"]',
            {},
            "pyrlab.toml: r.repositories has 'github=https://cran.example.org'",
            REPOSITORY,
            id="name-of-what-is-no-repository",
        ),
        pytest.param(
            '[r]\ngithub = "git.example.org"',
            {},
            "pyrlab.toml: r.github is no URL that can be read",
            "write that of the folder above owner/repo/tar.gz/sha, as in https://git.example.org",
            id="github-without-a-scheme",
        ),
        pytest.param(
            '[r]\ngithub = "https://${FORGE_TOKEN}@git.example.org"',
            {},
            "pyrlab.toml: r.github uses ${FORGE_TOKEN}, which is not set",
            "export FORGE_TOKEN=…",
            id="github-with-a-variable-that-is-not-set",
        ),
        pytest.param(
            '[r]\nallow_moving = "1"',
            {},
            "pyrlab.toml: r.allow_moving is '1'",
            "it must be true or false",
            id="boolean-is-a-text",
        ),
        pytest.param(
            "",
            {"HTTPS_PROXY": "socks5://me:hush@p.test:1080"},
            "HTTPS_PROXY is a proxy of a kind that pyrlab does not know: socks5",
            "name one that speaks HTTP: http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT",
            id="socks",
        ),
        pytest.param(
            "[labs]\ntrust_ca = true",
            {},
            "pyrlab.toml: labs.trust_ca is true, and no certificates are named",
            "name them: network.ca_file, or SSL_CERT_FILE",
            id="trust-in-nobody",
        ),
        pytest.param(
            "",
            {"SSL_CERT_FILE": "nowhere.pem"},
            "the certificate file nowhere.pem does not exist",
            "set SSL_CERT_FILE or network.ca_file in pyrlab.toml",
            id="missing-certificates",
        ),
        pytest.param(
            "[serve]\nport = 8 8",
            {},
            "pyrlab.toml cannot be read: Expected newline or end of document after a statement (at line 2, column 10)",
            "mend that line; it is TOML",
            id="not-toml",
        ),
    ],
)
def test_each_mistake_is_named_with_its_origin(
    load_settings: Load, toml: str, environment: dict[str, str], message: str, remedy: str
) -> None:
    """The whole message and the remedy."""
    with pytest.raises(UsageError) as caught:
        load_settings(toml, **environment)
    assert (str(caught.value), caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("url", "dated"),
    [
        pytest.param("https://ppm.example.org/cran/latest", "https://ppm.example.org/cran/TODAY", id="latest"),
        pytest.param(
            "https://ppm.example.org/cran/__linux__/trixie/latest/",
            "https://ppm.example.org/cran/__linux__/trixie/TODAY/",
            id="latest-binaries",
        ),
        pytest.param(
            "https://bioc.example.org/packages/release/bioc",
            "https://bioc.example.org/packages/3.NN/bioc",
            id="bioconductor-release",
        ),
        pytest.param(
            "https://bioc.example.org/packages/devel/bioc",
            "https://bioc.example.org/packages/3.NN/bioc",
            id="bioconductor-devel",
        ),
        pytest.param(
            "https://me:hunter2@ppm.example.org/latest", "https://ppm.example.org/TODAY", id="written-password"
        ),
        pytest.param(
            "https://${R_USER}:${MIRROR_KEY}@ppm.example.org/latest",
            "https://ppm.example.org/TODAY",
            id="password-of-the-environment",
        ),
        pytest.param(
            "https://ppm.example.org/${MIRROR_KEY}/latest",
            "https://ppm.example.org/${MIRROR_KEY}/TODAY",
            id="token-in-the-path",
        ),
        pytest.param(
            "https://ppm.example.org/latest?token=hunter2", "https://ppm.example.org/TODAY", id="token-in-the-query"
        ),
    ],
)
def test_a_snapshot_that_moves_is_refused_with_the_form_that_stands_still(
    load_settings: Load, url: str, dated: str
) -> None:
    """Credentials are in no message, wherever they come from."""
    with pytest.raises(UsageError) as caught:
        load_settings(f'[r]\nrepositories = ["debian", "ppm={url}"]', R_USER="me", MIRROR_KEY="hunter2")
    assert str(caught.value) == "pyrlab.toml: the repository 'ppm' is a snapshot that moves"
    shown = dated.replace("TODAY", f"{datetime.now(tz=UTC):%Y-%m-%d}")
    assert caught.value.remedy == f"name one that stands still, as {shown}; or set r.allow_moving = true"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://ppm.example.org/cran/__linux__/jammy/2026-11-02", id="package-manager"),
        pytest.param("https://ppm.example.org/cran/2026-11-02/bin/linux/jammy-x86_64/4.5", id="with-machine-and-r"),
        pytest.param("https://lab.example.org/bin/linux/jammy/4.5", id="r-universe"),
        pytest.param("https://${R_USER}:${MIRROR_KEY}@ppm.example.org/cran/__linux__/jammy/2026-11-02", id="password"),
    ],
)
def test_binaries_for_another_suite_are_refused(load_settings: Load, url: str) -> None:
    """They do not say so themselves, and would fail for a missing library, or worse."""
    with pytest.raises(UsageError) as caught:
        load_settings(f'[r]\nrepositories = ["debian", "ppm={url}"]', R_USER="me", MIRROR_KEY="hunter2")
    assert str(caught.value) == ("pyrlab.toml: the repository 'ppm' has binaries for jammy, and base.suite is 'trixie'")
    assert caught.value.remedy == (
        "write trixie in the place of jammy; or leave that part of the URL out, so that sources are compiled"
    )


@pytest.mark.parametrize("port", [pytest.param(6006, id="tensorboard"), pytest.param(0, id="zero")])
def test_a_port_of_the_command_line_is_checked_like_the_others(load_settings: Load, port: int) -> None:
    """Zero is a port that was asked for, not one that was left out."""
    with pytest.raises(UsageError, match=rf"^--port is {port}, which is "):
        load_settings().serving("pylab", port=port, notebooks=None)


def test_a_number_that_python_cannot_read_is_a_mistake_in_the_file(load_settings: Load) -> None:
    """Python reads no more than 4300 digits."""
    with pytest.raises(UsageError, match=r"^pyrlab\.toml cannot be read: ") as caught:
        load_settings(f"[serve]\nport = {'1' * 5000}")
    assert caught.value.remedy == "mend that line; it is TOML"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, load_settings: Load) -> None:
    """As in a container that runs under a number: no entry in the user database, and no HOME."""

    def no_home(path: Path) -> Path:
        if str(path).startswith("~"):
            message = "Could not determine home directory."
            raise RuntimeError(message)
        return path

    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setattr("os.path.expanduser", str)
    with pytest.raises(UsageError, match=r"^there is no home folder for ~/\.cache: ") as caught:
        load_settings()
    assert caught.value.remedy == "export HOME=…, or XDG_CACHE_HOME=… with a full path"
    # With a cache of its own such a user can lock and build; a lab wants a folder.
    loaded = load_settings(XDG_CACHE_HOME="/cache")
    with pytest.raises(UsageError, match=r"^there is no home folder for ~/notebooks: ") as caught:
        loaded.serving("pylab", port=None, notebooks=None)
    assert caught.value.remedy == "export HOME=…, or FILES=… with a full path"
    assert loaded.serving("pylab", port=None, notebooks=Path("/notebooks")).notebooks == Path("/notebooks")


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        pytest.param("cran=https:me:hunter2@cran.example.org", "cran=…", id="no-slashes"),
        pytest.param("me:hunter2@cran.example.org", "me=…", id="no-name"),
        pytest.param("my:cran=hunter2@cran.example.org", "my=…", id="colon-in-the-name"),
        pytest.param("cran=ftp://me:hunter2@cran.example.org/?a=hunter2", "cran=ftp://cran.example.org/", id="user"),
    ],
)
def test_a_mistyped_repository_is_shown_without_its_password(load_settings: Load, entry: str, shown: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(f'[r]\nrepositories = ["{entry}"]')
    assert str(caught.value) == f"pyrlab.toml: r.repositories has {shown!r}"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://me:hunt/er2@cran.example.org", id="slash-in-the-password"),
        pytest.param("https://cran.example.org/#top", id="fragment"),
        pytest.param("https:///src", id="no-server"),
        pytest.param("https://[::1", id="address"),
    ],
)
def test_a_repositorys_url_that_cannot_be_read_is_not_shown(load_settings: Load, url: str) -> None:
    """It may hold a password, in the wrong place."""
    with pytest.raises(UsageError) as caught:
        load_settings(f'[r]\nrepositories = ["cran={url}"]')
    assert (str(caught.value), caught.value.remedy) == (
        "pyrlab.toml: r.repositories: the URL of 'cran' cannot be read",
        "put a password with special characters into the environment, and ${VARIABLE} into the URL",
    )
