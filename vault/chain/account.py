"""What an account of custody is made of. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.chain.links import Link, Removal
from vault.custody import BundleState
from vault.event import Event
from vault.looking import Seen

__all__ = [
    "Account",
    "Attempt",
    "Began",
    "Destruction",
    "Difference",
    "Dispute",
    "Fate",
    "Gap",
    "GapKind",
    "Tenure",
]

Began: TypeAlias = Literal["accepted", "assumed", "sealed"]
Fate: TypeAlias = Literal[
    "declined", "expired", "open", "recalled", "recipient-removed", "superseded"
]
GapKind: TypeAlias = Literal["assumed", "holder-removed", "interrupted"]


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a handover that its two sides state differently; ``""``: one says nothing."""

    name: str
    released: str
    accepted: str


@final
@dataclass(frozen=True, slots=True)
class Tenure:
    """A stretch in which ``holder`` (Ed25519) was answerable, from event ``start`` until ``end``.

    ``end`` is the event by which the next one became answerable, or the bundle was destroyed; None
    until now. ``release`` is the other half of a handover: with ``start`` it gives both signatures.
    It is None for a bundle that was ``sealed``, or ``assumed`` without the signature of the one
    before. Gaps may lie inside.
    """

    holder: bytes
    began: Began
    start: Link
    end: Link | None
    release: Link | None
    differences: tuple[Difference, ...]


@final
@dataclass(frozen=True, slots=True)
class Attempt:
    """A release that nobody has accepted.

    ``fate``: ``declined`` or ``recalled`` by ``ending``, which may say a private ``reason``;
    ``expired`` by the clock of ``ending``, the first event that claims a later time, or that
    releases again; ``superseded`` by ``ending``, by which custody was assumed or the bundle
    destroyed; ``recipient-removed`` by ``ending``, and so not to be accepted any more; ``open``.
    """

    release: Link
    to: bytes
    expires: int | None
    fate: Fate
    ending: Event | None = None
    reason: str = ""


@final
@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which nobody could answer, or a change of holder with a flaw.

    ``interrupted``: from ``start`` until ``end``, where the bundle was returned or assumed.
    ``holder-removed``: ``holder`` left the roster, until somebody else took over. Either may end
    with the bundle's destruction; ``end`` is None if it lasts. ``assumed``: ``start`` alone, by
    which custody went on without the signature of ``holder``. ``seen`` are the private fields of
    ``start``, with ``cause``, ``reason``, ``authority`` where it states them.
    """

    kind: GapKind
    holder: bytes
    start: Event
    seen: Seen
    end: Event | None = None


@final
@dataclass(frozen=True, slots=True)
class Dispute:
    """An event that ``removal`` calls doubtful, and the indexes of the tenures that rest on it.

    The event is one of the bundle's chain, or of the roster: the admission of someone who signed in
    the chain, or a removal that this account names. A tenure rests on its release, on its first
    event, and on its holder's admission; every later one rests on it in turn.
    """

    event: Event
    removal: Removal
    tenures: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Destruction:
    """Who asked for a bundle's destruction, who approved it, and what was done."""

    request: Link | None
    approval: Link | None
    done: Link | None


@final
@dataclass(frozen=True, slots=True)
class Account:
    """All that is to be said of the custody of a bundle, each part in the order of the log.

    ``attempts`` are the releases that came to nothing or are open, ``holds`` the events that placed
    those in force, ``backwards`` the pairs of neighbours of which the second claims the earlier
    time.
    """

    bundle: BundleState
    links: tuple[Link, ...]
    tenures: tuple[Tenure, ...]
    attempts: tuple[Attempt, ...]
    gaps: tuple[Gap, ...]
    disputes: tuple[Dispute, ...]
    backwards: tuple[tuple[Link, Link], ...]
    holds: tuple[Link, ...]
    destruction: Destruction | None

    @property
    def late(self) -> tuple[Link, ...]:
        """The events that say that they were recorded late; to who can't read them, none."""
        return tuple(link for link in self.links if "late" in link.remarks)

    @property
    def breaches(self) -> tuple[Link, ...]:
        """The events that break rules, and so have no effect."""
        return tuple(link for link in self.links if link.rules)

    @property
    def damaged(self) -> tuple[Link, ...]:
        """The events whose private fields are not as they were signed, or missing."""
        return tuple(link for link in self.links if link.seen.state == "damaged")

    @property
    def checks(self) -> tuple[Link, ...]:
        """The recorded checks of what is stored, each with ``result`` ``intact`` or ``altered``."""
        return self._sound("bundle.checked")

    @property
    def consents(self) -> tuple[Link, ...]:
        """The events that record consent. What counts of them is for :mod:`vault.consent`."""
        return self._sound("consent.recorded")

    def _sound(self, name: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.event.type == name and not link.rules)
