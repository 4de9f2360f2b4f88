"""``evault seal``: files, folders, testimony and media hashes into bundles."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import click

from evault_cli.fields import item_fields, line, read_fields_file, seal_fields
from evault_cli.people import People
from evault_cli.refusal import MEDIUM, RefusedError
from evault_cli.render import count, emit_json, escape, flush, out, progress, say, size_text
from evault_cli.session import PATH, Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault import SealWriter, Vault
    from vault.codec import Packable
    from vault.gathering import Found, Gathered, Unsealable

__all__ = ["seal_command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MEDIA_HASH: Final = re.compile(r"([0-9A-Fa-f]{64}):(.+)\Z", re.DOTALL)
_LONG_TITLE: Final = 120
_SHOWN: Final = 20
"""How many of the things that can't be sealed are named."""


@final
@dataclass(frozen=True, slots=True)
class Given:
    """What goes into one bundle: files found, testimony, media hashes (digest, name)."""

    gathered: Gathered
    testimony: Gathered
    hashes: tuple[tuple[bytes, str], ...] = ()

    @property
    def sizes(self) -> list[int]:
        """The sizes of all files."""
        return [one.size for one in (*self.gathered.files, *self.testimony.files)]

    @property
    def omitted(self) -> tuple[Unsealable, ...]:
        """All that can't be sealed."""
        return (*self.gathered.unsealable, *self.testimony.unsealable)

    def without(self, place: str, why: str) -> Given:
        """Return the same with the file at ``place`` as an omission."""
        return replace(
            self,
            gathered=_without(self.gathered, place, why),
            testimony=_without(self.testimony, place, why),
        )

    def names(self) -> dict[str, frozenset[str]]:
        """Return the names that items go by, as :func:`item_fields` takes them."""
        none: frozenset[str] = frozenset()
        files = (*self.gathered.files, *self.testimony.files)
        names = {os.fsdecode(one.name): none for one in files}
        names |= {str(one.path): none for one in files}
        return names | {name: frozenset(("size",)) for _, name in self.hashes}


def _without(gathered: Gathered, place: str, why: str) -> Gathered:
    from vault.gathering import Unsealable

    left = [one for one in gathered.files if str(one.path) == place]
    return replace(
        gathered,
        files=tuple(one for one in gathered.files if one not in left),
        unsealable=(*gathered.unsealable, *(Unsealable(one.path, one.name, why) for one in left)),
    )


def _relation_options(command: _Command) -> _Command:
    """Add the options that say of which other bundle this one is a correction, a translation…"""
    for option, about in (
        ("--transcript-of", "It is a transcript of that bundle or item."),
        ("--translation-of", "It is a translation of that bundle or item."),
        ("--derived-from", "It was made from that bundle or item."),
        ("--amends", "It corrects or adds to that bundle or item, which stays as it is."),
    ):
        command = click.option(option, metavar="BUNDLE[/ITEM]", help=about)(command)
    return command


@click.command("seal")
@click.argument("place", metavar="VAULT", type=PATH)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=PATH)
@click.option("--title", metavar="TEXT", help="The bundle's title.")
@click.option(
    "--testimony",
    metavar="FILE",
    type=PATH,
    multiple=True,
    help="A file that is testimony; may be repeated.",
)
@click.option(
    "--media-hash",
    "hashes",
    metavar="HEX:NAME",
    multiple=True,
    help="SHA-256 and name of a file that is held elsewhere; may be repeated.",
)
@click.option(
    "--field",
    "fields",
    metavar="NAME=VALUE",
    multiple=True,
    help="A field of the bundle; yes or no, numbers, times with their offset; may be repeated.",
)
@click.option(
    "--fields",
    "fields_file",
    metavar="FILE.json",
    type=PATH,
    help="Many fields at once: one JSON object, nested names with dots between; under 'items', "
    "an object of fields for the PATH of each item.",
)
@click.option(
    "--item-field",
    "of_items",
    metavar="PATH:NAME=VALUE",
    multiple=True,
    help="A field of one item, by the path or name it is sealed under; may be repeated.",
)
@_relation_options
@click.option("--each", is_flag=True, help="Make a bundle of every PATH, file or folder.")
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Seal the rest, and record what can't be sealed with the reason.",
)
@circumstance_options
@vault_options
@click.pass_obj
def seal_command(
    session: Session,
    /,
    place: Path,
    paths: tuple[Path, ...],
    title: str | None,
    testimony: tuple[Path, ...],
    hashes: tuple[str, ...],
    fields: tuple[str, ...],
    fields_file: Path | None,
    of_items: tuple[str, ...],
    each: bool,
    skip_unreadable: bool,
    **relations: str | None,
) -> None:
    """Put files and folders away as one bundle, encrypted and signed.

    Folders are walked. A link, a device or a file that can't be read stops the seal before the
    first byte, by name. The bundle's id is printed.

    What was sealed is never changed: to correct it, seal the correction with --amends.
    """
    _check_asked(paths, testimony, hashes, each)
    given_fields = {}
    if fields_file is not None:
        with session.at(fields_file):
            given_fields = read_fields_file(fields_file)
    typed = [_pair(one) for one in fields]
    typed += [("title", title)] if title is not None else []
    values = seal_fields(typed, given_fields).values
    referring = {name: text for name, text in relations.items() if text is not None}
    _check_once(values, [*session.circumstances, *referring])
    digests = tuple(_media_hash(one) for one in hashes)
    bundles = _gather(place, paths, testimony, digests, each)
    if each:
        bundles = _without_empty(bundles, paths, skip_unreadable)
    for bundle in bundles:
        _check_sealable(bundle, skip_unreadable)
    names = {name: own for bundle in bundles for name, own in bundle.names().items()}
    items = item_fields(names, of_items, given_fields)
    length = len(str(values.get("title", "")))
    if length > _LONG_TITLE:
        say(f"Note: the title has {length} characters; lists show the beginning.")
    identity = session.identity()
    with progress() as callback, session.vault(place, identity, callback) as vault:
        vault.check_may("bundle.sealed")
        values |= session.circumstances | _references(vault, referring)
        sealed = [
            _seal(
                session,
                vault,
                place,
                bundle,
                values,
                items,
                skip_unreadable,
                f", {number} of {len(bundles)}" if each else "",
            )
            for number, bundle in enumerate(bundles, 1)
        ]
        if session.json:
            emit_json({"vault": vault.id.hex(), "bundles": sealed})


# --- what was asked -------------------------------------------------------------------------------


def _check_asked(
    paths: Sequence[Path], testimony: Sequence[Path], hashes: Sequence[str], each: bool
) -> None:
    if not (paths or testimony or hashes):
        raise RefusedError("Nothing to seal: name a PATH, or --testimony FILE, or --media-hash.")
    if each and (testimony or hashes or not paths):
        raise RefusedError(
            "--each makes a bundle of every PATH; seal testimony and hashes without it."
        )
    known = [os.path.abspath(path) for path in (*paths, *testimony)]  # noqa: PTH100
    for path in known:
        if known.count(path) > 1:
            raise RefusedError(f"{escape(path)} is given twice.")


def _check_once(values: Mapping[str, Packable], options: Sequence[str]) -> None:
    """Refuse a field that has an option of its own and was given both ways."""
    for name in options:
        if name in values:
            raise RefusedError(
                f"Field {name} is given twice: by its own option, and with --field or --fields."
            )


def _references(vault: Vault, referring: Mapping[str, str]) -> dict[str, Packable]:
    from vault.relations import find_reference

    return {name: str(find_reference(vault, text)) for name, text in referring.items()}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise RefusedError(f"--field {escape(text)!r} is not NAME=VALUE.")
    return name, value


def _media_hash(text: str) -> tuple[bytes, str]:
    found = _MEDIA_HASH.match(text)
    if found is None:
        raise RefusedError(
            f"--media-hash {escape(text)!r} is not HEX:NAME, with the 64 hexadecimal digits of a "
            "SHA-256."
        )
    return bytes.fromhex(found[1]), line("The name of a media hash", found[2], 4096)


def _gather(
    place: Path,
    paths: Sequence[Path],
    testimony: Sequence[Path],
    digests: tuple[tuple[bytes, str], ...],
    each: bool,
) -> list[Given]:
    from vault.gathering import gather

    for path in testimony:
        if path.is_dir():
            raise RefusedError(f"{escape(str(path))} is a folder: --testimony takes a file.")
    vault = place if place.is_dir() else None
    groups = [[path] for path in paths] if each else [paths]
    said = gather(testimony, vault=vault)
    return [Given(gather(group, vault=vault), said, digests) for group in groups]


def _without_empty(bundles: list[Given], paths: Sequence[Path], skip: bool) -> list[Given]:
    """Leave out folders that no bundle can be made of, or refuse them by name."""
    kept = []
    for bundle, path in zip(bundles, paths, strict=True):
        if bundle.sizes or bundle.omitted:
            kept.append(bundle)
        elif skip and len(paths) > 1:
            say(f"Note: {escape(str(path))} has no file and is left out.")
        else:
            raise RefusedError(
                f"{escape(str(path))} has no file, so it can't be a bundle. Nothing was added. "
                "Leave it out."
            )
    if not kept:
        raise RefusedError("There is no file in what was named: nothing to seal.")
    return kept


def _check_sealable(bundle: Given, skip: bool) -> None:
    from vault.bag import MAX_ITEMS
    from vault.bundle import estimated_size
    from vault.event import MAX_PARTS
    from vault.layout import PART_SIZE

    if bundle.omitted and not skip:
        lines = [f"  {_named(one)}: {one.why}" for one in bundle.omitted[:_SHOWN]]
        if len(bundle.omitted) > _SHOWN:
            lines.append(f"  and {len(bundle.omitted) - _SHOWN} more")
        raise RefusedError(
            "These can't be sealed. Nothing was read or added. Take them away, or seal the rest "
            "and record these with --skip-unreadable:\n" + "\n".join(lines),
            MEDIUM,
        )
    for path in bundle.gathered.empty:
        say(f"Note: {escape(str(path))} is an empty folder and leaves no trace in the bundle.")
    number = len(bundle.sizes) + len(bundle.hashes) + len(bundle.omitted)
    if not number:
        raise RefusedError("There is no file in what was named: nothing to seal.")
    if number > MAX_ITEMS or estimated_size(bundle.sizes) > MAX_PARTS * PART_SIZE:
        raise RefusedError(
            f"{count(number, 'item')} of {size_text(sum(bundle.sizes))} are more than a bundle "
            f"holds ({MAX_ITEMS:,} items, {size_text(MAX_PARTS * PART_SIZE)}): make several."
        )


def _named(one: Found | Unsealable) -> str:
    return escape(str(one.path))


# --- sealing --------------------------------------------------------------------------------------


def _seal(
    session: Session,
    vault: Vault,
    place: Path,
    bundle: Given,
    fields: Mapping[str, Packable],
    items: Mapping[str, Mapping[str, Packable]],
    skip: bool,
    which: str,
) -> dict[str, object]:
    from vault.errors import SourceUnreadableError

    while True:
        try:
            writer = _write(vault, bundle, fields, items)
            break
        except SourceUnreadableError as error:
            if not skip:
                raise
            # What was begun is gone: a bundle can't take back a file that it holds half of.
            say(f"{escape(error.place)} can't be sealed: {escape(error.why)}. Sealing the rest.")
            bundle = bundle.without(error.place, error.why)
    if not session.json:
        out(writer.id.hex())
        flush()
    return _done(vault, place, bundle, writer, which)


def _write(
    vault: Vault,
    bundle: Given,
    fields: Mapping[str, Packable],
    items: Mapping[str, Mapping[str, Packable]],
) -> SealWriter:
    """Seal a bundle. Raises ``SourceUnreadableError``; nothing of it is left then."""
    with vault.seal(fields, expected=bundle.sizes) as writer:
        for one in bundle.gathered.files:
            writer.add_path(one.path, name=one.name, fields=_of_item(one, items), below=one.top)
        for one in bundle.testimony.files:
            given = {"kind": "testimony", **_of_item(one, items)}
            writer.add_path(one.path, name=one.name, fields=given, below=one.top)
        for sha256, name in bundle.hashes:
            own: dict[str, Packable] = {
                "original_name": name,
                "kind": "media-hash",
                "sha256": sha256,
            }
            writer.add_absent({**items.get(name, {}), **own})
        for left in bundle.omitted:
            writer.add_absent(
                {"original_name": left.name, "kind": "omitted", "omitted_because": left.why}
            )
    return writer


def _of_item(one: Found, items: Mapping[str, Mapping[str, Packable]]) -> dict[str, Packable]:
    return {**items.get(os.fsdecode(one.name), {}), **items.get(str(one.path), {})}


def _done(
    vault: Vault, place: Path, bundle: Given, writer: SealWriter, which: str
) -> dict[str, object]:
    """Say what exists now; return it for JSON."""
    assert writer.event is not None
    people = People(vault)
    readers = list(vault.state.active("reader"))
    assert writer.sealed is not None
    number = writer.sealed.item_count
    size = sum(bundle.sizes)
    again = (
        "it was read back from the medium and matches"
        if writer.read_back
        else "it was read back and matches, though perhaps from this system's memory"
    )
    left = f" Recorded as omitted: {len(bundle.omitted)}." if bundle.omitted else ""
    shown = f"{count(number, 'item')} ({size_text(size)})"
    say(f"Sealed {shown} as bundle {writer.id.hex()[:12]}{which}.{left}")
    say(f"One copy exists, in {escape(str(place))}; {again}.")
    say(f"Only these readers can open it: {', '.join(people.shown(key) for key in readers)}.")
    say("Make a second copy of the vault, and keep it in another place.")
    return {
        "bundle": writer.id.hex(),
        "event": writer.event.seq,
        "items": number,
        "size": size,
        "read_back": writer.read_back,
        "omitted": [{"path": str(one.path), "because": one.why} for one in bundle.omitted],
        "readers": [people.record(key) for key in readers],
    }
