"""The chain of custody of a bundle, told as an account: who was answerable when, by which
signatures, where nobody could answer, and what is doubtful.

Everything here follows from the log alone, so it is the same without a key; private fields are
shown where they are open to whoever looks, and one damaged file hides nothing else. The order is
that of the log, which every signature vouches for. Times are those that authors' clocks claimed:
who was answerable *when* is only as sure as they are.
"""

from vault.chain.account import (
    Account,
    Attempt,
    Began,
    Destruction,
    Difference,
    Dispute,
    Fate,
    Gap,
    GapKind,
    Tenure,
)
from vault.chain.links import Link, Remark, Removal, chain_of, clocks_of
from vault.chain.telling import account_of, accounts_of

__all__ = [
    "Account",
    "Attempt",
    "Began",
    "Destruction",
    "Difference",
    "Dispute",
    "Fate",
    "Gap",
    "GapKind",
    "Link",
    "Remark",
    "Removal",
    "Tenure",
    "account_of",
    "accounts_of",
    "chain_of",
    "clocks_of",
]
