"""``evault release``, ``accept``, ``decline``, ``recall``, ``assume`` and ``interrupt``."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from evault_cli.words import ADVICE, RULES
from tests.cli.cast import (
    BE,
    FORM,
    KAI,
    chain,
    copied,
    done,
    gather,
    identity,
    intact,
    kai,
    opened,
    sealed,
)
from tests.cli.conftest import Outcome, World
from vault.handover import release
from vault.identity import format_card

TO_KAI = ("--to", "kai", "--purpose", "safe keeping", *FORM)


@pytest.fixture(scope="session")
def _cast(_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return gather(_template, tmp_path_factory.mktemp("cast") / "cast")


@pytest.fixture
def cast(_cast: World, tmp_path: Path) -> World:
    return copied(_cast, tmp_path / "cast")


def digits(world: World, name: str) -> str:
    shown = done(world.call("show", world.vault, "--json", *world.reader)).json["members"]
    (found,) = [str(one["fingerprint"]) for one in shown if one["name"] == name]
    return found


def to_kai(world: World) -> tuple[str, ...]:
    """Return what the owner, to whom names are closed, writes to hand a bundle to Kai."""
    return ("--to", str(world.folder / "kai.card"), *TO_KAI[2:])


def refused(world: World, code: int, *arguments: object) -> Outcome:
    """Hold that a call is refused with a code and one line, and changes nothing."""
    before = world.files()
    outcome = world.call(*arguments)
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert world.files() == before
    return outcome


# --- release and accept ---------------------------------------------------------------------------


def test_a_bundle_goes_to_another_custodian_and_back(cast: World) -> None:
    bundle = sealed(cast)
    told = done(
        cast.call(
            "release", cast.vault, bundle[:8], "--to", "Kai", *FORM, "--purpose", "a hearing",
            "--carrier", "post", "--medium", "USB stick 7", "--seal-number", "A 12", *cast.reader,
        )
    )  # fmt: skip
    intact(cast)
    assert re.fullmatch(r"\d+\n", told.out)
    assert "Released 1 bundle to Kai (" in told.err
    assert f"evault accept {cast.vault} {bundle[:12]} --place TEXT --condition TEXT" in told.err
    assert "Nothing was sent. Hand over what carries this vault itself" in told.err
    assert f"They can't open {bundle[:12]}" in told.err
    taken = done(cast.call("accept", cast.vault, bundle, *FORM, *kai(cast)))
    intact(cast)
    assert "Accepted 1 bundle from " in taken.err
    assert "3 files (" in taken.err
    assert "have the SHA-256 that was logged. From now on you are answerable." in taken.err
    assert f"You can't open {bundle[:12]}" in taken.err
    back = ("--to", digits(cast, BE)[:12], "--purpose", "back", *FORM)
    told = done(cast.call("release", cast.vault, bundle, *back, *kai(cast)))
    assert "could not be checked: you are no reader." in told.err
    done(cast.call("accept", cast.vault, "--all", *FORM, *cast.reader))
    intact(cast)
    _, first, second, *_ = chain(cast, bundle)
    assert (
        first["fields"]
        | {
            "place": "Quetta",
            "condition": "sealed, dry",
            "purpose": "a hearing",
            "carrier": "post",
            "medium": "USB stick 7",
            "seal_number": "A 12",
        }
        == first["fields"]
    )
    assert second["data"]["rehashed"] is True


def test_release_and_acceptance_as_json(cast: World) -> None:
    bundles = [sealed(cast), sealed(cast)]
    told = done(
        cast.call("release", cast.vault, *bundles, *TO_KAI, "--expires", "72h", "--json",
                  *cast.reader)
    ).json  # fmt: skip
    member = {"fingerprint": digits(cast, KAI), "name": KAI}
    assert (told["to"], told["custodian"]) == (member, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["expires"])
    assert [one["bundle"] for one in told["bundles"]] == told["closed"] == bundles
    assert (told["consent_unchecked"], told["consent_overridden"]) == ([], [])
    numbers = [one["event"] for one in told["bundles"]]
    taken = done(cast.call("accept", cast.vault, "--all", *FORM, "--json", *kai(cast))).json
    giver = {"fingerprint": digits(cast, BE), "name": None}
    assert taken["bundles"] == [
        {
            "bundle": bundle,
            "event": numbers[-1] + 1 + place,
            "release": numbers[place],
            "from": giver,
            "key": "sealed",
        }
        for place, bundle in enumerate(bundles)
    ]
    assert (taken["files"], taken["custodian"]) == (6, True)
    assert taken["size"] > 2 * 16384


def test_who_is_no_custodian_is_told_what_that_means(cast: World) -> None:
    remake = ("--role", "reader", "--not-checked", *cast.owner)
    done(cast.call("admit", cast.vault, cast.folder / "kai.card", *remake))
    bundle = sealed(cast)
    told = done(cast.call("release", cast.vault, bundle, *TO_KAI, *cast.reader))
    assert "They are no custodian: they can accept and keep, but not hand on" in told.err
    assert "They can't open" not in told.err
    taken = done(cast.call("accept", cast.vault, bundle, *FORM, *kai(cast)))
    assert "You are no custodian: you can't hand on" in taken.err
    assert "You can't open" not in taken.err


def test_a_key_that_should_open_and_does_not_is_warned_of(
    cast: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = str(cast.folder / "reader.card")
    done(cast.call("release", cast.vault, cast.bundle, "--to", card, *TO_KAI[2:], *cast.owner))
    monkeypatch.setattr("vault.handover._key_state", lambda *_: "damaged")
    taken = done(cast.call("accept", cast.vault, cast.bundle, *FORM, *cast.reader))
    assert f"Warning: {cast.bundle[:12]} should open to you and does not" in taken.err


def test_all_that_is_held_is_released_but_what_cant_be(cast: World) -> None:
    free, lost = sealed(cast), sealed(cast)
    report = ("--cause", "lost", "--reason", "x")
    done(cast.call("interrupt", cast.vault, lost, *report, *cast.reader))
    told = done(cast.call("release", cast.vault, "--all-held", *TO_KAI, *cast.reader, "--json"))
    assert [one["bundle"] for one in told.json["bundles"]] == [free]
    assert f"Left out, released already or interrupted: {lost[:12]}." in told.err
    again = refused(cast, 2, "release", cast.vault, "--all-held", *TO_KAI, *cast.reader)
    assert again.err == "evault: You hold nothing that could be released. Nothing was done.\n"


def test_many_bundles_are_named_by_a_few(cast: World) -> None:
    with opened(cast, "reader") as vault:
        for number in range(7):
            with vault.seal() as writer:
                writer.add_absent({"original_name": f"{number}", "kind": "media-hash"})
    told = done(cast.call("release", cast.vault, "--all-held", *TO_KAI, *cast.reader))
    assert "Released 7 bundles" in told.err
    assert f"evault accept {cast.vault} --all --place" in told.err
    assert "and 2 more: custody does not take that" in told.err
    assert len(told.out.splitlines()) == 7


@pytest.mark.parametrize(
    ("verb", "everything"),
    [("release", "--all-held"), ("accept", "--all"), ("assume", "--all-of=kai")],
)
def test_bundles_are_named_or_all_are_meant(cast: World, verb: str, everything: str) -> None:
    options: dict[str, tuple[str, ...]] = {
        "release": TO_KAI,
        "accept": FORM,
        "assume": ("--authority", "x", "--reason", "y"),
    }
    more = (*options[verb], *cast.reader)
    both = refused(cast, 2, verb, cast.vault, cast.bundle, everything, *more)
    assert "not both" in both.err
    neither = refused(cast, 2, verb, cast.vault, *more)
    assert f"or give {everything.split('=', maxsplit=1)[0]}" in neither.err


@pytest.mark.parametrize(
    "left",
    ["--to", "--place", "--purpose", "--condition"],
)
def test_what_a_custody_form_asks_is_required(cast: World, left: str) -> None:
    options = dict(zip(TO_KAI[::2], TO_KAI[1::2], strict=True))
    del options[left]
    given = [one for pair in options.items() for one in pair]
    told = refused(cast, 2, "release", cast.vault, cast.bundle, *given, *cast.owner)
    assert f"Missing option '{left}'" in told.err


def test_texts_must_be_texts(cast: World) -> None:
    told = refused(cast, 2, "release", cast.vault, cast.bundle, *to_kai(cast), "--seal-number", " ",
                   *cast.owner)  # fmt: skip
    assert "--seal-number must be text" in told.err
    accepting = ("accept", cast.vault, cast.bundle, "--place", "", "--condition", "x")
    assert "--place must be text" in refused(cast, 2, *accepting, *kai(cast)).err


@pytest.mark.parametrize(
    ("expires", "problem"),
    [
        ("2020-03-01T14:05+05:00", "is past"),
        ("2026-03-01", "must be a time with its offset"),
        ("soon", "must be a time with its offset"),
        ("0h", "must be a time with its offset"),
        ("72", "must be a time with its offset"),
        ("2026-02-30T10:00Z", "must be a time with its offset"),
        ("٣h", "must be a time with its offset"),
    ],
)
def test_an_end_that_is_none_is_refused(cast: World, expires: str, problem: str) -> None:
    common = ("release", cast.vault, cast.bundle, *to_kai(cast), "--expires", expires)
    assert f"--expires {problem}" in refused(cast, 2, *common, *cast.owner).err


@pytest.mark.parametrize(
    ("expires", "ends"),
    [
        ("9999-12-31T23:59:59.123456789+05:00", "9999-12-31T18:59:59Z"),
        ("2999-01-01T00:00Z", "2999-01-01T00:00:00Z"),
    ],
)
def test_an_end_is_a_time(cast: World, expires: str, ends: str) -> None:
    common = ("release", cast.vault, cast.bundle, *to_kai(cast), "--expires", expires)
    told = done(cast.call(*common, *cast.owner))
    assert f", until {ends}." in told.err


@pytest.mark.parametrize(("text", "seconds"), [("72h", 72 * 3600), ("14d", 14 * 86400)])
def test_an_end_is_counted_from_now(cast: World, text: str, seconds: int) -> None:
    common = ("release", cast.vault, cast.bundle, *to_kai(cast), "--expires", text)
    done(cast.call(*common, *cast.owner))
    with opened(cast, "owner") as vault:
        event = vault.event(vault.size - 1)
        ends = event.data["expires"]
        assert isinstance(ends, int)
        # The command looked at the clock a moment before it signed.
        assert 0 <= event.time + seconds - ends < 60


def test_an_expired_release_is_not_accepted_and_left_out_of_all(cast: World) -> None:
    with opened(cast, "owner", clock=lambda: 1_700_000_000) as vault:
        to = vault.state.members
        key = next(one for one in to if to[one].keys.fingerprint.hex() == digits(cast, KAI))
        release(vault, [bytes.fromhex(cast.bundle)], key, expires=1_700_000_100)
    told = refused(cast, 3, "accept", cast.vault, cast.bundle, *FORM, *kai(cast))
    assert told.err == (
        f"evault: {cast.vault}: not done (accepted by the new holder, bundle {cast.bundle}), "
        "because the release has expired. Nothing was added. Ask the holder to release it again.\n"
    )
    told = refused(cast, 2, "accept", cast.vault, "--all", *FORM, *kai(cast))
    assert "Nothing is released to you that you could accept." in told.err
    bundle = sealed(cast)
    done(cast.call("release", cast.vault, bundle, *TO_KAI, *cast.reader))
    told = done(cast.call("accept", cast.vault, "--all", *FORM, *kai(cast)))
    assert f"Left out, as its release has expired: {cast.bundle[:12]}." in told.err


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_altered_evidence_is_named_and_not_accepted(cast: World, damage: str) -> None:
    sound = sealed(cast)
    done(cast.call("release", cast.vault, cast.bundle, *to_kai(cast), *cast.owner))
    done(cast.call("release", cast.vault, sound, *TO_KAI, *cast.reader))
    name = f"bundles/{cast.bundle}/evidence.0000"
    part = cast.vault / name
    data = bytearray(part.read_bytes())
    data[1000] ^= 1
    part.write_bytes(data) if damage == "altered" else part.unlink()
    for named in ((sound, cast.bundle), ("--all",)):
        told = refused(cast, 3, "accept", cast.vault, *named, *FORM, *kai(cast))
        why = "missing" if damage == "missing" else "not the SHA-256 that was logged"
        assert told.err == (
            f"evault: {cast.vault}: {name}: the evidence is not what was signed ({why}). Nothing "
            "was added. Do not accept it: `evault decline` gives it back, with the reason. A good "
            "copy of the vault restores it.\n"
        )
    told = done(
        cast.call("decline", cast.vault, cast.bundle, "--reason", "altered", "--json", *kai(cast))
    )
    assert [one["bundle"] for one in told.json["bundles"]] == [cast.bundle]
    assert "Declined 1 bundle: whoever released them stays answerable." in told.err
    done(cast.call("accept", cast.vault, sound, *FORM, *kai(cast)))


def test_of_several_bundles_all_are_released_or_none(cast: World) -> None:
    mine = sealed(cast)
    told = refused(cast, 3, "release", cast.vault, mine, cast.bundle, *TO_KAI, *cast.reader)
    assert f"bundle {cast.bundle}), because only the holder of the bundle may." in told.err
    assert "Have it done by the holder, whom `evault custody` names." in told.err


def test_a_paper_handover_is_entered_late_by_both_sides(cast: World) -> None:
    late = ("--occurred-at", "2026-02-20T10:00+05:00", "--late-because", "signed on paper")
    done(cast.call("release", cast.vault, cast.bundle, *to_kai(cast), *late, *cast.owner))
    done(cast.call("accept", cast.vault, cast.bundle, *FORM, *late, *kai(cast)))
    intact(cast)
    for event in chain(cast, cast.bundle)[1:]:
        assert event["fields"]["occurred_at"] == "2026-02-20T10:00+05:00"
        assert event["fields"]["recorded_late_because"] == "signed on paper"
        assert "late" in event["remarks"]
    half = ("--occurred-at", "2026-02-20")
    told = refused(cast, 2, "release", cast.vault, cast.bundle, *to_kai(cast), *half, *cast.owner)
    assert "--occurred-at and --late-because go together" in told.err


# --- decline, recall, assume, interrupt -----------------------------------------------------------


def test_a_release_is_declined_and_recalled(cast: World) -> None:
    done(cast.call("release", cast.vault, cast.bundle, *to_kai(cast), *cast.owner))
    told = done(cast.call("decline", cast.vault, cast.bundle, "--reason", "no room", *kai(cast)))
    assert re.fullmatch(r"\d+\n", told.out)
    intact(cast)
    done(cast.call("release", cast.vault, cast.bundle, *to_kai(cast), *cast.owner))
    told = done(cast.call("recall", cast.vault, cast.bundle, "--reason", "x", *cast.owner))
    assert "Recalled 1 bundle: you stay answerable." in told.err
    intact(cast)
    reasons = [one["fields"].get("reason") for one in chain(cast, cast.bundle)]
    assert [one for one in reasons if one] == ["no room", "x"]


def test_all_that_a_removed_member_held_is_taken_over(cast: World) -> None:
    bundles = [sealed(cast), sealed(cast)]
    authority = ("--authority", "the board", "--reason", "arrested")
    member = str(cast.folder / "reader.card")
    early = refused(cast, 3, "assume", cast.vault, *bundles, *authority, *cast.owner)
    assert "because the holder is still there to answer" in early.err
    early = refused(cast, 2, "assume", cast.vault, "--all-of", member, *authority, *cast.owner)
    assert "holds nothing that custody could be assumed of. Nothing was done." in early.err
    seized = ("--cause", "seized", "--reason", "a raid", "--place", "home")
    told = done(cast.call("interrupt", cast.vault, bundles[0], *seized, *kai(cast)))
    assert "can't answer for 1 bundle now. You do not hold it. If " in told.err
    back = f"`evault interrupt {cast.vault} {bundles[0][:12]} --cause returned --reason TEXT`"
    assert back in told.err
    told = done(
        cast.call("assume", cast.vault, "--all-of", member, *authority, "--json", *cast.owner)
    )
    assert [one["bundle"] for one in told.json["bundles"]] == bundles[:1]
    assert "can answer for it" in told.err
    # Whoever else reads must stay, before the reader can be removed.
    reader = ("--role", "reader", "--role", "custodian", "--not-checked")
    done(cast.call("admit", cast.vault, cast.folder / "kai.card", *reader, *cast.owner))
    done(cast.call("remove", cast.vault, member, "--cause", "seized", *cast.owner))
    told = done(
        cast.call("assume", cast.vault, "--all-of", digits_of(cast, member), *authority,
                  *FORM, *cast.owner)
    )  # fmt: skip
    name = digits_of(cast, member)
    groups = " ".join(name[at : at + 4] for at in range(0, 16, 4))
    assert groups in told.err
    assert "Assumed custody of 1 bundle from " in told.err
    assert ", without the signature of the one before" in told.err
    intact(cast)
    shown = done(cast.call("custody", cast.vault, bundles[1], "--json", *kai(cast))).json
    assert shown["chain"][-1]["fields"]["authority"] == "the board"
    assert shown["chain"][-1]["fields"]["place"] == "Quetta"


def digits_of(world: World, card: str) -> str:
    from vault import parse_card

    return parse_card(Path(card).read_bytes()).keys.fingerprint.hex()[:16]


def test_an_owner_who_is_no_custodian_is_told_what_that_means(
    cast: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(cast.call("interrupt", cast.vault, cast.bundle, "--cause", "lost", "--reason", "x",
                   *kai(cast)))  # fmt: skip
    roles = ("--role", "owner", "--not-checked")
    done(cast.call("admit", cast.vault, "me", *roles, *cast.owner))
    told = done(
        cast.call("assume", cast.vault, cast.bundle, "--authority", "x", "--reason", "y",
                  *cast.owner)
    )  # fmt: skip
    assert "You are no custodian: you can't hand on what you hold" in told.err


@pytest.mark.parametrize("cause", ["seized", "lost"])
def test_custody_is_interrupted_and_taken_up_again(cast: World, cause: str) -> None:
    common = ("interrupt", cast.vault, cast.bundle, "--reason", "a raid")
    told = done(cast.call(*common, "--cause", cause, "--json", *kai(cast)))
    (event,) = told.json["bundles"]
    intact(cast)
    told = refused(cast, 3, "release", cast.vault, cast.bundle, *to_kai(cast), *cast.owner)
    assert "Record its return first" in told.err
    told = refused(cast, 3, *common, "--cause", cause, *kai(cast))
    assert "custody is in that state already" in told.err
    more = ("--condition", "opened", "--place", "police")
    told = done(cast.call(*common, "--cause", "returned", *more, *cast.owner))
    assert "Recorded the return of 1 bundle. Answerable again: " in told.err
    intact(cast)
    first, second = chain(cast, cast.bundle)[1:]
    assert (first["event"], first["data"]) == (event["event"], {"state": "interrupted"})
    assert first["fields"]["cause"] == cause
    assert (second["data"], second["fields"]["condition"]) == ({"state": "returned"}, "opened")


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["owner", "kai"])
@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("accept", *FORM), "release-unknown"),
        (("decline", "--reason", "x"), "release-unknown"),
        (("recall", "--reason", "x"), "release-unknown"),
    ],
)
def test_a_release_that_is_not_there(
    cast: World, who: str, arguments: tuple[str, ...], rule: str
) -> None:
    options = cast.owner if who == "owner" else kai(cast)
    verb, *more = arguments
    told = refused(cast, 3, verb, cast.vault, cast.bundle, *more, *options)
    assert RULES[rule] in told.err
    assert ADVICE[rule] in told.err


def test_each_rule_of_a_handover_says_what_to_do(cast: World) -> None:
    card = str(cast.folder / "reader.card")
    mine = ("--purpose", "x", *FORM, *cast.owner)
    done(cast.call("release", cast.vault, cast.bundle, *to_kai(cast), *cast.owner))
    cases: list[tuple[str, tuple[Any, ...]]] = [
        ("release-open", ("release", cast.vault, cast.bundle, "--to", card, *mine)),
        ("recipient", ("accept", cast.vault, cast.bundle, *FORM, *cast.reader)),
        ("recipient", ("decline", cast.vault, cast.bundle, "--reason", "x", *cast.reader)),
        ("holder", ("recall", cast.vault, cast.bundle, "--reason", "x", *kai(cast))),
    ]
    for rule, arguments in cases:
        told = refused(cast, 3, *arguments)
        assert RULES[rule] in told.err
        filled = ADVICE[rule].replace("VAULT", str(cast.vault))
        assert filled.replace("BUNDLE", cast.bundle[:12]) in told.err
    bundle = sealed(cast)
    to_self = ("--to", card, "--purpose", "x", *FORM)
    told = refused(cast, 3, "release", cast.vault, bundle, *to_self, *cast.reader)
    assert ADVICE["release-to"] in told.err


def test_names_of_others_are_shown_without_their_controls(cast: World) -> None:
    (cast.folder / "eve.txt").write_text("a passphrase of eve\n")
    eve = ("-i", str(cast.folder / "eve.age"), "--passphrase-file", str(cast.folder / "eve.txt"))
    done(cast.call("identity", "new", "-o", eve[1], "--work-factor", 10, *eve[2:]))

    card = cast.folder / "eve.card"
    card.write_bytes(format_card(identity(cast, "eve"), "Eve\u200b", datetime.date(2026, 3, 1)))
    roles = ("--role", "custodian", "--not-checked")
    done(cast.call("admit", cast.vault, card, *roles, *cast.owner))
    bundle = sealed(cast)
    told = done(cast.call("release", cast.vault, bundle, "--to", card, *TO_KAI[2:], *cast.reader))
    assert "Released 1 bundle to Eve\\u200b (" in told.err
