"""The recipient types of vault.age: hybrid, X25519, scrypt."""

from __future__ import annotations

import hashlib
import random

import pytest

from vault.age import (
    HybridIdentity,
    HybridRecipient,
    ScryptIdentity,
    ScryptRecipient,
    Stanza,
    X25519Identity,
    X25519Recipient,
)
from vault.codec import format_base64_raw, format_bech32, parse_base64_raw
from vault.errors import DecryptionError, FormatError, HeaderError

FILE_KEY = bytes(range(16))
# All points of order 1, 2, 4 and 8 on Curve25519, canonically encoded (RFC 7748 section 6.1).
SMALL_ORDER = tuple(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
    )
)

Key = HybridIdentity | X25519Identity
asymmetric = pytest.mark.parametrize("kind", [HybridIdentity, X25519Identity])


def with_bit(data: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8 if i == bit // 8 else 0) for i, byte in enumerate(data))


# --- both asymmetric types --------------------------------------------------------------------


@asymmetric
def test_what_is_wrapped_for_an_identity_only_it_unwraps(kind: type[Key]) -> None:
    mine, other = kind.generate(), kind.generate()
    theirs, ours = other.recipient().wrap(FILE_KEY), mine.recipient().wrap(FILE_KEY)
    assert mine.unwrap((*theirs, Stanza("grease", ("x",), b"y"), *ours)) == FILE_KEY
    assert mine.unwrap(theirs) is None
    assert mine.unwrap(()) is None


@asymmetric
def test_a_stanza_is_never_made_twice(kind: type[Key]) -> None:
    recipient = kind.generate().recipient()
    assert recipient.wrap(FILE_KEY) != recipient.wrap(FILE_KEY)


@asymmetric
def test_keys_survive_their_text_and_bytes(kind: type[Key]) -> None:
    identity = kind.generate()
    recipient = identity.recipient()
    assert kind.from_string(identity.to_string()) == identity
    assert kind.from_seed(identity.seed) == identity
    assert type(recipient).from_string(recipient.to_string()) == recipient
    assert type(recipient).from_bytes(recipient.to_bytes()) == recipient


@asymmetric
def test_keys_are_equal_by_value_and_never_across_types(kind: type[Key]) -> None:
    one, same = kind.from_seed(bytes(32)), kind.from_seed(bytes(32))
    other = kind.from_seed(b"\x01" * 32)
    assert len({one, same, other}) == 2
    assert len({one.recipient(), same.recipient(), other.recipient()}) == 2
    assert one != other
    assert one != one.recipient()
    assert one.recipient() != one.recipient().to_bytes()


@asymmetric
def test_no_secret_shows_in_repr(kind: type[Key]) -> None:
    identity = kind.generate()
    shown = repr(identity) + str(identity) + repr(identity.recipient())
    assert identity.to_string()[-20:].lower() not in shown.lower()
    assert identity.seed.hex() not in shown
    assert identity.recipient().to_string()[:20] in shown


@asymmetric
def test_a_seed_of_another_size_is_refused(kind: type[Key]) -> None:
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            kind.from_seed(bytes(size))


@asymmetric
def test_text_that_is_not_exactly_a_key_is_refused(kind: type[Key]) -> None:
    identity = kind.from_seed(bytes(32))
    text, public = identity.to_string(), identity.recipient().to_string()
    recipient_kind = type(identity.recipient())
    hrp = text.rpartition("1")[0].lower()
    for bad in (text.lower(), f"{text} ", text[:-1], public, format_bech32(hrp, bytes(31)).upper()):
        with pytest.raises(FormatError):
            kind.from_string(bad)
    hrp = public.rpartition("1")[0]
    for bad in (public.upper(), f"{public}\n", public[:-1], text, format_bech32(hrp, bytes(31))):
        with pytest.raises(FormatError):
            recipient_kind.from_string(bad)


@asymmetric
def test_a_secret_never_shows_in_an_error(kind: type[Key]) -> None:
    text = kind.generate().to_string()
    for bad in (text[:-1], text.lower(), text.replace("SECRET", "SECRE")):
        with pytest.raises(FormatError) as caught:
            kind.from_string(bad)
        assert text[20:40].lower() not in str(caught.value).lower()


@asymmetric
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_recipient_of_small_order_is_refused(kind: type[Key], point: bytes) -> None:
    recipient = kind.from_seed(bytes(32)).recipient()
    with pytest.raises(FormatError, match="small order"):
        type(recipient).from_bytes(recipient.to_bytes()[:-32] + point)


@asymmetric
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_share_of_small_order_is_a_malformed_header(kind: type[Key], point: bytes) -> None:
    identity = kind.from_seed(bytes(32))
    (stanza,) = identity.recipient().wrap(FILE_KEY)
    share = parse_base64_raw(stanza.args[0])[:-32] + point
    with pytest.raises(HeaderError, match="small order"):
        identity.unwrap([Stanza(stanza.type, (format_base64_raw(share),), stanza.body)])


@asymmetric
def test_a_malformed_stanza_of_its_own_type_is_refused_wherever_it_stands(kind: type[Key]) -> None:
    identity = kind.from_seed(bytes(32))
    (good,) = identity.recipient().wrap(FILE_KEY)
    share = parse_base64_raw(good.args[0])
    for bad in (
        Stanza(good.type, (), good.body),
        Stanza(good.type, (*good.args, "x"), good.body),
        Stanza(good.type, (format_base64_raw(share[:-1]),), good.body),
        Stanza(good.type, (format_base64_raw(share + b"\x00"),), good.body),
        Stanza(good.type, (good.args[0] + "=",), good.body),
        Stanza(good.type, good.args, good.body[:-1]),
        Stanza(good.type, good.args, good.body + b"\x00"),
        Stanza(good.type, good.args, b""),
    ):
        for stanzas in ((bad,), (good, bad), (bad, good)):
            with pytest.raises(HeaderError):
                identity.unwrap(stanzas)


@asymmetric
def test_a_changed_stanza_is_nobodys(kind: type[Key]) -> None:
    identity = kind.from_seed(bytes(32))
    (good,) = identity.recipient().wrap(FILE_KEY)
    share = parse_base64_raw(good.args[0])
    rng = random.Random(7)
    for bit in rng.sample(range(8 * len(good.body)), 32):
        assert identity.unwrap([Stanza(good.type, good.args, with_bit(good.body, bit))]) is None
    for bit in rng.sample(range(8 * len(share)), 32):
        args = (format_base64_raw(with_bit(share, bit)),)
        # X25519 ignores its highest bit; the key derivation does not.
        assert identity.unwrap([Stanza(good.type, args, good.body)]) is None


# --- X25519 -----------------------------------------------------------------------------------


def test_an_x25519_key_is_that_of_the_standard() -> None:
    identity = X25519Identity.from_seed(b"B" * 32)
    text = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    public = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    assert identity.to_string() == text
    assert identity.recipient().to_string() == public
    assert repr(X25519Recipient.from_string(public)) == f"<X25519Recipient {public}>"


def test_an_x25519_stanza_with_its_randomness_given_is_always_the_same() -> None:
    identity = X25519Identity.from_seed(b"B" * 32)
    stanza = identity.recipient()._wrap_with(FILE_KEY, b"E" * 32)
    assert stanza.type == "X25519"
    assert stanza.args == ("MoaJTNKEWm22oo+/BndgX4DlpiOFv04Qp5CuX942c2s",)
    assert stanza.body.hex() == "b7ed6f8c34426716d0a0f44dbf0dfd2ed3fafbf1d6286181c9d0d094b63d9cd3"
    assert identity.unwrap([stanza]) == FILE_KEY


# --- hybrid -----------------------------------------------------------------------------------


def test_a_hybrid_key_is_that_of_the_standard() -> None:
    text = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
    identity = HybridIdentity.from_string(text)
    public = identity.recipient().to_string()
    assert identity.to_string() == text
    assert len(public) == 1959
    assert public.startswith("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrq")
    digest = "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea"
    assert hashlib.sha256(public.encode()).hexdigest() == digest


def test_a_hybrid_recipient_has_1216_possible_bytes() -> None:
    data = HybridIdentity.from_seed(bytes(32)).recipient().to_bytes()
    assert len(data) == 1216
    for bad in (data[:-1], data + b"\x00", b"", b"\xff" * 1184 + data[1184:]):
        with pytest.raises(FormatError):
            HybridRecipient.from_bytes(bad)


def test_a_hybrid_stanza_has_the_sizes_of_the_standard() -> None:
    (stanza,) = HybridIdentity.from_seed(bytes(32)).recipient().wrap(FILE_KEY)
    assert stanza.type == "mlkem768x25519"
    assert [len(parse_base64_raw(argument)) for argument in stanza.args] == [1120]
    assert len(stanza.body) == 32


# --- scrypt -----------------------------------------------------------------------------------


def scrypt_stanza(*args: str, body: bytes = bytes(32)) -> Stanza:
    return Stanza("scrypt", args, body)


SALT = format_base64_raw(bytes(16))


def test_a_passphrase_opens_what_it_closed() -> None:
    stanzas = ScryptRecipient("پاس ورڈ", 2).wrap(FILE_KEY)
    assert ScryptIdentity("پاس ورڈ").unwrap(stanzas) == FILE_KEY
    assert ScryptIdentity("پاس ورڈ".encode()).unwrap(stanzas) == FILE_KEY
    assert ScryptIdentity("پاس ورڈ ").unwrap(stanzas) is None
    assert ScryptIdentity("x").unwrap([Stanza("X25519", ("x",), b"")] * 2) is None
    assert ScryptRecipient("x", 2).wrap(FILE_KEY) != ScryptRecipient("x", 2).wrap(FILE_KEY)


def test_a_passphrase_is_taken_as_typed() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    stanzas = ScryptRecipient(composed, 1).wrap(FILE_KEY)
    assert ScryptIdentity(decomposed).unwrap(stanzas) is None


def test_an_scrypt_stanza_with_its_salt_given_is_always_the_same() -> None:
    stanza = ScryptRecipient("passphrase", 2)._wrap_with(FILE_KEY, b"S" * 16)
    assert stanza.args == ("U1NTU1NTU1NTU1NTU1NTUw", "2")
    assert stanza.body.hex() == "bfcd955c2c93a5ccf716c0b147833fb93aafdef8077d7086e25ec3509a069c08"


@pytest.mark.parametrize(
    "stanza",
    [
        scrypt_stanza(),
        scrypt_stanza(SALT),
        scrypt_stanza(SALT, "2", "x"),
        scrypt_stanza(SALT, "2", body=bytes(31)),
        scrypt_stanza(SALT, "2", body=bytes(33)),
        scrypt_stanza(SALT[:-1], "2"),
        scrypt_stanza(SALT + "==", "2"),
        scrypt_stanza(SALT + "AA", "2"),
        scrypt_stanza(SALT[:-1] + "B", "2"),
        *(
            scrypt_stanza(SALT, factor)
            for factor in ("0", "02", "+2", "-2", "2x", "0x2", "2_0", "21", "9" * 5000)
        ),
    ],
)
def test_a_malformed_scrypt_stanza_is_refused_before_any_work(stanza: Stanza) -> None:
    with pytest.raises(HeaderError):
        ScryptIdentity("x").unwrap([stanza])


def test_an_scrypt_stanza_beside_another_is_refused() -> None:
    stanzas = [scrypt_stanza(SALT, "2"), Stanza("x", (), b"")]
    with pytest.raises(HeaderError, match="only"):
        ScryptIdentity("x").unwrap(stanzas)
    with pytest.raises(HeaderError, match="only"):
        ScryptIdentity("x").unwrap(stanzas[::-1])


def test_a_work_factor_is_capped_where_the_caller_says() -> None:
    stanzas = ScryptRecipient("x", 9).wrap(FILE_KEY)
    assert ScryptIdentity("x", 9).unwrap(stanzas) == FILE_KEY
    with pytest.raises(HeaderError, match="beyond 8"):
        ScryptIdentity("x", max_work_factor=8).unwrap(stanzas)


def test_work_that_memory_does_not_allow_is_not_called_a_wrong_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Starved:
        def __init__(self, **_: object) -> None:
            pass

        def derive_into(self, _: bytes, into: memoryview) -> int:
            raise MemoryError

    monkeypatch.setattr("vault.age.scrypt.Scrypt", Starved)
    with pytest.raises(DecryptionError, match="1048576 KiB") as caught:
        ScryptIdentity("x").unwrap([scrypt_stanza(SALT, "20")])
    assert type(caught.value) is DecryptionError


def test_impossible_passphrases_and_work_factors_are_refused() -> None:
    for kind in (ScryptIdentity, ScryptRecipient):
        with pytest.raises(ValueError, match="empty"):
            kind("")
        for factor in (0, 31):
            with pytest.raises(ValueError, match="work factor"):
                kind("x", factor)


def test_no_passphrase_shows_in_repr() -> None:
    assert repr(ScryptIdentity("secret")) == "<ScryptIdentity up to work factor 20>"
    assert repr(ScryptRecipient("secret")) == "<ScryptRecipient of work factor 18>"
