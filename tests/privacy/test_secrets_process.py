"""What others can see of the process while it holds a secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it knows")

# `run` as the program starts, with the verbs replaced by one that waits to be looked at.
WAITING = """
import sys
import evault_cli.main as main
def wait(arguments):
    {set_up}
    print("ready", flush=True)
    sys.stdin.read()
    return 0
main.main = wait
main.run()
"""


def started(set_up: str = "pass", **more: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(set_up=set_up)],
        env=ENV,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,  # type: ignore[call-overload]
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_process_that_may_hold_a_secret_leaves_no_core_dump(tmp_path: Path) -> None:
    # As a machine that keeps every core dump would have it.
    import resource

    def unlimited() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))

    process = started(cwd=tmp_path, preexec_fn=unlimited)
    limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]
    process.send_signal(signal.SIGSEGV)
    process.communicate()
    assert process.returncode == -signal.SIGSEGV
    assert list(tmp_path.iterdir()) == []


def test_no_other_process_of_the_user_can_read_its_memory() -> None:
    process = started()
    asked = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "1\n"
    # What can't be dumped belongs to root in /proc, whoever runs it.
    assert Path(f"/proc/{process.pid}/mem").stat().st_uid == 0
    process.communicate()
    own = started(
        "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), file=sys.stderr)",
        stderr=subprocess.PIPE,
    )
    assert own.communicate()[1] == "0\n"


def test_a_passphrase_can_still_come_through_a_descriptor_that_is_named_as_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"six words\n")
    os.close(writing)
    opened = (
        f"from evault_cli.prompt import read_passphrase_file; from pathlib import Path; "
        f"print(bytes(read_passphrase_file(Path('/dev/fd/{reading}'))).decode(), file=sys.stderr)"
    )
    process = started(opened, pass_fds=[reading], stderr=subprocess.PIPE)
    os.close(reading)
    assert process.communicate()[1] == "six words\n"
