"""One person's keys sign in several vaults; one of another contradicts nothing here."""

from __future__ import annotations

from vault import Identity, MemoryStore, Vault, audit


def test_a_checkpoint_of_another_vault_of_the_same_person_contradicts_nothing() -> None:
    me = Identity(bytes(32))
    here, there = MemoryStore(), MemoryStore()
    with Vault.create(here, identity=me, readers=[me]):
        pass
    with Vault.create(there, identity=me, readers=[me]) as other:
        other.append("vault.noted", fields={"text": "longer"})
        foreign = other.checkpoint
    report = audit(here, checkpoint=foreign)
    assert report.verdict == "intact"
    assert [finding.code for finding in report.findings] == ["checkpoint-not-ours"]
    assert [one.status for one in report.anchors if one.kind == "checkpoint"] == ["failed"]
