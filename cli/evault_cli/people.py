"""How members, bundles and events are named to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

from evault_cli.render import escape, short, utc

if TYPE_CHECKING:
    from vault import BundleState, Vault
    from vault.looking import Seen

__all__ = ["People", "bundle_of", "bundle_record", "standing"]


@final
class People:
    """The members of a vault, by name where names are open, and by fingerprint."""

    def __init__(self, vault: Vault, known: Mapping[bytes, str] = {}) -> None:
        """Ask the vault; ``known`` are names that are known from elsewhere."""
        from vault.looking import member_names

        self._members = vault.state.members
        self._names = {**known, **member_names(vault)}
        self._me = vault.identity.ed25519 if vault.identity is not None else None

    def fingerprint(self, key: bytes) -> bytes:
        """Return the fingerprint of a member's keys; of a stranger's, the key itself."""
        member = self._members.get(key)
        return member.keys.fingerprint if member is not None else key

    def name(self, key: bytes) -> str | None:
        """Return the name, as it stands in the vault."""
        return self._names.get(key)

    def shown(self, key: bytes) -> str:
        """Return name and fingerprint for a person, in one line."""
        name = escape(self._names.get(key, ""))
        me = ", you" if key == self._me else ""
        mark = f"({short(self.fingerprint(key))}{me})"
        return f"{name} {mark}" if name else mark[1:-1]

    def brief(self, key: bytes) -> str:
        """Return the name where it is open, else the fingerprint, for a narrow column."""
        shown = escape(self._names.get(key, "")) or short(self.fingerprint(key))
        return f"{shown}, you" if key == self._me else shown

    def record(self, key: bytes) -> dict[str, object]:
        """Return name and fingerprint for JSON."""
        return {"fingerprint": self.fingerprint(key).hex(), "name": self.name(key)}


def bundle_of(vault: Vault, prefix: str) -> BundleState:
    """Return the bundle that a prefix of its id stands for."""
    return vault.bundle(prefix.strip().lower())


def standing(bundle: BundleState) -> str:
    """Return in a word how a bundle stands."""
    if bundle.destroyed is not None:
        return "destroyed"
    if bundle.interrupted:
        return "interrupted"
    if bundle.release is not None:
        return "released"
    return "held"


def bundle_record(bundle: BundleState, seen: Seen, people: People) -> dict[str, object]:
    """Return for JSON what is said of a bundle in a list."""
    return {
        "bundle": bundle.id.hex(),
        "event": bundle.seq,
        "sealed_at": utc(bundle.time),
        "size": bundle.size,
        "holder": people.record(bundle.holder),
        "now": standing(bundle),
        "private": seen.state,
        "title": seen.fields.get("title"),
        "captured_at": seen.fields.get("captured_at"),
        "items": seen.fields.get("item_count"),
    }
