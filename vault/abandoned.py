"""What an interrupted rekeying left: a manifest that no event logged, and the files it names.

A log that was put back from an older copy looks the same as one whose writer crashed: it does not
name the manifests of later rekeyings, and their forms may be all that is left of what these let go
of. Nobody can tell the two apart for certain. So nothing is deleted unless everything small that
this log calls for is there and sound: then no form that it does not name can be the last one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from vault.errors import FormatError, StateError, VaultError
from vault.expected import ExpectedFile, expected_files, unread_manifests
from vault.forms import check_stored
from vault.layout import BUNDLES, KEYS, rekey_name
from vault.replacement import Replacement, Replacements, parse_manifest
from vault.stored import MAX_SMALL_FILE
from vault.view import View

__all__ = ["Abandoned", "abandoned_in", "clear_abandoned"]

_MANIFEST: Final = ".files"

_logger = logging.getLogger("vault")


@final
@dataclass(frozen=True, slots=True)
class Abandoned:
    """A manifest that no event logged, and what it says took the place of what."""

    sha256: bytes
    lines: tuple[Replacement, ...]


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
            found.append(Abandoned(sha256, _lines(data, state.epochs, name)))
    return tuple(found)


def _lines(data: bytes, epochs: Iterable[bytes], where: str) -> tuple[Replacement, ...]:
    """Return the lines of a manifest, whatever epoch it is for; none if it is for no known one."""
    for epoch in epochs:
        try:
            return parse_manifest(data, epoch, where)
        except FormatError:
            continue
    return ()


def clear_abandoned(view: View, found: Iterable[Abandoned]) -> int:
    """Delete what interrupted rekeyings left; return how many files that were.

    ``found`` was returned by :func:`abandoned_in` *before* an event that this view appended and
    now shows. A rekeying commits a manifest only at the very size of the log at which it began to
    write it, so none of these can be logged any more, and no writer at work relies on them.

    Nothing goes of a log that breaks a rule, or while a manifest or another small file that must be
    there is damaged or missing; nor by a manifest that is for no epoch of this log, or that names a
    file which this log does not know.
    """
    state, store = view.state, view.store
    left = [one for one in found if one.sha256 not in state.rekeyings]
    if not left or view.breaches:
        return 0
    replacements = Replacements(store)
    expected = expected_files(view.events(), state, replacements)
    if unread_manifests(state, replacements) or not _is_whole(view, expected):
        return 0
    files = expected.values()
    live = {file.first for file in files if file.epoch is not None and not file.destroyed}
    deleted = 0
    for one in left:
        # A crash leaves no line of a file that the log does not know: who wrote it read the log.
        if not one.lines or not all(_is_spare(line.name, expected, live) for line in one.lines):
            continue
        # The manifest goes last: as long as it is there, the others are known.
        for name in (*(line.new for line in one.lines), rekey_name(one.sha256)):
            if name in expected:
                continue
            try:
                store.delete(name)
            except FileNotFoundError:
                continue
            except (OSError, StateError) as error:
                _logger.warning("not deleted: %s", error)
                break
            deleted += 1
    return deleted


def _is_whole(view: View, expected: Mapping[str, ExpectedFile]) -> bool:
    """Say whether every small file that must be there is, as it was logged."""
    for file in expected.values():
        if file.destroyed or (file.name.startswith(f"{BUNDLES}/") and file.epoch is None):
            continue
        try:
            check_stored(view.store, file)
        except (OSError, VaultError):
            return False
    return True


def _is_spare(name: str, expected: Mapping[str, ExpectedFile], live: set[str]) -> bool:
    """Say whether a further form of a file is not needed: another one is there, or all of them went
    with their bundle.
    """
    file = expected.get(name)
    return name in live or (file is not None and file.first == name and file.destroyed)
