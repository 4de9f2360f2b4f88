"""Whether the consent to use a bundle covers what someone wants to do with it.

Consent is private: it stands in fields of ``bundle.sealed`` and of ``consent.recorded``, of which
the newest that says a status counts. So it is checked by whoever writes and can read it, and by an
audit that looks inside; no keyless fold can. An event that states an ``authority`` (a court's
order, say) stands above consent, and the authority is on record with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.codec import Packable, Value
from vault.errors import CustodyError, NoIdentityMatchError
from vault.view import View

__all__ = [
    "BOUND_BY_CONSENT",
    "Consent",
    "ConsentStatus",
    "check_consent",
    "consent_in",
    "consent_of",
]

ConsentStatus: TypeAlias = Literal[
    "given", "limited", "not asked", "not recorded", "refused", "sealed", "withdrawn"
]

BOUND_BY_CONSENT: Final = frozenset(("bundle.disclosed", "bundle.opened", "custody.released"))
"""The types of event that consent can forbid."""
_BEARERS: Final = frozenset(("bundle.sealed", "consent.recorded"))


@final
@dataclass(frozen=True, slots=True)
class Consent:
    """What event ``seq`` says (None: no event does).

    ``status`` is that of the field ``consent.status``, or ``not recorded``, or ``sealed``: there is
    a newer one that is not open to this identity. ``uses`` and ``recipients`` are the limits of a
    consent that is ``limited``; an empty one limits nothing.
    """

    status: ConsentStatus
    seq: int | None = None
    uses: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()


def consent_in(seq: int, fields: Mapping[str, Value]) -> Consent | None:
    """Return the consent that the fields of event ``seq`` state; None if they state none."""
    match fields.get("consent.status"):
        case "given" | "limited" | "not asked" | "refused" | "withdrawn" as status:
            uses, recipients = _texts(fields, "scope"), _texts(fields, "recipients")
            return Consent(status, seq, uses, recipients)
    return None


def _texts(fields: Mapping[str, Value], name: str) -> tuple[str, ...]:
    value = fields.get(f"consent.{name}")
    texts = value if isinstance(value, tuple) else ()
    return tuple(text for text in texts if isinstance(text, str))


def consent_of(vault: View, bundle: bytes) -> Consent:
    """Return the consent that counts for a bundle.

    Raises what :meth:`View.fields` does for a file that is damaged: what it says is not known.
    """
    for seq in reversed(vault.state.bundles[bundle].chain):
        event = vault.event(seq)
        if event.type not in _BEARERS:
            continue
        try:
            found = consent_in(seq, vault.fields(event))
        except NoIdentityMatchError:
            return Consent("sealed", seq)
        if found is not None:
            return found
    return Consent("not recorded")


def check_consent(
    consent: Consent,
    type_name: str,
    fields: Mapping[str, Packable],
    recipient: frozenset[str] = frozenset(),
) -> None:
    """Raise ``CustodyError`` if consent does not cover an event of one of ``BOUND_BY_CONSENT``.

    ``fields`` are the event's: ``authority`` stands above consent, ``use`` is held against the
    uses. ``recipient`` are all names (and the fingerprint, in hex) that the one goes by who gets
    the bundle; letter case does not count. What is ``sealed`` to the writer can't be checked.
    """
    if fields.get("authority"):
        return
    if consent.status in ("refused", "withdrawn"):
        raise CustodyError("consent-withdrawn", type_name, consent.status)
    if consent.status != "limited":
        return
    use = fields.get("use")
    if consent.uses and not _among({str(use)} if use else set(), consent.uses):
        raise CustodyError("consent-use", type_name, ", ".join(consent.uses))
    if consent.recipients and recipient and not _among(recipient, consent.recipients):
        raise CustodyError("consent-recipient", type_name, ", ".join(consent.recipients))


def _among(names: frozenset[str] | set[str], limits: tuple[str, ...]) -> bool:
    allowed = {limit.strip().casefold() for limit in limits}
    return any(name.strip().casefold() in allowed for name in names)
