"""Shares as they come, from files and from a keyboard, each looked at when it comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, islice
from typing import TYPE_CHECKING, Final, final

from vault.errors import ShareError
from vault.identity import Identity
from vault.recovery.shares import WORDS, Share, combined, decrypted, share_of_words, take_words

if TYPE_CHECKING:
    import shamir_mnemonic as slip39

__all__ = ["Joining", "join_shares"]

_MOST_TRIED: Final = 200


@final
class Joining:
    """The shares that are there so far, and the words of the one that is being typed."""

    def __init__(self) -> None:
        self._shares: list[Share] = []
        self._typed: list[str] = []

    @property
    def shares(self) -> tuple[Share, ...]:
        """Those that are there."""
        return tuple(self._shares)

    @property
    def missing(self) -> int:
        """How many are still needed; 1 at least as long as there is none."""
        if not self._shares:
            return 1
        return max(0, self._shares[0].threshold - len(self._shares))

    @property
    def next_word(self) -> int:
        """The number of the word to be typed next, from 1."""
        return len(self._typed) + 1

    def add(self, share: Share) -> None:
        """Take a share; raise ``ShareError`` if it is one again, or of another split."""
        for other in self._shares:
            _check_kin(share, other)
        self._shares.append(share)

    def type(self, text: str, where: str) -> ShareError | None:
        """Take the next words of a share that is typed; after the last one, the share.

        Return what is wrong, if anything. After a word that is not in the list, the words before it
        stay; after all else the share begins again.
        """
        words, error = take_words(text, self.next_word)
        self._typed += words
        if error is not None:
            return error.at(where)
        if len(self._typed) < WORDS:
            return None
        typed, self._typed = tuple(self._typed), []
        try:
            self.add(share_of_words(typed, where))
        except ShareError as found:
            return found
        return None

    def identity(self, fingerprint: bytes | None = None) -> Identity:
        """Rebuild the identity. ``fingerprint`` is the one that it must have.

        Raises ``ShareError`` if shares are missing, if they do not belong together although their
        words say so, or if they give another identity than their sheets or ``fingerprint`` name.
        Shares beyond the threshold are held against the others.
        """
        if self.missing:
            needed = self._shares[0].threshold if self._shares else "several"
            why = f"{len(self._shares)} of the {needed} shares that are needed"
            raise ShareError("share", why, fault="too-few")
        identity = Identity(decrypted(self._secret()))
        found = identity.keys.fingerprint
        for share in self._shares:
            if share.fingerprint not in (None, found):
                why = f"its sheet names another identity than the shares give ({found.hex()})"
                raise ShareError("share", why, share.where, fault="fingerprint")
        if fingerprint not in (None, found):
            why = f"the shares give another identity than was asked for ({found.hex()})"
            raise ShareError("share", why, fault="fingerprint")
        return identity

    def _secret(self) -> slip39.EncryptedMasterSecret:
        shares, threshold = self._shares, self._shares[0].threshold
        # With more shares than are needed, one that is wrong can be told from the others.
        for chosen in islice(combinations(shares, threshold), _MOST_TRIED):
            found = combined(chosen)
            if found is not None:
                _check_rest(shares, chosen, found)
                return found
        why = f"at least one is of another split with the same beginning: {_places(shares)}"
        raise ShareError("share", why, fault="digest")


def join_shares(shares: Iterable[Share], fingerprint: bytes | None = None) -> Identity:
    """Rebuild an identity from its shares; see :meth:`Joining.add` and :meth:`Joining.identity`."""
    joining = Joining()
    for share in shares:
        joining.add(share)
    return joining.identity(fingerprint)


def _check_kin(share: Share, other: Share) -> None:
    that = other.where or "another"
    if share.words == other.words:
        why, fault = f"the same share as {that}", "repeated"
    elif share.parsed.common_parameters() != other.parsed.common_parameters():
        why = f"of another split than {that}: the first two words of a split are always the same"
        fault = "other-split"
    elif share.threshold != other.threshold:
        why = (
            f"of a split that needs {share.threshold} shares, where {that} needs {other.threshold}"
        )
        fault = "other-threshold"
    elif share.number == other.number:
        why = f"share {share.number} of another split than {that}, which begins with the same words"
        fault = "other-split"
    else:
        return
    raise ShareError("share", why, share.where, fault=fault)


def _check_rest(
    shares: Sequence[Share], chosen: Sequence[Share], found: slip39.EncryptedMasterSecret
) -> None:
    for share in shares:
        if share not in chosen and combined([*chosen[1:], share]) != found:
            why = "it does not belong to the others, although it begins with the same words"
            raise ShareError("share", why, share.where, fault="digest")


def _places(shares: Sequence[Share]) -> str:
    return ", ".join(share.where or f"share {share.number}" for share in shares)
