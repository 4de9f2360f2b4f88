"""The audit of files: which the log calls for, whether each is there and what was logged."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

from vault.auditing.places import digest_of, fetch, list_files
from vault.auditing.report import Finding
from vault.custody import State
from vault.errors import NotAVaultError, StateError
from vault.event import Event
from vault.expected import (
    ExpectedFile,
    expected_files,
    flaws_of,
    stranded_in,
    unread_manifests,
)
from vault.layout import BUNDLES, FORMAT_CONTENT, FORMAT_NAME, rekey_name
from vault.pipeline import BUFFER_SIZE
from vault.replacement import Replacements
from vault.storage import STRANGE, Store

__all__ = ["ExpectedFile", "audit_files", "audit_rekeyings", "expected_files"]


def audit_files(
    store: Store,
    expected: dict[str, ExpectedFile],
    log_names: set[str],
    trusted: int,
    step: Callable[[str, int], None],
    *,
    complete: bool,
    only: Collection[str] | None = None,
) -> tuple[list[Finding], int, int]:
    """Compare the store with what is expected; return findings, files read and bytes read.

    The contents of files that the first ``trusted`` events logged are not read, only their sizes
    compared; and likewise of files that ``only`` does not name. Files are read on all processors,
    the largest first. Unless the events are ``complete``, what else is stored may belong to one
    that could not be read, and is not named; and what is missing may have gone by one, which its
    finding says.
    """
    stored, findings = list_files(store)
    if findings:
        # What a listing that broke off did not come to is not missing.
        stored |= _looked_up(store, expected.keys() - stored.keys())
    findings += _format(store, stored)
    to_read: list[ExpectedFile] = []
    for name, file in expected.items():
        finding = _compare(file, stored.get(name), complete=complete)
        if finding is not None:
            findings.append(finding)
        elif name in stored and file.seq >= trusted and (only is None or name in only):
            to_read.append(file)
        if file.disputed:
            detail = f"event {file.seq} and one before it"
            findings.append(Finding("file-disputed", "contradicted", name, detail))
    if complete:
        findings += _left_over(stored, expected, log_names)
    to_read.sort(key=lambda file: -file.size)
    findings += _read(store, to_read, step)
    return findings, len(to_read), sum(file.size for file in to_read)


def audit_rekeyings(
    events: Iterable[Event],
    state: State,
    expected: Mapping[str, ExpectedFile],
    replacements: Replacements,
) -> tuple[list[Finding], bool]:
    """Hold the manifests of files that were encrypted again against the log; return findings, and
    whether each could be read (if not, :func:`audit_files` says why).
    """
    findings = []
    for flaw in flaws_of(events, state, replacements):
        about = f"{flaw.name}: " if flaw.name else ""
        detail = f"{about}{flaw.why}, event {flaw.rekeying.seq}"
        place = rekey_name(flaw.rekeying.manifest)
        findings.append(Finding("manifest", "contradicted", place, detail))
    for file in stranded_in(state.shredded, expected):
        assert file.epoch is not None
        detail = f"for epoch {file.epoch.hex()}, event {file.seq}"
        findings.append(Finding("shredded", "contradicted", file.name, detail))
    return findings, not unread_manifests(state, replacements)


def _compare(file: ExpectedFile, size: int | None, *, complete: bool) -> Finding | None:
    event = f"event {file.seq}"
    if file.destroyed:
        present = Finding("pending-deletion", "note", file.name, event)
        return present if size is not None else None
    if size is None and file.uncertain:
        return None
    if size is None:
        # Not told apart, a file that was destroyed would be called lost for damage to the log.
        doubt = "" if complete else "; what can't be read may have let go of it"
        return Finding("missing", "altered", file.name, event + doubt)
    if size == STRANGE:
        return Finding("not-a-file", "altered", file.name, f"a link or a device, {event}")
    if size != file.size:
        detail = f"{size} bytes instead of {file.size}, {event}"
        return Finding("size", "altered", file.name, detail)
    return None


def _looked_up(store: Store, names: Iterable[str]) -> dict[str, int]:
    found = {}
    for name in names:
        try:
            found[name] = store.size(name)
        except FileNotFoundError:
            continue
        except NotAVaultError:
            raise
        except (OSError, StateError):
            found[name] = STRANGE
    return found


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
