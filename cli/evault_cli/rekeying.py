"""``evault rekey``: encrypt again what earlier readers' keys open, and let those keys go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli import prompt
from evault_cli.many import VAULT, stated
from evault_cli.refusal import ALTERED, MEDIUM, RefusedError
from evault_cli.render import count, emit_json, escape, out, pairs, progress, say, table
from evault_cli.session import Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault import Event, Vault
    from vault.codec import Packable
    from vault.deletion import Deletion
    from vault.rekeying import NextStep, Shredding, ShredStep, Standing, Trouble

__all__ = ["rekey_command"]

_MOST_SHOWN: Final = 10
_TYPED: Final = 8
_NEXT: Final[dict[NextStep | ShredStep, str]] = {
    "rekey": "A reader encrypts them again: `evault rekey VAULT`.",
    "confirm": "Another reader opens the new files: `evault rekey VAULT --confirm`.",
    "prune": "A reader deletes the old files: `evault rekey VAULT --prune`.",
    "grant": "A reader opens the earlier bundles to those readers, `evault grant VAULT MEMBER`; "
    "then `evault rekey VAULT`.",
    "restore": "A list of new files is damaged: `evault verify` says which; put it back from a "
    "good copy of this vault.",
    "nothing": "Nothing is left to do.",
    "done": "Nothing is left to do.",
}


@click.command("rekey")
@VAULT
@click.option("--confirm", "step", flag_value="confirm", help="Open what another encrypted again.")
@click.option("--prune", "step", flag_value="prune", help="Delete the old files.")
@click.option("--status", "step", flag_value="status", help="Only say where it stands.")
@click.option("--shred-epoch", "epoch", metavar="EPOCH", help="Let a readers' key go, as an owner.")
@click.option("--reason", metavar="TEXT", help="Why; for readers only.")
@click.option("--yes", is_flag=True, help="With --shred-epoch: do not ask before the key goes.")
@circumstance_options
@vault_options
@click.pass_obj
def rekey_command(
    session: Session,
    path: Path,
    step: str | None,
    epoch: str | None,
    reason: str | None,
    yes: bool,
) -> None:
    """Encrypt keys and private fields again, to the newest readers' key. Evidence stays as it is.

    After a reader has left, or a bundle was destroyed, copies of old files still open with the
    readers' key of then. To end that: a reader encrypts again, another confirms the new files, the
    old ones are pruned, and an owner shreds the old key. Each step may be interrupted and repeated;
    --status says which comes next, and --shred-epoch takes it if it is the owner's.
    """
    if epoch is not None and step is not None:
        raise RefusedError(f"--{step} and --shred-epoch exclude each other.")
    if yes and epoch is None:
        raise RefusedError("--yes goes with --shred-epoch.")
    fields = stated(session, {"reason": reason})
    if step == "status" and fields:
        raise RefusedError("--status only looks and records nothing: leave out what is to be kept.")
    if step == "status":
        identity = session.identity_if_any()
    else:
        identity = session.identity()
    with session.vault(path, identity) as vault:
        if step == "status":
            _status(session, vault)
        elif step == "confirm":
            _confirm(session, vault, fields)
        elif step == "prune":
            _prune(session, vault, fields)
        elif epoch is not None:
            _shred(session, vault, epoch.strip().lower(), fields, yes=yes)
        else:
            _rekey(session, vault, fields)


# --- the steps ------------------------------------------------------------------------------------


def _rekey(session: Session, vault: Vault, fields: dict[str, Packable]) -> None:
    from vault.rekeying import rekey

    with progress() as callback:
        done = rekey(vault, fields=fields, progress=callback)
    stand = _emit_standing(
        session,
        vault,
        done.events,
        files=done.files,
        closed=list(done.closed),
        damaged=_troubles(done.damaged),
        cleared=done.cleared,
    )
    if done.files:
        say(f"Encrypted again: {count(done.files, 'file')}. The old ones are still there.")
    elif not (done.closed or done.damaged):
        say("Nothing to encrypt again: all is for the newest readers' key.")
    if done.closed:
        say(
            f"Left unchanged: {count(len(done.closed), 'file')} that not every reader may open "
            f"now. {session.filled(_NEXT['grant'])}"
        )
    if done.damaged:
        _refuse(done.damaged, "damaged, and left unchanged", _DAMAGED)
    _say_next(session, stand.next)


def _confirm(session: Session, vault: Vault, fields: dict[str, Packable]) -> None:
    from vault.rekeying import confirm

    with progress() as callback:
        done = confirm(vault, fields=fields, progress=callback)
    stand = _emit_standing(
        session,
        vault,
        done.events,
        files=done.files,
        bad=_troubles(done.bad),
        own=len(done.own),
    )
    if done.bad:
        _refuse(done.bad, "with faults, so nothing was confirmed", session.filled(_MEND))
    if done.events:
        say(f"Confirmed: {count(done.files, 'new file')} opened, and all are right.")
    elif done.own:
        say("What waits is your own: another reader has to confirm it.")
        return
    else:
        say("There is nothing to confirm.")
    _say_next(session, stand.next)


def _prune(session: Session, vault: Vault, fields: dict[str, Packable]) -> None:
    from vault.rekeying import prune

    with progress() as callback:
        done = prune(vault, fields=fields, progress=callback)
    stand = _emit_standing(
        session,
        vault,
        done.events,
        deleted=done.deletion.deleted,
        undeleted=list(done.deletion.undone),
        bad=_troubles(done.bad),
        closed=list(done.closed),
        unconfirmed=len(done.unconfirmed),
    )
    if done.deletion.deleted:
        say(f"Deleted: {count(done.deletion.deleted, 'old file')}.")
    elif not (done.bad or done.closed or done.unconfirmed or done.deletion.undone):
        say("There is nothing to delete.")
    if done.closed:
        say(
            f"Old files were left, of {count(len(done.closed), 'new file')} closed to you: "
            "another reader, to whom these are open, deletes the old ones."
        )
    _check_deleted(done.deletion, done.events)
    if done.bad:
        _refuse(done.bad, "with faults, so that no old file was deleted", session.filled(_MEND))
    _say_next(session, stand.next)


def _shred(
    session: Session, vault: Vault, prefix: str, fields: dict[str, Packable], *, yes: bool
) -> None:
    from vault.rekeying import epoch_of, shred

    epoch = epoch_of(vault, prefix).id
    done = shred(vault, epoch, fields=fields, last=yes)
    if done.next == "done" and done.deletion is None:
        _ask(epoch, done)
        done = replace(shred(vault, epoch, fields=fields), opened=done.opened)
    events = [event for event in (done.opened, done.event) if event is not None]
    deletion = done.deletion
    _emit(
        session,
        vault,
        events,
        epochs=[epoch.hex() for epoch in done.epochs],
        files=done.files,
        deleted=deletion.deleted if deletion is not None else 0,
        undeleted=list(deletion.undone) if deletion is not None else [],
        next=done.next,
    )
    if done.opened is not None:
        say(
            f"A new readers' key was made, event {done.opened.seq}; it opens nothing that was "
            "sealed before."
        )
    if len(done.epochs) > 1:
        say("These go together, as their files open one another: "
            + ", ".join(epoch.hex() for epoch in done.epochs) + ".")  # fmt: skip
    if deletion is not None:
        _check_deleted(deletion, events)
        if done.event is None and not deletion.deleted:
            say("That readers' key is gone already.")
        else:
            say(
                "The readers' key is gone from this vault, with all that opened it. Copies of this "
                "vault, and of that file, may still have it."
            )
        return
    waiting = f"{count(done.files, 'file')} still need it. " if done.files else ""
    again = f"Then `evault rekey VAULT --shred-epoch {epoch.hex()}` again."
    say(f"Not shredded yet. {waiting}{session.filled(f'{_NEXT[done.next]} {again}')}")


def _ask(epoch: bytes, done: Shredding) -> None:
    opened = f" A new readers' key was made, event {done.opened.seq}." if done.opened else ""
    if not prompt.can_ask():
        raise RefusedError(
            "All is ready. Destroying a readers' key can't be undone, and there is no terminal to "
            f"ask at: add --yes to do it. Nothing was destroyed.{opened}"
        )
    say(f"This destroys readers' key {epoch.hex()}. Nobody can take it back.")
    others = [one.hex() for one in done.epochs if one != epoch]
    if others:
        say(f"With it go: {', '.join(others)}.")
    if not prompt.typed(epoch.hex()[:_TYPED]):
        raise RefusedError(f"Those are not its digits. Nothing was destroyed.{opened}")


def _check_deleted(deletion: Deletion, events: Sequence[Event]) -> None:
    if deletion.withheld:
        say(
            f"Not deleted: {count(len(deletion.withheld), 'file')} still needed, because something "
            "else is damaged. `evault verify` says what."
        )
    if deletion.undone:
        done = f"Done, event {events[-1].seq}; but " if events else ""
        raise RefusedError(
            f"{done}{count(len(deletion.undone), 'file')} could not be deleted yet, such as "
            f"{escape(deletion.undone[0])}. The same command again deletes them.",
            MEDIUM,
        )


# --- where it stands ------------------------------------------------------------------------------


def _status(session: Session, vault: Vault) -> None:
    from vault.rekeying import standing

    stand = standing(vault)
    if session.json:
        emit_json(_standing_record(vault, stand))
    else:
        table(
            ("Epoch", "From event", "Readers", "Files", "Now"),
            [
                (
                    epoch.id.hex(),
                    str(epoch.seq),
                    str(epoch.readers),
                    str(epoch.files),
                    "shredded" if epoch.shredded else "newest" if epoch.id == stand.newest
                    else "opened by the newest" if epoch.held else "",
                )
                for epoch in stand.epochs
            ],
        )  # fmt: skip
        out()
        pairs(
            [
                ("To encrypt again", count(stand.due, "file")),
                ("Not open to all", count(stand.closed, "file")),
                ("To confirm", count(len(stand.unconfirmed), "rekeying")),
                ("To prune", count(len(stand.unpruned), "rekeying")),
                ("To delete", count(stand.undeleted, "file")),
            ]
        )
    _say_next(session, stand.next)


def _standing_record(vault: Vault, stand: Standing) -> dict[str, object]:
    return {
        "vault": vault.id.hex(),
        "newest": stand.newest.hex(),
        "epochs": [
            {
                "epoch": epoch.id.hex(),
                "event": epoch.seq,
                "readers": epoch.readers,
                "files": epoch.files,
                "held_by_newest": epoch.held,
                "shredded": epoch.shredded,
            }
            for epoch in stand.epochs
        ],
        "files": stand.files,
        "due": stand.due,
        "closed": stand.closed,
        "unconfirmed": [one.manifest.hex() for one in stand.unconfirmed],
        "unpruned": [one.manifest.hex() for one in stand.unpruned],
        "unread": [one.manifest.hex() for one in stand.unread],
        "undeleted": stand.undeleted,
        "next": stand.next,
    }


# --- what they share ------------------------------------------------------------------------------

_DAMAGED: Final = "Put them back from a good copy of this vault, then do it again."
_MEND: Final = "`evault rekey VAULT` encrypts them again from the old files, if these are sound."


def _emit(session: Session, vault: Vault, events: Sequence[Event], **more: object) -> None:
    if session.json:
        emit_json({"vault": vault.id.hex(), "events": [event.seq for event in events], **more})
    else:
        for event in events:
            out(str(event.seq))


def _emit_standing(
    session: Session, vault: Vault, events: Sequence[Event], **more: object
) -> Standing:
    """Emit what a step did and what comes next; return where the vault stands now."""
    from vault.rekeying import standing

    stand = standing(vault)
    _emit(session, vault, events, **more, next=stand.next)
    return stand


def _say_next(session: Session, step: NextStep) -> None:
    say(f"Next: {session.filled(_NEXT[step])}" if step != "nothing" else _NEXT[step])


def _troubles(found: Sequence[Trouble]) -> list[dict[str, object]]:
    return [{"name": one.name, "error": str(one.error)} for one in found]


def _refuse(found: Sequence[Trouble], what: str, advice: str) -> None:
    for one in found[:_MOST_SHOWN]:
        say(f"  {escape(one.name)}: {escape(str(one.error))}")
    if len(found) > _MOST_SHOWN:
        say(f"  and {len(found) - _MOST_SHOWN} more; --json lists all")
    raise RefusedError(f"{count(len(found), 'file')} {what}. {advice}", ALTERED)
