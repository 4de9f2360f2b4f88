"""What a vault shows to whoever looks."""

from __future__ import annotations

import datetime
from typing import Any, Final

import pytest

from vault import Identity, MemoryStore, Vault
from vault.consent import names_of_member
from vault.errors import PayloadError
from vault.layout import fields_name
from vault.looking import fields_of, items_of, member_names
from vault.membership import admit
from vault.naming import admissions_of, names_of

FILE = ("a.txt", b"content")
ANN, BEN = (Identity(bytes([number]) * 32) for number in (21, 22))
DAY: Final = datetime.date(2026, 3, 1)


def clock() -> float:
    return 1_780_000_000


def seen(store: MemoryStore, identity: Identity | None = None) -> Vault:
    return Vault.open(store, identity=identity, clock=clock)


def test_fields_are_open_to_a_reader_and_sealed_to_everybody_else(place: Any) -> None:
    bundle = place.seal(FILE, title="A title")
    for who, state in ((place.reader, "open"), (place.owner, "sealed"), (None, "sealed")):
        vault = place.open(who)
        seen = fields_of(vault, vault.event(vault.bundle(bundle).seq))
        assert seen.state == state
        assert seen.text("title") == ("A title" if who is place.reader else "")
        assert seen.text("item_count") == ""


def test_fields_that_are_damaged_are_called_so(place: Any) -> None:
    bundle = place.seal(FILE)
    vault = place.open(place.reader)
    event = vault.event(vault.bundle(bundle).seq)
    place.store.delete(fields_name(event.sealed.sha256))
    assert fields_of(vault, event).state == "damaged"


def test_fields_that_went_with_their_bundle_are_called_destroyed(place: Any) -> None:
    bundle = place.seal(FILE)
    done = place.open(place.owner).append("bundle.destroyed", bundle=bundle, fields={"reason": "x"})
    vault = place.open(place.reader)
    event = vault.event(vault.bundle(bundle).seq)
    assert fields_of(vault, event).state == "open"
    place.store.delete(fields_name(event.sealed.sha256))
    assert fields_of(vault, event).state == "destroyed"
    assert fields_of(place.open(), event).state == "sealed"
    assert fields_of(vault, done).text("reason") == "x"
    place.store.delete(fields_name(done.sealed.sha256))
    assert fields_of(vault, done).state == "damaged"


def test_items_are_open_to_a_reader(place: Any) -> None:
    bundle = place.seal(FILE, ("b.txt", b""))
    items = items_of(place.open(place.reader), bundle)
    assert items is not None
    assert [item.values["original_name"] for item in items] == ["a.txt", "b.txt"]
    assert items_of(place.open(place.owner), bundle) is None
    assert items_of(place.open(), bundle) is None


def test_a_damaged_bundle_is_an_error_and_a_destroyed_one_is_not(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = place.seal(FILE)
    vault = place.open(place.reader)

    def broken(*_: object) -> None:
        raise PayloadError("payload", "altered")

    with monkeypatch.context() as patch:
        patch.setattr("vault.vault.Vault.read", broken)
        with pytest.raises(PayloadError):
            items_of(vault, bundle)
    place.open(place.owner).append("bundle.destroyed", bundle=bundle)
    assert items_of(place.open(place.reader), bundle) is None


def test_names_are_those_of_admission(place: Any) -> None:
    names = {place.owner.ed25519: "Owner", place.reader.ed25519: "Reader"}
    assert member_names(place.open(place.reader)) == names
    assert member_names(place.open(place.owner)) == {}


def test_a_founder_who_reads_goes_by_what_she_is_called_anywhere() -> None:
    # Only a card gives a name to the first admission; a name for the first event is given apart.
    for more, name in (({}, "Ann"), ({"member.name": "Ann the founder"}, "Ann")):
        store = MemoryStore()
        Vault.create(store, identity=ANN, readers=[ANN.card("Ann", DAY)], fields=more, clock=clock)
        assert member_names(seen(store, ANN)) == {ANN.ed25519: name}
    store = MemoryStore()
    named = {"member.name": "Ann the founder"}
    Vault.create(store, identity=ANN, readers=[ANN], fields=named, clock=clock)
    assert member_names(seen(store, ANN)) == {ANN.ed25519: "Ann the founder"}


def test_a_member_goes_by_the_newest_name_that_is_open() -> None:
    store = MemoryStore()
    readers = [ANN, BEN.card("Ben", DAY)]
    vault = Vault.create(store, identity=ANN, readers=readers, clock=clock)
    assert member_names(vault)[BEN.ed25519] == "Ben"
    admit(vault, BEN.card("Benjamin", DAY), ["owner", "reader"])
    admit(vault, BEN, ["reader"])  # says no name, and takes none away
    assert member_names(vault) == {BEN.ed25519: "Benjamin"}
    member = vault.state.members[BEN.ed25519]
    assert member.admissions == (2, 4, 5)
    assert member.admitted == 2
    assert names_of(vault, member) == ("Benjamin", "Ben")
    assert {"Benjamin", "Ben"} < names_of_member(vault, BEN.ed25519)
    # The newest is damaged: what the others say holds.
    sealed = vault.event(4).sealed
    assert sealed is not None
    store.delete(fields_name(sealed.sha256))
    assert member_names(seen(store, BEN))[BEN.ed25519] == "Ben"


def test_an_owner_who_reads_later_goes_by_the_name_that_is_open_to_her() -> None:
    store = MemoryStore()
    named = {"member.name": "Ann the founder"}
    Vault.create(store, identity=ANN, readers=[BEN.card("Ben", DAY)], fields=named, clock=clock)
    assert member_names(seen(store, ANN)) == {}
    admit(seen(store, ANN), ANN.card("Ann", DAY), ["owner", "reader"])
    assert member_names(seen(store, ANN)) == {ANN.ed25519: "Ann"}
    both = seen(store, BEN)
    assert names_of(both, both.state.members[ANN.ed25519]) == ("Ann", "Ann the founder")
    assert seen(store, ANN).state.members[ANN.ed25519].admissions == (0, 3)
    assert list(admissions_of(seen(store), both.state.members[ANN.ed25519])) == []
