"""The audit: everything that can be checked about a vault, by anybody, in one report.

:func:`audit` takes no secret, never stops at the first problem and returns every finding as data.
Its layers: layout, tiles against root, checkpoint signatures, event bytes and signatures, heads,
custody rules, every file against its digest, the number of recipients of those that open evidence,
anchors outside the vault. With a reader's identity (``deep``), also what lies inside: fields
against their commitments, key files, bags, items.

What it can't see without keys: names, fields, and that the age files decrypt, and to whom.
"""

from __future__ import annotations

import os
import time as _time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from vault.auditing.anchors import Pin, hold
from vault.auditing.choice import Choice, files_to_read, oldest
from vault.auditing.deep import audit_deep
from vault.auditing.files import audit_files, audit_rekeyings, expected_files
from vault.auditing.history import hold_history
from vault.auditing.keys import audit_recipients
from vault.auditing.logs import LogAudit, audit_log
from vault.auditing.places import check_is_vault, fetch
from vault.auditing.record import record_audit
from vault.auditing.report import (
    Anchor,
    Coverage,
    Finding,
    Former,
    History,
    Report,
    Severity,
    Verdict,
    in_order,
    verdict_of,
)
from vault.errors import FormatError, UnsupportedVersionError
from vault.identity import Identity
from vault.layout import CHECKPOINT
from vault.localstate import AuditRecord, LocalState
from vault.log.files import MAX_CHECKPOINT
from vault.pipeline import Progress, ProgressCallback
from vault.replacement import Replacements
from vault.storage import LocalStore, Store
from vault.tlog.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.vault import Vault

__all__ = [
    "Anchor",
    "Coverage",
    "Finding",
    "Former",
    "History",
    "Report",
    "Severity",
    "Verdict",
    "audit",
    "oldest",
    "record_audit",
]

_ATTEMPTS: Final = 20


def audit(
    vault: Vault | Store | str | os.PathLike[str],
    *,
    identity: Identity | None = None,
    state: LocalState | str | os.PathLike[str] | None = None,
    vault_id: bytes | None = None,
    checkpoint: bytes | None = None,
    since_last: bool = False,
    bundles: Collection[bytes] | Choice | None = None,
    history: Vault | Store | str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
    clock: Callable[[], float] = _time.time,
) -> Report:
    """Check everything that can be checked.

    ``identity``: look inside as that reader. ``state``: hold the vault against this machine's pin,
    and remember the result. ``vault_id`` (32 bytes) and ``checkpoint`` (a signed note kept
    elsewhere): hold it against these. ``since_last``: trust this machine's last audit of the same
    log and read only what came since; the report's coverage says so. ``bundles``: read the files of
    these alone, by id or as :func:`oldest` chooses, and of the others' know only the sizes; the log
    is read whole all the same, and the coverage says so. ``history``: a copy of the vault that this
    one continues, audited too, as anybody can; its log is held against what this one says of it.

    ``progress`` may be called from several threads, one at a time. Writers may go on meanwhile.

    Raises ``NotAVaultError``; ``UnsupportedVersionError`` where nothing is wrong but that a part is
    of a later version, so that nobody can say ``intact``; ``FormatError`` for a ``checkpoint`` that
    is none; and ``ValueError`` for ``bundles`` with ``since_last``: whoever trusts an earlier audit
    has nothing to choose from. Nothing else about the vault is an exception.
    """
    if bundles is not None and since_last:
        raise ValueError("an audit of some bundles trusts no earlier one")
    old = _examined(history, progress, clock) if history is not None else None
    asked = _Asked(identity, vault_id, checkpoint, since_last, bundles)
    local = LocalState(state) if isinstance(state, (str, os.PathLike)) else state
    report, _ = _examine(_store_of(vault), local, asked, old, _Meter(progress), int(clock()))
    return report


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of an audit, as :func:`audit` takes it."""

    identity: Identity | None = None
    vault_id: bytes | None = None
    checkpoint: bytes | None = None
    since_last: bool = False
    bundles: Collection[bytes] | Choice | None = None


def _examined(
    history: Vault | Store | str | os.PathLike[str],
    progress: ProgressCallback | None,
    clock: Callable[[], float],
) -> tuple[Report, LogAudit]:
    """Audit a vault that another one continues.

    Not against this machine's pin: that it was seen newer than the copy that is at hand is why
    vaults are continued, and no fault of that copy.
    """
    store = _store_of(history)
    return _examine(store, None, _Asked(), None, _Meter(progress), int(clock()))


def _examine(
    store: Store,
    local: LocalState | None,
    asked: _Asked,
    old: tuple[Report, LogAudit] | None,
    meter: _Meter,
    now: int,
) -> tuple[Report, LogAudit]:
    given = parse_signed_checkpoint(asked.checkpoint) if asked.checkpoint is not None else None
    later = check_is_vault(store)
    pin, log = _settled(store, local, asked.since_last, meter.event)
    if later is not None and not _is_first_version(log):
        raise later
    trusted, events = log.trusted, log.events
    record = local.audit_record(log.vault) if local and log.vault and trusted else None
    replacements = Replacements(store)
    expected = expected_files(events.values(), log.state, replacements)
    rekeyed, known = audit_rekeyings(events.values(), log.state, expected, replacements)
    chosen = _chosen(asked.bundles, log)
    read = expected
    if chosen is not None:
        names = files_to_read(events, log.state, expected, chosen)
        read = {name: file for name, file in expected.items() if name in names}
        events = {n: one for n, one in events.items() if one.bundle is None or one.bundle in chosen}
    meter.total = sum(file.size for file in read.values() if file.seq >= trusted)
    complete = log.complete and known
    found, files, size = audit_files(
        store, expected, log.known, trusted, meter.file, complete=complete, only=read
    )
    findings = [*log.findings, *found, *rekeyed]
    damaged = {finding.place for finding in findings if finding.severity != "note"}
    findings += audit_recipients(store, log.state, read, damaged, trusted, meter.event)
    unreadable = 0
    if asked.identity is not None:
        inner, unreadable = audit_deep(
            store, asked.identity, events, log.state, expected, damaged, meter.event
        )
        findings += inner
    anchors = hold(log, pin, asked.vault_id, given, findings)
    continued, history = hold_history(log, old, findings)
    anchors += (*continued, Anchor("cosigners", "absent"), Anchor("timestamps", "absent"))
    if log.later is not None and verdict_of(findings) == "intact":
        raise UnsupportedVersionError("log", "goes on in a later version", log.later)
    tree = log.tree
    coverage = Coverage(
        events=len(log.events),
        files=files,
        bytes=size,
        bundles=len(log.state.bundles),
        deep=asked.identity is not None,
        unreadable=unreadable,
        since=trusted,
        evidence_read=record.evidence_read if record is not None else None,
        destroyed=sum(one.destroyed is not None for one in log.state.bundles.values()),
        chosen=chosen,
    )
    report = Report(
        verdict=verdict_of(findings),
        vault=log.vault,
        size=tree.size if tree is not None else 0,
        root=tree.root() if tree is not None else None,
        findings=in_order(findings),
        anchors=anchors,
        coverage=coverage,
        history=history,
    )
    try:
        _remember(report, log, local, now)
    except OSError as error:
        # A machine that can't remember must not cost anyone the report.
        detail = error.strerror or type(error).__name__
        forgotten = Finding("not-remembered", "note", str(error.filename or "state"), detail)
        report = replace(report, findings=in_order([*findings, forgotten]))
    return report, log


def _chosen(bundles: Collection[bytes] | Choice | None, log: LogAudit) -> tuple[bytes, ...] | None:
    if bundles is None:
        return None
    wanted = bundles(log.events, log.state) if callable(bundles) else bundles
    return tuple(
        key for key, one in log.state.bundles.items() if key in wanted and one.destroyed is None
    )


def _store_of(vault: Vault | Store | str | os.PathLike[str]) -> Store:
    if isinstance(vault, Vault):
        return vault.store
    if isinstance(vault, (str, os.PathLike)):
        return LocalStore(vault)
    return vault


def _is_first_version(log: LogAudit) -> bool:
    """Say whether all of a log is of version 1, so that a ``FORMAT`` of another one is damaged."""
    return log.tree is not None and log.complete and log.later is None


def _settled(
    store: Store, local: LocalState | None, since_last: bool, step: Callable[[str], None]
) -> tuple[Pin, LogAudit]:
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


def _pin(local: LocalState | None, vault: bytes | None) -> Pin:
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
    if report.coverage.chosen is not None:
        return  # nobody may trust it for what was not read
    read = report.coverage.evidence_read if report.coverage.since else now
    record = AuditRecord(report.size, report.root.hex(), now, now if read is None else read)
    local.set_audit_record(report.vault, record)
