"""What a hostile writer makes with a custodian's keys, and what nobody may ever be shown of it.

:func:`forged_bundle` seals a bundle past every check of the writer: its plaintext is a tar of any
members, its items' fields are any values; the event is well formed and signed.
:func:`said_everywhere` lets every event say hostile text wherever its schema has a text.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from vault import age, draft
from vault.bag import EVIDENCE_NAME, padded_size
from vault.codec import pack
from vault.commitment import ITEM_LABEL, commit_fields, fields_root, format_fields, items_root
from vault.event import EVENT_TYPES, ITEM_FIELDS, kinds
from vault.keyring import seal_to_epoch
from vault.layout import bundle_directory, key_name_in_bundle, part_name_in_bundle
from vault.vault import Vault

__all__ = [
    "FORGED",
    "HOSTILE",
    "PIECES",
    "Member",
    "forged_bundle",
    "hostile_item",
    "in_child",
    "misleading",
    "said_everywhere",
    "snapshot",
]

# --- bags -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar: its name as it is, its type (``tarfile.REGTYPE`` and so on), its bytes.

    ``fields`` are those of the item that says to have this content, beside where it lies; None: no
    item speaks of it. What they state replaces what is true.
    """

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    fields: Mapping[str, Any] | None = field(default_factory=dict)


def forged_bundle(vault: Vault, members: Sequence[Member]) -> bytes:
    """Seal a bundle of these members and nothing of a bag but ``evidence.msgpack``; return its id.

    ``vault`` is opened by a custodian, and writes the event as any other.
    """
    bundle = os.urandom(16)
    plain = io.BytesIO()
    roots, records = [], []
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname = member.kind, member.link
            regular = member.kind == tarfile.REGTYPE
            info.size = len(member.content) if regular else 0
            tar.addfile(info, io.BytesIO(member.content) if regular else None)
            if member.fields is None:
                continue
            where = plain.tell() - info.size - -info.size % 512
            values = {
                "original_name": f"item {len(roots)}.txt",
                "path": f"data/{len(roots):06d}.txt",
                "offset": where,
                "size": info.size,
                "sha256": hashlib.sha256(member.content if regular else b"").digest(),
                **member.fields,
            }
            names = tuple(key.name for key in ITEM_FIELDS)
            fields = commit_fields(names, values, os.urandom)
            roots.append(fields_root(ITEM_LABEL, fields))
            records.append(pack(format_fields(fields)))
        evidence = b"".join(records)
        info = tarfile.TarInfo(f"{bundle.hex()}/{EVIDENCE_NAME}")
        info.size = len(evidence)
        tar.addfile(info, io.BytesIO(evidence))
        offset = plain.tell() - info.size - -info.size % 512
    data = plain.getvalue()
    data = data.ljust(padded_size(len(data)), b"\0")

    identity = age.HybridIdentity.from_seed(os.urandom(32))
    part = age.encrypt_bytes(data, [identity.recipient()])
    epoch = vault.state.open_epoch()
    key, sealed = seal_to_epoch(f"{identity.to_string()}\n".encode(), epoch)
    stage = vault.store.stage()
    files = {
        part_name_in_bundle(0): part,
        key_name_in_bundle(sealed.epoch, sealed.sha256): key,
    }
    for name, content in files.items():
        with stage.create(name) as writer:
            writer.write(content)
            writer.commit()
    stage.publish(bundle_directory(bundle))
    vault.append(
        "bundle.sealed",
        bundle=bundle,
        data={
            "key": hashlib.sha256(identity.recipient().to_bytes()).digest(),
            "key_file": sealed.to_value(),
            "parts": ((hashlib.sha256(part).digest(), len(part)),),
            "items": items_root(roots),
        },
        fields={
            "item_count": len(roots),
            "plaintext_size": len(data),
            "items_offset": offset,
            "items_size": len(evidence),
        },
    )
    return bundle


def snapshot(folder: Path) -> dict[str, tuple[int, int, object]]:
    """Return every entry below a folder: kind and mode, links, content or target."""
    found: dict[str, tuple[int, int, object]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
        found[name] = (status.st_mode, status.st_nlink if path.is_file() else 0, content)
    return found


# --- text -----------------------------------------------------------------------------------------

FORGED: Final = "FORGED"
"""Stands after everything that could begin a line, so that a line that begins with it is a lie."""
PIECES: Final[Mapping[str, str]] = {
    "ANSI": "\x1b[2J\x1b[1;1H\x1b[31m",
    "OSC-8": "\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x07",
    "title": "\x1b]0;owned\x07",
    "C1": "\x9b31m\x9d0;x\x9c\x85",
    "bidirectional": "\u202egpj.exe\u202c\u2066x\u2069\u061c\u200e\u200f",
    "zero width": "a\u200b\u200c\u200d\u2060\ufeffb",
    "tag": "\U000e0041\U000e007f",
    "selector": "\ufe0f\U000e0100",
    "blank": "\u3164\u115f\u2800\u00ad\u034f",
    "control": "\0\a\b\x7f\v\f",
    "line": f"\r{FORGED}\n{FORGED}\r\n{FORGED}\u2028{FORGED}\u2029{FORGED}",
    "markup": "[bold red]x[/]",
    "private": "\ue000\U0010ffff\u0378",
}
HOSTILE: Final = "".join(PIECES.values())

_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def misleading(text: str) -> list[str]:
    """Return what of a text acts on a terminal or on who reads it: every such character, and every
    line that begins as a value wanted.
    """
    found = [
        f"U+{ord(c):04X}"
        for c in text
        if c != "\n" and ((unicodedata.category(c)[0] in "CZ" and c != " ") or _UNSEEN.match(c))
    ]
    return found + [line for line in text.split("\n") if line.startswith(FORGED)]


def _hostile_value(key: Any) -> Any:
    if key.kind is kinds.TEXT:
        return f"{key.name} {HOSTILE}"
    if key.kind is kinds.TEXTS:
        return (f"{key.name} {HOSTILE}", f"another {HOSTILE}")
    return None


def hostile_item() -> dict[str, Any]:
    """Return fields of an item: every text that a writer may state, and one of its own."""
    given = {"path", "derived_from"}
    values = {key.name: _hostile_value(key) for key in ITEM_FIELDS if key.name not in given}
    return {name: one for name, one in values.items() if one is not None} | _OWN


_OWN: Final[dict[str, Any]] = {
    "z \u200b\U000e0041\u3164\u2060 own": HOSTILE,
    "z [red]list": (HOSTILE, HOSTILE),
}
"""Fields outside of every schema: their names have all that the format lets a name have."""


@contextmanager
def said_everywhere(said: set[tuple[str, str]]) -> Iterator[None]:
    """Let every event say hostile text in each of its text fields, whoever writes it by what verb.

    ``said`` collects (type, field).
    """
    commit = draft.commit_event_fields

    def hostile(type_name: str, values: Mapping[str, Any], random: Any) -> Any:
        texts = {key.name: _hostile_value(key) for key in EVENT_TYPES[type_name].fields}
        texts = {name: one for name, one in texts.items() if one is not None}
        said.update((type_name, name) for name in texts)
        return commit(type_name, {**values, **texts, **_OWN}, random)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vault.vault.commit_event_fields", hostile)
        software = {f"software.{name}": HOSTILE for name in ("name", "version", "system")}
        patched.setattr("vault.draft.software_fields", lambda: software)
        yield


# --- limits ---------------------------------------------------------------------------------------

_CHILD: Final = """\
import resource
from pathlib import Path
{prepare}

def pages():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

resource.setrlimit(resource.RLIMIT_CPU, (60, 61))
if Path("/proc/self/statm").exists():
    resource.setrlimit(resource.RLIMIT_AS, (pages() + 256 * 2**20,) * 2)
before, held = resource.getrusage(resource.RUSAGE_SELF), peak()
try:
    {call}
except {error} as caught:
    verdict = type(caught).__name__
else:
    verdict = "accepted"
after = resource.getrusage(resource.RUSAGE_SELF)
spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(verdict, peak() - held, round(spent, 2))
"""


def in_child(prepare: str, call: str, error: str = "FormatError") -> tuple[str, int, float]:
    """Run a call in a process of its own, which gets 256 MiB more than it had and no byte beyond.

    Returns the verdict (the error's class, or ``accepted``), the MiB by which its memory grew, and
    the seconds of processor time it took. Raises ``AssertionError`` with what the process said if
    it ended in any other way, as with a ``MemoryError``.
    """
    program = _CHILD.format(prepare=prepare, call=call, error=error)
    here = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=here,
        env={**os.environ, "PYTHONPATH": f"{here}:{here / 'cli'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    verdict, mebibytes, seconds = done.stdout.split()
    return verdict, int(mebibytes), float(seconds)
