"""The rules for the vault, its members and its epochs: each broken alone, and its counterpart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.custody.histories import (
    BUNDLE,
    NOW,
    A,
    B,
    C,
    D,
    History,
    epoch_id,
    held,
    moved,
    peopled,
    person,
    recipient,
    young,
)
from vault.custody import Custody, Member, Policy, vault_id
from vault.identity import Identity, ProvenKeys
from vault.tlog import note
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint

# --- genesis ----------------------------------------------------------------------------------


def test_the_founder_is_owner_and_custodian_and_owes_an_epoch() -> None:
    history = History(Policy(60, two_person_destroy=True))
    genesis = history.create(sealed=epoch_id(1))
    state = history.state
    assert state.vault == vault_id(genesis)
    assert state.origin == f"evidence-vault/{vault_id(genesis).hex()}"
    assert state.policy == Policy(60, two_person_destroy=True)
    assert state.members == {A.ed25519: Member(A.proven, frozenset(("owner", "custodian")), (0,))}
    assert (state.due, state.newest, state.size) == (A.ed25519, None, 1)
    assert state.waiting == [(0, epoch_id(1))]
    assert Policy(60, two_person_destroy=True).to_data() == {
        "clock": 60,
        "two_person_destroy": True,
    }


def test_genesis_is_first_and_only_once() -> None:
    history = young()
    again = history.event(A, "vault.created", data=history.genesis_data(A), seq=0)
    expected = history.after_nothing(again)
    assert history.take(again) == ("sequence", "genesis-once")
    assert history.state == expected
    history.refuses_event("genesis-once", moved(again, seq=history.state.size))


def test_genesis_is_signed_by_the_keys_that_it_carries() -> None:
    History().refuses("genesis-actor", A, "vault.created", data=History().genesis_data(B))
    History().create(B)


def test_genesis_carries_keys_that_their_owner_holds() -> None:
    history = History()
    data = history.genesis_data(A)
    for proven in unproven(A, B):
        History().refuses("possession", A, "vault.created", data={**data, "keys": proven})


def test_nothing_is_taken_after_a_genesis_that_broke_a_rule() -> None:
    history = History()
    history.take(history.event(A, "vault.created", data=history.genesis_data(B)))
    assert history.state.members == {}
    broken = history.take(history.event(A, "vault.noted", vault=bytes(32), closes=None))
    assert set(broken) == {"other-vault", "not-a-member"}


def test_a_log_that_does_not_begin_with_genesis_has_no_members() -> None:
    custody = Custody()
    event = young().event(A, "vault.noted")
    rules = [breach.rule for breach in custody.apply(event)]
    assert rules == ["sequence", "other-vault", "closes", "not-a-member"]
    assert custody.state.members == {}


# --- every event ------------------------------------------------------------------------------


def test_events_are_numbered_without_gap_or_repeat() -> None:
    for seq in (1, 2, 4, 2**53 - 1):
        young().refuses("sequence", A, "vault.noted", seq=seq)
    young().do(A, "vault.noted", seq=3)


def test_an_event_with_a_wrong_number_stands_in_the_chain_at_its_place() -> None:
    history = held()
    place = history.state.size
    sealing = history.state.bundles[BUNDLE].seq
    history.refuses("sequence", B, "bundle.noted", bundle=BUNDLE, seq=sealing)
    assert history.state.bundles[BUNDLE].chain == [sealing, place]
    history.do(B, "bundle.noted", bundle=BUNDLE)


def test_an_event_of_another_vault_is_refused() -> None:
    history = young()
    history.refuses("other-vault", A, "vault.noted", vault=b"\x01" * 32)
    history.do(A, "vault.noted")


def test_public_times_are_as_coarse_as_the_policy_says() -> None:
    history = young(Policy(clock=3600))
    time = NOW - NOW % 3600 + 7200
    for wrong in (time + 1, time - 1, time + 1800):
        history.refuses("clock", A, "vault.noted", time=wrong)
    history.do(A, "vault.noted", time=time)
    young().do(A, "vault.noted", time=time + 1)


def test_what_needs_two_persons_is_not_loosened_by_one() -> None:
    history = young(Policy(two_person_destroy=True))
    for clock in (1, 60):
        data = {"policy": Policy(clock).to_data()}
        history.refuses("policy-loosened", A, "vault.policy", data=data)
    history.do(A, "vault.policy", data={"policy": Policy(60, two_person_destroy=True).to_data()})
    history = young()
    for two in (False, True, True):
        data = {"policy": Policy(two_person_destroy=two).to_data()}
        history.do(A, "vault.policy", data=data)
    assert history.state.policy.two_person_destroy


def test_a_new_policy_holds_from_the_next_event_on() -> None:
    history = young(Policy(clock=60))
    data = {"policy": Policy(clock=1, two_person_destroy=True).to_data()}
    history.refuses("clock", A, "vault.policy", data=data, time=NOW + 1)
    assert history.state.policy == Policy(clock=60)
    history.do(A, "vault.policy", data=data, time=NOW)
    assert history.state.policy == Policy(clock=1, two_person_destroy=True)
    history.do(A, "vault.noted", time=NOW + 1)


def test_only_members_write() -> None:
    history = peopled()
    stranger = person(9)
    history.signers[stranger.ed25519] = stranger
    history.refuses("not-a-member", stranger, "vault.noted")


def test_the_event_after_a_strangers_can_not_close_what_no_member_signed() -> None:
    history = peopled()
    history.refuses("not-a-member", person(9), "vault.noted")
    history.refuses("closes", A, "vault.noted")
    history.do(A, "vault.noted")


def test_a_member_writes_before_removal_and_not_after() -> None:
    history = peopled()
    history.do(C, "bundle.sealed", bundle=BUNDLE, data=history.seal_data())
    history.do(A, "member.removed", data={"member": C.ed25519})
    history.refuses("removed-member", C, "bundle.noted", bundle=BUNDLE)
    history.do(B, "bundle.noted", bundle=BUNDLE)


def test_nobody_writes_before_admission() -> None:
    history = young()
    history.refuses("not-a-member", B, "vault.noted")
    history.refuses("closes", A, "vault.noted")
    history.admit(A, B, "custodian")
    history.do(B, "vault.noted")


ROLES = {
    "vault.policy": (B, A, {"policy": Policy().to_data()}),
    "vault.upgraded": (D, A, {"version": 1}),
    "vault.rekeyed": (B, D, {"stage": "written", "manifest": (bytes(32), 1)}),
    "history.granted": (
        B,
        D,
        {"reader": D.ed25519, "epochs": (epoch_id(1),), "file": (bytes(32), 1)},
    ),
    "checkpoint.attested": (
        D,
        B,
        {"size": 1, "root": bytes(32), "kind": "rfc3161", "file": (bytes(32), 1)},
    ),
    "bundle.opened": (None, D, {}),
    "bundle.checked": (None, D, {"result": "intact"}),
    "bundle.noted": (None, D, {}),
    "bundle.disclosed": (D, B, {"kind": "disclosure"}),
    "consent.recorded": (D, C, {}),
    "custody.receipted": (D, C, {"receipt": (bytes(32), 1)}),
    "custody.interrupted": (D, C, {"state": "interrupted"}),
    "destruction.requested": (D, C, {}),
    "hold.placed": (D, C, {"hold": bytes(16)}),
    "vault.noted": (None, D, {}),
    "recovery.drilled": (None, D, {}),
}


@pytest.mark.parametrize("name", ROLES)
def test_each_type_is_written_by_its_roles_alone(name: str) -> None:
    wrong, right, data = ROLES[name]
    values: dict[str, Any] = {"data": data}
    history = held()
    if name == "vault.rekeyed":
        values["data"] = {**data, "epoch": history.state.newest}
    if name.partition(".")[0] not in ("vault", "history", "checkpoint", "recovery"):
        values["bundle"] = BUNDLE
    if wrong is not None:
        history.refuses("role", wrong, name, **values)
    history.do(right, name, **values)


def test_a_holder_who_is_no_custodian_does_not_destroy() -> None:
    history = held()
    history.handover(B, D)
    history.refuses("role", D, "bundle.destroyed", bundle=BUNDLE)
    history.admit(A, D, "custodian reader")
    history.do(D, "bundle.destroyed", bundle=BUNDLE)


def test_an_owner_who_is_no_custodian_does_not_seal() -> None:
    history = peopled()
    history.admit(A, B, "owner")
    history.refuses("role", B, "bundle.sealed", bundle=BUNDLE, data=history.seal_data())
    history.do(C, "bundle.sealed", bundle=BUNDLE, data=history.seal_data())


def test_only_owners_govern_the_roster() -> None:
    history = peopled()
    history.refuses("role", B, "member.admitted", data=history.admission(person(9), "custodian"))
    history.refuses("role", C, "member.removed", data={"member": B.ed25519})
    history.refuses("role", D, "epoch.opened", data=history.epoch())
    history.open_epoch(A)


# --- closes -----------------------------------------------------------------------------------


def test_the_first_event_after_another_actors_closes_his_stretch() -> None:
    history = peopled()
    history.refuses("closes", B, "vault.noted", closes=None)
    history.do(B, "vault.noted")  # the refused event was B's own
    history.do(A, "vault.noted")


def test_an_event_after_ones_own_closes_nothing() -> None:
    history = peopled()
    history.refuses("closes", A, "vault.noted", closes=history.closing(A, A))
    history.do(A, "vault.noted")


def older(history: History, by: int) -> bytes:
    size = history.tree.size - by
    root = history.tree.root(size) if by else bytes(32)
    return sign_checkpoint(Checkpoint(history.state.origin, size, root), A)


def other_origin(history: History) -> bytes:
    head = Checkpoint(f"evidence-vault/{'00' * 32}", history.tree.size, history.tree.root())
    return sign_checkpoint(head, A)


@pytest.mark.parametrize(
    "closes",
    [
        pytest.param(lambda h: b"", id="empty"),
        pytest.param(lambda h: b"evidence-vault/x\n", id="no note"),
        pytest.param(lambda h: h.closing(B)[:-2], id="torn"),
        pytest.param(lambda h: h.closing(B, B), id="signed by the one who closes"),
        pytest.param(lambda h: h.closing(B, C), id="signed by another member"),
        pytest.param(lambda h: older(h, 1), id="an older checkpoint"),
        pytest.param(lambda h: older(h, 0), id="of the same size and another root"),
        pytest.param(other_origin, id="of another vault"),
        pytest.param(lambda h: h.closing(B).replace(b"\n\n", b"\nextension\n\n"), id="extended"),
    ],
)
def test_what_is_closed_is_the_checkpoint_before_signed_by_the_last_actor(closes: Any) -> None:
    history = peopled()
    history.refuses("closes", B, "vault.noted", closes=closes(history))


def test_a_removed_members_last_stretch_is_still_closed_by_his_own_signature() -> None:
    history = peopled()
    history.do(B, "vault.noted")
    history.do(A, "member.removed", data={"member": B.ed25519})
    history.refuses("removed-member", B, "vault.noted")
    history.do(A, "vault.noted")


# --- keys -------------------------------------------------------------------------------------


def unproven(who: Identity, other: Identity) -> list[dict[str, bytes]]:
    """The keys of one with proofs that are not theirs, or of another."""
    mine, theirs = who.proven.to_data(), other.proven.to_data()
    return [
        {**mine, "ed25519_proof": theirs["ed25519_proof"]},
        {**mine, "ml_dsa_44_proof": theirs["ml_dsa_44_proof"]},
        {**mine, "age": theirs["age"]},
        {**mine, "ml_dsa_44": theirs["ml_dsa_44"]},
    ]


def test_a_member_is_admitted_only_with_proof_of_possession() -> None:
    history = young()
    data = history.admission(B, "custodian")
    for keys in unproven(B, C):
        history.refuses("possession", A, "member.admitted", data={**data, "keys": keys})
    history.do(A, "member.admitted", data=data)


def mixed(ed25519: Identity, ml_dsa_44: Identity, age: Identity) -> dict[str, bytes]:
    """Keys of several identities, with sound proofs: what one who holds all of them could make."""
    keys = dataclasses.replace(ed25519.keys, ml_dsa_44=ml_dsa_44.keys.ml_dsa_44, age=age.keys.age)
    message = keys.message
    proven = ProvenKeys(keys, ed25519.sign_ed25519(message), ml_dsa_44.sign_ml_dsa_44(message))
    return proven.to_data()


def test_no_key_serves_two_members() -> None:
    history = peopled()
    fresh = person(9)
    data = history.admission(fresh, "custodian")
    for keys in (mixed(B, fresh, fresh), mixed(fresh, B, fresh), mixed(fresh, fresh, B)):
        history.refuses("key-reused", A, "member.admitted", data={**data, "keys": keys})
    history.do(A, "member.admitted", data=data)


def test_no_key_of_a_removed_member_serves_another() -> None:
    history = peopled()
    history.do(A, "member.removed", data={"member": B.ed25519})
    fresh = person(9)
    data = history.admission(fresh, "custodian")
    for keys in (mixed(fresh, B, fresh), mixed(fresh, fresh, B)):
        history.refuses("key-reused", A, "member.admitted", data={**data, "keys": keys})
    history.do(A, "member.admitted", data=data)


def test_key_ids_under_the_origin_do_not_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = person(9)
    real = note.key_id

    def colliding(like: bytes, with_key: bytes) -> None:
        monkeypatch.setattr(
            note, "key_id", lambda n, k, p: real(n, k, with_key if p == like else p)
        )

    history = peopled()
    data = history.admission(fresh, "custodian")
    for mine, theirs in ((fresh.ed25519, B.ed25519), (fresh.ml_dsa_44, B.ml_dsa_44)):
        colliding(mine, theirs)
        history.refuses("key-id-collision", A, "member.admitted", data=data)
    # Across the two kinds of key as well: a reader of a note knows only the four bytes.
    monkeypatch.setattr(
        note,
        "key_id",
        lambda n, k, p: (
            real(n, note.ML_DSA_44, B.ml_dsa_44) if p == fresh.ed25519 else real(n, k, p)
        ),
    )
    history.refuses("key-id-collision", A, "member.admitted", data=data)
    # And one's own two keys with each other.
    own = (fresh.ed25519, fresh.ml_dsa_44)
    monkeypatch.setattr(note, "key_id", lambda n, k, p: b"same" if p in own else real(n, k, p))
    history.refuses("key-id-collision", A, "member.admitted", data=data)
    monkeypatch.undo()
    history.do(A, "member.admitted", data=data)


def test_a_removed_key_never_returns() -> None:
    history = peopled()
    history.do(A, "member.removed", data={"member": B.ed25519})
    data = history.admission(B, "custodian")
    history.refuses("removed-key-returns", A, "member.admitted", data=data)
    assert history.state.member(B.ed25519) is None
    history.admit(A, person(9), "custodian")


# --- members ----------------------------------------------------------------------------------


def test_admission_again_replaces_roles_and_keeps_the_place() -> None:
    history = peopled()
    before = history.state.members[B.ed25519]
    again = history.admit(A, B, "owner")
    after = history.state.members[B.ed25519]
    assert after == Member(B.proven, frozenset(("owner",)), (before.admitted, again.seq))
    assert (after.admitted, after.keys) == (before.admitted, B.keys)


def test_the_last_owner_is_not_removed_and_does_not_step_down() -> None:
    history = peopled()
    history.refuses("last-owner", A, "member.removed", data={"member": A.ed25519})
    data = history.admission(A, "custodian reader")
    history.refuses("last-owner", A, "member.admitted", data=data)
    assert set(history.state.active("owner")) == {A.ed25519}


def test_an_owner_is_removed_by_another_owner_alone() -> None:
    history = peopled()
    history.admit(A, B, "owner")
    history.refuses("second-owner", A, "member.removed", data={"member": A.ed25519})
    data = history.admission(A, "custodian reader")
    history.refuses("second-owner", A, "member.admitted", data=data)
    history.do(B, "member.admitted", data=data)
    assert set(history.state.active("owner")) == {B.ed25519}
    history.refuses("last-owner", B, "member.removed", data={"member": B.ed25519})


def test_of_two_owners_either_removes_the_other() -> None:
    history = peopled()
    history.admit(A, B, "owner")
    history.do(B, "member.removed", data={"member": A.ed25519})
    assert history.state.due == B.ed25519
    history.open_epoch(B, history=False)
    assert set(history.state.active("reader")) == {D.ed25519}


def test_only_members_are_removed() -> None:
    history = peopled()
    history.refuses("member-unknown", A, "member.removed", data={"member": person(9).ed25519})
    history.do(A, "member.removed", data={"member": B.ed25519})
    history.refuses("member-unknown", A, "member.removed", data={"member": B.ed25519})


def test_doubt_begins_at_or_before_the_removal() -> None:
    history = peopled()
    here = history.state.size
    data = {"member": B.ed25519, "doubtful_from": here + 1}
    history.refuses("doubtful-from", A, "member.removed", data=data)
    history.do(A, "member.removed", data={"member": B.ed25519, "doubtful_from": 5})
    state = history.state
    assert not state.is_disputed(B.ed25519, 4)
    assert state.is_disputed(B.ed25519, 5)
    assert not state.is_disputed(A.ed25519, 5)
    assert not state.is_disputed(person(9).ed25519, 5)
    other = peopled()
    other.do(A, "member.removed", data={"member": B.ed25519, "doubtful_from": other.state.size})
    third = peopled()
    third.do(A, "member.removed", data={"member": B.ed25519})
    assert not third.state.is_disputed(B.ed25519, 0)


def test_there_is_always_a_reader() -> None:
    history = young()
    history.refuses("last-reader", A, "member.admitted", data=history.admission(A, "owner"))
    history.admit(A, D, "reader")
    history.open_epoch(A)
    history.do(A, "member.admitted", data=history.admission(A, "custodian owner"))
    history.open_epoch(A, history=False)
    history.refuses("last-reader", A, "member.removed", data={"member": D.ed25519})


def test_there_are_no_more_readers_than_an_epoch_can_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.custody.roster.MAX_READERS", 2)
    history = peopled()
    fresh = person(9)
    data = history.admission(fresh, "reader")
    history.refuses("reader-limit", A, "member.admitted", data=data)
    history.admit(A, D, "custodian reader")  # a reader again is no reader more
    history.admit(A, fresh, "custodian")


# --- epochs -----------------------------------------------------------------------------------


def test_a_change_of_readers_is_followed_by_an_epoch() -> None:
    history = young()
    history.admit(A, D, "reader")
    assert history.state.due == A.ed25519
    history.refuses("epoch-due", A, "vault.noted")
    history.refuses("epoch-due", A, "bundle.sealed", bundle=BUNDLE, data=history.seal_data())
    history.open_epoch(A)
    assert history.state.due is None
    history.do(A, "vault.noted")


@pytest.mark.parametrize(
    ("who", "roles", "due"),
    [
        (B, "custodian reader", True),
        (B, "custodian", False),
        (B, "owner", False),
        (D, "reader custodian", False),
        (D, "custodian", True),
    ],
)
def test_an_epoch_is_due_when_the_readers_change_and_only_then(
    who: Identity, roles: str, due: bool
) -> None:
    history = peopled()
    history.admit(A, who, roles)
    assert (history.state.due == A.ed25519) is due


@pytest.mark.parametrize(("who", "due"), [(B, False), (D, True)])
def test_an_epoch_is_due_when_a_reader_is_removed(who: Identity, due: bool) -> None:
    history = peopled()
    history.do(A, "member.removed", data={"member": who.ed25519})
    assert (history.state.due == A.ed25519) is due


def test_nobody_else_writes_while_an_epoch_is_due() -> None:
    history = peopled()
    history.admit(A, B, "owner custodian")
    history.do(A, "member.removed", data={"member": D.ed25519})
    history.refuses("epoch-due", B, "vault.noted")
    history.refuses("epoch-due", B, "epoch.opened", data=history.epoch(history=False))
    history.open_epoch(A)


def test_several_changes_of_readers_may_share_an_epoch() -> None:
    history = young()
    history.admit(A, B, "reader")
    history.admit(A, C, "custodian")
    history.admit(A, D, "reader")
    history.do(A, "member.removed", data={"member": B.ed25519})
    history.open_epoch(A)
    assert history.state.epochs[epoch_id(2)].readers == {A.ed25519, D.ed25519}


def test_an_epoch_has_an_id_of_its_own() -> None:
    history = peopled()
    data = {**history.epoch(), "epoch": epoch_id(1)}
    history.refuses("epoch-unique", A, "epoch.opened", data=data)
    history.open_epoch(A)


def test_an_epoch_is_for_all_readers_and_nobody_else() -> None:
    history = peopled()
    for readers in (
        (A.ed25519,),
        (D.ed25519,),
        tuple(sorted((A.ed25519, B.ed25519, D.ed25519))),
        tuple(sorted((A.ed25519, B.ed25519))),
    ):
        data = {**history.epoch(), "readers": readers}
        history.refuses("epoch-readers", A, "epoch.opened", data=data)
    history.open_epoch(A)


def test_an_epoch_has_a_key_of_its_own() -> None:
    history = peopled()
    for used in (recipient(1), recipient(2), A.keys.age, B.keys.age):
        data = {**history.epoch(), "recipient": used}
        history.refuses("epoch-recipient", A, "epoch.opened", data=data)
    history.open_epoch(A)


def test_an_owner_who_is_no_reader_opens_an_epoch_without_history() -> None:
    history = History()
    history.create()
    history.admit(A, D, "reader")
    history.open_epoch(A)  # the first has nothing before it
    history.admit(A, B, "reader")
    history.refuses("epoch-history", A, "epoch.opened", data=history.epoch())
    history.open_epoch(A, history=False)


def test_history_that_is_withheld_from_a_reader_is_in_no_file_of_the_epoch() -> None:
    history = young()
    history.admit(A, D, "reader", history=False)
    assert history.state.withheld
    history.refuses("epoch-history", A, "epoch.opened", data=history.epoch())
    history.open_epoch(A, history=False)
    assert not history.state.withheld
    assert not history.state.epochs[history.state.newest or b""].history
    history.open_epoch(A)


def test_history_is_withheld_if_it_is_from_any_of_several() -> None:
    history = young()
    history.admit(A, D, "reader", history=False)
    history.admit(A, B, "reader", history=True)
    history.refuses("epoch-history", A, "epoch.opened", data=history.epoch())
    history.open_epoch(A, history=False)


def test_what_is_no_readers_admission_withholds_nothing() -> None:
    history = young()
    history.admit(A, B, "custodian", history=False)
    assert not history.state.withheld
    history.open_epoch(A)


def test_fields_are_for_the_newest_epoch() -> None:
    history = peopled()
    for epoch in (epoch_id(1), epoch_id(9)):
        history.refuses("epoch-newest", A, "vault.noted", sealed=epoch)
    history.do(A, "vault.noted", sealed=epoch_id(2))


def test_the_fields_of_a_change_of_readers_are_for_the_epoch_that_follows() -> None:
    history = young()
    history.admit(A, D, "reader", sealed=epoch_id(1))
    assert history.state.waiting == [(3, epoch_id(1))]
    history.refuses("epoch-newest", A, "epoch.opened", data=history.epoch(number=2))

    history = young()
    history.admit(A, D, "reader", sealed=epoch_id(2))
    history.admit(A, B, "custodian", sealed=epoch_id(2))
    data = history.epoch(number=2)
    history.refuses("epoch-newest", A, "epoch.opened", data=data, sealed=epoch_id(1))
    history.do(A, "epoch.opened", data=data, sealed=epoch_id(2))
    assert history.state.waiting == []
    history.do(A, "vault.noted", sealed=epoch_id(2))


def test_the_fields_of_genesis_are_for_the_first_epoch() -> None:
    for named, rules in ((epoch_id(1), ()), (epoch_id(7), ("epoch-newest",))):
        history = History()
        history.create(sealed=named)
        history.admit(A, A, "owner reader")
        assert history.take(history.event(A, "epoch.opened", data=history.epoch())) == rules


def test_the_fields_of_an_admission_that_changes_no_reader_are_for_the_newest_epoch() -> None:
    history = peopled()
    data = history.admission(B, "owner")
    history.refuses("epoch-newest", A, "member.admitted", data=data, sealed=epoch_id(3))
    history.do(A, "member.admitted", data=data, sealed=epoch_id(2))


def test_an_owner_may_open_an_epoch_at_any_time() -> None:
    history = peopled()
    history.open_epoch(A, sealed=epoch_id(3))
    assert list(history.state.epochs) == [epoch_id(1), epoch_id(2), epoch_id(3)]
    assert history.state.newest == epoch_id(3)


# --- history, versions, attestations ----------------------------------------------------------


def grant(reader: Identity, *epochs: bytes) -> dict[str, Any]:
    return {"reader": reader.ed25519, "epochs": tuple(sorted(epochs)), "file": (bytes(32), 1)}


def test_history_is_granted_to_readers_alone() -> None:
    history = peopled()
    for other in (B, person(9)):
        history.refuses("history-reader", A, "history.granted", data=grant(other, epoch_id(1)))
    history.do(A, "history.granted", data=grant(D, epoch_id(1), epoch_id(2)))
    (granted,) = history.state.grants
    assert (granted.reader, granted.epochs) == (D.ed25519, (epoch_id(1), epoch_id(2)))
    assert (granted.sha256, granted.size) == (bytes(32), 1)


def test_only_epochs_that_there_are_can_be_granted() -> None:
    history = peopled()
    data = grant(D, epoch_id(1), epoch_id(9))
    history.refuses("epoch-unknown", A, "history.granted", data=data)
    history.do(A, "history.granted", data=grant(D, epoch_id(1)))


def test_a_vault_of_this_version_is_not_upgraded_to_another() -> None:
    history = peopled()
    for version in (0, 2):
        history.refuses("version", A, "vault.upgraded", data={"version": version})
    history.do(A, "vault.upgraded", data={"version": 1})


def test_only_checkpoints_that_there_were_can_be_attested() -> None:
    history = peopled()
    here = history.state.size
    data = {"root": bytes(32), "kind": "cosignature", "file": (bytes(32), 1)}
    for size in (0, here + 2):
        history.refuses("attested-size", A, "checkpoint.attested", data={**data, "size": size})
    history.do(A, "checkpoint.attested", data={**data, "size": here})
    history.do(A, "checkpoint.attested", data={**data, "size": 1})
