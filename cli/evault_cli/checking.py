"""``evault verify`` and ``evault doctor``: whether a vault is what was signed, and fit to work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.refusal import ALTERED, STATE, RefusedError
from evault_cli.render import (
    count,
    emit_json,
    escape,
    out,
    pairs,
    paragraph,
    progress,
    say,
    size_text,
    utc,
)
from evault_cli.session import PATH, Session, json_option, looking_options, read_small
from evault_cli.words import ANCHORS, BLIND, finding

if TYPE_CHECKING:
    from vault import Finding, Identity, Report
    from vault.tending import Condition

__all__ = ["doctor_command", "verify_command"]

_SHOWN: Final = 20
"""How many places of one kind of finding are named; ``--json`` names all."""


# --- verify -------------------------------------------------------------------------------------


@click.command("verify")
@click.argument("place", metavar="VAULT", type=PATH)
@click.option("--deep", is_flag=True, help="Look inside as well, with a reader's identity.")
@click.option(
    "--since-last", is_flag=True, help="Trust this machine's last check and read what came since."
)
@click.option("--record", is_flag=True, help="Record the outcome in each bundle's chain.")
@click.option(
    "--checkpoint", metavar="FILE", type=PATH, help="A checkpoint of it that was kept elsewhere."
)
@looking_options
@click.pass_context
def verify_command(
    context: click.Context,
    place: Path,
    deep: bool,
    since_last: bool,
    record: bool,
    checkpoint: Path | None,
) -> None:
    """Check everything that can be checked. No key is needed, and none is asked for.

    Exit code 0: intact. 1: stored bytes differ from what was signed, or what was signed
    contradicts itself.
    """
    from vault import audit

    session = context.find_object(Session)
    assert session is not None
    if record and since_last:
        raise RefusedError("--record needs a check of everything: leave --since-last out.")
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
            progress=callback,
        )
    if session.json:
        emit_json(_report_record(report))
    else:
        _show_report(report, _seen(session, report))
    if record:
        _record(session, place, identity, report)
    # Whoever named something to hold the vault against must not be told 0 when it did not hold.
    if report.verdict != "intact" or any(anchor.status == "failed" for anchor in report.anchors):
        context.exit(ALTERED)


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
        events = record_audit(vault, report)
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


def _report_record(report: Report) -> dict[str, object]:
    coverage = report.coverage
    return {
        "verdict": report.verdict,
        "vault": report.vault.hex() if report.vault is not None else None,
        "size": report.size,
        "root": report.root.hex() if report.root is not None else None,
        "anchors": [
            {"kind": one.kind, "status": one.status, "detail": one.detail} for one in report.anchors
        ],
        "findings": [
            {
                "code": one.code,
                "severity": one.severity,
                "place": one.place,
                "detail": one.detail,
            }
            for one in report.findings
        ],
        "coverage": {
            "events": coverage.events,
            "files": coverage.files,
            "bytes": coverage.bytes,
            "bundles": coverage.bundles,
            "deep": coverage.deep,
            "unreadable": coverage.unreadable,
            "since": coverage.since,
            "evidence_read": coverage.evidence_read,
        },
    }


_VERDICTS: Final = {
    "intact": "Intact: everything stored is what was signed.",
    "altered": (
        "Altered: stored bytes are missing or differ from what was signed. "
        "The cause is not known; a good copy restores them."
    ),
    "contradicted": (
        "Contradicted: what was signed breaks a rule of custody, or contradicts itself or what was "
        "seen before."
    ),
}


def _anchored(report: Report) -> str:
    matched = [ANCHORS[one.kind] for one in report.anchors if one.status == "matched"]
    absent = [ANCHORS[one.kind] for one in report.anchors if one.status == "absent"]
    if not matched and all(one.status == "absent" for one in report.anchors):
        return (
            "Held against nothing outside it: an older state, or another vault in its place, would "
            "look the same."
        )
    failed = [ANCHORS[one.kind] for one in report.anchors if one.status == "failed"]
    sentences = [f"It agrees with {_listed(matched)}."] if matched else []
    sentences += [f"It does not agree with {_listed(failed)}."] if failed else []
    sentences += [f"Not held against: {_listed(absent)}."] if absent else []
    return " ".join(sentences)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _seen(session: Session, report: Report) -> int | None:
    """Return how many events this machine has seen of the vault, if it remembers."""
    from vault import LocalState
    from vault.errors import FormatError

    if report.vault is None:
        return None
    try:
        pin = LocalState(session.home).pin(report.vault)
    except (FormatError, OSError):
        return None
    return pin.checkpoint.size if pin is not None else None


def _verdict(report: Report, seen: int | None) -> str:
    """Return the first sentence: of what is most likely no harm, that it is so."""
    wrong = {(one.code, one.place) for one in report.findings if one.severity != "note"}
    contradicted = {one.code for one in report.findings if one.severity == "contradicted"}
    if wrong == {("rollback", "pin")} and seen is not None:
        return (
            "Older: everything here is what was signed, but it ends at event "
            f"{report.size - 1}; this machine has seen {count(seen, 'event')}. That is usual for a "
            "copy made earlier. If this should be the newest, something was taken away: look for "
            "the newer copy."
        )
    if contradicted == {"vault-id"} and report.vault is not None:
        only = " Nothing else is wrong with what is stored." if len(wrong) == 1 else ""
        return (
            f"Another vault: its id is {report.vault.hex()}, not the one that you gave. "
            f"Compare the digits with the paper.{only}"
        )
    return _VERDICTS[report.verdict]


def _show_report(report: Report, seen: int | None) -> None:
    coverage = report.coverage
    trusted = ""
    if coverage.since:
        read = f", last read {utc(coverage.evidence_read)}" if coverage.evidence_read else ""
        trusted = f" The first {count(coverage.since, 'event')} and their files{read}, are trusted."
    # One line where no person reads: the first alone says what was found and against what.
    paragraph(f"{_verdict(report, seen)} {_anchored(report)}{trusted}")
    out()
    pairs(
        [
            ("Vault", report.vault.hex() if report.vault is not None else "not readable"),
            ("Log", f"{count(report.size, 'event')}, root {_root(report)}"),
            ("Bundles", str(coverage.bundles)),
            ("Files read", f"{coverage.files:,}, {size_text(coverage.bytes)}"),
        ]
    )
    _show_findings(report.findings)
    out()
    if not coverage.deep:
        paragraph(BLIND)
    elif coverage.unreadable:
        paragraph(
            f"{count(coverage.unreadable, 'thing')} could not be looked into: not open to this "
            "identity."
        )
    else:
        paragraph("Everything inside was looked at too, with a reader's identity.")


def _root(report: Report) -> str:
    return report.root.hex() if report.root is not None else "not readable"


def _show_findings(findings: Iterable[Finding]) -> None:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.severity, one.code), []).append(one)
    for (severity, code), members in groups.items():
        what, advice = finding(code)
        out()
        paragraph(f"{severity.capitalize()}: {what} {advice}")
        for one in members[:_SHOWN]:
            detail = f" ({escape(one.detail)})" if one.detail else ""
            out(f"  {escape(one.place)}{detail}")
        if len(members) > _SHOWN:
            out(f"  and {len(members) - _SHOWN} more; --json lists all")


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
    "torn": "a step was interrupted before it counted; the next one who writes clears it away",
}
_PINS: Final = {
    "absent": "this machine has not seen the vault before",
    "damaged": "what this machine remembered can't be read: delete that file",
    "newer": "this machine has seen a newer state: this is an older copy, or events were removed",
    "older": "this machine last saw an older state, which this one continues",
    "other": "this machine has seen another history: `evault verify` says more",
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
        leftovers = [escape(name) for name in condition.leftovers]
        more = [f"and {len(leftovers) - _SHOWN} more"] if len(leftovers) > _SHOWN else []
        rows += [
            ("Log", count(condition.size, "event")),
            ("Left over", "\n".join([*leftovers[:_SHOWN], *more]) or "nothing"),
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
        "leftovers": list(condition.leftovers),
        "pin": condition.pin,
        "trouble": condition.trouble.code if condition.trouble is not None else None,
    }
