"""How a bundle's relations to others, and a vault's to the one that it continues, are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evault_cli.render import count, escape, say, show_value, utc
from evault_cli.words import CONTINUED, RELATIONS

if TYPE_CHECKING:
    from vault import BundleState, Event, Vault
    from vault.auditing.history import Predecessor
    from vault.looking import Seen
    from vault.relations import Later, Reference

__all__ = [
    "continued_record",
    "continued_rows",
    "later_of",
    "predecessor_record",
    "reference_records",
    "reference_rows",
    "say_continued",
    "warn_of_closed",
]


# --- bundles --------------------------------------------------------------------------------------


def later_of(vault: Vault, bundle: BundleState) -> Later | None:
    """Return what later bundles refer to one; None where nothing can be known without a key."""
    from vault.relations import referring_to

    return referring_to(vault, bundle.id) if vault.identity is not None else None


def reference_rows(vault: Vault, seen: Seen, later: Later | None) -> list[tuple[str, str]]:
    """Return what a bundle refers to, and what refers to it, for a person."""
    from vault.looking import fields_of
    from vault.relations import references_in

    rows = []
    for relation, reference in references_in(seen.fields).items():
        known = vault.state.bundles.get(reference.bundle)
        about = " (not in this vault)"
        if known is not None:
            about = _title(fields_of(vault, vault.event(known.seq)))
        rows.append((RELATIONS[relation][0], f"{_short(reference)}{about}"))
    for one in later.found if later is not None else ():
        sealed = utc(vault.bundle(one.bundle).time)
        of_item = f" (item {one.item} of this)" if one.item is not None else ""
        text = f"{one.bundle.hex()[:12]}{_title(one.seen)}, sealed {sealed}{of_item}"
        rows.append((RELATIONS[one.relation][1], text))
    return rows


def _short(reference: Reference) -> str:
    item = f", item {reference.item}" if reference.item is not None else ""
    return f"{reference.bundle.hex()[:12]}{item}"


def _title(seen: Seen) -> str:
    title = seen.text("title")
    return f" “{escape(title)}”" if title else ""


def reference_records(seen: Seen, later: Later | None) -> dict[str, object]:
    """Return the same for JSON; null where it is not open."""
    from vault.relations import references_in

    refers = [
        {"relation": relation, "bundle": reference.bundle.hex(), "item": reference.item}
        for relation, reference in references_in(seen.fields).items()
    ]
    referred = None
    if later is not None:
        referred = [
            {
                "relation": one.relation,
                "bundle": one.bundle.hex(),
                "item": one.item,
                "title": one.seen.fields.get("title"),
            }
            for one in later.found
        ]
    return {
        "refers_to": refers if seen.state == "open" else None,
        "referred_to_by": referred,
        "not_looked_into": later.closed if later is not None else None,
    }


def warn_of_closed(vault: Vault, bundle: BundleState, later: Later | None) -> None:
    """Say that there may be more, where there may."""
    if later is None:
        return
    after = (one for one in vault.state.bundles.values() if one.seq > bundle.seq)
    destroyed = sum(one.destroyed is not None for one in after)
    closed = later.closed - destroyed
    if closed > 0:
        verb = "is" if closed == 1 else "are"
        say(f"{_sealed_later(closed)} {verb} not open here, and may refer to this one as well.")
    if destroyed:
        verb = "was" if destroyed == 1 else "were"
        say(f"{_sealed_later(destroyed)} {verb} destroyed, and may have referred to this one.")


def _sealed_later(number: int) -> str:
    one = "A bundle that was sealed later"
    return one if number == 1 else f"{number:,} bundles that were sealed later"


# --- vaults ---------------------------------------------------------------------------------------


def continued_rows(genesis: Event, seen: Seen) -> list[tuple[str, str]]:
    """Return what a vault says that it continues, for a person; nothing if it continues none."""
    from vault.founding import Continuation

    said = Continuation.of(genesis)
    if said is None:
        return []
    first = f"its first {count(said.size, 'event')}, root {said.root.hex()}"
    rows = [("Continues", f"vault {said.vault.hex()}, {first}; {CONTINUED[said.reason]}")]
    for name, label in (("reason", "Reason"), ("known_losses", "Known losses")):
        if name in seen.fields:
            rows.append((label, show_value(seen.fields[name])))
    return rows


def continued_record(genesis: Event, seen: Seen) -> dict[str, object] | None:
    """Return the same for JSON."""
    from vault.founding import Continuation

    said = Continuation.of(genesis)
    if said is None:
        return None
    return {
        "vault": said.vault.hex(),
        "size": said.size,
        "root": said.root.hex(),
        "because": said.reason,
        "reason": seen.fields.get("reason"),
        "known_losses": seen.fields.get("known_losses"),
    }


def predecessor_record(predecessor: Predecessor | None, maker: bytes) -> dict[str, object] | None:
    """Return for JSON what a new vault by ``maker`` (Ed25519) takes over."""
    if predecessor is None:
        return None
    said = predecessor.continuation
    return {
        "vault": said.vault.hex(),
        "size": said.size,
        "root": said.root.hex(),
        "because": said.reason,
        "signed": predecessor.signed,
        "broken": predecessor.broken,
        "seen_elsewhere": predecessor.elsewhere,
        "by_owner": maker in predecessor.owners,
    }


def say_continued(predecessor: Predecessor, maker: bytes, old: Path, new: Path) -> None:
    """Say what was taken over, how far it could be, and what that is worth."""
    said, signed = predecessor.continuation, predecessor.signed
    say(
        f"It continues vault {said.vault.hex()} after {count(said.size, 'event')}, "
        f"{CONTINUED[said.reason]}. Nothing of the old vault was changed or copied: keep it, and "
        "write to it no more."
    )
    if said.size < signed:
        say(
            f"Its event {said.size} is not what its author signed, so it is continued only up to "
            f"there: {count(signed - said.size, 'event')} of {signed:,} are left out."
        )
    if predecessor.broken:
        say(
            f"{count(predecessor.broken, 'event')} of it broke a rule of custody. What was signed "
            "stays history; `evault verify` of the old vault names the rules."
        )
    if predecessor.elsewhere is not None:
        _say_elsewhere(predecessor.elsewhere, signed)
    if maker in predecessor.owners:
        say("You were an owner of it: your signature shows that an owner goes on.")
    else:
        say(
            "Warning: you were no owner of it. Anybody can claim to continue a vault: this one "
            "counts for no more than others trust you."
        )
    say(
        f"`evault verify {escape(str(new))} --history {escape(str(old))}` holds the one against "
        "the other."
    )


def _say_elsewhere(seen: int, signed: int) -> None:
    if seen > signed:
        say(
            f"This machine has seen the old vault with {count(seen, 'event')}, and this copy ends "
            f"after {signed:,}: what came between is not continued. If a newer copy can be found, "
            "continue that one instead."
        )
    else:
        say(
            "This machine has seen another history of the old vault than this copy has: two copies "
            "of it were written to. Keep both; what only the other one has is not continued."
        )
