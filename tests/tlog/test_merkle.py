"""RFC 6962 trees: every size to 100 exhaustively, larger ones by property, known answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import ProofError
from vault.tlog.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    tree_root,
)

LEAVES = tuple(leaf_hash(bytes([i])) for i in range(140))
TREE = MemoryTree(LEAVES)
EXHAUSTIVE = range(101)


# --- the definitions of RFC 6962 section 2.1, word for word -----------------------------------


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    if not d:
        return hashlib.sha256().digest()
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: Sequence[bytes], known: bool) -> list[bytes]:
    if m == len(d):
        return [] if known else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], known), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


ROOTS = tuple(mth(LEAVES[:n]) for n in range(len(LEAVES) + 1))


# --- known answers ----------------------------------------------------------------------------

# The leaves and roots that Certificate Transparency implementations test themselves with.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATH_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]


def test_the_roots_are_those_of_certificate_transparency() -> None:
    hashes = [leaf_hash(data) for data in CT_LEAVES]
    assert [root_of(hashes[:n]).hex() for n in range(9)] == CT_ROOTS
    assert [MemoryTree(hashes).root(n).hex() for n in range(9)] == CT_ROOTS


def test_an_audit_path_is_that_of_certificate_transparency() -> None:
    hashes = [leaf_hash(data) for data in CT_LEAVES]
    proof = prove_inclusion(0, 8, MemoryTree(hashes))
    assert [value.hex() for value in proof] == CT_PATH_0_OF_8
    check_inclusion(proof, 0, 8, hashes[0], bytes.fromhex(CT_ROOTS[8]))


def test_the_proofs_are_those_drawn_in_rfc_6962_section_2_1_3() -> None:
    d = LEAVES[:7]
    a, b, c, d3, e, f, j = d
    g, h, i = node_hash(a, b), node_hash(c, d3), node_hash(e, f)
    k, l7 = node_hash(g, h), node_hash(i, j)
    tree = MemoryTree(d)
    assert prove_inclusion(0, 7, tree) == (b, h, l7)
    assert prove_inclusion(3, 7, tree) == (c, g, l7)
    assert prove_inclusion(4, 7, tree) == (f, j, k)
    assert prove_inclusion(6, 7, tree) == (i, k)
    assert prove_consistency(3, 7, tree) == (c, d3, g, l7)
    assert prove_consistency(4, 7, tree) == (l7,)
    assert prove_consistency(6, 7, tree) == (i, j, k)


# --- every size to 100 ------------------------------------------------------------------------


def test_every_root_is_the_rfcs_definition() -> None:
    for size in EXHAUSTIVE:
        assert root_of(LEAVES[:size]) == tree_root(size, TREE) == ROOTS[size]
        assert MemoryTree(LEAVES[:size]).root() == ROOTS[size]


def test_every_inclusion_proof_is_the_rfcs_and_leads_to_the_root() -> None:
    for size in EXHAUSTIVE:
        for index in range(size):
            proof = prove_inclusion(index, size, TREE)
            assert list(proof) == path(index, LEAVES[:size])
            check_inclusion(proof, index, size, LEAVES[index], ROOTS[size])


def test_every_consistency_proof_is_the_rfcs_and_joins_the_roots() -> None:
    for new in EXHAUSTIVE:
        for old in range(new + 1):
            proof = prove_consistency(old, new, TREE)
            assert list(proof) == (subproof(old, LEAVES[:new], True) if old else [])
            check_consistency(proof, old, new, ROOTS[old], ROOTS[new])


def altered(proof: Sequence[bytes]) -> list[list[bytes]]:
    """Return proofs with one change each: a bit, a length, an element lost, gained or moved."""
    given = list(proof)
    found = [[*given, bytes(32)], [bytes(32), *given], [*given, *given[-1:], bytes(32)]]
    for i, value in enumerate(given):
        flipped = bytes([value[0] ^ 1]) + value[1:]
        wrong = (flipped, value[:31], value + b"\x00", b"")
        found += [[*given[:i], other, *given[i + 1 :]] for other in wrong]
        found += [given[:i] + given[i + 1 :], [*given[:i], value, *given[i:]]]
        if i:
            found.append([*given[: i - 1], value, given[i - 1], *given[i + 1 :]])
    return found


def test_every_altered_inclusion_proof_is_refused() -> None:
    for size in range(1, 65):
        for index in range(size):
            leaf, root = LEAVES[index], ROOTS[size]
            proof = prove_inclusion(index, size, TREE)
            for other in altered(proof):
                with pytest.raises(ProofError):
                    check_inclusion(other, index, size, leaf, root)
            for wrong in (-1, size, size + 1, (index + 1) % size, index ^ 1):
                if wrong != index:
                    with pytest.raises(ProofError):
                        check_inclusion(proof, wrong, size, leaf, root)
            for bad_leaf, bad_root in ((ROOTS[0], root), (leaf, ROOTS[0]), (leaf, ROOTS[size - 1])):
                with pytest.raises(ProofError):
                    check_inclusion(proof, index, size, bad_leaf, bad_root)


def test_every_altered_consistency_proof_is_refused() -> None:
    for new in range(1, 65):
        for old in range(new + 1):
            proof = prove_consistency(old, new, TREE)
            for other in altered(proof):
                with pytest.raises(ProofError):
                    check_consistency(other, old, new, ROOTS[old], ROOTS[new])
            with pytest.raises(ProofError):
                check_consistency(proof, old, new, ROOTS[old + 1], ROOTS[new])
            if old:
                with pytest.raises(ProofError):
                    check_consistency(proof, old, new, ROOTS[old], ROOTS[new + 1])
            for wrong_old, wrong_new in ((new + 1, new), (-1, new), (old, -1)):
                with pytest.raises(ProofError):
                    check_consistency(proof, wrong_old, wrong_new, ROOTS[old], ROOTS[new])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_that_is_not_32_bytes_is_refused_everywhere(length: int) -> None:
    wrong = bytes(length)
    with pytest.raises(ProofError):
        check_inclusion((), 0, 1, wrong, wrong)
    with pytest.raises(ProofError):
        check_inclusion((wrong,), 0, 2, LEAVES[0], ROOTS[2])
    with pytest.raises(ProofError):
        check_consistency((), 1, 1, wrong, wrong)
    with pytest.raises(ProofError):
        check_consistency((wrong,), 1, 2, ROOTS[1], ROOTS[2])
    with pytest.raises(ValueError, match="bytes"):
        root_of([wrong])
    tree = MemoryTree(LEAVES[:3])
    with pytest.raises(ValueError, match="bytes"):
        tree.append(wrong)
    with pytest.raises(ValueError, match="bytes"):
        tree.extend([LEAVES[3], wrong])
    assert tree.size == 3
    assert tree.root() == ROOTS[3]


def test_a_proof_error_carries_both_roots() -> None:
    with pytest.raises(ProofError) as caught:
        check_inclusion((), 0, 1, LEAVES[0], LEAVES[1])
    assert caught.value.expected == LEAVES[1].hex()
    assert caught.value.found == LEAVES[0].hex()


def test_from_the_empty_tree_only_the_empty_root_is_accepted() -> None:
    check_consistency((), 0, 0, EMPTY_ROOT, EMPTY_ROOT)
    check_consistency((), 0, 5, EMPTY_ROOT, ROOTS[5])
    for old_root, proof in ((ROOTS[1], ()), (EMPTY_ROOT, (ROOTS[1],))):
        with pytest.raises(ProofError):
            check_consistency(proof, 0, 5, old_root, ROOTS[5])
    with pytest.raises(ProofError):
        check_consistency((), 0, 0, EMPTY_ROOT[::-1], EMPTY_ROOT[::-1])


def test_an_empty_proof_between_two_sizes_is_refused() -> None:
    for old, new in ((1, 2), (3, 4), (4, 7), (6, 7)):
        with pytest.raises(ProofError, match="short"):
            check_consistency((), old, new, ROOTS[old], ROOTS[new])


def test_a_callers_mistake_is_a_value_error() -> None:
    for index, size in ((0, 0), (-1, 3), (3, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            prove_inclusion(index, size, TREE)
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="no proof"):
            prove_consistency(old, new, TREE)
    with pytest.raises(ValueError, match="negative"):
        tree_root(-1, TREE)
    for level, index in ((-1, 0), (0, -1), (0, 140), (7, 1), (8, 0)):
        with pytest.raises(ValueError, match="no complete subtree"):
            TREE.hash(level, index)
    for size in (-1, 1):
        with pytest.raises(ValueError, match="base"):
            MemoryTree(base_size=size)


# --- larger trees -----------------------------------------------------------------------------


class Uniform:
    """A tree whose leaves are all the same, so that its hashes depend on the level alone."""

    def __init__(self) -> None:
        self.rows = [LEAVES[0]]
        while len(self.rows) < 64:
            self.rows.append(node_hash(self.rows[-1], self.rows[-1]))

    def hash(self, level: int, index: int) -> bytes:
        return self.rows[level]


UNIFORM = Uniform()
SIZES = st.integers(1, 2**63 - 1) | st.integers(0, 62).flatmap(
    lambda bits: st.integers(max(1, 2**bits - 2), 2**bits + 2)
)


@given(SIZES, st.data())
def test_inclusion_holds_at_any_size(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = tree_root(size, UNIFORM)
    proof = prove_inclusion(index, size, UNIFORM)
    check_inclusion(proof, index, size, LEAVES[0], root)
    for other in altered(proof):
        # A neighbour may be equal here, so that moving it changes nothing.
        if other != list(proof):
            with pytest.raises(ProofError):
                check_inclusion(other, index, size, LEAVES[0], root)


@given(SIZES, st.data())
def test_consistency_holds_at_any_size(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    old_root, new_root = tree_root(old, UNIFORM), tree_root(new, UNIFORM)
    proof = prove_consistency(old, new, UNIFORM)
    check_consistency(proof, old, new, old_root, new_root)
    for other in altered(proof):
        if other != list(proof):
            with pytest.raises(ProofError):
                check_consistency(other, old, new, old_root, new_root)


@given(st.lists(st.binary(max_size=40), max_size=300), st.data())
def test_a_grown_tree_is_the_tree_of_all_its_leaves(
    leaves: list[bytes], data: st.DataObject
) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves]
    tree = MemoryTree()
    rest = hashes
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        tree.extend(iter(rest[:count]))
        rest = rest[count:]
    assert tree.size == len(hashes)
    assert tree.root() == root_of(hashes)


def test_a_tree_continues_a_base_of_every_size() -> None:
    for base_size in range(70):
        base = MemoryTree(LEAVES[:base_size])
        for size in range(base_size, 70):
            tree = MemoryTree(LEAVES[base_size:size], base=base, base_size=base_size)
            assert tree.size == size
            assert tree.root() == ROOTS[size]
        for level in range(7):
            for index in range(tree.size >> level):
                assert tree.hash(level, index) == TREE.hash(level, index)


def test_a_base_is_not_read_while_leaves_are_added() -> None:
    class Once:
        open = True

        def hash(self, level: int, index: int) -> bytes:
            assert self.open
            return TREE.hash(level, index)

    base = Once()
    tree = MemoryTree(base=base, base_size=77)
    base.open = False
    tree.extend(LEAVES[77:])
    for size in (77, 100, 128):
        base.open = size != tree.size
        assert tree.root(size) == ROOTS[size]


def test_a_large_tree_takes_64_bytes_a_leaf() -> None:
    count = 1 << 15
    tree = MemoryTree(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(count))
    assert sum(len(row) for row in tree._rows) == 32 * (2 * count - 1)
    assert prove_inclusion(count - 1, count, tree)[0] == tree.hash(0, count - 2)
