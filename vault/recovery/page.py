"""A sheet as one HTML page: for A4 in black and white, from one file, with no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from vault.recovery import wording
from vault.recovery.sheets import COLUMNS, Sheet, facts

__all__ = ["format_sheet_html"]

_QUIET: Final = 4
"""Modules that stay light around a QR code (ISO/IEC 18004)."""

# The policy holds a browser to what the page promises: it loads nothing and runs nothing.
_HEAD: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 14mm 16mm; }}
body {{ font: 10pt/1.35 "DejaVu Sans", Arial, sans-serif; color: #000; background: #fff;
  max-width: 178mm; margin: 0 auto; }}
h1 {{ font-size: 15pt; margin: 0 0 4mm; padding-bottom: 2mm; border-bottom: 0.6mm solid #000; }}
h2 {{ font-size: 11pt; margin: 4mm 0 1.5mm; break-after: avoid; }}
p, ul {{ margin: 0 0 1.8mm; }}
ul {{ padding-left: 5mm; }}
pre {{ margin: 0 0 1.8mm 5mm; font-size: 8.5pt; line-height: 1.25; break-inside: avoid; }}
pre, td, .words {{ font-family: "DejaVu Sans Mono", "Courier New", monospace; }}
.top {{ display: flex; gap: 6mm; justify-content: space-between; align-items: flex-start; }}
.top figure {{ width: 56mm; margin: 0; flex: none; }}
.top svg {{ width: 56mm; height: 56mm; display: block; }}
.top figcaption {{ font-size: 8.5pt; text-align: center; }}
.facts th {{ text-align: left; font-weight: normal; vertical-align: top; padding-right: 4mm; }}
.facts td {{ font-size: 9.5pt; overflow-wrap: anywhere; }}
.words {{ width: 100%; border-collapse: collapse; font-size: 13pt; break-inside: avoid; }}
.words td {{ width: 33.3%; padding: 0.7mm 3mm; border: 0.2mm solid #000; }}
.words b {{ display: inline-block; width: 8mm; font-weight: normal; font-size: 9pt; }}
.reading {{ margin-top: 1.5mm; }}
.over {{ break-before: page; }}
@media screen {{ body {{ padding: 4mm; }} }}
</style>
</head>
<body>
"""


def format_sheet_html(sheet: Sheet, qr: Sequence[Sequence[bool | int]]) -> str:
    """Return a sheet as an HTML page.

    ``qr`` holds the modules of a QR code of the share's words with one space between them, row by
    row, true where dark, without a margin.
    """
    return "".join(_page(sheet, qr))


def _page(sheet: Sheet, qr: Sequence[Sequence[bool | int]]) -> Iterator[str]:
    share = sheet.share
    yield _HEAD.format(title=escape(f"Share {share.number} of {sheet.count}"))
    yield f"<h1>{escape(wording.TITLE)}</h1>\n<p>{escape(wording.FIRST_OF_ALL)}</p>\n"
    yield '<div class="top">\n<table class="facts">\n'
    for name, lines in facts(sheet):
        value = "<br>".join(map(escape, lines))
        yield f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>\n'
    yield f"</table>\n<figure>\n{_svg(qr)}<figcaption>{escape(wording.QR)}</figcaption>\n"
    yield "</figure>\n</div>\n"
    yield f'<h2>{escape(wording.WORDS_HEADING)}</h2>\n<table class="words">\n'
    for at in range(0, len(share.words), COLUMNS):
        row = enumerate(share.words[at : at + COLUMNS], at + 1)
        cells = "".join(f"<td><b>{number}</b> {escape(word)}</td>" for number, word in row)
        yield f"<tr>{cells}</tr>\n"
    yield f'</table>\n<p class="reading">{escape(wording.READING)}</p>\n'
    what, keep, back, *others = wording.sections(share.threshold, sheet.count, sheet.ed25519)
    yield from _section(what)
    yield from _section(keep)
    yield from _section(back, ' class="over"')
    for section in others:
        yield from _section(section)
    yield "</body>\n</html>\n"


def _section(section: wording.Section, attributes: str = "") -> Iterator[str]:
    yield f"<h2{attributes}>{escape(section.heading)}</h2>\n"
    for block in section.blocks:
        match block:
            case wording.Program(text):
                yield f"<pre>{escape(text)}</pre>\n"
            case wording.Steps(items):
                points = "".join(f"<li>{escape(item)}</li>\n" for item in items)
                yield f"<ul>\n{points}</ul>\n"
            case str():
                yield f"<p>{escape(block)}</p>\n"


def _svg(qr: Sequence[Sequence[bool | int]]) -> str:
    """Draw dark modules, those that touch in a row as one bar."""
    side = len(qr) + 2 * _QUIET
    path = []
    for y, row in enumerate(qr, _QUIET):
        x = 0
        while x < len(row):
            start = x
            while x < len(row) and row[x]:
                x += 1
            if x > start:
                path.append(f"M{start + _QUIET} {y}h{x - start}v1h-{x - start}z")
            x += 1
    return (
        f'<svg viewBox="0 0 {side} {side}" shape-rendering="crispEdges" role="img" '
        f'aria-label="The words as a QR code"><path d="{"".join(path)}"/></svg>\n'
    )
