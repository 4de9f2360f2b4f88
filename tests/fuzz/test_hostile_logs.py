"""Hostile logs, by class, each given to the verbs that read such.

The verdict is always the same: a typed error, or one sentence with an exit code from 0 to 5.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fuzz.desk import Desk, check_sentence
from tests.fuzz.hostile import (
    in_child,
)
from tests.log.notes import forge, place_of
from tests.log.notes import note as note_event
from tests.rooms.house import HANDOVER, KAI, MINA, NOW, OWNER, build
from vault import Identity, MemoryStore, audit
from vault.codec import pack, unpack
from vault.event import (
    EVENT_LABEL,
)
from vault.handover import release
from vault.tlog.checkpoint import Checkpoint, sign_checkpoint

# --- the log --------------------------------------------------------------------------------------


def _looked_at(desk: Desk, *, looking: set[int]) -> None:
    """Check that an audit tells a vault from a sound one, and what each verb that looks makes of
    it: none is a fault of the software.
    """
    check_sentence(desk.evault("verify", desk.house.path), {1})
    check_sentence(desk.evault("verify", desk.house.path, "--deep", "--json"), {1})
    for verb in (("list",), ("show",), ("custody", "--all")):
        check_sentence(desk.evault(verb[0], desk.house.path, *verb[1:]), looking)


_SIZES: Final = {
    "2^63": str(2**63),
    "2^64": str(2**64),
    "2^64 and some, which would wrap": str(2**64 + 9),
    "a thousand digits": "9" * 1000,
    "ten thousand digits": "1" + "0" * 10_000,
    "a leading zero": "09",
    "a sign": "+9",
    "negative": "-9",
    "a space": " 9",
    "an underscore": "1_0",
    "digits of another script": "\u0669",
    "hexadecimal": "0x9",
    "a fraction": "9.0",
    "an exponent": "9e0",
    "nothing": "",
}


def _checkpoint(desk: Desk) -> tuple[Path, list[str]]:
    path = desk.house.path / "log/checkpoint"
    return path, path.read_text().split("\n")


@pytest.mark.parametrize("kind", _SIZES)
def test_a_tree_size_that_is_no_plain_number_is_refused(desk: Desk, kind: str) -> None:
    path, lines = _checkpoint(desk)
    sound = path.read_bytes()
    path.write_text("\n".join([lines[0], _SIZES[kind], *lines[2:]]))
    shutil.copy(path, desk.folder / "kept")
    _looked_at(desk, looking={3})
    path.write_bytes(sound)
    check_sentence(
        desk.evault("verify", desk.house.path, "--checkpoint", desk.folder / "kept"), {3}
    )


@pytest.mark.parametrize("size", [2**63 - 1, 2**53, 2**40, 257])
def test_a_tree_size_that_was_made_up_costs_neither_time_nor_memory(desk: Desk, size: int) -> None:
    with desk.house.open() as vault:
        head = Checkpoint(vault.state.origin, size, vault.root)
    (desk.house.path / "log/checkpoint").write_bytes(sign_checkpoint(head, OWNER))
    place = str(desk.house.path)
    prepare = "from vault import Vault, audit\nfrom vault.errors import VaultError"
    for call_, verdict in (
        (f"Vault.open({place!r})", {"VerificationError", "FormatError"}),
        (f"assert audit({place!r}).verdict != 'intact'", {"accepted"}),
    ):
        found, mebibytes, seconds = in_child(prepare, call_, "VaultError")
        assert found in verdict
        assert mebibytes < 256
        assert seconds < 2


@pytest.mark.parametrize(
    "inject",
    [
        lambda lines: [lines[0], lines[1], lines[2], "injected", *lines[3:]],
        lambda lines: [lines[0], *lines],
        lambda lines: [f"{lines[0]}\r", *lines[1:]],
        lambda lines: [f"{lines[0]}\u2028{lines[1]}", *lines[1:]],
        lambda lines: [f"{lines[0]}\x85", *lines[1:]],
        lambda lines: [f"{lines[0]}\0", *lines[1:]],
        lambda lines: [f"{lines[0]} ", *lines[1:]],
        lambda lines: [f"{lines[0]}+x", *lines[1:]],
        lambda lines: ["", *lines],
        lambda lines: [*lines[:3], "", *lines[3:]],
        lambda lines: [*lines[:4], "\u2014 injected\n", *lines[4:]],
        lambda lines: [*lines[:4], "\u2014 x\x1b[2J AAAAAAAA", *lines[4:]],
        lambda lines: [*lines[:4], lines[4], *lines[4:]],
        lambda lines: [*lines, "more", ""],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:4], *[lines[4]] * 65, ""],
    ],
)
def test_a_line_injected_into_a_note_is_refused(desk: Desk, inject: Any) -> None:
    path, lines = _checkpoint(desk)
    path.write_bytes("\n".join(inject(lines)).encode())
    shutil.copy(path, desk.folder / "kept")
    _looked_at(desk, looking={3})


_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _bits(text: str) -> str:
    """Set a bit of base64 that stands for nothing."""
    stem, pad = text.rstrip("="), len(text) - len(text.rstrip("="))
    return stem[:-1] + _ALPHABET[_ALPHABET.index(stem[-1]) ^ 1] + "=" * pad


@pytest.mark.parametrize(
    "spoil",
    [
        _bits,
        lambda text: text.rstrip("="),
        lambda text: f"{text}=",
        lambda text: f"{text}====",
        lambda text: f"{text[:8]} {text[8:]}",
        lambda text: f"{text[:8]}\t{text[8:]}",
        lambda text: f"{text[:8]}={text[9:]}",
        lambda text: f"-_{text[2:]}",
        lambda text: f"\uff21{text[1:]}",
        lambda text: f"{text[:8]}\0{text[8:]}",
        lambda text: text + text,
        lambda text: "",
    ],
)
def test_base64_that_is_not_canonical_is_refused(desk: Desk, spoil: Any) -> None:
    path, lines = _checkpoint(desk)
    path.write_bytes("\n".join([*lines[:2], spoil(lines[2]), *lines[3:]]).encode())
    _looked_at(desk, looking={3})
    name, _, signature = lines[4].rpartition(" ")
    path.write_bytes("\n".join([*lines[:4], f"{name} {spoil(signature)}", *lines[5:]]).encode())
    _looked_at(desk, looking={3})


def _tile(desk: Desk, kind: str) -> Path:
    """Return the newest partial tile; those that it superseded are gone."""
    found = sorted((desk.house.path / "log/tile" / kind).rglob("*.p/*"), key=lambda p: int(p.name))
    for older in found[:-1]:
        older.unlink()
    return found[-1]


@pytest.mark.parametrize("kind", ["0", "entries"])
@pytest.mark.parametrize(
    "change",
    ["wider name", "narrower name", "cut", "longer", "leading zero", "256", "257", "0", "no width"],
)
def test_a_partial_tile_whose_width_is_not_that_of_its_name_is_found(
    desk: Desk, kind: str, change: str
) -> None:
    path = _tile(desk, kind)
    data, width = path.read_bytes(), int(path.name)
    path.unlink()
    names = {"wider name": f"{width + 1}", "narrower name": f"{width - 1}", "256": "256",
             "leading zero": f"0{width}", "257": "257", "0": "0"}  # fmt: skip
    content = {"cut": data[:-1], "longer": data + data}.get(change, data)
    path.with_name(names.get(change, path.name)).write_bytes(content)
    if change == "no width":
        shutil.rmtree(path.parent)
        path.parent.with_suffix("").write_bytes(data)
    _looked_at(desk, looking={0, 3} if kind == "0" else {3})


def _forged(desk: Desk, build: Callable[[Any], list[Any]], signer: Identity = OWNER) -> None:
    """Append leaves as they are, in a sound tree under a sound checkpoint."""
    store = MemoryStore(desk.house.files())
    forge(store, signer, build)
    for name, _ in store.list():
        path = desk.house.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(name))


def _raw(log: Any, actor: Identity = OWNER, **changes: Any) -> bytes:
    """Return a signed leaf whose body has any values, parsed by nobody."""
    values = unpack(note_event(actor)(place_of(log)).body)
    assert isinstance(values, dict)
    body = pack({name: one for name, one in {**values, **changes}.items() if one is not None})
    return pack({"body": body, "sig": actor.sign_ed25519(EVENT_LABEL + body)})


@pytest.mark.parametrize("kind", ["as it is", "signed anew", "its genesis", "without a vault"])
def test_an_event_of_another_vault_replayed_is_found(desk: Desk, kind: str, tmp_path: Path) -> None:
    other = build(tmp_path / "other")
    with desk.house.open(OWNER) as here, other.open(OWNER) as there:
        while there.size <= here.size:
            there.append("vault.noted", fields={"text": "there"})
        foreign = there.id
        replayed = [there.event(here.size).leaf, there.event(0).leaf]
    leaves: dict[str, Callable[[Any], bytes]] = {
        "as it is": lambda _: replayed[0],
        "its genesis": lambda _: replayed[1],
        "signed anew": lambda log: _raw(log, vault=foreign),
        "without a vault": lambda log: _raw(log, vault=None),
    }
    _forged(desk, lambda log: [leaves[kind](log)])
    _looked_at(desk, looking={0, 3})


@pytest.mark.parametrize(
    "seq", [0, 1, "again", "next", "far", 2**53 - 1, 2**53, 2**63, 2**64 - 1, -1, True]
)
def test_a_gap_in_seq_is_found(desk: Desk, seq: Any) -> None:
    def number(log: Any) -> Any:
        return {"again": log.size - 1, "next": log.size + 1, "far": 10**9}.get(seq, seq)

    _forged(desk, lambda log: [_raw(log, seq=number(log))])
    _looked_at(desk, looking={0, 3})


_LAST: Final = 253402300799


@pytest.mark.parametrize("time", [_LAST + 1, 10**15, 10**18, 2**63 - 1, 2**64 - 1, -1])
def test_a_time_that_no_calendar_has_is_found(desk: Desk, time: int) -> None:
    _forged(desk, lambda log: [_raw(log, time=time)])
    _looked_at(desk, looking={3})


@pytest.mark.parametrize("time", [0, NOW + 86_400 * 3650, _LAST])
def test_a_time_in_the_future_or_long_ago_is_shown_as_it_was_claimed(desk: Desk, time: int) -> None:
    bundle = desk.house.seal(title="x")
    desk.house.time[:] = [time]
    with desk.house.open(MINA) as vault:
        release(vault, [bundle], KAI.ed25519, expires=2**63 - 1, fields=HANDOVER)
        vault.append("bundle.noted", bundle=bundle, fields={"text": "x"})
    assert audit(desk.house.path).verdict == "intact"
    for verb in (("list",), ("show",), ("custody", "--all"), ("verify", "--deep")):
        for more in ((), ("--json",)):
            told = desk.evault(verb[0], desk.house.path, *verb[1:], *more)
            assert told.code == 0, told.err
    assert desk.evault("show", desk.house.path, bundle.hex()).code == 0


@pytest.mark.parametrize("looks", ["Vault.open(place)", "refused(audit(place))"])
def test_a_log_that_nobody_signed_costs_no_memory_however_long_it_is(
    desk: Desk, looks: str
) -> None:
    entries = desk.house.path / "log/tile/entries"
    shutil.rmtree(entries)
    entries.mkdir()
    for index in range(40):
        with (entries / f"{index:03}").open("wb") as file:
            for at in range(256):  # full of entries as long as they can be, 640 MiB in all
                file.seek(at * 65537)
                file.write(b"\xff\xff")
            file.truncate(256 * 65537)
    path, lines = _checkpoint(desk)
    path.write_bytes("\n".join([lines[0], str(40 * 256), *lines[2:]]).encode())
    prepare = (
        "from vault import Vault, audit\n"
        "from vault.errors import ProofError\n"
        f"place = {str(desk.house.path)!r}\n"
        "def refused(report):\n"
        "    assert report.verdict == 'altered'\n"
        "    raise ProofError('log', 'altered')\n"
        "list(audit(place).findings)\n"
    )
    verdict, mebibytes, _ = in_child(prepare, looks, "ProofError")
    assert verdict == "ProofError"
    assert mebibytes < 64
