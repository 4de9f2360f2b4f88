"""Two signers with fixed keys."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from nacl.signing import SigningKey

from vault.tlog.checkpoint import CheckpointSigner


class Signer:
    """Both keys, from one seed."""

    def __init__(self, seed: bytes) -> None:
        self._ed25519 = SigningKey(seed)
        self._ml_dsa_44 = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.ed25519 = bytes(self._ed25519.verify_key)
        self.ml_dsa_44 = self._ml_dsa_44.public_key().public_bytes_raw()

    def sign_ed25519(self, message: bytes) -> bytes:
        return self._ed25519.sign(message).signature

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        return self._ml_dsa_44.sign(message)


@pytest.fixture(scope="session")
def signer() -> CheckpointSigner:
    return Signer(b"\x01" * 32)


@pytest.fixture(scope="session")
def stranger() -> CheckpointSigner:
    return Signer(b"\x02" * 32)
