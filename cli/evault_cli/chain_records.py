"""The account of a bundle's custody as a JSON object: everything that the text says, and every
signature, leaf hash and digest by which it can be checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evault_cli.people import People, standing
from evault_cli.render import utc

if TYPE_CHECKING:
    from vault import Vault
    from vault.chain import Account, Attempt, Dispute, Gap, Link, Tenure
    from vault.event import Event
    from vault.looking import Seen

__all__ = ["account_record"]

Record = dict[str, Any]


def account_record(vault: Vault, account: Account, people: People) -> Record:
    """Return the record of an account."""
    bundle, steps = account.bundle, account.destruction

    def said(link: Link | None) -> Record | None:
        return _said(link.event, link.seen, people) if link is not None else None

    return {
        "bundle": bundle.id.hex(),
        "now": standing(bundle),
        "holder": people.record(bundle.holder),
        "parts": [{"sha256": sha256.hex(), "size": size} for sha256, size in bundle.parts],
        "items_root": bundle.items.hex(),
        "tenures": [
            _tenure(number, tenure, account, people)
            for number, tenure in enumerate(account.tenures)
        ],
        "releases": [_attempt(attempt, people) for attempt in account.attempts],
        "gaps": [_gap(gap, people) for gap in account.gaps],
        "disputes": [_dispute(dispute, people) for dispute in account.disputes],
        "breaches": [
            {"event": link.event.seq, "rules": list(link.rules)} for link in account.breaches
        ],
        "backwards": [
            {"event": link.event.seq, "before": before.event.seq}
            for before, link in account.backwards
        ],
        "late": [
            {
                "event": link.event.seq,
                "occurred_at": link.seen.fields.get("occurred_at"),
                "reason": link.seen.fields.get("recorded_late_because"),
            }
            for link in account.late
        ],
        "damaged": [link.event.seq for link in account.damaged],
        "checks": [
            {"result": link.event.data["result"], **_said(link.event, link.seen, people)}
            for link in account.checks
        ],
        "holds": [said(link) for link in account.holds],
        "consents": [said(link) for link in account.consents],
        "destruction": {
            "requested": said(steps.request),
            "approved": said(steps.approval),
            "destroyed": said(steps.done),
        }
        if steps is not None
        else None,
        "chain": [_link(vault, link, people) for link in account.links],
    }


def _event(event: Event, people: People) -> Record:
    return {
        "event": event.seq,
        "time": utc(event.time),
        "type": event.type,
        "by": people.record(event.actor),
        "ed25519": event.actor.hex(),
        "signature": event.sig.hex(),
        "leaf_hash": event.leaf_hash.hex(),
    }


def _said(event: Event, seen: Seen, people: People) -> Record:
    from vault.extracting import json_value

    fields = {name: json_value(value) for name, value in seen.fields.items()}
    private = {"private": seen.state, "fields": fields if seen.state == "open" else None}
    return {**_event(event, people), **private}


def _tenure(number: int, tenure: Tenure, account: Account, people: People) -> Record:
    release, end = tenure.release, tenure.end
    return {
        "holder": people.record(tenure.holder),
        "began": tenure.began,
        "from": _said(tenure.start.event, tenure.start.seen, people),
        "until": _event(end.event, people) if end is not None else None,
        "released": _said(release.event, release.seen, people) if release is not None else None,
        "rehashed": tenure.start.event.data.get("rehashed"),
        "differences": [
            {"field": one.name, "released": one.released or None, "accepted": one.accepted or None}
            for one in tenure.differences
        ],
        "disputed_by": [
            dispute.event.seq for dispute in account.disputes if number in dispute.tenures
        ],
    }


def _attempt(attempt: Attempt, people: People) -> Record:
    release, ending = attempt.release, attempt.ending
    return {
        "to": people.record(attempt.to),
        "released": _said(release.event, release.seen, people),
        "expires": utc(attempt.expires) if attempt.expires is not None else None,
        "fate": attempt.fate,
        "ended_by": _event(ending, people) if ending is not None else None,
        "reason": attempt.reason or None,
    }


def _gap(gap: Gap, people: People) -> Record:
    return {
        "kind": gap.kind,
        "holder": people.record(gap.holder),
        "from": _said(gap.start, gap.seen, people),
        "until": _event(gap.end, people) if gap.end is not None else None,
    }


def _dispute(dispute: Dispute, people: People) -> Record:
    removal = dispute.removal
    return {
        "event": _event(dispute.event, people),
        "removal": _said(removal.event, removal.seen, people),
        "member": people.record(removal.member),
        "doubtful_from": removal.doubtful_from,
        "tenures": list(dispute.tenures),
    }


def _link(vault: Vault, link: Link, people: People) -> Record:
    from vault.extracting import json_value

    said = _said(link.event, link.seen, people)
    return {
        **said,
        "holder": people.record(link.holder),
        "data": {
            name: people.record(value)
            if isinstance(value, bytes) and value in vault.state.members
            else json_value(value)
            for name, value in link.event.data.items()
        },
        "remarks": list(link.remarks),
        "rules": list(link.rules),
    }
