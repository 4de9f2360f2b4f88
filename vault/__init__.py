"""Evidence Vault: encrypted, signed evidence with a chain of custody that anyone can check.

    from vault import Vault, audit

:class:`Vault` creates, opens, seals, reads and appends; :func:`audit` checks everything that can be
checked, without any key. What is imported here is the public surface; it is loaded when it is first
used, so ``import vault`` costs nothing. The formats are in ``docs/spec.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vault._version import __version__

if TYPE_CHECKING:
    from vault.access import AccessRecord, check_access_record, format_access_record
    from vault.auditing import Anchor, Coverage, Finding, Report, audit
    from vault.bundle import Item
    from vault.custody import BundleState, Epoch, Member, Policy, State
    from vault.errors import VaultError
    from vault.event import Event
    from vault.identity import (
        Card,
        Identity,
        PublicKeys,
        format_card,
        format_identity_file,
        parse_card,
        parse_identity_file,
    )
    from vault.localstate import LocalState
    from vault.pipeline import Progress
    from vault.reading import BundleReading, ItemReader
    from vault.sealing import SealWriter
    from vault.storage import LocalStore, MemoryStore, Store
    from vault.vault import Vault

_HOMES = {
    "vault.access": ("AccessRecord", "check_access_record", "format_access_record"),
    "vault.auditing": ("Anchor", "Coverage", "Finding", "Report", "audit"),
    "vault.bundle": ("Item",),
    "vault.custody": ("BundleState", "Epoch", "Member", "Policy", "State"),
    "vault.errors": ("VaultError",),
    "vault.event": ("Event",),
    "vault.identity": (
        "Card",
        "Identity",
        "PublicKeys",
        "format_card",
        "format_identity_file",
        "parse_card",
        "parse_identity_file",
    ),
    "vault.localstate": ("LocalState",),
    "vault.pipeline": ("Progress",),
    "vault.reading": ("BundleReading", "ItemReader"),
    "vault.sealing": ("SealWriter",),
    "vault.storage": ("LocalStore", "MemoryStore", "Store"),
    "vault.vault": ("Vault",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccessRecord",
    "Anchor",
    "BundleReading",
    "BundleState",
    "Card",
    "Coverage",
    "Epoch",
    "Event",
    "Finding",
    "Identity",
    "Item",
    "ItemReader",
    "LocalState",
    "LocalStore",
    "Member",
    "MemoryStore",
    "Policy",
    "Progress",
    "PublicKeys",
    "Report",
    "SealWriter",
    "State",
    "Store",
    "Vault",
    "VaultError",
    "__version__",
    "audit",
    "check_access_record",
    "format_access_record",
    "format_card",
    "format_identity_file",
    "parse_card",
    "parse_identity_file",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
