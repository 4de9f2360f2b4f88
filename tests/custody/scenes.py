"""States of a vault, told in a line each, and what is known of them from that line alone.

A scene is a list of steps, ``seal H, release H R, roles``: who does what, in order. :class:`World`
plays it on a :class:`History`, and keeps its own account of who holds what, from the words of
docs/spec.md; it never asks the fold what came of a step. ``roles`` is where X, of whom a test asks
what she may do, is given the roles that the test asks for (at the end, unless the scene says).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from tests.custody.histories import BUNDLE, HOLD, NOW, History, person
from vault.custody import Policy
from vault.identity import Identity

CAST: Final[dict[str, Identity]] = {
    "A": person(1),  # founds the vault: owner, custodian, reader
    "H": person(2),  # a custodian, who holds the bundle
    "R": person(3),  # a custodian, to whom it is released
    "D": person(4),  # a reader
    "X": person(5),  # the one whose events are judged
    "Q": person(6),  # a custodian, who asks for destruction
    "G": person(7),  # was a custodian, and was removed
    "N": person(8),  # a newcomer
    "S": person(9),  # a stranger
}
WRITERS: Final[dict[str, set[str]]] = {
    "owner": {
        "vault.policy",
        "vault.upgraded",
        "member.admitted",
        "member.removed",
        "epoch.opened",
        "epoch.shredded",
        "custody.assumed",
        "destruction.approved",
    },
    "custodian": {
        "bundle.sealed",
        "bundle.opened",
        "bundle.noted",
        "bundle.checked",
        "bundle.disclosed",
        "bundle.destroyed",
        "destruction.requested",
        "destruction.approved",
        "custody.released",
        "custody.recalled",
        "custody.receipted",
        "custody.interrupted",
        "hold.placed",
        "hold.lifted",
        "consent.recorded",
        "checkpoint.attested",
    },
    "reader": {
        "bundle.opened",
        "bundle.noted",
        "bundle.checked",
        "vault.rekeyed",
        "history.granted",
    },
    "any": {"vault.noted", "custody.accepted", "custody.declined", "recovery.drilled"},
}
TYPES: Final = set().union(*WRITERS.values()) | {"vault.created"}
"""The types of event, and who may write each, by the words of docs/spec.md."""
ALL: Final = frozenset(("owner", "custodian", "reader"))
FAR: Final = NOW + 10**6
PAST: Final = NOW - 1


@dataclass(slots=True)
class Release:
    """A release that is open, or that expired and was neither answered nor replaced."""

    seq: int
    to: str
    expired: bool


@dataclass(slots=True)
class Rekeying:
    """A manifest that was written."""

    epoch: int
    by: str
    confirmed: bool = False
    pruned: bool = False


@dataclass(slots=True)
class EpochKnown:
    """An epoch: whether its file opens the one before, and who reads it."""

    history: bool
    readers: frozenset[str]


@dataclass(slots=True)
class Facts:
    """What a scene says. People go by their letters, epochs and manifests by their numbers."""

    two: bool = False
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    due: str | None = None
    withheld: bool = False
    epochs: dict[int, EpochKnown] = field(default_factory=dict)
    shredded: set[int] = field(default_factory=set)
    rekeyings: dict[int, Rekeying] = field(default_factory=dict)
    sealed: bool = False
    holder: str = ""
    release: Release | None = None
    interrupted: bool = False
    hold: bool = False
    request: tuple[int, str] | None = None
    approval: int | None = None
    destroyed: bool = False

    def having(self, role: str) -> set[str]:
        """Return who has a role now."""
        return {who for who, roles in self.roles.items() if role in roles}

    @property
    def newest(self) -> int:
        """The number of the newest epoch."""
        return max(self.epochs)


def manifest(number: int) -> bytes:
    """Return the digest of a manifest."""
    return bytes((number,)) * 32


class World:
    """A history and the facts about it."""

    def __init__(self, *, two: bool = False, clock: int = 1) -> None:
        self.history = History(Policy(clock, two_person_destroy=two))
        self.facts = Facts(two=two)
        self.history.create()
        self.facts.roles["A"] = frozenset(("owner", "custodian"))
        self.facts.due = "A"
        self.give("A", ALL)
        for who in "HRQG":
            self.give(who, frozenset(("custodian",)))
        self.give("D", frozenset(("reader",)))
        self.remove("G")

    def copy(self) -> World:
        """Return one that goes its own way from here."""
        other = copy.copy(self)
        other.facts = copy.deepcopy(self.facts)
        other.history = copy.copy(self.history)
        other.history.custody = copy.deepcopy(self.history.custody)
        other.history.tree = copy.deepcopy(self.history.tree)
        other.history.signers = dict(self.history.signers)
        return other

    def do(self, who: str, name: str, *, about: bool = True, **data: Any) -> int:
        """Let somebody write an event that breaks no rule; return its number."""
        bundle = BUNDLE if about else None
        return self.history.do(CAST[who], name, bundle=bundle, data=data).seq

    # --- the roster -------------------------------------------------------------------------

    @property
    def governor(self) -> str:
        """An owner: A, as long as A is one."""
        return "A" if "owner" in self.facts.roles["A"] else "X"

    def give(self, who: str, roles: frozenset[str], *, by: str = "", then: str = "epoch") -> None:
        """Admit somebody, or replace her roles; open the epoch that follows."""
        facts, by = self.facts, by or self.governor
        was = "reader" in facts.roles.get(who, ())
        data = self.history.admission(CAST[who], " ".join(roles), history=then != "withheld")
        self.do(by, "member.admitted", about=False, **data)
        facts.roles[who] = roles
        if was != ("reader" in roles):
            facts.due = by
            facts.withheld |= not was and then == "withheld"
        if facts.due is not None and then == "epoch":
            self.epoch()

    def remove(self, who: str) -> None:
        """Remove somebody; open the epoch that follows."""
        by = self.governor
        self.do(by, "member.removed", about=False, member=CAST[who].ed25519)
        if "reader" in self.facts.roles.pop(who):
            self.facts.due = by
        self.facts.gone.add(who)
        if self.facts.due is not None:
            self.epoch()

    def epoch(self, *, apart: bool = False) -> None:
        """Open an epoch; its file opens those before it where it may, unless ``apart``."""
        facts = self.facts
        by = facts.due or self.governor
        before = facts.epochs[facts.newest].readers if facts.epochs else {by}
        history = by in before and not facts.withheld and not apart
        self.do(by, "epoch.opened", about=False, **self.history.epoch(history=history))
        facts.epochs[self.history.epochs] = EpochKnown(history, frozenset(facts.having("reader")))
        facts.due, facts.withheld = None, False

    def become(self, roles: str) -> bool:
        """Give X roles, remove her, or leave her a stranger; return whether that is possible."""
        facts = self.facts
        if roles == "stranger":
            return "X" not in facts.roles
        wanted = frozenset(roles.split()) if roles != "removed" else frozenset()
        for role in ("owner", "reader"):
            if role not in wanted and facts.having(role) == {"X"}:
                return False
        if roles == "removed":
            if "X" not in facts.roles:
                self.give("X", frozenset(("custodian",)))
            self.remove("X")
        else:
            self.give("X", wanted)
        return True

    # --- the steps --------------------------------------------------------------------------

    def step(self, words: str) -> None:
        """Play one step."""
        verb, *who = words.split()
        if "X" in who and "X" not in self.facts.roles:
            self.give("X", ALL)
        getattr(self, f"_{verb}")(*who)

    def _seal(self, who: str) -> None:
        self.do(who, "bundle.sealed", **self.history.seal_data())
        self.facts.sealed, self.facts.holder = True, who

    def _release(self, by: str, to: str, until: str = "") -> None:
        more = {"": {}, "expired": {"expires": PAST}, "expiring": {"expires": FAR}}[until]
        seq = self.do(by, "custody.released", to=CAST[to].ed25519, **more)
        self.facts.release = Release(seq, to, until == "expired")

    def _answered(self) -> int:
        release, self.facts.release = self.facts.release, None
        assert release is not None
        return release.seq

    def _accept(self, who: str) -> None:
        self.do(who, "custody.accepted", release=self._answered(), rehashed=True)
        self._take(who)

    def _decline(self, who: str) -> None:
        self.do(who, "custody.declined", release=self._answered())

    def _recall(self, who: str) -> None:
        self.do(who, "custody.recalled", release=self._answered())

    def _interrupt(self, who: str) -> None:
        self.do(who, "custody.interrupted", state="interrupted")
        self.facts.interrupted = True

    def _return(self, who: str) -> None:
        self.do(who, "custody.interrupted", state="returned")
        self.facts.interrupted = False

    def _assume(self, who: str) -> None:
        self.do(who, "custody.assumed")
        self.facts.release, self.facts.interrupted = None, False
        self._take(who)

    def _take(self, who: str) -> None:
        self.facts.holder = who
        self.facts.request = self.facts.approval = None

    def _hold(self, who: str) -> None:
        self.do(who, "hold.placed", hold=HOLD)
        self.facts.hold = True

    def _lift(self, who: str) -> None:
        self.do(who, "hold.lifted", hold=HOLD)
        self.facts.hold = False

    def _request(self, who: str) -> None:
        self.facts.request = self.do(who, "destruction.requested"), who
        self.facts.approval = None

    def _approve(self, who: str) -> None:
        assert self.facts.request is not None
        seq = self.do(who, "destruction.approved", request=self.facts.request[0])
        self.facts.approval = seq

    def _destroy(self, who: str) -> None:
        facts = self.facts
        names = {"request": facts.request and facts.request[0], "approval": facts.approval}
        self.do(who, "bundle.destroyed", **{k: v for k, v in names.items() if v is not None})
        facts.destroyed, facts.release = True, None

    def _come(self, who: str) -> None:
        """Somebody is a member from here on: X, as all who take part."""
        assert who in self.facts.roles

    def _remove(self, who: str) -> None:
        self.remove(who)

    def _demote(self, who: str) -> None:
        """X takes the owner's role from somebody, and so is the only owner."""
        self.give(who, self.facts.roles[who] - {"owner"}, by="X")

    def _unread(self, who: str) -> None:
        """Take the reader's role from somebody, who is left a custodian if nothing else."""
        self.give(who, self.facts.roles[who] - {"reader"} or frozenset(("custodian",)))

    def _due(self, by: str, then: str = "due") -> None:
        """Admit N as a reader, and open no epoch yet."""
        self.give("N", frozenset(("reader",)), by=by, then=then)

    def _epoch(self, how: str = "") -> None:
        self.epoch(apart=how == "apart")

    def _written(self, who: str) -> None:
        number, newest = len(self.facts.rekeyings) + 1, self.facts.newest
        self._stage(who, "written", number, newest)
        self.facts.rekeyings[number] = Rekeying(newest, who)

    def _confirmed(self, who: str) -> None:
        number = max(self.facts.rekeyings)
        self._stage(who, "confirmed", number, self.facts.rekeyings[number].epoch)
        self.facts.rekeyings[number].confirmed = True

    def _pruned(self, who: str) -> None:
        number = max(self.facts.rekeyings)
        self._stage(who, "pruned", number, self.facts.rekeyings[number].epoch)
        self.facts.rekeyings[number].pruned = True

    def _stage(self, who: str, stage: str, number: int, epoch: int) -> None:
        file = (manifest(number), 900)
        about = {"stage": stage, "epoch": epoch.to_bytes(8, "big"), "manifest": file}
        self.do(who, "vault.rekeyed", about=False, **about)

    def _shred(self, who: str) -> None:
        """Shred all epochs but the newest."""
        old = set(self.facts.epochs) - {self.facts.newest} - self.facts.shredded
        ids = tuple(epoch.to_bytes(8, "big") for epoch in sorted(old))
        self.do(who, "epoch.shredded", about=False, epochs=ids)
        self.facts.shredded |= old


@cache
def _founded(two: bool, clock: int) -> World:
    return World(two=two, clock=clock)


def worlds(scene: str, all_roles: tuple[str, ...], *, clock: int = 1) -> dict[str, World]:
    """Return the worlds of a scene in which X has each of ``all_roles`` that she can have there.

    A scene that begins with ``two-person`` is of a vault in which destruction takes two.
    """
    steps = [step.strip() for step in scene.split(",")]
    two = steps[0] == "two-person"
    steps = [step for step in steps if step not in ("two-person", "empty")]
    if "roles" not in steps:
        steps.append("roles")
    at = steps.index("roles")
    before = _founded(two, clock).copy()
    for step in steps[:at]:
        before.step(step)
    found = {}
    for roles in all_roles:
        world = before.copy()
        if world.become(roles):
            for step in steps[at + 1 :]:
                world.step(step)
            found[roles] = world
    return found
