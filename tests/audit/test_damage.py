"""Damage to whole files: gone, cut, longer, exchanged, renamed, replaced by something else."""

from __future__ import annotations

import errno
import itertools
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.audit.golden import (
    audited,
    bad,
    codes,
    golden,
    is_superseded,
    memoised,
    needed,
    places,
    small_padding,
)
from tests.bundles.scene import READER, on_disk
from vault.auditing import Report, audit
from vault.errors import NotAVaultError
from vault.layout import CHECKPOINT, FORMAT_NAME
from vault.storage import PENDING, LocalStore

COUNT = 18
"""Files in the golden vault, superseded ones included."""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with memoised(), small_padding():
        yield


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Iterator[Callable[[], None]]:
    found = itertools.count()
    yield lambda: (next(found), None)[1]
    record_property("changes", next(found))


def found_at(report: Report, *names: str) -> bool:
    """Return whether a report names one of these files or says that the log is damaged by them.

    Files that nobody needs are named all the same, by a note.
    """
    superseded = {name for name in names if is_superseded(name, golden())}
    if superseded == set(names):
        noted = {one.place for one in report.findings if one.code == "tile-superseded"}
        return report.verdict == "intact" and noted == superseded
    return report.verdict != "intact" and not places(report).isdisjoint(
        {*names, CHECKPOINT, "log/tile/entries"}
    )


def test_the_golden_vault_is_sound() -> None:
    files = golden()
    report = audited(files)
    assert (report.verdict, report.findings) == ("intact", ())
    assert len(files) == COUNT
    assert len(needed()) == COUNT - 2
    assert report.coverage.files == COUNT - 2 - 3 - 1  # log and FORMAT apart
    assert audited(needed()).findings == ()


def test_each_deletion_is_found(count: Callable[[], None]) -> None:
    files = golden()
    for name in files:
        report = audited({other: data for other, data in files.items() if other != name})
        if is_superseded(name, files):
            assert report.findings == ()
            continue
        assert found_at(report, name), name
        assert any("missing" in code for code in codes(report))
        count()


@pytest.mark.parametrize("cut", ["empty", "half", "one byte"])
def test_each_truncation_is_found(cut: str, count: Callable[[], None]) -> None:
    files = golden()
    for name, data in files.items():
        size = {"empty": 0, "half": len(data) // 2, "one byte": len(data) - 1}[cut]
        report = audited({**files, name: data[:size]})
        assert found_at(report, name), name
        count()


@pytest.mark.parametrize("more", [b"\0", b"\n", b"x", bytes(70_000)])
def test_each_extension_is_found(more: bytes, count: Callable[[], None]) -> None:
    files = golden()
    for name, data in files.items():
        report = audited({**files, name: data + more})
        assert found_at(report, name), name
        assert found_at(audited({**files, name: more + data}), name), name
        count()


def test_each_exchange_of_two_files_is_found(count: Callable[[], None]) -> None:
    files = golden()
    for one, two in itertools.combinations(files, 2):
        report = audited({**files, one: files[two], two: files[one]})
        assert found_at(report, one, two), (one, two)
        count()


def test_each_file_under_the_name_of_another_is_found(count: Callable[[], None]) -> None:
    files = golden()
    for one, two in itertools.permutations(files, 2):
        report = audited({**files, one: files[two]})
        assert found_at(report, one), (one, two)
        count()


def test_each_renamed_file_is_found(count: Callable[[], None]) -> None:
    files = golden()
    for name in needed():
        for new in (f"{name}.old", f"x{name}", name + "0", f"bundles/{name.replace('/', '.')}"):
            left = {other: data for other, data in files.items() if other != name}
            report = audited({**left, new: files[name]})
            assert found_at(report, name), (name, new)
            count()


def test_two_damages_are_both_named() -> None:
    files = needed()
    names = [name for name in files if not name.startswith("log/")]
    report = audited({**files, **dict.fromkeys(names, b"damaged")})
    assert places(report) == set(names)


def test_a_log_that_one_of_its_two_forms_still_holds_is_followed() -> None:
    files = needed()
    entries = next(name for name in files if "entries" in name)
    tile = next(name for name in files if "tile/0" in name)
    data = files[entries]
    altered = data[:-1] + bytes((data[-1] ^ 1,))
    report = audited({**files, entries: altered})
    assert codes(report) == {"entry-altered", "custody-incomplete", "checkpoint-unchecked"}
    # The fields of the event that can't be read are no leftover: nobody can say so.
    assert "leftover" not in codes(report)
    assert report.coverage.events == 6
    for lost in ({entries: data[:-1]}, {entries: b""}):
        report = audited({**files, **lost})
        assert "entries-damaged" in codes(report)
        assert report.root == audited(files).root
    report = audited({**files, tile: files[tile][:-1]})
    assert codes(report) == {"tile-damaged"}
    report = audited({**files, tile: b"", entries: b""})
    assert {"root", "entries-damaged", "tile-damaged"} > codes(report) - {"custody-incomplete"}
    assert report.root is None


# --- additions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "bundles/00000000000000000000000000000000/evidence.0000",
        "keys/0123456789abcdef",
        "fields/00/" + "0" * 64,
        "foreign/" + "0" * 64,
        "log/notes",
        "log/tile/0/000.p/99",
        "log/tile/0/000",
        "log/tile/7/000",
        "log/tile/0/x001/000",
        "log/tile/entries/001.p/1",
        "log/tile/0/000.p/0",
        "log/tile/99/000",
    ],
)
def test_an_added_file_is_a_note(name: str) -> None:
    report = audited({**golden(), name: b"extra"})
    assert report.verdict == "intact"
    assert [(one.code, one.place) for one in report.findings] == [("leftover", name)]


@pytest.mark.parametrize("content", [b"", b"x", bytes(5000)])
def test_a_pending_checkpoint_is_a_note(content: bytes) -> None:
    report = audited({**golden(), PENDING: content})
    assert report.verdict == "intact"
    assert codes(report) == ({"pending-torn"} if content == b"x" else set())
    report = audited({**golden(), PENDING: golden()[CHECKPOINT]})
    assert report.findings == ()


# --- on a disk ------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, LocalStore]]:
    with on_disk(tmp_path / "v", golden()) as store:
        yield tmp_path / "v", store


@pytest.mark.parametrize("what", ["a link", "a dangling link", "a directory", "a FIFO", "a socket"])
def test_something_else_in_the_place_of_a_file_is_found(
    disk: tuple[Path, LocalStore], tmp_path: Path, what: str, count: Callable[[], None]
) -> None:
    root, store = disk
    for name in needed():
        path = root / name
        kept = tmp_path / "kept"
        path.rename(kept)
        if what == "a link":
            path.symlink_to(kept)  # to the very bytes that belong there
        elif what == "a dangling link":
            path.symlink_to("nowhere")
        elif what == "a directory":
            path.mkdir()
        elif what == "a FIFO":
            os.mkfifo(path)
        else:
            before = Path.cwd()
            os.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
            os.chdir(before)
        report = audit(store, identity=READER)
        assert report.verdict == "altered", name
        assert name in places(report)
        # Nothing of it is called a contradiction: nobody signed this.
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        kept.rename(path)
        count()
    assert audit(store).findings == ()


@pytest.mark.parametrize("folder", ["log", "log/tile", "log/tile/0", "bundles", "fields", "keys"])
@pytest.mark.parametrize("what", ["gone", "a link", "a file", "a FIFO"])
def test_something_else_in_the_place_of_a_directory_is_found(
    disk: tuple[Path, LocalStore], tmp_path: Path, folder: str, what: str
) -> None:
    root, store = disk
    kept = tmp_path / "kept"
    (root / folder).rename(kept)
    if what == "a link":
        (root / folder).symlink_to(kept)
    elif what == "a file":
        (root / folder).write_bytes(b"x")
    elif what == "a FIFO":
        os.mkfifo(root / folder)
    report = audit(store, identity=READER)
    assert report.verdict == "altered"


def test_a_format_that_is_no_file_is_found(disk: tuple[Path, LocalStore]) -> None:
    root, store = disk
    for make in (lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (root / FORMAT_NAME).unlink(missing_ok=True)
        make(root / FORMAT_NAME)
        report = audit(store)
        assert (report.verdict, places(report)) == ("altered", {FORMAT_NAME})
        if (root / FORMAT_NAME).is_dir():
            (root / FORMAT_NAME).rmdir()


def test_links_and_devices_that_nobody_called_for_are_notes(disk: tuple[Path, LocalStore]) -> None:
    root, store = disk
    (root / "link").symlink_to("/etc")
    os.mkfifo(root / "bundles/fifo")
    (root / "log/tile/0/000.p/5").symlink_to("/dev/zero")
    (root / "log/checkpoint.next").symlink_to("/dev/zero")
    report = audit(store)
    assert report.verdict == "intact"
    assert {(one.code, one.place) for one in report.findings} <= {
        ("leftover", "link"),
        ("leftover", "bundles/fifo"),
        ("leftover", "log/tile/0/000.p/5"),
        ("leftover", "log/checkpoint.next"),
    }


def test_a_file_that_is_absurdly_long_costs_nothing(
    disk: tuple[Path, LocalStore], count: Callable[[], None]
) -> None:
    root, store = disk
    for name in [*golden(), PENDING, "extra", "log/tile/0/000.p/77"]:
        path = root / name
        size = path.stat().st_size if path.exists() else None
        with path.open("ab") as file:
            file.truncate(2**43)
        report = audit(store, identity=READER)
        if size is None:
            assert report.verdict == "intact"
            path.unlink()
        else:
            assert found_at(report, name), name
            os.truncate(path, size)
            count()
    assert audit(store).findings == ()


def test_names_that_no_vault_has_are_notes(disk: tuple[Path, LocalStore]) -> None:
    root, store = disk
    for name in (b"FOO", b"bundles/.hidden", b"a b", b"\xff\xfe", b"fields/\x1b[31m", b"tmpx"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(b"x")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp/anything").write_bytes(b"x")
    (root / "lock").write_bytes(b"x")
    report = audit(store)
    assert report.verdict == "intact"
    assert [one.code for one in report.findings] == ["leftover"] * 6


# --- garbage --------------------------------------------------------------------------------------


def test_a_place_with_nothing_of_a_vault_is_a_mistake(tmp_path: Path) -> None:
    for files in ({}, {"file": b"x"}, {"FORMAT": b"something else"}):
        with pytest.raises(NotAVaultError):
            audited(files)
    (tmp_path / "FORMAT").mkdir()
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotAVaultError):
            audit(place)
    (tmp_path / "log").mkdir()
    assert audit(tmp_path).verdict == "altered"

    class Failing:
        place = "somewhere"

        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

        exists = read

    with pytest.raises(NotAVaultError):
        audit(Failing())  # type: ignore[arg-type]


def test_every_file_that_an_event_can_name_is_expected() -> None:
    from dataclasses import replace

    from tests.bundles.scene import new_vault
    from vault.auditing.files import expected_files

    vault = new_vault()
    event = replace(vault.event(0), sealed=None)
    digest, file = b"\x0a" * 32, (b"\x0a" * 32, 7)
    for type_name, data, name in [
        ("vault.rekeyed", {"manifest": file}, f"keys/{digest.hex()}.files"),
        ("history.granted", {"file": file}, f"keys/{digest.hex()}.history"),
        ("checkpoint.attested", {"file": file}, f"foreign/{digest.hex()}"),
        ("custody.receipted", {"receipt": file}, f"foreign/{digest.hex()}"),
        ("epoch.opened", {"epoch": b"\x01" * 8, "file": file}, "keys/" + "01" * 8),
    ]:
        (found,) = expected_files([replace(event, type=type_name, data=data)], vault.state).values()
        assert (found.name, found.sha256, found.size) == (name, digest, 7)


@pytest.mark.parametrize("seed", range(30))
def test_random_files_are_never_an_error(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    files = dict(golden())
    for _ in range(chance.randrange(1, 6)):
        name = chance.choice(list(files))
        data = files[name]
        match chance.randrange(6):
            case 0:
                files[name] = chance.randbytes(len(data))
            case 1:
                files[name] = chance.randbytes(chance.randrange(50))
            case 2:
                start = chance.randrange(len(data) + 1)
                files[name] = data[:start] + chance.randbytes(9) + data[start:]
            case 3:
                start = chance.randrange(len(data) + 1)
                files[name] = data[:start] + data[start + chance.randrange(40) :]
            case 4:
                files[name] = files[chance.choice(list(files))]
            case _:
                del files[name]
        if not files:
            break
    for identity in (None, READER):
        from vault.storage import MemoryStore

        try:
            report = audit(MemoryStore(files), identity=identity)
        except NotAVaultError:
            assert "FORMAT" not in files
            continue
        assert report.verdict != "contradicted", bad(report)
        if any(files.get(name) != data for name, data in needed().items()):
            assert report.verdict == "altered"


def test_findings_are_worst_first_and_each_once() -> None:
    files = {**needed(), "extra": b"x", "keys/extra": b"y"}
    name = next(name for name in files if "evidence" in name)
    report = audited({**files, name: b"x"})
    assert [one.severity for one in report.findings] == ["altered", "note", "note"]
    assert len(set(report.findings)) == len(report.findings)


def test_what_a_listing_that_broke_off_did_not_come_to_is_not_missing(
    disk: tuple[Path, LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, store = disk
    gone = next(name for name in golden() if name.startswith("fields/"))
    (root / gone).unlink()
    real = LocalStore.list

    def broken(self: LocalStore, prefix: str = "") -> Iterator[tuple[str, int]]:
        if prefix:
            yield from real(self, prefix)
            return
        yield from itertools.islice(real(self), 3)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(root))

    monkeypatch.setattr(LocalStore, "list", broken)
    found = {(one.code, one.place) for one in audit(store).findings if one.severity != "note"}
    assert found == {("missing", gone), ("unreadable", str(root))}


def test_a_pending_checkpoint_that_is_no_file_is_a_note(disk: tuple[Path, LocalStore]) -> None:
    root, store = disk
    (root / PENDING).mkdir()
    report = audit(store)
    assert report.verdict == "intact"
    assert ("leftover", PENDING) in {(one.code, one.place) for one in report.findings}
