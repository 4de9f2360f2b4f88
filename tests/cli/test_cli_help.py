"""What starting the program costs, and what it says of itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evault_cli.main import cli

ROOT = Path(__file__).parents[2]
VERBS = sorted(cli.list_commands(None))  # type: ignore[arg-type]
HEAVY = ("cryptography", "nacl", "msgpack", "filelock", "rich", "segno", "mnemonic", "hashlib")

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from evault_cli.main import main
code = main({arguments!r})
loaded = [name for name in {heavy!r} if name in sys.modules]
loaded += [name for name in sys.modules if name.startswith("vault.")
           and name not in ("vault._version", "vault.errors")]
sys.exit(f"{{code}} {{loaded}}" if code or loaded else 0)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["identity", "--help"], *([verb, "--help"] for verb in VERBS)],
    ids=" ".join,
)
def test_help_imports_nothing_that_it_does_not_need(arguments: list[str]) -> None:
    paths = [str(ROOT), str(ROOT / "cli")]
    program = PROGRAM.format(paths=paths, arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout


def test_the_list_of_verbs_says_of_each_what_it_does(evault: Callable[..., Any]) -> None:
    shown = evault("--help")
    assert shown.code == 0
    for verb in VERBS:
        assert f"  {verb} " in shown.out
    assert "Exit codes: 0 done or intact" in " ".join(shown.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_there_and_has_help(evault: Callable[..., Any], verb: str) -> None:
    shown = evault(verb, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: evault {verb}")


def test_what_can_be_read_by_programs_takes_json(evault: Callable[..., Any]) -> None:
    for verb in VERBS:
        if verb not in ("hold", "identity", "recover"):
            assert "--json" in evault(verb, "--help").out
    for verb in ("split", "join", "drill"):
        assert "--json" in evault("recover", verb, "--help").out
    for verb in ("lift", "place"):
        assert "--json" in evault("hold", verb, "--help").out
    for verb in ("new", "show", "protect"):
        assert "--json" in evault("identity", verb, "--help").out


def test_the_program_alone_says_what_there_is(evault: Callable[..., Any]) -> None:
    for arguments in ((), ("identity",)):
        shown = evault(*arguments)
        assert (shown.code, shown.out) == (2, "")
        assert "Usage: evault" in shown.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bogus"], "evault: No such command 'bogus'. `evault --help` says how."),
        (["seal"], "evault seal: Missing argument 'VAULT'. `evault seal --help` says how."),
        (["list", "v", "--bogus"], "evault list: No such option '--bogus'."),
        (["show", "a", "b", "\x1b[31mc"], "(\\x1b[31mc)"),
        (["identity", "new", "--work-factor", "30"], "evault identity new: Invalid value"),
    ],
)
def test_what_was_asked_wrongly_is_said_in_one_line(
    evault: Callable[..., Any], arguments: list[str], says: str
) -> None:
    asked = evault(*arguments)
    assert (asked.code, asked.out) == (2, "")
    assert says in asked.err
    assert len(asked.err.splitlines()) == 1


def test_the_version(evault: Callable[..., Any]) -> None:
    from vault import __version__

    assert evault("--version").out == f"evault {__version__}\n"
