"""The network settings as the configuration of apt and uv, for the steps that ask an archive or an index."""

import json
import shlex
from collections.abc import Sequence

from pyrlab.model.settings import Settings


def lock_secrets(settings: Settings, certificates: str, sources: Sequence[str] | None = None) -> dict[str, str]:
    """Return the text of each secret of the lock's steps, by id.

    ``certificates`` are those of ``settings.ca_file``. ``sources`` are apt's where they are not those of the settings;
    where there are none, apt takes the root's own.
    """
    apt = [f'Acquire::Check-Valid-Until "{settings.check_valid_until}";']
    if settings.apt_proxy:
        apt += [f'Acquire::{scheme}::Proxy "{settings.apt_proxy}";' for scheme in ("http", "https")]
    if settings.ca_file:
        apt.append('Acquire::https::CaInfo "/run/secrets/ca";')
    sources = settings.apt_sources if sources is None else sources
    if sources:
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
        "sources": "\n".join([*sources, ""]),
        "uv": "\n".join([*uv, ""]),
        "ca": certificates,
        "proxy": "".join(proxy),
    }
