"""Events: the table of their types and their wire form."""

from vault.event.encoding import (
    EVENT_LABEL,
    FURTHER_FIELD,
    MAX_EVENT,
    MAX_FIELDS_FILE,
    VERSION,
    Event,
    FieldsHeader,
    SealedFile,
    check_event_signature,
    check_values,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
    parse_fields_file,
)
from vault.event.kinds import MAX_PARTS, MAX_READERS, ROLE_NAMES, Kind
from vault.event.types import COMMON_FIELDS, EVENT_TYPES, ITEM_FIELDS, EventType, Key, Role

__all__ = [
    "COMMON_FIELDS",
    "EVENT_LABEL",
    "EVENT_TYPES",
    "FURTHER_FIELD",
    "ITEM_FIELDS",
    "MAX_EVENT",
    "MAX_FIELDS_FILE",
    "MAX_PARTS",
    "MAX_READERS",
    "ROLE_NAMES",
    "VERSION",
    "Event",
    "EventType",
    "FieldsHeader",
    "Key",
    "Kind",
    "Role",
    "SealedFile",
    "check_event_signature",
    "check_values",
    "format_body",
    "format_event",
    "format_fields_file",
    "parse_event",
    "parse_fields_file",
]
