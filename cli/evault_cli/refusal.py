"""What this command line itself refuses to do; the library's refusals have classes of their own."""

from __future__ import annotations

from typing import Final

__all__ = ["ALTERED", "DONE", "LOCKED", "MEDIUM", "STATE", "USAGE", "RefusedError"]

# The exit codes, for all verbs.
DONE: Final = 0
"""Done, or intact."""
ALTERED: Final = 1
"""``verify``: altered or contradicted."""
USAGE: Final = 2
"""Not asked in a way that can be done."""
STATE: Final = 3
"""Malformed, of a later version, not what was signed, or in the wrong state."""
LOCKED: Final = 4
"""Can't be decrypted with what was given."""
MEDIUM: Final = 5
"""Input or output failed."""


class RefusedError(Exception):
    """One sentence for the user, already escaped, and the exit code that goes with it."""

    def __init__(self, sentence: str, status: int = USAGE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
