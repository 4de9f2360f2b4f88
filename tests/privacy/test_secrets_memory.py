"""What the memory of a process still holds once an identity is closed (Linux: it reads its own).

In a child, so that nothing but the work itself has ever had the secrets. What is looked for comes
to it masked; of each, the one copy to compare with is not counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault import Identity, format_identity_file
from vault.codec import format_bech32

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/mem")
MASK = 0x5A

LOOK = """
import datetime, json, sys
from pathlib import Path
from evault_cli.prompt import read_passphrase_file
from vault import parse_identity_file

folder = Path(sys.argv[1])
masked = json.loads((folder / "masked.json").read_text())

def counted():
    found = {}
    for name, text in masked.items():
        wanted = bytearray(one ^ 0x5A for one in bytes.fromhex(text))
        found[name] = -1
        for line in open("/proc/self/maps"):
            place, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            start, end = (int(one, 16) for one in place.split("-"))
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(start)
                data = bytearray(end - start)
                size = memory.readinto(data)
            found[name] += data[:size].count(wanted)
            data[:] = bytes(len(data))
        wanted[:] = bytes(len(wanted))
    return found

def locked():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(one for one in lines if one.startswith("VmLck")).split()[1])

told = {}
passphrase = read_passphrase_file(folder / "passphrase")
told["read"] = counted()
with passphrase:
    me = parse_identity_file((folder / "identity.age").read_bytes(), passphrase)
me.sign_ed25519(b"x"), me.sign_ml_dsa_44(b"x"), me.card("A", datetime.date(2026, 1, 1))
told["open"], told["locked"], told["kib"] = counted(), me.is_locked, locked()
me.close()
told["closed"] = counted()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("memory")
    me, passphrase = Identity.generate(), os.urandom(12).hex().encode()
    (folder / "passphrase").write_bytes(passphrase + b"\n")
    (folder / "identity.age").write_bytes(format_identity_file(me, passphrase, 10))

    def derived(purpose: bytes) -> bytes:
        info = b"evidence-vault/v1/" + purpose
        return HKDF(SHA256(), 32, salt=None, info=info).derive(me.seed)

    expanded = hashlib.shake_256(me.age.seed).digest(96)
    secrets = {
        "passphrase": passphrase,
        "seed": me.seed,
        "seed in hexadecimal": me.seed.hex().encode(),
        "seed in Bech32": format_bech32("a", me.seed)[2:-6].upper().encode(),
        "Ed25519 key": derived(b"ed25519"),
        "ML-DSA key": derived(b"ml-dsa-44"),
        "age seed": me.age.seed,
        "age line": me.age.to_string()[20:].encode(),
        "ML-KEM seed": expanded[:64],
        "X25519 key": expanded[64:],
    }
    masked = {name: bytes(one ^ MASK for one in data).hex() for name, data in secrets.items()}
    (folder / "masked.json").write_text(json.dumps(masked))
    run = subprocess.run(
        [sys.executable, "-c", LOOK, folder], env=ENV, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_look_finds_what_is_there(told: Any) -> None:
    assert told["read"]["passphrase"] == 1
    assert told["open"]["seed"] == 1
    assert told["open"]["age seed"] >= 1


def test_the_passphrase_is_gone_once_the_identity_is_open(told: Any) -> None:
    assert told["open"]["passphrase"] == 0


def test_a_closed_identity_leaves_no_copy_of_its_secrets(told: Any) -> None:
    assert told["closed"] == dict.fromkeys(told["closed"], 0)


def test_memory_is_locked_while_an_identity_is_open(told: Any) -> None:
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] in range(65536):
        pytest.skip("this system lets nobody lock 64 KiB")
    assert told["locked"]
    assert told["kib"] >= resource.getpagesize() // 1024
