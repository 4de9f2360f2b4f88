"""Secret bytes that can be wiped, in memory that the system keeps out of swap and of dumps.

Where the system can, a page of secrets is locked (``mlock``, ``VirtualLock``) and left out of core
dumps (``MADV_DONTDUMP``). It refuses a lock beyond ``RLIMIT_MEMLOCK``; work then goes on without,
and :attr:`Secret.is_locked` says so. Small secrets share pages, so that thousands of them stay
below the limit; a place that was wiped is used again.

What this can't do, as Python has no way to:

- immutable objects (``bytes``, ``str``, ``int``) stay as they are until their memory is used again.
  A secret that was one once, for a caller or within a format that is text, may have left a copy;
- the libraries below (OpenSSL through ``cryptography``, libsodium, ``shamir_mnemonic``) make copies
  of what they are given. OpenSSL wipes its keys when they are freed, which is when nothing refers
  to them any more; memory of theirs is not locked;
- a process that forks hands its child a copy, which is not locked. It is not wiped there either: a
  key that silently turns into zeros would sign and seal for nobody;
- registers, the stack, hibernation and a debugger with the right to attach are out of reach.
"""

from __future__ import annotations

import hmac
import mmap
import sys
from types import TracebackType
from typing import Final, NoReturn, TypeAlias, final

__all__ = ["Octets", "Secret", "wipe"]

Octets: TypeAlias = "bytes | bytearray | memoryview"
"""What secrets come in. ``bytes`` can't be wiped by whoever gives them."""

_PAGE: Final = mmap.PAGESIZE
_PLACE: Final = 64
"""Bytes of a place in a shared page: a seed, a key, a usual passphrase."""


def wipe(view: memoryview | bytearray) -> None:
    """Fill with zeros."""
    view[:] = bytes(len(view))


# --- pages --------------------------------------------------------------------------------------


@final
class _Pages:
    """One mapping of whole pages, private to this process; it goes with the last view of it."""

    __slots__ = ("locked", "view")

    def __init__(self, size: int) -> None:
        mapping = _mapped(-(-size // _PAGE) * _PAGE)
        self.locked = _lock(mapping)
        self.view = memoryview(mapping)


def _mapped(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    # Python's own choice is a shared mapping: a child that wiped its secrets would wipe ours.
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_DONTDUMP"):
        try:
            mapping.madvise(mmap.MADV_DONTDUMP)
        except OSError:
            # A kernel without it: the process is to have no core dump in any case.
            return mapping
    return mapping


def _lock(mapping: mmap.mmap) -> bool:
    """Ask the system to keep ``mapping`` out of swap; return whether it does."""
    # Not at the top: it is a part of Python that some builds leave out.
    try:
        import ctypes
    except ImportError:
        return False
    start = ctypes.c_char.from_buffer(mapping)
    address, size = ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapping))
    try:
        if sys.platform == "win32":
            return bool(ctypes.WinDLL("kernel32").VirtualLock(address, size))
        return bool(ctypes.CDLL(None).mlock(address, size) == 0)
    except (AttributeError, OSError):
        return False


@final
class _Pool:
    """Places of :data:`_PLACE` bytes in shared pages, which stay for as long as the process does.

    Appending to a list and popping from it are one step each, so no lock is needed; a finalizer
    that runs in the middle of anything could not wait for one.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: list[tuple[memoryview, bool]] = []

    def take(self) -> tuple[memoryview, bool]:
        """Return a place full of zeros, and whether it is locked."""
        try:
            return self._free.pop()
        except IndexError:
            pages = _Pages(_PAGE)
        for start in range(_PLACE, _PAGE, _PLACE):
            self._free.append((pages.view[start : start + _PLACE], pages.locked))
        return pages.view[:_PLACE], pages.locked

    def give_back(self, place: memoryview, *, locked: bool) -> None:
        """Take a place that was wiped."""
        self._free.append((place, locked))


_POOL: Final = _Pool()


# --- the secret ---------------------------------------------------------------------------------


@final
class Secret:
    """Secret bytes, at least one, copied from ``data`` into memory that :meth:`wipe` can wipe.

    As a context manager it wipes at the end; so does its finalizer, if nobody else did. It shows
    nothing in ``repr``, compares in constant time, and is neither hashable, copyable nor picklable.
    Whoever gives ``data`` wipes what she holds of it. Raises ``ValueError`` for no bytes.
    """

    __slots__ = ("__weakref__", "_place", "_view", "is_locked")

    _pool = _POOL
    is_locked: bool
    """Whether the system keeps these bytes out of swap."""

    def __init__(self, data: Octets) -> None:
        with memoryview(data) as given, given.cast("B") as source:
            del data  # or whoever formats a traceback with locals would show it
            self._allot(len(source))
            self._view[:] = source

    @classmethod
    def of_zeros(cls, size: int) -> Secret:
        """Make a secret of zeros, for something to be derived into its :attr:`view`."""
        made = cls.__new__(cls)
        made._allot(size)
        return made

    def _allot(self, size: int) -> None:
        if size < 1:
            raise ValueError("a secret has at least one byte")
        if size <= _PLACE:
            self._place, self.is_locked = self._pool.take()
        else:
            pages = _Pages(size)
            self._place, self.is_locked = pages.view, pages.locked
        self._view = self._place[:size]

    @property
    def view(self) -> memoryview:
        """The bytes themselves, valid until they are wiped: for whoever takes them at once.

        Raises ``ValueError`` once they are wiped.
        """
        if self.is_wiped:
            raise ValueError("this secret was wiped")
        return self._view

    @property
    def is_wiped(self) -> bool:
        """Whether nothing is held any more."""
        return self._place is _NOTHING

    def wipe(self) -> None:
        """Overwrite the bytes with zeros and let their memory go. Does nothing the second time."""
        place, self._place = self._place, _NOTHING
        if place is _NOTHING:
            return
        wipe(place)
        locked, self.is_locked = self.is_locked, False
        try:
            self._view.release()
        except BufferError:
            # Another thread reads it at this moment: the place is for nobody else.
            return
        if len(place) == _PLACE:
            self._pool.give_back(place, locked=locked)

    def __bytes__(self) -> bytes:
        """Return a copy, which nothing can wipe."""
        return bytes(self.view)

    def __len__(self) -> int:
        return len(self.view)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self.is_wiped or other.is_wiped:
            return self is other
        return hmac.compare_digest(self.view, other.view)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a print of it

    def __enter__(self) -> Secret:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        # Also of one that was never made: __init__ may have raised before it had a place.
        if hasattr(self, "_view"):
            self.wipe()

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not to be copied")


_NOTHING: Final = memoryview(b"")
