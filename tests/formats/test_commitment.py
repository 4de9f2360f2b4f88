"""Salted fields, the roots that commit to them, and proofs for some of them."""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.codec import Value, pack
from vault.commitment import (
    ABSENT,
    FIELDS_LABEL,
    ITEM_LABEL,
    ITEMS_LABEL,
    SALT_SIZE,
    Field,
    check_proof,
    commit_fields,
    committed_root,
    field_leaf,
    fields_root,
    format_fields,
    items_root,
    parse_fields,
    prove,
    values_of,
)
from vault.errors import FormatError, ProofError
from vault.tlog import merkle

SCHEMA = ("title", "size", "device.make")


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


def salts(size: int) -> bytes:
    return random.Random(f"commitment {size}").randbytes(size)


def some_fields(count: int) -> tuple[Field, ...]:
    return tuple(Field(f"f{n:02}", bytes((n,)) * 16, f"value {n}") for n in range(count))


# --- giving salts -----------------------------------------------------------------------------


def test_the_fields_of_the_schema_come_first_and_all_of_them() -> None:
    given_values = {"zeta": "z", "device.make": "M", "alpha": "a", "éa": "e", "B": "b"}
    fields = commit_fields(SCHEMA, given_values, salts)
    assert [f.name for f in fields] == [*SCHEMA, "B", "alpha", "zeta", "éa"]
    assert [f.value for f in fields] == [ABSENT, ABSENT, "M", "b", "a", "z", "e"]
    assert values_of(fields) == given_values


def test_every_field_has_a_salt_of_its_own_even_an_absent_one() -> None:
    fields = commit_fields(SCHEMA, {"x": "y"}, salts)
    assert len({f.salt for f in fields}) == 4
    assert {len(f.salt) for f in fields} == {SALT_SIZE}
    assert b"".join(f.salt for f in fields) == salts(64)


def test_values_are_kept_as_given_and_arrays_become_tuples() -> None:
    values = {"a": ["x", ["y"]], "b": {"k": [1]}, "c": b"\xff", "d": False, "e": 0, "f": "e\u0301"}
    assert values_of(commit_fields((), values, salts)) == {  # type: ignore[arg-type]
        "a": ("x", ("y",)),
        "b": {"k": (1,)},
        "c": b"\xff",
        "d": False,
        "e": 0,
        "f": "e\u0301",
    }


@pytest.mark.parametrize("name", ["title", "further"])
def test_an_empty_array_is_no_value(name: str) -> None:
    with pytest.raises(ValueError, match="empty array"):
        commit_fields(SCHEMA, {name: []}, salts)


BAD_NAMES = ["", "a=b", "a\nb", "a\x00", "\u202eevil", "x" * 129, "é" * 65, "\ud800", "\u2028"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_name_that_no_field_may_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a surrogate has a message of its own
        commit_fields(SCHEMA, {name: "x"}, salts)


def test_a_name_of_128_bytes_is_allowed() -> None:
    assert commit_fields((), {"é" * 64: "x"}, salts)[0].name == "é" * 64


# --- roots ------------------------------------------------------------------------------------


def test_a_leaf_and_a_root_are_the_hashes_that_the_specification_says() -> None:
    field = Field("title", bytes(range(16)), "A title")
    packed = b"\x93\xa5title\xc4\x10" + bytes(range(16)) + b"\xa7A title"
    assert pack((field.name, field.salt, field.value)) == packed
    leaf = hashlib.sha256(b"\x00" + packed).digest()
    assert field_leaf(field) == leaf
    root = hashlib.sha256(b"\x02evidence-vault/fields/v1\x00" + bytes(7) + b"\x01" + leaf).digest()
    assert fields_root(FIELDS_LABEL, (field,)) == root


def test_an_items_tree_has_the_hashes_of_item_roots_as_leaves() -> None:
    roots = [bytes((n,)) * 32 for n in range(3)]
    one, two, three = (hashlib.sha256(b"\x00" + root).digest() for root in roots)
    inner = hashlib.sha256(b"\x01" + one + two).digest()
    tree = hashlib.sha256(b"\x01" + inner + three).digest()
    expected = hashlib.sha256(b"\x02evidence-vault/items/v1\x00" + bytes(7) + b"\x03" + tree)
    assert items_root(roots) == expected.digest()


def test_no_items_and_no_fields_have_roots_too_and_not_the_same() -> None:
    empty = hashlib.sha256().digest()
    assert items_root(()) == committed_root(ITEMS_LABEL, 0, empty)
    assert len({items_root(()), fields_root(FIELDS_LABEL, ()), fields_root(ITEM_LABEL, ())}) == 3


def test_roots_differ_for_each_label_and_size_of_the_same_tree() -> None:
    roots = {
        committed_root(label, size, bytes(32))
        for label in (FIELDS_LABEL, ITEM_LABEL, ITEMS_LABEL)
        for size in (0, 1, 2, 256, 2**32, 2**64 - 1)
    }
    assert len(roots) == 18


def test_no_label_begins_another() -> None:
    labels = (FIELDS_LABEL, ITEM_LABEL, ITEMS_LABEL)
    assert not any(a.startswith(b) for a, b in itertools.permutations(labels, 2))


def test_a_root_changes_with_every_name_salt_value_and_order() -> None:
    fields = some_fields(5)
    roots = [fields_root(FIELDS_LABEL, fields)]
    for n, field in enumerate(fields):
        others = (
            replace(field, name=field.name + "x"),
            replace(field, salt=bytes(15) + b"\xff"),
            replace(field, value=f"{field.value} "),
            replace(field, value=str(field.value).encode()),
            replace(field, value=ABSENT),
        )
        changed = [(*fields[:n], other, *fields[n + 1 :]) for other in others]
        roots += [fields_root(FIELDS_LABEL, one) for one in changed]
    roots += [fields_root(FIELDS_LABEL, order) for order in itertools.permutations(fields)][1:]
    roots += [fields_root(FIELDS_LABEL, fields[:n]) for n in range(5)]
    assert len(set(roots)) == len(roots)


# --- proofs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 18))
def test_each_field_alone_is_proved_and_nothing_else_is(size: int) -> None:
    leaves = [field_leaf(field) for field in some_fields(size)]
    root = fields_root(FIELDS_LABEL, some_fields(size))
    for index, leaf in enumerate(leaves):
        proof = prove(leaves, index)
        assert (proof.index, proof.size) == (index, size)
        check_proof(proof, FIELDS_LABEL, leaf, root)
        for other in range(size):
            if other != index:
                with pytest.raises(ProofError):
                    check_proof(proof, FIELDS_LABEL, leaves[other], root)
                with pytest.raises(ProofError):
                    check_proof(replace(proof, index=other), FIELDS_LABEL, leaf, root)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_a_proof_with_anything_changed_is_refused(size: int) -> None:
    leaves = [field_leaf(field) for field in some_fields(size)]
    root = fields_root(ITEM_LABEL, some_fields(size))
    for index, leaf in enumerate(leaves):
        proof = prove(leaves, index)
        changed = [
            replace(proof, size=proof.size + 1),
            replace(proof, size=proof.size - 1),
            replace(proof, size=2**64),
            replace(proof, size=-1),
            replace(proof, index=-1),
            replace(proof, index=size),
            replace(proof, root=bytes(32)),
            replace(proof, root=proof.root[:-1]),
            replace(proof, root=root),
            replace(proof, hashes=(*proof.hashes, bytes(32))),
            replace(proof, hashes=(*proof.hashes[:-1], b"")),
            *(replace(proof, root=flipped(proof.root, bit)) for bit in range(256)),
        ]
        for k, one in enumerate(proof.hashes):
            before, after = proof.hashes[:k], proof.hashes[k + 1 :]
            changed.append(replace(proof, hashes=before + after))
            changed += [
                replace(proof, hashes=(*before, flipped(one, bit), *after)) for bit in range(256)
            ]
        for other in changed:
            with pytest.raises(ProofError):
                check_proof(other, ITEM_LABEL, leaf, root)
        for label in (FIELDS_LABEL, ITEMS_LABEL):
            with pytest.raises(ProofError, match="committed root"):
                check_proof(proof, label, leaf, root)
        with pytest.raises(ProofError):
            check_proof(proof, ITEM_LABEL, leaf, proof.root)


def test_a_size_beyond_64_bits_is_a_proof_error_even_if_its_tree_holds() -> None:
    leaf, sibling = bytes(32), b"\x01" * 32
    root, size = leaf, 2**65
    hashes = []
    for _ in range(65):
        hashes.append(sibling)
        root = merkle.node_hash(root, sibling)
    proof = replace(prove([leaf], 0), size=size, root=root, hashes=tuple(hashes))
    merkle.check_inclusion(proof.hashes, 0, size, leaf, root)
    with pytest.raises(ProofError, match="64 bits"):
        check_proof(proof, FIELDS_LABEL, leaf, bytes(32))


def test_three_items_of_five_hundred_are_shown_without_the_rest() -> None:
    roots = [hashlib.sha256(bytes((n % 256, n // 256))).digest() for n in range(500)]
    leaves = [merkle.leaf_hash(root) for root in roots]
    whole = items_root(roots)
    for index in (0, 255, 499):
        proof = prove(leaves, index)
        assert len(proof.hashes) <= 9
        check_proof(proof, ITEMS_LABEL, leaves[index], whole)
    with pytest.raises(ProofError):
        check_proof(replace(prove(leaves, 0), size=499), ITEMS_LABEL, leaves[0], whole)


def test_there_is_no_proof_for_a_leaf_that_is_not_there() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the tree's own message
        prove([bytes(32)], 1)


# --- the array in files -----------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=4)
        | st.sampled_from(SCHEMA),
        st.text(min_size=1) | st.integers(0, 9) | st.lists(st.text(), min_size=1),
        max_size=6,
    )
)
def test_fields_survive_the_array(values: dict[str, object]) -> None:
    fields = commit_fields(SCHEMA, values, salts)  # type: ignore[arg-type]
    assert parse_fields(format_fields(fields), SCHEMA) == fields


def entry(name: str, value: Value = "v", salt: bytes = bytes(16)) -> Value:
    return (name, salt, value)


GOOD: tuple[Value, ...] = tuple(entry(name) for name in SCHEMA)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("fields", id="text"),
        pytest.param({}, id="a map"),
        pytest.param(GOOD[:2], id="a field of the schema missing"),
        pytest.param((), id="all missing"),
        pytest.param((GOOD[1], GOOD[0], GOOD[2]), id="the schema in another order"),
        pytest.param((entry("alpha"), *GOOD), id="a further field in front"),
        pytest.param((*GOOD, entry("b"), entry("a")), id="further fields not in order"),
        pytest.param((*GOOD, entry("a"), entry("a")), id="a further field twice"),
        pytest.param((*GOOD, entry("size")), id="a field of the schema again"),
        pytest.param((*GOOD, entry("a", ())), id="a further field that is absent"),
        pytest.param((*GOOD, entry("a=b")), id="a name with an equals sign"),
        pytest.param((*GOOD, entry("")), id="no name"),
        pytest.param((*GOOD, entry("x" * 129)), id="a name too long"),
        pytest.param((*GOOD, entry("\u202e")), id="a bidirectional name"),
        pytest.param((*GOOD, entry("a", salt=bytes(15))), id="a salt too short"),
        pytest.param((*GOOD, entry("a", salt=bytes(17))), id="a salt too long"),
        pytest.param((*GOOD, ("a", "0123456789abcdef", "v")), id="a salt of text"),
        pytest.param((*GOOD, (b"a", bytes(16), "v")), id="a binary name"),
        pytest.param((*GOOD, ("a", bytes(16))), id="no value"),
        pytest.param((*GOOD, ("a", bytes(16), "v", "v")), id="two values"),
        pytest.param((*GOOD, "abc"), id="an entry of text"),
    ],
)
def test_fields_in_another_form_are_refused(value: Value) -> None:
    with pytest.raises(FormatError):
        parse_fields(value, SCHEMA)


def test_the_good_form_of_those_is_read() -> None:
    assert len(parse_fields((*GOOD, entry("a"), entry("b")), SCHEMA)) == 5
