"""Reading a bundle as one of its readers: its items, and each item by seeking (docs/spec.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import final

from vault import age
from vault.bundle import Item, Items, PartsReader, check_bag, read_items
from vault.codec import Value
from vault.commitment import items_root
from vault.custody import BundleState
from vault.errors import DigestMismatchError, FormatError, NotFoundError, ProofError, StateError
from vault.pipeline import Buffer, SizedReader
from vault.storage import Store

__all__ = ["BundleReading", "ItemReader"]


@final
class ItemReader(SizedReader):
    """One item's content, seekable. Reading it from start to end also checks its SHA-256, with the
    last bytes; what is read of it before that, or by seeking, is only what some reader encrypted.

    ``end`` is called when it is closed.
    """

    def __init__(
        self, plaintext: age.Reader, item: Item, end: Callable[[], None] = lambda: None
    ) -> None:
        stored = item.stored
        if stored is None:
            raise StateError(f"item {item.number}", "has no content here")
        self._path, self._start, size, self._sha256 = stored
        super().__init__(size)
        self._plaintext = plaintext
        self._end = end
        self._digest = hashlib.sha256()
        self._digested = 0

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        """Fill some of ``buffer``; 0 at the end.

        Raises ``DigestMismatchError`` instead of the last bytes, and again at each reading of the
        end, if all were read in order and do not have the SHA-256 that the item's fields say.
        """
        if self.closed:
            raise ValueError("the item is closed")
        left = self.size - self._position
        view = memoryview(buffer).cast("B")[: max(left, 0)]
        if left <= 0:
            self._check_digest()
        if not view:
            return 0
        self._plaintext.seek(self._start + self._position)
        count = self._plaintext.readinto(view)
        if not count:
            raise FormatError("bundle", "ends inside an item", self._path)
        if self._position == 0:
            # A viewer looks at the first bytes and begins again: so does the digest.
            self._digest, self._digested = hashlib.sha256(), 0
        if self._digested == self._position:
            self._digest.update(view[:count])
            self._digested += count
        if self._position + count == self.size:
            self._check_digest()
        self._position += count
        return count

    def _check_digest(self) -> None:
        if self._digested == self.size and self._digest.digest() != self._sha256:
            raise DigestMismatchError("item", "not the SHA-256 of its fields", self._path)

    def close(self) -> None:
        """Close the item, and what was opened for it alone."""
        if not self.closed:
            super().close()
            self._end()


@final
class BundleReading:
    """A bundle opened with a reader's identity. ``fields`` are those of ``bundle.sealed``."""

    def __init__(
        self,
        store: Store,
        bundle: BundleState,
        identity: age.HybridIdentity,
        fields: dict[str, Value],
    ) -> None:
        self.bundle = bundle
        self.fields = fields
        self._parts = PartsReader(store, bundle.id, [size for _, size in bundle.parts])
        try:
            self._plaintext = age.open(self._parts, [identity])
            self.items = self._read_items()
        except BaseException:
            self._parts.close()
            raise

    def _where(self) -> tuple[int, int, int]:
        match self.fields:
            case {
                "items_offset": int(offset),
                "items_size": int(size),
                "plaintext_size": int(whole),
            }:
                return offset, size, whole
        raise FormatError("bundle.sealed", "its fields do not say where the items lie")

    def _read_items(self) -> Items:
        offset, size, whole = self._where()
        if self._plaintext.size != whole:
            raise FormatError("bundle", "not the size that the event's fields say")
        records: list[bytes] = []
        roots: list[bytes] = []
        for item, record in read_items(self._plaintext, offset, size):
            records.append(record)
            roots.append(item.root)
        if self.fields.get("item_count") != len(records):
            raise FormatError("bundle", "not as many items as the event's fields say")
        if items_root(roots) != self.bundle.items:
            raise ProofError("items", "not the items that were sealed", self.bundle.id.hex())
        return Items(records)

    def item(self, number: int) -> Item:
        """Return item ``number``; raise ``NotFoundError``."""
        if not 0 <= number < len(self.items):
            raise NotFoundError(self.bundle.id.hex(), f"no item {number} of {len(self.items)}")
        return self.items[number]

    def open(self, number: int, *, end: Callable[[], None] = lambda: None) -> ItemReader:
        """Open an item's content; ``StateError`` for an item that has none here.

        ``end`` is called when it is closed.
        """
        return ItemReader(self._plaintext, self.item(number), end)

    def check(self, progress: Callable[[int], None] | None = None) -> None:
        """Read the whole plaintext and check every byte of the bag (see ``bundle.check_bag``).

        ``progress`` is told how many bytes each reading gave.
        """
        check_bag(self._plaintext, self.bundle.id, self.items, self._where(), progress)

    def close(self) -> None:
        """Close what is open."""
        self._plaintext.close()
        self._parts.close()

    def __enter__(self) -> BundleReading:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
