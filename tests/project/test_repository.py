"""What holds of the repository as a whole."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

LONGEST: Final = 450
"""Lines; a module that grows past this holds two things (docs: CONTRIBUTING.md)."""

CODE: Final = tuple(sorted(path for top in ("vault", "cli") for path in (ROOT / top).rglob("*.py")))
TEXT: Final = tuple(
    sorted(
        path
        for pattern in ("*.md", "Makefile", "pyproject.toml", ".ci/run", ".pre-commit-config.yaml")
        for path in ROOT.glob(pattern)
    )
) + tuple(
    sorted(
        path
        for top in ("vault", "cli", "tests", "docs", "demo", "bench", "tools")
        for path in (ROOT / top).rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".md", ".go", ".js", ".mjs", ".json", ".html", ""}
        and not {"node_modules", "__pycache__", "vault-demo"} & set(path.parts)
    )
)
GUIDES: Final = tuple(
    path for path in TEXT if path.suffix == ".md" or path.name in {"run", ".pre-commit-config.yaml"}
)

UNFINISHED: Final = re.compile("|".join((r"\bTO" "DO\\b", r"\bFIX" "ME\\b", r"\bXX" "X\\b")))
COMMAND: Final = re.compile(
    r"(?:`|^\s*(?:\$ )?|entry: )make ([a-z][a-z-]*(?: [a-z][a-z-]*)*)\b", re.MULTILINE
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def targets() -> frozenset[str]:
    """Return the targets of the Makefile that are written for people."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    return frozenset(phony[1].split())


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_module_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LONGEST


@pytest.mark.parametrize("path", TEXT, ids=name_of)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert UNFINISHED.findall(path.read_text()) == []


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_every_make_command_in_a_text_exists(path: Path) -> None:
    named = {target for line in COMMAND.findall(path.read_text()) for target in line.split()}
    assert named <= targets()


def test_the_guides_name_the_commands_of_a_newcomer() -> None:
    named = COMMAND.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert {"demo", "test", "check", "conformance", "wheel"} <= {
        target for line in named for target in line.split()
    }


def test_make_alone_lists_every_target_that_a_newcomer_needs() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in ("demo", "test", "check", "conformance", "wheel", "format", "clean"):
        assert f"make {target} " in listed


@pytest.mark.parametrize("program", [".ci/run", "tools/environment", "tools/need"])
def test_a_program_can_be_run_and_stops_at_the_first_failure(program: str) -> None:
    path = ROOT / program
    assert os.access(path, os.X_OK)
    lines = path.read_text().splitlines()
    assert lines[0] in ("#!/bin/sh", "#!/usr/bin/env bash")
    assert any(re.match(r"set -eu", line) for line in lines)


def test_the_changelog_names_this_version() -> None:
    code = (ROOT / "vault/_version.py").read_text()
    version = re.search(r'__version__[^"]*"([^"]+)"', code)
    assert version is not None
    assert re.search(
        rf"^## \[{re.escape(version[1])}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_every_dependency_has_one_constrained_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[a-z0-9-]+", line.lower())[0] for line in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line.split("==")[0].lower().replace("_", "-") for line in lines]
    assert all("==" in line for line in lines)
    assert len(set(pinned)) == len(pinned)
    assert names <= set(pinned)
