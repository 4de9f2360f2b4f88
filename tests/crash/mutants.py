"""Proof of the harnesses: each flush, order, lock and check is taken away, and something notices.

``python -m tests.crash.mutants [--jobs J] [--only NAME]``. Every row of
:mod:`tests.crash.mutations` is put into a copy of the checkout, and its commands are run there; a
mutant is caught if one of them fails. First the copy is run as it is: all commands must pass.
Prints a Markdown table and one line of counts.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.crash.mutations import MUTANTS, Command, Mutant

__all__ = ["ROOT", "Outcome", "apply", "attempt", "copy_to", "try_mutant"]

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("vault", "cli", "tests", "pyproject.toml", "docs", "demo", "bench", "tools")

_HUNG: Final = "did not end"
_BROKEN: Final = "code that can't run"
_SENSELESS: Final = re.compile(r"\b(SyntaxError|IndentationError|NameError|ImportError)\b")
"""What an edit that makes no sense ends with: nothing is proved by that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command said last when it failed, and how long all took; ``""``: all passed."""

    command: Command
    said: str
    seconds: float


def copy_to(folder: Path) -> Path:
    """Copy what the commands need."""
    folder.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def apply(mutant: Mutant, folder: Path) -> None:
    """Make the edits; raise ``ValueError`` unless each text stands exactly once."""
    for edit in mutant.edits:
        path = folder / edit.file
        text = path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{mutant.name}: {edit.file} has it {text.count(edit.old)} times")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def attempt(commands: Sequence[Command], folder: Path) -> Outcome:
    """Run commands in a copy until one fails."""
    start = time.monotonic()
    env = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'cli'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for command in commands:
        try:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
        except subprocess.TimeoutExpired:
            return Outcome(command, _HUNG, time.monotonic() - start)
        if done.returncode:
            if _SENSELESS.search(done.stdout + done.stderr):
                return Outcome(command, _BROKEN, time.monotonic() - start)
            lines = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
            telling = [
                one for one in lines if one.startswith(("E  ", "FAILED", "Fault(", "--seed"))
            ]
            return Outcome(command, (telling or lines[-1:])[0].strip(), time.monotonic() - start)
    return Outcome((), "", time.monotonic() - start)


def try_mutant(mutant: Mutant, folder: Path) -> Outcome:
    """Run a mutant's commands in a copy of its own, made in ``folder``."""
    own = copy_to(folder / mutant.name.replace(" ", "-").replace("/", "-"))
    try:
        apply(mutant, own)
        return attempt(mutant.caught_by, own)
    finally:
        shutil.rmtree(own)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every mutant, or those named; print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.mutants")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--only", action="append", default=[], help="a name; may be repeated")
    given = parser.parse_args(arguments)
    chosen = [one for one in MUTANTS if not given.only or one.name in given.only]
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        control = attempt(
            sorted({command for mutant in chosen for command in mutant.caught_by}),
            copy_to(folder / "control"),
        )
        if control.said:
            print(f"without a mutation: {' '.join(control.command)}: {control.said}")
            return 1
        with ThreadPoolExecutor(given.jobs) as pool:
            outcomes = list(pool.map(lambda mutant: try_mutant(mutant, folder), chosen))
    print("| taken away | noticed by | after | what it said |\n|---|---|---|---|")
    for mutant, outcome in zip(chosen, outcomes, strict=True):
        by = " ".join(one for one in outcome.command if "/" in one or "tests." in one)
        said = outcome.said.replace("|", "\\|")[:160] or "**not noticed**"
        print(f"| {mutant.name} | `{by}` | {outcome.seconds:.0f} s | {said} |")
    missed = [one for one in outcomes if one.said in ("", _HUNG, _BROKEN)]
    print(f"{len(chosen)} mutants, {len(missed)} not noticed")
    return int(bool(missed) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
