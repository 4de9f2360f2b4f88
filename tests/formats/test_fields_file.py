"""The plaintext of a fields file: padded, bound to its event, checked to the last byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.formats.samples import ME, OTHER, TYPES, full, minimal, right, wrong
from vault.codec import Packable, pack, padme
from vault.commitment import Field, commit_fields, format_fields, values_of
from vault.errors import FormatError
from vault.event import (
    EVENT_TYPES,
    MAX_FIELDS_FILE,
    EventType,
    FieldsHeader,
    format_fields_file,
    parse_fields_file,
)

SCHEMA = EVENT_TYPES["bundle.noted"]
HEADER = FieldsHeader(ME.ed25519, "bundle.noted", b"\x11" * 32, b"\x33" * 16)


def salts(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


def fields_of(schema: EventType, values: dict[str, Any]) -> tuple[Field, ...]:
    return commit_fields(schema.field_names, values, salts)


NOTE = fields_of(SCHEMA, {"text": "A note.", "further": ("x", "y")})
PLAIN = format_fields_file(HEADER, NOTE)
SIZE = len(pack((HEADER.to_value(), format_fields(NOTE))))


def padded(value: Packable) -> bytes:
    raw = pack(value)
    return raw.ljust(max(4096, padme(len(raw))), b"\x00")


@pytest.mark.parametrize("schema", TYPES, ids=lambda t: t.name)
def test_the_fields_of_every_type_survive_the_round_trip(schema: EventType) -> None:
    values = {key.name: right(key.kind)[0] for key in schema.fields}
    for event in (minimal(schema), full(schema)):
        header = FieldsHeader.of(event)
        for given in ({}, values, {**values, "unit": "4th", "witness list": ("a",)}):
            fields = fields_of(schema, given)
            found = parse_fields_file(format_fields_file(header, fields), header)
            assert found == fields
            assert values_of(found) == given


@pytest.mark.parametrize("schema", TYPES, ids=lambda t: t.name)
def test_every_field_has_its_kind(schema: EventType) -> None:
    header = FieldsHeader.of(minimal(schema))
    for key in schema.fields:
        for value in wrong(key.kind):
            if value == () or value in ("x" * 65537, b"\xff" * 65537):
                continue  # absent; and the long ones once, below
            fields = tuple(
                Field(one.name, one.salt, value) if one.name == key.name else one
                for one in fields_of(schema, {})
            )
            with pytest.raises(FormatError, match=key.name):
                parse_fields_file(format_fields_file(header, fields), header)


def test_a_text_that_is_too_long_is_refused() -> None:
    fields = fields_of(SCHEMA, {"text": "x" * 65537})
    with pytest.raises(FormatError, match="text"):
        parse_fields_file(format_fields_file(HEADER, fields), HEADER)


def test_a_small_file_has_4096_bytes_and_a_large_one_a_padme_length() -> None:
    assert len(PLAIN) == 4096
    for size in (1, 3000, 5000, 60_000):
        plain = format_fields_file(HEADER, fields_of(SCHEMA, {"text": "x" * size}))
        assert len(plain) == max(4096, padme(len(plain.rstrip(b"\x00"))))
        assert values_of(parse_fields_file(plain, HEADER)) == {"text": "x" * size}
    whole = {
        len(format_fields_file(HEADER, fields_of(SCHEMA, {"text": "x" * n}))) for n in range(1, 900)
    }
    assert whole == {4096}


def test_every_changed_byte_of_the_padding_is_refused() -> None:
    for place in range(SIZE, len(PLAIN)):
        changed = bytearray(PLAIN)
        changed[place] = 1
        with pytest.raises(FormatError):
            parse_fields_file(bytes(changed), HEADER)


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE, SIZE + 1, 4095, 4097, 8192])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        parse_fields_file(PLAIN[:size].ljust(size, b"\x00"), HEADER)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(HEADER, actor=OTHER.ed25519), id="of another actor"),
        pytest.param(replace(HEADER, type="bundle.opened"), id="of another type"),
        pytest.param(replace(HEADER, vault=b"\x12" * 32), id="of another vault"),
        pytest.param(replace(HEADER, vault=None), id="of genesis"),
        pytest.param(replace(HEADER, bundle=b"\x34" * 16), id="of another bundle"),
        pytest.param(replace(HEADER, bundle=None), id="of no bundle"),
        pytest.param(
            replace(HEADER, vault=HEADER.bundle, bundle=HEADER.vault), id="of both exchanged"
        ),
    ],
)
def test_fields_moved_to_another_event_are_refused(other: FieldsHeader) -> None:
    schema = EVENT_TYPES[other.type]
    plain = format_fields_file(other, fields_of(schema, {}))
    assert parse_fields_file(plain, other)
    with pytest.raises(FormatError, match="another event"):
        parse_fields_file(plain, HEADER)


def test_the_header_has_only_what_the_event_has() -> None:
    genesis = FieldsHeader.of(minimal(EVENT_TYPES["vault.created"]))
    assert genesis.to_value() == {"actor": ME.ed25519, "type": "vault.created"}
    sealing = FieldsHeader.of(minimal(EVENT_TYPES["bundle.sealed"]))
    assert sealing.to_value() == {
        "actor": ME.ed25519,
        "bundle": b"\x33" * 16,
        "type": "bundle.sealed",
        "vault": b"\x11" * 32,
    }


GOOD = (HEADER.to_value(), format_fields(NOTE))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(GOOD[0], id="the header alone"),
        pytest.param(GOOD[:1], id="no fields"),
        pytest.param((*GOOD, ()), id="one more"),
        pytest.param((GOOD[1], GOOD[0]), id="exchanged"),
        pytest.param(({**GOOD[0], "x": 1}, GOOD[1]), id="a key more in the header"),
        pytest.param((GOOD[0], {}), id="fields as a map"),
        pytest.param((GOOD[0], GOOD[1][1:]), id="a field missing"),
        pytest.param((GOOD[0], GOOD[1][::-1]), id="fields in another order"),
        pytest.param((GOOD[0], (*GOOD[1], ("z", bytes(16), 1))), id="a further field of a number"),
        pytest.param("fields", id="text"),
    ],
)
def test_a_plaintext_in_another_form_is_refused(value: Packable) -> None:
    assert parse_fields_file(padded(GOOD), HEADER) == NOTE
    with pytest.raises(FormatError):
        parse_fields_file(padded(value), HEADER)


def test_a_plaintext_that_is_not_canonical_is_refused() -> None:
    longer = b"\xdc\x00\x02" + PLAIN[1:SIZE]
    with pytest.raises(FormatError):
        parse_fields_file(longer.ljust(4096, b"\x00"), HEADER)


def test_fields_that_could_not_be_read_back_are_not_written() -> None:
    for count, fits in ((4096, True), (4097, False)):
        further = {f"f{n:04}": "x" for n in range(count - len(SCHEMA.fields))}
        fields = fields_of(SCHEMA, further)
        assert len(fields) == count
        if fits:
            assert parse_fields_file(format_fields_file(HEADER, fields), HEADER) == fields
        else:
            with pytest.raises(ValueError, match="more than 4096"):
                format_fields_file(HEADER, fields)
    with pytest.raises(ValueError, match="more than 4096"):
        format_fields_file(HEADER, fields_of(SCHEMA, {"list": ("x",) * 4097}))


def test_a_file_of_fields_has_at_most_16_mib() -> None:
    text = "x" * 65536
    fits = fields_of(SCHEMA, {f"f{n:03}": text for n in range(255)})
    assert len(format_fields_file(HEADER, fits)) <= MAX_FIELDS_FILE + MAX_FIELDS_FILE // 8
    with pytest.raises(ValueError, match="at most 16777216"):
        format_fields_file(HEADER, fields_of(SCHEMA, {f"f{n:03}": text for n in range(257)}))
