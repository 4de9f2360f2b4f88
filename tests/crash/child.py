"""The process that ``tests.crash.kill`` traces: ``python -B -m tests.crash.child NUMBER VAULT``.

It runs one verb of ``VERBS``. A call that can't succeed stands before and after the work, so that
the trace shows where it begins and ends; ``acknowledged`` goes to standard output once it is done.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from tests.crash.verbs import VERBS

BEGIN = "/begin-of-the-work/none"
END = "/end-of-the-work/none"


def main() -> None:
    """Run the verb."""
    number, path = sys.argv[1:]
    with suppress(FileNotFoundError):
        os.rmdir(BEGIN)
    VERBS[int(number)].run(Path(path))
    with suppress(FileNotFoundError):
        os.rmdir(END)
    os.write(1, b"acknowledged\n")


if __name__ == "__main__":
    main()
