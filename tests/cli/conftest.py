"""What the tests of the command line share: calling it in this process, and a small vault."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evault_cli.main import main

OWNER_PASSPHRASE = "a passphrase of the owner"
READER_PASSPHRASE = "a passphrase of the reader"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        assert self.out.isascii()
        return json.loads(self.out)


def call(*arguments: object, text: str | bytes = "", env: Mapping[str, str | None] = {}) -> Outcome:
    """Run ``evault`` in this process, with ``text`` as its standard input (no terminal)."""
    with CliRunner().isolation(input=text, env=env) as (out, err, _):
        code = main([str(one) for one in arguments])
        outcome = Outcome(code, out.getvalue().decode(), err.getvalue().decode())
    assert "Traceback" not in outcome.err
    return outcome


@dataclass(frozen=True, slots=True)
class World:
    """A folder with a vault of an owner who can't read it, a reader, and one sealed bundle."""

    folder: Path
    bundle: str

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def owner(self) -> tuple[str, ...]:
        """The options of the owner, whose identity lies in EVAULT_HOME."""
        return ("--passphrase-file", str(self.folder / "owner.txt"))

    @property
    def reader(self) -> tuple[str, ...]:
        """The options of the reader."""
        file, passphrase = self.folder / "reader.age", self.folder / "reader.txt"
        return ("-i", str(file), "--passphrase-file", str(passphrase))

    def call(self, *arguments: object, **more: Any) -> Outcome:
        env = {"EVAULT_HOME": str(self.folder / "home"), **more.pop("env", {})}
        return call(*arguments, env=env, **more)

    def files(self) -> dict[str, bytes]:
        """Return every file of the vault but its lock."""
        found = {
            str(path.relative_to(self.vault)): path.read_bytes()
            for path in sorted(self.vault.rglob("*"))
            if path.is_file()
        }
        found.pop("lock", None)
        return found


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EVAULT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVAULT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TERM", "xterm-256color")


def made_world(folder: Path) -> World:
    """Make the two identities, the evidence, the vault and its bundle under ``folder``."""
    (folder / "owner.txt").write_text(f"{OWNER_PASSPHRASE}\n")
    (folder / "reader.txt").write_text(f"{READER_PASSPHRASE}\n")
    world = World(folder, "")
    evidence = folder / "evidence"
    (evidence / "inner").mkdir(parents=True)
    (evidence / "photo.jpg").write_bytes(b"\xff\xd8\xff" + b"photograph" * 1000)
    (evidence / "inner/empty.txt").write_bytes(b"")
    (evidence / "گواہی.txt").write_text("میں نے دیکھا")
    factor = ("--work-factor", 10)
    assert world.call("identity", "new", *world.owner, *factor).code == 0
    made = world.call("identity", "new", "-o", folder / "reader.age", *world.reader, *factor)
    assert made.code == 0, made.err
    card = world.call("card", *world.reader, "-o", folder / "reader.card", "--name", "Reader Bé")
    assert card.code == 0, card.err
    options = ("--reader", folder / "reader.card", "--name", "Asma", "--title", "Case 7")
    assert world.call("init", world.vault, *options, *world.owner).code == 0
    sealed = world.call(
        "seal", world.vault, evidence, "--title", "First", *world.owner,
        "--field", "captured_at=2026-03-01T14:05+05:00",
        "--media-hash", f"{'ab' * 32}:video.mp4",
    )  # fmt: skip
    assert sealed.code == 0, sealed.err
    return World(folder, sealed.out.strip())


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(_template: World, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    shutil.copytree(_template.folder, folder)
    return World(folder, _template.bundle)


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard input, which a test gives, pass for a terminal that can be asked at."""
    monkeypatch.setattr("evault_cli.prompt.can_ask", lambda: True)


@pytest.fixture
def evault() -> Callable[..., Outcome]:
    return call
