"""What a sheet tells the person who holds it, in whatever form it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from vault.recovery.shares import WORDS

__all__ = [
    "FIRST_OF_ALL",
    "PROGRAM",
    "QR",
    "READING",
    "TITLE",
    "WORDS_HEADING",
    "Program",
    "Section",
    "Steps",
    "sections",
]

TITLE: Final = "EVIDENCE VAULT: ONE SHARE OF AN IDENTITY"
FIRST_OF_ALL: Final = "Keep this paper, and keep it secret. Alone it opens nothing."
WORDS_HEADING: Final = "THE WORDS OF THIS SHARE"
READING: Final = (
    "Read them across: 1, 2, 3. All sheets of this split begin with the same two words."
)
QR: Final = "This code is the same words: cover it, never photograph it."

PROGRAM: Final = """\
import hashlib, hmac
def derive(what):
    key = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    info = b"evidence-vault/v1/" + what
    return hmac.new(key, info + b"\\x01", hashlib.sha256).digest()
def polymod(values):
    c = 1
    for v in values:
        top, c = c >> 25, (c & 0x1ffffff) << 5 ^ v
        for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
                               0x3d4233dd, 0x2a1462b3)):
            c ^= g if top >> i & 1 else 0
    return c
secret = bytes.fromhex(input("Master secret: "))
name = "age-secret-key-pq-"
bits = int.from_bytes(derive(b"age"), "big") << 4
data = [bits >> 5 * i & 31 for i in reversed(range(52))]
head = [ord(c) >> 5 for c in name] + [0] + [ord(c) & 31 for c in name]
check = polymod(head + data + [0] * 6) ^ 1
data += [check >> 5 * (5 - i) & 31 for i in range(6)]
letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
print((name + "1" + "".join(letters[d] for d in data)).upper())
print("Ed25519 private key:", derive(b"ed25519").hex())"""
"""HKDF with no salt has 32 zero bytes in its place (RFC 5869), and one block is all of its output.
A key of 256 bits makes 52 groups of five bits, the last filled up with four zeros.
"""


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """Points of a list."""

    items: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Program:
    """Lines that count as they stand."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it: paragraphs, lists, programs."""

    heading: str
    blocks: tuple[str | Steps | Program, ...]


_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def _number(value: int) -> str:
    return _NUMBERS[value] if value < len(_NUMBERS) else str(value)


def sections(threshold: int, count: int, ed25519: bytes) -> tuple[Section, ...]:
    """Return the sections that follow the words; the last is for those without this software."""
    needed = _number(threshold)
    fewer = (
        "One share alone tells nothing about it."
        if threshold == 2
        else f"No one share, and no set of fewer than {needed}, tells anything about it."
    )
    return (
        Section(
            "What this is",
            (
                "An identity is the secret key of one person or device in a vault of evidence. "
                f"This one was split into {_number(count)} shares. Any {needed} of them together "
                f"give the key back, without a passphrase. {fewer}",
                "It is useless without a copy of the vault: the key opens what was sealed there "
                "for its owner, and signs there in the owner's name. It opens nothing else.",
            ),
        ),
        Section(
            "How to keep it",
            (
                Steps(
                    (
                        "Not with the other shares: not in one place, not with one person, not all "
                        f"in one country or under one court. Whoever can come to {needed} of them "
                        "has the key.",
                        "Not with the vault, and not with the device that the vault or the "
                        "identity is on.",
                        "On paper only: no photograph, no scan, no message, no cloud. Dry and dark "
                        "it lasts for decades.",
                        "If it is lost or was seen, tell the owner at once. A share can't be taken "
                        "back: the owner's key must be replaced in the vault, and a new one split.",
                    )
                ),
            ),
        ),
        Section(
            "To get the key back",
            (
                f"Bring {needed} sheets together, at a computer that you trust and that is "
                "offline. Run",
                Program("evault recover join -o identity.age"),
                "and type the words. It makes an identity file and prints a fingerprint: it must "
                "be the one on this sheet. To try the shares without making a file:",
                Program("evault recover drill VAULT"),
            ),
        ),
        Section(
            "Without this software",
            (
                f"1. The {WORDS} words are a share of SLIP-39 (Shamir's secret sharing for "
                "mnemonic codes; SatoshiLabs): one group, no passphrase. Any tool for SLIP-39 "
                f"makes of {needed} such shares the master secret: 32 bytes, written as 64 "
                "hexadecimal digits. Where it asks for a passphrase, leave it empty. One such tool "
                "is the Python package shamir-mnemonic[cli] (0.3.0), with the command: shamir "
                "recover",
                "2. HKDF-SHA-256 (RFC 5869) of the master secret, without salt (that is: 32 zero "
                "bytes), 32 bytes long, gives the keys. They differ in the info, which is ASCII:",
                Steps(
                    (
                        "evidence-vault/v1/age: the age key, which opens",
                        "evidence-vault/v1/ed25519: the Ed25519 private key (the seed of RFC "
                        "8032), which signs events",
                        "evidence-vault/v1/ml-dsa-44: the seed (FIPS 204) of the ML-DSA-44 key, "
                        "which signs checkpoints",
                    )
                ),
                "All went well if the Ed25519 private key has this public key:",
                Program(ed25519.hex()),
                "3. The age key, in Bech32 (BIP 173, of any length) under the name "
                "age-secret-key-pq- and in capitals, is one line that begins with "
                "AGE-SECRET-KEY-PQ-1. This Python program, which needs nothing else, does steps 2 "
                "and 3:",
                Program(PROGRAM),
                "4. Put that line into a file, key.txt. With age (age-encryption.org) 1.3 or later",
                Program("age -d -i key.txt FILE"),
                "opens those files in the vault's folder keys/ that are for this key. In them are "
                "keys that open bundles/*/key.*, and in those the keys to bundles/*/evidence.*, "
                "which are the parts of a tar file. Delete key.txt when you are done: it has no "
                "passphrase.",
            ),
        ),
    )
