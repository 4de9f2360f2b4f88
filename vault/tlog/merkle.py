"""RFC 6962 Merkle trees over SHA-256: roots, inclusion proofs, consistency proofs.

The tree of ``size`` leaves is split at the largest power of two below ``size``, again and again
(RFC 6962 section 2.1). Every algorithm here needs only the hashes of *complete* subtrees, those of
``2**level`` leaves that begin at a multiple of ``2**level``; a :class:`HashReader` gives them, and
where they are kept is its business.

Invariants: every hash is exactly 32 bytes; the ``prove_x`` functions trust their reader and raise
``ValueError`` on a caller's mistake; the ``check_x`` functions trust nothing and raise
``ProofError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, final

from vault.errors import ProofError

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "HashReader",
    "MemoryTree",
    "check_consistency",
    "check_inclusion",
    "leaf_hash",
    "node_hash",
    "prove_consistency",
    "prove_inclusion",
    "root_of",
    "tree_root",
]

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data), the hash of the leaf that holds ``data``."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), the hash of the node above two hashes."""
    return _sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree of these leaf hashes (32 bytes each, or ``ValueError``)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    _check_sizes(leaf_hashes)
    # Pairing neighbours level by level, the last odd one rising unchanged, gives the same tree as
    # RFC 6962's recursion from the top.
    row = list(leaf_hashes)
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + odd
    return row[0]


class HashReader(Protocol):
    """Gives the hashes of complete subtrees."""

    def hash(self, level: int, index: int) -> bytes:
        """Return the hash of leaves ``index * 2**level`` up to ``(index + 1) * 2**level``."""
        ...


def tree_root(size: int, reader: HashReader) -> bytes:
    """Return the root of the first ``size`` leaves."""
    if size < 0:
        raise ValueError("a tree of negative size")
    return _span_root(0, size, reader) if size else EMPTY_ROOT


# --- inclusion (RFC 6962 section 2.1.1) -------------------------------------------------------


def prove_inclusion(index: int, size: int, reader: HashReader) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the tree of ``size`` leaves, sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_span_root(middle, end, reader))
            end = middle
        else:
            path.append(_span_root(start, middle, reader))
            start = middle
    return tuple(reversed(path))


def check_inclusion(
    proof: Sequence[bytes], index: int, size: int, leaf: bytes, root: bytes
) -> None:
    """Raise ``ProofError`` unless ``proof`` leads from leaf hash ``leaf`` at ``index`` to ``root``.

    ``size`` is the tree's; ``leaf`` and ``root`` are hashes of 32 bytes. The algorithm is that of
    RFC 9162 section 2.1.3.2, which needs no recursion and fixes the length of the proof.
    """
    if not 0 <= index < size:
        raise ProofError("inclusion proof", f"no leaf {index} in a tree of {size}")
    _check_hashes("inclusion proof", (*proof, leaf, root))
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("inclusion proof", "too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            node, last = _rise(node, last)
        else:
            found = node_hash(found, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("inclusion proof", "too short")
    if found != root:
        raise ProofError("inclusion proof", "another root", expected=root.hex(), found=found.hex())


# --- consistency (RFC 6962 section 2.1.2) -----------------------------------------------------


def prove_consistency(old: int, new: int, reader: HashReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``old`` leaves begins the tree of ``new`` leaves.

    The proof is empty for equal sizes and for ``old == 0``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no proof from size {old} to size {new}")
    if old == 0:
        return ()
    path: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_span_root(middle, end, reader))
            end = middle
        else:
            path.append(_span_root(start, middle, reader))
            start = middle
    # Where the whole old tree is one subtree of the new, the checker already has its hash.
    if start:
        path.append(_span_root(start, end, reader))
    return tuple(reversed(path))


def check_consistency(
    proof: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes
) -> None:
    """Raise ``ProofError`` unless ``proof`` shows that tree ``old`` begins tree ``new``.

    Sizes are in leaves, roots are 32 bytes. From ``old == 0`` only the empty proof and the empty
    root pass, and nothing is said about ``new_root``: every tree begins with the empty one. The
    algorithm is that of RFC 9162 section 2.1.4.2.
    """
    if not 0 <= old <= new:
        raise ProofError("consistency proof", f"from size {old} to size {new}")
    _check_hashes("consistency proof", (*proof, old_root, new_root))
    if old in (0, new):
        if proof:
            raise ProofError("consistency proof", "too long")
        expected = new_root if old else EMPTY_ROOT
        if old_root != expected:
            raise ProofError(
                "consistency proof", "another root", expected=expected.hex(), found=old_root.hex()
            )
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("consistency proof", "too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    found_old = found_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("consistency proof", "too long")
        if node & 1 or node == last:
            found_old = node_hash(sibling, found_old)
            found_new = node_hash(sibling, found_new)
            node, last = _rise(node, last)
        else:
            found_new = node_hash(found_new, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("consistency proof", "too short")
    for expected, found in ((old_root, found_old), (new_root, found_new)):
        if found != expected:
            raise ProofError(
                "consistency proof", "another root", expected=expected.hex(), found=found.hex()
            )


# --- a tree in memory -------------------------------------------------------------------------


@final
class MemoryTree:
    """A tree that grows, with every complete subtree's hash at hand; a :class:`HashReader`.

    It holds 64 bytes per leaf. With ``base`` it continues a tree of ``base_size`` leaves that is
    kept elsewhere: only the new hashes are held, older ones are asked of ``base``, whose right edge
    (at most 63 hashes) is read at once, so that appending cannot fail half-way. The edge is exactly
    what :func:`tree_root` reads: a caller who does not trust ``base`` compares that root first.
    """

    __slots__ = ("_base", "_base_size", "_edge", "_rows")

    def __init__(
        self,
        leaf_hashes: Iterable[bytes] = (),
        *,
        base: HashReader | None = None,
        base_size: int = 0,
    ) -> None:
        """Begin with ``base_size`` leaves of ``base`` (none by default), then ``leaf_hashes``."""
        if base_size < 0 or (base is None and base_size):
            raise ValueError("a base size without a base")
        self._base = base
        self._base_size = base_size
        # Row ``level`` holds, end to end, the hashes of the complete subtrees that base has not.
        self._rows: list[bytearray] = [bytearray()]
        self._edge: dict[int, bytes] = {}
        if base is not None:
            for level in range(base_size.bit_length()):
                if base_size >> level & 1:
                    self._edge[level] = base.hash(level, (base_size >> level) - 1)
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._base_size + len(self._rows[0]) // HASH_SIZE

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf by its hash (32 bytes, or ``ValueError``)."""
        self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves by their hashes (32 bytes each, or ``ValueError`` and none is added)."""
        leaves = tuple(leaf_hashes)
        _check_sizes(leaves)
        self._rows[0] += b"".join(leaves)
        level = 0
        while self._grow(level):
            level += 1

    def _grow(self, level: int) -> bool:
        """Add to row ``level + 1`` what row ``level`` now completes; say whether anything was."""
        row = self._rows[level]
        first = self._base_size >> level
        count = first + len(row) // HASH_SIZE
        above = self._rows[level + 1] if level + 1 < len(self._rows) else bytearray()
        done = (self._base_size >> (level + 1)) + len(above) // HASH_SIZE
        if done == count >> 1:
            return False
        if level + 1 == len(self._rows):
            self._rows.append(above)
        # Only the first pair can have its left half in the base: that half is on the base's edge.
        if 2 * done < first:
            above += node_hash(self._edge[level], bytes(row[:HASH_SIZE]))
            done += 1
        begin = (2 * done - first) * HASH_SIZE
        end = (2 * (count >> 1) - first) * HASH_SIZE
        with memoryview(row) as view:
            for at in range(begin, end, 2 * HASH_SIZE):
                above += _sha256(b"\x01" + view[at : at + 2 * HASH_SIZE]).digest()
        return True

    def hash(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree; ``ValueError`` if the tree has it not (yet)."""
        if level < 0 or not 0 <= index < self.size >> level:
            raise ValueError(f"no complete subtree {index} at level {level} of {self.size} leaves")
        first = self._base_size >> level
        if index >= first:
            at = (index - first) * HASH_SIZE
            return bytes(self._rows[level][at : at + HASH_SIZE])
        if index == first - 1 and level in self._edge:
            return self._edge[level]
        if self._base is None:
            raise AssertionError("an index below the base of a tree without base")
        return self._base.hash(level, index)

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first ``size`` leaves (of all, if None)."""
        return tree_root(self.size if size is None else size, self)


# --- shared arithmetic ------------------------------------------------------------------------


def _split(count: int) -> int:
    """Return the largest power of two below ``count`` (which is at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _span_root(start: int, end: int, reader: HashReader) -> bytes:
    """Return the root over leaves ``start`` to ``end``, a span that RFC 6962's splitting meets.

    Such a span begins at a multiple of every power of two that fits into it, so that complete
    subtrees of falling size make it up.
    """
    parts: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(reader.hash(level, start >> level))
        start += 1 << level
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def _rise(node: int, last: int) -> tuple[int, int]:
    """Pass the levels on which the last node has no sibling and rises unchanged."""
    while not node & 1 and node:
        node >>= 1
        last >>= 1
    return node, last


def _check_hashes(what: str, hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise ProofError(what, f"a hash of {len(value)} bytes")


def _check_sizes(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise ValueError(f"a hash of {len(value)} bytes")
