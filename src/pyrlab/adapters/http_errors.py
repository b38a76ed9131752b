"""What can go wrong with a server, in our words: what it was, who it was, what to do, and whether to ask again."""

import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import requests
from urllib3 import exceptions, util

from pyrlab.errors import NetworkError
from pyrlab.model import proxies, servers
from pyrlab.model.servers import Kind

LONGEST_WAIT = 10.0
# What may go right a moment later.
AGAIN = {429, 500, 502, 503, 504}
_PAGE = re.compile(rb"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_TUNNEL = re.compile(r"Tunnel connection failed: (?P<status>\d+)(?P<reason>[^'\")]*)")
_WANTS_USER = 407
# OpenSSL's codes of certificates that are not valid yet, or no more.
_TIMES = {9, 10}
# And of those that are for another name or address.
_NAMES = {62, 64}
_USER = re.compile(r"(?<=://)[^\s/]*@")
_hidden: set[str] = set()


class NotThereError(NetworkError):
    """The server answers, and has no such file."""


class BadRequestError(NetworkError):
    """The server can make nothing of this path."""


class RefusedError(NetworkError):
    """The server wants another user."""


class NoTlsError(NetworkError):
    """The server does not speak TLS."""


class AgainError(Exception):
    """What went wrong may go right a moment later: in ``wait`` seconds, if the server says when."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that is asked, what kind of server that is, and the proxy on the way, if there is one."""

    url: str
    kind: Kind = servers.OTHER
    proxy: str = ""

    def __str__(self) -> str:
        """Return the kind and the URL, as a message may show them."""
        return f"{self.kind.name}: {public(self.url)}" if self.kind.name else public(self.url)

    @property
    def check_network(self) -> str:
        """What to do where nobody answers."""
        return f"check the network, and {self.kind.settings}"

    @property
    def check_url(self) -> str:
        """What to do where the wrong one answers."""
        return f"check this URL: {self.kind.settings}"

    def not_there(self) -> NotThereError:
        """Return the error for what the server does not have."""
        return NotThereError(f"{self} is not there", remedy=self.check_url)

    def web_page(self, name: str) -> NetworkError:
        """Return the error for a page in the place of a file."""
        host = urlsplit(self.url).netloc.rpartition("@")[2]
        return NetworkError(
            f"{self} is a web page, not {name}: it may be a sign-in page of this network",
            remedy=f"open {host} in a browser; {self.check_network}",
        )

    def proxy_wants_user(self) -> NetworkError:
        """Return the error for a proxy that wants a password."""
        wish = "refuses this user and password" if proxies.has_user(self.proxy) else "wants a user and a password"
        return NetworkError(f"{self}: {self.shown_proxy} {wish} (407)", remedy=proxies.USER_REMEDY)

    @property
    def shown_proxy(self) -> str:
        """The proxy, as a message may show it. After a redirect it may be one that the first URL has not."""
        return f"the proxy {proxies.shown(self.proxy)}" if self.proxy else "a proxy"


def is_web_page(head: bytes) -> bool:
    """Tell whether something begins as a web page does."""
    return bool(_PAGE.match(head[:200]))


def hide(values: Iterable[str]) -> None:
    """Let no message of this process show these values, wherever in a URL they stand."""
    _hidden.update(value for value in values if value)


def public(url: str) -> str:
    """Return a URL without user, password, query, fragment and what is hidden, as a message may show it."""
    parts = urlsplit(url)
    return masked(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def masked(text: str) -> str:
    """Return a text without what is hidden and without users in URLs, as a program's own words that repeat one.

    Programs write a password in forms of their own: what stands before the host goes, whatever it is.
    """
    for value in sorted(_hidden, key=len, reverse=True):
        text = text.replace(value, "…")
    return _USER.sub("", text)


@contextmanager
def explained(place: Place, waits: tuple[float, float]) -> Iterator[None]:
    """Turn what requests and urllib3 raise into our errors, without their texts, which show the query.

    ``waits`` are the seconds for a connection, and for each wait for more.
    """
    connecting, reading = waits
    try:
        yield
    except (requests.exceptions.SSLError, exceptions.SSLError) as error:
        if any(isinstance(cause, ssl.SSLEOFError) for cause in _causes(error)):
            raise AgainError("hung up before it showed a certificate: it is busy, or speaks no TLS") from None
        raise _untrusted(place, error) from None
    except (requests.exceptions.ProxyError, exceptions.ProxyError) as error:
        raise _of_proxy(place, error) from None
    except (requests.ConnectTimeout, exceptions.ConnectTimeoutError):
        raise AgainError(f"could not be connected to within {connecting:g} s") from None
    except (requests.Timeout, exceptions.TimeoutError):
        raise AgainError(f"did not answer within {reading:g} s") from None
    except (requests.ConnectionError, exceptions.HTTPError) as error:
        raise AgainError(f"broke off or could not be reached ({_root_cause(error)})") from None
    except requests.TooManyRedirects:
        raise NetworkError(f"{place} leads from one place to the next without an end", remedy=place.check_url) from None
    except requests.RequestException as error:
        raise NetworkError(f"{place} cannot be read: {type(error).__name__}", remedy=place.check_url) from None


def check(response: requests.Response, place: Place) -> None:
    """Raise what a status other than 200 means."""
    shown = f"{response.status_code} {response.reason}".strip()
    match response.status_code:
        case 200:
            return
        case 400:
            raise BadRequestError(f"{place} answered {shown}", remedy=place.check_url)
        case 404 | 410:
            raise place.not_there()
        case 401 | 403:
            raise RefusedError(f"{place} refused this user ({shown})", remedy=place.kind.user)
        case 407:
            raise place.proxy_wants_user()
        case status if status in AGAIN:
            raise AgainError(f"answered {shown}", _wait(response))
    raise NetworkError(f"{place} answered {shown}", remedy=place.check_url)


def _untrusted(place: Place, error: BaseException, *, to: str = "") -> NetworkError:
    """Return the error for a certificate, or for a server that does not speak TLS."""
    refused = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    why = refused.verify_message if refused else _root_cause(error)
    remedy = f"name your own certificates: SSL_CERT_FILE, or network.ca_file in pyrlab.toml; {place.check_url}"
    if refused and refused.verify_code in _TIMES:
        remedy = "look at this machine's clock: date; where it is right, tell whoever keeps the server"
    elif refused and refused.verify_code in _NAMES:
        remedy = f"look at the host's name in this URL: {place.kind.settings}"
    kind = NetworkError if refused else NoTlsError
    return kind(f"{place}: no trusted connection{to}: {why}", remedy=remedy)


def _of_proxy(place: Place, error: BaseException) -> Exception:
    """Return the error for a proxy that does not answer, or refuses."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return _untrusted(place, error, to=f" to {place.shown_proxy}")
    refused = _TUNNEL.search(str(error))
    if refused and int(refused["status"]) == _WANTS_USER:
        return place.proxy_wants_user()
    why = f"{refused['status']}{refused['reason']}" if refused else _root_cause(error)
    if refused and int(refused["status"]) not in AGAIN:
        return NetworkError(
            f"{place}: {place.shown_proxy} refuses to connect to this host ({why})",
            remedy="ask whoever runs the proxy, or reach the host without it: NO_PROXY",
        )
    return AgainError(f"could not be reached by {place.shown_proxy} ({why})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what is below it: causes, and the reasons that urllib3 keeps beside them."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            below = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
            waiting += [other for other in below if isinstance(other, BaseException)]


def _root_cause(error: BaseException) -> str:
    """Return the operating system's or the TLS library's words, from below the layers that repeat the URL."""
    words = type(error).__name__
    for below in _causes(error):
        if isinstance(below, exceptions.IncompleteRead):
            return f"only {below.partial} bytes came"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            words = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return words


def _wait(response: requests.Response) -> float | None:
    """Return the seconds that the server asks for, but not more than we would wait; None if it does not say."""
    try:
        asked = util.Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, ValueError, OverflowError, exceptions.InvalidHeader):
        return None
    return min(LONGEST_WAIT, asked)
