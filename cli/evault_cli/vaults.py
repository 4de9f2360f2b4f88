"""``evault init``, ``list`` and ``show``: a vault, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evault_cli.fields import line, typed_text
from evault_cli.identities import read_card
from evault_cli.people import People, bundle_of, standing
from evault_cli.refusal import RefusedError
from evault_cli.render import (
    count,
    emit_json,
    escape,
    fingerprint,
    out,
    pairs,
    say,
    show_value,
    size_text,
    table,
    utc,
)
from evault_cli.session import PATH, Session, identity_options

if TYPE_CHECKING:
    from vault import BundleState, Item, Policy, Vault
    from vault.looking import Seen

__all__ = ["OLDER_COPY", "init_command", "list_command", "show_command"]

OLDER_COPY = click.option(
    "--older-copy", is_flag=True, help="Look although this machine has seen a newer state."
)


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
@identity_options
@click.pass_obj
def init_command(
    session: Session,
    place: Path,
    readers: tuple[str, ...],
    title: str | None,
    name: str | None,
    policies: str | None,
) -> None:
    """Make a vault and say who reads what is sealed in it.

    You become its owner and first custodian. You read only if you say so.
    """
    from vault import Vault
    from vault.identity import MAX_CARD_NAME

    if not readers:
        raise RefusedError(
            "Nobody would be able to open what is sealed in this vault: name its readers, "
            "--reader CARD for each card file or --reader me for yourself."
        )
    policy = _policy(policies or "")
    fields = {}
    if title is not None:
        fields["title"] = typed_text("The title", title)
    if name is not None:
        fields["member.name"] = line("Your name", name, MAX_CARD_NAME)
    cards = [read_card(session, Path(one)) for one in readers if one != "me"]
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
            state=session.home,
        ) as vault,
    ):
        names = {card.keys.ed25519: card.name for card in cards}
        _made(session, vault, place, People(vault, names))


def _policy(text: str) -> Policy:
    from vault import Policy

    clock, two = 1, False
    for rule in filter(None, text.split(",")):
        name, _, value = rule.partition("=")
        sound = value.isascii() and value.isdigit() and len(value) < 6
        if name == "clock" and sound and 1 <= int(value) <= 86400:
            clock = int(value)
        elif rule == "two-person-destroy":
            two = True
        else:
            raise RefusedError(
                f"--policy: {escape(rule)!r} is neither clock=SECONDS (1 to 86400) "
                "nor two-person-destroy."
            )
    return Policy(clock, two)


def _made(session: Session, vault: Vault, place: Path, people: People) -> None:
    state = vault.state
    me = vault.identity
    assert me is not None
    readers = sorted(state.active("reader"))
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
            }
        )
    else:
        out(vault.id.hex())
    say(f"A vault is in {escape(str(place))}. Write the line above on paper: it is the vault's id,")
    say("and `evault verify --vault-id` holds the vault against it.")
    say("Only these can open what is sealed in it:")
    for key in readers:
        say(f"  {people.shown(key)}  {fingerprint(people.fingerprint(key))}")
    if not can_read:
        say("You can't: what you seal, you can't open again, and nobody can make you.")
    if sum(1 for _ in state.active("owner")) == 1:
        say(
            "Warning: you are its only owner. If your identity is lost, nobody can admit or remove "
            "members."
        )


# --- list ---------------------------------------------------------------------------------------


@click.command("list")
@click.argument("place", metavar="VAULT", type=PATH)
@OLDER_COPY
@identity_options
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
                        _bundle_record(bundle, one, people)
                        for bundle, one in zip(bundles, seen, strict=True)
                    ],
                }
            )
        elif bundles and reads:
            rows = [
                (
                    bundle.id.hex()[:12],
                    utc(bundle.time),
                    *_private_cells(one),
                    size_text(bundle.size),
                    people.shown(bundle.holder),
                    standing(bundle),
                )
                for bundle, one in zip(bundles, seen, strict=True)
            ]
            headers = ("Bundle", "Sealed", "Title", "Captured", "Items", "Size", "Holder", "Now")
            table(headers, rows)
        elif bundles:
            table(
                ("Bundle", "Sealed", "Size", "Holder", "Now"),
                [
                    (
                        bundle.id.hex(),
                        utc(bundle.time),
                        size_text(bundle.size),
                        people.shown(bundle.holder),
                        standing(bundle),
                    )
                    for bundle in bundles
                ],
            )
    say(count(len(bundles), "bundle") + "." if bundles else "No bundle is sealed here yet.")
    if bundles and not reads:
        say("Titles, names and exact sizes are sealed: only a reader's identity shows them.")
    if any(one.state == "damaged" for one in seen):
        say("Some titles can't be read: files are damaged. `evault verify` says which.")


def _private_cells(seen: Seen) -> tuple[str, str, str]:
    if seen.state != "open":
        return f"[{seen.state}]", "", ""
    items = seen.fields.get("item_count", "")
    return escape(seen.text("title")), escape(seen.text("captured_at")), str(items)


def _bundle_record(bundle: BundleState, seen: Seen, people: People) -> dict[str, object]:
    return {
        "bundle": bundle.id.hex(),
        "event": bundle.seq,
        "sealed_at": utc(bundle.time),
        "size": bundle.size,
        "holder": people.record(bundle.holder),
        "now": standing(bundle),
        "private": seen.state,
        "title": seen.fields.get("title"),
        "captured_at": seen.fields.get("captured_at"),
        "items": seen.fields.get("item_count"),
    }


# --- show ---------------------------------------------------------------------------------------


@click.command("show")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="[BUNDLE]", required=False)
@OLDER_COPY
@identity_options
@click.pass_obj
def show_command(session: Session, place: Path, bundle: str | None, older_copy: bool) -> None:
    """Show a vault, or one bundle: all that is public, and to a reader all fields and items.

    BUNDLE is the beginning of its id, as long as only one begins so.
    """
    identity = session.identity_if_any()
    with session.vault(place, identity, pinned=not older_copy) as vault:
        if bundle is None:
            _show_vault(session, vault)
        else:
            _show_bundle(session, vault, bundle_of(vault, bundle))


def _show_vault(session: Session, vault: Vault) -> None:
    from vault.looking import fields_of

    state = vault.state
    people = People(vault)
    genesis = vault.event(0)
    seen = fields_of(vault, genesis)
    members = sorted(state.members.items(), key=lambda item: item[1].admitted)
    if session.json:
        emit_json(
            {
                "vault": vault.id.hex(),
                "title": seen.fields.get("title"),
                "made_at": utc(genesis.time),
                "size": vault.size,
                "root": vault.root.hex(),
                "bundles": len(state.bundles),
                "stored": sum(bundle.size for bundle in state.bundles.values()),
                "policy": state.policy.to_data(),
                "members": [
                    {
                        **people.record(key),
                        "roles": sorted(member.roles),
                        "admitted": member.admitted,
                        "removed": member.removed,
                    }
                    for key, member in members
                ],
                "epochs": [
                    {
                        "epoch": epoch.id.hex(),
                        "event": epoch.seq,
                        "readers": [people.record(key) for key in sorted(epoch.readers)],
                    }
                    for epoch in state.epochs.values()
                ],
            }
        )
        return
    rules = [f"public times to {state.policy.clock} s"] if state.policy.clock > 1 else []
    rules += ["two persons to destroy"] if state.policy.two_person_destroy else []
    stored = sum(bundle.size for bundle in state.bundles.values())
    pairs(
        [
            ("Vault", vault.id.hex()),
            ("Title", _private(seen, "title")),
            ("Made", f"{utc(genesis.time)} by {people.shown(genesis.actor)}"),
            ("Log", f"{count(vault.size, 'event')}, root {vault.root.hex()}"),
            ("Bundles", f"{len(state.bundles)}, {size_text(stored)}"),
            ("Policy", ", ".join(rules) or "none"),
            ("Readers' keys", count(len(state.epochs), "epoch")),
        ]
    )
    out()
    table(
        ("Member", "Roles", "Admitted", "Removed"),
        [
            (
                people.shown(key),
                ", ".join(sorted(member.roles)),
                f"event {member.admitted}",
                f"event {member.removed}" if member.removed is not None else "",
            )
            for key, member in members
        ],
    )


def _private(seen: Seen, name: str) -> str:
    if seen.state != "open":
        return f"[{seen.state}]"
    return show_value(seen.fields[name]) if name in seen.fields else ""


def _show_bundle(session: Session, vault: Vault, bundle: BundleState) -> None:
    from vault.extracting import json_value
    from vault.looking import fields_of, items_of

    people = People(vault)
    event = vault.event(bundle.seq)
    seen = fields_of(vault, event)
    items = items_of(vault, bundle.id)
    if session.json:
        emit_json(
            {
                "vault": vault.id.hex(),
                **_bundle_record(bundle, seen, people),
                "sealer": people.record(bundle.sealer),
                "items_root": bundle.items.hex(),
                "parts": [{"sha256": sha256.hex(), "size": size} for sha256, size in bundle.parts],
                "fields": {name: json_value(value) for name, value in seen.fields.items()}
                if seen.state == "open"
                else None,
                "item_fields": [_item_record(item) for item in items]
                if items is not None
                else None,
            }
        )
        return
    rows = [
        ("Bundle", bundle.id.hex()),
        ("Sealed", f"{utc(bundle.time)} by {people.shown(bundle.sealer)}, event {bundle.seq}"),
        ("Holder", people.shown(bundle.holder)),
        ("Now", standing(bundle)),
        ("Stored", f"{size_text(bundle.size)} in {count(len(bundle.parts), 'part')}"),
        ("Items root", bundle.items.hex()),
        *(
            (f"Part {number}", f"sha256 {sha256.hex()}, {size_text(size)}")
            for number, (sha256, size) in enumerate(bundle.parts)
        ),
    ]
    rows += [(escape(name), show_value(value)) for name, value in seen.fields.items()]
    pairs(rows)
    if items is None:
        say("Fields and items are sealed: only a reader's identity shows them.")
        return
    out()
    table(("Item", "Name", "Kind", "Size", "SHA-256"), [_item_row(item) for item in items])
    for item in items:
        further = [
            (f"  {escape(name)}", show_value(value))
            for name, value in item.values.items()
            if name not in _IN_ROW
        ]
        if further:
            out()
            out(f"Item {item.number}")
            pairs(further)


_IN_ROW = frozenset(("kind", "offset", "original_name", "path", "sha256", "size"))


def _item_row(item: Item) -> tuple[str, str, str, str, str]:
    values = item.values
    name, size, sha256 = (values.get(key) for key in ("original_name", "size", "sha256"))
    return (
        str(item.number),
        escape(show_value(name)) if name is not None else "",
        str(values.get("kind", "")),
        size_text(size) if isinstance(size, int) else "",
        sha256.hex() if isinstance(sha256, bytes) else "",
    )


def _item_record(item: Item) -> dict[str, object]:
    from vault.extracting import json_value

    values = {name: json_value(value) for name, value in item.values.items()}
    sha256 = item.values.get("sha256")
    if isinstance(sha256, bytes):
        values["sha256"] = sha256.hex()
    return {"number": item.number, **values}
