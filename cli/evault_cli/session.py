"""What one call of the command line shares: its common options, its identity, its vault."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import click
from click.core import ParameterSource

from evault_cli import prompt
from evault_cli.refusal import RefusedError
from evault_cli.render import count, escape, say

if TYPE_CHECKING:
    from vault import Identity, Vault
    from vault.codec import Packable
    from vault.pipeline import ProgressCallback
    from vault.secret import Secret

__all__ = [
    "OLDER_COPY",
    "PATH",
    "Session",
    "circumstance_options",
    "identity_options",
    "json_option",
    "looking_options",
    "read_small",
    "vault_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

PATH: Final = click.Path(path_type=Path, readable=False)
"""Whether it can be read is found out by reading it, and said as of every other file."""
_MAX_SMALL: Final = 2**20
_MOST_FILLED: Final = 5
_DIGITS: Final = 12


@final
class Session:
    """``place`` is what is being worked on, for messages; the rest are the common options."""

    def __init__(self) -> None:
        self.place = ""
        self.json = False
        self.identity_path: Path | None = None
        self.passphrase_file: Path | None = None
        self.passphrase_fd: int | None = None
        self.vault_id: bytes | None = None
        self.named = False
        """Whether an identity or a passphrase was named, by an option or the environment."""
        self.circumstances: dict[str, Packable] = {}
        """Fields of every event of this call: when it happened, why it is recorded late."""
        self.looks = False
        """Whether this verb only looks, and may look at an older copy."""
        self._opened: tuple[Vault, int] | None = None
        self._vault_place: Path | None = None
        self._identities: list[Identity] = []

    @contextmanager
    def at(self, place: str | os.PathLike[str]) -> Iterator[None]:
        """Say what is being worked on; after an error it stays said."""
        before, self.place = self.place, os.fspath(place)
        yield
        self.place = before

    @property
    def home(self) -> Path:
        """The folder of identity and pins: ``EVAULT_HOME``, or where this system keeps such."""
        return Path(os.environ.get("EVAULT_HOME") or click.get_app_dir("evault"))

    @property
    def identity_file(self) -> Path:
        """The identity file that was named, or the usual one."""
        return self.identity_path or self.home / "identity.age"

    # --- the identity -------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Unlock the identity."""
        self.check_circumstances()
        path = self.identity_file
        if not path.exists():
            raise RefusedError(
                f"There is no identity at {escape(str(path))}: make one with "
                "`evault identity new`, or name yours with -i FILE. If you had one: `evault "
                "recover join` makes it again from its sheets, or put your copy back."
            )
        with self._passphrase(path) as passphrase:
            return self._unlock(path, passphrase)

    def keep(self, identity: Identity) -> Identity:
        """Have an identity closed, its secret wiped, when this call of the command line ends."""
        self._identities.append(identity)
        return identity

    def close(self) -> None:
        """Wipe what is secret: nothing is unlocked any more."""
        while self._identities:
            self._identities.pop().close()

    def check_circumstances(self) -> None:
        late = "recorded_late_because" in self.circumstances
        if late != ("occurred_at" in self.circumstances):
            raise RefusedError(
                "--occurred-at and --late-because go together: when it happened, and why it is "
                "recorded only now."
            )

    def identity_if_any(self) -> Identity | None:
        """Unlock the identity if one was named, or if it is there and a person wants it unlocked.

        The rule of verbs that can do without: what was named by an option or the environment is
        used; otherwise, at a terminal, Enter alone looks without a key; elsewhere nothing is asked.
        """
        if self.named:
            return self.identity()
        path = self.identity_file
        if not path.exists() or not prompt.can_ask():
            return None
        passphrase = prompt.ask("Passphrase (Enter alone: look without a key)")
        if passphrase is None:
            return None
        with passphrase:
            return self._unlock(path, passphrase)

    def _passphrase(self, path: Path) -> Secret:
        given = self.given_passphrase()
        if given is not None:
            return given
        if not prompt.can_ask():
            raise RefusedError(
                f"The passphrase of {escape(str(path))} is needed and there is no terminal to ask "
                "at: give it with --passphrase-file FILE or --passphrase-fd N."
            )
        passphrase = prompt.ask(f"Passphrase of {escape(str(path))}")
        if passphrase is None:
            raise RefusedError("No passphrase was given. Nothing was done.")
        return passphrase

    def given_passphrase(self) -> Secret | None:
        """Return the passphrase from the file or descriptor named, if any was."""
        if self.passphrase_fd is not None:
            return prompt.read_passphrase_fd(self.passphrase_fd)
        if self.passphrase_file is not None:
            return prompt.read_passphrase_file(self.passphrase_file)
        return None

    def _unlock(self, path: Path, passphrase: Secret) -> Identity:
        from vault import parse_identity_file

        with self.at(path):
            return self.keep(parse_identity_file(read_small(path), passphrase))

    # --- the vault ----------------------------------------------------------------------------

    @contextmanager
    def vault(
        self,
        place: Path,
        identity: Identity | None,
        progress: ProgressCallback | None = None,
        *,
        pinned: bool = True,
    ) -> Iterator[Vault]:
        """Open a vault; with ``pinned``, held against what this machine has seen of it."""
        from vault import Vault

        state = self.home if pinned else None
        self._vault_place = place
        with (
            self.at(place),
            Vault.open(
                place,
                identity=identity,
                state=state,
                vault_id=self.vault_id,
                progress=progress,
            ) as vault,
        ):
            self._opened = vault, vault.size
            yield vault
            self.warn_unremembered(vault)

    def filled(self, hint: str, *bundles: bytes) -> str:
        """Return a hint whose commands work as they stand: with the vault that is worked on in the
        place of VAULT, and the beginnings of the ids of a few bundles in that of BUNDLE.
        """
        if self._vault_place is not None:
            hint = hint.replace("VAULT", escape(shlex.quote(str(self._vault_place))))
        if 0 < len(bundles) <= _MOST_FILLED:
            hint = hint.replace("BUNDLE", " ".join(one.hex()[:_DIGITS] for one in bundles))
        return hint

    def warn_unremembered(self, vault: Vault) -> None:
        """Say so if what was done could not be kept in this machine's memory."""
        if vault.unremembered is not None:
            say(
                "Warning: done, but this machine could not remember it in "
                f"{escape(str(self.home))}: {escape(_reason(vault.unremembered))}."
            )

    def outcome(self) -> str:
        """Say what an error that came now has left of the work."""
        if self._opened is None:
            return "Nothing was changed."
        vault, size = self._opened
        if vault.in_doubt:
            return "Whether the last step counts is not known yet: `evault doctor` finds out."
        if vault.size > size:
            return f"What was done before it stands: {count(vault.size - size, 'event')}."
        return "Nothing was added."

    @property
    def opened(self) -> bool:
        """Whether a vault was opened."""
        return self._opened is not None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "why", None) or str(error)


def read_small(path: Path) -> bytes:
    """Read a small file; of a larger one the beginning, which its parser refuses."""
    # What a shell makes of "<(command)" is reached over a link; a FIFO that lies there itself may
    # have nobody who ever writes to it.
    if stat.S_ISFIFO(path.lstat().st_mode):
        raise RefusedError(f"{escape(str(path))} is a named pipe: give a file.")
    with path.open("rb") as file:
        return file.read(_MAX_SMALL)


# --- options that several verbs have --------------------------------------------------------------


def _keep(context: click.Context, option: click.Parameter, value: object) -> None:
    """Put an option into the session."""
    session = context.find_object(Session)
    assert session is not None
    assert option.name is not None
    setattr(session, option.name, value)
    if value is not None and option.name != "json":
        session.named = True


def _keep_passphrase_fd(context: click.Context, option: click.Parameter, value: object) -> None:
    _keep(context, option, value)
    source = context.get_parameter_source("passphrase_file")
    if value is not None and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--passphrase-file and --passphrase-fd exclude each other.")


def _keep_older_copy(context: click.Context, option: click.Parameter, value: bool) -> bool:
    session = context.find_object(Session)
    assert session is not None
    session.looks = True
    return value


OLDER_COPY: Final = click.option(
    "--older-copy",
    is_flag=True,
    callback=_keep_older_copy,
    help="Look although this machine has seen a newer state.",
)


def json_option(command: _Command) -> _Command:
    """Add ``--json``."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Print one JSON object instead of text.",
    )(command)


def _keep_vault_id(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from evault_cli.fields import digest

    session = context.find_object(Session)
    assert session is not None
    session.vault_id = digest("--vault-id", value)


def circumstance_options(command: _Command) -> _Command:
    """Add what can be said of any event: when it happened, why late, how the clock was checked."""
    for option, name, metavar, about in (
        (
            "--clock-check",
            "clock_check",
            "REFERENCE,READING,DIFFERENCE",
            "What this device's clock was compared with, what that showed, and by how much it "
            "differs.",
        ),
        ("--late-because", "recorded_late_because", "TEXT", "Why it is recorded only now."),
        (
            "--occurred-at",
            "occurred_at",
            "TIME",
            "When it happened, if earlier, such as 2026-03-01T14:05+05:00; with --late-because.",
        ),
    ):
        command = click.option(
            option,
            name,
            metavar=metavar,
            expose_value=False,
            callback=_keep_circumstance,
            help=about,
        )(command)
    return command


def _keep_circumstance(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from evault_cli.fields import circumstance

    session = context.find_object(Session)
    assert session is not None
    assert option.name is not None
    session.circumstances |= circumstance(option.opts[0], option.name, value)


def vault_options(command: _Command) -> _Command:
    """Add what verbs have that write to a vault: its id, an identity, ``--json``."""
    return _vault_id(
        "The id on paper: needed once before this machine writes to a vault made elsewhere."
    )(identity_options(command))


def looking_options(command: _Command) -> _Command:
    """Add what verbs have that only look at a vault: its id, an identity, ``--json``."""
    return _vault_id("The id on paper: says whether this is that vault.")(identity_options(command))


def _vault_id(about: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--vault-id", metavar="HEX", expose_value=False, callback=_keep_vault_id, help=about
    )


def identity_options(command: _Command) -> _Command:
    """Add the options that name an identity and its passphrase, and ``--json``."""
    command = json_option(command)
    command = click.option(
        "--passphrase-fd",
        type=click.IntRange(min=0),
        metavar="N",
        expose_value=False,
        callback=_keep_passphrase_fd,
        help="Read the passphrase from this open file descriptor.",
    )(command)
    command = click.option(
        "--passphrase-file",
        type=PATH,
        metavar="FILE",
        envvar="EVAULT_PASSPHRASE_FILE",
        show_envvar=True,
        expose_value=False,
        is_eager=True,
        callback=_keep,
        help="Read the passphrase from a file.",
    )(command)
    return click.option(
        "-i",
        "--identity",
        "identity_path",
        type=PATH,
        metavar="FILE",
        envvar="EVAULT_IDENTITY",
        show_envvar=True,
        expose_value=False,
        callback=_keep,
        help="The identity file (otherwise identity.age in EVAULT_HOME).",
    )(command)
