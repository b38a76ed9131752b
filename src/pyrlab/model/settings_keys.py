"""What may be said in pyrlab.toml and in the environment, and the settings that it makes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyrlab.errors import UsageError
from pyrlab.model import architectures, user_folders
from pyrlab.model import proxies as proxying
from pyrlab.model.base_image import Reference
from pyrlab.model.debian_places import parse_apt_sources, parse_keys, parse_snapshot
from pyrlab.model.debian_sources import BASE, OF_R
from pyrlab.model.graph import Graph
from pyrlab.model.proof import parse_proof, parse_upgrade
from pyrlab.model.r_repositories import parse_github, parse_repositories
from pyrlab.model.settings import Settings, check_port
from pyrlab.model.settings_tables import read, typed
from pyrlab.model.urls import FILE
from pyrlab.model.user_folders import expanded
from pyrlab.model.workspace import check_prefix, check_tag

# Every key with its default, by section; the type of the default is the type of the key. Labs add their ports.
DEFAULTS: dict[str, dict[str, Any]] = {
    "base": {"source": "bootstrap", "image": "", "suite": "trixie", "apt_sources": [], "check_valid_until": "host"},
    # The keys of keys are fingerprints.
    "debian": {"snapshot": "", "keys": {}},
    "network": {"apt_proxy": "", "python_index": "", "python_trusted_host": "", "ca_file": ""},
    "r": {
        "repositories": ["debian"],
        "allow_moving": False,
        "github": "https://codeload.github.com",
        "apt_sources": [],
    },
    "images": {"prefix": "", "tag": ""},
    "serve": {"notebooks": "~/notebooks"},
    "labs": {"trust_ca": False},
    "build": {"jobs": 0, "timeout": 3600},
    # Its keys are free: names of packages, each with a reason.
    "smoke": {"exempt": {}},
    # The keys of parameters and labs are globs.
    "proof": {
        "notebooks": [],
        "timeout": 600,
        "numbers": "may change",
        "tolerance": 1e-6,
        "parameters": {},
        "labs": {},
    },
    "upgrade": {"keep": 3, "max_trials": 60, "minutes": 120, "min_age": ""},
}
# Names that users of such projects' Makefiles know, and the key that each one overrides.
VARIABLES = {
    "FILES": ("serve", "notebooks"),
    "APTPROXY": ("network", "apt_proxy"),
    "PIPPROXY": ("network", "python_index"),
    "PIPHOST": ("network", "python_trusted_host"),
    "SSL_CERT_FILE": ("network", "ca_file"),
}
# Which variant of the project a command works on, such as an upgrade's candidate: for the smoke tests that prove it.
VARIANT = "PYRLAB_VARIANT"
# Docker's own: which platform its commands are about.
PLATFORM = "DOCKER_DEFAULT_PLATFORM"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CHOICES = {"source": ("bootstrap", "registry"), "check_valid_until": ("host", "yes", "no")}


def parse(  # noqa: PLR0913 - all that settings are made of
    project: Path,
    graph: Graph,
    text: str,
    environment: Mapping[str, str],
    *,
    owner: int,
    host_checks_valid_until: bool,
) -> Settings:
    """Read settings out of the text of pyrlab.toml. Raises UsageError that names the key or the variable.

    ``project`` is resolved, ``owner`` the id of the user who runs pyrlab, and ``host_checks_valid_until`` what
    ``check_valid_until = "host"`` means on this machine.
    """
    ports = {lab.port_key: lab.port for lab in graph.labs.values()}
    defaults = {**DEFAULTS, "serve": {**ports, **DEFAULTS["serve"]}}
    variables = VARIABLES | {lab.port_variable: ("serve", lab.port_key) for lab in graph.labs.values()}
    values = read(text, defaults)
    for variable, (section, key) in variables.items():
        if environment.get(variable):
            values[section][key] = typed(environment[variable], defaults[section][key], variable)
    base, network, serve = values["base"], values["network"], values["serve"]
    for key, choices in CHOICES.items():
        if base[key] not in choices:
            raise UsageError(f"{FILE}: base.{key} is {base[key]!r}", remedy=f"choose from: {', '.join(choices)}")
    checks = {"yes": True, "no": False, "host": host_checks_valid_until}[base["check_valid_until"]]
    found = {name: value for name in PROXIES if (value := environment.get(name) or environment.get(name.lower(), ""))}
    proxies = {name: proxying.with_scheme(url) for name, url in found.items() if name != proxying.NO_PROXY}
    direct = proxying.plain_no_proxy(found.get(proxying.NO_PROXY, ""))
    if named := ",".join(filter(None, [direct, proxying.OF_THIS_MACHINE if proxies else ""])):
        proxies[proxying.NO_PROXY] = named
    network["apt_proxy"] = proxying.with_scheme(network["apt_proxy"])
    keys, of_keys = parse_keys(values["debian"]["keys"], project, environment)
    apt_sources, users = parse_apt_sources(base["apt_sources"], environment, keys, setting=BASE)
    r_apt_sources, r_users = parse_apt_sources(values["r"]["apt_sources"], environment, keys, setting=OF_R)
    _check_urls(environment, {BASE: apt_sources, OF_R: r_apt_sources}, network, proxies)
    snapshot, of_snapshot = parse_snapshot(values["debian"]["snapshot"], environment)
    return Settings(
        project=project,
        graph=graph,
        cache=user_folders.cache(environment),
        state=user_folders.state(environment),
        base_image=_base_image(base["source"], base["image"]),
        suite=base["suite"],
        apt_sources=apt_sources,
        r_apt_sources=r_apt_sources,
        keys=keys,
        check_valid_until="true" if checks else "false",
        snapshot=snapshot,
        hidden=(*users, *r_users, *of_keys, *of_snapshot),
        apt_proxy=network["apt_proxy"],
        python_index=network["python_index"],
        # As URLs are read: their hosts are in lower case.
        python_trusted_host=network["python_trusted_host"].lower(),
        ca_file=expanded(Path(network["ca_file"]), "SSL_CERT_FILE") if network["ca_file"] else None,
        r_repositories=parse_repositories(values["r"], environment, suite=base["suite"]),
        github=parse_github(values["r"]["github"], environment),
        prefix=check_prefix(values["images"]["prefix"], f"{FILE}: images.prefix"),
        ports={
            name: check_port(serve[lab.port_key], _origin(environment, lab.port_variable, ("serve", lab.port_key)))
            for name, lab in graph.labs.items()
        },
        # Only a lab needs it, so that a user without a home can still lock and build.
        notebooks=Path(os.path.expanduser(serve["notebooks"])),  # noqa: PTH111 - this one never fails
        jobs=values["build"]["jobs"],
        compile_timeout=values["build"]["timeout"],
        proxies=proxies,
        owner=owner,
        image_tag=check_tag(values["images"]["tag"], f"{FILE}: images.tag"),
        smoke_exempt=_reasons(values["smoke"]["exempt"], f"{FILE}: smoke.exempt"),
        proof=parse_proof(values["proof"], graph, f"{FILE}: proof"),
        upgrade=parse_upgrade(values["upgrade"], f"{FILE}: upgrade"),
        trust_ca=_trust_ca(values),
        architecture=_architecture(environment),
        variant=environment.get(VARIANT, ""),
    )


def _trust_ca(values: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether labs trust the certificates of the settings. Raises UsageError where there are none."""
    if values["labs"]["trust_ca"] and not values["network"]["ca_file"]:
        raise UsageError(
            f"{FILE}: labs.trust_ca is true, and no certificates are named",
            remedy="name them: network.ca_file, or SSL_CERT_FILE",
        )
    return bool(values["labs"]["trust_ca"])


def _architecture(environment: Mapping[str, str]) -> str:
    """Return the architecture that Docker's own variable asks for, as Debian calls it; empty where it does not."""
    text = environment.get(PLATFORM, "")
    return architectures.parse(text, PLATFORM) if text else ""


def _base_image(source: str, image: str) -> str:
    """Return the name of the base image, or nothing for a bootstrapped root. Raises UsageError."""
    if source == "registry":
        if not image:
            raise UsageError(
                f'{FILE}: base.source is "registry", and no image is named',
                remedy='name it: image = "python:3.14-slim-trixie" in [base]',
            )
        Reference.parse(image, where=f"{FILE}: base.image")
    elif image:
        raise UsageError(
            f'{FILE}: base.image is {image!r}, and base.source is "{source}", which uses none',
            remedy='write source = "registry" in [base], or delete the image',
        )
    return image


def _check_urls(
    environment: Mapping[str, str],
    apt_sources: Mapping[str, Sequence[str]],
    network: Mapping[str, str],
    proxies: Mapping[str, str],
) -> None:
    """Raise UsageError for a URL that cannot be read. Messages show where it was set, not the URL: it may be secret."""
    apt, index = (
        (_origin(environment, name, VARIABLES[name]), network[VARIABLES[name][1]]) for name in ("APTPROXY", "PIPPROXY")
    )
    asked = [apt, *((name, url) for name, url in proxies.items() if name != proxying.NO_PROXY)]
    urls = [*asked, index]
    for setting, lines in apt_sources.items():
        urls += [(f"{FILE}: {setting}", word) for line in lines for word in line.split() if "://" in word]
    for origin, url in urls:
        try:
            # The port is only read when it is asked for.
            _ = urlsplit(url if "://" in url else f"//{url}").port
        except ValueError as error:
            raise UsageError(
                f"{origin} is no URL that can be read",
                remedy="write it as http://HOST:PORT; in a password, write special characters as %XX",
            ) from error
    for origin, url in asked:
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise UsageError(
                f"{origin} is a proxy of a kind that pyrlab does not know: {urlsplit(url).scheme}",
                remedy="name one that speaks HTTP: http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT",
            )


def _reasons(table: Mapping[str, Any], origin: str) -> dict[str, str]:
    """Return names with their reasons. Raises UsageError for a name without one."""
    for name, reason in table.items():
        if not isinstance(reason, str) or not reason.strip():
            raise UsageError(f"{origin}: {name!r} has no reason", remedy=f'write {name} = "why it is exempt"')
    return dict(table)


def _origin(environment: Mapping[str, str], variable: str, key: tuple[str, str]) -> str:
    """Return where a value was set: the variable, or the key that it overrides."""
    return variable if environment.get(variable) else f"{FILE}: {'.'.join(key)} ({variable})"
