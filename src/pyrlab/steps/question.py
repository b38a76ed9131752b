"""Questions that are answered where the packages will live: stages with a network, with files in and files out."""

import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from pysequoia import Cert

from pyrlab.adapters import host
from pyrlab.adapters.debian import archive, keys
from pyrlab.adapters.docker import buildkit
from pyrlab.adapters.transport import with_user
from pyrlab.errors import UsageError
from pyrlab.model import stages
from pyrlab.model.base_image import Base
from pyrlab.model.debian_sources import Source
from pyrlab.model.locks.debs import DebPin
from pyrlab.model.secrets import KEYRING, lock_secrets
from pyrlab.model.sections import Section
from pyrlab.model.settings import Settings
from pyrlab.steps.materials import ROOT, Materials, cache_id

Say = Callable[[str], None]
DOCKERFILE = "lock.Dockerfile"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Below:
    """The root that questions are put in: its packages, which are fetched already, and its architecture.

    Where ``base`` is an image of a registry, these packages are what it has installed.
    """

    settings: Settings
    pins: tuple[DebPin, ...]
    architecture: str
    base: Base | None = None

    def ask(self, kind: str, request: Mapping[str, str], *options: str, say: Say) -> Path:
        """Put ``request``, as files, to the lock stage of this kind, and return the folder of the answer.

        Raises what ``buildkit.bake`` raises.
        """
        materials = Materials(self.settings)
        sections = [self._root(materials), materials.tools(self.architecture)]
        lock = Template(materials.template("lock")).substitute(cache=cache_id(self.settings, self.architecture))
        stage = f"lock-{kind}"
        contexts = self._provide(materials, sections, [materials.template("tools"), lock], say)
        folder = materials.work / stage
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "request").mkdir(parents=True)
        for name, text in request.items():
            (folder / "request" / name).write_text(text, encoding="utf-8")
        target = {
            **_target(stage, {**contexts, "request": f"{stage}/request"}),
            # Each question is asked anew: the archive and the index move, and BuildKit's cache does not know.
            "args": {"run": uuid.uuid4().hex, "options": " ".join(options)},
        }
        self._bake(materials, stage, target, self._secrets_for(kind), say=say)
        return folder / "answer"

    def describe(self, *, say: Say) -> Path:
        """Let docker/lock/describe-base look at the base image, and return the folder of what it wrote.

        Raises what ``buildkit.bake`` raises.
        """
        materials = Materials(self.settings)
        contexts = self._provide(materials, [self._root(materials)], [materials.template("describe")], say)
        shutil.rmtree(materials.work / "describe", ignore_errors=True)
        self._bake(materials, "describe", _target("describe", contexts), {}, say=say)
        return materials.work / "describe/answer"

    def make_proxies(self, tag: str, *, say: Say) -> None:
        """Make the image of the caching proxies, as ``tag``. Raises what ``buildkit.bake`` raises."""
        materials = Materials(self.settings)
        sections = [self._root(materials), materials.tools(self.architecture)]
        contexts = self._provide(materials, sections, [materials.template("tools"), materials.template("proxies")], say)
        target = {**_target("proxies", contexts), "tags": [tag], "output": ["type=docker"]}
        self._bake(materials, "proxies", target, self._secrets(), say=say)

    def probe(self, questions: str, *, timeout: float, say: Say) -> str:
        """Put ``questions`` to docker/lock/probe-network, and return what it wrote. They may hold credentials.

        ``timeout`` is in seconds. Raises what ``buildkit.bake`` raises.
        """
        materials = Materials(self.settings)
        contexts = self._provide(materials, [self._root(materials)], [materials.template("probe")], say)
        target = {**_target("probe", contexts), "args": {"run": uuid.uuid4().hex}}
        secrets = {"questions": questions, "ca": certificates(self.settings)}
        self._bake(materials, "probe", target, secrets, timeout=timeout, say=say)
        return (materials.work / "probe/answer/answers").read_text(encoding="utf-8")

    def _root(self, materials: Materials) -> Section:
        return materials.root(self.pins, self.base)

    def _secrets_for(self, kind: str) -> dict[str, str]:
        if kind == "debs":
            return self._secrets(archive.r_sources(self.settings))
        # uv has nothing of apt's sources, and is not stopped by a key that cannot be had.
        return lock_secrets(self.settings, certificates(self.settings))

    def _secrets(self, of_r: Sequence[Source] = ()) -> dict[str, str]:
        """Return the secrets by which apt and uv reach others, and apt knows who may sign.

        Of the sources for R's images, those ``of_r`` are named.
        Raises UsageError, NetworkError and BuildError for a key that cannot be had, or counts no longer.
        """
        settings, sources = self.settings, self._sources
        get_key = keys.reader(settings)
        signers = {
            source: keys.certificates(source.signed_by, get_key)
            for source in (*sources, *of_r)
            if source.signed_by and not source.trusted
        }
        known = replace(
            settings,
            apt_sources=tuple(_line(source, signers) for source in sources),
            r_apt_sources=tuple(_line(source, signers) for source in of_r),
        )
        keyring = keys.armored(cert for certs in signers.values() for cert in certs)
        return lock_secrets(known, certificates(known), archive.bases(settings), keyring=keyring)

    @property
    def _sources(self) -> tuple[Source, ...]:
        """The sources that apt takes for a question; none where those of the root itself count.

        What a base image brings may be another mirror, or none at all, and files are fetched from these. Beside
        those of R's images, all are named.
        """
        settings = self.settings
        if settings.apt_sources or settings.r_apt_sources or self.base:
            return archive.base_sources(settings)
        return ()

    def _provide(
        self, materials: Materials, sections: Sequence[Section], templates: Sequence[str], say: Say
    ) -> dict[str, str]:
        """Lay out what a stage is made of, and its Dockerfile, upon the root's, whose section is the first.

        Returns bake's named contexts.
        """
        contexts = materials.provide(sections, r="", architecture=self.architecture, say=say)
        text = "\n".join([stages.root_stages(sections[0], materials.template), *templates])
        stamped = stages.stamped(text, {section.name: section for section in sections}, materials.recipe_digests)
        (materials.work / DOCKERFILE).write_text(stamped, encoding="utf-8")
        return contexts

    def _bake(  # noqa: PLR0913 - all that a call of bake is made of
        self,
        materials: Materials,
        stage: str,
        target: Mapping[str, object],
        secrets: Mapping[str, str],
        *,
        timeout: float = buildkit.TIMEOUT,
        say: Say,
    ) -> None:
        settings = self.settings
        call = buildkit.Bake(
            materials.work,
            {stage: target},
            secrets,
            reach=settings.uses_loopback,
            timeout=timeout,
            platform=settings.platform,
        )
        buildkit.bake(call, say=say)


def _target(stage: str, contexts: Mapping[str, str]) -> dict[str, object]:
    return {
        "context": ROOT,
        "dockerfile": f"../{DOCKERFILE}",
        "target": stage,
        "contexts": contexts,
        "output": [f"type=local,dest={stage}/answer"],
    }


def _line(source: Source, signers: Mapping[Source, Sequence[Cert]]) -> str:
    """Return a source's line for apt, which does not read this user's netrc, nor where the settings have keys."""
    fingerprints = [cert.fingerprint.upper() for cert in signers.get(source, ())]
    return with_user(source.line(",".join([KEYRING, *fingerprints]) if fingerprints else ""))


def certificates(settings: Settings) -> str:
    """Return the certificates that steps trust, as PEM: those of the settings, else those that this machine trusts.

    Nothing, where this machine has no such file: then each tool trusts its own. Raises UsageError where the settings
    name a file that has none.
    """
    path = settings.ca_file or host.store()
    # What stands between them may be in any encoding, or a key.
    found = _CERTIFICATE.findall(path.read_bytes()) if path else []
    if settings.ca_file and not found:
        raise UsageError(
            f"the certificate file {settings.ca_file} has no certificate",
            remedy="name a PEM file: SSL_CERT_FILE, or network.ca_file in pyrlab.toml",
        )
    return "".join(f"{one.decode('ascii', 'replace')}\n" for one in found)
