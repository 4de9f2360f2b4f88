"""A real vault with people in every role, and events forced into its log by their own keys.

:func:`force` does what somebody with other software and a member's key can do: the event is well
formed and signed, its fields are committed to and encrypted to the newest epoch, the tree is sound
and the checkpoint is signed by the same key. Only a rule of custody stands against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import pytest

from tests.bundles.scene import NOW, clock, contents, new_vault, open_vault, seal, seeded
from tests.custody.histories import person
from tests.log.notes import forge, read
from vault import age
from vault.auditing import Finding, audit
from vault.codec import Packable
from vault.commitment import FIELDS_LABEL, fields_root
from vault.custody import Policy
from vault.draft import Draft, commit_event_fields
from vault.errors import CustodyError
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    Event,
    FieldsHeader,
    SealedFile,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
)
from vault.identity import Identity, PublicKeys
from vault.keyring import NewEpoch, new_epoch
from vault.layout import bundle_key_name, epoch_name, fields_name, part_name, rekey_name
from vault.storage import MemoryStore
from vault.vault import Vault

PEOPLE: Final[dict[str, Identity]] = {
    "founder": person(1),
    "holder": person(2),
    "other": person(3),
    "reader": person(4),
    "owner": person(5),
    "custodian owner": person(6),
    "custodian reader": person(7),
    "owner reader": person(8),
    "removed": person(10),
    "stranger": person(11),
    "newcomer": person(12),
}
"""Named by their roles; ``founder`` has all, ``holder`` and ``other`` are custodians."""

ROLES: Final[dict[str, frozenset[str]]] = {
    "founder": frozenset(("custodian", "owner", "reader")),
    "holder": frozenset(("custodian",)),
    "other": frozenset(("custodian",)),
    **{
        name: frozenset(name.split())
        for name in ("reader", "owner", "custodian owner", "custodian reader", "owner reader")
    },
}

Maker = Callable[[str, bytes], bytes]
Data = dict[str, Packable]


def sha256(data: bytes) -> bytes:
    """Return a digest."""
    return hashlib.sha256(data).digest()


def write(store: MemoryStore, files: Mapping[str, bytes]) -> None:
    """Put files into a store, past what a writer may do."""
    for name, content in files.items():
        store._put(name, content)


def force(
    store: MemoryStore,
    actor: Identity,
    type_name: str,
    data: Mapping[str, Packable],
    *,
    bundle: bytes | None = None,
    files: Mapping[str, bytes] = {},
    epoch: NewEpoch | None = None,
    signer: Identity | None = None,
    **changes: Any,
) -> Event:
    """Append one event whatever the rules say; ``changes`` are made to it before it is signed.

    ``files`` are those that its data names, ``epoch`` the one that it opens.
    """
    log = read(store)
    state = log.state
    genesis = type_name == "vault.created"
    if epoch is None:
        assert state.newest is not None
        to, recipient = state.newest, state.epochs[state.newest].recipient
    else:
        to, recipient = epoch.id, epoch.recipient
    header = FieldsHeader(actor.ed25519, type_name, None if genesis else state.vault, bundle)
    fields = commit_event_fields(type_name, {}, seeded(log.size))
    sealed = age.encrypt_bytes(
        format_fields_file(header, fields), [age.HybridRecipient.from_bytes(recipient)]
    )
    known = state.bundles.get(bundle) if bundle is not None else None
    follows = EVENT_TYPES[type_name].about_bundle and type_name != "bundle.sealed"
    values: dict[str, Any] = {
        "seq": log.size,
        "type": type_name,
        "actor": actor.ed25519,
        "time": NOW,
        "data": dict(data),
        "vault": state.vault,
        "head": log.root,
        "bundle": bundle,
        "prev": (known.last if known is not None else bytes(32)) if follows else None,
        "fields": fields_root(FIELDS_LABEL, fields),
        "sealed": SealedFile(sha256(sealed), len(sealed), to),
        "closes": log.raw if state.last_actor != actor.ed25519 else None,
        **changes,
    }
    if "sealed" not in changes:
        write(store, {fields_name(sha256(sealed)): sealed})
    write(store, files)
    body = format_body(Event(**values))
    event = parse_event(format_event(body, actor.sign_ed25519(EVENT_LABEL + body)))
    forge(store, actor, lambda _: [event], signer)
    return event


# --- the vault ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """An event that somebody (a name in PEOPLE) tries to write.

    ``also`` are the codes of other findings that come with it when it is forced; ``changes`` what
    no writer of ours could be brought to write, so that it can only be forced.
    """

    who: str
    type: str
    data: Data = field(default_factory=dict)
    bundle: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    epoch: NewEpoch | None = None
    also: frozenset[str] = frozenset()
    changes: dict[str, Any] = field(default_factory=dict)


class Desk:
    """A vault in memory, and everybody's hands."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.store = MemoryStore(files)
        with open_vault(self.store) as vault:
            self.bundles = list(vault.state.bundles)
            self.size = vault.size

    @property
    def bundle(self) -> bytes:
        """The first bundle, which ``holder`` sealed."""
        return self.bundles[0]

    def open(self, who: str) -> Vault:
        """Open the vault as somebody."""
        return open_vault(self.store, PEOPLE[who])

    def draft(self, vault: Vault, attempt: Attempt) -> Draft:
        """Return the draft of an attempt."""
        assert not attempt.changes
        return vault.draft(
            attempt.type,
            bundle=attempt.bundle,
            data=attempt.data,
            epoch=attempt.epoch,
            files=attempt.files,
        )

    def write(self, *attempts: Attempt) -> int:
        """Write events of one actor in one commit; return the number of the last."""
        with self.open(attempts[0].who) as vault:
            events = vault.commit(lambda: [self.draft(vault, one) for one in attempts])
        self.size = events[-1].seq + 1
        return events[-1].seq

    def does(self, who: str, type_name: str, bundle: bytes | None = None, **data: Any) -> int:
        """Let somebody write an event; return its number."""
        return self.write(Attempt(who, type_name, data, bundle))

    def force(self, attempt: Attempt) -> Event:
        """Force an attempt into the log."""
        event = force(
            self.store,
            PEOPLE[attempt.who],
            attempt.type,
            attempt.data,
            bundle=attempt.bundle,
            files=attempt.files,
            epoch=attempt.epoch,
            **attempt.changes,
        )
        self.size += 1
        return event

    # --- what events name -------------------------------------------------------------------

    def readers(self) -> list[PublicKeys]:
        """Return the keys of the readers."""
        with open_vault(self.store) as vault:
            return [vault.state.members[key].keys for key in vault.state.active("reader")]

    def opening(self, who: str, *, history: bool = False, **changes: Any) -> Attempt:
        """Return the opening of an epoch for the readers that there are."""
        readers = self.readers()
        epoch = new_epoch(readers, (), seeded(self.size))
        data: Data = {
            "epoch": epoch.id,
            "recipient": epoch.recipient,
            "file": (epoch.sha256, len(epoch.data)),
            "readers": tuple(sorted(reader.ed25519 for reader in readers)),
            "history": history,
            **changes,
        }
        return Attempt(who, "epoch.opened", data, None, {epoch_name(epoch.id): epoch.data}, epoch)

    def admission(self, who: str, whom: str, roles: str, **changes: Any) -> Attempt:
        """Return an admission."""
        keys = PEOPLE[whom].proven.to_data()
        data = {"keys": keys, "roles": tuple(sorted(roles.split())), "history": True, **changes}
        return Attempt(who, "member.admitted", data)

    def sealing(self, who: str, number: int = 0, size: int = 9, **changes: Any) -> Attempt:
        """Return the sealing of a bundle, whose evidence is so many bytes that nobody can open."""
        bundle = bytes((0xB0 + number,)) * 16
        part, key = bytes(size), f"key {self.size}".encode()
        epoch = self.newest
        data: Data = {
            "key": sha256(b"%d" % self.size),
            "key_file": (sha256(key), len(key), epoch),
            "parts": ((sha256(part + bundle), size),),
            "items": bytes(32),
            **changes,
        }
        names = {bundle_key_name(bundle, epoch, sha256(key)): key}
        return Attempt(who, "bundle.sealed", data, bundle, names)

    @property
    def newest(self) -> bytes:
        """The id of the newest epoch."""
        return self.epochs[-1]

    @property
    def epochs(self) -> list[bytes]:
        """The ids of the epochs, the oldest first."""
        with open_vault(self.store) as vault:
            return list(vault.state.epochs)

    def rekeying(self, who: str, stage: str, **changes: Any) -> Attempt:
        """Return a stage of a rekeying."""
        manifest = b"not a manifest that says anything\n"
        file = (sha256(manifest), len(manifest))
        data: Data = {"stage": stage, "epoch": self.newest, "manifest": file, **changes}
        name = rekey_name(data["manifest"][0])  # type: ignore[index]
        return Attempt(who, "vault.rekeyed", data, None, {name: manifest})
