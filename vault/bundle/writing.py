"""Writing a bundle: items into a bag, the bag into an age file, the age file into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from vault import age
from vault.bag import MAX_ITEMS, BagWriter, item_path, padded_size
from vault.bundle.items import (
    MAX_ITEM_RECORD,
    MAX_ITEM_RECORDS,
    Item,
    Items,
    make_item,
    names_line,
    shown,
)
from vault.codec import Packable
from vault.commitment import items_root
from vault.errors import DigestMismatchError, SourceChangedError
from vault.event import MAX_PARTS
from vault.layout import PART_SIZE, part_name_in_bundle
from vault.pipeline import (
    BUFFER_SIZE,
    Progress,
    ProgressCallback,
    Source,
    Stage,
    copy_exactly,
)
from vault.storage import Stage as StagedDirectory
from vault.storage import Writer as FileWriter

__all__ = ["BundleWriter", "Sealed", "estimated_size"]

_PLACE_NAMES: Final = frozenset(("path", "offset"))
_CONTENT_NAMES: Final = _PLACE_NAMES | {"original_name", "size", "sha256"}


@final
@dataclass(frozen=True, slots=True)
class Sealed:
    """What a written bundle is: what ``bundle.sealed`` commits to, and where its items lie.

    Sizes and offsets in bytes; ``items_*`` locate ``evidence.msgpack`` in the plaintext.
    """

    id: bytes
    identity: age.HybridIdentity
    parts: tuple[tuple[bytes, int], ...]
    items: bytes
    item_count: int
    plaintext_size: int
    items_offset: int
    items_size: int

    @property
    def key(self) -> bytes:
        """SHA-256 of the bundle's raw recipient."""
        return hashlib.sha256(self.identity.recipient().to_bytes()).digest()


def estimated_size(sizes: Sequence[int]) -> int:
    """Return about how many bytes a bundle of items of these sizes takes, never much too few."""
    tar = sum(size + -size % 512 + 4096 for size in sizes) + 65536
    return age.payload_size(padded_size(tar)) + 8192


@final
class _Parts:
    """The sink of the age file: cuts it every 1 GiB, digests and writes each part."""

    def __init__(self, stage: StagedDirectory) -> None:
        self._stage = stage
        self._writer: FileWriter | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self.parts: list[tuple[bytes, int]] = []

    def write(self, data: memoryview) -> int:
        start = 0
        while start < len(data):
            if self._writer is None:
                if len(self.parts) == MAX_PARTS:
                    raise ValueError(f"a bundle of more than {MAX_PARTS} parts")
                self._writer = self._stage.create(part_name_in_bundle(len(self.parts)))
                self._digest, self._size = hashlib.sha256(), 0
            piece = data[start : start + PART_SIZE - self._size]
            self._digest.update(piece)
            self._writer.write(piece)
            self._size += len(piece)
            start += len(piece)
            if self._size == PART_SIZE:
                self.end_part()
        return len(data)

    def end_part(self) -> None:
        if self._writer is not None:
            self._writer.commit()
            self._writer = None
            self.parts.append((self._digest.digest(), self._size))

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()
            self._writer = None


@final
class BundleWriter:
    """Writes one bundle into ``stage``. :meth:`add` items, :meth:`finish`, or :meth:`abort`.

    What is wrong with an item's fields is found before its first byte is written. After an error in
    the midst of its content nothing but :meth:`abort` is left (``ValueError`` otherwise): what was
    written can't be taken back.
    """

    def __init__(
        self,
        stage: StagedDirectory,
        bundle: bytes,
        identity: age.HybridIdentity,
        time: int,
        random: Callable[[int], bytes],
        progress: ProgressCallback | None = None,
        total: int = 0,
    ) -> None:
        self.id = bundle
        self._identity = identity
        self._stage = stage
        self._random = random
        self._progress = progress
        self._total = total
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._evidence = bytearray()
        self._ends: list[int] = []
        self._names = bytearray()
        self._roots: list[bytes] = []
        self._done = 0
        self._sound = True
        self._parts = _Parts(stage)
        stages: list[Stage] = []
        try:
            stages.append(Stage(self._parts, "write"))
            self._age = age.writer(stages[0], [identity.recipient()])
            stages.append(Stage(self._age, "encrypt"))
            self._writing, self._encrypting = stages
            self._bag = BagWriter(bundle, time, self._encrypting.write)
        except BaseException:
            self._abort(stages)
            raise

    @property
    def count(self) -> int:
        """Items so far."""
        return len(self._roots)

    @property
    def items(self) -> Items:
        """The items so far."""
        starts = (0, *self._ends)
        pairs = zip(starts, self._ends, strict=False)
        return Items([bytes(self._evidence[start:end]) for start, end in pairs])

    def add(
        self,
        values: Mapping[str, Packable],
        name: str | bytes,
        size: int,
        mtime: int,
        source: Source,
        unchanged: Callable[[], bool] = lambda: True,
    ) -> Item:
        """Add an item with content: exactly ``size`` bytes of ``source``.

        Raises ``SourceChangedError`` if the source has fewer bytes, or more, than it declared, or
        if ``unchanged`` says so at the end; ``FormatError`` or ``ValueError`` for fields that no
        item may have, among them those that only the writer can know.
        """
        text = shown(name)
        _refuse(values, _CONTENT_NAMES)
        path = item_path(self.count, name)
        given: dict[str, Packable] = {**values, "original_name": name, "path": path}
        self._check_sound()
        make_item(self.count, {**given, "offset": 0, "size": size, "sha256": bytes(32)}, bytes)
        self._sound = False
        self._bag.begin(path, size, mtime)
        count = copy_exactly(source, size, self._take(text), self._buffer)
        if count != size or source.readinto(self._buffer[:1]) or not unchanged():
            raise SourceChangedError(text, f"not the {size} bytes that it had before")
        stored = self._bag.end()
        item = self._record(
            {**given, "offset": stored.offset, "size": size, "sha256": stored.sha256}
        )
        self._sound = True
        return item

    def add_absent(self, values: Mapping[str, Packable]) -> Item:
        """Add an item without content: a media hash, or an omission with its reason."""
        _refuse(values, _PLACE_NAMES)
        self._check_sound()
        return self._record(values)

    def _check_sound(self) -> None:
        if not self._sound:
            raise ValueError("an item was not finished")
        if self.count >= MAX_ITEMS:
            raise ValueError(f"more than {MAX_ITEMS} items")
        # Before its content is read: it could not be taken back.
        if len(self._evidence) > MAX_ITEM_RECORDS - MAX_ITEM_RECORD:
            raise ValueError(f"more than {MAX_ITEM_RECORDS} bytes of fields of items")

    def _take(self, name: str) -> Callable[[memoryview], None]:
        def take(data: memoryview) -> None:
            self._bag.add(data)
            self._done += len(data)
            if self._progress is not None:
                self._progress(Progress("seal", self._done, self._total, name))

        return take

    def _record(self, values: Mapping[str, Packable]) -> Item:
        item, record = make_item(self.count, values, self._random)
        self._evidence += record
        self._ends.append(len(self._evidence))
        self._names += names_line(item)
        self._roots.append(item.root)
        return item

    def finish(self) -> Sealed:
        """Write what remains; every part is then durable in the stage."""
        if not self._sound:
            raise ValueError("an item was not finished")
        with memoryview(self._evidence) as evidence:
            offset, size = self._bag.finish(bytes(self._names), evidence)
        self._encrypting.close()
        self._age.close()
        self._writing.close()
        self._parts.end_part()
        return Sealed(
            id=self.id,
            identity=self._identity,
            parts=tuple(self._parts.parts),
            items=items_root(self._roots),
            item_count=self.count,
            plaintext_size=size,
            items_offset=offset,
            items_size=len(self._evidence),
        )

    def abort(self) -> None:
        """Stop every stage; what was written is left to the stage's own ``abort``."""
        self._abort((self._writing, self._encrypting))

    def _abort(self, stages: Sequence[Stage]) -> None:
        # The upper one first: it may be waiting for the lower.
        for stage in reversed(stages):
            stage.abort()
        self._parts.abort()

    def read_back(self, sealed: Sealed) -> bool:
        """Read every part from the medium again and compare; return whether the system was able to
        drop its cache first. Raises ``DigestMismatchError`` at the first part that differs.
        """
        dropped = self._stage.drop_cache()
        done = 0
        total = sum(size for _, size in sealed.parts)
        for number, (sha256, size) in enumerate(sealed.parts):
            name = part_name_in_bundle(number)
            digest = hashlib.sha256()
            with self._stage.open(name) as reader:
                position = 0
                while count := reader.read_into(position, self._buffer):
                    digest.update(self._buffer[:count])
                    position += count
                    done += count
                    if self._progress is not None:
                        self._progress(Progress("read-back", done, total, name))
            if (digest.digest(), position) != (sha256, size):
                raise DigestMismatchError(
                    "read-back", "the medium does not give back what was written", name
                )
        return dropped


def _refuse(values: Mapping[str, Packable], names: frozenset[str]) -> None:
    for name in sorted(values.keys() & names):
        raise ValueError(f"{name!r} is not for the caller to say")
