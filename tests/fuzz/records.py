"""Targets: what a vault holds and people exchange: events, bundles, keys, cards, shares."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Final

from tests.fuzz.table import (
    BUNDLE,
    BUNDLE_KEY,
    EPOCH,
    ME,
    PASSPHRASE,
    same,
    target,
    text_of,
)
from vault import access, age, bag, codec, commitment, founding, identity, keyring, replacement
from vault.bundle import check_bag, read_items
from vault.bundle.items import make_item, names_line, parse_item
from vault.bundle.key import format_bundle_key, parse_bundle_key
from vault.codec import pack
from vault.errors import (
    ArmorError,
    DecryptionError,
    DigestMismatchError,
    FormatError,
    NotAVaultError,
    ProofError,
    ShareError,
    SignatureError,
)
from vault.event import (
    EVENT_TYPES,
    Event,
    FieldsHeader,
    check_event_signature,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
    parse_fields_file,
)
from vault.layout import FORMAT_CONTENT, FORMAT_NAME
from vault.recovery import joining, sheets
from vault.recovery.shares import WORDS, read_words, rs1024, share_of_words, take_words
from vault.relations import parse_reference
from vault.storage import MemoryStore
from vault.tlog import note

# --- events ---------------------------------------------------------------------------------------


def _event(leaf: bytes) -> Event:
    found = parse_event(leaf)
    same(format_event(format_body(found), found.sig), leaf)
    check_event_signature(found)
    return found


@target(FormatError, SignatureError)
def event(data: bytes) -> None:
    _event(data)


@target(FormatError, SignatureError)
def event_of_body(data: bytes) -> None:
    """The input is the body; signed by us, whoever its actor is."""
    if len(data) > 65000:
        raise FormatError("event", "longer than an entry")
    _event(format_event(data, ME.sign_ed25519(b"evidence-vault/event/v1\x00" + data)))


@target(FormatError, SignatureError)
def proven_keys(data: bytes) -> None:
    found = identity.ProvenKeys.from_data(codec.unpack(data))
    same(pack(found.to_data()), data)
    identity.check_possession(found)


NAMES: Final = tuple(EVENT_TYPES)


def _fields_header(number: int) -> FieldsHeader:
    schema = EVENT_TYPES[NAMES[number % len(NAMES)]]
    vault = None if schema.name == "vault.created" else b"\x11" * 32
    bundle = BUNDLE if schema.about_bundle else None
    return FieldsHeader(ME.ed25519, schema.name, vault, bundle)


@target(FormatError)
def fields_file(data: bytes) -> None:
    """The first byte chooses the type of the event."""
    of = _fields_header(data[0] if data else 0)
    same(format_fields_file(of, parse_fields_file(data[1:], of)), data[1:])


@target(FormatError)
def fields_file_with_its_header(data: bytes) -> None:
    """After the first byte the packed array of fields; header and padding are added."""
    of = _fields_header(data[0] if data else 0)
    packed = b"\x92" + pack(of.to_value()) + data[1:]
    whole = packed.ljust(max(4096, codec.padme(len(packed))), b"\x00")
    found = parse_fields_file(whole, of)
    same(format_fields_file(of, found), whole)
    commitment.fields_root(commitment.FIELDS_LABEL, found)


@target(FormatError)
def committed_fields(data: bytes) -> None:
    value = codec.unpack(data)
    found = commitment.parse_fields(value, ("title", "text"))
    same(pack(commitment.format_fields(found)), data)
    assert commitment.values_of(found).keys() <= {field.name for field in found}


# --- bundles --------------------------------------------------------------------------------------


@target(FormatError)
def item_record(data: bytes) -> None:
    item = parse_item(7, codec.unpack(data))
    same(pack(commitment.format_fields(item.fields)), data)
    line = names_line(item)
    assert line.count(b"\n") == 1
    assert codec.is_line(line.decode().replace("\t", " ").rstrip("\n"))
    assert item.stored is None or item.stored[0].startswith("data/000007")
    assert len(item.root) == 32


@target(FormatError)
def evidence_msgpack(data: bytes) -> None:
    source = io.BytesIO(data)
    found = list(read_items(source, 0, len(data)))  # type: ignore[arg-type]
    same(b"".join(record for _, record in found), data)


CONTENTS: Final = (("a.txt", b"seen"), ("b", bytes(513)), ("c.jpg", b""))
TIME: Final = 1_772_355_600


@cache
def sound_bag() -> tuple[bytes, tuple[int, int, int], tuple[bytes, ...]]:
    """Return a plaintext, where its ``evidence.msgpack`` lies, and the records of its items."""
    out = io.BytesIO()
    writer = bag.BagWriter(BUNDLE, TIME, out.write)
    names, records = b"", []
    for number, (name, content) in enumerate(CONTENTS):
        path = bag.item_path(number, name)
        writer.begin(path, len(content), TIME)
        writer.add(content)
        stored = writer.end()
        values = {
            "original_name": name,
            "path": path,
            "offset": stored.offset,
            "size": stored.size,
            "sha256": stored.sha256,
            "type": "document",
        }
        item, record = make_item(number, values, lambda size: b"\x05" * size)
        names += names_line(item)
        records.append(record)
    offset, total = writer.finish(names, b"".join(records))
    return out.getvalue(), (offset, sum(map(len, records)), total), tuple(records)


@target(FormatError, DigestMismatchError)
def bag_of_known_items(data: bytes) -> None:
    """The tar of a bundle, by what its items say: nothing but an item's time is free in it."""
    plaintext, where, records = sound_bag()
    items = [parse_item(number, codec.unpack(record)) for number, record in enumerate(records)]
    check_bag(io.BytesIO(data), BUNDLE, items, where)  # type: ignore[arg-type]
    differing = sum(one != two for one, two in zip(data, plaintext, strict=True))
    assert differing <= 18 * len(items), "bytes that are not as they were written"


@target(FormatError, DigestMismatchError)
def bag_and_its_items(data: bytes) -> None:
    """Sixteen bytes say where the items lie, the rest is a plaintext: hostile in both."""
    offset, size = (int.from_bytes(data[at : at + 8], "big") >> 1 for at in (0, 8))
    plaintext = data[16:]
    source = io.BytesIO(plaintext)
    if offset > len(plaintext):
        offset %= len(plaintext) + 1
    items = [item for item, _ in read_items(source, offset, size)]  # type: ignore[arg-type]
    check_bag(source, BUNDLE, items, (offset, size, len(plaintext)))  # type: ignore[arg-type]


@target(FormatError, ProofError)
def bundle_key(data: bytes) -> None:
    key = hashlib.sha256(BUNDLE_KEY.recipient().to_bytes()).digest()
    same(format_bundle_key(parse_bundle_key(data, key)), data)


@target(FormatError)
def epoch_file(data: bytes) -> None:
    found = keyring.parse_epoch_file(data)
    same(keyring.format_epoch_file(found.items()), data)


@target(FormatError)
def rekey_manifest(data: bytes) -> None:
    found = replacement.parse_manifest(data, EPOCH, "manifest")
    same(replacement.format_manifest(found), data)


@target(FormatError, NotAVaultError)
def format_line(data: bytes) -> None:
    founding.check_format(MemoryStore({FORMAT_NAME: data}))
    same(data, FORMAT_CONTENT)


@target()
def reference(data: bytes) -> None:
    text = text_of(data)
    found = parse_reference(text)
    if found is not None:
        same(str(found), text)


# --- people ---------------------------------------------------------------------------------------


@target(FormatError, SignatureError)
def card(data: bytes) -> None:
    same(identity.parse_card(data).raw, data)


def _signed(text: bytes, origin: str) -> bytes:
    """Return a text as a note that we signed."""
    key_id = note.key_id(origin, note.ED25519, ME.ed25519)
    line = codec.format_base64(key_id + ME.sign_ed25519(text))
    return text + f"\n— {origin} {line}\n".encode()


@target(FormatError, SignatureError)
def card_with_its_signature(data: bytes) -> None:
    found = identity.parse_card(_signed(data, identity.CARD_ORIGIN))
    assert found.keys == ME.keys
    assert codec.is_line(found.name)
    lines = data.decode().split("\n")
    same((f"name {found.name}", f"created {found.created}"), (lines[1], lines[2]))


@target(FormatError, SignatureError)
def access_record(data: bytes) -> None:
    found = access.check_access_record(data)
    same(access._text(found), note.parse_note(data).text)


@target(FormatError, SignatureError)
def access_record_with_its_signature(data: bytes) -> None:
    whole = _signed(data, access.ACCESS_ORIGIN)
    found = access.check_access_record(whole)
    same(access.format_access_record(found, ME), whole)


@target(ArmorError, FormatError, DecryptionError)
def identity_file(data: bytes) -> None:
    """The passphrase step apart: a work factor of 1 is the most that is read."""
    identity.parse_identity_file(data, PASSPHRASE, max_work_factor=1)


@target(FormatError)
def identity_file_inside(data: bytes) -> None:
    """The input is the plaintext, under a passphrase of the least work."""
    file = age.encrypt_bytes(data, [age.ScryptRecipient(PASSPHRASE, 1)])
    found = identity.parse_identity_file(file, PASSPHRASE, 1)
    plain = age.decrypt_bytes(
        identity.format_identity_file(found, PASSPHRASE, 1), [age.ScryptIdentity(PASSPHRASE)]
    )
    same(plain, data)


@target(ShareError)
def share_file(data: bytes) -> None:
    found = sheets.parse_share_file(data, "sheet")
    same(share_of_words(read_words(" ".join(found.words))).words, found.words)


def _share(data: bytes) -> tuple[str, ...]:
    """Return words of a share with the checksum that they should have: ten bits from two bytes."""
    values = [int.from_bytes(data[at : at + 2], "big") & 1023 for at in range(0, 60, 2)]
    extendable = values[1] >> 4 & 1
    label = b"shamir_extendable" if extendable else b"shamir"
    words = sheets_words()
    return tuple(words[at] for at in (*values, *rs1024.create_checksum(values, label)))


@cache
def sheets_words() -> Sequence[str]:
    """Return the words that shares are made of."""
    from shamir_mnemonic.wordlist import WORDLIST

    return tuple(WORDLIST)


@target(ShareError)
def shares_with_their_checksums(data: bytes) -> None:
    """Each sixty bytes are a share; all are joined, as if somebody had typed them."""
    session = joining.Joining()
    for at in range(0, min(len(data), 300), 60):
        words = _share(data[at : at + 60])
        found, error = take_words(" ".join(words))
        assert (error, len(found)) == (None, WORDS)
        session.add(share_of_words(found, str(at)))
    session.identity()
