"""What a log says to anybody: events, roster, bundles, handovers, who works when.

Entries are read as they lie there, and nothing is verified: neither is it by a finder. Where some
can't be read the rest is read all the same; roster and bundles are followed up to the first gap.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Final, final

from vault import age
from vault.auditing.places import fetch, list_files
from vault.auditing.report import Finding
from vault.bag import padded_size
from vault.codec import padme
from vault.custody import Breach, BundleState, Custody, State
from vault.errors import FormatError, PayloadError, UnsupportedVersionError
from vault.event import Event, FieldsHeader, format_fields_file, parse_event
from vault.exposed.directory import tile_of
from vault.identity import ProvenKeys, PublicKeys
from vault.layout import CHECKPOINT, LOG, MAX_CHECKPOINT
from vault.log.files import max_size, tile_name
from vault.storage import PENDING, Store
from vault.storage.base import without_room
from vault.tlog.checkpoint import Checkpoint, SignedCheckpoint, parse_signed_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    parse_entry_bundle,
    parse_tile,
)

__all__ = [
    "Bundle",
    "Handover",
    "History",
    "Span",
    "Worker",
    "read_history",
    "vault_ids",
]

_ORIGIN: Final = re.compile(r"evidence-vault/([0-9a-f]{64})\Z")
_ENDS: Final = frozenset(
    (
        "bundle.destroyed",
        "custody.accepted",
        "custody.assumed",
        "custody.declined",
        "custody.recalled",
        "custody.released",
    )
)
"""What a release, if one is open, ends with; another one can only follow when it has expired."""
_DAY: Final = 86400
_HOUR: Final = 3600


@final
@dataclass(frozen=True, slots=True)
class Span:
    """What padding leaves known of a size: bytes, both ends included."""

    low: int
    high: int


@final
@dataclass(frozen=True, slots=True)
class Handover:
    """A release (the index of its event) and the event that ended it; None: it is open."""

    release: int
    end: int | None


@final
@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as the log shows it.

    ``archive``: how many bytes of tar it may hold (items, their headers, the lists of the bag);
    None for a size that no bundle has.
    """

    state: BundleState
    archive: Span | None
    handovers: tuple[Handover, ...]


@final
@dataclass(frozen=True, slots=True)
class Worker:
    """What one key's events tell of whoever holds it, by the times that they claim.

    ``first`` and ``last`` in UTC seconds, ``days`` in UTC that have an event, ``hours`` the number
    of events in each hour of the day in UTC, ``bundles`` that it sealed and ``stored`` their bytes.
    """

    key: bytes
    events: int
    first: int
    last: int
    days: int
    hours: tuple[int, ...]
    bundles: int
    stored: int


@final
@dataclass(frozen=True, slots=True)
class History:
    """All that could be read of a log. ``events`` are in order, perhaps with gaps.

    ``vault`` is the id. ``keys`` are the public keys that events name, by their Ed25519 key.
    ``notes`` says how many bytes of private fields an event may have, by its index.
    """

    vault: bytes | None
    checkpoint: SignedCheckpoint | None
    pending: SignedCheckpoint | None
    events: tuple[Event, ...]
    state: State
    breaches: tuple[Breach, ...]
    keys: Mapping[bytes, PublicKeys]
    bundles: tuple[Bundle, ...]
    notes: Mapping[int, Span]
    workers: tuple[Worker, ...]

    @property
    def broken(self) -> dict[int, list[str]]:
        """The rules that events break, by the index of the event."""
        found: dict[int, list[str]] = {}
        for breach in self.breaches:
            found.setdefault(breach.seq, []).append(breach.rule)
        return found


def read_history(store: Store, names: Iterable[str]) -> tuple[History, tuple[Finding, ...]]:
    """Read the log among the files ``names``; return it with what could not be read."""
    trouble: list[Finding] = []
    entries = _entries(store, names, trouble)
    checkpoint = _checkpoint(store, CHECKPOINT, trouble)
    pending = _checkpoint(store, PENDING, trouble)
    events = tuple(_events(entries, trouble))
    custody = Custody()
    breaches: list[Breach] = []
    for seq, event in enumerate(events):
        if seq not in entries or entries[seq] != event.leaf:
            break  # a gap: what follows can't be judged without it
        breaches += custody.apply(event)
    ids = _ids(entries, (checkpoint, pending))
    broken = {breach.seq for breach in breaches}
    by_seq = {event.seq: event for event in events}
    history = History(
        vault=ids[0] if ids else None,
        checkpoint=checkpoint,
        pending=pending,
        events=events,
        state=custody.state,
        breaches=tuple(breaches),
        keys=_keys(events),
        bundles=tuple(
            Bundle(bundle, _archive(bundle.size), _handovers(bundle, by_seq, broken))
            for bundle in custody.state.bundles.values()
        ),
        notes={
            event.seq: span
            for event in events
            if event.sealed is not None and (span := _note(event.sealed.size)) is not None
        },
        workers=_workers(events, custody.state),
    )
    return history, tuple(trouble)


def vault_ids(store: Store) -> tuple[bytes, ...]:
    """Return the id of the vault that lies in ``store``, however damaged it is; nothing if it can't
    be read, and several where what lies there is of several.

    An id counts that a first entry has, or that a checkpoint says whose root is that of the hashes
    beside it: a checkpoint alone may be of any vault, and put there by anybody. No signature can
    say more: it is the first entry that names the first key.

    Raises ``NotAVaultError`` for a directory that is gone.
    """
    names, _ = list_files(store, f"{LOG}/tile/entries")
    found = [hashlib.sha256(entry).digest() for entry in _first_entries(store, names)]
    read = (_checkpoint(store, name, []) for name in (CHECKPOINT, PENDING))
    kept = [one for one in read if one is not None and _has_hashes(store, one.checkpoint)]
    return tuple(dict.fromkeys([*found, *_ids({}, kept)]))


def _first_entries(store: Store, names: Iterable[str]) -> Iterator[bytes]:
    """Yield the first entry of each sound bundle that stands where the first one does."""
    for name in names:
        tile = tile_of(name)
        if tile is None or tile.level != ENTRIES or tile.index:
            continue
        data = fetch(store, name, max_size(tile))
        with suppress(FormatError):
            yield parse_entry_bundle(b"" if isinstance(data, Finding) else data, tile.width)[0]


def _has_hashes(store: Store, head: Checkpoint) -> bool:
    """Say whether the hashes of the leaves are there that give the root of a checkpoint."""
    tree = MemoryTree()
    for first in range(0, head.size, TILE_WIDTH):
        tile = Tile(0, first // TILE_WIDTH, min(TILE_WIDTH, head.size - first))
        data = fetch(store, tile_name(tile), max_size(tile))
        if isinstance(data, Finding):
            return False
        try:
            tree.extend(parse_tile(data, tile.width))
        except FormatError:
            return False
    return tree.root() == head.root


def _ids(
    entries: Mapping[int, bytes], checkpoints: Iterable[SignedCheckpoint | None]
) -> tuple[bytes, ...]:
    found = [hashlib.sha256(entries[0]).digest()] if 0 in entries else []
    for one in checkpoints:
        origin = _ORIGIN.match(one.checkpoint.origin) if one is not None else None
        if origin is not None:
            found.append(bytes.fromhex(origin[1]))
    return tuple(dict.fromkeys(found))


# --- reading ----------------------------------------------------------------------------------


def _entries(store: Store, names: Iterable[str], trouble: list[Finding]) -> dict[int, bytes]:
    """Return the entries by index: of several bundles in one place, the widest that is sound."""
    places: dict[int, list[tuple[Tile, str]]] = {}
    for name in names:
        tile = tile_of(name)
        if tile is not None and tile.level == ENTRIES:
            places.setdefault(tile.index, []).append((tile, name))
    found: dict[int, bytes] = {}
    for index in sorted(places):
        for tile, name in sorted(places[index], reverse=True):
            data = fetch(store, name, max_size(tile), "entries-missing")
            if isinstance(data, Finding):
                trouble.append(data)
                continue
            try:
                entries = parse_entry_bundle(data, tile.width)
            except FormatError as error:
                trouble.append(Finding("entries-damaged", "altered", name, error.why))
                continue
            found.update(enumerate(entries, index * TILE_WIDTH))
            break
    return found


def _events(entries: Mapping[int, bytes], trouble: list[Finding]) -> Iterable[Event]:
    for seq in sorted(entries):
        try:
            yield parse_event(entries[seq])
        except UnsupportedVersionError as error:
            trouble.append(Finding("version", "note", f"event {seq}", error.why))
        except FormatError as error:
            trouble.append(Finding("event-malformed", "altered", f"event {seq}", error.why))


def _checkpoint(store: Store, name: str, trouble: list[Finding]) -> SignedCheckpoint | None:
    pending = name == PENDING
    raw = fetch(store, name, MAX_CHECKPOINT, "checkpoint-missing")
    if isinstance(raw, Finding):
        if not (pending and raw.code == "checkpoint-missing"):
            trouble.append(raw)
        return None
    if pending and not (raw := without_room(raw)):
        return None
    try:
        return parse_signed_checkpoint(raw)
    except FormatError as error:
        code = "pending-torn" if pending else "checkpoint-damaged"
        trouble.append(Finding(code, "altered", name, error.why))
        return None


# --- what follows from it ---------------------------------------------------------------------


def _keys(events: Iterable[Event]) -> dict[bytes, PublicKeys]:
    found = {}
    for event in events:
        if "keys" in event.data:
            keys = ProvenKeys.from_data(event.data["keys"]).keys
            found[keys.ed25519] = keys
    return found


def _handovers(
    bundle: BundleState, events: Mapping[int, Event], broken: set[int]
) -> tuple[Handover, ...]:
    found: list[Handover] = []
    release: int | None = None
    for seq in bundle.chain:
        if seq in broken or events[seq].type not in _ENDS:
            continue
        if release is not None:
            found.append(Handover(release, seq))
        release = seq if events[seq].type == "custody.released" else None
    if release is not None:
        found.append(Handover(release, None))
    return tuple(found)


def _workers(events: Iterable[Event], state: State) -> tuple[Worker, ...]:
    by_key: dict[bytes, list[Event]] = {}
    for event in events:
        by_key.setdefault(event.actor, []).append(event)
    found = []
    for key, own in by_key.items():
        times = [event.time for event in own]
        hours = Counter(time % _DAY // _HOUR for time in times)
        sealed = [bundle for bundle in state.bundles.values() if bundle.sealer == key]
        found.append(
            Worker(
                key=key,
                events=len(own),
                first=min(times),
                last=max(times),
                days=len({time // _DAY for time in times}),
                hours=tuple(hours[hour] for hour in range(24)),
                bundles=len(sealed),
                stored=sum(bundle.size for bundle in sealed),
            )
        )
    return tuple(found)


# --- what padding leaves known ----------------------------------------------------------------


@cache
def _header_size() -> int:
    """Return the bytes before the payload of an age file to one X-Wing recipient: a constant."""
    recipient = age.HybridIdentity.from_seed(bytes(32)).recipient()
    return len(age.encrypt_bytes(b"", [recipient])) - age.payload_size(0)


@cache
def _least_fields() -> int:
    return len(format_fields_file(FieldsHeader(bytes(32), "vault.noted", None, None), ()))


def _archive(stored: int) -> Span | None:
    return _unpadded(stored, padded_size)


def _note(stored: int) -> Span | None:
    least = _least_fields()
    return _unpadded(stored, lambda size: max(least, padme(size)))


def _unpadded(stored: int, pad: Callable[[int], int]) -> Span | None:
    """Return which sizes, under ``pad``, give an age file of ``stored`` bytes."""
    try:
        padded = age.plaintext_size(stored - _header_size())
    except PayloadError:
        return None
    sizes = range(padded + 1)
    low, high = bisect_left(sizes, padded, key=pad), bisect_right(sizes, padded, key=pad) - 1
    return Span(low, high) if low <= high else None
