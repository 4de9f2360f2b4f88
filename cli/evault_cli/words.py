"""The words for what the library names by stable codes: events, rules, findings, anchors."""

from __future__ import annotations

from typing import Final

__all__ = ["ANCHORS", "BLIND", "CHANGES", "EVENTS", "FINDINGS", "REMARKS", "RULES", "finding"]

EVENTS: Final = {
    "vault.created": "vault made",
    "vault.noted": "note on the vault",
    "vault.policy": "policy changed",
    "vault.rekeyed": "keys replaced",
    "vault.upgraded": "format upgraded",
    "member.admitted": "member admitted",
    "member.removed": "member removed",
    "epoch.opened": "readers' key made",
    "history.granted": "earlier bundles opened to a reader",
    "bundle.sealed": "sealed",
    "bundle.opened": "opened",
    "bundle.noted": "note",
    "bundle.checked": "checked",
    "bundle.disclosed": "disclosed",
    "bundle.destroyed": "destroyed",
    "destruction.requested": "destruction requested",
    "destruction.approved": "destruction approved",
    "custody.released": "released to another holder",
    "custody.accepted": "accepted by the new holder",
    "custody.declined": "declined",
    "custody.recalled": "release taken back",
    "custody.receipted": "receipt taken in",
    "custody.assumed": "taken over by an owner",
    "custody.interrupted": "custody interrupted",
    "hold.placed": "hold placed",
    "hold.lifted": "hold lifted",
    "consent.recorded": "consent recorded",
    "checkpoint.attested": "outside statement taken in",
    "recovery.drilled": "recovery rehearsed",
}

REMARKS: Final = {
    "assumed": "the holder changed without the signature of the one before",
    "before-the-last": "its clock says a time before that of the event above it",
    "breaks-a-rule": "it breaks a rule of custody, and changes nothing",
    "disputed": "disputed: a later removal calls this key's events doubtful from here on",
    "interrupted": "nobody can answer for the bundle until it is returned",
    "late": "recorded late",
}

RULES: Final = {
    "bundle-once": "the bundle is there already",
    "bundle-unknown": "there is no such bundle",
    "clock": "its time is finer than the vault's policy",
    "closes": "it does not carry the checkpoint that it follows",
    "destroyed": "the bundle was destroyed",
    "doubtful-from": "doubt can't begin in the future",
    "epoch-due": "a new readers' key must be made first",
    "epoch-history": "the new readers' key may not open earlier bundles",
    "epoch-newest": "it is not encrypted to the newest readers' key",
    "epoch-readers": "the readers' key is not for exactly the readers",
    "epoch-recipient": "the readers' key was used before",
    "epoch-unique": "the readers' key goes by a name used before",
    "epoch-unknown": "there is no such readers' key",
    "file-once": "a private file of it was logged before",
    "genesis-actor": "the first event is not by the one it names",
    "genesis-once": "a vault is made once",
    "history-reader": "only a reader can be given earlier bundles",
    "hold": "the bundle is under a hold",
    "hold-once": "that hold is there already",
    "hold-unknown": "there is no such hold",
    "holder": "only the holder of the bundle may",
    "holder-answers": "the holder is still there to answer",
    "interrupted": "custody of the bundle is interrupted",
    "interruption": "custody is in that state already",
    "key-id-collision": "the key can't be told from another member's",
    "key-reused": "the key belongs to another member",
    "last-owner": "the last owner can't go",
    "last-reader": "the last reader can't go",
    "member-unknown": "there is no such member",
    "not-a-member": "the identity is not a member of this vault",
    "other-vault": "it belongs to another vault",
    "own-request": "one's own request can't be approved",
    "part-sizes": "its parts have sizes that no bundle has",
    "possession": "the keys are not proved to be its own",
    "prev": "it does not follow the bundle's last event",
    "reader-limit": "there are as many readers as there can be",
    "recipient": "only the one it was released to may",
    "rehash": "whoever accepts must have checked the digests",
    "release-expired": "the release has expired",
    "release-open": "the bundle is released already",
    "release-to": "it can be released to another member only",
    "release-unknown": "there is no such release",
    "removed-key-returns": "a removed key never returns",
    "removed-member": "the identity was removed from this vault",
    "request-unknown": "there is no such request",
    "role": "the identity does not have the role for it",
    "second-owner": "another owner must do that",
    "sequence": "it is out of its place",
    "two-person": "two persons are needed for it",
    "version": "there is no such version",
    "attested-size": "the statement is about a size that the log did not have",
}

_COPY: Final = "The cause is not known. Put the file back from a good copy of this vault."
_PEOPLE: Final = "No copy repairs that: ask the people concerned, and keep this vault as it is."

FINDINGS: Final = {
    "checkpoint-damaged": ("The checkpoint can't be read.", _COPY),
    "checkpoint-missing": ("The checkpoint is missing.", _COPY),
    "checkpoint-signature": ("The checkpoint is not as its signer signed it.", _COPY),
    "checkpoint-signer": ("The checkpoint is signed by nobody who may.", _PEOPLE),
    "checkpoint-unchecked": (
        "Who should have signed the checkpoint could not be found out.",
        "Put back what else is named here first, then verify again.",
    ),
    "custody-incomplete": (
        "Custody could be followed only up to the first event that can't be read.",
        "Put back what else is named here first, then verify again.",
    ),
    "attested-root": (
        "An attestation is recorded of another log than this one.",
        _PEOPLE,
    ),
    "checkpoint-not-ours": (
        "The checkpoint given does not fit this log, and none of its members signed that one.",
        "Ask where the file comes from; it neither proves nor disproves anything.",
    ),
    "digest": ("Files differ from what was signed.", _COPY),
    "disputed": (
        "Events are disputed: a later removal calls their key doubtful from there on.",
        "Weigh them with the people concerned.",
    ),
    "entries-damaged": ("A file of the log's entries can't be read.", _COPY),
    "entries-missing": ("A file of the log's entries is missing.", _COPY),
    "entry-altered": ("Entries of the log differ from what was signed.", _COPY),
    "event-malformed": ("An event was signed that has no sound form.", _PEOPLE),
    "event-signature": ("An event is in the log that its author did not sign.", _PEOPLE),
    "file-disputed": ("Two events say different things of one file.", _PEOPLE),
    "fork": (
        "The log is another one than was seen before: two histories were signed. A restored "
        "backup that was written to, a crash, or a rewriting can be the reason.",
        _PEOPLE,
    ),
    "format": ("The file FORMAT is not as it should be.", _COPY),
    "head": ("An event does not continue what stands before it.", _PEOPLE),
    "leftover": (
        "Files that no event calls for: left over from work that was interrupted, or put there.",
        "They do no harm.",
    ),
    "missing": ("Files are missing.", _COPY),
    "not-a-file": ("Something stands where only a file may: a link or a device.", _COPY),
    "not-decryptable": ("A file is as it was signed, and does not decrypt.", _PEOPLE),
    "not-remembered": (
        "This machine could not remember what was found.",
        "Look at the place and the permissions of EVAULT_HOME.",
    ),
    "pending-commit": (
        "A step was signed, and not finished.",
        "`evault doctor` finishes it, and so does the next one who writes.",
    ),
    "pending-deletion": (
        "Files of a destroyed bundle are still there.",
        "The next one who writes deletes them.",
    ),
    "pending-torn": (
        "A step was interrupted before it was signed.",
        "The next one who writes clears it away.",
    ),
    "pin-damaged": (
        "What this machine remembered of the vault can't be read.",
        "Delete that file; the machine remembers anew from now on.",
    ),
    "private-contents": ("What is inside a file is not what its event says.", _PEOPLE),
    "rollback": (
        "The log is older than what was seen before. An older copy in the place of the newest, "
        "or a removal of what came since, can be the reason.",
        "Look for the newer copy, and keep this one as it is.",
    ),
    "root": ("Neither the log's entries nor its tree are those that were signed.", _COPY),
    "size": ("Files do not have the size that was signed.", _COPY),
    "tile-damaged": ("A file of the log's tree differs from what was signed.", _COPY),
    "tile-missing": ("A file of the log's tree is missing.", _COPY),
    "unreadable": (
        "Something can't be read: the medium reports a fault, or it is not permitted.",
        "Copy what is on the medium to another now, and verify the copy.",
    ),
    "vault-id": ("This is another vault than the id given says.", "Look for the right one."),
    "version": (
        "Events are of a later version than this evault reads.",
        "Verify again with a newer evault.",
    ),
}


def finding(code: str) -> tuple[str, str]:
    """Return what a finding's code means, and what to do."""
    if code in FINDINGS:
        return FINDINGS[code]
    if code.startswith("rule-"):
        rule = RULES.get(code.removeprefix("rule-"), code.removeprefix("rule-"))
        return f"An event breaks a rule of custody: {rule}.", _PEOPLE
    if code.startswith("private-"):
        return FINDINGS["private-contents"]
    return f"Something was found that this evault has no words for ({code}).", _PEOPLE


ANCHORS: Final = {
    "vault-id": "the vault id",
    "pin": "what this machine saw last",
    "checkpoint": "a checkpoint kept elsewhere",
    "cosigners": "cosigners",
    "timestamps": "time stamps",
}

BLIND: Final = (
    "Without a reader's identity nobody can see names, fields, or that the encrypted files open, "
    "and to whom; --deep looks at these as well."
)

CHANGES: Final = {
    "absolute": "it began at the root",
    "characters": "it had characters that not every system takes",
    "collision": "another name was the same, but for case",
    "device": "Windows knows a device of that name",
    "empty": "it was empty",
    "parent": "it led out of its folder",
    "too-long": "it was too long",
    "trailing": "it ended in a dot or a space",
}
