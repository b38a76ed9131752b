"""Whether the servers that a project's locks need answer: from this machine, and from inside a build."""

import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pyrlab.adapters import lock_files
from pyrlab.adapters.debian import archive
from pyrlab.adapters.docker import engine
from pyrlab.adapters.http import THREADS, Web, hide
from pyrlab.adapters.python.index import root_of
from pyrlab.errors import NetworkError, PyrlabError
from pyrlab.model import doctor, reach, servers
from pyrlab.model.doctor import Check
from pyrlab.model.locks.debs import ROOT
from pyrlab.model.settings import Settings
from pyrlab.steps import base, fetch
from pyrlab.steps.question import Below
from pyrlab.steps.workspace import BusyError, busy

# Seconds that the step in a build may take. It may have to fetch and configure the root, the first time.
PROBE_TIMEOUT = 180.0
# Seconds to wait for another run in the project, which has its work folder for itself.
PATIENCE = 3.0
# Seconds for a connection, and for each wait for more.
WEB_TIMEOUT = 15.0
NETWORK, BUILD_NETWORK = "network", "network in a build"


def _questions(settings: Settings) -> list[reach.Question]:
    sources = archive.all_sources(settings)
    return reach.questions(settings, sources, root_of(settings.python_index))


def from_here(settings: Settings) -> Iterator[Check]:
    """Yield a line for each server that this machine asks, and one for the clock, by what the servers say."""
    asked = [question for question in _questions(settings) if question.is_web]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda question: _ask(settings, question), asked))
    for question, answer in zip(asked, answers, strict=True):
        yield reach.judge(NETWORK, question, answer)
    there = reach.server_time(answers)
    if there is None:
        with ThreadPoolExecutor(THREADS) as pool:
            there = reach.server_time(pool.map(lambda question: _ask_time(settings, question), asked))
    if there is None:
        yield doctor.untold("clock", "no server told the time")
    else:
        yield doctor.clock("clock", "the servers", datetime.now(UTC), there)
    # At the end: a credential helper of Docker's may wait for somebody.
    if settings.base_image:
        yield _base_image(settings)


def _base_image(settings: Settings) -> Check:
    """Return the line of the base image's registry, which is asked all that lock asks it, as the same user."""
    debs = lock_files.read_earlier(settings, warn=lambda _: None).debs
    try:
        architecture = debs.architecture if debs else engine.debian_architecture(platform.machine())
        base.resolve(settings, architecture=architecture, timeout=WEB_TIMEOUT, retries=0)
    except PyrlabError as error:
        return doctor.failed(NETWORK, error)
    host = base.reference_of(settings).host
    return doctor.well(NETWORK, f"{servers.REGISTRY.name} at {host} answers, and has {settings.base_image}")


def _ask(settings: Settings, question: reach.Question) -> reach.Answer:
    web = _web(settings, question, verified=question.verified)
    return _look(web, question.url, accept="application/vnd.pypi.simple.v1+json, */*;q=0.5")


def _ask_time(settings: Settings, question: reach.Question) -> reach.Answer:
    """Ask a server for nothing but its time, without looking at its certificate: a wrong clock refuses every one.

    Who answers may be anybody, so it learns neither a user nor a path.
    """
    return _look(_web(settings, question, verified=False), question.root, anonymous=True)


def _web(settings: Settings, question: reach.Question, *, verified: bool) -> Web:
    hide((*settings.hidden, *(secret for one in settings.r_repositories for secret in one.secrets)))
    return Web(
        settings.cache,
        ca_file=settings.ca_file,
        proxies=question.proxies,
        unverified_hosts=() if verified else (question.host, question.host.partition(":")[0]),
        timeout=WEB_TIMEOUT,
    )


def _look(web: Web, url: str, *, accept: str = "*/*", anonymous: bool = False) -> reach.Answer:
    try:
        look = web.look(url, agent=fetch.AGENT, accept=accept, anonymous=anonymous)
    except NetworkError as error:
        return reach.Answer(error=str(error))
    return reach.Answer(look.status, look.head, look.date, look.age)


def in_a_build(settings: Settings) -> Iterator[Check]:
    """Yield a line for each server that lock's steps will ask, asked from a step like theirs.

    R repositories are read by this machine only.
    """
    asked = [question for question in _questions(settings) if question.is_web and question.kind != reach.R]
    debs = lock_files.read_earlier(settings, warn=lambda _: None).debs
    if debs is None or debs.suite != settings.suite:
        yield doctor.untold(BUILD_NETWORK, f"a build needs a root, and there is no debs.lock for {settings.suite}")
        return
    below = Below(settings, debs.sections[ROOT], debs.architecture, debs.base)
    try:
        with busy(settings.workspace, "doctor", say=lambda _: None, timeout=PATIENCE):
            text = below.probe(reach.request(asked), timeout=PROBE_TIMEOUT, say=lambda _: None)
    except BusyError as error:
        yield doctor.untold(BUILD_NETWORK, str(error), remedy=error.remedy)
        return
    for question, answer in zip(asked, reach.parse_answers(text), strict=True):
        yield reach.judge(BUILD_NETWORK, question, answer)
