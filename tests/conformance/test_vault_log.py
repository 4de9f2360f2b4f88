"""The log of a real vault, written by two members, held against Go's checksum-database code."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from vault import Identity, Vault
from vault.tlog.note import ED25519, ML_DSA_44, VerifierKey, format_vkey

pytestmark = pytest.mark.conformance


def _vkeys(vault: Vault) -> list[str]:
    origin = vault.state.origin
    lines = []
    for member in vault.state.members.values():
        lines.append(format_vkey(VerifierKey(origin, ED25519, member.keys.ed25519)))
        lines.append(format_vkey(VerifierKey(origin, ML_DSA_44, member.keys.ml_dsa_44)))
    return lines


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], int, list[Path]]:
    """A vault of some 300 events by two members, with the checkpoints that it had on the way."""
    directory = tmp_path_factory.mktemp("vault")
    reporter, editor = Identity.generate(), Identity.generate()
    card = editor.card("Editor", datetime.date(2026, 3, 1))
    place = directory / "vault"
    older: list[Path] = []

    def keep(vault: Vault) -> None:
        path = directory / f"checkpoint-{vault.size}"
        path.write_bytes(vault.checkpoint)
        older.append(path)

    with Vault.create(place, identity=reporter, readers=[card]) as vault:
        with vault.seal({"title": "one"}) as writer:
            writer.add_stream("a.txt", 5, io.BytesIO(b"hello"))
        keep(vault)
        for number in range(140):
            vault.append("vault.noted", fields={"text": str(number)})
        keep(vault)
    with Vault.open(place, identity=editor) as vault:
        for number in range(150):
            vault.append("bundle.noted", bundle=writer.id, fields={"text": str(number)})
        keep(vault)
        return place / "log", _vkeys(vault), vault.size, older


def test_go_checks_every_tile_entry_and_signature_of_a_vault(
    written: tuple[Path, list[str], int, list[Path]], go_verify: Callable[..., object]
) -> None:
    log, vkeys, size, older = written
    done = go_verify(log, vkeys, older)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    counts = dict(line.split(" ") for line in done.stdout.splitlines())  # type: ignore[attr-defined]
    print(counts)
    assert int(counts["size"]) == int(counts["inclusions"]) == size
    assert int(counts["older"]) == len(older)


def test_go_refuses_the_log_under_the_keys_of_someone_else(
    written: tuple[Path, list[str], int, list[Path]], go_verify: Callable[..., object]
) -> None:
    log, vkeys, _, _ = written
    stranger = Identity.generate()
    origin = vkeys[0].split("+")[0]
    foreign = [
        format_vkey(VerifierKey(origin, ED25519, stranger.ed25519)),
        format_vkey(VerifierKey(origin, ML_DSA_44, stranger.ml_dsa_44)),
    ]
    assert go_verify(log, foreign).returncode == 1  # type: ignore[attr-defined]
