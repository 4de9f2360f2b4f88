"""The audit of the log itself: checkpoint, tiles, entries, signatures, heads, custody rules."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Final

from vault.auditing.places import fetch, list_files
from vault.auditing.report import Finding
from vault.auditing.tree import Entries, LogAudit, audit_superseded, audit_tree
from vault.custody import Member, signer_of
from vault.errors import (
    FormatError,
    SignatureError,
    UnsupportedVersionError,
    VaultError,
    VerificationError,
)
from vault.event import Event, check_event_signature, parse_event
from vault.layout import CHECKPOINT, LOG
from vault.log.files import MAX_CHECKPOINT, read_entries
from vault.storage import PENDING, Store
from vault.storage.base import without_room
from vault.tlog.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    check_checkpoint,
    parse_signed_checkpoint,
)
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.tiles import TILE_WIDTH

__all__ = ["LogAudit", "audit_log", "fork_detail"]

_SPARE: Final = 64
_TORN: Final = frozenset(("checkpoint-damaged", "checkpoint-missing"))


def audit_log(
    store: Store, trust: Callable[[bytes, MemoryTree], int], step: Callable[[str], None]
) -> LogAudit:
    """Audit everything below ``log/``.

    ``trust(vault id, tree)`` says how many events an earlier audit of exactly this tree has
    checked: their signatures are not checked again.
    """
    audit = LogAudit()
    _checkpoint(store, audit)
    if audit.signed is None:
        return audit
    stored, trouble = list_files(store, f"{LOG}/tile")
    audit.findings += trouble
    bundles = -(-audit.signed.checkpoint.size // TILE_WIDTH)
    if bundles > 2 * len(stored) + _SPARE:
        # A size is only a number: what is read in its name is bounded by what is there.
        detail = f"{bundles} files are signed for, {len(stored)} are there"
        audit.add("entries-missing", "altered", f"{LOG}/tile/entries", detail)
        return audit
    entries = audit_tree(store, audit, step)
    if audit.tree is not None:
        audit_superseded(store, audit, entries, stored)
        _events(audit, entries, trust, step)
        _pending(store, audit)
    return audit


def _checkpoint(store: Store, audit: LogAudit) -> None:
    audit.known.update((CHECKPOINT, PENDING))
    # The pending one first: between the readings it may become the checkpoint.
    pending = fetch(store, PENDING, MAX_CHECKPOINT)
    raw = fetch(store, CHECKPOINT, MAX_CHECKPOINT, "checkpoint-missing")
    if isinstance(raw, Finding):
        audit.findings.append(raw)
    else:
        audit.raw = raw
        audit.signed = _parsed(raw)
        if audit.signed is None:
            audit.add("checkpoint-damaged", "altered", CHECKPOINT, "not a checkpoint")
    if isinstance(pending, Finding):
        if pending.code == "not-a-file":
            # Nothing is wrong with the log; but nobody can go on with it.
            audit.add("leftover", "note", PENDING, pending.detail)
        pending = b""
    pending = without_room(pending)
    if pending in (b"", raw):
        return
    audit.pending = _parsed(pending)
    if audit.pending is None:
        audit.add("pending-torn", "note", PENDING)
    elif any(one.code in _TORN for one in audit.findings):
        # What FAT leaves of a rename that the power interrupted: the next writer finishes.
        audit.findings.clear()
        audit.add("pending-commit", "note", PENDING, "the checkpoint itself is missing or torn")
        audit.signed = audit.pending
    else:
        audit.add("pending-commit", "note", PENDING)


def _parsed(raw: bytes) -> SignedCheckpoint | None:
    try:
        signed = parse_signed_checkpoint(raw)
    except FormatError:
        return None
    return signed if signed.checkpoint.size else None


def _events(
    audit: LogAudit,
    entries: Entries,
    trust: Callable[[bytes, MemoryTree], int],
    step: Callable[[str], None],
) -> None:
    assert audit.tree is not None
    assert audit.signed is not None
    size = audit.tree.size
    audit.complete = True
    first = entries.get(0)
    if first is not None:
        audit.vault = hashlib.sha256(first).digest()
        audit.trusted = trust(audit.vault, audit.tree)
    for seq in range(size):
        place = f"event {seq}"
        step(place)
        entry = entries.get(seq)
        if entry is None:
            audit.complete = False
            continue
        try:
            event = parse_event(entry)
        except UnsupportedVersionError as error:
            # A vault goes on in a later version only after an owner's event says so. Otherwise one
            # event that calls itself later would switch off the rules for all that follow.
            known = audit.later is not None or seq == 0
            audit.add("version", "note" if known else "contradicted", place, error.why)
            audit.later = audit.later or place
            audit.complete = False
            continue
        except FormatError as error:
            audit.add("event-malformed", "contradicted", place, error.why)
            audit.complete = False
            continue
        audit.events[seq] = event
        if seq >= audit.trusted:
            _check_event(audit, event, seq, place)
        if audit.complete:
            _check_order(audit, event)
            breaches = audit.custody.apply(event)
            if [breach.rule for breach in breaches] == ["version"]:
                # An owner's decision, which is no breach to software that knows the version.
                audit.add("version", "note", place, _of(event, breaches[0].detail))
                audit.later = audit.later or place
                continue
            for breach in breaches:
                audit.add(f"rule-{breach.rule}", "contradicted", place, _of(event, breach.detail))
    if not audit.complete:
        audit.add("custody-incomplete", "note", "log", "some events could not be read")
    elif audit.state.due is not None:
        audit.add("rule-epoch-due", "contradicted", f"event {size - 1}", "no epoch was opened")
    _signer(audit, size)
    _disputes(audit)


def _check_order(audit: LogAudit, event: Event) -> None:
    """Note a time before that of the last event. No rule is broken: clocks differ."""
    last = audit.events.get(event.seq - 1)
    # A coarse clock says the beginning of its step: the event may be as late as the step's end.
    if last is not None and event.time + audit.state.policy.clock <= last.time:
        detail = f"its time is {last.time - event.time} seconds before that of the event before it"
        audit.add("before-the-last", "note", f"event {event.seq}", _of(event, detail))


def _of(event: Event, detail: str) -> str:
    return f"{event.type}: {detail}" if detail else event.type


def _check_event(audit: LogAudit, event: Event, seq: int, place: str) -> None:
    assert audit.tree is not None
    try:
        check_event_signature(event)
    except SignatureError as error:
        audit.add("event-signature", "contradicted", place, error.why)
    if seq and event.head != audit.tree.root(seq):
        audit.add("head", "contradicted", place, "is not the root before it")
    match event.type, event.data:
        case "checkpoint.attested", {"size": int(size), "root": root} if 0 < size <= seq:
            if audit.tree.root(size) != root:
                audit.add("attested-root", "contradicted", place, f"not the root at size {size}")


def _disputes(audit: LogAudit) -> None:
    """Report the events that a removal, which came after them, declared doubtful."""
    for seq, event in audit.events.items():
        if audit.state.is_disputed(event.actor, seq):
            audit.add("disputed", "note", f"event {seq}", event.type)


def _signer(audit: LogAudit, size: int) -> None:
    """Check that the actor of the last event signed the checkpoint."""
    assert audit.signed is not None
    last = audit.events.get(size - 1)
    member = audit.state.members.get(last.actor) if last is not None else None
    if member is None:
        if audit.complete:
            audit.add("checkpoint-signer", "contradicted", CHECKPOINT, "not on the roster")
        else:
            audit.add("checkpoint-unchecked", "altered", CHECKPOINT, "its signer is not known")
        return
    try:
        check_checkpoint(
            audit.signed, member.keys.ed25519, member.keys.ml_dsa_44, origin=audit.state.origin
        )
    except VerificationError as error:
        # Bytes that no key signed are damage; they say nothing of what anyone signed.
        audit.add("checkpoint-signature", "altered", CHECKPOINT, error.why)
        return
    audit.signer = member.keys.ed25519


def _pending(store: Store, audit: LogAudit) -> None:
    """Report a pending checkpoint that may not count, or that a member signed and that this log
    does not contain.
    """
    pending, tree = audit.pending, audit.tree
    assert tree is not None
    if pending is None or pending is audit.signed:
        return
    head, signer = pending.checkpoint, signer_of(audit.state, pending)
    broken = _broken_by(store, audit, head)
    if not broken and signer is not None and signer.removed is not None:
        # Who was removed by event n signs nothing that has more events than that one.
        broken = "removed-member" if head.size > signer.removed + 1 else ""
    if broken:
        audit.findings[:] = [one for one in audit.findings if one.code != "pending-commit"]
        by = f"signed by {signer.keys.fingerprint.hex()}" if signer else "signed by no member"
        audit.add("pending-forbidden", "note", PENDING, f"{broken}; {by}")
    elif head.size <= tree.size and head.root != tree.root(head.size) and signer is not None:
        audit.add("fork", "contradicted", PENDING, fork_detail(pending, signer, audit))


def _broken_by(store: Store, audit: LogAudit, head: Checkpoint) -> str:
    """Return a rule that the events of a commit on its way break, and where; empty if they break
    none, or if they can't be read: then whoever writes next judges.
    """
    assert audit.tree is not None
    old = audit.tree.size
    if not audit.complete or head.size <= old:
        return ""
    tree, custody = MemoryTree(base=audit.tree, base_size=old), copy.deepcopy(audit.custody)
    found = []
    try:
        for seq, entry in enumerate(read_entries(store, old, head.size, head.size), old):
            tree.append(leaf_hash(entry))
            found += [(one.rule, seq) for one in custody.apply(parse_event(entry))]
    except (OSError, VaultError):
        return ""
    if custody.state.due is not None:
        found.append(("epoch-due", head.size - 1))
    rules = {rule for rule, _ in found}
    if tree.root() != head.root or rules <= {"version"}:
        return ""
    rule, seq = found[0]
    return f"{rule}, event {seq}"


def fork_detail(kept: SignedCheckpoint, signer: Member | None, audit: LogAudit) -> str:
    """Return what is to be said of a checkpoint that the log does not contain.

    Its ``signer`` is named only where the same key also signed this log beyond that place: a later
    event, by its ``head``, or the checkpoint. Otherwise two people may each have gone on in good
    faith from copies of their own, and to name one of them would be to take sides.
    """
    size = kept.checkpoint.size
    detail = f"another root after {size} events"
    if signer is None:
        return detail
    unsound = {one.place for one in audit.findings if one.code in ("event-signature", "head")}
    key = signer.keys.ed25519
    both = audit.signer == key or any(
        seq >= size and event.actor == key and f"event {seq}" not in unsound
        for seq, event in audit.events.items()
    )
    if not both:
        return detail
    return f"{detail}; the same key signed both: {signer.keys.fingerprint.hex()}"
