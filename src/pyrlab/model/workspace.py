"""A workspace: whose lists, which locks, which tags, which work folder and which cache one run has."""

import dataclasses
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyrlab.errors import UsageError

# The labels of containers and images: whose they are, which lab by which name, and which run of pyrlab made them from
# which request.
PROJECT_LABEL = "io.pyrlab.project"
USER_LABEL = "io.pyrlab.user"
LAB_LABEL = "io.pyrlab.lab"
NAME_LABEL = "io.pyrlab.name"
REQUEST_LABEL = "io.pyrlab.request"
RUN_LABEL = "io.pyrlab.run"
# A volume with added packages, and the id of the user that they are of; a container that only looks into one.
ADDED_LABEL = "io.pyrlab.added"
LOOK_LABEL = "io.pyrlab.look"
WORK = ".pyrlab"
# Long enough to know the project again, short enough for a table of containers; the identity tells namesakes apart.
_SLUG_LENGTH = 30
# Source: the grammar of references, github.com/distribution/reference. A first part with a dot, with a port, or called
# localhost is a registry; only that one may have upper-case letters.
_REGISTRY = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:))(?::[0-9]+)?/"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_REGISTRY})?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where one run works, and what its images and labs are called.

    ``project`` is the resolved folder of the lists and locks, ``work`` is for files of a build, ``cache`` is shared by
    all projects of the user whose id is ``owner``. ``prefix`` goes before the names of images; ``fixed_tag``, where it
    is not empty, is their tag. ``name`` is a variant's: it has its own locks, work folder, tags and container names.
    So has what is ``emulated``, an architecture that is not the engine's own; ``locks_of`` names the architecture whose
    locks lie in a folder of its name, as those in the project's own folder are for another one.
    """

    project: Path
    work: Path
    cache: Path
    owner: int
    prefix: str = ""
    fixed_tag: str = ""
    emulated: str = ""
    locks_of: str = ""
    name: str = ""

    def variant(self, name: str) -> Self:
        """Return the workspace of a variant of this project, such as ``candidate``, which touches nothing of it."""
        if not re.fullmatch(r"[a-z][a-z0-9]*", name):
            raise UsageError(f"{name!r} is no name of a variant", remedy="use lower-case letters and digits")
        return dataclasses.replace(self, name=name, work=self.work / "variants" / name)

    @property
    def locks(self) -> Path:
        """The folder of the locks: the project itself, an architecture's in it, or a variant's work folder."""
        return self.work if self.name else self.project / self.locks_of

    @property
    def identity(self) -> str:
        """Eight hex digits that differ between projects and between users."""
        text = f"{self.owner}\n{self.project.as_posix()}"
        return hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()[:8]

    @property
    def slug(self) -> str:
        """The name of the project's folder, made fit for tags and for names of containers."""
        ascii_only = unicodedata.normalize("NFKD", self.project.name).encode("ascii", errors="ignore").decode()
        fit = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower())[:_SLUG_LENGTH].strip("-")
        return fit or "project"

    @property
    def key(self) -> str:
        """The identity with the variant, as in ``3f2a91b0-candidate``: the value of ``io.pyrlab.project``."""
        return "-".join(filter(None, (self.identity, self.emulated, self.name)))

    @property
    def tag_name(self) -> str:
        """What stands behind the colon of every image's name."""
        own = self.fixed_tag or f"{self.slug}-{self.identity}"
        return "-".join(filter(None, (own, self.emulated, self.name)))

    def tag(self, image: str) -> str:
        """Return the full name of an image, such as ``team/pylab:analysis-3f2a91b0``."""
        return f"{self.prefix}{image}:{self.tag_name}"

    def container(self, name: str) -> str:
        """Return the name of a lab's container, such as ``pyrlab-analysis-3f2a91b0-pylab``."""
        return f"pyrlab-{self.slug}-{self.key}-{name}"

    def home(self, name: str, uid: int) -> str:
        """Return the name of the volume with the home folder of a lab that runs as ``uid``.

        What one user id has made, such as ~/.jupyter, another one could not even read.
        """
        return f"{self.container(name)}-home-{uid}"

    def added(self, name: str, uid: int) -> str:
        """Return the name of the volume with the packages that were added to a lab that runs as ``uid``.

        What one user id has added, another one could not remove.
        """
        return f"{self.container(name)}-added-{uid}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which images and containers are known as this workspace's."""
        return {PROJECT_LABEL: self.key, USER_LABEL: str(self.owner)}

    def lab_labels(self, lab: str, name: str) -> dict[str, str]:
        """Return the labels by which a container is known as this workspace's own lab, by this name."""
        return {**self.labels, LAB_LABEL: lab, NAME_LABEL: name}


def check_prefix(prefix: str, origin: str) -> str:
    """Return ``prefix``. Raises UsageError when an image could not be called so; ``origin`` says where it was set."""
    # The longest name of an image stands for all.
    name = f"{prefix}pyrlab-base"
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"{origin} is {_short(prefix)!r}, which cannot start the name of an image",
            remedy='use lower-case letters, digits and single . _ - between them, as in "registry.example.org/team/"',
        )
    return prefix


def check_tag(tag: str, origin: str) -> str:
    """Return ``tag``, which may be empty. Raises UsageError when Docker would not take it."""
    if tag and not _TAG.fullmatch(tag):
        raise UsageError(
            f"{origin} is {_short(tag)!r}, which is no tag of an image",
            remedy='use at most 128 letters, digits and . _ -, as in "latest", or "" for one of this project',
        )
    return tag


def _short(text: str) -> str:
    longest = 60
    return text if len(text) <= longest else f"{text[:longest]}…"
