"""``evault destroy``: ask for it, approve it, do it; what remains then, and where copies may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evault_cli import prompt
from evault_cli.many import VAULT, stated
from evault_cli.people import People, bundle_of
from evault_cli.refusal import MEDIUM, STATE, RefusedError
from evault_cli.render import count, emit_json, escape, out, pairs, paragraph, say, utc
from evault_cli.session import Session, circumstance_options, vault_options

if TYPE_CHECKING:
    from vault import BundleState, Vault
    from vault.codec import Packable
    from vault.destruction import Destruction, NextStep, Trace

__all__ = ["destroy_command"]

_TYPED: Final = 8
_MOST_SHOWN: Final = 20
_TRACES: Final = {
    "accepted": "taken over, perhaps with its medium, by {who}",
    "disclosed": "disclosed by {who}",
    "opened": "opened into a folder by {who}",
    "released": "released, perhaps with its medium, by {who} to {to}",
}
_ALWAYS: Final = {
    "copies": "Other copies of this vault, and backups of it.",
    "sources": "The files that it was sealed from.",
    "unrecorded": "Folders that it was opened into with --unrecorded, or with other software.",
    "medium": "This medium: what is deleted may stay in a flash memory or a disk for long.",
}
_NEXT: Final[dict[NextStep, str]] = {
    "request": "This vault wants two persons for it. Ask for it first: `evault destroy VAULT "
    "BUNDLE --request --authority TEXT --reason TEXT`.",
    "approve": "It was asked for, and nobody has approved it yet: another custodian, or an owner, "
    "does so with `evault destroy VAULT BUNDLE --approve`.",
}


@click.command("destroy")
@VAULT
@click.argument("bundle", metavar="BUNDLE")
@click.option("--authority", metavar="TEXT", help="By what authority, such as a court's order.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--request", "request", is_flag=True, help="Only ask for it.")
@click.option("--approve", "approve", is_flag=True, help="Approve what another asked for.")
@click.option("--yes", is_flag=True, help="Do not ask at the terminal.")
@circumstance_options
@vault_options
@click.pass_obj
def destroy_command(
    session: Session,
    path: Path,
    bundle: str,
    authority: str | None,
    reason: str | None,
    request: bool,
    approve: bool,
    yes: bool,
) -> None:
    """Destroy a bundle that you hold: its evidence, its keys, and what is said of it in private.

    The log keeps that it was there, who held it and who destroyed it; authority and reason stay for
    the vault's readers. Nobody can take it back. A vault may want two persons for it: then one asks
    with --request, and another approves with --approve.
    """
    if request and approve:
        raise RefusedError("--request and --approve exclude each other: nobody approves his own.")
    if not approve and (authority is None or reason is None):
        raise RefusedError("Say by what authority and why: --authority TEXT and --reason TEXT.")
    fields = stated(session, {"authority": authority, "reason": reason})
    if not (request or approve or yes or prompt.can_ask()):
        raise RefusedError(
            "Destroying can't be undone, and there is no terminal to ask at: add --yes to do it."
        )
    identity = session.identity()
    with session.vault(path, identity) as vault:
        known = bundle_of(vault, bundle)
        if request:
            _request(session, vault, known, fields)
        elif approve:
            _approve(session, vault, known, fields)
        else:
            _destroy(session, vault, known, fields, yes=yes)


def _request(
    session: Session, vault: Vault, bundle: BundleState, fields: dict[str, Packable]
) -> None:
    from vault.destruction import request_destruction

    event = request_destruction(vault, bundle.id, fields=fields)
    _emit(session, vault, bundle, event.seq)
    say(f"Asked for, as event {event.seq}. Nothing is deleted. {_NEXT['approve']}")


def _approve(
    session: Session, vault: Vault, bundle: BundleState, fields: dict[str, Packable]
) -> None:
    from vault.destruction import approve_destruction
    from vault.looking import fields_of

    if bundle.request is None:
        raise RefusedError(
            f"Nobody has asked for the destruction of {bundle.id.hex()[:_TYPED]}.", STATE
        )
    asked = vault.event(bundle.request[0])
    seen, people = fields_of(vault, asked), People(vault)
    who = people.shown(asked.actor)
    say(f"Asked for by {who}, event {asked.seq}, {utc(asked.time)}:")
    for name in ("authority", "reason"):
        say(f"  {name}: {escape(seen.text(name)) or f'[{seen.state}]'}")
    event = approve_destruction(vault, bundle.id, asked.seq, fields=fields)
    _emit(session, vault, bundle, event.seq)
    say(
        f"Approved, as event {event.seq}. Nothing is deleted until the holder, "
        f"{people.shown(bundle.holder)}, destroys it: `evault destroy VAULT BUNDLE`."
    )


def _emit(session: Session, vault: Vault, bundle: BundleState, seq: int) -> None:
    if session.json:
        emit_json({"vault": vault.id.hex(), "bundle": bundle.id.hex(), "event": seq})
    else:
        out(str(seq))


# --- doing it -------------------------------------------------------------------------------------


def _destroy(
    session: Session,
    vault: Vault,
    bundle: BundleState,
    fields: dict[str, Packable],
    *,
    yes: bool,
) -> None:
    from vault.destruction import destroy, next_step

    step = next_step(vault, bundle)
    if step in _NEXT:
        raise RefusedError(f"Nothing was destroyed. {_NEXT[step]}", STATE)
    if not yes and step != "nothing":
        _ask(bundle)
    done = destroy(vault, bundle.id, fields=fields)
    people = People(vault)
    if session.json:
        emit_json(_record(vault, done, people))
    else:
        _show(done, people)
    _say_left(done)


def _ask(bundle: BundleState) -> None:
    digits = bundle.id.hex()[:_TYPED]
    say(f"This destroys bundle {bundle.id.hex()}. Nobody can take it back.")
    typed: str = click.prompt(
        f"Type its first {_TYPED} digits", default="", show_default=False, err=True
    )
    if typed.strip().lower() != digits:
        raise RefusedError("Those are not its digits. Nothing was destroyed.")


def _show(done: Destruction, people: People) -> None:
    event = done.event
    others = ", ".join(str(seq) for seq in done.events)
    pairs(
        [
            ("Destroyed", done.bundle.id.hex()),
            ("Event", f"{event.seq}, {utc(event.time)}, {people.shown(event.actor)}"),
            ("Deleted", count(done.deletion.deleted, "file")),
        ]
    )
    out()
    out("What remains in this vault:")
    out(f"  Events {others} of its chain: who did what and when, sizes and digests.")
    said = ", ".join(str(seq) for seq in done.stated)
    out(f"  Authority and reason, for readers: with event {said}.")
    out()
    out("Where copies may be:")
    for trace in done.traces[:_MOST_SHOWN]:
        out(f"  Event {trace.seq}, {utc(trace.time)}: {_trace(trace, people)}.")
    if len(done.traces) > _MOST_SHOWN:
        out(f"  and {len(done.traces) - _MOST_SHOWN} more; --json lists all")
    for text in _ALWAYS.values():
        out(f"  {text}")
    if done.epochs:
        out()
        paragraph(
            "The vault's readers can still open a copy of what was deleted. To end that: "
            + ", ".join(f"`evault rekey VAULT --shred-epoch {one.hex()}`" for one in done.epochs)
            + "."
        )


def _trace(trace: Trace, people: People) -> str:
    to = people.shown(trace.to) if trace.to is not None else ""
    return _TRACES[trace.kind].format(who=people.shown(trace.who), to=to)


def _record(vault: Vault, done: Destruction, people: People) -> dict[str, object]:
    return {
        "vault": vault.id.hex(),
        "bundle": done.bundle.id.hex(),
        "event": done.event.seq,
        "deleted": done.deletion.deleted,
        "undeleted": list(done.deletion.undone),
        "remains": {"events": list(done.events), "stated": list(done.stated)},
        "elsewhere": {
            "events": [
                {
                    "kind": trace.kind,
                    "event": trace.seq,
                    "time": utc(trace.time),
                    "by": people.record(trace.who),
                    "to": people.record(trace.to) if trace.to is not None else None,
                }
                for trace in done.traces
            ],
            "always": list(_ALWAYS),
        },
        "leftovers": list(done.deletion.leftovers),
        "epochs": [epoch.hex() for epoch in done.epochs],
    }


def _say_left(done: Destruction) -> None:
    leftovers, undone = done.deletion.leftovers, done.deletion.undone
    if leftovers:
        say(
            f"{count(len(leftovers), 'file')} in this vault that no event calls for: interrupted "
            "work may have left private fields there, of this bundle too. `evault doctor` names "
            "them."
        )
    if undone:
        raise RefusedError(
            f"The bundle is destroyed, event {done.event.seq}; {count(len(undone), 'file')} could "
            f"not be deleted yet, such as {escape(undone[0])}. The next one who writes deletes "
            "them, and so does `evault doctor`.",
            MEDIUM,
        )
