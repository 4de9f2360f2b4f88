"""Every program on ``docs/api.md`` runs by itself and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vault

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROGRAMS = re.findall(
    r"^## ([^\n]*)\n(?:(?!^## ).)*?^```python\n(.*?)^```\n\n```text\n(.*?)^```",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(
    ("program", "printed"),
    [(program, printed) for _, program, printed in PROGRAMS],
    ids=[title for title, _, _ in PROGRAMS],
)
def test_a_program_of_the_page_prints_what_the_page_says(
    program: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "docs/api.md", "exec"), {"__name__": "__main__"})
    assert out.getvalue() == printed


def test_every_program_is_tested_and_short(fences: Callable[[str], list[Any]]) -> None:
    programs = [fence.text for fence in fences("api") if fence.language == "python"]
    assert programs == [program for _, program, _ in PROGRAMS]
    assert len(programs) >= 7
    assert all(len(program.splitlines()) <= 32 for program in programs)


def test_the_page_names_the_whole_public_surface(page: Callable[[str], str]) -> None:
    named = set(re.findall(r"`([A-Za-z_]+)`", page("api")))
    assert {name for name in vault.__all__ if not name.startswith("__")} <= named
