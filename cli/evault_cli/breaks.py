"""``evault assume`` and ``interrupt``: where custody goes on, or stops, without both signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evault_cli.fields import typed_text
from evault_cli.many import (
    AUTHORITY,
    BUNDLES,
    MAYBE_BUNDLES,
    REASON,
    VAULT,
    all_of,
    check_choice,
    emit_events,
    handover_options,
    named,
    stated,
)
from evault_cli.people import People, member_of
from evault_cli.render import count, say
from evault_cli.session import Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault.handover import Cause

__all__ = ["assume_command", "interrupt_command"]


@click.command("assume")
@VAULT
@MAYBE_BUNDLES
@click.option(
    "--all-of", "member", metavar="MEMBER", help="All that this member, who was removed, held."
)
@AUTHORITY
@REASON
@handover_options()
@circumstance_options
@vault_options
@click.pass_obj
def assume_command(
    session: Session,
    /,
    path: Path,
    bundles: tuple[str, ...],
    member: str | None,
    authority: str,
    reason: str,
    **given: str | None,
) -> None:
    """Take over custody, as an owner, where the holder can't sign.

    That is where the holder was removed, or custody is interrupted. The chain shows it as a break
    without the signature of the one before.
    """
    from vault.handover import assume
    from vault.holdings import assumable

    check_choice(bundles, member, "--all-of MEMBER")
    authority, reason = typed_text("--authority", authority), typed_text("--reason", reason)
    fields = stated(session, given)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        chosen = named(vault, bundles)
        if member is not None:
            key = member_of(vault, member, removed=True).keys.ed25519
            shown = People(vault).shown(key)
            nothing = f"{shown} holds nothing that custody could be assumed of."
            chosen = all_of(assumable(vault, key), nothing, f"as {shown} can answer for it")
        people = People(vault)
        before = dict.fromkeys(vault.state.bundles[one].holder for one in chosen)
        givers = ", ".join(people.shown(one) for one in before)
        events = assume(vault, chosen, authority=authority, reason=reason, fields=fields)
        emit_events(session, vault, events)
        me = vault.state.members[identity.ed25519]
    say(
        f"Assumed custody of {count(len(events), 'bundle')} from {givers}, without the signature "
        "of the one before: the chain says so. From now on you are answerable."
    )
    if "custodian" not in me.roles:
        say("You are no custodian: you can't hand on what you hold, unless you admit yourself so.")


@click.command("interrupt")
@VAULT
@BUNDLES
@click.option(
    "--cause",
    type=click.Choice(("seized", "lost", "returned")),
    required=True,
    help="What happened; seen by readers only.",
)
@REASON
@click.option("--place", metavar="TEXT", help="Where.")
@click.option("--condition", metavar="TEXT", help="In what condition it came back.")
@circumstance_options
@vault_options
@click.pass_obj
def interrupt_command(
    session: Session,
    /,
    path: Path,
    bundles: tuple[str, ...],
    cause: Cause,
    reason: str,
    **given: str | None,
) -> None:
    """Record that bundles are in nobody's hands: seized or lost; or that they were returned.

    Anyone can see that custody was interrupted, and for how long; why, only readers.
    """
    from vault.handover import interrupt

    reason, fields = typed_text("--reason", reason), stated(session, given)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        chosen = named(vault, bundles)
        events = interrupt(vault, chosen, cause=cause, reason=reason, fields=fields)
        emit_events(session, vault, events)
        people = People(vault)
        holders = dict.fromkeys(vault.state.bundles[one].holder for one in chosen)
        shown = ", ".join(people.shown(one) for one in holders)
        others = [one for one in holders if one != identity.ed25519]
        apart = ", ".join(people.shown(one) for one in others)
    number = count(len(events), "bundle")
    if cause == "returned":
        say(f"Recorded the return of {number}. Answerable again: {shown}. Check what came back: "
            "`evault verify --record`.")  # fmt: skip
        return
    if others:
        # Whoever has the bundle in hand must hear of what was said of them.
        said = f"{shown} can't answer for {number} now. You do not hold it. If {apart} can, they "
        said += "record that: "
    else:
        said = f"nobody can answer for {number} now. Once back, record that: "
    back = "`evault interrupt VAULT BUNDLE --cause returned --reason TEXT`"
    assumed = "`evault assume VAULT BUNDLE --authority TEXT --reason TEXT`"
    advice = f"{back}. If another is to answer meanwhile, an owner does {assumed}."
    say(f"Recorded: {said}{session.filled(advice, *chosen)}")
