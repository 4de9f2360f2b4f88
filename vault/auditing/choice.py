"""Which bundles an audit reads, where it is not to read all: a large vault is read by and by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from vault.auditing.files import ExpectedFile, expected_files
from vault.custody import BundleState, State
from vault.event import Event

__all__ = ["Choice", "files_to_read", "oldest"]

Choice: TypeAlias = Callable[[Mapping[int, Event], State], Collection[bytes]]
"""Chooses bundles by what the log says: its events that can be read, and the state after them."""


def oldest(percent: int) -> Choice:
    """Return the choice of those bundles that were not checked for longest: ``percent`` (1 to 100)
    of those that stand, and one at least.

    A bundle counts from its last ``bundle.checked``, or from its seal; those that were destroyed
    are left out. So whoever records such audits, one after the other, comes round to every bundle.
    """
    if not 0 < percent <= 100:
        raise ValueError("a share from 1 to 100 percent")

    def choose(events: Mapping[int, Event], state: State) -> Collection[bytes]:
        def checked(bundle: BundleState) -> int:
            checks = (
                seq
                for seq in reversed(bundle.chain)
                if seq in events and events[seq].type == "bundle.checked"
            )
            return next(checks, bundle.seq)

        standing = [bundle for bundle in state.bundles.values() if bundle.destroyed is None]
        number = -(-len(standing) * percent // 100)
        return [bundle.id for bundle in sorted(standing, key=checked)[:number]]

    return choose


def files_to_read(
    events: Mapping[int, Event],
    state: State,
    expected: Mapping[str, ExpectedFile],
    chosen: Collection[bytes],
) -> set[str]:
    """Return the names of the files that ``chosen`` bundles can't do without, and of those that
    belong to no bundle, which all can't do without.
    """
    own = expected_files((one for one in events.values() if one.bundle in chosen), state)
    return {
        name for name, file in expected.items() if name in own or events[file.seq].bundle is None
    }
