"""A private file that stands in several forms: one that is bad hides none that is sound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.audit.golden import memoised
from tests.bundles.scene import OWNER, READER, SECOND
from tests.rooms.ending import Scene, another_epoch, build
from vault import Vault
from vault.errors import (
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    NotAVaultError,
    ProofError,
    VaultError,
)
from vault.event import SealedFile
from vault.keyring import Keyring, seal_to_epoch
from vault.layout import bundle_key_name, epoch_name, fields_name, rekey_name
from vault.looking import fields_of
from vault.membership import admit
from vault.rekeying import confirm, rekey
from vault.replacement import Replacement, format_manifest

KINDS: Final = ("fields", "key")


class Torn:
    """A store with places that can't be read."""

    def __init__(self, store: Any, *names: str, error: Exception | None = None) -> None:
        self._store, self._names = store, names
        self._error = error or OSError(5, "Input/output error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, name: str, *place: int) -> bytes:
        if name in self._names:
            raise self._error
        data = self._store.read(name, *place)
        assert isinstance(data, bytes)
        return data


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with memoised():
        yield


@pytest.fixture
def scene() -> Scene:
    """A vault with a second epoch, whose file opens none before it."""
    scene = build()
    with scene.open(OWNER) as vault:
        another_epoch(vault)
    return scene


def logged(vault: Vault, bundle: bytes, kind: str) -> tuple[str, SealedFile]:
    """Return how a bundle's key file, or the fields of its seal, were logged."""
    known = vault.bundle(bundle)
    if kind == "key":
        file = known.key_file
        return bundle_key_name(bundle, file.epoch, file.sha256), file
    sealed = vault.event(known.seq).sealed
    assert sealed is not None
    return fields_name(sealed.sha256), sealed


def forms(vault: Vault, bundle: bytes, kind: str) -> tuple[str, str]:
    """Return the names of the form that was logged first, and of the one in its place."""
    name, _ = logged(vault, bundle, kind)
    (rekeying,) = vault.state.rekeyings.values()
    manifest = vault.store.read(rekey_name(rekeying.manifest)).decode("ascii")
    (new,) = [line.split(" ")[1] for line in manifest.splitlines() if line.startswith(f"{name} ")]
    return name, new


def look(vault: Vault, bundle: bytes, kind: str) -> None:
    """Open what a form is needed for."""
    if kind == "key":
        with vault.read(bundle) as reading:
            reading.check()
    else:
        assert vault.fields(vault.event(vault.bundle(bundle).seq))["title"] == "kept"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), FileNotFoundError(2, "missing"), None]
)
def test_a_form_that_cannot_be_read_hides_none_that_is_sound(
    scene: Scene, kind: str, which: int, error: Exception | None
) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    name = forms(scene.open(), scene.kept, kind)[which]
    store: Any = Torn(scene.store, name, error=error)
    if error is None:
        scene.store._files[name] = scene.store.read(name)[:-1] + b"x"
        store = scene.store
    with scene.open(READER, store) as vault:
        look(vault, scene.kept, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_form_can_be_read_the_error_is_told(scene: Scene, kind: str) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    view = scene.open()
    broken: Any = Torn(scene.store, *forms(view, scene.kept, kind))
    with scene.open(READER, broken) as vault:
        with pytest.raises(OSError, match="Input/output error"):
            look(vault, scene.kept, kind)
        seen = fields_of(vault, vault.event(vault.bundle(scene.kept).seq))
        assert seen.state == ("damaged" if kind == "fields" else "open")


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_is_gone_is_no_bad_form(scene: Scene, kind: str) -> None:
    scene.do(READER, rekey)
    scene.do(SECOND, confirm)
    _, new = forms(scene.open(), scene.kept, kind)
    gone: Any = Torn(scene.store, new, error=NotAVaultError("stick", "gone"))
    with scene.open(READER, gone) as vault, pytest.raises(NotAVaultError):
        look(vault, scene.kept, kind)


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("says", ["another's", "nothing"])
def test_a_form_that_says_something_else_hides_none_that_is_sound(
    scene: Scene, kind: str, says: str, confirmed: bool
) -> None:
    """It has the digest that was logged, and decrypts: two readers lied, or one erred."""
    with scene.open(READER) as vault:
        name, _ = logged(vault, scene.kept, kind)
        other, file = logged(vault, scene.gone, kind)
        lie = vault.keyring.open_stored(other, file, vault.state, 2**20)
        about = put_in_place(vault, name, lie if says == "another's" else b"x")
    if confirmed:
        with scene.open(SECOND) as vault:
            vault.append("vault.rekeyed", data={**about, "stage": "confirmed"})
    sound = scene.store.read(name)
    for reader in (READER, SECOND):
        with scene.open(reader) as vault:
            look(vault, scene.kept, kind)
            # Alone it is called what it is; what should be there comes first.
            scene.store._files.pop(name)
            with pytest.raises(VaultError) as caught:
                look(vault, scene.kept, kind)
            wrong = (ProofError, FormatError) if confirmed else DigestMismatchError
            assert isinstance(caught.value, wrong)
            scene.store._files[name] = sound


def put_in_place(vault: Vault, name: str, plaintext: bytes) -> dict[str, Any]:
    """Log a file for the newest epoch in the place of another."""
    state = vault.state
    assert state.newest is not None
    data, file = seal_to_epoch(plaintext, state.epochs[state.newest])
    new = fields_name(file.sha256)
    if name.startswith("bundles/"):
        new = bundle_key_name(bytes.fromhex(name.split("/")[1]), file.epoch, file.sha256)
    manifest = format_manifest([Replacement(name, new, file)])
    sha256 = hashlib.sha256(manifest).digest()
    about = {"stage": "written", "epoch": file.epoch, "manifest": (sha256, len(manifest))}
    files = {new: data, rekey_name(sha256): manifest}
    vault.commit(lambda: [vault.draft("vault.rekeyed", data=about, files=files)])
    return about


# --- the files of epochs --------------------------------------------------------------------------


def test_an_epoch_file_that_cannot_be_read_hides_none_that_opens_the_same(scene: Scene) -> None:
    with scene.open(OWNER) as vault:
        admit(vault, READER, ["owner", "reader"])
    with scene.open(READER) as vault:
        another_epoch(vault, history=True)
    view = scene.open()
    first, second, third = view.state.epochs.values()
    assert (second.history, third.history) == (False, True)
    for name in (epoch_name(second.id), epoch_name(third.id)):
        torn: Any = Torn(scene.store, name)
        ring = Keyring(torn, READER)
        assert ring.identity_of(second.id, view.state)
        assert ring.identity_of(first.id, view.state)
    torn = Torn(scene.store, epoch_name(second.id), epoch_name(third.id))
    with pytest.raises(OSError, match="Input/output error"):
        Keyring(torn, READER).identity_of(second.id, view.state)
    gone: Any = Torn(scene.store, epoch_name(third.id), error=NotAVaultError("stick", "gone"))
    with pytest.raises(NotAVaultError):
        Keyring(gone, READER).identity_of(second.id, view.state)
    with pytest.raises(NoIdentityMatchError):
        Keyring(scene.store, OWNER).identity_of(second.id, view.state)
