"""The audit of files: which the log calls for, whether each is there and what was logged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event as Flag
from typing import Final, final

from vault.auditing.places import digest_of, fetch, list_files
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
    """A file that event ``seq`` logged. ``destroyed``: it may be gone, and should be.

    ``disputed``: events before ``seq`` say something else about a file of this name.
    """

    name: str
    sha256: bytes
    size: int
    seq: int
    destroyed: bool = False
    disputed: bool = False


def expected_files(events: Iterable[Event], state: State) -> dict[str, ExpectedFile]:
    """Return every file that the events call for, by name."""
    found: dict[str, ExpectedFile] = {}
    for event in events:
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        gone = bundle is not None and bundle.destroyed is not None
        for name, value in _files_of(event):
            sha256, size = value[0], value[1]  # type: ignore[index]
            assert isinstance(sha256, bytes)
            assert isinstance(size, int)
            kept = name.startswith("fields/") and event.type in _KEPT
            file = ExpectedFile(name, sha256, size, event.seq, gone and not kept)
            found[name] = _both(found[name], file) if name in found else file
    return found


def _both(one: ExpectedFile, other: ExpectedFile) -> ExpectedFile:
    """Return what two events together say of one file: it goes only when neither needs it."""
    same = (one.sha256, one.size) == (other.sha256, other.size)
    return ExpectedFile(
        other.name,
        other.sha256,
        other.size,
        other.seq,
        one.destroyed and other.destroyed,
        one.disputed or not same,
    )


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
    *,
    complete: bool,
) -> tuple[list[Finding], int, int]:
    """Compare the store with what is expected; return findings, files read and bytes read.

    The contents of files that the first ``trusted`` events logged are not read, only their sizes
    compared. Files are read on all processors, the largest first. Unless the events are
    ``complete``, what else is stored may belong to one that could not be read, and is not named.
    """
    stored, findings = list_files(store)
    findings += _format(store, stored)
    to_read: list[ExpectedFile] = []
    for name, file in expected.items():
        finding = _compare(file, stored.get(name))
        if finding is not None:
            findings.append(finding)
        elif name in stored and file.seq >= trusted:
            to_read.append(file)
        if file.disputed:
            detail = f"event {file.seq} and one before it"
            findings.append(Finding("file-disputed", "contradicted", name, detail))
    if complete:
        findings += _left_over(stored, expected, log_names)
    to_read.sort(key=lambda file: -file.size)
    findings += _read(store, to_read, step)
    return findings, len(to_read), sum(file.size for file in to_read)


def _compare(file: ExpectedFile, size: int | None) -> Finding | None:
    event = f"event {file.seq}"
    if file.destroyed:
        present = Finding("pending-deletion", "note", file.name, event)
        return present if size is not None else None
    if size is None:
        return Finding("missing", "altered", file.name, event)
    if size == STRANGE:
        return Finding("not-a-file", "altered", file.name, f"a link or a device, {event}")
    if size != file.size:
        detail = f"{size} bytes instead of {file.size}, {event}"
        return Finding("size", "altered", file.name, detail)
    return None


def _format(store: Store, stored: dict[str, int]) -> list[Finding]:
    stored.pop(FORMAT_NAME, None)
    content = fetch(store, FORMAT_NAME, len(FORMAT_CONTENT))
    if isinstance(content, Finding):
        return [content]
    if content != FORMAT_CONTENT:
        return [Finding("format", "altered", FORMAT_NAME, "not the line of a vault")]
    return []


def _left_over(
    stored: dict[str, int], expected: dict[str, ExpectedFile], log_names: set[str]
) -> list[Finding]:
    findings = []
    for name in sorted(stored.keys() - expected.keys() - log_names):
        kind = "a link or a device" if stored[name] == STRANGE else ""
        detail = kind or ("a bundle" if name.startswith(f"{BUNDLES}/") else "")
        findings.append(Finding("leftover", "note", name, detail))
    return findings


def _read(
    store: Store, files: list[ExpectedFile], step: Callable[[str, int], None]
) -> list[Finding]:
    """Read every file and compare its digest. An exception from ``step`` ends it soon."""
    large = [file for file in files if file.size >= BUFFER_SIZE]
    findings = []
    digests = [*_digests(store, large, step)]
    # For small files threads cost more than they save.
    digests += [digest_of(store, file.name, step) for file in files[len(large) :]]
    for file, digest in zip(files, digests, strict=True):
        if digest != file.sha256:
            detail = "not the SHA-256 that was logged" if digest else "can't be read"
            detail = f"{detail}, event {file.seq}"
            findings.append(Finding("digest", "altered", file.name, detail))
    return findings


def _digests(
    store: Store, files: list[ExpectedFile], step: Callable[[str, int], None]
) -> list[bytes]:
    if not files:
        return []
    cancelled = Flag()

    def careful_step(name: str, count: int) -> None:
        if cancelled.is_set():
            raise InterruptedError("cancelled")
        step(name, count)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            return [*pool.map(lambda file: digest_of(store, file.name, careful_step), files)]
        except BaseException:
            # Parts of a gigabyte may be open: nobody should have to wait for their end.
            cancelled.set()
            raise
