"""A vault on a disk, with those who hand its bundles on."""

from __future__ import annotations

import datetime
import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vault import Identity, LocalStore, Vault, audit
from vault.custody import Policy
from vault.membership import admit

NOW: Final = 1_780_000_000


def person(number: int) -> Identity:
    """Return an identity with a fixed seed."""
    return Identity(bytes([number]) * 32)


OWNER, MINA, KAI, NOOR, STRANGER = (person(number) for number in (1, 2, 3, 4, 9))
"""Owner and custodian; custodian and reader; custodian who reads nothing; reader alone; nobody."""

NAMES: Final = {OWNER: "Owner", MINA: "Mina Ábel", KAI: "Kai", NOOR: "Noor"}
HANDOVER: Final = {"place": "Quetta", "purpose": "safe keeping", "condition": "sealed, dry"}


@dataclass(frozen=True, slots=True)
class House:
    """Where the vault is, and the clock of all."""

    path: Path
    time: list[int] = field(default_factory=lambda: [NOW])

    def open(self, identity: Identity | None = None) -> Vault:
        store = LocalStore(self.path)
        return Vault.open(store, identity=identity, clock=lambda: self.time[0])

    def seal(self, identity: Identity = MINA, content: bytes = b"seen", **fields: Any) -> bytes:
        given = {name.replace("__", "."): value for name, value in fields.items()}
        with self.open(identity) as vault, vault.seal(given) as writer:
            writer.add_stream("a.txt", len(content), io.BytesIO(content))
        return writer.id

    def do(self, who: Identity, verb: Any, *arguments: Any, **more: Any) -> Any:
        """Call a verb with a vault opened for ``who``; the vault stays sound to anybody."""
        with self.open(who) as vault:
            result = verb(vault, *arguments, **more)
        assert audit(self.path).verdict == "intact"
        return result

    def hand_over(self, giver: Identity, taker: Identity, *bundles: bytes) -> None:
        from vault.handover import accept, release

        self.do(giver, release, bundles, taker.ed25519, fields=HANDOVER)
        self.do(taker, accept, bundles, fields=HANDOVER)

    def files(self) -> dict[str, bytes]:
        """Return every file of the vault but its lock."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path.name != "lock"
        }

    def copy(self, path: Path) -> House:
        shutil.copytree(self.path, path)
        return House(path)


def build(path: Path, policy: Policy | None = None) -> House:
    """Make the vault."""
    house = House(path)
    day = datetime.date(2026, 3, 1)
    cards = {who: who.card(name, day) for who, name in NAMES.items()}
    Vault.create(
        LocalStore.make(path),
        identity=OWNER,
        readers=[cards[MINA], cards[NOOR]],
        fields={"member.name": NAMES[OWNER]},
        policy=policy,
        clock=lambda: NOW,
    ).close()
    with house.open(OWNER) as vault:
        admit(vault, cards[MINA], ("custodian", "reader"))
        admit(vault, cards[KAI], ("custodian",))
    return house
