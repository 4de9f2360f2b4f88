"""A vault in a folder with a few identities, for what is tried from end to end."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.conftest import Outcome, call
from tests.fuzz.hostile import (
    Member,
    forged_bundle,
    misleading,
    snapshot,
)
from tests.rooms.house import MINA, NOOR, OWNER, House
from vault.errors import VaultError
from vault.extracting import extract
from vault.identity import format_identity_file

PASSPHRASE: Final = b"of a test"


@dataclass(frozen=True, slots=True)
class Desk:
    """A vault, in a folder of which nothing may change but the vault and what is written."""

    folder: Path

    @property
    def house(self) -> House:
        return House(self.folder / "vault")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def forged(self, *members: Member) -> bytes:
        """Let Mina, a custodian, seal a forged bundle."""
        with self.house.open(MINA) as vault:
            return forged_bundle(vault, members)

    def around(self) -> dict[str, Any]:
        """Return all that is beside the vault and what is written."""
        return {
            name: entry
            for name, entry in snapshot(self.folder).items()
            if name.partition("/")[0] not in ("vault", "out", "home")
        }

    def evault(self, *arguments: object, who: str = "noor") -> Outcome:
        if arguments[:1] == ("doctor",):
            return call(*arguments)  # which takes no identity
        unlocked = ("-i", self.folder / f"{who}.age", "--passphrase-file", self.folder / "pass")
        return call(*arguments, *unlocked)

    def open(self, bundle: bytes, *more: object) -> Outcome:
        """Open a bundle by the command line, as Noor, who reads."""
        with self.house.open() as vault:
            told = ("--vault-id", vault.id.hex())
        where = (self.house.path, bundle.hex(), "-o", self.out)
        return self.evault("open", *where, "--purpose", "x", *told, *more)

    def opened(self, bundle: bytes) -> dict[str, bytes]:
        """Open a bundle; check that only plain files came of it, and nothing beside it."""
        before = self.around()
        told = self.open(bundle)
        assert told.code == 0, told.err
        assert self.around() == before
        for path in self.out.rglob("*"):
            status = path.lstat()
            assert stat.S_ISDIR(status.st_mode) or (
                stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            )
        record = json.loads((self.out / "record.json").read_bytes())
        written = {
            str(path.relative_to(self.out / "files")): path.read_bytes()
            for path in (self.out / "files").rglob("*")
            if path.is_file()
        }
        named = [one["written"].removeprefix("files/") for one in record["items"]]
        assert sorted(named) == sorted(written)
        return written

    def refused(self, bundle: bytes, code: int = 3) -> str:
        """Check that a bundle is not opened, with nothing left and nothing recorded."""
        before, size = self.around(), self.house.open().size
        told = self.open(bundle)
        assert told.code == code, told.err
        assert (told.err.count("\n"), told.out) == (1, "")
        assert not self.out.exists()
        assert self.around() == before
        assert self.house.open().size == size
        with self.house.open(NOOR) as vault, pytest.raises((VaultError, OSError)):
            extract(vault, bundle, self.out, purpose="x")
        assert not self.out.exists()
        return told.err


def check_sentence(told: Outcome, codes: set[int]) -> None:
    """Check that a call ended as calls may: with such an exit code, and in words of one line."""
    assert told.code in codes, (told.code, told.out, told.err)
    assert not misleading(told.out + told.err)
    if told.code > 1:
        assert (told.err.count("\n"), told.out) == (1, "")


def with_identities(folder: Path) -> Path:
    """Put the identity files of those who act at a desk into its folder, and their passphrase."""
    (folder / "pass").write_bytes(PASSPHRASE + b"\n")
    for name, who in (("noor", NOOR), ("mina", MINA), ("owner", OWNER)):
        (folder / f"{name}.age").write_bytes(format_identity_file(who, PASSPHRASE, 4))
    return folder
