"""How an account is told from a chain: one walk along the events, as the custody rules went along
them, then what the roster says of the people in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Final, cast, final

from vault.chain.account import (
    Account,
    Attempt,
    Began,
    Destruction,
    Difference,
    Dispute,
    Fate,
    Gap,
    Tenure,
)
from vault.chain.links import Link, Record
from vault.custody import BundleState
from vault.event import Event
from vault.vault import Vault

__all__ = ["account_of", "accounts_of"]

_COMPARED: Final = ("purpose", "condition", "carrier", "medium", "seal_number")
"""Where both sides of a handover should say the same. Each states the place where it stood."""
_EXPECTED: Final = frozenset(("condition", "seal_number"))
"""Of these, neither should be silent if the other is not."""


def account_of(vault: Vault, bundle: BundleState) -> Account:
    """Return the account of a bundle's custody."""
    return _account(Record(vault), bundle)


def accounts_of(vault: Vault, bundles: Iterable[BundleState]) -> Iterator[Account]:
    """Yield the accounts of several bundles, reading what they share of the log once."""
    log = Record(vault)
    return (_account(log, bundle) for bundle in bundles)


def _account(log: Record, bundle: BundleState) -> Account:
    links = tuple(log.links(bundle))
    story = _Story(log, bundle, links)
    return Account(
        bundle=bundle,
        links=links,
        tenures=story.tenures,
        attempts=tuple(story.attempts),
        gaps=tuple(sorted(story.gaps, key=lambda gap: gap.start.seq)),
        disputes=_disputes(log, links, story.tenures, story.gaps),
        backwards=tuple(
            (before, link) for before, link in pairwise(links) if "before-the-last" in link.remarks
        ),
        holds=tuple(story.holds.values()),
        destruction=_destruction(bundle, links),
    )


@final
class _Story:
    """Goes along the events of a chain that have an effect, as the custody rules do."""

    def __init__(self, log: Record, bundle: BundleState, links: tuple[Link, ...]) -> None:
        self._log = log
        self._starts: list[tuple[Link, Link | None]] = []
        self._waiting: Link | None = None
        self._interrupted: Link | None = None
        self._destroyed: Link | None = None
        self.attempts: list[Attempt] = []
        self.gaps: list[Gap] = []
        self.holds: dict[bytes, Link] = {}
        before = bundle.sealer
        for link in links:
            if not link.rules:
                self._take(link, before)
                before = link.holder
        self._end_waiting()
        self._end_interruption(None)
        self.tenures = tuple(self._tenures())
        for tenure in self.tenures:
            self._look_for_removal(tenure)

    def _take(self, link: Link, before: bytes) -> None:
        event = link.event
        match event.type:
            case "bundle.sealed":
                self._starts.append((link, None))
            case "custody.released":
                self._come_to_nothing("expired", link)
                self._waiting = link
            case "custody.declined" | "custody.recalled":
                self._come_to_nothing(
                    "declined" if event.type == "custody.declined" else "recalled", link
                )
            case "custody.accepted":
                self._starts.append((link, self._waiting))
                self._waiting = None
            case "custody.assumed":
                self._come_to_nothing("superseded", link)
                self._end_interruption(link)
                self._starts.append((link, None))
                self.gaps.append(Gap("assumed", before, event, link.seen))
            case "custody.interrupted":
                self._end_interruption(link)
                if event.data["state"] == "interrupted":
                    self._interrupted = link
            case "hold.placed":
                self.holds[cast("bytes", event.data["hold"])] = link
            case "hold.lifted":
                self.holds.pop(cast("bytes", event.data["hold"]))
            case "bundle.destroyed":
                self._come_to_nothing("superseded", link)
                self._end_interruption(link)
                self._destroyed = link

    def _come_to_nothing(self, fate: Fate, link: Link) -> None:
        release, self._waiting = self._waiting, None
        if release is not None:
            reason = link.seen.text("reason") if fate in ("declined", "recalled") else ""
            self.attempts.append(_attempt(release, fate, link.event, reason))

    def _end_waiting(self) -> None:
        """Say of the release that nothing in the chain has answered how it stands."""
        if self._waiting is None:
            return
        attempt = _attempt(self._waiting, "open")
        removal = self._log.removal(attempt.to)
        past = None
        if attempt.expires is not None:
            past = self._log.first_past(attempt.expires, attempt.release.event.seq)
        if removal is not None:
            attempt = _attempt(self._waiting, "recipient-removed", removal.event)
        elif past is not None:
            attempt = _attempt(self._waiting, "expired", past)
        self.attempts.append(attempt)

    def _end_interruption(self, link: Link | None) -> None:
        began, self._interrupted = self._interrupted, None
        if began is not None:
            end = link.event if link is not None else None
            self.gaps.append(Gap("interrupted", began.holder, began.event, began.seen, end))

    def _tenures(self) -> Iterator[Tenure]:
        ends = [*(start for start, _ in self._starts[1:]), self._destroyed]
        for (start, release), end in zip(self._starts, ends, strict=True):
            yield Tenure(
                holder=start.holder,
                began=_BEGAN[start.event.type],
                start=start,
                end=end,
                release=release,
                differences=tuple(_differences(release, start)) if release is not None else (),
            )

    def _look_for_removal(self, tenure: Tenure) -> None:
        removal = self._log.removal(tenure.holder)
        end = tenure.end.event if tenure.end is not None else None
        if removal is not None and (end is None or removal.event.seq < end.seq):
            gap = Gap("holder-removed", tenure.holder, removal.event, removal.seen, end)
            self.gaps.append(gap)


_BEGAN: Final[dict[str, Began]] = {
    "bundle.sealed": "sealed",
    "custody.accepted": "accepted",
    "custody.assumed": "assumed",
}


def _attempt(release: Link, fate: Fate, ending: Event | None = None, reason: str = "") -> Attempt:
    to, expires = release.event.data["to"], release.event.data.get("expires")
    assert isinstance(to, bytes)
    until = expires if isinstance(expires, int) else None
    return Attempt(release, to, until, fate, ending, reason)


def _differences(release: Link, acceptance: Link) -> Iterator[Difference]:
    if release.seen.state != "open" or acceptance.seen.state != "open":
        return
    for name in _COMPARED:
        given, taken = release.seen.text(name), acceptance.seen.text(name)
        stated = given and taken if name not in _EXPECTED else given or taken
        if stated and _loosely(given) != _loosely(taken):
            yield Difference(name, given, taken)


def _loosely(text: str) -> str:
    return " ".join(text.casefold().split())


def _disputes(
    log: Record, links: tuple[Link, ...], tenures: tuple[Tenure, ...], gaps: list[Gap]
) -> tuple[Dispute, ...]:
    admissions = {link.event.actor: log.admission(link.event.actor) for link in links}
    removals = (gap.start for gap in gaps if gap.kind == "holder-removed")
    roster = (event for event in admissions.values() if event is not None)
    waiting = list(chain((link.event for link in links), removals, roster))
    found: dict[int, Dispute] = {}
    grounds = [
        {event.seq for event in (*_signed(tenure), admissions[tenure.holder]) if event is not None}
        for tenure in tenures
    ]
    while waiting:
        event = waiting.pop()
        removal = log.doubt(event)
        if removal is None or event.seq in found:
            continue
        rests = (number for number, seqs in enumerate(grounds) if event.seq in seqs)
        found[event.seq] = Dispute(event, removal, tuple(rests))
        # Who removed someone may have been removed, and doubted, too.
        waiting.append(removal.event)
    return tuple(found[seq] for seq in sorted(found))


def _signed(tenure: Tenure) -> Iterator[Event]:
    yield tenure.start.event
    if tenure.release is not None:
        yield tenure.release.event


def _destruction(bundle: BundleState, links: tuple[Link, ...]) -> Destruction | None:
    by_seq = {link.event.seq: link for link in links}
    done = by_seq.get(bundle.destroyed) if bundle.destroyed is not None else None
    request = bundle.request[0] if bundle.request is not None else None
    approval = bundle.approval
    if done is None and request is None:
        return None
    if done is not None and "request" not in done.event.data:
        # What was asked for, but not named by the event that destroyed, was not acted upon.
        request = approval = None
    return Destruction(
        by_seq[request] if request is not None else None,
        by_seq[approval] if approval is not None else None,
        done,
    )
