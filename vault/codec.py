"""Strict encodings: base64, decimal, hexadecimal, Bech32, lines, canonical msgpack, Padmé.

Every parser here accepts exactly the bytes that its formatter writes. Python's own decoders do not:
``b64decode(validate=True)`` takes non-zero trailing bits, ``int()`` takes ``"+1_0"``,
``bytes.fromhex`` takes spaces. What is not canonical raises :class:`~vault.errors.FormatError`;
nothing is repaired.
"""

from __future__ import annotations

import base64 as _base64
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import msgpack

from vault.errors import FormatError

__all__ = [
    "BECH32_LETTERS",
    "MAX_DEPTH",
    "Packable",
    "Readable",
    "Value",
    "bech32_checksum",
    "format_base64",
    "format_base64_raw",
    "format_bech32",
    "format_decimal",
    "format_hex",
    "is_line",
    "nfc",
    "pack",
    "padme",
    "parse_base64",
    "parse_base64_raw",
    "parse_bech32",
    "parse_decimal",
    "parse_hex",
    "unpack",
    "unpack_prefix",
    "unpack_sequence",
]

MAX_DEPTH: Final = 8
_MAX_ARRAY: Final = 4096
_MAX_MAP: Final = 256
_MAX_VALUES: Final = 2**20
_SHORT_TEXT: Final = 1024
_MAX_COMBINING: Final = 30  # UAX #15, "Stream-Safe Text Format"
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1

Value: TypeAlias = "bool | int | str | bytes | tuple[Value, ...] | dict[str, Value]"
"""What :func:`unpack` returns: arrays are tuples."""
Packable: TypeAlias = "bool | int | str | bytes | Sequence[Packable] | Mapping[str, Packable]"
"""What :func:`pack` takes."""


class Readable(Protocol):
    """A source of bytes: ``read(n)`` returns up to ``n`` bytes, and none only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


# --- base64 (RFC 4648 section 4) --------------------------------------------------------------


def format_base64(data: bytes) -> str:
    """Return padded standard base64."""
    return _base64.b64encode(data).decode("ascii")


def parse_base64(text: str) -> bytes:
    """Decode padded standard base64; raise ``FormatError`` unless it is canonical."""
    try:
        data = _base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:  # UnicodeEncodeError and binascii.Error are both ValueError
        raise FormatError("base64", "not base64") from None
    if format_base64(data) != text:
        raise FormatError("base64", "not canonical")
    return data


def format_base64_raw(data: bytes) -> str:
    """Return standard base64 without padding, as age writes it."""
    return format_base64(data).rstrip("=")


def parse_base64_raw(text: str) -> bytes:
    """Decode unpadded standard base64; raise ``FormatError`` unless it is canonical."""
    if "=" in text:
        raise FormatError("base64", "padded")
    return parse_base64(text + "=" * (-len(text) % 4))


# --- numbers and hexadecimal ------------------------------------------------------------------

_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]*)\Z", re.ASCII)
_HEX: Final = re.compile(r"([0-9a-f]{2})*\Z", re.ASCII)


def format_decimal(number: int) -> str:
    """Return ``number`` (not negative) in ASCII decimal without leading zeros."""
    if number < 0:
        raise ValueError("negative")
    return str(number)


def parse_decimal(text: str, *, maximum: int = 2**63 - 1) -> int:
    """Parse ASCII decimal without sign or leading zeros, of at most ``maximum``.

    Raises ``FormatError``.
    """
    # The length is looked at first: int() of a very long string is slow, then refused.
    if len(text) > 20 or not _DECIMAL.match(text):
        raise FormatError("decimal", "not a plain decimal number")
    number = int(text)
    if number > maximum:
        raise FormatError("decimal", "too large")
    return number


def format_hex(data: bytes) -> str:
    """Return lower-case hexadecimal."""
    return data.hex()


def parse_hex(text: str, *, size: int | None = None) -> bytes:
    """Parse lower-case hexadecimal of ``size`` bytes (any, if None); raise ``FormatError``."""
    if not _HEX.match(text):
        raise FormatError("hexadecimal", "not lower-case hexadecimal")
    if size is not None and len(text) != 2 * size:
        raise FormatError("hexadecimal", f"not {size} bytes")
    return bytes.fromhex(text)


# --- Bech32 (BIP 173, without its length limit, as age.md says) -------------------------------

BECH32_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_VALUES: Final = {letter: value for value, letter in enumerate(BECH32_LETTERS)}
_BASE32: Final = "0123456789abcdefghijklmnopqrstuv"
_BECH32_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _sum_of_generators(top: int) -> int:
    found = 0
    for bit, generator in enumerate(_BECH32_GENERATOR):
        if top >> bit & 1:
            found ^= generator
    return found


_BECH32_SUMS: Final = tuple(map(_sum_of_generators, range(32)))
"""For each value of the five bits that leave the checksum: an epoch's file has 10,000 strings."""


def bech32_checksum(hrp: str, values: Iterable[int]) -> int:
    """Return the sum over a human-readable part and five-bit values: 1 for a whole string."""
    return _polymod([*_expand(hrp), *values])


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _BECH32_SUMS[checksum >> 25]
    return checksum


def _expand(hrp: str) -> list[int]:
    return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]


def format_bech32(hrp: str, data: bytes) -> str:
    """Return lower-case Bech32 of ``data`` under the human-readable part ``hrp`` (lower case)."""
    accumulator = int.from_bytes(data, "big")
    bits = len(data) * 8
    pad = -bits % 5
    accumulator <<= pad
    count = (bits + pad) // 5
    values = [(accumulator >> 5 * (count - 1 - i)) & 31 for i in range(count)]
    checksum = bech32_checksum(hrp, [*values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [(checksum >> 5 * (5 - i)) & 31 for i in range(6)]
    return hrp + "1" + "".join(BECH32_LETTERS[v] for v in values)


def parse_bech32(text: str) -> tuple[str, bytes]:
    """Return (human-readable part in lower case, data) of a Bech32 string in one case.

    Raises ``FormatError`` for mixed case, a character outside the alphabet, a wrong checksum, or
    padding that is longer than four bits or not zero (BIP 173).
    """
    if any(not 33 <= ord(c) <= 126 for c in text):
        raise FormatError("Bech32", "a character outside printable ASCII")
    if text not in (text.lower(), text.upper()):
        raise FormatError("Bech32", "mixed case")
    hrp, separator, rest = text.lower().rpartition("1")
    if not separator or not hrp or len(rest) < 6:
        raise FormatError("Bech32", "too short or without separator")
    try:
        values = [_BECH32_VALUES[c] for c in rest]
    except KeyError:
        raise FormatError("Bech32", "a character outside the Bech32 alphabet") from None
    if bech32_checksum(hrp, values) != 1:
        raise FormatError("Bech32", "wrong checksum")
    values = values[:-6]
    # int() takes a base that is a power of two in one pass; shifting a long number would not.
    accumulator = int("".join(_BASE32[value] for value in values) or "0", 32)
    pad = len(values) * 5 % 8
    if pad > 4 or accumulator & ((1 << pad) - 1):
        raise FormatError("Bech32", "bad padding")
    return hrp, (accumulator >> pad).to_bytes(len(values) * 5 // 8, "big")


# --- lines ------------------------------------------------------------------------------------

_NOT_IN_LINES: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def is_line(text: str) -> bool:
    """Say whether ``text`` is one line that can't show as something else.

    It has no control character (C0, DEL, C1), line or paragraph separator, bidirectional control,
    byte order mark or surrogate. The set is fixed: ``str.isprintable`` follows the Unicode tables
    of each Python, so that one would refuse what another wrote.
    """
    return _NOT_IN_LINES.search(text) is None


def nfc(text: str) -> str:
    """Return ``text`` in Unicode's Normalization Form C; text that no one wrote, as it is.

    To put the marks on one letter into order takes time with the square of their number: a long
    text that has more than thirty on one (UAX #15, "Stream-Safe Text Format") would cost minutes.
    """
    if len(text) <= _SHORT_TEXT or text.isascii():
        return unicodedata.normalize("NFC", text)
    run = 0
    for letter in text:
        run = run + 1 if unicodedata.combining(letter) else 0
        if run > _MAX_COMBINING:
            return text
    return unicodedata.normalize("NFC", text)


# --- canonical msgpack ------------------------------------------------------------------------


def _canonical(value: object, depth: int) -> object:
    """Return ``value`` with map keys in bytewise order.

    Raises ``ValueError`` on what has no canonical form.
    """
    # bool first: it is an int in Python, and a type of its own in msgpack.
    if isinstance(value, (bool, str, bytes)):
        return value
    if isinstance(value, int):
        if not _MIN_INT <= value <= _MAX_INT:
            raise ValueError("an integer outside 64 bits")
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        if len(value) > _MAX_MAP:
            raise ValueError(f"a map of more than {_MAX_MAP}")
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a map key that is not a string")
        return {
            key: _canonical(value[key], depth + 1)
            for key in sorted(value, key=lambda key: key.encode("utf-8"))
        }
    if isinstance(value, (list, tuple)):
        if len(value) > _MAX_ARRAY:
            raise ValueError(f"an array of more than {_MAX_ARRAY}")
        return [_canonical(element, depth + 1) for element in value]
    raise ValueError(f"no canonical form for {type(value).__name__}")


def pack(value: Packable) -> bytes:
    """Return the one canonical msgpack encoding of ``value``.

    Maps have string keys in bytewise order; integers are shortest; strings are UTF-8; there is no
    float, nil or extension; at most eight containers deep, 4096 in an array, 256 in a map, and 2^20
    elements, keys and values of maps in all. Raises ``ValueError`` on anything else.
    """
    canonical = _canonical(value, 0)
    packed: bytes = msgpack.packb(canonical, use_bin_type=True)
    # Each of them takes a byte at least.
    if len(packed) > _MAX_VALUES and _count(canonical) > _MAX_VALUES:
        raise ValueError(f"more than {_MAX_VALUES} values")
    return packed


def _count(value: object) -> int:
    """Return the elements, and the keys and values, of all containers in ``value``."""
    if isinstance(value, dict):
        return 2 * len(value) + sum(map(_count, value.values()))
    if isinstance(value, list):
        return len(value) + sum(map(_count, value))
    return 0


def _pairs(pairs: list[tuple[object, object]]) -> dict[object, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("msgpack", "a key twice")
    return found


class _Bounded:
    """Refuses a value as soon as too much of it is decoded: one byte can stand for an empty map,
    which takes 64 in memory.
    """

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise FormatError("msgpack", f"more than {_MAX_VALUES} values")

    def array(self, found: Sequence[object]) -> Sequence[object]:
        self._take(len(found))
        return found

    def pairs(self, pairs: list[tuple[object, object]]) -> dict[object, object]:
        self._take(2 * len(pairs))
        return _pairs(pairs)


def _unpacker(buffer: int, bounded: _Bounded | None = None) -> msgpack.Unpacker:
    # Lengths are capped here, before the decoder allocates anything for them.
    return msgpack.Unpacker(
        raw=False,
        use_list=False,
        strict_map_key=True,
        object_pairs_hook=bounded.pairs if bounded else _pairs,
        list_hook=bounded.array if bounded else None,
        max_buffer_size=buffer,
        max_array_len=_MAX_ARRAY,
        max_map_len=_MAX_MAP,
    )


def _next(reader: msgpack.Unpacker) -> Value:
    """Decode one value; raise ``msgpack.OutOfData`` if it is cut short, or ``FormatError``."""
    try:
        value: Value = reader.unpack()
    except (FormatError, msgpack.OutOfData):
        raise
    # msgpack raises ValueError (StackError and UnicodeDecodeError are kinds of it), TypeError for
    # a key that can't be hashed and OverflowError for a length beyond the machine's.
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError("msgpack", str(error) or "not msgpack") from None
    return value


def _check_canonical(value: Value, raw: bytes) -> None:
    try:
        canonical = pack(value)
    except ValueError as error:
        raise FormatError("msgpack", str(error)) from None
    if canonical != raw:
        raise FormatError("msgpack", "not canonical")


def unpack_prefix(data: bytes) -> tuple[Value, int]:
    """Decode the canonical value that ``data`` begins with; return it and its size in bytes."""
    reader = _unpacker(max(len(data), 1), _Bounded() if len(data) > _MAX_VALUES else None)
    reader.feed(data)
    try:
        value = _next(reader)
    except msgpack.OutOfData:
        raise FormatError("msgpack", "cut short") from None
    size: int = reader.tell()
    _check_canonical(value, data[:size])
    return value, size


def unpack(data: bytes) -> Value:
    """Decode exactly one canonical value; raise ``FormatError`` on anything else.

    Lengths are capped before anything is allocated: arrays at 4096, maps at 256; the elements, keys
    and values in all at 2^20.
    """
    value, size = unpack_prefix(data)
    if size != len(data):
        raise FormatError("msgpack", "bytes after the value")
    return value


def unpack_sequence(source: Readable, *, max_value: int) -> Iterator[tuple[Value, bytes]]:
    """Yield each canonical value of a concatenation, with its bytes; at most ``max_value`` each.

    ``source.read(n)`` returns up to ``n`` bytes and nothing only at the end. Raises ``FormatError``
    on a value that is not canonical, too long, or cut short.
    """
    chunk = 65536
    reader = _unpacker(max_value + chunk)
    held = b""
    base = 0  # the place of held[0] in the sequence
    while more := source.read(chunk):
        reader.feed(more)
        held += more
        start = 0
        while start < len(held):
            try:
                value = _next(reader)
            except msgpack.OutOfData:
                break
            end = reader.tell() - base
            # A value may lie whole in what was read and still be longer than allowed.
            if end - start > max_value:
                break
            raw = held[start:end]
            _check_canonical(value, raw)
            yield value, raw
            start = end
        held = held[start:]
        base += start
        if len(held) > max_value:
            raise FormatError("msgpack", "a value longer than allowed")
    if held:
        raise FormatError("msgpack", "cut short")


# --- Padmé ------------------------------------------------------------------------------------


def padme(size: int) -> int:
    """Return the Padmé length for ``size`` bytes: at most 12 % more, and few distinct values.

    From "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", section 4:
    a length keeps only as many significant bits as its exponent has bits.
    """
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask
