"""base64, decimal, hexadecimal, Bech32, lines: only what the formatter writes is read."""

from __future__ import annotations

import base64
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import codec
from vault.errors import FormatError

# --- base64 -----------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_base64_survives_the_round_trip(data: bytes) -> None:
    assert codec.parse_base64(codec.format_base64(data)) == data
    assert codec.parse_base64_raw(codec.format_base64_raw(data)) == data
    assert "=" not in codec.format_base64_raw(data)


@pytest.mark.parametrize(
    ("plain", "text"),
    [(b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xfb\xff", "+/8=")],
)
def test_base64_is_that_of_rfc_4648(plain: bytes, text: str) -> None:
    assert codec.format_base64(plain) == text
    assert codec.parse_base64(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Zh==", id="trailing bits of one byte"),
        pytest.param("Zm9=", id="trailing bits of two bytes"),
        pytest.param("Zg", id="no padding"),
        pytest.param("Zg=", id="half the padding"),
        pytest.param("Zg===", id="padding too long"),
        pytest.param("=", id="padding alone"),
        pytest.param("Zg==Zg==", id="padding in the middle"),
        pytest.param("Zm9v\n", id="newline"),
        pytest.param("Zm 9v", id="space"),
        pytest.param("-_8=", id="the URL alphabet"),
        pytest.param("Zm9\u0076\u0301", id="accent"),
        pytest.param("\uff3am9v", id="full width letter"),
        pytest.param("\ud800m9v", id="surrogate"),
        pytest.param("Zm9v\x00", id="NUL"),
        pytest.param("A", id="six bits"),
    ],
)
def test_base64_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        codec.parse_base64(text)


@pytest.mark.parametrize("text", ["Zg==", "Zh", "Zm9", "A", "Zm9v=", "=", "Zg\n", "Z g"])
def test_unpadded_base64_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        codec.parse_base64_raw(text)


def test_of_all_texts_of_four_characters_only_one_is_read_for_each_byte() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    read = []
    for one in alphabet:
        for two in alphabet:
            try:
                read.append(codec.parse_base64(f"{one}{two}=="))
            except FormatError:
                continue
    assert sorted(read) == [bytes((n,)) for n in range(256)]


@given(st.text(alphabet=st.sampled_from("AZaz09+/=- \n"), max_size=12))
def test_base64_that_is_read_is_what_would_be_written(text: str) -> None:
    try:
        data = codec.parse_base64(text)
    except FormatError:
        return
    assert base64.b64encode(data).decode() == text


# --- decimal ----------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1))
def test_decimal_survives_the_round_trip(number: int) -> None:
    assert codec.parse_decimal(codec.format_decimal(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "+1", "-1", "-0", "00", "01", "1_0", "+1_0", " 1", "1 ", "1\n", "1.0", "1e3", "0x1"),
        *("\u0661", "\u0660", "1\u0660", "\uff11", "\u00b2", "\u2460", "\ud800", "\x001"),
    ],
)
def test_a_number_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        codec.parse_decimal(text)


def test_a_number_above_its_maximum_is_refused() -> None:
    assert codec.parse_decimal(str(2**63 - 1)) == 2**63 - 1
    assert codec.parse_decimal("5", maximum=5) == 5
    for text, maximum in ((str(2**63), 2**63 - 1), ("6", 5), ("9" * 20, 2**63 - 1)):
        with pytest.raises(FormatError, match="too large"):
            codec.parse_decimal(text, maximum=maximum)


def test_a_number_of_a_million_digits_is_refused_without_converting_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec, "int", None, raising=False)
    with pytest.raises(FormatError):
        codec.parse_decimal("9" * 10**6)


def test_a_negative_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        codec.format_decimal(-1)


# --- hexadecimal ------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_hexadecimal_survives_the_round_trip(data: bytes) -> None:
    assert codec.parse_hex(codec.format_hex(data)) == data
    assert codec.parse_hex(codec.format_hex(data), size=len(data)) == data


@pytest.mark.parametrize(
    "text",
    ["0", "abc", "AB", "aB", "0g", "ab cd", " ab", "ab\n", "0x12", "\uff41\uff42", "\u0661\u0661"],
)
def test_hexadecimal_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        codec.parse_hex(text)


@pytest.mark.parametrize("text", ["", "ab", "ababab"])
def test_hexadecimal_of_another_size_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="not 2 bytes"):
        codec.parse_hex(text, size=2)


# --- Bech32 -----------------------------------------------------------------------------------

# The valid strings of BIP 173 whose data is whole bytes with sound padding, and others.
BIP_173 = [
    ("A12UEL5L", "a", ""),
    (
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
        "",
    ),
    (
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "abcdef",
        "00443214c74254b635cf84653a56d7c675be77df",
    ),
    (
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        "split",
        "c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d",
    ),
]


@pytest.mark.parametrize(("text", "hrp", "data"), BIP_173)
def test_bech32_reads_the_examples_of_bip_173(text: str, hrp: str, data: str) -> None:
    assert codec.parse_bech32(text) == (hrp, bytes.fromhex(data))
    assert codec.format_bech32(hrp, bytes.fromhex(data)) == text.lower()


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.binary())
def test_bech32_survives_the_round_trip_in_both_cases(hrp: str, data: bytes) -> None:
    text = codec.format_bech32(hrp.lower(), data)
    assert codec.parse_bech32(text) == (hrp.lower(), data)
    assert codec.parse_bech32(text.upper()) == (hrp.lower(), data)


def test_bech32_has_no_limit_of_90_characters() -> None:
    text = codec.format_bech32("age1pq", bytes(range(256)) * 5)
    assert len(text) > 2000
    assert codec.parse_bech32(text) == ("age1pq", bytes(range(256)) * 5)


TEXT = codec.format_bech32("age", b"\x01\x02\x03\x04")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("1", id="separator alone"),
        pytest.param("age", id="no separator"),
        pytest.param("1qzzfhee", id="no human-readable part"),
        pytest.param("age1qqqqq", id="checksum too short"),
        pytest.param(TEXT[:3].upper() + TEXT[3:], id="mixed case, first part"),
        pytest.param(TEXT[:4] + TEXT[4:].upper(), id="mixed case, last part"),
        pytest.param(TEXT + " ", id="space"),
        pytest.param(TEXT + "\n", id="newline"),
        pytest.param(TEXT + "\x7f", id="DEL"),
        pytest.param("\u0131" + TEXT, id="a letter whose upper case is ASCII"),
        pytest.param(TEXT[:5] + "b" + TEXT[6:], id="a letter outside the alphabet"),
        pytest.param("\x20" + TEXT, id="space in front"),
    ],
)
def test_bech32_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        codec.parse_bech32(text)


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_bech32_with_any_letter_changed_is_refused(place: int) -> None:
    for letter in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio":
        if letter != TEXT[place]:
            with pytest.raises(FormatError):
                codec.parse_bech32(TEXT[:place] + letter + TEXT[place + 1 :])


def bech32_of(values: list[int]) -> str:
    """A right checksum over any five-bit values, as a lax encoder might write them."""
    checksum = codec._polymod([*codec._expand("age"), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values = values + [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return "age1" + "".join(codec.BECH32_LETTERS[v] for v in values)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0], id="five bits are padding alone"),
        pytest.param([0, 0, 0], id="seven bits of padding"),
        pytest.param([0, 0, 0, 0, 0, 0], id="six bits of padding"),
        pytest.param([0, 1], id="padding that is not zero"),
        pytest.param([31, 31], id="padding of ones"),
    ],
)
def test_bech32_padded_otherwise_is_refused(values: list[int]) -> None:
    with pytest.raises(FormatError, match="padding"):
        codec.parse_bech32(bech32_of(values))


def test_bech32_with_the_padding_of_bip_173_is_read() -> None:
    assert codec.parse_bech32(bech32_of([31, 28])) == ("age", b"\xff")


# --- lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "Ayesha Khan", "عائشہ خان", "می\u200cنا", "नेपाली", "李 明", "a\u00a0b", "👩‍🚒"]
)
def test_names_of_every_script_are_lines(text: str) -> None:
    assert codec.is_line(text)


@pytest.mark.parametrize(
    "character",
    [chr(n) for n in (*range(32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F)]
    + [chr(n) for n in (*range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0xD800, 0xDFFF)],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_controls_separators_and_bidirectional_characters_are_in_no_line(character: str) -> None:
    assert not codec.is_line(character)
    assert not codec.is_line(f"a{character}b")


def test_what_a_line_is_does_not_follow_pythons_unicode_tables() -> None:
    assert codec.is_line("\U0003ffff\u0378\ue000")


# --- normal form ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 1024, 1025, 5000])
def test_text_that_somebody_wrote_is_put_into_normal_form_c(length: int) -> None:
    text = "Cafe\u0301 de l'E\u0301toile, \u05e9\u05b8\u05c1, \u1112\u1161\u11ab "
    text *= -(-length // len(text))
    assert codec.nfc(text) == unicodedata.normalize("NFC", text)


def test_a_long_text_with_thirty_marks_on_a_letter_is_put_into_normal_form_and_one_more_not() -> (
    None
):
    start = "e\u0301" * 1000 + "a"
    marks = ("\u0315\u0300" * 16)[:30]
    assert codec.nfc(start + marks) == unicodedata.normalize("NFC", start + marks)
    assert codec.nfc(f"{start}{marks}\u0300") == f"{start}{marks}\u0300"


def test_marks_without_end_are_not_put_into_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python would take six seconds for it, and four times as long for twice as many.
    monkeypatch.setattr(codec, "unicodedata", SimpleNamespace(combining=unicodedata.combining))
    text = "a" + "\u0315" * 32_767 + "\u0300" * 32_767
    assert codec.nfc(text) == text
