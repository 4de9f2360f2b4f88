"""The published vectors: made again they are the same, and each says what it should."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vault.age import HybridIdentity, HybridRecipient
from vault.codec import Value, pack, parse_bech32, unpack
from vault.commitment import FIELDS_LABEL, ITEMS_LABEL, Proof, check_proof, fields_root
from vault.errors import FormatError
from vault.event import (
    EVENT_LABEL,
    FieldsHeader,
    check_event_signature,
    parse_event,
    parse_fields_file,
)
from vault.identity import Identity, parse_card
from vault.tlog import checkpoint, merkle, note


def load() -> ModuleType:
    path = Path(__file__).parents[1] / "vectors" / "make_vectors.py"
    spec = importlib.util.spec_from_file_location("make_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = load()
NAMES = ("identity", "msgpack", "commitment", "log", "ml-dsa-44")


def value_of(content: Any) -> Value:
    """Undo what the maker did so that JSON can hold a value."""
    if isinstance(content, dict):
        if content.keys() == {"bin"}:
            return bytes.fromhex(content["bin"])
        return {key: value_of(element) for key, element in content.items()}
    if isinstance(content, list):
        return tuple(value_of(element) for element in content)
    return content  # type: ignore[no-any-return]


def hkdf(seed: bytes, purpose: str) -> bytes:
    """RFC 5869 with SHA-256 and no salt, one block: written out, so that nothing is shared."""
    key = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(key, f"evidence-vault/v1/{purpose}".encode() + b"\x01", "sha256")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    content: dict[str, Any] = MAKER.make(MAKER.read("ml-dsa-44"))
    return content


@pytest.mark.parametrize("name", NAMES)
def test_made_again_the_vectors_are_the_same_to_the_byte(name: str, made: dict[str, Any]) -> None:
    assert (MAKER.HERE / f"{name}.json").read_bytes() == MAKER.text(made[name]).encode()


def test_there_is_no_file_of_vectors_that_is_not_made(made: dict[str, Any]) -> None:
    assert {path.stem for path in MAKER.HERE.glob("*.json")} == set(made) == set(NAMES)


def test_a_run_without_kept_signatures_changes_nothing_but_them(made: dict[str, Any]) -> None:
    fresh = MAKER.make({})
    assert len(fresh["ml-dsa-44"]) == len(made["ml-dsa-44"])
    assert fresh["msgpack"] == made["msgpack"]
    assert fresh["commitment"] == made["commitment"]
    assert fresh["identity"][0]["fingerprint"] == made["identity"][0]["fingerprint"]
    assert fresh["identity"][0]["ed25519_proof"] == made["identity"][0]["ed25519_proof"]
    assert fresh["identity"][0]["ml_dsa_44_proof"] != made["identity"][0]["ml_dsa_44_proof"]


@pytest.mark.parametrize("vector", MAKER.read("identity"), ids=["first", "second"])
def test_an_identity_follows_from_its_seed(vector: dict[str, str]) -> None:
    seed = bytes.fromhex(vector["seed"])
    one = Identity(seed)
    assert parse_bech32(vector["secret"]) == ("evault-secret-", seed)
    assert one.ed25519.hex() == vector["ed25519"]
    assert one.ml_dsa_44.hex() == vector["ml_dsa_44"]
    assert HybridIdentity.from_string(vector["age_identity"]).seed == hkdf(seed, "age")
    recipient = HybridRecipient.from_string(vector["age_recipient"])
    assert recipient.to_bytes().hex() == vector["age"]
    message = b"evidence-vault/keys/v1\x00" + bytes.fromhex(
        vector["ed25519"] + vector["ml_dsa_44"] + vector["age"]
    )
    assert hashlib.sha256(message).hexdigest() == vector["fingerprint"]
    note.verify_ed25519(one.ed25519, message, bytes.fromhex(vector["ed25519_proof"]))
    note.verify_ml_dsa_44(one.ml_dsa_44, message, bytes.fromhex(vector["ml_dsa_44_proof"]))
    card = parse_card(vector["card"].encode())
    assert card.keys == one.keys
    assert card.created == "2026-03-01"


def test_the_keys_come_from_hkdf_with_their_purposes() -> None:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    from nacl.signing import SigningKey

    seed = bytes(range(32))
    one = Identity(seed)
    assert bytes(SigningKey(hkdf(seed, "ed25519")).verify_key) == one.ed25519
    ml_dsa = MLDSA44PrivateKey.from_seed_bytes(hkdf(seed, "ml-dsa-44"))
    assert ml_dsa.public_key().public_bytes_raw() == one.ml_dsa_44
    assert one.age == HybridIdentity.from_seed(hkdf(seed, "age"))


@pytest.mark.parametrize("vector", MAKER.read("msgpack")["values"], ids=lambda v: v["bytes"][:20])
def test_a_value_has_its_encoding(vector: dict[str, Any]) -> None:
    value, raw = value_of(vector["value"]), bytes.fromhex(vector["bytes"])
    assert pack(value) == raw
    assert unpack(raw) == value
    assert type(unpack(raw)) is type(value)


@pytest.mark.parametrize("vector", MAKER.read("msgpack")["refused"], ids=lambda v: v["why"])
def test_an_encoding_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(FormatError):
        unpack(bytes.fromhex(vector["bytes"]))


def test_the_commitments_lead_to_their_roots() -> None:
    vector = MAKER.read("commitment")
    leaves = [
        hashlib.sha256(b"\x00" + pack(value_of(field))).digest() for field in vector["fields"]
    ]
    assert [leaf.hex() for leaf in leaves] == vector["leaves"]
    assert [field[0] for field in vector["fields"]] == [*vector["schema"], "scope", "zeta"]
    for name, label, index, leaf, size in (
        ("proof_of_field_2", FIELDS_LABEL, 2, leaves[2], len(leaves)),
        (
            "proof_of_item_4",
            ITEMS_LABEL,
            4,
            merkle.leaf_hash(bytes.fromhex(vector["items"][4])),
            len(vector["items"]),
        ),
    ):
        proof = Proof(
            index,
            size,
            bytes.fromhex(vector[name]["root"]),
            tuple(bytes.fromhex(one) for one in vector[name]["hashes"]),
        )
        root = vector["fields_root" if label == FIELDS_LABEL else "items_root"]
        check_proof(proof, label, leaf, bytes.fromhex(root))


def test_the_log_verifies_from_genesis_to_its_last_head() -> None:
    vector = MAKER.read("log")
    people = {bytes.fromhex(one["ed25519"]): one for one in MAKER.read("identity")}
    tree = merkle.MemoryTree()
    for number, (stored, head) in enumerate(
        zip(vector["events"], vector["checkpoints"], strict=True)
    ):
        event = parse_event(bytes.fromhex(stored["leaf"]))
        assert event.body.hex() == stored["body"]
        assert event.seq == number
        check_event_signature(event)
        note.verify_ed25519(event.actor, EVENT_LABEL + event.body, bytes.fromhex(stored["sig"]))
        assert event.head == (tree.root() if number else None)
        tree.append(event.leaf_hash)
        assert event.leaf_hash.hex() == stored["leaf_hash"]
        signed = checkpoint.parse_signed_checkpoint(head.encode())
        assert signed.checkpoint == checkpoint.Checkpoint(vector["origin"], number + 1, tree.root())
        signer = people[event.actor]
        checkpoint.check_checkpoint(
            signed, event.actor, bytes.fromhex(signer["ml_dsa_44"]), origin=vector["origin"]
        )
    genesis = bytes.fromhex(vector["events"][0]["leaf"])
    assert hashlib.sha256(genesis).hexdigest() == vector["vault"]
    assert vector["origin"] == f"evidence-vault/{vector['vault']}"


def test_the_fields_file_opens_and_has_its_root() -> None:
    vector = MAKER.read("log")
    stored = vector["fields_file_of_event_0"]
    event = parse_event(bytes.fromhex(vector["events"][0]["leaf"]))
    plaintext = bytes.fromhex(stored["plaintext_without_padding"]).ljust(
        stored["plaintext_size"], b"\x00"
    )
    fields = parse_fields_file(plaintext, FieldsHeader.of(event))
    assert fields_root(FIELDS_LABEL, fields) == event.fields == bytes.fromhex(stored["fields_root"])
