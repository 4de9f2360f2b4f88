"""What a vault shows without a key: its directory, its log, what padding leaves known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    contents,
    new_vault,
    on_disk,
    open_vault,
    seal,
)
from tests.custody.histories import BUNDLE, HOLD, A, B, C, D, History
from tests.log.notes import Dying, forge, later_version, leaf
from vault import age
from vault.bag import padded_size
from vault.codec import padme
from vault.custody import Policy
from vault.errors import NotAVaultError
from vault.event import Event, FieldsHeader, format_fields_file
from vault.exposed import Exposure, exposed, vault_ids
from vault.exposed.history import _archive, _note
from vault.layout import CHECKPOINT, FORMAT_CONTENT, FORMAT_NAME
from vault.replacement import Replacement, format_manifest
from vault.storage import PENDING, LocalStore, MemoryStore, Store
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.tiles import format_entry_bundle
from vault.view import View


def small() -> MemoryStore:
    """A vault with two bundles, one of them handed to the reader and opened."""
    vault = new_vault()
    first = seal(vault, b"one", bytes(30_000), title="first")
    seal(vault, b"two")
    release = vault.append(
        "custody.released", bundle=first.id, data={"to": READER.ed25519}, fields={"place": "here"}
    )
    reader = open_vault(vault.store, READER)
    data = {"release": release.seq, "rehashed": True}
    reader.append("custody.accepted", bundle=first.id, data=data)
    reader.open_bundle(first.id, purpose="a look").close()
    assert isinstance(vault.store, MemoryStore)
    return vault.store


SMALL = small()
FILES = contents(SMALL)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LocalStore]:
    with on_disk(tmp_path / "vault", FILES) as store:
        yield store


def of_events(*events: Event | bytes, **files: bytes) -> MemoryStore:
    """A place with nothing but FORMAT and these entries."""
    leaves = [one if isinstance(one, bytes) else one.leaf for one in events]
    name = f"log/tile/entries/000.p/{len(leaves)}"
    return MemoryStore({FORMAT_NAME: FORMAT_CONTENT, name: format_entry_bundle(leaves), **files})


def told(store: Store) -> set[tuple[str, str]]:
    return {(one.code, one.place) for one in exposed(store).trouble}


def named(found: Exposure, name: str) -> Any:
    (file,) = [file for file in found.files if file.name == name]
    return file


# --- the log ------------------------------------------------------------------------------------


def test_without_a_key_all_that_the_log_says_is_read(disk: LocalStore) -> None:
    for store in (SMALL, disk):
        found = exposed(store)
        history = found.history
        with_key = open_vault(store, OWNER)
        assert found.trouble == ()
        assert history.vault == with_key.id
        assert history.events == tuple(with_key.events())
        assert history.state == with_key.state
        assert set(history.keys) == {OWNER.ed25519, READER.ed25519}
        assert history.checkpoint is not None
        assert history.checkpoint.raw == with_key.checkpoint
        assert history.pending is None
        assert vault_ids(store) == (with_key.id,)


def test_every_file_that_an_event_calls_for_is_named_with_it() -> None:
    found = exposed(SMALL)
    others = {name for name in FILES if name.startswith("log/")} | {FORMAT_NAME}
    assert found.logged.keys() == FILES.keys() - others
    assert {file.name for file in found.files} == FILES.keys()
    assert all(file.status is None for file in found.files)


def test_what_a_key_did_is_counted() -> None:
    times = {OWNER: (NOW, NOW + 3600, NOW + 86400), READER: (NOW + 86400 + 2 * 3600,)}
    store = new_vault(clock=lambda: NOW).store
    for who, when in times.items():
        for time in when:
            vault = open_vault(store, who, clock=lambda time=time: time)
            vault.append("vault.noted", fields={"text": "x"})
    seal(open_vault(store, OWNER), b"x")
    owner, reader = exposed(store).history.workers
    assert (owner.key, owner.events, owner.bundles) == (OWNER.ed25519, 7, 1)
    assert owner.stored == exposed(store).history.bundles[0].state.size
    assert (owner.first, owner.last, owner.days) == (NOW, NOW + 86400, 2)
    # NOW is nine o'clock.
    assert owner.hours == (*(0,) * 9, 6, 1, *(0,) * 13)
    assert (reader.events, reader.bundles, reader.days) == (1, 0, 1)
    assert [hour for hour, number in enumerate(reader.hours) if number] == [11]


class Kept(History):
    """A history that keeps its events: B sealed a bundle, C is a custodian, D reads."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy)
        self.taken: list[Event] = []
        self.create()
        for who, roles in ((B, "custodian"), (C, "custodian"), (D, "reader")):
            self.admit(A, who, roles)
        self.open_epoch(A)
        self.seal(B)

    def take(self, event: Event) -> tuple[str, ...]:
        self.taken.append(event)
        return super().take(event)

    def about(self, actor: Any, name: str, **data: Any) -> int:
        """Take an event about the bundle; return its index."""
        return self.do(actor, name, bundle=BUNDLE, data=data).seq

    @property
    def found(self) -> Exposure:
        return exposed(of_events(*self.taken))


def test_handovers_are_followed_to_their_ends() -> None:
    log = Kept()
    expected: list[tuple[int, int | None]] = []
    first = log.about(B, "custody.released", to=C.ed25519)
    expected.append((first, log.about(C, "custody.declined", release=first)))
    second = log.about(B, "custody.released", to=C.ed25519)
    log.about(B, "hold.placed", hold=HOLD)
    expected.append((second, log.about(B, "custody.recalled", release=second)))
    third = log.about(B, "custody.released", to=C.ed25519, expires=1)
    fourth = log.about(B, "custody.released", to=C.ed25519)
    expected.append((third, fourth))
    expected.append((fourth, log.about(C, "custody.accepted", release=fourth, rehashed=True)))
    fifth = log.about(C, "custody.released", to=D.ed25519)
    broken = log.event(B, "custody.released", bundle=BUNDLE, data={"to": D.ed25519})
    assert log.take(broken)
    log.about(C, "custody.interrupted", state="interrupted")
    expected.append((fifth, log.about(A, "custody.assumed")))
    found = log.found.history
    assert found.state == log.state
    assert [(one.release, one.end) for one in found.bundles[0].handovers] == expected
    assert {breach.seq for breach in found.breaches} == {broken.seq}
    last = log.about(A, "custody.released", to=D.ed25519)
    (bundle,) = log.found.history.bundles
    assert [(one.release, one.end) for one in bundle.handovers] == [*expected, (last, None)]


def test_a_destruction_ends_a_release_that_expired() -> None:
    log = Kept()
    release = log.about(B, "custody.released", to=C.ed25519, expires=1)
    end = log.about(B, "bundle.destroyed")
    (bundle,) = log.found.history.bundles
    assert [(one.release, one.end) for one in bundle.handovers] == [(release, end)]
    assert bundle.state.destroyed == end


# --- what can't be read ---------------------------------------------------------------------------


def test_a_log_that_is_gone_leaves_the_files(disk: LocalStore) -> None:
    for name in FILES:
        if name.startswith("log/"):
            (disk.path / name).unlink()
    found = exposed(disk)
    assert (found.history.vault, found.history.events, found.logged) == (None, (), {})
    assert told(disk) == {("checkpoint-missing", CHECKPOINT)}
    assert vault_ids(disk) == ()
    assert {file.name for file in found.files if file.kind == "file"} == {
        name for name in FILES if not name.startswith("log/")
    }
    # Nobody said that they are encrypted: so they are looked into.
    assert {file.content for file in found.files if file.room in ("bundles", "fields")} == {
        "age",
        "unread",
    }


def test_a_torn_checkpoint_hides_no_event() -> None:
    store = MemoryStore({**FILES, CHECKPOINT: b"torn"})
    found = exposed(store).history
    assert len(found.events) == exposed(SMALL).history.state.size
    assert found.checkpoint is None
    assert found.vault == exposed(SMALL).history.vault
    assert told(store) == {("checkpoint-damaged", CHECKPOINT)}


def entries(files: dict[str, bytes]) -> list[str]:
    """Return the names of the entry bundles, the widest first."""
    found = [name for name in files if name.startswith("log/tile/entries/")]
    return sorted(found, key=lambda name: -int(name.rpartition("/")[2]))


def test_a_narrower_bundle_stands_in_for_one_that_is_damaged() -> None:
    widest, narrower = entries(FILES)
    store = MemoryStore({**FILES, widest: FILES[widest][:-1]})
    found = exposed(store).history
    assert len(found.events) == int(narrower.rpartition("/")[2]) < found.checkpoint.checkpoint.size
    assert told(store) == {("entries-damaged", widest)}


def test_a_bundle_of_entries_that_is_no_file_is_named(disk: LocalStore) -> None:
    widest, narrower = entries(FILES)
    (disk.path / widest).unlink()
    (disk.path / widest).symlink_to(disk.path / narrower)
    assert told(disk) == {("not-a-file", widest)}
    assert len(exposed(disk).history.events) == int(narrower.rpartition("/")[2])


def test_without_the_first_event_the_checkpoint_says_the_id() -> None:
    files = {name: data for name, data in FILES.items() if name not in entries(FILES)}
    store = MemoryStore(files)
    found = exposed(store).history
    assert (found.events, found.state.size) == ((), 0)
    assert found.vault == exposed(SMALL).history.vault
    assert vault_ids(store) == (found.vault,)


def hashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the hashes of the log, without its entries."""
    found = {name: data for name, data in files.items() if name.startswith("log/tile/")}
    return {name: data for name, data in found.items() if name not in entries(files)}


@pytest.mark.parametrize("place", [CHECKPOINT, PENDING])
def test_a_checkpoint_of_another_vault_says_no_id_unless_its_hashes_are_there(place: str) -> None:
    other = new_vault()
    seal(other, b"elsewhere")
    for number in range(20):
        other.append("vault.noted", fields={"text": str(number)})
    theirs = contents(other.store)
    assert isinstance(other.store, MemoryStore)
    mine = exposed(SMALL).history.vault
    planted = {**FILES, place: theirs[CHECKPOINT]}
    assert vault_ids(MemoryStore(planted)) == (mine,)
    assert vault_ids(MemoryStore({**planted, **hashes(theirs)})) == (mine, other.id)
    torn = {name: data[:-1] for name, data in hashes(theirs).items()}
    assert vault_ids(MemoryStore({**planted, **torn})) == (mine,)


def test_where_entries_of_two_vaults_lie_both_ids_are_given() -> None:
    other = new_vault()
    name = "log/tile/entries/000.p/200"
    first = other._log.entry(0)
    store = MemoryStore({**FILES, name: format_entry_bundle([first] * 200)})
    assert set(vault_ids(store)) == {exposed(SMALL).history.vault, other.id}
    # The widest is what a reader of such a log takes: it alone must not say what it is.
    assert exposed(store).history.vault == other.id
    damaged = MemoryStore({**FILES, name: format_entry_bundle([first] * 200)[:-1]})
    assert vault_ids(damaged) == (exposed(SMALL).history.vault,)


def test_a_checkpoint_whose_size_was_made_up_costs_nothing() -> None:
    vault = exposed(SMALL).history.vault
    assert vault is not None
    head = Checkpoint(f"evidence-vault/{vault.hex()}", 2**63 - 1, bytes(32))
    files = {name: data for name, data in FILES.items() if name not in entries(FILES)}
    assert vault_ids(MemoryStore({**files, CHECKPOINT: sign_checkpoint(head, OWNER)})) == ()


def test_a_checkpoint_of_something_else_names_no_vault() -> None:
    foreign = sign_checkpoint(Checkpoint("example.org/log", 1, bytes(32)), OWNER)
    store = MemoryStore({FORMAT_NAME: FORMAT_CONTENT, CHECKPOINT: foreign})
    assert vault_ids(store) == ()
    assert exposed(store).history.vault is None


def test_an_event_that_is_not_sound_ends_the_story_and_not_the_list() -> None:
    log = Kept()
    log.about(B, "bundle.noted")
    log.about(B, "bundle.noted")
    gap = len(log.taken) - 2
    store = of_events(*log.taken[:gap], b"not an event", log.taken[-1])
    found = exposed(store)
    assert [event.seq for event in found.history.events] == [*range(gap), gap + 1]
    assert found.history.state.size == gap
    assert ("event-malformed", f"event {gap}") in told(store)


def test_an_event_of_a_later_version_is_named() -> None:
    store = MemoryStore(FILES)
    seq = open_vault(store).size
    forge(store, OWNER, lambda log: [later_version(OWNER, log)])
    assert told(store) == {("version", f"event {seq}")}
    assert len(exposed(store).history.events) == seq


def test_an_event_that_breaks_a_rule_is_shown_and_called_so() -> None:
    store = MemoryStore(FILES)
    seq = open_vault(store).size
    forge(store, OUTSIDER, lambda log: [leaf(OUTSIDER, log)])
    found = exposed(store).history
    assert found.events[seq].actor == OUTSIDER.ed25519
    assert {breach.seq for breach in found.breaches} == {seq}
    assert found.workers[-1].key == OUTSIDER.ed25519
    assert OUTSIDER.ed25519 not in found.keys


def test_an_interrupted_commit_is_read() -> None:
    store = MemoryStore(FILES)
    size = open_vault(store).size
    with suppress(OSError):
        open_vault(Dying(store, "signed"), OWNER).append("vault.noted", fields={"text": "x"})  # type: ignore[arg-type]
    found = exposed(store).history
    assert found.pending is not None
    assert (found.pending.checkpoint.size, len(found.events)) == (size + 1, size + 1)
    assert told(store) == set()
    store._put(PENDING, b"torn")
    assert told(store) == {("pending-torn", PENDING)}
    store._put(PENDING, bytes(16384))
    assert (told(store), exposed(store).history.pending) == (set(), None)


@pytest.mark.parametrize("content", [b"", b"evidence-vault/9\n", b"hello\n"])
def test_a_mark_that_is_no_mark_is_said_to_be_readable(content: bytes) -> None:
    found = exposed(MemoryStore({**FILES, FORMAT_NAME: content}))
    assert named(found, FORMAT_NAME).content == ("other" if content else "empty")
    assert found.history.events


def test_a_place_with_nothing_of_a_vault_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(NotAVaultError):
        exposed(MemoryStore())
    (tmp_path / "letters").mkdir()
    with LocalStore(tmp_path) as store, pytest.raises(NotAVaultError):
        exposed(store)


# --- the directory ------------------------------------------------------------------------------


def test_the_directory_is_shown_as_the_file_system_has_it(disk: LocalStore) -> None:
    os.utime(disk.path / FORMAT_NAME, ns=(1_000_000_001, 2_000_000_002))
    (disk.path / FORMAT_NAME).chmod(0o640)
    found = exposed(disk)
    there = {".", *(str(path.relative_to(disk.path)) for path in disk.path.rglob("*"))}
    assert {file.name for file in found.files} == there
    for file in found.files:
        info = os.lstat(disk.path / file.name)
        assert file.status is not None
        assert file.status.modified == info.st_mtime_ns
        assert (file.status.owner, file.status.group) == (info.st_uid, info.st_gid)
        assert file.size == (info.st_size if file.kind == "file" else 0)
    mark = named(found, FORMAT_NAME)
    # The times are those before it was read.
    assert (mark.status.accessed, mark.status.modified) == (1_000_000_001, 2_000_000_002)
    assert (mark.status.mode, mark.content, mark.room) == (0o640, "format", "format")


def test_looking_changes_nothing(disk: LocalStore) -> None:
    def state() -> dict[str, tuple[int, int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.read_bytes())
            for path in disk.path.rglob("*")
            if path.is_file()
        }

    before = state()
    exposed(disk)
    assert state() == before
    assert not (disk.path / "tmp").exists()


def test_whatever_else_lies_there_is_named_with_how_it_begins(disk: LocalStore) -> None:
    files = {
        "notes of Amina.txt": b"I saw it",
        "bundles/draft.txt": b"plain",
        "log/hello": b"plain",
        "tmp/0123456789abcdef/0": b"age-encryption.org/v1\n-> x",
        "tmp/0123456789abcdef.lock": b"",
        "foreign/receipt": b"plain",
        "keys/empty": b"",
        "lock": b"",
    }
    for name, content in files.items():
        (disk.path / name).parent.mkdir(parents=True, exist_ok=True)
        (disk.path / name).write_bytes(content)
    (disk.path / "link").symlink_to("/home/amina/originals")
    os.mkfifo(disk.path / "fifo")
    name = os.fsencode(disk.path) + b"/\xff"
    with open(name, "wb") as file:
        file.write(b"x")
    found = exposed(disk)
    assert {one: (named(found, one).room, named(found, one).content) for one in files} == {
        "notes of Amina.txt": ("strangers", "other"),
        "bundles/draft.txt": ("bundles", "other"),
        "log/hello": ("strangers", "other"),
        "tmp/0123456789abcdef/0": ("tmp", "age"),
        "tmp/0123456789abcdef.lock": ("tmp", "empty"),
        "foreign/receipt": ("foreign", "other"),
        "keys/empty": ("keys", "empty"),
        "lock": ("lock", "unread"),
    }
    assert (named(found, "link").kind, named(found, "link").target) == (
        "link",
        "/home/amina/originals",
    )
    assert named(found, "fifo").kind == "other"
    assert named(found, "\udcff").content == "other"
    assert found.trouble == ()


def test_a_socket_and_a_link_are_not_followed_in_memory_either() -> None:
    found = exposed(_Strange(FILES))  # type: ignore[arg-type]
    assert (named(found, "x").kind, named(found, "x").size) == ("other", 0)


class _Strange:
    """A store that lists something that is no file, and files that can't be read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._inner = MemoryStore({**files, "keys/unread": b"x", "Strange Name": b"x"})

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        yield from self._inner.list(prefix)
        if not prefix:
            yield "x", -1

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        if name == "keys/unread":
            raise OSError(5, "Input/output error", name)
        return self._inner.read(name, start, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_file_that_can_t_be_read_is_named_all_the_same() -> None:
    found = exposed(_Strange(FILES))  # type: ignore[arg-type]
    assert named(found, "keys/unread").content == "unread"


def test_directories_without_end_are_followed_so_far(disk: LocalStore) -> None:
    deep = disk.path.joinpath("d", *["d"] * 40)
    deep.mkdir(parents=True)
    found = exposed(disk)
    (trouble,) = found.trouble
    assert trouble.code == "unreadable"
    assert "deep" in trouble.detail
    assert trouble.place.count("/") == 31


@pytest.mark.parametrize("call", ["parts", "stat", "child"])
def test_what_can_t_be_listed_is_said(
    disk: LocalStore, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.storage.durability import Directory

    original = getattr(Directory, call)

    def refused(self: Directory, *arguments: str) -> Any:
        if "keys" in (self.name, *arguments):
            raise PermissionError(13, "Permission denied")
        return original(self, *arguments)

    monkeypatch.setattr(Directory, call, refused)
    assert told(disk) == {("unreadable", "keys")}


def test_what_goes_away_meanwhile_is_left_out(
    disk: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.storage.durability import Directory

    original = Directory.parts
    monkeypatch.setattr(Directory, "parts", lambda self: [*original(self), "gone"])
    found = exposed(disk)
    assert not any(file.name.endswith("gone") for file in found.files)
    assert found.trouble == ()


def test_a_link_in_the_place_of_a_room_is_no_room(disk: LocalStore, tmp_path: Path) -> None:
    (disk.path / "keys").rename(tmp_path / "elsewhere")
    (disk.path / "keys").symlink_to(tmp_path / "elsewhere")
    found = exposed(disk)
    assert named(found, "keys").kind == "link"
    assert not any(file.name.startswith("keys/") for file in found.files)


def test_what_took_the_place_of_other_files_is_told() -> None:
    store = MemoryStore(FILES)
    view = View(store, None)
    view._log.refresh()
    sealed = view.event(0).sealed
    assert sealed is not None
    old = next(name for name in FILES if sealed.sha256.hex() in name)
    digest = "ab" * 32
    new = type(sealed)(bytes.fromhex(digest), 4608, view.state.newest or b"")
    line = Replacement(old, f"fields/ab/{digest}", new)
    manifest = format_manifest([line])
    sha256 = hashlib.sha256(manifest).digest()
    name = f"keys/{sha256.hex()}.files"
    store._put(name, manifest)
    reader = open_vault(store, READER)
    data = {"stage": "written", "epoch": reader.state.newest, "manifest": (sha256, len(manifest))}
    event = reader.append("vault.rekeyed", data=data)
    found = exposed(store)
    assert found.replaced == {old: f"fields/ab/{digest}"}
    assert found.logged[f"fields/ab/{digest}"] == event.seq
    assert named(found, name).content == "other"
    store._put(name, manifest[:-1])
    assert exposed(store).replaced == {}
    assert told(store) == {("unreadable", name)}


# --- what padding leaves known --------------------------------------------------------------------

HEADER = len(age.encrypt_bytes(b"", [READER.age.recipient()])) - age.payload_size(0)


@pytest.mark.parametrize("size", [0, 1, 15_360, 15_361, 16_384, 100_000, 10**7 + 1, 5 * 10**11])
def test_a_bundle_s_size_is_known_as_far_as_its_padding_lets_it(size: int) -> None:
    span = _archive(HEADER + age.payload_size(padded_size(size)))
    assert span is not None
    assert span.low <= size <= span.high
    padded = padded_size(size)
    assert padded_size(span.low) == padded_size(span.high) == padded
    assert span.low == 0 or padded_size(span.low - 1) < padded
    assert padded_size(span.high + 1) > padded


def fields_file(padding: int) -> int:
    return HEADER + age.payload_size(padding)


def test_a_note_s_size_is_known_as_far_as_its_padding_lets_it() -> None:
    least = len(format_fields_file(FieldsHeader(bytes(32), "vault.noted", None, None), ()))
    span = _note(fields_file(least))
    assert span is not None
    assert (span.low, span.high) == (0, least)
    span = _note(fields_file(padme(10_000)))
    assert span is not None
    assert span.low <= 10_000 <= span.high == padme(10_000)
    assert padme(span.low) == padme(10_000) > padme(span.low - 1)


def test_a_size_that_nothing_sealed_has_tells_nothing() -> None:
    for size in (0, 100, HEADER, fields_file(4095), fields_file(100)):
        assert _note(size) is None
    assert _archive(HEADER + age.payload_size(20_001)) is None


def test_every_event_s_and_bundle_s_true_size_lies_in_its_span() -> None:
    history = exposed(SMALL).history
    with_key = open_vault(SMALL, READER)
    for bundle in history.bundles:
        with with_key.read(bundle.state.id) as reading:
            archive = reading.fields["items_offset"] + reading.fields["items_size"]  # type: ignore[operator]
            assert bundle.archive is not None
            assert bundle.archive.low <= archive + 4096
            assert archive <= bundle.archive.high
            assert padded_size(bundle.archive.high) == reading.fields["plaintext_size"]
    assert history.notes.keys() == {event.seq for event in history.events}
