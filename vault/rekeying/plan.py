"""What there is to encrypt again, as the log and its manifests say; no key is needed to see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.custody import Rekeying, State
from vault.errors import NoIdentityMatchError, NotAVaultError, ProofError, VaultError
from vault.expected import ExpectedFile, expected_files, unread_manifests
from vault.forms import PrivateFile, check_one_recipient, check_stored, private_files
from vault.replacement import Replacements
from vault.view import View

__all__ = [
    "EpochStanding",
    "NextStep",
    "Plan",
    "Standing",
    "Trouble",
    "closed_by",
    "error_in",
    "for_all",
    "held_with",
    "standing",
]

NextStep: TypeAlias = Literal["confirm", "grant", "nothing", "prune", "rekey", "restore"]


@final
@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that something is wrong with: ``error`` says what."""

    name: str
    error: Exception


@final
class Plan:
    """The private files of one state of a vault, with all their forms.

    ``expected`` are all files that must be there, or should be gone; ``files`` the private ones
    that must be there, in the order of the log; ``common`` the epochs that all readers of the
    newest can open; ``unread`` the rekeyings whose manifests can't be read, or are none.
    """

    def __init__(self, view: View) -> None:
        self.state = view.state
        self.size = view.size
        self.replacements = Replacements(view.store)
        self.expected = expected_files(view.events(), self.state, self.replacements)
        self.files = tuple(private_files(view.events(), self.expected))
        self.common = for_all(self.state)
        self.unread = unread_manifests(self.state, self.replacements)

    def is_due(self, file: PrivateFile) -> bool:
        """Say whether a file has no form that is encrypted to the newest epoch."""
        return all(form.epoch != self.state.newest for form in file.forms)

    def is_free(self, file: PrivateFile) -> bool:
        """Say whether to encrypt a file to the newest epoch gives nobody what was closed to them:
        all its readers can open one of its forms already.
        """
        return any(form.epoch in self.common for form in file.forms)


def for_all(state: State) -> frozenset[bytes]:
    """Return the epochs that every reader of the newest can open."""
    opened = [state.opens(reader) for reader in state.open_epoch().readers]
    return frozenset.intersection(*opened)


def held_with(state: State, epoch: bytes) -> frozenset[bytes]:
    """Return the epochs that can only be shredded together with one: itself, those whose files
    hold its identity, those that a reader of now only has from a file that would go, and so on.
    What is shredded already is left out.
    """
    found: set[bytes] = set()
    more = {epoch}
    while more:
        found |= more
        holding = {one for one in state.epochs if not found.isdisjoint(state.held_by(one))}
        more = (holding - state.shredded) | state.closes(found)
        more -= found
    return frozenset(found - state.shredded)


def closed_by(
    state: State, epochs: Iterable[bytes], expected: Mapping[str, ExpectedFile]
) -> list[ExpectedFile]:
    """Return the files that a reader of now can open, and could not once ``epochs`` are shredded:
    those that are encrypted to one, and those whose own epoch some reader only has from a file that
    would go.
    """
    going = frozenset(epochs)
    lost = going | state.closes(going)
    return [file for file in expected.values() if file.epoch in lost and not file.destroyed]


def error_in(
    vault: View, plan: Plan, file: PrivateFile, form: ExpectedFile
) -> VaultError | OSError | None:
    """Open one form of a private file, and hold it to what its event commits to; return what is
    wrong with it: ``NoIdentityMatchError`` if the log says that it is not open to this identity.
    """
    try:
        check_one_recipient(check_stored(vault.store, form), form.name)
        file.open(form, vault.event(file.seq), vault.keyring, plan.state)
    except NotAVaultError:
        raise
    except NoIdentityMatchError as error:
        assert vault.identity is not None  # or there were no keyring
        if form.epoch not in plan.state.opens(vault.identity.ed25519):
            return error
        return ProofError("file", "does not open, though the log says that it does", form.name)
    except (VaultError, OSError) as error:
        return error
    return None


# --- where it stands ------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class EpochStanding:
    """An epoch, how many ``readers`` its file is for, and how many ``files`` that must be there are
    encrypted to it. ``held``: the newest epoch's file opens it too.
    """

    id: bytes
    seq: int
    readers: int
    files: int
    held: bool
    shredded: bool


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """Where the rekeying of a vault stands.

    Of ``files`` private files, ``due`` are to be encrypted to the ``newest`` epoch; to do so with
    ``closed`` ones would open them to readers who can't open them now: these are left until that is
    granted. ``unconfirmed`` and ``unpruned`` are the rekeyings that wait for a second reader, or
    for old files to be deleted; ``undeleted`` the files that should be gone. ``unread`` are those
    whose manifests are damaged or missing. ``next`` is what has to be done now, ``restore`` being
    to put a damaged manifest back from a good copy.
    """

    newest: bytes
    epochs: tuple[EpochStanding, ...]
    files: int
    due: int
    closed: int
    unconfirmed: tuple[Rekeying, ...]
    unpruned: tuple[Rekeying, ...]
    undeleted: int
    unread: tuple[Rekeying, ...]
    next: NextStep


def standing(view: View) -> Standing:
    """Return where the rekeying of a vault stands, by its log, its manifests and its file names."""
    plan = Plan(view)
    state = plan.state
    newest = state.open_epoch().id
    waiting = [file for file in plan.files if plan.is_due(file)]
    due = sum(plan.is_free(file) for file in waiting)
    rekeyings = state.rekeyings.values()
    unconfirmed = tuple(one for one in rekeyings if one.confirmed is None)
    unpruned = tuple(one for one in rekeyings if one.confirmed is not None and one.pruned is None)
    stored = {name for name, _ in view.store.list()}
    undeleted = sum(file.destroyed and file.name in stored for file in plan.expected.values())
    counts = Counter(
        file.epoch
        for file in plan.expected.values()
        if file.epoch is not None and not file.destroyed
    )
    held = frozenset(state.held_by(newest))
    return Standing(
        newest=newest,
        epochs=tuple(
            EpochStanding(
                id=epoch.id,
                seq=epoch.seq,
                readers=len(epoch.readers),
                files=counts[epoch.id],
                held=epoch.id in held,
                shredded=epoch.id in state.shredded,
            )
            for epoch in state.epochs.values()
        ),
        files=len(plan.files),
        due=due,
        closed=len(waiting) - due,
        unconfirmed=unconfirmed,
        unpruned=unpruned,
        undeleted=undeleted,
        unread=tuple(plan.unread),
        next=_next(plan, due, len(waiting) - due, unconfirmed, unpruned or undeleted),
    )


def _next(
    plan: Plan, due: int, closed: int, unconfirmed: tuple[Rekeying, ...], old: object
) -> NextStep:
    if plan.unread:
        return "restore"
    if due:
        return "rekey"
    if unconfirmed:
        return "confirm"
    if old:
        return "prune"
    return "grant" if closed else "nothing"
