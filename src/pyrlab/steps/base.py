"""The base image of a registry: which digest its name has, and what is in it."""

from collections.abc import Callable
from pathlib import Path

from pyrlab.adapters import registry
from pyrlab.adapters.debian import base_system
from pyrlab.adapters.http import Web
from pyrlab.errors import BuildError, NoRoomError, UsageError
from pyrlab.model import servers
from pyrlab.model.base_image import Base, Reference
from pyrlab.model.settings import Settings
from pyrlab.model.urls import FILE
from pyrlab.steps.question import Below

Say = Callable[[str], None]


def reference_of(settings: Settings) -> Reference:
    """Return the base image's name in its parts. Raises UsageError."""
    return Reference.parse(settings.base_image, where=f"{FILE}: base.image")


def resolve(settings: Settings, *, architecture: str, timeout: float | None = None, retries: int | None = None) -> str:
    """Return the digest that the base image's name has now. Raises UsageError, NotThereError, NetworkError.

    ``timeout`` is in seconds, for each wait; ``retries`` follow the first attempt.
    """
    return _registry(settings, reference_of(settings), timeout, retries).resolve(architecture)


def documents(settings: Settings, base: Base) -> tuple[bytes, bytes]:
    """Return the manifest and the configuration of a base image. Raises UsageError, NotThereError, NetworkError."""
    return _registry(settings, Reference.parse(base.reference, where="image")).documents()


def _registry(
    settings: Settings, reference: Reference, timeout: float | None = None, retries: int | None = None
) -> registry.Registry:
    web = Web(
        settings.cache,
        ca_file=settings.ca_file,
        proxies=settings.proxies,
        kind=servers.REGISTRY,
        timeout=timeout,
        retries=retries,
    )
    return registry.Registry(web, reference, registry.credentials(reference.host))


def new_base(settings: Settings, *, architecture: str, say: Say) -> Below:
    """Return the root that the base image is now: the engine brings it by its digest, and it is looked at.

    Raises UsageError for an image that cannot be a base, NetworkError, and what ``buildkit.bake`` raises.
    """
    image = settings.base_image
    say(f"asking the registry for {image}")
    digest = resolve(settings, architecture=architecture)
    # Its Python is what the look is for.
    unseen = Below(settings, (), architecture, Base(image, digest, python=""))
    system = base_system.read(_look(unseen, image, say), image=image, architecture=architecture)
    if system.suite != settings.suite:
        raise UsageError(
            f"the image {image} is Debian's {system.suite or 'of no suite'}, and base.suite is {settings.suite!r}",
            remedy=f'write suite = "{system.suite}" in [base] of {FILE}, or name another image',
        )
    return Below(settings, system.pins, architecture, Base(image, digest, system.python))


def _look(unseen: Below, image: str, say: Say) -> Path:
    """Return what docker/lock/describe-base wrote of an image. Raises UsageError for one that it cannot run in."""
    try:
        return unseen.describe(say=say)
    except NoRoomError:
        raise
    except BuildError as error:
        raise UsageError(
            f"the image {image} is not Debian: nothing can be run in it, not even a shell",
            remedy="name another base.image in pyrlab.toml, such as python:3.14-slim-trixie",
            detail=error.detail,
        ) from error
