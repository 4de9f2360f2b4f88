"""The forms of a small private file: one event may call for a fields file or a key file in several,
each encrypted to another epoch. What is inside is the same, and is held to what the event commits
to in every form by itself.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

from vault.age import HybridIdentity
from vault.age.header import read_header
from vault.bundle import parse_bundle_key
from vault.commitment import FIELDS_LABEL, Field, fields_root
from vault.custody import BundleState, State
from vault.errors import FormatError, ProofError
from vault.event import MAX_FIELDS_FILE, Event, FieldsHeader, SealedFile, parse_fields_file
from vault.expected import ExpectedFile, forms_by_name
from vault.keyring import Keyring
from vault.layout import bundle_key_name, fields_name
from vault.storage import Store
from vault.stored import read_whole

__all__ = [
    "PrivateFile",
    "bundle_identity",
    "check_one_recipient",
    "check_stored",
    "fields_in",
    "key_in",
    "private_files",
    "read_fields",
]

_MAX_KEY_FILE: Final = 4096
_MAX_FIELDS: Final = MAX_FIELDS_FILE + MAX_FIELDS_FILE // 8
"""The longest plaintext of a fields file, with its padding."""


@final
@dataclass(frozen=True, slots=True)
class PrivateFile:
    """The fields file of event ``seq``, or (``is_key``) the key file of the bundle that it sealed.

    ``forms`` are those that must be there, the newest first; at least one.
    """

    seq: int
    is_key: bool
    forms: tuple[ExpectedFile, ...]

    @property
    def name(self) -> str:
        """The name under which it was logged first."""
        return self.forms[0].first

    def decrypt(self, form: ExpectedFile, keyring: Keyring, state: State) -> bytes:
        """Return the plaintext of one form, whatever it says.

        Raises ``NoIdentityMatchError``, ``DecryptionError``, ``DigestMismatchError``,
        ``FormatError``, ``OSError``.
        """
        assert form.epoch is not None
        file = SealedFile(form.sha256, form.size, form.epoch)
        most = _MAX_KEY_FILE if self.is_key else _MAX_FIELDS
        return keyring.open_stored(form.name, file, state, most)

    def open(self, form: ExpectedFile, event: Event, keyring: Keyring, state: State) -> bytes:
        """Return the plaintext of one form, held to what ``event``, which logged it, commits to.

        Raises what :meth:`decrypt` does, and ``FormatError`` or ``ProofError`` for what is not what
        the event commits to.
        """
        plaintext = self.decrypt(form, keyring, state)
        if self.is_key:
            key_in(plaintext, event)
        else:
            fields_in(plaintext, event, form.name)
        return plaintext


def bundle_identity(keyring: Keyring, bundle: BundleState, state: State) -> HybridIdentity:
    """Return the identity that opens a bundle's parts, from the first form of its key file that
    holds it.

    Raises what :meth:`Keyring.open_file` and :func:`vault.bundle.parse_bundle_key` do.
    """
    file, key = bundle.key_file, bundle.key
    name = bundle_key_name(bundle.id, file.epoch, file.sha256)
    return keyring.open_file(
        name, file, state, _MAX_KEY_FILE, lambda plaintext, _: parse_bundle_key(plaintext, key)
    )


def read_fields(keyring: Keyring, event: Event, state: State) -> tuple[Field, ...]:
    """Return the private fields of an event that has some, from the first form of its fields file
    that holds them.

    Raises what :meth:`Keyring.open_file` and :func:`fields_in` do.
    """
    file = event.sealed
    assert file is not None
    return keyring.open_file(
        fields_name(file.sha256),
        file,
        state,
        _MAX_FIELDS,
        lambda plaintext, where: fields_in(plaintext, event, where),
    )


def key_in(plaintext: bytes, event: Event) -> HybridIdentity:
    """Return the identity in a key file of the bundle that ``event`` sealed.

    Raises ``FormatError``, or ``ProofError`` for another bundle's.
    """
    key = event.data["key"]
    assert isinstance(key, bytes)
    return parse_bundle_key(plaintext, key)


def fields_in(plaintext: bytes, event: Event, where: str) -> tuple[Field, ...]:
    """Return the fields in a fields file of ``event``.

    Raises ``FormatError``, or ``ProofError`` for others than the event commits to.
    """
    try:
        fields = parse_fields_file(plaintext, FieldsHeader.of(event))
    except FormatError as error:
        raise error.at(where) from None
    if fields_root(FIELDS_LABEL, fields) != event.fields:
        raise ProofError("fields", "not those that the event commits to", where)
    return fields


def private_files(
    events: Iterable[Event], expected: Mapping[str, ExpectedFile]
) -> Iterator[PrivateFile]:
    """Yield the private files of ``events`` that must be there, in the order of the events."""
    forms = forms_by_name(expected)
    for event in events:
        if event.sealed is None:
            continue
        own = forms.get(fields_name(event.sealed.sha256))
        if own is not None:
            yield PrivateFile(event.seq, False, tuple(own))
        match event.type, event.data:
            case "bundle.sealed", {"key_file": (bytes(sha256), _, bytes(epoch))}:
                assert event.bundle is not None
                key = forms.get(bundle_key_name(event.bundle, epoch, sha256))
                if key is not None:
                    yield PrivateFile(event.seq, True, tuple(key))


def check_stored(store: Store, form: ExpectedFile) -> bytes:
    """Return the bytes of a small file; raise ``DigestMismatchError`` unless they are those that
    were logged, or ``OSError``.
    """
    return read_whole(store, form.name, form.sha256, form.size)


def check_one_recipient(data: bytes, where: str) -> None:
    """Raise ``FormatError`` unless an age file is for one recipient; whose it is, nobody sees."""
    header, _ = read_header(io.BytesIO(data))
    if len(header.stanzas) != 1:
        raise FormatError("file", f"for {len(header.stanzas)} recipients instead of one", where)
