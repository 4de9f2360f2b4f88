"""A vault: create, open, seal, read, append. Nothing else.

A :class:`Vault` is a :class:`~vault.view.View` that moves on: by :meth:`Vault.refresh`, and by all
that it appends. Several threads may read from one; writers have one each.
"""

from __future__ import annotations

import os
import time as _time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import final

from vault.codec import Packable
from vault.consent import check_covered
from vault.custody import Policy, State
from vault.deletion import finish_quietly, is_unfinished
from vault.draft import Clock, Draft, Random, commit_event_fields, exact_time
from vault.errors import (
    CustodyError,
    StateError,
    UnknownVaultError,
    VaultError,
    VaultExistsError,
    VerificationError,
)
from vault.event import EVENT_TYPES, Event
from vault.founding import Continuation, check_format, claim, first_drafts, unmake
from vault.identity import Card, Identity, PublicKeys
from vault.keyring import NewEpoch, new_epoch
from vault.localstate import LocalState, keep_pin
from vault.pipeline import ProgressCallback
from vault.reading import BundleReading, ItemReader
from vault.sealing import SealWriter
from vault.storage import LocalStore, Store
from vault.view import View

__all__ = ["Vault"]

Place = str | os.PathLike[str]


@final
class Vault(View):
    """One state of a vault, seen and written to by ``identity`` (None: looked at by anybody).

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
        super().__init__(store, identity)
        self._local = state
        self._clock = clock
        self._random = random
        self._progress = progress
        self._tended = False
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
        continues: Continuation | None = None,
        state: Place | None = None,
        clock: Clock = _time.time,
        random: Random = os.urandom,
    ) -> Vault:
        """Make a vault whose owner and custodian is ``identity`` and whose readers are ``readers``.

        ``fields`` are private fields of ``vault.created`` (``title``, ``member.name``). Readers'
        cards give their keys and, as a private field, their names; to read herself, the owner names
        herself. ``continues`` is the vault that this one takes over, if any.

        Raises ``ValueError`` without a reader, ``VaultExistsError`` if the place is taken. Nothing
        is left behind after an error.
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
                store,
                identity,
                readers,
                fields or {},
                policy or Policy(),
                vault._draft,
                random,
                continues,
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

    # --- writing ------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time that an event written now would claim, in UTC seconds."""
        clock = self.state.policy.clock
        return int(self._clock()) // clock * clock

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
        draft = self.draft(type_name, bundle=bundle, data=data, fields=fields)
        (event,) = self.commit(lambda: [draft])
        return event

    def draft(
        self,
        type_name: str,
        *,
        bundle: bytes | None = None,
        data: Mapping[str, Packable] | Callable[[State], Mapping[str, Packable]] | None = None,
        fields: Mapping[str, Packable] | None = None,
        epoch: NewEpoch | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Draft:
        """Return an event for :meth:`commit`. Nothing is written yet.

        ``data`` may be a function of the state before the event. ``epoch`` is that which its commit
        opens: the fields are for its readers. ``files`` (by name) are those that the event names;
        they are durable before it is signed, and go if it is not appended.
        """
        return self._draft(
            type_name, fields or {}, data=data or {}, bundle=bundle, epoch=epoch, files=files
        )

    def commit(self, build: Callable[[], Sequence[Draft]]) -> tuple[Event, ...]:
        """Append several events at once, all or none, and return them once they are durable.

        ``build`` returns their drafts; it is called when this vault shows the newest state, and
        again if another writer was faster. Raises what it raises, and what :meth:`append` does.
        """
        self._check_known()
        unfinished = not self._tended and is_unfinished(self)
        made: list[Draft] = []

        def attempt(_: State) -> Sequence[Draft]:
            drafts = build()
            for draft in made:
                if draft not in drafts:
                    draft.discard()
            made[:] = drafts
            return drafts

        try:
            events = self._log.append(self._identity(), attempt)
        except BaseException:
            if not self._log.in_doubt:
                with suppress(OSError, StateError):  # the first error is the one to report
                    for draft in made:
                        draft.discard()
            raise
        self._settle(self._remember)
        self._tended = True
        if unfinished:  # the next writer deletes what the last one could not
            finish_quietly(self)
        return events

    def new_epoch(self, readers: Iterable[PublicKeys], *, history: bool) -> NewEpoch:
        """Make a reading key for ``readers``, for an ``epoch.opened`` that is to be committed.

        With ``history`` its file also opens the earlier epochs that this identity can open.
        """
        earlier = self.keyring.earlier(self.state) if history else ()
        return new_epoch(readers, earlier, self._random)

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
            draft = self.draft("bundle.sealed", bundle=bundle, data=data, fields=values)
            (event,) = self.commit(lambda: [draft])
            return event

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
        member = self.state.members.get(self._identity().ed25519)
        if member is None:
            raise CustodyError("not-a-member", type_name)
        if not member.active:
            raise CustodyError("removed-member", type_name, str(member.removed))
        if not member.roles & set(EVENT_TYPES[type_name].writers):
            raise CustodyError("role", type_name, ", ".join(sorted(member.roles)))

    # --- reading evidence ---------------------------------------------------------------------

    def open_bundle(
        self,
        bundle: bytes,
        items: Sequence[int] = (),
        *,
        purpose: str,
        fields: Mapping[str, Packable] | None = None,
    ) -> BundleReading:
        """Open a bundle and record it: ``bundle.opened`` is durable before this returns.

        ``items`` are those that will be read (none: all). ``fields`` are further ones of the event:
        ``use`` is held against a consent that is limited; ``authority`` stands above consent.
        Raises ``CustodyError`` for an opening that consent does not cover.
        """
        reading = self.read(bundle)
        try:
            self._record_opening(reading, items, purpose, fields or {})
        except BaseException:
            reading.close()
            raise
        return reading

    def open_item(
        self,
        bundle: bytes,
        number: int,
        *,
        purpose: str,
        fields: Mapping[str, Packable] | None = None,
    ) -> ItemReader:
        """Open one item's content and record it: the event is durable before the first byte.

        As :meth:`open_bundle`. Raises ``StateError`` for an item without content; nothing is
        recorded then.
        """
        reading = self.read(bundle)
        try:
            item = reading.open(number, end=reading.close)
            self._record_opening(reading, [number], purpose, fields or {})
        except BaseException:
            reading.close()
            raise
        return item

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
        draft = self.draft("bundle.opened", bundle=reading.bundle.id, fields=values)

        def build() -> Sequence[Draft]:
            # Consent may have been withdrawn a moment ago, on another machine.
            check_covered(self, reading.bundle.id, "bundle.opened", values)
            return [draft]

        self.commit(build)

    # --- inner --------------------------------------------------------------------------------

    def _draft(
        self,
        type_name: str,
        fields: Mapping[str, Packable],
        *,
        data: Mapping[str, Packable] | Callable[[State], Mapping[str, Packable]],
        bundle: bytes | None = None,
        epoch: NewEpoch | None = None,
        files: Mapping[str, bytes] | None = None,
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
            files=files or {},
        )
