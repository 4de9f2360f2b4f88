"""``evault show``: a vault or a bundle, as far as it is open to whoever looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.people import People, bundle_of, bundle_record, standing
from evault_cli.relating import (
    continued_record,
    continued_rows,
    later_of,
    reference_records,
    reference_rows,
    warn_of_closed,
)
from evault_cli.render import (
    count,
    emit_json,
    escape,
    out,
    pairs,
    say,
    show_value,
    size_text,
    table,
    utc,
)
from evault_cli.session import OLDER_COPY, PATH, Session, looking_options
from evault_cli.vaults import policy_text

if TYPE_CHECKING:
    from vault import BundleState, Item, Vault
    from vault.looking import Seen

__all__ = ["show_command"]


@click.command("show")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="[BUNDLE]", required=False)
@click.option(
    "--as-seized",
    is_flag=True,
    help="Show exactly what whoever finds the vault can read without any key.",
)
@OLDER_COPY
@looking_options
@click.pass_obj
def show_command(
    session: Session, place: Path, bundle: str | None, as_seized: bool, older_copy: bool
) -> None:
    """Show a vault, or one bundle: all that is public, and to a reader all fields and items.

    BUNDLE is the beginning of its id, as long as only one begins so.
    """
    if as_seized:
        from evault_cli.seizing import show_as_seized

        show_as_seized(session, place, bundle)
        return
    identity = session.identity_if_any()
    with session.vault(place, identity, pinned=not older_copy) as vault:
        if bundle is None:
            _show_vault(session, vault)
        else:
            _show_bundle(session, vault, bundle_of(vault, bundle))


def _show_vault(session: Session, vault: Vault) -> None:
    from vault.looking import fields_of
    from vault.membership import checks_of

    state = vault.state
    people = People(vault)
    checks = checks_of(vault)
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
                "continues": continued_record(genesis, seen),
                "members": [
                    {
                        **people.record(key),
                        "roles": sorted(member.roles),
                        "admitted": member.admitted,
                        "checked": _check_record(checks.get(key)),
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
    stored = sum(bundle.size for bundle in state.bundles.values())
    pairs(
        [
            ("Vault", vault.id.hex()),
            ("Title", _private(seen, "title")),
            ("Made", f"{utc(genesis.time)} by {people.shown(genesis.actor)}"),
            ("Log", f"{count(vault.size, 'event')}, root {vault.root.hex()}"),
            ("Bundles", f"{len(state.bundles)}, {size_text(stored)}"),
            ("Policy", policy_text(state.policy)),
            ("Readers' keys", count(len(state.epochs), "epoch")),
            *continued_rows(genesis, seen),
        ]
    )
    out()
    table(
        ("Member", "Roles", "Admitted", "Fingerprint compared", "Removed"),
        [
            (
                people.shown(key),
                ", ".join(sorted(member.roles)),
                f"event {member.admitted}",
                _check_text(checks.get(key)),
                f"event {member.removed}" if member.removed is not None else "",
            )
            for key, member in members
        ],
    )


_CHECKED: Final = ("how", "by", "at")


def _check_text(seen: Seen | None) -> str:
    told = [seen.text(f"fingerprint.checked_{part}") for part in _CHECKED] if seen else []
    return escape(", ".join(filter(None, told)))


def _check_record(seen: Seen | None) -> dict[str, str | None] | None:
    if seen is None:
        return None
    return {part: seen.text(f"fingerprint.checked_{part}") or None for part in _CHECKED}


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
    later = later_of(vault, bundle)
    if session.json:
        emit_json(
            {
                "vault": vault.id.hex(),
                **bundle_record(bundle, seen, people),
                "sealer": people.record(bundle.sealer),
                "items_root": bundle.items.hex(),
                "parts": [{"sha256": sha256.hex(), "size": size} for sha256, size in bundle.parts],
                "fields": {name: json_value(value) for name, value in seen.fields.items()}
                if seen.state == "open"
                else None,
                **reference_records(seen, later),
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
    rows += reference_rows(vault, seen, later)
    pairs(rows)
    warn_of_closed(vault, bundle, later)
    if bundle.destroyed is not None:
        say(f"It was destroyed, event {bundle.destroyed}, and its fields and items with it.")
        return
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


_IN_ROW: Final = frozenset(("kind", "offset", "original_name", "path", "sha256", "size"))


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
