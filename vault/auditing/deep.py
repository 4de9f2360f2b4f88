"""What only a reader can check: epochs, fields, key files, bags, items (``deep`` in an audit)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from vault.auditing.files import ExpectedFile
from vault.auditing.places import digest_of
from vault.auditing.report import Finding
from vault.codec import Value
from vault.commitment import values_of
from vault.custody import BundleState, Epoch, Grant, State
from vault.errors import (
    DecryptionError,
    NotAVaultError,
    ProofError,
    VaultError,
    VerificationError,
)
from vault.event import Event
from vault.identity import Identity
from vault.keyring import Keyring, check_epoch_file, read_whole
from vault.layout import bundle_key_name, epoch_name, fields_name, history_name
from vault.reading import BundleReading, bundle_identity, read_fields
from vault.storage import Store

__all__ = ["audit_deep"]


def audit_deep(
    store: Store,
    identity: Identity,
    events: Mapping[int, Event],
    state: State,
    expected: Mapping[str, ExpectedFile],
    damaged: set[str],
    step: Callable[[str], None],
) -> tuple[list[Finding], int]:
    """Decrypt all that ``identity`` can; return findings, and how many events' private parts are
    not open to it.

    What is in a file that ``damaged`` names is not looked at: that is reported already. What can't
    be read as the events say is ``contradicted`` only if the stored bytes are those that were
    logged; otherwise they are ``altered``.
    """
    deep = _Deep(store, identity, state, expected, damaged, step, Keyring(store, identity))
    findings = [*deep.epochs()]
    unreadable = 0
    for event in events.values():
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        if event.sealed is None or (bundle is not None and bundle.destroyed is not None):
            continue
        step(f"event {event.seq}")
        if deep.opens(event.sealed.epoch):
            findings += deep.event(event, bundle)
        else:
            unreadable += 1
    return findings, unreadable


@final
@dataclass(frozen=True, slots=True)
class _Deep:
    store: Store
    identity: Identity
    state: State
    expected: Mapping[str, ExpectedFile]
    damaged: set[str]
    step: Callable[[str], None]
    keyring: Keyring

    def opens(self, epoch: bytes) -> bool:
        """Say whether an epoch is open to the identity; why not, :meth:`epochs` has said."""
        try:
            self.keyring.identity_of(epoch, self.state)
        except NotAVaultError:
            raise
        except (VaultError, OSError):
            return False
        return True

    # --- the keyring --------------------------------------------------------------------------

    def epochs(self) -> Iterator[Finding]:
        """Check every file that the log says opens epochs to the identity."""
        me = self.identity.ed25519
        for epoch in self.state.epochs.values():
            if me in epoch.readers:
                yield from self._key_file(epoch_name(epoch.id), epoch, {epoch.id})
        for grant in self.state.grants:
            if grant.reader == me:
                yield from self._key_file(history_name(grant.sha256), grant, set(grant.epochs))

    def _key_file(self, name: str, file: Epoch | Grant, opens: set[bytes]) -> Iterator[Finding]:
        if name in self.damaged:
            return
        try:
            data = read_whole(self.store, name, file.sha256, file.size)
            found = check_epoch_file(data, self.identity, self.state.epochs, name)
            if not opens <= found.keys():
                raise ProofError("epoch file", "does not open what the log says", name)
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            yield from self._judge(error, self.expected[name].seq, [name])

    # --- events -------------------------------------------------------------------------------

    def event(self, event: Event, bundle: BundleState | None) -> Iterator[Finding]:
        """Check an event's fields, and what is in the bundle that it sealed."""
        assert event.sealed is not None
        files = [fields_name(event.sealed.sha256)]
        if files[0] in self.damaged:
            return
        try:
            fields = values_of(read_fields(self.keyring, event, self.state))
            if bundle is not None and event.seq == bundle.seq:
                files = self._files_of(bundle)
                if self.damaged.isdisjoint(files):
                    self._bundle(bundle, fields)
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            yield from self._judge(error, event.seq, files)

    def _files_of(self, bundle: BundleState) -> list[str]:
        file = bundle.key_file
        key = bundle_key_name(bundle.id, file.epoch, file.sha256)
        return [key, *(part.name for part in self.expected.values() if part.seq == bundle.seq)]

    def _bundle(self, bundle: BundleState, fields: dict[str, Value]) -> None:
        identity = bundle_identity(self.store, self.keyring, bundle, self.state)
        with BundleReading(self.store, bundle, identity, fields) as reading:
            reading.check(lambda _: self.step(f"event {bundle.seq}"))

    # --- whose fault --------------------------------------------------------------------------

    def _judge(self, error: Exception, seq: int, files: list[str]) -> Iterator[Finding]:
        place = f"event {seq}"
        if isinstance(error, OSError):
            name = str(error.filename or place)
            yield Finding("unreadable", "altered", place, f"{name}: {error.strerror}")
            return
        # An audit that trusts an earlier one has not read these files; and a medium may fail.
        altered = [name for name in dict.fromkeys(files) if not self._is_as_logged(name)]
        for name in altered:
            detail = f"not the SHA-256 that was logged, event {self.expected[name].seq}"
            yield Finding("digest", "altered", name, detail)
        if altered:
            return
        if isinstance(error, DecryptionError):
            yield Finding("not-decryptable", "contradicted", place, str(error))
            return
        code = error.code if isinstance(error, VerificationError) else "contents"
        yield Finding(f"private-{code}", "contradicted", place, str(error))

    def _is_as_logged(self, name: str) -> bool:
        digest = digest_of(self.store, name, lambda *_: self.step(name))
        return digest == self.expected[name].sha256
