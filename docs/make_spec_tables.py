"""Fills the generated blocks of ``docs/spec.md``: tables, limits and examples, all from the code.

    python docs/make_spec_tables.py             write the blocks again
    python docs/make_spec_tables.py --check     exit 1 if a block is not what the code says

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. Every
run writes the same: the examples come from fixed seeds, and leave out what is randomised
(ML-DSA-44 signatures, HPKE).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from vault import (
    Identity,
    access,
    age,
    bag,
    bundle,
    codec,
    commitment,
    identity,
    keyring,
    layout,
    stored,
)
from vault.age import header, scrypt
from vault.bundle.items import make_item
from vault.commitment import FIELDS_LABEL, ITEM_LABEL
from vault.event import (
    COMMON_FIELDS,
    EVENT_LABEL,
    EVENT_TYPES,
    ITEM_FIELDS,
    MAX_EVENT,
    MAX_FIELDS_FILE,
    MAX_PARTS,
    MAX_READERS,
    Event,
    EventType,
    FieldsHeader,
    Key,
    Kind,
    SealedFile,
    encoding,
    format_body,
    format_event,
    format_fields_file,
    kinds,
)
from vault.identity import CARD_ORIGIN
from vault.log.files import MAX_CHECKPOINT
from vault.replacement import MAX_REPLACEMENTS
from vault.tlog import checkpoint, merkle, note

PAGE: Final = Path(__file__).parent / "spec.md"
_BLOCK: Final = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

SEED: Final = bytes(range(32))
VAULT: Final = hashlib.sha256(b"an example").digest()


# --- the tables of events and fields ----------------------------------------------------------


def _kind_names() -> dict[int, str]:
    """Return the short name of each kind by its object; ``SEALED_FILE`` is ``sealed-file``."""
    return {
        id(value): name.lower().replace("_", "-")
        for name, value in vars(kinds).items()
        if isinstance(value, Kind) and name != "WHOLE"  # another name of UINT
    }


_NAMES: Final = _kind_names()


def _kind(kind: Kind) -> str:
    return _NAMES.get(id(kind), kind.about)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join([_row(*head), _row(*("---" for _ in head)), *(_row(*row) for row in rows)])


def kinds_table() -> str:
    """The short names that the tables of events use, and what they stand for."""
    named = {
        _NAMES[id(value)]: value.about for value in vars(kinds).values() if id(value) in _NAMES
    }
    return _table(("kind", "a value of it is"), ((f"`{name}`", named[name]) for name in named))


def _data(event: EventType) -> str:
    parts = (
        f"`{key.name}`{'' if key.required else ' (optional)'}: {_kind(key.kind)}"
        for key in event.data
    )
    return "; ".join(parts) or "empty"


def events_table() -> str:
    """Every type with its writers and public data."""
    return _table(
        ("type", "names a bundle", "a role of", "`data`"),
        (
            (
                f"`{event.name}`",
                "yes" if event.about_bundle else "no",
                ", ".join(event.writers),
                _data(event),
            )
            for event in EVENT_TYPES.values()
        ),
    )


def _fields(keys: tuple[Key, ...]) -> str:
    runs = itertools.groupby(keys, lambda key: _kind(key.kind))
    return "; ".join(f"{' '.join(f'`{key.name}`' for key in run)}: {kind}" for kind, run in runs)


def fields_table() -> str:
    """The private fields of every type, in their order, without the common ones at the end."""
    return _table(
        ("type", "fields, in this order, then the common fields"),
        (
            (f"`{event.name}`", _fields(event.fields[: -len(COMMON_FIELDS)]) or "none of its own")
            for event in EVENT_TYPES.values()
        ),
    )


def common_fields() -> str:
    """The fields that every type ends with."""
    return _row("common fields, in this order") + _row("---") + _row(_fields(COMMON_FIELDS))


def item_fields() -> str:
    """The fields of an item."""
    return _row("fields of an item, in this order") + _row("---") + _row(_fields(ITEM_FIELDS))


def limits() -> str:
    """Every limit of the format, from the constant that enforces it."""
    rows = (
        ("an entry of the log (a leaf)", f"{MAX_EVENT:,} bytes"),
        ("`seq` of a body", f"{encoding._MAX_SEQ:,} (2⁵³ − 1)"),
        ("`time` of a body", f"{encoding._MAX_TIME:,} (the last second of the year 9999)"),
        ("a size, and any other value of kind `uint` or `seq`", f"{2**63 - 1:,} (2⁶³ − 1)"),
        ("containers within one another in msgpack", str(codec.MAX_DEPTH)),
        ("elements of a msgpack array", f"{codec._MAX_ARRAY:,}"),
        ("entries of a msgpack map", str(codec._MAX_MAP)),
        ("elements, keys and values in one msgpack value, in all", f"{codec._MAX_VALUES:,}"),
        ("a text value", f"{kinds.MAX_TEXT:,} characters"),
        ("a file name that is not UTF-8", f"{kinds.MAX_TEXT:,} bytes"),
        ("a field's name", f"{commitment._MAX_NAME} bytes"),
        ("plaintext of a fields file, before padding", f"{MAX_FIELDS_FILE:,} bytes"),
        (
            "plaintext of a fields file, with padding",
            f"at least {encoding._MIN_FIELDS_FILE:,} bytes",
        ),
        ("readers of an epoch", f"{MAX_READERS:,}"),
        ("epochs that an epoch's file or a history file opens", f"{keyring.MAX_EPOCHS:,}"),
        ("plaintext of an epoch's file or a history file", f"{keyring._MAX_EPOCH_FILE:,} bytes"),
        (
            "a fields, key, epoch or history file, or a manifest, as stored",
            f"{stored.MAX_SMALL_FILE:,} bytes",
        ),
        ("lines of a manifest of files that were encrypted again", f"{MAX_REPLACEMENTS:,}"),
        ("parts of a bundle", f"{MAX_PARTS:,}"),
        ("a part", f"{layout.PART_SIZE:,} bytes, exactly, for every part but the last"),
        ("items of a bundle", f"{bag.MAX_ITEMS:,}"),
        ("one item's record in `evidence.msgpack`", f"{bundle.MAX_ITEM_RECORD:,} bytes"),
        ("`evidence.msgpack`", f"{bundle.MAX_ITEM_RECORDS:,} bytes"),
        ("name on a card", f"{identity.MAX_CARD_NAME} characters"),
        ("a card", f"{identity._MAX_CARD:,} bytes"),
        ("plaintext of an identity file", f"{identity._MAX_IDENTITY_FILE:,} bytes"),
        (
            "work factor that is read, unless a caller raises it",
            str(scrypt.DEFAULT_MAX_WORK_FACTOR),
        ),
        ("an age header", f"{header.MAX_HEADER_SIZE:,} bytes, {header.MAX_STANZAS:,} stanzas"),
        ("`log/checkpoint`, `log/checkpoint.next`", f"{MAX_CHECKPOINT:,} bytes"),
        ("a signed note", f"{note.MAX_NOTE:,} bytes, {note.MAX_SIGNATURES} signatures"),
    )
    return _table(("what", "at most"), rows)


# --- examples ---------------------------------------------------------------------------------


def _text(lines: Iterable[str]) -> str:
    return "```text\n" + "".join(f"{line}\n" for line in lines) + "```\n"


def _hex(data: bytes, indent: str = "  ") -> list[str]:
    text = data.hex()
    return [indent + text[at : at + 88] for at in range(0, len(text), 88)]


def example_msgpack() -> str:
    """A map whose keys are not given in order."""
    value: codec.Packable = {"b": 300, "aa": [True, b"\x01\x02"], "a": "é", "": -1}
    return _text(['{"b": 300, "aa": [true, 0x0102], "a": "é", "": -1}', *_hex(codec.pack(value))])


def example_padme() -> str:
    """Some sizes around the steps."""
    sizes = (0, 1, 9, 100, 1025, 16385, 1_000_000, 2**30 + 1)
    return _text(f"padme({size}) = {codec.padme(size)}" for size in sizes)


def example_identity() -> str:
    """What follows from the seed 00 01 … 1f."""
    me = Identity(SEED)
    keys = me.keys
    return _text(
        [
            f"seed                      {SEED.hex()}",
            f"EVAULT-SECRET line        # {codec.format_bech32('evault-secret-', SEED).upper()}",
            f"age identity line         {me.age.to_string()}",
            f"Ed25519 public key        {keys.ed25519.hex()}",
            f"SHA-256 of the ML-DSA-44 public key  {hashlib.sha256(keys.ml_dsa_44).hexdigest()}",
            f"SHA-256 of the age public key        {hashlib.sha256(keys.age).hexdigest()}",
            f"fingerprint               {keys.fingerprint.hex()}",
            f"key id in its card        {_key_id(CARD_ORIGIN, note.ED25519, keys.ed25519)}",
        ]
    )


def _key_id(name: str, kind: int, public: bytes) -> str:
    return note.key_id(name, kind, public).hex()


def example_tree() -> str:
    """Leaf hashes and roots of the entries 00, 0101."""
    leaves = [merkle.leaf_hash(b"\x00"), merkle.leaf_hash(b"\x01\x01")]
    return _text(
        [
            f"leaf hash of 00          {leaves[0].hex()}",
            f"leaf hash of 0101        {leaves[1].hex()}",
            f"root of the empty tree   {merkle.EMPTY_ROOT.hex()}",
            f"root of both             {merkle.root_of(leaves).hex()}",
        ]
    )


def example_checkpoint() -> str:
    """The text, the two key ids, the message that ML-DSA-44 signs."""
    origin = f"evidence-vault/{VAULT.hex()}"
    keys = Identity(SEED).keys
    head = checkpoint.Checkpoint(origin, 2, merkle.root_of([merkle.leaf_hash(b"\x00")] * 2))
    message = checkpoint.cosigned_message(origin, 0, origin, 0, head.size, head.root)
    return _text(
        [
            *checkpoint.format_checkpoint(head).splitlines(),
            "",
            f"key id, Ed25519    {_key_id(origin, note.ED25519, keys.ed25519)}",
            f"key id, ML-DSA-44  {_key_id(origin, note.ML_DSA_44, keys.ml_dsa_44)}",
            "what ML-DSA-44 signs:",
            *_hex(message),
        ]
    )


def _example_fields() -> tuple[commitment.Field, ...]:
    salts = bytes(range(256)) * 4
    return commitment.commit_fields(
        EVENT_TYPES["vault.noted"].field_names,
        {"text": "Moved to the new office.", "my-field": ("one", "two")},
        lambda size: salts[:size],
    )


def example_event() -> str:
    """A ``vault.noted`` by the identity above, in place 7 of the log."""
    me = Identity(SEED)
    event = Event(
        seq=7,
        type="vault.noted",
        actor=me.ed25519,
        time=1767225600,
        data={},
        vault=VAULT,
        head=merkle.leaf_hash(b"\x00"),
        fields=commitment.fields_root(FIELDS_LABEL, _example_fields()),
        sealed=SealedFile(hashlib.sha256(b"a file").digest(), 2683, bytes(range(8))),
    )
    body = format_body(event)
    sig = me.sign_ed25519(EVENT_LABEL + body)
    leaf = format_event(body, sig)
    return _text(
        [
            f"body ({len(body)} bytes)",
            *_hex(body),
            "sig",
            *_hex(sig),
            f"leaf ({len(leaf)} bytes): {leaf[:10].hex()}…",
            f"leaf hash: {merkle.leaf_hash(leaf).hex()}",
        ]
    )


def example_fields_file() -> str:
    """The beginning of the plaintext of that event's fields file."""
    head = FieldsHeader(Identity(SEED).ed25519, "vault.noted", VAULT, None)
    plaintext = format_fields_file(head, _example_fields())
    used = len(plaintext.rstrip(b"\x00"))
    return _text(
        [
            f"{len(plaintext)} bytes, of which the array takes {used}; SHA-256",
            *_hex(hashlib.sha256(plaintext).digest()),
            "the first 160",
            *_hex(plaintext[:160]),
        ]
    )


def example_commitment() -> str:
    """The first and the last leaf of those fields, and the root under both labels."""
    fields = _example_fields()
    shown = (fields[0], fields[-1])
    lines = []
    for one in shown:
        packed = codec.pack((one.name, one.salt, one.value))
        lines += [f"{one.name}: packed", *_hex(packed), "leaf", *_hex(commitment.field_leaf(one))]
    tree = merkle.root_of([commitment.field_leaf(one) for one in fields])
    return _text(
        [
            *lines,
            f"RFC 6962 root of the {len(fields)} leaves",
            *_hex(tree),
            "committed root as fields of an event",
            *_hex(commitment.fields_root(FIELDS_LABEL, fields)),
        ]
    )


def example_tar() -> str:
    """Digests of whole headers, which hold nothing that is not said in the table."""
    top = bytes(range(16)).hex()
    cases = (
        (f"{top}/", 0),
        (f"{top}/data/000000.jpg", 5),
        (f"{top}/data/000001", 8 * 2**30),
    )
    lines = []
    for name, size in cases:
        data = bag.tar_header(name, size, 1767225600)
        digest = hashlib.sha256(data).hexdigest()
        lines += [f"{name}, size {size}: {len(data)} bytes", f"  SHA-256 {digest}"]
    return _text(lines)


def example_bag() -> str:
    """A bag of one item of five bytes; ``evidence.msgpack`` is left empty to keep it short."""
    top = bytes(range(16)).hex()
    manifest = f"{hashlib.sha256(b'hello').hexdigest()}  data/000000.txt\n"
    contents = bag.tag_files(top, 1767225600, manifest, 5, b"data/000000.txt\thello.txt\n", b"")
    lines = []
    for name, content in zip(bag.TAG_FILES, contents, strict=True):
        lines.append(f"{name}:")
        lines += [f"  {line}" for line in bytes(content).decode().splitlines()]
    return _text(lines)


def example_item() -> str:
    """The record of one item of a bundle, and the roots that follow from it."""
    values: dict[str, codec.Packable] = {
        "original_name": "hello.txt",
        "path": "data/000000.txt",
        "offset": 1536,
        "size": 5,
        "sha256": hashlib.sha256(b"hello").digest(),
        "kind": "document",
        "my-field": "one",
    }
    salts = bytes(range(256))
    item, record = make_item(0, values, lambda size: salts[:size])
    return _text(
        [
            f"record ({len(record)} bytes)",
            *_hex(record),
            f"leaf of {item.fields[0].name}",
            *_hex(commitment.field_leaf(item.fields[0])),
            f"committed root of the item, {len(item.fields)} leaves",
            *_hex(item.root),
            "committed root of a bundle with this item alone",
            *_hex(commitment.items_root([item.root])),
        ]
    )


def example_access() -> str:
    """A record; Ed25519 signs the same bytes in the same way every time."""
    me = Identity(SEED)
    record = access.AccessRecord(
        actor=me.ed25519,
        vault=VAULT,
        size=9,
        root=merkle.leaf_hash(b"\x00"),
        bundle=bytes(range(16)),
        items=(0, 2),
        time=1767225600,
        purpose="Statement for the hearing",
    )
    return _text(access.format_access_record(record, me).decode().splitlines())


def labels() -> str:
    """Every label that a key signs under or a hash begins with."""
    rows = [
        ("Ed25519", "`evidence-vault/event/v1` 0x00", "the body of an event"),
        ("Ed25519, ML-DSA-44", "`evidence-vault/keys/v1` 0x00", "proof of possession"),
        ("Ed25519", f"`{CARD_ORIGIN}` LF", "a card"),
        ("Ed25519", f"`{access.ACCESS_ORIGIN}` LF", "an access record"),
        ("Ed25519", "`evidence-vault/` 64 hex digits LF", "a checkpoint"),
        ("ML-DSA-44", "`subtree/v1` LF 0x00", "a checkpoint (cosigned message)"),
        ("SHA-256", f"0x02 `{_name(FIELDS_LABEL)}` 0x00", "committed root of an event's fields"),
        ("SHA-256", f"0x02 `{_name(ITEM_LABEL)}` 0x00", "committed root of an item"),
        (
            "SHA-256",
            f"0x02 `{_name(commitment.ITEMS_LABEL)}` 0x00",
            "committed root of a bundle's items",
        ),
    ]
    return _table(("by", "begins with", "what"), rows)


def _name(label: bytes) -> str:
    return label.rstrip(b"\x00").decode()


def example_key_file() -> str:
    """The bundle key whose X-Wing seed is 00 01 … 1f."""
    secret = age.HybridIdentity.from_seed(SEED)
    digest = hashlib.sha256(secret.recipient().to_bytes()).hexdigest()
    return _text([secret.to_string(), "", f"key = {digest}"])


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "kinds": kinds_table,
    "events": events_table,
    "fields": fields_table,
    "common-fields": common_fields,
    "item-fields": item_fields,
    "labels": labels,
    "limits": limits,
    "example-msgpack": example_msgpack,
    "example-padme": example_padme,
    "example-identity": example_identity,
    "example-tree": example_tree,
    "example-checkpoint": example_checkpoint,
    "example-event": example_event,
    "example-fields-file": example_fields_file,
    "example-commitment": example_commitment,
    "example-tar": example_tar,
    "example-bag": example_bag,
    "example-item": example_item,
    "example-key-file": example_key_file,
    "example-access": example_access,
}


def filled(page: str) -> str:
    """Return the page with every block as the code gives it; ``KeyError`` for an unknown block."""
    return _BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}{found[4]}", page)


def names_in(page: str) -> list[str]:
    """Return the names of the blocks in a page, in order."""
    return [found[2] for found in _BLOCK.finditer(page)]


def main() -> int:
    """Write the page again, or compare it."""
    parser = argparse.ArgumentParser(description="Fill the generated blocks of docs/spec.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    new = filled(page)
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    return int(check and new != page)


if __name__ == "__main__":
    raise SystemExit(main())
