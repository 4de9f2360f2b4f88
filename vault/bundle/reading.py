"""Reading a bundle: its parts as one file, and the check of every byte in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from vault import age
from vault.bag import BagReader, tar_header
from vault.bundle.items import Item, names_line
from vault.codec import pack
from vault.commitment import format_fields
from vault.errors import DigestMismatchError, FormatError
from vault.layout import PART_SIZE, part_name
from vault.pipeline import Buffer, SizedReader
from vault.storage import Reader, Store

__all__ = ["PartsReader", "check_bag"]


@final
class PartsReader(SizedReader):
    """The parts of a bundle as one seekable binary file. Sizes are those that were logged."""

    def __init__(self, store: Store, bundle: bytes, sizes: Sequence[int]) -> None:
        super().__init__(sum(sizes))
        self._store = store
        self._bundle = bundle
        self._sizes = tuple(sizes)
        self._open: tuple[int, Reader] | None = None

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        """Fill some of ``buffer``; 0 at the end. A part shorter than logged is ``FormatError``.

        What follows the logged size of a part is not read: it is an audit's to find.
        """
        if self.closed:
            raise ValueError("the parts are closed")
        number, start = divmod(self._position, PART_SIZE)
        view = memoryview(buffer).cast("B")
        if self._position >= self.size or not view:
            return 0
        count = self._reader(number).read_into(start, view[: self._sizes[number] - start])
        if not count:
            raise FormatError("part", "ends early", part_name(self._bundle, number))
        self._position += count
        return count

    def _reader(self, number: int) -> Reader:
        if self._open is not None and self._open[0] == number:
            return self._open[1]
        self._close_part()
        reader = self._store.open(part_name(self._bundle, number))
        self._open = (number, reader)
        return reader

    def _close_part(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        """Close the part that is open."""
        self._close_part()
        super().close()


def check_bag(
    plaintext: age.Reader,
    bundle: bytes,
    items: Sequence[Item],
    where: tuple[int, int, int],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Read a whole plaintext and check every byte of it against ``items``.

    ``where`` is the offset and size of ``evidence.msgpack`` and the size of the whole. Raises
    ``FormatError`` for a bag that is not the one these items make, ``DigestMismatchError`` for an
    item.
    """
    names, records = bytearray(), bytearray()
    plaintext.seek(0)

    def read(size: int) -> bytes:
        data = plaintext.read(size) or b""
        if progress is not None:
            progress(len(data))
        return data

    bag = BagReader(bundle, read)
    for item in items:
        names += names_line(item)
        records += pack(format_fields(item.fields))
        stored = item.stored
        if stored is None:
            continue
        path, offset, size, sha256 = stored
        header = len(tar_header(f"{bundle.hex()}/{path}", size, 0))
        if bag.offset + header != offset:
            raise FormatError("bag", "not at the offset that its fields say", path)
        if bag.item(path, size) != sha256:
            raise DigestMismatchError("item", "not the SHA-256 that its fields say", path)
    found, total = bag.finish(bytes(names), records)
    if (found, len(records), total) != where:
        raise FormatError("bag", "evidence.msgpack is not where the event's fields say")
