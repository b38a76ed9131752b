"""The one place that talks HTTP: downloads into a cache by content, tries again, and shows no password."""

import hashlib
import json
import logging
import os
import re
import ssl
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import stamina
import truststore
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, BaseAdapter, HTTPAdapter
from requests.auth import HTTPBasicAuth, _basic_auth_str
from requests.utils import get_netrc_auth
from urllib3 import disable_warnings, exceptions

from pyrlab.adapters.files import filling
from pyrlab.adapters.http_errors import (
    AgainError,
    BadRequestError,
    NotThereError,
    Place,
    RefusedError,
    check,
    explained,
    hide,
    is_web_page,
    public,
)
from pyrlab.adapters.store import Store
from pyrlab.errors import HashMismatchError, NetworkError, PyrlabError
from pyrlab.model import proxies as proxying
from pyrlab.model import servers
from pyrlab.model.servers import Kind

__all__ = [
    "THREADS",
    "BadRequestError",
    "Download",
    "Look",
    "NotThereError",
    "RefusedError",
    "Wanted",
    "Web",
    "hide",
    "is_web_page",
    "local_path",
    "public",
    "with_user",
]

log = logging.getLogger(__name__)
# What is tried again is told where it matters: in the message, when all of it failed.
stamina.instrumentation.set_on_retry_hooks([])

CHUNK = 2**18
THREADS = 8
BACKOFF = 0.2
# Seconds for a connection, and for each wait for more; and how often a question is asked anew.
TIMEOUT, RETRIES = 30.0, 3
# A way that hangs, as IPv6 does in some networks, leaves time for the next one.
CONNECT = 10.0
Answer = TypeVar("Answer")


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

    ``timeout`` is in seconds, for a connection and for each wait for more; ``retries`` follow the first attempt. What
    ``kind`` of server is asked, messages say.
    ``proxies`` is by HTTP_PROXY, HTTPS_PROXY and NO_PROXY; those of the environment do not count.
    """

    def __init__(  # noqa: PLR0913 - all that decides how this machine reaches others
        self,
        cache: Path,
        *,
        ca_file: Path | None = None,
        proxies: Mapping[str, str] = {},
        unverified_hosts: Collection[str] = (),
        timeout: float | None = None,
        retries: int | None = None,
        kind: Kind = servers.OTHER,
    ) -> None:
        self._store = Store(cache / "files")
        self._urls = cache / "urls"
        self._timeout = TIMEOUT if timeout is None else timeout
        self._retries = RETRIES if retries is None else retries
        self._kind = kind
        self._session = requests.Session()
        # Threads share the session, and cookies would be the one thing in it that changes.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = _Adapter(ca_file, proxies, unverified_hosts)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(self, url: str, *, agent: str, accept: str = "*/*") -> Download:
        """Return what ``url`` (http, https, file) holds now; from the cache, where the server says it is the same.

        Credentials are those in the URL, else those of netrc. Raises NotThereError, RefusedError, NetworkError, and
        OSError when the cache cannot be written.
        """
        if local := local_path(url):
            return self._copy(local, url)
        return self._patiently(url, lambda: self._ask(url, agent, accept))

    def look(self, url: str, *, agent: str, accept: str = "*/*", length: int = 2**16, anonymous: bool = False) -> Look:
        """Return what a server answers, whatever that is, to one question; nothing is kept. ``length`` is in bytes.

        Who is ``anonymous`` names no user, neither the URL's nor that of netrc. Raises NetworkError where no answer
        comes.
        """
        bare, user = _split_user(url)
        auth = _as_nobody if anonymous else user
        headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity"}
        try:
            with (
                explained(self._place(url), self._waits),
                self._session.get(bare, auth=auth, headers=headers, timeout=self._waits, stream=True) as response,
            ):
                said = response.headers
                head = response.raw.read(length)
                return Look(response.status_code, said.get("Date", ""), said.get("Age", ""), head)
        except AgainError as again:
            place = self._place(url)
            raise NetworkError(f"{place} {again}", remedy=place.check_network) from None

    @property
    def _waits(self) -> tuple[float, float]:
        return min(CONNECT, self._timeout), self._timeout

    def _place(self, url: str) -> Place:
        return Place(url, self._kind, self._adapter.proxy_of(url))

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
        place = self._place(url)
        method = "POST" if form else "GET"
        headers = {"User-Agent": agent, "Accept-Encoding": "identity", **headers}

        def ask() -> Reply:
            with (
                explained(place, self._waits),
                self._session.request(
                    method,
                    url,
                    auth=auth or _as_nobody,
                    data=form,
                    headers=headers,
                    timeout=self._waits,
                    stream=True,
                ) as response,
            ):
                log.debug("%s %s: %d", method, public(url), response.status_code)
                if response.status_code not in expected:
                    check(response, place)
                body = response.raw.read(limit + 1)
                if len(body) > limit:
                    raise NetworkError(f"{place} answered more than {limit} bytes", remedy=place.check_url)
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
        except AgainError as again:
            place = self._place(url)
            raise NetworkError(
                f"{place} {again}, {self._retries + 1} times",
                remedy=f"{place.check_network}; then run the same again",
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
                raise self._place(url).not_there()
            with local.open("rb") as file:
                return self._keep_wanted(iter(lambda: file.read(CHUNK), b""), wanted)
        return self._patiently(url, lambda: self._download(url, wanted, agent))

    def _download(self, url: str, wanted: "Wanted", agent: str) -> Path:
        bare, auth = _split_user(url)
        headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
        with (
            explained(self._place(url), self._waits),
            self._session.get(bare, auth=auth, headers=headers, timeout=self._waits, stream=True) as response,
        ):
            log.debug("GET %s: %d", public(url), response.status_code)
            check(response, replace(self._place(url), proxy=self._adapter.proxy_of(response.url)))
            chunks = response.raw.stream(CHUNK, decode_content=False)
            head = next(chunks, b"")
            if is_web_page(head):
                raise self._place(url).web_page(wanted.name)
            try:
                return self._keep_wanted(chain([head], chunks), wanted)
            except HashMismatchError as error:
                raise HashMismatchError(str(error), remedy=error.remedy, detail=f"from {public(url)}") from error

    def _keep_wanted(self, chunks: Iterable[bytes], wanted: "Wanted") -> Path:
        return self._store.add(chunks, sha256=wanted.sha256, size=wanted.size, name=wanted.name)[0]

    def _ask(self, url: str, agent: str, accept: str) -> Download:
        """Ask the server once. Raises AgainError for what is worth another attempt."""
        bare, auth = _split_user(url)
        note = self._urls / f"{hashlib.sha256(f'{agent} {accept} {bare}'.encode()).hexdigest()}.json"
        known, conditions = self._known(note)
        # Without ``identity`` a server may pack the body once more, and its hash would not be that of the file.
        headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity", **conditions}
        with (
            explained(self._place(url), self._waits),
            self._session.get(bare, auth=auth, headers=headers, timeout=self._waits, stream=True) as response,
        ):
            log.debug("GET %s: %d", public(url), response.status_code)
            if response.status_code == requests.codes.not_modified and known:
                return replace(known, url=response.url)
            check(response, replace(self._place(url), proxy=self._adapter.proxy_of(response.url)))
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
            raise self._place(url).not_there()
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


class _Adapter(BaseAdapter):
    """What decides for each request, redirected ones too, which proxy it takes and whose certificates it trusts."""

    def __init__(self, ca_file: Path | None, proxies: Mapping[str, str], unverified_hosts: Collection[str]) -> None:
        super().__init__()
        self._verify = str(ca_file) if ca_file else True
        self._unverified = frozenset(unverified_hosts)
        self._proxies = proxies
        self._plain = _Plain(pool_maxsize=THREADS)
        self._trusting = self._plain if ca_file else _OwnStore(pool_maxsize=THREADS)

    def proxy_of(self, url: str) -> str:
        """Return the proxy on the way to a URL, or nothing."""
        return proxying.proxy_for(url, self._proxies)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send one request, without the proxies and certificates of the environment, which requests mixes in."""
        request.headers.pop("Proxy-Authorization", None)
        url = str(request.url)
        proxy = self.proxy_of(url)
        kwargs["proxies"] = {urlsplit(url).scheme: proxy} if proxy else {}
        if self._unverified & _names_of(url):
            # The settings want it so: urllib3 would warn of each request.
            disable_warnings(exceptions.InsecureRequestWarning)
            return self._plain.send(request, *args, **{**kwargs, "verify": False})
        return self._trusting.send(request, *args, **{**kwargs, "verify": self._verify})

    def close(self) -> None:
        """End all connections."""
        self._plain.close()
        self._trusting.close()


class _Plain(HTTPAdapter):
    """Names itself to a proxy in UTF-8, as apt and uv do: requests knows Latin-1 passwords only."""

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the header with the proxy's user."""
        parts = urlsplit(proxy)
        user = (unquote(part or "").encode() for part in (parts.username, parts.password))
        return {"Proxy-Authorization": _basic_auth_str(*user)} if parts.username else {}

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:  # noqa: ANN401, FBT001
        """Look at a certificate whatever the URL: an https proxy on the way to an http server shows one, too."""
        secure = url.replace("http://", "https://", 1)
        super().cert_verify(conn, secure, verify, cert)  # type: ignore[no-untyped-call]


class _OwnStore(_Plain):
    """Trusts whom this machine trusts, where its company may have added itself, and Mozilla's list beside that.

    A machine may have no store of its own, as small containers do.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - requests' own
        self._context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(cafile=DEFAULT_CA_BUNDLE_PATH)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Let connections of one's own have this trust."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """Let those by a proxy have it, too."""
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:  # noqa: ANN401, FBT001
        """Leave the trust to the context: requests would load Mozilla's list anew for each connection."""
        del url, verify, cert
        conn.cert_reqs = "CERT_REQUIRED"


def _names_of(url: str) -> set[str]:
    """Return a URL's host, and its host with the port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return {host, f"{host}:{parts.port}"} if parts.port else {host}


def _wait_before_again(error: Exception) -> bool | float:
    """Tell whether to ask again, or after how many seconds, where the server said so."""
    if not isinstance(error, AgainError):
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


def local_path(url: str) -> Path | None:
    """Return the path that a ``file://`` URL means, or None for another URL."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def with_user(text: str) -> str:
    """Return a text with the user that netrc has for the server of each URL in it that names none."""
    return re.sub(r"https?://[^\s/@]+(?=/|\s|$)", lambda found: _with_user(found[0]), text)


def _with_user(url: str) -> str:
    found = get_netrc_auth(url)
    user = ":".join(quote(part, safe="") for part in found) if found else ""
    return url.replace("://", f"://{user}@", 1) if user else url


def _as_nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no user to a request. Where there is nothing to add one, requests takes that of netrc."""
    return request


def _split_user(url: str) -> tuple[str, HTTPBasicAuth | None]:
    """Take the user out of a URL: requests repeats the URL in its errors, and knows Latin-1 passwords only."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name, password = (unquote(part).encode() for part in user.partition(":")[::2])
    return urlunsplit(parts._replace(netloc=host)), HTTPBasicAuth(name, password) if user else None


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
