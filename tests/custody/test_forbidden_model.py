"""Who may write what, and when: every type of event, by every role, in every state.

What is expected is written here by hand, from the words of docs/spec.md (sections 8 and 11): no
table and no rule of the code is asked. Each cell of the table is a scene, the roles that X has in
it, and an event of hers; for each, the fold must name exactly the rules that the words name.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.audit.golden import memoised
from tests.custody.histories import BUNDLE, HOLD, epoch_id, fold_rules, recipient
from tests.custody.scenes import ALL, CAST, FAR, TYPES, WRITERS, World, manifest, worlds
from vault.custody import Policy
from vault.event import Event, SealedFile, format_body, format_event, parse_event
from vault.identity import ProvenKeys
from vault.layout import PART_SIZE
from vault.tlog import checkpoint

ROLES = (
    "stranger",
    "removed",
    *(" ".join(some) for n in (1, 2, 3) for some in combinations(sorted(ALL), n)),
)

SCENES = """
    empty
    seal H
    seal X
    seal H, release H R
    seal H, release H R expiring
    seal X, release X R
    seal H, release H X
    seal H, release H R expired
    seal X, release X R expired
    seal H, release H X expired
    seal H, release H R, accept R
    seal X, release X R, accept R
    seal H, release H X, accept X
    seal X, release X R, decline R
    seal H, release H X, decline X
    seal H, release H X, recall H
    seal X, release X R, recall X
    seal H, interrupt H
    seal X, interrupt A
    seal X, release X R, interrupt A
    seal H, release H X, interrupt H
    seal X, interrupt A, return A
    seal H, interrupt H, assume X
    seal H, interrupt H, assume A
    seal H, hold R
    seal X, hold R
    seal H, hold X
    seal X, hold R, lift A
    seal H, request Q
    seal H, request X
    seal X, request Q
    seal X, request X
    seal X, request Q, approve A
    seal X, request X, approve A
    seal H, request Q, approve X
    seal X, request Q, approve A, hold R
    seal X, request Q, approve A, request R
    two-person, seal H
    two-person, seal X
    two-person, seal X, request Q
    two-person, seal X, request X
    two-person, seal H, request X
    two-person, seal X, request Q, approve X
    two-person, seal X, request Q, approve A
    two-person, seal X, request Q, approve A, release X R
    two-person, seal X, request X, approve A, hold R
    two-person, seal X, request Q, approve A, destroy X
    seal H, destroy H
    seal X, destroy X
    seal H, release H R expired, destroy H
    two-person, seal X, request Q, approve A, release X R, accept R
    two-person, seal H, request Q, approve A, release H X, accept X
    two-person, seal H, request Q, approve A, interrupt H, assume X
    seal H, release H D, accept D
    seal H, remove H
    seal H, release H X, remove H
    seal H, release H R, remove R
    seal H, remove H, assume X
    seal H, roles, due A
    seal H, roles, due A withheld
    seal X, roles, due A
    seal H, epoch apart
    seal H, unread A
    come X, unread A, unread D
    come X, demote A
    come X, demote A, seal X
    come X, demote A, roles, due X
    come X, demote A, roles, due X withheld
    written D
    written X
    written X, confirmed A
    written X, confirmed A, pruned D
    written A, confirmed X
    come X, unread A, unread D, written X
    epoch apart, written D
    epoch apart, written D, confirmed A
    epoch apart, written D, confirmed A, pruned D
    epoch apart, written D, confirmed A, pruned D, written X
    epoch apart, written D, confirmed A, pruned D, epoch
    written D, confirmed A, pruned D, epoch apart
    seal H, epoch apart, written D, confirmed A, pruned D, shred A
"""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    # The same few lines run many thousand times; what measures them does so in the other tests.
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        with memoised(), pytest.MonkeyPatch.context() as patched:
            parse = lru_cache(64)(checkpoint.parse_signed_checkpoint)
            patched.setattr(checkpoint, "parse_signed_checkpoint", parse)
            yield
    finally:
        sys.settrace(tracer)


# --- what the specification says ----------------------------------------------------------------

ABOUT_BUNDLES = ("bundle.", "custody.", "hold.", "destruction.", "consent.")
CHANGE_READERS = {"member.admitted", "member.removed", "epoch.opened"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """An event that X tries: what its own content, in this state, breaks, whoever she is."""

    type: str
    label: str
    rules: frozenset[str]
    data: dict[str, Any]
    bundle: bytes | None = None

    @property
    def about(self) -> bool:
        return self.type.startswith(ABOUT_BUNDLES)


def attempt(name: str, label: str = "", *rules: str | bool, **data: Any) -> Attempt:
    """Return an attempt; a rule that does not apply stands there as False."""
    broken = frozenset(rule for rule in rules if isinstance(rule, str))
    bundle = BUNDLE if name.startswith(ABOUT_BUNDLES) else None
    return Attempt(name, label, broken, data, bundle)


def expected(world: World, attempt: Attempt) -> frozenset[str]:
    """Return the rules that X breaks with an attempt, by the words of the specification."""
    facts, name = world.facts, attempt.type
    if name == "vault.created":
        return attempt.rules
    rules = set()
    if "X" in facts.gone:
        rules.add("removed-member")
    elif "X" not in facts.roles:
        rules.add("not-a-member")
    elif name not in WRITERS["any"].union(*(WRITERS[role] for role in facts.roles["X"])):
        rules.add("role")
    if facts.due is not None and (name not in CHANGE_READERS or facts.due != "X"):
        rules.add("epoch-due")
    if attempt.about and name != "bundle.sealed":
        if not facts.sealed:
            return frozenset(rules | {"bundle-unknown"})
        if facts.destroyed and name != "bundle.noted":
            rules.add("destroyed")
    return frozenset(rules | attempt.rules)


def of_the_vault(world: World) -> Iterator[Attempt]:
    facts, size = world.facts, world.history.state.size
    genesis = world.history.genesis_data(CAST["X"])
    yield attempt("vault.created", "again", "genesis-once", **genesis)
    genesis = world.history.genesis_data(CAST["N"])
    yield attempt("vault.created", "of another", "genesis-once", "genesis-actor", **genesis)
    yield attempt("vault.noted")
    yield attempt("recovery.drilled")
    for two in (True, False):
        policy = Policy(two_person_destroy=two).to_data()
        loosened = facts.two and not two and "policy-loosened"
        yield attempt("vault.policy", "of two" if two else "of one", loosened, policy=policy)
    yield attempt("vault.upgraded", "to this", version=1)
    yield attempt("vault.upgraded", "to another", "version", version=2)
    outside = {"root": bytes(32), "kind": "rfc3161", "file": (bytes(32), 1)}
    yield attempt("checkpoint.attested", "of now", size=size, **outside)
    yield attempt("checkpoint.attested", "of nothing", "attested-size", size=0, **outside)
    yield attempt("checkpoint.attested", "of later", "attested-size", size=size + 1, **outside)


def leaving(world: World, who: str, roles: frozenset[str]) -> Iterator[str]:
    """Yield the rules against leaving somebody with these roles alone."""
    facts = world.facts
    if "owner" not in roles and "owner" in facts.roles.get(who, ()):
        if facts.having("owner") == {who}:
            yield "last-owner"
        elif who == "X":
            yield "second-owner"
    if "reader" not in roles and facts.having("reader") == {who}:
        yield "last-reader"


def of_members(world: World) -> Iterator[Attempt]:
    facts, history = world.facts, world.history
    sets = [frozenset(roles.split()) for roles in ROLES[2:]]
    for who in "ADHGSX":
        for roles in sets if who in "AX" else sets[:3]:
            rules = set(leaving(world, who, roles))
            if who in facts.gone:
                rules.add("removed-key-returns")
            data = history.admission(CAST[who], " ".join(roles))
            yield attempt("member.admitted", f"{who}: {' '.join(roles)}", *rules, **data)
        if who in facts.roles:
            rules = set(leaving(world, who, frozenset()))
        else:
            rules = {"member-unknown"}
        key = CAST[who].ed25519
        yield attempt("member.removed", who, *rules, member=key)
        if who in facts.roles:
            size = history.state.size
            yield attempt("member.removed", f"{who}, now", *rules, member=key, doubtful_from=size)
            yield attempt(
                "member.removed",
                f"{who}, later",
                *rules,
                "doubtful-from",
                member=key,
                doubtful_from=size + 1,
            )
    stranger, other = CAST["S"], CAST["H"]
    data = history.admission(stranger, "custodian")
    proven = stranger.proven.to_data()
    borrowed = {**proven, "ml_dsa_44_proof": other.proven.to_data()["ml_dsa_44_proof"]}
    yield attempt("member.admitted", "unproven", "possession", **{**data, "keys": borrowed})
    yield attempt("member.admitted", "H's key", "key-reused", **{**data, "keys": shared()})


@cache
def shared() -> dict[str, bytes]:
    """Return the keys of S, of which one is H's: proven, as by one who holds them all."""
    stranger = CAST["S"]
    keys = replace(stranger.keys, age=CAST["H"].keys.age)
    message = keys.message
    signed = stranger.sign_ed25519(message), stranger.sign_ml_dsa_44(message)
    return ProvenKeys(keys, *signed).to_data()


def of_epochs(world: World) -> Iterator[Attempt]:
    facts = world.facts
    fresh = facts.newest + 1
    readers = facts.having("reader")
    right: dict[str, Any] = {
        "epoch": epoch_id(fresh),
        "recipient": recipient(fresh),
        "file": (bytes(32), 1700),
        "readers": tuple(sorted(CAST[who].ed25519 for who in readers)),
        "history": False,
    }
    no_history = "X" not in facts.epochs[facts.newest].readers or facts.withheld
    yield attempt("epoch.opened", "apart", **right)
    yield attempt(
        "epoch.opened", "with history", no_history and "epoch-history", **{**right, "history": True}
    )
    for label, others in (("for a stranger", readers | {"S"}), ("for one less", readers - {"D"})):
        keys = tuple(sorted(CAST[who].ed25519 for who in others)) or (CAST["S"].ed25519,)
        wrong = others != readers and "epoch-readers"
        yield attempt("epoch.opened", label, wrong, **{**right, "readers": keys})
    yield attempt("epoch.opened", "again", "epoch-unique", **{**right, "epoch": epoch_id(1)})
    for key in (recipient(1), CAST["H"].keys.age):
        data = {**right, "recipient": key}
        yield attempt("epoch.opened", "with a used key", "epoch-recipient", **data)
    old = set(facts.epochs) - {facts.newest}
    for gone in (old, {1}, {facts.newest}, set(facts.epochs), {1, 99}):
        ids = tuple(epoch_id(epoch) for epoch in sorted(gone))
        yield attempt("epoch.shredded", str(sorted(gone)), *shredding(world, gone), epochs=ids)
    for who in "DHSX":
        for epochs in ((1,), (facts.newest,), (99,)):
            known = set(epochs) <= set(facts.epochs) - facts.shredded
            yield attempt(
                "history.granted",
                f"{who}: {epochs}",
                who not in readers and "history-reader",
                not known and "epoch-unknown",
                reader=CAST[who].ed25519,
                epochs=tuple(map(epoch_id, epochs)),
                file=(bytes(32), 1),
            )


def held_by(world: World, epoch: int) -> set[int]:
    """Return the epochs that an epoch's file opens: back to the last that was opened without."""
    found = {epoch}
    while world.facts.epochs[min(found)].history and min(found) > 1:
        found.add(min(found) - 1)
    return found


def opened(world: World, reader: str, gone: set[int]) -> set[int]:
    """Return the epochs that the files of epochs open to a reader, once some are gone."""
    files = set(world.facts.epochs) - world.facts.shredded - gone
    own = (one for one in files if reader in world.facts.epochs[one].readers)
    return set().union(*(held_by(world, one) for one in own)) - world.facts.shredded


def shredding(world: World, gone: set[int]) -> Iterator[str]:
    facts = world.facts
    if not gone <= set(facts.epochs) - facts.shredded:
        yield "epoch-unknown"
        return
    if any(held_by(world, stays) & gone for stays in set(facts.epochs) - gone - facts.shredded):
        yield "epoch-held"
    if facts.newest in gone:
        yield "epoch-newest"
    for reader in facts.having("reader"):
        if opened(world, reader, set()) - opened(world, reader, gone) - gone:
            yield "epoch-needed"
    saved = any(rekeying.epoch > max(gone) for rekeying in facts.rekeyings.values())
    if not saved or not all(rekeying.pruned for rekeying in facts.rekeyings.values()):
        yield "rekey-unfinished"


def of_rekeying(world: World) -> Iterator[Attempt]:
    facts = world.facts

    def data(stage: str, epoch: int, number: int, size: int = 900) -> dict[str, Any]:
        return {"stage": stage, "epoch": epoch_id(epoch), "manifest": (manifest(number), size)}

    yield attempt("vault.rekeyed", "written", **data("written", facts.newest, 9))
    for epoch in (facts.newest - 1, 99):
        yield attempt("vault.rekeyed", "written old", "epoch-newest", **data("written", epoch, 9))
    for stage in ("confirmed", "pruned"):
        wrong = data(stage, facts.newest, 9)
        yield attempt("vault.rekeyed", f"{stage} unknown", "rekey-unknown", **wrong)
    for number, known in facts.rekeyings.items():
        old = known.epoch != facts.newest and "epoch-newest"
        again = data("written", known.epoch, number)
        yield attempt("vault.rekeyed", f"written {number}", "rekey-once", old, **again)
        alone = facts.having("reader") <= {known.by}
        yield attempt(
            "vault.rekeyed",
            f"confirmed {number}",
            known.confirmed and "rekey-once",
            known.by == "X" and not alone and "second-reader",
            **data("confirmed", known.epoch, number),
        )
        yield attempt(
            "vault.rekeyed",
            f"pruned {number}",
            not known.confirmed and "rekey-unconfirmed",
            known.pruned and "rekey-once",
            **data("pruned", known.epoch, number),
        )
        for stage in ("confirmed", "pruned"):
            for wrong in (data(stage, known.epoch, number, 1), data(stage, 1, number)):
                yield attempt("vault.rekeyed", f"{stage} wrong", "rekey-unknown", **wrong)


def of_bundles(world: World) -> Iterator[Attempt]:
    facts, history = world.facts, world.history
    once = facts.sealed and "bundle-once"
    data = history.seal_data()
    yield attempt("bundle.sealed", "", once, **data)
    another = attempt("bundle.sealed", "another", **data)
    yield replace(another, bundle=b"\xb2" * 16)
    old = history.file("key file", epoch_id(facts.newest - 1)).to_value()
    yield attempt("bundle.sealed", "old", once, "epoch-newest", **{**data, "key_file": old})
    for sizes in ((0,), (PART_SIZE + 1,), (1, 1)):
        parts = tuple((history.digest(f"part {n}"), size) for n, size in enumerate(sizes))
        wrong = {**data, "parts": parts}
        yield attempt("bundle.sealed", f"of {sizes}", once, "part-sizes", **wrong)
    if facts.sealed:
        taken = {**data, "key": history.state.bundles[BUNDLE].key}
        yield attempt("bundle.sealed", "with its key", once, "file-once", **taken)
    for name in ("bundle.opened", "bundle.noted", "consent.recorded"):
        yield attempt(name)
    for result in ("intact", "altered"):
        yield attempt("bundle.checked", result, result=result)
    for kind in ("disclosure", "handover"):
        yield attempt("bundle.disclosed", kind, kind=kind)
    yield attempt("custody.receipted", receipt=(bytes(32), 1))
    yield attempt("custody.receipted", "of nothing", receipt=(bytes(32), 1), release=0)


def of_custody(world: World) -> Iterator[Attempt]:
    facts = world.facts
    release = facts.release
    for who in "RAXSG":
        rules = (
            facts.holder != "X" and "holder",
            release is not None and not release.expired and "release-open",
            facts.interrupted and "interrupted",
            (who == "X" or who not in facts.roles) and "release-to",
        )
        to = CAST[who].ed25519
        yield attempt("custody.released", f"to {who}", *rules, to=to)
        yield attempt("custody.released", f"to {who} for a time", *rules, to=to, expires=FAR)
    for seq in (0, world.history.state.size, *((release.seq,) if release is not None else ())):
        unknown = (release is None or seq != release.seq) and "release-unknown"
        other = release is not None and not unknown and release.to != "X" and "recipient"
        late = release is not None and not unknown and release.expired and "release-expired"
        for rehashed in (True, False):
            blind = not unknown and not rehashed and "rehash"
            data = {"release": seq, "rehashed": rehashed}
            label = f"{seq}, {rehashed}"
            stopped = facts.interrupted and "interrupted"
            yield attempt("custody.accepted", label, unknown, other, late, blind, stopped, **data)
        yield attempt("custody.declined", f"{seq}", unknown, other, release=seq)
        holder = not unknown and facts.holder != "X" and "holder"
        yield attempt("custody.recalled", f"{seq}", unknown, holder, release=seq)
    answers = "custodian" in facts.roles.get(facts.holder, ()) and not facts.interrupted
    yield attempt("custody.assumed", "", answers and "holder-answers")
    for state in ("interrupted", "returned"):
        same = facts.interrupted == (state == "interrupted")
        yield attempt("custody.interrupted", state, same and "interruption", state=state)


def of_destruction(world: World) -> Iterator[Attempt]:
    facts = world.facts
    held, fresh = facts.hold, b"\x0e" * 16
    yield attempt("hold.placed", "new", hold=fresh)
    yield attempt("hold.placed", "", held and "hold-once", hold=HOLD)
    yield attempt("hold.lifted", "new", "hold-unknown", hold=fresh)
    yield attempt("hold.lifted", "", not held and "hold-unknown", hold=HOLD)
    yield attempt("destruction.requested", "", held and "hold")
    request, by = facts.request or (None, "")
    for seq in {0, request} - {None}:
        rules = "request-unknown" if seq != request else by == "X" and "own-request"
        yield attempt("destruction.approved", f"of {seq}", rules, request=seq)
    for asked in {None, 0, request}:
        for granted in {None, 0, facts.approval}:
            named = {"request": asked, "approval": granted}
            yield attempt(
                "bundle.destroyed",
                f"by {asked}, {granted}",
                facts.holder != "X" and "holder",
                held and "hold",
                facts.release is not None and not facts.release.expired and "release-open",
                facts.two and None in (asked, granted) and "two-person",
                (asked, granted) not in ((None, None), (request, facts.approval))
                and "request-unknown",
                **{name: seq for name, seq in named.items() if seq is not None},
            )


ATTEMPTS = (
    of_the_vault,
    of_members,
    of_epochs,
    of_rekeying,
    of_bundles,
    of_custody,
    of_destruction,
)


# --- what the fold says -------------------------------------------------------------------------

_READ: set[tuple[str, str]] = set()


def event(world: World, attempt: Attempt, closes: bytes | None, **changes: Any) -> Event:
    """Return X's next event, as the log would read it; nobody signed it, as no rule looks there."""
    history = world.history
    genesis = attempt.type == "vault.created"
    known = history.state.bundles.get(attempt.bundle or b"")
    values: dict[str, Any] = {
        "seq": history.state.size,
        "type": attempt.type,
        "actor": CAST["X"].ed25519,
        "time": FAR // history.policy.clock * history.policy.clock,
        "data": attempt.data,
        "vault": None if genesis else history.state.vault,
        "head": None if genesis else history.tree.root(),
        "closes": None if genesis else closes,
        "bundle": attempt.bundle,
        "prev": None,
    }
    if attempt.about and attempt.type != "bundle.sealed":
        values["prev"] = known.last if known is not None else bytes(32)
    made = Event(**{**values, **changes})
    if not genesis and (attempt.type, attempt.label) not in _READ:
        # Each is of a form that the log reads; a second genesis could not be read where it stands.
        read = parse_event(format_event(format_body(made), bytes(64)))
        assert replace(read, body=b"", sig=b"", leaf=b"") == made
        _READ.add((attempt.type, attempt.label))
    return made


def broken(world: World, attempt: Attempt, closes: bytes | None, **changes: Any) -> frozenset[str]:
    """Return the rules that the fold names."""
    found = world.history.custody.broken(event(world, attempt, closes, **changes))
    return frozenset(breach.rule for breach in found)


def scenes() -> tuple[str, ...]:
    return tuple(line.strip() for line in SCENES.strip().splitlines())


@dataclass(slots=True)
class Tally:
    """What was tried: how often it was allowed and refused, by type and by rule; what was wrong."""

    allowed: Counter[str]
    refused: Counter[str]
    rules: Counter[str]
    wrong: list[str]

    def table(self) -> str:
        """Return the lines of docs/custody.md that tell of it."""
        tried = self.allowed.total() + self.refused.total()
        head = (
            f"{len(TYPES)} types of event, {len(ROLES)} roles and {len(scenes())} states make "
            f"{tried:,} events: {self.allowed.total():,} allowed, {self.refused.total():,} refused "
            f"by {len(self.rules)} rules. An event can break several.\n\n"
            "| event | allowed | refused |\n|---|--:|--:|\n"
        )
        types = "".join(
            f"| `{name}` | {self.allowed[name]:,} | {self.refused[name]:,} |\n"
            for name in sorted(TYPES)
        )
        rules = "".join(f"| `{rule}` | {self.rules[rule]:,} |\n" for rule in sorted(self.rules))
        return f"{head}{types}\n| rule | events refused by it |\n|---|--:|\n{rules}"


def tally() -> Tally:
    """Try every event by every role from every state, and hold the fold against the words."""
    found = Tally(Counter(), Counter(), Counter(), [])
    for scene in scenes():
        of_roles = worlds(scene, ROLES)
        assert of_roles, scene
        for roles, world in of_roles.items():
            closes = world.history.closing(CAST["X"])
            for kind in ATTEMPTS:
                for one in kind(world):
                    want, got = expected(world, one), broken(world, one, closes)
                    if want != got:
                        where = f"{scene} | {roles} | {one.type} {one.label}"
                        found.wrong.append(f"{where}: {sorted(want)}, not {sorted(got)}")
                    (found.refused if want else found.allowed)[one.type] += 1
                    found.rules.update(want)
    return found


def test_every_event_by_every_role_from_every_state() -> None:
    found = tally()
    assert found.wrong == []
    assert found.allowed.keys() == TYPES - {"vault.created"}
    assert found.refused.keys() == TYPES
    # The next test has these; two keys of one key id and too many readers, test_roster_rules.
    assert fold_rules() - found.rules.keys() == {*MISPLACED, "key-id-collision", "reader-limit"}
    page = (Path(__file__).parents[2] / "docs" / "custody.md").read_text(encoding="utf-8")
    assert found.table() in page, "run: python docs/make_forbidden.py"


MISPLACED = {"sequence", "other-vault", "closes", "clock", "prev"}


def misplaced(world: World, one: Attempt, closes: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ways in which an event can be out of its place, with the rule against each."""
    state = world.history.state
    yield "sequence", {"seq": state.size + 1}
    if one.type == "vault.created":
        return
    yield "other-vault", {"vault": bytes(32)}
    yield "closes", {"closes": None}
    yield "closes", {"closes": closes.replace(b"evidence-vault/", b"evidence-vault/0")}
    if world.history.policy.clock > 1:
        yield "clock", {"time": FAR // 60 * 60 + 1}
    if one.about and one.type != "bundle.sealed":
        yield "prev", {"prev": bytes(32)}
    epoch = one.data["epoch"] if one.type == "epoch.opened" else epoch_id(world.facts.newest)
    taken = SealedFile(state.bundles[BUNDLE].key, 4096, epoch)
    yield "file-once", {"fields": bytes(32), "sealed": taken}
    if one.type not in CHANGE_READERS:
        old = SealedFile(bytes(32), 4096, epoch_id(world.facts.newest - 1))
        yield "epoch-newest", {"fields": bytes(32), "sealed": old}


def test_every_event_by_every_role_out_of_its_place(
    record_property: Callable[[str, object], None],
) -> None:
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for roles, world in worlds("seal H", ROLES, clock=60).items():
        closes = world.history.closing(CAST["X"])
        assert closes is not None
        first: dict[str, Attempt] = {}
        for kind in ATTEMPTS:
            for one in kind(world):
                first.setdefault(one.type, one)
        assert first.keys() == TYPES
        for one in first.values():
            for rule, changes in misplaced(world, one, closes):
                want = expected(world, one) | {rule}
                got = broken(world, one, changes.pop("closes", closes), **changes)
                if want != got:
                    where = f"{roles} | {one.type} {changes}"
                    wrong.append(f"{where}: {sorted(want)}, not {sorted(got)}")
                counts[rule] += 1
    assert wrong == []
    assert counts.keys() == MISPLACED | {"file-once", "epoch-newest"}
    summary = f"{counts.total()} events out of their place, refused by {len(counts)} rules"
    record_property("misplaced", summary)
    print(summary)


def test_who_wrote_last_closes_nothing() -> None:
    found = worlds("come X, demote A, roles, due X", ROLES)
    assert set(found) == {"owner", "custodian owner", "owner reader", "custodian owner reader"}
    for world in found.values():
        closes = world.history.closing(CAST["X"], CAST["X"])
        one = attempt("member.removed", member=CAST["H"].ed25519)
        assert broken(world, one, None) == frozenset()
        assert broken(world, one, closes) == {"closes"}
