"""The short form of ``python -m tests.crash.kill``, and that it would notice."""

from __future__ import annotations

import os
import random
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.faults import baseline
from tests.crash.kill import Tally, points_of, reason_not_to, strike
from tests.crash.verbs import VERBS, Verb

REASON = reason_not_to()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

SEED = int(os.environ.get("KILL_SEED") or secrets.randbelow(10**6))
POINTS = 3


def named(name: str) -> Verb:
    return next(verb for verb in VERBS if verb.name == name)


@pytest.mark.parametrize("name", ["create", "seal", "accept", "destroy", "rekey", "rekey --prune"])
def test_a_process_killed_before_any_call_loses_hides_and_blocks_nothing(
    name: str, tmp_path: Path
) -> None:
    template = baseline(named(name), tmp_path)
    points = points_of(template, tmp_path)
    tally = Tally()
    for point in random.Random(f"{SEED} {name}").sample(points, POINTS):
        strike(template, point, tmp_path, tally)
    assert not tally.failures, f"KILL_SEED={SEED}: {tally.failures}"
    assert tally.killed.total() + tally.lived == POINTS
    assert tally.killed


def test_a_trace_gives_a_point_for_every_flush_rename_and_write(tmp_path: Path) -> None:
    points = points_of(baseline(named("note"), tmp_path), tmp_path)
    calls = {point.call for point in points}
    assert {"write", "fsync", "openat", "unlinkat"} <= calls
    assert calls & {"rename", "renameat", "renameat2"}
    assert len(points) > 30


def test_an_event_that_is_missing_after_the_kill_is_noticed(tmp_path: Path) -> None:
    template = baseline(named("note"), tmp_path)
    points = [point for point in points_of(template, tmp_path) if point.call == "rmdir"]
    last = max(points, key=lambda point: point.when)
    tally = Tally()
    # As if one event more had been acknowledged before.
    before = replace(template.before, entries=(*template.before.entries, b"another"))
    strike(replace(template, before=before), last, tmp_path, tally)
    assert "an acknowledged event is gone" in tally.failures[0]
