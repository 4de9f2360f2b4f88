"""Rules for members, epochs and the vault itself (docs/spec.md, "Custody rules")."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from vault.custody.state import Epoch, Grant, Member, Policy, Rekeying, State
from vault.errors import FormatError, VerificationError
from vault.event import MAX_READERS, Event
from vault.identity import ProvenKeys, check_possession
from vault.tlog import note

__all__ = ["APPLY", "RULES", "apply_created", "changes_readers", "check_created", "vault_id"]

Broken = Iterator[tuple[str, str]]
"""The stable name of each rule that an event breaks, and what stood against it."""


def _check_keys(state: State, proven: ProvenKeys, origin: str) -> Broken:
    try:
        check_possession(proven)
    except (FormatError, VerificationError) as error:
        yield "possession", str(error)
    keys = proven.keys
    ids = {
        note.key_id(origin, note.ED25519, keys.ed25519),
        note.key_id(origin, note.ML_DSA_44, keys.ml_dsa_44),
    }
    if len(ids) != 2:
        yield "key-id-collision", "with itself"
    for member in state.members.values():
        other = member.keys
        if other == keys:
            continue
        if other.ed25519 == keys.ed25519 or {other.ml_dsa_44, other.age} & {
            keys.ml_dsa_44,
            keys.age,
        }:
            yield "key-reused", other.fingerprint.hex()
        elif ids & {
            note.key_id(origin, note.ED25519, other.ed25519),
            note.key_id(origin, note.ML_DSA_44, other.ml_dsa_44),
        }:
            yield "key-id-collision", other.fingerprint.hex()


def check_created(state: State, event: Event) -> Broken:
    """Check genesis: the first event, by the identity whose keys it carries."""
    if state.size:
        yield "genesis-once", ""
    proven = ProvenKeys.from_data(event.data["keys"])
    if proven.keys.ed25519 != event.actor:
        yield "genesis-actor", ""
    yield from _check_keys(State(), proven, f"evidence-vault/{vault_id(event).hex()}")


def vault_id(genesis: Event) -> bytes:
    """Return the vault id: SHA-256 of the genesis leaf's bytes, without length prefix."""
    return hashlib.sha256(genesis.leaf).digest()


def apply_created(state: State, event: Event) -> None:
    """Genesis: the initialiser is owner and custodian, and readers are due."""
    state.vault = vault_id(event)
    state.policy = _policy(event)
    proven = ProvenKeys.from_data(event.data["keys"])
    roles = frozenset(("owner", "custodian"))
    state.members[event.actor] = Member(proven, roles, (event.seq,))
    state.due = event.actor
    _wait(state, event)


def _policy(event: Event) -> Policy:
    value = event.data["policy"]
    assert isinstance(value, dict)
    clock, two = value["clock"], value["two_person_destroy"]
    assert isinstance(clock, int)
    return Policy(clock, bool(two))


def _wait(state: State, event: Event) -> None:
    # The fields of an event that changes the readers are for the readers after it.
    if event.sealed is not None:
        state.waiting.append((event.seq, event.sealed.epoch))


def _admission(event: Event) -> tuple[ProvenKeys, frozenset[str]]:
    roles = event.data["roles"]
    assert isinstance(roles, tuple)
    return ProvenKeys.from_data(event.data["keys"]), frozenset(str(role) for role in roles)


def changes_readers(state: State, event: Event) -> bool:
    """Whether the event makes someone a reader, or no longer one; such an event opens an epoch."""
    if event.type == "member.admitted":
        proven, roles = _admission(event)
        before = state.member(proven.keys.ed25519)
        was = before is not None and "reader" in before.roles
        return was != ("reader" in roles)
    if event.type == "member.removed":
        gone = state.member(bytes(event.data["member"]))  # type: ignore[arg-type]
        return gone is not None and "reader" in gone.roles
    return False


def _other_owners(state: State, key: bytes) -> bool:
    return any(owner != key for owner in state.active("owner"))


def _check_admitted(state: State, event: Event) -> Broken:
    proven, roles = _admission(event)
    key = proven.keys.ed25519
    known = state.members.get(key)
    if known is not None and not known.active:
        yield "removed-key-returns", ""
    yield from _check_keys(state, proven, state.origin)
    if known is not None and known.active and "owner" in known.roles - roles:
        if not _other_owners(state, key):
            yield "last-owner", ""
        elif event.actor == key:
            yield "second-owner", ""
    readers = set(state.active("reader"))
    if "reader" in roles and len(readers | {key}) > MAX_READERS:
        yield "reader-limit", str(MAX_READERS)
    if "reader" not in roles and readers == {key}:
        yield "last-reader", ""


def _apply_admitted(state: State, event: Event) -> None:
    proven, roles = _admission(event)
    key = proven.keys.ed25519
    if changes_readers(state, event):
        state.due = event.actor
        state.withheld |= "reader" in roles and not event.data["history"]
    before = state.members.get(key)
    earlier = before.admissions if before is not None else ()
    state.members[key] = Member(proven, roles, (*earlier, event.seq))


def _check_removed(state: State, event: Event) -> Broken:
    key = event.data["member"]
    assert isinstance(key, bytes)
    member = state.member(key)
    if member is None:
        yield "member-unknown", key.hex()
        return
    if "owner" in member.roles:
        if not _other_owners(state, key):
            yield "last-owner", ""
        elif event.actor == key:
            yield "second-owner", ""
    if set(state.active("reader")) == {key}:
        yield "last-reader", ""
    doubtful = event.data.get("doubtful_from")
    if isinstance(doubtful, int) and doubtful > event.seq:
        yield "doubtful-from", str(doubtful)


def _apply_removed(state: State, event: Event) -> None:
    key, doubtful = event.data["member"], event.data.get("doubtful_from")
    assert isinstance(key, bytes)
    if changes_readers(state, event):
        state.due = event.actor
    state.members[key].removed = event.seq
    state.members[key].doubtful_from = doubtful if isinstance(doubtful, int) else None


def _epoch(event: Event) -> Epoch:
    match event.data:
        case {
            "epoch": bytes(epoch),
            "recipient": bytes(recipient),
            "file": (bytes(sha256), int(size)),
            "readers": tuple(readers),
            "history": bool(history),
        }:
            keys = frozenset(key for key in readers if isinstance(key, bytes))
            return Epoch(epoch, recipient, sha256, size, keys, history, event.seq)
    raise AssertionError("the schema was checked")


def _check_epoch(state: State, event: Event) -> Broken:
    epoch = _epoch(event)
    if epoch.id in state.epochs:
        yield "epoch-unique", epoch.id.hex()
    if epoch.readers != set(state.active("reader")):
        yield "epoch-readers", ""
    used = {other.recipient for other in state.epochs.values()}
    used |= {member.keys.age for member in state.members.values()}
    if epoch.recipient in used:
        yield "epoch-recipient", ""
    previous = state.epochs[state.newest] if state.newest is not None else None
    if (
        epoch.history
        and previous is not None
        and (state.withheld or event.actor not in previous.readers)
    ):
        yield "epoch-history", ""
    waiting = [*state.waiting]
    if event.sealed is not None:
        waiting.append((event.seq, event.sealed.epoch))
    for seq, named in waiting:
        if named != epoch.id:
            yield "epoch-newest", f"fields of event {seq}"


def _apply_epoch(state: State, event: Event) -> None:
    epoch = _epoch(event)
    state.epochs[epoch.id] = epoch
    state.newest = epoch.id
    state.due = None
    state.withheld = False
    state.waiting.clear()


def _check_history(state: State, event: Event) -> Broken:
    reader, epochs = event.data["reader"], event.data["epochs"]
    assert isinstance(reader, bytes)
    assert isinstance(epochs, tuple)
    member = state.member(reader)
    if member is None or "reader" not in member.roles:
        yield "history-reader", reader.hex()
    for epoch in epochs:
        if epoch not in state.epochs or epoch in state.shredded:
            yield "epoch-unknown", bytes(epoch).hex()  # type: ignore[arg-type]


def _apply_history(state: State, event: Event) -> None:
    match event.data:
        case {
            "reader": bytes(reader),
            "epochs": tuple(epochs),
            "file": (bytes(sha256), int(size)),
        }:
            ids = tuple(epoch for epoch in epochs if isinstance(epoch, bytes))
            state.grants.append(Grant(reader, ids, sha256, size))
        case _:
            raise AssertionError("the schema was checked")


def _rekeying(event: Event) -> tuple[str, bytes, bytes, int]:
    match event.data:
        case {
            "stage": str(stage),
            "epoch": bytes(epoch),
            "manifest": (bytes(sha256), int(size)),
        }:
            return stage, epoch, sha256, size
    raise AssertionError("the schema was checked")


def _check_rekeyed(state: State, event: Event) -> Broken:
    stage, epoch, manifest, size = _rekeying(event)
    known = state.rekeyings.get(manifest)
    if stage == "written":
        if known is not None:
            yield "rekey-once", manifest.hex()
        if epoch != state.newest:
            yield "epoch-newest", ""
        return
    if known is None or (known.epoch, known.size) != (epoch, size):
        yield "rekey-unknown", manifest.hex()
        return
    if stage == "pruned":
        if known.confirmed is None:
            yield "rekey-unconfirmed", ""
        if known.pruned is not None:
            yield "rekey-once", manifest.hex()
        return
    if known.confirmed is not None:
        yield "rekey-once", manifest.hex()
    if event.actor == known.by and any(key != known.by for key in state.active("reader")):
        yield "second-reader", ""


def _apply_rekeyed(state: State, event: Event) -> None:
    stage, epoch, manifest, size = _rekeying(event)
    if stage == "written":
        state.rekeyings[manifest] = Rekeying(manifest, size, epoch, event.actor, event.seq)
    elif stage == "confirmed":
        state.rekeyings[manifest].confirmed = event.seq
    else:
        state.rekeyings[manifest].pruned = event.seq


def _shredded(event: Event) -> set[bytes]:
    epochs = event.data["epochs"]
    assert isinstance(epochs, tuple)
    return {epoch for epoch in epochs if isinstance(epoch, bytes)}


def _check_shredded(state: State, event: Event) -> Broken:
    epochs = _shredded(event)
    unknown = epochs - state.epochs.keys() | epochs & state.shredded
    if unknown:
        yield "epoch-unknown", min(unknown).hex()
        return
    for epoch in state.epochs.keys() - epochs - state.shredded:
        held = epochs.intersection(state.held_by(epoch))
        if held:
            yield "epoch-held", epoch.hex()
    if state.newest in epochs:
        yield "epoch-newest", ""
    closed = state.closes(epochs)
    if closed:
        # Files that open one of them go, and may open others: a grant names any epochs.
        yield "epoch-needed", min(closed).hex()
    # What was not encrypted again to a later key would be lost: a destruction under no rule.
    order = [*state.epochs]
    last = max(order.index(epoch) for epoch in epochs)
    rekeyings = state.rekeyings.values()
    saved = any(order.index(rekeying.epoch) > last for rekeying in rekeyings)
    if not saved or any(rekeying.pruned is None for rekeying in rekeyings):
        yield "rekey-unfinished", ""


def _apply_shredded(state: State, event: Event) -> None:
    state.shredded |= _shredded(event)


def _check_policy(state: State, event: Event) -> Broken:
    if state.policy.two_person_destroy and not _policy(event).two_person_destroy:
        yield "policy-loosened", ""


def _check_upgraded(state: State, event: Event) -> Broken:
    del state
    if event.data["version"] != 1:
        yield "version", str(event.data["version"])


def _check_attested(state: State, event: Event) -> Broken:
    size = event.data["size"]
    assert isinstance(size, int)
    if not 0 < size <= state.size:
        yield "attested-size", str(size)


def _apply_policy(state: State, event: Event) -> None:
    state.policy = _policy(event)


RULES = {
    "member.admitted": _check_admitted,
    "member.removed": _check_removed,
    "epoch.opened": _check_epoch,
    "epoch.shredded": _check_shredded,
    "history.granted": _check_history,
    "vault.policy": _check_policy,
    "vault.rekeyed": _check_rekeyed,
    "vault.upgraded": _check_upgraded,
    "checkpoint.attested": _check_attested,
}

APPLY = {
    "member.admitted": _apply_admitted,
    "member.removed": _apply_removed,
    "epoch.opened": _apply_epoch,
    "epoch.shredded": _apply_shredded,
    "history.granted": _apply_history,
    "vault.policy": _apply_policy,
    "vault.rekeyed": _apply_rekeyed,
}
