"""The verdict of one input, and seeded mutations of a corpus."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS, Target

__all__ = ["CORPUS", "LONGEST", "FindingError", "all_targets", "corpus_of", "judge", "mutated"]

CORPUS: Final = Path(__file__).with_name("corpus")
LONGEST: Final = 2.0
"""Seconds of processor time that a parser may take; what others do with the machine is not its."""

_TOKENS: Final = (
    b"\n",
    b"\n\n",
    b"\r\n",
    b" ",
    b"\x00",
    b"-> ",
    b"---",
    b"\xe2\x80\x94 ",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"=",
    b"-1",
    b"18446744073709551616",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc0",
    b"\xcb\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x91" * 40,
    b"[" * 400,
)


class FindingError(AssertionError):
    """An input whose verdict is neither a return nor a documented error, or that took too long."""


def judge(target: Target, data: bytes) -> bool:
    """Return whether ``target`` takes ``data``; raise ``FindingError`` if it does otherwise than it
    may.
    """
    start = time.process_time()
    taken = False
    try:
        target.run(data)
        taken = True
    except target.raises:
        pass
    except Exception as error:
        raise FindingError(
            f"{target.name}: {type(error).__name__}: {error!s:.200} for {data[:200].hex()}"
            f" ({len(data)} bytes)"
        ) from error
    spent = time.process_time() - start
    if spent > LONGEST:
        raise FindingError(f"{target.name}: {spent:.1f} s for {data[:200].hex()}")
    return taken


def corpus_of(target: Target) -> dict[str, bytes]:
    """Return the kept files of a target, by name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target.name).glob("*.bin"))}


def mutated(files: Sequence[bytes], count: int, seed: object) -> Iterator[bytes]:
    """Yield ``count`` mutations of each file: some edits of bytes, pieces, or words of formats."""
    chance = random.Random(f"{seed}")
    for file in files:
        for _ in range(count):
            data = bytearray(file)
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                _edit(data, chance, files)
            yield bytes(data)


def _edit(data: bytearray, chance: random.Random, files: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 2, 8, 64)))
    match chance.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice((0, 1, 0x20, 0x30, 0x7F, 0x80, 0xC1, 0xFF, data[at] + 1 & 255))
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = chance.randbytes(end - at)
        case 4:
            data[at:at] = data[at:end]
        case 5:
            data[at:at] = chance.choice(_TOKENS)
        case 6:
            del data[at:]
        case _:
            other = chance.choice(files)
            place = chance.randrange(len(other) + 1)
            data[at:end] = other[place : place + chance.choice((1, 4, 32, 256))]


def all_targets() -> tuple[Target, ...]:
    """Return the targets in the order of the table."""
    return tuple(TARGETS.values())
