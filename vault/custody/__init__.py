"""The custody rules: a pure fold of events into a state, and what each event may not do.

:class:`Custody` takes events in the order of the log. :meth:`Custody.broken` says which rules an
event would break, without changing anything; :meth:`Custody.apply` takes it. An event that breaks a
rule takes its place in the sequence and in its bundle's chain, and has no other effect. Signatures,
heads and files are not looked at here: the log and the audit do that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from vault.custody import holding, roster
from vault.custody.holding import sealed_files
from vault.custody.roster import changes_readers, vault_id
from vault.custody.signers import signer_of
from vault.custody.state import BundleState, Epoch, Grant, Member, Policy, Rekeying, Release, State
from vault.errors import FormatError, VerificationError
from vault.event import Event
from vault.tlog import checkpoint

__all__ = [
    "Breach",
    "BundleState",
    "Custody",
    "Epoch",
    "Grant",
    "Member",
    "Policy",
    "Rekeying",
    "Release",
    "State",
    "changes_readers",
    "signer_of",
    "vault_id",
]

_READER_CHANGES = frozenset(("member.admitted", "member.removed", "epoch.opened"))


@final
@dataclass(frozen=True, slots=True)
class Breach:
    """A rule (a stable name) that event number ``seq`` breaks; ``detail`` may be empty."""

    rule: str
    seq: int
    type: str
    detail: str = ""


@final
class Custody:
    """The fold. ``state`` is the state after the events applied so far."""

    def __init__(self) -> None:
        self.state = State()

    def broken(self, event: Event) -> tuple[Breach, ...]:
        """Return every rule that ``event`` would break as the next one."""
        seq, rules = self.state.size, self._rules(event)
        return tuple(Breach(rule, seq, event.type, detail) for rule, detail in rules)

    def apply(self, event: Event) -> tuple[Breach, ...]:
        """Take ``event`` as the next one; return every rule that it breaks."""
        state = self.state
        broken = self.broken(event)
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        if not broken:
            self._apply(event)
        if bundle is not None:
            bundle.chain.append(state.size)
            bundle.last = event.leaf_hash
        state.size += 1
        state.last_actor = event.actor
        return broken

    def _rules(self, event: Event) -> Iterator[tuple[str, str]]:
        state = self.state
        if event.seq != state.size:
            yield "sequence", f"at {state.size}"
        if event.type == "vault.created":
            yield from roster.check_created(state, event)
            return
        if event.vault != state.vault:
            yield "other-vault", ""
        if event.time % state.policy.clock:
            yield "clock", str(state.policy.clock)
        yield from self._check_closes(event)
        yield from self._check_actor(event)
        yield from self._check_epoch(event)
        for digest in _private_files(event):
            if digest in state.files:
                yield "file-once", digest.hex()
        if event.type == "bundle.sealed":
            yield from holding.check_sealed(state, event)
        elif event.bundle is not None:
            bundle = state.bundles.get(event.bundle)
            if bundle is None:
                yield "bundle-unknown", event.bundle.hex()
                return
            yield from holding.check_chain(bundle, event)
            if event.type in holding.RULES:
                yield from holding.RULES[event.type](state, bundle, event)
        elif event.type in roster.RULES:
            yield from roster.RULES[event.type](state, event)

    def _check_actor(self, event: Event) -> Iterator[tuple[str, str]]:
        member = self.state.members.get(event.actor)
        if member is None:
            yield "not-a-member", event.actor.hex()
        elif not member.active:
            yield "removed-member", str(member.removed)
        elif not member.roles & set(event.schema.writers):
            yield "role", ", ".join(sorted(member.roles))

    def _check_epoch(self, event: Event) -> Iterator[tuple[str, str]]:
        state = self.state
        if state.due is not None and (
            event.type not in _READER_CHANGES or event.actor != state.due
        ):
            yield "epoch-due", ""
        waits = event.type == "epoch.opened" or changes_readers(state, event)
        # Until an epoch is opened for the readers as they are now, all fields wait for it.
        if event.sealed is None or waits or state.due is not None:
            return
        if event.sealed.epoch != state.newest:
            yield "epoch-newest", "fields"

    def _check_closes(self, event: Event) -> Iterator[tuple[str, str]]:
        state = self.state
        if event.actor == state.last_actor:
            if event.closes is not None:
                yield "closes", "not needed"
            return
        if event.closes is None:
            yield "closes", "missing"
            return
        closer = state.members.get(state.last_actor)
        if closer is None:
            yield "closes", "the last signer is not a member"
            return
        try:
            signed = checkpoint.parse_signed_checkpoint(event.closes)
            checkpoint.check_checkpoint(signed, closer.keys.ed25519, closer.keys.ml_dsa_44)
        except (FormatError, VerificationError) as error:
            yield "closes", str(error)
            return
        if signed.checkpoint != checkpoint.Checkpoint(state.origin, state.size, event.head or b""):
            yield "closes", "another checkpoint"

    def _apply(self, event: Event) -> None:
        state = self.state
        state.files.update(_private_files(event))
        if event.type == "vault.created":
            roster.apply_created(state, event)
        elif event.type == "bundle.sealed":
            holding.apply_sealed(state, event)
        elif event.bundle is not None:
            if event.type in holding.APPLY:
                holding.APPLY[event.type](state, state.bundles[event.bundle], event)
        else:
            if (
                event.sealed is not None
                and event.type != "epoch.opened"
                and (state.due is not None or changes_readers(state, event))
            ):
                state.waiting.append((event.seq, event.sealed.epoch))
            if event.type in roster.APPLY:
                roster.APPLY[event.type](state, event)


def _private_files(event: Event) -> tuple[bytes, ...]:
    """Return the digests of the files that belong to this event alone.

    Whoever could name another's file in an event of his own could have it deleted with a bundle of
    his own, or pass another's evidence off as his. All are encrypted at random: no two are alike.
    """
    own = (event.sealed.sha256,) if event.sealed is not None else ()
    return (*own, *sealed_files(event)) if event.type == "bundle.sealed" else own
