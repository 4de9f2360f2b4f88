"""Hostile bags, target folders and links, by class, each driven from end to end.

Somebody with a custodian's keys seals what no writer of ours would, or swaps a folder for a link
meanwhile, and an honest reader opens it. The verdict is always the same: a typed error, or one
sentence with an exit code from 0 to 5; nothing written outside of the folder that was asked for,
nothing half-written left.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fuzz.desk import Desk
from tests.fuzz.hostile import (
    Member,
    snapshot,
)
from tests.rooms.house import MINA, NOOR, House
from vault import Vault, audit
from vault.bag import item_path
from vault.errors import VaultError
from vault.extracting import extract

# --- the bag --------------------------------------------------------------------------------------

_TYPES: Final = {
    "symbolic link": (tarfile.SYMTYPE, "../../../evil"),
    "symbolic link to the root": (tarfile.SYMTYPE, "/etc"),
    "hard link": (tarfile.LNKTYPE, "/etc/passwd"),
    "character device": (tarfile.CHRTYPE, ""),
    "block device": (tarfile.BLKTYPE, ""),
    "FIFO": (tarfile.FIFOTYPE, ""),
    "directory": (tarfile.DIRTYPE, ""),
    "GNU sparse file": (tarfile.GNUTYPE_SPARSE, ""),
}


def told_by_deep(desk: Desk, bundle: bytes) -> None:
    """A bag that its items do not make is found, and called what it is."""
    with desk.house.open() as vault:
        place = f"event {vault.bundle(bundle.hex()).seq}"
    assert audit(desk.house.path).verdict == "intact"
    report = audit(desk.house.path, identity=NOOR)
    assert report.verdict == "contradicted"
    assert {(one.code, one.place) for one in report.findings} == {("private-contents", place)}


@pytest.mark.parametrize("kind", _TYPES)
def test_links_devices_and_fifos_in_a_bag_are_never_made(desk: Desk, kind: str) -> None:
    # The second entry goes by the first's name, as if to be written through it.
    type_, link = _TYPES[kind]
    bundle = desk.forged(
        Member("way", kind=type_, link=link),
        Member("way", b"through", fields={"original_name": "item 0.txt"} | _place(1)),
    )
    assert set(desk.opened(bundle).values()) == {b"", b"through"}
    told_by_deep(desk, bundle)


def _place(number: int) -> dict[str, Any]:
    return {"path": f"data/{number:06d}.txt"}


@pytest.mark.parametrize(
    "name",
    ["../../evil.txt", "/tmp/evil.txt", "a/../../../evil.txt", "..", "C:\\evil.txt", "evil\n.txt"],
)
def test_a_name_in_the_tar_leads_nowhere(desk: Desk, name: str) -> None:
    bundle = desk.forged(Member(name, b"content"))
    assert desk.opened(bundle) == {"item 0.txt": b"content"}
    told_by_deep(desk, bundle)


@pytest.mark.parametrize(
    "path",
    [
        "../../evil.txt",
        "/etc/evil.txt",
        "data/../../evil.txt",
        "data/000001.txt",
        "data/000000.TXT",
        "data/000000.txt\n",
        "data\\000000.txt",
        "",
    ],
)
def test_a_path_in_the_bag_that_is_not_the_items_own_is_refused(desk: Desk, path: str) -> None:
    desk.refused(desk.forged(Member("x", b"content", fields={"path": path})))


_NAMES: Final[dict[str, tuple[tuple[str | bytes, ...], tuple[str, ...]]]] = {
    "path traversal": (
        ("../../evil", "a/../../../b", "..", "./..", "x/.."),
        ("%2E%2E/%2E%2E/evil", "a/%2E%2E/%2E%2E/%2E%2E/b", "%2E%2E (item 2)",
         "%2E%2E (item 3)", "x/%2E%2E"),
    ),
    "absolute paths": (
        ("/etc/passwd", "//server/share", "C:\\Windows\\x", "\\\\?\\C:\\x", "~/.ssh/x"),
        ("etc/passwd", "server/share", "C%3A%5CWindows%5Cx", "%5C%5C%3F%5CC%3A%5Cx", "~/.ssh/x"),
    ),
    "duplicate names": (
        ("a.txt", "a.txt", ".//a.txt", "./a.txt", "a.txt/"),
        ("a.txt", "a (item 1).txt", "a (item 2).txt", "a (item 3).txt", "a (item 4).txt"),
    ),
    "case collisions": (
        ("Photo.jpg", "PHOTO.JPG", "straße", "STRASSE", "cafe\u0301", "caf\u00e9", "D/x", "d/X"),
        ("Photo.jpg", "PHOTO (item 1).JPG", "straße", "STRASSE (item 3)", "cafe\u0301",
         "caf\u00e9 (item 5)", "D/x", "D/X (item 7)"),
    ),
    "reserved Windows names": (
        ("CON", "nul.txt", "a/COM1.tar.gz", "LPT\u00b9", "AUX .x", "conin$", "a:stream"),
        ("_CON", "_nul.txt", "a/_COM1.tar.gz", "_LPT\u00b9", "_AUX .x", "_conin$", "a%3Astream"),
    ),
    "trailing dots": (
        ("x.", "x. .", "x ", "...", "d./y", " "),
        ("x%2E", "x%2E%20%2E", "x%20", "%2E%2E%2E", "d%2E/y", "%20"),
    ),
    "a file where a folder is": (("x", "x/y", "x/y/z"), ("x", "x (folder)/y", "")),
    "bytes that are no text": ((b"\xff\xfe", b"../\xff", b"\x1b[2J\xff"), ("%FF%FE", "%2E%2E/%FF",
                                                                        "%1B[2J%FF")),
    "what shows as another": (
        ("\u202egpj.exe", "a\u200bb", "x\0y", "x\ny"),
        ("%E2%80%AEgpj.exe", "a%E2%80%8Bb", "x%00y", "x%0Ay"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", _NAMES)
def test_an_original_name_is_made_harmless(desk: Desk, kind: str) -> None:
    names, expected = _NAMES[kind]
    members = []
    for number, name in enumerate(names):
        fields = {"original_name": name, "path": item_path(number, name)}
        members.append(Member(f"m{number}", b"%d" % number, fields=fields))
    written = desk.opened(desk.forged(*members))
    assert sorted(written.values()) == [b"%d" % number for number in range(len(names))]
    for number, name in enumerate(expected):
        if name:
            assert written[name] == b"%d" % number


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"size": 2**62}, 5),  # no medium has so much room
        ({"size": 2**63 - 1}, 5),
        ({"size": 10**6}, 3),
        ({"offset": 2**62}, 3),
        ({"offset": 2**63 - 1}, 3),
        ({"sha256": bytes(32)}, 3),
        ({"size": 0}, 3),
        ({"size": 2**63}, 3),
        ({"offset": 2**64 - 1}, 3),
        ({"offset": -1}, 3),
        ({"kind": "device"}, 3),
        ({"original_name": ""}, 3),
    ],
)
def test_an_item_that_says_it_lies_where_it_does_not_leaves_nothing(
    desk: Desk, fields: dict[str, Any], code: int
) -> None:
    bundle = desk.forged(Member("x", b"content"), Member("y", b"more", fields=fields | _place(1)))
    before = desk.around()
    told = desk.open(bundle)
    assert told.code == code, told.err
    assert told.err.count("\n") == 1
    assert not desk.out.exists()
    assert desk.around() == before


def test_two_items_may_not_be_told_to_be_one(desk: Desk) -> None:
    # Two items over the same bytes: both are what was sealed, and the bag is not what they make.
    first = Member("x", b"content", fields={"offset": 512})
    second = Member("y", b"content", fields=_place(1) | {"offset": 512})
    bundle = desk.forged(first, second)
    assert set(desk.opened(bundle).values()) == {b"content"}
    told_by_deep(desk, bundle)


# --- the target folder ----------------------------------------------------------------------------


def swap(path: Path, target: Path) -> None:
    """Put a link in the place of a directory."""
    path.rename(path.with_name(f"{path.name}.moved"))
    path.symlink_to(target)


@pytest.mark.parametrize("component", ["out", "out/files", "out/files/deep", "out/files/deep/er"])
def test_a_folder_swapped_for_a_link_while_it_is_opened_leads_nowhere(
    desk: Desk, component: str
) -> None:
    with desk.house.open(MINA) as vault, vault.seal() as writer:
        for number in range(4):
            content = bytes([number]) * 300_000
            writer.add_stream(f"deep/er/{number}", len(content), io.BytesIO(content))
    outside = desk.folder / "outside"
    outside.mkdir()
    (outside / "files").mkdir()
    (outside / "files" / "deep").mkdir()
    (outside / "files" / "deep" / "er").mkdir()
    before = snapshot(outside)
    swapped: list[bool] = []

    def progress(_: object) -> None:
        path = desk.folder / component
        if path.is_dir() and not swapped:
            inside = component.partition("/")[2]
            swap(path, outside / inside)
            swapped.append(True)

    try:
        with desk.house.open(NOOR) as vault:
            extract(vault, writer.id, desk.out, purpose="x", progress=progress)
    except (VaultError, OSError):
        refused = True
    else:
        refused = False
    assert swapped
    assert snapshot(outside) == before
    # Below the top, the next file's folder is a link now, which is not gone through.
    assert refused == (component != "out")


@pytest.mark.parametrize("kind", ["dangling", "to a folder", "to itself"])
def test_a_target_that_is_a_link_is_never_followed(desk: Desk, kind: str) -> None:
    bundle = desk.forged(Member("x", b"content"))
    outside = desk.folder / "outside"
    if kind == "to a folder":
        outside.mkdir()
    desk.out.symlink_to("out" if kind == "to itself" else outside)
    before = snapshot(desk.folder / "outside") if outside.exists() else {}
    told = desk.open(bundle)
    assert (told.code, told.out) == (3, "")
    assert desk.out.is_symlink()
    assert (snapshot(outside) if outside.exists() else {}) == before


# --- links swapped under the vault ----------------------------------------------------------------


def _entries(root: Path) -> list[str]:
    found = [str(path.relative_to(root)) for path in sorted(root.rglob("*"))]
    names = [name for name in found if not name.startswith(("tmp", "lock"))]
    # One fields file stands for all.
    fields = [name for name in names if name.startswith("fields/")]
    return [name for name in names if name not in fields[2:]]


def test_no_directory_or_file_of_a_vault_is_read_or_written_through_a_link(desk: Desk) -> None:
    bundle = desk.house.seal(title="x")
    names = _entries(desk.house.path)
    assert len(names) > 15
    followed = []
    unread = []
    for name in names:
        folder = desk.folder / "copy"
        shutil.copytree(desk.house.path, folder / "vault")
        path = folder / "vault" / name
        path.rename(folder / "away")
        needed = not _is_read(folder / "vault", bundle)
        path.symlink_to(folder / "away")
        # What nothing could be read without can't be read by way of a link.
        assert not needed or not _is_read(folder / "vault", bundle), name
        unread += [] if needed else [name]
        path.unlink()
        (folder / "away").rename(path)
        with House(folder / "vault").open(MINA) as vault:
            vault.read(bundle).close()
            # The same files by way of a link: what they hold is as it was signed.
            away = folder / "away"
            path.rename(away)
            path.symlink_to(away)
            before = snapshot(away) if away.is_dir() else away.read_bytes()
            for act in (
                lambda v: v.refresh(),
                lambda v: v.append("vault.noted", fields={"text": "x"}),
                lambda v: v.read(bundle).open(0).read(),
                lambda v: v.append("bundle.noted", bundle=bundle, fields={"text": "x"}),
            ):
                _try(act, vault)
            now = snapshot(away) if away.is_dir() else away.read_bytes()
            if now != before:
                followed.append(name)
            report = audit(folder / "vault")
            replaced = not path.is_symlink()  # a partial tile or checkpoint that was written anew
            assert replaced or report.verdict == "altered" or _superseded(name, report), name
        shutil.rmtree(folder)
    assert followed == []
    assert len(unread) < len(names) / 2


def _is_read(path: Path, bundle: bytes) -> bool:
    try:
        with House(path).open(MINA) as vault, vault.read(bundle) as reading:
            reading.open(0).read()
    except (VaultError, OSError):
        return False
    return True


def _try(act: Callable[[Vault], object], vault: Vault) -> None:
    with suppress(VaultError, OSError):
        act(vault)


def _superseded(name: str, report: Any) -> bool:
    return ".p/" in name and report.verdict == "intact"
