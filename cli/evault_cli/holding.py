"""``evault hold`` and ``evault consent``: the terms under which a bundle is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.fields import typed_text
from evault_cli.many import (
    AUTHORITY,
    BUNDLES,
    REASON,
    VAULT,
    brief_ids,
    emit_events,
    named,
)
from evault_cli.people import People
from evault_cli.refusal import RefusedError
from evault_cli.render import count, emit_json, escape, out, pairs, say, utc
from evault_cli.session import Session, circumstance_options, vault_options
from evault_cli.words import CONSENT, EVENTS

if TYPE_CHECKING:
    from vault import Vault
    from vault.consent import Consent
    from vault.terms import ConsentRecorded, RecordableStatus

__all__ = ["consent_command", "hold_command"]

_MOST_SHOWN: Final = 20


# --- hold -----------------------------------------------------------------------------------------


@click.group("hold", no_args_is_help=True)
def hold_command() -> None:
    """Place and lift holds: a bundle under a hold may not be destroyed."""


@hold_command.command("place")
@VAULT
@BUNDLES
@AUTHORITY
@REASON
@circumstance_options
@vault_options
@click.pass_obj
def place_command(
    session: Session, path: Path, bundles: tuple[str, ...], authority: str, reason: str
) -> None:
    """Place one hold on bundles, and print its id. Who ordered it and why, only readers see."""
    from vault.terms import place_hold

    authority, reason = typed_text("--authority", authority), typed_text("--reason", reason)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        hold, events = place_hold(
            vault,
            named(vault, bundles),
            authority=authority,
            reason=reason,
            fields=session.circumstances,
        )
        if session.json:
            emit_events(session, vault, events, hold=hold.hex())
        else:
            out(hold.hex())
    say(
        f"{count(len(events), 'bundle')} may not be destroyed until `evault hold lift` ends "
        "this hold."
    )


@hold_command.command("lift")
@VAULT
@BUNDLES
@click.option("--hold", "hold", metavar="ID", default="", help="Which, if there are several.")
@AUTHORITY
@REASON
@circumstance_options
@vault_options
@click.pass_obj
def lift_command(
    session: Session,
    path: Path,
    bundles: tuple[str, ...],
    hold: str,
    authority: str,
    reason: str,
) -> None:
    """Lift a hold, named by its id or the beginning of it."""
    from vault.terms import lift_hold

    authority, reason = typed_text("--authority", authority), typed_text("--reason", reason)
    identity = session.identity()
    with session.vault(path, identity) as vault:
        chosen = named(vault, bundles)
        events = lift_hold(
            vault,
            chosen,
            hold.strip().lower(),
            authority=authority,
            reason=reason,
            fields=session.circumstances,
        )
        emit_events(session, vault, events)
        held = [one for one in dict.fromkeys(chosen) if vault.state.bundles[one].holds]
    say(f"Lifted, for {count(len(events), 'bundle')}.")
    if held:
        say(f"Still under another hold: {brief_ids(held)}.")


# --- consent --------------------------------------------------------------------------------------


@click.command("consent")
@VAULT
@BUNDLES
@click.option(
    "--status",
    type=click.Choice(("given", "limited", "withdrawn", "refused", "not asked")),
    help="What is to be recorded; without it, what stands is shown.",
)
@click.option(
    "--use", "uses", metavar="USE", multiple=True, help="A use that a limited one covers."
)
@click.option(
    "--recipient",
    "recipients",
    metavar="R",
    multiple=True,
    help="Whom a limited one covers: a name, or a fingerprint's first 16 digits.",
)
@click.option("--anonymity", metavar="TEXT", help="What must not be shown of the person.")
@click.option("--language", metavar="L", help="In what language it was asked and given.")
@click.option("--how", metavar="TEXT", help="How it was given, such as 'signed form' or 'on tape'.")
@click.option("--by", metavar="TEXT", help="By whom.")
@circumstance_options
@vault_options
@click.pass_obj
def consent_command(
    session: Session,
    /,
    path: Path,
    bundles: tuple[str, ...],
    status: RecordableStatus | None,
    uses: tuple[str, ...],
    recipients: tuple[str, ...],
    **given: str | None,
) -> None:
    """Record consent to the use of bundles, or show what stands. Only readers see it.

    What was recorded last counts. `release` and `open` refuse what it does not cover, unless they
    are given an authority that stands above it.
    """
    texts = {name: typed_text(f"--{name}", one) for name, one in given.items() if one is not None}
    uses = tuple(typed_text("--use", one) for one in uses)
    recipients = tuple(typed_text("--recipient", one) for one in recipients)
    if status is None:
        if uses or recipients or texts or session.circumstances:
            raise RefusedError("Say with --status what is to be recorded.")
        _show(session, path, bundles)
        return
    _check_limits(status, uses, recipients, texts)
    from vault.terms import record_consent

    identity = session.identity()
    with session.vault(path, identity) as vault:
        recorded = record_consent(
            vault,
            named(vault, bundles),
            status,
            uses=uses,
            recipients=recipients,
            fields=session.circumstances,
            **texts,
        )
        people = People(vault)
        if session.json:
            emit_json(_recorded_record(vault, status, recorded, people))
        else:
            for one in recorded:
                out(str(one.event.seq))
        _say_recorded(status, recorded, people)


def _check_limits(
    status: str, uses: Sequence[str], recipients: Sequence[str], texts: dict[str, str]
) -> None:
    if status == "limited" and not (uses or recipients or "anonymity" in texts):
        raise RefusedError("A limited consent needs a limit: --use, --recipient or --anonymity.")
    if status == "given" and (uses or recipients):
        raise RefusedError("A consent that is given has no limits: use --status limited.")
    if status != "limited" and (uses or recipients):
        raise RefusedError(f"--use and --recipient do not go with --status {status!r}.")
    if status != "not asked" and not {"how", "by"} <= texts.keys():
        raise RefusedError("Say how it was said, --how TEXT, and by whom, --by TEXT.")


def _recorded_record(
    vault: Vault, status: str, recorded: Sequence[ConsentRecorded], people: People
) -> dict[str, object]:
    return {
        "vault": vault.id.hex(),
        "status": status,
        "bundles": [
            {
                "bundle": one.event.bundle.hex() if one.event.bundle is not None else None,
                "event": one.event.seq,
                "before": one.before.status if one.before is not None else "damaged",
                "reached": [
                    {
                        "event": event.seq,
                        "type": event.type,
                        "time": utc(event.time),
                        "by": people.record(event.actor),
                    }
                    for event in one.reached
                ],
            }
            for one in recorded
        ],
    }


def _say_recorded(status: str, recorded: Sequence[ConsentRecorded], people: People) -> None:
    say(f"Recorded for {count(len(recorded), 'bundle')}: {CONSENT[status]}.")
    if status not in ("withdrawn", "refused"):
        return
    say("From now on opening, releasing and disclosing are refused, unless --authority names what "
        "stands above consent.")  # fmt: skip
    reached = [
        f"  {brief_ids([one.event.bundle or b''])}, event {event.seq}, {utc(event.time)}: "
        f"{EVENTS[event.type]}, {people.shown(event.actor)}"
        for one in recorded
        for event in one.reached
    ]
    if reached:
        say("They were seen or held before, which can't be undone:")
        for line in reached[:_MOST_SHOWN]:
            say(line)
        if len(reached) > _MOST_SHOWN:
            say(f"  and {len(reached) - _MOST_SHOWN} more: `evault custody` shows all.")
    else:
        say("Nobody opened or received them before, by what is recorded here.")
    say("Who opened a copy without a record is not known here. Destroying is another act: "
        "`evault destroy`.")  # fmt: skip


def _show(session: Session, path: Path, bundles: Sequence[str]) -> None:
    from vault.consent import consent_of

    identity = session.identity()
    with session.vault(path, identity) as vault:
        found = [consent_of(vault, one) for one in dict.fromkeys(named(vault, bundles))]
        if session.json:
            rows = [_consent_record(one) for one in found]
            emit_json({"vault": vault.id.hex(), "bundles": rows})
        else:
            for number, one in enumerate(found):
                if number:
                    out()
                pairs(_consent_rows(one))
    if any(one.status == "sealed" for one in found):
        say("Consent is sealed: only a reader's identity shows it.")


def _consent_rows(one: Consent) -> list[tuple[str, str]]:
    rows = [
        ("Bundle", one.bundle.hex() if one.bundle is not None else ""),
        ("Consent", CONSENT[one.status]),
        ("For the uses", "; ".join(one.uses)),
        ("To the recipients", "; ".join(one.recipients)),
        ("Anonymity", one.anonymity),
        ("Language", one.language),
        ("How", one.how_given),
        ("By", one.by_whom),
        ("Event", str(one.seq) if one.seq is not None else ""),
    ]
    return [(name, escape(text)) for name, text in rows if text]


def _consent_record(one: Consent) -> dict[str, object]:
    return {
        "bundle": one.bundle.hex() if one.bundle is not None else None,
        "status": one.status,
        "event": one.seq,
        "uses": list(one.uses),
        "recipients": list(one.recipients),
        "anonymity": one.anonymity or None,
        "language": one.language or None,
        "how": one.how_given or None,
        "by": one.by_whom or None,
    }
