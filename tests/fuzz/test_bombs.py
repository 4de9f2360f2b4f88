"""What is hostile by its size is taken or refused within 2 s and 256 MiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from vault.age.header import MAX_STANZAS, parse_header
from vault.codec import format_bech32, pack, parse_bech32, unpack
from vault.errors import FormatError, HeaderError, ShareError
from vault.identity import Identity
from vault.recovery.shares import share_of_words

ROOT: Final = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the limits of a process are set as Linux has them"
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "cli")))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_bomb_takes_more_than_256_mib_or_2_s() -> None:
    done = python("-m", "tests.fuzz.bombs")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "damage",
    [
        "'empty-maps', codec, '_MAX_VALUES', 2**30",
        "'lines-of-a-manifest', replacement, 'MAX_REPLACEMENTS', 2**30",
    ],
)
def test_without_its_limit_a_bomb_is_a_finding(damage: str) -> None:
    """So the limits of the harness hold, and not only those of the parsers."""
    name, module, limit, value = damage.split(", ")
    script = (
        "from vault import codec, replacement\n"
        "from tests.fuzz import bombs\n"
        f"setattr({module}, {limit}, {value})\n"
        f"print(bombs.judge({name}))\n"
    )
    done = python("-c", script)
    assert "MemoryError" in done.stdout or done.stdout.strip().endswith(" s"), done


def test_a_value_of_2_20_elements_is_written_and_read_and_one_more_is_neither() -> None:
    most = tuple((0,) * 4095 for _ in range(256))
    assert unpack(pack(most)) == most
    more = (*most[:-1], (0,) * 4096)
    with pytest.raises(ValueError, match="more than 1048576 values"):
        pack(more)
    longer = pack(most[:-1]).replace(b"\xdc\x00\xff", b"\xdc\x01\x00", 1) + pack((0,) * 4096)
    with pytest.raises(FormatError, match="more than 1048576 values"):
        unpack(longer)


def test_the_keys_and_values_of_maps_count_as_elements_do() -> None:
    maps = tuple({f"{at:03}": 0 for at in range(256)} for _ in range(2048))
    assert pack(maps[:2044])
    with pytest.raises(ValueError, match="more than 1048576 values"):
        pack(maps)


def test_a_header_with_a_stanza_too_many_is_refused_at_that_stanza() -> None:
    line, mac = b"-> a\n\n", b"--- " + b"A" * 43 + b"\n"
    start = b"age-encryption.org/v1\n"
    assert len(parse_header(start + line * MAX_STANZAS + mac).stanzas) == MAX_STANZAS
    with pytest.raises(HeaderError, match="more than 2048 stanzas"):
        parse_header(start + line * MAX_STANZAS + b"not a stanza\n" + mac)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 32, 1216, 5000])
def test_bech32_of_any_length_is_read_as_it_was_written(size: int) -> None:
    data = bytes(at * 7 % 256 for at in range(size))
    assert parse_bech32(format_bech32("age", data)) == ("age", data)


def test_a_share_that_asks_for_minutes_of_work_is_refused() -> None:
    from shamir_mnemonic import generate_mnemonics

    seed = Identity(b"\x01" * 32).seed
    for exponent, taken in ((5, True), (6, False)):
        ((words, *_),) = generate_mnemonics(
            1, [(2, 3)], seed, extendable=False, iteration_exponent=exponent
        )
        if taken:
            assert share_of_words(tuple(words.split(" "))).threshold == 2
        else:
            with pytest.raises(ShareError, match="iteration exponent is 6"):
                share_of_words(tuple(words.split(" ")))
