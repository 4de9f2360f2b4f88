"""Eight processes append and are killed, others read: one log, nothing lost, nobody misled.

The short form of ``python -m tests.crash.concurrency``; ``CONCURRENCY_SEED`` chooses who is killed
when (what the processes are doing just then, no seed repeats).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.crash.concurrency import Round, faults_of, forks_in, play, signed_in
from tests.rooms.house import OWNER, House, build
from vault.layout import CHECKPOINT
from vault.storage import PENDING

SEED: Final = int(os.environ.get("CONCURRENCY_SEED", "4"))

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="processes are killed with SIGKILL, which Windows has not"
)


def test_writers_that_are_killed_lose_nothing_and_mislead_no_reader(tmp_path: Path) -> None:
    print(f"CONCURRENCY_SEED={SEED}")
    done = play(tmp_path / "vault", 3.0, SEED)
    assert done.troubles == []
    assert done.size > len(done.acknowledged) > 0
    assert done.kills > 0


def test_a_round_notices_that_the_lock_is_missing(tmp_path: Path) -> None:
    for number in range(8):
        done = play(tmp_path / f"{number}", 0.5, SEED + number, writer="write unlocked")
        if done.troubles:
            return
    pytest.fail("eight rounds without a lock, and nobody noticed")


# --- what is held against what --------------------------------------------------------------------

LEAVES: Final = [bytes([number]) * 32 for number in range(4)]
ROOTS: Final = {size: bytes([16 + size]) * 32 for size in range(1, 5)}


def sound() -> Round:
    heads = {size: {root} for size, root in ROOTS.items()}
    return Round(acknowledged={LEAVES[2]: 2, LEAVES[3]: 3}, heads=heads, kills=1, audits=1)


def test_a_sound_round_has_no_fault() -> None:
    assert faults_of(sound(), LEAVES, ROOTS) == []


@pytest.mark.parametrize("leaves", [LEAVES[:3], [*LEAVES[:3], bytes(32)], LEAVES[::-1]])
def test_an_acknowledged_event_that_is_not_at_its_place_is_lost(leaves: list[bytes]) -> None:
    assert any("lost: event 3" in fault for fault in faults_of(sound(), leaves, ROOTS))


def test_two_roots_of_one_size_are_a_fork() -> None:
    done = sound()
    done.heads[3].add(bytes(32))
    assert forks_in(done.heads) == [3]
    assert faults_of(done, LEAVES, ROOTS) == ["fork: two roots were signed at size 3"]


def test_a_head_that_went_or_is_of_another_history_is_a_fault() -> None:
    done = sound()
    done.heads[9] = {bytes(32)}
    done.heads[2] = {bytes(32)}
    assert faults_of(done, LEAVES, ROOTS) == [
        "a checkpoint of size 2 is of another history",
        "a checkpoint of size 9 was signed, and went",
    ]


@pytest.mark.parametrize("what", ["acknowledged", "kills", "audits", "heads"])
def test_a_round_in_which_nothing_happened_proves_nothing(what: str) -> None:
    done = sound()
    setattr(done, what, getattr(Round(), what))
    assert any("nothing is proved" in fault for fault in faults_of(done, LEAVES, ROOTS))


def test_what_a_process_says_is_noted_and_what_it_dies_of_is_a_fault() -> None:
    done = Round()
    for line in (f"event 7 {'ab' * 32}", f"head 8 {'cd' * 32}", f"early 9 {'ef' * 32}", "retry"):
        done.note(line)
    assert done.acknowledged == {b"\xab" * 32: 7}
    assert done.heads == {8: {b"\xcd" * 32}, 9: {b"\xef" * 32}}
    assert (done.early, done.retries, done.troubles) == (1, 1, [])
    done.note("died read 0: Traceback")
    assert done.troubles == ["died read 0: Traceback"]


def test_a_signed_checkpoint_is_seen_wherever_it_lies(tmp_path: Path) -> None:
    house: House = build(tmp_path / "vault")
    with house.open(OWNER) as vault:
        vault.append("vault.noted", fields={"text": "x"})
    raw = (house.path / CHECKPOINT).read_bytes()
    (house.path / PENDING).write_bytes(raw)
    (house.path / "tmp/0123456789abcdef").mkdir(parents=True)
    (house.path / "tmp/0123456789abcdef/3").write_bytes(raw)
    (house.path / "tmp/0123456789abcdef/4").write_bytes(raw[:-1])
    places = {"log/checkpoint", "log/checkpoint.next", "tmp/0123456789abcdef/3"}
    assert {where for where, _ in signed_in(house.path)} == places
