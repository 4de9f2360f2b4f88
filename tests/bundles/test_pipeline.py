"""Stages: order, memory, and that an error always comes out and never leaves anyone waiting."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vault.pipeline import BUFFER_SIZE, Stage, copy_exactly

LONG = 20.0  # seconds: no test comes near, a deadlock fails instead of hanging


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [one.name for one in set(threading.enumerate()) - before] == []


class Kept:
    """A sink that keeps copies, after an optional gate, and fails at piece number ``fail_at``."""

    def __init__(self, fail_at: int = -1, error: BaseException | None = None) -> None:
        self.pieces: list[bytes] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self._fail_at = fail_at
        self._error = error or OSError(5, "the disk is gone")
        self.calls = 0

    def write(self, data: memoryview, /) -> None:
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(LONG)
        self.calls += 1
        if self.calls - 1 == self._fail_at:
            raise self._error
        self.pieces.append(bytes(data))


class Watched:
    """A queue that says when somebody waits for it."""

    def __init__(self, inner: queue.SimpleQueue[Any]) -> None:
        self._inner = inner
        self.waiting = threading.Event()

    def get(self) -> object:
        if self._inner.empty():
            self.waiting.set()
        return self._inner.get(timeout=LONG)

    def put(self, item: object) -> None:
        self._inner.put(item)


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


def done(thread: threading.Thread) -> bool:
    thread.join(LONG)
    return not thread.is_alive()


# --- order and memory -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [0, 1, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, 9 * BUFFER_SIZE + 7]
)
def test_everything_arrives_in_order(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    sink = Kept()
    with Stage(sink, "test") as stage:
        assert stage.write(memoryview(data)[:size]) == size
        assert stage.write(b"end") == 3
    assert b"".join(sink.pieces) == data[:size] + b"end"
    assert sink.threads == {"vault-test"}


def test_what_was_given_may_be_changed_at_once() -> None:
    sink = Kept()
    buffer = bytearray(b"first")
    with Stage(sink, "test") as stage:
        stage.write(buffer)
        buffer[:] = b"other"
        stage.write(memoryview(buffer).cast("B"))
    assert sink.pieces == [b"first", b"other"]


def test_stages_that_follow_one_another_keep_order() -> None:
    sink = Kept()
    with Stage(sink, "low") as low, Stage(low, "high") as high:
        for number in range(100):
            high.write(b"%03d" % number)
        high.close()
    assert b"".join(sink.pieces) == b"".join(b"%03d" % number for number in range(100))
    assert sink.threads == {"vault-low"}


def test_no_more_than_four_buffers_are_ahead_of_the_sink() -> None:
    sink = Kept()
    sink.gate.clear()
    stage = Stage(sink, "test")
    stage._free = watched = Watched(stage._free)  # type: ignore[assignment]
    thread, raised = in_thread(lambda: stage.write(bytes(7 * BUFFER_SIZE)))
    assert watched.waiting.wait(LONG)
    assert sink.pieces == []
    sink.gate.set()
    assert done(thread)
    stage.close()
    assert raised == []
    assert [len(piece) for piece in sink.pieces] == [BUFFER_SIZE] * 7


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(28, "no space"), KeyboardInterrupt(), MemoryError()])
def test_an_error_of_the_sink_comes_out_of_every_later_call(error: BaseException) -> None:
    sink = Kept(0, error)
    stage = Stage(sink, "test")
    stage.write(b"x")
    # As many calls as there are buffers, and more: none is lost on the way.
    for _ in range(10):
        with pytest.raises(type(error)) as raised:
            stage.write(bytes(10 * BUFFER_SIZE))
        assert raised.value is error
    with pytest.raises(type(error)):
        stage.close()
    assert sink.calls == 1
    stage.abort()


def test_an_error_of_the_last_piece_comes_out_of_close() -> None:
    stage = Stage(Kept(2), "test")
    for _ in range(3):
        stage.write(b"x")
    with pytest.raises(OSError, match="disk"):
        stage.close()


def test_an_error_reaches_a_writer_that_waits_for_a_buffer() -> None:
    sink = Kept(0)
    sink.gate.clear()
    stage = Stage(sink, "test")
    stage._free = watched = Watched(stage._free)  # type: ignore[assignment]
    thread, raised = in_thread(lambda: stage.write(bytes(100 * BUFFER_SIZE)))
    assert watched.waiting.wait(LONG)
    sink.gate.set()
    assert done(thread)
    assert [str(one) for one in raised] == ["[Errno 5] the disk is gone"]
    stage.abort()


def test_an_error_reaches_a_writer_that_waits_in_close() -> None:
    sink = Kept(1)
    sink.gate.clear()
    stage = Stage(sink, "test")
    stage.write(b"x")
    stage.write(b"y")
    thread, raised = in_thread(stage.close)
    sink.gate.set()
    assert done(thread)
    assert len(raised) == 1


def test_an_error_of_the_lowest_stage_comes_out_of_the_highest() -> None:
    sink = Kept(1)
    low = Stage(sink, "low")
    high = Stage(low, "high")
    with pytest.raises(OSError, match="disk"):
        for _ in range(1000):
            high.write(bytes(BUFFER_SIZE))
    high.abort()
    low.abort()
    assert len(sink.pieces) == 1


@pytest.mark.parametrize("keep", ["the view", "an export of it", "a release"])
def test_a_sink_that_mishandles_its_view_ends_nobody_s_thread(keep: str) -> None:
    kept: list[object] = []

    class Careless:
        def write(self, data: memoryview, /) -> None:
            if keep == "a release":
                data.release()
            else:
                kept.append(data if keep == "the view" else io.BytesIO(data).getbuffer())
                kept.append(memoryview(data))

    stage = Stage(Careless(), "test")
    for _ in range(10):
        stage.write(bytes(BUFFER_SIZE))
    stage.close()


# --- the end --------------------------------------------------------------------------------------


def test_abort_drops_what_was_not_written() -> None:
    sink = Kept()
    sink.gate.clear()
    stage = Stage(sink, "test")
    for _ in range(4):
        stage.write(b"x")
    thread, raised = in_thread(stage.abort)
    while not stage._aborted:
        pass
    sink.gate.set()
    assert done(thread)
    assert raised == []
    assert len(sink.pieces) <= 1
    stage.abort()


def test_an_aborted_stage_does_not_look_written() -> None:
    stage = Stage(Kept(), "test")
    stage.abort()
    with pytest.raises(ValueError, match="aborted"):
        stage.close()
    with pytest.raises(ValueError, match="closed or aborted"):
        stage.write(b"x")


def test_nothing_is_taken_after_close() -> None:
    sink = Kept()
    stage = Stage(sink, "test")
    stage.write(b"x")
    stage.close()
    stage.close()
    stage.abort()
    stage.close()
    for _ in range(10):
        with pytest.raises(ValueError, match="closed or aborted"):
            stage.write(b"y")
    assert sink.pieces == [b"x"]


def test_an_exception_in_the_body_aborts_and_passes() -> None:
    sink = Kept()
    sink.gate.clear()
    error = RuntimeError("cancelled")
    with pytest.raises(RuntimeError) as raised, Stage(sink, "test") as stage:
        for _ in range(4):
            stage.write(b"x")
        sink.gate.set()
        raise error
    assert raised.value is error
    with pytest.raises(ValueError, match="closed or aborted"):
        stage.write(b"y")


def test_an_abort_does_not_wait_for_a_stage_above_that_waits_below() -> None:
    sink = Kept()
    sink.gate.clear()
    low = Stage(sink, "low")
    low._free = watched = Watched(low._free)  # type: ignore[assignment]
    high = Stage(low, "high")
    for _ in range(8):
        high.write(b"x")
    assert watched.waiting.wait(LONG)
    thread, raised = in_thread(lambda: (high.abort(), low.abort()))
    sink.gate.set()
    assert done(thread)
    assert raised == []


# --- copying --------------------------------------------------------------------------------------


class Slow(io.RawIOBase):
    """Gives three bytes at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)

    def readinto(self, buffer: Any) -> int:
        return self._inner.readinto(memoryview(buffer)[:3])


@pytest.mark.parametrize(("size", "found"), [(0, 0), (1, 1), (9, 9), (10, 10), (11, 10)])
@pytest.mark.parametrize("room", [1, 4, 64])
def test_as_much_is_copied_as_was_asked_for_and_there_is(size: int, found: int, room: int) -> None:
    taken = bytearray()
    source = Slow(b"0123456789")
    assert copy_exactly(source, size, taken.extend, memoryview(bytearray(room))) == found
    assert taken == b"0123456789"[:found]
    assert source.read() == b"0123456789"[found:]


def test_a_source_without_data_ends_the_copy() -> None:
    class Empty(io.RawIOBase):
        def readinto(self, buffer: object) -> None:
            return None

    assert copy_exactly(Empty(), 5, bytearray().extend, memoryview(bytearray(8))) == 0
