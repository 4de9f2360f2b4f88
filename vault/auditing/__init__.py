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
from dataclasses import replace
from threading import Lock
from typing import Final, Literal, TypeAlias

from vault.auditing.deep import audit_deep
from vault.auditing.files import audit_files, expected_files
from vault.auditing.logs import LogAudit, audit_log
from vault.auditing.places import fetch
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
from vault.errors import (
    FormatError,
    NotAVaultError,
    RollbackError,
    StateError,
    UnsupportedVersionError,
    VerificationError,
)
from vault.founding import check_format
from vault.identity import Identity
from vault.layout import CHECKPOINT, LOG
from vault.localstate import AuditRecord, LocalState, check_pin
from vault.log.files import MAX_CHECKPOINT
from vault.pipeline import Progress, ProgressCallback
from vault.storage import LocalStore, Store
from vault.tlog.checkpoint import SignedCheckpoint, check_checkpoint, parse_signed_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.vault import Vault

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

_ATTEMPTS: Final = 20

_Pin: TypeAlias = SignedCheckpoint | FormatError | None


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

    ``progress`` may be called from several threads, one at a time. Writers may go on meanwhile.

    Raises ``NotAVaultError``; ``UnsupportedVersionError`` where nothing is wrong but that a part is
    of a later version, so that nobody can say ``intact``; and ``FormatError`` for a ``checkpoint``
    that is none. Nothing else about the vault is an exception.
    """
    store = _store_of(vault)
    local = LocalState(state) if isinstance(state, (str, os.PathLike)) else state
    given = parse_signed_checkpoint(checkpoint) if checkpoint is not None else None
    later = _check_is_vault(store)
    meter = _Meter(progress)
    pin, log = _settled(store, local, since_last, meter.event)
    if later is not None and not _is_first_version(log):
        raise later
    trusted = log.trusted
    record = local.audit_record(log.vault) if local and log.vault and trusted else None
    expected = expected_files(log.events.values(), log.state)
    meter.total = sum(file.size for file in expected.values() if file.seq >= trusted)
    found, files, size = audit_files(
        store, expected, log.known, trusted, meter.file, complete=log.complete
    )
    findings = [*log.findings, *found]
    unreadable = 0
    if identity is not None:
        damaged = {finding.place for finding in findings if finding.severity != "note"}
        inner, unreadable = audit_deep(
            store, identity, log.events, log.state, expected, damaged, meter.event
        )
        findings += inner
    anchors = _anchors(log, pin, vault_id, given, findings)
    if log.later is not None and verdict_of(findings) == "intact":
        raise UnsupportedVersionError("log", "goes on in a later version", log.later)
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
    try:
        _remember(report, log, local, int(clock()))
    except OSError as error:
        # A machine that can't remember must not cost anyone the report.
        detail = error.strerror or type(error).__name__
        forgotten = Finding("not-remembered", "note", str(error.filename or "state"), detail)
        report = replace(report, findings=in_order([*findings, forgotten]))
    return report


def _store_of(vault: Vault | Store | str | os.PathLike[str]) -> Store:
    if isinstance(vault, Vault):
        return vault.store
    if isinstance(vault, (str, os.PathLike)):
        return LocalStore(vault)
    return vault


def _check_is_vault(store: Store) -> UnsupportedVersionError | None:
    """Raise ``NotAVaultError`` for a place with nothing of a vault: a damaged or missing ``FORMAT``
    alone is a finding. One of a later version is returned: the log knows better.
    """
    try:
        check_format(store)
    except UnsupportedVersionError as later:
        return later
    except (FormatError, StateError, OSError):
        try:
            log = store.exists(LOG)
        except (StateError, OSError):
            log = False
        if not log:
            raise NotAVaultError(store.place, "neither FORMAT nor log") from None
    return None


def _is_first_version(log: LogAudit) -> bool:
    """Say whether all of a log is of version 1, so that a ``FORMAT`` of another one is damaged."""
    return log.tree is not None and log.complete and log.later is None


def _settled(
    store: Store, local: LocalState | None, since_last: bool, step: Callable[[str], None]
) -> tuple[_Pin, LogAudit]:
    """Audit the log, again if it moved on meanwhile: a writer drops tiles that were superseded, and
    a process beside this one moves the pin on.
    """
    trust = _trust(local if since_last else None)
    for _ in range(_ATTEMPTS):
        log = audit_log(store, trust, step)
        pin = _pin(local, log.vault)
        size = log.tree.size if log.tree is not None else 0
        behind = isinstance(pin, SignedCheckpoint) and pin.checkpoint.size > size
        altered = any(finding.severity != "note" for finding in log.findings)
        if not (behind or altered) or fetch(store, CHECKPOINT, MAX_CHECKPOINT) == log.raw:
            break
    return pin, log


def _pin(local: LocalState | None, vault: bytes | None) -> _Pin:
    try:
        return local.pin(vault) if local is not None and vault is not None else None
    except FormatError as error:
        return error
    except OSError as error:
        return FormatError("pin", error.strerror or "can't be read", str(error.filename or ""))


class _Meter:
    """Adds up progress and calls back, one thread at a time."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._lock = Lock()
        self._done = 0
        self.total = 0

    def event(self, place: str) -> None:
        self.file(place, 0)

    def file(self, name: str, count: int) -> None:
        if self._callback is not None:
            with self._lock:
                self._done += count
                self._callback(Progress("audit", self._done, self.total, name))


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
    pin: _Pin,
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
    if isinstance(pin, FormatError):
        anchors.append(Anchor("pin", "failed", str(pin)))
        findings.append(Finding("pin-damaged", "note", pin.where, pin.why))
    else:
        anchors.append(_held("pin", pin, log, findings))
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
        signer = _signer_of(kept, log)
        if kind == "checkpoint" and not signer:
            # A pin was verified here. A file that is handed in is worth what its signature is.
            findings.append(Finding("checkpoint-not-ours", "note", kind, error.why))
            return Anchor(kind, "failed", "signed by nobody on this roster")
        code = "rollback" if kept.checkpoint.size > size else "fork"
        detail = f"{error.why}; signed by {signer or 'nobody on this roster'}"
        findings.append(Finding(code, "contradicted", kind, detail))
        return Anchor(kind, "failed", detail)
    return Anchor(kind, "matched", f"size {kept.checkpoint.size}")


def _signer_of(kept: SignedCheckpoint, log: LogAudit) -> str:
    """Return the fingerprint of the member who signed a checkpoint; nothing if none did."""
    for member in log.state.members.values():
        try:
            check_checkpoint(
                kept, member.keys.ed25519, member.keys.ml_dsa_44, origin=log.state.origin
            )
        except VerificationError:
            continue
        return member.keys.fingerprint.hex()
    return ""


def _remember(report: Report, log: LogAudit, local: LocalState | None, now: int) -> None:
    if local is None or report.verdict != "intact" or log.signed is None:
        return
    if report.vault is None or report.root is None:
        return
    # A pin that can't be read is not replaced: what it knew is for its owner to give up.
    if all(anchor.status != "failed" for anchor in report.anchors if anchor.kind == "pin"):
        local.set_pin(report.vault, log.signed.raw)
    if any((anchor.kind, anchor.status) == ("vault-id", "matched") for anchor in report.anchors):
        local.set_known(report.vault)
    read = report.coverage.evidence_read if report.coverage.since else now
    record = AuditRecord(report.size, report.root.hex(), now, now if read is None else read)
    local.set_audit_record(report.vault, record)
