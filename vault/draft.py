"""Events in the making: their fields stay plaintext until their place in the log is known.

The fields file of an event must be encrypted to the epoch that is newest where the event stands. A
draft keeps salted plaintext fields, writes their file when the log asks for the event, and writes
it again if another writer opened an epoch meanwhile.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import final

from vault import age
from vault._version import __version__
from vault.codec import Packable
from vault.commitment import FIELDS_LABEL, Field, commit_fields, fields_root, values_of
from vault.custody import Policy, State
from vault.errors import CustodyError
from vault.event import (
    EVENT_LABEL,
    EVENT_TYPES,
    FURTHER_FIELD,
    Event,
    FieldsHeader,
    SealedFile,
    check_values,
    format_body,
    format_event,
    format_fields_file,
    parse_event,
)
from vault.identity import Identity
from vault.layout import fields_name
from vault.log import Place
from vault.storage import Store

__all__ = ["Clock", "Draft", "Random", "commit_event_fields", "exact_time", "software_fields"]

Clock = Callable[[], float]
Random = Callable[[int], bytes]


def software_fields() -> dict[str, str]:
    """Return which software wrote an event, and on what system."""
    return {
        "software.name": "evidence-vault",
        "software.version": __version__,
        "software.system": f"{platform.system()} {platform.release()}".strip() or "unknown",
    }


def commit_event_fields(
    type_name: str, values: Mapping[str, Packable], random: Random
) -> tuple[Field, ...]:
    """Salt the fields of an event; raise ``FormatError`` for a value that is not of its kind and
    ``ValueError`` for a name that no field may have.
    """
    schema = EVENT_TYPES[type_name]
    fields = commit_fields(schema.field_names, {**values, **software_fields()}, random)
    what = f"fields of {type_name}"
    check_values(what, schema.fields, values_of(fields), further=FURTHER_FIELD)
    return fields


@final
class Draft:
    """One event to be appended. ``data`` is a map, or a function of the state at its place.

    ``epoch`` names the recipient of the fields when the event itself brings the epoch: (id, raw
    recipient). ``files`` are those that the event names and that belong to it alone, by name. Call
    it with a place, as the log does, to get the signed event.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        clock: Clock,
        type_name: str,
        fields: tuple[Field, ...],
        *,
        data: Mapping[str, Packable] | Callable[[State], Mapping[str, Packable]],
        bundle: bytes | None = None,
        epoch: tuple[bytes, bytes] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._type = type_name
        self._fields = fields
        self._data = data
        self._bundle = bundle
        self._epoch = epoch
        self._root = fields_root(FIELDS_LABEL, fields)
        self._sealed: SealedFile | None = None
        self._files = dict(files or {})
        self._written: list[str] = []

    def __call__(self, place: Place) -> Event:
        """Return the signed event for ``place``; its files are durable by then.

        Raises ``CustodyError`` for an event about a bundle that there is not.
        """
        state = place.state
        genesis = self._type == "vault.created"
        data = self._data(state) if callable(self._data) else self._data
        known = state.bundles.get(self._bundle) if self._bundle is not None else None
        about = EVENT_TYPES[self._type].about_bundle and self._type != "bundle.sealed"
        if about and known is None and self._bundle is not None:
            # Such an event has no form at all: it could not follow anything.
            raise CustodyError("bundle-unknown", self._type, self._bundle.hex())
        self._write_files()
        # Genesis brings the policy that holds from its own time on.
        clock = _clock(data) if genesis else state.policy.clock
        vault = None if genesis else state.vault
        header = FieldsHeader(self._identity.ed25519, self._type, vault, self._bundle)
        event = Event(
            seq=place.seq,
            type=self._type,
            actor=self._identity.ed25519,
            time=int(self._clock()) // clock * clock,
            data=dict(data),  # type: ignore[arg-type]  # packed and parsed again below
            vault=vault,
            head=place.head,
            bundle=self._bundle,
            prev=known.last if known is not None and self._type != "bundle.sealed" else None,
            fields=self._root,
            sealed=self._seal(state, header),
            closes=place.closes,
        )
        body = format_body(event)
        leaf = format_event(body, self._identity.sign_ed25519(EVENT_LABEL + body))
        # What can't be read back must not be written.
        return parse_event(leaf)

    def _recipient(self, state: State) -> tuple[bytes, bytes]:
        if self._epoch is not None:
            return self._epoch
        epoch = state.open_epoch()
        return epoch.id, epoch.recipient

    def _seal(self, state: State, header: FieldsHeader) -> SealedFile:
        epoch, raw = self._recipient(state)
        if self._sealed is None or self._sealed.epoch != epoch:
            recipient = age.HybridRecipient.from_bytes(raw)
            data = age.encrypt_bytes(format_fields_file(header, self._fields), [recipient])
            self._discard_fields()
            sealed = SealedFile(hashlib.sha256(data).digest(), len(data), epoch)
            self._write(fields_name(sealed.sha256), data)
            self._sealed = sealed
        return self._sealed

    def _write_files(self) -> None:
        while self._files:
            name, data = self._files.popitem()
            self._write(name, data)
            self._written.append(name)

    def _write(self, name: str, data: bytes) -> None:
        with self._store.create(name) as writer:
            writer.write(data)
            writer.commit()

    def _discard_fields(self) -> None:
        if self._sealed is not None:
            self._store.delete(fields_name(self._sealed.sha256))
            self._sealed = None

    def discard(self) -> None:
        """Remove the files of an event that was not appended. It can't be appended any more."""
        self._discard_fields()
        while self._written:
            self._store.delete(self._written.pop())


def _clock(data: Mapping[str, Packable]) -> int:
    match data:
        case {"policy": {"clock": int(clock)}} if clock > 0:
            return clock
    raise ValueError("a genesis without a clock of whole seconds")


def exact_time(clock: Clock, policy: Policy) -> dict[str, str]:
    """Return the field that keeps the time where a vault's public clock is coarser than seconds."""
    if policy.clock == 1:
        return {}
    now = datetime.fromtimestamp(int(clock()), UTC)
    return {"exact_time": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
