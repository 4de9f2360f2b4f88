"""C2SP tlog-tiles: the files that a log of a given size consists of, and what is in them.

    tile/<L>/<N>[.p/<W>]        W (1 to 256) hashes of 32 bytes, end to end: the hashes of the
                                complete subtrees of 256**L leaves, from number 256 * N on
    tile/entries/<N>[.p/<W>]    W entries, each after its length (uint16, big-endian)

``<N>`` is written in elements of three digits, all but the last after an ``x``: 1234067 is
``x001/x234/067``. ``.p/<W>`` is there exactly when W < 256. A partial tile is the beginning of
every wider tile in its place, and is never hashed into the level above.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from vault.codec import parse_decimal
from vault.errors import FormatError
from vault.tlog.merkle import HASH_SIZE, HashReader, MemoryTree

__all__ = [
    "ENTRIES",
    "MAX_ENTRY",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Tile",
    "TileReader",
    "format_entry_bundle",
    "format_tile",
    "new_tiles",
    "parse_entry_bundle",
    "parse_tile",
    "parse_tile_path",
    "tile_data",
    "tile_path",
    "tiles_of",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_ENTRY: Final = 65535
"""The largest entry in bytes: its length is a uint16."""
ENTRIES: Final = -1
"""The ``level`` of an entry bundle. It lies under level 0, entry for leaf hash."""

_MAX_LEVEL: Final = 63
_MAX_INDEX: Final = 2**63 - 1
_TREE_LEVELS: Final = 8  # of 256 hashes each: more than a tree of 2**63 - 1 leaves has


@final
@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile or entry bundle: ``level`` 0 to 63 or ``ENTRIES``, ``index``, ``width`` 1 to 256."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (
            ENTRIES <= self.level <= _MAX_LEVEL
            and 0 <= self.index <= _MAX_INDEX
            and 1 <= self.width <= TILE_WIDTH
        ):
            raise ValueError(f"no tile {self.level}, {self.index}, {self.width}")

    @property
    def partial(self) -> bool:
        """Whether the tile is narrower than 256."""
        return self.width < TILE_WIDTH


# --- paths ------------------------------------------------------------------------------------


def tile_path(tile: Tile) -> str:
    """Return the tile's path below the log's prefix (tlog-tiles, "Merkle Tree")."""
    digits = str(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *high, low = (digits[i : i + 3] for i in range(0, len(digits), 3))
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    suffix = f".p/{tile.width}" if tile.partial else ""
    return f"tile/{level}/{''.join(f'x{element}/' for element in high)}{low}{suffix}"


_PATH: Final = re.compile(
    r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?\Z", re.ASCII
)


def parse_tile_path(path: str) -> Tile:
    """Parse a tile's path; raise ``FormatError`` unless it is the one that ``tile_path`` gives."""
    match = _PATH.match(path)
    if match is None:
        raise FormatError("tile path", "not of the form tile/<L>/<N>[.p/<W>]", path)
    level, index, width = match.groups()
    try:
        tile = Tile(
            ENTRIES if level == "entries" else parse_decimal(level),
            int(index.replace("x", "").replace("/", "")),
            TILE_WIDTH if width is None else parse_decimal(width),
        )
    except (FormatError, ValueError):
        raise FormatError("tile path", "a number that no tile has", path) from None
    if tile_path(tile) != path:
        raise FormatError("tile path", "not canonical", path)
    return tile


# --- which tiles ------------------------------------------------------------------------------


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile of a tree of ``size`` leaves: entry bundles, then level 0, 1 and so on.

    Lazily, because a size that was merely read somewhere may be beyond all memory.
    """
    return new_tiles(0, size)


def new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """Yield the tiles of the tree of ``new_size`` leaves that the tree of ``old_size`` has not.

    That is what a commit writes: the tiles that became full, and on each level that grew, the
    partial tile at its end. Raises ``ValueError`` unless ``0 <= old_size <= new_size < 2**63``.
    """
    if not 0 <= old_size <= new_size <= _MAX_INDEX:
        raise ValueError(f"no log grows from size {old_size} to size {new_size}")
    return _new_tiles(old_size, new_size)


def _new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    for level in range(ENTRIES, _TREE_LEVELS):
        shift = TILE_HEIGHT * max(level, 0)
        old, new = old_size >> shift, new_size >> shift
        full = new >> TILE_HEIGHT
        for index in range(old >> TILE_HEIGHT, full):
            yield Tile(level, index)
        if old != new and new % TILE_WIDTH:
            yield Tile(level, full, new % TILE_WIDTH)


# --- contents ---------------------------------------------------------------------------------


def tile_data(tile: Tile, reader: HashReader) -> bytes:
    """Return the bytes of a tile of hashes, read from ``reader``."""
    if tile.level == ENTRIES:
        raise ValueError("an entry bundle holds no hashes")
    level, first = TILE_HEIGHT * tile.level, TILE_WIDTH * tile.index
    return format_tile([reader.hash(level, first + i) for i in range(tile.width)])


def format_tile(hashes: Sequence[bytes]) -> bytes:
    """Return 1 to 256 hashes of 32 bytes as a tile; ``ValueError`` otherwise."""
    if not 1 <= len(hashes) <= TILE_WIDTH or any(len(h) != HASH_SIZE for h in hashes):
        raise ValueError("not 1 to 256 hashes of 32 bytes")
    return b"".join(hashes)


def parse_tile(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the ``width`` hashes of a tile; raise ``FormatError`` unless it has that length."""
    if len(data) != width * HASH_SIZE:
        raise FormatError("tile", f"{len(data)} bytes instead of {width * HASH_SIZE}")
    return tuple(data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE))


def format_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return 1 to 256 entries of at most 65,535 bytes as a bundle; ``ValueError`` otherwise."""
    if not 1 <= len(entries) <= TILE_WIDTH or any(len(e) > MAX_ENTRY for e in entries):
        raise ValueError("not 1 to 256 entries of at most 65535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_entry_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the ``width`` entries of a bundle; raise ``FormatError`` unless it is just those."""
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise FormatError("entry bundle", f"cut short in entry {len(entries)} of {width}")
        entries.append(data[begin:at])
    if at != len(data):
        raise FormatError("entry bundle", f"{len(data) - at} bytes after entry {width}")
    return tuple(entries)


# --- reading hashes from tiles ----------------------------------------------------------------

_CACHED_TILES: Final = 64


@final
class TileReader:
    """A :class:`~vault.tlog.merkle.HashReader` over the tiles of a tree of ``size`` leaves.

    ``fetch`` returns the bytes of exactly the tile it is asked for, which is always one of
    ``tiles_of(size)``; a wrong length is a ``FormatError`` with the tile's path, and what ``fetch``
    raises passes through. Nothing is compared with any root here: a caller who does not trust the
    tiles compares ``tree_root(size, reader)``, or checks the proof that was made. At most 64 tiles
    are kept (about 1 MiB). Not for use by several threads at once.
    """

    __slots__ = ("_cache", "_fetch", "_size")

    def __init__(self, fetch: Callable[[Tile], bytes], size: int) -> None:
        if not 0 <= size <= _MAX_INDEX:
            raise ValueError(f"no tree of size {size}")
        self._fetch = fetch
        self._size = size
        self._cache: OrderedDict[tuple[int, int], MemoryTree] = OrderedDict()

    @property
    def size(self) -> int:
        """The number of leaves of the tree."""
        return self._size

    def hash(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree; ``ValueError`` if the tree has it not."""
        if level < 0 or not 0 <= index < self._size >> level:
            raise ValueError(f"no complete subtree {index} at level {level} of {self._size} leaves")
        tile_level, inner = divmod(level, TILE_HEIGHT)
        first = index << inner
        return self._tile(tile_level, first >> TILE_HEIGHT).hash(inner, first % TILE_WIDTH >> inner)

    def _tile(self, level: int, index: int) -> MemoryTree:
        tree = self._cache.get((level, index))
        if tree is None:
            count = (self._size >> TILE_HEIGHT * level) - TILE_WIDTH * index
            tile = Tile(level, index, min(count, TILE_WIDTH))
            try:
                tree = MemoryTree(parse_tile(self._fetch(tile), tile.width))
            except FormatError as error:
                raise error.at(tile_path(tile)) from None
            self._cache[level, index] = tree
            if len(self._cache) > _CACHED_TILES:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end((level, index))
        return tree
