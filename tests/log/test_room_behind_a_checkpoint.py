"""The power went when a checkpoint was written, and the room behind it was not cut off yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundles.scene import OWNER, contents, copy_of, new_vault, on_disk
from tests.log.notes import Dying, append_notes, note, read
from vault.auditing import audit
from vault.layout import CHECKPOINT
from vault.log import Log
from vault.storage import PENDING, MemoryStore, Store
from vault.tlog.checkpoint import parse_signed_checkpoint

ROOM = 16384


def interrupted() -> tuple[dict[str, bytes], bytes]:
    """Return the files of a vault, and the signed checkpoint that waits in all of its room."""
    store = copy_of(new_vault().store)
    dying: Store = Dying(store, "signed")  # type: ignore[assignment]
    with pytest.raises(OSError, match="the power went"):
        Log(dying).append(OWNER, lambda _: [note(OWNER)])
    signed = store.read(PENDING)
    return {**contents(store), PENDING: signed.ljust(ROOM, b"\0")}, signed


def finished(store: Store, signed: bytes) -> None:
    """Check that the next writer goes on behind what was signed."""
    report = audit(store)
    assert report.verdict == "intact"
    assert {one.code for one in report.findings} == {"pending-commit", "leftover"}
    size = parse_signed_checkpoint(signed).checkpoint.size
    assert store.pending() == signed
    append_notes(store, OWNER)
    log = read(store)
    assert log.size == size + 1
    assert log.tree.root(size) == parse_signed_checkpoint(signed).checkpoint.root
    assert b"\0" not in store.read(CHECKPOINT)
    assert (audit(store).verdict, audit(store).findings) == ("intact", ())


def test_in_memory_it_is_finished_and_not_signed_for_a_second_time() -> None:
    files, signed = interrupted()
    finished(MemoryStore(files), signed)


def test_on_a_disk_it_is_finished_and_not_signed_for_a_second_time(tmp_path: Path) -> None:
    files, signed = interrupted()
    with on_disk(tmp_path / "vault", files) as store:
        finished(store, signed)


@pytest.mark.parametrize("cut", [1, 300, 1024, 3000])
def test_what_is_not_whole_was_signed_by_nobody(cut: int) -> None:
    files, signed = interrupted()
    store = MemoryStore({**files, PENDING: signed[:cut].ljust(ROOM, b"\0")})
    report = audit(store)
    assert report.verdict == "intact"
    assert "pending-torn" in {one.code for one in report.findings}
    append_notes(store, OWNER)
    assert read(store).size == parse_signed_checkpoint(signed).checkpoint.size
