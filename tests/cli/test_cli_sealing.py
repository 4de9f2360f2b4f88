"""``evault init`` and ``evault seal``."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vault import Vault, parse_identity_file

HASH = "cd" * 32


@pytest.fixture
def fields(world: Any) -> Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return a bundle's fields and those of its items, as its reader sees them."""

    def read(bundle: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        shown = world.call("show", world.vault, bundle, *world.reader, "--json").json
        return shown["fields"], shown["item_fields"]

    return read


class TestInit:
    def test_a_vault_says_its_id_and_who_reads(self, world: Any, tmp_path: Path) -> None:
        place = tmp_path / "new"
        card = world.folder / "reader.card"
        made = world.call("init", place, "--reader", card, *world.owner)
        assert made.code == 0
        with Vault.open(place) as vault:
            assert made.out == f"{vault.id.hex()}\n"
        assert "Reader Bé" in made.err
        assert "You can't" in made.err
        assert "only owner" in made.err

    def test_an_owner_who_reads_is_told_nothing_else(self, world: Any, tmp_path: Path) -> None:
        made = world.call("init", tmp_path / "new", "--reader", "me", *world.owner, "--json")
        record = made.json
        assert record["can_read"] is True
        assert record["readers"] == [record["owner"]]
        assert record["policy"] == {"clock": 1, "two_person_destroy": False}
        assert "You can't" not in made.err

    def test_a_memory_that_fails_is_told_and_the_rest_of_it_kept(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("vault.vault.keep_pin", full)
        made = world.call("init", tmp_path / "new", "--reader", "me", *world.owner)
        assert made.code == 0
        assert "could not remember it" in made.err
        assert "No space left on device" in made.err
        monkeypatch.undo()
        with Vault.open(tmp_path / "new", state=world.folder / "home") as vault:
            assert vault.known

    def test_the_policy_is_that_of_the_vault(self, world: Any, tmp_path: Path) -> None:
        policy = "clock=3600,two-person-destroy"
        options = ("--reader", "me", "--policy", policy, *world.owner)
        assert world.call("init", tmp_path / "new", *options).code == 0
        shown = world.call("show", tmp_path / "new")
        assert "public times to 3600 s, two persons to destroy" in shown.out

    @pytest.mark.parametrize("policy", ["clock=0", "clock=90000", "clock=x", "clock", "three"])
    def test_an_unknown_policy_is_refused(self, world: Any, tmp_path: Path, policy: str) -> None:
        options = ("--reader", "me", "--policy", policy, *world.owner)
        made = world.call("init", tmp_path / "new", *options)
        assert made.code == 2
        assert "--policy" in made.err
        assert not (tmp_path / "new").exists()

    def test_without_a_reader_no_vault_is_made(self, world: Any, tmp_path: Path) -> None:
        made = world.call("init", tmp_path / "new", *world.owner)
        assert (made.code, made.out) == (2, "")
        assert "Nobody would be able to open" in made.err
        assert not (tmp_path / "new").exists()

    def test_a_title_of_nothing_is_refused(self, world: Any, tmp_path: Path) -> None:
        options = ("--reader", "me", "--title", " ", *world.owner)
        assert world.call("init", tmp_path / "new", *options).code == 2


class TestSeal:
    def test_the_id_alone_is_on_standard_output(self, world: Any, tmp_path: Path) -> None:
        file = tmp_path / "a.txt"
        file.write_text("evidence")
        sealed = world.call("seal", world.vault, file, *world.owner)
        assert sealed.code == 0
        assert len(sealed.out) == 33
        assert (world.vault / "bundles" / sealed.out.strip()).is_dir()

    def test_it_says_what_exists_now_and_who_can_open_it(self, world: Any, tmp_path: Path) -> None:
        file = tmp_path / "a.txt"
        file.write_text("evidence")
        sealed = world.call("seal", world.vault, file, *world.owner)
        assert "Sealed 1 item (8 bytes)" in sealed.err
        assert f"One copy exists, in {world.vault}; it was read back" in sealed.err
        assert "Only these readers can open it" in sealed.err
        assert "second copy" in sealed.err

    def test_a_copy_that_came_from_a_cache_is_called_so(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vault.bundle.BundleWriter.read_back", lambda *_: False)
        file = tmp_path / "a.txt"
        file.write_text("evidence")
        sealed = world.call("seal", world.vault, file, *world.owner, "--json")
        assert sealed.json["bundles"][0]["read_back"] is False
        assert "from this system's memory" in sealed.err

    def test_folders_are_walked_in_order_under_their_own_name(
        self, world: Any, tmp_path: Path, fields: Any
    ) -> None:
        top = tmp_path / "top"
        for name in ("b/z", "b/a", "a", "B"):
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (top / "nothing").mkdir()
        sealed = world.call("seal", world.vault, top, *world.owner)
        names = [item["original_name"] for item in fields(sealed.out.strip())[1]]
        assert names == ["top/B", "top/a", "top/b/a", "top/b/z"]
        assert "nothing is an empty folder" in sealed.err

    def test_a_name_that_is_not_utf_8_stays_bytes(
        self, world: Any, tmp_path: Path, fields: Any
    ) -> None:
        path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
        Path(path).write_text("x")
        sealed = world.call("seal", world.vault, path, *world.owner)
        assert sealed.code == 0, sealed.err
        bundle = sealed.out.strip()
        assert fields(bundle)[1][0]["original_name"] == {"hex": b"caf\xe9.txt".hex()}
        shown = world.call("show", world.vault, bundle, *world.reader)
        assert "caf\\udce9.txt" in shown.out

    def test_testimony_and_media_hashes_are_items_of_their_kind(
        self, world: Any, tmp_path: Path, fields: Any
    ) -> None:
        said = tmp_path / "said.txt"
        said.write_text("I saw")
        sealed = world.call(
            "seal", world.vault, "--testimony", said, "--media-hash", f"{HASH.upper()}:a:b.mp4",
            "--item-field", "a:b.mp4:size=12345", "--item-field", "said.txt:note=a=b",
            "--item-field", f"{said}:derived_from=tape 4", *world.owner,
        )  # fmt: skip
        assert sealed.code == 0, sealed.err
        first, second = fields(sealed.out.strip())[1]
        assert first["kind"] == "testimony"
        assert first["sha256"] == hashlib.sha256(b"I saw").hexdigest()
        assert (first["note"], first["derived_from"]) == ("a=b", "tape 4")
        assert second["kind"] == "media-hash"
        assert (second["sha256"], second["size"]) == (HASH, 12345)
        assert second["original_name"] == "a:b.mp4"

    def test_each_makes_a_bundle_of_every_path(self, world: Any, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).write_text(name)
        sealed = world.call("seal", world.vault, tmp_path / "a", tmp_path / "b", "--each",
                            "--title", "Both", *world.owner)  # fmt: skip
        assert len(set(sealed.out.split())) == 2
        assert "1 of 2" in sealed.err
        assert "2 of 2" in sealed.err
        listed = world.call("list", world.vault, *world.reader, "--json").json
        assert [one["title"] for one in listed["bundles"]] == ["First", "Both", "Both"]

    def test_the_record_for_programs(self, world: Any, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        record = world.call("seal", world.vault, tmp_path / "a", *world.owner, "--json").json
        assert set(record) == {"vault", "bundles"}
        (bundle,) = record["bundles"]
        assert set(bundle) == {
            "bundle", "event", "items", "size", "read_back", "omitted", "readers",
        }  # fmt: skip

    def test_what_was_sealed_before_a_failure_is_said(self, world: Any, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        (tmp_path / "b").write_text("b")
        before = world.files()

        import vault.sealing as module

        checked = module.check_sealable
        seen = []

        def changes(path: Path) -> os.stat_result:
            status = checked(path)
            seen.append(path.name)
            if seen.count("b") == 2:
                path.write_text("other content")
            return status

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "check_sealable", changes)
            patch.setattr("vault.gathering.check_sealable", changes)
            sealed = world.call(
                "seal", world.vault, tmp_path / "a", tmp_path / "b", "--each", *world.owner
            )
        assert sealed.code == 5
        assert len(sealed.out.split()) == 1
        assert f"{tmp_path / 'b'}: replaced while it was sealed" in sealed.err
        assert "What was done before it stands: 1 event." in sealed.err
        assert len(os.listdir(world.vault / "bundles")) == 2
        assert before != world.files()


def _rotten(file: int, *_: object, **__: object) -> io.FileIO:
    """Open a source that fails midway if it is large."""

    class Rotten(io.FileIO):
        def readinto(self, buffer: Any, /) -> int:
            count = super().readinto(memoryview(buffer)[:65536])
            if self.tell() > 65536:
                raise OSError(errno.EIO, "Input/output error")
            return count

    return Rotten(file)


class TestWhatCantBeSealed:
    @pytest.fixture
    def odd(self, tmp_path: Path) -> Path:
        odd = tmp_path / "odd"
        odd.mkdir()
        (odd / "good.txt").write_text("good")
        (odd / "link").symlink_to(odd / "good.txt")
        os.mkfifo(odd / "pipe")
        return odd

    def test_all_of_it_is_named_before_the_first_byte(self, world: Any, odd: Path) -> None:
        before = world.files()
        sealed = world.call("seal", world.vault, odd)
        assert (sealed.code, sealed.out) == (5, "")
        assert f"{odd / 'link'}: a symbolic link" in sealed.err
        assert f"{odd / 'pipe'}: a FIFO" in sealed.err
        assert "--skip-unreadable" in sealed.err
        assert world.files() == before

    def test_long_lists_are_cut(self, world: Any, tmp_path: Path) -> None:
        for number in range(25):
            (tmp_path / "many").mkdir(exist_ok=True)
            (tmp_path / f"many/{number}").symlink_to("x")
        sealed = world.call("seal", world.vault, tmp_path / "many")
        assert sealed.err.count("a symbolic link") == 20
        assert "and 5 more" in sealed.err

    def test_the_rest_is_sealed_and_each_omission_recorded(
        self, world: Any, odd: Path, fields: Any
    ) -> None:
        sealed = world.call("seal", world.vault, odd, "--skip-unreadable", *world.owner)
        assert sealed.code == 0, sealed.err
        assert "Recorded as omitted: 2." in sealed.err
        good, *omitted = fields(sealed.out.strip())[1]
        assert good["original_name"] == "odd/good.txt"
        assert [(one["original_name"], one["kind"], one["omitted_because"]) for one in omitted] == [
            ("odd/link", "omitted", "a symbolic link"),
            ("odd/pipe", "omitted", "a FIFO"),
        ]

    def test_a_socket_and_a_link_named_outright_are_found(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "l").symlink_to(tmp_path)
        with socket.socket(socket.AF_UNIX) as listening:
            place = tmp_path / "s"
            monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
            listening.bind("s")
            sealed = world.call("seal", world.vault, place, tmp_path / "l")
        assert "a socket" in sealed.err
        assert "a symbolic link" in sealed.err

    def test_the_vault_is_not_sealed_into_itself(self, world: Any) -> None:
        sealed = world.call("seal", world.vault, world.folder)
        assert f"{world.vault}: the vault itself" in sealed.err

    def test_a_file_that_changes_while_it_is_read_stops_the_seal_by_name(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "growing.log"
        file.write_text("start")
        before = world.files()

        from vault.bundle import BundleWriter

        add = BundleWriter.add

        def grow(self: BundleWriter, *arguments: Any, **more: Any) -> Any:
            with file.open("a") as more_of_it:
                more_of_it.write("more")
            return add(self, *arguments, **more)

        monkeypatch.setattr(BundleWriter, "add", grow)
        sealed = world.call("seal", world.vault, file, *world.owner)
        assert (sealed.code, sealed.out) == (5, "")
        assert f"{file}: changed while it was sealed" in sealed.err
        assert "Nothing was added" in sealed.err
        assert world.files() == before

    def test_a_medium_that_fails_under_a_file_is_named(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "rotten.jpg"
        file.write_bytes(bytes(5_000_000))
        before = world.files()
        monkeypatch.setattr("vault.sealing.open", _rotten, raising=False)
        sealed = world.call("seal", world.vault, file, *world.owner)
        assert sealed.code == 5
        assert f"{file}: can't be sealed: Input/output error" in sealed.err
        assert "--skip-unreadable seals the rest" in sealed.err
        assert world.files() == before

    def test_what_fails_midway_is_left_out_and_the_rest_sealed(
        self, world: Any, tmp_path: Path, fields: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "some"
        folder.mkdir()
        (folder / "a good").write_text("good")
        (folder / "b rotten").write_bytes(bytes(5_000_000))
        (folder / "c gone").write_text("gone")
        (folder / "d said").write_text("said")
        monkeypatch.setattr("vault.sealing.open", _rotten, raising=False)

        def vanish(*_: object) -> None:
            (folder / "c gone").unlink()

        monkeypatch.setattr("evault_cli.sealing._check_sealable", vanish)
        options = ("--testimony", folder / "b rotten", "--skip-unreadable", *world.owner)
        paths = [folder / "a good", folder / "c gone", folder / "d said"]
        sealed = world.call("seal", world.vault, *paths, *options)
        assert sealed.code == 0, sealed.err
        assert "Recorded as omitted: 2." in sealed.err
        assert sealed.err.count("--skip-unreadable") == 0
        items = fields(sealed.out.strip())[1]
        assert [(one["original_name"], one.get("omitted_because")) for one in items] == [
            ("a good", None),
            ("d said", None),
            ("c gone", "No such file or directory"),
            ("b rotten", "Input/output error"),
        ]
        assert len(os.listdir(world.vault / "bundles")) == 2
        assert os.listdir(world.vault / "tmp") == []


class TestFields:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "a.txt"
        file.write_text("a")
        return file

    def test_typed_fields_have_the_kinds_of_the_table(
        self, world: Any, file: Path, fields: Any
    ) -> None:
        sealed = world.call(
            "seal", world.vault, file, "--field", "edited=no", "--field", "testimony.signed=Yes",
            "--field", "device.identifiers=one", "--field", "device.identifiers=two",
            "--field", 'consent.scope=["court", "press"]', "--field", "captured_at=2026",
            "--field", "cafe\u0301=cafe\u0301", "--field", "exhibit=12", *world.owner,
        )  # fmt: skip
        assert sealed.code == 0, sealed.err
        found = fields(sealed.out.strip())[0]
        assert found["edited"] is False
        assert found["testimony.signed"] is True
        assert found["device.identifiers"] == ["one", "two"]
        assert found["consent.scope"] == ["court", "press"]
        assert found["captured_at"] == "2026"
        assert found["caf\u00e9"] == "caf\u00e9"
        assert found["exhibit"] == "12"

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ("edited=perhaps", "Field edited must be yes or no."),
            ("captured_at=yesterday", "Field captured_at must be a time with its offset"),
            ("captured_at=2026-03-01T14:05", "with its offset"),
            ("generation=copy", "Field generation must be one of 'derivative'"),
            ("consent.scope=[1, [2]]", "Field consent.scope must be an array of 1 or more texts."),
            ("title=", "Field title must be text"),
            ("item_count=3", "Field item_count is set by evault itself"),
            ("=x", "can't have that name"),
            ("a\nb=x", "can't have that name"),
            ("no equals", "is not NAME=VALUE"),
            ("place=\udcff", "Field place must be text"),
        ],
    )
    def test_a_wrong_field_is_refused_before_anything_is_read(
        self, world: Any, file: Path, given: str, says: str
    ) -> None:
        before = world.files()
        sealed = world.call("seal", world.vault, file, "--field", given)
        assert (sealed.code, sealed.out) == (2, "")
        assert says in sealed.err
        assert world.files() == before

    def test_a_field_given_twice_differently_is_refused(self, world: Any, file: Path) -> None:
        sealed = world.call(
            "seal", world.vault, file, "--title", "One", "--field", "title=Two", *world.owner
        )
        assert sealed.code == 2
        assert "Field title is given twice, and differently." in sealed.err
        same = ("--title", "One", "--field", "title=One")
        assert world.call("seal", world.vault, file, *same, *world.owner).code == 0

    def test_a_name_like_one_of_the_table_is_asked_about(self, world: Any, file: Path) -> None:
        sealed = world.call("seal", world.vault, file, "--field", "captured-at=x", *world.owner)
        assert sealed.code == 0
        assert "Did you mean captured_at?" in sealed.err

    def test_a_file_gives_many_fields_at_once(
        self, world: Any, file: Path, tmp_path: Path, fields: Any
    ) -> None:
        given = tmp_path / "fields.json"
        given.write_text(
            '\ufeff{"title": "From a file", "device": {"make": "A", "working_properly": true},'
            ' "place": null, "exhibit": 7, "altitude": 12.50, "tags": ["x", 3],'
            ' "edited": "no", "device.identifiers": "only",'
            ' "items": {"a.txt": {"generation": "original", "page": 1}}}'
        )
        options = ("--fields", given, "--field", "source=typed", *world.owner)
        sealed = world.call("seal", world.vault, file, *options)
        assert sealed.code == 0, sealed.err
        found, items = fields(sealed.out.strip())
        assert found["device.make"] == "A"
        assert found["device.working_properly"] is True
        assert found["altitude"] == "12.50"
        assert (found["exhibit"], found["tags"]) == ("7", ["x", "3"])
        assert (found["edited"], found["device.identifiers"]) == (False, ["only"])
        assert "place" not in found
        assert (items[0]["generation"], items[0]["page"]) == ("original", "1")

    @pytest.mark.parametrize(
        ("content", "code", "says"),
        [
            ("[]", 2, "must hold one JSON object"),
            ("{", 2, "not sound JSON"),
            ('{"a": 1, "a": 2}', 2, "a is given twice"),
            ('{"a": NaN}', 2, "NaN is no value"),
            ('{"a": true}', 2, "must be text"),
            ('{"a": []}', 2, "must be text"),
            ('{"a": [null]}', 2, "must be text"),
            ('{"edited": 1}', 2, "must be yes or no"),
            ('{"device": {"make": "A"}, "device.make": "B"}', 2, "twice, and differently"),
            ('{"items": []}', 2, "object of objects"),
            ('{"items": {"a.txt": 1}}', 2, "object of objects"),
            ('{"items": {"b.txt": {}}}', 2, "No item goes by 'b.txt'"),
            ('{"items": {"a.txt": {"sha256": "x"}}}', 2, "sha256 is set by evault itself"),
            ('{"a": "\\ud800"}', 2, "must be text"),
            ("[" * 100_000, 3, "nested too deep"),
            (f'{{"a": "{"x" * 70000}"}}', 2, "must be text of 1 to 65536"),
            (json.dumps({str(n): "x" for n in range(5000)}), 2, "more than there is room for"),
            ("x" * (2**24 + 1), 2, "larger than 16 MiB"),
        ],
        ids=range(18),
    )
    def test_a_file_of_fields_that_is_not_sound_is_refused(
        self, world: Any, file: Path, tmp_path: Path, content: str, code: int, says: str
    ) -> None:
        given = tmp_path / "fields.json"
        given.write_text(content)
        before = world.files()
        sealed = world.call("seal", world.vault, file, "--fields", given)
        assert (sealed.code, sealed.out) == (code, "")
        assert says in sealed.err
        assert world.files() == before

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ("b.txt:note=x", "is not PATH:NAME=VALUE"),
            ("a.txt:note", "is not PATH:NAME=VALUE"),
            ("a.txt:size=3", "size is set by evault itself"),
            ("a.txt:kind=photo", "item field kind must be one of"),
        ],
    )
    def test_a_wrong_field_of_an_item_is_refused(
        self, world: Any, file: Path, given: str, says: str
    ) -> None:
        sealed = world.call("seal", world.vault, file, "--item-field", given)
        assert (sealed.code, sealed.out) == (2, "")
        assert says in sealed.err


class TestWhatIsAsked:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ((), "Nothing to seal"),
            (("--each",), "Nothing to seal"),
            (("--media-hash", "abc:name"), "is not HEX:NAME"),
            (("--media-hash", f"{HASH}:"), "is not HEX:NAME"),
            (("--media-hash", f"{HASH}:a\nb"), "one line"),
            (("--media-hash", f"{HASH}:a", "--each"), "without it"),
            (("{file}", "{file}"), "is given twice"),
            (("{file}", "--testimony", "{file}"), "is given twice"),
            (("--testimony", "{folder}"), "--testimony takes a file"),
            (("{empty}",), "nothing to seal"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, world: Any, tmp_path: Path, options: tuple[str, ...], says: str
    ) -> None:
        file, empty = tmp_path / "f", tmp_path / "empty"
        file.write_text("x")
        empty.mkdir()
        filled = [one.format(file=file, folder=tmp_path, empty=empty) for one in options]
        sealed = world.call("seal", world.vault, *filled)
        assert (sealed.code, sealed.out) == (2, "")
        assert says in sealed.err

    def test_more_than_a_bundle_holds_is_refused(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "f").write_text("x")
        monkeypatch.setattr("vault.bag.MAX_ITEMS", 0)
        sealed = world.call("seal", world.vault, tmp_path / "f")
        assert sealed.code == 2
        assert "more than a bundle holds" in sealed.err

    def test_a_stranger_may_not_seal(self, world: Any, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("x")
        before = world.files()
        sealed = world.call("seal", world.vault, tmp_path / "f", *world.reader)
        assert (sealed.code, sealed.out) == (3, "")
        assert "does not have the role" in sealed.err
        assert world.files() == before


def test_the_key_of_the_identity_opens_what_was_sealed(world: Any) -> None:
    reader = parse_identity_file(
        (world.folder / "reader.age").read_bytes(), b"a passphrase of the reader"
    )
    with (
        Vault.open(world.vault, identity=reader) as vault,
        vault.read(bytes.fromhex(world.bundle)) as reading,
    ):
        names = [item.values["original_name"] for item in reading.items]
    assert names == [
        "evidence/inner/empty.txt",
        "evidence/photo.jpg",
        "evidence/گواہی.txt",
        "video.mp4",
    ]
