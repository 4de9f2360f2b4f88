"""Identities, proof of possession, the card, the identity file."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest

from vault import age
from vault.codec import Value, format_base64, format_bech32
from vault.errors import (
    DecryptionError,
    FormatError,
    NoIdentityMatchError,
    SignatureError,
    UnsupportedVersionError,
)
from vault.identity import (
    CARD_ORIGIN,
    MAX_CARD_NAME,
    Identity,
    ProvenKeys,
    PublicKeys,
    check_possession,
    format_card,
    format_identity_file,
    parse_card,
    parse_identity_file,
)
from vault.tlog import note

ME, OTHER = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
TODAY = datetime.date(2026, 3, 1)
CARD = format_card(ME, "Ayesha Khan", TODAY)

# --- keys -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_keys_and_another_none_of_them() -> None:
    assert Identity(b"\x01" * 32).keys == ME.keys
    mine, theirs = ME.keys, OTHER.keys
    assert mine.ed25519 != theirs.ed25519
    assert mine.ml_dsa_44 != theirs.ml_dsa_44
    assert mine.age != theirs.age
    assert mine.fingerprint != theirs.fingerprint
    assert mine.recipient == ME.age.recipient()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(bytes(size))


def test_a_new_identity_takes_32_random_bytes() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return b"\x05" * size

    assert Identity.generate(random).keys == Identity(b"\x05" * 32).keys
    assert asked == [32]
    assert Identity.generate().seed != Identity.generate().seed


def test_no_secret_shows_in_a_text_form() -> None:
    shown = repr(ME) + str(ME) + repr(ME.age) + repr(ME.proven) + repr(ME.keys)
    derived = (ME.seed, ME.age.seed, *(key.private_bytes_raw() for key in ME._keys))
    for secret in derived:
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    assert repr(ME) == f"<Identity {ME.keys.fingerprint.hex()[:16]}>"


@pytest.mark.parametrize("field", ["ed25519", "ml_dsa_44", "age"])
def test_public_keys_of_another_size_are_refused(field: str) -> None:
    with pytest.raises(FormatError, match="sizes"):
        replace(ME.keys, **{field: getattr(ME.keys, field)[:-1]})


def test_every_key_is_in_the_fingerprint() -> None:
    mixed = [
        replace(ME.keys, ed25519=OTHER.keys.ed25519),
        replace(ME.keys, ml_dsa_44=OTHER.keys.ml_dsa_44),
        replace(ME.keys, age=OTHER.keys.age),
        ME.keys,
        OTHER.keys,
    ]
    assert len({keys.fingerprint for keys in mixed}) == 5
    assert {len(keys.message) for keys in mixed} == {2583}


def test_what_an_identity_signs_verifies() -> None:
    note.verify_ed25519(ME.ed25519, b"text", ME.sign_ed25519(b"text"))
    note.verify_ml_dsa_44(ME.ml_dsa_44, b"text", ME.sign_ml_dsa_44(b"text"))


# --- possession -------------------------------------------------------------------------------


def test_possession_of_both_signing_keys_is_proved() -> None:
    check_possession(ME.proven)
    assert ProvenKeys.from_data(dict(ME.proven.to_data())) == ME.proven


@pytest.mark.parametrize(
    "proven",
    [
        pytest.param(replace(ME.proven, keys=OTHER.keys), id="other keys"),
        pytest.param(
            replace(ME.proven, ed25519_proof=OTHER.proven.ed25519_proof), id="another's Ed25519"
        ),
        pytest.param(
            replace(ME.proven, ml_dsa_44_proof=OTHER.proven.ml_dsa_44_proof), id="another's ML-DSA"
        ),
        pytest.param(
            replace(ME.proven, keys=replace(ME.keys, age=OTHER.keys.age)), id="another age key"
        ),
        pytest.param(replace(ME.proven, ed25519_proof=b""), id="no Ed25519 proof"),
        pytest.param(replace(ME.proven, ml_dsa_44_proof=b""), id="no ML-DSA proof"),
    ],
)
def test_keys_without_their_proofs_are_refused(proven: ProvenKeys) -> None:
    with pytest.raises(SignatureError):
        check_possession(proven)


def test_an_age_key_that_can_not_be_is_refused_even_with_proofs() -> None:
    # ML-KEM coefficients of 12 bits at or above the modulus (FIPS 203 section 7.2).
    keys = replace(ME.keys, age=b"\xff" * 1184 + ME.keys.age[1184:])
    signed = ProvenKeys(keys, ME.sign_ed25519(keys.message), ME.sign_ml_dsa_44(keys.message))
    with pytest.raises(FormatError):
        check_possession(signed)


DATA: dict[str, Value] = dict(ME.proven.to_data())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("keys", id="text"),
        pytest.param(tuple(DATA.values()), id="an array"),
        pytest.param({}, id="empty"),
        *(
            pytest.param({k: v for k, v in DATA.items() if k != name}, id=f"no {name}")
            for name in DATA
        ),
        *(pytest.param({**DATA, name: b""}, id=f"{name} empty") for name in DATA),
        *(pytest.param({**DATA, name: "text"}, id=f"{name} as text") for name in DATA),
        pytest.param({**DATA, "x": b""}, id="one more"),
    ],
)
def test_a_map_of_keys_in_another_form_is_refused(value: Value) -> None:
    with pytest.raises(FormatError):
        ProvenKeys.from_data(value)


# --- the card ---------------------------------------------------------------------------------


def test_a_card_is_read_back_as_it_was_made() -> None:
    card = ME.card("Ayesha Khan", TODAY)
    assert (card.name, card.created, card.keys) == ("Ayesha Khan", "2026-03-01", ME.keys)
    assert parse_card(card.raw) == card
    assert card.proven == ME.proven


def test_a_card_is_a_signed_note_and_no_checkpoint() -> None:
    from vault.tlog.checkpoint import parse_signed_checkpoint

    assert note.parse_note(CARD).text.startswith("evidence-vault/card/v1\nname Ayesha Khan\n")
    with pytest.raises(FormatError):
        parse_signed_checkpoint(CARD)


@pytest.mark.parametrize("change", [0x01, 0x20, 0x80], ids=hex)
def test_every_single_byte_change_of_a_card_is_refused(change: int) -> None:
    for place in range(len(CARD)):
        changed = bytearray(CARD)
        changed[place] ^= change
        with pytest.raises((FormatError, SignatureError)):
            parse_card(bytes(changed))


def test_every_truncation_and_extension_of_a_card_is_refused() -> None:
    for size in range(0, len(CARD), 7):
        with pytest.raises((FormatError, SignatureError)):
            parse_card(CARD[:size])
    for more in (b"\n", b" ", b"\x00", CARD):
        with pytest.raises((FormatError, SignatureError)):
            parse_card(CARD + more)
        with pytest.raises((FormatError, SignatureError)):
            parse_card(more + CARD)


def test_a_card_that_is_too_long_is_refused() -> None:
    with pytest.raises(FormatError, match="too long"):
        parse_card(CARD + b"\n" * 16384)


NAMES_REFUSED = {
    "empty": "",
    "a newline": "a\nb",
    "an injected line": "a\ncreated 2020-01-01",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "NUL": "a\x00b",
    "escape": "\x1b[2J",
    "DEL": "a\x7f",
    "a C1 control": "a\x9bb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202egpj",
    "an isolate": "\u2066a",
    "a right-to-left mark": "a\u200f",
    "byte order mark": "\ufeffa",
    "a surrogate": "\ud800",
    "a space in front": " a",
    "a space behind": "a ",
    "a no-break space behind": "a\u00a0",
    "too long": "x" * (MAX_CARD_NAME + 1),
}


@pytest.mark.parametrize("name", NAMES_REFUSED.values(), ids=NAMES_REFUSED)
def test_a_name_that_could_deceive_is_not_written(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a surrogate has a message of its own
        format_card(ME, name, TODAY)


@pytest.mark.parametrize(
    "name",
    ["x" * MAX_CARD_NAME, "عائشہ خان", "می\u200cنا", "李明", "a b", "name name", "=", "— a b"],
)
def test_a_name_in_any_script_is_kept_as_given(name: str) -> None:
    assert ME.card(name, TODAY).name == name


def test_a_card_has_a_date_and_not_a_time() -> None:
    with pytest.raises(ValueError, match="not a time"):
        format_card(ME, "A", datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))


def resigned(edit: Callable[[list[str]], object], signer: Identity = ME) -> bytes:
    """The card with its lines edited, and the note signed again as well as can be."""
    lines = note.parse_note(CARD).text.split("\n")[:-1]
    edit(lines)
    text = "".join(f"{line}\n" for line in lines)
    key_id = note.key_id(CARD_ORIGIN, note.ED25519, signer.ed25519)
    signature = signer.sign_ed25519(text.encode())
    return note.format_note(note.Note(text, (note.Signature(CARD_ORIGIN, key_id, signature),)))


def line(number: int, content: str) -> Callable[[list[str]], object]:
    return lambda lines: lines.__setitem__(number, content)


EDITS: dict[str, Callable[[list[str]], object]] = {
    "a line missing": lambda lines: lines.pop(2),
    "a line more": lambda lines: lines.append("note x"),
    "an empty line more": lambda lines: lines.append(""),
    "two lines exchanged": lambda lines: lines.insert(1, lines.pop(2)),
    "a name twice": lambda lines: lines.insert(2, lines[1]),
    "another label": line(1, "Name Ayesha Khan"),
    "no space after the label": line(1, "name"),
    "an empty name": line(1, "name "),
    "two spaces before the name": line(1, "name  Ayesha Khan"),
    "a bidirectional name": line(1, "name \u202eA"),
    "a line separator in the name": line(1, "name a\u2028b"),
    "a name too long": line(1, "name " + "x" * 121),
    "a date with a time": line(2, "created 2026-03-01T00:00"),
    "a basic date": line(2, "created 20260301"),
    "a week date": line(2, "created 2026-W09"),
    "a date that is not": line(2, "created 2026-02-29"),
    "a date in other digits": line(2, "created \u0662\u0660\u0662\u0666-03-01"),
    "an Ed25519 key too short": line(3, "ed25519 " + format_base64(ME.ed25519[:-1])),
    "another's Ed25519 key": line(3, "ed25519 " + format_base64(OTHER.ed25519)),
    "base64 unpadded": line(3, "ed25519 " + format_base64(ME.ed25519).rstrip("=")),
    "an ML-DSA key too short": line(4, "ml-dsa-44 " + format_base64(ME.ml_dsa_44[:-1])),
    "another's ML-DSA key": line(4, "ml-dsa-44 " + format_base64(OTHER.ml_dsa_44)),
    "an X25519 recipient": line(5, "age " + age.X25519Identity.generate().recipient().to_string()),
    "the recipient in upper case": line(5, "age " + ME.keys.recipient.to_string().upper()),
    "another's recipient": line(5, "age " + OTHER.keys.recipient.to_string()),
    "an identity for a recipient": line(5, "age " + ME.age.to_string()),
    "another's Ed25519 proof": line(
        6, "ed25519-proof " + format_base64(OTHER.proven.ed25519_proof)
    ),
    "another's ML-DSA proof": line(
        7, "ml-dsa-44-proof " + format_base64(OTHER.proven.ml_dsa_44_proof)
    ),
    "a proof too short": line(7, "ml-dsa-44-proof AAAA"),
    "version 01": line(0, "evidence-vault/card/v01"),
    "an access record": line(0, "evidence-vault/access/v1"),
    "another product": line(0, "card/v1"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_card_in_another_form_is_refused_even_if_signed(
    edit: Callable[[list[str]], object],
) -> None:
    with pytest.raises((FormatError, SignatureError)):
        parse_card(resigned(edit))


def test_a_card_that_is_signed_again_unchanged_is_read() -> None:
    assert parse_card(resigned(lambda _: None)).raw == CARD


def test_a_card_signed_by_another_is_refused() -> None:
    with pytest.raises(SignatureError, match="by its own key"):
        parse_card(resigned(lambda _: None, OTHER))


def test_a_card_signed_twice_is_refused() -> None:
    signed = note.parse_note(CARD)
    twice = note.format_note(note.Note(signed.text, signed.signatures * 2))
    with pytest.raises(SignatureError, match="not signed once"):
        parse_card(twice)


def test_a_card_signed_under_another_name_is_refused() -> None:
    signed = note.parse_note(CARD)
    other = replace(signed.signatures[0], name="evidence-vault/card/v2")
    with pytest.raises(SignatureError):
        parse_card(note.format_note(note.Note(signed.text, (other,))))


@pytest.mark.parametrize("version", ["2", "10"])
def test_a_card_of_a_later_version_is_not_called_damaged(version: str) -> None:
    later = resigned(line(0, f"evidence-vault/card/v{version}"))
    for data in (later, f"evidence-vault/card/v{version}\nanything\xff".encode("latin-1")):
        with pytest.raises(UnsupportedVersionError, match=f"version {version}"):
            parse_card(data)


# --- the identity file ------------------------------------------------------------------------

PASSPHRASE = b"correct horse"
FILE = format_identity_file(ME, PASSPHRASE, 2)
FIRST = "# " + format_bech32("evault-secret-", ME.seed).upper()
SECOND = ME.age.to_string()


def sealed(plaintext: str | bytes, factor: int = 2) -> bytes:
    data = plaintext.encode() if isinstance(plaintext, str) else plaintext
    return age.encrypt_bytes(data, [age.ScryptRecipient(PASSPHRASE, factor)], armored=True)


def test_an_identity_file_is_two_lines_under_scrypt_and_armored() -> None:
    assert FILE.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    scrypt = age.ScryptIdentity(PASSPHRASE)
    plaintext = age.decrypt_bytes(FILE, [scrypt], max_size=1000).decode()
    assert plaintext == f"{FIRST}\n{SECOND}\n"
    assert plaintext.startswith("# EVAULT-SECRET-1")
    assert parse_identity_file(FILE, PASSPHRASE).keys == ME.keys


def test_an_identity_file_opens_what_was_encrypted_to_its_card_with_plain_age() -> None:
    scrypt = age.ScryptIdentity(PASSPHRASE)
    text = age.decrypt_bytes(FILE, [scrypt], max_size=1000).decode()
    keys = [row for row in text.splitlines() if row and not row.startswith("#")]
    secret = age.HybridIdentity.from_string(keys[0])
    data = age.encrypt_bytes(b"hello", [parse_card(CARD).keys.recipient])
    assert age.decrypt_bytes(data, [secret], max_size=10) == b"hello"


@pytest.mark.parametrize("passphrase", [b"correct hors", b"Correct horse", b"correct horse\n"])
def test_a_wrong_passphrase_matches_nothing(passphrase: bytes) -> None:
    with pytest.raises(NoIdentityMatchError, match="identity file"):
        parse_identity_file(FILE, passphrase)


def test_an_identity_file_without_a_passphrase_is_neither_made_nor_read() -> None:
    for call in (lambda: format_identity_file(ME, b"", 2), lambda: parse_identity_file(FILE, b"")):
        with pytest.raises(ValueError, match="passphrase"):
            call()


OTHER_FIRST = "# " + format_bech32("evault-secret-", OTHER.seed).upper()
PLAINTEXTS = {
    "two lines that disagree": f"{FIRST}\n{OTHER.age.to_string()}\n",
    "the seed of another": f"{OTHER_FIRST}\n{SECOND}\n",
    "empty": "",
    "no last newline": f"{FIRST}\n{SECOND}",
    "a line more": f"{FIRST}\n{SECOND}\n\n",
    "bytes behind": f"{FIRST}\n{SECOND}\nx",
    "a comment more": f"# created today\n{FIRST}\n{SECOND}\n",
    "the second line alone": f"{SECOND}\n",
    "the first line alone": f"{FIRST}\n",
    "exchanged": f"{SECOND}\n{FIRST}\n",
    "the seed in lower case": f"# {FIRST[2:].lower()}\n{SECOND}\n",
    "no mark of a comment": f"{FIRST[2:]}\n{SECOND}\n",
    "two spaces": f"#  {FIRST[2:]}\n{SECOND}\n",
    "carriage returns": f"{FIRST}\r\n{SECOND}\r\n",
    "another kind of secret": f"# {format_bech32('evault-other-', ME.seed).upper()}\n{SECOND}\n",
    "a seed too short": f"# {format_bech32('evault-secret-', bytes(31)).upper()}\n{SECOND}\n",
    "the seed altered": f"{FIRST[:-1]}{'Q' if FIRST[-1] != 'Q' else 'P'}\n{SECOND}\n",
    "the identity in lower case": f"{FIRST}\n{SECOND.lower()}\n",
    "not ASCII": f"{FIRST}\n{SECOND}é\n",
}


@pytest.mark.parametrize("plaintext", PLAINTEXTS.values(), ids=PLAINTEXTS)
def test_an_identity_file_with_another_plaintext_is_refused(plaintext: str) -> None:
    with pytest.raises(FormatError, match="identity file"):
        parse_identity_file(sealed(plaintext), PASSPHRASE)


def test_what_is_wrong_in_an_identity_file_is_not_shown() -> None:
    for plaintext in PLAINTEXTS.values():
        with pytest.raises(FormatError) as caught:
            parse_identity_file(sealed(plaintext), PASSPHRASE)
        shown = f"{caught.value!s} {caught.value.details}"
        assert ME.seed.hex() not in shown
        assert SECOND[20:40] not in shown
        assert FIRST[20:40] not in shown


def test_an_identity_file_that_is_too_long_is_refused() -> None:
    with pytest.raises((FormatError, DecryptionError)):
        parse_identity_file(sealed(b"#" * 5000), PASSPHRASE)


def test_an_altered_identity_file_is_refused() -> None:
    for place in range(0, len(FILE), 5):
        changed = bytearray(FILE)
        changed[place] ^= 1
        with pytest.raises((FormatError, DecryptionError)):
            parse_identity_file(bytes(changed), PASSPHRASE)


def test_bytes_behind_an_identity_file_are_refused() -> None:
    with pytest.raises(FormatError):
        parse_identity_file(FILE + b"x", PASSPHRASE)


def test_a_work_factor_beyond_the_limit_is_refused_before_the_work() -> None:
    with pytest.raises(FormatError, match="work factor"):
        parse_identity_file(sealed("x", 3), PASSPHRASE, max_work_factor=2)
    binary = age.encrypt_bytes(b"x", [age.ScryptRecipient(PASSPHRASE, 2)])
    head, stanza, rest = binary.split(b"\n", 2)
    for factor in (b" 21", b" 30", b" 99999999999999999999"):
        with pytest.raises(FormatError, match="work factor"):
            parse_identity_file(b"\n".join((head, stanza[:-2] + factor, rest)), PASSPHRASE)


def test_the_work_factor_is_18_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = age.ScryptRecipient

    def recipient(passphrase: bytes, factor: int) -> age.ScryptRecipient:
        asked.append(factor)
        return made(passphrase, 1)

    monkeypatch.setattr(age, "ScryptRecipient", recipient)
    format_identity_file(ME, PASSPHRASE)
    assert asked == [18]


def test_a_file_to_a_public_key_is_no_identity_file() -> None:
    data = age.encrypt_bytes(f"{FIRST}\n{SECOND}\n".encode(), [ME.keys.recipient])
    with pytest.raises(NoIdentityMatchError):
        parse_identity_file(data, PASSPHRASE)


def test_public_keys_can_be_used_as_keys_of_a_map_and_pickled() -> None:
    assert {ME.keys: 1, PublicKeys(ME.keys.ed25519, ME.keys.ml_dsa_44, ME.keys.age): 2} == {
        ME.keys: 2
    }
    assert pickle.loads(pickle.dumps(ME.keys)) == ME.keys
