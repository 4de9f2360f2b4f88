"""The MLKEM768-X25519 recipient type, also known as X-Wing (age.md, "The MLKEM768-X25519 … hybrid
post-quantum recipient type"): HPKE in base mode (RFC 9180) with that KEM, HKDF-SHA-256 and
ChaCha20-Poly1305. It holds as long as either of ML-KEM-768 and X25519 does.

From a seed of 32 bytes, SHAKE256 gives 96: 64 are the seed of the ML-KEM key, 32 the X25519 secret
key. A public key is 1184 bytes of ML-KEM, then 32 of X25519; an encapsulated key is 1088 then 32.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from vault.age.base import BODY_SIZE, Stanza, decode
from vault.age.x25519 import check_point
from vault.codec import format_base64_raw, format_bech32, parse_bech32
from vault.errors import FormatError, HeaderError
from vault.keyline import format_key_line
from vault.secret import Octets, Secret

__all__ = ["HybridIdentity", "HybridRecipient"]

_TYPE: Final = "mlkem768x25519"
_INFO: Final = b"age-encryption.org/mlkem768x25519"
_RECIPIENT_HRP: Final = "age1pq"
_IDENTITY_HRP: Final = "age-secret-key-pq-"
_SEED_SIZE: Final = 32
_ML_KEM_KEY_SIZE: Final = 1184
_ML_KEM_CIPHERTEXT_SIZE: Final = 1088
_POINT_SIZE: Final = 32
_PUBLIC_SIZE: Final = _ML_KEM_KEY_SIZE + _POINT_SIZE
_ENC_SIZE: Final = _ML_KEM_CIPHERTEXT_SIZE + _POINT_SIZE
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_WHAT: Final = "mlkem768x25519 stanza"


@final
class HybridRecipient:
    """An ML-KEM-768 and X25519 public key (1216 bytes). Equal when its bytes are."""

    __slots__ = ("_data", "_key")
    post_quantum: Final = True

    def __init__(self, data: bytes) -> None:
        if len(data) != _PUBLIC_SIZE:
            raise FormatError("hybrid recipient", f"{len(data)} bytes, not {_PUBLIC_SIZE}")
        ml_kem, point = data[:_ML_KEM_KEY_SIZE], data[_ML_KEM_KEY_SIZE:]
        check_point(point)
        try:
            ml_kem_key = MLKEM768PublicKey.from_public_bytes(ml_kem)
        except ValueError:
            # FIPS 203 section 7.2: coefficients that are not reduced.
            raise FormatError("hybrid recipient", "not an ML-KEM-768 public key") from None
        self._data = bytes(data)
        self._key = MLKEM768X25519PublicKey(ml_kem_key, X25519PublicKey.from_public_bytes(point))

    @classmethod
    def from_bytes(cls, data: bytes) -> HybridRecipient:
        """Take the 1216 bytes; raise ``FormatError`` for another size or an impossible key."""
        return cls(data)

    def to_bytes(self) -> bytes:
        """Return the 1216 bytes."""
        return self._data

    @classmethod
    def from_string(cls, text: str) -> HybridRecipient:
        """Parse ``age1pq1…``, lower case, 1959 characters; raise ``FormatError``."""
        hrp, data = parse_bech32(text)
        if hrp != _RECIPIENT_HRP or text != text.lower():
            raise FormatError("hybrid recipient", "it does not begin with age1pq1")
        return cls(data)

    def to_string(self) -> str:
        """Return ``age1pq1…``."""
        return format_bech32(_RECIPIENT_HRP, self._data)

    def wrap(self, file_key: Octets) -> tuple[Stanza, ...]:
        """Return one stanza. Its randomness is drawn within HPKE and can't be given."""
        sealed = _SUITE.encrypt(file_key, self._key, _INFO)
        enc, body = sealed[:_ENC_SIZE], sealed[_ENC_SIZE:]
        return (Stanza(_TYPE, (format_base64_raw(enc),), body),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HybridRecipient):
            return NotImplemented
        return self._data == other._data

    def __hash__(self) -> int:
        return hash((HybridRecipient, self._data))

    def __repr__(self) -> str:
        return f"<HybridRecipient {self.to_string()[:24]}…>"


@final
class HybridIdentity:
    """A seed of 32 bytes, which never shows in ``repr``. Equal when its seed is.

    ``close`` wipes it, as does letting it go; it opens nothing from then on.
    """

    __slots__ = ("_keys", "_recipient", "_seed")

    def __init__(self, seed: Octets) -> None:
        if len(seed) != _SEED_SIZE:
            raise ValueError(f"a hybrid identity has {_SEED_SIZE} bytes")
        self._seed = Secret(seed)
        del seed  # or whoever formats a traceback with locals would show it
        # A digest of more than 32 bytes comes as bytes alone: this copy can't be wiped.
        with memoryview(hashlib.shake_256(self._seed.view).digest(96)) as expanded:
            ml_kem_key = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
            point_key = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._keys: tuple[MLKEM768X25519PrivateKey, X25519PrivateKey] | None = (
            MLKEM768X25519PrivateKey(ml_kem_key, point_key),
            point_key,
        )
        self._recipient = HybridRecipient(
            ml_kem_key.public_key().public_bytes_raw() + point_key.public_key().public_bytes_raw()
        )

    def close(self) -> None:
        """Wipe the seed and let its keys go. What was made of them elsewhere is not reached."""
        self._seed.wipe()
        self._keys = None

    @classmethod
    def generate(cls) -> HybridIdentity:
        """Make a new identity."""
        return cls(os.urandom(_SEED_SIZE))

    @classmethod
    def from_seed(cls, seed: Octets) -> HybridIdentity:
        """Take the 32 secret bytes; raise ``ValueError`` for another size."""
        return cls(seed)

    @property
    def seed(self) -> bytes:
        """A copy of the 32 secret bytes, which nothing can wipe."""
        return bytes(self._seed)

    @classmethod
    def from_string(cls, text: str) -> HybridIdentity:
        """Parse ``AGE-SECRET-KEY-PQ-1…``, upper case; raise ``FormatError``."""
        hrp, data = parse_bech32(text)
        if hrp != _IDENTITY_HRP or text != text.upper():
            raise FormatError("hybrid identity", "it does not begin with AGE-SECRET-KEY-PQ-1")
        if len(data) != _SEED_SIZE:
            raise FormatError("hybrid identity", f"{len(data)} bytes, not {_SEED_SIZE}")
        return cls(data)

    def to_string(self) -> str:
        """Return ``AGE-SECRET-KEY-PQ-1…``, as text, which nothing can wipe."""
        return format_bech32(_IDENTITY_HRP, bytes(self._seed)).upper()

    def to_line(self) -> Secret:
        """Return ``AGE-SECRET-KEY-PQ-1…`` in memory that can be wiped."""
        return format_key_line(_IDENTITY_HRP, self._seed)

    def recipient(self) -> HybridRecipient:
        """Return the public half."""
        return self._recipient

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key if a stanza is for this identity; raise ``HeaderError`` for a hybrid
        stanza that is malformed or whose X25519 share is of small order, ``ValueError`` once it is
        closed.
        """
        if self._keys is None:
            raise ValueError("the identity is closed")
        key, point_key = self._keys
        # All are looked at first: a malformed one is an error also behind one that opens.
        wrapped = [(_parse_enc(one), one.body) for one in stanzas if one.type == _TYPE]
        for enc, body in wrapped:
            # HPKE folds every failure into one. A share of small order is not somebody else's
            # stanza but a malformed one, so the exchange is tried first, alone.
            share = X25519PublicKey.from_public_bytes(enc[_ML_KEM_CIPHERTEXT_SIZE:])
            try:
                point_key.exchange(share)
            except ValueError:
                raise HeaderError(_WHAT, "a share of small order") from None
            try:
                return _SUITE.decrypt(enc + body, key, _INFO)
            except InvalidTag:
                continue
        return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HybridIdentity):
            return NotImplemented
        return self._seed == other._seed

    def __hash__(self) -> int:
        return hash((HybridIdentity, self._recipient))

    def __repr__(self) -> str:
        return f"<HybridIdentity of {self._recipient.to_string()[:24]}…>"


def _parse_enc(stanza: Stanza) -> bytes:
    if len(stanza.args) != 1:
        raise HeaderError(_WHAT, "not two arguments")
    if len(stanza.body) != BODY_SIZE:
        raise HeaderError(_WHAT, f"a body of {len(stanza.body)} bytes, not {BODY_SIZE}")
    return decode(stanza.args[0], _WHAT, _ENC_SIZE)
