"""Encrypting again, confirming, pruning, shredding: what is done, what is refused, and crashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.audit.golden import memoised
from tests.bundles.scene import (
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    card,
    contents,
    new_vault,
    open_vault,
    person,
    seal,
)
from tests.rooms.ending import Faulty, Scene, another_epoch, build, faults, lines_of
from vault import age
from vault.abandoned import abandoned_in, clear_abandoned
from vault.custody import Rekeying
from vault.deletion import finish_deletions
from vault.destruction import destroy
from vault.errors import (
    AmbiguousError,
    ConflictError,
    CustodyError,
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    NotAVaultError,
    NotFoundError,
    ProofError,
)
from vault.event import SealedFile
from vault.expected import expected_files, forms_by_name
from vault.keyring import format_epoch_file, seal_to_epoch
from vault.layout import (
    bundle_key_name,
    epoch_name,
    fields_name,
    history_name,
    part_name,
    rekey_name,
)
from vault.membership import admit, grant_history, remove
from vault.pipeline import Progress
from vault.rekeying import confirm, epoch_of, prune, rekey, shred, standing
from vault.replacement import Replacement, Replacements, format_manifest, parse_manifest
from vault.tending import tend

NOTHING = "nothing"


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with memoised():
        yield


@pytest.fixture
def scene() -> Scene:
    """A vault with a second epoch, whose file opens none before it."""
    scene = build()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    return scene


def private(scene: Scene) -> dict[str, bytes]:
    return {n: d for n, d in contents(scene.store).items() if not n.startswith("log/")}


def flip(scene: Scene, name: str, at: int = -1) -> None:
    data = bytearray(scene.store.read(name))
    data[at] ^= 1
    replace(scene, name, bytes(data))


def replace(scene: Scene, name: str, data: bytes) -> None:
    scene.store._files[name] = data


def title_file(scene: Scene, bundle: bytes) -> str:
    event = scene.open().event(scene.open().bundle(bundle).seq)
    assert event.sealed is not None
    return fields_name(event.sealed.sha256)


def key_file(scene: Scene, bundle: bytes) -> str:
    file = scene.open().bundle(bundle).key_file
    return bundle_key_name(bundle, file.epoch, file.sha256)


def form_of(scene: Scene, name: str) -> str:
    """Return the newest form of a file."""
    view = scene.open()
    expected = expected_files(view.events(), view.state, Replacements(scene.store))
    return forms_by_name(expected)[name][0].name


def rekeyings(scene: Scene) -> list[Rekeying]:
    return [*scene.open().state.rekeyings.values()]


# --- encrypting again -----------------------------------------------------------------------------


def test_every_private_file_is_encrypted_to_the_newest_epoch_and_says_the_same(
    scene: Scene,
) -> None:
    before = private(scene)
    first, newest = scene.epochs()
    assert standing(scene.open()).next == "rekey"
    due = standing(scene.open()).due
    seen: list[Progress] = []
    done = scene.do(READER, rekey, fields={"reason": "a reader left"}, progress=seen.append)
    assert (done.files, len(done.events)) == (due, 1)
    assert done.closed == done.damaged == ()
    assert done.events[0].data["stage"] == "written"
    assert [one.work for one in seen] == ["rekey"] * due
    assert (seen[-1].done, seen[-1].name in before) == (seen[-1].total, True)
    after = private(scene)
    assert before.items() <= after.items()
    assert len(after) == len(before) + due + 2  # the manifest, the fields of the event
    with scene.open(SECOND) as reader:
        assert reader.fields(done.events[0])["reason"] == "a reader left"
        secret = reader.keyring.identity_of(newest, reader.state)
        old = reader.keyring.identity_of(first, reader.state)
    (manifest,) = rekeyings(scene)
    lines = Replacements(scene.store).of(manifest)
    assert len(lines) == due
    for name, line in lines.items():
        one = age.decrypt_bytes(before[name], [old], max_size=2**20)
        assert one == age.decrypt_bytes(after[line.new], [secret], max_size=2**20)
    scene.read_all()
    for identity in (None, READER, SECOND):
        assert scene.audit(identity).findings == ()


def test_with_nothing_to_do_nothing_is_written(scene: Scene) -> None:
    scene.do(READER, rekey)
    before = contents(scene.store)
    for who in (READER, SECOND):
        again = scene.do(who, rekey)
        assert (again.events, again.files, again.damaged) == ((), 0, ())
    assert contents(scene.store) == before
    new = build()
    assert standing(new.open()).next == NOTHING
    assert new.do(READER, rekey).events == ()
    assert new.do(READER, confirm).events == new.do(READER, prune).events == ()


def test_only_a_reader_encrypts_again(scene: Scene) -> None:
    before = contents(scene.store)
    for verb in (rekey, confirm, prune):
        for who, rule in ((OWNER, "role"), (OUTSIDER, "not-a-member")):
            with pytest.raises(CustodyError) as raised:
                scene.do(who, verb)
            assert raised.value.rule == rule
    assert contents(scene.store) == before


def test_batches_are_events_of_their_own(scene: Scene) -> None:
    due = standing(scene.open()).due
    done = scene.do(READER, rekey, batch=3)
    assert len(done.events) == -(-due // 3)
    assert done.files == due
    assert standing(scene.open()).next == "confirm"
    assert scene.audit(SECOND).findings == ()
    assert len(scene.do(SECOND, confirm).events) == len(done.events)
    assert len(scene.do(SECOND, prune).events) == len(done.events)
    scene.read_all()


def test_a_batch_is_as_long_as_memory_allows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.rekeying.writing._BATCH_SIZE", 1)
    due = standing(scene.open()).due
    assert len(scene.do(READER, rekey).events) == due


def test_it_goes_on_where_it_was_cancelled(scene: Scene) -> None:
    due = standing(scene.open()).due

    def cancel(progress: Progress) -> None:
        if progress.done > progress.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.do(READER, rekey, batch=2, progress=cancel)
    stand = standing(scene.open())
    assert 0 < stand.due < due
    assert scene.audit(SECOND).findings == ()
    assert scene.do(READER, rekey).files == stand.due
    assert standing(scene.open()).due == 0
    scene.do(SECOND, confirm)
    scene.read_all()


def test_what_is_logged_afterwards_needs_nothing(scene: Scene) -> None:
    scene.do(READER, rekey)
    with scene.open(OWNER) as vault:
        seal(vault, b"new", title="new")
    assert standing(scene.open()).next == "confirm"
    assert scene.do(READER, rekey).events == ()
    scene.do(SECOND, confirm)
    scene.do(READER, prune)
    scene.read_all()


# --- what is not encrypted again ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fields", "key"])
@pytest.mark.parametrize("damage", ["altered", "missing", "other content", "unreadable"])
def test_a_damaged_file_is_named_and_left(
    scene: Scene, kind: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = title_file(scene, scene.kept) if kind == "fields" else key_file(scene, scene.kept)
    due = standing(scene.open()).due
    if damage == "altered":
        flip(scene, name)
    elif damage == "missing":
        scene.store.delete(name)
    elif damage == "unreadable":
        original = type(scene.store).read

        def read(self: Any, wanted: str, *rest: Any) -> bytes:
            if wanted == name:
                raise OSError(5, "Input/output error", name)
            return original(self, wanted, *rest)

        monkeypatch.setattr(type(scene.store), "read", read)
    else:
        # Sound to whoever only compares digests: the content is another file's.
        other = title_file(scene, scene.gone) if kind == "fields" else key_file(scene, scene.gone)
        replace(scene, name, scene.store.read(other))
        monkeypatch.setattr("vault.keyring.read_whole", lambda store, name, *_: store.read(name))
    done = scene.do(READER, rekey)
    assert done.files == due - 1
    ((bad, error),) = [(one.name, one.error) for one in done.damaged]
    assert bad == name
    expected = {"other content": (FormatError, ProofError), "unreadable": (OSError,)}
    assert isinstance(error, expected.get(damage, (DigestMismatchError,)))
    assert standing(scene.open()).due == 1
    assert not any(name in line for line in _lines(scene))


def test_a_file_for_a_stranger_is_damaged_and_not_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt = age.encrypt_bytes
    with monkeypatch.context() as patch, scene.open(OWNER) as vault:
        patch.setattr(
            "vault.draft.age.encrypt_bytes",
            lambda data, _: encrypt(data, [OUTSIDER.keys.recipient]),
        )
        event = vault.append("bundle.noted", bundle=scene.kept, fields={"text": "for nobody here"})
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    assert event.sealed is not None
    done = scene.do(READER, rekey)
    assert ([one.name for one in done.damaged], done.closed) == (
        [fields_name(event.sealed.sha256)],
        (),
    )
    assert isinstance(done.damaged[0].error, NoIdentityMatchError)


def _lines(scene: Scene) -> list[str]:
    return [
        line
        for one in rekeyings(scene)
        for line in scene.store.read(rekey_name(one.manifest)).decode().splitlines()
    ]


def test_what_is_closed_to_a_reader_of_the_newest_epoch_is_left_until_it_is_granted() -> None:
    scene = build()
    third = person(23)
    with scene.open(OWNER) as vault:
        admit(vault, card(third), ["reader"], history=False)
    stand = standing(scene.open())
    assert (stand.due, stand.next) == (0, "grant")
    assert stand.closed > 5
    done = scene.do(READER, rekey)
    assert (done.events, len(done.closed)) == ((), stand.closed)
    # Nor can the newcomer do it, or have it done by mistake.
    assert len(scene.do(third, rekey).closed) == stand.closed
    first, _ = scene.epochs()
    held = scene.do(OWNER, shred, first)
    assert (held.next, held.files, held.opened) == ("grant", stand.closed, None)
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[third.ed25519])
    assert scene.do(READER, rekey).files == stand.closed
    scene.do(third, confirm)
    scene.do(READER, prune)
    assert scene.do(OWNER, shred, first).next == "done"
    scene.read_all(READER, SECOND, third)
    assert scene.audit(third).findings == ()


def test_what_went_with_its_bundle_is_not_encrypted_again_and_what_states_it_is() -> None:
    scene = build()
    done = scene.do(OWNER, destroy, scene.gone, fields={"reason": "kept for ever"})
    scene.renew()
    assert not any(scene.gone.hex() in line for line in _lines(scene))
    with scene.open(SECOND) as reader:
        assert reader.fields(done.event)["reason"] == "kept for ever"


def test_a_second_rekeying_replaces_the_first_before_it_was_confirmed(scene: Scene) -> None:
    scene.do(READER, rekey)
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    again = scene.do(SECOND, rekey)
    assert again.events
    scene.read_all()
    # READER confirms what SECOND wrote, and waits for SECOND with her own.
    half = scene.do(READER, confirm)
    assert [one.by for one in half.rekeyings] == [SECOND.ed25519]
    assert [one.by for one in half.own] == [READER.ed25519]
    assert half.bad == ()
    assert scene.do(READER, prune).deletion.deleted > 5
    assert scene.audit(SECOND).findings == ()
    rest = scene.do(SECOND, confirm)
    assert [one.by for one in rest.rekeyings] == [READER.ed25519]
    scene.do(SECOND, prune)
    assert scene.do(OWNER, shred, scene.epochs()[0]).next == "done"
    assert scene.do(OWNER, shred, scene.epochs()[1]).next == "done"
    scene.read_all()
    assert scene.audit(READER).findings == ()


# --- confirming -----------------------------------------------------------------------------------


def test_another_reader_confirms(scene: Scene) -> None:
    scene.do(READER, rekey)
    before = contents(scene.store)
    own = scene.do(READER, confirm)
    assert (own.events, own.rekeyings, own.bad, len(own.own)) == ((), (), (), 1)
    assert contents(scene.store) == before
    seen: list[Progress] = []
    done = scene.do(SECOND, confirm, fields={"reason": "checked"}, progress=seen.append)
    assert done.files == len(seen) == len(_lines(scene))
    assert (seen[-1].work, seen[-1].done) == ("confirm", seen[-1].total)
    assert [event.data["stage"] for event in done.events] == ["confirmed"]
    assert [one.seq for one in done.rekeyings] == [rekeyings(scene)[0].seq]
    assert scene.do(SECOND, confirm).events == ()


def test_the_only_reader_confirms_what_he_wrote() -> None:
    vault = new_vault(readers=[READER])
    seal(vault, b"x", title="x")
    another_epoch(vault)
    scene = Scene(vault.store, b"", b"")  # type: ignore[arg-type]
    scene.do(READER, rekey)
    assert scene.do(READER, confirm).events
    assert scene.do(READER, prune).deletion.deleted
    scene.read_all(READER)


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_nothing_is_confirmed_if_a_new_file_is_bad_and_a_later_rekeying_mends_it(
    scene: Scene, damage: str
) -> None:
    scene.do(READER, rekey)
    first = title_file(scene, scene.kept)
    name = form_of(scene, first)
    flip(scene, name) if damage == "altered" else scene.store.delete(name)
    before = contents(scene.store)
    done = scene.do(SECOND, confirm)
    assert done.events == ()
    assert [one.name for one in done.bad] == [name]
    assert contents(scene.store) == before
    assert scene.do(READER, prune).events == ()
    # The old file is still there: it is encrypted again, and the bad one does not count any more.
    again = scene.do(READER, rekey)
    assert again.files == 1
    done = scene.do(SECOND, confirm)
    assert (len(done.events), done.bad) == (2, ())
    assert len(scene.do(READER, prune).events) == 2
    assert not scene.store.exists(name)
    scene.read_all()
    assert scene.audit(READER).findings == ()


def test_a_bad_file_is_not_made_good_by_what_is_not_confirmed(scene: Scene) -> None:
    scene.do(READER, rekey)
    name = form_of(scene, title_file(scene, scene.kept))
    scene.store.delete(name)
    assert scene.do(SECOND, rekey).files == 1
    # SECOND looks at what READER wrote; her own, which mends it, nobody has looked at.
    assert [one.name for one in scene.do(SECOND, confirm).bad] == [name]
    assert scene.do(READER, confirm).events
    assert scene.do(SECOND, confirm).events
    scene.do(SECOND, prune)
    scene.read_all()


def put_line(
    scene: Scene, name: str, plaintext: bytes, *, to: Callable[[Any], Any] | None = None
) -> str:
    """Let READER log a manifest that one file was encrypted again, which says what he likes."""
    with scene.open(READER) as vault:
        state = vault.state
        assert state.newest is not None
        data, file = seal_to_epoch(plaintext, state.epochs[state.newest])
        if to is not None:
            data, file = to(state)
        new = fields_name(file.sha256)
        if name.startswith("bundles/"):
            new = f"{name.partition('/key.')[0]}/key.{file.epoch.hex()}.{file.sha256.hex()}"
        put_manifest(vault, [Replacement(name, new, file)], {new: data})
    return new


def put_manifest(vault: Any, lines: list[Replacement], files: dict[str, bytes]) -> Any:
    manifest = format_manifest(lines)
    sha256 = hashlib.sha256(manifest).digest()
    data = {
        "stage": "written",
        "epoch": lines[0].file.epoch,
        "manifest": (sha256, len(manifest)),
    }
    draft = vault.draft("vault.rekeyed", data=data, files={rekey_name(sha256): manifest, **files})
    (event,) = vault.commit(lambda: [draft])
    return event


def test_one_reader_alone_puts_nothing_else_in_the_place_of_a_file(scene: Scene) -> None:
    fields, key = title_file(scene, scene.kept), key_file(scene, scene.kept)
    new = [put_line(scene, fields, b"a lie"), put_line(scene, key, b"a lie")]
    scene.read_all()
    done = scene.do(SECOND, confirm)
    assert (done.events, {one.name for one in done.bad}) == ((), set(new))
    assert scene.audit().findings == ()
    assert lines_of(scene.audit(SECOND)) == {("private-contents", "contradicted")}
    # An honest rekeying makes it good: the lies go with all that is old.
    assert scene.do(READER, rekey).files == standing(scene.open()).files - 4
    assert len(scene.do(SECOND, confirm).events) == 3
    scene.do(READER, prune)
    assert not any(scene.store.exists(name) for name in new)
    assert scene.audit(SECOND).findings == ()
    scene.read_all()


def test_a_new_file_for_one_recipient_more_is_not_confirmed(scene: Scene) -> None:
    name = title_file(scene, scene.kept)
    with scene.open(READER) as vault:
        sealed = vault.event(vault.bundle(scene.kept).seq).sealed
        assert sealed is not None
        plaintext = vault.keyring.open_stored(name, sealed, vault.state, 2**20)

    def to_two(state: Any) -> Any:
        newest = state.epochs[state.newest]
        spy = OUTSIDER.keys.recipient
        data = age.encrypt_bytes(plaintext, [age.HybridRecipient.from_bytes(newest.recipient), spy])
        return data, SealedFile(hashlib.sha256(data).digest(), len(data), newest.id)

    new = put_line(scene, name, plaintext, to=to_two)
    ((bad, why),) = [(one.name, str(one.error)) for one in scene.do(SECOND, confirm).bad]
    assert (bad, "for 2 recipients" in why) == (new, True)


def test_a_manifest_that_contradicts_the_log_is_neither_confirmed_nor_pruned(scene: Scene) -> None:
    new = put_line(scene, fields_name(b"\x01" * 32), b"of no event")
    (manifest,) = rekeyings(scene)
    name = rekey_name(manifest.manifest)
    for verb in (confirm, prune):
        done = scene.do(SECOND, verb)
        assert done.events == ()
        if verb is prune:
            with scene.open(SECOND) as vault:  # two of a kind
                vault.append(
                    "vault.rekeyed",
                    data={
                        "stage": "confirmed",
                        "epoch": manifest.epoch,
                        "manifest": (manifest.manifest, manifest.size),
                    },
                )
            done = scene.do(SECOND, verb)
        assert [(one.name, isinstance(one.error, ProofError)) for one in done.bad] == [(name, True)]
    assert lines_of(scene.audit()) == {("leftover", "note"), ("manifest", "contradicted")}
    assert scene.store.exists(new)


def test_a_manifest_that_is_damaged_stops_what_needs_it(scene: Scene) -> None:
    scene.do(READER, rekey)
    (manifest,) = rekeyings(scene)
    name = rekey_name(manifest.manifest)
    sound = scene.store.read(name)
    flip(scene, name)
    scene.read_all()
    stand = standing(scene.open())
    assert (stand.next, [one.seq for one in stand.unread]) == ("restore", [manifest.seq])
    assert [one.name for one in scene.do(SECOND, confirm).bad] == [name]
    assert scene.do(OWNER, shred, scene.epochs()[0]).next == "restore"
    replace(scene, name, sound)
    scene.do(SECOND, confirm)
    flip(scene, name)
    assert [one.name for one in scene.do(READER, prune).bad] == [name]
    replace(scene, name, sound)
    scene.do(READER, prune)
    flip(scene, name)
    before = contents(scene.store)
    found = tend(scene.store)
    assert (found.deleted, found.leftovers) == (0, ())
    assert {n for n in before if n.startswith("fields/")} <= contents(scene.store).keys()
    replace(scene, name, sound)
    scene.read_all()


# --- pruning --------------------------------------------------------------------------------------


def test_old_files_go_once_their_new_ones_are_confirmed(scene: Scene) -> None:
    scene.do(READER, rekey)
    old = {line.split(" ")[0] for line in _lines(scene)}
    early = scene.do(READER, prune)
    assert (early.events, early.deletion.deleted, len(early.unconfirmed)) == ((), 0, 1)
    assert old <= contents(scene.store).keys()
    scene.do(SECOND, confirm)
    assert standing(scene.open()).next == "prune"
    seen: list[Progress] = []
    done = scene.do(READER, prune, progress=seen.append)
    assert (done.deletion.deleted, done.deletion.undone, done.bad) == (len(old), (), ())
    assert {one.work for one in seen} == {"prune"}
    assert old.isdisjoint(contents(scene.store))
    assert standing(scene.open()).next == NOTHING
    scene.read_all()
    for identity in (None, READER):
        assert scene.audit(identity).findings == ()


@pytest.mark.parametrize("damage", ["altered", "missing", "unreadable"])
def test_nothing_goes_whose_new_file_was_damaged_since(
    scene: Scene, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    first = title_file(scene, scene.kept)
    name = form_of(scene, first)
    if damage == "unreadable":
        original = type(scene.store).read

        def read(self: Any, wanted: str, *rest: Any) -> bytes:
            if wanted == name:
                raise OSError(5, "Input/output error", name)
            return original(self, wanted, *rest)

        monkeypatch.setattr(type(scene.store), "read", read)
    else:
        flip(scene, name) if damage == "altered" else scene.store.delete(name)
    before = contents(scene.store) if damage != "unreadable" else None
    done = scene.do(READER, prune)
    assert (done.events, [one.name for one in done.bad]) == ((), [name])
    if damage == "unreadable":
        return
    assert contents(scene.store) == before
    scene.read_all()
    assert scene.do(READER, rekey).files == 1
    scene.do(SECOND, confirm)
    assert len(scene.do(READER, prune).events) == 2
    scene.read_all()
    assert scene.audit(READER).findings == ()


def test_a_deletion_looks_at_the_new_file_once_more(scene: Scene) -> None:
    """Between the event and the deletion, or before ``tend`` finishes it, a medium may fail."""
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    first = title_file(scene, scene.kept)
    name = form_of(scene, first)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vault.rekeying.pruning.finish_deletions", lambda _: None)
        scene.do(READER, prune)
    sound = scene.store.read(name)
    flip(scene, name)
    deletion = finish_deletions(scene.open(READER))
    assert (deletion.withheld, deletion.waiting) == ((first,), ())
    assert finish_deletions(scene.open()).withheld == (first,)
    assert scene.store.exists(first)
    replace(scene, name, sound)
    assert standing(scene.open()).next == "prune"
    # Who can't open the new file leaves the old one, and nothing is wrong with that.
    for identity in (None, OWNER):
        deletion = finish_deletions(scene.open(identity))
        assert (deletion.deleted, deletion.withheld, deletion.waiting) == (0, (), (first,))
    found = tend(scene.store)
    assert (found.deleted, found.undeleted) == (0, (first,))
    assert scene.do(READER, prune).deletion.deleted == 1
    assert scene.audit(READER).findings == ()
    scene.read_all()


def false_forms(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """READER writes new forms of all key files that say something else, and SECOND, who is in it
    with him, confirms them unseen.
    """
    true = seal_to_epoch

    def lie(plaintext: bytes, epoch: Any) -> Any:
        if plaintext.startswith(b"AGE-SECRET-KEY-PQ-1"):
            plaintext = plaintext[:25] + plaintext[30:20:-1] + plaintext[35:]
        return true(plaintext, epoch)

    with monkeypatch.context() as patched:
        patched.setattr("vault.rekeying.writing.seal_to_epoch", lie)
        patched.setattr("vault.rekeying.writing._read_back", lambda *_: None)
        scene.do(READER, rekey)
        patched.setattr("vault.rekeying.confirming._Look.at", lambda *_: [])
        assert scene.do(SECOND, confirm).events


def with_a_third_reader() -> tuple[Scene, Any]:
    scene = build()
    third = person(23)
    with scene.open(OWNER) as vault:
        admit(vault, card(third), ["reader"])
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[third.ed25519])
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    return scene, third


def test_two_who_deceive_have_no_old_file_deleted_by_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, third = with_a_third_reader()
    keys = {key_file(scene, one) for one in (scene.gone, scene.kept)}
    false_forms(scene, monkeypatch)
    before = contents(scene.store)
    done = scene.do(third, prune)
    assert (done.events, done.deletion.deleted, len(done.bad)) == ((), 0, 2)
    assert contents(scene.store) == before
    # They say themselves that the old ones go, and let the epochs go that open these.
    with monkeypatch.context() as patched:
        patched.setattr("vault.rekeying.pruning._Look.at", lambda *_: [])
        patched.setattr(
            "vault.rekeying.pruning.finish_deletions", lambda _: finish_deletions(scene.open())
        )
        assert scene.do(SECOND, prune).events
    first, second, newest = scene.epochs()
    with scene.open(OWNER) as vault:
        vault.append("epoch.shredded", data={"epochs": tuple(sorted((first, second)))})
    tend(scene.store)
    for who in (OWNER, third, None):
        found = finish_deletions(scene.open(who))
        assert keys <= {*found.waiting, *found.withheld}
        assert {epoch_name(first), epoch_name(second)} <= set(found.withheld)
    assert {*keys, epoch_name(first), epoch_name(second)} <= contents(scene.store).keys()
    assert scene.audit(third).verdict == "contradicted"
    del newest


def test_who_can_t_open_the_new_files_does_not_let_the_old_ones_go(scene: Scene) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    late = person(23)
    with scene.open(OWNER) as vault:
        admit(vault, card(late), ["reader"], history=False)
    before = contents(scene.store)
    done = scene.do(late, prune)
    assert (done.events, done.bad, done.deletion.deleted) == ((), (), 0)
    assert {form_of(scene, name) for name in (title_file(scene, scene.kept),)} <= {*done.closed}
    assert contents(scene.store) == before
    assert scene.do(READER, prune).deletion.deleted
    scene.read_all()


def test_a_log_that_can_t_be_read_after_the_event_makes_it_no_failure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("vault.rekeying.pruning.finish_deletions", failing)
        done = scene.do(READER, prune)
        assert len(done.deletion.undone) == len(done.events) == 1
        with pytest.raises(OSError, match="Input"):
            scene.do(READER, prune)  # nothing was written this time
    scene.do(READER, prune)
    first = scene.epochs()[0]
    with monkeypatch.context() as patched:
        patched.setattr("vault.rekeying.shredding.finish_deletions", failing)
        shredded = scene.do(OWNER, shred, first)
    assert shredded.deletion.undone == (epoch_name(first),)
    assert scene.do(OWNER, shred, first).deletion.deleted == 1


# --- shredding ------------------------------------------------------------------------------------


def test_an_epoch_goes_step_by_step() -> None:
    scene = build()
    (first,) = scene.epochs()
    begun = scene.do(OWNER, shred, first, fields={"reason": "seized"})
    assert begun.opened is not None
    assert (begun.opened.type, begun.opened.data["history"]) == ("epoch.opened", False)
    assert (begun.next, begun.epochs, begun.event) == ("rekey", (first,), None)
    assert begun.files == standing(scene.open()).due
    again = scene.do(OWNER, shred, first)
    assert (again.opened, again.next, again.files) == (None, "rekey", begun.files)
    scene.do(READER, rekey)
    assert scene.do(OWNER, shred, first).next == "confirm"
    scene.do(SECOND, confirm)
    assert scene.do(OWNER, shred, first).next == "prune"
    scene.do(READER, prune)
    size = scene.open().size
    done = scene.do(OWNER, shred, first, fields={"reason": "over"})
    assert (done.next, done.epochs) == ("done", (first,))
    assert done.event is not None
    assert done.event.data == {"epochs": (first,)}
    assert done.deletion.deleted == 1
    assert not scene.store.exists(epoch_name(first))
    assert scene.open().size == size + 1
    scene.read_all()
    for identity in (None, READER, SECOND):
        assert scene.audit(identity).findings == ()
    after = scene.do(OWNER, shred, first)
    assert (after.next, after.event, after.deletion.deleted) == ("done", None, 0)
    stand = standing(scene.open())
    assert [(one.shredded, one.held) for one in stand.epochs] == [(True, False), (False, True)]
    assert (stand.next, stand.epochs[1].held) == (NOTHING, True)


def test_epochs_whose_files_hold_it_go_with_it_and_those_before_stay() -> None:
    scene = build()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    third, fourth = person(23), person(24)
    scene.do(READER, rekey)
    with scene.open(OWNER) as vault:  # the owner reads nothing: the next epochs hold none before
        admit(vault, card(third), ["reader"])
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[third.ed25519])
    with scene.open(OWNER) as vault:
        admit(vault, card(OWNER), ["owner", "custodian", "reader"])
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[OWNER.ed25519])
    with scene.open(OWNER) as vault:
        admit(vault, card(fourth), ["reader"])
    e1, e2, e3, e4, e5 = scene.epochs()
    assert [*scene.open().state.held_by(e5)] == [e5, e4]
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[fourth.ed25519])
    begun = scene.do(OWNER, shred, e4)
    assert begun.epochs == (e4, e5)
    assert begun.opened is not None
    for step in (rekey, confirm, prune):
        scene.do(SECOND if step is confirm else READER, step)
    scene.do(READER, confirm)
    scene.do(READER, prune)
    grants = [name for name in contents(scene.store) if name.endswith(".history")]
    done = scene.do(OWNER, shred, e4)
    assert (done.next, done.epochs) == ("done", (e4, e5))
    assert done.deletion.deleted == 2
    assert [name for name in contents(scene.store) if name in grants] == grants
    everybody = (READER, SECOND, third, OWNER, fourth)
    scene.read_all(*everybody)
    for identity in everybody:
        assert scene.audit(identity).findings == ()
    assert scene.do(OWNER, shred, e1).next == "done"
    assert scene.do(OWNER, shred, e3).next == "done"
    scene.read_all(*everybody)
    assert not any(name.endswith(".history") for name in contents(scene.store))
    del e2


def test_files_of_an_older_epoch_that_a_reader_only_had_by_the_one_that_goes_keep_it() -> None:
    scene = build()
    with scene.open(OWNER) as vault:
        admit(vault, card(OWNER), ["owner", "custodian", "reader"])
    with scene.open(READER) as vault:
        grant_history(vault, vault.state.members[OWNER.ed25519])
    third = person(23)
    with scene.open(OWNER) as vault:
        admit(vault, card(third), ["reader"])
        seal(vault, b"late", title="late")
    first, second, last = scene.epochs()
    assert [*scene.open().state.held_by(last)] == [last, second]
    # `last` is to go: then `second` is closed to the third reader, and so goes as well.
    begun = scene.do(OWNER, shred, last)
    assert (begun.epochs, begun.next) == ((second, last), "rekey")
    in_second = next(one.files for one in standing(scene.open()).epochs if one.id == second)
    assert in_second
    assert begun.files > next(one.files for one in standing(scene.open()).epochs if one.id == last)
    del first


def test_shredding_is_an_owner_s_and_of_an_epoch_that_is_there(scene: Scene) -> None:
    with pytest.raises(CustodyError) as raised:
        scene.do(READER, shred, scene.epochs()[0])
    assert raised.value.rule == "role"
    with pytest.raises(NotFoundError):
        scene.do(OWNER, shred, bytes(8))
    view = scene.open()
    first = scene.epochs()[0]
    assert epoch_of(view, first.hex()[:7]).id == first
    for prefix in ("", "zz"):
        with pytest.raises(NotFoundError):
            epoch_of(view, prefix)
    with pytest.MonkeyPatch.context() as patched:
        twin = first[:7] + bytes([first[7] ^ 1])
        patched.setitem(view.state.epochs, twin, view.state.epochs[first])
        with pytest.raises(AmbiguousError):
            epoch_of(view, first.hex()[:7])


def test_what_is_sealed_meanwhile_to_an_epoch_that_is_to_go_stops_it(scene: Scene) -> None:
    scene.finish(None)
    first, newest = scene.epochs()
    scene.do(OWNER, shred, first)
    scene.do(OWNER, shred, newest)  # opens a third
    scene.finish(None)
    with scene.open(OWNER) as vault:
        original = vault.commit

        def later(build: Any) -> Any:
            with scene.open(OWNER) as other:
                other.append("vault.noted", fields={"text": "meanwhile"})
                another_epoch(other)
            scene.do(READER, rekey)
            return original(build)

        vault.commit = later  # type: ignore[method-assign]
        found = shred(vault, newest)
    assert (found.next, found.event) == ("confirm", None)
    assert scene.store.exists(epoch_name(newest))


def test_an_epoch_whose_key_is_still_needed_is_not_deleted_though_an_event_says_so(
    scene: Scene,
) -> None:
    """An owner alone could otherwise have everybody's software destroy what is not his."""
    first, newest = scene.epochs()
    key = title_file(scene, scene.kept)
    put_line(scene, key, b"anything")
    (manifest,) = rekeyings(scene)
    about = {"epoch": newest, "manifest": (manifest.manifest, manifest.size)}
    with scene.open(SECOND) as vault:
        vault.append("vault.rekeyed", data={"stage": "confirmed", **about})
        vault.append("vault.rekeyed", data={"stage": "pruned", **about})
    with scene.open(OWNER) as vault:
        vault.append("epoch.shredded", data={"epochs": (first,)})
    with scene.open(OWNER) as vault:
        vault.append("vault.noted", fields={"text": "the next writer"})
    # The old form stays: what was confirmed in its place opens nothing.
    assert tend(scene.store).deleted == 0
    assert scene.store.exists(key)
    assert scene.store.exists(epoch_name(first))
    found = lines_of(scene.audit())
    assert ("shredded", "contradicted") in found
    assert ("pending-deletion", "note") in found
    assert finish_deletions(scene.open()).withheld == (epoch_name(first),)


@pytest.mark.parametrize("way", ["damaged", "false"])
def test_what_opens_a_shredded_epoch_stays_while_what_opens_another_is_in_doubt(
    scene: Scene, way: str
) -> None:
    """A grant may be damaged, or hold nothing of what its event says: only its reader can tell."""
    old = standing(scene.open()).due
    seal(scene.open(OWNER), b"late", title="late")
    with scene.open(OWNER) as vault:
        admit(vault, card(OUTSIDER), ["reader"], history=False)
    first, second, _ = scene.epochs()
    with scene.open(READER) as vault:
        both = grant_history(vault, vault.state.members[OUTSIDER.ed25519]).event.data["file"]
        secret = vault.keyring.identity_of(second, vault.state)
    plaintext = b"nothing" if way == "false" else format_epoch_file([(second, secret)])
    data = age.encrypt_bytes(plaintext, [OUTSIDER.keys.recipient])
    digest = hashlib.sha256(data).digest()
    again = {"reader": OUTSIDER.ed25519, "epochs": (second,), "file": (digest, len(data))}
    with scene.open(READER) as vault:
        draft = vault.draft("history.granted", data=again, files={history_name(digest): data})
        vault.commit(lambda: [draft])
        with pytest.raises(Stopped):
            rekey(vault, batch=old, progress=stop_after(old))
    scene.do(SECOND, confirm)
    scene.do(READER, prune)
    with scene.open(OWNER) as vault:
        vault.append("epoch.shredded", data={"epochs": (first,)})
    going = {epoch_name(first), history_name(both[0])}
    if way == "damaged":
        flip(scene, history_name(digest))
    for who in (OUTSIDER,) if way == "false" else (OUTSIDER, OWNER, None):
        found = finish_deletions(scene.open(who))
        assert (found.deleted, set(found.withheld)) == (0, going)
    scene.read_all(READER, SECOND)
    if way == "damaged":
        replace(scene, history_name(digest), data)
        assert finish_deletions(scene.open(OUTSIDER)).deleted == 2
        scene.read_all(READER, SECOND)
        assert scene.audit(OUTSIDER).findings == ()


class Stopped(Exception):
    pass


def stop_after(files: int) -> Callable[[Progress], None]:
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) > files:
            raise Stopped

    return stop


def test_a_reader_who_left_is_shut_out_of_leftovers_by_shredding() -> None:
    scene = build()
    before = contents(scene.store)
    with scene.open(OWNER) as vault:
        remove(vault, vault.state.members[SECOND.ed25519], cause="left")
    first, second = scene.epochs()
    assert [*scene.open().state.held_by(second)] == [second]
    scene.do(READER, rekey)
    scene.do(READER, confirm)
    scene.do(READER, prune)
    assert scene.do(OWNER, shred, first).next == "done"
    scene.read_all(READER)
    from tests.rooms.ending import every_key, opened_by

    keys = every_key([SECOND], contents(scene.store))
    old = {n: d for n, d in before.items() if n.startswith(("fields/", "bundles/"))}
    assert opened_by(keys, {**contents(scene.store), **old}) == {}


# --- crashes --------------------------------------------------------------------------------------


def settled(scene: Scene, where: str) -> None:
    """What a stop left is sound, and all that is live is there, in each of its forms."""
    report = scene.audit(SECOND)
    assert (report.verdict, report.coverage.unreadable) == ("intact", 0), (where, report.findings)


def strangers(scene: Scene) -> set[str]:
    return {one.place for one in scene.audit().findings if one.code == "leftover"}


def only_own_fields(scene: Scene, names: set[str]) -> None:
    """What is left over are private fields of events of the rekeying itself, if anything."""
    from tests.rooms.ending import every_key, opened_by

    files = contents(scene.store)
    opened = opened_by(every_key([READER], files), {name: files[name] for name in names})
    assert opened.keys() == names
    assert all(b"vault.rekeyed" in one or b"epoch." in one for one in opened.values())


def test_wherever_rekeying_stops_it_goes_on_and_clears_what_it_left(scene: Scene) -> None:
    stops = 0
    for trial, where in faults(scene, lambda one: one.do(READER, rekey, batch=6), every=47):
        settled(trial, where)
        trial.do(READER, rekey)
        trial.read_all(READER)
        only_own_fields(trial, strangers(trial))
        stand = standing(trial.open())
        assert (stand.due, stand.next) == (0, "confirm"), where
        stops += 1
    assert stops > 40


@pytest.mark.parametrize("step", ["confirm", "prune", "open", "shred"])
def test_wherever_a_later_step_stops_it_goes_on(scene: Scene, step: str) -> None:
    first = scene.epochs()[0]
    act: Any
    if step == "open":
        scene = build()
        first = scene.epochs()[0]
        act = lambda one: one.do(OWNER, shred, first)  # noqa: E731
    else:
        scene.do(READER, rekey, batch=6)
        act = lambda one: one.do(SECOND, confirm)  # noqa: E731
        if step != "confirm":
            scene.do(SECOND, confirm)
            act = lambda one: one.do(READER, prune)  # noqa: E731
        if step == "shred":
            scene.do(READER, prune)
            act = lambda one: one.do(OWNER, shred, first)  # noqa: E731
    stops = 0
    for trial, where in faults(scene, act, every=29):
        settled(trial, where)
        done = act(trial)
        assert not getattr(done, "bad", ()), where
        if step == "open" and len(trial.epochs()) > 2:
            raise AssertionError(where)
        left = {code for code, _ in lines_of(trial.audit(SECOND))}
        assert left <= {"leftover"}, where
        stops += 1
    assert stops > 6


def test_after_a_shredding_that_died_the_next_writer_deletes_the_keys(scene: Scene) -> None:
    scene.finish(None)
    first = scene.epochs()[0]
    finished = 0
    for trial, where in faults(scene, lambda one: one.do(OWNER, shred, first)):
        if first not in trial.open().state.shredded:
            continue
        with trial.open(READER) as reader:
            reader.append("vault.noted", fields={"text": "the next writer"})
        assert not trial.store.exists(epoch_name(first)), where
        finished += 1
    assert finished > 5


# --- two at once ----------------------------------------------------------------------------------


def meanwhile(scene: Scene, name: str, act: Callable[[], object], times: int = 1) -> Any:
    """Return a store that does something else before the next calls of ``name``."""
    left = [times]

    class Busy(Faulty):
        def __getattr__(self, wanted: str) -> Any:
            found = super().__getattr__(wanted)
            if wanted != name:
                return found

            def call(*arguments: Any, **options: Any) -> Any:
                if left[0]:
                    left[0] -= 1
                    act()
                return found(*arguments, **options)

            return call

    return Busy(scene.store)


def with_store(scene: Scene, store: Any, act: Callable[[Scene], Any]) -> Any:
    return act(Scene(store, scene.gone, scene.kept))


def test_two_who_encrypt_again_at_once_leave_a_sound_vault(scene: Scene) -> None:
    """Each takes the other's files for what a crash left, and neither relies on what is deleted."""
    busy = meanwhile(scene, "commit", lambda: scene.do(SECOND, rekey))
    done = with_store(scene, busy, lambda one: one.do(READER, rekey))
    assert done.events == ()  # SECOND was faster
    assert {one.by for one in rekeyings(scene)} == {SECOND.ed25519}
    assert scene.audit(READER).findings == ()
    scene.read_all()


def test_a_batch_is_made_again_when_a_bundle_was_destroyed_meanwhile(scene: Scene) -> None:
    busy = meanwhile(scene, "commit", lambda: scene.do(OWNER, destroy, scene.gone))
    done = with_store(scene, busy, lambda one: one.do(READER, rekey))
    assert len(done.events) == 1
    assert not any(scene.gone.hex() in line for line in _lines(scene))
    assert scene.audit(SECOND).findings == ()
    assert not any(scene.gone.hex() in name for name in contents(scene.store))


def test_what_is_given_up_is_cleared_only_after_the_log_moved(scene: Scene) -> None:
    """The interleaving that would hurt: one has looked, the other commits, the first clears."""
    with scene.open(SECOND) as looking:
        found: list[Any] = []

        def look() -> None:
            found.extend(abandoned_in(looking))

        busy = meanwhile(scene, "commit", look)
        with_store(scene, busy, lambda one: one.do(READER, rekey))
        assert len(found) == 1
        looking.append("vault.noted", fields={"text": "the log moves, and shows it as logged"})
        assert clear_abandoned(looking, found) == 0
    assert scene.audit(READER).findings == ()
    scene.read_all()


def test_writers_that_are_always_faster_are_a_conflict_and_leave_nothing(scene: Scene) -> None:
    def other() -> None:
        with open_vault(scene.store, OWNER) as vault:
            vault.append("vault.noted", fields={"text": "faster"})

    busy = meanwhile(scene, "commit", other, times=1000)
    with pytest.raises(ConflictError, match="were faster 20 times"):
        with_store(scene, busy, lambda one: one.do(READER, rekey))
    assert rekeyings(scene) == []
    assert strangers(scene) == set()
    scene.read_all()


def test_a_new_epoch_meanwhile_is_the_one_that_counts(scene: Scene) -> None:
    def other() -> None:
        with open_vault(scene.store, OWNER) as vault:
            another_epoch(vault)

    busy = meanwhile(scene, "commit", other)
    done = with_store(scene, busy, lambda one: one.do(READER, rekey))
    assert [event.data["epoch"] for event in done.events] == [scene.epochs()[2]]
    assert strangers(scene) == set()
    assert scene.audit(SECOND).findings == ()


# --- what may lie there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("keys/notes.files", b"x"),
        (f"keys/{'ab' * 32}.files", b"another digest"),
        (f"keys/{'AB' * 32}.files".lower() + ".files", b"x"),
        (f"keys/{'ab' * 31}.files", b"x"),
    ],
)
def test_a_file_that_is_no_manifest_is_left(scene: Scene, name: str, data: bytes) -> None:
    with scene.store.create(name) as writer:
        writer.write(data)
        writer.commit()
    done = scene.do(READER, rekey)
    assert done.cleared == 0
    assert scene.store.read(name) == data


def test_a_manifest_that_names_what_is_needed_deletes_nothing_of_that(scene: Scene) -> None:
    needed = title_file(scene, scene.kept)
    digest = bytes.fromhex(needed.rpartition("/")[2])
    epoch = scene.epochs()[1]
    stranger = b"nobody's"
    other = SealedFile(hashlib.sha256(stranger).digest(), len(stranger), epoch)
    planted = format_manifest(
        [
            Replacement(fields_name(b"\x01" * 32), needed, SealedFile(digest, 1, epoch)),
            Replacement(fields_name(b"\x02" * 32), fields_name(other.sha256), other),
        ]
    )
    garbage = b"not a manifest\n"
    for content in (planted, garbage):
        with scene.store.create(rekey_name(hashlib.sha256(content).digest())) as writer:
            writer.write(content)
            writer.commit()
    with scene.store.create(fields_name(other.sha256)) as writer:
        writer.write(stranger)
        writer.commit()
    done = scene.do(READER, rekey)
    assert done.cleared == 0  # no writer of this log left a manifest of what it never logged
    assert scene.store.exists(needed)
    assert {one.code for one in scene.audit(READER).findings} == {"leftover"}
    for content in (planted, garbage):
        scene.store.delete(rekey_name(hashlib.sha256(content).digest()))
    lines = Replacements(scene.store).of(rekeyings(scene)[0]).values()
    changed = Replacement(title_file(scene, scene.gone), fields_name(other.sha256), other)
    planted = format_manifest([changed, *(one for one in lines if one.name != changed.name)])
    with scene.store.create(rekey_name(hashlib.sha256(planted).digest())) as writer:
        writer.write(planted)
        writer.commit()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    assert scene.do(READER, rekey).cleared == 2  # the stranger, and the manifest
    assert scene.audit(READER).findings == ()
    parse_manifest(planted, epoch, "")


def test_what_can_t_be_cleared_stays_with_its_manifest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trial = scene.copy()
    counted = Faulty(trial.store)
    with_store(trial, counted, lambda one: one.do(READER, rekey))
    for at in counted.changes:
        trial = scene.copy()
        with pytest.raises(BaseException):  # noqa: B017, PT011
            with_store(trial, Faulty(trial.store, at), lambda one: one.do(READER, rekey))
        if len(abandoned_in(trial.open())) and len(strangers(trial)) > 5:
            break

    def delete(self: Any, name: str) -> None:
        raise OSError(5, "Input/output error", name)

    with monkeypatch.context() as patched:
        patched.setattr(type(trial.store), "delete", delete)
        assert trial.do(READER, rekey).cleared == 0
    assert "not deleted" in caplog.text
    assert len(abandoned_in(trial.open())) == 1
    with monkeypatch.context() as patched:

        def failing(*_: object) -> int:
            raise OSError(5, "Input/output error")

        patched.setattr("vault.rekeying.writing.clear_abandoned", failing)
        with trial.open(OWNER) as vault:
            another_epoch(vault)
        assert trial.do(READER, rekey).events
    with trial.open(OWNER) as vault:
        another_epoch(vault)
    assert trial.do(READER, rekey).cleared > 5
    trial.read_all()


def test_what_the_medium_does_not_give_back_is_not_committed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(scene.store)
    original = type(scene.store).read

    def read(self: Any, name: str, *rest: Any) -> bytes:
        data = original(self, name, *rest)
        return data if name in before else data[:-1] + bytes([data[-1] ^ 1])

    with monkeypatch.context() as patched:
        patched.setattr(type(scene.store), "read", read)
        with pytest.raises(ProofError, match="a moment ago"):
            scene.do(READER, rekey)
    assert contents(scene.store) == before


def test_a_stick_that_is_pulled_out_ends_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.do(READER, rekey)
    with scene.open(SECOND) as second, scene.open(READER) as reader:
        with scene.open(OWNER) as vault:
            another_epoch(vault)
        second.refresh(), reader.refresh()
        for verb, vault in ((rekey, reader), (confirm, second)):
            for at in range(3):
                with monkeypatch.context() as patched:
                    original = type(scene.store).read
                    left = [at * 4 + 2]

                    def read(self: Any, name: str, *rest: Any) -> bytes:
                        if name.startswith(("fields/", "bundles/", "keys/")):
                            left[0] -= 1  # noqa: B023
                            if left[0] < 0:  # noqa: B023
                                raise NotAVaultError("v", "gone")
                        return original(self, name, *rest)  # noqa: B023

                    patched.setattr(type(scene.store), "read", read)
                    with pytest.raises(NotAVaultError):
                        verb(vault)
    scene.read_all()


def test_a_part_is_never_encrypted_again(scene: Scene) -> None:
    before = scene.store.read(part_name(scene.kept, 0))
    scene.finish(None)
    assert scene.store.read(part_name(scene.kept, 0)) == before
    assert not any("evidence." in line for line in _lines(scene))
