"""A vault: create, open, seal, read, append, look at what its log says. Nothing else.

A :class:`Vault` shows one verified state of the log; :meth:`Vault.refresh` moves it on, and so does
everything that it appends. Several threads may read from one; writers have one each.
"""

from __future__ import annotations

import os
import time as _time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import final

from vault.codec import Packable, Value
from vault.commitment import values_of
from vault.custody import Breach, BundleState, Policy, State
from vault.draft import Clock, Draft, Random, commit_event_fields, exact_time
from vault.errors import (
    AmbiguousError,
    CustodyError,
    NoIdentityMatchError,
    NotFoundError,
    StateError,
    UnknownVaultError,
    VaultError,
    VaultExistsError,
    VerificationError,
)
from vault.event import EVENT_TYPES, Event
from vault.founding import check_format, claim, first_drafts, unmake
from vault.identity import Card, Identity
from vault.keyring import Keyring, NewEpoch
from vault.localstate import LocalState, keep_pin
from vault.log import Log
from vault.pipeline import ProgressCallback
from vault.reading import BundleReading, ItemReader, bundle_identity, read_fields
from vault.sealing import SealWriter
from vault.storage import LocalStore, Store
from vault.tlog.merkle import HashReader

__all__ = ["Vault"]

Place = str | os.PathLike[str]


@final
class Vault:
    """One state of a vault, seen by ``identity`` (None: as anybody sees it).

    Made by :meth:`create` and :meth:`open`; a context manager.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity | None,
        state: LocalState | None,
        clock: Clock,
        random: Random,
        progress: ProgressCallback | None,
    ) -> None:
        self.store = store
        self.identity = identity
        self._local = state
        self._clock = clock
        self._random = random
        self._progress = progress
        self._log = Log(store)
        self._keyring = Keyring(store, identity) if identity is not None else None
        self.unremembered: OSError | VaultError | None = None
        """Why this machine's pin could not be moved on to what was appended, if so."""

    # --- making and opening -------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        place: Place | Store,
        *,
        identity: Identity,
        readers: Sequence[Card | Identity],
        fields: Mapping[str, Packable] | None = None,
        policy: Policy | None = None,
        state: Place | None = None,
        clock: Clock = _time.time,
        random: Random = os.urandom,
    ) -> Vault:
        """Make a vault whose owner and custodian is ``identity`` and whose readers are ``readers``.

        ``fields`` are private fields of ``vault.created`` (``title``, ``member.name``). Readers'
        cards give their keys and, as a private field, their names; to read herself, the owner names
        herself. Raises ``ValueError`` without a reader, ``VaultExistsError`` if the place is taken.
        Nothing is left behind after an error.
        """
        if not readers:
            raise ValueError("a vault needs a reader, or nobody can ever open it")
        store = LocalStore.make(place) if isinstance(place, (str, os.PathLike)) else place
        local = LocalState(state) if state is not None else None
        vault = cls(store, identity, local, clock, random, None)
        if any(True for _ in store.list()):
            raise VaultExistsError(store.place, "not empty")
        claimed = False
        try:
            claimed = claim(store)
            drafts = first_drafts(
                store, identity, readers, fields or {}, policy or Policy(), vault._draft, random
            )
            vault._log.append(identity, lambda _: drafts)
        except BaseException:
            with suppress(OSError, StateError):  # the first error is the one to report
                unmake(store, claimed=claimed)
            raise
        vault._settle(vault._remember)
        if local is not None:
            vault._settle(lambda: local.set_known(vault.id))
        return vault

    @classmethod
    def open(
        cls,
        place: Place | Store,
        *,
        identity: Identity | None = None,
        state: Place | None = None,
        vault_id: bytes | None = None,
        clock: Clock = _time.time,
        random: Random = os.urandom,
        progress: ProgressCallback | None = None,
    ) -> Vault:
        """Open a vault, verifying its whole log, and against this machine's pin in ``state``.

        ``vault_id`` is the id that a person holds on paper. With ``state``, nothing is written to a
        vault until it was made here or opened once with its ``vault_id``: a stick that was swapped
        is a sound vault too, and only its id shows that it is another.

        Raises ``NotAVaultError``, ``UnsupportedVersionError``, ``VerificationError`` (of which
        ``RollbackError``; also for another id) or ``FormatError``. Nothing is written to the vault.
        """
        store = LocalStore(place) if isinstance(place, (str, os.PathLike)) else place
        local = LocalState(state) if state is not None else None
        vault = cls(store, identity, local, clock, random, progress)
        check_format(store)
        vault.refresh()
        if vault_id is not None and vault_id != vault.id:
            raise VerificationError(
                "vault id", "another vault", store.place, expected=vault_id, found=vault.id
            )
        if vault_id is not None and local is not None:
            local.set_known(vault_id)
        return vault

    @property
    def known(self) -> bool:
        """Whether this may be written to: made here or confirmed, or opened without ``state``."""
        return self._local is None or self._local.is_known(self.id)

    def _check_known(self) -> None:
        if not self.known:
            raise UnknownVaultError(self.store.place, self.id)

    def refresh(self) -> bool:
        """Move on to what was appended since; return whether anything was.

        Raises ``RollbackError`` where the log is not a continuation of what was seen.
        """
        moved = self._log.refresh()
        if moved:
            self._remember()
        return moved

    def _remember(self) -> None:
        if self._local is not None:
            keep_pin(self._local, self._log, self.store.place)

    def _settle(self, remember: Callable[[], None]) -> None:
        """Remember what was just written: it is durable, and must not look as if it failed."""
        try:
            remember()
        except (OSError, VaultError) as error:
            self.unremembered = error

    # --- looking ------------------------------------------------------------------------------

    @property
    def id(self) -> bytes:
        """The vault id (32 bytes)."""
        return self.state.vault

    @property
    def state(self) -> State:
        """Roster, epochs and bundles in this state of the log. Not to be changed."""
        return self._log.state

    @property
    def size(self) -> int:
        """Events in this state of the log."""
        return self._log.size

    @property
    def root(self) -> bytes:
        """RFC 6962 root of this state of the log."""
        return self._log.root

    @property
    def tree(self) -> HashReader:
        """The hashes of this state's tree, for proofs and comparisons."""
        return self._log.tree

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """The rules of custody that events of this log break; such a log is not written to."""
        return tuple(self._log.breaches)

    @property
    def in_doubt(self) -> bool:
        """Whether the last append failed after it was signed: a later reading tells if it is in."""
        return self._log.in_doubt

    @property
    def checkpoint(self) -> bytes:
        """The signed note of this state of the log."""
        assert self._log.raw is not None
        return self._log.raw

    def events(self, after: int = -1) -> Iterator[Event]:
        """Yield the events behind number ``after``, in the order of the log."""
        return (self._log.event(seq) for seq in range(after + 1, self.size))

    def event(self, seq: int) -> Event:
        """Return event ``seq``; raise ``IndexError``."""
        return self._log.event(seq)

    def bundle(self, prefix: str | bytes) -> BundleState:
        """Return the bundle with this id, or with this prefix of its id in hex.

        Raises ``NotFoundError``, ``AmbiguousError``.
        """
        if isinstance(prefix, bytes):
            prefix = prefix.hex()
        found = [bundle for bundle in self.state.bundles if bundle.hex().startswith(prefix)]
        if not prefix or not found:
            raise NotFoundError(prefix, "no bundle begins so")
        if len(found) > 1:
            raise AmbiguousError(
                prefix, "several bundles begin so", tuple(sorted(one.hex() for one in found))
            )
        return self.state.bundles[found[0]]

    def fields(self, event: Event) -> dict[str, Value]:
        """Return the private fields of an event, by name.

        Raises ``NoIdentityMatchError`` if they are not open to this identity,
        ``DigestMismatchError``, ``FormatError``, or ``ProofError`` if they are not those that the
        event commits to.
        """
        if event.fields is None:
            return {}
        return values_of(read_fields(self._open_keyring(), event, self.state))

    # --- writing ------------------------------------------------------------------------------

    def append(
        self,
        type_name: str,
        *,
        bundle: bytes | None = None,
        data: Mapping[str, Packable] | None = None,
        fields: Mapping[str, Packable] | None = None,
    ) -> Event:
        """Append one event and return it once it is durable.

        ``type_name`` and what goes into ``data`` and ``fields`` are those of the table of types.
        Raises ``CustodyError`` for an event that a rule forbids, ``FormatError`` for a value that
        is not of its kind, ``UnknownVaultError`` (see :meth:`open`); nothing is written then.
        """
        self._check_known()
        draft = self._draft(type_name, fields or {}, data=data or {}, bundle=bundle)
        return self._append(draft)

    def _append(self, draft: Draft) -> Event:
        try:
            (event,) = self._log.append(self._identity(), lambda _: [draft])
        except BaseException:
            if not self._log.in_doubt:
                with suppress(OSError, StateError):  # the first error is the one to report
                    draft.discard()
            raise
        self._settle(self._remember)
        return event

    def seal(
        self,
        fields: Mapping[str, Packable] | None = None,
        *,
        expected: Sequence[int] = (),
    ) -> SealWriter:
        """Return a writer for a new bundle (a context manager; see :class:`SealWriter`).

        ``fields`` are private fields of ``bundle.sealed``; ``expected`` the sizes of the items, for
        a look at the free space before the first byte. Raises ``CustodyError`` if this identity may
        not seal, ``FormatError`` for a field that is not of its kind, ``NoSpaceError``,
        ``UnknownVaultError`` (see :meth:`open`).
        """
        self._check_known()
        self.check_may("bundle.sealed")
        bundle = self._random(16)
        given = dict(fields or {})
        commit_event_fields("bundle.sealed", given, self._random)
        self.store.sweep()

        def append(
            values: Mapping[str, Packable], data: Callable[[State], Mapping[str, Packable]]
        ) -> Event:
            return self._append(self._draft("bundle.sealed", values, data=data, bundle=bundle))

        def refused() -> bool:
            return not self._log.in_doubt and bundle not in self.state.bundles

        return SealWriter(
            self.store,
            append,
            refused,
            lambda: self.state,
            bundle=bundle,
            time=int(self._clock()),
            random=self._random,
            fields=given,
            expected=expected,
            progress=self._progress,
        )

    def check_may(self, type_name: str) -> None:
        """Raise ``CustodyError`` if this identity's roles do not allow such events at all."""
        member = self.state.member(self._identity().ed25519)
        if member is None:
            raise CustodyError("not-a-member", type_name)
        if not member.roles & set(EVENT_TYPES[type_name].writers):
            raise CustodyError("role", type_name, ", ".join(sorted(member.roles)))

    # --- reading evidence ---------------------------------------------------------------------

    def read(self, bundle: bytes) -> BundleReading:
        """Open a bundle without recording it: for a copy, a read-only medium, or a look at names.

        Raises ``NoIdentityMatchError`` if this identity is no reader of it.
        """
        known = self.bundle(bundle)
        if known.destroyed is not None:
            raise StateError(known.id.hex(), "destroyed")
        keyring = self._open_keyring()
        identity = bundle_identity(self.store, keyring, known, self.state)
        return BundleReading(self.store, known, identity, self.fields(self.event(known.seq)))

    def open_bundle(
        self,
        bundle: bytes,
        items: Sequence[int] = (),
        *,
        purpose: str,
        fields: Mapping[str, Packable] | None = None,
    ) -> BundleReading:
        """Open a bundle and record it: ``bundle.opened`` is durable before this returns.

        ``items`` are those that will be read (none: all).
        """
        reading = self.read(bundle)
        try:
            self._record_opening(reading, items, purpose, fields or {})
        except BaseException:
            reading.close()
            raise
        return reading

    def _record_opening(
        self,
        reading: BundleReading,
        items: Sequence[int],
        purpose: str,
        fields: Mapping[str, Packable],
    ) -> None:
        values: dict[str, Packable] = {"purpose": purpose, **fields}
        if items:
            values["items"] = [str(reading.item(number).number) for number in items]
        self.append("bundle.opened", bundle=reading.bundle.id, fields=values)

    def open_item(self, bundle: bytes, number: int, *, purpose: str) -> ItemReader:
        """Open one item's content and record it: the event is durable before the first byte.

        Raises ``StateError`` for an item without content; nothing is recorded then.
        """
        reading = self.read(bundle)
        try:
            item = reading.open(number, end=reading.close)
            self._record_opening(reading, [number], purpose, {})
        except BaseException:
            reading.close()
            raise
        return item

    # --- inner --------------------------------------------------------------------------------

    def _identity(self) -> Identity:
        if self.identity is None:
            raise NoIdentityMatchError("vault", "no identity was given")
        return self.identity

    def _open_keyring(self) -> Keyring:
        if self._keyring is None:
            raise NoIdentityMatchError("vault", "no identity was given")
        return self._keyring

    def _draft(
        self,
        type_name: str,
        fields: Mapping[str, Packable],
        *,
        data: Mapping[str, Packable] | Callable[[State], Mapping[str, Packable]],
        bundle: bytes | None = None,
        epoch: NewEpoch | None = None,
        policy: Policy | None = None,
    ) -> Draft:
        values = {**fields, **exact_time(self._clock, policy or self.state.policy)}
        return Draft(
            self.store,
            self._identity(),
            self._clock,
            type_name,
            commit_event_fields(type_name, values, self._random),
            data=data,
            bundle=bundle,
            epoch=(epoch.id, epoch.recipient) if epoch is not None else None,
        )

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Vault:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
