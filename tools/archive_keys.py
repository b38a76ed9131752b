"""Write src/pyrlab/data/debian-archive-keys.asc, the keys that sign Debian's archives, from Debian's package of them.

    apt-get download debian-archive-keyring
    python tools/archive_keys.py debian-archive-keyring_*_all.deb

apt has checked the package against the archive that this machine trusts. A new Debian release brings new keys, in this
package, long before it is signed with them alone: run this then, and look at the difference.
"""

import sys
from pathlib import Path

import pysequoia
from debian.debfile import DebFile
from pysequoia import packet

KEYRING = "usr/share/keyrings/debian-archive-keyring.pgp"
KEYS = Path(__file__).parent.parent / "src/pyrlab/data/debian-archive-keys.asc"


def minimal(cert: pysequoia.Cert) -> bytes:
    """Return a key without what other people certify about it."""
    own = cert.fingerprint[-16:]
    return b"".join(
        bytes(part)
        for part in packet.PacketPile.from_bytes(bytes(cert))
        if part.tag != packet.Tag.Signature or part.issuer_key_id == own
    )


def main(deb: str) -> None:
    """Write the keys of one package."""
    keyring = DebFile(deb).data.get_content(KEYRING)
    certs = sorted(pysequoia.Cert.split_bytes(keyring or b""), key=lambda cert: cert.fingerprint)
    keys = b"".join(minimal(cert) for cert in certs)
    KEYS.write_text(pysequoia.armor(keys, pysequoia.ArmorKind.PublicKey), encoding="ascii")
    for cert in certs:
        print(cert.fingerprint, *map(str, cert.user_ids))


if __name__ == "__main__":
    main(sys.argv[1])
