"""The rules for keys that are replaced and destroyed: each broken alone, and its counterpart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.custody.histories import BUNDLE, HOLD, A, B, C, D, History, epoch_id, held, peopled
from vault.custody import Grant, Policy, Rekeying
from vault.identity import Identity

MANIFEST = b"\x3a" * 32
SIZE = 900


def rekeying(stage: str, epoch: int = 2, manifest: bytes = MANIFEST, size: int = SIZE) -> Any:
    return {"stage": stage, "epoch": epoch_id(epoch), "manifest": (manifest, size)}


def rekey(history: History, *stages: str, by: Identity = D, **more: Any) -> None:
    """Take the stages of a rekeying; A confirms what D wrote, and D what A wrote."""
    other = A if by is D else D
    for stage in stages:
        actor = other if stage == "confirmed" else by
        history.do(actor, "vault.rekeyed", data=rekeying(stage, **more))


def shred(*epochs: int) -> dict[str, Any]:
    return {"epochs": tuple(sorted(epoch_id(epoch) for epoch in epochs))}


def apart() -> History:
    """Return a vault with a third epoch, whose file does not open those before it."""
    history = held()
    history.open_epoch(A, history=False)
    return history


def renewed() -> History:
    """Return such a vault after all was encrypted again to the third epoch."""
    history = apart()
    rekey(history, "written", "confirmed", "pruned", epoch=3)
    return history


# --- rekeying ---------------------------------------------------------------------------------


def test_a_manifest_is_written_confirmed_and_pruned() -> None:
    history = peopled()
    seq = history.state.size
    rekey(history, "written")
    known = history.state.rekeyings[MANIFEST]
    assert known == Rekeying(MANIFEST, SIZE, epoch_id(2), D.ed25519, seq)
    rekey(history, "confirmed", "pruned")
    known = history.state.rekeyings[MANIFEST]
    assert (known.confirmed, known.pruned) == (seq + 1, seq + 2)
    assert (known.seq, known.by) == (seq, D.ed25519)


def test_files_are_encrypted_again_to_the_newest_epoch() -> None:
    history = peopled()
    for epoch in (1, 9):
        history.refuses("epoch-newest", D, "vault.rekeyed", data=rekeying("written", epoch))
    rekey(history, "written")


def test_a_manifest_of_an_epoch_that_is_no_longer_the_newest_is_still_confirmed_and_pruned() -> (
    None
):
    history = peopled()
    rekey(history, "written")
    history.open_epoch(A)
    rekey(history, "confirmed", "pruned")
    history.refuses("epoch-newest", D, "vault.rekeyed", data=rekeying("written", 2, bytes(32)))


def test_each_stage_of_a_manifest_comes_once() -> None:
    history = peopled()
    for stage in ("written", "confirmed", "pruned"):
        rekey(history, stage)
        actor = A if stage == "confirmed" else D
        history.refuses("rekey-once", actor, "vault.rekeyed", data=rekeying(stage))
    for actor, stage in ((A, "confirmed"), (D, "written"), (A, "pruned")):
        history.refuses("rekey-once", actor, "vault.rekeyed", data=rekeying(stage))
    rekey(history, "written", manifest=bytes(32))


@pytest.mark.parametrize("stage", ["confirmed", "pruned"])
def test_only_what_was_written_is_confirmed_and_pruned(stage: str) -> None:
    history = peopled()
    history.refuses("rekey-unknown", A, "vault.rekeyed", data=rekeying(stage))
    rekey(history, "written")
    for data in (
        rekeying(stage, manifest=bytes(32)),
        rekeying(stage, epoch=1),
        rekeying(stage, size=SIZE + 1),
    ):
        history.refuses("rekey-unknown", A, "vault.rekeyed", data=data)
    rekey(history, "confirmed", "pruned")


def test_old_files_are_pruned_only_when_the_new_ones_are_confirmed() -> None:
    history = peopled()
    rekey(history, "written")
    for actor in (A, D):
        history.refuses("rekey-unconfirmed", actor, "vault.rekeyed", data=rekeying("pruned"))
    rekey(history, "confirmed")
    history.do(A, "vault.rekeyed", data=rekeying("pruned"))


def test_another_reader_confirms_where_there_is_one() -> None:
    for writer, other in ((A, D), (D, A)):
        history = peopled()
        rekey(history, "written", by=writer)
        history.refuses("second-reader", writer, "vault.rekeyed", data=rekeying("confirmed"))
        history.do(other, "vault.rekeyed", data=rekeying("confirmed"))


def test_a_reader_who_is_alone_confirms_what_she_wrote() -> None:
    history = peopled()
    rekey(history, "written", by=A)
    history.do(A, "member.removed", data={"member": D.ed25519})
    history.open_epoch(A)
    history.do(A, "vault.rekeyed", data=rekeying("confirmed"))


def test_who_wrote_and_was_removed_is_no_hindrance() -> None:
    history = peopled()
    rekey(history, "written", by=D)
    history.do(A, "member.removed", data={"member": D.ed25519})
    history.open_epoch(A)
    history.do(A, "vault.rekeyed", data=rekeying("confirmed"))
    history.do(A, "vault.rekeyed", data=rekeying("pruned"))


@pytest.mark.parametrize("stage", ["written", "confirmed", "pruned"])
def test_only_readers_rekey(stage: str) -> None:
    history = peopled()
    for done in ("written", "confirmed", "pruned"):
        if done == stage:
            history.refuses("role", B, "vault.rekeyed", data=rekeying(stage))
        rekey(history, done)


# --- shredding --------------------------------------------------------------------------------


def test_epochs_are_shredded_when_all_that_they_open_is_encrypted_again() -> None:
    history = renewed()
    assert history.state.opens(D.ed25519) == {epoch_id(1), epoch_id(2), epoch_id(3)}
    history.do(A, "epoch.shredded", data=shred(1, 2))
    assert history.state.shredded == {epoch_id(1), epoch_id(2)}
    assert history.state.opens(D.ed25519) == {epoch_id(3)}
    history.open_epoch(A)
    assert history.state.opens(D.ed25519) == {epoch_id(3), epoch_id(4)}


def test_only_owners_shred() -> None:
    history = renewed()
    for other in (B, D):
        history.refuses("role", other, "epoch.shredded", data=shred(1, 2))
    history.do(A, "epoch.shredded", data=shred(1, 2))


def test_what_is_shredded_is_there_and_goes_once() -> None:
    history = renewed()
    history.refuses("epoch-unknown", A, "epoch.shredded", data=shred(1, 2, 9))
    history.do(A, "epoch.shredded", data=shred(1, 2))
    for again in (shred(1), shred(1, 2)):
        history.refuses("epoch-unknown", A, "epoch.shredded", data=again)


def test_an_epoch_whose_file_opens_one_that_goes_does_not_stay() -> None:
    history = renewed()
    history.refuses("epoch-held", A, "epoch.shredded", data=shred(1))  # the second opens it
    history.do(A, "epoch.shredded", data=shred(1, 2))


def test_what_the_newest_epoch_opens_is_not_shredded() -> None:
    history = peopled()
    history.open_epoch(A)
    rekey(history, "written", "confirmed", "pruned", epoch=3)
    history.refuses("epoch-held", A, "epoch.shredded", data=shred(1, 2))
    # A file that has two epochs in it is shredded with both.
    history.open_epoch(A, history=False)
    rekey(history, "written", "confirmed", "pruned", epoch=4, manifest=bytes(32))
    history.refuses("epoch-held", A, "epoch.shredded", data=shred(1, 2))
    history.do(A, "epoch.shredded", data=shred(1, 2, 3))


def test_epochs_that_no_later_one_opens_are_shredded_one_by_one() -> None:
    history = peopled()
    for number in (3, 4):
        history.open_epoch(A, history=False)
        rekey(
            history,
            "written",
            "confirmed",
            "pruned",
            epoch=number,
            manifest=bytes((number,)) * 32,
        )
    history.do(A, "epoch.shredded", data=shred(3))
    history.do(A, "epoch.shredded", data=shred(1, 2))


def test_the_newest_epoch_stays() -> None:
    history = renewed()
    event = history.event(A, "epoch.shredded", data=shred(1, 2, 3))
    expected = history.after_nothing(event)
    assert set(history.take(event)) == {"epoch-newest", "rekey-unfinished"}
    assert history.state == expected


@pytest.mark.parametrize("stages", [("written",), ("written", "confirmed")])
def test_nothing_is_shredded_before_the_old_files_are_pruned(stages: tuple[str, ...]) -> None:
    history = renewed()
    rekey(history, *stages, epoch=3, manifest=bytes(32))
    history.refuses("rekey-unfinished", A, "epoch.shredded", data=shred(1, 2))
    rest = ("written", "confirmed", "pruned")[len(stages) :]
    rekey(history, *rest, epoch=3, manifest=bytes(32))
    history.do(A, "epoch.shredded", data=shred(1, 2))


def test_an_owner_does_not_shred_what_was_never_encrypted_again() -> None:
    # It would be a destruction that needs no holder, no second person, and minds no hold.
    history = held(Policy(two_person_destroy=True))
    history.do(C, "hold.placed", bundle=BUNDLE, data={"hold": HOLD})
    history.open_epoch(A, history=False)
    history.refuses("rekey-unfinished", A, "epoch.shredded", data=shred(1, 2))


def test_what_was_encrypted_again_to_a_key_that_goes_too_is_not_saved_by_that() -> None:
    history = peopled()
    rekey(history, "written", "confirmed", "pruned")
    history.open_epoch(A, history=False)
    history.refuses("rekey-unfinished", A, "epoch.shredded", data=shred(1, 2))
    rekey(history, "written", "confirmed", "pruned", epoch=3, manifest=bytes(32))
    history.do(A, "epoch.shredded", data=shred(1, 2))


# --- history of what is gone --------------------------------------------------------------------


def grant(*epochs: int) -> dict[str, Any]:
    ids = tuple(sorted(epoch_id(epoch) for epoch in epochs))
    return {"reader": D.ed25519, "epochs": ids, "file": (bytes(32), 1)}


def test_history_of_a_shredded_epoch_is_not_granted() -> None:
    history = renewed()
    history.do(A, "epoch.shredded", data=shred(1, 2))
    for epochs in ((1,), (2, 3)):
        history.refuses("epoch-unknown", A, "history.granted", data=grant(*epochs))
    history.do(A, "history.granted", data=grant(3))


def test_a_grant_goes_with_any_epoch_that_is_in_its_file() -> None:
    history = renewed()
    fresh = Identity(b"\x09" * 32)
    history.admit(A, fresh, "reader", history=False)
    history.open_epoch(A, history=False)
    for epochs in ((2, 3), (3,)):
        data = {**grant(*epochs), "reader": fresh.ed25519}
        history.do(A, "history.granted", data=data)
        ids = tuple(epoch_id(epoch) for epoch in epochs)
        assert history.state.grants[-1] == Grant(fresh.ed25519, ids, bytes(32), 1)
    assert history.state.opens(fresh.ed25519) == {epoch_id(2), epoch_id(3), epoch_id(4)}
    history.state.shredded |= {epoch_id(1), epoch_id(2)}
    assert history.state.opens(fresh.ed25519) == {epoch_id(3), epoch_id(4)}
    history.state.grants.pop()
    assert history.state.opens(fresh.ed25519) == {epoch_id(4)}


def test_shredding_takes_no_other_epoch_from_a_reader_by_a_grant() -> None:
    """A file that grants several epochs goes with any of them, and is the only one for some."""
    history = renewed()
    fresh = Identity(b"\x09" * 32)
    history.admit(A, fresh, "reader", history=False)
    history.open_epoch(A, history=False)
    history.do(A, "history.granted", data={**grant(2, 3), "reader": fresh.ed25519})
    assert history.state.closes({epoch_id(1), epoch_id(2)}) == {epoch_id(3)}
    history.refuses("epoch-needed", A, "epoch.shredded", data=shred(1, 2))
    history.do(A, "history.granted", data={**grant(3), "reader": fresh.ed25519})
    history.do(A, "epoch.shredded", data=shred(1, 2))
    assert history.state.opens(fresh.ed25519) == {epoch_id(3), epoch_id(4)}


def test_shredding_takes_no_earlier_epoch_from_a_reader_by_an_epoch_s_file() -> None:
    history = peopled()
    fresh = Identity(b"\x09" * 32)
    history.admit(A, fresh, "reader")
    history.open_epoch(A)  # the third opens the first and the second, to a reader of neither
    history.open_epoch(A, history=False)
    rekey(history, "written", "confirmed", "pruned", epoch=4)
    assert history.state.opens(fresh.ed25519) == {epoch_id(n) for n in (1, 2, 3, 4)}
    history.refuses("epoch-needed", A, "epoch.shredded", data=shred(3))
    removed = history.do(A, "member.removed", data={"member": fresh.ed25519})
    history.open_epoch(A, history=False)
    assert removed.seq
    rekey(history, "written", "confirmed", "pruned", epoch=5, manifest=bytes(32))
    history.do(A, "epoch.shredded", data=shred(3))  # nobody reads by it any more
