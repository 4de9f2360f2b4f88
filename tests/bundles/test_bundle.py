"""Bundles without a vault: items into parts and out of them, whole and by seeking."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bagit
import pytest

from tests.bundles.scene import NOW, TEXT, seeded
from vault import age
from vault.bag import MAX_ITEMS
from vault.bundle import (
    MAX_ITEM_RECORD,
    BundleWriter,
    Item,
    PartsReader,
    Sealed,
    check_bag,
    estimated_size,
    format_bundle_key,
    names_line,
    parse_bundle_key,
    read_items,
)
from vault.bundle.items import MAX_ITEM_RECORDS, make_item
from vault.codec import pack
from vault.commitment import Field, format_fields, items_root
from vault.errors import (
    DigestMismatchError,
    FormatError,
    PayloadError,
    ProofError,
    SourceChangedError,
)
from vault.layout import bundle_directory, part_name
from vault.pipeline import Progress
from vault.storage import LocalStore, MemoryStore, Stage, Store

ID = bytes(range(16))
IDENTITY = age.HybridIdentity.from_seed(b"\x21" * 32)
MEDIA_HASH = {"original_name": "far.mp4", "kind": "media-hash", "size": 9, "sha256": b"\x05" * 32}
SIZES = (0, 1, 511, 512, 513, 70_000)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def content(size: int) -> bytes:
    return bytes((index * 31 + size) % 253 for index in range(size))


def writer_on(stage: Stage, progress: Callable[[Progress], None] | None = None) -> BundleWriter:
    return BundleWriter(stage, ID, IDENTITY, NOW, seeded(3), progress, 1000)


def add(writer: BundleWriter, name: str | bytes, data: bytes, **values: Any) -> Item:
    return writer.add(values, name, len(data), NOW - 60, io.BytesIO(data))


def make(
    *items: tuple[str | bytes, bytes] | dict[str, Any], store: Store | None = None
) -> tuple[Store, Sealed, tuple[Item, ...]]:
    store = store or MemoryStore()
    stage = store.stage()
    writer = writer_on(stage)
    made = tuple(
        writer.add_absent(item) if isinstance(item, dict) else add(writer, *item) for item in items
    )
    sealed = writer.finish()
    stage.publish(bundle_directory(ID))
    return store, sealed, made


def opened(store: Store, sealed: Sealed) -> age.Reader:
    return age.open(PartsReader(store, ID, [size for _, size in sealed.parts]), [IDENTITY])


def where(sealed: Sealed) -> tuple[int, int, int]:
    return sealed.items_offset, sealed.items_size, sealed.plaintext_size


def items_of(plaintext: age.Reader, sealed: Sealed) -> tuple[Item, ...]:
    return tuple(item for item, _ in read_items(plaintext, sealed.items_offset, sealed.items_size))


# --- whole bundles --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        (),
        (MEDIA_HASH,),
        *((("a.txt", content(size)),) for size in SIZES),
        tuple(("a.txt", content(size)) for size in SIZES),
        (("same.jpg", b"1"), ("same.jpg", b"2"), ("same.jpg", b"1")),
        ((b"\xff\xfe\xe9.JPG", b"not UTF-8"), MEDIA_HASH, ("نام.txt", TEXT)),
        ({"original_name": "gone", "kind": "omitted", "omitted_because": "a FIFO"}, ("b", b"b")),
    ],
    ids=lambda items: f"{len(items)} items" if isinstance(items, tuple) else None,
)
def test_a_bundle_holds_what_was_put_into_it(tmp_path: Path, items: tuple[Any, ...]) -> None:
    store, sealed, made = make(*items)
    plaintext = opened(store, sealed)
    assert items_of(plaintext, sealed) == made
    assert sealed.item_count == len(items)
    assert sealed.items == items_root(item.root for item in made)
    assert sealed.key == hashlib.sha256(IDENTITY.recipient().to_bytes()).digest()
    check_bag(plaintext, ID, made, where(sealed))
    whole = plaintext.readall() if not plaintext.seek(0) else b""
    assert len(whole) == sealed.plaintext_size == plaintext.size

    contents = {
        item.number: given[1] for item, given in zip(made, items, strict=True) if item.stored
    }
    for number, data in contents.items():
        stored = made[number].stored
        assert stored is not None
        path, offset, size, sha256 = stored
        assert (size, sha256) == (len(data), hashlib.sha256(data).digest())
        assert whole[offset : offset + size] == data
        assert path.startswith(f"data/{number:06d}")

    with tarfile.open(fileobj=io.BytesIO(whole), ignore_zeros=True) as archive:
        # Python 3.11.2, which Debian 12 has, knows no filter yet, and later ones want to be told.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    bagit.Bag(str(tmp_path / ID.hex())).validate()
    lines = (tmp_path / ID.hex() / "names.txt").read_bytes()
    assert lines == b"".join(names_line(item) for item in made)


def test_an_item_that_is_sought_is_the_slice_that_was_written() -> None:
    data = content(300_000)
    store, sealed, (_, item, _) = make(("a", content(70_000)), ("b.bin", data), ("c", b"c"))
    stored = item.stored
    assert stored is not None
    offset = stored[1]
    for start, size in [(0, 1), (65_535, 2), (65_536, 65_536), (299_999, 1), (131_000, 100_000)]:
        plaintext = opened(store, sealed)
        plaintext.seek(offset + start)
        assert plaintext.read(size) == data[start : start + size]


@pytest.mark.parametrize("size", [1024, 16_384, 65_536, 17_000, 4097])
def test_an_age_file_is_cut_into_parts_and_read_over_them(
    part_size: Callable[[int], None], size: int
) -> None:
    part_size(size)
    store, sealed, made = make(("a", content(40_000)), ("b", content(513)))
    sizes = [count for _, count in sealed.parts]
    assert set(sizes[:-1]) <= {size}
    assert 0 < sizes[-1] <= size
    whole = b"".join(store.read(part_name(ID, number)) for number in range(len(sizes)))
    assert [digest for digest, _ in sealed.parts] == [
        hashlib.sha256(whole[start : start + size]).digest() for start in range(0, len(whole), size)
    ]
    plaintext = opened(store, sealed)
    assert items_of(plaintext, sealed) == made
    check_bag(plaintext, ID, made, where(sealed))
    reader = PartsReader(store, ID, sizes)
    for start in (0, size - 1, size, size + 1, len(whole) - 1, len(whole), len(whole) + 5):
        reader.seek(start)
        assert reader.read(7) == whole[start : min(start + 7, (start // size + 1) * size)]
    assert reader.seek(-3, io.SEEK_END) == len(whole) - 3
    assert reader.readall() == whole[-3:]
    assert reader.seek(2) == 2
    assert reader.seek(-1, io.SEEK_CUR) == reader.tell() == 1
    reader.close()


def test_no_part_is_empty_where_the_file_ends_with_a_part(
    part_size: Callable[[int], None],
) -> None:
    _, sealed, _ = make()
    (total,) = (size for _, size in sealed.parts)
    part_size(total)
    assert [size for _, size in make()[1].parts] == [total]
    part_size(total // 2)
    assert sum(size for _, size in make()[1].parts) == total


def test_more_parts_than_an_event_can_name_are_refused(
    part_size: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    part_size(2048)
    monkeypatch.setattr("vault.bundle.writing.MAX_PARTS", 3)
    writer = writer_on(MemoryStore().stage())
    with pytest.raises(ValueError, match="more than 3 parts"):
        add(writer, "a", content(2_000_000))
        writer.finish()
    writer.abort()


def test_a_reader_of_parts_is_a_file() -> None:
    store, sealed, _ = make(("a", b"a"))
    with PartsReader(store, ID, [size for _, size in sealed.parts]) as reader:
        assert reader.readable()
        assert reader.seekable()
        assert reader.readinto(bytearray()) == 0
        with pytest.raises(ValueError, match="whence"):
            reader.seek(0, 3)
        with pytest.raises(ValueError, match="before the start"):
            reader.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        reader.readinto(bytearray(1))


def test_a_part_that_ends_early_is_named() -> None:
    store, sealed, _ = make(("a", content(100)))
    name = part_name(ID, 0)
    cut = MemoryStore({name: store.read(name)[:-1]})
    with pytest.raises(FormatError, match=f"{name}: part: ends early"):
        opened(cut, sealed).read()
    with pytest.raises(FileNotFoundError):
        opened(MemoryStore(), sealed)


def test_what_follows_a_part_is_not_read() -> None:
    store, sealed, made = make(("a", content(100)))
    name = part_name(ID, 0)
    longer = MemoryStore({name: store.read(name) + b"more"})
    check_bag(opened(longer, sealed), ID, made, where(sealed))


def test_the_estimate_is_never_too_small() -> None:
    for sizes in [(), (0,), (1, 511, 513), (70_000,) * 5, (3_000_000,)]:
        _, sealed, _ = make(*((f"{'n' * 100}.jpg", bytes(size)) for size in sizes))
        total = sum(size for _, size in sealed.parts)
        assert total <= estimated_size(sizes) < total * 1.3 + 200_000


# --- the key file ---------------------------------------------------------------------------------


def test_a_key_file_holds_the_bundle_s_identity() -> None:
    key = hashlib.sha256(IDENTITY.recipient().to_bytes()).digest()
    plaintext = format_bundle_key(IDENTITY)
    assert plaintext == f"{IDENTITY.to_string()}\n".encode()
    assert parse_bundle_key(plaintext, key).to_string() == IDENTITY.to_string()
    with pytest.raises(ProofError):
        parse_bundle_key(plaintext, bytes(32))
    for wrong in (
        b"",
        b"\n",
        plaintext[:-1],
        plaintext + b"\n",
        plaintext + b"x",
        plaintext.lower(),
        b"\xff" + plaintext,
        plaintext[:-3] + b"Q\n",
        b"# " + plaintext,
    ):
        with pytest.raises(FormatError):
            parse_bundle_key(wrong, key)


# --- sources --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declared", "real"), [(10, 9), (10, 11), (1, 0), (0, 1), (5, 70_000)])
def test_a_size_is_exact(declared: int, real: int) -> None:
    stage = MemoryStore().stage()
    writer = writer_on(stage)
    add(writer, "before", b"before")
    with pytest.raises(SourceChangedError) as raised:
        writer.add({}, "نام\n.txt", declared, NOW, io.BytesIO(bytes(real)))
    assert raised.value.place == "نام\n.txt"
    # What was written can't be taken back, so nothing but an end is left.
    for further in (
        lambda: add(writer, "b", b""),
        lambda: writer.add_absent(MEDIA_HASH),
        writer.finish,
    ):
        with pytest.raises(ValueError, match="not finished"):
            further()
    writer.abort()
    assert writer.count == 1


def test_a_source_that_says_it_changed_is_refused() -> None:
    writer = writer_on(MemoryStore().stage())
    with pytest.raises(SourceChangedError):
        writer.add({}, "a", 1, NOW, io.BytesIO(b"a"), lambda: False)
    with pytest.raises(ValueError, match="not finished"):
        writer.finish()
    writer.abort()


def test_a_source_that_fails_ends_the_bundle() -> None:
    class Failing(io.RawIOBase):
        def readinto(self, buffer: object) -> int:
            raise OSError(5, "read error")

    writer = writer_on(MemoryStore().stage())
    with pytest.raises(OSError, match="read error"):
        writer.add({}, "a", 1, NOW, Failing())
    with pytest.raises(ValueError, match="not finished"):
        writer.finish()
    writer.abort()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"kind": "nonsense"}, "one of"),
        ({"times.created": "yesterday"}, "time"),
        ({"title": ""}, "text"),
        ({"name=": "x"}, "not a name"),
        ({"scope": []}, "empty array"),
        ({"long": "x" * 65_537}, "text"),
        *(({name: "x"}, "not for the caller") for name in ("path", "offset", "size", "sha256")),
        ({"original_name": "x"}, "not for the caller"),
    ],
)
def test_wrong_fields_are_found_before_the_first_byte(values: dict[str, Any], why: str) -> None:
    class Unread(io.RawIOBase):
        def readinto(self, buffer: object) -> int:
            raise AssertionError

    store = MemoryStore()
    stage = store.stage()
    writer = writer_on(stage)
    with pytest.raises((FormatError, ValueError), match=why):
        writer.add(values, "a", 1, NOW, Unread())
    add(writer, "a", b"a")
    sealed = writer.finish()
    stage.publish(bundle_directory(ID))
    (item,) = items_of(opened(store, sealed), sealed)
    check_bag(opened(store, sealed), ID, [item], where(sealed))


@pytest.mark.parametrize("name", ["path", "offset"])
def test_an_item_without_content_lies_nowhere(name: str) -> None:
    writer = writer_on(MemoryStore().stage())
    with pytest.raises(ValueError, match="not for the caller"):
        writer.add_absent({name: "data/000000"})
    writer.abort()


def test_a_record_beyond_its_limit_is_refused() -> None:
    writer = writer_on(MemoryStore().stage())
    many = {f"field {number}": "x" * 65_536 for number in range(MAX_ITEM_RECORD // 65_536)}
    with pytest.raises(ValueError, match="1 MiB"):
        add(writer, "a", b"a", **many)
    writer.abort()


def test_items_beyond_their_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.bundle.writing.MAX_ITEMS", 2)
    writer = writer_on(MemoryStore().stage())
    writer.add_absent(MEDIA_HASH)
    add(writer, "a", b"a")
    for further in (lambda: add(writer, "a", b"a"), lambda: writer.add_absent(MEDIA_HASH)):
        with pytest.raises(ValueError, match="more than 2 items"):
            further()
    assert writer.finish().item_count == 2


# --- cancelling and failing -----------------------------------------------------------------------


def test_progress_is_told_and_may_cancel() -> None:
    told: list[Progress] = []
    stage = MemoryStore().stage()
    writer = writer_on(stage, told.append)
    add(writer, "a", content(600))
    add(writer, b"\xff", content(400))
    sealed = writer.finish()
    assert told[0] == Progress("seal", 600, 1000, "a")
    assert told[1] == Progress("seal", 1000, 1000, "\\xff")
    assert writer.read_back(sealed) is False
    total = sum(size for _, size in sealed.parts)
    assert told[-1] == Progress("read-back", total, total, "evidence.0000")

    def cancel(_: Progress) -> None:
        raise KeyboardInterrupt

    writer = writer_on(MemoryStore().stage(), cancel)
    with pytest.raises(KeyboardInterrupt):
        add(writer, "a", content(600))
    writer.abort()


def test_an_error_of_the_medium_comes_out_and_ends_every_thread() -> None:
    class Full:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def write(self, data: object) -> None:
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    stage: Any = MemoryStore().stage()
    create = stage.create
    stage.create = lambda name: Full(create(name))
    writer = writer_on(stage)
    with pytest.raises(OSError, match="No space"):
        for _ in range(100):
            add(writer, "a", content(500_000))
    writer.abort()


@pytest.mark.parametrize("failing", ["first", "second", "bag"])
def test_a_writer_that_can_t_be_made_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    from vault.bundle import writing

    if failing == "bag":
        monkeypatch.setattr(writing, "BagWriter", None)
    else:
        made: list[object] = []
        stage_class = writing.Stage

        def limited(*arguments: Any) -> Any:
            if len(made) == (failing == "second"):
                raise RuntimeError("can't start new thread")
            made.append(None)
            return stage_class(*arguments)

        monkeypatch.setattr(writing, "Stage", limited)
    with pytest.raises((RuntimeError, TypeError)):
        writer_on(MemoryStore().stage())


# --- reading back ---------------------------------------------------------------------------------


class Lying:
    """A stage whose medium gives back something else than was written."""

    def __init__(self, inner: Stage, lie: Callable[[bytes], bytes]) -> None:
        self._inner = inner
        self._lie = lie

    def open(self, name: str) -> Any:
        with self._inner.open(name) as reader:
            data = bytearray(reader.size)
            reader.read_into(0, data)
        other = MemoryStore({"a": self._lie(bytes(data))})
        return other.open("a")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    "lie",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:5000] + bytes((data[5000] ^ 1,)) + data[5001:],
        lambda data: bytes(len(data)),
        lambda _: b"",
    ],
)
def test_a_medium_that_lies_is_found_at_once(lie: Callable[[bytes], bytes]) -> None:
    stage: Any = Lying(MemoryStore().stage(), lie)
    writer = writer_on(stage)
    add(writer, "a", content(70_000))
    sealed = writer.finish()
    with pytest.raises(DigestMismatchError, match=r"evidence\.0000: read-back"):
        writer.read_back(sealed)


def test_reading_back_asks_the_medium_where_that_is_possible(tmp_path: Path) -> None:
    with LocalStore.make(tmp_path / "v") as store, store.stage() as stage:
        writer = writer_on(stage)
        add(writer, "a", content(70_000))
        assert writer.read_back(writer.finish()) is stage.drop_cache()


# --- items ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plain.txt", "plain.txt"),
        ("نام", "نام"),
        ("a\tb\nc\x1b", "a\\tb\\nc\\x1b"),
        ("x\u202ey", "x\\u202ey"),
        (b"caf\xe9", "caf\\xe9"),
    ],
)
def test_a_name_takes_one_line(name: str | bytes, line: str) -> None:
    item, _ = make_item(3, {"original_name": name}, seeded(1))
    assert names_line(item) == f"-\t{line}\n".encode()


def test_an_item_without_a_name_has_a_line_too() -> None:
    assert names_line(make_item(0, {"kind": "media-hash"}, seeded(1))[0]) == b"-\t\n"


def records(*values: dict[str, Any]) -> bytes:
    return b"".join(make_item(number, value, seeded(1))[1] for number, value in enumerate(values))


SOUND = {
    "original_name": "a.jpg",
    "path": "data/000000.jpg",
    "offset": 1536,
    "size": 5,
    "sha256": bytes(32),
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"path": "data/000001.jpg"}, "not the path"),
        ({"path": "data/000000"}, "not the path"),
        ({"path": "../000000.jpg"}, "not the path"),
        ({"original_name": None}, "not all"),
        ({"offset": None}, "not all"),
        ({"size": None}, "not all"),
        ({"sha256": None}, "not all"),
        ({"path": None}, "no path"),
        ({"kind": "nonsense"}, "one of"),
        ({"size": -1}, "integer"),
    ],
)
def test_an_item_s_fields_agree_with_one_another(change: dict[str, Any], why: str) -> None:
    values = {key: value for key, value in {**SOUND, **change}.items() if value is not None}
    fields = tuple(
        replace(field, value=values.get(field.name, ()))
        for field in make_item(0, {}, seeded(1))[0].fields
    )
    data = pack(format_fields(fields))
    with pytest.raises(FormatError, match=why):
        tuple(item for item, _ in read_items(plain(data), 0, len(data)))


def plain(data: bytes) -> Any:
    sink = io.BytesIO()
    age.encrypt(io.BytesIO(data), sink, [IDENTITY.recipient()])
    return age.open(sink, [IDENTITY])


def test_only_the_items_own_bytes_are_read() -> None:
    data = records(SOUND, {"original_name": "b"})
    source = plain(b"before" + data + b"after")
    assert len(list(read_items(source, 6, len(data)))) == 2
    for offset, size in ((5, len(data)), (6, len(data) - 1), (6, len(data) + 1), (7, len(data))):
        with pytest.raises(FormatError):
            tuple(item for item, _ in read_items(source, offset, size))
    assert list(read_items(source, 10**9, MAX_ITEM_RECORDS)) == []
    with pytest.raises(FormatError, match="bytes of fields"):
        next(read_items(source, 6, MAX_ITEM_RECORDS + 1))


def test_more_items_than_the_limit_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.bundle.items.MAX_ITEMS", 1)
    assert MAX_ITEMS == 100_000
    data = records({"original_name": "a"}, {"original_name": "b"})
    with pytest.raises(FormatError, match="more than 1"):
        tuple(item for item, _ in read_items(plain(data), 0, len(data)))


# --- checking the bag -----------------------------------------------------------------------------


def checked(items: Sequence[Item], *, place: tuple[int, int, int] | None = None) -> None:
    store, sealed, _ = make(("a.txt", b"abc"), ("b", content(513)), MEDIA_HASH)
    check_bag(opened(store, sealed), ID, items, place or where(sealed))


def changed(item: Item, **values: Any) -> Item:
    fields = tuple(
        Field(field.name, field.salt, values.get(field.name, field.value)) for field in item.fields
    )
    return Item(item.number, fields)


def test_a_bag_that_its_items_do_not_make_is_refused() -> None:
    _, sealed, (a, b, c) = make(("a.txt", b"abc"), ("b", content(513)), MEDIA_HASH)
    checked((a, b, c))
    wrong: list[tuple[Sequence[Item], type[Exception]]] = [
        ((a, b), FormatError),
        ((b, a, c), FormatError),
        ((a, b, c, c), FormatError),
        ((changed(a, sha256=bytes(32)), b, c), DigestMismatchError),
        ((changed(a, size=4), b, c), FormatError),
        ((changed(a, size=2**62), b, c), FormatError),
        ((changed(a, offset=0), b, c), FormatError),
        ((changed(a, original_name="z.txt"), b, c), FormatError),
        ((changed(c, original_name="z"), b, a), FormatError),
        ((a, b, changed(c, sha256=bytes(32))), FormatError),
    ]
    for items, error in wrong:
        with pytest.raises(error):
            checked(items)
    offset, size, total = where(sealed)
    for place in ((offset + 1, size, total), (offset, size + 1, total), (offset, size, total - 1)):
        with pytest.raises(FormatError, match=r"evidence\.msgpack"):
            checked((a, b, c), place=place)


def test_the_check_tells_how_much_it_read() -> None:
    store, sealed, made = make(("a", content(70_000)))
    told: list[int] = []
    check_bag(opened(store, sealed), ID, made, where(sealed), told.append)
    assert sum(told) == sealed.plaintext_size


def test_a_changed_ciphertext_gives_nothing_wrong_out() -> None:
    store, sealed, made = make(("a", content(140_000)))
    name = part_name(ID, 0)
    data = bytearray(store.read(name))
    data[70_000] ^= 1
    with pytest.raises(PayloadError):
        check_bag(opened(MemoryStore({name: bytes(data)}), sealed), ID, made, where(sealed))


def test_a_bundle_takes_no_item_whose_fields_it_could_not_give_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_ITEM_RECORDS == 2**27
    monkeypatch.setattr("vault.bundle.writing.MAX_ITEM_RECORDS", MAX_ITEM_RECORD + 100)
    store = MemoryStore()
    writer = writer_on(store.stage())
    absent = {"original_name": "x", "kind": "omitted", "omitted_because": "gone"}
    writer.add_absent(absent)
    with pytest.raises(ValueError, match="bytes of fields of items"):
        writer.add_absent(absent)
    writer.abort()
