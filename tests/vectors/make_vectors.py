"""Makes the vectors of the formats: ``python tests/vectors/make_vectors.py`` writes them here.

Everything follows from fixed seeds, but for ML-DSA-44 signatures, which are hedged with fresh
randomness (FIPS 204). Those are kept in ``ml-dsa-44.json``, one for each message, and are used
again as long as they verify: so a second run writes the same bytes, and a test holds it to that.
Another implementation verifies them, and can't make them again.

Bytes are hexadecimal; in values, ``{"bin": HEX}`` stands for binary.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1])] if __name__ == "__main__" else []

from vault import codec, commitment  # noqa: E402 - run as a program, it finds the checkout
from vault.commitment import FIELDS_LABEL, ITEM_LABEL, Field  # noqa: E402
from vault.errors import SignatureError  # noqa: E402
from vault.event import (  # noqa: E402
    EVENT_LABEL,
    EVENT_TYPES,
    Event,
    FieldsHeader,
    SealedFile,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
)
from vault.identity import Identity, ProvenKeys, format_card  # noqa: E402
from vault.tlog import checkpoint, merkle, note  # noqa: E402

SEEDS: Final = (bytes(range(32)), b"\x07" * 32)
NAMES: Final = ("Ayesha Khan", "عائشہ خان")
CREATED: Final = datetime.date(2026, 3, 1)


class Kept:
    """An identity that repeats the ML-DSA-44 signatures it made before."""

    def __init__(self, identity: Identity, kept: dict[str, str], used: dict[str, str]) -> None:
        self.identity = identity
        self.ed25519 = identity.ed25519
        self.ml_dsa_44 = identity.ml_dsa_44
        self.sign_ed25519 = identity.sign_ed25519
        self._kept = kept
        self._used = used
        message = identity.keys.message
        proofs = identity.sign_ed25519(message), self.sign_ml_dsa_44(message)
        # The cached property is what the card and the events take the proofs from.
        vars(identity)["proven"] = ProvenKeys(identity.keys, *proofs)

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        name = hashlib.sha256(self.ml_dsa_44 + message).hexdigest()
        signature = bytes.fromhex(self._kept.get(name, ""))
        try:
            note.verify_ml_dsa_44(self.ml_dsa_44, message, signature)
        except SignatureError:
            signature = self.identity.sign_ml_dsa_44(message)
        self._used[name] = signature.hex()
        return signature


def plain(value: codec.Value) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    if isinstance(value, tuple):
        return [plain(element) for element in value]
    return value


def identities(people: tuple[Kept, ...]) -> Any:
    """Seed, derived seeds and keys, fingerprint, both text forms, card."""
    found = []
    for person, name in zip(people, NAMES, strict=True):
        one = person.identity
        found.append(
            {
                "seed": one.seed.hex(),
                "secret": codec.format_bech32("evault-secret-", one.seed).upper(),
                "age_identity": one.age.to_string(),
                "age_recipient": one.keys.recipient.to_string(),
                "ed25519": one.ed25519.hex(),
                "ml_dsa_44": one.ml_dsa_44.hex(),
                "age": one.keys.age.hex(),
                "possession_message_sha256": hashlib.sha256(one.keys.message).hexdigest(),
                "ed25519_proof": one.proven.ed25519_proof.hex(),
                "ml_dsa_44_proof": one.proven.ml_dsa_44_proof.hex(),
                "fingerprint": one.keys.fingerprint.hex(),
                "card": format_card(one, name, CREATED).decode("utf-8"),
            }
        )
    return found


def msgpack() -> Any:
    """Values with their one encoding, and encodings that are refused."""
    values: tuple[codec.Value, ...] = (
        0,
        127,
        128,
        65535,
        65536,
        2**32,
        2**64 - 1,
        -1,
        -33,
        -(2**63),
        True,
        False,
        "",
        "é",
        "e\u0301",
        "x" * 32,
        b"",
        b"\xff" * 256,
        (),
        (0,) * 16,
        {},
        {"b": 1, "a": (b"\x00", {"": False}), "aa": "z", "é": -128},
        ((((((((),),),),),),),),
    )
    refused = {
        "cc7f": "a longer form of 127",
        "d901 61": "a longer form of a string",
        "dc0000": "a longer form of an empty array",
        "82a16200a16100": "keys out of order",
        "82a16100a16100": "a key twice",
        "810000": "a key that is not a string",
        "c0": "nil",
        "cb0000000000000000": "a float",
        "d40000": "an extension",
        "a1ff": "not UTF-8",
        "91" * 9 + "00": "nine containers deep",
        "0000": "bytes after the value",
        "91": "cut short",
    }
    return {
        "values": [{"value": plain(value), "bytes": codec.pack(value).hex()} for value in values],
        "refused": [{"bytes": k.replace(" ", ""), "why": why} for k, why in refused.items()],
    }


def salted(names: tuple[str, ...], values: dict[str, Any]) -> tuple[Field, ...]:
    """Salt fields with the bytes that count up from 0."""
    return commitment.commit_fields(names, values, lambda size: bytes(n % 251 for n in range(size)))


def commitments() -> Any:
    """Fields, their leaves, committed roots and a proof; an items tree."""
    values = {"title": "A title", "edited": False, "zeta": "further", "scope": ("a", "b")}
    fields = salted(("title", "place", "edited", "size"), values)
    leaves = [commitment.field_leaf(field) for field in fields]
    proof = commitment.prove(leaves, 2)
    items = [hashlib.sha256(bytes((n,))).digest() for n in range(5)]
    shown = commitment.prove([merkle.leaf_hash(item) for item in items], 4)
    return {
        "schema": ["title", "place", "edited", "size"],
        "fields": plain(commitment.format_fields(fields)),
        "leaves": [leaf.hex() for leaf in leaves],
        "fields_root": commitment.fields_root(FIELDS_LABEL, fields).hex(),
        "item_root": commitment.fields_root(ITEM_LABEL, fields).hex(),
        "proof_of_field_2": {"root": proof.root.hex(), "hashes": [h.hex() for h in proof.hashes]},
        "items": [item.hex() for item in items],
        "items_root": commitment.items_root(items).hex(),
        "proof_of_item_4": {"root": shown.root.hex(), "hashes": [h.hex() for h in shown.hashes]},
    }


def signed(event: Event, person: Kept) -> Event:
    """Sign an event and read it back."""
    body = format_body(event)
    return parse_event(format_event(body, person.sign_ed25519(EVENT_LABEL + body)))


def log(people: tuple[Kept, ...]) -> Any:
    """Three events by two actors, the fields file of one, and the checkpoint after each."""
    owner, other = people
    fields = salted(EVENT_TYPES["vault.created"].field_names, {"title": "Vectors"})
    file = SealedFile(b"\x0f" * 32, 4096, b"\xe0" * 8)
    root = commitment.fields_root(FIELDS_LABEL, fields)
    data: dict[str, codec.Value] = {
        "nonce": b"\x01" * 32,
        "keys": dict(owner.identity.proven.to_data()),
        "policy": {"clock": 60, "two_person_destroy": True},
    }
    genesis = Event(0, "vault.created", owner.ed25519, 1772355600, data, fields=root, sealed=file)
    events = [signed(genesis, owner)]
    vault = hashlib.sha256(events[0].leaf).digest()
    origin = f"evidence-vault/{vault.hex()}"
    bundle = b"\xb0" * 16
    tree = merkle.MemoryTree([events[0].leaf_hash])
    heads = [checkpoint.sign_checkpoint(checkpoint.Checkpoint(origin, 1, tree.root()), owner)]
    sealing = Event(
        1,
        "bundle.sealed",
        owner.ed25519,
        1772355660,
        {
            "key": b"\x02" * 32,
            "key_file": (b"\x03" * 32, 1700, b"\xe0" * 8),
            "parts": ((b"\x04" * 32, 16384),),
            "items": b"\x05" * 32,
        },
        vault=vault,
        head=tree.root(),
        bundle=bundle,
    )
    events.append(signed(sealing, owner))
    tree.append(events[1].leaf_hash)
    heads.append(checkpoint.sign_checkpoint(checkpoint.Checkpoint(origin, 2, tree.root()), owner))
    noted = Event(
        2,
        "bundle.noted",
        other.ed25519,
        1772355720,
        {},
        vault=vault,
        head=tree.root(),
        bundle=bundle,
        prev=events[1].leaf_hash,
        closes=heads[1],
    )
    events.append(signed(noted, other))
    tree.append(events[2].leaf_hash)
    heads.append(checkpoint.sign_checkpoint(checkpoint.Checkpoint(origin, 3, tree.root()), other))
    plaintext = format_fields_file(FieldsHeader.of(events[0]), fields)
    return {
        "vault": vault.hex(),
        "origin": origin,
        "events": [
            {
                "body": event.body.hex(),
                "sig": event.sig.hex(),
                "leaf": event.leaf.hex(),
                "leaf_hash": event.leaf_hash.hex(),
            }
            for event in events
        ],
        "fields_file_of_event_0": {
            "plaintext_size": len(plaintext),
            "plaintext_without_padding": plaintext.rstrip(b"\x00").hex(),
            "fields_root": root.hex(),
        },
        "checkpoints": [head.decode("utf-8") for head in heads],
    }


def make(kept: dict[str, str]) -> dict[str, Any]:
    """Return the content of each file by name; ``kept`` are ML-DSA-44 signatures made before."""
    used: dict[str, str] = {}
    people = tuple(Kept(Identity(seed), kept, used) for seed in SEEDS)
    return {
        "identity": identities(people),
        "msgpack": msgpack(),
        "commitment": commitments(),
        "log": log(people),
        "ml-dsa-44": dict(sorted(used.items())),
    }


def read(name: str) -> Any:
    """Return the content of a file of vectors."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def text(content: Any) -> str:
    """Return the text of a file of vectors."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write every file."""
    kept = read("ml-dsa-44") if (HERE / "ml-dsa-44.json").exists() else {}
    for name, content in make(kept).items():
        (HERE / f"{name}.json").write_text(text(content), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
