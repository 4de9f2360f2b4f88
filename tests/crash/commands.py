"""Kill points of the command line: real ``evault`` processes, killed before each call that changes
files.

``python -m tests.crash.commands --points N --seed S --jobs J [--verb NAME]``. As
:mod:`tests.crash.kill`, of which it is the other half: there the library works on a vault alone;
here a whole program runs, with identity files under passphrases, what a machine remembers, cards,
sheets, and folders of opened evidence. Tracing a process that holds secrets needs root.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cli.conftest import World, made_world
from tests.crash import kill
from tests.crash.judging import Before, Unsound, judge_forks
from tests.crash.kill import (
    Point,
    Tally,
    cycled,
    judged,
    only_reads,
    report,
    seen_in,
    spread,
    trace,
)
from vault import LocalStore, Vault

__all__ = ["ACTS", "Act", "Trial", "made", "reason_not_to", "run", "strike", "trial"]

_FACTOR: Final = ("--work-factor", 10)
_NEW: Final = "a passphrase that is new"


@dataclass(frozen=True, slots=True)
class Act:
    """A command, and what must be true of its world once it was killed."""

    name: str
    arguments: Callable[[World], Sequence[object]]
    judge: Callable[[World, Trial, bool], None]
    changes: frozenset[str] = frozenset()
    """Files of the world, apart from the vault and the home, that it may change."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An act, the world that it is to work in, where it can be struck, and how many events it
    writes when nothing stops it.
    """

    act: Act
    world: World
    added: int
    points: tuple[Point, ...]

    @property
    def before(self) -> Before:
        """The log before the act."""
        return _log_of(self.world.vault)


@functools.cache
def _log_of(path: Path) -> Before:
    return Before.of(path)


def _demand(true: bool, what: str) -> None:
    if not true:
        raise Unsound(what)


def _done(world: World, *arguments: object) -> bool:
    """Run a command of which the answer is whether it succeeds."""
    return world.call(*arguments).code == 0


def _opens(world: World, file: str, passphrase: str) -> bool:
    words = ("--passphrase-file", world.folder / passphrase)
    return _done(world, "identity", "show", "-i", world.folder / file, *words)


def _again(world: World, trial: Trial) -> None:
    _demand(_done(world, *trial.act.arguments(world)), "the same command does not work again")


def _sound(world: World, trial: Trial, acknowledged: bool) -> None:
    """The vault is sound, has all that it had, and can be written to."""
    heads: dict[int, bytes] = {}
    judge_forks(world.vault, heads)
    before, found = trial.before.entries, Before.of(world.vault).entries
    _demand(found[: len(before)] == before, "an acknowledged event is gone")
    more = len(found) - len(before)
    _demand(more == trial.added if acknowledged else more <= trial.added, f"{more} events more")
    for who in (world.owner, world.reader):
        _demand(_done(world, "verify", world.vault, *who), "the vault does not verify")
    note = ("note", world.vault, "--text", "after the kill", *world.owner)
    _demand(_done(world, *note), "nobody can write any more")
    judge_forks(world.vault, heads)
    _demand(_done(world, "verify", world.vault, *world.reader), "the next writer spoiled it")


def _is_evidence(folder: Path, world: World) -> bool:
    """Whether all that was sealed is in a folder, byte for byte."""
    original = world.folder / "evidence"
    wanted = sorted(path.read_bytes() for path in original.rglob("*") if path.is_file())
    found = sorted(path.read_bytes() for path in (folder / "files").rglob("*") if path.is_file())
    return found == wanted and (folder / "record.json").stat().st_size > 0


def _judge_identity(file: str) -> Callable[[World, Trial, bool], None]:
    def judge(world: World, trial: Trial, acknowledged: bool) -> None:
        path = world.folder / file
        if path.exists():
            _demand(_opens(world, file, "owner.txt"), f"{file} is there and does not open")
            content = path.read_bytes()
            _demand(not _done(world, *trial.act.arguments(world)), f"{file} was overwritten")
            _demand(path.read_bytes() == content, f"{file} was changed")
        else:
            _demand(not acknowledged, f"{file} is gone")
            _again(world, trial)
            _demand(_opens(world, file, "owner.txt"), f"{file} does not open")

    return judge


def _judge_protect(world: World, trial: Trial, acknowledged: bool) -> None:
    old, new = (_opens(world, "reader.age", words) for words in ("reader.txt", "new.txt"))
    _demand(old != new, f"the identity opens with the old passphrase: {old}, the new one: {new}")
    _demand(new or not acknowledged, "the new passphrase was said to be in force")
    if old:
        _again(world, trial)
        _demand(_opens(world, "reader.age", "new.txt"), "the identity does not open")


def _judge_card(world: World, trial: Trial, acknowledged: bool) -> None:
    card, picture = world.folder / "new.card", world.folder / "new.png"
    _demand(not acknowledged or (card.exists() and picture.exists()), "a file is gone")
    if picture.exists():
        _demand(picture.read_bytes().endswith(b"IEND\xaeB`\x82"), "the picture is torn")
    for path in (card, picture):
        path.unlink(missing_ok=True) if path == picture or not path.exists() else None
    if not card.exists():
        _again(world, trial)
    options = ("--reader", card, "--name", "Asma", *world.owner)
    _demand(_done(world, "init", world.folder / "other", *options), "the card is torn")


def _judge_init(world: World, trial: Trial, acknowledged: bool) -> None:
    second = world.folder / "second"
    if not _done(world, "verify", second, *world.reader):
        _demand(not acknowledged, "the vault is gone")
        if second.exists():
            shutil.rmtree(second)  # what `init` itself says is to be done
        _again(world, trial)
    # Killed before its last word, this machine may not remember the vault yet, as one that was
    # made elsewhere: its id is given once.
    with Vault.open(LocalStore(second)) as vault:
        vault_id = vault.id.hex()
    note = ("note", second, "--text", "the first", "--vault-id", vault_id, *world.owner)
    _demand(_done(world, *note), "nobody can write to the new vault")
    _demand(_done(world, "verify", second, *world.reader), "the new vault does not verify")


def _judge_seal(world: World, trial: Trial, acknowledged: bool) -> None:
    _sound(world, trial, acknowledged)
    _again(world, trial)
    listed = world.call("list", world.vault, "--json", *world.reader).json["bundles"]
    for number, one in enumerate(listed):
        folder = world.folder / f"all-{number}"
        options = ("-o", folder, "--purpose", "to see", *world.reader)
        _demand(_done(world, "open", world.vault, one["bundle"], *options), "it can't be opened")
        _demand(_is_evidence(folder, world), "not what was sealed")


def _judge_note(world: World, trial: Trial, acknowledged: bool) -> None:
    _sound(world, trial, acknowledged)


def _judge_open(world: World, trial: Trial, acknowledged: bool) -> None:
    folder = world.folder / "out"
    logged = len(Before.of(world.vault).entries) > len(trial.before.entries)
    written = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    _demand(logged or not written or not trial.added, "evidence is out, and no event says so")
    _demand(folder.exists() or not acknowledged, "what was opened is gone")
    if (folder / "record.json").exists():
        _demand(_is_evidence(folder, world), "a record stands by what is not whole")
    _sound(world, trial, acknowledged)
    if folder.exists():
        shutil.rmtree(folder)
    _again(world, trial)
    _demand(_is_evidence(folder, world), "what was opened is not what was sealed")


def _judge_split(world: World, trial: Trial, acknowledged: bool) -> None:
    folder = world.folder / "sheets"
    _demand(folder.exists() or not acknowledged, "the sheets are gone")
    if not folder.exists():
        _again(world, trial)
    elif len(list(folder.glob("*.txt"))) < 3 or len(list(folder.glob("*.html"))) < 3:
        _demand(not acknowledged, "sheets are missing")
        shutil.rmtree(folder)
        _again(world, trial)
    sheets = sorted(folder.glob("*.txt"))
    for pair in (sheets[:2], sheets[1:3]):
        file = world.folder / f"{pair[0].stem}.age"
        _demand(_done(world, *_joining(world, pair, file)), "the sheets do not join")


def _joining(world: World, sheets: Sequence[Path], file: Path) -> list[object]:
    shares = [part for sheet in sheets for part in ("--share", sheet)]
    return ["recover", "join", *shares, "-o", file, *_FACTOR, *world.owner]


def _judge_forget(world: World, trial: Trial, acknowledged: bool) -> None:
    home = world.folder / "home"
    _demand(world.files() == trial.world.files(), "the vault was changed")
    if not acknowledged:
        world.call(*trial.act.arguments(world))  # it says so if nothing was left
    left = [str(path) for path in home.rglob("*") if path.is_file()]
    _demand(not left, f"this machine still keeps {left}")
    _demand(_done(world, "verify", world.vault, *world.reader), "the vault does not verify")


ACTS: Final = (
    Act(
        "identity new",
        lambda world: (
            *("identity", "new", "-i", world.folder / "deep/new.age", *_FACTOR),
            *world.owner,
        ),
        _judge_identity("deep/new.age"),
    ),
    Act(
        "identity protect",
        lambda world: (
            *("identity", "protect", *_FACTOR, *world.reader),
            *("--new-passphrase-file", world.folder / "new.txt"),
        ),
        _judge_protect,
        frozenset(("reader.age",)),
    ),
    Act(
        "card",
        lambda world: (
            *("card", "--name", "Reader", *world.reader),
            *("-o", world.folder / "new.card", "--qr", world.folder / "new.png"),
        ),
        _judge_card,
    ),
    Act(
        "init",
        lambda world: (
            *("init", world.folder / "second", "--reader", world.folder / "reader.card"),
            *("--name", "Asma", "--title", "Case 8", *world.owner),
        ),
        _judge_init,
    ),
    Act(
        "seal",
        lambda world: (
            *("seal", world.vault, world.folder / "evidence", "--title", "Second"),
            *world.owner,
        ),
        _judge_seal,
    ),
    Act(
        "note",
        lambda world: ("note", world.vault, "--text", "a note", *world.owner),
        _judge_note,
    ),
    Act(
        "open",
        lambda world: (
            *("open", world.vault, world.bundle, "-o", world.folder / "out"),
            *("--purpose", "a look", *world.reader),
        ),
        _judge_open,
    ),
    Act(
        "open --unrecorded",
        lambda world: (
            *("open", world.vault, world.bundle, "-o", world.folder / "out"),
            *("--purpose", "a look", "--unrecorded", *world.reader),
        ),
        _judge_open,
    ),
    Act(
        "recover split",
        lambda world: ("recover", "split", "-o", world.folder / "sheets", *world.reader),
        _judge_split,
    ),
    Act(
        "recover join",
        lambda world: _joining(
            world,
            sorted((world.folder / "kept-sheets").glob("*.txt"))[:2],
            world.folder / "joined.age",
        ),
        _judge_identity("joined.age"),
    ),
    Act("forget", lambda world: ("forget", "--all", "--yes"), _judge_forget),
)


def reason_not_to() -> str:
    """Say why nothing can be traced here; nothing if it can."""
    if hasattr(os, "geteuid") and os.geteuid():
        return "tracing a process that holds secrets needs root"
    return kill.reason_not_to()


def made(folder: Path) -> World:
    """Make the world that every act begins in."""
    folder.mkdir()
    world = made_world(folder)
    (folder / "new.txt").write_text(f"{_NEW}\n")
    sheets = ("recover", "split", "-o", folder / "kept-sheets", *world.reader)
    _demand(_done(world, *sheets), "sheets can't be made")
    return world


def _copy(world: World, folder: Path) -> World:
    shutil.copytree(world.folder, folder, symlinks=True)
    return World(folder, world.bundle)


def _run(
    act: Act, world: World, log: Path, point: Point | None = None
) -> subprocess.CompletedProcess[bytes]:
    own = ["evault_cli", *(str(one) for one in act.arguments(world))]
    return trace(own, log, point, {"EVAULT_HOME": str(world.folder / "home")})


def trial(act: Act, world: World, folder: Path) -> Trial:
    """Trace an act in a copy of a world; each call that changes a file there is a point, and so is
    the first word that it says.
    """
    own, log = _copy(world, folder / "world"), folder / "trace"
    done = _run(act, own, log)
    if done.returncode:
        raise Unsound(f"{act.name} without a fault: {done.stderr.decode(errors='replace')}")
    found: set[tuple[str, int]] = set()
    for call, when, line in seen_in(log):
        if not only_reads(call, line) and (str(own.folder) in line or "write(1<" in line):
            found.add((call, when))
    before, after = (len(Before.of(one.vault).entries) for one in (world, own))
    shutil.rmtree(own.folder)
    points = tuple(Point(act.name, call, when) for call, when in sorted(found))
    return Trial(act, world, after - before, points)


def _kept(before: World, after: World, changes: frozenset[str]) -> None:
    """Raise unless every file outside vault and home is as it was."""
    for path in before.folder.rglob("*"):
        name = path.relative_to(before.folder)
        if name.parts[0] in ("vault", "home") or not path.is_file() or str(name) in changes:
            continue
        now = after.folder / name
        _demand(now.is_file() and now.read_bytes() == path.read_bytes(), f"{name} is changed")


def strike(trial: Trial, point: Point, folder: Path, tally: Tally) -> None:
    """Kill an act at a point, and judge what is left."""
    world = _copy(trial.world, folder / "world")
    try:
        done = _run(trial.act, world, folder / "trace", point)
        with judged(point, done, tally, acknowledged=done.returncode == 0) as acknowledged:
            _kept(trial.world, world, trial.act.changes)
            trial.act.judge(world, trial, acknowledged)
    finally:
        shutil.rmtree(world.folder)


def run(
    count: int, seed: int, jobs: int, folder: Path, names: Sequence[str] = ()
) -> tuple[Tally, int]:
    """Strike at ``count`` points (0: each once); return also how many points there are."""
    world = made(folder / "template")
    acts = [act for act in ACTS if not names or act.name in names]
    trials = {act.name: trial(act, world, folder) for act in acts}
    every = [point for one in trials.values() for point in one.points]

    def hit(point: Point, own: Path, tally: Tally) -> None:
        strike(trials[point.verb], point, own, tally)

    return spread(cycled(every, count, seed), jobs, folder, hit), len(every)


def main(own: Sequence[str] | None = None) -> int:
    """Strike at the commands."""
    return report(own, "tests.crash.commands", f"{len(ACTS)} commands", reason_not_to(), run)


if __name__ == "__main__":
    sys.exit(main())
