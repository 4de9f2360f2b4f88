"""Four real files and one digest, as a reporter would bring them home from one morning.

    IMG_20251103_074218.jpg   a picture with Exif: camera, serial number, time with offset, position
    REC_0007.wav              six seconds of sound, 16 kHz, 16 bits, one channel
    record-of-damage.pdf      two pages of text
    گواہ کا بیان.txt             a witness's statement in Urdu
    FLIGHT_0042.MP4           not written: a large video held elsewhere, known by its SHA-256

Everything is drawn, synthesised or written here for this repository (Apache-2.0); the people, the
places and the events are invented, and the position is a point in a desert where no one lives.
The same bytes come out every time (the picture's: with the same Pillow), with the same times on
the files.

    python -m demo.material DIRECTORY
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import sys
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from demo.pdf import format_pdf

__all__ = ["HELD_ELSEWHERE", "STATEMENT_NAME", "HeldElsewhere", "make", "noise", "sound"]

_ZONE: Final = timezone(timedelta(hours=5))
_TAKEN: Final = datetime(2025, 11, 3, 7, 42, 18, tzinfo=_ZONE)
_RECORDED: Final = datetime(2025, 11, 3, 7, 44, 5, tzinfo=_ZONE)
_SURVEYED: Final = datetime(2025, 11, 4, 16, 30, tzinfo=_ZONE)
_STATED: Final = datetime(2025, 11, 5, 11, 15, tzinfo=_ZONE)

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """A file that exists, but not here: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    def blocks(self) -> Iterator[bytes]:
        """Yield the content whose digest this is (noise in the place of a video)."""
        return noise(self.name, self.size)


HELD_ELSEWHERE: Final = HeldElsewhere(
    name="FLIGHT_0042.MP4",
    size=256 << 20,
    sha256="1c405e9588e124b7880dee04fd1937408c77734e097dacb0a4d5183223fc4260",
)


def noise(label: str, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes that look random and depend on ``label`` alone, a MiB at a time."""
    for index in range(-(-size // _BLOCK)):
        length = min(_BLOCK, size - index * _BLOCK)
        yield hashlib.shake_128(f"{label}/{index}".encode()).digest(length)


# --- the picture ------------------------------------------------------------------------------

_WIDTH: Final = 1600
_HEIGHT: Final = 1200
_HORIZON: Final = 560


def _draw() -> Image.Image:
    """Return a street after a demolition: houses, one of them fallen, under a morning sky."""
    chance = random.Random(42)  # noqa: S311 (rubble, not a key)
    image = Image.new("RGB", (_WIDTH, _HEIGHT))
    draw = ImageDraw.Draw(image)
    for y in range(_HEIGHT):
        if y < _HORIZON:
            t = y / _HORIZON
            colour = (int(126 + 110 * t), int(158 + 52 * t), int(196 - 22 * t))
        else:
            t = (y - _HORIZON) / (_HEIGHT - _HORIZON)
            colour = (int(176 - 34 * t), int(150 - 36 * t), int(116 - 34 * t))
        draw.line([(0, y), (_WIDTH, y)], fill=colour)
    draw.ellipse([1240, 300, 1330, 390], fill=(255, 240, 206))
    hills = [
        (x, _HORIZON - 40 - int(34 * math.sin(x / 170) + 18 * math.sin(x / 61)))
        for x in range(0, _WIDTH + 1, 8)
    ]
    draw.polygon([(0, _HORIZON), *hills, (_WIDTH, _HORIZON)], fill=(150, 143, 140))

    for left, top, right, colour in (
        (40, 400, 330, (190, 150, 112)),
        (350, 350, 600, (203, 170, 128)),
        (1130, 380, 1390, (196, 156, 120)),
        (1410, 420, 1600, (181, 141, 106)),
    ):
        shade = tuple(int(c * 0.72) for c in colour)
        draw.rectangle([left, top, right, 760], fill=colour)
        draw.rectangle([left, top, left + 26, 760], fill=shade)
        draw.rectangle([left - 8, top - 16, right + 8, top + 6], fill=shade)
        middle = (left + right) // 2
        draw.rectangle([middle - 34, 620, middle + 34, 760], fill=(74, 92, 88))
        for x in range(left + 50, right - 50, 96):
            draw.rectangle([x, top + 60, x + 46, top + 128], fill=(66, 60, 58))
            draw.line([(x + 23, top + 60), (x + 23, top + 128)], fill=shade, width=4)

    # The fallen house: two standing corners of its wall, and what was between them.
    draw.polygon(
        [(640, 760), (640, 430), (700, 450), (716, 560), (760, 600), (770, 760)],
        fill=(188, 150, 116),
    )
    draw.polygon(
        [(1100, 760), (1100, 500), (1060, 520), (1046, 640), (1010, 680), (1000, 760)],
        fill=(176, 138, 106),
    )
    for _ in range(520):
        x = int(chance.triangular(630, 1120, 870))
        depth = 150 - abs(x - 870) * 0.45
        y = 790 - int(chance.random() * max(depth, 20)) + chance.randrange(40)
        size = chance.randrange(8, 34)
        tone = chance.randrange(96, 190)
        draw.polygon(
            [
                (x, y),
                (x + size, y - chance.randrange(size)),
                (x + size + 6, y + size // 2),
                (x + size // 3, y + size // 2 + 4),
            ],
            fill=(tone, int(tone * 0.83), int(tone * 0.68)),
        )
    for x, y in ((700, 742), (812, 700), (930, 716)):
        draw.line([(x, y), (x + 170, y - 64)], fill=(92, 70, 52), width=10)

    draw.polygon([(0, 1010), (_WIDTH, 900), (_WIDTH, 1080), (0, _HEIGHT)], fill=(124, 108, 92))
    for x in range(0, _WIDTH, 200):
        draw.line(
            [(x, 1104 - x * 0.0655), (x + 90, 1098 - x * 0.0655)], fill=(168, 150, 126), width=6
        )
    grain = Image.frombytes("L", (_WIDTH, _HEIGHT), b"".join(noise("grain", _WIDTH * _HEIGHT)))
    return Image.blend(image, Image.merge("RGB", (grain, grain, grain)), 0.05)


def _degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Return ``value`` as Exif writes it: degrees, minutes, seconds to a hundredth."""
    hundredths = round(value * 360_000)
    return (
        IFDRational(hundredths // 360_000, 1),
        IFDRational(hundredths // 6000 % 60, 1),
        IFDRational(hundredths % 6000, 100),
    )


def _exif() -> Image.Exif:
    """Return what a camera writes (Exif 2.32, sections 4.6.4 to 4.6.6: TIFF, Exif, GPS)."""
    local = f"{_TAKEN:%Y:%m:%d %H:%M:%S}"
    universal = _TAKEN.astimezone(UTC)
    exif = Image.Exif()
    base, gps = ExifTags.Base, ExifTags.GPS
    exif.update(
        {
            base.ImageDescription: "Drawn for a demonstration; not a photograph",
            base.Make: "Sabz",
            base.Model: "Field 2",
            base.Orientation: 1,
            base.Software: "Field 2 firmware 1.4",
            base.DateTime: local,
            base.Copyright: "Evidence Vault contributors, Apache-2.0",
        }
    )
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            base.ExposureTime: IFDRational(1, 250),
            base.FNumber: IFDRational(28, 10),
            base.ISOSpeedRatings: 160,
            base.ExifVersion: b"0232",
            base.DateTimeOriginal: local,
            base.DateTimeDigitized: local,
            base.OffsetTime: "+05:00",
            base.OffsetTimeOriginal: "+05:00",
            base.OffsetTimeDigitized: "+05:00",
            base.SubsecTimeOriginal: "370",
            base.FocalLength: IFDRational(35, 1),
            base.ExifImageWidth: _WIDTH,
            base.ExifImageHeight: _HEIGHT,
            base.BodySerialNumber: "SF2-0041873",
        }
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            gps.GPSVersionID: b"\x02\x03\x00\x00",
            gps.GPSLatitudeRef: "N",
            gps.GPSLatitude: _degrees(28.51372),
            gps.GPSLongitudeRef: "E",
            gps.GPSLongitude: _degrees(71.48816),
            gps.GPSAltitudeRef: b"\x00",
            gps.GPSAltitude: IFDRational(1180, 10),
            gps.GPSTimeStamp: tuple(
                IFDRational(int(f"{universal:{part}}"), 1) for part in ("%H", "%M", "%S")
            ),
            gps.GPSImgDirectionRef: "T",
            gps.GPSImgDirection: IFDRational(2140, 10),
            gps.GPSMapDatum: "WGS-84",
            gps.GPSDateStamp: f"{universal:%Y:%m:%d}",
        }
    )
    return exif


# --- the sound --------------------------------------------------------------------------------


def sound(seconds: float, rate: int = 16_000) -> bytes:
    """Return 16-bit little-endian samples of one channel: an engine, wind, three bell strokes."""
    count = int(seconds * rate)
    hiss = array("h", b"".join(noise("wind", 2 * count)))
    samples = array("h")
    wind = 0.0
    for i in range(count):
        t = i / rate
        wind += (hiss[i] / 32768 - wind) * 0.08
        engine = math.sin(math.tau * 46 * t) + 0.5 * math.sin(math.tau * 92.7 * t + 1)
        value = 0.16 * engine * (1 + 0.3 * math.sin(math.tau * 0.7 * t))
        value += 0.9 * wind * (0.6 + 0.4 * math.sin(math.tau * 0.23 * t))
        for start in (1.0, 2.4, 3.8):
            if t >= start:
                value += (
                    0.22 * math.exp(-2.2 * (t - start)) * math.sin(math.tau * 523 * (t - start))
                )
        samples.append(max(-32767, min(32767, round(value * 26_000))))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


# --- the pages and the statement --------------------------------------------------------------

_PAGES: Final = (
    (
        "Record of damage",
        (
            "Basti Nur Pur, Street 4 and the lane behind it",
            "",
            "Kept by the residents' committee. Surveyed on 4 November 2025,",
            "from 14:00 to 16:30, by two volunteers on foot, who wrote down",
            "what they saw and kept apart what they were told.",
            "",
            "What we saw",
            "Four houses have been knocked down: numbers 11, 12, 14 and 15.",
            "Of number 12 two corners still stand. The water pipe of the lane",
            "is broken at number 14. No notice is posted in the street.",
            "",
            "What we were told",
            "Residents of numbers 12 and 15 say that two machines came on",
            "Monday, 3 November, before eight in the morning, and that they",
            "were given ten minutes. We did not see this ourselves.",
            "",
            "Photographs, a sound recording and a flight over the lane made by",
            "others on 3 November are kept with this record. The flight is",
            "held by the pilot; of it, only the SHA-256 is with us.",
        ),
    ),
    (
        "Record of damage: houses",
        (
            "No.   Rooms   People   State on 4 November 2025",
            "11      3       7      down to the floor",
            "12      2       5      two corners of the front wall stand",
            "14      2       4      down to the floor; water pipe broken",
            "15      4       9      down; the family's papers not found",
            "",
            "Numbers 10, 13 and 16 stand and are lived in.",
            "",
            "Read over by both volunteers and found right.",
        ),
    ),
)
_FOOT: Final = "Made for a demonstration of Evidence Vault. People, places and events are invented."

STATEMENT_NAME: Final = "گواہ کا بیان.txt"
_STATEMENT: Final = Path(__file__).with_name("statement.txt")


# --- all of it --------------------------------------------------------------------------------


def make(directory: Path) -> tuple[Path, ...]:
    """Write the four files into ``directory`` (made if absent) and return their paths by name.

    A file of the same name is replaced. Raises ``OSError``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    picture = directory / f"IMG_{_TAKEN:%Y%m%d_%H%M%S}.jpg"
    _draw().save(picture, quality=88, exif=_exif())
    recording = directory / "REC_0007.wav"
    with wave.open(str(recording), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(sound(6))
    record = directory / "record-of-damage.pdf"
    record.write_bytes(format_pdf("Record of damage", _SURVEYED, _PAGES, _FOOT))
    statement = directory / STATEMENT_NAME
    statement.write_bytes(_STATEMENT.read_bytes())
    made = {picture: _TAKEN, recording: _RECORDED, record: _SURVEYED, statement: _STATED}
    for path, moment in made.items():
        os.utime(path, (moment.timestamp(), moment.timestamp()))
    return tuple(made)


def main() -> None:
    """Write the files where the command line says and name them."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.material", description=__doc__.split("\n")[0]
    )
    parser.add_argument("directory", type=Path)
    for path in make(parser.parse_args().directory):
        print(path)
    print(f"held elsewhere: {HELD_ELSEWHERE.sha256}:{HELD_ELSEWHERE.name}")


if __name__ == "__main__":
    main()
