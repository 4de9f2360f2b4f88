"""vault.age.header, against the grammar of age.md."""

from __future__ import annotations

import io
import random

import pytest

from vault.age.base import Stanza
from vault.age.header import (
    MAX_HEADER_SIZE,
    MAX_STANZAS,
    check_mac,
    format_header,
    parse_header,
    read_header,
)
from vault.codec import format_base64_raw
from vault.errors import HeaderError, HeaderMacError

KEY = bytes(range(16))
MAC = format_base64_raw(bytes(32))


def header(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in ("age-encryption.org/v1", *lines, f"--- {MAC}")).encode()


class Trickle:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, 1))


@pytest.mark.parametrize("size", range(150))
def test_a_stanza_body_of_any_size_is_read_back(size: int) -> None:
    stanza = Stanza("grease", ("a", "~!"), random.Random(size).randbytes(size))
    raw = format_header([stanza, stanza], KEY)
    assert all(len(line) <= 64 for line in raw.split(b"\n"))
    found = parse_header(raw)
    assert found.stanzas == (stanza, stanza)
    assert found.raw == raw
    check_mac(found, KEY)


def test_a_header_is_written_as_in_the_standard() -> None:
    raw = format_header([Stanza("x", (), b"\x00" * 48)], KEY)
    assert raw == (
        b"age-encryption.org/v1\n"
        b"-> x\n"
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
        b"\n"
        b"--- TdAuOMVoGDY7CAvMkuZXXwgufj/kNlrm97Sy03reDTk\n"
    )


def test_a_header_ends_where_the_payload_begins_however_it_arrives() -> None:
    raw = format_header([Stanza("x", (), bytes(100))], KEY)
    payload = b"\n--- \n" * 10
    for source in (io.BytesIO(raw + payload), Trickle(raw + payload)):
        found, rest = read_header(source)
        assert found.raw == raw
        assert payload.startswith(rest)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"age-encryption.org/v1",
        b"age-encryption.org/v1\n",
        header(),
        header("-> x"),
        header("-> x", "AAA", "A" * 64),
        header("-> x", "A" * 65, ""),
        header("-> x", "A" * 64 + "AA", ""),
        header("-> x", "A" * 63 + "=", ""),
        header("-> x", "A" * 64),
        header("-> x", "A"),
        header("-> x", "AAA="),
        header("-> x", "AAB"),
        header("-> x", "A A"),
        header("->", ""),
        header("-> ", ""),
        header("->x", ""),
        header("->  x", ""),
        header("-> x ", ""),
        header("-> x\x7f", ""),
        header("-> é", ""),
        header("x", ""),
        header("-> x\r", ""),
        header("-> x", "\r"),
        header("-> scrypt", "", "-> x", ""),
        header("-> scrypt", "", "-> scrypt", ""),
        header(*["-> x", ""] * (MAX_STANZAS + 1)),
        header("-> x", "")[:-1],
        header("-> x", "") + b"\n",
        header("-> x", "").replace(b"--- ", b"---"),
        header("-> x", "").replace(b"--- ", b"---  "),
        header("-> x", "").replace(b"--- ", b"---- "),
        header("-> x", "").replace(b"AAA\n", b"AAA \n"),
        header("-> x", "").replace(b"AAA\n", b"AA\n"),
        header("-> x", "").replace(b"AAA\n", b"AAB\n"),
        header("-> x", "").replace(b"AAA\n", b"AAA=\n"),
        header("-> x", "").replace(b"v1", b"v2"),
        header("-> x", "").replace(b"v1", b"v1 "),
        header("-> x", "").replace(b"\n", b"\r\n"),
        b" " + header("-> x", ""),
        header("-> " + "x" * MAX_HEADER_SIZE, ""),
    ],
)
def test_a_header_outside_the_grammar_is_refused(raw: bytes) -> None:
    with pytest.raises(HeaderError):
        parse_header(raw)


def test_a_later_version_is_told_from_something_that_is_no_age_file() -> None:
    with pytest.raises(HeaderError, match="a version other than v1"):
        read_header(io.BytesIO(b"age-encryption.org/v2\nanything"))
    with pytest.raises(HeaderError, match="not an age file"):
        read_header(io.BytesIO(b"PK\x03\x04"))
    with pytest.raises(HeaderError, match="empty"):
        read_header(io.BytesIO())


@pytest.mark.parametrize("size", range(1, 60))
def test_a_header_cut_anywhere_is_refused(size: int) -> None:
    raw = format_header([Stanza("x", (), b"")], KEY)
    with pytest.raises(HeaderError):
        read_header(io.BytesIO(raw[:size]))


def test_an_endless_header_is_given_up_after_its_limit() -> None:
    class Endless:
        given = 0

        def read(self, size: int, /) -> bytes:
            data = b"age-encryption.org/v1\n-> x\n" if not self.given else b"A" * size
            self.given += len(data)
            return data

    source = Endless()
    with pytest.raises(HeaderError, match="longer"):
        read_header(source)
    assert source.given < MAX_HEADER_SIZE + 8192


def test_any_changed_bit_of_a_header_is_noticed() -> None:
    raw = format_header([Stanza("x", ("y",), bytes(32))], KEY)
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            with pytest.raises((HeaderError, HeaderMacError)):
                check_mac(read_header(io.BytesIO(changed))[0], KEY)


def test_another_file_key_does_not_fit_the_mac() -> None:
    found = parse_header(format_header([Stanza("x", (), b"")], KEY))
    with pytest.raises(HeaderMacError):
        check_mac(found, bytes(16))


@pytest.mark.parametrize("arguments", [("",), ("a", ""), ("a b",), ("a\n",), ("é",), ("a", "\x7f")])
def test_an_argument_that_no_header_can_hold_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="argument"):
        Stanza(arguments[0], arguments[1:], b"")


def test_a_header_that_no_reader_may_accept_is_not_written() -> None:
    scrypt = Stanza("scrypt", (), b"")
    with pytest.raises(ValueError, match="no stanza"):
        format_header([], KEY)
    with pytest.raises(ValueError, match="scrypt"):
        format_header([scrypt, Stanza("x", (), b"")], KEY)
    with pytest.raises(ValueError, match="stanzas"):
        format_header([Stanza("x", (), b"")] * (MAX_STANZAS + 1), KEY)
    with pytest.raises(ValueError, match="bytes"):
        format_header([Stanza("x", ("y" * MAX_HEADER_SIZE,), b"")], KEY)
