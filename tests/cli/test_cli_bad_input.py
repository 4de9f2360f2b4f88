"""Everything that can be wrong: one sentence with the thing, its place and what to do; the
documented exit code; the vault as it was; no output; no traceback.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vault import Vault


@pytest.fixture
def unchanged(world: Any) -> Iterator[None]:
    """The test leaves the vault as it found it, but for what the test itself did before."""
    before = world.files()
    yield
    assert world.files() == before


def refused(outcome: Any, code: int, *says: str) -> None:
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("evault: ")
    for text in says:
        assert text in outcome.err
    # A sentence says what to do about it, too.
    assert re.search(r"[.:] .+\.$", outcome.err.strip())


@pytest.mark.usefixtures("unchanged")
class TestIdentitiesAndCards:
    def test_a_wrong_passphrase(self, world: Any) -> None:
        wrong = world.folder / "wrong"
        wrong.write_text("something else")
        path = world.folder / "home/identity.age"
        for verb in (
            ("list", world.vault),
            ("note", world.vault, "--text", "x"),
            ("card", "--name", "x"),
        ):
            outcome = world.call(*verb, "--passphrase-file", wrong)
            refused(outcome, 4, str(path), "does not open this identity file", "Try again")
            assert "something else" not in outcome.err

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
    def test_a_named_pipe_that_nobody_writes_to(self, world: Any) -> None:
        pipe = world.folder / "pipe"
        os.mkfifo(pipe)
        for verb in (
            ("identity", "show", "-i", pipe, "--passphrase-file", world.folder / "owner.txt"),
            ("verify", world.vault, "--checkpoint", pipe),
            ("init", world.folder / "new", "--reader", pipe),
            ("recover", "join", "-o", world.folder / "joined", "--share", pipe, "--share", pipe),
        ):
            refused(world.call(*verb), 2, f"{pipe} is a named pipe: give a file")

    def test_no_passphrase_and_no_terminal_to_ask_at(self, world: Any) -> None:
        path = world.folder / "home/identity.age"
        for verb in (("note", world.vault, "--text", "x"), ("list", world.vault, "-i", path)):
            outcome = world.call(*verb, text="a passphrase of the owner\n")
            refused(outcome, 2, f"The passphrase of {path} is needed")
            assert "--passphrase-file FILE or --passphrase-fd N" in outcome.err

    def test_a_passphrase_file_that_is_not_there(self, world: Any) -> None:
        missing = world.folder / "missing"
        refused(
            world.call("list", world.vault, "--passphrase-file", missing),
            5,
            f"{missing}: is not there",
        )

    def test_an_identity_file_that_is_none(self, world: Any) -> None:
        file = world.folder / "reader.card"
        options = ("-i", file, "--passphrase-file", world.folder / "reader.txt")
        refused(
            world.call("list", world.vault, *options), 3, str(file), "not a sound identity file"
        )

    def test_an_identity_file_that_is_cut_short(self, world: Any) -> None:
        file = world.folder / "reader.age"
        file.write_bytes(file.read_bytes()[:-40])
        refused(world.call("list", world.vault, *world.reader), 3, str(file), "Use your other copy")

    def test_an_age_file_without_a_passphrase(self, world: Any) -> None:
        from vault import age

        file = world.folder / "reader.age"
        recipient = age.X25519Identity.generate().recipient()
        file.write_bytes(age.encrypt_bytes(b"x", [recipient], armored=True))
        refused(world.call("list", world.vault, *world.reader), 4, "under a passphrase")

    def test_a_card_with_a_bad_signature(self, world: Any) -> None:
        card = world.folder / "reader.card"
        card.write_text(card.read_text().replace("name Reader Bé", "name Somebody"))
        options = ("--reader", card, *world.owner)
        made = world.call("init", world.folder / "new", *options)
        refused(made, 3, f"{card}: a signature is not that of the key", "Ask its owner")
        assert not (world.folder / "new").exists()

    def test_a_card_that_is_none(self, world: Any) -> None:
        for content in (b"", b"hello", random.Random(1).randbytes(100), b"x" * 2**21):
            card = world.folder / "reader.card"
            card.write_bytes(content)
            made = world.call("init", world.folder / "new", "--reader", card, *world.owner)
            refused(made, 3, f"{card}: not a sound card", "Ask its owner")
            assert not (world.folder / "new").exists()

    def test_a_card_that_is_not_there_or_a_folder(self, world: Any) -> None:
        made = world.call("init", world.folder / "new", "--reader", world.folder / "none")
        refused(made, 5, "none: is not there")
        made = world.call("init", world.folder / "new", "--reader", world.folder)
        refused(made, 5, "is a directory")


class TestPlaces:
    def test_no_vault_there(self, world: Any, tmp_path: Path) -> None:
        for place in (tmp_path / "none", world.folder / "evidence"):
            for verb in ("list", "show", "doctor", "verify"):
                refused(world.call(verb, place), 3, f"{place}: not a vault", "FORMAT")
            noted = world.call("note", place, "--text", "x", *world.owner)
            refused(noted, 3, f"{place}: not a vault")
        assert not (tmp_path / "none").exists()

    @pytest.mark.usefixtures("unchanged")
    def test_init_where_something_is(self, world: Any) -> None:
        made = world.call("init", world.vault, "--reader", "me", *world.owner)
        refused(made, 3, str(world.vault), "not empty", "Name a place that is free")
        file = world.folder / "owner.txt"
        made = world.call("init", file, "--reader", "me", *world.owner)
        refused(made, 3, str(file), "no directory")

    def test_init_where_no_folder_is(self, world: Any) -> None:
        place = world.folder / "no/where"
        made = world.call("init", place, "--reader", "me", *world.owner)
        refused(made, 5, str(place), "is not there")

    @pytest.mark.usefixtures("unchanged")
    def test_a_prefix_that_fits_none(self, world: Any) -> None:
        for prefix in ("zz", "", "0" * 32 if world.bundle[0] != "0" else "f" * 32):
            for verb in ("show", "custody"):
                refused(world.call(verb, world.vault, prefix), 2, "no bundle begins so")

    def test_a_prefix_that_fits_two(
        self, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        twin = world.bundle[:8] + "0" * 24
        twin = twin if twin != world.bundle else twin[:-1] + "1"
        random = os.urandom
        with Vault.open(world.vault) as vault:
            state = vault.state
        bundles = {**state.bundles, bytes.fromhex(twin): state.bundles[bytes.fromhex(world.bundle)]}
        monkeypatch.setattr(
            "vault.log.Log.state",
            property(lambda log: _with_bundles(log.custody.state, bundles)),
        )
        assert random is os.urandom
        outcome = world.call("show", world.vault, world.bundle[:4])
        refused(outcome, 2, world.bundle, twin, "Give more digits")


def _with_bundles(state: Any, bundles: Any) -> Any:
    state.bundles = bundles
    return state


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "extended": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "flipped": lambda path: path.write_bytes(_flipped(path.read_bytes())),
    "missing": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("renamed")),
    "a link": lambda path: (path.rename(path.with_name("renamed")), path.symlink_to("renamed")),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "what", ["evidence", "key", "fields", "epoch", "entries", "tree", "checkpoint", "FORMAT"]
)
class TestDamage:
    def _file(self, world: Any, what: str) -> Path:
        vault: Path = world.vault
        if what == "fields":
            with Vault.open(vault) as opened:
                sealed = opened.event(opened.bundle(world.bundle).seq).sealed
            assert sealed is not None
            return vault / "fields" / sealed.sha256.hex()[:2] / sealed.sha256.hex()
        patterns = {
            "evidence": f"bundles/{world.bundle}/evidence.0000",
            "key": f"bundles/{world.bundle}/key.*",
            "epoch": "keys/*",
            "entries": "log/tile/entries/000.p/*",
            "tree": "log/tile/0/000.p/*",
            "checkpoint": "log/checkpoint",
            "FORMAT": "FORMAT",
        }
        # Of partial tiles the widest is the one that counts.
        return max(vault.glob(patterns[what]), key=lambda path: (len(path.name), path.name))

    def test_damage_is_found_and_stops_the_opening_with_the_vault_as_it_was(
        self, world: Any, tmp_path: Path, what: str, damage: str
    ) -> None:
        path = self._file(world, what)
        DAMAGE[damage](path)
        before = world.files()
        verified = world.call("verify", world.vault)
        assert verified.code == 1
        assert verified.out.startswith(("Altered", "Contradicted"))
        options = ("-o", tmp_path / "out", "--unrecorded", *world.reader)
        opened = world.call("open", world.vault, world.bundle, *options)
        # What no opening reads: the tree's own files, and bytes after those that were logged.
        if what == "tree" or (what, damage) == ("evidence", "extended"):
            assert opened.code == 0
        else:
            assert opened.code in (3, 4, 5)
            assert opened.out == ""
            assert not (tmp_path / "out").exists()
            assert str(world.vault) in opened.err
            assert len(opened.err.splitlines()) == 1
        assert world.files() == before


def test_two_files_that_changed_places_are_found(world: Any, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes((world.folder / "evidence/photo.jpg").read_bytes())
    other = world.call("seal", world.vault, file, *world.owner).out.strip()
    first = world.vault / "bundles" / world.bundle / "evidence.0000"
    second = world.vault / "bundles" / other / "evidence.0000"
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    verified = world.call("verify", world.vault)
    assert verified.code == 1
    assert f"bundles/{world.bundle}/evidence.0000" in verified.out
    assert f"bundles/{other}/evidence.0000" in verified.out


def test_a_file_that_nobody_called_for_is_a_note(world: Any) -> None:
    (world.vault / "keys/0123456789abcdef").write_text("extra")
    verified = world.call("verify", world.vault)
    assert verified.code == 0
    assert "Files that no event calls for" in verified.out
    assert "keys/0123456789abcdef" in verified.out


@pytest.mark.parametrize("verb", ["list", "show", "doctor"])
def test_a_future_version_is_called_so(world: Any, verb: str) -> None:
    (world.vault / "FORMAT").write_text("evidence-vault/2\n")
    outcome = world.call(verb, world.vault)
    if verb == "doctor":
        assert "File system" in outcome.out
        outcome = replace(outcome, out="")
    refused(outcome, 3, "FORMAT", "of a later version", "version 2", "Install a newer evault")


def test_a_vault_from_elsewhere_is_written_to_once_its_id_is_given(
    world: Any, tmp_path: Path
) -> None:
    env = {"EVAULT_HOME": str(tmp_path / "elsewhere")}
    before = world.files()
    options = ("-i", world.folder / "home/identity.age", *world.owner)
    note = ("note", world.vault, "--text", "x", *options)
    refused(world.call(*note, env=env), 3, str(world.vault), "Give the id from paper")
    refused(world.call(*note, "--vault-id", "00" * 32, env=env), 3, "another vault", "whose id")
    wrong = world.call(*note, "--vault-id", "00", env=env)
    assert wrong.code == 2
    assert "64 hexadecimal digits" in wrong.err
    assert world.files() == before
    known = world.call("show", world.vault, "--json").json["vault"]
    assert world.call(*note, "--vault-id", known, env=env).code == 0
    assert world.call(*note, env=env).code == 0


def test_a_checkpoint_that_is_not_canonical_names_the_file(world: Any) -> None:
    path = world.vault / "log/checkpoint"
    path.write_bytes(path.read_bytes().replace(b"\n4\n", b"\n04\n", 1))
    outcome = world.call("list", world.vault)
    refused(outcome, 3, f"{world.vault}: log/checkpoint: not a sound")


# --- the medium ---------------------------------------------------------------------------------


class _Mounted:
    """A small file system in memory, where this machine and this user can mount one."""

    def __init__(self, place: Path, size: str) -> None:
        place.mkdir()
        self.place = place
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("no file system can be mounted here")

    def read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", self.place], check=True)

    def end(self) -> None:
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[_Mounted]:
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("no file system can be mounted here")
    mounted = _Mounted(tmp_path / "medium", "400k")
    yield mounted
    mounted.end()


class TestMedium:
    def test_a_medium_without_room_is_said_before_the_first_byte(
        self, world: Any, small: _Mounted, tmp_path: Path
    ) -> None:
        place = small.place / "v"
        shutil.copytree(world.vault, place)
        big = tmp_path / "big"
        big.write_bytes(bytes(600_000))
        before = sorted(place.rglob("*"))
        sealed = world.call("seal", place, big, *world.owner)
        refused(sealed, 5, str(place), "are needed and", "Nothing was added", "Make room")
        assert sorted(path for path in place.rglob("*") if path.name != "lock") == [
            path for path in before if path.name != "lock"
        ]

    def test_a_medium_that_fills_up_leaves_the_vault_as_it_was(
        self, world: Any, small: _Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = small.place / "v"
        shutil.copytree(world.vault, place)
        big = tmp_path / "big"
        big.write_bytes(bytes(600_000))
        monkeypatch.setattr("vault.LocalStore.free_space", lambda _: None)
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        sealed = world.call("seal", place, big, *world.owner)
        refused(sealed, 5, str(place), "is full", "Nothing was added")
        after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        assert after.keys() - {place / "lock"} == before.keys() - {place / "lock"}
        assert world.call("verify", place).code == 0

    def test_a_vault_that_finds_no_room_is_not_made(self, world: Any, small: _Mounted) -> None:
        (small.place / "filler").write_bytes(bytes(385_000))
        made = world.call("init", small.place / "new", "--reader", "me", *world.owner)
        refused(made, 5, "is full")
        assert os.listdir(small.place) == ["filler"]

    def test_a_read_only_medium_can_be_looked_at_and_opened_unrecorded(
        self, world: Any, small: _Mounted, tmp_path: Path
    ) -> None:
        place = small.place / "v"
        shutil.copytree(world.vault, place)
        small.read_only()
        for verb in ("list", "show", "verify", "doctor"):
            assert world.call(verb, place).code == 0
        noted = world.call("note", place, "--text", "x", *world.owner)
        refused(noted, 5, str(place), "read-only", "Nothing was added")
        options = ("-o", tmp_path / "out", *world.reader)
        opened = world.call("open", place, world.bundle, "--purpose", "x", *options)
        refused(opened, 5, "--unrecorded")
        opened = world.call("open", place, world.bundle, "--unrecorded", *options)
        assert opened.code == 0
        assert (tmp_path / "out/access-record.txt").exists()
        (tmp_path / "a").write_text("a")
        refused(world.call("seal", place, tmp_path / "a", *world.owner), 5, "read-only")
        made = world.call("init", small.place / "new", "--reader", "me", *world.owner)
        refused(made, 5, "read-only")

    def test_output_that_finds_no_room_is_taken_away(
        self, world: Any, small: _Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        big = tmp_path / "big"
        big.write_bytes(random.Random(2).randbytes(600_000))
        bundle = world.call("seal", world.vault, big, *world.owner).out.strip()
        before = world.files()
        options = (bundle, "-o", small.place / "out", "--purpose", "x", *world.reader)
        refused(world.call("open", world.vault, *options), 5, "are needed and")
        assert world.files() == before
        monkeypatch.setattr("vault.extracting.NewFolder.check_space", lambda *_: None)
        opened = world.call("open", world.vault, *options)
        refused(opened, 5, "out/files/big: is full", "What was done before it stands: 1 event.")
        assert os.listdir(small.place) == []

    def test_a_full_disk_under_a_note_adds_nothing(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = world.files()

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("vault.storage.files.write_all", full)
        noted = world.call("note", world.vault, "--text", "x", *world.owner)
        refused(noted, 5, str(world.vault), "is full", "Nothing was added")
        assert world.files() == before

    def test_a_step_that_failed_after_it_was_signed_is_in_doubt_and_doctor_finds_out(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error", str(world.vault / "log/checkpoint"))

        with monkeypatch.context() as patch:
            patch.setattr("vault.storage.transaction._switch", fail)
            noted = world.call("note", world.vault, "--text", "x", *world.owner)
        refused(noted, 5, "the medium reports a fault", "`evault doctor` finds out")
        looked = world.call("doctor", world.vault)
        assert "is now finished" in looked.out
        assert "5 events" in looked.out

    def test_a_vault_that_another_holds_says_so(
        self, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vault.storage.session import vault_lock

        init = __import__("vault").LocalStore.__init__
        monkeypatch.setattr(
            "vault.LocalStore.__init__", lambda self, path: init(self, path, lock_timeout=0.05)
        )
        before = world.files()
        with vault_lock(world.vault, 1):
            noted = world.call("note", world.vault, "--text", "x", *world.owner)
        refused(noted, 3, "another writer held the lock", "Nothing was added", "Wait")
        assert world.files() == before
