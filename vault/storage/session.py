"""Locks, and the place in ``tmp/`` where one writer's files wait to be moved into the vault.

A session is ``tmp/<16 hex digits>/`` with the lock file ``tmp/<the same>.lock`` beside it, held as
long as the session lives: made before the directory and removed after it. Who wins that lock knows
that the writer is gone and may remove both.

All locks are the system's own (``flock``, ``LockFileEx``), so they end with their process. A file
system without them raises ``OSError``; a file that merely exists is never taken for a lock.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from filelock import FileLock, Timeout

from vault.errors import LockedError, StateError
from vault.storage.durability import (
    Directory,
    close_quietly,
    named,
    open_chain,
    sync_file,
    write_all,
)
from vault.storage.removal import remove_tree

if TYPE_CHECKING:
    from vault.storage.base import Buffer

__all__ = ["Session", "inspect_sessions", "is_locked", "sweep", "vault_lock"]

_logger = logging.getLogger("vault")

_TMP: Final = "tmp"
_LOCK: Final = "lock"
_ENTRY: Final = re.compile(r"([0-9a-f]{16})(\.lock)?\Z")
_POLL: Final = 0.005  # seconds: the lock is held for milliseconds
_SESSION_TIMEOUT: Final = 10.0  # seconds: only a sweeper ever competes, for an instant
_WINDOWS = sys.platform == "win32"


def _vault_lock(root: Path, timeout: float) -> FileLock:
    # The file stays: if it were removed, one process could lock the old file and another a new one.
    return FileLock(
        root / _LOCK,
        timeout=timeout,
        mode=0o600,
        poll_interval=_POLL,
        fallback_to_soft=False,
        preserve_lock_file=True,
    )


@contextmanager
def vault_lock(root: Path, timeout: float) -> Iterator[None]:
    """Hold the vault's lock. Raises ``LockedError`` after ``timeout`` seconds."""
    with open_chain(root, ""):  # filelock would make a directory that is gone
        pass
    lock = _vault_lock(root, timeout)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(str(root), f"another writer held the lock for {timeout:g} s") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(root: Path) -> bool:
    """Return whether somebody holds the vault's lock at this instant."""
    if not (root / _LOCK).exists():
        return False
    lock = _vault_lock(root, 0)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _entry_lock(root: Path, entry: str) -> FileLock:
    # Not thread-local: a store may be closed by another thread than the one that first wrote.
    return FileLock(
        root / _TMP / f"{entry}.lock",
        timeout=_SESSION_TIMEOUT,
        mode=0o600,
        poll_interval=_POLL,
        fallback_to_soft=False,
        thread_local=False,
    )


def _remove_entry(root: Path, entry: str, lock: FileLock) -> None:
    """Remove a session whose lock is held, and let go of the lock."""
    try:
        with open_chain(root, _TMP) as chain:
            with suppress(FileNotFoundError):
                remove_tree(chain[-1], entry)
            # While it is held: who waits for the lock finds its file unlinked and begins again. On
            # Windows an open file can't be removed, and filelock does it at the release.
            if not _WINDOWS:
                with suppress(FileNotFoundError):
                    chain[-1].unlink(f"{entry}.lock")
    finally:
        lock.release()


@final
class Session:
    """One writer's own directory under ``tmp/``. Its files are named by a counter."""

    def __init__(self, root: Path) -> None:
        self.entry = secrets.token_hex(8)
        self.process = os.getpid()
        self._root = root
        self._lock = _entry_lock(root, self.entry)
        self._count = itertools.count()
        with open_chain(root, _TMP, make=True) as chain:
            self._lock.acquire()
            try:
                chain[-1].make(self.entry)
                self.directory: Directory = chain[-1].child(self.entry)
            except BaseException:
                _remove_entry(root, self.entry, self._lock)
                raise

    def next_part(self) -> str:
        """Return a name that is free in the session's directory."""
        return str(next(self._count))

    def write(self, data: Buffer) -> str:
        """Write a durable file; return its name in the directory. An error leaves nothing."""
        part = self.next_part()
        fd = self.directory.create(part)
        try:
            with named(self.directory.path_of(part)):
                write_all(fd, data)
                sync_file(fd)
        except BaseException:
            close_quietly(fd)
            self.discard(part)
            raise
        close_quietly(fd)
        return part

    def discard(self, part: str) -> None:
        """Remove what may still be there under this name."""
        with suppress(OSError):  # what stays goes with the session, or with a sweep
            remove_tree(self.directory, part)

    def close(self) -> None:
        """Remove the directory and the lock file. What can't be removed now goes with a sweep: what
        was done with the store is durable, and is not to be reported as an error.
        """
        self.directory.close()
        if self.process != os.getpid():
            return  # a fork: they are the parent's, and filelock has let go of the lock here
        try:
            _remove_entry(self._root, self.entry, self._lock)
        except (OSError, StateError) as error:
            _logger.warning("temporary files were not deleted: %s", error)


def _entries(root: Path) -> tuple[list[str], int]:
    """Return the sessions in ``tmp/``, and how many entries are something else."""
    try:
        with open_chain(root, _TMP) as chain:
            parts = chain[-1].parts()
            # A directory or a link is nobody's lock: one that can't be held bars its session.
            strange = {
                part for part in parts if part.endswith(".lock") and not _is_file(chain[-1], part)
            }
    except FileNotFoundError:
        return [], 0
    barred = {part.removesuffix(".lock") for part in strange}
    matches = [(part, _ENTRY.match(part)) for part in parts if part not in strange]
    others = len(strange) + sum(match is None for _, match in matches)
    return sorted({match[1] for _, match in matches if match} - barred), others


def _is_file(directory: Directory, part: str) -> bool:
    try:
        return directory.kind(part)[1] is not None
    except FileNotFoundError:
        return True  # gone with its session meanwhile


def sweep(root: Path, own: str | None) -> int:
    """Remove each session whose lock can be won; return how many. ``own`` is left alone."""
    swept = 0
    for entry in _entries(root)[0]:
        if entry == own:
            continue
        lock = _entry_lock(root, entry)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        _remove_entry(root, entry, lock)
        swept += 1
    return swept


def inspect_sessions(root: Path) -> tuple[int, int]:
    """Return (sessions in ``tmp/``, entries there that no store made)."""
    entries, others = _entries(root)
    return len(entries), others
