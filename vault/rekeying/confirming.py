"""``confirmed``: another reader opens every new file before old ones may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from vault.codec import Packable
from vault.custody import Rekeying
from vault.draft import Draft
from vault.errors import NotAVaultError, ProofError, VaultError
from vault.event import Event
from vault.expected import ExpectedFile, flaws_of
from vault.forms import PrivateFile
from vault.layout import rekey_name
from vault.pipeline import Progress, ProgressCallback
from vault.rekeying.plan import Plan, Trouble, error_in
from vault.vault import Vault

__all__ = ["Confirmation", "confirm"]


@final
@dataclass(frozen=True, slots=True)
class Confirmation:
    """What was done: ``files`` were opened and ``rekeyings`` confirmed, by as many ``events``.

    If one file is ``bad``, nothing was written. ``own`` rekeyings are this identity's, and wait for
    another reader.
    """

    events: tuple[Event, ...]
    rekeyings: tuple[Rekeying, ...]
    files: int
    bad: tuple[Trouble, ...]
    own: tuple[Rekeying, ...]


def confirm(
    vault: Vault,
    *,
    fields: Mapping[str, Packable] | None = None,
    progress: ProgressCallback | None = None,
) -> Confirmation:
    """Open every file of all rekeyings that another reader wrote, or that the only reader did, and
    hold it to what its event commits to; confirm them all, or none; written by a reader.

    A new file that is bad does not count if a later rekeying, confirmed or looked at here as well,
    has a good one in its place: that is how a bad one is made good. What went with a destroyed
    bundle is not looked at.

    Raises ``CustodyError`` and what :meth:`Vault.commit` does. A bad file is no error: it is named.
    """
    vault.check_may("vault.rekeyed")
    vault.refresh()
    plan = Plan(vault)
    waiting = [one for one in plan.state.rekeyings.values() if one.confirmed is None]
    me = vault.identity
    assert me is not None  # asked by check_may
    alone = set(plan.state.active("reader")) == {me.ed25519}
    own = [one for one in waiting if one.by == me.ed25519 and not alone]
    mine = [one for one in waiting if one not in own]
    look = _Look(vault, plan, mine, progress)
    bad = [trouble for one in mine for trouble in look.at(one)]
    events: tuple[Event, ...] = ()
    if mine and not bad:
        events = vault.commit(lambda: _drafts(vault, mine, fields))
    done = tuple(mine) if events else ()
    return Confirmation(events, done, look.count, tuple(bad), tuple(own))


def _drafts(
    vault: Vault, rekeyings: Sequence[Rekeying], fields: Mapping[str, Packable] | None
) -> list[Draft]:
    return [
        vault.draft(
            "vault.rekeyed",
            data={
                "stage": "confirmed",
                "epoch": one.epoch,
                "manifest": (one.manifest, one.size),
            },
            fields=fields,
        )
        for one in rekeyings
    ]


class _Look:
    """Opens new files; ``count`` are those that were good."""

    def __init__(
        self,
        vault: Vault,
        plan: Plan,
        rekeyings: Sequence[Rekeying],
        progress: ProgressCallback | None,
    ) -> None:
        self.count = 0
        self._vault = vault
        self._plan = plan
        self._progress = progress
        self._done = 0
        seqs = {one.seq for one in rekeyings}
        confirmed = {one.seq for one in plan.state.rekeyings.values() if one.confirmed is not None}
        self._counting = seqs | confirmed
        self._files = {
            form.name: file
            for file in plan.files
            for form in file.forms
            if form.seq in seqs and form.name != file.name
        }
        self._total = sum(plan.expected[name].size for name in self._files)
        self._flaws: dict[int, list[str]] = {}
        for flaw in flaws_of(vault.events(), plan.state, plan.replacements):
            self._flaws.setdefault(flaw.rekeying.seq, []).append(
                f"{flaw.name}: {flaw.why}" if flaw.name else flaw.why
            )

    def at(self, rekeying: Rekeying) -> list[Trouble]:
        """Return what is wrong with the new files of a rekeying."""
        name = rekey_name(rekeying.manifest)
        flaws = self._flaws.get(rekeying.seq)
        if flaws:
            return [Trouble(name, ProofError("manifest", why, name)) for why in flaws]
        try:
            lines = self._plan.replacements.of(rekeying)
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            return [Trouble(name, error)]
        found: list[Trouble] = []
        for line in lines.values():
            file = self._files.get(line.new)
            if file is None:
                continue  # it went with its bundle, or a later one was pruned
            form = self._plan.expected[line.new]
            self._tell(form)
            wrong = self._error(file, form)
            later = (one for one in file.forms if one.seq > form.seq and one.seq in self._counting)
            if wrong is None:
                self.count += 1
            elif all(self._error(file, one) is not None for one in later):
                found.append(Trouble(form.name, wrong))
        return found

    def _error(self, file: PrivateFile, form: ExpectedFile) -> VaultError | OSError | None:
        return error_in(self._vault, self._plan, file, form)

    def _tell(self, form: ExpectedFile) -> None:
        self._done += form.size
        if self._progress is not None:
            self._progress(Progress("confirm", self._done, self._total, form.name))
