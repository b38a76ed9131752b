"""A report as an upgrade of a real project may make it, with plots drawn on the spot."""

import math
from datetime import date
from functools import cache

from notebook_samples import cell, notebook, plot, png, shown, stdout

from pyrlab.model.changes import Change
from pyrlab.model.upgrade.held import Held
from pyrlab.model.upgrade.notebooks import compare
from pyrlab.model.upgrade.report import Advisory, HeldBack, ImageFigures, NotebookRun, Report, Updates

DIRECT = (
    Change("up", "matplotlib", "3.10.8", "3.11.0"),
    Change("up", "pandas", "2.3.3", "3.0.1"),
    Change("up", "scikit-learn", "1.7.2", "1.8.0"),
)
INDIRECT = tuple(Change("up", f"lib{number:02}", f"1.{number}.0", f"1.{number + 1}.0") for number in range(41))
HEAD = (
    "<table><thead><tr><th></th><th>{}</th><th>share</th></tr></thead><tbody>"
    "<tr><th>north</th><td>{}</td><td>0.31</td></tr><tr><th>south</th><td>207.1</td><td>{}</td></tr></tbody></table>"
)


@cache
def curve(phase: float, size: int = 160) -> bytes:
    """Draw a sine on white."""
    heights = [round(size / 4 * (1 + 0.8 * math.sin(phase + x / 12))) for x in range(2 * size)]
    return png([[(37, 87, 184) if abs(y - h) < 2 else (255, 255, 255) for h in heights] for y in range(size // 2)])


def runs() -> tuple[NotebookRun, ...]:
    """Return three notebooks, of which one shows something else."""
    old = [
        cell(stdout("slope 2.104, r = 0.871\n"), source="model = fit(frame)\nreport(model)"),
        cell(shown({"text/html": HEAD.format("mean", "12.5", "0.69")}), source="frame.groupby('region').agg(agg)"),
        cell(plot(curve(0)), source="frame.plot(x='day', y='price')"),
        cell(stdout("class A: good\n"), source="print(summary)"),
    ]
    new = [
        cell(stdout("slope 2.163, r = 0.871\n"), source="model = fit(frame)\nreport(model)"),
        cell(shown({"text/html": HEAD.format("average", "14.5", "0.69")}), source="frame.groupby('region').agg(agg)"),
        cell(plot(curve(0.6)), source="frame.plot(x='day', y='price')"),
        cell(
            stdout("class A: very good\n"),
            stdout("/lib/a.py:3: FutureWarning: 'M' is deprecated, use 'ME'\n", name="stderr"),
            source="print(summary)",
        ),
    ]
    found = compare(notebook(*old), notebook(*new), tolerance=1e-6)
    return NotebookRun("analysis.ipynb", found), NotebookRun("clean/load.ipynb"), NotebookRun("maps.ipynb")


def sample() -> Report:
    """Return the whole of it."""
    numpy = Held(
        "Python",
        "numpy",
        "2.5.0",
        "AttributeError: module 'numpy' has no attribute 'in1d'",
        "clean/load.ipynb, cell 3",
        date(2026, 11, 28),
    )
    return Report(
        day=date(2026, 11, 28),
        suite="trixie",
        updates=(
            Updates("Python", DIRECT, (*INDIRECT, Change("added", "narwhals", "", "2.11.0"))),
            Updates("R", (Change("up", "dplyr", "1.1.4", "1.2.0"),), (Change("removed", "plyr", "1.8.9", ""),)),
            Updates("Debian", (), (Change("up", "libssl3t64", "3.5.1-1", "3.5.4-1~deb13u1"),)),
        ),
        held=(HeldBack(numpy, "2.4.2"),),
        advisories=(Advisory("Debian", "libssl3t64", ("CVE-2026-9230", "CVE-2026-9231"), "Debian's security suite"),),
        unreachable=("the Python index",),
        images=(
            ImageFigures("pylab", 1_842_000_000, 1_871_000_000, 3.14, 2.96),
            ImageFigures("rlab", 2_410_000_000, 2_402_000_000, 3.31, 3.35),
            ImageFigures("pyrlab-base", 610_000_000, 611_000_000),
        ),
        notebooks=runs(),
        tolerance=1e-6,
        flaky=("maps.ipynb, cell 2",),
        red_before=("test_gpu",),
        trials=7,
        seconds=252,
    )
