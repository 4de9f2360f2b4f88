"""Recording an audit in the log."""

from __future__ import annotations

from typing import Any

import pytest

from vault import Vault, audit
from vault.auditing import record_audit
from vault.errors import StateError
from vault.layout import FORMAT_NAME, epoch_name, fields_name, part_name

FILE = ("a.txt", b"content")


def results(vault: Vault, events: Any) -> dict[bytes, str]:
    return {event.bundle: event.data["result"] for event in events}


def flip(store: Any, name: str) -> None:
    data = bytearray(store.read(name))
    data[-1] ^= 1
    store.delete(name)
    with store.create(name) as writer:
        writer.write(data)
        writer.commit()


def test_each_bundle_has_its_own_result(place: Any) -> None:
    first, second, third = place.seal(FILE), place.seal(FILE), place.seal(FILE)
    place.open(place.owner).append("bundle.destroyed", bundle=third)
    flip(place.store, part_name(second, 0))
    vault = place.open(place.reader)
    events = record_audit(vault, audit(place.store, identity=place.reader))
    assert results(vault, events) == {first: "intact", second: "altered"}
    assert {vault.fields(event)["detail"] for event in events} == {"with a reader's identity"}
    (event,) = record_audit(vault, audit(place.store))[:1]
    assert vault.fields(event)["detail"] == "without a reader's identity"


def test_what_was_sealed_since_is_left_out(place: Any) -> None:
    place.seal(FILE)
    report = audit(place.store)
    place.seal(FILE)
    assert len(record_audit(place.open(place.owner), report)) == 1


def test_only_a_full_audit_of_this_log_is_recorded(place: Any, tmp_path: Any) -> None:
    place.seal(FILE)
    audit(place.store, state=tmp_path)
    report = audit(place.store, state=tmp_path, since_last=True)
    vault = place.open(place.owner)
    with pytest.raises(ValueError, match="read everything"):
        record_audit(vault, report)
    report = audit(place.store)
    older = place.open(place.owner)
    place.seal(FILE)
    newer = audit(place.store)
    assert newer.size > older.size
    with pytest.raises(ValueError, match="another log"):
        record_audit(older, newer)


@pytest.mark.parametrize("damage", [flip, lambda store, name: store.delete(name)])
@pytest.mark.parametrize("deep", [False, True])
def test_a_bundle_is_altered_where_what_its_chain_needs_is(
    place: Any, damage: Any, deep: bool
) -> None:
    first, second, third = place.seal(FILE), place.seal(FILE), place.seal(FILE)
    vault = place.open(place.owner)
    note = vault.append("bundle.noted", bundle=third, fields={"text": "x"})
    for event in (vault.event(vault.bundle(second).seq), note, vault.event(0)):
        assert event.sealed is not None
        damage(place.store, fields_name(event.sealed.sha256))
    identity = place.reader if deep else None
    events = record_audit(vault, audit(place.store, identity=identity))
    assert results(vault, events) == {first: "intact", second: "altered", third: "altered"}


@pytest.mark.parametrize("damage", [flip, lambda store, name: store.delete(name)])
def test_an_epoch_file_alters_the_bundles_that_it_opens(place: Any, damage: Any) -> None:
    bundle = place.seal(FILE)
    vault = place.open(place.owner)
    assert vault.state.newest is not None
    damage(place.store, epoch_name(vault.state.newest))
    events = record_audit(vault, audit(place.store))
    assert results(vault, events) == {bundle: "altered"}


@pytest.mark.parametrize("name", [FORMAT_NAME, "log/tile/entries/000.p/4", "log/tile/0/000.p/4"])
def test_damage_that_is_not_beside_the_log_is_not_recorded(place: Any, name: str) -> None:
    place.seal(FILE)
    vault = place.open(place.owner)
    flip(place.store, name)
    with pytest.raises(StateError, match="not sound"):
        record_audit(vault, audit(place.store))
    assert vault.size == 4


def test_an_anchor_that_contradicts_is_not_recorded(place: Any) -> None:
    place.seal(FILE)
    vault = place.open(place.owner)
    with pytest.raises(StateError, match="not sound"):
        record_audit(vault, audit(place.store, vault_id=bytes(32)))
