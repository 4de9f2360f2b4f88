"""What a log says at one size: roster, epochs, bundles, holders. Plain data, no rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import final

from vault.errors import StateError
from vault.event import SealedFile
from vault.identity import ProvenKeys, PublicKeys

__all__ = ["BundleState", "Epoch", "Grant", "Member", "Policy", "Rekeying", "Release", "State"]


@final
@dataclass(frozen=True, slots=True)
class Policy:
    """``clock``: public times are multiples of so many seconds; destruction needs two persons."""

    clock: int = 1
    two_person_destroy: bool = False

    def to_data(self) -> dict[str, int | bool]:
        """Return the map that events carry."""
        return {"clock": self.clock, "two_person_destroy": self.two_person_destroy}


@final
@dataclass(slots=True)
class Member:
    """An identity on the roster.

    ``admissions`` are the indexes of all events that admitted it, the oldest first: one at least,
    which for the initialiser is genesis. ``removed`` is that of its removal.
    """

    proven: ProvenKeys
    roles: frozenset[str]
    admissions: tuple[int, ...]
    removed: int | None = None
    doubtful_from: int | None = None

    @property
    def admitted(self) -> int:
        """The index of the event by which the member came onto the roster."""
        return self.admissions[0]

    @property
    def keys(self) -> PublicKeys:
        """The member's public keys."""
        return self.proven.keys

    @property
    def active(self) -> bool:
        """Whether the member has not been removed."""
        return self.removed is None


@final
@dataclass(frozen=True, slots=True)
class Epoch:
    """One generation of the reading key; ``seq`` is that of its ``epoch.opened``."""

    id: bytes
    recipient: bytes
    sha256: bytes
    size: int
    readers: frozenset[bytes]
    history: bool
    seq: int


@final
@dataclass(frozen=True, slots=True)
class Grant:
    """A file that opens earlier epochs to one reader."""

    reader: bytes
    epochs: tuple[bytes, ...]
    sha256: bytes
    size: int


@final
@dataclass(slots=True)
class Rekeying:
    """A manifest of files that were encrypted again to ``epoch``, as event ``seq`` by ``by`` says;
    ``confirmed`` and ``pruned`` are the indexes of the events that did so.
    """

    manifest: bytes
    size: int
    epoch: bytes
    by: bytes
    seq: int
    confirmed: int | None = None
    pruned: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Release:
    """A handover that waits for its recipient; ``expires`` is a time in UTC seconds, if any."""

    seq: int
    by: bytes
    to: bytes
    expires: int | None


@final
@dataclass(slots=True)
class BundleState:
    """One bundle: what its seal committed to, its chain of events, who is answerable for it now."""

    id: bytes
    seq: int
    sealer: bytes
    time: int
    parts: tuple[tuple[bytes, int], ...]
    key: bytes
    key_file: SealedFile
    items: bytes
    holder: bytes
    last: bytes
    chain: list[int] = field(default_factory=list)
    holders: list[tuple[int, bytes]] = field(default_factory=list)
    release: Release | None = None
    interrupted: bool = False
    holds: set[bytes] = field(default_factory=set)
    request: tuple[int, bytes] | None = None
    approval: int | None = None
    destroyed: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the age file, over all parts."""
        return sum(size for _, size in self.parts)


@final
@dataclass(slots=True)
class State:
    """Everything that the rules look at, after ``size`` events."""

    vault: bytes = b""
    policy: Policy = field(default_factory=Policy)
    size: int = 0
    members: dict[bytes, Member] = field(default_factory=dict)
    epochs: dict[bytes, Epoch] = field(default_factory=dict)
    newest: bytes | None = None
    due: bytes | None = None
    withheld: bool = False
    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    rekeyings: dict[bytes, Rekeying] = field(default_factory=dict)
    shredded: set[bytes] = field(default_factory=set)
    bundles: dict[bytes, BundleState] = field(default_factory=dict)
    files: set[bytes] = field(default_factory=set)
    last_actor: bytes = b""

    @property
    def origin(self) -> str:
        """The origin line of the log's checkpoints."""
        return f"evidence-vault/{self.vault.hex()}"

    def member(self, key: bytes) -> Member | None:
        """Return the member with this Ed25519 key if it is on the roster now."""
        found = self.members.get(key)
        return found if found is not None and found.active else None

    def active(self, role: str) -> Iterator[bytes]:
        """Yield the keys of the members who have ``role`` now."""
        return (
            key for key, member in self.members.items() if member.active and role in member.roles
        )

    def open_epoch(self) -> Epoch:
        """Return the newest epoch; raise ``StateError`` for a log that ends before there is one."""
        if self.newest is None:
            raise StateError(self.origin, "no readers' key was made yet")
        return self.epochs[self.newest]

    def held_by(self, epoch: bytes) -> Iterator[bytes]:
        """Yield the epochs whose identities the file of an epoch holds, newest first: its own, and
        those before it back to the last that was opened without history.
        """
        order = [*self.epochs]
        for one in reversed(order[: order.index(epoch) + 1]):
            yield one
            if not self.epochs[one].history:
                return

    def opens(self, reader: bytes) -> frozenset[bytes]:
        """Return the epochs that the log says are open to a reader's key."""
        found: set[bytes] = set()
        for grant in self.grants:
            # A file that grants what was shredded is gone, with all else that it granted.
            if grant.reader == reader and self.shredded.isdisjoint(grant.epochs):
                found.update(grant.epochs)
        held = False  # by the file of a later epoch
        for epoch in reversed(self.epochs.values()):
            # So is the file of an epoch that was shredded, with the earlier ones that it opened.
            held |= reader in epoch.readers and epoch.id not in self.shredded
            if held:
                found.add(epoch.id)
            held &= epoch.history
        return frozenset(found - self.shredded)

    def closes(self, epochs: Iterable[bytes]) -> frozenset[bytes]:
        """Return the epochs beside ``epochs`` that some reader of now can open, and could not once
        these are shredded: only files that would go open them to that reader.
        """
        going = frozenset(epochs)
        after = replace(self, shredded=self.shredded | going)
        found: set[bytes] = set()
        for reader in self.active("reader"):
            found |= self.opens(reader) - after.opens(reader)
        return frozenset(found - going)

    def is_disputed(self, actor: bytes, seq: int) -> bool:
        """Whether a removal declared this key's events from some point on as doubtful."""
        member = self.members.get(actor)
        return (
            member is not None and member.doubtful_from is not None and seq >= member.doubtful_from
        )
