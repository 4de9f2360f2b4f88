"""Reading a store that may hold anything: what can't be read is a finding, and never an error.

Nothing is waited for, no link is followed, and no more is read than a sound file of its kind has.
Only a place that is gone altogether (``NotAVaultError``: a stick that was pulled out) is raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from vault.auditing.report import Finding
from vault.errors import FormatError, NotAVaultError, StateError, UnsupportedVersionError
from vault.founding import check_format
from vault.layout import LOG
from vault.pipeline import BUFFER_SIZE
from vault.storage import STRANGE, Store

__all__ = ["check_is_vault", "digest_of", "fetch", "list_files"]

_NOT_A_FILE: Final = "a link, a directory or a device"


def check_is_vault(store: Store) -> UnsupportedVersionError | None:
    """Raise ``NotAVaultError`` for a place with nothing of a vault: a damaged or missing ``FORMAT``
    alone is a finding. One of a later version is returned: the log knows better.
    """
    try:
        check_format(store)
    except UnsupportedVersionError as later:
        return later
    except (FormatError, StateError, OSError):
        try:
            log = store.exists(LOG)
        except (StateError, OSError):
            log = False
        if not log:
            raise NotAVaultError(store.place, "neither FORMAT nor log") from None
    return None


def fetch(store: Store, name: str, limit: int, missing: str = "missing") -> bytes | Finding:
    """Return a file's bytes, of a larger file the first ``limit + 1``; or why it can't be read.

    ``missing`` is the code of the finding that it is not there.
    """
    try:
        return store.read(name, 0, limit + 1)
    except FileNotFoundError:
        return Finding(missing, "altered", name)
    except NotAVaultError:
        raise
    except StateError:
        return Finding("not-a-file", "altered", name, _NOT_A_FILE)
    except OSError as error:
        return Finding("unreadable", "altered", name, error.strerror or type(error).__name__)


def digest_of(store: Store, name: str, step: Callable[[str, int], None]) -> bytes:
    """Return the SHA-256 of a file; nothing if it can't be read. ``step`` is told what was read."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BUFFER_SIZE))
    try:
        with store.open(name) as reader:
            position = 0
            while count := reader.read_into(position, buffer):
                digest.update(buffer[:count])
                position += count
                step(name, count)
    except NotAVaultError:
        raise
    except (OSError, StateError):
        return b""
    return digest.digest()


def list_files(store: Store, prefix: str = "") -> tuple[dict[str, int], list[Finding]]:
    """Return the size of every file at or below ``prefix`` (``STRANGE``: a link or a device), and a
    finding if not all of it could be listed.
    """
    found: dict[str, int] = {}
    try:
        found.update(store.list(prefix))  # what was listed before an error counts
    except NotAVaultError:
        raise
    except StateError:
        return found, [Finding("not-a-file", "altered", prefix, _NOT_A_FILE)]
    except OSError as error:
        place = prefix or store.place
        return found, [Finding("unreadable", "altered", place, error.strerror or "not listed")]
    return found, []


def is_file(size: int | None) -> bool:
    """Say whether a size that was listed is that of a file."""
    return size is not None and size != STRANGE
