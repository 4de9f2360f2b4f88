"""A vault: founding, opening, who sees what, what this machine remembers, what is recorded when."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    admit,
    card,
    clock,
    contents,
    copy_of,
    new_vault,
    on_disk,
    open_vault,
    seal,
)
from tests.log.notes import append_notes, note
from vault.auditing import audit
from vault.custody import Policy
from vault.errors import (
    CustodyError,
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    NotAVaultError,
    RollbackError,
    StateError,
    UnknownVaultError,
    UnsupportedVersionError,
    VaultExistsError,
    VerificationError,
)
from vault.layout import CHECKPOINT, FORMAT_NAME, fields_name
from vault.localstate import LocalState
from vault.log import Log
from vault.storage import LocalStore, MemoryStore
from vault.vault import Vault

# --- founding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("readers", "expected"),
    [
        ((READER,), {READER}),
        ((card(READER),), {READER}),
        ((OWNER,), {OWNER}),
        ((card(OWNER),), {OWNER}),
        ((card(READER), SECOND, OWNER), {READER, SECOND, OWNER}),
        ((card(READER), READER), {READER}),
    ],
)
def test_the_readers_are_those_who_were_named(readers: Any, expected: set[Any]) -> None:
    vault = new_vault(readers=readers, fields={"title": "a vault", "member.name": "Amina"})
    assert set(vault.state.active("reader")) == {one.ed25519 for one in expected}
    assert set(vault.state.active("owner")) == {OWNER.ed25519}
    assert set(vault.state.active("custodian")) == {OWNER.ed25519}
    types = [event.type for event in vault.events()]
    assert types == ["vault.created", *["member.admitted"] * len(expected), "epoch.opened"]
    for reader in expected:
        seen = open_vault(vault.store, reader)
        assert seen.fields(seen.event(0))["title"] == "a vault"
    for other in {OWNER, READER, SECOND, OUTSIDER} - expected:
        seen = open_vault(vault.store, other)
        with pytest.raises(NoIdentityMatchError):
            seen.fields(seen.event(0))
    report = audit(vault.store)
    assert (report.verdict, report.findings, report.vault) == ("intact", (), vault.id)


def test_a_reader_s_name_from_the_card_is_private() -> None:
    vault = new_vault(readers=[card(READER, "Daniel, the desk")])
    reader = open_vault(vault.store, READER)
    assert reader.fields(reader.event(1))["member.name"] == "Daniel, the desk"
    for data in contents(vault.store).values():
        assert b"Daniel" not in data


def test_a_vault_without_a_reader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a reader"):
        new_vault(tmp_path / "v", readers=())  # type: ignore[arg-type]
    assert not (tmp_path / "v").exists()


def test_a_place_that_is_taken_is_refused_and_stays(tmp_path: Path) -> None:
    with new_vault(tmp_path / "v") as vault:  # type: ignore[arg-type]
        files = contents(vault.store)
        with pytest.raises(VaultExistsError):
            new_vault(tmp_path / "v")  # type: ignore[arg-type]
        with pytest.raises(VaultExistsError):
            new_vault(vault.store)
        assert contents(vault.store) == files
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path):
        with pytest.raises(VaultExistsError):
            new_vault(place)  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fields": {"nonsense": ""}}, FormatError),
        ({"fields": {"title": ""}}, FormatError),
        ({"fields": {"a=b": "x"}}, ValueError),
        ({"policy": Policy(0)}, (FormatError, ValueError)),
        ({"policy": Policy(86_401)}, FormatError),
        ({"clock": lambda: -5.0}, FormatError),
        ({"random": lambda size: b""}, Exception),
    ],
)
@pytest.mark.parametrize("made_before", [True, False])
def test_a_founding_that_fails_leaves_nothing(
    tmp_path: Path, options: dict[str, Any], error: Any, made_before: bool
) -> None:
    place = tmp_path / "v"
    if made_before:
        place.mkdir()
    with pytest.raises(error):
        new_vault(place, **options)  # type: ignore[arg-type]
    assert place.exists() == made_before
    assert list(tmp_path.rglob("*")) == [place] * made_before
    store = MemoryStore()
    with pytest.raises(error):
        new_vault(store, **options)
    assert contents(store) == {}
    new_vault(store)


@pytest.mark.parametrize("method", ["create", "commit"])
@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_a_founding_on_a_medium_that_fails_leaves_nothing(
    method: str, error: BaseException
) -> None:
    store = MemoryStore()

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if name == method and (method != "create" or len(contents(store)) >= 2):

                def fail(*_: object, **__: object) -> None:
                    raise error

                return fail
            return getattr(store, name)

    with pytest.raises(type(error)):
        new_vault(Failing())  # type: ignore[arg-type]
    assert contents(store) == {}


def test_of_two_that_found_in_one_place_one_succeeds_and_its_vault_stays() -> None:
    store = MemoryStore()
    first: list[Vault] = []

    class Late:
        """Looks, finds the place empty, and is slower than another."""

        def list(self, prefix: str = "") -> Any:
            found = list(store.list(prefix))
            if not first:
                first.append(new_vault(store))
            return iter(found)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    with pytest.raises(VaultExistsError):
        new_vault(Late(), identity=SECOND)  # type: ignore[arg-type]
    assert open_vault(store).id == first[0].id
    assert audit(store).findings == ()


def test_founding_remembers_and_a_memory_that_fails_does_not_undo_it(tmp_path: Path) -> None:
    vault = new_vault(state=tmp_path / "state")
    pin = LocalState(tmp_path / "state").pin(vault.id)
    assert pin is not None
    assert pin.raw == vault.checkpoint
    assert vault.unremembered is None
    (tmp_path / "blocked").write_text("no directory")
    store = MemoryStore()
    other = new_vault(store, state=tmp_path / "blocked")
    assert isinstance(other.unremembered, OSError)
    assert open_vault(store).size == 3


# --- opening --------------------------------------------------------------------------------------


def test_what_is_no_vault_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(NotAVaultError):
        Vault.open(tmp_path / "missing")
    with pytest.raises(NotAVaultError, match="FORMAT"):
        Vault.open(tmp_path)
    with pytest.raises(NotAVaultError, match="checkpoint"):
        open_vault(MemoryStore({FORMAT_NAME: b"evidence-vault/1\n"}))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"evidence-vault/2\n", UnsupportedVersionError),
        (b"evidence-vault/10\n", UnsupportedVersionError),
        (b"evidence-vault/999999999\n", UnsupportedVersionError),
        (b"evidence-vault/0\n", FormatError),
        (b"evidence-vault/01\n", FormatError),
        (b"evidence-vault/1", FormatError),
        (b"evidence-vault/1\n\n", FormatError),
        (b"evidence-vault/2", FormatError),
        (b"evidence-vault/1\r\n", FormatError),
        (b"evidence-vault/\xd9\xa2\n", FormatError),
        (b"evidence-vault/" + b"9" * 60 + b"\n", FormatError),
        (b"", FormatError),
        (b"\0" * 17, FormatError),
    ],
)
def test_a_format_of_another_kind_is_refused(content: bytes, error: type[FormatError]) -> None:
    files = {**contents(new_vault().store), FORMAT_NAME: content}
    with pytest.raises(error) as raised:
        open_vault(MemoryStore(files))
    assert type(raised.value) is error
    assert raised.value.where == FORMAT_NAME


def test_opening_writes_nothing(tmp_path: Path) -> None:
    files = contents(new_vault().store)
    with on_disk(tmp_path / "v", files) as store:
        before = sorted(tmp_path.rglob("*"))
        with open_vault(store, READER) as vault:
            vault.fields(vault.event(0))
            assert not vault.refresh()
        assert sorted(tmp_path.rglob("*")) == before


def test_an_outsider_sees_what_is_public_and_nothing_else() -> None:
    vault = new_vault(fields={"title": "secret title"})
    writer = seal(vault, b"secret", title="secret name")
    for identity in (None, OUTSIDER):
        seen = open_vault(vault.store, identity)
        assert [event.type for event in seen.events(after=2)] == ["bundle.sealed"]
        assert (seen.root, seen.checkpoint) == (vault.root, vault.checkpoint)
        assert seen.bundle(writer.id).holder == OWNER.ed25519
        with pytest.raises(NoIdentityMatchError):
            seen.fields(seen.event(3))
        with pytest.raises(NoIdentityMatchError):
            seen.read(writer.id)
    for data in contents(vault.store).values():
        assert b"secret" not in data


def test_who_gave_no_identity_writes_nothing() -> None:
    vault = new_vault()
    files = contents(vault.store)
    seen = open_vault(vault.store)
    with pytest.raises(NoIdentityMatchError):
        seen.append("vault.noted")
    with pytest.raises(NoIdentityMatchError):
        seen.seal()
    assert contents(vault.store) == files


@pytest.mark.parametrize(
    ("identity", "type_name", "rule"),
    [
        (OUTSIDER, "vault.noted", "not-a-member"),
        (SECOND, "vault.noted", "removed-member"),
        (READER, "vault.policy", "role"),
    ],
)
def test_who_may_not_write_leaves_nothing(identity: Any, type_name: str, rule: str) -> None:
    vault = new_vault()
    admit(vault.store, OWNER, (SECOND, ["custodian"]))
    vault.append("member.removed", data={"member": SECOND.ed25519})
    files = contents(vault.store)
    data: Any = {"policy": Policy(60).to_data()} if type_name == "vault.policy" else {}
    with pytest.raises(CustodyError) as raised:
        open_vault(vault.store, identity).append(type_name, data=data, fields={"reason": "x"})
    assert raised.value.rule == rule
    # What is asked first says the same.
    with pytest.raises(CustodyError) as raised:
        open_vault(vault.store, identity).check_may(type_name)
    assert (raised.value.rule, raised.value.event) == (rule, type_name)
    assert contents(vault.store) == files


@pytest.mark.parametrize(
    ("type_name", "options", "error"),
    [
        ("vault.noted", {"data": {"x": 1}}, FormatError),
        ("vault.noted", {"data": {"x": 1.5}}, (FormatError, ValueError)),
        ("vault.noted", {"fields": {"text": ""}}, FormatError),
        ("vault.created", {}, (FormatError, ValueError)),
        ("bundle.noted", {}, FormatError),
        ("bundle.noted", {"bundle": bytes(16)}, (CustodyError, FormatError)),
        ("vault.noted", {"bundle": bytes(16)}, FormatError),
    ],
)
def test_an_event_of_no_sound_form_leaves_nothing(
    type_name: str, options: dict[str, Any], error: Any
) -> None:
    vault = new_vault()
    files = contents(vault.store)
    with pytest.raises(error):
        vault.append(type_name, **options)
    assert contents(vault.store) == files
    vault.append("vault.noted", fields={"text": "still sound"})


def test_roles_are_looked_at_before_anything_is_done() -> None:
    vault = new_vault()
    vault.check_may("bundle.sealed")
    with pytest.raises(CustodyError, match="custodian, owner"):
        vault.check_may("history.granted")


def test_events_are_given_from_a_cursor_on() -> None:
    vault = new_vault()
    assert [event.seq for event in vault.events()] == [0, 1, 2]
    assert [event.seq for event in vault.events(after=1)] == [2]
    assert list(vault.events(after=2)) == []
    cursor = vault.size - 1
    append_notes(vault.store, OWNER, 2)
    assert vault.refresh()
    assert [event.seq for event in vault.events(after=cursor)] == [3, 4]


def test_fields_that_changed_places_are_refused() -> None:
    vault = new_vault()
    notes = [vault.append("vault.noted", fields={"text": text}) for text in ("one", "two")]
    names = [fields_name(event.sealed.sha256) for event in notes if event.sealed]
    files = contents(vault.store)
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]
    reader = open_vault(MemoryStore(files), READER)
    for event in notes:
        with pytest.raises(DigestMismatchError):
            reader.fields(event)


# --- recording ------------------------------------------------------------------------------------


def test_an_opening_is_durable_before_the_first_byte() -> None:
    vault = new_vault()
    writer = seal(vault, b"evidence", b"more")
    reader = open_vault(vault.store, READER)
    item = reader.open_item(writer.id, 1, purpose="to see whether it is whole")
    # The item was not read yet, and whoever looks at the vault sees that it was opened.
    seen = open_vault(vault.store, READER)
    event = seen.event(seen.size - 1)
    assert (event.type, event.actor, event.bundle) == ("bundle.opened", READER.ed25519, writer.id)
    fields = seen.fields(event)
    assert fields["purpose"] == "to see whether it is whole"
    assert fields["items"] == ("1",)
    with item:
        assert item.read() == b"more"
    with pytest.raises(ValueError, match="closed"):
        item.read()


def test_an_opening_of_a_whole_bundle_names_no_item() -> None:
    vault = new_vault()
    writer = seal(vault, b"evidence")
    reader = open_vault(vault.store, READER)
    with reader.open_bundle(writer.id, purpose="x", fields={"place": "y"}) as reading:
        assert reading.open(0).read() == b"evidence"
    fields = reader.fields(reader.event(reader.size - 1))
    assert "items" not in fields
    assert fields["place"] == "y"


@pytest.mark.parametrize(
    ("number", "purpose", "error"),
    [(0, "", FormatError), (1, "x", StateError), (2, "x", StateError), (-1, "x", StateError)],
)
def test_an_opening_that_can_t_be_is_not_recorded(
    number: int, purpose: str, error: type[Exception]
) -> None:
    vault = new_vault()
    with vault.seal() as writer:
        writer.add_stream("a", 1, io.BytesIO(b"a"))
        writer.add_absent({"original_name": "far", "kind": "media-hash", "sha256": bytes(32)})
    files = contents(vault.store)
    reader = open_vault(vault.store, READER)
    with pytest.raises(error):
        reader.open_item(writer.id, number, purpose=purpose)
    if number:
        assert contents(vault.store) == files
    with pytest.raises(error):
        reader.open_bundle(writer.id, [number] if number != 1 else [7], purpose=purpose)
    assert contents(vault.store) == files


def test_a_reader_who_is_no_member_any_more_gets_nothing_recorded_and_nothing_out() -> None:
    vault = new_vault()
    admit(vault.store, OWNER, (SECOND, ["reader"]), readers=(READER, SECOND))
    writer = seal(vault, b"evidence")
    gone = open_vault(vault.store, SECOND)
    admit(vault.store, OWNER, (SECOND, ["custodian"]), readers=(READER,))
    files = contents(vault.store)
    gone.open_item(writer.id, 0, purpose="a custodian may").close()
    open_vault(vault.store, OWNER).append("member.removed", data={"member": SECOND.ed25519})
    files = contents(vault.store)
    with pytest.raises(CustodyError, match="removed"):
        gone.open_item(writer.id, 0, purpose="once more")
    assert contents(vault.store) == files


# --- the public clock -----------------------------------------------------------------------------


def test_a_coarse_clock_shows_no_exact_time_and_keeps_it_private() -> None:
    vault = new_vault(policy=Policy(clock=3600))
    writer = seal(vault, b"x")
    reader = open_vault(vault.store, READER)
    reader.open_item(writer.id, 0, purpose="x").close()
    for event in reader.events():
        assert event.time == NOW // 3600 * 3600
        assert event.time % 3600 == 0
        assert reader.fields(event)["exact_time"] == "2026-03-01T09:00:00Z"
    assert audit(vault.store).findings == ()


def test_a_clock_of_seconds_needs_no_field() -> None:
    vault = new_vault()
    assert vault.event(0).time == NOW
    assert "exact_time" not in open_vault(vault.store, READER).fields(vault.event(0))


def test_a_policy_that_changes_holds_from_then_on() -> None:
    times = iter(range(NOW, NOW + 100))
    vault = new_vault(clock=lambda: float(next(times)))
    vault.append("vault.policy", data={"policy": Policy(clock=86_400).to_data()})
    event = vault.append("vault.noted", fields={"text": "x"})
    assert event.time % 86_400 == 0
    assert "exact_time" in open_vault(vault.store, READER).fields(event)


# --- pins -----------------------------------------------------------------------------------------


def test_a_vault_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    vault = new_vault()
    old = copy_of(vault.store)
    append_notes(vault.store, OWNER, 2)
    open_vault(vault.store, state=tmp_path)
    with pytest.raises(RollbackError, match="older"):
        open_vault(old, state=tmp_path)
    assert open_vault(old).size == 3
    assert open_vault(vault.store, state=tmp_path).size == 5


def test_another_history_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    vault = new_vault()
    fork = copy_of(vault.store)
    append_notes(vault.store, OWNER)
    open_vault(vault.store, state=tmp_path)
    Log(fork).append(OWNER, lambda _: [note(OWNER, time=7), note(OWNER)])
    with pytest.raises(RollbackError, match="another history"):
        open_vault(fork, state=tmp_path)


def test_the_pin_of_one_vault_says_nothing_of_another(tmp_path: Path) -> None:
    open_vault(new_vault().store, state=tmp_path)
    other = new_vault()
    assert open_vault(other.store, state=tmp_path).id == other.id
    local = LocalState(tmp_path)
    wrong = open_vault(new_vault().store)
    local.set_pin(other.id, wrong.checkpoint)
    with pytest.raises(RollbackError, match="another vault"):
        open_vault(other.store, state=tmp_path)


def test_a_pin_that_another_process_moved_on_is_no_rollback(tmp_path: Path) -> None:
    vault = new_vault(state=tmp_path)
    store = vault.store

    class Faster:
        """Another process appends and pins, just after this one read the checkpoint."""

        raced = False

        def read(self, name: str, *arguments: Any) -> bytes:
            data = store.read(name, *arguments)
            if name == CHECKPOINT and not self.raced:
                self.raced = True
                other = open_vault(store, OWNER, state=tmp_path)
                other.append("vault.noted", fields={"text": "faster"})
            return data

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    assert open_vault(Faster(), state=tmp_path).size == 4  # type: ignore[arg-type]
    assert open_vault(store, state=tmp_path).size == 4


def test_appending_moves_the_pin_on(tmp_path: Path) -> None:
    vault = new_vault(state=tmp_path)
    for _ in range(2):
        vault.append("vault.noted", fields={"text": "x"})
        pin = LocalState(tmp_path).pin(vault.id)
        assert pin is not None
        assert pin.raw == vault.checkpoint


def test_a_vault_is_written_to_once_its_id_is_confirmed(tmp_path: Path) -> None:
    vault = new_vault()
    files = contents(vault.store)
    stranger = open_vault(vault.store, OWNER, state=tmp_path)
    for write in (lambda: stranger.append("vault.noted"), stranger.seal):
        with pytest.raises(UnknownVaultError):
            write()
    assert contents(vault.store) == files
    with pytest.raises(VerificationError, match="another vault"):
        open_vault(vault.store, OWNER, state=tmp_path, vault_id=bytes(32))
    confirmed = open_vault(vault.store, OWNER, state=tmp_path, vault_id=vault.id)
    confirmed.append("vault.noted", fields={"text": "x"})
    assert stranger.known


# --- several at once ------------------------------------------------------------------------------


def test_many_threads_read_from_one_vault() -> None:
    vault = new_vault()
    writers = [seal(vault, bytes((number,)) * 70_000) for number in range(3)]
    reader = open_vault(vault.store, READER)
    raised: list[BaseException] = []

    def look(number: int) -> None:
        try:
            for _ in range(3):
                with reader.read(writers[number].id) as reading:
                    assert reading.open(0).read() == bytes((number,)) * 70_000
                for event in reader.events():
                    reader.fields(event)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=look, args=(number % 3,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_a_vault_lets_go_of_its_store(tmp_path: Path) -> None:
    with new_vault(LocalStore.make(tmp_path / "v")) as vault:
        seal(vault, b"x")
        assert list((tmp_path / "v/tmp").iterdir())
    assert list((tmp_path / "v/tmp").iterdir()) == []


def test_what_was_founded_is_what_is_read() -> None:
    vault = new_vault()
    log = Log(vault.store)
    log.refresh()
    assert log.state == vault.state
    assert vault.tree.hash(0, 0) == log.tree.hash(0, 0)
    assert (vault.breaches, vault.in_doubt) == ((), False)
    assert clock() == NOW + 0.5
