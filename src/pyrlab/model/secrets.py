"""The network settings as the configuration of apt and uv, for the steps that ask an archive or an index."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from pyrlab.model.proxies import NO_PROXY, bypasses
from pyrlab.model.settings import Settings

# Where the steps find the keyring of the archives' own keys. apt takes a name without .asc for a binary keyring's.
KEYRING = "/run/secrets/keys.asc"
# Up to the end of its URL, what a source line says in options and there.
_TO_URL = re.compile(r"^\s*\S+\s+(?:\[[^\]]*\]\s*)?\S+")


def lock_secrets(
    settings: Settings, certificates: str, archives: Iterable[str] = (), *, keyring: str = ""
) -> dict[str, str]:
    """Return the text of each secret of the lock's steps, by id.

    ``certificates`` are whom the steps trust; none leaves each tool its own. ``archives`` are the URLs of Debian's
    own, where the settings name none. ``keyring`` are the keys that the sources of the settings name, in ASCII.
    """
    apt = [f'Acquire::Check-Valid-Until "{settings.check_valid_until}";']
    if settings.apt_proxy:
        apt += [f'Acquire::{scheme}::Proxy "{settings.apt_proxy}";' for scheme in ("http", "https")]
    apt += [f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for scheme, host in _direct(settings, archives)]
    if certificates:
        apt.append('Acquire::https::CaInfo "/run/secrets/ca";')
    if settings.apt_sources:
        apt += ['Dir::Etc::SourceList "/run/secrets/sources";', 'Dir::Etc::SourceParts "/dev/null";']
    uv = []
    if settings.python_trusted_host:
        uv.append(f"allow-insecure-host = [{json.dumps(settings.python_trusted_host)}]")
    if settings.python_index:
        # A string of JSON is one of TOML.
        uv += ["[[index]]", f"url = {json.dumps(settings.python_index)}", "default = true"]
    # In either case, as programs look for them. BuildKit's own proxy arguments would stand in the bake file.
    proxy = [
        f"export {form}={shlex.quote(url)}\n" for name, url in settings.proxies.items() for form in (name, name.lower())
    ]
    return {
        "apt": "\n".join([*apt, ""]),
        "sources": _source_list(settings.apt_sources),
        "r-sources": _source_list([*settings.apt_sources, *settings.r_apt_sources]) if settings.r_apt_sources else "",
        "keys": keyring,
        "uv": "\n".join([*uv, ""]),
        "ca": certificates,
        "proxy": "".join(proxy),
    }


def _source_list(lines: Iterable[str]) -> str:
    """Return lines as apt's sources.list has them: apt decodes each word, and what is a URL once more as such."""
    return "".join(f"{_TO_URL.sub(lambda found: found[0].replace('%', '%25'), line)}\n" for line in lines)


def _direct(settings: Settings, archives: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield scheme and host of each archive that NO_PROXY has: docker/lock/apt-net.sh hides that from apt.

    apt knows no networks there, and no ``*``; takes the end of a word for the end of a name; and goes by it where the
    proxy is its own, too.

    The proxy for Debian packages is for all archives, as it is when this machine fetches.
    """
    if settings.apt_proxy:
        return
    urls = {*archives, *settings.archives}
    for url in sorted(urls):
        host = urlsplit(url).hostname
        if host and bypasses(url, settings.proxies.get(NO_PROXY, "")):
            yield urlsplit(url).scheme, host
