"""Short events, and stores that die at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.bundles.scene import NOW
from vault.codec import pack, unpack
from vault.event import EVENT_LABEL, Event, format_body, format_event, parse_event
from vault.identity import Identity
from vault.layout import CHECKPOINT
from vault.log import Log, Place
from vault.log.files import tile_name
from vault.storage import PENDING, MemoryStore, Store
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.tiles import ENTRIES, format_entry_bundle, new_tiles, tile_data


def note(actor: Identity, **changes: Any) -> Callable[[Place], Event]:
    """Return the maker of a ``vault.noted`` without fields; ``changes`` are made before signing."""

    def make(place: Place) -> Event:
        values: dict[str, Any] = {
            "seq": place.seq,
            "type": "vault.noted",
            "actor": actor.ed25519,
            "time": NOW,
            "data": {},
            "vault": place.state.vault,
            "head": place.head,
            "closes": place.closes,
        }
        body = format_body(Event(**{**values, **changes}))
        return parse_event(format_event(body, actor.sign_ed25519(EVENT_LABEL + body)))

    return make


def append_notes(store: Store, actor: Identity, count: int = 1) -> tuple[Event, ...]:
    """Append so many notes in one commit."""
    return Log(store).append(actor, lambda _: [note(actor)] * count)


class Dying:
    """A memory store whose next commit dies at a moment: ``files`` (tiles written, nothing signed),
    ``signed`` (signed, not in its place), ``torn`` (half of it is written).
    """

    def __init__(self, inner: MemoryStore, moment: str) -> None:
        self._inner = inner
        self._moment = moment

    def commit(
        self,
        expected: bytes | None,
        files: Mapping[str, bytes],
        sign: Callable[[], bytes],
        **options: Any,
    ) -> None:
        for name, content in files.items():
            self._inner._put(name, bytes(content))
        if self._moment != "files":
            signed = sign()
            self._inner._put(PENDING, signed if self._moment == "signed" else signed[:500])
        raise OSError(5, "the power went")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# --- logs that nobody's software writes -----------------------------------------------------------


def read(store: Store) -> Log:
    """Return the log of a store."""
    log = Log(store)
    log.refresh()
    return log


def place_of(log: Log) -> Place:
    """Return the place of the next event, by who wrote the last one."""
    return Place(log.size, log.root if log.size else None, None, log.state)


def forge(
    store: MemoryStore,
    actor: Identity,
    build: Callable[[Log], list[Any]],
    signer: Identity | None = None,
) -> None:
    """Append leaves (bytes or events) as they are, with a proper tree and checkpoint."""
    log = read(store)
    leaves = [one if isinstance(one, bytes) else one.leaf for one in build(log)]
    everything = [log.entry(seq) for seq in range(log.size)] + leaves
    tree = MemoryTree(leaf_hash(leaf) for leaf in everything)
    for tile in new_tiles(log.size, tree.size):
        data = (
            format_entry_bundle(everything[tile.index * 256 : tile.index * 256 + tile.width])
            if tile.level == ENTRIES
            else tile_data(tile, tree)
        )
        store._put(tile_name(tile), data)
    head = Checkpoint(log.state.origin, tree.size, tree.root())
    store._put(CHECKPOINT, sign_checkpoint(head, signer or actor))


def leaf(actor: Identity, log: Log, signer: Identity | None = None, **changes: Any) -> bytes:
    event = note(actor, **changes)(place_of(log))
    if signer is None:
        return event.leaf
    return format_event(event.body, signer.sign_ed25519(EVENT_LABEL + event.body))


def later_version(actor: Identity, log: Log) -> bytes:
    value = unpack(note(actor)(place_of(log)).body)
    assert isinstance(value, dict)
    body = pack({**value, "v": 2})
    return pack({"body": body, "sig": actor.sign_ed25519(EVENT_LABEL + body)})
