"""The table of event types, and the kinds of values that it names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.formats.samples import RIGHT, TYPES, WRONG, right, wrong
from vault.codec import pack, unpack
from vault.errors import FormatError
from vault.event import (
    COMMON_FIELDS,
    EVENT_TYPES,
    FURTHER_FIELD,
    ITEM_FIELDS,
    EventType,
    Kind,
    kinds,
    types,
)

KINDS = {name: kind for name, kind in vars(kinds).items() if isinstance(kind, Kind)}
USED = {
    key.kind.about: key.kind
    for keys in (*(t.data for t in TYPES), *(t.fields for t in TYPES), ITEM_FIELDS)
    for key in keys
}

ANY = "custodian owner reader"

# docs/spec.md, "Custody rules": who may write what.
WRITERS = {
    "vault.created": "owner",
    "vault.noted": ANY,
    "vault.policy": "owner",
    "vault.rekeyed": "reader",
    "vault.upgraded": "owner",
    "member.admitted": "owner",
    "member.removed": "owner",
    "epoch.opened": "owner",
    "epoch.shredded": "owner",
    "history.granted": "reader",
    "bundle.sealed": "custodian",
    "bundle.opened": "custodian reader",
    "bundle.noted": "custodian reader",
    "bundle.checked": "custodian reader",
    "bundle.disclosed": "custodian",
    "bundle.destroyed": "custodian",
    "destruction.requested": "custodian",
    "destruction.approved": "custodian owner",
    "custody.released": "custodian",
    "custody.accepted": ANY,
    "custody.declined": ANY,
    "custody.recalled": "custodian",
    "custody.receipted": "custodian",
    "custody.assumed": "owner",
    "custody.interrupted": "custodian",
    "hold.placed": "custodian",
    "hold.lifted": "custodian",
    "consent.recorded": "custodian",
    "checkpoint.attested": "custodian",
    "recovery.drilled": ANY,
}

SEALING = """
    title description case exhibit language sensitivity collector.name collector.role place
    captured_at obtained_at obtained_from obtained_how source location_of_original generation
    edited device.make device.model device.serial device.imei device.identifiers
    device.owned_by device.operated_by device.working_properly method tool.name tool.version
    authority.type authority.number capture.url capture.time capture.collector_address
    capture.persona testimony.witness testimony.interviewer testimony.interpreter
    testimony.persons_present testimony.start testimony.end testimony.language
    testimony.read_back testimony.signed testimony.earlier_accounts consent.status
    consent.scope consent.recipients consent.anonymity consent.how_given consent.by_whom
    limitations occurred_at recorded_late_because clock_check.reference clock_check.reading
    clock_check.difference software.name software.version software.system
"""


def test_the_table_has_the_types_of_the_specification_and_their_writers() -> None:
    assert {name: " ".join(schema.writers) for name, schema in EVENT_TYPES.items()} == WRITERS
    assert all(name == schema.name for name, schema in EVENT_TYPES.items())


def test_the_table_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        EVENT_TYPES["vault.forked"] = TYPES[0]  # type: ignore[index]


@pytest.mark.parametrize("schema", TYPES, ids=lambda t: t.name)
def test_a_type_is_well_formed(schema: EventType) -> None:
    data, fields = [key.name for key in schema.data], list(schema.field_names)
    assert len(set(data)) == len(data)
    assert len(set(fields)) == len(fields)
    assert schema.fields[-len(COMMON_FIELDS) :] == COMMON_FIELDS
    assert not any(key.required for key in schema.fields)
    assert schema.writers == tuple(sorted(schema.writers))
    group = schema.name.split(".")[0]
    assert schema.about_bundle == (group in ("bundle", "destruction", "custody", "hold", "consent"))


def test_the_fields_that_a_case_file_needs_are_those_of_a_sealing() -> None:
    assert set(EVENT_TYPES["bundle.sealed"].field_names) >= set(SEALING.split())


@pytest.mark.parametrize("type_name", ["custody.released", "custody.accepted"])
def test_both_sides_of_a_handover_state_the_same(type_name: str) -> None:
    names = set(EVENT_TYPES[type_name].field_names)
    assert names >= {"place", "condition", "purpose", "carrier", "medium", "seal_number"}


def test_names_titles_and_reasons_are_never_public() -> None:
    public = {key.name for t in TYPES for key in t.data}
    assert not public & {"name", "title", "text", "place", "purpose", "reason", "cause", "detail"}
    assert not any(
        key.kind in (kinds.TEXT, kinds.TEXTS, kinds.TIME, kinds.FILE_NAME)
        for t in TYPES
        for key in t.data
    )


# --- kinds ------------------------------------------------------------------------------------


def test_every_kind_is_used_by_the_table() -> None:
    assert set(KINDS.values()) <= set(USED.values())
    assert RIGHT.keys() == WRONG.keys() == set(KINDS.values())


@pytest.mark.parametrize("kind", USED.values(), ids=USED)
def test_a_kind_accepts_its_values_and_nothing_else(kind: Kind) -> None:
    for value in right(kind):
        assert unpack(pack(value)) == value
        kind.check("name", value)
    for value in wrong(kind):
        with pytest.raises(FormatError) as caught:
            kind.check("some.name", value)
        assert caught.value.what == "some.name"
        assert kind.about in caught.value.why


@pytest.mark.parametrize(
    "kind", [k for k in USED.values() if k not in RIGHT], ids=lambda k: k.about
)
def test_a_choice_is_one_of_its_texts(kind: Kind) -> None:
    choices = right(kind)
    assert len(choices) >= 2
    assert list(choices) == sorted(choices, key=str) or "stage" not in kind.about
    for choice in choices:
        assert not kind.accepts(f"{choice} ")
        assert not kind.accepts(choice.encode())  # type: ignore[union-attr]


def test_what_the_table_accepts_does_not_depend_on_the_version_of_python() -> None:
    source = ast.parse(Path(kinds.__file__).read_text())
    names = {node.attr for node in ast.walk(source) if isinstance(node, ast.Attribute)}
    assert not names & {"fromisoformat", "isprintable", "isdigit", "isalpha", "strptime"}


def test_a_further_field_is_a_text_or_texts() -> None:
    assert FURTHER_FIELD == (kinds.TEXT, kinds.TEXTS)


def test_what_is_exported_is_there() -> None:
    for module in (kinds, types):
        assert all(hasattr(module, name) for name in module.__all__)
    assert set(KINDS) <= set(kinds.__all__)
