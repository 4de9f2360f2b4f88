"""C2SP tlog-proof: that one entry is in a log, in one file, without the log.

    c2sp.org/tlog-proof@v1
    extra <base64>                      only if there is extra data
    index <decimal>
    <base64 of a hash>                  the audit path, the leaf's sibling first; may be none
    …
    <blank line>
    <the signed checkpoint, verbatim>

The extra data is authenticated by nothing. A proof shows no more than that whoever held the keys
signed a tree with that leaf in that place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from vault.codec import format_base64, format_decimal, parse_base64, parse_decimal
from vault.errors import FormatError
from vault.tlog.checkpoint import MAX_SIZE, check_checkpoint, parse_signed_checkpoint
from vault.tlog.merkle import HASH_SIZE, check_inclusion
from vault.tlog.note import MAX_NOTE

__all__ = ["MAX_EXTRA", "TlogProof", "check_proof", "format_proof", "parse_proof"]

MAX_EXTRA: Final = 1 << 16
"""The most extra data that is read or written, in bytes."""

_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = MAX_SIZE.bit_length()
_MAX_HEAD: Final = 2 * MAX_EXTRA


@final
@dataclass(frozen=True, slots=True)
class TlogProof:
    """An entry's index, its audit path, the signed checkpoint's bytes, and extra data or None."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def parse_proof(raw: bytes) -> TlogProof:
    """Parse a ``.tlog-proof`` file; raise ``FormatError``. Nothing is verified."""
    if len(raw) > _MAX_HEAD + MAX_NOTE:
        raise FormatError("tlog-proof", "too large")
    # The lines of the proof have no blank line among them, so the first one ends them.
    head, separator, checkpoint = raw.partition(b"\n\n")
    if not separator:
        raise FormatError("tlog-proof", "no blank line before the checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise FormatError("tlog-proof", "not ASCII") from None
    if lines.pop(0) != _MAGIC:
        raise FormatError("tlog-proof", f"does not begin with {_MAGIC}")
    try:
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = parse_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise FormatError("index line", "missing")
        index = parse_decimal(lines.pop(0).removeprefix("index "), maximum=MAX_SIZE - 1)
        hashes = tuple(parse_base64(line) for line in lines)
        parse_signed_checkpoint(checkpoint)
    except FormatError as error:
        raise error.at("tlog-proof") from None
    if extra is not None and not 1 <= len(extra) <= MAX_EXTRA:
        raise FormatError("tlog-proof", f"extra data of {len(extra)} bytes")
    if len(hashes) > _MAX_HASHES or any(len(value) != HASH_SIZE for value in hashes):
        raise FormatError("tlog-proof", f"not at most {_MAX_HASHES} hashes of 32 bytes")
    return TlogProof(index, hashes, checkpoint, extra)


def format_proof(proof: TlogProof) -> bytes:
    """Return the bytes of a proof; ``ValueError`` if they would not be read back as the same."""
    lines = [_MAGIC]
    if proof.extra is not None:
        lines.append(f"extra {format_base64(proof.extra)}")
    lines.append(f"index {format_decimal(proof.index)}")
    lines += [format_base64(value) for value in proof.hashes]
    raw = "".join(f"{line}\n" for line in lines).encode() + b"\n" + proof.checkpoint
    try:
        same = parse_proof(raw) == proof
    except FormatError as error:
        raise ValueError(str(error)) from None
    if not same:
        raise ValueError("not a tlog-proof")
    return raw


def check_proof(
    proof: TlogProof, leaf: bytes, ed25519: bytes, ml_dsa_44: bytes, *, origin: str
) -> None:
    """Raise unless leaf hash ``leaf`` is in the log ``origin`` as these public keys signed it.

    ``origin`` is asked for because the keys alone do not say which log it is (tlog-proof,
    "Verifying a tlog proof", step 2). Raises ``FormatError`` for a checkpoint that is none,
    ``VerificationError`` for another log's, ``UnknownKeyError`` or ``SignatureError`` for another
    signer's, ``ProofError`` for a path that does not lead from the leaf to the signed root.
    """
    signed = parse_signed_checkpoint(proof.checkpoint)
    check_checkpoint(signed, ed25519, ml_dsa_44, origin=origin)
    checkpoint = signed.checkpoint
    check_inclusion(proof.hashes, proof.index, checkpoint.size, leaf, checkpoint.root)
