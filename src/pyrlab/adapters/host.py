"""What this machine is like: room on its disks, its kernel's limits, and the certificates in a file."""

import shutil
import ssl
from datetime import UTC, datetime
from pathlib import Path

# Debian and Arch, Fedora, openSUSE, Alpine and macOS. Go's crypto/x509 looks at the same.
_STORES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)
_INOTIFY = Path("/proc/sys/fs/inotify")


def free(path: Path) -> int:
    """Return the bytes that are free on the disk of ``path``, or of the folder that it would be in."""
    there = path
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def inotify() -> tuple[int, int] | None:
    """Return how many watches and how many instances a user may have; None where the kernel is not Linux."""
    try:
        watches, instances = (int((_INOTIFY / name).read_text()) for name in ("max_user_watches", "max_user_instances"))
    except (OSError, ValueError):
        return None
    return watches, instances


def store() -> Path | None:
    """Return the file of all certificates that this machine trusts, where its system keeps one."""
    return next((path for path in _STORES if path.is_file()), None)


def certificates_in(path: Path) -> list[str]:
    """Return the authorities' certificates in a PEM file, each as PEM, sorted; a key beside them stays out."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        return []
    return sorted(ssl.DER_cert_to_PEM_cert(one) for one in context.get_ca_certs(binary_form=True))


def certificate_ends(path: Path) -> list[datetime]:
    """Return when each certificate in a PEM file ends; none where it has none."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        return []
    ends = (ssl.cert_time_to_seconds(str(one["notAfter"])) for one in context.get_ca_certs())
    return [datetime.fromtimestamp(end, tz=UTC) for end in ends]
