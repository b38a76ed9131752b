"""A base image where nobody can ask its registry: it came in a bundle, and is what debs.lock pins.

The lock's digest is that of the image's manifest, which names the configuration, which names the unpacked layers. Both
documents are in the store, by their hashes; the engine says which layers its image has.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrlab.adapters.docker import base_images
from pyrlab.model.base_image import Base, configuration_of, table_in
from pyrlab.model.settings import Settings
from pyrlab.steps.fetch import store_of


def is_here(settings: Settings, base: Base) -> bool:
    """Tell whether the engine has the very image, under the name that ``unbundle`` gives it."""
    documents = _documents(settings, base)
    if len(documents) < 2:  # noqa: PLR2004 - the manifest and the configuration
        return False
    wanted = table_in(_table(documents[1]), "rootfs").get("diff_ids")
    return bool(wanted) and base_images.layers(base.here) == wanted


def pinned(settings: Settings, base: Base) -> set[str]:
    """Return the hashes of what the store has of the image: the lock itself names the manifest alone."""
    return {path.name for path in _documents(settings, base)}


def _documents(settings: Settings, base: Base) -> list[Path]:
    """Return the image's manifest and its configuration, as far as the store has them."""
    store = store_of(settings)
    manifest = store.get(base.digest.removeprefix("sha256:"))
    if manifest is None:
        return []
    configuration = store.get(configuration_of(_table(manifest)).removeprefix("sha256:"))
    return [manifest, configuration] if configuration else [manifest]


def _table(path: Path) -> Mapping[str, Any]:
    """Return a document; nothing of what is none: a lock may pin any file that came in a bundle."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
