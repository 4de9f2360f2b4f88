"""The changes that :mod:`tests.crash.rot` makes to a vault: bits, cuts, whole files, foreign files.

All of a kind are yielded in one order, so that a share of them can be chosen by a seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tests.crash.specimen import Specimen
from vault.layout import FORMAT_NAME

__all__ = [
    "ALTERATIONS",
    "Bits",
    "Change",
    "Layer",
    "copies",
    "cuts",
    "exchanges",
    "flipped",
    "flips",
    "foreign",
    "lengthened",
    "losses",
    "names_of",
    "stale_files",
]

_ADDED: Final = (b"\0", b"\n", b"x", bytes(31), bytes(4096))
Bits: TypeAlias = tuple[int, int]
"""A place in a file, and which of its bits (0 to 7)."""


@dataclass(frozen=True, slots=True)
class Change:
    """Files that are not what they were (None: gone)."""

    kind: str
    detail: str
    files: Mapping[str, bytes | None]

    def on(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files of a vault after it."""
        after = {**files, **self.files}
        return {name: data for name, data in after.items() if data is not None}


# --- bits ---------------------------------------------------------------------------------------


def flipped(data: bytes, place: int, bit: int) -> bytes:
    """Return ``data`` with one bit flipped."""
    return data[:place] + bytes((data[place] ^ 1 << bit,)) + data[place + 1 :]


def cut(data: bytes, place: int, bit: int) -> bytes:
    """Return the first ``place`` bytes."""
    del bit
    return data[:place]


Alter: TypeAlias = Callable[[bytes, int, int], bytes]
ALTERATIONS: Final[dict[str, Alter]] = {"flip": flipped, "cut": cut}
Layer: TypeAlias = Literal["log", "files", "whole"]


def names_of(sample: Specimen, layer: Layer) -> list[str]:
    """Return the needed files whose changes are put to a layer."""
    steering = {FORMAT_NAME, *sample.manifests}
    if layer == "whole":
        return sorted(steering)
    inside = {name for name in sample.needed if name.startswith("log/")}
    return sorted(inside if layer == "log" else sample.needed.keys() - inside - steering)


def flips(sample: Specimen, layer: Layer) -> Iterator[Bits]:
    """Yield every bit that a file of the layer has."""
    longest = max(len(sample.files[name]) for name in names_of(sample, layer))
    return itertools.product(range(longest), range(8))


def cuts(sample: Specimen, layer: Layer) -> Iterator[Bits]:
    """Yield every length that a file of the layer can be cut to."""
    return ((place, bit) for place, bit in flips(sample, layer) if not bit)


# --- whole files ----------------------------------------------------------------------------------


def lengthened(sample: Specimen) -> Iterator[Change]:
    """Yield every file with more at its end, at its beginning, or twice."""
    for name, data in sample.needed.items():
        for more in (*_ADDED, data):
            for content in {data + more, more + data}:
                detail = f"{name} with {len(more)} more bytes, {more[:1]!r}"
                yield Change("lengthened", detail, {name: content})


def losses(sample: Specimen) -> Iterator[Change]:
    """Yield the loss of every file, of every two, and of every directory."""
    names = [*sample.needed]
    for some in itertools.chain(itertools.combinations(names, 1), itertools.combinations(names, 2)):
        yield Change("lost", f"{some}", dict.fromkeys(some))
    folders = {name.rpartition("/")[0] for name in names} - {""}
    folders |= {folder.partition("/")[0] for folder in folders}
    for folder in sorted(folders):
        inside = [name for name in names if name.startswith(f"{folder}/")]
        yield Change("lost", f"all of {folder}", dict.fromkeys(inside))


def copies(sample: Specimen) -> Iterator[Change]:
    """Yield every file in the place of every other."""
    for name, source in itertools.permutations(sample.files, 2):
        if name in sample.needed and sample.files[name] != sample.files[source]:
            detail = f"{source} in the place of {name}"
            yield Change("copied", detail, {name: sample.files[source]})


def exchanges(sample: Specimen) -> Iterator[Change]:
    """Yield every two files in the place of each other."""
    files = sample.files
    for one, two in itertools.combinations(sample.needed, 2):
        yield Change("exchanged", f"{one} and {two}", {one: files[two], two: files[one]})


def stale_files(sample: Specimen) -> Iterator[Change]:
    """Yield every earlier state of every file of which there was another: tiles, that is, under
    the name of what they grew to. A stale checkpoint is told by a pin: see the tests.
    """
    names = [name for name in sample.needed if ".p/" in name]
    for name, step in itertools.product(names, sample.steps):
        folder = name.rpartition("/")[0]
        for other, data in step.files.items():
            if other.rpartition("/")[0] == folder and data != sample.files[name]:
                yield Change("stale", f"{other}, after {step.verb}, as {name}", {name: data})


def foreign(sample: Specimen, other: Specimen) -> Iterator[Change]:
    """Yield every file of another vault of the same people in the place of every one of its kind,
    and all of that kind at once.
    """
    kinds: dict[str, list[str]] = {}
    for name in other.files:
        kinds.setdefault(_kind(name), []).append(name)
    for name in sample.needed:
        for source in kinds.get(_kind(name), ()):
            if name != FORMAT_NAME:
                detail = f"{source} of another vault as {name}"
                yield Change("foreign", detail, {name: other.files[source]})
    for kind in kinds:
        mine = [name for name in sample.needed if _kind(name) == kind and name != FORMAT_NAME]
        if mine:
            # Under its own name where that is the same in both, as a tile's is.
            theirs = {name: other.files.get(name) for name in mine}
            yield Change("foreign", f"all {kind} of another vault", theirs)


def _kind(name: str) -> str:
    parts = name.split("/")
    if parts[0] == "bundles":
        return parts[-1].partition(".")[0]
    if parts[0] == "log" and len(parts) > 2:
        return "/".join(parts[:3])
    return parts[0] + ("/files" if name.endswith(".files") else "")
