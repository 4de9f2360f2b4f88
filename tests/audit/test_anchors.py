"""What lies outside the vault: ids, pins, checkpoints on file, earlier audits; how it is told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.audit.golden import bad, codes, golden, places
from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    admit,
    clock,
    contents,
    copy_of,
    new_vault,
    open_vault,
    seal,
)
from tests.log.notes import append_notes, forge, later_version, leaf, note
from vault.auditing import Report, audit, record_audit
from vault.errors import (
    CustodyError,
    FormatError,
    NotAVaultError,
    StateError,
    UnsupportedVersionError,
)
from vault.layout import CHECKPOINT, FORMAT_NAME
from vault.localstate import AuditRecord, LocalState
from vault.log import Log
from vault.pipeline import Progress
from vault.storage import MemoryStore, Store
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.vault import Vault


@pytest.fixture
def vault() -> Vault:
    vault = new_vault()
    seal(vault, b"one", title="x")
    return vault


def anchor(report: Report, kind: str) -> tuple[str, str]:
    (found,) = (one for one in report.anchors if one.kind == kind)
    return found.status, found.detail


def memory(store: Store) -> MemoryStore:
    assert isinstance(store, MemoryStore)
    return store


# --- ids ------------------------------------------------------------------------------------------


def test_without_anchors_all_are_absent(vault: Vault) -> None:
    report = audit(vault.store)
    assert [(one.kind, one.status) for one in report.anchors] == [
        (kind, "absent") for kind in ("vault-id", "pin", "checkpoint", "cosigners", "timestamps")
    ]


def test_the_id_of_the_vault_is_matched_or_contradicted(vault: Vault) -> None:
    assert anchor(audit(vault.store, vault_id=vault.id), "vault-id") == ("matched", "")
    report = audit(vault.store, vault_id=bytes(32))
    assert anchor(report, "vault-id")[0] == "failed"
    assert report.verdict == "contradicted"
    assert [(one.code, one.detail) for one in bad(report)] == [("vault-id", vault.id.hex())]


def test_an_id_that_damage_hides_is_no_other_vault(vault: Vault) -> None:
    files = contents(vault.store)
    name = next(name for name in files if name.endswith("entries/000.p/4"))
    data = bytearray(files[name])
    data[100] ^= 1
    report = audit(MemoryStore({**files, name: bytes(data)}), vault_id=vault.id)
    assert anchor(report, "vault-id")[0] == "failed"
    assert report.verdict == "altered"
    assert report.vault is None


# --- pins -----------------------------------------------------------------------------------------


def test_an_audit_pins_what_it_found_intact(vault: Vault, tmp_path: Path) -> None:
    report = audit(vault.store, state=tmp_path)
    assert anchor(report, "pin") == ("absent", "")
    append_notes(vault.store, OWNER)
    report = audit(vault.store, state=LocalState(tmp_path))
    assert anchor(report, "pin") == ("matched", "size 4")
    assert anchor(audit(vault.store, state=tmp_path), "pin") == ("matched", "size 5")


def test_a_rollback_and_a_fork_contradict_the_pin(vault: Vault, tmp_path: Path) -> None:
    old = copy_of(vault.store)
    append_notes(vault.store, OWNER, 2)
    audit(vault.store, state=tmp_path)
    report = audit(old, state=tmp_path)
    assert (report.verdict, codes(report)) == ("contradicted", {"rollback"})
    # One side alone was seen: nobody is named.
    assert anchor(report, "pin") == ("failed", "4 events here, 6 there")
    fork = copy_of(old)
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=NOW + 7)] * 3)
    report = audit(fork, state=tmp_path)
    assert (report.verdict, codes(report)) == ("contradicted", {"fork"})
    # Neither moved the pin.
    assert anchor(audit(vault.store, state=tmp_path), "pin") == ("matched", "size 6")


def test_a_vault_that_is_not_intact_moves_no_pin(vault: Vault, tmp_path: Path) -> None:
    files = contents(vault.store)
    name = next(name for name in files if name.startswith("bundles/"))
    report = audit(MemoryStore({**files, name: b"x"}), state=tmp_path)
    assert report.verdict == "altered"
    assert LocalState(tmp_path).pin(vault.id) is None
    assert LocalState(tmp_path).audit_record(vault.id) is None


def test_a_damaged_pin_is_noted_and_not_replaced(vault: Vault, tmp_path: Path) -> None:
    audit(vault.store, state=tmp_path)
    (pin,) = tmp_path.rglob("*.checkpoint")
    pin.write_bytes(b"damaged")
    for _ in range(2):
        report = audit(vault.store, state=tmp_path)
        assert (report.verdict, codes(report)) == ("intact", {"pin-damaged"})
        assert anchor(report, "pin")[0] == "failed"
        assert pin.read_bytes() == b"damaged"


def test_a_log_without_a_tree_is_held_against_nothing(vault: Vault, tmp_path: Path) -> None:
    audit(vault.store, state=tmp_path)
    files = contents(vault.store)
    raw = files[CHECKPOINT]
    damaged = {name: b"" if name.startswith("log/tile") else data for name, data in files.items()}
    report = audit(MemoryStore(damaged), state=tmp_path, checkpoint=raw)
    assert report.verdict == "altered"
    assert (anchor(report, "pin")[0], anchor(report, "checkpoint")[0]) == ("absent", "failed")


def test_a_pin_that_another_process_moves_on_during_an_audit_is_no_rollback(
    vault: Vault, tmp_path: Path
) -> None:
    class Faster:
        raced = False

        def list(self, prefix: str = "") -> Any:
            found = list(vault.store.list(prefix))
            if not self.raced:
                self.raced = True
                other = open_vault(vault.store, OWNER, state=tmp_path, vault_id=vault.id)
                other.append("vault.noted", fields={"text": "x"})
            return iter(found)

        def __getattr__(self, name: str) -> Any:
            return getattr(vault.store, name)

    faster: Any = Faster()
    report = audit(faster, state=tmp_path)
    assert (report.verdict, report.findings, report.size) == ("intact", (), 5)
    assert anchor(report, "pin")[0] == "matched"


def test_a_machine_that_can_t_remember_reports_all_the_same(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("no directory")
    report = audit(vault.store, state=tmp_path / "blocked")
    assert report.verdict == "intact"
    assert codes(report) == {"pin-damaged", "not-remembered"}
    (tmp_path / "state").mkdir()
    (tmp_path / "state/audits").write_text("no directory")
    report = audit(vault.store, state=tmp_path / "state")
    assert (report.verdict, codes(report)) == ("intact", {"not-remembered"})


def test_a_confirmed_id_is_remembered(vault: Vault, tmp_path: Path) -> None:
    audit(vault.store, state=tmp_path)
    assert not open_vault(vault.store, OWNER, state=tmp_path).known
    audit(vault.store, state=tmp_path, vault_id=vault.id)
    assert open_vault(vault.store, OWNER, state=tmp_path).known


# --- checkpoints on file --------------------------------------------------------------------------


def test_a_checkpoint_on_file_is_matched_at_any_later_time(vault: Vault) -> None:
    kept = vault.checkpoint
    append_notes(vault.store, OWNER, 300)
    report = audit(vault.store, checkpoint=kept)
    assert anchor(report, "checkpoint") == ("matched", "size 4")
    assert report.verdict == "intact"


def test_a_checkpoint_that_the_log_does_not_contain_contradicts_it(vault: Vault) -> None:
    old, fork = copy_of(vault.store), copy_of(vault.store)
    append_notes(vault.store, OWNER)
    kept = vault.store.read(CHECKPOINT)
    report = audit(old, checkpoint=kept)
    assert (report.verdict, codes(report)) == ("contradicted", {"rollback"})
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=NOW + 7)])
    report = audit(fork, checkpoint=kept)
    assert (report.verdict, codes(report)) == ("contradicted", {"fork"})
    assert f"signed both: {OWNER.keys.fingerprint.hex()}" in report.findings[0].detail
    report = audit(new_vault().store, checkpoint=kept)
    assert (report.verdict, codes(report)) == ("intact", {"checkpoint-not-ours"})
    assert "another vault" in report.findings[0].detail


def test_a_checkpoint_that_nobody_on_the_roster_signed_is_no_anchor(vault: Vault) -> None:
    # It may be worth nothing, or the log was cut off before its signer's admission: the anchor
    # fails, and the report says why.
    old = copy_of(vault.store)
    admit(vault.store, OWNER, (SECOND, ["custodian"]))
    append_notes(vault.store, SECOND)
    report = audit(old, checkpoint=vault.store.read(CHECKPOINT))
    assert anchor(report, "checkpoint") == ("failed", "signed by nobody on this roster")
    assert codes(report) == {"checkpoint-not-ours"}


@pytest.mark.parametrize("raw", [b"", b"x", b"\xff", bytes(100)])
def test_a_checkpoint_on_file_that_is_none_is_the_caller_s(vault: Vault, raw: bytes) -> None:
    with pytest.raises(FormatError):
        audit(vault.store, checkpoint=raw)


# --- trusting an earlier audit --------------------------------------------------------------------


def test_since_last_reads_what_came_since_and_says_so(vault: Vault, tmp_path: Path) -> None:
    first = audit(vault.store, state=tmp_path, clock=lambda: NOW)
    assert (first.coverage.since, first.coverage.evidence_read) == (0, None)
    writer = seal(vault, b"two")
    report = audit(vault.store, state=tmp_path, since_last=True, clock=lambda: NOW + 50)
    assert report.verdict == "intact"
    assert (report.coverage.since, report.coverage.evidence_read) == (4, NOW)
    assert report.coverage.files == 3
    assert report.coverage.events == 5
    record = LocalState(tmp_path).audit_record(vault.id)
    assert record == AuditRecord(5, report.root.hex() if report.root else "", NOW + 50, NOW)
    files = contents(vault.store)
    name = next(name for name in files if writer.id.hex() in name and "evidence" in name)
    altered = MemoryStore({**files, name: files[name][:-1] + b"x"})
    # The second bundle is trusted by now; before, it was read.
    assert audit(altered, state=tmp_path, since_last=True).verdict == "intact"
    assert audit(altered, state=tmp_path).verdict == "altered"
    LocalState(tmp_path).set_audit_record(
        vault.id, AuditRecord(4, first.root.hex() if first.root else "", NOW, NOW)
    )
    assert audit(altered, state=tmp_path, since_last=True).verdict == "altered"


def test_since_last_still_compares_sizes_and_the_whole_log(vault: Vault, tmp_path: Path) -> None:
    audit(vault.store, state=tmp_path)
    files = contents(vault.store)
    for name, data in files.items():
        if name == FORMAT_NAME:
            continue
        for change in (data[:-1], data + b"x", None):
            store = MemoryStore({k: v for k, v in {**files, name: change}.items() if v is not None})
            report = audit(store, state=tmp_path, since_last=True)
            if ".p/3" in name:  # superseded: it may be gone, and what it says matters to nobody
                noted = "tile-superseded" in {one.code for one in report.findings}
                assert (report.verdict, noted) == ("intact", change is not None)
            else:
                assert report.verdict == "altered", (name, change)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 5},
        {"size": 10**9},
        {"size": 0},
        {"size": -1},
        {"root": "00" * 32},
        {"root": ""},
        {"root": None},
        {"size": "4"},
        {"size": True},
        {"time": None},
    ],
)
def test_an_earlier_audit_of_something_else_is_not_trusted(
    vault: Vault, tmp_path: Path, change: dict[str, Any]
) -> None:
    import json

    audit(vault.store, state=tmp_path)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    assert audit(vault.store, state=tmp_path, since_last=True).coverage.since == 0


def test_without_a_memory_everything_is_read(vault: Vault, tmp_path: Path) -> None:
    assert audit(vault.store, since_last=True).coverage.since == 0
    assert audit(vault.store, state=tmp_path, since_last=True).coverage.since == 0


def test_a_signature_before_the_last_audit_is_trusted_and_one_since_is_not(
    tmp_path: Path,
) -> None:
    store = memory(new_vault().store)
    audit(store, state=tmp_path)
    forge(store, OWNER, lambda log: [leaf(OWNER, log, signer=OUTSIDER)])
    report = audit(store, state=tmp_path, since_last=True)
    assert (report.coverage.since, codes(report)) == (3, {"event-signature"})
    assert report.verdict == "contradicted"


# --- later versions -------------------------------------------------------------------------------


def test_a_format_of_a_later_version_is_believed_where_the_log_is_too() -> None:
    store = memory(new_vault().store)
    upgrade = {"type": "vault.upgraded", "data": {"version": 2}}
    forge(store, OWNER, lambda log: [leaf(OWNER, log, **upgrade)])
    store._put(FORMAT_NAME, b"evidence-vault/2\n")
    with pytest.raises(UnsupportedVersionError, match="version 2"):
        audit(store)
    nothing = MemoryStore({FORMAT_NAME: b"evidence-vault/2\n", "log/other": b"x"})
    with pytest.raises(UnsupportedVersionError):
        audit(nothing)


def test_where_a_part_is_of_a_later_version_nobody_says_intact() -> None:
    store = memory(new_vault().store)
    upgrade = {"type": "vault.upgraded", "data": {"version": 2}}
    forge(store, OWNER, lambda log: [leaf(OWNER, log, **upgrade)])
    with pytest.raises(UnsupportedVersionError, match="event 3"):
        audit(store)
    files = contents(store)
    name = next(name for name in files if name.startswith("keys/"))
    report = audit(MemoryStore({**files, name: b"x"}))
    assert (report.verdict, places(report)) == ("altered", {name})
    assert "version" in codes(report)


def test_an_event_that_calls_itself_later_switches_no_rule_off() -> None:
    store = memory(new_vault().store)
    forge(store, OWNER, lambda log: [later_version(OWNER, log)])
    report = audit(store)
    assert report.verdict == "contradicted"
    assert ("version", "event 3") in {(one.code, one.place) for one in bad(report)}


# --- contradictions that anybody finds ------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda log: [b"\xc0"], "event-malformed"),
        (lambda log: [leaf(OWNER, log, signer=READER)], "event-signature"),
        (lambda log: [leaf(OWNER, log, head=bytes(32))], "head"),
        (lambda log: [leaf(OWNER, log, vault=bytes(32))], "rule-other-vault"),
        (lambda log: [leaf(OWNER, log, closes=b"x")], "rule-closes"),
        (
            lambda log: [leaf(OWNER, log, type="bundle.noted", bundle=bytes(16), prev=bytes(32))],
            "rule-bundle-unknown",
        ),
    ],
)
def test_a_signed_event_that_is_not_sound_contradicts(build: Any, code: str) -> None:
    store = memory(new_vault().store)
    forge(store, OWNER, build)
    report = audit(store)
    assert report.verdict == "contradicted"
    assert code in codes(report)
    assert "event 3" in places(report)


def test_a_log_that_ends_while_an_epoch_is_due_contradicts() -> None:
    store = memory(new_vault().store)
    data = {"keys": SECOND.proven.to_data(), "roles": ("reader",), "history": False}
    forge(store, OWNER, lambda log: [leaf(OWNER, log, type="member.admitted", data=data)])
    report = audit(store)
    assert (report.verdict, codes(report)) == ("contradicted", {"rule-epoch-due"})


def test_a_checkpoint_signed_by_a_stranger_s_event_contradicts() -> None:
    store = memory(new_vault().store)
    raw = store.read(CHECKPOINT)
    forge(store, OWNER, lambda log: [leaf(OUTSIDER, log, closes=raw)], signer=OUTSIDER)
    report = audit(store)
    assert {"rule-not-a-member", "checkpoint-signer"} <= codes(report)
    assert report.verdict == "contradicted"


@pytest.mark.parametrize("size", [0, 1, 3, 5, 255, 10**5, 2**31, 2**62, 2**63 - 1])
def test_a_size_that_was_made_up_is_found_at_once(vault: Vault, size: int) -> None:
    raw = sign_checkpoint(Checkpoint(vault.state.origin, size, vault.root), OWNER)
    report = audit(MemoryStore({**contents(vault.store), CHECKPOINT: raw}), identity=READER)
    assert report.verdict == "altered"
    assert len(report.findings) < 400


# --- the record of an audit -----------------------------------------------------------------------


def results(vault: Vault, report: Report) -> dict[str, object]:
    events = record_audit(vault, report)
    return {event.bundle.hex(): event.data["result"] for event in events if event.bundle}


def test_an_audit_is_recorded_for_each_bundle_that_it_saw(vault: Vault) -> None:
    one, two = (seal(vault, b"x").id.hex() for _ in range(2))
    first = vault.bundle(vault.event(3).bundle or b"").id.hex()
    files = contents(vault.store)
    report = audit(vault.store)
    later = seal(vault, b"sealed after the audit").id.hex()
    assert results(vault, report) == {first: "intact", one: "intact", two: "intact"}
    assert later not in results(vault, report)
    name = next(name for name in files if name.startswith(f"bundles/{one}/evidence"))
    damaged = audit(MemoryStore({**files, name: b"x"}))
    assert results(vault, damaged) == {first: "intact", one: "altered", two: "intact"}
    reader = open_vault(vault.store, READER)
    event = reader.event(reader.size - 1)
    assert reader.fields(event)["detail"] == "without a reader's identity"
    vault.append("bundle.destroyed", bundle=bytes.fromhex(one))
    assert set(results(vault, audit(vault.store))) == {first, two, later}


def test_a_bundle_that_is_not_what_its_event_says_is_not_recorded_as_intact() -> None:
    vault = new_vault(readers=[READER])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vault.sealing.format_bundle_key", lambda _: b"no key\n")
        writer = seal(vault, b"x")
    reader = open_vault(vault.store, READER)
    assert results(reader, audit(vault.store)) == {writer.id.hex(): "intact"}
    deep = audit(vault.store, identity=READER)
    assert results(reader, deep) == {writer.id.hex(): "altered"}
    event = reader.event(reader.size - 1)
    assert reader.fields(event)["detail"] == "with a reader's identity"


def test_an_audit_that_trusted_another_or_saw_another_log_is_not_recorded(
    vault: Vault, tmp_path: Path
) -> None:
    audit(vault.store, state=tmp_path)
    report = audit(vault.store, state=tmp_path, since_last=True)
    with pytest.raises(ValueError, match="read everything"):
        record_audit(vault, report)
    other = new_vault()
    append_notes(other.store, OWNER, 3)
    with pytest.raises(ValueError, match="another log"):
        record_audit(vault, audit(other.store))
    with pytest.raises(ValueError, match="another log"):
        record_audit(other, audit(vault.store))
    with pytest.raises(CustodyError):
        record_audit(open_vault(vault.store, OUTSIDER), audit(vault.store))


def test_an_audit_that_found_the_log_unsound_is_not_recorded(vault: Vault) -> None:
    files = contents(vault.store)
    for name in files:
        report = audit(MemoryStore({**files, name: b"x"}))
        if name.startswith("log/") and not name.endswith("/3"):
            with pytest.raises(StateError):
                record_audit(vault, report)
    assert vault.size == 4


def test_a_bundle_is_altered_where_what_opens_it_is(vault: Vault) -> None:
    files = contents(vault.store)
    sealed = vault.event(3).sealed
    assert sealed is not None
    for name in files:
        if name.startswith(("fields/", "keys/")):
            report = audit(MemoryStore({**files, name: b"x"}))
            needs = name.startswith("keys/") or sealed.sha256.hex() in name
            assert list(results(vault, report).values()) == ["altered" if needs else "intact"]


# --- progress -------------------------------------------------------------------------------------


def test_progress_adds_up_to_what_is_read(vault: Vault) -> None:
    seal(vault, bytes(3_000_000))
    seal(vault, bytes(2_000_000))
    told: list[Progress] = []
    report = audit(vault.store, identity=READER, progress=told.append)
    assert {one.work for one in told} == {"audit"}
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].done == told[-1].total == report.coverage.bytes


def test_an_exception_in_progress_cancels_once_and_for_all(vault: Vault) -> None:
    for _ in range(6):
        seal(vault, bytes(3_000_000))
    calls: list[str] = []

    def cancel(progress: Progress) -> None:
        calls.append(progress.name)
        if progress.done:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        audit(vault.store, progress=cancel)
    assert threading.active_count() == before
    # Each file is read in three steps; whoever is under way stops at its next one.
    assert all(calls.count(name) < 3 for name in calls if "evidence" in name)


def test_a_listing_that_breaks_off_is_a_finding() -> None:
    class Breaking:
        def __init__(self, error: Exception) -> None:
            self._error = error
            self._inner = MemoryStore(golden())

        def list(self, prefix: str = "") -> Any:
            for number, entry in enumerate(self._inner.list(prefix)):
                if number == 3:
                    raise self._error
                yield entry

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    store: Any = Breaking(OSError(5, "Input/output error"))
    report = audit(store, clock=clock)
    assert report.verdict == "altered"
    assert "unreadable" in codes(report)


@pytest.mark.parametrize(
    "name", [FORMAT_NAME, CHECKPOINT, "log/tile/0/", "log/tile/entries", "keys/"]
)
def test_a_file_that_the_medium_does_not_give_is_a_finding(vault: Vault, name: str) -> None:
    class Failing:
        def read(self, found: str, *arguments: Any) -> bytes:
            if found.startswith(name):
                raise OSError(5, "Input/output error", found)
            return vault.store.read(found, *arguments)

        def open(self, found: str) -> Any:
            if found.startswith(name):
                raise OSError(5, "Input/output error", found)
            return vault.store.open(found)

        def __getattr__(self, attribute: str) -> Any:
            return getattr(vault.store, attribute)

    store: Any = Failing()
    for identity in (None, READER):
        report = audit(store, identity=identity)
        assert report.verdict == "altered"
        assert any(place.startswith(name) for place in places(report))


def test_a_medium_that_is_pulled_out_is_no_finding(vault: Vault) -> None:
    class Gone:
        def __init__(self, method: str, good: int) -> None:
            self._method = method
            self._good = good

        def __getattr__(self, name: str) -> Any:
            found = getattr(vault.store, name)
            if name == self._method:
                if not self._good:
                    raise NotAVaultError("v", "pulled out")
                self._good -= 1
            return found

    for method, good in (("read", 4), ("list", 0), ("list", 1), ("open", 0), ("open", 2)):
        gone: Any = Gone(method, good)
        with pytest.raises(NotAVaultError, match="pulled out"):
            audit(gone)
