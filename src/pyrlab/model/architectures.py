"""Architectures: Debian's words for them, and those of Docker and of the Open Container Initiative."""

from pyrlab.errors import UsageError

# What Docker, which uses Go's words, and the kernel call an architecture; and Debian's word for it.
# Source: wiki.debian.org/SupportedArchitectures, go.dev/doc/install/source#environment
_DEBIAN = {
    "386": "i386",
    "aarch64": "arm64",
    "amd64": "amd64",
    "arm": "armhf",
    "arm64": "arm64",
    "loong64": "loong64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "x86_64": "amd64",
}
KNOWN = tuple(sorted(set(_DEBIAN.values())))
# Debian's word for an architecture, and those of the Open Container Initiative: the name, and the variant.
_OCI = {
    "armhf": ("arm", "v7"),
    "i386": ("386", ""),
    "mips64el": ("mips64le", ""),
    "ppc64el": ("ppc64le", ""),
}


def debian(name: str) -> str | None:
    """Return Debian's word for what Docker or the kernel calls an architecture; None where Debian knows none."""
    return _DEBIAN.get(name)


def oci(architecture: str) -> tuple[str, str]:
    """Return what registries call Debian's ``architecture``: the name, and the variant, where only one fits."""
    return _OCI.get(architecture, (architecture, ""))


def platform(architecture: str) -> str:
    """Return Debian's ``architecture`` as a platform of images, as in ``linux/arm64``."""
    return "/".join(filter(None, ("linux", *oci(architecture))))


def parse(text: str, origin: str) -> str:
    """Return Debian's word for a platform, ``linux/arm64``, or for an architecture. Raises UsageError."""
    words = text.strip().lower().removeprefix("linux/").split("/")
    # Of ARM's variants Debian has one of 32 bits, and one of 64.
    found = words[0] if words[0] in KNOWN else debian(words[0])
    if not found or len(words) > 2 or (len(words) == 2 and words[1] not in {oci(found)[1], "v8"} - {""}):  # noqa: PLR2004 - name and variant
        raise UsageError(
            f"{origin} is {text!r}, and Debian has no such architecture",
            remedy=f"choose from: {', '.join(KNOWN)}; as a platform, linux/arm64",
        )
    return found
