"""What a vault shows to whoever looks at it: private things where they are open, else that they are
not. Looking is never recorded, and one damaged file does not hide what lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

from vault.bundle import Items
from vault.codec import Value
from vault.custody import BundleState
from vault.errors import NoIdentityMatchError, VaultError
from vault.event import Event
from vault.vault import Vault

__all__ = [
    "Link",
    "Remark",
    "Seen",
    "chain_of",
    "fields_of",
    "items_of",
    "member_names",
]


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """The private fields of an event. ``state`` is ``open``, ``sealed`` (to this identity, or to
    nobody's) or ``damaged``; ``fields`` is empty unless they are open.
    """

    state: Literal["damaged", "open", "sealed"]
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
        return Seen("damaged")


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
    """Return the names that members were admitted under, by Ed25519 key, where they are open."""
    names = {}
    for key, member in vault.state.members.items():
        name = fields_of(vault, vault.event(member.admitted)).text("member.name")
        if name:
            names[key] = name
    return names


# --- the chain of custody ---------------------------------------------------------------------

Remark: TypeAlias = Literal[
    "assumed", "before-the-last", "breaks-a-rule", "disputed", "interrupted", "late"
]


@final
@dataclass(frozen=True, slots=True)
class Link:
    """One event of a bundle's chain and ``holder`` (Ed25519), who answers for the bundle after it.

    ``remarks``: ``assumed`` (the holder changed without the releaser's signature), ``interrupted``,
    ``disputed`` (by a removal that declared this key's events doubtful), ``breaks-a-rule`` (those
    named in ``rules``), ``before-the-last`` (its time is earlier than that of the event before it),
    ``late`` (it says why it was recorded late).
    """

    event: Event
    holder: bytes
    seen: Seen
    remarks: tuple[Remark, ...] = ()
    rules: tuple[str, ...] = ()


def chain_of(vault: Vault, bundle: BundleState) -> tuple[Link, ...]:
    """Return the chain of custody of a bundle, in order."""
    broken: dict[int, list[str]] = {}
    for breach in vault.breaches:
        broken.setdefault(breach.seq, []).append(breach.rule)
    holders = dict(bundle.holders)
    links: list[Link] = []
    holder = bundle.sealer
    time = 0
    for seq in bundle.chain:
        event = vault.event(seq)
        holder = holders.get(seq, holder)
        seen = fields_of(vault, event)
        remarks: list[Remark] = []
        if seq in broken:
            remarks.append("breaks-a-rule")
        if vault.state.is_disputed(event.actor, seq):
            remarks.append("disputed")
        if event.type == "custody.assumed":
            remarks.append("assumed")
        if event.type == "custody.interrupted" and event.data["state"] == "interrupted":
            remarks.append("interrupted")
        if event.time < time:
            remarks.append("before-the-last")
        if seen.text("recorded_late_because"):
            remarks.append("late")
        time = event.time
        links.append(Link(event, holder, seen, tuple(remarks), tuple(broken.get(seq, ()))))
    return tuple(links)
