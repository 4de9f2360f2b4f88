"""``evault show --as-seized`` and ``evault forget``."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from evault_cli.exposure import print_exposure
from evault_cli.exposure_record import emit_exposure
from tests.bundles.scene import (
    OUTSIDER,
    OWNER,
    READER,
    contents,
    new_vault,
    on_disk,
    open_vault,
    seal,
)
from tests.cli.conftest import World
from tests.log.notes import forge, leaf
from vault import Identity, LocalState, MemoryStore, Vault
from vault.exposed import exposed
from vault.localstate import AuditRecord, _erase

Evault = Callable[..., Any]

SECRETS = {
    "title": "Depot raid, north gate",
    "case": "Case 7781",
    "place": "Kreuzung Süd",
    "collector.name": "Amina Qureshi",
    "testimony.witness": "شاہد خان",
    "device.serial": "SN-9931-XK",
    "witness-protection": "scheme four",
    "obtained_how": "handed over behind the mill",
}
OTHER_SECRETS = (
    "north-gate-camera-3.mp4",
    "I saw the trucks leave at dawn",
    "for the hearing on Monday",
    "she telephoned twice",
    "Vault of the northern desk",
    "withdrawn by her brother",
    "the red van",
    "court order 5 of 2026",
)
PROOFS = {"closes": None, "ed25519_proof": 64, "ml_dsa_44_proof": 2420}


def forms(secret: str) -> Iterator[str]:
    """The ways in which a text could show in a text."""
    yield secret
    yield secret.encode("unicode_escape").decode()
    yield json.dumps(secret)[1:-1]
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        raw = secret.encode(encoding)
        yield raw.hex()
        for shift in range(3):
            # The first and last characters depend on the neighbours; the middle does not.
            yield base64.b64encode(b"\0" * shift + raw).decode()[4:-4]


def found_in(text: str) -> set[str]:
    lower = text.lower()
    return {
        secret
        for secret in (*SECRETS.values(), *OTHER_SECRETS)
        if any(form in text or form.lower() in lower for form in forms(secret))
    }


@pytest.fixture(scope="module")
def _rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault with every secret in it and every way that people work with it."""
    folder = tmp_path_factory.mktemp("rich")
    place = folder / "vault"
    reporter, editor = Identity(b"\x11" * 32), Identity(b"\x22" * 32)
    time = [1_772_355_600]

    def clock() -> float:
        time[0] += 1800
        return time[0]

    with Vault.create(
        place,
        identity=reporter,
        readers=[editor],
        fields={"title": OTHER_SECRETS[4]},
        state=folder / "home",
        clock=clock,
    ) as vault:
        with vault.seal(dict(SECRETS)) as writer:
            text = OTHER_SECRETS[1].encode()
            writer.add_stream(OTHER_SECRETS[0], len(text), io.BytesIO(text))
        first = writer.id
        with vault.seal({"title": "second"}) as writer:
            writer.add_stream("x", 70_000, io.BytesIO(bytes(70_000)))
        second = writer.id
        vault.append("bundle.noted", bundle=first, fields={"text": OTHER_SECRETS[3]})
        consent = {"consent.status": "withdrawn", "consent.by_whom": OTHER_SECRETS[5]}
        vault.append("consent.recorded", bundle=first, fields=consent)
        hold = {"hold": b"\x0d" * 16}
        vault.append("hold.placed", bundle=first, data=hold, fields={"reason": OTHER_SECRETS[7]})
        fields = {"carrier": OTHER_SECRETS[6]}
        data = {"to": editor.ed25519, "expires": 1_900_000_000}
        release = vault.append("custody.released", bundle=first, data=data, fields=fields)
        again = vault.append("custody.released", bundle=second, data={"to": editor.ed25519})
        vault.append("custody.recalled", bundle=second, data={"release": again.seq})
        vault.append("custody.released", bundle=second, data={"to": editor.ed25519})
        vault.append("custody.interrupted", bundle=second, data={"state": "interrupted"})
        policy = {"clock": 3600, "two_person_destroy": True}
        vault.append("vault.policy", data={"policy": policy})
    with Vault.open(place, identity=editor, clock=clock) as vault:
        data = {"release": release.seq, "rehashed": True}
        vault.append("custody.accepted", bundle=first, data=data, fields=fields)
        with vault.open_bundle(first, purpose=OTHER_SECRETS[2], fields={"authority": "x"}):
            pass
    return folder


@pytest.fixture
def rich(_rich: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "rich"
    shutil.copytree(_rich, folder)
    return folder / "vault"


def raw_events(place: Path) -> Iterator[dict[str, Any]]:
    """Read the log as anybody could: the widest file of entries, cut by its lengths."""
    path = max((place / "log/tile/entries").rglob("*.p/*"), key=lambda one: int(one.name))
    data = path.read_bytes()
    while data:
        size = int.from_bytes(data[:2], "big")
        leaf = msgpack.unpackb(data[2 : 2 + size])
        yield {**msgpack.unpackb(leaf["body"]), "sig": leaf["sig"]}
        data = data[2 + size :]


def shown(name: str, value: Any) -> Any:
    """What JSON must have for a public value: all of it, or the digest of a proof."""
    if isinstance(value, bytes):
        if name in (*PROOFS, "sig"):
            return {"sha256": hashlib.sha256(value).hexdigest(), "size": len(value)}
        return value.hex()
    if isinstance(value, list):
        return [shown(name, one) for one in value]
    if isinstance(value, dict):
        return {key: shown(key, one) for key, one in value.items()}
    return value


class TestAsSeized:
    def test_no_private_word_shows(self, rich: Path, evault: Evault) -> None:
        for options in ((), ("--json",)):
            made = evault("show", rich, "--as-seized", *options)
            assert made.code == 0, made.err
            assert len(made.out) > 5000
            assert found_in(made.out + made.err) == set()

    @pytest.mark.parametrize("secret", [*SECRETS.values(), *OTHER_SECRETS])
    def test_the_search_finds_what_does_show(self, secret: str) -> None:
        raw = secret.encode()
        for text in (secret, raw.hex().upper(), base64.b64encode(b"x" + raw).decode()):
            assert secret in found_in(f"... {text} ...")

    def test_everything_that_the_raw_log_says_is_there(self, rich: Path, evault: Evault) -> None:
        record = evault("show", rich, "--as-seized", "--json").json
        raw = list(raw_events(rich))
        assert len(raw) == len(record["events"]) == 16
        seen = set()
        for event, told in zip(raw, record["events"], strict=True):
            for name, value in event.items():
                assert told[name] == shown(name, value), name
                seen.add(name)
        # All keys that a body can have are in this log.
        assert seen == {
            "v", "vault", "seq", "type", "actor", "head", "time", "bundle", "prev", "data",
            "fields", "sealed", "closes", "sig",
        }  # fmt: skip
        closing = next(event for event in record["events"] if "closes" in event)
        assert closing["closed_checkpoint"]["size"] == closing["seq"]
        assert record["vault"] == raw[1]["vault"].hex()

    def test_everything_that_lies_in_the_directory_is_there(
        self, rich: Path, evault: Evault
    ) -> None:
        (rich / "letters").mkdir()
        (rich / "letters/to \x1b[31mher.txt").write_text("x")
        record = evault("show", rich, "--as-seized", "--json").json
        files = {file["name"]: file for file in record["files"]}
        there = {str(path.relative_to(rich)): path for path in rich.rglob("*")}
        assert files.keys() == {".", *there}
        for name, path in there.items():
            assert files[name]["size"] == (path.stat().st_size if path.is_file() else 0)
            assert files[name]["mode"] == f"{stat.S_IMODE(path.stat().st_mode):04o}"
            assert files[name]["modified"].endswith(f"{path.stat().st_mtime_ns % 10**9:09}Z")
        text = evault("show", rich, "--as-seized").out
        assert all(name in text for name in there if "\x1b" not in name)
        assert "letters/to \\x1b[31mher.txt" in text
        assert "NOT encrypted: anyone can read it" in text
        assert "1 file here can be read by anyone" in text

    def test_people_bundles_and_keys_are_told(self, rich: Path, evault: Evault) -> None:
        record = evault("show", rich, "--as-seized", "--json").json
        reporter, editor = Identity(b"\x11" * 32).keys, Identity(b"\x22" * 32).keys
        members = {one["fingerprint"]: one for one in record["members"]}
        assert members.keys() == {reporter.fingerprint.hex(), editor.fingerprint.hex()}
        her = members[editor.fingerprint.hex()]
        assert her["roles"] == ["reader"]
        assert her["admitted"]["fingerprint"] == reporter.fingerprint.hex()
        assert (her["age"], her["removed"]) == (editor.recipient.to_string(), None)
        assert (her["ed25519"], her["ml_dsa_44"]) == (editor.ed25519.hex(), editor.ml_dsa_44.hex())
        (epoch,) = record["epochs"]
        assert [one["ed25519"] for one in epoch["readers"]] == [editor.ed25519.hex()]
        assert record["policy"] == {"clock": 3600, "two_person_destroy": True}
        first, second = record["bundles"]
        assert first["holder"]["fingerprint"] == editor.fingerprint.hex()
        (handover,) = first["handovers"]
        assert handover["to"] == editor.ed25519.hex()
        assert handover["ended"]["type"] == "custody.accepted"
        assert (len(first["opened"]), len(first["consent_recorded"])) == (1, 1)
        assert first["holds"] == ["0d" * 16]
        assert (second["interrupted"], second["parts"]) == (True, 1)
        assert [one["ended"] and one["ended"]["type"] for one in second["handovers"]] == [
            "custody.recalled",
            None,
        ]
        assert 70_000 < second["archive"]["low"] < second["archive"]["high"] < 80_000
        workers = record["tells"]["workers"]
        assert [one["bundles"] for one in workers] == [2, 0]
        assert sum(workers[0]["hours"]) == workers[0]["events"] == 14
        assert record["tells"]["events_of_type"]["custody.released"] == 3

    def test_it_says_in_words_what_shows_and_what_does_not(
        self, rich: Path, evault: Evault
    ) -> None:
        text = evault("show", rich, "--as-seized").out
        for expected in (
            "whoever finds it and has no key",
            "THE DIRECTORY",
            "THE EVENTS, WITH THE TIMES THAT THEY CLAIM",
            "in these hours of the day (UTC): 09, 10, 11",
            "1 handover from one key to another took place",
            "1 statement about consent recorded",
            "may mean that it was limited or withdrawn",
            "Evidence was opened 1 time",
            "times to 3,600 seconds; two persons to destroy",
            "to 3,600 seconds only",
            "nobody answers for it now",
            "accepted by the new holder, event 14",
            "not ended",
            "policy clock 3600, two_person_destroy yes",
            "expires 2030-03-17T17:46:40Z",
            "WHAT DOES NOT SHOW",
            "titles, descriptions and cases",
            "WHAT WAS NOT LOOKED AT, AND MAY TELL MORE",
        ):
            assert expected in text, expected

    def test_no_passphrase_is_asked_and_no_key_is_taken(
        self, world: World, at_terminal: None
    ) -> None:
        made = world.call("show", world.vault, "--as-seized", text="")
        assert made.code == 0
        assert "Passphrase" not in made.err
        for options in (world.reader[:2], world.reader[2:], ("--passphrase-fd", "0")):
            refused = world.call("show", world.vault, "--as-seized", *options)
            assert (refused.code, refused.out) == (2, "")
            assert f"leave {options[0]} out" in refused.err
        for options in ((world.bundle,), ("--vault-id", "00" * 32)):
            refused = world.call("show", world.vault, "--as-seized", *options)
            assert (refused.code, refused.out) == (2, "")

    def test_a_key_that_the_environment_names_is_not_used(self, world: World) -> None:
        env = {
            "EVAULT_IDENTITY": str(world.folder / "reader.age"),
            "EVAULT_PASSPHRASE_FILE": str(world.folder / "nowhere"),
        }
        made = world.call("show", world.vault, "--as-seized", "--json", env=env)
        assert made.code == 0
        assert "Reader B" not in made.out
        assert made.json["machine"]["identity"] == str(world.folder / "reader.age")

    def test_what_this_machine_keeps_is_named(self, world: World) -> None:
        home = world.folder / "home"
        made = world.call("show", world.vault, "--as-seized", "--json").json
        machine = made["machine"]
        assert machine["home"] == str(home)
        assert machine["identity"] == str(home / "identity.age")
        names = {str(Path(one["path"]).relative_to(home)) for one in machine["files"]}
        vault = made["vault"]
        assert names == {"identity.age", f"pins/{vault}.checkpoint", f"known/{vault}"}
        assert all(one["modified"].endswith("Z") for one in machine["files"])
        text = world.call("show", world.vault, "--as-seized").out
        assert all(str(home / name) in text for name in names)
        nothing = world.call("show", world.vault, "--as-seized", env={"EVAULT_HOME": "nowhere"})
        assert "Nothing of this vault, and no identity, in nowhere" in nothing.out

    def test_a_copy_that_is_older_than_what_this_machine_saw_is_shown(self, world: World) -> None:
        shutil.copytree(world.vault, world.folder / "old")
        assert world.call("note", world.vault, "--text", "x", *world.owner).code == 0
        assert world.call("show", world.folder / "old").code == 3
        assert world.call("show", world.folder / "old", "--as-seized").code == 0

    def test_a_damaged_vault_is_shown_as_far_as_it_goes(self, world: World) -> None:
        (world.vault / "log/checkpoint").write_bytes(b"torn")
        (world.vault / "log/checkpoint.next").symlink_to("/dev/zero")
        made = world.call("show", world.vault, "--as-seized")
        assert made.code == 0
        assert "log/checkpoint: The checkpoint can't be read." in made.out
        assert "a link to /dev/zero" in made.out
        assert "vault made" in made.out
        shutil.rmtree(world.vault / "log")
        os.mkfifo(world.vault / "fifo")
        made = world.call("show", world.vault, "--as-seized")
        assert made.code == 0
        assert "Vault  not known" in made.out
        assert "neither a file nor a directory" in made.out
        assert "THE EVENTS" not in made.out
        record = world.call("show", world.vault, "--as-seized", "--json").json
        assert (record["vault"], record["events"], record["policy"]) == (None, [], None)
        assert record["unreadable"]
        assert [one["path"] for one in record["machine"]["files"]] == [
            str(world.folder / "home/identity.age")
        ]

    def test_a_log_that_nobody_s_software_writes_is_told_all_the_same(
        self, evault: Evault, tmp_path: Path
    ) -> None:
        vault = new_vault()
        store = vault.store
        assert isinstance(store, MemoryStore)
        seal(vault, b"x")
        (bundle,) = vault.state.bundles.values()
        old = f"bundles/{bundle.id.hex()}/key.{bundle.key_file.epoch.hex()}"
        digest = "ab" * 32
        new = f"{old}.{digest}"
        manifest = f"{old}.{bundle.key_file.sha256.hex()} {new} 1737\n".encode()
        sha256 = hashlib.sha256(manifest).digest()
        store._put(f"keys/{sha256.hex()}.files", manifest)
        file = (sha256, len(manifest))
        data = {"stage": "written", "epoch": bundle.key_file.epoch, "manifest": file}
        open_vault(store, READER).append("vault.rekeyed", data=data)
        parts = ((b"p" * 32, 12_345),)
        sealing = {
            "type": "bundle.sealed",
            "bundle": b"b" * 16,
            "data": {
                "key": b"k" * 32,
                "key_file": (b"f" * 32, 1737, bundle.key_file.epoch),
                "parts": parts,
                "items": b"i" * 32,
            },
        }
        forge(store, OWNER, lambda log: [leaf(OWNER, log, closes=log.raw, **sealing)])
        forge(store, OUTSIDER, lambda log: [leaf(OUTSIDER, log, closes=b"nothing")])
        place = tmp_path / "vault"
        with on_disk(place, contents(store)):
            (place / "log/checkpoint.next").write_bytes((place / "log/checkpoint").read_bytes())
            made = evault("show", place, "--as-seized")
            record = evault("show", place, "--as-seized", "--json").json
        assert made.code == 0, made.err
        assert f"{new} took the place of {old}" in made.out
        assert "Unfinished    a checkpoint of" in made.out
        assert "not known: the evidence with its lists" in made.out
        assert "breaks a rule: the identity is not a member of this vault" in made.out
        assert f"key {OUTSIDER.ed25519.hex()[:4]}" in made.out
        assert record["pending"] == record["checkpoint"]
        assert record["events"][-1]["closed_checkpoint"] is None
        assert record["events"][-1]["fingerprint"] is None
        assert "not-a-member" in record["events"][-1]["breaks"]
        assert record["bundles"][1]["archive"] is None
        assert record["tells"]["workers"][-1]["fingerprint"] is None

    def test_a_store_that_keeps_no_times_shows_none(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = new_vault().store
        emit_exposure(exposed(store), {})
        record = json.loads(capsys.readouterr().out)
        assert all("modified" not in file for file in record["files"])
        print_exposure(exposed(store), Path("home"), [])
        assert "The files' own times" not in capsys.readouterr().out

    def test_what_is_no_vault_is_called_so(self, evault: Evault, tmp_path: Path) -> None:
        made = evault("show", tmp_path, "--as-seized")
        assert (made.code, made.out) == (3, "")
        assert "not a vault" in made.err


# --- forget ---------------------------------------------------------------------------------------


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


class TestForget:
    def test_identity_and_memory_go_and_nothing_else(self, world: World) -> None:
        home = world.folder / "home"
        world.call("verify", world.vault)
        (home / "diary.txt").write_text("mine")
        (home / "pins/readme").write_text("mine")
        vault = world.files()
        (key,) = (path.name for path in (home / "known").iterdir())
        (home / "pins/lock").touch()
        (home / f"pins/{key}.checkpoint.abcd_123.new").write_text("half")
        (home / f"audits/{key}.json.abcd_123.new").write_text("half")
        (home / ".identity.age.0123abcd.new").write_text("half")
        (home / ".identity.age.0123ABCD.new").write_text("not ours")
        other = {
            str(path.relative_to(world.folder)): path.read_bytes()
            for path in world.folder.rglob("*")
            if path.is_file() and home not in path.parents and world.vault not in path.parents
        }
        made = world.call("forget", world.vault, "--yes")
        assert made.code == 0, made.err
        assert files(home) == {"diary.txt", "pins/readme", ".identity.age.0123ABCD.new"}
        assert sorted(one.name for one in home.iterdir() if one.is_dir()) == ["pins"]
        assert world.files() == vault
        assert all((world.folder / name).read_bytes() == data for name, data in other.items())
        assert set(made.out.split()) == {
            str(home / name)
            for name in (
                "identity.age", ".identity.age.0123abcd.new", "known", "audits", f"known/{key}",
                "pins/lock",
                f"pins/{key}.checkpoint", f"pins/{key}.checkpoint.abcd_123.new",
                f"audits/{key}.json", f"audits/{key}.json.abcd_123.new",
            )
        }  # fmt: skip
        assert made.out.startswith(str(home / "identity.age"))
        assert "old blocks" in made.err
        assert "the vault itself" in made.err

    def test_a_home_that_is_empty_then_goes_too(self, world: World) -> None:
        home = world.folder / "home"
        (home / "pins/lock").touch()
        made = world.call("forget", "--all", "--yes", "--json")
        assert made.code == 0
        assert not home.exists()
        assert str(home) in made.json["removed"]
        assert str(home / "pins/lock") in made.json["removed"]
        assert made.json["failed"] == []
        assert "old-blocks" in made.json["out_of_reach"]

    def test_with_the_vault_gone_its_id_is_enough(self, world: World) -> None:
        home = world.folder / "home"
        state = LocalState(home)
        (vault,) = state.remembered()
        state.set_known(b"\x07" * 32)
        (home / "pins/lock").touch()
        (home / f"pins/{'07' * 32}.checkpoint").touch()
        shutil.rmtree(world.vault)
        gone = world.call("forget", world.vault, "--yes")
        assert (gone.code, gone.out) == (2, "")
        assert "--vault-id" in gone.err
        made = world.call("forget", "--vault-id", vault.hex().upper(), "--keep-identity", "--yes")
        assert made.code == 0
        assert state.remembered() == (b"\x07" * 32,)
        # Another vault's memory, and so the lock, stays; so does the identity.
        assert (home / "pins/lock").exists()
        assert (home / "identity.age").exists()

    def test_a_damaged_vault_still_says_which_it_is(self, world: World) -> None:
        entries = world.vault / "log/tile/entries"
        shutil.rmtree(entries)
        made = world.call("forget", world.vault, "--yes")
        assert made.code == 0
        assert LocalState(world.folder / "home").remembered() == ()

    def test_what_somebody_put_on_the_medium_makes_no_other_vault_forgotten(
        self, world: World
    ) -> None:
        home = LocalState(world.folder / "home")
        (mine,) = home.remembered()
        theirs = new_vault()
        for _ in range(20):
            theirs.append("vault.noted", fields={"text": "elsewhere"})
        home.set_known(theirs.id)
        (world.vault / "log/checkpoint.next").write_bytes(theirs.checkpoint)
        name = f"log/tile/entries/000.p/{theirs.size}"
        (world.vault / name).write_bytes(theirs.store.read(name))
        made = world.call("forget", world.vault, "--yes", "--keep-identity")
        assert (made.code, made.out) == (3, "")
        assert all(text in made.err for text in (mine.hex(), theirs.id.hex(), "--vault-id"))
        assert set(home.remembered()) == {mine, theirs.id}
        # A checkpoint alone is worth nothing.
        (world.vault / name).unlink()
        assert world.call("forget", world.vault, "--yes", "--keep-identity").code == 0
        assert home.remembered() == (theirs.id,)

    def test_a_vault_that_does_not_say_which_it_is_is_refused(self, world: World) -> None:
        shutil.rmtree(world.vault / "log")
        made = world.call("forget", world.vault, "--yes")
        assert (made.code, made.out) == (3, "")
        assert "does not say which vault it is" in made.err
        assert (world.folder / "home/identity.age").exists()

    def test_nothing_to_forget_is_no_error(self, evault: Evault, tmp_path: Path) -> None:
        for options in (("--all",), ("--vault-id", "00" * 32)):
            made = evault("forget", *options)
            assert (made.code, made.out) == (0, "")
            assert "Nothing to forget" in made.err
        assert evault("forget", "--all", "--json").json["removed"] == []
        assert not (tmp_path / "home").exists()

    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("vault", "--all"),
            ("vault", "--vault-id", "00" * 32),
            ("--all", "--vault-id", "00" * 32),
            ("--vault-id", "00"),
            ("--vault-id", "0" * 63 + "x"),
        ],
    )
    def test_what_to_forget_is_named_once_and_soundly(
        self, world: World, options: tuple[str, ...]
    ) -> None:
        before = files(world.folder / "home")
        made = world.call("forget", *options, "--yes")
        assert (made.code, made.out) == (2, "")
        assert len(made.err.splitlines()) == 1
        assert files(world.folder / "home") == before

    def test_without_a_terminal_yes_must_be_given(self, world: World) -> None:
        before = files(world.folder / "home")
        made = world.call("forget", world.vault)
        assert (made.code, made.out) == (2, "")
        assert "--yes" in made.err
        assert files(world.folder / "home") == before

    def test_at_a_terminal_the_word_must_be_typed(self, world: World, at_terminal: None) -> None:
        before = files(world.folder / "home")
        LocalState(world.folder / "home").set_known(b"\x07" * 32)
        for typed in ("\n", "yes\n", "Forget!\n"):
            made = world.call("forget", world.vault, text=typed)
            assert (made.code, made.out) == (2, "")
            assert "Nothing was removed" in made.err
            assert "nobody ever opens what was sealed to it" in made.err
            assert "remembers 1 other vault" in made.err
        assert before < files(world.folder / "home")
        made = world.call("forget", world.vault, text=" forget \n")
        assert made.code == 0
        assert files(world.folder / "home") == {f"known/{'07' * 32}"}

    def test_who_keeps_the_identity_is_not_warned_of_its_loss(
        self, world: World, at_terminal: None
    ) -> None:
        made = world.call("forget", "--all", "--keep-identity", text="forget\n")
        assert made.code == 0
        assert "nobody ever opens" not in made.err
        assert files(world.folder / "home") == {"identity.age"}

    def test_the_identity_that_is_named_goes_and_the_usual_one_is_mentioned(
        self, world: World
    ) -> None:
        home, mine = world.folder / "home", world.folder / "reader.age"
        made = world.call("forget", "--all", "--yes", "-i", mine)
        assert made.code == 0
        assert not mine.exists()
        assert files(home) == {"identity.age"}
        assert f"Still there, for another one was named: {home / 'identity.age'}" in made.err
        env = {"EVAULT_IDENTITY": str(home / "identity.age")}
        assert world.call("forget", "--all", "--yes", env=env).code == 0
        assert not home.exists()

    def test_a_link_goes_with_the_file_that_it_leads_to(self, world: World) -> None:
        home, stick = world.folder / "home", world.folder / "stick"
        stick.mkdir()
        (home / "identity.age").rename(stick / "me.age")
        (stick / ".me.age.01234567.new").touch()
        (home / "identity.age").symlink_to("../stick/me.age")
        made = world.call("forget", "--all", "--yes")
        assert made.code == 0
        assert made.out.startswith(str(home / "../stick/me.age"))
        assert files(stick) == set()
        assert not home.exists()

    def test_links_in_a_circle_end(self, world: World) -> None:
        home = world.folder / "home"
        (home / "identity.age").unlink()
        (home / "identity.age").symlink_to("identity.age")
        assert world.call("forget", "--all", "--yes").code == 0
        assert not home.exists()

    def test_a_file_that_is_no_identity_is_not_removed(self, world: World) -> None:
        photo = world.folder / "evidence/photo.jpg"
        made = world.call("forget", "--all", "--yes", "-i", photo)
        assert (made.code, made.out) == (2, "")
        assert "no identity file" in made.err
        assert photo.exists()
        assert LocalState(world.folder / "home").remembered()
        # What an earlier attempt overwrote, and could not remove, is no longer one either.
        for content in (b"", bytes(600)):
            photo.write_bytes(content)
            assert world.call("forget", "--all", "--yes", "-i", photo).code == 0
            assert not photo.exists()

    def test_what_cant_be_removed_keeps_nothing_else_and_is_named(self, world: World) -> None:
        home = world.folder / "home"
        (home / "identity.age").unlink()
        (home / "identity.age/x").mkdir(parents=True)
        made = world.call("forget", "--all", "--yes", "--json")
        assert made.code == 5
        (failed,) = made.json["failed"]
        assert failed["path"] == str(home / "identity.age")
        assert "NOT removed" in made.err
        assert LocalState(home).remembered() == ()


# --- what this machine remembers ------------------------------------------------------------------

VAULT, OTHER = b"\x11" * 32, b"\x12" * 32
RECORD = AuditRecord(size=1, root="00", time=1, evidence_read=1)


def test_what_is_remembered_is_listed_by_vault(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    assert (state.remembered(), state.traces(every=True)) == ((), ())
    state.set_known(VAULT)
    state.set_audit_record(OTHER, RECORD)
    (tmp_path / "known" / f"{OTHER.hex()}.checkpoint").touch()
    (tmp_path / "known/notes").touch()
    assert state.remembered() == (VAULT, OTHER)
    assert state.traces(VAULT) == (tmp_path / "known" / VAULT.hex(),)
    assert state.traces(OTHER) == (tmp_path / "audits" / f"{OTHER.hex()}.json",)
    assert len(state.traces(every=True)) == 2
    state.forget(VAULT, OTHER)
    assert files(tmp_path) == {f"known/{OTHER.hex()}.checkpoint", "known/notes"}


def test_a_folder_that_cant_be_listed_is_named_and_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = LocalState(tmp_path / "home")
    state.set_known(VAULT)
    state.set_audit_record(VAULT, RECORD)
    original = os.listdir

    def refused(path: Any) -> list[str]:
        if Path(path).name == "known":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "listdir", refused)
    forgotten = state.forget(VAULT)
    assert forgotten.failed == ((str(tmp_path / "home/known"), "Permission denied"),)
    assert str(tmp_path / f"home/audits/{VAULT.hex()}.json") in forgotten.removed
    assert state.remembered() == ()
    (tmp_path / "home/known" / VAULT.hex()).unlink()


def test_a_file_is_overwritten_and_flushed_before_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.age"
    path.write_bytes(b"secret" * 100)
    seen: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        # By then the whole file is NULs, and the directory no longer has it.
        seen.append(("sync", path.read_bytes() if path.exists() else b"gone"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    forgotten = LocalState(tmp_path / "home").forget(identity=path)
    assert forgotten.removed == (str(path),)
    assert seen == [("sync", bytes(600)), ("sync", b"gone")]


def test_another_name_of_the_same_file_is_left_as_it_is(tmp_path: Path) -> None:
    path, copy = tmp_path / "identity.age", tmp_path / "copy.age"
    path.write_bytes(b"secret")
    os.link(path, copy)
    LocalState(tmp_path / "home").forget(identity=path)
    assert not path.exists()
    assert copy.read_bytes() == b"secret"


def test_what_cant_be_overwritten_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.age"
    path.write_bytes(b"secret")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vault.localstate.write_all", full)
    assert LocalState(tmp_path / "home").forget(identity=path).removed == (str(path),)
    assert not path.exists()


def test_what_goes_away_meanwhile_is_neither_removed_nor_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.age"
    path.write_bytes(b"secret")

    def late(one: Path) -> None:
        one.unlink()
        _erase(one)

    monkeypatch.setattr("vault.localstate._erase", late)
    forgotten = LocalState(tmp_path / "home").forget(identity=path)
    assert (forgotten.removed, forgotten.failed) == ((), ())
