"""A real vault with people in every role, and events forced into its log by their own keys.

:func:`force` does what somebody with other software and a member's key can do: the event is well
formed and signed, its fields are committed to and encrypted to the newest epoch, the tree is sound
and the checkpoint is signed by the same key. Only a rule of custody stands against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import pytest

from tests.bundles.scene import NOW, contents, new_vault, open_vault, seal, seeded
from tests.custody.histories import person
from tests.log.notes import forge, read
from vault import age
from vault.auditing import audit
from vault.codec import Packable
from vault.commitment import FIELDS_LABEL, fields_root
from vault.custody import Policy
from vault.draft import Draft, commit_event_fields
from vault.errors import CustodyError
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    Event,
    FieldsHeader,
    SealedFile,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
)
from vault.identity import Identity, PublicKeys
from vault.keyring import NewEpoch, new_epoch
from vault.layout import (
    CHECKPOINT,
    FORMAT_CONTENT,
    FORMAT_NAME,
    bundle_key_name,
    epoch_name,
    fields_name,
    history_name,
    part_name,
    rekey_name,
)
from vault.log.files import tile_name
from vault.rekeying import confirm, prune, rekey
from vault.storage import MemoryStore
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint
from vault.tlog.merkle import MemoryTree, leaf_hash
from vault.tlog.tiles import ENTRIES, format_entry_bundle, new_tiles, tile_data
from vault.vault import Vault

PEOPLE: Final[dict[str, Identity]] = {
    "founder": person(1),
    "holder": person(2),
    "other": person(3),
    "reader": person(4),
    "owner": person(5),
    "custodian owner": person(6),
    "custodian reader": person(7),
    "owner reader": person(8),
    "removed": person(10),
    "stranger": person(11),
    "newcomer": person(12),
}
"""Named by their roles; ``founder`` has all, ``holder`` and ``other`` are custodians."""

ROLES: Final[dict[str, frozenset[str]]] = {
    "founder": frozenset(("custodian", "owner", "reader")),
    "holder": frozenset(("custodian",)),
    "other": frozenset(("custodian",)),
    **{
        name: frozenset(name.split())
        for name in ("reader", "owner", "custodian owner", "custodian reader", "owner reader")
    },
}

Data = dict[str, Packable]


def sha256(data: bytes) -> bytes:
    """Return a digest."""
    return hashlib.sha256(data).digest()


def write(store: MemoryStore, files: Mapping[str, bytes]) -> None:
    """Put files into a store, past what a writer may do."""
    for name, content in files.items():
        store._put(name, content)


def force(
    store: MemoryStore,
    actor: Identity,
    type_name: str,
    data: Mapping[str, Packable],
    *,
    bundle: bytes | None = None,
    files: Mapping[str, bytes] = {},
    epoch: NewEpoch | None = None,
    **changes: Any,
) -> Event:
    """Append one event whatever the rules say; ``changes`` are made to it before it is signed.

    ``files`` are those that its data names, ``epoch`` the one that it opens.
    """
    log = read(store)
    state = log.state
    genesis = type_name == "vault.created"
    if epoch is None:
        assert state.newest is not None
        to, recipient = state.newest, state.epochs[state.newest].recipient
    else:
        to, recipient = epoch.id, epoch.recipient
    header = FieldsHeader(actor.ed25519, type_name, None if genesis else state.vault, bundle)
    fields = commit_event_fields(type_name, {}, seeded(log.size))
    sealed = age.encrypt_bytes(
        format_fields_file(header, fields), [age.HybridRecipient.from_bytes(recipient)]
    )
    known = state.bundles.get(bundle) if bundle is not None else None
    follows = EVENT_TYPES[type_name].about_bundle and type_name != "bundle.sealed"
    values: dict[str, Any] = {
        "seq": log.size,
        "type": type_name,
        "actor": actor.ed25519,
        "time": NOW,
        "data": dict(data),
        "vault": state.vault,
        "head": log.root,
        "bundle": bundle,
        "prev": (known.last if known is not None else bytes(32)) if follows else None,
        "fields": fields_root(FIELDS_LABEL, fields),
        "sealed": SealedFile(sha256(sealed), len(sealed), to),
        "closes": log.raw if state.last_actor != actor.ed25519 else None,
        **changes,
    }
    if "sealed" not in changes:
        write(store, {fields_name(sha256(sealed)): sealed})
    write(store, files)
    body = format_body(Event(**values))
    event = parse_event(format_event(body, actor.sign_ed25519(EVENT_LABEL + body)))
    forge(store, actor, lambda _: [event])
    return event


def begin(leaf: bytes) -> MemoryStore:
    """Return a store with a log of one event, which its author signed as the founder would."""
    store = MemoryStore({FORMAT_NAME: FORMAT_CONTENT})
    tree = MemoryTree([leaf_hash(leaf)])
    for tile in new_tiles(0, 1):
        data = format_entry_bundle([leaf]) if tile.level == ENTRIES else tile_data(tile, tree)
        write(store, {tile_name(tile): data})
    head = Checkpoint(f"evidence-vault/{sha256(leaf).hex()}", 1, tree.root())
    write(store, {CHECKPOINT: sign_checkpoint(head, PEOPLE["founder"])})
    return store


# --- the vault ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """An event that somebody (a name in PEOPLE) tries to write.

    ``also`` are the codes of other findings that come with it when it is forced; ``changes`` what
    no writer of ours could be brought to write, so that it can only be forced.
    """

    who: str
    type: str
    data: Data = field(default_factory=dict)
    bundle: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    epoch: NewEpoch | None = None
    also: frozenset[str] = frozenset()
    changes: dict[str, Any] = field(default_factory=dict)


class Desk:
    """A vault in memory, and everybody's hands."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.store = MemoryStore(files)
        with open_vault(self.store) as vault:
            self.bundles = list(vault.state.bundles)
            self.size = vault.size

    @property
    def bundle(self) -> bytes:
        """The first bundle, which ``holder`` sealed."""
        return self.bundles[0]

    def open(self, who: str) -> Vault:
        """Open the vault as somebody."""
        return open_vault(self.store, PEOPLE[who])

    def draft(self, vault: Vault, attempt: Attempt) -> Draft:
        """Return the draft of an attempt."""
        assert not attempt.changes
        return vault.draft(
            attempt.type,
            bundle=attempt.bundle,
            data=attempt.data,
            epoch=attempt.epoch,
            files=attempt.files,
        )

    def write(self, *attempts: Attempt) -> int:
        """Write events of one actor in one commit; return the number of the last."""
        with self.open(attempts[0].who) as vault:
            events = vault.commit(lambda: [self.draft(vault, one) for one in attempts])
        self.size = events[-1].seq + 1
        return events[-1].seq

    def does(self, who: str, type_name: str, bundle: bytes | None = None, **data: Any) -> int:
        """Let somebody write an event; return its number."""
        return self.write(Attempt(who, type_name, data, bundle))

    def force(self, attempt: Attempt) -> Event:
        """Force an attempt into the log."""
        event = force(
            self.store,
            PEOPLE[attempt.who],
            attempt.type,
            attempt.data,
            bundle=attempt.bundle,
            files=attempt.files,
            epoch=attempt.epoch,
            **attempt.changes,
        )
        self.size += 1
        return event

    # --- what events name -------------------------------------------------------------------

    def readers(self) -> list[PublicKeys]:
        """Return the keys of the readers."""
        with open_vault(self.store) as vault:
            return [vault.state.members[key].keys for key in vault.state.active("reader")]

    def opening(self, who: str, *, history: bool = False, **changes: Any) -> Attempt:
        """Return the opening of an epoch for the readers that there are."""
        readers = self.readers()
        epoch = new_epoch(readers, (), seeded(self.size))
        data: Data = {
            "epoch": epoch.id,
            "recipient": epoch.recipient,
            "file": (epoch.sha256, len(epoch.data)),
            "readers": tuple(sorted(reader.ed25519 for reader in readers)),
            "history": history,
            **changes,
        }
        return Attempt(who, "epoch.opened", data, None, {epoch_name(epoch.id): epoch.data}, epoch)

    def admission(self, who: str, whom: str, roles: str, **changes: Any) -> Attempt:
        """Return an admission."""
        keys = PEOPLE[whom].proven.to_data()
        data = {"keys": keys, "roles": tuple(sorted(roles.split())), "history": True, **changes}
        return Attempt(who, "member.admitted", data)

    def sealing(self, who: str, *, empty: bool = False, **changes: Any) -> Attempt:
        """Return the sealing of a bundle with nothing in it, or of a file of no bytes."""
        bundle, epoch = b"\xb0" * 16, self.newest
        with open_vault(self.store) as vault:
            recipient = age.HybridRecipient.from_bytes(vault.state.epochs[epoch].recipient)
        part, key = (age.encrypt_bytes(b"nothing", [recipient]) for _ in "12")
        part = b"" if empty else part
        data: Data = {
            "key": sha256(key + b"recipient"),
            "key_file": (sha256(key), len(key), epoch),
            "parts": ((sha256(part), len(part)),),
            "items": bytes(32),
            **changes,
        }
        files = {bundle_key_name(bundle, epoch, sha256(key)): key, part_name(bundle, 0): part}
        return Attempt(who, "bundle.sealed", data, bundle, files)

    @property
    def newest(self) -> bytes:
        """The id of the newest epoch."""
        return self.epochs[-1]

    @property
    def epochs(self) -> list[bytes]:
        """The ids of the epochs, the oldest first."""
        with open_vault(self.store) as vault:
            return list(vault.state.epochs)

    def rekeying(self, who: str, stage: str, **changes: Any) -> Attempt:
        """Return a stage of a rekeying that says nothing of use."""
        manifest = f"{self.size}: no manifest\n".encode()
        file = (sha256(manifest), len(manifest))
        data: Data = {"stage": stage, "epoch": self.newest, "manifest": file, **changes}
        files = {} if "manifest" in changes else {rekey_name(file[0]): manifest}
        return Attempt(who, "vault.rekeyed", data, None, files)

    def granting(self, who: str, whom: str, *epochs: bytes) -> Attempt:
        """Return a grant of history."""
        content = age.encrypt_bytes(b"nothing", [PEOPLE[whom].keys.recipient])
        digest = sha256(content)
        data: Data = {
            "reader": PEOPLE[whom].ed25519,
            "epochs": tuple(sorted(epochs)),
            "file": (digest, len(content)),
        }
        return Attempt(who, "history.granted", data, None, {history_name(digest): content})

    def attesting(self, who: str, size: int) -> Attempt:
        """Return an attestation of the log as it was at a size."""
        with open_vault(self.store) as vault:
            root = vault.tree.root(size) if size <= vault.size else bytes(32)
        token = b"%d: token\n" % size
        digest = sha256(token)
        data: Data = {
            "size": size,
            "root": root,
            "kind": "rfc3161",
            "file": (digest, len(token)),
        }
        return Attempt(who, "checkpoint.attested", data, None, {f"foreign/{digest.hex()}": token})

    def receipting(self, who: str) -> Attempt:
        """Return the taking in of a receipt."""
        receipt = b"%d: receipt\n" % self.size
        digest = sha256(receipt)
        data: Data = {"receipt": (digest, len(receipt))}
        files = {f"foreign/{digest.hex()}": receipt}
        return Attempt(who, "custody.receipted", data, self.bundle, files)

    def rekeyed(self, writer: str, *, confirmed: str = "", pruned: str = "") -> Data:
        """Encrypt all again to the newest epoch; return the data of the manifest's events."""
        with self.open(writer) as vault:
            (written,) = rekey(vault).events
        for who, step in ((confirmed, confirm), (pruned, prune)):
            if who:
                with self.open(who) as vault:
                    assert step(vault).events
        with open_vault(self.store) as vault:
            self.size = vault.size
        return {key: value for key, value in written.data.items() if key != "stage"}

    def admit(self, people: Mapping[str, frozenset[str]]) -> None:
        """Let the founder admit people, readers first, and open an epoch if there are any."""
        people = dict(sorted(people.items(), key=lambda one: "reader" not in one[1]))
        readers = self.readers()
        readers += [PEOPLE[who].keys for who, roles in people.items() if "reader" in roles]
        with self.open("founder") as vault:
            earlier = vault.keyring.earlier(vault.state)
        epoch = new_epoch(readers, earlier, seeded(self.size))
        admissions = [self.admission("founder", who, " ".join(r)) for who, r in people.items()]
        if all("reader" not in roles for roles in people.values()):
            self.write(*admissions)
            return
        data: Data = {
            "epoch": epoch.id,
            "recipient": epoch.recipient,
            "file": (epoch.sha256, len(epoch.data)),
            "readers": tuple(sorted(reader.ed25519 for reader in readers)),
            "history": True,
        }
        files = {epoch_name(epoch.id): epoch.data}
        opened = Attempt("founder", "epoch.opened", data, None, files, epoch)
        self.write(*(replace(one, epoch=epoch) for one in admissions), opened)


@cache
def _house(two: bool) -> dict[str, bytes]:
    founder = PEOPLE["founder"]
    policy = Policy(two_person_destroy=two)
    vault = new_vault(identity=founder, readers=(founder, PEOPLE["reader"]), policy=policy)
    desk = Desk(contents(vault.store))
    desk.admit({who: roles for who, roles in ROLES.items() if who not in ("founder", "reader")})
    desk.admit({"removed": frozenset(("custodian",))})
    desk.does("founder", "member.removed", member=PEOPLE["removed"].ed25519)
    for content in (b"first", b"second"):
        seal(desk.open("holder"), content)
    return contents(desk.store)


def house(*, two: bool = False) -> Desk:
    """Return a vault with all of PEOPLE but the stranger and the newcomer, and two bundles, which
    ``holder`` sealed.
    """
    return Desk(_house(two))


@cache
def _cottage() -> dict[str, bytes]:
    vault = new_vault(identity=PEOPLE["owner"], readers=(PEOPLE["reader"],))
    return contents(vault.store)


def cottage() -> Desk:
    """Return a vault with an owner, who does not read, and a reader: nobody else."""
    return Desk(_cottage())


def old_vault(genesis: bytes) -> Desk:
    """Return the vault that begins with this event of the founder's, who is all there is."""
    desk = Desk(contents(begin(genesis)))
    desk.admit({"founder": ROLES["founder"]})
    return desk


# --- what becomes of it -------------------------------------------------------------------------


def refused(desk: Desk, rule: str, attempt: Attempt) -> None:
    """Check that a vault refuses to write an attempt, by this rule, and writes nothing at all."""
    before = dict(desk.store._files)
    with desk.open(attempt.who) as vault, pytest.raises(CustodyError) as caught:
        vault.commit(lambda: [desk.draft(vault, attempt)])
    assert (caught.value.rule, caught.value.event) == (rule, attempt.type)
    assert desk.store._files == before


def found(desk: Desk, rule: str, attempt: Attempt) -> Event:
    """Check that an audit without any key finds an attempt that is forced into the log: what was
    signed contradicts itself, in this event, by this rule. Return the event.
    """
    place = f"event {desk.size}"
    event = desk.force(attempt)
    report = audit(desk.store)
    assert report.verdict == "contradicted"
    bad = [finding for finding in report.findings if finding.severity != "note"]
    assert {one.code for one in bad} == {f"rule-{rule}", *attempt.also}
    assert [one.place for one in bad if one.code == f"rule-{rule}"] == [place]
    if rule != "epoch-due":  # which no event breaks, but the end of the log
        rules = [one for one in bad if one.code.startswith("rule-")]
        assert {(one.place, one.detail.partition(":")[0]) for one in rules} == {
            (place, attempt.type)
        }
    return event


def forbidden(desk: Desk, rule: str, attempt: Attempt) -> Event:
    """Check that an attempt is refused, and found if it is forced."""
    refused(desk, rule, attempt)
    return found(desk, rule, attempt)
