"""Secret keys as lines of upper-case Bech32, in memory that can be wiped (BIP 173, docs/spec.md).

    EVAULT-SECRET-1…        a seed
    AGE-SECRET-KEY-PQ-1…    an age identity

The same strings as :func:`vault.codec.format_bech32` writes, in capitals; no ``str``, ``bytes`` or
``int`` of the whole secret is made on the way.
"""

from __future__ import annotations

from typing import Final

from vault.codec import BECH32_LETTERS, bech32_checksum
from vault.errors import FormatError
from vault.secret import Secret, wipe

__all__ = ["format_key_line", "parse_key_line"]

_LETTERS: Final = BECH32_LETTERS.upper().encode("ascii")
_CHECKSUM: Final = 6


def format_key_line(hrp: str, key: Secret) -> Secret:
    """Return the line of ``key`` under a human-readable part (lower case), without its end."""
    size = -(-len(key) * 8 // 5)
    # A view, here and below: it shows nothing where a traceback shows its locals.
    values = memoryview(bytearray(size + _CHECKSUM))
    _regroup(key.view, 8, values[:size], 5)
    checksum = bech32_checksum(hrp, values) ^ 1
    for at in range(_CHECKSUM):
        values[size + at] = checksum >> 5 * (_CHECKSUM - 1 - at) & 31
    try:
        start = f"{hrp.upper()}1".encode("ascii")
        line = Secret.of_zeros(len(start) + len(values))
        line.view[: len(start)] = start
        for at, value in enumerate(values, len(start)):
            line.view[at] = _LETTERS[value]
        return line
    finally:
        wipe(values)


def parse_key_line(hrp: str, line: memoryview, size: int) -> Secret:
    """Parse the line of a key of ``size`` bytes; raise ``FormatError`` unless it is exactly what
    :func:`format_key_line` makes of one under ``hrp`` (lower case).
    """
    start = f"{hrp.upper()}1".encode("ascii")
    if (
        bytes(line[: len(start)]) != start
        or len(line) != len(start) + -(-size * 8 // 5) + _CHECKSUM
    ):
        raise FormatError(
            "key line", f"it does not begin with {start.decode()}, or has no such size"
        )
    values = memoryview(bytearray(len(line) - len(start)))
    try:
        for at, letter in enumerate(line[len(start) :]):
            found = _LETTERS.find(letter)
            if found < 0:
                raise FormatError("key line", "a character outside the Bech32 alphabet")
            values[at] = found
        if bech32_checksum(hrp, values) != 1:
            raise FormatError("key line", "wrong checksum")
        padding = -size * 8 % 5
        if values[-_CHECKSUM - 1] & ((1 << padding) - 1):
            raise FormatError("key line", "bad padding")
        key = Secret.of_zeros(size)
        _regroup(values[:-_CHECKSUM], 5, key.view, 8)
        return key
    finally:
        wipe(values)


def _regroup(data: memoryview, width: int, into: memoryview, wanted: int) -> None:
    """Write values of ``width`` bits as such of ``wanted`` bits, until ``into`` is full; what is
    missing at the end is zeros.
    """
    held = bits = at = 0
    for value in data:
        held, bits = (held << width | value) & 0xFFFF, bits + width
        while bits >= wanted and at < len(into):
            bits -= wanted
            into[at] = held >> bits & ((1 << wanted) - 1)
            at += 1
    if at < len(into):
        into[at] = held << (wanted - bits) & ((1 << wanted) - 1)
