"""The files of a log: their names, reading them, and which of them a commit supersedes.

Nothing is verified here but the form of an entry bundle.
"""

from __future__ import annotations

from collections.abc import Iterator

from vault.errors import FormatError
from vault.layout import CHECKPOINT, LOG, MAX_CHECKPOINT
from vault.storage import Store
from vault.tlog.tiles import (
    ENTRIES,
    MAX_ENTRY,
    TILE_WIDTH,
    Tile,
    new_tiles,
    parse_entry_bundle,
    tile_path,
)

__all__ = [
    "MAX_CHECKPOINT",
    "edge_tiles",
    "max_size",
    "read_checkpoint",
    "read_entries",
    "superseded",
    "tile_name",
]


def tile_name(tile: Tile) -> str:
    """Return the name of a tile in the store."""
    return f"{LOG}/{tile_path(tile)}"


def read_checkpoint(store: Store) -> bytes | None:
    """Return the bytes of ``log/checkpoint``, or None if there is none."""
    try:
        return store.read(CHECKPOINT, 0, MAX_CHECKPOINT)
    except FileNotFoundError:
        return None


def max_size(tile: Tile) -> int:
    """Return the bytes that a tile, or an entry bundle, has at most."""
    return tile.width * (2 + MAX_ENTRY if tile.level == ENTRIES else 32)


def read_entries(store: Store, start: int, end: int, size: int) -> Iterator[bytes]:
    """Yield entries ``start`` to ``end`` of a log of ``size``.

    Raises ``FileNotFoundError`` where an entry bundle is gone and ``FormatError`` where one is not
    in its format.
    """
    index = start // TILE_WIDTH
    while index * TILE_WIDTH < end:
        first = index * TILE_WIDTH
        entries = _read_bundle(store, Tile(ENTRIES, index, min(TILE_WIDTH, size - first)))
        yield from entries[max(0, start - first) : end - first]
        index += 1


def _read_bundle(store: Store, wanted: Tile) -> tuple[bytes, ...]:
    # tlog-tiles, "Partial Tiles": a superseded one may be gone, and any wider one then serves.
    for width in range(wanted.width, TILE_WIDTH + 1):
        tile = Tile(ENTRIES, wanted.index, width)
        name = tile_name(tile)
        try:
            data = store.read(name, 0, max_size(tile) + 1)
        except FileNotFoundError:
            continue
        try:
            return parse_entry_bundle(data, tile.width)[: wanted.width]
        except FormatError as error:
            raise error.at(name) from None
    raise FileNotFoundError(tile_name(wanted))


def superseded(old: int, new: int) -> dict[str, frozenset[str]]:
    """Return the directories of partial tiles that a commit writes to, each with what stays in it.

    Only the partial tile of the present checkpoint does: older ones are superseded, and wider ones
    are left over from a commit that never was.
    """
    keep: dict[str, frozenset[str]] = {}
    present = {(tile.level, tile.index): tile.width for tile in edge_tiles(old)}
    for tile in new_tiles(old, new):
        directory = tile_name(Tile(tile.level, tile.index)) + ".p"
        width = present.get((tile.level, tile.index))
        keep[directory] = frozenset((str(width),) if width else ())
    return keep


def edge_tiles(size: int) -> Iterator[Tile]:
    """Yield the partial tiles of a tree of ``size`` leaves."""
    level = ENTRIES
    while count := size >> 8 * max(level, 0):
        if count % TILE_WIDTH:
            yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)
        level += 1
