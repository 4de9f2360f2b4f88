"""What the process asks of the system before it meets a secret."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

__all__ = ["keep_memory_private"]

_PR_SET_DUMPABLE: Final = 4
"""prctl(2); 0: no core dumps, and ``/proc/PID/mem`` is root's, as is attaching a debugger."""


def keep_memory_private() -> None:
    """Leave no core dump behind, and let no other process of this user read the memory.

    Core dumps are off where the system has limits of resources (Linux, macOS, BSD); who may attach
    is told on Linux. On Windows nothing is done: there a crash leaves no dump unless the owner of
    the machine asked for that, and a process of the same user can always read this one. Root, and
    who runs the system, can read it anywhere.
    """
    with suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        # A kernel that does not know it leaves things as they are, which is no reason to stop.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
