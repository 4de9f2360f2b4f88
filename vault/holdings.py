"""Who is answerable for which bundles now, and what each can do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from vault.custody import BundleState, Release
from vault.errors import NoIdentityMatchError
from vault.vault import Vault

__all__ = [
    "Chosen",
    "acceptable",
    "assumable",
    "held_by",
    "identity_key",
    "is_expired",
    "releasable",
]


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """Bundles that something can be done with now, and those for which it is not the time."""

    free: tuple[BundleState, ...]
    left: tuple[BundleState, ...]


def held_by(vault: Vault, member: bytes) -> tuple[BundleState, ...]:
    """Return the bundles, destroyed ones apart, that a member (Ed25519) is answerable for."""
    return tuple(one for one in _there(vault) if one.holder == member)


def releasable(vault: Vault) -> Chosen:
    """Return what this identity holds: what it can release now, and what is released already or
    interrupted.
    """
    held = held_by(vault, identity_key(vault))
    return _split(
        held,
        lambda one: not one.interrupted and (one.release is None or is_expired(vault, one.release)),
    )


def acceptable(vault: Vault) -> Chosen:
    """Return what is released to this identity: what it can accept now, and what has expired."""
    me = identity_key(vault)
    offered = [one for one in _there(vault) if one.release is not None and one.release.to == me]
    return _split(offered, lambda one: not is_expired(vault, one.release))


def assumable(vault: Vault, member: bytes) -> Chosen:
    """Return what a member holds: what an owner can assume custody of, as the member was removed,
    is no custodian (and so can't hand on) or custody is interrupted, and the rest.
    """
    holder = vault.state.member(member)
    gone = holder is None or "custodian" not in holder.roles
    return _split(held_by(vault, member), lambda one: gone or one.interrupted)


def identity_key(vault: Vault) -> bytes:
    """Return the Ed25519 key of who looks; raise ``NoIdentityMatchError`` if nobody does."""
    if vault.identity is None:
        raise NoIdentityMatchError("vault", "no identity was given")
    return vault.identity.ed25519


def _there(vault: Vault) -> Iterator[BundleState]:
    return (one for one in vault.state.bundles.values() if one.destroyed is None)


def is_expired(vault: Vault, release: Release | None) -> bool:
    """Say whether a release is there and can't be accepted any more."""
    return release is not None and release.expires is not None and vault.now > release.expires


def _split(bundles: Iterable[BundleState], free: Callable[[BundleState], bool]) -> Chosen:
    found = tuple(bundles)
    return Chosen(
        tuple(one for one in found if free(one)), tuple(one for one in found if not free(one))
    )
