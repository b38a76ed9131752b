"""Which digest an image's name has, asked of a played registry: indexes, single images, users, and what goes wrong."""

import base64
import json
import stat
from pathlib import Path

import pytest
from machine import Answer, response_of
from registry_play import DOCKER, OCI, PlayedRegistry, digest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from pyrlab.adapters import http, registry
from pyrlab.adapters.http import NotThereError, RefusedError, Web
from pyrlab.errors import NetworkError, PyrlabError, UsageError
from pyrlab.model.base_image import Reference

IMAGE = "registry.test/team/base:1"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedRegistry:
    """Return a registry at registry.test, with TLS, and a Docker configuration that has no users."""
    made = PlayedRegistry()

    def send(adapter: HTTPAdapter, request: PreparedRequest, **_: object) -> Response:
        assert str(request.url).startswith("https://registry.test/"), request.url
        return response_of(adapter, request, made.answer(request))

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.setattr(http, "BACKOFF", 0.001)
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return made


def configure(tmp_path: Path, **settings: object) -> None:
    """Write Docker's configuration."""
    (tmp_path / "docker/config.json").write_text(json.dumps(settings), encoding="utf-8")


def resolve(tmp_path: Path, image: str = IMAGE, architecture: str = "amd64") -> str:
    """Return the digest that a name has."""
    reference = Reference.parse(image, where="base.image")
    web = Web(tmp_path / "cache")
    return registry.Registry(web, reference, registry.credentials(reference.host)).resolve(architecture)


@pytest.mark.parametrize("kinds", [pytest.param(OCI, id="oci"), pytest.param(DOCKER, id="docker")])
def test_of_an_index_the_image_of_the_architecture_is_taken(
    played: PlayedRegistry, tmp_path: Path, kinds: tuple[str, str]
) -> None:
    played.kinds = kinds
    names = {"arm64": "arm64/v8", "armhf": "arm/v7", "amd64": "amd64", "ppc64el": "ppc64le"}
    digests = {name: played.add(word) for name, word in names.items()}
    played.add_index("1", {word: digests[name] for name, word in names.items()})
    assert {name: resolve(tmp_path, architecture=name) for name in names} == digests


@pytest.mark.parametrize("kinds", [pytest.param(OCI, id="oci"), pytest.param(DOCKER, id="docker")])
def test_a_single_image_is_its_own_digest(played: PlayedRegistry, tmp_path: Path, kinds: tuple[str, str]) -> None:
    played.kinds = kinds
    made = played.add("amd64", tag="1")
    assert resolve(tmp_path) == made
    assert resolve(tmp_path, f"registry.test/team/base@{made}") == made


def test_a_moved_tag_is_seen(played: PlayedRegistry, tmp_path: Path) -> None:
    old = played.add("amd64", tag="1")
    new = played.add("amd64", tag="1", content="newer")
    assert new != old
    assert resolve(tmp_path) == new


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_a_registry_that_asks_gets_the_user_of_dockers_configuration(
    played: PlayedRegistry, tmp_path: Path, scheme: str
) -> None:
    made = played.add("amd64", tag="1")
    played.scheme = scheme
    configure(tmp_path, auths={"registry.test": {"auth": base64.b64encode(b"ann:sea:cret").decode()}})
    assert resolve(tmp_path) == made
    # The first question tells nobody who asks, and the answer to the challenge serves for all others.
    assert played.asked[0] == "GET /v2/team/base/manifests/1"
    assert played.asked[-1].endswith(scheme)
    assert len([one for one in played.asked if not one.endswith(("Basic", "Bearer"))]) == 1


@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
@pytest.mark.parametrize("identity", ["", "long-lived"])
def test_a_credential_helper_is_asked(
    played: PlayedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, identity: str
) -> None:
    """It gives a password, or a token that stands for the user."""
    answer = {"Username": "<token>", "Secret": identity} if identity else {"Username": "ann", "Secret": "sea:cret"}
    helper = tmp_path / "bin/docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = registry.test ] && echo \'{json.dumps(answer)}\'\n')
    helper.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    configure(tmp_path, **{setting: "tests" if setting == "credsStore" else {"registry.test": "tests"}})
    played.scheme, played.identity = "Bearer", identity
    made = played.add("amd64", tag="1")
    assert resolve(tmp_path) == made


def test_a_registry_may_offer_several_ways_to_say_who_asks(played: PlayedRegistry, tmp_path: Path) -> None:
    """In one header or several, which come as one; and not all put each value between quotes."""
    made = played.add("amd64", tag="1")
    played.scheme = "Bearer"
    configure(tmp_path, auths={"registry.test": {"auth": base64.b64encode(b"ann:sea:cret").decode()}})
    bearer = 'Bearer realm="https://registry.test/token",service=played'
    for offer in (f'{bearer}, Basic realm="x"', f'Basic realm="x", {bearer}', f"Negotiate, {bearer}"):
        played.said = [Answer(b"{}", 401, {"WWW-Authenticate": offer})]
        assert resolve(tmp_path) == made


@pytest.mark.parametrize("realm", ["http://registry.test/token", "http://127.0.0.1/token", "https://[/token", ""])
def test_no_user_is_told_to_a_place_without_tls(played: PlayedRegistry, tmp_path: Path, realm: str) -> None:
    configure(tmp_path, auths={"registry.test": {"auth": base64.b64encode(b"ann:sea:cret").decode()}})
    played.said = [Answer(b"{}", 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="played"'})]
    with pytest.raises(NetworkError, match="at a place that is not spoken to by TLS"):
        resolve(tmp_path)
    assert len(played.asked) == 1


@pytest.mark.parametrize(
    ("host", "answers"),
    [("127.0.0.1:5000", "made"), ("localhost", "made"), ("127.registry.test", "500"), ("registry.test", "500")],
)
def test_only_this_machines_own_registry_may_do_without_tls(
    played: PlayedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, answers: str
) -> None:
    made = played.add("amd64", tag="1")

    def send(adapter: HTTPAdapter, request: PreparedRequest, **_: object) -> Response:
        has_tls = str(request.url).startswith("https:")
        return response_of(adapter, request, Answer(status=500) if has_tls else played.answer(request))

    monkeypatch.setattr(HTTPAdapter, "send", send)
    if answers == "made":
        assert resolve(tmp_path, f"{host}/team/base:1") == made
    else:
        with pytest.raises(NetworkError, match=r"https://.* answered 500"):
            resolve(tmp_path, f"{host}/team/base:1")
        assert played.asked == []


@pytest.mark.parametrize(
    "config", [[], None, {"auths": ["a"]}, {"auths": {"registry.test": {"auth": 5}}}, {"credHelpers": ["a"]}]
)
def test_a_configuration_of_another_form_is_an_error(played: PlayedRegistry, tmp_path: Path, config: object) -> None:
    (tmp_path / "docker/config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UsageError, match=r"no user for registry.test: .* another form than Docker's"):
        resolve(tmp_path)
    assert played.asked == []


@pytest.mark.parametrize("said", ["{}", "[]", "null", "rubbish"])
def test_a_helper_that_says_rubbish_is_an_error(
    played: PlayedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    helper = tmp_path / "bin/docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\ncat >/dev/null; echo '{said}'\n")
    helper.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    configure(tmp_path, credsStore="tests")
    with pytest.raises(UsageError, match=r"Docker's configuration gives no user for registry.test"):
        resolve(tmp_path)
    assert played.asked == []


def test_a_helper_that_is_missing_is_an_error(played: PlayedRegistry, tmp_path: Path) -> None:
    configure(tmp_path, credsStore="nobody-has-this")
    with pytest.raises(UsageError, match=r"Docker's configuration gives no user for registry.test: .*nobody-has-this"):
        resolve(tmp_path)
    assert played.asked == []


def test_who_may_not_is_told_to_log_in(played: PlayedRegistry, tmp_path: Path) -> None:
    played.scheme = "Bearer"
    configure(tmp_path, auths={"registry.test": {"auth": base64.b64encode(b"ann:wrong").decode()}})
    with pytest.raises(RefusedError, match=r"registry.test/team/base, 1, is refused") as caught:
        resolve(tmp_path)
    assert caught.value.remedy.startswith("docker login registry.test")
    assert "wrong" not in str(caught.value)


def test_a_registry_that_has_had_enough_is_waited_for(
    played: PlayedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it asks for."""
    made = played.add("amd64", tag="1")
    waits: list[float | None] = []
    real = http._wait_before_again  # noqa: SLF001 - what is waited is what counts

    def noted(error: Exception) -> bool | float:
        wait = real(error)
        waits.append(wait)
        return 0.001 if wait else False

    monkeypatch.setattr(http, "_wait_before_again", noted)
    played.said = [Answer(status=429, headers={"Retry-After": "7"}), Answer(status=503)]
    assert resolve(tmp_path) == made
    assert waits == [7.0, True]


def test_a_registry_that_never_lets_in_is_given_up(played: PlayedRegistry, tmp_path: Path) -> None:
    played.said = [Answer(status=429)] * 99
    with pytest.raises(NetworkError, match=r"answered 429.*, 4 times"):
        resolve(tmp_path)
    assert len(played.asked) == 4


def test_a_name_that_is_not_there(played: PlayedRegistry, tmp_path: Path) -> None:
    played.add("amd64", tag="1")
    with pytest.raises(NotThereError, match=r"registry.test/team/base, 2, is not there"):
        resolve(tmp_path, "registry.test/team/base:2")


def test_an_image_for_others_is_refused(played: PlayedRegistry, tmp_path: Path) -> None:
    played.add_index("1", {"arm64/v8": played.add("arm64", tag="2"), "s390x": played.add("s390x")})
    with pytest.raises(UsageError, match="it is for linux/arm64/v8, linux/s390x, and the engine is amd64"):
        resolve(tmp_path)
    with pytest.raises(UsageError, match="it is for linux/arm64, and the engine is amd64"):
        resolve(tmp_path, "registry.test/team/base:2")


def test_steps_that_an_image_would_bring_into_the_build_are_refused(played: PlayedRegistry, tmp_path: Path) -> None:
    played.add("amd64", tag="1", OnBuild=["RUN curl https://example.org"])
    with pytest.raises(UsageError, match="ONBUILD"):
        resolve(tmp_path)


def _as_html(played: PlayedRegistry, made: str) -> None:
    played.manifests["1"] = ("text/html", b"<html>sign in</html>")
    assert made


def _as_schema_1(played: PlayedRegistry, made: str) -> None:
    played.manifests["1"] = ("application/vnd.docker.distribution.manifest.v1+json", b"{}")
    assert made


def _other_image(played: PlayedRegistry, made: str) -> None:
    played.add_index("1", {"amd64": made})
    played.manifests[made] = (OCI[1], b'{"config": {}}')


def _other_configuration(played: PlayedRegistry, made: str) -> None:
    played.blobs = dict.fromkeys(played.blobs, b"{}")
    assert made


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        pytest.param(OCI[0], b'{"manifests": 5}', "it is for nothing", id="no-list"),
        pytest.param(OCI[0], b'{"manifests": [{"platform": "linux"}]}', "it is for nothing", id="platform"),
        pytest.param(OCI[1], b'{"config": ["a"]}', "it has no configuration", id="config"),
        pytest.param(OCI[1], b"[" * 100_000, "its answer is not JSON", id="deep"),
    ],
)
def test_documents_of_another_form_are_not_believed(
    played: PlayedRegistry, tmp_path: Path, kind: str, body: bytes, says: str
) -> None:
    played.manifests["1"] = (kind, body)
    with pytest.raises(PyrlabError, match=says):
        resolve(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_as_html, "not JSON; a sign-in page, perhaps", id="captive-portal"),
        pytest.param(_as_schema_1, "neither an image nor an index", id="schema-1"),
        pytest.param(_other_image, "under a digest of its index is something else", id="other-image"),
        pytest.param(_other_configuration, "its configuration has other bytes", id="other-configuration"),
    ],
)
def test_what_is_no_image_is_not_believed(
    played: PlayedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: object, says: str
) -> None:
    assert callable(spoil)
    spoil(played, played.add("amd64", tag="1"))
    # A registry sends whatever kind it has, whatever was asked for.
    monkeypatch.setattr("registry_play.PlayedRegistry.answer", _unasked(PlayedRegistry.answer))
    with pytest.raises(PyrlabError, match=says):
        resolve(tmp_path)


def test_the_documents_of_an_image_are_those_of_its_digest(played: PlayedRegistry, tmp_path: Path) -> None:
    made = played.add("amd64", tag="1")
    reference = Reference.parse(f"registry.test/team/base@{made}", where="base.image")
    asked = registry.Registry(Web(tmp_path / "cache"), reference, registry.credentials(reference.host))
    manifest, configuration = asked.documents()
    assert digest(manifest) == made
    assert json.loads(manifest)["config"]["digest"] == digest(configuration)
    played.manifests[made] = (OCI[1], manifest + b"\n")
    with pytest.raises(NetworkError, match="what it has under this digest is something else"):
        asked.documents()


def _unasked(answer: object) -> object:
    def answering(played: PlayedRegistry, request: PreparedRequest) -> Answer:
        request.headers["Accept"] = " ".join(kind for kind, _ in played.manifests.values())
        assert callable(answer)
        made = answer(played, request)
        assert isinstance(made, Answer)
        return made

    return answering


@pytest.mark.parametrize(
    ("image", "server", "pinned"),
    [
        pytest.param("python", "registry-1.docker.io", "docker.io/library/python", id="official"),
        pytest.param("python:3.14-slim", "registry-1.docker.io", "docker.io/library/python", id="tag"),
        pytest.param("team/base:1", "registry-1.docker.io", "docker.io/team/base", id="of-a-user"),
        pytest.param("docker.io/python:3", "registry-1.docker.io", "docker.io/library/python", id="hub-by-name"),
        pytest.param("index.docker.io/python", "registry-1.docker.io", "docker.io/library/python", id="hub-of-before"),
        pytest.param("Server/base", "Server", "Server/base", id="upper-case-is-a-host"),
        pytest.param("localhost/base", "localhost", "localhost/base", id="localhost"),
        pytest.param("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000", "127.0.0.1:5000/a/b/c", id="port"),
        pytest.param("host.test/x@sha256:" + "0" * 64, "host.test", "host.test/x", id="digest"),
        pytest.param("host.test/x:1@sha256:" + "0" * 64, "host.test", "host.test/x", id="tag-and-digest"),
    ],
)
def test_names_mean_what_they_mean_to_docker(image: str, server: str, pinned: str) -> None:
    reference = Reference.parse(image, where="base.image")
    assert (reference.server, reference.pinned("sha256:1")) == (server, f"{pinned}@sha256:1")


@pytest.mark.parametrize(
    "image",
    [
        "",
        "Python",
        "a b",
        "http://host.test/x",
        "host.test/x:",
        "x@sha256:0",
        "x\nRUN true",
        "x:$tag",
        "../x",
        "host.test:99999/x",
        "[:::::]/x",
    ],
)
def test_what_is_no_name_is_refused(image: str) -> None:
    with pytest.raises(UsageError, match=r"base.image is .* which is no name of an image"):
        Reference.parse(image, where="base.image")
