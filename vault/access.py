"""Signed records of an opening that no log recorded (docs/spec.md, "Access record").

Someone who opens a copy of a vault, or one on a read-only medium, must not append to its log: the
copy would fork. What they did is stated instead in a signed note beside what they opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from vault.codec import format_base64, is_line, parse_base64, parse_decimal, parse_hex
from vault.errors import FormatError, SignatureError
from vault.identity import Identity
from vault.tlog import note

__all__ = ["ACCESS_ORIGIN", "AccessRecord", "check_access_record", "format_access_record"]

ACCESS_ORIGIN: Final = "evidence-vault/access/v1"


@final
@dataclass(frozen=True, slots=True)
class AccessRecord:
    """Who (``actor``, Ed25519) opened which items of ``bundle``, when (UTC seconds) and what for.

    ``size`` and ``root`` are those of the log that was read. ``use`` is what consent was held
    against, and ``authority`` what stands above consent; empty if none was stated.
    """

    actor: bytes
    vault: bytes
    size: int
    root: bytes
    bundle: bytes
    items: tuple[int, ...]
    time: int
    purpose: str
    use: str = ""
    authority: str = ""


def format_access_record(record: AccessRecord, identity: Identity) -> bytes:
    """Return a signed note of nine to eleven lines, in this order:

    evidence-vault/access/v1
    actor HEX
    vault HEX
    size NUMBER
    root BASE64
    bundle HEX
    items NUMBER… (separated by spaces; ``-`` if none)
    time NUMBER
    purpose TEXT
    use TEXT (if stated)
    authority TEXT (if stated)

    Raises ``ValueError`` if ``identity`` is not the actor or one of the texts is not a line
    (:func:`~vault.codec.is_line`).
    """
    if identity.ed25519 != record.actor:
        raise ValueError("signed by its actor only")
    if not _is_sound(record):
        raise ValueError("a purpose is a line of text, and so are use and authority")
    text = _text(record)
    signature = identity.sign_ed25519(text.encode("utf-8"))
    key_id = note.key_id(ACCESS_ORIGIN, note.ED25519, record.actor)
    return note.format_note(note.Note(text, (note.Signature(ACCESS_ORIGIN, key_id, signature),)))


def _text(record: AccessRecord) -> str:
    return (
        f"{ACCESS_ORIGIN}\n"
        f"actor {record.actor.hex()}\n"
        f"vault {record.vault.hex()}\n"
        f"size {record.size}\n"
        f"root {format_base64(record.root)}\n"
        f"bundle {record.bundle.hex()}\n"
        f"items {_numbers(record.items)}\n"
        f"time {record.time}\n"
        f"purpose {record.purpose}\n"
        + (f"use {record.use}\n" if record.use else "")
        + (f"authority {record.authority}\n" if record.authority else "")
    )


def _is_sound(record: AccessRecord) -> bool:
    return bool(record.purpose) and all(
        is_line(text) for text in (record.purpose, record.use, record.authority) if text
    )


def _numbers(items: Sequence[int]) -> str:
    return " ".join(str(item) for item in items) or "-"


def check_access_record(data: bytes) -> AccessRecord:
    """Parse a record and check that its actor signed it; ``FormatError`` or ``SignatureError``."""
    signed = note.parse_note(data)
    parted = [line.partition(" ") for line in signed.text.split("\n")[:-1]]
    lines = [value for _, _, value in parted]
    if not 9 <= len(lines) <= 11:
        raise FormatError("access record", "not nine to eleven lines")
    further = {name: value for name, _, value in parted[9:]}
    record = AccessRecord(
        actor=parse_hex(lines[1], size=32),
        vault=parse_hex(lines[2], size=32),
        size=parse_decimal(lines[3]),
        root=parse_base64(lines[4]),
        bundle=parse_hex(lines[5], size=16),
        items=() if lines[6] == "-" else tuple(parse_decimal(one) for one in lines[6].split(" ")),
        time=parse_decimal(lines[7]),
        purpose=lines[8],
        use=further.get("use", ""),
        authority=further.get("authority", ""),
    )
    if len(record.root) != 32 or not _is_sound(record) or _text(record) != signed.text:
        raise FormatError("access record", "not as it is written")
    key_id = note.key_id(ACCESS_ORIGIN, note.ED25519, record.actor)
    match signed.signatures:
        case (note.Signature(name, found, signature),) if (name, found) == (ACCESS_ORIGIN, key_id):
            note.verify_ed25519(record.actor, signed.text.encode("utf-8"), signature)
        case _:
            raise SignatureError("access record", "not signed once, by its actor")
    return record
