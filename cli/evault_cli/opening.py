"""``evault open``: a bundle into a new folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.fields import line
from evault_cli.people import bundle_of
from evault_cli.refusal import MEDIUM, RefusedError
from evault_cli.render import count, emit_json, escape, out, progress, say, show_value, size_text
from evault_cli.session import PATH, Session, circumstance_options, vault_options
from evault_cli.words import CHANGES

if TYPE_CHECKING:
    from vault import Vault
    from vault.codec import Packable

__all__ = ["open_command"]

_MAX_PURPOSE: Final = 4096
_NO_PURPOSE: Final = "not stated"
_SHOWN: Final = 20


def _check_content(vault: Vault, bundle: bytes, numbers: Iterable[int]) -> None:
    """Refuse items of which none has content, before anything of them is recorded."""
    with vault.read(bundle) as looked:
        items = [looked.item(number) for number in numbers]
    if any(item.stored is not None for item in items):
        return
    item = items[0]
    because = item.values.get("omitted_because")
    why = (
        f"it was omitted ({escape(show_value(because))})"
        if because is not None
        else "only its SHA-256 was sealed"
    )
    raise RefusedError(f"Item {item.number} has no content: {why}. Nothing was opened.")


@click.command("open")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="BUNDLE")
@click.option(
    "-o", "--output", type=PATH, metavar="DIR", required=True, help="The new folder to write."
)
@click.option(
    "--item",
    "items",
    type=click.IntRange(min=0),
    metavar="N",
    multiple=True,
    help="Only this item; may be repeated.",
)
@click.option("--purpose", metavar="TEXT", help="What for; it is recorded before the first byte.")
@click.option(
    "--use", metavar="USE", help="The use it is put to, where consent is limited to some uses."
)
@click.option(
    "--authority",
    metavar="TEXT",
    help="What stands above consent, such as a court's order; it is recorded.",
)
@click.option(
    "--unrecorded",
    is_flag=True,
    help="For a copy or a read-only medium: record nothing in the vault, and write a signed record "
    "of the opening into DIR.",
)
@circumstance_options
@vault_options
@click.pass_obj
def open_command(
    session: Session,
    place: Path,
    bundle: str,
    output: Path,
    items: tuple[int, ...],
    purpose: str | None,
    use: str | None,
    authority: str | None,
    unrecorded: bool,
) -> None:
    """Open a bundle into a new folder: DIR/files and DIR/record.json.

    Opening is an event of the chain of custody, so it needs a purpose. Every file is checked
    against the digest that was sealed; after an error nothing is left. What those who gave the
    evidence have consented to counts, unless an authority stands above it.
    """
    from vault.extracting import extract

    if purpose is None and not unrecorded:
        raise RefusedError(
            "Say what the bundle is opened for with --purpose TEXT, which the vault records; or, "
            "for a copy or a read-only medium, use --unrecorded."
        )
    if unrecorded and session.circumstances:
        raise RefusedError("--unrecorded writes no event, so nothing can be said of when it was.")
    purpose = line("The purpose", purpose, _MAX_PURPOSE) if purpose is not None else _NO_PURPOSE
    stated = {"use": use, "authority": authority}
    fields: dict[str, Packable] = {
        name: line(f"--{name}", text, _MAX_PURPOSE)
        for name, text in stated.items()
        if text is not None
    }
    identity = session.identity()
    # A copy may well be older than what this machine has seen.
    with session.vault(place, identity, pinned=not unrecorded) as vault:
        known = bundle_of(vault, bundle)
        if not unrecorded and not vault.store.writable():
            raise RefusedError(
                f"{escape(str(place))} can't be written, so the opening can't be recorded there. "
                "Nothing was opened. Use --unrecorded: a signed record then lies in DIR.",
                MEDIUM,
            )
        if items:
            _check_content(vault, known.id, items)
        with progress() as callback:
            opened = extract(
                vault,
                known.id,
                output,
                items=items,
                purpose=purpose,
                fields={**fields, **session.circumstances},
                recorded=not unrecorded,
                progress=callback,
            )
        renamed = {number: name for number, name in opened.names.items() if name.changes}
        if session.json:
            emit_json(
                {
                    "vault": vault.id.hex(),
                    "bundle": known.id.hex(),
                    "output": opened.path,
                    "files": len(opened.names),
                    "size": opened.size,
                    "recorded": opened.recorded,
                    "renamed": len(renamed),
                }
            )
        else:
            out(opened.path)
    say(
        f"Opened {count(len(opened.names), 'file')} ({size_text(opened.size)}); "
        "all have the SHA-256 that was sealed. record.json lists every field."
    )
    absent = len(opened.items) - len(opened.names)
    if absent:
        say(f"{count(absent, 'item')} without content here: record.json says what and why.")
    for number, name in list(renamed.items())[:_SHOWN]:
        why = "; ".join(CHANGES[change] for change in name.changes)
        say(f"Renamed: item {number} is files/{escape(name.path)}: {why}.")
    if len(renamed) > _SHOWN:
        say(f"{len(renamed) - _SHOWN} more were renamed: record.json lists them.")
    if unrecorded:
        say("Nothing was recorded in the vault. access-record.txt states this opening, signed.")
    else:
        say("The opening is recorded in the vault.")
