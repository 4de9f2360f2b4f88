"""``evault hold`` and ``evault consent``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evault_cli.words import ADVICE, FINDINGS
from tests.cli.cast import FORM, chain, copied, done, gather, intact, kai, opened, sealed
from tests.cli.conftest import Outcome, World

SAID = ("--how", "signed form", "--by", "the witness")
TO_KAI = ("--to", "kai", "--purpose", "safe keeping", *FORM)
COURT = ("--authority", "high court, order 12", "--reason", "a case")


@pytest.fixture(scope="session")
def _cast(_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return gather(_template, tmp_path_factory.mktemp("cast") / "cast")


@pytest.fixture
def cast(_cast: World, tmp_path: Path) -> World:
    return copied(_cast, tmp_path / "cast")


def refused(world: World, code: int, *arguments: object) -> Outcome:
    before = world.files()
    outcome = world.call(*arguments)
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert world.files() == before
    return outcome


# --- consent --------------------------------------------------------------------------------------


def test_consent_is_recorded_and_shown_to_readers_alone(cast: World) -> None:
    other = sealed(cast)
    told = done(
        cast.call(
            "consent", cast.vault, cast.bundle[:6], "--status", "limited",
            "--use", "court", "--use", "report", "--recipient", "Legal Aid",
            "--anonymity", "no face", "--language", "Balochi", *SAID,
            "--occurred-at", "2026-02-20", "--late-because", "on paper", *cast.owner,
        )
    )  # fmt: skip
    assert re.fullmatch(r"\d+\n", told.out)
    assert "Recorded for 1 bundle: given, with limits." in told.err
    intact(cast)
    shown = done(cast.call("consent", cast.vault, cast.bundle, other, *cast.reader))
    assert shown.out == (
        f"Bundle             {cast.bundle}\n"
        "Consent            given, with limits\n"
        "For the uses       court; report\n"
        "To the recipients  Legal Aid\n"
        "Anonymity          no face\n"
        "Language           Balochi\n"
        "How                signed form\n"
        "By                 the witness\n"
        f"Event              {told.out.strip()}\n"
        "\n"
        f"Bundle   {other}\n"
        "Consent  nothing is recorded\n"
    )
    record = done(cast.call("consent", cast.vault, cast.bundle, other, "--json", *cast.reader))
    assert record.json["bundles"] == [
        {
            "bundle": cast.bundle,
            "status": "limited",
            "event": int(told.out),
            "uses": ["court", "report"],
            "recipients": ["Legal Aid"],
            "anonymity": "no face",
            "language": "Balochi",
            "how": "signed form",
            "by": "the witness",
        },
        {
            "bundle": other,
            "status": "not recorded",
            "event": None,
            "uses": [],
            "recipients": [],
            "anonymity": None,
            "language": None,
            "how": None,
            "by": None,
        },
    ]
    sealed_ = done(cast.call("consent", cast.vault, cast.bundle, *kai(cast)))
    assert "sealed to this identity" in sealed_.out
    assert "Consent is sealed: only a reader's identity shows it." in sealed_.err
    late = chain(cast, cast.bundle)[-1]
    assert late["fields"]["recorded_late_because"] == "on paper"
    assert late["data"] == {}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("--status", "limited", *SAID), "needs a limit: --use, --recipient or --anonymity"),
        (("--status", "given", "--use", "court", *SAID), "has no limits: use --status limited"),
        (("--status", "given", "--recipient", "Bo", *SAID), "has no limits"),
        (("--status", "withdrawn", "--use", "court", *SAID), "do not go with --status"),
        (("--status", "refused"), "--how TEXT, and by whom, --by TEXT"),
        (("--status", "given", "--how", "x"), "--how TEXT, and by whom, --by TEXT"),
        (("--how", "x"), "Say with --status what is to be recorded."),
        (("--use", "court"), "Say with --status"),
        (("--late-because", "x", "--occurred-at", "2026"), "Say with --status"),
        (("--status", "perhaps"), "'perhaps' is not one of"),
        (("--status", "limited", "--use", " ", *SAID), "--use must be text"),
        (("--status", "given", "--how", "", "--by", "x"), "--how must be text"),
    ],
)
def test_what_makes_no_statement_is_refused(
    cast: World, given: tuple[str, ...], problem: str
) -> None:
    told = refused(cast, 2, "consent", cast.vault, cast.bundle, *given, *cast.owner)
    assert problem in told.err


def test_that_nobody_asked_needs_nobody_who_said_so(cast: World) -> None:
    told = done(cast.call("consent", cast.vault, cast.bundle, "--status", "not asked", *cast.owner))
    assert "Recorded for 1 bundle: not asked for." in told.err
    assert "From now on" not in told.err


def test_a_withdrawal_says_what_is_refused_now_and_who_saw_it_before(
    cast: World, tmp_path: Path
) -> None:
    look = ("-o", tmp_path / "out", "--purpose", "a look", *cast.reader)
    done(cast.call("open", cast.vault, cast.bundle, *look))
    withdrawn = ("--status", "withdrawn", *SAID)
    told = done(cast.call("consent", cast.vault, cast.bundle, *withdrawn, *cast.reader, "--json"))
    assert told.json["status"] == "withdrawn"
    (one,) = told.json["bundles"]
    assert one["before"] == "not recorded"
    (seen,) = one["reached"]
    assert (seen["type"], seen["by"]["name"]) == ("bundle.opened", "Reader Bé")
    assert "opening, releasing and disclosing are refused" in told.err
    assert f"  {cast.bundle[:12]}, event {seen['event']}, {seen['time']}: opened, " in told.err
    assert "Destroying is another act: `evault destroy`." in told.err
    intact(cast)
    look = ("-o", tmp_path / "again", "--purpose", "a look", *cast.reader)
    told = refused(cast, 3, "open", cast.vault, cast.bundle, *look)
    assert ADVICE["consent-withdrawn"] in told.err
    done(cast.call("open", cast.vault, cast.bundle, *look, "--authority", "order 12"))


def test_a_bundle_that_nobody_reached_is_said_to_be_so_and_many_are_cut(cast: World) -> None:
    bundle = sealed(cast)
    refusal = ("--status", "refused", *SAID, *cast.reader)
    told = done(cast.call("consent", cast.vault, bundle, *refusal))
    assert "Nobody opened or received them before, by what is recorded here." in told.err
    with opened(cast, "reader") as vault:
        drafts = [
            vault.draft("bundle.opened", bundle=bytes.fromhex(cast.bundle)) for _ in range(23)
        ]
        vault.commit(lambda: drafts)
    told = done(cast.call("consent", cast.vault, cast.bundle, *refusal))
    assert told.err.count(": opened, ") == 20
    assert "  and 3 more: `evault custody` shows all." in told.err


def test_a_release_is_held_against_consent(cast: World) -> None:
    bundle = sealed(cast)
    limits = ("--status", "limited", "--use", "court", "--recipient", "Asma", *SAID)
    done(cast.call("consent", cast.vault, bundle, *limits, *cast.reader))
    told = refused(cast, 3, "release", cast.vault, bundle, *TO_KAI, *cast.reader)
    assert "(court)" in told.err
    assert ADVICE["consent-use"] in told.err
    told = refused(cast, 3, "release", cast.vault, bundle, *TO_KAI, "--use", "Court", *cast.reader)
    assert "(Asma)" in told.err
    assert ADVICE["consent-recipient"] in told.err
    above = ("--authority", "high court, order 12", "--json")
    told = done(cast.call("release", cast.vault, bundle, *TO_KAI, *above, *cast.reader))
    assert told.json["consent_overridden"] == [bundle]
    assert "by the authority that is recorded with it" in told.err
    assert chain(cast, bundle)[-1]["fields"]["authority"] == "high court, order 12"
    done(cast.call("recall", cast.vault, bundle, "--reason", "x", *cast.reader))
    to = ("--to", "Asma", *TO_KAI[2:], "--use", "court")
    told = done(cast.call("release", cast.vault, bundle, *to, *cast.reader))
    assert "consent" not in told.err.lower()
    deep = done(cast.call("verify", cast.vault, "--deep", *cast.reader))
    assert "consent" not in deep.out


def test_consent_that_is_closed_to_a_reader_is_said_to_be_unchecked(cast: World) -> None:
    both = ("--role", "custodian", "--role", "reader", "--no-history", "--not-checked")
    card = cast.folder / "kai.card"
    to_kai = ("--to", card, *TO_KAI[2:])
    done(cast.call("release", cast.vault, cast.bundle, *to_kai, *cast.owner))
    done(cast.call("accept", cast.vault, cast.bundle, *FORM, *kai(cast)))
    done(cast.call("admit", cast.vault, card, *both, *cast.owner))
    to = ("--to", cast.folder / "reader.card", *TO_KAI[2:])
    told = done(cast.call("release", cast.vault, cast.bundle, *to, *kai(cast)))
    assert (
        "Whether consent allows this could not be checked: what was said of it is not open to you "
        f"({cast.bundle[:12]})." in told.err
    )


def test_a_deep_check_finds_what_was_done_against_consent(cast: World) -> None:
    bundle = sealed(cast)
    done(cast.call("consent", cast.vault, bundle, "--status", "withdrawn", *SAID, *cast.reader))
    with opened(cast, "reader") as vault:
        seq = vault.append("bundle.opened", bundle=bytes.fromhex(bundle)).seq
    intact(cast)
    told = cast.call("verify", cast.vault, "--deep", *cast.reader)
    assert told.code == 1
    meaning, advice = FINDINGS["consent"]
    assert meaning in told.out
    assert advice in told.out
    assert f"event {seq}" in told.out
    found = cast.call("verify", cast.vault, "--deep", "--json", *cast.reader).json["findings"]
    assert [(one["code"], one["severity"], one["place"]) for one in found] == [
        ("consent", "contradicted", f"event {seq}")
    ]


def test_only_a_custodian_records_consent(cast: World) -> None:
    card = cast.folder / "kai.card"
    done(cast.call("admit", cast.vault, card, "--role", "reader", "--not-checked", *cast.owner))
    given = ("--status", "given", *SAID)
    told = refused(cast, 3, "consent", cast.vault, cast.bundle, *given, *kai(cast))
    assert "does not have the role for it" in told.err


# --- hold -----------------------------------------------------------------------------------------


def test_a_hold_is_placed_on_several_bundles_and_lifted(cast: World) -> None:
    bundles = [cast.bundle, sealed(cast)]
    told = done(cast.call("hold", "place", cast.vault, *bundles, *COURT, *cast.owner))
    assert re.fullmatch(r"[0-9a-f]{32}\n", told.out)
    assert "2 bundles may not be destroyed until `evault hold lift` ends this hold." in told.err
    intact(cast)
    hold = told.out.strip()
    for bundle in bundles:
        event = chain(cast, bundle)[-1]
        assert event["data"] == {"hold": {"hex": hold}}
        assert event["fields"]["authority"] == "high court, order 12"
    told = done(cast.call("hold", "lift", cast.vault, *bundles, *COURT, *kai(cast)))
    assert "Lifted, for 2 bundles." in told.err
    assert len(told.out.splitlines()) == 2
    intact(cast)
    told = refused(cast, 3, "hold", "lift", cast.vault, bundles[0], *COURT, *cast.owner)
    assert ADVICE["hold-unknown"] in told.err


def test_of_several_holds_one_is_named(cast: World) -> None:
    holds = []
    for _ in range(2):
        told = done(cast.call("hold", "place", cast.vault, cast.bundle, *COURT, "--json",
                              *cast.owner)).json  # fmt: skip
        assert [one["bundle"] for one in told["bundles"]] == [cast.bundle]
        holds.append(told["hold"])
    lift = ("hold", "lift", cast.vault, cast.bundle, *COURT, *cast.owner)
    told = refused(cast, 2, *lift)
    assert all(hold in told.err for hold in holds)
    told = refused(cast, 2, *lift, "--hold", "zz")
    assert "no hold of it begins with zz" in told.err
    told = done(cast.call(*lift, "--hold", f" {holds[0].upper()} ", "--json"))
    assert [one["bundle"] for one in told.json["bundles"]] == [cast.bundle]
    assert f"Still under another hold: {cast.bundle[:12]}." in told.err
    shown = done(cast.call("custody", cast.vault, cast.bundle, *cast.reader)).out
    assert holds[1] in shown


@pytest.mark.parametrize("verb", ["place", "lift"])
@pytest.mark.parametrize("left", ["--authority", "--reason"])
def test_a_hold_says_by_what_authority_and_why(cast: World, verb: str, left: str) -> None:
    options = {"--authority": "x", "--reason": "y"}
    del options[left]
    given = [one for pair in options.items() for one in pair]
    told = refused(cast, 2, "hold", verb, cast.vault, cast.bundle, *given, *cast.owner)
    assert f"Missing option '{left}'" in told.err
    empty = [one for pair in ({"--authority": "x", "--reason": "y"} | {left: " "}).items()
             for one in pair]  # fmt: skip
    told = refused(cast, 2, "hold", verb, cast.vault, cast.bundle, *empty, *cast.owner)
    assert f"{left} must be text" in told.err


def test_a_group_alone_says_what_it_can_do(cast: World) -> None:
    told = cast.call("hold")
    assert told.code == 2
    assert "place" in told.err
    assert "lift" in told.err
