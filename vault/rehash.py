"""Reading again every file that a bundle's seal logged, as whoever takes over a bundle does.

Those are the parts, the key file and the seal's own private fields. The small ones are read where
they stand now: rekeying gives them other places (:mod:`vault.replacement`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import final

from vault.custody import BundleState
from vault.errors import DigestMismatchError, VaultError
from vault.event import SealedFile
from vault.layout import bundle_key_name, fields_name, part_name
from vault.pipeline import BUFFER_SIZE, Progress, ProgressCallback
from vault.replacement import Replacements
from vault.view import View

__all__ = ["Rehash"]

_Logged = tuple[str, bytes, int]


@final
class Rehash:
    """The files of some bundles (by id), each read once; ``files`` and ``size`` (bytes) so far."""

    def __init__(
        self, vault: View, bundles: Sequence[bytes], progress: ProgressCallback | None
    ) -> None:
        self._vault = vault
        self._bundles = bundles
        self._progress = progress
        self._replacements = Replacements(vault.store)
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._read: set[_Logged] = set()
        self._total = 0
        self.files = 0
        self.size = 0

    def run(self) -> None:
        """Read all that was not read yet.

        Raises ``DigestMismatchError`` for a file that is missing, or not the one that was logged,
        and ``OSError`` where the medium does not give it.
        """
        due = [one for one in self._logged() if one not in self._read]
        self._total = self.size + sum(size for _, _, size in due)
        for one in due:
            self._check(*one)
            self._read.add(one)
            self.files += 1

    def needs(self, name: str) -> bool:
        """Say whether the log, as the vault shows it now, calls for the file ``name`` here."""
        return any(name == one for one, _, _ in self._logged())

    def _logged(self) -> Iterator[_Logged]:
        for bundle in self._bundles:
            yield from self._of(self._vault.state.bundles[bundle])

    def _of(self, bundle: BundleState) -> Iterator[_Logged]:
        for number, (sha256, size) in enumerate(bundle.parts):
            yield part_name(bundle.id, number), sha256, size
        key = bundle.key_file
        yield self._newest(bundle_key_name(bundle.id, key.epoch, key.sha256), key)
        fields = self._vault.event(bundle.seq).sealed
        if fields is not None:
            yield self._newest(fields_name(fields.sha256), fields)

    def _newest(self, name: str, file: SealedFile) -> _Logged:
        trouble: VaultError | None = None
        for place in self._replacements.places(name, file, self._vault.state):
            if isinstance(place, VaultError):
                trouble = trouble or place
                continue
            current, logged = place
            # Where a list can't be read, what it replaced may still be there, as it was logged.
            if trouble is not None and not self._vault.store.exists(current):
                raise trouble
            return current, logged.sha256, logged.size
        raise AssertionError("the file that was logged is always a place")

    def _check(self, name: str, sha256: bytes, size: int) -> None:
        digest = hashlib.sha256()
        position = 0
        try:
            reader = self._vault.store.open(name)
        except FileNotFoundError:
            raise DigestMismatchError("evidence", "missing", name) from None
        with reader:
            # Of one that was extended no more is read than shows it.
            while position <= size and (count := reader.read_into(position, self._buffer)):
                digest.update(self._buffer[:count])
                position += count
                self.size += count
                if self._progress is not None:
                    self._progress(Progress("accept", self.size, self._total, name))
        if (position, digest.digest()) != (size, sha256):
            raise DigestMismatchError(
                "evidence",
                "not the SHA-256 that was logged",
                name,
                expected=sha256,
                found=digest.digest(),
            )
