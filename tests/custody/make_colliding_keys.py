"""Finds two identities whose Ed25519 keys have the same 4-byte key id under one vault's origin:
``python tests/custody/make_colliding_keys.py`` writes them to ``colliding_keys.json``.

To hit the key id of one given member takes 2³² tries. Two newcomers who are free to choose take 2¹⁶
each: that is a birthday, and a few seconds. The origin is part of a key id, and follows from the
first event of the vault, whose ML-DSA-44 proof is hedged with fresh randomness; so the event is
kept with the two seeds. Another run finds others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1])] if __name__ == "__main__" else []

from tests.custody.histories import History  # noqa: E402 - run as a program, it finds the checkout
from vault.identity import _derive  # noqa: E402
from vault.tlog import note  # noqa: E402


def collision(origin: str) -> tuple[bytes, bytes]:
    """Return the seeds of two identities whose keys collide under ``origin``."""
    found: dict[bytes, bytes] = {}
    number = 0
    while True:
        seed = number.to_bytes(32, "big")
        public = bytes(SigningKey(_derive(seed, b"ed25519")).verify_key)
        other = found.setdefault(note.key_id(origin, note.ED25519, public), seed)
        if other != seed:
            return other, seed
        number += 1


def main() -> None:
    """Write the file."""
    history = History()
    genesis = history.create()
    seeds = collision(history.state.origin)
    value = {"genesis": genesis.leaf.hex(), "seeds": [seed.hex() for seed in seeds]}
    path = HERE / "colliding_keys.json"
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
