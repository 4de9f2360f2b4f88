"""Proof of the harnesses: each flush, order, lock and check is taken away, and something notices.

``python -m tests.crash.mutants [--jobs J] [--only NAME]``. Every row of ``MUTANTS`` is put into a
copy of the checkout, and its commands are run there; a mutant is caught if one of them fails. First
the copy is run as it is: all commands must pass. Prints a Markdown table and one line of counts.
"""

from __future__ import annotations

import argparse
import os
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

__all__ = ["MUTANTS", "Edit", "Mutant", "Outcome", "try_mutant"]

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("vault", "cli", "tests", "pyproject.toml", "docs", "demo", "bench", "tools")
Command = tuple[str, ...]

POWER: Final[Command] = ("-m", "tests.crash.powerloss", "--states", "2800", "--seed", "7")
FAULTS: Final[Command] = ("-m", "tests.crash.faults", "--faults", "500", "--seed", "7")
CROWD: Final[Command] = ("-m", "tests.crash.concurrency", "--rounds", "2", "--seed", "7")


def tests(*names: str) -> Command:
    """Return the command that runs test files until one test fails."""
    own = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "error")
    return (*own, *(f"tests/{name}" for name in names))


ORDER: Final = tests("storage/test_local_durability.py")
ROT: Final = tests("crash/test_rot.py", "audit/test_every_byte.py")
LOG: Final = tests("log/test_log.py")


@dataclass(frozen=True, slots=True)
class Edit:
    """``old``, which stands once in the file, becomes ``new``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is taken away, and the commands of which one must notice."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[Command, ...]


def _mutant(name: str, file: str, old: str, new: str, *caught_by: Command) -> Mutant:
    return Mutant(name, (Edit(file, old, new),), caught_by)


_DURABILITY: Final = "vault/storage/durability.py"
_TRANSACTION: Final = "vault/storage/transaction.py"
_LOCAL: Final = "vault/storage/local.py"
_FILES: Final = "vault/storage/files.py"
_SESSION: Final = "vault/storage/session.py"
_LOG: Final = "vault/log/__init__.py"
_CHECKPOINT: Final = "vault/tlog/checkpoint.py"

MUTANTS: Final = (
    # --- flushes ----------------------------------------------------------------------------------
    _mutant(
        "no fsync of a new file",
        _FILES,
        "            with named(self._path):\n                sync_file(fd)\n",
        "",
        POWER,
    ),
    _mutant(
        "no fsync of a commit's files",
        _SESSION,
        "                write_all(fd, data)\n                sync_file(fd)\n",
        "                write_all(fd, data)\n",
        POWER,
    ),
    _mutant(
        "no fsync of the room for a checkpoint",
        _TRANSACTION,
        "                write_all(fd, bytes(_ROOM))\n                sync_file(fd)\n",
        "                write_all(fd, bytes(_ROOM))\n",
        ORDER,
    ),
    _mutant(
        "no fsync of the signed checkpoint",
        _TRANSACTION,
        "                write_all(fd, signed)\n                sync_file(fd)\n",
        "                write_all(fd, signed)\n",
        POWER,
    ),
    _mutant(
        "no fsync of a staged directory",
        _FILES,
        "            directory.sync()\n            # Before",
        "            # Before",
        POWER,
    ),
    _mutant(
        "no fsync of the directories of a commit",
        _TRANSACTION,
        "            _sync_folders(root, (*files, PENDING))\n",
        "",
        POWER,
    ),
    _mutant(
        "no fsync of the directory that a commit's files left",
        _TRANSACTION,
        "            session.directory.sync()\n            signed",
        "            signed",
        ORDER,
    ),
    _mutant(
        "no fsync of log/ after the checkpoint was renamed",
        _TRANSACTION,
        "_CHECKPOINT_PART)\n    log.sync()\n",
        "_CHECKPOINT_PART)\n",
        POWER,
    ),
    _mutant(
        "no fsync of a new file's directories",
        _DURABILITY,
        "        sync_chain(chain)\n    source.sync()\n",
        "    source.sync()\n",
        POWER,
    ),
    _mutant(
        "no fsync of the directory that a new file left",
        _DURABILITY,
        "        sync_chain(chain)\n    source.sync()\n",
        "        sync_chain(chain)\n",
        ORDER,
    ),
    _mutant(
        "no fsync of what a racing writer put there",
        _DURABILITY,
        "        except FileExistsError:\n            sync_chain(chain)\n            raise\n",
        "        except FileExistsError:\n            raise\n",
        ORDER,
    ),
    _mutant(
        "no fsync of directories when a commit is finished",
        _TRANSACTION,
        "        sync_chain(chain)\n        session.directory.sync()\n        _switch(chain[-1])\n",
        "        _switch(chain[-1])\n",
        ORDER,
    ),
    _mutant(
        "no fsync of the directory that a vault is made in",
        _LOCAL,
        "            parent.sync()\n",
        "            pass\n",
        POWER,
    ),
    # --- order ------------------------------------------------------------------------------------
    Mutant(
        "tiles put in place after the checkpoint",
        (
            Edit(_TRANSACTION, "            _install(root, session, files, new)\n", ""),
            Edit(
                _TRANSACTION,
                "            close_quietly(fd)\n        _switch(log)\n",
                "            close_quietly(fd)\n        _switch(log)\n"
                "        _install(root, session, files, new)\n",
            ),
            Edit(
                _TRANSACTION,
                "            _sync_folders(root, (*files, PENDING))\n",
                "            _sync_folders(root, (PENDING,))\n",
            ),
        ),
        (POWER, FAULTS),
    ),
    Mutant(
        "the checkpoint renamed before it is flushed",
        (
            Edit(
                _TRANSACTION,
                "                write_all(fd, signed)\n                sync_file(fd)\n",
                "                write_all(fd, signed)\n                _switch(log)\n"
                "                sync_file(fd)\n",
            ),
            Edit(
                _TRANSACTION,
                "            close_quietly(fd)\n        _switch(log)\n",
                "            close_quietly(fd)\n",
            ),
        ),
        (POWER, ORDER),
    ),
    _mutant(
        "a short write taken for a whole one",
        _DURABILITY,
        "            start += count\n\n\ndef read_into",
        "            start = len(rest)\n\n\ndef read_into",
        FAULTS,
        tests("crash/test_faults.py"),
    ),
    # --- locks and judgement ----------------------------------------------------------------------
    _mutant(
        "a commit without the lock",
        _LOCAL,
        "        with vault_lock(self._root, self._lock_timeout):\n"
        "            if self._content(CHECKPOINT) != expected:\n",
        "        if True:\n            if self._content(CHECKPOINT) != expected:\n",
        CROWD,
    ),
    _mutant(
        "a commit on another checkpoint than the expected one",
        _LOCAL,
        "            if self._content(CHECKPOINT) != expected:\n",
        "            if False:\n",
        CROWD,
    ),
    _mutant(
        "a signed pending checkpoint overwritten",
        _LOG,
        "            if pending is None or not self._is_successor(pending):\n",
        "            if True:\n",
        FAULTS,
    ),
    _mutant(
        "a pending checkpoint that nobody judged overwritten",
        _LOCAL,
        "            if self.pending() not in (None, judged):\n",
        "            if False:\n",
        tests("storage"),
    ),
    _mutant(
        "an error of tidying reported as one of the work",
        _SESSION,
        "        except (OSError, StateError) as error:\n            _logger.warning(",
        "        except ZeroDivisionError as error:\n            _logger.warning(",
        FAULTS,
        tests("crash/test_faults.py"),
    ),
    _mutant(
        "directories left of a vault that could not be made",
        "vault/founding.py",
        "            with suppress(FileNotFoundError):\n                store.delete_tree(name)\n",
        "            pass\n",
        tests("crash/test_faults.py"),
    ),
    # --- digests ----------------------------------------------------------------------------------
    _mutant(
        "no reading back after sealing",
        "vault/sealing.py",
        "self._writer.read_back(sealed)",
        "True",
        tests("bundles"),
    ),
    _mutant(
        "no digest of a file in the audit",
        "vault/auditing/files.py",
        "        if digest != file.sha256:\n",
        "        if not digest:\n",
        ROT,
    ),
    _mutant(
        "no digest of a small file that is read",
        "vault/stored.py",
        " or hashlib.sha256(data).digest() != sha256",
        "",
        tests("log", "audit", "rooms/test_looking.py"),
    ),
    _mutant(
        "no comparison of the root",
        _LOG,
        "        if grown.root() != head.root:\n",
        "        if False:\n",
        LOG,
    ),
    _mutant(
        "no comparison of the tiles",
        "vault/auditing/logs.py",
        "        elif audit.tree is not None and data != tile_data(tile, audit.tree):\n",
        "        elif False:\n",
        ROT,
    ),
    # --- signatures and rules ---------------------------------------------------------------------
    _mutant(
        "no signature of an event",
        "vault/event/encoding.py",
        "    note.verify_ed25519(event.actor, EVENT_LABEL + event.body, event.sig)\n",
        "",
        tests("formats/test_event_encoding.py"),
    ),
    _mutant(
        "no head of an event",
        _LOG,
        "            if seq and event.head != tree.root(seq):\n",
        "            if False:\n",
        LOG,
    ),
    _mutant(
        "no signer of a checkpoint",
        _LOG,
        "        check_checkpoint(signed, keys.ed25519, keys.ml_dsa_44, origin=state.origin)\n",
        "",
        LOG,
    ),
    _mutant(
        "no Ed25519 signature of a checkpoint",
        _CHECKPOINT,
        "    verify_ed25519(ed25519, signed.note.text.encode(), classical.data)\n",
        "",
        tests("tlog/test_checkpoint.py"),
    ),
    _mutant(
        "no ML-DSA-44 signature of a checkpoint",
        _CHECKPOINT,
        "    verify_ml_dsa_44(ml_dsa_44, _message(checkpoint), "
        "quantum.data[len(_NO_TIMESTAMP) :])\n",
        "",
        tests("tlog/test_checkpoint.py"),
    ),
    _mutant(
        "no rule of custody on writing",
        _LOG,
        "            for breach in custody.broken(event):\n",
        "            for breach in ():\n",
        LOG,
    ),
    # --- paths ------------------------------------------------------------------------------------
    _mutant(
        "links are followed",
        _DURABILITY,
        '_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)\n',
        "_NO_FOLLOW: Final = 0\n",
        tests("storage"),
    ),
    _mutant(
        "a new file takes the place of one that is there",
        _DURABILITY,
        "        if target.has(new):\n",
        "        if False:\n",
        tests("storage"),
    ),
)


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
            return Outcome(command, "did not end", time.monotonic() - start)
        if done.returncode:
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
    missed = [one for one in outcomes if not one.said]
    print(f"{len(chosen)} mutants, {len(missed)} not noticed")
    return int(bool(missed) or not chosen)


if __name__ == "__main__":
    sys.exit(main())
