"""Members who come and go, and what is open to them: admissions, removals, grants.

Each change of the readers opens the next epoch in the same commit, for exactly those who read after
it; the private fields of both events are for that epoch, so that one who was removed does not read
why. History, which is the epochs before, is given to a newcomer with the new epoch's file: as far
back as the last epoch that was opened without it, and by somebody who reads. What was not given so,
a reader may grant later.

Removal is not revocation: what a key could open before, it opens still.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, final

from vault import age
from vault.codec import Packable
from vault.custody import BundleState, Epoch, Member, State
from vault.draft import Draft
from vault.errors import CustodyError, NotFoundError
from vault.event import EVENT_TYPES, Event, Role
from vault.expected import ExpectedFile, expected_files
from vault.identity import Card, Identity, PublicKeys
from vault.keyring import format_epoch_file
from vault.layout import epoch_name, history_name
from vault.looking import Seen
from vault.naming import admissions_of
from vault.replacement import Replacements
from vault.vault import Vault

__all__ = [
    "Admission",
    "Cause",
    "Granting",
    "Removal",
    "admit",
    "checks_of",
    "grant_history",
    "remove",
]

Cause: TypeAlias = Literal["compromised", "died", "left", "lost", "seized"]


@final
@dataclass(frozen=True, slots=True)
class Admission:
    """What an admission did. ``before`` are the roles that it replaced, None for a newcomer.

    ``epoch`` is the one that it opened, if any. For a member who reads, ``closed`` are the epochs,
    oldest first, and ``closed_bundles`` the bundles, destroyed ones apart, that are not open to
    that key. ``readers`` and ``owners`` (Ed25519 keys, in the order of their
    admission) are those from now on.
    """

    events: tuple[Event, ...]
    member: Member
    before: frozenset[str] | None
    epoch: Epoch | None
    closed: tuple[Epoch, ...]
    closed_bundles: tuple[BundleState, ...]
    readers: tuple[bytes, ...]
    owners: tuple[bytes, ...]


@final
@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal did, and what it leaves to be done.

    ``epoch`` is the one that it opened, if any. ``open`` are the bundles, destroyed ones apart,
    that the removed key can open still; ``held`` those that it is answerable for, until an owner
    assumes custody; ``released`` those that wait for its acceptance, until their holders recall.
    ``disputed`` is the number of its events that are called doubtful. ``readers`` and ``owners``
    (Ed25519 keys, in the order of their admission) are those from now on.
    """

    events: tuple[Event, ...]
    member: Member
    epoch: Epoch | None
    open: tuple[BundleState, ...]
    held: tuple[BundleState, ...]
    released: tuple[BundleState, ...]
    disputed: int
    readers: tuple[bytes, ...]
    owners: tuple[bytes, ...]


@final
@dataclass(frozen=True, slots=True)
class Granting:
    """What a grant did: ``epochs`` (oldest first) are open to ``member`` now, ``closed`` not yet;
    ``bundles`` are those, destroyed ones apart, that it opened, and ``said`` is the number of the
    last event whose private fields it opened, if there is one.
    """

    event: Event
    member: Member
    epochs: tuple[Epoch, ...]
    closed: tuple[Epoch, ...]
    bundles: tuple[BundleState, ...]
    said: int | None


def admit(
    vault: Vault,
    who: Card | Identity,
    roles: Iterable[Role],
    *,
    history: bool = True,
    fields: Mapping[str, Packable] | None = None,
) -> Admission:
    """Admit a member with ``roles``, or replace the roles of one; written by an owner.

    A card gives the name. ``fields`` are further private fields of ``member.admitted``: how, by
    whom and when the fingerprint was checked (``fingerprint.checked_how``), ``reason``; those that
    ``epoch.opened`` has as well, it is given too.

    A new reader can open what was sealed before only with ``history``, if the owner reads too, and
    back to the last epoch that was opened without: ``closed`` says what is missing.

    Raises ``ValueError`` without a role, ``CustodyError`` (``last-owner``, ``last-reader``,
    ``removed-key-returns``, ``key-reused``, …) and what :meth:`Vault.append` does; nothing is
    written then.
    """
    wanted = frozenset(roles)
    if not wanted:
        raise ValueError("a member has a role")
    vault.check_may("member.admitted")
    name = {"member.name": who.name} if isinstance(who, Card) else {}
    values: dict[str, Packable] = {**name, **(fields or {})}
    keys = who.proven.keys
    before: list[frozenset[str] | None] = []

    def build() -> Sequence[Draft]:
        known = vault.state.member(keys.ed25519)
        before[:] = [known.roles if known is not None else None]
        readers = _readers(vault.state)
        after = {key: one for key, one in readers.items() if key != keys.ed25519}
        if "reader" in wanted:
            after[keys.ed25519] = keys
        newcomer = after.keys() > readers.keys()
        given = (history or not newcomer) and _may_give_history(vault)
        data: dict[str, Packable] = {
            "keys": who.proven.to_data(),
            "roles": tuple(sorted(wanted)),
            # Of whom it says nothing it is as in the first commit.
            "history": given or not newcomer,
        }
        return _drafts(vault, "member.admitted", data, values, after, history=given)

    events = vault.commit(build)
    state = vault.state
    member = state.members[keys.ed25519]
    closed = _closed(state, keys.ed25519) if "reader" in wanted else ()
    return Admission(
        events=events,
        member=member,
        before=before[0],
        epoch=_opened(state, events),
        closed=closed,
        closed_bundles=_sealed_to(state, closed),
        readers=tuple(state.active("reader")),
        owners=tuple(state.active("owner")),
    )


def remove(
    vault: Vault,
    member: Member,
    *,
    cause: Cause,
    doubtful_from: int | None = None,
    fields: Mapping[str, Packable] | None = None,
) -> Removal:
    """Remove a member; written by an owner. The key never returns.

    ``cause`` and ``fields`` (``reason``) are private. ``doubtful_from`` is public: the events of
    that key from this number on are disputed.

    Raises ``CustodyError`` (``last-owner``, ``second-owner``, ``last-reader``, ``member-unknown``,
    ``doubtful-from``, …) and what :meth:`Vault.append` does; nothing is written then.
    """
    vault.check_may("member.removed")
    key = member.keys.ed25519
    values: dict[str, Packable] = {"cause": cause, **(fields or {})}
    data: dict[str, Packable] = {"member": key}
    if doubtful_from is not None:
        data["doubtful_from"] = doubtful_from

    def build() -> Sequence[Draft]:
        after = {one: keys for one, keys in _readers(vault.state).items() if one != key}
        return _drafts(
            vault, "member.removed", data, values, after, history=_may_give_history(vault)
        )

    events = vault.commit(build)
    state = vault.state
    there = _there(state)
    opens = state.opens(key)
    first = vault.size if doubtful_from is None else doubtful_from
    return Removal(
        events=events,
        member=state.members[key],
        epoch=_opened(state, events),
        open=tuple(one for one in there if one.key_file.epoch in opens),
        held=tuple(one for one in there if one.holder == key),
        released=tuple(one for one in there if one.release and one.release.to == key),
        disputed=sum(event.actor == key for event in vault.events(after=first - 1)),
        readers=tuple(state.active("reader")),
        owners=tuple(state.active("owner")),
    )


def grant_history(
    vault: Vault,
    member: Member,
    epochs: Iterable[bytes] | None = None,
    *,
    fields: Mapping[str, Packable] | None = None,
) -> Granting:
    """Open earlier epochs to a reader; written by a reader.

    ``epochs`` are all that this identity can open and the other can't, unless they are named.
    ``fields`` are private fields of ``history.granted`` (``reason``).

    Raises ``CustodyError``: ``history-open`` where nothing is closed to the reader (any more),
    ``history-closed`` where what is closed to the reader is closed to this identity too, and
    ``history-reader``; ``NotFoundError`` for an epoch that is not there to be granted;
    ``DigestMismatchError`` where a file that opens one is damaged. Nothing is written then.
    """
    vault.check_may("history.granted")
    key = member.keys.ed25519
    named = frozenset(epochs) if epochs is not None else None
    given: list[Epoch] = []
    given_files: list[ExpectedFile] = []

    def build() -> Sequence[Draft]:
        given[:] = _to_grant(vault, key, named)
        given_files[:] = _encrypted_to(vault, given)
        if named is None and not given_files:
            raise CustodyError("history-open", "history.granted", key.hex())
        keyring, state = vault.keyring, vault.state
        newest_first = [(one.id, keyring.identity_of(one.id, state)) for one in reversed(given)]
        recipient = member.keys.recipient
        data = age.encrypt_bytes(format_epoch_file(newest_first), [recipient])
        sha256 = hashlib.sha256(data).digest()
        return [
            vault.draft(
                "history.granted",
                data={
                    "reader": key,
                    "epochs": tuple(sorted(one.id for one in given)),
                    "file": (sha256, len(data)),
                },
                fields=fields,
                files={history_name(sha256): data},
            )
        ]

    (event,) = vault.commit(build)
    state = vault.state
    return Granting(
        event=event,
        member=state.members[key],
        epochs=tuple(given),
        closed=_closed(state, key),
        bundles=_sealed_to(state, given),
        said=max(
            (file.seq for file in given_files if file.name.startswith("fields/")), default=None
        ),
    )


def checks_of(vault: Vault) -> dict[bytes, Seen]:
    """Return the private fields of the newest admission of each member (Ed25519 key) that says how
    the fingerprint was checked, where they are open to this identity.
    """
    found: dict[bytes, Seen] = {}
    for key, member in vault.state.members.items():
        for fields in admissions_of(vault, member):
            if fields.get("fingerprint.checked_how"):
                found[key] = Seen("open", dict(fields))
                break
    return found


# --- inner ------------------------------------------------------------------------------------


def _readers(state: State) -> dict[bytes, PublicKeys]:
    return {key: state.members[key].keys for key in state.active("reader")}


def _may_give_history(vault: Vault) -> bool:
    """Say whether the next epoch may open earlier ones: they are this identity's to give only if it
    reads the newest (the rule ``epoch-history``).
    """
    state = vault.state
    me = vault.identity
    assert me is not None  # asked by check_may
    return state.newest is not None and me.ed25519 in state.epochs[state.newest].readers


def _drafts(
    vault: Vault,
    type_name: str,
    data: Mapping[str, Packable],
    fields: Mapping[str, Packable],
    after: Mapping[bytes, PublicKeys],
    *,
    history: bool,
) -> list[Draft]:
    """Return the event and, if the readers ``after`` it are not those of now, the next epoch."""
    # Without a reader no epoch can be made; the rule that is broken then is that of the event.
    if not after or after.keys() == set(vault.state.active("reader")):
        return [vault.draft(type_name, data=data, fields=fields)]
    epoch = vault.new_epoch(after.values(), history=history)
    known = EVENT_TYPES["epoch.opened"].field_names
    return [
        vault.draft(type_name, data=data, fields=fields, epoch=epoch),
        vault.draft(
            "epoch.opened",
            data=epoch.to_data(after, history=history),
            fields={name: value for name, value in fields.items() if name in known},
            epoch=epoch,
            files={epoch_name(epoch.id): epoch.data},
        ),
    ]


def _opened(state: State, events: Sequence[Event]) -> Epoch | None:
    last = events[-1].data.get("epoch") if events[-1].type == "epoch.opened" else None
    return state.epochs[last] if isinstance(last, bytes) else None


def _closed(state: State, key: bytes) -> tuple[Epoch, ...]:
    opens = state.opens(key)
    return tuple(
        epoch
        for epoch in state.epochs.values()
        if epoch.id not in opens and epoch.id not in state.shredded
    )


def _sealed_to(state: State, epochs: Iterable[Epoch]) -> tuple[BundleState, ...]:
    ids = {epoch.id for epoch in epochs}
    return tuple(bundle for bundle in _there(state) if bundle.key_file.epoch in ids)


def _encrypted_to(vault: Vault, epochs: Iterable[Epoch]) -> list[ExpectedFile]:
    """Return the files that are there and encrypted to these epochs, with the events that logged
    them first.
    """
    ids = {epoch.id for epoch in epochs}
    files = expected_files(vault.events(), vault.state, Replacements(vault.store))
    return [
        replace(file, seq=files[file.first].seq)
        for file in files.values()
        if file.epoch in ids and not file.destroyed
    ]


def _there(state: State) -> tuple[BundleState, ...]:
    return tuple(bundle for bundle in state.bundles.values() if bundle.destroyed is None)


def _to_grant(vault: Vault, key: bytes, named: frozenset[bytes] | None) -> list[Epoch]:
    """Return the epochs to be granted, oldest first; at least one."""
    state = vault.state
    me = vault.identity
    assert me is not None
    closed = _closed(state, key)
    mine = state.opens(me.ed25519)
    for epoch in sorted(named or ()):
        if epoch not in mine:
            raise NotFoundError(epoch.hex(), "no epoch that is open to this identity goes by that")
    given = [one for one in closed if one.id in mine and (named is None or one.id in named)]
    if not given:
        rule = "history-closed" if closed and named is None else "history-open"
        raise CustodyError(rule, "history.granted", key.hex())
    return given
