"""``evault seal --amends`` and its like, ``evault show``; when what is recorded happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vault import Vault, parse_identity_file
from vault.layout import fields_name

LATE = ("--occurred-at", "2026-03-01T14:05+05:00", "--late-because", "no power for a week")
CHECK = ("--clock-check", "radio, 14:05:10, 10 s behind")
SAID = {
    "occurred_at": "2026-03-01T14:05+05:00",
    "recorded_late_because": "no power for a week",
    "clock_check.reference": "radio",
    "clock_check.reading": "14:05:10",
    "clock_check.difference": "10 s behind",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "correction.txt"
    path.write_text("it was the second truck")
    return path


def told(world: Any, seq: int) -> dict[str, Any]:
    """Return what an event says of when it happened, as a reader sees it."""
    passphrase = (world.folder / "reader.txt").read_bytes().strip()
    me = parse_identity_file((world.folder / "reader.age").read_bytes(), passphrase)
    with Vault.open(world.vault, identity=me) as vault:
        fields = vault.fields(vault.event(seq))
    return {name: fields[name] for name in SAID if name in fields}


class TestRelations:
    @pytest.mark.parametrize(
        ("option", "field", "here", "there"),
        [
            ("--amends", "amends", "Amends", "Amended by"),
            ("--derived-from", "derived_from", "Derived from", "Made from this"),
            ("--translation-of", "translation_of", "Translation of", "Translated in"),
            ("--transcript-of", "transcript_of", "Transcript of", "Transcribed in"),
        ],
    )
    def test_both_bundles_show_what_they_are_to_each_other(
        self, world: Any, file: Path, option: str, field: str, here: str, there: str
    ) -> None:
        first = world.bundle
        sealed = world.call(
            "seal", world.vault, file, option, f"{first[:8].upper()}/1", "--title", "Second",
            *world.owner,
        )  # fmt: skip
        assert sealed.code == 0, sealed.err
        second = sealed.out.strip()
        record = world.call("show", world.vault, second, *world.reader, "--json").json
        assert record["fields"][field] == f"{first}/1"
        assert record["refers_to"] == [{"relation": field, "bundle": first, "item": 1}]
        assert (record["referred_to_by"], record["not_looked_into"]) == ([], 0)
        record = world.call("show", world.vault, first, *world.reader, "--json").json
        assert record["refers_to"] == []
        assert record["referred_to_by"] == [
            {"relation": field, "bundle": second, "item": 1, "title": "Second"}
        ]
        shown = world.call("show", world.vault, second, *world.reader).out
        (line,) = (one for one in shown.splitlines() if one.startswith(f"{here} "))
        assert f"{first[:12]}, item 1 “First”" in line
        shown = world.call("show", world.vault, first, *world.reader).out
        (line,) = (one for one in shown.splitlines() if one.startswith(f"{there} "))
        assert f"{second[:12]} “Second”, sealed 2" in line
        assert "(item 1 of this)" in line

    def test_without_a_key_nothing_of_it_shows(self, world: Any, file: Path) -> None:
        world.call("seal", world.vault, file, "--amends", world.bundle, *world.owner)
        record = world.call("show", world.vault, world.bundle, "--json").json
        assert [record[name] for name in ("refers_to", "referred_to_by", "not_looked_into")] == [
            None, None, None,
        ]  # fmt: skip
        shown = world.call("show", world.vault, world.bundle)
        assert "Amended" not in shown.out
        assert "sealed later" not in shown.err

    def test_what_is_closed_or_damaged_may_refer_to_it_too(self, world: Any, file: Path) -> None:
        sealed = [
            world.call("seal", world.vault, file, "--amends", world.bundle, *world.owner).out
            for _ in range(2)
        ]
        shown = world.call("show", world.vault, world.bundle, *world.owner)
        assert "2 bundles that were sealed later are not open here" in shown.err
        with Vault.open(world.vault) as vault:
            event = vault.event(vault.bundle(sealed[0].strip()).seq)
        assert event.sealed is not None
        (world.vault / fields_name(event.sealed.sha256)).unlink()
        shown = world.call("show", world.vault, world.bundle, *world.reader)
        assert "A bundle that was sealed later is not open here" in shown.err
        assert f"Amended by        {sealed[1][:12]}, sealed" in shown.out

    def test_what_was_destroyed_is_said_to_be(self, world: Any, file: Path) -> None:
        later = world.call("seal", world.vault, file, "--amends", world.bundle, *world.owner)
        gone = later.out.strip()
        why = ("--authority", "order 7", "--reason", "asked for", "--yes")
        assert world.call("destroy", world.vault, gone, *why, *world.owner).code == 0
        shown = world.call("show", world.vault, world.bundle, *world.reader)
        assert "A bundle that was sealed later was destroyed" in shown.err
        assert "not open here" not in shown.err
        itself = world.call("show", world.vault, gone, *world.reader)
        assert "It was destroyed, event 5, and its fields and items with it." in itself.err
        assert "only a reader's identity" not in itself.err

    def test_a_bundle_that_is_not_in_this_vault_is_said_to_be_not(
        self, world: Any, file: Path
    ) -> None:
        other = "ab" * 16
        sealed = world.call("seal", world.vault, file, "--field", f"amends={other}", *world.owner)
        shown = world.call("show", world.vault, sealed.out.strip(), *world.reader)
        assert f"{other[:12]} (not in this vault)" in shown.out

    @pytest.mark.parametrize("reference", ["00", "zz", "", "BUNDLE/", "BUNDLE/01", "BUNDLE BUNDLE"])
    def test_what_is_no_bundle_is_refused_before_anything_is_read(
        self, world: Any, file: Path, reference: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = world.files()
        monkeypatch.setattr("vault.sealing.SealWriter.add_path", None)
        given = reference.replace("BUNDLE", world.bundle) if reference != "00" else "00" * 16
        refused = world.call("seal", world.vault, file, "--amends", given, *world.owner)
        assert (refused.code, refused.out) == (2, "")
        assert "Nothing was added." in refused.err
        assert world.files() == files

    def test_an_item_is_counted_where_the_bundle_is_open(self, world: Any, file: Path) -> None:
        beyond = f"{world.bundle}/4"
        both = ("--role", "custodian", "--role", "reader", "--not-checked")
        card = world.folder / "reader.card"
        assert world.call("admit", world.vault, card, *both, *world.owner).code == 0
        refused = world.call("seal", world.vault, file, "--amends", beyond, *world.reader)
        assert (refused.code, refused.out) == (2, "")
        assert "no item 4 of 4" in refused.err
        # Whoever can't count them is taken at their word.
        assert world.call("seal", world.vault, file, "--amends", beyond, *world.owner).code == 0

    @pytest.mark.parametrize(
        "options",
        [
            ("--amends", "BUNDLE", "--field", "amends=the other"),
            (*LATE, "--field", "occurred_at=2026-03-01T14:05+05:00"),
            (*LATE, *CHECK, "--field", "clock_check.reading=noon"),
        ],
    )
    def test_a_field_given_both_ways_is_refused(
        self, world: Any, file: Path, options: tuple[str, ...]
    ) -> None:
        given = [one.replace("BUNDLE", world.bundle) for one in options]
        refused = world.call("seal", world.vault, file, *given, *world.owner)
        assert (refused.code, refused.out) == (2, "")
        assert "is given twice: by its own option" in refused.err


class TestCircumstances:
    """Every verb that writes can say when it happened and why it is recorded late."""

    def test_of_a_seal(self, world: Any, file: Path) -> None:
        sealed = world.call("seal", world.vault, file, *LATE, *CHECK, *world.owner)
        assert sealed.code == 0, sealed.err
        assert told(world, 4) == SAID

    def test_of_a_note(self, world: Any) -> None:
        for bundle in ((), (world.bundle,)):
            noted = world.call(
                "note", world.vault, *bundle, "--text", "x", *LATE, *CHECK, *world.owner
            )
            assert noted.code == 0, noted.err
            assert told(world, int(noted.out)) == SAID

    def test_of_an_opening(self, world: Any, tmp_path: Path) -> None:
        opened = world.call("open", world.vault, world.bundle, "-o", tmp_path / "out",
                            "--purpose", "x", *LATE, *CHECK, *world.reader)  # fmt: skip
        assert opened.code == 0, opened.err
        assert told(world, 4) == SAID

    def test_of_a_new_vault(self, world: Any, tmp_path: Path) -> None:
        place = tmp_path / "vault"
        card = world.folder / "reader.card"
        made = world.call("init", place, "--reader", card, *LATE, *CHECK, *world.owner)
        assert made.code == 0, made.err
        (world.folder / "vault").rename(world.folder / "before")
        place.rename(world.folder / "vault")
        assert told(world, 0) == SAID

    def test_of_a_change_of_policy(self, world: Any) -> None:
        changed = world.call("policy", world.vault, "clock=60", *LATE, *CHECK, *world.owner)
        assert changed.code == 0, changed.err
        assert told(world, 4) == SAID

    def test_of_a_check(self, world: Any, file: Path) -> None:
        assert world.call("seal", world.vault, file, *world.owner).code == 0
        checked = world.call("verify", world.vault, "--record", *LATE, *CHECK, *world.owner)
        assert checked.code == 0, checked.err
        assert told(world, 5) == told(world, 6) == SAID

    @pytest.mark.parametrize("options", [LATE[:2], LATE[2:]])
    def test_a_time_and_why_it_is_late_go_together(
        self, world: Any, options: tuple[str, ...]
    ) -> None:
        files = world.files()
        for verb in (("note", world.vault, "--text", "x"), ("policy", world.vault, "clock=60")):
            refused = world.call(*verb, *options, *world.owner)
            assert (refused.code, refused.out) == (2, "")
            assert "go together" in refused.err
        assert world.files() == files

    def test_where_nothing_is_recorded_there_is_nothing_to_date(
        self, world: Any, tmp_path: Path
    ) -> None:
        refused = world.call("verify", world.vault, *LATE)
        assert (refused.code, refused.out) == (2, "")
        refused = world.call("open", world.vault, world.bundle, "-o", tmp_path / "out",
                             "--unrecorded", *LATE, *world.reader)  # fmt: skip
        assert (refused.code, refused.out) == (2, "")
        assert "--unrecorded writes no event" in refused.err
        assert not (tmp_path / "out").exists()
