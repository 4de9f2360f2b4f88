"""The one table of event types: what each says in public, what in private, and who may write it.

``data`` is what a keyless auditor needs and no more. ``fields`` are private: committed to by the
event, kept in an encrypted file beside the log. The order of fields is part of the format.
``docs/spec.md`` carries this table; it is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from vault.event import kinds
from vault.event.kinds import Kind

__all__ = [
    "ANY_MEMBER",
    "COMMON_FIELDS",
    "EVENT_TYPES",
    "ITEM_FIELDS",
    "EventType",
    "Key",
    "Role",
]

Role: TypeAlias = Literal["custodian", "owner", "reader"]
ANY_MEMBER: Final[tuple[Role, ...]] = ("custodian", "owner", "reader")


@dataclass(frozen=True, slots=True)
class Key:
    """A named value of ``data`` or a field."""

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, slots=True)
class EventType:
    """A row of the table; ``writers`` are the roles of which one is needed.

    ``about_bundle`` says that the event names a bundle; ``fields`` includes the common fields, and
    every one of them is optional.
    """

    name: str
    about_bundle: bool
    writers: tuple[Role, ...]
    data: tuple[Key, ...]
    fields: tuple[Key, ...]

    @property
    def field_names(self) -> tuple[str, ...]:
        """The schema's fields in their order."""
        return tuple(key.name for key in self.fields)


def _fields(*groups: tuple[Kind, str]) -> tuple[Key, ...]:
    return tuple(
        Key(name, kind, required=False) for kind, names in groups for name in names.split()
    )


COMMON_FIELDS: Final = _fields(
    (kinds.TIME, "occurred_at"),
    (kinds.TEXT, "recorded_late_because"),
    (kinds.TEXT, "clock_check.reference clock_check.reading clock_check.difference"),
    (kinds.TIME, "exact_time"),
    (kinds.TEXT, "software.name software.version software.system"),
)

ITEM_FIELDS: Final = _fields(
    (kinds.FILE_NAME, "original_name"),
    (kinds.TEXT, "path"),
    (kinds.UINT, "offset size"),
    (kinds.DIGEST, "sha256"),
    (kinds.TEXT, "media_type"),
    (kinds.one_of("document", "media", "media-hash", "omitted", "testimony"), "kind"),
    (kinds.one_of("derivative", "evidentiary copy", "original", "working copy"), "generation"),
    (kinds.TEXT, "derived_from"),
    (kinds.TIME, "times.created times.modified times.captured"),
    (kinds.TEXT, "omitted_because"),
)

_SEALED_FIELDS: Final = _fields(
    (kinds.TEXT, "title description case exhibit language sensitivity"),
    (kinds.TEXT, "collector.name collector.role place"),
    (kinds.TIME, "captured_at obtained_at"),
    (kinds.TEXT, "obtained_from obtained_how source location_of_original"),
    (kinds.one_of("derivative", "evidentiary copy", "original", "working copy"), "generation"),
    (kinds.BOOL, "edited"),
    (kinds.TEXT, "device.make device.model device.serial device.imei"),
    (kinds.TEXTS, "device.identifiers"),
    (kinds.TEXT, "device.owned_by device.operated_by"),
    (kinds.BOOL, "device.working_properly"),
    (kinds.TEXT, "method tool.name tool.version authority.type authority.number capture.url"),
    (kinds.TIME, "capture.time"),
    (kinds.TEXT, "capture.collector_address capture.persona"),
    (kinds.TEXT, "testimony.witness testimony.interviewer testimony.interpreter"),
    (kinds.TEXTS, "testimony.persons_present"),
    (kinds.TIME, "testimony.start testimony.end"),
    (kinds.TEXT, "testimony.language"),
    (kinds.BOOL, "testimony.read_back testimony.signed"),
    (kinds.TEXTS, "testimony.earlier_accounts"),
    (kinds.one_of("given", "limited", "not asked", "refused", "withdrawn"), "consent.status"),
    (kinds.TEXTS, "consent.scope consent.recipients"),
    (
        kinds.TEXT,
        "consent.anonymity consent.language consent.how_given consent.by_whom limitations",
    ),
    (kinds.TEXT, "amends derived_from translation_of transcript_of"),
    (kinds.UINT, "item_count plaintext_size items_offset items_size"),
)

_HANDOVER: Final = (kinds.TEXT, "place purpose condition carrier medium seal_number")
_OWNER: Final[tuple[Role, ...]] = ("owner",)
_CUSTODIAN: Final[tuple[Role, ...]] = ("custodian",)
_READER: Final[tuple[Role, ...]] = ("reader",)
_CUSTODIAN_OR_READER: Final[tuple[Role, ...]] = ("custodian", "reader")


def _type(
    name: str,
    writers: tuple[Role, ...],
    data: tuple[Key, ...] = (),
    *fields: tuple[Kind, str],
) -> EventType:
    group = name.partition(".")[0]
    about_bundle = group in ("bundle", "destruction", "custody", "hold", "consent")
    return EventType(name, about_bundle, writers, data, (*_fields(*fields), *COMMON_FIELDS))


_TABLE: Final = (
    _type(
        "vault.created",
        _OWNER,
        (
            Key("nonce", kinds.DIGEST),
            Key("keys", kinds.KEYS),
            Key("policy", kinds.POLICY),
            Key("continues", kinds.CONTINUES, required=False),
        ),
        (kinds.TEXT, "title member.name reason known_losses"),
    ),
    _type("vault.noted", ANY_MEMBER, (), (kinds.TEXT, "text subject")),
    _type("vault.policy", _OWNER, (Key("policy", kinds.POLICY),), (kinds.TEXT, "reason")),
    _type(
        "vault.rekeyed",
        _READER,
        (
            Key("stage", kinds.one_of("written", "confirmed", "pruned")),
            Key("epoch", kinds.EPOCH),
            Key("manifest", kinds.FILE),
        ),
        (kinds.TEXT, "reason"),
    ),
    _type("vault.upgraded", _OWNER, (Key("version", kinds.UINT),), (kinds.TEXT, "reason")),
    _type(
        "member.admitted",
        _OWNER,
        (Key("keys", kinds.KEYS), Key("roles", kinds.ROLES), Key("history", kinds.BOOL)),
        (kinds.TEXT, "member.name fingerprint.checked_how fingerprint.checked_by"),
        (kinds.TIME, "fingerprint.checked_at"),
        (kinds.TEXT, "reason"),
    ),
    _type(
        "member.removed",
        _OWNER,
        (Key("member", kinds.MEMBER), Key("doubtful_from", kinds.SEQ, required=False)),
        (kinds.one_of("compromised", "died", "left", "lost", "seized"), "cause"),
        (kinds.TEXT, "reason"),
    ),
    _type(
        "epoch.opened",
        _OWNER,
        (
            Key("epoch", kinds.EPOCH),
            Key("recipient", kinds.RECIPIENT),
            Key("file", kinds.FILE),
            Key("readers", kinds.MEMBERS),
            Key("history", kinds.BOOL),
        ),
        (kinds.TEXT, "reason"),
    ),
    _type("epoch.shredded", _OWNER, (Key("epochs", kinds.EPOCHS),), (kinds.TEXT, "reason")),
    _type(
        "history.granted",
        _READER,
        (Key("reader", kinds.MEMBER), Key("epochs", kinds.EPOCHS), Key("file", kinds.FILE)),
        (kinds.TEXT, "reason"),
    ),
    EventType(
        "bundle.sealed",
        True,
        _CUSTODIAN,
        (
            Key("key", kinds.DIGEST),
            Key("key_file", kinds.SEALED_FILE),
            Key("parts", kinds.PARTS),
            Key("items", kinds.DIGEST),
        ),
        (*_SEALED_FIELDS, *COMMON_FIELDS),
    ),
    _type(
        "bundle.opened",
        _CUSTODIAN_OR_READER,
        (),
        (kinds.TEXT, "purpose use authority place"),
        (kinds.TEXTS, "items"),
    ),
    _type("bundle.noted", _CUSTODIAN_OR_READER, (), (kinds.TEXT, "text subject")),
    _type(
        "bundle.checked",
        _CUSTODIAN_OR_READER,
        (Key("result", kinds.one_of("altered", "intact")),),
        (kinds.TEXT, "detail"),
    ),
    _type(
        "bundle.disclosed",
        _CUSTODIAN,
        (Key("kind", kinds.one_of("disclosure", "handover")),),
        (kinds.TEXT, "recipient purpose use authority"),
        (kinds.TEXTS, "items"),
    ),
    _type(
        "bundle.destroyed",
        _CUSTODIAN,
        (Key("request", kinds.SEQ, required=False), Key("approval", kinds.SEQ, required=False)),
        (kinds.TEXT, "authority reason"),
    ),
    _type("destruction.requested", _CUSTODIAN, (), (kinds.TEXT, "authority reason")),
    _type(
        "destruction.approved",
        ("custodian", "owner"),
        (Key("request", kinds.SEQ),),
        (kinds.TEXT, "authority reason"),
    ),
    _type(
        "custody.released",
        _CUSTODIAN,
        (Key("to", kinds.MEMBER), Key("expires", kinds.UINT, required=False)),
        _HANDOVER,
        (kinds.TEXT, "use authority"),
    ),
    _type(
        "custody.accepted",
        ANY_MEMBER,
        (Key("release", kinds.SEQ), Key("rehashed", kinds.BOOL)),
        _HANDOVER,
    ),
    _type("custody.declined", ANY_MEMBER, (Key("release", kinds.SEQ),), (kinds.TEXT, "reason")),
    _type("custody.recalled", _CUSTODIAN, (Key("release", kinds.SEQ),), (kinds.TEXT, "reason")),
    _type(
        "custody.receipted",
        _CUSTODIAN,
        (Key("release", kinds.SEQ, required=False), Key("receipt", kinds.FILE)),
        _HANDOVER,
    ),
    _type("custody.assumed", _OWNER, (), (kinds.TEXT, "authority reason"), _HANDOVER),
    _type(
        "custody.interrupted",
        _CUSTODIAN,
        (Key("state", kinds.one_of("interrupted", "returned")),),
        (kinds.one_of("lost", "returned", "seized"), "cause"),
        (kinds.TEXT, "reason place condition"),
    ),
    _type("hold.placed", _CUSTODIAN, (Key("hold", kinds.ID),), (kinds.TEXT, "authority reason")),
    _type("hold.lifted", _CUSTODIAN, (Key("hold", kinds.ID),), (kinds.TEXT, "authority reason")),
    _type(
        "consent.recorded",
        _CUSTODIAN,
        (),
        (kinds.one_of("given", "limited", "not asked", "refused", "withdrawn"), "consent.status"),
        (kinds.TEXTS, "consent.scope consent.recipients"),
        (kinds.TEXT, "consent.anonymity consent.language consent.how_given consent.by_whom"),
    ),
    _type(
        "checkpoint.attested",
        _CUSTODIAN,
        (
            Key("size", kinds.UINT),
            Key("root", kinds.DIGEST),
            Key("kind", kinds.one_of("beacon", "cosignature", "opentimestamps", "rfc3161")),
            Key("file", kinds.FILE),
        ),
        (kinds.TEXT, "detail"),
    ),
    _type("recovery.drilled", ANY_MEMBER, (), (kinds.TEXT, "detail")),
)

EVENT_TYPES: Final = MappingProxyType({kind.name: kind for kind in _TABLE})
