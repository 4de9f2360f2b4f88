"""File names made safe, whatever they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.extracting.names import safe_names


def one(name: str | bytes) -> tuple[str, tuple[str, ...]]:
    found = safe_names([(0, name)])[0]
    return found.path, found.changes


@pytest.mark.parametrize(
    "name",
    ["a.txt", "a/b/c.d", "گواہی.txt", ".hidden", "a b", "100%", "con-sent", "community.txt", "é"],
)
def test_a_harmless_name_stays(name: str) -> None:
    assert one(name) == (name, ())
    assert one(name.encode()) == (name, ())


@pytest.mark.parametrize(
    ("name", "path", "changes"),
    [
        ("/etc/passwd", "etc/passwd", ("absolute",)),
        ("//server/share", "server/share", ("absolute",)),
        ("../../x", "%2E%2E/%2E%2E/x", ("parent",)),
        ("a/../../b", "a/%2E%2E/%2E%2E/b", ("parent",)),
        ("..", "%2E%2E", ("parent",)),
        ("./a/./b", "a/b", ()),
        ("C:\\Windows\\x", "C%3A%5CWindows%5Cx", ("characters",)),
        ("C:x", "C%3Ax", ("characters",)),
        ("a:stream", "a%3Astream", ("characters",)),
        ('<>:"|?*\\', "%3C%3E%3A%22%7C%3F%2A%5C", ("characters",)),
        ("a\x00b\nc\x1b[2J", "a%00b%0Ac%1B[2J", ("characters",)),
        ("\u202egpj.exe", "%E2%80%AEgpj.exe", ("characters",)),
        (b"caf\xe9.txt", "caf%E9.txt", ("characters",)),
        ("x.", "x%2E", ("trailing",)),
        ("x. . ", "x%2E%20%2E%20", ("trailing",)),
        ("...", "%2E%2E%2E", ("trailing",)),
        (" ", "%20", ("trailing",)),
        ("CON", "_CON", ("device",)),
        ("nul.txt", "_nul.txt", ("device",)),
        ("Aux .txt", "_Aux .txt", ("device",)),
        ("COM1/lpt\u00b9.x", "_COM1/_lpt\u00b9.x", ("device",)),
        ("", "unnamed", ("empty",)),
        ("/", "unnamed", ("absolute", "empty")),
        ("./.", "unnamed", ("empty",)),
    ],
)
def test_a_name_that_could_do_harm_is_changed_visibly(
    name: str | bytes, path: str, changes: tuple[str, ...]
) -> None:
    assert one(name) == (path, changes)


def test_long_names_are_cut_and_keep_their_extension() -> None:
    path, changes = one("x" * 300 + ".jpeg")
    assert len(path.encode()) == 200
    assert path.endswith("x~.jpeg")
    assert changes == ("too-long",)
    path, _ = one("ک" * 300 + "." + "e" * 100)
    assert len(path.encode()) <= 200
    assert path.endswith("~")
    path, changes = one("a/" * 1000 + "b")
    assert path.count("/") == 31
    assert changes == ("characters", "too-long")


def test_no_two_names_are_one_for_any_file_system() -> None:
    names = ["a.txt", "A.TXT", "a.txt", "cafe\u0301", "caf\u00e9", "Stra\u00dfe", "STRASSE"]
    names += ["noext", "NOEXT"]
    found = safe_names(enumerate(names))
    assert [found[number].path for number in range(len(names))] == [
        "a.txt", "A (item 1).TXT", "a (item 2).txt", "cafe\u0301", "caf\u00e9 (item 4)",
        "Stra\u00dfe", "STRASSE (item 6)", "noext", "NOEXT (item 8)",
    ]  # fmt: skip
    assert found[0].changes == ()
    assert found[1].changes == ("collision",)


def test_a_number_that_is_taken_too_is_counted_on() -> None:
    found = safe_names([(0, "a (item 2)"), (1, "a"), (2, "a")])
    assert found[2].path == "a (item 2 2)"


def test_folders_that_differ_by_case_become_one() -> None:
    found = safe_names([(0, "Folder/a"), (1, "folder/b"), (2, "FOLDER/A")])
    assert [found[number].path for number in range(3)] == [
        "Folder/a",
        "Folder/b",
        "Folder/A (item 2)",
    ]


def test_a_file_and_a_folder_of_one_name_both_find_a_place() -> None:
    found = safe_names([(0, "x"), (1, "X/y"), (2, "z/y"), (3, "Z"), (4, "x (folder)")])
    assert [found[number].path for number in range(5)] == [
        "x",
        "X (folder)/y",
        "z/y",
        "Z (item 3)",
        "x (folder) (item 4)",
    ]


NAMES = st.one_of(
    st.binary(max_size=20),
    st.text(st.sampled_from("aA./\\: .\u0301\u00e9\u202e\x00cCoOnN1%~"), max_size=12),
)


@given(st.lists(NAMES, max_size=12))
def test_every_name_is_safe_and_each_has_its_own_place(names: list[str | bytes]) -> None:
    found = safe_names(enumerate(names))
    assert list(found) == list(range(len(names)))
    paths = [one.path.casefold() for one in found.values()]
    assert len(set(paths)) == len(paths)
    files = set(paths)
    for safe in found.values():
        assert safe.parts
        for depth, part in enumerate(safe.parts, 1):
            assert part not in ("", ".", "..")
            assert not re.search(r'[\x00-\x1f<>:"|?*\\/]', part)
            assert not part.endswith((".", " "))
            assert part.isprintable()
            assert len(part.encode()) < 255
            if depth < len(safe.parts):
                assert "/".join(safe.parts[:depth]).casefold() not in files
