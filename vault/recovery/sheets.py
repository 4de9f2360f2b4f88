"""Sheets of paper, one for each share: what they say, as text; read back from text.

The text begins with the line ``EVIDENCE VAULT: ONE SHARE OF AN IDENTITY``. ``Fingerprint`` is
followed by sixteen groups of four hexadecimal digits, and the line ``THE WORDS OF THIS SHARE`` by
the words, each after its number. Only these are read back; the rest is for people.
"""

from __future__ import annotations

import datetime
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from vault.codec import is_line
from vault.errors import ShareError
from vault.identity import MAX_CARD_NAME, Identity
from vault.recovery import wording
from vault.recovery.shares import Share, read_words, share_of_words

__all__ = [
    "COLUMNS",
    "Sheet",
    "facts",
    "format_sheet_text",
    "groups",
    "make_sheets",
    "parse_share",
    "parse_share_file",
]

COLUMNS: Final = 3
_WIDTH: Final = 78
_COLUMN: Final = 18
_MAX_FILE: Final = 65536
_FINGERPRINT: Final = re.compile(r"^ *Fingerprint\s+((?:[0-9a-f]{4}\s+){16})", re.MULTILINE)
_ROW: Final = re.compile(r" *[0-9]+[ .]")


@final
@dataclass(frozen=True, slots=True)
class Sheet:
    """What one sheet says. ``fingerprint`` and ``vaults`` (ids) have 32 bytes each.

    ``ed25519`` is the identity's public event key, for whoever rebuilds it by hand to compare.
    ``name`` is any one line, or empty.
    """

    share: Share
    count: int
    fingerprint: bytes
    ed25519: bytes
    created: datetime.date
    name: str = ""
    vaults: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.name) > MAX_CARD_NAME or not is_line(self.name):
            raise ValueError(f"a name is one line of at most {MAX_CARD_NAME} characters")
        if {len(one) for one in (self.fingerprint, self.ed25519, *self.vaults)} != {32}:
            raise ValueError("fingerprints, keys and vault ids have 32 bytes")


def make_sheets(
    identity: Identity,
    shares: Sequence[Share],
    created: datetime.date,
    *,
    name: str = "",
    vaults: Sequence[bytes] = (),
) -> tuple[Sheet, ...]:
    """Return a sheet for each of the shares of a split; ``ValueError`` as :class:`Sheet` says."""
    return tuple(
        Sheet(
            share,
            len(shares),
            identity.keys.fingerprint,
            identity.ed25519,
            created,
            name,
            tuple(vaults),
        )
        for share in shares
    )


def groups(digest: bytes) -> tuple[str, str]:
    """Return 32 bytes as two lines of eight groups of four digits."""
    found = textwrap.wrap(digest.hex(), 4)
    return " ".join(found[:8]), " ".join(found[8:])


def facts(sheet: Sheet) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the names and values (in lines) that stand at the top of a sheet."""
    share = sheet.share
    return (
        ("Share", (f"{share.number} of {sheet.count}",)),
        ("Needed", (f"any {share.threshold} of the {sheet.count}, together",)),
        *((("Identity of", (sheet.name,)),) if sheet.name else ()),
        ("Fingerprint", groups(sheet.fingerprint)),
        *((("Vault" if not at else "and", groups(one))) for at, one in enumerate(sheet.vaults)),
        ("Date", (sheet.created.isoformat(),)),
    )


def format_sheet_text(sheet: Sheet) -> str:
    """Return a sheet as text: lines of at most 78 characters, as long as the name is not longer."""
    return "\n".join((*_front(sheet), *_back(sheet))) + "\n"


def _front(sheet: Sheet) -> Iterator[str]:
    yield wording.TITLE
    yield ""
    yield wording.FIRST_OF_ALL
    yield ""
    for name, (first, *rest) in facts(sheet):
        yield f"  {name:<13}{first}"
        for line in rest:
            yield f"{'':<15}{line}"
    yield ""
    yield wording.WORDS_HEADING
    yield ""
    numbered = [f"{number:>4} {word}" for number, word in enumerate(sheet.share.words, 1)]
    for at in range(0, len(numbered), COLUMNS):
        row = "".join(f"{one:<{_COLUMN}}" for one in numbered[at : at + COLUMNS])
        yield row.rstrip()
    yield ""
    yield from _filled(wording.READING, "", "")
    yield ""


def _back(sheet: Sheet) -> Iterator[str]:
    for section in wording.sections(sheet.share.threshold, sheet.count, sheet.ed25519):
        yield section.heading.upper()
        yield ""
        for block in section.blocks:
            match block:
                case wording.Program(text):
                    yield from textwrap.indent(text, "    ").split("\n")
                case wording.Steps(items):
                    for item in items:
                        yield from _filled(item, "  - ", "    ")
                case str():
                    yield from _filled(block, "", "")
            yield ""


def _filled(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- reading ------------------------------------------------------------------------------------


def parse_share_file(data: bytes, where: str = "") -> Share:
    """Read a share from the bytes of a file: UTF-8 text as :func:`parse_share` takes it."""
    if len(data) > _MAX_FILE:
        raise ShareError("share", "too long for a sheet or the words of one", where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ShareError("share", "not a text in UTF-8", where) from None
    return parse_share(text, where)


def parse_share(text: str, where: str = "") -> Share:
    """Read a share: a whole sheet as text, or its words alone, with or without their numbers.

    Raises ``ShareError``, which names ``where``.
    """
    text = text.replace("\r\n", "\n").strip()
    if text[:9].lower() in ("<!doctype", "<html>"):
        why = "an HTML page: give the text of the sheet, or a file with its words"
        raise ShareError("share", why, where)
    try:
        if text.partition("\n")[0].rstrip() != wording.TITLE:
            return share_of_words(read_words(text), where)
        fingerprint = _FINGERPRINT.search(text)
        _, heading, rest = text.partition(f"\n{wording.WORDS_HEADING}")
        if fingerprint is None or not heading:
            why = "a sheet without its fingerprint or its words: give a file with the words alone"
            raise ShareError("share", why)
        words = read_words("\n".join(_rows(rest)))
        digest = bytes.fromhex("".join(fingerprint[1].split()))
        return share_of_words(words, where, digest)
    except ShareError as error:
        raise error.at(where) from None


def _rows(text: str) -> Iterator[str]:
    """Yield the numbered lines that come next."""
    for line in text.split("\n"):
        if _ROW.match(line):
            yield line
        elif line.strip():
            return
