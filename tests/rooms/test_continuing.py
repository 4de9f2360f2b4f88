"""A vault that takes over from another: what it says, and how the one is held against the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import (
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    admit,
    contents,
    copy_of,
    new_vault,
    open_vault,
    seal,
)
from tests.log.notes import append_notes, forge, later_version, leaf, note
from vault import MemoryStore, Vault, audit
from vault.auditing import Finding, Former, Report
from vault.auditing.history import Predecessor, look_back
from vault.errors import NotAVaultError, UnsupportedVersionError, VerificationError
from vault.founding import Continuation
from vault.identity import Identity
from vault.layout import CHECKPOINT, FORMAT_NAME
from vault.localstate import LocalState
from vault.log import Log
from vault.storage import Store


@pytest.fixture
def old() -> Vault:
    vault = new_vault()
    seal(vault, b"one")
    admit(vault.store, OWNER, (SECOND, ["custodian"]))
    return open_vault(vault.store, OWNER)


def memory(store: Store) -> MemoryStore:
    assert isinstance(store, MemoryStore)
    return store


def taking_over(old: Store, identity: Identity = OWNER, **more: Any) -> Vault:
    said = look_back(old, "restored-backup").continuation
    return new_vault(identity=identity, continues=said, **more)


def anchor(report: Report) -> str | None:
    return next((one.status for one in report.anchors if one.kind == "history"), None)


def found(report: Report) -> list[Finding]:
    return [one for one in report.findings if one.code.startswith("history-")]


def codes(report: Report) -> set[str]:
    return {one.code for one in found(report)}


# --- taking over ----------------------------------------------------------------------------------


class TestLookingBack:
    def test_a_sound_log_is_continued_whole(self, old: Vault) -> None:
        assert look_back(old.store, "lost-owner") == Predecessor(
            Continuation(old.id, old.size, old.root, "lost-owner"),
            signed=old.size,
            broken=0,
            owners=frozenset({OWNER.ed25519}),
        )

    def test_nothing_of_the_evidence_is_needed_for_it(self, old: Vault) -> None:
        files = {name: one for name, one in contents(old.store).items() if name.startswith("log/")}
        assert look_back(MemoryStore(files), "other").continuation.size == old.size

    def test_events_that_break_a_rule_are_continued_and_counted(self, old: Vault) -> None:
        store = memory(old.store)
        for _ in range(2):
            forge(store, OWNER, lambda log: [leaf(OWNER, log, vault=bytes(32))])
        predecessor = look_back(store, "other")
        assert predecessor.continuation.size == predecessor.signed == old.size + 2
        assert predecessor.broken == 2

    @pytest.mark.parametrize(
        "unsound",
        [
            lambda log: [b"\xc0"],
            lambda log: [leaf(OWNER, log, signer=OUTSIDER)],
            lambda log: [leaf(OWNER, log, head=bytes(32))],
            lambda log: [later_version(OWNER, log)],
        ],
        ids=["no event", "not signed", "another head", "calls itself later"],
    )
    def test_a_log_is_continued_up_to_what_its_author_did_not_sign(
        self, old: Vault, unsound: Any
    ) -> None:
        store = memory(old.store)
        forge(store, OWNER, unsound)
        append = look_back(store, "other")
        assert (append.continuation.size, append.signed) == (old.size, old.size + 1)
        assert append.continuation.root == old.root

    def test_a_log_that_a_later_version_goes_on_with_is_not_continued(self, old: Vault) -> None:
        store = memory(old.store)
        upgrade = {"type": "vault.upgraded", "data": {"version": 2}}
        forge(store, OWNER, lambda log: [leaf(OWNER, log, **upgrade)])
        with pytest.raises(UnsupportedVersionError, match="event 5"):
            look_back(store, "other")
        with pytest.raises(UnsupportedVersionError, match="version 2"):
            look_back(MemoryStore({FORMAT_NAME: b"evidence-vault/2\n"}), "other")

    def test_where_nothing_verifies_there_is_nothing_to_continue(
        self, old: Vault, tmp_path: Path
    ) -> None:
        files = contents(old.store)
        with pytest.raises(VerificationError, match="nothing of it"):
            look_back(MemoryStore({**files, CHECKPOINT: b"torn"}), "other")
        with pytest.raises(NotAVaultError):
            look_back(tmp_path, "other")
        with pytest.raises(NotAVaultError):
            look_back(MemoryStore(), "other")

    def test_what_this_machine_saw_of_another_copy_is_said(
        self, old: Vault, tmp_path: Path
    ) -> None:
        backup = copy_of(old.store)
        append_notes(old.store, OWNER, 3)
        assert look_back(backup, "other", state=tmp_path).elsewhere is None
        LocalState(tmp_path).set_pin(old.id, old.store.read(CHECKPOINT))
        assert look_back(backup, "other", state=LocalState(tmp_path)).elsewhere == old.size + 3
        assert look_back(old.store, "other", state=tmp_path).elsewhere is None
        append_notes(backup, SECOND, 4)
        assert look_back(backup, "other", state=tmp_path).elsewhere == old.size + 3
        (pin,) = tmp_path.rglob("*.checkpoint")
        pin.write_bytes(b"damaged")
        assert look_back(backup, "other", state=tmp_path).elsewhere is None


def test_a_new_vault_says_what_it_continues_and_why(old: Vault) -> None:
    fields = {"reason": "the disk died", "known_losses": "all of March"}
    new = taking_over(old.store, fields=fields)
    genesis = new.event(0)
    assert genesis.data["continues"] == {
        "vault": old.id,
        "size": old.size,
        "root": old.root,
        "reason": "restored-backup",
    }
    assert Continuation.of(genesis) == Continuation(old.id, old.size, old.root, "restored-backup")
    assert Continuation.of(old.event(0)) is None
    seen = open_vault(new.store, READER).fields(genesis)
    assert {name: seen[name] for name in fields} == fields
    assert audit(new.store, identity=READER).verdict == "intact"


# --- holding the one against the other ------------------------------------------------------------


class TestHistory:
    def test_a_vault_that_continues_none_has_no_such_anchor(self, old: Vault) -> None:
        report = audit(old.store)
        assert (anchor(report), report.history) == (None, None)
        assert audit(old.store, history=new_vault().store).history is None

    def test_without_the_old_vault_the_anchor_is_absent(self, old: Vault) -> None:
        report = audit(taking_over(old.store).store)
        assert (anchor(report), found(report)) == ("absent", [])
        assert report.history is not None
        assert (report.history.vault, report.history.size) == (old.id, old.size)
        assert (report.history.report, report.history.by_owner) == (None, None)

    def test_the_old_vault_is_audited_too_and_its_owner_vouches(self, old: Vault) -> None:
        new = taking_over(old.store)
        report = audit(new.store, history=old.store)
        assert (report.verdict, anchor(report), found(report)) == ("intact", "matched", [])
        history = report.history
        assert history is not None
        assert history.by_owner is True
        assert history.report == audit(old.store)
        assert history.members == (
            Former(OWNER.keys.fingerprint, ("custodian", "owner")),
            Former(READER.keys.fingerprint, ("reader",)),
        )

    def test_an_old_vault_that_is_altered_has_its_own_verdict(self, old: Vault) -> None:
        new = taking_over(old.store)
        name = next(name for name in contents(old.store) if name.startswith("bundles/"))
        damaged = MemoryStore({**contents(old.store), name: b"x"})
        report = audit(new.store, history=damaged)
        assert (report.verdict, anchor(report)) == ("intact", "matched")
        assert report.history is not None
        assert report.history.report is not None
        assert report.history.report.verdict == "altered"

    def test_what_this_machine_saw_of_the_old_vault_is_no_fault_of_its_backup(
        self, old: Vault, tmp_path: Path
    ) -> None:
        backup = copy_of(old.store)
        append_notes(old.store, OWNER, 3)
        audit(old.store, state=tmp_path)
        report = audit(taking_over(backup).store, history=backup, state=tmp_path)
        assert report.history is not None
        assert report.history.report is not None
        assert report.history.report.verdict == "intact"

    def test_that_the_old_vault_went_on_is_noted_and_changes_no_verdict(self, old: Vault) -> None:
        new = taking_over(old.store)
        append_notes(old.store, SECOND, 2)
        report = audit(new.store, history=old.store)
        assert (report.verdict, anchor(report)) == ("intact", "matched")
        (went_on,) = found(report)
        assert (went_on.code, went_on.severity) == ("history-went-on", "note")
        assert went_on.detail == "5 events are continued, 7 are there now"

    @pytest.mark.parametrize(
        ("maker", "why"),
        [
            (OUTSIDER, "no member of the old vault"),
            (SECOND, "only custodian in the old vault"),
            (READER, "only reader in the old vault"),
        ],
    )
    def test_who_was_no_owner_only_claims(self, old: Vault, maker: Identity, why: str) -> None:
        report = audit(taking_over(old.store, maker).store, history=old.store)
        assert (report.verdict, anchor(report)) == ("intact", "matched")
        (claim,) = found(report)
        assert (claim.code, claim.severity, claim.detail) == ("history-claim", "note", why)
        assert report.history is not None
        assert report.history.by_owner is False

    def test_an_owner_who_was_removed_later_only_claims(self, old: Vault) -> None:
        admit(old.store, OWNER, (SECOND, ["owner"]))
        new = taking_over(old.store)
        removal = {"type": "member.removed", "data": {"member": OWNER.ed25519}}
        raw = old.store.read(CHECKPOINT)
        store = memory(old.store)
        forge(store, SECOND, lambda log: [leaf(SECOND, log, closes=raw, **removal)])
        report = audit(new.store, history=store)
        assert codes(report) == {"history-claim", "history-went-on"}
        assert report.history is not None
        assert report.history.by_owner is False
        assert report.history.members[0].removed == old.size + 1
        assert "removed by event 6" in " ".join(one.detail for one in found(report))

    def test_a_member_who_was_removed_before_is_none_then(self, old: Vault) -> None:
        removal = {"type": "member.removed", "data": {"member": SECOND.ed25519}}
        store = memory(old.store)
        forge(store, OWNER, lambda log: [leaf(OWNER, log, **removal)])
        report = audit(taking_over(store, SECOND).store, history=store)
        assert report.history is not None
        assert report.history.members[0] == Former(SECOND.keys.fingerprint, (), 5)

    def test_a_maker_whose_first_event_breaks_a_rule_only_claims(
        self, old: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = taking_over(old.store)
        monkeypatch.setattr(
            "vault.custody.roster.check_created", lambda *_: iter([("possession", "")])
        )
        report = audit(new.store, history=old.store)
        claims = [one.detail for one in report.findings if one.code == "history-claim"]
        assert claims == ["its own first event breaks a rule"]

    def test_where_events_are_missing_nobody_can_tell_who_was_an_owner(self, old: Vault) -> None:
        append_notes(old.store, OWNER, 300)
        new = taking_over(old.store)
        files = contents(old.store)
        entries = f"log/tile/entries/001.p/{old.size + 300 - 256}"
        assert entries in files
        report = audit(new.store, history=MemoryStore({**files, entries: b"gone"}))
        assert (anchor(report), codes(report)) == ("matched", {"history-claim"})
        assert report.history is not None
        assert (report.history.by_owner, report.history.members) == (None, ())

    def test_another_past_contradicts(self, old: Vault) -> None:
        fork = copy_of(old.store)
        append_notes(old.store, OWNER)
        append_notes(fork, SECOND, 2)
        report = audit(taking_over(old.store).store, history=fork)
        assert (report.verdict, anchor(report)) == ("contradicted", "failed")
        (fault,) = found(report)
        assert (fault.code, fault.severity) == ("history-fork", "contradicted")
        assert "signed" not in fault.detail
        assert report.history is not None
        assert report.history.by_owner is None

    def test_what_can_t_be_held_against_fails_the_anchor_and_no_verdict(self, old: Vault) -> None:
        older = copy_of(old.store)
        append_notes(old.store, OWNER)
        new = taking_over(old.store).store
        torn = MemoryStore({**contents(old.store), CHECKPOINT: b"torn"})
        for store, code in (
            (older, "history-short"),
            (new_vault().store, "history-other"),
            (torn, "history-unread"),
        ):
            report = audit(new, history=store)
            assert (report.verdict, anchor(report), codes(report)) == ("intact", "failed", {code})
        report = audit(old.store, history=older)
        assert (report.verdict, anchor(report), codes(report)) == (
            "intact",
            "failed",
            {"history-none"},
        )

    def test_what_is_no_vault_is_the_caller_s(self, old: Vault, tmp_path: Path) -> None:
        with pytest.raises(NotAVaultError):
            audit(taking_over(old.store).store, history=tmp_path)

    def test_a_vault_that_continues_nothing_at_all_of_another_is_held_all_the_same(
        self, old: Vault
    ) -> None:
        from vault.tlog.merkle import EMPTY_ROOT

        new = new_vault(continues=Continuation(old.id, 0, EMPTY_ROOT, "other"))
        report = audit(new.store, history=old.store)
        assert anchor(report) == "matched"
        assert codes(report) == {"history-claim", "history-went-on"}


# --- forks, and who is named ----------------------------------------------------------------------


class TestForks:
    def fork(self, old: Vault, first: Identity, second: Identity) -> str:
        """Return what is said where two copies were written to, by one and by the other."""
        other = copy_of(old.store)
        append_notes(old.store, first)
        Log(other).append(second, lambda _: [note(second, time=7)])
        report = audit(other, checkpoint=old.store.read(CHECKPOINT))
        (fork,) = (one for one in report.findings if one.severity == "contradicted")
        assert fork.code == "fork"
        return fork.detail

    def test_two_people_who_each_wrote_to_a_copy_are_not_named(self, old: Vault) -> None:
        for pair in ((OWNER, SECOND), (SECOND, OWNER)):
            detail = self.fork(open_vault(copy_of(old.store), OWNER), *pair)
            assert detail == "another root after 6 events"

    def test_one_key_that_signed_both_sides_is_named(self, old: Vault) -> None:
        detail = self.fork(old, SECOND, SECOND)
        assert detail.endswith(f"the same key signed both: {SECOND.keys.fingerprint.hex()}")

    def test_a_later_event_of_that_key_names_it_and_one_that_it_did_not_sign_does_not(
        self, old: Vault
    ) -> None:
        other = memory(copy_of(old.store))
        append_notes(old.store, OWNER)
        kept = old.store.read(CHECKPOINT)
        append_notes(other, SECOND, 2)
        raw = other.read(CHECKPOINT)
        forged = copy_of(other)
        forge(forged, SECOND, lambda log: [leaf(OWNER, log, signer=SECOND, closes=raw)])
        report = audit(forged, checkpoint=kept)
        (fork,) = (one for one in report.findings if one.code == "fork")
        assert "signed" not in fork.detail
        append_notes(other, OWNER)
        append_notes(other, SECOND)
        report = audit(other, checkpoint=kept)
        (fork,) = (one for one in report.findings if one.code == "fork")
        assert fork.detail.endswith(OWNER.keys.fingerprint.hex())

    def test_a_checkpoint_that_waits_beside_another_history_is_a_fork(self, old: Vault) -> None:
        other = copy_of(old.store)
        append_notes(old.store, OWNER)
        append_notes(other, SECOND, 2)
        files = {**contents(other), f"{CHECKPOINT}.next": old.store.read(CHECKPOINT)}
        (fork,) = (one for one in audit(MemoryStore(files)).findings if one.code == "fork")
        assert fork.detail == "another root after 6 events"
