"""The wheel holds the two packages, whole, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = {"vault": ROOT / "vault", "evault_cli": ROOT / "cli/evault_cli"}


@pytest.fixture(scope="module")
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `--wheel` names, or one built here without a network."""
    given = request.config.getoption("--wheel")
    if given:
        return Path(given).resolve()
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> frozenset[str]:
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (found,) = (n for n in archive.namelist() if n.endswith(f".dist-info/{name}"))
        return archive.read(found).decode()


def test_the_wheel_holds_exactly_the_two_packages_and_its_own_description(
    wheel: Path, names: frozenset[str]
) -> None:
    sources = {
        f"{package}/{path.relative_to(root).as_posix()}"
        for package, root in SOURCES.items()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    described = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert names == sources | {
        f"{described}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }


def test_the_wheel_holds_code_and_type_markers_only(names: frozenset[str]) -> None:
    packages = {name for name in names if ".dist-info/" not in name}
    assert {Path(name).suffix for name in packages} == {".py", ".typed"}
    assert {f"{package}/py.typed" for package in SOURCES} < packages


def test_the_wheel_is_pure_python_and_gives_the_command(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "evault = evault_cli.main:run" in metadata(wheel, "entry_points.txt").splitlines()


def test_the_wheel_names_its_licence_its_python_and_its_distribution(wheel: Path) -> None:
    fields = HeaderParser().parsestr(metadata(wheel, "METADATA"))
    assert fields["Name"] == "evidence-vault"
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Requires-Python"] == ">=3.11"


def test_the_wheel_runs_away_from_its_source(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import sys, vault, evault_cli.main as m; print(vault.__file__, m.__file__); m.run()"
    run = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    first, *rest = run.stdout.splitlines()
    assert first == f"{tmp_path / 'vault/__init__.py'} {tmp_path / 'evault_cli/main.py'}"
    assert any("Usage" in line for line in rest)
