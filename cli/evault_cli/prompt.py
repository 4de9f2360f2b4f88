"""Passphrases: from a file, a descriptor or a terminal. They never show and are never kept.

What comes from a file or a descriptor is read into memory that is wiped. What is typed comes from
the terminal as text, of which copies may stay until their memory is used again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli.refusal import RefusedError
from evault_cli.render import escape, is_terminal, say

if TYPE_CHECKING:
    import io

    from vault.secret import Secret

__all__ = [
    "ask",
    "ask_text",
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


def read_passphrase_file(path: Path) -> Secret:
    """Return what a file holds, as bytes, without one line ending."""
    # Unbuffered: a buffer of Python's own could not be wiped.
    with path.open("rb", buffering=0) as file:
        return _passphrase(file, escape(str(path)))


def read_passphrase_fd(descriptor: int) -> Secret:
    """Return what comes out of an open descriptor, as bytes, without one line ending."""
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        return _passphrase(file, f"file descriptor {descriptor}")


def _passphrase(file: io.FileIO, where: str) -> Secret:
    from vault.secret import Secret

    with Secret.of_zeros(_MAX_SIZE + 1) as data:
        size = 0
        while size <= _MAX_SIZE and (more := file.readinto(data.view[size:])):
            size += more
        if size > _MAX_SIZE:
            raise RefusedError(f"{where} holds more than a passphrase: name a file with one line.")
        for ending in b"\n\r":
            if not size or data.view[size - 1] != ending:
                break
            size -= 1
        if not size:
            raise RefusedError(f"{where} holds no passphrase: name a file with one line.")
        return Secret(data.view[:size])


def ask(label: str) -> Secret | None:
    """Ask at the terminal, without echo; Enter alone gives nothing."""
    from vault.secret import Secret

    text = ask_text(label)
    return Secret(text.encode("utf-8", "surrogateescape")) if text else None


def ask_text(label: str) -> str:
    """Ask at the terminal for secret text, without echo."""
    text: str = click.prompt(label, default="", show_default=False, hide_input=True, err=True)
    return text


def typed(digits: str) -> bool:
    """Ask for the first digits of what will be lost; return whether they were typed."""
    question = f"Type its first {len(digits)} digits"
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer.strip().lower() == digits


def new_passphrase() -> Secret:
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
        again = ask("The same passphrase again")
        if again == wanted:
            return wanted
        say("That was not the same.")
    raise RefusedError("The passphrase was not confirmed. Nothing was written; begin again.")


def _show_words() -> Secret:
    import secrets

    from mnemonic import Mnemonic

    from vault.secret import Secret

    words = Mnemonic("english").wordlist
    passphrase = "-".join(secrets.choice(words) for _ in range(_WORDS))
    # The alternate screen leaves nothing to scroll back to once it is left.
    before, after = ("\x1b[?1049h\x1b[H", "\x1b[?1049l") if is_terminal(sys.stderr) else ("", "")
    sys.stderr.write(f"{before}\nYour passphrase, shown this once:\n\n    {passphrase}\n\n")
    say("Write it down on paper, with its hyphens, and keep it away from this device.")
    click.prompt("Then press Enter", default="", show_default=False, prompt_suffix=" ", err=True)
    sys.stderr.write(after)
    sys.stderr.flush()
    return Secret(passphrase.encode("ascii"))
