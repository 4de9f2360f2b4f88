"""A vault's directory as the file system shows it to anybody: names, sizes, times, owners.

All of it is looked at before a byte is read, because reading can move the times of access. No link
is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.auditing.places import fetch, list_files
from vault.auditing.report import Finding
from vault.errors import FormatError, StateError
from vault.layout import BUNDLES, CHECKPOINT, FIELDS, FORMAT_CONTENT, FORMAT_NAME, KEYS, LOG
from vault.storage import PENDING, STRANGE, LocalStore, Store
from vault.storage.durability import Directory, open_chain
from vault.tlog.tiles import Tile, parse_tile_path

__all__ = [
    "ROOMS",
    "Content",
    "Kind",
    "Room",
    "Status",
    "StoredFile",
    "content_of",
    "stored_files",
    "tile_of",
]

Kind: TypeAlias = Literal["directory", "file", "link", "other"]
Room: TypeAlias = Literal[
    "vault", "format", "log", "bundles", "fields", "keys", "foreign", "lock", "tmp", "strangers"
]
Content: TypeAlias = Literal["age", "empty", "format", "other", "unread"]

ROOMS: Final[tuple[Room, ...]] = (
    "vault",
    "format",
    "log",
    "bundles",
    "fields",
    "keys",
    "foreign",
    "lock",
    "tmp",
    "strangers",
)
_TOPS: Final[dict[str, Room]] = {
    FORMAT_NAME: "format",
    BUNDLES: "bundles",
    FIELDS: "fields",
    KEYS: "keys",
    "foreign": "foreign",
    "lock": "lock",
    "tmp": "tmp",
}
_AGE: Final = b"age-encryption.org/v1\n"
_DEEPEST: Final = 32
"""Directories within one another that are looked into; those of the format are fewer than half."""


@final
@dataclass(frozen=True, slots=True)
class Status:
    """What the file system keeps of an entry: times in nanoseconds since 1970, permission bits,
    the numbers of its owner and group. ``changed`` is the time of making on Windows.
    """

    modified: int
    accessed: int
    changed: int
    mode: int
    owner: int
    group: int


@final
@dataclass(frozen=True, slots=True)
class StoredFile:
    """One entry below the vault's directory; ``.``, in the room ``vault``, is that itself.

    ``size`` in bytes (0 for what is no file). ``status`` is None in a store that keeps none.
    ``target`` is where a link leads. ``content`` says how a file begins that is not read
    otherwise; ``unread`` where nobody looked, or nobody could.
    """

    name: str
    room: Room
    kind: Kind
    size: int
    status: Status | None = None
    target: str = ""
    content: Content = "unread"


def tile_of(name: str) -> Tile | None:
    """Return the tile of the log that goes by this name in a vault, if any does."""
    try:
        return parse_tile_path(name.removeprefix(f"{LOG}/"))
    except FormatError:
        return None


def _room(name: str, kind: Kind) -> Room:
    top = name.partition("/")[0]
    if top == LOG:
        own = kind == "directory" or name in (CHECKPOINT, PENDING) or tile_of(name) is not None
        return "log" if own else "strangers"
    return _TOPS.get(top, "strangers")


def stored_files(store: Store) -> tuple[tuple[StoredFile, ...], tuple[Finding, ...]]:
    """Return everything that is there, in the order of names, and what could not be listed.

    Raises ``NotAVaultError`` for a directory that is gone.
    """
    if isinstance(store, LocalStore):
        trouble: list[Finding] = []
        with open_chain(store.path, "") as chain:
            root = os.stat(store.path)  # noqa: PTH116 - beside its kin
            files = [StoredFile(".", "vault", "directory", 0, _status(root))]
            files += _walk(chain[-1], 1, trouble)
        return tuple(files), tuple(trouble)
    found, missed = list_files(store)
    kinds: dict[str, Kind] = {
        name: "other" if size == STRANGE else "file" for name, size in found.items()
    }
    return tuple(
        StoredFile(name, _room(name, kinds[name]), kinds[name], max(size, 0))
        for name, size in found.items()
    ), tuple(missed)


def _status(info: os.stat_result) -> Status:
    return Status(
        modified=info.st_mtime_ns,
        accessed=info.st_atime_ns,
        changed=info.st_ctime_ns,
        mode=stat.S_IMODE(info.st_mode),
        owner=info.st_uid,
        group=info.st_gid,
    )


def _walk(directory: Directory, depth: int, trouble: list[Finding]) -> Iterator[StoredFile]:
    try:
        parts = directory.parts()
    except OSError as error:
        trouble.append(_unlisted(directory.name or ".", error.strerror))
        return
    for part in parts:
        name = directory.name_of(part)
        try:
            info = directory.stat(part)
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError as error:
            trouble.append(_unlisted(name, error.strerror))
            continue
        file = _entry(directory, part, info)
        yield file
        if file.kind != "directory":
            continue
        if depth == _DEEPEST:
            trouble.append(_unlisted(name, f"more than {_DEEPEST} directories deep"))
            continue
        try:
            child = directory.child(part)
        except (OSError, StateError) as error:
            trouble.append(_unlisted(name, getattr(error, "strerror", None)))
            continue
        with child:
            yield from _walk(child, depth + 1, trouble)


def _entry(directory: Directory, part: str, info: os.stat_result) -> StoredFile:
    name, target = directory.name_of(part), ""
    kind: Kind = "other"
    if stat.S_ISDIR(info.st_mode):
        kind = "directory"
    elif stat.S_ISREG(info.st_mode):
        kind = "file"
    elif stat.S_ISLNK(info.st_mode):
        kind = "link"
        with suppress(OSError):  # gone since it was looked at
            target = os.readlink(directory.path_of(part))  # noqa: PTH115 - as it stands there
    size = info.st_size if kind == "file" else 0
    return StoredFile(name, _room(name, kind), kind, size, _status(info), target)


def _unlisted(name: str, why: str | None) -> Finding:
    return Finding("unreadable", "altered", name, why or "not listed")


def content_of(store: Store, file: StoredFile) -> Content:
    """Say how a file (not a link, nor a directory) begins.

    What is in ``tmp/``, or goes by a name that no vault has, is read where it lies.
    """
    if not file.size:
        return "empty"
    start = _start(store, file)
    if start is None:
        return "unread"
    if file.room == "format" and start == FORMAT_CONTENT:
        return "format"
    return "age" if start.startswith(_AGE) else "other"


def _start(store: Store, file: StoredFile) -> bytes | None:
    try:
        if isinstance(store, LocalStore):
            folder, _, part = file.name.rpartition("/")
            with open_chain(store.path, folder) as chain:
                return _read(chain, part)
        found = fetch(store, file.name, len(_AGE))
    except (OSError, StateError, ValueError):
        return None
    return None if isinstance(found, Finding) else found


def _read(chain: Sequence[Directory], part: str) -> bytes:
    descriptor, _ = chain[-1].open(part)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return file.read(len(_AGE) + 1)
