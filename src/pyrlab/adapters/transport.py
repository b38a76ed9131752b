"""How requests go out: by which proxy, trusting whose certificates, and as whose user."""

import re
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests
import truststore
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, BaseAdapter, HTTPAdapter
from requests.auth import HTTPBasicAuth, _basic_auth_str
from requests.utils import get_netrc_auth
from urllib3 import disable_warnings, exceptions

from pyrlab.model import proxies as proxying

# How many questions are asked at once.
THREADS = 8


class Transport(BaseAdapter):
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


def with_user(text: str) -> str:
    """Return a text with the user that netrc has for the server of each URL in it that names none."""
    return re.sub(r"https?://[^\s/@]+(?=/|\s|$)", lambda found: _with_user(found[0]), text)


def _with_user(url: str) -> str:
    found = get_netrc_auth(url)
    user = ":".join(quote(part, safe="") for part in found) if found else ""
    return url.replace("://", f"://{user}@", 1) if user else url


def as_nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no user to a request. Where there is nothing to add one, requests takes that of netrc."""
    return request


def split_user(url: str) -> tuple[str, HTTPBasicAuth | None]:
    """Take the user out of a URL: requests repeats the URL in its errors, and knows Latin-1 passwords only."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name, password = (unquote(part).encode() for part in user.partition(":")[::2])
    return urlunsplit(parts._replace(netloc=host)), HTTPBasicAuth(name, password) if user else None
