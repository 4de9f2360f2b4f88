"""The plaintext of a bundle: golden headers, a tar that standard tools read, no byte free."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import bagit
import hypothesis
import pytest
from hypothesis import strategies as st

from tests.bundles.scene import NOW
from vault.bag import (
    MAX_ITEMS,
    TAG_FILES,
    BagReader,
    BagWriter,
    StoredItem,
    extension_of,
    item_path,
    padded_size,
    tag_files,
    tar_header,
)
from vault.codec import padme
from vault.errors import FormatError

BUNDLE = bytes(range(16))
TOP = BUNDLE.hex()
NAMES = "data/000000.txt\tنام.txt\n".encode()
EVIDENCE = b"\x93not looked at here"
SIZES = (0, 1, 511, 512, 513, 5000)


def content(size: int) -> bytes:
    return bytes((index * 7 + size) % 251 for index in range(size))


def write(*items: tuple[str, bytes], time: int = NOW) -> tuple[bytes, list[StoredItem], int, int]:
    out = bytearray()
    writer = BagWriter(BUNDLE, time, out.extend)
    stored = []
    for path, data in items:
        writer.begin(path, len(data), time + 60)
        for start in range(0, len(data), 1000):
            writer.add(memoryview(data)[start : start + 1000])
        stored.append(writer.end())
    offset, total = writer.finish(NAMES, EVIDENCE)
    return bytes(out), stored, offset, total


def read(data: bytes, stored: Sequence[StoredItem]) -> tuple[int, int]:
    reader = BagReader(BUNDLE, io.BytesIO(data).read)
    for item in stored:
        reader.item(item.path, item.size)
    return reader.finish(NAMES, EVIDENCE)


# --- headers --------------------------------------------------------------------------------------


def field(text: str, size: int) -> bytes:
    return text.encode("ascii").ljust(size, b"\0")


def test_a_header_has_these_bytes() -> None:
    expected = (
        field("top/data/000000.txt", 100)
        + b"0000644\0"
        + b"0000000\0" * 2
        + b"00000001001\0"
        + b"15150774620\0"
        + b"010776\0 "
        + b"0"
        + field("", 100)
        + b"ustar\x0000"
        + field("", 247)
    )
    assert tar_header("top/data/000000.txt", 513, 1_772_353_936) == expected


def test_the_header_of_a_directory_has_these_bytes() -> None:
    header = tar_header("top/", 0, 0)
    assert header[:100] == field("top/", 100)
    assert header[100:156] == (
        b"0000755\0" + b"0000000\0" * 2 + b"00000000000\0" * 2 + b"006547\0 "
    )
    assert header[156:] == b"5" + field("", 100) + b"ustar\x0000" + field("", 247)


def test_a_size_from_8_gib_on_stands_in_an_extended_header() -> None:
    below, beyond = tar_header("a", 2**33 - 1, 0), tar_header("a", 2**33, 0)
    assert len(below) == 512
    assert below[124:136] == b"77777777777\0"
    assert len(beyond) == 3 * 512
    assert beyond[:14] == b"././@PaxHeader"
    assert beyond[156:157] == b"x"
    assert beyond[512:1024] == field("19 size=8589934592\n", 512)
    assert beyond[1024 + 124 : 1024 + 136] == b"00000000000\0"


@pytest.mark.parametrize(
    "size", [0, 1, 511, 2**33 - 1, 2**33, 10**10 - 1, 10**10, 2**40, 2**62, 2**63 - 1]
)
@pytest.mark.parametrize("mtime", [-1, 0, NOW, 2**33 - 1, 2**33, 2**60])
def test_a_header_is_what_tar_reads(size: int, mtime: int) -> None:
    header = tar_header("top/data/000001.jpeg", size, mtime)
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024)), ignore_zeros=True) as archive:
        found = archive.next()
    assert found is not None
    assert (found.name, found.size, found.type) == ("top/data/000001.jpeg", size, tarfile.REGTYPE)
    assert found.mtime == min(max(mtime, 0), 2**33 - 1)
    assert (found.mode, found.uid, found.gid, found.uname, found.gname) == (0o644, 0, 0, "", "")


def test_a_name_that_does_not_fit_a_header_is_refused() -> None:
    assert tar_header("a" * 99, 0, 0)[:100] == b"a" * 99 + b"\0"
    with pytest.raises(ValueError, match="100 bytes"):
        tar_header("a" * 100, 0, 0)
    with pytest.raises(UnicodeEncodeError):
        tar_header("é", 0, 0)


# --- names and sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("photo.JPG", ".jpg"),
        ("archive.tar.gz", ".gz"),
        ("no extension", ""),
        (".bashrc", ".bashrc"),
        ("dot.", ""),
        ("", ""),
        ("a.12345678", ".12345678"),
        ("a.123456789", ""),
        ("a.j pg", ""),
        ("a.jpg\n", ""),
        ("a.jp/g", ""),
        ("a.\N{KELVIN SIGN}", ""),
        ("a.٣", ""),
        ("بیان.txt", ".txt"),
        ("a.txt\N{RIGHT-TO-LEFT OVERRIDE}", ""),
        (b"\xff\xfe.PnG", ".png"),
        (b"a.j\xe9g", ""),
    ],
)
def test_an_extension_is_kept_only_if_it_is_safe_anywhere(
    name: str | bytes, extension: str
) -> None:
    assert extension_of(name) == extension
    assert item_path(7, name) == f"data/000007{extension}"


@hypothesis.given(st.one_of(st.text(), st.binary()))
def test_no_name_leads_out_of_the_bag(name: str | bytes) -> None:
    path = item_path(MAX_ITEMS - 1, name)
    assert path.startswith("data/099999")
    assert set(path.removeprefix("data/")) <= set("abcdefghijklmnopqrstuvwxyz0123456789.")
    assert len(path) <= len("data/099999.abcdefgh")


def test_the_plaintext_is_padded_to_few_sizes() -> None:
    assert padded_size(0) == padded_size(16384 - 1024) == padme(16384) == 16384
    assert padded_size(16384) == padme(16384 + 1024) == 17408
    assert padded_size(10**9) == padme(10**9 + 1024)


# --- a whole bag ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(), *((size,) for size in SIZES), SIZES])
def test_a_reader_takes_what_the_writer_wrote(sizes: tuple[int, ...]) -> None:
    items = [(item_path(number, "a.txt"), content(size)) for number, size in enumerate(sizes)]
    data, stored, offset, total = write(*items)
    assert total == len(data) == padded_size(data.rindex(b"tagmanifest") // 512 * 512 + 1024)
    assert data[offset : offset + len(EVIDENCE)] == EVIDENCE
    assert read(data, stored) == (offset, total)
    for item, (path, plain) in zip(stored, items, strict=True):
        assert (item.path, item.size) == (path, len(plain))
        assert item.sha256 == hashlib.sha256(plain).digest()
        assert data[item.offset : item.offset + item.size] == plain


def test_the_digest_of_an_item_is_taken_again() -> None:
    data, (stored,), _, _ = write(("data/000000", b"abc"))
    reader = BagReader(BUNDLE, io.BytesIO(data).read)
    assert reader.item("data/000000", 3) == stored.sha256 == hashlib.sha256(b"abc").digest()


@pytest.mark.parametrize("sizes", [(), (0, 511, 512, 513, 5000)])
def test_standard_tools_accept_the_bag(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    items = [(item_path(number, "a.txt"), content(size)) for number, size in enumerate(sizes)]
    data, *_ = write(*items)
    with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as archive:
        assert archive.getnames() == [
            TOP,
            f"{TOP}/data",
            *(f"{TOP}/{path}" for path, _ in items),
            *(f"{TOP}/{name}" for name in TAG_FILES),
        ]
        # Python 3.11.2, which Debian 12 has, knows no filter yet, and later ones want to be told.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    bag = bagit.Bag(str(tmp_path / TOP))
    bag.validate()
    assert bag.info["External-Identifier"] == TOP
    assert bag.info["Bagging-Date"] == "2026-03-01"
    assert bag.info["Payload-Oxum"] == f"{sum(sizes)}.{len(sizes)}"
    for path, plain in items:
        assert (tmp_path / TOP / path).read_bytes() == plain


def test_the_tag_files_of_an_empty_bag_have_these_bytes() -> None:
    bagit_txt, info, manifest, names, evidence, tags = tag_files(TOP, 0, "", 0, b"n", b"e")
    assert bagit_txt == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    assert info == (
        b"Bagging-Date: 1970-01-01\n"
        b"External-Identifier: 000102030405060708090a0b0c0d0e0f\n"
        b"Payload-Oxum: 0.0\n"
    )
    assert (manifest, names, evidence) == (b"", b"n", b"e")
    lines = bytes(tags).decode().splitlines()
    assert [line.partition("  ")[2] for line in lines] == list(TAG_FILES[:-1])
    assert lines[2] == f"{hashlib.sha256().hexdigest()}  manifest-sha256.txt"


@pytest.mark.parametrize("time", [-5, 2**40])
def test_a_clock_beyond_what_a_header_holds_makes_a_bag_all_the_same(time: int) -> None:
    data, stored, offset, total = write(("data/000000", b"x"), time=time)
    assert read(data, stored) == (offset, total)


# --- nothing is free ------------------------------------------------------------------------------

SMALL = (("data/000000.txt", b"ab"), ("data/000001", b""))


def free_bytes(data: bytes, stored: Sequence[StoredItem]) -> set[int]:
    """Return the places that may differ: content, and where an item's time and checksum stand."""
    free: set[int] = set()
    for item in stored:
        free.update(range(item.offset, item.offset + item.size))
    return free


@pytest.mark.parametrize("change", [1, 0x80])
def test_every_byte_that_is_not_content_is_demanded(change: int) -> None:
    data, stored, _, total = write(*SMALL)
    free = free_bytes(data, stored)
    refused = 0
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512
    for place in range(end):
        altered = bytearray(data)
        altered[place] ^= change
        if place in free:
            continue
        with pytest.raises(FormatError):
            read(bytes(altered), stored)
        refused += 1
    for place in (end, (end + total) // 2, total - 1):
        altered = bytearray(data)
        altered[place] ^= change
        with pytest.raises(FormatError, match="zero"):
            read(bytes(altered), stored)
    print(f"{refused} places")
    assert refused == end - len(free)


def test_a_content_that_changed_is_refused_by_the_manifest() -> None:
    data, stored, _, _ = write(*SMALL)
    altered = bytearray(data)
    altered[stored[0].offset] ^= 1
    with pytest.raises(FormatError, match="does not follow from the items"):
        read(bytes(altered), stored)


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1024, 1536, 2048, 4096, 16383])
def test_a_bag_that_ends_early_is_refused(cut: int) -> None:
    data, stored, _, _ = write(*SMALL)
    with pytest.raises(FormatError, match="ends early"):
        read(data[:cut], stored)


def test_a_bag_that_goes_on_is_refused() -> None:
    data, stored, _, _ = write(*SMALL)
    with pytest.raises(FormatError, match="goes on"):
        read(data + b"\0", stored)


def test_another_bundle_or_other_items_are_refused() -> None:
    data, stored, _, _ = write(*SMALL)
    with pytest.raises(FormatError, match="not the tar header"):
        BagReader(bytes(16), io.BytesIO(data).read)
    for wrong in (stored[:1], stored[::-1], [*stored, stored[0]]):
        with pytest.raises(FormatError):
            read(data, wrong)


def test_an_item_keeps_its_own_time() -> None:
    out = bytearray()
    writer = BagWriter(BUNDLE, NOW, out.extend)
    writer.begin("data/000000", 1, 5)
    writer.add(b"x")
    stored = writer.end()
    writer.finish(NAMES, EVIDENCE)
    with tarfile.open(fileobj=io.BytesIO(bytes(out)), ignore_zeros=True) as archive:
        times = {member.name.partition("/")[2]: member.mtime for member in archive}
    assert times.pop("data/000000") == 5
    assert set(times.values()) == {NOW}
    read(bytes(out), [stored])


# --- a caller's mistakes --------------------------------------------------------------------------


def test_items_come_one_after_another_and_with_their_size() -> None:
    writer = BagWriter(BUNDLE, NOW, lambda _: None)
    with pytest.raises(ValueError, match="no item is open"):
        writer.end()
    writer.begin("data/000000", 3, 0)
    with pytest.raises(ValueError, match="an item is open"):
        writer.begin("data/000001", 3, 0)
    with pytest.raises(ValueError, match="an item is open"):
        writer.finish(b"", b"")
    writer.add(b"ab")
    with pytest.raises(ValueError, match="declared size"):
        writer.end()
    writer.add(b"cd")
    with pytest.raises(ValueError, match="declared size"):
        writer.end()
