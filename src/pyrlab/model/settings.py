"""The settings of a project, as one value; ``settings_keys`` makes it of what pyrlab.toml and the environment say."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pyrlab.errors import UsageError
from pyrlab.model import architectures
from pyrlab.model.debian_sources import NO_KEYS, KeyPlaces
from pyrlab.model.graph import RESERVED_PORT, Graph
from pyrlab.model.proof import ProofSettings, UpgradeSettings
from pyrlab.model.r_repositories import RRepository
from pyrlab.model.settings_tables import LONGEST_NUMBER
from pyrlab.model.user_folders import expanded
from pyrlab.model.workspace import WORK, Workspace

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one project, checked. ``ports`` are by lab; ``proxies`` by upper-case variable name.

    ``state`` is this user's folder for what outlives a cache, ``hidden`` what variables put into URLs of archives.
    ``base_image`` is empty where the root is bootstrapped.
    """

    project: Path
    graph: Graph
    cache: Path
    state: Path
    base_image: str
    suite: str
    apt_sources: tuple[str, ...] = field(repr=False)  # may hold credentials
    check_valid_until: str
    snapshot: str = field(repr=False)  # may hold credentials
    hidden: tuple[str, ...] = field(repr=False)
    apt_proxy: str
    python_index: str
    python_trusted_host: str
    ca_file: Path | None
    r_repositories: tuple[RRepository, ...]
    github: RRepository
    prefix: str
    ports: Mapping[str, int]
    notebooks: Path
    jobs: int
    compile_timeout: int
    proxies: Mapping[str, str]
    owner: int
    image_tag: str
    smoke_exempt: Mapping[str, str] = field(default_factory=dict)
    proof: ProofSettings = field(default_factory=ProofSettings)
    upgrade: UpgradeSettings = field(default_factory=UpgradeSettings)
    # What R's images may take debs from, beside the others' sources; these, too, may hold credentials.
    r_apt_sources: tuple[str, ...] = field(default=(), repr=False)
    keys: KeyPlaces = NO_KEYS
    trust_ca: bool = False
    # Debian's word for what the images are for; empty for what the engine runs.
    architecture: str = ""
    emulated: str = ""
    locks_of: str = ""
    variant: str = ""

    @property
    def uses_loopback(self) -> bool:
        """Whether a build must reach a server on this machine's own loopback (a proxy or a mirror beside it)."""
        urls = [self.apt_proxy, self.python_index, *(url for name, url in self.proxies.items() if name != "NO_PROXY")]
        urls += self.archives
        return any(urlsplit(url if "://" in url else f"//{url}").hostname in LOOPBACK for url in urls)

    @property
    def archives(self) -> list[str]:
        """The URLs of the archives that the settings name, which may hold credentials."""
        return [word for line in (*self.apt_sources, *self.r_apt_sources) for word in line.split() if "://" in word]

    @property
    def workspace(self) -> Workspace:
        """Where a run with these settings works, and what its images and labs are called."""
        own = Workspace(
            project=self.project,
            work=self.project / WORK / self.emulated,
            cache=self.cache,
            owner=self.owner,
            prefix=self.prefix,
            fixed_tag=self.image_tag,
            emulated=self.emulated,
            locks_of=self.locks_of,
        )
        return own.variant(self.variant) if self.variant else own

    @property
    def tokens(self) -> Path:
        """The folder of the labs' tokens. Raises UsageError where this user has no home folder."""
        return expanded(self.state, "XDG_STATE_HOME") / "tokens"

    def of_variant(self, name: str) -> Self:
        """Return the settings of a variant of the project, such as ``candidate``; empty for the project itself."""
        return dataclasses.replace(self, variant=name)

    def of_architecture(self, architecture: str, *, own: str, apart: bool) -> Self:
        """Return the settings for an architecture: the engine's ``own``, or another one, which it emulates.

        ``apart`` tells that its locks lie in a folder of its name.
        """
        return dataclasses.replace(
            self,
            architecture=architecture,
            emulated=architecture if architecture != own else "",
            locks_of=architecture if apart else "",
        )

    def tag(self, image: str) -> str:
        """Return the full name of an image, such as ``team/pylab:analysis-3f2a91b0``."""
        return self.workspace.tag(image)

    @property
    def platform(self) -> str:
        """What the engine is asked to emulate, as in ``linux/arm64``; empty where the images are for its own."""
        return architectures.platform(self.emulated) if self.emulated else ""

    def serving(self, lab: str, *, port: int | None, notebooks: Path | None) -> Self:
        """Return the settings with what the command line says of one lab. Raises UsageError for a bad port."""
        ports = {**self.ports, lab: check_port(port, "--port")} if port is not None else self.ports
        folder = expanded(notebooks or self.notebooks, "FILES").resolve()
        return dataclasses.replace(self, ports=ports, notebooks=folder)


def check_port(port: int, origin: str) -> int:
    """Return ``port``. Raises UsageError when no lab can have it; ``origin`` says where it was set."""
    if port == RESERVED_PORT:
        raise UsageError(
            f"{origin} is {port}, which is TensorBoard's port inside the lab",
            remedy="choose another port; TensorBoard is then at /proxy/6006/ of the lab's link",
        )
    if not 0 < port < 2**16:
        # Python refuses to write numbers of thousands of digits, and nobody wants to read them.
        shown = str(port) if abs(port) < 10**LONGEST_NUMBER else "a number of many digits"
        raise UsageError(f"{origin} is {shown}, which is no port", remedy="choose one from 1 to 65535")
    return port
