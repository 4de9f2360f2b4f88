"""What the parts of age v1 share: stanzas, and the protocols around them.

A recipient wraps the file key (16 bytes) of a file into stanzas; an identity finds the stanzas
meant for it and unwraps the file key. The formats of header and payload know nothing of either.
Followed throughout: age-encryption.org/v1 (C2SP ``age.md``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final

from vault.codec import parse_base64_raw
from vault.errors import FormatError, HeaderError
from vault.secret import Octets

__all__ = [
    "BODY_SIZE",
    "FILE_KEY_SIZE",
    "Identity",
    "PrefixedSource",
    "Recipient",
    "SeekableSource",
    "Sink",
    "Source",
    "Stanza",
    "decode",
    "read_full",
    "write_all",
]

FILE_KEY_SIZE: Final = 16
BODY_SIZE: Final = FILE_KEY_SIZE + 16
"""Bytes of a native stanza's body: the file key and a Poly1305 tag. Checked before decryption,
against partitioning oracles (age.md, in each recipient type)."""
_ARGUMENT: Final = re.compile(r"[!-~]+\Z")


@final
@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key, wrapped for one recipient: the first argument, the others, the body.

    Raises ``ValueError`` for an argument that is empty or not printable ASCII without spaces
    (age.md, "Recipient stanza").
    """

    type: str
    args: tuple[str, ...]
    body: bytes

    def __post_init__(self) -> None:
        if not all(_ARGUMENT.match(argument) for argument in (self.type, *self.args)):
            raise ValueError("a stanza argument is one or more visible ASCII characters")


class Recipient(Protocol):
    """Whoever a file is encrypted to."""

    @property
    def post_quantum(self) -> bool:
        """Whether a quantum computer leaves this recipient's stanzas closed.

        All recipients of one file answer alike, or the weakest would decide for all.
        """
        ...

    def wrap(self, file_key: Octets) -> Sequence[Stanza]:
        """Return one or more stanzas that hold ``file_key`` (16 bytes), which is wiped later."""
        ...


class Identity(Protocol):
    """Whoever can open some files."""

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key (16 bytes) if one of all the file's stanzas is for this identity.

        Ignores stanzas of types that it does not know; raises ``HeaderError`` for one of its own
        type that is malformed.
        """
        ...


class Source(Protocol):
    """Bytes to read: up to ``size`` at a time, and none only at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


class SeekableSource(Source, Protocol):
    """Bytes to read from any place."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to ``offset`` from the start (0) or the end (2); return the place from the start."""
        ...


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: memoryview, /) -> object:
        """Take ``data``, which is valid only until this call returns.

        An ``int`` smaller than ``len(data)`` says that only so many bytes were taken, as an
        unbuffered file does; the rest is then offered again. Anything else says that all were.
        """
        ...


@final
class PrefixedSource:
    """A source whose first bytes were read already."""

    __slots__ = ("_prefix", "_source")

    def __init__(self, prefix: bytes, source: Source) -> None:
        self._prefix = prefix
        self._source = source

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, the prefix first."""
        if not self._prefix:
            return self._source.read(size)
        piece, self._prefix = self._prefix[:size], self._prefix[size:]
        return piece


def read_full(source: Source, size: int) -> bytes:
    """Return ``size`` bytes, fewer only at the end of ``source``."""
    first = source.read(size)
    if len(first) == size or not first:
        return first
    data = bytearray(first)
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return bytes(data)


def write_all(sink: Sink, data: memoryview) -> None:
    """Write all of ``data``, then release it: a sink that kept it fails instead of reading what the
    buffer holds later. Raises ``OSError`` when the sink takes nothing.
    """
    with data:
        taken = sink.write(data)
        if not isinstance(taken, int):
            return
        while taken < len(data):
            with data[taken:] as rest:
                more = sink.write(rest)
            if not isinstance(more, int) or more <= 0:
                raise OSError("a sink took a part of the data, then none")
            taken += more


def decode(text: str, what: str, size: int | None = None) -> bytes:
    """Decode canonical unpadded base64 of ``size`` bytes (any, if None) in a header.

    Raises ``HeaderError`` about ``what``.
    """
    try:
        data = parse_base64_raw(text)
    except FormatError as error:
        raise HeaderError(what, error.why) from None
    if size is not None and len(data) != size:
        raise HeaderError(what, f"{len(data)} bytes, not {size}")
    return data
