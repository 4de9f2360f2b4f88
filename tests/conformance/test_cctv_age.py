"""The public age test kit (C2SP CCTV, npm cctv-age), every vector read in every way we have.

The vectors come from ``node/node_modules`` (``npm ci`` in ``tests/conformance/node``) and are not
part of this repository.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import random
import shutil
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vault import age
from vault.age.armor import is_armored
from vault.age.header import format_header, read_header
from vault.age.stream import NONCE_SIZE, Writer, payload_key
from vault.errors import (
    ArmorError,
    HeaderError,
    HeaderMacError,
    NoIdentityMatchError,
    PayloadError,
    VaultError,
)

pytestmark = pytest.mark.conformance

COUNT = 143
# For the vectors that must fail before any identity is looked at, and come without one.
SOMEBODY = (age.X25519Identity.generate(),)
NODE = Path(__file__).parent / "node"
OUTCOMES: dict[str, type[VaultError] | None] = {
    "success": None,
    "no match": NoIdentityMatchError,
    "header failure": HeaderError,
    "HMAC failure": HeaderMacError,
    "payload failure": PayloadError,
    "armor failure": ArmorError,
}


@dataclass(frozen=True, slots=True)
class Vector:
    expect: type[VaultError] | None
    payload: str | None
    file_key: bytes | None
    identities: tuple[age.Identity, ...]
    recipients: tuple[age.Recipient, ...]
    armored: bool
    file: bytes


class Slow:
    """A source that gives at most ``step`` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._step))


def _missing() -> str:
    if shutil.which("node") is None:
        return "Node.js 20 or later is missing: install the package nodejs"
    if not (NODE / "node_modules" / "cctv-age").is_dir():
        return f"the age test kit is missing: run npm ci in {NODE}"
    return ""


@functools.cache
def vectors() -> dict[str, Vector]:
    printed = subprocess.run(["node", NODE / "vectors.mjs"], capture_output=True, check=True).stdout
    return {
        name: parse_vector(base64.b64decode(data)) for name, data in json.loads(printed).items()
    }


# The parameter that a test asks for says which vectors it is about.
KINDS: dict[str, Callable[[Vector], bool]] = {
    "vector": lambda _: True,
    "well_formed": lambda vector: vector.expect in (None, NoIdentityMatchError, PayloadError),
    "sound": lambda vector: vector.expect is None,
    "sound_binary": lambda vector: vector.expect is None and not vector.armored,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in KINDS.keys() & set(metafunc.fixturenames):
        # Where these tests are left out, the kit need not be there; where it should be, its
        # absence fails a test instead of ending the whole run.
        if metafunc.config.option.markexpr == "not conformance" or _missing():
            metafunc.parametrize(kind, [None], ids=["kit"])
        else:
            found = {name: v for name, v in sorted(vectors().items()) if KINDS[kind](v)}
            metafunc.parametrize(kind, found.values(), ids=found.keys())


@pytest.fixture(autouse=True)
def kit() -> None:
    if missing := _missing():
        pytest.fail(missing, pytrace=False)


def parse_vector(data: bytes) -> Vector:
    head, _, file = data.partition(b"\n\n")
    values: dict[str, list[str]] = {}
    for line in head.decode("ascii").split("\n"):
        key, _, value = line.partition(": ")
        values.setdefault(key, []).append(value)
    unknown = values.keys() - {
        "armored",
        "comment",
        "compressed",
        "expect",
        "file key",
        "identity",
        "passphrase",
        "payload",
    }
    assert not unknown
    if "compressed" in values:
        assert values["compressed"] == ["zlib"]
        file = zlib.decompress(file)
    keys = [
        age.HybridIdentity.from_string(text)
        if text.startswith("AGE-SECRET-KEY-PQ-")
        else age.X25519Identity.from_string(text)
        for text in values.get("identity", [])
    ]
    phrases = values.get("passphrase", [])
    recipients: list[age.Recipient] = [key.recipient() for key in keys]
    recipients += [age.ScryptRecipient(phrase, 4) for phrase in phrases]
    return Vector(
        OUTCOMES[values["expect"][0]],
        values["payload"][0] if "payload" in values else None,
        bytes.fromhex(values["file key"][0]) if "file key" in values else None,
        (*keys, *(age.ScryptIdentity(phrase) for phrase in phrases)),
        tuple(recipients),
        values.get("armored") == ["yes"],
        file,
    )


def outcome(source: age.Source, vector: Vector) -> tuple[type[VaultError] | None, bytes]:
    """Return how ``decrypt`` ends, and all that it handed out before."""
    sink = io.BytesIO()
    try:
        age.decrypt(source, sink, vector.identities or SOMEBODY)
    except VaultError as error:
        return type(error), sink.getvalue()
    return None, sink.getvalue()


def check(vector: Vector, found: type[VaultError] | None, plaintext: bytes) -> None:
    assert found == vector.expect
    if vector.payload is None:
        assert plaintext == b""
    else:
        assert hashlib.sha256(plaintext).hexdigest() == vector.payload


def parts_of(vector: Vector) -> tuple[bytes, bytes, bytes]:
    """Return header, nonce and chunks of a vector whose header is sound."""
    binary = age.parse_armor(vector.file) if vector.armored else vector.file
    header, _ = read_header(io.BytesIO(binary))
    start = len(header.raw) + NONCE_SIZE
    return header.raw, binary[len(header.raw) : start], binary[start:]


def test_the_kit_has_the_number_of_vectors_that_we_know() -> None:
    assert len(vectors()) == COUNT


def test_a_vector_decrypted_whole_ends_as_the_kit_says(vector: Vector) -> None:
    check(vector, *outcome(io.BytesIO(vector.file), vector))


def test_a_vector_read_in_small_pieces_ends_as_the_kit_says(vector: Vector) -> None:
    # One byte at a time where that is soon done; always in steps that fall across chunk borders.
    for step in [7919] if len(vector.file) > 300_000 else [1, 7919]:
        check(vector, *outcome(Slow(vector.file, step), vector))


def test_a_vector_is_told_armored_or_not_as_the_kit_says(vector: Vector) -> None:
    assert is_armored(vector.file) == vector.armored


def test_a_vector_opened_for_seeking_ends_as_the_kit_says(vector: Vector) -> None:
    if vector.armored:
        with pytest.raises(HeaderError):
            age.open(io.BytesIO(vector.file), vector.identities or SOMEBODY)
        return
    plaintext = io.BytesIO()
    found: type[VaultError] | None = None
    try:
        reader = age.open(io.BytesIO(vector.file), vector.identities or SOMEBODY)
        while piece := reader.read(age.CHUNK_SIZE):
            plaintext.write(piece)
    except VaultError as error:
        found = type(error)
    check(vector, found, plaintext.getvalue())


def test_a_sound_vector_reads_the_same_from_any_place(sound_binary: Vector) -> None:
    _, plaintext = outcome(io.BytesIO(sound_binary.file), sound_binary)
    rng = random.Random(sound_binary.payload)
    reader = age.open(io.BytesIO(sound_binary.file), sound_binary.identities)
    assert reader.size == len(plaintext)
    for _ in range(50):
        place = rng.randrange(len(plaintext) + 2)
        size = rng.choice([0, 1, 17, age.CHUNK_SIZE, 3 * age.CHUNK_SIZE + 1])
        back = rng.randrange(len(plaintext) + 1)
        assert reader.seek(place) == place
        assert reader.read(size) == plaintext[place : place + size]
        assert reader.seek(-back, io.SEEK_END) == len(plaintext) - back
        assert reader.read(size) == plaintext[len(plaintext) - back :][:size]


def test_a_sound_vector_is_made_again_byte_for_byte(sound: Vector) -> None:
    _, plaintext = outcome(io.BytesIO(sound.file), sound)
    header, nonce, chunks = parts_of(sound)
    assert sound.file_key is not None
    sink = io.BytesIO()
    with Writer(sink, payload_key(sound.file_key, nonce)) as writer:
        writer.write(plaintext)
    assert sink.getvalue() == chunks
    assert age.payload_size(len(plaintext)) == len(nonce + chunks)
    assert age.plaintext_size(len(nonce + chunks)) == len(plaintext)
    if sound.armored:
        lines = sound.file.strip().replace(b"\r\n", b"\n") + b"\n"
        assert age.format_armor(header + nonce + chunks) == lines


def test_a_well_formed_header_is_made_again_byte_for_byte(well_formed: Vector) -> None:
    raw, _, _ = parts_of(well_formed)
    header, _ = read_header(io.BytesIO(raw))
    assert well_formed.file_key is not None
    assert format_header(header.stanzas, well_formed.file_key) == raw


def test_a_sound_vector_encrypted_anew_decrypts_again(sound: Vector) -> None:
    _, plaintext = outcome(io.BytesIO(sound.file), sound)
    again = age.encrypt_bytes(plaintext, sound.recipients[:1], armored=sound.armored)
    assert age.decrypt_bytes(again, sound.identities) == plaintext
