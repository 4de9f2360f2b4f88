"""A folder that is being filled: what has a name in it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault.extracting.folder import NewFolder
from vault.pipeline import Buffer


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
