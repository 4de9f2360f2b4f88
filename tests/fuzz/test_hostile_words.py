"""Hostile text in everything that is ever printed: none of it acts on who looks."""

from __future__ import annotations

import datetime
import hashlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.conftest import Outcome, call
from tests.fuzz.desk import Desk, with_identities
from tests.fuzz.hostile import (
    HOSTILE,
    PIECES,
    hostile_item,
    misleading,
    said_everywhere,
)
from tests.rooms.house import HANDOVER, KAI, MINA, NAMES, NOOR, OWNER, build, person
from vault import Identity, Vault
from vault.destruction import approve_destruction, destroy, request_destruction
from vault.errors import FormatError
from vault.event import (
    EVENT_TYPES,
    kinds,
)
from vault.handover import accept, assume, decline, interrupt, recall, release
from vault.membership import admit, grant_history, remove
from vault.rekeying import confirm, prune, rekey, shred
from vault.terms import lift_hold, place_hold

# --- what is printed ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, set[tuple[str, str]]]:
    """A vault with every type of event, each of which says hostile text wherever it can.

    Its own place is called so too.
    """
    folder = tmp_path_factory.mktemp("talking")
    desk, said = Desk(folder), set[tuple[str, str]]()
    names = dict.fromkeys(NAMES, f"Eve \u200b\U000e0041\u3164{PIECES['markup']}")
    with said_everywhere(said), pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.rooms.house.NAMES", names)
        build(folder / "vault")
        everything(desk)
    with_identities(folder)
    with desk.house.open() as vault:
        assert {vault.event(seq).type for seq in range(vault.size)} == set(EVENT_TYPES)
    return desk, said


def everything(desk: Desk) -> None:
    """Do all that can be done in a vault."""

    def does(who: Identity, verb: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        with desk.house.open(who) as vault:
            return verb(vault, *arguments, **more)

    def wrote(vault: Vault, name: str, bundle: bytes | None = None, **data: Any) -> Any:
        return vault.append(name, bundle=bundle, data=data)

    def filed(vault: Vault, name: str, bundle: bytes | None = None, **data: Any) -> Any:
        digest = hashlib.sha256(name.encode()).digest()
        key = "receipt" if name == "custody.receipted" else "file"
        drafted = vault.draft(
            name,
            bundle=bundle,
            data={**data, key: (digest, len(name))},
            files={f"foreign/{digest.hex()}": name.encode()},
        )
        return vault.commit(lambda: [drafted])

    def sealed(who: Identity) -> bytes:
        with desk.house.open(who) as vault, vault.seal() as writer:
            item = hostile_item()
            name = item.pop("original_name", None)
            assert name is None  # a file name is no text by its kind
            for name in (HOSTILE, f"x/{PIECES['bidirectional']}", b"\xff\x1b[2J", "x"):
                writer.add_stream(name, 4, io.BytesIO(b"seen"), fields=item)
            absent = {"original_name": HOSTILE, "kind": "omitted", "omitted_because": HOSTILE}
            writer.add_absent({**item, **absent})
        return writer.id

    first, second, third = sealed(MINA), sealed(MINA), sealed(KAI)
    why = {"authority": "x", "reason": "x"}
    does(MINA, release, [first, second], KAI.ed25519, fields=HANDOVER | {"authority": "x"})
    does(KAI, accept, [first], fields=HANDOVER)
    does(KAI, decline, [second], reason="x")
    does(MINA, release, [second], KAI.ed25519, fields=HANDOVER | {"authority": "x"})
    does(MINA, recall, [second], reason="x")
    does(KAI, interrupt, [first], cause="seized", reason="x")
    does(OWNER, assume, [first], **why)
    does(MINA, wrote, "consent.recorded", second)
    does(MINA, place_hold, [second], **why)
    does(MINA, lift_hold, [second], **why)
    does(MINA, wrote, "bundle.noted", second)
    does(MINA, wrote, "bundle.checked", second, result="altered")
    does(MINA, wrote, "bundle.disclosed", second, kind="disclosure")
    does(MINA, filed, "custody.receipted", second)
    with desk.house.open(MINA) as vault:
        size, root = vault.size, vault.root
    does(MINA, filed, "checkpoint.attested", size=size, root=root, kind="rfc3161")
    does(NOOR, wrote, "bundle.opened", second)
    does(NOOR, wrote, "vault.noted")
    does(NOOR, wrote, "recovery.drilled")
    policy = {"clock": 1, "two_person_destroy": False}
    does(OWNER, wrote, "vault.policy", policy=policy)
    does(OWNER, wrote, "vault.upgraded", version=1)
    does(KAI, request_destruction, third)
    with desk.house.open(OWNER) as vault:
        request = vault.state.bundles[third].request
    assert request is not None
    does(OWNER, approve_destruction, third, request[0])
    does(KAI, destroy, third)
    with desk.house.open(OWNER) as vault:
        remove(vault, vault.state.members[KAI.ed25519], cause="lost", doubtful_from=vault.size - 3)
        admit(vault, person(7).card("Late", datetime.date(2026, 3, 1)), ("reader",), history=False)
    with desk.house.open(MINA) as vault:
        assert grant_history(vault, vault.state.members[person(7).ed25519]).epochs
    does(OWNER, lambda vault: shred(vault, next(iter(vault.state.epochs))))
    does(NOOR, rekey)
    does(MINA, confirm)
    does(MINA, prune)
    does(OWNER, lambda vault: shred(vault, next(iter(vault.state.epochs))))


def _told(told: Outcome, codes: set[int]) -> None:
    assert told.code in codes, (told.code, told.err)
    assert misleading(told.out) == []
    assert misleading(told.err) == []


def test_every_text_of_every_type_of_event_is_hostile_there(talking: Any) -> None:
    _, said = talking
    texts = {
        (name, key.name)
        for name, one in EVENT_TYPES.items()
        for key in one.fields
        if key.kind in (kinds.TEXT, kinds.TEXTS)
    }
    assert len(texts) > 200
    assert texts <= said
    # The only other kinds that hold text are names of files, times, and choices from a list.
    others = {key.kind for one in EVENT_TYPES.values() for key in one.fields} - {
        kinds.TEXT,
        kinds.TEXTS,
        kinds.TIME,
        kinds.BOOL,
        kinds.UINT,
    }
    assert all(kind.about.startswith("one of ") for kind in others)


@pytest.mark.parametrize("who", ["noor", "mina", ""])
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_nothing_that_is_looked_at_acts_on_who_looks(
    talking: Any, who: str, json_: tuple[str, ...]
) -> None:
    desk, _ = talking
    place = desk.house.path
    with desk.house.open() as vault:
        bundles = [bundle.hex() for bundle in vault.state.bundles]

    def look(verb: str, *more: object) -> Outcome:
        if who:
            return desk.evault(verb, place, *more, *json_, who=who)
        return call(verb, place, *more, *json_)

    _told(look("list"), {0})
    _told(look("show"), {0})
    _told(look("custody", "--all"), {0})
    _told(look("verify"), {0})
    for bundle in bundles:
        _told(look("show", bundle), {0})
        _told(look("custody", bundle), {0})
    if who:
        _told(look("verify", "--deep"), {0, 1})
    else:
        _told(look("show", "--as-seized"), {0})


@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_opening_prints_no_name_as_it_is(talking: Any, tmp_path: Path, json_: Any) -> None:
    desk, _ = talking
    shutil.copytree(desk.folder, tmp_path / "desk")
    here = Desk(tmp_path / "desk")
    with here.house.open() as vault:
        bundle = next(one.id for one in vault.state.bundles.values() if one.destroyed is None)
    _told(here.open(bundle, "--authority", HOSTILE.replace("\0", ""), *json_), {2})
    more = ("--authority", "a court", *json_)
    _told(here.open(bundle, *more), {0})
    record = (here.out / "record.json").read_bytes()
    assert record.isascii()
    names = [os.fsdecode(os.fsencode(path.name)) for path in here.out.rglob("*")]
    assert misleading("".join(names)) == []
    shutil.rmtree(here.out)
    _told(here.open(bundle, "--unrecorded", *more), {0})
    assert misleading((here.out / "access-record.txt").read_text("utf-8")) == []


_PATHS: Final = {kind: text.replace("\0", "").replace("/", "") for kind, text in PIECES.items()}


@pytest.mark.parametrize("kind", [*_PATHS, "no text"])
def test_errors_name_hostile_files_and_places_harmlessly(desk: Desk, kind: str) -> None:
    text = _PATHS.get(kind, os.fsdecode(b"\xff\x9b31m\xfe"))
    there = desk.folder / f"{text}there"
    there.write_bytes(b"neither card nor identity nor vault")
    shutil.copytree(desk.house.path, desk.folder / f"{text}vault")
    (desk.folder / f"{text}folder").mkdir()
    os.mkfifo(desk.folder / f"{text}fifo")
    (desk.folder / f"{text}link").symlink_to(text)
    with desk.house.open() as vault:
        told = ("--vault-id", vault.id.hex())
    vault_, missing = desk.folder / f"{text}vault", desk.folder / f"{text}missing"
    commands: list[tuple[object, ...]] = [
        ("show", missing),
        ("list", there),
        ("verify", missing),
        ("verify", desk.folder / f"{text}folder"),
        ("show", vault_),
        ("show", vault_, text),
        ("open", vault_, text, "-o", there, "--purpose", "x", *told),
        ("verify", vault_, "--checkpoint", there),
        ("verify", vault_, "--checkpoint", missing),
        ("verify", vault_, "--history", there),
        ("verify", vault_, "--vault-id", text),
        ("admit", vault_, there, "--role", "reader", "--checked", "x", *told),
        ("admit", vault_, missing, "--role", "reader", "--checked", "x", *told),
        ("admit", vault_, there, "--role", text, "--checked", "x", *told),
        ("release", vault_, text, "--to", text, "--place", text, "--condition", text),
        ("seal", vault_, missing, *told),
        ("seal", vault_, there, "--title", text, "--field", f"{text}=x", *told),
        ("seal", vault_, there, "--field", text, *told),
        ("seal", vault_, there, "--fields", there, *told),
        ("seal", vault_, desk.folder / f"{text}fifo", *told),
        ("seal", vault_, desk.folder / f"{text}link", *told),
        ("seal", vault_, desk.folder / f"{text}fifo", there, "--skip-unreadable", *told),
        ("seal", vault_, there, "--media-hash", f"{text}:{text}", *told),
        ("note", vault_, text, *told),
        ("init", there, "--reader", "me"),
        ("init", desk.folder / f"{text}new", "--reader", there),
        ("card", "-o", there, "--name", text),
        ("identity", "new", "-o", there),
        ("identity", "show"),
        ("doctor", missing),
        ("doctor", vault_),
        (text,),
        ("show", f"--{text}"),
        ("show", "--passphrase-fd", text, vault_),
    ]
    for command in commands:
        _told(desk.evault(*command), {0, 1, 2, 3, 4, 5})
    (desk.folder / f"{text}.age").write_bytes(b"x")
    for name in (f"{text}.age", f"{text}missing", f"{text}folder"):
        unlocked = ("-i", desk.folder / name, "--passphrase-file", desk.folder / "pass")
        _told(call("list", vault_, *unlocked), {2, 3, 4, 5})
        wrong = ("-i", desk.folder / "noor.age", "--passphrase-file", desk.folder / name)
        _told(call("list", vault_, *wrong), {2, 3, 4, 5})
        home = {"EVAULT_HOME": str(desk.folder / name)}
        _told(call("list", vault_, env=home), {0, 2, 3, 4, 5})


@pytest.mark.parametrize("kind", [*_PATHS, "no text"])
def test_findings_name_hostile_files_harmlessly(desk: Desk, kind: str) -> None:
    text = _PATHS.get(kind, os.fsdecode(b"\xff\x9b31m\xfe"))
    for where in ("", "log", "log/tile", "log/tile/0", "bundles", "fields", "keys", "foreign"):
        folder = desk.house.path / where
        folder.mkdir(exist_ok=True)
        (folder / f"{text}file").write_bytes(b"x")
        (folder / f"{text}folder").mkdir()
        (folder / f"{text}folder" / text).write_bytes(b"x")
        (folder / f"{text}link").symlink_to(text)
        os.mkfifo(folder / f"{text}fifo")
    for more in ((), ("--json",), ("--deep",), ("--deep", "--json")):
        _told(desk.evault("verify", desk.house.path, *more), {0, 1})
    for verb in (("list",), ("show",), ("custody", "--all"), ("doctor",)):
        _told(desk.evault(verb[0], desk.house.path, *verb[1:]), {0, 1, 3, 5})


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc80x", "\ud83d\ude00"])
def test_a_lone_surrogate_is_written_nowhere(desk: Desk, text: str) -> None:
    before = desk.house.files()
    with desk.house.open(MINA) as vault:
        for fields in ({"text": text}, {"subject": text}, {"own": (text,)}, {f"own{text}": "x"}):
            with pytest.raises((ValueError, FormatError)):
                vault.append("vault.noted", fields=fields)
        with pytest.raises((ValueError, FormatError)), vault.seal({"title": text}) as writer:
            writer.add_stream("x", 1, io.BytesIO(b"x"))
        with pytest.raises((ValueError, FormatError)), vault.seal() as writer:
            writer.add_stream(text, 1, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="name"):
        MINA.card(text, datetime.date(2026, 3, 1))
    assert desk.house.files() == before
