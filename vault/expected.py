"""Which files the events of a log call for, and which of these may be gone, and should be.

An event names its files by digest and size. Three things let go of files that an event named: the
destruction of a bundle, a rekeying that was pruned, and the shredding of an epoch. A manifest of a
rekeying (:mod:`vault.replacement`) calls for files too. A line of it that contradicts the log has
no effect here; :func:`flaws_of` names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from vault.codec import Value
from vault.custody import BundleState, Rekeying, State
from vault.errors import FormatError, NotAVaultError, VaultError
from vault.event import Event
from vault.layout import (
    bundle_key_name,
    epoch_name,
    fields_name,
    history_name,
    part_name,
    rekey_name,
)
from vault.replacement import Replacement, Replacements

__all__ = [
    "KEPT",
    "ExpectedFile",
    "Flaw",
    "expected_files",
    "flaws_of",
    "forms_by_name",
    "stranded_in",
    "unread_manifests",
]

KEPT: Final = frozenset(("bundle.destroyed", "destruction.approved", "destruction.requested"))
"""Types of events about a bundle whose private fields stay when it is destroyed: they say why."""


@final
@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file that event ``seq`` logged. ``destroyed``: it may be gone, and should be.

    ``disputed``: events before ``seq`` say something else about a file of this name. ``epoch`` is
    that which a fields file or key file is encrypted to, None for other files; ``first`` the name
    under which such a file was logged before it was encrypted again. ``bundle`` is the one that the
    file goes with. ``heirs``: what took the place of a file that is to go because a rekeying was
    pruned; one of them must be sound when it goes. ``uncertain``: a manifest that can't be read may
    have let go of it.
    """

    name: str
    sha256: bytes
    size: int
    seq: int
    destroyed: bool = False
    disputed: bool = False
    epoch: bytes | None = None
    first: str = ""
    bundle: bytes | None = None
    heirs: tuple[str, ...] = ()
    uncertain: bool = False


@final
@dataclass(frozen=True, slots=True)
class Flaw:
    """What contradicts the log in the manifest of ``rekeying``: all of it, or the line of a file
    (``name``).
    """

    rekeying: Rekeying
    why: str
    name: str = ""


def expected_files(
    events: Iterable[Event], state: State, replacements: Replacements | None = None
) -> dict[str, ExpectedFile]:
    """Return every file that the events call for, by name.

    With ``replacements``, also what took the place of their files. Manifests that can't be read
    leave files ``uncertain``; a place that is gone altogether raises ``NotAVaultError``.
    """
    found = _logged_files(events, state)
    if replacements is None or not state.rekeyings:
        return found
    lines: dict[str, list[tuple[Rekeying, Replacement]]] = {}
    unread = -1
    for rekeying, sound, _ in _manifests(found, state, replacements):
        if sound is None and rekeying.pruned is not None:
            unread = rekeying.seq
        for line in sound or ():
            lines.setdefault(line.name, []).append((rekeying, line))
    for name, history in lines.items():
        for form in _forms(found[name], history):
            other = found.get(form.name)
            # A later event that names a form of another's file must not make it go.
            needed = form.name != name and other is not None and not other.destroyed
            found[form.name] = replace(form, destroyed=False) if needed else form
    return {name: _in_doubt(file, unread) for name, file in found.items()}


def _logged_files(events: Iterable[Event], state: State) -> dict[str, ExpectedFile]:
    found: dict[str, ExpectedFile] = {}
    for event in events:
        for file in _logged(event, state):
            found[file.name] = _both(found[file.name], file) if file.name in found else file
    return found


def _logged(event: Event, state: State) -> Iterator[ExpectedFile]:
    bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
    for name, value in _files_of(event):
        match value:
            case (bytes(sha256), int(size), *more):
                epoch = more[0] if more else None
                assert epoch is None or isinstance(epoch, bytes)
            case _:
                raise AssertionError("the schema was checked")
        goes_with = None if name.startswith("fields/") and _is_kept(event, bundle) else bundle
        yield ExpectedFile(
            name,
            sha256,
            size,
            event.seq,
            destroyed=(goes_with is not None and goes_with.destroyed is not None)
            or (name.startswith("keys/") and _is_shredded(event, state)),
            epoch=epoch,
            first=name,
            bundle=goes_with.id if goes_with is not None else None,
        )


def _is_kept(event: Event, bundle: BundleState | None) -> bool:
    """Say whether the fields of an event stay when its bundle is destroyed: those that say why, and
    those of the notes that came afterwards.
    """
    destroyed = bundle.destroyed if bundle is not None else None
    return event.type in KEPT or (destroyed is not None and event.seq > destroyed)


def _is_shredded(event: Event, state: State) -> bool:
    """Say whether the file of an event opened an epoch that is to be opened no more."""
    match event.type, event.data:
        case "epoch.opened", {"epoch": epoch}:
            return epoch in state.shredded
        case "history.granted", {"epochs": tuple(epochs)}:
            return not state.shredded.isdisjoint(epochs)
    return False


def _both(one: ExpectedFile, other: ExpectedFile) -> ExpectedFile:
    """Return what two events together say of one file: it goes only when neither needs it."""
    same = (one.sha256, one.size) == (other.sha256, other.size)
    return replace(
        other,
        destroyed=one.destroyed and other.destroyed,
        disputed=one.disputed or not same,
    )


def _files_of(event: Event) -> Iterator[tuple[str, Value]]:
    if event.sealed is not None:
        yield fields_name(event.sealed.sha256), event.sealed.to_value()
    match event.type, event.data:
        case "epoch.opened", {"epoch": bytes(epoch), "file": file}:
            yield epoch_name(epoch), file
        case "history.granted", {"file": (bytes(sha256), _) as file}:
            yield history_name(sha256), file
        case "vault.rekeyed", {"manifest": (bytes(sha256), _) as file}:
            yield rekey_name(sha256), file
        case "bundle.sealed", {"parts": tuple(parts), "key_file": (bytes(d), _, bytes(e)) as file}:
            assert event.bundle is not None
            yield bundle_key_name(event.bundle, e, d), file
            for number, part in enumerate(parts):
                yield part_name(event.bundle, number), part
        case ("checkpoint.attested", {"file": (bytes(sha256), _) as file}) | (
            "custody.receipted",
            {"receipt": (bytes(sha256), _) as file},
        ):
            yield f"foreign/{sha256.hex()}", file


# --- what was encrypted again -------------------------------------------------------------------


def _manifests(
    logged: Mapping[str, ExpectedFile], state: State, replacements: Replacements
) -> Iterator[tuple[Rekeying, list[Replacement] | None, list[Flaw]]]:
    """Yield each rekeying, oldest first, with the sound lines of its manifest (None: it can't be
    read, or is none) and its flaws.
    """
    taken: set[str] = set()
    for rekeying in state.rekeyings.values():
        try:
            lines = replacements.of(rekeying)
        except FormatError as error:
            yield rekeying, None, [Flaw(rekeying, error.why)]
            continue
        except NotAVaultError:
            raise
        except (OSError, VaultError):
            yield rekeying, None, []
            continue
        sound, flaws = [], []
        for line in lines.values():
            why = _fault(logged, state, rekeying, line, taken)
            if why:
                flaws.append(Flaw(rekeying, why, line.name))
            else:
                sound.append(line)
                if line.new in logged:
                    why = f"event {logged[line.new].seq} names its new file as its own"
                    flaws.append(Flaw(rekeying, why, line.name))
            taken.add(line.new)
        yield rekeying, sound, flaws


def _fault(
    logged: Mapping[str, ExpectedFile],
    state: State,
    rekeying: Rekeying,
    line: Replacement,
    taken: set[str],
) -> str:
    file, new = logged.get(line.name), logged.get(line.new)
    if file is None or file.seq >= rekeying.seq:
        return "no event before it logged that file"
    destroyed = state.bundles[file.bundle].destroyed if file.bundle is not None else None
    if destroyed is not None and destroyed < rekeying.seq:
        return "that file went with its bundle before"
    if line.new in taken or (new is not None and new.seq < rekeying.seq):
        return "its new name is that of another file"
    return ""


def _forms(
    file: ExpectedFile, history: list[tuple[Rekeying, Replacement]]
) -> Iterator[ExpectedFile]:
    """Yield all forms of a file that was encrypted again, the one that was logged first."""
    last = max(
        (at for at, (rekeying, _) in enumerate(history) if rekeying.pruned is not None), default=-1
    )
    heirs = tuple(line.new for rekeying, line in history[max(last, 0) :] if rekeying.confirmed)
    superseded = () if file.destroyed else heirs
    yield replace(
        file,
        destroyed=file.destroyed or last >= 0,
        heirs=superseded if last >= 0 else (),
    )
    for at, (rekeying, line) in enumerate(history):
        yield ExpectedFile(
            line.new,
            line.file.sha256,
            line.file.size,
            rekeying.seq,
            destroyed=file.destroyed or at < last,
            epoch=rekeying.epoch,
            first=file.name,
            bundle=file.bundle,
            heirs=superseded if at < last else (),
        )


def _in_doubt(file: ExpectedFile, unread: int) -> ExpectedFile:
    doubtful = file.epoch is not None and not file.destroyed and file.seq < unread
    return replace(file, uncertain=True) if doubtful else file


# --- looking at what is expected ----------------------------------------------------------------


def flaws_of(events: Iterable[Event], state: State, replacements: Replacements) -> list[Flaw]:
    """Return what contradicts the log in the manifests that are as they were logged.

    ``events`` are all that there are: what none of them logged can't be replaced.
    """
    if not state.rekeyings:
        return []
    found = _manifests(_logged_files(events, state), state, replacements)
    return [flaw for _, _, flaws in found for flaw in flaws]


def unread_manifests(state: State, replacements: Replacements) -> list[Rekeying]:
    """Return the rekeyings of which nobody can say what they replaced."""
    return [rekeying for rekeying, sound, _ in _manifests({}, state, replacements) if sound is None]


def forms_by_name(
    expected: Mapping[str, ExpectedFile],
) -> dict[str, list[ExpectedFile]]:
    """Return the fields files and key files that must be there, the newest first, by the name under
    which each was logged first.
    """
    found: dict[str, list[ExpectedFile]] = {}
    for file in expected.values():
        if file.epoch is not None and not file.destroyed:
            found.setdefault(file.first, []).append(file)
    for forms in found.values():
        forms.sort(key=lambda form: -form.seq)
    return found


def stranded_in(
    epochs: Iterable[bytes], expected: Mapping[str, ExpectedFile]
) -> list[ExpectedFile]:
    """Return the files that must be there and are encrypted to one of ``epochs``."""
    lost = frozenset(epochs)
    return [
        file
        for file in expected.values()
        if file.epoch in lost and not (file.destroyed or file.uncertain)
    ]
