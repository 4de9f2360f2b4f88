"""Checkpoints: the text, the cosigned message, both signatures, and every way to alter them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import pytest

from vault.codec import format_base64
from vault.errors import FormatError, SignatureError, UnknownKeyError, VaultError, VerificationError
from vault.tlog.checkpoint import (
    Checkpoint,
    CheckpointSigner,
    check_checkpoint,
    cosigned_message,
    format_checkpoint,
    parse_checkpoint,
    parse_signed_checkpoint,
    sign_checkpoint,
)
from vault.tlog.merkle import EMPTY_ROOT
from vault.tlog.note import ED25519, ML_DSA_44, Note, Signature, format_note, key_id

ORIGIN = "evidence-vault/" + 32 * "ab"
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(32)))

# The example of tlog-checkpoint.md.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
""".encode()  # noqa: E501


@pytest.fixture(scope="module")
def raw(signer: CheckpointSigner) -> bytes:
    return sign_checkpoint(CHECKPOINT, signer)


def check(raw: bytes, signer: CheckpointSigner, origin: str | None = None) -> None:
    signed = parse_signed_checkpoint(raw)
    check_checkpoint(signed, signer.ed25519, signer.ml_dsa_44, origin=origin)


# --- the text ---------------------------------------------------------------------------------


def test_the_specifications_example_is_read() -> None:
    signed = parse_signed_checkpoint(EXAMPLE)
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert signed.checkpoint == Checkpoint("example.com/behind-the-sofa", 20852163, root)
    assert signed.raw == EXAMPLE
    assert format_checkpoint(signed.checkpoint) == signed.note.text


@pytest.mark.parametrize("size", [0, 1, 9, 10, 2**63 - 1])
def test_a_checkpoint_is_read_back(size: int) -> None:
    checkpoint = Checkpoint("naïve/日本", size, EMPTY_ROOT)
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


ROOT = format_base64(bytes(32))
WRONG = {
    "nothing": "",
    "two lines": "o\n1\n",
    "no final newline": f"o\n1\n{ROOT}",
    "two final newlines": f"o\n1\n{ROOT}\n\n",
    "an extension line": f"o\n1\n{ROOT}\nextension\n",
    "carriage returns": f"o\r\n1\r\n{ROOT}\r\n",
    "lines ended by U+2028": f"o\u20281\u2028{ROOT}\u2028",
    "an empty origin": f"\n1\n{ROOT}\n",
    "a space in the origin": f"a b\n1\n{ROOT}\n",
    "a plus in the origin": f"a+b\n1\n{ROOT}\n",
    "an origin of 256 bytes": f"{128 * 'é'}\n1\n{ROOT}\n",
    "an empty size": f"o\n\n{ROOT}\n",
    "a sign": f"o\n+1\n{ROOT}\n",
    "a minus": f"o\n-1\n{ROOT}\n",
    "a leading zero": f"o\n01\n{ROOT}\n",
    "an underscore": f"o\n1_0\n{ROOT}\n",
    "a space in the size": f"o\n 1\n{ROOT}\n",
    "another script's digits": f"o\n١\n{ROOT}\n",
    "hexadecimal": f"o\n0x1\n{ROOT}\n",
    "a size of 64 bits": f"o\n{2**63}\n{ROOT}\n",
    "a root of 31 bytes": f"o\n1\n{format_base64(bytes(31))}\n",
    "a root of 33 bytes": f"o\n1\n{format_base64(bytes(33))}\n",
    "no root": "o\n1\n\n",
    "a root without padding": f"o\n1\n{ROOT.rstrip('=')}\n",
    "a root with other trailing bits": f"o\n1\n{ROOT[:-2]}B=\n",
    "a root and a space": f"o\n1\n{ROOT} \n",
    "a root in hexadecimal": f"o\n1\n{bytes(32).hex()}\n",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_a_checkpoint_is_refused_with(text: str) -> None:
    with pytest.raises(FormatError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(CHECKPOINT, origin=""),
        replace(CHECKPOINT, origin="a b"),
        replace(CHECKPOINT, origin="a\nb"),
        replace(CHECKPOINT, origin="a" * 256),
        replace(CHECKPOINT, size=-1),
        replace(CHECKPOINT, size=2**63),
        replace(CHECKPOINT, root=bytes(31)),
    ],
)
def test_what_would_not_be_read_back_is_neither_written_nor_signed(
    wrong: Checkpoint, signer: CheckpointSigner
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any, by a caller's mistake
        format_checkpoint(wrong)
    with pytest.raises(ValueError):  # noqa: PT011
        sign_checkpoint(wrong, signer)


# --- the cosigned message ---------------------------------------------------------------------


def test_the_bytes_of_a_cosigned_message() -> None:
    message = cosigned_message("wit", 0x0102, "näme", 0, 0x0A0B, b"\x11" * 32)
    assert message == (
        b"subtree/v1\n\x00"
        b"\x03wit"
        b"\x00\x00\x00\x00\x00\x00\x01\x02"
        b"\x05n\xc3\xa4me"
        b"\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x00\x00\x0a\x0b" + b"\x11" * 32
    )
    assert cosigned_message("a" * 255, 0, "b", 3, 4, bytes(32))[12:13] == b"\xff"


@pytest.mark.parametrize(
    "arguments",
    [
        ("", 0, "o", 0, 1, bytes(32)),
        ("a" * 256, 0, "o", 0, 1, bytes(32)),
        ("c", 0, "", 0, 1, bytes(32)),
        ("c", 0, 128 * "é", 0, 1, bytes(32)),
        ("c", -1, "o", 0, 1, bytes(32)),
        ("c", 2**63, "o", 0, 1, bytes(32)),
        ("c", 0, "o", -1, 1, bytes(32)),
        ("c", 0, "o", 2, 1, bytes(32)),
        ("c", 0, "o", 0, 2**63, bytes(32)),
        ("c", 1, "o", 1, 2, bytes(32)),
        ("c", 0, "o", 0, 1, bytes(31)),
        ("c", 0, "o", 0, 1, bytes(33)),
    ],
)
def test_what_a_cosigned_message_cannot_say_is_a_value_error(
    arguments: tuple[str, int, str, int, int, bytes],
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any, by a caller's mistake
        cosigned_message(*arguments)


# --- signing and checking ---------------------------------------------------------------------


def test_a_signed_checkpoint_has_two_lines_and_verifies(
    raw: bytes, signer: CheckpointSigner
) -> None:
    signed = parse_signed_checkpoint(raw)
    assert signed.checkpoint == CHECKPOINT
    assert signed.raw == raw
    assert signed.note.text == format_checkpoint(CHECKPOINT)
    classical, quantum = signed.note.signatures
    assert classical.name == quantum.name == ORIGIN
    assert classical.key_id == key_id(ORIGIN, ED25519, signer.ed25519)
    assert quantum.key_id == key_id(ORIGIN, ML_DSA_44, signer.ml_dsa_44)
    assert len(classical.data) == 64
    assert len(quantum.data) == 8 + 2420
    assert quantum.data.startswith(bytes(8))
    check(raw, signer)
    check(raw, signer, ORIGIN)


def test_the_empty_trees_checkpoint_can_be_signed(signer: CheckpointSigner) -> None:
    check(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), signer), signer)


def test_every_flipped_bit_is_refused(raw: bytes, signer: CheckpointSigner) -> None:
    # Of the ML-DSA-44 signature one bit of each byte, of all before it every bit: each bit there
    # costs a verification, and the encoding is the same throughout.
    quantum = raw.rindex(b" ")
    tried = 0
    for at in range(len(raw)):
        for bit in range(8) if at < quantum else (at % 5,):
            bad = bytearray(raw)
            bad[at] ^= 1 << bit
            with pytest.raises(VaultError):
                check(bytes(bad), signer)
            tried += 1
    assert tried == len(raw) + 7 * quantum


def test_every_lost_or_doubled_byte_and_every_truncation_is_refused(
    raw: bytes, signer: CheckpointSigner
) -> None:
    for at in range(len(raw)):
        for bad in (raw[:at] + raw[at + 1 :], raw[: at + 1] + raw[at:], raw[:at]):
            if bad != raw:
                with pytest.raises(VaultError):
                    check(bad, signer)


def test_nothing_may_follow_or_precede(raw: bytes, signer: CheckpointSigner) -> None:
    for more in (b"\n", b"\r\n", b" ", b"\0", b"x\n", raw):
        for bad in (raw + more, more + raw):
            with pytest.raises(VaultError):
                check(bad, signer)


def relined(raw: bytes, *order: int) -> bytes:
    """Return the checkpoint with its signature lines picked anew."""
    note = parse_signed_checkpoint(raw).note
    return format_note(Note(note.text, tuple(note.signatures[i] for i in order)))


@pytest.mark.parametrize("order", [(0,), (1,), (1, 0), (0, 0), (1, 1), (0, 1, 1), (0, 0, 1)])
def test_other_than_the_two_lines_in_order_is_a_signature_error(
    order: tuple[int, ...], raw: bytes, signer: CheckpointSigner
) -> None:
    with pytest.raises(SignatureError):
        check(relined(raw, *order), signer)


def test_another_signers_checkpoint_is_an_unknown_key(
    raw: bytes, signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        check(raw, stranger)
    assert caught.value.found == (ORIGIN, key_id(ORIGIN, ED25519, signer.ed25519))
    with pytest.raises(UnknownKeyError):
        check_checkpoint(parse_signed_checkpoint(raw), signer.ed25519, stranger.ml_dsa_44)
    with pytest.raises(UnknownKeyError):
        check_checkpoint(parse_signed_checkpoint(raw), stranger.ed25519, signer.ml_dsa_44)


def test_a_third_partys_line_is_an_unknown_key(
    raw: bytes, signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    note = parse_signed_checkpoint(raw).note
    for name in (ORIGIN, "witness.example"):
        line = Signature(name, key_id(name, ED25519, stranger.ed25519), bytes(64))
        with pytest.raises(UnknownKeyError):
            check(format_note(Note(note.text, (*note.signatures, line))), signer)


def test_a_signature_line_under_another_name_is_an_unknown_key(
    raw: bytes, signer: CheckpointSigner
) -> None:
    note = parse_signed_checkpoint(raw).note
    first, second = note.signatures
    other = key_id("other", ED25519, signer.ed25519)
    for line in (replace(first, name="other"), replace(first, name="other", key_id=other)):
        with pytest.raises(UnknownKeyError):
            check(format_note(Note(note.text, (line, second))), signer)


def test_a_key_id_alone_vouches_for_nothing(
    raw: bytes, signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    ours = parse_signed_checkpoint(raw).note
    theirs = parse_signed_checkpoint(sign_checkpoint(CHECKPOINT, stranger)).note
    for forged in (0, 1):
        lines = list(ours.signatures)
        lines[forged] = replace(lines[forged], data=theirs.signatures[forged].data)
        with pytest.raises(SignatureError):
            check(format_note(Note(ours.text, tuple(lines))), signer)


@pytest.mark.parametrize("changed", [{"size": 1}, {"root": bytes(32)}, {"origin": "other"}])
def test_signatures_of_another_checkpoint_do_not_verify(
    changed: dict[str, object], raw: bytes, signer: CheckpointSigner
) -> None:
    other = replace(CHECKPOINT, **changed)  # type: ignore[arg-type]
    lines = tuple(
        replace(line, name=other.origin, key_id=key_id(other.origin, kind, public))
        for line, kind, public in zip(
            parse_signed_checkpoint(raw).note.signatures,
            (ED25519, ML_DSA_44),
            (signer.ed25519, signer.ml_dsa_44),
            strict=True,
        )
    )
    with pytest.raises(SignatureError):
        check(format_note(Note(format_checkpoint(other), lines)), signer)
    # The same when Ed25519, which a quantum computer forges, does sign it.
    text = format_checkpoint(other)
    forged = replace(lines[0], data=signer.sign_ed25519(text.encode()))
    with pytest.raises(SignatureError):
        check(format_note(Note(text, (forged, lines[1]))), signer)


def test_a_timestamp_is_refused_even_when_signed(raw: bytes, signer: CheckpointSigner) -> None:
    note = parse_signed_checkpoint(raw).note
    message = cosigned_message(ORIGIN, 1, ORIGIN, 0, CHECKPOINT.size, CHECKPOINT.root)
    data = (1).to_bytes(8, "big") + signer.sign_ml_dsa_44(message)
    line = replace(note.signatures[1], data=data)
    with pytest.raises(SignatureError, match="timestamp"):
        check(format_note(Note(note.text, (note.signatures[0], line))), signer)


@pytest.mark.parametrize("size", [1, 7, 8, 2420, 2427, 2429])
def test_an_ml_dsa_signature_of_the_wrong_size_is_refused(
    size: int, raw: bytes, signer: CheckpointSigner
) -> None:
    note = parse_signed_checkpoint(raw).note
    first, second = note.signatures
    line = replace(second, data=(second.data + b"\0")[:size])
    with pytest.raises(SignatureError):
        check(format_note(Note(note.text, (first, line))), signer)


def test_another_logs_checkpoint_is_refused(raw: bytes, signer: CheckpointSigner) -> None:
    with pytest.raises(VerificationError) as caught:
        check(raw, signer, "evidence-vault/other")
    assert (caught.value.expected, caught.value.found) == ("evidence-vault/other", ORIGIN)


@dataclass
class Faulty:
    """A signer that signs with keys other than those it names."""

    named: CheckpointSigner
    classical: CheckpointSigner
    quantum: CheckpointSigner

    @property
    def ed25519(self) -> bytes:
        return self.named.ed25519

    @property
    def ml_dsa_44(self) -> bytes:
        return self.named.ml_dsa_44

    def sign_ed25519(self, message: bytes) -> bytes:
        return self.classical.sign_ed25519(message)

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        return self.quantum.sign_ml_dsa_44(message)


def test_a_checkpoint_that_does_not_verify_is_never_returned(
    signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    check(sign_checkpoint(CHECKPOINT, Faulty(signer, signer, signer)), signer)
    for classical, quantum in ((stranger, signer), (signer, stranger)):
        with pytest.raises(SignatureError):
            sign_checkpoint(CHECKPOINT, Faulty(signer, classical, quantum))
