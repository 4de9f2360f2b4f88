"""The audit: everything that can be checked about a vault, by anybody, in one report.

:func:`audit` takes no secret, never stops at the first problem and returns every finding as data.
Its layers: layout, tiles against root, checkpoint signatures, event bytes and signatures, heads,
custody rules, every file against its digest, anchors outside the vault. With a reader's identity
(``deep``), also what lies inside: fields against their commitments, key files, bags, items.

What it can't see without keys: names, fields, and that the age files decrypt, and to whom.
"""

from __future__ import annotations

import os
import time as _time
from collections.abc import Callable
from typing import Literal

from vault.auditing.deep import audit_deep
from vault.auditing.files import audit_files, expected_files
from vault.auditing.logs import LogAudit, audit_log
from vault.auditing.record import record_audit
from vault.auditing.report import (
    Anchor,
    Coverage,
    Finding,
    Report,
    Severity,
    Verdict,
    in_order,
    verdict_of,
)
from vault.errors import FormatError, NotAVaultError, RollbackError, UnsupportedVersionError
from vault.identity import Identity
from vault.localstate import AuditRecord, LocalState, check_pin
from vault.pipeline import Progress, ProgressCallback
from vault.storage import LocalStore, Store
from vault.tlog.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.vault import Vault, check_format

__all__ = [
    "Anchor",
    "Coverage",
    "Finding",
    "Report",
    "Severity",
    "Verdict",
    "audit",
    "record_audit",
]


def audit(
    vault: Vault | Store | str | os.PathLike[str],
    *,
    identity: Identity | None = None,
    state: LocalState | str | os.PathLike[str] | None = None,
    vault_id: bytes | None = None,
    checkpoint: bytes | None = None,
    since_last: bool = False,
    progress: ProgressCallback | None = None,
    clock: Callable[[], float] = _time.time,
) -> Report:
    """Check everything that can be checked.

    ``identity``: look inside as that reader. ``state``: hold the vault against this machine's pin,
    and remember the result. ``vault_id`` (32 bytes) and ``checkpoint`` (a signed note kept
    elsewhere): hold it against these. ``since_last``: trust this machine's last audit of the same
    log and read only what came since; the report's coverage says so.

    Raises ``NotAVaultError`` and ``UnsupportedVersionError``, and ``FormatError`` for a
    ``checkpoint`` that is none; nothing else about the vault is an exception.
    """
    store = _store_of(vault)
    local = LocalState(state) if isinstance(state, (str, os.PathLike)) else state
    given = parse_signed_checkpoint(checkpoint) if checkpoint is not None else None
    _check_is_vault(store)
    meter = _Meter(progress)
    log = audit_log(store, _trust(local if since_last else None), meter.event)
    trusted = log.trusted
    record = local.audit_record(log.vault) if local and log.vault and trusted else None
    expected = expected_files(log.events.values(), log.state)
    meter.total = sum(file.size for file in expected.values() if file.seq >= trusted)
    found, files, size = audit_files(store, expected, log.known, trusted, meter.file)
    findings = [*log.findings, *found]
    unreadable = 0
    if identity is not None:
        damaged = {finding.place for finding in findings if finding.severity != "note"}
        inner, unreadable = audit_deep(store, identity, log.events, log.state, damaged, meter.event)
        findings += inner
    anchors = _anchors(log, local, vault_id, given, findings)
    tree = log.tree
    coverage = Coverage(
        events=len(log.events),
        files=files,
        bytes=size,
        bundles=len(log.state.bundles),
        deep=identity is not None,
        unreadable=unreadable,
        since=trusted,
        evidence_read=record.evidence_read if record is not None else None,
    )
    report = Report(
        verdict=verdict_of(findings),
        vault=log.vault,
        size=tree.size if tree is not None else 0,
        root=tree.root() if tree is not None else None,
        findings=in_order(findings),
        anchors=anchors,
        coverage=coverage,
    )
    _remember(report, log, local, int(clock()))
    return report


def _store_of(vault: Vault | Store | str | os.PathLike[str]) -> Store:
    if isinstance(vault, Vault):
        return vault.store
    if isinstance(vault, (str, os.PathLike)):
        return LocalStore(vault)
    return vault


def _check_is_vault(store: Store) -> None:
    # A damaged or missing FORMAT is a finding; a place with nothing of a vault is a mistake.
    try:
        check_format(store)
    except UnsupportedVersionError:
        raise
    except (FormatError, NotAVaultError):
        if not store.exists("log"):
            raise


class _Meter:
    """Adds up progress and calls back."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._done = 0
        self.total = 0

    def event(self, place: str) -> None:
        if self._callback is not None:
            self._callback(Progress("audit", self._done, self.total, place))

    def file(self, name: str, count: int) -> None:
        self._done += count
        self.event(name)


def _trust(local: LocalState | None) -> Callable[[bytes, MemoryTree], int]:
    """Return a function that says how many events of a log the last audit here found in order."""

    def trusted(vault: bytes, tree: MemoryTree) -> int:
        record = local.audit_record(vault) if local is not None else None
        if record is None or not 0 < record.size <= tree.size:
            return 0
        return record.size if tree.root(record.size).hex() == record.root else 0

    return trusted


def _anchors(
    log: LogAudit,
    local: LocalState | None,
    vault_id: bytes | None,
    given: SignedCheckpoint | None,
    findings: list[Finding],
) -> tuple[Anchor, ...]:
    """Hold the log against what lies outside it; add a finding for each anchor that fails."""
    anchors = []
    if vault_id is None:
        anchors.append(Anchor("vault-id", "absent"))
    elif log.vault == vault_id:
        anchors.append(Anchor("vault-id", "matched"))
    else:
        anchors.append(Anchor("vault-id", "failed", "another vault, or its first event is damaged"))
        # An id that can't be read is damage, which is reported; one that differs is another vault.
        if log.vault is not None:
            findings.append(Finding("vault-id", "contradicted", "event 0", log.vault.hex()))
    try:
        pin = local.pin(log.vault) if local is not None and log.vault is not None else None
        anchors.append(_held("pin", pin, log, findings))
    except FormatError as error:
        anchors.append(Anchor("pin", "failed", str(error)))
        findings.append(Finding("pin-damaged", "note", error.where, error.why))
    anchors.append(_held("checkpoint", given, log, findings))
    anchors.append(Anchor("cosigners", "absent"))
    anchors.append(Anchor("timestamps", "absent"))
    return tuple(anchors)


def _held(
    kind: Literal["pin", "checkpoint"],
    kept: SignedCheckpoint | None,
    log: LogAudit,
    findings: list[Finding],
) -> Anchor:
    if kept is None:
        return Anchor(kind, "absent")
    if log.tree is None or log.vault is None:
        return Anchor(kind, "failed", "the log has no sound tree to compare with")
    size = log.tree.size
    origin = f"evidence-vault/{log.vault.hex()}"
    try:
        check_pin(kept.checkpoint, origin, size, log.tree, kind)
    except RollbackError as error:
        code = "rollback" if kept.checkpoint.size > size else "fork"
        findings.append(Finding(code, "contradicted", kind, error.why))
        return Anchor(kind, "failed", error.why)
    return Anchor(kind, "matched", f"size {kept.checkpoint.size}")


def _remember(report: Report, log: LogAudit, local: LocalState | None, now: int) -> None:
    if local is None or report.verdict != "intact" or log.signed is None:
        return
    if report.vault is None or report.root is None:
        return
    local.set_pin(report.vault, log.signed.raw)
    read = report.coverage.evidence_read if report.coverage.since else now
    record = AuditRecord(report.size, report.root.hex(), now, now if read is None else read)
    local.set_audit_record(report.vault, record)
