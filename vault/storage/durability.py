# ruff: noqa: PTH116, PTH118, PTH208
# pathlib knows neither directory descriptors nor O_NOFOLLOW, which everything here is about.
"""Durability on a local file system: every system call that a vault's files depend on.

The one place that flushes, renames and removes, and that opens and makes files. A directory is
reached component by component from the vault's own, each opened without following a link
(``openat`` with ``O_NOFOLLOW``), so a link that is swapped in under a running process leads
nowhere. Where the system has no directory descriptors (Windows), the path is used, each component
looked at first.

The orders, of which each step is durable before the next begins:

A new file (``Store.create``)
    1. ``openat(tmp/<session>/<n>, O_CREAT|O_EXCL)``, ``write``… until nothing is left
    2. ``fsync`` of it, ``close``
    3. ``mkdirat`` of missing parents, ``fstatat`` of the target, ``renameat`` to it
    4. ``fsync`` of the target's directory, of each directory above it up to the vault's, and last
       of the directory that was left. If the target is taken, all but the last of these, and then
       ``FileExistsError``: who accepts what is there may rely on it

A new directory (``Store.stage``)
    1. and 2. for every file in ``tmp/<session>/<n>/``
    3. ``fsync`` of that directory
    4. 3 and 4 as above, for the directory

A commit (``Store.commit``), all of it under the lock
    1. the checkpoint and ``log/checkpoint.next`` are read and compared
    2. ``unlinkat`` of what is to be cleared
    3. 1 and 2 of a new file for every file, then ``renameat`` of each into its place
    4. ``log/checkpoint.next`` is unlinked if it is there, made with ``O_CREAT|O_EXCL``, filled with
       16 KiB of NUL and ``fsync``\\ ed, so that a full disk shows before anything is signed
    5. ``fsync`` of every directory that holds a new file, and of those above it; then of the one
       that was left
    6. ``sign()``
    7. ``ftruncate`` of ``checkpoint.next`` to the checkpoint's size, ``write`` over the NULs,
       ``fsync``, ``close``
    8. ``renameat`` over ``log/checkpoint``, ``fsync`` of ``log/``

    Whatever instant the power goes: the old checkpoint stands, with or without a complete ``next``
    to finish; or the new one. A torn ``next`` is no valid checkpoint. NULs mean: not signed.

Finishing (``Store.finish``), under the lock
    The pending bytes are written to a new file, flushed, and renamed to ``checkpoint.next``; then
    8. Not the file that is there: its flush may have failed before, unseen.

Why so:

- A flush that failed is never tried again on the same file: Linux marks the pages clean and reports
  the error once, so a second flush succeeds without having written anything.
- All directories above are flushed, not only those made now: one that exists may have been made by
  a process that was killed before it flushed the parent.
- The directory that was left is flushed after the one that was entered: without a journal (FAT)
  both names could otherwise come back for one chain of clusters, and sweeping ``tmp/`` free it.
- macOS: ``fcntl(F_FULLFSYNC)``, since ``fsync`` there stops at the drive's cache; ``fsync`` where
  a file system does not have it.
- Windows: directories can't be flushed; a rename is tried again for a second, because a scanner or
  indexer may hold the file.
- A directory on a file system that says it cannot flush one (``EINVAL``, ``ENOTSUP``: some network
  mounts) counts as flushed. Any other error is raised.

Files are made 0600 and directories 0700, less the umask; FAT keeps no modes.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, final

from vault.errors import NotAVaultError, StateError

if TYPE_CHECKING:
    from vault.storage.base import Buffer

try:
    import fcntl
except ImportError:  # pragma: no cover  (Windows)
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Directory",
    "close_quietly",
    "named",
    "open_chain",
    "place",
    "read_into",
    "sync_chain",
    "sync_file",
    "write_all",
]

_WINDOWS = sys.platform == "win32"
_DIRECTORY_DESCRIPTORS = os.open in os.supports_dir_fd and not _WINDOWS
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_POSITIONAL = hasattr(os, "preadv")
_READ_AT_ONCE: Final = 1 << 20
_RENAME_TRIES: Final = 50
_RENAME_PAUSE: Final = 0.02  # seconds

_READ: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_REPARSE_POINT: Final = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: links and junctions of NTFS

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY})


@contextmanager
def named(path: str) -> Iterator[None]:
    """Give an ``OSError`` the full path: the system knows a descriptor, or one component."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def write_all(fd: int, data: Buffer) -> None:
    """Write all of ``data``, however little the system takes at a time."""
    with memoryview(data) as view, view.cast("B") as rest:
        start = 0
        while start < len(rest):
            count = os.write(fd, rest[start:])
            if not count:  # a regular file never answers so; without this it would loop for ever
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            start += count


def read_into(fd: int, offset: int, buffer: bytearray | memoryview, lock: Lock) -> int:
    """Fill ``buffer`` from ``offset``; return the count, smaller only at the end of the file.

    ``lock`` guards the file's position where the system can't read without moving it.
    """
    with memoryview(buffer) as view, view.cast("B") as rest:
        start = 0
        while start < len(rest):
            if _POSITIONAL:
                count = os.preadv(fd, [rest[start:]], offset + start)
            else:
                with lock:
                    os.lseek(fd, offset + start, os.SEEK_SET)
                    data = os.read(fd, min(len(rest) - start, _READ_AT_ONCE))
                count = len(data)
                rest[start : start + count] = data
            if not count:
                break
            start += count
        return start


def sync_file(fd: int) -> None:
    """Flush a file to the medium. After an error the file must be given up."""
    if _FULL_SYNC is not None and fcntl is not None:
        try:
            fcntl.fcntl(fd, _FULL_SYNC)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    os.fsync(fd)


def close_quietly(fd: int) -> None:
    """Close a descriptor of which nothing more is wanted."""
    with suppress(OSError):  # it was read from, or flushed, or is being given up
        os.close(fd)


def _is_plain(info: os.stat_result, kind: Callable[[int], bool]) -> bool:
    reparse: int = getattr(info, "st_file_attributes", 0) & _REPARSE_POINT
    return kind(info.st_mode) and not reparse


@final
class Directory:
    """An open directory of the vault. ``name`` is relative to the vault's own (``""``).

    Every ``part`` is one component, and no link is followed.
    """

    __slots__ = ("_fd", "name", "path")

    def __init__(self, path: str, name: str, fd: int | None) -> None:
        self.path = path
        self.name = name
        self._fd = fd

    @classmethod
    def root(cls, path: str) -> Directory:
        """Open the vault's own directory; the way to it may lead over links."""
        with named(path):
            if _DIRECTORY_DESCRIPTORS:
                return cls(path, "", os.open(path, _FOLDER))
            if not stat.S_ISDIR(os.stat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return cls(path, "", None)

    def child(self, part: str) -> Directory:
        """Open a directory in this one.

        Raises ``FileNotFoundError``; ``StateError`` if it is a file, a link, a junction.
        """
        path, name = self.path_of(part), self.name_of(part)
        info = self.stat(part)
        if not _is_plain(info, stat.S_ISDIR):
            raise StateError(name, "neither a directory nor missing")
        if not _DIRECTORY_DESCRIPTORS:
            return Directory(path, name, None)
        with named(path):
            try:
                fd = os.open(part, _FOLDER | _NO_FOLLOW, dir_fd=self._fd)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):  # swapped since it was looked at
                    raise StateError(name, "neither a directory nor missing") from None
                raise
        return Directory(path, name, fd)

    def name_of(self, part: str) -> str:
        """Return the name of an entry in the vault."""
        return f"{self.name}/{part}" if self.name else part

    def path_of(self, part: str) -> str:
        """Return the path of an entry."""
        return os.path.join(self.path, part)

    def _at(self, part: str) -> str:
        return part if self._fd is not None else self.path_of(part)

    def stat(self, part: str) -> os.stat_result:
        """Look at an entry itself. Raises ``FileNotFoundError``."""
        with named(self.path_of(part)):
            return os.stat(self._at(part), dir_fd=self._fd, follow_symlinks=False)

    def has(self, part: str) -> bool:
        """Return whether there is an entry of any kind."""
        try:
            self.stat(part)
        except FileNotFoundError:
            return False
        return True

    def kind(self, part: str) -> tuple[bool, int | None]:
        """Return (is a directory, size in bytes or None for what is no regular file)."""
        info = self.stat(part)
        size = info.st_size if _is_plain(info, stat.S_ISREG) else None
        return _is_plain(info, stat.S_ISDIR), size

    def parts(self) -> list[str]:
        """Return the entries in order."""
        with named(self.path):
            return sorted(os.listdir(self.path if self._fd is None else self._fd))

    def open(self, part: str) -> tuple[int, int]:
        """Open a regular file for reading; return (descriptor, size in bytes).

        Raises ``FileNotFoundError``; ``StateError`` for anything else, which is not opened: a
        device may act on that, a FIFO wait.
        """
        path, name = self.path_of(part), self.name_of(part)
        if not _is_plain(self.stat(part), stat.S_ISREG):
            raise StateError(name, "not a regular file")
        with named(path):
            try:
                fd = os.open(self._at(part), _READ | _NO_FOLLOW | _NO_WAIT, dir_fd=self._fd)
            except OSError as error:
                if error.errno == errno.ELOOP:  # swapped since it was looked at
                    raise StateError(name, "not a regular file") from None
                raise
            try:
                info = os.fstat(fd)
                if not stat.S_ISREG(info.st_mode):
                    raise StateError(name, "not a regular file")
            except BaseException:
                close_quietly(fd)
                raise
        return fd, info.st_size

    def create(self, part: str) -> int:
        """Make a file that was not there; return its descriptor, for writing and reading."""
        with named(self.path_of(part)):
            return os.open(self._at(part), _CREATE | _NO_FOLLOW, _FILE_MODE, dir_fd=self._fd)

    def make(self, part: str) -> None:
        """Make a directory; one that is there is left as it is."""
        with named(self.path_of(part)), suppress(FileExistsError):
            os.mkdir(self._at(part), _FOLDER_MODE, dir_fd=self._fd)

    def make_new(self, part: str) -> None:
        """Make a directory. Raises ``FileExistsError`` where anything goes by that name."""
        with named(self.path_of(part)):
            os.mkdir(self._at(part), _FOLDER_MODE, dir_fd=self._fd)

    def leads_to(self, part: str, other: Directory) -> bool:
        """Return whether the entry ``part`` is the directory that is open as ``other``."""
        try:
            there = self.stat(part)
        except FileNotFoundError:
            return False
        with named(other.path):
            opened = os.stat(other.path if other._fd is None else other._fd)
        return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)

    def move(self, part: str, target: Directory, new: str) -> None:
        """Rename an entry to where nothing is. Raises ``FileExistsError``.

        POSIX renames over a file without asking, so it is looked at first. Two processes that both
        find it free are those that made the same random name, or the same content under its digest.
        """
        path = target.path_of(new)
        if target.has(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        with named(path):
            try:
                self._rename(os.rename, part, target, new)
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
                raise

    def replace(self, part: str, target: Directory, new: str) -> None:
        """Rename a file to where another may be, which is then gone."""
        with named(target.path_of(new)):
            self._rename(os.replace, part, target, new)

    def _rename(self, rename: Callable[..., None], part: str, target: Directory, new: str) -> None:
        source, goal = self._at(part), target._at(new)
        for _ in range(_RENAME_TRIES if _WINDOWS else 0):
            try:
                return rename(source, goal)
            except PermissionError:
                time.sleep(_RENAME_PAUSE)
        return rename(source, goal, src_dir_fd=self._fd, dst_dir_fd=target._fd)

    def unlink(self, part: str) -> None:
        """Remove a file, or a link itself."""
        with named(self.path_of(part)):
            os.unlink(self._at(part), dir_fd=self._fd)

    def remove(self, part: str) -> None:
        """Remove an empty directory."""
        with named(self.path_of(part)):
            os.rmdir(self._at(part), dir_fd=self._fd)

    def sync(self) -> None:
        """Flush the directory's entries, where the system has a way to."""
        if self._fd is None:
            return
        with named(self.path):
            try:
                sync_file(self._fd)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise

    def close(self) -> None:
        """Close it; again does nothing."""
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


@contextmanager
def open_chain(root: Path, name: str, *, make: bool = False) -> Iterator[tuple[Directory, ...]]:
    """Open the vault's directory and every one below it down to ``name`` (``""``: itself).

    With ``make`` those that are missing are made, and are durable after :func:`sync_chain`. Raises
    ``NotAVaultError`` if the vault's own is gone, so that a stick that was pulled out does not look
    like an empty vault, and as :meth:`Directory.child`.
    """
    with ExitStack() as stack:
        try:
            chain = [stack.enter_context(Directory.root(str(root)))]
        except (FileNotFoundError, NotADirectoryError):
            raise NotAVaultError(str(root), "no such directory") from None
        for part in name.split("/") if name else ():
            if make and not chain[-1].has(part):
                chain[-1].make(part)
            chain.append(stack.enter_context(chain[-1].child(part)))
        yield tuple(chain)


def sync_chain(chain: tuple[Directory, ...]) -> None:
    """Flush the last directory first, the vault's own last."""
    for directory in reversed(chain):
        directory.sync()


def place(source: Directory, part: str, root: Path, name: str) -> None:
    """Move a file or directory, itself durable, durably to ``name``, which must be free.

    When ``FileExistsError`` is raised, what is there is durable too, whoever put it there.
    """
    folder, _, last = name.rpartition("/")
    with open_chain(root, folder, make=True) as chain:
        try:
            source.move(part, chain[-1], last)
        except FileExistsError:
            sync_chain(chain)
            raise
        sync_chain(chain)
    source.sync()
