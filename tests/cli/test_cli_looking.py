"""``evault list``, ``show`` and ``note``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from vault import Vault


class TestList:
    def test_a_reader_sees_titles_and_names(self, world: Any) -> None:
        listed = world.call("list", world.vault, *world.reader)
        assert listed.code == 0
        assert "First" in listed.out
        assert "2026-03-01T14:05+05:00" in listed.out
        assert "Asma" in listed.out
        assert world.bundle[:12] in listed.out
        assert listed.err == "1 bundle.\n"

    def test_without_a_key_only_numbers_show(self, world: Any) -> None:
        listed = world.call("list", world.vault)
        assert listed.code == 0
        assert world.bundle[:12] in listed.out
        assert "First" not in listed.out
        assert "Asma" not in listed.out
        assert "only a reader's identity" in listed.err

    def test_who_is_no_reader_sees_the_same(self, world: Any) -> None:
        listed = world.call("list", world.vault, *world.owner)
        assert "First" not in listed.out
        assert ", you" in listed.out

    def test_a_terminal_is_asked_and_enter_looks_without_a_key(
        self, world: Any, at_terminal: None
    ) -> None:
        listed = world.call("list", world.vault, text="\n")
        assert listed.code == 0
        assert "look without a key" in listed.err
        listed = world.call("list", world.vault, text="a passphrase of the owner\n")
        assert ", you" in listed.out
        assert world.call("list", world.vault, text="wrong\n").code == 4

    def test_where_there_is_no_identity_nobody_is_asked(
        self, world: Any, at_terminal: None, tmp_path: Path
    ) -> None:
        listed = world.call("list", world.vault, env={"EVAULT_HOME": str(tmp_path / "other")})
        assert listed.code == 0
        assert "Passphrase" not in listed.err

    def test_an_empty_vault_says_so(self, world: Any, tmp_path: Path) -> None:
        assert world.call("init", tmp_path / "v", "--reader", "me", *world.owner).code == 0
        listed = world.call("list", tmp_path / "v")
        assert (listed.code, listed.out) == (0, "")
        assert "No bundle is sealed here yet." in listed.err

    def test_the_record_for_programs(self, world: Any) -> None:
        (bundle,) = world.call("list", world.vault, "--json").json["bundles"]
        assert (bundle["private"], bundle["title"], bundle["now"]) == ("sealed", None, "held")
        (bundle,) = world.call("list", world.vault, *world.reader, "--json").json["bundles"]
        assert (bundle["private"], bundle["title"], bundle["items"]) == ("open", "First", 4)
        assert bundle["holder"]["name"] == "Asma"

    def test_one_damaged_title_does_not_hide_the_others(self, world: Any, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        world.call("seal", world.vault, tmp_path / "a", "--title", "Second", *world.owner)
        with Vault.open(world.vault) as vault:
            sealed = vault.event(vault.bundle(world.bundle).seq).sealed
        assert sealed is not None
        digest = sealed.sha256.hex()
        (world.vault / "fields" / digest[:2] / digest).write_bytes(b"x")
        listed = world.call("list", world.vault, *world.reader)
        assert listed.code == 0
        assert "[damaged]" in listed.out
        assert "Second" in listed.out
        assert "`evault verify` says which" in listed.err

    def test_what_would_mislead_a_terminal_is_escaped(self, world: Any, tmp_path: Path) -> None:
        title = "\x1b]8;;http://evil\x07click\x1b]8;;\x07 \u202etxt.exe\u200b \x9b31m [red]x"
        (tmp_path / "a").write_text("a")
        sealed = world.call(
            "seal", world.vault, tmp_path / "a", "--title", title, "--field", f"exhibit={title}",
            "--media-hash", f"{'00' * 32}:video.mp4", *world.owner,
        )  # fmt: skip
        assert sealed.code == 0, sealed.err
        bundle = sealed.out.strip()
        for verb in (("list", world.vault), ("show", world.vault, bundle)):
            shown = world.call(*verb, *world.reader)
            assert "\\x1b]8;;http://evil\\x07click" in shown.out
            assert "\\u202etxt.exe\\u200b \\x9b31m [red]x" in shown.out
            for bad in "\x1b\x07\u202e\u200b\x9b":
                assert bad not in shown.out + shown.err
            record = world.call(*verb, *world.reader, "--json")
            assert record.out.isascii()
            assert title in (
                record.json.get("title"),
                record.json.get("bundles", [{}])[-1].get("title"),
            )


class TestShow:
    def test_a_vault_shows_what_is_public(self, world: Any) -> None:
        shown = world.call("show", world.vault)
        assert shown.code == 0
        with Vault.open(world.vault) as vault:
            assert vault.id.hex() in shown.out
            assert vault.root.hex() in shown.out
        assert "[sealed]" in shown.out
        assert "custodian, owner" in shown.out
        assert "Asma" not in shown.out

    def test_a_reader_sees_its_title_and_names(self, world: Any) -> None:
        shown = world.call("show", world.vault, *world.reader)
        assert "Case 7" in shown.out
        assert "Reader Bé" in shown.out

    def test_the_record_of_a_vault(self, world: Any) -> None:
        record = world.call("show", world.vault, *world.reader, "--json").json
        assert set(record) == {
            "vault", "title", "made_at", "size", "root", "bundles", "stored", "policy", "members",
            "continues", "epochs",
        }  # fmt: skip
        assert [member["name"] for member in record["members"]] == ["Asma", "Reader Bé"]
        assert record["epochs"][0]["readers"][0]["name"] == "Reader Bé"

    def test_a_bundle_shows_what_is_public(self, world: Any) -> None:
        shown = world.call("show", world.vault, world.bundle[:6].upper())
        assert shown.code == 0
        assert world.bundle in shown.out
        assert "sha256" in shown.out
        assert "photo" not in shown.out
        record = world.call("show", world.vault, world.bundle, "--json").json
        assert record["fields"] is record["item_fields"] is None
        assert record["parts"]

    def test_a_reader_sees_all_fields_and_items(self, world: Any) -> None:
        shown = world.call("show", world.vault, world.bundle, *world.reader)
        for text in ("captured_at", "evidence/photo.jpg", "گواہی", "media-hash", "ab" * 32,
                     "times.modified"):  # fmt: skip
            assert text in shown.out
        record = world.call("show", world.vault, world.bundle, *world.reader, "--json").json
        assert record["item_fields"][3] == {
            "number": 3, "kind": "media-hash", "original_name": "video.mp4", "sha256": "ab" * 32,
        }  # fmt: skip

    def test_items_without_fields_of_their_own_have_no_list(
        self, world: Any, tmp_path: Path
    ) -> None:
        hashed = ("--media-hash", f"{'00' * 32}:v", *world.owner)
        bundle = world.call("seal", world.vault, *hashed).out.strip()
        shown = world.call("show", world.vault, bundle, *world.reader)
        assert "Item 0" not in shown.out

    def test_a_damaged_bundle_is_an_error(self, world: Any) -> None:
        part = world.vault / "bundles" / world.bundle / "evidence.0000"
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data)
        shown = world.call("show", world.vault, world.bundle, *world.reader)
        assert shown.code == 4
        assert "does not decrypt" in shown.err


class TestOlderCopy:
    def test_a_copy_that_is_older_than_what_was_seen_is_refused_and_shown_when_asked(
        self, world: Any, tmp_path: Path
    ) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(world.vault, copy)
        assert world.call("note", world.vault, "--text", "later", *world.owner).code == 0
        for verb in (("list", copy), ("show", copy), ("custody", copy, world.bundle)):
            refused = world.call(*verb)
            assert (refused.code, refused.out) == (3, "")
            assert "older than this machine has seen" in refused.err
            assert "--older-copy" in refused.err
            assert world.call(*verb, "--older-copy").code == 0


class TestNote:
    def test_a_note_on_the_vault_and_one_on_a_bundle(self, world: Any) -> None:
        noted = world.call("note", world.vault, "--text", "all well", *world.owner)
        assert (noted.code, noted.out, noted.err) == (0, "4\n", "Noted, as event 4.\n")
        record = world.call(
            "note", world.vault, world.bundle[:8], "--text", "x", *world.owner, "--json"
        ).json
        assert record["bundle"] == world.bundle
        assert record["event"] == 5

    def test_a_note_comes_from_standard_input(self, world: Any) -> None:
        noted = world.call("note", world.vault, world.bundle, "--text", "-", *world.owner,
                           text=b"first\nsecond\n")  # fmt: skip
        assert noted.code == 0
        shown = world.call("custody", world.vault, world.bundle, *world.reader, "--json").json
        assert shown["chain"][1]["fields"]["text"] == "first\nsecond"

    def test_standard_input_does_not_give_two_things(self, world: Any) -> None:
        noted = world.call("note", world.vault, "--text", "-", "--passphrase-fd", 0)
        assert noted.code == 2
        assert "both the passphrase and the note" in noted.err

    @pytest.mark.parametrize("text", ["", "  ", "x" * 70000])
    def test_a_note_that_says_nothing_or_too_much_is_refused(self, world: Any, text: str) -> None:
        noted = world.call("note", world.vault, "--text", text, *world.owner)
        assert noted.code == 2
        assert "The note must be text" in noted.err

    def test_bytes_that_are_no_text_are_refused(self, world: Any) -> None:
        noted = world.call("note", world.vault, "--text", "-", *world.owner, text=b"\xff\n")
        assert noted.code == 2

    def test_a_pin_that_cant_be_written_does_not_undo_what_was_done(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("vault.localstate._write", full)
        noted = world.call("note", world.vault, "--text", "x", *world.owner)
        assert noted.code == 0
        assert "could not remember it" in noted.err
        assert "No space left" in noted.err
