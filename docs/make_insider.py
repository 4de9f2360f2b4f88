"""Writes the table of what a lying insider can do into ``docs/threat-model.md``.

    python docs/make_insider.py            needs `vault` and `tests` to be importable

What stands in it is what ``tests/audit/test_insider.py`` does, and holds the page to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.audit.test_insider import table

PAGE: Final = Path(__file__).parent / "threat-model.md"
_BLOCK: Final = re.compile(r"(<!-- insider -->\n\n).*?(<!-- end of insider -->)", re.DOTALL)


def main() -> None:
    """Write the page again."""
    page = PAGE.read_text(encoding="utf-8")
    found = _BLOCK.sub(lambda block: f"{block[1]}{table()}\n{block[2]}", page)
    PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
