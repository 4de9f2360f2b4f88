"""The audit of keys without any: for how many recipients each encrypted file is.

Nobody sees from outside whom a stanza of an age file is for, but everybody sees how many there are:
one more than the log names readers is somebody's whom it does not name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from vault.age.header import MAX_HEADER_SIZE, read_header
from vault.auditing.files import ExpectedFile
from vault.auditing.places import fetch
from vault.auditing.report import Finding
from vault.custody import State
from vault.errors import HeaderError
from vault.layout import epoch_name, history_name, part_name
from vault.storage import Store

__all__ = ["audit_recipients"]

_ONE: Final = 8192
"""Bytes in which the header of a file for one recipient, about 1.7 kB, ends at the latest."""


def audit_recipients(
    store: Store,
    state: State,
    expected: Mapping[str, ExpectedFile],
    damaged: set[str],
    trusted: int,
    step: Callable[[str], None],
) -> list[Finding]:
    """Compare the recipients of epoch files with their readers; a granted history, a bundle's
    evidence, and every fields file and key file, are for one each, those too that were encrypted
    again.

    What ``damaged`` names, and what the first ``trusted`` events logged, is not looked at.
    """
    findings = []
    for name, readers in _recipients(state, expected):
        file = expected.get(name)
        if file is None or file.destroyed or file.seq < trusted or name in damaged:
            continue
        step(name)
        data = fetch(store, name, _ONE if readers == 1 else MAX_HEADER_SIZE)
        if isinstance(data, Finding):
            continue  # whether it has to be there, the audit of files has said
        detail = _fault(data, readers)
        if detail:
            findings.append(
                Finding("recipients", "contradicted", name, f"{detail}, event {file.seq}")
            )
    return findings


def _recipients(state: State, expected: Mapping[str, ExpectedFile]) -> Iterator[tuple[str, int]]:
    for epoch in state.epochs.values():
        yield epoch_name(epoch.id), len(epoch.readers)
    for grant in state.grants:
        yield history_name(grant.sha256), 1
    for bundle in state.bundles:
        yield part_name(bundle, 0), 1
    for file in expected.values():
        if file.epoch is not None:
            yield file.name, 1


def _fault(data: bytes, readers: int) -> str:
    try:
        header, _ = read_header(io.BytesIO(data))
    except HeaderError as error:
        return f"not for {readers} alone: {error.why}"
    found = len(header.stanzas)
    return f"for {found} instead of {readers}" if found != readers else ""
