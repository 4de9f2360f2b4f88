"""Small files whose digest and size are logged: fields, keys, lists of them."""

from __future__ import annotations

import hashlib
from typing import Final

from vault.errors import DigestMismatchError, FormatError
from vault.storage import Store

__all__ = ["MAX_SMALL_FILE", "read_whole"]

MAX_SMALL_FILE: Final = 2**25
"""Bytes; a file that is logged as larger is not read."""


def read_whole(store: Store, name: str, sha256: bytes, size: int) -> bytes:
    """Read a small file; raise ``DigestMismatchError`` unless it is the one that was logged."""
    if size > MAX_SMALL_FILE:
        raise FormatError("file", "larger than such a file can be", name)
    try:
        # One byte more than expected shows a file that was extended.
        data = store.read(name, 0, size + 1)
    except FileNotFoundError:
        raise DigestMismatchError("file", "missing", name) from None
    if len(data) != size or hashlib.sha256(data).digest() != sha256:
        raise DigestMismatchError("file", "not the one that was logged", name)
    return data
