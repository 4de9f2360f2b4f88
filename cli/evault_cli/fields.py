"""Fields as people give them, ``NAME=VALUE`` and JSON, as values of the kinds in the table.

Everything is refused here, before a byte of evidence is read: by the field's name, with what it
must be. What was typed is put into Unicode's NFC; what comes in a file is kept as it stands.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from evault_cli.refusal import RefusedError
from evault_cli.render import escape, say

if TYPE_CHECKING:
    from vault.codec import Packable, Value
    from vault.event.kinds import Kind
    from vault.event.types import Key

__all__ = [
    "FieldSet",
    "circumstance",
    "digest",
    "item_fields",
    "line",
    "read_fields_file",
    "seal_fields",
    "typed_text",
]

_OWN: Final = frozenset(
    (
        "exact_time",
        "item_count",
        "items_offset",
        "items_size",
        "plaintext_size",
        "software.name",
        "software.system",
        "software.version",
    )
)
_OWN_OF_ITEMS: Final = frozenset(("offset", "original_name", "path", "sha256", "size"))
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
_SOURCES: Final = {
    "--fingerprint": "of a fingerprint",
    "--vault-id": "that `evault init` printed",
}
_TRUTH: Final = {"yes": True, "true": True, "no": False, "false": False}
_ITEMS: Final = "items"
_MAX_TEXT: Final = 65536
_MAX_FIELDS: Final = 4000
_MOST_OF_BUNDLE: Final = 15 * 2**20
_MOST_OF_ITEM: Final = 900 * 2**10
"""What the library takes is a little more, and holds what it adds itself."""


class _Number(str):
    """A number in a JSON file, as it was written: a fraction is not rounded, so it stays text."""

    __slots__ = ()


def typed_text(name: str, text: str) -> str:
    """Return what was typed, in NFC; refuse what is empty, too long or not Unicode."""
    normal = unicodedata.normalize("NFC", text)
    if not normal.strip() or len(normal) > _MAX_TEXT or not _is_unicode(normal):
        raise RefusedError(f"{escape(name)} must be text of 1 to {_MAX_TEXT} characters.")
    return normal


def line(name: str, text: str, longest: int) -> str:
    """Return what was typed, in NFC and without spaces around it, if it is one plain line."""
    from vault.codec import is_line

    normal = unicodedata.normalize("NFC", text).strip()
    if not 0 < len(normal) <= longest or not is_line(normal):
        raise RefusedError(
            f"{escape(name)} must be one line of 1 to {longest} characters, none of them a control."
        )
    return normal


def digest(option: str, text: str) -> bytes:
    """Return the 32 bytes that were typed as 64 hexadecimal digits, with spaces as on paper."""
    digits = "".join(text.split())
    if not _DIGEST.match(digits):
        raise RefusedError(f"{option} takes the 64 hexadecimal digits {_SOURCES[option]}.")
    return bytes.fromhex(digits)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def circumstance(option: str, name: str, text: str) -> dict[str, Packable]:
    """Return the common fields that an option of every event sets."""
    from vault.event import kinds

    text = typed_text(option, text)
    if name == "clock_check":
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 3 or not all(parts):
            raise RefusedError(
                f"{option} takes three things with commas between: what the clock was compared "
                "with, what that showed, and the difference."
            )
        names = ("reference", "reading", "difference")
        return {f"clock_check.{one}": part for one, part in zip(names, parts, strict=True)}
    if name == "occurred_at" and not kinds.TIME.accepts(text):
        raise RefusedError(f"{option} must be {kinds.TIME.about}.")
    return {name: text}


# --- one value ----------------------------------------------------------------------------------


def _from_text(kind: Kind, text: str) -> Packable:
    from vault.event import kinds

    if kind is kinds.BOOL:
        return _TRUTH.get(text.lower(), text)
    if kind is kinds.UINT and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    if kind is kinds.TEXTS:
        return _array(text) if text.startswith("[") else (text,)
    return text


def _array(text: str) -> Packable:
    found: object = _load(text, "the array")
    return tuple(found) if isinstance(found, list) else text


def _from_json(kind: Kind, value: object) -> Packable:
    """Return a JSON value as near to ``kind`` as it says by itself; the kind then judges it."""
    if isinstance(value, list):
        return tuple(str(one) if isinstance(one, str) else one for one in value)
    if isinstance(value, str):
        return _from_text(kind, str(value))
    return value  # type: ignore[return-value]  # the kind refuses what is left


@final
class FieldSet:
    """The fields of one event or item, typed as they come; ``about`` says whose, in messages."""

    def __init__(self, schema: Sequence[Key], own: frozenset[str], about: str, most: int) -> None:
        """Take fields of ``schema`` and others, not those of ``own``, ``most`` bytes in all."""
        self._kinds = {key.name: key.kind for key in schema}
        self._own = own
        self._about = about
        self._most = most
        self._size = 0
        self.values: dict[str, Packable] = {}

    def add_typed(self, name: str, text: str) -> None:
        """Add what was typed."""
        from vault.event import kinds

        name = unicodedata.normalize("NFC", name)
        kind = self._kind(name)
        value = _from_text(kind, unicodedata.normalize("NFC", text))
        before = self.values.get(name)
        if kind is kinds.TEXTS and isinstance(before, tuple) and isinstance(value, tuple):
            value = (*before, *value)
            self.values.pop(name)
        self._put(name, kind, value)

    def add_json(self, name: str, value: object) -> None:
        """Add what a JSON file says; nested objects have dotted names, null is absent."""
        if value is None:
            return
        if isinstance(value, Mapping):
            # Checked on the way: a long name in front of a million others would be copied so often.
            if name:
                self._check_name(name)
            for inner, one in value.items():
                self.add_json(f"{name}.{inner}" if name else inner, one)
            return
        kind = self._kind(name)
        self._put(name, kind, _from_json(kind, value))

    def _check_name(self, name: str) -> None:
        from vault.codec import is_line

        sound = 0 < len(name.encode("utf-8", "replace")) <= 128 and is_line(name)
        if not sound or "=" in name:
            raise RefusedError(
                f"{self._about} {escape(name)!r} can't have that name: "
                "1 to 128 bytes in one line, without '='."
            )

    def _kind(self, name: str) -> Kind:
        from vault.event import kinds

        if name in self._own:
            raise RefusedError(
                f"{self._about} {escape(name)} is set by evault itself: leave it out."
            )
        self._check_name(name)
        if name not in self._kinds:
            self._warn_of_likeness(name)
        return self._kinds.get(name, kinds.TEXT)

    def _warn_of_likeness(self, name: str) -> None:
        plain = name.lower().replace("-", "_").replace(" ", "_")
        near = difflib.get_close_matches(plain, self._kinds, 1, 0.85)
        if near:
            say(f"Note: {escape(name)} is kept as a field of your own. Did you mean {near[0]}?")

    def _put(self, name: str, kind: Kind, value: Packable) -> None:
        from vault.event import FURTHER_FIELD

        kinds = (kind,) if name in self._kinds else FURTHER_FIELD
        if not _is_text_unicode(value) or not any(one.accepts(_value(value)) for one in kinds):
            must = " or ".join(one.about.replace("`", "'") for one in kinds)
            if name in self._kinds and must == "true or false":
                must = "yes or no"
            raise RefusedError(f"{self._about} {escape(name)} must be {must}.")
        self._size += len(repr(value).encode("utf-8")) + len(name.encode("utf-8"))
        if len(self.values) >= _MAX_FIELDS or self._size > self._most:
            raise RefusedError(
                f"{self._about} {escape(name)}: that is more than there is room for."
            )
        if self.values.setdefault(name, value) != value:
            raise RefusedError(f"{self._about} {escape(name)} is given twice, and differently.")


def _value(value: Packable) -> Value:
    return value  # type: ignore[return-value]  # lists became tuples in _from_json


def _is_text_unicode(value: Packable) -> bool:
    if isinstance(value, tuple):
        return all(_is_text_unicode(one) for one in value)
    return not isinstance(value, str) or _is_unicode(value)


def seal_fields(typed: Iterable[tuple[str, str]], given: Mapping[str, object]) -> FieldSet:
    """Return the fields of a seal: those of a JSON file, and those that were typed."""
    from vault.event import EVENT_TYPES

    fields = FieldSet(EVENT_TYPES["bundle.sealed"].fields, _OWN, "Field", _MOST_OF_BUNDLE)
    fields.add_json("", {name: one for name, one in given.items() if name != _ITEMS})
    for name, text in typed:
        fields.add_typed(name, text)
    return fields


# --- items --------------------------------------------------------------------------------------


def item_fields(
    names: Mapping[str, frozenset[str]],
    typed: Sequence[str],
    given: Mapping[str, object],
) -> dict[str, dict[str, Packable]]:
    """Return the fields of items, by each of ``names`` that has any.

    ``names`` are those that items go by, each with the own fields of such items that may be given
    all the same (the size of a media hash). ``typed`` are ``PATH:NAME=VALUE``; ``given`` is a JSON
    file, whose key ``items`` has an object for each PATH.
    """
    from vault.event import ITEM_FIELDS

    found: dict[str, FieldSet] = {}

    def fields_of(path: str) -> FieldSet:
        own = _OWN_OF_ITEMS - names[path]
        about = f"{escape(path)}: item field"
        return found.setdefault(path, FieldSet(ITEM_FIELDS, own, about, _MOST_OF_ITEM))

    for path, values in _items_of(given).items():
        if path not in names:
            raise RefusedError(f"No item goes by {escape(path)!r}, for which fields are given.")
        fields_of(path).add_json("", values)
    for one in typed:
        # By the names there are and not by the first colon: a path may have colons of its own.
        path = max((name for name in names if one.startswith(f"{name}:")), key=len, default="")
        name, equals, text = one[len(path) + 1 :].partition("=")
        if not path or not equals:
            raise RefusedError(f"{escape(one)!r} is not PATH:NAME=VALUE with the path of an item.")
        fields_of(path).add_typed(name, text)
    return {path: fields.values for path, fields in found.items()}


def _items_of(given: Mapping[str, object]) -> Mapping[str, object]:
    items = given.get(_ITEMS, {})
    if not isinstance(items, Mapping) or not all(isinstance(o, Mapping) for o in items.values()):
        raise RefusedError(f"In the fields file, '{_ITEMS}' must be an object of objects, by path.")
    return items


# --- the JSON file --------------------------------------------------------------------------------


def read_fields_file(path: Path) -> dict[str, object]:
    """Read the JSON object of a fields file."""
    where = escape(str(path))
    with path.open("rb") as file:
        data = file.read(2**24 + 1)
    if len(data) > 2**24:
        raise RefusedError(f"{where} is larger than 16 MiB: no fields are so many.")
    found = _load(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), where)
    if not isinstance(found, dict):
        raise RefusedError(f"{where} must hold one JSON object.")
    return found


def _load(text: str, where: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, value in pairs:
            if name in found:
                raise RefusedError(f"{where}: {escape(name)} is given twice.")
            found[name] = value
        return found

    def refuse(name: str) -> object:
        raise RefusedError(f"{where}: {name} is no value.")

    found: object = json.loads(
        text,
        object_pairs_hook=once,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=refuse,
    )
    return found
