"""``epoch.shredded``: old epochs go, with all that opens them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.codec import Packable
from vault.custody import Epoch
from vault.deletion import Deletion, finish_deletions
from vault.draft import Draft
from vault.errors import AmbiguousError, NotFoundError, VaultError
from vault.event import Event
from vault.layout import epoch_name
from vault.rekeying.plan import Plan, closed_by, held_with
from vault.vault import Vault
from vault.view import View

__all__ = ["ShredStep", "Shredding", "epoch_of", "shred"]

ShredStep: TypeAlias = Literal["confirm", "done", "grant", "prune", "rekey", "restore"]


@final
@dataclass(frozen=True, slots=True)
class Shredding:
    """How far the shredding of an epoch came.

    ``epochs`` (oldest first) go together: the files of all hold its identity. ``opened`` is the
    event that opened a new epoch, whose file holds no earlier one, and ``event`` the one that
    shredded, if they came now. ``next`` is what has to be done before it is called again: ``grant``
    means that ``files`` ones are closed to some readers and can't be encrypted again until that is
    granted, ``rekey`` that so many still have to be. ``deletion`` is what became of the files that
    opened the epochs.
    """

    epochs: tuple[bytes, ...]
    next: ShredStep
    files: int = 0
    opened: Event | None = None
    event: Event | None = None
    deletion: Deletion | None = None


def epoch_of(view: View, prefix: str) -> Epoch:
    """Return the epoch whose id, in hex, begins so; raise ``NotFoundError``, ``AmbiguousError``."""
    found = [one for one in view.state.epochs.values() if one.id.hex().startswith(prefix)]
    if not prefix or not found:
        raise NotFoundError(prefix, "no epoch begins so")
    if len(found) > 1:
        ids = tuple(sorted(one.id.hex() for one in found))
        raise AmbiguousError(prefix, "several epochs begin so", ids)
    return found[0]


def shred(
    vault: Vault,
    epoch: bytes,
    *,
    fields: Mapping[str, Packable] | None = None,
    last: bool = True,
) -> Shredding:
    """Take the next step towards the end of an epoch; written by an owner.

    Where the newest epoch's file opens it, a new epoch is opened for the readers of now, without
    the earlier ones. Where nothing that must be there is encrypted to what would go, nor closed to
    any reader by it, and all rekeyings are pruned, the epochs are shredded and the files that open
    them deleted. Otherwise nothing is done: ``next`` says what is to be done first. Of an epoch
    that was shredded, what is left is deleted. Without ``last`` the step that shreds is not taken:
    where it is the next, ``next`` is ``done`` and there is neither ``event`` nor ``deletion``.

    Raises ``NotFoundError``, ``CustodyError``, and what :meth:`Vault.commit` does.
    """
    vault.check_may("epoch.shredded")
    vault.refresh()
    state = vault.state
    if epoch not in state.epochs:
        raise NotFoundError(epoch.hex(), "no epoch has that id")
    if epoch in state.shredded:
        return Shredding((epoch,), "done", deletion=_finish(vault))
    opened = None
    if state.newest in held_with(state, epoch):
        *_, opened = vault.commit(lambda: _new_epoch(vault, fields))
    step, files = _judge(vault, epoch)
    if step != "done":
        return Shredding(_going(vault, epoch), step, files, opened=opened)
    if not last:
        return Shredding(_going(vault, epoch), step, opened=opened)
    stopped: list[tuple[ShredStep, int]] = []

    def build() -> Sequence[Draft]:
        # Others may have sealed, or opened an epoch, since that was looked at.
        found = _judge(vault, epoch)
        if found[0] != "done":
            stopped.append(found)
            raise _NotNowError
        data: dict[str, Packable] = {"epochs": tuple(sorted(_going(vault, epoch)))}
        return [vault.draft("epoch.shredded", data=data, fields=fields)]

    going = _going(vault, epoch)
    try:
        (event,) = vault.commit(build)
    except _NotNowError:
        return Shredding(_going(vault, epoch), *stopped[-1], opened=opened)
    return Shredding(going, "done", opened=opened, event=event, deletion=_finish(vault))


class _NotNowError(Exception):
    """The log moved on, and something has to be done first."""


def _going(view: View, epoch: bytes) -> tuple[bytes, ...]:
    together = held_with(view.state, epoch)
    return tuple(one for one in view.state.epochs if one in together)


def _judge(view: View, epoch: bytes) -> tuple[ShredStep, int]:
    """Return what has to be done before an epoch can be shredded, and to how many files."""
    plan = Plan(view)
    state = plan.state
    going = held_with(state, epoch)
    if state.newest in going:
        return "rekey", 0
    if plan.unread:
        return "restore", 0
    needed = {file.name for file in closed_by(state, going, plan.expected)}
    files = [file for file in plan.files if any(form.name in needed for form in file.forms)]
    due = [file for file in files if plan.is_due(file)]
    if any(plan.is_free(file) for file in due):
        return "rekey", sum(plan.is_free(file) for file in due)
    if due:
        return "grant", len(due)
    if any(one.confirmed is None for one in state.rekeyings.values()):
        return "confirm", len(files)
    if files or any(one.pruned is None for one in state.rekeyings.values()):
        return "prune", len(files)
    return "done", 0


def _new_epoch(vault: Vault, fields: Mapping[str, Packable] | None) -> list[Draft]:
    state = vault.state
    readers = [state.members[key].keys for key in state.active("reader")]
    epoch = vault.new_epoch(readers, history=False)
    data = epoch.to_data(state.active("reader"), history=False)
    return [
        vault.draft(
            "epoch.opened",
            data=data,
            fields=fields,
            epoch=epoch,
            files={epoch_name(epoch.id): epoch.data},
        )
    ]


def _finish(vault: Vault) -> Deletion:
    try:
        return finish_deletions(vault)
    except (OSError, VaultError):
        # The event is durable, and even the log can't be read now.
        left = tuple(epoch_name(epoch) for epoch in vault.state.shredded)
        return Deletion(undone=left)
