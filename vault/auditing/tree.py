"""The audit of the tree: entries and tiles against the signed root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from vault.auditing.places import fetch, is_file
from vault.auditing.report import Finding
from vault.custody import Custody, State
from vault.errors import FormatError
from vault.event import Event
from vault.layout import CHECKPOINT, LOG
from vault.log.files import max_size, tile_name
from vault.storage import Store
from vault.tlog.checkpoint import Checkpoint, SignedCheckpoint
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    format_entry_bundle,
    parse_entry_bundle,
    parse_tile,
    parse_tile_path,
    tile_data,
    tiles_of,
)

__all__ = ["Entries", "LogAudit", "audit_superseded", "audit_tree"]


@final
@dataclass(slots=True)
class LogAudit:
    """What the log layer leaves to the others.

    ``raw`` is ``log/checkpoint`` as it was read (None: not to be read), ``signed`` the checkpoint
    that the rest was held against. ``tree`` is None if no tree has the checkpoint's root.
    ``events`` holds every event whose bytes are in the tree; ``known`` the names of files below
    ``log/`` that belong there. ``later`` is the first event of a later version, if any; ``signer``
    the Ed25519 key of the member who signed the checkpoint, if that was found out.
    """

    findings: list[Finding] = field(default_factory=list)
    raw: bytes | None = None
    signed: SignedCheckpoint | None = None
    pending: SignedCheckpoint | None = None
    tree: MemoryTree | None = None
    custody: Custody = field(default_factory=Custody)
    events: dict[int, Event] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    vault: bytes | None = None
    complete: bool = False
    later: str | None = None
    trusted: int = 0
    signer: bytes | None = None

    @property
    def state(self) -> State:
        """The state of custody, as far as the events could be folded."""
        return self.custody.state

    def add(self, code: str, severity: str, place: str, detail: str = "") -> None:
        """Add a finding."""
        assert severity in ("contradicted", "altered", "note")
        self.findings.append(Finding(code, severity, place, detail))  # type: ignore[arg-type]


def _fetch(store: Store, tile: Tile) -> bytes | Finding:
    """Return a tile's bytes, one byte more at most than it can have, or what is wrong with it."""
    if tile.level == ENTRIES:
        return fetch(store, tile_name(tile), max_size(tile), "entries-missing")
    return fetch(store, tile_name(tile), max_size(tile), "tile-missing")


@final
class Entries:
    """The entries of a log of ``size``, of which one bundle at a time is in memory.

    Only those are given that are in the tree, once that is known.
    """

    def __init__(self, store: Store, audit: LogAudit, size: int) -> None:
        self._store = store
        self._audit = audit
        self._size = size
        self._index = -1
        self._bundle: tuple[bytes, ...] = ()
        self._lost: set[int] = set()

    def leaves(self) -> list[bytes]:
        """Return the hash of each entry, or nothing for one that can't be read; findings for the
        bundles that can't be.
        """
        found: list[bytes] = []
        for index in range(-(-self._size // TILE_WIDTH)):
            tile = _bundle_of(index * TILE_WIDTH, self._size)
            name = tile_name(tile)
            self._audit.known.add(name)
            entries: tuple[bytes, ...] = ()
            data = _fetch(self._store, tile)
            if isinstance(data, Finding):
                self._audit.findings.append(data)
            else:
                try:
                    entries = parse_entry_bundle(data, tile.width)
                except FormatError as error:
                    self._audit.add("entries-damaged", "altered", name, error.why)
            found += map(leaf_hash, entries) if entries else [b""] * tile.width
        return found

    def lose(self, seq: int) -> None:
        """Give this one no more."""
        self._lost.add(seq)

    def get(self, seq: int) -> bytes | None:
        """Return an entry; None for one that is lost, with a finding if it is so only now."""
        assert self._audit.tree is not None
        if seq in self._lost:
            return None
        index, offset = divmod(seq, TILE_WIDTH)
        if index != self._index:
            self._index, self._bundle = index, self._read(_bundle_of(seq, self._size))
        entry = self._bundle[offset] if self._bundle else None
        if entry is None or leaf_hash(entry) != self._audit.tree.hash(0, seq):
            self._lost.add(seq)
            name = tile_name(_bundle_of(seq, self._size))
            self._audit.add("entry-altered", "altered", name, f"event {seq}")
            return None
        return entry

    def _read(self, tile: Tile) -> tuple[bytes, ...]:
        data = _fetch(self._store, tile)
        try:
            return () if isinstance(data, Finding) else parse_entry_bundle(data, tile.width)
        except FormatError:
            return ()


def audit_tree(store: Store, audit: LogAudit, step: Callable[[str], None]) -> Entries:
    """Find the tree that has the checkpoint's root, from entries or tiles; compare both with it.

    Returns the entries.
    """
    assert audit.signed is not None
    head = audit.signed.checkpoint
    entries = Entries(store, audit, head.size)
    leaves = entries.leaves()
    audit.tree = _tree_of(leaves, head)
    if audit.tree is None:
        bottom = (tile for tile in tiles_of(head.size) if tile.level == 0)
        audit.tree = _tree_of(_leaves_of_tiles(store, bottom), head)
    for tile in tiles_of(head.size):
        if tile.level == ENTRIES:
            continue
        audit.known.add(tile_name(tile))
        step(tile_name(tile))
        data = _fetch(store, tile)
        if isinstance(data, Finding):
            audit.findings.append(data)
        elif audit.tree is not None and data != tile_data(tile, audit.tree):
            audit.add("tile-damaged", "altered", tile_name(tile), "does not follow from the root")
    if audit.tree is None:
        audit.add("root", "altered", CHECKPOINT, "neither entries nor tiles have the signed root")
        return entries
    for seq, leaf in enumerate(leaves):
        if leaf != audit.tree.hash(0, seq):
            entries.lose(seq)
            if leaf:
                name = tile_name(_bundle_of(seq, head.size))
                audit.add("entry-altered", "altered", name, f"event {seq}")
    return entries


def _tree_of(leaves: list[bytes], head: Checkpoint) -> MemoryTree | None:
    """Return the tree of these leaf hashes if its root is the signed one."""
    if len(leaves) != head.size or not all(leaves):
        return None
    tree = MemoryTree(leaves)
    return tree if tree.root() == head.root else None


def _leaves_of_tiles(store: Store, tiles: Iterable[Tile]) -> list[bytes]:
    leaves: list[bytes] = []
    for tile in tiles:
        data = _fetch(store, tile)
        try:
            leaves.extend(parse_tile(b"" if isinstance(data, Finding) else data, tile.width))
        except FormatError:
            return []
    return leaves


def _bundle_of(seq: int, size: int) -> Tile:
    index = seq // TILE_WIDTH
    return Tile(ENTRIES, index, min(TILE_WIDTH, size - index * TILE_WIDTH))


def audit_superseded(
    store: Store, audit: LogAudit, entries: Entries, stored: Mapping[str, int]
) -> None:
    """Check partial tiles of earlier checkpoints that are still there: each begins its successor.

    They may be absent. Only the tiles at the right edge, and those that became full, can have any.
    """
    assert audit.tree is not None
    for name, size in stored.items():
        if name in audit.known or not is_file(size):
            continue
        tile = _partial_named(name, audit.tree.size)
        if tile is None:
            continue  # beyond the checkpoint: left over, and reported as such
        audit.known.add(name)
        if tile.level == ENTRIES:
            first = tile.index * TILE_WIDTH
            wanted = [entries.get(seq) for seq in range(first, first + tile.width)]
            if None in wanted:
                continue  # the entries themselves are damaged, which is reported
            expected = format_entry_bundle([entry for entry in wanted if entry is not None])
        else:
            expected = tile_data(tile, audit.tree)
        data = _fetch(store, tile)
        if isinstance(data, Finding):
            # Dropped by a writer since it was listed, which is as well.
            audit.findings += [data] if data.code == "unreadable" else []
        elif data != expected:
            # Nobody needs it, and FAT can leave the name of a deleted one with other bytes.
            audit.add("tile-superseded", "note", name, "does not begin what came after it")


def _partial_named(name: str, size: int) -> Tile | None:
    try:
        tile = parse_tile_path(name.removeprefix(f"{LOG}/"))
    except FormatError:
        return None
    count = size >> 8 * max(tile.level, 0)
    within = tile.index * TILE_WIDTH + tile.width <= count
    return tile if tile.partial and within else None
