"""How members, bundles and events are named to people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import click

from evault_cli.identities import read_card
from evault_cli.refusal import RefusedError
from evault_cli.render import escape, short, utc
from evault_cli.session import Session, read_small

if TYPE_CHECKING:
    from vault import BundleState, Vault
    from vault.custody import Member
    from vault.looking import Seen

__all__ = ["People", "bundle_of", "bundle_record", "member_of", "standing"]

_DIGITS: Final = re.compile(r"[0-9a-f]{4,64}\Z")
_MOST_NAMED: Final = 10


@final
class People:
    """The members of a vault, by name where names are open, and by fingerprint."""

    def __init__(self, vault: Vault, known: Mapping[bytes, str] = {}) -> None:
        """Ask the vault; ``known`` are names that are known from elsewhere."""
        from vault.looking import member_names

        self._members = vault.state.members
        self._names = {**known, **member_names(vault)}
        self._me = vault.identity.ed25519 if vault.identity is not None else None

    def fingerprint(self, key: bytes) -> bytes:
        """Return the fingerprint of a member's keys; of a stranger's, the key itself."""
        member = self._members.get(key)
        return member.keys.fingerprint if member is not None else key

    def name(self, key: bytes) -> str | None:
        """Return the name, as it stands in the vault."""
        return self._names.get(key)

    def is_meant(self, key: bytes, text: str) -> bool:
        """Say whether ``text`` is a member's name, or the beginning of the fingerprint."""
        digits = "".join(text.split()).lower()
        if _DIGITS.match(digits) and self.fingerprint(key).hex().startswith(digits):
            return True
        name = self._names.get(key)
        return name is not None and _folded(name) == _folded(text)

    def namesakes(self, key: bytes) -> list[bytes]:
        """Return the other members, of now or before, who go by a member's name."""
        name = _folded(self._names.get(key, ""))
        return [one for one, its in self._names.items() if one != key and _folded(its) == name]

    def shown(self, key: bytes) -> str:
        """Return name and fingerprint for a person, in one line."""
        name = escape(self._names.get(key, ""))
        me = ", you" if key == self._me else ""
        mark = f"({short(self.fingerprint(key))}{me})"
        return f"{name} {mark}" if name else mark[1:-1]

    def brief(self, key: bytes) -> str:
        """Return the name where it is open, else the fingerprint, for a narrow column."""
        shown = escape(self._names.get(key, "")) or short(self.fingerprint(key))
        return f"{shown}, you" if key == self._me else shown

    def record(self, key: bytes) -> dict[str, object]:
        """Return name and fingerprint for JSON."""
        return {"fingerprint": self.fingerprint(key).hex(), "name": self.name(key)}


def member_of(vault: Vault, text: str, *, removed: bool = False) -> Member:
    """Return the member that a person means by ``text``.

    That is four or more digits with which a fingerprint begins, in groups or not; a card file; or a
    name that is open to this identity, whatever its case. Names are what their owners chose: who
    goes by another's is told apart by fingerprint, and a file goes before a name. With ``removed``,
    those who were removed count as well. Refuses what means nobody, or more than one.
    """
    people = People(vault)
    members = vault.state.members
    shown = escape(text)
    if _is_card(text):
        card = read_card(_session(), Path(text))
        found = [key for key, one in members.items() if one.keys == card.keys]
        if not found:
            raise RefusedError(
                f"{shown} is the card of {escape(card.name)} ({short(card.keys.fingerprint)}), who "
                "is no member of this vault. `evault show` lists its members."
            )
    else:
        found = [key for key in members if people.is_meant(key, text)]
    fit = [key for key in found if removed or members[key].active]
    if len(fit) == 1:
        return members[fit[0]]
    if fit:
        raise RefusedError(
            f"{shown} can mean several members: {_named(people, fit)}. "
            "Give more digits of the fingerprint."
        )
    if found:
        raise RefusedError(
            f"{shown} means a member who was removed from this vault: {_named(people, found)}."
        )
    there = [key for key, one in members.items() if removed or one.active]
    raise RefusedError(
        f"{shown} means nobody in this vault. Give four or more digits with which a fingerprint "
        f"begins, a card file, or a name that you can see here: {_named(people, there)}."
    )


def _is_card(text: str) -> bool:
    from vault.identity import CARD_ORIGIN

    path = Path(text)
    if path.suffix == ".card" or len(path.parts) > 1:
        return True
    # A text that is too long for a file name is no file; ``Path.is_file`` would raise.
    there = os.path.isfile(text)  # noqa: PTH113
    return there and read_small(path).startswith(f"{CARD_ORIGIN}\n".encode("ascii"))


def _session() -> Session:
    session = click.get_current_context().find_object(Session)
    assert session is not None
    return session


def _named(people: People, keys: Iterable[bytes]) -> str:
    shown = sorted(people.shown(key) for key in keys)
    more = [f"and {len(shown) - _MOST_NAMED} more"] if len(shown) > _MOST_NAMED else []
    return "; ".join([*shown[:_MOST_NAMED], *more])


def _folded(name: str) -> str:
    from vault.codec import nfc

    return nfc(name).strip().casefold()


def bundle_of(vault: Vault, prefix: str) -> BundleState:
    """Return the bundle that a prefix of its id stands for."""
    return vault.bundle(prefix.strip().lower())


def standing(bundle: BundleState) -> str:
    """Return in a word how a bundle stands."""
    if bundle.destroyed is not None:
        return "destroyed"
    if bundle.interrupted:
        return "interrupted"
    if bundle.release is not None:
        return "released"
    return "held"


def bundle_record(bundle: BundleState, seen: Seen, people: People) -> dict[str, object]:
    """Return for JSON what is said of a bundle in a list."""
    return {
        "bundle": bundle.id.hex(),
        "event": bundle.seq,
        "sealed_at": utc(bundle.time),
        "size": bundle.size,
        "holder": people.record(bundle.holder),
        "now": standing(bundle),
        "private": seen.state,
        "title": seen.fields.get("title"),
        "captured_at": seen.fields.get("captured_at"),
        "items": seen.fields.get("item_count"),
    }
