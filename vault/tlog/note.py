"""C2SP signed-note: signed notes, verifier keys, and the two signature algorithms used here.

A note is a text and lines of signatures after its last blank line:

    <text, ends in a newline, may hold blank lines>
    <blank line>
    — <key name> <base64 of key id (4 bytes) || signature>
    …

It is strict UTF-8 without control characters below U+0020 other than the newline; lines end at
``"\\n"`` and nowhere else (not at U+2028, which is text). A key name is not empty and has neither
Unicode spaces nor ``+``. The specification asks for a limit that lets 16 signatures through; here
it is 64 signatures, and 1 MiB for the whole note.

Parsing verifies nothing. Who trusts a note says with which keys, in the modules that import this.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from vault.codec import format_base64, format_hex, parse_base64, parse_hex
from vault.errors import FormatError, SignatureError

__all__ = [
    "ED25519",
    "ED25519_PUBLIC_SIZE",
    "ED25519_SIGNATURE_SIZE",
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "ML_DSA_44",
    "ML_DSA_44_PUBLIC_SIZE",
    "ML_DSA_44_SIGNATURE_SIZE",
    "Note",
    "Signature",
    "VerifierKey",
    "format_note",
    "format_vkey",
    "is_key_name",
    "key_id",
    "parse_note",
    "parse_vkey",
    "verify_ed25519",
    "verify_ml_dsa_44",
]

ED25519: Final = 0x01
"""Signature type: Ed25519 over the note's text."""
ML_DSA_44: Final = 0x06
"""Signature type: ML-DSA-44 (sub)tree cosignature with timestamp (tlog-cosignature)."""
ED25519_PUBLIC_SIZE: Final = 32
ED25519_SIGNATURE_SIZE: Final = 64
ML_DSA_44_PUBLIC_SIZE: Final = 1312
ML_DSA_44_SIGNATURE_SIZE: Final = 2420

MAX_NOTE: Final = 1 << 20
MAX_SIGNATURES: Final = 64

_PUBLIC_SIZES: Final = {ED25519: ED25519_PUBLIC_SIZE, ML_DSA_44: ML_DSA_44_PUBLIC_SIZE}
_KEY_ID_SIZE: Final = 4
_DASH: Final = "\N{EM DASH} "
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")
_NOT_IN_NAMES: Final = re.compile("[\\s+\x00-\x1f\ud800-\udfff]")


@final
@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: key name, key id (4 bytes) and what the signature type defines."""

    name: str
    key_id: bytes
    data: bytes


@final
@dataclass(frozen=True, slots=True)
class Note:
    """A text, with its final newline, and its signatures in order."""

    text: str
    signatures: tuple[Signature, ...]


def is_key_name(name: str) -> bool:
    """Say whether ``name`` may name a key: not empty, no Unicode space, no ``+``, no control."""
    return bool(name) and _NOT_IN_NAMES.search(name) is None


def parse_note(raw: bytes) -> Note:
    """Parse a signed note (signed-note, "Format"); raise ``FormatError``. Nothing is verified."""
    if len(raw) > MAX_NOTE:
        raise FormatError("note", f"larger than {MAX_NOTE} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("note", "not UTF-8") from None
    if _CONTROL.search(whole):
        raise FormatError("note", "a control character")
    text, separator, rest = whole.rpartition("\n\n")
    if not separator:
        raise FormatError("note", "no blank line before the signatures")
    if not rest.endswith("\n"):
        raise FormatError("note", "does not end with a signature line")
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise FormatError("note", f"more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise FormatError("signature line", "not of the form “— name base64”")
    if not is_key_name(name):
        raise FormatError("signature line", "not a key name")
    try:
        blob = parse_base64(encoded)
    except FormatError as error:
        raise error.at("signature line") from None
    if len(blob) <= _KEY_ID_SIZE:
        raise FormatError("signature line", "no signature after the key id")
    return Signature(name, blob[:_KEY_ID_SIZE], blob[_KEY_ID_SIZE:])


def format_note(note: Note) -> bytes:
    """Return the bytes of a note; ``ValueError`` if they would not be read back as the same."""
    lines = (f"{_DASH}{s.name} {format_base64(s.key_id + s.data)}\n" for s in note.signatures)
    raw = f"{note.text}\n{''.join(lines)}".encode()
    try:
        same = parse_note(raw) == note
    except FormatError as error:
        raise ValueError(str(error)) from None
    if not same:
        raise ValueError("not a note")
    return raw


# --- keys -------------------------------------------------------------------------------------


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the 4-byte id of a key: SHA-256(name || 0x0a || kind || public)[:4].

    It tells keys apart and is no proof of anything: collisions are easily made.
    """
    material = name.encode() + b"\n" + bytes((kind,)) + public
    return hashlib.sha256(material).digest()[:_KEY_ID_SIZE]


@final
@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name, a signature type (``ED25519`` or ``ML_DSA_44``) and a public key of its size."""

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise ValueError("not a key name")
        if _PUBLIC_SIZES.get(self.kind) != len(self.public):
            raise ValueError(f"no key of type {self.kind:#04x} with {len(self.public)} bytes")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand for this key in signature lines."""
        return key_id(self.name, self.kind, self.public)


def parse_vkey(text: str) -> VerifierKey:
    """Parse ``name+id+base64(type || public key)`` (signed-note, "Verifier keys").

    Raises ``FormatError``, also for a signature type other than the two that this library
    verifies, and for an id that is not the key's.
    """
    # The base64 may hold a plus itself; the name and the id can't.
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise FormatError("verifier key", "not of the form name+id+key")
    name, given, encoded = parts
    try:
        identifier = parse_hex(given, size=_KEY_ID_SIZE)
        material = parse_base64(encoded)
    except FormatError as error:
        raise error.at("verifier key") from None
    try:
        key = VerifierKey(name, material[0] if material else 0, material[1:])
    except ValueError as error:
        raise FormatError("verifier key", str(error)) from None
    if key.key_id != identifier:
        raise FormatError("verifier key", "the id is another key's")
    return key


def format_vkey(key: VerifierKey) -> str:
    """Return ``name+id+base64(type || public key)``."""
    material = bytes((key.kind,)) + key.public
    return f"{key.name}+{format_hex(key.key_id)}+{format_base64(material)}"


# --- the two algorithms -----------------------------------------------------------------------


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise ``SignatureError`` unless ``signature`` (64 bytes) is by ``public`` over ``message``.

    The rule is libsodium's, stricter than RFC 8032: a public key or a point R of small order, a
    public key that is not canonically encoded, and S >= L are refused. So no signature can be
    changed into another valid one, and no key verifies everything.
    """
    if len(public) != ED25519_PUBLIC_SIZE or len(signature) != ED25519_SIGNATURE_SIZE:
        raise SignatureError("Ed25519 signature", "a key or signature of the wrong size")
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        raise SignatureError("Ed25519 signature", "does not verify") from None


def verify_ml_dsa_44(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise ``SignatureError`` unless ``signature`` (2,420 bytes) is by ``public``.

    Pure ML-DSA-44 of FIPS 204 with the empty context; ``public`` is 1,312 bytes.
    """
    if len(public) != ML_DSA_44_PUBLIC_SIZE or len(signature) != ML_DSA_44_SIGNATURE_SIZE:
        raise SignatureError("ML-DSA-44 signature", "a key or signature of the wrong size")
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise SignatureError("ML-DSA-44 signature", "does not verify") from None
