"""What must be true of a vault after a fault, whatever the fault was: one judge for every harness.

``Unsound`` says which promise was broken. A judge is made of a vault before the work, and is then
given what is left of copies of it after the work was stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.verbs import Verb, write_again
from tests.rooms.house import MINA, NOOR, OWNER
from vault import Identity, LocalStore, Vault
from vault.auditing import Report, audit
from vault.errors import FormatError, NotAVaultError, StateError, VaultError
from vault.log import Log
from vault.storage import Store
from vault.tending import tend
from vault.tlog.checkpoint import parse_signed_checkpoint

__all__ = ["Before", "Unsound", "checkpoints_in", "judge", "judge_forks", "read_all"]

_AT_REST = frozenset(("pending-commit", "pending-deletion", "pending-torn"))
"""Notes that say what the next writer will do. After it wrote, none of them is left."""


class Unsound(AssertionError):
    """A promise was broken: something was lost, or changed unseen, or a sound vault refused."""


@dataclass(frozen=True, slots=True)
class Before:
    """The log before the work: its entries, all of which were acknowledged. Empty: no vault."""

    entries: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, path: Path) -> Before:
        """Read the log at ``path``; nothing there is an empty one."""
        if not (path / "log" / "checkpoint").exists():
            return cls()
        log = Log(LocalStore(path))
        log.refresh()
        return cls(tuple(log.entry(seq) for seq in range(log.size)))


def checkpoints_in(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (size, root) of every signed checkpoint in any file below ``path``, ``tmp/`` too."""
    for file in path.rglob("*"):
        if not file.is_file() or file.stat().st_size > 1 << 16:
            continue
        try:
            head = parse_signed_checkpoint(file.read_bytes().rstrip(b"\0")).checkpoint
        except FormatError:
            continue
        yield head.size, head.root


def judge_forks(path: Path, seen: dict[int, bytes]) -> None:
    """Raise unless all signed checkpoints of one size have one root, those ``seen`` before too."""
    for size, root in checkpoints_in(path):
        if seen.setdefault(size, root) != root:
            raise Unsound(f"two signed checkpoints of size {size}")


def _sound(what: str, source: Path, identity: Identity | None = None) -> Report:
    report = audit(source, identity=identity)
    worse = [one for one in report.findings if one.severity != "note"]
    if report.verdict != "intact" or worse:
        raise Unsound(f"{what}: {report.verdict}: {worse or report.findings}")
    return report


def _entries(store: Store) -> tuple[bytes, ...]:
    log = Log(store)
    log.refresh()
    return tuple(log.entry(seq) for seq in range(log.size))


def _is_founded(path: Path) -> bool:
    """Whether there is a vault where one was being made; if not, nothing may pass for one."""
    try:
        Vault.open(LocalStore(path)).close()
    except VaultError:
        with suppress(NotAVaultError):
            if audit(path).verdict == "intact":
                raise Unsound("what is no vault is called intact") from None
        return False
    return True


def judge(path: Path, verb: Verb, before: Before, *, acknowledged: bool, added: int) -> None:
    """Raise ``Unsound`` unless what is left at ``path`` keeps every promise; write there, too.

    ``acknowledged``: the verb had returned, or said so, before the fault; ``added``: how many
    events it appends when nothing stops it. A verb of several commits may have made some of them.
    The vault at ``path`` is changed by this, as the next writer changes it.
    """
    heads: dict[int, bytes] = {}
    judge_forks(path, heads)
    if not before.entries and not acknowledged and not _is_founded(path):
        return
    _sound("just after", path)
    found = _entries(LocalStore(path))
    if found[: len(before.entries)] != before.entries:
        raise Unsound("an acknowledged event is gone")
    most = len(before.entries) + added
    if len(found) > most or (acknowledged and len(found) != most):
        raise Unsound(f"{len(found)} events, not {most}; acknowledged: {acknowledged}")
    write_again(path)
    judge_forks(path, heads)
    tend(LocalStore(path))
    report = _sound("after the next writer", path)
    if verb.deletes_alone and any(one.code == "pending-deletion" for one in report.findings):
        with suppress(StateError):  # nothing was left to record
            verb.run(path)
        report = _sound("after the same verb", path)
    left = [one for one in report.findings if one.code in _AT_REST]
    if left:
        raise Unsound(f"the next writer left {left}")
    again = _entries(LocalStore(path))
    # A commit that was signed and not published is finished by the next writer, before its own.
    if again[: len(found)] != found or not len(found) < len(again) <= most + 1:
        raise Unsound(f"the next writer made {len(again)} of {len(found)} events, at most {most}")
    for reader in (MINA, NOOR):
        _sound("with keys", path, reader)
    read_all(path)


def read_all(path: Path) -> None:
    with Vault.open(LocalStore(path), identity=MINA) as vault:
        if vault.state.members[OWNER.ed25519].removed is not None:
            raise Unsound("the owner is gone")
        reads = MINA.ed25519 in vault.state.active("reader")
        for bundle in vault.state.bundles.values() if reads else ():
            if bundle.destroyed is None:
                with vault.read(bundle.id) as reading:
                    reading.check()
