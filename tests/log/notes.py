"""Short events, and stores that die at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.bundles.scene import NOW
from vault.event import EVENT_LABEL, Event, format_body, format_event, parse_event
from vault.identity import Identity
from vault.log import Log, Place
from vault.storage import PENDING, MemoryStore, Store


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
