"""The names of the files in a vault (docs/spec.md, "Directory"); the one owner of paths.

Names use only ``[a-z0-9._-]`` and ``/`` and never differ by case alone, so that FAT, exFAT, NTFS
and object stores hold them.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BUNDLES",
    "CHECKPOINT",
    "FIELDS",
    "FORMAT_CONTENT",
    "FORMAT_NAME",
    "KEYS",
    "LOG",
    "MAX_CHECKPOINT",
    "PART_SIZE",
    "bundle_directory",
    "bundle_key_name",
    "epoch_name",
    "fields_name",
    "history_name",
    "key_name_in_bundle",
    "part_name",
    "part_name_in_bundle",
    "rekey_name",
]

FORMAT_NAME: Final = "FORMAT"
FORMAT_CONTENT: Final = b"evidence-vault/1\n"
LOG: Final = "log"
CHECKPOINT: Final = "log/checkpoint"
MAX_CHECKPOINT: Final = 65536
"""The most bytes that are read of a checkpoint; two signatures make it about 3.7 KiB."""
BUNDLES: Final = "bundles"
FIELDS: Final = "fields"
KEYS: Final = "keys"
PART_SIZE: Final = 2**30
"""Bytes in every part of an age file but the last: FAT32 holds no file of 4 GiB."""


def fields_name(sha256: bytes) -> str:
    """Return the name of the fields file with this digest."""
    digest = sha256.hex()
    return f"{FIELDS}/{digest[:2]}/{digest}"


def epoch_name(epoch: bytes) -> str:
    """Return the name of the file that holds an epoch's identity."""
    return f"{KEYS}/{epoch.hex()}"


def history_name(sha256: bytes) -> str:
    """Return the name of a file that grants earlier epochs to one reader."""
    return f"{KEYS}/{sha256.hex()}.history"


def rekey_name(sha256: bytes) -> str:
    """Return the name of the manifest of a rekeying."""
    return f"{KEYS}/{sha256.hex()}.files"


def bundle_directory(bundle: bytes) -> str:
    """Return the directory of a bundle."""
    return f"{BUNDLES}/{bundle.hex()}"


def part_name_in_bundle(number: int) -> str:
    """Return the name of a part below its bundle's directory."""
    return f"evidence.{number:04d}"


def part_name(bundle: bytes, number: int) -> str:
    """Return the name of part ``number`` (from 0) of a bundle's age file."""
    return f"{bundle_directory(bundle)}/{part_name_in_bundle(number)}"


def key_name_in_bundle(epoch: bytes, sha256: bytes) -> str:
    """Return the name of a key file below its bundle's directory."""
    return f"key.{epoch.hex()}.{sha256.hex()}"


def bundle_key_name(bundle: bytes, epoch: bytes, sha256: bytes) -> str:
    """Return the name of the key file of a bundle for an epoch."""
    return f"{bundle_directory(bundle)}/{key_name_in_bundle(epoch, sha256)}"
