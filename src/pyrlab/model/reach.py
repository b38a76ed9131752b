"""What is asked of indexes and mirrors to learn whether they can be reached, and what is made of the answers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from pyrlab.model import servers
from pyrlab.model.debian_sources import Source
from pyrlab.model.doctor import Check, ill, well
from pyrlab.model.proxies import NO_PROXY, USER_REMEDY, bypasses, proxy_for, shown
from pyrlab.model.settings import Settings

# So many bytes of an answer tell what it is.
HEAD = 2**16
DEBIAN, PYTHON, R = servers.DEBIAN.name, servers.PYTHON.name, servers.R.name
# Each index says what it is in its first lines. A sign-in page of a network, with status 200, says something else.
_MARKS = {DEBIAN: (b"Codename:", b"Suite:", b"SHA256:"), PYTHON: (b"pip-",), R: (b"Package:",)}
_PROXY_KEYS = {kind.name: kind.settings for kind in (servers.DEBIAN, servers.PYTHON, servers.R)}


@dataclass(frozen=True, slots=True)
class Question:
    """A file of an index. ``proxies`` are by upper-case variable name; they and ``url`` may hold credentials."""

    kind: str
    name: str
    url: str = field(repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    verified: bool = True

    @property
    def host(self) -> str:
        """Who is asked, without a user."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2] or self.name

    @property
    def root(self) -> str:
        """The URL of the server itself: no part of it is anybody's secret."""
        return f"{urlsplit(self.url).scheme}://{self.host}/"

    @property
    def is_web(self) -> bool:
        """Whether a server has it: a folder of this machine needs none."""
        return urlsplit(self.url).scheme in {"http", "https"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and how the body begins; or ``error``, where nothing did. ``date`` is the server's."""

    status: int = 0
    head: bytes = b""
    date: str = ""
    age: str = ""
    error: str = ""


def questions(settings: Settings, sources: Iterable[Source], index: str) -> list[Question]:
    """Return a question for each archive, for the Python index and for each R repository, named once.

    ``sources`` are those of the settings, or Debian's own; ``index`` is the URL of the index, with a slash at its end.
    """
    apt = dict(settings.proxies)
    if settings.apt_proxy:
        apt = {"HTTP_PROXY": settings.apt_proxy, "HTTPS_PROXY": settings.apt_proxy}
    found = [Question(DEBIAN, source.suite, _release(source), apt) for source in sources]
    trusted = settings.python_trusted_host
    found.append(
        Question(PYTHON, "pip", f"{index}pip/", settings.proxies, verified=not trusted or trusted not in _names(index))
    )
    found += [
        Question(R, repository.name, f"{repository.url.rstrip('/')}/src/contrib/PACKAGES", settings.proxies)
        for repository in settings.r_repositories
        if repository.url
    ]
    return found


def judge(name: str, question: Question, answer: Answer) -> Check:
    """Return the line of one answer."""
    where = f"{question.kind} {question.name} at {question.host}"
    remedy = f"check the network, and {_PROXY_KEYS[question.kind]}"
    if answer.error:
        return ill(name, f"{where} cannot be reached: {answer.error}", remedy=remedy)
    if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        proxy = shown(proxy_for(question.url, question.proxies))
        return ill(name, f"{where}: the proxy {proxy} wants a user and a password", remedy=USER_REMEDY)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ill(
            name, f"{where} refused this user ({answer.status})", remedy="put the user into ~/.netrc, or into the URL"
        )
    if answer.status != HTTPStatus.OK:
        return ill(name, f"{where} answered {answer.status}", remedy=remedy)
    if not any(mark in answer.head for mark in _MARKS[question.kind]):
        return ill(
            name,
            f"{where} answered with something else: it may be a sign-in page of this network",
            remedy=f"open {question.host} in a browser; {remedy}",
        )
    return well(name, f"{where} answers")


def server_time(answers: Iterable[Answer]) -> datetime | None:
    """Return the latest time that servers tell, or None. A cache hands on an old Date, and says its age beside it."""
    times = []
    for answer in answers:
        try:
            told = parsedate_to_datetime(answer.date) + timedelta(seconds=int(answer.age or 0))
            times.append(told if told.tzinfo else told.replace(tzinfo=UTC))
        except (ValueError, TypeError, OverflowError):
            continue
    return max(times, default=None)


def request(questions: Iterable[Question]) -> str:
    """Return the questions as docker/lock/probe-network reads them. The text may hold credentials."""
    return json.dumps(
        [{"url": question.url, "proxies": _decided(question), "verified": question.verified} for question in questions]
    )


def _decided(question: Question) -> dict[str, str]:
    """Return the proxies of a question, none where NO_PROXY has its host: Python knows no networks there."""
    proxies = {name: url for name, url in question.proxies.items() if name != NO_PROXY}
    return {} if bypasses(question.url, question.proxies.get(NO_PROXY, "")) else proxies


def parse_answers(text: str) -> list[Answer]:
    """Return the answers that docker/lock/probe-network wrote. Raises ValueError."""
    try:
        return [
            Answer(one["status"], one["head"].encode("latin-1"), one["date"], one["age"], one["error"])
            for one in json.loads(text)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what the probe writes: {error}") from error


def shown_proxies(settings: Settings) -> str:
    """Return which proxies and indexes are used, without their users and passwords."""
    found = {
        "APTPROXY": settings.apt_proxy,
        "PIPPROXY": settings.python_index,
        "PIPHOST": settings.python_trusted_host,
        **settings.proxies,
    }
    return ", ".join(f"{name} {_public(url)}" for name, url in found.items() if url) or "none"


def _public(url: str) -> str:
    """Return a URL, or a host with a port, without user, query and fragment."""
    if "@" not in url and "?" not in url:
        return url
    has_scheme = "://" in url
    parts = urlsplit(url if has_scheme else f"//{url}")
    user, _, host = parts.netloc.rpartition("@")
    shown = urlunsplit((parts.scheme, f"…@{host}" if user else host, parts.path, "", ""))
    return shown if has_scheme else shown.removeprefix("//")


def _release(source: Source) -> str:
    folder = source.suite if source.suite.endswith("/") else f"dists/{source.suite}/"
    return f"{source.uri}/{folder}{'Release' if source.trusted else 'InRelease'}"


def _names(url: str) -> set[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return {host, f"{host}:{parts.port}"} if parts.port else {host}
