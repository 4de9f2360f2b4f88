"""Epochs of the reading key and the files that hold them (docs/spec.md, "Keyring").

``keys/<epoch>`` is an age file to the card of each reader of that epoch. Its plaintext has two
lines for each epoch that it opens, newest first:

    # <epoch, 16 hex digits>
    AGE-SECRET-KEY-PQ-1…

so that ``age -d -i`` takes it as an identity file. A file that grants history has the same form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, TypeVar, final

from vault import age
from vault.codec import Packable, parse_hex
from vault.custody import Epoch, State
from vault.errors import (
    FormatError,
    NoIdentityMatchError,
    NotAVaultError,
    ProofError,
    VaultError,
)
from vault.event import SealedFile
from vault.identity import Identity, PublicKeys
from vault.layout import epoch_name, history_name
from vault.replacement import Replacements
from vault.secret import Octets, Secret
from vault.storage import Store
from vault.stored import read_whole

__all__ = [
    "MAX_EPOCHS",
    "Keyring",
    "NewEpoch",
    "check_epoch_file",
    "format_epoch_file",
    "new_epoch",
    "parse_epoch_file",
    "seal_to_epoch",
]

T = TypeVar("T")

EPOCH_SIZE: Final = 8
MAX_EPOCHS: Final = 4096
"""The epochs that one file opens at most: as many as a grant can name."""

_LINES: Final = len(f"# {bytes(EPOCH_SIZE).hex()}\nAGE-SECRET-KEY-PQ-1\n") + 52 + 6
"""Bytes of an epoch's two lines: 32 bytes and a checksum in Bech32."""

_MAX_EPOCH_FILE: Final = MAX_EPOCHS * _LINES


def format_epoch_file(epochs: Iterable[tuple[bytes, age.HybridIdentity]]) -> bytes:
    """Return the plaintext of an epoch file; ``epochs`` newest first. Raises ``FormatError`` for
    more than :data:`MAX_EPOCHS`.
    """
    opened = tuple(epochs)
    if len(opened) > MAX_EPOCHS:
        why = f"it would open more than {MAX_EPOCHS} epochs: shred old ones, or begin anew without"
        raise FormatError("epoch file", f"{why} history")
    lines = (f"# {epoch.hex()}\n{identity.to_string()}\n" for epoch, identity in opened)
    return "".join(lines).encode("ascii")


def parse_epoch_file(plaintext: Octets) -> dict[bytes, age.HybridIdentity]:
    """Parse the plaintext of an epoch file; raise ``FormatError``."""
    try:
        lines = str(plaintext, "ascii").split("\n")
    except UnicodeDecodeError:
        raise FormatError("epoch file", "not ASCII") from None
    if lines.pop() or not lines or len(lines) % 2:
        raise FormatError("epoch file", "not two lines for each epoch")
    found = {}
    for comment, line in zip(lines[::2], lines[1::2], strict=True):
        if not comment.startswith("# "):
            raise FormatError("epoch file", "an epoch is not named")
        found[parse_hex(comment[2:], size=EPOCH_SIZE)] = age.HybridIdentity.from_string(line)
    # Each line has one form alone, so that only a name that comes twice is left to be found.
    if 2 * len(found) != len(lines):
        raise FormatError("epoch file", "an epoch is named twice")
    return found


@final
class NewEpoch:
    """An epoch that is not in the log yet: its id, identity, and the encrypted file for it."""

    def __init__(self, epoch: bytes, identity: age.HybridIdentity, data: bytes) -> None:
        self.id = epoch
        self.identity = identity
        self.data = data
        self.sha256 = hashlib.sha256(data).digest()

    @property
    def recipient(self) -> bytes:
        """The raw recipient (1216 bytes)."""
        return self.identity.recipient().to_bytes()

    def to_data(self, readers: Iterable[bytes], *, history: bool) -> dict[str, Packable]:
        """Return what ``epoch.opened`` says of it, for readers with these Ed25519 keys."""
        return {
            "epoch": self.id,
            "recipient": self.recipient,
            "file": (self.sha256, len(self.data)),
            "readers": tuple(sorted(readers)),
            "history": history,
        }


def new_epoch(
    readers: Iterable[PublicKeys],
    earlier: Iterable[tuple[bytes, age.HybridIdentity]],
    random: Callable[[int], bytes],
) -> NewEpoch:
    """Make an epoch for ``readers``, whose file also opens ``earlier`` ones (newest first)."""
    epoch = random(EPOCH_SIZE)
    with Secret(random(32)) as seed:
        identity = age.HybridIdentity.from_seed(seed.view)
    # A view shows nothing where a traceback shows its locals.
    plaintext = memoryview(format_epoch_file([(epoch, identity), *earlier]))
    data = age.encrypt_bytes(plaintext, [reader.recipient for reader in readers])
    return NewEpoch(epoch, identity, data)


def seal_to_epoch(plaintext: Octets, epoch: Epoch) -> tuple[bytes, SealedFile]:
    """Encrypt a small file to an epoch; return its bytes and how an event names it."""
    recipient = age.HybridRecipient.from_bytes(epoch.recipient)
    data = age.encrypt_bytes(plaintext, [recipient])
    return data, SealedFile(hashlib.sha256(data).digest(), len(data), epoch.id)


def check_epoch_file(
    data: bytes, identity: Identity, epochs: Mapping[bytes, Epoch], where: str
) -> dict[bytes, age.HybridIdentity]:
    """Decrypt and parse an epoch file; raise ``ProofError`` unless each identity in it is that of
    the recipient which the log names for its epoch.
    """
    plaintext = age.decrypt_secret(data, [identity.age], max_size=_MAX_EPOCH_FILE)
    if plaintext is None:
        raise FormatError("epoch file", "not two lines for each epoch")
    with plaintext:
        found = parse_epoch_file(plaintext.view)
    for epoch, secret in found.items():
        known = epochs.get(epoch)
        if known is None or secret.recipient().to_bytes() != known.recipient:
            raise ProofError("epoch file", f"not the key of epoch {epoch.hex()}", where)
    return found


@final
class Keyring:
    """The epochs that ``identity`` can open, read from a vault when they are needed."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._known: dict[bytes, age.HybridIdentity] = {}
        self._read: set[str] = set()
        self._replacements = Replacements(store)

    def identity_of(self, epoch: bytes, state: State) -> age.HybridIdentity:
        """Return the identity of an epoch.

        Raises ``NoIdentityMatchError`` if it is not for us; where some file that could open it is
        damaged or can't be read, what is wrong with that: a ``VaultError`` or ``OSError``.
        """
        if epoch in self._known:
            return self._known[epoch]
        trouble: VaultError | OSError | None = None
        for name, sha256, size in self._files(state):
            if name in self._read:
                continue
            # One damaged file must not hide what another one opens.
            try:
                data = read_whole(self._store, name, sha256, size)
                self._known |= check_epoch_file(data, self._identity, state.epochs, name)
            except NotAVaultError:
                raise
            except (VaultError, OSError) as error:
                trouble = trouble or error
                continue
            self._read.add(name)
            if epoch in self._known:
                return self._known[epoch]
        if trouble is not None:
            raise trouble
        raise NoIdentityMatchError("epoch", f"{epoch.hex()} is not open to this identity")

    def _files(self, state: State) -> Iterator[tuple[str, bytes, int]]:
        me = self._identity.ed25519
        for epoch in reversed(state.epochs.values()):
            if me in epoch.readers and epoch.id not in state.shredded:
                yield epoch_name(epoch.id), epoch.sha256, epoch.size
        for grant in reversed(state.grants):
            if grant.reader == me and state.shredded.isdisjoint(grant.epochs):
                yield history_name(grant.sha256), grant.sha256, grant.size

    def earlier(self, state: State) -> list[tuple[bytes, age.HybridIdentity]]:
        """Return the epochs that the file of a new one may open as well, newest first.

        Those that this identity can open, back to the last that was opened without history: what
        was withheld from one of its readers stays so in every later file.
        """
        found = []
        for epoch in reversed(state.epochs.values()):
            with suppress(NoIdentityMatchError):
                found.append((epoch.id, self.identity_of(epoch.id, state)))
            if not epoch.history:
                break
        return found

    def open_file(
        self,
        name: str,
        file: SealedFile,
        state: State,
        max_size: int,
        parse: Callable[[bytes, str], T],
    ) -> T:
        """Read and decrypt a small file that was logged as ``name``, or what took its place; return
        what ``parse`` makes of the plaintext and of the name that it was found under.

        The first form counts that can be read, that decrypts, and of which ``parse`` raises no
        ``VaultError``: one that says something else must not hide one that is sound. If none does,
        the error is that of the form that should be there.
        """
        trouble: VaultError | OSError | None = None
        for place in self._replacements.places(name, file, state):
            try:
                if isinstance(place, VaultError):
                    raise place
                return parse(self.open_stored(*place, state, max_size), place[0])
            except NotAVaultError:
                raise
            except (VaultError, OSError) as error:
                # The newest should be there, and says best what is wrong.
                trouble = trouble or error
        assert trouble is not None
        raise trouble

    def open_stored(self, name: str, file: SealedFile, state: State, max_size: int) -> bytes:
        """Read and decrypt the small file ``name`` itself."""
        secret = self.identity_of(file.epoch, state)
        data = read_whole(self._store, name, file.sha256, file.size)
        return age.decrypt_bytes(data, [secret], max_size=max_size)
