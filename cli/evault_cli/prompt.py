"""Passphrases: from a file, a descriptor or a terminal. They never show and are never kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from evault_cli.refusal import RefusedError
from evault_cli.render import escape, is_terminal, say

__all__ = [
    "ask",
    "can_ask",
    "new_passphrase",
    "read_passphrase_fd",
    "read_passphrase_file",
    "typed",
]

_MAX_SIZE: Final = 4096
_WORDS: Final = 6
_SHORT: Final = 16
_TRIES: Final = 3


def can_ask() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def read_passphrase_file(path: Path) -> bytes:
    """Return what a file holds, as bytes, without one line ending."""
    with path.open("rb") as file:
        return _checked(file.read(_MAX_SIZE + 1), escape(str(path)))


def read_passphrase_fd(descriptor: int) -> bytes:
    """Return what comes out of an open descriptor, as bytes, without one line ending."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return _checked(file.read(_MAX_SIZE + 1), f"file descriptor {descriptor}")


def _checked(data: bytes, where: str) -> bytes:
    if len(data) > _MAX_SIZE:
        raise RefusedError(f"{where} holds more than a passphrase: name a file with one line.")
    passphrase = data.removesuffix(b"\n")
    if passphrase != data:
        passphrase = passphrase.removesuffix(b"\r")
    if not passphrase:
        raise RefusedError(f"{where} holds no passphrase: name a file with one line.")
    return passphrase


def ask(label: str) -> bytes:
    """Ask at the terminal, without echo; Enter alone gives nothing."""
    text: str = click.prompt(label, default="", show_default=False, hide_input=True, err=True)
    return text.encode("utf-8", "surrogateescape")


def typed(digits: str) -> bool:
    """Ask for the first digits of what will be lost; return whether they were typed."""
    question = f"Type its first {len(digits)} digits"
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer.strip().lower() == digits


def new_passphrase() -> bytes:
    """Ask for a new passphrase, or offer six random words; either is typed twice."""
    if not can_ask():
        raise RefusedError(
            "A new passphrase is needed and there is no terminal to ask at: "
            "give it with --passphrase-file FILE or --passphrase-fd N."
        )
    say("A passphrase protects the identity file. Nobody can reset it.")
    own = ask("New passphrase (Enter alone: six random words are made for you)")
    if own and len(own) < _SHORT:
        say(
            f"Warning: {len(own)} characters can be guessed by whoever takes this file. "
            "Six random words can't."
        )
    wanted = own or _show_words()
    for _ in range(_TRIES):
        if ask("The same passphrase again") == wanted:
            return wanted
        say("That was not the same.")
    raise RefusedError("The passphrase was not confirmed. Nothing was written; begin again.")


def _show_words() -> bytes:
    import secrets

    from mnemonic import Mnemonic

    words = Mnemonic("english").wordlist
    passphrase = "-".join(secrets.choice(words) for _ in range(_WORDS))
    # The alternate screen leaves nothing to scroll back to once it is left.
    before, after = ("\x1b[?1049h\x1b[H", "\x1b[?1049l") if is_terminal(sys.stderr) else ("", "")
    sys.stderr.write(f"{before}\nYour passphrase, shown this once:\n\n    {passphrase}\n\n")
    say("Write it down on paper, with its hyphens, and keep it away from this device.")
    click.prompt("Then press Enter", default="", show_default=False, prompt_suffix=" ", err=True)
    sys.stderr.write(after)
    sys.stderr.flush()
    return passphrase.encode("ascii")
