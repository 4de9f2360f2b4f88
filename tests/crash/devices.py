"""Power cuts on real file systems: ext4, XFS, exFAT, on a disk each write of which is kept.

``python -m tests.crash.devices --states N [--seed S] [--system ext4|xfs|exfat] [--verb NAME]``. A
verb runs on a file system on the disk of :mod:`tests.crash.logged_disk`. Then states are drawn that
a cut may leave: all that was written before the last flush, and of what was written after it all,
nothing, or any of it, the last write torn at a sector. Each is mounted again by the same driver,
which recovers as it does, and held to :mod:`tests.crash.judging`. It needs root on Linux, and the
tools of the file system; exFAT goes through FUSE (``exfat-fuse``) and is checked by ``fsck`` first.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest import mock

from tests.crash.judging import Before, Unsound, judge
from tests.crash.logged_disk import Record, read_log
from tests.crash.verbs import VERBS, Verb
from vault.errors import VaultError

__all__ = ["SYSTEMS", "System", "Tally", "explore", "reason_not_to", "recorded"]

_ROOT: Final = Path(__file__).parents[2]
_SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class System:
    """A file system: bytes of its disk, and the commands that make it, that check it before each
    mount, and that repair one that does not mount.
    """

    size: int
    make: tuple[str, ...]
    check: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    through_fuse: bool = False


SYSTEMS: Final = {
    # A cut while it is being mounted can tear its superblock, of two sectors.
    "ext4": System(
        16 << 20,
        ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0"),
        repair=("e2fsck", "-f", "-y"),
    ),
    "xfs": System(300 << 20, ("mkfs.xfs", "-q", "-f", "-K")),
    "exfat": System(8 << 20, ("mkfs.exfat",), ("fsck.exfat", "-y"), through_fuse=True),
}


@dataclass(slots=True)
class Tally:
    """States by file system, and what was broken: one that can't be mounted again is."""

    states: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    failures: list[str] = field(default_factory=list)


def reason_not_to(name: str) -> str:
    """Say why a file system can't be tried here; nothing if it can."""
    if sys.platform != "linux" or os.geteuid():
        return "mounting needs root on Linux"
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    system = SYSTEMS[name]
    needed = [system.make[0], *system.check[:1], *system.repair[:1], "losetup", "mount"]
    needed += ["mount.exfat-fuse"] if system.through_fuse else []
    missing = [one for one in needed if not is_there(one)]
    if missing:
        return f"{missing[0]} is not installed"
    known = Path("/proc/filesystems").read_text().split()
    if not system.through_fuse and name not in known:
        return f"the kernel does not know {name}"
    return ""


def is_there(tool: str) -> bool:
    """Say whether a tool is installed."""
    return Path(found(tool)).is_absolute()


def found(tool: str) -> str:
    """Return the path of an administrator's tool, whose directory is not in everybody's ``PATH``;
    its name if it is not there.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return shutil.which(tool, path=path) or tool


def _run(*command: object) -> None:
    tool, *rest = (str(one) for one in command)
    done = subprocess.run([found(tool), *rest], capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise OSError(0, f"{command[0]}: {said}")


@contextmanager
def _mounted(system: System, name: str, disk: Path, folder: Path) -> Iterator[Path]:
    """Mount the file system on ``disk`` (a file); unmount it afterwards."""
    folder.mkdir(exist_ok=True)
    command = [found("losetup"), "--find", "--show", str(disk)]
    loop = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    try:
        if system.through_fuse:
            _run("mount.exfat-fuse", loop, folder)
        else:
            # XFS would not mount two images of one id side by side.
            options = ("-o", "nouuid") if name == "xfs" else ()
            _run("mount", "-t", name, *options, loop, folder)
        try:
            yield folder
        finally:
            _unmount(folder)
    finally:
        _run("losetup", "--detach", loop)


def _unmount(folder: Path) -> None:
    for _ in range(50):
        done = subprocess.run(["umount", str(folder)], capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise OSError(0, done.stderr.decode().strip(), str(folder))


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[tuple[Path, Path, Path]]:
    """Serve a disk that keeps a log; give the disk, the file for marks, and the log."""
    mounted, log = folder / "served", folder / "log"
    mounted.mkdir()
    command = [sys.executable, "-m", "tests.crash.logged_disk", str(mounted), str(size), str(log)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            if server.stdout.readline() != b"mounted\n":
                raise OSError(0, "the logged disk could not be mounted")
            yield mounted / "disk", mounted / "mark", log
        finally:
            subprocess.run(["umount", str(mounted)], capture_output=True, check=False)
            server.wait(10)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A verb on a file system: the disk before it, what reached the disk, and what the log of the
    vault had before and has after it.
    """

    system: str
    verb: Verb
    base: Path
    records: tuple[Record, ...]
    before: Before
    added: int


def _ignored(*_: object) -> None:
    """Flush nothing."""


def recorded(name: str, verb: Verb, folder: Path, *, flushing: bool = True) -> Recorded:
    """Run a verb on a file system; without ``flushing``, no flush of the vault's does anything."""
    system = SYSTEMS[name]
    folder.mkdir()
    base = folder / "base"
    with _disk(folder, system.size) as (disk, mark, log):
        _run(*system.make, disk)
        with _mounted(system, name, disk, folder / "mounted") as place:
            path = place / "vault"
            verb.prepare(path)
            before = Before.of(path)
        start = sum(1 for _ in read_log(log))
        shutil.copyfile(log.with_suffix(".disk"), base)
        _sparse(base)
        with _mounted(system, name, disk, folder / "mounted") as place:
            if flushing:
                verb.run(place / "vault")
            else:
                with mock.patch("os.fsync", _ignored):
                    verb.run(place / "vault")
            mark.write_bytes(b"acknowledged")
            added = len(Before.of(place / "vault").entries) - len(before.entries)
        records = tuple(read_log(log))[start:]
    return Recorded(name, verb, base, records, before, added)


def _sparse(path: Path) -> None:
    _run("fallocate", "--dig-holes", path)


def state(of: Recorded, dice: random.Random, disk: Path) -> tuple[int, bool]:
    """Write a state that a cut may leave to ``disk``; return where it was cut, and whether the verb
    had said that it was done.
    """
    # Not what unmounting wrote: whoever unmounts has no power cut.
    end = max(at for at, one in enumerate(of.records) if one.kind == "mark")
    cut = dice.randint(0, end + 1)
    flushes = [at for at, one in enumerate(of.records[:cut]) if one.kind == "flush"]
    durable = flushes[-1] if flushes else 0
    _run("cp", "--sparse=always", of.base, disk)
    loose = [one for one in of.records[durable:cut] if one.kind == "write"]
    kept = {
        "all": loose,
        "none": [],
        "some": [one for one in loose if dice.random() < 0.5],
        "most": [one for one in loose if dice.random() < 0.9],
    }[dice.choice(("all", "none", "some", "most"))]
    with disk.open("r+b") as file:
        for one in (*of.records[:durable], *kept):
            if one.kind != "write":
                continue
            data = one.data
            if kept and one is kept[-1] and dice.random() < 0.5:
                # Torn: its last sectors are as they were before it.
                data = data[: dice.randint(0, len(data) // _SECTOR) * _SECTOR]
            file.seek(one.offset)
            file.write(data)
    return cut, cut > end


def explore(of: Recorded, count: int, dice: random.Random, folder: Path, tally: Tally) -> None:
    """Draw ``count`` states, mount each again, and judge what is there."""
    system, disk = SYSTEMS[of.system], folder / "cut"
    for _ in range(count):
        cut, acknowledged = state(of, dice, disk)
        tally.states[of.system] += 1
        where = f"{of.verb.name} on {of.system}, cut after {cut} of {len(of.records)}"
        try:
            if system.check:
                subprocess.run(
                    [found(system.check[0]), *system.check[1:], str(disk)],
                    capture_output=True,
                    check=False,
                )
            with _mounted_again(of.system, disk, folder / "again", tally) as place:
                judge(
                    place / "vault",
                    of.verb,
                    of.before,
                    acknowledged=acknowledged,
                    added=of.added,
                )
        except (Unsound, VaultError, OSError) as error:
            tally.failures.append(f"{where}: {type(error).__name__}: {error}")
        finally:
            disk.unlink()


@contextmanager
def _mounted_again(name: str, disk: Path, folder: Path, tally: Tally) -> Iterator[Path]:
    """Mount what a cut left, repaired by the file system's own tool if it does not mount."""
    system = SYSTEMS[name]
    with ExitStack() as stack:
        try:
            place = stack.enter_context(_mounted(system, name, disk, folder))
        except OSError:
            if not system.repair:
                raise
            subprocess.run(
                [found(system.repair[0]), *system.repair[1:], str(disk)],
                capture_output=True,
                check=False,
            )
            place = stack.enter_context(_mounted(system, name, disk, folder))
            tally.repaired += 1
        yield place


def run(count: int, seed: int, systems: Sequence[str], names: Sequence[str], folder: Path) -> Tally:
    """Try every verb on every file system, ``count`` states in all."""
    tally = Tally()
    verbs = [verb for verb in VERBS if not names or verb.name in names]
    each = max(1, -(-count // (len(verbs) * len(systems))))
    for name in systems:
        for number, verb in enumerate(verbs):
            own = folder / f"{name}-{number}"
            of = recorded(name, verb, own)
            explore(of, each, random.Random(f"{seed}/{name}/{verb.name}"), own, tally)
            shutil.rmtree(own)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for; print one line of counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.devices")
    parser.add_argument("--states", type=int, default=300)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--system", choices=sorted(SYSTEMS), action="append", default=[])
    parser.add_argument("--verb", action="append", default=[], help="may be repeated")
    given = parser.parse_args(arguments)
    systems = []
    for name in given.system or SYSTEMS:
        reason = reason_not_to(name)
        if reason:
            print(f"{name} was not tried: {reason}")
        else:
            systems.append(name)
    if not systems:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        tally = run(given.states, given.seed, systems, given.verb, Path(folder))
    for failure in tally.failures[:20]:
        print(failure)
    by_system = ", ".join(f"{tally.states[name]} on {name}" for name in systems)
    print(
        f"{tally.states.total()} states of real file systems ({by_system}; "
        f"{tally.repaired} repaired before they could be mounted); "
        f"{len(tally.failures)} promises broken, seed {given.seed}"
    )
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
