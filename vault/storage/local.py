"""A vault in a directory of a local file system: USB sticks, disks, read-only copies.

What is durable when, and by which system calls, is said and done in
:mod:`vault.storage.durability`. The lock is held only inside ``commit`` and ``finish``. Reading
takes no lock and touches nothing. A store writes into ``tmp/`` only from its first write on.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, final

from vault.errors import ConflictError, StateError, VaultExistsError
from vault.layout import CHECKPOINT, MAX_CHECKPOINT
from vault.storage.base import (
    PENDING,
    PRIVATE,
    STRANGE,
    check_created_name,
    check_name,
    check_part,
    without_room,
)
from vault.storage.durability import Directory, open_chain, place
from vault.storage.files import LocalReader, LocalStage, LocalWriter
from vault.storage.medium import file_system_type
from vault.storage.removal import MAX_DEPTH, remove_tree
from vault.storage.session import Session, inspect_sessions, is_locked, sweep, vault_lock
from vault.storage.transaction import commit_checkpoint, finish_checkpoint

__all__ = ["LocalStore"]

_TMP = "tmp"


@final
class LocalStore:
    """The :class:`~vault.storage.base.Store` over a directory.

    Reading may go on in several threads; each thread or process that writes has a store of its own.
    """

    def __init__(self, path: str | os.PathLike[str], *, lock_timeout: float = 30.0) -> None:
        """Use the directory ``path``; ``lock_timeout`` in seconds.

        Raises ``NotAVaultError`` if it is missing or no directory. What is in it is not looked at.
        """
        self._root = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
        self._lock_timeout = lock_timeout
        self._made = False
        self._session: Session | None = None
        self._guard = Lock()
        with open_chain(self._root, ""):
            pass

    @classmethod
    def make(cls, path: str | os.PathLike[str], *, lock_timeout: float = 30.0) -> LocalStore:
        """Make the directory, durably, and use it; an empty one that is there will do.

        Raises ``VaultExistsError`` if ``path`` is anything else, ``FileNotFoundError`` if the
        directory that it should be made in is missing.
        """
        root = Path(os.path.abspath(path))  # noqa: PTH100
        try:
            root.mkdir(0o700)
        except FileExistsError:
            if not root.is_dir():
                raise VaultExistsError(
                    str(root), "there is something that is no directory"
                ) from None
            if any(entry.name not in PRIVATE for entry in root.iterdir()):
                raise VaultExistsError(str(root), "the directory is not empty") from None
            return cls(root, lock_timeout=lock_timeout)
        with Directory.root(str(root.parent)) as parent:
            parent.sync()
        store = cls(root, lock_timeout=lock_timeout)
        store._made = True
        return store

    def unmake(self) -> None:
        """Remove what the store keeps for itself, and the directory if :meth:`make` made it here.

        For a vault that could not be made; a directory that something is left in stays.
        """
        self.close()
        with open_chain(self._root, "") as chain:
            for part in sorted(PRIVATE):
                with suppress(FileNotFoundError):
                    remove_tree(chain[-1], part)
        if self._made:
            with suppress(OSError):
                self._root.rmdir()

    @property
    def place(self) -> str:
        """The absolute path."""
        return str(self._root)

    @property
    def path(self) -> Path:
        """The absolute path."""
        return self._root

    # --- reading ------------------------------------------------------------------------------

    def open(self, name: str) -> LocalReader:
        """Open a file."""
        check_name(name)
        folder, _, part = name.rpartition("/")
        with open_chain(self._root, folder) as chain:
            return LocalReader(chain[-1], part)

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Return ``size`` bytes from ``start``."""
        if start < 0 or (size is not None and size < 0):
            raise ValueError("negative")
        with self.open(name) as reader:
            rest = max(reader.size - start, 0)
            buffer = bytearray(rest if size is None else min(rest, size))
            count = reader.read_into(start, buffer)
            return bytes(memoryview(buffer)[:count])

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        check_name(name)
        folder, _, part = name.rpartition("/")
        with open_chain(self._root, folder) as chain:
            size = chain[-1].kind(part)[1]
        if size is None:
            raise StateError(name, "not a regular file")
        return size

    def exists(self, name: str) -> bool:
        """Return whether anything goes by that name."""
        check_name(name)
        folder, _, part = name.rpartition("/")
        try:
            with open_chain(self._root, folder) as chain:
                return chain[-1].has(part)
        except FileNotFoundError:
            return False

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size) of every file at or below ``prefix``."""
        if prefix:
            check_name(prefix)
        folder, _, part = prefix.rpartition("/")
        try:
            with open_chain(self._root, folder) as chain:
                if prefix:
                    yield from _entries(chain[-1], part)
                    return
                for top in chain[-1].parts():
                    if top not in PRIVATE:
                        yield from _entries(chain[-1], top)
                    elif not _is_own(chain[-1], top):
                        yield top, STRANGE
        except FileNotFoundError:
            return

    # --- writing ------------------------------------------------------------------------------

    def create(self, name: str) -> LocalWriter:
        """Begin a file that appears whole."""
        check_created_name(name)
        session = self._own_session()
        part = session.next_part()
        return LocalWriter(
            session.directory, part, lambda: place(session.directory, part, self._root, name)
        )

    def stage(self) -> LocalStage:
        """Begin a directory that appears whole."""
        return LocalStage(self._own_session(), self._root)

    def delete(self, name: str) -> None:
        """Delete a file (or a link itself), durably."""
        check_created_name(name)
        folder, _, part = name.rpartition("/")
        with open_chain(self._root, folder) as chain:
            if chain[-1].kind(part)[0]:
                path = chain[-1].path_of(part)
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            chain[-1].unlink(part)
            chain[-1].sync()

    def delete_tree(self, prefix: str) -> None:
        """Delete a directory with everything in it, durably.

        In its place and not by way of ``tmp/``: what an interruption leaves must be seen.
        """
        check_created_name(prefix)
        folder, _, part = prefix.rpartition("/")
        with open_chain(self._root, folder) as chain:
            with chain[-1].child(part):
                pass
            remove_tree(chain[-1], part)
            chain[-1].sync()

    def _own_session(self) -> Session:
        with self._guard:
            if self._session is None or self._session.process != os.getpid():
                self._session = Session(self._root)
            return self._session

    # --- the checkpoint -----------------------------------------------------------------------

    def _content(self, name: str) -> bytes | None:
        # One byte more than a checkpoint can have: a sparse file must not fill the memory.
        try:
            return self.read(name, 0, MAX_CHECKPOINT + 1)
        except FileNotFoundError:
            return None

    def pending(self) -> bytes | None:
        """Return the content of ``log/checkpoint.next``, if that is something signed."""
        content = without_room(self._content(PENDING) or b"")
        # Equal to the checkpoint: it has just been renamed (or FAT kept both names).
        return None if not content or content == self._content(CHECKPOINT) else content

    def finish(self, expected: bytes | None, pending: bytes) -> None:
        """Put a pending checkpoint durably in its place."""
        session = self._own_session()
        with vault_lock(self._root, self._lock_timeout):
            there = without_room(self._content(PENDING) or b"")
            if self._content(CHECKPOINT) != expected or there != pending:
                raise ConflictError(self.place, "the checkpoint or the pending one has moved")
            finish_checkpoint(self._root, session, pending)

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
        session = self._own_session()  # while nobody waits for it
        with vault_lock(self._root, self._lock_timeout):
            if self._content(CHECKPOINT) != expected:
                raise ConflictError(self.place, "the checkpoint has moved")
            if self.pending() not in (None, judged):
                raise ConflictError(self.place, "a pending checkpoint must be judged first")
            commit_checkpoint(self._root, session, files, sign, clear)

    # --- the place itself ---------------------------------------------------------------------

    def sweep(self) -> int:
        """Remove dead sessions from ``tmp/``; return how many."""
        session = self._session
        return sweep(self._root, session.entry if session else None)

    def free_space(self) -> int | None:
        """Return the bytes free for this user; None if the system does not say."""
        try:
            return shutil.disk_usage(self._root).free
        except OSError:
            return None

    def writable(self) -> bool:
        """Return whether the directory may be written to, by its mode and its mount."""
        return os.access(self._root, os.W_OK | os.X_OK)

    def describe(self) -> dict[str, str | int | bool | None]:
        """Return ``place``, ``file_system`` (None: not known), ``free`` bytes, ``writable``,
        ``locked`` (now, by anyone; None: not to be found out), ``sessions`` in ``tmp/`` (this
        store's included), ``strangers`` there that no store made, ``pending``.
        """
        try:
            locked = is_locked(self._root)
        except OSError:
            locked = None
        sessions, strangers = inspect_sessions(self._root)
        return {
            "place": self.place,
            "file_system": file_system_type(self._root),
            "free": self.free_space(),
            "writable": self.writable(),
            "locked": locked,
            "sessions": sessions,
            "strangers": strangers,
            "pending": self.pending() is not None,
        }

    def close(self) -> None:
        """Remove this store's entry in ``tmp/``. A later write makes a new one."""
        with self._guard:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _is_own(directory: Directory, part: str) -> bool:
    """Say whether what is no part of the format is what this store makes there."""
    try:
        is_folder, size = directory.kind(part)
    except FileNotFoundError:
        return True
    return is_folder if part == _TMP else size is not None


def _entries(directory: Directory, part: str) -> Iterator[tuple[str, int]]:
    name = directory.name_of(part)
    try:
        is_folder, size = directory.kind(part)
        if not is_folder:
            yield name, STRANGE if size is None else size
            return
        if name.count("/") == MAX_DEPTH:
            yield name, STRANGE  # nothing of a vault lies there
            return
        child = directory.child(part)
    except FileNotFoundError:
        return  # deleted since it was listed
    except StateError:
        yield name, STRANGE  # a link since it was looked at
        return
    with child:
        for inner in child.parts():
            yield from _entries(child, inner)
