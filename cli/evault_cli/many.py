"""What the verbs share that work on several bundles: what they are given, and what they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from evault_cli.fields import typed_text
from evault_cli.people import bundle_of
from evault_cli.refusal import RefusedError
from evault_cli.render import emit_json, out, say
from evault_cli.session import PATH, Session

if TYPE_CHECKING:
    from vault import BundleState, Event, Vault
    from vault.codec import Packable
    from vault.holdings import Chosen

__all__ = [
    "AUTHORITY",
    "BUNDLES",
    "DIGITS",
    "MAYBE_BUNDLES",
    "MOST_NAMED",
    "REASON",
    "VAULT",
    "all_of",
    "brief_ids",
    "check_choice",
    "emit_events",
    "handover_options",
    "named",
    "stated",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

MOST_NAMED: Final = 5
DIGITS: Final = 12

VAULT: Final = click.argument("path", metavar="VAULT", type=PATH)
BUNDLES: Final = click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True)
MAYBE_BUNDLES: Final = click.argument("bundles", metavar="[BUNDLE]...", nargs=-1)
REASON: Final = click.option("--reason", metavar="TEXT", required=True, help="Why.")
AUTHORITY: Final = click.option(
    "--authority", metavar="TEXT", required=True, help="By what authority, such as a court's order."
)
_HANDOVER: Final = (
    ("--place", "Where it is handed over."),
    ("--purpose", "What for."),
    ("--condition", "In what condition it is."),
    ("--carrier", "Who carries it, if neither side does."),
    ("--medium", "On what it is: its kind, make and serial number."),
    ("--seal-number", "The number of the seal on its envelope."),
)


def handover_options(*required: str) -> Callable[[_Command], _Command]:
    """Add what a custody form asks of a handover; those named are required."""

    def add(command: _Command) -> _Command:
        for option, about in reversed(_HANDOVER):
            command = click.option(option, metavar="TEXT", required=option in required, help=about)(
                command
            )
        return command

    return add


def stated(session: Session, given: Mapping[str, str | None]) -> dict[str, Packable]:
    """Return the fields of an event: its circumstances, and the texts that options gave."""
    texts = {
        name: typed_text(f"--{name.replace('_', '-')}", text)
        for name, text in given.items()
        if text is not None
    }
    return {**session.circumstances, **texts}


def brief_ids(bundles: Sequence[bytes]) -> str:
    """Return the beginnings of some ids, for a sentence."""
    shown = ", ".join(one.hex()[:DIGITS] for one in bundles[:MOST_NAMED])
    more = len(bundles) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def emit_events(session: Session, vault: Vault, events: Sequence[Event], **more: object) -> None:
    """Write the numbers of the events, or one JSON object with the bundle of each."""
    if session.json:
        rows = [{"bundle": one.bundle.hex(), "event": one.seq} for one in events if one.bundle]
        emit_json({"vault": vault.id.hex(), **more, "bundles": rows})
    else:
        for event in events:
            out(str(event.seq))


def named(vault: Vault, prefixes: Sequence[str]) -> list[bytes]:
    """Return the bundles that prefixes of their ids stand for."""
    return [bundle_of(vault, prefix).id for prefix in prefixes]


def check_choice(bundles: Sequence[str], everything: object, option: str) -> None:
    """Refuse bundles together with ``option``, which stands for all of a kind, or neither."""
    if bundles and everything:
        raise RefusedError(f"Name bundles, or give {option}; not both.")
    if not bundles and not everything:
        raise RefusedError(f"Name a bundle, or several, or give {option}.")


def all_of(chosen: Chosen, nothing: str, left: str) -> list[bytes]:
    """Return the bundles that something can be done with now; say which are left out."""
    if not chosen.free:
        raise RefusedError(f"{nothing} Nothing was done.")
    if chosen.left:
        say(f"Left out, {left}: {brief_ids(_ids(chosen.left))}.")
    return _ids(chosen.free)


def _ids(bundles: Sequence[BundleState]) -> list[bytes]:
    return [one.id for one in bundles]
