"""Power cuts: what verbs write is recorded, and states that a cut may leave are audited.

``python -m tests.crash.powerloss --states N --seed S --jobs J [--verb NAME]``. For each verb its
operations are recorded once for every few hundred states; then states are drawn from both models of
the medium (:mod:`tests.crash.medium`), cut after any operation. Of what need not be there, all is
there, nothing, or parts by chance: there are far too many to try every one. Each is audited without
keys, and must hold what was acknowledged up to the cut; every twentieth is laid out on a disk, held
to all that :mod:`tests.crash.judging` asks, and recovered in; every hundredth is cut again while
the next writer recovers.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from tests.crash.judging import Before, Unsound, judge
from tests.crash.medium import Model, Recording, State, lay_out
from tests.crash.verbs import VERBS, Verb, write_again
from vault.auditing import audit
from vault.errors import FormatError, NotAVaultError, VaultError
from vault.layout import CHECKPOINT
from vault.log import Log
from vault.storage import LocalStore, MemoryStore
from vault.tending import tend
from vault.tlog.checkpoint import parse_signed_checkpoint

__all__ = ["Recorded", "Tally", "check", "explore", "record", "run"]

_MODELS: Final[tuple[Model, ...]] = get_args(Model)
_VAULT: Final = "vault"
_EACH: Final = 250
"""States of one recording."""
_JUDGED: Final = 20
_RECUT: Final = 100
_AGAIN: Final = 5
"""States of a recovery that is cut itself."""
_OURS: Final = ("lock", "tmp")


@dataclass(slots=True)
class Tally:
    """``states`` by model, how many were ``different``, ``judged`` in full, ``recut``; failures."""

    states: Counter[str] = field(default_factory=Counter)
    different: int = 0
    judged: int = 0
    recut: int = 0
    operations: int = 0
    failures: list[str] = field(default_factory=list)

    def merge(self, other: Tally) -> None:
        """Take over what another process counted."""
        self.states += other.states
        for name in ("different", "judged", "recut", "operations"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures


@dataclass(frozen=True, slots=True)
class Recorded:
    """A verb's operations on its vault; ``added`` events it appended, ``entries`` are the log's
    before and after.
    """

    verb: Verb
    recording: Recording
    before: Before
    entries: tuple[bytes, ...]

    @property
    def added(self) -> int:
        """How many events the verb appended."""
        return len(self.entries) - len(self.before.entries)

    def acknowledged(self, cut: int) -> int:
        """Return how many events were acknowledged when the power went."""
        sizes = [size for at, size in self.recording.marks if at <= cut]
        return max(sizes, default=len(self.before.entries))


@contextmanager
def _marking(recording: Recording) -> Iterator[None]:
    """Mark the size of the log at each commit that returned."""

    def marked(real: Any) -> Any:
        def commit(store: LocalStore, *arguments: Any, **options: Any) -> Any:
            result = real(store, *arguments, **options)
            raw = store.read(CHECKPOINT, 0, 1 << 16)
            recording.mark(parse_signed_checkpoint(raw).checkpoint.size)
            return result

        return commit

    with pytest.MonkeyPatch.context() as patch:
        for name in ("commit", "finish"):
            patch.setattr(LocalStore, name, marked(getattr(LocalStore, name)))
        yield


def _watched(path: Path, work: Any, blind: frozenset[str] = frozenset()) -> Recording:
    """Record ``work`` on the vault at ``path``; raise unless the recording is complete."""
    recording = Recording(path.parent, blind)
    with _marking(recording), recording.watch():
        work(path)
    found = {
        str(one.relative_to(path.parent)): one.read_bytes() if one.is_file() else None
        for one in path.parent.rglob("*")
    }
    if recording.now() != found:
        odd = sorted(
            name
            for name in recording.now().keys() | found.keys()
            if recording.now().get(name, b"?") != found.get(name, b"?")
        )
        raise AssertionError(f"operations were not recorded: {odd}")
    return recording


def record(
    verb: Verb, folder: Path, template: Path | None = None, blind: frozenset[str] = frozenset()
) -> Recorded:
    """Run a verb in ``folder``, which is made, on a copy of ``template`` or a vault of its own."""
    folder.mkdir()
    path = folder / _VAULT
    if template is None:
        verb.prepare(path)
    elif template.exists():
        shutil.copytree(template, path)
    before = Before.of(path)
    recording = _watched(path, verb.run, blind)
    entries = Before.of(path).entries
    shutil.rmtree(folder)
    return Recorded(verb, recording, before, entries)


def _vault_in(state: State) -> State:
    prefix = f"{_VAULT}/"
    return {name[len(prefix) :]: data for name, data in state.items() if name.startswith(prefix)}


def check(
    recorded: Recorded, state: State, cut: int, heads: Mapping[int, bytes] | None = None
) -> None:
    """Raise ``Unsound`` unless an audit without keys finds a state of the vault in order, with all
    that was acknowledged, and nothing that the verb did not append; ``heads`` are the roots, by
    their size, that were signed before.
    """
    promised = recorded.acknowledged(cut)
    files = {name: data for name, data in state.items() if data is not None}
    _check_forks(files, dict(heads or {}))
    store = MemoryStore(
        {name: data for name, data in files.items() if name.split("/")[0] not in _OURS}
    )
    log = Log(store)
    try:
        log.refresh()
    except (NotAVaultError, VaultError, FormatError) as error:
        if not promised and not recorded.before.entries:
            return  # the vault was being made
        raise Unsound(f"the log can't be read: {type(error).__name__}: {error}") from None
    found = tuple(log.entry(seq) for seq in range(log.size))
    if len(found) < promised:
        raise Unsound(f"{promised} events were acknowledged, {len(found)} are there")
    if found != recorded.entries[: len(found)]:
        raise Unsound("the log is another")
    report = audit(store)
    worse = [finding for finding in report.findings if finding.severity != "note"]
    if report.verdict != "intact" or worse:
        raise Unsound(f"{report.verdict}: {worse}")


def _check_forks(files: Mapping[str, bytes], seen: dict[int, bytes]) -> None:
    """Add the signed heads in ``files`` to those ``seen``; raise ``Unsound`` where two differ."""
    for data in files.values():
        if b"\n\xe2\x80\x94 " not in data[:4096]:
            continue
        try:
            head = parse_signed_checkpoint(data.rstrip(b"\0")).checkpoint
        except FormatError:
            continue
        if seen.setdefault(head.size, head.root) != head.root:
            raise Unsound(f"two signed checkpoints of size {head.size}")


def explore(
    recorded: Recorded, count: int, dice: random.Random, folder: Path, tally: Tally
) -> None:
    """Draw and check ``count`` states of a recording."""
    recording = recorded.recording
    tally.operations += recording.count
    seen: set[bytes] = set()
    for number in range(count):
        model = _MODELS[number % len(_MODELS)]
        cut = dice.randint(0, recording.count)
        state = _vault_in(recording.state(cut, model, dice))
        tally.states[model] += 1
        mark = hashlib.sha256(repr(sorted(state.items(), key=str)).encode()).digest()
        if mark in seen:
            continue
        seen.add(mark)
        tally.different += 1
        try:
            check(recorded, state, cut)
            if len(seen) % _JUDGED == 1:
                tally.judged += 1
                _judge(recorded, state, cut, folder)
            if len(seen) % _RECUT == 2:
                tally.recut += 1
                _cut_again(recorded, state, cut, dice, folder)
        except (Unsound, VaultError, OSError) as error:
            where = f"{recorded.verb.name}, {model}, cut after {cut} of {recording.count}"
            tally.failures.append(f"{where}: {type(error).__name__}: {error}")


def _judge(recorded: Recorded, state: State, cut: int, folder: Path) -> None:
    path = folder / _VAULT
    lay_out(state, path)
    whole = len(recorded.before.entries) + recorded.added
    try:
        judge(
            path,
            recorded.verb,
            recorded.before,
            acknowledged=bool(recorded.added) and recorded.acknowledged(cut) == whole,
            added=recorded.added,
        )
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _cut_again(
    recorded: Recorded, state: State, cut: int, dice: random.Random, folder: Path
) -> None:
    """Let the next writer recover, and the power go again while it does."""
    own = folder / "again"
    own.mkdir()
    path = own / _VAULT
    try:
        lay_out(state, path)
        before = Before.of(path)
        if not before.entries:
            return  # no vault was founded: nobody writes there

        def recover(where: Path) -> None:
            write_again(where)
            tend(LocalStore(where))

        recording = _watched(path, recover)
        again = Recorded(recorded.verb, recording, before, Before.of(path).entries)
        heads: dict[int, bytes] = {}
        _check_forks({name: data for name, data in state.items() if data is not None}, heads)
        for _ in range(_AGAIN):
            second = dice.randint(0, recording.count)
            for model in _MODELS:
                check(again, _vault_in(recording.state(second, model, dice)), second, heads)
    finally:
        shutil.rmtree(own, ignore_errors=True)


_templates: dict[str, Path] = {}
"""The vaults that the verbs work on, in processes that were forked to share the work."""


def _share(job: tuple[str, int, str, Path]) -> Tally:
    name, count, seed, folder = job
    verb = next(verb for verb in VERBS if verb.name == name)
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        recorded = record(verb, Path(own) / "recorded", _templates[name])
        explore(recorded, count, random.Random(seed), Path(own), tally)
    tally.failures = [f"--seed {seed}: {failure}" for failure in tally.failures]
    return tally


def run(count: int, seed: int, jobs: int, folder: Path, names: Sequence[str] = ()) -> Tally:
    """Check ``count`` states or a few more, of all verbs or those named, in ``jobs`` processes."""
    verbs = [verb for verb in VERBS if not names or verb.name in names]
    for number, verb in enumerate(verbs):
        _templates[verb.name] = folder / f"template-{number}"
        verb.prepare(_templates[verb.name])
    each = min(_EACH, max(1, count // len(verbs)))
    rounds = -(-count // (each * len(verbs)))
    tally = Tally()
    shares = [
        (verb.name, each, f"{seed}/{verb.name}/{number}", folder)
        for number in range(rounds)
        for verb in verbs
    ]
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for part in pool.imap_unordered(_share, shares):
            tally.merge(part)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what is asked for; print one line of counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.powerloss")
    parser.add_argument("--states", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verb", action="append", default=[], help="may be repeated")
    given = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        tally = run(given.states, given.seed, given.jobs, Path(folder), given.verb)
    for failure in tally.failures[:20]:
        print(failure)
    by_model = ", ".join(f"{count} {model}" for model, count in tally.states.items())
    print(
        f"{tally.states.total()} states drawn ({by_model}), "
        f"{tally.different} different within their recording and audited, "
        f"{tally.judged} judged and "
        f"written to, {tally.recut} cut again in recovery; {tally.operations} operations recorded; "
        f"{len(tally.failures)} promises broken, seed {given.seed}"
    )
    return int(bool(tally.failures) or not tally.different)


if __name__ == "__main__":
    sys.exit(main())
