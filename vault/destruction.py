"""Destroying a bundle: a request and its approval where the policy asks for two persons, the event,
and then the deletion of what opens it, what tells of it, and the evidence itself.

The event is durable first. From then on the bundle is destroyed, whatever becomes of its files:
what can't be deleted now is deleted by the next writer (:mod:`vault.deletion`). What stays are the
events, with what they say in public, the private fields in which request, approval and destruction
state authority and reason, and those of notes that are added later.

Deleting takes from this vault what it holds. It takes nothing from copies, and what was deleted may
still be on the medium. A rekeying and the shredding of the epochs before it
(:mod:`vault.rekeying`) leave nothing in the vault that opens such remnants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.abandoned import abandoned_in, clear_abandoned
from vault.codec import Packable
from vault.custody import BundleState, State
from vault.deletion import Deletion, finish_deletions
from vault.draft import Draft
from vault.errors import CustodyError, FormatError, NotAVaultError, StateError, VaultError
from vault.event import Event
from vault.expected import KEPT, expected_files
from vault.layout import bundle_directory, rekey_name
from vault.replacement import Replacements
from vault.vault import Vault
from vault.view import View

__all__ = [
    "Destruction",
    "NextStep",
    "Trace",
    "approve_destruction",
    "destroy",
    "next_step",
    "request_destruction",
    "traces_of",
]

NextStep: TypeAlias = Literal["approve", "destroy", "nothing", "request"]
TraceKind: TypeAlias = Literal["accepted", "disclosed", "opened", "released"]

_TRACES: Final[Mapping[str, TraceKind]] = {
    "bundle.disclosed": "disclosed",
    "bundle.opened": "opened",
    "custody.accepted": "accepted",
    "custody.released": "released",
}


@final
@dataclass(frozen=True, slots=True)
class Trace:
    """An event after which a copy may exist outside of the vault.

    ``who`` (Ed25519) ``opened`` the bundle into a folder, ``disclosed`` it, ``released`` it ``to``
    somebody, or ``accepted`` it: with the medium, a copy of the vault may have changed hands.
    """

    kind: TraceKind
    seq: int
    time: int
    who: bytes
    to: bytes | None = None


@final
@dataclass(frozen=True, slots=True)
class Destruction:
    """A bundle that was destroyed by ``event``.

    ``events`` are the numbers of those that remain of its chain, the last being that one; of
    ``stated`` the private fields stay too. ``traces`` say where copies may be, as far as the log
    knows. ``deletion`` is what became of the files, and ``epochs`` (oldest first) those that they
    were encrypted to: as long as one is not shredded, its readers can open a copy of such a file.
    ``cleared`` files more, which an interrupted rekeying had left, were deleted.
    """

    event: Event
    bundle: BundleState
    events: tuple[int, ...]
    stated: tuple[int, ...]
    traces: tuple[Trace, ...]
    deletion: Deletion
    epochs: tuple[bytes, ...]
    cleared: int = 0


def next_step(view: View, bundle: BundleState) -> NextStep:
    """Return what has to come next for a bundle to be destroyed."""
    if bundle.destroyed is not None:
        return "nothing"
    if not view.state.policy.two_person_destroy or bundle.approval is not None:
        return "destroy"
    return "approve" if bundle.request is not None else "request"


def request_destruction(
    vault: Vault, bundle: bytes, *, fields: Mapping[str, Packable] | None = None
) -> Event:
    """Ask for a bundle to be destroyed; written by a custodian.

    ``fields`` are private: ``authority``, ``reason``. A request before it, with its approval, no
    longer counts. Raises ``CustodyError`` (``hold``, …) and what :meth:`Vault.append` does.
    """
    return vault.append("destruction.requested", bundle=bundle, fields=fields)


def approve_destruction(
    vault: Vault, bundle: bytes, request: int, *, fields: Mapping[str, Packable] | None = None
) -> Event:
    """Approve the request that is event ``request``; written by another custodian, or by an owner.

    Whoever approves names the request that they have seen: another one in its place is refused.
    Raises ``CustodyError`` (``request-unknown``, ``own-request``, …) and what
    :meth:`Vault.append` does.
    """
    return vault.append(
        "destruction.approved", bundle=bundle, data={"request": request}, fields=fields
    )


def destroy(
    vault: Vault,
    bundle: bytes,
    *,
    fields: Mapping[str, Packable] | None = None,
    incomplete: bool = False,
) -> Destruction:
    """Destroy a bundle and delete its files; written by its holder.

    ``fields`` are private and stay: ``authority``, ``reason``. A request and its approval are named
    where both stand. Raises ``CustodyError`` (``holder``, ``hold``, ``two-person``, ``destroyed``)
    and what :meth:`Vault.append` does; nothing was deleted then. What goes wrong after the event is
    no error: ``deletion`` says what is still there.

    While the manifest of a rekeying is damaged or missing, nobody can tell which files it names:
    private fields of the bundle would stay behind. Then ``StateError`` is raised, unless
    ``incomplete`` says that they may: for a manifest of which there is no good copy any more.
    """
    known = vault.bundle(bundle)
    if known.destroyed is not None:
        raise CustodyError("destroyed", "bundle.destroyed", str(known.destroyed))
    left = abandoned_in(vault)

    def data(state: State) -> Mapping[str, Packable]:
        now = state.bundles[bundle]
        if now.request is None or now.approval is None:
            return {}
        return {"request": now.request[0], "approval": now.approval}

    draft = vault.draft("bundle.destroyed", bundle=bundle, data=data, fields=fields)

    def build() -> Sequence[Draft]:
        if not incomplete:
            _check_manifests(vault)
        return [draft]

    (event,) = vault.commit(build)
    known = vault.bundle(bundle)
    cleared = 0
    try:
        cleared = clear_abandoned(vault, left)
        deletion = finish_deletions(vault)
    except (OSError, VaultError):
        # Even the log can't be read now; the event is in it.
        deletion = Deletion(undone=(bundle_directory(bundle),))
    chain = [vault.event(seq) for seq in known.chain]
    files = expected_files(chain, vault.state, Replacements(vault.store)).values()
    sealed_to = {file.epoch for file in files if file.bundle == bundle}
    return Destruction(
        event=event,
        bundle=known,
        events=tuple(known.chain),
        stated=tuple(one.seq for one in chain if one.type in KEPT),
        traces=traces_of(vault, known),
        deletion=deletion,
        epochs=tuple(one for one in vault.state.epochs if one in sealed_to - vault.state.shredded),
        cleared=cleared,
    )


def _check_manifests(vault: Vault) -> None:
    """Raise ``StateError`` for a manifest that is not there as it was logged."""
    replacements = Replacements(vault.store)
    for rekeying in vault.state.rekeyings.values():
        try:
            replacements.of(rekeying)
        except FormatError:
            continue  # as it was logged, and none: it names nothing, and never will
        except NotAVaultError:
            raise
        except (VaultError, OSError) as error:
            name = rekey_name(rekeying.manifest)
            raise StateError(
                vault.store.place,
                f"{name} can't be read, and names files that may be of this bundle; put it back "
                "from a good copy first",
            ) from error


def traces_of(view: View, bundle: BundleState) -> tuple[Trace, ...]:
    """Return the events of a bundle's chain after which a copy of it may exist elsewhere."""
    found = []
    for seq in bundle.chain:
        event = view.event(seq)
        kind = _TRACES.get(event.type)
        if kind is not None:
            to = event.data.get("to")
            to = to if isinstance(to, bytes) else None
            found.append(Trace(kind, seq, event.time, event.actor, to))
    return tuple(found)
