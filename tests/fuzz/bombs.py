"""Inputs that are hostile by their size: made here, since a corpus should stay small.

    python -m tests.fuzz.bombs

Each is given to its parser in a process of its own that may take 256 MiB more than it has, and
judged by the processor time that it took. Prints a line for each; exits 1 if one is a finding.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vault import codec
from vault.age import HybridIdentity
from vault.age.header import MAX_HEADER_SIZE, parse_header
from vault.codec import parse_bech32, unpack
from vault.errors import FormatError
from vault.event import MAX_FIELDS_FILE
from vault.keyring import MAX_EPOCHS, parse_epoch_file
from vault.recovery.sheets import parse_share_file
from vault.replacement import parse_manifest
from vault.stored import MAX_SMALL_FILE
from vault.tlog.note import MAX_NOTE, parse_note

__all__ = ["BOMBS"]

MEMORY: Final = 256 * 2**20
LONGEST: Final = 2.0


def _arrays(element: bytes, size: int) -> bytes:
    """Return arrays of 4,096 of an element in one array: about ``size`` bytes."""
    inner = b"\xdc\x10\x00" + element * 4096
    count = size // len(inner)
    return b"\xdc" + count.to_bytes(2, "big") + inner * count


def _header(lines: bytes) -> bytes:
    """Return an age header with as many of these lines as there is room for."""
    start, end = b"age-encryption.org/v1\n", b"--- " + b"A" * 43 + b"\n"
    return start + lines * ((MAX_HEADER_SIZE - len(start) - len(end)) // len(lines)) + end


def _bech32(size: int) -> str:
    """Return so many values with the checksum that they should have."""
    values = [31] * size
    rest = codec._polymod([*codec._expand("a"), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [rest >> 5 * (5 - at) & 31 for at in range(6)]
    return "a1" + "".join(codec.BECH32_LETTERS[value] for value in values)


def _json_of_long_names() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))
    from evault_cli.fields import seal_fields
    from evault_cli.refusal import RefusedError

    try:
        seal_fields((), {"x" * 2**22: {f"{at}": None for at in range(2**16)}})
    except RefusedError as error:
        raise FormatError("fields", "refused") from error


BOMBS: Final[dict[str, Callable[[], object]]] = {
    "empty-maps": lambda: unpack(_arrays(b"\x80", MAX_FIELDS_FILE)),
    "empty-maps-in-a-record": lambda: unpack(_arrays(b"\x80", 2**20)),
    "short-texts": lambda: unpack(_arrays(b"\xa2ab", MAX_FIELDS_FILE)),
    "maps-of-one": lambda: unpack(_arrays(b"\x81\xa0\x80", MAX_FIELDS_FILE)),
    "nested-arrays": lambda: unpack(b"\x91" * MAX_FIELDS_FILE),
    "stanzas": lambda: parse_header(_header(b"-> a\n\n")),
    "arguments": lambda: parse_header(
        b"age-encryption.org/v1\n->" + b" a" * 2_090_000 + b"\n\n--- " + b"A" * 43 + b"\n"
    ),
    "empty-lines-of-a-header": lambda: parse_header(_header(b"\n")),
    "lines-of-a-manifest": lambda: parse_manifest(b"\n" * MAX_SMALL_FILE, b"e" * 8, ""),
    "spaces-of-a-manifest": lambda: parse_manifest(
        b" " * (MAX_SMALL_FILE - 1) + b"\n", b"e" * 8, ""
    ),
    "bech32": lambda: parse_bech32(_bech32(2**20)),
    "bech32-in-an-epoch-file": lambda: parse_epoch_file(
        f"# {'0' * 16}\n{_bech32(2**20).upper()}\n".encode()
    ),
    "epochs-in-an-epoch-file": lambda: parse_epoch_file(_epochs()),
    "signature-lines": lambda: parse_note(b"a\n\n" + b"\n" * (MAX_NOTE - 3)),
    "words": lambda: parse_share_file(b"acades " * 9000),
    "long-word": lambda: parse_share_file(b"acad" * 16000),
    "white-space": lambda: parse_share_file(
        b"EVIDENCE VAULT: ONE SHARE OF AN IDENTITY\nFingerprint" + b" \n" * 32000
    ),
    "long-names-in-json": _json_of_long_names,
}


def _epochs() -> bytes:
    """Return an epoch file as long as one that is decrypted can be, which fails at its end."""
    line = HybridIdentity.from_seed(bytes(32)).to_string()
    names = (f"{number % (MAX_EPOCHS - 1):016x}" for number in range(MAX_EPOCHS))
    return "".join(f"# {name}\n{line}\n" for name in names).encode()


def judge(name: str) -> str:
    """Return what is wrong with how a bomb is taken, or nothing. Runs in a process of its own."""
    size = re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert size is not None
    limit = int(size[1]) * 1024 + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.process_time()
    try:
        BOMBS[name]()
    except FormatError:
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.200}"
    spent = time.process_time() - start
    return f"{spent:.1f} s" if spent > LONGEST else ""


def main() -> int:
    """Try every bomb; return the exit code."""
    failed = 0
    for name in BOMBS:
        child = os.fork()
        if child == 0:
            wrong = judge(name)
            print(f"{name}: {wrong or 'as it should be'}", flush=True)
            os._exit(bool(wrong))
        failed += bool(os.waitpid(child, 0)[1])
    print(f"{len(BOMBS)} bombs, {failed} findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
