"""What a commit is made of: events for their places, and when a commit may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

from vault.custody import State, changes_readers
from vault.errors import CustodyError
from vault.event import Event

__all__ = ["Maker", "Place", "check_complete"]


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where an event will stand: its ``seq``, ``head`` (None for genesis) and ``closes``, and the
    state before it.
    """

    seq: int
    head: bytes | None
    closes: bytes | None
    state: State


Maker: TypeAlias = Callable[[Place], Event]
"""Makes and signs an event for a place."""


def check_complete(state: State, last: Event) -> None:
    """Raise ``CustodyError`` if a commit that ends with ``last``, after ``state``, leaves the
    readers without an epoch of their own: nothing but that epoch could be written then.
    """
    opens = last.type == "epoch.opened"
    changes = last.type == "vault.created" or changes_readers(state, last)
    if not opens and (changes or state.due is not None):
        raise CustodyError("epoch-due", last.type, "its commit opens no epoch")
