"""The table of mutants stays true to the code; two of them are tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.crash.mutants import ROOT, apply, attempt, copy_to, try_mutant
from tests.crash.mutations import MUTANTS, Edit, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_takes_away_stands_once_in_the_code(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == 1
        assert edit.new != edit.old


GUARD = re.compile(
    r"^ *(?:with )?[\w.\[\]-]*"
    r"(?:sync_file|sync_chain|_sync_folders|\.sync|FileLock|vault_lock"
    r"|check_checkpoint|check_event_signature|verify_ed25519|verify_ml_dsa_44)\(",
)

OF_ITSELF = {
    # What every flush, lock and signature goes through: each use of it has its own line.
    "vault/storage/durability.py": ("sync_file(self._fd)", "directory.sync()"),
    "vault/storage/transaction.py": ("chain[-1].sync()",),
}


def test_every_flush_lock_and_signature_has_a_line_in_the_table() -> None:
    edits = {
        (edit.file, line.strip())
        for mutant in MUTANTS
        for edit in mutant.edits
        for line in edit.old.splitlines()
    }
    missing = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "vault").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if GUARD.match(line)
        and (str(path.relative_to(ROOT)), line.strip()) not in edits
        and line.strip() not in OF_ITSELF.get(str(path.relative_to(ROOT)), ())
    ]
    assert missing == []


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    table = page.partition("| taken away | noticed by |\n|---|---|\n")[2].partition("\n\n")[0]
    named = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()]
    assert named == [mutant.name for mutant in MUTANTS]
    assert f"The {len(MUTANTS)} edits stand in" in page


def test_names_of_mutants_are_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("name", ["no signature of an event", "no head of an event"])
def test_a_mutant_is_noticed(name: str, tmp_path: Path) -> None:
    mutant = next(one for one in MUTANTS if one.name == name)
    assert try_mutant(mutant, tmp_path).said


def test_a_copy_without_a_mutation_passes_and_a_text_that_is_not_there_is_refused(
    tmp_path: Path,
) -> None:
    copy = copy_to(tmp_path / "copy")
    assert not attempt([("-c", "import vault.log, tests.crash.verbs")], copy).said
    with pytest.raises(ValueError, match="0 times"):
        apply(Mutant("none", (Edit("vault/codec.py", "not there\n", ""),), ()), copy)
