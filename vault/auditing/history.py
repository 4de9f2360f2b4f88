"""The vault that another one continues: taken over by ``init --continues``, held against later.

A vault may say in its first event that it continues another: from which event on, and under which
root. Anybody can say so of any vault. That the old one was really seen is shown by the root; that
the new one is entitled to go on, by who made it: an owner of the old one, or not.

A continuation from a restored backup while the old vault went on looks just like a fork. It is one,
told openly: so it is noted and accuses nobody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Final, final

from vault.auditing.logs import LogAudit, audit_log
from vault.auditing.places import check_is_vault
from vault.auditing.report import Anchor, Finding, Former, History, Report
from vault.custody import Custody, State
from vault.errors import FormatError, RollbackError, UnsupportedVersionError, VerificationError
from vault.founding import Continuation, ContinuationReason
from vault.identity import PublicKeys
from vault.localstate import LocalState, check_pin
from vault.storage import LocalStore, Store

__all__ = ["Predecessor", "hold_history", "look_back"]

_UNVOUCHED: Final = frozenset(("event-malformed", "event-signature", "head"))
"""Findings of an event that is not what its author signed, in its place."""


# --- taking over --------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Predecessor:
    """A vault that is to be continued, as its log stands.

    ``signed`` is the number of events that its checkpoint signs for; the continuation covers fewer
    where one of them is not what its author signed. ``broken`` of them break rules of custody.
    ``owners`` are the Ed25519 keys of its owners then. ``elsewhere`` is the size of the state that
    this machine has seen of it and that this copy does not continue (None: there is none).
    """

    continuation: Continuation
    signed: int
    broken: int
    owners: frozenset[bytes]
    elsewhere: int | None = None


def look_back(
    old: Store | str | os.PathLike[str],
    reason: ContinuationReason,
    *,
    state: LocalState | str | os.PathLike[str] | None = None,
) -> Predecessor:
    """Return what a new vault says of the one that it continues: its log, as far as it verifies.

    No key is needed, and nothing of its evidence is read. A log that breaks rules of custody is
    continued whole: what was signed is history, whatever it was worth. From an event on that is not
    what its author signed, nothing is. ``state`` is this machine's memory, to which it is compared.

    Raises ``NotAVaultError``, ``UnsupportedVersionError``, and ``VerificationError`` if nothing of
    the log verifies.
    """
    store = LocalStore(old) if isinstance(old, (str, os.PathLike)) else old
    later = check_is_vault(store)
    log = audit_log(store, lambda *_: 0, lambda _: None)
    if later is not None and log.tree is None:
        raise later
    version = next((one for one in log.findings if one.code == "version"), None)
    if version is not None and version.severity == "note":
        raise UnsupportedVersionError("log", "goes on in a later version", version.place)
    sound = _vouched(log)
    if log.tree is None or log.vault is None or not sound:
        raise VerificationError("log", "nothing of it can be verified", store.place)
    local = LocalState(state) if isinstance(state, (str, os.PathLike)) else state
    then = _state_at(log, sound)
    assert then is not None
    return Predecessor(
        Continuation(log.vault, sound, log.tree.root(sound), reason),
        signed=log.tree.size,
        broken=len({one.place for one in log.findings if one.code.startswith("rule-")}),
        owners=frozenset(then.active("owner")),
        elsewhere=_elsewhere(log, local),
    )


def _vouched(log: LogAudit) -> int:
    """Return how many events, from the first on, are what their authors signed."""
    unsound = {one.place for one in log.findings if one.code in _UNVOUCHED}
    size = log.tree.size if log.tree is not None else 0
    return next(
        (seq for seq in range(size) if seq not in log.events or f"event {seq}" in unsound), size
    )


def _state_at(log: LogAudit, size: int) -> State | None:
    """Return the state of custody after ``size`` events; None if not all of them can be read."""
    custody = Custody()
    for seq in range(size):
        if seq not in log.events:
            return None
        custody.apply(log.events[seq])
    return custody.state


def _elsewhere(log: LogAudit, local: LocalState | None) -> int | None:
    assert log.vault is not None
    assert log.tree is not None
    try:
        pin = local.pin(log.vault) if local is not None else None
    except (FormatError, OSError):
        return None  # what can't be read says nothing; `verify` of the old vault reports it
    if pin is None:
        return None
    try:
        check_pin(pin.checkpoint, log.state.origin, log.tree.size, log.tree, "pin")
    except RollbackError:
        return pin.checkpoint.size
    return None


# --- holding the one against the other ------------------------------------------------------------


def hold_history(
    log: LogAudit,
    examined: tuple[Report, LogAudit] | None,
    findings: list[Finding],
) -> tuple[tuple[Anchor, ...], History | None]:
    """Hold what a vault says that it continues against that vault, ``examined`` if it was given.

    Adds findings. The anchor is absent where no old vault was given, and there is none where the
    vault continues no other and nobody says that it does.
    """
    said = _said(log)
    if said is None:
        if examined is None:
            return (), None
        findings.append(Finding("history-none", "note", "event 0"))
        return (Anchor("history", "failed", "this vault continues no other"),), None
    if examined is None:
        return (Anchor("history", "absent"),), said
    report, old = examined
    fault = _fault(said, old)
    if fault is not None:
        findings.append(fault)
        return (Anchor("history", "failed", fault.detail),), replace(said, report=report)
    assert old.tree is not None
    if old.tree.size > said.size:
        detail = f"{said.size} events are continued, {old.tree.size} are there now"
        findings.append(Finding("history-went-on", "note", "history", detail))
    members, by_owner, why = _members(log, old, said.size)
    if not by_owner:
        findings.append(Finding("history-claim", "note", "event 0", why))
    held = replace(said, report=report, members=members, by_owner=by_owner)
    return (Anchor("history", "matched", f"size {said.size}"),), held


def _said(log: LogAudit) -> History | None:
    genesis = log.events.get(0)
    said = Continuation.of(genesis) if genesis is not None else None
    return History(said.vault, said.size, said.root, said.reason) if said is not None else None


def _fault(said: History, old: LogAudit) -> Finding | None:
    """Return why a vault is not the one that another continues, if it is not."""
    if old.tree is None or old.vault is None:
        return Finding("history-unread", "note", "history", "its log has no sound tree")
    if old.vault != said.vault:
        return Finding("history-other", "note", "history", old.vault.hex())
    if old.tree.size < said.size:
        detail = f"{said.size} events are continued, {old.tree.size} are there"
        return Finding("history-short", "note", "history", detail)
    if old.tree.root(said.size) != said.root:
        detail = f"another root after {said.size} events"
        return Finding("history-fork", "contradicted", "history", detail)
    return None


def _members(
    log: LogAudit, old: LogAudit, size: int
) -> tuple[tuple[Former, ...], bool | None, str]:
    """Return what the members were in the old vault, whether an owner of it made the new one, and
    why not.
    """
    then = _state_at(old, size)
    if then is None:
        return (), None, "not all events of the old vault can be read"
    members = log.state.members
    found = {key: _former(member.keys, then, old.state) for key, member in members.items()}
    maker = found.get(log.events[0].actor)
    if maker is None:
        why = "its own first event breaks a rule"
    elif maker.removed is not None:
        why = f"removed by event {maker.removed} of the old vault"
    else:
        roles = ", ".join(maker.roles)
        why = f"only {roles} in the old vault" if roles else "no member of the old vault"
    by_owner = maker is not None and "owner" in maker.roles and maker.removed is None
    return tuple(found.values()), by_owner, why


def _former(keys: PublicKeys, then: State, now: State) -> Former:
    before, since = then.members.get(keys.ed25519), now.members.get(keys.ed25519)
    if before is None or before.keys != keys:
        return Former(keys.fingerprint, ())
    roles = tuple(sorted(before.roles)) if before.active else ()
    return Former(keys.fingerprint, roles, since.removed if since is not None else None)
