"""``evault destroy`` and ``evault rekey``: what they ask, say, refuse and leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Outcome, World
from vault import LocalStore

WHY = ("--authority", "order 7 of the court", "--reason", "the witness asked")
PASSPHRASE = "a passphrase of somebody"


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    return outcome


def one_line(text: str) -> str:
    return " ".join(text.split())


def newcomer(world: World, name: str, *roles: str) -> tuple[str, ...]:
    """Make an identity, let the owner admit it, and return the options that unlock it."""
    file, passphrase = world.folder / f"{name}.age", world.folder / f"{name}.txt"
    passphrase.write_text(f"{PASSPHRASE}\n")
    options = ("-i", str(file), "--passphrase-file", str(passphrase))
    done(world.call("identity", "new", "-o", file, *options[2:], "--work-factor", 10))
    card = world.folder / f"{name}.card"
    done(world.call("card", *options, "-o", card, "--name", name))
    given = [part for role in roles for part in ("--role", role)]
    done(world.call("admit", world.vault, card, *given, "--checked", "by voice", *world.owner))
    return options


def epochs(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(
        world.call("rekey", world.vault, "--status", "--json", *world.reader)
    ).json["epochs"]
    return found


def parts(world: World) -> list[str]:
    return [name for name in world.files() if "evidence." in name]


def unchanged(world: World, before: dict[str, bytes]) -> bool:
    return {name: data for name, data in world.files().items() if "tmp" not in name} == before


# --- destroy --------------------------------------------------------------------------------------


def test_it_is_destroyed_and_says_what_remains_and_where_copies_may_be(world: World) -> None:
    done(
        world.call(
            "open", world.vault, world.bundle, "-o", world.folder / "out", "--purpose", "a look",
            "--vault-id", _vault_id(world), *world.reader,
        )
    )  # fmt: skip
    shown = done(world.call("destroy", world.vault, world.bundle[:9], "--yes", *WHY, *world.owner))
    text = one_line(shown.out)
    assert f"Destroyed {world.bundle}" in text
    assert "Deleted 4 files" in text
    assert "What remains in this vault: Events 3, 4, 5 of its chain" in text
    assert "Authority and reason, for readers: with event 5." in text
    assert "opened into a folder by Reader Bé" not in text  # names are for readers
    assert "opened into a folder by" in text
    for other in ("Other copies of this vault", "files that it was sealed from", "flash memory"):
        assert other in text
    (epoch,) = epochs(world)
    assert f"`evault rekey {world.vault} --shred-epoch {epoch['epoch']}`" in text
    assert parts(world) == []
    chain = done(world.call("custody", world.vault, world.bundle, *world.reader)).out
    assert "order 7 of the court" in chain
    assert "destroyed" in chain
    verified = done(world.call("verify", world.vault, "--deep", *world.reader))
    assert "ntact" in verified.out
    again = world.call("destroy", world.vault, world.bundle, "--yes", *WHY, *world.owner)
    assert (again.code, again.out) == (3, "")
    assert "the bundle was destroyed" in again.err


def _vault_id(world: World) -> str:
    return str(done(world.call("list", world.vault, "--json")).json["vault"])


def test_json_says_the_same(world: World) -> None:
    shown = done(
        world.call("destroy", world.vault, world.bundle, "--yes", "--json", *WHY, *world.owner)
    ).json
    assert shown.keys() == {
        "vault", "bundle", "event", "deleted", "undeleted", "remains", "elsewhere", "leftovers",
        "epochs", "withheld", "unread", "cleared",
    }  # fmt: skip
    assert (shown["event"], shown["deleted"], shown["undeleted"]) == (4, 3, [])
    assert (shown["withheld"], shown["unread"], shown["cleared"]) == ([], [], 0)
    assert shown["remains"] == {"events": [3, 4], "stated": [4]}
    assert shown["elsewhere"]["events"] == []
    assert shown["elsewhere"]["always"] == ["copies", "sources", "unrecorded", "medium"]
    assert shown["epochs"] == [one["epoch"] for one in epochs(world)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--yes",), "--authority TEXT and --reason TEXT"),
        (("--yes", "--authority", "x"), "--authority TEXT and --reason TEXT"),
        (("--yes", "--authority", "", "--reason", "x"), "--authority"),
        (("--request", "--approve", *WHY), "exclude each other"),
        (WHY, "add --yes"),
        (("--yes", "--occurred-at", "2026-03-01", *WHY), "go together"),
    ],
)
def test_what_is_not_said_in_full_destroys_nothing(
    world: World, arguments: tuple[str, ...], says: str
) -> None:
    before = world.files()
    refused = world.call("destroy", world.vault, world.bundle, *arguments, *world.owner)
    assert (refused.code, refused.out) == (2, "")
    assert says in refused.err
    assert unchanged(world, before)


def test_others_than_the_holder_are_refused(world: World) -> None:
    before = world.files()
    refused = world.call(
        "destroy", world.vault, world.bundle, "--yes", *WHY, "--vault-id", _vault_id(world),
        *world.reader,
    )  # fmt: skip
    assert refused.code == 3
    assert "not done (destroyed, bundle" in refused.err
    assert unchanged(world, before)
    nobody = world.call("destroy", world.vault, "f" * 8, "--yes", *WHY, *world.owner)
    assert (nobody.code, nobody.out) == (2, "")
    short = world.call("destroy", world.vault, world.bundle[:7], "--yes", *WHY, *world.owner)
    assert (short.code, short.out) == (2, "")
    assert "Give at least 8 digits" in short.err
    assert unchanged(world, before)


@pytest.mark.parametrize("typed", ["right", "wrong", "nothing"])
def test_a_terminal_asks_for_the_bundle_s_digits(
    world: World, at_terminal: None, typed: str
) -> None:
    before = world.files()
    text = {"right": world.bundle[:8].upper(), "wrong": "00000000", "nothing": ""}[typed]
    shown = world.call("destroy", world.vault, world.bundle, *WHY, *world.owner, text=f"{text}\n")
    assert f"This destroys bundle {world.bundle}" in one_line(shown.err)
    assert "  title: " not in shown.err  # the owner does not read
    assert "  holder: " in shown.err
    if typed == "right":
        assert (shown.code, parts(world)) == (0, [])
        return
    assert (shown.code, shown.out) == (2, "")
    assert "Those are not its digits. Nothing was destroyed." in shown.err
    assert unchanged(world, before)


def test_a_reader_is_shown_the_title_before_the_question(world: World, at_terminal: None) -> None:
    done(
        world.call(
            "admit", world.vault, "me", "--role", "owner", "--role", "custodian",
            "--role", "reader", *world.owner,
        )
    )  # fmt: skip
    own = done(
        world.call("seal", world.vault, world.folder / "evidence", "--title", "Mine", *world.owner)
    ).out.strip()
    shown = world.call("destroy", world.vault, own, *WHY, *world.owner, text="no\n")
    assert shown.code == 2
    assert shown.err.index("  title: Mine") < shown.err.index("Type its first 8 digits")


def test_circumstances_are_recorded(world: World) -> None:
    done(
        world.call(
            "destroy", world.vault, world.bundle, "--yes", *WHY, *world.owner,
            "--occurred-at", "2026-03-01", "--late-because", "on paper first",
        )
    )  # fmt: skip
    chain = done(world.call("custody", world.vault, world.bundle, *world.reader)).out
    assert "on paper first" in chain


def test_a_file_that_can_t_be_deleted_is_told_as_such_and_deleted_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalStore.delete

    def delete(self: LocalStore, name: str) -> None:
        if name.startswith("fields/"):
            raise OSError(5, "Input/output error", name)
        original(self, name)

    extra = world.vault / "fields/ab/extra"
    extra.parent.mkdir(exist_ok=True)
    extra.write_bytes(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "delete", delete)
        shown = world.call("destroy", world.vault, world.bundle, "--yes", *WHY, *world.owner)
    assert shown.code == 5
    assert f"Destroyed     {world.bundle}" in shown.out or "Destroyed" in shown.out
    said = one_line(shown.err)
    assert "The bundle is destroyed, event 4; 1 file could not be deleted yet, such as fields/" in (
        said
    )
    assert "1 file in this vault that no event calls for" in said
    noted = done(world.call("verify", world.vault))
    assert "deletes those of a bundle, and so does `evault doctor`" in one_line(noted.out)
    done(world.call("note", world.vault, "--text", "the next", *world.owner))
    assert not (world.vault / "bundles" / world.bundle).exists()
    assert "pending-deletion" not in done(world.call("verify", world.vault, "--json")).out


# --- two persons ----------------------------------------------------------------------------------


@pytest.fixture
def strict(world: World) -> World:
    """A vault of its own that wants two persons, with a bundle."""
    place = world.folder / "strict"
    done(
        world.call(
            "init", place, "--reader", world.folder / "reader.card",
            "--policy", "two-person-destroy", *world.owner,
        )
    )  # fmt: skip
    sealed = done(world.call("seal", place, world.folder / "evidence", *world.owner))
    (world.folder / "vault").rename(world.folder / "other")
    place.rename(world.folder / "vault")
    return World(world.folder, sealed.out.strip())


def test_two_persons_destroy_step_by_step(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = newcomer(strict, "nina", "custodian", "reader")
    ident = ("--vault-id", _vault_id(strict))
    call = lambda *more: strict.call("destroy", strict.vault, strict.bundle, *more)  # noqa: E731
    early = call("--yes", *WHY, *strict.owner)
    assert (early.code, early.out) == (3, "")
    assert "Nothing was destroyed. This vault wants two persons for it." in early.err
    assert "--request" in early.err
    none = call("--approve", *other, *ident)
    assert none.code == 3
    assert "Nobody has asked for the destruction" in none.err
    asked = done(call("--request", *WHY, *strict.owner))
    assert "Nothing is deleted" in asked.err
    waiting = call("--yes", *WHY, *strict.owner)
    assert waiting.code == 3
    assert "--approve" in waiting.err
    own = call("--approve", *strict.owner)
    assert own.code == 3
    assert "one's own request can't be approved" in own.err
    assert f"{strict.vault} {strict.bundle[:12]} --approve --authority TEXT" in waiting.err
    approved = done(call("--approve", "--json", *other, *ident))
    assert approved.json["bundle"] == strict.bundle
    assert "order 7 of the court" in approved.err
    assert "the witness asked" in approved.err
    with monkeypatch.context() as patched:
        patched.setattr("evault_cli.prompt.can_ask", lambda: True)
        stopped = strict.call(
            "destroy", strict.vault, strict.bundle, *WHY, *strict.owner, text="no\n"
        )
    assert stopped.code == 2
    assert "requested by: " in stopped.err
    assert "approved by: " in stopped.err
    shown = done(call("--yes", "--json", *WHY, *strict.owner)).json
    assert shown["remains"]["stated"] == [int(asked.out), approved.json["event"], shown["event"]]
    assert done(strict.call("verify", strict.vault, "--deep", *strict.reader)).err is not None


def test_an_approver_who_does_not_read_sees_that_it_is_sealed(strict: World) -> None:
    other = newcomer(strict, "nina", "custodian")
    done(strict.call("destroy", strict.vault, strict.bundle, "--request", *WHY, *strict.owner))
    approved = done(
        strict.call(
            "destroy", strict.vault, strict.bundle, "--approve", "--reason", "seen on paper",
            "--vault-id", _vault_id(strict), *other,
        )
    )  # fmt: skip
    assert "authority: [sealed]" in approved.err
    assert int(approved.out) > 0


# --- rekey ----------------------------------------------------------------------------------------


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = done(
        world.call("rekey", world.vault, "--status", "--json", *world.reader)
    ).json
    return found


def test_with_nothing_to_do_it_says_so(world: World) -> None:
    ident = ("--vault-id", _vault_id(world))
    for more, says in (
        ((), "Nothing to encrypt again"),
        (("--confirm",), "There is nothing to confirm."),
        (("--prune",), "There is nothing to delete."),
        (("--status",), "Nothing is left to do."),
    ):
        shown = done(world.call("rekey", world.vault, *more, *ident, *world.reader))
        assert says in one_line(shown.err)
    assert status(world)["next"] == "nothing"


def test_an_old_readers_key_goes_step_by_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = newcomer(world, "nina", "reader")
    ident = ("--vault-id", _vault_id(world))
    call = lambda *more, **given: world.call(  # noqa: E731
        "rekey", world.vault, *more, *ident, **given
    )
    first, _ = (one["epoch"] for one in epochs(world))
    assert status(world)["next"] == "grant"
    left = done(call(*world.reader))
    assert "that not every reader may open now" in one_line(left.err)
    assert left.out == ""
    members = done(world.call("show", world.vault, "--json", *world.reader)).json["members"]
    nina = next(one for one in members if one["name"] == "nina")
    done(world.call("grant", world.vault, nina["fingerprint"][:16], *ident, *world.reader))
    begun = call("--shred-epoch", first[:6], "--json", *world.owner)
    assert (done(begun).json["next"], begun.json["epochs"]) == ("rekey", [first])
    assert f"`evault rekey {world.vault}`" in begun.err
    encrypted = done(call("--reason", "a reader left", *world.reader))
    assert int(encrypted.out) > 0
    assert "The old ones are still there." in encrypted.err
    assert "Next: Another reader opens the new files" in encrypted.err
    own = done(call("--confirm", "--json", *world.reader))
    assert (own.json["events"], own.json["own"]) == ([], 1)
    assert "another reader has to confirm it" in own.err
    confirmed = done(call("--confirm", *other))
    assert "all are right" in confirmed.err
    early = done(call("--shred-epoch", first, *world.owner))
    assert "Not shredded yet." in early.err
    assert "--prune" in early.err
    shown = done(call("--status", *world.reader))
    assert "To prune" in shown.out
    pruned = done(call("--prune", *world.reader))
    assert "Deleted: " in pruned.err
    ready = call("--shred-epoch", first, *world.owner)
    assert (ready.code, ready.out) == (2, "")
    assert "add --yes to do it. Nothing was destroyed." in ready.err
    with monkeypatch.context() as patched:
        patched.setattr("evault_cli.prompt.can_ask", lambda: True)
        wrong = call("--shred-epoch", first, *world.owner, text="00000000\n")
        assert (wrong.code, wrong.out) == (2, "")
        assert "Those are not its digits. Nothing was destroyed." in wrong.err
        assert not next(one for one in epochs(world) if one["epoch"] == first)["shredded"]
        gone = done(call("--shred-epoch", first, *world.owner, text=f"{first[:8]}\n"))
    assert f"This destroys readers' key {first}" in gone.err
    assert "is gone from this vault" in one_line(gone.err)
    assert "gone already" in done(call("--shred-epoch", first, *world.owner)).err
    table = done(call("--status", *world.reader)).out
    assert "shredded" in table
    assert "newest" in table
    for who in (world.reader, other):
        deep = done(world.call("verify", world.vault, "--deep", "--json", *ident, *who)).json
        assert (deep["verdict"], deep["findings"]) == ("intact", [])
    out = world.folder / "out"
    done(world.call("open", world.vault, world.bundle, "-o", out, "--purpose", "x", *ident, *other))
    assert (out / "files").exists()


def test_epochs_that_go_together_are_named(world: World) -> None:
    done(
        world.call(
            "admit", world.vault, "me", "--role", "owner", "--role", "custodian",
            "--role", "reader", *world.owner,
        )
    )  # fmt: skip
    newcomer(world, "nina", "reader")
    _, second, third = (one["epoch"] for one in epochs(world))
    shown = done(world.call("rekey", world.vault, "--shred-epoch", second, *world.owner))
    assert f"These go together, as their files open one another: {second}, {third}." in (
        one_line(shown.err)
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--confirm", "--shred-epoch", "aa"), 2, "exclude each other"),
        (("--status", "--reason", "x"), 2, "leave out what is to be kept"),
        (("--prune", "--yes"), 2, "--yes goes with --shred-epoch"),
        (("--shred-epoch", "zz"), 2, "no epoch begins so"),
        ((), 3, "does not have the role"),
        (("--confirm",), 3, "does not have the role"),
    ],
)
def test_what_can_t_be_done_changes_nothing(
    world: World, arguments: tuple[str, ...], code: int, says: str
) -> None:
    before = world.files()
    refused = world.call("rekey", world.vault, *arguments, *world.owner)
    assert (refused.code, refused.out) == (code, "")
    assert says in one_line(refused.err)
    assert unchanged(world, before)


@pytest.fixture
def begun(world: World) -> tuple[World, tuple[str, ...], tuple[str, ...]]:
    """A vault of two readers in which a new readers' key was made; both may write."""
    other = newcomer(world, "nina", "reader")
    ident = ("--vault-id", _vault_id(world))
    members = done(world.call("show", world.vault, "--json", *world.reader)).json["members"]
    nina = next(one for one in members if one["name"] == "nina")
    done(world.call("grant", world.vault, nina["fingerprint"][:16], *ident, *world.reader))
    return world, (*world.reader, *ident), (*other, *ident)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def new_files(world: World) -> list[Path]:
    (manifest,) = (world.vault / "keys").glob("*.files")
    return [world.vault / line.split()[1] for line in manifest.read_text().splitlines()]


def test_damaged_files_are_named_and_left(begun: Any) -> None:
    world, reader, _ = begun
    (key,) = (world.vault / "bundles" / world.bundle).glob("key.*")
    flip(key)
    shown = world.call("rekey", world.vault, "--json", *reader)
    assert shown.code == 1
    name = key.relative_to(world.vault).as_posix()
    assert [one["name"] for one in shown.json["damaged"]] == [name]
    assert name in shown.err
    assert "1 file damaged, and left unchanged" in shown.err
    assert shown.json["files"] > 3


def test_bad_new_files_are_neither_confirmed_nor_pruned(begun: Any) -> None:
    world, reader, other = begun
    done(world.call("rekey", world.vault, *reader))
    files = new_files(world)
    for path in files:
        flip(path)
    shown = world.call("rekey", world.vault, "--confirm", *other)
    assert (shown.code, shown.out) == (1, "")
    assert f"{len(files)} files with faults, so nothing was confirmed" in shown.err
    assert shown.err.count("fields/") <= 10
    assert "more; --json lists all" in shown.err or len(files) <= 10
    for path in files:
        flip(path)
    done(world.call("rekey", world.vault, "--confirm", *other))
    flip(files[0])
    shown = world.call("rekey", world.vault, "--prune", "--json", *reader)
    assert (shown.code, shown.json["events"], shown.json["deleted"]) == (1, [], 0)
    assert "1 file with faults, so that no old file was deleted" in shown.err


def test_old_files_that_can_t_be_deleted_are_told(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reader, other = begun
    done(world.call("rekey", world.vault, *reader))
    done(world.call("rekey", world.vault, "--confirm", *other))

    def delete(self: LocalStore, name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "delete", delete)
        shown = world.call("rekey", world.vault, "--prune", *reader)
    assert shown.code == 5
    assert "Done, event" in shown.err
    assert "could not be deleted yet" in shown.err
    found = done(world.call("doctor", world.vault, "--json"))
    assert json.loads(found.out)["leftovers"] == []
    # Only who opens the new files can say that the old ones are not needed.
    left = json.loads(found.out)["undeleted"]
    assert left
    assert status(world)["next"] == "prune"
    again = done(world.call("rekey", world.vault, "--prune", *reader))
    assert f"Deleted: {len(left)} old files." in again.err
    assert status(world)["next"] == "nothing"
    again = done(world.call("rekey", world.vault, "--prune", *reader))
    assert "There is nothing to delete." in again.err


def test_new_files_that_are_not_open_are_told(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.deletion import Deletion
    from vault.rekeying import Pruning

    world, reader, _ = begun
    found = Pruning((), Deletion(), (), (), ("fields/aa",))
    monkeypatch.setattr("vault.rekeying.prune", lambda *_, **__: found)
    shown = done(world.call("rekey", world.vault, "--prune", *reader))
    assert "Old files were left, of 1 new file closed to you" in shown.err
    assert "nothing to delete" not in shown.err


def test_a_bundle_is_not_destroyed_while_a_list_of_its_files_is_damaged(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.deletion import Deletion

    world, reader, other = begun
    for step in ((*reader,), ("--confirm", *other), ("--prune", *reader)):
        done(world.call("rekey", world.vault, *step))
    (manifest,) = (world.vault / "keys").glob("*.files")
    flip(manifest)
    ask = ("destroy", world.vault, world.bundle, "--yes", *WHY, *world.owner)
    shown = world.call(*ask)
    assert (shown.code, shown.out) == (3, "")
    assert manifest.name in shown.err
    assert "put it back from a good copy first" in one_line(shown.err)
    assert (world.vault / "bundles" / world.bundle).exists()
    withheld = Deletion(2, (), ("keys/bb",), (), (), (f"keys/{manifest.name}",))
    with monkeypatch.context() as patched:
        patched.setattr("vault.destruction.finish_deletions", lambda _: withheld)
        patched.setattr("vault.destruction.clear_abandoned", lambda *_: 3)
        shown = done(world.call(*ask, "--incomplete"))
    assert "Private fields of this bundle may have stayed: 1 list of re-encrypted" in shown.err
    assert "Not deleted: 1 other file that should be gone, such as keys/bb" in one_line(shown.err)
    assert "3 files of interrupted work" in shown.out


def test_what_is_withheld_is_told(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.deletion import Deletion

    world, reader, _ = begun
    monkeypatch.setattr(
        "vault.rekeying.pruning.finish_deletions", lambda _: Deletion(withheld=("fields/aa",))
    )
    shown = done(world.call("rekey", world.vault, "--prune", *reader))
    assert "Not deleted: 1 file still needed" in shown.err
