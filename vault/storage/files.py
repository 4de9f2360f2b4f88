"""Files and directories on their way into a local store, and files that are read from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from vault.storage.base import check_created_name, check_part
from vault.storage.durability import (
    Directory,
    close_quietly,
    named,
    place,
    read_into,
    sync_file,
    write_all,
)

if TYPE_CHECKING:
    from vault.storage.base import Buffer
    from vault.storage.session import Session

__all__ = ["LocalReader", "LocalStage", "LocalWriter"]


@final
class LocalReader:
    """A :class:`~vault.storage.base.Reader` over a descriptor that stays open."""

    def __init__(self, directory: Directory, part: str) -> None:
        self.name = directory.name_of(part)
        self._path = directory.path_of(part)
        self._lock = Lock()
        fd, self.size = directory.open(part)
        self._fd: int | None = fd

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from ``offset``; return the count of bytes."""
        if self._fd is None:
            raise ValueError(f"{self.name} is closed")
        with named(self._path):
            return read_into(self._fd, offset, buffer, self._lock)

    def close(self) -> None:
        """Close the file; again does nothing."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            close_quietly(fd)

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
class LocalWriter:
    """A :class:`~vault.storage.base.Writer` on a new file in ``directory``.

    ``accept`` is called by ``commit`` once the content is durable; ``end`` once, however it ends.
    """

    def __init__(
        self,
        directory: Directory,
        part: str,
        accept: Callable[[], None],
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._part = part
        self._path = directory.path_of(part)
        self._accept = accept
        self._end = end
        self._fd: int | None = directory.create(part)

    def _descriptor(self) -> int:
        if self._fd is None:
            raise ValueError(f"{self._path}: committed, aborted or failed before")
        return self._fd

    def write(self, data: Buffer) -> None:
        """Write all of ``data``."""
        fd = self._descriptor()
        try:
            with named(self._path):
                write_all(fd, data)
        except BaseException:
            self.abort()
            raise

    def commit(self) -> None:
        """Make the file durable and put it in its place."""
        fd = self._descriptor()
        try:
            with named(self._path):
                sync_file(fd)
            self._close(fd)
            self._accept()
        except BaseException:
            if self._fd is not None:
                self._close(fd)
            self._remove()
            raise
        self._end()

    def abort(self) -> None:
        """Remove the file, unless it was committed."""
        if self._fd is not None:
            self._close(self._fd)
            self._remove()

    def _close(self, fd: int) -> None:
        self._fd = None
        close_quietly(fd)

    def _remove(self) -> None:
        with suppress(OSError):  # what stays goes with the session, or with a sweep
            self._directory.unlink(self._part)
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
class LocalStage:
    """A :class:`~vault.storage.base.Stage` in a session's directory."""

    def __init__(self, session: Session, root: Path) -> None:
        self._session = session
        self._root = root
        self._part = session.next_part()
        self._writing = 0
        session.directory.make(self._part)
        self._directory: Directory | None = session.directory.child(self._part)

    def _open_directory(self) -> Directory:
        if self._directory is None:
            raise ValueError("the stage is published, aborted or failed before")
        return self._directory

    def create(self, name: str) -> LocalWriter:
        """Begin a file."""
        check_part(name)
        writer = LocalWriter(self._open_directory(), name, lambda: None, self._ended)
        self._writing += 1
        return writer

    def _ended(self) -> None:
        self._writing -= 1

    def open(self, name: str) -> LocalReader:
        """Open a file for reading."""
        check_part(name)
        return LocalReader(self._open_directory(), name)

    def drop_cache(self) -> bool:
        """Ask the system to forget the files' pages: on Linux and most of POSIX it may do it.

        Only pages that were flushed can be dropped, so what is still being written stays.
        """
        directory = self._open_directory()
        if not hasattr(os, "posix_fadvise"):
            return False
        for part in directory.parts():
            fd, _ = directory.open(part)
            try:
                with named(directory.path_of(part)):
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                close_quietly(fd)
        return True

    def publish(self, name: str) -> None:
        """Make the directory durable and rename it into its place."""
        check_created_name(name)
        directory = self._open_directory()
        if self._writing:
            raise ValueError(f"{self._writing} files of the stage are still being written")
        if not directory.parts():
            raise ValueError("nothing is in the stage")
        try:
            directory.sync()
            # Before the rename: Windows renames no directory that is open.
            directory.close()
            place(self._session.directory, self._part, self._root, name)
        except BaseException:
            self.abort()
            raise
        self._directory = None

    def abort(self) -> None:
        """Remove the directory, unless it was published."""
        if self._directory is not None:
            self._directory.close()
            self._directory = None
            self._session.discard(self._part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.abort()
