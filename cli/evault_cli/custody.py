"""``evault custody`` and ``evault note``: what happened to a bundle, and what is said about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.fields import typed_text
from evault_cli.people import People, bundle_of, standing
from evault_cli.prompt import can_ask
from evault_cli.refusal import RefusedError
from evault_cli.render import (
    count,
    emit_json,
    escape,
    out,
    paragraph,
    say,
    show_value,
    table,
    utc,
)
from evault_cli.session import OLDER_COPY, PATH, Session, looking_options, vault_options
from evault_cli.words import EVENTS, REMARKS, RULES

if TYPE_CHECKING:
    from vault import BundleState, Vault
    from vault.codec import Value
    from vault.event import Event
    from vault.looking import Link

__all__ = ["custody_command", "note_command"]

_ABOUT_SOFTWARE = "software."
_OF_SEAL = "bundle.sealed"
_NUMBERS_OF_EVENTS: Final = ("approval", "release", "request")
_DATA: Final = {
    "hold": "the hold",
    "receipt": "SHA-256 and size of the receipt",
    "rehashed": "digests checked",
}
"""Words for names of public data that don't speak for themselves."""


@click.command("custody")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="BUNDLE")
@OLDER_COPY
@looking_options
@click.pass_obj
def custody_command(session: Session, place: Path, bundle: str, older_copy: bool) -> None:
    """Show who held a bundle, and all that was done with it.

    The chain itself needs no key; what was said privately shows to a reader.
    """
    from vault.looking import chain_of

    identity = session.identity_if_any()
    with session.vault(place, identity, pinned=not older_copy) as vault:
        known = bundle_of(vault, bundle)
        links = chain_of(vault, known)
        people = People(vault)
        if session.json:
            emit_json(
                {
                    "vault": vault.id.hex(),
                    "bundle": known.id.hex(),
                    "now": standing(known),
                    "holder": people.record(known.holder),
                    "chain": [_link_record(vault, link, people) for link in links],
                }
            )
        else:
            _show_chain(vault, links, people)
            _show_end(vault, known, people)
    if any(link.seen.state == "sealed" for link in links):
        say("Purposes, notes and names are sealed: only a reader's identity shows them.")


def _show_chain(vault: Vault, links: tuple[Link, ...], people: People) -> None:
    rows = [
        (
            str(link.event.seq),
            utc(link.event.time),
            EVENTS[link.event.type],
            people.shown(link.event.actor),
            people.shown(link.holder),
        )
        for link in links
    ]
    table(("Event", "Time claimed", "What", "Signed by", "Holder after it"), rows)
    out()
    for link in links:
        for name, text in _public(vault, link.event, people):
            out(f"Event {link.event.seq}, {name}: {text}")
        for name, value in _told(link):
            first, *rest = show_value(value).split("\n")  # type: ignore[arg-type]
            out(f"Event {link.event.seq}, {escape(name)}: {first}")
            for one in rest:
                out(f"    {one}")
    for link in links:
        for remark in link.remarks:
            rules = "; ".join(RULES.get(rule, rule) for rule in link.rules)
            more = f" ({rules})" if remark == "breaks-a-rule" else ""
            paragraph(f"Event {link.event.seq}: {REMARKS[remark]}{more}.")


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


def _told(link: Link) -> list[tuple[str, object]]:
    """Return what an event says in private, without the seal's own fields, which ``show`` gives."""
    if link.event.type == _OF_SEAL:
        return []
    fields = link.seen.fields.items()
    return [(name, value) for name, value in fields if not name.startswith(_ABOUT_SOFTWARE)]


def _show_end(vault: Vault, bundle: BundleState, people: People) -> None:
    out(f"Held now by {people.shown(bundle.holder)}.")
    if bundle.release is not None:
        until = bundle.release.expires
        end = f", until {utc(until)}" if until is not None else ""
        out(f"Released to {people.shown(bundle.release.to)}, and not yet accepted{end}.")
    if bundle.interrupted:
        out("Custody is interrupted: nobody can answer for the bundle now.")
    if bundle.destroyed is not None:
        out(f"Destroyed, event {bundle.destroyed}.")
    if bundle.holds:
        out(f"Under {count(len(bundle.holds), 'hold')}: it may not be destroyed.")
    paragraph(
        "Each event is signed with its author's Ed25519 key, over all that stands in the log "
        f"before it; the log's newest checkpoint ({count(vault.size, 'event')}) is signed with "
        "Ed25519 and ML-DSA-44. Times are those of their authors' clocks."
    )


def _link_record(vault: Vault, link: Link, people: People) -> dict[str, object]:
    from vault.extracting import json_value

    opened = link.seen.state == "open"
    return {
        "event": link.event.seq,
        "time": utc(link.event.time),
        "type": link.event.type,
        "by": people.record(link.event.actor),
        "holder": people.record(link.holder),
        "signature": link.event.sig.hex(),
        "data": {
            name: people.record(value)
            if isinstance(value, bytes) and value in vault.state.members
            else json_value(value)
            for name, value in link.event.data.items()
        },
        "remarks": list(link.remarks),
        "rules": list(link.rules),
        "private": link.seen.state,
        "fields": {name: json_value(value) for name, value in link.seen.fields.items()}
        if opened
        else None,
    }


@click.command("note")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="[BUNDLE]", required=False)
@click.option("--text", metavar="TEXT|-", required=True, help="The note; - reads standard input.")
@vault_options
@click.pass_obj
def note_command(session: Session, place: Path, bundle: str | None, text: str) -> None:
    """Add a note to a bundle, or to the vault. Its readers see it; nobody can take it back."""
    if text == "-":
        if session.passphrase_fd == 0:
            raise RefusedError("Standard input can't give both the passphrase and the note.")
        if session.passphrase_fd is None and session.passphrase_file is None and not can_ask():
            raise RefusedError(
                "The note takes standard input, so the passphrase must come from "
                "--passphrase-file FILE or --passphrase-fd N."
            )
        text = sys.stdin.buffer.read(2**20).decode("utf-8", "surrogateescape").rstrip("\r\n")
    text = typed_text("The note", text)
    identity = session.identity()
    with session.vault(place, identity) as vault:
        if bundle is None:
            event = vault.append("vault.noted", fields={"text": text})
        else:
            known = bundle_of(vault, bundle)
            event = vault.append("bundle.noted", bundle=known.id, fields={"text": text})
        if session.json:
            emit_json(
                {
                    "vault": vault.id.hex(),
                    "bundle": event.bundle.hex() if event.bundle is not None else None,
                    "event": event.seq,
                }
            )
        else:
            out(str(event.seq))
    say(f"Noted, as event {event.seq}.")
