"""Whether consent covered what was done: each opening and handing on held against what stood then.

Consent is private, so only a reader's audit can do that. It accuses nobody of what he could not
know: a custodian who reads nothing writes past a consent that she can't see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

from vault.auditing.report import Finding
from vault.codec import Value
from vault.consent import (
    BEARS_CONSENT,
    BOUND_BY_CONSENT,
    Consent,
    check_consent,
    consent_in,
    names_of_keys,
)
from vault.custody import State
from vault.errors import CustodyError
from vault.event import Event

__all__ = ["ConsentAudit"]


@final
class ConsentAudit:
    """Goes along a log: :meth:`see` with each event, then :meth:`take` if its fields are open.

    Where a statement of consent is not open to the auditor, what stands is not known, and nothing
    is found until the next one. Events that ``damaged`` names (``event 7``) count for nothing.
    """

    def __init__(self, state: State, damaged: set[str]) -> None:
        self._state = state
        self._damaged = damaged
        self._standing: dict[bytes, tuple[Consent, Event]] = {}
        self._before: tuple[Consent, Event] | None = None
        self._names: dict[bytes, list[str]] = {}
        self._unnamed: dict[bytes, set[int]] = {}
        self._grants: list[tuple[bytes, frozenset[bytes]]] = []

    def see(self, event: Event) -> None:
        """Take what an event says in public; of its fields nothing is known yet."""
        if not self._counts(event):
            return
        if event.type in BEARS_CONSENT:
            assert event.bundle is not None
            self._before = self._standing.pop(event.bundle, None)
        match event.type, event.data:
            case "vault.created" | "member.admitted", {"keys": {"ed25519": bytes(key)}}:
                self._unnamed.setdefault(key, set()).add(event.seq)
            case "history.granted", {"reader": bytes(reader), "epochs": tuple(epochs)}:
                opened = frozenset(one for one in epochs if isinstance(one, bytes))
                self._grants.append((reader, opened))

    def take(self, event: Event, fields: Mapping[str, Value]) -> Iterator[Finding]:
        """Take the fields of the event that was seen last."""
        if not self._counts(event):
            return
        match event.type, event.data:
            case "vault.created" | "member.admitted", {"keys": {"ed25519": bytes(key)}}:
                self._unnamed[key].discard(event.seq)
                name = fields.get("member.name")
                if isinstance(name, str):
                    self._names.setdefault(key, []).append(name)
        if event.type in BEARS_CONSENT:
            assert event.bundle is not None
            found = consent_in(event, fields)
            stands = (found, event) if found is not None else self._before
            if stands is not None:
                self._standing[event.bundle] = stands
        elif event.type in BOUND_BY_CONSENT:
            yield from self._judge(event, fields)

    def _counts(self, event: Event) -> bool:
        # Custody is followed only up to the first event that can't be read.
        return event.seq < self._state.size and f"event {event.seq}" not in self._damaged

    def _judge(self, event: Event, fields: Mapping[str, Value]) -> Iterator[Finding]:
        assert event.bundle is not None
        stands = self._standing.get(event.bundle)
        if stands is None:
            return
        consent, bearer = stands
        try:
            check_consent(consent, event.type, fields, self._recipient(event, fields))
        except CustodyError as error:
            place, detail = f"event {event.seq}", f"{error.rule}, by event {bearer.seq}"
            if self._could_see(event, bearer):
                yield Finding("consent", "contradicted", place, detail)
            else:
                detail = f"{detail}, which its author could not read"
                yield Finding("consent", "note", place, detail)

    def _recipient(self, event: Event, fields: Mapping[str, Value]) -> frozenset[str]:
        """Return what the recipient goes by; nothing where the auditor can't know all of it."""
        if event.type == "bundle.disclosed":
            named = fields.get("recipient")
            return frozenset({named}) if isinstance(named, str) else frozenset()
        to = event.data.get("to")
        if not isinstance(to, bytes) or self._unnamed.get(to):
            return frozenset()
        return names_of_keys(self._state.members[to].keys, self._names.get(to, ()))

    def _could_see(self, event: Event, bearer: Event) -> bool:
        """Say whether the author of an event wrote its bearer, or could read it by then."""
        actor, sealed = event.actor, bearer.sealed
        assert sealed is not None
        if actor == bearer.actor:
            return True
        if any(actor == reader and sealed.epoch in epochs for reader, epochs in self._grants):
            return True
        return any(
            actor in epoch.readers and sealed.epoch in self._state.held_by(epoch.id)
            for epoch in self._state.epochs.values()
            if epoch.seq < event.seq
        )
