"""The audit of the log itself: checkpoint, tiles, entries, signatures, heads, custody rules."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from vault.auditing.places import fetch, is_file, list_files
from vault.auditing.report import Finding
from vault.custody import Custody, Member, State, signer_of
from vault.errors import (
    FormatError,
    SignatureError,
    UnsupportedVersionError,
    VaultError,
    VerificationError,
)
from vault.event import Event, check_event_signature, parse_event
from vault.layout import CHECKPOINT, LOG
from vault.log.files import MAX_CHECKPOINT, max_size, read_entries, tile_name
from vault.storage import PENDING, Store
from vault.storage.base import without_room
from vault.tlog.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    check_checkpoint,
    parse_signed_checkpoint,
)
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

__all__ = ["LogAudit", "audit_log", "fork_detail"]

_SPARE: Final = 64
_TORN: Final = frozenset(("checkpoint-damaged", "checkpoint-missing"))


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


def audit_log(
    store: Store, trust: Callable[[bytes, MemoryTree], int], step: Callable[[str], None]
) -> LogAudit:
    """Audit everything below ``log/``.

    ``trust(vault id, tree)`` says how many events an earlier audit of exactly this tree has
    checked: their signatures are not checked again.
    """
    audit = LogAudit()
    _checkpoint(store, audit)
    if audit.signed is None:
        return audit
    stored, trouble = list_files(store, f"{LOG}/tile")
    audit.findings += trouble
    bundles = -(-audit.signed.checkpoint.size // TILE_WIDTH)
    if bundles > 2 * len(stored) + _SPARE:
        # A size is only a number: what is read in its name is bounded by what is there.
        detail = f"{bundles} files are signed for, {len(stored)} are there"
        audit.add("entries-missing", "altered", f"{LOG}/tile/entries", detail)
        return audit
    entries = _entries(store, audit)
    _tiles(store, audit, entries, step)
    if audit.tree is not None:
        _superseded(store, audit, entries, stored)
        _events(audit, entries, trust, step)
        _pending(store, audit)
    return audit


def _checkpoint(store: Store, audit: LogAudit) -> None:
    audit.known.update((CHECKPOINT, PENDING))
    # The pending one first: between the readings it may become the checkpoint.
    pending = fetch(store, PENDING, MAX_CHECKPOINT)
    raw = fetch(store, CHECKPOINT, MAX_CHECKPOINT, "checkpoint-missing")
    if isinstance(raw, Finding):
        audit.findings.append(raw)
    else:
        audit.raw = raw
        audit.signed = _parsed(raw)
        if audit.signed is None:
            audit.add("checkpoint-damaged", "altered", CHECKPOINT, "not a checkpoint")
    pending = b"" if isinstance(pending, Finding) else without_room(pending)
    if pending in (b"", raw):
        return
    audit.pending = _parsed(pending)
    if audit.pending is None:
        audit.add("pending-torn", "note", PENDING)
    elif any(one.code in _TORN for one in audit.findings):
        # What FAT leaves of a rename that the power interrupted: the next writer finishes.
        audit.findings.clear()
        audit.add("pending-commit", "note", PENDING, "the checkpoint itself is missing or torn")
        audit.signed = audit.pending
    else:
        audit.add("pending-commit", "note", PENDING)


def _parsed(raw: bytes) -> SignedCheckpoint | None:
    try:
        signed = parse_signed_checkpoint(raw)
    except FormatError:
        return None
    return signed if signed.checkpoint.size else None


def _fetch(store: Store, tile: Tile) -> bytes | Finding:
    """Return a tile's bytes, one byte more at most than it can have, or what is wrong with it."""
    if tile.level == ENTRIES:
        return fetch(store, tile_name(tile), max_size(tile), "entries-missing")
    return fetch(store, tile_name(tile), max_size(tile), "tile-missing")


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
        if isinstance(data, Finding):
            audit.findings.append(data)
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
    for tile in tiles:
        step(tile_name(tile))
        data = stored[tile]
        if isinstance(data, Finding):
            audit.findings.append(data)
        elif audit.tree is not None and data != tile_data(tile, audit.tree):
            audit.add("tile-damaged", "altered", tile_name(tile), "does not follow from the root")
    if audit.tree is None:
        audit.add("root", "altered", CHECKPOINT, "neither entries nor tiles have the signed root")
        return
    for seq in list(entries):
        if leaves[seq] != audit.tree.hash(0, seq):
            name = tile_name(_bundle_of(seq, head.size))
            audit.add("entry-altered", "altered", name, f"event {seq}")
            del entries[seq]


def _leaves_of_tiles(tiles: list[Tile], stored: dict[Tile, bytes | Finding]) -> list[bytes] | None:
    leaves: list[bytes] = []
    for tile in tiles:
        data = stored[tile]
        try:
            leaves.extend(parse_tile(b"" if isinstance(data, Finding) else data, tile.width))
        except FormatError:
            return None
    return leaves


def _bundle_of(seq: int, size: int) -> Tile:
    index = seq // TILE_WIDTH
    return Tile(ENTRIES, index, min(TILE_WIDTH, size - index * TILE_WIDTH))


def _superseded(
    store: Store, audit: LogAudit, entries: dict[int, bytes], stored: dict[str, int]
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
            # A vault goes on in a later version only after an owner's event says so. Otherwise one
            # event that calls itself later would switch off the rules for all that follow.
            known = audit.later is not None or seq == 0
            audit.add("version", "note" if known else "contradicted", place, error.why)
            audit.later = audit.later or place
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
            _check_order(audit, event)
            breaches = audit.custody.apply(event)
            if [breach.rule for breach in breaches] == ["version"]:
                # An owner's decision, which is no breach to software that knows the version.
                audit.add("version", "note", place, _of(event, breaches[0].detail))
                audit.later = audit.later or place
                continue
            for breach in breaches:
                audit.add(f"rule-{breach.rule}", "contradicted", place, _of(event, breach.detail))
    if not audit.complete:
        audit.add("custody-incomplete", "note", "log", "some events could not be read")
    elif audit.state.due is not None:
        audit.add("rule-epoch-due", "contradicted", f"event {size - 1}", "no epoch was opened")
    _signer(audit, size)
    _disputes(audit)


def _check_order(audit: LogAudit, event: Event) -> None:
    """Note a time before that of the last event. No rule is broken: clocks differ."""
    last = audit.events.get(event.seq - 1)
    # A coarse clock says the beginning of its step: the event may be as late as the step's end.
    if last is not None and event.time + audit.state.policy.clock <= last.time:
        detail = f"its time is {last.time - event.time} seconds before that of the event before it"
        audit.add("before-the-last", "note", f"event {event.seq}", _of(event, detail))


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
    match event.type, event.data:
        case "checkpoint.attested", {"size": int(size), "root": root} if 0 < size <= seq:
            if audit.tree.root(size) != root:
                audit.add("attested-root", "contradicted", place, f"not the root at size {size}")


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
    except VerificationError as error:
        # Bytes that no key signed are damage; they say nothing of what anyone signed.
        audit.add("checkpoint-signature", "altered", CHECKPOINT, error.why)
        return
    audit.signer = member.keys.ed25519


def _pending(store: Store, audit: LogAudit) -> None:
    """Report a pending checkpoint that may not count, or that a member signed and that this log
    does not contain.
    """
    pending, tree = audit.pending, audit.tree
    assert tree is not None
    if pending is None or pending is audit.signed:
        return
    head, signer = pending.checkpoint, signer_of(audit.state, pending)
    broken = _broken_by(store, audit, head)
    if not broken and signer is not None and signer.removed is not None:
        # Who was removed by event n signs nothing that has more events than that one.
        broken = "removed-member" if head.size > signer.removed + 1 else ""
    if broken:
        audit.findings[:] = [one for one in audit.findings if one.code != "pending-commit"]
        by = f"signed by {signer.keys.fingerprint.hex()}" if signer else "signed by no member"
        audit.add("pending-forbidden", "note", PENDING, f"{broken}; {by}")
    elif head.size <= tree.size and head.root != tree.root(head.size) and signer is not None:
        audit.add("fork", "contradicted", PENDING, fork_detail(pending, signer, audit))


def _broken_by(store: Store, audit: LogAudit, head: Checkpoint) -> str:
    """Return a rule that the events of a commit on its way break, and where; empty if they break
    none, or if they can't be read: then whoever writes next judges.
    """
    assert audit.tree is not None
    old = audit.tree.size
    if not audit.complete or head.size <= old:
        return ""
    tree, custody = MemoryTree(base=audit.tree, base_size=old), copy.deepcopy(audit.custody)
    found = []
    try:
        for seq, entry in enumerate(read_entries(store, old, head.size, head.size), old):
            tree.append(leaf_hash(entry))
            found += [(one.rule, seq) for one in custody.apply(parse_event(entry))]
    except (OSError, VaultError):
        return ""
    if custody.state.due is not None:
        found.append(("epoch-due", head.size - 1))
    rules = {rule for rule, _ in found}
    if tree.root() != head.root or rules <= {"version"}:
        return ""
    rule, seq = found[0]
    return f"{rule}, event {seq}"


def fork_detail(kept: SignedCheckpoint, signer: Member | None, audit: LogAudit) -> str:
    """Return what is to be said of a checkpoint that the log does not contain.

    Its ``signer`` is named only where the same key also signed this log beyond that place: a later
    event, by its ``head``, or the checkpoint. Otherwise two people may each have gone on in good
    faith from copies of their own, and to name one of them would be to take sides.
    """
    size = kept.checkpoint.size
    detail = f"another root after {size} events"
    if signer is None:
        return detail
    unsound = {one.place for one in audit.findings if one.code in ("event-signature", "head")}
    key = signer.keys.ed25519
    both = audit.signer == key or any(
        seq >= size and event.actor == key and f"event {seq}" not in unsound
        for seq, event in audit.events.items()
    )
    if not both:
        return detail
    return f"{detail}; the same key signed both: {signer.keys.fingerprint.hex()}"
