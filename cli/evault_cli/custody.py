"""``evault note``: what is said about a bundle or a vault."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evault_cli.fields import typed_text
from evault_cli.people import bundle_of
from evault_cli.prompt import can_ask
from evault_cli.refusal import RefusedError
from evault_cli.render import emit_json, out, say
from evault_cli.session import PATH, Session, circumstance_options, vault_options

__all__ = ["note_command"]


@click.command("note")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("bundle", metavar="[BUNDLE]", required=False)
@click.option("--text", metavar="TEXT|-", required=True, help="The note; - reads standard input.")
@circumstance_options
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
    fields = {"text": text, **session.circumstances}
    with session.vault(place, identity) as vault:
        if bundle is None:
            event = vault.append("vault.noted", fields=fields)
        else:
            known = bundle_of(vault, bundle)
            event = vault.append("bundle.noted", bundle=known.id, fields=fields)
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
