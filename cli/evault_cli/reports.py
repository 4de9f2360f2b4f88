"""What ``evault verify`` says of a report: as text, whose first line is the answer, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from evault_cli.render import (
    count,
    escape,
    out,
    pairs,
    paragraph,
    short,
    size_text,
    table,
    utc,
)
from evault_cli.words import ANCHORS, BLIND, CONTINUED, finding

if TYPE_CHECKING:
    from evault_cli.session import Session
    from vault import Finding, Report
    from vault.auditing import Former, History

__all__ = ["report_record", "seen_here", "show_report"]

_SHOWN: Final = 20
"""How many places of one kind of finding are named; ``--json`` names all."""


def report_record(report: Report) -> dict[str, object]:
    """Return a report for JSON."""
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
            "destroyed": coverage.destroyed,
            "chosen": [one.hex() for one in coverage.chosen]
            if coverage.chosen is not None
            else None,
        },
        "history": _history_record(report.history),
    }


def _history_record(history: History | None) -> dict[str, object] | None:
    if history is None:
        return None
    return {
        "vault": history.vault.hex(),
        "size": history.size,
        "root": history.root.hex(),
        "because": history.reason,
        "by_owner": history.by_owner,
        "members": [
            {
                "fingerprint": one.fingerprint.hex(),
                "roles": list(one.roles),
                "removed": one.removed,
            }
            for one in history.members
        ],
        "report": report_record(history.report) if history.report is not None else None,
    }


_VERDICTS: Final = {
    "intact": "Intact: everything stored is what was signed.",
    "altered": (
        "Altered: stored bytes are missing or differ from what was signed. "
        "The cause is not known; a good copy restores them."
    ),
    "contradicted": (
        "Contradicted: what was signed breaks a rule of custody, or contradicts itself or what was "
        "seen before. That alone says neither why nor by whose doing."
    ),
}


_OTHER: Final = "The old vault given is not the one that this one continues. "
"""Before the verdict: whoever named the wrong one must not read first that all is well."""


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


def seen_here(session: Session, report: Report) -> int | None:
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
    codes = {code for code, _ in wrong}
    contradicted = {one.code for one in report.findings if one.severity == "contradicted"}
    if codes == {"rollback"}:
        seen_by = f"; this machine has seen {count(seen, 'event')}" if seen is not None else ""
        if ("rollback", "pin") not in wrong:
            seen_by = "; the checkpoint given is of a later state"
        return (
            "Older: everything here is what was signed, but it ends at event "
            f"{report.size - 1}{seen_by}. That is usual for a copy made earlier, and for a backup "
            "that was restored. If this should be the newest, something is missing: look for the "
            "newer copy."
        )
    if "fork" in codes and codes <= {"fork", "rollback"}:
        return (
            "Two histories: everything here is what was signed, but it does not go on from what "
            "was seen before. That happens where two copies of a vault were both written to, such "
            "as a backup that was restored. Keep both: below stands what to do."
        )
    if contradicted == {"vault-id"} and report.vault is not None:
        only = " Nothing else is wrong with what is stored." if len(wrong) == 1 else ""
        return (
            f"Another vault: its id is {report.vault.hex()}, not the one that you gave. "
            f"Compare the digits with the paper.{only}"
        )
    return _partly(report) if report.coverage.chosen is not None else _VERDICTS[report.verdict]


def _partly(report: Report) -> str:
    """Return the verdict of an audit that was not to read all evidence, and how much it read."""
    coverage = report.coverage
    read = f"{len(coverage.chosen or ()):,} of {coverage.bundles - coverage.destroyed:,}"
    only = (
        f"The evidence of only {read} bundles was read, those not checked for longest; of the "
        "others' files only the sizes are known."
    )
    if report.verdict == "intact":
        return f"Intact as far as it was read. {only}"
    return f"{_VERDICTS[report.verdict]} {only}"


def show_report(report: Report, seen: int | None) -> None:
    """Print a report; ``seen`` is what :func:`seen_here` says."""
    coverage = report.coverage
    trusted = ""
    if coverage.since:
        read = f", last read {utc(coverage.evidence_read)}" if coverage.evidence_read else ""
        trusted = f" The first {count(coverage.since, 'event')} and their files{read}, are trusted."
    # One line where no person reads: the first alone says what was found and against what.
    other = any(one.code == "history-other" for one in report.findings)
    verdict = f"{_OTHER if other else ''}{_verdict(report, seen)}"
    said = f"{verdict} {_anchored(report)}{_of_history(report)}{trusted}"
    paragraph(said)
    out()
    pairs(
        [
            ("Vault", report.vault.hex() if report.vault is not None else "not readable"),
            ("Log", f"{count(report.size, 'event')}, root {_root(report)}"),
            ("Bundles", str(coverage.bundles)),
            ("Files read", f"{coverage.files:,}, {size_text(coverage.bytes)}"),
            *_continued(report.history),
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
    if report.history is not None and report.history.report is not None:
        _show_history(report.history, report.history.report)


# --- the vault that it continues ------------------------------------------------------------------


def _of_history(report: Report) -> str:
    old = report.history.report if report.history is not None else None
    if old is None:
        return ""
    more = "" if old.verdict == "intact" else ", see below"
    return f" The old vault itself is {old.verdict}{more}."


def _continued(history: History | None) -> list[tuple[str, str]]:
    if history is None:
        return []
    first = f"its first {count(history.size, 'event')}"
    return [("Continues", f"vault {history.vault.hex()}, {first}; {CONTINUED[history.reason]}")]


def _show_history(history: History, old: Report) -> None:
    out()
    paragraph(f"The old vault. {_verdict(old, None)}")
    _show_findings(old.findings)
    if history.by_owner:
        out()
        paragraph(
            "Who made this vault was an owner of the old one when it took over, and was not "
            "removed from it."
        )
    if history.members:
        out()
        table(
            ("Member here", "In the old vault"),
            [(short(one.fingerprint), _formerly(one)) for one in history.members],
        )


def _formerly(one: Former) -> str:
    roles = ", ".join(one.roles) or "not a member then"
    return f"{roles}; removed by event {one.removed}" if one.removed is not None else roles


# --- findings -------------------------------------------------------------------------------------


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
