"""The commands of ``docs/quickstart.md`` and ``docs/story.md``, run as they stand by the people
whom the page names, print what the page says. Ids, digests, times, sizes and line breaks may
differ.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

import click
import pytest

from evault_cli.main import cli

_CHANGES: Final = (
    (re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?"), "TIME"),
    (re.compile(r"\b([0-9a-f]{4} ){3,}[0-9a-f]{4}\b"), "HEX"),
    (re.compile(r"\b(?=[a-f]*[0-9])[0-9a-f]{8,128}\b"), "HEX"),
    (re.compile(r"\b\d+(\.\d+)?( ?([kKMGT]i?)?B\b| bytes\b)"), "SIZE"),
    (re.compile(r"^(File system|Free|software\.[a-z]+) .*$", re.MULTILINE), r"\1"),
    (re.compile(r"\bon \d+ days?,|\(UTC\): [\d, ]+"), "HOURS"),
    (re.compile(r"\s+"), " "),
)

REFUSED: Final = {"amina": 4, "daniel": 3, "leila": 3}
"""The exit code of what is refused: who has no key to it, and who may not."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the page's paths are those of a Unix")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that fills the pages."""
    where = Path(__file__).parents[2] / "docs" / "make_sessions.py"
    spec = importlib.util.spec_from_file_location("make_sessions", where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_sessions"] = module  # dataclasses looks there
    spec.loader.exec_module(module)
    return module


def loosely(text: str) -> str:
    """Return ``text`` without what is different each time."""
    for pattern, word in _CHANGES:
        text = pattern.sub(word, text)
    return text.strip()


@pytest.fixture(scope="module")
def pages(maker: ModuleType) -> tuple[str, ...]:
    """The pages whose commands are run."""
    return tuple(maker.PAGES)


def test_the_pages_are_those_that_the_tests_below_run(pages: tuple[str, ...]) -> None:
    assert pages == ("quickstart", "story")


@pytest.mark.parametrize("name", ["quickstart", "story"])
def test_the_commands_of_the_page_print_what_the_page_says(
    name: str, tmp_path: Path, page: Callable[[str], str], maker: ModuleType
) -> None:
    world = maker.World(tmp_path)
    ran = 0
    for person, line, shown in maker.commands_of(page(name)):
        printed, status = world.run(person, world.real(line))
        assert status == (REFUSED[person] if line.endswith("# refused") else 0), (
            f"{line}\n{printed}"
        )
        world.learn(shown, printed)
        assert loosely(printed) == loosely(shown), f"{line}\nrun: python docs/make_sessions.py"
        ran += 1
    assert ran > 10


def test_after_each_step_of_the_story_every_chain_is_told_and_verified_without_a_key(
    tmp_path: Path, page: Callable[[str], str], maker: ModuleType
) -> None:
    world = maker.World(tmp_path)
    steps, most = 0, 0
    for block in page("story").split("```console\n")[1:]:
        fenced = "```console\n" + block.partition("```")[0] + "```\n"
        for person, line, shown in maker.commands_of(fenced):
            printed, _ = world.run(person, world.real(line))
            world.learn(shown, printed)
        for place in ("desk", "stick"):
            if not (tmp_path / place / "vault").is_dir():
                continue
            # A copy that stayed behind is an older one, and is still told and sound.
            told, status = world.run(
                "anyone",
                f"evault custody /media/{place}/vault --all --json --older-copy 2>/dev/null",
            )
            assert status == 0, told
            account = json.loads(told)["bundles"]
            sealed = len(list((tmp_path / place / "vault" / "bundles").glob("*")))
            gone = sum(one["now"] == "destroyed" for one in account)
            assert len(account) == sealed + gone
            assert all(one["chain"][0]["type"] == "bundle.sealed" for one in account)
            assert not any(one["breaches"] for one in account)
            said, status = world.run(
                "anyone", f"EVAULT_HOME=/media/{steps} evault verify /media/{place}/vault"
            )
            assert status == 0, said
            assert said.startswith("Intact: ")
            steps, most = steps + 1, max(most, len(account))
    assert steps > 20
    assert most == 4


def test_who_only_seals_opens_nothing_in_the_quick_start(
    tmp_path: Path, page: Callable[[str], str], maker: ModuleType
) -> None:
    world = maker.World(tmp_path)
    for person, line, shown in maker.commands_of(page("quickstart")):
        printed, _ = world.run(person, world.real(line))
        world.learn(shown, printed)
    opened = tmp_path / "daniel" / "opened"
    names = {path.name for path in opened.rglob("*") if path.is_file()}
    assert {"gate-1.jpg", "gate-2.jpg", "statement.txt"} <= names
    assert not (tmp_path / "amina" / "opened").exists()


def test_the_pages_show_every_verb_of_the_help(
    page: Callable[[str], str], maker: ModuleType, pages: tuple[str, ...]
) -> None:
    assert isinstance(cli, click.Group)
    used = {
        command.line.split()[1]
        for name in pages
        for command in maker.commands_of(page(name))
        if command.line.startswith("evault ")
    }
    missing = set(cli.list_commands(click.Context(cli))) - used
    assert not missing


@pytest.mark.parametrize(
    "name", ["quickstart", "story", "custody", "keys", "threat-model", "recovery", "spec"]
)
def test_every_option_that_a_page_names_exists(name: str, page: Callable[[str], str]) -> None:
    assert isinstance(cli, click.Group)
    context = click.Context(cli)
    known = {"--help"}
    pending = [cli.get_command(context, verb) for verb in cli.list_commands(context)]
    while pending:
        command = pending.pop()
        assert command is not None
        known |= {name for one in command.params for name in one.opts}
        if isinstance(command, click.Group):
            pending += command.commands.values()
    lines = re.findall(
        r"`(?:evault )?[^`\n]*`|^[a-z]+\$ evault .*(?:\\\n.*)*", page(name), re.MULTILINE
    )
    of_others = {"--validate"}
    named = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z-]+", line)}
    assert named <= known | of_others
