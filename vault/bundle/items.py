"""The items of a bundle as they are recorded: ``evidence.msgpack`` and ``names.txt``.

``evidence.msgpack`` is the records of the items, end to end; a record is the canonical array of
``[name, salt, value]`` of all the item's fields, at most 1 MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final, overload

from vault import age
from vault.bag import MAX_ITEMS, item_path
from vault.codec import Packable, Value, is_line, pack, unpack, unpack_sequence
from vault.commitment import (
    ITEM_LABEL,
    Field,
    commit_fields,
    fields_root,
    format_fields,
    parse_fields,
    values_of,
)
from vault.errors import FormatError
from vault.event import FURTHER_FIELD, ITEM_FIELDS, check_values

__all__ = [
    "MAX_ITEM_RECORD",
    "MAX_ITEM_RECORDS",
    "Item",
    "Items",
    "make_item",
    "names_line",
    "parse_item",
    "read_items",
    "shown",
]

_ITEM_NAMES: Final = tuple(key.name for key in ITEM_FIELDS)
MAX_ITEM_RECORD: Final = 2**20
"""The bytes that one item takes in ``evidence.msgpack`` at most."""
MAX_ITEM_RECORDS: Final = 2**27
"""The bytes of ``evidence.msgpack`` at most: 1,300 an item where there are as many as there can be.
Whoever opens a bundle holds them all in memory."""


@final
@dataclass(frozen=True, slots=True)
class Item:
    """One item of a bundle; ``number`` from 0."""

    number: int
    fields: tuple[Field, ...]

    @property
    def values(self) -> dict[str, Value]:
        """The values that are present, by name."""
        return values_of(self.fields)

    @property
    def root(self) -> bytes:
        """The item's committed root."""
        return fields_root(ITEM_LABEL, self.fields)

    @property
    def stored(self) -> tuple[str, int, int, bytes] | None:
        """Path in the bag, offset in the plaintext, size and SHA-256; None without content."""
        match self.values:
            case {"path": str(path), "offset": int(offset), "size": int(size), "sha256": bytes(d)}:
                return path, offset, size, d
        return None


@final
class Items(Sequence[Item]):
    """The items of a bundle, kept as their records: there can be 100,000 of them."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, number: int) -> Item: ...

    @overload
    def __getitem__(self, number: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, number: int | slice) -> Item | tuple[Item, ...]:
        numbers = range(len(self._records))[number]
        if isinstance(numbers, int):
            return parse_item(numbers, unpack(self._records[numbers]))
        return tuple(self[one] for one in numbers)

    def __iter__(self) -> Iterator[Item]:
        return (self[number] for number in range(len(self._records)))


def make_item(
    number: int, values: Mapping[str, Packable], random: Callable[[int], bytes]
) -> tuple[Item, bytes]:
    """Return an item and its record in ``evidence.msgpack``."""
    item = Item(number, commit_fields(_ITEM_NAMES, values, random))
    check_values("item", ITEM_FIELDS, item.values, further=FURTHER_FIELD)
    record = pack(format_fields(item.fields))
    if len(record) > MAX_ITEM_RECORD:
        raise ValueError("the fields of an item are longer than 1 MiB")
    return item, record


def shown(name: str | bytes) -> str:
    """Return a file name as text, whatever its bytes are."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def names_line(item: Item) -> bytes:
    """Return the line of ``names.txt`` for an item: path, a tab, the original name, LF.

    Control characters, and bytes that are not UTF-8, are shown as ``\\xNN`` or ``\\uNNNN``; an item
    without content has ``-`` for its path.
    """
    values = item.values
    name = values.get("original_name", "")
    line = "".join(
        c if is_line(c) else c.encode("unicode_escape").decode("ascii")
        for c in shown(name if isinstance(name, (str, bytes)) else "")
    )
    path = values.get("path", "-")
    return f"{path!s}\t{line}\n".encode()


@final
class _Window:
    """``size`` bytes of a file from ``offset``, for a parser that reads to the end."""

    def __init__(self, source: age.Reader, offset: int, size: int) -> None:
        source.seek(offset)
        self._source = source
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left)) or b""
        self._left -= len(data)
        return data


def read_items(plaintext: age.Reader, offset: int, size: int) -> Iterator[tuple[Item, bytes]]:
    """Yield the items of a bundle, each with its record, from its ``evidence.msgpack``.

    Raises ``FormatError``.
    """
    if size > MAX_ITEM_RECORDS:
        raise FormatError("items", f"more than {MAX_ITEM_RECORDS} bytes of fields")
    window = _Window(plaintext, offset, size)
    for number, (value, raw) in enumerate(unpack_sequence(window, max_value=MAX_ITEM_RECORD)):
        if number >= MAX_ITEMS:
            raise FormatError("items", f"more than {MAX_ITEMS}")
        yield parse_item(number, value), raw


def parse_item(number: int, value: Value) -> Item:
    """Parse a record of ``evidence.msgpack``; raise ``FormatError``."""
    item = Item(number, parse_fields(value, _ITEM_NAMES))
    check_values(f"item {number}", ITEM_FIELDS, item.values, further=FURTHER_FIELD)
    _check_path(item)
    return item


def _check_path(item: Item) -> None:
    values = item.values
    present = [name for name in ("path", "offset", "sha256") if name in values]
    name = values.get("original_name")
    if "path" not in values:
        if "offset" in values:
            raise FormatError(f"item {item.number}", "has an offset and no path")
        return
    if len(present) != 3 or "size" not in values or not isinstance(name, (str, bytes)):
        raise FormatError(f"item {item.number}", "has content, and not all that says where")
    if values["path"] != item_path(item.number, name):
        raise FormatError(f"item {item.number}", "not the path of its number and name")
