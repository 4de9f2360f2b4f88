"""The account of a bundle's custody: tenures, gaps, disputes, and what came to nothing."""

from __future__ import annotations

from typing import Any

import pytest

from vault import Card, Identity
from vault.chain import Account, Tenure, account_of, accounts_of, chain_of
from vault.custody import Breach, Custody
from vault.event import Event, check_event_signature
from vault.layout import fields_name

HOLD = b"\x0d" * 16


class History:
    """One bundle of a vault of several people, and what happens to it, minute by minute.

    ``owner`` holds the bundle and can't read; ``reader`` can. ``b`` owns and keeps, ``c`` keeps.
    """

    def __init__(self, place: Any) -> None:
        self.place = place
        self.owner: Identity = place.owner
        self.reader: Identity = place.reader
        self.b, self.c = (Identity(bytes([number]) * 32) for number in (3, 4))
        self.bundle: bytes = place.seal(("a.txt", b"content"))
        for who, roles in ((self.b, ("custodian", "owner")), (self.c, ("custodian",))):
            data = {"keys": who.proven.to_data(), "roles": roles, "history": False}
            self.on_roster(self.owner, "member.admitted", data)

    def on_roster(self, who: Identity, name: str, data: dict[str, Any], **fields: Any) -> Event:
        self.place.time[0] += 60
        done: Event = self.place.open(who).append(name, data=data, fields=fields)
        return done

    def do(self, who: Identity, name: str, data: Any = None, **fields: Any) -> Event:
        self.place.time[0] += 60
        done: Event = self.place.open(who).append(
            name, bundle=self.bundle, data=data or {}, fields=fields
        )
        return done

    def release(
        self, giver: Identity, taker: Identity, expires: int | None = None, **fields: Any
    ) -> Event:
        data: dict[str, Any] = {"to": taker.ed25519}
        if expires is not None:
            data["expires"] = expires
        return self.do(giver, "custody.released", data, **fields)

    def accept(self, taker: Identity, release: Event, **fields: Any) -> Event:
        data = {"release": release.seq, "rehashed": True}
        return self.do(taker, "custody.accepted", data, **fields)

    def remove(
        self, who: Identity, member: Identity, doubtful_from: int | None = None, **fields: Any
    ) -> Event:
        data: dict[str, Any] = {"member": member.ed25519}
        if doubtful_from is not None:
            data["doubtful_from"] = doubtful_from
        return self.on_roster(who, "member.removed", data, **fields)

    def interrupt(self, who: Identity, state: str, **fields: Any) -> Event:
        return self.do(who, "custody.interrupted", {"state": state}, **fields)

    def account(self, identity: Identity | None = None) -> Account:
        vault = self.place.open(identity or self.reader)
        return account_of(vault, vault.bundle(self.bundle))

    def keyless(self) -> Account:
        vault = self.place.open()
        return account_of(vault, vault.bundle(self.bundle))


@pytest.fixture
def history(place: Any) -> History:
    return History(place)


def summary(tenure: Tenure) -> tuple[bytes, str, int, int | None]:
    end = tenure.end.event.seq if tenure.end is not None else None
    return tenure.holder, tenure.began, tenure.start.event.seq, end


def fates(account: Account) -> list[tuple[str, int | None, str]]:
    return [
        (one.fate, one.ending.seq if one.ending is not None else None, one.reason)
        for one in account.attempts
    ]


def gaps(account: Account) -> list[tuple[str, bytes, int, int | None]]:
    return [
        (gap.kind, gap.holder, gap.start.seq, gap.end.seq if gap.end is not None else None)
        for gap in account.gaps
    ]


class TestChain:
    def chain(self, place: Any, bundle: bytes) -> list[tuple[str, bytes, tuple[str, ...]]]:
        vault = place.open(place.reader)
        links = chain_of(vault, vault.bundle(bundle))
        return [(link.event.type, link.holder, link.remarks) for link in links]

    def test_the_holder_changes_at_acceptance(self, place: Any, card: Card) -> None:
        bundle = place.seal()
        owner, reader = place.owner.ed25519, place.reader.ed25519
        released = place.open(place.owner).append(
            "custody.released", bundle=bundle, data={"to": card.keys.ed25519}
        )
        place.open(place.reader).append(
            "custody.accepted", bundle=bundle, data={"release": released.seq, "rehashed": True}
        )
        assert self.chain(place, bundle) == [
            ("bundle.sealed", owner, ()),
            ("custody.released", owner, ()),
            ("custody.accepted", reader, ()),
        ]

    def test_gaps_are_remarked_upon(self, place: Any) -> None:
        bundle = place.seal()
        owner = place.open(place.owner)
        place.time[0] -= 100
        owner.append("bundle.noted", bundle=bundle, fields={"recorded_late_because": "no power"})
        place.time[0] += 200
        for state in ("interrupted", "returned", "interrupted"):
            owner.append("custody.interrupted", bundle=bundle, data={"state": state})
        owner.append("custody.assumed", bundle=bundle, fields={"occurred_at": "2026-03-01"})
        assert [remarks for _, _, remarks in self.chain(place, bundle)] == [
            (),
            ("before-the-last", "late"),
            ("interrupted",),
            (),
            ("interrupted",),
            ("assumed", "late"),
        ]

    def test_disputes_and_broken_rules_are_remarked_upon(
        self, place: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vault import State, Vault

        bundle = place.seal()
        broken = (Breach("role", 3, "x"), Breach("prev", 3, "x"))
        monkeypatch.setattr(State, "is_disputed", lambda *_: True)
        monkeypatch.setattr(Vault, "breaches", property(lambda _: broken))
        vault = place.open()
        (link,) = chain_of(vault, vault.bundle(bundle))
        assert link.remarks == ("breaks-a-rule", "disputed")
        assert link.rules == ("role", "prev")
        assert link.seen.state == "sealed"


class TestTenures:
    def test_the_sealer_answers_from_sealing_until_now(self, history: History) -> None:
        account = history.account()
        (tenure,) = account.tenures
        assert summary(tenure) == (history.owner.ed25519, "sealed", 3, None)
        assert (tenure.release, tenure.differences) == (None, ())
        assert (account.attempts, account.gaps, account.disputes) == ((), (), ())
        assert (account.backwards, account.late, account.breaches) == ((), (), ())
        assert (account.checks, account.holds, account.consents) == ((), (), ())
        assert (account.damaged, account.destruction) == ((), None)

    def test_a_handover_carries_both_signatures(self, history: History) -> None:
        release = history.release(history.owner, history.b, condition="whole")
        accepted = history.accept(history.b, release, condition="Whole ")
        for account in (history.account(), history.keyless()):
            first, second = account.tenures
            assert summary(first) == (history.owner.ed25519, "sealed", 3, accepted.seq)
            assert summary(second) == (history.b.ed25519, "accepted", accepted.seq, None)
            assert second.release is not None
            for link, signer in ((second.release, history.owner), (second.start, history.b)):
                assert link.event.actor == signer.ed25519
                check_event_signature(link.event)
            assert second.release.event == release
            assert second.differences == ()
            assert account.gaps == ()
        assert second.start.seen.state == "sealed"

    def test_what_the_two_sides_say_differently_is_pointed_out(self, history: History) -> None:
        release = history.release(
            history.owner, history.b, place="Lahore", condition="whole", purpose="to copy",
            carrier="by hand", seal_number="A 17",
        )  # fmt: skip
        history.accept(
            history.b, release, place="Karachi", condition="scratched", purpose="To  copy",
            medium="USB stick",
        )  # fmt: skip
        found = {
            one.name: (one.released, one.accepted)
            for one in history.account().tenures[1].differences
        }
        # Each stood in a place of its own; what one alone mentions counts where both should look.
        assert found == {"condition": ("whole", "scratched"), "seal_number": ("A 17", "")}
        assert history.keyless().tenures[1].differences == ()

    def test_a_side_that_cant_be_read_is_compared_with_nothing(self, history: History) -> None:
        release = history.release(history.owner, history.b, condition="whole")
        accepted = history.accept(history.b, release, condition="broken")
        assert accepted.sealed is not None
        history.place.store.delete(fields_name(accepted.sealed.sha256))
        account = history.account()
        assert [link.event.seq for link in account.damaged] == [accepted.seq]
        assert account.tenures[1].differences == ()
        assert account.tenures[1].release is not None
        assert account.tenures[1].release.seen.text("condition") == "whole"

    def test_destruction_ends_the_last_tenure(self, history: History) -> None:
        done = history.do(history.owner, "bundle.destroyed", authority="court", reason="done")
        history.do(history.c, "bundle.noted", text="gone")
        account = history.account()
        assert summary(account.tenures[0])[3] == done.seq
        assert account.destruction is not None
        assert account.destruction.done is not None
        assert account.destruction.done.seen.text("authority") == "court"
        assert (account.destruction.request, account.destruction.approval) == (None, None)

    def test_several_bundles_are_told_in_the_order_given(self, history: History) -> None:
        other = history.place.seal(("b.txt", b"other"))
        vault = history.place.open()
        bundles = [vault.bundle(one) for one in (other, history.bundle)]
        told = list(accounts_of(vault, bundles))
        assert [account.bundle.id for account in told] == [other, history.bundle]
        assert told[1] == account_of(vault, bundles[1])


class TestReleasesThatCameToNothing:
    def test_one_that_was_declined_or_recalled_has_an_end_and_a_reason(
        self, history: History
    ) -> None:
        first = history.release(history.owner, history.b)
        data = {"release": first.seq}
        declined = history.do(history.b, "custody.declined", data, reason="the seal is broken")
        second = history.release(history.owner, history.c)
        recalled = history.do(history.owner, "custody.recalled", {"release": second.seq})
        account = history.account()
        assert fates(account) == [
            ("declined", declined.seq, "the seal is broken"),
            ("recalled", recalled.seq, ""),
        ]
        assert [one.to for one in account.attempts] == [history.b.ed25519, history.c.ed25519]
        assert len(account.tenures) == 1
        assert fates(history.keyless())[0] == ("declined", declined.seq, "")

    def test_one_is_open_until_an_event_claims_a_time_past_its_end(self, history: History) -> None:
        end = history.place.time[0] + 130
        release = history.release(history.owner, history.b, expires=end)
        assert fates(history.account()) == [("open", None, "")]
        assert history.account().attempts[0].expires == end
        history.do(history.c, "bundle.noted", text="in time")
        assert fates(history.account()) == [("open", None, "")]
        # Any event of the vault tells the time, even one about another bundle.
        note = history.on_roster(history.c, "vault.noted", {})
        history.on_roster(history.c, "vault.noted", {})
        assert fates(history.account()) == [("expired", note.seq, "")]
        again = history.release(history.owner, history.c)
        assert fates(history.account()) == [("expired", again.seq, ""), ("open", None, "")]
        assert history.account().attempts[0].release.event == release

    def test_a_time_past_the_end_that_was_claimed_before_the_release_is_not_looked_at(
        self, history: History
    ) -> None:
        history.place.time[0] += 10_000
        history.do(history.c, "bundle.noted", text="a clock that runs ahead")
        history.place.time[0] -= 10_000
        history.release(history.owner, history.b, expires=history.place.time[0] + 100)
        assert fates(history.account()) == [("open", None, "")]

    def test_one_to_somebody_who_was_removed_can_be_accepted_no_more(
        self, history: History
    ) -> None:
        history.release(history.owner, history.c)
        removed = history.remove(history.b, history.c)
        assert fates(history.account()) == [("recipient-removed", removed.seq, "")]

    def test_one_is_superseded_where_custody_is_assumed(self, history: History) -> None:
        history.release(history.owner, history.c)
        history.interrupt(history.owner, "interrupted")
        assumed = history.do(history.b, "custody.assumed")
        assert fates(history.account()) == [("superseded", assumed.seq, "")]

    def test_one_that_expired_ends_with_the_bundle(self, history: History) -> None:
        history.release(history.owner, history.c, expires=history.place.time[0] + 90)
        history.place.time[0] += 3600
        destroyed = history.do(history.owner, "bundle.destroyed")
        assert fates(history.account()) == [("superseded", destroyed.seq, "")]


class TestGaps:
    def test_an_interruption_lasts_until_the_return(self, history: History) -> None:
        one = history.interrupt(history.c, "interrupted", cause="seized", reason="a search")
        assert gaps(history.account()) == [("interrupted", history.owner.ed25519, one.seq, None)]
        assert history.account().gaps[0].seen.text("cause") == "seized"
        assert history.keyless().gaps[0].seen.state == "sealed"
        two = history.interrupt(history.c, "returned")
        assert gaps(history.account()) == [("interrupted", history.owner.ed25519, one.seq, two.seq)]

    def test_who_assumes_ends_an_interruption_and_signs_alone(self, history: History) -> None:
        one = history.interrupt(history.owner, "interrupted", cause="lost")
        two = history.do(history.b, "custody.assumed", authority="the board", reason="no answer")
        account = history.account()
        assert gaps(account) == [
            ("interrupted", history.owner.ed25519, one.seq, two.seq),
            ("assumed", history.owner.ed25519, two.seq, None),
        ]
        assert account.gaps[1].seen.text("authority") == "the board"
        assert summary(account.tenures[1]) == (history.b.ed25519, "assumed", two.seq, None)
        assert account.tenures[1].release is None

    def test_a_holder_who_was_removed_leaves_a_gap_until_somebody_takes_over(
        self, history: History
    ) -> None:
        removed = history.remove(history.b, history.owner, cause="left")
        assert gaps(history.account()) == [
            ("holder-removed", history.owner.ed25519, removed.seq, None)
        ]
        assert history.account().gaps[0].seen.text("cause") == "left"
        assumed = history.do(history.b, "custody.assumed")
        assert gaps(history.keyless())[0] == (
            "holder-removed", history.owner.ed25519, removed.seq, assumed.seq,
        )  # fmt: skip

    def test_a_release_may_be_accepted_after_its_author_was_removed(self, history: History) -> None:
        release = history.release(history.owner, history.b)
        removed = history.remove(history.b, history.owner)
        accepted = history.accept(history.b, release)
        assert gaps(history.account()) == [
            ("holder-removed", history.owner.ed25519, removed.seq, accepted.seq)
        ]

    def test_who_is_removed_after_handing_on_leaves_none(self, history: History) -> None:
        history.accept(history.b, history.release(history.owner, history.b))
        history.remove(history.b, history.owner)
        assert history.account().gaps == ()

    def test_destruction_ends_every_gap(self, history: History) -> None:
        one = history.interrupt(history.owner, "interrupted")
        done = history.do(history.owner, "bundle.destroyed")
        history.remove(history.b, history.owner)
        assert gaps(history.account()) == [
            ("interrupted", history.owner.ed25519, one.seq, done.seq)
        ]


class TestDisputes:
    def test_what_a_doubtful_key_signed_is_disputed_with_what_rests_on_it(
        self, history: History
    ) -> None:
        release = history.release(history.owner, history.b)
        accepted = history.accept(history.b, release)
        history.do(history.owner, "bundle.noted", text="later")
        removed = history.remove(
            history.b, history.owner, doubtful_from=release.seq, cause="compromised"
        )
        account = history.account()
        assert [(one.event.seq, one.tenures) for one in account.disputes] == [
            (release.seq, (1,)),
            (accepted.seq + 1, ()),
        ]
        removal = account.disputes[0].removal
        assert (removal.member, removal.event) == (history.owner.ed25519, removed)
        assert removal.doubtful_from == release.seq
        assert removal.seen.text("cause") == "compromised"
        assert [one.event for one in history.keyless().disputes] == [
            one.event for one in account.disputes
        ]
        assert "disputed" in account.links[1].remarks

    def test_an_admission_by_a_doubtful_key_is_disputed_for_those_who_signed(
        self, history: History
    ) -> None:
        history.accept(history.b, history.release(history.owner, history.b))
        history.remove(history.b, history.owner, doubtful_from=4)
        assert [(one.event.type, one.tenures) for one in history.account().disputes] == [
            ("member.admitted", (1,)),
            ("custody.released", (1,)),
        ]

    def test_a_removal_by_a_doubtful_key_is_disputed_too(self, history: History) -> None:
        other = Identity(bytes([5]) * 32)
        data = {"keys": other.proven.to_data(), "roles": ("owner",), "history": False}
        history.on_roster(history.owner, "member.admitted", data)
        gone = history.remove(history.b, history.owner, doubtful_from=3)
        assumed = history.do(history.b, "custody.assumed")
        history.remove(other, history.b, doubtful_from=gone.seq)
        account = history.account()
        assert [(one.event.seq, one.removal.member, one.tenures) for one in account.disputes] == [
            (3, history.owner.ed25519, (0,)),
            (4, history.owner.ed25519, (1,)),
            (gone.seq, history.b.ed25519, ()),
            (assumed.seq, history.b.ed25519, (1,)),
        ]

    def test_a_removal_without_doubt_disputes_nothing(self, history: History) -> None:
        gone = history.remove(history.b, history.owner)
        account = history.account()
        assert account.disputes == ()
        assert account.gaps[0].start == gone


class TestOtherThings:
    def test_times_that_run_backwards_are_told_in_pairs(self, history: History) -> None:
        history.place.time[0] -= 1000
        note = history.do(history.c, "bundle.noted", text="x")
        ((before, after),) = history.account().backwards
        assert (before.event.seq, after.event) == (3, note)
        assert before.event.time > after.event.time

    def test_a_coarser_clock_turns_no_time_back(self, history: History) -> None:
        policy = {"policy": {"clock": 3600, "two_person_destroy": False}}
        history.on_roster(history.owner, "vault.policy", policy)
        note = history.do(history.c, "bundle.noted", text="x")
        before = history.place.open(history.reader).event(3)
        assert note.time < before.time < note.time + 3600
        assert history.account().backwards == ()
        history.place.time[0] -= 7200
        late = history.do(history.c, "bundle.noted", text="y")
        ((_, after),) = history.account().backwards
        assert after.event == late

    def test_what_was_recorded_late_says_when_and_why(self, history: History) -> None:
        history.do(
            history.c, "bundle.noted", text="x", occurred_at="2026-03-01T14:05+05:00",
            recorded_late_because="no network",
        )  # fmt: skip
        (link,) = history.account().late
        assert link.seen.text("occurred_at") == "2026-03-01T14:05+05:00"
        assert link.seen.text("recorded_late_because") == "no network"
        assert history.keyless().late == ()

    def test_checks_consents_and_holds_in_force_are_listed(self, history: History) -> None:
        history.do(history.c, "bundle.checked", {"result": "intact"})
        history.do(history.c, "consent.recorded", **{"consent.status": "withdrawn"})
        history.do(history.c, "hold.placed", {"hold": HOLD})
        kept = history.do(history.c, "hold.placed", {"hold": bytes(16)}, reason="a trial")
        history.do(history.c, "hold.lifted", {"hold": HOLD})
        history.do(history.c, "bundle.checked", {"result": "altered"})
        account = history.account()
        assert [link.event.data["result"] for link in account.checks] == ["intact", "altered"]
        assert [link.seen.text("consent.status") for link in account.consents] == ["withdrawn"]
        assert [link.event for link in account.holds] == [kept]

    def test_a_destruction_names_its_request_and_approval(self, history: History) -> None:
        asked = history.do(history.owner, "destruction.requested", reason="a request")
        account = history.account()
        assert account.destruction is not None
        assert account.destruction.request is not None
        assert (account.destruction.request.event, account.destruction.done) == (asked, None)
        agreed = history.do(history.b, "destruction.approved", {"request": asked.seq})
        data = {"request": asked.seq, "approval": agreed.seq}
        done = history.do(history.owner, "bundle.destroyed", data)
        destruction = history.account().destruction
        assert destruction is not None
        steps = (destruction.request, destruction.approval, destruction.done)
        assert [step.event for step in steps if step is not None] == [asked, agreed, done]

    def test_a_destruction_that_names_no_request_did_not_rest_on_one(
        self, history: History
    ) -> None:
        history.do(history.owner, "destruction.requested")
        history.do(history.owner, "bundle.destroyed")
        destruction = history.account().destruction
        assert destruction is not None
        assert destruction.request is None

    def test_an_event_that_breaks_a_rule_changes_nothing(
        self, history: History, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = history.release(history.owner, history.b)
        with monkeypatch.context() as patch:
            patch.setattr(Custody, "broken", lambda *_: ())
            stolen = history.accept(history.c, release)
            history.do(history.c, "hold.placed", {"hold": HOLD})
        account = history.account()
        assert [(link.event, link.rules) for link in account.breaches] == [(stolen, ("recipient",))]
        assert [tenure.holder for tenure in account.tenures] == [history.owner.ed25519]
        assert fates(account) == [("open", None, "")]
        assert len(account.holds) == 1

    def test_without_a_key_all_but_the_private_is_the_same(self, history: History) -> None:
        release = history.release(history.owner, history.b)
        history.interrupt(history.c, "interrupted")
        history.remove(history.b, history.owner, doubtful_from=release.seq)
        history.do(history.b, "custody.assumed")
        history.place.time[0] -= 10_000
        history.do(history.c, "bundle.noted")
        open_, sealed = history.account(), history.keyless()
        assert {link.seen.state for link in sealed.links} == {"sealed"}
        assert list(map(summary, open_.tenures)) == list(map(summary, sealed.tenures))
        assert gaps(open_) == gaps(sealed)
        assert fates(open_) == fates(sealed)
        assert [one.event for one in open_.disputes] == [one.event for one in sealed.disputes]
        assert len(open_.backwards) == len(sealed.backwards) == 1
        assert [len(account.disputes) for account in (open_, sealed)] == [1, 1]
