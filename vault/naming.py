"""What the members of a vault are called: private, and said by the events that admitted them.

A member may be admitted again, with other roles or under another name, and what one admission says
may be closed to somebody to whom another one is open. The first event admits the initialiser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vault.codec import Value
from vault.custody import Member
from vault.errors import VaultError
from vault.view import View

__all__ = ["admissions_of", "names_of"]


def admissions_of(vault: View, member: Member) -> Iterator[Mapping[str, Value]]:
    """Yield the private fields of each event that admitted a member, the newest first.

    Those that are closed to this identity, or damaged, are left out: what the others say holds.
    """
    if vault.identity is None:
        return
    for seq in reversed(member.admissions):
        try:
            fields = vault.fields(vault.event(seq))
        except (VaultError, OSError):
            continue
        yield fields


def names_of(vault: View, member: Member) -> tuple[str, ...]:
    """Return the names that a member was admitted under, the newest first, where they are open."""
    names = (fields.get("member.name") for fields in admissions_of(vault, member))
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))
