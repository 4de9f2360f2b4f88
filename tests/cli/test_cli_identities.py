"""``evault identity`` and ``evault card``."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vault import parse_card, parse_identity_file

Evault = Callable[..., Any]
GROUPS = re.compile(r"(([0-9a-f]{4} ){7}[0-9a-f]{4}\s+){2}")
FAST = ("--work-factor", 10)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("a passphrase long enough\n")
    return path


def test_a_new_identity_is_a_private_file_that_its_passphrase_opens(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    made = evault("identity", "new", "--passphrase-file", secret, *FAST)
    assert made.code == 0
    path = tmp_path / "home/identity.age"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    identity = parse_identity_file(path.read_bytes(), b"a passphrase long enough")
    assert identity.keys.fingerprint.hex() in "".join(made.out.split())
    assert "a passphrase long enough" not in made.out + made.err


def test_one_line_ending_of_a_passphrase_file_is_not_part_of_it(
    evault: Evault, tmp_path: Path
) -> None:
    for number, ending in enumerate((b"", b"\n", b"\r\n")):
        secret = tmp_path / f"secret{number}"
        secret.write_bytes(b" pass phrase \xff" + ending)
        path = tmp_path / f"{number}.age"
        assert evault("identity", "new", "-o", path, "--passphrase-file", secret, *FAST).code == 0
        parse_identity_file(path.read_bytes(), b" pass phrase \xff")
    secret.write_bytes(b"two\n\n")
    path = tmp_path / "two.age"
    assert evault("identity", "new", "-o", path, "--passphrase-file", secret, *FAST).code == 0
    parse_identity_file(path.read_bytes(), b"two\n")


def test_a_passphrase_is_read_from_a_descriptor(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    with secret.open("rb") as file:
        fd = file.fileno()
        path = tmp_path / "x.age"
        assert evault("identity", "new", "-o", path, "--passphrase-fd", fd, *FAST).code == 0
    parse_identity_file(path.read_bytes(), b"a passphrase long enough")


def test_a_descriptor_goes_before_the_environment_and_not_beside_a_file(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("from the environment")
    path = tmp_path / "x.age"
    with secret.open("rb") as file:
        options = ("-o", path, "--passphrase-fd", file.fileno(), *FAST)
        env = {"EVAULT_PASSPHRASE_FILE": str(other)}
        assert evault("identity", "new", *options, env=env).code == 0
        parse_identity_file(path.read_bytes(), b"a passphrase long enough")
        both = evault("identity", "show", *options[2:4], "--passphrase-file", secret)
    assert both.code == 2
    assert "exclude each other" in both.err


@pytest.mark.parametrize(
    ("content", "says"), [(b"\n", "no passphrase"), (b"x" * 5000, "more than")]
)
def test_a_file_without_a_passphrase_is_refused(
    evault: Evault, tmp_path: Path, content: bytes, says: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    made = evault("identity", "new", "--passphrase-file", secret)
    assert made.code == 2
    assert says in made.err
    assert not (tmp_path / "home").exists()


def test_nothing_is_overwritten(evault: Evault, secret: Path, tmp_path: Path) -> None:
    path = tmp_path / "there.age"
    path.write_text("something")
    made = evault("identity", "new", "-o", path, "--passphrase-file", secret, *FAST)
    assert made.code == 3
    assert "is there already" in made.err
    assert str(path) in made.err
    assert path.read_text() == "something"
    link = tmp_path / "link.age"
    link.symlink_to(tmp_path / "nowhere")
    assert evault("identity", "new", "-o", link, "--passphrase-file", secret, *FAST).code == 3
    assert not (tmp_path / "nowhere").exists()


def test_without_a_terminal_a_passphrase_must_be_given(evault: Evault, tmp_path: Path) -> None:
    made = evault("identity", "new")
    assert made.code == 2
    assert "--passphrase-file" in made.err
    assert made.out == ""
    assert not (tmp_path / "home").exists()


def test_six_words_are_offered_and_confirmed(
    evault: Evault, tmp_path: Path, at_terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.choice", lambda words: words[0])
    words = "-".join(["abandon"] * 6)
    made = evault("identity", "new", *FAST, text=f"\n\nwrong\n{words}\n")
    assert made.code == 0, made.err
    assert words in made.err
    assert words not in made.out
    assert "was not the same" in made.err
    parse_identity_file((tmp_path / "home/identity.age").read_bytes(), words.encode())


def test_a_passphrase_of_ones_own_is_typed_twice_and_a_short_one_warned_of(
    evault: Evault, tmp_path: Path, at_terminal: None
) -> None:
    made = evault("identity", "new", *FAST, text="short\nshort\n")
    assert made.code == 0
    assert "Warning: 5 characters" in made.err
    parse_identity_file((tmp_path / "home/identity.age").read_bytes(), b"short")
    again = evault(
        "identity", "new", "-o", tmp_path / "b", *FAST, text="long enough for all\na\nb\nc\n"
    )
    assert again.code == 2
    assert "not confirmed" in again.err
    assert "Warning" not in again.err
    assert not (tmp_path / "b").exists()


def test_show_gives_fingerprint_and_public_keys(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    options = ("--passphrase-file", secret)
    made = evault("identity", "new", *options, *FAST, "--json").json
    shown = evault("identity", "show", *options)
    assert shown.code == 0
    assert GROUPS.search(shown.out)
    assert "age1pq1" in shown.out
    assert "AGE-SECRET" not in shown.out.upper()
    record = evault("identity", "show", *options, "--json").json
    assert record["fingerprint"] == made["fingerprint"]
    assert record["identity"] == made["identity"] == str(tmp_path / "home/identity.age")
    assert set(record) == {"identity", "fingerprint", "ed25519", "ml_dsa_44", "age"}


def test_an_identity_is_named_by_option_or_environment(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.age"
    env = {"EVAULT_IDENTITY": str(path), "EVAULT_PASSPHRASE_FILE": str(secret)}
    assert evault("identity", "new", *FAST, env=env).code == 0
    assert path.exists()
    assert evault("identity", "show", env=env).code == 0
    missing = evault("identity", "show", "-i", tmp_path / "none", env=env)
    assert missing.code == 2
    assert "There is no identity at" in missing.err


def test_protect_changes_the_passphrase_and_nothing_else(
    evault: Evault, secret: Path, tmp_path: Path
) -> None:
    before = evault("identity", "new", "--passphrase-file", secret, *FAST, "--json").json
    new = tmp_path / "new.txt"
    new.write_text("another passphrase")
    options = ("--passphrase-file", secret, "--new-passphrase-file", new, *FAST)
    changed = evault("identity", "protect", *options)
    assert changed.code == 0, changed.err
    path = tmp_path / "home/identity.age"
    identity = parse_identity_file(path.read_bytes(), b"another passphrase")
    assert identity.keys.fingerprint.hex() == before["fingerprint"]
    assert os.listdir(path.parent) == ["identity.age"]
    assert evault("identity", "show", "--passphrase-file", secret).code == 4
    with secret.open("rb") as file:
        options = ("--passphrase-file", new, "--new-passphrase-fd", file.fileno(), *FAST)
        assert evault("identity", "protect", *options).code == 0
        both = evault("identity", "protect", "--passphrase-file", secret,
                      "--new-passphrase-fd", 0, "--new-passphrase-file", new)  # fmt: skip
    assert both.code == 2


def test_protect_asks_for_both_passphrases(
    evault: Evault, secret: Path, tmp_path: Path, at_terminal: None
) -> None:
    assert evault("identity", "new", "--passphrase-file", secret, *FAST).code == 0
    typed = "a passphrase long enough\nthe next passphrase\nthe next passphrase\n"
    assert evault("identity", "protect", *FAST, text=typed).code == 0
    path = tmp_path / "home/identity.age"
    parse_identity_file(path.read_bytes(), b"the next passphrase")
    nothing = evault("identity", "show", text="\n")
    assert nothing.code == 2
    assert "No passphrase was given" in nothing.err


def test_protect_leaves_the_old_file_when_the_new_one_cant_be_written(
    evault: Evault, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evault("identity", "new", "--passphrase-file", secret, *FAST).code == 0
    path = tmp_path / "home/identity.age"
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("vault.storage.single.write_all", full)
    options = ("--passphrase-file", secret, "--new-passphrase-file", secret, *FAST)
    failed = evault("identity", "protect", *options)
    assert failed.code == 5
    assert "is full" in failed.err
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["identity.age"]


class TestCard:
    @pytest.fixture(autouse=True)
    def _identity(self, evault: Evault, secret: Path) -> None:
        assert evault("identity", "new", "--passphrase-file", secret, *FAST).code == 0

    def test_a_card_goes_to_standard_output_and_its_fingerprint_beside(
        self, evault: Evault, secret: Path
    ) -> None:
        # The name is typed in the decomposed form, and kept in NFC.
        made = evault("card", "--name", " Ben\u00e9 Bene\u0301 ", "--passphrase-file", secret)
        assert made.code == 0
        card = parse_card(made.out.encode())
        assert card.name == "Ben\u00e9 Ben\u00e9"
        assert card.keys.fingerprint.hex() in "".join(made.err.split())
        assert GROUPS.search(made.err)

    def test_a_card_goes_to_a_new_file(self, evault: Evault, secret: Path, tmp_path: Path) -> None:
        path = tmp_path / "my.card"
        options = ("--name", "Asma", "--passphrase-file", secret, "-o", path)
        made = evault("card", *options)
        assert (made.code, made.out) == (0, "")
        assert parse_card(path.read_bytes()).name == "Asma"
        assert evault("card", *options).code == 3
        assert parse_card(path.read_bytes()).name == "Asma"

    def test_a_card_as_json(self, evault: Evault, secret: Path) -> None:
        record = evault("card", "--name", "خان", "--passphrase-file", secret, "--json").json
        assert set(record) == {"name", "created", "fingerprint", "file", "card"}
        assert parse_card(record["card"].encode()).name == record["name"] == "خان"
        assert record["file"] is None

    def test_a_name_is_asked_for_at_a_terminal(
        self, evault: Evault, secret: Path, at_terminal: None
    ) -> None:
        made = evault("card", "--passphrase-file", secret, text="Asma\n")
        assert parse_card(made.out.encode()).name == "Asma"

    def test_a_card_without_a_name_is_refused(self, evault: Evault, secret: Path) -> None:
        made = evault("card", "--passphrase-file", secret)
        assert (made.code, made.out) == (2, "")
        assert "--name" in made.err

    @pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\nb", "a\u202eb", "\x1b[31m"])
    def test_a_name_that_could_mislead_is_refused(
        self, evault: Evault, secret: Path, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "x.card"
        made = evault("card", "--name", name, "--passphrase-file", secret, "-o", path)
        assert made.code == 2
        assert "one line of 1 to 120" in made.err
        assert not path.exists()
