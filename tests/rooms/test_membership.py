"""Members come and go: who can open what, before and after, and what a failure leaves."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import card, clock, contents, new_vault, open_vault, person, seal
from vault import age
from vault.auditing import audit
from vault.custody import Member, State
from vault.errors import (
    CustodyError,
    DigestMismatchError,
    NoIdentityMatchError,
    NotFoundError,
)
from vault.identity import Card, Identity
from vault.keyring import Keyring, parse_epoch_file
from vault.layout import epoch_name, history_name
from vault.membership import admit, checks_of, grant_history, remove
from vault.storage import LocalStore, MemoryStore, Store
from vault.vault import Vault

ANN, BEN, CAT, DAN = (person(number) for number in (1, 2, 3, 4))
"""Ann founds; Ben reads from the beginning; Cat and Dan come."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A vault of Ann, who does not read, with one bundle that Ben can open."""
    with Vault.create(tmp_path / "v", identity=ANN, readers=[card(BEN, "Ben")], clock=clock) as one:
        seal(one, b"early")
    return tmp_path / "v"


def opened(place: Path, identity: Identity | None = None) -> Vault:
    return Vault.open(place, identity=identity, clock=clock)


def files(place: Path) -> dict[str, bytes]:
    """Return every file of the vault but its lock."""
    found = {str(one.relative_to(place)): one for one in place.rglob("*") if one.is_file()}
    found.pop("lock", None)
    return {name: path.read_bytes() for name, path in found.items()}


def member(vault: Vault, identity: Identity) -> Member:
    return vault.state.members[identity.ed25519]


def reads(place: Path, identity: Identity) -> list[bytes]:
    """Return the contents of the bundles that an identity can open, in the order of sealing."""
    found = []
    with opened(place, identity) as vault:
        for bundle in vault.state.bundles:
            try:
                with vault.read(bundle) as reading, reading.open(0) as item:
                    found.append(item.read())
            except NoIdentityMatchError:
                continue
    return found


def sound(place: Path, *identities: Identity) -> None:
    """Check that nobody finds anything, and that nothing is left over."""
    for identity in (None, *identities):
        report = audit(place, identity=identity)
        assert (report.verdict, report.findings) == ("intact", ())


def refused(rule: str, vault: Vault, action: Any) -> None:
    """Check that ``action`` breaks this rule, and that nothing comes of it."""
    before = contents(vault.store)
    with pytest.raises(CustodyError) as caught:
        action()
    assert caught.value.rule == rule
    assert contents(vault.store) == before


# --- who comes --------------------------------------------------------------------------------


def test_a_newcomer_with_history_opens_what_was_sealed_before_and_after(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, ANN, ["owner", "reader", "custodian"])
    with opened(place, BEN) as vault:
        grant_history(vault, member(vault, ANN))
    with opened(place, ANN) as vault:
        # Ann could not open the first epoch's successor further back than her own admission.
        seal(vault, b"middle")
        result = admit(vault, card(CAT, "Cat"), ["reader"])
        seal(vault, b"late")
    assert result.epoch is not None
    assert result.epoch.history
    assert reads(place, CAT) == [b"middle", b"late"]
    assert [bundle.seq for bundle in result.closed_bundles] == [3]
    assert reads(place, ANN) == reads(place, BEN) == [b"early", b"middle", b"late"]
    sound(place, ANN, BEN, CAT)


def test_an_owner_who_always_read_gives_all_of_the_history(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "v", identity=ANN, readers=[ANN], clock=clock) as vault:
        seal(vault, b"early")
        result = admit(vault, card(CAT), ["reader"])
        assert (result.closed, result.closed_bundles, result.before) == ((), (), None)
        assert result.readers == tuple(sorted((ANN.ed25519, CAT.ed25519)))
        assert result.owners == (ANN.ed25519,)
        assert [event.type for event in result.events] == ["member.admitted", "epoch.opened"]
        assert result.events[0].data["history"] is True
    assert reads(tmp_path / "v", CAT) == [b"early"]
    sound(tmp_path / "v", ANN, CAT)


def test_a_newcomer_without_history_opens_it_once_a_reader_grants_it(tmp_path: Path) -> None:
    place = tmp_path / "v"
    with Vault.create(place, identity=ANN, readers=[ANN], clock=clock) as vault:
        seal(vault, b"early")
        result = admit(vault, card(CAT), ["reader"], history=False)
        seal(vault, b"late")
    assert [epoch.history for epoch in result.closed] == [True]
    assert len(result.closed_bundles) == 1
    assert result.events[0].data["history"] is False
    assert reads(place, CAT) == [b"late"]
    assert reads(place, ANN) == [b"early", b"late"]
    with opened(place, ANN) as vault:
        granting = grant_history(vault, member(vault, CAT), fields={"reason": "she needs it"})
        assert granting.epochs == result.closed
        assert granting.closed == ()
        assert granting.bundles == result.closed_bundles
    assert reads(place, CAT) == [b"early", b"late"]
    with opened(place, CAT) as vault:
        assert vault.fields(granting.event)["reason"] == "she needs it"
    sound(place, ANN, CAT)


def test_an_owner_who_does_not_read_admits_readers_whom_a_reader_may_let_look_back(
    place: Path,
) -> None:
    with opened(place, ANN) as vault:
        result = admit(vault, card(CAT), ["reader"])
        seal(vault, b"late")
        assert result.epoch is not None
        assert not result.epoch.history
        assert len(result.closed_bundles) == 1
    assert reads(place, ANN) == []
    assert reads(place, BEN) == [b"early", b"late"]
    assert reads(place, CAT) == [b"late"]
    with opened(place, BEN) as vault:
        grant_history(vault, member(vault, CAT))
    assert reads(place, CAT) == [b"early", b"late"]
    sound(place, BEN, CAT)


def test_an_admission_says_in_private_who_it_is_and_how_that_was_checked(place: Path) -> None:
    fields = {
        "fingerprint.checked_how": "read aloud",
        "fingerprint.checked_by": "Ann",
        "fingerprint.checked_at": "2026-03-01",
        "reason": "she joins the desk",
        "occurred_at": "2026-02-01",
        "recorded_late_because": "no device",
    }
    with opened(place, ANN) as vault:
        admission, epoch = admit(vault, card(CAT, "Cat"), ["reader"], fields=fields).events
        assert checks_of(vault) == {}
    with opened(place, CAT) as vault:
        told = vault.fields(admission)
        assert {name: told[name] for name in fields} == fields
        assert told["member.name"] == "Cat"
        # The epoch has the reason too, and when it happened, but nothing about the person.
        also = vault.fields(epoch)
        assert also["reason"] == "she joins the desk"
        assert also["occurred_at"] == "2026-02-01"
        assert not any(name.startswith(("member", "fingerprint")) for name in also)
        (seen,) = checks_of(vault).values()
        assert seen.text("fingerprint.checked_how") == "read aloud"
    with opened(place) as vault:
        assert checks_of(vault) == {}


def test_a_later_check_of_a_fingerprint_takes_the_place_of_the_first(place: Path) -> None:
    for how in ("not checked", "by voice"):
        with opened(place, ANN) as vault:
            result = admit(vault, card(CAT), ["reader"], fields={"fingerprint.checked_how": how})
    assert result.before == {"reader"}
    assert result.epoch is None
    assert len(result.events) == 1
    with opened(place, CAT) as vault:
        assert checks_of(vault)[CAT.ed25519].text("fingerprint.checked_how") == "by voice"
    sound(place, CAT)


def test_another_role_opens_no_epoch(place: Path) -> None:
    with opened(place, ANN) as vault:
        first = admit(vault, card(CAT), ["custodian"])
        epochs = len(vault.state.epochs)
        result = admit(vault, card(CAT), ["custodian", "owner"])
        assert (first.epoch, result.epoch, len(vault.state.epochs)) == (None, None, epochs)
        assert result.before == {"custodian"}
        assert result.member.roles == {"custodian", "owner"}
        assert result.owners == tuple(sorted((ANN.ed25519, CAT.ed25519)))
        assert result.events[0].data["history"] is True
    assert sum(name.startswith("keys/") for name in files(place)) == 1
    sound(place, BEN)


def test_a_reader_who_becomes_a_custodian_alone_opens_no_more(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["reader"])
        seal(vault, b"middle")
        result = admit(vault, card(CAT), ["custodian"])
        seal(vault, b"late")
    assert result.before == {"reader"}
    assert result.readers == (BEN.ed25519,)
    assert result.closed == ()
    assert reads(place, CAT) == [b"middle"]
    assert reads(place, BEN) == [b"early", b"middle", b"late"]
    sound(place, BEN, CAT)


def test_what_was_withheld_from_one_reader_stays_closed_to_those_who_come_after(
    tmp_path: Path,
) -> None:
    place = tmp_path / "v"
    with Vault.create(place, identity=ANN, readers=[ANN], clock=clock) as vault:
        seal(vault, b"early")
        admit(vault, card(CAT), ["reader"], history=False)
        seal(vault, b"middle")
        result = admit(vault, card(DAN), ["reader"])
    assert result.events[0].data["history"] is True
    assert len(result.closed) == 1
    assert reads(place, DAN) == [b"middle"]
    sound(place, ANN, CAT, DAN)


# --- who goes ---------------------------------------------------------------------------------


def test_a_removed_reader_opens_what_was_sealed_before_and_nothing_after_nor_why(
    place: Path,
) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["reader"])
        middle = seal(vault, b"middle")
        result = remove(vault, member(vault, CAT), cause="seized", fields={"reason": "at night"})
        seal(vault, b"late")
    assert [bundle.id for bundle in result.open] == [middle.id]
    assert (result.held, result.released, result.disputed) == ((), (), 0)
    assert result.readers == (BEN.ed25519,)
    assert not result.member.active
    assert reads(place, CAT) == [b"middle"]
    assert reads(place, BEN) == [b"early", b"middle", b"late"]
    for event in result.events:
        with opened(place, CAT) as vault, pytest.raises(NoIdentityMatchError):
            vault.fields(event)
    with opened(place, BEN) as vault:
        told = vault.fields(result.events[0])
        assert (told["cause"], told["reason"]) == ("seized", "at night")
        assert vault.fields(result.events[1])["reason"] == "at night"
    assert b"at night" not in b"".join(files(place).values())
    sound(place, BEN, CAT)


def test_a_removal_says_what_the_key_answers_for_and_what_waits_for_it(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["custodian"])
        waiting = next(iter(vault.state.bundles))
    with opened(place, CAT) as vault:
        held = seal(vault, b"hers")
        kept = seal(vault, b"gone")
        vault.append("bundle.destroyed", bundle=kept.id, fields={"reason": "asked"})
    with opened(place, ANN) as vault:
        vault.append("custody.released", bundle=waiting, data={"to": CAT.ed25519})
        result = remove(vault, member(vault, CAT), cause="left")
        assert [bundle.id for bundle in result.held] == [held.id]
        assert [bundle.id for bundle in result.released] == [waiting]
        assert (result.open, result.epoch, len(result.events)) == ((), None, 1)


def test_doubt_makes_the_key_s_events_disputed_from_there_on(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["custodian"])
    with opened(place, CAT) as vault:
        notes = [vault.append("vault.noted", fields={"text": one}) for one in "abc"]
    with opened(place, ANN) as vault:
        doubt = notes[1].seq
        result = remove(vault, member(vault, CAT), cause="compromised", doubtful_from=doubt)
        assert result.disputed == 2
        disputed = [vault.state.is_disputed(CAT.ed25519, note.seq) for note in notes]
        assert disputed == [False, True, True]
    report = audit(place)
    assert report.verdict == "intact"
    assert {(one.code, one.severity) for one in report.findings} == {("disputed", "note")}


def test_an_owner_goes_where_another_one_says_so(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["owner"])
    with opened(place, CAT) as vault:
        result = remove(vault, member(vault, ANN), cause="died")
    assert result.owners == (CAT.ed25519,)
    sound(place, BEN)


# --- what is refused --------------------------------------------------------------------------


def test_what_the_rules_forbid_is_refused_by_name_and_leaves_nothing(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["custodian", "owner"])
        remove(vault, admit(vault, card(DAN), ["reader"]).member, cause="lost")
        ann, ben = member(vault, ANN), member(vault, BEN)
        refused("last-reader", vault, lambda: remove(vault, ben, cause="left"))
        refused("last-reader", vault, lambda: admit(vault, card(BEN), ["custodian"]))
        refused("second-owner", vault, lambda: remove(vault, ann, cause="left"))
        refused("second-owner", vault, lambda: admit(vault, ANN, ["custodian"]))
        refused("removed-key-returns", vault, lambda: admit(vault, card(DAN), ["reader"]))
        gone = member(vault, DAN)
        refused("member-unknown", vault, lambda: remove(vault, gone, cause="left"))
        here = admit(vault, card(person(9)), ["custodian"]).member
        beyond = vault.size + 1
        refused(
            "doubtful-from",
            vault,
            lambda: remove(vault, here, cause="left", doubtful_from=beyond),
        )
        refused("role", vault, lambda: grant_history(vault, ben))
    with opened(place, CAT) as vault:
        remove(vault, member(vault, ANN), cause="left")
        refused("last-owner", vault, lambda: remove(vault, member(vault, CAT), cause="left"))
        refused("last-owner", vault, lambda: admit(vault, CAT, ["custodian"]))
    for stranger in (DAN, ANN):
        with opened(place, stranger) as vault:
            with pytest.raises(CustodyError):
                admit(vault, card(person(8)), ["reader"])
            with pytest.raises(CustodyError):
                remove(vault, member(vault, BEN), cause="left")
    sound(place, BEN)


def test_a_member_without_a_role_is_a_caller_s_mistake(place: Path) -> None:
    with opened(place, ANN) as vault, pytest.raises(ValueError, match="role"):
        admit(vault, card(CAT), [])


def test_what_is_open_to_a_reader_or_closed_to_oneself_is_not_granted(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["reader"])
        admit(vault, card(DAN), ["reader"])
    with opened(place, CAT) as vault:
        refused("history-open", vault, lambda: grant_history(vault, member(vault, BEN)))
        first, second, third = vault.state.epochs
        with pytest.raises(NotFoundError):
            grant_history(vault, member(vault, DAN), [first])
        refused("history-open", vault, lambda: grant_history(vault, member(vault, DAN), [third]))
        granting = grant_history(vault, member(vault, DAN))
        assert [epoch.id for epoch in granting.epochs] == [second]
        assert [epoch.id for epoch in granting.closed] == [first]
        refused("history-closed", vault, lambda: grant_history(vault, member(vault, DAN)))
    with opened(place, BEN) as vault:
        # A custodian who does not read is given nothing.
        refused("history-reader", vault, lambda: grant_history(vault, member(vault, ANN)))
        assert len(grant_history(vault, member(vault, DAN), [first]).epochs) == 1
    assert reads(place, DAN) == [b"early"]
    sound(place, BEN, CAT, DAN)


def test_a_damaged_key_file_grants_nothing(place: Path) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["reader"])
        first = next(iter(vault.state.epochs))
    damaged = place / epoch_name(first)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    before = files(place)
    with opened(place, BEN) as vault, pytest.raises(DigestMismatchError):
        grant_history(vault, member(vault, CAT))
    assert files(place) == before


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["key file", "fields file", "commit"])
def test_a_medium_that_fails_leaves_the_vault_as_it_was(
    place: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(place)
    create = LocalStore.create

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "full")

    def failing(store: LocalStore, name: str) -> Any:
        kind = "key file" if name.startswith("keys/") else "fields file"
        return fail() if kind == step else create(store, name)

    with opened(place, ANN) as vault, monkeypatch.context() as patched:
        if step == "commit":
            patched.setattr(LocalStore, "commit", fail)
        else:
            patched.setattr(LocalStore, "create", failing)
        with pytest.raises(OSError, match="full"):
            admit(vault, card(CAT), ["reader"])
    assert files(place) == before
    with opened(place, ANN) as vault:
        admit(vault, card(CAT), ["reader"])
    sound(place, BEN, CAT)


@pytest.mark.parametrize("other", ["admission", "removal", "note"])
def test_two_who_write_at_once_make_one_log_with_the_right_epochs(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "v"
    with Vault.create(place, identity=ANN, readers=[ANN, BEN], clock=clock) as vault:
        admit(vault, card(DAN), ["owner"])
        seal(vault, b"early")
    with opened(place, ANN) as vault:
        new_epoch = vault.new_epoch
        calls: list[int] = []

        def slow(*arguments: Any, **options: Any) -> Any:
            made = new_epoch(*arguments, **options)
            calls.append(vault.size)
            if len(calls) == 1:
                with opened(place, DAN) as faster:
                    if other == "admission":
                        admit(faster, card(person(9)), ["reader"])
                    elif other == "removal":
                        remove(faster, member(faster, BEN), cause="left")
                    else:
                        faster.append("vault.noted", fields={"text": "first"})
            return made

        monkeypatch.setattr(vault, "new_epoch", slow)
        result = admit(vault, card(CAT), ["reader"])
        assert len(calls) == 2
        assert calls[0] < calls[1]
        assert result.epoch is not None
        expected = {
            "admission": {ANN, BEN, CAT, person(9)},
            "removal": {ANN, CAT},
            "note": {ANN, BEN, CAT},
        }[other]
        assert result.epoch.readers == {one.ed25519 for one in expected}
        assert set(result.readers) == result.epoch.readers
        named = {epoch_name(one).removeprefix("keys/") for one in vault.state.epochs}
    assert {path.name for path in (place / "keys").iterdir()} == named
    # Dan does not read, so that he broke the line; Ann gives on what she can.
    assert reads(place, CAT) == ([b"early"] if other == "note" else [])
    sound(place, ANN, BEN, CAT)


def test_a_race_lost_over_the_same_person_ends_in_the_roles_asked_for_last(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(place, ANN) as vault:
        admit(vault, card(DAN), ["owner"])
        new_epoch = vault.new_epoch

        def slow(*arguments: Any, **options: Any) -> Any:
            monkeypatch.undo()
            with opened(place, DAN) as faster:
                admit(faster, card(CAT), ["reader"])
            return new_epoch(*arguments, **options)

        monkeypatch.setattr(vault, "new_epoch", slow)
        result = admit(vault, card(CAT), ["custodian", "reader"])
    assert result.before == {"reader"}
    assert (result.epoch, len(result.events)) == (None, 1)
    sound(place, BEN, CAT)


# --- what every key file holds ----------------------------------------------------------------


@dataclass
class Model:
    """What each person should be able to open, followed apart from the library's own fold."""

    held: dict[bytes, list[bytes]] = field(default_factory=dict)
    """For each epoch, those in its file, newest first."""
    readers: dict[bytes, set[bytes]] = field(default_factory=dict)
    granted: dict[bytes, set[bytes]] = field(default_factory=dict)
    newest: bytes = b""

    def open(self, epoch: bytes, readers: set[bytes], actor: bytes, *, withheld: bool) -> None:
        """Follow an epoch: whoever reads the newest hands on what is in its file."""
        gives = not withheld and actor in self.readers.get(self.newest, ())
        self.held[epoch] = [epoch, *(self.held[self.newest] if gives else ())]
        self.readers[epoch] = readers
        self.newest = epoch

    def opens(self, key: bytes) -> set[bytes]:
        own = (set(self.held[epoch]) for epoch in self.held if key in self.readers[epoch])
        return set().union(*own, self.granted.get(key, set()))


PEOPLE = tuple(person(number) for number in range(20, 27))
BY_KEY = {one.ed25519: one for one in PEOPLE}
CARDS: dict[bytes, Card] = {one.ed25519: card(one, f"No {n}") for n, one in enumerate(PEOPLE)}


@pytest.mark.parametrize("seed", range(6))
def test_every_key_file_holds_just_what_was_given_and_never_what_was_withheld(seed: int) -> None:
    print("seed", seed)
    chance = random.Random(seed)
    founder = PEOPLE[0]
    store = MemoryStore()
    readers = chance.choice(([founder], [PEOPLE[1]], [founder, PEOPLE[1]]))
    model = Model()
    done: dict[str, int] = {}
    with new_vault(store, identity=founder, readers=readers) as vault:
        (first,) = vault.state.epochs
    model.open(first, {one.ed25519 for one in readers}, founder.ed25519, withheld=False)
    for _ in range(20):
        what = chance.choice(("admit", "admit", "admit", "remove", "grant", "grant"))
        with open_vault(store) as vault:
            able = sorted(vault.state.active("reader" if what == "grant" else "owner"))
        actor = BY_KEY[chance.choice(able)]
        subject = BY_KEY[chance.choice(able)] if what == "grant" else chance.choice(PEOPLE)
        with open_vault(store, actor) as vault:
            before = set(vault.state.active("reader"))
            known = vault.state.members.get(subject.ed25519)
            try:
                if what == "admit":
                    roles = chance.sample(("custodian", "owner", "reader"), chance.randint(1, 3))
                    history = chance.random() < 0.7
                    result = admit(vault, CARDS[subject.ed25519], roles, history=history)
                    epoch = result.epoch
                    newcomer = subject.ed25519 not in before and "reader" in roles
                    withheld = newcomer and not history
                elif known is None:
                    continue
                elif what == "remove":
                    epoch = remove(vault, known, cause="left").epoch
                    withheld = False
                else:
                    given = grant_history(vault, known).epochs
                    ids = {one.id for one in given}
                    assert ids == model.opens(actor.ed25519) - model.opens(subject.ed25519)
                    model.granted.setdefault(subject.ed25519, set()).update(ids)
                    epoch = None
            except CustodyError:
                continue
            done[what] = done.get(what, 0) + 1
            if epoch is not None:
                after = set(vault.state.active("reader"))
                model.open(epoch.id, after, actor.ed25519, withheld=withheld)
    assert sum(done.values()) >= 8, done
    assert len(model.held) >= 4, done
    check(store, model)


def check(store: Store, model: Model) -> None:
    """Open every key file with every identity, and hold it against the model and the fold."""
    with open_vault(store) as vault:
        state = vault.state
    assert list(state.epochs) == list(model.held)
    for epoch in state.epochs.values():
        data = store.read(epoch_name(epoch.id))
        assert [*state.held_by(epoch.id)] == model.held[epoch.id]
        for one in PEOPLE:
            found = held_in(data, one)
            meant = model.held[epoch.id] if one.ed25519 in model.readers[epoch.id] else []
            assert found == meant
    for grant in state.grants:
        data = store.read(history_name(grant.sha256))
        for one in PEOPLE:
            assert set(held_in(data, one)) == (
                set(grant.epochs) if one.ed25519 == grant.reader else set()
            )
    for one in PEOPLE:
        keyring = Keyring(store, one)
        assert state.opens(one.ed25519) == model.opens(one.ed25519)
        for epoch in state.epochs:
            assert can_open(keyring, epoch, state) == (epoch in model.opens(one.ed25519))
        report = audit(store, identity=one)
        assert (report.verdict, report.findings) == ("intact", ())


def held_in(data: bytes, identity: Identity) -> list[bytes]:
    """Return the epochs in a key file, in their order; nothing if it does not open."""
    try:
        return list(parse_epoch_file(age.decrypt_bytes(data, [identity.age])))
    except NoIdentityMatchError:
        return []


def can_open(keyring: Keyring, epoch: bytes, state: State) -> bool:
    try:
        keyring.identity_of(epoch, state)
    except NoIdentityMatchError:
        return False
    return True
