"""A group of commands whose modules are imported when one of them is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, final

import click

__all__ = ["LazyGroup"]


@final
class LazyGroup(click.Group):
    """``sections`` maps a heading to its verbs: name → (module, what it does in a few words).

    In the module the verb goes by its name. Help is printed from the table alone.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, tuple[str, str]]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._verbs = {name: one for verbs in sections.values() for name, one in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs, in the order of the table."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None if there is none of that name."""
        found = self._verbs.get(cmd_name)
        if found is None:
            return None
        command = getattr(import_module(f"evault_cli.{found[0]}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, in sections."""
        for heading, verbs in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, about) for name, (_, about) in verbs.items()])
