"""Manifests of files that were encrypted again: their form, and where files stand by them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from vault.custody import Rekeying, State
from vault.errors import DigestMismatchError, FormatError, NotAVaultError
from vault.event import SealedFile
from vault.layout import bundle_key_name, fields_name, rekey_name
from vault.replacement import (
    MAX_REPLACEMENTS,
    Replacement,
    Replacements,
    format_manifest,
    parse_manifest,
)
from vault.storage import MemoryStore

EPOCH, OTHER = b"\x05" * 8, b"\x06" * 8
BUNDLE = b"\xb1" * 16


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def fields_line(one: int, two: int, size: int = 4608, epoch: bytes = EPOCH) -> Replacement:
    file = SealedFile(digest(two), size, epoch)
    return Replacement(fields_name(digest(one)), fields_name(digest(two)), file)


def key_line(one: int, two: int, size: int = 2104, epoch: bytes = EPOCH) -> Replacement:
    file = SealedFile(digest(two), size, epoch)
    old = bundle_key_name(BUNDLE, OTHER, digest(one))
    return Replacement(old, bundle_key_name(BUNDLE, epoch, digest(two)), file)


LINES = (fields_line(1, 2), key_line(3, 4), fields_line(5, 6, 5120))


# --- the form -------------------------------------------------------------------------------------


def test_a_manifest_has_a_line_for_each_file_sorted_by_its_first_name() -> None:
    data = format_manifest(LINES)
    lines = data.decode("ascii").split("\n")
    assert lines.pop() == ""
    assert lines == sorted(lines)
    assert {tuple(line.split(" ")) for line in lines} == {
        (one.name, one.new, str(one.file.size)) for one in LINES
    }
    assert set(parse_manifest(data, EPOCH, "m")) == set(LINES)
    assert format_manifest(reversed(LINES)) == data
    assert format_manifest(parse_manifest(data, EPOCH, "m")) == data


SOUND = format_manifest(LINES).decode()
FIRST, SECOND, THIRD = SOUND.splitlines()
A, B, SIZE = THIRD.split(" ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("\n", id="an empty line"),
        pytest.param(SOUND[:-1], id="no last newline"),
        pytest.param(SOUND + "\n", id="an empty line more"),
        pytest.param(f"{SECOND}\n{FIRST}\n", id="not sorted"),
        pytest.param(f"{FIRST}\n{FIRST}\n", id="a file twice"),
        pytest.param(SOUND.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(f"{A} {B}\n", id="no size"),
        pytest.param(f"{A}  {B} {SIZE}\n", id="two spaces"),
        pytest.param(f"{A} {B} {SIZE} x\n", id="a word more"),
        pytest.param(f" {FIRST}\n", id="a space in front"),
        pytest.param(f"{A} {B} +{SIZE}\n", id="a sign"),
        pytest.param(f"{A} {B} 0{SIZE}\n", id="a leading zero"),
        pytest.param(f"{A} {B} -1\n", id="less than nothing"),
        pytest.param(f"{A} {A} {SIZE}\n", id="by itself"),
        pytest.param(f"{A} {B.upper()} {SIZE}\n", id="upper case"),
        pytest.param(f"{A} {B}\u00a0{SIZE}\n", id="not ASCII"),
        pytest.param(f"{A} {B}x {SIZE}\n", id="a name too long"),
        pytest.param(f"{A} {B[:-1]} {SIZE}\n", id="a name too short"),
        pytest.param(f"{A} fields/00/{B[10:]} {SIZE}\n", id="another folder"),
        pytest.param(f"{A} ../{B} {SIZE}\n", id="out of the vault"),
        pytest.param(f"{A} log/checkpoint {SIZE}\n", id="the checkpoint"),
        pytest.param(f"{A} keys/{EPOCH.hex()} {SIZE}\n", id="an epoch's file"),
        pytest.param(f"keys/{EPOCH.hex()} {B} {SIZE}\n", id="in an epoch's place"),
        pytest.param(
            f"bundles/{BUNDLE.hex()}/evidence.0000 {B} {SIZE}\n", id="in evidence's place"
        ),
    ],
)
def test_a_manifest_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_manifest(text.encode(), EPOCH, "m")


def test_each_file_is_replaced_by_one_of_its_kind() -> None:
    key = key_line(3, 4)
    elsewhere = key.new.replace(BUNDLE.hex(), "c0" * 16)
    for name, new in (
        (A, key.new),
        (key.name, B),
        (key.name, elsewhere),
        (key.name, key.new.replace(f"key.{EPOCH.hex()}", f"key.{OTHER.hex()}")),
    ):
        with pytest.raises(FormatError, match="another kind"):
            parse_manifest(f"{name} {new} 7\n".encode(), EPOCH, "m")
    with pytest.raises(FormatError, match="another kind"):
        parse_manifest(f"{key.name} {key.new} 7\n".encode(), OTHER, "m")


def test_no_two_files_are_replaced_by_one() -> None:
    with pytest.raises(FormatError, match="named twice"):
        format_manifest([fields_line(1, 2), fields_line(3, 2)])


def test_a_manifest_is_of_one_epoch_and_not_longer_than_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="one epoch"):
        format_manifest([fields_line(1, 2), fields_line(3, 4, epoch=OTHER)])
    monkeypatch.setattr("vault.replacement.MAX_REPLACEMENTS", 2)
    with pytest.raises(FormatError, match="1 to 2 lines"):
        format_manifest(LINES)
    assert MAX_REPLACEMENTS == 65536


@pytest.mark.parametrize("place", range(len(SOUND)))
def test_a_changed_byte_is_refused_or_names_other_files(place: int) -> None:
    data = bytearray(SOUND.encode())
    data[place] ^= 1
    try:
        found = parse_manifest(bytes(data), EPOCH, "m")
    except FormatError:
        return
    assert set(found) != set(LINES)


# --- where a file stands --------------------------------------------------------------------------


class Vault:
    """A state with manifests, and a store that holds them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.state = State()

    def rekey(self, *lines: Replacement, confirmed: bool = True, epoch: bytes = EPOCH) -> Rekeying:
        data = format_manifest(lines)
        sha256 = hashlib.sha256(data).digest()
        seq = len(self.state.rekeyings) + 10
        found = Rekeying(sha256, len(data), epoch, b"", seq, confirmed=20 if confirmed else None)
        self.state.rekeyings[sha256] = found
        with self.store.create(rekey_name(sha256)) as writer:
            writer.write(data)
            writer.commit()
        return found

    def places(self, line: Replacement) -> list[Any]:
        found = Replacements(self.store).places(line.name, SealedFile(b"", 0, OTHER), self.state)
        return [one if isinstance(one, Exception) else one[0] for one in found]


def test_what_was_confirmed_comes_first_the_newest_before_all() -> None:
    vault = Vault()
    first, second, third = (fields_line(1, number) for number in (2, 3, 4))
    assert vault.places(first) == [first.name]
    vault.rekey(first)
    assert vault.places(first) == [first.new, first.name]
    vault.rekey(second, epoch=EPOCH)
    assert vault.places(first) == [second.new, first.new, first.name]
    vault.rekey(third, confirmed=False)
    assert vault.places(first) == [second.new, first.new, first.name, third.new]
    assert vault.places(fields_line(9, 8)) == [fields_name(digest(9))]


@pytest.mark.parametrize("damage", ["missing", "altered", "longer", "no manifest", "too large"])
def test_a_manifest_that_can_t_be_read_hides_no_other(damage: str) -> None:
    vault = Vault()
    line = fields_line(1, 2)
    vault.rekey(line)
    bad = vault.rekey(fields_line(1, 3))
    name = rekey_name(bad.manifest)
    if damage == "missing":
        vault.store.delete(name)
    elif damage == "no manifest":
        sha256 = hashlib.sha256(b"x\n").digest()
        del vault.state.rekeyings[bad.manifest]
        vault.state.rekeyings[sha256] = Rekeying(sha256, 2, EPOCH, b"", 12, confirmed=13)
        vault.store._files[rekey_name(sha256)] = b"x\n"
    elif damage == "too large":
        bad.size = 2**40
    else:
        vault.store._files[name] += b"x"
        if damage == "altered":
            vault.store._files[name] = vault.store._files[name][1:]
    error, *others = vault.places(line)
    kind = FormatError if damage in ("no manifest", "too large") else DigestMismatchError
    assert isinstance(error, kind)
    assert others == [line.new, line.name]


def test_a_medium_that_fails_is_told_as_what_can_t_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault()
    line = fields_line(1, 2)
    vault.rekey(line)
    for error, kind in (
        (OSError(5, "Input/output error"), DigestMismatchError),
        (NotAVaultError("v", "gone"), NotAVaultError),
    ):

        def read(*_: object, error: Exception = error) -> bytes:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(MemoryStore, "read", read)
            found, *others = vault.places(line)
        assert isinstance(found, kind)
        assert others == [line.name]


def test_a_manifest_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault()
    line = fields_line(1, 2)
    rekeying = vault.rekey(line)
    replacements = Replacements(vault.store)
    assert replacements.of(rekeying) == {line.name: line}
    vault.store.delete(rekey_name(rekeying.manifest))
    assert replacements.of(rekeying) == {line.name: line}
