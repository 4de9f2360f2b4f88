"""Hostile events, fields, cards and identity files, by class.

Bombs, depth, lengths, duplicates, what is not minimal, and every form but the one: a typed error,
or one sentence with an exit code from 0 to 5.
"""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.fuzz.desk import PASSPHRASE, Desk, check_sentence
from tests.fuzz.hostile import (
    in_child,
)
from tests.rooms.house import NOOR, person
from vault import Identity, age
from vault.bundle.items import parse_item
from vault.codec import pack, unpack, unpack_sequence
from vault.errors import FormatError
from vault.event import (
    FieldsHeader,
    parse_event,
    parse_fields_file,
)
from vault.identity import CARD_ORIGIN, format_card, format_identity_file
from vault.tlog import note

# --- parsers --------------------------------------------------------------------------------------

_UNPACK: Final = "from vault.codec import unpack\nfrom vault.errors import FormatError\ndata = "
_BOMBS: Final = {
    "maps": 'b"\\xdc\\x0f\\xff" + (b"\\xdc\\x10\\x00" + b"\\x80" * 4096) * 4095',
    "texts": 'b"\\xdc\\x05\\x54" + (b"\\xdc\\x10\\x00" + b"\\xa2ab" * 4096) * 1364',
    "pairs": 'b"\\xdc\\x05\\x54" + (b"\\xdc\\x10\\x00" + b"\\x81\\xa0\\xa0" * 4096) * 1364',
    "integers": 'b"\\xdc\\x03\\x00" + (b"\\xdc\\x10\\x00" + b"\\xce\\xff\\0\\0\\0" * 4096) * 768',
    "depth": 'b"\\x91" * 16_000_000',
    "depth of maps": 'b"\\x81\\xa0" * 8_000_000',
    "a huge array": 'b"\\xdd\\xff\\xff\\xff\\xff"',
    "a huge map": 'b"\\xdf\\xff\\xff\\xff\\xff"',
    "a huge text": 'b"\\xdb\\xff\\xff\\xff\\xff"',
    "a huge binary": 'b"\\xc6\\xff\\xff\\xff\\xff" + bytes(1000)',
    "a huge extension": 'b"\\xc9\\xff\\xff\\xff\\xff\\x01"',
    "huge within huge": 'b"\\xdc\\x10\\x00" * 4096',
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_msgpack_bomb_is_refused_in_256_mebibytes_and_two_seconds(bomb: str) -> None:
    verdict, mebibytes, seconds = in_child(f"{_UNPACK}{_BOMBS[bomb]}", "unpack(data)")
    assert verdict == "FormatError"
    assert mebibytes < 256
    assert seconds < 2


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("a key twice", b"\x82\xa1a\x01\xa1a\x01"),
        ("keys out of order", b"\x82\xa1b\x01\xa1a\x01"),
        ("a key that is no text", b"\x81\x01\x01"),
        ("a long form of an integer", b"\xcc\x01"),
        ("a longer one", b"\xcf\0\0\0\0\0\0\0\x01"),
        ("a signed form of what is not negative", b"\xd0\x01"),
        ("a long form of a text", b"\xd9\x01a"),
        ("a long form of an array", b"\xdc\0\0"),
        ("a long form of a map", b"\xde\0\0"),
        ("a long form of binary", b"\xc5\0\x01a"),
        ("nil", b"\xc0"),
        ("a float", b"\xcb" + bytes(8)),
        ("an extension", b"\xd4\x01\x01"),
        ("a time", b"\xd6\xff" + bytes(4)),
        ("no UTF-8", b"\xa1\xff"),
        ("a surrogate", b"\xa3\xed\xa0\x80"),
        ("what is never used", b"\xc1"),
        ("nine containers deep", b"\x91" * 8 + b"\x90"),
        ("cut short", b"\x92\x01"),
    ],
)
def test_an_event_or_fields_of_no_canonical_form_are_refused(kind: str, data: bytes) -> None:
    header = FieldsHeader(bytes(32), "vault.noted", bytes(32), None)
    parsers: tuple[Callable[[], object], ...] = (
        lambda: unpack(data),
        lambda: parse_event(data),
        lambda: parse_event(pack({"body": data, "sig": bytes(64)})),
        lambda: parse_fields_file(data.ljust(4096, b"\0"), header),
        lambda: parse_item(0, unpack(data)),
        lambda: list(unpack_sequence(io.BytesIO(data), max_value=2**20)),
    )
    for parse in parsers:
        with pytest.raises(FormatError):
            parse()


def _resigned(who: Identity, old: str, new: str) -> bytes:
    """Return a card with a text changed, which its owner signed as it is."""
    text = format_card(who, "Eve", datetime.date(2026, 3, 1)).decode().partition("\n\n")[0] + "\n"
    assert old in text
    text = text.replace(old, new, 1)
    key_id = note.key_id(CARD_ORIGIN, note.ED25519, who.ed25519)
    signature = base64.b64encode(key_id + who.sign_ed25519(text.encode())).decode()
    return f"{text}\n\u2014 {CARD_ORIGIN} {signature}\n".encode()


_EVE: Final = person(66)
_AGE: Final = _EVE.keys.recipient.to_string()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name Eve", "name Eve\nname Owner"),
        ("name Eve", "name Eve\ncreated 2020-01-01"),
        ("name Eve", "name Eve\r"),
        ("name Eve", "name Eve\x1b[2J"),
        ("name Eve", "name \u202eevE"),
        ("name Eve", "name \u2028Eve"),
        ("name Eve", "name "),
        ("name Eve", "name  Eve"),
        ("name Eve", "name " + "E" * 121),
        ("created 2026-03-01", "created 2026-3-1"),
        ("created 2026-03-01", "created 20260301"),
        ("created 2026-03-01", "created 2026-02-30"),
        ("created 2026-03-01", "created 10000-01-01"),
        ("created 2026-03-01", "created \u0662026-03-01"),
        (f"age {_AGE}", f"age {_AGE.upper()}"),
        (f"age {_AGE}", f"age {_AGE[:-1]}{_AGE[-1].upper()}"),
        (f"age {_AGE}", f"age {_AGE[:-1]}{'q' if _AGE[-1] != 'q' else 'p'}"),
        (f"age {_AGE}", f"age {_AGE[:-9]}"),
        (f"age {_AGE}", "age age1"),
        ("ml-dsa-44 ", "ml-dsa-44  "),
        ("ed25519-proof ", "ed25519-proof ="),
    ],
)
def test_a_card_in_any_other_than_its_one_form_admits_nobody(
    desk: Desk, old: str, new: str
) -> None:
    (desk.folder / "eve.card").write_bytes(_resigned(_EVE, old, new))
    before = desk.house.files()
    with desk.house.open() as vault:
        told = ("--vault-id", vault.id.hex())
    who = (desk.folder / "eve.card", "--role", "reader", "--checked", "read aloud")
    check_sentence(desk.evault("admit", desk.house.path, *who, *told, who="owner"), {3})
    assert desk.house.files() == before


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda text: text[:-2] + text[-2].lower() + text[-1],
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: text + text,
        lambda text: text.replace("# ", "#"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("EVAULT-SECRET-1", "EVAULT-SECRET-11"),
        lambda text: "x" * 5000,
        lambda text: "",
    ],
)
def test_an_identity_in_any_other_than_its_one_form_unlocks_nothing(
    desk: Desk, change: Any
) -> None:
    sound = format_identity_file(NOOR, PASSPHRASE, 4)
    plain = age.decrypt_bytes(age.parse_armor(sound), [age.ScryptIdentity(PASSPHRASE)])
    spoilt = change(plain.decode())
    assert spoilt.encode() != plain
    recipient = age.ScryptRecipient(PASSPHRASE, 4)
    data = age.format_armor(age.encrypt_bytes(spoilt.encode(), [recipient]))
    (desk.folder / "eve.age").write_bytes(data)
    check_sentence(desk.evault("list", desk.house.path, who="eve"), {3})
