"""Where Debian packages come from: apt's source lines, and the keys that may sign what is there."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pyrlab.errors import UsageError
from pyrlab.model.urls import FILE

BASE, OF_R = "base.apt_sources", "r.apt_sources"
# Options that change nothing about which packages there are, or whether they are to be trusted.
_HARMLESS_OPTIONS = frozenset({"lang", "target", "pdiffs"})
_USER = re.compile(r"//[^/]*?@")
# What sources.list(5) has beside plain words. An address of IPv6 has brackets, too.
_OTHERWISE = re.compile(r"[\"\[\]]|\$\(")
_HOST = re.compile(r"//(?:[^/]*@)?\[[0-9A-Fa-f:.]+\](?=[:/]|$)")
# Python takes more for spaces than apt does, and a second line would be a source of its own.
_ODD = re.compile(r"[^\S \t]|[\x00-\x08\x0e-\x1f\x7f]")
# Of OpenPGP's versions 4 and 6. What else is all digits is a part of one, which anybody can make another key for.
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_PART = re.compile(r"(?:0x)?[0-9A-Fa-f]{8,}!?")


def without_user(text: str) -> str:
    """Return a line or a URI without the user and the password in it."""
    return _USER.sub("//", text)


def fingerprint(text: str) -> str:
    """Return a key's fingerprint in the one form that is compared; nothing where the text is none."""
    joined = "".join(text.split()).upper()
    return joined if _FINGERPRINT.fullmatch(joined) else ""


@dataclass(frozen=True, slots=True)
class Key:
    """The certificate with a fingerprint, in a file or at a URL; without a fingerprint, all of a file."""

    place: str = field(repr=False)  # may hold credentials
    fingerprint: str = ""

    def __str__(self) -> str:
        """Return what a message calls it."""
        return self.fingerprint or self.place


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """Where keys are, by fingerprint, and the project's folder, which paths are relative to."""

    folder: Path = Path("/")
    places: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold credentials

    def find(self, word: str, line: str, setting: str) -> Key:
        """Return the key that a word of ``signed-by`` names. Raises UsageError for a fingerprint without a place."""
        wanted = fingerprint(word)
        if not wanted:
            if "://" in word:
                raise UsageError(
                    f"{setting}: a source's option signed-by is a URL",
                    remedy=f'write the fingerprint there, and the URL into {FILE}: [debian.keys] FINGERPRINT = "URL"',
                )
            if _PART.fullmatch(word):
                raise _bad_line(line, setting, "has an option signed-by that is no whole fingerprint")
            return Key(str(self.folder / word))
        if wanted not in self.places:
            raise UsageError(
                f"{setting}: {without_user(line.strip())!r} wants the key {wanted}, and nothing says where that is",
                remedy=f'write its file or URL into {FILE}: [debian.keys] "{wanted}" = "keys/archive.asc"',
            )
        return Key(self.places[wanted], wanted)


NO_KEYS = KeyPlaces()


@dataclass(frozen=True, slots=True)
class Source:
    """One ``deb`` line. ``uri`` has no slash at its end; a ``suite`` with one is the folder of a flat archive.

    ``signed_by`` are the keys that count instead of Debian's own, and ``trusted`` wants no signature at all.
    An ``optional`` source is left out where the archive does not have its suite.
    """

    uri: str
    suite: str
    components: tuple[str, ...] = ()
    trusted: bool = False
    signed_by: tuple[Key, ...] = ()
    architectures: tuple[str, ...] = ()
    check_valid_until: bool = True
    optional: bool = False

    @classmethod
    def parse(cls, line: str, keys: KeyPlaces = NO_KEYS, *, setting: str = BASE) -> Self:
        """Parse a line as in sources.list(5). Raises UsageError that shows the line without its password."""
        match = re.fullmatch(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<words>[^#]*)(?:#.*)?", line)
        words = match["words"].split() if match else []
        if match is None or len(words) < 2:  # noqa: PLR2004 - URI and suite
            raise _bad_line(line, setting, "is no source of Debian packages")
        uri, suite, *components = words
        if "://" not in uri and not uri.startswith("file:/"):
            raise _bad_line(line, setting, "has no URI")
        if any(map(_OTHERWISE.search, (_HOST.sub("//", uri), suite, *components))):
            raise _bad_line(line, setting, "has quotes, brackets or $(ARCH), which only apt itself reads")
        if suite.endswith("/") == bool(components):
            reason = "needs components, as in: main" if not components else "has too many words"
            raise _bad_line(line, setting, reason)
        options = _options(match["options"] or "", line, setting)
        return cls(
            uri=uri.rstrip("/"),
            suite=suite,
            components=tuple(components),
            trusted=options.get("trusted") == "yes",
            signed_by=tuple(keys.find(word, line, setting) for word in _listed(options.get("signed-by", ""))),
            architectures=_listed(options.get("arch", "")),
            check_valid_until=options.get("check-valid-until") != "no",
        )

    @property
    def flat(self) -> bool:
        """Whether all files lie in one folder, without suites and components."""
        return self.suite.endswith("/")

    @property
    def folder(self) -> str:
        """The URI of the folder that holds the Release file."""
        if not self.flat:
            return f"{self.uri}/dists/{self.suite}"
        inner = self.suite.removeprefix("./").strip("/")
        return f"{self.uri}/{inner}" if inner else self.uri

    def line(self, signed_by: str = "") -> str:
        """Return the line as apt reads it; ``signed_by`` says in apt's words which keys count."""
        options = {
            "arch": ",".join(self.architectures),
            "trusted": "yes" if self.trusted else "",
            "check-valid-until": "" if self.check_valid_until else "no",
            "signed-by": signed_by,
        }
        shown = " ".join(f"{name}={value}" for name, value in options.items() if value)
        return " ".join(filter(None, ("deb", f"[{shown}]" if shown else "", self.uri, self.suite, *self.components)))

    def __str__(self) -> str:
        """Return the line as an image may hold it: without options."""
        return " ".join(("deb", self.uri, self.suite, *self.components))


def parse_sources(lines: Iterable[str], keys: KeyPlaces = NO_KEYS, *, setting: str = BASE) -> tuple[Source, ...]:
    """Parse lines as in sources.list(5); those of source packages, comments and blank lines are left out.

    ``setting`` is where they stand, for messages. Raises UsageError.
    """
    texts = [line.strip() for line in lines]
    for text in filter(_ODD.search, texts):
        raise _bad_line(text, setting, "has a line break, or another character that apt reads otherwise")
    wanted = [text for text in texts if text and not re.match(r"#|deb-src\s", text)]
    return tuple(Source.parse(text, keys, setting=setting) for text in wanted)


def _listed(value: str) -> tuple[str, ...]:
    return tuple(filter(None, value.split(",")))


def _options(text: str, line: str, setting: str) -> dict[str, str]:
    options = {}
    for option in _words(text, line, setting):
        name, _, value = option.partition("=")
        name = name.lower()
        if re.search(r"\s", value):
            raise _bad_line(line, setting, f"has a space in the option {name}")
        if name in {"trusted", "check-valid-until"} and value not in {"yes", "no"}:
            raise _bad_line(line, setting, f"has an option {name} that is neither yes nor no")
        if name in options:
            raise _bad_line(line, setting, f"has the option {name} twice")
        if name in {"trusted", "check-valid-until", "signed-by", "arch"}:
            options[name] = value
        elif name not in _HARMLESS_OPTIONS:
            raise _bad_line(line, setting, f"has an option that pyrlab does not know, {name}")
    if "signed-by" in options and not _listed(options["signed-by"]):
        raise _bad_line(line, setting, "has an option signed-by that names no key")
    return options


def _words(text: str, line: str, setting: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _bad_line(line, setting, "has a quote that is not closed") from error


def _bad_line(line: str, setting: str, reason: str) -> UsageError:
    return UsageError(
        f"{setting}: {without_user(line.strip())!r} {reason}",
        remedy=f"write {setting} in {FILE} as in sources.list(5): deb [options] URI suite component…",
    )
