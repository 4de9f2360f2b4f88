"""The words for what the library names by stable codes: events, rules, findings, anchors."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ADVICE",
    "ANCHORS",
    "BLIND",
    "CHANGES",
    "CONSENT",
    "CONTINUED",
    "EVENTS",
    "FINDINGS",
    "RELATIONS",
    "RULES",
    "SHARES",
    "finding",
]

EVENTS: Final = {
    "vault.created": "vault made",
    "vault.noted": "note on the vault",
    "vault.policy": "policy changed",
    "vault.rekeyed": "keys replaced",
    "vault.upgraded": "format upgraded",
    "member.admitted": "member admitted",
    "member.removed": "member removed",
    "epoch.opened": "readers' key made",
    "epoch.shredded": "readers' keys destroyed",
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

RULES: Final = {
    "bundle-once": "the bundle is there already",
    "bundle-unknown": "there is no such bundle",
    "clock": "its time is finer than the vault's policy",
    "closes": "it does not carry the checkpoint that it follows",
    "consent-recipient": "consent is limited to certain recipients",
    "consent-use": "consent is limited to certain uses",
    "consent-withdrawn": "consent was withdrawn or refused",
    "destroyed": "the bundle was destroyed",
    "doubtful-from": "doubt can't begin in the future",
    "epoch-due": "a new readers' key must be made first",
    "epoch-held": "a readers' key that is to stay opens one that is to go",
    "epoch-history": "the new readers' key may not open earlier bundles",
    "epoch-needed": "a reader would lose other readers' keys that stay",
    "epoch-newest": "it is not encrypted to the newest readers' key",
    "epoch-readers": "the readers' key is not for exactly the readers",
    "epoch-recipient": "the readers' key was used before",
    "epoch-unique": "the readers' key goes by a name used before",
    "epoch-unknown": "there is no such readers' key",
    "file-once": "a private file of it was logged before",
    "genesis-actor": "the first event is not by the one it names",
    "genesis-once": "a vault is made once",
    "history-closed": "what is closed to that reader is closed to you as well",
    "history-open": "nothing of it is closed to that reader",
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
    "policy-loosened": "what needs two persons can't be loosened to one",
    "possession": "the keys are not proved to be its own",
    "prev": "it does not follow the bundle's last event",
    "reader-limit": "there are as many readers as there can be",
    "recipient": "only the one it was released to may",
    "rehash": "whoever accepts must have checked the digests",
    "rekey-once": "that was done already",
    "rekey-unconfirmed": "no reader has confirmed the new files",
    "rekey-unfinished": "what the key opens is not yet encrypted again, confirmed and pruned",
    "rekey-unknown": "there is no such list of new files",
    "release-expired": "the release has expired",
    "release-open": "the bundle is released, and that waits for an answer",
    "release-to": "it can be released to another member only",
    "release-unknown": "there is no such release",
    "removed-key-returns": "a removed key never returns",
    "removed-member": "the identity was removed from this vault",
    "request-unknown": "there is no such request",
    "role": "the identity does not have the role for it",
    "second-reader": "another reader must do that",
    "second-owner": "another owner must do that",
    "sequence": "it is out of its place",
    "two-person": "two persons are needed for it",
    "version": "there is no such version",
    "attested-size": "the statement is about a size that the log did not have",
}

_ON_PAPER: Final = "Compare it with the paper, word for word."
_OTHERS: Final = "Use sheets with the same fingerprint and the same two first words."

SHARES: Final = {
    "checksum": _ON_PAPER,
    "count": _ON_PAPER,
    "digest": _OTHERS,
    "fingerprint": _OTHERS,
    "numbers": _ON_PAPER,
    "other-split": _OTHERS,
    "other-threshold": _OTHERS,
    "repeated": "Use another sheet.",
    "too-few": "Name a file for each of the others with --share FILE, or type them at a terminal.",
    "word": _ON_PAPER,
}
"""What to do about a share that can't be used."""

CONSENT: Final = {
    "given": "given",
    "limited": "given, with limits",
    "not asked": "not asked for",
    "not recorded": "nothing is recorded",
    "refused": "refused",
    "sealed": "sealed to this identity",
    "withdrawn": "withdrawn",
}
"""How consent stands."""

_CHAIN: Final = "`evault custody` shows how it stands."
_HOLDS: Final = "`evault custody` shows its holds."
_NEW_KEYS: Final = "They make a new identity, `evault identity new`, and send you its card."
_ABOVE: Final = "or name with --authority what stands above consent, such as a court's order."
ADVICE: Final = {
    "consent-recipient": "Hand it to one of those, " + _ABOVE,
    "consent-use": "Say with --use which of them it is for, " + _ABOVE,
    "consent-withdrawn": "Ask those whose consent it is, " + _ABOVE,
    "destroyed": "There is nothing left to do it to; `evault custody` shows what is on record.",
    "epoch-needed": "`evault rekey VAULT --shred-epoch EPOCH` says what has to be done first, and "
    "destroys those together that open one another.",
    "doubtful-from": "Give the number of an event that is in the log: `evault show` says how many "
    "there are, counted from 0.",
    "history-closed": "Ask a reader to whom it is open.",
    "history-open": "Nothing that you can open is closed to them.",
    "history-reader": "Admit them with --role reader first.",
    "key-id-collision": _NEW_KEYS,
    "key-reused": "Each identity has keys of its own. " + _NEW_KEYS,
    "last-owner": "Make another member an owner first: `evault admit VAULT CARD --role owner`.",
    "last-reader": "Admit another reader first, or nobody could open what is sealed from now on: "
    "`evault admit VAULT CARD --role reader`.",
    "own-request": "Another custodian approves it, or an owner.",
    "possession": "Ask for the card again.",
    "removed-key-returns": _NEW_KEYS,
    "reader-limit": "Remove a reader, or take the role from one, first.",
    "request-unknown": "It was asked for again since, or never: `evault custody` shows which.",
    "second-owner": "Have it done by that owner, on their own machine.",
    "hold": "`evault custody` shows its holds; `evault hold lift` ends one, with authority.",
    "hold-once": _HOLDS,
    "hold-unknown": _HOLDS,
    "holder": "Have it done by the holder, whom `evault custody` names. If that one can't, an "
    "owner assumes custody first (`evault assume VAULT BUNDLE --authority TEXT --reason TEXT`).",
    "holder-answers": "Ask the holder to release it. Custody is assumed once the holder was "
    "removed, or custody was interrupted.",
    "interrupted": "Record its return first, `evault interrupt VAULT BUNDLE --cause returned "
    "--reason TEXT`; or an owner assumes custody, `evault assume VAULT BUNDLE --authority TEXT "
    "--reason TEXT`.",
    "interruption": _CHAIN,
    "recipient": "`evault custody` names the one to whom it was released.",
    "release-expired": "Ask the holder to release it again.",
    "release-open": "Recall it first (`evault recall VAULT BUNDLE`), or wait until it is accepted "
    "or declined.",
    "release-to": "Name a member other than yourself; `evault show` lists them, and `evault admit` "
    "adds one.",
    "release-unknown": "It was never released, or was accepted, declined or recalled since: "
    "`evault custody` shows which.",
}
"""What to do about an event that a rule forbids, where it is not to ask who may."""

_COPY: Final = "The cause is not known. Put the file back from a good copy of this vault."
_PEOPLE: Final = "No copy repairs that: ask the people concerned, and keep this vault as it is."

_TAKE_OVER: Final = "an owner makes a vault that takes over: `evault init NEW --continues OLD`."

FINDINGS: Final = {
    "checkpoint-damaged": ("The checkpoint can't be read.", _COPY),
    "checkpoint-missing": ("The checkpoint is missing.", _COPY),
    "checkpoint-signature": ("The checkpoint is not as its signer signed it.", _COPY),
    "checkpoint-signer": (
        "The newest event, and so the checkpoint, is by a key that is not on the roster.",
        _PEOPLE,
    ),
    "checkpoint-unchecked": (
        "Who should have signed the checkpoint could not be found out.",
        "Put back what else is named here first, then verify again.",
    ),
    "consent": (
        "A bundle was opened or handed on although consent, as it stood then, did not cover it.",
        "Ask who did it by what authority, and record the answer: `evault note`.",
    ),
    "custody-incomplete": (
        "Custody could be followed only up to the first event that can't be read.",
        "Put back what else is named here first, then verify again.",
    ),
    "attested-root": (
        "An attestation is recorded of another log than this one.",
        _PEOPLE,
    ),
    "before-the-last": (
        "Events claim a time before that of the event that they follow. Clocks differ; and a time "
        "can be set. Their order in the log is certain all the same.",
        "Ask whose clock was wrong, and record the answer: `evault note`.",
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
    "file-disputed": (
        "Two events log different bytes under one name. A fault of software can be the reason.",
        _PEOPLE,
    ),
    "fork": (
        "The log does not go on from what was seen before: from one past, two histories were "
        "signed. A backup that was restored and written to, copies on two devices that both were, "
        "or a crash can be the reason; a rewriting looks the same.",
        "Keep both copies, and write to neither. Find out which is the newer, and what only the "
        "other one has; then " + _TAKE_OVER,
    ),
    "format": ("The file FORMAT is not as it should be.", _COPY),
    "head": ("An event does not continue what stands before it.", _PEOPLE),
    "history-claim": (
        "It is not shown that an owner of the old vault made this one. Anybody can claim to "
        "continue a vault.",
        "Ask an owner of the old vault whether this one takes over.",
    ),
    "history-fork": (
        "The old vault has another past than this one says. A copy of it that was written to apart "
        "from the one that was continued can be the reason.",
        "Keep every copy of the old vault, and look for the one that was continued.",
    ),
    "history-none": (
        "This vault does not say that it continues any other.",
        "Look whether you named the right two.",
    ),
    "history-other": (
        "The old vault that was given is not the one that this one continues.",
        "`evault show` says which one that is.",
    ),
    "history-short": (
        "The copy given of the old vault is older than what this one continues.",
        "Look for a newer copy of it.",
    ),
    "history-unread": (
        "The log of the old vault can't be read.",
        "Verify that vault by itself, and put it back from a good copy.",
    ),
    "history-went-on": (
        "The old vault went on after this one took over: there are two lines now, each signed. "
        "That is usual where this one began from a backup while the other copy was still in use.",
        "Keep both, and tell those who rely on one of them of the other.",
    ),
    "leftover": (
        "Files that no event calls for: left over from work that was interrupted, or put there.",
        "They do no harm.",
    ),
    "manifest": (
        "A list of files that were encrypted again contradicts what the log says of them.",
        _PEOPLE,
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
        "Files are still there that were to be deleted: of a destroyed bundle, or replaced by new "
        "ones.",
        "The next one who writes deletes those of a bundle, and so does `evault doctor`; a reader "
        "deletes those that were replaced, `evault rekey VAULT --prune`.",
    ),
    "pending-forbidden": (
        "What waits to become the log's next step breaks its rules, or is signed by somebody who "
        "was removed. It does not count.",
        "The next one who writes clears it away. Ask who could write to this medium.",
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
        "The log is older than what was seen before. An older copy in the place of the newest, a "
        "backup that was restored, or a crash in which the medium lost what was written last can "
        "be the reason; a removal of what came since looks the same.",
        "Keep this copy as it is, and look for the newer one. If it can't be found, " + _TAKE_OVER,
    ),
    "recipients": (
        "A file that opens evidence is not for those alone whom its event names.",
        _PEOPLE,
    ),
    "root": ("Neither the log's entries nor its tree are those that were signed.", _COPY),
    "shredded": (
        "Files can be opened only with a readers' key that was destroyed before they were "
        "encrypted again.",
        _PEOPLE,
    ),
    "size": ("Files do not have the size that was signed.", _COPY),
    "tile-damaged": ("A file of the log's tree differs from what was signed.", _COPY),
    "tile-missing": ("A file of the log's tree is missing.", _COPY),
    "tile-superseded": (
        "A file of the log's tree that nobody needs any more is not what it was.",
        "Nothing has to be done: the files that took its place are sound.",
    ),
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
    "history": "the vault that it continues",
    "cosigners": "cosigners",
    "timestamps": "time stamps",
}

BLIND: Final = (
    "Without a reader's identity nobody can see names, fields, or that the encrypted files open, "
    "and to whom; --deep looks at these as well."
)

RELATIONS: Final = {
    "amends": ("Amends", "Amended by"),
    "derived_from": ("Derived from", "Made from this"),
    "translation_of": ("Translation of", "Translated in"),
    "transcript_of": ("Transcript of", "Transcribed in"),
}
"""What a bundle is to another one, and what that one is to it."""

CONTINUED: Final = {
    "lost-owner": "because its owner is lost to it",
    "other": "for another reason",
    "restored-backup": "from a backup that was restored",
}
"""Why a vault takes over."""

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
