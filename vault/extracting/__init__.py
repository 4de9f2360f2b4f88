"""Opening a bundle into a folder: its items under safe names, and a record of all that they are.

The folder is new; it holds ``files/`` and ``record.json``, or does not exist after an error. Every
item's SHA-256 is checked while it is written. The opening is in the log before the first byte is
out; or, for a copy or a read-only medium, nothing is written to the vault and a signed
``access-record.txt`` lies beside the record.
"""

from __future__ import annotations

import hashlib
import json
import os
import time as _time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, final

from vault.access import AccessRecord, format_access_record
from vault.bundle import Item
from vault.codec import Packable, Value
from vault.consent import check_covered
from vault.errors import DigestMismatchError, PayloadError
from vault.extracting.folder import NewFolder
from vault.extracting.names import Change, SafeName, safe_names
from vault.layout import bundle_directory
from vault.pipeline import BUFFER_SIZE, Buffer, Progress, ProgressCallback
from vault.reading import BundleReading
from vault.vault import Vault

__all__ = [
    "ACCESS_RECORD",
    "FILES",
    "RECORD",
    "Change",
    "Extracted",
    "SafeName",
    "extract",
    "json_value",
    "safe_names",
]

FILES: Final = "files"
RECORD: Final = "record.json"
ACCESS_RECORD: Final = "access-record.txt"
_FORMAT: Final = "evidence-vault/record/v1"


@final
@dataclass(frozen=True, slots=True)
class Extracted:
    """What was written: the items opened, the safe name of each that has content, by number."""

    path: str
    items: tuple[Item, ...]
    names: Mapping[int, SafeName]
    size: int
    recorded: bool


def extract(
    vault: Vault,
    bundle: bytes,
    path: str | os.PathLike[str],
    *,
    items: Sequence[int] = (),
    purpose: str,
    fields: Mapping[str, Packable] | None = None,
    recorded: bool = True,
    progress: ProgressCallback | None = None,
    clock: Callable[[], float] = _time.time,
) -> Extracted:
    """Write items of a bundle (none named: all) into the new folder ``path``.

    ``recorded``: as :meth:`Vault.open_bundle` does, with ``purpose`` and ``fields``. Otherwise
    nothing is written to the vault; consent counts all the same, as far as this copy knows it, and
    the access record states ``use`` and ``authority`` of ``fields``, which has no others then.
    Raises what that method does, ``FileExistsError``, ``NoSpaceError``, and ``DigestMismatchError``
    for an item that is not what was sealed; no folder is left then.
    """
    chosen = tuple(sorted(set(items)))
    with NewFolder(path) as folder:
        with vault.read(bundle) as looked:
            wanted = [looked.item(number) for number in chosen] or list(looked.items)
            folder.check_space([item.stored[2] for item in wanted if item.stored is not None])
        if recorded:
            reading = vault.open_bundle(bundle, chosen, purpose=purpose, fields=fields)
        else:
            check_covered(vault, bundle, "bundle.opened", fields or {})
            reading = vault.read(bundle)
        with reading:
            found = _write(folder, reading, wanted, progress)
            record = _record(vault, reading, wanted, found)
        if not recorded:
            access = _access_record(vault, bundle, chosen, purpose, fields or {}, int(clock()))
            _write_bytes(folder, ACCESS_RECORD, access)
        # Last: where it stands, all is there.
        _write_bytes(folder, RECORD, record)
        size = sum(item.stored[2] for item in wanted if item.stored is not None)
        return Extracted(folder.path, tuple(wanted), found, size, recorded)


def _write_bytes(folder: NewFolder, name: str, data: bytes) -> None:
    folder.write([name], lambda take: take(data))


def _write(
    folder: NewFolder,
    reading: BundleReading,
    items: Sequence[Item],
    progress: ProgressCallback | None,
) -> dict[int, SafeName]:
    stored = [item for item in items if item.stored is not None]
    total = sum(item.stored[2] for item in stored if item.stored is not None)
    names = safe_names((item.number, _original_name(item)) for item in stored)
    buffer = memoryview(bytearray(BUFFER_SIZE))
    done = 0

    def fill(item: Item, take: Callable[[Buffer], None]) -> None:
        nonlocal done
        assert item.stored is not None
        name, _, size, sha256 = item.stored
        if not size and sha256 != hashlib.sha256().digest():
            raise DigestMismatchError("item", "not the SHA-256 of its fields", name)
        with reading.open(item.number) as source:
            while count := source.readinto(buffer):
                take(buffer[:count])
                done += count
                if progress is not None:
                    progress(Progress("open", done, total, names[item.number].path))

    for item in stored:
        parts = (FILES, *names[item.number].parts)
        try:
            folder.write(parts, lambda take, item=item: fill(item, take))  # type: ignore[misc]
        except PayloadError as error:
            where = f"{bundle_directory(reading.bundle.id)}, item {item.number}"
            raise error.at(where) from None
    return names


def _original_name(item: Item) -> str | bytes:
    name = item.values["original_name"]
    assert isinstance(name, (str, bytes))
    return name


# --- the records ------------------------------------------------------------------------------


def json_value(value: Value) -> object:
    """Return a field's value for JSON: bytes as ``{"hex": …}``, arrays as lists."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple):
        return [json_value(one) for one in value]
    if isinstance(value, dict):
        return {key: json_value(one) for key, one in value.items()}
    return value


def _item_record(item: Item, names: Mapping[int, SafeName]) -> dict[str, object]:
    values = {name: json_value(value) for name, value in item.values.items()}
    sha256 = item.values.get("sha256")
    if isinstance(sha256, bytes):
        values["sha256"] = sha256.hex()
    name = names.get(item.number)
    return {
        "number": item.number,
        "written": f"{FILES}/{name.path}" if name is not None else None,
        "renamed_because": list(name.changes) if name is not None else [],
        "fields": values,
    }


def _record(
    vault: Vault, reading: BundleReading, items: Sequence[Item], names: Mapping[int, SafeName]
) -> bytes:
    """Return ``record.json``: every field of the seal and of the items opened, and their names."""
    bundle = reading.bundle
    value = {
        "format": _FORMAT,
        "vault": vault.id.hex(),
        "bundle": bundle.id.hex(),
        "event": bundle.seq,
        "sealed_at": _utc(bundle.time),
        "sealed_by": vault.state.members[bundle.sealer].keys.fingerprint.hex(),
        "log_size": vault.size,
        "log_root": vault.root.hex(),
        "items_sealed": len(reading.items),
        "fields": {name: json_value(one) for name, one in reading.fields.items()},
        "items": [_item_record(item, names) for item in items],
    }
    # ASCII: a text that turns its direction, or a terminal, must not act on who looks at the file.
    return (json.dumps(value, indent=2, ensure_ascii=True) + "\n").encode("ascii")


def _utc(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _access_record(
    vault: Vault,
    bundle: bytes,
    items: tuple[int, ...],
    purpose: str,
    fields: Mapping[str, Packable],
    time: int,
) -> bytes:
    assert vault.identity is not None  # or the bundle would not have opened
    record = AccessRecord(
        actor=vault.identity.ed25519,
        vault=vault.id,
        size=vault.size,
        root=vault.root,
        bundle=bundle,
        items=items,
        time=time,
        purpose=purpose,
        use=str(fields.get("use", "")),
        authority=str(fields.get("authority", "")),
    )
    return format_access_record(record, vault.identity)
