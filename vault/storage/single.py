"""One small file outside a vault, written durably and whole: an identity file, a card."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from vault.storage.durability import Directory, close_quietly, named, sync_file, write_all

__all__ = ["write_file"]


def write_file(path: str | os.PathLike[str], data: bytes, *, replace: bool = False) -> None:
    """Write ``data`` to ``path``, mode 0600, so that it appears whole or not at all.

    Raises ``FileExistsError`` if something goes by that name; with ``replace`` the old file stays
    until the new one is durable. An error leaves no new file.
    """
    folder, part = os.path.split(os.path.abspath(path))  # noqa: PTH100  (resolve() follows links)
    new = f".{part}.{secrets.token_hex(4)}.new"
    with Directory.root(folder) as directory:
        fd = directory.create(new)
        try:
            try:
                with named(directory.path_of(new)):
                    write_all(fd, data)
                    sync_file(fd)
            finally:
                close_quietly(fd)
            (directory.replace if replace else directory.move)(new, directory, part)
        except BaseException:
            with suppress(FileNotFoundError):
                directory.unlink(new)
            raise
        directory.sync()
