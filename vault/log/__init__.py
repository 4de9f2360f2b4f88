"""The log of a vault: reading it whole and verified, and appending to it, over a ``Store``.

A C2SP tiled log (tlog-tiles) below ``log/``. :class:`Log` holds one checkpoint's tree and the state
of custody after its events. What it holds has been verified: every entry hashes into the tree, the
tree has the checkpoint's root, the checkpoint is signed by the actor of the last event, every event
by its own actor, and each ``head`` is the root before its event. Events that break a rule of
custody are kept in ``breaches``: such a log can be read, and not written to.

Appending is optimistic: build, sign, commit; on a conflict read on and build again at the new
place.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, final

from vault.custody import Breach, Custody, State, signer_of, vault_id
from vault.errors import (
    ConflictError,
    CustodyError,
    FormatError,
    NotAVaultError,
    ProofError,
    RollbackError,
    StateError,
    UnknownKeyError,
    UnsupportedVersionError,
    VaultError,
    VerificationError,
)
from vault.event import Event, check_event_signature, parse_event
from vault.layout import CHECKPOINT
from vault.log.commit import Maker, Place, check_complete
from vault.log.files import max_size, read_checkpoint, read_entries, superseded, tile_name
from vault.storage import Store
from vault.tlog.checkpoint import (
    Checkpoint,
    CheckpointSigner,
    SignedCheckpoint,
    check_checkpoint,
    parse_signed_checkpoint,
    sign_checkpoint,
)
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    format_entry_bundle,
    new_tiles,
    tile_data,
)

__all__ = ["Log", "Maker", "Place"]

_ATTEMPTS: Final = 100

_logger = logging.getLogger("vault")


def _is_whole(raw: bytes | None) -> bool:
    """Say whether there is a checkpoint that is not torn."""
    try:
        parse_signed_checkpoint(raw or b"")
    except FormatError:
        return False
    return True


@final
class Log:
    """One verified state of a vault's log; :meth:`refresh` moves it on.

    ``in_doubt`` says that an :meth:`append` signed a checkpoint and failed then: whether its events
    are in the log, only a later reading tells.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.in_doubt = False
        self.tree = MemoryTree()
        self.custody = Custody()
        self.breaches: list[Breach] = []
        self.signed: SignedCheckpoint | None = None
        self._bundle = lru_cache(maxsize=32)(self._read_bundle_checked)

    @property
    def state(self) -> State:
        """The state of custody."""
        return self.custody.state

    @property
    def size(self) -> int:
        """Events in this state of the log."""
        return self.tree.size

    @property
    def root(self) -> bytes:
        """RFC 6962 root."""
        return self.tree.root()

    @property
    def raw(self) -> bytes | None:
        """The checkpoint's bytes; None while there is no log."""
        return self.signed.raw if self.signed is not None else None

    # --- reading ------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Read what was appended since; return whether anything was.

        Where the checkpoint is missing or torn, a commit that is signed and complete but was not
        put in its place is read instead; the next writer finishes it.

        Raises ``RollbackError`` if the log no longer contains what was read before,
        ``VerificationError`` or ``FormatError`` if anything is not as it was signed. After an error
        this object is not to be used again.
        """
        while True:
            raw = self._newest()
            if raw is None:
                if self.signed is not None:
                    raise RollbackError("checkpoint", "missing", CHECKPOINT)
                raise NotAVaultError(self._store.place, "no log/checkpoint")
            if raw == self.raw:
                return False
            try:
                self._advance(raw)
            except FileNotFoundError as missing:
                # A writer that went on may have dropped a partial tile: then the checkpoint moved.
                if self._newest() == raw:
                    raise VerificationError("log", "missing", str(missing)) from None
                continue
            return True

    def _newest(self) -> bytes | None:
        """Return the bytes of the checkpoint, or of its sound successor if it is itself torn."""
        while True:
            raw = read_checkpoint(self._store)
            if _is_whole(raw):
                return raw
            pending = self._store.pending()
            if pending is not None and self._is_successor(pending):
                return pending
            if read_checkpoint(self._store) == raw:
                return raw

    def _advance(self, raw: bytes) -> None:
        """Move on to the checkpoint ``raw``, verifying all between; nothing changes on an error,
        unless an event is not what its actor signed.
        """
        try:
            signed = parse_signed_checkpoint(raw)
        except FormatError as error:
            raise error.at(CHECKPOINT) from None
        head = signed.checkpoint
        old = self.size
        if head.size < old:
            raise RollbackError(
                "checkpoint", "shorter than before", CHECKPOINT, expected=old, found=head.size
            )
        # Read twice, bundle by bundle: anybody may write down a size and fill a stick with entries.
        grown = MemoryTree(base=self.tree, base_size=old)
        for leaf in read_entries(self._store, old, head.size, head.size):
            grown.append(leaf_hash(leaf))
        if grown.root() != head.root:
            if old and self._root_of_entries(head.size) == head.root:
                raise RollbackError("checkpoint", "not a continuation", CHECKPOINT, expected=old)
            raise ProofError(
                "checkpoint",
                "its root is not that of the entries",
                CHECKPOINT,
                expected=head.root,
                found=grown.root(),
            )
        self._fold(grown, old)
        self._check_signer(signed)
        self.tree.extend(grown.hash(0, seq) for seq in range(old, head.size))
        self.signed = signed
        self._bundle.cache_clear()

    def _root_of_entries(self, size: int) -> bytes:
        entries = read_entries(self._store, 0, size, size)
        return MemoryTree(leaf_hash(entry) for entry in entries).root()

    def _fold(self, tree: MemoryTree, old: int) -> None:
        for seq, leaf in enumerate(read_entries(self._store, old, tree.size, tree.size), old):
            if leaf_hash(leaf) != tree.hash(0, seq):
                raise ProofError("event", "not the one that was read before", f"event {seq}")
            try:
                event = parse_event(leaf)
            except FormatError as error:
                raise error.at(f"event {seq}") from None
            check_event_signature(event)
            if seq and event.head != tree.root(seq):
                raise VerificationError("event", "head is not the root before it", f"event {seq}")
            breaches = self.custody.apply(event)
            if [breach.rule for breach in breaches] == ["version"]:
                why = f"version {breaches[0].detail}"
                raise UnsupportedVersionError("vault", why, f"event {seq}")
            self.breaches.extend(breaches)

    def _check_signer(self, signed: SignedCheckpoint) -> None:
        state = self.state
        signer = state.members.get(state.last_actor)
        if signer is None:
            raise UnknownKeyError("checkpoint", "its signer is not on the roster", CHECKPOINT)
        keys = signer.keys
        check_checkpoint(signed, keys.ed25519, keys.ml_dsa_44, origin=state.origin)

    def _read_bundle_checked(self, index: int) -> tuple[bytes, ...]:
        first = index * TILE_WIDTH
        end = min(self.size, first + TILE_WIDTH)
        while True:
            before = read_checkpoint(self._store)
            try:
                entries = tuple(read_entries(self._store, first, end, self.size))
                break
            except FileNotFoundError as missing:
                if read_checkpoint(self._store) == before:
                    raise VerificationError("log", "missing", str(missing)) from None
        for seq, entry in enumerate(entries, first):
            if leaf_hash(entry) != self.tree.hash(0, seq):
                raise ProofError("event", "not the one that was read before", f"event {seq}")
        return entries

    def entry(self, seq: int) -> bytes:
        """Return the bytes of event ``seq``; raise ``IndexError`` beyond the end."""
        if not 0 <= seq < self.size:
            raise IndexError(seq)
        index, offset = divmod(seq, TILE_WIDTH)
        return self._bundle(index)[offset]

    def event(self, seq: int) -> Event:
        """Return event ``seq``."""
        return parse_event(self.entry(seq))

    # --- writing ------------------------------------------------------------------------------

    def finish_pending(self) -> bytes | None:
        """Finish a commit that was signed and not published, if there is a sound one.

        Returns the bytes of a ``checkpoint.next`` that is not a successor (torn, say, or against
        the rules) and may be overwritten; None if there is none.
        """
        for _ in range(_ATTEMPTS):
            pending = self._store.pending()
            if pending is None or not self._is_successor(pending):
                return pending
            try:
                self._store.finish(read_checkpoint(self._store), pending)
            except ConflictError:
                continue  # another writer was faster, or went on: look again
        raise ConflictError(self._store.place, f"a pending checkpoint moved {_ATTEMPTS} times")

    def _is_successor(self, pending: bytes) -> bool:
        """Whether ``pending`` verifies, with all that its commit wrote, and continues the log.

        False for what no member of now signed, and for what breaks a rule of custody, whoever
        signed it: no software that keeps the rules commits that, and once it stood in the log,
        nobody could write any more. Any other checkpoint that a member signed is never thrown away:
        it may have been seen, and another of its size would be a fork. Where it can't be finished,
        ``StateError``.
        """
        trial = Log(self._store)
        since = 0
        try:
            head = parse_signed_checkpoint(read_checkpoint(self._store) or b"").checkpoint
            since = head.size
        except FormatError:
            head = None  # missing or torn, as FAT leaves it: the successor is what remains
        try:
            trial._advance(pending)
            if head is not None and head.size > trial.size:
                return False  # the log went on since
            trial.check_tiles(since)
        except NotAVaultError:
            raise  # a stick that was pulled out
        except UnsupportedVersionError:
            if self._is_signed(pending):
                raise  # a later version's commit is not thrown away
            return False
        except (VaultError, FileNotFoundError) as error:
            if self._store.pending() != pending:
                return False  # its writer finished it, and others went on and dropped its tiles
            if self._is_signed(pending):
                raise StateError(
                    self._store.place, f"a pending commit is damaged: {error}"
                ) from error
            return False
        if head is not None and trial.tree.root(head.size) != head.root:
            raise StateError(self._store.place, "a pending commit does not continue the log")
        forbidden = any(breach.seq >= since for breach in trial.breaches)
        # Nor does a sound commit end between a change of readers and their epoch.
        return since < trial.size and not forbidden and trial.state.due is None

    def _is_signed(self, pending: bytes) -> bool:
        """Whether a member of now signed ``pending``, or that can't be told."""
        try:
            signed = parse_signed_checkpoint(pending)
        except FormatError:
            return False
        view = Log(self._store)
        try:
            # Not refresh(), which would take the pending one itself for a checkpoint that is torn.
            view._advance(read_checkpoint(self._store) or b"")
        except (VaultError, FileNotFoundError):
            return True
        signer = signer_of(view.state, signed)
        return signer is not None and signer.active

    def check_tiles(self, since: int = 0) -> None:
        """Raise unless every tile that the log has beyond size ``since`` is there, with the bytes
        that the entries give.
        """
        for tile in new_tiles(since, self.size):
            name = tile_name(tile)
            if tile.level != ENTRIES and self._store.read(name, 0, max_size(tile) + 1) != tile_data(
                tile, self.tree
            ):
                raise ProofError("tile", "does not follow from the entries", name)

    def append(
        self, signer: CheckpointSigner, build: Callable[[State], Sequence[Maker]]
    ) -> tuple[Event, ...]:
        """Append one commit of ``signer``; return its events once they are durable.

        ``build`` is called with the state for every attempt, and returns a maker for each event.
        Raises ``CustodyError`` for an event that breaks a rule, ``StateError`` for a log that
        already contradicts itself. After any error nothing was committed, unless ``in_doubt``.
        """
        self.in_doubt = False
        for _ in range(_ATTEMPTS):
            judged = self.finish_pending()
            if self.signed is not None or read_checkpoint(self._store) is not None:
                self.refresh()
            if self.breaches:
                raise StateError(self._store.place, "the log contradicts itself")
            events, tree = self._make(signer, build(self.state))
            try:
                raw = self._commit(signer, events, tree, judged)
            except ConflictError:
                continue
            before = self.size
            self._take(raw, events)
            self._drop_partials(before)
            self.in_doubt = False
            return events
        raise ConflictError(self._store.place, f"other writers were faster {_ATTEMPTS} times")

    def _make(
        self, signer: CheckpointSigner, makers: Sequence[Maker]
    ) -> tuple[tuple[Event, ...], MemoryTree]:
        custody = self.custody
        tree = MemoryTree(base=self.tree, base_size=self.size)
        events: list[Event] = []
        for number, make in enumerate(makers):
            if number == 1:
                # Later events of a commit are judged after the earlier ones, on a copy.
                custody = copy.deepcopy(custody)
            if number:
                custody.apply(events[-1])
            changes = number == 0 and custody.state.last_actor != signer.ed25519
            place = Place(
                seq=tree.size,
                head=tree.root() if tree.size else None,
                closes=self.raw if changes else None,
                state=custody.state,
            )
            event = make(place)
            for breach in custody.broken(event):
                raise CustodyError(breach.rule, event.type, breach.detail, event.bundle)
            if (event.head, event.closes) != (place.head, place.closes):
                raise ValueError("an event made for another place")
            check_event_signature(event)
            events.append(event)
            tree.append(event.leaf_hash)
        if not events:
            raise ValueError("a commit without events")
        check_complete(custody.state, events[-1])
        return tuple(events), tree

    def _commit(
        self,
        signer: CheckpointSigner,
        events: Sequence[Event],
        tree: MemoryTree,
        judged: bytes | None,
    ) -> bytes:
        """Commit; return the new checkpoint's bytes."""
        old, new = self.size, tree.size
        origin = self.state.origin if old else f"evidence-vault/{vault_id(events[0]).hex()}"
        files: dict[str, bytes] = {}
        for tile in new_tiles(old, new):
            if tile.level == ENTRIES:
                first = tile.index * TILE_WIDTH
                kept = [self.entry(seq) for seq in range(first, min(old, first + tile.width))]
                added = [e.leaf for e in events if first <= e.seq < first + tile.width]
                files[tile_name(tile)] = format_entry_bundle([*kept, *added])
            else:
                files[tile_name(tile)] = tile_data(tile, tree)
        head = Checkpoint(origin, new, tree.root())
        signed: list[bytes] = []

        def sign() -> bytes:
            signed.append(sign_checkpoint(head, signer))
            self.in_doubt = True
            return signed[0]

        self._store.commit(self.raw, files, sign, judged=judged, clear=superseded(old, new))
        return signed[0]

    def _take(self, raw: bytes, events: Sequence[Event]) -> None:
        """Move on to what was just committed. Nothing is read, so nothing can fail: an event that
        is durable is never reported as an error.
        """
        for event in events:
            self.custody.apply(event)
        self.tree.extend(event.leaf_hash for event in events)
        self.signed = parse_signed_checkpoint(raw)
        self._bundle.cache_clear()

    def _drop_partials(self, before: int) -> None:
        """Delete the partial tiles of those that a commit made full (tlog-tiles, "Partial Tiles").

        The commit is durable: what can't be deleted now is merely superfluous, and stays.
        """
        for tile in new_tiles(before, self.size):
            if tile.partial:
                continue
            try:
                self._store.delete_tree(f"{tile_name(tile)}.p")
            except FileNotFoundError:
                pass
            except (OSError, StateError) as error:
                _logger.warning("superseded tiles were not deleted: %s", error)
