"""Sheets as files in a new folder, read back before anybody relies on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from vault.errors import DigestMismatchError
from vault.extracting.folder import NewFolder
from vault.recovery.page import format_sheet_html
from vault.recovery.sheets import Sheet, format_sheet_text, parse_share_file

__all__ = ["Written", "write_sheets"]


@final
@dataclass(frozen=True, slots=True)
class Written:
    """The files of one sheet."""

    number: int
    text: str
    html: str


def write_sheets(
    path: str | os.PathLike[str],
    sheets: Sequence[Sheet],
    qr: Callable[[str], Sequence[Sequence[bool | int]]],
) -> tuple[Written, ...]:
    """Write each sheet, as text and as a page, into the new folder ``path``; 0700, files 0600.

    ``qr`` gives the modules of a QR code of a text (see :func:`format_sheet_html`). Each file is
    read again, and from each text the share. Raises ``FileExistsError``, ``NoSpaceError``, and
    ``DigestMismatchError`` for a file that is not what was written; no folder is left then.
    """
    made = [
        (f"{_stem(sheet)}.{kind}", content.encode("utf-8"))
        for sheet in sheets
        for kind, content in (
            ("txt", format_sheet_text(sheet)),
            ("html", format_sheet_html(sheet, qr(" ".join(sheet.share.words)))),
        )
    ]
    with NewFolder(path) as folder:
        folder.check_space([len(data) for _, data in made])
        for name, data in made:
            folder.write([name], lambda take, data=data: take(data))  # type: ignore[misc]
        for name, data in made:
            if _read(folder, name) != data:
                raise _differs(folder, name)
        for sheet in sheets:
            name = f"{_stem(sheet)}.txt"
            if parse_share_file(_read(folder, name)).words != sheet.share.words:
                raise _differs(folder, name)
        return tuple(
            Written(
                sheet.share.number,
                str(Path(path, f"{_stem(sheet)}.txt")),
                str(Path(path, f"{_stem(sheet)}.html")),
            )
            for sheet in sheets
        )


def _stem(sheet: Sheet) -> str:
    return f"share-{sheet.share.number}-of-{sheet.count}"


def _read(folder: NewFolder, name: str) -> bytes:
    return Path(folder.path, name).read_bytes()


def _differs(folder: NewFolder, name: str) -> DigestMismatchError:
    why = "the medium does not give back what was written"
    return DigestMismatchError("sheet", why, str(Path(folder.path, name)))
