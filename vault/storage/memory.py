"""A vault in memory: the model that every other store is held to, and a fast place for tests."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, RLock
from types import TracebackType
from typing import Self, final

from vault.errors import ConflictError, LockedError, StateError
from vault.layout import CHECKPOINT
from vault.storage.base import (
    PENDING,
    Buffer,
    check_created_name,
    check_name,
    check_part,
    without_room,
)

__all__ = ["MemoryStore"]


def _missing(name: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _taken(name: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _above(name: str) -> Iterator[str]:
    """Yield the directories that ``name`` lies in, the nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


@final
class _Reader:
    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.size = len(content)
        self._content: bytes | None = content

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if self._content is None:
            raise ValueError(f"{self.name} is closed")
        with memoryview(buffer) as view, view.cast("B") as room:
            piece = self._content[offset : offset + len(room)]
            room[: len(piece)] = piece
            return len(piece)

    def close(self) -> None:
        self._content = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


@final
class _Writer:
    def __init__(self, name: str, accept: Callable[[bytes], None], end: Callable[[], None]) -> None:
        self._name = name
        self._accept = accept
        self._end = end
        self._content: bytearray | None = bytearray()

    def write(self, data: Buffer) -> None:
        if self._content is None:
            raise ValueError(f"{self._name}: committed, aborted or failed before")
        with memoryview(data) as view, view.cast("B") as piece:
            self._content += piece

    def commit(self) -> None:
        if self._content is None:
            raise ValueError(f"{self._name}: committed, aborted or failed before")
        content = bytes(self._content)
        self.abort()
        self._accept(content)

    def abort(self) -> None:
        if self._content is not None:
            self._content = None
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.abort()


@final
class _Stage:
    def __init__(self, publish: Callable[[str, Mapping[str, bytes]], None]) -> None:
        self._publish = publish
        self._files: dict[str, bytes] | None = {}
        self._writing: set[str] = set()

    def _open_files(self) -> dict[str, bytes]:
        if self._files is None:
            raise ValueError("the stage is published, aborted or failed before")
        return self._files

    def create(self, name: str) -> _Writer:
        check_part(name)
        files = self._open_files()
        if name in files or name in self._writing:
            raise _taken(name)

        def accept(content: bytes) -> None:
            files[name] = content

        self._writing.add(name)
        return _Writer(name, accept, lambda: self._writing.discard(name))

    def open(self, name: str) -> _Reader:
        check_part(name)
        files = self._open_files()
        if name not in files:
            raise _missing(name)
        return _Reader(name, files[name])

    def drop_cache(self) -> bool:
        self._open_files()
        return False

    def publish(self, name: str) -> None:
        check_created_name(name)
        files = self._open_files()
        if self._writing:
            raise ValueError(f"{len(self._writing)} files of the stage are still being written")
        if not files:
            raise ValueError("nothing is in the stage")
        self._files = None
        self._publish(name, files)

    def abort(self) -> None:
        self._files = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.abort()


@final
class MemoryStore:
    """The :class:`~vault.storage.base.Store` over a dictionary; usable from several threads."""

    def __init__(self, files: Mapping[str, bytes] = {}, *, lock_timeout: float = 30.0) -> None:
        """Begin with ``files``, which may hold what a crash or an attacker left."""
        self._files: dict[str, bytes] = {}
        self._folders: Counter[str] = Counter()
        self._guard = RLock()
        self._lock = Lock()
        self._lock_timeout = lock_timeout
        for name, content in files.items():
            self._put(name, content)

    @property
    def place(self) -> str:
        """The word ``memory``."""
        return "memory"

    # --- the dictionary -----------------------------------------------------------------------

    def _check_above(self, name: str) -> None:
        for folder in _above(name):
            if folder in self._files:
                raise StateError(folder, "neither a directory nor missing")

    def _put(self, name: str, content: bytes) -> None:
        self._check_above(name)
        if name in self._folders:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if name not in self._files:
            self._folders.update(_above(name))
        self._files[name] = content

    def _drop(self, name: str) -> None:
        del self._files[name]
        for folder in _above(name):
            self._folders[folder] -= 1
            if not self._folders[folder]:
                del self._folders[folder]

    def _below(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        names = [name for name in self._files if name.startswith(start) or name == prefix]
        return sorted(names, key=lambda name: name.split("/"))

    def _content(self, name: str) -> bytes:
        check_name(name)
        with self._guard:
            self._check_above(name)
            if name in self._folders:
                raise StateError(name, "not a regular file")
            if name not in self._files:
                raise _missing(name)
            return self._files[name]

    # --- reading ------------------------------------------------------------------------------

    def open(self, name: str) -> _Reader:
        """Open a file."""
        return _Reader(name, self._content(name))

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Return ``size`` bytes from ``start``."""
        if start < 0 or (size is not None and size < 0):
            raise ValueError("negative")
        return self._content(name)[start : None if size is None else start + size]

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        return len(self._content(name))

    def exists(self, name: str) -> bool:
        """Return whether anything goes by that name."""
        check_name(name)
        with self._guard:
            self._check_above(name)
            return name in self._files or name in self._folders

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size) of every file at or below ``prefix``."""
        if prefix:
            check_name(prefix)
        with self._guard:
            self._check_above(prefix)
            found = [(name, len(self._files[name])) for name in self._below(prefix)]
        yield from found

    # --- writing ------------------------------------------------------------------------------

    def create(self, name: str) -> _Writer:
        """Begin a file that appears whole."""
        check_created_name(name)

        def accept(content: bytes) -> None:
            self._add({name: content}, name)

        return _Writer(name, accept, lambda: None)

    def stage(self) -> _Stage:
        """Begin a directory that appears whole."""

        def publish(name: str, files: Mapping[str, bytes]) -> None:
            self._add({f"{name}/{part}": content for part, content in files.items()}, name)

        return _Stage(publish)

    def _add(self, files: Mapping[str, bytes], name: str) -> None:
        with self._guard:
            self._check_above(name)
            if name in self._files or name in self._folders:
                raise _taken(name)
            for each, content in files.items():
                self._put(each, content)

    def delete(self, name: str) -> None:
        """Delete a file."""
        check_created_name(name)
        with self._guard:
            self._check_above(name)
            if name in self._folders:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
            if name not in self._files:
                raise _missing(name)
            self._drop(name)

    def delete_tree(self, prefix: str) -> None:
        """Delete a directory with everything in it."""
        check_created_name(prefix)
        with self._guard:
            self._check_above(prefix)
            if prefix in self._files:
                raise StateError(prefix, "neither a directory nor missing")
            if prefix not in self._folders:
                raise _missing(prefix)
            for name in self._below(prefix):
                self._drop(name)

    # --- the checkpoint -----------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._lock_timeout):
            raise LockedError(self.place, f"another held the lock for {self._lock_timeout:g} s")
        try:
            yield
        finally:
            self._lock.release()

    def pending(self) -> bytes | None:
        """Return the content of ``log/checkpoint.next``, if that is something signed."""
        with self._guard:
            content = without_room(self._files.get(PENDING, b""))
            return None if not content or content == self._files.get(CHECKPOINT) else content

    def finish(self, expected: bytes | None, pending: bytes) -> None:
        """Put a pending checkpoint in its place."""
        with self._locked(), self._guard:
            there = without_room(self._files.get(PENDING, b""))
            if self._files.get(CHECKPOINT) != expected or there != pending:
                raise ConflictError(self.place, "the checkpoint or the pending one has moved")
            self._drop(PENDING)
            self._put(CHECKPOINT, pending)

    def commit(
        self,
        expected: bytes | None,
        files: Mapping[str, bytes],
        sign: Callable[[], bytes],
        *,
        judged: bytes | None = None,
        clear: Mapping[str, frozenset[str]] = {},
    ) -> None:
        """Move the vault from one checkpoint to the next."""
        for name in files:
            check_created_name(name)
        for folder, keep in clear.items():
            check_name(folder)
            for part in keep:
                check_part(part)
        with self._locked():
            if self._files.get(CHECKPOINT) != expected:
                raise ConflictError(self.place, "the checkpoint has moved")
            if self.pending() not in (None, judged):
                raise ConflictError(self.place, "a pending checkpoint must be judged first")
            with self._guard:
                for folder, keep in clear.items():
                    for name in self._below(folder):
                        above, _, part = name.rpartition("/")
                        if above == folder and part not in keep:
                            self._drop(name)
            new: list[str] = []
            try:
                with self._guard:
                    for name, content in files.items():
                        replaces = name in self._files
                        self._put(name, bytes(content))
                        if not replaces:
                            new.append(name)
                signed = sign()
                if not without_room(signed):
                    raise ValueError("an empty checkpoint")
            except BaseException:
                with self._guard:
                    for name in new:
                        self._drop(name)
                raise
            with self._guard:
                if PENDING in self._files:
                    self._drop(PENDING)
                self._put(CHECKPOINT, bytes(signed))

    # --- the place itself ---------------------------------------------------------------------

    def sweep(self) -> int:
        """Return 0: there is no ``tmp/``."""
        return 0

    def free_space(self) -> int | None:
        """Return None: not known."""
        return None

    def writable(self) -> bool:
        """Return True."""
        return True

    def describe(self) -> dict[str, str | int | bool | None]:
        """Return ``place``, ``free``, ``writable``, ``locked`` and ``pending``."""
        return {
            "place": self.place,
            "free": None,
            "writable": True,
            "locked": self._lock.locked(),
            "pending": self.pending() is not None,
        }

    def close(self) -> None:
        """Do nothing: the files stay as long as the store does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
