"""A disk of one file, each write and flush of which is kept, in order: a FUSE file system of ours.

    python -m tests.crash.logged_disk FOLDER SIZE LOG

mounts a file system on FOLDER with two files: ``disk``, of SIZE bytes, which a loop device or a
driver works on, and ``mark``: what is written there is a mark in the log. Every write bypasses the
page cache (``FOPEN_DIRECT_IO``), so the log has what the driver did, in its order. LOG is a file
that grows by one record for each write, flush and mark. It needs root and ``/dev/fuse``; the
numbers are those of the kernel's ``include/uapi/linux/fuse.h``, protocol 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["Record", "read_log", "serve"]

_HEADER: Final = struct.Struct("<IIQQIIII")
_REPLY: Final = struct.Struct("<IiQ")
_ATTRIBUTES: Final = struct.Struct("<6Q10I")
_IO: Final = struct.Struct("<QQIIQII")
_RECORD: Final = struct.Struct("<cQQ")
_LOOKUP, _FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS, _RELEASE = (
    1, 2, 3, 4, 14, 15, 16, 17, 18
)  # fmt: skip
_FSYNC, _FLUSH, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _DESTROY, _FORGETS = (
    20, 25, 26, 27, 28, 29, 36, 38, 42
)  # fmt: skip
_ROOT, _DISK, _MARK = 1, 2, 3
_NAMES: Final = {b"disk": _DISK, b"mark": _MARK}
_LONGEST: Final = 1 << 17
_DIRECT: Final = 1
"""``FOPEN_DIRECT_IO``"""
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22


@dataclass(frozen=True, slots=True)
class Record:
    """What reached the disk: data at an offset, a flush, or a mark (its bytes in ``data``)."""

    kind: Literal["write", "flush", "mark"]
    offset: int = 0
    data: bytes = b""


_KINDS: Final[dict[bytes, Literal["write", "flush", "mark"]]] = {
    b"W": "write",
    b"F": "flush",
    b"M": "mark",
}


def read_log(path: Path) -> Iterator[Record]:
    """Yield the records of a log."""
    with path.open("rb") as file:
        while head := file.read(_RECORD.size):
            kind, offset, size = _RECORD.unpack(head)
            yield Record(_KINDS[kind], offset, file.read(size))


class _Server:
    def __init__(self, device: int, size: int, log: Path) -> None:
        self._device = device
        self._size = size
        self._log = log.open("wb", buffering=0)
        self._disk = os.open(log.with_suffix(".disk"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.ftruncate(self._disk, size)

    def run(self) -> None:
        while True:
            try:
                request = os.read(self._device, _LONGEST + 8192)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                raise
            _, opcode, unique, node, *_ = _HEADER.unpack_from(request)
            body = request[_HEADER.size :]
            if opcode in (_FORGET, _FORGETS, _INTERRUPT):
                continue
            try:
                answer, failed = self._answer(opcode, node, body), 0
            except OSError as error:
                answer, failed = b"", error.errno or errno.EIO
            reply = _REPLY.pack(_REPLY.size + len(answer), -failed, unique) + answer
            try:
                os.write(self._device, reply)
            except OSError as error:
                if error.errno != errno.ENOENT:  # nobody waits for it any more
                    raise
            if opcode == _DESTROY:
                return

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        match opcode:
            case 26:
                flags = _BIG_WRITES | _MAX_PAGES
                numbers = (7, 31, 1 << 16, flags, 12, 9, _LONGEST, 1, _LONGEST // 4096, 0)
                return struct.pack("<4I2H2I2H8I", *numbers, *[0] * 8)
            case 1:
                found = _NAMES.get(body.rstrip(b"\0"))
                if found is None:
                    raise OSError(errno.ENOENT, "no such file")
                return struct.pack("<4Q2I", found, 0, 3600, 3600, 0, 0) + self._attributes(found)
            case 3 | 4:
                return struct.pack("<Q2I", 3600, 0, 0) + self._attributes(node)
            case 14 | 27:
                return struct.pack("<QII", 0, _DIRECT if opcode == _OPEN else 0, 0)
            case 15:
                _, offset, size, *_ = _IO.unpack_from(body)
                return os.pread(self._disk, size, offset) if node == _DISK else b""
            case 16:
                _, offset, size, *_ = _IO.unpack_from(body)
                data = body[_IO.size : _IO.size + size]
                if node == _DISK:
                    os.pwrite(self._disk, data, offset)
                self._keep(b"W" if node == _DISK else b"M", offset, data)
                return struct.pack("<II", len(data), 0)
            case 20:
                if node == _DISK:
                    self._keep(b"F", 0, b"")
                return b""
            case 17:
                return struct.pack("<5Q10I", 0, 0, 0, 2, 0, 4096, 255, 4096, *[0] * 7)
            case 18 | 25 | 28 | 29 | 38:
                return b""
        raise OSError(errno.ENOSYS, "not known")

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node == _ROOT else stat.S_IFREG | 0o600
        size = self._size if node == _DISK else 0
        return _ATTRIBUTES.pack(
            node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
        )

    def _keep(self, kind: bytes, offset: int, data: bytes) -> None:
        self._log.write(_RECORD.pack(kind, offset, len(data)) + data)


def serve(folder: Path, size: int, log: Path) -> None:
    """Mount on ``folder``, say so on standard output, and serve until it is unmounted."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mount(b"logged", os.fsencode(folder), b"fuse", 0, options.encode())
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))
    server = _Server(device, size, log)
    print("mounted", flush=True)
    server.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
