"""What only a reader can check: fields, key files, bags, items (the ``deep`` part of an audit)."""

from __future__ import annotations

from collections.abc import Callable

from vault.auditing.report import Finding
from vault.commitment import FIELDS_LABEL, fields_root, values_of
from vault.custody import BundleState, State
from vault.errors import DecryptionError, NoIdentityMatchError, VaultError, VerificationError
from vault.event import MAX_FIELDS_FILE, Event, FieldsHeader, parse_fields_file
from vault.identity import Identity
from vault.keyring import Keyring
from vault.layout import bundle_directory, fields_name
from vault.reading import BundleReading, bundle_identity
from vault.storage import Store

__all__ = ["audit_deep"]


def audit_deep(
    store: Store,
    identity: Identity,
    events: dict[int, Event],
    state: State,
    damaged: set[str],
    step: Callable[[str], None],
) -> tuple[list[Finding], int]:
    """Decrypt all that ``identity`` can; return findings, and how many things it can't open.

    What is in a file that ``damaged`` names is not looked at: that is reported already.
    """
    findings: list[Finding] = []
    unreadable = 0
    keyring = Keyring(store, identity)
    for event in events.values():
        bundle = state.bundles.get(event.bundle) if event.bundle is not None else None
        if bundle is not None and bundle.destroyed is not None:
            continue
        place = f"event {event.seq}"
        step(place)
        try:
            fields = _fields(keyring, event, state, damaged)
            if fields is None:
                continue
            if event.type == "bundle.sealed" and bundle is not None:
                _bundle(store, keyring, bundle, state, fields, damaged)
        except NoIdentityMatchError:
            unreadable += 1
        except (VaultError, OSError) as error:
            findings.append(_finding(error, event))
    return findings, unreadable


def _finding(error: Exception, event: Event) -> Finding:
    # The stored bytes are those that were signed (the file layer saw to that), so what they hold
    # contradicts the event that commits to them.
    place = f"event {event.seq}"
    if isinstance(error, DecryptionError):
        return Finding("not-decryptable", "contradicted", place, str(error))
    code = error.code if isinstance(error, VerificationError) else "contents"
    return Finding(f"private-{code}", "contradicted", place, str(error))


def _fields(
    keyring: Keyring, event: Event, state: State, damaged: set[str]
) -> dict[str, object] | None:
    if event.sealed is None or event.fields is None:
        return {}
    name = fields_name(event.sealed.sha256)
    if name in damaged:
        return None
    limit = MAX_FIELDS_FILE + MAX_FIELDS_FILE // 8
    plaintext = keyring.open_file(name, event.sealed, state, limit)
    fields = parse_fields_file(plaintext, FieldsHeader.of(event))
    if fields_root(FIELDS_LABEL, fields) != event.fields:
        raise VerificationError("fields", "not those that the event commits to", name)
    return dict(values_of(fields))


def _bundle(
    store: Store,
    keyring: Keyring,
    bundle: BundleState,
    state: State,
    fields: dict[str, object],
    damaged: set[str],
) -> None:
    directory = bundle_directory(bundle.id)
    if any(name.startswith(f"{directory}/") for name in damaged):
        return
    identity = bundle_identity(store, keyring, bundle, state)
    with BundleReading(store, bundle, identity, fields) as reading:  # type: ignore[arg-type]
        reading.check()
