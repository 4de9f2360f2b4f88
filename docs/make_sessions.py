"""Runs the commands of ``docs/quickstart.md`` and ``docs/story.md`` and writes what they print.

    python docs/make_sessions.py [PAGE]...      needs `vault` and `evault_cli` to be importable

A command stands in a ``console`` block behind the name of who types it. Each person has a
home of her own; ``/media`` is one temporary directory for all. What follows from chance (ids,
fingerprints) is put into the commands that come after. A command that ends in ``# refused`` is one
that fails, as it should.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

DOCS: Final = Path(__file__).parent
PAGES: Final = ("quickstart", "story")
ROOT: Final = DOCS.parent
PEOPLE: Final = ("amina", "daniel", "leila", "tomas", "anyone")
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = re.compile(rf"^({'|'.join(PEOPLE)})\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)
_ID: Final = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16})\b")


class Command(NamedTuple):
    """Who types what, and what the page says is printed."""

    person: str
    line: str
    shown: str


def commands_of(page: str) -> Iterator[Command]:
    """Yield the commands of a page, in order."""
    for block in _BLOCK.finditer(page):
        parts = _PROMPT.split(block[1])
        yield from map(Command, parts[1::3], parts[2::3], parts[3::3])


@dataclass
class World:
    """Everybody's homes and the sticks, below one directory; ``ids``: as shown, as they are."""

    root: Path
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*PEOPLE, "stick", "second", "desk", "bin"):
            (self.root / name).mkdir()
        evault = self.root / "bin" / "evault"
        # The default work factor is a second and 256 MiB for every command; here it only costs.
        evault.write_text(
            "#!/bin/sh\n"
            f'set -- {shlex.quote(sys.executable)} -m evault_cli "$@"\n'
            'case "$4 $5" in "identity new" | "recover join") exec "$@" --work-factor 10;; esac\n'
            'exec "$@"\n'
        )
        evault.chmod(0o700)
        photos = self.root / "amina" / "photos"
        photos.mkdir()
        for number in (1, 2):
            (photos / f"gate-{number}.jpg").write_bytes(b"\xff\xd8" + bytes([number]) * 40_000)
        (self.root / "amina" / "statement.txt").write_text("I saw the trucks leave at dawn.\n")
        (self.root / "amina" / "footage.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(200_000))
        for person in PEOPLE[:4]:
            (self.root / person / "passphrase").write_text(f"the words of {person}\n")

    def real(self, line: str) -> str:
        """Return a command with the ids that were printed for those that the page shows."""
        for shown, real in self.ids.items():
            line = line.replace(shown, real)
        return line

    def run(self, person: str, line: str) -> tuple[str, int]:
        """Run a command line; return what it printed, output then messages, and its exit code."""
        home = self.root / person
        environment = {
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "cli"))),
            "HOME": str(home),
            "EVAULT_HOME": str(home / ".config/evault"),
            "COLUMNS": "100",
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
        }
        if (home / "passphrase").exists():
            environment["EVAULT_PASSPHRASE_FILE"] = str(home / "passphrase")
        done = subprocess.run(  # noqa: S603 - the page's own commands
            ["/bin/sh", "-c", line.replace("/media", str(self.root))],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        printed = done.stdout + done.stderr
        # Which kernel this machine runs is nobody's business, and different everywhere.
        printed = printed.replace(platform.release(), "6.12")
        printed = printed.replace(str(home), f"/home/{person}").replace(str(self.root), "/media")
        return "".join(f"{one.rstrip()}\n" for one in printed.splitlines()), done.returncode

    def learn(self, shown: str, printed: str) -> None:
        """Take each id that the page shows to be the one that was printed in its place."""
        for old, new in zip(_ID.findall(shown), _ID.findall(printed), strict=False):
            self.ids.setdefault(old, new)
            self.ids.setdefault(old[:8], new[:8])


def filled(page: str, world: World) -> str:
    """Return the page with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        lines = []
        for person, line, shown in commands_of(found[0]):
            real = world.real(line)
            printed, _ = world.run(person, real)
            world.learn(shown, printed)
            lines.append(f"{person}$ {real}\n{printed}")
        return f"```console\n{''.join(lines)}```"

    return _BLOCK.sub(block, page)


def main(names: Sequence[str]) -> None:
    """Write the pages again."""
    for name in names or PAGES:
        page = DOCS / f"{name}.md"
        with tempfile.TemporaryDirectory() as directory:
            text = filled(page.read_text(encoding="utf-8"), World(Path(directory)))
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
