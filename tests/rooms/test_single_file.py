"""One small file, written whole or not at all."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

from tests.crash.medium import Model, Recording
from vault.storage.single import write_file


def test_a_file_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    write_file(tmp_path / "a", b"new", replace=True)
    assert (tmp_path / "a").read_bytes() == b"new"
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "link", b"new")
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


@pytest.mark.parametrize("what", ["write_all", "sync_file"])
@pytest.mark.parametrize("replace", [False, True])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, replace: bool
) -> None:
    (tmp_path / "old").write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"vault.storage.single.{what}", fail)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / ("old" if replace else "new"), b"new", replace=replace)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "no/file", b"")


@pytest.mark.skipif(os.name != "posix", reason="directories are flushed on POSIX only")
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("model", ["journal", "anarchy"])
def test_a_power_cut_leaves_the_old_file_or_the_new_one_and_the_new_one_once_it_is_done(
    tmp_path: Path, replace: bool, model: Model
) -> None:
    root = tmp_path / "medium"
    root.mkdir()
    old, new = b"old" * 3000, b"new" * 5000
    if replace:
        (root / "a").write_bytes(old)
    recording = Recording(root)
    with recording.watch():
        write_file(root / "a", new, replace=replace)
    before = old if replace else None
    seen = set()
    for seed in range(60):
        dice = random.Random(seed)
        assert recording.state(recording.count, model, dice).get("a") == new
        for cut in range(recording.count):
            found = recording.state(cut, model, dice).get("a")
            assert found in (before, new)
            seen.add(found)
    assert seen == {before, new}
