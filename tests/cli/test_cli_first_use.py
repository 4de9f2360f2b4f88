"""What somebody reads who uses ``evault`` for the first time: nothing sounds worse than it is."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from evault_cli import render


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def narrowed(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    return terminal


@pytest.fixture
def older(world: Any) -> Path:
    copy: Path = world.folder / "older"
    shutil.copytree(world.vault, copy)
    assert world.call("note", world.vault, "--text", "x", *world.owner).code == 0
    return copy


# --- verify -------------------------------------------------------------------------------------


def test_an_honest_older_copy_is_called_older(world: Any, older: Path) -> None:
    verified = world.call("verify", older)
    assert verified.code == 1
    size = world.call("verify", older, "--json").json["size"]
    assert verified.out.startswith(
        "Older: everything here is what was signed, but it ends at event "
        f"{size - 1}; this machine has seen {size + 1} events. That is usual for a copy"
    )
    assert world.call("verify", older, "--json").json["verdict"] == "contradicted"


def test_an_older_copy_with_damage_is_not_called_what_was_signed(world: Any, older: Path) -> None:
    (older / "bundles" / world.bundle / "evidence.0000").unlink()
    assert world.call("verify", older).out.startswith("Contradicted: ")


def test_another_vault_with_damage_is_not_called_otherwise_right(world: Any) -> None:
    (world.vault / "bundles" / world.bundle / "evidence.0000").unlink()
    verified = world.call("verify", world.vault, "--vault-id", "00" * 32)
    assert verified.out.startswith("Another vault: its id is ")
    assert "Nothing else is wrong" not in verified.out


def test_a_file_that_is_no_checkpoint_is_called_so(world: Any, tmp_path: Path) -> None:
    statement = tmp_path / "statement.txt"
    statement.write_text("I saw it")
    bad = world.call("verify", world.vault, "--checkpoint", statement)
    assert (bad.code, bad.out) == (3, "")
    assert bad.err == f"evault: {statement} is not a checkpoint. Name the file that was kept.\n"


# --- tables, titles, fingerprints ---------------------------------------------------------------


HEADERS = ("Bundle", "Sealed (UTC)", "Title", "Captured", "Items", "Size", "Holder")
CAPTURED = "2026-03-01T14:05:00+05:00"
ROW = ("abcdef012345", "2026-03-01 14:05", "T" * 5000, CAPTURED, "12", "1.2 MB", "Asma, you")


def test_a_narrow_table_loses_nothing_but_the_end_of_a_title(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = narrowed(monkeypatch)
    render.table(HEADERS, [ROW, ROW], shorten="Title")
    lines = narrow.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) < 20
    for cell in (*ROW[:2], *ROW[3:]):
        assert narrow.getvalue().count(cell) >= 2, cell
    assert "T\u2026" in narrow.getvalue()
    assert "  Holder: Asma, you" in lines


def test_a_narrow_table_without_a_title_keeps_times_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = narrowed(monkeypatch)
    render.table(("Event", "Time", "What", "By"), [("1", CAPTURED, "w " * 99, "b " * 40)])
    assert CAPTURED in narrow.getvalue()
    assert narrow.getvalue().count("w") == 99


def test_elsewhere_a_long_cell_does_not_widen_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("One", "Two"), [("x" * 5000, "a"), ("y", "b")])
    assert capsys.readouterr().out.splitlines()[2] == f"{'y':<60}  b"


def test_a_very_long_title_is_noted(world: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    sealed = world.call("seal", world.vault, tmp_path / "a", "--title", "t" * 5000, *world.owner)
    assert sealed.code == 0
    assert "Note: the title has 5000 characters; lists show the beginning." in sealed.err


def test_a_fingerprint_stands_in_two_lines_of_eight_groups() -> None:
    lines = render.fingerprint(bytes(range(32))).split("\n")
    assert [len(line.split()) for line in lines] == [8, 8]


# --- what can't be read or opened ---------------------------------------------------------------


def test_a_missing_part_is_damage_and_not_a_wrong_name(world: Any, tmp_path: Path) -> None:
    (world.vault / "bundles" / world.bundle / "evidence.0000").unlink()
    options = ("-o", tmp_path / "out", "--unrecorded", *world.reader)
    failed = world.call("open", world.vault, world.bundle, *options)
    assert failed.code == 5
    assert "a part of this bundle is missing (evidence.0000). Nothing was added." in failed.err
    assert "put those files back into this vault from a good copy" in failed.err


def test_an_item_without_content_is_refused_before_the_event(world: Any, tmp_path: Path) -> None:
    items = world.call("show", world.vault, world.bundle, *world.reader, "--json").json
    number = next(one["number"] for one in items["item_fields"] if one.get("kind") == "media-hash")
    before = world.files()
    options = ("-o", tmp_path / "out", "--purpose", "x", "--item", number, *world.reader)
    refused = world.call("open", world.vault, world.bundle, *options)
    assert refused.code == 2
    assert f"Item {number} has no content: only its SHA-256 was sealed." in refused.err
    assert world.files() == before


def test_an_omitted_item_says_why_it_has_no_content(world: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_text("a")
    (tmp_path / "in/link").symlink_to("a")
    sealed = world.call("seal", world.vault, tmp_path / "in", "--skip-unreadable", *world.owner)
    options = ("-o", tmp_path / "out", "--purpose", "x", "--item", 1, *world.reader)
    refused = world.call("open", world.vault, sealed.out.strip(), *options)
    assert "Item 1 has no content: it was omitted (a symbolic link)" in refused.err


def test_a_vault_of_another_user_is_told_as_such(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(world.vault))

    monkeypatch.setattr("vault.Vault.open", refused)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    failed = world.call("list", world.vault)
    assert failed.code == 5
    assert failed.err == (
        f"evault: {world.vault}: this user may not read it. Nothing was changed. Read it as the "
        "user who made it, or copy it as an administrator.\n"
    )


def test_an_unreadable_file_that_is_named_itself_is_an_omission(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, other = tmp_path / "secret.txt", tmp_path / "other.txt"
    for path in (secret, other):
        path.write_text("x")
    real = os.access

    def access(path: Any, mode: int, **more: Any) -> bool:
        return str(path) != str(secret) and real(path, mode, **more)

    def unreadable(path: Path) -> os.stat_result:
        from vault.errors import SourceUnreadableError

        if path == secret:
            raise SourceUnreadableError(str(path), "not readable")
        return path.stat()

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr("vault.gathering.check_sealable", unreadable)
    sealed = world.call(
        "seal", world.vault, secret, other, "--skip-unreadable", *world.owner, "--json"
    )
    assert sealed.code == 0, sealed.err
    assert sealed.json["bundles"][0]["omitted"] == [
        {"path": str(secret), "because": "not readable"}
    ]


def test_an_empty_folder_among_many_is_named_or_left_out(world: Any, tmp_path: Path) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "a").write_text("a")
    options = (full, empty, "--each", *world.owner)
    refused = world.call("seal", world.vault, *options)
    assert (refused.code, refused.out) == (2, "")
    assert f"{empty} has no file, so it can't be a bundle. Nothing was added." in refused.err
    sealed = world.call("seal", world.vault, *options, "--skip-unreadable")
    assert sealed.code == 0
    assert f"Note: {empty} has no file and is left out." in sealed.err
    assert len(sealed.out.split()) == 1
    shutil.rmtree(full)
    full.mkdir()
    none = world.call("seal", world.vault, *options, "--skip-unreadable")
    assert "There is no file in what was named" in none.err


# --- what is advised ----------------------------------------------------------------------------


def test_who_writes_is_not_told_to_look_at_an_older_copy(world: Any, older: Path) -> None:
    refused = world.call("note", older, "--text", "x", *world.owner)
    assert refused.code == 3
    assert "older than this machine has seen" in refused.err
    assert "--older-copy" not in refused.err


def test_output_that_is_full_is_not_blamed_on_the_vault(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="space") as caught, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full(io.BytesIO()))
        render.out("x")
    assert caught.value.filename == render.OUTPUT
    monkeypatch.setattr("vault.Vault.open", lambda *_, **__: _raise(caught.value))
    failed = world.call("list", world.vault)
    assert failed.err.startswith("evault: standard output: is full.")


def test_a_full_medium_names_the_vault_and_not_what_has_no_name_yet(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tmp/0123/4", str(world.vault / "tmp/0123/4")):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        monkeypatch.setattr("vault.Vault.open", lambda *_, error=error, **__: _raise(error))
        failed = world.call("list", world.vault)
        assert failed.err.startswith(f"evault: {world.vault}: is full.")


def _raise(error: BaseException) -> None:
    raise error


def test_the_vault_id_is_said_to_be_needed_only_where_something_is_written(world: Any) -> None:
    for verb in ("verify", "list", "show", "custody"):
        assert "says whether this is that vault" in " ".join(world.call(verb, "-h").out.split())
    for verb in ("seal", "note", "open"):
        assert "before this machine writes" in " ".join(world.call(verb, "-h").out.split())


def test_a_new_vault_names_its_maker_and_that_there_is_one_owner(world: Any) -> None:
    made = world.call("init", world.folder / "mine", "--reader", "me", *world.owner)
    assert made.code == 0
    assert "\n  you\n    " in made.err
    assert "Warning: you are its only owner." in made.err
    assert "/mine CARD --role owner`" in made.err


def test_a_note_from_a_pipe_says_where_the_passphrase_must_come_from(world: Any) -> None:
    refused = world.call("note", world.vault, "--text", "-", text="a note")
    assert refused.code == 2
    assert "the passphrase must come from --passphrase-file" in refused.err
