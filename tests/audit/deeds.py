"""What a lying insider does to the honest vault of :mod:`tests.audit.insider`.

Each deed returns the files of the vault after it. What an audit then finds of it is in
``test_insider.py``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.audit.insider import THIRD, Files, Story, rewritten, ticking
from tests.bundles.scene import (
    NOW,
    OUTSIDER,
    OWNER,
    READER,
    SECOND,
    contents,
    new_vault,
    open_vault,
    seal,
)
from tests.custody.forging import force
from tests.log.notes import forge
from tests.rooms.ending import another_epoch
from vault import age
from vault.auditing import audit
from vault.bundle import Item, items, writing
from vault.codec import pack
from vault.commitment import Field, format_fields
from vault.event import Event
from vault.identity import Identity
from vault.keyring import NewEpoch, format_epoch_file, new_epoch
from vault.layout import bundle_key_name, fields_name
from vault.log import Log
from vault.membership import admit, remove
from vault.rekeying import confirm, prune, rekey
from vault.storage import MemoryStore
from vault.vault import Vault

Events = Sequence[Event]


# --- the log laid down anew -----------------------------------------------------------------------

Change = Callable[[list[Event]], list[Event]]


def earlier(events: list[Event]) -> list[Event]:
    return [replace(one, time=one.time - 3600) if one.seq == 6 else one for one in events]


def swapped(events: list[Event]) -> list[Event]:
    six, seven = events[6], events[7]
    return [*events[:6], replace(seven, time=six.time), replace(six, time=seven.time), *events[8:]]


def swapped_as_they_are(events: list[Event]) -> list[Event]:
    return [*events[:6], events[7], events[6], *events[8:]]


def dropped(events: list[Event]) -> list[Event]:
    return [*events[:7], *events[8:]]


def by_another(events: list[Event]) -> list[Event]:
    return [replace(one, actor=SECOND.ed25519) if one.seq == 7 else one for one in events]


def before_admission(events: list[Event]) -> list[Event]:
    four, five = events[4], events[5]
    return [*events[:4], replace(five, time=four.time), replace(four, time=five.time), *events[6:]]


def other_fields(events: list[Event]) -> list[Event]:
    six, seven = events[6], events[7]
    return [
        *events[:6],
        replace(six, sealed=seven.sealed),
        replace(seven, sealed=six.sealed),
        *events[8:],
    ]


def fields_of_another(events: list[Event]) -> list[Event]:
    six, nine = events[6], events[9]
    return [
        *events[:6],
        replace(six, sealed=nine.sealed, fields=nine.fields),
        *events[7:9],
        replace(nine, sealed=six.sealed, fields=six.fields),
    ]


def stories_exchanged(events: list[Event]) -> list[Event]:
    six, seven = events[6], events[7]
    return [
        *events[:6],
        replace(six, sealed=seven.sealed, fields=seven.fields),
        replace(seven, sealed=six.sealed, fields=six.fields),
        *events[8:],
    ]


def as_is(change: Change, story: Story) -> Files:
    """Put events in other places as they are, under a new tree and checkpoint."""
    return rewritten(story.files, change(list(story.events)), lambda _: False)


def touched(change: Change, story: Story) -> Files:
    """Sign again what was changed, and leave what comes after."""
    events = change(list(story.events))
    moved = {seq for seq, one in enumerate(events) if one is not story.events[seq]}
    return rewritten(story.files, events, moved.__contains__)


def throughout(change: Change, story: Story) -> Files:
    """Sign everything again from the change on, with everybody's keys."""
    return rewritten(story.files, change(list(story.events)), lambda _: True)


def inserted(story: Story, *, throughout: bool) -> Files:
    """Put a new note between two events."""
    files, note = new_note(story, OWNER)
    events = [*story.events[:7], replace(note, time=story.events[6].time + 1), *story.events[7:]]
    return rewritten(files, events, lambda seq: throughout or seq == 7)


def written_by_another(story: Story) -> Files:
    """Put the same note by another member in the place of an event, its fields encrypted anew."""
    files, note = new_note(story, SECOND)
    events = [*story.events[:7], replace(note, time=story.events[7].time), *story.events[8:]]
    return rewritten(files, events, lambda _: True)


def new_note(story: Story, who: Identity) -> tuple[Files, Event]:
    """Return the files of the vault with a note at its end, and that event."""
    with opened(story, who) as vault:
        vault.append("bundle.noted", bundle=story.first, fields={"text": "the seal was whole"})
        return contents(vault.store), vault.event(vault.size - 1)


def key_files_exchanged(story: Story) -> Files:
    """Let each of two bundles' events name the other's key file, and sign all of it again."""
    one, two = story.events[3], story.events[5]
    files = dict(story.files)
    data = {3: dict(one.data), 5: dict(two.data)}
    data[3]["key_file"], data[5]["key_file"] = two.data["key_file"], one.data["key_file"]
    for event, other in ((one, two), (two, one)):
        files[key_file(event.bundle, other)] = files.pop(key_file(other.bundle, other))
    events = [replace(e, data=data[e.seq]) if e.seq in data else e for e in story.events]
    return rewritten(files, events, lambda _: True)


def key_file(bundle: bytes | None, event: Event) -> str:
    match event.data["key_file"]:
        case (bytes(digest), _, bytes(epoch)):
            assert bundle is not None
            return bundle_key_name(bundle, epoch, digest)
    raise AssertionError


# --- files on the medium --------------------------------------------------------------------------


def files_exchanged(names: Callable[[Story], tuple[str, str]], story: Story) -> Files:
    one, two = names(story)
    return {**story.files, one: story.files[two], two: story.files[one]}


def two_fields(story: Story) -> tuple[str, str]:
    six, seven = story.events[6].sealed, story.events[7].sealed
    assert six is not None
    assert seven is not None
    return fields_name(six.sha256), fields_name(seven.sha256)


def two_keys(story: Story) -> tuple[str, str]:
    one, two = story.events[3], story.events[5]
    return key_file(one.bundle, one), key_file(two.bundle, two)


def older(story: Story) -> Files:
    """Put the whole vault back as it was two events ago."""
    events = story.events[:-2]
    return rewritten(story.files, events, lambda _: False)


# --- events at the end ----------------------------------------------------------------------------


def opened(story: Story, who: Identity, *, now: int | None = None) -> Vault:
    clock = ticking(now if now is not None else story.events[-1].time)
    return open_vault(story.store(), who, clock=clock)


def back_dated(story: Story) -> Files:
    """Write an event with the time of a year ago."""
    vault = opened(story, OWNER, now=NOW - 365 * 86400)
    vault.append("bundle.noted", bundle=story.first, fields={"text": "she told me then"})
    return contents(vault.store)


def replayed(story: Story) -> Files:
    """Append an event of before as it is."""
    store = story.store()
    forge(store, SECOND, lambda _: [story.events[7].leaf])
    return contents(store)


def checkpoint_by_another(story: Story) -> Files:
    return rewritten(story.files, story.events, lambda _: False, signer=OWNER)


def checkpoint_by_nobody(story: Story) -> Files:
    return rewritten(story.files, story.events, lambda _: False, signer=OUTSIDER)


def another_branch(story: Story) -> Files:
    """Go on from two events ago with two other ones."""
    store = MemoryStore(older(story))
    with open_vault(store, OWNER, clock=ticking(story.events[-1].time)) as vault:
        for text in ("another", "history"):
            vault.append("bundle.noted", bundle=story.first, fields={"text": text})
    return contents(store)


def admits_then_acts(story: Story) -> Files:
    with opened(story, OWNER) as vault:
        admit(vault, THIRD, ["custodian"])
    with open_vault(vault.store, THIRD, clock=ticking(story.events[-1].time + 600)) as vault:
        seal(vault, b"brought by a stranger", title="third")
    return contents(vault.store)


def admitted_earlier(story: Story) -> Files:
    """Admit somebody, and lay the log down again as if it had been before all bundles."""
    with opened(story, OWNER) as vault:
        admit(vault, THIRD, ["custodian"])
        admission = vault.event(vault.size - 1)
    files = contents(vault.store)
    events = [*story.events[:3], replace(admission, time=story.events[2].time), *story.events[3:]]
    return rewritten(files, events, lambda _: True)


def removed(story: Story, *, doubtful_from: int | None = None) -> Files:
    with opened(story, OWNER) as vault:
        member = vault.state.members[SECOND.ed25519]
        remove(vault, member, cause="left", doubtful_from=doubtful_from)
    return contents(vault.store)


def acts_after_removal(story: Story) -> Files:
    store = MemoryStore(removed(story))
    later = story.events[-1].time + 600
    force(store, SECOND, "bundle.noted", {}, bundle=story.second, time=later)
    return contents(store)


def acts_before_removal(story: Story) -> Files:
    """Act after the removal, and lay the log down again as if it had been before."""
    files = acts_after_removal(story)
    log = Log(MemoryStore(files))
    log.refresh()
    *events, removal, act = (log.event(seq) for seq in range(log.size))
    return rewritten(files, [*events, replace(act, time=removal.time), removal], lambda _: True)


# --- what is inside -------------------------------------------------------------------------------


def note_with(lie: Callable[[pytest.MonkeyPatch], None], story: Story) -> Files:
    with opened(story, OWNER) as vault, pytest.MonkeyPatch.context() as patched:
        lie(patched)
        vault.append("bundle.noted", bundle=story.first, fields={"text": "what is this?"})
    return contents(vault.store)


def bundle_with(lie: Callable[[pytest.MonkeyPatch], None], story: Story) -> Files:
    with opened(story, OWNER) as vault, pytest.MonkeyPatch.context() as patched:
        lie(patched)
        seal(vault, b"one", bytes(70_000), title="a lie")
    return contents(vault.store)


def no_root(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("vault.draft.fields_root", lambda *_: bytes(32))


def no_items_root(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("vault.bundle.writing.items_root", lambda _: bytes(32))


def encrypted_to(recipients: Sequence[Identity | None], patched: pytest.MonkeyPatch) -> None:
    """Encrypt fields to these people, None being the readers whom it should be."""
    original = age.encrypt_bytes

    def encrypt(data: bytes, given: Sequence[Any]) -> bytes:
        people = [[one.keys.recipient] if one else given for one in recipients]
        return original(data, [one for some in people for one in some])

    patched.setattr("vault.draft.age.encrypt_bytes", encrypt)


def lying_item(values: Mapping[str, Any], patched: pytest.MonkeyPatch) -> None:
    """Say other things of the second item than are so."""

    def lying(number: int, given: Any, random: Any) -> tuple[Item, bytes]:
        item, record = items.make_item(number, given, random)
        if number == 1 and given.get("offset"):
            fields = tuple(
                Field(one.name, one.salt, values.get(one.name, one.value)) for one in item.fields
            )
            item, record = Item(number, fields), pack(format_fields(fields))
        return item, record

    patched.setattr(writing, "make_item", lying)


def two_of_one_name(story: Story) -> Files:
    with opened(story, OWNER) as vault, vault.seal({"title": "twins"}) as writer:
        for content in (b"this", b"that"):
            writer.add_stream("photo.jpg", len(content), io.BytesIO(content))
    return contents(vault.store)


def other_epoch_file(made: Callable[[NewEpoch], bytes], story: Story) -> Files:
    """Open an epoch whose file is not what the event says of it."""
    store = story.store()
    readers = [READER.keys]
    epoch = new_epoch(readers, (), os.urandom)
    epoch = NewEpoch(epoch.id, epoch.identity, made(epoch))
    clock = ticking(story.events[-1].time)
    with open_vault(store, OWNER, clock=clock) as vault, pytest.MonkeyPatch.context() as patched:
        patched.setattr(vault, "new_epoch", lambda *_, **__: epoch)
        another_epoch(vault)
    return contents(store)


def file_of(epoch: NewEpoch, *people: Identity) -> bytes:
    plaintext = format_epoch_file([(epoch.id, epoch.identity)])
    return age.encrypt_bytes(plaintext, [one.keys.recipient for one in people])


def false_rekeying(story: Story) -> Files:
    """Two readers encrypt something else again, confirm one another and delete the old files."""
    from vault.keyring import seal_to_epoch

    store = story.store()
    clock = ticking(story.events[-1].time)
    with open_vault(store, OWNER, clock=clock) as vault:
        admit(vault, OWNER, ["owner", "custodian", "reader"])
        admit(vault, THIRD, ["reader"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "vault.rekeying.writing.seal_to_epoch",
            lambda plaintext, epoch: seal_to_epoch(b"nothing of it", epoch),
        )
        for name in ("writing._read_back", "confirming._Look.at", "pruning._Look.at"):
            patched.setattr(f"vault.rekeying.{name}", lambda *_: [])
        for who, verb in ((OWNER, rekey), (THIRD, confirm), (OWNER, prune)):
            with open_vault(store, who, clock=clock) as vault:
                verb(vault)
    left = {one.place for one in audit(store).findings if one.code == "pending-deletion"}
    return {name: data for name, data in contents(store).items() if name not in left}


# --- from the start -------------------------------------------------------------------------------


def another_vault(story: Story) -> Files:
    """Make the vault again with the same people, and other evidence."""
    del story
    with new_vault(clock=ticking()) as vault:
        seal(vault, b"something else", title="first")
    return contents(vault.store)


def said_to_be_read(story: Story) -> Files:
    """Say of a bundle that it is damaged, which is as it was."""
    with opened(story, SECOND) as vault:
        vault.append("bundle.checked", bundle=story.first, data={"result": "altered"})
    return contents(vault.store)


def made_up(story: Story) -> Files:
    with opened(story, OWNER) as vault:
        seal(vault, b"a document that I wrote yesterday", title="found in the archive")
    return contents(vault.store)
