"""Consent and holds: what they cover, who is refused, and what an audit says of it afterwards."""

from __future__ import annotations

import datetime
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.house import KAI, MINA, NAMES, NOOR, OWNER, STRANGER, House, build
from vault import age, audit
from vault.auditing import record_audit
from vault.consent import Consent, check_consent, consent_of, names_of_member, reached_by
from vault.custody import Custody
from vault.errors import (
    AmbiguousError,
    CustodyError,
    DigestMismatchError,
    NotFoundError,
    ProofError,
)
from vault.extracting import extract
from vault.handover import accept, release
from vault.layout import fields_name
from vault.membership import admit, grant_history, remove
from vault.rekeying import confirm, prune, rekey
from vault.terms import lift_hold, place_hold, record_consent

COURT = {"authority": "order 12 of the high court"}


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house") / "vault")


@pytest.fixture
def house(_template: House, tmp_path: Path) -> House:
    return _template.copy(tmp_path / "vault")


def consent(house: House, bundle: bytes, status: Any, who: Any = MINA, **more: Any) -> Any:
    (recorded,) = house.do(who, record_consent, [bundle], status, **more)
    return recorded


def refused(house: House, rule: str, who: Any, verb: Any, *arguments: Any, **more: Any) -> None:
    before = house.files()
    with house.open(who) as vault, pytest.raises(CustodyError) as caught:
        verb(vault, *arguments, **more)
    assert (caught.value.rule, caught.value.bundle) == (rule, arguments[0][0])
    assert house.files() == before


# --- the rule alone -------------------------------------------------------------------------------

LIMITED = Consent("limited", 7, bytes(16), uses=("court", "report"), recipients=("Legal Aid", "Bo"))
BO = frozenset({"Bo"})


@pytest.mark.parametrize(
    ("given", "fields", "recipient", "rule"),
    [
        (Consent("given"), {}, BO, None),
        (Consent("not asked"), {}, BO, None),
        (Consent("not recorded"), {}, BO, None),
        (Consent("sealed"), {}, BO, None),
        (Consent("refused"), {}, BO, "consent-withdrawn"),
        (Consent("withdrawn"), {}, BO, "consent-withdrawn"),
        (Consent("withdrawn"), COURT, BO, None),
        (Consent("withdrawn"), {"authority": ""}, BO, "consent-withdrawn"),
        (Consent("limited"), {}, BO, None),
        (LIMITED, {"use": "court"}, BO, None),
        (LIMITED, {"use": " Court "}, BO, None),
        (LIMITED, {"use": "court"}, frozenset({"legal  aid"}), None),
        (LIMITED, {"use": "court"}, frozenset(), None),
        (LIMITED, {}, BO, "consent-use"),
        (LIMITED, {"use": "press"}, BO, "consent-use"),
        (LIMITED, {"use": "court"}, frozenset({"Eve"}), "consent-recipient"),
        (LIMITED, {"use": "press", **COURT}, frozenset({"Eve"}), None),
    ],
)
def test_what_consent_covers(
    given: Consent, fields: dict[str, str], recipient: frozenset[str], rule: str | None
) -> None:
    if rule is None:
        check_consent(given, "custody.released", fields, recipient)
        return
    with pytest.raises(CustodyError) as caught:
        check_consent(given, "custody.released", fields, recipient)
    assert caught.value.rule == rule
    assert caught.value.event == "custody.released"


def test_a_name_fits_in_either_form_of_unicode() -> None:
    limited = Consent("limited", recipients=(unicodedata.normalize("NFD", "Ábel"),))
    check_consent(limited, "custody.released", {}, frozenset({"ábel"}))


# --- what stands ----------------------------------------------------------------------------------


def test_the_newest_that_says_a_status_counts(house: House) -> None:
    silent, told = house.seal(), house.seal(consent__status="limited", consent__scope=("court",))
    with house.open(NOOR) as vault:
        assert consent_of(vault, silent) == Consent("not recorded", bundle=silent)
        assert consent_of(vault, told) == Consent(
            "limited", vault.bundle(told).seq, told, uses=("court",)
        )
    recorded = consent(
        house,
        told,
        "limited",
        recipients=["Kai"],
        anonymity="no face, no voice",
        language="Balochi",
        how="signed form",
        by="the witness",
        fields={"occurred_at": "2026-02-20", "recorded_late_because": "on paper"},
    )
    assert recorded.before.status == "limited"
    with house.open(NOOR) as vault:
        # A consent that is only noted about says no status, and changes nothing.
        with house.open(KAI) as other:
            other.append("consent.recorded", bundle=told, fields={"consent.language": "Urdu"})
        vault.refresh()
        assert consent_of(vault, told) == Consent(
            "limited",
            recorded.event.seq,
            told,
            recipients=("Kai",),
            anonymity="no face, no voice",
            language="Balochi",
            how_given="signed form",
            by_whom="the witness",
        )
        assert vault.fields(recorded.event)["occurred_at"] == "2026-02-20"
    # A seal's own fields stand where nothing newer does, and are sealed to who reads nothing.
    for who in (KAI, None):
        with house.open(who) as vault:
            assert consent_of(vault, told).status == "sealed"


def test_one_statement_is_recorded_of_several_bundles_or_of_none(house: House) -> None:
    bundles = [house.seal(), house.seal()]
    with house.open(MINA) as vault:
        recorded = record_consent(vault, [*bundles, bundles[0]], "given", how="x", by="y")
        assert [one.event.bundle for one in recorded] == bundles
    with house.open(MINA) as vault:
        vault.append("bundle.destroyed", bundle=bundles[1])
    refused(house, "destroyed", MINA, record_consent, [bundles[1], bundles[0]], "given")
    with house.open(MINA) as vault, pytest.raises(ValueError, match="without events"):
        record_consent(vault, [], "given")


@pytest.mark.parametrize(
    ("status", "limits"),
    [
        ("limited", {}),
        ("limited", {"how": "x", "by": "y", "language": "z"}),
        ("given", {"uses": ["court"]}),
        ("withdrawn", {"recipients": ["Bo"]}),
    ],
)
def test_limits_belong_to_a_limited_consent(house: House, status: Any, limits: Any) -> None:
    bundle = house.seal()
    with house.open(MINA) as vault, pytest.raises(ValueError, match="limit"):
        record_consent(vault, [bundle], status, **limits)


def test_a_withdrawal_names_who_saw_and_held_the_bundle_before(house: House) -> None:
    bundle = house.seal()
    with house.open(NOOR) as vault, vault.open_bundle(bundle, purpose="a look"):
        pass
    house.hand_over(MINA, KAI, bundle)
    recorded = consent(house, bundle, "withdrawn", KAI, how="letter", by="the witness")
    assert [(one.type, one.actor) for one in recorded.reached] == [
        ("bundle.opened", NOOR.ed25519),
        ("custody.accepted", KAI.ed25519),
    ]
    assert recorded.before.status == "sealed"
    with house.open() as vault:
        assert reached_by(vault, bundle) == recorded.reached


def test_a_statement_that_is_damaged_can_be_followed_by_another(house: House) -> None:
    bundle = house.seal()
    first = consent(house, bundle, "given", how="x", by="y")
    path = house.path / fields_name(first.event.sealed.sha256)
    path.write_bytes(path.read_bytes()[::-1])
    with house.open(MINA) as vault, pytest.raises(DigestMismatchError):
        release(vault, [bundle], KAI.ed25519)
    # An authority stands above all that it could say.
    with house.open(MINA) as vault:
        result = release(vault, [bundle], KAI.ed25519, fields=COURT)
        assert (result.unchecked, result.overridden) == ((bundle,), ())
        (recorded,) = record_consent(vault, [bundle], "withdrawn", how="x", by="y")
        assert recorded.before is None
        assert consent_of(vault, bundle).status == "withdrawn"


def test_an_event_that_breaks_a_rule_states_no_consent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = house.seal()
    with monkeypatch.context() as patch, house.open(NOOR) as vault:
        patch.setattr(Custody, "broken", lambda *_: ())
        vault.append("consent.recorded", bundle=bundle, fields={"consent.status": "withdrawn"})
        vault.append("custody.assumed", bundle=bundle)
    with house.open(MINA) as vault:
        assert [breach.rule for breach in vault.breaches] == ["role", "role", "holder-answers"]
        assert consent_of(vault, bundle).status == "not recorded"
        assert reached_by(vault, bundle) == ()
    codes = {one.code for one in audit(house.path, identity=MINA).findings}
    assert codes == {"rule-role", "rule-holder-answers"}


# --- what nobody can read -------------------------------------------------------------------------


def unreadable(house: House, bundle: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a custodian state a consent in a file that is for nobody here."""
    encrypt = age.encrypt_bytes
    with monkeypatch.context() as patch:
        patch.setattr(
            "vault.draft.age.encrypt_bytes",
            lambda data, _: encrypt(data, [STRANGER.keys.recipient]),
        )
        with house.open(KAI) as vault:
            vault.append("consent.recorded", bundle=bundle, fields={"consent.status": "not asked"})


def test_a_statement_that_no_reader_can_read_lifts_no_refusal(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = house.seal()
    consent(house, bundle, "withdrawn", how="x", by="y")
    unreadable(house, bundle, monkeypatch)
    before = house.files()
    with house.open(NOOR) as vault, pytest.raises(ProofError, match="though their epoch is"):
        vault.open_bundle(bundle, purpose="publish")
    with house.open(NOOR) as vault, pytest.raises(ProofError):
        vault.open_item(bundle, 0, purpose="publish")
    with house.open(NOOR) as vault, pytest.raises(ProofError):
        extract(vault, bundle, tmp_path / "out", purpose="publish", recorded=False)
    with house.open(MINA) as vault, pytest.raises(ProofError):
        release(vault, [bundle], KAI.ed25519)
    assert house.files() == before
    # To who reads nothing it is sealed, as any other is.
    for who in (KAI, None):
        with house.open(who) as vault:
            assert consent_of(vault, bundle).status == "sealed"
    # What stands above consent stands above one that can't be read.
    with house.open(NOOR) as vault:
        vault.open_bundle(bundle, purpose="trial", fields=COURT).close()
        vault.open_item(bundle, 0, purpose="trial", fields=COURT).close()
        extract(vault, bundle, tmp_path / "out", purpose="trial", recorded=False, fields=COURT)
    with house.open(MINA) as vault:
        assert release(vault, [bundle], KAI.ed25519, fields=COURT).unchecked == (bundle,)
        (recorded,) = record_consent(vault, [bundle], "given", how="x", by="y")
        assert recorded.before is None
    with house.open(NOOR) as vault:
        vault.open_bundle(bundle, purpose="now it is known").close()


@pytest.mark.parametrize("pruned", [False, True])
def test_who_reads_no_more_is_not_told_that_what_was_pruned_is_damaged(
    house: House, pruned: bool
) -> None:
    bundle = house.seal(consent__status="refused")
    with house.open(OWNER) as vault:
        admit(vault, MINA.card("Mina", datetime.date(2026, 3, 1)), ["custodian"])
    for who, step in ((NOOR, rekey), (NOOR, confirm), (NOOR, prune))[: 3 if pruned else 2]:
        with house.open(who) as vault:
            assert step(vault).events
    with house.open(MINA) as vault:
        # She could read it as it was. What took its place is for the readers of now.
        assert consent_of(vault, bundle).status == ("sealed" if pruned else "refused")
        assert vault.state.opens(MINA.ed25519)


def test_what_was_encrypted_again_for_others_stays_sealed(house: House) -> None:
    bundle = house.seal()
    day = datetime.date(2026, 3, 1)
    with house.open(OWNER) as vault:
        admit(vault, MINA.card("Mina", day), ["custodian"])
    consent(house, bundle, "withdrawn", KAI, how="x", by="y")
    with house.open(OWNER) as vault:
        admit(vault, KAI.card("Kai", day), ["custodian", "reader"])
        admit(vault, KAI.card("Kai", day), ["custodian"])
    assert house.do(NOOR, rekey).events
    for who, status in ((NOOR, "withdrawn"), (MINA, "sealed"), (KAI, "sealed")):
        with house.open(who) as vault:
            assert consent_of(vault, bundle).status == status
            assert vault.state.opens(who.ed25519)


# --- whom a limit means ---------------------------------------------------------------------------


def test_a_member_goes_by_name_and_by_fingerprint(house: House) -> None:
    digits = MINA.keys.fingerprint.hex()
    with house.open(NOOR) as vault:
        names = names_of_member(vault, MINA.ed25519)
        groups = " ".join(digits[at : at + 4] for at in range(0, 64, 4))
        assert names == {NAMES[MINA], digits, digits[:16], groups, groups[:19]}
        assert NAMES[OWNER] in names_of_member(vault, OWNER.ed25519)
        assert names_of_member(vault, STRANGER.ed25519) == frozenset()
    with house.open(KAI) as vault:
        assert names_of_member(vault, MINA.ed25519) == {digits, digits[:16], groups, groups[:19]}


@pytest.mark.parametrize("form", ["kai", "KAI ", "digits", "groups"])
def test_a_release_to_a_recipient_that_consent_names(house: House, form: str) -> None:
    bundle = house.seal()
    digits = KAI.keys.fingerprint.hex()[:16]
    groups = " ".join(digits[at : at + 4] for at in range(0, 16, 4))
    named = {"digits": digits, "groups": groups}.get(form, form)
    consent(house, bundle, "limited", recipients=["Amnesty", named], how="x", by="y")
    refused(house, "consent-recipient", MINA, release, [bundle], OWNER.ed25519)
    result = house.do(MINA, release, [bundle], KAI.ed25519)
    assert (result.unchecked, result.overridden) == ((), ())


# --- who is refused -------------------------------------------------------------------------------


def test_withdrawn_consent_bars_release_and_opening_but_for_an_authority(house: House) -> None:
    bundle, other = house.seal(), house.seal()
    consent(house, bundle, "withdrawn", how="letter", by="the witness")
    refused(house, "consent-withdrawn", MINA, release, [bundle, other], KAI.ed25519)
    with house.open(NOOR) as vault, pytest.raises(CustodyError) as caught:
        vault.open_bundle(bundle, purpose="a look")
    assert (caught.value.rule, caught.value.bundle) == ("consent-withdrawn", bundle)
    with house.open(NOOR) as vault, vault.open_bundle(bundle, purpose="x", fields=COURT):
        pass
    result = house.do(MINA, release, [bundle, other], KAI.ed25519, fields=COURT)
    assert (result.overridden, result.unchecked) == ((bundle,), ())
    # What was released before can be accepted: that is no new use.
    house.do(KAI, accept, [bundle, other])
    assert audit(house.path, identity=MINA).findings == ()


def test_consent_that_was_withdrawn_a_moment_ago_counts(house: House) -> None:
    bundle = house.seal()
    with house.open(MINA) as vault:
        consent(house, bundle, "withdrawn", OWNER, how="letter", by="the witness")
        with pytest.raises(CustodyError, match="consent-withdrawn"):
            release(vault, [bundle], KAI.ed25519)


def test_who_cant_read_consent_is_told_that_it_was_not_checked(house: House) -> None:
    bundle = house.seal()
    consent(house, bundle, "withdrawn", how="letter", by="the witness")
    house.do(MINA, release, [bundle], KAI.ed25519, fields=COURT)
    house.do(KAI, accept, [bundle])
    result = house.do(KAI, release, [bundle], OWNER.ed25519)
    assert (result.unchecked, result.overridden) == ((bundle,), ())


# --- what an audit says ---------------------------------------------------------------------------


def findings(house: House, who: Any = NOOR) -> list[tuple[str, str, str]]:
    assert audit(house.path).verdict == "intact"
    report = audit(house.path, identity=who)
    return [(one.severity, one.place, one.detail) for one in report.findings]


def force(house: House, who: Any, bundle: bytes, to: Any = OWNER, **fields: str) -> int:
    """Write a release past the check that this software makes; return its number."""
    with house.open(who) as vault:
        data = {"to": to.ed25519}
        return vault.append("custody.released", bundle=bundle, data=data, fields=fields).seq


def test_what_a_reader_did_against_consent_is_contradicted(house: House) -> None:
    bundle = house.seal()
    bearer = consent(house, bundle, "withdrawn", OWNER, how="x", by="y").event.seq
    seq = force(house, MINA, bundle)
    expected = ("contradicted", f"event {seq}", f"consent-withdrawn, by event {bearer}")
    assert findings(house) == [expected]
    report = audit(house.path, identity=NOOR)
    assert report.verdict == "contradicted"
    # Neither the log nor the bundle is altered by it, so that the check can be recorded.
    with house.open(NOOR) as vault:
        (event,) = record_audit(vault, report)
    assert event.data == {"result": "intact"}


def test_of_what_its_author_could_not_know_there_is_only_a_note(house: House) -> None:
    bundle = house.seal(KAI, consent__status="given")
    bearer = consent(house, bundle, "refused", MINA, how="x", by="y").event.seq
    seq = force(house, KAI, bundle)
    detail = f"consent-withdrawn, by event {bearer}, which its author could not read"
    assert findings(house) == [("note", f"event {seq}", detail)]
    assert audit(house.path, identity=NOOR).verdict == "intact"


def test_who_wrote_a_consent_knows_it_without_reading(house: House) -> None:
    bundle = house.seal(KAI, consent__status="limited", consent__scope=("court",))
    seq = force(house, KAI, bundle, use="press")
    assert findings(house)[0][:2] == ("contradicted", f"event {seq}")


def test_what_was_done_within_consent_or_above_it_is_not_found(house: House) -> None:
    bundle = house.seal(consent__status="limited", consent__scope=("court",))
    with house.open(NOOR) as vault, vault.open_bundle(bundle, purpose="x", fields={"use": "Court"}):
        pass
    force(house, MINA, bundle, **COURT)
    with house.open(MINA) as vault:
        vault.append("bundle.disclosed", bundle=bundle, data={"kind": "disclosure"}, fields=COURT)
    assert findings(house) == []
    # What came before a withdrawal was within the consent that stood then.
    consent(house, bundle, "withdrawn", how="x", by="y")
    assert findings(house) == []


def test_an_opening_and_a_disclosure_are_held_against_consent(house: House) -> None:
    bundle = house.seal(consent__status="limited", consent__recipients=("the court",))
    with house.open(MINA) as vault:
        told = {"recipient": "The Court"}
        data = {"kind": "disclosure"}
        vault.append("bundle.disclosed", bundle=bundle, data=data, fields=told)
        vault.append("bundle.opened", bundle=bundle)
        vault.append("bundle.disclosed", bundle=bundle, data=data)
        # A field of its own does not pass for the recipient of a release.
        first = vault.append(
            "custody.released", bundle=bundle, data={"to": KAI.ed25519}, fields=told
        )
        second = vault.append(
            "bundle.disclosed", bundle=bundle, data=data, fields={"recipient": "a newspaper"}
        )
    consent(house, bundle, "withdrawn", how="x", by="y")
    with house.open(NOOR) as vault:
        third = vault.append("bundle.opened", bundle=bundle)
    assert [(place, detail.split(",")[0]) for _, place, detail in findings(house)] == [
        (f"event {first.seq}", "consent-recipient"),
        (f"event {second.seq}", "consent-recipient"),
        (f"event {third.seq}", "consent-withdrawn"),
    ]


def test_an_auditor_accuses_nobody_for_want_of_what_is_closed_to_him(house: House) -> None:
    bundle = house.seal(consent__status="withdrawn")
    limited = house.seal()
    card = STRANGER.card("Late", datetime.date(2026, 5, 1))
    force(house, MINA, bundle)
    with house.open(OWNER) as vault:
        admit(vault, card, ("reader",), history=False)
    consent(house, limited, "limited", recipients=["Kai"], how="x", by="y")
    house.do(MINA, release, [limited], KAI.ed25519)
    # Neither that consent, nor under which name Kai was admitted, is open to the newcomer.
    assert findings(house, STRANGER) == []
    assert len(findings(house)) == 1


def test_a_newcomer_without_history_could_not_know_and_a_grant_changes_that(house: House) -> None:
    bundle = house.seal(KAI, consent__status="withdrawn")
    consent(house, bundle, "withdrawn", MINA, how="x", by="y")
    card = KAI.card("Kai", datetime.date(2026, 5, 1))
    with house.open(OWNER) as vault:
        admit(vault, card, ("custodian", "reader"), history=False)
    force(house, KAI, bundle)
    with house.open(KAI) as vault:
        vault.append("custody.recalled", bundle=bundle, data={"release": vault.size - 1})
    assert [one[0] for one in findings(house)] == ["note"]
    with house.open(NOOR) as vault:
        grant_history(vault, vault.state.members[KAI.ed25519])
    force(house, KAI, bundle)
    assert [one[0] for one in findings(house)] == ["contradicted", "note"]


def test_a_destroyed_bundle_is_not_judged(house: House) -> None:
    bundle = house.seal(consent__status="withdrawn")
    force(house, MINA, bundle)
    assert len(findings(house)) == 1
    with house.open(MINA) as vault:
        release = vault.state.bundles[bundle].release
        assert release is not None
        vault.append("custody.recalled", bundle=bundle, data={"release": release.seq})
        vault.append("bundle.destroyed", bundle=bundle)
    assert all(code != "consent" for code in codes_of(house))


def codes_of(house: House) -> list[str]:
    return [one.code for one in audit(house.path, identity=NOOR).findings]


def test_what_a_damaged_statement_said_is_held_against_nobody(house: House) -> None:
    bundle = house.seal(consent__status="withdrawn")
    recorded = consent(house, bundle, "given", how="x", by="y")
    force(house, MINA, bundle)
    path = house.path / fields_name(recorded.event.sealed.sha256)
    path.write_bytes(path.read_bytes()[::-1])
    assert codes_of(house) == ["digest"]


# --- holds ----------------------------------------------------------------------------------------


def test_one_hold_bars_the_destruction_of_several_bundles(house: House) -> None:
    bundles = [house.seal(), house.seal()]
    hold, events = house.do(MINA, place_hold, bundles, authority="court", reason="a case")
    assert len(hold) == 16
    assert [one.data for one in events] == [{"hold": hold}] * 2
    with house.open(NOOR) as vault:
        stated = vault.fields(events[0])
        assert (stated["authority"], stated["reason"]) == ("court", "a case")
    with house.open(MINA) as vault, pytest.raises(CustodyError, match="hold"):
        vault.append("bundle.destroyed", bundle=bundles[0])
    house.do(KAI, lift_hold, bundles, authority="court", reason="closed")
    with house.open(MINA) as vault:
        assert not any(vault.bundle(one).holds for one in bundles)
        vault.append("bundle.destroyed", bundle=bundles[0])


def test_of_several_holds_one_is_named(house: House) -> None:
    bundle = house.seal()
    ids = iter((b"\x01" * 16, b"\x02" + bytes(15)))
    told: Any = {"authority": "court", "reason": "x"}
    for _ in range(2):
        house.do(MINA, place_hold, [bundle], random=lambda _: next(ids), **told)
    before = house.files()
    with house.open(MINA) as vault:
        with pytest.raises(AmbiguousError) as caught:
            lift_hold(vault, [bundle], **told)
        assert caught.value.candidates == ("01" * 16, "02" + "00" * 15)
        with pytest.raises(NotFoundError):
            lift_hold(vault, [bundle], "03", **told)
        with pytest.raises(ValueError, match="no bundle"):
            lift_hold(vault, [], **told)
    assert house.files() == before
    house.do(MINA, lift_hold, [bundle], "02", **told)
    with house.open(MINA) as vault:
        assert vault.bundle(bundle).holds == {b"\x01" * 16}
    house.do(MINA, lift_hold, [bundle], **told)
    refused(house, "hold-unknown", MINA, lift_hold, [bundle], **told)


def test_several_bundles_are_put_under_a_hold_or_none(house: House) -> None:
    bundles = [house.seal(), house.seal()]
    with house.open(MINA) as vault:
        vault.append("bundle.destroyed", bundle=bundles[0])
    refused(house, "destroyed", MINA, place_hold, bundles, authority="x", reason="y")
    refused(house, "role", NOOR, place_hold, bundles[1:], authority="x", reason="y")


def test_a_removed_holders_bundles_keep_their_terms(house: House) -> None:
    bundle = house.seal()
    house.do(MINA, place_hold, [bundle], authority="court", reason="x")
    consent(house, bundle, "limited", uses=["court"], how="x", by="y")
    with house.open(OWNER) as vault:
        remove(vault, vault.state.members[MINA.ed25519], cause="left")
    with house.open(NOOR) as vault:
        assert vault.bundle(bundle).holds
        assert consent_of(vault, bundle).uses == ("court",)
