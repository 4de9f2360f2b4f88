"""Kill points: a real process is killed by the system before each of its calls that change files.

``python -m tests.crash.kill --points N --seed S --jobs J [--verb NAME]``. Each verb is traced once
with ``strace``; then, for every call that changes the vault and every time that it is made, the
verb runs again in a copy of its vault, and ``strace`` has it killed as it enters that call. Being
killed after a call is being killed before the next, and the end of the work is a point too. What is
left is judged (:mod:`tests.crash.judging`). Needs Linux, ``strace`` and leave to trace.

Calls are counted by thread and name, as ``strace`` does. Where a run differs from the one that was
traced (names are random, and threads take turns) the process may die a call earlier or later, or
live: one that lives is counted apart.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.child import BEGIN, END
from tests.crash.faults import Template, templates
from tests.crash.judging import Unsound, judge
from tests.crash.verbs import VERBS
from vault.errors import VaultError

__all__ = [
    "Point",
    "Tally",
    "cycled",
    "judged",
    "only_reads",
    "points_of",
    "reason_not_to",
    "report",
    "run",
    "seen_in",
    "spread",
    "strike",
    "trace",
]

_CALLS: Final = (
    *("openat", "mkdir", "mkdirat", "write", "pwrite64", "writev", "ftruncate", "fallocate"),
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "utimensat", "flock"),
)
_LINE: Final = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Point:
    """Before ``call`` is made the ``when``-th time (from 1, by one thread)."""

    verb: str
    call: str
    when: int


@dataclass(slots=True)
class Tally:
    """How many were killed, by call; how many ``lived``; how many had said that they were done."""

    killed: Counter[str] = field(default_factory=Counter)
    lived: int = 0
    acknowledged: int = 0
    failures: list[str] = field(default_factory=list)

    def merge(self, other: Tally) -> None:
        """Take over what another process counted."""
        self.killed += other.killed
        self.lived += other.lived
        self.acknowledged += other.acknowledged
        self.failures += other.failures


Strike = Callable[[Point, Path, Tally], None]
"""Kills at a point, with a folder to work in, and puts what came of it into the tally."""


def trace(
    own: Sequence[str],
    log: Path,
    point: Point | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a module of Python under ``strace``, which kills it at the point."""
    options = ["-f", "-y", "-o", str(log), "-e", f"trace={','.join(_CALLS)}"]
    if point is not None:
        options += ["-e", f"inject={point.call}:signal=SIGKILL:when={point.when}"]
    env = {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'cli'}", **(environment or {})}
    command = ["strace", *options, sys.executable, "-B", "-m", *own]
    return subprocess.run(
        command, env=env, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def seen_in(log: Path) -> Iterator[tuple[str, int, str]]:
    """Yield each call of a trace: its name, the how manieth of its thread it is, and its line."""
    made: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is not None:
            made[match["thread"], match["call"]] += 1
            yield match["call"], made[match["thread"], match["call"]], line


def only_reads(call: str, line: str) -> bool:
    """Whether a call of a trace opens a file that is there, and nothing else."""
    return call == "openat" and "O_CREAT" not in line and "O_TRUNC" not in line


def _child(verb: str, vault: Path) -> list[str]:
    number = [one.name for one in VERBS].index(verb)
    return ["tests.crash.child", str(number), str(vault)]


def reason_not_to() -> str:
    """Say why nothing can be traced here; nothing if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "true"], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else f"strace may not trace: {done.stderr.decode().strip()}"


def points_of(template: Template, folder: Path) -> list[Point]:
    """Trace a verb; return a point for each call of its work that changes its vault."""
    vault, log = folder / "vault", folder / "trace"
    if template.path.exists():
        shutil.copytree(template.path, vault)
    done = trace(_child(template.verb.name, vault), log)
    if done.stdout != b"acknowledged\n":
        raise Unsound(f"{template.verb.name} without a fault: {done.stderr.decode()}")
    found: set[tuple[str, int]] = set()
    working = False
    for call, when, line in seen_in(log):
        working = (working or BEGIN in line) and END not in line
        if END in line or (working and not only_reads(call, line) and str(vault) in line):
            found.add((call, when))
    shutil.rmtree(vault, ignore_errors=True)
    return [Point(template.verb.name, call, when) for call, when in sorted(found)]


def strike(template: Template, point: Point, folder: Path, tally: Tally) -> None:
    """Kill a verb at a point, and judge what is left."""
    vault = folder / "vault"
    if template.path.exists():
        shutil.copytree(template.path, vault)
    try:
        done = trace(_child(point.verb, vault), folder / "trace", point)
        with judged(point, done, tally, acknowledged=done.stdout == b"acknowledged\n") as said:
            judge(vault, template.verb, template.before, acknowledged=said, added=template.added)
    finally:
        shutil.rmtree(vault, ignore_errors=True)


@contextlib.contextmanager
def judged(
    point: Point, done: subprocess.CompletedProcess[bytes], tally: Tally, *, acknowledged: bool
) -> Iterator[bool]:
    """Count how a struck process ended, and what the block finds wrong with what it left; yields
    whether it had said that it was done.
    """
    tally.acknowledged += acknowledged
    try:
        if done.returncode == -signal.SIGKILL:
            tally.killed[point.call] += 1
        elif done.returncode == 0 and acknowledged:
            tally.lived += 1
        else:
            said = done.stderr.decode(errors="replace")
            raise Unsound(f"ended with {done.returncode}: {said[-300:]}")
        yield acknowledged
    except (Unsound, VaultError, OSError) as error:
        tally.failures.append(f"{point}: {type(error).__name__}: {error}")


def run(
    count: int, seed: int, jobs: int, folder: Path, names: Sequence[str] = ()
) -> tuple[Tally, int]:
    """Strike at ``count`` points (0: each once; more than there are: again); return also how many
    points there are.
    """
    made = {template.verb.name: template for template in templates(folder, names)}
    every = [point for template in made.values() for point in points_of(template, folder)]

    def hit(point: Point, own: Path, tally: Tally) -> None:
        strike(made[point.verb], point, own, tally)

    return spread(cycled(every, count, seed), jobs, folder, hit), len(every)


def cycled(every: Sequence[Point], count: int, seed: int) -> list[Point]:
    """Return ``count`` points in an order of chance: each once (0: no more), then each again."""
    mixed = random.Random(seed).sample(every, len(every))
    return list(itertools.islice(itertools.cycle(mixed), count or len(mixed)))


_striking: list[Strike] = []
"""What strikes, in processes that were forked to share the work: it can't be sent to them."""


def _share(folder: Path, points: Sequence[Point]) -> Tally:
    tally = Tally()
    (hit,) = _striking
    with tempfile.TemporaryDirectory(dir=folder) as own:
        for point in points:
            hit(point, Path(own), tally)
    return tally


def spread(points: Sequence[Point], jobs: int, folder: Path, hit: Strike) -> Tally:
    """Strike at each point in one of ``jobs`` processes, which are forked."""
    tally = Tally()
    _striking[:] = [hit]
    shares = [points[start::jobs] for start in range(jobs)]
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for part in pool.imap_unordered(partial(_share, folder), shares):
            tally.merge(part)
    return tally


Run = Callable[[int, int, int, Path, Sequence[str]], tuple[Tally, int]]
"""Strikes ``(count, seed, jobs, folder, names)``: the tally, and how many points there are."""


def report(own: Sequence[str] | None, prog: str, every: str, reason: str, strike_all: Run) -> int:
    """Strike as often as the options in ``own`` ask for; print a line of counts; return the exit
    code. ``every`` says what is struck when no one is named, ``reason`` why nothing can be.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {prog}")
    parser.add_argument("--points", type=int, default=0, help="how many (0: each once)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verb", action="append", default=[], help="may be repeated")
    given = parser.parse_args(own)
    if reason:
        parser.exit(1, f"{reason}\n")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        tally, points = strike_all(given.points, given.seed, given.jobs, Path(folder), given.verb)
    for failure in tally.failures[:20]:
        print(failure)
    print(", ".join(f"{call}: {count}" for call, count in sorted(tally.killed.items())))
    print(
        f"{tally.killed.total()} processes killed at {points} points of "
        f"{', '.join(given.verb) or every} ({tally.lived} lived, {tally.acknowledged} had "
        f"acknowledged); {len(tally.failures)} promises broken, seed {given.seed}"
    )
    return int(bool(tally.failures) or not tally.killed)


def main(own: Sequence[str] | None = None) -> int:
    """Strike at the verbs of the library."""
    return report(own, "tests.crash.kill", f"{len(VERBS)} verbs", reason_not_to(), run)


if __name__ == "__main__":
    sys.exit(main())
