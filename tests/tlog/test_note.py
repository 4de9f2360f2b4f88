"""signed-note: the format, verifier keys, both signature algorithms and their edge cases."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from vault.errors import FormatError, SignatureError
from vault.tlog.checkpoint import CheckpointSigner
from vault.tlog.note import (
    ED25519,
    MAX_NOTE,
    MAX_SIGNATURES,
    ML_DSA_44,
    Note,
    Signature,
    VerifierKey,
    format_note,
    format_vkey,
    is_key_name,
    key_id,
    parse_note,
    parse_vkey,
    verify_ed25519,
    verify_ml_dsa_44,
)

# The example at the end of signed-note.md.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()  # noqa: E501
LINE = NOTE.split(b"\n")[2] + b"\n"

# The example at its beginning, whose text has blank lines and accents.
POEM = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
""".encode()  # noqa: E501


# --- the format -------------------------------------------------------------------------------


def test_the_specifications_example_verifies() -> None:
    key, note = parse_vkey(VKEY), parse_note(NOTE)
    (signature,) = note.signatures
    assert note.text == "This is an example message.\n"
    assert (signature.name, signature.key_id) == (key.name, key.key_id)
    verify_ed25519(key.public, note.text.encode(), signature.data)
    with pytest.raises(SignatureError):
        verify_ed25519(key.public, note.text.encode()[:-1], signature.data)


def test_the_last_blank_line_ends_the_text() -> None:
    note = parse_note(POEM)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert [s.name for s in note.signatures] == ["quasimodo.example/salvatore"]
    assert format_note(note) == POEM


@pytest.mark.parametrize(
    "text", ["a\n", "\n", "a\n\n", "\n\n\n", "a\n\n— b c\n", "a\u2028b\u0085c\x7f\ufeff\n", "a \n"]
)
def test_any_text_that_ends_in_a_newline_is_read_back(text: str) -> None:
    note = Note(text, (Signature("name", b"abcd", b"e"),))
    assert parse_note(format_note(note)) == note


WRONG = {
    "empty": b"",
    "only a newline": b"\n",
    "no signature": b"text\n",
    "a blank line and no signature": b"text\n\n",
    "no blank line": b"text\n" + LINE,
    "no final newline": NOTE[:-1],
    "a blank line after the signature": NOTE + b"\n",
    "junk after the signature": NOTE + b"junk\n",
    "text not ended": b"\n" + LINE,
    "a carriage return": NOTE.replace(b"\n", b"\r\n"),
    "a carriage return at the end": NOTE[:-1] + b"\r\n",
    "a tab": NOTE.replace(b"This is", b"This\tis"),
    "a NUL": NOTE.replace(b"This is", b"This\0is"),
    "an escape": NOTE.replace(b"This is", b"This\x1bis"),
    "not UTF-8": NOTE.replace(b"This is", b"This\xffis"),
    "an overlong encoding": NOTE.replace(b"This is", b"This\xc0\xafis"),
    "a surrogate": NOTE.replace(b"This is", b"This\xed\xa0\x80is"),
    "a hyphen for the dash": NOTE.replace("—".encode(), b"-"),
    "no space after the dash": NOTE.replace("— ".encode(), "—".encode()),
    "two spaces after the dash": NOTE.replace("— ".encode(), "—  ".encode()),
    "two spaces before the signature": NOTE.replace(b"foo U", b"foo  U"),
    "a space after the signature": NOTE[:-1] + b" \n",
    "no name": "text\n\n—  Uw2QOg==\n".encode(),
    "no signature after the name": "text\n\n— name\n".encode(),
    "an empty signature": "text\n\n— name \n".encode(),
    "a key id alone": "text\n\n— name YWJjZA==\n".encode(),
    "base64 without padding": NOTE.replace(b"=\n", b"\n"),
    "base64 with other trailing bits": NOTE.replace(b"aQM=", b"aQN="),
    "base64 for URLs": b"text\n\n" + "— name YWJjZGV-\n".encode(),
    "base64 with a space in it": NOTE.replace(b"Uw2Q", b"Uw 2Q"),
    "a plus in the name": NOTE.replace(b"com/foo", b"com+foo"),
    "a no-break space in the name": NOTE.replace(b"com/foo", "com\u00a0foo".encode()),
    "a line separator in the name": NOTE.replace(b"com/foo", "com\u2028foo".encode()),
    "an ideographic space in the name": NOTE.replace(b"com/foo", "com\u3000foo".encode()),
    "a next line in the name": NOTE.replace(b"com/foo", "com\u0085foo".encode()),
    "lines ended by U+2028": NOTE.decode().replace("\n", "\u2028").encode(),
    "one signature line too many": b"text\n\n" + LINE * (MAX_SIGNATURES + 1),
    "too large": b"x" * MAX_NOTE + NOTE,
}


@pytest.mark.parametrize("raw", WRONG.values(), ids=WRONG.keys())
def test_a_note_is_refused_with(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_note(raw)


def test_at_least_16_post_quantum_signatures_are_accepted() -> None:
    lines = tuple(Signature(f"key{i}", bytes(4), bytes(4700)) for i in range(MAX_SIGNATURES))
    assert len(lines) >= 16
    assert parse_note(format_note(Note("text\n", lines))).signatures == lines


@pytest.mark.parametrize(
    "note",
    [
        Note("text", (Signature("name", b"abcd", b"e"),)),
        Note("", (Signature("name", b"abcd", b"e"),)),
        Note("text\r\n", (Signature("name", b"abcd", b"e"),)),
        Note("text\n", ()),
        Note("text\n", (Signature("", b"abcd", b"e"),)),
        Note("text\n", (Signature("a b", b"abcd", b"e"),)),
        Note("text\n", (Signature("a\nb", b"abcd", b"e"),)),
        Note("text\n", (Signature("a+b", b"abcd", b"e"),)),
        Note("text\n", (Signature("name", b"abc", b"de"),)),
        Note("text\n", (Signature("name", b"abcd", b""),)),
        Note("text\n", (Signature("x\n\n— name", b"abcd", b"e"),)),
        Note("\ud800\n", (Signature("name", b"abcd", b"e"),)),
    ],
)
def test_what_would_not_be_read_back_is_not_written(note: Note) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any, by a caller's mistake
        format_note(note)


@given(
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32) | st.just("\n")),
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(is_key_name),
            st.binary(min_size=4, max_size=4),
            st.binary(min_size=1, max_size=80),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_every_note_is_read_back(text: str, lines: list[tuple[str, bytes, bytes]]) -> None:
    note = Note(text + "\n", tuple(Signature(*line) for line in lines))
    raw = format_note(note)
    assert parse_note(raw) == note
    assert format_note(parse_note(raw)) == raw


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda junk: NOTE[:40] + junk + LINE))
def test_whatever_is_accepted_is_canonical(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except FormatError:
        return
    assert format_note(note) == raw


def test_a_key_name_is_anything_without_space_plus_or_control() -> None:
    for good in ("a", "example.com/log", "é", "evidence-vault/00ff", "\x7f", "\u200b"):
        assert is_key_name(good)
    for code in range(0x110000):
        character = chr(code)
        if character.isspace() or code < 0x20:
            assert not is_key_name(f"a{character}")
    for bad in ("", "+", "a+b", "a b", "a\n", "\ud800"):
        assert not is_key_name(bad)


# --- verifier keys ----------------------------------------------------------------------------


def test_the_specifications_key_is_read_back() -> None:
    key = parse_vkey(VKEY)
    assert (key.name, key.kind) == ("example.com/foo", ED25519)
    assert key.key_id.hex() == "530d903a"
    assert format_vkey(key) == VKEY


def test_a_key_id_is_the_start_of_a_digest() -> None:
    expected = hashlib.sha256(b"na\xc3\xafve\n\x06key").digest()[:4]
    assert key_id("naïve", ML_DSA_44, b"key") == expected


def test_an_ml_dsa_key_is_read_back(signer: CheckpointSigner) -> None:
    key = VerifierKey("example.com/foo", ML_DSA_44, signer.ml_dsa_44)
    text = format_vkey(key)
    assert text.count("+") > 2  # also in the base64, where it separates nothing
    assert parse_vkey(text) == key


def made(name: str, material: bytes) -> str:
    identifier = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex()
    return f"{name}+{identifier}+{base64.b64encode(material).decode()}"


WRONG_KEYS = {
    "empty": "",
    "two parts": "name+530d903a",
    "an id in upper case": VKEY.replace("530d903a", "530D903A"),
    "a short id": VKEY.replace("530d903a", "530d90"),
    "another key's id": VKEY.replace("530d903a", "530d903b"),
    "a newline at the end": VKEY + "\n",
    "a newline in the name": made("a\nb", b"\x01" + bytes(32)),
    "a space in the name": made("a b", b"\x01" + bytes(32)),
    "no name": made("", b"\x01" + bytes(32)),
    "no key": made("name", b""),
    "an Ed25519 key of 31 bytes": made("name", b"\x01" + bytes(31)),
    "an Ed25519 key of 33 bytes": made("name", b"\x01" + bytes(33)),
    "an ML-DSA-44 key of 1311 bytes": made("name", b"\x06" + bytes(1311)),
    "a type that is not verified here": made("name", b"\x02" + bytes(32)),
    "base64 without padding": made("name", b"\x06" + bytes(1312)).rstrip("="),
}


@pytest.mark.parametrize("text", WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
def test_a_verifier_key_is_refused_with(text: str) -> None:
    with pytest.raises(FormatError):
        parse_vkey(text)


def test_a_lone_surrogate_in_a_verifier_key_is_refused() -> None:
    with pytest.raises(FormatError):
        parse_vkey("\udcff" + VKEY)


def test_a_key_that_cannot_be_is_a_value_error() -> None:
    for name, kind, public in (("", 1, bytes(32)), ("a", 1, bytes(31)), ("a", 4, bytes(32))):
        with pytest.raises(ValueError, match="key"):
            VerifierKey(name, kind, public)


# --- Ed25519, libsodium's rule ----------------------------------------------------------------

L = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19
SEED = b"\x05" * 32
SCALAR = int.from_bytes(hashlib.sha512(SEED).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
MESSAGE = b"message"

# Points of order 1, 2, 4 and 8: every y that one of them has, with both signs of x, and the
# encodings that are not reduced modulo p.
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_Y = (0, 1, P - 1, ORDER_8, P - ORDER_8, P, P + 1)
SMALL = [(y | sign << 255).to_bytes(32, "little") for y in SMALL_Y for sign in (0, 1)]


def base_times(scalar: int) -> bytes:
    return crypto_scalarmult_ed25519_base_noclamp((scalar % L).to_bytes(32, "little"))


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L


PUBLIC = base_times(SCALAR)


def signed(r_scalar: int = 12345) -> tuple[bytes, int]:
    r = base_times(r_scalar)
    return r, (r_scalar + challenge(r, PUBLIC, MESSAGE) * SCALAR) % L


def test_a_signature_made_by_hand_verifies() -> None:
    r, s = signed()
    verify_ed25519(PUBLIC, MESSAGE, r + s.to_bytes(32, "little"))
    verify_ed25519(PUBLIC, b"", _by_hand(b""))


def _by_hand(message: bytes) -> bytes:
    r = base_times(99)
    return r + ((99 + challenge(r, PUBLIC, message) * SCALAR) % L).to_bytes(32, "little")


def test_every_bit_of_an_ed25519_signature_matters() -> None:
    r, s = signed()
    good = r + s.to_bytes(32, "little")
    for bit in range(512):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureError):
            verify_ed25519(PUBLIC, MESSAGE, bytes(bad))


def test_s_beyond_the_order_is_refused() -> None:
    r, s = signed()
    for multiple in range(1, 16):
        beyond = s + multiple * L
        if beyond < 2**256:
            with pytest.raises(SignatureError):
                verify_ed25519(PUBLIC, MESSAGE, r + beyond.to_bytes(32, "little"))


@pytest.mark.parametrize("public", SMALL, ids=bytes.hex)
def test_a_key_of_small_order_verifies_nothing(public: bytes) -> None:
    # With such a key R = S·B verifies whenever the challenge is a multiple of its order (always,
    # for the neutral point): one in eight messages and more, under any verifier that allows it.
    for number in range(64):
        message = b"message %d" % number
        r = base_times(7)
        with pytest.raises(SignatureError):
            verify_ed25519(public, message, r + (7).to_bytes(32, "little"))


def test_the_neutral_key_is_a_real_edge_case() -> None:
    neutral = (1).to_bytes(32, "little")
    signature = base_times(7) + (7).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(neutral).verify(signature, MESSAGE)  # does not raise
    with pytest.raises(SignatureError):
        verify_ed25519(neutral, MESSAGE, signature)


@pytest.mark.parametrize("r", SMALL, ids=bytes.hex)
def test_a_point_r_of_small_order_is_refused(r: bytes) -> None:
    s = challenge(r, PUBLIC, MESSAGE) * SCALAR % L
    signature = r + s.to_bytes(32, "little")
    if r == (1).to_bytes(32, "little"):
        Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, MESSAGE)  # does not raise
    with pytest.raises(SignatureError):
        verify_ed25519(PUBLIC, MESSAGE, signature)


def test_a_point_r_with_a_part_of_small_order_is_refused() -> None:
    # A verifier that multiplies by the cofactor takes it; Go's and OpenSSL's do not.
    r = crypto_core_ed25519_add(base_times(7), ORDER_8.to_bytes(32, "little"))
    s = (7 + challenge(r, PUBLIC, MESSAGE) * SCALAR) % L
    with pytest.raises(SignatureError):
        verify_ed25519(PUBLIC, MESSAGE, r + s.to_bytes(32, "little"))


@pytest.mark.parametrize("y", range(P, 2**255))
def test_a_key_that_is_not_canonical_is_refused(y: int) -> None:
    signature = base_times(7) + (7).to_bytes(32, "little")
    for sign in (0, 1):
        with pytest.raises(SignatureError):
            verify_ed25519((y | sign << 255).to_bytes(32, "little"), MESSAGE, signature)


def test_a_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify_ed25519((2).to_bytes(32, "little"), MESSAGE, _by_hand(MESSAGE))


def test_the_small_points_are_of_small_order() -> None:
    neutral = (1).to_bytes(32, "little")
    for y in (0, 1, P - 1, ORDER_8, P - ORDER_8):
        point = y.to_bytes(32, "little")
        for _ in range(3):
            point = crypto_core_ed25519_add(point, point)
        assert point == neutral


@pytest.mark.parametrize(
    ("key", "size"), [(31, 64), (33, 64), (0, 64), (32, 63), (32, 65), (32, 0)]
)
def test_an_ed25519_key_or_signature_of_the_wrong_size_is_refused(key: int, size: int) -> None:
    r, s = signed()
    good = r + s.to_bytes(32, "little") + b"\0"
    with pytest.raises(SignatureError):
        verify_ed25519((PUBLIC + b"\0")[:key], MESSAGE, good[:size])


# --- ML-DSA-44 --------------------------------------------------------------------------------


def test_an_ml_dsa_signature_verifies_and_no_other(
    signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    signature = signer.sign_ml_dsa_44(MESSAGE)
    verify_ml_dsa_44(signer.ml_dsa_44, MESSAGE, signature)
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for public, message, wrong in (
        (stranger.ml_dsa_44, MESSAGE, signature),
        (signer.ml_dsa_44, MESSAGE + b"\0", signature),
        (signer.ml_dsa_44, MESSAGE, flipped),
        (signer.ml_dsa_44, MESSAGE, signature[:-1]),
        (signer.ml_dsa_44, MESSAGE, signature + b"\0"),
        (signer.ml_dsa_44, MESSAGE, b""),
        (signer.ml_dsa_44[:-1], MESSAGE, signature),
        (signer.ml_dsa_44 + b"\0", MESSAGE, signature),
        (bytes(1312), MESSAGE, signature),
        (signer.ml_dsa_44, MESSAGE, bytes(2420)),
        (signer.ml_dsa_44, MESSAGE, b"\xff" * 2420),
    ):
        with pytest.raises(SignatureError):
            verify_ml_dsa_44(public, message, wrong)
