"""File names made safe: what an item was called, as something that every file system takes. Pure.

What was sealed came from any system, and may have been named to harm the one who opens it. A name
becomes relative components that no system reads as anything else: no root, drive, ``..``, control
or bidirectional character, device of Windows, trailing dot or space; none too long; and no two that
differ by case or composition alone. Whatever is changed is named, so that it can be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.codec import nfc

__all__ = ["Change", "SafeName", "safe_names"]

Change: TypeAlias = Literal[
    "absolute", "characters", "collision", "device", "empty", "parent", "too-long", "trailing"
]

_MAX_COMPONENT: Final = 200  # bytes; 255 is what file systems take, and a number may be added
_MAX_DEPTH: Final = 32
_RESERVED: Final = frozenset('<>:"|?*\\')
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|\Z)", re.IGNORECASE
)


@final
@dataclass(frozen=True, slots=True)
class SafeName:
    """Components of a relative path, and what was changed to get there (sorted; none: nothing)."""

    parts: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def path(self) -> str:
        """The components with ``/`` between them."""
        return "/".join(self.parts)


def safe_names(names: Iterable[tuple[int, str | bytes]]) -> dict[int, SafeName]:
    """Return a safe name for each (number, original name), by number.

    Characters that can't stay are written as ``%`` and the hexadecimal digits of their UTF-8; an
    item whose name is taken gets its number into its name. Folders that differ by case or
    composition alone become one.
    """
    tree = _Tree()
    found = {}
    for number, name in names:
        changes: set[Change] = set()
        parts = _components(name, changes)
        placed = tree.place(parts, number)
        if placed != parts:
            changes.add("collision")
        found[number] = SafeName(placed, tuple(sorted(changes)))
    return found


def _components(name: str | bytes, changes: set[Change]) -> tuple[str, ...]:
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.startswith("/"):
        changes.add("absolute")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if len(parts) > _MAX_DEPTH:
        changes.add("too-long")
        parts = [*parts[: _MAX_DEPTH - 1], "/".join(parts[_MAX_DEPTH - 1 :])]
    if not parts:
        changes.add("empty")
        return ("unnamed",)
    return tuple(_component(part, changes) for part in parts)


def _component(part: str, changes: set[Change]) -> str:
    if part == "..":
        changes.add("parent")
        return "%2E%2E"
    safe = "".join(c if c.isprintable() and c not in _RESERVED | {"/"} else _hex(c) for c in part)
    if safe != part:
        changes.add("characters")
    kept = safe.rstrip(". ")
    if kept != safe:
        changes.add("trailing")
        safe = kept + "".join(_hex(c) for c in safe[len(kept) :])
    if _DEVICE.match(safe):
        changes.add("device")
        safe = f"_{safe}"
    short = _shortened(safe)
    if short != safe:
        changes.add("too-long")
    return short


def _hex(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def _shortened(part: str) -> str:
    """Cut a component to its limit, keeping its extension."""
    raw = part.encode("utf-8")
    if len(raw) <= _MAX_COMPONENT:
        return part
    stem, dot, extension = part.rpartition(".")
    end = dot + extension if stem and len(extension.encode("utf-8")) <= 16 else ""
    start = raw[: _MAX_COMPONENT - len(end.encode("utf-8")) - 1]
    return start.decode("utf-8", "ignore").rstrip(". ") + "~" + end


def _key(part: str) -> str:
    # What HFS+, NTFS and FAT hold to be one name, and a little more.
    return nfc(nfc(part).casefold())


class _Tree:
    """The names given so far: a folder's spelling by its key, and the keys of files."""

    def __init__(self) -> None:
        self._folders: dict[tuple[str, ...], str] = {}
        self._files: set[tuple[str, ...]] = set()

    def place(self, parts: tuple[str, ...], number: int) -> tuple[str, ...]:
        above: tuple[str, ...] = ()
        placed: list[str] = []
        for part in parts[:-1]:
            folder = part
            while (*above, _key(folder)) in self._files:
                folder = f"{folder} (folder)"
            above = (*above, _key(folder))
            placed.append(self._folders.setdefault(above, folder))
        name = parts[-1]
        count = 0
        while (key := (*above, _key(name))) in self._files or key in self._folders:
            name = _numbered(parts[-1], number, count)
            count += 1
        self._files.add(key)
        return (*placed, name)


def _numbered(part: str, number: int, count: int) -> str:
    stem, dot, extension = part.rpartition(".")
    again = f" {count + 1}" if count else ""
    mark = f" (item {number}{again})"
    return f"{stem}{mark}{dot}{extension}" if stem else f"{part}{mark}"
