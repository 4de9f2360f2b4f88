"""``evault verify`` and ``evault doctor``: whether a vault is what was signed, and fit to work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.refusal import ALTERED, STATE, RefusedError
from evault_cli.render import count, emit_json, escape, pairs, progress, say, size_text, utc
from evault_cli.reports import report_record, seen_here, show_report
from evault_cli.session import (
    PATH,
    Session,
    circumstance_options,
    json_option,
    looking_options,
    read_small,
)

if TYPE_CHECKING:
    from vault import Identity, Report
    from vault.tending import Condition

__all__ = ["doctor_command", "verify_command"]

_SHOWN: Final = 20
_PERCENT: Final = re.compile(r"([1-9][0-9]?|100)%?\Z", re.ASCII)


# --- verify -------------------------------------------------------------------------------------


@click.command("verify")
@click.argument("place", metavar="VAULT", type=PATH)
@click.option("--deep", is_flag=True, help="Look inside as well, with a reader's identity.")
@click.option(
    "--since-last", is_flag=True, help="Trust this machine's last check and read what came since."
)
@click.option("--record", is_flag=True, help="Record the outcome in each bundle's chain.")
@click.option(
    "--oldest",
    metavar="PERCENT",
    help="With --record: read only the evidence of those bundles that were not checked for "
    "longest, such as 5%. The log is read whole.",
)
@click.option(
    "--checkpoint", metavar="FILE", type=PATH, help="A checkpoint of it that was kept elsewhere."
)
@click.option(
    "--history",
    metavar="OLD",
    type=PATH,
    help="A copy of the vault that this one continues: it is checked too, and the one is held "
    "against the other.",
)
@circumstance_options
@looking_options
@click.pass_context
def verify_command(
    context: click.Context,
    /,
    place: Path,
    deep: bool,
    since_last: bool,
    record: bool,
    oldest: str | None,
    checkpoint: Path | None,
    history: Path | None,
) -> None:
    """Check everything that can be checked. No key is needed, and none is asked for.

    Exit code 0: intact. 1: stored bytes differ from what was signed, or what was signed
    contradicts itself.
    """
    from vault import audit
    from vault.auditing import oldest as oldest_of

    session = context.find_object(Session)
    assert session is not None
    if record and since_last:
        raise RefusedError("--record needs a check of everything: leave --since-last out.")
    if not record:
        _check_unrecorded(session, oldest)
    share = _share(oldest) if oldest is not None else None
    kept = None
    if checkpoint is not None:
        with session.at(checkpoint):
            kept = _checkpoint(checkpoint)
    identity = session.identity() if deep or record else None
    with session.at(place), progress() as callback:
        report = audit(
            place,
            identity=identity if deep else None,
            state=session.home,
            vault_id=session.vault_id,
            checkpoint=kept,
            since_last=since_last,
            bundles=oldest_of(share) if share is not None else None,
            history=history,
            progress=callback,
        )
    if session.json:
        emit_json(report_record(report))
    else:
        show_report(report, seen_here(session, report))
    if record:
        _record(session, place, identity, report)
    # Whoever named something to hold the vault against must not be told 0 when it did not hold.
    held = all(anchor.status != "failed" for anchor in report.anchors)
    old = report.history.report if report.history is not None else None
    if report.verdict != "intact" or not held or (old is not None and old.verdict != "intact"):
        context.exit(ALTERED)


def _check_unrecorded(session: Session, oldest: str | None) -> None:
    if oldest is not None:
        raise RefusedError(
            "--oldest goes with --record: only by what is recorded does the next check go on with "
            "other bundles."
        )
    if session.circumstances:
        raise RefusedError("Nothing is recorded without --record, so there is nothing to date.")


def _share(text: str) -> int:
    found = _PERCENT.match(text.strip())
    if found is None:
        raise RefusedError(f"--oldest takes 1% to 100%, not {escape(text)!r}.")
    return int(found[1])


def _record(session: Session, place: Path, identity: Identity | None, report: Report) -> None:
    from vault.auditing.record import check_recordable, record_audit
    from vault.errors import StateError

    try:
        # Before the vault is opened, which a log that is not sound does not let happen.
        check_recordable(report)
    except StateError as error:
        say(f"Not recorded: {error.why} ({escape(error.place)}).")
        return
    with session.vault(place, identity) as vault:
        events = record_audit(vault, report, fields=session.circumstances)
    say(f"Recorded in {count(len(events), 'event')}.")


def _checkpoint(path: Path) -> bytes:
    from vault.errors import FormatError
    from vault.tlog.checkpoint import parse_signed_checkpoint

    data = read_small(path)
    try:
        parse_signed_checkpoint(data)
    except FormatError:
        raise RefusedError(
            f"{escape(str(path))} is not a checkpoint. Name the file that was kept.", STATE
        ) from None
    return data


# --- doctor -------------------------------------------------------------------------------------


@click.command("doctor")
@click.argument("place", metavar="VAULT", type=PATH)
@json_option
@click.pass_obj
def doctor_command(session: Session, place: Path) -> None:
    """Look at the medium, finish interrupted work and clear away what it left.

    Nothing of the evidence is read and no key is needed; `evault verify` checks the contents.
    """
    from vault import LocalState, LocalStore
    from vault.tending import tend

    with session.at(place), LocalStore(place) as store:
        condition = tend(store, state=LocalState(session.home))
        if session.json:
            emit_json(_condition_record(condition))
        else:
            _show_condition(condition, session)
        if condition.trouble is not None:
            raise condition.trouble


_PENDING: Final = {
    "none": "nothing is unfinished",
    "finished": "a step that was signed and interrupted is now finished",
    "not-finished": "a step is signed and not finished: it needs a medium that can be written",
    "torn": "a step was interrupted before it counted, or may not count; the next one who writes "
    "clears it away",
}
_PINS: Final = {
    "absent": "this machine has not seen the vault before",
    "damaged": "what this machine remembered can't be read: delete that file",
    "newer": "this machine has seen a newer state: this is an older copy, or one that lost what "
    "was written last",
    "older": "this machine last saw an older state, which this one continues",
    "other": "this machine has seen another history of it, as where two copies were written to: "
    "`evault verify` says more",
    "same": "this is the state that this machine saw last",
}


def _clock(condition: Condition) -> str:
    from vault.tending import EARLIEST_CLOCK

    now = utc(condition.clock)
    if condition.clock < EARLIEST_CLOCK:
        return f"{now}: that is wrong. Set the clock before anything is sealed."
    if condition.clock < condition.last_time:
        last = utc(condition.last_time)
        return f"{now}, which is before the newest event ({last}): one of the two clocks is wrong."
    return now


def _names(names: Sequence[str]) -> str:
    shown = [escape(name) for name in names[:_SHOWN]]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return "\n".join([*shown, *more]) or "nothing"


def _show_condition(condition: Condition, session: Session) -> None:
    medium = condition.medium
    free = medium["free"]
    locked = {True: "by another program now", False: "no", None: "could not be found out"}
    sessions = medium["sessions"] or 0
    rows = [
        ("Place", escape(str(medium["place"]))),
        ("File system", escape(str(medium["file_system"] or "not known"))),
        ("Free", size_text(free) if isinstance(free, int) else "not known"),
        ("Writable", "yes" if medium["writable"] else "no"),
        ("Locked", locked[medium["locked"] if isinstance(medium["locked"], bool) else None]),
        ("Clock", _clock(condition)),
        ("Unfinished", _PENDING[condition.pending]),
        ("tmp", f"{sessions} found, {condition.swept} of dead writers cleared away"),
    ]
    if medium["strangers"]:
        rows.append(("", f"{medium['strangers']} in tmp that evault did not put there"))
    if condition.trouble is None:
        done = f"{count(condition.deleted, 'file')} now" if condition.deleted else ""
        rows += [
            ("Log", count(condition.size, "event")),
            ("Deleted", done or "nothing"),
            ("To delete", _names(condition.undeleted)),
            ("Left over", _names(condition.leftovers)),
            ("This machine", f"{_PINS[condition.pin]} ({escape(str(session.home))})"),
        ]
    pairs(rows)


def _condition_record(condition: Condition) -> dict[str, object]:
    return {
        "medium": condition.medium,
        "pending": condition.pending,
        "swept": condition.swept,
        "clock": condition.clock,
        "size": condition.size,
        "last_time": condition.last_time,
        "deleted": condition.deleted,
        "undeleted": list(condition.undeleted),
        "leftovers": list(condition.leftovers),
        "pin": condition.pin,
        "trouble": condition.trouble.code if condition.trouble is not None else None,
    }
