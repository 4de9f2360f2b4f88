"""Salted fields, the root that commits to them, and proofs for some of them (docs/spec.md).

A field is one named private value. Its leaf is SHA-256(0x00 ‖ msgpack ``[name, salt, value]``), a
leaf of an RFC 6962 tree; the committed root of a set of fields is

    SHA-256(0x02 ‖ label ‖ uint64(size) ‖ RFC 6962 root)

so that one field can be shown without the others, their number is itself committed to, and a root
of one kind can't stand for another's. The fields of a schema come first, in its order, every one of
them (an absent value is the empty array); others follow, by name. An items tree has the item roots
as its entries. Pure: randomness is passed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from vault.codec import Packable, Value, is_line, pack
from vault.errors import FormatError, ProofError
from vault.tlog import merkle

__all__ = [
    "ABSENT",
    "FIELDS_LABEL",
    "ITEMS_LABEL",
    "ITEM_LABEL",
    "SALT_SIZE",
    "Field",
    "Proof",
    "check_proof",
    "commit_fields",
    "committed_root",
    "field_leaf",
    "fields_root",
    "format_fields",
    "items_root",
    "parse_fields",
    "prove",
    "values_of",
]

ABSENT: Final = ()
SALT_SIZE: Final = 16
FIELDS_LABEL: Final = b"evidence-vault/fields/v1\x00"
ITEM_LABEL: Final = b"evidence-vault/item/v1\x00"
ITEMS_LABEL: Final = b"evidence-vault/items/v1\x00"
_MAX_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Field:
    """One named private value with its salt of 16 bytes; ``value == ()`` says that it is absent."""

    name: str
    salt: bytes
    value: Value


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is number ``index`` of ``size`` under a committed root: RFC 6962 section 2.1.1.

    ``root`` is the RFC 6962 root that the committed root is made from.
    """

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless ``name`` may name a field: a line of 1 to 128 bytes, no ``=``."""
    if not name or not is_line(name) or "=" in name or len(name.encode("utf-8")) > _MAX_NAME:
        raise ValueError(f"not a name for a field: {name!r}")


def commit_fields(
    schema: Sequence[str], values: Mapping[str, Packable], random: Callable[[int], bytes]
) -> tuple[Field, ...]:
    """Give every field of ``schema``, then every other of ``values`` by name, a fresh salt.

    Raises ``ValueError`` for a name that no field may have and for an empty array (absent values
    are left out of ``values``).
    """
    extra = sorted(values.keys() - set(schema), key=lambda name: name.encode("utf-8"))
    for name in extra:
        check_name(name)
    salts = random(SALT_SIZE * (len(schema) + len(extra)))
    fields = []
    for number, name in enumerate((*schema, *extra)):
        value = _frozen(values[name]) if name in values else ABSENT
        if value == () and name in values:
            raise ValueError(f"an empty array is not a value: {name}")
        salt = salts[SALT_SIZE * number : SALT_SIZE * (number + 1)]
        fields.append(Field(name, salt, value))
    return tuple(fields)


def _frozen(value: Packable) -> Value:
    if isinstance(value, (bool, int, str, bytes)):
        return value
    if isinstance(value, Mapping):
        return {key: _frozen(element) for key, element in value.items()}
    return tuple(_frozen(element) for element in value)


def field_leaf(field: Field) -> bytes:
    """Return the leaf hash of a field (32 bytes)."""
    return merkle.leaf_hash(pack((field.name, field.salt, field.value)))


def committed_root(label: bytes, size: int, root: bytes) -> bytes:
    """Return the committed root of a tree of ``size`` leaves with RFC 6962 root ``root``."""
    return hashlib.sha256(b"\x02" + label + size.to_bytes(8, "big") + root).digest()


def fields_root(label: bytes, fields: Sequence[Field]) -> bytes:
    """Return the committed root of ``fields`` under ``FIELDS_LABEL`` or ``ITEM_LABEL``."""
    leaves = [field_leaf(field) for field in fields]
    return committed_root(label, len(leaves), merkle.root_of(leaves))


def items_root(item_roots: Iterable[bytes]) -> bytes:
    """Return the committed root of a bundle's items, given each item's own committed root."""
    leaves = [merkle.leaf_hash(root) for root in item_roots]
    return committed_root(ITEMS_LABEL, len(leaves), merkle.root_of(leaves))


def prove(leaves: Sequence[bytes], index: int) -> Proof:
    """Return the proof for leaf ``index`` of ``leaves`` (leaf hashes)."""
    tree = merkle.MemoryTree(leaves)
    return Proof(index, len(leaves), tree.root(), merkle.prove_inclusion(index, len(leaves), tree))


def check_proof(proof: Proof, label: bytes, leaf: bytes, root: bytes) -> None:
    """Raise ``ProofError`` unless ``leaf`` is where ``proof`` says under the committed ``root``."""
    if proof.size >= 2**64:
        raise ProofError("proof", "a size beyond 64 bits")
    merkle.check_inclusion(proof.hashes, proof.index, proof.size, leaf, proof.root)
    if committed_root(label, proof.size, proof.root) != root:
        raise ProofError("proof", "does not lead to the committed root")


def format_fields(fields: Sequence[Field]) -> tuple[tuple[str, bytes, Value], ...]:
    """Return fields as the array of ``[name, salt, value]`` that files hold."""
    return tuple((field.name, field.salt, field.value) for field in fields)


def parse_fields(value: Value, schema: Sequence[str]) -> tuple[Field, ...]:
    """Parse the array of ``[name, salt, value]``; raise ``FormatError`` unless in its one order."""
    if not isinstance(value, tuple):
        raise FormatError("fields", "not an array")
    fields = []
    for element in value:
        match element:
            case (str(name), bytes(salt), kept) if len(salt) == SALT_SIZE:
                fields.append(Field(name, salt, kept))
            case _:
                raise FormatError("fields", "an entry is not [name, salt, value]")
    names = [field.name for field in fields]
    if names[: len(schema)] != list(schema):
        raise FormatError("fields", "not the fields of the schema in their order")
    extra = [name.encode("utf-8") for name in names[len(schema) :]]
    if any(one >= two for one, two in zip(extra, islice(extra, 1, None), strict=False)):
        raise FormatError("fields", "further fields are not in order or not unique")
    known = set(schema)
    for field in fields[len(schema) :]:
        try:
            check_name(field.name)
        except ValueError as error:
            raise FormatError("fields", str(error)) from None
        if field.name in known or field.value == ABSENT:
            raise FormatError("fields", "a further field is absent or of the schema")
    return tuple(fields)


def values_of(fields: Sequence[Field]) -> dict[str, Value]:
    """Return the values that are present, by name."""
    return {field.name: field.value for field in fields if field.value != ABSENT}
