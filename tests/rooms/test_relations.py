"""What one bundle says of another, read both ways."""

from __future__ import annotations

from typing import Any

import pytest

from vault.errors import AmbiguousError, NotFoundError
from vault.layout import fields_name
from vault.relations import (
    RELATIONS,
    Later,
    Reference,
    find_reference,
    parse_reference,
    references_in,
    referring_to,
)

FILE = ("a.txt", b"content")
ID = bytes(range(16))


@pytest.mark.parametrize("item", [None, 0, 7, 99_999])
def test_a_reference_survives_the_round_trip(item: int | None) -> None:
    assert parse_reference(str(Reference(ID, item))) == Reference(ID, item)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", ID.hex()[:-1], ID.hex() + "0", ID.hex().upper(), ID.hex() + "/", ID.hex() + "/01",
        ID.hex() + "/-1", ID.hex() + "/x", ID.hex() + "\n", ID.hex() + "/1\n", " " + ID.hex(),
        ID.hex() + "/\u0661", ID.hex() + "/1000000000", "a letter of 4 May", 7, True, b"x", ("a",),
    ],
)  # fmt: skip
def test_any_other_value_is_its_author_s_and_refers_to_nothing(text: Any) -> None:
    assert parse_reference(text) is None
    assert references_in({"amends": text}) == {}


def test_the_fields_of_a_seal_refer_in_their_order() -> None:
    fields = {name: str(Reference(ID, number)) for number, name in enumerate(RELATIONS)}
    fields["derived_from"] = "the original in my desk"
    assert list(references_in({**fields, "title": ID.hex()}).items()) == [
        ("amends", Reference(ID, 0)),
        ("translation_of", Reference(ID, 2)),
        ("transcript_of", Reference(ID, 3)),
    ]


class TestFinding:
    def test_a_bundle_goes_by_the_beginning_of_its_id(self, place: Any) -> None:
        bundle = place.seal(FILE)
        vault = place.open(place.owner)
        for text in (bundle.hex(), bundle.hex()[:6], f" {bundle.hex()[:6].upper()}"):
            assert find_reference(vault, text) == Reference(bundle)
            assert find_reference(vault, f"{text}/3") == Reference(bundle, 3)

    @pytest.mark.parametrize("text", ["", "/1", "xyz", "ab cd", "0/", "0/01", "0/x", "a\u202eb"])
    def test_what_is_no_reference_is_refused(self, place: Any, text: str) -> None:
        place.seal(FILE)
        with pytest.raises(NotFoundError, match="BUNDLE/ITEM"):
            find_reference(place.open(), text)

    def test_unknown_and_ambiguous_beginnings_are_refused(self, place: Any) -> None:
        bundles = [place.seal(FILE) for _ in range(17)]
        vault = place.open()
        digits = [bundle.hex()[0] for bundle in bundles]
        several = max(digits, key=digits.count)
        with pytest.raises(AmbiguousError):
            find_reference(vault, several)
        with pytest.raises(NotFoundError, match="no bundle begins so"):
            find_reference(vault, "00" * 16)

    def test_an_item_is_counted_by_those_who_can(self, place: Any) -> None:
        text = f"{place.seal(FILE, FILE).hex()[:8]}/2"
        with pytest.raises(NotFoundError, match="no item 2 of 2"):
            find_reference(place.open(place.reader), text)
        assert find_reference(place.open(place.reader), text.replace("/2", "/1")).item == 1
        assert find_reference(place.open(place.owner), text).item == 2


class TestReferringTo:
    def test_later_bundles_are_found_in_their_order(self, place: Any) -> None:
        first = place.seal(FILE, title="First")
        second = place.seal(FILE, title="Second", amends=first.hex())
        place.seal(FILE, title="Other")
        third = place.seal(
            FILE, title="Third", transcript_of=f"{first.hex()}/0", translation_of=second.hex()
        )
        vault = place.open(place.reader)
        later = referring_to(vault, first)
        assert [(one.relation, one.bundle, one.item) for one in later.found] == [
            ("amends", second, None),
            ("transcript_of", third, 0),
        ]
        assert [one.seen.text("title") for one in later.found] == ["Second", "Third"]
        assert later.closed == 0
        (other,) = referring_to(vault, second).found
        assert (other.relation, other.bundle) == ("translation_of", third)
        assert referring_to(vault, third) == Later((), 0)

    def test_one_damaged_file_hides_nothing_else(self, place: Any) -> None:
        first = place.seal(FILE)
        second, third = (place.seal(FILE, amends=first.hex()) for _ in range(2))
        vault = place.open(place.reader)
        event = vault.event(vault.bundle(second).seq)
        place.store.delete(fields_name(event.sealed.sha256))
        later = referring_to(vault, first)
        assert [one.bundle for one in later.found] == [third]
        assert later.closed == 1

    def test_what_is_sealed_to_whoever_looks_is_counted(self, place: Any) -> None:
        first = place.seal(FILE)
        place.seal(FILE, amends=first.hex())
        for identity in (None, place.owner):
            assert referring_to(place.open(identity), first) == Later((), 1)
