"""Access records: signed by their actor, one form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vault.access import ACCESS_ORIGIN, AccessRecord, check_access_record, format_access_record
from vault.errors import FormatError, SignatureError
from vault.identity import Identity
from vault.tlog import note

ME, OTHER = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
RECORD = AccessRecord(
    actor=ME.ed25519,
    vault=b"\x11" * 32,
    size=7,
    root=b"\x22" * 32,
    bundle=b"\x33" * 16,
    items=(0, 3),
    time=1772355600,
    purpose="Hearing of 4 May, عدالت",
)
RAW = format_access_record(RECORD, ME)


@pytest.mark.parametrize("items", [(), (0,), (0, 3, 99_999)])
def test_a_record_survives_the_round_trip(items: tuple[int, ...]) -> None:
    record = replace(RECORD, items=items)
    assert check_access_record(format_access_record(record, ME)) == record


def test_a_record_has_nine_lines_that_people_can_read() -> None:
    assert note.parse_note(RAW).text.splitlines() == [
        "evidence-vault/access/v1",
        f"actor {ME.ed25519.hex()}",
        f"vault {'11' * 32}",
        "size 7",
        "root IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=",
        f"bundle {'33' * 16}",
        "items 0 3",
        "time 1772355600",
        "purpose Hearing of 4 May, عدالت",
    ]


@pytest.mark.parametrize("use", ["", "trial"])
@pytest.mark.parametrize("authority", ["", "Court order 12"])
def test_use_and_authority_have_a_line_if_they_were_stated(use: str, authority: str) -> None:
    record = replace(RECORD, use=use, authority=authority)
    raw = format_access_record(record, ME)
    assert check_access_record(raw) == record
    lines = note.parse_note(raw).text.splitlines()
    assert lines[9:] == [f"use {use}"] * bool(use) + [f"authority {authority}"] * bool(authority)


@pytest.mark.parametrize("name", ["use", "authority"])
def test_a_use_or_authority_that_is_no_line_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="line of text"):
        format_access_record(replace(RECORD, **{name: "a\nb"}), ME)


@pytest.mark.parametrize(
    "further",
    [
        "use \n",
        "authority \n",
        "authority x\nuse y\n",
        "use x\nuse y\n",
        "other x\n",
        "use x\n" * 3,
    ],
)
def test_further_lines_have_one_form(further: str) -> None:
    with pytest.raises(FormatError):
        check_access_record(signed(text_of(RAW) + further))


def test_only_the_actor_signs() -> None:
    with pytest.raises(ValueError, match="actor"):
        format_access_record(RECORD, OTHER)


@pytest.mark.parametrize("purpose", ["", "a\nb", "a\x00", "\u202ea", "a\u2028b", "\ud800"])
def test_a_purpose_that_is_no_line_is_neither_written_nor_read(purpose: str) -> None:
    record = replace(RECORD, purpose=purpose)
    with pytest.raises(ValueError, match="line of text"):
        format_access_record(record, ME)
    if purpose not in ("a\x00", "\ud800"):  # no note holds those
        with pytest.raises(FormatError):
            check_access_record(signed(text_of(RAW).replace(RECORD.purpose, purpose)))


def test_every_single_byte_change_is_refused() -> None:
    for place in range(len(RAW)):
        for change in (1, 32, 128):
            changed = bytearray(RAW)
            changed[place] ^= change
            with pytest.raises((FormatError, SignatureError)):
                check_access_record(bytes(changed))


def text_of(raw: bytes) -> str:
    return note.parse_note(raw).text


def signed(text: str, identity: Identity = ME, lines: int = 1) -> bytes:
    key_id = note.key_id(ACCESS_ORIGIN, note.ED25519, identity.ed25519)
    signature = note.Signature(ACCESS_ORIGIN, key_id, identity.sign_ed25519(text.encode()))
    return note.format_note(note.Note(text, (signature,) * lines))


TEXT = text_of(RAW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT.replace("v1", "v2"), id="another version"),
        pytest.param(TEXT.replace("size 7", "size 07"), id="a leading zero"),
        pytest.param(TEXT.replace("size 7", "size +7"), id="a sign"),
        pytest.param(TEXT.replace("size 7", "size  7"), id="two spaces"),
        pytest.param(TEXT.replace("size 7", "Size 7"), id="another label"),
        pytest.param(TEXT.replace("items 0 3", "items 0  3"), id="two spaces between items"),
        pytest.param(TEXT.replace("items 0 3", "items"), id="no items at all"),
        pytest.param(TEXT.replace("items 0 3", "items 0 -"), id="an item that is none"),
        pytest.param(TEXT.replace("33" * 16, "33" * 15), id="a bundle too short"),
        pytest.param(TEXT.replace("33" * 16, "3A" * 16), id="upper case"),
        pytest.param(TEXT.replace("11" * 32, "11" * 31), id="a vault too short"),
        pytest.param(TEXT.replace("IiIiIiIi", "", 1), id="a root too short"),
        pytest.param(TEXT.replace("iI=", "iJ="), id="trailing bits in the root"),
        pytest.param(TEXT + "more x\n", id="a line more"),
        pytest.param(TEXT.split("time")[0], id="lines missing"),
    ],
)
def test_a_record_in_another_form_is_refused_even_if_signed(text: str) -> None:
    assert check_access_record(signed(TEXT)) == RECORD
    assert text != TEXT
    with pytest.raises(FormatError):
        check_access_record(signed(text))


def test_a_record_signed_by_another_or_twice_is_refused() -> None:
    for raw in (signed(TEXT, OTHER), signed(TEXT, lines=2)):
        with pytest.raises(SignatureError, match="by its actor"):
            check_access_record(raw)
