"""docs/security.md and docs/contract.md: what they promise is tried by tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_line_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| ")][1:]
    tests = [path for folder in ("smoke", "browser") for path in (ROOT / "tests" / folder).glob("test_*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in tests)
    there = set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE))
    named = {line: set(re.findall(r"`(test_\w+)`", line)) for line in table}
    assert {
        line: sorted(tests - there) or "none named" for line, tests in named.items() if not tests or tests - there
    } == {}
    assert len(named) > 10
