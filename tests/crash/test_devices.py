"""The short form of ``python -m tests.crash.devices``, and that it would notice."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.crash.devices import SYSTEMS, Tally, explore, reason_not_to, recorded
from tests.crash.verbs import VERBS, Verb

SEED = int(os.environ.get("DEVICE_SEED") or secrets.randbelow(10**6))
STATES = 3


class Last(random.Random):
    """Cuts as late as can be, and keeps nothing of what was not flushed."""

    def randint(self, a: int, b: int) -> int:
        return max(a, b)

    def choice(self, seq: Sequence[Any]) -> Any:
        assert "none" in seq
        return "none"


@pytest.fixture(params=sorted(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    reason = reason_not_to(name)
    if reason:
        pytest.skip(f"{name}: {reason}")
    return name


def named(name: str) -> Verb:
    return next(verb for verb in VERBS if verb.name == name)


def test_a_power_cut_on_a_real_file_system_loses_hides_and_blocks_nothing(
    system: str, tmp_path: Path
) -> None:
    of = recorded(system, named("note"), tmp_path / "disk")
    assert {one.kind for one in of.records} == {"write", "flush", "mark"}
    tally = Tally()
    explore(of, STATES, random.Random(f"{SEED} {system}"), tmp_path / "disk", tally)
    explore(of, 1, Last(), tmp_path / "disk", tally)
    assert not tally.failures, f"DEVICE_SEED={SEED}: {tally.failures}"
    assert tally.states == {system: STATES + 1}


def test_a_vault_that_flushes_nothing_is_noticed_on_a_real_file_system(
    system: str, tmp_path: Path
) -> None:
    of = recorded(system, named("note"), tmp_path / "disk", flushing=False)
    tally = Tally()
    explore(of, 1, Last(), tmp_path / "disk", tally)
    assert "acknowledged: True" in tally.failures[0]
