"""A folder that is being filled: what has a name in it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault.extracting.folder import NewFolder
from vault.pipeline import Buffer
from vault.storage.durability import Directory


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new/inner/file"

    def fill(take: object) -> None:
        assert callable(take)
        for part in (b"the first half, ", b"the second"):
            take(part)
            assert not target.exists()

    with NewFolder(tmp_path / "new") as folder:
        folder.write(["inner", "file"], fill)
        assert target.read_bytes() == b"the first half, the second"
    assert [path.name for path in (tmp_path / "new/inner").iterdir()] == ["file"]


def test_a_name_is_given_once(tmp_path: Path) -> None:
    with NewFolder(tmp_path / "new") as folder:
        data: Buffer = b"first"
        folder.write(["file"], lambda take: take(data))
        with pytest.raises(FileExistsError):
            folder.write(["file"], lambda take: take(b"second"))
        assert (tmp_path / "new/file").read_bytes() == data


def test_a_folder_that_somebody_made_first_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Directory.make_new

    def late(directory: Directory, part: str) -> None:
        (tmp_path / "new").mkdir(mode=0o777)
        real(directory, part)

    monkeypatch.setattr(Directory, "make_new", late)
    with pytest.raises(FileExistsError):
        NewFolder(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_somebody_put_in_its_place_is_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Directory.make_new
    (tmp_path / "dear").mkdir()
    (tmp_path / "dear/only copy").write_text("dear")

    def exchanged(directory: Directory, part: str) -> None:
        real(directory, part)
        (tmp_path / "new").rename(tmp_path / "aside")
        (tmp_path / "dear").rename(tmp_path / "new")

    monkeypatch.setattr(Directory, "make_new", exchanged)
    with pytest.raises(FileExistsError):
        NewFolder(tmp_path / "new")
    assert (tmp_path / "new/only copy").read_text() == "dear"


def test_after_an_error_what_was_written_goes_and_nothing_that_took_its_name(
    tmp_path: Path,
) -> None:
    dear = tmp_path / "dear"
    (dear / "inner").mkdir(parents=True)
    (dear / "inner/only copy").write_text("dear")
    with pytest.raises(ValueError, match="of a test"), NewFolder(tmp_path / "new") as folder:
        folder.write(["inner", "file"], lambda take: take(b"decrypted"))
        (tmp_path / "new").rename(tmp_path / "hidden")
        dear.rename(tmp_path / "new")
        raise ValueError("of a test")
    assert (tmp_path / "new/inner/only copy").read_text() == "dear"
    assert list((tmp_path / "hidden").iterdir()) == []
