"""``evault recover``: split, join, drill."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vault import Identity, Vault, format_identity_file, parse_identity_file
from vault.recovery import parse_share_file, split_identity

FAST = ("--work-factor", 10)
NEW = "the passphrase of a rebuilt identity"

Evault = Callable[..., Any]


@pytest.fixture(autouse=True)
def _same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(10**6))

    def random(size: int) -> bytes:
        return hashlib.shake_256(b"seed of these tests %d" % next(calls)).digest(size)

    monkeypatch.setattr("shamir_mnemonic.shamir.RANDOM_BYTES", random)


@pytest.fixture
def owner(world: Any) -> Identity:
    file = world.folder / "home/identity.age"
    return parse_identity_file(file.read_bytes(), b"a passphrase of the owner")


@pytest.fixture
def folder(world: Any) -> Path:
    made = world.call("recover", "split", "-o", world.folder / "sheets", *world.owner)
    assert made.code == 0, made.err
    return world.folder / "sheets"


@pytest.fixture
def new(tmp_path: Path) -> tuple[str, str]:
    path = tmp_path / "new.txt"
    path.write_text(f"{NEW}\n")
    return ("--passphrase-file", str(path))


def shares(folder: Path, *numbers: int) -> list[object]:
    return [one for number in numbers for one in ("--share", folder / f"share-{number}-of-3.txt")]


def words_of(folder: Path, number: int) -> tuple[str, ...]:
    return parse_share_file((folder / f"share-{number}-of-3.txt").read_bytes()).words


# --- split --------------------------------------------------------------------------------------


def test_split_writes_a_sheet_and_a_page_for_each_share(world: Any, owner: Identity) -> None:
    folder = world.folder / "sheets"
    made = world.call(
        "recover", "split", "-o", folder, "--threshold", 3, "--shares", 4, "--name", " Asma ",
        "--vault", world.vault, "--vault-id", "AB" * 32, *world.owner,
    )  # fmt: skip
    assert made.code == 0, made.err
    paths = [Path(line) for line in made.out.splitlines()]
    assert sorted(paths) == sorted(folder.iterdir())
    assert [path.name for path in paths[:2]] == ["share-1-of-4.txt", "share-1-of-4.html"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    with Vault.open(world.vault) as vault:
        ids = (vault.id.hex(), "ab" * 32)
    for path in paths:
        text = path.read_text()
        assert "Asma" in text
        for digest in (owner.keys.fingerprint.hex(), *ids):
            assert " ".join(digest[at : at + 4] for at in range(0, 32, 4)) in text
        if path.suffix == ".html":
            assert "<svg" in text
    for said in ("delete the files", "Printers", "sticks", "recover drill"):
        assert said in made.err
    for path in paths[::2]:
        # Two in a row: a single word of the list may stand in any sentence.
        words = parse_share_file(path.read_bytes()).words
        assert not any(f"{words[at]} {words[at + 1]}" in made.err for at in range(32))


def test_split_as_json(world: Any, owner: Identity) -> None:
    folder = world.folder / "sheets"
    options = ("--vault", world.vault, "--vault", world.vault, *world.owner, "--json")
    record = world.call("recover", "split", "-o", folder, *options).json
    assert set(record) == {"fingerprint", "threshold", "vaults", "sheets"}
    assert record["fingerprint"] == owner.keys.fingerprint.hex()
    assert (record["threshold"], len(record["vaults"])) == (2, 1)
    assert [one["share"] for one in record["sheets"]] == [1, 2, 3]
    assert all(
        Path(one["text"]).exists() and Path(one["html"]).exists() for one in record["sheets"]
    )


def test_sheets_without_a_vault_are_made_with_a_word_about_it(world: Any) -> None:
    made = world.call("recover", "split", "-o", world.folder / "s", *world.owner)
    assert "No vault is named on the sheets" in made.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--threshold", 1), 2, "without its passphrase"),
        (("--threshold", 1, "--shares", 1), 2, "without its passphrase"),
        (("--threshold", 4), 2, "Of 3 shares, 4 can't be needed."),
        (("--shares", 17), 2, "17"),
        (
            ("--vault-id", "ab"),
            2,
            "--vault-id takes the 64 hexadecimal digits that `evault init` printed.",
        ),
        (("--vault", "nowhere"), 3, "not a vault"),
        (("--name", "a\nb"), 2, "The name must be one line"),
    ],
)
def test_what_cant_be_split_so_is_refused_before_anything_is_made(
    world: Any, options: tuple[object, ...], code: int, says: str
) -> None:
    made = world.call("recover", "split", "-o", world.folder / "s", *options, *world.owner)
    assert (made.code, made.out) == (code, "")
    assert says in made.err
    assert not (world.folder / "s").exists()


def test_split_overwrites_nothing(world: Any, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    again = world.call("recover", "split", "-o", folder, *world.owner)
    assert (again.code, again.out) == (3, "")
    assert "is there already" in again.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (world.folder / "link").symlink_to(world.folder / "nowhere")
    assert world.call("recover", "split", "-o", world.folder / "link", *world.owner).code == 3
    assert not (world.folder / "nowhere").exists()


def test_a_full_medium_leaves_no_sheet(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vault.extracting.folder.write_all", full)
    made = world.call("recover", "split", "-o", world.folder / "s", *world.owner)
    assert (made.code, made.out) == (5, "")
    assert "is full" in made.err
    assert not (world.folder / "s").exists()


def test_a_medium_that_lies_is_told(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.recovery.writing._read", lambda *_: b"")
    made = world.call("recover", "split", "-o", world.folder / "s", *world.owner)
    assert (made.code, made.out) == (3, "")
    assert "does not give back what was written" in made.err
    assert "another medium" in made.err
    assert not (world.folder / "s").exists()


# --- join ---------------------------------------------------------------------------------------


def test_join_makes_a_new_identity_file_under_a_new_passphrase(
    world: Any, owner: Identity, folder: Path, new: Any, tmp_path: Path
) -> None:
    path = tmp_path / "again.age"
    options = (*shares(folder, 3, 1), *new, *FAST)
    made = world.call("recover", "join", "-o", path, *options)
    assert made.code == 0, made.err
    assert parse_identity_file(path.read_bytes(), NEW.encode()).seed == owner.seed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert owner.keys.fingerprint.hex() in "".join(made.out.split())
    assert "must be the one on the sheets" in made.err
    before = path.read_bytes()
    again = world.call("recover", "join", "-o", path, *options)
    assert (again.code, again.out) == (3, "")
    assert path.read_bytes() == before


def test_join_puts_the_identity_where_it_is_looked_for(
    evault: Evault, owner: Identity, folder: Path, new: Any, tmp_path: Path
) -> None:
    made = evault("recover", "join", *shares(folder, 1, 2), *new, *FAST, "--json")
    path = tmp_path / "home/identity.age"
    assert made.json == {
        "identity": str(path),
        "fingerprint": owner.keys.fingerprint.hex(),
        "shares": [1, 2],
        "threshold": 2,
    }
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert evault("identity", "show", *new).code == 0


def test_join_takes_words_alone_and_the_fingerprint_as_it_stands_on_paper(
    evault: Evault, owner: Identity, folder: Path, new: Any, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(word[:4].upper() for word in words_of(folder, 2)))
    digits = owner.keys.fingerprint.hex().upper()
    options = (*shares(folder, 1), "--share", words, *new, *FAST)
    paper = " ".join(digits[at : at + 4] for at in range(0, 64, 4))
    made = evault("recover", "join", "-o", tmp_path / "a", *options, "--fingerprint", paper)
    assert made.code == 0, made.err
    other = evault("recover", "join", "-o", tmp_path / "b", *options, "--fingerprint", "ab" * 32)
    assert (other.code, other.out) == (3, "")
    assert "another identity than was asked for" in other.err
    wrong = evault("recover", "join", "-o", tmp_path / "b", *options, "--fingerprint", "ab")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--fingerprint takes the 64 hexadecimal digits of a fingerprint." in wrong.err
    assert not (tmp_path / "b").exists()


def damage(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return files with a wrong share each, and what is said of them."""
    words = list(words_of(folder, 2))
    foreign = split_identity(Identity(bytes(32)), 2, 3)[1].words
    contents = {
        "misspelt": ([*words[:11], "acadmic", *words[12:]], "word 12, 'acadmic', is not in"),
        "short": (words[:-1], "32 words, where a share of an identity has 33"),
        "checksum": ([words[1], words[0], *words[2:]], "don't fit together"),
        "repeated": (words_of(folder, 1), "the same share as"),
        "foreign": (foreign, "of another split than"),
        "empty": ([], "0 words"),
    }
    found = {}
    for name, (text, says) in contents.items():
        path = folder / f"{name}.txt"
        path.write_text(" ".join(text))
        found[name] = (path, says)
    return found


@pytest.mark.parametrize("name", ["misspelt", "short", "checksum", "repeated", "foreign", "empty"])
def test_a_bad_share_is_named_by_its_file_in_one_sentence(
    world: Any, folder: Path, new: Any, tmp_path: Path, name: str
) -> None:
    path, says = damage(folder)[name]
    files = (*shares(folder, 1), "--share", path)
    before = world.files()
    for verb in (
        ("join", "-o", tmp_path / "x.age", *new),
        ("drill", world.vault),
    ):
        made = world.call("recover", *verb, *files)
        assert (made.code, made.out) == (3, "")
        assert made.err.startswith(f"evault: {path}: ")
        assert says in made.err
        assert len(made.err.splitlines()) == 1
    assert not (tmp_path / "x.age").exists()
    assert world.files() == before


def test_too_few_shares_without_a_terminal(
    evault: Evault, folder: Path, new: Any, tmp_path: Path
) -> None:
    for files, says in ((shares(folder, 1), "1 of the 2 shares"), ([], "0 of the several")):
        made = evault("recover", "join", "-o", tmp_path / "x", *files, *new)
        assert (made.code, made.out) == (3, "")
        assert says in made.err
        assert "--share FILE" in made.err
    missing = evault("recover", "join", "-o", tmp_path / "x", "--share", tmp_path / "no", *new)
    assert missing.code == 5
    assert not (tmp_path / "x").exists()


class TestTyping:
    @pytest.fixture(autouse=True)
    def _at_terminal(self, at_terminal: None) -> None:
        """All of it is at a terminal."""

    def test_shares_are_typed_until_there_are_enough(
        self, evault: Evault, owner: Identity, folder: Path, new: Any, tmp_path: Path
    ) -> None:
        one, two = words_of(folder, 1), words_of(folder, 2)
        lines = [
            " ".join(word[:4] for word in one[:20]),
            f"{one[20]} qqqqq {one[22]}",
            " ".join(one[21:]),
            " ".join(one),
            " ".join(reversed(two)),
            " ".join(two),
        ]
        path = tmp_path / "x.age"
        made = evault("recover", "join", "-o", path, *new, *FAST, text="\n".join(lines) + "\n")
        assert made.code == 0, made.err
        assert parse_identity_file(path.read_bytes(), NEW.encode()).seed == owner.seed
        for said in (
            "Share 1, from word 1 of 33",
            "Share 1, from word 21 of 33",
            "share 1 as typed: word 22, 'qqqqq', is not in the list of words.",
            "Share 1, from word 22 of 33",
            "That is a sound share. 1 more.",
            "share 2 as typed: the same share as share 1 as typed.",
            "share 2 as typed: its words don't fit together",
            "These are enough.",
        ):
            assert said in made.err, said
        assert not any(f"{one[at]} {one[at + 1]}" in made.err for at in range(32))

    def test_what_the_files_lack_is_typed(
        self, evault: Evault, owner: Identity, folder: Path, new: Any, tmp_path: Path
    ) -> None:
        typed = " ".join(words_of(folder, 3)) + "\n"
        options = ("-o", tmp_path / "x", *shares(folder, 2), *new, *FAST)
        made = evault("recover", "join", *options, text=typed)
        assert made.code == 0
        assert "Share 2, from word 1 of 33" in made.err

    def test_enter_alone_stops(
        self, evault: Evault, folder: Path, new: Any, tmp_path: Path
    ) -> None:
        options = ("-o", tmp_path / "x", *shares(folder, 2), *new)
        made = evault("recover", "join", *options, text="\n")
        assert (made.code, made.out) == (2, "")
        assert "Nothing was written" in made.err
        assert not (tmp_path / "x").exists()


# --- drill --------------------------------------------------------------------------------------


def test_a_drill_is_recorded_and_writes_no_identity(
    world: Any, owner: Identity, folder: Path
) -> None:
    home = sorted(os.listdir(world.folder / "home"))
    done = world.call(
        "recover", "drill", world.vault, *shares(folder, 1, 3), "--detail", "by Bea, on paper",
        "--occurred-at", "2026-03-01", "--late-because", "no computer there",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert owner.keys.fingerprint.hex() in "".join(done.err.split())
    reader = parse_identity_file(
        (world.folder / "reader.age").read_bytes(), b"a passphrase of the reader"
    )
    with Vault.open(world.vault, identity=reader) as vault:
        event = vault.event(int(done.out))
        assert (event.type, event.actor) == ("recovery.drilled", owner.ed25519)
        fields = vault.fields(event)
    assert fields["detail"] == "shares 1, 3; 2 are needed; by Bea, on paper"
    assert fields["occurred_at"] == "2026-03-01"
    assert sorted(os.listdir(world.folder / "home")) == home
    assert world.call("verify", world.vault).code == 0


def test_a_drill_as_json(world: Any, owner: Identity, folder: Path) -> None:
    record = world.call("recover", "drill", world.vault, *shares(folder, 2, 3), "--json").json
    with Vault.open(world.vault) as vault:
        assert record == {
            "vault": vault.id.hex(),
            "event": vault.size - 1,
            "fingerprint": owner.keys.fingerprint.hex(),
            "shares": [2, 3],
            "threshold": 2,
        }


def test_a_drill_by_somebody_who_is_no_member_records_nothing(
    world: Any, new: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other.age"
    other.write_bytes(format_identity_file(Identity(bytes(32)), NEW.encode(), 10))
    folder = tmp_path / "others"
    assert world.call("recover", "split", "-o", folder, "-i", other, *new).code == 0
    before = world.files()
    done = world.call("recover", "drill", world.vault, *shares(folder, 1, 2))
    assert (done.code, done.out) == (2, "")
    assert "is no member" in done.err
    assert world.files() == before


def test_a_drill_on_another_machine_needs_the_id_on_paper_once(
    world: Any, folder: Path, tmp_path: Path
) -> None:
    env = {"EVAULT_HOME": str(tmp_path / "elsewhere")}
    before = world.files()
    arguments = ("recover", "drill", world.vault, *shares(folder, 1, 2))
    refused = world.call(*arguments, env=env)
    assert (refused.code, refused.out) == (3, "")
    assert "--vault-id" in refused.err
    assert world.files() == before
    with Vault.open(world.vault) as vault:
        vault_id = vault.id.hex()
    assert world.call(*arguments, "--vault-id", vault_id, env=env).code == 0
    assert world.call(*arguments, env=env).code == 0


def test_a_drill_that_came_late_says_when_and_why(world: Any, folder: Path) -> None:
    before = world.files()
    arguments = ("recover", "drill", world.vault, *shares(folder, 1, 2))
    done = world.call(*arguments, "--occurred-at", "2026-03-01")
    assert done.code == 2
    assert "go together" in done.err
    assert world.files() == before


def test_recover_alone_says_what_there_is(evault: Evault) -> None:
    shown = evault("recover")
    assert (shown.code, shown.out) == (2, "")
    for verb in ("split", "join", "drill"):
        assert f"  {verb} " in shown.err
