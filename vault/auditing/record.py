"""Recording an audit in the log: one ``bundle.checked`` for each bundle that was looked at."""

from __future__ import annotations

from typing import Final

from vault.auditing.files import expected_files
from vault.auditing.report import Finding, Report
from vault.custody import BundleState
from vault.errors import StateError
from vault.event import Event
from vault.layout import BUNDLES, FIELDS, KEYS, bundle_directory, epoch_name
from vault.tlog.merkle import tree_root
from vault.vault import Vault

__all__ = ["check_recordable", "record_audit"]

_BESIDE_THE_LOG: Final = tuple(f"{top}/" for top in (BUNDLES, FIELDS, "foreign", KEYS))
"""Where damage leaves the log sound, so that it can still be written to."""
_INSIDE: Final = ("not-decryptable", "private-", "unreadable")
"""What is found of an event by looking into its files; all else is against the log itself."""


def check_recordable(report: Report) -> None:
    """Raise ``StateError`` unless all that was found is about bundles and not about the log."""
    for finding in report.findings:
        of_event = finding.place.startswith("event ")
        beside = finding.code.startswith(_INSIDE) if of_event else _is_beside(finding)
        if finding.severity != "note" and not beside:
            raise StateError(
                finding.place, "the log itself is not sound, and must not be written to"
            )


def _is_beside(finding: Finding) -> bool:
    return finding.place.startswith(_BESIDE_THE_LOG)


def record_audit(vault: Vault, report: Report) -> tuple[Event, ...]:
    """Append what a full audit found of each bundle; return the events.

    A bundle is ``altered`` if a file is that an event of its chain logged, or that opens such a
    file, or if what is in one is not as it should be. One that was sealed after the audit is left
    out. Raises ``ValueError`` for an audit that trusted an earlier one or was of another log,
    ``StateError`` for one that found the log itself unsound, and what :meth:`Vault.append` does.
    """
    if report.coverage.since:
        raise ValueError("only an audit that read everything is recorded")
    check_recordable(report)
    if report.size > vault.size or report.root != tree_root(report.size, vault.tree):
        raise ValueError("the audit of another log")
    damaged = {finding.place for finding in report.findings if finding.severity != "note"}
    detail = "with a reader's identity" if report.coverage.deep else "without a reader's identity"
    events = []
    for bundle in list(vault.state.bundles.values()):
        if bundle.destroyed is not None or bundle.seq >= report.size:
            continue
        inside = f"{bundle_directory(bundle.id)}/"
        sound = damaged.isdisjoint(_places_of(vault, bundle))
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


def _places_of(vault: Vault, bundle: BundleState) -> set[str]:
    """Return the events and files that a bundle and its chain can't do without."""
    chain = [vault.event(seq) for seq in bundle.chain]
    epochs = {event.sealed.epoch for event in chain if event.sealed is not None}
    places = {f"event {event.seq}" for event in chain}
    for epoch in epochs | {bundle.key_file.epoch}:
        places |= {epoch_name(epoch), f"event {vault.state.epochs[epoch].seq}"}
    return places | expected_files(chain, vault.state).keys()
