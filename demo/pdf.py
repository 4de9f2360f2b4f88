"""The smallest PDF that every reader takes: pages of text in the standard fonts (ISO 32000-1).

Written out by hand so that the demonstration's document is the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

__all__ = ["Page", "format_pdf"]

Page = tuple[str, Sequence[str]]
"""A heading, and the lines below it; an empty line is a gap, a line with columns is typed."""

_A4: Final = (595, 842)  # points
_LEFT: Final = 72
_LEADING: Final = 18


def _string(text: str) -> str:
    """Return a literal string (7.3.4.2); raise ``ValueError`` for text beyond ASCII."""
    text.encode("ascii")
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"({escaped})"


def _date(moment: datetime) -> str:
    """Return ``moment`` (with its offset) as a date (7.9.4): ``D:20251104163000+05'00``."""
    offset = f"{moment:%z}"
    return f"(D:{moment:%Y%m%d%H%M%S}{offset[:3]}'{offset[3:]}')"


def _content(page: Page, foot: str) -> bytes:
    """Return the content stream (9.4) of one page."""
    heading, lines = page
    y = _A4[1] - 96
    out = [f"BT /F2 20 Tf {_LEFT} {y} Td {_string(heading)} Tj ET"]
    y -= 40
    for line in lines:
        if line:
            font = "/F3 11" if "   " in line else "/F1 12"
            out.append(f"BT {font} Tf {_LEFT} {y} Td {_string(line)} Tj ET")
        y -= _LEADING
    out.append(f"0.6 G {_LEFT} 84 m {_A4[0] - _LEFT} 84 l S")
    out.append(f"BT /F1 9 Tf {_LEFT} 68 Td {_string(foot)} Tj ET")
    return "\n".join(out).encode("ascii")


def format_pdf(title: str, created: datetime, pages: Sequence[Page], foot: str) -> bytes:
    """Return a PDF 1.7 of A4 ``pages`` with ``foot`` on each; raises ``ValueError`` beyond ASCII.

    Objects: 1 catalog, 2 page tree, 3 information, 4 to 6 fonts, then a page and its content in
    turn; a classic cross-reference table (7.5.4) ends it.
    """
    first = 7
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(pages)))
    fonts = ("Helvetica", "Helvetica-Bold", "Courier")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        f"<< /Title {_string(title)} /CreationDate {_date(created)} >>".encode(),
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} >>".encode() for name in fonts),
    ]
    resources = "<< /Font << /F1 4 0 R /F2 5 0 R /F3 6 0 R >> >>"
    for i, page in enumerate(pages):
        content = _content(page, foot)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_A4[0]} {_A4[1]}] "
            f"/Resources {resources} /Contents {first + 2 * i + 1} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))

    # Four bytes above 127 in a comment tell programs that the file is binary (7.5.2).
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 3 0 R >>\n" % (len(objects) + 1)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)
