"""The header of an age file (age.md, "Header").

    age-encryption.org/v1
    -> TYPE ARGUMENT…
    BODY in unpadded base64, 64 columns a line, the last one shorter and perhaps empty
    …
    --- MAC

The MAC (HMAC-SHA-256 under a key derived from the file key) covers the bytes as they were read, up
to and with ``---``. A header is at most 4 MiB and 2048 stanzas long, which bounds what a hostile
file makes us hold and try; a thousand hybrid recipients fit twice.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.age.base import Source, Stanza, decode
from vault.codec import format_base64_raw
from vault.errors import HeaderError, HeaderMacError
from vault.secret import Octets, Secret

__all__ = [
    "INTRO",
    "MAX_HEADER_SIZE",
    "MAX_STANZAS",
    "Header",
    "check_mac",
    "format_header",
    "parse_header",
    "read_header",
]

MAX_HEADER_SIZE: Final = 4 * 2**20
MAX_STANZAS: Final = 2048
INTRO: Final = b"age-encryption.org/"
_VERSION_LINE: Final = "age-encryption.org/v1"
_START: Final = b"age-encryption.org/v1\n"
_WHAT: Final = "age header"
_TOO_MANY: Final = f"more than {MAX_STANZAS} stanzas"
_COLUMNS: Final = 64
_MAC_SIZE: Final = 32
_CLOSING: Final = "---"
_READ_SIZE: Final = 4096
_ARGUMENT_LINE: Final = re.compile(r"-> [!-~]+(?: [!-~]+)*+\Z")


@final
@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header: its stanzas, its MAC (32 bytes, not yet checked), its bytes."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    raw: bytes


def format_header(stanzas: Sequence[Stanza], file_key: Octets) -> bytes:
    """Return the header of a file; raise ``ValueError`` for one that no reader may accept."""
    if why := _stanzas_fault(stanzas):
        raise ValueError(why)
    lines = [_VERSION_LINE]
    for stanza in stanzas:
        lines.append(" ".join(("->", stanza.type, *stanza.args)))
        body = format_base64_raw(stanza.body)
        # One line more than the full ones: a body that fills its last line ends with an empty one.
        lines += [body[i : i + _COLUMNS] for i in range(0, len(body) + 1, _COLUMNS)]
    lines.append(_CLOSING)
    covered = "\n".join(lines).encode("ascii")
    raw = covered + f" {format_base64_raw(_mac(covered, file_key))}\n".encode("ascii")
    if len(raw) > MAX_HEADER_SIZE:
        raise ValueError(f"an age header of more than {MAX_HEADER_SIZE} bytes")
    return raw


def parse_header(raw: bytes) -> Header:
    """Parse the bytes of a whole header; raise ``HeaderError``. The MAC is not checked."""
    _check_start(raw)
    if len(raw) > MAX_HEADER_SIZE:
        raise HeaderError(_WHAT, f"longer than {MAX_HEADER_SIZE} bytes")
    try:
        lines = raw.decode("ascii").split("\n")[1:]
    except UnicodeDecodeError:
        raise HeaderError(_WHAT, "not ASCII") from None
    if len(lines) < 2 or lines[-1]:
        raise HeaderError(_WHAT, "cut short")
    *body, closing = lines[:-1]
    mark, space, mac = closing.partition(" ")
    if (mark, space) != (_CLOSING, " "):
        raise HeaderError(_WHAT, "no MAC line at its end")
    stanzas = _parse_stanzas(body)
    if why := _stanzas_fault(stanzas):
        raise HeaderError(_WHAT, why)
    return Header(stanzas, decode(mac, "age header MAC", _MAC_SIZE), raw)


def _check_start(data: bytes | bytearray) -> None:
    """Raise ``HeaderError`` unless a header of this version can begin with ``data``."""
    if not data:
        raise HeaderError(_WHAT, "empty")
    if data[: len(_START)] != _START[: len(data)]:
        why = "a version other than v1" if data.startswith(INTRO) else "not an age file"
        raise HeaderError(_WHAT, why)


def _parse_stanzas(lines: Sequence[str]) -> tuple[Stanza, ...]:
    stanzas: list[Stanza] = []
    place = 0
    while place < len(lines):
        # Here and not of them all together: what is refused must not be made first.
        if len(stanzas) == MAX_STANZAS:
            raise HeaderError(_WHAT, _TOO_MANY)
        if not _ARGUMENT_LINE.match(lines[place]):
            raise HeaderError("age stanza", "a malformed first line", f"line {place + 2}")
        _, kind, *args = lines[place].split(" ")
        start = place = place + 1
        while place < len(lines) and len(lines[place]) == _COLUMNS:
            place += 1
        if place == len(lines) or len(lines[place]) > _COLUMNS:
            raise HeaderError("age stanza", "its body has no short last line", f"line {start + 1}")
        place += 1
        # Full lines are 48 bytes each: together they are canonical exactly if each of them is.
        body = decode("".join(lines[start:place]), "age stanza body")
        stanzas.append(Stanza(kind, tuple(args), body))
    return tuple(stanzas)


def _stanzas_fault(stanzas: Sequence[Stanza]) -> str:
    """Return what is wrong with a header's stanzas taken together, or nothing."""
    if not stanzas:
        return "no stanza"
    if len(stanzas) > MAX_STANZAS:
        return _TOO_MANY
    # age.md, "scrypt recipient stanza": who opens a file by passphrase expects that only those who
    # know it could have made the file.
    if len(stanzas) > 1 and any(stanza.type == "scrypt" for stanza in stanzas):
        return "an scrypt stanza beside others"
    return ""


def read_header(source: Source) -> tuple[Header, bytes]:
    """Read a header from the start of an age file; return it and the bytes read beyond it.

    Raises ``HeaderError``, after at most 4 MiB and a little.
    """
    data = bytearray()
    mark = end = -1
    while True:
        more = source.read(_READ_SIZE)
        searched = max(0, len(data) - len(_CLOSING))
        data += more
        _check_start(data)
        # No line of a stanza begins like the closing line: "-" is not in the base64 alphabet.
        if mark < 0:
            mark = data.find(b"\n---", searched)
        if mark >= 0:
            end = data.find(b"\n", mark + 1)
        if end >= 0 or not more or len(data) > MAX_HEADER_SIZE:
            break
    size = end + 1 if end >= 0 else len(data)
    return parse_header(bytes(data[:size])), bytes(data[size:])


def _mac(covered: bytes, file_key: Octets) -> bytes:
    with Secret.of_zeros(32) as key:
        HKDF(SHA256(), 32, salt=None, info=b"header").derive_into(file_key, key.view)
        return hmac.digest(key.view, covered, "sha256")


def check_mac(header: Header, file_key: Octets) -> None:
    """Raise ``HeaderMacError`` unless the header's MAC is that of ``file_key``."""
    covered = header.raw[: header.raw.rindex(b" ")]
    if not hmac.compare_digest(_mac(covered, file_key), header.mac):
        raise HeaderMacError(_WHAT, "its MAC is not that of its file key")
