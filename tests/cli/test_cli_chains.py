"""``evault custody``: the account of one bundle, or of all, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest
from rich.cells import cell_len

from evault_cli import chain_words, render
from vault import Identity, Vault, parse_identity_file
from vault.chain import Began, Fate, GapKind
from vault.custody import Custody
from vault.event import Event, check_event_signature
from vault.layout import fields_name

START = 1_900_000_000  # 2030-03-17T17:46:40Z, behind every real clock
EVIL = "\x1b]8;;http://evil\x07Mallory\x1b]8;;\x07 \u202e"


@dataclass
class Scene:
    """The world's vault as more people write to it, a minute apart.

    Asma (``owner``) holds the bundle and can't read; the ``reader`` can. Bo owns and keeps, ``cy``
    keeps and has a name that would mislead a terminal.
    """

    world: Any
    owner: Identity
    reader: Identity
    time: int = START

    def __post_init__(self) -> None:
        self.bo, self.cy = (Identity(bytes([number]) * 32) for number in (3, 4))
        for who, name, roles in (
            (self.bo, "Bo", ("custodian", "owner")),
            (self.cy, EVIL, ("custodian",)),
        ):
            data = {"keys": who.proven.to_data(), "roles": roles, "history": False}
            self.on_roster(self.owner, "member.admitted", data, **{"member.name": name})

    def _append(self, who: Identity, name: str, **what: Any) -> Event:
        self.time += 60
        with Vault.open(self.world.vault, identity=who, clock=lambda: self.time) as vault:
            return vault.append(name, **what)

    def on_roster(self, who: Identity, name: str, data: Any, **fields: Any) -> Event:
        return self._append(who, name, data=data, fields=fields)

    def do(self, who: Identity, name: str, data: Any = None, **fields: Any) -> Event:
        bundle = bytes.fromhex(self.world.bundle)
        return self._append(who, name, bundle=bundle, data=data or {}, fields=fields)

    def release(self, giver: Identity, taker: Identity, **fields: Any) -> Event:
        return self.do(giver, "custody.released", {"to": taker.ed25519}, **fields)

    def accept(self, taker: Identity, release: Event, **fields: Any) -> Event:
        data = {"release": release.seq, "rehashed": True}
        return self.do(taker, "custody.accepted", data, **fields)

    def remove(self, who: Identity, member: Identity, **more: Any) -> Event:
        fields = {name: more.pop(name) for name in ("cause", "reason") if name in more}
        return self.on_roster(who, "member.removed", {"member": member.ed25519, **more}, **fields)

    def shown(self, *more: object) -> Any:
        outcome = self.world.call("custody", self.world.vault, self.world.bundle, *more)
        assert outcome.code == 0, outcome.err
        return outcome

    def text(self) -> str:
        """What a reader sees."""
        text: str = self.shown(*self.world.reader).out
        return text

    def keyless(self) -> str:
        text: str = self.shown().out
        return text

    def record(self) -> Any:
        return self.shown(*self.world.reader, "--json").json


@pytest.fixture
def scene(world: Any) -> Scene:
    home = (world.folder / "home/identity.age").read_bytes()
    other = (world.folder / "reader.age").read_bytes()
    return Scene(
        world,
        parse_identity_file(home, b"a passphrase of the owner"),
        parse_identity_file(other, b"a passphrase of the reader"),
    )


def fingerprint(who: Identity) -> bytes:
    return who.proven.keys.fingerprint


def columns(line: str) -> list[str]:
    """Return the cells of a row; none of ours holds two spaces."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def section(text: str, heading: str) -> list[str]:
    """Return the lines below a heading, as far as the next empty one."""
    lines = text.split("\n")
    at = lines.index(heading) + 1
    return lines[at : lines.index("", at)]


def test_every_way_to_begin_to_end_and_to_fail_has_words() -> None:
    assert set(chain_words.BEGAN) == set(chain_words.SIGNED) == set(get_args(Began))
    assert {kind for kind, _ in chain_words.GAPS} == set(get_args(GapKind))
    assert set(chain_words.NOBODY) == set(get_args(GapKind)) - {"assumed"}
    assert set(chain_words.FATES) == set(get_args(Fate)) - {"open"}


class TestAnswerable:
    def rows(self, text: str) -> list[list[str]]:
        header, *rows = section(text, "")
        assert columns(header) == ["Answerable", "From", "Until", "How it began", "Signed by"]
        return [columns(row) for row in rows]

    def test_the_first_table_says_who_was_answerable_from_when_until_when(
        self, scene: Scene
    ) -> None:
        accepted = scene.accept(scene.bo, scene.release(scene.owner, scene.bo))
        gone = scene.do(scene.bo, "custody.interrupted", {"state": "interrupted"}, cause="seized")
        taken = scene.do(scene.owner, "custody.assumed")
        sealed = scene.record()["chain"][0]["time"]
        times = [render.utc(event.time) for event in (accepted, gone, taken)]
        rows = self.rows(scene.text())
        assert [row[0].split(" (")[0] for row in rows] == ["Asma", "Bo", "nobody", "Asma"]
        assert [row[1:] for row in rows] == [
            [sealed, times[0], "sealed", "Asma"],
            [times[0], times[2], "handed over", "Asma, and Bo"],
            [times[1], times[2], "custody interrupted (seized)", "Bo"],
            [times[2], "now", "taken over by an owner", "Asma alone"],
        ]
        keyless = self.rows(scene.keyless())
        assert [row[1:4] for row in keyless[:2]] == [row[1:4] for row in rows[:2]]
        assert keyless[2][3] == "custody interrupted"

    def test_what_is_disputed_or_late_is_marked_there(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.bo)
        late = {"occurred_at": "2026-03-01", "recorded_late_because": "on paper first"}
        scene.accept(scene.bo, release, **late)
        assert self.rows(scene.text())[1][3] == "handed over (recorded late)"
        scene.remove(scene.bo, scene.owner, doubtful_from=release.seq)
        assert self.rows(scene.text())[1][3] == "handed over (disputed, recorded late)"
        assert self.rows(scene.keyless())[1][3] == "handed over (disputed)"

    def test_a_tenure_ends_with_the_bundle(self, scene: Scene) -> None:
        done = scene.do(scene.owner, "bundle.destroyed", reason="asked for")
        text = scene.text()
        assert self.rows(text)[0][2] == render.utc(done.time)
        assert "Held now" not in text
        assert f"(reason: asked for), at {render.utc(done.time)} (event {done.seq})." in text

    def test_wide_names_do_not_break_the_tables(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wide = Identity(bytes([5]) * 32)
        data = {"keys": wide.proven.to_data(), "roles": ("custodian",), "history": False}
        scene.on_roster(scene.owner, "member.admitted", data, **{"member.name": "گواہ 証人 " * 200})
        scene.accept(wide, scene.release(scene.owner, wide))
        piped = scene.text()
        assert max(map(len, section(piped, ""))) < 200
        monkeypatch.setattr(render, "is_terminal", lambda _: True)
        monkeypatch.setenv("COLUMNS", "100")
        text = scene.text()
        first = section(text, "")
        assert max(map(cell_len, first)) <= 100
        assert len(first) < 20
        # What tells people apart is there, whatever they call themselves.
        mark = render.short(fingerprint(wide))
        assert mark in " ".join(" ".join(row[:22].strip() for row in first).split())
        assert mark in "\n".join(section(piped, ""))


class TestHandovers:
    def test_both_signatures_are_printed_with_what_they_are_over(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.bo)
        accepted = scene.accept(scene.bo, release)
        for text in (scene.text(), scene.keyless()):
            for event in (release, accepted):
                assert f"Ed25519 signature {event.sig.hex()}\n" in text
                assert f"leaf hash {event.leaf_hash.hex()}\n" in text
        text = scene.text()
        assert "\nHandover from Asma (" in text
        assert "states that all digests were checked first" in text

    def test_who_takes_over_signs_alone(self, scene: Scene) -> None:
        scene.remove(scene.bo, scene.owner, cause="died")
        assumed = scene.do(scene.bo, "custody.assumed", authority="the board")
        text = scene.text()
        assert "\nTaken over from Asma (" in text
        assert "not signed by Asma (" in text
        assert assumed.sig.hex() in text

    def test_a_release_that_came_to_nothing_says_how(self, scene: Scene) -> None:
        first = scene.release(scene.owner, scene.bo)
        declined = scene.do(
            scene.bo, "custody.declined", {"release": first.seq}, reason="the seal\nis broken"
        )
        second = scene.release(scene.owner, scene.bo)
        scene.do(scene.owner, "custody.recalled", {"release": second.seq})
        data = {"to": scene.bo.ed25519, "expires": scene.time + 100}
        scene.do(scene.owner, "custody.released", data)
        scene.time += 1000
        scene.release(scene.owner, scene.cy)
        scene.remove(scene.bo, scene.cy)
        told = section(scene.text(), "Releases that came to nothing")
        assert len(told) == 4
        assert "declined it (reason: the seal is broken), at " in told[0]
        assert f"{render.utc(declined.time)} (event {declined.seq})." in told[0]
        assert "took the release back, at " in told[1]
        assert "had passed by the clock of Asma (" in told[2]
        assert "was removed from the vault by Bo (" in told[3]
        assert "reason" not in section(scene.keyless(), "Releases that came to nothing")[0]

    def test_one_that_was_overtaken_says_by_what(self, scene: Scene) -> None:
        # One that is open bars destruction; one that expired does not.
        scene.do(scene.owner, "custody.released", {"to": scene.cy.ed25519, "expires": 1})
        scene.do(scene.owner, "bundle.destroyed")
        (told,) = section(scene.text(), "Releases that came to nothing")
        assert "before it was accepted, at " in told
        assert told.endswith(f"Asma ({render.short(fingerprint(scene.owner))}) destroyed it.")


class TestGapsAndDisputes:
    def told(self, scene: Scene) -> list[str]:
        return section(scene.text(), "Gaps and disputes")

    def test_where_there_is_none_it_says_so(self, scene: Scene) -> None:
        scene.accept(scene.bo, scene.release(scene.owner, scene.bo))
        assert self.told(scene) == ["No gap and no dispute."]
        first, second = section(scene.keyless(), "Gaps and disputes")
        assert first == "No gap and no dispute."
        assert "was not looked at" in second

    def test_an_interruption_is_told_with_cause_and_end(self, scene: Scene) -> None:
        began = scene.do(
            scene.owner, "custody.interrupted", {"state": "interrupted"},
            cause="seized", reason="a search",
        )  # fmt: skip
        (told,) = self.told(scene)
        assert told.startswith(f"Since {render.utc(began.time)} (event {began.seq}), nobody can ")
        assert told.endswith(" was interrupted (seized; reason: a search).")
        scene.do(scene.owner, "custody.interrupted", {"state": "returned"})
        (told,) = self.told(scene)
        assert told.startswith(f"From {render.utc(began.time)} ")
        assert told.endswith(") recorded its return.")
        assert "custody restored" in scene.text()

    def test_a_holder_who_was_removed_and_who_took_over_are_told(self, scene: Scene) -> None:
        scene.remove(scene.bo, scene.owner, cause="left")
        (told,) = self.told(scene)
        assert told.startswith("Since ")
        assert told.endswith("who holds it, from the vault (left).")
        assert "an owner has to take the bundle over" in scene.text()
        scene.do(scene.bo, "custody.assumed", authority="the board", reason="she left")
        removed, assumed = self.told(scene)
        assert "who held it, from the vault (left), until Bo (" in removed
        assert removed.endswith(") took it over.")
        assert "took the bundle over without the signature of Asma (" in assumed
        assert assumed.endswith("(authority: the board; reason: she left).")

    def test_a_dispute_names_event_person_cause_and_what_rests_on_it(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.bo)
        accepted = scene.accept(scene.bo, release)
        removed = scene.remove(
            scene.bo, scene.owner, doubtful_from=release.seq, cause="compromised"
        )
        (told,) = self.told(scene)
        assert told.startswith(f"Event {release.seq} (released to another holder, ")
        assert f"is disputed: at {render.utc(removed.time)} (event {removed.seq}), Bo (" in told
        assert "(compromised)" in told
        assert f"(event {accepted.seq}) rests on it" in told
        assert "compromised" not in scene.keyless()

    def test_what_the_two_sides_say_differently_is_told(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.bo, condition="whole", seal_number="A 17")
        scene.accept(scene.bo, release, condition="scratched")
        condition, seal = self.told(scene)
        assert "the same of the condition: Asma (" in condition
        assert "says \u201cwhole\u201d, Bo (" in condition
        assert condition.endswith("says \u201cscratched\u201d.")
        assert "the same of the seal number: " in seal
        assert seal.endswith("says nothing.")

    def test_times_late_records_and_altered_files_are_told(self, scene: Scene) -> None:
        scene.do(scene.cy, "bundle.checked", {"result": "altered"}, detail="part 0")
        scene.time -= 1000
        late = {"occurred_at": "2026-03-01", "recorded_late_because": "no power"}
        note = scene.do(scene.bo, "bundle.noted", text="x", **late)
        scene.do(scene.bo, "bundle.noted", text="x", occurred_at="2026-03-02")
        backwards, first, second, altered = self.told(scene)
        assert backwards.startswith(f"Event {note.seq} (note) by Bo (")
        assert "which is before that of the event it follows" in backwards
        assert first.endswith(
            "it says that it occurred at 2026-03-01, and why it is late: no power."
        )
        assert second.endswith("2026-03-02, and why it is late: nothing said.")
        assert altered.endswith("found that what is stored is not what was sealed (part 0).")

    def test_an_event_that_breaks_a_rule_is_told_with_the_rule(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = scene.release(scene.owner, scene.bo)
        with monkeypatch.context() as patch:
            patch.setattr(Custody, "broken", lambda *_: ())
            scene.accept(scene.cy, release)
        (told,) = self.told(scene)
        assert "breaks a rule of custody (only the one it was released to may)" in told
        assert "Held now by Asma (" in scene.text()

    def test_one_damaged_file_is_told_and_hides_nothing_else(self, scene: Scene) -> None:
        damaged = scene.do(scene.bo, "bundle.noted", text="lost")
        scene.do(scene.bo, "bundle.noted", text="kept")
        assert damaged.sealed is not None
        (scene.world.vault / fields_name(damaged.sealed.sha256)).write_bytes(b"x")
        (told,) = self.told(scene)
        assert told.startswith(f"Event {damaged.seq} (note, ")
        assert "`evault verify`" in told
        assert "text: kept" in scene.text()
        record = scene.record()
        assert record["damaged"] == [damaged.seq]
        assert record["chain"][1]["private"] == "damaged"


class TestHowItStands:
    def test_what_waits_and_what_was_decided_is_told(self, scene: Scene) -> None:
        data = {"to": scene.bo.ed25519, "expires": 4_000_000_000}
        scene.do(scene.owner, "custody.released", data)
        scene.do(scene.cy, "hold.placed", {"hold": bytes(16)}, reason="a trial")
        scene.do(scene.cy, "bundle.checked", {"result": "intact"})
        checked = scene.do(scene.cy, "bundle.checked", {"result": "intact"})
        scene.do(scene.cy, "consent.recorded", **{"consent.status": "withdrawn"})
        told = section(scene.text(), "How it stands")
        assert told[0].startswith("Held now by Asma (")
        assert told[1].startswith("Released to Bo (")
        assert told[1].endswith("and not yet accepted, until 2096-10-02T07:06:40Z.")
        assert told[2] == "Under 1 hold: it may not be destroyed."
        assert "(reason: a trial), at " in told[3]
        assert f"(event {checked.seq})" in told[4]
        assert told[5].startswith("Consent recorded by ")
        assert "(withdrawn), at " in told[5]
        listed = scene.world.call("list", scene.world.vault, "--json").json
        assert listed["bundles"][0]["now"] == "released"

    def test_a_destruction_under_two_signatures_is_told(self, scene: Scene) -> None:
        asked = scene.do(scene.owner, "destruction.requested", reason="asked for")
        agreed = scene.do(scene.bo, "destruction.approved", {"request": asked.seq})
        data = {"request": asked.seq, "approval": agreed.seq}
        scene.do(scene.owner, "bundle.destroyed", data)
        requested, approved, done = section(scene.text(), "How it stands")
        assert requested.startswith("Destruction requested by Asma (")
        assert approved.startswith("Destruction approved by Bo (")
        assert done.startswith("Destroyed by Asma (")
        shown = scene.world.call("show", scene.world.vault, scene.world.bundle)
        assert shown.code == 0
        assert "destroyed" in shown.out

    def test_an_interruption_now_is_said(self, scene: Scene) -> None:
        scene.do(scene.owner, "custody.interrupted", {"state": "interrupted"})
        assert "nobody can answer for the bundle now" in scene.keyless()
        listed = scene.world.call("list", scene.world.vault, "--json").json
        assert listed["bundles"][0]["now"] == "interrupted"


class TestEveryEvent:
    def test_the_chain_says_when_what_by_whom_and_who_holds_it(self, scene: Scene) -> None:
        scene.do(scene.owner, "bundle.noted", text="one\ntwo")
        shown = scene.text()
        assert "Holder after it" in shown
        assert shown.count("Asma (") == 6
        assert "text: one\n    two" in shown
        assert "Ed25519" in shown
        assert "Times are those of their authors' clocks: who" in shown

    def test_without_a_key_the_chain_shows_and_what_was_said_does_not(self, scene: Scene) -> None:
        scene.do(scene.owner, "bundle.noted", text="private")
        shown = scene.shown()
        assert "note" in shown.out
        assert "text: private" not in shown.out
        assert "only a reader's identity" in shown.err
        record = scene.shown("--json").json
        assert [link["type"] for link in record["chain"]] == ["bundle.sealed", "bundle.noted"]
        assert record["chain"][1]["fields"] is None

    def test_what_an_event_says_in_public_shows_without_a_key(self, scene: Scene) -> None:
        to = {"to": scene.bo.ed25519, "expires": 4_000_000_000}
        scene.do(scene.owner, "bundle.checked", {"result": "altered"})
        scene.do(scene.owner, "hold.placed", {"hold": b"\xab" * 16})
        release = scene.do(scene.owner, "custody.released", to)
        scene.do(scene.owner, "custody.recalled", {"release": release.seq})
        receipt = {"receipt": (b"\xcd" * 32, 77)}
        scene.do(scene.owner, "custody.receipted", receipt)
        shown, seq = scene.keyless(), release.seq
        assert f"Event {seq - 2}, result: altered\n" in shown
        assert f"Event {seq - 1}, the hold: {'ab' * 16}\n" in shown
        assert f"Event {seq}, expires: 2096-10-02T07:06:40Z\n" in shown
        assert f"Event {seq + 1}, release: event {seq}\n" in shown
        assert f"SHA-256 and size of the receipt: {'cd' * 32}, 77\n" in shown
        assert "Event 3, " not in shown
        assert f"Event {seq}, to: Bo (" in scene.text()
        chain = scene.shown("--json").json["chain"]
        assert chain[1]["data"] == {"result": "altered"}
        assert chain[3]["data"]["to"]["fingerprint"] == fingerprint(scene.bo).hex()
        assert chain[2]["data"] == {"hold": {"hex": "ab" * 16}}

    def test_what_would_mislead_a_terminal_is_escaped(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.cy, condition=EVIL, place=EVIL)
        scene.accept(scene.cy, release, condition="x", recorded_late_because=EVIL)
        state = {"state": "interrupted"}
        scene.do(scene.cy, "custody.interrupted", state, cause="lost", reason=EVIL)
        scene.remove(scene.bo, scene.cy, reason=EVIL, doubtful_from=release.seq)
        scene.do(scene.bo, "custody.assumed", authority=EVIL)
        text = scene.text()
        assert "Mallory" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}

    def test_a_vault_of_coarse_times_says_how_coarse(self, scene: Scene) -> None:
        data = {"policy": {"clock": 60, "two_person_destroy": False}}
        scene.on_roster(scene.owner, "vault.policy", data)
        assert "authors' clocks, to 60 seconds at the finest: who" in scene.keyless()

    def test_from_where_on_times_are_coarse_is_told_under_the_table(self, scene: Scene) -> None:
        assert "public times are to" not in scene.keyless()
        data = {"policy": {"clock": 60, "two_person_destroy": False}}
        event = scene.on_roster(scene.owner, "vault.policy", data)
        assert "public times are to" not in scene.keyless()
        scene.accept(scene.bo, scene.release(scene.owner, scene.bo))
        told = " ".join(scene.keyless().split())
        first = event.seq + 1
        assert f"From event {first} on, public times are to 60 s: an end can read as" in told


class TestRecord:
    def test_it_holds_all_that_is_needed_to_check_the_handover(self, scene: Scene) -> None:
        release = scene.release(scene.owner, scene.bo, seal_number="A 17")
        accepted = scene.accept(scene.bo, release)
        with Vault.open(scene.world.vault) as vault:
            known = vault.bundle(scene.world.bundle)
            parts = [{"sha256": sha256.hex(), "size": size} for sha256, size in known.parts]
            for event in (release, accepted):
                check_event_signature(vault.event(event.seq))
        record = scene.record()
        assert record["parts"] == parts
        assert (record["now"], record["holder"]["name"]) == ("held", "Bo")
        tenure = record["tenures"][1]
        for part, event in (("released", release), ("from", accepted)):
            assert tenure[part]["signature"] == event.sig.hex()
            assert tenure[part]["leaf_hash"] == event.leaf_hash.hex()
            assert tenure[part]["ed25519"] == event.actor.hex()
        assert tenure["released"]["fields"]["seal_number"] == "A 17"
        assert tenure["differences"] == [
            {"field": "seal_number", "released": "A 17", "accepted": None}
        ]
        assert (tenure["began"], tenure["until"], tenure["rehashed"]) == ("accepted", None, True)
        assert record["tenures"][0]["until"]["event"] == accepted.seq
        assert record["tenures"][0]["released"] is None
        keyless = scene.shown("--json").json["tenures"][1]["released"]
        assert (keyless["private"], keyless["fields"]) == ("sealed", None)

    def test_it_says_all_that_the_text_says(self, scene: Scene) -> None:
        first = scene.release(scene.owner, scene.bo)
        scene.do(scene.bo, "custody.declined", {"release": first.seq}, reason="no")
        data = {"to": scene.bo.ed25519, "expires": 4_000_000_000}
        scene.do(scene.owner, "custody.released", data)
        scene.do(scene.cy, "hold.placed", {"hold": bytes(16)})
        scene.do(scene.cy, "bundle.checked", {"result": "intact"})
        scene.do(scene.cy, "consent.recorded", **{"consent.status": "given"})
        state = {"state": "interrupted"}
        gone = scene.do(scene.cy, "custody.interrupted", state, cause="lost")
        scene.time -= 1000
        late = {"occurred_at": "2026-03-01", "recorded_late_because": "no power"}
        note = scene.do(scene.cy, "bundle.noted", text="x", **late)
        removed = scene.remove(scene.bo, scene.cy, doubtful_from=gone.seq, cause="left")
        record = scene.record()
        declined, open_ = record["releases"]
        assert (declined["fate"], declined["reason"]) == ("declined", "no")
        assert declined["ended_by"]["event"] == first.seq + 1
        assert (open_["fate"], open_["expires"]) == ("open", "2096-10-02T07:06:40Z")
        assert (open_["ended_by"], open_["to"]["name"]) == (None, "Bo")
        (gap,) = record["gaps"]
        assert (gap["kind"], gap["from"]["fields"]["cause"]) == ("interrupted", "lost")
        assert gap["until"] is None
        assert [one["event"]["event"] for one in record["disputes"]] == [gone.seq, note.seq]
        assert record["disputes"][0]["removal"]["event"] == removed.seq
        assert record["disputes"][0]["member"]["name"] == EVIL
        assert record["disputes"][0]["doubtful_from"] == gone.seq
        assert record["backwards"] == [{"event": note.seq, "before": gone.seq}]
        assert record["late"] == [
            {"event": note.seq, "occurred_at": "2026-03-01", "reason": "no power"}
        ]
        assert [one["result"] for one in record["checks"]] == ["intact"]
        assert [one["type"] for one in record["holds"]] == ["hold.placed"]
        assert [one["fields"]["consent.status"] for one in record["consents"]] == ["given"]
        assert record["destruction"] is None
        assert record["breaches"] == []

    def test_a_broken_rule_is_in_it(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Custody, "broken", lambda *_: ())
            wrong = scene.do(scene.cy, "custody.recalled", {"release": 1})
        record = scene.record()
        assert record["breaches"] == [{"event": wrong.seq, "rules": ["release-unknown"]}]
        assert record["chain"][1]["rules"] == ["release-unknown"]

    def test_a_destruction_is_in_it(self, scene: Scene) -> None:
        done = scene.do(scene.owner, "bundle.destroyed", reason="asked for")
        destruction = scene.record()["destruction"]
        assert (destruction["requested"], destruction["approved"]) == (None, None)
        assert destruction["destroyed"]["event"] == done.seq
        assert destruction["destroyed"]["fields"]["reason"] == "asked for"


class TestAll:
    def test_every_bundle_is_told_in_the_order_of_sealing(self, world: Any) -> None:
        hashed = ("--media-hash", f"{'00' * 32}:v", *world.owner)
        others = [world.call("seal", world.vault, *hashed).out.strip() for _ in range(2)]
        shown = world.call("custody", world.vault, "--all", *world.reader)
        assert shown.code == 0
        told = [line for line in shown.out.split("\n") if line.startswith("Bundle ")]
        assert told == [f"Bundle {one}" for one in (world.bundle, *others)]
        assert shown.out.count("No gap and no dispute.") == 3
        assert shown.out.count("Times are those of") == 1
        assert "3 bundles." in shown.err
        record = world.call("custody", world.vault, "--all", "--json").json
        assert [one["bundle"] for one in record["bundles"]] == [world.bundle, *others]
        single = world.call("custody", world.vault, others[0], "--json").json
        assert record["bundles"][1].items() <= single.items()
        assert (record["vault"], record["size"]) == (single["vault"], single["size"])

    def test_an_empty_vault_has_none(self, world: Any, tmp_path: Any) -> None:
        assert world.call("init", tmp_path / "v", "--reader", "me", *world.owner).code == 0
        shown = world.call("custody", tmp_path / "v", "--all")
        assert (shown.code, shown.out) == (0, "")
        assert "No bundle is sealed here yet." in shown.err
        assert world.call("custody", tmp_path / "v", "--all", "--json").json["bundles"] == []

    @pytest.mark.parametrize("arguments", [(), ("--all", "abcd")])
    def test_one_bundle_or_all_must_be_named(self, world: Any, arguments: tuple[str, ...]) -> None:
        refused = world.call("custody", world.vault, *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert "Name one BUNDLE, or give --all" in refused.err
