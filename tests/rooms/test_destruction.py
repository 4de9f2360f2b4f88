"""Destroying a bundle: who may, what goes and what stays, what opens what is left, and crashes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.audit.golden import memoised
from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    admit,
    card,
    contents,
    draft,
    new_vault,
    on_disk,
    open_vault,
    person,
    seal,
)
from tests.rooms.ending import (
    WHY,
    Dead,
    Faulty,
    Scene,
    another_epoch,
    build,
    every_key,
    faults,
    lines_of,
    opened_by,
)
from vault import Vault, age
from vault.auditing import audit
from vault.custody import Policy
from vault.deletion import finish_deletions, is_unfinished
from vault.destruction import (
    Trace,
    approve_destruction,
    destroy,
    next_step,
    request_destruction,
)
from vault.errors import CustodyError, NotFoundError, StateError, VaultError
from vault.event import SealedFile
from vault.expected import expected_files
from vault.forms import key_in
from vault.layout import bundle_directory, bundle_key_name, fields_name, rekey_name
from vault.log import Log
from vault.rekeying import confirm, prune, rekey, shred
from vault.storage import LocalStore, MemoryStore
from vault.tending import tend

PEOPLE = [OWNER, READER, SECOND]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with memoised():
        yield


@pytest.fixture
def scene() -> Scene:
    return build()


def files_of(vault: Vault, bundle: bytes) -> set[str]:
    """Return the names of all files of a bundle's chain."""
    chain = [vault.event(seq) for seq in vault.bundle(bundle).chain]
    return set(expected_files(chain, vault.state))


def with_custodian(scene: Scene) -> None:
    admit(scene.store, OWNER, (OUTSIDER, ["custodian"]))


# --- what goes, what stays ------------------------------------------------------------------------


def test_evidence_keys_and_what_tells_of_it_go_and_the_chain_stays(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        chain = list(vault.bundle(scene.gone).chain)
        files = files_of(vault, scene.gone)
        done = destroy(vault, scene.gone, fields=WHY)
        assert (done.event.type, done.event.data) == ("bundle.destroyed", {})
        assert done.events == (*chain, done.event.seq)
        assert done.stated == (done.event.seq,)
        assert vault.bundle(scene.gone).destroyed == done.event.seq
    assert (done.deletion.deleted, done.deletion.undone) == (len(files), ())
    assert done.deletion.leftovers == done.deletion.withheld == ()
    assert len(files) == 5  # a part, a key file, the fields of sealing, opening and note
    assert files.isdisjoint(contents(scene.store))
    assert not scene.store.exists(bundle_directory(scene.gone))
    for identity in (None, READER, SECOND):
        report = scene.audit(identity)
        assert (report.verdict, report.findings) == ("intact", ())
    with scene.open(SECOND) as reader:
        assert WHY.items() <= reader.fields(done.event).items()
        with pytest.raises(StateError, match="destroyed"):
            reader.read(scene.gone)
    scene.read_all()


def test_the_traces_are_those_after_which_copies_may_exist(scene: Scene) -> None:
    with_custodian(scene)
    with scene.open(OWNER) as vault:
        released = vault.append(
            "custody.released", bundle=scene.gone, data={"to": OUTSIDER.ed25519}
        )
    with scene.open(OUTSIDER) as other:
        data = {"release": released.seq, "rehashed": True}
        taken = other.append("custody.accepted", bundle=scene.gone, data=data)
        shown = other.append("bundle.disclosed", bundle=scene.gone, data={"kind": "disclosure"})
        done = destroy(other, scene.gone)
    opened, *others = done.traces
    assert (opened.kind, opened.who, opened.to) == ("opened", READER.ed25519, None)
    assert others == [
        Trace("released", released.seq, NOW, OWNER.ed25519, OUTSIDER.ed25519),
        Trace("accepted", taken.seq, NOW, OUTSIDER.ed25519),
        Trace("disclosed", shown.seq, NOW, OUTSIDER.ed25519),
    ]


def test_notes_go_on_and_stay(scene: Scene) -> None:
    scene.do(OWNER, destroy, scene.gone)
    with scene.open(READER) as reader:
        note = reader.append("bundle.noted", bundle=scene.gone, fields={"text": "a copy was found"})
    assert scene.audit(READER).findings == ()
    scene.renew()
    assert tend(scene.store).deleted == 0
    with scene.open(SECOND) as reader:
        assert reader.fields(note)["text"] == "a copy was found"
    assert scene.audit(SECOND).findings == ()


def test_what_somebody_put_beside_the_evidence_goes_with_it_and_elsewhere_is_named(
    scene: Scene,
) -> None:
    for name in (f"{bundle_directory(scene.gone)}/key.extra", "fields/ab/stranger"):
        with scene.store.create(name) as writer:
            writer.write(b"x")
            writer.commit()
    done = scene.do(OWNER, destroy, scene.gone)
    assert done.deletion.leftovers == ("fields/ab/stranger",)
    assert not scene.store.exists(bundle_directory(scene.gone))


def test_a_bundle_that_was_encrypted_again_goes_with_all_its_forms(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    scene.do(READER, rekey)
    before = contents(scene.store)
    keys = [name for name in before if name.startswith(f"{bundle_directory(scene.gone)}/key.")]
    assert len(keys) == 2
    scene.do(OWNER, destroy, scene.gone)
    after = contents(scene.store)
    gone = {name for name in before.keys() - after.keys() if not name.startswith("log/")}
    secrets = every_key(PEOPLE, before)
    assert len(gone) == 1 + 2 + 2 * 3
    # Nothing that is left tells of it, to anybody.
    for plaintext in opened_by(secrets, after).values():
        assert scene.gone not in plaintext or b"bundle.destroyed" in plaintext
    assert scene.audit(READER).findings == ()
    scene.read_all()


# --- who may --------------------------------------------------------------------------------------


def refused(scene: Scene, rule: str, who: Any, verb: Any, *arguments: Any) -> None:
    before = contents(scene.store)
    with pytest.raises(CustodyError) as raised:
        scene.do(who, verb, *arguments)
    assert raised.value.rule == rule
    assert contents(scene.store) == before


def test_only_the_holder_destroys_and_not_under_a_hold(scene: Scene) -> None:
    with_custodian(scene)
    refused(scene, "holder", OUTSIDER, destroy, scene.gone)
    refused(scene, "role", READER, destroy, scene.gone)
    refused(scene, "not-a-member", person(9), destroy, scene.gone)
    with scene.open(OWNER) as vault:
        vault.append("hold.placed", bundle=scene.gone, data={"hold": bytes(16)})
    refused(scene, "hold", OWNER, destroy, scene.gone)
    refused(scene, "hold", OWNER, request_destruction, scene.gone)
    with scene.open(OWNER) as vault:
        vault.append("hold.lifted", bundle=scene.gone, data={"hold": bytes(16)})
    scene.do(OWNER, destroy, scene.gone)
    refused(scene, "destroyed", OWNER, destroy, scene.gone)
    with pytest.raises(NotFoundError):
        scene.do(OWNER, destroy, bytes(16))


def test_two_persons_destroy_where_the_policy_says_so() -> None:
    scene = build(Policy(two_person_destroy=True))
    with_custodian(scene)

    def step() -> str:
        view = scene.open()
        return next_step(view, view.bundle(scene.gone))

    assert step() == "request"
    refused(scene, "two-person", OWNER, destroy, scene.gone)
    first = scene.do(OWNER, request_destruction, scene.gone, fields=WHY)
    assert step() == "approve"
    refused(scene, "two-person", OWNER, destroy, scene.gone)
    refused(scene, "own-request", OWNER, approve_destruction, scene.gone, first.seq)
    refused(scene, "request-unknown", OUTSIDER, approve_destruction, scene.gone, first.seq + 1)
    # Whoever approves has seen this request and no other.
    second = scene.do(OWNER, request_destruction, scene.gone, fields=WHY)
    refused(scene, "request-unknown", OUTSIDER, approve_destruction, scene.gone, first.seq)
    approved = scene.do(OUTSIDER, approve_destruction, scene.gone, second.seq, fields=WHY)
    assert step() == "destroy"
    refused(scene, "holder", OUTSIDER, destroy, scene.gone)
    done = scene.do(OWNER, destroy, scene.gone, fields=WHY)
    assert done.event.data == {"request": second.seq, "approval": approved.seq}
    assert done.stated == (first.seq, second.seq, approved.seq, done.event.seq)
    assert step() == "nothing"
    with scene.open(READER) as reader:
        for seq in done.stated:
            assert reader.fields(reader.event(seq))["authority"] == WHY["authority"]
    assert scene.audit(READER).findings == ()
    scene.renew()
    scene.read_all()
    with scene.open(READER) as reader:
        for seq in done.stated:  # they stay through all that comes
            assert reader.fields(reader.event(seq))["authority"] == WHY["authority"]


def test_a_request_that_stands_is_named_without_the_policy_too(scene: Scene) -> None:
    with_custodian(scene)
    request = scene.do(OWNER, request_destruction, scene.gone)
    scene_step = scene.open()
    assert next_step(scene_step, scene_step.bundle(scene.gone)) == "destroy"
    approval = scene.do(OUTSIDER, approve_destruction, scene.gone, request.seq)
    done = scene.do(OWNER, destroy, scene.gone)
    assert done.event.data == {"request": request.seq, "approval": approval.seq}


# --- hunting for the plaintext --------------------------------------------------------------------


def leftover(before: dict[str, bytes], scene: Scene) -> dict[str, bytes]:
    """Return what was deleted, as a copy that somebody or some medium still has; not the files of
    epochs, which are what opens them.
    """
    now = contents(scene.store)
    return {
        name: data
        for name, data in before.items()
        if name not in now and not name.startswith(("log/", "keys/"))
    }


def read_with(keys: list[Any], files: dict[str, bytes]) -> set[str]:
    """Return which of ``files`` can be opened with ``keys`` and whatever they lead to in them."""
    found: dict[str, bytes] = {}
    while True:
        new = {name: one for name, one in opened_by(keys, files).items() if name not in found}
        if not new:
            return set(found)
        found |= new
        for plaintext in new.values():
            if plaintext.startswith(b"AGE-SECRET-KEY-PQ-1"):
                keys = [*keys, age.HybridIdentity.from_string(plaintext.strip().decode())]


def test_a_copy_of_what_was_deleted_is_still_open_to_a_reader(scene: Scene) -> None:
    """The limit of a destruction alone, and the control of the hunt below."""
    before = contents(scene.store)
    scene.do(OWNER, destroy, scene.gone, fields=WHY)
    lost = leftover(before, scene)
    assert len(lost) == 5
    keys = every_key([READER], contents(scene.store))
    assert read_with(keys, lost) == set(lost)
    assert read_with(every_key([OWNER], contents(scene.store)), lost) == set()


@pytest.mark.parametrize("destroyed_first", [True, False])
def test_after_shredding_no_key_that_is_left_opens_what_was_deleted(destroyed_first: bool) -> None:
    scene = build()
    before = contents(scene.store)
    if destroyed_first:
        scene.do(OWNER, destroy, scene.gone, fields=WHY)
        scene.renew()
        lost = leftover(before, scene)
    else:
        scene.renew()
        before |= contents(scene.store)
        scene.do(OWNER, destroy, scene.gone, fields=WHY)
        lost = leftover(before, scene)
        # What was encrypted again is open still, until the new epoch is shredded in its turn.
        keys = every_key(PEOPLE, contents(scene.store))
        assert any(scene.gone.hex() in name for name in read_with(keys, lost))
        (*_, newest) = scene.epochs()
        assert scene.do(OWNER, shred, newest).next == "rekey"
        scene.finish(newest)
        lost = leftover(before, scene)
    assert any(name.endswith("evidence.0000") for name in lost)
    assert any("/key." in name for name in lost)
    keys = every_key(PEOPLE, contents(scene.store))
    assert len(keys) == 5  # theirs, the newest epoch's, that of the bundle that stays
    assert read_with(keys, lost) == set()
    # The hunt would have found it: with a copy of the epoch's file it does.
    assert read_with(every_key(PEOPLE, {**contents(scene.store), **before}), lost) == set(lost)
    scene.read_all()
    for identity in (None, READER, SECOND):
        assert scene.audit(identity).findings == ()


# --- crashes --------------------------------------------------------------------------------------


def test_wherever_it_stops_nothing_live_is_lost_and_it_is_finished(scene: Scene) -> None:
    stops = 0
    for trial, where in faults(
        scene, lambda one: one.do(OWNER, destroy, one.gone, fields=WHY), every=9
    ):
        for identity in (None, READER):
            report = trial.audit(identity)
            assert report.verdict == "intact", (where, report.findings)
        destroyed = trial.open().bundle(trial.gone).destroyed is not None
        trial.read_all()  # the bundle too, while the event is not in the log
        with trial.open(OWNER) as vault:
            vault.append("vault.noted", fields={"text": "the next writer"})
        left = lines_of(trial.audit())
        assert left <= {("pending-deletion", "note"), ("leftover", "note")}, where
        tend(trial.store)
        assert ("pending-deletion", "note") not in lines_of(trial.audit()), where
        if not destroyed:
            trial.do(OWNER, destroy, trial.gone, fields=WHY)
        trial.read_all()
        tells = [name for name in contents(trial.store) if trial.gone.hex() in name]
        assert tells == [], where
        stops += 1
    assert stops > 20


def test_a_dead_process_s_work_is_finished_by_the_next_writer_alone(scene: Scene) -> None:
    """Every form of death after the event; a writer that knows nothing of it deletes the rest."""
    finished = 0
    for trial, where in faults(scene, lambda one: one.do(OWNER, destroy, one.gone), every=1000):
        if "dead" not in where or trial.open().bundle(trial.gone).destroyed is None:
            continue
        with trial.open(READER) as reader:
            reader.append("bundle.noted", bundle=trial.kept, fields={"text": "somebody else"})
        assert lines_of(trial.audit()) <= {("leftover", "note")}, where
        finished += 1
    assert finished > 4


def test_what_can_t_be_deleted_is_named_and_not_taken_for_a_failure(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_disk(tmp_path / "v", contents(scene.store)) as store:
        vault = open_vault(store, OWNER)
        event = vault.event(vault.bundle(scene.gone).seq)
        assert event.sealed is not None
        stuck = fields_name(event.sealed.sha256)
        original = LocalStore.delete

        def delete(self: LocalStore, name: str) -> None:
            if name == stuck:
                raise PermissionError(13, "Permission denied", name)
            original(self, name)

        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "delete", delete)
            done = destroy(vault, scene.gone)
        assert done.deletion.undone == (stuck,)
        assert done.deletion.deleted == 4
        # The empty directory says to the next writer that something is left.
        assert store.exists(bundle_directory(scene.gone))
        assert is_unfinished(vault)
        report = audit(store)
        assert [(one.code, one.place) for one in report.findings] == [("pending-deletion", stuck)]
        vault.append("vault.noted", fields={"text": "the same writer looks once"})
        open_vault(store, READER).append("vault.noted", fields={"text": "the next"})
        assert audit(store).findings == ()
        assert not store.exists(bundle_directory(scene.gone))
        assert not is_unfinished(vault)


def test_a_directory_that_can_t_be_deleted_is_named(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_tree(self: MemoryStore, name: str) -> None:
        raise OSError(5, "Input/output error", name)

    with scene.store.create(f"{bundle_directory(scene.gone)}/extra") as writer:
        writer.commit()
    monkeypatch.setattr(MemoryStore, "delete_tree", delete_tree)
    done = scene.do(OWNER, destroy, scene.gone)
    assert done.deletion.undone == (bundle_directory(scene.gone),)


def test_a_directory_that_another_deletes_meanwhile_is_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MemoryStore.delete_tree

    def delete_tree(self: MemoryStore, name: str) -> None:
        original(self, name)
        original(self, name)

    with scene.store.create(f"{bundle_directory(scene.gone)}/extra") as writer:
        writer.commit()
    monkeypatch.setattr(MemoryStore, "delete_tree", delete_tree)
    assert scene.do(OWNER, destroy, scene.gone).deletion.undone == ()


def test_a_place_that_can_t_be_listed_is_emptied_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MemoryStore.list

    def unlisted(self: MemoryStore, prefix: str = "") -> Any:
        if not prefix:
            raise OSError(5, "Input/output error")
        return original(self, prefix)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "list", unlisted)
        done = scene.do(OWNER, destroy, scene.gone)
    assert (done.deletion.deleted, done.deletion.leftovers) == (5, ())
    assert scene.audit().findings == ()


def test_a_log_that_can_t_be_read_after_the_event_makes_it_no_failure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("vault.destruction.finish_deletions", failing)
    done = scene.do(OWNER, destroy, scene.gone)
    assert done.deletion.undone == (bundle_directory(scene.gone),)


def test_a_next_writer_whose_deletions_fail_has_written_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vault.destruction.finish_deletions", lambda _: None)
        with scene.open(OWNER) as vault:
            vault.append("bundle.destroyed", bundle=scene.gone)

    def fails(what: str, error: Exception) -> None:
        with monkeypatch.context() as patched:

            def failing(*_: object) -> None:
                raise error

            patched.setattr(what, failing)
            with scene.open(OWNER) as vault:
                assert vault.append("vault.noted", fields={"text": "x"})
                assert not vault.in_doubt
        assert scene.store.exists(bundle_directory(scene.gone))

    fails("vault.deletion.finish_deletions", StateError("v", "gone"))
    assert "nothing was deleted" in caplog.text
    fails("vault.storage.MemoryStore.delete", OSError(5, "Input/output error"))
    assert "not deleted: 5 files" in caplog.text
    fails("vault.storage.MemoryStore.exists", OSError(5, "Input/output error"))
    with scene.open(OWNER) as vault:
        vault.append("vault.noted", fields={"text": "x"})
    assert scene.audit().findings == ()


# --- a manifest that can't be read ----------------------------------------------------------------


def rekeyed(scene: Scene) -> tuple[str, bytes]:
    """Encrypt all again and prune; return the manifest's name and bytes."""
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    scene.finish(None)
    (one,) = scene.open().state.rekeyings.values()
    name = rekey_name(one.manifest)
    return name, scene.store.read(name)


@pytest.mark.parametrize("way", ["altered", "missing", "unreadable"])
def test_nothing_is_destroyed_while_nobody_can_say_which_files_are_the_bundle_s(
    scene: Scene, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sound = rekeyed(scene)
    with monkeypatch.context() as patched:
        if way == "altered":
            scene.store._files[name] = sound[:-2] + b"9\n"
        elif way == "missing":
            scene.store.delete(name)
        else:
            original = MemoryStore.read

            def read(self: Any, wanted: str, *rest: Any) -> bytes:
                if wanted == name:
                    raise OSError(5, "Input/output error", name)
                return original(self, wanted, *rest)

            patched.setattr(MemoryStore, "read", read)
        before = contents(scene.store) if way != "unreadable" else None
        with pytest.raises(StateError, match=f"{name} can't be read.*from a good copy first"):
            scene.do(OWNER, destroy, scene.gone)
        assert scene.open().bundle(scene.gone).destroyed is None
        assert before is None or contents(scene.store) == before
    scene.store._files[name] = sound
    done = scene.do(OWNER, destroy, scene.gone)
    assert (done.deletion.unread, done.deletion.leftovers) == ((), ())
    assert scene.audit(READER).findings == ()


def test_who_says_so_destroys_without_and_what_stayed_goes_when_it_is_found(scene: Scene) -> None:
    name, sound = rekeyed(scene)
    scene.store._files[name] = sound[:-2] + b"9\n"
    done = scene.do(OWNER, destroy, scene.gone, incomplete=True)
    assert done.deletion.unread == (name,)
    assert done.bundle.destroyed is not None
    assert not scene.store.exists(bundle_directory(scene.gone))
    scene.store._files[name] = sound
    assert tend(scene.store).deleted == 3  # the forms of sealing, opening and note
    assert scene.audit(READER).findings == ()


def test_a_manifest_that_is_none_stops_no_destruction(scene: Scene) -> None:
    """A reader could log one to keep everything from being destroyed for good."""
    view = scene.open(READER)
    content = b"no manifest\n"
    about = {
        "stage": "written",
        "epoch": view.state.newest,
        "manifest": (sha256(content).digest(), len(content)),
    }
    files = {rekey_name(sha256(content).digest()): content}
    with scene.open(READER) as vault:
        one = vault.draft("vault.rekeyed", data=about, files=files)
        vault.commit(lambda: [one])
    assert scene.do(OWNER, destroy, scene.gone).deletion.deleted == 5


# --- what an interrupted work left, or seems to have left -----------------------------------------


def test_a_planted_manifest_deletes_no_form_that_a_damaged_one_calls_for(scene: Scene) -> None:
    name, sound = rekeyed(scene)
    scene.store._files[name] = sound[:-2] + b"9\n"
    planted = b"".join(line + b"\n" for line in sound.split(b"\n")[:-2])
    other = rekey_name(sha256(planted).digest())
    scene.store._files[other] = planted
    done = scene.do(OWNER, destroy, scene.gone, incomplete=True)
    assert done.cleared == 0
    scene.store._files[name] = sound
    tend(scene.store)
    assert {(one.code, one.place) for one in scene.audit().findings} == {("leftover", other)}
    scene.read_all()


def test_an_older_log_under_newer_files_deletes_none_of_them(scene: Scene) -> None:
    def log() -> dict[str, bytes]:
        return {n: d for n, d in contents(scene.store).items() if n.startswith("log/")}

    def put(files: dict[str, bytes]) -> None:
        for name in log():
            del scene.store._files[name]
        scene.store._files.update(files)

    oldest = log()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    old = log()
    scene.finish(None)
    new = log()
    (one,) = scene.open().state.rekeyings.values()
    name = rekey_name(one.manifest)
    of_kept = {line.split(" ")[1] for line in scene.store.read(name).decode().splitlines()}
    of_kept = {one for one in of_kept if scene.gone.hex() not in one}
    for before in (oldest, old):
        put(before)
        assert scene.do(OWNER, destroy, scene.gone).cleared == 0
        assert {name, *of_kept} <= contents(scene.store).keys()
    put(new)
    for reader in (READER, SECOND):
        with scene.open(reader).read(scene.kept) as reading:
            reading.check()


def test_what_an_interrupted_rekeying_left_of_a_bundle_goes_with_it(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    trial = scene.copy()
    counted = Faulty(trial.store)
    trial.store = counted  # type: ignore[assignment]
    trial.do(READER, rekey)
    for at in counted.changes[2:-4]:
        trial = scene.copy()
        inner = trial.store
        trial.store = Faulty(inner, at)  # type: ignore[assignment]
        with pytest.raises(Dead):
            trial.do(READER, rekey)
        trial.store = inner
        if trial.audit().findings:
            break
    assert {one.code for one in trial.audit().findings} == {"leftover"}
    left = len(trial.audit().findings)
    whole = trial.copy()
    done = whole.do(OWNER, destroy, scene.gone)
    assert (done.cleared, done.deletion.leftovers) == (left, ())
    assert whole.audit(READER).findings == ()
    # Something else is damaged: nobody can say that these are not the last, and they are named.
    event = trial.open().event(0)
    assert event.sealed is not None
    trial.store.delete(fields_name(event.sealed.sha256))
    done = trial.do(OWNER, destroy, scene.gone)
    assert (done.cleared, len(done.deletion.leftovers) > 0) == (0, True)


# --- what must not be deleted ---------------------------------------------------------------------


def test_nothing_is_deleted_of_a_log_that_breaks_a_rule(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        vault.append("bundle.destroyed", bundle=scene.gone)
    forbidden = draft(scene.store, OWNER, "hold.lifted", {"hold": bytes(16)}, bundle=scene.kept)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vault.custody.Custody.broken", lambda *_: ())
        Log(scene.store).append(OWNER, lambda _: [forbidden])
    with pytest.raises(StateError, match="contradicts"):
        scene.do(OWNER, destroy, scene.kept)
    view = scene.open()
    assert view.breaches
    before = contents(scene.store)
    assert finish_deletions(view).deleted == 0
    tend(scene.store)
    assert contents(scene.store) == before


def test_a_file_of_another_s_event_does_not_go_with_a_bundle(scene: Scene) -> None:
    """An insider lets an event of his own bundle name the new form of what is another's."""

    with scene.open(OWNER) as vault:
        another_epoch(vault)
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    scene.do(READER, prune)
    (manifest,) = scene.open().state.rekeyings.values()
    lines = scene.store.read(rekey_name(manifest.manifest)).decode().splitlines()
    sealed = scene.open().event(scene.open().bundle(scene.kept).seq).sealed
    assert sealed is not None
    (line,) = [one for one in lines if one.startswith(fields_name(sealed.sha256))]
    _, victim, size = line.split(" ")
    digest = bytes.fromhex(victim.rpartition("/")[2])

    def thief(place: Any) -> Any:
        made = draft(scene.store, OWNER, "bundle.noted", {}, bundle=scene.gone)
        made._sealed = SealedFile(digest, int(size), manifest.epoch)  # type: ignore[misc]
        return made(place)

    Log(scene.store).append(OWNER, lambda _: [thief])
    scene.do(OWNER, destroy, scene.gone)
    assert scene.store.exists(victim)
    report = scene.audit()
    assert lines_of(report) == {("manifest", "contradicted")}
    with scene.open(SECOND) as reader:
        assert reader.fields(reader.event(reader.bundle(scene.kept).seq))["title"] == "kept"


# --- what an interrupted rekeying left ------------------------------------------------------------


def test_what_an_interrupted_rekeying_left_of_the_bundle_goes_too(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    counted = Faulty(scene.copy().store)
    trial = Scene(counted, scene.gone, scene.kept)  # type: ignore[arg-type]
    trial.do(READER, rekey)
    left = 0
    for at in counted.changes:
        trial = scene.copy()
        inner = trial.store
        trial.store = Faulty(inner, at)  # type: ignore[assignment]
        with pytest.raises(Dead):
            trial.do(READER, rekey)
        trial.store = inner
        if not trial.open().state.rekeyings:
            left += any(name.endswith(".files") for name in contents(inner))
        trial.do(OWNER, destroy, trial.gone, fields=WHY)
        names = contents(inner)
        secrets = every_key(PEOPLE, names)
        for name, plaintext in opened_by(secrets, names).items():
            assert trial.gone not in plaintext or b"bundle.destroyed" in plaintext, (at, name)
        assert not any(trial.gone.hex() in name for name in names)
        trial.read_all()
    assert left > 5


def test_a_key_file_leads_to_its_bundle_alone(scene: Scene) -> None:
    with scene.open(READER) as vault:
        event = vault.event(vault.bundle(scene.kept).seq)
        other = vault.bundle(scene.gone).key_file
        name = bundle_key_name(scene.gone, other.epoch, other.sha256)
        plaintext = vault.keyring.open_stored(name, other, vault.state, 4096)
        with pytest.raises(VaultError):
            key_in(plaintext, event)


def test_a_vault_on_disk_keeps_nothing_of_it(tmp_path: Path) -> None:
    with new_vault(LocalStore.make(tmp_path / "v"), readers=[card(READER), SECOND]) as vault:
        bundle = seal(vault, b"evidence " * 1000, title="gone").id
        before = {path for path in (tmp_path / "v").rglob("*") if path.is_file()}
        destroy(vault, bundle, fields=WHY)
        after = {path for path in (tmp_path / "v").rglob("*") if path.is_file()}
        gone = {str(path.relative_to(tmp_path / "v")) for path in before - after}
        assert {name.split(os.sep)[0] for name in gone if "log" not in name} == {
            "bundles",
            "fields",
        }
        assert not (tmp_path / "v/bundles" / bundle.hex()).exists()
