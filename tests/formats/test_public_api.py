"""`import vault`: what it offers, and that it costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vault

SOURCE = ast.parse(Path(vault.__file__).read_text())


def test_what_is_offered_is_the_lazy_table_and_the_version() -> None:
    table = [name for names in vault._HOMES.values() for name in names]
    assert len(set(table)) == len(table)
    assert sorted([*table, "__version__"]) == vault.__all__ == sorted(vault.__all__)
    assert dir(vault) == vault.__all__


def test_type_checkers_see_the_lazy_table() -> None:
    (block,) = (node for node in SOURCE.body if isinstance(node, ast.If))
    seen = {
        node.module: tuple(alias.name for alias in node.names)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }
    assert seen == vault._HOMES
    assert list(seen) == sorted(seen)


@pytest.mark.parametrize("name", vault.__all__)
def test_each_name_is_there_and_is_that_of_its_home(name: str) -> None:
    found = getattr(vault, name)
    assert getattr(vault, name) is found
    home = vault._HOME_OF.get(name)
    if home is not None:
        assert getattr(sys.modules[home], name) is found
        assert name in sys.modules[home].__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        vault.Manager  # noqa: B018 - the look is the test


def test_importing_the_library_imports_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); import vault; "
        "new = {name for name in set(sys.modules) - before}; "
        "print(*sorted(n for n in new if n.partition('.')[0] not in sys.stdlib_module_names))"
    )
    root = Path(vault.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["vault", "vault._version"]
