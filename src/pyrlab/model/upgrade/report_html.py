"""A report as one HTML file that needs no other: for a browser, a mail, an artifact of CI."""

import base64
from collections.abc import Iterator
from html import escape

from pyrlab.model.upgrade import outline
from pyrlab.model.upgrade.outline import Grid, Plots, Section
from pyrlab.model.upgrade.pictures import PNG, SVG, Picture
from pyrlab.model.upgrade.report import Phrase, Report, counted, headline, plain, shown
from pyrlab.model.upgrade.texts import NUMBER

# Nothing is loaded, and nothing runs, whatever a notebook put into its output.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1c2430; --soft: #5c6675; --line: #e1e5ea;
  --quote: #eef1f5; --accent: #2557b8; --alarm: #b3540a; --alarm-soft: #fdf3e7; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1a2028; --ink: #e3e8ef; --soft: #98a3b3;
  --line: #2c343f; --quote: #252d38; --accent: #84aefc; --alarm: #f0a95b; --alarm-soft: #2a2219; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.35; font-weight: 650; letter-spacing: -.01em; margin: 0 0 .4rem;
  text-wrap: pretty; }
h2 { font-size: 1.1rem; font-weight: 650; margin: 0 0 .6rem; }
p { margin: 0 0 .8rem; color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.figures b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 650; }
.figures span { color: var(--soft); font-size: .87rem; }
.figures .alarm b { color: var(--alarm); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem;
  margin: 0 0 1rem; }
section.alarm { border-left: .25rem solid var(--alarm); }
section > :last-child { margin-bottom: 0; }
.wide { overflow-x: auto; margin: 0 0 .8rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: .8rem; font-weight: 600; color: var(--soft); }
th, td { padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
td { min-width: 5.5rem; font-size: .95em; }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
.right { text-align: right; white-space: nowrap; min-width: 0; }
code { font: .87em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--quote); border-radius: .3rem; padding: .1em .35em; overflow-wrap: anywhere; unicode-bidi: isolate; }
h1 code, p code, td code { background: none; padding: 0; }
h1 code { font-size: .92em; color: var(--accent); }
summary { cursor: pointer; color: var(--accent); margin: 0 0 .5rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem 1rem; margin: 0 0 1.2rem; }
.pair p { grid-column: 1 / -1; margin: 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .8rem; font-weight: 600; color: var(--soft); margin: 0 0 .3rem; }
figure img { display: block; width: 100%; background: #fff; border: 1px solid var(--line); border-radius: .4rem; }
@media (max-width: 40rem) { main { padding: 1.2rem .7rem; } .pair { grid-template-columns: 1fr; }
  h1 { font-size: 1.3rem; } }
@media print { body { background: #fff; } section, .figures div { break-inside: avoid; } }
"""


def html(report: Report) -> str:
    """Return the report as a document of its own: pictures inside, no scripts, all foreign text escaped."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(plain(headline(report)))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
            f"<h1>{_phrase(headline(report))}</h1>\n<p>{_phrase(outline.facts(report))}</p>",
            f'<div class="figures">{"".join(_figures(report))}</div>',
            *(_section(section) for section in outline.sections(report)),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _figures(report: Report) -> Iterator[str]:
    """Yield what one wants to know at first sight, as large numbers."""
    newer, numbers = report.count("up"), len(report.found(NUMBER))
    repaired = report.repaired
    yield _figure(newer, "package newer" if newer == 1 else "packages newer")
    yield _figure(len(report.held), "held back", alarm=True)
    if report.notebooks:
        said = "number changed" if numbers == 1 else "numbers changed"
        yield _figure(numbers, f"{said} in {counted(len(report.notebooks), 'notebook')}", alarm=True)
    if repaired or not report.security_updates:
        yield _figure(repaired, "known vulnerability repaired" if repaired == 1 else "known vulnerabilities repaired")
    if report.security_updates:
        yield _figure(report.security_updates, "with a security update")


def _figure(number: int, said: str, *, alarm: bool = False) -> str:
    return f'<div class="{"alarm" if alarm and number else "calm"}"><b>{number:,}</b><span>{escape(said)}</span></div>'


def _section(section: Section) -> str:
    parts = []
    for part in section.parts:
        if isinstance(part, Grid):
            parts.append(_table(part))
        elif isinstance(part, Plots):
            parts.append(_pair(part))
        else:
            parts.append(f"<p>{_phrase(part)}</p>")
    opening = '<section class="alarm">' if section.alarm else "<section>"
    return "\n".join([opening, f"<h2>{escape(section.title)}</h2>", *parts, "</section>"])


def _table(grid: Grid) -> str:
    classes = [' class="right"' if column in grid.right else "" for column in range(len(grid.headings))]
    heads = "".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(classes, grid.headings, strict=True))
    rows = [
        "<tr>" + "".join(f"<td{kind}>{_phrase(cell)}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in grid.rows
    ]
    body = "\n".join(rows)
    table = f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    return f"<details>\n<summary>{escape(grid.fold)}</summary>\n{table}\n</details>" if grid.fold else table


def _pair(plots: Plots) -> str:
    return (
        f'<div class="pair"><p>{_phrase(plots.caption)}</p>'
        f"{_picture('before', plots.old)}{_picture('after', plots.new)}</div>"
    )


def _picture(said: str, picture: Picture | None) -> str:
    """Return a picture as a browser shows it in an img: no script of an SVG runs there, and it loads nothing."""
    if picture is None or picture.mime not in {PNG, SVG}:
        return f"<figure><figcaption>{said}: no plot</figcaption></figure>"
    data = base64.b64encode(picture.data).decode("ascii")
    image = f'<img alt="the plot {said} the upgrade" src="data:{picture.mime};base64,{data}">'
    return f"<figure><figcaption>{said}</figcaption>{image}</figure>"


def _phrase(phrase: Phrase) -> str:
    return "".join(
        escape(part) if isinstance(part, str) else f"<code>{escape(shown(part.text))}</code>" for part in phrase
    )
