"""``written``: encrypting private files to the newest epoch, some at a time.

For each batch: open and check what is there; encrypt it in memory; write the manifest, then the
files that it names, each durable; read them back, decrypt them, compare them; then the event. The
manifest is first, so that after a crash the files that no event logged are known by it: the next
rekeying, or the next destruction, deletes them.

Another process may be doing that at this very moment, and must not take our files for what a crash
left. Hence two rules: a batch is committed only if the log has not moved since it was begun, and
else made again; and what is abandoned is deleted only after an event of one's own, so that the log
has moved for whoever began before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from vault import age
from vault.abandoned import Abandoned, abandoned_in, clear_abandoned
from vault.codec import Packable
from vault.draft import Draft
from vault.errors import (
    ConflictError,
    NoIdentityMatchError,
    NotAVaultError,
    ProofError,
    StateError,
    VaultError,
)
from vault.event import Event
from vault.expected import ExpectedFile
from vault.forms import PrivateFile
from vault.keyring import seal_to_epoch
from vault.layout import bundle_key_name, fields_name, rekey_name
from vault.pipeline import Progress, ProgressCallback
from vault.rekeying.plan import Plan, Trouble
from vault.replacement import Replacement, format_manifest
from vault.vault import Vault

__all__ = ["Rekeyed", "Trouble", "rekey"]

_BATCH: Final = 1000
"""Files in one event: so much is to be done again after a crash."""
_BATCH_SIZE: Final = 2**25
"""Bytes of them, which are held in memory."""
_ATTEMPTS: Final = 20


class _MovedError(Exception):
    """The log moved on while a batch was made."""


@final
@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What was done: ``files`` were encrypted again, by so many ``events``.

    The others were left as they are: ``closed`` ones, which some reader of the newest epoch can't
    open now; and ``damaged`` ones, of which no form is what its event commits to, or none opens to
    this identity although the log says that it does. ``cleared`` files had been left by a rekeying
    that was interrupted.
    """

    events: tuple[Event, ...]
    files: int
    closed: tuple[str, ...]
    damaged: tuple[Trouble, ...]
    cleared: int = 0


@final
@dataclass(frozen=True, slots=True)
class _New:
    replacement: Replacement
    data: bytes
    plaintext: bytes


def rekey(
    vault: Vault,
    *,
    fields: Mapping[str, Packable] | None = None,
    progress: ProgressCallback | None = None,
    batch: int = _BATCH,
) -> Rekeyed:
    """Encrypt every private file that is encrypted to an earlier epoch to the newest one; written
    by a reader.

    Without an event if there is nothing to do. ``fields`` are private fields of every event
    (``reason``). An exception that ``progress`` raises ends the work: batches that were committed
    stand, and are not done again.

    Raises ``CustodyError``, ``ConflictError`` if others write all the time, ``OSError``, and what
    :meth:`Vault.commit` does. A file that is damaged or closed is no error: it is named and left.
    """
    vault.check_may("vault.rekeyed")
    vault.refresh()
    left = abandoned_in(vault)
    run = _Run(vault, progress)
    events: list[Event] = []
    files = cleared = 0
    moved = 0
    while news := run.next(batch):
        try:
            event = _commit(vault, run.plan, news, fields)
        except _MovedError:
            moved += 1
            if moved == _ATTEMPTS:
                raise ConflictError(
                    vault.store.place, f"other writers were faster {_ATTEMPTS} times"
                ) from None
            run = _Run(vault, progress)
            continue
        moved = 0
        run.plan.size = vault.size
        events.append(event)
        files += len(news)
        cleared += _clear(vault, left)
        left = ()
    return Rekeyed(
        events=tuple(events),
        files=files,
        closed=tuple(run.closed),
        damaged=tuple(run.damaged),
        cleared=cleared,
    )


def _clear(vault: Vault, left: tuple[Abandoned, ...]) -> int:
    # What was committed stands, whatever becomes of what others left.
    with suppress(OSError, VaultError):
        return clear_abandoned(vault, left)
    return 0


class _Run:
    """One way through the files that are to be encrypted again, from one state of the log."""

    def __init__(self, vault: Vault, progress: ProgressCallback | None) -> None:
        self.plan = Plan(vault)
        self.closed: list[str] = []
        self.damaged: list[Trouble] = []
        self._vault = vault
        assert vault.identity is not None  # asked by check_may
        self._opens = self.plan.state.opens(vault.identity.ed25519)
        self._progress = progress
        self._done = 0
        todo = [file for file in self.plan.files if self._is_looked_at(file)]
        self._total = sum(file.forms[0].size for file in todo)
        self._news = self._make(todo)

    def _is_looked_at(self, file: PrivateFile) -> bool:
        """Leave out what was encrypted to the newest epoch at first, or has been pruned since."""
        if self.plan.is_due(file):
            return True
        return any(form.epoch != self.plan.state.newest for form in file.forms)

    def next(self, batch: int) -> list[_New]:
        """Return the next files, encrypted; none at the end."""
        found: list[_New] = []
        size = 0
        for one in self._news:
            found.append(one)
            size += len(one.data)
            if len(found) == batch or size >= _BATCH_SIZE:
                break
        return found

    def _make(self, todo: Sequence[PrivateFile]) -> Iterator[_New]:
        state = self.plan.state
        epoch = state.open_epoch()
        for file in todo:
            self._tell(file)
            form, plaintext = self._opened(file)
            if form is None or form.epoch == state.newest:
                continue
            if not self.plan.is_free(file):
                self.closed.append(file.name)
                continue
            data, sealed = seal_to_epoch(plaintext, epoch)
            event = self._vault.event(file.seq)
            if file.is_key:
                assert event.bundle is not None
                new = bundle_key_name(event.bundle, sealed.epoch, sealed.sha256)
            else:
                new = fields_name(sealed.sha256)
            yield _New(Replacement(file.name, new, sealed), data, plaintext)

    def _opened(self, file: PrivateFile) -> tuple[ExpectedFile | None, bytes]:
        """Return the newest form that is what the event commits to, and what is in it; None, which
        is noted, if there is none.
        """
        event = self._vault.event(file.seq)
        bad: list[VaultError | OSError] = []
        for form in file.forms:
            try:
                plaintext = file.open(form, event, self._vault.keyring, self.plan.state)
            except NotAVaultError:
                raise
            except (VaultError, OSError) as error:
                if form.epoch in self._opens or not isinstance(error, NoIdentityMatchError):
                    bad.append(error)
            else:
                return form, plaintext
        if bad:
            self.damaged.append(Trouble(file.name, bad[0]))
        else:
            self.closed.append(file.name)
        return None, b""

    def _tell(self, file: PrivateFile) -> None:
        self._done += file.forms[0].size
        if self._progress is not None:
            self._progress(Progress("rekey", self._done, self._total, file.name))


def _commit(
    vault: Vault, plan: Plan, news: Sequence[_New], fields: Mapping[str, Packable] | None
) -> Event:
    """Write a batch, read it back, and commit it; an error leaves nothing of it."""
    manifest = format_manifest(one.replacement for one in news)
    sha256 = hashlib.sha256(manifest).digest()
    epoch = news[0].replacement.file.epoch

    def build() -> Sequence[Draft]:
        if vault.size != plan.size:
            raise _MovedError
        data: dict[str, Packable] = {
            "stage": "written",
            "epoch": epoch,
            "manifest": (sha256, len(manifest)),
        }
        return [vault.draft("vault.rekeyed", data=data, fields=fields)]

    files = {rekey_name(sha256): manifest} | {one.replacement.new: one.data for one in news}
    written: list[str] = []
    try:
        for name, data in files.items():
            written.append(name)
            with vault.store.create(name) as writer:
                writer.write(data)
                writer.commit()
        _read_back(vault, news)
        (event,) = vault.commit(build)
    except BaseException:
        # Not what may be in the log: an error can come after the commit as well.
        if not vault.in_doubt and sha256 not in vault.state.rekeyings:
            for name in reversed(written):
                with suppress(OSError, StateError):  # the first error is the one to report
                    vault.store.delete(name)
        raise
    return event


def _read_back(vault: Vault, news: Sequence[_New]) -> None:
    for one in news:
        file, name = one.replacement.file, one.replacement.new
        secret = vault.keyring.identity_of(file.epoch, vault.state)
        found = vault.store.read(name, 0, file.size + 1)
        if hashlib.sha256(found).digest() != file.sha256 or (
            age.decrypt_bytes(found, [secret], max_size=len(one.plaintext)) != one.plaintext
        ):
            raise ProofError("file", "not what was written to it a moment ago", name)
