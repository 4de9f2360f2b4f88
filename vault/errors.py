"""Every exception that this library raises on purpose.

    VaultError
    ├─ FormatError                  bytes that do not follow their format
    │  ├─ UnsupportedVersionError   a later version's format: never damage
    │  ├─ ArmorError                age: the ASCII armor
    │  ├─ HeaderError               age: the header
    │  └─ ShareError                a share of an identity that can't be used
    ├─ DecryptionError              well-formed, but not to be opened with what was given
    │  ├─ NoIdentityMatchError
    │  ├─ HeaderMacError
    │  └─ PayloadError
    ├─ VerificationError            opened or read, but not what was signed
    │  ├─ SignatureError
    │  ├─ UnknownKeyError
    │  ├─ ProofError
    │  ├─ RollbackError
    │  └─ DigestMismatchError
    ├─ CustodyError                 an event that a rule of custody forbids
    └─ StateError                   a sound request at the wrong time or place
       ├─ NotAVaultError
       ├─ VaultExistsError
       ├─ ConflictError
       ├─ LockedError
       ├─ SourceChangedError
       ├─ SourceUnreadableError
       ├─ UnknownVaultError
       ├─ NoSpaceError
       ├─ NotFoundError
       └─ AmbiguousError

``OSError`` passes through unchanged; a caller's mistake is ``ValueError`` or ``TypeError``; a state
that this library promises can't occur is ``AssertionError``.

Each class has a stable ``code``; each instance carries its parameters as attributes and in
``details``. The text of an exception is for programmers: what a user reads is written at the rim.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AmbiguousError",
    "ArmorError",
    "ConflictError",
    "CustodyError",
    "DecryptionError",
    "DigestMismatchError",
    "FormatError",
    "HeaderError",
    "HeaderMacError",
    "LockedError",
    "NoIdentityMatchError",
    "NoSpaceError",
    "NotAVaultError",
    "NotFoundError",
    "PayloadError",
    "ProofError",
    "RollbackError",
    "ShareError",
    "SignatureError",
    "SourceChangedError",
    "SourceUnreadableError",
    "StateError",
    "UnknownKeyError",
    "UnknownVaultError",
    "UnsupportedVersionError",
    "VaultError",
    "VaultExistsError",
    "VerificationError",
]


class VaultError(Exception):
    """The root of the tree above. ``code`` is stable; ``details`` holds the parameters."""

    code: ClassVar[str] = "vault"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class FormatError(VaultError):
    """``what`` was expected at ``where`` (a name or an offset, may be empty); ``why`` it is not."""

    code = "format"

    def __init__(self, what: str, why: str, where: str = "") -> None:
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{what}: {why}", what=what, why=why, where=where)
        self.what = what
        self.why = why
        self.where = where

    def at(self, where: str) -> FormatError:
        """Return the same error at a place that only the caller knew."""
        return type(self)(self.what, self.why, where)


class UnsupportedVersionError(FormatError):
    """A format of a later version than this library reads."""

    code = "version"


class ArmorError(FormatError):
    """age: not strict RFC 7468 armor (age.md, "ASCII armor")."""

    code = "armor"


class HeaderError(FormatError):
    """age: a header, stanza or payload nonce that does not follow age.md."""

    code = "header"


class ShareError(FormatError):
    """A share of an identity that can't be used.

    ``fault`` is a stable name: ``checksum``, ``count``, ``digest``, ``fingerprint``, ``groups``,
    ``numbers``, ``other-split``, ``other-threshold``, ``repeated``, ``text``, ``too-few``,
    ``value``, ``word``. ``word`` is the number of the word that is wrong, from 1, or 0.
    """

    code = "share"

    def __init__(
        self, what: str, why: str, where: str = "", *, fault: str = "text", word: int = 0
    ) -> None:
        super().__init__(what, why, where)
        self.details.update(fault=fault, word=word)
        self.fault = fault
        self.word = word

    def at(self, where: str) -> ShareError:
        """Return the same error at a place that only the caller knew."""
        return type(self)(self.what, self.why, where, fault=self.fault, word=self.word)


class DecryptionError(VaultError):
    """``what`` could not be decrypted."""

    code = "decryption"

    def __init__(self, what: str, why: str, where: str = "") -> None:
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{what}: {why}", what=what, why=why, where=where)
        self.what = what
        self.why = why
        self.where = where

    def at(self, where: str) -> DecryptionError:
        """Return the same error at a place that only the caller knew."""
        return type(self)(self.what, self.why, where)


class NoIdentityMatchError(DecryptionError):
    """No identity given opens any stanza (a wrong passphrase is one case of it)."""

    code = "no-match"


class HeaderMacError(DecryptionError):
    """A file key was unwrapped, but the header's MAC is not its."""

    code = "header-mac"


class PayloadError(DecryptionError):
    """A payload chunk is altered, reordered, missing or beyond the end."""

    code = "payload"


class VerificationError(VaultError):
    """``what`` at ``where`` is not what was signed or logged."""

    code = "verification"

    def __init__(
        self,
        what: str,
        why: str,
        where: str = "",
        *,
        expected: object = None,
        found: object = None,
    ) -> None:
        place = f"{where}: " if where else ""
        super().__init__(
            f"{place}{what}: {why}",
            what=what,
            why=why,
            where=where,
            expected=expected,
            found=found,
        )
        self.what = what
        self.why = why
        self.where = where
        self.expected = expected
        self.found = found


class SignatureError(VerificationError):
    """A signature by a known key that does not verify, or is missing."""

    code = "signature"


class UnknownKeyError(VerificationError):
    """Signed by no key that may sign here."""

    code = "unknown-key"


class ProofError(VerificationError):
    """A Merkle proof, root or commitment that does not lead where it should."""

    code = "proof"


class RollbackError(VerificationError):
    """The log is older than, or contradicts, a state that this machine has seen."""

    code = "rollback"


class DigestMismatchError(VerificationError):
    """A file whose SHA-256 or size is not the one that was logged."""

    code = "digest"


class CustodyError(VaultError):
    """``rule`` (a stable name) forbids ``event`` (its type); ``detail``: what stood against it.

    ``bundle`` (16 bytes) is the one that the event is about, if any.
    """

    code = "custody"

    def __init__(
        self, rule: str, event: str, detail: str = "", bundle: bytes | None = None
    ) -> None:
        super().__init__(
            f"{event}: {rule}{': ' if detail else ''}{detail}",
            rule=rule,
            event=event,
            detail=detail,
            bundle=bundle,
        )
        self.rule = rule
        self.event = event
        self.detail = detail
        self.bundle = bundle


class StateError(VaultError):
    """A sound request at the wrong time or place; ``place`` names it."""

    code = "state"

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}", place=place, why=why)
        self.place = place
        self.why = why


class NotAVaultError(StateError):
    """Nothing at ``place`` says that it is a vault."""

    code = "not-a-vault"


class VaultExistsError(StateError):
    """Something is already where a vault was to be made."""

    code = "exists"


class ConflictError(StateError):
    """The checkpoint moved, or another writer's pending commit must be judged first."""

    code = "conflict"


class LockedError(StateError):
    """Another process held the vault's lock for too long."""

    code = "locked"


class SourceChangedError(StateError):
    """A file changed while it was being sealed."""

    code = "source-changed"


class SourceUnreadableError(StateError):
    """Something that can't be sealed: a link, a device, a FIFO, a file without permission."""

    code = "source-unreadable"


class UnknownVaultError(StateError):
    """Nobody on this machine made this vault or confirmed its id (``vault``, 32 bytes)."""

    code = "unknown-vault"

    def __init__(self, place: str, vault: bytes) -> None:
        super().__init__(place, f"the vault id {vault.hex()} was not confirmed here")
        self.details.update(vault=vault)
        self.vault = vault


class NoSpaceError(StateError):
    """Less room at ``place`` than the work needs (``needed`` and ``free`` in bytes)."""

    code = "no-space"

    def __init__(self, place: str, needed: int, free: int) -> None:
        super().__init__(place, f"needs {needed} bytes, {free} free")
        self.details.update(needed=needed, free=free)
        self.needed = needed
        self.free = free


class NotFoundError(StateError):
    """No bundle, member or item goes by that name."""

    code = "not-found"


class AmbiguousError(StateError):
    """More than one bundle or member goes by that prefix; ``candidates`` holds them."""

    code = "ambiguous"

    def __init__(self, place: str, why: str, candidates: tuple[str, ...]) -> None:
        super().__init__(place, why)
        self.details.update(candidates=candidates)
        self.candidates = candidates
