"""What only a reader can check: epochs, fields, key files, bags, items (``deep`` in an audit)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from vault.age import HybridIdentity
from vault.auditing.consent import ConsentAudit
from vault.auditing.files import ExpectedFile
from vault.auditing.places import digest_of
from vault.auditing.report import Finding
from vault.codec import Value
from vault.commitment import values_of
from vault.custody import Epoch, Grant, State
from vault.errors import (
    DecryptionError,
    NotAVaultError,
    ProofError,
    VaultError,
    VerificationError,
)
from vault.event import Event
from vault.forms import PrivateFile, fields_in, key_in, private_files
from vault.identity import Identity
from vault.keyring import Keyring, check_epoch_file
from vault.layout import epoch_name, fields_name, history_name, part_name
from vault.reading import BundleReading
from vault.storage import Store
from vault.stored import read_whole

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
    consents = ConsentAudit(state, damaged)
    keyring = Keyring(store, identity)
    deep = _Deep(store, identity, state, expected, damaged, step, keyring, consents)
    findings = [*deep.epochs()]
    files: dict[int, list[PrivateFile]] = {}
    there = {name: file for name, file in expected.items() if not deep.is_replaced(file)}
    for file in private_files(events.values(), there):
        files.setdefault(file.seq, []).append(file)
    unreadable = 0
    for event in events.values():
        consents.see(event)
        if event.seq not in files:
            # It has no fields, they went with their bundle, or nobody can say where they are now.
            sealed = event.sealed
            unreadable += sealed is not None and expected[fields_name(sealed.sha256)].uncertain
            continue
        step(f"event {event.seq}")
        if any(deep.opens(form) for form in files[event.seq][0].forms):
            findings += deep.event(event, files[event.seq])
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
    consents: ConsentAudit

    def is_replaced(self, file: ExpectedFile) -> bool:
        """Say whether a file is gone that a manifest which can't be read may have let go of."""
        if not file.uncertain:
            return False
        try:
            return not self.store.exists(file.name)
        except NotAVaultError:
            raise
        except (VaultError, OSError):
            return True

    def opens(self, form: ExpectedFile) -> bool:
        """Say whether the epoch that a file is encrypted to is open to the identity; why not,
        :meth:`epochs` has said.
        """
        assert form.epoch is not None
        try:
            self.keyring.identity_of(form.epoch, self.state)
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
            if me in epoch.readers and epoch.id not in self.state.shredded:
                yield from self._key_file(epoch_name(epoch.id), epoch, self.state.held_by(epoch.id))
        for grant in self.state.grants:
            if grant.reader == me and self.state.shredded.isdisjoint(grant.epochs):
                given = (one for one in reversed(self.state.epochs) if one in grant.epochs)
                yield from self._key_file(history_name(grant.sha256), grant, given)

    def _key_file(
        self, name: str, file: Epoch | Grant, opens: Iterable[bytes]
    ) -> Iterator[Finding]:
        """Check that a file opens just what the log says, ``opens``, newest first."""
        if name in self.damaged:
            return
        try:
            data = read_whole(self.store, name, file.sha256, file.size)
            found = check_epoch_file(data, self.identity, self.state.epochs, name)
            if tuple(found) != tuple(opens):
                raise ProofError("epoch file", "does not open just what the log says", name)
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            yield from self._judge(error, self.expected[name].seq, [name])

    # --- events -------------------------------------------------------------------------------

    def event(self, event: Event, files: list[PrivateFile]) -> Iterator[Finding]:
        """Check an event's fields, and what is in the bundle that it sealed. Every form is looked
        at: one that is sound must not hide another that is not.
        """
        fields: dict[str, Value] | None = None
        key: HybridIdentity | None = None
        names: list[str] = []
        for file in files:
            for form in file.forms:
                if form.name in self.damaged or not self.opens(form):
                    continue
                try:
                    plaintext = file.decrypt(form, self.keyring, self.state)
                    if file.is_key:
                        key = key_in(plaintext, event)
                        names = names or [form.name]
                    elif fields is None:
                        fields = values_of(fields_in(plaintext, event, form.name))
                        yield from self.consents.take(event, fields)
                    else:
                        fields_in(plaintext, event, form.name)
                except NotAVaultError:
                    raise
                except (VaultError, OSError) as error:
                    yield from self._judge(error, form.seq, [form.name])
        if fields is not None and key is not None:
            yield from self._bundle(event, fields, key, names)

    def _bundle(
        self, event: Event, fields: dict[str, Value], key: HybridIdentity, names: list[str]
    ) -> Iterator[Finding]:
        assert event.bundle is not None
        bundle = self.state.bundles.get(event.bundle)
        if bundle is None or bundle.seq != event.seq:
            return  # sealed against the rules, which was said; nothing has come of it
        files = [*names, *(part_name(bundle.id, number) for number in range(len(bundle.parts)))]
        if not self.damaged.isdisjoint(files):
            return
        try:
            with BundleReading(self.store, bundle, key, fields) as reading:
                reading.check(lambda _: self.step(f"event {bundle.seq}"))
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            yield from self._judge(error, event.seq, files)

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
