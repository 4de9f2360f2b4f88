"""What shows of a vault without a key (``show --as-seized``), as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evault_cli.exposure_words import HIDDEN, NOT_LOOKED_AT
from evault_cli.render import (
    count,
    escape,
    fingerprint,
    out,
    pairs,
    paragraph,
    short,
    size_text,
    table,
    utc,
)
from evault_cli.words import EVENTS, RULES, finding

if TYPE_CHECKING:
    from vault.codec import Value
    from vault.event import Event
    from vault.exposed import Exposure, Handover, Span, StoredFile, Worker

__all__ = ["print_exposure"]

_ROOMS: Final = {
    "format": "the mark of a vault",
    "log": "the log",
    "bundles": "bundles",
    "fields": "private fields",
    "keys": "readers' keys",
    "foreign": "what others wrote",
    "lock": "the lock",
    "tmp": "unfinished work",
    "strangers": "not of a vault",
}
_CONTENTS: Final = {
    "age": "encrypted (age)",
    "other": "NOT encrypted: anyone can read it",
    "empty": "empty",
}
_SHORT: Final = 8


def _key_text(found: Exposure, key: bytes) -> str:
    known = found.history.keys.get(key)
    return short(known.fingerprint) if known is not None else f"key {short(key)}"


def _span_text(span: Span | None) -> str:
    if span is None:
        return "not known"
    return f"{size_text(span.low)} to {size_text(span.high)}"


def _event(found: Exposure, seq: int) -> Event:
    # Roster and bundles are followed only as far as the events have no gap.
    return found.history.events[seq]


def _receiver(found: Exposure, handover: Handover) -> bytes:
    to = _event(found, handover.release).data["to"]
    assert isinstance(to, bytes)
    return to


def print_exposure(found: Exposure, home: Path, traces: Iterable[Path]) -> None:
    """Write everything as text; ``traces`` are what this machine keeps outside of the vault."""
    paragraph(
        f"What {escape(found.place)} shows to whoever finds it and has no key. It is read as it "
        "lies there, and not checked: `evault verify` does that. --json has every digest and key."
    )
    # What most people need to know comes before the lists that prove it.
    _head("What that tells")
    for sentence in _inferred(found):
        paragraph(f"- {sentence}")
    _head("What does not show")
    for text in HIDDEN.values():
        paragraph(f"- {text}")
    _print_vault(found)
    _print_members(found)
    _print_bundles(found)
    _print_events(found)
    _print_files(found)
    _head("On this machine, outside of the vault")
    _print_machine(home, [*traces])
    _head("What was not looked at, and may tell more")
    for text in NOT_LOOKED_AT.values():
        paragraph(f"- {text}")


def _head(text: str) -> None:
    out()
    out(text.upper())


def _print_vault(found: Exposure) -> None:
    history = found.history
    state, head = history.state, history.checkpoint
    policy = state.policy
    _head("The log")
    rows = [("Vault", fingerprint(history.vault) if history.vault is not None else "not known")]
    if head is not None:
        size = count(head.checkpoint.size, "event")
        rows.append(("Checkpoint", f"{size}, root {head.checkpoint.root.hex()}"))
    if history.pending is not None:
        size = count(history.pending.checkpoint.size, "event")
        rows.append(("Unfinished", f"a checkpoint of {size}"))
    if state.size:
        two = "two persons" if policy.two_person_destroy else "one person"
        rows.append(("Policy", f"times to {count(policy.clock, 'second')}; {two} to destroy"))
    for one in state.epochs.values():
        text = f"{one.id.hex()}, event {one.seq}, read by "
        text += ", ".join(_key_text(found, key) for key in state.members if key in one.readers)
        rows.append(("Readers' key", text + ("" if one.history else ", not what was before it")))
    pairs(rows)
    for trouble in found.trouble:
        detail = f" ({escape(trouble.detail)})" if trouble.detail else ""
        paragraph(f"{escape(trouble.place)}: {finding(trouble.code)[0]}{detail}")


def _print_files(found: Exposure) -> None:
    _head("The directory")
    rooms = []
    for room, words in _ROOMS.items():
        files = [one for one in found.files if one.room == room and one.kind != "directory"]
        if files:
            size = size_text(sum(one.size for one in files))
            rooms.append((room, words, f"{len(files):,}", size))
    table(("Room", "What it is", "Files", "Together"), rooms)
    out()
    rows = []
    for file in found.files:
        seq, status = found.logged.get(file.name), file.status
        rows.append(
            (
                escape(file.name) + ("/" if file.kind == "directory" else ""),
                f"{file.size:,}" if file.kind == "file" else "",
                utc(status.modified // 10**9) if status is not None else "",
                utc(status.accessed // 10**9) if status is not None else "",
                str(status.owner) if status is not None else "",
                f"event {seq}" if seq is not None else "",
                _file_note(file),
            )
        )
    table(("Name", "Bytes", "Modified", "Read", "User", "Of", "Remarks"), rows)
    for old, new in found.replaced.items():
        out(f"{new} took the place of {old}")


def _file_note(file: StoredFile) -> str:
    if file.kind == "link":
        return f"a link to {escape(file.target)}"
    return "neither a file nor a directory" if file.kind == "other" else _begins(file)


def _begins(file: StoredFile) -> str:
    return _CONTENTS.get(file.content, "") if file.kind == "file" else ""


def _print_members(found: Exposure) -> None:
    members = found.history.state.members.values()
    if not members:
        return
    _head("The members, by the fingerprint of their keys")
    rows = []
    for member in members:
        admitted = _event(found, member.admitted)
        rows.append(
            (
                short(member.keys.fingerprint),
                ", ".join(sorted(member.roles)),
                _when(found, admitted.seq),
                _when(found, member.removed) if member.removed is not None else "",
                f"event {member.doubtful_from}" if member.doubtful_from is not None else "",
            )
        )
    table(("Member", "Roles", "Admitted", "Removed", "Doubtful from"), rows)


def _when(found: Exposure, seq: int) -> str:
    event = _event(found, seq)
    return f"event {seq}, {utc(event.time)}, by {_key_text(found, event.actor)}"


def _print_bundles(found: Exposure) -> None:
    for bundle in found.history.bundles:
        state = bundle.state
        out()
        out(f"BUNDLE {state.id.hex()}")
        rows = [
            ("Sealed", _when(found, state.seq)),
            ("Stored", f"{state.size:,} bytes in {count(len(state.parts), 'part')}"),
            ("Archive", f"{_span_text(bundle.archive)}: the evidence with its lists"),
            ("Holder", _key_text(found, state.holder)),
        ]
        rows += [("Hold", hold.hex()) for hold in sorted(state.holds)]
        rows += [("Interrupted", "nobody answers for it now")] if state.interrupted else []
        for one in bundle.handovers:
            to = _key_text(found, _receiver(found, one))
            end = "not ended"
            if one.end is not None:
                ended = _event(found, one.end)
                word = EVENTS[ended.type]
                end = f"{'expired' if ended.type == 'custody.released' else word}, event {one.end}"
            rows.append(("Released", f"{_when(found, one.release)}, to {to}; {end}"))
        rows += [
            (_CHAIN[event.type], _when(found, event.seq))
            for event in (_event(found, seq) for seq in state.chain)
            if event.type in _CHAIN
        ]
        pairs(rows)


_CHAIN: Final = {
    "bundle.opened": "Opened",
    "bundle.destroyed": "Destroyed",
    "consent.recorded": "Consent",
}


def _print_events(found: Exposure) -> None:
    if not found.history.events:
        return
    _head("The events, with the times that they claim")
    broken = found.history.broken
    rows = []
    for event in found.history.events:
        said = [
            f"{name} {text}"
            for name, value in event.data.items()
            if (text := _said(found, name, value))
        ]
        span = found.history.notes.get(event.seq)
        said += [f"private text of {_span_text(span)}"] if span is not None else []
        said += [f"breaks a rule: {RULES.get(rule, rule)}" for rule in broken.get(event.seq, ())]
        rows.append(
            (
                str(event.seq),
                utc(event.time),
                EVENTS.get(event.type, event.type),
                _key_text(found, event.actor),
                event.bundle.hex()[:_SHORT] if event.bundle is not None else "",
                "; ".join(said),
            )
        )
    table(("Event", "Time", "What", "By", "Bundle", "Says"), rows)


_NUMBERS_OF_BYTES: Final = 32


def _said(found: Exposure, name: str, value: Value) -> str:
    """Return a public value in words; nothing for long keys, which are in JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return utc(value) if name == "expires" else str(value)
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bytes):
        if value in found.history.keys:
            return _key_text(found, value)
        return value.hex() if len(value) <= _NUMBERS_OF_BYTES else ""
    if isinstance(value, dict):
        if "ed25519" in value:
            return _said(found, name, value["ed25519"])
        return ", ".join(f"{key} {_said(found, key, one)}" for key, one in value.items())
    return ", ".join(filter(None, (_said(found, name, one) for one in value)))


# --- what it tells ------------------------------------------------------------------------------


def _inferred(found: Exposure) -> list[str]:
    history = found.history
    members = history.state.members.values()
    clock = history.state.policy.clock
    sentences = []
    if members:
        now = [one for one in members if one.active]
        readers = sum("reader" in one.roles for one in now)
        sentences.append(
            f"{count(len(members), 'key')} ever belonged to it, {len(now)} do now; "
            f"{count(readers, 'key')} can read. The same keys in another vault are the same "
            "person; a card with one of them on it names that person."
        )
    sentences += [_worker_text(found, worker) for worker in history.workers]
    if clock > 1:
        sentences.append(
            f"The log's times are to {count(clock, 'second')} only; the files' own are finer."
        )
    kinds = Counter(event.type for event in history.events)
    sentences += [
        text.format(count(kinds[kind], *words)) for kind, words, text in _TOLD if kinds[kind]
    ]
    if history.bundles:
        stored = size_text(sum(bundle.state.size for bundle in history.bundles))
        sentences.append(
            f"How much was sealed: {stored} in {count(len(history.bundles), 'bundle')}, each known "
            "to within about 12 %. Small ones look alike."
        )
    readable = [file for file in found.files if file.content == "other"]
    if readable:
        sentences.append(
            f"{count(len(readable), 'file')} here can be read by anyone: see NOT encrypted above."
        )
    if any(file.status is not None for file in found.files):
        sentences.append(
            "The files' own times say when each was written and last read, by this file system's "
            "clock, whatever the log claims; their owners' numbers say which user it was."
        )
    return sentences


_TOLD: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("bundle.opened", ("time",), "Evidence was opened {}, by the keys and at the times above."),
    ("custody.accepted", ("handover",), "{} from one key to another took place."),
    ("custody.assumed", ("time",), "Custody was taken over {} without the holder's signature."),
    ("custody.interrupted", ("statement",), "{} about a seizure, a loss or a return."),
    ("member.removed", ("member",), "{} removed; the cause does not show."),
    ("hold.placed", ("hold",), "{} placed: somebody forbade destruction."),
    ("bundle.destroyed", ("bundle",), "{} destroyed, by whom and when; not why."),
    (
        "consent.recorded",
        ("statement",),
        "{} about consent recorded apart from sealing. What it says does not show, but that "
        "something was said again may mean that it was limited or withdrawn.",
    ),
    ("vault.rekeyed", ("step",), "{} of encrypting keys again: somebody was to read no longer."),
    ("epoch.shredded", ("time",), "Readers' keys were destroyed {}, by whom and when; not why."),
)


def _worker_text(found: Exposure, worker: Worker) -> str:
    busy = [hour for hour, number in enumerate(worker.hours) if number]
    hours = ", ".join(f"{hour:02}" for hour in busy)
    text = (
        f"Whoever holds {_key_text(found, worker.key)} wrote {count(worker.events, 'event')} on "
        f"{count(worker.days, 'day')}, from {utc(worker.first)} to {utc(worker.last)}, in "
        f"these hours of the day (UTC): {hours}"
    )
    if worker.bundles:
        text += f"; sealed {count(worker.bundles, 'bundle')}, {size_text(worker.stored)} stored"
    return f"{text}."


def _print_machine(home: Path, traces: list[Path]) -> None:
    if not traces:
        paragraph(f"Nothing of this vault, and no identity, in {escape(str(home))}.")
        return
    for path in traces:
        out(escape(str(path)))
    paragraph(
        "These say that this machine, and whoever uses it, worked with this vault; the identity "
        "file is under its passphrase. `evault forget` removes them."
    )
