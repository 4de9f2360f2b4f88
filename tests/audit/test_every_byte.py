"""Every single-byte change to every file of a small vault is found, without any key.

The two layers of an audit that read files are run on every change: that of the log on each change
to a file below ``log/``; that of files on each place of all other files at once, of which each must
be named. A whole audit is run on a sample of both, so that nothing is lost between the layers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.audit.golden import (
    audited,
    golden,
    is_superseded,
    memoised,
    needed,
    places,
    small_padding,
)
from tests.bundles.scene import OWNER, contents, new_vault
from tests.log.notes import append_notes
from vault.auditing.files import audit_files, expected_files
from vault.auditing.logs import LogAudit, audit_log
from vault.auditing.report import verdict_of
from vault.storage import MemoryStore

SHARDS = 8
SAMPLE = 331


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    # The same lines run many thousand times; what measures them does so in the other tests.
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        with memoised():
            yield
    finally:
        sys.settrace(tracer)


def log_of(store: MemoryStore) -> LogAudit:
    return audit_log(store, lambda *_: 0, lambda _: None)


def changes(place: int, value: int) -> tuple[int, int]:
    """Return two other values for a byte: its lowest bit flipped, and one more."""
    return value ^ 1, value ^ (2 + place * 37 % 254)


def changed(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes((value,)) + data[place + 1 :]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_byte_of_the_log(shard: int, record_property: Callable[[str, object], None]) -> None:
    files = needed()
    store = MemoryStore(files)
    assert verdict_of(log_of(store).findings) == "intact"
    found = 0
    for name in (name for name in files if name.startswith("log/")):
        data = files[name]
        for place in range(shard, len(data), SHARDS):
            for value in changes(place, data[place]):
                store._files[name] = changed(data, place, value)
                verdict = verdict_of(log_of(store).findings)
                assert verdict != "intact", (name, place, value)
                if place % SAMPLE == shard:
                    assert audited(store._files).verdict == verdict
                found += 1
        store._files[name] = data
    record_property("changes", found)
    print(f"{found} changes")


@cache
def grown() -> dict[str, bytes]:
    """Return the files of a vault of which each edge tile has a superseded beginning."""
    with small_padding():
        vault = new_vault()
    append_notes(vault.store, OWNER)
    return contents(vault.store)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_byte_of_what_is_superseded(
    shard: int, record_property: Callable[[str, object], None]
) -> None:
    files = grown()
    names = [name for name in files if is_superseded(name, files)]
    assert len(names) == 2
    store = MemoryStore(files)
    found = 0
    for place in range(shard, max(len(files[name]) for name in names), SHARDS):
        altered = {name for name in names if place < len(files[name])}
        for name in altered:
            value = changes(place, files[name][place])[place // SHARDS % 2]
            store._files[name] = changed(files[name], place, value)
        log = log_of(store)
        noted = {one.place for one in log.findings if one.code == "tile-superseded"}
        assert noted == altered
        assert verdict_of(log.findings) == "intact"
        found += len(altered)
        for name in altered:
            store._files[name] = files[name]
    record_property("changes", found)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_byte_of_every_other_file(
    shard: int, record_property: Callable[[str, object], None]
) -> None:
    files = golden()
    names = [name for name in files if not name.startswith("log/")]
    store = MemoryStore(files)
    log = log_of(store)
    expected = expected_files(log.events.values(), log.state)
    found = 0
    for place in range(shard, max(len(files[name]) for name in names), SHARDS):
        for which in (0, 1):
            altered = {name for name in names if place < len(files[name])}
            for name in altered:
                value = changes(place, files[name][place])[which]
                store._files[name] = changed(files[name], place, value)
            findings, _, _ = audit_files(
                store, expected, log.known, 0, lambda *_: None, complete=True
            )
            assert {one.place for one in findings} == altered
            if place % SAMPLE == shard:
                assert places(audited(store._files)) == altered
            found += len(altered)
            for name in altered:
                store._files[name] = files[name]
    record_property("changes", found)


@pytest.mark.parametrize("value", [0, 10, 13, *b" 0235678:9Ee/-", 0x80, 0xFF])
def test_a_format_of_another_version_is_damage_where_the_log_is_of_this_one(value: int) -> None:
    # An audit that took another number for a later version would not read the rest.
    content = golden()["FORMAT"]
    for place in range(len(content)):
        if value != content[place]:
            report = audited({**golden(), "FORMAT": changed(content, place, value)})
            assert (report.verdict, places(report)) == ("altered", {"FORMAT"})
