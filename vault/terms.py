"""The terms under which bundles are kept: holds that bar destruction, and consent to use them.

Each verb takes several bundles (their ids) and writes one event for each, in one commit: all or
none. ``fields`` are further private fields of each event, such as when it occurred.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from vault.codec import Packable
from vault.consent import Consent, consent_of, reached_by
from vault.draft import Draft, Random
from vault.errors import AmbiguousError, CustodyError, NotFoundError, VaultError
from vault.event import Event
from vault.handover import append_each
from vault.vault import Vault

__all__ = ["ConsentRecorded", "RecordableStatus", "lift_hold", "place_hold", "record_consent"]

RecordableStatus: TypeAlias = Literal["given", "limited", "not asked", "refused", "withdrawn"]


@final
@dataclass(frozen=True, slots=True)
class ConsentRecorded:
    """What was recorded of a bundle, by ``event``, in the place of ``before``.

    ``before`` is None where it can't be read for damage. ``reached`` are the events by which
    somebody came to see or hold the bundle until then.
    """

    event: Event
    before: Consent | None
    reached: tuple[Event, ...]


def place_hold(
    vault: Vault,
    bundles: Iterable[bytes],
    *,
    authority: str,
    reason: str,
    fields: Mapping[str, Packable] | None = None,
    random: Random = os.urandom,
) -> tuple[bytes, tuple[Event, ...]]:
    """Place one hold on all of the bundles; return its id (16 bytes, public) and the events."""
    hold = random(16)
    values = {"authority": authority, "reason": reason, **(fields or {})}
    return hold, append_each(vault, "hold.placed", bundles, {"hold": hold}, values)


def lift_hold(
    vault: Vault,
    bundles: Iterable[bytes],
    hold: str = "",
    *,
    authority: str,
    reason: str,
    fields: Mapping[str, Packable] | None = None,
) -> tuple[Event, ...]:
    """Lift a hold by a prefix of its id in hex; without one, the only hold that there is.

    Raises ``CustodyError`` (``hold-unknown``) for a bundle without holds, ``NotFoundError`` and
    ``AmbiguousError`` for a prefix that means none of them, or several.
    """
    values = {"authority": authority, "reason": reason, **(fields or {})}
    drafts = [
        vault.draft(
            "hold.lifted", bundle=one, data={"hold": _hold(vault, one, hold)}, fields=values
        )
        for one in dict.fromkeys(bundles)
    ]
    if not drafts:
        raise ValueError("no bundle is named")
    return vault.commit(lambda: drafts)


def _hold(vault: Vault, bundle: bytes, prefix: str) -> bytes:
    holds = vault.bundle(bundle).holds
    if not holds:
        raise CustodyError("hold-unknown", "hold.lifted", "", bundle)
    found = sorted(one for one in holds if one.hex().startswith(prefix))
    if not found:
        raise NotFoundError(f"bundle {bundle.hex()}", f"no hold of it begins with {prefix}")
    if len(found) > 1:
        candidates = tuple(one.hex() for one in found)
        raise AmbiguousError(f"bundle {bundle.hex()}", "several holds stand", candidates)
    return found[0]


def record_consent(
    vault: Vault,
    bundles: Iterable[bytes],
    status: RecordableStatus,
    *,
    uses: Sequence[str] = (),
    recipients: Sequence[str] = (),
    anonymity: str = "",
    language: str = "",
    how: str = "",
    by: str = "",
    fields: Mapping[str, Packable] | None = None,
) -> tuple[ConsentRecorded, ...]:
    """Record what a person said, or that nobody asked; it counts for the bundles from then on.

    ``uses`` and ``recipients`` are the only ones that a ``limited`` consent covers. Raises
    ``ValueError`` for a limited one without any limit, and for limits of another.
    """
    if status == "limited" and not (uses or recipients or anonymity):
        raise ValueError("a limited consent states its limits")
    if status != "limited" and (uses or recipients):
        raise ValueError("only a limited consent has limits")
    given: dict[str, Packable] = {
        "consent.status": status,
        "consent.scope": tuple(uses),
        "consent.recipients": tuple(recipients),
        "consent.anonymity": anonymity,
        "consent.language": language,
        "consent.how_given": how,
        "consent.by_whom": by,
    }
    values = {**{name: value for name, value in given.items() if value}, **(fields or {})}
    chosen = tuple(dict.fromkeys(vault.bundle(one).id for one in bundles))
    drafts = [vault.draft("consent.recorded", bundle=one, fields=values) for one in chosen]
    before: dict[bytes, Consent | None] = {}
    reached: dict[bytes, tuple[Event, ...]] = {}

    def build() -> list[Draft]:
        for bundle in chosen:
            before[bundle] = _before(vault, bundle)
            reached[bundle] = reached_by(vault, bundle)
        return drafts

    events = vault.commit(build)
    return tuple(
        ConsentRecorded(event, before[one], reached[one])
        for event, one in zip(events, chosen, strict=True)
    )


def _before(vault: Vault, bundle: bytes) -> Consent | None:
    try:
        return consent_of(vault, bundle)
    except VaultError:
        return None
