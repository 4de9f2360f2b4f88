"""What the tests of hostile input have in common."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.fuzz.desk import Desk, with_identities
from tests.rooms.house import build


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EVAULT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVAULT_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(folder / "vault")
    return with_identities(folder)


@pytest.fixture
def desk(_built: Path, tmp_path: Path) -> Desk:
    shutil.copytree(_built, tmp_path / "desk")
    return Desk(tmp_path / "desk")
