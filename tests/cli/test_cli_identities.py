"""``evault identity`` and ``evault card``."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segno
from PIL import Image

from tests.cli.conftest import World
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
    assert "`evault recover join` makes it again from its sheets" in missing.err


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
        assert set(record) == {"name", "created", "fingerprint", "file", "qr", "card"}
        assert parse_card(record["card"].encode()).name == record["name"] == "خان"
        assert (record["file"], record["qr"]) == (None, None)

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

    @pytest.mark.parametrize("name", ["code.png", "code.svg", "CODE.PNG"])
    def test_the_code_holds_the_fingerprint_and_nothing_else(
        self, evault: Evault, secret: Path, tmp_path: Path, name: str
    ) -> None:
        path = tmp_path / name
        made = evault("card", "--name", "Asma", "--passphrase-file", secret, "--qr", path, "--json")
        assert made.code == 0, made.err
        record = made.json
        assert record["qr"] == str(path)
        assert str(path) in made.err
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        # The terminal draws the same text, in the same way.
        code = segno.make(record["fingerprint"].upper(), micro=False)
        assert modules(path) == [[bool(one) for one in row] for row in code.matrix_iter(border=4)]

    def test_card_and_code_are_both_written(
        self, evault: Evault, secret: Path, tmp_path: Path
    ) -> None:
        card, code = tmp_path / "my.card", tmp_path / "my.svg"
        options = ("--name", "Asma", "--passphrase-file", secret)
        assert evault("card", *options, "-o", card, "--qr", code).code == 0
        assert parse_card(card.read_bytes()).name == "Asma"
        assert code.read_bytes().startswith(b"<?xml")

    @pytest.mark.parametrize("taken", ["my.card", "my.svg"])
    def test_if_either_is_there_neither_is_written(
        self, evault: Evault, secret: Path, tmp_path: Path, taken: str
    ) -> None:
        (tmp_path / taken).symlink_to(tmp_path / "nowhere")
        options = ("-o", tmp_path / "my.card", "--qr", tmp_path / "my.svg")
        made = evault("card", "--name", "Asma", "--passphrase-file", secret, *options)
        assert (made.code, made.out) == (3, "")
        assert f"{tmp_path / taken}: is there already" in made.err
        assert sorted(os.listdir(tmp_path)) == sorted(["home", "secret.txt", taken])

    @pytest.mark.parametrize("name", ["code", "code.pdf", "code.png.txt", ".svg"])
    def test_another_kind_of_picture_is_refused(
        self, evault: Evault, tmp_path: Path, name: str
    ) -> None:
        # Before anybody is asked for a passphrase.
        made = evault("card", "--name", "Asma", "--qr", tmp_path / name)
        assert (made.code, made.out) == (2, "")
        assert "ends in .svg or .png" in made.err
        assert not (tmp_path / name).exists()

    def test_card_and_code_in_one_file_are_refused(self, evault: Evault, tmp_path: Path) -> None:
        path = tmp_path / "x.svg"
        made = evault("card", "--name", "Asma", "-o", path, "--qr", path)
        assert made.code == 2
        assert not path.exists()

    def test_the_help_says_what_the_code_holds(self, evault: Evault) -> None:
        text = " ".join(evault("card", "--help").out.split())
        assert "64 hexadecimal digits in capitals: neither your name nor your keys" in text


def modules(path: Path) -> list[list[bool]]:
    """Read the modules of a picture of a QR code, its border included."""
    if path.suffix.lower() == ".png":
        with Image.open(path) as image:
            side = image.width // 8
            assert image.size == (8 * side, 8 * side)
            dark = image.convert("1")
            return [[not dark.getpixel((8 * x + 4, 8 * y + 4)) for x in range(side)]
                    for y in range(side)]  # fmt: skip
    text = path.read_text()
    (side,) = (int(one) // 8 for one in re.findall(r'height="([0-9]+)"', text))
    assert f'<path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/>' in text
    found = [[False] * side for _ in range(side)]
    (line,) = re.findall(r'stroke="#000" d="([^"]+)"', text)
    x = y = 0
    for kind, numbers in re.findall(r"([Mmh])([-0-9. ]+)", line):
        if kind == "h":
            for _ in range(int(numbers)):
                found[y][x] = True
                x += 1
            continue
        across, down = (float(one) for one in numbers.split())
        x, y = (0, 0) if kind == "M" else (x, y)
        x, y = x + int(across), y + int(down)
    return found


def test_a_new_passphrase_that_would_not_open_the_identity_leaves_the_old_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vault

    file = world.folder / "reader.age"
    before = file.read_bytes()
    (world.folder / "new.txt").write_text("another passphrase\n")
    made = vault.format_identity_file

    def spoiled(*arguments: Any) -> bytes:
        data = made(*arguments)
        return data[:-40] + bytes(40)

    monkeypatch.setattr(vault, "format_identity_file", spoiled)
    new = ("--new-passphrase-file", world.folder / "new.txt", "--work-factor", 10)
    outcome = world.call("identity", "protect", *world.reader, *new)
    assert outcome.code != 0
    assert file.read_bytes() == before
