"""Sealing in a vault: what goes in, and that whatever goes wrong leaves the vault as it was."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    TEXT,
    admit,
    contents,
    new_vault,
    open_vault,
    seal,
)
from vault.auditing import audit
from vault.errors import (
    ConflictError,
    CustodyError,
    DigestMismatchError,
    FormatError,
    LockedError,
    NoSpaceError,
    SourceChangedError,
    SourceUnreadableError,
)
from vault.gathering import gather
from vault.layout import bundle_directory
from vault.pipeline import Progress
from vault.sealing import SealWriter, check_sealable
from vault.storage import LocalStore, MemoryStore
from vault.vault import Vault


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with new_vault(LocalStore.make(tmp_path / "vault")) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "statement.TXT"
    path.write_bytes(TEXT)
    os.utime(path, (NOW - 60, NOW - 60))
    return path


def tmp_of(vault: Vault) -> list[str]:
    """Return what lies in ``tmp/`` apart from the session's own lock and empty directory."""
    folder = Path(vault.store.place, "tmp")
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


class Unchanged:
    """That a vault is as it was, with nothing left in ``tmp/`` either."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._files = contents(vault.store)

    def check(self) -> None:
        assert contents(self._vault.store) == self._files
        assert tmp_of(self._vault) == []
        report = audit(self._vault.store)
        assert (report.verdict, report.findings) == ("intact", ())


# --- what goes in ---------------------------------------------------------------------------------


def test_a_sealed_bundle_is_an_event_and_opens_to_its_reader(vault: Vault, source: Path) -> None:
    with vault.seal({"title": "a statement"}, expected=[len(TEXT)]) as writer:
        item = writer.add_path(source, fields={"kind": "testimony"})
        assert tuple(writer.items) == (item,)
        writer.add_stream("x.bin", 3, io.BytesIO(b"abc"), mtime=NOW)
        writer.add_absent({"original_name": "far.mp4", "kind": "media-hash", "sha256": bytes(32)})
    event = writer.event
    assert event is not None
    assert writer.sealed is not None
    assert (event.seq, event.type, event.bundle) == (3, "bundle.sealed", writer.id)
    assert vault.bundle(writer.id).holder == OWNER.ed25519
    reading = open_vault(vault.store, READER).read(writer.id)
    assert tuple(reading.items) == tuple(writer.items)
    values = reading.item(0).values
    assert values == {
        "original_name": "statement.TXT",
        "path": "data/000000.txt",
        "offset": 3 * 512,
        "size": len(TEXT),
        "sha256": hashlib.sha256(TEXT).digest(),
        "kind": "testimony",
        "times.modified": "2026-03-01T08:59:00Z",
    }
    assert reading.fields["title"] == "a statement"
    assert reading.fields["item_count"] == 3
    assert reading.open(0).read() == TEXT
    reading.check()
    reading.close()


def test_an_empty_bundle_can_be_sealed(vault: Vault) -> None:
    with vault.seal() as writer:
        pass
    reading = open_vault(vault.store, READER).read(writer.id)
    assert tuple(reading.items) == ()
    reading.check()
    reading.close()


def test_a_file_keeps_the_name_that_it_is_given(vault: Vault, source: Path) -> None:
    with vault.seal() as writer:
        item = writer.add_path(source, name="folder/a.jpeg")
    assert item.values["original_name"] == "folder/a.jpeg"
    assert item.values["path"] == "data/000000.jpeg"


def test_a_name_that_is_not_utf_8_is_kept_as_its_bytes(vault: Vault, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(path)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system knows only Unicode")
    with vault.seal() as writer:
        item = writer.add_path(os.fsdecode(path))
    assert item.values["original_name"] == b"caf\xe9.txt"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-62_135_596_800, "0001-01-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, None),
        (-62_135_596_801, None),
        (2**62, None),
    ],
)
def test_a_file_s_time_is_kept_where_a_calendar_has_it(
    vault: Vault, source: Path, monkeypatch: pytest.MonkeyPatch, time: int, text: str | None
) -> None:
    real = os.fstat

    class Status:
        def __init__(self, inner: os.stat_result) -> None:
            self._inner = inner
            self.st_mtime_ns = time * 10**9 + 5

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    monkeypatch.setattr("vault.sealing.os.fstat", lambda fd: Status(real(fd)))
    monkeypatch.setattr("vault.sealing.check_sealable", lambda path: Status(path.lstat()))
    with vault.seal() as writer:
        item = writer.add_path(source)
    assert item.values.get("times.modified") == text
    reading = open_vault(vault.store, READER).read(writer.id)
    reading.check()
    reading.close()


# --- what can't be sealed -------------------------------------------------------------------------


def test_what_is_no_readable_file_is_refused_by_name(vault: Vault, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    server = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(tmp_path)  # a socket's path is at most 107 bytes long
    try:
        server.bind("socket")
    finally:
        os.chdir(before)
        server.close()
    for path, why in [
        (link, "a symbolic link"),
        (fifo, "a FIFO"),
        (tmp_path / "socket", "a socket"),
        (tmp_path, "a directory"),
        (Path("/dev/null"), "a device"),
        (tmp_path / "missing", "No such file"),
    ]:
        with pytest.raises(SourceUnreadableError, match=why) as raised:
            check_sealable(path)
        assert raised.value.place == str(path)
    unchanged = Unchanged(vault)
    with pytest.raises(SourceUnreadableError), vault.seal() as writer:
        writer.add_path(link)
    unchanged.check()


def test_a_file_without_permission_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.sealing.os.access", lambda path, mode: False)
    with pytest.raises(SourceUnreadableError, match="permission"):
        check_sealable(source)


def test_a_file_that_vanishes_is_refused(
    vault: Vault, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = source.lstat()
    monkeypatch.setattr("vault.sealing.check_sealable", lambda path: status)
    source.unlink()
    with vault.seal() as writer:
        with pytest.raises(SourceUnreadableError, match="No such file"):
            writer.add_path(source)
        source.symlink_to("/dev/zero")
        with pytest.raises(SourceChangedError, match="replaced"):
            writer.add_path(source)
        source.unlink()
        os.mkfifo(source)
        with pytest.raises(SourceChangedError, match="replaced"):
            writer.add_path(source)
        writer.add_absent({"original_name": "x", "kind": "omitted", "omitted_because": "gone"})
    assert writer.event is not None


def test_a_folder_that_became_a_link_leads_to_nothing_that_is_sealed(
    vault: Vault, tmp_path: Path
) -> None:
    private, named = tmp_path / "private", tmp_path / "named"
    private.mkdir()
    (private / "key").write_bytes(b"not to be sealed")
    (named / "inner").mkdir(parents=True)
    (named / "inner/key").write_bytes(b"bait")
    (found,) = gather([named]).files
    with vault.seal() as writer:
        writer.add_path(found.path, name=found.name, below=found.top)
        (named / "inner").rename(named / "aside")
        (named / "inner").symlink_to(private)
        with pytest.raises(SourceChangedError, match="replaced"):
            writer.add_path(found.path, name=found.name, below=found.top)
        (named / "inner").unlink()
        with pytest.raises(SourceUnreadableError, match="No such file"):
            writer.add_path(found.path, name=found.name, below=found.top)
        # What leads to the folder that was named may be a link: whoever named it went that way.
        (tmp_path / "way").symlink_to(named / "aside")
        item = writer.add_path(tmp_path / "way/key", below=tmp_path / "way/key")
    assert item.values["sha256"] == hashlib.sha256(b"bait").digest()


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written to", "is replaced"])
def test_a_file_that_changes_while_it_is_sealed_stops_the_seal_by_name(
    vault: Vault, source: Path, change: str
) -> None:
    source.write_bytes(bytes(3 * 2**20))
    unchanged = Unchanged(vault)

    def meddle(progress: Progress) -> None:
        if progress.work != "seal" or progress.done > 2**20:
            return
        if change == "is replaced":
            source.unlink()
            source.write_bytes(bytes(3 * 2**20))
            return
        with source.open("r+b") as file:
            if change == "grows":
                file.seek(0, os.SEEK_END)
                file.write(b"more")
            elif change == "shrinks":
                file.truncate(2 * 2**20)
            else:
                file.write(b"other")

    vault._progress = meddle
    with pytest.raises(SourceChangedError) as raised, vault.seal() as writer:
        writer.add_path(source)
    assert raised.value.place == str(source)
    vault._progress = None
    unchanged.check()


def test_a_change_that_is_ignored_ends_in_no_bundle(vault: Vault, source: Path) -> None:
    unchanged = Unchanged(vault)
    with pytest.raises(ValueError, match="not finished"), vault.seal() as writer:
        with pytest.raises(SourceChangedError):
            writer.add_stream("a", 5, io.BytesIO(b"abc"))
        with pytest.raises(ValueError, match="not finished"):
            writer.add_path(source)
    unchanged.check()


@pytest.mark.parametrize("when", ["reading", "at the end"])
def test_a_source_that_fails_midway_is_named(
    vault: Vault, source: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    unchanged = Unchanged(vault)
    read: list[int] = []

    class Failing(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            read.append(1)
            if when == "reading":
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    fstat = os.fstat

    def failing(descriptor: int) -> os.stat_result:
        if read:
            raise OSError(5, "Input/output error")
        return fstat(descriptor)

    monkeypatch.setattr(
        "vault.sealing.open", lambda descriptor, *_, **__: Failing(descriptor), raising=False
    )
    with monkeypatch.context() as patched:
        patched.setattr("vault.sealing.os.fstat", failing)
        with (
            pytest.raises(SourceUnreadableError, match="Input/output") as raised,
            vault.seal() as writer,
        ):
            writer.add_path(source)
    assert raised.value.place == str(source)
    unchanged.check()


def test_a_store_that_fails_midway_is_not_taken_for_the_source(
    vault: Vault, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = Unchanged(vault)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "the vault")

    with monkeypatch.context() as patched:
        patched.setattr("vault.storage.files.write_all", fail)
        with pytest.raises(OSError, match="No space") as raised, vault.seal() as writer:
            writer.add_path(source)
    assert raised.value.filename != str(source)
    unchanged.check()


# --- nothing is left ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("when", ["at first", "after items", "in progress", "in read-back"])
def test_an_exception_leaves_nothing(
    vault: Vault, source: Path, error: BaseException, when: str
) -> None:
    unchanged = Unchanged(vault)
    works = {"in progress": "seal", "in read-back": "read-back"}

    def cancel(progress: Progress) -> None:
        if progress.work == works.get(when):
            raise error

    vault._progress = cancel
    with pytest.raises(type(error)) as raised, vault.seal() as writer:
        if when == "at first":
            raise error
        writer.add_path(source)
        writer.add_stream("big", 5_000_000, io.BytesIO(bytes(5_000_000)))
        if when == "after items":
            raise error
    assert raised.value is error
    assert writer.event is None
    unchanged.check()


def test_fields_that_no_bundle_may_have_are_refused_before_the_first_byte(vault: Vault) -> None:
    unchanged = Unchanged(vault)
    for fields in ({"captured_at": "yesterday"}, {"edited": "yes"}, {"generation": "copy"}):
        with pytest.raises(FormatError):
            vault.seal(fields)
    unchanged.check()


def test_who_may_not_seal_is_told_before_the_first_byte(vault: Vault) -> None:
    unchanged = Unchanged(vault)
    for identity, rule in ((READER, "role"), (OUTSIDER, "not-a-member")):
        with pytest.raises(CustodyError) as raised:
            open_vault(vault.store, identity).seal()
        assert raised.value.rule == rule
    unchanged.check()


def test_too_little_space_is_found_first(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged = Unchanged(vault)
    monkeypatch.setattr(LocalStore, "free_space", lambda _: 1_000_000)
    with pytest.raises(NoSpaceError) as raised:
        vault.seal(expected=[2_000_000])
    assert raised.value.free == 1_000_000
    assert raised.value.needed > 2_000_000
    unchanged.check()
    monkeypatch.setattr(LocalStore, "free_space", lambda _: None)
    with pytest.raises(ValueError, match="more than a bundle holds"):
        vault.seal(expected=[1500 * 2**30])
    unchanged.check()


class Faulty:
    """A store of which one method fails, after ``good`` calls."""

    def __init__(self, inner: Any, name: str, error: BaseException, good: int = 0) -> None:
        self._inner = inner
        self._name = name
        self._error = error
        self._left = good

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._name:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            if not self._left:
                raise self._error
            self._left -= 1
            return found(*arguments, **options)

        return call


@pytest.mark.parametrize(
    ("method", "good"), [("stage", 0), ("create", 0), ("commit", 0), ("sweep", 0), ("pending", 0)]
)
@pytest.mark.parametrize(
    "error",
    [OSError(28, "full"), KeyboardInterrupt(), LockedError("v", "held"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_a_store_that_fails_before_anything_was_signed_leaves_no_bundle(
    vault: Vault, method: str, good: int, error: BaseException
) -> None:
    unchanged = Unchanged(vault)
    faulty = open_vault(vault.store, OWNER)
    faulty.store = Faulty(vault.store, method, error, good)  # type: ignore[assignment]
    faulty._log._store = faulty.store
    with pytest.raises(type(error)):
        seal(faulty, b"evidence")
    unchanged.check()


def test_a_stage_that_can_t_be_filled_is_removed(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = Unchanged(vault)

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("vault.sealing.BundleWriter", fail)
    with pytest.raises(RuntimeError):
        vault.seal()
    unchanged.check()


def test_writers_that_are_always_faster_leave_no_bundle(vault: Vault) -> None:
    unchanged = Unchanged(vault)
    busy = open_vault(vault.store, OWNER)
    busy._log._store = Faulty(vault.store, "commit", ConflictError("v", "moved"))  # type: ignore[assignment]
    with pytest.raises(ConflictError, match="other writers were faster"):
        seal(busy, b"evidence")
    unchanged.check()


class Doubtful:
    """A store whose commit fails after it was signed; ``done`` says whether it was made all the
    same.
    """

    def __init__(self, inner: Any, done: bool) -> None:
        self._inner = inner
        self._done = done

    def commit(self, expected: Any, files: Any, sign: Callable[[], bytes], **options: Any) -> None:
        if self._done:
            self._inner.commit(expected, files, sign, **options)
        else:
            sign()
        raise OSError(5, "Input/output error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("done", [True, False])
def test_a_bundle_stays_where_nobody_can_say_whether_its_event_was_written(
    vault: Vault, done: bool
) -> None:
    size = vault.size
    doubtful = open_vault(vault.store, OWNER)
    doubtful._log._store = Doubtful(vault.store, done)  # type: ignore[assignment]
    with pytest.raises(OSError, match="Input/output"), doubtful.seal() as writer:
        writer.add_stream("a", 1, io.BytesIO(b"a"))
    assert doubtful.in_doubt
    report = audit(vault.store)
    assert report.verdict == "intact"
    assert report.size == size + done
    left = {finding.place.split("/")[0] for finding in report.findings}
    assert left == (set() if done else {"bundles", "fields"})
    assert vault.store.exists(bundle_directory(writer.id))
    if done:
        reading = open_vault(vault.store, READER).read(writer.id)
        assert reading.open(0).read() == b"a"
        reading.close()


def test_a_memory_that_fails_after_the_event_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pin that was damaged, or a disk of this machine that is full: the event is in the vault.
    vault = new_vault(state=tmp_path / "state")
    (pin,) = (tmp_path / "state").rglob("*.checkpoint")
    pin.write_bytes(b"damaged")
    writer = seal(vault, b"evidence")
    assert writer.event is not None
    assert isinstance(vault.unremembered, FormatError)
    assert open_vault(vault.store, READER).read(writer.id).open(0).read() == b"evidence"
    assert audit(vault.store).findings == ()


def test_a_medium_that_lies_leaves_no_bundle(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged = Unchanged(vault)

    def lie(_: object, sealed: object) -> bool:
        raise DigestMismatchError("read-back", "not what was written", "evidence.0000")

    monkeypatch.setattr("vault.bundle.BundleWriter.read_back", lie)
    with pytest.raises(DigestMismatchError):
        seal(vault, b"evidence")
    unchanged.check()


# --- racing writers -------------------------------------------------------------------------------


class Racing:
    """A store before whose next commit another writer is faster."""

    def __init__(self, inner: Any, race: Callable[[], object]) -> None:
        self._inner = inner
        self._race: Callable[[], object] | None = race

    def commit(self, *arguments: Any, **options: Any) -> None:
        if self._race is not None:
            race, self._race = self._race, None
            race()
        self._inner.commit(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_new_epoch_between_seal_and_commit_has_key_and_fields_encrypted_anew() -> None:
    vault = new_vault()
    store = vault.store
    racing = open_vault(store, OWNER)
    old = racing.state.newest
    racing._log._store = Racing(  # type: ignore[assignment]
        store, lambda: admit(store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    )
    writer = seal(racing, b"evidence", title="raced")
    event = writer.event
    assert event is not None
    assert event.sealed is not None
    newest = racing.state.newest
    assert newest != old
    assert event.seq == 5
    assert event.sealed.epoch == newest
    assert racing.bundle(writer.id).key_file.epoch == newest
    # What was encrypted to the old epoch is gone: one key file, and nothing left over.
    assert len([name for name in contents(store) if f"{writer.id.hex()}/key." in name]) == 1
    for identity in (READER, SECOND):
        reading = open_vault(store, identity).read(writer.id)
        assert reading.open(0).read() == b"evidence"
        assert reading.fields["title"] == "raced"
        reading.close()
        report = audit(store, identity=identity)
        assert (report.verdict, report.findings) == ("intact", ())


def test_a_sealer_who_was_removed_meanwhile_leaves_no_bundle() -> None:
    vault = new_vault()
    store = vault.store
    admit(store, OWNER, (SECOND, ["custodian", "owner"]))
    files = contents(store)
    sealing = open_vault(store, SECOND)

    def remove() -> None:
        open_vault(store, OWNER).append("member.removed", data={"member": SECOND.ed25519})
        files.update(contents(store))

    with pytest.raises(CustodyError) as raised, sealing.seal() as writer:
        writer.add_stream("a", 1, io.BytesIO(b"a"))
        remove()
    assert raised.value.rule == "removed-member"
    assert {name for name in contents(store) if not name.startswith("log/")} == {
        name for name in files if not name.startswith("log/")
    }
    assert audit(store).findings == ()


def test_two_seal_at_once(tmp_path: Path) -> None:
    with new_vault(LocalStore.make(tmp_path / "v")) as first:
        with LocalStore(tmp_path / "v") as store:
            second = open_vault(store, OWNER)
            with first.seal({"title": "one"}) as one:
                one.add_stream("a", 1, io.BytesIO(b"1"))
                with second.seal({"title": "two"}) as two:
                    two.add_stream("a", 1, io.BytesIO(b"2"))
        reader = open_vault(first.store, READER)
        for writer, content in ((one, b"1"), (two, b"2")):
            with reader.read(writer.id) as reading:
                assert reading.open(0).read() == content
        assert audit(first.store).findings == ()


def test_a_read_only_store_refuses_and_stays_as_it_is() -> None:
    class ReadOnly:
        def __init__(self, inner: MemoryStore) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            if name in {"create", "stage", "commit", "finish", "delete", "delete_tree", "sweep"}:

                def refuse(*_: object, **__: object) -> None:
                    raise OSError(30, "Read-only file system")

                return refuse
            return getattr(self._inner, name)

    vault = new_vault()
    writer = seal(vault, b"evidence")
    files = contents(vault.store)
    store: Any = ReadOnly(vault.store)  # type: ignore[arg-type]
    owner, reader = open_vault(store, OWNER), open_vault(store, READER)
    for write in (
        owner.seal,
        lambda: owner.append("vault.noted", fields={"text": "x"}),
        lambda: reader.open_item(writer.id, 0, purpose="x"),
    ):
        with pytest.raises(OSError, match="Read-only"):
            write()
    with reader.read(writer.id) as reading:
        assert reading.open(0).read() == b"evidence"
    assert audit(store, identity=READER).verdict == "intact"
    assert contents(vault.store) == files


def test_a_seal_writer_is_made_by_a_vault(vault: Vault) -> None:
    with vault.seal() as writer:
        assert isinstance(writer, SealWriter)
        assert (writer.event, writer.sealed, len(writer.items)) == (None, None, 0)
