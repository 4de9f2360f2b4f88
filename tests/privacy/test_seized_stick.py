"""What someone without keys reads off a vault's files: no name, no title, no file name, no text."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault import Identity, Vault

SECRETS = (
    "Amina Qureshi",
    "Depot raid, north gate",
    "شہادت-گواہ.txt",
    "north-gate-camera-3.mp4",
    "I saw the trucks leave at dawn",
    "Daniel the editor",
    "for the hearing in Case 7781",
    "witness-protection",
    "Vault of the northern desk",
)


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault in which every secret above has been put somewhere, by a sealer and by a reader."""
    directory = tmp_path_factory.mktemp("stick") / "vault"
    reporter, editor = Identity.generate(), Identity.generate()
    card = editor.card("Daniel the editor", datetime.date(2026, 3, 1))
    created = {"title": "Vault of the northern desk", "member.name": "Amina Qureshi"}
    with Vault.create(directory, identity=reporter, readers=[card], fields=created) as vault:
        fields = {"title": "Depot raid, north gate", "witness-protection": "yes"}
        with vault.seal(fields) as writer:
            text = b"I saw the trucks leave at dawn"
            writer.add_stream("شہادت-گواہ.txt", len(text), io.BytesIO(text))
            writer.add_absent(
                {
                    "original_name": "north-gate-camera-3.mp4",
                    "kind": "media-hash",
                    "sha256": b"7" * 32,
                }
            )
        vault.append("bundle.noted", bundle=writer.id, fields={"text": "Amina Qureshi called"})
    with Vault.open(directory, identity=editor) as vault:
        vault.open_item(writer.id, 0, purpose="for the hearing in Case 7781").close()
    return directory


def _forms(secret: str) -> Iterator[bytes]:
    """The ways in which a text could lie in a file: encodings, hexadecimal, base64 anywhere."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        raw = secret.encode(encoding)
        yield raw
        yield raw.hex().encode()
        for shift in range(3):
            inner = base64.b64encode(b"\0" * shift + raw)
            # The first and last characters depend on the neighbours; the middle does not.
            yield inner[4:-4]


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_private_word_is_in_any_byte_of_the_stick(stick: Path, secret: str) -> None:
    files = _files(stick)
    assert len(files) > 10
    for path in files:
        data = path.read_bytes()
        for form in _forms(secret):
            assert form not in data, f"{secret!r} shows in {path.relative_to(stick)}"


@pytest.mark.parametrize("offset", range(3))
def test_the_search_finds_a_word_that_does_show(offset: int) -> None:
    raw = SECRETS[0].encode()
    shown = (b"-" * offset + raw, raw.hex().encode(), base64.b64encode(b"-" * offset + raw + b"--"))
    for data in shown:
        assert any(form in data for form in _forms(SECRETS[0]))


def test_no_private_word_is_in_any_name_of_the_stick(stick: Path) -> None:
    names = [str(path.relative_to(stick)) for path in stick.rglob("*")]
    for name in names:
        assert all(
            c in "abcdefghijklmnopqrstuvwxyz0123456789._-/" for c in name if name != "FORMAT"
        )


def test_two_bundles_of_somewhat_different_size_look_alike(tmp_path: Path) -> None:
    me = Identity.generate()
    with Vault.create(tmp_path / "vault", identity=me, readers=[me]) as vault:
        for size in (100, 3000):
            with vault.seal({"title": "x" * (size // 4)}) as writer:
                writer.add_stream("a", size, io.BytesIO(bytes(size)))
        first, second = vault.state.bundles.values()
        assert first.size == second.size


def test_events_of_every_kind_keep_their_fields_in_files_of_one_size(tmp_path: Path) -> None:
    me = Identity.generate()
    with Vault.create(tmp_path / "vault", identity=me, readers=[me]) as vault:
        with vault.seal({"title": "a", "description": "b" * 400}) as writer:
            writer.add_stream("a", 1, io.BytesIO(b"a"))
        vault.append("vault.noted", fields={"text": "short"})
        vault.append("bundle.noted", bundle=writer.id, fields={"text": "long " * 400})
        vault.open_item(writer.id, 0, purpose="to look").close()
        sizes = {event.sealed.size for event in vault.events() if event.sealed is not None}
    assert len(sizes) == 1
