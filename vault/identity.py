"""Identities: one seed of 32 bytes, the keys derived from it, its card, its file (docs/spec.md).

From the seed, HKDF-SHA-256 (empty salt, info ``evidence-vault/v1/`` + purpose, 32 bytes each) gives
the seeds of an Ed25519 key (events, notes), an ML-DSA-44 key (checkpoints) and an X-Wing key (age).

What the Ed25519 key signs begins with one of these and so is never mistaken for another:
``evidence-vault/event/v1\\x00``, ``evidence-vault/keys/v1\\x00``, ``evidence-vault/card/v1\\n``,
``evidence-vault/access/v1\\n``, ``evidence-vault/<64 hex digits>\\n`` (checkpoints).
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault import age
from vault.age import HybridRecipient
from vault.codec import Value, format_base64, is_line, parse_base64
from vault.errors import (
    DecryptionError,
    FormatError,
    SignatureError,
    UnsupportedVersionError,
)
from vault.keyline import format_key_line, parse_key_line
from vault.secret import Octets, Secret, wipe
from vault.tlog import note

__all__ = [
    "CARD_ORIGIN",
    "MAX_CARD_NAME",
    "Card",
    "Identity",
    "ProvenKeys",
    "PublicKeys",
    "check_possession",
    "format_card",
    "format_identity_file",
    "parse_card",
    "parse_identity_file",
]

CARD_ORIGIN: Final = "evidence-vault/card/v1"
MAX_CARD_NAME: Final = 120
_KEYS_LABEL: Final = b"evidence-vault/keys/v1\x00"
_INFO: Final = b"evidence-vault/v1/"
_HRP: Final = "evault-secret-"
_LINE: Final = 2 + len(_HRP) + 1 + 58
"""Bytes of the seed's line: ``# ``, the human-readable part, ``1``, 32 bytes in Bech32."""
_MAX_CARD: Final = 16384
_MAX_IDENTITY_FILE: Final = 4096
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
_LATER_CARD: Final = re.compile(r"evidence-vault/card/v([1-9][0-9]*)\Z", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class PublicKeys:
    """Ed25519 (32 bytes), ML-DSA-44 (1312) and age X-Wing (1216) public keys of one identity."""

    ed25519: bytes
    ml_dsa_44: bytes
    age: bytes

    def __post_init__(self) -> None:
        sizes = (len(self.ed25519), len(self.ml_dsa_44), len(self.age))
        if sizes != (32, 1312, 1216):
            raise FormatError("public keys", f"sizes {sizes}, not (32, 1312, 1216)")

    @property
    def message(self) -> bytes:
        """What a proof of possession signs: a label, then the three keys, 2583 bytes."""
        return _KEYS_LABEL + self.ed25519 + self.ml_dsa_44 + self.age

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over :attr:`message`: what people read aloud to each other."""
        return hashlib.sha256(self.message).digest()

    @property
    def recipient(self) -> HybridRecipient:
        """The age recipient."""
        return HybridRecipient.from_bytes(self.age)


@final
@dataclass(frozen=True, slots=True)
class ProvenKeys:
    """Public keys with an Ed25519 (64) and an ML-DSA-44 (2420 bytes) signature over them."""

    keys: PublicKeys
    ed25519_proof: bytes
    ml_dsa_44_proof: bytes

    def to_data(self) -> dict[str, bytes]:
        """Return the map that ``vault.created`` and ``member.admitted`` carry."""
        return {
            "age": self.keys.age,
            "ed25519": self.keys.ed25519,
            "ed25519_proof": self.ed25519_proof,
            "ml_dsa_44": self.keys.ml_dsa_44,
            "ml_dsa_44_proof": self.ml_dsa_44_proof,
        }

    @classmethod
    def from_data(cls, value: Value) -> ProvenKeys:
        """Parse that map; raise ``FormatError`` unless it holds exactly these keys and sizes."""
        match value:
            case {
                "age": bytes(age_key),
                "ed25519": bytes(ed25519),
                "ed25519_proof": bytes(ed25519_proof),
                "ml_dsa_44": bytes(ml_dsa_44),
                "ml_dsa_44_proof": bytes(ml_dsa_44_proof),
                **rest,
            } if not rest and (len(ed25519_proof), len(ml_dsa_44_proof)) == (64, 2420):
                keys = PublicKeys(ed25519, ml_dsa_44, age_key)
                return cls(keys, ed25519_proof, ml_dsa_44_proof)
            case _:
                raise FormatError("public keys", "not three keys and two proofs")


def check_possession(proven: ProvenKeys) -> None:
    """Raise ``SignatureError`` unless both proofs verify, ``FormatError`` for an impossible key."""
    message = proven.keys.message
    note.verify_ed25519(proven.keys.ed25519, message, proven.ed25519_proof)
    note.verify_ml_dsa_44(proven.keys.ml_dsa_44, message, proven.ml_dsa_44_proof)
    HybridRecipient.from_bytes(proven.keys.age)


@final
@dataclass(frozen=True, slots=True)
class Card:
    """The public half of an identity, as people exchange it; ``created`` is a date."""

    name: str
    created: str
    proven: ProvenKeys
    raw: bytes

    @property
    def keys(self) -> PublicKeys:
        """The three public keys."""
        return self.proven.keys


@final
class Identity:
    """One seed and the keys derived from it. The seed never shows in ``repr``.

    The seed is copied (:mod:`vault.secret` says what can be wiped). :meth:`close`, or leaving it as
    a context manager, wipes it; no vault closes the identity that it was opened with. A closed one
    keeps its public keys; whatever takes a secret key is ``ValueError``.
    """

    def __init__(self, seed: Octets) -> None:
        if len(seed) != 32:
            raise ValueError("a seed has 32 bytes")
        self._seed = Secret(seed)
        del seed  # or whoever formats a traceback with locals would show it
        with _derived(self._seed, b"ed25519") as key:
            ed25519 = Ed25519PrivateKey.from_private_bytes(key.view)
        with _derived(self._seed, b"ml-dsa-44") as key:
            ml_dsa_44 = MLDSA44PrivateKey.from_seed_bytes(key.view)
        with _derived(self._seed, b"age") as key:
            self.age = age.HybridIdentity.from_seed(key.view)
        self._keys: tuple[Ed25519PrivateKey, MLDSA44PrivateKey] | None = (ed25519, ml_dsa_44)

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> Identity:
        """Make a new identity."""
        with Secret(random(32)) as seed:
            return cls(seed.view)

    def close(self) -> None:
        """Wipe the seed and let the keys go, which wipes them too. Does nothing the second time."""
        # What is public stays, also where nobody asked for it yet.
        _ = self.keys
        self._keys = None
        self._seed.wipe()
        self.age.close()

    def __enter__(self) -> Identity:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def seed(self) -> bytes:
        """A copy of the 32 secret bytes, which nothing can wipe."""
        return bytes(self._seed)

    @property
    def is_locked(self) -> bool:
        """Whether the system keeps the seed out of swap; False once it is wiped."""
        return self._seed.is_locked

    def key_lines(self) -> Secret:
        """Return the plaintext of the identity file: the seed's line, the age identity's line."""
        with format_key_line(_HRP, self._seed) as first, self.age.to_line() as second:
            lines = bytearray()
            try:
                for part in (b"# ", first.view, b"\n", second.view, b"\n"):
                    lines += part
                return Secret(lines)
            finally:
                wipe(lines)

    def _secret_keys(self) -> tuple[Ed25519PrivateKey, MLDSA44PrivateKey]:
        if self._keys is None:
            raise ValueError("the identity is closed")
        return self._keys

    @cached_property
    def keys(self) -> PublicKeys:
        """The three public keys."""
        ed25519, ml_dsa_44 = self._secret_keys()
        return PublicKeys(
            ed25519.public_key().public_bytes_raw(),
            ml_dsa_44.public_key().public_bytes_raw(),
            self.age.recipient().to_bytes(),
        )

    @cached_property
    def proven(self) -> ProvenKeys:
        """The public keys with proof that this identity holds their private halves."""
        message = self.keys.message
        return ProvenKeys(self.keys, self.sign_ed25519(message), self.sign_ml_dsa_44(message))

    @property
    def ed25519(self) -> bytes:
        """The Ed25519 public key (32 bytes): the name of this identity in a log."""
        return self.keys.ed25519

    @property
    def ml_dsa_44(self) -> bytes:
        """The ML-DSA-44 public key (1312 bytes)."""
        return self.keys.ml_dsa_44

    def sign_ed25519(self, message: bytes) -> bytes:
        """Return an Ed25519 signature (64 bytes, RFC 8032)."""
        return self._secret_keys()[0].sign(message)

    def sign_ml_dsa_44(self, message: bytes) -> bytes:
        """Return an ML-DSA-44 signature (2420 bytes, FIPS 204, empty context, hedged)."""
        return self._secret_keys()[1].sign(message)

    def card(self, name: str, created: datetime.date) -> Card:
        """Make this identity's card."""
        return parse_card(format_card(self, name, created))

    def __repr__(self) -> str:
        # A traceback may show one that is half made.
        if "_keys" not in vars(self):
            return "<Identity>"
        return f"<Identity {self.keys.fingerprint.hex()[:16]}>"


def _derived(seed: Secret, purpose: bytes) -> Secret:
    key = Secret.of_zeros(32)
    HKDF(SHA256(), 32, salt=None, info=_INFO + purpose).derive_into(seed.view, key.view)
    return key


# --- the card ---------------------------------------------------------------------------------


def format_card(identity: Identity, name: str, created: datetime.date) -> bytes:
    """Return a signed note (c2sp.org/signed-note) whose text is these eight lines:

    evidence-vault/card/v1
    name NAME
    created YYYY-MM-DD
    ed25519 BASE64
    ml-dsa-44 BASE64
    age age1pq1…
    ed25519-proof BASE64
    ml-dsa-44-proof BASE64

    signed with Ed25519 (type 0x01) under the key name ``evidence-vault/card/v1``. The second line
    is no number, so a card can't be read as a checkpoint. Raises ``ValueError`` for a name that is
    empty, longer than 120 characters, has a control or bidirectional character (see
    :func:`~vault.codec.is_line`) or a space at an end, and for a ``created`` that has a time.
    """
    _check_card_name(name)
    if isinstance(created, datetime.datetime):
        raise ValueError("a card has a date, not a time")
    proven = identity.proven
    text = "".join(
        f"{line}\n"
        for line in (
            CARD_ORIGIN,
            f"name {name}",
            f"created {created.isoformat()}",
            f"ed25519 {format_base64(proven.keys.ed25519)}",
            f"ml-dsa-44 {format_base64(proven.keys.ml_dsa_44)}",
            f"age {proven.keys.recipient.to_string()}",
            f"ed25519-proof {format_base64(proven.ed25519_proof)}",
            f"ml-dsa-44-proof {format_base64(proven.ml_dsa_44_proof)}",
        )
    )
    key_id = note.key_id(CARD_ORIGIN, note.ED25519, proven.keys.ed25519)
    signature = identity.sign_ed25519(text.encode("utf-8"))
    return note.format_note(note.Note(text, (note.Signature(CARD_ORIGIN, key_id, signature),)))


def _check_card_name(name: str) -> None:
    if not 0 < len(name) <= MAX_CARD_NAME or not is_line(name) or name != name.strip():
        raise ValueError("a name on a card has 1 to 120 characters, and no control among them")


_CARD_LINES: Final = (
    "name",
    "created",
    "ed25519",
    "ml-dsa-44",
    "age",
    "ed25519-proof",
    "ml-dsa-44-proof",
)


def parse_card(data: bytes) -> Card:
    """Parse and check a card.

    Raises ``FormatError`` (of which ``UnsupportedVersionError`` for a later version's card), or
    ``SignatureError`` if any of its three signatures does not verify.
    """
    first = _LATER_CARD.match(data[:64].partition(b"\n")[0].decode("ascii", "replace"))
    if first and first[1] != "1":
        raise UnsupportedVersionError("card", f"version {first[1]}")
    if len(data) > _MAX_CARD:
        raise FormatError("card", "too long")
    try:
        signed = note.parse_note(data)
        values = _card_lines(signed.text)
        ed25519 = parse_base64(values["ed25519"])
        _check_own_signature(signed, ed25519)
        proven = ProvenKeys(
            PublicKeys(
                ed25519,
                parse_base64(values["ml-dsa-44"]),
                HybridRecipient.from_string(values["age"]).to_bytes(),
            ),
            parse_base64(values["ed25519-proof"]),
            parse_base64(values["ml-dsa-44-proof"]),
        )
        check_possession(proven)
    except (FormatError, SignatureError) as error:
        raise type(error)("card", error.why) from None
    return Card(values["name"], values["created"], proven, data)


def _card_lines(text: str) -> dict[str, str]:
    lines = text.split("\n")[:-1]
    if lines[0] != CARD_ORIGIN or len(lines) != len(_CARD_LINES) + 1:
        raise FormatError("card", "not a card of version 1")
    values = {}
    for label, line in zip(_CARD_LINES, lines[1:], strict=True):
        found, space, values[label] = line.partition(" ")
        if found != label or not space:
            raise FormatError("card", f"no line {label!r} where it belongs")
    try:
        _check_card_name(values["name"])
        if not _DATE.match(values["created"]):
            raise ValueError("the date is not YYYY-MM-DD")
        datetime.date.fromisoformat(values["created"])
    except ValueError as error:
        raise FormatError("card", str(error)) from None
    return values


def _check_own_signature(signed: note.Note, ed25519: bytes) -> None:
    key_id = note.key_id(CARD_ORIGIN, note.ED25519, ed25519)
    match signed.signatures:
        case (note.Signature(name, found_id, signature),) if (name, found_id) == (
            CARD_ORIGIN,
            key_id,
        ):
            note.verify_ed25519(ed25519, signed.text.encode("utf-8"), signature)
        case _:
            raise SignatureError("card", "not signed once, by its own key")


# --- the identity file ------------------------------------------------------------------------


def format_identity_file(
    identity: Identity, passphrase: Octets | Secret, work_factor: int = 18
) -> bytes:
    """Return an armored age file under a passphrase, whose plaintext is two lines:

    # EVAULT-SECRET-1…        the seed, Bech32
    AGE-SECRET-KEY-PQ-1…      the age identity derived from it

    so that ``age -d -i`` of any age that knows post-quantum keys takes it as an identity file.
    """
    recipient = age.ScryptRecipient(passphrase, work_factor)
    with closing(recipient), identity.key_lines() as plaintext:
        return age.encrypt_bytes(plaintext.view, [recipient], armored=True)


def parse_identity_file(
    data: bytes, passphrase: Octets | Secret, max_work_factor: int = 20
) -> Identity:
    """Decrypt and check an identity file.

    Raises the errors of :func:`vault.age.decrypt` (a wrong passphrase is
    ``NoIdentityMatchError``), and ``FormatError`` if the plaintext is not the two lines above or
    they do not agree.
    """
    with closing(age.ScryptIdentity(passphrase, max_work_factor)) as scrypt:
        try:
            plaintext = age.decrypt_secret(data, [scrypt], max_size=_MAX_IDENTITY_FILE)
        except (DecryptionError, FormatError) as error:
            raise type(error)("identity file", error.why) from None
    if plaintext is None:
        raise FormatError("identity file", "not a seed and an age identity")
    with plaintext:
        try:
            with parse_key_line(_HRP, plaintext.view[2:_LINE], 32) as seed:
                identity = Identity(seed.view)
        except FormatError:
            raise FormatError("identity file", "not a seed and an age identity") from None
        with identity.key_lines() as lines:
            if lines != plaintext:
                raise FormatError("identity file", "its two lines do not agree")
    return identity
