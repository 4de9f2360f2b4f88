"""People, vaults and stores that the tests of bundles, log and audit share."""

from __future__ import annotations

import datetime
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from vault.codec import Packable
from vault.draft import Draft, commit_event_fields
from vault.event import Event
from vault.identity import Card, Identity
from vault.keyring import NewEpoch, new_epoch
from vault.layout import epoch_name
from vault.log import Log
from vault.sealing import SealWriter
from vault.storage import LocalStore, MemoryStore, Store
from vault.vault import Vault

NOW: Final = 1_772_355_600
"""2026-03-01T09:00:00Z."""
TEXT: Final = "گواہ کا بیان: کچھ بھی نہ بدلا جائے۔\n".encode()


@cache
def person(number: int) -> Identity:
    """Return an identity with a fixed seed."""
    return Identity(bytes((number,)) * 32)


OWNER, READER, OUTSIDER, SECOND = (person(number) for number in (1, 2, 3, 4))
"""OWNER founds and seals and can't open; READER opens; OUTSIDER is on no roster; SECOND comes."""


@cache
def card(identity: Identity, name: str = "Daniel, the desk") -> Card:
    """Return the card of an identity."""
    return identity.card(name, datetime.date(2026, 3, 1))


def clock() -> float:
    """Tell the time, which stands still."""
    return NOW + 0.5


def seeded(seed: int) -> Callable[[int], bytes]:
    """Return a source of bytes that a seed repeats."""
    return random.Random(seed).randbytes


def new_vault(
    store: Store | None = None,
    *,
    identity: Identity = OWNER,
    readers: Sequence[Card | Identity] = (READER,),
    **options: Any,
) -> Vault:
    """Make a vault, in memory unless ``store`` says where."""
    options.setdefault("clock", clock)
    return Vault.create(
        MemoryStore() if store is None else store, identity=identity, readers=readers, **options
    )


def open_vault(store: Store, identity: Identity | None = None, **options: Any) -> Vault:
    """Open a vault."""
    options.setdefault("clock", clock)
    return Vault.open(store, identity=identity, **options)


def seal(vault: Vault, *contents: bytes, **fields: Packable) -> SealWriter:
    """Seal a bundle of items with these contents."""
    with vault.seal(fields) as writer:
        for number, content in enumerate(contents):
            writer.add_stream(f"item {number}.txt", len(content), io.BytesIO(content))
    return writer


def contents(store: Store) -> dict[str, bytes]:
    """Return every file of a store that belongs to the format."""
    return {name: store.read(name) for name, _ in store.list()}


def copy_of(store: Store) -> MemoryStore:
    """Return a store in memory with the same files."""
    return MemoryStore(contents(store))


@contextmanager
def on_disk(path: Path, files: Mapping[str, bytes] = {}) -> Iterator[LocalStore]:
    """Make a local store that holds ``files``."""
    store = LocalStore.make(path)
    for name, content in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    with store:
        yield store


# --- commits that no verb makes yet -------------------------------------------------------------


def draft(
    store: Store,
    actor: Identity,
    type_name: str,
    data: Mapping[str, Packable],
    *,
    bundle: bytes | None = None,
    epoch: NewEpoch | None = None,
    fields: Mapping[str, Packable] = {},
) -> Draft:
    """Return a draft of an event."""
    return Draft(
        store,
        actor,
        clock,
        type_name,
        commit_event_fields(type_name, fields, seeded(7)),
        data=data,
        bundle=bundle,
        epoch=(epoch.id, epoch.recipient) if epoch is not None else None,
    )


def admit(
    store: Store,
    owner: Identity,
    *new: tuple[Identity, Sequence[str]],
    readers: Sequence[Identity] = (),
) -> tuple[Event, ...]:
    """Admit identities with roles; ``readers``, if any, are all those of the epoch that follows."""
    drafts = []
    epoch = None
    if readers:
        epoch = new_epoch([reader.keys for reader in readers], (), seeded(len(readers)))
        with store.create(epoch_name(epoch.id)) as writer:
            writer.write(epoch.data)
            writer.commit()
    for identity, roles in new:
        data: dict[str, Packable] = {
            "keys": identity.proven.to_data(),
            "roles": sorted(roles),
            "history": False,
        }
        drafts.append(draft(store, owner, "member.admitted", data, epoch=epoch))
    if epoch is not None:
        opened: dict[str, Packable] = {
            "epoch": epoch.id,
            "recipient": epoch.recipient,
            "file": (epoch.sha256, len(epoch.data)),
            "readers": sorted(reader.ed25519 for reader in readers),
            "history": False,
        }
        drafts.append(draft(store, owner, "epoch.opened", opened, epoch=epoch))
    return Log(store).append(owner, lambda _: drafts)
