"""``evault show --as-seized`` and ``evault forget``: what others find, what this machine keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from evault_cli import prompt
from evault_cli.exposure_words import OUT_OF_REACH
from evault_cli.fields import digest
from evault_cli.refusal import MEDIUM, STATE, RefusedError
from evault_cli.render import count, emit_json, escape, out, say, utc
from evault_cli.session import PATH, Session, json_option, read_small

if TYPE_CHECKING:
    from vault import LocalState
    from vault.localstate import Forgotten

__all__ = ["forget_command", "show_as_seized"]

_WORD: Final = "forget"
_ONLY_HERE: Final = {
    "identity_path": "-i",
    "passphrase_file": "--passphrase-file",
    "passphrase_fd": "--passphrase-fd",
}


# --- show --as-seized ---------------------------------------------------------------------------


def show_as_seized(session: Session, place: Path, bundle: str | None) -> None:
    """Show what a finder without keys can read."""
    from evault_cli.exposure import print_exposure
    from evault_cli.exposure_record import emit_exposure
    from vault import LocalState, LocalStore
    from vault.exposed import exposed

    _refuse_keys(session, bundle)
    with session.at(place), LocalStore(place) as store:
        found = exposed(store)
    vault = found.history.vault
    ids = (vault,) if vault is not None else ()
    traces = LocalState(session.home).traces(*ids, identity=session.identity_file)
    if session.json:
        emit_exposure(found, _machine_record(session, traces))
    else:
        print_exposure(found, session.home, traces)


def _refuse_keys(session: Session, bundle: str | None) -> None:
    context = click.get_current_context()
    for name, option in _ONLY_HERE.items():
        # One that the environment names is not used either, but nobody asked for it here.
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise RefusedError(f"--as-seized shows what shows without a key: leave {option} out.")
    if bundle is not None:
        raise RefusedError("--as-seized shows the whole vault: leave BUNDLE out.")
    if session.vault_id is not None:
        raise RefusedError("--as-seized shows whatever lies there: leave --vault-id out.")


def _machine_record(session: Session, traces: tuple[Path, ...]) -> dict[str, object]:
    return {
        "home": str(session.home),
        "identity": str(session.identity_file) if session.identity_file in traces else None,
        "files": [_trace_record(path) for path in traces],
    }


def _trace_record(path: Path) -> dict[str, object]:
    info = path.lstat()
    return {"path": str(path), "size": info.st_size, "modified": utc(int(info.st_mtime))}


# --- forget -------------------------------------------------------------------------------------


@click.command("forget")
@click.argument("place", metavar="[VAULT]", type=PATH, required=False)
@click.option("--vault-id", metavar="HEX", help="The vault's id, where the vault itself is gone.")
@click.option("--all", "every", is_flag=True, help="Every vault that this machine remembers.")
@click.option("--keep-identity", is_flag=True, help="Leave the identity file where it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.option(
    "-i",
    "--identity",
    "identity_path",
    type=PATH,
    metavar="FILE",
    envvar="EVAULT_IDENTITY",
    show_envvar=True,
    help="The identity file to remove (otherwise identity.age in EVAULT_HOME).",
)
@click.pass_context
def forget_command(
    context: click.Context,
    place: Path | None,
    vault_id: str | None,
    every: bool,
    keep_identity: bool,
    yes: bool,
    identity_path: Path | None,
) -> None:
    """Remove what this machine keeps of a vault, and the identity file. Needs no passphrase.

    Without another copy of the identity, or enough recovery sheets, nobody ever opens what was
    sealed to it. The vault itself stays as it is.
    """
    from vault import LocalState

    session = context.find_object(Session)
    assert session is not None
    vaults = _named(session, place, vault_id, every)
    identity = None if keep_identity else identity_path or session.home / "identity.age"
    if identity is not None and identity_path is not None:
        _check_identity(identity)
    state = LocalState(session.home)
    traces = state.traces(*vaults, every=every, identity=identity)
    if traces and not yes:
        _confirm(traces, identity, _others(state, vaults, every))
    forgotten = state.forget(*vaults, every=every, identity=identity)
    _report(session, forgotten)
    usual = session.home / "identity.age"
    if identity not in (None, usual) and usual.exists():
        say(f"Still there, for another one was named: {escape(str(usual))}.")
    if forgotten.failed:
        context.exit(MEDIUM)


def _named(
    session: Session, place: Path | None, vault_id: str | None, every: bool
) -> tuple[bytes, ...]:
    """Return the ids of the vaults that are meant; none with --all."""
    if sum((place is not None, vault_id is not None, every)) != 1:
        raise RefusedError("Name what to forget: VAULT, or --vault-id HEX, or --all.")
    if vault_id is not None:
        return (digest("--vault-id", vault_id),)
    return _ids_at(session, place) if place is not None else ()


def _ids_at(session: Session, place: Path) -> tuple[bytes, ...]:
    from vault import LocalStore
    from vault.exposed import vault_ids

    shown = escape(str(place))
    if not place.is_dir():
        raise RefusedError(
            f"{shown} is not there. Nothing was removed. Name the vault by its id (--vault-id "
            "HEX), or all that this machine remembers (--all)."
        )
    with session.at(place), LocalStore(place) as store:
        found = vault_ids(store)
    if not found:
        raise RefusedError(
            f"{shown} does not say which vault it is. Nothing was removed. Name the vault by its "
            "id (--vault-id HEX), or all that this machine remembers (--all).",
            STATE,
        )
    if len(found) > 1:
        ids = " and ".join(one.hex() for one in found)
        raise RefusedError(
            f"{shown} holds what belongs to several vaults: {ids}. Nothing was removed. Name the "
            "one that is meant by its id (--vault-id HEX).",
            STATE,
        )
    return found


def _check_identity(path: Path) -> None:
    """Refuse a file that a slip of the hand could have named: what is removed can't be had back."""
    from vault.age.armor import is_armored

    if path.is_file():
        start = read_small(path)
        # One that was overwritten, and could not be removed then, is removed now.
        if not is_armored(start) and start.strip(b"\0"):
            raise RefusedError(
                f"{escape(str(path))} is no identity file. Nothing was removed; name yours with "
                "-i FILE, or leave it out."
            )


def _others(state: LocalState, vaults: tuple[bytes, ...], every: bool) -> int:
    return 0 if every else len(set(state.remembered()) - set(vaults))


def _confirm(traces: tuple[Path, ...], identity: Path | None, others: int) -> None:
    if not prompt.can_ask():
        raise RefusedError(
            "There is no terminal to ask at. Nothing was removed. --yes removes without asking."
        )
    say("This will be removed from this machine:")
    for path in traces:
        say(f"    {escape(str(path))}")
    if identity in traces:
        say(
            "Without another copy of the identity, or enough recovery sheets, nobody ever opens "
            "what was sealed to it."
        )
        if others:
            also = count(others, "other vault")
            say(f"This machine remembers {also}: the identity is gone for them as well.")
    typed = click.prompt(
        f"Type {_WORD} to remove it", default="", show_default=False, err=True, type=str
    )
    if typed.strip() != _WORD:
        raise RefusedError("Nothing was removed.")


def _report(session: Session, forgotten: Forgotten) -> None:
    if session.json:
        emit_json(
            {
                "removed": list(forgotten.removed),
                "failed": [{"path": path, "why": why} for path, why in forgotten.failed],
                "out_of_reach": [*OUT_OF_REACH],
            }
        )
    else:
        for path in forgotten.removed:
            out(escape(path))
    if not forgotten.removed and not forgotten.failed:
        say("Nothing to forget.")
        return
    if forgotten.removed:
        say(f"Removed: {count(len(forgotten.removed), 'file or folder', 'files and folders')}.")
    for path, why in forgotten.failed:
        say(f"NOT removed: {escape(path)} ({escape(why)}).")
    say("Not reached:")
    for text in OUT_OF_REACH.values():
        say(f"- {text}.")
