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
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import stamina

from pyrlab.adapters.files import filling
from pyrlab.adapters.http_errors import (
    AgainError,
    BadRequestError,
    NoTlsError,
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
from pyrlab.adapters.transport import THREADS, Transport, as_nobody, split_user
from pyrlab.errors import HashMismatchError, NetworkError, PyrlabError
from pyrlab.model import servers
from pyrlab.model.servers import Kind

__all__ = [
    "THREADS",
    "BadRequestError",
    "Download",
    "Look",
    "NoTlsError",
    "NotThereError",
    "RefusedError",
    "Wanted",
    "Web",
    "hide",
    "is_web_page",
    "local_path",
    "public",
]

log = logging.getLogger(__name__)
# What is tried again is told where it matters: in the message, when all of it failed.
stamina.instrumentation.set_on_retry_hooks([])

CHUNK = 2**18
BACKOFF = 0.2
# Seconds for a connection, and for each wait for more; and how often a question is asked anew.
TIMEOUT, RETRIES = 30.0, 3
# A way that hangs, as IPv6 does in some networks, leaves time for the next one.
CONNECT = 10.0
Answer = TypeVar("Answer")
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


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
        self._transport = Transport(ca_file, proxies, unverified_hosts)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._transport)

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
        headers = {"User-Agent": agent, "Accept": accept}
        try:
            with self._asked(url, headers, auth=as_nobody if anonymous else None) as response:
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
        return Place(url, self._kind, self._transport.proxy_of(url))

    def converse(  # noqa: PLR0913 - all that a question is made of
        self,
        url: str,
        *,
        agent: str,
        headers: Mapping[str, str] = {},
        auth: Auth | None = None,
        form: Mapping[str, str] | None = None,
        expected: Collection[int] = (200,),
        limit: int = 2**23,
    ) -> Reply:
        """Return the answer of a server that is spoken to in several steps, such as a registry; nothing is kept.

        ``form`` makes it a POST, ``expected`` are the statuses to return, ``limit`` bounds the body, in bytes.
        Raises NotThereError, RefusedError, NetworkError.
        """
        place = self._place(url)

        def ask() -> Reply:
            with self._asked(url, {"User-Agent": agent, **headers}, auth=auth or as_nobody, form=form) as response:
                if response.status_code not in expected:
                    check(response, place)
                # urllib3 tells that it broke off only to who reads beyond.
                body = response.raw.read(limit + 1) + response.raw.read(1)
                if len(body) > limit:
                    raise NetworkError(f"{place} answered more than {limit} bytes", remedy=place.check_url)
                return Reply(response.status_code, response.headers, body)

        return self._patiently(url, ask)

    @contextmanager
    def _asked(
        self, url: str, headers: Mapping[str, str], *, auth: Auth | None = None, form: Mapping[str, str] | None = None
    ) -> Iterator[requests.Response]:
        """Yield what a server answers to one question, as the URL's user unless ``auth`` adds another.

        ``form`` makes it a POST. Raises AgainError for what is worth another attempt, and NetworkError.
        """
        bare, user = split_user(url)
        method = "POST" if form else "GET"
        # Without ``identity`` a server may pack the body once more, and its hash would not be that of the file.
        headers = {"Accept-Encoding": "identity", **headers}
        with (
            explained(self._place(url), self._waits),
            self._session.request(
                method, bare, auth=auth or user, data=form, headers=headers, timeout=self._waits, stream=True
            ) as response,
        ):
            log.debug("%s %s: %d", method, public(url), response.status_code)
            yield response

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
        with self._asked(url, {"User-Agent": agent}) as response:
            check(response, replace(self._place(url), proxy=self._transport.proxy_of(response.url)))
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
        bare, _ = split_user(url)
        note = self._urls / f"{hashlib.sha256(f'{agent} {accept} {bare}'.encode()).hexdigest()}.json"
        known, conditions = self._known(note)
        headers = {"User-Agent": agent, "Accept": accept, **conditions}
        with self._asked(url, headers) as response:
            if response.status_code == requests.codes.not_modified and known:
                return replace(known, url=response.url)
            check(response, replace(self._place(url), proxy=self._transport.proxy_of(response.url)))
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
