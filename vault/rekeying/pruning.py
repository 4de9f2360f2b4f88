"""``pruned``: the files that were encrypted again go, once their new ones were confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from vault.codec import Packable
from vault.custody import Rekeying
from vault.deletion import Deletion, finish_deletions
from vault.draft import Draft
from vault.errors import NoIdentityMatchError, NotAVaultError, ProofError, VaultError
from vault.event import Event
from vault.expected import ExpectedFile, flaws_of
from vault.forms import PrivateFile
from vault.layout import rekey_name
from vault.pipeline import Progress, ProgressCallback
from vault.rekeying.plan import Plan, Trouble, error_in
from vault.vault import Vault

__all__ = ["Pruning", "prune"]


@final
@dataclass(frozen=True, slots=True)
class Pruning:
    """What was done: ``events`` say that old files may be gone, and ``deletion`` what became of
    them.

    Of the ``unconfirmed`` rekeyings nothing is pruned, nor of one with a new file that is ``bad``:
    damaged, or missing, or not what its event commits to, where no later form of it is confirmed
    and sound; nor of one with new files that are ``closed`` to this identity, which can't say so.
    """

    events: tuple[Event, ...]
    deletion: Deletion
    unconfirmed: tuple[Rekeying, ...]
    bad: tuple[Trouble, ...]
    closed: tuple[str, ...] = ()


def prune(
    vault: Vault,
    *,
    fields: Mapping[str, Packable] | None = None,
    progress: ProgressCallback | None = None,
) -> Pruning:
    """Record that the old files of all confirmed rekeyings go, and delete them; written by a
    reader. Again, it deletes what is left.

    Each new file is opened once more before, by this identity, and by the deletion again: whoever
    wrote it and whoever confirmed it may be two who deceive. ``fields`` are private fields of the
    events (``reason``). Raises ``CustodyError`` and what :meth:`Vault.commit` does; what
    goes wrong after that is no error, and stands in ``deletion``.
    """
    vault.check_may("vault.rekeyed")
    vault.refresh()
    plan = Plan(vault)
    rekeyings = plan.state.rekeyings.values()
    ready: list[Rekeying] = []
    bad: list[Trouble] = []
    flawed = {
        flaw.rekeying.manifest: flaw.why
        for flaw in flaws_of(vault.events(), plan.state, plan.replacements)
    }
    look = _Look(vault, plan, progress)
    for one in rekeyings:
        if one.confirmed is None or one.pruned is not None:
            continue
        if one.manifest in flawed:
            name = rekey_name(one.manifest)
            found = [Trouble(name, ProofError("manifest", flawed[one.manifest], name))]
        else:
            found = look.at(one)
        bad += found
        if not found:
            ready.append(one)
    events: tuple[Event, ...] = ()
    if ready:
        events = vault.commit(lambda: _drafts(vault, ready, fields))
    try:
        deletion = finish_deletions(vault)
    except (OSError, VaultError):
        if not events:
            raise
        deletion = Deletion(undone=tuple(rekey_name(one.manifest) for one in ready))
    unconfirmed = tuple(one for one in rekeyings if one.confirmed is None)
    closed = tuple(one.name for one in bad if isinstance(one.error, NoIdentityMatchError))
    bad = [one for one in bad if not isinstance(one.error, NoIdentityMatchError)]
    return Pruning(events, deletion, unconfirmed, tuple(bad), closed)


def _drafts(
    vault: Vault, rekeyings: list[Rekeying], fields: Mapping[str, Packable] | None
) -> list[Draft]:
    return [
        vault.draft(
            "vault.rekeyed",
            data={"stage": "pruned", "epoch": one.epoch, "manifest": (one.manifest, one.size)},
            fields=fields,
        )
        for one in rekeyings
    ]


class _Look:
    """Opens new files, to see whether they are what their events commit to."""

    def __init__(self, vault: Vault, plan: Plan, progress: ProgressCallback | None) -> None:
        self._vault = vault
        self._plan = plan
        self._progress = progress
        self._done = 0
        self._confirmed = {
            one.seq for one in plan.state.rekeyings.values() if one.confirmed is not None
        }
        self._files = {form.name: file for file in plan.files for form in file.forms}

    def at(self, rekeying: Rekeying) -> list[Trouble]:
        """Return what stands against the deletion of what a rekeying replaced."""
        try:
            lines = self._plan.replacements.of(rekeying)
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            return [Trouble(rekey_name(rekeying.manifest), error)]
        found = []
        for line in lines.values():
            file = self._files.get(line.new)
            if file is None:
                continue  # it went with its bundle, or a later one was pruned
            heirs = [
                form
                for form in file.forms
                if form.seq >= rekeying.seq and form.seq in self._confirmed
            ]
            wrong: VaultError | OSError | None = None
            for form in heirs:
                wrong = self._error(file, form)
                if wrong is None:
                    break
            if wrong is not None:
                found.append(Trouble(line.new, wrong))
        return found

    def _error(self, file: PrivateFile, form: ExpectedFile) -> VaultError | OSError | None:
        self._done += form.size
        if self._progress is not None:
            self._progress(Progress("prune", self._done, 0, form.name))
        return error_in(self._vault, self._plan, file, form)
