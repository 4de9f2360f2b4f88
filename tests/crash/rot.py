"""Rot and tampering: every change to a vault's files is found, and the changed file is named.

``python -m tests.crash.rot --all`` (or ``--flips N``) flips bits of every file that is needed,
cuts, lengthens, deletes, copies and exchanges files, puts stale and foreign ones in, and prints one
line of counts. A change counts as found if the audit, without any key, says ``altered`` (a medium
lies about nobody, so never ``contradicted``) and names the changed file.

An audit reads files in two layers that do not read the same ones: that of the log those below
``log/``, that of files each other one against its digest. So a change below ``log/`` is put to the
first alone, and changes to all other files are put to the second at once, of which each must be
named. ``FORMAT`` and the manifests of what was encrypted again steer the audit itself: changes to
them are put to whole audits. That whole audits say the same is checked on a sample of all changes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.audit.golden import places
from tests.crash.specimen import READER, Specimen, Step, quick, specimen
from tests.crash.tampering import (
    ALTERATIONS,
    Bits,
    Change,
    Layer,
    copies,
    cuts,
    exchanges,
    flipped,
    flips,
    foreign,
    lengthened,
    losses,
    names_of,
    stale_files,
)
from vault import Identity
from vault.auditing import Finding, Report, audit
from vault.auditing.deep import audit_deep
from vault.auditing.files import audit_files, expected_files
from vault.auditing.logs import LogAudit, audit_log
from vault.layout import CHECKPOINT
from vault.replacement import Replacements
from vault.storage import MemoryStore

__all__ = [
    "Job",
    "Plan",
    "Tally",
    "blind",
    "chosen",
    "fault_in",
    "inner_names",
    "judge",
    "keep",
    "kept",
    "layered",
    "one_by_one",
    "run",
]

_FAILURES: Final = 20
"""That many failures are told; the others are counted."""


@dataclass(slots=True)
class Tally:
    """What was tried, by kind, and what was not found as it should be."""

    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lost: int = 0

    def add(self, kind: str, fault: str = "", count: int = 1) -> None:
        """Count a change, or several; ``fault`` says what is wrong with what was found of it."""
        self.tried[kind] += count
        if fault:
            self.lost += 1
            if len(self.failures) < _FAILURES:
                self.failures.append(f"{kind}: {fault}")

    def merge(self, other: Tally) -> None:
        """Take over what another process counted."""
        self.tried += other.tried
        self.lost += other.lost
        self.failures = [*self.failures, *other.failures][:_FAILURES]

    @property
    def total(self) -> int:
        """All changes."""
        return self.tried.total()


def fault_in(findings: Collection[Finding], altered: Collection[str], sample: Specimen) -> str:
    """Say what is wrong with findings that should name each of the files ``altered``; nothing if
    they do.

    What says what the other files should be (the checkpoint, the entries, a manifest) hides, once
    it is damaged itself, what is wrong with those: then it is enough that it is named.
    """
    bad = [finding for finding in findings if finding.severity != "note"]
    if not bad:
        return f"unseen: {sorted(altered)}"
    if any(finding.severity == "contradicted" for finding in bad):
        return f"damage to {sorted(altered)} was called a contradiction: {bad}"
    named = {finding.place for finding in bad}
    vouching = {
        name
        for name in altered
        if name == CHECKPOINT or "/entries/" in name or name in sample.manifests
    }
    if vouching and not vouching.isdisjoint(named):
        return ""
    missing = set(altered) - named
    return f"not named: {sorted(missing)}, of {sorted(altered)}" if missing else ""


def judge(change: Change, sample: Specimen, identity: Identity | None = None) -> str:
    """Put a change to a whole audit; return what is wrong with what it says, or nothing."""
    report = audit(MemoryStore(change.on(sample.files)), identity=identity)
    fault = fault_in(report.findings, change.files, sample)
    if not fault and report.verdict != "altered":
        fault = f"the verdict is {report.verdict}"
    return f"{change.detail}: {fault}" if fault else ""


def one_by_one(
    changes: Iterable[Change], sample: Specimen, identity: Identity | None = None
) -> Tally:
    """Put each change to a whole audit."""
    tally = Tally()
    for change in changes:
        tally.add(change.kind, judge(change, sample, identity))
    return tally


# --- two layers, many changes ---------------------------------------------------------------------


def layered(kind: str, layer: Layer, bits: Iterable[Bits], sample: Specimen, share: float) -> Tally:
    """Alter each file of a layer, at each of the places that it has; a ``share`` of what was tried,
    chosen by place, is put to a whole audit too, with the same outcome.
    """
    alter, names = ALTERATIONS[kind], names_of(sample, layer)
    tally, store = Tally(), MemoryStore(sample.files)
    log = _log_of(store)
    expected = expected_files(log.events.values(), log.state, Replacements(store))
    for place, bit in bits:
        altered = [name for name in names if place < len(sample.files[name])]
        whole = random.Random(f"{kind} {place} {bit}").random() < share
        for group in [altered] if layer == "files" else [[name] for name in altered]:
            for name in group:
                store._files[name] = alter(sample.files[name], place, bit)
            where = f"{group} at byte {place}, bit {bit}"
            if layer == "whole":
                findings: Collection[Finding] = audit(store).findings
            elif layer == "log":
                findings = _log_of(store).findings
            else:
                findings, _, _ = audit_files(
                    store, expected, log.known, 0, lambda *_: None, complete=True
                )
            fault = fault_in(findings, group, sample)
            if whole and layer != "whole" and not fault:
                fault = _disagreement(findings, audit(store), sample)
            tally.add(f"{kind} in {layer}", f"{where}: {fault}" if fault else "", len(group))
            for name in group:
                store._files[name] = sample.files[name]
    return tally


def _disagreement(findings: Collection[Finding], report: Report, sample: Specimen) -> str:
    """Say in what a whole audit differs from a layer; nothing if it does not.

    Where an event can't be read, a whole audit misses the files that a later one let go of.
    """
    layer = {one.place for one in findings if one.severity != "note"}
    more = places(report) - layer
    gone = {one.place for one in report.findings if one.code == "missing"} - sample.files.keys()
    if layer <= places(report) and more <= gone and report.verdict == "altered":
        return ""
    return f"a whole audit says {report.verdict} of {places(report)}, the layer {layer}"


def _log_of(store: MemoryStore) -> LogAudit:
    return audit_log(store, lambda *_: 0, lambda _: None)


# --- with keys ------------------------------------------------------------------------------------


def blind(name: str, bits: Iterable[Bits], sample: Specimen) -> Tally:
    """Flip bits of a file, and look only inside, as if nobody had compared its digest."""
    tally, store = Tally(), MemoryStore(sample.files)
    log = _log_of(store)
    expected = expected_files(log.events.values(), log.state, Replacements(store))
    for place, bit in bits:
        store._files[name] = flipped(sample.files[name], place, bit)
        found, _ = audit_deep(store, READER, log.events, log.state, expected, set(), lambda _: None)
        fault = fault_in(found, [name], sample)
        tally.add("flip, only inside", f"byte {place}, bit {bit}: {fault}" if fault else "")
    return tally


# --- the long form --------------------------------------------------------------------------------

_SHARDS: Final = 64
_LAYERS: Final[tuple[Layer, ...]] = ("log", "files", "whole")
_BLIND: Final = 400
"""Bits that are flipped unseen by all but those who look inside."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. ``share``: of all bits; ``deep``: of all changes, once more with keys."""

    seed: int
    share: float
    deep: float
    whole: float = 0.002


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of a run: one shard of one kind of change, in a layer if it goes by layers."""

    kind: str
    shard: int
    layer: Layer | None = None


_running: list[tuple[Plan, Specimen, Specimen]] = []


def _begin(plan: Plan, sample: Specimen, other: Specimen) -> None:
    _running[:] = [(plan, sample, other)]


def _whole_files(sample: Specimen, other: Specimen) -> Iterator[Change]:
    yield from lengthened(sample)
    yield from losses(sample)
    yield from copies(sample)
    yield from exchanges(sample)
    yield from stale_files(sample)
    yield from foreign(sample, other)


def chosen(bits: Iterable[Bits], seed: int, layer: str, share: float) -> Iterator[Bits]:
    """Yield a share of places, chosen by the seed."""
    dice = random.Random(f"{seed} {layer}")
    return (one for one in bits if share >= 1 or dice.random() < share)


def do(job: Job) -> Tally:
    """Do a piece of the run that :func:`_begin` described."""
    plan, sample, other = _running[0]
    with quick():
        if job.kind in ALTERATIONS:
            assert job.layer is not None
            bits: Iterator[Bits] = cuts(sample, job.layer)
            if job.kind == "flip":
                bits = chosen(flips(sample, job.layer), plan.seed, job.layer, plan.share)
            mine = itertools.islice(bits, job.shard, None, _SHARDS)
            return layered(job.kind, job.layer, mine, sample, plan.whole)
        dice = random.Random(f"{plan.seed} {job.kind} {job.shard}")
        if job.kind == "blind":
            tally = Tally()
            for _ in range(-(-_BLIND // _SHARDS)):
                name = dice.choice(inner_names(sample))
                bit = dice.randrange(len(sample.files[name])), dice.randrange(8)
                tally.merge(blind(name, [bit], sample))
            return tally
        changes = [*itertools.islice(_whole_files(sample, other), job.shard, None, _SHARDS)]
        tally = one_by_one(changes, sample)
        again = [*changes, *_some_flips(sample, dice, len(changes))]
        again = [replace(one, kind="with keys") for one in again if dice.random() < plan.deep]
        tally.merge(one_by_one(again, sample, READER))
        return tally


def _some_flips(sample: Specimen, dice: random.Random, count: int) -> Iterator[Change]:
    for _ in range(count):
        name, data = dice.choice([*sample.needed.items()])
        place, bit = dice.randrange(len(data)), dice.randrange(8)
        detail = f"{name} at byte {place}, bit {bit}"
        yield Change("flip", detail, {name: flipped(data, place, bit)})


def inner_names(sample: Specimen) -> list[str]:
    """Return the files that are encrypted: those that only a reader can look into."""
    return [name for name in names_of(sample, "files") if not name.startswith("log/")]


def run(plan: Plan, jobs: int, sample: Specimen, other: Specimen) -> Tally:
    """Try everything, over ``jobs`` processes."""
    work = [
        Job(kind, shard, layer)
        for kind in ALTERATIONS
        for layer in _LAYERS
        for shard in range(_SHARDS)
    ]
    work += [Job(kind, shard) for kind in ("files", "blind") for shard in range(_SHARDS)]
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(jobs, _begin, (plan, sample, other)) as pool:
        for one in pool.imap_unordered(do, work):
            tally.merge(one)
    return tally


def keep(sample: Specimen, path: Path) -> None:
    """Write a vault to a file, to repeat a run that found something: no two are made alike."""
    steps = [
        [one.verb, {name: b64encode(data).decode() for name, data in one.files.items()}]
        for one in sample.steps
    ]
    path.write_text(json.dumps({"id": sample.id.hex(), "steps": steps}), "utf-8")


def kept(path: Path) -> Specimen:
    """Read what :func:`keep` wrote."""
    found = json.loads(path.read_text("utf-8"))
    steps = tuple(
        Step(verb, {name: b64decode(data) for name, data in files.items()})
        for verb, files in found["steps"]
    )
    return Specimen(bytes.fromhex(found["id"]), steps[-1].files, steps)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.rot", description=__doc__)
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--flips", type=int, help="so many of the bits, more or less")
    many.add_argument("--all", action="store_true", help="every bit (the default)")
    parser.add_argument("--deep", type=float, default=0.25, help="share done again with keys")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--vault", type=Path, help="a vault that a failed run kept")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    sample = kept(given.vault) if given.vault else specimen(0)
    size = sum(map(len, sample.needed.values()))
    share = 1.0 if given.flips is None else given.flips / (8 * size)
    tally = run(Plan(given.seed, share, given.deep), given.jobs, sample, specimen(1))
    flips_done = sum(count for kind, count in tally.tried.items() if kind.startswith("flip in"))
    counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(tally.tried.items()))
    for failure in tally.failures:
        print(f"FAILED {failure}")
    print(
        f"rot: {flips_done:,} bits of {size:,} bytes flipped; {tally.total:,} changes ({counts}); "
        f"{tally.lost} unseen or not named; seed {given.seed}; "
        f"{time.monotonic() - began:.0f} s, {given.jobs} processes"
    )
    if tally.lost:
        path = Path(tempfile.mkdtemp()) / "vault.json"
        keep(sample, path)
        print(f"repeat with: --seed {given.seed} --vault {path}")
    return 1 if tally.lost else 0


if __name__ == "__main__":
    sys.exit(main())
