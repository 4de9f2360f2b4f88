"""Recording an audit in the log: a ``bundle.checked`` for each bundle, all in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vault.auditing.report import Finding, Report
from vault.codec import Packable
from vault.custody import BundleState
from vault.draft import Draft
from vault.errors import ConflictError, StateError
from vault.event import Event
from vault.expected import expected_files, unread_manifests
from vault.layout import BUNDLES, FIELDS, KEYS, bundle_directory, epoch_name, rekey_name
from vault.replacement import Replacements
from vault.tlog.merkle import tree_root
from vault.vault import Vault

__all__ = ["check_recordable", "record_audit"]

_BESIDE_THE_LOG: Final = tuple(f"{top}/" for top in (BUNDLES, FIELDS, "foreign", KEYS))
"""Where damage leaves the log sound, so that it can still be written to."""
_INSIDE: Final = ("not-decryptable", "private-", "unreadable")
"""What is found of an event by looking into its files; all else is against the log itself."""
_OF_PEOPLE: Final = "consent"
"""What is found against what somebody did; both the log and the evidence may be sound."""


def check_recordable(report: Report) -> None:
    """Raise ``StateError`` unless all that was found is about bundles and not about the log."""
    for finding in report.findings:
        if finding.code == _OF_PEOPLE:
            continue
        of_event = finding.place.startswith("event ")
        beside = finding.code.startswith(_INSIDE) if of_event else _is_beside(finding)
        if finding.severity != "note" and not beside:
            raise StateError(
                finding.place, "the log itself is not sound, and must not be written to"
            )


def _is_beside(finding: Finding) -> bool:
    return finding.place.startswith(_BESIDE_THE_LOG)


def record_audit(
    vault: Vault, report: Report, *, fields: Mapping[str, Packable] | None = None
) -> tuple[Event, ...]:
    """Append what an audit found of each bundle, in one commit; return the events.

    A bundle is ``altered`` if a file is that an event of its chain logged, or that opens such a
    file, or if what is in one is not as it should be. One that was sealed after the audit is left
    out, and so is one that the audit was not to read and found nothing against. ``fields`` are
    further ones of every event. Raises ``ValueError`` for an audit that trusted an earlier one or
    was of another log, ``StateError`` for one that found the log itself unsound, and what
    :meth:`Vault.append` does.
    """
    if report.coverage.since:
        raise ValueError("only an audit that read everything is recorded")
    check_recordable(report)
    if report.size > vault.size or report.root != tree_root(report.size, vault.tree):
        raise ValueError("the audit of another log")
    damaged = {
        finding.place
        for finding in report.findings
        if finding.severity != "note" and finding.code != _OF_PEOPLE
    }
    detail = "with a reader's identity" if report.coverage.deep else "without a reader's identity"
    values: dict[str, Packable] = {**(fields or {}), "detail": detail}
    drafts: dict[bytes, Draft] = {}
    replacements = Replacements(vault.store)

    results = {
        bundle.id: _result(vault, bundle, damaged, replacements)
        for bundle in vault.state.bundles.values()
        if bundle.destroyed is None and bundle.seq < report.size
    }
    chosen = report.coverage.chosen
    said = {
        key: result
        for key, result in results.items()
        if chosen is None or key in chosen or result == "altered"
    }
    if not said:
        return ()

    def build() -> Sequence[Draft]:
        standing = [key for key in said if vault.state.bundles[key].destroyed is None]
        if not standing:
            raise ConflictError(vault.store.place, "what was audited was destroyed meanwhile")
        for key in standing:
            if key not in drafts:
                data = {"result": said[key]}
                drafts[key] = vault.draft("bundle.checked", bundle=key, data=data, fields=values)
        return [drafts[key] for key in standing]

    return vault.commit(build)


def _result(
    vault: Vault, bundle: BundleState, damaged: set[str], replacements: Replacements
) -> str:
    if not damaged:
        return "intact"
    inside = f"{bundle_directory(bundle.id)}/"
    sound = damaged.isdisjoint(_places_of(vault, bundle, replacements))
    sound = sound and not any(place.startswith(inside) for place in damaged)
    return "intact" if sound else "altered"


def _places_of(vault: Vault, bundle: BundleState, replacements: Replacements) -> set[str]:
    """Return the events and files that a bundle and its chain can't do without."""
    state = vault.state
    chain = [vault.event(seq) for seq in bundle.chain]
    expected = expected_files(chain, state, replacements)
    needed = {name: file for name, file in expected.items() if not file.destroyed}
    places = {f"event {seq}" for seq in (*bundle.chain, *(file.seq for file in needed.values()))}
    for epoch in {file.epoch for file in needed.values() if file.epoch is not None}:
        places |= {epoch_name(epoch), f"event {state.epochs[epoch].seq}"}
    # What took a file's place can't be found without the manifest that says so.
    unread = {rekeying.manifest for rekeying in unread_manifests(state, replacements)}
    forms = {file.seq for file in needed.values()}
    places |= {
        rekey_name(rekeying.manifest)
        for rekeying in state.rekeyings.values()
        if rekeying.manifest in unread or rekeying.seq in forms
    }
    return places | needed.keys()
