"""The vault of the command line's tests, with two more who hold bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.cli.conftest import Outcome, World
from vault import Identity, LocalStore, Vault, parse_identity_file

KAI = "Kai"
BE = "Reader Bé"
FORM = ("--place", "Quetta", "--condition", "sealed, dry")
"""What a custody form asks of both sides."""


def options_of(world: World, name: str) -> tuple[str, ...]:
    """Return the options that unlock an identity of ``world.folder``."""
    file, passphrase = world.folder / f"{name}.age", world.folder / f"{name}.txt"
    return ("-i", str(file), "--passphrase-file", str(passphrase))


def kai(world: World) -> tuple[str, ...]:
    """Return the options of a custodian who reads nothing."""
    return options_of(world, "kai")


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    return outcome


def gather(template: World, folder: Path) -> World:
    """Copy the vault; let the owner make the reader a custodian, and admit Kai as one."""
    shutil.copytree(template.folder, folder)
    world = World(folder, template.bundle)
    (folder / "kai.txt").write_text("a passphrase of kai\n")
    made = ("-o", folder / "kai.age", "--work-factor", 10)
    done(world.call("identity", "new", *made, *kai(world)[2:]))
    done(world.call("card", *kai(world), "-o", folder / "kai.card", "--name", KAI))
    roles = ("--role", "custodian", "--checked", "read aloud")
    reader = (folder / "reader.card", "--role", "reader")
    done(world.call("admit", world.vault, *reader, *roles, *world.owner))
    done(world.call("admit", world.vault, folder / "kai.card", *roles, *world.owner))
    return world


def copied(cast: World, folder: Path) -> World:
    shutil.copytree(cast.folder, folder)
    return World(folder, cast.bundle)


def sealed(world: World, *options: object) -> str:
    """Seal a second bundle by the reader; return its id."""
    arguments = ("seal", world.vault, world.folder / "reader.card", *options, *world.reader)
    return done(world.call(*arguments)).out.strip()


def identity(world: World, name: str) -> Identity:
    """Unlock an identity of ``world.folder``; ``owner`` is that of EVAULT_HOME."""
    file = world.folder / ("home/identity.age" if name == "owner" else f"{name}.age")
    passphrase = (world.folder / f"{name}.txt").read_bytes().rstrip(b"\n")
    return parse_identity_file(file.read_bytes(), passphrase)


def opened(world: World, name: str, **more: Any) -> Vault:
    """Open the vault without the command line."""
    return Vault.open(LocalStore(world.vault), identity=identity(world, name), **more)


def intact(world: World) -> None:
    """Hold that anybody, without a key, finds the vault intact."""
    told = world.call("verify", world.vault, "--json")
    assert (told.code, json.loads(told.out)["verdict"]) == (0, "intact"), told.out


def chain(world: World, bundle: str) -> list[dict[str, Any]]:
    """Return the events of a bundle as its readers see them."""
    shown = world.call("custody", world.vault, bundle, "--json", *world.reader)
    found: list[dict[str, Any]] = done(shown).json["chain"]
    return found
