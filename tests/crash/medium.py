"""A medium that forgets what was not flushed: what a power cut may leave of a series of operations.

``Recording`` stands in for the functions of ``os`` that change a file system, passes every call on,
and keeps what was asked, in order. ``Recording.states`` then draws states that a cut after some of
the operations may leave. The model promises as little as a file system may:

- A file has, page by page of 4 KiB (512 bytes in the first, where small files are torn), any of the
  contents that the page had since the file's last ``fsync``, and any of the sizes. What was never
  flushed is empty at first; where the size grew before the data came, there are NULs.
- A name in a directory stands for anything that it stood for since the last ``fsync`` of that
  directory. ``anarchy`` (as FAT): each name for itself, so that a rename across directories may
  show under both names, or neither. ``journal`` (as ext4 and XFS): names as they all were at one
  moment, which is not before the last flush of any directory.
- ``fsync`` of a file makes neither its name durable nor any directory.

What is durable is so for ever. A drive that lies about flushing is another thing.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import pytest

__all__ = ["Model", "Recording", "State", "lay_out"]

Model: TypeAlias = Literal["anarchy", "journal"]
State: TypeAlias = "dict[str, bytes | None]"
"""Every name and its content; None for a directory."""

_PAGE: Final = 4096
_SECTOR: Final = 512
_ROOT: Final = 0


@dataclass(slots=True)
class _Node:
    """A file, or a directory, and all that it was: (operation, what it was from then on)."""

    folder: bool
    born: int
    flushed: int | None = None
    """The operation up to which everything is durable; None before the first flush."""
    data: bytes = b""
    versions: list[tuple[int, bytes]] = field(default_factory=list)
    names: dict[str, list[tuple[int, int | None]]] = field(default_factory=dict)
    flushes: list[int] = field(default_factory=list)


class Recording:
    """The operations below ``root`` while :meth:`watch` is entered; ``count`` of them so far.

    What is there at the start is durable. ``blind`` names flushes that the medium is to ignore
    (``file``, ``folder``): so a test sees that it matters.
    """

    def __init__(self, root: Path, blind: frozenset[str] = frozenset()) -> None:
        self.count = 0
        self.marks: list[tuple[int, int]] = []
        """(operation, number) of each :meth:`mark`."""
        self._root = os.fspath(root)
        self._blind = blind
        self._nodes: list[_Node] = [_Node(folder=True, born=0, flushed=0)]
        self._handles: dict[int, tuple[int, int]] = {}
        self._load(root, _ROOT)

    def _load(self, path: Path, folder: int) -> None:
        if not path.exists():
            # The directory itself is made within; its parent is flushed by who makes it.
            return
        for entry in sorted(path.iterdir()):
            node = self._new(folder=entry.is_dir())
            self._nodes[node].flushed = 0
            self._nodes[folder].names[entry.name] = [(0, node)]
            if entry.is_dir():
                self._load(entry, node)
            else:
                self._nodes[node].data = entry.read_bytes()
                self._nodes[node].versions = [(0, self._nodes[node].data)]

    def _new(self, *, folder: bool) -> int:
        node = _Node(folder, self.count)
        if not folder:
            node.versions = [(self.count, b"")]
        self._nodes.append(node)
        return len(self._nodes) - 1

    def mark(self, number: int) -> None:
        """Note that something, such as a size that was acknowledged, holds from here on."""
        self.marks.append((self.count, number))

    # --- watching -----------------------------------------------------------------------------

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record what this process does."""
        watched = {
            "open": self._open,
            "close": self._close,
            "write": self._write,
            "ftruncate": self._truncate,
            "fsync": self._sync,
            "lseek": self._seek,
            "mkdir": self._mkdir,
            "rename": self._rename,
            "replace": self._rename,
            "unlink": self._unlink,
            "remove": self._unlink,
            "rmdir": self._unlink,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, stand_in in watched.items():
                patch.setattr(os, name, _calling(getattr(os, name), stand_in))
            yield

    def _place(self, where: Any, folder: int | None) -> tuple[int, str] | None:
        """Return (directory, name) of a path; None if it is not below the root."""
        path = os.fspath(where)
        if folder is not None and not os.path.isabs(path):
            if folder not in self._handles:
                return None
            node, rest = self._handles[folder][0], path
        elif path.startswith(self._root + os.sep):
            node, rest = _ROOT, path[len(self._root) + 1 :]
        else:
            return None
        *parents, name = rest.split(os.sep)
        for parent in parents:
            found = self._entry(node, parent)
            if found is None:
                return None
            node = found
        return node, name

    def _entry(self, folder: int, name: str) -> int | None:
        history = self._nodes[folder].names.get(name)
        return history[-1][1] if history else None

    def _set(self, place: tuple[int, str], node: int | None) -> None:
        self.count += 1
        names = self._nodes[place[0]].names
        names.setdefault(place[1], [(0, None)]).append((self.count, node))

    def _open(self, result: int, where: Any, flags: int, *_: Any, **options: Any) -> None:
        self._handles.pop(result, None)
        if os.fspath(where) == self._root:
            self._handles[result] = (_ROOT, 0)
            return
        place = self._place(where, options.get("dir_fd"))
        if place is None:
            return
        node = self._entry(*place)
        if node is None:
            node = self._new(folder=False)
            self._set(place, node)
        elif flags & os.O_TRUNC and self._nodes[node].data:
            self._put(node, b"")
        self._handles[result] = (node, 0)

    def _close(self, _: Any, handle: int) -> None:
        self._handles.pop(handle, None)

    def _put(self, node: int, data: bytes) -> None:
        self.count += 1
        self._nodes[node].data = data
        self._nodes[node].versions.append((self.count, data))

    def _write(self, result: int, handle: int, data: Any) -> None:
        if handle in self._handles:
            node, at = self._handles[handle]
            old = self._nodes[node].data.ljust(at, b"\0")
            new = bytes(memoryview(data)[:result])
            self._put(node, old[:at] + new + old[at + result :])
            self._handles[handle] = (node, at + result)

    def _truncate(self, _: Any, handle: int, size: int) -> None:
        if handle in self._handles:
            node = self._handles[handle][0]
            self._put(node, self._nodes[node].data[:size].ljust(size, b"\0"))

    def _seek(self, result: int, handle: int, *_: Any) -> None:
        if handle in self._handles:
            self._handles[handle] = (self._handles[handle][0], result)

    def _sync(self, _: Any, handle: int) -> None:
        if handle in self._handles:
            node = self._nodes[self._handles[handle][0]]
            if ("folder" if node.folder else "file") not in self._blind:
                self.count += 1
                node.flushes.append(self.count)

    def _mkdir(self, _: Any, where: Any, *__: Any, **options: Any) -> None:
        place = self._place(where, options.get("dir_fd"))
        if place is not None:
            self._set(place, self._new(folder=True))

    def _rename(self, _: Any, old: Any, new: Any, **options: Any) -> None:
        source = self._place(old, options.get("src_dir_fd"))
        goal = self._place(new, options.get("dst_dir_fd"))
        if source is not None and goal is not None:
            node = self._entry(*source)
            self._set(goal, node)
            self._set(source, None)
            # One operation: both names change at one moment.
            names = self._nodes[goal[0]].names[goal[1]]
            names[-1] = (self.count, node)

    def _unlink(self, _: Any, where: Any, **options: Any) -> None:
        place = self._place(where, options.get("dir_fd"))
        if place is not None:
            self._set(place, None)

    # --- what may be left ---------------------------------------------------------------------

    def now(self) -> State:
        """Return what the operations made, had all of it been flushed."""
        return self._walk(lambda _, history: history[-1][1], lambda node: node.data, _ROOT)

    def state(self, cut: int, model: Model, dice: random.Random) -> State:
        """Draw a state that a cut after operation ``cut`` may leave."""
        # How much of what need not be there is there: none, all, or some of it.
        lean = dice.choice((0.0, 1.0, 0.5, 0.1, 0.9))
        moment = self._moment(cut, dice, lean) if model == "journal" else None

        def name(folder: _Node, history: list[tuple[int, int | None]]) -> int | None:
            flushed = _last(folder.flushes, cut, 0 if folder.flushed == 0 else -1)
            if moment is not None:
                return _at(history, max(flushed, moment))
            return _draw(history, flushed, cut, dice, lean)

        def content(node: _Node) -> bytes:
            return self._content(node, cut, dice, lean)

        return self._walk(name, content, _ROOT)

    def _moment(self, cut: int, dice: random.Random, lean: float) -> int:
        """Return the moment up to which a journal was written when the power went at ``cut``."""
        floor = max((_last(n.flushes, cut, 0) for n in self._nodes if n.folder), default=0)
        match lean:
            case 0.0:
                return floor
            case 1.0:
                return cut
        return dice.randint(floor, cut)

    def _content(self, node: _Node, cut: int, dice: random.Random, lean: float) -> bytes:
        flushed = _last(node.flushes, cut, 0 if node.flushed == 0 else -1)
        first = _at_index(node.versions, flushed) if flushed >= 0 else 0
        last = _at_index(node.versions, cut)
        versions = [data for _, data in node.versions[first : last + 1]]
        if len(versions) == 1:
            return versions[0]
        size = len(_pick(versions, dice, lean))
        page = _SECTOR if max(map(len, versions)) <= _PAGE * 4 else _PAGE
        pages = []
        for start in range(0, size, page):
            found = _pick(versions, dice, lean)[start : start + page]
            pages.append(found.ljust(min(page, size - start), b"\0")[: size - start])
        return b"".join(pages)

    def _walk(
        self,
        name: Callable[[_Node, list[tuple[int, int | None]]], int | None],
        content: Callable[[_Node], bytes],
        folder: int,
        prefix: str = "",
    ) -> State:
        found: State = {}
        for part, history in self._nodes[folder].names.items():
            number = name(self._nodes[folder], history)
            if number is None:
                continue
            node = self._nodes[number]
            found[prefix + part] = None if node.folder else content(node)
            if node.folder:
                found |= self._walk(name, content, number, f"{prefix}{part}/")
        return found


def _calling(real: Callable[..., Any], after: Callable[..., None]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        after(result, *arguments, **options)
        return result

    return call


def _last(flushes: list[int], cut: int, otherwise: int) -> int:
    return max((one for one in flushes if one <= cut), default=otherwise)


def _at_index(history: list[tuple[int, Any]], moment: int) -> int:
    """Return the place of what held at ``moment``; the first where that is before all."""
    return max((place for place, (at, _) in enumerate(history) if at <= moment), default=0)


def _at(history: list[tuple[int, int | None]], moment: int) -> int | None:
    return history[_at_index(history, moment)][1]


def _draw(
    history: list[tuple[int, int | None]], flushed: int, cut: int, dice: random.Random, lean: float
) -> int | None:
    first, last = _at_index(history, flushed), _at_index(history, cut)
    return _pick([value for _, value in history[first : last + 1]], dice, lean)


def _pick(values: list[Any], dice: random.Random, lean: float) -> Any:
    """Return the newest with the chance ``lean``, else any."""
    if lean == 0.0:
        return values[0]
    return values[-1] if dice.random() < lean else dice.choice(values)


def lay_out(state: Mapping[str, bytes | None], path: Path) -> None:
    """Write a state into a directory."""
    path.mkdir()
    for name in sorted(state):
        data = state[name]
        if data is None:
            (path / name).mkdir()
        else:
            (path / name).write_bytes(data)
