"""The short form of ``python -m tests.crash.powerloss``, and that it would notice."""

from __future__ import annotations

import os
import random
import secrets
from pathlib import Path

import pytest

from tests.crash.medium import Recording
from tests.crash.powerloss import Tally, explore, record
from tests.crash.verbs import VERBS, Verb

pytestmark = pytest.mark.skipif(os.name != "posix", reason="directories are flushed on POSIX only")

SEED = int(os.environ.get("POWERLOSS_SEED") or secrets.randbelow(10**6))
STATES = 40
"""States of each verb."""


def tried(verb: Verb, folder: Path, count: int, blind: frozenset[str] = frozenset()) -> Tally:
    recorded = record(verb, folder / "recorded", blind=blind)
    tally = Tally()
    explore(recorded, count, random.Random(f"{SEED} {verb.name}"), folder, tally)
    return tally


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_no_power_cut_loses_or_hides_anything(verb: Verb, tmp_path: Path) -> None:
    tally = tried(verb, tmp_path, STATES)
    assert not tally.failures, f"POWERLOSS_SEED={SEED}: {tally.failures}"
    assert tally.different > 2
    assert tally.judged
    assert tally.operations > 5


@pytest.mark.parametrize("what", ["file", "folder"])
def test_flushes_that_the_medium_ignores_are_noticed(what: str, tmp_path: Path) -> None:
    verb = next(verb for verb in VERBS if verb.name == "seal")
    tally = tried(verb, tmp_path, 150, frozenset((what,)))
    # Before the commit nothing depends on flushes that were ignored; after it all does.
    assert tally.failures
    assert len(tally.failures) < tally.different


@pytest.fixture
def watched(tmp_path: Path) -> Recording:
    """Two files, of which one was flushed, in a directory that was not."""
    root = tmp_path / "medium"
    root.mkdir()
    recording = Recording(root)
    with recording.watch():
        for name in ("flushed", "not"):
            fd = os.open(root / name, os.O_WRONLY | os.O_CREAT)
            os.write(fd, name.encode() * 3000)
            if name == "flushed":
                os.fsync(fd)
            os.close(fd)
        os.rename(root / "flushed", root / "renamed")
    return recording


def states_of(recording: Recording, model: str, cut: int) -> list[dict[str, bytes | None]]:
    dice = random.Random(5)
    return [recording.state(cut, model, dice) for _ in range(400)]  # type: ignore[arg-type]


def test_the_model_gives_back_all_that_was_written(watched: Recording) -> None:
    assert watched.now() == {"renamed": b"flushed" * 3000, "not": b"not" * 3000}


def test_a_name_whose_directory_was_not_flushed_may_be_missing(watched: Recording) -> None:
    for model in ("anarchy", "journal"):
        names = {frozenset(state) for state in states_of(watched, model, watched.count)}
        assert frozenset() in names
        assert frozenset({"renamed", "not"}) in names


def test_only_without_a_journal_a_renamed_file_has_two_names(watched: Recording) -> None:
    both = {"flushed", "renamed"}
    assert any(both <= set(state) for state in states_of(watched, "anarchy", watched.count))
    assert not any(both <= set(state) for state in states_of(watched, "journal", watched.count))


def test_a_file_that_was_not_flushed_may_be_torn_and_one_that_was_is_whole(
    watched: Recording,
) -> None:
    for model in ("anarchy", "journal"):
        states = states_of(watched, model, watched.count)
        whole = {state["renamed"] for state in states if "renamed" in state}
        assert whole == {b"flushed" * 3000}
        torn = {state["not"] for state in states if "not" in state}
        assert b"" in torn
        assert b"not" * 3000 in torn
        assert any(data and b"\0" in data for data in torn)


def test_what_was_flushed_with_its_directory_stays(tmp_path: Path) -> None:
    root = tmp_path / "medium"
    root.mkdir()
    recording = Recording(root)
    with recording.watch():
        fd = os.open(root / "file", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"kept")
        os.fsync(fd)
        os.close(fd)
        folder = os.open(root, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        os.unlink(root / "file")
    for model in ("anarchy", "journal"):
        states = states_of(recording, model, recording.count)
        assert {state.get("file") for state in states} == {b"kept", None}
        assert {state["file"] for state in states_of(recording, model, recording.count - 1)} == {
            b"kept"
        }
