"""The library's modules stand in one order, and each imports only from those above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

ORDER: Final = (
    "errors",
    "secret",
    "codec",
    "keyline",
    "layout",
    "age",
    "tlog",
    "commitment",
    "storage",
    "identity",
    "event",
    "custody",
    "pipeline",
    "bag",
    "bundle",
    "stored",
    "replacement",
    "keyring",
    "expected",
    "forms",
    "access",
    "attestation",
    "package",
    "log",
    "localstate",
    "draft",
    "founding",
    "sealing",
    "gathering",
    "reading",
    "view",
    "naming",
    "consent",
    "rehash",
    "abandoned",
    "deletion",
    "vault",
    "destruction",
    "rekeying",
    "looking",
    "relations",
    "holdings",
    "handover",
    "terms",
    "membership",
    "chain",
    "extracting",
    "auditing",
    "exposed",
    "tending",
    "recovery",
)
"""The rooms of docs/spec.md's architecture, from the ground up; a package counts as one room."""

FOREIGN: Final = frozenset(
    {"click", "rich", "segno", "mnemonic", "evault_cli", "demo", "bench", "tests"}
)
"""What the library must do without: the rim, and what only the rim needs."""

ENVIRONMENT: Final = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "expanduser"})
SPEAKING: Final = frozenset({"print", "input", "breakpoint"})
STREAMS: Final = frozenset({"stdin", "stdout", "stderr"})

MODULES: Final = tuple(
    path for path in sorted((ROOT / "vault").rglob("*.py")) if path != ROOT / "vault/__init__.py"
)


def room(path: Path) -> str:
    """Return the name of the top-level module or package under ``vault`` that holds ``path``."""
    return path.relative_to(ROOT / "vault").parts[0].removesuffix(".py")


def imported(tree: ast.AST, path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, relative imports resolved."""
    package = ["vault", *path.relative_to(ROOT / "vault").parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from vault import codec` names a room only in its second half.
            yield from (f"{source}.{alias.name}" for alias in node.names)


def import_faults(source: str, path: Path) -> Iterator[str]:
    """Say of each import that the order forbids what it is."""
    own = room(path)
    for name in imported(ast.parse(source), path):
        top, _, rest = name.partition(".")
        if top in FOREIGN:
            yield f"imports {name}"
        if top != "vault":
            continue
        target = rest.partition(".")[0]
        if target == "_version":
            continue
        if target not in ORDER:
            yield f"imports {name}, which is no room of the library"
        elif target != own and ORDER.index(target) > ORDER.index(own):
            yield f"imports {name} from below itself"


def side_effects(source: str) -> Iterator[str]:
    """Say of each way to speak to a terminal or to read the environment that it is there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in SPEAKING:
            yield f"uses {node.id}"
        elif isinstance(node, ast.Attribute):
            if node.attr in ENVIRONMENT:
                yield f"reads the environment: {node.attr}"
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if (owner == "sys" and node.attr in STREAMS) or (owner, node.attr) == ("Path", "home"):
                yield f"uses {owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "os.path", "sys"}:
            yield from (
                f"imports {alias.name}"
                for alias in node.names
                if alias.name in ENVIRONMENT | STREAMS
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
class TestEachModule:
    def test_a_module_is_in_the_order(self, path: Path) -> None:
        assert room(path) in (*ORDER, "_version")

    def test_a_module_imports_only_what_stands_above_it(self, path: Path) -> None:
        assert list(import_faults(path.read_text(), path)) == []

    def test_a_module_neither_speaks_nor_reads_the_environment(self, path: Path) -> None:
        assert list(side_effects(path.read_text())) == []


def test_every_room_of_the_order_is_named_once() -> None:
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize(
    "line",
    [
        "import vault.log",
        "from vault.log import append",
        "from vault import log",
        "from ..log import append",
        "from .. import log",
        "from vault import Vault",
        "import vault",
        "from vault.helpers import x",
        "import click",
        "from rich.console import Console",
        "from evault_cli import main",
        "def f():\n    import vault.log",
        "if TYPE_CHECKING:\n    from vault.log import Log",
    ],
)
def test_a_forbidden_import_is_found(line: str) -> None:
    assert list(import_faults(line, ROOT / "vault/event/types.py"))


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from vault.errors import FormatError",
        "from vault import codec",
        "from vault._version import __version__",
        "from . import encoding",
        "from .encoding import parse_event",
        "from vault.event.encoding import parse_event",
        "from ..codec import pack",
    ],
)
def test_a_permitted_import_is_let_through(line: str) -> None:
    assert list(import_faults(line, ROOT / "vault/event/types.py")) == []


@pytest.mark.parametrize(
    "line",
    [
        "print(1)",
        "input()",
        "sys.stdout.write('x')",
        "from sys import stderr",
        "os.environ['HOME']",
        "os.getenv('HOME')",
        "from os import environ",
        "Path.home()",
        "Path('~').expanduser()",
    ],
)
def test_a_side_effect_is_found(line: str) -> None:
    assert list(side_effects(line))
