"""Stages that overlap: reading, encrypting, digesting and writing each in a thread of its own.

A stage is a sink. What is written to it is copied into one of a few buffers that it owns and given
to the next sink by its thread, so memory is bounded and the slowest stage sets the pace. An error
in any stage comes out of the next call of the stage before it; :meth:`Stage.abort` stops at once.
SHA-256, ChaCha20-Poly1305 and ``write`` release the interpreter lock, so threads do overlap.
"""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, TypeAlias, final

__all__ = ["Buffer", "Progress", "ProgressCallback", "Sink", "SizedReader", "Stage", "copy_exactly"]

Buffer: TypeAlias = bytes | bytearray | memoryview
BUFFER_SIZE: Final = 2**20
_BUFFERS: Final = 4


class Sink(Protocol):
    """Takes bytes; what it is given is valid until it returns."""

    def write(self, data: memoryview, /) -> object:
        """Take all of ``data``."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """How far ``work`` is: ``done`` of ``total`` bytes (0 if not known), now at ``name``."""

    work: str
    done: int
    total: int
    name: str = ""


ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called now and then; an exception that it raises cancels the work."""


@final
class Stage:
    """A sink that gives what it takes to ``sink``, in order, in a thread of its own.

    :meth:`close` returns when all has been written, or raises what went wrong. Used as a context
    manager, an exception in the body aborts. Written to by one thread. After ``close`` or ``abort``
    nothing more is taken (``ValueError``): what was aborted must not look written.
    """

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self._free.put(bytearray(BUFFER_SIZE))
        self._error: BaseException | None = None
        self._closed = False
        self._aborted = False
        self._thread = threading.Thread(target=self._run, name=f"vault-{name}", daemon=True)
        self._thread.start()

    def write(self, data: Buffer) -> int:
        """Take all of ``data``; raise the error of the stages below, if there was one."""
        if self._closed or self._aborted:
            raise ValueError("the stage is closed or aborted")
        view = memoryview(data).cast("B")
        for start in range(0, len(view), BUFFER_SIZE):
            piece = view[start : start + BUFFER_SIZE]
            buffer = self._free.get()
            if self._error is not None:
                self._free.put(buffer)  # or the next call would wait for it for ever
                raise self._error
            buffer[: len(piece)] = piece
            self._full.put((buffer, len(piece)))
        return len(view)

    def close(self) -> None:
        """Wait until everything is written; raise the error of the stages below, if any."""
        self._stop()
        self._check()
        if self._aborted:
            raise ValueError("the stage is aborted")
        self._closed = True

    def abort(self) -> None:
        """Drop what was not written yet and end the thread; after :meth:`close` does nothing."""
        self._aborted = not self._closed
        self._stop()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _stop(self) -> None:
        if self._thread.is_alive():
            self._full.put(None)
            self._thread.join()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._full.get()) is not None:
            buffer, size = item
            if self._error is None and not self._aborted:
                try:
                    with memoryview(buffer) as whole, whole[:size] as piece:
                        self._sink.write(piece)
                # Whatever it is, it belongs to the thread that writes to this stage.
                except BaseException as error:
                    self._error = error
            self._free.put(buffer)


class Source(Protocol):
    """Gives bytes into a buffer."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill some of ``buffer``; return how many bytes, 0 only at the end."""
        ...


def copy_exactly(
    source: Source, size: int, take: Callable[[memoryview], object], buffer: memoryview
) -> int:
    """Give ``size`` bytes of ``source`` to ``take``; return how many there were, at most ``size``.

    Fewer than ``size`` mean that the source ended early; whether it goes on is for the caller.
    """
    done = 0
    while done < size:
        count = source.readinto(buffer[: min(len(buffer), size - done)])
        if not count:
            break
        take(buffer[:count])
        done += count
    return done


class SizedReader(io.RawIOBase):
    """A file of ``size`` bytes, open for reading at any place: what all such files have in common.

    A kind of it reads at ``_position``, and moves that on, in its ``readinto``.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as files do; return the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"no such whence: {whence}")
        if base + offset < 0:
            raise ValueError("before the start")
        self._position = base + offset
        return self._position
