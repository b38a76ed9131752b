"""What a build is given, in the work folder: the root's tar, the recipe, and the sections of the locks."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyrlab.adapters import context, host, private_file, recipe
from pyrlab.adapters.debian import root_cache, rootfs
from pyrlab.errors import UsageError
from pyrlab.model.base_image import Base
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.locks.python import parse_pins
from pyrlab.model.sections import CA, IMAGE, TOOLS, Section, python_section, root_section
from pyrlab.model.settings import Settings
from pyrlab.model.stages import RECIPE, root_tar, section_context
from pyrlab.steps import fetch

Say = Callable[[str], None]
ROOT, SECTIONS = "root", "sections"
TOOLS_LOCK = "python/tools.lock"


@dataclass(frozen=True)
class Materials:
    """The build contexts of one work folder. Nothing is there until it is asked for.

    ``snapshot`` is the time that debs.lock notes.
    """

    settings: Settings
    snapshot: str = ""

    @property
    def work(self) -> Path:
        """The work folder."""
        return self.settings.workspace.work

    @property
    def docker(self) -> Path:
        """The project's docker/."""
        return self.settings.project / "docker"

    @cached_property
    def recipe(self) -> Mapping[str, bytes]:
        """The build steps' own files."""
        return recipe.read(self.docker)

    @cached_property
    def recipe_digests(self) -> Mapping[str, str]:
        """Digests of the recipe's files and folders."""
        return recipe.digests(dict(self.recipe))

    def template(self, name: str) -> str:
        """Return a template of the Dockerfile."""
        return recipe.stage_template(self.docker, name)

    def provide(self, sections: Iterable[Section], *, r: str, architecture: str, say: Say) -> dict[str, str]:
        """Fetch what these sections pin, and lay them out with the recipe and the root's tar.

        Returns bake's named contexts, relative to the work folder.
        Sections of earlier builds stay, so that what did not change is not sent to the builder again.
        """
        sections = list(sections)
        store = fetch.fetch(self.settings, sections, r=r, architecture=architecture, say=say, snapshot=self.snapshot)
        context.fill(self.work / RECIPE, self.recipe, {}, link=store.link)
        for section in sections:
            context.fill(
                self.work / SECTIONS / section.name,
                {name: text.encode() for name, text in section.texts.items()},
                dict(fetch.names_in_store(store, section)),
                link=store.link,
            )
            if section.name == ROOT:
                self._make_root(section)
        return {RECIPE: RECIPE, **{section_context(one.name): f"{SECTIONS}/{one.name}" for one in sections}}

    def _make_root(self, section: Section) -> None:
        """Make the root's tar, unless the one that is there, or one of the cache, is whole and of this very section.

        The folder is the context of all builds; a base image needs no more of it.
        """
        folder = self.work / ROOT
        folder.mkdir(parents=True, exist_ok=True)
        tar = folder / root_tar(section)
        for old in folder.iterdir():
            if not old.name.startswith(tar.name):
                old.unlink()
        if IMAGE in section.texts:
            # The engine brings it.
            return
        debs = {self.work / SECTIONS / ROOT / file.name: file.sha256 for file in section.files}
        root_cache.ensure_tar(
            debs,
            tar,
            extra_files=rootfs.sources_files(self.settings, list(debs)),
            cache=self.settings.cache / "roots",
        )

    def root(self, pins: Iterable[DebPin], base: Base | None = None) -> Section:
        """Return the section that the root of these packages, or of this image, is made of."""
        return root_section(pins, base, self.origin)

    @property
    def origin(self) -> str:
        """What decides the root beside its packages: apt's sources in it, and how its tar is written."""
        return f"{self.settings.suite} {rootfs.recipe(self.settings)}"

    def tools(self, architecture: str) -> Section:
        """Return the section of the tools that lock and install Python packages."""
        pins = parse_pins(self.recipe[TOOLS_LOCK].decode(), name=TOOLS_LOCK)
        return python_section(TOOLS, pins, architecture)


def authorities(path: Path) -> Section:
    """Return the section of the certificates that labs trust, a file each. Raises UsageError where there are none."""
    found = host.certificates_in(path)
    if not found:
        raise UsageError(
            f"labs.trust_ca is true, and {path} has no certificate of an authority",
            remedy="name a PEM file with your company's root certificate: network.ca_file, or SSL_CERT_FILE",
        )
    return Section(CA, {f"pyrlab-{number:03}.crt": text for number, text in enumerate(found)})


def seal(settings: Settings) -> str:
    """Return this user's key that seals compiled packages in the builder's cache; made when it is first asked for."""
    return private_file.ensure(settings.cache / "seal", lambda: secrets.token_hex(32))


def cache_id(settings: Settings, architecture: str) -> str:
    """Return the first part of the ids of cache mounts: of this user, suite and architecture.

    A mount without an id of its own is shared with every Dockerfile of the engine that names the same folder.
    """
    owner = hashlib.sha256(f"cache {seal(settings)}".encode()).hexdigest()[:16]
    return f"pyrlab-{owner}-{settings.suite}-{architecture}"
