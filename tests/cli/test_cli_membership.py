"""``evault admit``, ``remove`` and ``grant``, and how a member is named on the command line."""

from __future__ import annotations

import datetime
import errno
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Outcome, World
from vault import Identity, LocalStore, PublicKeys, Vault, parse_card, parse_identity_file

PASSPHRASE = "a passphrase of somebody"


def newcomer(world: World, name: str, shown: str | None = None) -> tuple[str, ...]:
    """Make an identity and its card NAME.card; return the options that unlock it."""
    file, passphrase = world.folder / f"{name}.age", world.folder / f"{name}.txt"
    passphrase.write_text(f"{PASSPHRASE}\n")
    options = ("-i", str(file), "--passphrase-file", str(passphrase))
    made = world.call("identity", "new", "-o", file, *options[2:], "--work-factor", 10)
    assert made.code == 0, made.err
    card = world.call("card", *options, "-o", card_of(world, name), "--name", shown or name)
    assert card.code == 0, card.err
    return options


def card_of(world: World, name: str) -> Path:
    return world.folder / f"{name}.card"


def fingerprint(world: World, name: str) -> str:
    return parse_card(card_of(world, name).read_bytes()).keys.fingerprint.hex()


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    return outcome


def admitted(world: World, name: str, *more: object, shown: str | None = None) -> tuple[str, ...]:
    """Make an identity and let the owner admit it; return the options that unlock it."""
    options = newcomer(world, name, shown)
    roles = more or ("--role", "reader")
    check = ("--checked", "read aloud")
    done(world.call("admit", world.vault, card_of(world, name), *roles, *check, *world.owner))
    return options


def vault_id(world: World) -> str:
    return str(done(world.call("list", world.vault, "--json")).json["vault"])


# --- admit --------------------------------------------------------------------------------------


def test_the_card_is_shown_and_the_newcomer_reads_what_is_sealed_from_now_on(world: World) -> None:
    nina = newcomer(world, "nina", "Nina")
    outcome = world.call(
        "admit", world.vault, card_of(world, "nina"), "--role", "reader",
        "--checked", "read aloud by telephone", "--checked-by", "Asma",
        "--checked-at", "2026-03-01T14:05+05:00", "--reason", "joins", *world.owner,
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "4\n")
    digits = fingerprint(world, "nina")
    groups = [digits[at : at + 4] for at in range(0, 64, 4)]
    assert (
        f"Nina, fingerprint:\n  {' '.join(groups[:8])}\n  {' '.join(groups[8:])}\n" in outcome.err
    )
    assert "Admitted, as event 4: Nina (" in outcome.err
    assert "Only these can open what is sealed from now on: " in outcome.err
    assert "because it is not yours to open: 1 bundle" in outcome.err
    assert "Warning" not in outcome.err
    sealed = done(world.call("seal", world.vault, world.folder / "evidence", *world.owner))
    opened = ("--purpose", "a look", "--vault-id", vault_id(world), *nina)
    kept = world.call("open", world.vault, sealed.out.strip(), "-o", world.folder / "o", *opened)
    assert kept.code == 0, kept.err
    refused = world.call("open", world.vault, world.bundle, "-o", world.folder / "p", *opened)
    assert refused.code == 4
    shown = done(world.call("show", world.vault, *nina))
    assert "Fingerprint compared" in shown.out
    assert "read aloud by telephone, Asma, 2026-03-01T14:05+05:00" in shown.out
    (checked,) = [
        one["checked"]
        for one in done(world.call("show", world.vault, "--json", *nina)).json["members"]
        if one["fingerprint"] == digits
    ]
    assert checked == {
        "how": "read aloud by telephone",
        "by": "Asma",
        "at": "2026-03-01T14:05+05:00",
    }
    keyless = done(world.call("show", world.vault, "--json"))
    assert {one["checked"] for one in keyless.json["members"]} == {None}
    assert "compared" not in done(world.call("show", world.vault)).out


def test_as_json_an_admission_says_all_that_came_of_it(world: World) -> None:
    newcomer(world, "nina", "Nina")
    told = done(
        world.call(
            "admit", world.vault, card_of(world, "nina"), "--role", "reader", "--role", "custodian",
            "--not-checked", "--json", *world.owner,
        )
    ).json  # fmt: skip
    member = {"fingerprint": fingerprint(world, "nina"), "name": "Nina"}
    assert told["member"] == member
    assert (told["roles"], told["roles_before"]) == (["custodian", "reader"], None)
    assert (told["event"], told["checked"], told["closed"]) == (4, "not checked", [world.bundle])
    assert member in told["readers"]
    assert (len(told["readers"]), len(told["owners"]), len(told["epoch"])) == (2, 1, 16)


def test_who_was_not_checked_is_warned_of_and_can_be_checked_later(world: World) -> None:
    newcomer(world, "nina", "Nina")
    card = card_of(world, "nina")
    common = (world.vault, card, "--role", "reader")
    assert (
        "Warning: nobody" in done(world.call("admit", *common, "--not-checked", *world.owner)).err
    )
    again = done(world.call("admit", *common, "--checked", "by voice", *world.owner))
    assert "Recorded, as event 6: Nina (" in again.err
    assert "Roles, as before: reader." in again.err
    assert "Warning" not in again.err
    # Other roles for one who is there need no new look at the fingerprint.
    other = done(world.call("admit", world.vault, card, "--role", "custodian", *world.owner))
    assert "Roles: custodian; before: reader." in other.err
    record = done(world.call("admit", *common, "--json", *world.owner)).json
    assert (record["roles_before"], record["checked"]) == (["custodian"], None)


def test_without_a_terminal_one_must_say_how_the_fingerprint_was_checked(world: World) -> None:
    newcomer(world, "nina")
    before = world.files()
    outcome = world.call(
        "admit", world.vault, card_of(world, "nina"), "--role", "reader", *world.owner
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert "--checked TEXT" in outcome.err
    assert "--not-checked" in outcome.err
    assert world.files() == before


@pytest.mark.parametrize(
    ("answer", "recorded"),
    [
        ("face to face\n", "face to face"),
        ("y\nYES\nby phone\n", "by phone"),
        ("\n'Not compared'\n", "not checked"),
    ],
)
@pytest.mark.usefixtures("at_terminal")
def test_at_a_terminal_it_is_asked_how(world: World, answer: str, recorded: str) -> None:
    newcomer(world, "nina")
    outcome = world.call(
        "admit", world.vault, card_of(world, "nina"), "--role", "reader", "--json", *world.owner,
        text=answer,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.json["checked"] == recorded
    assert outcome.err.index("fingerprint:") < outcome.err.index("Is this the fingerprint")
    assert ("Warning: nobody" in outcome.err) == (recorded == "not checked")
    if recorded == "not checked":
        assert outcome.err.index("Warning: nobody") < outcome.err.index("Admitted, as event")


@pytest.mark.usefixtures("at_terminal")
def test_whoever_only_says_yes_admits_nobody(world: World) -> None:
    newcomer(world, "nina")
    before = world.files()
    outcome = world.call(
        "admit", world.vault, card_of(world, "nina"), "--role", "reader", *world.owner,
        text="y\n\nno\nby phone\n",
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (2, "")
    assert "It was not said how the fingerprint was compared." in outcome.err
    assert world.files() == before


def test_an_owner_makes_himself_a_reader(world: World) -> None:
    outcome = done(world.call("admit", world.vault, "me", *_roles("owner", "reader"), *world.owner))
    assert "You, fingerprint:" in outcome.err
    assert "Roles: owner, reader; before: custodian, owner." in outcome.err
    assert "Warning: one owner is left" in outcome.err
    assert "stays closed" in outcome.err
    done(world.call("grant", world.vault, "Asma", "--vault-id", vault_id(world), *world.reader))
    assert "First" in done(world.call("list", world.vault, *world.owner)).out
    # Now he reads the newest, and gives on what came with it.
    admitted(world, "nina")
    record = done(world.call("verify", world.vault, "--deep", "--json", *world.owner)).json
    assert record["verdict"] == "intact"


def _roles(*roles: str) -> tuple[str, ...]:
    return tuple(part for role in roles for part in ("--role", role))


def test_an_owner_who_is_new_may_admit_himself_as_a_reader(world: World) -> None:
    second = admitted(world, "second", "--role", "owner")
    options = ("--vault-id", vault_id(world), *second)
    record = done(
        world.call("admit", world.vault, "me", *_roles("owner", "reader"), "--json", *options)
    ).json
    assert record["roles_before"] == ["owner"]
    assert len(record["owners"]) == 2


def test_history_is_given_or_kept_as_the_owner_says(world: World) -> None:
    done(world.call("admit", world.vault, "me", *_roles("owner", "reader"), *world.owner))
    for name, more, said in (
        ("kept", ("--no-history",), "as asked: 0 bundles"),
        ("later", (), "because a change of readers before this one left it out: 1 bundle"),
    ):
        newcomer(world, name)
        outcome = world.call(
            "admit", world.vault, card_of(world, name), "--role", "reader", "--not-checked", *more,
            *world.owner,
        )  # fmt: skip
        assert outcome.code == 0
        assert ("stays closed" in outcome.err, said.split(":")[0] in outcome.err) == (True, True)


def test_what_was_sealed_before_opens_to_a_newcomer_whose_owner_always_read(
    world: World, tmp_path: Path
) -> None:
    place = tmp_path / "mine"
    done(world.call("init", place, "--reader", "me", *world.owner))
    newcomer(world, "nina")
    outcome = world.call(
        "admit", place, card_of(world, "nina"), "--role", "reader", "--not-checked", *world.owner
    )
    assert "What was sealed before is open to them as well." in outcome.err


def test_a_namesake_is_warned_of(world: World) -> None:
    done(world.call("admit", world.vault, "me", *_roles("owner", "reader"), *world.owner))
    admitted(world, "nina", shown="Nina")
    newcomer(world, "other", "NINA")
    outcome = world.call(
        "admit", world.vault, card_of(world, "other"), "--role", "reader", "--not-checked",
        *world.owner,
    )  # fmt: skip
    assert outcome.code == 0
    assert "Warning: another goes by that name in this vault: Nina (" in outcome.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--role", "custodian", "--no-history", "--not-checked"), "add --role reader"),
        (("--role", "reader", "--checked", "x", "--not-checked"), "exclude each other"),
        (("--role", "reader", "--not-checked", "--checked-by", "x"), "go with --checked"),
        (("--role", "reader", "--checked", " "), "--checked must be text"),
        (("--role", "reader", "--checked", "x", "--checked-at", "noon"), "--checked-at must be"),
        (("--role", "reader", "--checked", "x", "--reason", ""), "--reason must be text"),
        (("--checked", "x"), "Missing option '--role': owner, custodian or reader. `evault admit"),
        (("--role", "king", "--checked", "x"), "king"),
    ],
)
def test_an_admission_that_makes_no_sense_is_refused_before_anything_is_unlocked(
    world: World, options: tuple[str, ...], sentence: str
) -> None:
    outcome = world.call("admit", world.vault, world.folder / "reader.card", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err


def test_what_is_no_card_admits_nobody(world: World) -> None:
    (world.folder / "x.card").write_text("hello")
    for name, code in (("x.card", 3), ("missing.card", 5)):
        outcome = world.call(
            "admit", world.vault, world.folder / name, "--role", "reader", "--not-checked",
            *world.owner,
        )  # fmt: skip
        assert (outcome.code, outcome.out) == (code, "")
        assert name in outcome.err


# --- remove -------------------------------------------------------------------------------------


def test_a_removal_says_what_remains_to_be_done(world: World) -> None:
    admitted(world, "lena", "--role", "custodian")
    lena = ("-i", world.folder / "lena.age", "--passphrase-file", world.folder / "lena.txt")
    vault = ("--vault-id", vault_id(world))
    evidence = world.folder / "evidence"
    held = done(world.call("seal", world.vault, evidence, *vault, *lena)).out.strip()
    identity = parse_identity_file(
        (world.folder / "home/identity.age").read_bytes(), b"a passphrase of the owner"
    )
    key = parse_card(card_of(world, "lena").read_bytes()).keys.ed25519
    with Vault.open(world.vault, identity=identity) as opened:
        bundle = bytes.fromhex(world.bundle)
        opened.append("custody.released", bundle=bundle, data={"to": key})
    outcome = world.call(
        "remove", world.vault, card_of(world, "lena"), "--cause", "compromised",
        "--doubtful-from", "5", "--reason", "her laptop", *world.owner,
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "7\n")
    assert "Removed, as event 7: " in outcome.err
    assert "From event 5 on, what that key signed is disputed: 1 event." in outcome.err
    assert f"It still answers for 1 bundle ({held[:12]})" in outcome.err
    assert f"`evault assume {world.vault} {held[:12]} --authority TEXT" in outcome.err
    assert f"never accepted: 1 bundle ({world.bundle[:12]})" in outcome.err
    assert f"`evault recall {world.vault} {world.bundle[:12]}`" in outcome.err
    assert "Warning: one owner is left" in outcome.err
    assert "rekey" not in outcome.err  # she never read


@pytest.mark.parametrize("cause", ["left", "lost", "seized", "compromised", "died"])
def test_after_a_reader_is_removed_it_is_said_what_that_key_can_still_open(
    world: World, cause: str
) -> None:
    second = admitted(world, "second")
    done(world.call("seal", world.vault, world.folder / "evidence", *world.owner))
    digits = fingerprint(world, "second")
    outcome = world.call("remove", world.vault, digits[:12], "--cause", cause, *world.owner)
    assert outcome.code == 0
    assert "open what was sealed before" in outcome.err or "it can open still" in outcome.err
    assert "That is 1 bundle (" in outcome.err
    assert "`evault rekey`" in outcome.err
    assert "You do not read yourself" in outcome.err
    late = done(world.call("seal", world.vault, world.folder / "evidence", *world.owner))
    refused = world.call(
        "open", world.vault, late.out.strip(), "-o", world.folder / "o", "--unrecorded", *second
    )
    assert refused.code == 4
    told = done(world.call("show", world.vault, "--json", *second)).json
    (gone,) = [one for one in told["members"] if one["fingerprint"] == digits]
    assert gone["removed"] == 7


def test_an_owner_who_reads_hands_the_history_on_when_a_reader_goes(
    world: World, tmp_path: Path
) -> None:
    place = tmp_path / "mine"
    reader = world.folder / "reader.card"
    done(world.call("init", place, "--reader", "me", "--reader", reader, *world.owner))
    outcome = done(world.call("remove", place, reader, "--cause", "left", *world.owner))
    assert "Only these can open what is sealed from now on: " in outcome.err
    assert "You do not read yourself" not in outcome.err
    assert "rekey" not in outcome.err  # nothing was sealed yet


def test_as_json_a_removal_lists_bundles_and_members(world: World) -> None:
    admitted(world, "second")
    sealed = done(world.call("seal", world.vault, world.folder / "evidence", *world.owner))
    digits = fingerprint(world, "second")
    told = done(
        world.call("remove", world.vault, digits, "--cause", "lost", "--json", *world.owner)
    ).json
    assert told["member"]["fingerprint"] == digits
    assert (told["open"], told["held"], told["released"]) == ([sealed.out.strip()], [], [])
    assert (told["doubtful_from"], told["disputed"], len(told["epoch"])) == (None, 0, 16)
    assert (len(told["readers"]), len(told["owners"])) == (1, 1)


def refusal(world: World, *arguments: object) -> str:
    """Return the one sentence of a command that changes nothing."""
    before = world.files()
    outcome = world.call(*arguments)
    assert (outcome.code, outcome.out) == (3, ""), outcome.err
    assert world.files() == before
    return outcome.err


def test_what_a_rule_forbids_is_refused_with_what_to_do(world: World) -> None:
    vault, owner = world.vault, world.owner
    asma = str(done(world.call("show", vault, "--json")).json["members"][0]["fingerprint"])
    reader = world.folder / "reader.card"
    left = ("--cause", "left")
    said = refusal(world, "remove", vault, asma, *left, *owner)
    assert "the last owner can't go" in said
    assert f"`evault admit {vault} CARD --role owner`" in said
    said = refusal(world, "admit", vault, "me", "--role", "custodian", *owner)
    assert "the last owner can't go" in said
    said = refusal(world, "remove", vault, reader, *left, *owner)
    assert "the last reader can't go" in said
    assert "Admit another reader first" in said
    second = admitted(world, "second", "--role", "owner", "--role", "custodian")
    said = refusal(world, "remove", vault, asma, *left, *owner)
    assert "another owner must do that" in said
    assert "by that owner" in said
    card = card_of(world, "second")
    beyond = ("--doubtful-from", "99")
    said = refusal(world, "remove", vault, card, *left, *beyond, *owner)
    assert "doubt can't begin in the future" in said
    assert "counted from 0" in said
    done(world.call("remove", vault, card, *left, *owner))
    said = refusal(world, "admit", vault, card, "--role", "reader", "--not-checked", *owner)
    assert "a removed key never returns" in said
    assert "They make a new identity" in said
    known = ("--vault-id", vault_id(world), *second)
    said = refusal(world, "remove", vault, asma, *left, *known)
    assert "the identity was removed from this vault" in said
    said = refusal(world, "grant", vault, reader, *owner)
    assert "does not have the role" in said
    assert "`evault show` says who may" in said


def test_a_key_of_another_member_is_refused_with_what_to_do(world: World) -> None:
    taken = parse_card((world.folder / "reader.card").read_bytes()).keys
    own = Identity(b"\x31" * 32)
    # No command makes such a card; whoever changes the software could.
    vars(own)["keys"] = PublicKeys(own.keys.ed25519, own.keys.ml_dsa_44, taken.age)
    raw = own.card("Mallory", datetime.date(2026, 3, 1)).raw
    (world.folder / "m.card").write_bytes(raw)
    said = refusal(
        world, "admit", world.vault, world.folder / "m.card", "--role", "reader", "--not-checked",
        *world.owner,
    )  # fmt: skip
    assert "the key belongs to another member" in said
    assert "Each identity has keys of its own" in said


def test_a_full_medium_leaves_nothing_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer(world, "nina")
    before = world.files()

    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "full", "keys")

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "create", full)
        outcome = world.call(
            "admit", world.vault, card_of(world, "nina"), "--role", "reader", "--not-checked",
            *world.owner,
        )  # fmt: skip
    assert (outcome.code, outcome.out) == (5, "")
    assert "is full" in outcome.err
    assert "Nothing was added." in outcome.err
    assert world.files() == before


# --- grant --------------------------------------------------------------------------------------


def test_a_reader_opens_to_another_what_was_sealed_before(world: World) -> None:
    nina = admitted(world, "nina", shown="Nina")
    known = ("--vault-id", vault_id(world))
    outcome = world.call(
        "grant", world.vault, "nina", "--reason", "she needs it", "--occurred-at", "2026-02-01",
        "--late-because", "no device", *known, *world.reader,
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "6\n")
    assert (
        f"Granted, as event 6: 1 bundle ({world.bundle[:12]}), and what was said privately in "
        "events before event 4, to Nina ("
    ) in outcome.err
    assert "Not all" not in outcome.err
    assert "First" in done(world.call("list", world.vault, *nina)).out
    said = refusal(world, "grant", world.vault, "nina", *known, *world.reader)
    assert "nothing of it is closed to that reader" in said
    assert "Nothing that you can open is closed to them." in said
    admitted(world, "third")
    told = done(world.call("grant", world.vault, "third", "--json", *known, *world.reader)).json
    assert (told["complete"], len(told["epochs"])) == (True, 2)
    assert told["bundles"] == [world.bundle]
    assert told["member"]["name"] == "third"


def test_a_reader_who_can_t_open_all_herself_grants_a_part_and_says_so(world: World) -> None:
    nina = admitted(world, "nina")
    done(world.call("seal", world.vault, world.folder / "evidence", *world.owner))
    admitted(world, "third")
    known = ("--vault-id", vault_id(world), *nina)
    outcome = done(world.call("grant", world.vault, card_of(world, "third"), *known))
    assert "1 bundle (" in outcome.err
    assert "Not all: some of what was sealed before is closed to you as well." in outcome.err
    said = refusal(world, "grant", world.vault, card_of(world, "third"), *known)
    assert "what is closed to that reader is closed to you as well" in said
    assert "Ask a reader to whom it is open." in said


# --- who is meant -------------------------------------------------------------------------------


def meant(world: World, text: object, *options: object) -> Outcome:
    """Say who is meant, by a command that then has nothing to grant."""
    known = ("--vault-id", vault_id(world), *(options or world.reader))
    return world.call("grant", world.vault, text, *known)


def test_a_member_goes_by_fingerprint_card_or_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted(world, "nina", shown="Nina Ärm")
    digits = fingerprint(world, "nina")
    groups = " ".join(digits[at : at + 4] for at in range(0, 64, 4))
    monkeypatch.chdir(world.folder)
    (world.folder / "plain").write_bytes(card_of(world, "nina").read_bytes())
    (world.folder / "nina ärm").write_text("a file that is no card")
    first = meant(world, "Nina A\u0308rm")
    assert first.code == 0, first.err
    lines = f"{groups[:39]}\n{groups[40:]}"
    for text in (
        digits, digits[:4], digits.upper(), groups, groups[:19], lines, " nina ärm ", "NINA ÄRM",
        card_of(world, "nina"), "nina.card", "plain",
    ):  # fmt: skip
        outcome = meant(world, text)
        assert outcome.code == 3
        assert "nothing of it is closed" in outcome.err, text


def test_who_is_unknown_is_refused_with_those_who_are_there(world: World) -> None:
    for text in ("nobody", "abc", "", "f" * 65, "n" * 300, "\x1b[31m"):
        outcome = meant(world, text)
        assert (outcome.code, outcome.out) == (2, "")
        assert "means nobody in this vault" in outcome.err
        assert "Reader Bé" in outcome.err
        assert "\x1b" not in outcome.err
    newcomer(world, "nina", "Nina")
    outcome = meant(world, card_of(world, "nina"))
    assert outcome.code == 2
    assert "is the card of Nina (" in outcome.err
    assert "no member of this vault" in outcome.err
    assert meant(world, world.folder / "missing.card").code == 5


def test_one_of_two_namesakes_is_told_apart_by_fingerprint(world: World) -> None:
    admitted(world, "one", shown="Nina")
    admitted(world, "two", shown="NINA")
    outcome = meant(world, "nina")
    assert (outcome.code, outcome.out) == (2, "")
    assert "can mean several members: NINA (" in outcome.err
    assert "Give more digits of the fingerprint." in outcome.err
    assert meant(world, fingerprint(world, "two")[:16]).code == 0


def test_a_name_that_looks_like_the_fingerprint_of_another_misleads_nobody(world: World) -> None:
    admitted(world, "one", shown="Nina")
    admitted(world, "two", shown=fingerprint(world, "one")[:16])
    outcome = meant(world, fingerprint(world, "one")[:16])
    assert outcome.code == 2
    assert "can mean several members" in outcome.err
    assert meant(world, fingerprint(world, "one")[:17]).code == 0


def test_a_removed_member_is_not_meant_and_a_new_key_of_that_name_is(world: World) -> None:
    admitted(world, "old", shown="Nina")
    done(world.call("remove", world.vault, card_of(world, "old"), "--cause", "lost", *world.owner))
    for text in ("nina", card_of(world, "old"), fingerprint(world, "old")):
        outcome = meant(world, text)
        assert outcome.code == 2
        assert "was removed from this vault: Nina (" in outcome.err
    admitted(world, "new", shown="Nina")
    assert meant(world, "nina").code == 0


def test_whoever_does_not_read_names_members_by_fingerprint(world: World) -> None:
    before = world.files()
    outcome = world.call("remove", world.vault, "Reader Bé", "--cause", "left", *world.owner)
    assert outcome.code == 2
    assert "a name that you can see here" in outcome.err
    assert world.files() == before


def test_of_many_members_some_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evault_cli.people._MOST_NAMED", 1)
    outcome = meant(world, "nobody")
    assert "and 1 more." in outcome.err
    monkeypatch.setattr("evault_cli.membership._MOST_SHOWN", 1)
    newcomer(world, "nina")
    outcome = world.call(
        "admit", world.vault, card_of(world, "nina"), "--role", "reader", "--not-checked",
        *world.owner,
    )  # fmt: skip
    assert "; 1 more." in outcome.err
