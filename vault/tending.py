"""Looking after a vault's place: finishing what a writer left, and saying how the place is.

What is found is data; nothing of the evidence is read.
"""

from __future__ import annotations

import time as _time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.deletion import finish_deletions
from vault.errors import FormatError, RollbackError, VaultError
from vault.expected import expected_files, unread_manifests
from vault.founding import check_format
from vault.layout import FORMAT_NAME, LOG
from vault.localstate import LocalState, check_pin
from vault.log import Log
from vault.replacement import Replacements
from vault.storage import Store
from vault.vault import Vault

__all__ = ["EARLIEST_CLOCK", "Condition", "PinState", "tend"]

EARLIEST_CLOCK: Final = 1767225600
"""2026-01-01, in UTC seconds: a clock before this software was written is wrong."""

PinState: TypeAlias = Literal["absent", "damaged", "newer", "older", "other", "same"]
Pending: TypeAlias = Literal["finished", "none", "not-finished", "torn"]


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """How a vault's place is.

    ``medium`` is what :meth:`Store.describe` said at first. ``pending``: a commit that was signed
    and not put in place, and what came of it (``torn``: not a sound one, or against the rules; the
    next writer replaces it). ``swept`` entries of dead writers were removed from ``tmp/``.
    ``deleted`` files were, of those that destroyed bundles, pruned rekeyings and shredded epochs
    had left; ``undeleted`` are the names of those that still wait for it. ``leftovers`` are the
    names of files that no event calls for. ``clock`` is this machine's, ``last_time`` that of the
    newest event (UTC seconds). ``pin``: what this machine remembers, against the log (``newer``: it
    has seen more than there is). ``trouble`` is why the log can't be read; what would follow from
    it is empty then.
    """

    medium: dict[str, str | int | bool | None]
    pending: Pending
    swept: int
    clock: int
    size: int = 0
    last_time: int = 0
    leftovers: tuple[str, ...] = ()
    pin: PinState = "absent"
    trouble: VaultError | None = None
    deleted: int = 0
    undeleted: tuple[str, ...] = ()


def tend(
    store: Store,
    *,
    state: LocalState | None = None,
    clock: Callable[[], float] = _time.time,
) -> Condition:
    """Finish a pending commit and deletions, sweep ``tmp/``, and look at the place.

    On a medium that can't be written to it only looks. Raises ``NotAVaultError``,
    ``UnsupportedVersionError``, ``OSError``.
    """
    if not store.exists(LOG):
        check_format(store)
    medium = store.describe()
    writable = store.writable()
    pending: Pending = "none"
    swept = 0
    if store.pending() is not None:
        pending = "not-finished"
        if writable:
            pending = "torn" if Log(store).finish_pending() is not None else "finished"
    if writable:
        swept = store.sweep()
    now = int(clock())
    try:
        vault = Vault.open(store)
    except VaultError as error:
        return Condition(medium, pending, swept, now, trouble=error)
    deleted = finish_deletions(vault).deleted if writable else 0
    undeleted, leftovers = _left(vault)
    return Condition(
        medium,
        pending,
        swept,
        now,
        size=vault.size,
        last_time=vault.event(vault.size - 1).time,
        leftovers=leftovers,
        pin=_pin(vault, state),
        deleted=deleted,
        undeleted=undeleted,
    )


def _left(vault: Vault) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of files that should be gone, and of those that no event calls for."""
    replacements = Replacements(vault.store)
    expected = expected_files(vault.events(), vault.state, replacements)
    stored = [name for name, _ in vault.store.list()]
    going = tuple(name for name in stored if name in expected and expected[name].destroyed)
    if unread_manifests(vault.state, replacements):
        return going, ()  # some that seem to be nobody's may stand in the place of others
    strangers = (name for name in stored if name not in expected and name != FORMAT_NAME)
    return going, tuple(name for name in strangers if not name.startswith(f"{LOG}/"))


def _pin(vault: Vault, state: LocalState | None) -> PinState:
    try:
        pin = state.pin(vault.id) if state is not None else None
    except FormatError:
        return "damaged"
    if pin is None:
        return "absent"
    try:
        check_pin(pin.checkpoint, vault.state.origin, vault.size, vault.tree, vault.store.place)
    except RollbackError:
        return "newer" if pin.checkpoint.size > vault.size else "other"
    return "same" if pin.checkpoint.size == vault.size else "older"
