"""Whether the consent to use a bundle covers what someone wants to do with it.

Consent is private: it stands in fields of ``bundle.sealed`` and of ``consent.recorded``, of which
the newest that says a status counts. So it is checked by whoever writes and can read it, and by an
audit that looks inside; no keyless fold can. An event that states an ``authority`` (a court's
order, say) stands above consent, and the authority is on record with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.codec import Packable, Value, nfc
from vault.errors import CustodyError, NoIdentityMatchError, ProofError
from vault.event import Event
from vault.identity import PublicKeys
from vault.layout import fields_name
from vault.naming import names_of
from vault.replacement import Replacements
from vault.view import View

__all__ = [
    "BEARS_CONSENT",
    "BOUND_BY_CONSENT",
    "Consent",
    "ConsentStatus",
    "check_consent",
    "check_covered",
    "consent_in",
    "consent_of",
    "names_of_keys",
    "names_of_member",
    "reached_by",
]

ConsentStatus: TypeAlias = Literal[
    "given", "limited", "not asked", "not recorded", "refused", "sealed", "withdrawn"
]

BOUND_BY_CONSENT: Final = frozenset(("bundle.disclosed", "bundle.opened", "custody.released"))
"""The types of event that consent can forbid."""
BEARS_CONSENT: Final = frozenset(("bundle.sealed", "consent.recorded"))
"""The types of event whose fields can state consent."""
_REACHING: Final = frozenset(
    ("bundle.disclosed", "bundle.opened", "custody.accepted", "custody.assumed")
)
_SHORT_FINGERPRINT: Final = 16


@final
@dataclass(frozen=True, slots=True)
class Consent:
    """What event ``seq`` says of a bundle (None: no event does).

    ``status`` is that of the field ``consent.status``, or ``not recorded``, or ``sealed``: there is
    a newer one, and the log says that it is not open to this identity. ``uses`` and ``recipients``
    are the limits of a consent that is ``limited``; an empty one limits nothing. The texts are for
    people; what they ask for (``anonymity``) no program can check.
    """

    status: ConsentStatus
    seq: int | None = None
    bundle: bytes | None = None
    uses: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    anonymity: str = ""
    language: str = ""
    how_given: str = ""
    by_whom: str = ""


def consent_in(event: Event, fields: Mapping[str, Value]) -> Consent | None:
    """Return the consent that the fields of an event state; None if they state none."""
    match fields.get("consent.status"):
        case "given" | "limited" | "not asked" | "refused" | "withdrawn" as status:
            return Consent(
                status,
                event.seq,
                event.bundle,
                uses=_texts(fields, "scope"),
                recipients=_texts(fields, "recipients"),
                anonymity=_text(fields, "anonymity"),
                language=_text(fields, "language"),
                how_given=_text(fields, "how_given"),
                by_whom=_text(fields, "by_whom"),
            )
    return None


def _text(fields: Mapping[str, Value], name: str) -> str:
    value = fields.get(f"consent.{name}")
    return value if isinstance(value, str) else ""


def _texts(fields: Mapping[str, Value], name: str) -> tuple[str, ...]:
    value = fields.get(f"consent.{name}")
    texts = value if isinstance(value, tuple) else ()
    return tuple(text for text in texts if isinstance(text, str))


def consent_of(vault: View, bundle: bytes) -> Consent:
    """Return the consent that counts for a bundle.

    Events that break a rule of custody count for nothing. Raises what :meth:`View.fields` does for
    a file that is damaged, and ``ProofError`` for one that does not open although the log says that
    it is open to this identity: what it says is not known, and nobody may make a consent unknown by
    encrypting another to a stranger.
    """
    broken = {breach.seq for breach in vault.breaches}
    for seq in reversed(vault.state.bundles[bundle].chain):
        event = vault.event(seq)
        if event.type not in BEARS_CONSENT or seq in broken:
            continue
        try:
            found = consent_in(event, vault.fields(event))
        except NoIdentityMatchError as error:
            if _is_closed(vault, event):
                return Consent("sealed", seq, bundle)
            assert event.sealed is not None
            why = "not open to this identity, though their epoch is"
            raise ProofError("fields", why, fields_name(event.sealed.sha256)) from error
        if found is not None:
            return found
    return Consent("not recorded", bundle=bundle)


def _is_closed(vault: View, event: Event) -> bool:
    """Say whether the log says that an event's fields are not open to this identity, in any form
    that must be there.
    """
    assert event.sealed is not None
    epochs = vault.state.opens(vault.identity.ed25519) if vault.identity is not None else ()
    if not epochs:
        return True
    name = fields_name(event.sealed.sha256)
    forms = Replacements(vault.store).epochs_of(name, event.sealed, event.seq, vault.state)
    return forms.isdisjoint(epochs)


def check_covered(
    vault: View, bundle: bytes, type_name: str, fields: Mapping[str, Packable]
) -> None:
    """Raise what :func:`check_consent` and :func:`consent_of` do, unless an authority is stated: it
    stands above all that a consent could say, and so above one that can't be read.
    """
    if not fields.get("authority"):
        check_consent(consent_of(vault, bundle), type_name, fields)


def check_consent(
    consent: Consent,
    type_name: str,
    fields: Mapping[str, Packable],
    recipient: frozenset[str] = frozenset(),
) -> None:
    """Raise ``CustodyError`` if consent does not cover an event of one of ``BOUND_BY_CONSENT``.

    ``fields`` are the event's: ``authority`` stands above consent, ``use`` is held against the
    uses. ``recipient`` are all names that the one goes by who gets the bundle (see
    :func:`names_of_member`; empty: they are not known, and not checked). Letter case and the width
    of spaces do not count. What is ``sealed`` to the writer can't be checked.
    """
    if fields.get("authority"):
        return
    if consent.status in ("refused", "withdrawn"):
        raise CustodyError("consent-withdrawn", type_name, consent.status, consent.bundle)
    if consent.status != "limited":
        return
    use = fields.get("use")
    if consent.uses and not _among([str(use)] if use else [], consent.uses):
        raise CustodyError("consent-use", type_name, "; ".join(consent.uses), consent.bundle)
    if consent.recipients and recipient and not _among(recipient, consent.recipients):
        limits = "; ".join(consent.recipients)
        raise CustodyError("consent-recipient", type_name, limits, consent.bundle)


def _among(names: Iterable[str], limits: Iterable[str]) -> bool:
    return not {*map(_plain, names)}.isdisjoint(map(_plain, limits))


def _plain(text: str) -> str:
    # What is typed is in NFC; a name on a card or in a JSON file is as it was given.
    return " ".join(nfc(text).split()).casefold()


def names_of_member(vault: View, key: bytes) -> frozenset[str]:
    """Return what a consent may call a member: by name, where it is open, and by fingerprint.

    A name is that of any admission, which its owner chose. The fingerprint is whole or its first
    sixteen digits, with or without a space after every four.
    """
    member = vault.state.members.get(key)
    if member is None:
        return frozenset()
    return names_of_keys(member.keys, names_of(vault, member))


def names_of_keys(keys: PublicKeys, names: Iterable[str]) -> frozenset[str]:
    """Return what a consent may call the owner of ``keys``, who goes by ``names``."""
    found = set(names)
    digits = keys.fingerprint.hex()
    for text in (digits, digits[:_SHORT_FINGERPRINT]):
        found |= {text, " ".join(text[at : at + 4] for at in range(0, len(text), 4))}
    return frozenset(found)


def reached_by(vault: View, bundle: bytes) -> tuple[Event, ...]:
    """Return the events by which somebody came to see or hold a bundle after it was sealed.

    Who opened a copy without a record is not among them.
    """
    broken = {breach.seq for breach in vault.breaches}
    chain = (vault.event(seq) for seq in vault.state.bundles[bundle].chain if seq not in broken)
    return tuple(event for event in chain if event.type in _REACHING)
