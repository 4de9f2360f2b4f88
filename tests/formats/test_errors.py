"""The exception tree: stable codes, and data on every instance."""

from __future__ import annotations

import pytest

from vault import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def drawn() -> dict[str, str]:
    """Return parent by class name, as the docstring of the module draws the tree."""
    parents, stack = {}, ["VaultError"]
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        if "├─" in line or "└─" in line:
            level = (len(line) - len(line.lstrip(" │├└─")) - 4) // 3
            name = line.strip(" │├└─").split()[0]
            stack[level:] = [name]
            parents[name] = stack[level - 1]
    return parents


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert drawn() == {
        kind.__name__: kind.__base__.__name__ for kind in CLASSES if kind is not errors.VaultError
    }


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all("code" in vars(kind) for kind in CLASSES)


def test_all_errors_of_the_module_are_exported() -> None:
    defined = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert defined == set(errors.__all__)
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize("kind", [errors.FormatError, errors.DecryptionError, errors.HeaderError])
def test_an_error_learns_its_place_later_and_stays_of_its_kind(
    kind: type[errors.FormatError],
) -> None:
    error = kind("card", "too long")
    placed = error.at("cards/a")
    assert (str(error), str(placed)) == ("card: too long", "cards/a: card: too long")
    assert type(placed) is kind
    assert placed.details == {"what": "card", "why": "too long", "where": "cards/a"}
    assert (placed.what, placed.why, placed.where) == ("card", "too long", "cards/a")


def test_a_verification_error_carries_what_was_expected_and_found() -> None:
    error = errors.DigestMismatchError("file", "other", "keys/1", expected=b"a", found=b"b")
    assert str(error) == "keys/1: file: other"
    assert error.details == {
        "what": "file",
        "why": "other",
        "where": "keys/1",
        "expected": error.expected,
        "found": error.found,
    }


def test_a_custody_error_carries_its_rule() -> None:
    error = errors.CustodyError("holder", "custody.released", "another", bytes(16))
    assert str(error) == "custody.released: holder: another"
    assert error.details == {
        "rule": "holder",
        "event": "custody.released",
        "detail": "another",
        "bundle": error.bundle,
    }
    assert (error.rule, error.event, error.detail) == ("holder", "custody.released", "another")
    assert str(errors.CustodyError("holder", "custody.released")) == "custody.released: holder"


def test_state_errors_carry_their_place_and_more() -> None:
    assert errors.NotFoundError("ab", "none").details == {"place": "ab", "why": "none"}
    space = errors.NoSpaceError("/v", 10, 3)
    assert space.details == {
        "place": "/v",
        "why": "needs 10 bytes, 3 free",
        "needed": space.needed,
        "free": space.free,
    }
    unknown = errors.UnknownVaultError("/v", b"\x01" * 32)
    assert unknown.details["vault"] == unknown.vault == b"\x01" * 32
    assert "01" * 32 in str(unknown)
    prefix = errors.AmbiguousError("ab", "two", ("abc", "abd"))
    assert prefix.details["candidates"] == prefix.candidates == ("abc", "abd")
