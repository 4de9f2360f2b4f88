"""The events of a bundle's chain, each with what is to be remarked upon, and what an account takes
from the rest of the vault's log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, final

from vault.custody import BundleState
from vault.event import Event
from vault.looking import Seen, fields_of
from vault.vault import Vault

__all__ = ["Link", "Record", "Remark", "Removal", "chain_of", "clocks_of"]

Remark: TypeAlias = Literal[
    "assumed", "before-the-last", "breaks-a-rule", "disputed", "interrupted", "late"
]


@final
@dataclass(frozen=True, slots=True)
class Link:
    """One event of a bundle's chain and ``holder`` (Ed25519), who answers for the bundle after it.

    ``remarks``: ``assumed`` (the holder changed without the releaser's signature), ``interrupted``,
    ``disputed`` (by a removal that declared this key's events doubtful), ``breaks-a-rule`` (those
    named in ``rules``; the event has no effect then), ``before-the-last`` (its time, and all that a
    coarse clock leaves open behind it, is earlier than that of the event before it), ``late`` (it
    says when it occurred, or why it was recorded late).
    """

    event: Event
    holder: bytes
    seen: Seen
    remarks: tuple[Remark, ...] = ()
    rules: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Removal:
    """The removal of a member from the roster; its ``cause`` and ``reason`` are private."""

    member: bytes
    event: Event
    seen: Seen

    @property
    def doubtful_from(self) -> int | None:
        """From which event on it calls the member's events doubtful, if it does."""
        value = self.event.data.get("doubtful_from")
        return value if isinstance(value, int) else None


def chain_of(vault: Vault, bundle: BundleState) -> tuple[Link, ...]:
    """Return the chain of custody of a bundle, in order."""
    return tuple(Record(vault).links(bundle))


def clocks_of(vault: Vault) -> tuple[tuple[int, int], ...]:
    """Return the clocks that the vault's policies set for public times, in seconds, each with the
    number of the first event that it holds for.
    """
    return tuple(Record(vault).clocks)


@final
class Record:
    """The vault's log, of which one reading serves the accounts of many bundles."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.state = vault.state
        self._removals: dict[bytes, Removal | None] = {}
        broken: dict[int, list[str]] = {}
        for breach in vault.breaches:
            broken.setdefault(breach.seq, []).append(breach.rule)
        self._broken = {seq: tuple(rules) for seq, rules in broken.items()}

    def links(self, bundle: BundleState) -> Iterator[Link]:
        holders = dict(bundle.holders)
        holder = bundle.sealer
        time = 0
        for seq in bundle.chain:
            event = self.vault.event(seq)
            holder = holders.get(seq, holder)
            seen = fields_of(self.vault, event)
            rules = self._broken.get(seq, ())
            found = tuple(self._remarks(event, seen, time, rules))
            yield Link(event, holder, seen, found, rules)
            time = event.time

    def _remarks(
        self, event: Event, seen: Seen, time: int, rules: tuple[str, ...]
    ) -> Iterator[Remark]:
        if rules:
            yield "breaks-a-rule"
        if self.state.is_disputed(event.actor, event.seq):
            yield "disputed"
        if event.type == "custody.assumed":
            yield "assumed"
        if event.type == "custody.interrupted" and event.data["state"] == "interrupted":
            yield "interrupted"
        # A coarse clock says the beginning of its step: the event may be as late as the step's end.
        if event.time + self._clock_at(event.seq) <= time:
            yield "before-the-last"
        if seen.text("recorded_late_because") or seen.text("occurred_at"):
            yield "late"

    @cached_property
    def clocks(self) -> list[tuple[int, int]]:
        """The policies' clocks in seconds, each with the first event (its index) it holds for."""
        found = []
        for event in self.vault.events():
            if event.type in ("vault.created", "vault.policy") and event.seq not in self._broken:
                match event.data["policy"]:
                    case {"clock": int(clock)}:
                        found.append((event.seq + 1, clock))
        return found

    def _clock_at(self, seq: int) -> int:
        clocks = (clock for start, clock in reversed(self.clocks) if start <= seq)
        return next(clocks, 1)

    def removal(self, member: bytes) -> Removal | None:
        """Return the removal of a member; None if there is none, or the key is a stranger's."""
        if member not in self._removals:
            known = self.state.members.get(member)
            found = None
            if known is not None and known.removed is not None:
                event = self.vault.event(known.removed)
                found = Removal(member, event, fields_of(self.vault, event))
            self._removals[member] = found
        return self._removals[member]

    def admission(self, member: bytes) -> Event | None:
        """Return the event by which a member came onto the roster."""
        known = self.state.members.get(member)
        return self.vault.event(known.admitted) if known is not None else None

    def doubt(self, event: Event) -> Removal | None:
        """Return the removal that calls an event doubtful, if one does."""
        disputed = self.state.is_disputed(event.actor, event.seq)
        return self.removal(event.actor) if disputed else None

    @cached_property
    def _latest(self) -> int:
        return max(event.time for event in self.vault.events())

    def first_past(self, time: int, after: int) -> Event | None:
        """Return the first event behind number ``after`` that claims to be later than ``time``."""
        if self._latest <= time:
            return None
        return next((e for e in self.vault.events(after) if e.time > time), None)
