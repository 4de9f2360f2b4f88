"""What every store promises, held against each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from vault.errors import ConflictError, LockedError, StateError
from vault.storage import PENDING, LocalStore, MemoryStore, Stage, Store, check_name

Make = Callable[[Mapping[str, bytes]], Store]

CHECKPOINT = "log/checkpoint"


@pytest.fixture(params=["local", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make a store that already holds files, as a crash or another program may leave them."""
    made: list[Store] = []

    def make(files: Mapping[str, bytes]) -> Store:
        if request.param == "memory":
            store: Store = MemoryStore(files, lock_timeout=0.05)
        else:
            store = LocalStore.make(tmp_path / f"vault{len(made)}", lock_timeout=0.05)
            for name, content in files.items():
                path = Path(store.place, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make: Make) -> Store:
    return make({})


def put(store: Store, name: str, content: bytes) -> None:
    with store.create(name) as writer:
        writer.write(content)
        writer.commit()


def put_in(stage: Stage, name: str, content: bytes) -> None:
    with stage.create(name) as writer:
        writer.write(content)
        writer.commit()


def commit(store: Store, expected: bytes | None, new: bytes, **files: bytes) -> None:
    store.commit(expected, {f"log/{name}": data for name, data in files.items()}, lambda: new)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["FORMAT", "log/tile/0/x001/234.p/7", "keys/0a.history", "a_b-c.d", "a" * 255, "-", "_a"],
    )
    def test_a_name_of_the_format_is_taken(self, name: str, store: Store) -> None:
        check_name(name)
        put(store, name, b"x")
        assert list(store.list()) == [(name, 1)]

    @pytest.mark.parametrize(
        "name",
        [
            *("", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", ".a", "a/.b"),
            *("A", "log/FORMAT", "FORMAT/a", "format\n", "a\n", "a b", "a\\b", "a:b", "a\0", "é"),
            *("a.", "a./b", "con", "nul.txt", "a/com1", "lpt9.x.y", "aux/a", "a" * 256),
            *("tmp", "tmp/a", "lock", "lock/a"),
        ],
    )
    def test_any_other_name_is_refused_everywhere(self, name: str, store: Store) -> None:
        uses: list[Callable[[], object]] = [
            lambda: check_name(name),
            lambda: store.open(name),
            lambda: store.read(name),
            lambda: store.size(name),
            lambda: store.exists(name),
            lambda: store.create(name),
            lambda: store.delete(name),
            lambda: store.delete_tree(name),
            lambda: store.commit(None, {name: b""}, lambda: b"1"),
            lambda: store.commit(None, {}, lambda: b"1", clear={name: frozenset()}),
            lambda: store.stage().publish(name),
        ]
        if name:
            uses.append(lambda: list(store.list(name)))
        for use in uses:
            with pytest.raises(ValueError, match="name"):
                use()
        assert list(store.list()) == []

    @pytest.mark.parametrize("name", ["a/b", "", ".", "..", "/a", "A", "FORMAT"])
    def test_a_file_of_a_stage_has_one_component(self, name: str, store: Store) -> None:
        with store.stage() as stage:
            for use in (stage.create, stage.open):
                with pytest.raises(ValueError, match="name"):
                    use(name)
        with pytest.raises(ValueError, match="name"):
            store.commit(None, {}, lambda: b"1", clear={"log": frozenset({name})})

    @pytest.mark.parametrize("name", [CHECKPOINT, PENDING])
    def test_only_a_commit_writes_a_checkpoint(self, name: str, make: Make) -> None:
        store = make({name: b"x"})
        uses: list[Callable[[], object]] = [
            lambda: store.create(name),
            lambda: store.delete(name),
            lambda: store.delete_tree(name),
            lambda: store.commit(None, {name: b""}, lambda: b"1"),
        ]
        for use in uses:
            with pytest.raises(ValueError, match="only a commit"):
                use()
        assert store.read(name) == b"x"


class TestReading:
    def test_a_file_is_read_from_any_place(self, make: Make) -> None:
        store = make({"keys/a": bytes(range(100))})
        assert store.read("keys/a") == bytes(range(100))
        assert store.read("keys/a", 98) == b"bc"
        assert store.read("keys/a", 10, 3) == b"\x0a\x0b\x0c"
        assert store.read("keys/a", 98, 10) == b"bc"
        assert store.read("keys/a", 100) == store.read("keys/a", 500, 5) == b""
        assert store.size("keys/a") == 100

    @pytest.mark.parametrize(("start", "size"), [(-1, None), (0, -1)])
    def test_a_negative_place_is_the_callers_mistake(
        self, start: int, size: int | None, make: Make
    ) -> None:
        with pytest.raises(ValueError, match="negative"):
            make({"a": b"x"}).read("a", start, size)

    def test_a_reader_reads_at_any_place_until_it_is_closed(self, make: Make) -> None:
        content = bytes(range(256)) * 20
        with make({"keys/a": content}).open("keys/a") as reader:
            assert (reader.name, reader.size) == ("keys/a", 5120)
            buffer = bytearray(1000)
            assert reader.read_into(4000, memoryview(buffer)) == 1000
            assert buffer == content[4000:5000]
            assert reader.read_into(4900, buffer) == 220
            assert buffer[:220] == content[4900:]
            assert reader.read_into(5120, buffer) == reader.read_into(9999, buffer) == 0
            assert reader.read_into(0, bytearray()) == 0
        reader.close()
        with pytest.raises(ValueError, match="closed"):
            reader.read_into(0, buffer)

    def test_a_reader_fills_a_buffer_of_any_shape(self, make: Make) -> None:
        numbers = memoryview(bytearray(8)).cast("I")
        with make({"a": b"\1\0\0\0\2\0\0\0"}).open("a") as reader:
            assert reader.read_into(0, numbers) == 8
        assert bytes(numbers) == b"\1\0\0\0\2\0\0\0"

    def test_what_is_missing_is_file_not_found(self, make: Make) -> None:
        store = make({"keys/a": b"x"})
        for name in ("b", "keys/b", "log/tile/0/000"):
            for use in (store.open, store.read, store.size, store.delete, store.delete_tree):
                with pytest.raises(FileNotFoundError):
                    use(name)
            assert not store.exists(name)
            assert list(store.list(name)) == []

    def test_a_directory_exists_and_is_not_read(self, make: Make) -> None:
        store = make({"keys/a": b"x"})
        assert store.exists("keys")
        for use in (store.open, store.read, store.size):
            with pytest.raises(StateError, match=r"^keys: not a regular file$"):
                use("keys")

    def test_a_file_has_nothing_below_it(self, make: Make) -> None:
        store = make({"keys": b"x"})
        uses = (store.open, store.size, store.exists, store.delete, store.delete_tree)
        for use in uses:
            with pytest.raises(StateError, match=r"^keys: neither a directory"):
                use("keys/a/b")
        with pytest.raises(StateError, match=r"^keys: neither a directory"):
            list(store.list("keys/a"))
        with pytest.raises(StateError, match=r"^keys: neither a directory"):
            put(store, "keys/a/b", b"")
        with pytest.raises(StateError, match=r"^keys: neither a directory"):
            store.commit(None, {"keys/a": b""}, lambda: b"1")
        assert list(store.list()) == [("keys", 1)]

    def test_a_list_is_in_the_order_of_components(self, make: Make) -> None:
        names = ["a-b", "a/x", "a/b/c", "a.b", "FORMAT", "a/b-c", "log/checkpoint"]
        store = make({name: b"1" * i for i, name in enumerate(names)})
        expected = [
            ("FORMAT", 4),
            *(("a/b/c", 2), ("a/b-c", 5), ("a/x", 1), ("a-b", 0), ("a.b", 3)),
            ("log/checkpoint", 6),
        ]
        assert list(store.list()) == expected
        assert list(store.list("a")) == expected[1:4]
        assert list(store.list("a/b")) == expected[1:2]
        assert list(store.list("a/x")) == [("a/x", 1)]


class TestWriting:
    def test_a_file_appears_whole_at_its_commit(self, store: Store) -> None:
        writer = store.create("fields/ab/abcd")
        for piece in (b"one ", bytearray(b"two "), memoryview(b"-three-")[1:-1]):
            writer.write(piece)
        writer.write(memoryview(b"\1\0\0\0").cast("I"))
        assert list(store.list()) == []
        writer.commit()
        assert store.read("fields/ab/abcd") == b"one two three\1\0\0\0"

    def test_a_file_that_is_there_is_never_replaced(self, store: Store) -> None:
        put(store, "keys/a", b"first")
        second = store.create("keys/a")
        second.write(b"second")
        with pytest.raises(FileExistsError):
            second.commit()
        with pytest.raises(FileExistsError):
            put(store, "keys", b"over a directory")
        assert list(store.list()) == [("keys/a", 5)]

    def test_a_writer_that_ended_does_nothing_more(self, store: Store) -> None:
        committed, aborted = store.create("a"), store.create("b")
        committed.commit()
        committed.abort()
        aborted.abort()
        aborted.abort()
        for writer in (committed, aborted):
            with pytest.raises(ValueError, match="before"):
                writer.write(b"x")
            with pytest.raises(ValueError, match="before"):
                writer.commit()
        assert list(store.list()) == [("a", 0)]

    def test_a_block_without_commit_leaves_nothing(self, store: Store) -> None:
        with store.create("a") as writer:
            writer.write(b"x")
        with pytest.raises(ZeroDivisionError), store.create("a") as writer:
            raise ZeroDivisionError
        with store.stage() as stage:
            put_in(stage, "x", b"y")
        assert list(store.list()) == []

    def test_a_deleted_file_is_gone_and_its_name_free(self, store: Store) -> None:
        put(store, "keys/a", b"x")
        put(store, "keys/b", b"x")
        store.delete("keys/a")
        assert list(store.list()) == [("keys/b", 1)]
        put(store, "keys/a", b"again")
        assert store.read("keys/a") == b"again"

    def test_a_directory_is_deleted_only_as_a_tree(self, make: Make) -> None:
        store = make({"bundles/a/1": b"x", "bundles/a/2/3": b"y", "bundles/b/1": b"z"})
        with pytest.raises(IsADirectoryError):
            store.delete("bundles/a")
        with pytest.raises(StateError, match="neither a directory"):
            store.delete_tree("bundles/b/1")
        store.delete_tree("bundles/a")
        assert not store.exists("bundles/a")
        assert list(store.list()) == [("bundles/b/1", 1)]


class TestStages:
    def test_a_directory_appears_whole(self, store: Store) -> None:
        with store.stage() as stage:
            put_in(stage, "evidence.0000", b"one")
            put_in(stage, "evidence.0001", b"two")
            assert stage.drop_cache() in (True, False)
            with stage.open("evidence.0001") as reader:
                buffer = bytearray(9)
                assert (reader.read_into(0, buffer), reader.size) == (3, 3)
            assert list(store.list()) == []
            stage.publish("bundles/ab")
        assert list(store.list()) == [
            ("bundles/ab/evidence.0000", 3),
            ("bundles/ab/evidence.0001", 3),
        ]
        assert store.read("bundles/ab/evidence.0001") == b"two"

    def test_a_name_that_is_taken_is_left_alone(self, store: Store) -> None:
        put(store, "bundles/file", b"x")
        put(store, "bundles/directory/file", b"x")
        for name in ("bundles/file", "bundles/directory"):
            stage = store.stage()
            put_in(stage, "a", b"")
            with pytest.raises(FileExistsError):
                stage.publish(name)
        assert list(store.list()) == [("bundles/directory/file", 1), ("bundles/file", 1)]

    def test_a_stage_waits_for_its_writers(self, store: Store) -> None:
        with store.stage() as stage:
            writer = stage.create("a")
            other = stage.create("b")
            with pytest.raises(ValueError, match=r"2 files .* still being written"):
                stage.publish("bundles/ab")
            with pytest.raises(FileExistsError):
                stage.create("a")
            other.abort()
            writer.commit()
            with pytest.raises(FileExistsError):
                stage.create("a")
            stage.publish("bundles/ab")
        assert list(store.list()) == [("bundles/ab/a", 0)]

    def test_an_empty_stage_is_not_published(self, store: Store) -> None:
        with store.stage() as stage, pytest.raises(ValueError, match="nothing"):
            stage.publish("bundles/ab")
        assert not store.exists("bundles")

    def test_a_file_that_is_not_in_the_stage_is_missing(self, store: Store) -> None:
        with store.stage() as stage, pytest.raises(FileNotFoundError):
            stage.open("a")

    def test_a_stage_that_ended_does_nothing_more(self, store: Store) -> None:
        published, aborted = store.stage(), store.stage()
        put_in(published, "a", b"")
        published.publish("bundles/ab")
        published.abort()
        aborted.abort()
        aborted.abort()
        for stage in (published, aborted):
            uses: list[Callable[[], object]] = [
                partial(stage.create, "b"),
                partial(stage.open, "a"),
                partial(stage.publish, "bundles/cd"),
                stage.drop_cache,
            ]
            for use in uses:
                with pytest.raises(ValueError, match="before"):
                    use()
        assert list(store.list()) == [("bundles/ab/a", 0)]


class TestCommits:
    def test_the_first_commit_expects_no_checkpoint(self, store: Store) -> None:
        commit(store, None, b"one", a=b"1")
        assert list(store.list()) == [("log/a", 1), (CHECKPOINT, 3)]
        assert store.read(CHECKPOINT) == b"one"
        assert store.pending() is None

    def test_a_commit_follows_the_checkpoint_it_expects(self, store: Store) -> None:
        commit(store, None, b"one", a=b"1")
        commit(store, b"one", b"two", b=b"2", c=b"")
        assert store.read(CHECKPOINT) == b"two"
        assert list(store.list("log")) == [
            ("log/a", 1),
            ("log/b", 1),
            ("log/c", 0),
            (CHECKPOINT, 3),
        ]

    @pytest.mark.parametrize("expected", [None, b"", b"on", b"two"])
    def test_a_checkpoint_that_moved_is_a_conflict_and_nothing_is_signed(
        self, expected: bytes | None, store: Store
    ) -> None:
        commit(store, None, b"one", a=b"1")
        with pytest.raises(ConflictError, match="has moved") as caught:
            store.commit(
                expected, {"log/a": b"2"}, lambda: pytest.fail("signed"), clear={"log": frozenset()}
            )
        assert caught.value.place == store.place
        assert store.read("log/a") == b"1"

    def test_a_checkpoint_where_none_was_expected_to_be_missing_is_a_conflict(
        self, store: Store
    ) -> None:
        with pytest.raises(ConflictError):
            store.commit(b"one", {}, lambda: pytest.fail("signed"))

    def test_the_files_are_there_when_it_is_signed(self, store: Store) -> None:
        def sign() -> bytes:
            assert store.read("log/a") == b"1"
            assert not store.exists(CHECKPOINT)
            assert store.pending() is None
            return b"one"

        store.commit(None, {"log/a": b"1"}, sign)
        assert store.read(CHECKPOINT) == b"one"

    def test_an_error_of_the_signer_changes_nothing(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one", "log/left": b"left"})
        before = list(store.list())

        def sign() -> bytes:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.commit(b"one", {"log/a": b"1"}, sign)
        assert list(store.list()) == before
        with pytest.raises(ValueError, match="empty checkpoint"):
            store.commit(b"one", {"log/a": b"1"}, lambda: b"\0")
        assert list(store.list()) == before
        commit(store, b"one", b"two", a=b"1")

    def test_leftovers_are_replaced(self, make: Make) -> None:
        store = make({"log/a": b"left by a crash", "log/tile/0/000.p/1": b"old"})
        store.commit(None, {"log/a": b"new", "log/tile/0/000.p/1": b"1"}, lambda: b"one")
        assert store.read("log/a") == b"new"
        assert store.read("log/tile/0/000.p/1") == b"1"

    def test_a_directory_in_the_place_of_a_file_stops_the_commit(self, make: Make) -> None:
        store = make({"log/tile/0/000/strange": b"x"})
        with pytest.raises(IsADirectoryError):
            store.commit(
                None, {"log/tile/0/001": b"1", "log/tile/0/000": b""}, lambda: pytest.fail("signed")
            )
        assert list(store.list()) == [("log/tile/0/000/strange", 1)]

    def test_what_is_not_kept_is_cleared_before_the_files_are_written(self, make: Make) -> None:
        below = "log/tile/0/000.p"
        store = make({f"{below}/{width}": b"x" for width in (1, 2, 3, 4)} | {f"{below}/5/a": b""})
        clear = {below: frozenset({"2", "7"}), "log/tile/1/000.p": frozenset[str]()}
        store.commit(None, {f"{below}/4": b"new"}, lambda: b"one", clear=clear)
        assert list(store.list("log/tile")) == [
            (f"{below}/2", 1),
            (f"{below}/4", 3),
            (f"{below}/5/a", 0),
        ]

    def test_a_directory_that_clearing_empties_goes_too(self, make: Make) -> None:
        store = make({"log/tile/0/000.p/1": b"", "log/tile/0/000.p/2": b"", "log/tile/0/000": b""})
        store.commit(None, {}, lambda: b"one", clear={"log/tile/0/000.p": frozenset()})
        assert not store.exists("log/tile/0/000.p")
        assert store.exists("log/tile/0/000")

    def test_a_checkpoint_longer_than_the_reserved_room_is_written_whole(
        self, store: Store
    ) -> None:
        commit(store, None, b"x" * 40_000)
        commit(store, b"x" * 40_000, b"one")
        assert store.read(CHECKPOINT) == b"one"

    def test_a_commit_inside_a_commit_is_refused(self, store: Store) -> None:
        def sign() -> bytes:
            with pytest.raises(LockedError) as caught:
                commit(store, None, b"inner")
            assert caught.value.place == store.place
            return b"outer"

        store.commit(None, {}, sign)
        assert store.read(CHECKPOINT) == b"outer"

    def test_of_threads_that_commit_at_once_one_wins_each_turn(self, store: Store) -> None:
        won: list[int] = []

        def work(number: int) -> None:
            try:
                store.commit(None, {}, lambda: b"%d" % number)
            except (ConflictError, LockedError):
                return
            won.append(number)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [b"%d" % number for number in won] == [store.read(CHECKPOINT)]


class TestPending:
    @pytest.mark.parametrize("checkpoint", [None, b"", b"one"])
    def test_a_pending_checkpoint_is_finished(self, checkpoint: bytes | None, make: Make) -> None:
        old = {} if checkpoint is None else {CHECKPOINT: checkpoint}
        store = make({**old, PENDING: b"two"})
        assert store.pending() == b"two"
        store.finish(checkpoint, b"two")
        assert store.read(CHECKPOINT) == b"two"
        assert store.pending() is None
        assert list(store.list()) == [(CHECKPOINT, 3)]

    def test_only_what_was_judged_is_finished(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one", PENDING: b"two"})
        for expected, pending in ((None, b"two"), (b"zero", b"two"), (b"one", b"other")):
            with pytest.raises(ConflictError):
                store.finish(expected, pending)
        assert store.read(CHECKPOINT) == b"one"
        store.finish(b"one", b"two")
        with pytest.raises(ConflictError):
            store.finish(b"two", b"two")
        with pytest.raises(ConflictError):
            make({}).finish(None, b"two")

    def test_a_commit_does_not_pass_over_what_was_not_judged(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one", PENDING: b"two"})
        for judged in (None, b"other"):
            with pytest.raises(ConflictError, match="judged first"):
                store.commit(b"one", {}, lambda: pytest.fail("signed"), judged=judged)
        assert store.pending() == b"two"

    def test_what_was_judged_is_overwritten(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one", PENDING: b"torn"})
        store.commit(b"one", {}, lambda: b"two", judged=b"torn")
        assert store.read(CHECKPOINT) == b"two"
        assert store.pending() is None

    def test_a_judgement_of_what_is_gone_does_no_harm(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one"})
        store.commit(b"one", {}, lambda: b"two", judged=b"torn")
        assert store.read(CHECKPOINT) == b"two"

    @pytest.mark.parametrize("room", [b"", bytes(1), bytes(16384)])
    def test_the_room_for_a_checkpoint_is_not_pending(self, room: bytes, make: Make) -> None:
        store = make({CHECKPOINT: b"one", PENDING: room})
        assert store.pending() is None
        commit(store, b"one", b"two")
        assert store.read(CHECKPOINT) == b"two"
        assert not store.exists(PENDING)

    def test_a_copy_of_the_checkpoint_is_not_pending(self, make: Make) -> None:
        store = make({CHECKPOINT: b"one", PENDING: b"one"})
        assert store.pending() is None
        commit(store, b"one", b"two")


class TestThePlace:
    def test_a_store_says_where_it_is(self, store: Store) -> None:
        facts = store.describe()
        assert facts["place"] == store.place
        assert facts["writable"] is store.writable() is True
        assert facts["locked"] is False
        assert facts["pending"] is False
        assert store.free_space() is None or store.free_space()

    def test_the_lock_shows_while_it_is_held(self, store: Store) -> None:
        seen = []

        def sign() -> bytes:
            seen.append(store.describe()["locked"])
            return b"one"

        store.commit(None, {}, sign)
        assert seen == [True]
        assert store.describe()["locked"] is False

    def test_a_closed_store_still_reads_and_may_write_again(self, store: Store) -> None:
        put(store, "a", b"x")
        with store:
            pass
        store.close()
        assert store.read("a") == b"x"
        put(store, "b", b"y")
        assert store.sweep() == 0
        assert store.read("b") == b"y"
