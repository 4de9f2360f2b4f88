"""The short form of ``python -m tests.crash.full_disk``, and that it would notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.faults import baseline
from tests.crash.full_disk import Tally, mounted, reason_not_to, steps, try_room
from tests.crash.verbs import VERBS

REASON = reason_not_to()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.mark.parametrize("name", ["create", "note", "seal", "destroy", "rekey"])
def test_a_verb_without_room_says_so_and_reading_and_later_writing_work(
    name: str, tmp_path: Path
) -> None:
    template = baseline(next(verb for verb in VERBS if verb.name == name), tmp_path)
    tally = Tally()
    with mounted("tmpfs") as disk:
        assert steps(template, 4, disk, tally) > 3
    assert not tally.failures
    assert tally.ended["acknowledged"] == 2
    assert tally.ended["no room"] + tally.ended["refused beforehand"] > 1


def test_a_verb_that_hides_that_there_was_no_room_is_noticed(tmp_path: Path) -> None:
    template = baseline(next(verb for verb in VERBS if verb.name == "note"), tmp_path)

    def hiding(path: Path) -> None:
        try:
            template.verb.run(path)
        except OSError:
            return

    tally = Tally()
    with mounted("tmpfs") as disk:
        verb = replace(template.verb, run=hiding)
        assert try_room(replace(template, verb=verb), 4096, disk, tally) == "acknowledged"
    assert "acknowledged: True" in tally.failures[0]
