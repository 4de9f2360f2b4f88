"""A full disk: each verb, with each 4 KiB of room from none to enough, on a small file system.

``python -m tests.crash.full_disk [--every N] [--fs tmpfs|ext4] [--verb NAME]``. The file system is
made and mounted for it, which needs root on Linux. A file takes up all but so much room; the verb
runs; it returns, or fails with an error that says that there is no room. While the disk is full the
vault is read and audited. Then the file goes, and what is left is judged and written to
(:mod:`tests.crash.judging`).
"""

from __future__ import annotations

import argparse
import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash.devices import found
from tests.crash.faults import Template, templates
from tests.crash.judging import Unsound, judge, read_all
from tests.crash.verbs import VERBS
from vault.auditing import audit
from vault.errors import NoSpaceError, VaultError

__all__ = ["KINDS", "Tally", "fill", "mounted", "reason_not_to", "try_room"]

KINDS: Final = ("tmpfs", "ext4")
_STEP: Final = 4096
_SIZE: Final = 4 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Tally:
    """How many attempts ended how, and what was wrong."""

    ended: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def reason_not_to() -> str:
    """Say why nothing can be mounted here; nothing if it can."""
    if sys.platform != "linux" or os.geteuid():
        return "mounting needs root on Linux"
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            return f"mounting is not permitted: {done.stderr.decode().strip()}"
        subprocess.run(["umount", folder], check=True)
    return ""


@contextmanager
def mounted(kind: str) -> Iterator[Path]:
    """Mount an empty file system of 4 MiB; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mounted"
        folder.mkdir()
        if kind == "tmpfs":
            options = ["-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs"]
        else:
            image = Path(name) / "image"
            image.touch()
            os.truncate(image, _SIZE)
            # No journal and nothing kept for root: else the room left is not what a user has.
            make = [
                found("mkfs.ext4"),
                "-q",
                "-b",
                "4096",
                "-m",
                "0",
                "-O",
                "^has_journal",
                str(image),
            ]
            subprocess.run(make, check=True, capture_output=True)
            options = ["-o", "loop", str(image)]
        subprocess.run(["mount", *options, str(folder)], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path, room: int) -> None:
    """Take up all room of the file system but ``room`` bytes with a file."""
    left = os.statvfs(path.parent)
    size = left.f_bavail * left.f_frsize - room
    with path.open("wb", buffering=0) as file, suppress(OSError):
        for _ in range(0, size - _STEP + 1, _STEP):
            file.write(bytes(_STEP))
        os.fsync(file.fileno())


def try_room(template: Template, room: int, disk: Path, tally: Tally) -> str:
    """Run a verb with ``room`` bytes; return how it ended."""
    vault, ballast = disk / "vault", disk / "ballast"
    if template.path.exists():
        shutil.copytree(template.path, vault)
    ended = "acknowledged"
    try:
        fill(ballast, room)
        try:
            template.verb.run(vault)
        except NoSpaceError:
            ended = "refused beforehand"
        except OSError as error:
            if error.errno not in _FULL:
                raise
            ended = "no room"
        if template.before.entries:
            report = audit(vault)
            if report.verdict != "intact":
                raise Unsound(f"while the disk is full: {report.verdict} {report.findings}")
            read_all(vault)
        ballast.unlink()
        judge(
            vault,
            template.verb,
            template.before,
            acknowledged=ended == "acknowledged",
            added=template.added,
        )
    except (Unsound, VaultError, OSError) as error:
        tally.failures.append(
            f"{template.verb.name}, {room} bytes: {type(error).__name__}: {error}"
        )
    finally:
        with suppress(FileNotFoundError):
            ballast.unlink()
        shutil.rmtree(vault, ignore_errors=True)
    tally.ended[ended] += 1
    return ended


def steps(template: Template, every: int, disk: Path, tally: Tally) -> int:
    """Try every ``every``-th 4 KiB of room until the verb has enough twice; return how many."""
    enough = 0
    for count in itertools.count():
        ended = try_room(template, count * every * _STEP, disk, tally)
        enough += ended == "acknowledged"
        if enough == 2 or count * every * _STEP > _SIZE:
            return count + 1
    raise AssertionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for; print one line of counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.full_disk")
    parser.add_argument("--every", type=int, default=1, help="of so many steps of 4 KiB, one")
    parser.add_argument("--fs", choices=KINDS, action="append", default=[])
    parser.add_argument("--verb", action="append", default=[], help="may be repeated")
    given = parser.parse_args(arguments)
    reason = reason_not_to()
    if reason:
        parser.exit(1, f"{reason}\n")
    tally, tried = Tally(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        made = templates(Path(folder), given.verb)
        for kind in given.fs or KINDS:
            with mounted(kind) as disk:
                for template in made:
                    tried[kind] += steps(template, given.every, disk, tally)
    for failure in tally.failures[:20]:
        print(failure)
    by_kind = ", ".join(f"{count} on {kind}" for kind, count in tried.items())
    ends = ", ".join(f"{count} {ended}" for ended, count in sorted(tally.ended.items()))
    print(
        f"{tried.total()} rooms for {len(given.verb) or len(VERBS)} verbs ({by_kind}; {ends}); "
        f"{len(tally.failures)} promises broken"
    )
    return int(bool(tally.failures) or not tried)


if __name__ == "__main__":
    sys.exit(main())
