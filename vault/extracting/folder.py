"""A new folder that is filled through directory handles, and that goes again if anything fails."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self, final

from vault.errors import NoSpaceError
from vault.pipeline import Buffer
from vault.storage.durability import Directory, close_quietly, named, write_all
from vault.storage.removal import remove_tree

__all__ = ["NewFolder"]

_ROOM = 4096
"""Bytes counted for each file beside its content."""


@final
class NewFolder:
    """A folder that was not there before; a context manager that removes it after an error.

    Nothing in it is reached over a path: each component is opened in the one above it, without
    following a link (see :mod:`vault.storage.durability`).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make it, mode 0700. Raises ``FileExistsError`` if anything goes by that name."""
        self.path = os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links)
        above, self._part = os.path.split(self.path)
        with ExitStack() as stack:
            self._above = stack.enter_context(Directory.root(above))
            if not self._part:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
            self._above.make_new(self._part)
            self._top = stack.enter_context(self._above.child(self._part))
            if self._top.parts():
                # Whoever else may write to the folder above put another in its place.
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
            self._open = stack.pop_all()

    def check_space(self, sizes: Sequence[int]) -> None:
        """Raise ``NoSpaceError`` unless files of these sizes find room."""
        needed = sum(sizes) + _ROOM * (len(sizes) + 2)
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise NoSpaceError(self.path, needed, free)

    def write(
        self, parts: Sequence[str], fill: Callable[[Callable[[Buffer], None]], object]
    ) -> None:
        """Make a file, which must be new, below folders that are made when they are missing.

        ``fill`` is called once with what takes the file's bytes. The file has its name once it is
        whole: a process that is killed leaves nothing torn that could pass for it.
        """
        with ExitStack() as stack:
            directory = self._top
            for part in parts[:-1]:
                directory.make(part)
                directory = stack.enter_context(directory.child(part))
            new = f".{secrets.token_hex(8)}.part"
            descriptor = directory.create(new)
            place = directory.path_of(parts[-1])

            def take(data: Buffer) -> None:
                with named(place):
                    write_all(descriptor, data)

            try:
                fill(take)
            finally:
                close_quietly(descriptor)
            directory.move(new, directory, parts[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._open:
            if error is None:
                return
            # By its handle: its name may lead to another folder by now, that somebody put there.
            for part in self._top.parts():
                remove_tree(self._top, part)
            if self._above.leads_to(self._part, self._top):
                self._above.remove(self._part)
