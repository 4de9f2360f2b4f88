"""The audit of the log itself: checkpoint, tiles, entries, signatures, heads, custody rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from vault.auditing.report import Finding
from vault.custody import Custody, State
from vault.errors import (
    FormatError,
    SignatureError,
    UnknownKeyError,
    UnsupportedVersionError,
    VerificationError,
)
from vault.event import Event, check_event_signature, parse_event
from vault.layout import CHECKPOINT
from vault.log import read_checkpoint, tile_name
from vault.storage import Store
from vault.tlog.checkpoint import SignedCheckpoint, check_checkpoint, parse_signed_checkpoint
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

__all__ = ["LogAudit", "audit_log"]

_MAX_SIZE: Final = 2**32


@final
@dataclass(slots=True)
class LogAudit:
    """What the log layer leaves to the others.

    ``tree`` is None if no tree has the checkpoint's root. ``events`` holds every event whose bytes
    are in the tree; ``known`` the names of files below ``log/`` that belong there.
    """

    findings: list[Finding] = field(default_factory=list)
    signed: SignedCheckpoint | None = None
    tree: MemoryTree | None = None
    custody: Custody = field(default_factory=Custody)
    events: dict[int, Event] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    vault: bytes | None = None
    complete: bool = False
    trusted: int = 0

    @property
    def state(self) -> State:
        """The state of custody, as far as the events could be folded."""
        return self.custody.state

    def add(self, code: str, severity: str, place: str, detail: str = "") -> None:
        """Add a finding."""
        assert severity in ("contradicted", "altered", "note")
        self.findings.append(Finding(code, severity, place, detail))  # type: ignore[arg-type]


def audit_log(
    store: Store, trust: Callable[[bytes, MemoryTree], int], step: Callable[[str], None]
) -> LogAudit:
    """Audit everything below ``log/``.

    ``trust(vault id, tree)`` says how many events an earlier audit of exactly this tree has checked:
    their signatures are not checked again.
    """
    audit = LogAudit()
    _checkpoint(store, audit)
    if audit.signed is None:
        return audit
    entries = _entries(store, audit)
    _tiles(store, audit, entries, step)
    if audit.tree is not None:
        _events(audit, entries, trust, step)
    return audit


def _checkpoint(store: Store, audit: LogAudit) -> None:
    pending = store.pending()
    raw = read_checkpoint(store)
    signed = None
    audit.known.update((CHECKPOINT, f"{CHECKPOINT}.next"))
    try:
        signed = parse_signed_checkpoint(raw) if raw is not None else None
    except FormatError as error:
        audit.add("checkpoint-damaged", "altered", CHECKPOINT, error.why)
    if raw is None:
        audit.add("checkpoint-missing", "altered", CHECKPOINT)
    if pending is not None:
        try:
            following = parse_signed_checkpoint(pending)
        except FormatError:
            audit.add("pending-torn", "note", f"{CHECKPOINT}.next")
        else:
            audit.add("pending-commit", "note", f"{CHECKPOINT}.next")
            if signed is None:
                # What FAT leaves of a rename that the power interrupted: the next writer finishes.
                audit.findings = [one for one in audit.findings if one.severity == "note"]
                signed = following
    if signed is not None and not 0 < signed.checkpoint.size <= _MAX_SIZE:
        audit.add("checkpoint-damaged", "altered", CHECKPOINT, "no log has that size")
        signed = None
    audit.signed = signed


def _fetch(store: Store, tile: Tile) -> bytes | None:
    """Return a tile's bytes, one byte more at most than it can have; None if it is missing."""
    limit = TILE_WIDTH * (2 + 65535) if tile.level == ENTRIES else TILE_WIDTH * 32
    try:
        return store.read(tile_name(tile), 0, limit + 1)
    except FileNotFoundError:
        return None


def _entries(store: Store, audit: LogAudit) -> dict[int, bytes]:
    """Return the entries that can be read, by number; findings for the bundles that can't be."""
    assert audit.signed is not None
    found: dict[int, bytes] = {}
    size = audit.signed.checkpoint.size
    for tile in tiles_of(size):
        if tile.level != ENTRIES:
            break
        name = tile_name(tile)
        audit.known.add(name)
        data = _fetch(store, tile)
        if data is None:
            audit.add("entries-missing", "altered", name)
            continue
        try:
            entries = parse_entry_bundle(data, tile.width)
        except FormatError as error:
            audit.add("entries-damaged", "altered", name, error.why)
            continue
        found.update(enumerate(entries, tile.index * TILE_WIDTH))
    return found


def _tiles(
    store: Store, audit: LogAudit, entries: dict[int, bytes], step: Callable[[str], None]
) -> None:
    """Find the tree that has the checkpoint's root, from entries or tiles; compare both with it."""
    assert audit.signed is not None
    head = audit.signed.checkpoint
    tiles = [tile for tile in tiles_of(head.size) if tile.level != ENTRIES]
    stored = {tile: _fetch(store, tile) for tile in tiles}
    audit.known.update(tile_name(tile) for tile in tiles)
    leaves = [leaf_hash(entries[seq]) if seq in entries else b"" for seq in range(head.size)]
    bottom = [tile for tile in tiles if tile.level == 0]
    for candidate in (leaves, _leaves_of_tiles(bottom, stored)):
        if candidate is not None and all(candidate) and len(candidate) == head.size:
            tree = MemoryTree(candidate)
            if tree.root() == head.root:
                audit.tree = tree
                break
    if audit.tree is None:
        audit.add("root", "altered", CHECKPOINT, "neither entries nor tiles have the signed root")
        return
    for tile in tiles:
        step(tile_name(tile))
        data = stored[tile]
        if data is None:
            audit.add("tile-missing", "altered", tile_name(tile))
        elif data != tile_data(tile, audit.tree):
            audit.add("tile-damaged", "altered", tile_name(tile), "does not follow from the root")
    for seq in list(entries):
        if leaves[seq] != audit.tree.hash(0, seq):
            name = tile_name(_bundle_of(seq, head.size))
            audit.add("entry-altered", "altered", name, f"event {seq}")
            del entries[seq]
    _superseded(store, audit, entries)


def _leaves_of_tiles(tiles: list[Tile], stored: dict[Tile, bytes | None]) -> list[bytes] | None:
    leaves: list[bytes] = []
    for tile in tiles:
        data = stored[tile]
        try:
            leaves.extend(parse_tile(data or b"", tile.width))
        except FormatError:
            return None
    return leaves


def _bundle_of(seq: int, size: int) -> Tile:
    index = seq // TILE_WIDTH
    return Tile(ENTRIES, index, min(TILE_WIDTH, size - index * TILE_WIDTH))


def _superseded(store: Store, audit: LogAudit, entries: dict[int, bytes]) -> None:
    """Check partial tiles of earlier checkpoints that are still there: each begins its successor.

    They may be absent. Only the tiles at the right edge, and those that became full, can have any.
    """
    assert audit.tree is not None
    names = {name: size for name, size in store.list("log/tile") if ".p/" in name}
    for name in names:
        if name in audit.known:
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
        if _fetch(store, tile) != expected:
            audit.add("tile-damaged", "altered", name, "does not begin what came after it")


def _partial_named(name: str, size: int) -> Tile | None:
    try:
        tile = parse_tile_path(name.removeprefix("log/"))
    except FormatError:
        return None
    count = size >> 8 * max(tile.level, 0)
    within = tile.index * TILE_WIDTH + tile.width <= count
    return tile if within else None


def _events(
    audit: LogAudit,
    entries: dict[int, bytes],
    trust: Callable[[bytes, MemoryTree], int],
    step: Callable[[str], None],
) -> None:
    assert audit.tree is not None
    assert audit.signed is not None
    size = audit.tree.size
    audit.complete = True
    if 0 in entries:
        audit.vault = hashlib.sha256(entries[0]).digest()
        audit.trusted = trust(audit.vault, audit.tree)
    for seq in range(size):
        place = f"event {seq}"
        step(place)
        if seq not in entries:
            audit.complete = False
            continue
        try:
            event = parse_event(entries[seq])
        except UnsupportedVersionError as error:
            audit.add("version", "note", place, error.why)
            audit.complete = False
            continue
        except FormatError as error:
            audit.add("event-malformed", "contradicted", place, error.why)
            audit.complete = False
            continue
        audit.events[seq] = event
        if seq >= audit.trusted:
            _check_event(audit, event, seq, place)
        if audit.complete:
            for breach in audit.custody.apply(event):
                audit.add(f"rule-{breach.rule}", "contradicted", place, _of(event, breach.detail))
    if not audit.complete:
        audit.add("custody-incomplete", "note", "log", "some events could not be read")
    elif audit.state.due is not None:
        audit.add("rule-epoch-due", "contradicted", f"event {size - 1}", "no epoch was opened")
    _signer(audit, size)
    _disputes(audit)


def _of(event: Event, detail: str) -> str:
    return f"{event.type}: {detail}" if detail else event.type


def _check_event(audit: LogAudit, event: Event, seq: int, place: str) -> None:
    assert audit.tree is not None
    try:
        check_event_signature(event)
    except SignatureError as error:
        audit.add("event-signature", "contradicted", place, error.why)
    if seq and event.head != audit.tree.root(seq):
        audit.add("head", "contradicted", place, "is not the root before it")


def _disputes(audit: LogAudit) -> None:
    """Report the events that a removal, which came after them, declared doubtful."""
    for seq, event in audit.events.items():
        if audit.state.is_disputed(event.actor, seq):
            audit.add("disputed", "note", f"event {seq}", event.type)


def _signer(audit: LogAudit, size: int) -> None:
    """Check that the actor of the last event signed the checkpoint."""
    assert audit.signed is not None
    last = audit.events.get(size - 1)
    member = audit.state.members.get(last.actor) if last is not None else None
    if member is None:
        if audit.complete:
            audit.add("checkpoint-signer", "contradicted", CHECKPOINT, "not on the roster")
        else:
            audit.add("checkpoint-unchecked", "altered", CHECKPOINT, "its signer is not known")
        return
    try:
        check_checkpoint(
            audit.signed, member.keys.ed25519, member.keys.ml_dsa_44, origin=audit.state.origin
        )
    except (SignatureError, UnknownKeyError, VerificationError) as error:
        # Bytes that no key signed are damage; they say nothing of what anyone signed.
        audit.add("checkpoint-signature", "altered", CHECKPOINT, error.why)
