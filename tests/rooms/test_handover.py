"""Handing bundles on: release, acceptance after a reading of every file, and where nobody signs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.house import HANDOVER, KAI, MINA, NOOR, NOW, OWNER, STRANGER, House, build
from vault import LocalStore, Progress, Vault, audit
from vault.custody import Policy
from vault.errors import (
    CustodyError,
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    NotFoundError,
)
from vault.event import Event
from vault.handover import accept, assume, decline, interrupt, recall, release
from vault.holdings import acceptable, assumable, held_by, releasable
from vault.keyring import seal_to_epoch
from vault.layout import bundle_key_name, fields_name, part_name, rekey_name
from vault.membership import remove
from vault.replacement import Replacement, format_manifest


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house") / "vault")


@pytest.fixture
def house(_template: House, tmp_path: Path) -> House:
    return _template.copy(tmp_path / "vault")


def refused(house: House, rule: str, who: Any, verb: Any, *arguments: Any, **more: Any) -> None:
    """Hold that a verb is refused by a rule that names the bundle, and that nothing is written."""
    before = house.files()
    with house.open(who) as vault, pytest.raises(CustodyError) as caught:
        verb(vault, *arguments, **more)
    assert caught.value.rule == rule
    assert caught.value.bundle is not None
    assert house.files() == before


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


# --- a handover -----------------------------------------------------------------------------------


def test_a_bundle_goes_from_hand_to_hand_and_only_acceptance_moves_it(house: House) -> None:
    bundle = house.seal()
    fields = {**HANDOVER, "carrier": "post", "medium": "USB stick 7", "seal_number": "A 12"}
    result = house.do(MINA, release, [bundle], KAI.ed25519, fields=fields)
    (released,) = result.events
    assert (result.expires, result.unchecked, result.overridden) == (None, (), ())
    with house.open(MINA) as vault:
        assert vault.bundle(bundle).holder == MINA.ed25519
        assert vault.bundle(bundle).release is not None
        assert fields.items() <= vault.fields(released).items()
    house.time[0] += 60
    taken = house.do(KAI, accept, [bundle], fields=HANDOVER)
    assert taken.givers == (MINA.ed25519,)
    with house.open(MINA) as vault:
        known = vault.bundle(bundle)
        assert (known.holder, known.release) == (KAI.ed25519, None)
        (event,) = taken.events
        assert event.data == {"release": released.seq, "rehashed": True}
        assert HANDOVER.items() <= vault.fields(event).items()
    house.hand_over(KAI, MINA, bundle)
    house.hand_over(MINA, OWNER, bundle)
    with house.open() as vault:
        holders = [holder for _, holder in vault.bundle(bundle).holders]
    assert holders == [one.ed25519 for one in (MINA, KAI, MINA, OWNER)]


def test_several_bundles_are_released_and_accepted_in_one_commit_each(house: House) -> None:
    bundles = [house.seal(content=bytes([n])) for n in range(3)]
    result = house.do(MINA, release, [*bundles, bundles[0]], OWNER.ed25519, fields=HANDOVER)
    first = result.events[0].seq
    assert [(one.seq, one.bundle) for one in result.events] == [
        (first + number, bundle) for number, bundle in enumerate(bundles)
    ]
    taken = house.do(OWNER, accept, bundles)
    assert [one.bundle for one in taken.events] == bundles
    # The parts, the key file and the seal's fields of each.
    assert taken.files == 9
    with house.open() as vault:
        files = [
            *(vault.bundle(one).size for one in bundles),
            *(vault.bundle(one).key_file.size for one in bundles),
            *(vault.event(vault.bundle(one).seq).sealed.size for one in bundles),  # type: ignore[union-attr]
        ]
    assert taken.size == sum(files)


def test_of_several_bundles_all_are_released_or_none(house: House) -> None:
    mine, other = house.seal(), house.seal(OWNER)
    refused(house, "holder", MINA, release, [mine, other], KAI.ed25519)
    with house.open() as vault:
        assert vault.bundle(mine).release is None


def test_a_release_says_what_its_recipient_can_do_with_it(house: House) -> None:
    bundles = (house.seal(), house.seal())
    to_kai = house.do(MINA, release, bundles, KAI.ed25519)
    assert (to_kai.closed, to_kai.hands_on) == (bundles, True)
    house.do(MINA, recall, bundles, reason="another goes")
    to_noor = house.do(MINA, release, bundles, NOOR.ed25519)
    assert (to_noor.closed, to_noor.hands_on) == ((), False)
    taken = house.do(NOOR, accept, bundles)
    assert (taken.keys, taken.hands_on) == (("open", "open"), False)
    # She holds it, and has no role to hand it on.
    refused(house, "role", NOOR, release, bundles, MINA.ed25519)


def test_a_key_file_that_should_open_and_does_not_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], NOOR.ed25519)

    def broken(*_: object) -> None:
        raise FormatError("bundle key", "not one")

    monkeypatch.setattr("vault.handover.bundle_identity", broken)
    with house.open(NOOR) as vault:
        assert accept(vault, [bundle]).keys == ("damaged",)


def test_a_paper_handover_is_entered_late_by_both_sides(house: House) -> None:
    bundle = house.seal()
    late = {
        **HANDOVER,
        "occurred_at": "2026-02-20T10:00+05:00",
        "recorded_late_because": "signed on paper, no device at hand",
    }
    (released,) = house.do(MINA, release, [bundle], OWNER.ed25519, fields=late).events
    (accepted,) = house.do(OWNER, accept, [bundle], fields=late).events
    with house.open(NOOR) as vault:
        for event in (released, accepted):
            assert vault.fields(event)["occurred_at"] == late["occurred_at"]
            assert vault.fields(event)["recorded_late_because"] == late["recorded_late_because"]
            # What is claimed in public is when it was written.
            assert event.time == NOW


def test_a_field_of_the_wrong_kind_is_refused_and_nothing_written(house: House) -> None:
    bundle = house.seal()
    before = house.files()
    with house.open(MINA) as vault, pytest.raises(FormatError, match="place"):
        release(vault, [bundle], KAI.ed25519, fields={"place": 7})
    assert house.files() == before


# --- altered evidence -----------------------------------------------------------------------------


def part_of(vault: Vault, bundle: bytes) -> str:
    return part_name(bundle, 0)


def key_of(vault: Vault, bundle: bytes) -> str:
    file = vault.bundle(bundle).key_file
    return bundle_key_name(bundle, file.epoch, file.sha256)


def fields_file_of(vault: Vault, bundle: bytes) -> str:
    sealed = vault.event(vault.bundle(bundle).seq).sealed
    assert sealed is not None
    return fields_name(sealed.sha256)


@pytest.mark.parametrize("name_of", [part_of, key_of, fields_file_of])
@pytest.mark.parametrize("damage", ["altered", "missing", "longer", "shorter"])
def test_altered_evidence_is_refused_by_name_and_nothing_accepted(
    house: House, name_of: Callable[[Vault, bytes], str], damage: str
) -> None:
    bundles = [house.seal(), house.seal()]
    house.do(MINA, release, bundles, KAI.ed25519)
    with house.open() as vault:
        name = name_of(vault, bundles[1])
    path = house.path / name
    match damage:
        case "altered":
            alter(path)
        case "missing":
            path.unlink()
        case "longer":
            path.write_bytes(path.read_bytes() + b"\0")
        case "shorter":
            path.write_bytes(path.read_bytes()[:-1])
    before = house.files()
    with house.open(KAI) as vault, pytest.raises(DigestMismatchError) as caught:
        accept(vault, bundles)
    assert caught.value.where == name
    assert house.files() == before
    # The one that is sound can be accepted alone, and the other declined.
    with house.open(KAI) as vault:
        accept(vault, bundles[:1])
        decline(vault, bundles[1:], reason="altered")
        assert vault.bundle(bundles[1]).holder == MINA.ed25519


def test_a_medium_that_cant_be_read_is_not_called_altered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519)
    with house.open(KAI) as vault:

        def fails(*_: object) -> None:
            raise OSError(5, "Input/output error", "part")

        monkeypatch.setattr(vault.store, "open", fails)
        with pytest.raises(OSError, match="Input/output"):
            accept(vault, [bundle])
    with house.open() as vault:
        assert vault.bundle(bundle).holder == MINA.ed25519


def test_every_byte_is_counted_and_the_work_can_be_stopped(house: House) -> None:
    bundle = house.seal(content=os.urandom(3_000_000))
    house.do(MINA, release, [bundle], KAI.ed25519)
    seen: list[Progress] = []
    before = house.files()
    with house.open(KAI) as vault:

        def stop(progress: Progress) -> None:
            seen.append(progress)
            if progress.done > 1_500_000:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            accept(vault, [bundle], progress=stop)
    assert house.files() == before
    seen.clear()
    with house.open(KAI) as vault:
        result = accept(vault, [bundle], progress=seen.append)
    assert {one.work for one in seen} == {"accept"}
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert seen[-1].done == seen[-1].total == result.size
    assert seen[0].name == part_name(bundle, 0)


# --- what others do meanwhile ---------------------------------------------------------------------


def meanwhile(act: Callable[[], object]) -> Callable[[Progress], None]:
    """Return a callback that acts once, while files are read."""
    left = [act]

    def step(_: Progress) -> None:
        if left:
            left.pop()()

    return step


def test_what_is_recalled_while_it_is_read_is_not_accepted(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519)
    late = meanwhile(lambda: house.do(MINA, recall, [bundle], reason="changed my mind"))
    with house.open(KAI) as vault, pytest.raises(CustodyError) as caught:
        accept(vault, [bundle], progress=late)
    assert caught.value.rule == "release-unknown"
    with house.open() as vault:
        assert vault.bundle(bundle).holder == MINA.ed25519
        assert vault.event(vault.size - 1).type == "custody.recalled"


def test_another_release_than_the_one_that_was_seen_is_not_accepted(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519, fields={"condition": "whole"})

    def again() -> None:
        house.do(MINA, recall, [bundle], reason="a mistake")
        house.do(MINA, release, [bundle], KAI.ed25519, fields={"condition": "broken"})

    with house.open(KAI) as vault, pytest.raises(CustodyError) as caught:
        accept(vault, [bundle], progress=meanwhile(again))
    assert caught.value.rule == "release-unknown"
    # What stands now can be accepted by who looks again.
    house.do(KAI, accept, [bundle])


def test_what_is_altered_while_others_write_is_refused(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519)

    def act() -> None:
        house.seal(OWNER)
        for path in (house.path / "bundles" / bundle.hex()).glob("key.*"):
            alter(path)

    with house.open(KAI) as vault, pytest.raises(DigestMismatchError):
        accept(vault, [bundle], progress=meanwhile(act))
    with house.open() as vault:
        assert vault.bundle(bundle).holder == MINA.ed25519


def test_what_expires_while_it_is_read_is_not_accepted(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519, expires=NOW + 100)
    before = house.files()

    def wait() -> None:
        house.time[0] += 101

    with house.open(KAI) as vault, pytest.raises(CustodyError) as caught:
        accept(vault, [bundle], progress=meanwhile(wait))
    assert caught.value.rule == "release-expired"
    assert house.files() == before


def encrypt_again(house: House, bundle: bytes, *stages: str) -> str:
    """Encrypt a bundle's key file again, as rekeying does, up to a stage; return its new name."""
    with house.open(NOOR) as vault:
        state, known = vault.state, vault.bundle(bundle)
        assert state.newest is not None
        name = key_of(vault, bundle)
        plaintext = vault.keyring.open_stored(name, known.key_file, state, 4096)
        data, file = seal_to_epoch(plaintext, state.epochs[state.newest])
        new = bundle_key_name(bundle, file.epoch, file.sha256)
        with vault.store.create(new) as writer:
            writer.write(data)
            writer.commit()
        manifest = format_manifest([Replacement(name, new, file)])
        digest = hashlib.sha256(manifest).digest()
        about = {"epoch": file.epoch, "manifest": (digest, len(manifest))}
        written = vault.draft(
            "vault.rekeyed",
            data={"stage": "written", **about},
            files={rekey_name(digest): manifest},
        )
        vault.commit(lambda: [written])
    for stage in stages:
        with house.open(MINA) as vault:
            vault.append("vault.rekeyed", data={"stage": stage, **about})
            if stage == "pruned":
                vault.store.delete(name)
    return new


@pytest.mark.parametrize("pruned", [False, True])
def test_a_key_that_is_encrypted_again_meanwhile_is_read_where_it_stands(
    house: House, pruned: bool
) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], NOOR.ed25519)
    stages = ("confirmed", "pruned") if pruned else ("confirmed",)
    late = meanwhile(lambda: encrypt_again(house, bundle, *stages))
    with house.open(NOOR) as vault:
        result = accept(vault, [bundle], progress=late)
    assert (result.files, result.keys) == (3 if pruned else 4, ("open",))


def test_the_key_file_that_counts_now_must_be_there(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], NOOR.ed25519)
    name = encrypt_again(house, bundle, "confirmed")
    (house.path / name).unlink()
    with house.open(NOOR) as vault, pytest.raises(DigestMismatchError) as caught:
        accept(vault, [bundle])
    assert (caught.value.where, caught.value.why) == (name, "missing")


def test_one_reader_alone_puts_no_other_key_file_in_the_place_of_a_sound_one(
    house: House,
) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], NOOR.ed25519)
    (house.path / encrypt_again(house, bundle)).unlink()
    with house.open(NOOR) as vault:
        assert accept(vault, [bundle]).files == 3


@pytest.mark.parametrize("stages", [(), ("confirmed", "pruned")])
def test_a_list_of_new_files_that_is_damaged_is_refused_where_it_is_needed(
    house: House, stages: tuple[str, ...]
) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], NOOR.ed25519)
    encrypt_again(house, bundle, *stages)
    (manifest,) = (house.path / "keys").glob("*.files")
    alter(manifest)
    with house.open(NOOR) as vault:
        if not stages:
            accept(vault, [bundle])
            return
        with pytest.raises(DigestMismatchError) as caught:
            accept(vault, [bundle])
        assert caught.value.where == f"keys/{manifest.name}"


# --- a release that ends --------------------------------------------------------------------------


def test_an_expired_release_is_refused_before_anything_is_read(house: House) -> None:
    bundle = house.seal()
    result = house.do(MINA, release, [bundle], KAI.ed25519, expires=NOW + 3600)
    assert result.expires == NOW + 3600
    refused(house, "release-open", MINA, release, [bundle], OWNER.ed25519)
    house.time[0] = NOW + 3601
    seen: list[Progress] = []
    refused(house, "release-expired", KAI, accept, [bundle], progress=seen.append)
    assert seen == []
    # It stands in nobody's way.
    house.hand_over(MINA, OWNER, bundle)


def test_at_its_last_second_a_release_is_accepted(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519, expires=NOW + 3600)
    house.time[0] = NOW + 3600
    house.do(KAI, accept, [bundle])


def test_an_end_that_is_past_is_a_mistake(house: House) -> None:
    bundle = house.seal()
    with house.open(MINA) as vault, pytest.raises(ValueError, match="expired"):
        release(vault, [bundle], KAI.ed25519, expires=NOW - 1)


def test_an_end_does_not_give_away_a_time_that_the_vault_keeps_coarse(tmp_path: Path) -> None:
    house = build(tmp_path / "vault", Policy(clock=3600))
    bundle = house.seal()
    house.time[0] = NOW + 1234
    result = house.do(MINA, release, [bundle], KAI.ed25519, expires=NOW + 1234 + 86400)
    assert result.expires is not None
    assert result.expires % 3600 == 0
    assert 0 <= result.expires - (NOW + 1234 + 86400) < 3600
    house.time[0] = NOW + 1234 + 86400
    house.do(KAI, accept, [bundle])


def test_a_release_is_declined_by_its_recipient_and_recalled_by_its_holder(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519)
    refused(house, "recipient", OWNER, decline, [bundle], reason="x")
    refused(house, "recipient", OWNER, accept, [bundle])
    refused(house, "holder", KAI, recall, [bundle], reason="x")
    (event,) = house.do(KAI, decline, [bundle], reason="the seal is broken")
    with house.open(MINA) as vault:
        assert vault.fields(event)["reason"] == "the seal is broken"
        assert vault.bundle(bundle).release is None
    house.do(MINA, release, [bundle], OWNER.ed25519)
    (event,) = house.do(MINA, recall, [bundle], reason="changed", fields={"reason": "x"})[:1]
    with house.open(MINA) as vault:
        assert event.type == "custody.recalled"
        assert vault.bundle(bundle).holder == MINA.ed25519


@pytest.mark.parametrize("who", [MINA, KAI])
@pytest.mark.parametrize("verb", [accept, decline, recall])
def test_where_nothing_is_released_nothing_ends(house: House, who: Any, verb: Any) -> None:
    bundle = house.seal()
    reason = {} if verb is accept else {"reason": "x"}
    refused(house, "release-unknown", who, verb, [bundle], **reason)
    house.hand_over(MINA, KAI, bundle)
    refused(house, "release-unknown", who, verb, [bundle], **reason)


@pytest.mark.parametrize("verb", [accept, decline, recall])
def test_a_destroyed_bundle_is_not_handed_on(house: House, verb: Any) -> None:
    bundle = house.seal()
    with house.open(MINA) as vault:
        data = {"to": KAI.ed25519, "expires": 1}
        vault.append("custody.released", bundle=bundle, data=data)
        vault.append("bundle.destroyed", bundle=bundle)
    reason = {} if verb is accept else {"reason": "x"}
    refused(house, "destroyed", KAI, verb, [bundle], **reason)


@pytest.mark.parametrize("to", [MINA, STRANGER])
def test_a_bundle_is_released_to_another_member_only(house: House, to: Any) -> None:
    bundle = house.seal()
    refused(house, "release-to", MINA, release, [bundle], to.ed25519)


def test_who_is_no_member_accepts_nothing(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, release, [bundle], KAI.ed25519)
    refused(house, "recipient", STRANGER, accept, [bundle])
    with house.open() as vault, pytest.raises(NoIdentityMatchError):
        accept(vault, [bundle])


# --- where nobody can sign ------------------------------------------------------------------------


def test_custody_of_all_that_a_removed_member_held_is_assumed(house: House) -> None:
    bundles = [house.seal(), house.seal()]
    house.seal(OWNER)
    with house.open(OWNER) as vault:
        assert assumable(vault, MINA.ed25519).free == ()
        assert len(assumable(vault, MINA.ed25519).left) == 2
    refused(house, "holder-answers", OWNER, assume, bundles, authority="board", reason="gone")
    with house.open(OWNER) as vault:
        remove(vault, vault.state.members[MINA.ed25519], cause="seized")
        chosen = [one.id for one in assumable(vault, MINA.ed25519).free]
    assert chosen == bundles
    events = house.do(OWNER, assume, chosen, authority="board", reason="gone", fields=HANDOVER)
    with house.open(NOOR) as vault:
        for event in events:
            stated = vault.fields(event)
            assert (stated["authority"], stated["reason"]) == ("board", "gone")
            assert stated["place"] == HANDOVER["place"]
        assert {vault.bundle(one).holder for one in bundles} == {OWNER.ed25519}
        assert held_by(vault, MINA.ed25519) == ()


def test_only_an_owner_assumes_custody(house: House) -> None:
    bundle = house.seal(KAI)
    house.do(KAI, interrupt, [bundle], cause="lost", reason="on the road")
    refused(house, "role", MINA, assume, [bundle], authority="x", reason="y")


@pytest.mark.parametrize("cause", ["seized", "lost"])
def test_a_bundle_in_nobodys_hands_comes_back_or_is_assumed(house: House, cause: Any) -> None:
    bundle = house.seal()
    # Another custodian reports it: who was arrested can't.
    (event,) = house.do(KAI, interrupt, [bundle], cause=cause, reason="a raid")
    assert event.data == {"state": "interrupted"}
    with house.open(MINA) as vault:
        assert vault.fields(event)["cause"] == cause
        assert cause.encode() not in event.body
    refused(house, "interrupted", MINA, release, [bundle], KAI.ed25519)
    refused(house, "interruption", MINA, interrupt, [bundle], cause=cause, reason="again")
    (event,) = house.do(MINA, interrupt, [bundle], cause="returned", reason="given back")
    assert event.data == {"state": "returned"}
    refused(house, "interruption", MINA, interrupt, [bundle], cause="returned", reason="again")
    house.do(MINA, interrupt, [bundle], cause=cause, reason="again")
    with house.open(OWNER) as vault:
        assert [one.id for one in assumable(vault, MINA.ed25519).free] == [bundle]
    house.do(OWNER, assume, [bundle], authority="board", reason="she is held")
    with house.open() as vault:
        assert not vault.bundle(bundle).interrupted
        assert vault.bundle(bundle).holder == OWNER.ed25519


# --- who holds what -------------------------------------------------------------------------------


def test_what_can_be_released_and_accepted_now_is_told_apart(house: House) -> None:
    free, open_, ended, lost, gone = (house.seal() for _ in range(5))
    house.do(MINA, release, [open_], KAI.ed25519)
    house.do(MINA, release, [ended], KAI.ed25519, expires=NOW + 10)
    house.do(MINA, interrupt, [lost], cause="lost", reason="x")
    with house.open(MINA) as vault:
        vault.append("bundle.destroyed", bundle=gone)
    house.time[0] += 11
    with house.open(MINA) as vault:
        chosen = releasable(vault)
        assert {one.id for one in chosen.free} == {free, ended}
        assert {one.id for one in chosen.left} == {open_, lost}
        assert gone not in {one.id for one in held_by(vault, MINA.ed25519)}
    with house.open(KAI) as vault:
        chosen = acceptable(vault)
        assert [one.id for one in chosen.free] == [open_]
        assert [one.id for one in chosen.left] == [ended]
        assert releasable(vault).free == ()
    with house.open() as vault, pytest.raises(NoIdentityMatchError):
        releasable(vault)


def verbs() -> list[Callable[[Vault, list[bytes]], object]]:
    return [
        lambda vault, ids: release(vault, ids, KAI.ed25519),
        accept,
        lambda vault, ids: decline(vault, ids, reason="x"),
        lambda vault, ids: recall(vault, ids, reason="x"),
        lambda vault, ids: assume(vault, ids, authority="x", reason="x"),
        lambda vault, ids: interrupt(vault, ids, cause="lost", reason="x"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_bundle_that_is_not_there_and_none_at_all_are_errors(house: House, number: int) -> None:
    before = house.files()
    with house.open(OWNER) as vault:
        with pytest.raises(NotFoundError):
            verbs()[number](vault, [bytes(16)])
        with pytest.raises(ValueError, match="no bundle"):
            verbs()[number](vault, [])
    assert house.files() == before


def test_the_time_now_is_as_coarse_as_an_events(tmp_path: Path) -> None:
    house = build(tmp_path / "vault", Policy(clock=3600))
    house.time[0] = NOW + 1234
    with house.open(OWNER) as vault:
        event: Event = vault.append("vault.noted", fields={"text": "x"})
        assert vault.now == event.time


def test_a_copy_shows_a_reader_the_same(house: House, tmp_path: Path) -> None:
    bundle = house.seal()
    house.hand_over(MINA, KAI, bundle)
    copied = house.copy(tmp_path / "copy")
    report = audit(LocalStore(copied.path), identity=NOOR)
    assert report.verdict == "intact"
    assert report.findings == ()
