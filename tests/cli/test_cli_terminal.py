"""At a real terminal: prompts without echo, words shown once, tables, progress, a QR code."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds, for a machine that is busy with other things

# The terminal must be the controlling one, for that is what a passphrase is read from.
CHILD = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from evault_cli.main import run
run()
"""


class Session:
    """One run of ``evault`` at a terminal of 100 columns.

    ``seen`` is all that it wrote since the last line was typed. A prompt throws away what was typed
    before it, so wait for its end, which is a space, before typing.
    """

    def __init__(self, *arguments: object, home: Path, term: str = "xterm-256color") -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 100))
        env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
            "EVAULT_HOME": str(home),
            "TERM": term,
            "LC_ALL": "C.UTF-8",
        }
        env.pop("COLUMNS", None)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        assert ready, f"nothing came after: {self.seen!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so that the other side is closed
            data = b""
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until something like ``pattern`` was written, after what was waited for before."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < end
            assert self._read(), f"ended with: {self.seen!r}"
        return found

    def send(self, text: str) -> None:
        """Type a line."""
        self.seen = ""
        os.write(self._master, f"{text}\r".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._master, b"\x03")

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    sessions = []

    def start(*arguments: object, **more: Any) -> Session:
        session = Session(*arguments, **{"home": tmp_path / "home", **more})
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()


def test_six_words_are_shown_once_and_typed_without_echo(terminal: Any, tmp_path: Path) -> None:
    session = terminal("identity", "new", "--work-factor", 10)
    session.expect("six random words.*: ")
    session.send("")
    words = session.expect(r"    ([a-z]+(-[a-z]+){5})\r\n")[1]
    session.expect("Then press Enter")
    # On the other screen, so that it can't be scrolled back to.
    assert "\x1b[?1049h" in session.seen
    session.send("")
    session.expect("same passphrase again: ")
    assert "\x1b[?1049l" in session.seen
    session.send("something else")
    session.expect(r"was not the same\.\s+The same passphrase again: ")
    assert "something else" not in session.seen
    session.send(words)
    assert session.end() == 0
    assert words not in session.seen
    assert "Fingerprint" in session.seen
    assert (tmp_path / "home/identity.age").exists()
    session = terminal("card", "--name", "Asma")
    session.expect("Passphrase of.*: ")
    session.send(words)
    assert session.end() == 0
    assert words not in session.seen
    assert session.seen.count("█") > 100


def test_a_dumb_terminal_gets_no_escapes(terminal: Any, tmp_path: Path) -> None:
    session = terminal("identity", "new", "--work-factor", 10, term="dumb")
    session.expect("six random words.*: ")
    session.send("")
    words = session.expect(r"    ([a-z]+(-[a-z]+){5})\r\n")[1]
    assert "\x1b" not in session.seen
    session.expect("press Enter")
    session.send("")
    session.expect("again: ")
    session.send(words)
    assert session.end() == 0
    session = terminal("card", "--name", "Asma", "-o", tmp_path / "c", term="dumb")
    session.expect("Passphrase of.*: ")
    session.send(words)
    assert session.end() == 0
    assert "\x1b" not in session.seen
    assert "█" not in session.seen


def test_ctrl_c_at_a_prompt_stops_with_nothing_done(terminal: Any, tmp_path: Path) -> None:
    session = terminal("identity", "new")
    session.expect("six random words.*: ")
    session.interrupt()
    assert session.end() == 130
    assert "stopped. Nothing was changed." in session.seen
    assert not (tmp_path / "home").exists()


def test_a_table_is_drawn_and_enter_looks_without_a_key(world: Any, terminal: Any) -> None:
    session = terminal("list", world.vault, home=world.folder / "home")
    session.expect("look without a key.*: ")
    session.send("")
    assert session.end() == 0
    assert world.bundle[:12] in session.seen
    assert "───" in session.seen


def test_progress_shows_and_leaves_the_results_alone(world: Any, terminal: Any) -> None:
    big = world.folder / "big"
    big.write_bytes(bytes(3_000_000))
    session = terminal("seal", world.vault, big, *world.owner, home=world.folder / "home")
    assert session.end() == 0
    assert "Sealing" in session.seen
    # What was drawn is wiped before anything else is said.
    assert re.search(r"\r +\r[0-9a-f]{32}\r\n", session.seen)
    assert "Reading back" not in session.seen.split("One copy exists")[1]
