"""vault.age.armor: what is accepted, and what is not."""

from __future__ import annotations

import io
import random

import pytest

from vault.age.armor import (
    PEEK_SIZE,
    ArmorReader,
    ArmorWriter,
    armored,
    format_armor,
    is_armored,
    parse_armor,
)
from vault.errors import ArmorError

BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
END = b"-----END AGE ENCRYPTED FILE-----\n"
FULL = b"A" * 64 + b"\n"


class Slow:
    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._step))


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def read_all(reader: ArmorReader) -> bytes:
    data = bytearray()
    while piece := reader.read(1000):
        data += piece
    return bytes(data)


@pytest.mark.parametrize(
    "size", [*range(100), 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, 65536, 200_000]
)
def test_armor_of_any_size_is_read_back(size: int) -> None:
    data = random_bytes(size)
    armor = format_armor(data)
    assert armor.startswith(BEGIN)
    assert armor.endswith(END)
    assert all(len(line) == 64 for line in armor.split(b"\n")[1:-3])
    assert parse_armor(armor) == data


def test_armor_is_written_as_in_the_standard() -> None:
    assert format_armor(b"") == BEGIN + END
    assert format_armor(b"a") == BEGIN + b"YQ==\n" + END
    assert format_armor(bytes(48)) == BEGIN + FULL + END
    assert format_armor(bytes(49)) == BEGIN + FULL + b"AA==\n" + END


def test_armor_is_the_same_in_whatever_pieces_it_was_written() -> None:
    data = random_bytes(150_000)
    for step in (1000, 48, 49, 100_000):
        sink = io.BytesIO()
        with armored(sink) as writer:
            for start in range(0, len(data), step):
                writer.write(memoryview(data)[start : start + step])
        assert sink.getvalue() == format_armor(data)


@pytest.mark.parametrize("step", [1, 63, 64, 65, 66, 4096])
@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 5000, 70_000])
def test_armor_is_read_in_whatever_pieces_it_arrives(size: int, step: int) -> None:
    reader = ArmorReader(Slow(b" \n\t" + format_armor(random_bytes(size)) + b"\r\n", step))
    assert read_all(reader) == random_bytes(size)
    assert reader.read(1) == b""


@pytest.mark.parametrize(
    "armor",
    [
        BEGIN + b"YQ==\n" + END,
        BEGIN + b"YQ==\n" + END[:-1],
        (BEGIN + b"YQ==\n" + END).replace(b"\n", b"\r\n"),
        BEGIN + b"YQ==\r\n" + END,
        b"\n\r\n\t \v\f" + BEGIN + b"YQ==\n" + END + b" \r\n\t\n",
        b" " * 1024 + BEGIN + b"YQ==\n" + END[:-1] + b" " * 1024,
        b"  " + BEGIN + b"YQ==\n" + END,
    ],
)
def test_line_ends_and_whitespace_outside_may_differ(armor: bytes) -> None:
    assert is_armored(armor[:PEEK_SIZE])
    assert parse_armor(armor) == b"a"


@pytest.mark.parametrize(
    "armor",
    [
        b"",
        BEGIN,
        BEGIN[:-1],
        BEGIN + FULL,
        BEGIN + b"YQ==\n",
        BEGIN + b"YQ==\n" + END[:-2],
        BEGIN + b"YQ==" + END,
        BEGIN[:-1] + b"YQ==\n" + END,
        BEGIN + b"\n" + END,
        BEGIN + b"\nYQ==\n" + END,
        BEGIN + b"YQ==\n\n" + END,
        BEGIN + FULL + b"\n" + END,
        BEGIN + b"YQ==\nYQ==\n" + END,
        BEGIN + b"AAAA\n" + FULL + END,
        BEGIN + b"A" * 68 + b"\n" + END,
        BEGIN + b"A" * 65 + b"=\n" + END,
        BEGIN + b"A" * 64 + b"==\n" + END,
        BEGIN + b"A" * 1000 + b"\n" + END,
        BEGIN + b"YQ\n" + END,
        BEGIN + b"YQ=\n" + END,
        BEGIN + b"YR==\n" + END,
        BEGIN + b"YWF=\n" + END,
        BEGIN + b"Y===\n" + END,
        BEGIN + b"YQ==YQ==\n" + END,
        BEGIN + b"YQ-_\n" + END,
        BEGIN + b"YQ==\n=yjEF\n" + END,
        BEGIN + b" YQ==\n" + END,
        BEGIN + b"YQ== \n" + END,
        BEGIN + b"YQ==\r\r\n" + END,
        BEGIN + b"YQ==\r" + END,
        BEGIN + b"Header: value\n\nYQ==\n" + END,
        BEGIN + b"\xff\xff==\n" + END,
        BEGIN.lower() + b"YQ==\n" + END,
        BEGIN + b"YQ==\n" + END.lower(),
        BEGIN.replace(b"FILE", b"MESSAGE") + b"YQ==\n" + END,
        b"----" + BEGIN + b"YQ==\n" + END,
        b"garbage\n" + BEGIN + b"YQ==\n" + END,
        BEGIN + b"YQ==\n" + END + b"garbage",
        BEGIN + b"YQ==\n" + END[:-1] + b"-",
        BEGIN + b"YQ==\n" + END + BEGIN + b"YQ==\n" + END,
        BEGIN + b"YQ==\n" + END + b" " * 1024,
        BEGIN + b"YQ==\n" + END + b" " * 1_000_000,
        BEGIN + b"YQ==\n" + END + b" " * 65_500 + b"x",
        b" " * 1025 + BEGIN + b"YQ==\n" + END,
        b" " * 1_000_000,
        "\u00a0".encode() + BEGIN + b"YQ==\n" + END,
        BEGIN + FULL * 5000 + b"*\n" + END,
    ],
)
def test_anything_else_is_refused(armor: bytes) -> None:
    for step in (1, 1_000_000) if len(armor) < 10_000 else (1_000_000,):
        reader = ArmorReader(Slow(armor, step))
        with pytest.raises(ArmorError):
            read_all(reader)


def test_an_endless_line_is_given_up_soon() -> None:
    class Endless:
        given = 0

        def read(self, size: int, /) -> bytes:
            data = BEGIN if not self.given else b"A" * size
            self.given += len(data)
            return data

    source = Endless()
    with pytest.raises(ArmorError):
        ArmorReader(source).read(1)
    assert source.given < 200_000


def test_binary_files_are_told_from_armored_ones() -> None:
    assert not is_armored(b"age-encryption.org/v1\n-> -----BEGIN AGE ENCRYPTED FILE-----\n")
    assert not is_armored(b"")
    assert not is_armored(b"PK\x03\x04")
    assert is_armored(b"Dear all,\n" + BEGIN)
    assert is_armored(b"\n----- BEGIN AGE ENCRYPTED FILE -----")


def test_an_interrupted_armor_has_no_last_line() -> None:
    sink = io.BytesIO()
    writer = armored(sink)
    writer.write(bytes(100_000))
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    with pytest.raises(ArmorError):
        parse_armor(sink.getvalue())
    with pytest.raises(ValueError, match="failed"):
        writer.close()


def test_a_closed_armor_stays_closed() -> None:
    sink = io.BytesIO()
    writer = ArmorWriter(sink)
    writer.close()
    writer.close()
    writer.abort()
    assert sink.getvalue() == BEGIN + END
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"x")


def test_an_armor_whose_sink_failed_stays_failed() -> None:
    class Full:
        room = 1

        def write(self, data: memoryview, /) -> None:
            self.room -= 1
            if self.room < 0:
                raise OSError("full")

    writer = ArmorWriter(Full())
    with pytest.raises(OSError, match="full"):
        writer.write(bytes(100_000))
    with pytest.raises(ValueError, match="failed"):
        writer.close()
