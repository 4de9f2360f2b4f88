"""``evault init --continues``, ``verify --history``; and how copies that went apart are told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.scene import OUTSIDER
from tests.log.notes import forge, leaf
from vault import MemoryStore, Vault, parse_identity_file

ACCUSING = ("tamper", "forge", "manipulat", "attack", "falsif", "guilt", "crime")


@pytest.fixture
def backup(world: Any, tmp_path: Path) -> Path:
    """A copy of the vault, which then goes on."""
    copy = tmp_path / "backup"
    shutil.copytree(world.vault, copy)
    noted = world.call("note", world.vault, "--text", "after the backup", *world.owner)
    assert noted.code == 0
    return copy


def take_over(world: Any, old: Path, new: Path, *more: object) -> Any:
    card = world.folder / "reader.card"
    arguments = ("--reader", card, "--continues", old, "--because", "restored-backup", *more)
    return world.call("init", new, *arguments, *world.owner)


def flat(text: str) -> str:
    return " ".join(text.split())


def vault_id(place: Path) -> str:
    with Vault.open(place) as vault:
        return vault.id.hex()


def write(world: Any, place: Path, folder: Path, *who: str) -> None:
    """Write to a copy from a machine that has not seen the other one."""
    env = {"EVAULT_HOME": str(folder)}
    options = ("-i", world.folder / "home/identity.age", "--passphrase-file")
    identity = who or (*map(str, options), str(world.folder / "owner.txt"))
    noted = world.call(
        "note", place, "--text", "elsewhere", *identity, "--vault-id", vault_id(place), env=env
    )
    assert noted.code == 0, noted.err


class TestInit:
    def test_a_vault_takes_over_and_says_what_and_how_much_that_is_worth(
        self, world: Any, tmp_path: Path
    ) -> None:
        before = world.files()
        new = tmp_path / "new"
        made = take_over(world, world.vault, new, "--reason", "disk died", "--known-losses", "May")
        assert made.code == 0, made.err
        assert made.out == f"{vault_id(new)}\n"
        assert f"continues vault {vault_id(world.vault)} after 4 events" in made.err
        assert "from a backup that was restored" in made.err
        assert "You were an owner of it" in made.err
        assert f"`evault verify {new} --history {world.vault}`" in made.err
        assert world.files() == before

    def test_the_record_for_programs(self, world: Any, backup: Path, tmp_path: Path) -> None:
        made = take_over(world, backup, tmp_path / "new", "--json")
        with Vault.open(backup) as old:
            assert made.json["continues"] == {
                "vault": old.id.hex(),
                "size": 4,
                "root": old.root.hex(),
                "because": "restored-backup",
                "signed": 4,
                "broken": 0,
                "seen_elsewhere": 5,
                "by_owner": True,
            }

    def test_a_backup_that_is_older_than_what_was_seen_is_said_to_be(
        self, world: Any, backup: Path, tmp_path: Path
    ) -> None:
        made = take_over(world, backup, tmp_path / "new")
        assert made.code == 0
        assert "has seen the old vault with 5 events, and this copy ends after 4" in made.err
        assert "continue that one instead" in made.err

    def test_a_copy_that_went_its_own_way_is_said_to_have(
        self, world: Any, backup: Path, tmp_path: Path
    ) -> None:
        for _ in range(2):
            write(world, backup, tmp_path / "elsewhere")
        made = take_over(world, backup, tmp_path / "new")
        assert made.code == 0
        assert "two copies of it were written to. Keep both" in made.err

    def test_a_stranger_s_claim_is_called_one(self, world: Any, tmp_path: Path) -> None:
        new = tmp_path / "new"
        made = world.call("init", new, "--reader", "me", "--continues", world.vault,
                          "--because", "lost-owner", *world.reader)  # fmt: skip
        assert made.code == 0
        assert "Warning: you were no owner of it. Anybody can claim" in made.err
        verified = world.call("verify", new, "--history", world.vault)
        assert verified.code == 0
        assert "It is not shown that an owner of the old vault made this one." in verified.out
        assert "(only reader in the old vault)" in verified.out

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"vault": bytes(32)}, "1 event of it broke a rule of custody"),
            ({"signer": OUTSIDER}, "Its event 4 is not what its author signed"),
        ],
    )
    def test_a_log_that_is_not_sound_is_continued_as_far_as_it_is(
        self, world: Any, tmp_path: Path, changes: dict[str, Any], says: str
    ) -> None:
        place = world.folder / "home/identity.age"
        passphrase = (world.folder / "owner.txt").read_bytes().strip()
        owner = parse_identity_file(place.read_bytes(), passphrase)
        store = MemoryStore(world.files())
        forge(store, owner, lambda log: [leaf(owner, log, **changes)])
        old = tmp_path / "old"
        for name, _ in store.list():
            (old / name).parent.mkdir(parents=True, exist_ok=True)
            (old / name).write_bytes(store.read(name))
        made = take_over(world, old, tmp_path / "new")
        assert made.code == 0, made.err
        assert says in made.err

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--because", "other"), "--continues OLD"),
            (("--reason", "x"), "--continues OLD"),
            (("--known-losses", "x"), "--continues OLD"),
            (("--continues", "VAULT"), "--because"),
            (("--continues", "VAULT", "--because", "boredom"), "restored-backup"),
            (("--continues", "VAULT", "--because", "other", "--reason", " "), "The reason"),
            (("--continues", "VAULT", "--because", "other", "--known-losses", ""), "lost"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, world: Any, tmp_path: Path, options: tuple[str, ...], says: str
    ) -> None:
        given = [str(world.vault) if one == "VAULT" else one for one in options]
        made = world.call("init", tmp_path / "new", "--reader", "me", *given, *world.owner)
        assert (made.code, made.out) == (2, "")
        assert says in made.err
        assert not (tmp_path / "new").exists()

    def test_what_is_no_vault_or_can_t_be_verified_is_not_continued(
        self, world: Any, tmp_path: Path
    ) -> None:
        new = tmp_path / "new"
        made = take_over(world, world.folder / "evidence", new)
        assert (made.code, made.out) == (3, "")
        assert "not a vault" in made.err
        (world.vault / "log/checkpoint").write_bytes(b"torn")
        made = take_over(world, world.vault, new)
        assert (made.code, made.out) == (3, "")
        assert "nothing of it can be verified" in made.err
        assert not new.exists()


class TestShow:
    def test_a_vault_shows_what_it_continues_and_its_readers_why(
        self, world: Any, tmp_path: Path
    ) -> None:
        new = tmp_path / "new"
        take_over(world, world.vault, new, "--reason", "disk\u202edied", "--known-losses", "May")
        anybody = world.call("show", new)
        assert f"vault {vault_id(world.vault)}, its first 4 events" in anybody.out
        assert "Known losses" not in anybody.out
        reader = world.call("show", new, *world.reader)
        assert "disk\\u202edied" in reader.out
        assert "Known losses" in reader.out
        record = world.call("show", new, *world.reader, "--json").json["continues"]
        assert set(record) == {"vault", "size", "root", "because", "reason", "known_losses"}
        assert (record["because"], record["known_losses"]) == ("restored-backup", "May")
        assert world.call("show", world.vault, "--json").json["continues"] is None


class TestVerify:
    @pytest.fixture
    def new(self, world: Any, backup: Path, tmp_path: Path) -> Path:
        place = tmp_path / "new"
        assert take_over(world, backup, place).code == 0
        return place

    def test_without_the_old_vault_it_says_that_it_was_not_held_against_it(
        self, world: Any, new: Path
    ) -> None:
        verified = world.call("verify", new)
        assert verified.code == 0
        assert "Not held against: " in verified.out
        assert "the vault that it continues" in verified.out.splitlines()[0]
        assert "Continues" in verified.out
        assert world.call("verify", new, "--json").json["history"]["report"] is None

    def test_the_old_vault_is_checked_too(self, world: Any, new: Path, backup: Path) -> None:
        verified = world.call("verify", new, "--history", backup)
        assert verified.code == 0
        first = verified.out.splitlines()[0]
        assert "It agrees with what this machine saw last and the vault that it continues" in first
        assert "The old vault itself is intact." in first
        assert "was an owner of the old one when it took over" in flat(verified.out)
        assert "custodian, owner" in verified.out
        record = world.call("verify", new, "--history", backup, "--json").json["history"]
        assert set(record) == {"vault", "size", "root", "because", "by_owner", "members", "report"}
        assert (record["by_owner"], record["report"]["verdict"]) == (True, "intact")
        assert [one["roles"] for one in record["members"]] == [["custodian", "owner"], ["reader"]]

    def test_that_the_old_vault_went_on_is_told_calmly(self, world: Any, new: Path) -> None:
        verified = world.call("verify", new, "--history", world.vault)
        assert verified.code == 0
        assert "Note: The old vault went on after this one took over" in flat(verified.out)
        assert "(4 events are continued, 5 are there now)" in verified.out
        for word in ACCUSING:
            assert word not in verified.out.lower()

    def test_an_old_vault_that_is_damaged_is_no_success(
        self, world: Any, new: Path, backup: Path
    ) -> None:
        (backup / "bundles" / world.bundle / "evidence.0000").unlink()
        verified = world.call("verify", new, "--history", backup)
        assert verified.code == 1
        assert verified.out.startswith("Intact")
        assert "The old vault itself is altered, see below." in verified.out.splitlines()[0]
        assert "The old vault. Altered: stored bytes are missing" in flat(verified.out)
        assert f"bundles/{world.bundle}/evidence.0000" in verified.out

    def test_another_past_is_told_without_a_name(
        self, world: Any, new: Path, backup: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "third"
        assert take_over(world, world.vault, place).code == 0
        write(world, backup, tmp_path / "elsewhere")
        verified = world.call("verify", place, "--history", backup)
        assert verified.code == 1
        assert "It does not agree with the vault that it continues" in verified.out
        assert "The old vault has another past than this one says." in flat(verified.out)
        assert "Keep every copy" in flat(verified.out)

    def test_the_wrong_vault_is_no_success(self, world: Any, new: Path) -> None:
        for place, says in ((new, "is not the one"), (world.folder / "evidence", "not a vault")):
            verified = world.call("verify", new, "--history", place)
            assert verified.code in (1, 3)
            assert says in flat(verified.out + verified.err)
        first = world.call("verify", new, "--history", new).out.splitlines()[0]
        assert first.startswith("The old vault given is not the one that this one continues.")
        verified = world.call("verify", world.vault, "--history", new)
        assert verified.code == 1
        assert "does not say that it continues any other" in flat(verified.out)

    def test_an_old_vault_that_removed_its_owner_since_says_so(
        self, world: Any, new: Path, tmp_path: Path
    ) -> None:
        roles = ("--role", "owner", "--role", "reader", "--not-checked")
        admitted = world.call(
            "admit", world.vault, world.folder / "reader.card", *roles, *world.owner
        )
        assert admitted.code == 0, admitted.err
        with Vault.open(world.vault) as vault:
            owner = vault.event(0).actor
            digits = vault.state.members[owner].keys.fingerprint.hex()
        known = ("--vault-id", vault_id(world.vault))
        env = {"EVAULT_HOME": str(tmp_path / "reader")}
        removed = world.call(
            "remove", world.vault, digits[:16], "--cause", "left", *world.reader, *known, env=env
        )
        assert removed.code == 0, removed.err
        verified = world.call("verify", new, "--history", world.vault)
        assert verified.code == 0
        assert "It is not shown that an owner of the old vault made this one." in flat(verified.out)
        assert "removed by event" in verified.out


class TestCopiesThatWentApart:
    """Told with what usually causes it and what to do, and without a culprit."""

    @pytest.fixture
    def forked(self, world: Any, backup: Path, tmp_path: Path) -> Path:
        write(world, backup, tmp_path / "elsewhere")
        return backup

    def test_an_older_copy_is_called_older(self, world: Any, backup: Path) -> None:
        verified = world.call("verify", backup)
        text = flat(verified.out)
        assert verified.code == 1
        assert text.startswith("Older: everything here is what was signed")
        assert "this machine has seen 5 events" in text.split("Vault", maxsplit=1)[0]
        for cause in ("backup that was restored", "a crash"):
            assert cause in text
        assert "look for the newer" in text
        assert "`evault init NEW --continues OLD`" in text
        assert "pin (4 events here, 5 there)" in text
        for word in (*ACCUSING, "signed by"):
            assert word not in text.lower()

    def test_a_checkpoint_that_is_newer_is_named_as_what_says_so(
        self, world: Any, backup: Path, tmp_path: Path
    ) -> None:
        env = {"EVAULT_HOME": str(tmp_path / "new home")}
        kept = world.vault / "log/checkpoint"
        verified = world.call("verify", backup, "--checkpoint", kept, env=env)
        assert verified.code == 1
        assert verified.out.startswith("Older: ")
        assert "the checkpoint given is of a later state" in verified.out

    def test_a_fork_is_called_two_histories(self, world: Any, forked: Path) -> None:
        verified = world.call("verify", forked)
        text = flat(verified.out)
        assert verified.code == 1
        assert text.startswith("Two histories: everything here is what was signed")
        for cause in ("backup that was restored", "copies on two devices", "a crash"):
            assert cause in text
        assert "Keep both copies, and write to neither." in text
        assert "`evault init NEW --continues OLD`" in text
        # One key wrote both: that alone is named.
        assert "the same key signed both: " in text
        for word in ACCUSING:
            assert word not in text.lower()

    def test_two_who_wrote_to_a_copy_each_are_not_named(
        self, world: Any, backup: Path, tmp_path: Path
    ) -> None:
        write(world, backup, tmp_path / "elsewhere", *world.reader)
        verified = world.call("verify", backup)
        assert "Two histories" in verified.out
        assert "pin (another root after 5 events)\n" in verified.out

    def test_other_damage_beside_it_is_not_played_down(self, world: Any, forked: Path) -> None:
        (forked / "bundles" / world.bundle / "evidence.0000").unlink()
        verified = world.call("verify", forked)
        assert verified.out.startswith("Contradicted: what was signed breaks a rule of custody")
        assert "neither why nor by whose doing" in flat(verified.out)

    def test_a_verb_that_writes_refuses_such_a_copy_in_the_same_words(
        self, world: Any, backup: Path, tmp_path: Path
    ) -> None:
        noted = world.call("note", backup, "--text", "x", *world.owner)
        assert noted.code == 3
        assert "a backup that was restored, or a crash" in noted.err
        write(world, backup, tmp_path / "elsewhere")
        noted = world.call("note", backup, "--text", "x", *world.owner)
        assert noted.code == 3
        assert "two copies that were both written to" in noted.err
        assert "Keep both; `evault verify` says more." in noted.err
