"""The network settings as the configuration of apt and pip, for the steps that ask an archive or an index."""

import shlex

from pyrlab.model.settings import Settings


def lock_secrets(settings: Settings, certificates: str) -> dict[str, str]:
    """Return the text of each secret of the lock's steps, by id. ``certificates`` are those of ``settings.ca_file``."""
    apt = [f'Acquire::Check-Valid-Until "{settings.check_valid_until}";']
    if settings.apt_proxy:
        apt += [f'Acquire::{scheme}::Proxy "{settings.apt_proxy}";' for scheme in ("http", "https")]
    if settings.ca_file:
        apt.append('Acquire::https::CaInfo "/run/secrets/ca";')
    if settings.apt_sources:
        apt += ['Dir::Etc::SourceList "/run/secrets/sources";', 'Dir::Etc::SourceParts "/dev/null";']
    pip = ["[global]"]
    if settings.python_index:
        pip.append(f"index-url = {settings.python_index}")
    if settings.python_trusted_host:
        pip.append(f"trusted-host = {settings.python_trusted_host}")
    # In either case, as programs look for them. BuildKit's own proxy arguments would stand in the bake file.
    proxy = [
        f"export {form}={shlex.quote(url)}\n" for name, url in settings.proxies.items() for form in (name, name.lower())
    ]
    return {
        "apt": "\n".join([*apt, ""]),
        "sources": "\n".join([*settings.apt_sources, ""]),
        "pip": "\n".join([*pip, ""]),
        "ca": certificates,
        "proxy": "".join(proxy),
    }
