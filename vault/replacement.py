"""Files that took the place of others when they were encrypted again (docs/spec.md, "Rekeying").

A fields file or a key file is logged with the epoch that was the newest then. ``vault.rekeyed``
logs a manifest, ``keys/<SHA-256>.files``, of the files that say the same, encrypted to a later
epoch: a line for each, sorted, with the name under which it was logged first, its new name, and its
new size in bytes.

    fields/3f/3f…e1 fields/a0/a0…77 4608
    bundles/5c…/key.9b….81… bundles/5c…/key.d2….44… 2104

The names carry the digests, so that ``sha256sum`` checks a manifest's files as it does all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

from vault.codec import parse_decimal
from vault.custody import Rekeying, State
from vault.errors import DigestMismatchError, FormatError, VaultError
from vault.event import SealedFile
from vault.layout import rekey_name
from vault.storage import Store
from vault.stored import read_whole

__all__ = [
    "MAX_REPLACEMENTS",
    "Replacement",
    "Replacements",
    "format_manifest",
    "parse_manifest",
]

MAX_REPLACEMENTS: Final = 65536
"""Lines of one manifest: about 20 MiB at most."""

_FIELDS: Final = re.compile(r"fields/([0-9a-f]{2})/(\1[0-9a-f]{62})\Z")
_KEY: Final = re.compile(r"(bundles/[0-9a-f]{32})/key\.([0-9a-f]{16})\.([0-9a-f]{64})\Z")


@final
@dataclass(frozen=True, slots=True)
class Replacement:
    """``name`` is that under which the file was logged first; ``new`` that of ``file``."""

    name: str
    new: str
    file: SealedFile


def format_manifest(replacements: Iterable[Replacement]) -> bytes:
    """Return a manifest; raise ``FormatError`` for one that could not be read again."""
    ordered = sorted(replacements, key=lambda one: one.name)
    data = "".join(f"{one.name} {one.new} {one.file.size}\n" for one in ordered).encode("ascii")
    epochs = {one.file.epoch for one in ordered}
    if len(epochs) != 1:
        raise ValueError("a manifest is of one epoch")
    parse_manifest(data, epochs.pop(), "manifest")
    return data


def parse_manifest(data: bytes, epoch: bytes, where: str) -> tuple[Replacement, ...]:
    """Parse the manifest of a rekeying to ``epoch``.

    Raises ``FormatError`` unless each line replaces a fields file by a fields file, or a bundle's
    key file by one of the same bundle for ``epoch``, and names and new names are sorted and unique.
    """
    # Counted first: a list of what is refused would take eight times its size in memory.
    if data.count(b"\n") > MAX_REPLACEMENTS:
        raise FormatError("manifest", f"not 1 to {MAX_REPLACEMENTS} lines", where)
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise FormatError("manifest", "not ASCII", where) from None
    if lines.pop() or not 0 < len(lines) <= MAX_REPLACEMENTS:
        raise FormatError("manifest", f"not 1 to {MAX_REPLACEMENTS} lines", where)
    found = tuple(_parse_line(line, epoch, where) for line in lines)
    names = [one.name for one in found]
    if names != sorted(set(names)) or len({one.new for one in found}) != len(found):
        raise FormatError("manifest", "not sorted, or a file is named twice", where)
    return found


def _parse_line(line: str, epoch: bytes, where: str) -> Replacement:
    parts = line.split(" ", 3)
    if len(parts) != 3:
        raise FormatError("manifest", "a line is not two names and a size", where)
    name, new, size = parts
    old_fields, new_fields = _FIELDS.match(name), _FIELDS.match(new)
    old_key, new_key = _KEY.match(name), _KEY.match(new)
    if old_fields and new_fields and name != new:
        digest = new_fields[2]
    elif old_key and new_key and (new_key[1], new_key[2]) == (old_key[1], epoch.hex()):
        digest = new_key[3]
    else:
        raise FormatError("manifest", "a file is replaced by one of another kind", where)
    return Replacement(name, new, SealedFile(bytes.fromhex(digest), parse_decimal(size), epoch))


@final
class Replacements:
    """What took the place of the files of a vault, by the manifests of its log.

    Each manifest is read once, when it is first needed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[bytes, dict[str, Replacement]] = {}

    def of(self, rekeying: Rekeying) -> dict[str, Replacement]:
        """Return the replacements of one manifest, by the first name of each file.

        Raises ``DigestMismatchError``, ``FormatError``.
        """
        known = self._read.get(rekeying.manifest)
        if known is None:
            where = rekey_name(rekeying.manifest)
            data = read_whole(self._store, where, rekeying.manifest, rekeying.size)
            known = {one.name: one for one in parse_manifest(data, rekeying.epoch, where)}
            self._read[rekeying.manifest] = known
        return known

    def epochs_of(self, name: str, file: SealedFile, seq: int, state: State) -> frozenset[bytes]:
        """Return the epochs that a file, which event ``seq`` logged as ``name``, must be there for:
        those of the forms that no pruned rekeying let go of.

        Raises what :meth:`of` does.
        """
        epochs = [file.epoch]
        for rekeying in state.rekeyings.values():
            if rekeying.seq > seq and name in self.of(rekeying):
                if rekeying.pruned is not None:
                    epochs.clear()
                epochs.append(rekeying.epoch)
        return frozenset(epochs)

    def places(
        self, name: str, file: SealedFile, state: State
    ) -> Iterator[tuple[str, SealedFile] | VaultError]:
        """Yield where a file that was logged as ``name`` may stand now; for a manifest that can't
        be read, the error.

        What a second reader confirmed comes first, the newest before all; then the file that was
        logged; what is not confirmed yet comes last: one person alone must not be able to put
        something else in the place of a file that is there and sound.
        """
        unconfirmed = []
        for rekeying in reversed(state.rekeyings.values()):
            try:
                found = self.of(rekeying).get(name)
            except VaultError as error:
                yield error
                continue
            except OSError as error:
                where = rekey_name(rekeying.manifest)
                yield DigestMismatchError("file", error.strerror or "can't be read", where)
                continue
            if found is None:
                continue
            if rekeying.confirmed is None:
                unconfirmed.append((found.new, found.file))
            else:
                yield found.new, found.file
        yield name, file
        yield from unconfirmed
