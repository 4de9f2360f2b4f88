"""The table of targets: every parser of the project as a function of bytes.

A target returns None, or raises one of the errors that its parser documents; anything else is a
finding, and so is a disagreement that the target asserts: what was parsed and is formatted again
is what it was parsed from, and two readers of one format say the same. Where a checksum, a MAC or
a signature would stop every mutated input, the target computes that over its input, so that what
lies behind is reached too. A target draws nothing at random and keeps nothing between calls.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from functools import cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from evault_cli import fields as cli_fields
from evault_cli import prompt
from evault_cli.refusal import RefusedError
from tests.fuzz import records
from tests.fuzz.table import (
    BUNDLE_KEY,
    FILE_KEY,
    ME,
    NONCE,
    TARGETS,
    Sink,
    Target,
    pieces,
    same,
    target,
    text_of,
)
from vault import age, codec, commitment
from vault.age import Stanza, armor, header, stream
from vault.bundle.items import make_item
from vault.codec import pack
from vault.errors import (
    ArmorError,
    DecryptionError,
    FormatError,
    HeaderError,
    HeaderMacError,
    NoIdentityMatchError,
    PayloadError,
    VerificationError,
)
from vault.event import (
    EVENT_TYPES,
)
from vault.localstate import LocalState
from vault.storage.medium import parse_mounts
from vault.tlog import checkpoint, note, proof, tiles

__all__ = ["TARGETS", "Target"]

assert records  # its targets are in the table too

# --- strict encodings -----------------------------------------------------------------------------


@target(FormatError)
def base64_(data: bytes) -> None:
    text = text_of(data)
    with suppress(FormatError):
        same(codec.format_base64_raw(codec.parse_base64_raw(text)), text)
    same(codec.format_base64(codec.parse_base64(text)), text)


@target(FormatError)
def decimal(data: bytes) -> None:
    text = text_of(data)
    same(codec.format_decimal(codec.parse_decimal(text)), text)


@target(FormatError)
def hexadecimal(data: bytes) -> None:
    text = text_of(data)
    same(codec.format_hex(codec.parse_hex(text)), text)


def _read_bech32(text: str) -> None:
    for read in (
        age.HybridRecipient.from_string,
        age.HybridIdentity.from_string,
        age.X25519Recipient.from_string,
        age.X25519Identity.from_string,
    ):
        with suppress(FormatError):
            same(read(text).to_string(), text)
    hrp, found = codec.parse_bech32(text)
    same(codec.format_bech32(hrp, found), text.lower())


@target(FormatError, longest=4096)
def bech32(data: bytes) -> None:
    _read_bech32(text_of(data))


@target(FormatError, longest=4096)
def bech32_with_its_checksum(data: bytes) -> None:
    """What follows the last byte 0x31 is values; the rest is the human-readable part."""
    hrp, one, values = data.decode("latin-1").rpartition("1")
    lower = hrp.lower()
    kept = [ord(value) & 31 for value in values]
    expanded = codec._expand(lower)
    rest = codec._polymod([*expanded, *kept, 0, 0, 0, 0, 0, 0]) ^ 1
    kept += [rest >> 5 * (5 - at) & 31 for at in range(6)]
    text = lower + one + "".join(codec.BECH32_LETTERS[value] for value in kept)
    _read_bech32(text.upper() if hrp.isupper() else text)


@target(FormatError)
def msgpack(data: bytes) -> None:
    whole: list[object] = []
    with suppress(FormatError):
        found = codec.unpack(data)
        same(pack(found), data)
        whole.append(found)
    for size in (3, 65536):
        with suppress(FormatError):
            sequence = list(codec.unpack_sequence(pieces(data, size), max_value=64))
            same(b"".join(raw for _, raw in sequence), data)
            assert all(pack(value) == raw and len(raw) <= 64 for value, raw in sequence)
            assert not whole or [value for value, _ in sequence] == whole
    value, size = codec.unpack_prefix(data)
    same(pack(value), data[:size])


# --- age ------------------------------------------------------------------------------------------


class _KnowsFileKey:
    """Opens every file that has a stanza of its type."""

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        return FILE_KEY if any(stanza.type == "fuzz" for stanza in stanzas) else None


IDENTITIES: Final = (
    BUNDLE_KEY,
    age.X25519Identity.from_seed(b"\x0d" * 32),
    _KnowsFileKey(),
)


@target(HeaderError)
def age_header(data: bytes) -> None:
    """Also the header at the start of a file, as a reader finds it."""
    with suppress(HeaderError):
        found, rest = header.read_header(pieces(data, 1000))
        same(found.raw + rest, data[: len(found.raw) + len(rest)])
        same(found, header.parse_header(found.raw))
    parsed = header.parse_header(data)
    same(parsed.raw, data)
    again = header.format_header(parsed.stanzas, FILE_KEY)
    same(again[: again.rindex(b" ")], data[: data.rindex(b" ")])
    for one in IDENTITIES[:2]:
        with suppress(HeaderError):
            one.unwrap(parsed.stanzas)


def _decrypted_both_ways(data: bytes) -> bytes:
    """Return the plaintext of an age file; both of the readers find it, or both refuse it."""
    sink = io.BytesIO()
    try:
        age.decrypt(pieces(data, 700), Sink(sink), IDENTITIES)
    except (FormatError, DecryptionError) as error:
        try:
            with age.open(io.BytesIO(data), IDENTITIES) as reader:
                reader.readall()
        except (FormatError, DecryptionError):
            raise error from None
        raise AssertionError(f"opened by seeking and not in order: {error}") from error
    if not armor.is_armored(data[: armor.PEEK_SIZE]):
        with age.open(io.BytesIO(data), IDENTITIES) as reader:
            same(reader.read(), sink.getvalue())
            reader.seek(len(sink.getvalue()) // 2)
            same(reader.read(100), sink.getvalue()[len(sink.getvalue()) // 2 :][:100])
    return sink.getvalue()


@target(ArmorError, HeaderError, NoIdentityMatchError, HeaderMacError, PayloadError)
def age_file(data: bytes) -> None:
    _decrypted_both_ways(data)


@target(ArmorError, HeaderError, HeaderMacError, NoIdentityMatchError, PayloadError)
def age_file_with_its_mac(data: bytes) -> None:
    """The MAC is made right for the first line that begins as a MAC line, the payload is there."""
    covered, mark, _ = data.partition(b"\n---")
    covered += mark or b"\n---"
    mac = codec.format_base64_raw(header._mac(covered, FILE_KEY)).encode()
    payload = io.BytesIO()
    with stream.Writer(Sink(payload), stream.payload_key(FILE_KEY, NONCE)) as writer:
        writer.write(b"evidence")
    whole = covered + b" " + mac + b"\n" + NONCE + payload.getvalue()
    same(_decrypted_both_ways(whole), b"evidence")


@target(PayloadError)
def age_payload(data: bytes) -> None:
    _payload(data)


def _payload(data: bytes) -> bytes:
    """Return the plaintext of chunks under a fixed key, as both of its readers give it."""
    key = stream.payload_key(FILE_KEY, NONCE)
    sink = io.BytesIO()
    failed: PayloadError | None = None
    try:
        stream.decrypt_payload(pieces(data, 50_000), Sink(sink), key)
    except PayloadError as error:
        failed = error
    try:
        found: bytes | None = stream.Reader(io.BytesIO(data), key, 0).readall()
    except PayloadError:
        found = None
    same(found, None if failed else sink.getvalue())
    if failed:
        raise failed
    same(stream.payload_size(len(sink.getvalue())), stream.NONCE_SIZE + len(data))
    return sink.getvalue()


SIZES: Final = (stream.CHUNK_SIZE, 0, 1, stream.CHUNK_SIZE - 1, 100, stream.CHUNK_SIZE + 1)


@target(PayloadError, short=20)
def age_payload_of_sound_chunks(data: bytes) -> None:
    """Each three bytes are a chunk that was encrypted with the key: number, final, size."""
    aead = ChaCha20Poly1305(stream.payload_key(FILE_KEY, NONCE))
    chunks = [tuple(data[at : at + 3]) for at in range(0, min(len(data), 12), 3)]
    plain, sealed = b"", b""
    for chunk in chunks:
        number, final, size = (*chunk, 0, 0)[:3]
        content = bytes(SIZES[size % len(SIZES)])
        nonce = stream._nonce(number, final=bool(final & 1))
        sealed += aead.encrypt(nonce, content, None)
        plain += content
    same(_payload(sealed), plain)
    numbers = [chunk[0] for chunk in chunks]
    if numbers != list(range(len(chunks))):
        raise AssertionError("chunks in another order were taken")


@target(ArmorError)
def age_armor(data: bytes) -> None:
    found = armor.parse_armor(data)
    same(armor.format_armor(found), data.replace(b"\r\n", b"\n").strip() + b"\n")
    reader = armor.ArmorReader(pieces(data, 61))
    read = bytearray()
    while piece := reader.read(7):
        read += piece
    same(bytes(read), found)


# --- log ------------------------------------------------------------------------------------------


@target(FormatError)
def signed_note(data: bytes) -> None:
    same(note.format_note(note.parse_note(data)), data)


@target(FormatError)
def verifier_key(data: bytes) -> None:
    text = text_of(data)
    same(note.format_vkey(note.parse_vkey(text)), text)


@target(FormatError)
def verifier_key_with_its_id(data: bytes) -> None:
    name, _, material = data.partition(b"+")
    text = text_of(name)
    try:
        given = note.key_id(text, material[0], material[1:])
    except (UnicodeEncodeError, IndexError):
        raise FormatError("verifier key", "no key") from None
    encoded = base64.b64encode(material).decode()
    vkey = f"{text}+{given.hex()}+{encoded}"
    same(note.format_vkey(note.parse_vkey(vkey)), vkey)


@target(FormatError, VerificationError)
def signed_checkpoint(data: bytes) -> None:
    found = checkpoint.parse_signed_checkpoint(data)
    same(note.format_note(found.note), data)
    same(checkpoint.format_checkpoint(found.checkpoint), found.note.text)
    checkpoint.check_checkpoint(found, ME.ed25519, ME.ml_dsa_44)


@target(FormatError)
def checkpoint_text(data: bytes) -> None:
    text = text_of(data)
    found = checkpoint.parse_checkpoint(text)
    same(checkpoint.format_checkpoint(found), text)
    checkpoint._message(found)


@target(FormatError, VerificationError)
def tlog_proof(data: bytes) -> None:
    found = proof.parse_proof(data)
    same(proof.format_proof(found), data)
    origin = checkpoint.parse_signed_checkpoint(found.checkpoint).checkpoint.origin
    proof.check_proof(found, b"\x00" * 32, ME.ed25519, ME.ml_dsa_44, origin=origin)


@target(FormatError)
def tile_path(data: bytes) -> None:
    text = text_of(data)
    same(tiles.tile_path(tiles.parse_tile_path(text)), text)


@target(FormatError)
def hash_tile(data: bytes) -> None:
    width = data[0] + 1 if data else 1
    same(tiles.format_tile(tiles.parse_tile(data[1:], width)), data[1:])


@target(FormatError)
def entry_bundle(data: bytes) -> None:
    width = data[0] + 1 if data else 1
    same(tiles.format_entry_bundle(tiles.parse_entry_bundle(data[1:], width)), data[1:])


# --- this machine, and the command line -----------------------------------------------------------


@cache
def _folder() -> Path:
    """Return a folder for as long as the process lives."""
    held = tempfile.TemporaryDirectory(prefix="evault-fuzz-")
    _HELD.append(held)
    return Path(held.name)


_HELD: Final[list[tempfile.TemporaryDirectory[str]]] = []


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


VAULT: Final = b"\x11" * 32


@target(FormatError)
def pin_of_this_machine(data: bytes) -> None:
    _file(f"pins/{VAULT.hex()}.checkpoint", data)
    found = LocalState(_folder()).pin(VAULT)
    assert found is not None
    same(found.raw, data)


@target()
def audit_of_this_machine(data: bytes) -> None:
    _file(f"audits/{VAULT.hex()}.json", data)
    found = LocalState(_folder()).audit_record(VAULT)
    assert found is None or found.size >= 0


@target()
def mounts(data: bytes) -> None:
    text = text_of(data)
    assert len(parse_mounts(text)) <= text.count("\n") + 1


SAID: Final = (json.JSONDecodeError, RecursionError, RefusedError)
"""What the command line has a sentence for, where it reads a file that a person wrote."""


@target(*SAID)
def fields_of_json(data: bytes) -> None:
    path = _file("fields.json", data)
    with redirect_stderr(io.StringIO()):
        given = cli_fields.read_fields_file(path)
        found = cli_fields.seal_fields((), given).values
        per_item = cli_fields.item_fields({"a.txt": frozenset()}, (), given)
    schema = EVENT_TYPES["bundle.sealed"].field_names
    fields = commitment.commit_fields(schema, found, bytes)
    same(len(fields) >= len(schema), True)
    for values in per_item.values():
        make_item(0, values, bytes)


@target(RefusedError)
def passphrase_file(data: bytes) -> None:
    found = bytes(prompt.read_passphrase_file(_file("passphrase", data)))
    assert data in (found, found + b"\n", found + b"\r\n")
