"""``make torture N=…``: every harness one after the other, and one table of what they counted.

N is the number of kill points; the rest follows in the proportions of a full run, which is
``N=2000``: ten in-process faults, fifty replayed states, half a state of a real file system and 250
flipped bits for each. From there on every bit is flipped.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Part", "main", "parts"]

FULL = 2000
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    """One harness: what it counts, and its command without the interpreter."""

    name: str
    command: tuple[str, ...]


def parts(scale: int, seed: int, jobs: int) -> tuple[Part, ...]:
    """Return what is run for ``scale`` kill points."""

    def module(name: str, *more: object) -> tuple[str, ...]:
        return ("-m", f"tests.crash.{name}", *map(str, more))

    sown, spread = ("--seed", seed), ("--jobs", jobs)
    flips = ("--all",) if scale >= FULL else ("--flips", scale * 250)
    return (
        Part("kill points", module("kill", "--points", scale, *sown, *spread)),
        Part("killed commands", module("commands", "--points", scale // 4, *sown, *spread)),
        Part("in-process faults", module("faults", "--faults", scale * 10, *sown, *spread)),
        Part("power loss", module("powerloss", "--states", scale * 50, *sown, *spread)),
        Part("real file systems", module("devices", "--states", max(1, scale // 2), *sown)),
        Part("full disk", module("full_disk", "--every", max(1, FULL // scale // 8))),
        Part("concurrency", module("concurrency", "--rounds", max(1, scale // 100), *sown)),
        Part("lives of a vault", ("-m", "tests.fuzz.test_model", str(scale // 4), str(seed))),
        Part("rot", module("rot", *flips, *sown, *spread)),
        Part("mutants", module("mutants", *spread)),
    )


def _machine() -> str:
    model = platform.processor()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {model or platform.machine()}; {system}; "


def main(arguments: list[str] | None = None) -> int:
    """Run all of it, or what ``--only`` names; return 1 if any harness found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.torture", description=__doc__)
    parser.add_argument("--scale", type=int, default=FULL, help="kill points (2000: a full run)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", action="append", help="a part's name; may be repeated")
    given = parser.parse_args(arguments)
    print(f"{_machine()}Python {platform.python_version()}; seed {given.seed}", flush=True)
    rows, failed = [], False
    for part in parts(given.scale, given.seed, given.jobs):
        if given.only and part.name not in given.only:
            continue
        shown = f"python {' '.join(part.command)}"
        print(f"\n=== {part.name}: {shown}", flush=True)
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, *part.command],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout, end="", flush=True)
        said = done.stdout.strip().splitlines() or ["(nothing)"]
        failed |= done.returncode != 0
        verdict = "passed" if done.returncode == 0 else f"FAILED ({done.returncode})"
        rows.append(f"| {part.name} | {said[-1]} | {time.monotonic() - start:.0f} s | {verdict} |")
    print("\n| part | counted | time | |\n|---|---|---|---|")
    print("\n".join(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
