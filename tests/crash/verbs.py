"""Every verb that writes, over a small vault on a disk: the work that is killed, cut and replayed.

A ``Verb`` is one library call in a folder that ``prepare`` has made ready. It is deterministic but
for the random bytes of the vault, needs nothing of the process that prepared it, and can so be run
in a child that is killed. ``run`` returns when the event is acknowledged.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.rooms.house import HANDOVER, KAI, MINA, NAMES, NOOR, NOW, OWNER, STRANGER, House, build
from vault import Identity, LocalStore, Vault
from vault.auditing import audit, record_audit
from vault.custody import Policy
from vault.destruction import approve_destruction, destroy, request_destruction
from vault.errors import StateError
from vault.handover import accept, assume, decline, interrupt, recall, release
from vault.membership import admit, grant_history, remove
from vault.recovery import drill, split_identity
from vault.rekeying import confirm, prune, rekey, shred
from vault.tending import tend
from vault.terms import lift_hold, place_hold, record_consent

__all__ = ["UNWRITTEN", "VERBS", "Verb", "first_bundle", "write_again"]

WHY: Final = {"authority": "court order 7", "reason": "the witness asked"}
_DAY: Final = datetime.date(2026, 3, 1)
_CONTENT: Final = bytes(range(256)) * 40


@dataclass(frozen=True, slots=True)
class Verb:
    """One way to write. ``prepare`` is given an empty folder's path, and makes the vault there."""

    name: str
    prepare: Callable[[Path], object]
    run: Callable[[Path], object]
    deletes_alone: bool = False
    """Whether only the same verb deletes what it was stopped from deleting: no other identity could
    open the new files first, to see that the old ones are not needed.
    """


def first_bundle(house: House) -> bytes:
    """Return the bundle that was sealed first."""
    with house.open() as vault:
        return next(iter(vault.state.bundles))


def write_again(path: Path) -> None:
    """Write an event as the owner: what must work after whatever happened."""
    with House(path).open(OWNER) as vault:
        vault.append("vault.noted", fields={"text": "after the fault"})


def _house(path: Path, policy: Policy | None = None) -> House:
    house = build(path, policy)
    house.seal(MINA, _CONTENT, title="the first")
    return house


def _sealed(path: Path) -> None:
    _house(path)


def _released(path: Path) -> None:
    house = _house(path)
    with house.open(MINA) as vault:
        release(vault, [first_bundle(house)], KAI.ed25519, fields=HANDOVER)


def _left(path: Path) -> None:
    house = _house(path)
    with house.open(OWNER) as vault:
        remove(vault, vault.state.members[MINA.ed25519], cause="compromised", fields=WHY)


def _held(path: Path) -> None:
    house = _house(path)
    with house.open(MINA) as vault:
        place_hold(vault, [first_bundle(house)], **WHY)


def _requested(path: Path) -> None:
    house = _house(path, Policy(two_person_destroy=True))
    with house.open(MINA) as vault:
        request_destruction(vault, first_bundle(house), fields=WHY)


def _approved(path: Path) -> None:
    _requested(path)
    House(path).do(OWNER, lambda vault: _approve(vault, next(iter(vault.state.bundles))))


def _destroyed_halfway(path: Path) -> None:
    """Leave what a destruction whose process was killed leaves: the event, and all its files."""
    house = _house(path)
    kept = {name: data for name, data in house.files().items() if name.startswith("bundles/")}
    with house.open(MINA) as vault:
        destroy(vault, first_bundle(house), fields=WHY)
    for name, data in kept.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _renewing(path: Path) -> House:
    """Open a new epoch without the first one's line, so that the first can be shredded."""
    house = _house(path)
    with house.open(OWNER) as vault:
        shred(vault, next(iter(vault.state.epochs)))
    return house


def _rekeyed(path: Path) -> House:
    house = _renewing(path)
    house.do(MINA, rekey)
    return house


def _confirmed(path: Path) -> House:
    house = _rekeyed(path)
    house.do(NOOR, confirm)
    return house


def _pruned(path: Path) -> None:
    house = _confirmed(path)
    house.do(MINA, prune)


def _found(path: Path) -> None:
    card = MINA.card(NAMES[MINA], _DAY)
    Vault.create(
        LocalStore.make(path),
        identity=OWNER,
        readers=[card],
        fields={"member.name": NAMES[OWNER]},
        clock=lambda: NOW,
    ).close()


def _open(path: Path) -> None:
    house = House(path)
    bundle = first_bundle(house)
    with house.open(MINA) as vault, vault.open_item(bundle, 0, purpose="a look") as item:
        if item.read() != _CONTENT:
            raise AssertionError("not what was sealed")


def _record(path: Path) -> None:
    with House(path).open(MINA) as vault:
        record_audit(vault, audit(path, identity=MINA))


def _withheld(path: Path) -> None:
    house = _house(path)
    with house.open(OWNER) as vault:
        admit(vault, STRANGER.card("Fifth", _DAY), ("reader",), history=False)


def _drill(path: Path) -> None:
    with House(path).open(MINA) as vault:
        drill(vault, split_identity(MINA, 2, 3)[:2])


def _on_first(who: Identity, call: Callable[[Vault, bytes], object]) -> Callable[[Path], object]:
    """Return a verb of ``who`` on the bundle that was sealed first."""
    return _as(who, lambda vault: call(vault, next(iter(vault.state.bundles))))


def _as(who: Identity, call: Callable[[Vault], object]) -> Callable[[Path], object]:
    def run(path: Path) -> object:
        with House(path).open(who) as vault:
            return call(vault)

    return run


def _stepping(who: Identity, call: Callable[[Vault], Any]) -> Callable[[Path], object]:
    """Return a step of a rekeying. What it could not open it returns, and then writes nothing."""

    def run(path: Path) -> object:
        done = _as(who, call)(path)
        if not done.events:  # type: ignore[attr-defined]
            raise StateError(str(path), "nothing was written")
        return done

    return run


def _shred_last(path: Path) -> object:
    done = _as(OWNER, lambda vault: shred(vault, _first_epoch(vault)))(path)
    if done.next != "done":  # type: ignore[attr-defined]
        raise StateError(str(path), "not shredded yet")
    return done


def _seal(path: Path) -> None:
    House(path).seal(MINA, _CONTENT, title="the second")


def _tend(path: Path) -> None:
    tend(LocalStore(path))


def _empty(path: Path) -> None:
    del path


def _approve(vault: Vault, bundle: bytes) -> object:
    request = vault.state.bundles[bundle].request
    assert request is not None
    return approve_destruction(vault, bundle, request[0], fields=WHY)


def _first_epoch(vault: Vault) -> bytes:
    return next(iter(vault.state.epochs))


def _note(vault: Vault, bundle: bytes) -> object:
    return vault.append("bundle.noted", bundle=bundle, fields={"text": "of this one"})


def _coarsen(vault: Vault) -> object:
    return vault.append("vault.policy", data={"policy": Policy(clock=60).to_data()})


UNWRITTEN: Final = frozenset(
    ("vault.upgraded", "checkpoint.attested", "bundle.disclosed", "custody.receipted")
)
"""The types of events that no verb writes yet."""

VERBS: Final = (
    Verb("create", _empty, _found),
    Verb("note", _sealed, write_again),
    Verb("note BUNDLE", _sealed, _on_first(OWNER, _note)),
    Verb("policy", _sealed, _as(OWNER, _coarsen)),
    Verb("seal", _sealed, _seal),
    Verb("open", _sealed, _open),
    Verb("verify --record", _sealed, _record),
    Verb(
        "admit",
        _sealed,
        _as(OWNER, lambda vault: admit(vault, STRANGER.card("Fifth", _DAY), ("reader",))),
    ),
    Verb(
        "remove",
        _sealed,
        _as(OWNER, lambda vault: remove(vault, vault.state.members[NOOR.ed25519], cause="left")),
    ),
    Verb(
        "grant",
        _withheld,
        _as(MINA, lambda vault: grant_history(vault, vault.state.members[STRANGER.ed25519])),
    ),
    Verb(
        "release",
        _sealed,
        _on_first(MINA, lambda vault, one: release(vault, [one], KAI.ed25519, fields=HANDOVER)),
    ),
    Verb("accept", _released, _on_first(KAI, lambda v, one: accept(v, [one], fields=HANDOVER))),
    Verb("decline", _released, _on_first(KAI, lambda v, one: decline(v, [one], reason="damp"))),
    Verb("recall", _released, _on_first(MINA, lambda v, one: recall(v, [one], reason="late"))),
    Verb(
        "interrupt",
        _sealed,
        _on_first(MINA, lambda v, one: interrupt(v, [one], cause="seized", reason="a search")),
    ),
    Verb("assume", _left, _on_first(OWNER, lambda vault, one: assume(vault, [one], **WHY))),
    Verb("hold", _sealed, _on_first(MINA, lambda vault, one: place_hold(vault, [one], **WHY))),
    Verb("hold --lift", _held, _on_first(MINA, lambda vault, one: lift_hold(vault, [one], **WHY))),
    Verb(
        "consent",
        _sealed,
        _on_first(MINA, lambda vault, one: record_consent(vault, [one], "withdrawn")),
    ),
    Verb(
        "destroy --request",
        _sealed,
        _on_first(MINA, lambda vault, one: request_destruction(vault, one, fields=WHY)),
    ),
    Verb("destroy --approve", _requested, _on_first(OWNER, _approve)),
    Verb("destroy", _sealed, _on_first(MINA, lambda vault, one: destroy(vault, one, fields=WHY))),
    Verb(
        "destroy, approved",
        _approved,
        _on_first(MINA, lambda vault, one: destroy(vault, one, fields=WHY)),
    ),
    Verb("doctor", _destroyed_halfway, _tend),
    Verb("rekey --shred", _sealed, _as(OWNER, lambda vault: shred(vault, _first_epoch(vault)))),
    Verb("rekey", _renewing, _stepping(MINA, rekey)),
    Verb("rekey --confirm", _rekeyed, _stepping(NOOR, confirm)),
    Verb("rekey --prune", _confirmed, _stepping(MINA, prune), deletes_alone=True),
    Verb(
        "rekey --shred, last",
        _pruned,
        _shred_last,
    ),
    Verb("recover drill", _sealed, _drill),
)
"""In the order in which a vault meets them. Between them they write every type of event but those
that no verb writes yet."""
