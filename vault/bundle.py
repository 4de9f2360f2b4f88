"""Bundles: items sealed together as one age file, stored in parts (docs/spec.md, "Bundles").

Writing: bag → age → parts of 1 GiB, digests on the way, each stage in a thread of its own. The age
file is encrypted to a fresh X-Wing recipient of the bundle alone, whose identity goes into the
small key file. Reading: the parts as one seekable file, so an item is opened without what lies
before it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from vault import age
from vault.bag import (
    MAX_ITEMS,
    BagReader,
    BagWriter,
    extension_of,
    item_path,
    padded_size,
    tar_header,
)
from vault.codec import Packable, Value, pack, unpack_sequence
from vault.commitment import (
    ITEM_LABEL,
    Field,
    commit_fields,
    fields_root,
    format_fields,
    items_root,
    parse_fields,
    values_of,
)
from vault.errors import DigestMismatchError, FormatError, ProofError, SourceChangedError
from vault.event import FURTHER_FIELD, ITEM_FIELDS, MAX_PARTS, check_values
from vault.layout import PART_SIZE, part_name, part_name_in_bundle
from vault.pipeline import (
    BUFFER_SIZE,
    Buffer,
    Progress,
    ProgressCallback,
    Source,
    Stage,
    copy_exactly,
)
from vault.storage import Reader, Store
from vault.storage import Stage as StagedDirectory
from vault.storage import Writer as FileWriter

__all__ = [
    "BundleWriter",
    "Item",
    "PartsReader",
    "Sealed",
    "check_bag",
    "estimated_size",
    "format_bundle_key",
    "parse_bundle_key",
    "read_items",
]

_ITEM_NAMES: Final = tuple(key.name for key in ITEM_FIELDS)
_PLACE_NAMES: Final = frozenset(("path", "offset"))
_CONTENT_NAMES: Final = _PLACE_NAMES | {"original_name", "size", "sha256"}
_MAX_ITEM_RECORD: Final = 2**20


@final
@dataclass(frozen=True, slots=True)
class Item:
    """One item of a bundle; ``number`` from 0."""

    number: int
    fields: tuple[Field, ...]

    @property
    def values(self) -> dict[str, Value]:
        """The values that are present, by name."""
        return values_of(self.fields)

    @property
    def root(self) -> bytes:
        """The item's committed root."""
        return fields_root(ITEM_LABEL, self.fields)

    @property
    def stored(self) -> tuple[str, int, int, bytes] | None:
        """Path in the bag, offset in the plaintext, size and SHA-256; None without content."""
        match self.values:
            case {"path": str(path), "offset": int(offset), "size": int(size), "sha256": bytes(d)}:
                return path, offset, size, d
        return None


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


# --- the key file -----------------------------------------------------------------------------


def format_bundle_key(identity: age.HybridIdentity) -> bytes:
    """Return the plaintext of a bundle's key file: one line, the age identity."""
    return f"{identity.to_string()}\n".encode("ascii")


def parse_bundle_key(plaintext: bytes, key: bytes) -> age.HybridIdentity:
    """Parse a key file's plaintext; raise ``FormatError``, or ``ProofError`` unless the SHA-256 of
    its recipient is ``key``.
    """
    try:
        line, end = plaintext.decode("ascii").split("\n")
        identity = age.HybridIdentity.from_string(line)
    except ValueError:
        raise FormatError("key file", "not one line") from None
    if end:
        raise FormatError("key file", "not one line")
    if hashlib.sha256(identity.recipient().to_bytes()).digest() != key:
        raise ProofError("key file", "not the key that the bundle was sealed to")
    return identity


# --- writing ----------------------------------------------------------------------------------


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
        shown = _shown(name)
        _refuse(values, _CONTENT_NAMES)
        path = item_path(self.count, name)
        given: dict[str, Packable] = {**values, "original_name": name, "path": path}
        self._check_sound()
        _item(self.count, {**given, "offset": 0, "size": size, "sha256": bytes(32)}, bytes)
        self._sound = False
        self._bag.begin(path, size, mtime)
        count = copy_exactly(source, size, self._take(shown), self._buffer)
        if count != size or source.readinto(self._buffer[:1]) or not unchanged():
            raise SourceChangedError(shown, f"not the {size} bytes that it had before")
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

    def _take(self, name: str) -> Callable[[memoryview], None]:
        def take(data: memoryview) -> None:
            self._bag.add(data)
            self._done += len(data)
            if self._progress is not None:
                self._progress(Progress("seal", self._done, self._total, name))

        return take

    def _record(self, values: Mapping[str, Packable]) -> Item:
        item, record = _item(self.count, values, self._random)
        self._evidence += record
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


def _item(
    number: int, values: Mapping[str, Packable], random: Callable[[int], bytes]
) -> tuple[Item, bytes]:
    """Return an item and its record in ``evidence.msgpack``."""
    item = Item(number, commit_fields(_ITEM_NAMES, values, random))
    check_values("item", ITEM_FIELDS, item.values, further=FURTHER_FIELD)
    record = pack(format_fields(item.fields))
    if len(record) > _MAX_ITEM_RECORD:
        raise ValueError("the fields of an item are longer than 1 MiB")
    return item, record


def _shown(name: str | bytes) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def names_line(item: Item) -> bytes:
    """Return the line of ``names.txt`` for an item: path, a tab, the original name, LF.

    Control characters, and bytes that are not UTF-8, are shown as ``\\xNN`` or ``\\uNNNN``; an item
    without content has ``-`` for its path.
    """
    values = item.values
    name = values.get("original_name", "")
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in _shown(name if isinstance(name, (str, bytes)) else "")
    )
    path = values.get("path", "-")
    return f"{path!s}\t{shown}\n".encode()


# --- reading ----------------------------------------------------------------------------------


@final
class PartsReader(io.RawIOBase):
    """The parts of a bundle as one seekable binary file. Sizes are those that were logged."""

    def __init__(self, store: Store, bundle: bytes, sizes: Sequence[int]) -> None:
        super().__init__()
        self._store = store
        self._bundle = bundle
        self._sizes = tuple(sizes)
        self._position = 0
        self._open: tuple[int, Reader] | None = None
        self.size = sum(sizes)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as files do; return the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"no such whence: {whence}")
        if base + offset < 0:
            raise ValueError("before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        """Fill some of ``buffer``; 0 at the end. A part shorter than logged is ``FormatError``."""
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


@final
class _Window:
    """``size`` bytes of a file from ``offset``, for a parser that reads to the end."""

    def __init__(self, source: age.Reader, offset: int, size: int) -> None:
        source.seek(offset)
        self._source = source
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left)) or b""
        self._left -= len(data)
        return data


def read_items(plaintext: age.Reader, offset: int, size: int) -> Iterator[Item]:
    """Yield the items of a bundle from its ``evidence.msgpack``; raise ``FormatError``."""
    window = _Window(plaintext, offset, size)
    for number, (value, _) in enumerate(unpack_sequence(window, max_value=_MAX_ITEM_RECORD)):
        if number >= MAX_ITEMS:
            raise FormatError("items", f"more than {MAX_ITEMS}")
        item = Item(number, parse_fields(value, _ITEM_NAMES))
        check_values(f"item {number}", ITEM_FIELDS, item.values, further=FURTHER_FIELD)
        _check_path(item)
        yield item


def _check_path(item: Item) -> None:
    values = item.values
    present = [name for name in ("path", "offset", "sha256") if name in values]
    name = values.get("original_name")
    if "path" not in values:
        if "offset" in values:
            raise FormatError(f"item {item.number}", "has an offset and no path")
        return
    if len(present) != 3 or "size" not in values or not isinstance(name, (str, bytes)):
        raise FormatError(f"item {item.number}", "has content, and not all that says where")
    if values["path"] != f"data/{item.number:06d}{extension_of(name)}":
        raise FormatError(f"item {item.number}", "not the path of its number and name")


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
    names = b"".join(names_line(item) for item in items)
    records = b"".join(pack(format_fields(item.fields)) for item in items)
    plaintext.seek(0)

    def read(size: int) -> bytes:
        data = plaintext.read(size) or b""
        if progress is not None:
            progress(len(data))
        return data

    bag = BagReader(bundle, read)
    for item in items:
        stored = item.stored
        if stored is None:
            continue
        path, offset, size, sha256 = stored
        header = len(tar_header(f"{bundle.hex()}/{path}", size, 0))
        if bag.offset + header != offset:
            raise FormatError("bag", "not at the offset that its fields say", path)
        if bag.item(path, size) != sha256:
            raise DigestMismatchError("item", "not the SHA-256 that its fields say", path)
    found, total = bag.finish(names, records)
    if (found, len(records), total) != where:
        raise FormatError("bag", "evidence.msgpack is not where the event's fields say")
