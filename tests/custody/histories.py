"""Logs in the making: events that are right in every respect but what a test asks for."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import vault.custody
from vault.age import HybridIdentity
from vault.codec import Packable
from vault.custody import Custody, Policy, State
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    Event,
    SealedFile,
    format_body,
    format_event,
    parse_event,
)
from vault.identity import Identity
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree

NOW: Final = 1_772_355_600
BUNDLE: Final = b"\xb1" * 16
HOLD: Final = b"\x0d" * 16


@cache
def person(number: int) -> Identity:
    """Return an identity with a fixed seed."""
    return Identity(bytes((number,)) * 32)


A, B, C, D = (person(number) for number in (1, 2, 3, 4))
"""A founds the vault; the others are whom a test makes of them."""


@cache
def recipient(number: int) -> bytes:
    """Return the raw recipient of an epoch."""
    return HybridIdentity.from_seed(number.to_bytes(32, "big")).recipient().to_bytes()


def epoch_id(number: int) -> bytes:
    """Return the id of an epoch."""
    return number.to_bytes(8, "big")


class History:
    """A log and what the custody rules make of it.

    ``event`` makes the next event, right in ``seq``, ``head``, ``closes``, ``prev`` and ``time``
    unless a keyword says otherwise. ``do`` takes an event that breaks nothing; ``refuses`` one that
    breaks exactly one rule, and sees to it that the event has no other effect.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.custody = Custody()
        self.tree = MemoryTree()
        self.signers: dict[bytes, Identity] = {}
        self.policy = policy or Policy()
        self.epochs = 0

    @property
    def state(self) -> State:
        """The state after what was taken so far."""
        return self.custody.state

    def event(
        self,
        actor: Identity,
        name: str,
        *,
        bundle: bytes | None = None,
        data: Mapping[str, Packable] | None = None,
        sealed: bytes | None = None,
        **changes: Any,
    ) -> Event:
        """Make the next event; ``sealed`` is the epoch of its fields, if it has any."""
        state, genesis = self.state, name == "vault.created"
        known = state.bundles.get(bundle) if bundle is not None else None
        values: dict[str, Any] = {
            "seq": self.tree.size,
            "time": NOW + self.tree.size * self.policy.clock - NOW % self.policy.clock,
            "vault": None if genesis else state.vault,
            "head": None if genesis else self.tree.root(),
            "bundle": bundle,
            "prev": known.last if known is not None and name != "bundle.sealed" else None,
            "closes": self.closing(actor) if not genesis else None,
            "fields": b"\xf1" * 32 if sealed is not None else None,
            "sealed": self.file("fields", sealed) if sealed is not None else None,
            **changes,
        }
        if bundle is not None and EVENT_TYPES[name].about_bundle and values["prev"] is None:
            values["prev"] = None if name == "bundle.sealed" else bytes(32)
        event = Event(type=name, actor=actor.ed25519, data=dict(data or {}), **values)  # type: ignore[arg-type]
        self.signers[actor.ed25519] = actor
        body = format_body(event)
        return parse_event(format_event(body, actor.sign_ed25519(EVENT_LABEL + body)))

    def digest(self, what: str) -> bytes:
        """Return the digest of a file that only the next event names."""
        return hashlib.sha256(f"{what} {self.tree.size}".encode()).digest()

    def file(self, what: str, epoch: bytes) -> SealedFile:
        """Return a file that only the next event names."""
        return SealedFile(self.digest(what), 4096, epoch)

    def closing(self, actor: Identity, signer: Identity | None = None) -> bytes | None:
        """Return the checkpoint that ``actor`` replaces, if another signed it."""
        last = self.state.last_actor
        if signer is None and (last == actor.ed25519 or not last):
            return None
        head = Checkpoint(self.state.origin, self.tree.size, self.tree.root())
        return sign_checkpoint(head, signer or self.signers[last])

    def take(self, event: Event) -> tuple[str, ...]:
        """Take an event; return the rules that it breaks."""
        judged = self.custody.broken(event)
        broken = self.custody.apply(event)
        assert judged == broken
        assert all((b.seq, b.type) == (self.tree.size, event.type) for b in broken)
        self.tree.append(event.leaf_hash)
        assert self.state.size == self.tree.size
        return tuple(breach.rule for breach in broken)

    def do(self, actor: Identity, name: str, /, **values: Any) -> Event:
        """Take an event that breaks no rule."""
        event = self.event(actor, name, **values)
        assert self.take(event) == ()
        return event

    def refuses(self, rule: str, actor: Identity, name: str, /, **values: Any) -> Event:
        """Take an event that breaks this rule alone, and changes nothing."""
        event = self.event(actor, name, **values)
        self.refuses_event(rule, event)
        return event

    def refuses_event(self, rule: str, event: Event) -> None:
        """Take this event, which breaks this rule alone, and changes nothing."""
        expected = self.after_nothing(event)
        assert self.take(event) == (rule,)
        assert self.state == expected

    def after_nothing(self, event: Event) -> State:
        """Return the state after an event that has no effect but its place."""
        state = copy.deepcopy(self.state)
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        if bundle is not None:
            bundle.chain.append(state.size)
            bundle.last = event.leaf_hash
        state.size += 1
        state.last_actor = event.actor
        return state

    # --- what every log begins with ---------------------------------------------------------

    def create(self, actor: Identity = A, **changes: Any) -> Event:
        """Take genesis."""
        return self.do(actor, "vault.created", data=self.genesis_data(actor), **changes)

    def genesis_data(self, actor: Identity) -> dict[str, Packable]:
        """Return the data of genesis."""
        keys, policy = actor.proven.to_data(), self.policy.to_data()
        return {"nonce": b"\x9e" * 32, "keys": keys, "policy": policy}

    def admission(self, who: Identity, roles: str, *, history: bool = True) -> dict[str, Packable]:
        """Return the data of an admission."""
        keys = who.proven.to_data()
        return {"keys": keys, "roles": tuple(sorted(roles.split())), "history": history}

    def admit(
        self, actor: Identity, who: Identity, roles: str, *, history: bool = True, **changes: Any
    ) -> Event:
        """Take an admission."""
        data = self.admission(who, roles, history=history)
        return self.do(actor, "member.admitted", data=data, **changes)

    def epoch(self, *, history: bool = True, number: int | None = None) -> dict[str, Packable]:
        """Return the data of the next epoch, for the readers there are now."""
        self.epochs += 1
        number = self.epochs if number is None else number
        return {
            "epoch": epoch_id(number),
            "recipient": recipient(number),
            "file": (bytes(31) + bytes((number,)), 1700),
            "readers": tuple(sorted(self.state.active("reader"))),
            "history": history,
        }

    def open_epoch(self, actor: Identity, *, history: bool = True, **changes: Any) -> Event:
        """Take the opening of an epoch."""
        return self.do(actor, "epoch.opened", data=self.epoch(history=history), **changes)

    def seal_data(self, **changes: Packable) -> dict[str, Packable]:
        """Return the data of a sealing."""
        newest = self.state.newest or bytes(8)
        return {
            "key": self.digest("key"),
            "key_file": self.file("key file", newest).to_value(),
            "parts": ((self.digest("part"), 16384),),
            "items": self.digest("items"),
            **changes,
        }

    def seal(self, actor: Identity, bundle: bytes = BUNDLE, **changes: Any) -> Event:
        """Take a sealing."""
        return self.do(actor, "bundle.sealed", bundle=bundle, data=self.seal_data(), **changes)

    def handover(self, giver: Identity, taker: Identity, bundle: bytes = BUNDLE) -> None:
        """Take a release and its acceptance."""
        release = self.do(giver, "custody.released", bundle=bundle, data={"to": taker.ed25519})
        self.do(
            taker,
            "custody.accepted",
            bundle=bundle,
            data={"release": release.seq, "rehashed": True},
        )


def young(policy: Policy | None = None) -> History:
    """Return a vault whose founder A reads as well, after its first commit."""
    history = History(policy)
    history.create()
    history.admit(A, A, "owner custodian reader")
    history.open_epoch(A)
    return history


def peopled(policy: Policy | None = None) -> History:
    """Return a vault with the owner A (all roles), the custodians B and C, the reader D."""
    history = young(policy)
    history.admit(A, B, "custodian")
    history.admit(A, C, "custodian")
    history.admit(A, D, "reader")
    history.open_epoch(A)
    return history


def held(policy: Policy | None = None) -> History:
    """Return such a vault with a bundle that B sealed and holds."""
    history = peopled(policy)
    history.seal(B)
    return history


def moved(event: Event, **changes: Any) -> Event:
    """Return an event with other outward values; its bytes stay, as the fold does not read them."""
    return replace(event, **changes)


@cache
def fold_rules() -> frozenset[str]:
    """Return every name of a rule that the fold can give."""
    found = set()
    for path in Path(vault.custody.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                rule = node.value.elts[0]
                assert isinstance(rule, ast.Constant)
                found.add(rule.value)
    return frozenset(found)
