"""Who is answerable: bundles released and accepted, declined and recalled, taken over by an owner
where nobody can sign for them, and out of everybody's hands.

Each verb takes several bundles (their ids) and writes one event for each, in one commit: all or
none. ``fields`` are private fields of each event (``place``, ``condition``, ``carrier``, …). All
raise ``NotFoundError`` for a bundle that is not there, ``ValueError`` for none, and what
:meth:`Vault.commit` does.

Whoever accepts signs that the evidence has the digests that were sealed: every file is read again
first. Nothing here moves evidence; whether the recipient can open it is told, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.codec import Packable
from vault.consent import check_consent, consent_of, names_of_member
from vault.custody import BundleState, Release
from vault.draft import Draft
from vault.errors import CustodyError, DigestMismatchError, NoIdentityMatchError, VaultError
from vault.event import Event
from vault.forms import bundle_identity
from vault.holdings import identity_key, is_expired
from vault.layout import bundle_key_name
from vault.pipeline import ProgressCallback
from vault.rehash import Rehash
from vault.replacement import Replacements
from vault.vault import Vault

__all__ = [
    "Acceptance",
    "Cause",
    "KeyState",
    "Releasing",
    "accept",
    "append_each",
    "assume",
    "decline",
    "interrupt",
    "recall",
    "release",
]

Cause: TypeAlias = Literal["lost", "returned", "seized"]
KeyState: TypeAlias = Literal["damaged", "open", "sealed"]
Fields: TypeAlias = Mapping[str, Packable]


@final
@dataclass(frozen=True, slots=True)
class Releasing:
    """What a release did: one of ``events`` for each bundle; ``expires`` in UTC seconds.

    Of the bundles, by id: ``unchecked`` are those whose consent is not open to this identity,
    ``overridden`` those that consent does not cover and that the authority given stands above,
    ``closed`` those that the recipient can't open. ``hands_on`` says whether the recipient has the
    role to hand them on.
    """

    events: tuple[Event, ...]
    expires: int | None
    unchecked: tuple[bytes, ...]
    overridden: tuple[bytes, ...]
    closed: tuple[bytes, ...]
    hands_on: bool


@final
@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an acceptance did: one of ``events`` for each bundle, after ``files`` of ``size`` bytes
    in all were read and had the digests that were logged.

    ``givers`` are those who were answerable before. ``keys`` says of each bundle's key file whether
    it is ``open`` to this identity, ``sealed``, or does not open although it should (``damaged``).
    ``hands_on`` says whether this identity has the role to hand the bundles on.
    """

    events: tuple[Event, ...]
    givers: tuple[bytes, ...]
    files: int
    size: int
    keys: tuple[KeyState, ...]
    hands_on: bool


# --- handing on -----------------------------------------------------------------------------------


def release(
    vault: Vault,
    bundles: Iterable[bytes],
    to: bytes,
    *,
    expires: int | None = None,
    fields: Fields | None = None,
) -> Releasing:
    """Release bundles to a member (Ed25519), who becomes their holder by accepting them.

    ``expires`` (UTC seconds) is public, so it is rounded up to the vault's public clock: it would
    give away more of the time now. Of the fields, ``use`` is held against a consent that is
    limited, and ``authority`` stands above consent.

    Raises ``CustodyError`` for a bundle that consent does not let go to that member, ``ValueError``
    for an end that is past.
    """
    values = dict(fields or {})
    data: dict[str, Packable] = {"to": to}
    if expires is not None:
        clock = vault.state.policy.clock
        expires = -(-expires // clock) * clock
        if expires < vault.now:
            raise ValueError("the release would have expired")
        data["expires"] = expires
    chosen = _ids(vault, bundles)
    drafts = _drafts(vault, "custody.released", chosen, data, values)
    unchecked: list[bytes] = []
    overridden: list[bytes] = []

    def build() -> list[Draft]:
        unchecked.clear()
        overridden.clear()
        names = names_of_member(vault, to)
        for bundle in chosen:
            match _consent(vault, bundle, values, names):
                case "unchecked":
                    unchecked.append(bundle)
                case "overridden":
                    overridden.append(bundle)
        return drafts

    events = vault.commit(build)
    member = vault.state.members[to]
    return Releasing(
        events=events,
        expires=expires,
        unchecked=tuple(unchecked),
        overridden=tuple(overridden),
        closed=_closed(vault, chosen, to),
        hands_on="custodian" in member.roles,
    )


def _consent(
    vault: Vault, bundle: bytes, fields: Fields, names: frozenset[str]
) -> Literal["covered", "overridden", "unchecked"]:
    """Check that consent lets a bundle go, unless an authority stands above it."""
    authority = bool(fields.get("authority"))
    try:
        consent = consent_of(vault, bundle)
    except (OSError, VaultError):
        # A damaged file must not bar what stands above all that it could say.
        if authority:
            return "unchecked"
        raise
    if consent.status == "sealed":
        return "unchecked"
    try:
        check_consent(consent, "custody.released", {**fields, "authority": ""}, names)
    except CustodyError:
        if authority:
            return "overridden"
        raise
    return "covered"


def _closed(vault: Vault, bundles: Iterable[bytes], reader: bytes) -> tuple[bytes, ...]:
    """Return the bundles whose key no file opens to a member, as the log says."""
    epochs = vault.state.opens(reader)
    replacements = Replacements(vault.store)

    def opens(bundle: BundleState) -> bool:
        file = bundle.key_file
        name = bundle_key_name(bundle.id, file.epoch, file.sha256)
        places = replacements.places(name, file, vault.state)
        return any(not isinstance(one, VaultError) and one[1].epoch in epochs for one in places)

    return tuple(one for one in bundles if not opens(vault.state.bundles[one]))


def accept(
    vault: Vault,
    bundles: Iterable[bytes],
    *,
    fields: Fields | None = None,
    progress: ProgressCallback | None = None,
) -> Acceptance:
    """Accept bundles that were released to this identity, after reading every file of theirs again.

    Those are the parts, the key file and the seal's fields, each where it stands now. Raises
    ``DigestMismatchError`` for a file that is missing or altered: nothing is accepted then.
    ``CustodyError`` where there is no such release, or none any more when all is read.
    """
    vault.refresh()
    chosen = _ids(vault, bundles)
    releases = {one: _offered(vault, one, "custody.accepted") for one in chosen}
    drafts = [
        vault.draft(
            "custody.accepted",
            bundle=bundle,
            data={"release": found.seq, "rehashed": True},
            fields=fields,
        )
        for bundle, found in releases.items()
    ]
    rehash = Rehash(vault, chosen, progress)
    try:
        rehash.run()
    except DigestMismatchError as error:
        # Rekeying deletes a key file once another has taken its place.
        if not vault.refresh() or rehash.needs(error.where):
            raise
        rehash.run()

    def build() -> list[Draft]:
        # Keys may have been encrypted again since: then those files are what is taken over.
        rehash.run()
        return drafts

    events = vault.commit(build)
    member = vault.state.members[identity_key(vault)]
    return Acceptance(
        events=events,
        givers=tuple(one.by for one in releases.values()),
        files=rehash.files,
        size=rehash.size,
        keys=tuple(_key_state(vault, vault.state.bundles[one]) for one in chosen),
        hands_on="custodian" in member.roles,
    )


def _key_state(vault: Vault, bundle: BundleState) -> KeyState:
    try:
        bundle_identity(vault.keyring, bundle, vault.state)
    except NoIdentityMatchError:
        return "sealed"
    except (OSError, VaultError):
        return "damaged"
    return "open"


def decline(
    vault: Vault, bundles: Iterable[bytes], *, reason: str, fields: Fields | None = None
) -> tuple[Event, ...]:
    """Decline bundles that were released to this identity; their holder stays answerable."""
    return _end_releases(vault, "custody.declined", bundles, reason, fields)


def recall(
    vault: Vault, bundles: Iterable[bytes], *, reason: str, fields: Fields | None = None
) -> tuple[Event, ...]:
    """Take back releases of this identity that nobody has accepted."""
    return _end_releases(vault, "custody.recalled", bundles, reason, fields)


def _end_releases(
    vault: Vault, type_name: str, bundles: Iterable[bytes], reason: str, fields: Fields | None
) -> tuple[Event, ...]:
    # The releases are those that stand now: who is asked about one does not answer for another.
    drafts = [
        vault.draft(
            type_name,
            bundle=bundle,
            data={"release": _offered(vault, bundle, type_name).seq},
            fields={"reason": reason, **(fields or {})},
        )
        for bundle in _ids(vault, bundles)
    ]
    return vault.commit(lambda: drafts)


def _offered(vault: Vault, bundle: bytes, type_name: str) -> Release:
    """Return the release of a bundle that this identity can do that with, before any work."""
    known = vault.state.bundles[bundle]
    found = known.release
    if known.destroyed is not None:
        raise CustodyError("destroyed", type_name, str(known.destroyed), bundle)
    if found is None:
        raise CustodyError("release-unknown", type_name, "", bundle)
    if type_name == "custody.accepted":
        if found.to != identity_key(vault):
            raise CustodyError("recipient", type_name, "", bundle)
        if is_expired(vault, found):
            raise CustodyError("release-expired", type_name, str(found.expires), bundle)
    return found


# --- where nobody can sign ------------------------------------------------------------------------


def assume(
    vault: Vault,
    bundles: Iterable[bytes],
    *,
    authority: str,
    reason: str,
    fields: Fields | None = None,
) -> tuple[Event, ...]:
    """Take custody without the signature of the one before; written by an owner.

    Raises ``CustodyError`` (``holder-answers``) unless the holder was removed or custody is
    interrupted.
    """
    values = {"authority": authority, "reason": reason, **(fields or {})}
    return append_each(vault, "custody.assumed", bundles, {}, values)


def interrupt(
    vault: Vault,
    bundles: Iterable[bytes],
    *,
    cause: Cause,
    reason: str,
    fields: Fields | None = None,
) -> tuple[Event, ...]:
    """Record that bundles were ``seized`` or ``lost``, so that nobody can answer for them; or that
    they were ``returned`` to their holder. Any custodian can. That something happened is public,
    the cause is not.
    """
    state = "returned" if cause == "returned" else "interrupted"
    values = {"cause": cause, "reason": reason, **(fields or {})}
    return append_each(vault, "custody.interrupted", bundles, {"state": state}, values)


# --- inner ----------------------------------------------------------------------------------------


def append_each(
    vault: Vault, type_name: str, bundles: Iterable[bytes], data: Fields, fields: Fields
) -> tuple[Event, ...]:
    """Append the same event for each of several bundles, all or none."""
    drafts = _drafts(vault, type_name, _ids(vault, bundles), data, fields)
    return vault.commit(lambda: drafts)


def _drafts(
    vault: Vault, type_name: str, bundles: Iterable[bytes], data: Fields, fields: Fields
) -> list[Draft]:
    return [vault.draft(type_name, bundle=one, data=data, fields=fields) for one in bundles]


def _ids(vault: Vault, bundles: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the ids, each once, of bundles that are there."""
    found = tuple(dict.fromkeys(vault.bundle(one).id for one in bundles))
    if not found:
        raise ValueError("no bundle is named")
    return found
