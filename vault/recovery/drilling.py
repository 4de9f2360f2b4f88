"""The rehearsal: shares that still work, put on record by the identity that they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vault.codec import Packable
from vault.errors import NotFoundError
from vault.event import Event
from vault.recovery.joining import join_shares
from vault.recovery.shares import Share
from vault.vault import Vault

__all__ = ["drill"]


def drill(
    vault: Vault,
    shares: Sequence[Share],
    *,
    detail: str = "",
    fields: Mapping[str, Packable] | None = None,
) -> Event:
    """Prove that shares give back a member's identity, and append ``recovery.drilled``.

    ``vault`` is opened by that identity, as :func:`join_shares` gives it: nothing else could sign
    the event (``ValueError`` otherwise). Its private field ``detail`` says which shares there were,
    and then what ``detail`` adds, such as who ran the drill; ``fields`` are further ones. Raises
    ``ShareError``, ``NotFoundError`` if the identity is no member of this vault (any more), and
    what :meth:`Vault.append` does; nothing is recorded then.
    """
    identity = join_shares(shares)
    if vault.identity is None or vault.identity.keys != identity.keys:
        raise ValueError("the vault is not opened by the identity of these shares")
    if vault.state.member(identity.ed25519) is None:
        fingerprint = identity.keys.fingerprint.hex()
        why = f"the shares are sound, but the identity that they give ({fingerprint}) is no member"
        raise NotFoundError(vault.store.place, why)
    numbers = sorted(share.number for share in shares)
    said = f"shares {', '.join(map(str, numbers))}; {shares[0].threshold} are needed"
    values = {**(fields or {}), "detail": f"{said}; {detail}" if detail else said}
    return vault.append("recovery.drilled", fields=values)
