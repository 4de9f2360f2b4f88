"""A vault in a directory: what the file system can put in the way, and what is left in ``tmp/``."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from vault.errors import LockedError, NotAVaultError, StateError, VaultExistsError
from vault.layout import MAX_CHECKPOINT
from vault.storage import PENDING, STRANGE, LocalStore
from vault.storage.durability import Directory
from vault.storage.removal import remove_tree

CHECKPOINT = "log/checkpoint"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore.make(tmp_path / "vault", lock_timeout=0.05)


def put(store: LocalStore, name: str, content: bytes = b"x") -> None:
    with store.create(name) as writer:
        writer.write(content)
        writer.commit()


def temporary(store: LocalStore) -> list[str]:
    return sorted(os.listdir(store.path / "tmp"))


class TestMaking:
    def test_a_missing_directory_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        store = LocalStore.make(tmp_path / "new")
        assert store.path.is_dir()
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
        assert os.listdir(store.path) == []

    @pytest.mark.parametrize("left", [[], ["lock"], ["tmp"], ["lock", "tmp"]])
    def test_an_empty_directory_will_do(self, left: list[str], tmp_path: Path) -> None:
        for name in left:
            (tmp_path / name).mkdir()
        assert LocalStore.make(str(tmp_path)).place == str(tmp_path)

    @pytest.mark.parametrize("name", ["FORMAT", ".hidden", "log"])
    def test_a_directory_with_anything_in_it_is_refused(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(VaultExistsError, match="not empty"):
            LocalStore.make(tmp_path)

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(VaultExistsError, match="no directory"):
            LocalStore.make(tmp_path / "file")

    def test_the_directory_above_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            LocalStore.make(tmp_path / "missing" / "vault")

    def test_only_a_directory_is_opened(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for name in ("file", "missing", "file/below"):
            with pytest.raises(NotAVaultError):
                LocalStore(tmp_path / name)
        assert LocalStore(tmp_path).place == str(tmp_path)

    def test_a_relative_path_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = LocalStore.make("vault")
        monkeypatch.chdir("/")
        assert store.place == str(tmp_path / "vault")
        assert not store.exists("FORMAT")

    def test_the_way_to_a_vault_may_be_a_link(self, store: LocalStore, tmp_path: Path) -> None:
        put(store, "a")
        (tmp_path / "link").symlink_to(store.path)
        assert list(LocalStore(tmp_path / "link").list()) == [("a", 1)]

    def test_a_vault_that_went_away_is_not_an_empty_one(self, store: LocalStore) -> None:
        put(store, "a")
        store.close()
        shutil.rmtree(store.path)
        uses: list[Callable[[], object]] = [
            lambda: list(store.list()),
            lambda: store.exists("a"),
            lambda: store.read("a"),
            store.pending,
            store.sweep,
            lambda: store.create("b"),
            lambda: store.commit(None, {}, lambda: b"1"),
            lambda: store.finish(None, b"1"),
        ]
        for use in uses:
            with pytest.raises(NotAVaultError):
                use()
        assert store.free_space() is None
        assert not store.path.exists()


class TestModes:
    def test_files_and_directories_are_for_their_owner_alone(self, store: LocalStore) -> None:
        put(store, "fields/ab/abcd")
        with store.stage() as stage:
            with stage.create("part") as writer:
                writer.commit()
            stage.publish("bundles/ab")
        store.commit(None, {"log/tile/0/000.p/1": b""}, lambda: b"one")
        for folder, folders, files in os.walk(store.path):
            for name in folders:
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o700, name
            for name in files:
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name


class TestStrangeEntries:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        outside = tmp_path / "outside"
        (outside / "below").mkdir(parents=True)
        (outside / "file").write_bytes(b"outside")
        (outside / "checkpoint").write_bytes(b"outside")
        return outside

    def test_a_link_to_a_file_is_named_and_not_followed(
        self, store: LocalStore, outside: Path
    ) -> None:
        put(store, "keys/a")
        (store.path / "keys/b").symlink_to(outside / "file")
        (store.path / "keys/c").symlink_to("a")
        (store.path / "keys/d").symlink_to("nowhere")
        assert list(store.list()) == [
            *(("keys/a", 1), ("keys/b", STRANGE), ("keys/c", STRANGE), ("keys/d", STRANGE)),
        ]
        for name in ("keys/b", "keys/c", "keys/d"):
            for use in (store.open, store.read, store.size):
                with pytest.raises(StateError, match=f"^{name}: not a regular file$"):
                    use(name)
            assert store.exists(name)
            with pytest.raises(FileExistsError):
                put(store, name)

    def test_a_link_to_a_directory_is_named_and_not_followed(
        self, store: LocalStore, outside: Path
    ) -> None:
        (store.path / "keys").symlink_to(outside, target_is_directory=True)
        assert list(store.list()) == [("keys", STRANGE)]
        assert list(store.list("keys")) == [("keys", STRANGE)]
        uses: list[Callable[[], object]] = [
            lambda: store.read("keys/file"),
            lambda: store.exists("keys/file"),
            lambda: list(store.list("keys/below")),
            lambda: put(store, "keys/new"),
            lambda: store.delete("keys/file"),
            lambda: store.delete_tree("keys/below"),
            lambda: store.delete_tree("keys"),
            lambda: store.commit(None, {"keys/new": b""}, lambda: b"1"),
            lambda: store.commit(None, {}, lambda: b"1", clear={"keys": frozenset()}),
        ]
        for use in uses:
            with pytest.raises(StateError, match=r"^keys: neither a directory"):
                use()
        assert sorted(os.listdir(outside)) == ["below", "checkpoint", "file"]

    def test_a_link_in_place_of_the_log_leads_nowhere(
        self, store: LocalStore, outside: Path
    ) -> None:
        (store.path / "log").symlink_to(outside, target_is_directory=True)
        uses: list[Callable[[], object]] = [
            store.pending,
            lambda: store.read(CHECKPOINT),
            lambda: store.commit(b"outside", {}, lambda: b"1"),
            lambda: store.finish(b"outside", b"1"),
        ]
        for use in uses:
            with pytest.raises(StateError, match=r"^log: neither a directory"):
                use()
        assert (outside / "checkpoint").read_bytes() == b"outside"

    def test_a_link_in_place_of_a_checkpoint_is_not_followed(
        self, store: LocalStore, outside: Path
    ) -> None:
        store.commit(None, {}, lambda: b"one")
        (store.path / PENDING).symlink_to(outside / "file")
        with pytest.raises(StateError, match=f"^{PENDING}: not a regular file$"):
            store.commit(b"one", {}, lambda: b"two")
        assert (outside / "file").read_bytes() == b"outside"

    def test_a_link_in_place_of_tmp_or_of_the_lock_is_not_followed(
        self, store: LocalStore, outside: Path
    ) -> None:
        (store.path / "tmp").symlink_to(outside, target_is_directory=True)
        for use in (store.sweep, store.stage, lambda: store.create("a"), store.describe):
            with pytest.raises(StateError, match=r"^tmp: neither a directory"):
                use()
        (store.path / "tmp").unlink()
        (store.path / "lock").symlink_to(outside / "file")
        with pytest.raises(OSError, match="symbolic links"):
            store.commit(None, {}, lambda: pytest.fail("signed"))
        assert sorted(os.listdir(outside)) == ["below", "checkpoint", "file"]
        assert (outside / "file").read_bytes() == b"outside"

    def test_a_link_in_a_tree_goes_without_its_target(
        self, store: LocalStore, outside: Path
    ) -> None:
        put(store, "bundles/ab/part")
        (store.path / "bundles/ab/file").symlink_to(outside / "file")
        (store.path / "bundles/ab/folder").symlink_to(outside, target_is_directory=True)
        (store.path / "bundles/cd").symlink_to(outside, target_is_directory=True)
        store.delete("bundles/cd")
        store.delete_tree("bundles/ab")
        assert not store.exists("bundles/ab")
        assert sorted(os.listdir(outside)) == ["below", "checkpoint", "file"]

    def test_a_link_that_replaces_a_leftover_is_replaced_itself(
        self, store: LocalStore, outside: Path
    ) -> None:
        put(store, "log/tile/0/other")
        (store.path / "log/tile/0/000").symlink_to(outside / "file")
        store.commit(None, {"log/tile/0/000": b"tile"}, lambda: b"one")
        assert store.read("log/tile/0/000") == b"tile"
        assert (outside / "file").read_bytes() == b"outside"

    def test_clearing_leaves_what_is_no_file(self, store: LocalStore, outside: Path) -> None:
        put(store, "log/tile/0/000.p/1")
        (store.path / "log/tile/0/000.p/2").symlink_to(outside / "file")
        store.commit(None, {}, lambda: b"one", clear={"log/tile/0/000.p": frozenset()})
        assert list(store.list("log/tile")) == [("log/tile/0/000.p/2", STRANGE)]

    def test_fifos_and_sockets_are_named_and_never_waited_for(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.mkfifo(store.path / "fifo")
        monkeypatch.chdir(store.path)  # the path of a socket may not be long
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            assert list(store.list()) == [("fifo", STRANGE), ("socket", STRANGE)]
            for name in ("fifo", "socket"):
                with pytest.raises(StateError, match=f"^{name}: not a regular file$"):
                    store.read(name)

    def test_names_outside_the_format_are_listed_as_they_are(self, store: LocalStore) -> None:
        (store.path / "Upper").write_bytes(b"1")
        (store.path / ".hidden").write_bytes(b"12")
        with open(os.path.join(os.fsencode(store.path), b"\xff"), "wb") as file:
            file.write(b"123")
        assert list(store.list()) == [(".hidden", 2), ("Upper", 1), ("\udcff", 3)]

    def test_a_link_swapped_in_after_the_look_is_not_followed(
        self, store: LocalStore, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "keys/file")
        real = os.stat

        def stat_then_swap(path: str, **options: object) -> os.stat_result:
            info = real(path, **options)
            if path == swapped:
                shutil.rmtree(store.path / "keys", ignore_errors=True)
                if swapped == "keys":
                    (store.path / "keys").symlink_to(outside, target_is_directory=True)
                else:
                    (store.path / "keys").mkdir()
                    os.symlink(outside / "file", "file", dir_fd=options["dir_fd"])
            return info

        monkeypatch.setattr(os, "stat", stat_then_swap)
        swapped = "keys"
        with pytest.raises(StateError, match=r"^keys: "):
            store.read("keys/file")
        monkeypatch.undo()
        (store.path / "keys").unlink()
        put(store, "keys/file")
        monkeypatch.setattr(os, "stat", stat_then_swap)
        monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: os.unlink(store.path / "keys/file"))
        monkeypatch.setattr(Path, "mkdir", lambda *a: None)
        swapped = "file"
        with pytest.raises(StateError, match=r"^keys/file: not a regular file"):
            store.read("keys/file")

    @pytest.mark.parametrize("swapped", ["keys", "fifo"])
    def test_a_swap_while_listing_is_named(
        self, swapped: str, store: LocalStore, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "keys/a")
        real = os.open

        def swap_then_open(path: str, flags: int, *rest: object, **options: object) -> int:
            if path == "keys":
                shutil.rmtree(store.path / "keys")
                if swapped == "keys":
                    (store.path / "keys").symlink_to(outside, target_is_directory=True)
                else:
                    os.mkfifo(store.path / "keys")
            return real(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", swap_then_open)
        assert list(store.list()) == [("keys", STRANGE)]

    def test_a_fifo_swapped_in_after_the_look_is_not_read(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "a")
        real = os.open

        def swap_then_open(path: str, flags: int, *rest: object, **options: object) -> int:
            if path == "a":
                os.unlink(store.path / "a")
                os.mkfifo(store.path / "a")
            return real(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", swap_then_open)
        with pytest.raises(StateError, match=r"^a: not a regular file$"):
            store.read("a")

    def test_what_vanishes_while_listing_is_left_out(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "a/file")
        put(store, "b")
        listing = store.list()
        real = os.listdir
        monkeypatch.setattr(os, "listdir", lambda at: [*real(at), "a-vanished"])
        assert list(listing) == [("a/file", 1), ("b", 1)]

    def test_other_errors_pass_with_the_full_path(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "keys/a")
        real = os.open

        def fail(path: str, flags: int, *rest: object, **options: object) -> int:
            if path == name:
                raise OSError(errno.EIO, "the medium")
            return real(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", fail)
        for name in ("a", "keys"):
            with pytest.raises(OSError, match="the medium") as caught:
                store.read("keys/a")
            assert caught.value.filename == str(store.path / ("keys/a" if name == "a" else "keys"))


class TestReadOnlyPlaces:
    def test_reading_leaves_no_trace(self, store: LocalStore) -> None:
        put(store, "keys/a")
        store.commit(None, {}, lambda: b"one")
        store.close()
        (store.path / "tmp").rmdir()
        (store.path / "lock").unlink()
        before = sorted((str(path), path.stat().st_mtime_ns) for path in store.path.rglob("*"))
        with LocalStore(store.path) as other:
            assert other.read("keys/a") == b"x"
            assert other.pending() is None
            assert len(list(other.list())) == 2
            assert other.describe()["locked"] is False
            assert other.sweep() == 0
        after = sorted((str(path), path.stat().st_mtime_ns) for path in store.path.rglob("*"))
        assert after == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="no mode keeps the superuser out")
    def test_a_directory_without_permission_is_read_and_not_written(
        self, store: LocalStore
    ) -> None:
        store.commit(None, {}, lambda: b"one")
        store.close()
        (store.path / "lock").chmod(0o400)
        store.path.chmod(0o500)
        try:
            assert store.read(CHECKPOINT) == b"one"
            assert not store.writable()
            for use in (store.stage, lambda: store.commit(b"one", {}, lambda: b"two")):
                with pytest.raises(PermissionError):
                    use()
        finally:
            store.path.chmod(0o700)

    def test_a_medium_that_refuses_writes_is_read_and_not_written(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.commit(None, {"log/a": b"1"}, lambda: b"one")
        store.close()
        before = list(store.list())
        real = os.open

        def refuse(*arguments: object, **options: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        def open_to_read(path: str, flags: int, *rest: object, **options: object) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                refuse()
            return real(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", open_to_read)
        for name in ("mkdir", "unlink", "rename", "replace"):
            monkeypatch.setattr(os, name, refuse)
        monkeypatch.setattr(os, "access", lambda *arguments: False)
        assert store.read(CHECKPOINT) == b"one"
        assert list(store.list()) == before
        assert store.describe() | {"file_system": None, "free": None} == {
            "place": store.place,
            "file_system": None,
            "free": None,
            "writable": False,
            "locked": None,
            "sessions": 0,
            "strangers": 0,
            "pending": False,
        }
        uses: list[Callable[[], object]] = [
            store.stage,
            lambda: store.create("a"),
            lambda: store.delete("log/a"),
            lambda: store.commit(b"one", {}, lambda: b"two"),
        ]
        for use in uses:
            with pytest.raises(OSError, match="Read-only") as caught:
                use()
            assert caught.value.errno == errno.EROFS


class TestTemporaryFiles:
    def test_nothing_is_made_before_the_first_write(self, store: LocalStore) -> None:
        assert os.listdir(store.path) == []

    def test_a_session_is_a_directory_and_its_lock_and_closing_removes_both(
        self, store: LocalStore
    ) -> None:
        put(store, "a")
        put(store, "b")
        entry, lock = temporary(store)
        assert lock == f"{entry}.lock"
        assert len(entry) == 16
        assert os.listdir(store.path / "tmp" / entry) == []
        store.create("c").write(b"never committed")
        assert len(os.listdir(store.path / "tmp" / entry)) == 1
        store.close()
        assert temporary(store) == []

    def test_a_live_session_is_not_swept(self, store: LocalStore) -> None:
        with store.stage() as stage, stage.create("part") as writer:
            other = LocalStore(store.path)
            put(other, "a")
            assert store.sweep() == other.sweep() == LocalStore(store.path).sweep() == 0
            assert store.describe()["sessions"] == 2
            writer.write(b"still here")
            writer.commit()
            stage.publish("bundles/ab")
        assert store.read("bundles/ab/part") == b"still here"
        other.close()

    def test_a_dead_session_is_swept_whatever_of_it_is_left(self, store: LocalStore) -> None:
        tmp = store.path / "tmp"
        for entry, lock, folder in (
            ("0" * 16, True, True),
            ("1" * 16, True, False),
            ("2" * 16, False, True),
        ):
            tmp.mkdir(exist_ok=True)
            if lock:
                (tmp / f"{entry}.lock").touch()
            if folder:
                (tmp / entry / "7").mkdir(parents=True)
                (tmp / entry / "7" / "evidence.0000").touch()
                (tmp / entry / "7" / "link").symlink_to(store.path)
                (tmp / entry / "8").touch()
        (tmp / ("3" * 16)).touch()
        assert store.sweep() == 4
        assert temporary(store) == []
        assert store.sweep() == 0

    def test_what_no_store_made_is_left_and_reported(self, store: LocalStore) -> None:
        for name in ("notes.txt", "0123", "G" * 16):
            (store.path / "tmp" / name).mkdir(parents=True)
        assert store.sweep() == 0
        assert temporary(store) == ["0123", "G" * 16, "notes.txt"]
        assert store.describe()["strangers"] == 3

    def test_a_session_of_another_process_is_neither_used_nor_removed(
        self, store: LocalStore
    ) -> None:
        put(store, "a")
        parents = store._session
        assert parents is not None
        parents.process += 1  # what a fork sees
        put(store, "b")
        assert len(temporary(store)) == 4
        parents.close()
        assert len(temporary(store)) == 4
        parents.process -= 1
        parents.close()
        assert len(temporary(store)) == 2
        store.close()
        assert temporary(store) == []

    def test_a_session_that_can_not_be_made_leaves_nothing(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, "a")
        store.close()
        real = os.mkdir

        def full(path: str, *rest: object, **options: object) -> None:
            if len(str(path)) == 16:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(path, *rest, **options)

        monkeypatch.setattr(os, "mkdir", full)
        with pytest.raises(OSError, match="No space"):
            store.stage()
        assert temporary(store) == []

    def test_a_store_may_be_closed_by_another_thread(self, store: LocalStore) -> None:
        put(store, "a")
        thread = threading.Thread(target=store.close)
        thread.start()
        thread.join()
        assert temporary(store) == []


class TestTheLock:
    def test_it_is_the_systems_and_its_file_stays(self, store: LocalStore) -> None:
        store.commit(None, {}, lambda: b"one")
        inode = (store.path / "lock").stat().st_ino
        store.commit(b"one", {}, lambda: b"two")
        assert (store.path / "lock").stat().st_ino == inode

    def test_a_file_that_merely_lies_there_locks_nothing(self, store: LocalStore) -> None:
        (store.path / "lock").write_bytes(b"12345")
        store.commit(None, {}, lambda: b"one")

    def test_who_waits_too_long_is_told(self, store: LocalStore) -> None:
        with FileLock(store.path / "lock"):
            assert store.describe()["locked"] is True
            uses: list[Callable[[], object]] = [
                lambda: store.commit(None, {}, lambda: pytest.fail("signed")),
                lambda: store.finish(None, b"one"),
            ]
            for use in uses:
                with pytest.raises(LockedError, match=r"0\.05 s"):
                    use()
            assert not store.exists("log")

    def test_it_is_free_while_evidence_is_streamed(self, store: LocalStore) -> None:
        with store.stage() as stage, stage.create("part") as writer:
            writer.write(b"x")
            assert store.describe()["locked"] is False
            LocalStore(store.path).commit(None, {}, lambda: b"one")


def test_a_huge_pending_checkpoint_is_not_read_whole(tmp_path: Path) -> None:
    with LocalStore.make(tmp_path / "vault") as store:
        store.commit(None, {"log/tile/0/000.p/1": b"x"}, lambda: b"first")
        with (tmp_path / "vault/log/checkpoint.next").open("wb") as file:
            file.write(b"not a checkpoint" * 5000)
            file.truncate(2**40)  # sparse: it takes no room
        pending = store.pending()
        assert pending is not None
        assert len(pending) == MAX_CHECKPOINT + 1
        store.commit(b"first", {"log/tile/0/000.p/2": b"y"}, lambda: b"second", judged=pending)
        assert store.read("log/checkpoint") == b"second"


def nested(folder: Path, depth: int) -> None:
    """Make directories, each in the one before, deeper than a path can say."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


class TestWhatIsPlanted:
    """By whoever has the stick for an hour."""

    @pytest.fixture(autouse=True)
    def _cleared(self, store: LocalStore) -> Iterator[None]:
        yield
        with Directory.root(str(store.path.parent)) as above:
            remove_tree(above, store.path.name)  # nothing else could

    @pytest.fixture
    def few_files(self) -> Iterator[None]:
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        opened = max(int(name) for name in os.listdir("/dev/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 40, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    @pytest.mark.usefixtures("few_files")
    @pytest.mark.parametrize("place", ["junk", "log/junk", "bundles/junk"])
    def test_directories_deeper_than_any_of_a_vault_are_named_and_not_entered(
        self, store: LocalStore, place: str
    ) -> None:
        put(store, "fields/aa/a")
        nested(store.path / place, 1500)
        found = dict(store.list())
        assert found["fields/aa/a"] == 1
        ((deep, size),) = ((name, size) for name, size in found.items() if name != "fields/aa/a")
        assert deep.startswith(f"{place}/d/d/d")
        assert (size, deep.count("/")) == (STRANGE, 16)

    @pytest.mark.usefixtures("few_files")
    def test_what_is_left_of_a_session_goes_however_deep_it_is(self, store: LocalStore) -> None:
        left = store.path / "tmp" / ("ab" * 8)
        nested(left, 1500)
        nested(left / "d/d/beside", 30)
        (left / "d/file").write_bytes(b"x")
        assert store.sweep() == 1
        assert temporary(store) == []

    @pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
    def test_a_lock_of_a_session_that_is_no_file_bars_that_session_alone(
        self, store: LocalStore, kind: str, tmp_path: Path
    ) -> None:
        (store.path / "tmp" / ("cd" * 8)).mkdir(parents=True)
        plant(store.path / "tmp" / f"{'ab' * 8}.lock", kind, tmp_path)
        (store.path / "tmp" / ("ab" * 8)).mkdir()
        assert store.sweep() == 1
        put(store, "fields/aa/a")
        assert {f"{'ab' * 8}.lock", "ab" * 8} <= set(temporary(store))

    @pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
    def test_a_lock_that_no_store_made_is_named(
        self, store: LocalStore, kind: str, tmp_path: Path
    ) -> None:
        assert dict(store.list()) == {}
        plant(store.path / "lock", kind, tmp_path)
        assert dict(store.list()) == {"lock": STRANGE}

    @pytest.mark.parametrize("kind", ["file", "link", "FIFO"])
    def test_a_tmp_that_no_store_made_is_named(
        self, store: LocalStore, kind: str, tmp_path: Path
    ) -> None:
        plant(store.path / "tmp", kind, tmp_path)
        assert dict(store.list()) == {"tmp": STRANGE}


def plant(path: Path, kind: str, elsewhere: Path) -> None:
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x")
