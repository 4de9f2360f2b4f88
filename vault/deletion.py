"""Deleting what a vault's log has let go of: the one place that does.

Three events let go of files: ``bundle.destroyed``, a rekeying that is ``pruned``, and
``epoch.shredded``. They are durable before the first file goes, so what is left after a crash is
known by the log and deleted by whoever comes next: the next writer, for what a destroyed bundle and
a shredded epoch left, which one look at a name shows; and ``tend``, for all.

Deleting can't be undone, so the log alone is not enough:

- nothing is deleted of a log in which an event breaks a rule;
- a file goes only if every event that names it lets go of it (:mod:`vault.expected`);
- a file that was encrypted again goes only while a form of it that a second reader confirmed is
  stored, with its digest, and stays;
- the files that open a shredded epoch go only if no file that must be there is encrypted to it.

Order: what opens (the files of epochs, then key files), what tells (fields files), then evidence,
and at last the directory of each bundle: as long as it is there, something may be left of it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from vault.errors import FormatError, StateError, VaultError
from vault.expected import ExpectedFile, expected_files, stranded_in, unread_manifests
from vault.forms import check_stored
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
from vault.replacement import Replacement, Replacements, parse_manifest
from vault.storage import Store
from vault.stored import MAX_SMALL_FILE
from vault.view import View

__all__ = [
    "Abandoned",
    "Deletion",
    "abandoned_in",
    "clear_abandoned",
    "finish_deletions",
    "finish_quietly",
    "is_unfinished",
]

_MANIFEST: Final = ".files"

_logger = logging.getLogger("vault")


@final
@dataclass(frozen=True, slots=True)
class Deletion:
    """What was done: ``deleted`` files are gone.

    ``undone`` are the names of files and directories that could not be deleted (a fault of the
    medium, or no permission). ``withheld`` are those that were left on purpose: what should have
    taken their place is damaged, or something is still encrypted to what they open. ``leftovers``
    are no event's: an interrupted work left them, or somebody put them there; without a key
    nobody can say what is in them.
    """

    deleted: int = 0
    undone: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


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
    unread = bool(unread_manifests(state, replacements))
    opening = unread or bool(stranded_in(state.shredded, expected))
    heirs = _Heirs(store, expected)
    deleted = 0
    undone: list[str] = []
    withheld: list[str] = []
    marked: set[bytes] = set()
    for file in sorted(there, key=_rank):
        if (file.name.startswith(f"{KEYS}/") and opening) or not heirs.of(file):
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
    return Deletion(deleted, tuple(undone), tuple(withheld), tuple(leftovers))


def _rank(file: ExpectedFile) -> int:
    if file.name.startswith(f"{KEYS}/"):
        return 0
    if file.name.startswith(f"{BUNDLES}/"):
        return 1 if file.epoch is not None else 3
    return 2


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
    """Whether what took a file's place is there, by its digest; each is read once."""

    def __init__(self, store: Store, expected: Mapping[str, ExpectedFile]) -> None:
        self._store = store
        self._expected = expected
        self._sound: dict[str, bool] = {}

    def of(self, file: ExpectedFile) -> bool:
        return not file.heirs or any(self._is_sound(name) for name in file.heirs)

    def _is_sound(self, name: str) -> bool:
        if name not in self._sound:
            file = self._expected[name]
            try:
                check_stored(self._store, file)
            except (OSError, VaultError):
                self._sound[name] = False
            else:
                self._sound[name] = not file.destroyed
        return self._sound[name]


# --- what an interrupted rekeying left ----------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Abandoned:
    """A manifest that no event logged, and the files that it names."""

    sha256: bytes
    files: tuple[str, ...]


def abandoned_in(view: View) -> tuple[Abandoned, ...]:
    """Return the manifests that are stored and not logged: a rekeying writes its own before the
    files that it names, so that they are known after a crash. Or it is still at work.
    """
    store, state = view.store, view.state
    found = []
    for name, size in store.list(KEYS):
        digits = name.removeprefix(f"{KEYS}/").removesuffix(_MANIFEST)
        if not name.endswith(_MANIFEST) or size > MAX_SMALL_FILE:
            continue
        try:
            sha256 = bytes.fromhex(digits)
            if rekey_name(sha256) != name or sha256 in state.rekeyings:
                continue
            data = store.read(name, 0, MAX_SMALL_FILE)
        except (ValueError, OSError, StateError):
            continue
        if hashlib.sha256(data).digest() == sha256:
            found.append(Abandoned(sha256, tuple(_named(data, state.epochs, name))))
    return tuple(found)


def _named(data: bytes, epochs: Iterable[bytes], where: str) -> list[str]:
    """Return the new files of a manifest, whatever epoch it is for."""
    for epoch in epochs:
        try:
            lines: tuple[Replacement, ...] = parse_manifest(data, epoch, where)
        except FormatError:
            continue
        return [line.new for line in lines]
    return []


def clear_abandoned(view: View, found: Iterable[Abandoned]) -> int:
    """Delete what interrupted rekeyings left; return how many files that were.

    ``found`` was returned by :func:`abandoned_in` *before* an event that this view appended and
    now shows. A rekeying commits a manifest only at the very size of the log at which it began to
    write it, so none of these can be logged any more, and no writer at work relies on them.
    """
    left = [one for one in found if one.sha256 not in view.state.rekeyings]
    if not left or view.breaches:
        return 0
    expected = expected_files(view.events(), view.state, Replacements(view.store))
    deleted = 0
    for one in left:
        # The manifest goes last: as long as it is there, the others are known.
        for name in (*one.files, rekey_name(one.sha256)):
            if name in expected:
                continue
            try:
                view.store.delete(name)
            except FileNotFoundError:
                continue
            except (OSError, StateError) as error:
                _logger.warning("not deleted: %s", error)
                break
            deleted += 1
    return deleted
