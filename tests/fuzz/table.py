"""The table of targets, and what they are made of: fixed keys, sources, sinks, comparisons."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vault import age
from vault.identity import Identity

__all__ = [
    "BUNDLE",
    "BUNDLE_KEY",
    "EPOCH",
    "FILE_KEY",
    "ME",
    "NONCE",
    "PASSPHRASE",
    "TARGETS",
    "Sink",
    "Target",
    "pieces",
    "same",
    "target",
    "text_of",
]

Error = type[BaseException]


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` takes any bytes and raises nothing but ``raises``; ``short`` is how many mutations of
    each file of its corpus the short form tries, ``longest`` the bytes of an input of the long.
    """

    name: str
    run: Callable[[bytes], None]
    raises: tuple[Error, ...]
    short: int
    longest: int


TARGETS: Final[dict[str, Target]] = {}


def target(
    *raises: Error, short: int = 150, longest: int = 65536
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Put a function into the table, under its name with hyphens."""

    def put(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = run.__name__.strip("_").replace("_", "-")
        TARGETS[name] = Target(name, run, raises, short, longest)
        return run

    return put


def text_of(data: bytes) -> str:
    """Return bytes as text; those that are not UTF-8 as surrogates."""
    return data.decode("utf-8", "surrogateescape")


ME: Final = Identity(b"\x01" * 32)
FILE_KEY: Final = b"\x0a" * 16
NONCE: Final = b"\x0b" * 16
EPOCH: Final = b"\x0e" * 8
BUNDLE: Final = b"\xb0" * 16
BUNDLE_KEY: Final = age.HybridIdentity.from_seed(b"\x0c" * 32)
PASSPHRASE: Final = b"six words that nobody ever said"


def same(one: object, two: object) -> None:
    """Raise ``AssertionError`` unless what was formatted again is what was parsed."""
    if one != two:
        raise AssertionError(f"parsed and not canonical: {one!r:.200} {two!r:.200}")


def pieces(data: bytes, size: int) -> io.RawIOBase:
    """Return a source that gives at most ``size`` bytes at a time."""

    class Pieces(io.RawIOBase):
        place = 0

        def read(self, most: int = -1, /) -> bytes:
            found = data[self.place : self.place + min(most, size)]
            self.place += len(found)
            return found

    return Pieces()


class Sink:
    """A file as a sink of the age writer."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def write(self, data: memoryview, /) -> None:
        self._file.write(data)
