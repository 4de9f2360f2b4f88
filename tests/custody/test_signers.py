"""Who signed a checkpoint, of those whom the log names."""

from __future__ import annotations

import pytest

from tests.custody.histories import A, B, C, peopled, person
from vault.custody import signer_of
from vault.tlog.checkpoint import (
    Checkpoint,
    CheckpointSigner,
    SignedCheckpoint,
    parse_signed_checkpoint,
    sign_checkpoint,
)

ORIGIN = peopled().state.origin


def signed(by: CheckpointSigner, origin: str = ORIGIN, size: int = 3) -> SignedCheckpoint:
    return parse_signed_checkpoint(sign_checkpoint(Checkpoint(origin, size, bytes(32)), by))


def test_a_member_is_found_by_both_signatures_whatever_the_checkpoint_says() -> None:
    state = peopled().state
    for size in (1, state.size, 10**9):
        for who in (A, B, C):
            assert signer_of(state, signed(who, size=size)) is state.members[who.ed25519]


def test_a_member_who_was_removed_is_found_still() -> None:
    history = peopled()
    history.do(A, "member.removed", data={"member": B.ed25519})
    member = signer_of(history.state, signed(B))
    assert member is not None
    assert not member.active


class Mixed:
    """Signs with the keys of two members."""

    ed25519, ml_dsa_44 = A.ed25519, B.ml_dsa_44
    sign_ed25519, sign_ml_dsa_44 = A.sign_ed25519, B.sign_ml_dsa_44


@pytest.mark.parametrize("by", [person(9), Mixed()])
def test_who_is_no_member_is_nobody(by: CheckpointSigner) -> None:
    assert signer_of(peopled().state, signed(by)) is None


def test_a_checkpoint_of_another_vault_is_nobody_s_here() -> None:
    other = f"evidence-vault/{'ab' * 32}"
    assert signer_of(peopled().state, signed(A, other)) is None
