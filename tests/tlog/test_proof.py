"""tlog-proof: the format, and what a proof shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.codec import format_base64
from vault.errors import (
    FormatError,
    ProofError,
    SignatureError,
    UnknownKeyError,
    VaultError,
    VerificationError,
)
from vault.tlog.checkpoint import Checkpoint, CheckpointSigner, sign_checkpoint
from vault.tlog.merkle import MemoryTree, leaf_hash, prove_inclusion
from vault.tlog.proof import MAX_EXTRA, TlogProof, check_proof, format_proof, parse_proof

ORIGIN = "evidence-vault/" + 32 * "cd"
SIZE, INDEX = 21, 13
TREE = MemoryTree(leaf_hash(bytes([i])) for i in range(SIZE))
LEAF = TREE.hash(0, INDEX)


@pytest.fixture(scope="module")
def proof(signer: CheckpointSigner) -> TlogProof:
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, SIZE, TREE.root()), signer)
    return TlogProof(INDEX, prove_inclusion(INDEX, SIZE, TREE), checkpoint, b"extra")


@pytest.fixture(scope="module")
def raw(proof: TlogProof) -> bytes:
    return format_proof(proof)


def check(proof: TlogProof, signer: CheckpointSigner) -> None:
    check_proof(proof, LEAF, signer.ed25519, signer.ml_dsa_44, origin=ORIGIN)


def test_the_bytes_of_a_proof(proof: TlogProof, raw: bytes) -> None:
    lines = raw.split(b"\n")
    assert lines[:3] == [b"c2sp.org/tlog-proof@v1", b"extra ZXh0cmE=", b"index 13"]
    assert [line.decode() for line in lines[3:8]] == [format_base64(h) for h in proof.hashes]
    assert lines[8] == b""
    assert raw.endswith(b"\n\n" + proof.checkpoint)
    assert parse_proof(raw) == proof


def test_a_proof_without_extra_data_has_no_such_line(proof: TlogProof) -> None:
    bare = replace(proof, extra=None)
    assert b"extra" not in format_proof(bare)
    assert parse_proof(format_proof(bare)) == bare


def test_a_proof_of_the_only_entry_has_no_hashes(signer: CheckpointSigner) -> None:
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, 1, LEAF), signer)
    proof = TlogProof(0, (), checkpoint)
    assert format_proof(proof) == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + checkpoint
    check(parse_proof(format_proof(proof)), signer)


def test_every_entry_of_a_log_is_proved(proof: TlogProof, signer: CheckpointSigner) -> None:
    for index in range(SIZE):
        entry = replace(proof, index=index, hashes=prove_inclusion(index, SIZE, TREE))
        check_proof(
            parse_proof(format_proof(entry)),
            TREE.hash(0, index),
            signer.ed25519,
            signer.ml_dsa_44,
            origin=ORIGIN,
        )


def test_every_changed_bit_before_the_checkpoint_is_refused_or_only_extra_data(
    raw: bytes, proof: TlogProof, signer: CheckpointSigner
) -> None:
    for bit in range(8 * (len(raw) - len(proof.checkpoint))):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            found = parse_proof(bytes(bad))
            check(found, signer)
        except VaultError:
            continue
        assert replace(found, extra=proof.extra) == proof
        assert found.extra != proof.extra


def test_what_a_proof_does_not_show_is_refused(
    proof: TlogProof, signer: CheckpointSigner, stranger: CheckpointSigner
) -> None:
    check(proof, signer)
    with pytest.raises(UnknownKeyError):
        check(proof, stranger)
    with pytest.raises(VerificationError, match="another log"):
        check_proof(proof, LEAF, signer.ed25519, signer.ml_dsa_44, origin="evidence-vault/other")
    for leaf in (TREE.hash(0, INDEX + 1), bytes([INDEX]), b"", LEAF + b"\0"):
        with pytest.raises(ProofError):
            check_proof(proof, leaf, signer.ed25519, signer.ml_dsa_44, origin=ORIGIN)
    for other in (
        replace(proof, index=INDEX + 1),
        replace(proof, index=SIZE),
        replace(proof, hashes=proof.hashes[1:]),
        replace(proof, hashes=(*proof.hashes, bytes(32))),
        replace(proof, hashes=(proof.hashes[0][:31], *proof.hashes[1:])),
    ):
        with pytest.raises(ProofError):
            check(other, signer)
    signature = proof.checkpoint.split(b"\n")[4]
    with pytest.raises(SignatureError):
        check(replace(proof, checkpoint=proof.checkpoint.replace(signature + b"\n", b"")), signer)
    with pytest.raises(FormatError):
        check(replace(proof, checkpoint=b""), signer)


HASH = format_base64(bytes(32)).encode() + b"\n"
INDEX_LINE = b"index 13\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2"),
        (b"c2sp.org/tlog-proof@v1", b""),
        (b"c2sp.org", b"\xef\xbb\xbfc2sp.org"),
        (b"c2sp.org", b"\xffc2sp.org"),
        (b"@v1\n", b"@v1\r\n"),
        (b"@v1\n", b"@v1 \n"),
        (b"@v1\n", b"@v1\n\n"),
        (b"extra ", b"extra"),
        (b"extra ", b"extra  "),
        (b"extra ", b"Extra "),
        (b"extra ZXh0cmE=", b"extra "),
        (b"extra ZXh0cmE=", b"extra ZXh0cmE"),
        (b"extra ZXh0cmE=", b"extra ZXh0cmF="),
        (b"extra ZXh0cmE=\n", b"extra ZXh0cmE=\nextra ZXh0cmE=\n"),
        (b"extra ZXh0cmE=\nindex 13\n", b"index 13\nextra ZXh0cmE=\n"),
        (INDEX_LINE, b""),
        (INDEX_LINE, b"index +13\n"),
        (INDEX_LINE, b"index 013\n"),
        (INDEX_LINE, b"index 1_3\n"),
        (INDEX_LINE, b"index -1\n"),
        (INDEX_LINE, b"index 13 \n"),
        (INDEX_LINE, b"index  13\n"),
        (INDEX_LINE, b"index \n"),
        (INDEX_LINE, b"index 9223372036854775807\n"),
        (INDEX_LINE, b"index 13\r\n"),
        (INDEX_LINE, b"index 13\nindex 13\n"),
        (INDEX_LINE, b"index 13\n \n"),
        (INDEX_LINE, INDEX_LINE + HASH.replace(b"=", b"")),
        (INDEX_LINE, INDEX_LINE + format_base64(bytes(31)).encode() + b"\n"),
        (INDEX_LINE, INDEX_LINE + format_base64(bytes(33)).encode() + b"\n"),
        (INDEX_LINE, INDEX_LINE + HASH * 64),
        (INDEX_LINE, INDEX_LINE + b"\n"),
    ],
)
def test_a_proof_that_is_not_canonical_is_refused(old: bytes, new: bytes, raw: bytes) -> None:
    assert old in raw
    with pytest.raises(FormatError):
        parse_proof(raw.replace(old, new, 1))


def test_a_proof_cut_short_or_without_checkpoint_is_refused(raw: bytes, proof: TlogProof) -> None:
    start = len(raw) - len(proof.checkpoint)
    for end in (*range(0, start + 1, 7), start - 1, start, len(raw) - 1):
        with pytest.raises(FormatError):
            parse_proof(raw[:end])
    with pytest.raises(FormatError):
        parse_proof(raw + b"\n")
    with pytest.raises(FormatError):
        parse_proof(raw.replace(b"index", b"extra " + b"A" * (1 << 21) + b"\nindex"))


def test_what_would_not_be_read_back_is_not_written(proof: TlogProof) -> None:
    for wrong in (
        replace(proof, index=-1),
        replace(proof, index=2**63),
        replace(proof, hashes=(bytes(31),)),
        replace(proof, hashes=(b"",)),
        replace(proof, hashes=tuple([bytes(32)] * 64)),
        replace(proof, hashes=list(proof.hashes)),  # type: ignore[arg-type]
        replace(proof, checkpoint=b""),
        replace(proof, checkpoint=proof.checkpoint[:-1]),
        replace(proof, extra=b""),
        replace(proof, extra=bytes(MAX_EXTRA + 1)),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - any, by a caller's mistake
            format_proof(wrong)
    widest = replace(proof, extra=bytes(MAX_EXTRA), hashes=tuple([bytes(32)] * 63))
    assert parse_proof(format_proof(widest)) == widest


@given(
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(min_size=1, max_size=100),
)
def test_every_proof_is_read_back(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    checkpoint = f"o\n1\n{format_base64(bytes(32))}\n\n— o {format_base64(bytes(9))}\n".encode()
    proof = TlogProof(index, tuple(hashes), checkpoint, extra)
    assert parse_proof(format_proof(proof)) == proof
