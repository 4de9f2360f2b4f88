"""A bundle's plaintext: a POSIX tar of one BagIt 1.0 bag (RFC 8493), then zeros (docs/spec.md).

The top directory is named by the bundle's id. In order: ``data/`` with one file for each item that
has content, named by the item's number, then ``bagit.txt``, ``bag-info.txt``,
``manifest-sha256.txt``, ``names.txt``, ``evidence.msgpack``, ``tagmanifest-sha256.txt``, the two
zero blocks that end a tar, and zeros to a Padmé length of at least 16 KiB. Every header is the one
that :func:`tar_header` makes, so a reader can demand all bytes to be as expected.

Written in one pass: digests are taken on the way and manifests come last.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from vault.codec import padme
from vault.errors import FormatError
from vault.pipeline import Buffer

__all__ = [
    "EVIDENCE_NAME",
    "MAX_ITEMS",
    "TAG_FILES",
    "BagReader",
    "BagWriter",
    "StoredItem",
    "extension_of",
    "item_path",
    "padded_size",
    "tag_files",
    "tar_header",
]

MAX_ITEMS: Final = 100_000
EVIDENCE_NAME: Final = "evidence.msgpack"
TAG_FILES: Final = (
    "bagit.txt",
    "bag-info.txt",
    "manifest-sha256.txt",
    "names.txt",
    EVIDENCE_NAME,
    "tagmanifest-sha256.txt",
)
_BLOCK: Final = 512
_MIN_SIZE: Final = 16384
_BAGIT: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9]{1,8})\Z", re.ASCII)
_MAX_OCTAL: Final = 0o77777777777  # what eleven octal digits hold: 8 GiB less one
_MAX_NAME: Final = 99


def tar_header(name: str, size: int, mtime: int) -> bytes:
    """Return the header of a regular file, or of a directory if ``name`` ends in a slash.

    POSIX.1-2001 ustar, a block of 512 bytes: owner 0 without a name, mode 0644 or 0755, ``mtime``
    held between 1970 and 2242. A size from 8 GiB on is 0 there, and stands in a pax extended header
    of two blocks before it. ``name`` is ASCII of at most 99 bytes, or ``ValueError``.
    """
    mtime = min(max(mtime, 0), _MAX_OCTAL)
    if name.endswith("/"):
        return _block(name, 0o755, size, mtime, b"5")
    if size <= _MAX_OCTAL:
        return _block(name, 0o644, size, mtime, b"0")
    # The length of a record counts its own digits; sizes of 10 to 19 digits make it two digits.
    value = f" size={size}\n"
    record = f"{len(value) + 2}{value}".encode("ascii")
    extended = _block("././@PaxHeader", 0, len(record), 0, b"x") + record.ljust(_BLOCK, b"\0")
    return extended + _block(name, 0o644, 0, mtime, b"0")


def _block(name: str, mode: int, size: int, mtime: int, kind: bytes) -> bytes:
    # Written out, and not by tarfile: a bag is compared byte by byte, in decades too, and tarfile
    # has changed what it puts into fields that do not matter.
    encoded = name.encode("ascii")
    if len(encoded) > _MAX_NAME:
        raise ValueError(f"a name of {len(encoded)} bytes in a tar header")
    before = encoded.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0" % (mode, 0, 0)
    before += b"%011o\0%011o\0" % (size, mtime)
    after = kind + bytes(100) + b"ustar\x0000" + bytes(247)
    # The checksum counts its own field as eight spaces.
    return before + b"%06o\0 " % (sum(before) + sum(after) + 8 * 0x20) + after


def padded_size(size: int) -> int:
    """Return the size of the plaintext whose members take ``size`` bytes."""
    return padme(max(_MIN_SIZE, size + 2 * _BLOCK))


def extension_of(name: str | bytes) -> str:
    """Return the file name extension (with its dot) as items keep it: ``[a-z0-9]{1,8}`` or none."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    found = _EXTENSION.search(text)
    return f".{found.group(1).lower()}" if found else ""


def item_path(number: int, name: str | bytes) -> str:
    """Return the path of item ``number`` in the bag."""
    return f"data/{number:06d}{extension_of(name)}"


@final
@dataclass(frozen=True, slots=True)
class StoredItem:
    """Where an item's content lies: path in the bag, offset in the plaintext, size, SHA-256."""

    path: str
    offset: int
    size: int
    sha256: bytes


def tag_files(
    top: str, time: int, manifest: str, payload: int, names: bytes, evidence: Buffer
) -> tuple[Buffer, ...]:
    """Return the contents of ``TAG_FILES``, which all follow from these values.

    ``manifest`` has a line for each payload file, ``payload`` is their size in bytes.
    """
    date = datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()
    info = (
        f"Bagging-Date: {date}\n"
        f"External-Identifier: {top}\n"
        f"Payload-Oxum: {payload}.{manifest.count(chr(10))}\n"
    )
    contents = (_BAGIT, info.encode(), manifest.encode(), names, evidence)
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in zip(TAG_FILES, contents, strict=False)
    )
    return (*contents, lines.encode())


@final
class BagWriter:
    """Writes the plaintext of a bundle to ``write``, in one pass.

    For each item :meth:`begin`, then :meth:`add` until its size is reached, then :meth:`end`; at
    last :meth:`finish`. A wrong order or size is ``ValueError``.
    """

    def __init__(self, bundle: bytes, time: int, write: Callable[[Buffer], object]) -> None:
        self._top = bundle.hex()
        self._time = min(max(time, 0), _MAX_OCTAL)  # as the headers hold it
        self._write = write
        self._manifest: list[str] = []
        self._payload = 0
        self._item: tuple[str, int, int] | None = None
        self._digest = hashlib.sha256()
        self.offset = 0
        self._put(tar_header(f"{self._top}/", 0, self._time))
        self._put(tar_header(f"{self._top}/data/", 0, self._time))

    def _put(self, data: Buffer) -> None:
        self._write(data)
        self.offset += len(data)

    def begin(self, path: str, size: int, mtime: int) -> None:
        """Start the content of an item at ``path`` (below the top), of exactly ``size`` bytes."""
        if self._item is not None:
            raise ValueError("an item is open")
        self._put(tar_header(f"{self._top}/{path}", size, mtime))
        self._item = (path, self.offset, size)
        self._digest = hashlib.sha256()

    def add(self, data: Buffer) -> None:
        """Write some of the item's content."""
        self._digest.update(data)
        self._put(data)

    def end(self) -> StoredItem:
        """Finish the item; raise ``ValueError`` if its size is not the declared one."""
        if self._item is None:
            raise ValueError("no item is open")
        path, start, size = self._item
        if self.offset - start != size:
            raise ValueError("not the declared size")
        self._put(bytes(-size % _BLOCK))
        self._item = None
        stored = StoredItem(path, start, size, self._digest.digest())
        self._manifest.append(f"{stored.sha256.hex()}  {path}\n")
        self._payload += size
        return stored

    def finish(self, names: bytes, evidence: Buffer) -> tuple[int, int]:
        """Write the tag files and the padding; return the offset of ``evidence.msgpack`` and the
        size of the whole plaintext.
        """
        if self._item is not None:
            raise ValueError("an item is open")
        contents = tag_files(
            self._top, self._time, "".join(self._manifest), self._payload, names, evidence
        )
        evidence_offset = 0
        for name, content in zip(TAG_FILES, contents, strict=True):
            self._put(tar_header(f"{self._top}/{name}", len(content), self._time))
            if name == EVIDENCE_NAME:
                evidence_offset = self.offset
            self._put(content)
            self._put(bytes(-len(content) % _BLOCK))
        total = padded_size(self.offset)
        zeros = bytes(65536)
        while self.offset < total:
            self._put(zeros[: total - self.offset])
        return evidence_offset, total


@final
class BagReader:
    """Reads a plaintext from its start and demands every byte that is not content to be canonical.

    ``read(n)`` returns up to ``n`` bytes. :meth:`item` for each item with content, in order, then
    :meth:`finish`. Raises ``FormatError`` (what is wrong, at which member).
    """

    def __init__(self, bundle: bytes, read: Callable[[int], bytes]) -> None:
        self._top = bundle.hex()
        self._read = read
        self._manifest: list[str] = []
        self._payload = 0
        self.offset = 0
        self._time = self._header("", 0)
        self._header("data/", 0, self._time)

    def _exactly(self, size: int, where: str) -> bytes:
        pieces = []
        while size:
            piece = self._read(size)
            if not piece:
                raise FormatError("bag", "ends early", where)
            pieces.append(piece)
            size -= len(piece)
            self.offset += len(piece)
        return b"".join(pieces)

    def _header(self, path: str, size: int, time: int | None = None) -> int:
        """Read past a header; demand ``time`` if it is given; return the time found."""
        name = f"{self._top}/{path}"
        found = self._exactly(len(tar_header(name, size, 0)), path)
        # An item's time alone is free: it is taken as found, and the whole header made with it.
        octal = found[-_BLOCK:][136:147]
        if re.fullmatch(rb"[0-7]{11}", octal) is None:
            raise FormatError("bag", "not a tar header", path)
        stated = int(octal, 8)
        if tar_header(name, size, stated if time is None else time) != found:
            raise FormatError("bag", "not the tar header that belongs there", path)
        return stated

    def item(self, path: str, size: int) -> bytes:
        """Read past the next item's content; return its SHA-256."""
        self._header(path, size)
        digest = hashlib.sha256()
        left = size
        while left:
            piece = self._exactly(min(left, 2**20), path)
            digest.update(piece)
            left -= len(piece)
        self._zeros(-size % _BLOCK, path)
        self._manifest.append(f"{digest.hexdigest()}  {path}\n")
        self._payload += size
        return digest.digest()

    def _zeros(self, size: int, where: str) -> None:
        if any(self._exactly(size, where)):
            raise FormatError("bag", "padding is not zero", where)

    def finish(self, names: bytes, evidence: Buffer) -> tuple[int, int]:
        """Check the tag files, which follow from the items, and the padding up to the end.

        Returns the offset of ``evidence.msgpack`` and the size of the whole, as the writer does.
        """
        contents = tag_files(
            self._top, self._time, "".join(self._manifest), self._payload, names, evidence
        )
        evidence_offset = 0
        for name, content in zip(TAG_FILES, contents, strict=True):
            self._header(name, len(content), self._time)
            if name == EVIDENCE_NAME:
                evidence_offset = self.offset
            if self._exactly(len(content), name) != bytes(content):
                raise FormatError("bag", "does not follow from the items", name)
            self._zeros(-len(content) % _BLOCK, name)
        total = padded_size(self.offset)
        while self.offset < total:
            self._zeros(min(total - self.offset, 65536), "padding")
        if self._read(1):
            raise FormatError("bag", "goes on after its end", "padding")
        return evidence_offset, total
