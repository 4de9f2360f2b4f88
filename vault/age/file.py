"""Whole age files: header and payload put together, armored or binary."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from vault.age.armor import PEEK_SIZE, ArmorReader, ArmorWriter, is_armored
from vault.age.base import (
    FILE_KEY_SIZE,
    Identity,
    PrefixedSource,
    Recipient,
    SeekableSource,
    Sink,
    Source,
    Stanza,
    read_full,
    write_all,
)
from vault.age.header import MAX_STANZAS, Header, check_mac, format_header, read_header
from vault.age.scrypt import ScryptRecipient
from vault.age.stream import (
    BLOCK_SIZE,
    NONCE_SIZE,
    Reader,
    Writer,
    decrypt_payload,
    payload_key,
)
from vault.errors import FormatError, HeaderError, NoIdentityMatchError
from vault.secret import Secret, wipe

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "MAX_BYTES",
    "decrypt",
    "decrypt_bytes",
    "decrypt_secret",
    "encrypt",
    "encrypt_bytes",
    "open",
    "writer",
]

MAX_BYTES: Final = 64 * 2**20
"""Bytes of plaintext that :func:`decrypt_bytes` holds in memory, unless told otherwise."""
_WHAT: Final = "age file"


# --- encryption -------------------------------------------------------------------------------


def writer(sink: Sink, recipients: Iterable[Recipient]) -> Writer:
    """Begin a binary age file in ``sink``; return what encrypts the plaintext written to it.

    The header and the nonce are written at once. The sink may keep no view that it is given; it is
    never closed. Raises ``ValueError`` for no recipient, more than 2048 stanzas, post-quantum
    recipients beside others, or a passphrase beside anything.
    """
    return _writer_with(sink, recipients, os.urandom)


def _writer_with(
    sink: Sink, recipients: Iterable[Recipient], random: Callable[[int], bytes]
) -> Writer:
    with Secret(random(FILE_KEY_SIZE)) as file_key:
        header = format_header(_wrap(file_key.view, tuple(recipients)), file_key.view)
        nonce = random(NONCE_SIZE)
        write_all(sink, memoryview(header + nonce))
        key = payload_key(file_key.view, nonce)
    try:
        return Writer(sink, key)
    finally:
        wipe(key)


def _wrap(file_key: memoryview, recipients: Sequence[Recipient]) -> tuple[Stanza, ...]:
    if not recipients:
        raise ValueError("no recipient")
    if len(recipients) > MAX_STANZAS:
        raise ValueError(f"more than {MAX_STANZAS} recipients")
    if len({recipient.post_quantum for recipient in recipients}) > 1:
        raise ValueError("post-quantum recipients beside others: these would decide for all")
    # The header's own rule says so too, but only after a second and 256 MiB for each passphrase.
    if len(recipients) > 1 and any(isinstance(one, ScryptRecipient) for one in recipients):
        raise ValueError("a passphrase beside other recipients")
    return tuple(stanza for recipient in recipients for stanza in recipient.wrap(file_key))


def encrypt(source: Source, sink: Sink, recipients: Iterable[Recipient]) -> None:
    """Encrypt all of ``source`` into a binary age file; raises as :func:`writer` does.

    For armor, ``sink`` is an :func:`~vault.age.armored` one, closed afterwards.
    """
    with writer(sink, recipients) as file:
        while data := source.read(BLOCK_SIZE):
            file.write(data)


def encrypt_bytes(
    plaintext: ReadableBuffer, recipients: Iterable[Recipient], *, armored: bool = False
) -> bytes:
    """Return an age file of a small plaintext; raises as :func:`writer` does."""
    sink = io.BytesIO()
    if armored:
        with ArmorWriter(sink) as armor, writer(armor, recipients) as file:
            file.write(plaintext)
    else:
        with writer(sink, recipients) as file:
            file.write(plaintext)
    return sink.getvalue()


# --- decryption -------------------------------------------------------------------------------


def decrypt(source: Source, sink: Sink, identities: Iterable[Identity]) -> None:
    """Decrypt a whole age file, binary or armored as its first bytes say.

    What reaches ``sink`` is authentic, but only the return says that it is all: damage is found
    chunk by chunk (64 KiB), after the chunks before it were written. Raises ``ArmorError``,
    ``HeaderError``, ``NoIdentityMatchError``, ``HeaderMacError`` (before anything is written),
    ``PayloadError``, ``ArmorError`` (perhaps after); ``ValueError`` for no identity.
    """
    start = read_full(source, PEEK_SIZE)
    file: Source = PrefixedSource(start, source)
    if is_armored(start):
        file = ArmorReader(file)
    _, key, payload = _begin(file, identities)
    try:
        decrypt_payload(payload, sink, key)
    finally:
        wipe(key)


def _begin(source: Source, identities: Iterable[Identity]) -> tuple[int, memoryview, Source]:
    """Read what stands before the first chunk; return its size, the payload's key, which the caller
    wipes, and the rest.
    """
    header, rest = read_header(source)
    payload = PrefixedSource(rest, source)
    nonce = read_full(payload, NONCE_SIZE)
    if len(nonce) != NONCE_SIZE:
        raise HeaderError(_WHAT, "it ends before its payload's nonce does")
    with _unwrap(header, tuple(identities)) as file_key:
        check_mac(header, file_key.view)
        return len(header.raw) + NONCE_SIZE, payload_key(file_key.view, nonce), payload


def _unwrap(header: Header, identities: Sequence[Identity]) -> Secret:
    if not identities:
        raise ValueError("no identity")
    for identity in identities:
        found = identity.unwrap(header.stanzas)
        if found is not None:
            if len(found) != FILE_KEY_SIZE:
                raise ValueError(f"an identity gave a file key of {len(found)} bytes")
            file_key = Secret(found)
            del found  # or whoever formats a traceback with locals would show it
            return file_key
    kinds = ", ".join(sorted({stanza.type for stanza in header.stanzas}))
    raise NoIdentityMatchError(_WHAT, f"no identity given opens any of its stanzas ({kinds})")


def open(source: SeekableSource, identities: Iterable[Identity]) -> Reader:  # noqa: A001
    """Return the plaintext of a binary age file, to be read at any place.

    Called as ``age.open``, like the standard library's openers. The file is all of ``source``, from
    its place 0, which stays open. Armor is ``HeaderError`` here: only :func:`decrypt` reads it.
    Otherwise raises as :func:`decrypt` does before anything is written; the payload's errors come
    from reading.
    """
    source.seek(0)
    if is_armored(read_full(source, PEEK_SIZE)):
        raise HeaderError(_WHAT, "armored, and so not to be read at any place")
    source.seek(0)
    size, key, _ = _begin(source, identities)
    try:
        return Reader(source, key, size)
    finally:
        wipe(key)


def decrypt_bytes(
    data: ReadableBuffer, identities: Iterable[Identity], *, max_size: int = MAX_BYTES
) -> bytes:
    """Return the plaintext of a small age file, binary or armored; nothing of it on an error.

    Raises as :func:`decrypt` does, and ``FormatError`` beyond ``max_size`` bytes of plaintext.
    """
    sink = _Bounded(max_size)
    decrypt(io.BytesIO(data), sink, identities)
    return bytes(sink.data)


def decrypt_secret(
    data: ReadableBuffer, identities: Iterable[Identity], *, max_size: int
) -> Secret | None:
    """Return the plaintext of an age file that holds keys, in memory that can be wiped; None if it
    is empty.

    Raises as :func:`decrypt_bytes` does.
    """
    sink = _Bounded(max_size)
    try:
        decrypt(io.BytesIO(data), sink, identities)
        return Secret(sink.data) if sink.data else None
    finally:
        wipe(sink.data)


class _Bounded:
    __slots__ = ("_max_size", "data")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self.data = bytearray()

    def write(self, data: memoryview, /) -> None:
        if len(self.data) + len(data) > self._max_size:
            raise FormatError(_WHAT, f"its plaintext is longer than {self._max_size} bytes")
        self.data += data
