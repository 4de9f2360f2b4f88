"""The wire form of an event (docs/spec.md, "Events").

A leaf of the log is canonical msgpack ``{body: bin, sig: bin}``, at most 65,535 bytes, where
``sig`` is Ed25519 by the body's ``actor`` over ``"evidence-vault/event/v1\\x00" || body``. The body
is canonical msgpack too: a map with exactly the keys that :func:`format_body` writes.

The fields file of an event is an age file; its plaintext is one canonical array ``[header,
fields]`` followed by zero bytes to 4 KiB or the next Padmé length, whichever is more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vault.codec import Packable, Value, pack, padme, unpack, unpack_prefix
from vault.commitment import ABSENT, Field, format_fields, parse_fields
from vault.errors import FormatError, UnsupportedVersionError
from vault.event.kinds import SEALED_FILE, TEXT, TEXTS, Kind
from vault.event.types import EVENT_TYPES, EventType, Key
from vault.tlog import merkle, note

__all__ = [
    "EVENT_LABEL",
    "FURTHER_FIELD",
    "MAX_EVENT",
    "MAX_FIELDS_FILE",
    "VERSION",
    "Event",
    "FieldsHeader",
    "SealedFile",
    "check_event_signature",
    "check_values",
    "format_body",
    "format_event",
    "format_fields_file",
    "parse_event",
    "parse_fields_file",
]

VERSION: Final = 1
EVENT_LABEL: Final = b"evidence-vault/event/v1\x00"
MAX_EVENT: Final = 65535
_MIN_FIELDS_FILE: Final = 4096
_MAX_SEQ: Final = 2**53 - 1
_MAX_TIME: Final = 253402300799  # the last second of the year 9999: every calendar can show it
MAX_FIELDS_FILE: Final = 16 * 2**20
_REQUIRED: Final = frozenset(("v", "seq", "type", "actor", "time", "data"))
_OPTIONAL: Final = frozenset(("vault", "head", "bundle", "prev", "fields", "sealed", "closes"))


@dataclass(frozen=True, slots=True)
class SealedFile:
    """An encrypted file that an event commits to: SHA-256, size (bytes), epoch of its recipient."""

    sha256: bytes
    size: int
    epoch: bytes

    def to_value(self) -> tuple[bytes, int, bytes]:
        """Return the array ``[sha256, size, epoch]``."""
        return (self.sha256, self.size, self.epoch)


@dataclass(frozen=True, slots=True)
class Event:
    """One signed entry of the log. ``vault`` and ``head`` are None in genesis alone."""

    seq: int
    type: str
    actor: bytes
    time: int
    data: Mapping[str, Value]
    vault: bytes | None = None
    head: bytes | None = None
    bundle: bytes | None = None
    prev: bytes | None = None
    fields: bytes | None = None
    sealed: SealedFile | None = None
    closes: bytes | None = None
    body: bytes = field(default=b"", repr=False)
    sig: bytes = field(default=b"", repr=False)
    leaf: bytes = field(default=b"", repr=False)

    @property
    def schema(self) -> EventType:
        """This event's row in the table of types."""
        return EVENT_TYPES[self.type]

    @property
    def leaf_hash(self) -> bytes:
        """RFC 6962 leaf hash of the event's bytes."""
        return merkle.leaf_hash(self.leaf)


def format_body(event: Event) -> bytes:
    """Return the canonical body; ``body``, ``sig`` and ``leaf`` of ``event`` are not looked at."""
    body: dict[str, Packable] = {
        "v": VERSION,
        "seq": event.seq,
        "type": event.type,
        "actor": event.actor,
        "time": event.time,
        "data": event.data,
    }
    for name in ("vault", "head", "bundle", "prev", "fields", "closes"):
        value = getattr(event, name)
        if value is not None:
            body[name] = value
    if event.sealed is not None:
        body["sealed"] = event.sealed.to_value()
    return pack(body)


def format_event(body: bytes, sig: bytes) -> bytes:
    """Return the leaf's bytes; raise ``ValueError`` if the event is longer than 65,535 bytes."""
    leaf = pack({"body": body, "sig": sig})
    if len(leaf) > MAX_EVENT:
        raise ValueError(f"an event of {len(leaf)} bytes; at most {MAX_EVENT} fit in the log")
    return leaf


def parse_event(leaf: bytes) -> Event:
    """Parse a leaf; raise ``FormatError``, or ``UnsupportedVersionError`` for a later version's.

    The signature is not checked here: see :func:`check_event_signature`.
    """
    if len(leaf) > MAX_EVENT:
        raise FormatError("event", f"longer than {MAX_EVENT} bytes")
    match unpack(leaf):
        case {"body": bytes(body), "sig": bytes(sig), **rest} if not rest:
            pass
        case _:
            raise FormatError("event", "not {body, sig}")
    value = unpack(body)
    if not isinstance(value, dict):
        raise FormatError("event", "the body is not a map")
    version = value.get("v")
    if isinstance(version, bool) or not isinstance(version, int) or version < VERSION:
        raise FormatError("event", "no version")
    if version > VERSION:
        raise UnsupportedVersionError("event", f"version {version}")
    keys = value.keys()
    if not keys >= _REQUIRED or not keys <= _REQUIRED | _OPTIONAL:
        raise FormatError("event", "not the keys of an event")
    if len(sig) != 64:
        raise FormatError("event", "the signature is not 64 bytes")
    return _event(value, body, sig, leaf)


def _sized(value: dict[str, Value], name: str, size: int) -> bytes | None:
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, bytes) or len(found) != size:
        raise FormatError("event", f"{name} is not {size} bytes")
    return found


def _whole(value: dict[str, Value], name: str, most: int) -> int:
    found = value[name]
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= most:
        raise FormatError("event", f"{name} is not an integer from 0")
    return found


def _event(value: dict[str, Value], body: bytes, sig: bytes, leaf: bytes) -> Event:
    name, data, closes = value["type"], value["data"], value.get("closes")
    actor = _sized(value, "actor", 32)
    assert actor is not None
    schema = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if schema is None:
        raise FormatError("event", "no such type")
    if not isinstance(data, dict):
        raise FormatError("event", "data is not a map")
    if closes is not None and not isinstance(closes, bytes):
        raise FormatError("event", "closes is not bytes")
    sealed = None
    match value.get("sealed"):
        case None:
            pass
        case (bytes(sha256), int(size), bytes(epoch)) as found if SEALED_FILE.accepts(found):
            sealed = SealedFile(sha256, size, epoch)
        case _:
            raise FormatError("event", "sealed is not [sha256, size, epoch]")
    event = Event(
        seq=_whole(value, "seq", _MAX_SEQ),
        type=schema.name,
        actor=actor,
        time=_whole(value, "time", _MAX_TIME),
        data=data,
        vault=_sized(value, "vault", 32),
        head=_sized(value, "head", 32),
        bundle=_sized(value, "bundle", 16),
        prev=_sized(value, "prev", 32),
        fields=_sized(value, "fields", 32),
        sealed=sealed,
        closes=closes,
        body=body,
        sig=sig,
        leaf=leaf,
    )
    _check_shape(event, schema)
    return event


def _check_shape(event: Event, schema: EventType) -> None:
    genesis = event.type == "vault.created"
    if genesis != (event.seq == 0) or genesis != (event.vault is None):
        raise FormatError("event", "genesis alone is first and names no vault")
    if genesis != (event.head is None) or (genesis and event.closes is not None):
        raise FormatError("event", "genesis alone has no head, and closes nothing")
    if schema.about_bundle != (event.bundle is not None):
        raise FormatError("event", "names a bundle where it should not, or none where it should")
    first = event.bundle is None or event.type == "bundle.sealed"
    if first != (event.prev is None):
        raise FormatError("event", "prev where it should not be, or none where it should")
    if (event.fields is None) != (event.sealed is None):
        raise FormatError("event", "a root of fields without their file, or a file without root")
    check_values(f"data of {event.type}", schema.data, event.data, further=None)


def check_values(
    what: str,
    keys: tuple[Key, ...],
    values: Mapping[str, Value],
    *,
    further: tuple[Kind, ...] | None,
) -> None:
    """Raise ``FormatError`` unless each value is of its kind, all required ones are there, and any
    other name is of one of the kinds ``further`` (None: there is no other name).
    """
    known = {key.name: key for key in keys}
    for key in keys:
        if key.required and key.name not in values:
            raise FormatError(what, f"no {key.name}")
    for name, value in values.items():
        if name in known:
            known[name].kind.check(f"{what}: {name}", value)
        elif further is None:
            raise FormatError(what, f"{name!r} does not belong there")
        elif not any(kind.accepts(value) for kind in further):
            raise FormatError(f"{what}: {name}", "not " + " or ".join(k.about for k in further))


def check_event_signature(event: Event) -> None:
    """Raise ``SignatureError`` unless ``sig`` is the actor's over the body (RFC 8032, strict)."""
    note.verify_ed25519(event.actor, EVENT_LABEL + event.body, event.sig)


# --- the fields file --------------------------------------------------------------------------

FURTHER_FIELD: Final = (TEXT, TEXTS)
"""What a field outside the schema may be."""


@dataclass(frozen=True, slots=True)
class FieldsHeader:
    """To which event fields belong, so that their file can't be moved.

    ``vault`` is None in genesis, ``bundle`` in an event about none.
    """

    actor: bytes
    type: str
    vault: bytes | None
    bundle: bytes | None

    @classmethod
    def of(cls, event: Event) -> FieldsHeader:
        """Return the header that the fields file of ``event`` must have."""
        return cls(event.actor, event.type, event.vault, event.bundle)

    def to_value(self) -> dict[str, Packable]:
        """Return the map ``{actor, bundle?, type, vault?}``."""
        value: dict[str, Packable] = {"actor": self.actor, "type": self.type}
        if self.vault is not None:
            value["vault"] = self.vault
        if self.bundle is not None:
            value["bundle"] = self.bundle
        return value


def format_fields_file(header: FieldsHeader, fields: tuple[Field, ...]) -> bytes:
    """Return the plaintext of a fields file, padded with zero bytes.

    Raises ``ValueError`` above 16 MiB or 4096 fields.
    """
    packed = pack((header.to_value(), format_fields(fields)))
    if len(packed) > MAX_FIELDS_FILE:
        raise ValueError(f"fields of {len(packed)} bytes; at most {MAX_FIELDS_FILE}")
    return packed.ljust(max(_MIN_FIELDS_FILE, padme(len(packed))), b"\x00")


def parse_fields_file(data: bytes, header: FieldsHeader) -> tuple[Field, ...]:
    """Parse the plaintext of the fields file of the event that ``header`` describes.

    Raises ``FormatError`` unless every byte, padding included, is as :func:`format_fields_file`
    writes it, the header is that one, and each value is of the kind that the table says.
    """
    value, size = unpack_prefix(data)
    if any(data[size:]) or len(data) != max(_MIN_FIELDS_FILE, padme(size)):
        raise FormatError("fields file", "not padded as it should be")
    match value:
        case (dict(found), rest) if found == header.to_value():
            pass
        case _:
            raise FormatError("fields file", "belongs to another event")
    schema = EVENT_TYPES[header.type]
    fields = parse_fields(rest, schema.field_names)
    present = {field.name: field.value for field in fields if field.value != ABSENT}
    check_values(f"fields of {header.type}", schema.fields, present, further=FURTHER_FIELD)
    return fields
