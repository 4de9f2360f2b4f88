"""Every verb that writes an event takes when it happened, why it is late, and the clock's check."""

from __future__ import annotations

from collections.abc import Iterator

import click

from evault_cli.main import cli

WRITING = {
    "accept",
    "admit",
    "assume",
    "consent",
    "decline",
    "destroy",
    "grant",
    "hold lift",
    "hold place",
    "init",
    "interrupt",
    "note",
    "open",
    "policy",
    "recall",
    "recover drill",
    "rekey",
    "release",
    "remove",
    "seal",
    "verify",
}
OPTIONS = {"--occurred-at", "--late-because", "--clock-check"}


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_the_verbs_that_write_take_the_circumstances_and_no_other_does() -> None:
    assert isinstance(cli, click.Group)
    taking = {
        name
        for name, command in commands(cli)
        if {option for one in command.params for option in one.opts} >= OPTIONS
    }
    assert taking == WRITING
