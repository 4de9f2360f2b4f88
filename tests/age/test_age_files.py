"""vault.age as a caller meets it: whole files, any recipients, every error."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

import vault.age.file
from vault import age
from vault.age.header import MAX_STANZAS
from vault.errors import (
    ArmorError,
    FormatError,
    HeaderError,
    HeaderMacError,
    NoIdentityMatchError,
    PayloadError,
)

HYBRID = age.HybridIdentity.from_seed(b"h" * 32)
OTHER_HYBRID = age.HybridIdentity.from_seed(b"o" * 32)
X25519 = age.X25519Identity.from_seed(b"x" * 32)
SCRYPT = age.ScryptRecipient("passphrase", 2)
PLAINTEXT = random.Random(1).randbytes(2 * age.CHUNK_SIZE + 5)


class Mixed:
    """A recipient that passes off X25519 as post-quantum: makes the files that we only read."""

    post_quantum = True

    def wrap(self, file_key: bytes) -> Sequence[age.Stanza]:
        return X25519.recipient().wrap(file_key)


@pytest.mark.parametrize("armored", [False, True])
@pytest.mark.parametrize(
    ("recipients", "identities"),
    [
        ([HYBRID.recipient()], [HYBRID]),
        ([HYBRID.recipient()], [X25519, OTHER_HYBRID, HYBRID]),
        ([HYBRID.recipient(), OTHER_HYBRID.recipient()], [OTHER_HYBRID]),
        ([X25519.recipient()], [X25519]),
        ([SCRYPT], [HYBRID, age.ScryptIdentity("passphrase")]),
        ([HYBRID.recipient(), Mixed()], [HYBRID]),
        ([HYBRID.recipient(), Mixed()], [X25519]),
    ],
)
def test_who_a_file_is_for_opens_it(
    recipients: list[age.Recipient], identities: list[age.Identity], armored: bool
) -> None:
    file = age.encrypt_bytes(PLAINTEXT, recipients, armored=armored)
    assert age.decrypt_bytes(file, identities) == PLAINTEXT
    if not armored:
        assert age.open(io.BytesIO(file), identities).read() == PLAINTEXT


def test_files_on_a_disk_are_encrypted_decrypted_and_read_at_any_place(tmp_path: Path) -> None:
    plain, file, out = tmp_path / "plain", tmp_path / "file.age", tmp_path / "out"
    plain.write_bytes(PLAINTEXT)
    # Unbuffered, so that reads and writes may be short.
    with plain.open("rb", buffering=0) as source, file.open("wb", buffering=0) as sink:
        age.encrypt(source, sink, [HYBRID.recipient()])
    with file.open("rb", buffering=0) as source, out.open("wb", buffering=0) as sink:
        age.decrypt(source, sink, [HYBRID])
    assert out.read_bytes() == PLAINTEXT
    with file.open("rb") as buffered, age.open(buffered, [HYBRID]) as reader:
        assert reader.size == len(PLAINTEXT)
        reader.seek(-5, io.SEEK_END)
        assert reader.read() == PLAINTEXT[-5:]


def test_a_file_is_pushed_piece_by_piece_also_into_armor() -> None:
    sink = io.BytesIO()
    with age.armored(sink) as armor, age.writer(armor, [HYBRID.recipient()]) as writer:
        for start in range(0, len(PLAINTEXT), 5000):
            writer.write(PLAINTEXT[start : start + 5000])
    assert age.decrypt_bytes(sink.getvalue(), [HYBRID]) == PLAINTEXT
    assert not sink.closed


def test_a_file_has_the_size_that_is_computed() -> None:
    sink = io.BytesIO()
    writer = age.writer(sink, [HYBRID.recipient()])
    header = len(sink.getvalue()) - 16
    writer.write(PLAINTEXT)
    writer.close()
    assert len(sink.getvalue()) == header + age.payload_size(len(PLAINTEXT))


def test_no_two_files_are_alike() -> None:
    files = {age.encrypt_bytes(b"x", [X25519.recipient()]) for _ in range(10)}
    assert len(files) == 10
    assert len({file[-17:] for file in files}) == 10


def test_a_file_with_its_randomness_given_is_always_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = random.Random(5)
    monkeypatch.setattr("os.urandom", drawn.randbytes)
    sink = io.BytesIO()
    with vault.age.file._writer_with(sink, [X25519.recipient()], drawn.randbytes) as writer:
        writer.write(b"golden")
    digest = "81dd02be1b8cd5238da9b2243beecaf29bf03dd3de30b5944f091d75368707e7"
    assert hashlib.sha256(sink.getvalue()).hexdigest() == digest
    assert age.decrypt_bytes(sink.getvalue(), [X25519]) == b"golden"


@pytest.mark.parametrize(
    ("recipients", "why"),
    [
        ([], "no recipient"),
        ([HYBRID.recipient(), X25519.recipient()], "post-quantum"),
        ([SCRYPT, SCRYPT], "passphrase"),
        ([SCRYPT, HYBRID.recipient()], "passphrase"),
        ([X25519.recipient(), SCRYPT], "post-quantum"),
        ([X25519.recipient()] * (MAX_STANZAS + 1), "recipients"),
    ],
)
def test_recipients_that_do_not_go_together_are_refused_before_anything_is_written(
    recipients: list[age.Recipient], why: str
) -> None:
    sink = io.BytesIO()
    with pytest.raises(ValueError, match=why):
        age.writer(sink, recipients)
    assert sink.getvalue() == b""


def test_a_thousand_hybrid_recipients_fit() -> None:
    sink = io.BytesIO()
    age.writer(sink, [OTHER_HYBRID.recipient()] * 999 + [HYBRID.recipient()]).close()
    assert age.decrypt_bytes(sink.getvalue(), [HYBRID]) == b""


def test_who_a_file_is_not_for_is_told_so() -> None:
    file = age.encrypt_bytes(PLAINTEXT, [HYBRID.recipient()])
    passphrase = age.encrypt_bytes(PLAINTEXT, [SCRYPT])
    cases: list[tuple[bytes, list[age.Identity]]] = [
        (file, [OTHER_HYBRID]),
        (file, [X25519]),
        (file, [age.ScryptIdentity("passphrase")]),
        (passphrase, [age.ScryptIdentity("wrong")]),
        (passphrase, [HYBRID, X25519]),
    ]
    for data, identities in cases:
        sink = io.BytesIO()
        with pytest.raises(NoIdentityMatchError):
            age.decrypt(io.BytesIO(data), sink, identities)
        assert sink.getvalue() == b""
        with pytest.raises(NoIdentityMatchError):
            age.open(io.BytesIO(data), identities)


def test_no_identity_at_all_is_the_callers_mistake() -> None:
    file = age.encrypt_bytes(b"", [HYBRID.recipient()])
    with pytest.raises(ValueError, match="no identity"):
        age.decrypt_bytes(file, [])


def test_an_identity_of_somebody_elses_that_gives_nonsense_is_the_callers_mistake() -> None:
    class Nonsense:
        def unwrap(self, stanzas: Sequence[age.Stanza]) -> bytes | None:
            return b"short"

    with pytest.raises(ValueError, match="5 bytes"):
        age.decrypt_bytes(age.encrypt_bytes(b"", [HYBRID.recipient()]), [Nonsense()])


def test_any_changed_byte_of_a_file_is_noticed() -> None:
    file = age.encrypt_bytes(b"testimony", [X25519.recipient()])
    for place in range(len(file)):
        changed = bytearray(file)
        changed[place] ^= 1
        sink = io.BytesIO()
        with pytest.raises((HeaderError, HeaderMacError, NoIdentityMatchError, PayloadError)):
            age.decrypt(io.BytesIO(changed), sink, [X25519])
        assert sink.getvalue() == b""


def test_a_file_cut_anywhere_is_noticed() -> None:
    file = age.encrypt_bytes(b"testimony", [X25519.recipient()])
    payload = file.index(b"\n", file.index(b"\n---") + 1) + 1
    for size in range(len(file)):
        expected = HeaderError if size < payload + 16 else PayloadError
        with pytest.raises(expected):
            age.decrypt_bytes(file[:size], [X25519])
        with pytest.raises(expected):
            age.open(io.BytesIO(file[:size]), [X25519]).readall()


def test_a_stanza_swapped_for_that_of_another_file_is_a_mac_failure() -> None:
    one = age.encrypt_bytes(b"one", [X25519.recipient()])
    two = age.encrypt_bytes(b"two", [X25519.recipient()])
    mark_one, mark_two = one.index(b"\n---"), two.index(b"\n---")
    with pytest.raises(HeaderMacError):
        age.decrypt_bytes(one[:mark_one] + two[mark_two:], [X25519])


def test_a_passphrase_stanza_beside_others_is_a_header_failure_whoever_reads() -> None:
    file = age.encrypt_bytes(b"x", [X25519.recipient()])
    mixed = file.replace(b"\n---", b"\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 2\n\n---", 1)
    with pytest.raises(HeaderError, match="scrypt"):
        age.decrypt_bytes(mixed, [X25519])


def test_damage_in_armor_is_an_armor_failure() -> None:
    file = age.encrypt_bytes(PLAINTEXT, [X25519.recipient()], armored=True)
    lines = file.split(b"\n")
    sink = io.BytesIO()
    with pytest.raises(ArmorError):
        age.decrypt(io.BytesIO(b"\n".join(lines[:-3])), sink, [X25519])
    assert PLAINTEXT.startswith(sink.getvalue())
    with pytest.raises(ArmorError):
        age.decrypt_bytes(b"Dear all,\n" + file, [X25519])


def test_armor_is_not_opened_for_seeking() -> None:
    file = age.encrypt_bytes(b"x", [X25519.recipient()], armored=True)
    with pytest.raises(HeaderError, match="armored"):
        age.open(io.BytesIO(file), [X25519])


def test_an_interrupted_encryption_leaves_no_age_file() -> None:
    class Unreadable:
        left = 3

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise OSError("unreadable")
            return bytes(size)

    sink = io.BytesIO()
    with pytest.raises(OSError, match="unreadable"):
        age.encrypt(Unreadable(), sink, [X25519.recipient()])
    with pytest.raises(PayloadError):
        age.decrypt_bytes(sink.getvalue(), [X25519])


def test_a_small_file_larger_than_expected_is_refused() -> None:
    file = age.encrypt_bytes(PLAINTEXT, [X25519.recipient()])
    assert age.decrypt_bytes(file, [X25519], max_size=len(PLAINTEXT)) == PLAINTEXT
    with pytest.raises(FormatError, match="longer than"):
        age.decrypt_bytes(file, [X25519], max_size=len(PLAINTEXT) - 1)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(age, name) for name in age.__all__)
    assert len(set(age.__all__)) == len(age.__all__)
