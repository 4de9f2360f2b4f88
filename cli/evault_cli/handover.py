"""``evault release``, ``accept``, ``decline`` and ``recall``: a handover, signed by both sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.fields import typed_text
from evault_cli.many import (
    BUNDLES,
    DIGITS,
    MAYBE_BUNDLES,
    MOST_NAMED,
    REASON,
    VAULT,
    all_of,
    brief_ids,
    check_choice,
    emit_events,
    handover_options,
    named,
    stated,
)
from evault_cli.people import People, member_of
from evault_cli.refusal import RefusedError
from evault_cli.render import count, emit_json, out, progress, say, size_text, utc
from evault_cli.session import Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault import Event, Vault
    from vault.handover import Acceptance, Releasing

__all__ = ["accept_command", "decline_command", "recall_command", "release_command"]

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([hd])\Z", re.ASCII)
_SECONDS: Final = {"h": 3600, "d": 86400}
_FRACTION: Final = re.compile(r"\.[0-9]+")


# --- release --------------------------------------------------------------------------------------


@click.command("release")
@VAULT
@MAYBE_BUNDLES
@click.option("--all-held", is_flag=True, help="All that you hold.")
@click.option(
    "--to", metavar="MEMBER", required=True, help="A fingerprint's beginning, a card, or a name."
)
@handover_options("--place", "--purpose", "--condition")
@click.option(
    "--expires",
    metavar="TIME|72h|14d",
    help="Until when it can be accepted; public. A time such as 2026-03-01T14:05+05:00.",
)
@click.option("--use", metavar="USE", help="For which use, in the words of a limited consent.")
@click.option("--authority", metavar="TEXT", help="What stands above consent: a court's order.")
@circumstance_options
@vault_options
@click.pass_obj
def release_command(
    session: Session,
    /,
    path: Path,
    bundles: tuple[str, ...],
    all_held: bool,
    to: str,
    expires: str | None,
    **given: str | None,
) -> None:
    """Release bundles to another member, who becomes answerable by accepting them.

    Until then you are, and can recall them. Several are released together, or none.
    """
    from vault.handover import release
    from vault.holdings import releasable

    check_choice(bundles, all_held, "--all-held")
    fields = stated(session, given)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        member = member_of(vault, to).keys.ed25519
        until = _expiry(expires, vault.now) if expires is not None else None
        chosen = named(vault, bundles)
        if all_held:
            nothing = "You hold nothing that could be released."
            chosen = all_of(releasable(vault), nothing, "released already or interrupted")
        result = release(vault, chosen, member, expires=until, fields=fields)
        people = People(vault)
        ends = utc(result.expires) if result.expires is not None else None
        emit_events(
            session,
            vault,
            result.events,
            to=people.record(member),
            expires=ends,
            custodian=result.hands_on,
            closed=[one.hex() for one in result.closed],
            consent_unchecked=[one.hex() for one in result.unchecked],
            consent_overridden=[one.hex() for one in result.overridden],
        )
        _say_released(session, vault, result, people.shown(member), ends)


def _expiry(text: str, now: int) -> int:
    from vault.event import kinds

    duration = _DURATION.match(text.strip())
    if duration is not None:
        return now + int(duration[1]) * _SECONDS[duration[2]]
    if not kinds.TIME.accepts(text) or "T" not in text:
        raise RefusedError(
            "--expires must be a time with its offset, such as 2026-03-01T14:05+05:00, or a number "
            "of hours or days from now, such as 72h or 14d."
        )
    end = int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    if end <= now:
        raise RefusedError(f"--expires is past: by this device's clock it is {utc(now)}.")
    return end


def _say_released(
    session: Session, vault: Vault, result: Releasing, shown: str, ends: str | None
) -> None:
    number = len(result.events)
    until = f", until {ends}" if ends is not None else ""
    say(f"Released {count(number, 'bundle')} to {shown}{until}.")
    ids = [one.bundle for one in result.events if one.bundle is not None]
    named = " ".join(one.hex()[:DIGITS] for one in ids) if number <= MOST_NAMED else "--all"
    say(
        "You stay answerable until it is accepted, which they do with: evault accept "
        f"{session.filled('VAULT')} {named} --place TEXT --condition TEXT"
    )
    say(
        "Nothing was sent. Hand over what carries this vault itself, the stick or the disk: "
        "acceptance is written into it, and two copies that are both written to contradict each "
        "other."
    )
    if result.closed:
        say(
            f"They can't open {brief_ids(result.closed)}: custody does not take that. "
            "`evault admit` makes them a reader, `evault grant` opens what was sealed before."
        )
    if not result.hands_on:
        say("They are no custodian: they can accept and keep, but not hand on (`evault admit`).")
    if result.overridden:
        say(
            f"Consent does not cover {brief_ids(result.overridden)}. It was released all the same, "
            "by the authority that is recorded with it."
        )
    if result.unchecked:
        _say_unchecked(vault, result.unchecked)


def _say_unchecked(vault: Vault, bundles: Sequence[bytes]) -> None:
    """Say that, and why, nobody held a release against consent."""
    me = vault.state.member(vault.identity.ed25519) if vault.identity is not None else None
    if me is not None and "reader" not in me.roles:
        why = "you are no reader"
    else:
        why = f"what was said of it is not open to you ({brief_ids(bundles)})"
    say(f"Whether consent allows this could not be checked: {why}.")


# --- accept ---------------------------------------------------------------------------------------


@click.command("accept")
@VAULT
@MAYBE_BUNDLES
@click.option("--all", "everything", is_flag=True, help="All that is released to you.")
@handover_options("--place", "--condition")
@circumstance_options
@vault_options
@click.pass_obj
def accept_command(
    session: Session,
    /,
    path: Path,
    bundles: tuple[str, ...],
    everything: bool,
    **given: str | None,
) -> None:
    """Accept bundles that were released to you: from then on you answer for them.

    Every file of theirs is read again first. If one is altered or missing, none is accepted.
    """
    from vault.handover import accept
    from vault.holdings import acceptable

    check_choice(bundles, everything, "--all")
    fields = stated(session, given)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        chosen = named(vault, bundles)
        if everything:
            nothing = "Nothing is released to you that you could accept."
            chosen = all_of(acceptable(vault), nothing, "as its release has expired")
        with progress() as callback:
            result = accept(vault, chosen, fields=fields, progress=callback)
        people = People(vault)
        if session.json:
            emit_json(_acceptance_record(vault, result, people))
        else:
            for event in result.events:
                out(str(event.seq))
        _say_accepted(result, people)


def _acceptance_record(vault: Vault, result: Acceptance, people: People) -> dict[str, object]:
    rows = zip(result.events, result.givers, result.keys, strict=True)
    return {
        "vault": vault.id.hex(),
        "files": result.files,
        "size": result.size,
        "custodian": result.hands_on,
        "bundles": [
            {
                "bundle": event.bundle.hex() if event.bundle is not None else None,
                "event": event.seq,
                "release": event.data["release"],
                "from": people.record(giver),
                "key": key,
            }
            for event, giver, key in rows
        ],
    }


def _say_accepted(result: Acceptance, people: People) -> None:
    givers = ", ".join(people.shown(one) for one in dict.fromkeys(result.givers))
    say(
        f"Accepted {count(len(result.events), 'bundle')} from {givers}: "
        f"{count(result.files, 'file')} ({size_text(result.size)}) were read again and have the "
        "SHA-256 that was logged. From now on you are answerable."
    )
    by_key: dict[str, list[bytes]] = {}
    for event, key in zip(result.events, result.keys, strict=True):
        assert event.bundle is not None
        by_key.setdefault(key, []).append(event.bundle)
    if "sealed" in by_key:
        say(f"You can't open {brief_ids(by_key['sealed'])}: you hold what others read.")
    if "damaged" in by_key:
        say(
            f"Warning: {brief_ids(by_key['damaged'])} should open to you and does not, although "
            "its files are as they were logged. `evault verify --deep` says more; tell the one you "
            "have it from now."
        )
    if not result.hands_on:
        say("You are no custodian: you can't hand on what you hold, unless an owner admits you so.")


# --- decline, recall ------------------------------------------------------------------------------


@click.command("decline")
@VAULT
@BUNDLES
@REASON
@circumstance_options
@vault_options
@click.pass_obj
def decline_command(session: Session, path: Path, bundles: tuple[str, ...], reason: str) -> None:
    """Decline bundles that were released to you: their holder stays answerable."""
    from vault.handover import decline

    ended = _end(session, path, bundles, reason, decline)
    say(f"Declined {count(ended, 'bundle')}: whoever released them stays answerable.")


@click.command("recall")
@VAULT
@BUNDLES
@REASON
@circumstance_options
@vault_options
@click.pass_obj
def recall_command(session: Session, path: Path, bundles: tuple[str, ...], reason: str) -> None:
    """Take back releases that nobody has accepted."""
    from vault.handover import recall

    ended = _end(session, path, bundles, reason, recall)
    say(f"Recalled {count(ended, 'bundle')}: you stay answerable.")


def _end(
    session: Session,
    path: Path,
    bundles: tuple[str, ...],
    reason: str,
    act: Callable[..., tuple[Event, ...]],
) -> int:
    """End releases by ``act``; return how many."""
    reason, fields = typed_text("--reason", reason), dict(session.circumstances)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        events = act(vault, named(vault, bundles), reason=reason, fields=fields)
        emit_events(session, vault, events)
    return len(events)
