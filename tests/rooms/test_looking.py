"""What a vault shows to whoever looks."""

from __future__ import annotations

from typing import Any

import pytest

from vault.errors import PayloadError
from vault.layout import fields_name
from vault.looking import fields_of, items_of, member_names

FILE = ("a.txt", b"content")


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
