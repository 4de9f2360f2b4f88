"""A small vault with everything in it, and a quick way to audit many copies of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module

import pytest

from tests.bundles.scene import READER, contents, new_vault, open_vault, seal
from vault.auditing import Finding, Report, audit
from vault.storage import MemoryStore, Store
from vault.tlog.tiles import parse_tile_path

ITEMS = (b"one", bytes(513), b"three")


@contextmanager
def small_padding() -> Iterator[None]:
    """Pad as little as possible, so that a vault has few bytes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vault.bag._MIN_SIZE", 1024)
        patched.setattr("vault.event.encoding._MIN_FIELDS_FILE", 512)
        yield


@cache
def golden() -> dict[str, bytes]:
    """Return the files of a vault with two bundles, an opening and notes, by two actors."""
    with small_padding():
        vault = new_vault()
        first = seal(vault, *ITEMS, title="first")
        seal(vault, b"evidence", title="second")
        reader = open_vault(vault.store, READER)
        with reader.open_item(first.id, 0, purpose="a look") as item:
            item.read()
        reader.append("bundle.noted", bundle=first.id, fields={"text": "seen"})
    return contents(vault.store)


def is_superseded(name: str, files: Mapping[str, bytes]) -> bool:
    """Return whether a file is a partial tile that a wider one made superfluous."""
    if ".p/" not in name:
        return False
    tile = parse_tile_path(name.removeprefix("log/"))
    folder = name.rpartition("/")[0]
    widths = [int(other.rpartition("/")[2]) for other in files if other.startswith(f"{folder}/")]
    return tile.width < max(widths)


@cache
def needed() -> dict[str, bytes]:
    """Return the files of the golden vault that must be there."""
    files = golden()
    return {name: data for name, data in files.items() if not is_superseded(name, files)}


@contextmanager
def memoised() -> Iterator[None]:
    """Remember the outcome of pure functions over many audits of nearly the same vault."""
    with pytest.MonkeyPatch.context() as patched:
        for module, function in (
            ("vault.auditing.logs", "parse_event"),
            ("vault.custody.roster", "check_possession"),
            ("vault.tlog.checkpoint", "verify_ed25519"),
            ("vault.tlog.checkpoint", "verify_ml_dsa_44"),
            ("vault.tlog.note", "verify_ed25519"),
        ):
            original = getattr(import_module(module), function)
            patched.setattr(f"{module}.{function}", lru_cache(64)(original))
        yield


def audited(files: Mapping[str, bytes]) -> Report:
    """Audit a vault without any key."""
    return audit(MemoryStore(files))


def bad(report: Report) -> list[Finding]:
    """Return the findings that are more than notes."""
    return [finding for finding in report.findings if finding.severity != "note"]


def codes(report: Report) -> set[str]:
    """Return the codes of all findings."""
    return {finding.code for finding in report.findings}


def places(report: Report) -> set[str]:
    """Return the places of the findings that are more than notes."""
    return {finding.place for finding in bad(report)}


def with_files(store: Store, **changes: bytes | None) -> MemoryStore:
    """Return a copy of a store with some files changed (None: deleted)."""
    files = {**contents(store), **{k.replace("__", "/"): v for k, v in changes.items()}}
    return MemoryStore({name: data for name, data in files.items() if data is not None})
