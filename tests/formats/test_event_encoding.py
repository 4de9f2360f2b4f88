"""The wire form of events: one form for each, and any other is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.formats.samples import (
    KEYS,
    ME,
    OTHER,
    TYPES,
    full,
    leaf_of,
    minimal,
    sign,
    signed,
    wrong,
)
from vault.codec import Value, pack, unpack
from vault.errors import FormatError, SignatureError, UnsupportedVersionError
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    MAX_EVENT,
    MAX_PARTS,
    MAX_READERS,
    Event,
    EventType,
    SealedFile,
    check_event_signature,
    check_values,
    format_body,
    format_event,
    parse_event,
)
from vault.tlog import merkle

every_type = pytest.mark.parametrize("schema", TYPES, ids=lambda t: t.name)
Body = dict[str, Any]


def body_of(event: Event) -> Body:
    body = unpack(format_body(event))
    assert isinstance(body, dict)
    return body


# --- round trips ------------------------------------------------------------------------------


@every_type
def test_an_event_survives_the_round_trip_with_the_least_and_with_everything(
    schema: EventType,
) -> None:
    for made in (minimal(schema), full(schema)):
        read = signed(made)
        assert read == replace(made, body=read.body, sig=read.sig, leaf=read.leaf)
        assert format_body(read) == read.body
        assert format_event(read.body, read.sig) == read.leaf
        assert read.schema is schema
        assert read.leaf_hash == merkle.leaf_hash(read.leaf)
        check_event_signature(read)


@every_type
def test_every_optional_value_may_be_there_alone(schema: EventType) -> None:
    most = full(schema)
    for key in schema.data:
        if not key.required:
            data = {**minimal(schema).data, key.name: most.data[key.name]}
            assert signed(replace(minimal(schema), data=data)).data == data


def test_the_last_number_and_the_last_second_are_read() -> None:
    event = replace(minimal(EVENT_TYPES["vault.noted"]), seq=2**53 - 1, time=253402300799)
    assert (signed(event).seq, signed(event).time) == (event.seq, event.time)


def test_the_signature_is_over_the_label_and_the_body() -> None:
    event = signed(minimal(EVENT_TYPES["vault.noted"]))
    assert EVENT_LABEL == b"evidence-vault/event/v1\x00"
    assert event.sig == ME.sign_ed25519(EVENT_LABEL + event.body)
    assert event.leaf == pack({"body": event.body, "sig": event.sig})
    for other in (
        replace(event, actor=OTHER.ed25519),
        replace(event, body=event.body + b"\x00"),
        replace(event, sig=ME.sign_ed25519(event.body)),
        replace(event, sig=OTHER.sign_ed25519(EVENT_LABEL + event.body)),
    ):
        with pytest.raises(SignatureError):
            check_event_signature(other)


def test_the_body_does_not_show_in_the_text_form_of_an_event() -> None:
    event = signed(minimal(EVENT_TYPES["vault.noted"]))
    assert "body=" not in repr(event)
    assert "leaf=" not in repr(event)


# --- sizes ------------------------------------------------------------------------------------


def test_the_largest_events_of_the_format_fit_in_the_log() -> None:
    for name, data in (
        ("bundle.sealed", {"parts": ((b"\xff" * 32, 2**30),) * MAX_PARTS}),
        (
            "epoch.opened",
            {"readers": tuple(n.to_bytes(32, "big") for n in range(MAX_READERS))},
        ),
    ):
        event = full(EVENT_TYPES[name])
        # A checkpoint is one origin twice, a size, a root, and both signatures in base64.
        closes = bytes(4 * 78 + 4 * (68 + 2432) // 3 + 100)
        grown = signed(replace(event, data={**event.data, **data}, closes=closes))
        assert len(grown.leaf) <= MAX_EVENT


def test_an_event_of_65535_bytes_is_the_longest() -> None:
    event = minimal(EVENT_TYPES["vault.noted"])

    def of_size(size: int) -> bytes:
        spare = size - len(sign(format_body(replace(event, closes=bytes(60_000)))))
        return format_body(replace(event, closes=bytes(60_000 + spare)))

    assert len(parse_event(sign(of_size(MAX_EVENT))).leaf) == MAX_EVENT
    too_long = of_size(MAX_EVENT + 1)
    with pytest.raises(ValueError, match="65536 bytes"):
        sign(too_long)
    with pytest.raises(FormatError, match="longer than"):
        parse_event(pack({"body": too_long, "sig": ME.sign_ed25519(too_long)}))


# --- wrong shapes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(pack("event"), id="text"),
        pytest.param(pack((b"", bytes(64))), id="an array"),
        pytest.param(pack({"body": b""}), id="no signature"),
        pytest.param(pack({"sig": bytes(64)}), id="no body"),
        pytest.param(pack({"body": {}, "sig": bytes(64)}), id="a body that is a map"),
        pytest.param(pack({"body": b"\x80", "sig": "x" * 64}), id="a signature of text"),
        pytest.param(pack({"body": b"\x80", "sig": bytes(64), "x": 1}), id="one key more"),
        pytest.param(pack({"body": b"", "sig": bytes(64)}), id="an empty body"),
        pytest.param(pack({"body": b"\x90", "sig": bytes(64)}), id="a body that is an array"),
        pytest.param(pack({"body": b"\x80", "sig": bytes(64)}), id="a body without keys"),
    ],
)
def test_what_is_no_event_is_refused(leaf: bytes) -> None:
    with pytest.raises(FormatError):
        parse_event(leaf)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_size_is_refused(size: int) -> None:
    body = format_body(minimal(EVENT_TYPES["vault.noted"]))
    with pytest.raises(FormatError, match="64 bytes"):
        parse_event(pack({"body": body, "sig": bytes(size)}))


@every_type
def test_every_required_key_is_required(schema: EventType) -> None:
    body = body_of(minimal(schema))
    for key in body:
        less = {name: value for name, value in body.items() if name != key}
        with pytest.raises(FormatError):
            parse_event(leaf_of(less))


@every_type
def test_no_key_may_be_added(schema: EventType) -> None:
    for body in (body_of(minimal(schema)), body_of(full(schema))):
        with pytest.raises(FormatError, match="keys of an event"):
            parse_event(leaf_of({**body, "note": "x"}))
        with pytest.raises(FormatError, match="does not belong"):
            parse_event(leaf_of({**body, "data": {**body["data"], "note": "x"}}))


@every_type
def test_every_value_of_the_data_has_its_kind(schema: EventType) -> None:
    body = body_of(full(schema))
    for key in schema.data:
        for value in wrong(key.kind):
            with pytest.raises(FormatError) as caught:
                parse_event(leaf_of({**body, "data": {**body["data"], key.name: value}}))
            assert caught.value.what == f"data of {schema.name}: {key.name}"


NOTED = body_of(full(EVENT_TYPES["bundle.noted"]))
GENESIS = body_of(full(EVENT_TYPES["vault.created"]))
SEALED = body_of(full(EVENT_TYPES["bundle.sealed"]))
ADMITTED = body_of(full(EVENT_TYPES["member.admitted"]))
DELETE = object()

WRONG_BODIES: dict[str, tuple[Body, Body]] = {
    "version 0": (NOTED, {"v": 0}),
    "version -1": (NOTED, {"v": -1}),
    "version true": (NOTED, {"v": True}),
    "a version of text": (NOTED, {"v": "1"}),
    "a seq that is negative": (NOTED, {"seq": -1}),
    "a seq beyond 53 bits": (NOTED, {"seq": 2**53}),
    "a seq that is true": (NOTED, {"seq": True}),
    "a seq of text": (NOTED, {"seq": "5"}),
    "a time that is negative": (NOTED, {"time": -1}),
    "a time in the year 10000": (NOTED, {"time": 253402300800}),
    "a time of text": (NOTED, {"time": "2026-03-01"}),
    "a type that is not in the table": (NOTED, {"type": "bundle.forgotten"}),
    "a type of bytes": (NOTED, {"type": b"bundle.noted"}),
    "a type of another case": (NOTED, {"type": "Bundle.noted"}),
    "an actor too short": (NOTED, {"actor": ME.ed25519[:-1]}),
    "an actor of text": (NOTED, {"actor": "x" * 32}),
    "data of an array": (NOTED, {"data": ()}),
    "a vault too short": (NOTED, {"vault": bytes(31)}),
    "a head too long": (NOTED, {"head": bytes(33)}),
    "a head of text": (NOTED, {"head": "x" * 32}),
    "a bundle too short": (NOTED, {"bundle": bytes(15)}),
    "a prev too short": (NOTED, {"prev": bytes(31)}),
    "a root of fields too short": (NOTED, {"fields": bytes(31)}),
    "closes of text": (NOTED, {"closes": "evidence-vault/…"}),
    "sealed of two": (NOTED, {"sealed": (bytes(32), 1)}),
    "sealed with a short digest": (NOTED, {"sealed": (bytes(31), 1, bytes(8))}),
    "sealed with a size that is true": (NOTED, {"sealed": (bytes(32), True, bytes(8))}),
    "sealed with a negative size": (NOTED, {"sealed": (bytes(32), -1, bytes(8))}),
    "sealed with a size beyond 63 bits": (NOTED, {"sealed": (bytes(32), 2**63, bytes(8))}),
    "sealed with a short epoch": (NOTED, {"sealed": (bytes(32), 1, bytes(7))}),
    "sealed as a map": (NOTED, {"sealed": {}}),
    "fields without their file": (NOTED, {"sealed": DELETE}),
    "a file without a root": (NOTED, {"fields": DELETE}),
    "an event at 0 that is not genesis": (NOTED, {"seq": 0}),
    "an event without a vault": (NOTED, {"vault": DELETE}),
    "an event without a head": (NOTED, {"head": DELETE}),
    "an event about a bundle without it": (NOTED, {"bundle": DELETE, "prev": DELETE}),
    "a later event of a bundle without prev": (NOTED, {"prev": DELETE}),
    "a sealing with prev": (SEALED, {"prev": bytes(32)}),
    "an admission about a bundle": (ADMITTED, {"bundle": bytes(16), "prev": bytes(32)}),
    "an admission with prev": (ADMITTED, {"prev": bytes(32)}),
    "genesis that is not first": (GENESIS, {"seq": 1}),
    "genesis in a vault": (GENESIS, {"vault": bytes(32)}),
    "genesis with a head": (GENESIS, {"head": bytes(32)}),
    "genesis that closes": (GENESIS, {"closes": b"x"}),
    "genesis about a bundle": (GENESIS, {"bundle": bytes(16)}),
    "genesis with prev": (GENESIS, {"prev": bytes(32)}),
    "genesis without keys": (GENESIS, {"data": {"nonce": bytes(32)}}),
    "an admission without roles": (ADMITTED, {"data": {"keys": KEYS, "history": True}}),
}


@pytest.mark.parametrize(("body", "change"), WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_an_event_in_another_shape_is_refused(body: Body, change: Body) -> None:
    changed = {k: v for k, v in {**body, **change}.items() if v is not DELETE}
    parse_event(leaf_of(body))
    with pytest.raises(FormatError) as caught:
        parse_event(leaf_of(changed))
    assert type(caught.value) is FormatError


@pytest.mark.parametrize("version", [2, 3, 2**64 - 1])
def test_a_later_versions_event_is_not_called_damaged(version: int) -> None:
    for body in (
        {**NOTED, "v": version},
        {"v": version},
        {"v": version, "type": "custody.teleported", "signature": "elsewhere"},
    ):
        with pytest.raises(UnsupportedVersionError, match=f"version {version}"):
            parse_event(leaf_of(body))


def test_a_body_that_is_not_canonical_is_refused() -> None:
    event = minimal(EVENT_TYPES["vault.noted"])
    body = format_body(event)
    assert body.count(b"\xa3seq\x05") == 1
    for other in (
        body.replace(b"\xa3seq\x05", b"\xa3seq\xcc\x05"),
        body + b"\x00",
        b"\xde\x00" + bytes((body[0] & 15,)) + body[1:],
    ):
        with pytest.raises(FormatError):
            parse_event(sign(other))


def test_every_single_byte_change_of_a_signed_event_is_refused() -> None:
    leaf = signed(minimal(EVENT_TYPES["recovery.drilled"])).leaf
    refused = 0
    for place in range(len(leaf)):
        for change in range(1, 256):
            changed = bytearray(leaf)
            changed[place] ^= change
            try:
                check_event_signature(parse_event(bytes(changed)))
            except (FormatError, SignatureError):
                refused += 1
    assert refused == 255 * len(leaf)


def test_every_flipped_bit_of_an_event_about_a_bundle_is_refused() -> None:
    leaf = signed(full(EVENT_TYPES["custody.accepted"])).leaf
    for bit in (*range(8 * 200), *range(8 * (len(leaf) - 200), 8 * len(leaf))):
        changed = bytearray(leaf)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((FormatError, SignatureError)):
            check_event_signature(parse_event(bytes(changed)))


def test_every_truncation_of_an_event_is_refused() -> None:
    leaf = signed(minimal(EVENT_TYPES["recovery.drilled"])).leaf
    for size in range(len(leaf)):
        with pytest.raises(FormatError):
            parse_event(leaf[:size])


# --- values -----------------------------------------------------------------------------------


def test_a_field_outside_the_schema_is_one_of_the_further_kinds() -> None:
    from vault.event import FURTHER_FIELD

    check_values("fields", (), {"x": "text", "y": ("a", "b")}, further=FURTHER_FIELD)
    bad: tuple[Value, ...] = (1, True, b"x", (), ("",), {}, "")
    for value in bad:
        with pytest.raises(FormatError, match=r"x: not text .* or an array"):
            check_values("fields", (), {"x": value}, further=FURTHER_FIELD)
    with pytest.raises(FormatError, match="does not belong"):
        check_values("fields", (), {"x": "text"}, further=None)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, sealed=SealedFile(b"\x66" * 32, 4097, b"\x77" * 8)),
        lambda e: replace(e, fields=b"\x56" * 32),
        lambda e: replace(e, closes=b""),
        lambda e: replace(e, time=e.time + 1),
        lambda e: replace(e, head=b"\x23" * 32),
        lambda e: replace(e, prev=b"\x45" * 32),
        lambda e: replace(e, bundle=b"\x34" * 16),
        lambda e: replace(e, vault=b"\x12" * 32),
        lambda e: replace(e, actor=OTHER.ed25519),
        lambda e: replace(e, seq=6),
    ],
)
def test_everything_that_an_event_says_is_signed(change: Callable[[Event], Event]) -> None:
    event = signed(full(EVENT_TYPES["bundle.noted"]))
    assert format_body(change(event)) != event.body
