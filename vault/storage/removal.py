"""Removing trees, however deep, without following a link."""

from __future__ import annotations

import secrets
from typing import Final

from vault.storage.durability import Directory

__all__ = ["MAX_DEPTH", "remove_tree"]

MAX_DEPTH: Final = 16
"""Directories below the vault's own that a name leads through at most: the format needs eleven."""


def remove_tree(directory: Directory, part: str, depth: int = 0) -> None:
    """Remove an entry with all that is in it, following no link. Raises ``FileNotFoundError``."""
    if not directory.kind(part)[0]:
        return directory.unlink(part)
    with directory.child(part) as child:
        if depth == MAX_DEPTH:
            _raze(child)
        for inner in child.parts():
            remove_tree(child, inner, depth + 1)
    return directory.remove(part)


def _raze(directory: Directory) -> None:
    """Empty a directory, however deep others lie in it: with two of them open, and no recursion.

    No store makes such; whoever had the stick may have, so that what removes it gives up.
    """
    waiting = directory.parts()
    while waiting:
        part = waiting.pop()
        if not directory.kind(part)[0]:
            directory.unlink(part)
            continue
        with directory.child(part) as child:
            for inner in child.parts():
                if child.kind(inner)[0]:
                    up = secrets.token_hex(16)
                    child.move(inner, directory, up)
                    waiting.append(up)
                else:
                    child.unlink(inner)
        directory.remove(part)
