"""Faults of single operations: every call to the system that a verb makes fails, or is the last.

``python -m tests.crash.faults --faults N --seed S --jobs J [--verb NAME]``. A verb runs in a forked
child in which the functions of ``os`` are stood in for. At the chosen operation the stand-in kills
the process (before, after, or half-way through a write), takes less than it was given, or fails
with an error of the system, having done the work or not, once or from then on. The parent judges
what is left (:mod:`tests.crash.judging`) and what the child said: a verb either returns, or raises
an error that its caller can expect. Needs a system that has ``fork``.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import itertools
import multiprocessing
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.judging import Before, Unsound, judge
from tests.crash.verbs import VERBS, Verb
from vault.errors import VaultError

__all__ = [
    "Fault",
    "Tally",
    "Template",
    "baseline",
    "chosen",
    "possible",
    "run",
    "templates",
    "try_one",
]

WRITING: Final = frozenset(
    ("creat", "mkdir", "write", "ftruncate", "fsync", "rename", "replace", "unlink", "rmdir")
)
READING: Final = frozenset(("open", "read", "preadv", "lseek", "listdir", "stat", "fstat"))
_STOOD_IN: Final = (*sorted(WRITING - {"creat"}), *sorted(READING), "close")
_ROOM: Final = frozenset(("creat", "mkdir", "write", "ftruncate", "fsync", "rename", "replace"))

_FAULTS: Final[dict[str, frozenset[str]]] = {
    "kill before": WRITING,
    "kill after": WRITING,
    "torn, then killed": frozenset(("write",)),
    "short": frozenset(("write",)),
    "EIO": WRITING | READING,
    "EIO, yet done": WRITING | {"close"},  # a descriptor is closed whatever is said of it
    "ENOSPC": _ROOM,
    "ENOSPC, half of it done": frozenset(("write",)),
    "EDQUOT": _ROOM,
    "EROFS": WRITING - {"write", "fsync"},
    "EMFILE": frozenset(("creat", "open")),
    "ENOSPC from there on": _ROOM,
    "EROFS from there on": WRITING - {"fsync"},
    "EIO from there on": WRITING,
}
"""What can happen, and at which operations."""

_KILLED: Final = -signal.SIGKILL
_EXPECTED: Final = (VaultError, OSError)


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` at operation ``at`` of ``verb``, counted from 0; ``operation`` is its name there."""

    verb: str
    at: int
    operation: str
    kind: str


@dataclass(frozen=True, slots=True)
class Template:
    """A verb, the vault that it is to work on, and what the verb does there when nothing fails."""

    verb: Verb
    path: Path
    before: Before
    added: int
    operations: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What was tried, by kind; what the verbs said; and what was wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def merge(self, other: Tally) -> None:
        """Take over what another process counted."""
        self.tried += other.tried
        self.said += other.said
        self.failures += other.failures


class _Stand:
    """Stands in for functions of ``os`` in the child; counts, and goes wrong at one operation.

    Only what happens below ``root`` counts, so that imports and the like do not.
    """

    def __init__(self, root: Path, at: int = -1, kind: str = "") -> None:
        self.made: list[str] = []
        self.happened = False
        self._root = os.fspath(root)
        self._at = at
        self._kind = kind
        self._ours: set[int] = set()
        self._real: dict[str, Callable[..., Any]] = {}

    def take_over(self) -> None:
        """Replace the functions, for the rest of this process."""
        for name in _STOOD_IN:
            real = getattr(os, name, None)
            if real is not None:
                self._real[name] = real
                setattr(os, name, self._stand_in(name, real))

    def _is_ours(self, arguments: Sequence[Any], options: dict[str, Any]) -> bool:
        where = arguments[0] if arguments else "."
        if isinstance(where, int):
            return where in self._ours
        folder = options.get("dir_fd", options.get("src_dir_fd"))
        if folder is not None:
            return folder in self._ours
        return os.fspath(where).startswith(self._root)

    def _stand_in(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not self._is_ours(arguments, options):
                result = real(*arguments, **options)
                # A number that is given out again is no longer that of one of our files.
                if name == "open":
                    self._ours.discard(result)
                return result
            creates = name == "open" and arguments[1] & os.O_CREAT
            result = self._at_risk("creat" if creates else name, real, arguments, options)
            if name == "open":
                self._ours.add(result)
            return result

        return call

    def _at_risk(
        self, name: str, real: Callable[..., Any], arguments: Any, options: dict[str, Any]
    ) -> Any:
        number = len(self.made)
        self.made.append(name)
        kind = self._kind
        # Names of files differ from run to run, and with them the order of operations a little.
        due = 0 <= self._at <= number and name in _FAULTS[kind]
        if not due or (self.happened and not kind.endswith("from there on")):
            return real(*arguments, **options)
        self.happened = True
        if kind == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "kill after":
            with suppress(OSError):  # it failed by itself: then this is what it did
                real(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        if kind in ("short", "torn, then killed", "ENOSPC, half of it done"):
            half = bytes(arguments[1])[: (len(arguments[1]) + 1) // 2]
            count = real(arguments[0], half)
            if kind.startswith("torn"):
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "short":
                return count
        if kind.endswith("yet done"):
            result = real(*arguments, **options)
            if name == "creat":
                os.close(result)
        number_of = getattr(errno, kind.partition(" ")[0].rstrip(","))
        raise OSError(number_of, os.strerror(number_of))


def _child(verb: Verb, path: Path, at: int, kind: str, answers: int) -> None:
    """Run a verb with a fault, say how it ended, and end the process."""
    stand = _Stand(path, at, kind)
    end = os._exit
    try:
        stand.take_over()
        real_write = stand._real["write"]
        try:
            verb.run(path)
        except _EXPECTED as error:
            said = f"error {type(error).__name__}"
        except BaseException as error:
            said = f"fault {type(error).__name__}: {error}"
        else:
            said = "acknowledged"
        if kind and not stand.happened:
            said = f"unharmed: {said}"
        real_write(answers, f"{said}\n{' '.join(stand.made)}".encode())
    finally:
        end(0)


def _run_child(verb: Verb, path: Path, at: int, kind: str) -> tuple[str, tuple[str, ...], int]:
    """Return (what the child said, its operations, its exit status)."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)  # warnings of what could not be deleted are not for the one who counts
        _child(verb, path, at, kind, writing)
    os.close(writing)
    with builtins.open(reading, "rb") as answers:
        said, _, made = answers.read().decode().partition("\n")
    _, status = os.waitpid(child, 0)
    return said, tuple(made.split()), os.waitstatus_to_exitcode(status)


def baseline(verb: Verb, folder: Path) -> Template:
    """Prepare a verb's vault in ``folder``, and see what the verb does in a copy of it."""
    path = folder / "template"
    verb.prepare(path)
    before = Before.of(path)
    copy = folder / "baseline"
    if path.exists():
        shutil.copytree(path, copy)
    said, made, status = _run_child(verb, copy, -1, "")
    if said != "acknowledged" or status:
        raise Unsound(f"{verb.name} without a fault: {said or status}")
    added = len(Before.of(copy).entries) - len(before.entries)
    judge(copy, verb, before, acknowledged=True, added=added)
    shutil.rmtree(copy)
    return Template(verb, path, before, added, made)


def templates(folder: Path, names: Sequence[str] = ()) -> tuple[Template, ...]:
    """Prepare every verb, or those named."""
    made = []
    for number, verb in enumerate(VERBS):
        if names and verb.name not in names:
            continue
        own = folder / str(number)
        own.mkdir()
        made.append(baseline(verb, own))
    return tuple(made)


def possible(template: Template) -> Iterator[Fault]:
    """Yield every fault that can befall a verb."""
    for kind, operations in _FAULTS.items():
        for at, operation in enumerate(template.operations):
            if operation in operations:
                yield Fault(template.verb.name, at, operation, kind)


def chosen(made: Sequence[Template], count: int, seed: int) -> list[Fault]:
    """Return ``count`` of all possible faults; all, and more than once, where there are fewer.

    The random bytes of the vault are others each time, and with them what is written.
    """
    every = [fault for template in made for fault in possible(template)]
    dice = random.Random(seed)
    dice.shuffle(every)
    return list(itertools.islice(itertools.cycle(every), count))


def try_one(template: Template, fault: Fault, folder: Path) -> tuple[str, str]:
    """Return (what the verb said, what is wrong or nothing) of one fault, tried in ``folder``."""
    path = folder / "vault"
    if template.path.exists():
        shutil.copytree(template.path, path)
    try:
        said, _, status = _run_child(template.verb, path, fault.at, fault.kind)
        killed = status == _KILLED
        if said.startswith("unharmed: acknowledged"):
            said = said.removeprefix("unharmed: ")
        elif "kill" in fault.kind and not killed:
            return "", f"was not killed: {said} {status}"
        if said.startswith("fault") or (status and not killed):
            return said, f"ended with {said or status}"
        judge(
            path,
            template.verb,
            template.before,
            acknowledged=said == "acknowledged",
            added=template.added,
        )
    except (Unsound, VaultError, OSError) as error:
        return "", f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return "killed" if killed else said, ""


_inherited: dict[str, Template] = {}
"""The templates, in processes that were forked to share the work: a verb can't be sent to them."""


def _inherit(made: Sequence[Template]) -> None:
    _inherited.update({template.verb.name: template for template in made})


def _share(job: tuple[list[Fault], Path]) -> Tally:
    faults, folder = job
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        for fault in faults:
            said, wrong = try_one(_inherited[fault.verb], fault, Path(own))
            tally.tried[fault.kind] += 1
            tally.said[said or "wrong"] += 1
            if wrong:
                tally.failures.append(f"{fault}: {wrong}")
    return tally


def run(count: int, seed: int, jobs: int, folder: Path, names: Sequence[str] = ()) -> Tally:
    """Try ``count`` faults (0: each possible one once) in ``jobs`` processes."""
    made = templates(folder, names)
    every = sum(len(list(possible(template))) for template in made)
    faults = chosen(made, count or every, seed)
    tally = Tally()
    # A process for each share and not a queue: each ends with what it inherited.
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, initializer=_inherit, initargs=(made,)) as pool:
        shares = [(faults[start::jobs], folder) for start in range(jobs)]
        for part in pool.imap_unordered(_share, shares):
            tally.merge(part)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for; print one line of counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.faults")
    parser.add_argument("--faults", type=int, default=1000, help="how many (0: each once)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verb", action="append", default=[], help="may be repeated")
    given = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        tally = run(given.faults, given.seed, given.jobs, Path(folder), given.verb)
    for line in tally.failures[:20]:
        print(line)
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(tally.tried.items())))
    print(", ".join(f"{said}: {count}" for said, count in sorted(tally.said.items())))
    print(
        f"{tally.tried.total()} faults in {len(given.verb) or len(VERBS)} verbs, "
        f"{len(tally.failures)} promises broken, seed {given.seed}"
    )
    return int(bool(tally.failures) or not tally.tried)


if __name__ == "__main__":
    sys.exit(main())
