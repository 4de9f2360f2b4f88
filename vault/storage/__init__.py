"""Where a vault lies: the :class:`Store` protocol, and a directory or memory behind it."""

from __future__ import annotations

from vault.storage.base import (
    PENDING,
    STRANGE,
    Buffer,
    Reader,
    Stage,
    Store,
    Writer,
    check_name,
)
from vault.storage.local import LocalStore
from vault.storage.memory import MemoryStore

__all__ = [
    "PENDING",
    "STRANGE",
    "Buffer",
    "LocalStore",
    "MemoryStore",
    "Reader",
    "Stage",
    "Store",
    "Writer",
    "check_name",
]
