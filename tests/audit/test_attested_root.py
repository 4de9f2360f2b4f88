"""An attestation names a size and a root of the log; an audit holds both against the log."""

from __future__ import annotations

import hashlib

import pytest

from tests.bundles.scene import OWNER, draft, new_vault
from vault.auditing import audit
from vault.log import Log


@pytest.mark.parametrize("right", [True, False])
def test_an_attested_root_is_compared_with_the_log(right: bool) -> None:
    vault = new_vault()
    token = b"a token"
    digest = hashlib.sha256(token).digest()
    with vault.store.create(f"foreign/{digest.hex()}") as writer:
        writer.write(token)
        writer.commit()
    data = {
        "size": vault.size,
        "root": vault.root if right else bytes(32),
        "kind": "rfc3161",
        "file": (digest, len(token)),
    }
    event = draft(vault.store, OWNER, "checkpoint.attested", data)
    Log(vault.store).append(OWNER, lambda _: [event])
    report = audit(vault.store)
    found = [(one.code, one.severity, one.place) for one in report.findings]
    assert found == ([] if right else [("attested-root", "contradicted", "event 3")])
