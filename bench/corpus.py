"""A large folder of mixed real files: what an archive has after some years, in small.

Short texts in several scripts, pictures, recordings, a few very long recordings, in nested folders
with names in several scripts. The total is exact to the byte, and the same size and seed give the
same names, bytes and times (the pictures': with the same Pillow).

    python -m bench.corpus DIRECTORY --bytes 1G --seed 7 [--image 4500M]

``--image`` adds one raw image of a storage stick of that size, for what happens beyond 4 GiB.
Sizes take K, M and G for powers of 1024, as ``truncate`` and ``dd`` do.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import struct
import sys
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from demo.material import noise

__all__ = ["Entry", "format_size", "make", "make_image", "parse_size", "plan"]

Kind = Literal["text", "picture", "recording"]

_START: Final = datetime(2019, 3, 1, 6, 0, tzinfo=UTC)
_WAVE_HEADER: Final = 44  # bytes
_SUFFIX: Final[dict[Kind, str]] = {"text": ".txt", "picture": ".jpg", "recording": ".wav"}

# What file systems and archives meet: spaces, quotes, names from right to left, combining marks
# (one name is decomposed, as some systems store it), a character beyond 16 bits.
_FOLDERS: Final = (
    "بیانات",
    "Fotos días 1–3",
    "Свидетельства",
    "証言と音声",
    "चिकित्सा अभिलेख",
    "camera #2 (spare)",
    unicodedata.normalize("NFD", "Café de l'Étoile"),
    "שיחות",
    "2019-2024",
    "_scans",
    "🎥 rushes",
)
_STEMS: Final = (
    "IMG",
    "گواہ",
    "statement",
    "déposition",
    "запись",
    "証言",
    "note, 2nd copy",
    "a name as long as some people give, who describe the whole file in it so as to find it again",
    "मुलाक़ात",
)
_SENTENCES: Final = (
    "I was standing at the gate when the first car came. I did not see its number.",
    "میں نے یہ خود دیکھا۔ باقی بات مجھے پڑوسیوں نے بتائی۔",
    "No recuerdo la hora exacta; ya había amanecido.",
    "Я записал номер машины в тот же вечер.",
    "その日の朝、雨が降っていました。",
    "كنت في البيت عندما سمعت الصوت.",
    "उस दिन बाज़ार बंद था।",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file to be: its path below the directory, what it is, its size in bytes, its time."""

    path: str
    kind: Kind
    size: int
    modified: datetime
    picture: int = 0
    """Which of the pictures it shows, if it is one."""


# --- content ----------------------------------------------------------------------------------


@cache
def _pictures() -> tuple[bytes, ...]:
    """Return a few JPEG files from 5 kB to 4 MB; the corpus' pictures differ by a comment alone.

    Compressing every picture afresh would take longer than all else together.
    """
    made = []
    for index, width in enumerate((96, 320, 640, 1280, 1600, 2400, 3200)):
        height = width * 3 // 4
        grain = Image.frombytes(
            "RGB", (width, height), b"".join(noise(f"{width}", width * height * 3))
        )
        field = Image.linear_gradient("L").rotate(90 * index).resize((width, height))
        ground = Image.merge("RGB", (field, field.rotate(180), Image.new("L", (width, height), 99)))
        out = io.BytesIO()
        Image.blend(ground, grain, 0.35).save(out, "JPEG", quality=80)
        made.append(out.getvalue())
    return tuple(made)


def _commented(picture: bytes, comment: bytes) -> bytes:
    """Return the JPEG with a comment segment after its start (ITU-T T.81, B.2.4.5)."""
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + picture[2:]


def _wave_header(size: int) -> bytes:
    """Return the header of a WAV file of ``size`` bytes: 16 kHz, 8 bits, one channel."""
    data = size - _WAVE_HEADER
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 16_000, 1, 8, b"data", data),
    )


def _text(label: str, size: int) -> bytes:
    """Return ``size`` bytes of UTF-8 in whole characters."""
    chance = random.Random(label)  # noqa: S311 (reproducible, not secret)
    written = bytearray()
    while len(written) < size:
        written += chance.choice(_SENTENCES).encode()
        written += b"\n" if chance.random() < 0.3 else b" "
    whole = bytes(written[:size]).decode(errors="ignore").encode()
    return whole.ljust(size, b".")


def _content(entry: Entry, seed: int) -> Iterator[bytes]:
    label = f"{seed}/{entry.path}"
    if entry.kind == "text":
        yield _text(label, entry.size)
    elif entry.kind == "picture":
        yield _commented(_pictures()[entry.picture], entry.path.encode())
    else:
        yield _wave_header(entry.size)
        yield from noise(label, entry.size - _WAVE_HEADER)


# --- the plan ---------------------------------------------------------------------------------


def _place(chance: random.Random, number: int, kind: Kind) -> str:
    """Return a path that no other number has: up to four folders deep."""
    folders = [chance.choice(_FOLDERS) for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4)))]
    return "/".join([*folders, f"{chance.choice(_STEMS)} {number:06d}{_SUFFIX[kind]}"])


def plan(total: int, seed: int) -> Iterator[Entry]:
    """Yield files whose sizes add up to ``total`` bytes: of every ten, six texts, three pictures.

    Three long recordings come first and take 30 % of the whole.
    """
    chance = random.Random(seed)  # noqa: S311 (reproducible, not secret)
    left = total
    number = 0
    while left:
        number += 1
        kind: Kind = "recording"
        size = total // 10
        if number > 3 or size <= _WAVE_HEADER:
            kind = chance.choice(("text",) * 6 + ("picture",) * 3 + ("recording",))
            size = int(chance.lognormvariate(7, 1)) if kind == "text" else 0
            if kind == "recording":
                size = _WAVE_HEADER + 2 + int(chance.lognormvariate(14, 1))
        path = _place(chance, number, kind)
        picture = min(int(chance.expovariate(0.45)), len(_pictures()) - 1)
        if kind == "picture":
            size = len(_commented(_pictures()[picture], path.encode()))
        if size > left or (kind == "text" and left - size < 1024):
            # What is left over for a whole picture or recording is written down instead.
            kind, size = "text", min(left, 8192)
            path = _place(chance, number, kind)
        left -= size
        modified = _START + timedelta(seconds=chance.randrange(5 * 365 * 86_400))
        yield Entry(path, kind, size, modified, picture)


# --- writing ----------------------------------------------------------------------------------


def make(directory: Path, total: int, seed: int = 7) -> tuple[Entry, ...]:
    """Write the files of :func:`plan` below ``directory``, which must not exist.

    Raises ``FileExistsError`` when it does, and any other ``OSError`` as it comes.
    """
    directory.mkdir(parents=True)
    made = []
    for entry in plan(total, seed):
        path = directory / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, _content(entry, seed), entry.modified)
        made.append(entry)
    return tuple(made)


def make_image(path: Path, size: int, seed: int) -> None:
    """Write ``size`` bytes of noise, as the image of an encrypted storage stick; replaces."""
    _write(path, noise(f"{seed}/image", size), _START)


def _write(path: Path, content: Iterator[bytes], modified: datetime) -> None:
    with path.open("wb") as out:
        for block in content:
            out.write(block)
    os.utime(path, (modified.timestamp(), modified.timestamp()))


# --- the program ------------------------------------------------------------------------------

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMG]?)\Z", re.ASCII)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """Return the bytes that ``text`` names (``1G``, ``4500M``, ``12``), or raise ``ValueError``."""
    match = _SIZE.match(text)
    if not match:
        raise ValueError(f"not a size such as 500M: {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def format_size(size: int) -> str:
    """Return ``size`` in the largest unit that divides it."""
    unit = next(unit for unit in "GMK " if size % _UNITS[unit.strip()] == 0)
    return f"{size // _UNITS[unit.strip()]}{unit.strip()}"


def main() -> None:
    """Write a corpus where the command line says; print the seed and what was made."""
    parser = argparse.ArgumentParser(prog="python -m bench.corpus")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--bytes", type=parse_size, default="1G", metavar="SIZE")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--image", type=parse_size, metavar="SIZE")
    chosen = parser.parse_args()
    started = time.perf_counter()
    try:
        made = make(chosen.directory, chosen.bytes, chosen.seed)
        if chosen.image:
            make_image(chosen.directory / "stick.dd", chosen.image, chosen.seed)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    counts = ", ".join(f"{sum(e.kind == k for e in made)} {k}s" for k in _SUFFIX)
    image = f" and an image of {format_size(chosen.image)}" if chosen.image else ""
    print(
        f"seed {chosen.seed}: {format_size(chosen.bytes)} in {len(made)} files ({counts}){image}, "
        f"{time.perf_counter() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
