"""Rules for bundles: sealing, holding, handing on, holds, destruction (docs/spec.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vault.custody.state import BundleState, Release, State
from vault.event import Event, SealedFile
from vault.layout import PART_SIZE

__all__ = ["APPLY", "RULES", "apply_sealed", "check_chain", "check_sealed", "sealed_files"]

Broken = Iterator[tuple[str, str]]


def check_sealed(state: State, event: Event) -> Broken:
    """``bundle.sealed``: a new id, sound part sizes, the key for the newest epoch."""
    if event.bundle in state.bundles:
        yield "bundle-once", ""
    parts, _, key_file, _ = _seal(event)
    if any(size != PART_SIZE for _, size in parts[:-1]) or not 0 < parts[-1][1] <= PART_SIZE:
        yield "part-sizes", ""
    if key_file.epoch != state.newest:
        yield "epoch-newest", "key file"


def _seal(event: Event) -> tuple[tuple[tuple[bytes, int], ...], bytes, SealedFile, bytes]:
    match event.data:
        case {
            "parts": tuple(parts),
            "key": bytes(key),
            "key_file": (bytes(sha256), int(size), bytes(epoch)),
            "items": bytes(items),
        }:
            pairs = tuple((bytes(one[0]), int(one[1])) for one in parts)  # type: ignore[index, arg-type]
            return pairs, key, SealedFile(sha256, size, epoch), items
    raise AssertionError("the schema was checked")


def sealed_files(event: Event) -> tuple[bytes, ...]:
    """Return the digests of a bundle's key, key file and parts."""
    parts, key, key_file, _ = _seal(event)
    return key, key_file.sha256, *(sha256 for sha256, _ in parts)


def apply_sealed(state: State, event: Event) -> None:
    """The sealer is the first holder."""
    assert event.bundle is not None
    parts, key, key_file, items = _seal(event)
    state.bundles[event.bundle] = BundleState(
        id=event.bundle,
        seq=event.seq,
        sealer=event.actor,
        time=event.time,
        parts=parts,
        key=key,
        key_file=key_file,
        items=items,
        holder=event.actor,
        last=event.leaf_hash,
        chain=[event.seq],
        holders=[(event.seq, event.actor)],
    )


def check_chain(bundle: BundleState, event: Event) -> Broken:
    """Every later event: it follows the bundle's last, and only notes follow destruction."""
    if event.prev != bundle.last:
        yield "prev", ""
    if bundle.destroyed is not None and event.type != "bundle.noted":
        yield "destroyed", str(bundle.destroyed)


def _open_release(bundle: BundleState, event: Event) -> Release | None:
    return (
        bundle.release if bundle.release and event.data["release"] == bundle.release.seq else None
    )


def _expired(release: Release, time: int) -> bool:
    return release.expires is not None and time > release.expires


def _check_released(state: State, bundle: BundleState, event: Event) -> Broken:
    if event.actor != bundle.holder:
        yield "holder", ""
    if bundle.release is not None and not _expired(bundle.release, event.time):
        yield "release-open", str(bundle.release.seq)
    if bundle.interrupted:
        yield "interrupted", ""
    to = event.data["to"]
    assert isinstance(to, bytes)
    if to == event.actor or state.member(to) is None:
        yield "release-to", to.hex()


def _apply_released(_: State, bundle: BundleState, event: Event) -> None:
    to, expires = event.data["to"], event.data.get("expires")
    assert isinstance(to, bytes)
    bundle.release = Release(
        event.seq, event.actor, to, expires if isinstance(expires, int) else None
    )


def _check_accepted(_: State, bundle: BundleState, event: Event) -> Broken:
    if event.type == "custody.accepted" and bundle.interrupted:
        yield "interrupted", ""
    release = _open_release(bundle, event)
    if release is None:
        yield "release-unknown", str(event.data["release"])
        return
    if release.to != event.actor:
        yield "recipient", ""
    if event.type == "custody.accepted":
        if _expired(release, event.time):
            yield "release-expired", str(release.expires)
        if not event.data["rehashed"]:
            yield "rehash", ""


def _take(bundle: BundleState, event: Event) -> None:
    bundle.release = None
    bundle.holder = event.actor
    bundle.holders.append((event.seq, event.actor))
    # What was asked of one holder, and approved, does not bind or free the next.
    bundle.request = None
    bundle.approval = None


def _apply_accepted(_: State, bundle: BundleState, event: Event) -> None:
    _take(bundle, event)


def _close_release(_: State, bundle: BundleState, event: Event) -> None:
    del event
    bundle.release = None


def _check_recalled(_: State, bundle: BundleState, event: Event) -> Broken:
    if _open_release(bundle, event) is None:
        yield "release-unknown", str(event.data["release"])
    elif event.actor != bundle.holder:
        yield "holder", ""


def _check_assumed(state: State, bundle: BundleState, event: Event) -> Broken:
    del event
    holder = state.member(bundle.holder)
    # Who is no custodian can't hand on what she holds.
    if holder is not None and "custodian" in holder.roles and not bundle.interrupted:
        yield "holder-answers", bundle.holder.hex()


def _apply_assumed(_: State, bundle: BundleState, event: Event) -> None:
    bundle.interrupted = False
    _take(bundle, event)


def _check_interrupted(_: State, bundle: BundleState, event: Event) -> Broken:
    if bundle.interrupted == (event.data["state"] == "interrupted"):
        yield "interruption", ""


def _apply_interrupted(_: State, bundle: BundleState, event: Event) -> None:
    bundle.interrupted = event.data["state"] == "interrupted"


def _hold(event: Event) -> bytes:
    hold = event.data["hold"]
    assert isinstance(hold, bytes)
    return hold


def _check_placed(_: State, bundle: BundleState, event: Event) -> Broken:
    if _hold(event) in bundle.holds:
        yield "hold-once", ""


def _apply_placed(_: State, bundle: BundleState, event: Event) -> None:
    bundle.holds.add(_hold(event))


def _check_lifted(_: State, bundle: BundleState, event: Event) -> Broken:
    if _hold(event) not in bundle.holds:
        yield "hold-unknown", _hold(event).hex()


def _apply_lifted(_: State, bundle: BundleState, event: Event) -> None:
    bundle.holds.discard(_hold(event))


def _check_requested(_: State, bundle: BundleState, event: Event) -> Broken:
    del event
    if bundle.holds:
        yield "hold", ""


def _apply_requested(_: State, bundle: BundleState, event: Event) -> None:
    bundle.request = (event.seq, event.actor)
    bundle.approval = None


def _check_approved(_: State, bundle: BundleState, event: Event) -> Broken:
    if bundle.request is None or bundle.request[0] != event.data["request"]:
        yield "request-unknown", str(event.data["request"])
    elif bundle.request[1] == event.actor:
        yield "own-request", ""


def _apply_approved(_: State, bundle: BundleState, event: Event) -> None:
    bundle.approval = event.seq


def _check_destroyed(state: State, bundle: BundleState, event: Event) -> Broken:
    if event.actor != bundle.holder:
        yield "holder", ""
    if bundle.holds:
        yield "hold", ""
    if bundle.release is not None and not _expired(bundle.release, event.time):
        yield "release-open", str(bundle.release.seq)
    named = (event.data.get("request"), event.data.get("approval"))
    stands = (bundle.request[0] if bundle.request else None, bundle.approval)
    if state.policy.two_person_destroy and None in named:
        yield "two-person", ""
    if named not in ((None, None), stands):
        yield "request-unknown", ""


def _apply_destroyed(_: State, bundle: BundleState, event: Event) -> None:
    bundle.release = None
    bundle.destroyed = event.seq


Check = Callable[[State, BundleState, Event], Broken]
Apply = Callable[[State, BundleState, Event], None]

RULES: dict[str, Check] = {
    "custody.released": _check_released,
    "custody.accepted": _check_accepted,
    "custody.declined": _check_accepted,
    "custody.recalled": _check_recalled,
    "custody.assumed": _check_assumed,
    "custody.interrupted": _check_interrupted,
    "hold.placed": _check_placed,
    "hold.lifted": _check_lifted,
    "destruction.requested": _check_requested,
    "destruction.approved": _check_approved,
    "bundle.destroyed": _check_destroyed,
}

APPLY: dict[str, Apply] = {
    "custody.released": _apply_released,
    "custody.accepted": _apply_accepted,
    "custody.declined": _close_release,
    "custody.recalled": _close_release,
    "custody.assumed": _apply_assumed,
    "custody.interrupted": _apply_interrupted,
    "hold.placed": _apply_placed,
    "hold.lifted": _apply_lifted,
    "destruction.requested": _apply_requested,
    "destruction.approved": _apply_approved,
    "bundle.destroyed": _apply_destroyed,
}
