"""The rules for bundles: each broken alone, and its counterpart."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.custody.histories import (
    BUNDLE,
    HOLD,
    NOW,
    A,
    B,
    C,
    D,
    History,
    epoch_id,
    fold_rules,
    held,
    moved,
    peopled,
    person,
)
from vault.custody import BundleState, Policy, Release
from vault.event import EVENT_TYPES
from vault.identity import Identity
from vault.layout import PART_SIZE

OTHER = b"\xb2" * 16
TWO = Policy(two_person_destroy=True)


def bundle(history: History, which: bytes = BUNDLE) -> BundleState:
    return history.state.bundles[which]


# --- sealing ----------------------------------------------------------------------------------


def test_the_sealer_is_the_first_holder() -> None:
    history = peopled()
    event = history.seal(B, sealed=epoch_id(2))
    found = bundle(history)
    assert (found.holder, found.sealer, found.seq, found.time) == (
        B.ed25519,
        B.ed25519,
        event.seq,
        event.time,
    )
    assert found.holders == [(event.seq, B.ed25519)]
    assert found.chain == [event.seq]
    assert found.last == event.leaf_hash
    assert found.parts == event.data["parts"]
    assert (found.key, found.items) == (event.data["key"], event.data["items"])
    assert found.key_file.to_value() == event.data["key_file"]
    assert (found.release, found.interrupted, found.holds) == (None, False, set())
    assert found.size == 16384


def test_a_bundle_is_sealed_once() -> None:
    history = held()
    items = bundle(history).items
    for who in (B, C):
        data = history.seal_data()
        history.refuses("bundle-once", who, "bundle.sealed", bundle=BUNDLE, data=data)
    assert bundle(history).items == items
    history.seal(C, OTHER)
    assert bundle(history, OTHER).holder == C.ed25519


@pytest.mark.parametrize("named", ["key", "key_file", "parts"])
def test_a_bundle_has_files_of_its_own(named: str) -> None:
    # Or whoever destroyed his own bundle could have another's evidence deleted with it.
    history = held()
    known = bundle(history)
    key_file = (known.key_file.sha256, 1, known.key_file.epoch)
    taken: dict[str, Any] = {"key": known.key, "key_file": key_file, "parts": known.parts}
    data = history.seal_data(**{named: taken[named]})
    history.refuses("file-once", C, "bundle.sealed", bundle=OTHER, data=data)
    history.seal(C, OTHER)


def test_an_event_has_a_fields_file_of_its_own() -> None:
    history = held()
    first = history.do(B, "bundle.noted", bundle=BUNDLE, sealed=epoch_id(2))
    for name, more in (("bundle.noted", {"bundle": BUNDLE}), ("vault.noted", {})):
        values: dict[str, Any] = {"fields": bytes(32), "sealed": first.sealed, **more}
        event = history.event(B, name, **more)
        history.refuses_event("file-once", moved(event, **{**values, "bundle": event.bundle}))
    data = history.seal_data(key_file=(first.sealed.sha256, 1, epoch_id(2)))  # type: ignore[union-attr]
    history.refuses("file-once", B, "bundle.sealed", bundle=OTHER, data=data)
    history.do(B, "bundle.noted", bundle=BUNDLE, sealed=epoch_id(2))


def test_a_file_that_a_refused_event_named_may_be_named_by_a_sound_one() -> None:
    history = peopled()
    data = history.seal_data()
    history.refuses("role", D, "bundle.sealed", bundle=BUNDLE, data=data)
    history.do(B, "bundle.sealed", bundle=BUNDLE, data=data)


def parts(*sizes: int) -> tuple[tuple[bytes, int], ...]:
    return tuple((b"\x03" * 32, size) for size in sizes)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ((0,), (1,)),
        ((PART_SIZE + 1,), (PART_SIZE,)),
        ((PART_SIZE - 1, 1), (PART_SIZE, 1)),
        ((PART_SIZE, 0), (PART_SIZE, PART_SIZE)),
        ((PART_SIZE, 5, PART_SIZE), (PART_SIZE, PART_SIZE, 5)),
        ((PART_SIZE, PART_SIZE + 1), (PART_SIZE, PART_SIZE)),
    ],
)
def test_every_part_but_the_last_is_full(wrong: tuple[int, ...], right: tuple[int, ...]) -> None:
    history = peopled()
    data = history.seal_data(parts=parts(*wrong))
    history.refuses("part-sizes", B, "bundle.sealed", bundle=BUNDLE, data=data)
    assert BUNDLE not in history.state.bundles
    data = history.seal_data(parts=parts(*right))
    history.do(B, "bundle.sealed", bundle=BUNDLE, data=data)
    assert bundle(history).size == sum(right)


def test_the_key_of_a_bundle_is_for_the_newest_epoch() -> None:
    history = peopled()
    for epoch in (epoch_id(1), epoch_id(9)):
        data = history.seal_data(key_file=(bytes(32), 1, epoch))
        history.refuses("epoch-newest", B, "bundle.sealed", bundle=BUNDLE, data=data)
    history.seal(B)


def test_a_sealing_that_broke_a_rule_makes_no_bundle() -> None:
    history = peopled()
    history.refuses("role", D, "bundle.sealed", bundle=BUNDLE, data=history.seal_data())
    history.refuses("bundle-unknown", B, "bundle.noted", bundle=BUNDLE)
    history.seal(B)


# --- the chain --------------------------------------------------------------------------------


def test_an_event_about_a_bundle_that_is_not_there_is_refused() -> None:
    history = held()
    history.refuses("bundle-unknown", B, "bundle.noted", bundle=OTHER)
    history.do(B, "bundle.noted", bundle=BUNDLE)


def test_each_event_of_a_bundle_follows_the_last() -> None:
    history = held()
    first = bundle(history).last
    history.do(B, "bundle.noted", bundle=BUNDLE)
    for prev in (first, bytes(32), history.tree.hash(0, 0)):
        history.refuses("prev", B, "bundle.noted", bundle=BUNDLE, prev=prev)
    history.do(C, "bundle.noted", bundle=BUNDLE)


def test_an_event_that_broke_a_rule_is_a_link_of_the_chain_too() -> None:
    history = held()
    before = bundle(history).last
    broken = history.refuses("role", D, "hold.placed", bundle=BUNDLE, data={"hold": HOLD})
    history.refuses("prev", B, "bundle.noted", bundle=BUNDLE, prev=before)
    history.do(B, "bundle.noted", bundle=BUNDLE)
    assert bundle(history).chain[1] == broken.seq


def test_chains_of_two_bundles_do_not_mix() -> None:
    history = held()
    history.seal(C, OTHER)
    history.do(B, "bundle.noted", bundle=BUNDLE)
    history.do(B, "bundle.noted", bundle=OTHER)
    history.refuses("prev", B, "bundle.noted", bundle=BUNDLE, prev=bundle(history, OTHER).last)


# --- handing on -------------------------------------------------------------------------------


def release(to: Identity, **more: Any) -> dict[str, Any]:
    return {"to": to.ed25519, **more}


def accept(history: History, **more: Any) -> dict[str, Any]:
    found = bundle(history).release
    assert found is not None
    return {"release": found.seq, "rehashed": True, **more}


def released(to: Identity = C, **more: Any) -> History:
    history = held()
    history.do(B, "custody.released", bundle=BUNDLE, data=release(to, **more))
    return history


def test_only_the_holder_releases() -> None:
    history = held()
    history.refuses("holder", C, "custody.released", bundle=BUNDLE, data=release(A))
    history.refuses("holder", A, "custody.released", bundle=BUNDLE, data=release(C))
    event = history.do(B, "custody.released", bundle=BUNDLE, data=release(C))
    assert bundle(history).release == Release(event.seq, B.ed25519, C.ed25519, None)
    assert bundle(history).holder == B.ed25519


def test_a_bundle_is_released_to_another_member() -> None:
    history = held()
    for to in (B, person(9)):
        history.refuses("release-to", B, "custody.released", bundle=BUNDLE, data=release(to))
    history.do(A, "member.removed", data={"member": C.ed25519})
    history.refuses("release-to", B, "custody.released", bundle=BUNDLE, data=release(C))
    history.do(B, "custody.released", bundle=BUNDLE, data=release(A))


def test_a_bundle_is_released_to_one_at_a_time() -> None:
    history = released(C)
    history.refuses("release-open", B, "custody.released", bundle=BUNDLE, data=release(A))
    found = bundle(history).release
    assert found is not None
    history.do(B, "custody.recalled", bundle=BUNDLE, data={"release": found.seq})
    history.do(B, "custody.released", bundle=BUNDLE, data=release(A))


def test_the_holder_changes_when_the_recipient_accepts_and_not_before() -> None:
    history = released(C)
    assert bundle(history).holder == B.ed25519
    event = history.do(C, "custody.accepted", bundle=BUNDLE, data=accept(history))
    found = bundle(history)
    assert (found.holder, found.release) == (C.ed25519, None)
    assert found.holders[1:] == [(event.seq, C.ed25519)]
    history.refuses("holder", B, "custody.released", bundle=BUNDLE, data=release(A))
    history.do(C, "custody.released", bundle=BUNDLE, data=release(B))


@pytest.mark.parametrize("name", ["custody.accepted", "custody.declined"])
def test_only_the_named_recipient_answers(name: str) -> None:
    history = released(D)
    data = accept(history)
    if name == "custody.declined":
        del data["rehashed"]
    for other in (A, B, C):
        history.refuses("recipient", other, name, bundle=BUNDLE, data=data)
    history.do(D, name, bundle=BUNDLE, data=data)
    assert bundle(history).holder == (D if name == "custody.accepted" else B).ed25519
    assert bundle(history).release is None


@pytest.mark.parametrize("name", ["custody.accepted", "custody.declined", "custody.recalled"])
def test_an_answer_names_the_release_that_is_open(name: str) -> None:
    more = {"rehashed": True} if name == "custody.accepted" else {}
    who = B if name == "custody.recalled" else C
    history = held()
    history.refuses("release-unknown", who, name, bundle=BUNDLE, data={"release": 0, **more})
    event = history.do(B, "custody.released", bundle=BUNDLE, data=release(C))
    for seq in (0, event.seq - 1, event.seq + 1):
        history.refuses("release-unknown", who, name, bundle=BUNDLE, data={"release": seq, **more})
    history.do(who, name, bundle=BUNDLE, data={"release": event.seq, **more})
    history.refuses(
        "release-unknown", who, name, bundle=BUNDLE, data={"release": event.seq, **more}
    )


def test_only_the_holder_recalls() -> None:
    history = released(C)
    data = {"release": accept(history)["release"]}
    for other in (A, C):
        history.refuses("holder", other, "custody.recalled", bundle=BUNDLE, data=data)
    history.do(B, "custody.recalled", bundle=BUNDLE, data=data)
    assert (bundle(history).holder, bundle(history).release) == (B.ed25519, None)


def test_a_release_expires_for_acceptance() -> None:
    until = NOW + 1000
    history = released(C, expires=until)
    data = accept(history)
    history.refuses(
        "release-expired", C, "custody.accepted", bundle=BUNDLE, data=data, time=until + 1
    )
    history.do(C, "custody.accepted", bundle=BUNDLE, data=data, time=until)
    assert bundle(history).holder == C.ed25519


def test_a_release_that_expired_is_replaced_declined_or_recalled() -> None:
    until = NOW + 1000
    for name, who in (("custody.declined", C), ("custody.recalled", B)):
        history = released(C, expires=until)
        data = {"release": accept(history)["release"]}
        history.do(who, name, bundle=BUNDLE, data=data, time=until + 1)
    history = released(C, expires=until)
    values: dict[str, Any] = {"bundle": BUNDLE, "data": release(A)}
    history.refuses("release-open", B, "custody.released", time=until, **values)
    history.do(B, "custody.released", time=until + 1, **values)
    found = bundle(history).release
    assert found is not None
    assert found.to == A.ed25519


def test_who_accepts_has_hashed_what_he_received() -> None:
    history = released(C)
    data = accept(history, rehashed=False)
    history.refuses("rehash", C, "custody.accepted", bundle=BUNDLE, data=data)
    history.do(C, "custody.accepted", bundle=BUNDLE, data=accept(history))


def test_a_recipient_who_was_removed_accepts_nothing() -> None:
    history = released(C)
    history.do(A, "member.removed", data={"member": C.ed25519})
    history.refuses("removed-member", C, "custody.accepted", bundle=BUNDLE, data=accept(history))
    history.do(B, "custody.recalled", bundle=BUNDLE, data={"release": accept(history)["release"]})


# --- breaks -----------------------------------------------------------------------------------


def test_custody_is_assumed_only_from_a_holder_who_does_not_answer() -> None:
    history = held()
    history.refuses("holder-answers", A, "custody.assumed", bundle=BUNDLE)
    history.do(A, "member.removed", data={"member": B.ed25519})
    event = history.do(A, "custody.assumed", bundle=BUNDLE)
    assert bundle(history).holder == A.ed25519
    assert bundle(history).holders[-1] == (event.seq, A.ed25519)


def test_custody_is_assumed_by_owners_alone() -> None:
    history = held()
    history.do(A, "member.removed", data={"member": B.ed25519})
    history.refuses("role", C, "custody.assumed", bundle=BUNDLE)
    history.do(A, "custody.assumed", bundle=BUNDLE)


def test_custody_of_what_was_seized_is_assumed_and_ends_the_interruption() -> None:
    history = released(C)
    history.do(B, "custody.interrupted", bundle=BUNDLE, data={"state": "interrupted"})
    history.do(A, "custody.assumed", bundle=BUNDLE)
    found = bundle(history)
    assert (found.holder, found.interrupted, found.release) == (A.ed25519, False, None)


def test_what_is_interrupted_is_returned_before_it_is_released() -> None:
    history = held()
    out, back = {"state": "interrupted"}, {"state": "returned"}
    history.refuses("interruption", B, "custody.interrupted", bundle=BUNDLE, data=back)
    history.do(B, "custody.interrupted", bundle=BUNDLE, data=out)
    assert bundle(history).interrupted
    history.refuses("interruption", C, "custody.interrupted", bundle=BUNDLE, data=out)
    history.refuses("interrupted", B, "custody.released", bundle=BUNDLE, data=release(C))
    history.do(C, "custody.interrupted", bundle=BUNDLE, data=back)
    assert not bundle(history).interrupted
    history.do(B, "custody.released", bundle=BUNDLE, data=release(C))


# --- holds and destruction --------------------------------------------------------------------


def test_a_hold_is_placed_once_and_lifted_once() -> None:
    history = held()
    hold = {"hold": HOLD}
    history.refuses("hold-unknown", B, "hold.lifted", bundle=BUNDLE, data=hold)
    history.do(C, "hold.placed", bundle=BUNDLE, data=hold)
    history.refuses("hold-once", B, "hold.placed", bundle=BUNDLE, data=hold)
    history.do(B, "hold.placed", bundle=BUNDLE, data={"hold": b"\x0e" * 16})
    history.do(B, "hold.lifted", bundle=BUNDLE, data=hold)
    assert bundle(history).holds == {b"\x0e" * 16}
    history.refuses("hold-unknown", B, "hold.lifted", bundle=BUNDLE, data=hold)
    history.do(B, "hold.placed", bundle=BUNDLE, data=hold)


def test_a_hold_bars_destruction_until_it_is_lifted() -> None:
    history = held()
    history.do(C, "hold.placed", bundle=BUNDLE, data={"hold": HOLD})
    history.refuses("hold", B, "destruction.requested", bundle=BUNDLE)
    history.refuses("hold", B, "bundle.destroyed", bundle=BUNDLE)
    history.do(C, "hold.lifted", bundle=BUNDLE, data={"hold": HOLD})
    history.do(B, "bundle.destroyed", bundle=BUNDLE)


def test_a_hold_on_one_bundle_does_not_bar_another() -> None:
    history = held()
    history.seal(C, OTHER)
    history.do(C, "hold.placed", bundle=BUNDLE, data={"hold": HOLD})
    history.do(C, "bundle.destroyed", bundle=OTHER)
    assert bundle(history).destroyed is None


def test_a_hold_that_comes_after_approval_bars_destruction_too() -> None:
    history = held(TWO)
    request, approval = approved(history)
    history.do(C, "hold.placed", bundle=BUNDLE, data={"hold": HOLD})
    data = {"request": request, "approval": approval}
    history.refuses("hold", B, "bundle.destroyed", bundle=BUNDLE, data=data)
    history.do(C, "hold.lifted", bundle=BUNDLE, data={"hold": HOLD})
    history.do(B, "bundle.destroyed", bundle=BUNDLE, data=data)


def approved(history: History, by: Identity = C) -> tuple[int, int]:
    request = history.do(B, "destruction.requested", bundle=BUNDLE)
    approval = history.do(by, "destruction.approved", bundle=BUNDLE, data={"request": request.seq})
    return request.seq, approval.seq


@pytest.mark.parametrize("by", [A, C], ids=["an owner", "a custodian"])
def test_destruction_takes_two_where_the_policy_says_so(by: Identity) -> None:
    history = held(TWO)
    history.refuses("two-person", B, "bundle.destroyed", bundle=BUNDLE)
    request, approval = approved(history, by)
    data = {"request": request, "approval": approval}
    event = history.do(B, "bundle.destroyed", bundle=BUNDLE, data=data)
    assert bundle(history).destroyed == event.seq


def test_destruction_by_two_names_both_the_request_and_its_approval() -> None:
    history = held(TWO)
    request = history.do(B, "destruction.requested", bundle=BUNDLE)
    history.refuses(
        "two-person", B, "bundle.destroyed", bundle=BUNDLE, data={"request": request.seq}
    )
    approval = history.do(C, "destruction.approved", bundle=BUNDLE, data={"request": request.seq})
    both = {"request": request.seq, "approval": approval.seq}
    for wrong in ({**both, "request": 0}, {**both, "approval": approval.seq + 1}):
        history.refuses("request-unknown", B, "bundle.destroyed", bundle=BUNDLE, data=wrong)
    event = history.event(B, "bundle.destroyed", bundle=BUNDLE, data={"request": request.seq})
    expected = history.after_nothing(event)
    assert history.take(event) == ("two-person", "request-unknown")
    assert history.state == expected
    history.do(B, "bundle.destroyed", bundle=BUNDLE, data=both)


def test_only_the_holder_destroys_not_even_who_asked_for_it_or_an_owner() -> None:
    for policy in (Policy(), TWO):
        history = held(policy)
        request = history.do(C, "destruction.requested", bundle=BUNDLE)
        approval = history.do(
            A, "destruction.approved", bundle=BUNDLE, data={"request": request.seq}
        )
        both = {"request": request.seq, "approval": approval.seq}
        for other in (A, C):
            history.refuses("holder", other, "bundle.destroyed", bundle=BUNDLE, data=both)
        history.do(B, "bundle.destroyed", bundle=BUNDLE, data=both)


def test_nobody_approves_a_request_of_his_own() -> None:
    history = held(TWO)
    request = history.do(B, "destruction.requested", bundle=BUNDLE)
    data = {"request": request.seq}
    history.refuses("own-request", B, "destruction.approved", bundle=BUNDLE, data=data)
    assert bundle(history).approval is None
    history.do(C, "destruction.approved", bundle=BUNDLE, data=data)


def test_only_the_request_that_stands_is_approved() -> None:
    history = held(TWO)
    data = {"request": 0}
    history.refuses("request-unknown", C, "destruction.approved", bundle=BUNDLE, data=data)
    first = history.do(B, "destruction.requested", bundle=BUNDLE)
    second = history.do(B, "destruction.requested", bundle=BUNDLE)
    data = {"request": first.seq}
    history.refuses("request-unknown", C, "destruction.approved", bundle=BUNDLE, data=data)
    history.do(C, "destruction.approved", bundle=BUNDLE, data={"request": second.seq})


def test_a_new_request_needs_a_new_approval() -> None:
    history = held(TWO)
    _, approval = approved(history)
    again = history.do(C, "destruction.requested", bundle=BUNDLE)
    assert (bundle(history).request, bundle(history).approval) == ((again.seq, C.ed25519), None)
    history.refuses(
        "request-unknown",
        B,
        "bundle.destroyed",
        bundle=BUNDLE,
        data={"request": again.seq, "approval": approval},
    )


def test_one_person_destroys_where_no_policy_forbids_it_and_names_only_what_stands() -> None:
    history = held()
    history.refuses("request-unknown", B, "bundle.destroyed", bundle=BUNDLE, data={"request": 0})
    request = history.do(C, "destruction.requested", bundle=BUNDLE)
    history.do(B, "bundle.destroyed", bundle=BUNDLE, data={"request": request.seq})


@pytest.mark.parametrize(
    "name", [name for name, schema in EVENT_TYPES.items() if schema.about_bundle]
)
def test_only_notes_follow_destruction(name: str) -> None:
    history = released(C, expires=1)
    history.do(B, "bundle.destroyed", bundle=BUNDLE)
    found = bundle(history)
    assert (found.release, found.destroyed) == (None, found.chain[-1])
    if name == "bundle.noted":
        history.do(D, name, bundle=BUNDLE)
        return
    if name == "bundle.sealed":
        history.refuses("bundle-once", B, name, bundle=BUNDLE, data=history.seal_data())
        return
    data: dict[str, Any] = {
        "bundle.checked": {"result": "intact"},
        "bundle.disclosed": {"kind": "handover"},
        "destruction.approved": {"request": 0},
        "custody.released": release(C),
        "custody.accepted": {"release": found.chain[1], "rehashed": True},
        "custody.declined": {"release": found.chain[1]},
        "custody.recalled": {"release": found.chain[1]},
        "custody.receipted": {"receipt": (bytes(32), 1)},
        "custody.interrupted": {"state": "interrupted"},
        "hold.placed": {"hold": HOLD},
        "hold.lifted": {"hold": HOLD},
    }.get(name, {})
    event = history.event(A if name == "custody.assumed" else B, name, bundle=BUNDLE, data=data)
    expected = history.after_nothing(event)
    assert "destroyed" in history.take(event)
    assert history.state == expected


def test_a_destroyed_bundle_is_not_noted_on_by_strangers() -> None:
    history = held()
    history.refuses("not-a-member", person(9), "bundle.noted", bundle=BUNDLE)
    history = held()
    history.do(B, "bundle.destroyed", bundle=BUNDLE)
    history.refuses("destroyed", B, "bundle.destroyed", bundle=BUNDLE)
    history.do(C, "bundle.noted", bundle=BUNDLE)


# --- completeness -----------------------------------------------------------------------------


def names_tested() -> set[str]:
    """Return every name of a rule that a test here breaks alone."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="refuses" | "refuses_event"),
                    args=[ast.Constant(value=str(rule)), *_],
                ):
                    found.add(rule)
    return found


def test_every_rule_is_broken_alone_by_a_test() -> None:
    assert names_tested() == fold_rules()
    assert len(fold_rules()) >= 50
