"""Recording an audit in the log."""

from __future__ import annotations

from typing import Any

import pytest

from vault import Vault, audit
from vault.auditing import record_audit
from vault.layout import part_name

FILE = ("a.txt", b"content")


def results(vault: Vault, events: Any) -> dict[bytes, str]:
    return {event.bundle: event.data["result"] for event in events}


def test_each_bundle_has_its_own_result(place: Any) -> None:
    first, second, third = place.seal(FILE), place.seal(FILE), place.seal(FILE)
    place.open(place.owner).append("bundle.destroyed", bundle=third)
    name = part_name(second, 0)
    data = bytearray(place.store.read(name))
    data[-1] ^= 1
    place.store.delete(name)
    with place.store.create(name) as writer:
        writer.write(data)
        writer.commit()
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
