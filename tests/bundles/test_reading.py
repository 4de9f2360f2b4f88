"""Reading a bundle as its reader: items by seeking, digests, and what an insider may seal."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundles.scene import OUTSIDER, OWNER, READER, TEXT, new_vault, open_vault, seal
from vault import age
from vault.bundle import Item, PartsReader
from vault.commitment import Field
from vault.errors import (
    AmbiguousError,
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    NotFoundError,
    ProofError,
    StateError,
)
from vault.forms import bundle_identity, read_fields
from vault.layout import part_name
from vault.reading import BundleReading, ItemReader
from vault.sealing import SealWriter
from vault.storage import MemoryStore
from vault.vault import Vault

LONG = bytes(range(251)) * 700


@pytest.fixture(scope="module")
def sealed() -> tuple[Vault, SealWriter]:
    vault = new_vault()
    with vault.seal({"title": "three"}) as writer:
        writer.add_stream("a.txt", len(TEXT), io.BytesIO(TEXT))
        writer.add_stream("b.bin", len(LONG), io.BytesIO(LONG))
        writer.add_stream("empty", 0, io.BytesIO())
        writer.add_absent({"original_name": "far", "kind": "media-hash", "sha256": bytes(32)})
    return vault, writer


@pytest.fixture
def reading(sealed: tuple[Vault, SealWriter]) -> Iterator[BundleReading]:
    vault, writer = sealed
    with open_vault(vault.store, READER).read(writer.id) as found:
        yield found


# --- one item -------------------------------------------------------------------------------------


def test_an_item_is_a_file(reading: BundleReading) -> None:
    with reading.open(1) as item:
        assert item.readable()
        assert item.seekable()
        assert (item.tell(), item.size) == (0, len(LONG))
        assert item.read(10) == LONG[:10]
        assert item.seek(65_530) == item.tell() == 65_530
        assert item.read(20) == LONG[65_530:65_550]
        assert item.seek(-5, io.SEEK_END) == len(LONG) - 5
        assert item.read(100) == LONG[-5:]
        assert item.read(1) == b""
        assert item.seek(-2, io.SEEK_CUR) == len(LONG) - 2
        assert item.seek(10, io.SEEK_END) == len(LONG) + 10
        assert item.read() == b""
        assert item.readinto(bytearray()) == 0
        with pytest.raises(ValueError, match="before the start"):
            item.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            item.seek(0, 7)
        item.seek(0)
        assert item.readall() == LONG
        item.seek(0)
        assert b"".join(iter(lambda: item.read(4096), b"")) == LONG


def test_items_are_read_beside_one_another(reading: BundleReading) -> None:
    first, second = reading.open(0), reading.open(1)
    assert first.read(5) == TEXT[:5]
    assert second.read(5) == LONG[:5]
    assert first.read() == TEXT[5:]
    assert second.read() == LONG[5:]


def test_an_item_of_no_bytes_is_read(reading: BundleReading) -> None:
    assert reading.open(2).read() == b""


def test_an_item_without_content_can_t_be_opened(reading: BundleReading) -> None:
    with pytest.raises(StateError, match="item 3: has no content here"):
        reading.open(3)
    for number in (-1, 4):
        with pytest.raises(NotFoundError, match=f"no item {number} of 4"):
            reading.open(number)


def test_closing_a_reading_closes_its_parts(sealed: tuple[Vault, SealWriter]) -> None:
    vault, writer = sealed
    reading = open_vault(vault.store, READER).read(writer.id)
    item = reading.open(1)
    reading.close()
    with pytest.raises(ValueError, match="closed"):
        item.read()


def test_closing_an_item_ends_what_was_opened_for_it(reading: BundleReading) -> None:
    ended: list[int] = []
    item = reading.open(0, end=lambda: ended.append(1))
    item.close()
    item.close()
    assert ended == [1]


def lying(reading: BundleReading, number: int, **values: Any) -> ItemReader:
    item = reading.item(number)
    fields = tuple(
        Field(field.name, field.salt, values.get(field.name, field.value)) for field in item.fields
    )
    return ItemReader(reading._plaintext, Item(number, fields))


@pytest.mark.parametrize("chunk", [1, 7, 4096, 10**6])
def test_a_content_that_is_not_what_its_fields_say_is_not_given_out_whole(
    reading: BundleReading, chunk: int
) -> None:
    item = lying(reading, 0, sha256=hashlib.sha256(b"other").digest())
    given = bytearray()
    for _ in range(2):
        with pytest.raises(DigestMismatchError, match=r"data/000000\.txt"):
            while piece := item.read(chunk):
                given += piece
        # And not the second time either.
        assert len(given) < len(TEXT)
    item.seek(0)
    with pytest.raises(DigestMismatchError):
        item.readall()
    item.seek(0, io.SEEK_END)
    with pytest.raises(DigestMismatchError):
        item.read(1)


def test_an_item_of_no_bytes_has_a_digest_too(reading: BundleReading) -> None:
    with pytest.raises(DigestMismatchError):
        lying(reading, 2, sha256=bytes(32)).read()


def test_an_item_that_ends_behind_the_bundle_is_refused(reading: BundleReading) -> None:
    item = lying(reading, 0, size=10**9)
    with pytest.raises(FormatError, match="ends inside an item"):
        while item.read(65_536):
            pass


# --- whole bundles --------------------------------------------------------------------------------


def test_a_bundle_is_found_by_a_prefix_that_fits_it_alone(
    sealed: tuple[Vault, SealWriter],
) -> None:
    vault, writer = sealed
    text = writer.id.hex()
    for prefix in (writer.id, text, text[:6], text[:1], writer.id[:3]):
        assert vault.bundle(prefix).id == writer.id
    for prefix in ("", "zz", text.upper() + "x", text + "0", b""):
        with pytest.raises(NotFoundError):
            vault.bundle(prefix)


def test_a_prefix_that_fits_two_bundles_names_both() -> None:
    ids = iter([b"\xab" + bytes(15), b"\xab\x01" + bytes(14)])
    vault = new_vault()
    real = vault._random
    for _ in range(2):
        first = [next(ids)]
        vault._random = lambda size, first=first: (  # type: ignore[misc]
            first.pop() if size == 16 and first else real(size)
        )
        seal(vault, b"x")
    with pytest.raises(AmbiguousError) as raised:
        vault.bundle("ab")
    assert raised.value.candidates == ("ab" + "00" * 15, "ab01" + "00" * 14)
    assert vault.bundle("ab01").id == b"\xab\x01" + bytes(14)


def test_who_sealed_and_is_no_reader_can_t_open(sealed: tuple[Vault, SealWriter]) -> None:
    vault, writer = sealed
    for identity in (OWNER, OUTSIDER, None):
        other = open_vault(vault.store, identity)
        with pytest.raises(NoIdentityMatchError):
            other.read(writer.id)
        with pytest.raises(NoIdentityMatchError):
            other.fields(other.event(0))
        # What anybody sees: who, when, what, how large; and no name.
        assert [event.type for event in other.events()][-1] == "bundle.sealed"
        assert other.bundle(writer.id).size == vault.bundle(writer.id).size


def test_a_destroyed_bundle_is_not_opened() -> None:
    vault = new_vault()
    writer = seal(vault, b"x")
    vault.append("bundle.destroyed", bundle=writer.id)
    with pytest.raises(StateError, match="destroyed"):
        open_vault(vault.store, READER).read(writer.id)


def test_a_bundle_that_is_not_where_its_fields_say_is_refused(
    sealed: tuple[Vault, SealWriter],
) -> None:
    vault, writer = sealed
    reader = open_vault(vault.store, READER)
    bundle = reader.bundle(writer.id)
    assert reader._keyring is not None
    identity = bundle_identity(reader._keyring, bundle, reader.state)
    sound = reader.fields(reader.event(bundle.seq))
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"items_offset": 0}, FormatError),
        ({"items_offset": 10**9}, FormatError),
        ({"items_size": 10**9}, FormatError),
        ({"items_size": int(str(sound["items_size"])) - 1}, FormatError),
        ({"plaintext_size": 5}, FormatError),
        ({"item_count": 3}, FormatError),
    ]
    for change, error in wrong:
        with pytest.raises(error):
            BundleReading(vault.store, bundle, identity, {**sound, **change})
    for name in ("items_offset", "items_size", "plaintext_size", "item_count"):
        with pytest.raises(FormatError):
            BundleReading(
                vault.store,
                bundle,
                identity,
                {key: value for key, value in sound.items() if key != name},
            )
    items = bundle.items
    try:
        bundle.items = bytes(32)
        with pytest.raises(ProofError, match="not the items that were sealed"):
            BundleReading(vault.store, bundle, identity, sound)
    finally:
        bundle.items = items
    with pytest.raises(NoIdentityMatchError):
        BundleReading(vault.store, bundle, age.HybridIdentity.from_seed(bytes(32)), sound)


def test_parts_that_changed_places_do_not_open(sealed: tuple[Vault, SealWriter]) -> None:
    vault, writer = sealed
    other = seal(vault, b"other")
    names = [part_name(one.id, 0) for one in (writer, other)]
    files = {name: vault.store.read(name) for name, _ in vault.store.list()}
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]
    swapped = open_vault(MemoryStore(files), READER)
    for one in (writer, other):
        with pytest.raises((NoIdentityMatchError, FormatError)):
            swapped.read(one.id)


def test_fields_of_an_event_that_has_none_are_none(sealed: tuple[Vault, SealWriter]) -> None:
    from dataclasses import replace

    vault, _ = sealed
    reader = open_vault(vault.store, READER)
    event = replace(reader.event(0), fields=None, sealed=None)
    assert reader.fields(event) == {}


def test_fields_that_another_event_commits_to_are_refused(
    sealed: tuple[Vault, SealWriter],
) -> None:
    from dataclasses import replace

    vault, _ = sealed
    vault.append("vault.noted", fields={"text": "one"})
    vault.append("vault.noted", fields={"text": "two"})
    reader = open_vault(vault.store, READER)
    assert reader._keyring is not None
    one, two = (event for event in reader.events() if event.type == "vault.noted")
    # An insider names another event's file: of the same actor and type, so only the root tells.
    with pytest.raises(ProofError, match="commits to"):
        read_fields(reader._keyring, replace(one, sealed=two.sealed), reader.state)
    with pytest.raises(FormatError, match="another event"):
        read_fields(reader._keyring, replace(one, sealed=reader.event(0).sealed), reader.state)


def test_parts_reader_closes_the_part_that_is_open(sealed: tuple[Vault, SealWriter]) -> None:
    vault, writer = sealed
    closed: list[str] = []

    class Watching:
        def open(self, name: str) -> Any:
            inner = vault.store.open(name)

            class Reader:
                def close(self) -> None:
                    closed.append(name)
                    inner.close()

                def __getattr__(self, attribute: str) -> Any:
                    return getattr(inner, attribute)

            return Reader()

    sizes = [size for _, size in vault.bundle(writer.id).parts]
    parts = PartsReader(Watching(), writer.id, sizes)  # type: ignore[arg-type]
    parts.read(1)
    parts.close()
    assert closed == [part_name(writer.id, 0)]
