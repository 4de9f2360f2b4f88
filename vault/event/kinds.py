"""What the values of events may be: one checker for each kind that the table of types names.

A kind says what a value must be and checks it: it returns None, or raises ``FormatError``. Pure.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from vault.codec import Value
from vault.errors import FormatError
from vault.identity import ProvenKeys

__all__ = [
    "BOOL",
    "CONTINUES",
    "DIGEST",
    "EPOCH",
    "EPOCHS",
    "FILE",
    "FILE_NAME",
    "ID",
    "KEYS",
    "MAX_PARTS",
    "MAX_READERS",
    "MAX_TEXT",
    "MEMBER",
    "MEMBERS",
    "PARTS",
    "POLICY",
    "RECIPIENT",
    "ROLES",
    "ROLE_NAMES",
    "SEALED_FILE",
    "SEQ",
    "TEXT",
    "TEXTS",
    "TIME",
    "UINT",
    "Kind",
    "one_of",
]

ROLE_NAMES: Final = ("custodian", "owner", "reader")
MAX_READERS: Final = 1000
MAX_PARTS: Final = 1500
MAX_TEXT: Final = 65536


@dataclass(frozen=True, slots=True)
class Kind:
    """``about`` names the kind in the specification; ``accepts`` tells a value of it."""

    about: str
    accepts: Callable[[Value], bool] = field(repr=False)

    def check(self, name: str, value: Value) -> None:
        """Raise ``FormatError`` unless ``value`` is of this kind."""
        if not self.accepts(value):
            raise FormatError(name, f"not {self.about}")


def _bytes(size: int) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, bytes) and len(value) == size


def _is_uint(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_file(value: Value) -> bool:
    match value:
        case (bytes(sha256), size):
            return len(sha256) == 32 and _is_uint(size)
    return False


def _is_sealed_file(value: Value) -> bool:
    match value:
        case (bytes(sha256), size, bytes(epoch)):
            return len(sha256) == 32 and _is_uint(size) and len(epoch) == 8
    return False


def _sorted_unique(accepts: Callable[[Value], bool], most: int) -> Callable[[Value], bool]:
    def check(value: Value) -> bool:
        return (
            isinstance(value, tuple)
            and 0 < len(value) <= most
            and all(accepts(element) for element in value)
            and all(one < two for one, two in pairwise(value))  # type: ignore[operator]
        )

    return check


def _is_keys(value: Value) -> bool:
    try:
        ProvenKeys.from_data(value)
    except FormatError:
        return False
    return True


def _map(shape: Mapping[str, Callable[[Value], bool]]) -> Callable[[Value], bool]:
    def check(value: Value) -> bool:
        return (
            isinstance(value, dict)
            and value.keys() == shape.keys()
            and all(accepts(value[key]) for key, accepts in shape.items())
        )

    return check


def _is_text(value: Value) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT


# The clock and the offset are held to their ranges here: what ``datetime.fromisoformat`` takes
# (``+05:60``, ``24:00``) differs between versions of Python.
_TIME: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?)?)?\Z",
    re.ASCII,
)


def _is_time(value: Value) -> bool:
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None:
        return False
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def _is_file_name(value: Value) -> bool:
    if not isinstance(value, bytes):
        return _is_text(value)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return len(value) <= MAX_TEXT
    return False  # it has a form as text, which is its only one


def one_of(*choices: str) -> Kind:
    """Return the kind of exactly these texts."""
    about = "one of " + ", ".join(f"`{choice}`" for choice in choices)
    return Kind(about, lambda value: isinstance(value, str) and value in choices)


BOOL: Final = Kind("true or false", lambda value: isinstance(value, bool))
UINT: Final = Kind("an integer from 0", _is_uint)
SEQ: Final = Kind("the index of an event", _is_uint)
ID: Final = Kind("16 bytes", _bytes(16))
EPOCH: Final = Kind("the 8 bytes of an epoch", _bytes(8))
DIGEST: Final = Kind("32 bytes, SHA-256", _bytes(32))
MEMBER: Final = Kind("32 bytes, an Ed25519 public key", _bytes(32))
RECIPIENT: Final = Kind("1216 bytes, an age X-Wing recipient", _bytes(1216))
FILE: Final = Kind("[SHA-256 (32 bytes), size]", _is_file)
SEALED_FILE: Final = Kind("[SHA-256 (32 bytes), size, epoch (8 bytes)]", _is_sealed_file)
PARTS: Final = Kind(
    f"an array of 1 to {MAX_PARTS} [SHA-256 (32 bytes), size]",
    lambda value: (
        isinstance(value, tuple)
        and 0 < len(value) <= MAX_PARTS
        and all(_is_file(element) for element in value)
    ),
)
ROLES: Final = Kind(
    "a sorted array of some of `custodian`, `owner`, `reader`",
    _sorted_unique(lambda value: value in ROLE_NAMES, len(ROLE_NAMES)),
)
MEMBERS: Final = Kind(
    f"a sorted array of 1 to {MAX_READERS} Ed25519 public keys (32 bytes each)",
    _sorted_unique(_bytes(32), MAX_READERS),
)
EPOCHS: Final = Kind("a sorted array of epochs (8 bytes each)", _sorted_unique(_bytes(8), 4096))
KEYS: Final = Kind(
    "{age (1216), ed25519 (32), ed25519_proof (64), ml_dsa_44 (1312), "
    "ml_dsa_44_proof (2420 bytes)}",
    _is_keys,
)
POLICY: Final = Kind(
    "{clock (seconds from 1 to 86400), two_person_destroy (true or false)}",
    _map(
        {
            "clock": lambda value: _is_uint(value) and 1 <= int(value) <= 86400,  # type: ignore[arg-type]
            "two_person_destroy": lambda value: isinstance(value, bool),
        }
    ),
)
CONTINUES: Final = Kind(
    "{reason (`lost-owner`, `other` or `restored-backup`), root (32 bytes), size, "
    "vault (32 bytes)}",
    _map(
        {
            "reason": lambda value: value in ("lost-owner", "other", "restored-backup"),
            "root": _bytes(32),
            "size": _is_uint,
            "vault": _bytes(32),
        }
    ),
)

TEXT: Final = Kind("text of 1 to 65536 characters", _is_text)
TEXTS: Final = Kind(
    "an array of 1 or more texts",
    lambda value: isinstance(value, tuple) and bool(value) and all(_is_text(one) for one in value),
)
TIME: Final = Kind(
    "a time with its offset, such as 2026-03-01T14:05+05:00 or 2026-03-01T09:05:00Z, or a date",
    _is_time,
)
FILE_NAME: Final = Kind("text, or the bytes of a file name that is not UTF-8", _is_file_name)
