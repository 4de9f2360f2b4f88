"""Many processes append to one vault and are killed at any moment, while others read all the time.

``python -m tests.crash.concurrency --rounds N --seed S --processes 8``. Each writer is a process
of its own, by turns of three members; it appends notes and seals small bundles, and tells the
parent of each event once it is acknowledged. The parent kills writers with ``SIGKILL`` and puts
others in their places. Readers open, move on and audit without end; a watcher collects every
checkpoint that ever shows anywhere below the vault, ``tmp/`` included. What must hold then:
:func:`faults_of`. Needs a system that has ``SIGKILL``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import math
import multiprocessing
import random
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, cast

from tests.rooms.house import KAI, MINA, OWNER, build
from vault import Identity, LocalStore, Vault
from vault.auditing import Report, audit
from vault.errors import ConflictError, FormatError, LockedError, VaultError
from vault.storage import local
from vault.tlog.checkpoint import parse_signed_checkpoint

__all__ = ["Round", "faults_of", "forks_in", "play"]

_WRITERS: Final[tuple[Identity, ...]] = (MINA, KAI, OWNER)
_READERS: Final = 2
_KILL: Final = (0.01, 0.12)
"""Seconds between two kills, at least and at most."""
_YOUNG: Final = 0.1
"""The chance that one that did nothing yet may be killed."""
_SEAL: Final = 0.2
"""The share of bundles among what a writer writes."""
_HASTE: Final = 60.0
"""Seconds after which a process that was told to end is a failure."""
RETRYABLE: Final = (ConflictError, LockedError)
"""What a writer may be told by :meth:`vault.Vault.append`: others were faster. It tries again."""


@dataclass(slots=True)
class Round:
    """What happened. ``acknowledged`` maps the SHA-256 of each leaf that a writer got back to its
    place in the log; ``heads`` the roots of every signed checkpoint that the watcher saw, by size;
    ``early`` how many it saw before they were published.
    """

    acknowledged: dict[bytes, int] = field(default_factory=dict)
    heads: dict[int, set[bytes]] = field(default_factory=dict)
    early: int = 0
    kills: int = 0
    retries: int = 0
    audits: int = 0
    size: int = 0
    troubles: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Take over what a process said."""
        match line.split(" "):
            case ["event", seq, digest]:
                self.acknowledged[bytes.fromhex(digest)] = int(seq)
            case [("head" | "early") as kind, size, root]:
                self.heads.setdefault(int(size), set()).add(bytes.fromhex(root))
                self.early += kind == "early"
            case ["audit", _]:
                self.audits += 1
            case ["retry"]:
                self.retries += 1
            case _:
                self.troubles.append(line)


# --- the processes --------------------------------------------------------------------------------


def write(path: Path, seed: int, orders: Connection, answers: Connection) -> None:
    """Append until killed or told to end; an answer for each event that is acknowledged."""
    dice = random.Random(seed)
    who = _WRITERS[seed % len(_WRITERS)]
    vault = Vault.open(LocalStore(path), identity=who)
    for number in itertools.count():
        if orders.poll():
            return
        try:
            if dice.random() < _SEAL:
                with vault.seal({"title": f"{seed} {number}"}) as writer:
                    content = dice.randbytes(dice.randrange(1, 5000))
                    writer.add_stream("a.bin", len(content), io.BytesIO(content))
                event = writer.event
            else:
                event = vault.append("vault.noted", fields={"text": f"{seed} {number}"})
        except RETRYABLE:
            _say(answers, "retry")
            continue
        assert event is not None
        _say(answers, f"event {event.seq} {hashlib.sha256(event.leaf).hexdigest()}")


def read(path: Path, seed: int, orders: Connection, answers: Connection) -> None:
    """Open, move on and audit until told to end; an answer for each audit."""
    vault = Vault.open(LocalStore(path))
    for number in itertools.count():
        if orders.poll():
            return
        vault.refresh()
        if number % 3 == seed % 3:
            with Vault.open(LocalStore(path)) as other:
                other.event(other.size - 1)
        report = audit(path, identity=MINA if number % 5 == 4 else None)
        if report.verdict != "intact":
            raise AssertionError(f"a reader saw: {report.verdict} {_bad(report)}")
        _say(answers, f"audit {report.size}")


def _bad(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings if finding.severity != "note"]


def watch(path: Path, seed: int, orders: Connection, answers: Connection) -> None:
    """Answer with every signed checkpoint that shows anywhere, until told to end."""
    del seed
    seen: set[bytes] = set()
    last = False
    while not last:
        last = orders.poll(0.001)
        for where, raw in signed_in(path):
            if raw not in seen:
                seen.add(raw)
                head = parse_signed_checkpoint(raw).checkpoint
                kind = "head" if where == "log/checkpoint" else "early"
                _say(answers, f"{kind} {head.size} {head.root.hex()}")


def signed_in(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below ``log/`` (not the tiles) and ``tmp/`` that is a whole checkpoint."""
    places = [path / "log/checkpoint", path / "log/checkpoint.next"]
    with suppress(OSError):
        places += [one for one in (path / "tmp").rglob("*") if one.suffix != ".lock"]
    for place in places:
        # It may be gone, or a directory; half of a checkpoint has no whole signature.
        with suppress(OSError, FormatError):
            raw = place.read_bytes()
            parse_signed_checkpoint(raw)
            yield str(place.relative_to(path)), raw


def _say(answers: Connection, line: str) -> None:
    # Less than a pipe takes in one piece: a kill leaves a whole answer or none.
    answers.send_bytes(line.encode()[:4000])


def write_unlocked(path: Path, seed: int, orders: Connection, answers: Connection) -> None:
    """Write as if the lock were not there: what a round must notice."""

    @contextmanager
    def unlocked(*_: object) -> Iterator[None]:
        yield

    local.vault_lock = unlocked  # type: ignore[assignment]
    write(path, seed, orders, answers)


_PARTS: Final = {"write": write, "read": read, "watch": watch, "write unlocked": write_unlocked}


def _act(part: str, path: Path, seed: int, orders: Connection, answers: Connection) -> None:
    try:
        _PARTS[part](path, seed, orders, answers)
    except BaseException:
        _say(answers, f"died {part} {seed}: {traceback.format_exc()[-3000:]}")
        raise SystemExit(1) from None


# --- the parent -----------------------------------------------------------------------------------

_context: Final = multiprocessing.get_context("forkserver")


class _Child:
    """A process that plays a part."""

    def __init__(self, part: str, path: Path, seed: int) -> None:
        self.name = f"{part} {seed}"
        orders, self._orders = _context.Pipe(duplex=False)
        self.answers, answers = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_act, args=(part, path, seed, orders, answers))
        self._process.start()
        orders.close()
        answers.close()
        self.worked = False
        self.gone = False
        self._killed = False

    def take(self, done: Round) -> None:
        """Note the next answer; one that never comes any more makes it ``gone``."""
        try:
            line = self.answers.recv_bytes().decode()
        except EOFError:
            self.gone = True
            return
        self.worked = True
        done.note(line)

    def kill(self) -> None:
        """Kill it, wherever it is."""
        self._killed = True
        self._process.kill()

    def dismiss(self) -> None:
        """Tell it to end after what it is doing."""
        self._orders.close()

    def end(self, done: Round) -> None:
        """Wait for its end, and note what it said until then, and what it died of."""
        began = time.monotonic()
        while not self.gone:
            if self.answers.poll(1):
                self.take(done)
            elif time.monotonic() - began > _HASTE:
                done.troubles.append(f"{self.name} does not end")
                self.kill()
        self._process.join()
        if self._process.exitcode not in (0, -signal.SIGKILL if self._killed else 0):
            done.troubles.append(f"{self.name} ended with {self._process.exitcode}")
        self._process.close()
        self._orders.close()
        self.answers.close()


def play(path: Path, seconds: float, seed: int, processes: int = 8, writer: str = "write") -> Round:
    """Make a vault at ``path``, let everybody write, read and be killed, and look at the end.

    ``seconds`` count from the first event that is acknowledged.
    """
    dice = random.Random(seed)
    build(path)
    _context.set_forkserver_preload(["tests.rooms.house", "vault.auditing"])
    seeds = itertools.count(seed * 10_000)
    done = Round()
    others = [_Child("read", path, number) for number in range(_READERS)]
    others.append(_Child("watch", path, 0))
    writers = [_Child(writer, path, next(seeds)) for _ in range(processes)]
    end, kill_at = math.inf, math.inf
    while (now := time.monotonic()) < end:
        speaking = {one.answers: one for one in (*others, *writers) if not one.gone}
        if not speaking:
            break  # all died of themselves
        for ready in wait([*speaking], min(0.05, max(0.0, kill_at - now))):
            speaking[cast("Connection", ready)].take(done)
        if end == math.inf and done.acknowledged:
            # Interpreters start slowly: the time begins when somebody writes.
            end, kill_at = now + seconds, now
        if now >= kill_at:
            kill_at = now + dice.uniform(*_KILL)
            # Mostly one that is at work, and now and then one that only begins.
            busy = [one for one in writers if one.worked or dice.random() < _YOUNG]
            victim = dice.choice(busy or writers)
            victim.kill()
            victim.end(done)
            done.kills += 1
            writers[writers.index(victim)] = _Child(writer, path, next(seeds))
    for group in (writers, others):
        for child in group:
            child.dismiss()
        for child in group:
            child.end(done)
    try:
        _look(done, path)
    except VaultError as error:
        done.troubles.append(f"after all: {type(error).__name__}: {error}")
    return done


# --- what must hold -------------------------------------------------------------------------------


def forks_in(heads: Mapping[int, Collection[bytes]]) -> list[int]:
    """Return the sizes for which checkpoints with different roots were signed."""
    return [size for size, roots in heads.items() if len(roots) > 1]


def faults_of(done: Round, leaves: list[bytes], roots: dict[int, bytes]) -> list[str]:
    """Return what is wrong, given the digest of every leaf of the log and its root at each size
    that was signed: an acknowledged event that is not at its place, a checkpoint that is not of
    this history, two of one size, and whatever a process died of.
    """
    faults = list(done.troubles)
    happened = {
        "acknowledged": len(done.acknowledged),
        "killed": done.kills,
        "audited": done.audits,
        "seen by the watcher": len(done.heads),
    }
    faults += [f"nothing was {what}: nothing is proved" for what in happened if not happened[what]]
    for digest, seq in done.acknowledged.items():
        if seq >= len(leaves) or leaves[seq] != digest:
            faults.append(f"lost: event {seq}, which was acknowledged")
    faults += [f"fork: two roots were signed at size {size}" for size in forks_in(done.heads)]
    for size, signed in done.heads.items():
        if size > len(leaves):
            faults.append(f"a checkpoint of size {size} was signed, and went")
        elif roots[size] not in signed:
            faults.append(f"a checkpoint of size {size} is of another history")
    return faults


def _look(done: Round, path: Path) -> None:
    """Look at the vault once all is quiet: write again, audit, hold it against what was told."""
    with Vault.open(LocalStore(path), identity=OWNER) as vault:
        vault.append("vault.noted", fields={"text": "all are gone"})
    report = audit(path, identity=MINA)
    if report.verdict != "intact":
        done.troubles.append(f"after all: {report.verdict} {_bad(report)}")
    for _, raw in signed_in(path):
        head = parse_signed_checkpoint(raw).checkpoint
        done.heads.setdefault(head.size, set()).add(head.root)
    with Vault.open(LocalStore(path)) as vault:
        done.size = vault.size
        leaves = [hashlib.sha256(vault.event(seq).leaf).digest() for seq in range(vault.size)]
        tree = vault._log.tree
        roots = {size: tree.root(size) for size in done.heads if size <= vault.size}
    done.troubles = faults_of(done, leaves, roots)


# --- the command ----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.concurrency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--processes", type=int, default=8, help="that write at a time")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    given = parser.parse_args(arguments)
    totals: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            seed = given.seed + number
            done = play(Path(folder) / "vault", given.seconds, seed, given.processes)
        for trouble in done.troubles:
            print(f"FAILED in round {number} (repeat with --rounds 1 --seed {seed}): {trouble}")
        totals += Counter(
            kills=done.kills,
            events=len(done.acknowledged),
            retries=done.retries,
            audits=done.audits,
            heads=len(done.heads),
            early=done.early,
            lost=len(done.troubles),
        )
    print(
        f"concurrency: {given.rounds} rounds of {given.processes} writers, "
        f"{totals['kills']} killed, {totals['events']} events acknowledged, "
        f"{totals['retries']} told to retry, {totals['audits']} audits meanwhile, "
        f"{totals['heads']} signed heads seen ({totals['early']} before they were published); "
        f"{totals['lost']} lost, forked or refused; seed {given.seed}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if totals["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
