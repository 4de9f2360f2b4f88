"""The key file of a bundle: the age identity that opens its parts."""

from __future__ import annotations

import hashlib

from vault import age
from vault.errors import FormatError, ProofError

__all__ = ["format_bundle_key", "parse_bundle_key"]


def format_bundle_key(identity: age.HybridIdentity) -> bytes:
    """Return the plaintext of a bundle's key file: one line, the age identity."""
    return f"{identity.to_string()}\n".encode("ascii")


def parse_bundle_key(plaintext: bytes, key: bytes) -> age.HybridIdentity:
    """Parse a key file's plaintext; raise ``FormatError``, or ``ProofError`` unless the SHA-256 of
    its recipient is ``key``.
    """
    try:
        line, end = plaintext.decode("ascii").split("\n")
        identity = age.HybridIdentity.from_string(line)
    except ValueError:
        raise FormatError("key file", "not one line") from None
    if end:
        raise FormatError("key file", "not one line")
    if hashlib.sha256(identity.recipient().to_bytes()).digest() != key:
        raise ProofError("key file", "not the key that the bundle was sealed to")
    return identity
