"""``evault``: the verbs, the exit codes, the one table of what can go wrong, and the one ``try``.

No traceback ever reaches a user. Every error that the library, the system or the command line
itself raises has a row in :data:`TABLE`: an exit code, and one sentence of what, where and what to
do. What has none is a fault of this software and says so; ``EVAULT_DEBUG=1`` then shows where.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import click

from evault_cli.lazy import LazyGroup
from evault_cli.refusal import DONE, LOCKED, MEDIUM, STATE, USAGE, RefusedError
from evault_cli.render import OUTPUT, escape, flush, say, size_text
from evault_cli.session import Session
from vault import errors
from vault._version import __version__

__all__ = ["TABLE", "cli", "main", "run"]

_SECTIONS: Final = {
    "You": {
        "identity": ("identities", "Make, show and protect your identity."),
        "card": ("identities", "Write your card: what others need to let you read."),
        "forget": ("seizing", "Remove what this machine keeps of a vault, and your identity."),
        "recover": ("recovering", "Split your identity into shares on paper, and join them."),
    },
    "Evidence": {
        "init": ("vaults", "Make a vault and say who reads."),
        "seal": ("sealing", "Put files and folders away, encrypted and signed."),
        "list": ("vaults", "List the bundles of a vault."),
        "show": ("showing", "Show a vault or one bundle."),
        "open": ("opening", "Open a bundle into a new folder."),
    },
    "Members": {
        "admit": ("membership", "Admit a member, or change what one may do."),
        "remove": ("membership", "Remove a member: left, lost, seized, compromised or died."),
        "grant": ("membership", "Open what was sealed before to a reader."),
        "rekey": ("rekeying", "Encrypt again what earlier readers' keys open, and let those go."),
        "policy": ("vaults", "Change a vault's rules."),
    },
    "Custody": {
        "release": ("handover", "Release bundles to another member."),
        "accept": ("handover", "Check bundles that were released to you, and answer for them."),
        "decline": ("handover", "Decline bundles that were released to you."),
        "recall": ("handover", "Take back a release that nobody has accepted."),
        "assume": ("breaks", "Take over, as an owner, where the holder can't sign."),
        "interrupt": ("breaks", "Record that bundles were seized, lost or returned."),
        "hold": ("holding", "Bar bundles from destruction, or end that."),
        "consent": ("holding", "Record consent to the use of bundles, or show it."),
        "destroy": ("destroying", "Destroy a bundle, by one or by two persons."),
        "custody": ("chains", "Show who was answerable for a bundle, and what was done with it."),
        "note": ("custody", "Add a note to a bundle or to the vault."),
    },
    "Checking": {
        "verify": ("checking", "Check everything that can be checked, with or without a key."),
        "doctor": ("checking", "Look at the medium and finish interrupted work."),
    },
}


@click.command(
    "evault",
    cls=LazyGroup,
    sections=_SECTIONS,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done or intact, 1 altered or contradicted, 2 usage, 3 malformed, "
    "unsupported or wrong state, 4 cannot decrypt, 5 input or output failed.",
)
@click.version_option(__version__, message="evault %(version)s")
def cli() -> None:
    """Keep evidence encrypted and signed, with a chain of custody that anyone can check."""


# --- what can go wrong --------------------------------------------------------------------------

STOPPED: Final = 130
"""Stopped by the user, as shells count it (128 + SIGINT)."""
UNREAD: Final = 141
"""Whoever read the output went away, as shells count it (128 + SIGPIPE)."""
_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
FAULT: Final = 70
"""A fault of this software (EX_SOFTWARE of sysexits.h)."""

_REPAIR: Final = (
    "`evault verify` says what is damaged: put those files back into this vault from a good copy."
)
_OTHER_USER: Final = "Read it as the user who made it, or copy it as an administrator."
_ADVICE: Final = {
    "evidence": "Do not accept it: `evault decline` gives it back, with the reason. A good copy of "
    "the vault restores it.",
    "card": "Ask its owner for the card again, and compare fingerprints by voice.",
    "identity file": "Use your other copy of it.",
    "sheet": "Write the sheets to another medium.",
    "pin": "That file only holds what this machine saw last: delete it and go on.",
    "vault id": "Look for the vault whose id you hold.",
    "checkpoint": "`evault doctor` finishes a step that was interrupted; otherwise a good copy of "
    "the vault restores it.",
}
_WHO: Final = "`evault show` says who may."
_MEDIA: Final = {
    errno.ENOSPC: (MEDIUM, "is full", "Make room, then do it again."),
    errno.EDQUOT: (MEDIUM, "is full for you", "Make room, then do it again."),
    errno.EROFS: (MEDIUM, "can't be written: the medium is read-only", "Use one that can be."),
    errno.EACCES: (MEDIUM, "is not permitted to you", "Ask for the permission, or use a copy."),
    errno.EPERM: (MEDIUM, "is not permitted to you", "Ask for the permission, or use a copy."),
    errno.ENOENT: (MEDIUM, "is not there", "Look whether the name is right."),
    errno.EEXIST: (STATE, "is there already", "Nothing is overwritten: name another."),
    errno.EISDIR: (MEDIUM, "is a directory", "Name a file."),
    errno.ENOTDIR: (MEDIUM, "is not a directory", "Name a directory."),
    errno.EIO: (
        MEDIUM,
        "can't be read or written: the medium reports a fault",
        "Copy what is on it to another medium now.",
    ),
}

Saying = tuple[str, str]
"""What is wrong, and what to do."""


def _advice(error: Exception) -> str:
    return _ADVICE.get(getattr(error, "what", ""), _REPAIR)


def _format(error: errors.FormatError) -> Saying:
    return f"not a sound {error.what} ({error.why})", _advice(error)


def _share(error: errors.ShareError) -> Saying:
    from evault_cli.words import SHARES

    return error.why, SHARES.get(error.fault, "")


def _no_match(error: errors.NoIdentityMatchError) -> Saying:
    if error.what != "identity file":
        return "not open to this identity", "Use that of a reader (-i FILE)."
    if "scrypt" in error.why:
        return "the passphrase does not open this identity file", "Try again."
    return "not an identity file under a passphrase", "Name yours with -i FILE."


def _decryption(error: errors.DecryptionError) -> Saying:
    return f"the {error.what} does not decrypt ({error.why})", _advice(error)


def _verification(error: errors.VerificationError) -> Saying:
    return f"the {error.what} is not what was signed ({error.why})", _advice(error)


def _signature(error: errors.SignatureError) -> Saying:
    return f"a signature is not that of the key it names ({error.why})", _advice(error)


def _rollback(error: errors.RollbackError) -> Saying:
    what = f"the {error.what} is {error.why}"
    if isinstance(error.found, int):
        # Both sizes are known, and this one is the smaller.
        return (
            f"{what}: an older copy, a backup that was restored, or a crash in which the medium "
            "lost what was written last, can be the reason",
            "Use the newest copy; `evault verify` says more.",
        )
    if isinstance(error.expected, int):
        return (
            f"{what}: two copies that were both written to, such as a backup that was restored, "
            "can be the reason",
            "Keep both; `evault verify` says more.",
        )
    return what, "Use the newest copy; `evault verify` says more."


def _custody(error: errors.CustodyError) -> Saying:
    from evault_cli.words import ADVICE, EVENTS, RULES

    event, rule = EVENTS.get(error.event, error.event), RULES.get(error.rule, error.rule)
    # The limits of a consent are what whoever is refused has to know.
    limits = f" ({error.detail})" if error.rule in ("consent-recipient", "consent-use") else ""
    about = f", bundle {error.bundle.hex()}" if error.bundle is not None else ""
    return f"not done ({event}{about}), because {rule}{limits}", ADVICE.get(error.rule, _WHO)


def _not_a_vault(error: errors.NotAVaultError) -> Saying:
    if "checkpoint" in error.why:
        return "the checkpoint is missing", _ADVICE["checkpoint"]
    return f"not a vault ({error.why})", "Name the directory that holds the file FORMAT."


def _no_space(error: errors.NoSpaceError) -> Saying:
    needed, free = size_text(error.needed), size_text(error.free)
    return f"{needed} are needed and {free} are free", "Make room, or use another medium."


def _ambiguous(error: errors.AmbiguousError) -> Saying:
    return f"{error.why}: {', '.join(error.candidates)}", "Give more digits."


def _system(error: OSError) -> Saying:
    known = _MEDIA.get(error.errno or 0)
    if known is None:
        return error.strerror or "failed", "Look at the medium, then do it again."
    return known[1:]


def _json(error: json.JSONDecodeError) -> Saying:
    return f"not sound JSON: {error.msg}, line {error.lineno}, column {error.colno}", ""


def _says(problem: str, advice: str) -> Callable[[BaseException], Saying]:
    return lambda error: (problem.format(why=getattr(error, "why", "")), advice)


_STOPPED = _says("stopped", "")

TABLE: Final[tuple[tuple[type[BaseException], int, Callable[..., Saying]], ...]] = (
    (
        errors.UnsupportedVersionError,
        STATE,
        _says("of a later version than this evault reads ({why})", "Install a newer evault."),
    ),
    (errors.ShareError, STATE, _share),
    (errors.FormatError, STATE, _format),
    (errors.NoIdentityMatchError, LOCKED, _no_match),
    (errors.DecryptionError, LOCKED, _decryption),
    (errors.RollbackError, STATE, _rollback),
    (errors.SignatureError, STATE, _signature),
    (errors.VerificationError, STATE, _verification),
    (errors.CustodyError, STATE, _custody),
    (errors.NotAVaultError, STATE, _not_a_vault),
    (
        errors.VaultExistsError,
        STATE,
        _says("{why}", "Name a place that is free, or an empty directory."),
    ),
    (errors.ConflictError, STATE, _says("others wrote at the same time", "Do it again.")),
    (errors.LockedError, STATE, _says("{why}", "Wait for it, then do it again.")),
    (errors.SourceChangedError, MEDIUM, _says("{why}", "Seal a copy that nothing writes to.")),
    (
        errors.SourceUnreadableError,
        MEDIUM,
        _says("can't be sealed: {why}", "--skip-unreadable seals the rest and records it."),
    ),
    (errors.NoSpaceError, MEDIUM, _no_space),
    (
        errors.NotFoundError,
        USAGE,
        _says("{why}", "`evault list` and `evault show` say what there is."),
    ),
    (errors.AmbiguousError, USAGE, _ambiguous),
    (
        errors.UnknownVaultError,
        STATE,
        _says(
            "this machine did not make this vault and was never told its id, so that another one "
            "could have been put in its place",
            "Give the id from paper once, with --vault-id HEX.",
        ),
    ),
    (errors.StateError, STATE, _says("{why}", "`evault verify` says more.")),
    (errors.VaultError, STATE, _says("not possible", "`evault verify` says more.")),
    (OSError, MEDIUM, _system),
    (
        MemoryError,
        MEDIUM,
        _says("not enough memory: the passphrase step takes 256 MiB", "Close other programs."),
    ),
    (json.JSONDecodeError, USAGE, _json),
    (RecursionError, STATE, _says("nested too deep to be read", "Use one that is not.")),
    (KeyboardInterrupt, STOPPED, _STOPPED),
    (click.Abort, STOPPED, _STOPPED),
)
"""Exception class, exit code, what to say: the first row that fits counts. The exit code of an
``OSError`` that ``_MEDIA`` knows is the one there."""


def _where(error: BaseException, session: Session) -> str:
    """Return the thing and its place: what is worked on, and what the error itself names."""
    if isinstance(error, OSError):
        named = error.filename
    else:
        named = getattr(error, "where", "") or getattr(error, "place", "")
    shown = os.fsdecode(named) if isinstance(named, (str, bytes)) else ""
    # What is not yet in its place has no name that says anything to its owner.
    if _inside(shown, session).startswith("tmp/"):
        return session.place
    if not session.place or Path(shown).is_absolute() or shown == OUTPUT:
        return shown
    # A name inside the vault needs the vault's own.
    return f"{session.place}: {shown}" if shown not in ("", session.place) else session.place


def _inside(shown: str, session: Session) -> str:
    """Return a name as it is inside of what is being worked on; nothing if it is not there."""
    path, place = Path(shown), Path(session.place).absolute()
    if not session.place or not shown or not (place / path).is_relative_to(place):
        return ""
    return (place / path).relative_to(place).as_posix()


def _in_vault(error: BaseException, session: Session, where: str) -> Saying | None:
    """Return what an error means that means more, or less, by what is being worked on."""
    if isinstance(error, errors.RollbackError) and session.looks:
        problem, advice = _rollback(error)
        return problem, f"{advice} --older-copy looks at this one all the same."
    if isinstance(error, PermissionError) and session.place and not session.opened:
        path = Path(session.place, os.fsdecode(error.filename or ""))
        if path.exists() and not os.access(path, os.R_OK):
            return "this user may not read it", _OTHER_USER
    if isinstance(error, FileNotFoundError) and session.opened:
        name = _inside(os.fsdecode(error.filename or ""), session)
        if name.startswith("bundles/"):
            return f"a part of this bundle is missing ({name.rpartition('/')[2]})", _REPAIR
    return None


def _usage(error: click.ClickException) -> str:
    """Return in one line what click says of a command line."""
    if isinstance(error, click.MissingParameter) and error.param is not None:
        choice = error.param.type
        if isinstance(choice, click.Choice):
            *first, last = map(str, choice.choices)
            name = error.param.get_error_hint(error.ctx) if error.ctx is not None else ""
            return f"Missing option {name}: {', '.join(first)} or {last}."
    return escape(error.format_message())


def _failed(error: BaseException, session: Session) -> int:
    """Say in one sentence what went wrong, and what came of it; return the exit code."""
    if os.environ.get("EVAULT_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return UNREAD
    if isinstance(error, RefusedError):
        say(f"evault: {error.sentence}")
        return error.status
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return USAGE
    if isinstance(error, click.ClickException):
        path = getattr(getattr(error, "ctx", None), "command_path", "evault")
        say(f"{path}: {_usage(error)} `{path} --help` says how.")
        return error.exit_code
    for kind, status, saying in TABLE:
        if isinstance(error, kind):
            where = _where(error, session)
            problem, advice = _in_vault(error, session, where) or saying(error)
            bundle = getattr(error, "bundle", None)
            advice = session.filled(advice, *([bundle] if isinstance(bundle, bytes) else []))
            text = f"{where}: {problem}." if where else f"{problem}."
            say(f"evault: {escape(' '.join(filter(None, (text, session.outcome(), advice))))}")
            known = _MEDIA.get(error.errno or 0) if isinstance(error, OSError) else None
            return known[0] if known else status
    say(
        f"evault: a fault of this software ({type(error).__name__}), not of yours. "
        f"{session.outcome()} Please report it; EVAULT_DEBUG=1 shows where it happened."
    )
    return FAULT


# --- the way in ---------------------------------------------------------------------------------


def _prepare_streams() -> None:
    # A terminal that can't show a character shows its number; nothing fails for want of one.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_stdout() -> None:
    """Drop what can't be written any more, or Python would try again as it ends, and complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    session = Session()
    try:
        _prepare_streams()
        with cli.make_context("evault", list(arguments), obj=session) as context:
            cli.invoke(context)
        flush()
    except BaseException as error:
        status = _failed(error, session)
    else:
        return DONE
    finally:
        session.close()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return status
    _give_up_stdout()
    return status


def _open_streams() -> None:
    """Give the standard streams somewhere to go that the caller closed (``2>&-``).

    Their numbers would else go to the next files that are opened, evidence among them, and whatever
    is written to the streams would land there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < len(_STREAMS):
        pass
    os.close(number)
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def run() -> NoReturn:
    """Be the program ``evault``."""
    from evault_cli.process import keep_memory_private

    _open_streams()
    keep_memory_private()
    sys.exit(main(sys.argv[1:]))
