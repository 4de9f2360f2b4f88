"""The names of files in a vault."""

from __future__ import annotations

import re

import pytest

from vault import layout
from vault.storage import check_name

ID, EPOCH, DIGEST = b"\xab" * 16, b"\xcd" * 8, b"\xef" * 32
NAMES = {
    "FORMAT": layout.FORMAT_NAME,
    "log/checkpoint": layout.CHECKPOINT,
    f"fields/ef/{'ef' * 32}": layout.fields_name(DIGEST),
    f"keys/{'cd' * 8}": layout.epoch_name(EPOCH),
    f"keys/{'ef' * 32}.history": layout.history_name(DIGEST),
    f"keys/{'ef' * 32}.files": layout.rekey_name(DIGEST),
    f"bundles/{'ab' * 16}": layout.bundle_directory(ID),
    f"bundles/{'ab' * 16}/evidence.0000": layout.part_name(ID, 0),
    f"bundles/{'ab' * 16}/evidence.1499": layout.part_name(ID, 1499),
    f"bundles/{'ab' * 16}/key.{'cd' * 8}.{'ef' * 32}": layout.bundle_key_name(ID, EPOCH, DIGEST),
}


@pytest.mark.parametrize("expected", NAMES)
def test_each_kind_of_file_has_its_name(expected: str) -> None:
    name = NAMES[expected]
    assert name == expected
    check_name(name)
    assert re.fullmatch(r"FORMAT|[a-z0-9._/-]+", name)
    assert len(name) < 200


def test_no_two_kinds_of_file_share_a_name_in_any_case() -> None:
    assert len({name.lower() for name in NAMES.values()}) == len(NAMES)


def test_names_of_parts_sort_in_their_order() -> None:
    names = [layout.part_name_in_bundle(number) for number in range(1500)]
    assert names == sorted(names)


def test_a_part_fits_on_fat32() -> None:
    assert layout.PART_SIZE < 2**32
