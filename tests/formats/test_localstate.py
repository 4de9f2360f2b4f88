"""What a machine remembers: pins and audits, whole or not at all, and never trusted blindly."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from vault import localstate
from vault.custody import State
from vault.errors import FormatError, RollbackError
from vault.identity import Identity
from vault.localstate import AuditRecord, LocalState, check_pin, keep_pin
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree, leaf_hash

ME = Identity(b"\x01" * 32)
VAULT = b"\x11" * 32
ORIGIN = f"evidence-vault/{VAULT.hex()}"
TREE = MemoryTree([leaf_hash(bytes((n,))) for n in range(5)])
HEAD = Checkpoint(ORIGIN, 5, TREE.root())
RAW = sign_checkpoint(HEAD, ME)
AUDIT = AuditRecord(size=5, root=TREE.root().hex(), time=1772355600, evidence_read=1772000000)


def pin_file(directory: Path) -> Path:
    return directory / "pins" / f"{VAULT.hex()}.checkpoint"


def audit_file(directory: Path) -> Path:
    return directory / "audits" / f"{VAULT.hex()}.json"


def test_nothing_is_remembered_or_made_before_something_is_written(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state")
    assert state.pin(VAULT) is None
    assert state.audit_record(VAULT) is None
    state.forget(VAULT)
    assert os.listdir(tmp_path) == []


def test_a_pin_and_an_audit_are_remembered_for_each_vault(tmp_path: Path) -> None:
    state = LocalState(str(tmp_path / "a" / "state"))
    state.set_pin(VAULT, RAW)
    state.set_audit_record(VAULT, AUDIT)
    again = LocalState(tmp_path / "a" / "state")
    pin = again.pin(VAULT)
    assert pin is not None
    assert (pin.raw, pin.checkpoint) == (RAW, HEAD)
    assert again.audit_record(VAULT) == AUDIT
    assert again.pin(bytes(32)) is None
    assert again.audit_record(bytes(32)) is None
    state.set_audit_record(VAULT, replace(AUDIT, size=6))
    assert again.audit_record(VAULT) == replace(AUDIT, size=6)
    state.forget(VAULT)
    assert again.pin(VAULT) is None
    assert again.audit_record(VAULT) is None


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_others_on_the_machine_do_not_see_which_vaults_were_opened(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state")
    state.set_pin(VAULT, RAW)
    assert pin_file(tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "pins").stat().st_mode & 0o777 == 0o700


def head(size: int) -> bytes:
    """Return the checkpoint of an earlier or later state of the log, signed."""
    tree = MemoryTree([leaf_hash(bytes((n,))) for n in range(size)])
    return sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), ME)


def test_a_pin_only_moves_on(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    state.set_pin(VAULT, RAW)
    state.set_pin(VAULT, head(4))
    assert pin_file(tmp_path).read_bytes() == RAW
    newer = head(6)
    state.set_pin(VAULT, newer)
    assert pin_file(tmp_path).read_bytes() == newer


def test_what_is_no_checkpoint_is_not_remembered_as_one(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        LocalState(tmp_path).set_pin(VAULT, RAW[:-1])
    assert os.listdir(tmp_path) == []


DAMAGED = {
    "empty": b"",
    "torn": RAW[:100],
    "one byte short": RAW[:-1],
    "zeros": bytes(len(RAW)),
    "not text": b"\xff" * 100,
    "an audit record": json.dumps(asdict(AUDIT)).encode(),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_pin_that_is_damaged_is_named_and_not_taken_for_absent(
    content: bytes, tmp_path: Path
) -> None:
    state = LocalState(tmp_path)
    state.set_pin(VAULT, RAW)
    pin_file(tmp_path).write_bytes(content)
    with pytest.raises(FormatError) as caught:
        state.pin(VAULT)
    assert caught.value.where == str(pin_file(tmp_path))
    assert caught.value.what == "pin"
    state.set_pin(VAULT, RAW)  # once someone looked, a verified one takes its place
    assert pin_file(tmp_path).read_bytes() == RAW


def test_a_vault_is_known_once_its_id_was_confirmed(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    assert not state.is_known(VAULT)
    state.set_known(VAULT)
    state.set_known(VAULT)
    assert state.is_known(VAULT)
    assert not state.is_known(bytes(32))
    state.forget(VAULT)
    assert not state.is_known(VAULT)


GOOD = asdict(AUDIT)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(json.dumps(GOOD).encode()[:-5], id="torn"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[5]", id="a list"),
        pytest.param(b'"audit"', id="a string"),
        pytest.param(b"5", id="a number"),
        pytest.param(json.dumps({**GOOD, "more": 1}).encode(), id="one key more"),
        pytest.param(json.dumps({"size": 5}).encode(), id="keys missing"),
        *(
            pytest.param(json.dumps({**GOOD, key: value}).encode(), id=f"{key} {value!r}")
            for key in GOOD
            for value in (None, True, "x" if key != "root" else 5, -1, 1.5, [1])
        ),
    ],
)
def test_an_audit_record_that_is_damaged_counts_as_none(content: bytes, tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    state.set_audit_record(VAULT, AUDIT)
    audit_file(tmp_path).write_bytes(content)
    assert state.audit_record(VAULT) is None


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = LocalState(tmp_path)
    state.set_pin(VAULT, RAW)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        state.set_pin(VAULT, head(6))
    assert set(os.listdir(tmp_path / "pins")) <= {f"{VAULT.hex()}.checkpoint", "lock"}
    assert pin_file(tmp_path).read_bytes() == RAW


def test_a_state_that_can_not_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    pin_file(tmp_path).mkdir(parents=True)
    audit_file(tmp_path).mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        LocalState(tmp_path).pin(VAULT)
    with pytest.raises(OSError, match="directory"):
        LocalState(tmp_path).audit_record(VAULT)


# --- holding a log against a pin --------------------------------------------------------------


@pytest.mark.parametrize("size", range(6))
def test_a_log_that_contains_the_pin_is_accepted(size: int) -> None:
    check_pin(Checkpoint(ORIGIN, size, TREE.root(size)), ORIGIN, 5, TREE, "v")


def test_a_log_that_is_older_than_the_pin_was_rolled_back() -> None:
    with pytest.raises(RollbackError, match="older") as caught:
        check_pin(HEAD, ORIGIN, 4, TREE, "v")
    assert (caught.value.expected, caught.value.found) == (5, 4)


@pytest.mark.parametrize("size", range(1, 6))
def test_a_log_with_another_history_than_the_pin_was_forked(size: int) -> None:
    pin = Checkpoint(ORIGIN, size, bytes(32))
    with pytest.raises(RollbackError, match="another history"):
        check_pin(pin, ORIGIN, 5, TREE, "v")


def test_the_pin_of_another_vault_is_not_compared() -> None:
    foreign = replace(HEAD, origin="evidence-vault/" + "22" * 32)
    with pytest.raises(RollbackError, match="another vault") as caught:
        check_pin(foreign, ORIGIN, 5, TREE, "v")
    assert (caught.value.expected, caught.value.found) == (foreign.origin, ORIGIN)


# --- keeping the pin of a log -----------------------------------------------------------------


class GrowingLog:
    """What a pin looks at of a log; ``refresh`` reads what others appended meanwhile."""

    def __init__(self, size: int, grown: int = 0, breaches: tuple[str, ...] = ()) -> None:
        self.state = State(vault=VAULT)
        self.tree = TREE
        self.breaches = breaches
        self._grown = grown or size
        self.size = size
        self.raw: bytes | None = head(size)

    def refresh(self) -> None:
        self.size = self._grown
        self.raw = head(self.size)


def keep(state: LocalState, log: GrowingLog) -> None:
    keep_pin(state, log, "v")  # type: ignore[arg-type]


def test_a_log_that_was_read_moves_the_pin_on_to_it(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    for size in (3, 3, 5):
        keep(state, GrowingLog(size))
        pin = state.pin(VAULT)
        assert pin is not None
        assert pin.checkpoint.size == size


def test_a_log_behind_the_pin_is_read_again_before_it_counts_as_rolled_back(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    state.set_pin(VAULT, RAW)
    keep(state, GrowingLog(4, grown=5))
    with pytest.raises(RollbackError, match="older"):
        keep(state, GrowingLog(4))
    pin = state.pin(VAULT)
    assert pin is not None
    assert pin.checkpoint == HEAD


def test_a_log_that_breaks_rules_or_has_no_head_moves_no_pin(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    keep(state, GrowingLog(3, breaches=("role",)))
    headless = GrowingLog(3)
    headless.raw = None
    keep(state, headless)
    assert state.pin(VAULT) is None


def test_a_pin_that_two_processes_move_on_at_once_never_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = (
        sign_checkpoint(Checkpoint(ORIGIN, size, TREE.root(size)), ME) for size in (3, 4)
    )
    state = LocalState(tmp_path)
    write = localstate.write_file
    other = threading.Thread(target=LocalState(tmp_path).set_pin, args=(VAULT, newer))

    def late(path: Path, data: bytes, *, replace: bool) -> None:
        if data == older:
            # What it read of the pin is old by now, if the other one does not have to wait.
            other.start()
            other.join(0.5)
        write(path, data, replace=replace)

    monkeypatch.setattr(localstate, "write_file", late)
    state.set_pin(VAULT, older)
    other.join()
    pin = state.pin(VAULT)
    assert pin is not None
    assert pin.checkpoint.size == 4
