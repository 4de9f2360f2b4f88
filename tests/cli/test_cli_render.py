"""How things are shown."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from evault_cli import render, words
from vault.auditing import report
from vault.event import EVENT_TYPES
from vault.extracting import names
from vault.pipeline import Progress

VAULT = Path(report.__file__).parents[1]


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


class TestEscape:
    def test_nothing_that_does_not_show_as_itself_is_left(self) -> None:
        for number in range(sys.maxunicode + 1):
            character = chr(number)
            shown = render.escape(character)
            if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
                assert shown.isascii(), hex(number)
                assert shown.startswith("\\"), hex(number)

    @pytest.mark.parametrize("text", ["", "plain", "گواہی", "日本", "é", "a b", "[red]x[/red]"])
    def test_what_shows_stays(self, text: str) -> None:
        assert render.escape(text) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b]8;;http://x\x07y", "\\x1b]8;;http://x\\x07y"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u202egpj.exe", "\\u202egpj.exe"),
            ("\u2066\u2069\u200b\ufeff", "\\u2066\\u2069\\u200b\\ufeff"),
            ("\u3164\u2800\ufe0f\U000e0100", "\\u3164\\u2800\\ufe0f\\U000e0100"),
            ("\U000e0041", "\\U000e0041"),
            ("\udcff", "\\udcff"),
            ("\x9b31m\x7f\xa0", "\\x9b31m\\x7f\\xa0"),
        ],
    )
    def test_what_would_mislead_shows_its_number(self, text: str, shown: str) -> None:
        assert render.escape(text) == shown


def test_values_are_shown_for_people() -> None:
    assert render.show_value(True) == "yes"
    assert render.show_value(False) == "no"
    assert render.show_value(7) == "7"
    assert render.show_value(("a", "b\x1b")) == "a; b\\x1b"
    assert render.show_value("one\ntwo\r") == "one\ntwo\\r"
    assert render.show_value(b"caf\xe9") == "caf\\udce9"
    assert render.show_value(bytes(32)) == "00" * 32


def test_numbers_and_times_are_shown_for_people() -> None:
    assert render.size_text(999) == "999 bytes"
    assert render.size_text(1234) == "1.2 kB"
    assert render.size_text(5 * 10**15) == "5,000.0 TB"
    assert render.count(1, "item") == "1 item"
    assert render.count(1200, "item") == "1,200 items"
    assert render.count(2, "copy", "copies") == "2 copies"
    assert render.utc(0) == "1970-01-01T00:00:00Z"
    assert render.utc(2**62) == f"{2**62} seconds after 1970"
    assert render.fingerprint(bytes(range(4))) == "0001 0203"
    assert render.short(bytes(32)) == "0000 0000 0000 0000"


class TestTable:
    ROWS = (("a", "[bold]x[/bold] \\x1b"), ("bb", "y"))

    def test_elsewhere_it_is_plain_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        render.table(("One", "Two"), self.ROWS)
        assert capsys.readouterr().out == "One  Two\na    [bold]x[/bold] \\x1b\nbb   y\n"

    def test_a_column_without_anything_in_it_is_left_out(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        render.table(("One", "Two", "Three"), [("a", "", "b"), ("c", "", "")])
        assert capsys.readouterr().out == "One  Three\na    b\nc\n"

    def test_on_a_terminal_no_cell_is_markup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        render.table(("One", "Two"), self.ROWS)
        assert "[bold]x[/bold] \\x1b" in terminal.getvalue()

    @pytest.mark.parametrize("term", ["dumb", "unknown"])
    def test_a_dumb_terminal_gets_plain_lines(
        self, monkeypatch: pytest.MonkeyPatch, term: str
    ) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", term)
        render.table(("One", "Two"), self.ROWS)
        assert terminal.getvalue().isascii()
        assert "\x1b" not in terminal.getvalue()


class TestProgress:
    def test_it_is_on_a_terminal_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with render.progress() as callback:
            assert callback is None

    def test_a_line_says_how_far_and_how_fast_and_goes_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal()
        times = iter([0.0, 0.05, 1.0, 2.0, 3.0])
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr("time.monotonic", lambda: next(times))
        with render.progress() as callback:
            assert callback is not None
            callback(Progress("seal", 0, 4_000_000))
            before = terminal.getvalue()
            callback(Progress("seal", 1, 4_000_000))  # too soon to show
            assert terminal.getvalue() == before
            callback(Progress("seal", 1_000_000, 4_000_000))
            assert "Sealing   25 %  1.0 MB of 4.0 MB  1.0 MB/s" in terminal.getvalue()
            callback(Progress("audit", 5, 0))
            assert terminal.getvalue().endswith("\rReading  5 bytes" + " " * 26)
            render.say("said")
            assert terminal.getvalue().endswith("\r" + " " * 16 + "\rsaid\n")
            callback(Progress("audit", 2_000_000, 0))
        assert terminal.getvalue().endswith("\r")

    def test_what_never_began_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with render.progress():
            pass
        assert terminal.getvalue() == ""

    def test_a_line_is_never_wider_than_the_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "20")
        with render.progress() as callback:
            assert callback is not None
            callback(Progress("read-back", 1, 4_000_000))
            assert len(terminal.getvalue()) == 20


class TestQr:
    def test_it_is_drawn_where_it_can_be(self) -> None:
        terminal = Terminal()
        render.qr("ABC", terminal)
        lines = terminal.getvalue().splitlines()
        assert len(lines) == 15  # 21 rows and a quiet zone of 4 on each side, two in a line
        assert all(re.fullmatch("\x1b\\[97;40m[█▀▄ ]{29}\x1b\\[0m", line) for line in lines)
        assert "█" * 29 in lines[0]
        assert "█" * 29 in lines[-1]

    def test_elsewhere_it_is_left_out(self) -> None:
        plain = io.StringIO()
        render.qr("ABC", plain)
        other = Terminal()
        other.encoding = "ascii"  # type: ignore[misc]
        render.qr("ABC", other)
        assert plain.getvalue() == other.getvalue() == ""


class TestLines:
    TEXT = "  " + "word " * 40 + "end\n\nx"

    def test_a_terminal_gets_lines_between_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "40")
        render.say(self.TEXT)
        render.paragraph("word " * 9)
        lines = terminal.getvalue().splitlines()
        assert all(len(line) <= 40 for line in lines)
        assert all(line.startswith("  word") for line in lines[:5])
        assert lines[-4:] == ["", "x", "word " * 7 + "word", "word"]

    def test_elsewhere_a_line_stays_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        render.say(self.TEXT)
        render.paragraph("word " * 99)
        assert capsys.readouterr() == ("word " * 99 + "\n", self.TEXT + "\n")


# --- words --------------------------------------------------------------------------------------


def literals(pattern: str, folder: str) -> set[str]:
    found: set[str] = set()
    for path in (VAULT / folder).rglob("*.py"):
        found.update(re.findall(pattern, path.read_text()))
    return found


def test_every_event_has_words() -> None:
    assert set(words.EVENTS) == set(EVENT_TYPES)


def test_every_rule_has_words() -> None:
    rules = literals(r'yield \(?\s*"([a-z-]+)"', "custody")
    assert len(rules) > 40
    assert rules <= set(words.RULES)


def test_every_finding_has_words() -> None:
    codes = literals(r'Finding\(\s*"([a-z-]+)"', "auditing")
    codes |= literals(r'\.add\(\s*"([a-z-]+)"', "auditing")
    assert len(codes) > 15
    assert codes - {"rule-epoch-due"} <= set(words.FINDINGS)


def test_a_code_of_tomorrow_is_shown_all_the_same() -> None:
    assert "no words for (new-thing)" in words.finding("new-thing")[0]
    assert "a rule of custody: newest" in words.finding("rule-newest")[0]
    assert "two persons" in words.finding("rule-two-person")[0]
    assert words.finding("private-proof") == words.FINDINGS["private-contents"]


def test_damage_is_not_called_anyones_doing() -> None:
    text = " ".join(part for pair in words.FINDINGS.values() for part in pair)
    assert not re.search("tamper|forg|manipulat|falsif|attack|criminal", text)


def test_every_anchor_and_change_has_words() -> None:
    def choices(alias: Any) -> set[str]:
        return set(alias.__args__)

    assert set(words.ANCHORS) == choices(get_type_hints(report.Anchor)["kind"])
    assert set(words.CHANGES) == choices(names.Change)
