"""Shares of a seed as SLIP-39 words: split, read, tell what is wrong with one.

Of SLIP-39's choices these are made:

- One group, no passphrase. A second secret that must be remembered is what recovery is to replace.
- Iteration exponent 0, the least. It stretches the passphrase; there is none, and the seed has 256
  random bits.
- Not extendable. The flag (of 2024) matters where one secret is split again under the same
  passphrase; here every split decrypts to the seed, and tools older than the flag read the words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import Final, final

import shamir_mnemonic as slip39
from shamir_mnemonic import rs1024
from shamir_mnemonic.constants import (
    CHECKSUM_LENGTH_WORDS,
    CUSTOMIZATION_STRING_EXTENDABLE,
    CUSTOMIZATION_STRING_ORIG,
    MAX_SHARE_COUNT,
    RADIX_BITS,
)
from shamir_mnemonic.wordlist import WORD_INDEX_MAP, WORDLIST

from vault.errors import ShareError
from vault.identity import Identity

__all__ = [
    "MAX_SHARES",
    "WORDS",
    "Share",
    "check_shares",
    "combined",
    "decrypted",
    "read_words",
    "share_of_words",
    "split_identity",
    "take_words",
]

MAX_SHARES: Final = MAX_SHARE_COUNT
WORDS: Final = 33
"""Words of a share of 32 bytes: 2 name the split, 2 the share, 26 are its value, 3 a checksum."""
_TELLING: Final = 4
"""No two words of the list begin with the same four letters."""
_BY_BEGINNING: Final = {word[:_TELLING]: word for word in WORDLIST}
_EXPONENT: Final = 0
_MAX_EXPONENT: Final = 5
"""Ours have 0, other tools' 0 or 1. Whoever made a share chose it, and 15 takes minutes."""
_NUMBER: Final = re.compile(r"([0-9]+)[.:)]?", re.ASCII)
_MOST_COMBINATIONS: Final = 200
_NO_PASSPHRASE: Final = b""


@final
@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """One share: its 33 words, where they come from, and the fingerprint that its sheet names."""

    words: tuple[str, ...]
    where: str = ""
    fingerprint: bytes | None = None
    parsed: slip39.Share = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parsed", slip39.Share.from_mnemonic(" ".join(self.words)))

    @property
    def number(self) -> int:
        """Which share of its split this is, from 1."""
        return self.parsed.index + 1

    @property
    def threshold(self) -> int:
        """How many shares of its split are needed."""
        return self.parsed.member_threshold

    @property
    def split(self) -> tuple[str, str]:
        """The first two words, which all shares of a split begin with."""
        return self.words[0], self.words[1]

    def __repr__(self) -> str:
        return f"<Share {self.number}, threshold {self.threshold}>"


def split_identity(identity: Identity, threshold: int, count: int) -> tuple[Share, ...]:
    """Return ``count`` shares of which any ``threshold`` give the identity back, as was checked.

    Their randomness is drawn within ``shamir_mnemonic`` (the system's) and can't be given. Raises
    ``ValueError`` unless 2 ≤ threshold ≤ count ≤ 16: a share that is enough by itself is a copy of
    the secret, without the passphrase that protects the identity file.
    """
    if not 2 <= threshold <= count <= MAX_SHARES:
        raise ValueError(f"not 2 <= threshold ({threshold}) <= shares ({count}) <= {MAX_SHARES}")
    (mnemonics,) = slip39.generate_mnemonics(
        1,
        [(threshold, count)],
        identity.seed,
        _NO_PASSPHRASE,
        extendable=False,
        iteration_exponent=_EXPONENT,
    )
    fingerprint = identity.keys.fingerprint
    shares = tuple(Share(tuple(words.split(" ")), "", fingerprint) for words in mnemonics)
    check_shares(identity, shares)
    return shares


def check_shares(identity: Identity, shares: Sequence[Share]) -> None:
    """Raise ``AssertionError`` unless every threshold of these shares gives the identity back.

    Where there are more than 200 combinations, those of neighbours are tried. That is a proof too:
    two that share all but one, and give the same secret and digest, lie on the same polynomial, so
    in the end all do.
    """
    found = {combined(chosen) for chosen in _chosen(shares, shares[0].threshold)}
    (one,) = found if len(found) == 1 else (None,)
    if one is None or decrypted(one) != identity.seed:
        raise AssertionError("the shares do not give the identity back")


def _chosen(shares: Sequence[Share], threshold: int) -> Iterator[Sequence[Share]]:
    if comb(len(shares), threshold) <= _MOST_COMBINATIONS:
        yield from combinations(shares, threshold)
    else:
        for first in range(len(shares) - threshold + 1):
            yield shares[first : first + threshold]


def combined(shares: Sequence[Share]) -> slip39.EncryptedMasterSecret | None:
    """Combine as many shares as are needed; None if the digest says that they don't belong."""
    groups = slip39.decode_mnemonics(" ".join(share.words) for share in shares)
    try:
        return slip39.recover_ems(groups)
    except slip39.MnemonicError:
        return None


def decrypted(found: slip39.EncryptedMasterSecret) -> bytes:
    """Return the master secret (32 bytes)."""
    return found.decrypt(_NO_PASSPHRASE)


# --- words --------------------------------------------------------------------------------------


def take_words(text: str, first: int = 1) -> tuple[tuple[str, ...], ShareError | None]:
    """Return the words of ``text`` up to the first that is wrong, and what is wrong with it.

    Capitals do not matter, and the first four letters of a word are enough. Words may have their
    numbers before them, all or none (``7 acid``, ``7. acid``), which then say their order;
    ``first`` is that of the first.
    """
    tokens = _NUMBER.sub(r" \1 ", text).split()
    words = tokens
    if any(map(_is_number, tokens)):
        try:
            words = _in_order(tokens, first)
        except ShareError as error:
            return (), error
    found: list[str] = []
    for number, word in enumerate(words, first):
        listed = _listed(word)
        if listed is None:
            return tuple(found), _misspelt(number, word)
        found.append(listed)
    return tuple(found), None


def read_words(text: str) -> tuple[str, ...]:
    """Return the words of ``text``; raise ``ShareError`` for the first that is wrong."""
    words, error = take_words(text)
    if error is not None:
        raise error
    return words


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) <= 3


def _in_order(tokens: Sequence[str], first: int) -> list[str]:
    numbers, words = tokens[::2], tokens[1::2]
    if len(numbers) != len(words) or not all(map(_is_number, numbers)):
        raise ShareError(
            "share", "some of its words have a number, some have none", fault="numbers"
        )
    placed: dict[int, str] = {}
    for number, word in zip(map(int, numbers), words, strict=True):
        if number in placed:
            raise ShareError("share", f"there are two words {number}", fault="numbers", word=number)
        placed[number] = word
    for number in range(first, first + len(placed)):
        if number not in placed:
            raise ShareError("share", f"word {number} is missing", fault="numbers", word=number)
    return [placed[number] for number in sorted(placed)]


def _listed(word: str) -> str | None:
    typed = word.lower()
    if typed in WORD_INDEX_MAP:
        return typed
    known = _BY_BEGINNING.get(typed[:_TELLING], "")
    return known if len(typed) >= _TELLING and known.startswith(typed) else None


def _misspelt(number: int, word: str) -> ShareError:
    typed = word.lower()
    near = difflib.get_close_matches(typed, WORDLIST, n=3, cutoff=0.6)
    known = _BY_BEGINNING.get(typed[:_TELLING])
    if known is not None:
        near = [known, *(one for one in near if one != known)][:3]
    shown = word if len(word) <= 20 else f"{word[:20]}…"
    why = f"word {number}, {shown!r}, is not in the list of words"
    if near:
        why += f"; near it: {', '.join(near)}"
    return ShareError("share", why, fault="word", word=number)


def share_of_words(
    words: tuple[str, ...], where: str = "", fingerprint: bytes | None = None
) -> Share:
    """Return the share of these words of the list; raise ``ShareError``."""
    if len(words) != WORDS:
        had = f"{len(words)} words" if len(words) != 1 else "1 word"
        why = f"{had}, where a share of an identity has {WORDS}"
        raise ShareError("share", why, where, fault="count")
    indices = [WORD_INDEX_MAP[word] for word in words]
    if not rs1024.verify_checksum(indices, _customization(indices)):
        raise _unfit(indices, where)
    try:
        share = Share(words, where, fingerprint)
    except slip39.MnemonicError:  # its text would repeat words
        why = "its words fit together, but are no share of 32 bytes"
        raise ShareError("share", why, where, fault="value") from None
    if share.parsed.group_count != 1:
        why = "it is of a split into several groups, which this software does not make"
        raise ShareError("share", why, where, fault="groups")
    if share.parsed.iteration_exponent > _MAX_EXPONENT:
        exponent = share.parsed.iteration_exponent
        why = (
            f"its iteration exponent is {exponent}, where this software reads up to {_MAX_EXPONENT}"
        )
        raise ShareError("share", why, where, fault="value")
    return share


def _customization(indices: Sequence[int]) -> bytes:
    extendable = indices[1] >> 4 & 1
    return CUSTOMIZATION_STRING_EXTENDABLE if extendable else CUSTOMIZATION_STRING_ORIG


def _unfit(indices: Sequence[int], where: str) -> ShareError:
    why = "its words don't fit together: one is wrong, or two have changed places"
    suspect = _suspect(indices)
    if suspect:
        why += f"; if one is wrong, it is word {suspect}"
    return ShareError("share", why, where, fault="checksum", word=suspect)


def _suspect(indices: Sequence[int]) -> int:
    """Return the number of the one word that, if changed, makes the checksum right; 0 if none.

    SLIP-39 lets a reader be told where an error is, and not what would be right. The checksum is
    linear: what a wrong word adds to it is the sum of what its wrong bits add.
    """
    label = _customization(indices)
    size = len(indices) - CHECKSUM_LENGTH_WORDS
    values, checksum = list(indices[:size]), list(indices[size:])

    def difference(changed: Sequence[int], other: Sequence[int]) -> int:
        found = 0
        for one, two in zip(rs1024.create_checksum(changed, label), other, strict=True):
            found = found << RADIX_BITS | (one ^ two)
        return found

    wanted = difference(values, checksum)
    parts = [wanted >> RADIX_BITS * (2 - at) & 1023 for at in range(CHECKSUM_LENGTH_WORDS)]
    if sum(map(bool, parts)) == 1:
        return size + 1 + [bool(part) for part in parts].index(True)
    right = rs1024.create_checksum(values, label)
    # The second word holds the flag that the label itself hangs on: it is left out.
    for at in filter(lambda place: place != 1, range(size)):
        sums = [0]
        for bit in range(RADIX_BITS):
            changed = [*values[:at], values[at] ^ 1 << bit, *values[at + 1 :]]
            added = difference(changed, right)
            sums += [one ^ added for one in sums]
        if wanted in sums:
            return at + 1
    return 0
