"""Files from us to other implementations of age and back: npm age-encryption, PyPI pyrage."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from vault import age

pytestmark = pytest.mark.conformance

NODE = Path(__file__).parent / "node"
CHUNK = age.CHUNK_SIZE
# The last two are more than one block (16 chunks) of ours.
SIZES = (0, 1, 47, 48, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 16 * CHUNK, 16 * CHUNK + 1)
PASSPHRASE = "correct horse بيٹری staple"
WORK_FACTOR = 10

size_by_size = pytest.mark.parametrize("size", SIZES)
armored_or_not = pytest.mark.parametrize("armored", [False, True], ids=["binary", "armored"])


def plaintext_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.fixture
def pyrage() -> ModuleType:
    try:
        return importlib.import_module("pyrage")
    except ImportError:
        pytest.fail("pyrage is missing: pip install pyrage", pytrace=False)


class NodeAge:
    """``node age.mjs``, with everything that it reads in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def run(self, *arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["node", NODE / "age.mjs", *arguments],
            input=data,
            capture_output=True,
            check=False,
            env={
                **os.environ,
                "AGE_PASSPHRASE": PASSPHRASE,
                "AGE_WORK_FACTOR": str(WORK_FACTOR),
            },
        )

    def output(self, *arguments: str, data: bytes) -> bytes:
        done = self.run(*arguments, data=data)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    def identity_file(self, content: bytes) -> str:
        path = self._directory / "identity"
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def node_age(tmp_path: Path) -> NodeAge:
    if shutil.which("node") is None:
        pytest.fail("Node.js 20 or later is missing: install the package nodejs", pytrace=False)
    if not (NODE / "node_modules" / "age-encryption").is_dir():
        pytest.fail(f"npm age-encryption is missing: run npm ci in {NODE}", pytrace=False)
    return NodeAge(tmp_path)


Key = age.HybridIdentity | age.X25519Identity
asymmetric = pytest.mark.parametrize(
    "kind", [age.HybridIdentity, age.X25519Identity], ids=["hybrid", "x25519"]
)


@armored_or_not
@asymmetric
@size_by_size
def test_npm_age_opens_what_we_encrypt(
    node_age: NodeAge, kind: type[Key], size: int, armored: bool
) -> None:
    identity = kind.generate()
    ours = age.encrypt_bytes(plaintext_of(size), [identity.recipient()], armored=armored)
    file = node_age.identity_file(f"# a comment\n\n{identity.to_string()}\n".encode())
    assert node_age.output("-d", "-i", file, data=ours) == plaintext_of(size)


@armored_or_not
@asymmetric
@size_by_size
def test_we_open_what_npm_age_encrypts(
    node_age: NodeAge, kind: type[Key], size: int, armored: bool
) -> None:
    identity = kind.generate()
    flags = ["-e", "-r", identity.recipient().to_string(), *(["-a"] if armored else [])]
    theirs = node_age.output(*flags, data=plaintext_of(size))
    assert age.decrypt_bytes(theirs, [identity]) == plaintext_of(size)


@armored_or_not
def test_npm_age_opens_what_we_encrypt_with_a_passphrase(node_age: NodeAge, armored: bool) -> None:
    recipient = age.ScryptRecipient(PASSPHRASE, WORK_FACTOR)
    ours = age.encrypt_bytes(plaintext_of(1000), [recipient], armored=armored)
    assert node_age.output("-d", "-p", data=ours) == plaintext_of(1000)


@armored_or_not
def test_we_open_what_npm_age_encrypts_with_a_passphrase(node_age: NodeAge, armored: bool) -> None:
    flags = ["-e", "-p", *(["-a"] if armored else [])]
    theirs = node_age.output(*flags, data=plaintext_of(1000))
    assert age.decrypt_bytes(theirs, [age.ScryptIdentity(PASSPHRASE)]) == plaintext_of(1000)


def test_npm_age_takes_an_identity_file_that_is_itself_encrypted(node_age: NodeAge) -> None:
    identity = age.HybridIdentity.generate()
    lines = f"# kept by somebody\n{identity.to_string()}\n".encode()
    recipient = age.ScryptRecipient(PASSPHRASE, WORK_FACTOR)
    file = node_age.identity_file(age.encrypt_bytes(lines, [recipient], armored=True))
    ours = age.encrypt_bytes(plaintext_of(CHUNK + 1), [identity.recipient()])
    assert node_age.output("-d", "-i", file, data=ours) == plaintext_of(CHUNK + 1)


def test_every_recipient_of_a_file_opens_it_with_npm_age(node_age: NodeAge) -> None:
    identities = [age.HybridIdentity.generate() for _ in range(3)]
    ours = age.encrypt_bytes(b"all", [identity.recipient() for identity in identities])
    for identity in identities:
        file = node_age.identity_file(identity.to_string().encode())
        assert node_age.output("-d", "-i", file, data=ours) == b"all"


def test_npm_age_refuses_a_file_that_we_left_unfinished(node_age: NodeAge) -> None:
    identity = age.HybridIdentity.generate()
    ours = age.encrypt_bytes(plaintext_of(2 * CHUNK), [identity.recipient()])[: -CHUNK - 16]
    done = node_age.run(
        "-d", "-i", node_age.identity_file(identity.to_string().encode()), data=ours
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"age.mjs: ")


@armored_or_not
@size_by_size
def test_pyrage_opens_what_we_encrypt(pyrage: ModuleType, size: int, armored: bool) -> None:
    identity = age.X25519Identity.generate()
    ours = age.encrypt_bytes(plaintext_of(size), [identity.recipient()], armored=armored)
    theirs = pyrage.x25519.Identity.from_str(identity.to_string())
    assert str(theirs.to_public()) == identity.recipient().to_string()
    assert pyrage.decrypt(ours, [theirs]) == plaintext_of(size)


@armored_or_not
@size_by_size
def test_we_open_what_pyrage_encrypts(pyrage: ModuleType, size: int, armored: bool) -> None:
    theirs = pyrage.x25519.Identity.generate()
    file = pyrage.encrypt(plaintext_of(size), [theirs.to_public()], armored=armored)
    identity = age.X25519Identity.from_string(str(theirs))
    assert age.decrypt_bytes(file, [identity]) == plaintext_of(size)


@armored_or_not
def test_pyrage_opens_what_we_encrypt_with_a_passphrase(pyrage: ModuleType, armored: bool) -> None:
    recipient = age.ScryptRecipient(PASSPHRASE, WORK_FACTOR)
    ours = age.encrypt_bytes(plaintext_of(1000), [recipient], armored=armored)
    assert pyrage.passphrase.decrypt(ours, PASSPHRASE) == plaintext_of(1000)


@armored_or_not
def test_we_open_what_pyrage_encrypts_with_a_passphrase(pyrage: ModuleType, armored: bool) -> None:
    theirs = pyrage.passphrase.encrypt(plaintext_of(1000), PASSPHRASE, armored=armored)
    # Its work factor is measured: as much as a second buys on the machine at hand.
    identity = age.ScryptIdentity(PASSPHRASE, max_work_factor=22)
    assert age.decrypt_bytes(theirs, [identity]) == plaintext_of(1000)
