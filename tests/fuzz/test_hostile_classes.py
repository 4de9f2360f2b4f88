"""Hostile input by its classes, each driven from end to end.

Either somebody with a custodian's keys seals what no writer of ours would, and an honest reader
opens it; or a hostile file is given to the verb that reads such. The verdict is always the same: a
typed error, or one sentence with an exit code from 0 to 5; nothing written outside of the folder
that was asked for, nothing half-written left.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.conftest import Outcome, call
from tests.fuzz.hostile import (
    HOSTILE,
    PIECES,
    Member,
    forged_bundle,
    hostile_item,
    in_child,
    misleading,
    said_everywhere,
    snapshot,
)
from tests.log.notes import forge, place_of
from tests.log.notes import note as note_event
from tests.rooms.house import HANDOVER, KAI, MINA, NAMES, NOOR, NOW, OWNER, House, build, person
from vault import Identity, MemoryStore, Vault, age, audit
from vault.bag import item_path
from vault.bundle.items import parse_item
from vault.codec import pack, unpack, unpack_sequence
from vault.destruction import approve_destruction, destroy, request_destruction
from vault.errors import FormatError, VaultError
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    FieldsHeader,
    kinds,
    parse_event,
    parse_fields_file,
)
from vault.extracting import extract
from vault.handover import accept, assume, decline, interrupt, recall, release
from vault.identity import CARD_ORIGIN, format_card, format_identity_file
from vault.membership import admit, grant_history, remove
from vault.rekeying import confirm, prune, rekey, shred
from vault.terms import lift_hold, place_hold
from vault.tlog import note
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint

PASSPHRASE: Final = b"of a test"


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EVAULT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVAULT_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(folder / "vault")
    (folder / "pass").write_bytes(PASSPHRASE + b"\n")
    for name, who in (("noor", NOOR), ("mina", MINA), ("owner", OWNER)):
        (folder / f"{name}.age").write_bytes(format_identity_file(who, PASSPHRASE, 4))
    return folder


@dataclass(frozen=True, slots=True)
class Desk:
    """A vault, in a folder of which nothing may change but the vault and what is written."""

    folder: Path

    @property
    def house(self) -> House:
        return House(self.folder / "vault")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def forged(self, *members: Member) -> bytes:
        """Let Mina, a custodian, seal a forged bundle."""
        with self.house.open(MINA) as vault:
            return forged_bundle(vault, members)

    def around(self) -> dict[str, Any]:
        """Return all that is beside the vault and what is written."""
        return {
            name: entry
            for name, entry in snapshot(self.folder).items()
            if name.partition("/")[0] not in ("vault", "out", "home")
        }

    def evault(self, *arguments: object, who: str = "noor") -> Outcome:
        if arguments[:1] == ("doctor",):
            return call(*arguments)  # which takes no identity
        unlocked = ("-i", self.folder / f"{who}.age", "--passphrase-file", self.folder / "pass")
        return call(*arguments, *unlocked)

    def open(self, bundle: bytes, *more: object) -> Outcome:
        """Open a bundle by the command line, as Noor, who reads."""
        with self.house.open() as vault:
            told = ("--vault-id", vault.id.hex())
        where = (self.house.path, bundle.hex(), "-o", self.out)
        return self.evault("open", *where, "--purpose", "x", *told, *more)

    def opened(self, bundle: bytes) -> dict[str, bytes]:
        """Open a bundle; check that only plain files came of it, and nothing beside it."""
        before = self.around()
        told = self.open(bundle)
        assert told.code == 0, told.err
        assert self.around() == before
        for path in self.out.rglob("*"):
            status = path.lstat()
            assert stat.S_ISDIR(status.st_mode) or (
                stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            )
        record = json.loads((self.out / "record.json").read_bytes())
        written = {
            str(path.relative_to(self.out / "files")): path.read_bytes()
            for path in (self.out / "files").rglob("*")
            if path.is_file()
        }
        named = [one["written"].removeprefix("files/") for one in record["items"]]
        assert sorted(named) == sorted(written)
        return written

    def refused(self, bundle: bytes, code: int = 3) -> str:
        """Check that a bundle is not opened, with nothing left and nothing recorded."""
        before, size = self.around(), self.house.open().size
        told = self.open(bundle)
        assert told.code == code, told.err
        assert (told.err.count("\n"), told.out) == (1, "")
        assert not self.out.exists()
        assert self.around() == before
        assert self.house.open().size == size
        with self.house.open(NOOR) as vault, pytest.raises((VaultError, OSError)):
            extract(vault, bundle, self.out, purpose="x")
        assert not self.out.exists()
        return told.err


@pytest.fixture
def desk(_built: Path, tmp_path: Path) -> Desk:
    shutil.copytree(_built, tmp_path / "desk")
    return Desk(tmp_path / "desk")


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
    for name in names:
        folder = desk.folder / "copy"
        shutil.copytree(desk.house.path, folder / "vault")
        path = folder / "vault" / name
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


def _try(act: Callable[[Vault], object], vault: Vault) -> None:
    with suppress(VaultError, OSError):
        act(vault)


def _superseded(name: str, report: Any) -> bool:
    return ".p/" in name and report.verdict == "intact"


# --- parsers --------------------------------------------------------------------------------------

_UNPACK: Final = "from vault.codec import unpack\nfrom vault.errors import FormatError\ndata = "
_BOMBS: Final = {
    "maps": 'b"\\xdc\\x0f\\xff" + (b"\\xdc\\x10\\x00" + b"\\x80" * 4096) * 4095',
    "texts": 'b"\\xdc\\x05\\x54" + (b"\\xdc\\x10\\x00" + b"\\xa2ab" * 4096) * 1364',
    "pairs": 'b"\\xdc\\x05\\x54" + (b"\\xdc\\x10\\x00" + b"\\x81\\xa0\\xa0" * 4096) * 1364',
    "integers": 'b"\\xdc\\x03\\x00" + (b"\\xdc\\x10\\x00" + b"\\xce\\xff\\0\\0\\0" * 4096) * 768',
    "depth": 'b"\\x91" * 16_000_000',
    "depth of maps": 'b"\\x81\\xa0" * 8_000_000',
    "a huge array": 'b"\\xdd\\xff\\xff\\xff\\xff"',
    "a huge map": 'b"\\xdf\\xff\\xff\\xff\\xff"',
    "a huge text": 'b"\\xdb\\xff\\xff\\xff\\xff"',
    "a huge binary": 'b"\\xc6\\xff\\xff\\xff\\xff" + bytes(1000)',
    "a huge extension": 'b"\\xc9\\xff\\xff\\xff\\xff\\x01"',
    "huge within huge": 'b"\\xdc\\x10\\x00" * 4096',
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_msgpack_bomb_is_refused_in_256_mebibytes_and_two_seconds(bomb: str) -> None:
    verdict, mebibytes, seconds = in_child(f"{_UNPACK}{_BOMBS[bomb]}", "unpack(data)")
    assert verdict == "FormatError"
    assert mebibytes < 256
    assert seconds < 2


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("a key twice", b"\x82\xa1a\x01\xa1a\x01"),
        ("keys out of order", b"\x82\xa1b\x01\xa1a\x01"),
        ("a key that is no text", b"\x81\x01\x01"),
        ("a long form of an integer", b"\xcc\x01"),
        ("a longer one", b"\xcf\0\0\0\0\0\0\0\x01"),
        ("a signed form of what is not negative", b"\xd0\x01"),
        ("a long form of a text", b"\xd9\x01a"),
        ("a long form of an array", b"\xdc\0\0"),
        ("a long form of a map", b"\xde\0\0"),
        ("a long form of binary", b"\xc5\0\x01a"),
        ("nil", b"\xc0"),
        ("a float", b"\xcb" + bytes(8)),
        ("an extension", b"\xd4\x01\x01"),
        ("a time", b"\xd6\xff" + bytes(4)),
        ("no UTF-8", b"\xa1\xff"),
        ("a surrogate", b"\xa3\xed\xa0\x80"),
        ("what is never used", b"\xc1"),
        ("nine containers deep", b"\x91" * 8 + b"\x90"),
        ("cut short", b"\x92\x01"),
    ],
)
def test_an_event_or_fields_of_no_canonical_form_are_refused(kind: str, data: bytes) -> None:
    header = FieldsHeader(bytes(32), "vault.noted", bytes(32), None)
    parsers: tuple[Callable[[], object], ...] = (
        lambda: unpack(data),
        lambda: parse_event(data),
        lambda: parse_event(pack({"body": data, "sig": bytes(64)})),
        lambda: parse_fields_file(data.ljust(4096, b"\0"), header),
        lambda: parse_item(0, unpack(data)),
        lambda: list(unpack_sequence(io.BytesIO(data), max_value=2**20)),
    )
    for parse in parsers:
        with pytest.raises(FormatError):
            parse()


# --- the log --------------------------------------------------------------------------------------


def _sentence(told: Outcome, codes: set[int]) -> None:
    """Check that a call ended as calls may: with such an exit code, and in words of one line."""
    assert told.code in codes, (told.code, told.out, told.err)
    assert not misleading(told.out + told.err)
    if told.code > 1:
        assert (told.err.count("\n"), told.out) == (1, "")


def _looked_at(desk: Desk, *, looking: set[int]) -> None:
    """Check that an audit tells a vault from a sound one, and what each verb that looks makes of
    it: none is a fault of the software.
    """
    _sentence(desk.evault("verify", desk.house.path), {1})
    _sentence(desk.evault("verify", desk.house.path, "--deep", "--json"), {1})
    for verb in (("list",), ("show",), ("custody", "--all")):
        _sentence(desk.evault(verb[0], desk.house.path, *verb[1:]), looking)


_SIZES: Final = {
    "2^63": str(2**63),
    "2^64": str(2**64),
    "2^64 and some, which would wrap": str(2**64 + 9),
    "a thousand digits": "9" * 1000,
    "ten thousand digits": "1" + "0" * 10_000,
    "a leading zero": "09",
    "a sign": "+9",
    "negative": "-9",
    "a space": " 9",
    "an underscore": "1_0",
    "digits of another script": "\u0669",
    "hexadecimal": "0x9",
    "a fraction": "9.0",
    "an exponent": "9e0",
    "nothing": "",
}


def _checkpoint(desk: Desk) -> tuple[Path, list[str]]:
    path = desk.house.path / "log/checkpoint"
    return path, path.read_text().split("\n")


@pytest.mark.parametrize("kind", _SIZES)
def test_a_tree_size_that_is_no_plain_number_is_refused(desk: Desk, kind: str) -> None:
    path, lines = _checkpoint(desk)
    sound = path.read_bytes()
    path.write_text("\n".join([lines[0], _SIZES[kind], *lines[2:]]))
    shutil.copy(path, desk.folder / "kept")
    _looked_at(desk, looking={3})
    path.write_bytes(sound)
    _sentence(desk.evault("verify", desk.house.path, "--checkpoint", desk.folder / "kept"), {3})


@pytest.mark.parametrize("size", [2**63 - 1, 2**53, 2**40, 257])
def test_a_tree_size_that_was_made_up_costs_neither_time_nor_memory(desk: Desk, size: int) -> None:
    with desk.house.open() as vault:
        head = Checkpoint(vault.state.origin, size, vault.root)
    (desk.house.path / "log/checkpoint").write_bytes(sign_checkpoint(head, OWNER))
    place = str(desk.house.path)
    prepare = "from vault import Vault, audit\nfrom vault.errors import VaultError"
    for call_, verdict in (
        (f"Vault.open({place!r})", {"VerificationError", "FormatError"}),
        (f"assert audit({place!r}).verdict != 'intact'", {"accepted"}),
    ):
        found, mebibytes, seconds = in_child(prepare, call_, "VaultError")
        assert found in verdict
        assert mebibytes < 256
        assert seconds < 2


@pytest.mark.parametrize(
    "inject",
    [
        lambda lines: [lines[0], lines[1], lines[2], "injected", *lines[3:]],
        lambda lines: [lines[0], *lines],
        lambda lines: [f"{lines[0]}\r", *lines[1:]],
        lambda lines: [f"{lines[0]}\u2028{lines[1]}", *lines[1:]],
        lambda lines: [f"{lines[0]}\x85", *lines[1:]],
        lambda lines: [f"{lines[0]}\0", *lines[1:]],
        lambda lines: [f"{lines[0]} ", *lines[1:]],
        lambda lines: [f"{lines[0]}+x", *lines[1:]],
        lambda lines: ["", *lines],
        lambda lines: [*lines[:3], "", *lines[3:]],
        lambda lines: [*lines[:4], "\u2014 injected\n", *lines[4:]],
        lambda lines: [*lines[:4], "\u2014 x\x1b[2J AAAAAAAA", *lines[4:]],
        lambda lines: [*lines[:4], lines[4], *lines[4:]],
        lambda lines: [*lines, "more", ""],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:4], *[lines[4]] * 65, ""],
    ],
)
def test_a_line_injected_into_a_note_is_refused(desk: Desk, inject: Any) -> None:
    path, lines = _checkpoint(desk)
    path.write_bytes("\n".join(inject(lines)).encode())
    shutil.copy(path, desk.folder / "kept")
    _looked_at(desk, looking={3})


_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _bits(text: str) -> str:
    """Set a bit of base64 that stands for nothing."""
    stem, pad = text.rstrip("="), len(text) - len(text.rstrip("="))
    return stem[:-1] + _ALPHABET[_ALPHABET.index(stem[-1]) ^ 1] + "=" * pad


@pytest.mark.parametrize(
    "spoil",
    [
        _bits,
        lambda text: text.rstrip("="),
        lambda text: f"{text}=",
        lambda text: f"{text}====",
        lambda text: f"{text[:8]} {text[8:]}",
        lambda text: f"{text[:8]}\t{text[8:]}",
        lambda text: f"{text[:8]}={text[9:]}",
        lambda text: f"-_{text[2:]}",
        lambda text: f"\uff21{text[1:]}",
        lambda text: f"{text[:8]}\0{text[8:]}",
        lambda text: text + text,
        lambda text: "",
    ],
)
def test_base64_that_is_not_canonical_is_refused(desk: Desk, spoil: Any) -> None:
    path, lines = _checkpoint(desk)
    path.write_bytes("\n".join([*lines[:2], spoil(lines[2]), *lines[3:]]).encode())
    _looked_at(desk, looking={3})
    name, _, signature = lines[4].rpartition(" ")
    path.write_bytes("\n".join([*lines[:4], f"{name} {spoil(signature)}", *lines[5:]]).encode())
    _looked_at(desk, looking={3})


def _resigned(who: Identity, old: str, new: str) -> bytes:
    """Return a card with a text changed, which its owner signed as it is."""
    text = format_card(who, "Eve", datetime.date(2026, 3, 1)).decode().partition("\n\n")[0] + "\n"
    assert old in text
    text = text.replace(old, new, 1)
    key_id = note.key_id(CARD_ORIGIN, note.ED25519, who.ed25519)
    signature = base64.b64encode(key_id + who.sign_ed25519(text.encode())).decode()
    return f"{text}\n\u2014 {CARD_ORIGIN} {signature}\n".encode()


_EVE: Final = person(66)
_AGE: Final = _EVE.keys.recipient.to_string()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name Eve", "name Eve\nname Owner"),
        ("name Eve", "name Eve\ncreated 2020-01-01"),
        ("name Eve", "name Eve\r"),
        ("name Eve", "name Eve\x1b[2J"),
        ("name Eve", "name \u202eevE"),
        ("name Eve", "name \u2028Eve"),
        ("name Eve", "name "),
        ("name Eve", "name  Eve"),
        ("name Eve", "name " + "E" * 121),
        ("created 2026-03-01", "created 2026-3-1"),
        ("created 2026-03-01", "created 20260301"),
        ("created 2026-03-01", "created 2026-02-30"),
        ("created 2026-03-01", "created 10000-01-01"),
        ("created 2026-03-01", "created \u0662026-03-01"),
        (f"age {_AGE}", f"age {_AGE.upper()}"),
        (f"age {_AGE}", f"age {_AGE[:-1]}{_AGE[-1].upper()}"),
        (f"age {_AGE}", f"age {_AGE[:-1]}{'q' if _AGE[-1] != 'q' else 'p'}"),
        (f"age {_AGE}", f"age {_AGE[:-9]}"),
        (f"age {_AGE}", "age age1"),
        ("ml-dsa-44 ", "ml-dsa-44  "),
        ("ed25519-proof ", "ed25519-proof ="),
    ],
)
def test_a_card_in_any_other_than_its_one_form_admits_nobody(
    desk: Desk, old: str, new: str
) -> None:
    (desk.folder / "eve.card").write_bytes(_resigned(_EVE, old, new))
    before = desk.house.files()
    with desk.house.open() as vault:
        told = ("--vault-id", vault.id.hex())
    who = (desk.folder / "eve.card", "--role", "reader", "--checked", "read aloud")
    _sentence(desk.evault("admit", desk.house.path, *who, *told, who="owner"), {3})
    assert desk.house.files() == before


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda text: text[:-2] + text[-2].lower() + text[-1],
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: text + text,
        lambda text: text.replace("# ", "#"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("EVAULT-SECRET-1", "EVAULT-SECRET-11"),
        lambda text: "x" * 5000,
        lambda text: "",
    ],
)
def test_an_identity_in_any_other_than_its_one_form_unlocks_nothing(
    desk: Desk, change: Any
) -> None:
    sound = format_identity_file(NOOR, PASSPHRASE, 4)
    plain = age.decrypt_bytes(age.parse_armor(sound), [age.ScryptIdentity(PASSPHRASE)])
    spoilt = change(plain.decode())
    assert spoilt.encode() != plain
    recipient = age.ScryptRecipient(PASSPHRASE, 4)
    data = age.format_armor(age.encrypt_bytes(spoilt.encode(), [recipient]))
    (desk.folder / "eve.age").write_bytes(data)
    _sentence(desk.evault("list", desk.house.path, who="eve"), {3})


def _tile(desk: Desk, kind: str) -> Path:
    """Return the newest partial tile; those that it superseded are gone."""
    found = sorted((desk.house.path / "log/tile" / kind).rglob("*.p/*"), key=lambda p: int(p.name))
    for older in found[:-1]:
        older.unlink()
    return found[-1]


@pytest.mark.parametrize("kind", ["0", "entries"])
@pytest.mark.parametrize(
    "change",
    ["wider name", "narrower name", "cut", "longer", "leading zero", "256", "257", "0", "no width"],
)
def test_a_partial_tile_whose_width_is_not_that_of_its_name_is_found(
    desk: Desk, kind: str, change: str
) -> None:
    path = _tile(desk, kind)
    data, width = path.read_bytes(), int(path.name)
    path.unlink()
    names = {"wider name": f"{width + 1}", "narrower name": f"{width - 1}", "256": "256",
             "leading zero": f"0{width}", "257": "257", "0": "0"}  # fmt: skip
    content = {"cut": data[:-1], "longer": data + data}.get(change, data)
    path.with_name(names.get(change, path.name)).write_bytes(content)
    if change == "no width":
        shutil.rmtree(path.parent)
        path.parent.with_suffix("").write_bytes(data)
    _looked_at(desk, looking={0, 3} if kind == "0" else {3})


def _forged(desk: Desk, build: Callable[[Any], list[Any]], signer: Identity = OWNER) -> None:
    """Append leaves as they are, in a sound tree under a sound checkpoint."""
    store = MemoryStore(desk.house.files())
    forge(store, signer, build)
    for name, _ in store.list():
        path = desk.house.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(name))


def _raw(log: Any, actor: Identity = OWNER, **changes: Any) -> bytes:
    """Return a signed leaf whose body has any values, parsed by nobody."""
    values = unpack(note_event(actor)(place_of(log)).body)
    assert isinstance(values, dict)
    body = pack({name: one for name, one in {**values, **changes}.items() if one is not None})
    return pack({"body": body, "sig": actor.sign_ed25519(EVENT_LABEL + body)})


@pytest.mark.parametrize("kind", ["as it is", "signed anew", "its genesis", "without a vault"])
def test_an_event_of_another_vault_replayed_is_found(desk: Desk, kind: str, tmp_path: Path) -> None:
    other = build(tmp_path / "other")
    with desk.house.open(OWNER) as here, other.open(OWNER) as there:
        while there.size <= here.size:
            there.append("vault.noted", fields={"text": "there"})
        foreign = there.id
        replayed = [there.event(here.size).leaf, there.event(0).leaf]
    leaves: dict[str, Callable[[Any], bytes]] = {
        "as it is": lambda _: replayed[0],
        "its genesis": lambda _: replayed[1],
        "signed anew": lambda log: _raw(log, vault=foreign),
        "without a vault": lambda log: _raw(log, vault=None),
    }
    _forged(desk, lambda log: [leaves[kind](log)])
    _looked_at(desk, looking={0, 3})


@pytest.mark.parametrize(
    "seq", [0, 1, "again", "next", "far", 2**53 - 1, 2**53, 2**63, 2**64 - 1, -1, True]
)
def test_a_gap_in_seq_is_found(desk: Desk, seq: Any) -> None:
    def number(log: Any) -> Any:
        return {"again": log.size - 1, "next": log.size + 1, "far": 10**9}.get(seq, seq)

    _forged(desk, lambda log: [_raw(log, seq=number(log))])
    _looked_at(desk, looking={0, 3})


_LAST: Final = 253402300799


@pytest.mark.parametrize("time", [_LAST + 1, 10**15, 10**18, 2**63 - 1, 2**64 - 1, -1])
def test_a_time_that_no_calendar_has_is_found(desk: Desk, time: int) -> None:
    _forged(desk, lambda log: [_raw(log, time=time)])
    _looked_at(desk, looking={3})


@pytest.mark.parametrize("time", [0, NOW + 86_400 * 3650, _LAST])
def test_a_time_in_the_future_or_long_ago_is_shown_as_it_was_claimed(desk: Desk, time: int) -> None:
    bundle = desk.house.seal(title="x")
    desk.house.time[:] = [time]
    with desk.house.open(MINA) as vault:
        release(vault, [bundle], KAI.ed25519, expires=2**63 - 1, fields=HANDOVER)
        vault.append("bundle.noted", bundle=bundle, fields={"text": "x"})
    assert audit(desk.house.path).verdict == "intact"
    for verb in (("list",), ("show",), ("custody", "--all"), ("verify", "--deep")):
        for more in ((), ("--json",)):
            told = desk.evault(verb[0], desk.house.path, *verb[1:], *more)
            assert told.code == 0, told.err
    assert desk.evault("show", desk.house.path, bundle.hex()).code == 0


# --- what is printed ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, set[tuple[str, str]]]:
    """A vault with every type of event, each of which says hostile text wherever it can.

    Its own place is called so too.
    """
    folder = tmp_path_factory.mktemp("talking")
    desk, said = Desk(folder), set[tuple[str, str]]()
    names = dict.fromkeys(NAMES, f"Eve \u200b\U000e0041\u3164{PIECES['markup']}")
    with said_everywhere(said), pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.rooms.house.NAMES", names)
        build(folder / "vault")
        everything(desk)
    (folder / "pass").write_bytes(PASSPHRASE + b"\n")
    for name, who in (("noor", NOOR), ("mina", MINA), ("owner", OWNER)):
        (folder / f"{name}.age").write_bytes(format_identity_file(who, PASSPHRASE, 4))
    with desk.house.open() as vault:
        assert {vault.event(seq).type for seq in range(vault.size)} == set(EVENT_TYPES)
    return desk, said


def everything(desk: Desk) -> None:
    """Do all that can be done in a vault."""

    def does(who: Identity, verb: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        with desk.house.open(who) as vault:
            return verb(vault, *arguments, **more)

    def wrote(vault: Vault, name: str, bundle: bytes | None = None, **data: Any) -> Any:
        return vault.append(name, bundle=bundle, data=data)

    def filed(vault: Vault, name: str, bundle: bytes | None = None, **data: Any) -> Any:
        digest = hashlib.sha256(name.encode()).digest()
        key = "receipt" if name == "custody.receipted" else "file"
        drafted = vault.draft(
            name,
            bundle=bundle,
            data={**data, key: (digest, len(name))},
            files={f"foreign/{digest.hex()}": name.encode()},
        )
        return vault.commit(lambda: [drafted])

    def sealed(who: Identity) -> bytes:
        with desk.house.open(who) as vault, vault.seal() as writer:
            item = hostile_item()
            name = item.pop("original_name", None)
            assert name is None  # a file name is no text by its kind
            for name in (HOSTILE, f"x/{PIECES['bidirectional']}", b"\xff\x1b[2J", "x"):
                writer.add_stream(name, 4, io.BytesIO(b"seen"), fields=item)
            absent = {"original_name": HOSTILE, "kind": "omitted", "omitted_because": HOSTILE}
            writer.add_absent({**item, **absent})
        return writer.id

    first, second, third = sealed(MINA), sealed(MINA), sealed(KAI)
    why = {"authority": "x", "reason": "x"}
    does(MINA, release, [first, second], KAI.ed25519, fields=HANDOVER | {"authority": "x"})
    does(KAI, accept, [first], fields=HANDOVER)
    does(KAI, decline, [second], reason="x")
    does(MINA, release, [second], KAI.ed25519, fields=HANDOVER | {"authority": "x"})
    does(MINA, recall, [second], reason="x")
    does(KAI, interrupt, [first], cause="seized", reason="x")
    does(OWNER, assume, [first], **why)
    does(MINA, wrote, "consent.recorded", second)
    does(MINA, place_hold, [second], **why)
    does(MINA, lift_hold, [second], **why)
    does(MINA, wrote, "bundle.noted", second)
    does(MINA, wrote, "bundle.checked", second, result="altered")
    does(MINA, wrote, "bundle.disclosed", second, kind="disclosure")
    does(MINA, filed, "custody.receipted", second)
    with desk.house.open(MINA) as vault:
        size, root = vault.size, vault.root
    does(MINA, filed, "checkpoint.attested", size=size, root=root, kind="rfc3161")
    does(NOOR, wrote, "bundle.opened", second)
    does(NOOR, wrote, "vault.noted")
    does(NOOR, wrote, "recovery.drilled")
    policy = {"clock": 1, "two_person_destroy": False}
    does(OWNER, wrote, "vault.policy", policy=policy)
    does(OWNER, wrote, "vault.upgraded", version=1)
    does(KAI, request_destruction, third)
    with desk.house.open(OWNER) as vault:
        request = vault.state.bundles[third].request
    assert request is not None
    does(OWNER, approve_destruction, third, request[0])
    does(KAI, destroy, third)
    with desk.house.open(OWNER) as vault:
        remove(vault, vault.state.members[KAI.ed25519], cause="lost", doubtful_from=vault.size - 3)
        admit(vault, person(7).card("Late", datetime.date(2026, 3, 1)), ("reader",), history=False)
    with desk.house.open(MINA) as vault:
        assert grant_history(vault, vault.state.members[person(7).ed25519]).epochs
    does(OWNER, lambda vault: shred(vault, next(iter(vault.state.epochs))))
    does(NOOR, rekey)
    does(MINA, confirm)
    does(MINA, prune)
    does(OWNER, lambda vault: shred(vault, next(iter(vault.state.epochs))))


def _told(told: Outcome, codes: set[int]) -> None:
    assert told.code in codes, (told.code, told.err)
    assert misleading(told.out) == []
    assert misleading(told.err) == []


def test_every_text_of_every_type_of_event_is_hostile_there(talking: Any) -> None:
    _, said = talking
    texts = {
        (name, key.name)
        for name, one in EVENT_TYPES.items()
        for key in one.fields
        if key.kind in (kinds.TEXT, kinds.TEXTS)
    }
    assert len(texts) > 200
    assert texts <= said
    # The only other kinds that hold text are names of files, times, and choices from a list.
    others = {key.kind for one in EVENT_TYPES.values() for key in one.fields} - {
        kinds.TEXT,
        kinds.TEXTS,
        kinds.TIME,
        kinds.BOOL,
        kinds.UINT,
    }
    assert all(kind.about.startswith("one of ") for kind in others)


@pytest.mark.parametrize("who", ["noor", "mina", ""])
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_nothing_that_is_looked_at_acts_on_who_looks(
    talking: Any, who: str, json_: tuple[str, ...]
) -> None:
    desk, _ = talking
    place = desk.house.path
    with desk.house.open() as vault:
        bundles = [bundle.hex() for bundle in vault.state.bundles]

    def look(verb: str, *more: object) -> Outcome:
        if who:
            return desk.evault(verb, place, *more, *json_, who=who)
        return call(verb, place, *more, *json_)

    _told(look("list"), {0})
    _told(look("show"), {0})
    _told(look("custody", "--all"), {0})
    _told(look("verify"), {0})
    for bundle in bundles:
        _told(look("show", bundle), {0})
        _told(look("custody", bundle), {0})
    if who:
        _told(look("verify", "--deep"), {0, 1})
    else:
        _told(look("show", "--as-seized"), {0})


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_opening_prints_no_name_as_it_is(talking: Any, tmp_path: Path, json_: Any) -> None:
    desk, _ = talking
    shutil.copytree(desk.folder, tmp_path / "desk")
    here = Desk(tmp_path / "desk")
    with here.house.open() as vault:
        bundle = next(one.id for one in vault.state.bundles.values() if one.destroyed is None)
    _told(here.open(bundle, "--authority", HOSTILE.replace("\0", ""), *json_), {2})
    more = ("--authority", "a court", *json_)
    _told(here.open(bundle, *more), {0})
    record = (here.out / "record.json").read_bytes()
    assert record.isascii()
    names = [os.fsdecode(os.fsencode(path.name)) for path in here.out.rglob("*")]
    assert misleading("".join(names)) == []
    shutil.rmtree(here.out)
    _told(here.open(bundle, "--unrecorded", *more), {0})
    assert misleading((here.out / "access-record.txt").read_text("utf-8")) == []


_PATHS: Final = {kind: text.replace("\0", "").replace("/", "") for kind, text in PIECES.items()}


@pytest.mark.parametrize("kind", [*_PATHS, "no text"])
def test_errors_name_hostile_files_and_places_harmlessly(desk: Desk, kind: str) -> None:
    text = _PATHS.get(kind, os.fsdecode(b"\xff\x9b31m\xfe"))
    there = desk.folder / f"{text}there"
    there.write_bytes(b"neither card nor identity nor vault")
    shutil.copytree(desk.house.path, desk.folder / f"{text}vault")
    (desk.folder / f"{text}folder").mkdir()
    os.mkfifo(desk.folder / f"{text}fifo")
    (desk.folder / f"{text}link").symlink_to(text)
    with desk.house.open() as vault:
        told = ("--vault-id", vault.id.hex())
    vault_, missing = desk.folder / f"{text}vault", desk.folder / f"{text}missing"
    commands: list[tuple[object, ...]] = [
        ("show", missing),
        ("list", there),
        ("verify", missing),
        ("verify", desk.folder / f"{text}folder"),
        ("show", vault_),
        ("show", vault_, text),
        ("open", vault_, text, "-o", there, "--purpose", "x", *told),
        ("verify", vault_, "--checkpoint", there),
        ("verify", vault_, "--checkpoint", missing),
        ("verify", vault_, "--history", there),
        ("verify", vault_, "--vault-id", text),
        ("admit", vault_, there, "--role", "reader", "--checked", "x", *told),
        ("admit", vault_, missing, "--role", "reader", "--checked", "x", *told),
        ("admit", vault_, there, "--role", text, "--checked", "x", *told),
        ("release", vault_, text, "--to", text, "--place", text, "--condition", text),
        ("seal", vault_, missing, *told),
        ("seal", vault_, there, "--title", text, "--field", f"{text}=x", *told),
        ("seal", vault_, there, "--field", text, *told),
        ("seal", vault_, there, "--fields", there, *told),
        ("seal", vault_, desk.folder / f"{text}fifo", *told),
        ("seal", vault_, desk.folder / f"{text}link", *told),
        ("seal", vault_, desk.folder / f"{text}fifo", there, "--skip-unreadable", *told),
        ("seal", vault_, there, "--media-hash", f"{text}:{text}", *told),
        ("note", vault_, text, *told),
        ("init", there, "--reader", "me"),
        ("init", desk.folder / f"{text}new", "--reader", there),
        ("card", "-o", there, "--name", text),
        ("identity", "new", "-o", there),
        ("identity", "show"),
        ("doctor", missing),
        ("doctor", vault_),
        (text,),
        ("show", f"--{text}"),
        ("show", "--passphrase-fd", text, vault_),
    ]
    for command in commands:
        _told(desk.evault(*command), {0, 1, 2, 3, 4, 5})
    (desk.folder / f"{text}.age").write_bytes(b"x")
    for name in (f"{text}.age", f"{text}missing", f"{text}folder"):
        unlocked = ("-i", desk.folder / name, "--passphrase-file", desk.folder / "pass")
        _told(call("list", vault_, *unlocked), {2, 3, 4, 5})
        wrong = ("-i", desk.folder / "noor.age", "--passphrase-file", desk.folder / name)
        _told(call("list", vault_, *wrong), {2, 3, 4, 5})
        home = {"EVAULT_HOME": str(desk.folder / name)}
        _told(call("list", vault_, env=home), {0, 2, 3, 4, 5})


@pytest.mark.parametrize("kind", [*_PATHS, "no text"])
def test_findings_name_hostile_files_harmlessly(desk: Desk, kind: str) -> None:
    text = _PATHS.get(kind, os.fsdecode(b"\xff\x9b31m\xfe"))
    for where in ("", "log", "log/tile", "log/tile/0", "bundles", "fields", "keys", "foreign"):
        folder = desk.house.path / where
        folder.mkdir(exist_ok=True)
        (folder / f"{text}file").write_bytes(b"x")
        (folder / f"{text}folder").mkdir()
        (folder / f"{text}folder" / text).write_bytes(b"x")
        (folder / f"{text}link").symlink_to(text)
        os.mkfifo(folder / f"{text}fifo")
    for more in ((), ("--json",), ("--deep",), ("--deep", "--json")):
        _told(desk.evault("verify", desk.house.path, *more), {0, 1})
    for verb in (("list",), ("show",), ("custody", "--all"), ("doctor",)):
        _told(desk.evault(verb[0], desk.house.path, *verb[1:]), {0, 1, 3, 5})


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc80x", "\ud83d\ude00"])
def test_a_lone_surrogate_is_written_nowhere(desk: Desk, text: str) -> None:
    before = desk.house.files()
    with desk.house.open(MINA) as vault:
        for fields in ({"text": text}, {"subject": text}, {"own": (text,)}, {f"own{text}": "x"}):
            with pytest.raises((ValueError, FormatError)):
                vault.append("vault.noted", fields=fields)
        with pytest.raises((ValueError, FormatError)), vault.seal({"title": text}) as writer:
            writer.add_stream("x", 1, io.BytesIO(b"x"))
        with pytest.raises((ValueError, FormatError)), vault.seal() as writer:
            writer.add_stream(text, 1, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="name"):
        MINA.card(text, datetime.date(2026, 3, 1))
    assert desk.house.files() == before
