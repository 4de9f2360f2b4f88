"""Who signed a checkpoint, of those whom a log ever named as members."""

from __future__ import annotations

from vault.custody.state import Member, State
from vault.errors import VerificationError
from vault.tlog.checkpoint import SignedCheckpoint, check_checkpoint

__all__ = ["signer_of"]


def signer_of(state: State, signed: SignedCheckpoint) -> Member | None:
    """Return the member, of now or before, who signed a checkpoint of this vault; None if none did.

    Both signatures count, and the origin: a checkpoint of another vault is no member's here.
    """
    for member in state.members.values():
        keys = member.keys
        try:
            check_checkpoint(signed, keys.ed25519, keys.ml_dsa_44, origin=state.origin)
        except VerificationError:
            continue
        return member
    return None
