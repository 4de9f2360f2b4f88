"""The words for what a seized vault and a searched machine show, and for what they do not."""

from __future__ import annotations

from typing import Final

__all__ = ["HIDDEN", "NOT_LOOKED_AT", "OUT_OF_REACH"]

HIDDEN: Final = {
    "titles": "titles, descriptions and cases",
    "names": "names: of people, of the vault, of places, of devices",
    "file-names": "original file names and their kinds",
    "sizes": "exact sizes, and how many items a bundle has",
    "contents": "what was sealed, the digests of items, and the text of notes",
    "purposes": "purposes, conditions, authorities, and reasons in words",
    "consent": "whether consent was given, limited or withdrawn, by whom and for what",
    "times": "when things happened, where that differs from when they were recorded",
    "software": "which software wrote it, on which system",
    "persons": "whose the keys are: a card found elsewhere says it",
}

NOT_LOOKED_AT: Final = {
    "deleted-files": "deleted files and old blocks of the medium",
    "file-system": "what else the file system keeps: its journal, its label, extended attributes",
    "other-files": "everything on the medium outside of the vault's directory",
    "this-system": "this system's history of commands, lists of recent files, thumbnails, search "
    "index, swap and backups",
}

OUT_OF_REACH: Final = {
    "vault": "the vault itself and every copy of it: `evault show VAULT --as-seized` says what "
    "they show",
    "copies": "other copies of the identity, recovery sheets, cards, files with a passphrase",
    "system": "the history of commands (this one too), recent files, swap, hibernation, backups, "
    "snapshots",
    "old-blocks": "old blocks: each file was overwritten before it was removed, which on flash "
    "(sticks, cards, SSDs) and on file systems that copy on write does not erase it. Encryption of "
    "the whole disk does, with its key, and so does destroying the medium",
}
