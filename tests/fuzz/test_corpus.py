"""Each parser refuses hostile input with a typed error: the kept corpus, and mutations of it.

The long form, guided by coverage, is ``make fuzz``; ``EVAULT_FUZZ_SEED`` gives another seed.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.verdict import CORPUS, all_targets, corpus_of, judge, mutated

ROOT: Final = Path(__file__).parents[2]
SEED: Final = int(os.environ.get("EVAULT_FUZZ_SEED", "4"))

NOT_PARSERS_OF_HOSTILE_BYTES: Final[dict[str, str]] = {}
"""Functions that are named as parsers are and that no target need reach, with the reason."""

MORE_READERS: Final = frozenset(
    (
        "vault.access.check_access_record",
        "vault.age.header.read_header",
        "vault.bundle.items.read_items",
        "vault.bundle.reading.check_bag",
        "vault.codec.unpack",
        "vault.codec.unpack_prefix",
        "vault.codec.unpack_sequence",
        "vault.founding.check_format",
        "vault.recovery.shares.read_words",
        "vault.recovery.shares.take_words",
        "evault_cli.fields.read_fields_file",
        "evault_cli.prompt.read_passphrase_file",
    )
)
"""What reads bytes of others and is not named ``parse_…``."""


def by_name(target: Target) -> str:
    return target.name


@pytest.mark.parametrize("target", all_targets(), ids=by_name)
def test_every_kept_file_and_its_mutations_have_the_one_verdict(target: Target) -> None:
    files = corpus_of(target)
    for data in (b"", b"\x00", *files.values()):
        judge(target, data)
    for data in mutated(tuple(files.values()), target.short, f"{SEED} {target.name}"):
        judge(target, data)


@pytest.mark.parametrize("target", all_targets(), ids=by_name)
def test_a_target_takes_something_and_refuses_something(target: Target) -> None:
    assert any(judge(target, data) for data in corpus_of(target).values())
    if target.raises:
        assert not all(judge(target, data) for data in (b"", b"\xff", b"{}"))


def test_the_corpus_has_a_folder_for_each_target_and_no_other() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < 450_000


def parsers() -> set[str]:
    """Return every public function of the library that is named as parsers are."""
    found = set()
    for path in sorted((ROOT / "vault").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found |= {
            f"{module.removesuffix('.__init__')}.{node.name}"
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("parse_")
        }
    return found


def test_every_parser_is_reached_by_a_target() -> None:
    """By calls that were seen: a table could claim what its targets no longer do."""
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            seen.add(f"{module}.{frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        for target in all_targets():
            for data in corpus_of(target).values():
                judge(target, data)
    finally:
        sys.setprofile(before)
    wanted = parsers() | MORE_READERS
    assert len(wanted) > 30
    assert wanted - seen == NOT_PARSERS_OF_HOSTILE_BYTES.keys()
