"""Logs that this library writes, checked by Go's sumdb and standard library (``go/verify.go``)."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from nacl.signing import SigningKey

from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.note import ED25519, ML_DSA_44, VerifierKey, format_vkey
from vault.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    format_entry_bundle,
    new_tiles,
    tile_data,
    tile_path,
    tiles_of,
)

pytestmark = pytest.mark.conformance

GoVerify = Callable[..., "subprocess.CompletedProcess[str]"]
ORIGIN = "evidence-vault/" + 32 * "5c"


class Signer:
    """Both keys, from one seed."""

    def __init__(self, seed: int) -> None:
        self._ed25519 = SigningKey(bytes([seed]) * 32)
        self._ml_dsa_44 = MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
        self.ed25519 = bytes(self._ed25519.verify_key)
        self.ml_dsa_44 = self._ml_dsa_44.public_key().public_bytes_raw()

    def sign_ed25519(self, message: bytes) -> bytes:
        return self._ed25519.sign(message).signature

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        return self._ml_dsa_44.sign(message)

    def vkeys(self, origin: str = ORIGIN) -> list[str]:
        pair = ((ED25519, self.ed25519), (ML_DSA_44, self.ml_dsa_44))
        return [format_vkey(VerifierKey(origin, kind, public)) for kind, public in pair]


SIGNER = Signer(7)


@dataclass
class Log:
    """A log in a directory, written commit by commit as tlog-tiles says."""

    root: Path
    entries: list[bytes] = field(default_factory=list)
    tree: MemoryTree = field(default_factory=MemoryTree)

    def commit(self, entries: Iterable[bytes], signer: Signer = SIGNER) -> bytes:
        old = self.tree.size
        added = list(entries)
        self.entries += added
        self.tree.extend(leaf_hash(entry) for entry in added)
        for tile in new_tiles(old, self.tree.size):
            first = TILE_WIDTH * tile.index
            self._write(
                tile_path(tile),
                format_entry_bundle(self.entries[first : first + tile.width])
                if tile.level == ENTRIES
                else tile_data(tile, self.tree),
            )
        raw = sign_checkpoint(Checkpoint(ORIGIN, self.tree.size, self.tree.root()), signer)
        self._write("checkpoint", raw)
        return raw

    def _write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def made_up(start: int, count: int) -> Iterable[bytes]:
    """Entries of several lengths, the empty one among them."""
    for i in range(start, start + count):
        yield (hashlib.sha256(i.to_bytes(4, "big")).digest() * 3)[: i % 97]


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    assert done.returncode == 0, done.stderr
    return {name: int(number) for name, number in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 255, 256, 257, 600])
def test_go_accepts_a_log_of_size(size: int, tmp_path: Path, go_verify: GoVerify) -> None:
    log = Log(tmp_path / "log")
    log.commit(made_up(0, size))
    found = counts(go_verify(log.root, SIGNER.vkeys()))
    tiles = list(tiles_of(size))
    assert found["size"] == found["inclusions"] == size
    assert found["signatures"] == 2
    assert found["tiles"] == sum(tile.level != ENTRIES for tile in tiles)
    assert found["bundles"] == sum(tile.level == ENTRIES for tile in tiles)
    assert found["superseded"] == found["others"] == found["older"] == 0
    # Every pair of sizes (and the last with itself); above 512, each with the next and the last.
    assert found["consistencies"] == (size * (size - 1) // 2 + 1 if size <= 512 else 2 * size - 2)


def test_go_accepts_a_log_across_the_third_level_of_tiles(
    tmp_path: Path, go_verify: GoVerify
) -> None:
    log = Log(tmp_path / "log")
    log.commit(i.to_bytes(4, "big") for i in range(65537))
    found = counts(go_verify(log.root, SIGNER.vkeys()))
    assert found["inclusions"] == 65537
    assert found["tiles"] == 257 + 1 + 1
    assert (log.root / "tile/2/000.p/1").is_file()


def test_go_accepts_older_checkpoints_and_superseded_tiles_of_several_signers(
    tmp_path: Path, go_verify: GoVerify
) -> None:
    log = Log(tmp_path / "log")
    other = Signer(8)
    older = []
    for number, count in enumerate((1, 4, 250, 1, 2, 100)):
        path = tmp_path / f"checkpoint.{number}"
        path.write_bytes(log.commit(made_up(log.tree.size, count), other if number % 2 else SIGNER))
        older.append(path)
    found = counts(go_verify(log.root, [*SIGNER.vkeys(), *other.vkeys()], older))
    assert found["older"] == 6
    assert found["superseded"] > 0
    refused = go_verify(log.root, SIGNER.vkeys(), older)
    assert refused.returncode == 1
    assert "note has no verifiable signatures" in refused.stderr


def test_go_refuses_an_older_checkpoint_that_the_log_does_not_continue(
    tmp_path: Path, go_verify: GoVerify
) -> None:
    log, fork = Log(tmp_path / "log"), Log(tmp_path / "fork")
    log.commit(made_up(0, 20))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(fork.commit(made_up(1, 10)))
    refused = go_verify(log.root, SIGNER.vkeys(), [elsewhere])
    assert refused.returncode == 1
    assert "does not continue" in refused.stderr
    elsewhere.write_bytes(fork.commit(made_up(0, 11)))
    refused = go_verify(log.root, SIGNER.vkeys(), [elsewhere])
    assert refused.returncode == 1
    assert "beyond the log" in refused.stderr


def test_go_refuses_a_log_with_any_byte_changed(tmp_path: Path, go_verify: GoVerify) -> None:
    log = Log(tmp_path / "log")
    log.commit(made_up(0, 3))
    log.commit(made_up(3, 255))
    assert counts(go_verify(log.root, SIGNER.vkeys()))["superseded"] == 2
    files = sorted(path for path in log.root.rglob("*") if path.is_file())
    assert len(files) == 1 + 2 * 3 + 1
    tried = 0
    for path in files:
        whole = path.read_bytes()
        for at in {*range(0, len(whole), max(1, len(whole) // 12)), len(whole) - 1}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            refused = go_verify(log.root, SIGNER.vkeys())
            assert refused.returncode == 1, (path, at)
            assert refused.stderr.count("\n") == 1
            assert not refused.stdout
            tried += 1
        for damaged in (whole[:-1], whole + b"\x00", b""):
            path.write_bytes(damaged)
            assert go_verify(log.root, SIGNER.vkeys()).returncode == 1, path
        path.write_bytes(whole)
    assert tried >= 80
    assert go_verify(log.root, SIGNER.vkeys()).returncode == 0


def test_go_refuses_a_checkpoint_with_one_signature_or_by_two_persons(
    tmp_path: Path, go_verify: GoVerify
) -> None:
    log, other = Log(tmp_path / "log"), Signer(8)
    ours = log.commit(made_up(0, 3)).splitlines(keepends=True)
    theirs = log.commit((), other).splitlines(keepends=True)
    checkpoint = log.root / "checkpoint"
    vkeys = [*SIGNER.vkeys(), *other.vkeys()]
    assert go_verify(log.root, vkeys).returncode == 0
    for lines in (
        ours[:5],
        ours[:4] + ours[5:],
        ours[:4] + ours[:3:-1],
        [*ours, ours[4]],
        ours[:5] + theirs[5:],
        ours + theirs[4:],
    ):
        checkpoint.write_bytes(b"".join(lines))
        assert go_verify(log.root, vkeys).returncode == 1
