"""Speaks to a registry of images: which digest a name has now, for one architecture.

Source: the Open Container Initiative's distribution and image specifications; for tokens distribution's "Token
Authentication" and "OAuth2" pages.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

import requests
from docker import auth as docker_auth
from docker.errors import DockerException
from requests.auth import HTTPBasicAuth

from pyrlab.adapters.http import NoTlsError, NotThereError, RefusedError, Reply, Web
from pyrlab.errors import NetworkError, UsageError
from pyrlab.model.base_image import DIGEST, Platform, Reference, configuration_of, is_loopback, named, table_in

AGENT = "pyrlab"
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = {"Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
_OK, _UNAUTHORIZED = 200, 401
# A parameter of a challenge, or the word that begins another one. Source: RFC 9110, section 11.6.1.
_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s",]*))|([\w-]+)')


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password, or a token that stands for both; all empty for nobody."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def credentials(host: str) -> Credentials:
    """Return what Docker's own configuration has for a registry, by a credential helper where it names one.

    Raises UsageError where the configuration cannot be read, or the helper fails.
    """
    try:
        with warnings.catch_warnings():
            # Of a helper that is missing; the error that follows says the same.
            warnings.simplefilter("ignore", UserWarning)
            said = docker_auth.load_config().resolve_authconfig(host) or {}
    except (DockerException, OSError, ValueError) as error:
        raise _no_user(host, f"{error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        # docker-py believes the file and the helper that they have its form.
        raise _no_user(host, "the file, or what its credential helper says, has another form than Docker's") from error
    # Of a file docker-py makes lower case, of a helper's answer what the engine calls it.
    lower = {key.lower(): str(value or "") for key, value in said.items()}
    return Credentials(lower.get("username", ""), lower.get("password", ""), lower.get("identitytoken", ""))


def _no_user(host: str, reason: str) -> UsageError:
    return UsageError(
        f"Docker's configuration gives no user for {host}: {reason}",
        remedy=f"docker login {host}; or mend config.json in ~/.docker or DOCKER_CONFIG",
    )


class _Bearer(requests.auth.AuthBase):
    """Says who asks, by a token. requests takes it away again where a redirect leads to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass
class Registry:
    """One registry, for the questions about one image."""

    web: Web
    reference: Reference
    credentials: Credentials
    _auth: requests.auth.AuthBase | None = None

    def resolve(self, architecture: str) -> str:
        """Return the digest of the image for Debian's ``architecture``: of an index the fitting one.

        Raises UsageError where there is none, NotThereError, RefusedError, NetworkError.
        """
        body, kind = self._manifest(self.reference.version)
        digest = _digest(body)
        if DIGEST.fullmatch(self.reference.version) and digest != self.reference.version:
            raise self._odd("what it has under this digest is something else")
        document = self._json(body)
        if kind in _INDEXES:
            digest = self._chosen(document, architecture)
            body, kind = self._manifest(digest)
            if _digest(body) != digest:
                raise self._odd("what it has under a digest of its index is something else")
            document = self._json(body)
        if kind not in _MANIFESTS:
            raise self._odd(f"it is {kind or 'of no kind'}, which is neither an image nor an index of some")
        self._check_configuration(document, architecture)
        return digest

    def documents(self) -> tuple[bytes, bytes]:
        """Return the manifest and the configuration of an image that is named by its digest.

        Raises NotThereError, RefusedError, NetworkError.
        """
        manifest, _ = self._manifest(self.reference.version)
        if _digest(manifest) != self.reference.version:
            raise self._odd("what it has under this digest is something else")
        return manifest, self._configuration(self._json(manifest))

    def _chosen(self, index: Mapping[str, Any], architecture: str) -> str:
        """Return the digest of the image in an index that is for this architecture."""
        listed = index.get("manifests")
        entries = [entry for entry in (listed if isinstance(listed, list) else ()) if _is_table(entry)]
        platforms = [Platform.of(table_in(entry, "platform")) for entry in entries]
        for entry, platform in zip(entries, platforms, strict=True):
            if platform.serves(architecture) and DIGEST.fullmatch(str(entry.get("digest"))):
                return str(entry["digest"])
        raise self._unfit(f"it is for {named(platforms)}, and the engine is {architecture}")

    def _check_configuration(self, manifest: Mapping[str, Any], architecture: str) -> None:
        """Raise UsageError for an image that is for another architecture, or brings steps of its own into a build."""
        configuration = self._json(self._configuration(manifest))
        platform = Platform.of(configuration)
        if not platform.serves(architecture):
            raise self._unfit(f"it is for {platform}, and the engine is {architecture}")
        if table_in(configuration, "config").get("OnBuild"):
            raise self._unfit("it has ONBUILD steps, which would run with a network")

    def _configuration(self, manifest: Mapping[str, Any]) -> bytes:
        """Return the configuration that a manifest names."""
        digest = configuration_of(manifest)
        if not digest:
            raise self._odd("it has no configuration")
        reply = self._get(f"blobs/{digest}", {})
        if _digest(reply.body) != digest:
            raise self._odd("its configuration has other bytes than its digest says")
        return reply.body

    def _manifest(self, version: str) -> tuple[bytes, str]:
        """Return a manifest's bytes and its kind."""
        reply = self._get(f"manifests/{version}", _ACCEPT)
        said = reply.headers.get("Content-Type", "").partition(";")[0].strip()
        return reply.body, str(self._json(reply.body).get("mediaType") or said)

    def _json(self, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not _is_table(document):
            raise self._odd("its answer is not JSON; a sign-in page, perhaps")
        return document

    def _get(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Ask for something of the image's repository; as somebody, once the registry wants that."""
        problems: list[NetworkError] = []
        for base in self._bases():
            url = f"{base}/v2/{self.reference.repository}/{path}"
            try:
                reply = self._converse(url, headers, expected=(_OK, _UNAUTHORIZED))
                if reply.status == _UNAUTHORIZED:
                    self._auth = self._answer(reply.headers.get("WWW-Authenticate", ""))
                    reply = self._converse(url, headers, expected=(_OK,))
            except (NotThereError, RefusedError) as error:
                raise self._refused(error) from error
            except NetworkError as error:
                problems.append(error)
                continue
            return reply
        # Of a server without TLS, what it said without counts.
        raise next((problem for problem in problems if not isinstance(problem, NoTlsError)), problems[0])

    def _converse(self, url: str, headers: Mapping[str, str], *, expected: tuple[int, ...]) -> Reply:
        return self.web.converse(url, agent=AGENT, headers=headers, auth=self._auth, expected=expected)

    def _bases(self) -> Iterator[str]:
        """Yield where the registry may be: like the engine, without TLS on this machine's own loopback only."""
        yield f"https://{self.reference.server}"
        if self._is_of_this_machine:
            yield f"http://{self.reference.server}"

    @property
    def _is_of_this_machine(self) -> bool:
        return is_loopback(urlsplit(f"//{self.reference.server}").hostname or "")

    def _answer(self, header: str) -> requests.auth.AuthBase | None:
        """Return what answers a registry's challenge: the user and password, or a token that its realm gives for them.

        Raises RefusedError, NetworkError.
        """
        offered = _challenges(header)
        if "bearer" in offered:
            return self._token(offered["bearer"])
        if "basic" in offered:
            return self._basic()
        raise self._odd("it wants to know who asks, in a way that is not understood")

    def _token(self, said: Mapping[str, str]) -> _Bearer:
        """Return the token that a realm gives for the user and password. Raises RefusedError, NetworkError."""
        realm = said.get("realm", "")
        if not self._is_private(realm):
            # Who asks is told there, and the network between would hear it.
            raise self._odd("it wants to know who asks at a place that is not spoken to by TLS")
        scope = said.get("scope") or f"repository:{self.reference.repository}:pull"
        query = {"service": said.get("service", ""), "scope": scope}
        if self.credentials.token:
            form = {**query, "grant_type": "refresh_token", "client_id": AGENT, "refresh_token": self.credentials.token}
            reply = self.web.converse(realm, agent=AGENT, form=form)
        else:
            mark = "&" if "?" in realm else "?"
            reply = self.web.converse(f"{realm}{mark}{urlencode(query)}", agent=AGENT, auth=self._basic())
        answer = self._json(reply.body)
        token = str(answer.get("token") or answer.get("access_token") or "")
        if not token:
            raise self._odd("its realm gives no token")
        return _Bearer(token)

    def _is_private(self, url: str) -> bool:
        """Tell whether nobody between hears what is said there: TLS, or for a registry of this machine the same one."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        host = parts.hostname or ""
        return parts.scheme == "https" or (parts.scheme == "http" and self._is_of_this_machine and is_loopback(host))

    def _basic(self) -> requests.auth.AuthBase | None:
        who = self.credentials
        return HTTPBasicAuth(who.user.encode(), who.password.encode()) if who.user else None

    def _refused(self, error: NetworkError) -> NetworkError:
        host = self.reference.host
        if isinstance(error, RefusedError):
            # Many registries say the same of a name that they do not have.
            remedy = f"docker login {host}; and check the name, base.image in pyrlab.toml"
            return RefusedError(f"{self._name} is refused: {error}", remedy=remedy)
        return NotThereError(f"{self._name} is not there: {error}", remedy="check base.image in pyrlab.toml")

    def _unfit(self, reason: str) -> UsageError:
        return UsageError(f"{self._name} cannot be the base: {reason}", remedy="name another base.image in pyrlab.toml")

    def _odd(self, reason: str) -> NetworkError:
        return NetworkError(
            f"{self._name} cannot be had: {reason}", remedy="check base.image in pyrlab.toml, and the registry"
        )

    @property
    def _name(self) -> str:
        return f"{self.reference.host}/{self.reference.repository}, {self.reference.version},"


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _challenges(header: str) -> dict[str, dict[str, str]]:
    """Return the parameters of each way to say who asks, by its name in lower case: a registry may offer several."""
    found: dict[str, dict[str, str]] = {}
    said: dict[str, str] = {}
    for key, quoted, bare, scheme in _CHALLENGE.findall(header):
        if scheme:
            said = found.setdefault(scheme.lower(), {})
        else:
            said[key] = quoted or bare
    return found


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
