"""The reporter's stick, her folder and her unlocked identity in the hands of who knows the format.

She owns the vault, seals, holds and hands on; she is no reader. The adversary has her seed, every
key that can be derived from it, her passphrase, and every byte that she had, also at the moments at
which the stick is pulled out while she works. Nothing that she sealed opens, and no word of it
shows. The same attack with a reader's seed opens everything: so it would have been found.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import random
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault import Identity, Vault, age, format_identity_file, parse_identity_file
from vault.age.header import Header, check_mac, read_header
from vault.codec import Value, unpack
from vault.errors import FormatError, HeaderMacError, NoIdentityMatchError, PayloadError
from vault.pipeline import Progress
from vault.storage import LocalStore

REPORTER: Final = Identity(b"\x51" * 32)
EDITOR: Final = Identity(b"\x52" * 32)
PASSPHRASE: Final = b"six words that she has to say"

STATEMENT: Final = "I saw the trucks leave at dawn"
WORDS: Final = (
    STATEMENT,
    "Depot raid, north gate",
    "north-gate-camera-3.mp4",
    "شہادت-گواہ.txt",
    "Amina Qureshi",
    "Vault of the northern desk",
    "she telephoned twice",
    "handed to Daniel at the mill",
    "the brother takes it back",
    "unfinished-interview.wav",
)
FOOTAGE: Final = random.Random(51).randbytes(600_000)
"""Evidence without words: it is looked for by pieces of it."""

MOMENTS: Final = ("at rest", "while sealing", "reading back", "before the commit", "after a stop")


@dataclass(frozen=True, slots=True)
class Seizure:
    """What was taken: the stick at each moment, and her folder."""

    sticks: dict[str, Path]
    home: Path

    def files(self, moment: str) -> dict[str, bytes]:
        return files(self.sticks[moment])

    @property
    def everything(self) -> dict[str, bytes]:
        """Every file of every moment, each content once."""
        found: dict[bytes, str] = {}
        for moment in MOMENTS:
            for name, data in self.files(moment).items():
                found.setdefault(data, f"{moment}: {name}")
        return {name: data for data, name in found.items()}


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Pulled(Exception):
    """She stops in the middle."""


@pytest.fixture(scope="module")
def seized(tmp_path_factory: pytest.TempPathFactory) -> Seizure:
    folder = tmp_path_factory.mktemp("seized")
    place, home = folder / "stick", folder / "home"
    home.mkdir()
    (home / "identity.age").write_bytes(format_identity_file(REPORTER, PASSPHRASE, 10))
    with pytest.MonkeyPatch.context() as patch:
        # Small buffers, so that the medium has got most of what was added so far.
        patch.setattr("vault.pipeline.BUFFER_SIZE", 2**15)
        patch.setattr("vault.age.stream._BLOCK_CHUNKS", 1)
        work(place, home)
        sticks = interrupted(place, home, folder, patch)
    return Seizure(sticks, home)


def work(place: Path, home: Path) -> None:
    """Do what a reporter does, with a private word in every place that has room for one."""
    card = EDITOR.card("Daniel the editor", datetime.date(2026, 3, 1))
    created = {"title": WORDS[5], "member.name": WORDS[4]}
    with Vault.create(
        place, identity=REPORTER, readers=[card], fields=created, state=home
    ) as vault:
        with vault.seal({"title": WORDS[1], "testimony.witness": WORDS[4]}) as writer:
            text = STATEMENT.encode() * 40
            writer.add_stream(WORDS[3], len(text), io.BytesIO(text))
            writer.add_absent({"original_name": WORDS[2], "kind": "media-hash"})
        first = writer.id
        with vault.seal({"title": "second"}) as writer:
            writer.add_stream(WORDS[2], len(FOOTAGE), io.BytesIO(FOOTAGE))
        vault.append("bundle.noted", bundle=first, fields={"text": WORDS[6]})
        vault.append("vault.noted", fields={"text": WORDS[6]})
        consent = {"consent.status": "withdrawn", "consent.by_whom": WORDS[8]}
        vault.append("consent.recorded", bundle=first, fields=consent)
        fields = {"purpose": WORDS[7]}
        data = {"to": EDITOR.ed25519}
        release = vault.append("custody.released", bundle=first, data=data, fields=fields)
        hold = {"hold": b"\x0d" * 16}
        vault.append("hold.placed", bundle=writer.id, data=hold, fields={"reason": WORDS[7]})
    with Vault.open(place, identity=EDITOR) as vault:
        data = {"release": release.seq, "rehashed": True}
        vault.append("custody.accepted", bundle=first, data=data, fields=fields)
    with Vault.open(place, identity=REPORTER, state=home) as vault:
        vault.append("bundle.noted", bundle=writer.id, fields={"text": WORDS[6]})


def interrupted(
    place: Path, home: Path, folder: Path, patch: pytest.MonkeyPatch
) -> dict[str, Path]:
    """Seal once more; copy the stick at each moment, as if it were pulled out then."""
    sticks: dict[str, Path] = {}

    def pull(moment: str) -> None:
        if moment not in sticks:
            sticks[moment] = folder / moment
            shutil.copytree(place, sticks[moment])

    def progress(at: Progress) -> None:
        if at.work == "read-back":
            pull("reading back")

    def seal(stop: Callable[[], None]) -> None:
        with (
            Vault.open(place, identity=REPORTER, state=home, progress=progress) as vault,
            vault.seal({"title": WORDS[1]}) as writer,
        ):
            text = STATEMENT.encode()
            writer.add_stream(WORDS[9], len(text), io.BytesIO(text))
            writer.add_stream(WORDS[2], len(FOOTAGE), io.BytesIO(FOOTAGE))
            stop()

    def stop() -> None:
        pull("while sealing")
        raise Pulled

    pull("at rest")
    with pytest.raises(Pulled):
        seal(stop)
    pull("after a stop")
    commit = LocalStore.commit

    def dying(store: LocalStore, *arguments: Any, **options: Any) -> None:
        pull("before the commit")
        commit(store, *arguments, **options)

    patch.setattr(LocalStore, "commit", dying)
    seal(lambda: None)
    return sticks


# --- keys -----------------------------------------------------------------------------------------

PURPOSES: Final = ("ed25519", "ml-dsa-44", "age", "bundle", "epoch", "fields", "key", "seal", "")


@cache
def derived(secret: bytes) -> frozenset[bytes]:
    """Return the 32-byte values that somebody could think of making from a secret."""
    found = {hashlib.sha256(secret).digest()}
    for prefix in (b"evidence-vault/v1/", b""):
        for purpose in PURPOSES:
            info = prefix + purpose.encode()
            found.add(HKDF(SHA256(), 32, salt=None, info=info).derive(secret))
    for wide in (hashlib.shake_256(secret).digest(96), hashlib.sha512(secret).digest()):
        found |= {wide[at : at + 32] for at in range(0, len(wide), 32)}
    if len(secret) == 32:
        found.add(secret)
    return frozenset(found)


def keys_of(seed: bytes, public: Iterable[bytes]) -> set[bytes]:
    """Return every 32-byte key to be tried: what can be derived from the seed in two steps, from
    the passphrase, and everything public, as it stands.
    """
    found = set(derived(seed))
    for one in (*derived(seed), PASSPHRASE):
        found |= derived(one)
    for value in public:
        found |= {value} if len(value) == 32 else {hashlib.sha256(value).digest()}
    return found


def public_values(stick: dict[str, bytes]) -> set[bytes]:
    """Return every byte string that the log says in public, and every part of a file's name."""
    found: set[bytes] = set()

    def walk(value: Value) -> None:
        if isinstance(value, bytes):
            found.add(value)
        elif isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, tuple):
            for one in value:
                walk(one)

    entries = [name for name in stick if name.startswith("log/tile/entries/")]
    data = stick[max(entries, key=lambda name: int(name.rpartition("/")[2]))]
    while data:
        size = int.from_bytes(data[:2], "big")
        leaf = unpack(data[2 : 2 + size])
        assert isinstance(leaf, dict)
        found.add(hashlib.sha256(data[2 : 2 + size]).digest())
        walk(unpack(bytes(leaf["body"])))  # type: ignore[arg-type]
        data = data[2 + size :]
    for name in stick:
        # Ids and digests, which have an even number of digits.
        digits = re.findall("(?<![0-9a-f])(?:[0-9a-f]{2}){8,32}(?![0-9a-f])", name)
        found |= {bytes.fromhex(one) for one in digits}
    return found


# --- the attack -----------------------------------------------------------------------------------

AGE: Final = b"age-encryption.org/v1\n"
SECRET_LINE: Final = re.compile(rb"AGE-SECRET-KEY-PQ-1[A-Z0-9]+")


def age_files(stick: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in stick.items() if data.startswith(AGE)}


def attack(targets: dict[str, bytes], keys: set[bytes]) -> dict[str, bytes]:
    """Try all keys in every role on every age file; return what opened, by name.

    Keys that come to light in what opened are tried on everything in turn.
    """
    headers = {name: read_header(io.BytesIO(data))[0] for name, data in targets.items()}
    opened: dict[str, bytes] = {}
    halves = {key[at : at + 16] for key in keys for at in (0, 16)}
    for name, header in headers.items():
        assert not any(is_file_key(header, half) for half in halves), name
    fresh: list[Any] = [age.ScryptIdentity(one, 20) for one in (PASSPHRASE, REPORTER.seed)]
    fresh += [kind(key) for key in keys for kind in (age.HybridIdentity, age.X25519Identity)]
    while fresh:
        lines: set[bytes] = set()
        for name in headers.keys() - opened.keys():
            if any(one.unwrap(headers[name].stanzas) is not None for one in fresh):
                opened[name] = plaintext_of(targets[name], fresh)
                lines |= set(SECRET_LINE.findall(opened[name]))
        fresh = [age.HybridIdentity.from_string(line.decode()) for line in lines]
    return opened


def is_file_key(header: Header, key: bytes) -> bool:
    try:
        check_mac(header, key)
    except HeaderMacError:
        return False
    return True


def plaintext_of(data: bytes, identities: Iterable[Any]) -> bytes:
    try:
        return age.decrypt_bytes(data, identities)
    except PayloadError:
        return b""  # cut off: that it opens at all is what counts


# --- the hunt -------------------------------------------------------------------------------------


@cache
def forms(word: str) -> tuple[bytes, ...]:
    """The ways in which a text could lie in a file: encodings, hexadecimal, base64 anywhere."""
    found = []
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
        raw = word.encode(encoding)
        found += [raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode()]
        for shift in range(3):
            inner = base64.b64encode(b"\0" * shift + raw)
            # The first and last characters depend on the neighbours; the middle does not.
            found += [inner[4:-4], inner[4:-4].translate(bytes.maketrans(b"+/", b"-_"))]
        for shift in range(5):
            found.append(base64.b32encode(b"\0" * shift + raw)[8:-8])
    return tuple(dict.fromkeys(found))


def shows(data: bytes) -> set[str]:
    """Return the words that show in some bytes, and whether pieces of the footage do."""
    found = {word for word in WORDS if any(form in data for form in forms(word))}
    # A chunk of 64 KiB that was written in the clear has two of these pieces or three.
    if any(FOOTAGE[at : at + 16] in data for at in range(0, len(FOOTAGE), 29_411)):
        found.add("footage")
    return found


ALL: Final = {*WORDS, "footage"}


def test_the_moments_are_what_they_say(seized: Seizure) -> None:
    parts = {
        moment: {name: data for name, data in seized.files(moment).items() if "evidence." in name}
        for moment in MOMENTS
    }
    rest = parts["at rest"].keys()
    half = {name: data for name, data in parts["while sealing"].items() if name not in rest}
    (data,) = half.values()
    assert all(name.startswith("tmp/") for name in half)
    assert 100_000 < len(data) < 600_000
    (whole,) = parts["reading back"].keys() - rest
    assert whole.startswith("tmp/")
    (published,) = parts["before the commit"].keys() - rest
    assert published.startswith("bundles/")
    assert parts["after a stop"].keys() == rest
    assert not any("tmp/" in name for name in seized.files("after a stop"))


def test_she_is_no_reader_and_everything_is_encrypted(seized: Seizure) -> None:
    with Vault.open(seized.sticks["at rest"], identity=REPORTER) as vault:
        state = vault.state
        member = state.member(REPORTER.ed25519)
        assert member is not None
        assert member.roles == {"owner", "custodian"}
        assert all(REPORTER.ed25519 not in epoch.readers for epoch in state.epochs.values())
        # What is not an age file is the log, the mark of the format and the locks.
        for moment in MOMENTS:
            stick = seized.files(moment)
            others = {name for name in stick if name not in age_files(stick)}
            assert all(
                name.startswith("log/") or name in ("FORMAT", "lock") or name.endswith(".lock")
                for name in others
            ), others


def test_by_the_library_itself_nothing_opens_to_her(seized: Seizure) -> None:
    file = (seized.home / "identity.age").read_bytes()
    her = parse_identity_file(file, PASSPHRASE)
    assert her.seed == REPORTER.seed
    with Vault.open(seized.sticks["at rest"], identity=her) as vault:
        assert len(vault.state.bundles) == 2
        for bundle in vault.state.bundles:
            with pytest.raises(NoIdentityMatchError):
                vault.read(bundle)
        for event in vault.events():
            with pytest.raises(NoIdentityMatchError):
                vault.fields(event)


def test_no_key_that_she_has_opens_anything(seized: Seizure) -> None:
    targets = age_files(seized.everything)
    assert len(targets) > 20
    keys = keys_of(REPORTER.seed, public_values(seized.files("before the commit")))
    assert len(keys) > 500
    assert attack(targets, keys) == {}


def test_the_same_attack_with_a_reader_s_seed_opens_everything(seized: Seizure) -> None:
    targets = age_files(seized.everything)
    opened = attack(targets, set(derived(EDITOR.seed)))
    closed = targets.keys() - opened.keys()
    # But for what was not finished: the key to it is in no file yet, and in nobody's hand.
    assert all("/evidence.0000" in name and ": tmp/" in name for name in closed), closed
    assert {name.partition(":")[0] for name in closed} == {"while sealing"}
    assert set().union(*map(shows, opened.values())) == ALL


def test_no_word_and_no_piece_of_footage_is_in_any_byte(seized: Seizure) -> None:
    for name, data in (seized.everything | files(seized.home)).items():
        assert shows(data) == set(), name


def test_no_word_is_in_any_name(seized: Seizure) -> None:
    for folder in (*seized.sticks.values(), seized.home):
        for path in folder.rglob("*"):
            assert shows(str(path.relative_to(folder)).encode()) == set()


def test_her_folder_holds_her_identity_and_nothing_of_what_she_sealed(seized: Seizure) -> None:
    held = files(seized.home)
    assert {name.partition("/")[0] for name in held} == {"identity.age", "pins", "known"}
    identity = age.decrypt_bytes(held["identity.age"], [age.ScryptIdentity(PASSPHRASE, 20)])
    assert SECRET_LINE.findall(identity) == [REPORTER.age.to_string().encode()]


@pytest.mark.parametrize("offset", range(5))
@pytest.mark.parametrize("word", WORDS)
def test_the_hunt_finds_a_word_at_any_place_in_any_form(word: str, offset: int) -> None:
    raw = word.encode("utf-16-le")
    noise = random.Random(offset).randbytes(offset + 1000)
    before = b"-" * offset
    for shown in (
        word.encode(),
        raw,
        word.encode()[::-1],
        raw.hex().upper().encode(),
        base64.b64encode(before + raw + b"-" * 9),
        base64.urlsafe_b64encode(before + word.encode() + b"-" * 9),
        base64.b32encode(before + raw + b"-" * 9),
    ):
        assert word in shows(noise + shown + noise)
    assert shows(noise + FOOTAGE[100_000:200_000] + noise) == {"footage"}


def test_the_attack_opens_a_file_to_any_key_that_it_tries() -> None:
    key = sorted(keys_of(REPORTER.seed, ()))[7]
    for recipient in (
        age.HybridIdentity.from_seed(key).recipient(),
        age.X25519Identity(key).recipient(),
    ):
        data = age.encrypt_bytes(b"found", [recipient])
        assert attack({"x": data}, {key}) == {"x": b"found"}
    with pytest.raises(FormatError):
        read_header(io.BytesIO(b"no age file"))
