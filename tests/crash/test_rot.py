"""Whatever rots or is tampered with is found, and named; what is sound is never refused.

The short form: a sample by ``ROT_SEED`` of what ``python -m tests.crash.rot`` does in full.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.audit.golden import bad, codes, is_superseded, places
from tests.bundles.scene import on_disk
from tests.crash import rot, tampering
from tests.crash.rot import Tally
from tests.crash.specimen import MIN_SIZE, READER, Specimen, quick, specimen
from tests.crash.tampering import Change, Layer
from vault import Vault
from vault.auditing import audit
from vault.layout import CHECKPOINT
from vault.localstate import LocalState
from vault.storage import PENDING, MemoryStore

SEED: Final = int(os.environ.get("ROT_SEED", "4"))


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    # The same lines run many thousand times; what measures them does so in the other tests.
    tracer = sys.gettrace()
    sys.settrace(None)
    print(f"ROT_SEED={SEED}")
    try:
        with quick():
            yield
    finally:
        sys.settrace(tracer)


@pytest.fixture
def sample() -> Specimen:
    return specimen()


@pytest.fixture
def held(record_property: Callable[[str, object], None]) -> Callable[[Tally, int], None]:
    """Return a check that so many changes at least were tried, and each was found."""

    def check(tally: Tally, least: int) -> None:
        assert tally.failures == []
        assert tally.total >= least
        record_property("changes", tally.total)

    return check


def some(changes: Iterator[Change], share: float) -> Iterator[Change]:
    dice = random.Random(f"{SEED} some")
    return (change for change in changes if dice.random() < share)


# --- what is sound --------------------------------------------------------------------------------


def test_the_vault_is_as_large_as_it_should_be_and_has_every_kind_of_file(sample: Specimen) -> None:
    assert sum(map(len, sample.needed.values())) >= MIN_SIZE
    kinds = {name.split("/")[0] for name in sample.needed}
    assert kinds == {"FORMAT", "bundles", "fields", "keys", "log"}
    assert len(sample.manifests) == 1
    layers: tuple[Layer, ...] = ("log", "files", "whole")
    together = list(itertools.chain(*(tampering.names_of(sample, layer) for layer in layers)))
    assert sorted(together) == sorted(sample.needed)


@pytest.mark.parametrize("identity", [None, READER], ids=["without keys", "with keys"])
def test_the_vault_is_sound_after_every_step(sample: Specimen, identity: object) -> None:
    for step in sample.steps:
        report = audit(MemoryStore(step.files), identity=identity)  # type: ignore[arg-type]
        assert (report.verdict, bad(report)) == ("intact", []), step.verb


def test_no_legitimate_variant_is_refused(sample: Specimen, tmp_path: Path) -> None:
    files = sample.files
    old = [name for name in files if is_superseded(name, files)]
    assert old
    pruned = next(step.files for step in sample.steps if step.verb == "confirm")
    variants: dict[str, dict[str, bytes]] = {
        f"without {gone}": {name: data for name, data in files.items() if name not in gone}
        for count in range(len(old) + 1)
        for gone in itertools.combinations(old, count)
    }
    # What a power cut brought back: a deletion that had not reached the medium.
    kept = {name: data for name, data in pruned.items() if not name.startswith("log/")}
    variants["pruned files are there"] = {**kept, **files}
    variants["destroyed files are there"] = {**sample.steps[5].files, **files}
    variants["a file more"] = {**files, "notes.txt": b"x", "keys/extra": b"y"}
    variants["leftover tiles"] = {**files, "log/tile/0/000.p/99": b"x"}
    for name, content in {"empty": b"", "room": bytes(16384), "torn": b"evid"}.items():
        variants[f"{name} pending checkpoint"] = {**files, PENDING: content}
    variants["the same pending checkpoint"] = {**files, PENDING: files[CHECKPOINT]}
    for variant, content in variants.items():
        for identity in (None, READER):
            report = audit(MemoryStore(content), identity=identity)
            assert (report.verdict, bad(report)) == ("intact", []), variant
    with on_disk(tmp_path / "v", files) as store:
        (tmp_path / "v/tmp/0123456789abcdef").mkdir(parents=True)
        (tmp_path / "v/lock").write_bytes(b"")
        assert (audit(store).verdict, audit(store).findings) == ("intact", ())


# --- bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["log", "files", "whole"])
@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_flipped_bits_and_every_kind_of_cut_are_found_and_named(
    sample: Specimen, held: Callable[[Tally, int], None], kind: str, layer: Layer
) -> None:
    share, least = {
        ("flip", "log"): (1 / 300, 1000),
        ("flip", "files"): (1 / 150, 4000),
        ("flip", "whole"): (1 / 120, 100),
        ("cut", "log"): (1 / 60, 500),
        ("cut", "files"): (1 / 30, 2000),
        ("cut", "whole"): (1 / 16, 100),
    }[kind, layer]
    bits = tampering.flips(sample, layer) if kind == "flip" else tampering.cuts(sample, layer)
    places = [*rot.chosen(bits, SEED, layer, share)]
    held(rot.layered(kind, layer, places, sample, share=0.02), least)


def test_bits_of_what_steers_the_audit_are_found_by_whole_audits(
    sample: Specimen, held: Callable[[Tally, int], None]
) -> None:
    # All of FORMAT; of the checkpoint's origin, size and root one bit of each byte.
    dice = random.Random(f"{SEED} steering")
    bits = [("FORMAT", place, bit) for place in range(17) for bit in range(8)]
    text = sample.files[CHECKPOINT].index(b"\n\n")
    bits += [(CHECKPOINT, place, dice.randrange(8)) for place in range(text + 2)]
    tally = Tally()
    for name, place, bit in bits:
        data = tampering.flipped(sample.files[name], place, bit)
        change = Change("flip", f"{name}, byte {place}, bit {bit}", {name: data})
        tally.add("flip", rot.judge(change, sample))
    held(tally, 250)


def test_the_layers_say_what_whole_audits_say(
    sample: Specimen, held: Callable[[Tally, int], None]
) -> None:
    for layer in ("log", "files"):
        bits = [*rot.chosen(tampering.flips(sample, layer), SEED + 1, layer, 1 / 2500)]
        held(rot.layered("flip", layer, bits, sample, share=1), 50)


def test_a_file_that_was_destroyed_is_not_simply_missing_where_the_event_is_damaged(
    sample: Specimen,
) -> None:
    # One bit of the log must not make a loss of what an event, now unreadable, let go of.
    (name,) = (name for name in sample.needed if "/entries/" in name)
    data = tampering.flipped(sample.files[name], len(sample.files[name]) // 3, 0)
    report = audit(MemoryStore({**sample.files, name: data}))
    missing = [one for one in report.findings if one.code == "missing"]
    assert missing
    assert all("what can't be read may have let go of it" in one.detail for one in missing)
    assert not {one.place for one in missing} & sample.files.keys()
    report = audit(
        MemoryStore(Change("", "", dict.fromkeys(rot.inner_names(sample)[:1])).on(sample.files))
    )
    assert [one.detail for one in bad(report) if "what can't be read" in one.detail] == []


# --- whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "share", "least"),
    [
        (tampering.lengthened, 0.5, 100),
        (tampering.losses, 0.5, 150),
        (tampering.copies, 0.15, 90),
        (tampering.exchanges, 0.3, 80),
        (tampering.stale_files, 1, 20),
        (lambda sample: tampering.foreign(sample, specimen(1)), 0.3, 70),
    ],
    ids=["lengthened", "lost", "copied", "exchanged", "stale", "foreign"],
)
def test_what_happens_to_whole_files_is_found_and_named(
    sample: Specimen,
    held: Callable[[Tally, int], None],
    changes: Callable[[Specimen], Iterator[Change]],
    share: float,
    least: int,
) -> None:
    held(rot.one_by_one(some(changes(sample), share), sample), least)


def test_a_reader_is_told_the_same_as_anybody(
    sample: Specimen, held: Callable[[Tally, int], None]
) -> None:
    changes = [
        *some(tampering.losses(sample), 0.02),
        *some(tampering.copies(sample), 0.01),
        *some(tampering.foreign(sample, specimen(1)), 0.02),
    ]
    for name, data in sample.needed.items():
        place = random.Random(f"{SEED} {name}").randrange(len(data))
        changes.append(Change("flip", f"{name} {place}", {name: tampering.flipped(data, place, 3)}))
    held(rot.one_by_one(changes, sample, READER), len(sample.needed) + 10)


def test_a_reader_finds_a_flipped_bit_even_where_nobody_compares_digests(
    sample: Specimen, held: Callable[[Tally, int], None]
) -> None:
    tally = Tally()
    for name in rot.inner_names(sample):
        place = random.Random(f"{SEED + 1} {name}").randrange(len(sample.files[name]))
        tally.merge(rot.blind(name, [(place, 5)], sample))
    held(tally, 20)


# --- earlier states of the whole ------------------------------------------------------------------


def test_every_earlier_state_of_the_whole_vault_contradicts_what_was_seen(
    sample: Specimen, tmp_path: Path
) -> None:
    now = sample.files[CHECKPOINT]
    assert audit(MemoryStore(sample.files), state=tmp_path).verdict == "intact"
    for step in sample.steps[:-1]:
        store = MemoryStore(step.files)
        for report in (audit(store, state=LocalState(tmp_path)), audit(store, checkpoint=now)):
            assert (report.verdict, codes(report) - {"leftover"}) == ("contradicted", {"rollback"})
        # Nobody can tell without having seen more: an earlier state is a sound vault.
        report = audit(store, vault_id=sample.id)
        assert (report.verdict, bad(report)) == ("intact", [])


def test_a_stale_log_is_found_by_what_was_seen(sample: Specimen, tmp_path: Path) -> None:
    audit(MemoryStore(sample.files), state=tmp_path)
    rest = {name: data for name, data in sample.files.items() if not name.startswith("log/")}
    for step in sample.steps[:-1]:
        log = {name: data for name, data in step.files.items() if name.startswith("log/")}
        report = audit(MemoryStore({**rest, **log}), state=LocalState(tmp_path))
        assert report.verdict == "contradicted"
        assert "rollback" in codes(report)


def test_a_stale_checkpoint_is_found_by_its_tiles_or_by_what_was_seen(
    sample: Specimen, tmp_path: Path
) -> None:
    audit(MemoryStore(sample.files), state=tmp_path)
    sound = 0
    for step in sample.steps[:-1]:
        changed = {CHECKPOINT: step.files[CHECKPOINT]}
        store = MemoryStore({**sample.files, **changed})
        report = audit(store)
        assert report.verdict == "intact" or CHECKPOINT in places(report), step.verb
        sound += report.verdict == "intact"
        # With all tiles of its own it is the earlier state; then only a pin tells.
        report = audit(store, state=LocalState(tmp_path))
        assert report.verdict != "intact"
        assert "rollback" in codes(report) or CHECKPOINT in places(report)
    assert sound <= 1, "only the tiles of the checkpoint before are kept"


def test_files_that_are_older_than_the_log_are_each_missed(sample: Specimen) -> None:
    log = {name: data for name, data in sample.files.items() if name.startswith("log/")}
    for step in sample.steps[:-1]:
        rest = {name: data for name, data in step.files.items() if not name.startswith("log/")}
        report = audit(MemoryStore({**rest, **log}))
        lost = {name for name in sample.needed if name not in rest and name not in log}
        if sample.manifests <= lost:
            # Which files were encrypted again, only the manifest says.
            assert sample.manifests <= places(report) <= lost
        else:
            assert places(report) == lost
        assert report.verdict == ("altered" if lost else "intact")


# --- another vault of the same people -------------------------------------------------------------


def test_another_vault_in_the_place_of_this_one_is_told_by_its_id(
    sample: Specimen, tmp_path: Path
) -> None:
    other = specimen(1)
    store = MemoryStore(other.files)
    assert audit(store).verdict == "intact"
    report = audit(store, vault_id=sample.id)
    assert (report.verdict, codes(report)) == ("contradicted", {"vault-id"})
    Vault.open(MemoryStore(sample.files), state=tmp_path, vault_id=sample.id).close()
    with Vault.open(store, identity=READER, state=tmp_path) as vault:
        assert not vault.known


def test_the_log_of_another_vault_misses_every_file_of_its_own(sample: Specimen) -> None:
    other = specimen(1)
    log = {name: data for name, data in other.files.items() if name.startswith("log/")}
    rest = {name: data for name, data in sample.files.items() if not name.startswith("log/")}
    report = audit(MemoryStore({**rest, **log}))
    assert report.verdict == "altered"
    assert other.manifests <= places(report) <= other.needed.keys()
    assert len(places(report)) > 3


# --- the check itself -----------------------------------------------------------------------------


def test_the_check_fails_for_what_is_unseen_unnamed_or_called_a_lie(sample: Specimen) -> None:
    one, two = [name for name in sample.needed if name.startswith("bundles/")][:2]
    report = audit(MemoryStore(Change("", "", {one: None}).on(sample.files)))
    assert rot.fault_in(report.findings, [one], sample) == ""
    assert "not named" in rot.fault_in(report.findings, [one, two], sample)
    assert "unseen" in rot.fault_in([], [one], sample)
    report = audit(MemoryStore(sample.steps[3].files), checkpoint=sample.files[CHECKPOINT])
    assert "contradiction" in rot.fault_in(report.findings, ["checkpoint"], sample)
    same = Change("", "nothing", {one: sample.files[one]})
    assert "unseen" in rot.judge(same, sample)
    tally = rot.one_by_one([same], sample)
    assert (tally.total, tally.lost, len(tally.failures)) == (1, 1, 1)


def test_a_vault_that_a_run_kept_is_read_again(sample: Specimen, tmp_path: Path) -> None:
    rot.keep(sample, tmp_path / "vault.json")
    assert rot.kept(tmp_path / "vault.json") == sample
