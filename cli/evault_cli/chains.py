"""``evault custody``: who was answerable for a bundle when, and what is to be said against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.chain_records import account_record
from evault_cli.chain_words import SEALED, SIGNED, UNTIL_NOW, Words
from evault_cli.people import People, bundle_of
from evault_cli.refusal import RefusedError
from evault_cli.render import (
    count,
    emit_json,
    escape,
    out,
    pairs,
    paragraph,
    say,
    show_value,
    table,
    utc,
)
from evault_cli.session import OLDER_COPY, PATH, Session, looking_options

if TYPE_CHECKING:
    from vault import BundleState, Vault
    from vault.chain import Account, Link, Tenure
    from vault.codec import Value
    from vault.event import Event

__all__ = ["custody_command"]

_ABOUT_SOFTWARE: Final = "software."
_OF_SEAL: Final = "bundle.sealed"
_NUMBERS_OF_EVENTS: Final = ("approval", "release", "request")
_DATA: Final = {
    "hold": "the hold",
    "receipt": "SHA-256 and size of the receipt",
    "rehashed": "digests checked",
}
"""Words for names of public data that don't speak for themselves."""


@click.command("custody")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="[BUNDLE]", required=False)
@click.option("--all", "every", is_flag=True, help="Every bundle, in the order of sealing.")
@OLDER_COPY
@looking_options
@click.pass_obj
def custody_command(
    session: Session, place: Path, bundle: str | None, every: bool, older_copy: bool
) -> None:
    """Show who was answerable for a bundle when, and all that was done with it.

    First who, from when until when and by whose signatures; then every event; then each gap and
    dispute in a sentence. All of it can be told without a key but what was said privately, which
    shows to a reader. Times are those that their authors' clocks claimed.
    """
    from vault.chain import accounts_of, clocks_of

    if every == (bundle is not None):
        raise RefusedError("Name one BUNDLE, or give --all for every bundle; not both.")
    identity = session.identity_if_any()
    with session.vault(place, identity, pinned=not older_copy) as vault:
        bundles = _in_order(vault) if bundle is None else [bundle_of(vault, bundle)]
        people = People(vault)
        accounts = accounts_of(vault, bundles)
        sealed = False
        if session.json:
            told = list(accounts)
            records = [account_record(vault, account, people) for account in told]
            shared = {"vault": vault.id.hex(), "size": vault.size, "root": vault.root.hex()}
            emit_json({**shared, **(records[0] if not every else {"bundles": records})})
            sealed = any(_has_sealed(account) for account in told)
        else:
            clocks = clocks_of(vault)
            for number, account in enumerate(accounts):
                if number:
                    out()
                _show(vault, account, people, clocks)
                sealed |= _has_sealed(account)
            if bundles:
                _show_limits(vault)
    if every:
        say(count(len(bundles), "bundle") + "." if bundles else "No bundle is sealed here yet.")
    if sealed:
        say("Purposes, notes and names are sealed: only a reader's identity shows them.")


def _in_order(vault: Vault) -> list[BundleState]:
    return sorted(vault.state.bundles.values(), key=lambda bundle: bundle.seq)


def _has_sealed(account: Account) -> bool:
    return any(link.seen.state == "sealed" for link in account.links)


# --- who was answerable -------------------------------------------------------------------------

Clocks = tuple[tuple[int, int], ...]
"""The first events of the policies' clocks, and these in seconds."""


def _coarse(account: Account, clocks: Clocks) -> str:
    """Return what coarse public times mean for the table; nothing where no time of it is coarse."""
    last = max((link.event.seq for link in account.links), default=-1)
    told = [one for one in clocks if one[0] <= last]
    while told and told[0][1] == 1:
        del told[0]
    if not told:
        return ""
    steps = [f"event {start} on, public times are to {clock} s" for start, clock in told]
    return (
        f"From {'; from '.join(steps)}: an end can read as earlier than its beginning. The numbers "
        "of the events give the order."
    )


def _show(vault: Vault, account: Account, people: People, clocks: Clocks) -> None:
    words = Words(account, people)
    out(f"Bundle {account.bundle.id.hex()}")
    out()
    rows = sorted([*_tenure_rows(account, words), *_gap_rows(account, words)])
    headers = ("Answerable", "From", "Until", "How it began", "Signed by")
    table(headers, [row for _, row in rows])
    coarse = _coarse(account, clocks)
    if coarse:
        paragraph(coarse)
    for tenure in account.tenures:
        if tenure.began != "sealed":
            _show_handover(tenure, account, words)
    nothing = [one for one in account.attempts if one.fate != "open"]
    if nothing:
        _heading("Releases that came to nothing")
        for attempt in nothing:
            paragraph(words.attempt(attempt))
    _heading("Every event")
    _show_chain(vault, account, people, words)
    _heading("Gaps and disputes")
    for sentence in words.troubles() or ["No gap and no dispute."]:
        paragraph(sentence)
    if _has_sealed(account):
        paragraph(SEALED)
    _heading("How it stands")
    for sentence in words.standing():
        paragraph(sentence)


def _heading(text: str) -> None:
    out()
    out(text)


_WIDEST: Final = 52
_TAIL: Final = 27
"""A fingerprint that is one's own, and the space before it."""


def _clipped(person: str) -> str:
    """Return a person for a cell: of a name that is too wide the middle goes, so that the beginning
    shows and the fingerprint after it.
    """
    if len(person) <= _WIDEST:
        return person
    return f"{person[: _WIDEST - _TAIL - 3]}...{person[-_TAIL:]}"


Row = tuple[int, tuple[str, ...]]
"""The number of the event with which a row begins, and its cells."""


def _tenure_rows(account: Account, words: Words) -> Iterator[Row]:
    people = words.people
    for tenure in account.tenures:
        start, end, release = tenure.start.event, tenure.end, tenure.release
        giver = _clipped(people.brief(release.event.actor)) if release is not None else ""
        yield (
            start.seq,
            (
                _clipped(people.shown(tenure.holder)),
                utc(start.time),
                utc(end.event.time) if end is not None else UNTIL_NOW,
                words.began(tenure),
                SIGNED[tenure.began].format(
                    giver=giver, taker=_clipped(people.brief(tenure.holder))
                ),
            ),
        )


def _gap_rows(account: Account, words: Words) -> Iterator[Row]:
    for gap in account.gaps:
        if gap.kind != "assumed":
            yield (
                gap.start.seq,
                (
                    "nobody",
                    utc(gap.start.time),
                    utc(gap.end.time) if gap.end is not None else UNTIL_NOW,
                    words.gap_began(gap),
                    _clipped(words.people.brief(gap.start.actor)),
                ),
            )


def _show_handover(tenure: Tenure, account: Account, words: Words) -> None:
    before = account.tenures[account.tenures.index(tenure) - 1].holder
    _heading(words.handover(tenure, before))
    taken = words.signed(tenure.start.event)
    if tenure.release is None:
        rows = [("Released", words.unsigned(before)), ("Taken over", taken)]
    else:
        rows = [("Released", words.signed(tenure.release.event)), ("Accepted", taken)]
    pairs(rows)


# --- every event --------------------------------------------------------------------------------


def _show_chain(vault: Vault, account: Account, people: People, words: Words) -> None:
    rows = [
        (
            str(link.event.seq),
            utc(link.event.time),
            words.what(link.event),
            _clipped(people.shown(link.event.actor)),
            _clipped(people.shown(link.holder)),
        )
        for link in account.links
    ]
    headers = ("Event", "Time claimed", "What", "Signed by", "Holder after it")
    table(headers, rows)
    for link in account.links:
        for name, text in _public(vault, link.event, people):
            out(f"Event {link.event.seq}, {name}: {text}")
        for name, value in _told(link):
            first, *rest = show_value(value).split("\n")
            out(f"Event {link.event.seq}, {escape(name)}: {first}")
            for one in rest:
                out(f"    {one}")


def _public(vault: Vault, event: Event, people: People) -> list[tuple[str, str]]:
    """Return what an event says in public, in words, without the seal's keys and digests."""
    if event.type == _OF_SEAL:
        return []
    return [
        (_DATA.get(name, name), _public_text(vault, name, value, people))
        for name, value in event.data.items()
    ]


def _public_text(vault: Vault, name: str, value: Value, people: People) -> str:
    if isinstance(value, bytes):
        return people.shown(value) if value in vault.state.members else value.hex()
    if isinstance(value, tuple):
        return ", ".join(_public_text(vault, "", one, people) for one in value)
    if name == "expires" and isinstance(value, int):
        return utc(value)
    if name in _NUMBERS_OF_EVENTS:
        return f"event {value}"
    return show_value(value)


def _told(link: Link) -> list[tuple[str, Value]]:
    """Return what an event says in private, without the seal's own fields, which ``show`` gives."""
    if link.event.type == _OF_SEAL:
        return []
    fields = link.seen.fields.items()
    return [(name, value) for name, value in fields if not name.startswith(_ABOUT_SOFTWARE)]


def _show_limits(vault: Vault) -> None:
    out()
    clock = vault.state.policy.clock
    grain = f", to {count(clock, 'second')} at the finest" if clock > 1 else ""
    paragraph(
        "Each event is signed with its author's Ed25519 key, over all that stands in the log "
        f"before it; the log's newest checkpoint ({count(vault.size, 'event')}) is signed with "
        f"Ed25519 and ML-DSA-44. Times are those of their authors' clocks{grain}: who was "
        "answerable when is as sure as those clocks, and the order of the events is surer. What "
        "happened outside of this software is known only as far as somebody recorded it."
    )
