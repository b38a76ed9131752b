"""What belongs to a user, and not to one build."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyrlab.model.settings import Settings
from pyrlab.steps.materials import seal


def test_runs_that_are_the_first_ones_together_have_one_seal(
    load_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """The one that another run has in hand already must not be replaced: what it seals would be worth nothing."""
    settings = load_settings("", XDG_CACHE_HOME=str(tmp_path))
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: seal(settings), range(64)))
    assert found == {(settings.cache / "seal").read_text(encoding="utf-8")}
    assert [path.name for path in settings.cache.iterdir()] == ["seal"]
    assert stat.S_IMODE((settings.cache / "seal").stat().st_mode) == 0o600
