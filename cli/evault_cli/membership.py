"""``evault admit``, ``remove`` and ``grant``: who belongs to a vault, and what is open to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli import prompt
from evault_cli.fields import typed_text
from evault_cli.identities import read_card
from evault_cli.people import People, member_of
from evault_cli.refusal import RefusedError
from evault_cli.render import count, emit_json, escape, fingerprint, out, say
from evault_cli.session import PATH, Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault import BundleState, Card, Identity, Vault
    from vault.codec import Packable
    from vault.event import Role
    from vault.membership import Admission, Cause, Granting, Removal

__all__ = ["admit_command", "grant_command", "remove_command"]

_ME: Final = "me"
_NOT_CHECKED: Final = "not checked"
_OWN: Final = "an owner's own identity"
_MOST_SHOWN: Final = 10

_REASON = click.option("--reason", metavar="TEXT", help="Why; for readers only.")


# --- admit --------------------------------------------------------------------------------------


@click.command("admit")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("who", metavar="CARD|me")
@click.option(
    "--role",
    "roles",
    type=click.Choice(("owner", "custodian", "reader")),
    multiple=True,
    required=True,
    help="What the member may do from now on; may be repeated.",
)
@click.option("--no-history", is_flag=True, help="What was sealed before stays closed to a reader.")
@click.option(
    "--checked",
    metavar="TEXT",
    help="How you compared the fingerprint with its owner, such as 'read aloud by telephone'.",
)
@click.option("--not-checked", is_flag=True, help="You did not; this is recorded.")
@click.option("--checked-by", metavar="NAME", help="Who compared it, if not you.")
@click.option("--checked-at", metavar="TIME", help="When, such as 2026-03-01T14:05+05:00.")
@_REASON
@circumstance_options
@vault_options
@click.pass_obj
def admit_command(
    session: Session,
    place: Path,
    who: str,
    roles: tuple[Role, ...],
    no_history: bool,
    checked: str | None,
    not_checked: bool,
    checked_by: str | None,
    checked_at: str | None,
    reason: str | None,
) -> None:
    """Admit a member, or change what one may do: these roles take the place of those before.

    An owner governs the vault, a custodian seals and answers for bundles, a reader opens them.
    Compare the fingerprint with its owner, by voice or face to face: a card that was exchanged on
    its way would let somebody else read.
    """
    from vault.membership import admit

    if no_history and "reader" not in roles:
        raise RefusedError("--no-history is about what a reader can open: add --role reader.")
    fields = _check_fields(checked, not_checked, checked_by, checked_at)
    fields |= session.circumstances | _reason(reason)
    card = read_card(session, Path(who)) if who != _ME else None
    identity = session.identity()
    with session.vault(place, identity) as vault:
        subject = card or identity
        key = subject.proven.keys.ed25519
        people = People(vault, {key: card.name} if card is not None else {})
        _introduce(subject, people)
        if _HOW not in fields and vault.state.member(key) is None:
            fields[_HOW] = _OWN if card is None else _ask_how()
        if fields.get(_HOW) == _NOT_CHECKED:
            say(_UNCOMPARED)
        result = admit(vault, subject, roles, history=not no_history, fields=fields)
        if session.json:
            emit_json(_admission_record(vault, result, people, fields))
        else:
            out(str(result.events[0].seq))
        _say_admitted(session, result, people, no_history=no_history)


_HOW: Final = "fingerprint.checked_how"
_TRIES: Final = 3
_NO_ANSWER: Final = frozenset(("yes", "no"))
_UNCOMPARED: Final = (
    "Warning: nobody compared this fingerprint with its owner. If the card was exchanged on its "
    "way, somebody else is admitted. Compare it by voice, then record that with `evault admit`, "
    "the same roles and --checked TEXT; or `evault remove` them."
)


def _check_fields(
    checked: str | None, not_checked: bool, by: str | None, at: str | None
) -> dict[str, Packable]:
    if checked is not None and not_checked:
        raise RefusedError("--checked and --not-checked exclude each other.")
    if checked is None and (by is not None or at is not None):
        raise RefusedError("--checked-by and --checked-at go with --checked.")
    fields: dict[str, Packable] = {}
    if not_checked:
        fields[_HOW] = _NOT_CHECKED
    if checked is not None:
        fields[_HOW] = typed_text("--checked", checked)
    if by is not None:
        fields["fingerprint.checked_by"] = typed_text("--checked-by", by)
    if at is not None:
        fields["fingerprint.checked_at"] = _time(at)
    return fields


def _time(text: str) -> str:
    from vault.event import kinds

    if not kinds.TIME.accepts(text):
        raise RefusedError(f"--checked-at must be {kinds.TIME.about}.")
    return text


def _reason(reason: str | None) -> dict[str, Packable]:
    return {"reason": typed_text("--reason", reason)} if reason is not None else {}


def _introduce(subject: Card | Identity, people: People) -> None:
    keys = subject.proven.keys
    groups = fingerprint(keys.fingerprint).replace("\n", "\n  ")
    say(f"{escape(people.name(keys.ed25519) or 'You')}, fingerprint:\n  {groups}")
    namesakes = people.namesakes(keys.ed25519)
    if namesakes:
        shown = ", ".join(people.shown(key) for key in namesakes)
        say(f"Warning: another goes by that name in this vault: {shown}.")


def _ask_how() -> str:
    if not prompt.can_ask():
        raise RefusedError(
            "Say how you compared this fingerprint with its owner, --checked TEXT, or that you did "
            "not, --not-checked. Nothing was added."
        )
    question = (
        "Is this the fingerprint its owner read to you? Type how you compared it (such as: by "
        "phone), or 'not compared' to admit all the same; Ctrl-C stops."
    )
    for _ in range(_TRIES):
        answer: str = click.prompt(
            question, default="", show_default=False, prompt_suffix="\n> ", err=True
        )
        said = answer.strip().strip("'").casefold()
        if said == "not compared":
            return _NOT_CHECKED
        if len(said) > 1 and said not in _NO_ANSWER:
            return typed_text("How it was compared", answer)
        question = "Type in words how you compared it, or 'not compared'; Ctrl-C stops."
    raise RefusedError("It was not said how the fingerprint was compared. Nothing was added.")


def _say_admitted(session: Session, result: Admission, people: People, *, no_history: bool) -> None:
    key = result.member.keys.ed25519
    shown, now = people.shown(key), ", ".join(sorted(result.member.roles))
    number = result.events[0].seq
    if result.before is None:
        say(f"Admitted, as event {number}: {shown}. Roles: {now}.")
    elif result.before == result.member.roles:
        say(f"Recorded, as event {number}: {shown}. Roles, as before: {now}.")
    else:
        before = ", ".join(sorted(result.before))
        say(f"Changed, as event {number}: {shown}. Roles: {now}; before: {before}.")
    if result.epoch is not None:
        say(f"Only these can open what is sealed from now on: {_names(people, result.readers)}.")
    if "reader" in result.member.roles - (result.before or frozenset()):
        say(session.filled(_history(result, shown, no_history=no_history)))
    if result.before is not None and "owner" in result.before:
        _say_owners(session, result.owners, people)


def _history(result: Admission, shown: str, *, no_history: bool) -> str:
    if not result.closed:
        return "What was sealed before is open to them as well."
    if no_history:
        why = "as asked"
    elif result.epoch is not None and result.epoch.history:
        why = "because a change of readers before this one left it out"
    else:
        why = "because it is not yours to open"
    bundles = count(len(result.closed_bundles), "bundle")
    digits = result.member.keys.fingerprint.hex()[:16]
    return (
        f"What was sealed before stays closed to {shown}, {why}: {bundles}, and what was said "
        "privately then. A reader who can open it may open it to them too, with `evault grant "
        f"VAULT {digits}`."
    )


def _say_owners(session: Session, owners: tuple[bytes, ...], people: People) -> None:
    if len(owners) == 1:
        another = session.filled("`evault admit VAULT CARD --role owner` makes another.")
        say(
            f"Warning: one owner is left, {people.shown(owners[0])}. Without that identity nobody "
            f"can be admitted or removed: {another}"
        )


def _names(people: People, keys: Iterable[bytes]) -> str:
    return _listed([people.shown(key) for key in keys])


def _listed(shown: list[str]) -> str:
    more = len(shown) - _MOST_SHOWN
    return "; ".join([*shown[:_MOST_SHOWN], *([f"{more} more"] if more > 0 else [])])


def _admission_record(
    vault: Vault, result: Admission, people: People, fields: dict[str, Packable]
) -> dict[str, object]:
    key = result.member.keys.ed25519
    return {
        "vault": vault.id.hex(),
        "event": result.events[0].seq,
        "member": people.record(key),
        "roles": sorted(result.member.roles),
        "roles_before": sorted(result.before) if result.before is not None else None,
        "checked": fields.get(_HOW),
        "epoch": result.epoch.id.hex() if result.epoch is not None else None,
        "closed": [bundle.id.hex() for bundle in result.closed_bundles],
        "readers": [people.record(one) for one in result.readers],
        "owners": [people.record(one) for one in result.owners],
    }


# --- remove -------------------------------------------------------------------------------------

_ADVICE: Final = {
    "left": "Removal takes nothing back: what that key could open before, it can open still, from "
    "any copy of the vault.",
    "lost": "Whoever finds it, and can unlock the identity on it, can still open what was sealed "
    "before, from any copy of the vault.",
    "seized": "Those who hold it now, if they can unlock the identity on it, can still open what "
    "was sealed before, from any copy of the vault. Think of those whom it names.",
    "compromised": "Somebody else can open what was sealed before, from any copy of the vault. "
    "Think of those whom it names.",
    "died": "Whoever comes by that identity and its passphrase can still open what was sealed "
    "before.",
}
_REKEY: Final = (
    "`evault rekey` encrypts the vault's key files again, so that this key opens none of those "
    "that stay here. It can't reach copies that were made before."
)


@click.command("remove")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("member", metavar="MEMBER")
@click.option(
    "--cause",
    type=click.Choice(tuple(_ADVICE)),
    required=True,
    help="Why; for readers only, and not for the one who is removed.",
)
@click.option(
    "--doubtful-from",
    type=click.IntRange(0, 2**53),
    metavar="SEQ",
    help="From this event on, what that key signed is called doubtful; public, said once only.",
)
@_REASON
@circumstance_options
@vault_options
@click.pass_obj
def remove_command(
    session: Session,
    place: Path,
    member: str,
    cause: Cause,
    doubtful_from: int | None,
    reason: str | None,
) -> None:
    """Remove a member. What is sealed from now on is closed to that key, which never returns.

    MEMBER is the beginning of a fingerprint, a card file, or a name. What was sealed before stays
    open to whoever has the key and a copy of the vault.
    """
    from vault.membership import remove

    fields = session.circumstances | _reason(reason)
    identity = session.identity()
    with session.vault(place, identity) as vault:
        known = member_of(vault, member)
        people = People(vault)
        result = remove(vault, known, cause=cause, doubtful_from=doubtful_from, fields=fields)
        if session.json:
            emit_json(_removal_record(vault, result, people, doubtful_from))
        else:
            out(str(result.events[0].seq))
        _say_removed(session, result, people, cause, doubtful_from)


def _say_removed(
    session: Session, result: Removal, people: People, cause: Cause, doubtful_from: int | None
) -> None:
    say(f"Removed, as event {result.events[0].seq}: {people.shown(result.member.keys.ed25519)}.")
    if result.epoch is not None:
        say(f"Only these can open what is sealed from now on: {_names(people, result.readers)}.")
        if not result.epoch.history:
            say(
                "You do not read yourself: whoever you admit later can open what was sealed until "
                "now only if a reader opens it to them, with `evault grant`."
            )
    if doubtful_from is not None:
        events = count(result.disputed, "event")
        say(f"From event {doubtful_from} on, what that key signed is disputed: {events}.")
    if result.held:
        ids = [bundle.id for bundle in result.held]
        assume = "`evault assume VAULT BUNDLE --authority TEXT --reason TEXT`"
        say(
            f"It still answers for {_bundles(result.held)}: an owner takes over with "
            f"{session.filled(assume, *ids)}."
        )
    if result.released:
        ids = [bundle.id for bundle in result.released]
        say(
            f"Released to it, and never accepted: {_bundles(result.released)}; their holders take "
            f"them back with {session.filled('`evault recall VAULT BUNDLE`', *ids)}."
        )
    if result.open:
        say(f"{_ADVICE[cause]} That is {_bundles(result.open)}.")
        say(_REKEY)
    _say_owners(session, result.owners, people)


def _bundles(bundles: tuple[BundleState, ...]) -> str:
    ids = _listed([bundle.id.hex()[:12] for bundle in bundles])
    return f"{count(len(bundles), 'bundle')} ({ids})"


def _removal_record(
    vault: Vault, result: Removal, people: People, doubtful_from: int | None
) -> dict[str, object]:
    return {
        "vault": vault.id.hex(),
        "event": result.events[0].seq,
        "member": people.record(result.member.keys.ed25519),
        "doubtful_from": doubtful_from,
        "disputed": result.disputed,
        "epoch": result.epoch.id.hex() if result.epoch is not None else None,
        "open": [bundle.id.hex() for bundle in result.open],
        "held": [bundle.id.hex() for bundle in result.held],
        "released": [bundle.id.hex() for bundle in result.released],
        "readers": [people.record(one) for one in result.readers],
        "owners": [people.record(one) for one in result.owners],
    }


# --- grant --------------------------------------------------------------------------------------


@click.command("grant")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("member", metavar="MEMBER")
@_REASON
@circumstance_options
@vault_options
@click.pass_obj
def grant_command(session: Session, place: Path, member: str, reason: str | None) -> None:
    """Open to a reader what was sealed before: all of it that you can open yourself.

    MEMBER is the beginning of a fingerprint, a card file, or a name. It can't be taken back.
    """
    from vault.membership import grant_history

    fields = session.circumstances | _reason(reason)
    identity = session.identity()
    with session.vault(place, identity) as vault:
        known = member_of(vault, member)
        people = People(vault)
        result = grant_history(vault, known, fields=fields)
        if session.json:
            emit_json(_granting_record(vault, result, people))
        else:
            out(str(result.event.seq))
        shown = people.shown(known.keys.ed25519)
        what = [_bundles(result.bundles)] if result.bundles else []
        if result.said is not None:
            what.append(f"what was said privately in events before event {result.said + 1}")
        say(f"Granted, as event {result.event.seq}: {', and '.join(what)}, to {shown}.")
        if result.closed:
            say("Not all: some of what was sealed before is closed to you as well.")


def _granting_record(vault: Vault, result: Granting, people: People) -> dict[str, object]:
    return {
        "vault": vault.id.hex(),
        "event": result.event.seq,
        "member": people.record(result.member.keys.ed25519),
        "epochs": [epoch.id.hex() for epoch in result.epochs],
        "bundles": [bundle.id.hex() for bundle in result.bundles],
        "complete": not result.closed,
    }
