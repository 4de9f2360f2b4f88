"""How things are shown: untrusted text escaped, numbers, times, tables, JSON, progress.

Data goes to standard output, everything else to standard error. ``rich`` is imported only where a
table goes to a terminal.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from threading import Lock
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from vault.codec import Value
    from vault.pipeline import Progress, ProgressCallback

__all__ = [
    "OUTPUT",
    "count",
    "emit_json",
    "escape",
    "fingerprint",
    "flush",
    "is_terminal",
    "out",
    "pairs",
    "paragraph",
    "progress",
    "qr",
    "say",
    "short",
    "show_value",
    "size_text",
    "table",
    "utc",
]

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that ``isprintable`` lets pass although nothing shows (Default_Ignorable_Code_Point,
and the blank braille pattern)."""


def escape(text: str) -> str:
    """Return ``text`` with everything escaped that does not show as itself, in one line.

    Control, bidirectional, zero-width, unassigned and other non-printable characters become
    ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``: neither a terminal nor a reader can be misled.
    """
    return "".join(
        c
        if c.isprintable() and not _INVISIBLE.match(c)
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def show_value(value: Value) -> str:
    """Return a field's value as a person reads it; lines of a text stay lines."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return escape(os.fsdecode(value)) if len(value) != 32 else value.hex()
    if isinstance(value, tuple):
        return "; ".join(show_value(one) for one in value)
    return "\n".join(escape(line) for line in str(value).split("\n"))


# --- numbers, times, keys -----------------------------------------------------------------------


def count(number: int, one: str, many: str = "") -> str:
    """Return ``1 item``, ``2 items``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size_text(size: int) -> str:
    """Return a size in bytes in decimal units."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{size:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def utc(seconds: int) -> str:
    """Return a time in UTC seconds as ``2026-03-01T09:05:00Z``."""
    # A release may say any time of its end.
    if not 0 <= seconds < 253402300800:
        return f"{seconds} seconds after 1970"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fingerprint(digest: bytes) -> str:
    """Return a fingerprint in groups of four digits, to be read aloud: eight groups a line."""
    groups = textwrap.wrap(digest.hex(), 4)
    return "\n".join(" ".join(groups[at : at + 8]) for at in range(0, len(groups), 8))


def short(digest: bytes) -> str:
    """Return the first sixteen digits of a fingerprint, in groups."""
    return fingerprint(digest[:8])


# --- standard output and error ------------------------------------------------------------------


def out(text: str = "") -> None:
    """Write one line of data."""
    _clear_meters()
    with _output():
        sys.stdout.write(f"{text}\n")


def flush() -> None:
    """Let go of all data that was written."""
    with _output():
        sys.stdout.flush()


OUTPUT: Final = "standard output"
"""How an ``OSError`` names it, so that it is not taken for one of the vault."""


@contextmanager
def _output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, OUTPUT) from error


def say(text: str = "") -> None:
    """Write one line that is not data; on a terminal, in as many as it takes between words."""
    _clear_meters()
    for line in _folded(text) if sys.stderr.isatty() else [text]:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _folded(text: str, widest: int = 1000) -> list[str]:
    width = min(shutil.get_terminal_size().columns, widest)
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def emit_json(value: Mapping[str, object]) -> None:
    """Write one JSON object, in ASCII, so that it is as safe to look at as escaped text."""
    out(json.dumps(value, indent=2, ensure_ascii=True))


def is_terminal(stream: TextIO) -> bool:
    """Return whether ``stream`` is a terminal that can do more than show lines."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Write names and values in two columns; further lines of a value stand below its first."""
    width = max((len(name) for name, _ in rows), default=0) + 2
    for name, value in rows:
        first, *rest = value.split("\n")
        out(f"{name:<{width}}{first}")
        for line in rest:
            out(f"{'':<{width}}{line}")


def paragraph(text: str) -> None:
    """Write ``text`` in one line; on a terminal, in lines that are not too long to read."""
    for line in _folded(text, 100) if sys.stdout.isatty() else [text]:
        out(line)


_PIPED: Final = 60
"""The most that a column is padded to where no person reads."""
_UNBROKEN: Final = 20
"""Cells up to so many characters, a size or a time, stay in one line; others have that at least."""
_WORD: Final = 32
"""So does a cell without a space, as a time with its offset is."""
_GAP: Final = 2
_SHORTEST: Final = 12
_SHORTENED_LINES: Final = 2


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, shorten: str = "") -> None:
    """Write a table, without the columns that are empty. No cell is markup.

    On a terminal the column ``shorten`` gives way first; columns for which there is no room then
    stand below their row, as ``name: value``.
    """
    filled = [column for column in range(len(headers)) if any(row[column] for row in rows)]
    headers = [headers[column] for column in filled]
    rows = [[row[column] for column in filled] for row in rows]
    if is_terminal(sys.stdout):
        _terminal_table(headers, rows, shorten)
        return
    longest = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    for row in (headers, *rows):
        cells = (f"{cell:<{min(width, _PIPED)}}" for cell, width in zip(row, longest, strict=True))
        out("  ".join(cells).rstrip())


def _terminal_table(headers: Sequence[str], rows: Sequence[Sequence[str]], shorten: str) -> None:
    from rich.cells import cell_len

    room = shutil.get_terminal_size().columns
    natural, least = [], []
    for column, header in enumerate(headers):
        cells = [row[column] for row in rows]
        longest = max(map(cell_len, (header, *cells)))
        whole = longest <= _UNBROKEN or (
            longest <= _WORD and not any(" " in cell for cell in cells)
        )
        natural.append(longest)
        if header == shorten:
            least.append(min(longest, _SHORTEST))
        else:
            least.append(longest if whole else max(cell_len(header), _UNBROKEN))
    kept = len(headers)
    while kept > 1 and sum(least[:kept]) + _GAP * (kept - 1) > room:
        kept -= 1
    widths = least[:kept]
    for _ in range(room - sum(widths) - _GAP * (kept - 1)):
        growing = [column for column in range(kept) if widths[column] < natural[column]]
        if not growing:
            break
        widths[min(growing, key=lambda column: widths[column])] += 1
    _lay_out(headers[:kept], widths)
    utf = "utf" in (sys.stdout.encoding or "").lower()
    out(("\u2500" if utf else "-") * (sum(widths) + _GAP * (kept - 1)))
    cut = headers.index(shorten) if shorten in headers else None
    for row in rows:
        _lay_out(row[:kept], widths, cut)
        for header, cell in zip(headers[kept:], row[kept:], strict=True):
            if cell:
                out(f"  {header}: {cell}")


def _lay_out(row: Sequence[str], widths: Sequence[int], cut: int | None = None) -> None:
    """Write one row in as many lines as it takes; the cell in column ``cut`` in two at most."""
    from rich.cells import set_cell_size
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    cells = []
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        lines = [one.plain for one in Text(cell).wrap(console, width, overflow="fold")]
        if column == cut and len(lines) > _SHORTENED_LINES:
            rest = " ".join(one.strip() for one in lines[_SHORTENED_LINES - 1 :])
            mark = "\u2026" if "utf" in (sys.stdout.encoding or "").lower() else "."
            lines = [*lines[: _SHORTENED_LINES - 1], set_cell_size(rest, width - 1) + mark]
        cells.append(lines)
    for parts in zip_longest(*cells, fillvalue=""):
        padded = (set_cell_size(part, width) for part, width in zip(parts, widths, strict=True))
        out((" " * _GAP).join(padded).rstrip())


def qr(text: str, stream: TextIO) -> None:
    """Draw ``text`` as a QR code, where the terminal can show it; else nothing."""
    if not is_terminal(stream) or "utf" not in (stream.encoding or "").lower():
        return
    import segno

    # Two rows of modules in a line of half blocks, light ones drawn. The colours are set and not
    # the terminal's own: many cameras do not read a light code on dark ground.
    light = [[not one for one in row] for row in segno.make(text, micro=False).matrix_iter()]
    light += [[True] * len(light[0])] * (len(light) % 2)
    for upper, lower in zip(light[::2], light[1::2], strict=True):
        marks = (_BLOCKS[above, below] for above, below in zip(upper, lower, strict=True))
        stream.write(f"\x1b[97;40m{''.join(marks)}\x1b[0m\n")
    stream.flush()


_BLOCKS: Final = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


# --- progress -----------------------------------------------------------------------------------

_WORK: Final = {
    "seal": "Sealing",
    "read-back": "Reading back",
    "audit": "Reading",
    "open": "Opening",
    "accept": "Reading again",
    "rekey": "Encrypting again",
    "confirm": "Opening",
    "prune": "Reading again",
}
_EVERY: Final = 0.1  # seconds


class _Meter:
    """One line on a terminal that says how far the work is, and how fast it goes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()
        self._work = ""
        self._begun = self._shown = 0.0
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        with self._lock:
            if progress.work != self._work:
                self._work, self._begun = progress.work, now
            elif now - self._shown < _EVERY:
                return
            self._shown = now
            self._write(self._line(progress, now - self._begun))

    def _line(self, progress: Progress, seconds: float) -> str:
        done = size_text(progress.done)
        if progress.total:
            percent = min(100, 100 * progress.done // progress.total)
            done = f"{percent:3} %  {done} of {size_text(progress.total)}"
        speed = f"  {size_text(int(progress.done / seconds))}/s" if seconds > _EVERY else ""
        return f"{_WORK[progress.work]}  {done}{speed}"

    def _write(self, line: str) -> None:
        # A line that is broken in two could not be written over.
        line = line[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def clear(self) -> None:
        with self._lock:
            if self._width:
                self._write("")
                self._stream.write("\r")
                self._stream.flush()

    def __enter__(self) -> _Meter:
        _meters.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        _meters.remove(self)


_meters: Final[list[_Meter]] = []
"""Those that may have a line on the terminal, which goes before anything else is written."""


def _clear_meters() -> None:
    for meter in _meters:
        meter.clear()


@contextmanager
def progress() -> Iterator[ProgressCallback | None]:
    """Give a callback that shows progress on a terminal; None where there is none."""
    if is_terminal(sys.stderr):
        with _Meter(sys.stderr) as meter:
            yield meter
    else:
        yield None
