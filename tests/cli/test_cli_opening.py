"""``evault open``."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from vault import Vault, check_access_record, parse_identity_file


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_bundle_is_opened_as_it_was_sealed_and_the_opening_recorded(
    world: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    opened = world.call(
        "open", world.vault, world.bundle[:6], "-o", out, "--purpose", "hearing", *world.reader
    )
    assert opened.code == 0, opened.err
    assert opened.out == f"{out}\n"
    for name in ("photo.jpg", "inner/empty.txt", "گواہی.txt"):
        sealed = (world.folder / "evidence" / name).read_bytes()
        assert (out / "files/evidence" / name).read_bytes() == sealed
    assert "recorded in the vault" in opened.err
    assert "1 item without content" in opened.err
    record = json.loads((out / "record.json").read_bytes())
    assert record["fields"]["title"] == "First"
    assert record["items"][1]["written"] == "files/evidence/photo.jpg"
    assert record["items"][3]["written"] is None
    chain = world.call("custody", world.vault, world.bundle, *world.reader, "--json").json["chain"]
    assert chain[1]["type"] == "bundle.opened"
    assert chain[1]["fields"]["purpose"] == "hearing"


def test_only_the_items_asked_for_are_opened(world: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    opened = world.call("open", world.vault, world.bundle, "-o", out, "--purpose", "x",
                        "--item", 1, "--item", 3, *world.reader, "--json")  # fmt: skip
    assert opened.json["files"] == 1
    assert tree(out) == ["files/evidence/photo.jpg", "record.json"]
    chain = world.call("custody", world.vault, world.bundle, *world.reader, "--json").json["chain"]
    assert chain[1]["fields"]["items"] == ["1", "3"]


def test_an_unrecorded_opening_leaves_the_vault_and_a_signed_record(
    world: Any, tmp_path: Path
) -> None:
    before = world.files()
    out = tmp_path / "out"
    options = ("-o", out, "--unrecorded", *world.reader)
    opened = world.call("open", world.vault, world.bundle, *options)
    assert opened.code == 0, opened.err
    assert world.files() == before
    record = check_access_record((out / "access-record.txt").read_bytes())
    assert record.bundle.hex() == world.bundle
    assert record.purpose == "not stated"
    assert "Nothing was recorded in the vault" in opened.err


def test_an_older_copy_is_opened_unrecorded(world: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(world.vault, copy)
    assert world.call("note", world.vault, "--text", "later", *world.owner).code == 0
    options = (world.bundle, "-o", tmp_path / "out", *world.reader)
    assert world.call("open", copy, *options, "--purpose", "x").code == 3
    assert not (tmp_path / "out").exists()
    assert world.call("open", copy, *options, "--unrecorded", "--purpose", "look").code == 0


def test_neither_purpose_nor_unrecorded_is_refused(world: Any, tmp_path: Path) -> None:
    opened = world.call("open", world.vault, world.bundle, "-o", tmp_path / "out", *world.reader)
    assert (opened.code, opened.out) == (2, "")
    assert "--purpose" in opened.err
    assert "--unrecorded" in opened.err


@pytest.mark.parametrize("purpose", ["", "a\nb", "\u202eb"])
def test_a_purpose_is_one_plain_line(world: Any, tmp_path: Path, purpose: str) -> None:
    options = ("-o", tmp_path / "out", "--purpose", purpose, *world.reader)
    assert world.call("open", world.vault, world.bundle, *options).code == 2


def test_a_place_that_is_taken_is_refused_and_nothing_recorded(world: Any, tmp_path: Path) -> None:
    before = world.files()
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("out", "link"):
        options = ("-o", tmp_path / name, "--purpose", "x", *world.reader)
        opened = world.call("open", world.vault, world.bundle, *options)
        assert opened.code == 3
        assert f"{tmp_path / name}: is there already" in opened.err
    assert world.files() == before
    assert os.listdir(tmp_path / "out") == []


def test_an_item_that_is_not_there_is_refused_and_nothing_recorded(
    world: Any, tmp_path: Path
) -> None:
    before = world.files()
    options = ("-o", tmp_path / "out", "--purpose", "x", "--item", 9, *world.reader)
    opened = world.call("open", world.vault, world.bundle, *options)
    assert opened.code == 2
    assert "no item 9 of 4" in opened.err
    assert not (tmp_path / "out").exists()
    assert world.files() == before


def test_who_is_no_reader_cant_open(world: Any, tmp_path: Path) -> None:
    before = world.files()
    options = ("-o", tmp_path / "out", "--purpose", "x", *world.owner)
    opened = world.call("open", world.vault, world.bundle, *options)
    assert opened.code == 4
    assert "not open to this identity" in opened.err
    assert not (tmp_path / "out").exists()
    assert world.files() == before


def test_damage_leaves_no_output_and_says_that_the_opening_stands(
    world: Any, tmp_path: Path
) -> None:
    part = world.vault / "bundles" / world.bundle / "evidence.0000"
    big = tmp_path / "big"
    big.write_bytes(random.Random(1).randbytes(300_000))
    sealed = world.call("seal", world.vault, big, *world.owner).out.strip()
    part = world.vault / "bundles" / sealed / "evidence.0000"
    data = bytearray(part.read_bytes())
    data[100_000] ^= 1
    part.write_bytes(data)
    options = ("-o", tmp_path / "out", "--purpose", "x", *world.reader)
    opened = world.call("open", world.vault, sealed, *options)
    assert (opened.code, opened.out) == (4, "")
    assert f"bundles/{sealed}, item 0: the age payload does not decrypt" in opened.err
    assert "What was done before it stands: 1 event." in opened.err
    assert not (tmp_path / "out").exists()


def test_a_vault_that_cant_be_written_names_unrecorded(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.LocalStore.writable", lambda _: False)
    options = ("-o", tmp_path / "out", "--purpose", "x", *world.reader)
    opened = world.call("open", world.vault, world.bundle, *options)
    assert opened.code == 5
    assert "--unrecorded" in opened.err
    assert not (tmp_path / "out").exists()


def test_names_that_are_changed_are_said(world: Any, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    for number in range(24):
        (folder / f"{number}?.txt").write_text("x")
    sealed = world.call("seal", world.vault, folder, *world.owner).out.strip()
    options = ("-o", tmp_path / "out", "--purpose", "x", *world.reader)
    opened = world.call("open", world.vault, sealed, *options)
    assert "files/names/0%3F.txt: it had characters that not every system takes" in opened.err
    assert "4 more were renamed" in opened.err
    assert (tmp_path / "out/files/names/0%3F.txt").read_text() == "x"


class TestConsent:
    """What those who gave the evidence allow counts for every opening, of a copy as well."""

    @pytest.fixture
    def limited(self, world: Any) -> Any:
        passphrase = (world.folder / "owner.txt").read_bytes().strip()
        file = world.folder / "home/identity.age"
        me = parse_identity_file(file.read_bytes(), passphrase)
        fields = {"consent.status": "limited", "consent.scope": ("trial", "archive\u202e")}
        with Vault.open(world.vault, identity=me) as vault:
            vault.append("consent.recorded", bundle=bytes.fromhex(world.bundle), fields=fields)
        return world

    @pytest.mark.parametrize("how", [("--purpose", "x"), ("--unrecorded",)])
    def test_a_use_that_it_does_not_cover_is_refused_with_what_it_allows(
        self, limited: Any, tmp_path: Path, how: tuple[str, ...]
    ) -> None:
        files = limited.files()
        for use in ((), ("--use", "press")):
            out = tmp_path / "out"
            refused = limited.call(
                "open", limited.vault, limited.bundle, "-o", out, *how, *use, *limited.reader
            )
            assert (refused.code, refused.out) == (3, "")
            assert "consent is limited to certain uses (trial; archive\\u202e)" in refused.err
            assert "--use" in refused.err
            assert "--authority" in refused.err
            assert not out.exists()
        assert limited.files() == files

    def test_a_use_that_it_covers_is_recorded(self, limited: Any, tmp_path: Path) -> None:
        out = tmp_path / "out"
        opened = limited.call("open", limited.vault, limited.bundle, "-o", out,
                              "--purpose", "x", "--use", "Trial", *limited.reader)  # fmt: skip
        assert opened.code == 0, opened.err
        chain = limited.call("custody", limited.vault, limited.bundle, *limited.reader, "--json")
        assert chain.json["chain"][-1]["fields"]["use"] == "Trial"

    def test_an_authority_stands_above_it_and_is_stated(self, limited: Any, tmp_path: Path) -> None:
        order = ("--authority", "Order 12 of the district court")
        for number, how in enumerate((("--purpose", "x"), ("--unrecorded",))):
            out = tmp_path / f"out{number}"
            opened = limited.call(
                "open", limited.vault, limited.bundle, "-o", out, *how, *order, *limited.reader
            )
            assert opened.code == 0, opened.err
        record = check_access_record((tmp_path / "out1/access-record.txt").read_bytes())
        assert record.authority == order[1]
        chain = limited.call("custody", limited.vault, limited.bundle, *limited.reader, "--json")
        assert chain.json["chain"][-1]["fields"]["authority"] == order[1]

    @pytest.mark.parametrize("option", ["--use", "--authority"])
    def test_a_use_or_authority_is_one_line(self, world: Any, tmp_path: Path, option: str) -> None:
        for text in ("", "a\nb"):
            refused = world.call("open", world.vault, world.bundle, "-o", tmp_path / "out",
                                 "--purpose", "x", option, text, *world.reader)  # fmt: skip
            assert (refused.code, refused.out) == (2, "")
            assert f"{option} must be one line" in refused.err
