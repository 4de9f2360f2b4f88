"""``evault recover``: an identity split into shares on paper, joined again, and the rehearsal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from evault_cli import prompt
from evault_cli.fields import digest, line, typed_text
from evault_cli.refusal import RefusedError
from evault_cli.render import count, emit_json, escape, fingerprint, out, pairs, say
from evault_cli.session import (
    PATH,
    Session,
    circumstance_options,
    identity_options,
    json_option,
    read_small,
)

if TYPE_CHECKING:
    from vault.recovery import Joining

__all__ = ["recover_command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _digest(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Take 64 hexadecimal digits, with spaces as on paper; of a repeated option, each."""
    if value is None or isinstance(value, tuple):
        return value and tuple(_digest(context, option, one) for one in value)
    return digest(option.opts[0], value)


_SHARES: Final = click.option(
    "--share",
    "files",
    type=PATH,
    metavar="FILE",
    multiple=True,
    help="A share: the text of its sheet, or a file with its words. May be repeated; what is "
    "missing is typed at the terminal.",
)


@click.group("recover", no_args_is_help=True)
def recover_command() -> None:
    """Split your identity into shares on paper, join them again, prove that they still work."""


# --- split --------------------------------------------------------------------------------------


@recover_command.command("split")
@click.option(
    "-o", "--output", type=PATH, metavar="DIR", required=True, help="The new folder to write."
)
@click.option(
    "--threshold",
    type=click.IntRange(1, 16),
    default=2,
    show_default=True,
    metavar="N",
    help="How many shares are needed together.",
)
@click.option(
    "--shares",
    "number",
    type=click.IntRange(1, 16),
    default=3,
    show_default=True,
    metavar="N",
    help="How many there are, at most 16.",
)
@click.option("--name", metavar="NAME", help="Whose it is, to stand on each sheet.")
@click.option(
    "--vault",
    "places",
    type=PATH,
    metavar="VAULT",
    multiple=True,
    help="A vault that it belongs to, whose id is to stand on each sheet; may be repeated.",
)
@click.option(
    "--vault-id",
    "ids",
    metavar="HEX",
    multiple=True,
    callback=_digest,
    help="The same, by its id; may be repeated.",
)
@identity_options
@click.pass_obj
def split(
    session: Session,
    output: Path,
    threshold: int,
    number: int,
    name: str | None,
    places: tuple[Path, ...],
    ids: tuple[bytes, ...],
) -> None:
    """Write a sheet for each share, as text and as a page to print, into a new folder.

    Any so many of them give your identity back, without a passphrase; fewer tell nothing.
    """
    from vault.identity import MAX_CARD_NAME
    from vault.recovery import make_sheets, split_identity, write_sheets

    if threshold < 2:
        raise RefusedError(
            "A share that is enough by itself is your secret without its passphrase: "
            "take a --threshold of 2 or more, or keep a copy of your identity file instead."
        )
    if threshold > number:
        raise RefusedError(f"Of {count(number, 'share')}, {threshold} can't be needed.")
    name = line("The name", name, MAX_CARD_NAME) if name is not None else ""
    if output.is_symlink() or output.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(output))
    vaults = tuple(dict.fromkeys((*(_vault_id(session, place) for place in places), *ids)))
    identity = session.identity()
    shares = split_identity(identity, threshold, number)
    sheets = make_sheets(identity, shares, datetime.now(UTC).date(), name=name, vaults=vaults)
    written = write_sheets(output, sheets, _qr)
    digest = identity.keys.fingerprint
    if session.json:
        emit_json(
            {
                "fingerprint": digest.hex(),
                "threshold": threshold,
                "vaults": [one.hex() for one in vaults],
                "sheets": [
                    {"share": one.number, "text": one.text, "html": one.html} for one in written
                ],
            }
        )
    else:
        for one in written:
            out(escape(one.text))
            out(escape(one.html))
    say(
        f"{count(number, 'share')}, of which any {threshold} give back the identity with this "
        f"fingerprint; that was tried, and the files were read back:"
    )
    say(fingerprint(digest))
    if not vaults:
        say("No vault is named on the sheets: --vault VAULT or --vault-id HEX puts its id there.")
    say(
        "Print each sheet, give each to another keeper in another place, then delete the files. "
        "Until then this folder is your identity without its passphrase."
    )
    say(
        "Printers and their queues remember: use one that is yours, on a cable. Deleted files "
        "can be brought back from sticks, cards and SSDs: a folder in memory (/dev/shm on Linux) "
        "or on an encrypted disk is a better place for them than this device's."
    )
    say("Then try the paper, once now and once a year: `evault recover drill VAULT`.")


def _vault_id(session: Session, place: Path) -> bytes:
    with session.vault(place, None, pinned=False) as vault:
        return vault.id


def _qr(text: str) -> tuple[tuple[int, ...], ...]:
    import segno

    # A quarter of it may be folded, stained or torn.
    rows = segno.make(text, error="q", micro=False, boost_error=False).matrix
    return tuple(tuple(row) for row in rows)


# --- join ---------------------------------------------------------------------------------------


@recover_command.command("join")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", help="Where to (otherwise where it is looked for)."
)
@_SHARES
@click.option(
    "--fingerprint",
    "wanted",
    metavar="HEX",
    callback=_digest,
    help="Refuse any identity but the one with this fingerprint.",
)
@click.option(
    "--work-factor",
    type=click.IntRange(10, 20),
    default=18,
    show_default=True,
    metavar="N",
    help="How hard the passphrase is to guess: 2^N KiB of memory for each try.",
)
@identity_options
@click.pass_obj
def join(
    session: Session,
    output: Path | None,
    files: tuple[Path, ...],
    wanted: bytes | None,
    work_factor: int,
) -> None:
    """Rebuild an identity from its shares, into a new file under a new passphrase."""
    from vault import format_identity_file
    from vault.storage.single import write_file

    path = output or session.identity_file
    if path.is_symlink() or path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    joining = _collect(files)
    identity = session.keep(joining.identity(wanted))
    with session.given_passphrase() or prompt.new_passphrase() as passphrase:
        if output is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, format_identity_file(identity, passphrase, work_factor))
    digest = identity.keys.fingerprint
    if session.json:
        emit_json(
            {
                "identity": str(path),
                "fingerprint": digest.hex(),
                "shares": [share.number for share in joining.shares],
                "threshold": joining.shares[0].threshold,
            }
        )
    else:
        pairs([("Fingerprint", fingerprint(digest))])
    say(f"The identity is in {escape(str(path))}. Its fingerprint must be the one on the sheets.")
    say("Delete every file that holds a share, and put the sheets back to their keepers.")


def _collect(files: tuple[Path, ...]) -> Joining:
    """Return shares from files, and from the terminal until there are enough."""
    from vault.recovery import WORDS, Joining, parse_share_file

    joining = Joining()
    for path in files:
        joining.add(parse_share_file(read_small(path), str(path)))
    if not joining.missing or not prompt.can_ask():
        return joining
    say(
        "Type the words of a share, in their order, as many in a line as you like; the first four "
        "letters of each are enough. They do not show. Enter alone stops."
    )
    while joining.missing:
        number = len(joining.shares) + 1
        where = f"share {number} as typed"
        text = prompt.ask_text(f"Share {number}, from word {joining.next_word} of {WORDS}")
        if not text:
            raise RefusedError("The shares were not all typed. Nothing was written.")
        wrong = joining.type(text, where)
        if wrong is not None:
            say(f"{escape(wrong.where)}: {escape(wrong.why)}.")
        elif joining.next_word == 1:
            missing = joining.missing
            say(f"That is a sound share. {f'{missing} more.' if missing else 'These are enough.'}")
    return joining


# --- drill --------------------------------------------------------------------------------------


@recover_command.command("drill")
@click.argument("place", metavar="VAULT", type=PATH)
@_SHARES
@click.option("--detail", metavar="TEXT", help="Who ran it, and how; its readers see it.")
@click.option(
    "--vault-id",
    "vault_id",
    metavar="HEX",
    callback=_digest,
    help="The id on paper: needed once before this machine writes to a vault made elsewhere.",
)
@circumstance_options
@json_option
@click.pass_obj
def drill(
    session: Session,
    place: Path,
    files: tuple[Path, ...],
    detail: str | None,
    vault_id: bytes | None,
) -> None:
    """Prove that shares still give back a member's identity, and record it in the vault.

    The identity is rebuilt in memory, signs the event, and is forgotten.
    """
    from vault.recovery import drill as record_drill

    session.vault_id = vault_id
    session.check_circumstances()
    detail = typed_text("--detail", detail) if detail is not None else ""
    shares = _collect(files)
    identity = session.keep(shares.identity())
    with session.vault(place, identity) as vault:
        event = record_drill(vault, shares.shares, detail=detail, fields=session.circumstances)
        if session.json:
            emit_json(
                {
                    "vault": vault.id.hex(),
                    "event": event.seq,
                    "fingerprint": identity.keys.fingerprint.hex(),
                    "shares": [share.number for share in shares.shares],
                    "threshold": shares.shares[0].threshold,
                }
            )
        else:
            out(str(event.seq))
    say(f"These shares work. Recorded, as event {event.seq}, by the identity that they give:")
    say(fingerprint(identity.keys.fingerprint))
