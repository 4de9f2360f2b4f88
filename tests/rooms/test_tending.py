"""Looking after a vault's place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from vault import Identity, LocalState, LocalStore, Vault
from vault.errors import NotAVaultError, UnsupportedVersionError
from vault.tending import tend


@pytest.fixture
def local(tmp_path: Path) -> tuple[Path, LocalState, Identity]:
    me = Identity(bytes(32))
    state = tmp_path / "state"
    Vault.create(tmp_path / "v", identity=me, readers=[me], state=state, clock=lambda: 100).close()
    return tmp_path / "v", LocalState(state), me


def looked_at(local: Any) -> Any:
    with LocalStore(local[0]) as store:
        return tend(store, state=local[1], clock=lambda: 200)


def append(local: Any) -> None:
    place, _, me = local
    with Vault.open(place, identity=me) as vault:
        vault.append("vault.noted", fields={"text": "x"})


def test_a_sound_vault(local: Any) -> None:
    found = looked_at(local)
    assert (found.pending, found.swept, found.leftovers, found.pin) == ("none", 0, (), "same")
    assert (found.size, found.last_time, found.clock) == (3, 100, 200)
    assert found.medium["place"] == str(local[0])
    assert found.trouble is None


def test_the_pin_is_told_apart(local: Any, tmp_path: Path) -> None:
    place, state, me = local
    (pin,) = (tmp_path / "state/pins").glob("*.checkpoint")
    shutil.copytree(place, tmp_path / "old")
    append(local)
    assert looked_at(local).pin == "older"
    Vault.open(place, state=tmp_path / "state")
    assert looked_at((tmp_path / "old", state, me)).pin == "newer"
    append((tmp_path / "old", state, me))
    append((tmp_path / "old", state, me))
    assert looked_at((tmp_path / "old", state, me)).pin == "other"
    pin.write_bytes(b"torn")
    assert looked_at(local).pin == "damaged"
    pin.unlink()
    assert looked_at(local).pin == "absent"
    with LocalStore(place) as store:
        assert tend(store).pin == "absent"


def test_a_pending_commit_is_finished(local: Any) -> None:
    checkpoint = local[0] / "log/checkpoint"
    before = checkpoint.read_bytes()
    append(local)
    checkpoint.rename(local[0] / "log/checkpoint.next")
    checkpoint.write_bytes(before)
    found = looked_at(local)
    assert (found.pending, found.size) == ("finished", 4)
    assert looked_at(local).pending == "none"


def test_a_missing_checkpoint_is_restored_from_a_sound_next(local: Any) -> None:
    checkpoint = local[0] / "log/checkpoint"
    checkpoint.rename(local[0] / "log/checkpoint.next")
    assert looked_at(local).pending == "finished"
    assert checkpoint.exists()


def test_a_medium_that_cant_be_written_is_only_looked_at(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = local[0] / "log/checkpoint"
    checkpoint.rename(local[0] / "log/checkpoint.next")
    monkeypatch.setattr(LocalStore, "writable", lambda _: False)
    assert looked_at(local).pending == "not-finished"
    assert not checkpoint.exists()


def test_a_torn_pending_commit_is_left_to_the_next_writer(local: Any) -> None:
    (local[0] / "log/checkpoint.next").write_bytes(b"torn")
    found = looked_at(local)
    assert (found.pending, found.size) == ("torn", 3)


def test_what_nobody_called_for_is_named(local: Any) -> None:
    (local[0] / "keys/extra").write_text("x")
    (local[0] / "bundles").mkdir()
    (local[0] / "bundles/link").symlink_to("x")
    assert looked_at(local).leftovers == ("bundles/link", "keys/extra")


def test_what_a_dead_writer_left_is_swept(local: Any) -> None:
    (local[0] / "tmp/0123456789abcdef").mkdir(parents=True)
    assert looked_at(local).swept == 1
    assert not (local[0] / "tmp/0123456789abcdef").exists()


def test_a_log_in_trouble_is_data(local: Any) -> None:
    (local[0] / "log/checkpoint").write_bytes(b"x")
    found = looked_at(local)
    assert found.trouble is not None
    assert found.medium["place"] == str(local[0])
    (local[0] / "FORMAT").write_text("evidence-vault/9\n")
    assert isinstance(looked_at(local).trouble, UnsupportedVersionError)


def test_a_place_that_is_no_vault_is_an_error(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store, pytest.raises(NotAVaultError):
        tend(store)
