"""No sound vault is refused, whatever a crash left or a writer is about to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.audit.golden import bad, codes
from tests.bundles.scene import (
    OWNER,
    READER,
    SECOND,
    admit,
    contents,
    copy_of,
    new_vault,
    on_disk,
    open_vault,
    seal,
)
from tests.log.notes import Dying, append_notes, note
from vault.auditing import audit
from vault.auditing.logs import audit_log
from vault.custody import Policy
from vault.layout import CHECKPOINT
from vault.log import Log
from vault.storage import PENDING, LocalStore, MemoryStore, Store
from vault.vault import Vault


def sound(store: Store, *notes: str, identity: Any = None) -> None:
    report = audit(store, identity=identity)
    assert bad(report) == []
    assert report.verdict == "intact"
    assert codes(report) == set(notes)


@pytest.mark.parametrize("readers", [(READER,), (OWNER,), (READER, SECOND, OWNER)])
@pytest.mark.parametrize("clock", [1, 60, 86_400])
def test_a_new_vault(readers: tuple[Any, ...], clock: int) -> None:
    vault = new_vault(readers=readers, policy=Policy(clock, two_person_destroy=True))
    sound(vault.store)
    seal(vault)
    for identity in (None, READER, OWNER, SECOND):
        sound(vault.store, identity=identity)


@pytest.mark.parametrize("count", [1, 200, 252, 253, 254, 510, 770])
def test_a_log_of_any_size(count: int) -> None:
    store = new_vault().store
    append_notes(store, OWNER, count)
    sound(store)
    append_notes(store, OWNER)
    sound(store)
    append_notes(store, OWNER, 2)
    sound(store)


@pytest.mark.parametrize("moment", ["files", "signed", "torn"])
@pytest.mark.parametrize("count", [1, 252, 253, 254, 600])
def test_what_a_crash_left(moment: str, count: int) -> None:
    vault = new_vault()
    assert isinstance(vault.store, MemoryStore)
    append_notes(vault.store, OWNER)
    dying: Any = Dying(vault.store, moment)
    with pytest.raises(OSError, match="power"):
        Log(dying).append(OWNER, lambda _: [note(OWNER)] * count)
    expected = {"files": [], "signed": ["pending-commit"], "torn": ["pending-torn"]}[moment]
    sound(vault.store, "leftover", *expected)
    before = copy_of(vault.store)
    append_notes(vault.store, OWNER, 3)
    sound(vault.store, *(["leftover"] if moment != "signed" and count >= 252 else []))
    # A checkpoint that FAT tore: its signed successor stands in, if there is one.
    torn = MemoryStore({**contents(before), CHECKPOINT: b""})
    if moment == "signed":
        sound(torn, "pending-commit")
    else:
        assert audit(torn).verdict == "altered"


def test_a_seal_that_was_interrupted_after_the_bundle_was_published() -> None:
    vault = new_vault()
    assert isinstance(vault.store, MemoryStore)
    seal(vault, b"one")
    interrupted = open_vault(vault.store, OWNER)
    interrupted._log._store = Dying(vault.store, "files")  # type: ignore[assignment]
    with pytest.raises(OSError, match="power"):
        seal(interrupted, b"two")
    sound(vault.store, "leftover")
    interrupted = open_vault(vault.store, OWNER)
    interrupted._log._store = Dying(vault.store, "signed")  # type: ignore[assignment]
    with pytest.raises(OSError, match="power"):
        seal(interrupted, b"three")
    sound(vault.store, "leftover", "pending-commit")
    seal(open_vault(vault.store, OWNER), b"four")
    report = audit(vault.store)
    assert report.verdict == "intact"
    assert report.coverage.bundles == 3
    for finding in report.findings:
        assert finding.place.startswith("log/tile/") or finding.code == "leftover"


def test_leftovers_in_tmp_and_a_lock_are_not_even_notes(tmp_path: Path) -> None:
    with on_disk(tmp_path / "v", contents(new_vault().store)) as store:
        (tmp_path / "v/tmp/0123456789abcdef/3").mkdir(parents=True)
        (tmp_path / "v/tmp/0123456789abcdef/3/evidence.0000").write_bytes(b"half")
        (tmp_path / "v/lock").write_bytes(b"")
        sound(store)


def test_superseded_tiles_may_be_there_or_not() -> None:
    store = new_vault().store
    append_notes(store, OWNER)
    files = contents(store)
    old = [name for name in files if name.endswith("/3")]
    assert len(old) == 2
    for gone in ([], old[:1], old[1:], old):
        sound(MemoryStore({name: data for name, data in files.items() if name not in gone}))


def test_a_vault_that_went_through_everything() -> None:
    vault = new_vault()
    store = vault.store
    writers = [seal(vault, bytes((number,)), title=str(number)) for number in range(3)]
    admit(store, OWNER, (SECOND, ["custodian", "owner", "reader"]), readers=(READER, SECOND))
    second = open_vault(store, SECOND)
    released = vault.append(
        "custody.released",
        bundle=writers[0].id,
        data={"to": SECOND.ed25519},
        fields={"place": "x"},
    )
    second.append(
        "custody.accepted",
        bundle=writers[0].id,
        data={"release": released.seq, "rehashed": True},
    )
    vault.append("bundle.destroyed", bundle=writers[1].id)
    sound(store, "pending-deletion")
    store.delete_tree(f"bundles/{writers[1].id.hex()}")
    sound(store, "pending-deletion", identity=READER)
    seal(second, b"by another")
    open_vault(store, READER).open_item(writers[2].id, 0, purpose="x").close()
    sound(store, "pending-deletion", identity=READER)


def test_events_that_a_removal_declared_doubtful_are_noted() -> None:
    vault = new_vault()
    admit(vault.store, OWNER, (SECOND, ["custodian"]))
    seal(open_vault(vault.store, SECOND), b"doubtful")
    vault.append("member.removed", data={"member": SECOND.ed25519, "doubtful_from": 4})
    sound(vault.store, "disputed")


def test_a_vault_is_audited_as_it_is_open(tmp_path: Path) -> None:
    with new_vault(LocalStore.make(tmp_path / "v")) as vault:
        seal(vault, b"x")
        for target in (vault, vault.store, tmp_path / "v", str(tmp_path / "v")):
            report = audit(target)
            assert (report.verdict, report.vault, report.size) == ("intact", vault.id, vault.size)
            assert report.root == vault.root


def test_an_audit_beside_a_busy_writer_is_not_misled() -> None:
    vault = new_vault()
    store = vault.store

    class Busy:
        """While the log is read, a writer appends and drops the tiles that were to be read."""

        left = 6

        def read(self, name: str, *arguments: Any) -> bytes:
            if self.left and "tile/" in name:
                self.left -= 1
                append_notes(store, OWNER)
            return store.read(name, *arguments)

        def list(self, prefix: str = "") -> Any:
            if self.left:
                self.left -= 1
                append_notes(store, OWNER)
            return store.list(prefix)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    busy: Any = Busy()
    report = audit(busy)
    assert (report.verdict, report.size) == ("intact", 9)


def test_an_audit_beside_a_writer_who_never_rests_ends() -> None:
    vault = new_vault()
    store = vault.store

    class Busy:
        def read(self, name: str, *arguments: Any) -> bytes:
            if name.endswith("checkpoint"):
                data = store.read(name, *arguments)
                append_notes(store, OWNER)
                append_notes(store, OWNER)
                return data
            return store.read(name, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    busy: Any = Busy()
    assert audit(busy).verdict in {"altered", "intact"}


def test_an_audit_holds_no_more_of_a_log_than_is_there() -> None:
    vault = new_vault()
    seen: list[str] = []
    log = audit_log(vault.store, lambda *_: 0, seen.append)
    assert log.complete
    assert seen[-1] == "event 2"
    assert PENDING in log.known


def test_vaults_opened_by_name_and_by_store_are_the_same(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "v", identity=OWNER, readers=[READER]) as vault:
        assert audit(vault).verdict == audit(tmp_path / "v").verdict == "intact"
