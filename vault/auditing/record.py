"""Recording an audit in the log: one ``bundle.checked`` for each bundle that was looked at."""

from __future__ import annotations

from vault.auditing.report import Report
from vault.event import Event
from vault.layout import bundle_directory
from vault.tlog.merkle import tree_root
from vault.vault import Vault

__all__ = ["record_audit"]


def record_audit(vault: Vault, report: Report) -> tuple[Event, ...]:
    """Append what a full audit found of each bundle; return the events.

    A bundle is ``altered`` if a file of it is, or if an event of its chain is not as it should be.
    One that was sealed after the audit is left out. Raises ``ValueError`` for an audit that trusted
    an earlier one or was of another log, and what :meth:`Vault.append` does: a log that contradicts
    itself is not written.
    """
    if report.coverage.since:
        raise ValueError("only an audit that read everything is recorded")
    if report.size > vault.size or report.root != tree_root(report.size, vault.tree):
        raise ValueError("the audit of another log")
    damaged = {finding.place for finding in report.findings if finding.severity != "note"}
    detail = "with a reader's identity" if report.coverage.deep else "without a reader's identity"
    events = []
    for bundle in list(vault.state.bundles.values()):
        if bundle.destroyed is not None or bundle.seq >= report.size:
            continue
        inside = f"{bundle_directory(bundle.id)}/"
        sound = damaged.isdisjoint(f"event {seq}" for seq in bundle.chain)
        sound = sound and not any(place.startswith(inside) for place in damaged)
        result = "intact" if sound else "altered"
        events.append(
            vault.append(
                "bundle.checked",
                bundle=bundle.id,
                data={"result": result},
                fields={"detail": detail},
            )
        )
    return tuple(events)
