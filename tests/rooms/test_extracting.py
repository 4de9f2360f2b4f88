"""Opening a bundle into a folder."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from vault import Progress, Vault, check_access_record
from vault.errors import (
    CustodyError,
    DigestMismatchError,
    NoIdentityMatchError,
    NoSpaceError,
    NotFoundError,
    PayloadError,
    StateError,
)
from vault.extracting import extract, json_value
from vault.extracting.folder import NewFolder
from vault.layout import part_name

FILES = (("top/a.txt", b"content"), (b"top/caf\xe9", b""), ("../../evil", b"x" * 100))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_items_are_written_under_safe_names_with_a_record(place: Any, tmp_path: Path) -> None:
    bundle = place.seal(*FILES, title="T\u202e")
    out = tmp_path / "out"
    vault = place.open(place.reader)
    found = extract(vault, bundle, out, purpose="hearing")
    assert (found.path, found.size, found.recorded) == (str(out), 107, True)
    files = tree(out)
    record = json.loads(files.pop("record.json"))
    assert files == {
        "files/top/a.txt": b"content",
        "files/top/caf%E9": b"",
        "files/%2E%2E/%2E%2E/evil": b"x" * 100,
    }
    assert os.listdir(tmp_path) == ["out"]
    assert record["bundle"] == bundle.hex()
    assert record["fields"]["title"] == "T\u202e"
    assert record["sealed_at"] == "2026-05-28T20:26:40Z"
    assert record["items"][1]["fields"]["original_name"] == {"hex": b"top/caf\xe9".hex()}
    assert record["items"][2]["written"] == "files/%2E%2E/%2E%2E/evil"
    assert record["items"][2]["renamed_because"] == ["parent"]
    assert record["items"][0]["fields"]["sha256"] == hashlib.sha256(b"content").hexdigest()
    opened = vault.event(vault.size - 1)
    assert opened.type == "bundle.opened"
    assert vault.fields(opened)["purpose"] == "hearing"


def test_files_are_private_and_the_record_is_ascii(place: Any, tmp_path: Path) -> None:
    bundle = place.seal(("a/گواہی", b"x"))
    extract(place.open(place.reader), bundle, tmp_path / "out", purpose="x")
    assert (tmp_path / "out/record.json").read_bytes().isascii()
    for path in (tmp_path / "out").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600)


def test_chosen_items_alone_are_written_and_recorded(place: Any, tmp_path: Path) -> None:
    bundle = place.seal(*FILES)
    vault = place.open(place.reader)
    found = extract(vault, bundle, tmp_path / "out", items=[2, 0, 2], purpose="x")
    assert [item.number for item in found.items] == [0, 2]
    record = json.loads((tmp_path / "out/record.json").read_bytes())
    assert [item["number"] for item in record["items"]] == [0, 2]
    assert record["items_sealed"] == 3
    assert vault.fields(vault.event(vault.size - 1))["items"] == ("0", "2")


def test_items_without_content_are_in_the_record_alone(place: Any, tmp_path: Path) -> None:
    bundle = place.seal()
    found = extract(place.open(place.reader), bundle, tmp_path / "out", purpose="x")
    assert found.names == {}
    assert list(tree(tmp_path / "out")) == ["record.json"]
    record = json.loads((tmp_path / "out/record.json").read_bytes())
    assert record["items"][0]["written"] is None


def test_unrecorded_leaves_the_vault_and_a_signed_record(place: Any, tmp_path: Path) -> None:
    bundle = place.seal(*FILES)
    vault = place.open(place.reader)
    size = vault.size
    extract(
        vault,
        bundle,
        tmp_path / "out",
        items=[1],
        purpose="a copy",
        recorded=False,
        clock=lambda: 12,
    )
    assert place.open().size == size
    record = check_access_record((tmp_path / "out/access-record.txt").read_bytes())
    assert (record.actor, record.bundle) == (place.reader.ed25519, bundle)
    assert (record.items, record.time, record.purpose) == ((1,), 12, "a copy")
    assert (record.size, record.root) == (vault.size, vault.root)


class TestConsent:
    """Consent counts for a copy, too; what stands above it is in the record."""

    @pytest.fixture
    def bundle(self, place: Any) -> bytes:
        return limited(place, "limited", ("trial", "archive"))

    @pytest.mark.parametrize("recorded", [True, False])
    def test_an_opening_that_it_does_not_cover_leaves_nothing(
        self, place: Any, bundle: bytes, tmp_path: Path, recorded: bool
    ) -> None:
        vault = place.open(place.reader)
        size = vault.size
        for fields in ({}, {"use": "press"}):
            with pytest.raises(CustodyError) as refused:
                extract(
                    vault, bundle, tmp_path / "out", purpose="x", fields=fields, recorded=recorded
                )
            assert (refused.value.rule, refused.value.event) == ("consent-use", "bundle.opened")
        assert os.listdir(tmp_path) == []
        assert place.open().size == size

    @pytest.mark.parametrize("recorded", [True, False])
    @pytest.mark.parametrize("fields", [{"use": "Trial"}, {"authority": "Court order 12"}])
    def test_a_use_that_it_covers_and_an_authority_open_and_are_on_record(
        self, place: Any, bundle: bytes, tmp_path: Path, recorded: bool, fields: dict[str, str]
    ) -> None:
        vault = place.open(place.reader)
        extract(vault, bundle, tmp_path / "out", purpose="x", fields=fields, recorded=recorded)
        if recorded:
            seen = vault.fields(vault.event(vault.size - 1))
            assert {name: seen[name] for name in fields} == fields
        else:
            record = check_access_record((tmp_path / "out/access-record.txt").read_bytes())
            assert (record.use, record.authority) == (
                fields.get("use", ""),
                fields.get("authority", ""),
            )

    def test_a_withdrawal_binds_a_copy_that_knows_of_it(self, place: Any, tmp_path: Path) -> None:
        bundle = limited(place, "withdrawn", ())
        with pytest.raises(CustodyError, match="consent-withdrawn"):
            extract(
                place.open(place.reader),
                bundle,
                tmp_path / "out",
                purpose="x",
                fields={"use": "trial"},
                recorded=False,
            )


def limited(place: Any, status: str, uses: tuple[str, ...]) -> bytes:
    bundle: bytes = place.seal(*FILES)
    scope = {"consent.scope": uses} if uses else {}
    with place.open(place.owner) as vault:
        fields = {"consent.status": status, **scope}
        vault.append("consent.recorded", bundle=bundle, fields=fields)
    return bundle


def test_progress_counts_the_bytes(place: Any, tmp_path: Path) -> None:
    bundle = place.seal(*FILES)
    seen: list[Progress] = []
    vault = place.open(place.reader)
    extract(vault, bundle, tmp_path / "out", purpose="x", progress=seen.append)
    assert [(one.work, one.done, one.total) for one in seen] == [
        ("open", 7, 107),
        ("open", 107, 107),
    ]


def test_values_for_json() -> None:
    assert json_value(b"\xff") == {"hex": "ff"}
    assert json_value((True, 1, ("a",))) == [True, 1, ["a"]]
    assert json_value({"a": (b"",)}) == {"a": [{"hex": ""}]}


class TestFailures:
    @pytest.fixture
    def bundle(self, place: Any) -> bytes:
        found: bytes = place.seal(*FILES, ("big", bytes(200_000)))
        return found

    def failing(self, vault: Vault, bundle: bytes, out: Path, error: Any, **more: Any) -> Any:
        with pytest.raises(error) as failed:
            extract(vault, bundle, out, purpose="x", **more)
        assert not out.exists()
        return failed.value

    def test_nothing_is_left_and_nothing_recorded(
        self, place: Any, bundle: bytes, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        self.failing(place.open(), bundle, out, NoIdentityMatchError)
        self.failing(place.open(place.owner), bundle, out, NoIdentityMatchError)
        self.failing(place.open(place.reader), bundle, out, NotFoundError, items=[9])
        self.failing(place.open(place.reader), bytes(16), out, NotFoundError)
        assert place.open().event(place.open().size - 1).type == "bundle.sealed"

    def test_a_destroyed_bundle_is_not_opened(
        self, place: Any, bundle: bytes, tmp_path: Path
    ) -> None:
        place.open(place.owner).append("bundle.destroyed", bundle=bundle)
        self.failing(place.open(place.reader), bundle, tmp_path / "out", StateError)

    def test_damage_names_the_item(self, place: Any, bundle: bytes, tmp_path: Path) -> None:
        name = part_name(bundle, 0)
        data = bytearray(place.store.read(name))
        data[100_000] ^= 1
        place.store.delete(name)
        with place.store.create(name) as writer:
            writer.write(data)
            writer.commit()
        error = self.failing(place.open(place.reader), bundle, tmp_path / "out", PayloadError)
        assert error.where == f"bundles/{bundle.hex()}, item 3"

    def test_an_item_that_is_not_what_was_sealed_is_not_written(
        self, place: Any, bundle: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vault import Item

        stored = Item.stored.fget  # type: ignore[attr-defined]

        def other(number: int) -> Any:
            def wrong(item: Item) -> Any:
                path, offset, size, sha256 = stored(item)
                return path, offset, size, bytes(32) if item.number == number else sha256

            return property(wrong)

        for number in (0, 1):  # the second is empty, and read by nobody
            monkeypatch.setattr(Item, "stored", other(number))
            out = tmp_path / "out"
            self.failing(place.open(place.reader), bundle, out, DigestMismatchError)

    def test_too_little_room_is_said_before_anything_is_recorded(
        self, place: Any, bundle: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import collections

        usage = collections.namedtuple("usage", "total used free")
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 10, 10))
        size = place.open().size
        self.failing(place.open(place.reader), bundle, tmp_path / "out", NoSpaceError)
        assert place.open().size == size

    def test_a_cancelled_opening_leaves_nothing(
        self, place: Any, bundle: bytes, tmp_path: Path
    ) -> None:
        def cancel(_: Progress) -> None:
            raise KeyboardInterrupt

        vault = place.open(place.reader)
        self.failing(vault, bundle, tmp_path / "out", KeyboardInterrupt, progress=cancel)

    def test_what_is_there_is_left_alone(self, place: Any, bundle: bytes, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/mine").write_text("x")
        (tmp_path / "link").symlink_to("out")
        for name in ("out", "link"):
            with pytest.raises(FileExistsError):
                extract(place.open(place.reader), bundle, tmp_path / name, purpose="x")
        assert os.listdir(tmp_path / "out") == ["mine"]
        with pytest.raises(FileExistsError):
            extract(place.open(place.reader), bundle, "/", purpose="x")


class TestNewFolder:
    def test_a_link_that_is_put_in_the_way_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        with NewFolder(tmp_path / "out") as folder:
            (tmp_path / "out/way").symlink_to(tmp_path / "outside")
            (tmp_path / "out/file").symlink_to(tmp_path / "outside/file")
            with pytest.raises(StateError):
                folder.write(["way", "file"], lambda take: take(b"x"))
            with pytest.raises(FileExistsError):
                folder.write(["file"], lambda take: take(b"x"))
        assert os.listdir(tmp_path / "outside") == []

    def test_a_folder_that_is_swapped_for_a_link_is_written_to_all_the_same(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").mkdir()
        with NewFolder(tmp_path / "out") as folder:
            (tmp_path / "out").rename(tmp_path / "moved")
            (tmp_path / "out").symlink_to(tmp_path / "outside")
            folder.write(["file"], lambda take: take(b"x"))
        assert os.listdir(tmp_path / "outside") == []
        assert (tmp_path / "moved/file").read_bytes() == b"x"

    def test_an_error_names_the_file(self, tmp_path: Path) -> None:
        def full(_: object) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space"), NewFolder(tmp_path / "out") as folder:
            folder.write(["a", "b"], full)
        assert not (tmp_path / "out").exists()

    def test_a_folder_that_is_missing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            NewFolder(tmp_path / "no/out")
