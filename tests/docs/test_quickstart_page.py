"""The commands of ``docs/quickstart.md``, run as they stand by the people the page names, print
what the page says. Ids, digests, times, sizes and line breaks may differ.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import pytest

from evault_cli.main import cli

ROOT: Final = Path(__file__).parents[2]
PEOPLE: Final = ("amina", "daniel", "anyone")
_PROMPT: Final = re.compile(rf"^({'|'.join(PEOPLE)})\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)
_CHANGES: Final = (
    (re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})"), "TIME"),
    (re.compile(r"\b([0-9a-f]{4} ){3,}[0-9a-f]{4}\b"), "HEX"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\b"), "HEX"),
    (re.compile(r"[█▀▄ ]*[█▀▄]+[█▀▄ ]*"), ""),
    (re.compile(r"\b\d+(\.\d+)?( ?([KMG]i?)?B\b| bytes\b)"), "SIZE"),
    (re.compile(r"^(File system|software.system|software.version)  .*$", re.MULTILINE), r"\1"),
    (re.compile(r"\s+"), " "),
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the page's paths are those of a Unix")


def loosely(text: str) -> str:
    """Return ``text`` without what is different each time."""
    for pattern, word in _CHANGES:
        text = pattern.sub(word, text)
    return text.strip()


@dataclass
class World:
    """Three machines and two sticks below one directory."""

    root: Path
    ids: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        for name in (*PEOPLE, "stick", "second", "bin"):
            (self.root / name).mkdir()
        evault = self.root / "bin" / "evault"
        # The default work factor is a second and 256 MiB for every command; here it only costs.
        evault.write_text(
            "#!/bin/sh\n"
            f'command="{shlex.quote(sys.executable)} -m evault_cli"\n'
            '[ "$1 $2" = "identity new" ] && exec $command "$@" --work-factor 10\n'
            'exec $command "$@"\n'
        )
        evault.chmod(0o700)
        photos = self.root / "amina" / "photos"
        photos.mkdir()
        for number in (1, 2):
            (photos / f"gate-{number}.jpg").write_bytes(b"\xff\xd8" + bytes([number]) * 40_000)
        (self.root / "amina" / "statement.txt").write_text("I saw the trucks leave at dawn.\n")
        for person in PEOPLE[:2]:
            (self.root / person / "passphrase").write_text(f"the words of {person}\n")

    def run(self, person: str, command: str) -> tuple[str, str, int]:
        """Run one line of the page; return standard output, standard error, exit code."""
        for shown, real in self.ids.items():
            command = command.replace(shown, real)
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
        done = subprocess.run(
            ["sh", "-c", command.replace("/media", str(self.root))],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        shown_home = f"/home/{person}"
        out, err = (
            text.replace(str(home), shown_home).replace(str(self.root), "/media")
            for text in (done.stdout, done.stderr)
        )
        return out, err, done.returncode

    def learn(self, shown: str, real: str) -> None:
        """Take the ids that the page shows to be those that were printed in their place."""
        found = (re.findall(r"\b[0-9a-f]{32,64}\b", text) for text in (shown, real))
        for old, new in zip(*found, strict=False):
            self.ids.setdefault(old, new)
            self.ids.setdefault(old[:8], new[:8])


def commands_of(blocks: list[Any]) -> list[tuple[str, str, str]]:
    """Return (person, command, what it printed) for every command of the page."""
    found = []
    for block in blocks:
        if block.language != "console":
            continue
        parts = _PROMPT.split(block.text)
        assert not parts[0].strip(), block.line
        found += list(zip(parts[1::3], parts[2::3], parts[3::3], strict=True))
    return found


def test_the_commands_of_the_page_print_what_the_page_says(
    tmp_path: Path, fences: Callable[[str], list[Any]]
) -> None:
    world = World(tmp_path)
    world.prepare()
    for person, command, shown in commands_of(fences("quickstart")):
        out, err, status = world.run(person, command)
        printed = out + err
        refused = "open" in command and person == "amina"
        assert status == (4 if refused else 0), f"{command}\n{printed}"
        if re.search(r"\b(init|seal) /media/stick/vault", command):
            world.learn(shown, printed)
        assert loosely(printed) == loosely(shown), command
    opened = tmp_path / "daniel" / "opened"
    names = {path.name for path in opened.rglob("*") if path.is_file()}
    assert {"gate-1.jpg", "gate-2.jpg", "statement.txt"} <= names
    assert not (tmp_path / "amina" / "opened").exists()


def test_the_page_shows_every_verb_of_the_help(fences: Callable[[str], list[Any]]) -> None:
    assert isinstance(cli, click.Group)
    used = {command.split()[1] for _, command, _ in commands_of(fences("quickstart"))}
    assert set(cli.list_commands(click.Context(cli))) <= used


@pytest.mark.parametrize("name", ["quickstart", "threat-model", "recovery", "spec"])
def test_every_option_that_a_page_names_exists(name: str, page: Callable[[str], str]) -> None:
    assert isinstance(cli, click.Group)
    context = click.Context(cli)
    known = set()
    pending = [cli.get_command(context, verb) for verb in cli.list_commands(context)]
    while pending:
        command = pending.pop()
        assert command is not None
        known |= {name for one in command.params for name in one.opts}
        if isinstance(command, click.Group):
            pending += command.commands.values()
    found = re.findall(r"(?:evault [^`\n]*?|`)(--[a-z-]+)", page(name))
    assert set(found) <= known | {"--help"}
