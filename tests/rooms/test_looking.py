"""What a vault shows to whoever looks."""

from __future__ import annotations

from typing import Any

import pytest

from vault import Card
from vault.errors import PayloadError
from vault.layout import fields_name
from vault.looking import chain_of, fields_of, items_of, member_names

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


class TestChain:
    def chain(self, place: Any, bundle: bytes) -> list[tuple[str, bytes, tuple[str, ...]]]:
        vault = place.open(place.reader)
        links = chain_of(vault, vault.bundle(bundle))
        return [(link.event.type, link.holder, link.remarks) for link in links]

    def test_the_holder_changes_at_acceptance(self, place: Any, card: Card) -> None:
        bundle = place.seal(FILE)
        owner, reader = place.owner.ed25519, place.reader.ed25519
        released = place.open(place.owner).append(
            "custody.released", bundle=bundle, data={"to": card.keys.ed25519}
        )
        place.open(place.reader).append(
            "custody.accepted", bundle=bundle, data={"release": released.seq, "rehashed": True}
        )
        assert self.chain(place, bundle) == [
            ("bundle.sealed", owner, ()),
            ("custody.released", owner, ()),
            ("custody.accepted", reader, ()),
        ]

    def test_gaps_are_remarked_upon(self, place: Any) -> None:
        bundle = place.seal(FILE)
        owner = place.open(place.owner)
        place.time[0] -= 100
        owner.append("bundle.noted", bundle=bundle, fields={"recorded_late_because": "no power"})
        place.time[0] += 200
        for state in ("interrupted", "returned", "interrupted"):
            owner.append("custody.interrupted", bundle=bundle, data={"state": state})
        owner.append("custody.assumed", bundle=bundle)
        assert [remarks for _, _, remarks in self.chain(place, bundle)] == [
            (),
            ("before-the-last", "late"),
            ("interrupted",),
            (),
            ("interrupted",),
            ("assumed",),
        ]

    def test_disputes_and_broken_rules_are_remarked_upon(
        self, place: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vault import State, Vault
        from vault.custody import Breach

        bundle = place.seal(FILE)
        broken = (Breach("role", 3, "x"), Breach("prev", 3, "x"))
        monkeypatch.setattr(State, "is_disputed", lambda *_: True)
        monkeypatch.setattr(Vault, "breaches", property(lambda _: broken))
        vault = place.open()
        (link,) = chain_of(vault, vault.bundle(bundle))
        assert link.remarks == ("breaks-a-rule", "disputed")
        assert link.rules == ("role", "prev")
        assert link.seen.state == "sealed"
