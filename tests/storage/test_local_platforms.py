"""What is done elsewhere, by a Linux that is told that it is Windows or macOS."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from vault.errors import NotAVaultError, StateError
from vault.storage import STRANGE, LocalStore, durability, medium, session

CHECKPOINT = "log/checkpoint"


@pytest.fixture
def by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do without directory descriptors and positional reads, as Windows has to."""
    monkeypatch.setattr(durability, "_DIRECTORY_DESCRIPTORS", False)
    monkeypatch.setattr(durability, "_POSITIONAL", False)
    monkeypatch.setattr(durability, "_WINDOWS", True)
    monkeypatch.setattr(session, "_WINDOWS", True)
    monkeypatch.setattr(durability, "_NO_FOLLOW", 0)


@pytest.mark.usefixtures("by_path")
class TestWindows:
    def test_a_vault_is_written_and_read(self, tmp_path: Path) -> None:
        with LocalStore.make(tmp_path / "vault") as store:
            with store.create("fields/ab/abcd") as writer:
                writer.write(b"x" * 3_000_000)
                writer.commit()
            with store.stage() as stage:
                with stage.create("part") as writer:
                    writer.write(b"y")
                    writer.commit()
                stage.drop_cache()
                stage.publish("bundles/ab")
            store.commit(None, {"log/tile/0/000.p/1": b"1"}, lambda: b"one")
            store.commit(
                b"one",
                {"log/tile/0/000.p/2": b"1"},
                lambda: b"two",
                clear={"log/tile/0/000.p": frozenset({"2"})},
            )
            assert store.read("fields/ab/abcd") == b"x" * 3_000_000
            assert list(store.list()) == [
                ("bundles/ab/part", 1),
                ("fields/ab/abcd", 3_000_000),
                (CHECKPOINT, 3),
                ("log/tile/0/000.p/2", 1),
            ]
            store.delete_tree("bundles/ab")
            with pytest.raises(NotAVaultError):
                LocalStore(tmp_path / "vault/fields/ab/abcd")
        # There filelock removes the lock's file itself, at its release.
        left = os.listdir(tmp_path / "vault/tmp")
        assert [Path(name).suffix for name in left] == [".lock"]

    def test_no_directory_is_flushed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.fsync

        def fsync(fd: int) -> None:
            assert os.path.isfile(f"/proc/self/fd/{fd}")
            real(fd)

        if os.path.isdir("/proc/self/fd"):
            monkeypatch.setattr(os, "fsync", fsync)
        with LocalStore.make(tmp_path / "vault") as store:
            store.commit(None, {"log/a": b"1"}, lambda: b"one")

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/file").write_bytes(b"1")
        store = LocalStore.make(tmp_path / "vault")
        (store.path / "keys").symlink_to(tmp_path / "outside")
        (store.path / "link").symlink_to(tmp_path / "outside/file")
        assert list(store.list()) == [("keys", STRANGE), ("link", STRANGE)]
        with pytest.raises(StateError, match=r"^keys: neither"):
            store.read("keys/file")
        with pytest.raises(StateError, match=r"^link: not a regular"):
            store.read("link")

    def test_a_junction_is_not_followed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = LocalStore.make(tmp_path / "vault")
        (store.path / "keys").mkdir()
        (store.path / "file").touch()

        class Junction:
            st_file_attributes = 0x410

            def __init__(self, info: os.stat_result) -> None:
                self.st_mode = info.st_mode
                self.st_size = info.st_size

        real = os.stat

        def look(path: str, **options: object) -> object:
            info = real(path, **options)
            return Junction(info) if Path(path).name in ("keys", "file") else info

        monkeypatch.setattr(os, "stat", look)
        assert list(store.list()) == [("file", STRANGE), ("keys", STRANGE)]
        with pytest.raises(StateError, match=r"^keys: neither"):
            store.read("keys/a")
        with pytest.raises(StateError, match=r"^file: not a regular"):
            store.read("file")

    @pytest.mark.parametrize(("busy", "succeeds"), [(3, True), (49, True), (1000, False)])
    def test_a_file_that_a_scanner_holds_is_tried_for_a_second(
        self, busy: int, succeeds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[float] = []
        real = os.replace

        def replace(source: str, target: str, **options: object) -> None:
            if target.endswith("checkpoint") and len(waited) < busy:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            real(source, target, **options)

        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(durability.time, "sleep", waited.append)
        with LocalStore.make(tmp_path / "vault") as store:
            if succeeds:
                store.commit(None, {}, lambda: b"one")
                assert len(waited) == busy
            else:
                with pytest.raises(PermissionError):
                    store.commit(None, {}, lambda: b"one")
                assert sum(waited) == pytest.approx(1.0)
                monkeypatch.setattr(os, "replace", real)
                assert store.pending() == b"one"
                store.finish(None, b"one")
            assert store.read(CHECKPOINT) == b"one"

    def test_threads_share_a_reader(self, tmp_path: Path) -> None:
        with LocalStore.make(tmp_path / "vault") as store:
            with store.create("a") as writer:
                writer.write(bytes(range(256)) * 256)
                writer.commit()
            wrong: list[int] = []
            with store.open("a") as reader:

                def read(start: int) -> None:
                    buffer = bytearray(256)
                    for _ in range(50):
                        reader.read_into(start, buffer)
                        if buffer[0] != start % 256 or buffer[-1] != (start - 1) % 256:
                            wrong.append(start)

                threads = [threading.Thread(target=read, args=(i,)) for i in (1, 777, 9999)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            assert wrong == []


class TestMacOS:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        calls: list[str] = []
        self.error: OSError | None = None

        class Fcntl:
            @staticmethod
            def fcntl(fd: int, command: int) -> None:
                assert command == 51
                calls.append("F_FULLFSYNC")
                if self.error is not None:
                    raise self.error

        monkeypatch.setattr(durability, "fcntl", Fcntl)
        monkeypatch.setattr(durability, "_FULL_SYNC", 51)
        monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync"))
        return calls

    def test_a_flush_goes_through_the_drives_cache(self, calls: list[str], tmp_path: Path) -> None:
        with LocalStore.make(tmp_path / "vault") as store:
            store.commit(None, {"log/a": b"1"}, lambda: b"one")
        assert set(calls) == {"F_FULLFSYNC"}

    def test_a_file_system_without_it_is_flushed_as_it_can(
        self, calls: list[str], tmp_path: Path
    ) -> None:
        self.error = OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        LocalStore.make(tmp_path / "vault")
        assert calls == ["F_FULLFSYNC", "fsync"]

    def test_a_failure_is_not_papered_over_by_a_weaker_flush(
        self, calls: list[str], tmp_path: Path
    ) -> None:
        self.error = OSError(errno.EIO, os.strerror(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            LocalStore.make(tmp_path / "vault")
        assert calls == ["F_FULLFSYNC"]


class TestOtherSystems:
    @pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
    def test_a_directory_that_can_not_be_flushed_counts_as_flushed(
        self, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync(fd: int) -> None:
            raise OSError(error, os.strerror(error))

        store = LocalStore.make(tmp_path / "vault")
        (store.path / "a").touch()
        monkeypatch.setattr(os, "fsync", fsync)
        store.delete("a")
        with store.create("b") as writer, pytest.raises(OSError, match=os.strerror(error)):
            writer.commit()
        store.close()

    def test_a_system_that_can_not_drop_its_cache_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "posix_fadvise")
        with LocalStore.make(tmp_path / "vault") as store, store.stage() as stage:
            assert stage.drop_cache() is False

    def test_a_directory_that_was_filled_meanwhile_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def rename(source: str, target: str, **options: object) -> None:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

        monkeypatch.setattr(os, "rename", rename)
        with LocalStore.make(tmp_path / "vault") as store:
            with store.stage() as stage:
                with stage.create("a") as writer:
                    writer.commit()
                with pytest.raises(FileExistsError) as caught:
                    stage.publish("bundles/ab")
            assert caught.value.filename == str(store.path / "bundles/ab")

    def test_free_space_that_is_not_known_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path) -> None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(shutil, "disk_usage", fail)
        assert LocalStore(tmp_path).free_space() is None


class TestTheFileSystemsType:
    MOUNTS = (
        "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        "23 22 0:5 / /media/My\\040stick rw master:3 propagate_from:2 - vfat /dev/sdb1 rw\n"
        "24 22 0:6 / /media rw - tmpfs none rw\n"
        "25 23 0:7 / /media/My\\040stick/a\\134b rw - fuse.sshfs host rw\n"
        "26 22 0:8 / /media rw - xfs /dev/sdc rw\n"
        "not a line\n"
        "too short - ext4\n"
    )

    def test_is_that_of_the_nearest_mount(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mountinfo").write_text(self.MOUNTS)
        monkeypatch.setattr(medium, "_MOUNTS", tmp_path / "mountinfo")
        for path, expected in (
            ("/", "ext4"),
            ("/home/vault", "ext4"),
            ("/media/other", "xfs"),
            ("/media/My stick", "vfat"),
            ("/media/My stick/vault", "vfat"),
            ("/media/My sticker", "xfs"),
            ("/media/My stick/a\\b/c", "fuse.sshfs"),
        ):
            assert medium.file_system_type(Path(path)) == expected

    def test_is_not_known_where_the_system_does_not_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(medium, "_MOUNTS", tmp_path / "missing")
        assert medium.file_system_type(tmp_path) is None
        (tmp_path / "empty").touch()
        monkeypatch.setattr(medium, "_MOUNTS", tmp_path / "empty")
        assert medium.file_system_type(tmp_path) is None
