"""The files of the demonstration and of the scale tests are real, and the same every time."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import wave
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from bench import corpus
from demo import material


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return material.make(tmp_path_factory.mktemp("material"))


def tree(directory: Path) -> dict[str, tuple[bytes, float]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_same_files_come_out_every_time(files: tuple[Path, ...], tmp_path: Path) -> None:
    material.make(tmp_path / "again")
    assert tree(files[0].parent) == tree(tmp_path / "again")


def test_the_picture_says_when_where_and_with_what_it_was_taken(files: tuple[Path, ...]) -> None:
    with Image.open(files[0]) as picture:
        picture.load()
        exif = picture.getexif()
    taken = exif.get_ifd(ExifTags.IFD.Exif)
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert exif[ExifTags.Base.Make] == "Sabz"
    assert taken[ExifTags.Base.DateTimeOriginal] == "2025:11:03 07:42:18"
    assert taken[ExifTags.Base.OffsetTimeOriginal] == "+05:00"
    assert place[ExifTags.GPS.GPSLatitudeRef] == "N"
    degrees, minutes, seconds = place[ExifTags.GPS.GPSLatitude]
    assert float(degrees + minutes / 60 + seconds / 3600) == pytest.approx(28.51372, abs=1e-5)
    assert files[0].stat().st_mtime == 1762137738


def test_the_recording_is_six_seconds_that_can_be_heard(files: tuple[Path, ...]) -> None:
    with wave.open(str(files[1])) as recording:
        assert recording.getnframes() == 6 * recording.getframerate()
        samples = memoryview(recording.readframes(recording.getnframes())).cast("h")
    assert 8000 < max(samples) < 32767


def test_the_cross_references_of_the_pages_lead_to_their_objects(files: tuple[Path, ...]) -> None:
    pdf = files[2].read_bytes()
    start = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    head, free, *used = pdf[start:].split(b"trailer")[0].splitlines()[1:]
    assert head.split() == [b"0", b"%d" % (1 + len(used))]
    assert free == b"0000000000 65535 f "
    for number, line in enumerate(used, 1):
        assert pdf[int(line.split()[0]) :].startswith(b"%d 0 obj" % number)
    assert pdf.count(b"/Type /Page ") == 2


def test_the_statement_is_urdu_in_its_composed_form_and_so_is_its_name(
    files: tuple[Path, ...],
) -> None:
    name, text = files[3].name, files[3].read_text()
    assert unicodedata.is_normalized("NFC", name + text)
    assert {unicodedata.bidirectional(c) for c in name if c.isalpha() and ord(c) > 127} == {"AL"}
    assert "فرضی" in text


def test_the_digest_of_the_film_held_elsewhere_is_of_real_bytes() -> None:
    digest, size = hashlib.sha256(), 0
    for block in material.HELD_ELSEWHERE.blocks():
        digest.update(block)
        size += len(block)
    assert (digest.hexdigest(), size) == (
        material.HELD_ELSEWHERE.sha256,
        material.HELD_ELSEWHERE.size,
    )


def test_a_corpus_is_exact_to_the_byte_and_repeatable(tmp_path: Path) -> None:
    made = corpus.make(tmp_path / "a", 8 << 20)
    corpus.make(tmp_path / "b", 8 << 20)
    written = tree(tmp_path / "a")
    assert sum(len(content) for content, _ in written.values()) == 8 << 20
    assert written == tree(tmp_path / "b")
    assert len(written) == len(made)
    assert {entry.kind for entry in made} == {"text", "picture", "recording"}


def test_another_seed_makes_another_corpus() -> None:
    assert list(corpus.plan(1 << 20, 1)) != list(corpus.plan(1 << 20, 2))


@pytest.mark.parametrize("size", [0, 1, 44, 450, 5000, 100_001])
def test_a_plan_of_any_size_adds_up(size: int) -> None:
    assert sum(entry.size for entry in corpus.plan(size, 7)) == size


def test_every_file_of_a_corpus_is_what_its_name_says(tmp_path: Path) -> None:
    for entry in corpus.make(tmp_path / "c", 6 << 20, 3):
        path = tmp_path / "c" / entry.path
        assert path.stat().st_size == entry.size
        if entry.kind == "picture":
            with Image.open(path) as picture:
                picture.load()
        elif entry.kind == "recording":
            with wave.open(str(path)) as recording:
                assert recording.getnframes() == entry.size - 44
        else:
            path.read_text()


def test_a_corpus_is_not_laid_over_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        corpus.make(tmp_path, 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("text", "size"), [("12", 12), ("3K", 3072), ("1G", 1 << 30)])
def test_a_size_is_read_and_written_in_powers_of_1024(text: str, size: int) -> None:
    assert corpus.parse_size(text) == size
    assert corpus.format_size(size) == text


@pytest.mark.parametrize("text", ["", "1.5G", "1g", "-1", "1 G", "\u0661", "1G\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        corpus.parse_size(text)
