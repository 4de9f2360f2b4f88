"""What a vault shows to whoever finds it and has no key: exactly that, and no more.

:func:`exposed` asks for nothing and changes nothing. It goes as far as it can on a vault that is
damaged; what can't be read is data. It looks at the vault's directory alone: not at what else lies
on the medium, deleted files or old blocks among it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from vault.auditing.report import Finding
from vault.errors import NotAVaultError, VaultError
from vault.expected import expected_files
from vault.exposed.directory import (
    ROOMS,
    Content,
    Kind,
    Room,
    Status,
    StoredFile,
    content_of,
    stored_files,
)
from vault.exposed.history import (
    Bundle,
    Handover,
    History,
    Span,
    Worker,
    read_history,
    vault_ids,
)
from vault.layout import FORMAT_NAME, LOG
from vault.replacement import Replacements
from vault.storage import Store

__all__ = [
    "ROOMS",
    "Bundle",
    "Content",
    "Exposure",
    "Handover",
    "History",
    "Kind",
    "Room",
    "Span",
    "Status",
    "StoredFile",
    "Worker",
    "exposed",
    "vault_ids",
]


@final
@dataclass(frozen=True, slots=True)
class Exposure:
    """What shows of a vault.

    ``files`` are all entries of its directory, by name; ``logged`` says for each file that an event
    calls for which one; ``replaced`` which file took the place of another when it was encrypted
    again, as a public manifest says (old name to new). ``trouble`` is what could not be read.
    """

    place: str
    files: tuple[StoredFile, ...]
    history: History
    logged: Mapping[str, int]
    replaced: Mapping[str, str]
    trouble: tuple[Finding, ...]


def exposed(store: Store) -> Exposure:
    """Return all that a vault shows without a key.

    Raises ``NotAVaultError`` for a place with nothing of a vault.
    """
    # Whether they are there, and no more: a look inside would move the time of access.
    if not (store.exists(FORMAT_NAME) or store.exists(LOG)):
        raise NotAVaultError(store.place, "neither FORMAT nor log")
    files, unlisted = stored_files(store)
    names = [file.name for file in files if file.kind != "directory"]
    history, unread = read_history(store, names)
    replacements = Replacements(store)
    expected = expected_files(history.events, history.state, replacements)
    logged = {name: file.seq for name, file in expected.items()}
    replaced, damaged = _replaced(replacements, history)
    return Exposure(
        place=store.place,
        files=tuple(
            replace(file, content=content_of(store, file)) if _is_read(file, logged) else file
            for file in files
        ),
        history=history,
        logged=logged,
        replaced=replaced,
        trouble=(*unlisted, *unread, *damaged),
    )


def _is_read(file: StoredFile, logged: Mapping[str, int]) -> bool:
    """Say whether a look into a file tells more than its name: not for the log, which is read, and
    not for what the log says to be encrypted.
    """
    if file.kind != "file" or file.room in ("log", "lock"):
        return False
    encrypted = file.room in ("bundles", "fields", "keys") and not file.name.endswith(".files")
    return not (encrypted and file.name in logged)


def _replaced(replacements: Replacements, history: History) -> tuple[dict[str, str], list[Finding]]:
    found: dict[str, str] = {}
    trouble = []
    for rekeying in history.state.rekeyings.values():
        try:
            manifest = replacements.of(rekeying)
        except (OSError, VaultError) as error:
            place = getattr(error, "where", "") or f"event {rekeying.seq}"
            trouble.append(Finding("unreadable", "altered", place, str(error)))
            continue
        found |= {name: one.new for name, one in manifest.items()}
    return found, trouble
