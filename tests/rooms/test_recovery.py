"""An identity in shares: split, printed, read back, joined; and what is wrong with a share."""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import segno
import shamir_mnemonic as slip39
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic import rs1024
from shamir_mnemonic.wordlist import WORD_INDEX_MAP, WORDLIST

from vault import Identity, MemoryStore, Vault
from vault.errors import CustodyError, DigestMismatchError, NotFoundError, ShareError
from vault.recovery import (
    MAX_SHARES,
    WORDS,
    Joining,
    Share,
    Sheet,
    check_shares,
    drill,
    format_sheet_html,
    format_sheet_text,
    join_shares,
    make_sheets,
    parse_share,
    parse_share_file,
    split_identity,
    write_sheets,
)

DATE = datetime.date(2026, 3, 1)
VAULTS = (bytes(range(32)), bytes(range(100, 132)))
OWNER = Identity(b"\x07" * 32)
OTHER = Identity(b"\x08" * 32)


def stream(seed: bytes) -> Callable[[int], bytes]:
    """Return a source of bytes that are always the same."""
    calls = iter(range(10**6))
    return lambda size: hashlib.shake_256(seed + b"%d" % next(calls)).digest(size)


@pytest.fixture(autouse=True)
def _same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shamir_mnemonic.shamir.RANDOM_BYTES", stream(b"seed of these tests"))


def placed(share: Share, where: str) -> Share:
    return Share(share.words, where, share.fingerprint)


def split(threshold: int = 2, count: int = 3, identity: Identity = OWNER) -> tuple[Share, ...]:
    made = split_identity(identity, threshold, count)
    return tuple(placed(share, f"{share.number}.txt") for share in made)


def text_of(share: Share) -> str:
    return " ".join(share.words)


def fault_of(call: Callable[[], object]) -> ShareError:
    with pytest.raises(ShareError) as raised:
        call()
    return raised.value


def mnemonics(*groups: tuple[int, int], secret: bytes = OWNER.seed, **more: Any) -> list[str]:
    made = slip39.generate_mnemonics(len(groups), groups, secret, **more)
    return [words for group in made for words in group]


def with_checksum(indices: list[int]) -> str:
    return " ".join(
        WORDLIST[one] for one in (*indices, *rs1024.create_checksum(indices, b"shamir"))
    )


def sheets(threshold: int = 2, count: int = 3, **more: Any) -> tuple[Sheet, ...]:
    return make_sheets(OWNER, split_identity(OWNER, threshold, count), DATE, **more)


def qr(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, segno.make(text, error="q", micro=False).matrix))


# --- splitting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (5, 6), (16, 16)])
def test_any_threshold_of_the_shares_gives_the_identity_back(threshold: int, count: int) -> None:
    shares = split(threshold, count)
    assert [share.number for share in shares] == list(range(1, count + 1))
    assert {(len(share.words), share.threshold) for share in shares} == {(WORDS, threshold)}
    for chosen in combinations(shares, threshold):
        assert join_shares(reversed(chosen)).seed == OWNER.seed
    fault = fault_of(lambda: join_shares(shares[: threshold - 1]))
    assert (fault.fault, fault.code) == ("too-few", "share")


def test_more_shares_than_are_needed_are_welcome() -> None:
    assert join_shares(split(2, 5)).seed == OWNER.seed


@pytest.mark.parametrize(
    ("threshold", "count"), [(0, 3), (1, 1), (1, 3), (3, 2), (2, 17), (17, 17)]
)
def test_a_share_that_is_enough_alone_and_numbers_that_cant_be_are_refused(
    threshold: int, count: int
) -> None:
    with pytest.raises(ValueError, match="threshold"):
        split_identity(OWNER, threshold, count)


def test_shares_are_those_of_the_standard_and_any_tool_joins_them() -> None:
    shares = split()
    assert slip39.combine_mnemonics(map(text_of, shares[1:])) == OWNER.seed
    one = slip39.Share.from_mnemonic(text_of(shares[0]))
    assert (one.extendable, one.iteration_exponent, one.group_count) == (False, 0, 1)
    assert {share.split for share in shares} == {(shares[0].words[0], shares[0].words[1])}
    # With the randomness of these tests: what was printed once must be made and read for ever.
    assert text_of(shares[2]) == (
        "elite extend academic always analysis program minister rocky debris mobile usual bumpy "
        "judicial spew primary papa mild papa mixed evidence family prisoner dish style museum "
        "adequate emphasis space unknown surface material hour peasant"
    )


def test_two_splits_of_one_identity_have_nothing_in_common() -> None:
    first, second = split(), split()
    assert first[0].split != second[0].split
    assert not {share.words[4:-3] for share in first} & {share.words[4:-3] for share in second}


@pytest.mark.parametrize(("threshold", "count"), [(2, 3), (8, MAX_SHARES)])
def test_a_split_that_does_not_give_the_identity_back_is_never_handed_out(
    threshold: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: 7)
    good = split_identity(OWNER, threshold, count)
    stray = split_identity(OWNER, threshold, count)
    check_shares(OWNER, good)
    for at in (0, count - 1):
        with pytest.raises(AssertionError, match="identity back"):
            check_shares(OWNER, (*good[:at], stray[at], *good[at + 1 :]))
    with pytest.raises(AssertionError, match="identity back"):
        check_shares(OTHER, good)


def test_a_share_does_not_show_its_words() -> None:
    share = split()[1]
    assert repr(share) == "<Share 2, threshold 2>"
    assert repr(sheets()[1]).count("<Share 2, threshold 2>") == 1
    assert share.words[5] not in repr(sheets())


# --- reading words ------------------------------------------------------------------------------


def test_words_are_read_in_any_case_by_four_letters_with_or_without_numbers() -> None:
    share = split()[0]
    words = share.words
    numbered = [f"{number}. {word}" for number, word in enumerate(words, 1)]
    for text in (
        text_of(share),
        f"\n  {text_of(share).upper()}\r\n",
        " ".join(word[:4] for word in words),
        "\r\n".join(words),
        " ".join(f"{number} {word}" for number, word in enumerate(words, 1)),
        "\n".join(reversed(numbered)),
        "\t".join(one.replace(". ", ")") for one in numbered),
    ):
        assert parse_share(text).words == words
        assert parse_share_file(b"\xef\xbb\xbf" + text.encode()).words == words


@pytest.mark.parametrize(
    ("typed", "near"), [("acadmic", "academic"), ("famly", "family"), ("pesant", "peasant")]
)
def test_a_misspelt_word_is_named_with_its_number_and_the_nearest(typed: str, near: str) -> None:
    words = split()[0].words
    text = " ".join([*words[:6], typed, *words[7:]])
    fault = fault_of(lambda: parse_share(text, "a.txt"))
    assert (fault.fault, fault.word, fault.where) == ("word", 7, "a.txt")
    assert f"word 7, '{typed}', is not in the list of words" in fault.why
    assert near in fault.why
    assert fault.details["word"] == 7


def test_a_word_like_none_of_the_list_is_named_all_the_same() -> None:
    for word in ("qqqqqqqq", "а", "acad-mic", "x" * 1000, "aca", "9" * 5000, "\u0663"):
        fault = fault_of(lambda word=word: parse_share(f"acid {word}"))  # type: ignore[misc]
        assert (fault.fault, fault.word) == ("word", 2)
        assert len(fault.why) < 120


@pytest.mark.parametrize("count", [0, 1, 32, 34, 66])
def test_a_wrong_count_of_words_is_told(count: int) -> None:
    words = (split()[0].words * 2)[:count]
    fault = fault_of(lambda: parse_share(" ".join(words)))
    assert fault.fault == "count"
    assert fault.why.startswith(f"{count} word")


def test_the_share_of_a_shorter_secret_is_told_by_its_words() -> None:
    fault = fault_of(lambda: parse_share(mnemonics((2, 3), secret=bytes(16))[0]))
    assert (fault.fault, fault.why[:8]) == ("count", "20 words")


@pytest.mark.parametrize("number", [one for one in range(1, WORDS + 1) if one != 2])
def test_one_wrong_word_of_the_list_is_found_by_the_checksum(number: int) -> None:
    words = list(split()[0].words)
    words[number - 1] = WORDLIST[(WORD_INDEX_MAP[words[number - 1]] + 389) % 1024]
    fault = fault_of(lambda: parse_share(" ".join(words)))
    assert (fault.fault, fault.word) == ("checksum", number)
    assert f"it is word {number}" in fault.why


@pytest.mark.parametrize("places", [(1,), (4, 20), (10, 11, 12)])
def test_what_the_checksum_cant_place_is_still_refused(places: tuple[int, ...]) -> None:
    words = list(split()[0].words)
    for at in places:
        words[at] = WORDLIST[WORD_INDEX_MAP[words[at]] ^ 0b0101010101]
    fault = fault_of(lambda: parse_share(" ".join(words)))
    assert (fault.fault, fault.word) == ("checksum", 0)


def test_words_that_changed_places_are_refused() -> None:
    words = list(split()[0].words)
    words[8], words[9] = words[9], words[8]
    assert fault_of(lambda: parse_share(" ".join(words))).fault == "checksum"


@pytest.mark.parametrize(
    ("text", "word", "says"),
    [
        ("1 acid 2 acne 2 acorn", 2, "two words 2"),
        ("1 acid 3 acne", 2, "word 2 is missing"),
        ("2 acid 3 acne", 1, "word 1 is missing"),
        ("1 acid acne", 0, "some have none"),
        ("1 acid acne 2", 0, "some have none"),
        ("acid 1 acne 2", 0, "some have none"),
        ("1", 0, "some have none"),
    ],
)
def test_numbers_that_dont_count_are_refused(text: str, word: int, says: str) -> None:
    fault = fault_of(lambda: parse_share(text, "b.txt"))
    assert (fault.fault, fault.word, fault.where) == ("numbers", word, "b.txt")
    assert says in fault.why


def test_a_share_of_several_groups_is_not_ours() -> None:
    fault = fault_of(lambda: parse_share(mnemonics((2, 3), (2, 2))[0]))
    assert fault.fault == "groups"


def test_words_with_a_sound_checksum_that_are_no_share_are_refused() -> None:
    indices = [WORD_INDEX_MAP[word] for word in split()[0].words[:-3]]
    padded = [*indices[:4], 1023, *indices[5:]]
    more_groups_than_there_are = [*indices[:2], 0b0000_1111_00, *indices[3:]]
    for wrong in (padded, more_groups_than_there_are):
        fault = fault_of(lambda wrong=wrong: parse_share(with_checksum(wrong)))  # type: ignore[misc]
        assert fault.fault == "value"
        assert not set(fault.why.split()) & set(split()[0].words)


def test_shares_that_other_tools_made_of_a_seed_join() -> None:
    for made in (
        mnemonics((2, 3), extendable=True, iteration_exponent=1)[:2],
        mnemonics((1, 1)),
    ):
        assert join_shares(map(parse_share, made)).seed == OWNER.seed


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfea\x00c\x00", "UTF-8"),
        (b"acid " * 20000, "too long"),
        (b"  <!DOCTYPE html>\n<html>", "HTML"),
        (b"EVIDENCE VAULT: ONE SHARE OF AN IDENTITY\n", "without its fingerprint"),
    ],
)
def test_what_is_no_text_of_a_share_is_told(data: bytes, says: str) -> None:
    fault = fault_of(lambda: parse_share_file(data, "c.txt"))
    assert (fault.fault, fault.where) == ("text", "c.txt")
    assert says in fault.why


@given(st.binary(max_size=400) | st.text("acidne 12.)\n\r\f", max_size=200).map(str.encode))
def test_nothing_in_a_file_does_more_than_to_be_refused(data: bytes) -> None:
    with pytest.raises(ShareError) as raised:
        parse_share_file(b"1 acid " + data, "f")
    assert raised.value.where == "f"


# --- shares that don't belong together ----------------------------------------------------------


def test_a_repeated_share_is_named() -> None:
    one, *_ = split()
    fault = fault_of(lambda: join_shares([one, placed(one, "again.txt")]))
    assert (fault.fault, fault.where) == ("repeated", "again.txt")
    assert "1.txt" in fault.why
    assert "another" in fault_of(lambda: join_shares([placed(one, ""), one])).why


def test_a_share_of_another_split_is_named() -> None:
    for identity in (OWNER, OTHER):
        foreign = placed(split(identity=identity)[1], "foreign.txt")
        fault = fault_of(lambda foreign=foreign: join_shares([split()[0], foreign]))  # type: ignore[misc]
        assert (fault.fault, fault.where) == ("other-split", "foreign.txt")


class TestSplitsThatBeginWithTheSameWords:
    @pytest.fixture(autouse=True)
    def _same_beginning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: 7)

    def test_another_threshold_is_named(self) -> None:
        foreign = placed(split(3, 3)[1], "foreign.txt")
        fault = fault_of(lambda: join_shares([split()[0], foreign]))
        assert (fault.fault, fault.where) == ("other-threshold", "foreign.txt")
        assert "needs 3 shares, where 1.txt needs 2" in fault.why

    def test_a_share_of_the_same_number_is_named(self) -> None:
        foreign = placed(split()[0], "foreign.txt")
        fault = fault_of(lambda: join_shares([split()[0], foreign]))
        assert (fault.fault, fault.where) == ("other-split", "foreign.txt")

    def test_where_there_are_just_enough_all_are_named(self) -> None:
        first, second = split(), split()
        unknown = placed(second[1], "")
        fault = fault_of(lambda: join_shares([first[0], unknown]))
        assert fault.fault == "digest"
        assert "1.txt, share 2" in fault.why

    @pytest.mark.parametrize("at", [0, 1, 2, 3])
    def test_with_one_more_than_enough_the_wrong_one_is_named(self, at: int) -> None:
        shares = list(split(2, 4))
        shares[at] = placed(split(2, 4)[at], "foreign.txt")
        fault = fault_of(lambda: join_shares(shares))
        assert (fault.fault, fault.where) == ("digest", "foreign.txt")

    def test_the_search_for_it_ends(self) -> None:
        first, second = split(8, 16), split(8, 16)
        mixed = [*first[:7], *second[7:14]]
        assert fault_of(lambda: join_shares(mixed)).fault == "digest"


def test_the_identity_must_be_the_one_on_the_sheets_and_the_one_asked_for() -> None:
    one, two, _ = split()
    named = Share(two.words, "2.txt", OTHER.keys.fingerprint)
    fault = fault_of(lambda: join_shares([one, named]))
    assert (fault.fault, fault.where) == ("fingerprint", "2.txt")
    fault = fault_of(lambda: join_shares([one, two], OTHER.keys.fingerprint))
    assert fault.fault == "fingerprint"
    assert OWNER.keys.fingerprint.hex() in fault.why
    assert join_shares([one, two], OWNER.keys.fingerprint).seed == OWNER.seed


# --- typing -------------------------------------------------------------------------------------


def test_a_share_is_typed_a_few_words_at_a_time() -> None:
    joining = Joining()
    assert (joining.missing, joining.next_word) == (1, 1)
    for share in split()[:2]:
        for at in range(0, WORDS, 7):
            assert joining.next_word == at + 1
            assert joining.type(" ".join(share.words[at : at + 7]), "as typed") is None
        assert joining.next_word == 1
        assert joining.shares[-1].words == share.words
    assert joining.missing == 0
    assert joining.identity().seed == OWNER.seed


def test_a_word_typed_wrong_is_named_at_once_and_typed_again() -> None:
    one, two, _ = split()
    joining = Joining()
    wrong = joining.type(f"{one.words[0]} {one.words[1]} xyzzy {one.words[3]}", "share 1")
    assert wrong is not None
    assert (wrong.fault, wrong.word, wrong.where, joining.next_word) == ("word", 3, "share 1", 3)
    assert joining.type(f"3 {one.words[2]} 4 {one.words[3]}", "share 1") is None
    wrong = joining.type(f"4 {one.words[2]}", "share 1")
    assert wrong is not None
    assert (wrong.fault, joining.next_word) == ("numbers", 5)
    assert joining.type(" ".join(one.words[4:]), "share 1") is None
    # A share that is wrong as a whole begins again.
    for text, fault in (
        (text_of(one), "repeated"),
        (f"{text_of(two)} acid", "count"),
        (" ".join(reversed(two.words)), "checksum"),
    ):
        wrong = joining.type(text, "share 2")
        assert wrong is not None
        assert (wrong.fault, wrong.where, joining.next_word) == (fault, "share 2", 1)
    assert joining.type(text_of(two), "share 2") is None
    assert joining.identity().seed == OWNER.seed


def test_without_any_share_it_is_told_that_there_is_none() -> None:
    fault = fault_of(lambda: Joining().identity())
    assert (fault.fault, fault.why[:13]) == ("too-few", "0 of the seve")


# --- sheets -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def forms(sheet: Sheet) -> Iterator[str]:
    """Yield the words of a sheet in each form, all in one line."""
    yield " ".join(format_sheet_text(sheet).split())
    yield " ".join(Page(format_sheet_html(sheet, qr("x"))).text.split())


def spaced(digest: bytes) -> str:
    return " ".join(re.findall("....", digest.hex()))


def test_a_sheet_says_whose_it_is_what_it_is_for_and_how_to_keep_it() -> None:
    sheet = sheets(3, 5, name="Asma", vaults=VAULTS)[1]
    for text in forms(sheet):
        for said in (
            "2 of 5",
            "any 3 of the 5, together",
            "Asma",
            spaced(OWNER.keys.fingerprint)[:39],
            spaced(VAULTS[0])[:39],
            spaced(VAULTS[1])[-39:],
            "2026-03-01",
            "useless without a copy of the vault",
            "No one share, and no set of fewer than three, tells anything",
            "not in one place, not with one person, not all in one country",
            "Not with the vault",
            "evault recover join",
            OWNER.ed25519.hex(),
            "evidence-vault/v1/age",
        ):
            assert said in text, said
        assert "None" not in text
    for text in forms(sheets(2, 12)[0]):
        assert "One share alone tells nothing" in text
        assert "split into 12 shares" in text
        assert "Identity of" not in text
        assert not re.search(r"\bVault [0-9a-f]{4} ", text)


def test_a_sheet_holds_no_secret_but_its_words() -> None:
    made = sheets(2, 3, name="Asma", vaults=VAULTS)
    secrets = (
        OWNER.seed.hex(),
        OWNER.age.to_string()[20:],
        OWNER.age.seed.hex(),
        HKDF(SHA256(), 32, None, b"evidence-vault/v1/ed25519").derive(OWNER.seed).hex(),
    )
    for sheet in made:
        value = slip39.Share.from_mnemonic(text_of(sheet.share)).value.hex()
        for text in (format_sheet_text(sheet), format_sheet_html(sheet, qr("x"))):
            assert not any(secret.lower() in text.lower() for secret in (*secrets, value))
            for other in made:
                if other is not sheet:
                    for at in range(3, WORDS - 2):
                        assert " ".join(other.share.words[at : at + 3]) not in text
        # What the sheets of a split differ in is the words, and the number of the share.
        others = [one for one in made if one is not sheet]
        rest = {blanked(one) for one in (sheet, *others)}
        assert len(rest) == 1


def blanked(sheet: Sheet) -> str:
    front, heading, back = format_sheet_text(sheet).partition("THE WORDS OF THIS SHARE")
    words, reading, rest = back.partition("Read them across")
    assert tuple(re.findall("[a-z]+", words)) == sheet.share.words
    return front.replace(f"  {sheet.share.number} of 3\n", "  k of 3\n") + heading + reading + rest


def test_the_text_of_a_sheet_fits_on_paper_and_is_read_back_whole() -> None:
    for sheet in sheets(2, 3, name="Asma", vaults=VAULTS):
        text = format_sheet_text(sheet)
        assert max(map(len, text.split("\n"))) <= 78
        assert text.isascii()
        for form in (text, text.replace("\n", "\r\n"), f"\ufeff\n{text}"):
            read = parse_share_file(form.encode(), "sheet.txt")
            assert (read.words, read.fingerprint) == (sheet.share.words, OWNER.keys.fingerprint)
            assert read.where == "sheet.txt"


def test_a_sheet_that_was_changed_by_hand_says_where() -> None:
    sheet = sheets()[0]
    text, words = format_sheet_text(sheet), sheet.share.words
    misspelt = text.replace(f"20 {words[19]}", "20 zzzz")
    fault = fault_of(lambda: parse_share(misspelt, "s.txt"))
    assert (fault.fault, fault.word, fault.where) == ("word", 20, "s.txt")
    cut = "\n".join(line for line in text.split("\n") if f"31 {words[30]}" not in line)
    assert fault_of(lambda: parse_share(cut, "s.txt")).fault == "count"
    unnamed = text.replace("Fingerprint", "Finger")
    assert fault_of(lambda: parse_share(unnamed, "s.txt")).fault == "text"


def test_the_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    html = format_sheet_html(sheets(2, 3, vaults=VAULTS)[0], qr("x"))
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "a", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not {"src", "href", "srcset", "action", "data"} & names
    assert not re.search(r"url\(|@import|://", html)
    assert "default-src 'none'" in html
    assert "size: A4" in html
    label = "This code is the same words: cover it, never photograph it."
    assert html.index("</svg>") < html.index(label) < html.index("</figure>")
    assert html.isascii()


def test_a_name_is_text_on_the_page_and_one_line() -> None:
    name = "<script>alert('é')</script> & Co."
    sheet = sheets(name=name)[0]
    html = format_sheet_html(sheet, qr("x"))
    assert "<script" not in html
    assert name in Page(html).text
    assert name in format_sheet_text(sheet)
    assert parse_share(format_sheet_text(sheet)).words == sheet.share.words
    for bad in ("two\nlines", "a\u202eb", "x" * 121):
        with pytest.raises(ValueError, match="one line"):
            sheets(name=bad)
    with pytest.raises(ValueError, match="32 bytes"):
        sheets(vaults=[b"short"])


def test_the_words_on_the_page_are_numbered_in_three_columns() -> None:
    sheet = sheets()[2]
    html = format_sheet_html(sheet, qr("x"))
    found = re.findall(r"<td><b>([0-9]+)</b> ([a-z]+)</td>", html)
    assert found == [(str(number), word) for number, word in enumerate(sheet.share.words, 1)]
    assert html.count("<tr><td><b>") == 11


def test_the_code_on_the_page_is_the_qr_code_of_the_words() -> None:
    share = sheets()[0].share
    matrix = qr(text_of(share))
    html = format_sheet_html(sheets()[0], matrix)
    (box,) = re.findall(r'viewBox="0 0 ([0-9]+) [0-9]+"', html)
    quiet = 4
    assert int(box) == len(matrix) + 2 * quiet
    drawn = [[0] * len(matrix) for _ in matrix]
    (path,) = re.findall(r'<path d="([^"]+)"', html)
    bars = re.findall(r"M([0-9]+) ([0-9]+)h([0-9]+)v1h-([0-9]+)z", path)
    assert "".join(f"M{x} {y}h{n}v1h-{m}z" for x, y, n, m in bars) == path
    for x, y, wide, back in bars:
        assert wide == back
        for at in range(int(x), int(x) + int(wide)):
            drawn[int(y) - quiet][at - quiet] += 1
    assert drawn == [list(row) for row in matrix]


# --- without this software ----------------------------------------------------------------------


def bech32(name: str, data: bytes) -> str:
    """BIP 173, from its text, and without its limit of length."""
    generator = [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]

    def polymod(values: list[int]) -> int:
        check = 1
        for value in values:
            top = check >> 25
            check = (check & 0x1FFFFFF) << 5 ^ value
            for bit in range(5):
                check ^= generator[bit] if top >> bit & 1 else 0
        return check

    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    head = [ord(one) >> 5 for one in name] + [0] + [ord(one) & 31 for one in name]
    check = polymod([*head, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return name + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[one] for one in values)


def master_secret(texts: list[str]) -> bytes:
    """Step 1 of a sheet: take the words by their numbers, and give them to a tool for SLIP-39."""
    lines = []
    for text in texts:
        block = text.split("THE WORDS OF THIS SHARE")[1].split("Read them across")[0]
        words = {int(number): word for number, word in re.findall(r"([0-9]+) ([a-z]+)", block)}
        lines.append(" ".join(words[number] for number in range(1, 34)))
    return slip39.combine_mnemonics(lines)


def test_a_sheet_can_be_followed_without_this_software() -> None:
    texts = [format_sheet_text(sheet) for sheet in sheets(3, 5)]
    secret = master_secret([texts[4], texts[0], texts[2]])
    assert len(secret) == 32
    # Step 2, with each info as it is printed there.
    infos = re.findall(r"- (evidence-vault/v1/[a-z0-9-]+):", texts[0])
    keys = {
        info.rpartition("/")[2]: HKDF(SHA256(), 32, salt=None, info=info.encode()).derive(secret)
        for info in infos
    }
    assert sorted(keys) == ["age", "ed25519", "ml-dsa-44"]
    public = Ed25519PrivateKey.from_private_bytes(keys["ed25519"]).public_key().public_bytes_raw()
    assert f"    {public.hex()}\n" in texts[0]
    assert public == OWNER.ed25519
    # Step 3.
    (name,) = re.findall(r"under the name\s+(age-[a-z-]+-)\s", texts[0])
    line = bech32(name, keys["age"]).upper()
    assert line.startswith("AGE-SECRET-KEY-PQ-1")
    assert line == OWNER.age.to_string()


def test_the_program_on_a_sheet_does_what_the_sheet_says(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [format_sheet_text(sheet) for sheet in sheets()]
    secret = master_secret(texts[:2])
    program = "\n".join(
        line.removeprefix("    ")
        for line in texts[0].split("2\nand 3:")[-1].split("\n")
        if line.startswith("    ")
    ).split("age -d -i")[0]
    program = program[program.index("import hashlib") :]
    assert re.findall(r"^import (.*)$", program, re.MULTILINE) == ["hashlib, hmac"]
    out = io.StringIO()
    monkeypatch.setattr("builtins.input", lambda _: secret.hex())
    with redirect_stdout(out):
        exec(compile(program, "sheet", "exec"), {})
    line, private = out.getvalue().splitlines()
    assert line == OWNER.age.to_string()
    seed = bytes.fromhex(private.rpartition(" ")[2])
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert key.public_key().public_bytes_raw() == OWNER.ed25519


# --- files --------------------------------------------------------------------------------------


def test_sheets_are_private_files_in_a_new_folder(tmp_path: Path) -> None:
    made = sheets()
    written = write_sheets(tmp_path / "s", made, qr)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert [one.number for one in written] == [1, 2, 3]
    paths = [Path(path) for one in written for path in (one.text, one.html)]
    assert sorted(paths) == sorted((tmp_path / "s").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    for one, sheet in zip(written, made, strict=True):
        assert Path(one.text).name == f"share-{one.number}-of-3.txt"
        assert Path(one.text).read_text() == format_sheet_text(sheet)
        assert Path(one.html).read_text() == format_sheet_html(sheet, qr(text_of(sheet.share)))
    before = paths[0].read_bytes()
    with pytest.raises(FileExistsError):
        write_sheets(tmp_path / "s", sheets(), qr)
    assert paths[0].read_bytes() == before


@pytest.mark.parametrize("call", range(6))
def test_an_error_leaves_no_sheet_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    from vault.storage.durability import write_all

    calls = iter(range(6))

    def fail(descriptor: int, data: Any) -> None:
        if next(calls) == call:
            raise OSError(28, "No space left on device")
        write_all(descriptor, data)

    monkeypatch.setattr("vault.extracting.folder.write_all", fail)
    with pytest.raises(OSError, match="No space"):
        write_sheets(tmp_path / "s", sheets(), qr)
    assert os.listdir(tmp_path) == []


def test_a_medium_that_gives_back_something_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path)[:-1] + b"\x00")
    with pytest.raises(DigestMismatchError) as raised:
        write_sheets(tmp_path / "s", sheets(), qr)
    assert raised.value.where.endswith("share-1-of-3.txt")
    assert os.listdir(tmp_path) == []


def test_a_sheet_that_would_not_be_read_as_its_share_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.recovery.writing.format_sheet_text", lambda _: text_of(split()[0]))
    with pytest.raises(DigestMismatchError):
        write_sheets(tmp_path / "s", sheets(), qr)
    assert os.listdir(tmp_path) == []


# --- the drill ----------------------------------------------------------------------------------


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    Vault.create(store, identity=OWNER, readers=[OWNER], clock=lambda: 1_780_000_000)
    return store


def test_a_drill_is_an_event_by_the_identity_that_the_shares_give(store: MemoryStore) -> None:
    shares = split(2, 4)
    rebuilt = join_shares([shares[3], shares[1]])
    with Vault.open(store, identity=rebuilt) as vault:
        event = drill(
            vault,
            [shares[3], shares[1]],
            detail="run by Bea",
            fields={"occurred_at": "2026-03-01"},
        )
        again = drill(vault, shares[:2])
        assert (event.type, event.actor) == ("recovery.drilled", OWNER.ed25519)
        fields = vault.fields(event)
        assert fields["detail"] == "shares 2, 4; 2 are needed; run by Bea"
        assert fields["occurred_at"] == "2026-03-01"
        assert vault.fields(again)["detail"] == "shares 1, 2; 2 are needed"
        assert (event.seq, again.seq, vault.breaches) == (3, 4, ())


def test_a_drill_that_fails_records_nothing(store: MemoryStore) -> None:
    with Vault.open(store, identity=OWNER) as vault:
        size, good = vault.size, split()
        assert fault_of(lambda: drill(vault, good[:1])).fault == "too-few"
        assert fault_of(lambda: drill(vault, [good[0], split()[1]])).where == "2.txt"
        with pytest.raises(ValueError, match="not opened by"):
            drill(vault, split(identity=OTHER))
        vault.refresh()
        assert vault.size == size
    with Vault.open(store) as vault, pytest.raises(ValueError, match="not opened by"):
        drill(vault, good)


def test_shares_of_somebody_who_is_no_member_are_told(store: MemoryStore) -> None:
    with Vault.open(store, identity=OTHER) as vault:
        with pytest.raises(NotFoundError) as raised:
            drill(vault, split(identity=OTHER))
        assert OTHER.keys.fingerprint.hex() in raised.value.why
        assert vault.size == 3
        # Were it not looked at first, the rule of custody would forbid it.
        with pytest.raises(CustodyError):
            vault.append("recovery.drilled", fields={"detail": "x"})
