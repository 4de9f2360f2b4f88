"""What one bundle says of another: that it amends it, or was made from it.

Nothing that is sealed is ever changed. A statement that corrects an earlier one, a translation, a
transcript is a bundle of its own, and four private fields of its seal say what of: ``amends``,
``derived_from``, ``translation_of``, ``transcript_of``. Each holds a **reference** to a bundle of
the same vault, or to one item of it: the 32 hex digits of the bundle's id, and ``/`` and the item's
number behind them, if it is one item. A field of that name that holds anything else is a text of
its author's, and refers to nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from vault.codec import Value
from vault.errors import NotFoundError
from vault.looking import Seen, fields_of
from vault.vault import Vault

__all__ = [
    "RELATIONS",
    "Later",
    "Reference",
    "Referring",
    "Relation",
    "find_reference",
    "parse_reference",
    "references_in",
    "referring_to",
]

Relation: TypeAlias = Literal["amends", "derived_from", "transcript_of", "translation_of"]

RELATIONS: Final[tuple[Relation, ...]] = (
    "amends",
    "derived_from",
    "translation_of",
    "transcript_of",
)
"""The fields that refer to other bundles, in the order of the seal."""
_REFERENCE: Final = re.compile(r"([0-9a-f]{32})(?:/(0|[1-9][0-9]{0,8}))?\Z", re.ASCII)
_ASKED: Final = re.compile(r"([0-9A-Fa-f]+)(?:/(0|[1-9][0-9]{0,8}))?\Z", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class Reference:
    """A bundle, or one of its items by number."""

    bundle: bytes
    item: int | None = None

    def __str__(self) -> str:
        """Return what a field holds."""
        return self.bundle.hex() if self.item is None else f"{self.bundle.hex()}/{self.item}"


def parse_reference(text: Value) -> Reference | None:
    """Return what a field refers to; None for what is no reference."""
    found = _REFERENCE.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    return Reference(bytes.fromhex(found[1]), int(found[2]) if found[2] is not None else None)


def find_reference(vault: Vault, text: str) -> Reference:
    """Return what is meant by ``BUNDLE`` or ``BUNDLE/ITEM``, with a prefix of the bundle's id.

    Raises ``NotFoundError`` or ``AmbiguousError``. The number of the item is checked where the
    bundle is open to this identity: who can't read it is taken at their word.
    """
    found = _ASKED.match(text.strip())
    if found is None:
        raise NotFoundError(text, "not a BUNDLE, nor a BUNDLE/ITEM")
    bundle = vault.bundle(found[1].lower())
    if found[2] is None:
        return Reference(bundle.id)
    item = int(found[2])
    match fields_of(vault, vault.event(bundle.seq)).fields.get("item_count"):
        case int(count) if item >= count:
            raise NotFoundError(text, f"no item {item} of {count}")
    return Reference(bundle.id, item)


def references_in(fields: Mapping[str, Value]) -> dict[Relation, Reference]:
    """Return what the fields of a seal refer to."""
    parsed = {relation: parse_reference(fields.get(relation, "")) for relation in RELATIONS}
    return {relation: found for relation, found in parsed.items() if found is not None}


# --- the other way round --------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Referring:
    """A later bundle that refers to one; ``item`` if it is to one item of it. ``seen`` are the
    fields of its seal.
    """

    relation: Relation
    bundle: bytes
    item: int | None
    seen: Seen


@final
@dataclass(frozen=True, slots=True)
class Later:
    """All bundles that refer to one, in the order of sealing, as far as they are open; ``closed``
    is the number of later bundles whose fields are not: sealed, damaged or destroyed.
    """

    found: tuple[Referring, ...]
    closed: int


def referring_to(vault: Vault, bundle: bytes) -> Later:
    """Return what bundles sealed after this one refer to it. Their evidence is not looked at."""
    found: list[Referring] = []
    closed = 0
    since = vault.bundle(bundle).seq
    for other in sorted(vault.state.bundles.values(), key=lambda one: one.seq):
        if other.seq <= since:
            continue
        seen = fields_of(vault, vault.event(other.seq))
        closed += seen.state != "open"
        found += (
            Referring(relation, other.id, reference.item, seen)
            for relation, reference in references_in(seen.fields).items()
            if reference.bundle == bundle
        )
    return Later(tuple(found), closed)
