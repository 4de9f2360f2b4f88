"""The long form: each target under atheris, guided by coverage, for some time.

    python -m tests.fuzz.run [--seconds 60] [--target NAME] [--jobs 2] [--seed S]

Begins with the kept corpus and leaves it as it is. Prints a line for each target (executions,
coverage, the most memory) and one of sums; exits 1 if there is a finding, whose input is kept in
the folder that is named, with the command that tries it again (``--input FILE``).
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = Path(__file__).with_name("corpus")
MEMORY: Final = 256
"""MiB that a parser may take, beside what the interpreter and the library take before it runs."""
SECONDS: Final = 2
"""What one input may take."""
_STATISTIC: Final = re.compile(r"stat::(\w+):\s+(\d+)")
_COVERAGE: Final = re.compile(r"cov: (\d+) ft: (\d+)")
_ARTIFACT: Final = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a target: figures, and the inputs that are findings."""

    name: str
    executions: int
    coverage: int
    features: int
    memory: int
    findings: tuple[str, ...]
    trouble: str


def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--target", action="append", help="one of the table; all if none is given")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--input", type=Path, help="try one file again, with one --target")
    parser.add_argument("--within", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.within:
        _fuzz(given.within[0], given.within[1:])
    sys.path.insert(0, str(ROOT / "cli"))
    from tests.fuzz.targets import TARGETS

    names = given.target or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if given.input is not None:
        return _again(names, given.input)
    seed = secrets.randbelow(2**31 - 1) + 1 if given.seed is None else given.seed
    kept = Path(tempfile.mkdtemp(prefix="evault-findings-"))
    start = time.monotonic()
    outcomes = []
    with ThreadPoolExecutor(given.jobs) as pool:
        runs = [pool.submit(_run, name, given.seconds, seed, kept) for name in names]
        for run in runs:
            outcome = run.result()
            outcomes.append(outcome)
            _tell(outcome)
    found = sum(len(outcome.findings) for outcome in outcomes)
    broken = sum(bool(outcome.trouble) for outcome in outcomes)
    total = sum(outcome.executions for outcome in outcomes)
    print(
        f"{len(outcomes)} targets, {total} inputs, {given.seconds} s each, seed {seed}, "
        f"{time.monotonic() - start:.0f} s: {found} findings, {broken} runs that broke off"
    )
    if not found and not broken:
        kept.rmdir()
    return 1 if found or broken else 0


def _tell(outcome: Outcome) -> None:
    print(
        f"{outcome.name:34} {outcome.executions:9} inputs  cov {outcome.coverage:5}"
        f"  ft {outcome.features:5}  {outcome.memory:4} MiB"
        f"  {len(outcome.findings)} findings {outcome.trouble}",
        flush=True,
    )
    for path in outcome.findings:
        print(f"  python -m tests.fuzz.run --target {outcome.name} --input {path}", flush=True)


def _again(names: list[str], path: Path) -> int:
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.verdict import judge

    (name,) = names
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = judge(TARGETS[name], path.read_bytes())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(f"{name}: {'taken' if taken else 'refused'}, {grown} MiB more than before")
    return 1 if grown > MEMORY else 0


def _run(name: str, seconds: int, seed: int, kept: Path) -> Outcome:
    """Fuzz one target in a process of its own."""
    from tests.fuzz.targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="evault-fuzz-") as folder:
        command = [
            *(sys.executable, "-m", "tests.fuzz.run", "--within", name),
            f"-max_total_time={seconds}",
            f"-timeout={SECONDS}",
            f"-malloc_limit_mb={MEMORY}",
            f"-max_len={TARGETS[name].longest}",
            f"-seed={seed}",
            f"-artifact_prefix={kept}/{name}-",
            "-print_final_stats=1",
            folder,
            str(CORPUS / name),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "cli"))),
            "PYTHONHASHSEED": "0",
        }
        done = subprocess.run(  # noqa: PLW1510 - a finding ends the process with a code of its own
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace"
        )
    statistics = {key: int(value) for key, value in _STATISTIC.findall(done.stderr)}
    coverage = _COVERAGE.findall(done.stderr) or [("0", "0")]
    findings = tuple(_ARTIFACT.findall(done.stderr))
    trouble = "" if findings or not done.returncode else done.stderr[-2000:] + done.stdout[-500:]
    return Outcome(
        name,
        statistics.get("number_of_executed_units", 0),
        int(coverage[-1][0]),
        int(coverage[-1][1]),
        statistics.get("peak_rss_mb", 0),
        findings,
        trouble,
    )


def _fuzz(name: str, arguments: list[str]) -> None:
    """Hand this process over to atheris; never return."""
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit("atheris is not here: pip install evidence-vault[fuzz] (Linux x86-64)")

    with atheris.instrument_imports(include=["vault", "evault_cli"]):
        from tests.fuzz.targets import TARGETS
    chosen = TARGETS[name]

    def one(data: bytes) -> None:
        try:
            chosen.run(data)
        except chosen.raises:
            return

    one(b"")  # what is imported late and made once counts as there before
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    atheris.Setup([name, f"-rss_limit_mb={baseline + MEMORY}", *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
