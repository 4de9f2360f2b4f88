"""Random lives of a vault, held step by step against the small model of tests/fuzz/model.py.

The short form tries the same few lives every time. ``python -m tests.fuzz.test_model 500 7`` tries
so many others, which are those of the seed 7; a failure prints the life that failed.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import hypothesis
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.audit.golden import memoised
from tests.bundles.scene import contents
from tests.fuzz.model import Bundle, Model, Release
from tests.rooms.house import NOW, person
from vault import Identity, LocalStore, MemoryStore, Vault, audit
from vault.custody import Policy
from vault.destruction import destroy
from vault.errors import CustodyError, DecryptionError, StateError, VaultError
from vault.membership import admit, remove
from vault.rekeying import confirm, prune, rekey
from vault.storage import Store

PEOPLE: Final[dict[str, Identity]] = {
    name: person(number) for number, name in enumerate(("ada", "ben", "cleo", "dan", "eve"), 1)
}
"""Ada founds the vault and is in every role at first; Ben is custodian and reader, Cleo custodian,
Dan reader; Eve is a stranger.
"""
ROLES: Final = {
    "ada": frozenset(("owner", "custodian", "reader")),
    "ben": frozenset(("custodian", "reader")),
    "cleo": frozenset(("custodian",)),
    "dan": frozenset(("reader",)),
}
USES: Final = ("trial", "press")

names = st.sampled_from(tuple(PEOPLE))
actors = st.sampled_from((*("holder",) * 6, *("recipient",) * 4, "ada", *PEOPLE))
"""A person, or whoever has that part now: so that lives get somewhere."""
which = st.integers(0, 2)
some_roles = st.sets(st.sampled_from(("owner", "custodian", "reader")), min_size=1).map(frozenset)
off = st.sampled_from((0, 0, 0, 0, 0, 1))
has_bundle = precondition(lambda self: self.model.bundles)


class Life(RuleBasedStateMachine):
    """Every verb by anybody, at any time; ``steps`` of all lives together are counted."""

    steps = 0

    @initialize(two=st.booleans(), disk=st.sampled_from((False, False, False, True)))
    def begin(self, two: bool, disk: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="life-")) if disk else None
        self.store: Store = MemoryStore()
        if self.folder is not None:
            self.store = LocalStore.make(self.folder / "vault")
        self.model = Model({"ada": ROLES["ada"] - {"reader"}}, NOW, two)
        self.ids: list[bytes] = []
        self.heads: list[tuple[int, bytes]] = []
        ada, dan = PEOPLE["ada"], PEOPLE["dan"]
        policy = Policy(two_person_destroy=two)
        Vault.create(
            self.store, identity=ada, readers=[ada, dan], policy=policy, clock=lambda: NOW
        ).close()
        self.model.roles.update({"ada": ROLES["ada"], "dan": ROLES["dan"]})
        self.model.epochs.append((frozenset(("ada", "dan")), False))
        for who in ("ben", "cleo"):
            with self.open("ada") as vault:
                admit(vault, PEOPLE[who], ROLES[who])
            self.model.admitted("ada", who, ROLES[who], True)
        self.seal("ben")

    def teardown(self) -> None:
        if getattr(self, "folder", None) is not None:
            self.store.close()
            shutil.rmtree(self.folder)

    # --- means ------------------------------------------------------------------------------

    @contextmanager
    def open(self, who: str | None) -> Iterator[Vault]:
        identity = PEOPLE[who] if who is not None else None
        vault = Vault.open(self.store, identity=identity, clock=lambda: self.model.now)
        yield vault  # and not closed: the store is everybody's

    def bundle(self, number: int) -> tuple[bytes, Bundle]:
        number %= len(self.ids)
        return self.ids[number], self.model.bundles[number]

    def someone(self, who: str, bundle: Bundle) -> str:
        if who == "holder":
            return bundle.holder
        if who == "recipient":
            return bundle.release.to if bundle.release is not None else "eve"
        return who

    def attempt(
        self,
        who: str,
        broken: set[str],
        verb: Callable[[Vault], Any],
        refusals: tuple[type[VaultError], ...] = (),
    ) -> Any:
        """Let somebody do what a model says breaks these rules; return what came of it, or None.

        ``refusals`` are errors by which the verb may refuse beside the rules, and then must.
        """
        self.model.now += 60
        before = {name: data for name, data in contents(self.store).items() if "tmp" not in name}
        with self.open(who) as vault:
            try:
                result = verb(vault)
            except CustodyError as error:
                rule_of = error.rule
            except refusals:
                rule_of = None
            else:
                assert not broken, (who, broken)
                assert not refusals, (who, refusals)
                return result if result is not None else True
        assert rule_of is None or rule_of in broken, (who, rule_of, broken)
        # Refused, it changes nothing.
        assert {n: d for n, d in contents(self.store).items() if "tmp" not in n} == before
        return None

    def later(self, broken: Callable[[], set[str]]) -> set[str]:
        """Return the rules that hold when the next event is written."""
        self.model.now += 60
        found = broken()
        self.model.now -= 60
        return found

    def append(self, who: str, name: str, number: int, broken: set[str], **data: Any) -> Any:
        identifier, _ = self.bundle(number)
        fields = data.pop("fields", {})
        return self.attempt(
            who, broken, lambda v: v.append(name, bundle=identifier, data=data, fields=fields)
        )

    # --- evidence ---------------------------------------------------------------------------

    @rule(who=names)
    def seal(self, who: str) -> None:
        if len(self.ids) >= 3:
            return

        def sealed(vault: Vault) -> bytes:
            with vault.seal({"title": "x"}) as writer:
                writer.add_stream("x", 4, io.BytesIO(b"seen"))
            return writer.id

        identifier = self.attempt(who, self.model.who(who, "bundle.sealed"), sealed)
        if identifier is not None:
            self.ids.append(identifier)
            self.model.bundles.append(Bundle(who, len(self.model.epochs) - 1))

    @has_bundle
    @rule(who=actors, number=which, use=st.sampled_from(USES), authority=st.booleans())
    def look(self, who: str, number: int, use: str, authority: bool) -> None:
        identifier, bundle = self.bundle(number)
        who = self.someone(who, bundle)
        fields = {"use": use, **({"authority": "a court"} if authority else {})}

        def read(vault: Vault) -> bytes:
            with vault.open_item(identifier, 0, purpose="x", fields=fields) as item:
                return item.read()

        refusals: tuple[type[VaultError], ...] = ()
        if bundle.destroyed:
            refusals = (StateError,)
        elif not self.model.opens(who, bundle.epoch):
            refusals = (DecryptionError,)
        broken = self.model.look(who, bundle, use, authority)
        content = self.attempt(who, broken, read, refusals)
        assert content in (None, b"seen")

    @has_bundle
    @rule(
        who=actors,
        number=which,
        name=st.sampled_from(("bundle.noted", "bundle.checked", "bundle.disclosed")),
    )
    def say(self, who: str, number: int, name: str) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        data = {"bundle.checked": {"result": "intact"}, "bundle.disclosed": {"kind": "disclosure"}}
        self.append(who, name, number, self.model.about(who, name, bundle), **data.get(name, {}))

    @precondition(lambda self: len(self.heads) % 4 == 0)  # or it is most of a life
    @rule(who=names)
    def note(self, who: str) -> None:
        broken = self.model.who(who, "vault.noted")
        self.attempt(who, broken, lambda v: v.append("vault.noted", fields={"text": "x"}))

    @has_bundle
    @rule(
        who=actors,
        number=which,
        status=st.sampled_from(("given", "limited", "refused", "withdrawn")),
    )
    def consent(self, who: str, number: int, status: str) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        fields = {"consent.status": status}
        scope = {"consent.scope": ("trial",)} if status == "limited" else {}
        broken = self.model.about(who, "consent.recorded", bundle)
        fields = {**fields, **scope}
        if self.append(who, "consent.recorded", number, broken, fields=fields) is not None:
            bundle.consent = (status, len(self.model.epochs) - 1)

    # --- custody ----------------------------------------------------------------------------

    @has_bundle
    @rule(who=actors, number=which, to=names, after=st.none() | st.none() | st.integers(-100, 400))
    def release(self, who: str, number: int, to: str, after: int | None) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        expires = None if after is None else self.model.now + after
        data = {"to": PEOPLE[to].ed25519, **({} if expires is None else {"expires": expires})}
        broken = self.later(lambda: self.model.release(who, bundle, to))
        event = self.append(who, "custody.released", number, broken, **data)
        if event is not None:
            bundle.release = Release(event.seq, to, expires)

    @has_bundle
    @rule(who=st.sampled_from(("recipient", "recipient", *PEOPLE)), number=which, beside=off)
    def accept(self, who: str, number: int, beside: int) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        seq = (bundle.release.seq if bundle.release is not None else 0) + beside
        broken = self.later(lambda: self.model.answer(who, "custody.accepted", bundle, seq))
        data = {"release": seq, "rehashed": True}
        if self.append(who, "custody.accepted", number, broken, **data) is not None:
            self.model.takes(who, bundle)

    @has_bundle
    @rule(who=actors, number=which, beside=off, name=st.sampled_from(("declined", "recalled")))
    def end_release(self, who: str, number: int, beside: int, name: str) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        seq = (bundle.release.seq if bundle.release is not None else 0) + beside
        verb = f"custody.{name}"
        if name == "recalled":
            broken = self.later(lambda: self.model.recall(who, bundle, seq))
        else:
            broken = self.later(lambda: self.model.answer(who, verb, bundle, seq))
        if self.append(who, verb, number, broken, release=seq) is not None:
            bundle.release = None

    @has_bundle
    @rule(who=st.sampled_from(("ada", "ada", "holder", *PEOPLE)), number=which)
    def assume(self, who: str, number: int) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        broken = self.model.assume(who, bundle)
        if self.append(who, "custody.assumed", number, broken) is not None:
            self.model.takes(who, bundle)
            bundle.interrupted = False

    @has_bundle
    @rule(who=actors, number=which, begins=st.booleans())
    def interrupt(self, who: str, number: int, begins: bool) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        broken = self.model.interrupt(who, bundle, begins)
        state = "interrupted" if begins else "returned"
        if self.append(who, "custody.interrupted", number, broken, state=state) is not None:
            bundle.interrupted = begins

    @has_bundle
    @rule(number=which, to=st.sampled_from(tuple(ROLES)))
    def hand_over(self, number: int, to: str) -> None:
        """Let the two do it who can, so that bundles move."""
        self.release("holder", number, to, None)
        self.accept("recipient", number, 0)

    # --- holds and destruction --------------------------------------------------------------

    @has_bundle
    @rule(who=actors, number=which, hold=st.sampled_from((*(b"h" * 16,) * 4, b"i" * 16)))
    def place(self, who: str, number: int, hold: bytes) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        broken = self.model.about(who, "hold.placed", bundle)
        broken |= {"hold-once"} if hold in bundle.holds else set()
        if self.append(who, "hold.placed", number, broken, hold=hold) is not None:
            bundle.holds.append(hold)

    @has_bundle
    @rule(who=actors, number=which, hold=st.sampled_from((b"h" * 16, b"i" * 16)))
    def lift(self, who: str, number: int, hold: bytes) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        broken = self.model.about(who, "hold.lifted", bundle)
        broken |= set() if hold in bundle.holds else {"hold-unknown"}
        if self.append(who, "hold.lifted", number, broken, hold=hold) is not None:
            bundle.holds.remove(hold)

    @has_bundle
    @rule(who=actors, number=which)
    def request(self, who: str, number: int) -> None:
        bundle = self.bundle(number)[1]
        who = self.someone(who, bundle)
        broken = self.model.request(who, bundle)
        event = self.append(who, "destruction.requested", number, broken)
        if event is not None:
            bundle.request, bundle.approval = (event.seq, who), None

    @has_bundle
    @rule(who=names, number=which, beside=off)
    def approve(self, who: str, number: int, beside: int) -> None:
        bundle = self.bundle(number)[1]
        seq = (bundle.request[0] if bundle.request is not None else 0) + beside
        broken = self.model.approve(who, bundle, seq)
        event = self.append(who, "destruction.approved", number, broken, request=seq)
        if event is not None:
            bundle.approval = event.seq

    @has_bundle
    @rule(who=actors, number=which)
    def destroy(self, who: str, number: int) -> None:
        identifier, bundle = self.bundle(number)
        who = self.someone(who, bundle)
        broken = self.later(lambda: self.model.destroy(who, bundle))
        if self.attempt(who, broken, lambda v: destroy(v, identifier)) is not None:
            bundle.destroyed, bundle.release = True, None
            assert not [name for name in contents(self.store) if identifier.hex() in name]

    @has_bundle
    @rule(number=which, by=st.sampled_from(tuple(ROLES)))
    def destroy_by_the_book(self, number: int, by: str) -> None:
        """Let it be asked for, approved and done, as two persons may."""
        self.request("holder", number)
        self.approve(by, number, 0)
        self.destroy("holder", number)

    # --- members ----------------------------------------------------------------------------

    @rule(who=st.sampled_from(("ada", "ada", *PEOPLE)), whom=names, roles=some_roles,
          history=st.booleans())  # fmt: skip
    def admit(self, who: str, whom: str, roles: frozenset[Any], history: bool) -> None:
        broken = self.model.admit(who, whom, roles)
        verb = lambda v: admit(v, PEOPLE[whom], roles, history=history)  # noqa: E731
        if self.attempt(who, broken, verb) is not None:
            self.model.admitted(who, whom, roles, history)

    @rule(who=st.sampled_from(("ada", "ada", *PEOPLE)), whom=names, sure=st.integers(0, 2))
    def remove(self, who: str, whom: str, sure: int) -> None:
        if sure:
            return  # else soon nobody would be left
        if whom not in self.model.roles and whom not in self.model.gone:
            return  # who never was a member has no entry that could be named
        broken = self.model.remove(who, whom)
        key = PEOPLE[whom].ed25519
        verb = lambda v: remove(v, v.state.members[key], cause="left")  # noqa: E731
        if self.attempt(who, broken, verb) is not None:
            self.model.removed(who, whom)

    @rule(who=names, then=names)
    def encrypt_again(self, who: str, then: str) -> None:
        broken = self.model.who(who, "vault.rekeyed")
        if broken:
            self.attempt(who, broken, rekey)
            return
        with self.open(who) as vault:
            written = rekey(vault).events
        others = self.model.having("reader") - {who}
        if written and (then in others or (then == who and not others)):
            with self.open(then) as vault:
                confirm(vault)
            with self.open(who) as vault:
                prune(vault)

    @rule(seconds=st.integers(0, 300))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def the_vault_is_as_the_model_says(self) -> None:
        with self.open(None) as vault:
            state = vault.state
        key = {who: one.ed25519 for who, one in PEOPLE.items()}
        active = {k: one.roles for k, one in state.members.items() if one.active}
        assert active == {key[who]: roles for who, roles in self.model.roles.items()}
        assert {k for k, one in state.members.items() if not one.active} == {
            key[who] for who in self.model.gone
        }
        assert [(one.readers, one.history) for one in state.epochs.values()][1:] == [
            ({key[who] for who in readers}, history) for readers, history in self.model.epochs[1:]
        ]
        assert set(state.bundles) == set(self.ids)
        for identifier, known in zip(self.ids, self.model.bundles, strict=True):
            found = state.bundles[identifier]
            assert found.holder == key[known.holder]
            assert found.interrupted == known.interrupted
            assert found.holds == set(known.holds)
            assert (found.destroyed is not None) == known.destroyed
            assert found.approval == known.approval
            assert (found.request is None) == (known.request is None)
            if found.request is not None and known.request is not None:
                assert found.request == (known.request[0], key[known.request[1]])
            assert (found.release is None) == (known.release is None)
            if found.release is not None and known.release is not None:
                assert found.release.seq == known.release.seq
                assert found.release.to == key[known.release.to]

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        report = audit(self.store)
        notes = {one.code for one in report.findings}
        assert (report.verdict, notes) in (("intact", set()), ("intact", {"pending-deletion"}))

    @invariant()
    def the_log_only_grows(self) -> None:
        Life.steps += 1
        with self.open(None) as vault:
            for size, root in self.heads:
                assert size <= vault.size
                assert vault.tree.root(size) == root
            if (vault.size, vault.root) not in self.heads:
                self.heads.append((vault.size, vault.root))


def live(count: int, chosen: int | None) -> int:
    """Run lives, the same ones without a seed; return how many steps were taken."""
    settings = hypothesis.settings(
        max_examples=count,
        stateful_step_count=25,
        derandomize=chosen is None,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    Life.steps = 0
    with memoised():
        run_state_machine_as_test(Life if chosen is None else seed(chosen)(Life), settings=settings)
    return Life.steps


def test_random_lives_are_as_the_model_says() -> None:
    assert live(20, None) > 100


if __name__ == "__main__":
    lives, sown = int(sys.argv[1]), int(sys.argv[2])
    taken = live(lives, sown)
    print(f"{lives} lives of {taken} steps, each as the model says, seed {sown}")
