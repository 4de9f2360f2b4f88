"""How a vault begins: the file ``FORMAT``, and the first commit (docs/spec.md).

The first commit is ``vault.created``, an admission of each reader, ``epoch.opened``. Its epoch is
made first, because the fields of all these events are for its readers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, final

from vault.codec import Packable
from vault.custody import Policy
from vault.draft import Draft, Random
from vault.errors import (
    FormatError,
    NotAVaultError,
    UnsupportedVersionError,
    VaultExistsError,
)
from vault.event import Event
from vault.identity import Card, Identity
from vault.keyring import NewEpoch, new_epoch
from vault.layout import FIELDS, FORMAT_CONTENT, FORMAT_NAME, KEYS, LOG, epoch_name
from vault.storage import LocalStore, Store

__all__ = [
    "Continuation",
    "ContinuationReason",
    "Drafter",
    "check_format",
    "claim",
    "first_drafts",
    "unmake",
]

ContinuationReason: TypeAlias = Literal["lost-owner", "other", "restored-backup"]

# FORMAT has 17 bytes; more digits than these belong to no version.
_LATER_FORMAT: Final = re.compile(rb"evidence-vault/([2-9]|[1-9][0-9]{1,8})\n\Z")


@final
@dataclass(frozen=True, slots=True)
class Continuation:
    """What a vault says in public of one that it takes over: the id of that ``vault``, and the RFC
    6962 ``root`` of its log after ``size`` events.
    """

    vault: bytes
    size: int
    root: bytes
    reason: ContinuationReason

    def to_data(self) -> dict[str, Packable]:
        """Return the map that ``vault.created`` carries."""
        return {
            "vault": self.vault,
            "size": self.size,
            "root": self.root,
            "reason": self.reason,
        }

    @classmethod
    def of(cls, genesis: Event) -> Continuation | None:
        """Return what the first event of a vault says that it continues; None if nothing."""
        match genesis.data.get("continues"):
            case {
                "vault": bytes(vault),
                "size": int(size),
                "root": bytes(root),
                "reason": "lost-owner" | "other" | "restored-backup" as reason,
            }:
                return cls(vault, size, root, reason)
        return None


def check_format(store: Store) -> None:
    """Raise ``NotAVaultError`` or ``UnsupportedVersionError`` unless ``FORMAT`` says version 1."""
    try:
        found = store.read(FORMAT_NAME, 0, 64)
    except FileNotFoundError:
        raise NotAVaultError(store.place, "no file FORMAT") from None
    if found == FORMAT_CONTENT:
        return
    later = _LATER_FORMAT.match(found)
    if later is not None:
        raise UnsupportedVersionError("vault", f"version {later[1].decode()}", FORMAT_NAME)
    raise FormatError("FORMAT", "not the line of a vault", FORMAT_NAME)


def claim(store: Store) -> bool:
    """Write ``FORMAT``, which only one of several that make a vault here at once can do.

    Returns True; raises ``VaultExistsError``.
    """
    try:
        _write(store, FORMAT_NAME, FORMAT_CONTENT)
    except FileExistsError:
        raise VaultExistsError(store.place, "not empty") from None
    return True


def unmake(store: Store, *, claimed: bool) -> None:
    """Remove what was made of a vault that was not finished, if the place was ours."""
    if claimed:
        # By their names and not as listed: directories are left, too, where files were taken back.
        for name in (LOG, KEYS, FIELDS):
            with suppress(FileNotFoundError):
                store.delete_tree(name)
        store.delete(FORMAT_NAME)  # the last: until then the place is claimed
    store.close()
    if isinstance(store, LocalStore) and not any(True for _ in store.list()):
        store.unmake()


class Drafter(Protocol):
    """Makes a draft of an event by the vault's initialiser."""

    def __call__(
        self,
        type_name: str,
        fields: Mapping[str, Packable],
        *,
        data: Mapping[str, Packable],
        epoch: NewEpoch | None = None,
        policy: Policy | None = None,
    ) -> Draft:
        """Return the draft."""
        ...


def first_drafts(
    store: Store,
    identity: Identity,
    readers: Sequence[Card | Identity],
    fields: Mapping[str, Packable],
    policy: Policy,
    draft: Drafter,
    random: Random,
    continues: Continuation | None = None,
) -> list[Draft]:
    """Write the first epoch's file and return the events of the first commit."""
    unique = {reader.proven.keys.ed25519: reader for reader in readers}
    epoch = new_epoch([reader.proven.keys for reader in unique.values()], (), random)
    created: dict[str, Packable] = {
        "nonce": random(32),
        "keys": identity.proven.to_data(),
        "policy": policy.to_data(),
        **({"continues": continues.to_data()} if continues is not None else {}),
    }
    drafts = [draft("vault.created", fields, epoch=epoch, policy=policy, data=created)]
    for key, reader in unique.items():
        mine = key == identity.ed25519
        admitted: dict[str, Packable] = {
            "keys": reader.proven.to_data(),
            "roles": ("custodian", "owner", "reader") if mine else ("reader",),
            "history": True,
        }
        name = {"member.name": reader.name} if isinstance(reader, Card) else {}
        drafts.append(draft("member.admitted", name, epoch=epoch, policy=policy, data=admitted))
    opened = epoch.to_data(unique, history=True)
    drafts.append(draft("epoch.opened", {}, epoch=epoch, policy=policy, data=opened))
    _write(store, epoch_name(epoch.id), epoch.data)
    return drafts


def _write(store: Store, name: str, data: bytes) -> None:
    with store.create(name) as writer:
        writer.write(data)
        writer.commit()
