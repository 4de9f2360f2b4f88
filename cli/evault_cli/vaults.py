"""``evault init``, ``evault policy`` and ``evault list``: a vault, and the bundles in it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from evault_cli.fields import line, typed_text
from evault_cli.identities import read_card
from evault_cli.people import People, bundle_record, standing
from evault_cli.refusal import RefusedError
from evault_cli.relating import predecessor_record, say_continued
from evault_cli.render import (
    count,
    emit_json,
    escape,
    fingerprint,
    out,
    say,
    size_text,
    table,
    utc,
)
from evault_cli.session import (
    OLDER_COPY,
    PATH,
    Session,
    circumstance_options,
    identity_options,
    looking_options,
    vault_options,
)

if TYPE_CHECKING:
    from vault import BundleState, Policy, Vault
    from vault.auditing.history import Predecessor
    from vault.looking import Seen

__all__ = ["init_command", "list_command", "policy_command", "policy_text"]

_REASONS: Final = ("restored-backup", "lost-owner", "other")


# --- init ---------------------------------------------------------------------------------------


@click.command("init")
@click.argument("place", metavar="VAULT", type=PATH)
@click.option(
    "--reader",
    "readers",
    metavar="CARD|me",
    multiple=True,
    help="Who reads: a card file, or yourself; may be repeated.",
)
@click.option("--title", metavar="TEXT", help="The vault's title, for its readers.")
@click.option("--name", metavar="NAME", help="Your name, for its readers.")
@click.option(
    "--policy",
    "policies",
    metavar="RULES",
    help="clock=SECONDS (public times are coarser), two-person-destroy; with commas between.",
)
@click.option(
    "--continues",
    metavar="OLD",
    type=PATH,
    help="A copy of the vault that this one takes over; it is not changed.",
)
@click.option("--because", type=click.Choice(_REASONS), help="Why this one takes over.")
@click.option("--reason", metavar="TEXT", help="The same in words, for its readers.")
@click.option(
    "--known-losses", metavar="TEXT", help="What is known to be lost of the old one, for readers."
)
@circumstance_options
@identity_options
@click.pass_obj
def init_command(
    session: Session,
    /,
    place: Path,
    readers: tuple[str, ...],
    title: str | None,
    name: str | None,
    policies: str | None,
    continues: Path | None,
    because: str | None,
    reason: str | None,
    known_losses: str | None,
) -> None:
    """Make a vault and say who reads what is sealed in it.

    You become its owner and first custodian. You read only if you say so.

    --continues makes a vault that takes over from another: one that was restored from a backup, or
    that lost its owner. It says in public which, from which event on, and why.
    """
    from vault import Vault
    from vault.identity import MAX_CARD_NAME

    if not readers:
        raise RefusedError(
            "Nobody would be able to open what is sealed in this vault: name its readers, "
            "--reader CARD for each card file or --reader me for yourself."
        )
    if continues is None and (because, reason, known_losses) != (None, None, None):
        raise RefusedError(
            "--because, --reason and --known-losses say why a vault takes over from another: "
            "name that one with --continues OLD."
        )
    if continues is not None and because is None:
        raise RefusedError(f"Say why it takes over, with --because {'|'.join(_REASONS)}.")
    policy = _initial(policies or "")
    fields = dict(session.circumstances)
    if title is not None:
        fields["title"] = typed_text("The title", title)
    if name is not None:
        fields["member.name"] = line("Your name", name, MAX_CARD_NAME)
    if reason is not None:
        fields["reason"] = typed_text("The reason", reason)
    if known_losses is not None:
        fields["known_losses"] = typed_text("What is lost", known_losses)
    cards = [read_card(session, Path(one)) for one in readers if one != "me"]
    old = _look_back(session, continues, because) if continues is not None else None
    identity = session.identity()
    myself = [identity] if "me" in readers else []
    with (
        session.at(place),
        Vault.create(
            place,
            identity=identity,
            readers=[*cards, *myself],
            fields=fields,
            policy=policy,
            continues=old.continuation if old is not None else None,
            state=session.home,
        ) as vault,
    ):
        names = {card.keys.ed25519: card.name for card in cards}
        _made(session, vault, place, People(vault, names), old)
        if old is not None and continues is not None:
            say_continued(old, identity.ed25519, continues, place)
        session.warn_unremembered(vault)


def _look_back(session: Session, old: Path, because: Any) -> Predecessor:
    from vault.auditing.history import look_back

    with session.at(old):
        return look_back(old, because, state=session.home)


def _initial(text: str) -> Policy:
    from vault import Policy

    return replace(Policy(), **_rules("--policy", text))


def _rules(option: str, text: str) -> dict[str, Any]:
    """Return what a text of rules sets of a policy, by field."""
    found: dict[str, Any] = {}
    for rule in filter(None, text.split(",")):
        name, _, value = rule.partition("=")
        sound = value.isascii() and value.isdigit() and len(value) < 6
        if name == "clock" and sound and 1 <= int(value) <= 86400:
            found["clock"] = int(value)
        elif rule == "two-person-destroy":
            found["two_person_destroy"] = True
        else:
            raise RefusedError(
                f"{option}: {escape(rule)!r} is neither clock=SECONDS (1 to 86400) "
                "nor two-person-destroy."
            )
    return found


def policy_text(policy: Policy) -> str:
    """Return a policy in a few words."""
    rules = [f"public times to {policy.clock} s"] if policy.clock > 1 else []
    rules += ["two persons to destroy"] if policy.two_person_destroy else []
    return ", ".join(rules) or "none"


def _made(
    session: Session, vault: Vault, place: Path, people: People, old: Predecessor | None
) -> None:
    state = vault.state
    me = vault.identity
    assert me is not None
    readers = list(state.active("reader"))
    can_read = me.ed25519 in readers
    if session.json:
        emit_json(
            {
                "vault": vault.id.hex(),
                "place": str(place),
                "owner": people.record(me.ed25519),
                "readers": [people.record(key) for key in readers],
                "can_read": can_read,
                "policy": state.policy.to_data(),
                "continues": predecessor_record(old, me.ed25519),
            }
        )
    else:
        out(vault.id.hex())
    say(
        f"A vault is in {escape(str(place))}. The line above is its id: write it on paper, and "
        "give it to its readers. Other machines need it once, with --vault-id, to write here."
    )
    say("Only these can open what is sealed in it:")
    for key in readers:
        groups = fingerprint(people.fingerprint(key)).replace("\n", "\n    ")
        other = "you" if key == me.ed25519 else "a reader"
        say(f"  {escape(people.name(key) or other)}\n    {groups}")
    if not can_read:
        say("You can't: what you seal, you can't open again, and nobody can make you.")
    say(
        "Warning: you are its only owner. If your identity is lost, nobody can be admitted or "
        "removed any more, and if its readers' are, nobody can open it. `evault admit "
        f"{escape(shlex.quote(str(place)))} CARD --role owner` makes a second owner, and --role "
        "reader a further reader."
    )


# --- policy -------------------------------------------------------------------------------------


@click.command("policy")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("rules", metavar="RULES")
@click.option("--reason", metavar="TEXT", help="Why; its readers see it.")
@circumstance_options
@vault_options
@click.pass_obj
def policy_command(session: Session, /, place: Path, rules: str, reason: str | None) -> None:
    """Change a vault's rules, as its owner, from now on.

    RULES are clock=SECONDS (public times are coarser) and two-person-destroy, with commas between.
    What is not named stays as it is. That two persons are needed to destroy can't be taken back.
    """
    changes = _rules("RULES", rules)
    if not changes:
        raise RefusedError("Name a rule: clock=SECONDS, two-person-destroy, or both with a comma.")
    fields = dict(session.circumstances)
    if reason is not None:
        fields["reason"] = typed_text("The reason", reason)
    identity = session.identity()
    with session.vault(place, identity) as vault:
        if replace(vault.state.policy, **changes) == vault.state.policy:
            raise RefusedError("Those are the rules already. Nothing was done.")
        draft = vault.draft(
            "vault.policy",
            data=lambda state: {"policy": replace(state.policy, **changes).to_data()},
            fields=fields,
        )
        (event,) = vault.commit(lambda: [draft])
        policy = vault.state.policy
        if session.json:
            emit_json({"vault": vault.id.hex(), "event": event.seq, "policy": policy.to_data()})
        else:
            out(str(event.seq))
    clock = f"public times to {policy.clock} s"
    persons = "two persons to destroy" if policy.two_person_destroy else "one person to destroy"
    say(f"The rules from event {event.seq} on: {clock}; {persons}.")


# --- list ---------------------------------------------------------------------------------------


@click.command("list")
@click.argument("place", metavar="VAULT", type=PATH)
@OLDER_COPY
@looking_options
@click.pass_obj
def list_command(session: Session, place: Path, older_copy: bool) -> None:
    """List the bundles of a vault.

    A reader sees titles, everybody else numbers alone. Without -i or a passphrase source nothing
    is unlocked, except that a terminal asks.
    """
    from vault.looking import fields_of

    identity = session.identity_if_any()
    with session.vault(place, identity, pinned=not older_copy) as vault:
        people = People(vault)
        bundles = sorted(vault.state.bundles.values(), key=lambda bundle: bundle.seq)
        seen = [fields_of(vault, vault.event(bundle.seq)) for bundle in bundles]
        reads = any(one.state != "sealed" for one in seen)
        if session.json:
            emit_json(
                {
                    "vault": vault.id.hex(),
                    "size": vault.size,
                    "bundles": [
                        bundle_record(bundle, one, people)
                        for bundle, one in zip(bundles, seen, strict=True)
                    ],
                }
            )
        elif bundles and reads:
            rows = [
                (
                    bundle.id.hex()[:12],
                    _minute(bundle.time),
                    *_private_cells(one),
                    size_text(bundle.size),
                    people.brief(bundle.holder),
                    _unusual(bundle),
                )
                for bundle, one in zip(bundles, seen, strict=True)
            ]
            headers = (
                "Bundle",
                "Sealed (UTC)",
                "Title",
                "Captured",
                "Items",
                "Size",
                "Holder",
                "Now",
            )
            table(headers, rows, shorten="Title")
        elif bundles:
            table(
                ("Bundle", "Sealed (UTC)", "Size", "Holder", "Now"),
                [
                    (
                        bundle.id.hex()[:12],
                        _minute(bundle.time),
                        size_text(bundle.size),
                        people.brief(bundle.holder),
                        _unusual(bundle),
                    )
                    for bundle in bundles
                ],
            )
    say(count(len(bundles), "bundle") + "." if bundles else "No bundle is sealed here yet.")
    if bundles and not reads:
        say("Titles, names and exact sizes are sealed: only a reader's identity shows them.")
    if any(one.state == "damaged" for one in seen):
        say("Some titles can't be read: files are damaged. `evault verify` says which.")


def _minute(time: int) -> str:
    return utc(time)[:16].replace("T", " ")


def _unusual(bundle: BundleState) -> str:
    now = standing(bundle)
    return "" if now == "held" else now


def _private_cells(seen: Seen) -> tuple[str, str, str]:
    if seen.state != "open":
        return f"[{seen.state}]", "", ""
    items = seen.fields.get("item_count", "")
    return escape(seen.text("title")), escape(seen.text("captured_at")), str(items)
