"""Makes the corpus: for each target small files that it takes, made by the project itself.

    python -m tests.fuzz.make_corpus [FOLDER]

Files that it does not make itself, which are the minimised findings, stay as they are.
"""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bundles.scene import READER, card, contents, new_vault, open_vault, seal
from tests.fuzz import records
from tests.fuzz.table import BUNDLE_KEY, EPOCH, FILE_KEY, ME, NONCE, PASSPHRASE, Sink
from tests.fuzz.targets import TARGETS
from vault import access, age, codec, identity, keyring, replacement
from vault.access import AccessRecord
from vault.age import Stanza, armor, header, stream
from vault.commitment import commit_fields, format_fields
from vault.custody import Policy
from vault.event import EVENT_TYPES, SealedFile, format_fields_file, parse_event
from vault.layout import FORMAT_CONTENT, bundle_key_name, fields_name
from vault.recovery import make_sheets, split_identity
from vault.recovery.sheets import format_sheet_text
from vault.storage import Store
from vault.tlog import merkle, note, proof, tiles
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint

CORPUS: Final = Path(__file__).with_name("corpus")
DAY: Final = datetime.date(2026, 3, 1)

Made = Iterator[tuple[str, str, bytes]]
"""Target, name, content."""


def _salts(size: int) -> bytes:
    return b"\x05" * size


def encodings() -> Made:
    yield "base64", "padded", b"ZXZpZGVuY2U="
    yield "base64", "raw", b"ZXZpZGVuY2U"
    for number in (0, 7, 2**63 - 1):
        yield "decimal", str(number), str(number).encode()
    yield "hexadecimal", "digest", b"00ff" * 16
    recipient = age.X25519Identity.from_seed(b"\x0d" * 32)
    for name, text in (
        ("hybrid-identity", BUNDLE_KEY.to_string()),
        ("identity", recipient.to_string()),
        ("recipient", recipient.recipient().to_string()),
        ("hybrid-recipient", BUNDLE_KEY.recipient().to_string()),
    ):
        yield "bech32", name, text.encode()
        hrp, _, rest = text.rpartition("1")
        values = bytes(codec._BECH32_VALUES[one] for one in rest.lower()[:-6])
        yield "bech32-with-its-checksum", name, hrp.encode() + b"1" + values
    values_: tuple[codec.Packable, ...] = (
        {"a": 1, "bb": (b"\x00", "x", True), "c": {"d": -1}},
        (0, 127, 128, 2**16, 2**32, 2**64 - 1, -(2**63)),
        ((((((((),),),),),),),),
        "x" * 40,
    )
    for at, value in enumerate(values_):
        yield "msgpack", str(at), codec.pack(value)


def ages() -> Made:
    fuzz = Stanza("fuzz", ("argument", "!~"), bytes(48))
    x25519 = (
        age.X25519Identity.from_seed(b"\x0d" * 32).recipient()._wrap_with(FILE_KEY, b"\x03" * 32)
    )
    hybrid = BUNDLE_KEY.recipient().wrap(FILE_KEY)[0]
    for name, stanzas in (
        ("fuzz", (fuzz,)),
        ("two", (fuzz, Stanza("a", (), b""))),
        ("x25519", (x25519,)),
        ("hybrid", (hybrid,)),
    ):
        raw = header.format_header(stanzas, FILE_KEY)
        yield "age-header", name, raw
        covered = raw[: raw.rindex(b"\n---")]
        yield "age-file-with-its-mac", name, covered
        payload = io.BytesIO()
        key = stream.payload_key(FILE_KEY, NONCE)
        with stream.Writer(Sink(payload), key) as writer:
            writer.write(b"evidence" * 9)
        whole = raw + NONCE + payload.getvalue()
        yield "age-file", name, whole
        yield "age-armor", name, armor.format_armor(whole)
        if name == "fuzz":
            yield "age-file", "armored", armor.format_armor(whole)
            yield "age-payload", "short", payload.getvalue()
            yield "age-armor", "crlf", armor.format_armor(whole).replace(b"\n", b"\r\n")
            yield "age-armor", "empty", armor.format_armor(b"")
    for name, chunks in (("one", "000100"), ("empty", "000101"), ("two", "000000010102")):
        yield "age-payload-of-sound-chunks", name, bytes.fromhex(chunks)


def logs() -> Made:
    yield (
        "signed-note",
        "plain",
        note.format_note(
            note.Note("text\n\nmore\n", (note.Signature("name", b"\x01\x02\x03\x04", b"x"),))
        ),
    )
    origin = "evidence-vault/" + "ab" * 32
    signed = sign_checkpoint(Checkpoint(origin, 300, b"\x07" * 32), ME)
    yield "signed-checkpoint", "ours", signed
    yield "pin-of-this-machine", "ours", signed
    yield "checkpoint-text", "ours", signed.partition(b"\n\n")[0] + b"\n"
    yield "signed-note", "checkpoint", signed.replace(b"AAAA", b"AAAB", 1)
    for kind, public in ((note.ED25519, ME.ed25519), (note.ML_DSA_44, ME.ml_dsa_44)):
        vkey = note.VerifierKey("name", kind, public)
        yield "verifier-key", str(kind), note.format_vkey(vkey).encode()
        yield "verifier-key-with-its-id", str(kind), b"name+" + bytes((kind,)) + public
    yield (
        "tlog-proof",
        "extra",
        proof.format_proof(proof.TlogProof(7, (b"\x01" * 32, b"\x02" * 32), signed, b"extra")),
    )
    tree = merkle.MemoryTree([b"\x00" * 32, b"\x01" * 32])
    two = sign_checkpoint(Checkpoint(origin, 2, tree.root()), ME)
    yield (
        "tlog-proof",
        "sound",
        proof.format_proof(proof.TlogProof(0, merkle.prove_inclusion(0, 2, tree), two)),
    )
    for tile in (
        tiles.Tile(0, 0),
        tiles.Tile(tiles.ENTRIES, 1234067, 8),
        tiles.Tile(5, 999, 255),
    ):
        path = tiles.tile_path(tile)
        yield "tile-path", path.replace("/", "-"), path.encode()
    yield "hash-tile", "three", b"\x02" + tiles.format_tile([b"\x01" * 32] * 3)
    yield "entry-bundle", "three", b"\x02" + tiles.format_entry_bundle([b"", b"x", b"y" * 300])


def vaults() -> Made:
    vault = new_vault(policy=Policy(60, two_person_destroy=True))
    first = seal(vault, b"one", b"two", title="first")
    reader = open_vault(vault.store, READER)
    with reader.open_item(first.id, 0, purpose="a look") as item:
        item.read()
    reader.append("bundle.noted", bundle=first.id, fields={"text": "seen"})
    kinds = set()
    for number, event in enumerate(reader.events()):
        # What admissions hold alone is 5 KiB: one of each type, and not the closing checkpoints.
        if event.type in kinds or len(event.leaf) > 6000:
            continue
        kinds.add(event.type)
        yield "event", f"{number}-{event.type}", event.leaf
        yield "event-of-body", f"{number}-{event.type}", parse_event(event.leaf).body
    yield "format-line", "first", FORMAT_CONTENT
    yield from _small_files(reader.store)


def _small_files(store: Store) -> Made:
    files = contents(store)
    yield (
        "age-file",
        "epoch",
        next(data for name, data in files.items() if name.startswith("keys/")),
    )


def fields() -> Made:
    for number, name in enumerate(records.NAMES):
        if name not in ("vault.created", "bundle.sealed", "custody.released", "vault.noted"):
            continue
        schema = EVENT_TYPES[name].field_names
        values: dict[str, codec.Packable] = {
            key: "x" for key in ("title", "text", "place") if key in schema
        }
        found = commit_fields(schema, {**values, "own": ("a", "b")}, _salts)
        of = records._fields_header(number)
        yield "fields-file", name, bytes((number,)) + format_fields_file(of, found)
        yield (
            "fields-file-with-its-header",
            name,
            bytes((number,)) + codec.pack(format_fields(found)),
        )
    found = commit_fields(("title", "text"), {"title": "x", "own": "y", "p": ("q",)}, _salts)
    yield "committed-fields", "four", codec.pack(format_fields(found))


def bundles() -> Made:
    plaintext, (offset, size, _), items = records.sound_bag()
    yield "bag-of-known-items", "sound", plaintext
    where = (offset << 1).to_bytes(8, "big") + (size << 1).to_bytes(8, "big")
    yield "bag-and-its-items", "sound", where + plaintext
    yield "evidence-msgpack", "three", b"".join(items)
    yield "item-record", "first", items[0].replace(b"000000", b"000007")
    yield "bundle-key", "ours", f"{BUNDLE_KEY.to_string()}\n".encode()
    epochs = ((bytes((n,)) * 8, age.HybridIdentity.from_seed(bytes((n,)) * 32)) for n in (2, 1))
    yield "epoch-file", "two", keyring.format_epoch_file(epochs)
    rows = []
    for n in range(3):
        one, two = bytes((n,)) * 32, bytes((n + 9,)) * 32
        rows.append(
            replacement.Replacement(
                fields_name(one), fields_name(two), SealedFile(two, 4608 + n, EPOCH)
            )
        )
        bundle = bytes((n,)) * 16
        rows.append(
            replacement.Replacement(
                bundle_key_name(bundle, b"\x01" * 8, one),
                bundle_key_name(bundle, EPOCH, two),
                SealedFile(two, 2104, EPOCH),
            )
        )
    yield "rekey-manifest", "six", replacement.format_manifest(rows)
    for name, text in (("bundle", "0a" * 16), ("item", "0a" * 16 + "/12")):
        yield "reference", name, text.encode()


def people() -> Made:
    made = card(ME).raw
    yield "card", "ours", made
    text = made[: made.rindex(b"\n\n") + 1]
    yield "card-with-its-signature", "ours", text
    yield "proven-keys", "ours", codec.pack(ME.proven.to_data())
    record = AccessRecord(
        ME.ed25519, b"\x11" * 32, 9, b"\x07" * 32, b"\xb0" * 16, (0, 2), 1_772_355_600, "a look"
    )
    written = access.format_access_record(record, ME)
    yield "access-record", "ours", written
    yield "access-record-with-its-signature", "ours", written[: written.rindex(b"\n\n") + 1]
    file = identity.format_identity_file(ME, PASSPHRASE, 1)
    yield "identity-file", "ours", file
    plain = age.decrypt_bytes(file, [age.ScryptIdentity(PASSPHRASE)])
    yield "identity-file-inside", "ours", plain
    shares = split_identity(ME, 2, 3)
    for sheet in make_sheets(ME, shares, DAY, name="Mina", vaults=[b"\x11" * 32])[:1]:
        yield "share-file", "sheet", format_sheet_text(sheet).encode()
    words = shares[1].words
    yield "share-file", "words", " ".join(words).encode()
    numbered = "\n".join(f"{n}. {word[:4].upper()}" for n, word in enumerate(words, 1))
    yield "share-file", "numbered", numbered.encode()
    places = {word: at for at, word in enumerate(records.sheets_words())}
    yield (
        "shares-with-their-checksums",
        "two",
        b"".join(
            places[word].to_bytes(2, "big") for share in shares[:2] for word in share.words[:30]
        ),
    )


def machine() -> Made:
    audit = b'{"size": 9, "root": "00", "time": 1772355600, "evidence_read": 0}'
    yield "audit-of-this-machine", "ours", audit
    line = b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - ext3 /dev/root rw\n"
    yield "mounts", "line", line
    json = (
        b'{"title": "first", "consent": {"status": "given", "scope": ["a", "b"]}, "own": "x",\n'
        b' "testimony": {"read_back": true, "start": "2026-03-01T14:05+05:00"}, "none": null,\n'
        b' "device": {"make": "x"}, "items": {"a.txt": {"title": "one", "n": 1.50}}}\n'
    )
    yield "fields-of-json", "fields", json
    yield "passphrase-file", "line", b"six words\r\n"


def made() -> Made:
    """Yield every file of the corpus that is made here."""
    for one in (encodings, ages, logs, vaults, fields, bundles, people, machine):
        yield from one()


def main(folder: Path) -> None:
    """Write the corpus."""
    count = 0
    for name, file, data in made():
        assert name in TARGETS, name
        place = folder / name / f"{file}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        count += 1
    print(f"{count} files for {len(TARGETS)} targets in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
