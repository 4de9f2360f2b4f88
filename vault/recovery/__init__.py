"""Recovery of an identity: its seed, split into shares on paper (docs/keys.md).

The 32 bytes of the seed are the master secret of SLIP-39 (SatoshiLabs): one group, of which a
threshold of shares gives the seed back and fewer tell nothing about it. A share is 33 words. What
is on a sheet can be undone without this software, and the sheet says how.

Nothing here wipes memory. Python copies bytes and texts as it likes and gives no way to overwrite
them, so seeds and words stay in this process until it ends, and in whatever the system swapped out
or dumped of it: split and join on a machine of one's own, without swap or with it encrypted. The
arithmetic is that of SLIP-39's reference implementation; it does not hide its timing from other
programs on the same machine.
"""

from __future__ import annotations

from vault.recovery.drilling import drill
from vault.recovery.joining import Joining, join_shares
from vault.recovery.page import format_sheet_html
from vault.recovery.shares import MAX_SHARES, WORDS, Share, check_shares, split_identity
from vault.recovery.sheets import (
    Sheet,
    format_sheet_text,
    make_sheets,
    parse_share,
    parse_share_file,
)
from vault.recovery.writing import Written, write_sheets

__all__ = [
    "MAX_SHARES",
    "WORDS",
    "Joining",
    "Share",
    "Sheet",
    "Written",
    "check_shares",
    "drill",
    "format_sheet_html",
    "format_sheet_text",
    "join_shares",
    "make_sheets",
    "parse_share",
    "parse_share_file",
    "split_identity",
    "write_sheets",
]
