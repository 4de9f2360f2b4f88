"""What a lying insider can do, and what finds it: the table of docs/threat-model.md.

Each deed is done to one honest vault, and audited by somebody without a key, by a reader, and by
somebody who kept what she saw before: her machine's pin, and the vault's id on paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.audit import deeds
from tests.audit.insider import Files, Story, honest, rewritten
from tests.bundles.scene import OUTSIDER, READER
from vault.auditing import Report, audit
from vault.localstate import LocalState
from vault.storage import MemoryStore

Does = Callable[[Story], Mapping[str, bytes]]

_HONEST: Final = "every signature is genuine: only what was kept elsewhere tells"
_INSIDE: Final = "what is inside is for readers"
_CLOCK: Final = (
    "clocks differ, so it is noted, and no verdict; times that are wrong from the first event on, "
    "or by less than the events are apart, are not found"
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing an insider does, and the codes of all findings that an audit then has (notes in
    parentheses): without keys, by a reader, by whoever looked before. ``why`` says why not more.
    """

    name: str
    does: Does
    keyless: str = ""
    reader: str = ""
    kept: str = ""
    why: str = ""


def everybody(name: str, does: Does, codes: str, kept: str = "", why: str = "") -> Deed:
    """Return a deed that needs no key to be found; ``kept`` is what comes to it by looking back."""
    return Deed(name, does, codes, codes, f"{codes} {kept}", why)


def nobody(name: str, does: Does, why: str, notes: str = "", kept: str = "") -> Deed:
    """Return a deed that nobody finds by looking at the vault alone."""
    return Deed(name, does, notes, notes, f"{notes} {kept}", why)


def readers(name: str, does: Does, code: str, kept: str = "", why: str = _INSIDE) -> Deed:
    """Return a deed that only readers find."""
    return Deed(name, does, "", code, kept, why)


def log(change: Callable[..., object], way: Callable[..., Files]) -> Does:
    return partial(way, change)


def note(lie: Callable[..., object]) -> Does:
    return partial(deeds.note_with, lie)


def bundle(lie: Callable[..., object]) -> Does:
    return partial(deeds.bundle_with, lie)


DEEDS: Final = (
    # rewriting
    everybody(
        "gives an event an earlier time, and signs it again",
        log(deeds.earlier, deeds.touched),
        "(before-the-last) head rule-prev",
        "fork",
    ),
    nobody(
        "… and all after it, with everybody's keys",
        log(deeds.earlier, deeds.throughout),
        _HONEST,
        "(before-the-last)",
        "fork",
    ),
    nobody(
        "exchanges what two notes say, and signs all after again",
        log(deeds.stories_exchanged, deeds.throughout),
        _HONEST,
        kept="fork",
    ),
    readers(
        "names another member as an event's author, and signs all after again",
        log(deeds.by_another, deeds.throughout),
        "private-contents",
        "fork",
    ),
    nobody("… and writes its fields anew", deeds.written_by_another, _HONEST, kept="fork"),
    # reordering
    everybody(
        "puts two events in the other order, as they are",
        log(deeds.swapped_as_they_are, deeds.as_is),
        "head rule-closes rule-prev rule-sequence",
        "fork",
    ),
    everybody(
        "… and signs both again", log(deeds.swapped, deeds.touched), "head rule-prev", "fork"
    ),
    nobody("… and all after them", log(deeds.swapped, deeds.throughout), _HONEST, kept="fork"),
    # dropping
    everybody(
        "leaves an event out",
        log(deeds.dropped, deeds.as_is),
        "head rule-closes rule-prev rule-sequence",
        "rollback",
    ),
    nobody(
        "… and signs all after it again",
        log(deeds.dropped, deeds.throughout),
        _HONEST,
        kept="rollback",
    ),
    nobody("takes back the newest events", deeds.older, _HONEST, kept="rollback"),
    # inserting
    Deed(
        "puts in an event between others",
        partial(deeds.inserted, throughout=False),
        "head rule-closes rule-prev rule-sequence",
        "head private-proof rule-closes rule-prev rule-sequence",
        "fork head rule-closes rule-prev rule-sequence",
    ),
    nobody(
        "… and signs all after it again",
        partial(deeds.inserted, throughout=True),
        _HONEST,
        kept="fork",
    ),
    everybody(
        "appends an event once more, as it was signed before",
        deeds.replayed,
        "checkpoint-signature head rule-closes rule-file-once rule-prev rule-sequence",
    ),
    # back-dating
    nobody(
        "writes an event with a time of a year ago", deeds.back_dated, _CLOCK, "(before-the-last)"
    ),
    # signing again
    everybody(
        "signs the checkpoint with another member's keys",
        deeds.checkpoint_by_another,
        "checkpoint-signature",
    ),
    everybody(
        "signs the checkpoint with a stranger's keys",
        deeds.checkpoint_by_nobody,
        "checkpoint-signature",
    ),
    nobody(
        "goes on from an earlier state: two histories, one for each of two people",
        deeds.another_branch,
        "each is sound; one contradicts what was kept of the other",
        kept="fork",
    ),
    nobody(
        "makes the vault again, of the same people with other evidence",
        deeds.another_vault,
        _HONEST,
        kept="vault-id",
    ),
    # files between events
    everybody(
        "exchanges two fields files", partial(deeds.files_exchanged, deeds.two_fields), "digest"
    ),
    everybody("exchanges two key files", partial(deeds.files_exchanged, deeds.two_keys), "digest"),
    readers(
        "has two events name each other's fields file, and signs all after again",
        log(deeds.other_fields, deeds.throughout),
        "private-proof",
        "fork",
    ),
    readers(
        "… and commit to what is in it",
        log(deeds.fields_of_another, deeds.throughout),
        "private-contents",
        "fork",
    ),
    readers(
        "has two bundles name each other's key file, and signs all after again",
        deeds.key_files_exchanged,
        "private-proof",
        "fork",
    ),
    # coming and going
    nobody(
        "admits somebody, who then acts",
        deeds.admits_then_acts,
        "it is no breach: the log says who admitted her, and `custody` shows what she did",
    ),
    nobody(
        "… and moves the admission to before, signing all after again",
        deeds.admitted_earlier,
        _HONEST,
        kept="fork",
    ),
    everybody(
        "has somebody act before she is admitted, and signs all after again",
        log(deeds.before_admission, deeds.throughout),
        "checkpoint-signer rule-bundle-unknown rule-closes rule-not-a-member",
        "fork",
    ),
    everybody(
        "acts with the keys of a member who was removed",
        deeds.acts_after_removal,
        "rule-removed-member",
    ),
    nobody(
        "… and moves that to before the removal, signing all after again",
        deeds.acts_before_removal,
        _HONEST,
        kept="fork",
    ),
    nobody(
        "acts, and is removed then",
        deeds.removed,
        "what she signed as a member stands, unless an owner doubts it",
    ),
    nobody(
        "… and the removal doubts what she did",
        partial(deeds.removed, doubtful_from=9),
        "doubt is a note; `custody` says what rests on it",
        "(disputed)",
    ),
    # inside
    nobody(
        "seals two items of one name",
        deeds.two_of_one_name,
        "it is no lie: both are there, and have names of their own once opened",
    ),
    readers(
        "records two items at one place of the bag",
        bundle(partial(deeds.lying_item, {"path": "data/000000.txt"})),
        "private-contents",
    ),
    readers(
        "records another digest of an item",
        bundle(partial(deeds.lying_item, {"sha256": bytes(32)})),
        "private-digest",
    ),
    readers(
        "signs items that the bundle does not hold", bundle(deeds.no_items_root), "private-proof"
    ),
    readers("signs fields that the file does not hold", note(deeds.no_root), "private-proof"),
    readers(
        "encrypts fields to somebody else than the readers",
        note(partial(deeds.encrypted_to, [OUTSIDER])),
        "not-decryptable",
    ),
    everybody(
        "encrypts fields to one recipient more",
        note(partial(deeds.encrypted_to, [None, OUTSIDER])),
        "recipients",
    ),
    readers(
        "encrypts a new epoch's key to somebody else than the reader",
        partial(deeds.other_epoch_file, lambda epoch: deeds.file_of(epoch, OUTSIDER)),
        "not-decryptable",
        why="recipients can be counted, not named, by those who have no key",
    ),
    everybody(
        "encrypts a new epoch's key to one recipient more",
        partial(deeds.other_epoch_file, lambda epoch: deeds.file_of(epoch, READER, OUTSIDER)),
        "recipients",
    ),
    readers(
        "encrypts something else again with a second reader, and deletes the old files",
        deeds.false_rekeying,
        "private-contents",
    ),
    nobody(
        "says of evidence that she read it, and how it was, without reading",
        deeds.said_to_be_read,
        "a reading leaves nothing that could be checked: whoever doubts it reads again",
    ),
    nobody(
        "seals what she made up",
        deeds.made_up,
        "a signature says whose key sealed, and when it says; not what is true",
    ),
)


def kept_by_an_honest_machine(folder: Path) -> LocalState:
    """Return the state of a machine that looked at the honest vault."""
    state = LocalState(folder)
    report = audit(MemoryStore(honest().files), state=state)
    assert (report.verdict, report.findings) == ("intact", ())
    return state


def three_audits(deed: Deed, folder: Path) -> tuple[Report, Report, Report]:
    """Audit the vault after a deed: without keys, as a reader, as one who looked before."""
    store = MemoryStore(deed.does(honest()))
    state = kept_by_an_honest_machine(folder)
    return (
        audit(store),
        audit(store, identity=READER),
        audit(store, state=state, vault_id=honest().id),
    )


def told(report: Report) -> set[str]:
    """Return the codes of all findings, those of notes in parentheses."""
    return {f"({one.code})" if one.severity == "note" else one.code for one in report.findings}


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name)
def test_what_finds_a_deed_is_what_the_table_says(deed: Deed, tmp_path: Path) -> None:
    for report, codes in zip(
        three_audits(deed, tmp_path), (deed.keyless, deed.reader, deed.kept), strict=True
    ):
        assert told(report) == set(codes.split())
        assert (report.verdict == "intact") == found_nothing(codes)


def test_the_honest_vault_is_intact_to_everybody_and_laying_it_down_again_changes_nothing(
    tmp_path: Path,
) -> None:
    story = honest()
    state = kept_by_an_honest_machine(tmp_path)
    again = rewritten(story.files, story.events, lambda _: True)
    # Signatures of ML-DSA are hedged, and `closes` holds some: what they sign is the same.
    as_it_was = rewritten(story.files, story.events, lambda _: False)
    for files in (story.files, as_it_was):
        for report in (
            audit(MemoryStore(files)),
            audit(MemoryStore(files), identity=READER),
            audit(MemoryStore(files), state=state, vault_id=story.id),
        ):
            assert (report.verdict, report.findings) == ("intact", ())
    assert audit(MemoryStore(again)).findings == ()


def test_every_deed_that_is_not_found_at_once_has_a_reason() -> None:
    for deed in DEEDS:
        assert bool(deed.why) == found_nothing(deed.keyless), deed


def found_nothing(codes: str) -> bool:
    return all(code[0] == "(" for code in codes.split())


def table() -> str:
    """Return the table of docs/threat-model.md."""
    lines = [
        "| what she does | without keys | with a reader's key | by who looked before "
        "| why not more |",
        "|---|---|---|---|---|",
    ]
    for deed in DEEDS:
        cells = (
            _cell(deed.keyless),
            *(_more(deed.keyless, one) for one in (deed.reader, deed.kept)),
        )
        lines.append(f"| {deed.name} | {' | '.join(cells)} | {deed.why} |")
    return "\n".join(lines) + "\n"


def _cell(codes: str) -> str:
    shown = (f"({code[1:-1]})" if code[0] == "(" else f"`{code}`" for code in sorted(codes.split()))
    return ", ".join(shown) or "–"


def _more(known: str, codes: str) -> str:
    """Say what else is found."""
    more = set(codes.split()) - set(known.split())
    if not known or not more:
        return _cell(codes) if not known else "the same"
    return f"also {_cell(' '.join(more))}"


def test_the_page_has_the_table() -> None:
    page = Path(__file__).parents[2] / "docs/threat-model.md"
    assert f"<!-- insider -->\n\n{table()}\n<!-- end of insider -->" in page.read_text("utf-8")
