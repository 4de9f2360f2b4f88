"""What holds a secret: it shows nothing, is not copied, and is gone when it is wiped."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import traceback
from collections.abc import Callable

import pytest

from vault import Identity, age
from vault.codec import format_bech32
from vault.errors import FormatError
from vault.keyline import format_key_line, parse_key_line
from vault.secret import Secret

SEED = bytes(range(100, 132))


@pytest.mark.parametrize("size", [1, 32, 63, 64, 65, 4097])
def test_a_secret_gives_back_what_it_holds_until_it_is_wiped(size: int) -> None:
    data = os.urandom(size)
    with Secret(data) as secret:
        view = secret.view
        assert (bytes(secret), len(secret), bytes(view)) == (data, size, data)
    assert secret.is_wiped
    assert not secret.is_locked
    for use in (bytes, len, lambda one: one.view):
        with pytest.raises(ValueError, match="wiped"):
            use(secret)
    with pytest.raises(ValueError, match="released"):
        bytes(view)
    secret.wipe()


def test_no_bytes_are_no_secret() -> None:
    for make in (lambda: Secret(b""), lambda: Secret.of_zeros(0)):
        with pytest.raises(ValueError, match="at least one byte"):
            make()


def test_wiping_leaves_zeros_also_where_someone_still_looks() -> None:
    secret = Secret(SEED)
    with secret.view[4:8] as part:
        secret.wipe()
        assert bytes(part) == bytes(4)


def test_letting_a_secret_go_wipes_it() -> None:
    secret = Secret(SEED)
    part = secret.view[:]
    del secret
    assert bytes(part) == bytes(32)


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, lambda one: "".join(traceback_of(one))],
    ids=["repr", "str", "format", "traceback"],
)
def test_a_secret_shows_nothing(show: Callable[[object], str]) -> None:
    shown = show(Secret(b"correct horse battery"))
    assert "<Secret>" in shown
    assert "horse" not in shown


def traceback_of(secret: Secret) -> list[str]:
    view = secret.view
    try:
        raise RuntimeError(len(view))
    except RuntimeError as error:
        return list(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )


@pytest.mark.parametrize(
    "use",
    [copy.copy, copy.deepcopy, pickle.dumps, hash],
    ids=["copy", "deepcopy", "pickle", "hash"],
)
def test_a_secret_is_neither_copied_nor_pickled_nor_hashed(use: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        use(Secret(SEED))
    with pytest.raises(TypeError):
        pickle.dumps(Identity(SEED))


def test_secrets_are_equal_by_their_bytes_and_a_wiped_one_only_to_itself() -> None:
    one, same, other = Secret(SEED), Secret(SEED), Secret(SEED[::-1])
    assert one == same
    assert one != other
    assert one != SEED
    same.wipe()
    assert same == same
    assert one != same


def test_a_place_is_used_again_and_is_empty_then() -> None:
    before = Secret(SEED)
    before.wipe()
    places = [Secret.of_zeros(32) for _ in range(200)]
    assert {bytes(one) for one in places} == {bytes(32)}
    taken = [Secret(SEED) for _ in range(200)]
    pages = {id(one.view.obj) for one in taken}
    del taken
    later = [Secret(SEED) for _ in range(200)]
    assert {id(one.view.obj) for one in later} == pages


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_child_that_wipes_its_copy_leaves_the_parents() -> None:
    small, large = Secret(SEED), Secret(SEED * 100)
    child = os.fork()
    if not child:
        small.wipe()
        large.wipe()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (bytes(small), bytes(large)) == (SEED, SEED * 100)


@pytest.mark.skipif(sys.platform == "win32", reason="no mlock there")
def test_work_goes_on_where_the_system_refuses_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    class Refusing:
        def __init__(self, name: str | None) -> None:
            pass

        @staticmethod
        def mlock(address: object, size: object) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Refusing)
    secret = Secret(SEED * 4)
    assert not secret.is_locked
    assert bytes(secret) == SEED * 4


# --- identities -----------------------------------------------------------------------------------


def test_a_closed_identity_keeps_what_is_public_and_does_nothing_secret() -> None:
    with Identity(SEED) as me:
        assert me.seed == SEED
        text, own = repr(me), Identity(SEED).keys
    me.close()
    assert (me.keys, me.age.recipient(), repr(me)) == (own, own.recipient, text)
    sealed = age.encrypt_bytes(b"x", [me.age.recipient()])
    uses: list[Callable[[], object]] = [
        lambda: me.seed,
        lambda: me.sign_ed25519(b"x"),
        lambda: me.sign_ml_dsa_44(b"x"),
        lambda: me.age.seed,
        me.age.to_string,
        lambda: age.decrypt_bytes(sealed, [me.age]),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"closed|wiped"):
            use()
    assert age.decrypt_bytes(sealed, [Identity(SEED).age]) == b"x"


def test_a_closed_x25519_identity_opens_nothing() -> None:
    one = age.X25519Identity(SEED)
    sealed = age.encrypt_bytes(b"x", [one.recipient()])
    one.close()
    with pytest.raises(ValueError, match="closed"):
        age.decrypt_bytes(sealed, [one])


def test_a_closed_passphrase_is_not_used_again() -> None:
    for one in (age.ScryptRecipient(b"x", 1), age.ScryptIdentity(b"x")):
        one.close()
    with pytest.raises(ValueError, match="wiped"):
        age.encrypt_bytes(b"", [age_closed()])


def age_closed() -> age.ScryptRecipient:
    one = age.ScryptRecipient("x", 1)
    one.close()
    return one


def test_a_passphrase_is_the_same_as_text_bytes_or_secret() -> None:
    sealed = age.encrypt_bytes(b"x", [age.ScryptRecipient("pässe", 1)])
    raw = "pässe".encode()
    for passphrase in ("pässe", raw, bytearray(raw), memoryview(raw), Secret(raw)):
        assert age.decrypt_bytes(sealed, [age.ScryptIdentity(passphrase)]) == b"x"


# --- key lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 41))
def test_a_key_line_is_bech32_in_capitals_and_comes_back(size: int) -> None:
    data = os.urandom(size)
    line = format_key_line("a-key-", Secret(data))
    assert bytes(line).decode() == format_bech32("a-key-", data).upper()
    assert bytes(parse_key_line("a-key-", line.view, size)) == data


def test_any_other_line_is_no_key_line() -> None:
    line = bytes(format_key_line("a-key-", Secret(SEED)))
    wrong = [b"", line[:-1], line + b"Q", line.lower(), b"B" + line[1:]]
    wrong += [line[:at] + b"b" + line[at + 1 :] for at in (7, 20, len(line) - 1)]
    for at in range(7, len(line)):
        other = b"Q" if line[at : at + 1] != b"Q" else b"P"
        wrong.append(line[:at] + other + line[at + 1 :])
    for one in wrong:
        with pytest.raises(FormatError) as caught:
            parse_key_line("a-key-", memoryview(one), 32)
        assert line[7:20].decode() not in str(caught.value)


def test_a_key_line_with_padding_that_is_not_zero_is_refused() -> None:
    from vault.codec import BECH32_LETTERS, bech32_checksum

    values = [0] * 51 + [1]
    rest = bech32_checksum("k", [*values, *bytes(6)]) ^ 1
    values += [rest >> 5 * (5 - at) & 31 for at in range(6)]
    line = ("k1" + "".join(BECH32_LETTERS[value] for value in values)).upper().encode()
    with pytest.raises(FormatError, match="padding"):
        parse_key_line("k", memoryview(line), 32)
