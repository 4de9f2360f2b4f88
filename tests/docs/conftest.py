"""What the tests of the pages share: the pages, and the fenced blocks in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
_FENCE: Final = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language (may be empty), its text, the line that it begins in."""

    language: str
    text: str
    line: int


@pytest.fixture(scope="session")
def page() -> Callable[[str], str]:
    """Return a page's text by its name."""
    return lambda name: (DOCS / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def fences(page: Callable[[str], str]) -> Callable[[str], list[Fence]]:
    """Return a page's fenced blocks by its name, in order."""

    def find(name: str) -> list[Fence]:
        text = page(name)
        return [
            Fence(found[1], found[2], text.count("\n", 0, found.start()) + 1)
            for found in _FENCE.finditer(text)
        ]

    return find
