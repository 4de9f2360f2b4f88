"""Epoch files: what they hold, who opens them, and that each key is the one that was logged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

import pytest

from vault import age
from vault.codec import format_bech32
from vault.custody import Epoch, Grant, State
from vault.errors import (
    DigestMismatchError,
    FormatError,
    NoIdentityMatchError,
    PayloadError,
    ProofError,
)
from vault.event import SealedFile
from vault.identity import Identity
from vault.keyring import (
    Keyring,
    NewEpoch,
    check_epoch_file,
    format_epoch_file,
    new_epoch,
    parse_epoch_file,
    seal_to_epoch,
)
from vault.layout import epoch_name, history_name
from vault.storage import MemoryStore
from vault.stored import MAX_SMALL_FILE, read_whole

ME, OTHER, THIRD = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))
KEYS = tuple(age.HybridIdentity.from_seed(bytes((n,)) * 32) for n in (11, 12, 13))
IDS = tuple(bytes((n,)) * 8 for n in (21, 22, 23))

# --- the plaintext ----------------------------------------------------------------------------


def test_an_epoch_file_names_each_epoch_before_its_identity() -> None:
    plain = format_epoch_file(zip(IDS, KEYS, strict=True))
    assert plain.decode().split("\n") == [
        "# 1515151515151515",
        KEYS[0].to_string(),
        "# 1616161616161616",
        KEYS[1].to_string(),
        "# 1717171717171717",
        KEYS[2].to_string(),
        "",
    ]
    found = parse_epoch_file(plain)
    assert list(found.items()) == list(zip(IDS, KEYS, strict=True))


ONE = f"# {IDS[0].hex()}\n{KEYS[0].to_string()}\n"
TWO = f"# {IDS[1].hex()}\n{KEYS[1].to_string()}\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("\n", id="an empty line"),
        pytest.param(ONE[:-1], id="no last newline"),
        pytest.param(ONE + "\n", id="an empty line more"),
        pytest.param(ONE + "# note\n", id="a comment more"),
        pytest.param(ONE + TWO.partition("\n")[0] + "\n", id="an epoch without identity"),
        pytest.param(KEYS[0].to_string() + "\n", id="an identity without epoch"),
        pytest.param(ONE.replace("# ", "#"), id="no space"),
        pytest.param(ONE.replace("# ", "#  "), id="two spaces"),
        pytest.param(ONE.replace("# 15", "# "), id="an epoch too short"),
        pytest.param(ONE.replace("# 15", "# 1515"), id="an epoch too long"),
        pytest.param(f"# {'AB' * 8}\n{KEYS[0].to_string()}\n", id="an epoch in upper case"),
        pytest.param(ONE.replace("AGE-", "age-"), id="mixed case"),
        pytest.param(f"# {IDS[0].hex()}\n{KEYS[0].to_string().lower()}\n", id="lower case"),
        pytest.param(ONE.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(" " + ONE, id="a space in front"),
        pytest.param(ONE + ONE, id="an epoch twice"),
        pytest.param(ONE + f"# {IDS[0].hex()}\n{KEYS[1].to_string()}\n", id="two keys of one"),
        pytest.param(
            f"# {IDS[0].hex()}\n{format_bech32('age-secret-key-', bytes(32)).upper()}\n",
            id="an X25519 identity",
        ),
        pytest.param(
            f"# {IDS[0].hex()}\n{format_bech32('age-secret-key-pq-', bytes(31)).upper()}\n",
            id="a seed too short",
        ),
        pytest.param(ONE.replace("# ", "# \u0661"), id="another script"),
        pytest.param(ONE.replace("# ", "# \u2028"), id="a line separator"),
    ],
)
def test_an_epoch_file_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_epoch_file(text.encode())


# --- making epochs ----------------------------------------------------------------------------


class Fixed:
    """Randomness that counts its calls, so that every epoch differs and none is by luck."""

    def __init__(self) -> None:
        self._calls = count(1)

    def __call__(self, size: int) -> bytes:
        return bytes((next(self._calls),)) * size


def as_logged(
    new: NewEpoch, readers: Iterable[Identity], seq: int, *, history: bool = True
) -> Epoch:
    keys = frozenset(reader.ed25519 for reader in readers)
    return Epoch(new.id, new.recipient, new.sha256, len(new.data), keys, history, seq)


def test_a_new_epoch_opens_to_each_of_its_readers_and_to_nobody_else() -> None:
    new = new_epoch([ME.keys, OTHER.keys], [(IDS[0], KEYS[0])], Fixed())
    assert (len(new.id), len(new.recipient)) == (8, 1216)
    assert new.sha256 == hashlib.sha256(new.data).digest()
    assert new.identity.to_string() not in repr(new)
    for reader in (ME, OTHER):
        plain = age.decrypt_bytes(new.data, [reader.age], max_size=1000)
        assert list(parse_epoch_file(plain).items()) == [
            (new.id, new.identity),
            (IDS[0], KEYS[0]),
        ]
    with pytest.raises(NoIdentityMatchError):
        age.decrypt_bytes(new.data, [THIRD.age], max_size=1000)


def test_an_epoch_without_readers_is_not_made() -> None:
    with pytest.raises(ValueError, match="recipient"):
        new_epoch([], [], Fixed())


def test_a_file_that_holds_another_key_than_was_logged_is_refused() -> None:
    new = new_epoch([ME.keys], [(IDS[0], KEYS[0])], Fixed())
    right = as_logged(new, [ME], 2)
    first = Epoch(IDS[0], KEYS[0].recipient().to_bytes(), bytes(32), 1, frozenset(), True, 1)
    found = check_epoch_file(new.data, ME, {new.id: right, IDS[0]: first}, "keys/x")
    assert found == {new.id: new.identity, IDS[0]: KEYS[0]}
    wrong = replace(first, recipient=KEYS[1].recipient().to_bytes())
    for epochs in ({new.id: right}, {IDS[0]: first}, {new.id: right, IDS[0]: wrong}):
        with pytest.raises(ProofError) as caught:
            check_epoch_file(new.data, ME, epochs, "keys/x")
        assert caught.value.where == "keys/x"


def test_an_epoch_file_that_is_too_long_is_refused() -> None:
    data = age.encrypt_bytes(bytes(4096 * len(ONE) + 1), [ME.keys.recipient])
    with pytest.raises(FormatError):
        check_epoch_file(data, ME, {}, "keys/x")


def test_a_file_opens_4096_epochs_and_no_more() -> None:
    many = [(number.to_bytes(8, "big"), KEYS[0]) for number in range(4096)]
    data = age.encrypt_bytes(format_epoch_file(many), [ME.keys.recipient])
    plain = age.decrypt_bytes(data, [ME.age])
    assert len(plain) == 4096 * len(ONE)
    with pytest.raises(ProofError):  # it is read, and then is not what the log says
        check_epoch_file(data, ME, {}, "keys/x")
    with pytest.raises(FormatError, match="more than 4096 epochs"):
        format_epoch_file([*many, (b"x" * 8, KEYS[0])])


# --- small files ------------------------------------------------------------------------------


def test_a_small_file_is_read_only_as_it_was_logged() -> None:
    data = b"content"
    digest = hashlib.sha256(data).digest()
    store = MemoryStore({"keys/a": data, "keys/b": data + b"x", "keys/c": b"CONTENT"})
    assert read_whole(store, "keys/a", digest, 7) == data
    for name, size in (("keys/a", 6), ("keys/a", 8), ("keys/b", 7), ("keys/c", 7)):
        with pytest.raises(DigestMismatchError, match="not the one") as caught:
            read_whole(store, name, digest, size)
        assert caught.value.where == name
    with pytest.raises(DigestMismatchError, match="missing"):
        read_whole(store, "keys/d", digest, 7)
    with pytest.raises(FormatError, match="larger"):
        read_whole(store, "keys/a", digest, MAX_SMALL_FILE + 1)


def test_a_file_sealed_to_an_epoch_says_how_an_event_names_it() -> None:
    epoch = Epoch(IDS[0], KEYS[0].recipient().to_bytes(), bytes(32), 1, frozenset(), True, 1)
    data, file = seal_to_epoch(b"plain", epoch)
    assert file == SealedFile(hashlib.sha256(data).digest(), len(data), IDS[0])
    assert age.decrypt_bytes(data, [KEYS[0]], max_size=5) == b"plain"


# --- the keyring ------------------------------------------------------------------------------


class Setting:
    """A store and a state that gain epochs."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.state = State()
        self.made: list[NewEpoch] = []
        self._random = Fixed()

    def open(self, readers: list[Identity], *, history: bool = True) -> NewEpoch:
        earlier = [(one.id, one.identity) for one in reversed(self.made)] if history else []
        new = new_epoch([reader.keys for reader in readers], earlier, self._random)
        self.made.append(new)
        self.files[epoch_name(new.id)] = new.data
        self.state.epochs[new.id] = as_logged(new, readers, len(self.made), history=history)
        self.state.newest = new.id
        return new

    def grant(self, reader: Identity, epochs: list[NewEpoch]) -> str:
        plain = format_epoch_file((one.id, one.identity) for one in epochs)
        data = age.encrypt_bytes(plain, [reader.keys.recipient])
        digest = hashlib.sha256(data).digest()
        ids = tuple(sorted(one.id for one in epochs))
        self.state.grants.append(Grant(reader.ed25519, ids, digest, len(data)))
        self.files[history_name(digest)] = data
        return history_name(digest)

    def keyring(self, identity: Identity) -> Keyring:
        return Keyring(MemoryStore(self.files), identity)


def opened(setting: Setting, identity: Identity) -> list[int]:
    """Return which epochs an identity can open, by number."""
    ring = setting.keyring(identity)
    found = []
    for number, new in enumerate(setting.made):
        try:
            assert ring.identity_of(new.id, setting.state) == new.identity
        except NoIdentityMatchError:
            continue
        found.append(number)
    return found


def test_a_reader_opens_the_epochs_since_and_by_history_those_before() -> None:
    setting = Setting()
    setting.open([ME])
    setting.open([ME, OTHER])
    setting.open([OTHER])
    assert opened(setting, ME) == [0, 1]
    assert opened(setting, OTHER) == [0, 1, 2]
    assert opened(setting, THIRD) == []


def test_history_that_was_withheld_stays_closed_until_it_is_granted() -> None:
    setting = Setting()
    first = setting.open([ME])
    setting.open([ME, OTHER], history=False)
    assert opened(setting, OTHER) == [1]
    assert opened(setting, ME) == [0, 1]
    setting.grant(OTHER, [first])
    assert opened(setting, OTHER) == [0, 1]
    assert opened(setting, THIRD) == []


def test_a_grant_that_does_not_open_to_its_reader_grants_nothing() -> None:
    setting = Setting()
    first = setting.open([ME])
    name = setting.grant(OTHER, [first])
    grant = setting.state.grants[0]
    setting.state.grants[0] = replace(grant, reader=THIRD.ed25519)
    assert opened(setting, OTHER) == []
    with pytest.raises(NoIdentityMatchError):
        setting.keyring(THIRD).identity_of(first.id, setting.state)
    assert name in setting.files


def test_a_damaged_file_does_not_hide_what_another_opens() -> None:
    setting = Setting()
    first = setting.open([ME])
    second = setting.open([ME])
    third = setting.open([ME])
    name = epoch_name(second.id)
    for damaged in (b"", second.data[:-1], second.data + b"x", bytes(len(second.data))):
        setting.files[name] = damaged
        assert opened(setting, ME) == [0, 1, 2]
    setting.files[epoch_name(third.id)] = b"damaged"
    ring = setting.keyring(ME)
    assert ring.identity_of(first.id, setting.state) == first.identity
    for lost in (second, third):
        with pytest.raises(DigestMismatchError) as caught:
            ring.identity_of(lost.id, setting.state)
        assert caught.value.where == epoch_name(third.id)
    with pytest.raises(DigestMismatchError):
        ring.earlier(setting.state)


def test_a_missing_file_does_not_hide_what_another_opens() -> None:
    setting = Setting()
    first, second = setting.open([ME]), setting.open([ME])
    del setting.files[epoch_name(second.id)]
    ring = setting.keyring(ME)
    assert ring.identity_of(first.id, setting.state) == first.identity
    with pytest.raises(DigestMismatchError, match="missing"):
        ring.identity_of(second.id, setting.state)


def test_foreign_lines_in_an_epoch_file_are_refused() -> None:
    setting = Setting()
    setting.made.append(new_epoch([ME.keys], [], lambda size: b"\x99" * size))
    new = setting.open([ME])
    with pytest.raises(ProofError, match="9999999999999999"):
        setting.keyring(ME).identity_of(new.id, setting.state)


def test_a_keyring_reads_each_file_once() -> None:
    setting = Setting()
    first, second = setting.open([ME]), setting.open([ME])
    ring = setting.keyring(ME)
    assert ring.identity_of(second.id, setting.state) == second.identity
    ring._store = MemoryStore({})
    assert ring.identity_of(first.id, setting.state) == first.identity
    setting.state.epochs.pop(first.id)
    # The newest file was read, and is not looked for again.
    with pytest.raises(NoIdentityMatchError, match="0" * 16):
        ring.identity_of(bytes(8), setting.state)


def test_earlier_epochs_come_newest_first_and_only_those_that_open() -> None:
    setting = Setting()
    first = setting.open([ME])
    setting.open([OTHER])
    third = setting.open([ME, OTHER])
    setting.files[epoch_name(third.id)] = age.encrypt_bytes(
        format_epoch_file([(third.id, third.identity)]), [ME.keys.recipient]
    )
    data = setting.files[epoch_name(third.id)]
    setting.state.epochs[third.id] = replace(
        setting.state.epochs[third.id], sha256=hashlib.sha256(data).digest(), size=len(data)
    )
    assert setting.keyring(ME).earlier(setting.state) == [
        (third.id, third.identity),
        (first.id, first.identity),
    ]
    assert setting.keyring(THIRD).earlier(setting.state) == []
    assert setting.keyring(ME).earlier(State()) == []


def test_what_was_withheld_once_is_in_no_later_file() -> None:
    setting = Setting()
    first = setting.open([ME])
    second = setting.open([ME, OTHER], history=False)
    third = setting.open([ME, OTHER, THIRD])
    assert opened(setting, ME) == [0, 1, 2]
    found = setting.keyring(ME).earlier(setting.state)
    assert found == [(third.id, third.identity), (second.id, second.identity)]
    assert first.id not in dict(found)


def test_a_small_file_is_opened_through_its_epoch() -> None:
    setting = Setting()
    new = setting.open([ME])
    data, file = seal_to_epoch(b"plain", setting.state.epochs[new.id])
    setting.files["fields/x"] = data
    ring, state = setting.keyring(ME), setting.state

    def parse(plaintext: bytes, where: str) -> tuple[bytes, str]:
        return plaintext, where

    assert ring.open_file("fields/x", file, state, 5, parse) == (b"plain", "fields/x")
    with pytest.raises((FormatError, PayloadError)):
        ring.open_file("fields/x", file, state, 4, parse)
    with pytest.raises(DigestMismatchError):
        ring.open_file("fields/x", replace(file, sha256=bytes(32)), state, 5, parse)
    with pytest.raises(NoIdentityMatchError):
        setting.keyring(OTHER).open_file("fields/x", file, state, 5, parse)
