"""A key file for one more than the log names, or that opens other epochs, is a contradiction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import OUTSIDER, OWNER, READER, SECOND, card, new_vault, open_vault, seal
from vault import age
from vault.auditing import Report, audit
from vault.codec import Packable
from vault.keyring import NewEpoch, format_epoch_file, new_epoch
from vault.layout import bundle_key_name, epoch_name, fields_name, history_name, part_name
from vault.membership import admit, grant_history, remove
from vault.rekeying import rekey
from vault.replacement import Replacements
from vault.storage import MemoryStore, Store
from vault.vault import Vault

Lines = list[tuple[bytes, age.HybridIdentity]]


def found(report: Report) -> set[tuple[str, str, str]]:
    """Return what was found, but for notes."""
    return {
        (one.code, one.severity, one.place) for one in report.findings if one.severity != "note"
    }


def vault_of_two() -> Vault:
    """Return a vault whose owner and READER read, with a bundle."""
    vault = new_vault(readers=(OWNER, READER))
    seal(vault, b"evidence")
    return vault


def lying(
    lines: Callable[[Lines], Lines], more: Sequence[age.Recipient] = ()
) -> Callable[..., NewEpoch]:
    """Return what makes an epoch whose file is not as its event says."""

    def make(readers: Any, earlier: Any, random: Any) -> NewEpoch:
        known = [*readers]
        epoch = new_epoch(known, (), random)
        plaintext = format_epoch_file(lines([(epoch.id, epoch.identity), *earlier]))
        data = age.encrypt_bytes(plaintext, [*(one.recipient for one in known), *more])
        return NewEpoch(epoch.id, epoch.identity, data)

    return make


def admitted(monkeypatch: pytest.MonkeyPatch, make: Callable[..., NewEpoch], **more: Any) -> Vault:
    """Return a vault in which SECOND was admitted with such an epoch."""
    vault = vault_of_two()
    admit(vault, card(READER), ["custodian", "reader"])
    admit(vault, card(OUTSIDER), ["reader"])
    with monkeypatch.context() as patched:
        patched.setattr("vault.vault.new_epoch", make)
        admit(vault, card(SECOND), ["reader"], **more)
    return vault


def test_sound_vaults_are_intact_after_each_change() -> None:
    vault = vault_of_two()
    admit(vault, card(SECOND), ["reader"], history=False)
    grant_history(vault, vault.state.members[SECOND.ed25519])
    remove(vault, vault.state.members[READER.ed25519], cause="lost")
    for identity in (None, OWNER, READER, SECOND):
        report = audit(vault.store, identity=identity)
        assert (report.verdict, report.findings) == ("intact", ())


def test_an_epoch_for_one_more_than_its_readers_is_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spy = age.HybridIdentity.from_seed(b"\x66" * 32)
    vault = admitted(monkeypatch, lying(lambda lines: lines, [spy.recipient()]))
    newest = vault.state.newest
    assert newest is not None
    report = audit(vault.store)
    assert report.verdict == "contradicted"
    assert found(report) == {("recipients", "contradicted", epoch_name(newest))}
    (finding,) = report.findings
    assert finding.detail == f"for 5 instead of 4, event {vault.size - 1}"


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        (lambda lines: lines, {"history": False}),
        (lambda lines: [lines[0], lines[2], lines[1]], {}),
        (lambda lines: [*lines[1:], lines[0]], {}),
        (lambda lines: lines[:2], {}),
        (lambda lines: lines[:1], {}),
        (lambda lines: lines[1:], {}),
    ],
)
def test_an_epoch_file_that_opens_other_epochs_than_its_event_says_is_found_by_its_readers(
    monkeypatch: pytest.MonkeyPatch, lines: Callable[[Lines], Lines], more: dict[str, Any]
) -> None:
    def with_earlier(readers: Any, earlier: Any, random: Any) -> NewEpoch:
        return lying(lines)(readers, vault.keyring.earlier(vault.state), random)

    vault = vault_of_two()
    admit(vault, card(OUTSIDER), ["reader"])
    with monkeypatch.context() as patched:
        patched.setattr("vault.vault.new_epoch", with_earlier)
        admit(vault, card(SECOND), ["reader"], **more)
    assert audit(vault.store).verdict == "intact"
    place = ("private-proof", "contradicted", f"event {vault.size - 1}")
    for identity in (OWNER, READER, SECOND):
        assert place in found(audit(vault.store, identity=identity))


def grant(vault: Vault, lines: Callable[[Lines], Lines], *recipients: age.Recipient) -> str:
    """Grant both earlier epochs to SECOND in a file of one's own; return its name."""
    earlier = [(one, vault.keyring.identity_of(one, vault.state)) for one in vault.state.epochs]
    newest_first = earlier[1::-1]
    data = age.encrypt_bytes(
        format_epoch_file(lines(newest_first)), [SECOND.keys.recipient, *recipients]
    )
    sha256 = hashlib.sha256(data).digest()
    event: dict[str, Packable] = {
        "reader": SECOND.ed25519,
        "epochs": sorted(epoch for epoch, _ in newest_first),
        "file": (sha256, len(data)),
    }
    name = history_name(sha256)
    vault.commit(lambda: [vault.draft("history.granted", data=event, files={name: data})])
    return name


def with_newcomer() -> Vault:
    vault = vault_of_two()
    admit(vault, card(OUTSIDER), ["reader"])
    admit(vault, card(SECOND), ["reader"], history=False)
    return vault


def test_a_granted_history_for_more_than_its_reader_is_found_without_any_key() -> None:
    vault = with_newcomer()
    grant(vault, lambda lines: lines)
    assert audit(vault.store, identity=SECOND).findings == ()
    name = grant(vault, lambda lines: lines, OUTSIDER.keys.recipient)
    assert found(audit(vault.store)) == {("recipients", "contradicted", name)}


@pytest.mark.parametrize(
    "lines", [lambda lines: lines[::-1], lambda lines: lines[:1], lambda lines: lines[1:]]
)
def test_a_granted_history_that_opens_other_epochs_is_found_by_its_reader(
    lines: Callable[[Lines], Lines],
) -> None:
    vault = with_newcomer()
    grant(vault, lines)
    assert audit(vault.store).verdict == "intact"
    expected = {("private-proof", "contradicted", f"event {vault.size - 1}")}
    assert found(audit(vault.store, identity=SECOND)) == expected
    assert audit(vault.store, identity=OWNER).verdict == "intact"


@pytest.mark.parametrize("what", ["key file", "evidence"])
def test_a_bundle_that_somebody_else_can_open_too_is_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    vault = vault_of_two()
    writer, encrypt = age.writer, age.encrypt_bytes
    spy = OUTSIDER.keys.recipient
    with monkeypatch.context() as patched:
        if what == "evidence":
            patched.setattr(
                "vault.bundle.writing.age.writer", lambda sink, to: writer(sink, [*to, spy])
            )
        else:
            patched.setattr(
                "vault.keyring.age.encrypt_bytes", lambda data, to: encrypt(data, [*to, spy])
            )
        bundle = vault.state.bundles[seal(vault, b"more").id]
    key = bundle_key_name(bundle.id, bundle.key_file.epoch, bundle.key_file.sha256)
    names = {"key file": key, "evidence": part_name(bundle.id, 0)}
    assert ("recipients", "contradicted", names[what]) in found(audit(vault.store))


def test_what_was_encrypted_again_for_somebody_else_too_is_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one who wrote it lied, and the one who confirmed it did not look."""
    vault = vault_of_two()
    encrypt = age.encrypt_bytes
    spy = OUTSIDER.keys.recipient
    remove(vault, vault.state.members[READER.ed25519], cause="lost")
    with monkeypatch.context() as patched:
        patched.setattr(
            "vault.keyring.age.encrypt_bytes", lambda data, to: encrypt(data, [*to, spy])
        )
        (event,) = rekey(vault).events
    assert event.sealed is not None
    (rekeying,) = vault.state.rekeyings.values()
    lines = Replacements(vault.store).of(rekeying)
    names = [fields_name(event.sealed.sha256), *(line.new for line in lines.values())]
    expected = {("recipients", "contradicted", name) for name in names}
    assert {name.partition("/")[0] for name in names} == {"bundles", "fields"}
    assert found(audit(vault.store)) == expected


def test_private_fields_that_somebody_else_can_open_too_are_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault = vault_of_two()
    encrypt, spy = age.encrypt_bytes, OUTSIDER.keys.recipient
    with monkeypatch.context() as patched:
        patched.setattr("vault.draft.age.encrypt_bytes", lambda data, to: encrypt(data, [*to, spy]))
        sealed = vault.append("vault.noted", fields={"text": "for all to read"}).sealed
    assert sealed is not None
    report = audit(vault.store)
    assert found(report) == {("recipients", "contradicted", fields_name(sealed.sha256))}
    (finding,) = report.findings
    assert finding.detail == f"for 2 instead of 1, event {vault.size - 1}"


def test_private_fields_for_somebody_else_too_are_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault = vault_of_two()
    encrypt = age.encrypt_bytes
    with monkeypatch.context() as patched:
        patched.setattr(
            "vault.draft.age.encrypt_bytes",
            lambda data, to: encrypt(data, [*to, OUTSIDER.keys.recipient]),
        )
        event = vault.append("vault.noted", fields={"text": "for two"})
    assert event.sealed is not None
    name = fields_name(event.sealed.sha256)
    for identity in (None, READER):
        report = audit(vault.store, identity=identity)
        assert found(report) == {("recipients", "contradicted", name)}
        assert [one.detail for one in report.findings] == [f"for 2 instead of 1, event {event.seq}"]


def test_a_key_file_that_is_not_encrypted_at_all_is_found_without_any_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plain(readers: Any, earlier: Any, random: Any) -> NewEpoch:
        epoch = new_epoch([*readers], earlier, random)
        return NewEpoch(
            epoch.id, epoch.identity, format_epoch_file([(epoch.id, epoch.identity), *earlier])
        )

    vault = admitted(monkeypatch, plain)
    (finding,) = audit(vault.store).findings
    assert (finding.code, finding.severity) == ("recipients", "contradicted")
    assert finding.detail == f"not for 4 alone: not an age file, event {vault.size - 1}"


def test_what_is_damaged_missing_or_destroyed_is_not_said_twice() -> None:
    vault = vault_of_two()
    doomed = seal(vault, b"doomed")
    vault.append("bundle.destroyed", bundle=doomed.id, fields={"reason": "asked"})
    files = {name: vault.store.read(name) for name, _ in vault.store.list()}
    (epoch,) = vault.state.epochs
    name = epoch_name(epoch)
    for changed, code in (
        ({**files, name: files[name][:-1] + b"x"}, "digest"),
        ({**files, name: b"x"}, "size"),
        ({one: data for one, data in files.items() if one != name}, "missing"),
    ):
        assert found(audit(MemoryStore(changed))) == {(code, "altered", name)}


def test_a_file_that_went_since_it_was_counted_is_left_to_the_audit_of_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault = vault_of_two()
    (epoch,) = vault.state.epochs
    from vault.auditing import files as audited

    read = audited._read

    def then_gone(store: Store, *arguments: Any) -> Any:
        findings = read(store, *arguments)
        store.delete(epoch_name(epoch))
        return findings

    monkeypatch.setattr(audited, "_read", then_gone)
    assert audit(vault.store).verdict == "intact"


def test_an_audit_that_trusts_the_last_one_counts_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = vault_of_two()
    audit(vault.store, state=tmp_path)
    admit(vault, card(SECOND), ["reader"])
    seen: list[str] = []
    from vault.auditing import keys

    fetch = keys.fetch

    def counted(store: Store, name: str, limit: int) -> Any:
        seen.append(name)
        return fetch(store, name, limit)

    monkeypatch.setattr(keys, "fetch", counted)
    assert audit(vault.store, state=tmp_path, since_last=True).verdict == "intact"
    view = open_vault(vault.store)
    newest = view.state.newest
    assert newest is not None
    news = [event.sealed for event in view.events(after=view.size - 3)]
    fields = {fields_name(sealed.sha256) for sealed in news if sealed is not None}
    assert sorted(seen) == sorted([epoch_name(newest), *fields])
