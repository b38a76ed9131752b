"""`proxies`: apt-cacher-ng and devpi on this machine, for all projects, from an image that pyrlab makes itself."""

import time
from collections.abc import Callable

import requests
from docker.models.containers import Container

from pyrlab.adapters import lock_files, ports
from pyrlab.adapters.docker import engine, servers
from pyrlab.adapters.process import tail
from pyrlab.errors import EngineError, StaleLockError, UsageError
from pyrlab.model import caching
from pyrlab.model.caching import Server
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.proxies import has_user
from pyrlab.model.secrets import lock_secrets
from pyrlab.model.settings import Settings
from pyrlab.steps.materials import Materials
from pyrlab.steps.question import Below, certificates

Say = Callable[[str], None]
# It marks the containers and volumes; a lab has another one.
LABEL = "io.pyrlab.proxies"
# Seconds until a server answers: devpi makes its database first.
START_TIMEOUT = 180.0
ASK_TIMEOUT = 5.0


def start(settings: Settings, *, say: Say) -> None:
    """Let both servers run. What runs already is left alone.

    Raises UsageError for a port that somebody else has, StaleLockError without a root, EngineError for a server that
    does not answer, and what a build raises.
    """
    engine.find()
    missing = [server for server in caching.SERVERS if not _is_running(server)]
    for server in missing:
        _need_free(server)
    if not missing:
        return
    own = caching.upstream(settings)
    if has_user(own.python_index):
        raise UsageError(
            "PIPPROXY, or network.python_index in pyrlab.toml, names a user, whom devpi would write into its log",
            remedy="use that index directly; or name one that asks for no user",
        )
    image = _image(own, say=say)
    for server in missing:
        _start(own, server, image, say=say)


def stop(*, say: Say) -> list[str]:
    """Stop both servers, and return the names of those that ran. What they keep stays in their volumes."""
    engine.find()
    stopped = []
    for server in caching.SERVERS:
        container = servers.find(server.name)
        if container is None:
            continue
        say(f"stopping {server.title}")
        # Its own time is for what it writes at the end.
        container.stop(timeout=10)
        container.remove(force=True)
        stopped.append(server.title)
    return stopped


def _is_running(server: Server) -> bool:
    """Tell whether a server of ours runs and answers; one that does not is removed, to be started anew."""
    container = servers.find(server.name)
    if container is None:
        return False
    if container.status == "running" and _answers(server):
        return True
    container.remove(force=True)
    return False


def _need_free(server: Server) -> None:
    if reason := ports.why_not(caching.ADDRESS, server.port):
        holder = ports.holder(server.port)
        raise UsageError(
            f"{server.title} cannot have port {server.port}: {reason}{f', {holder} has it' if holder else ''}",
            remedy=f"stop what has it; or, if that is {server.title} already, use it: {server.url}",
        )


def _image(own: Settings, *, say: Say) -> str:
    """Return the tag of the servers' image, which is made where it is not there."""
    debs = lock_files.read_earlier(own, warn=lambda _: None).debs
    if debs is None or debs.suite != own.suite:
        raise StaleLockError(
            f"the proxies stand on the root of debs.lock, and there is none for {own.suite}", remedy="nox -s lock"
        )
    digest = Materials(own).recipe_digests["proxies"]
    tag = f"pyrlab-proxies:{own.suite}-{debs.architecture}-{digest[:12]}"
    if not servers.has_image(tag):
        say("making an image of apt-cacher-ng and devpi")
        Below(own, debs.sections[ROOT], debs.architecture, debs.base).make_proxies(tag, say=say)
    return tag


def _start(own: Settings, server: Server, image: str, *, say: Say) -> None:
    say(f"starting {server.title}")
    secrets = lock_secrets(own, certificates(own))
    given = {"proxy": secrets["proxy"], "ca": secrets["ca"], "index": own.python_index}
    container = servers.start(
        image,
        [server.program, str(server.port)],
        name=server.name,
        user=server.user,
        folder=server.folder,
        given=given,
        label=LABEL,
    )
    try:
        _wait(server, container)
    except BaseException:
        container.remove(force=True)
        raise


def _wait(server: Server, container: Container) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not (_answers(server) and (not server.ready or servers.has_file(container, server.ready))):
        container.reload()
        if container.status != "running" or container.attrs["RestartCount"] or time.monotonic() > deadline:
            raise EngineError(
                f"{server.title} does not answer on port {server.port} of this machine",
                remedy="the end of its log says why; an engine on another machine cannot serve this one",
                detail=tail(container.logs().decode(errors="replace")),
            )
        time.sleep(0.1)


def _answers(server: Server) -> bool:
    """Tell whether the server answers, and is the one that it should be."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy must not come between this machine and itself
        try:
            response = session.get(f"http://{caching.ADDRESS}:{server.port}{server.proof}", timeout=ASK_TIMEOUT)
        except requests.RequestException:
            return False
    return server.mark in response.content.lower()
