"""One verified state of a vault, to look at: its events, its bundles, what is open to an identity.

Nothing is written, and nothing that is looked at is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from vault.codec import Value
from vault.commitment import values_of
from vault.custody import Breach, BundleState, State
from vault.errors import AmbiguousError, NoIdentityMatchError, NotFoundError, StateError
from vault.event import Event
from vault.forms import bundle_identity, read_fields
from vault.identity import Identity
from vault.keyring import Keyring
from vault.log import Log
from vault.reading import BundleReading
from vault.storage import Store
from vault.tlog.merkle import HashReader

__all__ = ["View"]


class View:
    """One state of a vault, seen by ``identity`` (None: as anybody sees it)."""

    def __init__(self, store: Store, identity: Identity | None) -> None:
        self.store = store
        self.identity = identity
        self._log = Log(store)
        self._keyring = Keyring(store, identity) if identity is not None else None

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
        return values_of(read_fields(self.keyring, event, self.state))

    def read(self, bundle: bytes) -> BundleReading:
        """Open a bundle without recording it: for a copy, a read-only medium, or a look at names.

        Raises ``NoIdentityMatchError`` if this identity is no reader of it.
        """
        known = self.bundle(bundle)
        if known.destroyed is not None:
            raise StateError(known.id.hex(), "destroyed")
        identity = bundle_identity(self.keyring, known, self.state)
        return BundleReading(self.store, known, identity, self.fields(self.event(known.seq)))

    def _identity(self) -> Identity:
        if self.identity is None:
            raise NoIdentityMatchError("vault", "no identity was given")
        return self.identity

    @property
    def keyring(self) -> Keyring:
        """The epochs open to this identity; raises ``NoIdentityMatchError`` if none was given."""
        if self._keyring is None:
            raise NoIdentityMatchError("vault", "no identity was given")
        return self._keyring

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
