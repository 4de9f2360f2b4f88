"""Fixtures of the tests of bundles."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def part_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes parts small, in every module that knows their size."""

    def make(size: int) -> None:
        for module in ("bundle.writing", "bundle.reading", "custody.holding", "sealing"):
            monkeypatch.setattr(f"vault.{module}.PART_SIZE", size)

    return make
