"""The two ways in which a local vault's checkpoint moves; under the lock, which the caller holds.

The order of system calls, and why it is this one, stands in :mod:`vault.storage.durability`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vault.layout import CHECKPOINT, LOG
from vault.storage.base import PENDING, without_room
from vault.storage.durability import (
    Directory,
    close_quietly,
    named,
    open_chain,
    sync_chain,
    sync_file,
    write_all,
)

if TYPE_CHECKING:
    from vault.storage.session import Session

__all__ = ["commit_checkpoint", "finish_checkpoint"]

_ROOM: Final = 16384
"""Bytes reserved for a checkpoint before it is signed; two signatures make it about 3.7 KiB."""
_CHECKPOINT_PART: Final = CHECKPOINT.rpartition("/")[2]
_PENDING_PART: Final = PENDING.rpartition("/")[2]


def commit_checkpoint(
    root: Path,
    session: Session,
    files: Mapping[str, bytes],
    sign: Callable[[], bytes],
    clear: Mapping[str, frozenset[str]],
) -> None:
    """Clear, make ``files`` durable, sign, and put the new checkpoint in its place."""
    with open_chain(root, LOG, make=True) as chain:
        log = chain[-1]
        path = log.path_of(_PENDING_PART)
        new: set[str] = set()
        fd: int | None = None
        try:
            for folder, keep in clear.items():
                _clear(root, folder, keep)
            _install(root, session, files, new)
            with suppress(FileNotFoundError):
                log.unlink(_PENDING_PART)
            fd = log.create(_PENDING_PART)
            new.add(PENDING)
            with named(path):
                write_all(fd, bytes(_ROOM))
                sync_file(fd)
            _sync_folders(root, (*files, PENDING))
            session.directory.sync()
            signed = sign()
            if not without_room(signed):
                raise ValueError("an empty checkpoint")
        except BaseException:
            if fd is not None:
                close_quietly(fd)
            for name in new:
                with suppress(OSError):  # beyond the checkpoint: a leftover for the next writer
                    _unlink(root, name)
            raise
        # From here on nothing is undone: what was signed may be complete on the medium.
        try:
            with named(path):
                os.ftruncate(fd, len(signed))
                os.lseek(fd, 0, os.SEEK_SET)
                write_all(fd, signed)
                sync_file(fd)
        finally:
            close_quietly(fd)
        _switch(log)


def finish_checkpoint(root: Path, session: Session, pending: bytes) -> None:
    """Write ``pending`` anew, in place of the pending checkpoint, and put it in its place."""
    with open_chain(root, LOG) as chain:
        part = session.write(pending)
        try:
            session.directory.replace(part, chain[-1], _PENDING_PART)
        except BaseException:
            session.discard(part)
            raise
        sync_chain(chain)
        session.directory.sync()
        _switch(chain[-1])


def _switch(log: Directory) -> None:
    """Pass the commit point."""
    log.replace(_PENDING_PART, log, _CHECKPOINT_PART)
    log.sync()


def _clear(root: Path, folder: str, keep: frozenset[str]) -> None:
    above, _, last = folder.rpartition("/")
    with suppress(FileNotFoundError), open_chain(root, above) as chain:
        with chain[-1].child(last) as directory:
            for part in directory.parts():
                if part not in keep and directory.kind(part)[1] is not None:
                    directory.unlink(part)
            empty = not directory.parts()
        if empty:
            chain[-1].remove(last)


def _install(root: Path, session: Session, files: Mapping[str, bytes], new: set[str]) -> None:
    """Make the content of ``files`` durable, and rename each file into its place, on leftovers if
    need be. Those that took a free name are added to ``new``.
    """
    parts: list[str] = []
    try:
        for content in files.values():
            parts.append(session.write(content))  # noqa: PERF401  (known if the next one fails)
        for name, part in zip(files, parts, strict=True):
            folder, _, last = name.rpartition("/")
            with open_chain(root, folder, make=True) as chain:
                free = not chain[-1].has(last)
                session.directory.replace(part, chain[-1], last)
            if free:
                new.add(name)
    except BaseException:
        for part in parts:
            session.discard(part)
        raise


def _sync_folders(root: Path, names: tuple[str, ...]) -> None:
    """Flush every directory that one of ``names`` lies in, the deepest first."""
    folders: set[tuple[str, ...]] = {()}
    for name in names:
        parts = tuple(name.split("/"))
        folders.update(parts[:depth] for depth in range(1, len(parts)))
    for folder in sorted(folders, key=lambda folder: (-len(folder), folder)):
        with open_chain(root, "/".join(folder)) as chain:
            chain[-1].sync()


def _unlink(root: Path, name: str) -> None:
    folder, _, part = name.rpartition("/")
    with open_chain(root, folder) as chain:
        chain[-1].unlink(part)
