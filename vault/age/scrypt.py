"""The scrypt recipient type: a passphrase (age.md, "The scrypt recipient type").

A passphrase is bytes as typed, or text taken as UTF-8 without any normalisation. The work factor is
the base-two logarithm of scrypt's N; with r = 8 it costs 2^factor KiB of memory (18: 256 MiB and
about a second) and is chosen by whoever made the file, so reading caps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vault.age.base import BODY_SIZE, Stanza, decode
from vault.codec import format_base64_raw
from vault.errors import DecryptionError, HeaderError
from vault.secret import Octets, Secret, wipe

__all__ = [
    "DEFAULT_MAX_WORK_FACTOR",
    "DEFAULT_WORK_FACTOR",
    "ScryptIdentity",
    "ScryptRecipient",
]

DEFAULT_WORK_FACTOR: Final = 18
DEFAULT_MAX_WORK_FACTOR: Final = 20
_HIGHEST_WORK_FACTOR: Final = 30
_TYPE: Final = "scrypt"
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_SALT_SIZE: Final = 16
_WHAT: Final = "scrypt stanza"
_FACTOR: Final = re.compile(r"[1-9][0-9]*\Z", re.ASCII)
# A wrap key serves one stanza only, so its AEAD nonce may be fixed (age.md).
_NONCE: Final = bytes(12)


def _kept(passphrase: str | Octets | Secret) -> Secret:
    """Return a copy of our own, wiped whenever its keeper goes."""
    if isinstance(passphrase, Secret):
        return Secret(passphrase.view)
    if isinstance(passphrase, str):
        encoded = bytearray(passphrase, "utf-8")
        try:
            return _kept(encoded)
        finally:
            wipe(encoded)
    if not passphrase:
        raise ValueError("an empty passphrase")
    return Secret(passphrase)


def _check_factor(factor: int) -> None:
    if not 1 <= factor <= _HIGHEST_WORK_FACTOR:
        raise ValueError(f"a work factor is 1 to {_HIGHEST_WORK_FACTOR}")


def _wrap_key(passphrase: Secret, salt: bytes, factor: int) -> ChaCha20Poly1305:
    kdf = Scrypt(salt=_LABEL + salt, length=32, n=1 << factor, r=8, p=1)
    with Secret.of_zeros(32) as key:
        kdf.derive_into(passphrase.view, key.view)
        return ChaCha20Poly1305(key.view)


@final
class ScryptRecipient:
    """A passphrase to encrypt with, alone. It never shows in ``repr``; compared by identity.

    It is copied; ``close`` or letting it go wipes the copy.

    Raises ``ValueError`` for an empty passphrase or a work factor outside 1 to 30. Files beyond
    factor 20 are read only by those who raise their limit.
    """

    __slots__ = ("_factor", "_passphrase")
    post_quantum: Final = True

    def __init__(
        self,
        passphrase: str | Octets | Secret,
        work_factor: int = DEFAULT_WORK_FACTOR,
    ) -> None:
        _check_factor(work_factor)
        self._passphrase = _kept(passphrase)
        self._factor = work_factor

    def close(self) -> None:
        """Wipe the passphrase; using it is ``ValueError`` from then on."""
        self._passphrase.wipe()

    def wrap(self, file_key: Octets) -> tuple[Stanza, ...]:
        """Return one stanza, with a fresh salt; raise ``MemoryError`` without 2^factor KiB."""
        return (self._wrap_with(file_key, os.urandom(_SALT_SIZE)),)

    def _wrap_with(self, file_key: Octets, salt: bytes) -> Stanza:
        body = _wrap_key(self._passphrase, salt, self._factor).encrypt(_NONCE, file_key, None)
        return Stanza(_TYPE, (format_base64_raw(salt), str(self._factor)), body)

    def __repr__(self) -> str:
        return f"<ScryptRecipient of work factor {self._factor}>"


@final
class ScryptIdentity:
    """A passphrase to decrypt with. It never shows in ``repr``; compared by identity.

    It is copied; ``close`` or letting it go wipes the copy.

    Raises ``ValueError`` for an empty passphrase or a limit outside 1 to 30.
    """

    __slots__ = ("_max_factor", "_passphrase")

    def __init__(
        self,
        passphrase: str | Octets | Secret,
        max_work_factor: int = DEFAULT_MAX_WORK_FACTOR,
    ) -> None:
        _check_factor(max_work_factor)
        self._passphrase = _kept(passphrase)
        self._max_factor = max_work_factor

    def close(self) -> None:
        """Wipe the passphrase; using it is ``ValueError`` from then on."""
        self._passphrase.wipe()

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """Return the file key if the only stanza is for this passphrase.

        Raises ``HeaderError`` for an scrypt stanza that is malformed, beyond the limit, or not
        alone, and ``DecryptionError`` where scrypt's memory is not to be had.
        """
        for stanza in stanzas:
            if stanza.type != _TYPE:
                continue
            if len(stanzas) != 1:
                raise HeaderError(_WHAT, "not the only stanza")
            salt, factor = _parse_arguments(stanza, self._max_factor)
            try:
                key = _wrap_key(self._passphrase, salt, factor)
            except MemoryError:
                raise DecryptionError(
                    _WHAT, f"its work takes {1 << factor} KiB of memory"
                ) from None
            try:
                return key.decrypt(_NONCE, stanza.body, None)
            except InvalidTag:
                return None
        return None

    def __repr__(self) -> str:
        return f"<ScryptIdentity up to work factor {self._max_factor}>"


def _parse_arguments(stanza: Stanza, max_factor: int) -> tuple[bytes, int]:
    match stanza.args:
        case (salt, factor):
            pass
        case _:
            raise HeaderError(_WHAT, "not three arguments")
    if len(stanza.body) != BODY_SIZE:
        raise HeaderError(_WHAT, f"a body of {len(stanza.body)} bytes, not {BODY_SIZE}")
    if not _FACTOR.match(factor):
        raise HeaderError(_WHAT, "a work factor that is no plain decimal number")
    # The length is looked at first: int() of a very long string is slow, then refused.
    if len(factor) > len(str(max_factor)) or int(factor) > max_factor:
        raise HeaderError(_WHAT, f"a work factor beyond {max_factor}")
    return decode(salt, _WHAT, _SALT_SIZE), int(factor)
