"""Values of every kind that events may hold, right and wrong, and whole events made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vault.codec import Packable, Value, pack
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    Event,
    EventType,
    Kind,
    SealedFile,
    format_body,
    format_event,
    kinds,
    parse_event,
)
from vault.identity import Identity

ME: Final = Identity(b"\x01" * 32)
OTHER: Final = Identity(b"\x02" * 32)
KEYS: Final[dict[str, Value]] = dict(ME.proven.to_data())
FILE: Final[Value] = (b"\x0f" * 32, 4096)
POLICY: Final[dict[str, Value]] = {"clock": 60, "two_person_destroy": True}
CONTINUES: Final[dict[str, Value]] = {
    "reason": "restored-backup",
    "root": b"\x01" * 32,
    "size": 7,
    "vault": b"\x02" * 32,
}
READERS: Final = tuple(n.to_bytes(32, "big") for n in range(kinds.MAX_READERS))

WRONG_BYTES: Final[tuple[Value, ...]] = (b"", b"\x00" * 7, "0" * 16, 0, (), {}, True)
WRONG_UINTS: Final[tuple[Value, ...]] = (-1, 2**63, 2**64 - 1, True, False, "1", b"1", (), {})
WRONG_FILES: Final[tuple[Value, ...]] = (
    (),
    (b"\x0f" * 32,),
    (b"\x0f" * 31, 1),
    (b"\x0f" * 32, -1),
    (b"\x0f" * 32, True),
    (b"\x0f" * 32, "1"),
    ("0" * 32, 1),
    (1, b"\x0f" * 32),
    (b"\x0f" * 32, 1, 1),
    b"\x0f" * 32,
    {"sha256": b"\x0f" * 32},
)

RIGHT: Final[dict[Kind, tuple[Value, ...]]] = {
    kinds.BOOL: (True, False),
    kinds.UINT: (0, 2**63 - 1),
    kinds.SEQ: (0, 2**63 - 1),
    kinds.ID: (b"\xaa" * 16,),
    kinds.EPOCH: (b"\xee" * 8,),
    kinds.DIGEST: (b"\xdd" * 32,),
    kinds.MEMBER: (ME.ed25519,),
    kinds.RECIPIENT: (ME.keys.age,),
    kinds.FILE: (FILE, (b"\x0f" * 32, 0)),
    kinds.SEALED_FILE: ((b"\x0f" * 32, 4096, b"\xee" * 8),),
    kinds.PARTS: ((FILE,), (FILE,) * kinds.MAX_PARTS),
    kinds.ROLES: (("reader",), ("custodian", "owner", "reader"), ("owner", "reader")),
    kinds.MEMBERS: ((ME.ed25519,), READERS),
    kinds.EPOCHS: ((b"\x01" * 8, b"\x02" * 8), (b"\x01" * 8,)),
    kinds.KEYS: (KEYS,),
    kinds.POLICY: (POLICY, {"clock": 1, "two_person_destroy": False}, {**POLICY, "clock": 86400}),
    kinds.CONTINUES: (CONTINUES, {**CONTINUES, "reason": "other"}),
    kinds.TEXT: ("x", "two\nlines\t\x00", "e\u0301", "\u202eعائشہ", "x" * 65536),
    kinds.TEXTS: (("x",), ("x", "x"), ("x" * 65536,)),
    kinds.TIME: (
        "2026",
        "2026-03",
        "2026-03-01",
        "2024-02-29",
        "0001-01-01",
        "2026-03-01T14:05+05:00",
        "2026-03-01T09:05:00Z",
        "2026-03-01T09:05:59.123456789Z",
        "2026-03-01T23:59-11:30",
        "2026-03-01T00:00+14:00",
        "2026-03-01T00:00-00:00",
    ),
    kinds.FILE_NAME: ("name.jpg", "تصویر.jpg", "a/b\x00\u202e", b"\xff\xfe.jpg", b"\xed\xa0\x80"),
}

WRONG: Final[dict[Kind, tuple[Value, ...]]] = {
    kinds.BOOL: (0, 1, "true", b"", ()),
    kinds.UINT: WRONG_UINTS,
    kinds.SEQ: WRONG_UINTS,
    kinds.ID: WRONG_BYTES,
    kinds.EPOCH: WRONG_BYTES,
    kinds.DIGEST: WRONG_BYTES,
    kinds.MEMBER: WRONG_BYTES,
    kinds.RECIPIENT: WRONG_BYTES,
    kinds.FILE: WRONG_FILES,
    kinds.SEALED_FILE: (
        *WRONG_FILES,
        FILE,
        (b"\x0f" * 32, 1, b"\xee" * 7),
        (b"\x0f" * 32, 1, "e" * 8),
        (b"\x0f" * 32, True, b"\xee" * 8),
        (b"\x0f" * 32, 1, b"\xee" * 8, 1),
    ),
    kinds.PARTS: ((), FILE, (FILE,) * (kinds.MAX_PARTS + 1), ((b"", 1),), (FILE, 1), {}),
    kinds.ROLES: (
        (),
        ("owner", "custodian"),
        ("owner", "owner"),
        ("admin",),
        ("Owner",),
        (b"owner",),
        ({},),
        "owner",
        {"owner": True},
    ),
    kinds.MEMBERS: (
        (),
        (ME.ed25519, ME.ed25519),
        tuple(reversed(READERS)),
        (*READERS, b"\xff" * 32),
        (ME.ed25519[:-1],),
        ("x" * 32,),
        ME.ed25519,
    ),
    kinds.EPOCHS: ((), (b"\x02" * 8, b"\x01" * 8), (b"\x01" * 8,) * 2, (b"\x01",), b"\x01" * 8),
    kinds.KEYS: ({}, {**KEYS, "x": b""}, {**KEYS, "age": b""}, tuple(KEYS.values()), b""),
    kinds.POLICY: (
        {},
        {"clock": 60},
        {**POLICY, "clock": 0},
        {**POLICY, "clock": 86401},
        {**POLICY, "clock": True},
        {**POLICY, "clock": "60"},
        {**POLICY, "two_person_destroy": 1},
        {**POLICY, "quorum": 2},
        (60, True),
    ),
    kinds.CONTINUES: (
        {},
        {**CONTINUES, "reason": "because"},
        {**CONTINUES, "reason": b"other"},
        {**CONTINUES, "root": b""},
        {**CONTINUES, "size": -1},
        {**CONTINUES, "vault": "x"},
        {**CONTINUES, "more": 1},
        {k: v for k, v in CONTINUES.items() if k != "size"},
        (),
    ),
    kinds.TEXT: ("", "x" * 65537, b"x", 1, True, (), ("x",), {}),
    kinds.TEXTS: ((), ("",), (b"x",), ("x", 1), "x", {"x": "x"}, (("x",),)),
    kinds.TIME: (
        "",
        "26",
        "20260301",
        "2026-3-1",
        "2026-03-01 ",
        "2026-03-01\n",
        "0000",
        "2026-00",
        "2026-13",
        "2026-00-01",
        "2026-02-29",
        "2026-03-32",
        "2026-W09-1",
        "2026-03T14:05Z",
        "2026-03-01T",
        "2026-03-01T14Z",
        "2026-03-01T14:05",
        "2026-03-01T14:05:00",
        "2026-03-01 14:05Z",
        "2026-03-01t14:05z",
        "2026-03-01T1405Z",
        "2026-03-01T24:00Z",
        "2026-03-01T14:60Z",
        "2026-03-01T14:05:60Z",
        "2026-03-01T14:05:00.Z",
        "2026-03-01T14:05:00,5Z",
        "2026-03-01T14:05:00.1234567890Z",
        "2026-03-01T14:05+05",
        "2026-03-01T14:05+0500",
        "2026-03-01T14:05+05:60",
        "2026-03-01T14:05+24:00",
        "2026-03-01T14:05+05:00:00",
        "2026-03-01T14:05\u221205:00",
        "2026-02-30T14:05Z",
        "\u0662\u0660\u0662\u0666",
        b"2026",
        2026,
        ("2026",),
    ),
    kinds.FILE_NAME: ("", b"", b"photo.jpg", "é".encode(), "x" * 65537, b"\xff" * 65537, 1, ()),
}


def right(kind: Kind) -> tuple[Value, ...]:
    """Return values of a kind; for a choice, its choices."""
    return RIGHT[kind] if kind in RIGHT else tuple(re.findall("`([^`]+)`", kind.about))


def wrong(kind: Kind) -> tuple[Value, ...]:
    """Return values that are not of a kind."""
    return WRONG[kind] if kind in WRONG else ("", "x", right(kind)[0].upper(), b"", 1, True, ())  # type: ignore[union-attr]


def minimal(schema: EventType, signer: Identity = ME) -> Event:
    """Return an event, not signed yet, with only what its type requires."""
    genesis = schema.name == "vault.created"
    about = schema.about_bundle
    return Event(
        seq=0 if genesis else 5,
        type=schema.name,
        actor=signer.ed25519,
        time=1772355600,
        data={key.name: right(key.kind)[0] for key in schema.data if key.required},
        vault=None if genesis else b"\x11" * 32,
        head=None if genesis else b"\x22" * 32,
        bundle=b"\x33" * 16 if about else None,
        prev=b"\x44" * 32 if about and schema.name != "bundle.sealed" else None,
    )


def full(schema: EventType, signer: Identity = ME) -> Event:
    """Return an event, not signed yet, with everything that its type may have."""
    return replace(
        minimal(schema, signer),
        data={key.name: right(key.kind)[-1] for key in schema.data},
        fields=b"\x55" * 32,
        sealed=SealedFile(b"\x66" * 32, 4096, b"\x77" * 8),
        closes=None if schema.name == "vault.created" else b"\x88" * 3500,
    )


def sign(body: bytes, signer: Identity = ME) -> bytes:
    """Return the leaf of a body."""
    return format_event(body, signer.sign_ed25519(EVENT_LABEL + body))


def signed(event: Event, signer: Identity = ME) -> Event:
    """Return an event as it is read from the log."""
    return parse_event(sign(format_body(event), signer))


def leaf_of(body: Mapping[str, Packable]) -> bytes:
    """Return a signed leaf with any map for its body."""
    return sign(pack(body))


TYPES: Final = tuple(EVENT_TYPES.values())
