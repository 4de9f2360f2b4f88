"""What shows of a vault without a key (``show --as-seized``), as one JSON object.

It holds every public byte of the log's events, but for signatures, proofs and signed notes, which
it names by digest: they tell nothing but that they verify.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from evault_cli.exposure_words import HIDDEN, NOT_LOOKED_AT
from evault_cli.render import emit_json, utc
from evault_cli.words import EVENTS

if TYPE_CHECKING:
    from vault.codec import Value
    from vault.event import Event
    from vault.exposed import Bundle, Exposure, Handover, Span, StoredFile, Worker
    from vault.tlog.checkpoint import SignedCheckpoint

__all__ = ["emit_exposure"]

_BY_DIGEST: Final = frozenset(("closes", "ed25519_proof", "ml_dsa_44_proof"))


def emit_exposure(found: Exposure, machine: Mapping[str, object]) -> None:
    """Write everything as one JSON object."""
    history = found.history
    state = history.state
    broken = history.broken
    emit_json(
        {
            "place": found.place,
            "vault": history.vault.hex() if history.vault is not None else None,
            "unreadable": [
                {"code": one.code, "place": one.place, "detail": one.detail}
                for one in found.trouble
            ],
            "files": [_file_record(found, file) for file in found.files],
            "replaced": dict(found.replaced),
            "checkpoint": _checkpoint_record(history.checkpoint),
            "pending": _checkpoint_record(history.pending),
            "events": [
                _event_record(found, event, broken.get(event.seq, [])) for event in history.events
            ],
            "policy": state.policy.to_data() if state.size else None,
            "members": [_member_record(found, key) for key in state.members],
            "epochs": [_epoch_record(found, epoch) for epoch in state.epochs],
            "bundles": [_bundle_record(found, bundle) for bundle in history.bundles],
            "tells": {
                "workers": [_worker_record(found, worker) for worker in history.workers],
                "events_of_type": dict(Counter(event.type for event in history.events)),
                "stored": sum(bundle.state.size for bundle in history.bundles),
            },
            "does_not_show": [*HIDDEN],
            "machine": dict(machine),
            "not_looked_at": [*NOT_LOOKED_AT],
        }
    )


def _nanoseconds(time: int) -> str:
    return f"{utc(time // 10**9).removesuffix('Z')}.{time % 10**9:09}Z"


def _file_record(found: Exposure, file: StoredFile) -> dict[str, object]:
    status = file.status
    record: dict[str, object] = {
        "name": file.name,
        "room": file.room,
        "kind": file.kind,
        "size": file.size,
        "event": found.logged.get(file.name),
        "begins": file.content,
        "target": file.target or None,
    }
    if status is not None:
        record |= {
            "modified": _nanoseconds(status.modified),
            "accessed": _nanoseconds(status.accessed),
            "changed": _nanoseconds(status.changed),
            "mode": f"{status.mode:04o}",
            "owner": status.owner,
            "group": status.group,
        }
    return record


def _digest_record(data: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _checkpoint_record(signed: SignedCheckpoint | None) -> dict[str, object] | None:
    if signed is None:
        return None
    return {
        "origin": signed.checkpoint.origin,
        "size": signed.checkpoint.size,
        "root": signed.checkpoint.root.hex(),
        "signatures": [
            {"name": one.name, "key_id": one.key_id.hex(), **_digest_record(one.data)}
            for one in signed.note.signatures
        ],
    }


def _public(name: str, value: Value) -> object:
    """Return a public value for JSON: bytes in hex, proofs and signed notes by digest."""
    if isinstance(value, bytes):
        return _digest_record(value) if name in _BY_DIGEST else value.hex()
    if isinstance(value, tuple):
        return [_public(name, one) for one in value]
    if isinstance(value, dict):
        return {key: _public(key, one) for key, one in value.items()}
    return value


def _span_record(span: Span | None) -> dict[str, int] | None:
    return {"low": span.low, "high": span.high} if span is not None else None


def _event_record(found: Exposure, event: Event, broken: list[str]) -> dict[str, object]:
    from vault.codec import unpack
    from vault.errors import FormatError
    from vault.tlog.checkpoint import parse_signed_checkpoint

    body = unpack(event.body)
    assert isinstance(body, dict)
    record: dict[str, object] = {name: _public(name, value) for name, value in body.items()}
    known = found.history.keys.get(event.actor)
    record |= {
        "what": EVENTS.get(event.type, event.type),
        "at": utc(event.time),
        "fingerprint": known.fingerprint.hex() if known is not None else None,
        "sig": _digest_record(event.sig),
        "private_bytes": _span_record(found.history.notes.get(event.seq)),
        "breaks": broken,
    }
    if event.closes is not None:
        try:
            closed = _checkpoint_record(parse_signed_checkpoint(event.closes))
        except FormatError:
            closed = None
        record["closed_checkpoint"] = closed
    return record


def _moment(found: Exposure, seq: int) -> dict[str, object]:
    """Return for JSON which event it was, what, when and by whom."""
    event = _event(found, seq)
    known = found.history.keys.get(event.actor)
    return {
        "event": seq,
        "type": event.type,
        "at": utc(event.time),
        "ed25519": event.actor.hex(),
        "fingerprint": known.fingerprint.hex() if known is not None else None,
    }


def _event(found: Exposure, seq: int) -> Event:
    # Roster and bundles are followed only as far as the events have no gap.
    return found.history.events[seq]


def _member_record(found: Exposure, key: bytes) -> dict[str, object]:
    member = found.history.state.members[key]
    return {
        "fingerprint": member.keys.fingerprint.hex(),
        "ed25519": key.hex(),
        "ml_dsa_44": member.keys.ml_dsa_44.hex(),
        "age": member.keys.recipient.to_string(),
        "roles": sorted(member.roles),
        "admitted": _moment(found, member.admitted),
        "removed": _moment(found, member.removed) if member.removed is not None else None,
        "doubtful_from": member.doubtful_from,
    }


def _epoch_record(found: Exposure, key: bytes) -> dict[str, object]:
    epoch = found.history.state.epochs[key]
    keys = found.history.keys
    return {
        "epoch": epoch.id.hex(),
        "opened": _moment(found, epoch.seq),
        "history": epoch.history,
        "file": {"sha256": epoch.sha256.hex(), "size": epoch.size},
        "readers": [
            {"ed25519": one.hex(), "fingerprint": keys[one].fingerprint.hex()}
            for one in sorted(epoch.readers)
        ],
    }


def _bundle_record(found: Exposure, bundle: Bundle) -> dict[str, object]:
    state = bundle.state
    chain = [_moment(found, seq) for seq in state.chain]

    def of(kind: str) -> list[dict[str, object]]:
        return [one for one in chain if one["type"] == kind]

    return {
        "bundle": state.id.hex(),
        "size": state.size,
        "parts": len(state.parts),
        "archive": _span_record(bundle.archive),
        "sealed": _moment(found, state.seq),
        "holder": {
            "ed25519": state.holder.hex(),
            "fingerprint": found.history.keys[state.holder].fingerprint.hex(),
        },
        "interrupted": state.interrupted,
        "holds": sorted(hold.hex() for hold in state.holds),
        "handovers": [
            {
                "released": _moment(found, one.release),
                "to": _receiver(found, one).hex(),
                "ended": _moment(found, one.end) if one.end is not None else None,
            }
            for one in bundle.handovers
        ],
        "opened": of("bundle.opened"),
        "consent_recorded": of("consent.recorded"),
        "destroyed": _moment(found, state.destroyed) if state.destroyed is not None else None,
        "chain": chain,
    }


def _receiver(found: Exposure, handover: Handover) -> bytes:
    to = _event(found, handover.release).data["to"]
    assert isinstance(to, bytes)
    return to


def _worker_record(found: Exposure, worker: Worker) -> dict[str, object]:
    known = found.history.keys.get(worker.key)
    return {
        "ed25519": worker.key.hex(),
        "fingerprint": known.fingerprint.hex() if known is not None else None,
        "events": worker.events,
        "first": utc(worker.first),
        "last": utc(worker.last),
        "days": worker.days,
        "hours": list(worker.hours),
        "bundles": worker.bundles,
        "stored": worker.stored,
    }
