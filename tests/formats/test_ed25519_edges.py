"""Ed25519 at its edges: one rule for all signatures, which is libsodium's.

The cases follow the published lists (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs";
Wycheproof; CCTV), and are made here, with the curve's arithmetic of RFC 8032, section 5.1. The
rule: A and R are refused where their order is small or their encoding is not canonical, S where it
is not below L; and the equation is the one without a cofactor, over the bytes of R. What satisfies
the lax equation and breaks one of these must be refused; what breaks none must be accepted.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import pytest

from vault.errors import SignatureError
from vault.tlog.note import verify_ed25519

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
MESSAGE = b"a message"
Point = tuple[int, int]
ZERO: Point = (0, 1)


def add(one: Point, other: Point) -> Point:
    (a, b), (c, d) = one, other
    product = D * a * b * c * d
    x = (a * d + b * c) * pow(1 + product, -1, P) % P
    return x, (b * d + a * c) * pow(1 - product, -1, P) % P


def times(number: int, point: Point) -> Point:
    result = ZERO
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def roots_of(y: int) -> Iterator[int]:
    """Yield each x on the curve at y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    for x in {root, root * ROOT % P}:
        if x * x % P == square:
            yield from {x, -x % P}


def encoded(point: Point, *, more: int = 0, flip: bool = False) -> bytes:
    """Encode; ``more`` times P is added to y, and the sign is turned round, which it must not."""
    x, y = point
    return (y + more * P | (x & 1 ^ flip) << 255).to_bytes(32, "little")


BASE: Point = next((x, y) for y in [4 * pow(5, -1, P) % P] for x in roots_of(y) if not x & 1)
EIGHTH: Point = next(
    point
    for y in itertools.count(2)
    for x in roots_of(y)
    for point in [times(L, (x, y))]
    if times(4, point) != ZERO
)
SMALL = [times(number, EIGHTH) for number in range(8)]
SECRET = 0x1234567890ABCDEF1234567890ABCDEF


def challenge(r: bytes, a: bytes, message: bytes = MESSAGE) -> int:
    # Reduced, as implementations do; where A is of mixed order that tells, since L·A is not zero.
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def signature(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def lax(a: Point, key: bytes, sig: bytes) -> bool:
    """Whether the equation holds, with what stands there taken as it is: S·B = R + k·A."""
    k, s = challenge(sig[:32], key), int.from_bytes(sig[32:], "little")
    y = int.from_bytes(sig[:32], "little") & (1 << 255) - 1
    sign = sig[31] >> 7
    r = next(((x, y % P) for x in roots_of(y % P) if x & 1 == sign or not x), None)
    return r is not None and times(s, BASE) == add(r, times(k, a))


def signed_by_small(point: Point, key: bytes) -> bytes:
    """Return a signature that holds for a key of small order; anyone can make it."""
    for number in itertools.count(1):
        r = encoded(times(number, BASE))
        if times(challenge(r, key), point) == ZERO:
            return signature(r, number)
    raise AssertionError


def refused(key: bytes, sig: bytes, message: bytes = MESSAGE) -> None:
    with pytest.raises(SignatureError):
        verify_ed25519(key, message, sig)


def mixed(torsion: Point) -> Point:
    return add(times(SECRET, BASE), torsion)


def sign(key: bytes, nonce: int = 99, message: bytes = MESSAGE) -> bytes:
    r = encoded(times(nonce, BASE))
    return signature(r, (nonce + challenge(r, key, message) * SECRET) % L)


def test_the_arithmetic_is_that_of_the_standard() -> None:
    assert encoded(BASE).hex() == "58" + "66" * 31
    assert times(L, BASE) == ZERO
    assert len({encoded(point) for point in SMALL}) == 8
    # RFC 8032, section 7.1, test 1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    key = encoded(times(int.from_bytes(half, "little"), BASE))
    assert key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_an_ordinary_signature_is_accepted_and_one_with_a_bit_changed_is_not() -> None:
    key = encoded(times(SECRET, BASE))
    sig = sign(key)
    verify_ed25519(key, MESSAGE, sig)
    for bit in range(512):
        changed = bytearray(sig)
        changed[bit // 8] ^= 1 << bit % 8
        refused(key, bytes(changed))
    for bit in range(8 * len(MESSAGE)):
        message = bytearray(MESSAGE)
        message[bit // 8] ^= 1 << bit % 8
        refused(key, sig, bytes(message))
    for bit in range(256):
        other = bytearray(key)
        other[bit // 8] ^= 1 << bit % 8
        refused(bytes(other), sig)


def test_a_signature_of_another_length_is_refused() -> None:
    key = encoded(times(SECRET, BASE))
    sig = sign(key)
    for wrong in (b"", sig[:32], sig[:-1], sig + b"\0", sig * 2):
        refused(key, wrong)


@pytest.mark.parametrize("number", range(8))
def test_a_key_of_small_order_is_refused_in_each_of_its_encodings(number: int) -> None:
    point = SMALL[number]
    keys = {encoded(point)}
    if point[1] < 19:
        keys.add(encoded(point, more=1))
    if point[0] == 0:
        keys |= {encoded(point, flip=True)}
        if point[1] < 19:
            keys.add(encoded(point, more=1, flip=True))
    for key in keys:
        sig = signed_by_small(point, key)
        assert lax(point, key, sig)
        refused(key, sig)


def test_nobody_signs_every_message_with_a_key_and_an_r_of_small_order() -> None:
    for key, r in itertools.product(map(encoded, SMALL), repeat=2):
        refused(key, signature(r, 0))


@pytest.mark.parametrize("number", range(8))
def test_an_r_of_small_order_is_refused(number: int) -> None:
    key = encoded(times(SECRET, BASE))
    r = encoded(SMALL[number])
    sig = signature(r, challenge(r, key) * SECRET % L)
    assert lax(times(SECRET, BASE), key, sig) == (number == 0)
    refused(key, sig)


def test_an_r_that_is_not_canonical_is_refused() -> None:
    key = encoded(times(SECRET, BASE))
    for r in (encoded(ZERO, flip=True), encoded(ZERO, more=1), encoded(ZERO, more=1, flip=True)):
        sig = signature(r, challenge(r, key) * SECRET % L)
        assert lax(times(SECRET, BASE), key, sig)
        refused(key, sig)


# Two cases can't be shown, and no test here claims to: a key whose encoding is not canonical and
# whose point is of large order, and an S of 0. Whoever makes a signature that holds but for the
# encoding would need the discrete logarithm of a point that nobody chose, or an R = -k·A where k is
# the hash of R. A verifier refuses what one can make, with or without the rule in question.


@pytest.mark.parametrize("times_l", range(1, 15))
def test_an_s_that_is_not_below_l_is_refused(times_l: int) -> None:
    key = encoded(times(SECRET, BASE))
    sig = sign(key)
    s = int.from_bytes(sig[32:], "little") + times_l * L
    more = signature(sig[:32], s)
    assert lax(times(SECRET, BASE), key, more)
    refused(key, more)


def test_the_equation_has_no_cofactor_for_keys_of_mixed_order() -> None:
    for torsion in (SMALL[1], SMALL[2], SMALL[4]):  # of order 8, 4 and 2
        point = mixed(torsion)
        key = encoded(point)
        verdicts: set[bool] = set()
        for nonce in itertools.count(1):
            sig = sign(key, nonce)
            holds = lax(point, key, sig)
            # With a cofactor each of these would hold.
            k, s = challenge(sig[:32], key), int.from_bytes(sig[32:], "little")
            r = times(nonce, BASE)
            assert times(8 * s, BASE) == add(times(8, r), times(8 * k, point))
            if holds:
                verify_ed25519(key, MESSAGE, sig)
            else:
                refused(key, sig)
            verdicts.add(holds)
            if verdicts == {True, False}:
                break


def test_an_r_of_mixed_order_is_accepted_only_where_its_torsion_cancels_out() -> None:
    for torsion in (SMALL[1], SMALL[2], SMALL[4]):
        key = encoded(times(SECRET, BASE))
        r = encoded(add(times(99, BASE), torsion))
        sig = signature(r, (99 + challenge(r, key) * SECRET) % L)
        assert not lax(times(SECRET, BASE), key, sig)
        refused(key, sig)
        # The torsion of R and that of k·A cancel out.
        point = mixed(torsion)
        key = encoded(point)
        for nonce in itertools.count(1):
            r = encoded(add(times(nonce, BASE), times(7, torsion)))
            if challenge(r, key) % 8 == 1:
                break
        sig = signature(r, (nonce + challenge(r, key) * SECRET) % L)
        assert lax(point, key, sig)
        verify_ed25519(key, MESSAGE, sig)
