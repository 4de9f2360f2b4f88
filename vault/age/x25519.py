"""The X25519 recipient type (age.md, "The X25519 recipient type"): read and written for the sake of
files and people that have no hybrid keys; a quantum computer opens it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.age.base import BODY_SIZE, Stanza, decode
from vault.codec import format_base64_raw, format_bech32, parse_bech32
from vault.errors import FormatError, HeaderError
from vault.secret import Octets, Secret

__all__ = ["X25519Identity", "X25519Recipient", "check_point"]

_TYPE: Final = "X25519"
_INFO: Final = b"age-encryption.org/v1/X25519"
_RECIPIENT_HRP: Final = "age"
_IDENTITY_HRP: Final = "age-secret-key-"
_KEY_SIZE: Final = 32
_WHAT: Final = "X25519 stanza"
# A wrap key serves one stanza only, so its AEAD nonce may be fixed (age.md).
_NONCE: Final = bytes(12)
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(_KEY_SIZE))


def check_point(point: bytes) -> None:
    """Raise ``FormatError`` for a public key (32 bytes) with which every shared secret is zero.

    Clamped scalars are multiples of the small order, so that any of them tells.
    """
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise FormatError("X25519 public key", "a point of small order") from None


def _wrap_key(shared_secret: bytes, share: bytes, recipient: bytes) -> ChaCha20Poly1305:
    with Secret.of_zeros(32) as key:
        kdf = HKDF(SHA256(), 32, salt=share + recipient, info=_INFO)
        kdf.derive_into(shared_secret, key.view)
        return ChaCha20Poly1305(key.view)


@final
class X25519Recipient:
    """An X25519 public key (32 bytes). Equal when its bytes are."""

    __slots__ = ("_point",)
    post_quantum: Final = False

    def __init__(self, point: bytes) -> None:
        if len(point) != _KEY_SIZE:
            raise FormatError("X25519 recipient", f"{len(point)} bytes, not {_KEY_SIZE}")
        check_point(point)
        self._point = bytes(point)

    @classmethod
    def from_bytes(cls, data: bytes) -> X25519Recipient:
        """Take the 32 bytes; raise ``FormatError`` for another size or a point of small order."""
        return cls(data)

    def to_bytes(self) -> bytes:
        """Return the 32 bytes."""
        return self._point

    @classmethod
    def from_string(cls, text: str) -> X25519Recipient:
        """Parse ``age1…``, lower case; raise ``FormatError``."""
        hrp, data = parse_bech32(text)
        if hrp != _RECIPIENT_HRP or text != text.lower():
            raise FormatError("X25519 recipient", "it does not begin with age1")
        return cls(data)

    def to_string(self) -> str:
        """Return ``age1…``."""
        return format_bech32(_RECIPIENT_HRP, self._point)

    def wrap(self, file_key: Octets) -> tuple[Stanza, ...]:
        """Return one stanza; a fresh ephemeral secret goes into each."""
        return (self._wrap_with(file_key, os.urandom(_KEY_SIZE)),)

    def _wrap_with(self, file_key: Octets, ephemeral_secret: bytes) -> Stanza:
        ephemeral = X25519PrivateKey.from_private_bytes(ephemeral_secret)
        share = ephemeral.public_key().public_bytes_raw()
        shared_secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(self._point))
        body = _wrap_key(shared_secret, share, self._point).encrypt(_NONCE, file_key, None)
        return Stanza(_TYPE, (format_base64_raw(share),), body)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, X25519Recipient):
            return NotImplemented
        return self._point == other._point

    def __hash__(self) -> int:
        return hash((X25519Recipient, self._point))

    def __repr__(self) -> str:
        return f"<X25519Recipient {self.to_string()}>"


@final
class X25519Identity:
    """An X25519 secret key (32 bytes), which never shows in ``repr``. Equal when its bytes are.

    ``close`` wipes it, as does letting it go; it opens nothing from then on.
    """

    __slots__ = ("_key", "_recipient", "_seed")

    def __init__(self, seed: Octets) -> None:
        if len(seed) != _KEY_SIZE:
            raise ValueError(f"an X25519 identity has {_KEY_SIZE} bytes")
        self._seed = Secret(seed)
        del seed  # or whoever formats a traceback with locals would show it
        self._key: X25519PrivateKey | None = X25519PrivateKey.from_private_bytes(self._seed.view)
        self._recipient = X25519Recipient(self._key.public_key().public_bytes_raw())

    def close(self) -> None:
        """Wipe the secret key. What was made of it elsewhere is not reached."""
        self._seed.wipe()
        self._key = None

    @classmethod
    def generate(cls) -> X25519Identity:
        """Make a new identity."""
        return cls(os.urandom(_KEY_SIZE))

    @classmethod
    def from_seed(cls, seed: Octets) -> X25519Identity:
        """Take the 32 secret bytes; raise ``ValueError`` for another size."""
        return cls(seed)

    @property
    def seed(self) -> bytes:
        """A copy of the 32 secret bytes, which nothing can wipe."""
        return bytes(self._seed)

    @classmethod
    def from_string(cls, text: str) -> X25519Identity:
        """Parse ``AGE-SECRET-KEY-1…``, upper case; raise ``FormatError``."""
        hrp, data = parse_bech32(text)
        if hrp != _IDENTITY_HRP or text != text.upper():
            raise FormatError("X25519 identity", "it does not begin with AGE-SECRET-KEY-1")
        if len(data) != _KEY_SIZE:
            raise FormatError("X25519 identity", f"{len(data)} bytes, not {_KEY_SIZE}")
        return cls(data)

    def to_string(self) -> str:
        """Return ``AGE-SECRET-KEY-1…``."""
        return format_bech32(_IDENTITY_HRP, bytes(self._seed)).upper()

    def recipient(self) -> X25519Recipient:
        """Return the public half."""
        return self._recipient

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key if a stanza is for this identity; raise ``HeaderError`` for an X25519
        stanza that is malformed or of small order, ``ValueError`` once it is closed.
        """
        if self._key is None:
            raise ValueError("the identity is closed")
        # All are looked at first: a malformed one is an error also behind one that opens.
        wrapped = [(_parse_share(one), one.body) for one in stanzas if one.type == _TYPE]
        for share, body in wrapped:
            try:
                shared_secret = self._key.exchange(X25519PublicKey.from_public_bytes(share))
            except ValueError:
                raise HeaderError(_WHAT, "a share of small order") from None
            key = _wrap_key(shared_secret, share, self._recipient.to_bytes())
            try:
                return key.decrypt(_NONCE, body, None)
            except InvalidTag:
                continue
        return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, X25519Identity):
            return NotImplemented
        return self._seed == other._seed

    def __hash__(self) -> int:
        return hash((X25519Identity, self._recipient))

    def __repr__(self) -> str:
        return f"<X25519Identity of {self._recipient.to_string()}>"


def _parse_share(stanza: Stanza) -> bytes:
    if len(stanza.args) != 1:
        raise HeaderError(_WHAT, "not two arguments")
    if len(stanza.body) != BODY_SIZE:
        raise HeaderError(_WHAT, f"a body of {len(stanza.body)} bytes, not {BODY_SIZE}")
    return decode(stanza.args[0], _WHAT, _KEY_SIZE)
