"""Sealing a bundle: from files and streams to an event in the log.

No lock is held while evidence streams. The order: encrypt into a staging directory, make every part
durable, read all of it back from the medium, publish the directory in one rename, append the event.
Whatever goes wrong before the event leaves no bundle.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import final

from vault import age
from vault.bundle import BundleWriter, Item, Items, Sealed, estimated_size, format_bundle_key
from vault.codec import Packable
from vault.custody import State
from vault.errors import NoSpaceError, SourceChangedError, SourceUnreadableError, StateError
from vault.event import MAX_PARTS, Event, SealedFile
from vault.keyring import seal_to_epoch
from vault.layout import PART_SIZE, bundle_directory, bundle_key_name, key_name_in_bundle
from vault.pipeline import ProgressCallback, Source
from vault.secret import Secret
from vault.storage import Store
from vault.storage.durability import Directory

__all__ = ["SealWriter", "check_sealable"]

Append = Callable[[Mapping[str, Packable], Callable[[State], Mapping[str, Packable]]], Event]


def check_sealable(path: Path) -> os.stat_result:
    """Return the status of a regular file that can be read.

    Raises ``SourceUnreadableError`` for a link, a device, a FIFO, a socket, a directory, or a file
    that can't be opened. Nothing is read, and no FIFO is waited for.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise SourceUnreadableError(str(path), error.strerror or "not readable") from None
    if not stat.S_ISREG(status.st_mode):
        raise SourceUnreadableError(str(path), _what_it_is(status.st_mode))
    if not os.access(path, os.R_OK):
        raise SourceUnreadableError(str(path), "no permission to read it")
    return status


def _what_it_is(mode: int) -> str:
    for test, what in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return what
    return "a device"


@final
class SealWriter:
    """A bundle that is being sealed. Used as a context manager: leaving it appends the event.

    An exception in the body aborts and leaves nothing. Afterwards ``event`` is the appended event,
    ``sealed`` the bundle, and ``read_back`` says whether the copy was read from the medium itself
    (False: from the system's cache, which this system does not let go of).

    ``refused`` says, after an error of ``append``, that the event is surely not in the log.
    """

    def __init__(
        self,
        store: Store,
        append: Append,
        refused: Callable[[], bool],
        state: Callable[[], State],
        *,
        bundle: bytes,
        time: int,
        random: Callable[[int], bytes],
        fields: Mapping[str, Packable],
        expected: Sequence[int] = (),
        progress: ProgressCallback | None = None,
    ) -> None:
        self._store = store
        self._append = append
        self._refused = refused
        self._state = state
        self._fields = fields
        self._check_space(expected)
        self._stage = store.stage()
        with Secret(random(32)) as seed:
            identity = age.HybridIdentity.from_seed(seed.view)
        try:
            self._writer = BundleWriter(
                self._stage, bundle, identity, time, random, progress, sum(expected)
            )
        except BaseException:
            self._stage.abort()
            raise
        self._key_file: SealedFile | None = None
        self.id = bundle
        self.event: Event | None = None
        self.sealed: Sealed | None = None
        self.read_back = False

    @property
    def items(self) -> Items:
        """The items added so far."""
        return self._writer.items

    def _check_space(self, expected: Sequence[int]) -> None:
        free = self._store.free_space()
        needed = estimated_size(expected)
        if needed > MAX_PARTS * PART_SIZE:
            raise ValueError(f"more than a bundle holds: {needed} bytes")
        if free is not None and needed > free:
            raise NoSpaceError(self._store.place, needed, free)

    def add_path(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | bytes | None = None,
        fields: Mapping[str, Packable] | None = None,
        below: str | os.PathLike[str] | None = None,
    ) -> Item:
        """Add a file. ``name`` (its own file name, by default) is kept as a private field.

        ``below`` is the folder in which it was found: no component from that one on may be a link,
        or whoever can write to the folder could put another's files in place of those in it.

        Raises ``SourceUnreadableError`` for what is not a readable regular file, also where reading
        fails midway, and ``SourceChangedError`` if the file changes while it is read.
        """
        source = Path(path)
        before = check_sealable(source)
        try:
            descriptor = _open(source, Path(below) if below is not None else source)
        except OSError as error:
            raise SourceUnreadableError(str(source), error.strerror or "not readable") from None
        except StateError:
            raise SourceChangedError(str(source), "replaced while it was sealed") from None
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
            status = os.fstat(file.fileno())
            if _version(status) != _version(before):
                raise SourceChangedError(str(source), "replaced while it was sealed")
            modified = status.st_mtime_ns // 10**9
            values = {**_modified(modified), **(fields or {})}
            shown = name if name is not None else _file_name(source)

            named = _Named(file, source)

            def unchanged() -> bool:
                return _version(named.status()) == _version(status)

            try:
                item = self._writer.add(values, shown, status.st_size, modified, named, unchanged)
            except SourceChangedError:
                raise SourceChangedError(str(source), "changed while it was sealed") from None
        return item

    def add_stream(
        self,
        name: str | bytes,
        size: int,
        source: Source,
        *,
        fields: Mapping[str, Packable] | None = None,
        mtime: int = 0,
    ) -> Item:
        """Add exactly ``size`` bytes of ``source`` (``readinto``); ``mtime`` in UTC seconds."""
        return self._writer.add(fields or {}, name, size, mtime, source)

    def add_absent(self, fields: Mapping[str, Packable]) -> Item:
        """Add an item without content: a media hash, or an omission with its reason."""
        return self._writer.add_absent(fields)

    def __enter__(self) -> SealWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abort()
            return
        try:
            self.sealed = sealed = self._writer.finish()
            self.read_back = self._writer.read_back(sealed)
            self._write_key_file(sealed)
            self._stage.publish(bundle_directory(self.id))
        except BaseException:
            self._abort()
            raise
        fields = {
            **self._fields,
            "item_count": sealed.item_count,
            "plaintext_size": sealed.plaintext_size,
            "items_offset": sealed.items_offset,
            "items_size": sealed.items_size,
        }
        try:
            self.event = self._append(fields, self._data)
        except BaseException:
            # Only of an event that was surely not written: a commit that was signed may yet be
            # finished by the next writer, so then the bundle stays.
            if self._refused():
                with suppress(OSError, StateError):  # the first error is the one to report
                    self._store.delete_tree(bundle_directory(self.id))
            raise

    def _abort(self) -> None:
        try:
            self._writer.abort()
        finally:
            self._stage.abort()

    def _write_key_file(self, sealed: Sealed) -> None:
        epoch = self._state().open_epoch()
        data, self._key_file = seal_to_epoch(memoryview(format_bundle_key(sealed.identity)), epoch)
        name = key_name_in_bundle(self._key_file.epoch, self._key_file.sha256)
        with self._stage.create(name) as writer:
            writer.write(data)
            writer.commit()

    def _data(self, state: State) -> dict[str, Packable]:
        """Return what ``bundle.sealed`` says in public, for the newest epoch of ``state``."""
        sealed, key_file = self.sealed, self._key_file
        assert sealed is not None
        assert key_file is not None
        epoch = state.open_epoch()
        if key_file.epoch != epoch.id:
            # Another writer opened an epoch since the key file was written.
            old = bundle_key_name(self.id, key_file.epoch, key_file.sha256)
            data, key_file = seal_to_epoch(memoryview(format_bundle_key(sealed.identity)), epoch)
            new = bundle_key_name(self.id, key_file.epoch, key_file.sha256)
            with self._store.create(new) as writer:
                writer.write(data)
                writer.commit()
            self._store.delete(old)
            self._key_file = key_file
        return {
            "key": sealed.key,
            "key_file": key_file.to_value(),
            "parts": sealed.parts,
            "items": sealed.items,
        }


def _open(path: Path, top: Path) -> int:
    """Open a regular file for reading; from ``top`` on no link is followed.

    Raises ``OSError``; ``StateError`` for what is no directory, or no regular file, any more.
    """
    # abspath and not resolve, which would follow links.
    above, name = os.path.split(os.path.abspath(top))  # noqa: PTH100
    parts = (name, *path.relative_to(top).parts)
    folder = Directory.root(above)
    try:
        for part in parts[:-1]:
            if part:  # the root of all has no name
                with folder:
                    folder = folder.child(part)
        return folder.open(parts[-1])[0]
    finally:
        folder.close()


@final
@dataclass(frozen=True, slots=True)
class _Named:
    """An open source whose failures name it: its descriptor doesn't, and the store fails too."""

    file: io.FileIO
    path: Path

    def readinto(self, buffer: memoryview, /) -> int | None:
        try:
            return self.file.readinto(buffer)
        except OSError as error:
            raise self._unreadable(error) from error

    def status(self) -> os.stat_result:
        try:
            return os.fstat(self.file.fileno())
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> SourceUnreadableError:
        return SourceUnreadableError(str(self.path), error.strerror or "not readable")


def _modified(time: int) -> dict[str, str]:
    """Return the field for a file's time; none for a time that no calendar has."""
    try:
        modified = datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return {}
    return {"times.modified": modified.isoformat().replace("+00:00", "Z")}


def _version(status: os.stat_result) -> tuple[int, ...]:
    # st_ctime is the creation time on Windows and says nothing there, but never changes either.
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _file_name(path: Path) -> str | bytes:
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path.name)
    return path.name
