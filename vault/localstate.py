"""What this machine remembers about a vault, outside the vault: pins and the last audit.

A pin is the newest checkpoint that this machine has verified, kept as the signed note itself in
``pins/<vault id>.checkpoint``. A vault that is later older than its pin, or does not contain it,
was rolled back or forked: a vault alone can't show that. ``known/<vault id>`` says that someone
here made the vault or confirmed its id: a stick that was swapped for one with another vault, whose
reading key someone else holds, is sound in itself and has a new id. ``audits/<vault id>.json``
remembers how far the last full audit went. Nothing here is secret, and losing it loses only that
memory; but it says that this machine worked with that vault, and :meth:`LocalState.forget` removes
it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from filelock import FileLock

from vault.errors import FormatError, RollbackError
from vault.log import Log
from vault.storage.durability import Directory, close_quietly, sync_file, write_all
from vault.storage.single import write_file
from vault.tlog.checkpoint import Checkpoint, SignedCheckpoint, parse_signed_checkpoint
from vault.tlog.merkle import HashReader, tree_root

__all__ = ["AuditRecord", "Forgotten", "LocalState", "check_pin", "keep_pin"]

_PATIENCE: Final = 10.0
_KINDS: Final = {"pins": ".checkpoint", "known": "", "audits": ".json"}
"""The folders, and how the names in each go on after a vault's id."""
_TRACE: Final = re.compile(
    r"\.?(?P<vault>[0-9a-f]{64})(?P<kind>\.checkpoint|\.json)?(\.[a-z0-9_]{8}\.new)?\Z"
)
"""The files of a vault, and what was half written of one."""
_LOCK: Final = "lock"
_LINKS: Final = 40
_OVERWRITTEN: Final = 2**20
"""The bytes of a file that are overwritten at most; what is kept here has a few thousand."""


@final
@dataclass(frozen=True, slots=True)
class AuditRecord:
    """The last audit on this machine that found the vault intact.

    ``size`` and ``root`` (hex) of the log then; ``time`` of that audit and ``evidence_read`` of the
    last one that read every file, both in UTC seconds.
    """

    size: int
    root: str
    time: int
    evidence_read: int


@final
@dataclass(frozen=True, slots=True)
class Forgotten:
    """The paths of what was removed, and of what could not be, each with the reason."""

    removed: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


@final
class LocalState:
    """Pins and audit records below a directory, which is made when something is first written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def _pin_path(self, vault: bytes) -> Path:
        return self._path / "pins" / f"{vault.hex()}.checkpoint"

    def _known_path(self, vault: bytes) -> Path:
        return self._path / "known" / vault.hex()

    def _audit_path(self, vault: bytes) -> Path:
        return self._path / "audits" / f"{vault.hex()}.json"

    def pin(self, vault: bytes) -> SignedCheckpoint | None:
        """Return the newest checkpoint seen, or None; raise ``FormatError`` if it is damaged."""
        path = self._pin_path(vault)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return parse_signed_checkpoint(raw)
        except FormatError as error:
            raise FormatError("pin", error.why, str(path)) from None

    def set_pin(self, vault: bytes, raw: bytes) -> None:
        """Remember a verified checkpoint, unless a newer one is remembered: a pin only moves on."""
        size = parse_signed_checkpoint(raw).checkpoint.size
        path = self._pin_path(vault)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path.with_name("lock"), timeout=_PATIENCE, fallback_to_soft=False):
            try:
                pin = self.pin(vault)
            except FormatError:
                pin = None  # a damaged pin holds nothing that could be newer
            if pin is None or pin.checkpoint.size <= size:
                _write(path, raw)

    def is_known(self, vault: bytes) -> bool:
        """Return whether someone on this machine made this vault, or confirmed its id."""
        return self._known_path(vault).is_file()

    def set_known(self, vault: bytes) -> None:
        """Remember that the id was confirmed."""
        if not self.is_known(vault):
            _write(self._known_path(vault), b"")

    def audit_record(self, vault: bytes) -> AuditRecord | None:
        """Return what is remembered of the last audit; None if nothing is, or it can't be read."""
        try:
            value = json.loads(self._audit_path(vault).read_bytes())
            record = AuditRecord(**value)
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None
        numbers = (record.size, record.time, record.evidence_read)
        sound = all(type(number) is int and number >= 0 for number in numbers)
        return record if sound and isinstance(record.root, str) else None

    def set_audit_record(self, vault: bytes, record: AuditRecord) -> None:
        """Remember an audit."""
        _write(self._audit_path(vault), json.dumps(asdict(record), indent=1).encode())

    # --- forgetting ---------------------------------------------------------------------------

    def remembered(self) -> tuple[bytes, ...]:
        """Return the ids of the vaults that something is remembered of, in order.

        A folder that can't be listed counts as empty.
        """
        return tuple(sorted({vault for vault, _ in self._traces([])}))

    def traces(
        self, *vaults: bytes, every: bool = False, identity: Path | None = None
    ) -> tuple[Path, ...]:
        """Return the files that :meth:`forget` would remove, the identity first."""
        return (
            *(identity_files(identity) if identity is not None else ()),
            *(path for vault, path in self._traces([]) if every or vault in vaults),
        )

    def _traces(self, failed: list[tuple[str, str]]) -> Iterator[tuple[bytes, Path]]:
        for folder, kind in _KINDS.items():
            try:
                names = sorted(os.listdir(self._path / folder))  # noqa: PTH208 - names are wanted
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                failed.append((str(self._path / folder), error.strerror or "not listed"))
                continue
            for name in names:
                found = _TRACE.match(name)
                if found is not None and (found["kind"] or "") == kind:
                    yield bytes.fromhex(found["vault"]), self._path / folder / name

    def forget(
        self, *vaults: bytes, every: bool = False, identity: Path | None = None
    ) -> Forgotten:
        """Remove all that is remembered of these vaults, or of ``every`` one, and an identity file.

        Half-written files of each go too; so do the folders, if nothing else is in them. One that
        can't be removed keeps none of the others. Nothing is raised and no passphrase is needed.

        A file is overwritten with zeros, flushed, removed, and its directory flushed. On a disk
        that writes in place that is the end of it. On flash, on file systems that copy on write,
        in snapshots and backups the old bytes stay: no program can reach them there.
        """
        removed: list[str] = []
        failed: list[tuple[str, str]] = []
        # The secret first: there may not be time for more. Names only tell what this machine saw.
        paths = [*identity_files(identity)] if identity is not None else []
        paths += [path for vault, path in self._traces(failed) if every or vault in vaults]
        for path in paths:
            try:
                _erase(path)
            except FileNotFoundError:
                continue  # gone meanwhile
            except OSError as error:
                failed.append((str(path), error.strerror or type(error).__name__))
            else:
                removed.append(str(path))
        removed += self._tidy()
        return Forgotten(tuple(removed), tuple(failed))

    def _tidy(self) -> Iterable[str]:
        """Remove the lock if no vault is left, and empty folders; yield what was removed."""
        pins = self._path / "pins"
        if not any(path.parent == pins for _, path in self._traces([])):
            with suppress(OSError):  # not there, or not to be removed: nothing is in it
                _erase(pins / _LOCK)
                yield str(pins / _LOCK)
        # The folder itself may be a mount, a link, or somebody's for other purposes: then it stays.
        for folder in (*(self._path / name for name in _KINDS), self._path):
            with suppress(OSError):
                folder.rmdir()
                yield str(folder)


def identity_files(path: Path) -> tuple[Path, ...]:
    """Return what there is of an identity file: itself, first; files beside it that were half
    written; the links that lead to it.
    """
    found: list[Path] = []
    for _ in range(_LINKS):
        half = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.new\Z")
        with suppress(OSError):  # a folder that is not there has nothing in it
            found += [path.with_name(name) for name in os.listdir(path.parent) if half.match(name)]  # noqa: PTH208
        if not os.path.lexists(path):
            break
        found.append(path)
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return tuple(dict.fromkeys(reversed(found)))


def _erase(path: Path) -> None:
    """Overwrite a file and remove it, durably; of a link only the link."""
    with Directory.root(str(path.parent)) as directory:
        info = directory.stat(path.name)
        # Another name of the same file is somebody's copy, and not ours to destroy.
        if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
            with suppress(OSError):  # what can't be overwritten is removed all the same
                _overwrite(path, min(info.st_size, _OVERWRITTEN))
        directory.unlink(path.name)
        directory.sync()


def _overwrite(path: Path, size: int) -> None:
    flags = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        write_all(descriptor, bytes(size))
        sync_file(descriptor)
    finally:
        close_quietly(descriptor)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A pin that is torn would refuse a sound vault: it appears whole or not at all.
    write_file(path, data, replace=True)


def check_pin(pin: Checkpoint, origin: str, size: int, tree: HashReader, where: str) -> None:
    """Raise ``RollbackError`` unless a verified log of ``size`` contains the pinned state."""
    if pin.origin != origin:
        raise RollbackError("pin", "of another vault", where, expected=pin.origin, found=origin)
    if size < pin.size:
        raise RollbackError(
            "log", "older than this machine has seen", where, expected=pin.size, found=size
        )
    if tree_root(pin.size, tree) != pin.root:
        raise RollbackError(
            "log", "another history than this machine has seen", where, expected=pin.size
        )


def keep_pin(local: LocalState, log: Log, place: str) -> None:
    """Hold a log against this machine's pin, and move the pin on to it.

    Raises ``RollbackError``, or ``FormatError`` for a pin that is damaged.
    """
    state = log.state
    pin = local.pin(state.vault)
    if pin is not None:
        if pin.checkpoint.size > log.size:
            # Another process may have appended, and moved the pin on, since the log was read.
            log.refresh()
        check_pin(pin.checkpoint, state.origin, log.size, log.tree, place)
    if log.raw is not None and not log.breaches and (pin is None or pin.raw != log.raw):
        local.set_pin(state.vault, log.raw)
