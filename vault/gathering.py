"""Finding what is to be sealed: folders are walked, and what can't be sealed is known beforehand.

Nothing is read but directories, no link is followed, and no FIFO is waited for. The names given to
what is found are relative to the folder that was named, with the folder's own name in front and
``/`` between components, on every system.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from vault.errors import SourceUnreadableError
from vault.sealing import check_sealable

__all__ = ["Found", "Gathered", "Unsealable", "gather"]


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A readable regular file of ``size`` bytes, at or below ``top``, which was named; ``name`` is
    bytes where it is not UTF-8.
    """

    path: Path
    name: str | bytes
    size: int
    top: Path


@final
@dataclass(frozen=True, slots=True)
class Unsealable:
    """Something that can't be sealed, and ``why``."""

    path: Path
    name: str | bytes
    why: str


@final
@dataclass(frozen=True, slots=True)
class Gathered:
    """What lies at and below the paths that were named, each in the order of its name's bytes."""

    files: tuple[Found, ...]
    unsealable: tuple[Unsealable, ...]
    empty: tuple[Path, ...]


def gather(
    paths: Sequence[str | os.PathLike[str]], *, vault: str | os.PathLike[str] | None = None
) -> Gathered:
    """Walk ``paths``, files and folders, in the order given.

    Links, devices, FIFOs, sockets, what may not be read, and ``vault`` (the directory that it would
    all go into) are ``unsealable``; folders with nothing in them are ``empty``. Raises ``OSError``
    for a named path that is missing.
    """
    inside = _key(Path(vault).stat()) if vault is not None else None
    files: list[Found] = []
    unsealable: list[Unsealable] = []
    empty: list[Path] = []
    for path in paths:
        top = Path(path)
        top.lstat()
        # abspath and not resolve: a link is named as such, and "." has the name of its folder.
        name = os.path.basename(os.path.abspath(top))  # noqa: PTH100, PTH119
        for one in _walk(top, os.fsencode(name), inside):
            if isinstance(one, Found):
                files.append(one)
            elif isinstance(one, Unsealable):
                unsealable.append(one)
            else:
                empty.append(one)
    return Gathered(tuple(files), tuple(unsealable), tuple(empty))


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _walk(
    top: Path, name: bytes, vault: tuple[int, int] | None
) -> Iterator[Found | Unsealable | Path]:
    # A list and not recursion: how deep a folder goes is not ours to choose.
    waiting = [(top, name)]
    while waiting:
        path, raw = waiting.pop()
        try:
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                yield Found(path, _name(raw), check_sealable(path).st_size, top)
                continue
            if _key(status) == vault:
                yield Unsealable(path, _name(raw), "the vault itself")
                continue
            entries = sorted(os.fsencode(entry) for entry in os.listdir(path))  # noqa: PTH208
        except SourceUnreadableError as error:
            yield Unsealable(path, _name(raw), error.why)
            continue
        except OSError as error:
            yield Unsealable(path, _name(raw), error.strerror or "not readable")
            continue
        if not entries:
            yield path
        prefix = raw + b"/" if raw else b""
        waiting += [(path / os.fsdecode(entry), prefix + entry) for entry in reversed(entries)]


def _name(raw: bytes) -> str | bytes:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
