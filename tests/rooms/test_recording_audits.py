"""Recording an audit in the log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rooms.conftest import identity
from vault import Report, Vault, audit
from vault.auditing import oldest, record_audit
from vault.errors import ConflictError, CustodyError, StateError
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


# --- one commit, with what is said of all ---------------------------------------------------------


def test_all_bundles_are_recorded_in_one_commit_with_the_same_fields(place: Any) -> None:
    for _ in range(3):
        place.seal(FILE)
    commits: list[None] = []
    counting: Any = Faster(place.store, lambda: None, lambda: commits.append(None))
    vault = Vault.open(counting, identity=place.owner)
    before = vault.size
    fields = {"occurred_at": "2026-03-01", "recorded_late_because": "no power"}
    events = record_audit(vault, audit(place.store), fields=fields)
    assert [event.seq for event in events] == [before, before + 1, before + 2]
    assert (vault.size, len(commits)) == (before + 3, 1)
    reader = place.open(place.reader)
    for event in events:
        seen = reader.fields(event)
        assert {name: seen[name] for name in fields} == fields
        assert seen["detail"] == "without a reader's identity"
    assert audit(place.store, identity=place.reader).verdict == "intact"


def test_a_vault_without_bundles_has_nothing_to_record(place: Any) -> None:
    vault = place.open(place.owner)
    assert record_audit(vault, audit(place.store)) == ()
    assert vault.size == place.open().size == 3


def test_none_is_recorded_where_one_is_refused(place: Any) -> None:
    for _ in range(3):
        place.seal(FILE)
    vault = place.open(identity(9))
    files = dict(place.store.list())
    with pytest.raises(CustodyError):
        record_audit(vault, audit(place.store))
    assert dict(place.store.list()) == files


class Faster:
    """A store before which, at its next commit, somebody else is faster; ``each`` is called before
    every one.
    """

    def __init__(self, inner: Any, meanwhile: Any, each: Any = lambda: None) -> None:
        self._inner = inner
        self._meanwhile = [meanwhile]
        self._each = each

    def commit(self, *arguments: Any, **options: Any) -> Any:
        self._each()
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._inner.commit(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_what_is_destroyed_meanwhile_is_left_out(place: Any) -> None:
    first, second = place.seal(FILE), place.seal(FILE)
    report = audit(place.store)
    destroyer = place.open(place.owner)
    faster: Any = Faster(place.store, lambda: destroyer.append("bundle.destroyed", bundle=second))
    vault = Vault.open(faster, identity=place.owner)
    assert results(vault, record_audit(vault, report)) == {first: "intact"}
    assert {one.code for one in audit(place.store).findings} == {"pending-deletion"}


def test_where_all_is_destroyed_meanwhile_nothing_is_recorded(place: Any) -> None:
    bundle = place.seal(FILE)
    report = audit(place.store)
    destroyer = place.open(place.owner)
    faster: Any = Faster(place.store, lambda: destroyer.append("bundle.destroyed", bundle=bundle))
    with pytest.raises(ConflictError, match="destroyed meanwhile"):
        record_audit(Vault.open(faster, identity=place.owner), report)
    assert place.open().event(place.open().size - 1).type == "bundle.destroyed"


# --- some bundles ---------------------------------------------------------------------------------


def read(report: Report) -> tuple[bytes, ...]:
    assert report.coverage.chosen is not None
    return report.coverage.chosen


class TestSomeBundles:
    def test_only_their_files_are_read_and_all_else_is_looked_at(self, place: Any) -> None:
        first, second = place.seal(FILE), place.seal(FILE)
        flip(place.store, part_name(first, 0))
        flip(place.store, part_name(second, 0))
        report = audit(place.store, bundles=[second])
        assert (report.verdict, read(report)) == ("altered", (second,))
        assert {one.place for one in report.findings} == {part_name(second, 0)}
        assert report.coverage.bundles == 2
        assert report.coverage.files < audit(place.store).coverage.files

    def test_a_file_that_all_need_is_read_and_one_of_another_size_is_found(
        self, place: Any
    ) -> None:
        first, second = place.seal(FILE), place.seal(FILE)
        vault = place.open()
        assert vault.state.newest is not None
        flip(place.store, epoch_name(vault.state.newest))
        place.store.delete(part_name(first, 0))
        report = audit(place.store, bundles=[second])
        assert {one.code for one in report.findings} == {"digest", "missing"}
        events = record_audit(place.open(place.owner), report)
        # The one that was not to be read was found altered all the same.
        assert results(vault, events) == {first: "altered", second: "altered"}

    def test_with_a_readers_identity_only_they_are_looked_into(self, place: Any) -> None:
        first, second = place.seal(FILE), place.seal(FILE)
        both = part_name(first, 0), part_name(second, 0)
        opened: list[str] = []

        class Noting:
            def open(self, name: str) -> Any:
                opened.append(name)
                return place.store.open(name)

            def __getattr__(self, name: str) -> Any:
                return getattr(place.store, name)

        noting: Any = Noting()
        report = audit(noting, identity=place.reader, bundles=[second])
        assert report.verdict == "intact"
        assert both[1] in opened
        assert both[0] not in opened

    def test_the_result_is_no_reason_to_trust_what_was_not_read(
        self, place: Any, tmp_path: Any
    ) -> None:
        bundle = place.seal(FILE)
        audit(place.store, state=tmp_path, bundles=[])
        assert audit(place.store, state=tmp_path, since_last=True).coverage.since == 0
        flip(place.store, part_name(bundle, 0))
        assert audit(place.store, bundles=[]).verdict == "intact"
        with pytest.raises(ValueError, match="trusts no earlier one"):
            audit(place.store, state=tmp_path, bundles=[], since_last=True)

    def test_bundles_that_are_not_there_or_not_any_more_are_left_out(self, place: Any) -> None:
        first, second = place.seal(FILE), place.seal(FILE)
        place.open(place.owner).append("bundle.destroyed", bundle=first)
        report = audit(place.store, bundles=[first, second, bytes(16)])
        assert read(report) == (second,)
        assert (report.coverage.bundles, report.coverage.destroyed) == (2, 1)
        everything = audit(place.store).coverage
        assert (everything.chosen, everything.destroyed) == (None, 1)


class TestTheOldest:
    def test_whoever_records_them_comes_round_to_every_bundle(self, place: Any) -> None:
        bundles = [place.seal(FILE) for _ in range(5)]
        vault = place.open(place.owner)
        rounds = []
        for _ in range(3):
            report = audit(place.store, bundles=oldest(40))
            rounds.append(read(report))
            record_audit(vault, report)
        assert rounds == [
            (bundles[0], bundles[1]),
            (bundles[2], bundles[3]),
            (bundles[0], bundles[4]),
        ]

    def test_one_at_least_is_read_and_all_at_most(self, place: Any) -> None:
        assert read(audit(place.store, bundles=oldest(100))) == ()
        bundles = [place.seal(FILE) for _ in range(3)]
        assert read(audit(place.store, bundles=oldest(1))) == (bundles[0],)
        assert read(audit(place.store, bundles=oldest(34))) == tuple(bundles[:2])
        assert read(audit(place.store, bundles=oldest(100))) == tuple(bundles)

    def test_an_altered_bundle_is_recorded_so_and_comes_again_in_its_turn(self, place: Any) -> None:
        first, second = place.seal(FILE), place.seal(FILE)
        flip(place.store, part_name(first, 0))
        vault = place.open(place.owner)
        events = record_audit(vault, audit(place.store, bundles=oldest(50)))
        assert results(vault, events) == {first: "altered"}
        assert read(audit(place.store, bundles=oldest(50))) == (second,)

    @pytest.mark.parametrize("percent", [-1, 0, 101])
    def test_a_share_is_from_1_to_100_percent(self, percent: int) -> None:
        with pytest.raises(ValueError, match="1 to 100"):
            oldest(percent)
