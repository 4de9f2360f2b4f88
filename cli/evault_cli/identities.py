"""``evault identity`` and ``evault card``: who one is, and what others need to know of it."""

from __future__ import annotations

import errno
import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli import prompt
from evault_cli.fields import line
from evault_cli.refusal import RefusedError
from evault_cli.render import emit_json, escape, fingerprint, pairs, qr, say
from evault_cli.session import PATH, Session, identity_options, read_small

if TYPE_CHECKING:
    from vault import Card, Identity

__all__ = ["card_command", "identity_command", "read_card"]

_PICTURES: Final = frozenset((".png", ".svg"))
_MODULE: Final = 8
"""Pixels to the side of a module of a QR code."""
_BORDER: Final = 4
"""Modules around it (ISO/IEC 18004)."""

_WORK_FACTOR = click.option(
    "--work-factor",
    type=click.IntRange(10, 20),
    default=18,
    show_default=True,
    metavar="N",
    help="How hard the passphrase is to guess: 2^N KiB of memory for each try.",
)


@click.group("identity", no_args_is_help=True)
def identity_command() -> None:
    """Make, show and protect your identity: one secret, under a passphrase."""


@identity_command.command("new")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", help="Where to (otherwise where it is looked for)."
)
@_WORK_FACTOR
@identity_options
@click.pass_obj
def new(session: Session, output: Path | None, work_factor: int) -> None:
    """Make an identity, and its file under a passphrase. Nothing is overwritten."""
    from vault import Identity, format_identity_file
    from vault.storage.single import write_file

    path = output or session.identity_file
    if path.is_symlink() or path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with session.given_passphrase() or prompt.new_passphrase() as passphrase:
        identity = session.keep(Identity.generate())
        if output is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, format_identity_file(identity, passphrase, work_factor))
    _done(session, path, identity)
    say(
        f"Your identity is in {escape(str(path))}. Keep a copy of it, and the passphrase elsewhere:"
    )
    say("without both nobody opens what is sealed to you. `evault card` writes what others need.")


def _done(session: Session, path: Path, identity: Identity) -> None:
    digest = identity.keys.fingerprint
    if session.json:
        emit_json({"identity": str(path), "fingerprint": digest.hex()})
    else:
        pairs([("Fingerprint", fingerprint(digest))])


@identity_command.command("show")
@identity_options
@click.pass_obj
def show(session: Session) -> None:
    """Show the fingerprint and the public keys."""
    identity = session.identity()
    keys = identity.keys
    if session.json:
        emit_json(
            {
                "identity": str(session.identity_file),
                "fingerprint": keys.fingerprint.hex(),
                "ed25519": keys.ed25519.hex(),
                "ml_dsa_44": keys.ml_dsa_44.hex(),
                "age": keys.recipient.to_string(),
            }
        )
        return
    pairs(
        [
            ("Identity file", escape(str(session.identity_file))),
            ("Fingerprint", fingerprint(keys.fingerprint)),
            ("Ed25519 key", keys.ed25519.hex()),
            ("age recipient", keys.recipient.to_string()),
        ]
    )


@identity_command.command("protect")
@click.option(
    "--new-passphrase-file", type=PATH, metavar="FILE", help="Read the new passphrase from a file."
)
@click.option(
    "--new-passphrase-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the new passphrase from this open file descriptor.",
)
@_WORK_FACTOR
@identity_options
@click.pass_obj
def protect(
    session: Session,
    new_passphrase_file: Path | None,
    new_passphrase_fd: int | None,
    work_factor: int,
) -> None:
    """Change the passphrase. The old file stays until the new one is safely written."""
    from vault import format_identity_file, parse_identity_file
    from vault.storage.single import write_file

    identity = session.identity()
    if new_passphrase_file is not None and new_passphrase_fd is not None:
        raise RefusedError("--new-passphrase-file and --new-passphrase-fd exclude each other.")
    if new_passphrase_fd is not None:
        passphrase = prompt.read_passphrase_fd(new_passphrase_fd)
    elif new_passphrase_file is not None:
        passphrase = prompt.read_passphrase_file(new_passphrase_file)
    else:
        passphrase = prompt.new_passphrase()
    path = session.identity_file
    with passphrase:
        data = format_identity_file(identity, passphrase, work_factor)
        # What can't be opened again must not replace what can.
        session.keep(parse_identity_file(data, passphrase))
    write_file(path.resolve(), data, replace=True)
    _done(session, path, identity)
    say(f"The passphrase of {escape(str(path))} is changed. Copies made before keep the old one.")


@click.command("card")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Write to a new file.")
@click.option("--name", metavar="NAME", help="The name on the card; asked for at a terminal.")
@click.option(
    "--qr",
    "picture",
    type=PATH,
    metavar="FILE.svg|FILE.png",
    help="Write the QR code to a new picture.",
)
@identity_options
@click.pass_obj
def card_command(
    session: Session, output: Path | None, name: str | None, picture: Path | None
) -> None:
    """Write your card: name, public keys, and the proof that they are yours.

    Give it to whoever makes a vault that you shall read, and let them compare the fingerprint by
    voice: sixteen groups of four digits. The QR code holds the same fingerprint and nothing else,
    as 64 hexadecimal digits in capitals: neither your name nor your keys.
    """
    from vault.identity import MAX_CARD_NAME
    from vault.storage.single import write_file

    if name is None:
        if not prompt.can_ask():
            raise RefusedError("A card needs a name: give it with --name NAME.")
        name = click.prompt("Name on the card", err=True)
    name = line("The name", name, MAX_CARD_NAME)
    if picture is not None:
        _check_picture(picture, output)
    identity = session.identity()
    card = identity.card(name, datetime.now(UTC).date())
    digest = identity.keys.fingerprint
    text = digest.hex().upper()
    if output is not None:
        write_file(output, card.raw)
    if picture is not None:
        write_file(picture, _picture(text, picture.suffix.lower()))
    if session.json:
        emit_json(
            {
                "name": card.name,
                "created": card.created,
                "fingerprint": digest.hex(),
                "file": str(output) if output is not None else None,
                "qr": str(picture) if picture is not None else None,
                "card": card.raw.decode("utf-8"),
            }
        )
    elif output is None:
        # Its bytes, whatever the terminal's character set: one that is changed is no card.
        sys.stdout.flush()
        sys.stdout.buffer.write(card.raw)
        sys.stdout.buffer.flush()
    else:
        say(f"The card is in {escape(str(output))}.")
    say("Fingerprint, to be read aloud:")
    say(fingerprint(digest))
    qr(text, sys.stderr)
    if picture is not None:
        say(f"Its QR code is in {escape(str(picture))}.")


def _check_picture(path: Path, card: Path | None) -> None:
    """Refuse what can't be written, before anything is: nobody wants half of it."""
    if path.suffix.lower() not in _PICTURES:
        raise RefusedError(
            f"{escape(str(path))}: --qr writes SVG or PNG. Name a file that ends in .svg or .png."
        )
    if card is not None and card.absolute() == path.absolute():
        raise RefusedError("The card and its QR code can't go to one file: name another.")
    for one in (card, path):
        if one is not None and (one.is_symlink() or one.exists()):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(one))


def _picture(text: str, suffix: str) -> bytes:
    import segno

    data = io.BytesIO()
    code = segno.make(text, micro=False)
    # A ground of its own: on a dark page many cameras do not read what has none.
    code.save(data, kind=suffix.removeprefix("."), scale=_MODULE, border=_BORDER, light="#fff")
    return data.getvalue()


def read_card(session: Session, path: Path) -> Card:
    """Read and check a card."""
    from vault import parse_card

    with session.at(path):
        return parse_card(read_small(path))
