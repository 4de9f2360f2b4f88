"""Every verb that takes an identity, watched while it works: where do its secrets show?

Two hunts. One is for what leaves: standard output and error, the log at DEBUG, the argument list.
The other is for what a crash reporter would take along: ``repr`` of every local of every function
of ours, at the moment it returns or raises, which is what ``TracebackException`` with
``capture_locals`` shows. Hunted are the passphrases, and each key that any object was made of on
the way: identities, epochs, bundles, file keys.
"""

from __future__ import annotations

import base64
import logging
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import pytest

from evault_cli.main import cli
from tests.cli.conftest import (
    OWNER_PASSPHRASE,
    READER_PASSPHRASE,
    Outcome,
    World,
    call,
    made_world,
)
from vault import Identity, age
from vault.codec import format_bech32

ROOT: Final = Path(__file__).parents[2]
OURS: Final = (str(ROOT / "vault"), str(ROOT / "cli"))
KEY: Final = re.compile("(AGE-SECRET-KEY-PQ-1|EVAULT-SECRET-1)[0-9A-Z]{20}")
"""The text of a key, whatever the key."""

SHOWING: Final = {
    # The line of an epoch's or a bundle's key is text on its way in and out.
    ("vault.age.hybrid.HybridIdentity.from_string", "data"),
    ("vault.age.hybrid.HybridIdentity.from_string", "text"),
    ("vault.bundle.key.parse_bundle_key", "line"),
    ("vault.bundle.key.parse_bundle_key", "plaintext"),
    ("vault.codec.format_bech32", "data"),
    ("vault.codec.parse_bech32", "text"),
    ("vault.keyring.parse_epoch_file", "line"),
    ("vault.keyring.parse_epoch_file", "lines"),
    # What any small file holds is bytes, be it an event's private fields or a bundle's key.
    ("vault.age.file.encrypt_bytes", "plaintext"),
    ("vault.age.stream.Writer.write", "data"),
    ("vault.auditing.deep._Deep.event", "plaintext"),
    ("vault.forms.PrivateFile.open", "plaintext"),
    ("vault.forms.bundle_identity.<locals>.<lambda>", "plaintext"),
    ("vault.forms.key_in", "plaintext"),
    ("vault.keyring.seal_to_epoch", "plaintext"),
    ("vault.rekeying.writing._Run._make", "plaintext"),
    ("vault.rekeying.writing._Run._opened", "plaintext"),
    ("vault.rekeying.writing._Run.next", "found"),
    ("vault.rekeying.writing._commit", "news"),
    ("vault.rekeying.writing._commit.<locals>.<genexpr>", "one"),
    ("vault.rekeying.writing._read_back", "news"),
}
"""Functions and locals of ours that show an epoch's or a bundle's key while they run: what a crash
reporter that takes locals along would get. Of a passphrase, a seed, a file key: none."""


def forms(secret: bytes) -> set[str]:
    """The ways in which ``repr`` or a program could show bytes."""
    found = {
        repr(secret)[2:-1],
        repr(bytearray(secret))[12:-2],
        secret.hex(),
        str(list(secret))[1:-1],
    }
    found.add(base64.b64encode(secret).decode().rstrip("=")[:-1])
    if len(secret) == 32:
        found.add(format_bech32("a", secret)[2:-6].upper())
    return found | {one.upper() for one in found} if len(secret) == 32 else found


class Hunt:
    """What is secret so far, and where it was seen."""

    def __init__(self) -> None:
        self.words: set[str] = {OWNER_PASSPHRASE, READER_PASSPHRASE}
        self.keys: set[bytes] = set()
        self.seen: set[tuple[str, str]] = set()
        self._known: set[int] = set()

    def secret(self, key: Any) -> None:
        data = bytes(key)
        if data not in self.keys and any(data):
            self.keys.add(data)
            self.words |= forms(data)

    def shows(self, text: str) -> bool:
        return KEY.search(text) is not None or any(word in text for word in self.words)

    def watch(self, frame: FrameType, event: str, _: object) -> None:
        if event != "return" or not frame.f_code.co_filename.startswith(OURS):
            return
        for name, value in frame.f_locals.items():
            if value is None or isinstance(value, (bool, int, float, type)) or name == "self":
                continue
            if isinstance(value, (bytes, bytearray, str)) and len(value) > 100_000:
                continue
            if self.shows(repr(value)):
                self.seen.add((f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}", name))


@pytest.fixture
def hunt(monkeypatch: pytest.MonkeyPatch) -> Hunt:
    """Note each key that an identity or a file is made of."""
    hunt = Hunt()

    def noted(owner: Any, name: str, at: int) -> None:
        original = getattr(owner, name)

        def noting(*given: Any) -> Any:
            hunt.secret(given[at])
            return original(*given)

        monkeypatch.setattr(owner, name, noting)

    noted(Identity, "__init__", 1)
    noted(age.HybridIdentity, "__init__", 1)
    noted(sys.modules["vault.age.file"], "payload_key", 0)
    return hunt


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made_world(tmp_path_factory.mktemp("leaks"))


@pytest.fixture
def world(tmp_path: Path, template: World, monkeypatch: pytest.MonkeyPatch) -> World:
    folder = tmp_path / "world"
    shutil.copytree(template.folder, folder)
    monkeypatch.setenv("EVAULT_HOME", str(folder / "home"))
    return World(folder, template.bundle)


def verbs(world: World) -> Iterator[tuple[object, ...]]:
    """One call of each verb that takes an identity or a passphrase, in an order that works."""
    vault, bundle, folder = world.vault, world.bundle, world.folder
    yield "identity", "new", "-o", folder / "third.age", *world.reader[2:], "--work-factor", 10
    third = ("-i", folder / "third.age", *world.reader[2:])
    yield "identity", "show", *world.owner
    new = ("--new-passphrase-file", folder / "reader.txt", "--work-factor", 10)
    yield "identity", "protect", *third, *new
    yield "card", *third, "-o", folder / "third.card", "--name", "Third"
    yield (
        "init",
        folder / "second",
        "--name",
        "Asma",
        "--title",
        "T",
        "--reader",
        "me",
        *world.owner,
    )
    yield "seal", vault, folder / "evidence", "--title", "Second", *world.owner
    yield "list", vault, *world.reader
    yield "show", vault, bundle, *world.reader
    yield "open", vault, bundle, "-o", folder / "opened", "--purpose", "p", *world.reader
    yield "note", vault, bundle, "--text", "n", *world.owner
    yield "verify", vault, "--deep", *world.reader
    roles = ("--role", "reader", "--role", "custodian", "--checked", "aloud")
    yield "admit", vault, folder / "third.card", *roles, *world.owner
    yield "grant", vault, folder / "third.card", *world.reader
    yield "custody", vault, bundle, *world.reader
    yield "rekey", vault, *world.reader
    yield "recover", "split", "-o", folder / "sheets", *third
    sheets = [
        part for path in sorted((folder / "sheets").glob("*.txt"))[:2] for part in ("--share", path)
    ]
    yield "recover", "join", *sheets, "-o", folder / "joined.age", "--work-factor", 10, *third[2:]
    yield "recover", "drill", vault, *sheets
    yield "rekey", vault, "--confirm", *third
    yield "rekey", vault, "--prune", *world.reader
    yield "policy", vault, "clock=60", "--reason", "r", *world.owner
    why = ("--authority", "a", "--reason", "r")
    yield "hold", "place", vault, bundle, *why, *world.owner
    yield "hold", "lift", vault, bundle, *why, *world.owner
    yield "consent", vault, bundle, "--status", "given", "--how", "h", "--by", "b", *world.owner
    form = ("--place", "p", "--condition", "c", "--purpose", "p")
    release = ("release", vault, bundle, "--to", folder / "third.card", *form, *world.owner)
    yield release
    yield "decline", vault, bundle, "--reason", "r", *third
    yield release
    yield "recall", vault, bundle, "--reason", "r", *world.owner
    yield release
    yield "accept", vault, bundle, *form, *third
    yield "interrupt", vault, bundle, "--cause", "seized", "--reason", "r", *third
    yield "remove", vault, folder / "third.card", "--cause", "left", "--reason", "r", *world.owner
    yield "assume", vault, bundle, *why, *form, *world.owner
    yield "destroy", vault, bundle, *why, "--yes", *world.owner


def with_secrets(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command that is given a passphrase, or shares."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from with_secrets(command, *above, name)
        elif {"passphrase_file", "files"} & {one.name for one in command.params}:
            yield (*above, name)


def test_every_command_that_is_given_a_secret_is_watched(world: World) -> None:
    watched = [tuple(map(str, one)) for one in verbs(world)]
    missing = [
        words
        for words in with_secrets(cli)
        if not any(one[: len(words)] == words for one in watched)
    ]
    assert missing == []
    assert len(watched) > 30


def ran(arguments: tuple[object, ...], world: World) -> Outcome:
    return call(*arguments, env={"EVAULT_HOME": str(world.folder / "home")})


def test_no_secret_leaves_a_verb_or_shows_in_a_local(
    world: World, hunt: Hunt, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for arguments in verbs(world):
        sys.setprofile(hunt.watch)
        try:
            outcome = ran(arguments, world)
        finally:
            sys.setprofile(None)
        assert outcome.code == 0, (arguments, outcome.err)
        assert not hunt.shows(outcome.out + outcome.err + caplog.text), arguments
        assert not hunt.shows(" ".join(map(str, arguments)))
    assert len(hunt.keys) > 10
    assert hunt.seen == SHOWING


def test_the_hunt_finds_a_secret_wherever_it_shows(hunt: Hunt) -> None:
    seed = bytes(range(60, 92))
    me = Identity(seed)
    assert not hunt.shows(repr(me) + repr(me.age) + repr(vars(me)))
    for shown in (
        repr(seed),
        f"x{seed!r}",
        str(bytearray(seed)),
        str(tuple(seed)),
        seed.hex(),
        seed.hex().upper(),
        base64.b64encode(seed).decode(),
        format_bech32("evault-secret-", seed).upper(),
        me.age.to_string(),
        READER_PASSPHRASE,
    ):
        assert hunt.shows(shown), shown


@pytest.mark.parametrize(
    "place",
    [
        "vault.age.scrypt._wrap_key",
        "vault.age.file.check_mac",
        "vault.age.file.payload_key",
        "vault.age.file.decrypt_payload",
        "vault.age.stream._open_chunk",
        "vault.identity.parse_key_line",
        "vault.identity._derived",
        "vault.identity.format_key_line",
        "vault.keyring.parse_epoch_file",
        "vault.keyring.read_whole",
        "vault.keyring.format_epoch_file",
        "vault.identity.Identity.sign_ed25519",
        "vault.sealing.seal_to_epoch",
    ],
)
def test_an_error_while_secrets_are_loaded_shows_none_of_them(
    place: str, world: World, hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def failed(error: BaseException, _: object) -> int:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        told.append("".join(report.format()))
        return 70

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr("evault_cli.main._failed", failed)
    monkeypatch.setattr(place, broken)
    new, second = world.folder / "new.age", world.folder / "second"
    ran(("identity", "new", "-o", new, "--work-factor", 10, *world.reader[2:]), world)
    ran(("seal", world.vault, world.folder / "evidence", "--title", "T", *world.owner), world)
    ran(("list", world.vault, *world.reader), world)
    ran(("init", second, "--name", "A", "--title", "T", "--reader", "me", *world.owner), world)
    assert any("injected" in one for one in told)
    for one in told:
        assert not hunt.shows(one), one
