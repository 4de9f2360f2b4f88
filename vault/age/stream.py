"""The payload of an age file: the STREAM construction (age.md, "Payload").

    nonce (16 bytes) ‖ chunk ‖ … ‖ final chunk

A chunk is 64 KiB of plaintext under ChaCha20-Poly1305, so 65,552 bytes; the final one is shorter or
equal, and empty only if it is the only one. Its AEAD nonce is its number (11 bytes, big-endian) and
a byte that is 1 for the final chunk: chunks can't be moved, and the end can't be cut off unseen.
The key comes from the file key and the nonce, so it never repeats and the AEAD nonces may count.

What has not been authenticated leaves this module neither through a sink nor through a buffer.
"""

from __future__ import annotations

import io
import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.age.base import SeekableSource, Sink, Source, read_full, write_all
from vault.errors import PayloadError
from vault.secret import Octets, wipe

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "BLOCK_SIZE",
    "CHUNK_SIZE",
    "NONCE_SIZE",
    "Reader",
    "Writer",
    "decrypt_payload",
    "payload_key",
    "payload_size",
    "plaintext_size",
]

CHUNK_SIZE: Final = 64 * 1024
NONCE_SIZE: Final = 16
_TAG_SIZE: Final = 16
_SEALED_SIZE: Final = CHUNK_SIZE + _TAG_SIZE
_BLOCK_CHUNKS: Final = 16
BLOCK_SIZE: Final = _BLOCK_CHUNKS * CHUNK_SIZE
"""Bytes of plaintext handled at a time: large enough that Python's share of the time is small."""
_WHAT: Final = "age payload"


def payload_key(file_key: Octets, nonce: bytes) -> memoryview:
    """Return the payload's key for a file key and a nonce (16 bytes each): 32 bytes, to be wiped.

    A view, which shows nothing wherever it is printed.
    """
    key = memoryview(bytearray(32))
    HKDF(SHA256(), 32, salt=nonce, info=b"payload").derive_into(file_key, key)
    return key


def payload_size(plaintext: int) -> int:
    """Return the bytes of a payload (nonce, chunks, tags) for so many bytes of plaintext."""
    if plaintext < 0:
        raise ValueError("negative")
    chunks = max(1, -(-plaintext // CHUNK_SIZE))
    return NONCE_SIZE + plaintext + chunks * _TAG_SIZE


def plaintext_size(payload: int) -> int:
    """Return the bytes of plaintext in a payload of so many bytes: :func:`payload_size` undone.

    Raises ``PayloadError`` for a size that no payload has.
    """
    chunks = -(-(payload - NONCE_SIZE) // _SEALED_SIZE)
    size = payload - NONCE_SIZE - chunks * _TAG_SIZE
    if size < 0 or payload_size(size) != payload:
        raise PayloadError(_WHAT, f"no payload has {payload} bytes")
    return size


def _nonce(index: int, *, final: bool) -> bytes:
    return index.to_bytes(11, "big") + (b"\x01" if final else b"\x00")


def _open_chunk(
    aead: ChaCha20Poly1305, index: int, chunk: memoryview, out: memoryview, *, last: bool
) -> bool:
    """Decrypt one chunk into the start of ``out``; return whether it is a final one.

    ``last`` says that nothing follows it. A full chunk may turn out final though more follows, or
    not final though nothing does: it is authentic all the same, and :func:`_check_final` is the
    caller's next step. Raises ``PayloadError``; ``out`` then holds bytes that nobody vouches for.
    """
    size = len(chunk) - _TAG_SIZE
    if size < 0:
        raise PayloadError(_WHAT, "cut short", f"chunk {index}")
    if last and index and not size:
        raise PayloadError(_WHAT, "an empty final chunk after others", f"chunk {index}")
    for as_final in (last, not last) if size == CHUNK_SIZE else (last,):
        try:
            with out[:size] as place:
                aead.decrypt_into(_nonce(index, final=as_final), chunk, None, place)
        except InvalidTag:
            continue
        return as_final
    raise PayloadError(_WHAT, "altered, moved or cut short", f"chunk {index}")


def _check_final(index: int, *, final: bool, last: bool) -> None:
    """Raise ``PayloadError`` unless the last chunk is a final one, and only it."""
    if final and not last:
        raise PayloadError(_WHAT, "something follows its final chunk", f"chunk {index}")
    if last and not final:
        raise PayloadError(_WHAT, "cut off before its final chunk", f"chunk {index}")


@final
class Writer:
    """Encrypts what is written to it; made by :func:`vault.age.writer`.

    ``close`` writes the final chunk, without which the file is no age file, and leaves the sink
    open. As a context manager it closes only if no exception passes: an interrupted file stays one
    that every reader refuses. Ciphertext goes to the sink in blocks of up to 1 MiB. Not for use by
    several threads at a time.
    """

    __slots__ = ("_aead", "_held", "_index", "_out", "_pending", "_sink", "_state", "_used")

    def __init__(self, sink: Sink, key: Octets) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._sink = sink
        self._index = 0
        # The chunk that may turn out to be the final one, so never given away while it is the last.
        self._pending = bytearray(CHUNK_SIZE)
        self._held = 0
        self._out = bytearray(_BLOCK_CHUNKS * _SEALED_SIZE)
        self._used = 0
        self._state = "open"

    def write(self, data: ReadableBuffer, /) -> int:
        """Encrypt ``data``, of any size; return its size in bytes.

        Raises ``ValueError`` after ``close``, ``abort`` or a failure of the sink.
        """
        self._check_open()
        with memoryview(data) as given, given.cast("B") as view:
            size = len(view)
            place = min(size, CHUNK_SIZE - self._held)
            # Less than a chunk is collected; so is what completes one begun before.
            if self._held or size <= CHUNK_SIZE:
                self._pending[self._held : self._held + place] = view[:place]
                self._held += place
                if place == size:
                    return size
                with memoryview(self._pending) as whole:
                    self._seal(whole, final=False)
                self._held = 0
            else:
                place = 0
            while size - place > CHUNK_SIZE:
                with view[place : place + CHUNK_SIZE] as chunk:
                    self._seal(chunk, final=False)
                place += CHUNK_SIZE
            self._held = size - place
            self._pending[: self._held] = view[place:]
            return size

    def close(self) -> None:
        """Write the final chunk. Does nothing the second time; raises ``ValueError`` after a
        failure or ``abort``.
        """
        if self._state == "closed":
            return
        self._check_open()
        with memoryview(self._pending) as whole, whole[: self._held] as chunk:
            self._seal(chunk, final=True)
        if self._used:
            self._flush()
        wipe(self._pending)
        self._state = "closed"

    def abort(self) -> None:
        """Leave the file unfinished for good. Does nothing once it is closed."""
        if self._state != "closed":
            wipe(self._pending)
            self._state = "failed"

    def __enter__(self) -> Writer:
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
            raise ValueError(f"the age writer is {self._state}")

    def _seal(self, chunk: memoryview, *, final: bool) -> None:
        size = len(chunk) + _TAG_SIZE
        with memoryview(self._out) as out, out[self._used : self._used + size] as place:
            self._aead.encrypt_into(_nonce(self._index, final=final), chunk, None, place)
        self._used += size
        self._index += 1
        if self._used == len(self._out):
            self._flush()

    def _flush(self) -> None:
        # Failed until the sink has taken everything: a second try would repeat or skip bytes.
        self._state = "failed"
        write_all(self._sink, memoryview(self._out)[: self._used])
        self._state = "open"
        self._used = 0


def decrypt_payload(source: Source, sink: Sink, key: Octets) -> None:
    """Decrypt the chunks of a payload, to the end of ``source``.

    Raises ``PayloadError``, after every chunk before the bad one went to the sink.
    """
    aead = ChaCha20Poly1305(key)
    out = memoryview(bytearray(BLOCK_SIZE))
    ahead = read_full(source, _BLOCK_CHUNKS * _SEALED_SIZE)
    # What the first block did not reach, no later one does: the rest is zeros still.
    reached = min(BLOCK_SIZE, len(ahead))
    try:
        _decrypt_blocks(source, sink, aead, out, ahead)
    finally:
        # Keys are read this way too.
        wipe(out[:reached])


def _decrypt_blocks(
    source: Source, sink: Sink, aead: ChaCha20Poly1305, out: memoryview, ahead: bytes
) -> None:
    size = _BLOCK_CHUNKS * _SEALED_SIZE
    index = 0
    while True:
        block = ahead
        # Whether a chunk is the final one shows only in what follows it.
        ahead = read_full(source, size) if len(block) == size else b""
        used = 0
        try:
            with memoryview(block) as view:
                for start in range(0, max(1, len(block)), _SEALED_SIZE):
                    last = not ahead and start + _SEALED_SIZE >= len(block)
                    chunk = view[start : start + _SEALED_SIZE]
                    final = _open_chunk(aead, index, chunk, out[used:], last=last)
                    used += len(chunk) - _TAG_SIZE
                    _check_final(index, final=final, last=last)
                    index += 1
        finally:
            # Also when a chunk failed: those before it are authentic, and may be all there is.
            if used:
                write_all(sink, out[:used])
        if not ahead:
            return


@final
class Reader(io.RawIOBase):
    """The plaintext of an age file, readable at any place; made by :func:`vault.age.open`.

    Reading decrypts the chunks that it touches and no others; ``read(n)`` returns fewer than ``n``
    bytes only at the end. The end is believed only after the last chunk has proved to be a final
    one: ``size``, ``seek`` from the end, ``readall`` and the first empty read check that, once. Any
    of them, and every read, raises ``PayloadError``; what lies before the damage can still be read.
    Closing leaves the source open. Not for use by several threads at a time.
    """

    def __init__(self, source: SeekableSource, key: Octets, start: int) -> None:
        """Read the chunks from ``start`` (just behind the payload's nonce) to the source's end."""
        super().__init__()
        self._source = source
        self._aead = ChaCha20Poly1305(key)
        self._start = start
        self._sealed = source.seek(0, os.SEEK_END) - start
        self._last = max(0, self._sealed - 1) // _SEALED_SIZE
        self._position = 0
        self._end: int | None = None
        self._plain = memoryview(bytearray(CHUNK_SIZE))
        self._cached = -1
        self._cached_size = 0
        self._cached_final = False
        self._cut: int | None = None

    @property
    def size(self) -> int:
        """The bytes of plaintext."""
        self._check_usable()
        return self._check_end()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place in the plaintext."""
        self._check_usable()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place from the start, the current place or the end; return it."""
        self._check_usable()
        match whence:
            case os.SEEK_SET:
                base = 0
            case os.SEEK_CUR:
                base = self._position
            case os.SEEK_END:
                base = self.size
            case _:
                raise ValueError(f"no such whence: {whence}")
        if base + offset < 0:
            raise ValueError("a place before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer`` from the current place, except at the end; return how many bytes."""
        self._check_usable()
        with memoryview(buffer) as given, given.cast("B") as view:
            done = 0
            while done < len(view):
                index, within = divmod(self._position + done, CHUNK_SIZE)
                if within >= self._size_of(index):
                    # So says a length that anyone could have changed: believed once it is checked.
                    self._check_end()
                    break
                self._load(index)
                piece = self._plain[within : min(self._cached_size, within + len(view) - done)]
                view[done : done + len(piece)] = piece
                done += len(piece)
            self._position += done
            return done

    def readall(self) -> bytes:
        """Return everything from the current place to the end."""
        data = bytearray(max(0, self.size - self._position))
        self.readinto(data)
        return bytes(data)

    def _check_usable(self) -> None:
        if self.closed:
            raise ValueError("the age reader is closed")

    def _check_end(self) -> int:
        """Return the size of the plaintext, once the last chunk has proved to be a final one."""
        if self._end is None:
            self._load(self._last)
            _check_final(self._last, final=self._cached_final, last=True)
            self._end = self._last * CHUNK_SIZE + self._cached_size
        return self._end

    def _size_of(self, index: int) -> int:
        """Return the bytes of plaintext in a chunk by the source's length; negative beyond it."""
        return min(CHUNK_SIZE, self._sealed - index * _SEALED_SIZE - _TAG_SIZE)

    def _load(self, index: int) -> None:
        """Have chunk ``index`` in the cache, authenticated."""
        if self._cut is not None and index > self._cut:
            _check_final(self._cut, final=True, last=False)
        if index == self._cached:
            return
        # Forgotten first: after a failure the buffer holds bytes that nobody vouches for.
        self._cached = -1
        self._source.seek(self._start + index * _SEALED_SIZE)
        expected = min(_SEALED_SIZE, self._sealed - index * _SEALED_SIZE)
        chunk = read_full(self._source, max(0, expected))
        if len(chunk) < expected:
            raise PayloadError(_WHAT, "became shorter while it was read", f"chunk {index}")
        last = index == self._last
        final = _open_chunk(self._aead, index, memoryview(chunk), self._plain, last=last)
        if final and not last:
            # The plaintext ends with this chunk: it is read, and nothing beyond it.
            self._cut = index
        self._cached_size = len(chunk) - _TAG_SIZE
        self._cached_final = final
        self._cached = index
