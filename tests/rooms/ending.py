"""A small vault with two readers, in which things come to an end: bundles, old files, epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.bundles.scene import (
    OWNER,
    READER,
    SECOND,
    copy_of,
    new_vault,
    open_vault,
    seal,
)
from vault import Identity, Report, Vault, age
from vault.auditing import audit
from vault.custody import Policy
from vault.errors import VaultError
from vault.layout import epoch_name
from vault.rekeying import confirm, prune, rekey, shred
from vault.storage import MemoryStore, Store

WHY = {"authority": "court order 7", "reason": "the witness asked"}


@dataclass(slots=True)
class Scene:
    """OWNER seals and holds; READER and SECOND read. ``gone`` is to be destroyed, ``kept`` not."""

    store: MemoryStore
    gone: bytes
    kept: bytes

    def open(self, identity: Identity | None = None, store: Store | None = None) -> Vault:
        return open_vault(store or self.store, identity)

    def do(self, who: Identity, verb: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        with self.open(who) as vault:
            return verb(vault, *arguments, **more)

    def copy(self) -> Scene:
        return Scene(copy_of(self.store), self.gone, self.kept)

    def audit(self, identity: Identity | None = None) -> Report:
        return audit(self.store, identity=identity)

    def epochs(self) -> list[bytes]:
        return [*self.open().state.epochs]

    def renew(self, *, shredding: bool = True) -> None:
        """Take every step until the first epoch is shredded, or all old files are pruned."""
        first = self.epochs()[0]
        if shredding:
            assert self.do(OWNER, shred, first).next == "rekey"
        self.finish(first if shredding else None)

    def finish(self, epoch: bytes | None) -> None:
        """Take every step after the newest epoch was opened."""
        assert self.do(READER, rekey).events
        assert self.do(SECOND, confirm).events
        assert self.do(READER, prune).events
        if epoch is not None:
            self.finish_shredding(epoch)

    def finish_shredding(self, epoch: bytes | None = None) -> None:
        """Take the last step, for the first epoch unless another is named."""
        assert self.do(OWNER, shred, epoch or self.epochs()[0]).next == "done"

    def read_all(self, *readers: Identity) -> None:
        """Every reader can open all that was not destroyed."""
        for reader in readers or (READER, SECOND):
            with self.open(reader) as vault:
                for event in vault.events():
                    bundle = vault.state.bundles.get(event.bundle or b"")
                    if bundle is None or bundle.destroyed is None or event.seq == bundle.destroyed:
                        vault.fields(event)
                for bundle in vault.state.bundles.values():
                    if bundle.destroyed is None:
                        with vault.read(bundle.id) as reading:
                            reading.check()


def build(policy: Policy | None = None) -> Scene:
    """Make the vault; its first bundle was opened and noted on."""
    vault = new_vault(readers=[READER, SECOND], **({"policy": policy} if policy else {}))
    gone = seal(vault, b"the name of the witness", title="gone").id
    kept = seal(vault, b"what stays", title="kept").id
    with open_vault(vault.store, READER) as reader:
        with reader.open_bundle(gone, purpose="a look"):
            pass
        reader.append("bundle.noted", bundle=gone, fields={"text": "a note on it"})
    assert isinstance(vault.store, MemoryStore)
    return Scene(vault.store, gone, kept)


def another_epoch(vault: Vault, *, history: bool = False) -> None:
    """Open an epoch for the readers of now."""
    state = vault.state
    readers = sorted(state.active("reader"))
    epoch = vault.new_epoch([state.members[key].keys for key in readers], history=history)
    data = {
        "epoch": epoch.id,
        "recipient": epoch.recipient,
        "file": (epoch.sha256, len(epoch.data)),
        "readers": readers,
        "history": history,
    }
    files = {epoch_name(epoch.id): epoch.data}
    vault.commit(lambda: [vault.draft("epoch.opened", data=data, epoch=epoch, files=files)])


def lines_of(report: Report) -> set[tuple[str, str]]:
    """Return code and severity of every finding."""
    return {(one.code, one.severity) for one in report.findings}


# --- hunting for what was destroyed -------------------------------------------------------------


def opened_by(keys: list[Any], files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the plaintext of each file that one of ``keys`` opens."""
    found = {}
    for name, data in files.items():
        try:
            found[name] = age.decrypt_bytes(data, keys, max_size=2**25)
        except VaultError:
            continue
    return found


def every_key(people: list[Identity], files: dict[str, bytes]) -> list[Any]:
    """Return every age identity that these people's own keys lead to, through any of ``files``."""
    keys: list[Any] = [one.age for one in people]
    seen: set[str] = set()
    while True:
        before = len(keys)
        for name, plaintext in opened_by(keys, files).items():
            if name in seen:
                continue
            seen.add(name)
            keys += [
                age.HybridIdentity.from_string(line.decode())
                for line in plaintext.split(b"\n")
                if line.startswith(b"AGE-SECRET-KEY-PQ-1")
            ]
        if len(keys) == before:
            return keys


# --- a store that fails ------------------------------------------------------------------------


class Dead(BaseException):
    """The process was killed."""


@dataclass
class Faulty:
    """A store that fails at its ``at``-th operation, counted from 0.

    ``error``: that one raises, ``late`` after it was done; what comes after works. Otherwise the
    process is dead from there on.
    """

    inner: MemoryStore
    at: int = -1
    error: bool = False
    late: bool = False
    count: int = 0
    changes: list[int] = field(default_factory=list)

    def _step(self, call: Callable[[], Any], *, changes: bool = False) -> Any:
        number, self.count = self.count, self.count + 1
        self.changes += [number] * changes
        if 0 <= self.at <= number and not self.error:
            raise Dead
        if number == self.at and not self.late:
            raise OSError(5, "Input/output error")
        result = call()
        if number == self.at:
            raise OSError(5, "Input/output error")
        return result

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found) or name in ("close", "describe", "writable"):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "list":
                return iter(self._step(lambda: list(found(*arguments, **options))))
            if name == "create":
                return _Writer(self, found(*arguments, **options))
            changes = name in ("commit", "delete", "delete_tree")
            return self._step(lambda: found(*arguments, **options), changes=changes)

        return call


class _Writer:
    def __init__(self, store: Faulty, inner: Any) -> None:
        self._store, self._inner = store, inner

    def write(self, data: Any) -> None:
        self._inner.write(data)

    def commit(self) -> None:
        self._store._step(self._inner.commit, changes=True)

    def abort(self) -> None:
        self._inner.abort()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def faults(
    scene: Scene, act: Callable[[Scene], object], *, every: int = 1
) -> Iterator[tuple[Scene, str]]:
    """Yield, for every operation by which ``act`` changes the store and for every way in which it
    may fail, a copy of the vault as that left it; and so for each ``every``-th that only reads.

    A death between two changes leaves what the first of them left.
    """
    trial = scene.copy()
    counted = Faulty(trial.store)
    trial.store = counted  # type: ignore[assignment]
    act(trial)
    changes = set(counted.changes)
    ways = [(at, way) for at in counted.changes for way in ("dead", "error", "late")]
    ways += [(at, "error") for at in range(0, counted.count, every) if at not in changes]
    for at, way in ways:
        trial = scene.copy()
        inner = trial.store
        faulty = Faulty(inner, at, way != "dead", way == "late")
        trial.store = faulty  # type: ignore[assignment]
        with suppress(Dead, Exception):
            act(trial)
        trial.store = inner
        yield trial, f"operation {at} of {counted.count}: {way}"
