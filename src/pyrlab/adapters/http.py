"""The one place that talks HTTP: downloads into a cache by content, tries again, and shows no password."""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import stamina
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import address_in_network, is_ipv4_address, is_valid_cidr
from urllib3 import exceptions, util

from pyrlab.adapters.files import filling
from pyrlab.adapters.store import Store
from pyrlab.errors import HashMismatchError, NetworkError, PyrlabError

log = logging.getLogger(__name__)
# What is tried again is told where it matters: in the message, when all of it failed.
stamina.instrumentation.set_on_retry_hooks([])

CHUNK = 2**18
THREADS = 8
BACKOFF = 0.2
LONGEST_WAIT = 10.0
_CHECK_NETWORK = "check the network, and APTPROXY, PIPPROXY, HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
Answer = TypeVar("Answer")
_hidden: set[str] = set()


class NotThereError(NetworkError):
    """The server answers, and has no such file."""


class BadRequestError(NetworkError):
    """The server can make nothing of this path."""


class RefusedError(NetworkError):
    """The server wants another user."""


class _AgainError(Exception):
    """What went wrong may go right a moment later: in ``wait`` seconds, if the server says when."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Download:
    """A file in the cache. It belongs to the cache: read it, and do not change it.

    ``url`` is where the server had it in the end, without the user: what its relative links start from.
    """

    path: Path
    sha256: str
    url: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a server answered at once: its status, its Date and Age as it wrote them, and how the body begins."""

    status: int
    date: str
    age: str
    head: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered to one question, whole: its status, its headers in any case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file by its hash, and who may have it; ``size`` in bytes, or 0 where it is not known."""

    urls: tuple[str, ...]
    sha256: str
    size: int
    name: str


class Web:
    """Downloads into ``cache``, for any number of threads.

    ``timeout`` is in seconds, for a connection and for each wait for more; ``retries`` follow the first attempt.
    ``proxies`` is by HTTP_PROXY, HTTPS_PROXY and NO_PROXY; those of the environment do not count.
    """

    def __init__(  # noqa: PLR0913 - all that decides how this machine reaches others
        self,
        cache: Path,
        *,
        ca_file: Path | None = None,
        proxies: Mapping[str, str] = {},
        unverified_hosts: Collection[str] = (),
        timeout: float = 30.0,
        retries: int = 3,
    ) -> None:
        self._store = Store(cache / "files")
        self._urls = cache / "urls"
        self._timeout = timeout
        self._retries = retries
        self._session = requests.Session()
        # Threads share the session, and cookies would be the one thing in it that changes.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(ca_file, proxies, unverified_hosts))

    def get(self, url: str, *, agent: str, accept: str = "*/*") -> Download:
        """Return what ``url`` (http, https, file) holds now; from the cache, where the server says it is the same.

        Credentials are those in the URL, else those of netrc. Raises NotThereError, RefusedError, NetworkError, and
        OSError when the cache cannot be written.
        """
        if local := local_path(url):
            return self._copy(local, url)
        return self._patiently(url, lambda: self._ask(url, agent, accept))

    def look(self, url: str, *, agent: str, accept: str = "*/*", length: int = 2**16) -> Look:
        """Return what a server answers, whatever that is, to one question; nothing is kept. ``length`` is in bytes.

        Raises NetworkError where no answer comes.
        """
        bare, auth = _split_user(url)
        headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity"}
        try:
            with (
                _explained(url, self._timeout),
                self._session.get(bare, auth=auth, headers=headers, timeout=self._timeout, stream=True) as response,
            ):
                said = response.headers
                head = response.raw.read(length)
                return Look(response.status_code, said.get("Date", ""), said.get("Age", ""), head)
        except _AgainError as again:
            raise NetworkError(f"{public(url)} {again}", remedy=_CHECK_NETWORK) from None

    def converse(  # noqa: PLR0913 - all that a question is made of
        self,
        url: str,
        *,
        agent: str,
        headers: Mapping[str, str] = {},
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
        form: Mapping[str, str] | None = None,
        expected: Collection[int] = (200,),
        limit: int = 2**23,
    ) -> Reply:
        """Return the answer of a server that is spoken to in several steps, such as a registry; nothing is kept.

        ``form`` makes it a POST, ``expected`` are the statuses to return, ``limit`` bounds the body, in bytes.
        Raises NotThereError, RefusedError, NetworkError.
        """

        def ask() -> Reply:
            with (
                _explained(url, self._timeout),
                self._session.request(
                    "POST" if form else "GET",
                    url,
                    # Without one, requests takes a user of its own choice from netrc.
                    auth=auth or (lambda request: request),
                    data=form,
                    headers={"User-Agent": agent, "Accept-Encoding": "identity", **headers},
                    timeout=self._timeout,
                    stream=True,
                ) as response,
            ):
                log.debug("%s %s: %d", "POST" if form else "GET", public(url), response.status_code)
                if response.status_code not in expected:
                    _check(response, url)
                body = response.raw.read(limit + 1)
                if len(body) > limit:
                    raise NetworkError(
                        f"{public(url)} answered more than {limit} bytes", remedy="check this URL in pyrlab.toml"
                    )
                return Reply(response.status_code, response.headers, body)

        return self._patiently(url, ask)

    def _patiently(self, url: str, ask: Callable[[], Answer]) -> Answer:
        """Return what ``ask`` returns, asking again where that may help. Raises NetworkError."""
        try:
            for attempt in stamina.retry_context(
                on=_wait_before_again, attempts=self._retries + 1, timeout=None, wait_initial=BACKOFF, wait_jitter=0
            ):
                with attempt:
                    return ask()
        except _AgainError as again:
            raise NetworkError(
                f"{public(url)} {again}, {self._retries + 1} times",
                remedy=f"{_CHECK_NETWORK}; then run the same again",
            ) from None
        raise AssertionError(url)

    def cached(self, sha256: str) -> Path | None:
        """Return the file in the cache that has this hash, computed anew; None if there is none."""
        return self._store.get(sha256)

    def fetch(self, wanted: "Wanted", *, agent: str) -> Path:
        """Return the file that is wanted: from the store, or from the first of its URLs that has these very bytes.

        Raises HashMismatchError when only other bytes are to be had, NotThereError when none are, NetworkError.
        """
        kept = self._store.get(wanted.sha256)
        if kept:
            return kept
        problems: list[PyrlabError] = []
        for url in wanted.urls:
            try:
                return self._fetch(url, wanted, agent)
            except (NetworkError, HashMismatchError) as error:
                problems.append(error)
        raise _gravest(problems, wanted.name)

    def fetch_all(
        self, wanted: Sequence["Wanted"], *, agent: str, progress: Callable[[int], None] = lambda _: None
    ) -> list["Wanted"]:
        """Fetch many files, eight at a time, and return those that are nowhere any more.

        ``progress`` is told the bytes of each file that has come. The first other failure cancels what has not begun.
        Raises HashMismatchError, NetworkError.
        """
        gone = []
        with ThreadPoolExecutor(THREADS) as pool:
            futures = {pool.submit(self.fetch, file, agent=agent): file for file in wanted}
            try:
                for future in as_completed(futures):
                    try:
                        future.result()
                        progress(futures[future].size)
                    except NotThereError:
                        gone.append(futures[future])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return gone

    def _fetch(self, url: str, wanted: "Wanted", agent: str) -> Path:
        """Download one file whose hash is known. No note of it is kept: its hash is all that is to be known of it."""
        local = local_path(url)
        if local:
            if not local.is_file():
                raise _not_there(url)
            with local.open("rb") as file:
                return self._keep_wanted(iter(lambda: file.read(CHUNK), b""), wanted)
        return self._patiently(url, lambda: self._download(url, wanted, agent))

    def _download(self, url: str, wanted: "Wanted", agent: str) -> Path:
        bare, auth = _split_user(url)
        headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
        with (
            _explained(url, self._timeout),
            self._session.get(bare, auth=auth, headers=headers, timeout=self._timeout, stream=True) as response,
        ):
            log.debug("GET %s: %d", public(url), response.status_code)
            _check(response, url)
            return self._keep_wanted(response.raw.stream(CHUNK, decode_content=False), wanted)

    def _keep_wanted(self, chunks: Iterable[bytes], wanted: "Wanted") -> Path:
        return self._store.add(chunks, sha256=wanted.sha256, size=wanted.size, name=wanted.name)[0]

    def _ask(self, url: str, agent: str, accept: str) -> Download:
        """Ask the server once. Raises _AgainError for what is worth another attempt."""
        bare, auth = _split_user(url)
        note = self._urls / f"{hashlib.sha256(f'{agent} {accept} {bare}'.encode()).hexdigest()}.json"
        known, conditions = self._known(note)
        # Without ``identity`` a server may pack the body once more, and its hash would not be that of the file.
        headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity", **conditions}
        with (
            _explained(url, self._timeout),
            self._session.get(bare, auth=auth, headers=headers, timeout=self._timeout, stream=True) as response,
        ):
            log.debug("GET %s: %d", public(url), response.status_code)
            if response.status_code == requests.codes.not_modified and known:
                return replace(known, url=response.url)
            _check(response, url)
            return self._keep_answer(response, note)

    def _keep_answer(self, response: requests.Response, note: Path) -> Download:
        # Not iter_content, which unpacks what a server labels as packed. urllib3 counts against Content-Length.
        download = self._keep(response.raw.stream(CHUNK, decode_content=False), response.url)
        conditions = {
            condition: response.headers[validator]
            for condition, validator in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
            if validator in response.headers
        }
        answer = {"sha256": download.sha256, "conditions": conditions}
        with _part(note.parent) as file:
            file.write(json.dumps(answer).encode())
            _settle(file, note)
        return download

    def _copy(self, path: Path, url: str) -> Download:
        if not path.is_file():
            raise _not_there(url)
        with path.open("rb") as file:
            return self._keep(iter(lambda: file.read(CHUNK), b""), url)

    def _keep(self, chunks: Iterable[bytes], url: str) -> Download:
        return Download(*self._store.add(chunks), url)

    def _known(self, note: Path) -> tuple[Download | None, dict[str, str]]:
        """Return the last answer and the headers that ask whether it still holds; none without its whole file."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            answer = json.loads(note.read_bytes())
            path = self._store.get(answer["sha256"]) if answer["conditions"] else None
            if path:
                return Download(path, answer["sha256"], ""), answer["conditions"]
        return None, {}


class _Adapter(HTTPAdapter):
    """What decides for each request, redirected ones too, which proxy it takes and whose certificates it trusts."""

    def __init__(self, ca_file: Path | None, proxies: Mapping[str, str], unverified_hosts: Collection[str]) -> None:
        self._ca_file = ca_file
        self._unverified = frozenset(unverified_hosts)
        super().__init__(pool_maxsize=THREADS)
        self._no_proxy = proxies.get("NO_PROXY", "")
        self._proxies = {
            name.removesuffix("_PROXY").lower(): url for name, url in proxies.items() if name != "NO_PROXY"
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send one request, without the proxies and certificates of the environment, which requests mixes in."""
        request.headers.pop("Proxy-Authorization", None)
        kwargs["proxies"] = {} if _bypasses(str(request.url), self._no_proxy) else self._proxies
        if self._ca_file:
            kwargs["verify"] = str(self._ca_file)
        if self._unverified & _names_of(str(request.url)):
            kwargs["verify"] = False
        return super().send(request, *args, **kwargs)


def _names_of(url: str) -> set[str]:
    """Return a URL's host, and its host with the port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return {host, f"{host}:{parts.port}"} if parts.port else {host}


def _wait_before_again(error: Exception) -> bool | float:
    """Tell whether to ask again, or after how many seconds, where the server said so."""
    if not isinstance(error, _AgainError):
        return False
    return True if error.wait is None else error.wait


def _gravest(problems: Sequence[PyrlabError], name: str) -> PyrlabError:
    """Return the error to show of several places that were asked: other bytes first, then a broken network."""
    for kind in (HashMismatchError, RefusedError):
        for problem in problems:
            if isinstance(problem, kind):
                return problem
    reachable = [problem for problem in problems if not isinstance(problem, NotThereError)]
    return reachable[0] if reachable else NotThereError(f"{name} is nowhere to be had", remedy="nox -s lock")


def hide(values: Iterable[str]) -> None:
    """Let no message of this process show these values, wherever in a URL they stand."""
    _hidden.update(value for value in values if value)


def public(url: str) -> str:
    """Return a URL without user, password, query, fragment and what is hidden, as a message may show it."""
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    for value in sorted(_hidden, key=len, reverse=True):
        shown = shown.replace(value, "…")
    return shown


def local_path(url: str) -> Path | None:
    """Return the path that a ``file://`` URL means, or None for another URL."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _split_user(url: str) -> tuple[str, HTTPBasicAuth | None]:
    """Take the user out of a URL: requests repeats the URL in its errors, and knows Latin-1 passwords only."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name, password = (unquote(part).encode() for part in user.partition(":")[::2])
    return urlunsplit(parts._replace(netloc=host)), HTTPBasicAuth(name, password) if user else None


def _bypasses(url: str, no_proxy: str) -> bool:
    """Tell whether NO_PROXY has a URL's host: ``*``, the name, the end of it, or a network such as 10.0.0.0/8.

    requests' own function changes the environment for a moment, for all threads.
    """
    parts = urlsplit(url)
    host, address = parts.hostname or "", parts.netloc.rpartition("@")[2].lower()
    entries = [one.strip().lstrip(".").lower() for one in no_proxy.split(",") if one.strip()]
    if {"*", host, address}.intersection(entries):
        return True
    if is_ipv4_address(host):
        return any(is_valid_cidr(one) and address_in_network(host, one) for one in entries)
    return any(host.endswith(f".{one}") for one in entries)


@contextmanager
def _part(folder: Path) -> Iterator[BinaryIO]:
    """Open a file that is gone at the end, whatever that end is, unless ``_settle`` gave it its name."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{uuid.uuid4().hex}.part"
    try:
        with filling(folder), part.open("xb") as file:
            yield file
    finally:
        part.unlink(missing_ok=True)


def _settle(file: BinaryIO, path: Path) -> Path:
    file.flush()
    os.fsync(file.fileno())
    return Path(file.name).rename(path)


@contextmanager
def _explained(url: str, timeout: float) -> Iterator[None]:
    """Turn what requests and urllib3 raise into our errors, without their texts, which show the query."""
    try:
        yield
    except (requests.exceptions.SSLError, exceptions.SSLError) as error:
        raise NetworkError(
            f"{public(url)}: no trusted connection: {_root_cause(error)}",
            remedy="name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml",
        ) from None
    except (requests.Timeout, exceptions.TimeoutError):
        raise _AgainError(f"did not answer within {timeout:g} s") from None
    except (requests.ConnectionError, exceptions.HTTPError) as error:
        raise _AgainError(f"broke off or could not be reached ({_root_cause(error)})") from None
    except requests.RequestException as error:
        raise NetworkError(
            f"{public(url)} cannot be read: {type(error).__name__}", remedy="check this URL in pyrlab.toml"
        ) from None


def _root_cause(error: BaseException) -> str:
    """Return the operating system's or the TLS library's words, from below the layers that repeat the URL."""
    words = type(error).__name__
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            words = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return words


def _check(response: requests.Response, url: str) -> None:
    """Raise what a status other than 200 means."""
    shown = f"{response.status_code} {response.reason}".strip()
    match response.status_code:
        case 200:
            return
        case 400:
            raise BadRequestError(f"{public(url)} answered {shown}", remedy="check this URL in pyrlab.toml")
        case 404 | 410:
            raise _not_there(url)
        case 401 | 403:
            raise RefusedError(
                f"{public(url)} refused this user ({shown})",
                remedy="put the user into ~/.netrc, or as ${VARIABLE} into the URL in r.repositories of pyrlab.toml",
            )
        case 429 | 500 | 502 | 503 | 504:
            raise _AgainError(f"answered {shown}", _wait(response))
    raise NetworkError(f"{public(url)} answered {shown}", remedy="check this URL in pyrlab.toml")


def _wait(response: requests.Response) -> float | None:
    """Return the seconds that the server asks for, but not more than we would wait; None if it does not say."""
    try:
        asked = util.Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, exceptions.InvalidHeader):
        return None
    return min(LONGEST_WAIT, asked)


def _not_there(url: str) -> NotThereError:
    return NotThereError(f"{public(url)} is not there", remedy="check this URL in pyrlab.toml")
