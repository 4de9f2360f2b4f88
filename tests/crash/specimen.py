"""A vault on which rot and tampering are tried: its files now, at each step before, and another's.

It has what a vault can have: bundles of one item and of several, a handover, an opening, consent, a
hold, a destruction, files that were encrypted again and the old ones pruned. The padding is that of
every vault, so that it is larger than 64 KiB.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import pytest

from tests.audit.golden import is_superseded, memoised
from tests.bundles.scene import contents
from tests.rooms.house import HANDOVER, KAI, MINA, NAMES, NOOR, NOW, OWNER
from vault import Identity, Vault
from vault.destruction import destroy
from vault.handover import accept, release
from vault.membership import admit
from vault.rekeying import confirm, prune, rekey, shred
from vault.storage import MemoryStore
from vault.terms import place_hold, record_consent
from vault.tlog.checkpoint import parse_signed_checkpoint

__all__ = ["MIN_SIZE", "READER", "Specimen", "Step", "quick", "specimen"]

MIN_SIZE: Final = 64 * 1024
READER: Final = MINA
"""Who can open everything in it."""
_WHY: Final = {"authority": "court order 7", "reason": "the witness asked"}


@dataclass(frozen=True, slots=True)
class Step:
    """The files after a verb."""

    verb: str
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Specimen:
    """A vault: ``files`` as they are now, ``steps`` from its making on, now last."""

    id: bytes
    files: dict[str, bytes]
    steps: tuple[Step, ...]

    @property
    def needed(self) -> dict[str, bytes]:
        """The files that must be there."""
        files = self.files
        return {name: data for name, data in files.items() if not is_superseded(name, files)}

    @property
    def manifests(self) -> frozenset[str]:
        """The names of the files that say what was encrypted again."""
        return frozenset(name for name in self.files if name.endswith(".files"))

    @property
    def size(self) -> int:
        """Events in the log."""
        return parse_signed_checkpoint(self.files["log/checkpoint"]).checkpoint.size


@cache
def specimen(number: int = 0) -> Specimen:
    """Return the vault; another ``number`` is another vault with the same people and story."""
    store = MemoryStore()
    time = [NOW + number * 86_400]
    steps: list[Step] = []
    day = datetime.date(2026, 3, 1)
    cards = {who: who.card(name, day) for who, name in NAMES.items()}

    def tell(who: Identity, verb: Callable[[Vault], Any], name: str) -> Any:
        time[0] += 60
        with Vault.open(store, identity=who, clock=lambda: time[0]) as vault:
            result = verb(vault)
        steps.append(Step(name, contents(store)))
        return result

    def sealed(who: Identity, *items: bytes) -> bytes:
        def seal(vault: Vault) -> bytes:
            with vault.seal({"title": f"of {len(items)}"}) as writer:
                for place, item in enumerate(items):
                    writer.add_stream(f"{place}.txt", len(item), io.BytesIO(item))
            return writer.id

        found = tell(who, seal, "seal")
        assert isinstance(found, bytes)
        return found

    def look(vault: Vault, bundle: bytes) -> None:
        with vault.open_item(bundle, 0, purpose="a look") as item:
            item.read()

    with Vault.create(
        store,
        identity=OWNER,
        readers=[cards[MINA], cards[NOOR]],
        fields={"member.name": NAMES[OWNER]},
        clock=lambda: time[0],
    ) as vault:
        vault_id = vault.id
    steps.append(Step("create", contents(store)))
    tell(OWNER, lambda v: admit(v, cards[MINA], ("custodian", "reader")), "admit")
    tell(OWNER, lambda v: admit(v, cards[KAI], ("custodian",)), "admit")
    # Whoever writes after another repeats the other's checkpoint, so each does all in one go.
    first = sealed(MINA, b"one", bytes(513), b"three")
    gone = sealed(MINA, b"to be destroyed")
    tell(MINA, lambda v: release(v, [first], KAI.ed25519, fields=HANDOVER), "release")
    tell(MINA, lambda v: destroy(v, gone, fields=_WHY), "destroy")
    tell(KAI, lambda v: accept(v, [first], fields=HANDOVER), "accept")
    second = sealed(KAI, b"evidence")
    tell(KAI, lambda v: record_consent(v, [first], "given"), "consent")
    tell(KAI, lambda v: place_hold(v, [second], **_WHY), "hold")
    tell(OWNER, lambda v: shred(v, next(iter(v.state.epochs))), "shred")
    tell(NOOR, lambda v: look(v, second), "open")
    tell(NOOR, rekey, "rekey")
    tell(MINA, confirm, "confirm")
    tell(MINA, prune, "prune")
    tell(MINA, lambda v: v.append("vault.noted", fields={"text": "all there"}), "note")
    return Specimen(vault_id, steps[-1].files, tuple(steps))


@contextmanager
def quick() -> Iterator[None]:
    """Remember what pure functions gave, and read small files into small buffers."""
    with memoised(), pytest.MonkeyPatch.context() as patched:
        parse = lru_cache(64)(parse_signed_checkpoint)
        patched.setattr("vault.tlog.checkpoint.parse_signed_checkpoint", parse)
        patched.setattr("vault.auditing.places.BUFFER_SIZE", 2**16)
        yield
