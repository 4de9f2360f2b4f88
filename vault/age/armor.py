"""ASCII armor: an age file as 7-bit text (age.md, "ASCII armor"; RFC 7468 section 3, strict).

    -----BEGIN AGE ENCRYPTED FILE-----
    base64 with padding, canonical, 64 columns a line, the last line shorter or equal, none empty
    -----END AGE ENCRYPTED FILE-----

Read with LF or CRLF, and with at most 1024 bytes of ASCII whitespace before and after; written with
LF and none. Nothing else is accepted.
"""

from __future__ import annotations

import binascii
import io
import re
from types import TracebackType
from typing import TYPE_CHECKING, Final, final

from vault.age.base import Sink, Source, read_full, write_all
from vault.age.header import INTRO
from vault.codec import parse_base64
from vault.errors import ArmorError, FormatError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "PEEK_SIZE",
    "ArmorReader",
    "ArmorWriter",
    "armored",
    "format_armor",
    "is_armored",
    "parse_armor",
]

_WHAT: Final = "age armor"
_BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_END: Final = b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS: Final = 64
_LINE_BYTES: Final = 48
_MAX_WHITESPACE: Final = 1024
PEEK_SIZE: Final = _MAX_WHITESPACE + len(_BEGIN) + 2
"""What :func:`is_armored` wants to see: whitespace, the first line and its end."""
_READ_SIZE: Final = 64 * 1024
_WRITE_SIZE: Final = 1024 * _LINE_BYTES
_FULL_LINES: Final = re.compile(rb"(?:[A-Za-z0-9+/]{64}\r?\n)+")
_LAST_LINES: Final = re.compile(
    rb"(?:([A-Za-z0-9+/]{2,64}={0,2})\r?\n)?" + _END + rb"(.*)\Z", re.DOTALL
)
_LAST_LINES_SIZE: Final = 2 * (_COLUMNS + 2)


def is_armored(start: bytes) -> bool:
    """Say whether a file that starts so is to be read as armor.

    ``start`` is its first ``PEEK_SIZE`` bytes. Text that only contains armor counts, so that its
    reader says what is wrong with it.
    """
    if start.startswith(INTRO):
        return False
    return start.lstrip().startswith(b"-----") or _BEGIN in start


def format_armor(data: bytes) -> bytes:
    """Return the bytes of a binary age file as armor."""
    sink = io.BytesIO()
    with armored(sink) as writer:
        writer.write(data)
    return sink.getvalue()


def parse_armor(data: bytes) -> bytes:
    """Return the binary age file in armor; raise ``ArmorError``."""
    reader = ArmorReader(io.BytesIO(data))
    pieces = []
    while piece := reader.read(_READ_SIZE):
        pieces.append(piece)
    return b"".join(pieces)


def armored(sink: Sink) -> ArmorWriter:
    """Return a sink for a binary age file that puts it into ``sink`` as armor."""
    return ArmorWriter(sink)


@final
class ArmorWriter:
    """Armors what is written to it. ``close`` writes the last lines and leaves the sink open.

    As a context manager it closes only if no exception passes: an interrupted file stays one that
    every reader refuses.
    """

    __slots__ = ("_pending", "_sink", "_state")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending = bytearray()
        self._state = "open"
        self._put(_BEGIN + b"\n")

    def write(self, data: ReadableBuffer, /) -> int:
        """Take ``data``; return its size in bytes. Raises ``ValueError`` unless open."""
        self._check_open()
        with memoryview(data) as given, given.cast("B") as view:
            self._pending += view
            size = len(view)
        whole = len(self._pending) // _LINE_BYTES * _LINE_BYTES
        if whole >= _WRITE_SIZE:
            self._put_lines(whole)
        return size

    def close(self) -> None:
        """Write the last lines. Does nothing the second time; raises ``ValueError`` after a
        failure or ``abort``.
        """
        if self._state == "closed":
            return
        self._check_open()
        self._put_lines(len(self._pending))
        self._put(_END + b"\n")
        self._state = "closed"

    def abort(self) -> None:
        """Leave the armor unfinished for good. Does nothing once it is closed."""
        if self._state != "closed":
            self._state = "failed"

    def __enter__(self) -> ArmorWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _check_open(self) -> None:
        if self._state != "open":
            raise ValueError(f"the armor writer is {self._state}")

    def _put_lines(self, size: int) -> None:
        text = binascii.b2a_base64(self._pending[:size], newline=False)
        lines = [text[i : i + _COLUMNS] + b"\n" for i in range(0, len(text), _COLUMNS)]
        self._put(b"".join(lines))
        del self._pending[:size]

    def _put(self, data: bytes) -> None:
        # Failed until the sink has taken everything: a second try would repeat or skip bytes.
        self._state = "failed"
        if data:
            write_all(self._sink, memoryview(data))
        self._state = "open"


@final
class ArmorReader:
    """The binary age file in an armored source. ``read`` raises ``ArmorError``, for damage near the
    end after what lies before it was read.
    """

    __slots__ = ("_armor", "_data", "_place", "_source", "_source_ended", "_state")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._source_ended = False
        self._armor = bytearray()
        self._data = b""
        self._place = 0
        self._state = "start"

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes of the binary file, and none only at its end."""
        while self._place == len(self._data) and self._state != "ended":
            if self._state == "start":
                self._read_first_line()
            self._data = self._read_lines()
            self._place = 0
        piece = self._data[self._place : self._place + size]
        self._place += len(piece)
        return piece

    def _fill(self, size: int) -> None:
        more = read_full(self._source, size)
        self._source_ended = len(more) < size
        self._armor += more

    def _read_first_line(self) -> None:
        self._fill(PEEK_SIZE)
        line = self._armor.lstrip()
        if len(self._armor) - len(line) > _MAX_WHITESPACE:
            raise ArmorError(_WHAT, "too much whitespace before it")
        end = line.find(b"\n") + 1
        if line[:end] not in (_BEGIN + b"\n", _BEGIN + b"\r\n"):
            raise ArmorError(_WHAT, "it does not begin with its first line")
        self._armor = line[end:]
        self._state = "lines"

    def _read_lines(self) -> bytes:
        """Return the bytes of the full lines at hand, or of the last one."""
        if not self._source_ended and len(self._armor) < _LAST_LINES_SIZE:
            self._fill(_READ_SIZE)
        if full := _FULL_LINES.match(self._armor):
            lines = full.group()
            del self._armor[: len(lines)]
            return binascii.a2b_base64(lines)
        return self._read_last_lines()

    def _read_last_lines(self) -> bytes:
        found = _LAST_LINES.match(self._armor)
        if not found:
            raise ArmorError(_WHAT, "a line that is not 64 columns of base64, or no last line")
        line, trailing = found.groups()
        try:
            data = parse_base64(line.decode("ascii")) if line else b""
        except FormatError as error:
            raise ArmorError(_WHAT, error.why) from None
        if not self._source_ended:
            trailing += read_full(self._source, _MAX_WHITESPACE + 1)
        if trailing.strip():
            raise ArmorError(_WHAT, "something after its last line")
        if len(trailing) > _MAX_WHITESPACE:
            raise ArmorError(_WHAT, "too much whitespace after it")
        self._state = "ended"
        return data
