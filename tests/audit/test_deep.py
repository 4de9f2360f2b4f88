"""With a reader's identity: what an insider with all keys can lie about, told apart from damage."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.audit.golden import audited, bad, codes, golden, memoised, needed, places, small_padding
from tests.bundles.scene import (
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    admit,
    clock,
    contents,
    draft,
    new_vault,
    open_vault,
    person,
    seal,
)
from vault import age
from vault.auditing import Report, audit
from vault.auditing.deep import audit_deep
from vault.auditing.files import expected_files
from vault.auditing.logs import audit_log
from vault.bundle import Item
from vault.commitment import Field
from vault.draft import Draft
from vault.errors import NotAVaultError
from vault.keyring import NewEpoch, format_epoch_file
from vault.layout import epoch_name, fields_name, history_name
from vault.localstate import LocalState
from vault.log import Log
from vault.storage import MemoryStore, Store
from vault.vault import Vault

FOREIGN = age.HybridIdentity.from_seed(b"\x66" * 32)


def deep(store: Store, identity: Any = READER, **options: Any) -> Report:
    return audit(store, identity=identity, clock=clock, **options)


def contradicted(store: Store, code: str, place: str, identity: Any = READER) -> None:
    """Check that only a reader finds it, and calls it what it is."""
    keyless = audit(store)
    assert (keyless.verdict, keyless.findings) == ("intact", ())
    report = deep(store, identity)
    assert report.verdict == "contradicted"
    assert {(one.code, one.place) for one in bad(report)} == {(code, place)}


# --- sound vaults ---------------------------------------------------------------------------------


def test_a_sound_vault_is_intact_to_everybody() -> None:
    vault = new_vault(fields={"title": "x"})
    writer = seal(vault, b"one", bytes(70_000), title="a")
    reader = open_vault(vault.store, READER)
    reader.open_item(writer.id, 0, purpose="x").close()
    report = deep(vault.store)
    assert (report.verdict, report.findings) == ("intact", ())
    assert report.coverage.deep
    assert report.coverage.unreadable == 0
    for identity in (OWNER, OUTSIDER):
        report = deep(vault.store, identity)
        assert (report.verdict, report.findings) == ("intact", ())
        assert report.coverage.unreadable == vault.size + 1


def test_what_is_of_an_epoch_before_one_s_own_is_unreadable_and_no_fault() -> None:
    vault = new_vault()
    seal(vault, b"one")
    admit(vault.store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    seal(open_vault(vault.store, OWNER), b"two")
    report = deep(vault.store, SECOND)
    assert (report.verdict, report.findings) == ("intact", ())
    assert report.coverage.unreadable == 4
    report = deep(vault.store)
    assert (report.verdict, report.findings, report.coverage.unreadable) == ("intact", (), 0)


def test_what_is_in_a_destroyed_bundle_is_not_looked_for() -> None:
    vault = new_vault()
    writer = seal(vault, b"one")
    vault.append("bundle.noted", bundle=writer.id, fields={"text": "x"})
    vault.append("bundle.destroyed", bundle=writer.id, fields={"reason": "x"})
    report = deep(vault.store)
    assert report.verdict == "intact"
    assert codes(report) == {"pending-deletion"}
    assert len(report.findings) == 4
    sealed = [vault.event(seq).sealed for seq in (3, 4)]
    vault.store.delete_tree(f"bundles/{writer.id.hex()}")
    for one in sealed:
        assert one is not None
        vault.store.delete(f"fields/{one.sha256.hex()[:2]}/{one.sha256.hex()}")
    report = deep(vault.store)
    assert (report.verdict, report.findings) == ("intact", ())


# --- damage is not a lie --------------------------------------------------------------------------


def test_a_changed_byte_is_damage_to_a_reader_too() -> None:
    files = golden()
    with memoised(), small_padding():
        assert deep(MemoryStore(files)).findings == ()
        for name in needed():
            data = files[name]
            for place in {0, 15, len(data) // 2, len(data) - 1}:
                altered = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
                report = deep(MemoryStore({**files, name: altered}))
                assert report.verdict == "altered", (name, place)
            report = deep(MemoryStore({k: v for k, v in files.items() if k != name}))
            assert report.verdict == "altered", name


def test_damage_behind_a_trusted_audit_is_damage_and_no_lie(tmp_path: Any) -> None:
    vault = new_vault()
    seal(vault, b"one", bytes(200_000), title="a")
    assert deep(vault.store, state=tmp_path).verdict == "intact"
    files = contents(vault.store)
    for name in (name for name in files if not name.startswith(("log/", "FORMAT"))):
        data = files[name]
        altered = data[:-9] + bytes((data[-9] ^ 1,)) + data[-8:]
        store = MemoryStore({**files, name: altered})
        trusting = audit(store, state=tmp_path, since_last=True, clock=clock)
        assert trusting.verdict == "intact"
        assert trusting.coverage.since == vault.size
        report = deep(store, state=LocalState(tmp_path), since_last=True)
        assert report.verdict == "altered", name
        assert places(report) == {name}
        assert codes(report) == {"digest"}


class Failing:
    """A store that can't read some files once ``after`` were opened."""

    def __init__(self, inner: Store, prefix: str, error: Exception) -> None:
        self._inner = inner
        self._prefix = prefix
        self._error = error

    def open(self, name: str) -> Any:
        if name.startswith(self._prefix):
            raise self._error
        return self._inner.open(name)

    def read(self, name: str, *arguments: Any) -> bytes:
        if name.startswith(self._prefix):
            raise self._error
        return self._inner.read(name, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("prefix", ["keys/", "fields/", "bundles/"])
def test_a_medium_that_fails_inside_is_damage(prefix: str) -> None:
    vault = new_vault()
    seal(vault, b"one", title="a")
    log = audit_log(vault.store, lambda *_: 0, lambda _: None)
    expected = expected_files(log.events.values(), log.state)

    def inside(error: Exception) -> tuple[set[tuple[str, str]], int]:
        store: Any = Failing(vault.store, prefix, error)
        findings, unreadable = audit_deep(
            store, READER, log.events, log.state, expected, set(), lambda _: None
        )
        return {(one.code, one.severity) for one in findings}, unreadable

    found, unreadable = inside(OSError(5, "Input/output error", "somewhere"))
    assert found == {("unreadable", "altered")}
    assert (unreadable == vault.size) == (prefix == "keys/")
    with pytest.raises(NotAVaultError):
        inside(NotAVaultError("v", "pulled out"))


# --- an insider's events --------------------------------------------------------------------------


@pytest.fixture
def vault() -> Vault:
    return new_vault()


def noted(vault: Vault) -> str:
    event = vault.append("vault.noted", fields={"text": "what is this?"})
    return f"event {event.seq}"


def test_fields_that_the_event_does_not_commit_to(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vault.draft.fields_root", lambda *_: bytes(32))
        place = noted(vault)
    contradicted(vault.store, "private-proof", place)


@pytest.mark.parametrize(
    "change",
    [{"type": "vault.policy"}, {"actor": bytes(32)}, {"vault": bytes(32)}, {"vault": None}],
)
def test_fields_that_belong_to_another_event(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    from vault.event import format_fields_file

    with monkeypatch.context() as patched:
        patched.setattr(
            "vault.draft.format_fields_file",
            lambda header, fields: format_fields_file(replace(header, **change), fields),
        )
        place = noted(vault)
    contradicted(vault.store, "private-contents", place)


@pytest.mark.parametrize(
    "plaintext", [b"", b"\xc0", bytes(4096), b"\x92\x80\x90" + bytes(4093), b"\x01" * 5000]
)
def test_fields_of_no_sound_form(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, plaintext: bytes
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vault.draft.format_fields_file", lambda *_: plaintext)
        place = noted(vault)
    contradicted(vault.store, "private-contents", place)


def test_fields_that_no_reader_can_open(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    # Counted as unreadable it would be no finding, and evidence nobody can ever read be intact.
    recipient = Draft._recipient
    with monkeypatch.context() as patched:
        patched.setattr(
            "vault.draft.Draft._recipient",
            lambda self, state: (recipient(self, state)[0], FOREIGN.recipient().to_bytes()),
        )
        place = noted(vault)
    contradicted(vault.store, "not-decryptable", place)
    assert deep(vault.store).coverage.unreadable == 0


def test_fields_that_are_no_age_file(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vault.draft.age.encrypt_bytes", lambda *_: b"not an age file")
        place = noted(vault)
    sealed = vault.event(vault.size - 1).sealed
    assert sealed is not None
    # That it is for no recipient shows without a key; that it can't be read, to readers.
    anybody = {("recipients", fields_name(sealed.sha256))}
    assert {(one.code, one.place) for one in bad(audit(vault.store))} == anybody
    found = {(one.code, one.place) for one in bad(deep(vault.store))}
    assert found == anybody | {("private-contents", place)}


def test_a_fields_file_longer_than_any(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.forms._MAX_FIELDS", 100)
    place = noted(vault)
    report = deep(vault.store)
    assert report.verdict == "contradicted"
    assert place in places(report)


# --- an insider's bundles -------------------------------------------------------------------------


def sealed_with(vault: Vault, meddle: Callable[[pytest.MonkeyPatch], None]) -> str:
    with pytest.MonkeyPatch.context() as patched:
        meddle(patched)
        writer = seal(vault, b"one", bytes(70_000), title="a lie")
    assert writer.event is not None
    return f"event {writer.event.seq}"


def test_the_key_file_of_another_bundle(vault: Vault) -> None:
    place = sealed_with(
        vault,
        lambda patched: patched.setattr(
            "vault.sealing.format_bundle_key", lambda _: f"{FOREIGN.to_string()}\n".encode()
        ),
    )
    contradicted(vault.store, "private-proof", place)


@pytest.mark.parametrize(
    "plaintext", [b"", b"x", b"\xff\n", b"AGE-SECRET-KEY-PQ-1X\n", b"y" * 5000]
)
def test_a_key_file_that_holds_no_key(vault: Vault, plaintext: bytes) -> None:
    place = sealed_with(
        vault,
        lambda patched: patched.setattr("vault.sealing.format_bundle_key", lambda _: plaintext),
    )
    contradicted(vault.store, "private-contents", place)


def test_a_key_file_that_no_reader_can_open(vault: Vault) -> None:
    from vault.keyring import seal_to_epoch

    place = sealed_with(
        vault,
        lambda patched: patched.setattr(
            "vault.sealing.seal_to_epoch",
            lambda plaintext, epoch: seal_to_epoch(
                plaintext, replace(epoch, recipient=FOREIGN.recipient().to_bytes())
            ),
        ),
    )
    contradicted(vault.store, "not-decryptable", place)


def test_evidence_that_its_key_does_not_open(vault: Vault) -> None:
    writer = age.writer
    place = sealed_with(
        vault,
        lambda patched: patched.setattr(
            "vault.bundle.writing.age.writer",
            lambda sink, _: writer(sink, [FOREIGN.recipient()]),
        ),
    )
    contradicted(vault.store, "not-decryptable", place)


def test_evidence_that_is_no_age_file(vault: Vault) -> None:
    class Plain:
        def __init__(self, sink: Any, _: object) -> None:
            self.write = sink.write

        def close(self) -> None:
            pass

    place = sealed_with(
        vault, lambda patched: patched.setattr("vault.bundle.writing.age.writer", Plain)
    )
    (seen,) = bad(audit(vault.store))  # this much shows to everybody
    assert (seen.code, "not an age file" in seen.detail) == ("recipients", True)
    found = {(one.code, one.place) for one in bad(deep(vault.store))}
    assert found == {("recipients", seen.place), ("private-contents", place)}


def test_items_that_the_event_does_not_commit_to(vault: Vault) -> None:
    place = sealed_with(
        vault,
        lambda patched: patched.setattr("vault.bundle.writing.items_root", lambda _: bytes(32)),
    )
    contradicted(vault.store, "private-proof", place)


@pytest.mark.parametrize(
    ("name", "index", "content"),
    [
        ("names.txt", 3, b"data/000000\tanother name\n"),
        ("bagit.txt", 0, b"BagIt-Version: 0.97\n"),
        ("bag-info.txt", 1, b""),
        ("manifest-sha256.txt", 2, b""),
        ("tagmanifest-sha256.txt", 5, b"x"),
    ],
)
def test_a_bag_that_its_items_do_not_make(
    vault: Vault, name: str, index: int, content: bytes
) -> None:
    from vault.bag import tag_files

    def other(*arguments: Any) -> Any:
        files = list(tag_files(*arguments))
        files[index] = content
        return tuple(files)

    place = sealed_with(vault, lambda patched: patched.setattr("vault.bag.tag_files", other))
    contradicted(vault.store, "private-contents", place)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"sha256": bytes(32)}, "private-digest"),
        ({"size": 2}, "private-contents"),
        ({"offset": 0}, "private-contents"),
        ({"path": "data/000001.txt"}, "private-contents"),
        ({"path": ()}, "private-contents"),
        ({"kind": "nonsense"}, "private-contents"),
        ({"original_name": "another.txt"}, None),
    ],
)
def test_an_item_whose_fields_lie(vault: Vault, values: dict[str, Any], code: str | None) -> None:
    from vault.bundle import items, writing
    from vault.codec import pack
    from vault.commitment import format_fields

    def lying(number: int, given: Any, random: Any) -> tuple[Item, bytes]:
        item, record = items.make_item(number, given, random)
        if number == 0 and given.get("offset"):
            fields = tuple(
                Field(one.name, one.salt, values.get(one.name, one.value)) for one in item.fields
            )
            item, record = Item(0, fields), pack(format_fields(fields))
        return item, record

    place = sealed_with(vault, lambda patched: patched.setattr(writing, "make_item", lying))
    if code is None:
        # A name that was given is not a lie that anyone can find.
        assert deep(vault.store).findings == ()
    else:
        contradicted(vault.store, code, place)


@pytest.mark.parametrize(
    "values",
    [
        {"item_count": 2},
        {"item_count": 10**6},
        {"items_offset": 0},
        {"items_offset": 10**12},
        {"items_size": 1},
        {"items_size": 10**12},
        {"plaintext_size": 1},
    ],
)
def test_a_bundle_whose_fields_lie(vault: Vault, values: dict[str, int]) -> None:
    with vault.seal({"title": "a lie"}) as writer:
        writer.add_stream("a", 1, io.BytesIO(b"a"))
        append = writer._append
        writer._append = lambda fields, data: append({**fields, **values}, data)
    contradicted(vault.store, "private-contents", f"event {vault.size - 1}")


def test_a_bundle_without_the_fields_that_say_where() -> None:
    vault = new_vault()
    with vault.seal() as writer:
        append = writer._append
        writer._append = lambda fields, data: append({}, data)
    contradicted(vault.store, "private-contents", f"event {vault.size - 1}")


# --- an insider's keyring -------------------------------------------------------------------------


def founded(monkeypatch: pytest.MonkeyPatch, lie: Callable[[NewEpoch], bytes]) -> Vault:
    from vault.keyring import new_epoch

    def lying(*arguments: Any) -> NewEpoch:
        epoch = new_epoch(*arguments)
        return NewEpoch(epoch.id, epoch.identity, lie(epoch))

    with monkeypatch.context() as patched:
        patched.setattr("vault.founding.new_epoch", lying)
        return new_vault()


def to_reader(plaintext: bytes) -> bytes:
    return age.encrypt_bytes(plaintext, [READER.keys.recipient])


def test_an_epoch_file_with_a_foreign_key(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = founded(monkeypatch, lambda epoch: to_reader(format_epoch_file([(epoch.id, FOREIGN)])))
    contradicted(vault.store, "private-proof", "event 2")


def test_an_epoch_file_of_an_epoch_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = founded(
        monkeypatch,
        lambda epoch: to_reader(
            format_epoch_file([(epoch.id, epoch.identity), (bytes(8), FOREIGN)])
        ),
    )
    contradicted(vault.store, "private-proof", "event 2")


@pytest.mark.parametrize("plaintext", [b"", b"x", b"# 00\nx\n", b"\xff"])
def test_an_epoch_file_of_no_sound_form(monkeypatch: pytest.MonkeyPatch, plaintext: bytes) -> None:
    vault = founded(monkeypatch, lambda _: to_reader(plaintext))
    contradicted(vault.store, "private-contents", "event 2")


def test_an_epoch_file_that_a_reader_it_names_can_t_open(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = founded(
        monkeypatch,
        lambda epoch: age.encrypt_bytes(
            format_epoch_file([(epoch.id, epoch.identity)]), [FOREIGN.recipient()]
        ),
    )
    contradicted(vault.store, "not-decryptable", "event 2")
    assert deep(vault.store).coverage.unreadable == 3


def test_an_epoch_file_that_does_not_open_its_own_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.keyring import Keyring, new_epoch

    vault = new_vault()
    first = open_vault(vault.store, READER)
    keyring = Keyring(vault.store, READER)
    old = first.state.newest
    assert old is not None
    identity = keyring.identity_of(old, first.state)

    def lying(*arguments: Any) -> NewEpoch:
        epoch = new_epoch(*arguments)
        data = age.encrypt_bytes(
            format_epoch_file([(old, identity)]), [READER.keys.recipient, SECOND.keys.recipient]
        )
        return NewEpoch(epoch.id, epoch.identity, data)

    with monkeypatch.context() as patched:
        patched.setattr("tests.bundles.scene.new_epoch", lying)
        admit(vault.store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    report = deep(vault.store)
    assert {(one.code, one.severity, one.place) for one in report.findings} == {
        ("private-proof", "contradicted", "event 4")
    }


def granted(plaintext: Callable[[list[tuple[bytes, Any]]], bytes]) -> Vault:
    """Return a vault in which READER grants the first epoch to SECOND."""
    from vault.keyring import Keyring

    vault = new_vault()
    seal(vault, b"early")
    admit(vault.store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    reader = open_vault(vault.store, READER)
    first = next(iter(reader.state.epochs))
    identity = Keyring(vault.store, READER).identity_of(first, reader.state)
    data = age.encrypt_bytes(plaintext([(first, identity)]), [SECOND.keys.recipient])
    sha256 = hashlib.sha256(data).digest()
    with vault.store.create(history_name(sha256)) as writer:
        writer.write(data)
        writer.commit()
    reader.append(
        "history.granted",
        data={"reader": SECOND.ed25519, "epochs": [first], "file": (sha256, len(data))},
    )
    return vault


def test_a_history_that_was_granted_is_read() -> None:
    vault = granted(format_epoch_file)
    for identity in (READER, SECOND):
        report = deep(vault.store, identity)
        assert (report.verdict, report.findings, report.coverage.unreadable) == ("intact", (), 0)


@pytest.mark.parametrize(
    ("plaintext", "code"),
    [
        (lambda epochs: format_epoch_file([(epochs[0][0], FOREIGN)]), "private-proof"),
        (lambda epochs: b"nothing", "private-contents"),
    ],
)
def test_a_history_that_lies(plaintext: Any, code: str) -> None:
    vault = granted(plaintext)
    place = f"event {open_vault(vault.store).size - 1}"
    contradicted(vault.store, code, place, SECOND)
    assert deep(vault.store, READER).findings == ()


# --- what anybody can see -------------------------------------------------------------------------


def test_one_file_that_two_events_describe_differently_is_a_contradiction() -> None:
    vault = new_vault()
    one = vault.append("vault.noted", fields={"text": "x"})
    assert one.sealed is not None
    sealed = replace(one.sealed, size=one.sealed.size + 1)
    events = [one, replace(one, seq=9, sealed=sealed)]
    for order in (events, events[::-1]):
        found = expected_files(order, vault.state)
        (file,) = found.values()
        assert file.disputed
    same = expected_files([one, replace(one, seq=9)], vault.state)
    assert [(file.seq, file.disputed) for file in same.values()] == [(9, False)]


def test_a_disputed_file_is_a_finding_whatever_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = new_vault()
    original = expected_files

    def disputed(*arguments: Any) -> Any:
        found = original(*arguments)
        return {name: replace(file, disputed=True) for name, file in found.items()}

    monkeypatch.setattr("vault.auditing.expected_files", disputed)
    report = audit(vault.store)
    assert report.verdict == "contradicted"
    assert codes(report) == {"file-disputed"}


def test_a_file_that_a_living_bundle_needs_is_not_expected_to_go() -> None:
    vault = new_vault()
    dead, living = seal(vault, b"dead"), seal(vault, b"living")
    vault.append("bundle.destroyed", bundle=dead.id)
    events = {event.seq: event for event in vault.events()}
    # An insider lets an event of the bundle that goes name a file of the one that stays.
    shared = replace(events[living.event.seq], bundle=dead.id, seq=9)  # type: ignore[union-attr]
    for order in ([*events.values(), shared], [shared, *events.values()]):
        found = expected_files(order, vault.state)
        sealed = shared.sealed
        assert sealed is not None
        name = f"fields/{sealed.sha256.hex()[:2]}/{sealed.sha256.hex()}"
        assert not found[name].destroyed


def test_an_epoch_s_file_is_the_one_that_was_logged() -> None:
    vault = new_vault()
    (epoch,) = vault.state.epochs.values()
    name = epoch_name(epoch.id)
    other = age.encrypt_bytes(b"x", [READER.keys.recipient])
    report = audited({**contents(vault.store), name: other})
    assert places(report) == {name}


def test_drafts_by_several_people_are_all_looked_at() -> None:
    vault = new_vault(readers=[READER, OWNER])
    admit(vault.store, OWNER, *((person(number), ["custodian"]) for number in (21, 22)))
    for number in (21, 22):
        Log(vault.store).append(
            person(number),
            lambda _, n=number: [
                draft(vault.store, person(n), "vault.noted", {}, fields={"text": str(n)})
            ],
        )
    for identity in (READER, OWNER):
        report = deep(vault.store, identity)
        assert (report.findings, report.coverage.unreadable) == ((), 0)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    import threading

    before = threading.active_count()
    yield
    assert threading.active_count() == before
