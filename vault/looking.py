"""What a vault shows to whoever looks at it: private things where they are open, else that they are
not. Looking is never recorded, and one damaged file does not hide what lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, final

from vault.bundle import Items
from vault.codec import Value
from vault.errors import NoIdentityMatchError, VaultError
from vault.event import Event
from vault.naming import names_of
from vault.vault import Vault

__all__ = [
    "Seen",
    "fields_of",
    "items_of",
    "member_names",
]


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """The private fields of an event. ``state`` is ``open``, ``sealed`` (to this identity, or to
    nobody's), ``destroyed`` (with their bundle) or ``damaged``; ``fields`` is empty unless they are
    open.
    """

    state: Literal["damaged", "destroyed", "open", "sealed"]
    fields: dict[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a field that is text; empty if it is absent or not open."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def fields_of(vault: Vault, event: Event) -> Seen:
    """Return the private fields of an event, as far as they are open."""
    if vault.identity is None:
        return Seen("sealed")
    try:
        return Seen("open", vault.fields(event))
    except NoIdentityMatchError:
        return Seen("sealed")
    except (VaultError, OSError):
        return Seen("destroyed" if _goes_with_bundle(vault, event) else "damaged")


_KEPT: Final = frozenset(("bundle.destroyed", "destruction.approved", "destruction.requested"))


def _goes_with_bundle(vault: Vault, event: Event) -> bool:
    """Whether the fields of an event may be gone, as those of a destroyed bundle are."""
    bundle = vault.state.bundles.get(event.bundle) if event.bundle is not None else None
    return bundle is not None and bundle.destroyed is not None and event.type not in _KEPT


def items_of(vault: Vault, bundle: bytes) -> Items | None:
    """Return the items of a bundle, without their content.

    None if they are not open to this identity, or destroyed. Raises what :meth:`Vault.read` does
    for a bundle that is damaged.
    """
    if vault.identity is None or vault.bundle(bundle).destroyed is not None:
        return None
    try:
        with vault.read(bundle) as reading:
            return reading.items
    except NoIdentityMatchError:
        return None


def member_names(vault: Vault) -> dict[bytes, str]:
    """Return what members are called, by Ed25519 key: the newest of the names that each was
    admitted under and that are open.
    """
    found = ((key, names_of(vault, member)) for key, member in vault.state.members.items())
    return {key: names[0] for key, names in found if names}
