"""A small vault in memory, seen by its owner and by its reader."""

from __future__ import annotations

import datetime
import io
from dataclasses import dataclass

import pytest

from vault import Card, Identity, MemoryStore, Vault


@dataclass(frozen=True, slots=True)
class Place:
    """A store, the identities of its owner and its reader, and the clock that they share."""

    store: MemoryStore
    owner: Identity
    reader: Identity
    time: list[int]

    def open(self, identity: Identity | None = None) -> Vault:
        return Vault.open(self.store, identity=identity, clock=lambda: self.time[0])

    def seal(self, *files: tuple[str | bytes, bytes], **fields: str) -> bytes:
        with self.open(self.owner) as vault, vault.seal(fields) as writer:
            for name, content in files:
                writer.add_stream(name, len(content), io.BytesIO(content))
            if not files:
                writer.add_absent({"original_name": "elsewhere.mp4", "kind": "media-hash"})
        return writer.id


def identity(number: int) -> Identity:
    return Identity(bytes([number]) * 32)


@pytest.fixture(scope="session")
def card() -> Card:
    return identity(2).card("Reader", datetime.date(2026, 3, 1))


@pytest.fixture
def place(card: Card) -> Place:
    place = Place(MemoryStore(), identity(1), identity(2), [1_780_000_000])
    Vault.create(
        place.store,
        identity=place.owner,
        readers=[card],
        fields={"title": "A vault", "member.name": "Owner"},
        clock=lambda: place.time[0],
    )
    return place
