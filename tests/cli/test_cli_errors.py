"""The one table of what can go wrong, and the one ``try``."""

from __future__ import annotations

import errno
import os
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from evault_cli.main import TABLE, main
from vault import errors

if TYPE_CHECKING:
    from tests.cli.conftest import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def failing(evault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a way to let a verb fail with an error, and see what the user sees."""

    def fail(error: BaseException, **more: Any) -> Any:
        def broken(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("evault_cli.session.Session.identity_if_any", broken)
        return evault("list", "somewhere", **more)

    return fail


def all_errors() -> list[type[errors.VaultError]]:
    return [getattr(errors, name) for name in errors.__all__]


def made(kind: type[errors.VaultError]) -> errors.VaultError:
    if kind is errors.NoSpaceError:
        return errors.NoSpaceError("\x1b place", 10, 5)
    for arguments in (
        ("\x1b what", "\x1b why", "\x1b where"),
        ("\x1b place", "\x1b why"),
        ("\x1b place", "\x1b why", ("\x1b one", "two")),
        ("\x1b place", bytes(32)),
        ("\x1b text",),
    ):
        try:
            return kind(*arguments)  # type: ignore[arg-type]
        except (TypeError, AttributeError):
            continue
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_is_one_sentence_with_its_place(
    failing: Callable[..., Any], kind: type[errors.VaultError]
) -> None:
    failed = failing(made(kind))
    assert failed.code in (2, 3, 4, 5)
    assert failed.out == ""
    assert len(failed.err.splitlines()) == 1
    assert "\x1b" not in failed.err
    assert "Nothing was changed." in failed.err
    assert "fault of this software" not in failed.err


EXPECTED = {
    errors.UnsupportedVersionError: 3, errors.FormatError: 3, errors.ArmorError: 3,
    errors.HeaderError: 3, errors.DecryptionError: 4, errors.NoIdentityMatchError: 4,
    errors.HeaderMacError: 4, errors.PayloadError: 4, errors.VerificationError: 3,
    errors.SignatureError: 3, errors.UnknownKeyError: 3, errors.ProofError: 3,
    errors.RollbackError: 3, errors.DigestMismatchError: 3, errors.CustodyError: 3,
    errors.StateError: 3, errors.NotAVaultError: 3, errors.VaultExistsError: 3,
    errors.ConflictError: 3, errors.LockedError: 3, errors.UnknownVaultError: 3,
    errors.SourceChangedError: 5, errors.SourceUnreadableError: 5, errors.NoSpaceError: 5,
    errors.NotFoundError: 2, errors.AmbiguousError: 2, errors.VaultError: 3,
    errors.ShareError: 3,
}  # fmt: skip


def test_the_exit_codes_are_those_of_the_design(failing: Callable[..., Any]) -> None:
    assert set(EXPECTED) == set(all_errors())
    for kind, code in EXPECTED.items():
        assert failing(made(kind)).code == code, kind


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (errno.ENOSPC, 5, "is full"),
        (errno.EDQUOT, 5, "is full for you"),
        (errno.EROFS, 5, "read-only"),
        (errno.EACCES, 5, "not permitted"),
        (errno.EPERM, 5, "not permitted"),
        (errno.ENOENT, 5, "is not there"),
        (errno.EEXIST, 3, "is there already"),
        (errno.EISDIR, 5, "is a directory"),
        (errno.ENOTDIR, 5, "is not a directory"),
        (errno.EIO, 5, "reports a fault"),
        (errno.ENAMETOOLONG, 5, "File name too long"),
        (errno.EMFILE, 5, "Too many open files"),
    ],
)
def test_what_the_system_says_is_said_with_the_file(
    failing: Callable[..., Any], number: int, code: int, says: str
) -> None:
    failed = failing(OSError(number, os.strerror(number), "/some/\x1bfile"))
    assert failed.code == code
    assert failed.err.startswith("evault: /some/\\x1bfile: ")
    assert says in failed.err


def test_a_system_error_that_knows_nothing_is_a_sentence_all_the_same(
    failing: Callable[..., Any],
) -> None:
    failed = failing(OSError("odd"))
    assert failed.code == 5
    assert (
        failed.err == "evault: failed. Nothing was changed. Look at the medium, then do it again.\n"
    )
    assert "is not there" in failing(FileNotFoundError(2, "x", b"bytes\xff")).err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (MemoryError(), 5, "not enough memory"),
        (RecursionError(), 3, "nested too deep"),
        (KeyboardInterrupt(), 130, "stopped. Nothing was changed."),
        (click.Abort(), 130, "stopped. Nothing was changed."),
        (BrokenPipeError(), 141, ""),
        (click.exceptions.Exit(1), 1, ""),
    ],
)
def test_what_is_no_error_of_the_library(
    failing: Callable[..., Any], error: BaseException, code: int, says: str
) -> None:
    failed = failing(error)
    assert failed.code == code
    assert says in failed.err
    assert bool(says) == bool(failed.err)


def test_our_own_fault_is_called_so_and_shows_nothing_private(failing: Callable[..., Any]) -> None:
    failed = failing(ValueError("the witness is Asma"))
    assert failed.code == 70
    assert "a fault of this software (ValueError)" in failed.err
    assert "Please report it" in failed.err
    assert "Asma" not in failed.err
    assert len(failed.err.splitlines()) == 1


def test_a_programmer_may_ask_for_the_traceback(failing: Callable[..., Any]) -> None:
    # The helper that calls refuses a traceback, which is what is asked for here.
    with pytest.raises(AssertionError, match="Traceback"):
        failing(ValueError("x"), env={"EVAULT_DEBUG": "1"})


def test_where_a_file_inside_a_vault_is_named_the_vault_is_too(
    evault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for where, shown in (("log/checkpoint", f"{tmp_path}: log/checkpoint"), ("", str(tmp_path))):

        def broken(*_: object, at: str = where, **__: object) -> None:
            raise errors.FormatError("thing", "broken", at)

        monkeypatch.setattr("vault.Vault.open", broken)
        assert evault("list", tmp_path).err.startswith(f"evault: {shown}: not a sound thing")


def test_no_row_of_the_table_is_hidden_by_one_before() -> None:
    kinds = [kind for kind, _, _ in TABLE]
    for number, kind in enumerate(kinds):
        assert not any(issubclass(kind, before) for before in kinds[:number]), kind


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", **more.pop("env", {})}
    command = [sys.executable, "-W", "error", "-m", "evault_cli", *arguments]
    return subprocess.run(command, env=env, check=False, stderr=subprocess.PIPE, **more)


def test_output_that_cant_be_written_is_an_error_and_no_traceback() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    with Path("/dev/full").open("wb") as full:
        done = run("--help", stdout=full)
    assert done.returncode == 5
    assert done.stderr.startswith(b"evault: ")
    assert b"is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_are_no_fault_and_no_file_takes_their_place(
    world: World, tmp_path: Path, closed: str
) -> None:
    file = tmp_path / "evidence.bin"
    file.write_bytes(bytes(range(256)) * 500)
    seal = [sys.executable, "-W", "error", "-m", "evault_cli", "seal", world.vault, file]
    line = f"exec {shlex.join(map(str, (*seal, *world.owner)))} {closed}"
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
        "EVAULT_HOME": str(world.folder / "home"),
    }
    done = subprocess.run(["/bin/sh", "-c", line], env=env, check=False, capture_output=True)
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr
    checked = world.call("verify", world.vault, "--deep", *world.reader)
    assert checked.code == 0, checked
    assert len(world.call("list", world.vault, "--json", *world.owner).json["bundles"]) == 2


def test_a_reader_that_goes_away_is_no_error_to_speak_of() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run("--help", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_it_works_where_only_ascii_does(world: Any) -> None:
    env = {
        "LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0",
        "TERM": "dumb", "NO_COLOR": "1", "EVAULT_HOME": str(world.folder / "home"),
    }  # fmt: skip
    done = run("show", str(world.vault), world.bundle, *world.reader, env=env,
               stdout=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"\\u06af\\u0648" in done.stdout
    # A card is bytes, whatever the terminal shows.
    done = run("card", "--name", "Reader \u062e", *world.reader, env={**env, "PYTHONUTF8": "1"},
               stdout=subprocess.PIPE)  # fmt: skip
    assert "name Reader \u062e\n".encode() in done.stdout


def test_the_program_is_the_console_script(monkeypatch: pytest.MonkeyPatch) -> None:
    from evault_cli import main as module

    monkeypatch.setattr(sys, "argv", ["evault", "--version"])
    with pytest.raises(SystemExit) as left:
        module.run()
    assert left.value.code == 0
    with pytest.raises(SystemExit) as left:
        runpy.run_module("evault_cli", run_name="__main__")
    assert left.value.code == 0


def test_a_closed_standard_output_is_not_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        encoding = "utf-8"

        def write(self, _: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def flush(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

        def isatty(self) -> bool:
            return False

        def fileno(self) -> int:
            raise OSError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["--version"]) == 5
