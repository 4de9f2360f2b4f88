"""Deleting what a vault's log has let go of: the one place that does.

Three events let go of files: ``bundle.destroyed``, a rekeying that is ``pruned``, and
``epoch.shredded``. They are durable before the first file goes, so what is left after a crash is
known by the log and deleted by whoever comes next: the next writer, for what a destroyed bundle and
a shredded epoch left, which one look at a name shows; and ``tend``, for all.

Deleting can't be undone, so the log alone is not enough:

- nothing is deleted of a log in which an event breaks a rule;
- a file goes only if every event that names it lets go of it (:mod:`vault.expected`);
- a file that was encrypted again goes only while a form of it that a second reader confirmed is
  stored, and opens here, now, to what the event commits to. Two who deceive could otherwise have
  everybody's software delete what is not theirs. Without an identity that opens it, it is left;
- the files that open a shredded epoch go only if nothing that is there for good, or was left so, is
  encrypted to it, and if what opens the other epochs is sound.

Order: what was encrypted again, what opens (the files of epochs, then key files), what tells
(fields files), then evidence, and at last the directory of each bundle: as long as it is there,
something may be left of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.errors import NoIdentityMatchError, StateError, VaultError
from vault.expected import ExpectedFile, expected_files, stranded_in, unread_manifests
from vault.forms import PrivateFile, check_stored, private_files
from vault.keyring import Keyring
from vault.layout import (
    BUNDLES,
    FORMAT_NAME,
    KEYS,
    LOG,
    bundle_directory,
    epoch_name,
    history_name,
    rekey_name,
)
from vault.replacement import Replacements
from vault.storage import Store
from vault.view import View

__all__ = [
    "Deletion",
    "finish_deletions",
    "finish_quietly",
    "is_unfinished",
]

_logger = logging.getLogger("vault")

_Heir: TypeAlias = Literal["bad", "closed", "sound"]


@final
@dataclass(frozen=True, slots=True)
class Deletion:
    """What was done: ``deleted`` files are gone.

    ``undone`` are the names of files and directories that could not be deleted (a fault of the
    medium, or no permission). ``withheld`` are those that were left on purpose: what should have
    taken their place is damaged, or something is still encrypted to what they open. ``waiting``
    are old forms whose new ones are not open here: a reader has to look at these first.
    ``leftovers`` are no event's: an interrupted work left them, or somebody put them there; without
    a key nobody can say what is in them. ``unread`` are manifests of rekeyings that can't be read:
    forms that they name may be there, and are known to nobody until the manifest is put back.
    """

    deleted: int = 0
    undone: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def is_unfinished(view: View) -> bool:
    """Say at little cost whether a destroyed bundle or a shredded epoch left something.

    Of a place that can't be read, False.
    """
    state = view.state
    names = [
        bundle_directory(bundle.id)
        for bundle in state.bundles.values()
        if bundle.destroyed is not None
    ]
    names += [epoch_name(epoch) for epoch in state.shredded]
    names += [
        history_name(grant.sha256)
        for grant in state.grants
        if not state.shredded.isdisjoint(grant.epochs)
    ]
    try:
        return any(view.store.exists(name) for name in names)
    except (OSError, StateError):
        return False


def finish_quietly(view: View) -> None:
    """Delete what is left. After a commit, which is durable: nothing that fails here is an error of
    that; an audit names what stays.
    """
    try:
        found = finish_deletions(view)
    except (OSError, VaultError) as error:
        _logger.warning("nothing was deleted: %s", error)
        return
    if found.undone:
        _logger.warning("not deleted: %d files or directories", len(found.undone))


def finish_deletions(view: View) -> Deletion:
    """Delete everything that the log has let go of and that is still there.

    A file that can't be deleted is named, and does not keep the others. Raises only what reading
    the log does.
    """
    if view.breaches:
        return Deletion()
    store, state = view.store, view.state
    replacements = Replacements(store)
    expected = expected_files(view.events(), state, replacements)
    stored = _stored(store)
    there = [
        file
        for file in expected.values()
        if file.destroyed and (stored is None or file.name in stored)
    ]
    unread = tuple(rekey_name(one.manifest) for one in unread_manifests(state, replacements))
    heirs = _Heirs(view, expected)
    deleted = 0
    undone: list[str] = []
    withheld: list[str] = []
    waiting: list[str] = []
    marked: set[bytes] = set()
    needed: bool | None = bool(unread) or None  # what opens a shredded epoch; None: not yet known
    for file in sorted(there, key=_rank):
        if file.heirs:
            found = heirs.of(file)
            if found != "sound":
                (waiting if found == "closed" else withheld).append(file.name)
                continue
        elif file.name.startswith(f"{KEYS}/"):
            if needed is None:
                needed = _is_needed(view, expected, (*waiting, *withheld))
            if needed:
                withheld.append(file.name)
                continue
        try:
            store.delete(file.name)
        except FileNotFoundError:
            continue
        except (OSError, StateError):
            undone.append(file.name)
            if file.bundle is not None:
                marked.add(file.bundle)
        else:
            deleted += 1
    for bundle in state.bundles.values():
        if bundle.destroyed is None or bundle.id in marked:
            continue
        directory = bundle_directory(bundle.id)
        if not _delete_directory(store, directory):
            undone.append(directory)
        elif stored is not None:
            stored = {name for name in stored if not name.startswith(f"{directory}/")}
    strange = () if unread else (stored or ())
    leftovers = sorted(name for name in strange if name not in expected)
    return Deletion(
        deleted, tuple(undone), tuple(withheld), tuple(leftovers), tuple(waiting), unread
    )


def _rank(file: ExpectedFile) -> int:
    if file.heirs:
        return 0
    if file.name.startswith(f"{KEYS}/"):
        return 1
    if file.name.startswith(f"{BUNDLES}/"):
        return 2 if file.epoch is not None else 4
    return 3


def _is_needed(view: View, expected: Mapping[str, ExpectedFile], left: Iterable[str]) -> bool:
    """Say whether something that is there can, or may, be opened only by what opens shredded
    epochs: ``left`` are old forms that were not deleted.
    """
    store, state = view.store, view.state
    if stranded_in(state.shredded, expected):
        return True
    if any(expected[name].epoch in state.shredded and _may_be_there(store, name) for name in left):
        return True
    # What is to open the other epochs may be damaged, and nothing but these files in its place.
    kept = (one for one in expected.values() if one.name.startswith(f"{KEYS}/"))
    if not all(_is_stored(store, one) for one in kept if not one.destroyed):
        return True
    me = view.identity
    if me is None:
        return False
    private = {one.epoch for one in expected.values() if not one.destroyed}
    keyring = Keyring(store, me)  # one that has opened nothing yet by what is to go
    try:
        for epoch in state.opens(me.ed25519) & private:
            keyring.identity_of(epoch, state)
    except (OSError, VaultError):
        return True
    return False


def _may_be_there(store: Store, name: str) -> bool:
    try:
        return store.exists(name)
    except (OSError, StateError):
        return True


def _is_stored(store: Store, file: ExpectedFile) -> bool:
    try:
        check_stored(store, file)
    except (OSError, VaultError):
        return False
    return True


def _stored(store: Store) -> set[str] | None:
    """Return the names of all files beside the log; None if they can't be listed."""
    try:
        names = {name for name, _ in store.list()}
    except (OSError, StateError):
        return None
    return {name for name in names if name != FORMAT_NAME and not name.startswith(f"{LOG}/")}


def _delete_directory(store: Store, name: str) -> bool:
    """Delete the directory of a destroyed bundle, with all that is left in it: nothing in there was
    ever anything else's. Return whether it is gone.
    """
    try:
        if store.exists(name):
            store.delete_tree(name)
    except FileNotFoundError:
        return True
    except (OSError, StateError):
        return False
    return True


class _Heirs:
    """How what took a file's place is: each is read, and opened if this identity can, once."""

    def __init__(self, view: View, expected: Mapping[str, ExpectedFile]) -> None:
        self._view = view
        self._expected = expected
        self._found: dict[str, _Heir] = {}
        self._private: dict[str, PrivateFile] | None = None

    def of(self, file: ExpectedFile) -> _Heir:
        """Return how the best of a file's heirs is."""
        best: _Heir = "bad"
        for name in reversed(file.heirs):
            found = self._look(name)
            if found == "sound":
                return found
            best = "closed" if found == "closed" else best
        return best

    def _look(self, name: str) -> _Heir:
        if name not in self._found:
            self._found[name] = self._open(self._expected[name])
        return self._found[name]

    def _open(self, form: ExpectedFile) -> _Heir:
        view = self._view
        if form.destroyed or not _is_stored(view.store, form):
            return "bad"
        if view.identity is None:
            return "closed"
        if self._private is None:
            self._private = {one.name: one for one in private_files(view.events(), self._expected)}
        file = self._private[form.first]
        try:
            file.open(form, view.event(file.seq), view.keyring, view.state)
        except NoIdentityMatchError:
            # The log may say that it opens here: then it is another's, under this name.
            return "bad" if form.epoch in view.state.opens(view.identity.ed25519) else "closed"
        except (OSError, VaultError):
            return "bad"
        return "sound"
