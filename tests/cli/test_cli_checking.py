"""``evault verify`` and ``evault doctor``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from vault import Vault


@pytest.fixture
def part(world: Any) -> Path:
    found: Path = world.vault / "bundles" / world.bundle / "evidence.0000"
    return found


def flip(path: Path, at: int = 700) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def vault_id(world: Any) -> str:
    with Vault.open(world.vault) as vault:
        return vault.id.hex()


class TestVerify:
    def test_an_intact_vault_says_so_first_and_against_what(self, world: Any) -> None:
        verified = world.call("verify", world.vault)
        assert verified.code == 0
        first = verified.out.splitlines()[0]
        assert first.startswith("Intact: everything stored is what was signed.")
        assert "It agrees with what this machine saw last." in first
        assert "Not held against: the vault id, a checkpoint kept elsewhere" in first
        assert "Without a reader's identity nobody can see names" in verified.out

    def test_without_any_anchor_the_first_line_says_so(self, world: Any, tmp_path: Path) -> None:
        verified = world.call("verify", world.vault, env={"EVAULT_HOME": str(tmp_path / "new")})
        first = verified.out.splitlines()[0]
        assert first.startswith("Intact")
        assert "Held against nothing outside it" in first

    def test_it_asks_for_nothing(self, world: Any, at_terminal: None) -> None:
        assert world.call("verify", world.vault, text="").code == 0

    def test_damage_is_named_with_its_place_and_accuses_nobody(
        self, world: Any, part: Path
    ) -> None:
        flip(part)
        verified = world.call("verify", world.vault)
        assert verified.code == 1
        assert verified.out.startswith("Altered: stored bytes are missing or differ")
        assert "cause is not known" in verified.out
        assert f"bundles/{world.bundle}/evidence.0000" in verified.out
        for word in ("tamper", "forge", "manipulat", "attack"):
            assert word not in verified.out.lower()

    def test_the_record_for_programs_has_exactly_these_keys(self, world: Any, part: Path) -> None:
        flip(part)
        record = world.call("verify", world.vault, "--json").json
        assert set(record) == {
            "verdict", "vault", "size", "root", "anchors", "findings", "coverage",
            "history",
        }  # fmt: skip
        (found,) = record["findings"]
        assert set(found) == {"code", "severity", "place", "detail"}
        assert (record["verdict"], found["code"]) == ("altered", "digest")

    def test_a_vault_id_is_held_against(self, world: Any) -> None:
        right = world.call("verify", world.vault, "--vault-id", vault_id(world).upper())
        assert right.code == 0
        assert "It agrees with the vault id and what this machine saw last." in right.out
        wrong = world.call("verify", world.vault, "--vault-id", "00" * 32)
        assert wrong.code == 1
        assert wrong.out.startswith("Another vault: its id is ")
        assert "Nothing else is wrong" in wrong.out
        assert "It does not agree with the vault id." in wrong.out
        assert "another vault than the id given" in wrong.out
        assert world.call("verify", world.vault, "--vault-id", "xyz").code == 2

    def test_a_checkpoint_kept_elsewhere_is_held_against(self, world: Any, tmp_path: Path) -> None:
        kept = tmp_path / "kept"
        shutil.copy(world.vault / "log/checkpoint", kept)
        older = tmp_path / "older"
        shutil.copytree(world.vault, older)
        world.call("note", world.vault, "--text", "x", *world.owner)
        assert world.call("verify", world.vault, "--checkpoint", kept).code == 0
        shutil.copy(world.vault / "log/checkpoint", kept)
        env = {"EVAULT_HOME": str(tmp_path / "new")}
        rolled = world.call("verify", older, "--checkpoint", kept, env=env)
        assert rolled.code == 1
        assert "older than what was seen before" in rolled.out
        kept.write_bytes(b"nonsense")
        bad = world.call("verify", world.vault, "--checkpoint", kept)
        assert (bad.code, bad.out) == (3, "")
        assert str(kept) in bad.err

    def test_a_rollback_is_found_by_what_this_machine_saw(self, world: Any, tmp_path: Path) -> None:
        older = tmp_path / "older"
        shutil.copytree(world.vault, older)
        world.call("note", world.vault, "--text", "x", *world.owner)
        verified = world.call("verify", older)
        assert verified.code == 1
        assert "It does not agree with what this machine saw last." in verified.out

    def test_since_last_says_what_it_trusts(self, world: Any) -> None:
        assert world.call("verify", world.vault).code == 0
        world.call("note", world.vault, "--text", "x", *world.owner)
        verified = world.call("verify", world.vault, "--since-last")
        assert verified.code == 0
        first = verified.out.splitlines()[0]
        assert "The first 4 events and their files, last read 2" in first
        assert "trusted" in first

    def test_deep_looks_inside(self, world: Any) -> None:
        verified = world.call("verify", world.vault, "--deep", *world.reader)
        assert verified.code == 0
        assert "Everything inside was looked at too" in verified.out
        other = world.call("verify", world.vault, "--deep", *world.owner)
        assert "not open to this identity" in other.out

    def test_deep_without_an_identity_is_refused(self, world: Any, tmp_path: Path) -> None:
        env = {"EVAULT_HOME": str(tmp_path / "new")}
        verified = world.call("verify", world.vault, "--deep", env=env)
        assert (verified.code, verified.out) == (2, "")

    def test_many_findings_are_cut_and_json_has_all(self, world: Any) -> None:
        for number in range(25):
            (world.vault / f"bundles/x{number}").write_text("left over")
        verified = world.call("verify", world.vault)
        assert verified.code == 0
        assert "and 5 more; --json lists all" in verified.out
        assert "They do no harm." in " ".join(verified.out.split())
        assert len(world.call("verify", world.vault, "--json").json["findings"]) == 25

    def test_a_place_is_escaped(self, world: Any) -> None:
        (world.vault / "bundles/\x1b[31mred\u202e").write_text("left over")
        verified = world.call("verify", world.vault)
        assert "\x1b" not in verified.out
        assert "\\x1b[31mred\\u202e" in verified.out

    def test_a_log_that_cant_be_read_has_no_root(self, world: Any) -> None:
        (world.vault / "log/checkpoint").unlink()
        verified = world.call("verify", world.vault)
        assert verified.code == 1
        assert "not readable" in verified.out
        assert world.call("verify", world.vault, "--json").json["root"] is None

    def test_an_outcome_is_recorded(self, world: Any, part: Path) -> None:
        verified = world.call("verify", world.vault, "--record", *world.owner)
        assert verified.code == 0
        assert "Recorded in 1 event." in verified.err
        flip(part)
        verified = world.call("verify", world.vault, "--record", *world.owner)
        assert verified.code == 1
        assert "Recorded in 1 event." in verified.err
        with Vault.open(world.vault) as vault:
            results = [event.data["result"] for event in vault.events(after=3)]
        assert results == ["intact", "altered"]
        assert world.call("verify", world.vault, "--record", "--since-last").code == 2

    def test_a_share_is_read_and_recorded_and_the_first_line_says_so(
        self, world: Any, part: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "a").write_text("a")
        for _ in range(2):
            assert world.call("seal", world.vault, tmp_path / "a", *world.owner).code == 0
        flip(part)
        oldest = ("verify", world.vault, "--record", "--oldest", "33%", *world.owner)
        first = world.call(*oldest)
        assert first.code == 1
        line = first.out.splitlines()[0]
        assert line.startswith("Altered: stored bytes are missing")
        assert "The evidence of only 1 of 3 bundles was read" in line
        assert "Recorded in 1 event." in first.err
        second = world.call(*oldest)
        assert second.code == 0
        line = second.out.splitlines()[0]
        assert line.startswith("Intact as far as it was read. The evidence of only 1 of 3 bundles")
        assert "everything" not in line
        third = world.call(*oldest, "--json").json["coverage"]
        assert (third["bundles"], third["destroyed"], len(third["chosen"])) == (3, 0, 1)
        with Vault.open(world.vault) as vault:
            checks = list(vault.events(after=5))
        assert [event.data["result"] for event in checks] == ["altered", "intact", "intact"]
        assert len({event.bundle for event in checks}) == 3
        assert world.call("verify", world.vault, "--json").json["coverage"]["chosen"] is None

    @pytest.mark.parametrize("share", ["0", "101", "5.5", "x", "", "-5", "5%%", "\u0665"])
    def test_a_share_is_from_1_to_100_percent(self, world: Any, share: str) -> None:
        refused = world.call("verify", world.vault, "--record", "--oldest", share, *world.owner)
        assert (refused.code, refused.out) == (2, "")
        assert "1% to 100%" in refused.err

    def test_a_share_that_is_not_recorded_is_refused(self, world: Any) -> None:
        refused = world.call("verify", world.vault, "--oldest", "5%")
        assert (refused.code, refused.out) == (2, "")
        assert "--record" in refused.err

    def test_a_log_that_is_not_sound_is_not_written_to(self, world: Any) -> None:
        flip(world.vault / "log/checkpoint")
        verified = world.call("verify", world.vault, "--record", *world.owner)
        assert verified.code == 1
        assert "Not recorded" in verified.err

    def test_what_is_no_vault_is_no_verdict(self, world: Any, tmp_path: Path) -> None:
        for place in (tmp_path / "nowhere", world.folder / "evidence", world.folder / "owner.txt"):
            verified = world.call("verify", place)
            assert (verified.code, verified.out) == (3, "")
            assert f"{place}: not a vault" in verified.err


class TestDoctor:
    def test_a_sound_vault(self, world: Any) -> None:
        looked = world.call("doctor", world.vault)
        assert looked.code == 0
        for text in ("File system", "Free", "Writable", "nothing is unfinished", "4 events"):
            assert text in looked.out
        assert "this is the state that this machine saw last" in looked.out
        record = world.call("doctor", world.vault, "--json").json
        assert set(record) == {
            "medium", "pending", "swept", "clock", "size", "last_time", "deleted", "undeleted",
            "leftovers", "pin", "trouble",
        }  # fmt: skip
        assert (record["pending"], record["pin"], record["trouble"]) == ("none", "same", None)

    def test_a_signed_step_is_finished(self, world: Any, tmp_path: Path) -> None:
        before = (world.vault / "log/checkpoint").read_bytes()
        world.call("note", world.vault, "--text", "x", *world.owner)
        checkpoint = world.vault / "log/checkpoint"
        checkpoint.rename(world.vault / "log/checkpoint.next")
        checkpoint.write_bytes(before)
        looked = world.call("doctor", world.vault)
        assert looked.code == 0
        assert "is now finished" in looked.out
        assert "5 events" in looked.out

    def test_what_a_destruction_left_is_deleted_and_what_can_t_be_is_named(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vault import LocalStore

        delete = LocalStore.delete

        def stuck(store: LocalStore, name: str) -> None:
            if "/evidence." in name:
                raise PermissionError(1, "Operation not permitted", name)
            delete(store, name)

        (part,) = (name for name in world.files() if "/evidence." in name)
        why = ("--authority", "a court", "--reason", "asked")
        bundle = part.split("/")[1]
        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "delete", stuck)
            world.call("destroy", world.vault, bundle, *why, "--yes", *world.owner)
            record = world.call("doctor", world.vault, "--json").json
            assert (record["deleted"], record["undeleted"]) == (0, [part])
            looked = world.call("doctor", world.vault)
            assert looked.code == 0
            assert " ".join(looked.out.split()).count(f"Deleted nothing To delete {part}") == 1
        looked = world.call("doctor", world.vault)
        assert "Deleted 1 file now To delete nothing" in " ".join(looked.out.split())
        assert part not in world.files()
        record = world.call("doctor", world.vault, "--json").json
        assert (record["deleted"], record["undeleted"]) == (0, [])

    def test_leftovers_a_wrong_clock_and_what_waits_are_said(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (world.vault / "log/checkpoint.next").write_bytes(b"torn")
        (world.vault / "tmp").mkdir(exist_ok=True)
        (world.vault / "tmp/mine").write_text("x")
        for number in range(25):
            (world.vault / f"keys/x{number:02}").write_text("left over")
        monkeypatch.setattr("time.time", lambda: 5.0)
        monkeypatch.setattr(
            "vault.tending.tend.__kwdefaults__", {"state": None, "clock": lambda: 5}
        )
        looked = world.call("doctor", world.vault)
        assert looked.code == 0
        assert "keys/x00" in looked.out
        assert "and 5 more" in looked.out
        assert "Set the clock" in looked.out
        assert "was interrupted before it counted" in looked.out
        assert "1 in tmp that evault did not put there" in looked.out

    def test_a_clock_behind_the_newest_event_is_said(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        defaults = {"state": None, "clock": lambda: 1767225601}
        monkeypatch.setattr("vault.tending.tend.__kwdefaults__", defaults)
        looked = world.call("doctor", world.vault)
        assert "before the newest event" in looked.out

    def test_a_log_in_trouble_is_an_error_after_what_is_known_of_the_medium(
        self, world: Any
    ) -> None:
        flip(world.vault / "log/checkpoint", 120)
        looked = world.call("doctor", world.vault)
        assert looked.code == 3
        assert "File system" in looked.out
        assert "log/checkpoint" in looked.err
        assert world.call("doctor", world.vault, "--json").json["trouble"] is not None

    def test_what_is_no_vault_is_not_looked_after(self, world: Any) -> None:
        looked = world.call("doctor", world.folder)
        assert (looked.code, looked.out) == (3, "")
        assert "not a vault" in looked.err
