"""C2SP tlog-checkpoint, as a vault signs it.

The text of a checkpoint is three lines, each ended by ``"\\n"``:

    <origin>
    <tree size in leaves, decimal>
    <base64 of the root hash>

Stricter than the specification: no extension lines (the ML-DSA-44 signature would not cover
them), and the origin is a key name of at most 255 bytes, because it is one. The signed note has
exactly two signature lines, both under the origin as key name, in this order:

    Ed25519     type 0x01, over the text
    ML-DSA-44   type 0x06, a timestamped_signature with timestamp 0 over the cosigned_message of
                tlog-cosignature, with the origin also as the cosigner's name

Both must verify: Ed25519 is what every tool reads, ML-DSA-44 what no quantum computer forges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

from vault.codec import format_base64, format_decimal, parse_base64, parse_decimal
from vault.errors import FormatError, SignatureError, UnknownKeyError, VerificationError
from vault.tlog.merkle import HASH_SIZE
from vault.tlog.note import (
    ED25519,
    ML_DSA_44,
    Note,
    Signature,
    format_note,
    is_key_name,
    key_id,
    parse_note,
    verify_ed25519,
    verify_ml_dsa_44,
)

__all__ = [
    "MAX_SIZE",
    "Checkpoint",
    "CheckpointSigner",
    "SignedCheckpoint",
    "check_checkpoint",
    "cosigned_message",
    "format_checkpoint",
    "parse_checkpoint",
    "parse_signed_checkpoint",
    "sign_checkpoint",
]

MAX_SIZE: Final = 2**63 - 1
"""The largest tree, in leaves."""

_MAX_NAME: Final = 255
_LABEL: Final = b"subtree/v1\n\x00"
_NO_TIMESTAMP: Final = bytes(8)


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin, the number of leaves, the root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes


@final
@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the note that carries it, and the bytes they were parsed from."""

    checkpoint: Checkpoint
    note: Note
    raw: bytes


class CheckpointSigner(Protocol):
    """Someone who holds both keys that a checkpoint needs."""

    @property
    def ed25519(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    @property
    def ml_dsa_44(self) -> bytes:
        """The ML-DSA-44 public key, 1,312 bytes."""
        ...

    def sign_ed25519(self, message: bytes) -> bytes:
        """Return the 64-byte signature over ``message``."""
        ...

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        """Return the 2,420-byte signature over ``message``, with the empty context."""
        ...


# --- the text ---------------------------------------------------------------------------------


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a checkpoint's text (tlog-checkpoint, "Note text"); raise ``FormatError``."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise FormatError("checkpoint", "not exactly three lines")
    origin, size, root = lines[:3]
    if not is_key_name(origin) or len(origin.encode()) > _MAX_NAME:
        raise FormatError("checkpoint origin", "not a key name of at most 255 bytes")
    try:
        checkpoint = Checkpoint(origin, parse_decimal(size, maximum=MAX_SIZE), parse_base64(root))
    except FormatError as error:
        raise error.at("checkpoint") from None
    if len(checkpoint.root) != HASH_SIZE:
        raise FormatError("checkpoint root", f"{len(checkpoint.root)} bytes instead of 32")
    return checkpoint


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint; ``ValueError`` if it would not be read back as the same."""
    size, root = format_decimal(checkpoint.size), format_base64(checkpoint.root)
    text = f"{checkpoint.origin}\n{size}\n{root}\n"
    try:
        parse_checkpoint(text)
    except FormatError as error:
        raise ValueError(str(error)) from None
    return text


# --- the signed note --------------------------------------------------------------------------


def cosigned_message(
    cosigner: str, timestamp: int, origin: str, start: int, end: int, root: bytes
) -> bytes:
    """Return the bytes that an ML-DSA-44 cosignature signs (tlog-cosignature).

        "subtree/v1\\n\\0" || uint8-prefixed cosigner || uint64 timestamp
        || uint8-prefixed origin || uint64 start || uint64 end || root

    ``timestamp`` is in POSIX seconds, 0 for none; ``root`` is that of leaves ``start`` to ``end``,
    which for a checkpoint are 0 and its size. ``ValueError`` for what the format can't say.
    """
    names = [name.encode() for name in (cosigner, origin)]
    if not all(1 <= len(name) <= _MAX_NAME for name in names):
        raise ValueError("a name that is empty or longer than 255 bytes")
    if not (0 <= timestamp <= MAX_SIZE and 0 <= start <= end <= MAX_SIZE):
        raise ValueError("a number out of range")
    if start and timestamp:
        raise ValueError("a timestamp on a subtree that is no checkpoint")
    if len(root) != HASH_SIZE:
        raise ValueError(f"a root of {len(root)} bytes")
    cosigner_name, log_origin = (bytes((len(name),)) + name for name in names)
    return b"".join(
        (
            _LABEL,
            cosigner_name,
            timestamp.to_bytes(8, "big"),
            log_origin,
            start.to_bytes(8, "big"),
            end.to_bytes(8, "big"),
            root,
        )
    )


def sign_checkpoint(checkpoint: Checkpoint, signer: CheckpointSigner) -> bytes:
    """Return the signed note of ``checkpoint`` by ``signer``.

    What was signed is verified before it is returned: a head that does not verify must never
    become the last one of a log. Raises ``ValueError`` for a checkpoint that can't be written, and
    ``SignatureError`` for a signer whose signatures are not by its own keys.
    """
    origin = checkpoint.origin
    text = format_checkpoint(checkpoint)
    ed25519 = signer.sign_ed25519(text.encode())
    ml_dsa_44 = signer.sign_ml_dsa_44(_message(checkpoint))
    note = Note(
        text,
        (
            Signature(origin, key_id(origin, ED25519, signer.ed25519), ed25519),
            Signature(
                origin, key_id(origin, ML_DSA_44, signer.ml_dsa_44), _NO_TIMESTAMP + ml_dsa_44
            ),
        ),
    )
    raw = format_note(note)
    check_checkpoint(parse_signed_checkpoint(raw), signer.ed25519, signer.ml_dsa_44)
    return raw


def parse_signed_checkpoint(raw: bytes) -> SignedCheckpoint:
    """Parse a checkpoint as a signed note; raise ``FormatError``. Nothing is verified."""
    note = parse_note(raw)
    return SignedCheckpoint(parse_checkpoint(note.text), note, raw)


def check_checkpoint(
    signed: SignedCheckpoint, ed25519: bytes, ml_dsa_44: bytes, *, origin: str | None = None
) -> None:
    """Raise unless the checkpoint is signed by exactly this pair of public keys.

    ``UnknownKeyError``: a line under another name or by another key. ``SignatureError``: not
    exactly the two lines, not in their order, a timestamp, or a signature that does not verify.
    With ``origin``, ``VerificationError`` for the checkpoint of another log; without it the caller
    compares ``signed.checkpoint.origin``, since one person's keys may sign in several logs.
    """
    checkpoint = signed.checkpoint
    if origin is not None and checkpoint.origin != origin:
        raise VerificationError(
            "checkpoint", "of another log", expected=origin, found=checkpoint.origin
        )
    expected = [
        (checkpoint.origin, key_id(checkpoint.origin, ED25519, ed25519)),
        (checkpoint.origin, key_id(checkpoint.origin, ML_DSA_44, ml_dsa_44)),
    ]
    found = [(line.name, line.key_id) for line in signed.note.signatures]
    for key in found:
        if key not in expected:
            raise UnknownKeyError(
                "checkpoint", "a signature by another key", expected=expected, found=key
            )
    if found != expected:
        raise SignatureError(
            "checkpoint",
            "not one Ed25519 and then one ML-DSA-44 signature",
            expected=expected,
            found=found,
        )
    classical, quantum = signed.note.signatures
    verify_ed25519(ed25519, signed.note.text.encode(), classical.data)
    if not quantum.data.startswith(_NO_TIMESTAMP):
        raise SignatureError("checkpoint", "a timestamp other than 0")
    verify_ml_dsa_44(ml_dsa_44, _message(checkpoint), quantum.data[len(_NO_TIMESTAMP) :])


def _message(checkpoint: Checkpoint) -> bytes:
    origin = checkpoint.origin
    return cosigned_message(origin, 0, origin, 0, checkpoint.size, checkpoint.root)
