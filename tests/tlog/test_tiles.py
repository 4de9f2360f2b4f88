"""tlog-tiles: paths, which tiles there are, what is in them, hashes read back from them."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import FormatError
from vault.tlog.merkle import (
    MemoryTree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    tree_root,
)
from vault.tlog.tiles import (
    ENTRIES,
    Tile,
    TileReader,
    format_entry_bundle,
    format_tile,
    new_tiles,
    parse_entry_bundle,
    parse_tile,
    parse_tile_path,
    tile_data,
    tile_path,
    tiles_of,
)

EDGES = (0, 1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 65792, 65793)


@cache
def large_tree() -> MemoryTree:
    return MemoryTree(leaf_hash(i.to_bytes(4, "big")) for i in range(65793))


# --- paths ------------------------------------------------------------------------------------

PATHS = {
    "tile/0/000": Tile(0, 0),
    "tile/0/000.p/1": Tile(0, 0, 1),
    "tile/0/x001/234": Tile(0, 1234),
    "tile/0/x001/x234/067": Tile(0, 1234067),
    "tile/0/x001/x234/067.p/255": Tile(0, 1234067, 255),
    "tile/1/999": Tile(1, 999),
    "tile/1/x001/000": Tile(1, 1000),
    "tile/63/000.p/9": Tile(63, 0, 9),
    "tile/entries/000": Tile(ENTRIES, 0),
    "tile/entries/x273/112.p/16": Tile(ENTRIES, 273112, 16),
    "tile/0/x009/x223/x372/x036/x854/x775/807": Tile(0, 2**63 - 1),
}


@pytest.mark.parametrize(("path", "tile"), PATHS.items())
def test_a_path_and_its_tile_are_one(path: str, tile: Tile) -> None:
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/234",
        "tile/0/x001/x234",
        "tile/0/X001/234",
        "tile/0/x01/234",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/1\n",
        "tile/0/000.p/١",
        "tile/0/٠٠٠",
        "tile/0/1_0",
        "tile/0/../000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x001/x009/x223/x372/x036/x854/x775/807",
    ],
)
def test_a_path_that_is_not_canonical_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_tile_path(path)


@given(st.integers(-1, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_tile_has_a_path_that_leads_back(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_tile_path(tile_path(tile)) == tile


@pytest.mark.parametrize(
    "numbers", [(-2, 0, 1), (64, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_that_cannot_be_is_a_value_error(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no tile"):
        Tile(*numbers)


# --- which tiles ------------------------------------------------------------------------------


def tiles_by_the_specification(size: int) -> set[Tile]:
    """ "The partial tile at level l for a tree of size s has floor(s / 256**l) mod 256 entries."""
    found = set()
    for level in range(9):
        hashes = size // 256**level
        for named in (level, ENTRIES) if level == 0 else (level,):
            found |= {Tile(named, index) for index in range(hashes // 256)}
            if hashes % 256:
                found.add(Tile(named, hashes // 256, hashes % 256))
    return found


def test_the_tiles_of_a_size_are_those_of_the_specification() -> None:
    for size in (*range(600), *EDGES, 70000):
        tiles = list(tiles_of(size))
        assert tiles == sorted(tiles)
        assert len(tiles) == len(set(tiles))
        assert set(tiles) == tiles_by_the_specification(size)


def test_the_specifications_two_examples() -> None:
    tiles = [tile for tile in tiles_of(70000) if tile.level != ENTRIES]
    assert sum(tile.level == 0 and not tile.partial for tile in tiles) == 273
    assert [tile for tile in tiles if tile.partial or tile.level] == [
        Tile(0, 273, 112),
        Tile(1, 0),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert list(tiles_of(256)) == [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)]


def test_the_new_tiles_are_those_that_the_smaller_tree_lacks() -> None:
    sizes = (*range(12), *range(250, 262), *range(508, 516), *EDGES[-5:])
    for old in sizes:
        have = set(tiles_of(old))
        for new in sizes:
            if old <= new:
                assert list(new_tiles(old, new)) == [t for t in tiles_of(new) if t not in have]


def test_an_impossible_growth_is_a_value_error_at_once() -> None:
    for old, new in ((-1, 0), (2, 1), (0, 2**63)):
        with pytest.raises(ValueError, match="grows"):
            new_tiles(old, new)
    with pytest.raises(ValueError, match="grows"):
        tiles_of(-1)


def test_a_size_beyond_all_memory_costs_nothing_until_it_is_walked() -> None:
    assert next(iter(tiles_of(2**63 - 1))) == Tile(ENTRIES, 0)


# --- contents ---------------------------------------------------------------------------------


def test_a_tile_is_its_hashes_end_to_end() -> None:
    tree = large_tree()
    data = tile_data(Tile(1, 0, 3), tree)
    assert data == tree.hash(8, 0) + tree.hash(8, 1) + tree.hash(8, 2)
    assert parse_tile(data, 3) == (tree.hash(8, 0), tree.hash(8, 1), tree.hash(8, 2))
    assert tile_data(Tile(2, 0, 1), tree) == root_of(
        [leaf_hash(i.to_bytes(4, "big")) for i in range(65536)]
    )
    with pytest.raises(ValueError, match="no hashes"):
        tile_data(Tile(ENTRIES, 0, 1), tree)


@pytest.mark.parametrize("size", [0, 31, 33, 64, 96])
def test_a_tile_of_the_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        parse_tile(bytes(size), 1)


def test_hashes_that_make_no_tile_are_a_value_error() -> None:
    for hashes in ([], [bytes(31)], [bytes(33)], [bytes(32)] * 257):
        with pytest.raises(ValueError, match="hashes"):
            format_tile(hashes)
    assert format_tile([bytes(32)] * 256) == bytes(8192)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_is_read_back(entries: list[bytes]) -> None:
    data = format_entry_bundle(entries)
    assert parse_entry_bundle(data, len(entries)) == tuple(entries)
    for width in {len(entries) - 1, len(entries) + 1}:
        with pytest.raises(FormatError):
            parse_entry_bundle(data, width)


def test_the_bytes_of_a_bundle() -> None:
    assert format_entry_bundle([b"abc", b"", b"d"]) == b"\0\3abc\0\0\0\1d"
    assert format_entry_bundle([bytes(65535)])[:2] == b"\xff\xff"


def test_a_bundle_cut_or_extended_anywhere_is_refused() -> None:
    data = format_entry_bundle([b"abc", b"", b"defg"])
    for end in range(len(data)):
        with pytest.raises(FormatError):
            parse_entry_bundle(data[:end], 3)
    for more in (b"\0", b"\0\0", b"\0\1x"):
        with pytest.raises(FormatError):
            parse_entry_bundle(data + more, 3)


def test_entries_that_make_no_bundle_are_a_value_error() -> None:
    for entries in ([], [bytes(65536)], [b""] * 257):
        with pytest.raises(ValueError, match="entries"):
            format_entry_bundle(entries)


# --- reading ----------------------------------------------------------------------------------


def stored(size: int) -> dict[Tile, bytes]:
    """Return the hash tiles of the first ``size`` leaves of the large tree."""
    return {tile: tile_data(tile, large_tree()) for tile in tiles_of(size) if tile.level != ENTRIES}


@pytest.mark.parametrize("size", EDGES)
def test_tiles_give_every_hash_and_the_root(size: int) -> None:
    tree, tiles = large_tree(), stored(size)
    reader = TileReader(tiles.__getitem__, size)
    assert reader.size == size
    assert tree_root(size, reader) == tree.root(size)
    picked = random.Random(size)
    for level in range(size.bit_length()):
        count = size >> level
        for index in {0, count - 1, *(picked.randrange(count) for _ in range(5))}:
            assert reader.hash(level, index) == tree.hash(level, index)


def test_proofs_from_tiles_are_checked_against_the_root() -> None:
    tree = large_tree()
    for size in EDGES[1:]:
        reader = TileReader(stored(size).__getitem__, size)
        root = tree.root(size)
        for index in {0, size // 3, size // 2, size - 1}:
            proof = prove_inclusion(index, size, reader)
            check_inclusion(proof, index, size, tree.hash(0, index), root)
        for old in (edge for edge in EDGES if edge <= size):
            proof = prove_consistency(old, size, reader)
            check_consistency(proof, old, size, tree.root(old), root)


def test_a_log_grows_commit_by_commit_from_its_tiles_alone() -> None:
    sizes = [0, 1, 2, 5, 200, 255, 256, 257, 300, 512, 65535, 65536, 65537, 65793]
    everything = large_tree()
    files: dict[Tile, bytes] = {}
    for old, new in pairwise(sizes):
        base = TileReader(files.__getitem__, old)
        added = [everything.hash(0, i) for i in range(old, new)]
        tree = MemoryTree(added, base=base, base_size=old)
        files |= {t: tile_data(t, tree) for t in new_tiles(old, new) if t.level != ENTRIES}
        assert tree.root() == everything.root(new)
        assert all(files[tile] == data for tile, data in stored(new).items())


def test_only_tiles_of_the_tree_are_fetched_and_most_only_once() -> None:
    size = 65792
    tiles = stored(size)
    fetched: list[Tile] = []

    def fetch(tile: Tile) -> bytes:
        fetched.append(tile)
        return tiles[tile]

    reader = TileReader(fetch, size)
    for index in range(1024):
        prove_inclusion(index, size, reader)
    assert len(fetched) == len(set(fetched)) == 4 + 2
    for index in range(0, size, 256):
        reader.hash(0, index)
    assert len(reader._cache) == 64


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(8191), bytes(8193), bytes(8224)])
def test_a_fetched_tile_of_the_wrong_length_is_named(data: bytes) -> None:
    reader = TileReader(lambda tile: data, 256)
    with pytest.raises(FormatError) as caught:
        reader.hash(0, 0)
    assert caught.value.where == "tile/0/000"


def test_a_changed_tile_gives_another_root() -> None:
    tiles = stored(300)
    for tile in tiles:
        changed = dict(tiles)
        changed[tile] = tiles[tile][:-1] + bytes([tiles[tile][-1] ^ 1])
        found = tree_root(300, TileReader(changed.__getitem__, 300))
        # Level 1 stands for the full tile below it, which the root alone therefore never reads.
        assert (found == large_tree().root(300)) == (tile == Tile(0, 0))


def test_hashes_outside_the_tree_are_a_value_error() -> None:
    reader = TileReader(lambda tile: bytes(32 * tile.width), 300)
    for level, index in ((-1, 0), (0, -1), (0, 300), (8, 1), (9, 0), (64, 0)):
        with pytest.raises(ValueError, match="no complete subtree"):
            reader.hash(level, index)
    for size in (-1, 2**63):
        with pytest.raises(ValueError, match="no tree"):
            TileReader(lambda tile: b"", size)
