"""Finding what is to be sealed."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from vault.gathering import Found, gather


def test_files_and_folders_come_in_the_order_given_and_each_folder_in_its_own(
    tmp_path: Path,
) -> None:
    for name in ("f/z", "f/a/y", "f/a/x", "f/B", "e"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    found = gather([tmp_path / "f", tmp_path / "e"])
    assert [one.name for one in found.files] == ["f/B", "f/a/x", "f/a/y", "f/z", "e"]
    assert [one.size for one in found.files] == [3, 5, 5, 3, 1]
    assert found.files[0] == Found(tmp_path / "f/B", "f/B", 3, tmp_path / "f")
    assert (found.unsealable, found.empty) == ((), ())


def test_the_present_folder_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/a").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    assert [one.name for one in gather(["."]).files] == ["here/a"]
    assert [one.name for one in gather(["../here/"]).files] == ["here/a"]


def test_what_is_no_file_is_named_with_its_reason_and_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("f")
    os.symlink("/etc", "f/folder-link")
    os.symlink("nowhere", "f/link")
    os.mkfifo("f/fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("f/socket")
        found = gather(["f", "/dev/null"])
    assert {str(one.path): one.why for one in found.unsealable} == {
        "f/folder-link": "a symbolic link",
        "f/link": "a symbolic link",
        "f/fifo": "a FIFO",
        "f/socket": "a socket",
        "/dev/null": "a device",
    }
    assert found.files == ()


def test_a_folder_that_may_not_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f/closed").mkdir(parents=True)
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr("os.listdir", refuse)
    (one,) = gather([tmp_path / "f"]).unsealable
    assert (one.name, one.why) == ("f/closed", "Permission denied")


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("")
    monkeypatch.setattr("os.access", lambda *_: False)
    (one,) = gather([tmp_path / "a"]).unsealable
    assert one.why == "no permission to read it"


def test_empty_folders_are_said(tmp_path: Path) -> None:
    (tmp_path / "f/empty").mkdir(parents=True)
    assert gather([tmp_path / "f"]).empty == (tmp_path / "f/empty",)


def test_the_vault_itself_is_left_out_by_whatever_way_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "f/vault").mkdir(parents=True)
    (tmp_path / "f/vault/FORMAT").write_text("x")
    (tmp_path / "way").symlink_to(tmp_path / "f/vault")
    found = gather([tmp_path / "f"], vault=tmp_path / "way")
    assert [(one.name, one.why) for one in found.unsealable] == [("f/vault", "the vault itself")]
    assert found.files == ()


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gather([tmp_path / "missing"])


def test_names_that_are_not_utf_8_are_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/f/caf\xe9")).write_text("")
    assert [one.name for one in gather([tmp_path / "f"]).files] == [b"f/caf\xe9"]


@pytest.mark.parametrize(("depth", "why"), [(1500, None), (2500, "File name too long")])
def test_a_folder_may_be_deeper_than_this_language_recurses(
    tmp_path: Path, depth: int, why: str | None
) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = gather([tmp_path / "d"])
    # Python's own way to remove a tree can't remove this one.
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert [one.why for one in found.unsealable] == ([why] if why else [])
    assert len(found.empty) == (0 if why else 1)
