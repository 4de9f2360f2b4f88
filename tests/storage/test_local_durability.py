"""The order of system calls, and what is left when one of them fails or is the last.

``Calls`` stands in for the functions of ``os`` that change a file system. It writes down what was
asked for, by path, and can let one call fail, or be the last that reaches the system.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from vault.errors import ConflictError
from vault.storage import PENDING, LocalStore
from vault.storage.session import Session

CHECKPOINT = "log/checkpoint"
CHANGING = (
    *("open", "mkdir", "write", "ftruncate", "fsync"),
    *("rename", "replace", "unlink", "rmdir"),
)
OLD_TILES = {"log/tile/entries/000.p/1": b"e1", "log/tile/0/000.p/1": b"h1"}
NEW_TILES = {
    "log/tile/entries/000.p/2": b"e1e2",
    "log/tile/0/000.p/2": b"h1h2",
    "log/tile/1/000.p/1": b"h12",
}


class Killed(BaseException):
    """The process is gone: no later call reaches the system."""


class Calls:
    """What was asked of the system, and at which call, counted from 0, it goes wrong.

    ``before``: the call fails and does nothing. ``after``: it fails and has done its work.
    ``kill``: neither it nor any later one is made. ``torn``: the same, but half of a write is.
    """

    def __init__(self, root: Path, at: int = -1, how: str = "", error: int = errno.EIO) -> None:
        self.made: list[tuple[str, ...]] = []
        self._root = root
        self._at = at
        self._how = how
        self._error = error
        self._dead = False
        self._paths: dict[int, str] = {}

    @contextmanager
    def watch(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CHANGING:
                patch.setattr(os, name, self._stand_in(name, getattr(os, name)))
            yield

    def _path(self, where: int | str | os.PathLike[str], folder: int | None) -> str:
        if isinstance(where, int):
            return self._paths[where]
        return os.path.join("" if folder is None else self._paths[folder], where)

    def _shown(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> list[str]:
        if name in ("rename", "replace"):
            paths = [
                self._path(arguments[0], options.get("src_dir_fd")),
                self._path(arguments[1], options.get("dst_dir_fd")),
            ]
        else:
            paths = [self._path(arguments[0], options.get("dir_fd"))]
        return [
            re.sub("[0-9a-f]{16}", "session", os.path.relpath(path, self._root)) for path in paths
        ]

    def _stand_in(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & os.O_CREAT:
                return self._opened(real, arguments, options)
            if self._dead:
                raise Killed
            number = len(self.made)
            self.made.append((name, *self._shown(name, arguments, options)))
            if number == self._at and self._how in ("kill", "torn"):
                self._dead = True
                if self._how == "torn" and name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Killed
            if number == self._at and self._how == "before":
                raise OSError(self._error, os.strerror(self._error))
            if name == "open":
                result = self._opened(real, arguments, options)
            elif name == "fsync":
                result = None  # nothing here asks the medium
            else:
                result = real(*arguments, **options)
            if number == self._at:
                raise OSError(self._error, os.strerror(self._error))
            return result

        return call

    def _opened(
        self, real: Callable[..., int], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> int:
        fd = real(*arguments, **options)
        self._paths[fd] = self._path(arguments[0], options.get("dir_fd"))
        return fd


def begin(root: Path) -> None:
    """Make a vault with one commit, a leftover beyond it, and nothing in ``tmp/``."""
    with LocalStore.make(root) as store:
        store.commit(None, OLD_TILES, lambda: b"one")
        (root / "log/tile/0/000.p/7").write_bytes(b"left by a crash")


def commit(store: LocalStore, signed: list[bytes]) -> None:
    def sign() -> bytes:
        signed.append(b"two" * 5)
        return signed[-1]

    store.commit(b"one", NEW_TILES, sign, clear={"log/tile/0/000.p": frozenset("12")})


def die(store: LocalStore) -> None:
    """Let go of the lock as the system does for a process that is gone."""
    if store._session is not None:
        store._session._lock.release()


def without_locks(made: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the calls but those that make the session and take the vault's lock."""
    around = {
        *(("mkdir", "tmp"), ("open", "tmp/session.lock"), ("mkdir", "tmp/session")),
        *(("mkdir", "."), ("open", "lock")),
    }
    return [call for call in made if call not in around]


class TestTheOrder:
    def record(self, root: Path, use: Callable[[LocalStore], None]) -> list[tuple[str, ...]]:
        calls = Calls(root)
        with calls.watch(), LocalStore(root) as store:
            use(store)
            return without_locks(calls.made)

    def test_of_a_commit(self, tmp_path: Path) -> None:
        begin(tmp_path)
        calls = Calls(tmp_path)

        def sign() -> bytes:
            calls.made.append(("sign", ""))
            return b"two"

        with calls.watch(), LocalStore(tmp_path) as store:
            store.commit(b"one", NEW_TILES, sign, clear={"log/tile/0/000.p": frozenset("12")})
            made = without_locks(calls.made)
        assert made == [
            ("unlink", "log/tile/0/000.p/7"),
            # Every file is durable before the first gets its name.
            *(
                (name, f"tmp/session/{number}")
                for number in range(3)
                for name in ("open", "write", "fsync")
            ),
            ("replace", "tmp/session/0", "log/tile/entries/000.p/2"),
            ("replace", "tmp/session/1", "log/tile/0/000.p/2"),
            ("mkdir", "log/tile/1"),
            ("mkdir", "log/tile/1/000.p"),
            ("replace", "tmp/session/2", "log/tile/1/000.p/1"),
            ("unlink", PENDING),
            ("open", PENDING),
            ("write", PENDING),
            ("fsync", PENDING),
            # Directories from the deepest up, and the one that was left at last.
            ("fsync", "log/tile/0/000.p"),
            ("fsync", "log/tile/1/000.p"),
            ("fsync", "log/tile/entries/000.p"),
            ("fsync", "log/tile/0"),
            ("fsync", "log/tile/1"),
            ("fsync", "log/tile/entries"),
            ("fsync", "log/tile"),
            ("fsync", "log"),
            ("fsync", "."),
            ("fsync", "tmp/session"),
            ("sign", ""),
            ("ftruncate", PENDING),
            ("write", PENDING),
            ("fsync", PENDING),
            ("replace", PENDING, CHECKPOINT),
            ("fsync", "log"),
        ]

    def test_of_finishing(self, tmp_path: Path) -> None:
        begin(tmp_path)
        (tmp_path / PENDING).write_bytes(b"two")
        assert self.record(tmp_path, lambda store: store.finish(b"one", b"two")) == [
            # The bytes are written anew: a flush of the file that is there may have failed before.
            ("open", "tmp/session/0"),
            ("write", "tmp/session/0"),
            ("fsync", "tmp/session/0"),
            ("replace", "tmp/session/0", PENDING),
            ("fsync", "log"),
            ("fsync", "."),
            ("fsync", "tmp/session"),
            ("replace", PENDING, CHECKPOINT),
            ("fsync", "log"),
        ]

    def test_of_a_new_file(self, tmp_path: Path) -> None:
        def use(store: LocalStore) -> None:
            with store.create("fields/ab/abcd") as writer:
                writer.write(b"x")
                writer.commit()

        begin(tmp_path)
        assert self.record(tmp_path, use) == [
            ("open", "tmp/session/0"),
            ("write", "tmp/session/0"),
            ("fsync", "tmp/session/0"),
            ("mkdir", "fields"),
            ("mkdir", "fields/ab"),
            ("rename", "tmp/session/0", "fields/ab/abcd"),
            ("fsync", "fields/ab"),
            ("fsync", "fields"),
            ("fsync", "."),
            ("fsync", "tmp/session"),
        ]

    def test_of_a_new_directory(self, tmp_path: Path) -> None:
        begin(tmp_path)
        assert self.record(tmp_path, publish) == [
            ("mkdir", "tmp/session/0"),
            *(
                (name, f"tmp/session/0/{part}")
                for part in ("evidence.0000", "evidence.0001")
                for name in ("open", "write", "fsync")
            ),
            ("fsync", "tmp/session/0"),
            ("mkdir", "bundles"),
            ("rename", "tmp/session/0", "bundles/ab"),
            ("fsync", "bundles"),
            ("fsync", "."),
            ("fsync", "tmp/session"),
        ]

    def test_of_deletions(self, tmp_path: Path) -> None:
        begin(tmp_path)
        with LocalStore(tmp_path) as store:
            publish(store)
        calls = Calls(tmp_path)
        with calls.watch():
            LocalStore(tmp_path).delete("bundles/ab/evidence.0000")
            LocalStore(tmp_path).delete_tree("bundles/ab")
        assert calls.made == [
            ("unlink", "bundles/ab/evidence.0000"),
            ("fsync", "bundles/ab"),
            ("unlink", "bundles/ab/evidence.0001"),
            ("rmdir", "bundles/ab"),
            ("fsync", "bundles"),
        ]

    def test_of_making_a_vault(self, tmp_path: Path) -> None:
        calls = Calls(tmp_path)
        with calls.watch():
            LocalStore.make(tmp_path / "vault")
        assert calls.made == [("mkdir", "vault"), ("fsync", ".")]

    def test_a_name_that_is_taken_is_durable_before_that_is_said(self, tmp_path: Path) -> None:
        begin(tmp_path)
        calls = Calls(tmp_path)
        with calls.watch(), LocalStore(tmp_path) as store:
            writer = store.create("log/tile/entries")
            with pytest.raises(FileExistsError):
                writer.commit()
            assert os.listdir(tmp_path / "tmp" / cast("Session", store._session).entry) == []
        assert [call for call in calls.made if call[0] == "fsync"][-3:] == [
            ("fsync", "log/tile"),
            ("fsync", "log"),
            ("fsync", "."),
        ]
        assert not any(call[0] == "rename" for call in calls.made)


def publish(store: LocalStore) -> None:
    with store.stage() as stage:
        for part in ("evidence.0000", "evidence.0001"):
            with stage.create(part) as writer:
                writer.write(b"0123456789")
                writer.commit()
        stage.publish("bundles/ab")


FAULTS = [
    ("before", errno.EIO),
    ("before", errno.ENOSPC),
    ("after", errno.EIO),
    ("kill", 0),
    ("torn", 0),
]


@pytest.mark.parametrize(("how", "error"), FAULTS)
class TestAFaultAtEveryCall:
    def test_of_a_commit_leaves_the_old_state_or_the_new_one(
        self, how: str, error: int, tmp_path: Path
    ) -> None:
        begin(tmp_path / "begun")
        before = list(LocalStore(tmp_path / "begun").list())
        outcomes = set()
        for at in range(10_000):
            root = tmp_path / str(at)
            shutil.copytree(tmp_path / "begun", root)
            calls = Calls(root, at, how, error)
            signed: list[bytes] = []
            failed = True
            store = LocalStore(root)
            with calls.watch(), suppress(OSError, Killed):
                commit(store, signed)
                failed = False
            if len(calls.made) <= at:
                break
            die(store)
            place = (at, calls.made[at])
            with LocalStore(root) as after:
                checkpoint, pending = after.read(CHECKPOINT), after.pending()
                outcomes.add((checkpoint, pending, len(signed), failed))
                assert checkpoint in (b"one", b"two" * 5), place
                assert failed or checkpoint == b"two" * 5, place
                if not signed:
                    assert (checkpoint, pending) == (b"one", None), place
                    if how == "before":
                        left = set(after.list()) - set(before)
                        assert left <= {(PENDING, 16384), (PENDING, 0)}, place
                if pending == b"two" * 5:
                    after.finish(b"one", pending)
                    checkpoint = after.read(CHECKPOINT)
                elif pending is not None:
                    assert how == "torn", place
                    assert pending == b"twotwot", place
                tiles = OLD_TILES | (NEW_TILES if checkpoint == b"two" * 5 else {})
                for name, content in tiles.items():
                    assert after.read(name) == content, place
                after.commit(
                    checkpoint,
                    NEW_TILES,
                    lambda: b"three",
                    judged=after.pending(),
                    clear={"log/tile/0/000.p": frozenset("12")},
                )
                assert after.read(CHECKPOINT) == b"three", place
                assert {name for name, _ in after.list()} == {CHECKPOINT, *OLD_TILES, *NEW_TILES}
                after.sweep()
                assert len(os.listdir(root / "tmp")) == 2, place
            assert os.listdir(root / "tmp") == [], place
            shutil.rmtree(root)
        assert at > 30
        assert (b"one", None, 0, True) in outcomes
        assert (b"two" * 5, None, 1, True) in outcomes or how in ("torn", "before")

    @pytest.mark.parametrize("what", ["file", "directory", "finish"])
    def test_of_anything_else_leaves_all_of_it_or_nothing(
        self, what: str, how: str, error: int, tmp_path: Path
    ) -> None:
        def use(store: LocalStore) -> None:
            if what == "directory":
                publish(store)
            elif what == "finish":
                store.finish(b"one", b"two")
            else:
                with store.create("bundles/a/b") as writer:
                    writer.write(b"0123456789")
                    writer.commit()

        begin(tmp_path / "begun")
        if what == "finish":
            (tmp_path / "begun" / PENDING).write_bytes(b"two")
        before = list(LocalStore(tmp_path / "begun").list())
        shutil.copytree(tmp_path / "begun", tmp_path / "done")
        with LocalStore(tmp_path / "done") as store:
            use(store)
            done = list(store.list())
        assert done != before
        for at in range(10_000):
            root = tmp_path / str(at)
            shutil.copytree(tmp_path / "begun", root)
            calls = Calls(root, at, how, error)
            failed = True
            store = LocalStore(root)
            with calls.watch(), suppress(OSError, Killed):
                use(store)
                failed = False
            if len(calls.made) <= at:
                break
            place = (at, calls.made[at])
            with LocalStore(root) as after:
                found = list(after.list())
                assert found in (before, done), place
                assert failed or found == done, place
                if how == "before" and store._session is not None:
                    assert os.listdir(root / "tmp" / store._session.entry) == [] or (
                        calls.made[at][0] in ("unlink", "rmdir")
                    ), place
                if found == before:
                    use(after)
                assert list(after.list()) == done, place
                die(store)
                after.sweep()
            assert os.listdir(root / "tmp") == [], place
            shutil.rmtree(root)
        assert at > 8


class TestAFailedFlush:
    def test_is_never_tried_again_on_the_same_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushed: list[int] = []

        def fail(fd: int) -> None:
            flushed.append(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with LocalStore.make(tmp_path / "vault") as store:
            writer = store.create("a")
            monkeypatch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="Input/output error") as caught:
                writer.commit()
            assert caught.value.filename.startswith(str(store.path / "tmp"))
            for use in (writer.commit, lambda: writer.write(b"x")):
                with pytest.raises(ValueError, match="failed before"):
                    use()
            assert len(flushed) == 1
            monkeypatch.undo()
            assert list(store.list()) == []

    def test_a_failed_write_ends_the_writer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with LocalStore.make(tmp_path / "vault") as store:
            for answer in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 0):

                def full(fd: int, data: bytes, answer: OSError | int = answer) -> int:
                    if isinstance(answer, OSError):
                        raise answer
                    return answer

                writer = store.create("a")
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(os, "write", full)
                    with pytest.raises(OSError, match=r"No space|Input/output"):
                        writer.write(b"x")
                with pytest.raises(ValueError, match="failed before"):
                    writer.commit()

    def test_short_writes_are_continued(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
        with LocalStore.make(tmp_path / "vault") as store:
            with store.create("a") as writer:
                writer.write(bytes(range(100)))
                writer.commit()
            store.commit(None, {}, lambda: b"a checkpoint longer than that")
            assert store.read("a") == bytes(range(100))
            assert store.read(CHECKPOINT) == b"a checkpoint longer than that"


APPEND = """
import sys
from vault.errors import ConflictError
from vault.storage import LocalStore

root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with LocalStore(root) as store:
    for number in range(count):
        while True:
            try:
                old = store.read("log/checkpoint")
            except FileNotFoundError:
                old = None
            new = (old or b"") + f"{name}{number}\\n".encode()
            size = new.count(b"\\n")
            files = {f"log/tile/entries/000.p/{size}": new}
            clear = {"log/tile/entries/000.p": frozenset({str(size - 1)})}
            try:
                store.commit(old, files, lambda: new, clear=clear)
                break
            except ConflictError:
                store.sweep()
"""


def test_processes_that_commit_at_once_make_one_history(tmp_path: Path) -> None:
    LocalStore.make(tmp_path / "vault")
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", APPEND, str(tmp_path / "vault"), name, "6"],
            cwd=Path(__file__).parents[2],
        )
        for name in "abc"
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with LocalStore(tmp_path / "vault") as store:
        history = store.read(CHECKPOINT).decode().split()
        assert sorted(history) == sorted(f"{name}{i}" for name in "abc" for i in range(6))
        for name in "abc":
            assert [entry for entry in history if entry[0] == name] == [
                f"{name}{i}" for i in range(6)
            ]
        assert store.read("log/tile/entries/000.p/18").decode().split() == history
        assert [name for name, _ in store.list("log/tile")] == [
            "log/tile/entries/000.p/17",
            "log/tile/entries/000.p/18",
        ]
        assert os.listdir(tmp_path / "vault" / "tmp") == []
        with pytest.raises(ConflictError):
            store.commit(None, {}, lambda: b"")
