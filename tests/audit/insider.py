"""A member with everybody's keys rewrites a vault, and what an honest reader's vault looks like.

:func:`rewritten` is other software: it lays a log down anew from events that were moved, changed,
left out or made up, and has any of them signed again by the keys of those who wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    contents,
    new_vault,
    open_vault,
    person,
    seal,
)
from vault.event import EVENT_LABEL, EVENT_TYPES, Event, format_body, format_event, parse_event
from vault.identity import Identity
from vault.layout import CHECKPOINT, fields_name
from vault.log import Log
from vault.log.files import tile_name
from vault.membership import admit
from vault.storage import MemoryStore, Store
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.tlog.tiles import ENTRIES, format_entry_bundle, new_tiles, tile_data

__all__ = ["KEYS", "Story", "honest", "rewritten", "signed_again", "ticking"]

THIRD: Final = person(5)
KEYS: Final[dict[bytes, Identity]] = {
    one.ed25519: one for one in (OWNER, READER, SECOND, THIRD, OUTSIDER)
}
"""Everybody's keys, in the insider's hand."""

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Story:
    """The honest vault. OWNER founded it, SECOND is a custodian since event 4, READER reads."""

    files: Mapping[str, bytes]
    events: tuple[Event, ...]
    first: bytes
    second: bytes

    @property
    def id(self) -> bytes:
        """The vault's id, as it stands on paper."""
        state = events_of(MemoryStore(self.files))[0]
        return state.vault

    def store(self) -> MemoryStore:
        """Return a copy of it to work on."""
        return MemoryStore(self.files)


class ticking:
    """A clock that goes on by a minute each time it is looked at."""

    def __init__(self, now: int = NOW) -> None:
        self._now = now

    def __call__(self) -> float:
        self._now += 60
        return self._now


def events_of(store: Store) -> tuple[Any, tuple[Event, ...]]:
    """Return the state of custody and the events of a vault."""
    log = Log(store)
    log.refresh()
    return log.state, tuple(parse_event(log.entry(seq)) for seq in range(log.size))


@cache
def honest() -> Story:
    """Make the vault: nine events and ten, with two bundles, by three people."""
    clock = ticking()
    vault = new_vault(clock=clock)
    first = seal(vault, b"one", bytes(513), title="first").id
    admit(vault, SECOND, ["custodian"])
    with open_vault(vault.store, SECOND, clock=clock) as other:
        second = seal(other, b"two", title="second").id
    with open_vault(vault.store, OWNER, clock=clock) as owner:
        for text in ("brought by her brother", "the seal was whole"):
            owner.append("bundle.noted", bundle=first, fields={"text": text})
    with open_vault(vault.store, READER, clock=clock) as reader:
        reader.open_item(first, 0, purpose="a look").close()
    with open_vault(vault.store, SECOND, clock=clock) as other:
        other.append("bundle.noted", bundle=second, fields={"text": "kept in the safe"})
    return Story(contents(vault.store), events_of(vault.store)[1], first, second)


def signed_again(event: Event, **changes: Any) -> Event:
    """Return an event with changes, signed by whoever it then says wrote it."""
    body = format_body(replace(event, **changes))
    actor = KEYS[changes.get("actor", event.actor)]
    return parse_event(format_event(body, actor.sign_ed25519(EVENT_LABEL + body)))


def rewritten(
    files: Mapping[str, bytes],
    events: Sequence[Event],
    resign: Callable[[int], bool],
    *,
    signer: Identity | None = None,
) -> Files:
    """Return the files of a vault with these events as its log, the rest as in ``files``.

    Those at places that ``resign`` names are made to fit where they stand (``seq``, ``head``,
    ``prev``, ``closes``) and signed again; others stay as they are. The checkpoint is signed by
    ``signer``, or by the author of the last event.
    """
    origin = f"evidence-vault/{events_of(MemoryStore(files))[0].vault.hex()}"
    tree = MemoryTree()
    laid: list[Event] = []
    for seq, given in enumerate(events):
        event = given
        if seq and resign(seq):
            event = signed_again(given, **_place(given, laid, tree, origin))
        laid.append(event)
        tree.append(event.leaf_hash)
    fields = {fields_name(one.sealed.sha256) for one in laid if one.sealed is not None}
    after = {
        name: data
        for name, data in files.items()
        if name in fields or not name.startswith(("log/", "fields/"))
    }
    for tile in new_tiles(0, tree.size):
        start = tile.index * 256
        after[tile_name(tile)] = (
            format_entry_bundle([one.leaf for one in laid[start : start + tile.width]])
            if tile.level == ENTRIES
            else tile_data(tile, tree)
        )
    head = Checkpoint(origin, tree.size, tree.root())
    after[CHECKPOINT] = sign_checkpoint(head, signer or KEYS[laid[-1].actor])
    return after


def _place(event: Event, laid: Sequence[Event], tree: MemoryTree, origin: str) -> dict[str, Any]:
    """Return what an honest writer would have said of the place that an event is put at."""
    follows = EVENT_TYPES[event.type].about_bundle and event.type != "bundle.sealed"
    before = [one.leaf_hash for one in laid if one.bundle == event.bundle]
    closes = None
    if laid[-1].actor != event.actor:
        head = Checkpoint(origin, tree.size, tree.root())
        closes = sign_checkpoint(head, KEYS[laid[-1].actor])
    return {
        "seq": len(laid),
        "head": tree.root(),
        "prev": (before or [bytes(32)])[-1] if follows else None,
        "closes": closes,
    }
