"""What this machine remembers about a vault, outside the vault: pins and the last audit.

A pin is the newest checkpoint that this machine has verified, kept as the signed note itself in
``pins/<vault id>.checkpoint``. A vault that is later older than its pin, or does not contain it,
was rolled back or forked: a vault alone can't show that. ``known/<vault id>`` says that someone
here made the vault or confirmed its id: a stick that was swapped for one with another vault, whose
reading key someone else holds, is sound in itself and has a new id. ``audits/<vault id>.json``
remembers how far the last full audit went. Nothing here is secret, and losing it loses only that
memory.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from filelock import FileLock

from vault.errors import FormatError, RollbackError
from vault.log import Log
from vault.tlog.checkpoint import Checkpoint, SignedCheckpoint, parse_signed_checkpoint
from vault.tlog.merkle import HashReader, tree_root

__all__ = ["AuditRecord", "LocalState", "check_pin", "keep_pin"]

_PATIENCE: Final = 10.0


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

    def forget(self, vault: bytes) -> None:
        """Remove all that is remembered of a vault."""
        self._pin_path(vault).unlink(missing_ok=True)
        self._known_path(vault).unlink(missing_ok=True)
        self._audit_path(vault).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A pin that is torn would refuse a sound vault: it appears whole or not at all.
    descriptor, new = tempfile.mkstemp(".new", f"{path.name}.", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


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
