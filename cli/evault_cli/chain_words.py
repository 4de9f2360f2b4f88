"""The account of a bundle's custody in sentences, as a judge reads them; every word in a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from evault_cli.people import People
from evault_cli.render import count, escape, utc
from evault_cli.words import EVENTS, RULES

if TYPE_CHECKING:
    from vault.chain import Account, Attempt, Difference, Dispute, Gap, Link, Tenure
    from vault.event import Event
    from vault.looking import Seen

__all__ = [
    "BEGAN",
    "ENDS",
    "FATES",
    "GAPS",
    "NOBODY",
    "SEALED",
    "SIGNED",
    "UNTIL_NOW",
    "Words",
]

UNTIL_NOW: Final = "now"
SEALED: Final = (
    "What was said privately was not looked at: what the two sides of a handover said of it, and "
    "what was recorded late, can't be told without a reader's identity."
)

BEGAN: Final = {
    "sealed": "sealed",
    "accepted": "handed over",
    "assumed": "taken over by an owner",
}
SIGNED: Final = {
    "sealed": "{taker}",
    "accepted": "{giver}, and {taker}",
    "assumed": "{taker} alone",
}
NOBODY: Final = {"interrupted": "custody interrupted", "holder-removed": "holder removed"}
_DISPUTED_MARK: Final = "disputed"
_LATE_MARK: Final = "recorded late"
_REHASHED: Final = ", who states that all digests were checked first"
_RETURNED: Final = "custody restored"
_HANDOVER: Final = {
    "accepted": "Handover from {giver} to {taker}",
    "assumed": "Taken over from {giver} by {taker}",
}

GAPS: Final = {
    ("interrupted", True): "From {start} until {end}, nobody could answer for the bundle: {by} "
    "recorded that custody by {holder} was interrupted{why}, until {ended}.",
    ("interrupted", False): "Since {start}, nobody can answer for the bundle: {by} recorded that "
    "custody by {holder} was interrupted{why}.",
    ("holder-removed", True): "From {start} until {end}, nobody could answer for the bundle: {by} "
    "removed {holder}, who held it, from the vault{why}, until {ended}.",
    ("holder-removed", False): "Since {start}, nobody can answer for the bundle: {by} removed "
    "{holder}, who holds it, from the vault{why}.",
    ("assumed", False): "At {start}, {by} took the bundle over without the signature of {holder}, "
    "who held it until then{why}.",
}
ENDS: Final = {
    "custody.accepted": "{by} accepted it",
    "custody.assumed": "{by} took it over",
    "custody.interrupted": "{by} recorded its return",
    "bundle.destroyed": "{by} destroyed it",
}

_ATTEMPT: Final = "At {start}, {by} released the bundle to {to}, and it was not handed over: {fate}"
FATES: Final = {
    "declined": "{by} declined it{why}, at {end}.",
    "recalled": "{by} took the release back{why}, at {end}.",
    "expired": "the release was good until {expires}, and that had passed by the clock of {by} at "
    "{end}.",
    "superseded": "before it was accepted, at {end}, {ended}.",
    "recipient-removed": "{to} was removed from the vault by {by} at {end}, and can accept nothing "
    "any more.",
}

_DISPUTED: Final = (
    "Event {seq} ({what}, {time}) by {person} is disputed: at {removed}, {by} removed {person} "
    "from the vault{why} and called doubtful all that this key signed from event {doubtful} on."
    "{rests}"
)
_RESTS: Final = " The custody of {holder} from {start} rests on it, and so does all custody after."
_BACKWARDS: Final = (
    "Event {seq} ({what}) by {person} claims the time {time}, which is before that of the event it "
    "follows, {before} by {other}: one of the two is wrong."
)
_LATE: Final = (
    "Event {seq} ({what}) by {person} was recorded late, at {time}; it says that it occurred at "
    "{occurred}, and why it is late: {reason}."
)
_UNSAID: Final = "nothing said"
_BREAKS: Final = (
    "Event {seq} ({what}, {time}) by {person} breaks a rule of custody ({rules}), and changes "
    "nothing."
)
_DAMAGED: Final = (
    "Event {seq} ({what}, {time}) by {person}: what was said privately can't be read, since the "
    "file is missing or not the one that was signed. `evault verify` says more."
)
_ALTERED: Final = (
    "At {time} (event {seq}), {person} found that what is stored is not what was sealed{detail}."
)
_DIFFERS: Final = (
    "At the handover from {giver} to {taker} (events {release} and {acceptance}), the two do not "
    "say the same of the {field}: {giver} says {given}, {taker} says {taken}."
)
_FIELDS: Final = {"seal_number": "seal number"}
_SAYS_NOTHING: Final = "nothing"

_STANDING: Final = {
    "held": "Held now by {holder}.",
    "removed": "The holder was removed from the vault: an owner has to take the bundle over.",
    "interrupted": "Custody is interrupted: nobody can answer for the bundle now.",
    "open": "Released to {to} by {by} at {start}, and not yet accepted{until}.",
    "holds": "Under {holds}: it may not be destroyed.",
    "hold": "Hold placed by {by}{why}, at {start}.",
    "intact": "Last found as it was sealed at {start}, by {by}.",
    "consent": "Consent recorded by {by}{why}, at {start}.",
    "request": "Destruction requested by {by}{why}, at {start}.",
    "approval": "Destruction approved by {by}{why}, at {start}.",
    "done": "Destroyed by {by}{why}, at {start}.",
}
_WHY: Final = {
    "consent.status": "",
    "cause": "",
    "authority": "authority: ",
    "reason": "reason: ",
    "detail": "",
}
"""The fields that give a reason, in the order in which they are told, and how they begin."""


def moment(event: Event) -> str:
    """Return when an event was, by its author's clock, and its number."""
    return f"{utc(event.time)} (event {event.seq})"


def _one_line(text: str) -> str:
    return escape(" ".join(text.split()))


def _why(seen: Seen) -> str:
    said = [
        f"{begins}{_one_line(seen.text(name))}" for name, begins in _WHY.items() if seen.text(name)
    ]
    return f" ({'; '.join(said)})" if said else ""


def _quoted(text: str) -> str:
    return f"\u201c{_one_line(text)}\u201d" if text else _SAYS_NOTHING


@final
class Words:
    """Tells an account; ``people`` names those in it."""

    def __init__(self, account: Account, people: People) -> None:
        self.people = people
        self._account = account

    # --- parts of tables ----------------------------------------------------------------------

    def what(self, event: Event) -> str:
        """Return in a few words what an event is."""
        returned = event.type == "custody.interrupted" and event.data["state"] == "returned"
        return _RETURNED if returned else EVENTS[event.type]

    def began(self, tenure: Tenure) -> str:
        """Return how someone came to be answerable, and what is to be said against it."""
        account = self._account
        number = account.tenures.index(tenure)
        marks = [_DISPUTED_MARK] if any(number in one.tenures for one in account.disputes) else []
        marks += [_LATE_MARK] if "late" in tenure.start.remarks else []
        return f"{BEGAN[tenure.began]} ({', '.join(marks)})" if marks else BEGAN[tenure.began]

    def gap_began(self, gap: Gap) -> str:
        """Return how it came that nobody could answer."""
        cause = gap.seen.text("cause")
        return f"{NOBODY[gap.kind]} ({escape(cause)})" if cause else NOBODY[gap.kind]

    def handover(self, tenure: Tenure, before: bytes) -> str:
        """Return the heading of a change of holder."""
        giver, taker = self.people.shown(before), self.people.shown(tenure.holder)
        return _HANDOVER[tenure.began].format(giver=giver, taker=taker)

    def signed(self, event: Event) -> str:
        """Return who signed an event when, with the signature and the leaf hash, in three lines."""
        rehashed = _REHASHED if event.data.get("rehashed") else ""
        return (
            f"{moment(event)} by {self.people.shown(event.actor)}{rehashed}\n"
            f"Ed25519 signature {event.sig.hex()}\nleaf hash {event.leaf_hash.hex()}"
        )

    def unsigned(self, holder: bytes) -> str:
        """Return that the one who held the bundle did not sign."""
        return f"not signed by {self.people.shown(holder)}"

    # --- sentences ----------------------------------------------------------------------------

    def attempt(self, attempt: Attempt) -> str:
        """Tell of a release that nobody has accepted."""
        release, ending, shown = attempt.release.event, attempt.ending, self.people.shown
        fate = FATES[attempt.fate].format(
            to=shown(attempt.to),
            expires=utc(attempt.expires) if attempt.expires is not None else "",
            why=f" (reason: {_one_line(attempt.reason)})" if attempt.reason else "",
            **self._end(ending),
        )
        start, by, to = moment(release), shown(release.actor), shown(attempt.to)
        return _ATTEMPT.format(start=start, by=by, to=to, fate=fate)

    def _end(self, event: Event | None) -> dict[str, str]:
        if event is None:
            return {}
        by = self.people.shown(event.actor)
        return {"by": by, "end": moment(event), "ended": ENDS.get(event.type, "").format(by=by)}

    def troubles(self) -> list[str]:
        """Tell every gap and every dispute."""
        account = self._account
        return [
            *map(self._gap, account.gaps),
            *map(self._dispute, account.disputes),
            *map(self._breach, account.breaches),
            *(
                self._difference(tenure, one)
                for tenure in account.tenures
                for one in tenure.differences
            ),
            *(self._backwards(*pair) for pair in account.backwards),
            *map(self._late, account.late),
            *(
                _ALTERED.format(detail=_why(link.seen), **self._about(link.event))
                for link in account.checks
                if link.event.data["result"] == "altered"
            ),
            *(_DAMAGED.format(**self._about(link.event)) for link in account.damaged),
        ]

    def _about(self, event: Event) -> dict[str, object]:
        return {
            "seq": event.seq,
            "what": self.what(event),
            "time": utc(event.time),
            "person": self.people.shown(event.actor),
        }

    def _gap(self, gap: Gap) -> str:
        ended = self._end(gap.end)
        return GAPS[gap.kind, gap.end is not None].format(
            start=moment(gap.start),
            by=self.people.shown(gap.start.actor),
            holder=self.people.shown(gap.holder),
            why=_why(gap.seen),
            **{name: text for name, text in ended.items() if name != "by"},
        )

    def _dispute(self, dispute: Dispute) -> str:
        removal, tenures = dispute.removal, self._account.tenures
        rests = (
            _RESTS.format(
                holder=self.people.shown(tenures[number].holder),
                start=moment(tenures[number].start.event),
            )
            for number in dispute.tenures
        )
        return _DISPUTED.format(
            **self._about(dispute.event),
            by=self.people.shown(removal.event.actor),
            removed=moment(removal.event),
            why=_why(removal.seen),
            doubtful=removal.doubtful_from,
            rests="".join(rests),
        )

    def _breach(self, link: Link) -> str:
        rules = "; ".join(RULES.get(rule, rule) for rule in link.rules)
        return _BREAKS.format(rules=rules, **self._about(link.event))

    def _difference(self, tenure: Tenure, one: Difference) -> str:
        assert tenure.release is not None
        return _DIFFERS.format(
            giver=self.people.shown(tenure.release.event.actor),
            taker=self.people.shown(tenure.holder),
            release=tenure.release.event.seq,
            acceptance=tenure.start.event.seq,
            field=_FIELDS.get(one.name, one.name),
            given=_quoted(one.released),
            taken=_quoted(one.accepted),
        )

    def _backwards(self, before: Link, link: Link) -> str:
        earlier, other = moment(before.event), self.people.shown(before.event.actor)
        return _BACKWARDS.format(before=earlier, other=other, **self._about(link.event))

    def _late(self, link: Link) -> str:
        return _LATE.format(
            occurred=_one_line(link.seen.text("occurred_at")) or _UNSAID,
            reason=_one_line(link.seen.text("recorded_late_because")) or _UNSAID,
            **self._about(link.event),
        )

    def standing(self) -> Iterator[str]:
        """Tell how the bundle stands now."""
        account, bundle, shown = self._account, self._account.bundle, self.people.shown
        if bundle.destroyed is None:
            yield _STANDING["held"].format(holder=shown(bundle.holder))
            if any(gap.kind == "holder-removed" and gap.end is None for gap in account.gaps):
                yield _STANDING["removed"]
            if bundle.interrupted:
                yield _STANDING["interrupted"]
        for attempt in account.attempts:
            if attempt.fate == "open":
                until = f", until {utc(attempt.expires)}" if attempt.expires is not None else ""
                yield self._stands("open", attempt.release, to=shown(attempt.to), until=until)
        if account.holds:
            yield _STANDING["holds"].format(holds=count(len(account.holds), "hold"))
        for hold in account.holds:
            yield self._stands("hold", hold)
        intact = [link for link in account.checks if link.event.data["result"] == "intact"]
        for link in intact[-1:]:
            yield self._stands("intact", link)
        for link in account.consents:
            yield self._stands("consent", link)
        if account.destruction is not None:
            for name in ("request", "approval", "done"):
                step = getattr(account.destruction, name)
                if step is not None:
                    yield self._stands(name, step)

    def _stands(self, name: str, link: Link, **more: str) -> str:
        by = self.people.shown(link.event.actor)
        return _STANDING[name].format(by=by, start=moment(link.event), why=_why(link.seen), **more)
