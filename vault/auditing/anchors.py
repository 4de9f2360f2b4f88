"""Holding a log against what lies outside the vault: an id on paper, checkpoints seen before."""

from __future__ import annotations

from typing import Literal, TypeAlias

from vault.auditing.logs import LogAudit, fork_detail
from vault.auditing.report import Anchor, Finding
from vault.custody import signer_of
from vault.errors import FormatError, RollbackError
from vault.localstate import check_pin
from vault.tlog.checkpoint import SignedCheckpoint

__all__ = ["Pin", "hold"]

Pin: TypeAlias = SignedCheckpoint | FormatError | None
"""What this machine saw last; an error if that can't be read."""


def hold(
    log: LogAudit,
    pin: Pin,
    vault_id: bytes | None,
    given: SignedCheckpoint | None,
    findings: list[Finding],
) -> tuple[Anchor, ...]:
    """Hold the log against each anchor; add a finding for each that fails."""
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
    size, there = log.tree.size, kept.checkpoint.size
    try:
        check_pin(kept.checkpoint, f"evidence-vault/{log.vault.hex()}", size, log.tree, kind)
    except RollbackError as error:
        signer = signer_of(log.state, kept)
        if kind == "checkpoint" and signer is None:
            # A pin was verified here. A file that is handed in is worth what its signature is.
            findings.append(Finding("checkpoint-not-ours", "note", kind, error.why))
            return Anchor(kind, "failed", "signed by nobody on this roster")
        if there > size:
            code, detail = "rollback", f"{size} events here, {there} there"
        else:
            code, detail = "fork", fork_detail(kept, signer, log)
        findings.append(Finding(code, "contradicted", kind, detail))
        return Anchor(kind, "failed", detail)
    return Anchor(kind, "matched", f"size {there}")
