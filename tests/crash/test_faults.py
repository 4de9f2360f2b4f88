"""The short form of ``python -m tests.crash.faults``, and that it would notice."""

from __future__ import annotations

import errno
import os
import random
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash import faults
from tests.crash.faults import Fault, Template, baseline, chosen, possible, try_one
from tests.crash.verbs import UNWRITTEN, VERBS
from tests.rooms.house import House
from vault import Vault
from vault.event import EVENT_TYPES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that has fork")

SEED = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(10**6))
SHARE = 7
"""Faults of each verb."""


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_no_fault_of_one_operation_loses_hides_or_refuses_anything(
    verb: faults.Verb, tmp_path: Path
) -> None:
    template = baseline(verb, tmp_path)
    seed = f"{SEED} {verb.name}"
    for fault in random.Random(seed).sample(list(possible(template)), SHARE):
        said, wrong = try_one(template, fault, tmp_path)
        assert not wrong, f"FAULTS_SEED={SEED}: {fault}: {said} {wrong}"


@pytest.fixture
def note(tmp_path: Path) -> Template:
    return baseline(next(verb for verb in VERBS if verb.name == "note"), tmp_path)


def test_every_kind_of_fault_can_befall_a_verb(note: Template) -> None:
    assert {fault.kind for fault in possible(note)} == set(faults._FAULTS)
    assert len({fault.operation for fault in possible(note)}) > 8


def test_the_same_seed_chooses_the_same_faults(note: Template) -> None:
    assert chosen([note], 50, 3) == chosen([note], 50, 3) != chosen([note], 50, 4)


def test_a_verb_that_says_done_too_early_is_noticed(note: Template, tmp_path: Path) -> None:
    def hasty(path: Path) -> None:
        try:
            note.verb.run(path)
        except OSError:
            return  # as if it had worked

    lying = replace(note, verb=replace(note.verb, run=hasty))
    at = note.operations.index("creat")
    _, wrong = try_one(lying, Fault("note", at, "creat", "ENOSPC"), tmp_path)
    assert "acknowledged: True" in wrong


def test_a_verb_that_ends_with_an_error_of_its_own_is_noticed(
    note: Template, tmp_path: Path
) -> None:
    def clumsy(path: Path) -> None:
        try:
            note.verb.run(path)
        except OSError as error:
            raise KeyError(error.errno) from error

    broken = replace(note, verb=replace(note.verb, run=clumsy))
    at = note.operations.index("creat")
    _, wrong = try_one(broken, Fault("note", at, "creat", "EROFS"), tmp_path)
    assert f"KeyError: {errno.EROFS}" in wrong


def test_a_commit_that_writes_its_checkpoint_in_place_is_noticed(
    note: Template, tmp_path: Path
) -> None:
    def in_place(path: Path) -> None:
        checkpoint = path / "log" / "checkpoint"
        old = checkpoint.read_bytes()
        fd = os.open(checkpoint, os.O_WRONLY | os.O_TRUNC)
        os.write(fd, old)
        os.close(fd)
        note.verb.run(path)

    made = replace(note, verb=replace(note.verb, run=in_place))
    _, wrong = try_one(made, Fault("note", 0, "write", "torn, then killed"), tmp_path)
    assert "altered" in wrong or "Unsound" in wrong


def test_making_a_vault_that_fails_at_any_operation_leaves_nothing(tmp_path: Path) -> None:
    create = next(verb for verb in VERBS if verb.name == "create")
    template = baseline(create, tmp_path)
    path = tmp_path / "failed"
    for at in range(0, len(template.operations), 9):
        said, _, _ = faults._run_child(create, path, at, "EIO")
        if said.startswith("error"):
            # What was being deleted may be what fails; it is no vault, and says so.
            left = [one for one in path.rglob("*") if one.is_file()]
            assert not left, (at, left)
            shutil.rmtree(path, ignore_errors=True)
        else:
            with House(path).open() as vault:
                assert vault.size == template.added
            shutil.rmtree(path)


def test_between_them_the_verbs_write_every_type_of_event_that_there_is(tmp_path: Path) -> None:
    written = set()
    for number, verb in enumerate(VERBS):
        path = tmp_path / str(number)
        verb.prepare(path)
        verb.run(path)
        with Vault.open(path) as vault:
            written |= {event.type for event in vault.events()}
    assert written == EVENT_TYPES.keys() - UNWRITTEN
