"""The audit of files: which the log calls for, whether each is there and what was logged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, final

from vault.auditing.report import Finding
from vault.codec import Value
from vault.custody import State
from vault.event import Event
from vault.layout import (
    BUNDLES,
    FORMAT_CONTENT,
    FORMAT_NAME,
    bundle_key_name,
    epoch_name,
    fields_name,
    history_name,
    part_name,
    rekey_name,
)
from vault.pipeline import BUFFER_SIZE
from vault.storage import STRANGE, Store

__all__ = ["ExpectedFile", "audit_files", "expected_files"]

_KEPT: Final = frozenset(("bundle.destroyed", "destruction.approved", "destruction.requested"))


@final
@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file that event ``seq`` logged. ``destroyed``: it may be gone, and should be."""

    name: str
    sha256: bytes
    size: int
    seq: int
    destroyed: bool = False


def expected_files(events: Iterable[Event], state: State) -> dict[str, ExpectedFile]:
    """Return every file that the events call for, by name."""
    found: dict[str, ExpectedFile] = {}
    for event in events:
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        gone = bundle is not None and bundle.destroyed is not None
        for name, file in _files_of(event):
            sha256, size = file[0], file[1]  # type: ignore[index]
            assert isinstance(sha256, bytes)
            assert isinstance(size, int)
            kept = name.startswith("fields/") and event.type in _KEPT
            found[name] = ExpectedFile(name, sha256, size, event.seq, gone and not kept)
    return found


def _files_of(event: Event) -> Iterable[tuple[str, Value]]:
    if event.sealed is not None:
        yield fields_name(event.sealed.sha256), event.sealed.to_value()
    match event.type, event.data:
        case "epoch.opened", {"epoch": bytes(epoch), "file": file}:
            yield epoch_name(epoch), file
        case "history.granted", {"file": (bytes(sha256), _) as file}:
            yield history_name(sha256), file
        case "vault.rekeyed", {"manifest": (bytes(sha256), _) as file}:
            yield rekey_name(sha256), file
        case "bundle.sealed", {"parts": tuple(parts), "key_file": (bytes(d), _, bytes(e)) as file}:
            assert event.bundle is not None
            yield bundle_key_name(event.bundle, e, d), file
            for number, part in enumerate(parts):
                yield part_name(event.bundle, number), part
        case ("checkpoint.attested", {"file": (bytes(sha256), _) as file}) | (
            "custody.receipted",
            {"receipt": (bytes(sha256), _) as file},
        ):
            yield f"foreign/{sha256.hex()}", file


def audit_files(
    store: Store,
    expected: dict[str, ExpectedFile],
    log_names: set[str],
    trusted: int,
    step: Callable[[str, int], None],
) -> tuple[list[Finding], int, int]:
    """Compare the store with what is expected; return findings, files read and bytes read.

    The contents of files that the first ``trusted`` events logged are not read, only their sizes
    compared. Files are read on all processors, the largest first.
    """
    findings: list[Finding] = []
    stored: dict[str, int] = {}
    for name, size in store.list():
        if size == STRANGE:
            findings.append(Finding("not-a-file", "altered", name, "a link or a device"))
        else:
            stored[name] = size
    findings += _format(store, stored)
    to_read: list[ExpectedFile] = []
    for name, file in expected.items():
        size = stored.get(name)
        if file.destroyed:
            if size is not None:
                findings.append(Finding("pending-deletion", "note", name, f"event {file.seq}"))
        elif size is None:
            findings.append(Finding("missing", "altered", name, f"event {file.seq}"))
        elif size != file.size:
            detail = f"{size} bytes instead of {file.size}, event {file.seq}"
            findings.append(Finding("size", "altered", name, detail))
        elif file.seq >= trusted:
            to_read.append(file)
    findings += _left_over(stored, expected, log_names)
    to_read.sort(key=lambda file: -file.size)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        digests = pool.map(lambda file: _digest(store, file.name, step), to_read)
        for file, digest in zip(to_read, digests, strict=True):
            if digest != file.sha256:
                detail = "not the SHA-256 that was logged" if digest else "can't be read"
                detail = f"{detail}, event {file.seq}"
                findings.append(Finding("digest", "altered", file.name, detail))
    return findings, len(to_read), sum(file.size for file in to_read)


def _format(store: Store, stored: dict[str, int]) -> list[Finding]:
    size = stored.pop(FORMAT_NAME, None)
    if size is None:
        return [Finding("missing", "altered", FORMAT_NAME)]
    if size != len(FORMAT_CONTENT) or store.read(FORMAT_NAME) != FORMAT_CONTENT:
        return [Finding("format", "altered", FORMAT_NAME, "not the line of a vault")]
    return []


def _left_over(
    stored: dict[str, int], expected: dict[str, ExpectedFile], log_names: set[str]
) -> list[Finding]:
    extra = sorted(stored.keys() - expected.keys() - log_names)
    return [
        Finding("leftover", "note", name, "a bundle" if name.startswith(BUNDLES) else "")
        for name in extra
    ]


def _digest(store: Store, name: str, step: Callable[[str, int], None]) -> bytes:
    """Return the SHA-256 of a file; nothing if it can't be read."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BUFFER_SIZE))
    try:
        with store.open(name) as reader:
            position = 0
            while count := reader.read_into(position, buffer):
                digest.update(buffer[:count])
                position += count
                step(name, count)
    except OSError:
        return b""
    return digest.digest()
