"""The short form of ``python -m tests.crash.commands``, and that it would notice."""

from __future__ import annotations

import os
import random
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import World
from tests.crash.commands import ACTS, Act, made, reason_not_to, strike, trial
from tests.crash.kill import Tally

REASON = reason_not_to()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

SEED = int(os.environ.get("COMMANDS_SEED") or secrets.randbelow(10**6))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("commands") / "world")


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_a_command_killed_before_any_call_loses_hides_and_blocks_nothing(
    act: Act, world: World, tmp_path: Path
) -> None:
    tried = trial(act, world, tmp_path)
    assert len(tried.points) >= 4
    tally = Tally()
    strike(tried, random.Random(f"{SEED} {act.name}").choice(tried.points), tmp_path, tally)
    assert not tally.failures, f"COMMANDS_SEED={SEED}: {tally.failures}"
    assert tally.killed.total() + tally.lived == 1


def test_a_command_that_says_it_is_done_too_early_is_noticed(world: World, tmp_path: Path) -> None:
    act = next(one for one in ACTS if one.name == "note")
    tried = trial(act, world, tmp_path)
    assert tried.added == 1
    tally = Tally()
    # Killed at its first word, when all is done: as if it should have written one event more.
    last = next(point for point in reversed(tried.points) if point.call == "write")
    strike(replace(tried, added=0), last, tmp_path, tally)
    assert "events more" in tally.failures[0]
