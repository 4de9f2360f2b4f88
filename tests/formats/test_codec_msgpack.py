"""Canonical msgpack: one encoding of each value, read under limits; Padmé."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Iterator

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.codec import (
    MAX_DEPTH,
    Packable,
    Value,
    pack,
    padme,
    unpack,
    unpack_prefix,
    unpack_sequence,
)
from vault.errors import FormatError

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=40)
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=12,
)


def depth(value: Value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, tuple):
        return 1 + max(map(depth, value), default=0)
    return 0


def nested(levels: int) -> Packable:
    value: Packable = 0
    for _ in range(levels):
        value = [value]
    return value


# --- what is written --------------------------------------------------------------------------


@given(VALUES.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_every_value_survives_the_round_trip(value: Value) -> None:
    raw = pack(value)
    assert unpack(raw) == value
    assert pack(unpack(raw)) == raw


@given(st.dictionaries(st.text(max_size=6), st.integers(0, 9), min_size=2, max_size=8))
def test_the_order_of_a_map_does_not_matter_to_what_is_written(value: dict[str, int]) -> None:
    assert pack(dict(reversed(value.items()))) == pack(value)


def test_keys_stand_in_bytewise_order_which_is_not_that_of_utf_16() -> None:
    keys = ["\U00010000", "\uffff", "b", "a", "aa", "Z", ""]
    packed = msgpack.unpackb(pack(dict.fromkeys(keys, 0)))
    assert list(packed) == ["", "Z", "a", "aa", "b", "\uffff", "\U00010000"]


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (255, "ccff"),
        (256, "cd0100"),
        (65536, "ce00010000"),
        (2**32, "cf0000000100000000"),
        (2**64 - 1, "cfffffffffffffffff"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-129, "d1ff7f"),
        (-32769, "d2ffff7fff"),
        (-(2**31) - 1, "d3ffffffff7fffffff"),
        (True, "c3"),
        (False, "c2"),
        ("", "a0"),
        ("a" * 31, "bf" + "61" * 31),
        ("a" * 32, "d920" + "61" * 32),
        ("a" * 256, "da0100" + "61" * 256),
        (b"", "c400"),
        (b"a" * 256, "c50100" + "61" * 256),
        (b"a" * 65536, "c600010000" + "61" * 65536),
        ((), "90"),
        ((0,) * 15, "9f" + "00" * 15),
        ((0,) * 16, "dc0010" + "00" * 16),
        ({}, "80"),
        ({"a": (b"", {})}, "81a16192c40080"),
    ],
)
def test_each_length_and_size_has_its_shortest_form(value: Packable, raw: str) -> None:
    assert pack(value).hex() == raw
    assert unpack(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        float("nan"),
        {1: 2},
        {b"a": 1},
        {"a": None},
        [1.0],
        {1, 2},
        bytearray(b"a"),
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\ud800": 1},
        msgpack.Timestamp(0),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own reason
        pack(value)  # type: ignore[arg-type]


def test_true_is_not_one() -> None:
    assert unpack(pack(True)) is True
    assert unpack(pack(1)) is not True


def test_eight_containers_deep_is_written_and_read_and_nine_is_not() -> None:
    assert unpack(pack(nested(8))) == ((((((((0,),),),),),),),)
    with pytest.raises(ValueError, match="deeper"):
        pack(nested(9))
    with pytest.raises(FormatError, match="deeper"):
        unpack(b"\x91" * 9 + b"\x00")
    with pytest.raises(FormatError, match="deeper"):
        unpack(b"\x81\xa1a" * 9 + b"\x00")


def test_nothing_is_written_that_is_too_long_to_be_read() -> None:
    assert len(unpack(pack([0] * 4096))) == 4096  # type: ignore[arg-type]
    assert len(unpack(pack({str(n): 0 for n in range(256)}))) == 256  # type: ignore[arg-type]
    for value in ([0] * 4097, {str(n): 0 for n in range(257)}):
        with pytest.raises(ValueError, match="more than"):
            pack(value)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("cc7f", id="uint8 for a small integer"),
        pytest.param("cd00ff", id="uint16 for a byte"),
        pytest.param("ce0000ffff", id="uint32 for two bytes"),
        pytest.param("cf00000000ffffffff", id="uint64 for four bytes"),
        pytest.param("d001", id="int8 for a positive integer"),
        pytest.param("d0ff", id="int8 for a small negative integer"),
        pytest.param("d1ff80", id="int16 for a byte"),
        pytest.param("d300000000000000ff", id="int64 for a byte"),
        pytest.param("d90161", id="str8 for a short string"),
        pytest.param("da000161", id="str16 for a short string"),
        pytest.param("db0000000161", id="str32 for a short string"),
        pytest.param("c5000161", id="bin16 for a byte"),
        pytest.param("c60000000161", id="bin32 for a byte"),
        pytest.param("dc000100", id="array16 of one"),
        pytest.param("dd0000000100", id="array32 of one"),
        pytest.param("de0001a16100", id="map16 of one"),
        pytest.param("df00000001a16100", id="map32 of one"),
        pytest.param("ca3f800000", id="float32"),
        pytest.param("cb3ff0000000000000", id="float64"),
        pytest.param("cb7ff8000000000000", id="NaN"),
        pytest.param("c0", id="nil"),
        pytest.param("91c0", id="nil in an array"),
        pytest.param("81a161c0", id="nil in a map"),
        pytest.param("d40100", id="fixext1"),
        pytest.param("c70101ff", id="ext8"),
        pytest.param("d6ff00000000", id="timestamp"),
        pytest.param("c1", id="the byte that is never used"),
        pytest.param("82a16100a16101", id="a key twice"),
        pytest.param("82a16200a16100", id="keys out of order"),
        pytest.param("83a161 00a16200a16100".replace(" ", ""), id="a key twice, apart"),
        pytest.param("810100", id="an integer key"),
        pytest.param("81c4016100", id="a binary key"),
        pytest.param("81c200", id="a boolean key"),
        pytest.param("8191a16100", id="an array key"),
        pytest.param("818000", id="a map key"),
        pytest.param("81c000", id="a nil key"),
        pytest.param("a1ff", id="a string that is not UTF-8"),
        pytest.param("a3eda080", id="a surrogate"),
        pytest.param("a2c080", id="an overlong NUL"),
        pytest.param("0000", id="two values"),
        pytest.param("00c1", id="junk after the value"),
        pytest.param("92", id="an array cut short"),
        pytest.param("81a161", id="a map cut short"),
        pytest.param("a261", id="a string cut short"),
        pytest.param("cd00", id="an integer cut short"),
    ],
)
def test_what_is_not_canonical_is_refused(raw: str) -> None:
    with pytest.raises(FormatError):
        unpack(bytes.fromhex(raw))


@given(st.binary(max_size=48))
def test_any_bytes_are_refused_or_are_what_would_be_written(raw: bytes) -> None:
    try:
        value = unpack(raw)
    except FormatError:
        return
    assert pack(value) == raw


@given(VALUES.filter(lambda value: depth(value) <= MAX_DEPTH), st.data())
def test_any_part_of_a_value_is_refused(value: Value, data: st.DataObject) -> None:
    raw = pack(value)
    end = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(FormatError):
        unpack(raw[:end])


BOMBS = {
    "an array of 4 thousand million": b"\xdd\xff\xff\xff\xff",
    "an array one longer than allowed": b"\xdc\x10\x01" + bytes(4097),
    "a map of 4 thousand million": b"\xdf\xff\xff\xff\xff",
    "a map one longer than allowed": b"\xde\x01\x01" + b"\xa1a\x00" * 257,
    "a string of 4 GiB": b"\xdb\xff\xff\xff\xff",
    "binary of 4 GiB": b"\xc6\xff\xff\xff\xff",
    "an extension of 4 GiB": b"\xc9\xff\xff\xff\xff\x01",
    "a hundred thousand arrays in each other": b"\x91" * 100_000,
    "long arrays in each other": b"\xdc\x10\x00" * 20_000,
    "long maps in each other": b"\xde\x01\x00\xa1a" * 10_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_bounded_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            unpack(BOMBS[name])
        with pytest.raises(FormatError):
            list(unpack_sequence(io.BytesIO(BOMBS[name]), max_value=2**20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 * 2**20


# --- prefixes and sequences -------------------------------------------------------------------


@given(VALUES.filter(lambda value: depth(value) <= MAX_DEPTH), st.binary(max_size=20))
def test_a_prefix_is_read_whatever_follows(value: Value, rest: bytes) -> None:
    raw = pack(value)
    assert unpack_prefix(raw + rest) == (value, len(raw))


def test_a_prefix_is_as_strict_as_a_whole() -> None:
    for raw in (b"", b"\xcc\x01\x00", b"\x92\x00", b"\xc0\x00"):
        with pytest.raises(FormatError):
            unpack_prefix(raw)


class Dribble:
    """A source that gives ``count`` bytes at a time."""

    def __init__(self, data: bytes, count: int) -> None:
        self._file = io.BytesIO(data)
        self._count = count

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._count))


def sequence(raw: bytes, count: int, max_value: int = 1000) -> Iterator[tuple[Value, bytes]]:
    return unpack_sequence(Dribble(raw, count), max_value=max_value)


@pytest.mark.parametrize("count", [1, 2, 7, 70_000])
def test_a_sequence_comes_out_the_same_however_it_is_read(count: int) -> None:
    values: list[Value] = [{"a": (1, b"x" * 300)}, "é", 0, (), {"b": False}, b"", ("z" * 40,)] * 3
    raws = [pack(value) for value in values]
    assert list(sequence(b"".join(raws), count)) == list(zip(values, raws, strict=True))


def test_a_sequence_longer_than_one_read_comes_out_whole() -> None:
    values = [(n, bytes(900)) for n in range(500)]
    raw = b"".join(pack(value) for value in values)
    assert [value for value, _ in sequence(raw, 10**6)] == values


def test_an_empty_sequence_has_no_value() -> None:
    assert list(sequence(b"", 1)) == []


@pytest.mark.parametrize("count", [1, 3, 70_000])
def test_a_sequence_that_is_cut_short_is_refused_at_its_end(count: int) -> None:
    found = sequence(pack(1) + pack("abc")[:-1], count)
    assert next(found) == (1, b"\x01")
    with pytest.raises(FormatError, match="cut short"):
        next(found)


@pytest.mark.parametrize("count", [1, 70_000])
def test_a_value_in_a_sequence_that_is_not_canonical_is_refused(count: int) -> None:
    found = sequence(b"\x01\xcc\x01", count)
    assert next(found)[0] == 1
    with pytest.raises(FormatError, match="not canonical"):
        next(found)


@pytest.mark.parametrize("count", [1, 10, 70_000])
def test_the_longest_value_is_the_same_however_a_sequence_is_read(count: int) -> None:
    exact = pack(b"x" * 98)
    assert len(exact) == 100
    assert len(list(sequence(exact * 3, count, max_value=100))) == 3
    with pytest.raises(FormatError, match="longer than allowed"):
        list(sequence(exact + pack(b"x" * 99) + exact, count, max_value=100))
    with pytest.raises(FormatError, match="longer than allowed"):
        list(sequence(pack(b"x" * 50_000), count, max_value=100))


def test_many_small_values_take_time_in_proportion() -> None:
    # 200,000 values in reads of 64 KiB: quadratic work in each read would take minutes.
    assert sum(1 for _ in sequence(b"\x01" * 200_000, 65_536)) == 200_000


# --- Padmé ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "padded"),
    [
        *((n, n) for n in range(9)),
        (9, 10),
        (10, 10),
        (17, 18),
        (33, 36),
        (65, 72),
        (100, 104),
        (129, 144),
        (1000, 1024),
        (1024, 1024),
        (1025, 1088),
        (16 * 2**20, 16 * 2**20),
        (10**9, 1006632960),
        (2**40 + 1, 2**40 + 2**34),
    ],
)
def test_padme_has_its_known_values(size: int, padded: int) -> None:
    assert padme(size) == padded


def test_padme_grows_by_at_most_12_percent_and_never_falls() -> None:
    before = 0
    for size in range(1, 20_000):
        padded = padme(size)
        assert size <= padded <= size * 1.12
        assert padded >= before
        assert padme(padded) == padded
        before = padded


@given(st.integers(1, 2**62))
def test_padme_holds_for_large_sizes(size: int) -> None:
    padded = padme(size)
    assert size <= padded
    assert (padded - size) * 100 <= 12 * size
    assert padme(padded) == padded
    assert padme(size + 1) >= padded


def test_padme_leaves_few_sizes() -> None:
    assert len({padme(size) for size in range(2**16 + 1, 2**17 + 1)}) == 32


def test_a_double_that_is_whole_is_still_no_integer() -> None:
    assert struct.unpack(">d", bytes.fromhex("3ff0000000000000")) == (1.0,)
    with pytest.raises(FormatError, match="float"):
        unpack(bytes.fromhex("cb3ff0000000000000"))
