"""Random logs: whatever is written, by whomever, the fold keeps its promises."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.custody.histories import NOW, A, B, C, D, History, peopled, person
from vault.custody import Policy
from vault.errors import StateError
from vault.identity import Identity

PEOPLE = (A, B, C, D, person(9))
BUNDLES = (b"\xb1" * 16, b"\xb2" * 16)
HOLDS = (b"\x0d" * 16, b"\x0e" * 16)

Someone = Identity | str
"""A person, or whoever has a part now: so that random logs get somewhere."""

people = st.sampled_from(PEOPLE)
writers: st.SearchStrategy[Someone] = st.sampled_from(
    ("holder", "holder", "holder", "recipient", "recipient", "owner", *PEOPLE)
)
bundles = st.sampled_from(BUNDLES)
roles = st.sets(st.sampled_from(("owner", "custodian", "reader")), min_size=1).map(" ".join)
near = st.sampled_from((0, 0, 0, 0, 1))


class AnyLog(RuleBasedStateMachine):
    """Appends events that are well-formed and often forbidden; keeps a plain model beside."""

    @initialize(two=st.booleans())
    def begin(self, two: bool) -> None:
        self.history: History = peopled(Policy(two_person_destroy=two))
        self.holders: dict[bytes, list[Identity]] = {}
        self.destroyed: dict[bytes, int] = {}
        self.gone: set[bytes] = set()
        self.chains: dict[bytes, list[int]] = {}
        self.seal(B, BUNDLES[0])
        self.release(B, BUNDLES[0], 1, C, None)

    def someone(self, who: Someone, bundle: bytes) -> Identity:
        """Return the person that a part stands for, or one who has none."""
        if isinstance(who, Identity):
            return who
        state = self.history.state
        known = state.bundles.get(bundle)
        key: bytes | None = None
        if who == "owner":
            key = next(iter(state.active("owner")))
        elif known is not None and who == "holder":
            key = known.holder
        elif known is not None and known.release is not None:
            key = known.release.to
        return next((one for one in PEOPLE if one.ed25519 == key), PEOPLE[-1])

    def wrote(self, actor: Identity, name: str, **values: Any) -> bool:
        """Write an event; return whether it broke no rule. If it did, it changed nothing."""
        event = self.history.event(actor, name, **values)
        unchanged = self.history.after_nothing(event)
        known = event.bundle is not None and event.bundle in self.history.state.bundles
        broken = self.history.take(event)
        if broken:
            assert self.history.state == unchanged
        if known:
            assert event.bundle is not None
            self.chains[event.bundle].append(event.seq)
        return not broken

    def release_of(self, bundle: bytes, off: int) -> int:
        """Return the number of the open release, or one beside it."""
        known = self.history.state.bundles.get(bundle)
        return off if known is None or known.release is None else known.release.seq + off

    def of(self, who: Someone, bundle: bytes, hurry: int) -> Identity:
        """Return who acts on a bundle, mostly when no epoch is due."""
        if hurry:
            self.settle()
        return self.someone(who, bundle)

    # --- bundles ----------------------------------------------------------------------------

    @rule(actor=people, bundle=bundles)
    def seal(self, actor: Identity, bundle: bytes) -> None:
        self.settle()
        event = {"bundle": bundle, "data": self.history.seal_data()}
        seq = self.history.state.size
        if self.wrote(actor, "bundle.sealed", **event):
            assert bundle not in self.holders
            self.holders[bundle] = [actor]
            self.chains[bundle] = [seq]

    @rule(
        who=writers,
        bundle=bundles,
        hurry=st.integers(0, 7),
        to=people,
        after=st.none() | st.integers(-20, 200),
    )
    def release(
        self, who: Someone, bundle: bytes, hurry: int, to: Identity, after: int | None
    ) -> None:
        actor = self.of(who, bundle, hurry)
        more = {} if after is None else {"expires": NOW + self.history.state.size + after}
        data = {"to": to.ed25519, **more}
        if self.wrote(actor, "custody.released", bundle=bundle, data=data):
            assert actor is self.holders[bundle][-1]

    @rule(
        who=writers,
        bundle=bundles,
        hurry=st.integers(0, 7),
        off=near,
        rehashed=st.sampled_from((True, True, True, False)),
    )
    def accept(self, who: Someone, bundle: bytes, hurry: int, off: int, rehashed: bool) -> None:
        actor = self.of(who, bundle, hurry)
        known = self.history.state.bundles.get(bundle)
        named = known.release.to if known is not None and known.release is not None else None
        data = {"release": self.release_of(bundle, off), "rehashed": rehashed}
        if self.wrote(actor, "custody.accepted", bundle=bundle, data=data):
            assert named == actor.ed25519
            assert rehashed
            self.holders[bundle].append(actor)

    @rule(who=writers, bundle=bundles, hurry=st.integers(0, 7), off=near, recall=st.booleans())
    def decline_or_recall(
        self, who: Someone, bundle: bytes, hurry: int, off: int, recall: bool
    ) -> None:
        actor = self.of(who, bundle, hurry)
        name = "custody.recalled" if recall else "custody.declined"
        data = {"release": self.release_of(bundle, off)}
        if self.wrote(actor, name, bundle=bundle, data=data):
            assert recall is (actor is self.holders[bundle][-1])

    @rule(who=writers, bundle=bundles, hurry=st.integers(0, 7))
    def assume(self, who: Someone, bundle: bytes, hurry: int) -> None:
        actor = self.of(who, bundle, hurry)
        if self.wrote(actor, "custody.assumed", bundle=bundle):
            assert "owner" in self.history.state.members[actor.ed25519].roles
            self.holders[bundle].append(actor)

    @rule(
        who=writers,
        bundle=bundles,
        hurry=st.integers(0, 7),
        state=st.sampled_from(("interrupted", "returned")),
    )
    def interrupt(self, who: Someone, bundle: bytes, hurry: int, state: str) -> None:
        actor = self.of(who, bundle, hurry)
        self.wrote(actor, "custody.interrupted", bundle=bundle, data={"state": state})

    @rule(
        who=writers,
        bundle=bundles,
        hurry=st.integers(0, 7),
        hold=st.sampled_from(HOLDS),
        lift=st.booleans(),
    )
    def hold(self, who: Someone, bundle: bytes, hurry: int, hold: bytes, lift: bool) -> None:
        actor = self.of(who, bundle, hurry)
        name = "hold.lifted" if lift else "hold.placed"
        self.wrote(actor, name, bundle=bundle, data={"hold": hold})

    @rule(who=writers, bundle=bundles, hurry=st.integers(0, 7))
    def request(self, who: Someone, bundle: bytes, hurry: int) -> None:
        actor = self.of(who, bundle, hurry)
        self.wrote(actor, "destruction.requested", bundle=bundle)

    @rule(who=writers, bundle=bundles, hurry=st.integers(0, 7), off=near)
    def approve(self, who: Someone, bundle: bytes, hurry: int, off: int) -> None:
        actor = self.of(who, bundle, hurry)
        known = self.history.state.bundles.get(bundle)
        request = known.request if known is not None else None
        data = {"request": request[0] + off if request is not None else off}
        if self.wrote(actor, "destruction.approved", bundle=bundle, data=data):
            assert request is not None
            assert request[1] != actor.ed25519

    @rule(who=writers, bundle=bundles, hurry=st.integers(0, 7), named=st.booleans())
    def destroy(self, who: Someone, bundle: bytes, hurry: int, named: bool) -> None:
        actor = self.of(who, bundle, hurry)
        history = self.history
        known = history.state.bundles.get(bundle)
        data: dict[str, Any] = {}
        if named and known is not None and known.request is not None:
            data["request"] = known.request[0]
            if known.approval is not None:
                data["approval"] = known.approval
        seq = history.state.size
        if self.wrote(actor, "bundle.destroyed", bundle=bundle, data=data):
            assert known is not None
            assert not known.holds
            assert not history.state.policy.two_person_destroy or len(data) == 2
            self.destroyed[bundle] = seq

    @rule(
        who=writers,
        bundle=bundles,
        hurry=st.integers(0, 7),
        name=st.sampled_from(("bundle.noted", "bundle.opened")),
    )
    def look(self, who: Someone, bundle: bytes, hurry: int, name: str) -> None:
        actor = self.of(who, bundle, hurry)
        if self.wrote(actor, name, bundle=bundle):
            assert bundle not in self.destroyed or name == "bundle.noted"

    # --- members ----------------------------------------------------------------------------

    @rule(actor=st.sampled_from((A, A, B)), who=people, names=roles, history=st.booleans())
    def admit(self, actor: Identity, who: Identity, names: str, history: bool) -> None:
        data = self.history.admission(who, names, history=history)
        if self.wrote(actor, "member.admitted", data=data):
            assert who.ed25519 not in self.gone

    @rule(
        actor=st.sampled_from((A, A, A, B)),
        who=people,
        back=st.none() | st.integers(-1, 9),
        sure=st.integers(0, 3),
    )
    def remove(self, actor: Identity, who: Identity, back: int | None, sure: int) -> None:
        if sure:
            return  # else soon nobody would be left
        size = self.history.state.size
        more = {} if back is None else {"doubtful_from": max(0, size - back)}
        data = {"member": who.ed25519, **more}
        if self.wrote(actor, "member.removed", data=data):
            assert (
                who is not actor or "owner" not in self.history.state.members[actor.ed25519].roles
            )
            self.gone.add(who.ed25519)

    @rule(actor=st.sampled_from((A, A, B)), history=st.booleans())
    def open_epoch(self, actor: Identity, history: bool) -> None:
        if list(self.history.state.active("reader")):
            self.wrote(actor, "epoch.opened", data=self.history.epoch(history=history))

    @rule()
    def settle(self) -> None:
        """Open the epoch that is due, so that a log goes on."""
        due = self.history.state.due
        if due is not None:
            actor = next(one for one in PEOPLE if one.ed25519 == due)
            # After a stranger's event there is no checkpoint that the next one could close.
            assert any(
                self.wrote(actor, "epoch.opened", data=self.history.epoch(history=False))
                for _ in range(2)
            )

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def the_holder_is_the_last_who_sealed_accepted_or_assumed(self) -> None:
        state = self.history.state
        assert state.bundles.keys() == self.holders.keys()
        for which, bundle in state.bundles.items():
            expected = [who.ed25519 for who in self.holders[which]]
            assert [holder for _, holder in bundle.holders] == expected
            assert bundle.holder == expected[-1]
            assert bundle.sealer == expected[0]

    @invariant()
    def what_is_destroyed_stays_destroyed_and_is_handed_to_nobody(self) -> None:
        for which, bundle in self.history.state.bundles.items():
            assert bundle.destroyed == self.destroyed.get(which)
            assert bundle.destroyed is None or bundle.release is None

    @invariant()
    def a_chain_holds_every_event_about_its_bundle_in_order(self) -> None:
        for which, bundle in self.history.state.bundles.items():
            assert bundle.chain == self.chains[which]
            assert bundle.chain == sorted(set(bundle.chain))
            assert bundle.last == self.history.tree.hash(0, bundle.chain[-1])

    @invariant()
    def an_open_release_is_by_the_holder_to_somebody_else(self) -> None:
        for bundle in self.history.state.bundles.values():
            if bundle.release is not None:
                assert bundle.release.by == bundle.holder != bundle.release.to

    @invariant()
    def there_is_an_owner_and_a_reader_and_who_left_stays_out(self) -> None:
        state = self.history.state
        assert any(state.active("owner"))
        assert any(state.active("reader"))
        assert not self.gone & {key for key, member in state.members.items() if member.active}

    @invariant()
    def the_newest_epoch_is_for_the_readers_that_there_are(self) -> None:
        state = self.history.state
        assert state.newest is not None
        newest = state.epochs[state.newest]
        assert newest is list(state.epochs.values())[-1]
        if state.due is None:
            assert newest.readers == set(state.active("reader"))
            assert not state.waiting
            assert not state.withheld


# A quarter of the profile's examples, as each is a log of up to 40 events.
AnyLog.TestCase.settings = hypothesis.settings(
    max_examples=hypothesis.settings.default.max_examples // 4, stateful_step_count=40
)
TestAnyLog = AnyLog.TestCase


def test_before_the_first_epoch_there_is_none_to_encrypt_to() -> None:
    history = History()
    history.create()
    with pytest.raises(StateError, match="no readers' key"):
        history.state.open_epoch()
