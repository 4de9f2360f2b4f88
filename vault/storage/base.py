"""What a vault needs of the place that it lies in: the :class:`Store` protocol (docs/spec.md).

A store holds files of bytes under relative names. It knows nothing of what is in them but this:

- every file is written once and never changes, apart from ``log/checkpoint``;
- replacing ``log/checkpoint`` is the only commit point, reached by :meth:`Store.commit` alone;
- what a method acknowledged by returning is durable: it outlives the process and the power.

An ``OSError`` passes through as the system raised it, with the file's place in ``filename``. Below
the vault no link is ever followed: what is neither a regular file nor a directory raises
``StateError`` when it is read, and :meth:`Store.list` names it with the size ``STRANGE``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

from vault.layout import CHECKPOINT, FORMAT_NAME

__all__ = [
    "PENDING",
    "STRANGE",
    "Buffer",
    "Reader",
    "Stage",
    "Store",
    "Writer",
    "check_created_name",
    "check_name",
    "check_part",
    "without_room",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

PENDING: Final = f"{CHECKPOINT}.next"
"""A checkpoint that is signed, and not yet renamed into its place."""
STRANGE: Final = -1
"""The size that ``list`` gives for what is neither a regular file nor a directory; for a directory
that lies deeper than any file of a vault; and for a ``PRIVATE`` name that no store made.
"""
PRIVATE: Final = frozenset({"lock", "tmp"})
"""Names at the top that belong to the store itself and not to the format."""

_PART: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,254}\Z")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")


def check_part(part: str) -> None:
    """Raise ``ValueError`` unless ``part`` can be one component of a name, on every file system.

    1 to 255 characters of ``[a-z0-9._-]``, no dot at the start (hidden, ``.``, ``..``) or the end
    (which Windows drops), and no device of Windows (``nul``, ``com1.x``).
    """
    if not _PART.match(part) or part.endswith(".") or _DEVICE.match(part):
        raise ValueError(f"not a name for a vault's file: {part!r}")


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless ``name`` names a file or directory of a vault's format.

    Components after :func:`check_part`, with ``/`` between them; ``FORMAT`` is the one name with
    capitals. ``lock`` and ``tmp`` at the top are the store's own.
    """
    if name == FORMAT_NAME:
        return
    parts = name.split("/")
    for part in parts:
        check_part(part)
    if parts[0] in PRIVATE:
        raise ValueError(f"a name that the store keeps for itself: {name!r}")


def check_created_name(name: str) -> None:
    """Raise ``ValueError`` unless ``name`` may be created or deleted by itself: after
    :func:`check_name`, and not the checkpoint, which only a commit moves.
    """
    check_name(name)
    if name in (CHECKPOINT, PENDING):
        raise ValueError(f"only a commit writes {name!r}")


def without_room(content: bytes) -> bytes:
    """Return what ``log/checkpoint.next`` holds, without what is left of the room that a commit
    reserved before it signed: NUL bytes. Empty: no signature was made, so nothing is pending.

    Power may go when a checkpoint is written and the room behind it is not cut off yet. It was
    signed all the same: it is finished, and never overwritten by another of its size.
    """
    return content.rstrip(b"\0")


class Reader(Protocol):
    """A file that is open for reading at any place; usable from several threads."""

    @property
    def name(self) -> str:
        """The name that it was opened by."""
        ...

    @property
    def size(self) -> int:
        """The size in bytes when it was opened."""
        ...

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` with what begins at ``offset``; return the count of bytes, which is less
        than the buffer holds only at the end of the file.
        """
        ...

    def close(self) -> None:
        """Close the file; again does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...


class Writer(Protocol):
    """A file that is being written and that nobody sees until :meth:`commit`.

    As a context manager it aborts unless it was committed. After an error in :meth:`write` or
    :meth:`commit` nothing but :meth:`abort` is left to do: a failed flush is never tried again on
    the same file, because the system may have dropped what it could not write and then report
    success. Every further call is ``ValueError``.
    """

    def write(self, data: Buffer) -> None:
        """Write all of ``data``, any contiguous buffer."""
        ...

    def commit(self) -> None:
        """Make the file durable, under its name. Raises ``FileExistsError`` if that is taken."""
        ...

    def abort(self) -> None:
        """Leave nothing behind; after a commit or an abort does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...


class Stage(Protocol):
    """A flat directory that is being filled and that appears whole, with :meth:`publish`.

    As a context manager it aborts unless it was published.
    """

    def create(self, name: str) -> Writer:
        """Begin a file, ``name`` being one component. Its ``commit`` makes the content durable."""
        ...

    def open(self, name: str) -> Reader:
        """Open a committed file, to read back what was written."""
        ...

    def drop_cache(self) -> bool:
        """Ask the system to forget what it caches of the committed files, so that reading them
        comes from the medium; return whether it can be asked.
        """
        ...

    def publish(self, name: str) -> None:
        """Make the directory durable under ``name``. Raises ``FileExistsError`` if that is taken,
        and ``ValueError`` while a writer is open or if nothing is in it. Close every reader first
        (Windows needs it). After an ``OSError`` the stage is gone.
        """
        ...

    def abort(self) -> None:
        """Leave nothing behind; after a publication or an abort does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...


class Store(Protocol):
    """Where a vault lies. Every ``name`` is held to :func:`check_name`.

    Reading needs no lock, no write access, and may go on in several threads while others write.
    """

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        ...

    def open(self, name: str) -> Reader:
        """Open a file. Raises ``FileNotFoundError``, or ``StateError`` if it is no regular file."""
        ...

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Return ``size`` bytes from ``start``, fewer at the end; None: all. Raises as ``open``."""
        ...

    def size(self, name: str) -> int:
        """Return a file's size in bytes. Raises as ``open``."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether anything at all, file or directory, goes by that name.

        Whether a directory that has become empty still counts is left to the store.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of every file at or below ``prefix``, in the order of the
        names' components; nothing if there is none.

        A link, a device, a FIFO or a socket has the size ``STRANGE`` and is not looked into. A name
        that :func:`check_name` refuses is given as it stands (bytes that are no UTF-8 as surrogate
        escapes). What belongs to the store itself (``lock``, ``tmp/``) is left out. What comes and
        goes meanwhile may or may not be there.
        """
        ...

    def create(self, name: str) -> Writer:
        """Begin a file that appears whole, durable, and only if ``name`` is free, at ``commit``."""
        ...

    def stage(self) -> Stage:
        """Begin a directory that appears whole."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file, durably. Raises ``FileNotFoundError``."""
        ...

    def delete_tree(self, prefix: str) -> None:
        """Delete a directory with everything in it, following no link, durably.

        Raises ``FileNotFoundError``. An interruption may leave a part of it: delete again.
        """
        ...

    def pending(self) -> bytes | None:
        """Return a checkpoint that was signed but may not have been put in its place, or None.

        Whether it is a valid successor, the caller judges. It may be another writer's that is
        still at work: :meth:`finish` then waits for it and raises ``ConflictError``.
        """
        ...

    def finish(self, expected: bytes | None, pending: bytes) -> None:
        """Put a pending checkpoint, judged to be a valid successor, durably in its place.

        ``expected`` is the checkpoint that it follows (None: there is none). Raises
        ``ConflictError`` if either is no longer what is stored, ``LockedError``.
        """
        ...

    def commit(
        self,
        expected: bytes | None,
        files: Mapping[str, bytes],
        sign: Callable[[], bytes],
        *,
        judged: bytes | None = None,
        clear: Mapping[str, frozenset[str]] = {},
    ) -> None:
        """Move the vault from checkpoint ``expected`` (None: none yet) to what ``sign`` returns.

        1. Raise ``ConflictError`` if the checkpoint is not ``expected``, or if there is a pending
           one that is not ``judged``: the bytes that the caller found to be no valid successor.
        2. ``clear``: in each of these directories delete the regular files whose last component is
           not in the set (leftovers beyond the checkpoint, superseded partial tiles), then the
           directory itself if that empties it.
        3. Make ``files`` durable. They may replace leftovers.
        4. Call ``sign``, once. It returns the new checkpoint and may not itself commit.
        5. Make that durable in the checkpoint's place.

        An error before or in ``sign`` leaves the checkpoint as it was. After ``sign`` was called
        an ``OSError`` means that the outcome is not known: :meth:`pending`, and then the
        checkpoint, say what came of it. Raises ``LockedError`` if others hold the lock for long.
        """
        ...

    def sweep(self) -> int:
        """Remove what writers that are dead left in ``tmp/``; return how many they were."""
        ...

    def free_space(self) -> int | None:
        """Return the bytes that can still be written, None where that is not known."""
        ...

    def writable(self) -> bool:
        """Return whether writing looks possible; nothing is written to find out."""
        ...

    def describe(self) -> dict[str, str | int | bool | None]:
        """Return facts about the place, for a person who looks for a fault."""
        ...

    def close(self) -> None:
        """Let go of what the store holds, ``tmp/`` entries included; reading still works."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...
