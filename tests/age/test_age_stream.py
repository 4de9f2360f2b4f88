"""vault.age.stream: every place where a chunk begins or ends, and every way to damage one."""

from __future__ import annotations

import io
import random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from vault.age.stream import (
    BLOCK_SIZE,
    CHUNK_SIZE,
    Reader,
    Writer,
    decrypt_payload,
    payload_key,
    payload_size,
    plaintext_size,
)
from vault.errors import PayloadError

KEY = payload_key(bytes(16), bytes(16))
SEALED = CHUNK_SIZE + 16
BORDERS = sorted(
    {
        max(0, chunks * CHUNK_SIZE + delta)
        for chunks in (0, 1, 2, 15, 16, 17, 32)
        for delta in (-1, 0, 1)
    }
)


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def seal(plaintext: bytes) -> bytes:
    sink = io.BytesIO()
    with Writer(sink, KEY) as writer:
        writer.write(plaintext)
    return sink.getvalue()


def unseal(chunks: bytes) -> bytes:
    sink = io.BytesIO()
    decrypt_payload(io.BytesIO(chunks), sink, KEY)
    return sink.getvalue()


def released(chunks: bytes) -> bytes:
    """Return what reaches a sink before the error that must come."""
    sink = io.BytesIO()
    with pytest.raises(PayloadError):
        decrypt_payload(io.BytesIO(chunks), sink, KEY)
    return sink.getvalue()


@pytest.mark.parametrize("size", BORDERS)
def test_a_payload_of_any_size_is_read_back(size: int) -> None:
    plaintext = random_bytes(size)
    chunks = seal(plaintext)
    assert len(chunks) + 16 == payload_size(size)
    assert plaintext_size(payload_size(size)) == size
    assert unseal(chunks) == plaintext
    reader = Reader(io.BytesIO(chunks), KEY, 0)
    assert reader.size == size
    assert reader.read() == plaintext


@pytest.mark.parametrize("step", [1000, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE])
@pytest.mark.parametrize("size", [0, CHUNK_SIZE, 2 * CHUNK_SIZE, BLOCK_SIZE + CHUNK_SIZE + 1])
def test_a_payload_is_the_same_in_whatever_pieces_it_was_written(size: int, step: int) -> None:
    plaintext = random_bytes(size)
    sink = io.BytesIO()
    with Writer(sink, KEY) as writer:
        for start in range(0, size, step):
            piece = plaintext[start : start + step]
            assert writer.write(piece) == len(piece)
            assert writer.write(b"") == 0
    assert sink.getvalue() == seal(plaintext)


def test_a_small_payload_written_byte_by_byte_is_the_same() -> None:
    plaintext = random_bytes(3000)
    sink = io.BytesIO()
    with Writer(sink, KEY) as writer:
        for byte in plaintext:
            writer.write(bytes([byte]))
    assert sink.getvalue() == seal(plaintext)


def test_a_writer_takes_whatever_has_a_buffer() -> None:
    sink = io.BytesIO()
    with Writer(sink, KEY) as writer:
        assert writer.write(bytearray(b"ab")) == 2
        assert writer.write(memoryview(b"cd")) == 2
        assert writer.write(memoryview(b"\x01\x00\x02\x00").cast("H")) == 4
    assert unseal(sink.getvalue()) == b"abcd\x01\x00\x02\x00"


def test_a_sink_may_take_less_than_it_is_offered() -> None:
    class Reluctant(io.BytesIO):
        def write(self, data: object, /) -> int:
            assert isinstance(data, memoryview)
            return super().write(data[:1000])

    sink = Reluctant()
    with Writer(sink, KEY) as writer:
        writer.write(random_bytes(CHUNK_SIZE))
    assert sink.getvalue() == seal(random_bytes(CHUNK_SIZE))


def test_a_sink_that_says_nothing_took_everything() -> None:
    pieces: list[bytes] = []

    class Silent:
        def write(self, data: memoryview, /) -> None:
            pieces.append(bytes(data))

    with Writer(Silent(), KEY) as writer:
        writer.write(b"x")
    assert b"".join(pieces) == seal(b"x")


def test_a_sink_that_takes_no_more_is_an_error() -> None:
    class Full:
        def write(self, data: memoryview, /) -> int:
            return min(len(data), 0)

    writer = Writer(Full(), KEY)
    with pytest.raises(OSError, match="sink"):
        writer.close()
    with pytest.raises(ValueError, match="failed"):
        writer.close()
    with pytest.raises(ValueError, match="failed"):
        writer.write(b"")


def test_a_view_kept_by_a_sink_can_not_be_read_later() -> None:
    kept: list[memoryview] = []

    class Keeper:
        def write(self, data: memoryview, /) -> None:
            kept.append(data)

    with Writer(Keeper(), KEY):
        pass
    with pytest.raises(ValueError, match="released"):
        bytes(kept[0])


def test_an_interrupted_payload_has_no_final_chunk() -> None:
    sink = io.BytesIO()
    plaintext = random_bytes(BLOCK_SIZE + 2 * CHUNK_SIZE)
    writer = Writer(sink, KEY)
    writer.write(plaintext)
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    assert released(sink.getvalue()) == plaintext[:BLOCK_SIZE]
    with pytest.raises(ValueError, match="failed"):
        writer.close()


def test_a_closed_writer_stays_closed() -> None:
    sink = io.BytesIO()
    writer = Writer(sink, KEY)
    writer.close()
    writer.close()
    writer.abort()
    writer.close()
    assert sink.getvalue() == seal(b"")
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"x")


def test_sizes_that_no_payload_has_are_refused() -> None:
    possible = {payload_size(size) for size in range(3 * CHUNK_SIZE)}
    for size in (*range(100), *range(SEALED - 1, SEALED + 60), *range(2 * SEALED, 2 * SEALED + 60)):
        if size in possible:
            assert payload_size(plaintext_size(size)) == size
        else:
            with pytest.raises(PayloadError):
                plaintext_size(size)
    with pytest.raises(ValueError, match="negative"):
        payload_size(-1)


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, BLOCK_SIZE + 1])
def test_a_payload_cut_anywhere_releases_its_whole_chunks_and_fails(size: int) -> None:
    plaintext = random_bytes(size)
    chunks = seal(plaintext)
    cuts = {0, 1, 15, 16, 17, SEALED - 1, SEALED, SEALED + 15, SEALED + 16, len(chunks) - 1}
    for cut in sorted(cuts):
        if cut < len(chunks):
            whole = cut // SEALED * CHUNK_SIZE
            assert released(chunks[:cut]) == plaintext[:whole]
            reader = Reader(io.BytesIO(chunks[:cut]), KEY, 0)
            assert reader.read(whole) == plaintext[:whole]
            for _ in range(2):
                with pytest.raises(PayloadError):
                    reader.read(1)
                with pytest.raises(PayloadError):
                    reader.seek(0, io.SEEK_END)
                with pytest.raises(PayloadError):
                    _ = reader.size


def test_any_changed_byte_of_a_small_payload_is_noticed() -> None:
    chunks = seal(b"testimony")
    for place in range(len(chunks)):
        for bit in range(8):
            changed = bytearray(chunks)
            changed[place] ^= 1 << bit
            assert released(bytes(changed)) == b""
            with pytest.raises(PayloadError):
                Reader(io.BytesIO(changed), KEY, 0).read(1)


def test_a_changed_chunk_stops_nothing_before_it() -> None:
    plaintext = random_bytes(20 * CHUNK_SIZE)
    chunks = bytearray(seal(plaintext))
    chunks[18 * SEALED + 5] ^= 1
    assert released(bytes(chunks)) == plaintext[: 18 * CHUNK_SIZE]
    reader = Reader(io.BytesIO(chunks), KEY, 0)
    with pytest.raises(PayloadError, match="chunk 18"):
        reader.read()
    assert reader.tell() == 0
    assert reader.read(18 * CHUNK_SIZE) == plaintext[: 18 * CHUNK_SIZE]
    reader.seek(19 * CHUNK_SIZE)
    assert reader.read() == plaintext[19 * CHUNK_SIZE :]


def test_nothing_unauthenticated_stays_behind_in_a_buffer() -> None:
    chunks = bytearray(seal(b"testimony" * 100))
    chunks[-1] ^= 1
    buffer = bytearray(900)
    reader = Reader(io.BytesIO(chunks), KEY, 0)
    with pytest.raises(PayloadError):
        reader.readinto(buffer)
    with pytest.raises(PayloadError):
        reader.readinto(buffer)
    assert buffer == bytes(900)


def test_swapped_repeated_and_dropped_chunks_are_noticed() -> None:
    plaintext = random_bytes(3 * CHUNK_SIZE)
    chunks = seal(plaintext)
    first, second, third = (chunks[i * SEALED : (i + 1) * SEALED] for i in range(3))
    for altered, good in (
        (second + first + third, 0),
        (first + first + third, 1),
        (first + third, 1),
        (first + second, 2),
        (second + third, 0),
        (first + second + third + third, 3),
        (first + second + third + b"x", 3),
        (first + second + third + bytes(16), 3),
    ):
        assert released(altered) == plaintext[: good * CHUNK_SIZE]
        reader = Reader(io.BytesIO(altered), KEY, 0)
        assert reader.read(good * CHUNK_SIZE) == plaintext[: good * CHUNK_SIZE]
        with pytest.raises(PayloadError):
            reader.read(1)
        assert reader.tell() == good * CHUNK_SIZE


def test_a_cut_is_told_from_an_alteration() -> None:
    chunks = seal(bytes(2 * CHUNK_SIZE))
    sink = io.BytesIO()
    with pytest.raises(PayloadError, match="cut off before its final chunk"):
        decrypt_payload(io.BytesIO(chunks[:SEALED]), sink, KEY)
    with pytest.raises(PayloadError, match="something follows its final chunk"):
        decrypt_payload(io.BytesIO(chunks + b"x"), sink, KEY)


def test_two_ends_are_one_too_many_also_for_a_reader() -> None:
    # Only who has the file key can make such a file: it must not read two ways.
    one = seal(bytes(CHUNK_SIZE))
    two = seal(bytes(2 * CHUNK_SIZE))[SEALED:]
    reader = Reader(io.BytesIO(one + two), KEY, 0)
    assert reader.read(CHUNK_SIZE) == bytes(CHUNK_SIZE)
    with pytest.raises(PayloadError, match="follows"):
        reader.read(1)
    with pytest.raises(PayloadError, match="follows"):
        _ = reader.size


def test_an_empty_final_chunk_after_others_is_refused() -> None:
    # Authentic, so only who has the file key can make it.
    empty = ChaCha20Poly1305(KEY).encrypt(bytes(10) + b"\x01\x01", b"", None)
    chunks = seal(bytes(2 * CHUNK_SIZE))[:SEALED] + empty
    assert released(chunks) == bytes(CHUNK_SIZE)
    reader = Reader(io.BytesIO(chunks), KEY, 0)
    with pytest.raises(PayloadError, match="empty"):
        _ = reader.size


def test_reading_at_random_gives_what_is_there() -> None:
    plaintext = random_bytes(5 * CHUNK_SIZE + 77)
    reader = Reader(io.BytesIO(b"HEAD" + seal(plaintext)), KEY, 4)
    rng = random.Random(1)
    for _ in range(200):
        place = rng.randrange(len(plaintext) + 100)
        size = rng.choice([0, 1, 100, CHUNK_SIZE, 2 * CHUNK_SIZE])
        assert reader.seek(place) == place
        assert reader.read(size) == plaintext[place : place + size]
        assert reader.tell() == max(place, min(place + size, len(plaintext)))


def test_a_reader_seeks_as_files_do() -> None:
    reader = Reader(io.BytesIO(seal(b"0123456789")), KEY, 0)
    assert reader.readable()
    assert reader.seekable()
    assert not reader.writable()
    assert reader.seek(-3, io.SEEK_END) == 7
    assert reader.read() == b"789"
    assert reader.seek(-4, io.SEEK_CUR) == 6
    assert reader.read(1) == b"6"
    assert reader.seek(50) == 50
    assert reader.read() == b""
    assert reader.read(5) == b""
    with pytest.raises(ValueError, match="start"):
        reader.seek(-1)
    with pytest.raises(ValueError, match="whence"):
        reader.seek(0, 3)
    assert io.BufferedReader(reader).read(2) == b""


def test_a_closed_reader_leaves_its_source_open_and_reads_no_more() -> None:
    source = io.BytesIO(seal(b"x"))
    with Reader(source, KEY, 0) as reader:
        pass
    assert not source.closed
    for call in (reader.tell, reader.readall, lambda: reader.seek(0), lambda: reader.size):
        with pytest.raises(ValueError, match="closed"):
            call()
    with pytest.raises(ValueError, match="closed"):
        reader.readinto(bytearray(1))


def test_a_reader_decrypts_only_what_it_is_asked_for() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    source = Counting(seal(bytes(10 * CHUNK_SIZE)))
    reader = Reader(source, KEY, 0)
    reader.seek(3 * CHUNK_SIZE + 5)
    reader.read(10)
    reader.read(10)
    assert source.taken == SEALED
    reader.seek(0, io.SEEK_END)
    reader.read(1)
    assert source.taken == 2 * SEALED


def test_a_source_that_shrinks_while_it_is_read_is_an_error() -> None:
    source = io.BytesIO(seal(bytes(2 * CHUNK_SIZE)))
    reader = Reader(source, KEY, 0)
    source.truncate(SEALED + 100)
    with pytest.raises(PayloadError, match="shorter"):
        reader.readall()


def test_keys_come_from_file_key_and_nonce() -> None:
    assert payload_key(bytes(16), bytes(16)) != payload_key(bytes(16), bytes(15) + b"\x01")
    assert payload_key(bytes(16), bytes(16)) != payload_key(bytes(15) + b"\x01", bytes(16))
