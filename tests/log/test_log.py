"""The log over a store: appending, reading on, racing writers, and what a crash leaves."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections.abc import Callable
from itertools import pairwise
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
    draft,
    new_vault,
    on_disk,
    open_vault,
)
from tests.custody.forging import force
from tests.log.notes import Dying, append_notes, forge, later_version, leaf, note, place_of, read
from vault.auditing import audit
from vault.codec import pack
from vault.errors import (
    ConflictError,
    CustodyError,
    FormatError,
    NotAVaultError,
    ProofError,
    RollbackError,
    SignatureError,
    StateError,
    UnknownKeyError,
    UnsupportedVersionError,
    VerificationError,
)
from vault.event import Event
from vault.identity import Identity
from vault.layout import CHECKPOINT
from vault.log import Log
from vault.log.files import edge_tiles, read_entries, tile_name
from vault.storage import PENDING, LocalStore, MemoryStore, Store
from vault.tlog.checkpoint import Checkpoint, parse_signed_checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree
from vault.tlog.tiles import ENTRIES, format_entry_bundle, new_tiles


@pytest.fixture
def store() -> MemoryStore:
    """A vault of three events: genesis, READER's admission, the first epoch."""
    found = new_vault().store
    assert isinstance(found, MemoryStore)
    return found


def replaced(store: Store, **files: bytes | None) -> MemoryStore:
    changed = {**contents(store), **{name.replace("__", "/"): data for name, data in files.items()}}
    return MemoryStore({name: data for name, data in changed.items() if data is not None})


# --- appending and reading on ---------------------------------------------------------------------


def test_two_that_share_a_store_see_each_other_s_events(store: MemoryStore) -> None:
    admit(store, OWNER, (SECOND, ["custodian"]))
    one, two = Log(store), Log(store)
    assert one.refresh()
    assert not one.refresh()
    (first,) = one.append(OWNER, lambda _: [note(OWNER)])
    assert (first.seq, first.closes) == (4, None)
    assert two.refresh()
    assert two.root == one.root
    before = two.raw
    second, third = two.append(SECOND, lambda _: [note(SECOND), note(SECOND)])
    # Whose first event it is carries the checkpoint that it replaces.
    assert (second.closes, third.closes) == (before, None)
    assert one.refresh()
    assert [one.event(seq) for seq in range(7)] == [two.event(seq) for seq in range(7)]
    (fourth,) = one.append(OWNER, lambda _: [note(OWNER)])
    assert fourth.closes == two.raw
    assert read(store).root == one.root
    assert audit(store).findings == ()


def test_an_append_reads_on_first(store: MemoryStore) -> None:
    fresh = Log(store)
    append_notes(store, OWNER)
    (event,) = fresh.append(OWNER, lambda _: [note(OWNER)])
    assert event.seq == 4
    assert fresh.size == 5


def test_an_event_beyond_the_end_is_an_index_error(store: MemoryStore) -> None:
    log = read(store)
    for seq in (-1, 3):
        with pytest.raises(IndexError):
            log.event(seq)


def test_a_commit_needs_an_event(store: MemoryStore) -> None:
    with pytest.raises(ValueError, match="without events"):
        Log(store).append(OWNER, lambda _: [])


@pytest.mark.parametrize("changes", [{"head": bytes(32)}, {"closes": b"x"}])
def test_an_event_for_another_place_is_not_committed(
    store: MemoryStore, changes: dict[str, Any]
) -> None:
    files = contents(store)
    with pytest.raises((ValueError, CustodyError)):
        Log(store).append(OWNER, lambda _: [note(OWNER, **changes)])
    assert contents(store) == files


def test_an_event_that_its_actor_did_not_sign_is_not_committed(store: MemoryStore) -> None:
    files = contents(store)

    def forged(place: Any) -> Event:
        from dataclasses import replace

        event = note(OWNER)(place)
        return replace(event, sig=bytes(64))

    with pytest.raises(SignatureError):
        Log(store).append(OWNER, lambda _: [forged])
    assert contents(store) == files


def test_a_rule_that_is_broken_writes_nothing(store: MemoryStore) -> None:
    files = contents(store)
    with pytest.raises(CustodyError) as raised:
        append_notes(store, OUTSIDER)
    assert raised.value.rule == "not-a-member"
    with pytest.raises(CustodyError):
        Log(store).append(OWNER, lambda _: [note(OWNER), note(OWNER, seq=9)])
    assert contents(store) == files


@pytest.mark.parametrize("type_name", ["member.admitted", "member.removed"])
def test_a_change_of_readers_without_its_epoch_is_not_written(
    store: MemoryStore, type_name: str
) -> None:
    admit(store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    files = contents(store)
    data: dict[str, Any] = {
        "member.admitted": {
            "keys": OUTSIDER.proven.to_data(),
            "roles": ["reader"],
            "history": False,
        },
        "member.removed": {"member": SECOND.ed25519},
    }
    vault = open_vault(store, OWNER)
    with pytest.raises(CustodyError) as raised:
        vault.append(type_name, data=data[type_name])
    assert raised.value.rule == "epoch-due"
    assert contents(store) == files


def test_a_log_that_contradicts_itself_is_read_and_not_written(store: MemoryStore) -> None:
    forge(store, OWNER, lambda log: [note(OUTSIDER)(place_of(log))], signer=OUTSIDER)
    with pytest.raises(UnknownKeyError):
        read(store)
    store = copy_of(new_vault().store)
    forge(store, OWNER, lambda log: [note(OWNER, time=5, closes=b"x")(place_of(log))])
    log = read(store)
    assert [breach.rule for breach in log.breaches] == ["closes"]
    with pytest.raises(StateError, match="contradicts itself"):
        log.append(OWNER, lambda _: [note(OWNER)])


# --- growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [254, 255, 256, 257, 258])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_log_grows_over_a_full_tile(store: MemoryStore, last: int, steps: int) -> None:
    append_notes(store, OWNER, 252 - 3)
    watching = read(store)
    while (size := read(store).size) < last:
        append_notes(store, OWNER, min(steps, last - size))
        assert watching.refresh()
    fresh = read(store)
    assert (fresh.size, fresh.root) == (last, watching.root)
    assert [event.seq for event in map(fresh.event, range(last))] == list(range(last))
    assert list(read_entries(store, 0, last, last)) == [fresh.entry(seq) for seq in range(last)]
    report = audit(store)
    assert (report.verdict, report.findings, report.size) == ("intact", (), last)


def tiles(store: Store) -> set[str]:
    return {name.removeprefix("log/tile/") for name, _ in store.list("log/tile")}


def test_partial_tiles_older_than_the_last_checkpoint_are_dropped(store: MemoryStore) -> None:
    append_notes(store, OWNER)
    assert tiles(store) == {"0/000.p/3", "0/000.p/4", "entries/000.p/3", "entries/000.p/4"}
    append_notes(store, OWNER, 5)
    assert tiles(store) == {"0/000.p/4", "0/000.p/9", "entries/000.p/4", "entries/000.p/9"}
    append_notes(store, OWNER, 247)
    assert tiles(store) == {"0/000", "1/000.p/1", "entries/000"}
    append_notes(store, OWNER)
    assert tiles(store) == {
        *("0/000", "0/001.p/1", "1/000.p/1", "entries/000", "entries/001.p/1"),
    }


def test_a_reader_of_the_last_checkpoint_is_served_by_wider_tiles(store: MemoryStore) -> None:
    slow = read(store)
    for _ in range(3):
        append_notes(store, OWNER)
    assert "entries/000.p/3" not in tiles(store)
    assert slow.event(2).type == "epoch.opened"
    assert slow.size == 3


def test_a_full_tile_s_partial_ones_that_can_t_be_deleted_do_no_harm(store: MemoryStore) -> None:
    class Keeping:
        def delete_tree(self, _: str) -> None:
            raise OSError(13, "Permission denied")

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    append_notes(Keeping(), OWNER, 252)  # type: ignore[arg-type]
    append_notes(Keeping(), OWNER, 1)  # type: ignore[arg-type]
    assert "0/000.p/255" in tiles(store)
    assert audit(store).findings == ()
    append_notes(store, OWNER)
    assert audit(store).findings == ()


@pytest.mark.parametrize("size", [1, 3, 255, 256, 257, 511, 512, 65_536, 65_537, 70_000])
def test_the_edge_is_the_partial_tiles(size: int) -> None:
    partial = [tile for tile in new_tiles(0, size) if tile.partial]
    assert list(edge_tiles(size)) == partial


# --- racing ---------------------------------------------------------------------------------------


class Moving:
    """A store that another writer is always faster on, ``times`` times."""

    def __init__(self, inner: MemoryStore, times: int) -> None:
        self._inner = inner
        self.left = times

    def commit(self, *arguments: Any, **options: Any) -> None:
        if self.left:
            self.left -= 1
            append_notes(self._inner, OWNER)
        self._inner.commit(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_writer_that_lost_builds_again_at_the_new_place(store: MemoryStore) -> None:
    built: list[int] = []
    moving = Moving(store, 3)
    log = Log(moving)  # type: ignore[arg-type]

    def build(state: Any) -> Any:
        built.append(state.size)
        return [note(OWNER)]

    (event,) = log.append(OWNER, build)
    assert built == [3, 4, 5, 6]
    assert event.seq == 6
    assert not log.in_doubt
    assert audit(store).findings == ()


def test_a_writer_gives_up_after_a_hundred(store: MemoryStore) -> None:
    with pytest.raises(ConflictError, match="100 times"):
        Log(Moving(store, 100)).append(OWNER, lambda _: [note(OWNER)])  # type: ignore[arg-type]
    assert read(store).size == 103


def _append_in_process(path: str, number: int, count: int) -> None:
    from tests.bundles.scene import person

    actor = person(number)
    with LocalStore(path) as store:
        log = Log(store)
        for _ in range(count):
            log.append(actor, lambda _: [note(actor)])


def test_eight_processes_make_one_linear_log(tmp_path: Path) -> None:
    from tests.bundles.scene import person

    people = [person(number) for number in (1, 11, 12, 13)]
    with new_vault(LocalStore.make(tmp_path / "v")) as vault:
        store = vault.store
        admit(store, OWNER, *((one, ["custodian"]) for one in people[1:]))
        before = read(store).size
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(
                target=_append_in_process, args=(str(tmp_path / "v"), (1, 11, 12, 13)[index % 4], 4)
            )
            for index in range(8)
        ]
        for worker in workers:
            worker.start()
        watching = read(store)
        while any(worker.is_alive() for worker in workers):
            watching.refresh()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 8
        log = read(store)
        assert log.size == before + 32
        written = [log.event(seq) for seq in range(before, log.size)]
        assert [event.seq for event in written] == list(range(before, log.size))
        for one in people:
            assert sum(event.actor == one.ed25519 for event in written) == 8
        for one, two in pairwise(written):
            assert (two.closes is not None) == (one.actor != two.actor)
        report = audit(store)
        assert (report.verdict, report.findings) == ("intact", ())


def test_a_reader_beside_a_writer_always_sees_a_whole_state(tmp_path: Path) -> None:
    with new_vault(LocalStore.make(tmp_path / "v")) as vault:
        done = threading.Event()
        raised: list[BaseException] = []
        sizes: list[int] = []

        def look() -> None:
            try:
                log = read(LocalStore(tmp_path / "v"))
                while not done.is_set():
                    log.refresh()
                    sizes.append(log.size)
                    log._bundle.cache_clear()
                    assert log.event(log.size - 1).seq == log.size - 1
                    assert audit(LocalStore(tmp_path / "v")).verdict == "intact"
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(60):
            append_notes(vault.store, OWNER)
        done.set()
        thread.join()
        assert raised == []
        assert sizes == sorted(sizes)


# --- what a crash leaves --------------------------------------------------------------------------


def die(store: MemoryStore, moment: str, actor: Identity = OWNER, count: int = 1) -> None:
    log = Log(Dying(store, moment))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="power"):
        log.append(actor, lambda _: [note(actor)] * count)
    assert log.in_doubt == (moment != "files")


@pytest.mark.parametrize("count", [1, 253, 254])
def test_a_commit_that_was_signed_is_finished_by_the_next_writer(
    store: MemoryStore, count: int
) -> None:
    die(store, "signed", count=count)
    assert read(store).size == 3
    report = audit(store)
    assert report.verdict == "intact"
    assert ("pending-commit", PENDING) in {(one.code, one.place) for one in report.findings}
    (event,) = append_notes(store, OWNER)
    assert event.seq == 3 + count
    assert PENDING not in contents(store)
    assert audit(store).findings == ()


@pytest.mark.parametrize("left", [None, b"", b"torn", 500])
def test_a_missing_or_torn_checkpoint_is_read_from_its_sound_successor(
    store: MemoryStore, left: bytes | int | None
) -> None:
    watching = read(store)
    die(store, "signed")
    checkpoint = store.read(CHECKPOINT)
    torn = replaced(store, log__checkpoint=checkpoint[:left] if isinstance(left, int) else left)
    watching._store = torn
    assert watching.refresh()
    assert watching.size == read(torn).size == 4
    report = audit(torn)
    assert (report.verdict, report.size) == ("intact", 4)
    assert [one.code for one in report.findings] == ["pending-commit"]
    (event,) = append_notes(torn, OWNER)
    assert event.seq == 4
    assert audit(torn).findings == ()
    vault = open_vault(torn, READER)
    assert vault.size == 5


def test_a_founding_that_was_signed_is_finished(store: MemoryStore) -> None:
    files = contents(store)
    files[PENDING] = files.pop(CHECKPOINT)
    found = MemoryStore(files)
    vault = open_vault(found, OWNER)
    assert vault.size == 3
    vault.append("vault.noted", fields={"text": "x"})
    assert audit(found).findings == ()


def test_a_torn_pending_one_is_judged_and_overwritten(store: MemoryStore) -> None:
    die(store, "torn")
    assert Log(store).finish_pending() == store.read(PENDING)
    report = audit(store)
    assert report.verdict == "intact"
    assert "pending-torn" in {finding.code for finding in report.findings}
    (event,) = append_notes(store, OWNER)
    assert event.seq == 3
    assert audit(store).findings == ()


def test_tiles_of_a_commit_that_was_never_signed_are_replaced(store: MemoryStore) -> None:
    die(store, "files", count=300)
    report = audit(store)
    assert report.verdict == "intact"
    assert {finding.code for finding in report.findings} == {"leftover"}
    append_notes(store, OWNER)
    assert read(store).size == 4
    append_notes(store, OWNER, 252)
    append_notes(store, OWNER, 5)
    assert read(store).size == 261
    assert audit(store).findings == ()


def test_room_that_was_reserved_is_nothing_pending(store: MemoryStore) -> None:
    reserved = replaced(store, **{"log__checkpoint.next": bytes(16_384)})
    assert audit(reserved).findings == ()
    append_notes(reserved, OWNER)
    assert audit(reserved).findings == ()


def test_a_signed_commit_whose_tiles_are_gone_stops_writing_and_not_reading(
    store: MemoryStore,
) -> None:
    die(store, "signed")
    store.delete("log/tile/0/000.p/4")
    files = contents(store)
    with pytest.raises(StateError, match="pending commit is damaged"):
        append_notes(store, OWNER)
    assert contents(store) == files
    assert read(store).size == 3


def test_a_torn_checkpoint_beside_a_damaged_successor_ends_in_an_error(
    store: MemoryStore,
) -> None:
    die(store, "signed")
    store.delete("log/tile/0/000.p/4")
    for raw in (None, b"torn"):
        torn = replaced(store, log__checkpoint=raw)
        with pytest.raises(StateError, match="pending commit is damaged"):
            read(torn)
        assert audit(torn).verdict == "altered"


def test_a_pending_one_that_nobody_signed_is_overwritten(store: MemoryStore) -> None:
    head = Checkpoint(read(store).state.origin, 4, bytes(32))
    other = replaced(store, **{"log__checkpoint.next": sign_checkpoint(head, OUTSIDER)})
    append_notes(other, OWNER)
    assert read(other).size == 4


def test_a_pending_one_that_the_log_went_beyond_is_overwritten(store: MemoryStore) -> None:
    old = store.read(CHECKPOINT)
    append_notes(store, OWNER)
    later = replaced(store, **{"log__checkpoint.next": old})
    append_notes(later, OWNER)
    assert read(later).size == 5
    assert audit(later).findings == ()


def test_a_pending_one_that_forks_is_named_and_never_overwritten(store: MemoryStore) -> None:
    fork = copy_of(store)
    append_notes(store, OWNER)
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=7)])
    forked = replaced(store, **{"log__checkpoint.next": fork.read(CHECKPOINT)})
    with pytest.raises(StateError, match="pending commit"):
        append_notes(forked, OWNER)
    assert forked.read(PENDING) == fork.read(CHECKPOINT)
    report = audit(forked)
    assert report.verdict == "contradicted"
    (finding,) = (one for one in report.findings if one.code == "fork")
    assert OWNER.keys.fingerprint.hex() in finding.detail


def test_a_commit_that_its_writer_finishes_meanwhile_is_no_damage(store: MemoryStore) -> None:
    die(store, "signed")
    pending = store.read(PENDING)

    class Finishing:
        """The writer goes on as soon as its pending checkpoint was seen."""

        seen = 0

        def pending(self) -> bytes | None:
            self.seen += 1
            if self.seen == 1:
                store.finish(store.read(CHECKPOINT), pending)
                for _ in range(3):
                    append_notes(store, OWNER)
                return pending
            return store.pending()

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    (event,) = append_notes(Finishing(), OWNER)  # type: ignore[arg-type]
    assert event.seq == 7
    assert audit(store).findings == ()


def test_a_torn_checkpoint_that_is_mended_meanwhile_is_read(store: MemoryStore) -> None:
    whole = store.read(CHECKPOINT)
    torn = replaced(store, log__checkpoint=whole[:100])

    class Mending:
        def pending(self) -> bytes | None:
            torn._put(CHECKPOINT, whole)
            return torn.pending()

        def __getattr__(self, name: str) -> Any:
            return getattr(torn, name)

    assert read(Mending()).size == 3  # type: ignore[arg-type]


def test_a_pending_one_for_another_log_than_the_checkpoint_s_is_not_finished(
    store: MemoryStore,
) -> None:
    # The tiles of the commit replaced those of the log: what was signed is sound by itself.
    fork = copy_of(store)
    append_notes(store, OWNER)
    old = store.read(CHECKPOINT)
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=7), note(OWNER)])
    files = {**contents(fork), PENDING: fork.read(CHECKPOINT), CHECKPOINT: old}
    forked = MemoryStore(files)
    with pytest.raises(StateError, match="does not continue the log"):
        Log(forked).finish_pending()
    assert contents(forked) == files


def test_a_pending_one_with_a_tile_that_does_not_follow_is_damaged(store: MemoryStore) -> None:
    die(store, "signed")
    store._put("log/tile/0/000.p/4", bytes(128))
    with pytest.raises(StateError, match="does not follow from the entries"):
        append_notes(store, OWNER)


def test_a_pending_one_that_moves_for_ever_ends_in_an_error(store: MemoryStore) -> None:
    die(store, "signed")

    class Restless:
        def finish(self, *_: object) -> None:
            raise ConflictError("memory", "moved")

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    with pytest.raises(ConflictError, match="100 times"):
        append_notes(Restless(), OWNER)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [NotAVaultError("v", "gone"), OSError(5, "read error")])
def test_a_medium_that_goes_away_throws_nothing_pending_away(
    store: MemoryStore, error: Exception
) -> None:
    die(store, "signed")

    class Gone:
        def read(self, name: str, *arguments: Any) -> bytes:
            if "tile/0/" in name:
                raise error
            return store.read(name, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    files = contents(store)
    with pytest.raises(type(error)):
        append_notes(Gone(), OWNER)  # type: ignore[arg-type]
    assert contents(store) == files


def test_a_local_commit_that_dies_before_its_rename_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_vault(LocalStore.make(tmp_path / "v")) as vault:
        with monkeypatch.context() as patched:

            def die(*_: object) -> None:
                raise OSError(5, "the power went")

            patched.setattr("vault.storage.transaction._switch", die)
            with pytest.raises(OSError, match="power"):
                append_notes(vault.store, OWNER)
        assert (tmp_path / "v/log/checkpoint.next").exists()
        (event,) = append_notes(vault.store, OWNER)
        assert event.seq == 4
        assert not (tmp_path / "v/log/checkpoint.next").exists()
        assert audit(vault.store).findings == ()


# --- what may not be finished ---------------------------------------------------------------------


def with_second(store: MemoryStore, *, removed: bool) -> None:
    """Admit SECOND as a custodian, and perhaps remove it again."""
    admit(store, OWNER, (SECOND, ["custodian"]))
    if removed:
        gone = {"member": SECOND.ed25519}
        Log(store).append(OWNER, lambda _: [draft(store, OWNER, "member.removed", gone)])


def planted(store: MemoryStore, change: Callable[[MemoryStore], object]) -> MemoryStore:
    """Return a store in which the commit that ``change`` makes waits to be put in its place."""
    other = copy_of(store)
    change(other)
    files = contents(other)
    return MemoryStore({**files, PENDING: files[CHECKPOINT], CHECKPOINT: store.read(CHECKPOINT)})


def is_overwritten(store: MemoryStore, detail: str) -> None:
    """Check that what waits is told of, and that whoever writes next overwrites it."""
    size = read(store).size
    report = audit(store)
    assert report.verdict == "intact"
    told = [(one.place, one.detail) for one in report.findings if one.code.startswith("pending")]
    assert told == [(PENDING, detail)]
    assert "pending-forbidden" in {one.code for one in report.findings}
    assert Log(store).finish_pending() == store.read(PENDING)
    (event,) = append_notes(store, OWNER)
    assert (event.seq, PENDING in contents(store)) == (size, False)
    log = read(store)
    assert (log.size, log.breaches) == (size + 1, [])
    after = audit(store)
    assert (after.verdict, {one.code for one in after.findings} - {"leftover"}) == ("intact", set())


def by(identity: Identity) -> str:
    return f"signed by {identity.keys.fingerprint.hex()}"


def test_a_commit_of_a_removed_member_s_that_waits_is_overwritten(store: MemoryStore) -> None:
    with_second(store, removed=True)
    poisoned = planted(store, lambda other: force(other, SECOND, "vault.noted", {}))
    is_overwritten(poisoned, f"removed-member, event 5; {by(SECOND)}")


def test_a_commit_of_a_stranger_s_that_waits_is_overwritten(store: MemoryStore) -> None:
    poisoned = planted(store, lambda other: force(other, OUTSIDER, "vault.noted", {}))
    is_overwritten(poisoned, "not-a-member, event 3; signed by no member")


def test_a_member_s_commit_against_the_rules_that_waits_is_overwritten(store: MemoryStore) -> None:
    with_second(store, removed=False)
    policy = {"policy": {"clock": 60, "two_person_destroy": False}}
    poisoned = planted(store, lambda other: force(other, SECOND, "vault.policy", policy))
    is_overwritten(poisoned, f"role, event 4; {by(SECOND)}")


def test_a_commit_that_leaves_an_epoch_due_and_waits_is_overwritten(store: MemoryStore) -> None:
    new = {"keys": SECOND.proven.to_data(), "roles": ("reader",), "history": True}
    poisoned = planted(store, lambda other: force(other, OWNER, "member.admitted", new))
    is_overwritten(poisoned, f"epoch-due, event 3; {by(OWNER)}")


def test_what_a_removed_member_signed_bars_nobody_though_it_can_t_be_finished(
    store: MemoryStore,
) -> None:
    with_second(store, removed=True)
    origin = read(store).state.origin
    for size in (5, 6, 1000):
        raw = sign_checkpoint(Checkpoint(origin, size, bytes(32)), SECOND)
        barred = "removed-member" if size > 5 else ""
        waiting = replaced(store, **{"log__checkpoint.next": raw})
        if barred:
            is_overwritten(waiting, f"removed-member; {by(SECOND)}")
        else:
            # It could have been signed before the removal: then two histories were.
            assert {one.code for one in audit(waiting).findings} == {"pending-commit", "fork"}
            append_notes(waiting, OWNER)
            assert audit(waiting).findings == ()


@pytest.mark.parametrize("left", [None, b"torn"])
def test_beside_a_torn_checkpoint_what_breaks_a_rule_is_not_read(
    store: MemoryStore, left: bytes | None
) -> None:
    with_second(store, removed=True)
    poisoned = planted(store, lambda other: force(other, SECOND, "vault.noted", {}))
    torn = replaced(poisoned, log__checkpoint=left)
    files = contents(torn)
    with pytest.raises((FormatError, NotAVaultError)):
        read(torn)
    with pytest.raises((FormatError, CustodyError)):
        append_notes(torn, OWNER)
    assert contents(torn) == files


def test_a_later_version_s_commit_that_no_member_signed_bars_nobody(store: MemoryStore) -> None:
    waiting = planted(
        store, lambda other: forge(other, OUTSIDER, lambda log: [later_version(OUTSIDER, log)])
    )
    (event,) = append_notes(waiting, OWNER)
    assert event.seq == 3
    assert read(waiting).size == 4


def test_an_upgrade_that_waits_breaks_no_rule(store: MemoryStore) -> None:
    upgrade = {"type": "vault.upgraded", "data": {"version": 2}}
    waiting = planted(
        store, lambda other: forge(other, OWNER, lambda log: [leaf(OWNER, log, **upgrade)])
    )
    files = contents(waiting)
    with pytest.raises(UnsupportedVersionError):
        append_notes(waiting, OWNER)
    assert contents(waiting) == files
    codes = {one.code for one in audit(waiting).findings}
    assert "pending-commit" in codes
    assert "pending-forbidden" not in codes


def test_of_what_waits_no_rule_is_named_unless_it_is_what_was_signed(store: MemoryStore) -> None:
    with_second(store, removed=False)
    poisoned = planted(store, lambda other: force(other, OUTSIDER, "vault.noted", {}))
    raw = sign_checkpoint(Checkpoint(read(store).state.origin, 5, bytes(32)), OUTSIDER)
    files = {**contents(poisoned), PENDING: raw}
    assert "pending-commit" in {one.code for one in audit(MemoryStore(files)).findings}
    append_notes(MemoryStore(files), OWNER)


# --- rollback, forks, damage ----------------------------------------------------------------------


def test_a_log_that_became_shorter_is_a_rollback(store: MemoryStore) -> None:
    old = copy_of(store)
    append_notes(store, OWNER)
    log = read(store)
    log._store = old
    with pytest.raises(RollbackError, match="shorter") as raised:
        log.refresh()
    assert (raised.value.expected, raised.value.found) == (4, 3)


def test_a_log_whose_checkpoint_vanished_is_a_rollback(store: MemoryStore) -> None:
    log = read(store)
    log._store = replaced(store, log__checkpoint=None)
    with pytest.raises(RollbackError, match="missing"):
        log.refresh()
    with pytest.raises(NotAVaultError):
        read(log._store)


@pytest.mark.parametrize("longer", [0, 1])
def test_another_history_is_a_rollback(store: MemoryStore, longer: int) -> None:
    fork = copy_of(store)
    append_notes(store, OWNER)
    log = read(store)
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=7)] + [note(OWNER)] * longer)
    log._store = fork
    with pytest.raises(RollbackError, match="not a continuation"):
        log.refresh()


def test_entries_that_are_not_those_signed_are_damage(store: MemoryStore) -> None:
    log = read(store)
    append_notes(store, OWNER)
    name = "log/tile/entries/000.p/4"
    data = bytearray(store.read(name))
    data[-1] ^= 1
    store._put(name, bytes(data))
    for one in (log, Log(store)):
        with pytest.raises(ProofError, match="its root is not that of the entries"):
            one.refresh()


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff", bytes(10)])
def test_an_entry_bundle_of_another_form_is_named(store: MemoryStore, data: bytes) -> None:
    name = "log/tile/entries/000.p/3"
    with pytest.raises(FormatError, match=name):
        read(replaced(store, **{name.replace("/", "__"): data}))


def test_a_missing_entry_bundle_is_named(store: MemoryStore) -> None:
    store.delete("log/tile/entries/000.p/3")
    with pytest.raises(VerificationError, match=r"log/tile/entries/000\.p/3"):
        read(store)


def test_an_event_that_vanishes_or_changes_after_it_was_read_is_found(store: MemoryStore) -> None:
    log = read(store)
    name = "log/tile/entries/000.p/3"
    data = store.read(name)
    store.delete(name)
    with pytest.raises(VerificationError, match="missing"):
        log.event(0)
    store._put(name, data[:-1] + bytes((data[-1] ^ 1,)))
    with pytest.raises(ProofError, match="event 2"):
        log.event(0)
    store._put(name, data)
    assert log.event(0).type == "vault.created"


def test_an_event_is_read_on_while_a_writer_drops_its_tile(store: MemoryStore) -> None:
    append_notes(store, OWNER, 248)
    log = read(store)

    class Busy:
        busy = True

        def read(self, name: str, *arguments: Any) -> bytes:
            if self.busy and "entries" in name:
                # Every tile is dropped just before it is read.
                self.busy = name != tile_name_of(256)
                append_notes(store, OWNER)
                raise FileNotFoundError(name)
            return store.read(name, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    log._store = Busy()  # type: ignore[assignment]
    assert log.event(2).type == "epoch.opened"


def tile_name_of(width: int) -> str:
    from vault.tlog.tiles import Tile

    return tile_name(Tile(ENTRIES, 0, width))


def test_a_refresh_reads_on_while_a_writer_drops_its_tile(store: MemoryStore) -> None:
    append_notes(store, OWNER)

    class Busy:
        left = 3

        def read(self, name: str, *arguments: Any) -> bytes:
            if self.left and "entries" in name:
                self.left -= 1
                append_notes(store, OWNER)
                raise FileNotFoundError(name)
            return store.read(name, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    log = Log(Busy())  # type: ignore[arg-type]
    assert log.refresh()
    assert log.size >= 4


# --- logs that nobody's software writes -----------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "error", "why"),
    [
        (lambda log: [b"\xc0"], FormatError, "event 3"),
        (lambda log: [pack({"body": b"", "sig": b""})], FormatError, "event 3"),
        (lambda log: [leaf(OWNER, log, signer=READER)], SignatureError, "does not verify"),
        (lambda log: [leaf(OWNER, log, head=bytes(32))], VerificationError, "head is not"),
    ],
)
def test_an_event_that_is_not_sound_in_a_tree_that_is_signed_is_refused(
    store: MemoryStore, build: Any, error: type[Exception], why: str
) -> None:
    forge(store, OWNER, build)
    with pytest.raises(error, match=why):
        read(store)
    report = audit(store)
    assert report.verdict == "contradicted"
    assert "event 3" in {finding.place for finding in report.findings}


def test_a_checkpoint_that_its_last_actor_did_not_sign_is_refused(store: MemoryStore) -> None:
    forge(store, OWNER, lambda log: [leaf(OWNER, log)], signer=READER)
    with pytest.raises(UnknownKeyError):
        read(store)
    assert audit(store).verdict == "altered"


def test_a_checkpoint_of_another_log_is_refused(store: MemoryStore) -> None:
    log = read(store)
    head = Checkpoint("evidence-vault/" + "0" * 64, log.size, log.root)
    with pytest.raises(VerificationError, match="another log"):
        read(replaced(store, log__checkpoint=sign_checkpoint(head, OWNER)))


def test_a_log_without_a_founder_has_no_signer() -> None:
    store = MemoryStore()
    founder = new_vault()
    event = note(OUTSIDER)(place_of(founder._log))
    tree = MemoryTree([event.leaf_hash])
    store._put("log/tile/0/000.p/1", tree.hash(0, 0))
    store._put("log/tile/entries/000.p/1", format_entry_bundle([event.leaf]))
    head = Checkpoint(founder.state.origin, 1, tree.root())
    store._put(CHECKPOINT, sign_checkpoint(head, OUTSIDER))
    with pytest.raises(UnknownKeyError, match="not on the roster"):
        read(store)


def test_a_later_version_is_never_damage(store: MemoryStore) -> None:
    forge(store, OWNER, lambda log: [later_version(OWNER, log)])
    with pytest.raises(UnsupportedVersionError, match="event 3"):
        read(store)
    store = copy_of(new_vault().store)
    upgrade = {"type": "vault.upgraded", "data": {"version": 2}}
    forge(store, OWNER, lambda log: [leaf(OWNER, log, **upgrade)])
    with pytest.raises(UnsupportedVersionError, match="version 2"):
        read(store)


def test_a_later_version_s_pending_commit_is_not_thrown_away(store: MemoryStore) -> None:
    later = copy_of(store)
    forge(later, OWNER, lambda log: [later_version(OWNER, log)])
    files = contents(later)
    files[PENDING] = files[CHECKPOINT]
    files[CHECKPOINT] = store.read(CHECKPOINT)
    pending = MemoryStore(files)
    with pytest.raises(UnsupportedVersionError):
        append_notes(pending, OWNER)
    assert contents(pending) == files


def test_who_may_not_upgrade_locks_nobody_out(store: MemoryStore) -> None:
    admit(store, OWNER, (SECOND, ["custodian"]))
    raw = store.read(CHECKPOINT)
    change = {"type": "vault.upgraded", "data": {"version": 2}, "closes": raw}
    forge(store, SECOND, lambda log: [leaf(SECOND, log, **change)])
    log = read(store)
    assert {breach.rule for breach in log.breaches} == {"role", "version"}


# --- absurd sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 1000, 2**31, 2**40, 2**63 - 1])
def test_a_size_that_was_made_up_costs_nothing(store: MemoryStore, size: int) -> None:
    log = read(store)
    raw = sign_checkpoint(Checkpoint(log.state.origin, size, log.root), OWNER)
    absurd = replaced(store, log__checkpoint=raw)
    with pytest.raises((VerificationError, FormatError)):
        read(absurd)
    with pytest.raises((VerificationError, FormatError, RollbackError)):
        log._store = absurd
        log.refresh()
    pending = replaced(store, **{"log__checkpoint.next": raw})
    with pytest.raises(StateError, match="pending"):
        append_notes(pending, OWNER)


def test_a_huge_file_in_the_place_of_entries_is_not_read_whole(tmp_path: Path) -> None:
    files = contents(new_vault().store)
    with on_disk(tmp_path / "v", files) as store:
        for name in ("log/tile/entries/000.p/3", "log/checkpoint"):
            with (tmp_path / "v" / name).open("r+b") as file:
                file.truncate(2**42)
        with pytest.raises(FormatError):
            read(store)


def test_a_signed_checkpoint_is_kept_as_it_was_read(store: MemoryStore) -> None:
    log = read(store)
    assert log.raw == store.read(CHECKPOINT)
    assert log.signed == parse_signed_checkpoint(store.read(CHECKPOINT))
    assert Log(store).raw is None


@pytest.mark.parametrize("seed", range(4))
def test_a_random_history_is_the_same_to_all(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    store = new_vault().store
    assert isinstance(store, MemoryStore)
    admit(store, OWNER, (SECOND, ["custodian", "owner"]))
    logs = [Log(store) for _ in range(3)]
    for _ in range(12):
        log = chance.choice(logs)
        match chance.randrange(4):
            case 0:
                log.refresh()
            case 1:
                die(
                    store, chance.choice(["files", "signed", "torn"]), OWNER, chance.randrange(1, 9)
                )
            case _:
                actor = chance.choice([OWNER, SECOND])
                count = chance.randrange(1, 5)
                log.append(actor, lambda _, a=actor, n=count: [note(a)] * n)
    final = Log(store)
    final.append(OWNER, lambda _: [note(OWNER)])
    for log in logs:
        log.refresh()
        assert (log.size, log.root) == (final.size, final.root)
        assert log.state == final.state
    assert audit(store).findings == ()


def test_a_draft_writes_its_fields_once_for_each_epoch(store: MemoryStore) -> None:
    one = draft(store, OWNER, "vault.noted", {}, fields={"text": "x"})
    before = set(contents(store))
    moving = Moving(store, 2)
    Log(moving).append(OWNER, lambda _: [one])  # type: ignore[arg-type]
    new = {name for name in set(contents(store)) - before if name.startswith("fields/")}
    assert len(new) == 1
