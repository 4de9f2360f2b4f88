"""Writes the table of forbidden events into ``docs/custody.md``.

    python docs/make_forbidden.py          needs `vault` and `tests` to be importable

What it counts is what ``tests/custody/test_forbidden_model.py`` tries, which holds the page to it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.custody.test_forbidden_model import tally

PAGE: Final = Path(__file__).parent / "custody.md"
_BLOCK: Final = re.compile(r"(<!-- forbidden -->\n\n).*?(\n<!-- end of forbidden -->)", re.DOTALL)


def main() -> None:
    """Write the page again."""
    table = tally().table()
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BLOCK.sub(lambda found: found[1] + table + found[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()
