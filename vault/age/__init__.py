"""age v1 (age-encryption.org/v1), complete: C2SP ``age.md``.

    identity = HybridIdentity.generate()
    with writer(sink, [identity.recipient()]) as file:
        file.write(data)
    decrypt(source, sink, [identity])

Recipient types: hybrid ML-KEM-768 and X25519 (what this project encrypts to), X25519, scrypt.
Failures, in the words of the public test kit: no match ``NoIdentityMatchError``, header failure
``HeaderError``, HMAC failure ``HeaderMacError``, payload failure ``PayloadError``, armor failure
``ArmorError``. Nothing that was not authenticated is ever handed out.
"""

from vault.age.armor import ArmorReader, ArmorWriter, armored, format_armor, parse_armor
from vault.age.base import Identity, Recipient, SeekableSource, Sink, Source, Stanza
from vault.age.file import (
    MAX_BYTES,
    decrypt,
    decrypt_bytes,
    decrypt_secret,
    encrypt,
    encrypt_bytes,
    open,  # noqa: A004  # called as age.open, like gzip.open
    writer,
)
from vault.age.hybrid import HybridIdentity, HybridRecipient
from vault.age.scrypt import ScryptIdentity, ScryptRecipient
from vault.age.stream import CHUNK_SIZE, Reader, Writer, payload_size, plaintext_size
from vault.age.x25519 import X25519Identity, X25519Recipient

__all__ = [
    "CHUNK_SIZE",
    "MAX_BYTES",
    "ArmorReader",
    "ArmorWriter",
    "HybridIdentity",
    "HybridRecipient",
    "Identity",
    "Reader",
    "Recipient",
    "ScryptIdentity",
    "ScryptRecipient",
    "SeekableSource",
    "Sink",
    "Source",
    "Stanza",
    "Writer",
    "X25519Identity",
    "X25519Recipient",
    "armored",
    "decrypt",
    "decrypt_bytes",
    "decrypt_secret",
    "encrypt",
    "encrypt_bytes",
    "format_armor",
    "open",
    "parse_armor",
    "payload_size",
    "plaintext_size",
    "writer",
]
