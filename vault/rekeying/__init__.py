"""Encrypting again: every fields file and key file to the newest epoch, and the end of old ones.

Four steps, each by whom the rules allow, each an event, each to be taken up again after a crash:

1. :func:`rekey`: a reader encrypts what is encrypted to earlier epochs again. Old files stay.
2. :func:`confirm`: another reader opens every new file. One person alone, or one faulty machine,
   must not decide that the old files can go.
3. :func:`prune`: the old files go.
4. :func:`shred`: an owner lets the old epochs go themselves, by files that open them. What is left
   on media of files that were encrypted to them is then opened by nothing that the vault holds.

:func:`standing` says where all that stands, without a key. What is inside a file is never changed:
it is held to what its event commits to before it is encrypted again, so damage is never passed on.
"""

from __future__ import annotations

from vault.rekeying.confirming import Confirmation, confirm
from vault.rekeying.plan import EpochStanding, NextStep, Standing, standing
from vault.rekeying.pruning import Pruning, prune
from vault.rekeying.shredding import Shredding, ShredStep, epoch_of, shred
from vault.rekeying.writing import Rekeyed, Trouble, rekey

__all__ = [
    "Confirmation",
    "EpochStanding",
    "NextStep",
    "Pruning",
    "Rekeyed",
    "ShredStep",
    "Shredding",
    "Standing",
    "Trouble",
    "confirm",
    "epoch_of",
    "prune",
    "rekey",
    "shred",
    "standing",
]
