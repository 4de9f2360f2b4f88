"""An audit of what was encrypted again, pruned, shredded and destroyed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.audit.golden import bad, codes, is_superseded, memoised, places, small_padding
from tests.bundles.scene import OWNER, READER, SECOND, contents, open_vault
from tests.rooms.ending import Scene, another_epoch, build
from vault import Vault, age
from vault.auditing import audit, record_audit
from vault.auditing.report import Finding, Report
from vault.destruction import destroy
from vault.errors import NotAVaultError
from vault.event import SealedFile
from vault.expected import ExpectedFile, expected_files, flaws_of, unread_manifests
from vault.keyring import seal_to_epoch
from vault.layout import CHECKPOINT, bundle_key_name, fields_name, rekey_name
from vault.rekeying import confirm, prune, rekey
from vault.replacement import Replacement, Replacements, format_manifest
from vault.storage import MemoryStore


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with memoised():
        yield


@cache
def stages() -> dict[str, dict[str, bytes]]:
    """Return the files of a vault after each step; one of its two bundles was destroyed."""
    with small_padding():
        scene = build()
        scene.do(OWNER, destroy, scene.gone, fields={"reason": "x"})
        with scene.open(OWNER) as vault:
            another_epoch(vault)
        found = {"destroyed": contents(scene.store)}
        scene.do(READER, rekey, batch=4)
        found["written"] = contents(scene.store)
        scene.do(SECOND, confirm)
        found["confirmed"] = contents(scene.store)
        scene.do(READER, prune)
        found["pruned"] = contents(scene.store)
        scene.finish_shredding()
        found["shredded"] = contents(scene.store)
    return found


STAGES = ("destroyed", "written", "confirmed", "pruned", "shredded")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("identity", [None, READER, SECOND])
def test_every_stage_is_sound_to_everybody(stage: str, identity: Any) -> None:
    with small_padding():
        report = audit(MemoryStore(stages()[stage]), identity=identity)
    assert (report.verdict, report.findings) == ("intact", ())
    assert report.coverage.unreadable == 0


@pytest.mark.parametrize("stage", STAGES)
def test_every_changed_or_missing_file_is_found_at_its_place(
    stage: str, record_property: Any
) -> None:
    files = stages()[stage]
    count = 0
    for name, data in files.items():
        if is_superseded(name, files):
            continue
        for place in (0, len(data) // 2, len(data) - 1):
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            check(audit(MemoryStore({**files, name: changed})), name)
            count += 1
        check(audit(MemoryStore({n: d for n, d in files.items() if n != name})), name)
        count += 1
    record_property("changes", count)


def check(report: Report, name: str) -> None:
    assert report.verdict == "altered", name
    if not name.startswith("log/"):
        assert places(report) == {name}
    else:
        assert not places(report).isdisjoint({name, CHECKPOINT, "log/tile/entries"})


@pytest.mark.parametrize("stage", ["written", "confirmed", "pruned"])
def test_the_old_file_and_the_new_are_each_looked_into(stage: str) -> None:
    """One that opens does not hide another that does not, though both have the right digest."""
    with small_padding():
        scene = Scene(MemoryStore(stages()[stage]), b"", b"")
        view = scene.open()
        expected = expected_files(view.events(), view.state, Replacements(scene.store))
        forms = [file for file in expected.values() if file.epoch and not file.destroyed]
        assert len(forms) > 5
        for form in forms:
            if form.first == form.name and form.seq == 0 and stage != "written":
                continue
            with pytest.MonkeyPatch.context() as patched:
                original = age.decrypt_bytes

                def decrypt(data: bytes, *rest: Any, form: Any = form, **more: Any) -> bytes:
                    found = original(data, *rest, **more)  # noqa: B023
                    other = hashlib.sha256(data).digest() == form.sha256
                    return found + b"x" if other else found

                patched.setattr("vault.keyring.age.decrypt_bytes", decrypt)
                report = scene.audit(READER)
            assert {one.place for one in bad(report)} == {f"event {form.seq}"}, form.name
            assert codes(report) == {"private-contents"}


# --- what should be gone --------------------------------------------------------------------------


def names_of(files: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [n for n in files if n not in other and not n.startswith("log/")]


def test_old_files_that_are_still_there_are_to_be_deleted_and_no_more() -> None:
    before, after = stages()["confirmed"], stages()["pruned"]
    old = names_of(before, after)
    assert len(old) > 5
    report = audit(MemoryStore({**after, **{name: before[name] for name in old}}))
    assert report.verdict == "intact"
    assert {(one.code, one.place) for one in report.findings} == {
        ("pending-deletion", name) for name in old
    }
    first, last = stages()["pruned"], stages()["shredded"]
    (key,) = [name for name in names_of(first, last) if name.startswith("keys/")]
    with small_padding():
        report = audit(MemoryStore({**last, key: first[key]}), identity=READER)
    assert [(one.code, one.severity, one.place) for one in report.findings] == [
        ("pending-deletion", "note", key)
    ]


def test_before_they_are_pruned_old_files_must_be_there() -> None:
    for stage in ("written", "confirmed"):
        files = stages()[stage]
        for name in names_of(files, stages()["pruned"]):
            check(audit(MemoryStore({n: d for n, d in files.items() if n != name})), name)


@pytest.mark.parametrize("stage", ["written", "pruned"])
@pytest.mark.parametrize("damage", ["missing", "altered", "directory"])
def test_a_manifest_that_can_t_be_read_is_the_one_finding(stage: str, damage: str) -> None:
    files = dict(stages()[stage])
    name = next(n for n in files if n.endswith(".files"))
    data = files.pop(name)
    if damage == "altered":
        files[name] = data[:-2] + b"9\n"
    elif damage == "directory":
        files[f"{name}/x"] = b""
    with small_padding():
        for identity in (None, READER):
            report = audit(MemoryStore(files), identity=identity)
            assert report.verdict == "altered"
            assert {one.place for one in bad(report)} == {name}
            # Nobody can say now which files are nobody's, and it is not said.
            assert "leftover" not in codes(report)
            assert (report.coverage.unreadable > 0) == (stage == "pruned" and identity is not None)


def test_a_place_that_is_gone_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    files = stages()["written"]
    original = MemoryStore.read

    def read(self: MemoryStore, name: str, *rest: Any) -> bytes:
        if name.endswith(".files"):
            raise NotAVaultError("v", "gone")
        return original(self, name, *rest)

    monkeypatch.setattr(MemoryStore, "read", read)
    with pytest.raises(NotAVaultError):
        audit(MemoryStore(files))


# --- manifests that contradict the log ------------------------------------------------------------


@pytest.fixture
def scene() -> Scene:
    scene = build()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    return scene


def sealed_to_newest(vault: Vault, plaintext: bytes) -> tuple[bytes, SealedFile]:
    assert vault.state.newest is not None
    return seal_to_epoch(plaintext, vault.state.epochs[vault.state.newest])


def log_manifest(
    vault: Vault, lines: list[Replacement], files: dict[str, bytes], *, raw: bytes | None = None
) -> str:
    """Log a manifest as ``written``; return its name."""
    manifest = format_manifest(lines) if raw is None else raw
    sha256 = hashlib.sha256(manifest).digest()
    data = {
        "stage": "written",
        "epoch": vault.state.newest,
        "manifest": (sha256, len(manifest)),
    }
    named = {rekey_name(sha256): manifest, **files}
    vault.commit(lambda: [vault.draft("vault.rekeyed", data=data, files=named)])
    return rekey_name(sha256)


def replaced(vault: Vault, name: str, plaintext: bytes = b"x") -> tuple[Replacement, bytes]:
    data, file = sealed_to_newest(vault, plaintext)
    new = fields_name(file.sha256)
    if name.startswith("bundles/"):
        bundle = bytes.fromhex(name.split("/")[1])
        new = bundle_key_name(bundle, file.epoch, file.sha256)
    return Replacement(name, new, file), data


def logged(vault: Vault, bundle: bytes) -> tuple[str, str]:
    """Return the names of a bundle's key file and of its seal's fields."""
    known = vault.bundle(bundle)
    sealed = vault.event(known.seq).sealed
    assert sealed is not None
    key = known.key_file
    return bundle_key_name(bundle, key.epoch, key.sha256), fields_name(sealed.sha256)


def test_a_line_of_a_file_that_nobody_logged(scene: Scene) -> None:
    with scene.open(READER) as vault:
        line, data = replaced(vault, fields_name(b"\x07" * 32))
        name = log_manifest(vault, [line], {line.new: data})
    contradicted(scene, name, "no event before it logged that file")
    assert ("leftover", line.new) in {(one.code, one.place) for one in scene.audit().findings}


def contradicted(scene: Scene, name: str, why: str) -> Finding:
    """The one thing that is wrong is this manifest, to readers and to everybody else."""
    (found,) = bad(scene.audit())
    assert (found.code, found.severity, found.place) == ("manifest", "contradicted", name)
    assert why in found.detail
    scene.read_all()
    return found


def test_a_line_of_a_file_that_is_logged_only_later(scene: Scene) -> None:
    from vault.log import Log

    with scene.open(READER) as vault:
        draft = vault.draft("bundle.noted", bundle=scene.kept, fields={"text": "later"})
        made: list[str] = []

        def first(place: Any) -> Any:
            event = draft(place)
            made.append(fields_name(event.sealed.sha256))
            return event

        log = Log(scene.store)
        log.refresh()
        from vault.log import Place

        state = log.state
        first(Place(log.size, log.root, log.raw, state))
        line, data = replaced(vault, made[0])
        name = log_manifest(vault, [line], {line.new: data})
        vault.commit(lambda: [draft])
    contradicted(scene, name, "no event before it logged that file")


@pytest.mark.parametrize("what", ["key", "fields"])
def test_a_line_of_a_file_that_went_with_its_bundle(scene: Scene, what: str) -> None:
    with scene.open(OWNER) as vault:
        names = dict(zip(("key", "fields"), logged(vault, scene.gone), strict=True))
        done = destroy(vault, scene.gone)
    with scene.open(READER) as vault:
        line, data = replaced(vault, names[what], b"kept all the same")
        name = log_manifest(vault, [line], {line.new: data})
    contradicted(scene, name, "went with its bundle before")
    # What states authority and reason stays, and may be encrypted again.
    assert done.event.sealed is not None
    with scene.open(READER) as vault:
        text = vault.keyring.open_stored(
            fields_name(done.event.sealed.sha256), done.event.sealed, vault.state, 2**20
        )
        kept, data = replaced(vault, fields_name(done.event.sealed.sha256), text)
        log_manifest(vault, [kept], {kept.new: data})
    assert len(bad(scene.audit(READER))) == 1


@pytest.mark.parametrize("what", ["an event's file", "another line's", "itself"])
def test_a_line_whose_new_file_is_another_s(scene: Scene, what: str) -> None:
    with scene.open(READER) as vault:
        key, fields = logged(vault, scene.kept)
        other_key, other = logged(vault, scene.gone)
        assert vault.state.newest is not None
        if what == "an event's file":
            digest = bytes.fromhex(other.rpartition("/")[2])
            file = SealedFile(digest, scene.store.size(other), vault.state.newest)
            name = log_manifest(vault, [Replacement(fields, other, file)], {})
        elif what == "another line's":
            line, data = replaced(vault, fields)
            log_manifest(vault, [line], {line.new: data})
            name = log_manifest(vault, [Replacement(other, line.new, line.file)], {})
        else:
            with scene.open(OWNER) as owner:
                from tests.bundles.scene import seal

                seal(owner, b"new")
            vault.refresh()
            bundle = [*vault.state.bundles.values()][-1]
            name = bundle_key_name(bundle.id, bundle.key_file.epoch, bundle.key_file.sha256)
            name = log_manifest(vault, [Replacement(name, name, bundle.key_file)], {})
        del key, other_key
    contradicted(scene, name, "its new name is that of another file")


def test_a_signed_manifest_that_is_none(scene: Scene) -> None:
    with scene.open(READER) as vault:
        name = log_manifest(vault, [], {}, raw=b"not a manifest\n")
    contradicted(scene, name, "one of another kind")
    view = scene.open()
    replacements = Replacements(scene.store)
    assert len(unread_manifests(view.state, replacements)) == 1
    assert len(flaws_of(view.events(), view.state, replacements)) == 1


def test_a_manifest_of_nothing_but_lies_lets_go_of_nothing(scene: Scene) -> None:
    """Two readers in league confirm and prune it; what it names must still be there."""
    with scene.open(OWNER) as vault:
        key, fields = logged(vault, scene.gone)
    with scene.open(READER) as vault:
        other = logged(vault, scene.kept)[1]
        digest = bytes.fromhex(other.rpartition("/")[2])
        assert vault.state.newest is not None
        file = SealedFile(digest, scene.store.size(other), vault.state.newest)
        name = log_manifest(vault, [Replacement(fields, other, file)], {})
        (rekeying,) = vault.state.rekeyings.values()
    about = {"epoch": rekeying.epoch, "manifest": (rekeying.manifest, rekeying.size)}
    with scene.open(SECOND) as vault:
        vault.append("vault.rekeyed", data={"stage": "confirmed", **about})
        vault.append("vault.rekeyed", data={"stage": "pruned", **about})
    contradicted(scene, name, "another file")
    files = contents(scene.store)
    del files[fields]
    report = audit(MemoryStore(files))
    assert {(one.code, one.place) for one in bad(report)} == {
        ("manifest", name),
        ("missing", fields),
    }
    del key


# --- what is expected -----------------------------------------------------------------------------


def test_a_file_goes_only_when_nothing_needs_it() -> None:
    files = stages()["pruned"]
    view = open_vault(MemoryStore(files))
    found = expected_files(view.events(), view.state, Replacements(view.store))
    for file in found.values():
        assert isinstance(file, ExpectedFile)
        assert (file.name in files) != file.destroyed, file
        if file.heirs:
            assert all(not found[name].destroyed for name in file.heirs)
    plain = expected_files(view.events(), view.state)
    assert plain.keys() < found.keys()


# --- recording ------------------------------------------------------------------------------------


def flip(store: MemoryStore, name: str) -> None:
    data = store._files[name]
    store._files[name] = data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("stage", ["written", "pruned"])
@pytest.mark.parametrize("damaged", ["new form", "manifest", "the other's", "newest epoch"])
def test_a_bundle_is_altered_where_what_took_its_files_place_is(stage: str, damaged: str) -> None:
    from tests.bundles.scene import seal

    scene = Scene(MemoryStore(stages()[stage]), b"", b"")
    with scene.open(OWNER) as vault:
        later = seal(vault, b"sealed to the newest epoch").id
        kept = next(
            one.id
            for one in vault.state.bundles.values()
            if one.destroyed is None and one.id != later
        )
        expected = expected_files(vault.events(), vault.state, Replacements(scene.store))
        key, _ = logged(vault, kept)
        new = max((one for one in expected.values() if one.first == key), key=lambda one: one.seq)
        assert new.name != key
        manifest = next(
            rekey_name(one.manifest) for one in vault.state.rekeyings.values() if one.seq == new.seq
        )
        name = {
            "new form": new.name,
            "manifest": manifest,
            "the other's": logged(vault, later)[1],
            "newest epoch": f"keys/{new.epoch.hex() if new.epoch else ''}",
        }[damaged]
        flip(scene.store, name)
        events = record_audit(vault, audit(scene.store))
    results = {event.bundle: event.data["result"] for event in events}
    assert results == {
        kept: "intact" if damaged == "the other's" else "altered",
        later: "altered" if damaged in ("the other's", "newest epoch", "manifest") else "intact",
    }
