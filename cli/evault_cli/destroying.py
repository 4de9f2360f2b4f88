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
    "does so with `evault destroy VAULT BUNDLE --approve --authority TEXT --reason TEXT`.",
}
_DO: Final = "`evault destroy VAULT BUNDLE --authority TEXT --reason TEXT`"


@click.command("destroy")
@VAULT
@click.argument("bundle", metavar="BUNDLE")
@click.option("--authority", metavar="TEXT", help="By what authority, such as a court's order.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--request", "request", is_flag=True, help="Only ask for it.")
@click.option("--approve", "approve", is_flag=True, help="Approve what another asked for.")
@click.option(
    "--incomplete",
    is_flag=True,
    help="Even if a list of re-encrypted files is damaged: private fields may stay behind.",
)
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
    incomplete: bool,
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
    if len(bundle.strip()) < _TYPED:
        raise RefusedError(f"Give at least {_TYPED} digits of the id: another bundle may begin so.")
    identity = session.identity()
    with session.vault(path, identity) as vault:
        known = bundle_of(vault, bundle)
        if request:
            _request(session, vault, known, fields)
        elif approve:
            _approve(session, vault, known, fields)
        else:
            _destroy(session, vault, known, fields, incomplete=incomplete, yes=yes)


def _request(
    session: Session, vault: Vault, bundle: BundleState, fields: dict[str, Packable]
) -> None:
    from vault.destruction import request_destruction

    event = request_destruction(vault, bundle.id, fields=fields)
    _emit(session, vault, bundle, event.seq)
    step = session.filled(_NEXT["approve"], bundle.id)
    say(f"Asked for, as event {event.seq}. Nothing is deleted. {step}")


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
        f"{people.shown(bundle.holder)}, destroys it: {session.filled(_DO, bundle.id)}."
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
    incomplete: bool,
    yes: bool,
) -> None:
    from vault.destruction import destroy, next_step

    step = next_step(vault, bundle)
    if step in _NEXT:
        hint = session.filled(_NEXT[step], bundle.id)
        raise RefusedError(f"Nothing was destroyed. {hint}", STATE)
    if not yes and step != "nothing":
        _ask(vault, bundle)
    done = destroy(vault, bundle.id, fields=fields, incomplete=incomplete)
    people = People(vault)
    if session.json:
        emit_json(_record(vault, done, people))
    else:
        _show(session, done, people)
    _say_left(done)


def _ask(vault: Vault, bundle: BundleState) -> None:
    from vault.looking import fields_of

    people, seen = People(vault), fields_of(vault, vault.event(bundle.seq))
    say(f"This destroys bundle {bundle.id.hex()}. Nobody can take it back.")
    if seen.state == "open":
        say(f"  title: {escape(seen.text('title')) or 'none'}")
    say(f"  holder: {people.shown(bundle.holder)}")
    if bundle.request is not None:
        say(f"  requested by: {people.shown(vault.event(bundle.request[0]).actor)}")
    if bundle.approval is not None:
        say(f"  approved by: {people.shown(vault.event(bundle.approval).actor)}")
    if not prompt.typed(bundle.id.hex()[:_TYPED]):
        raise RefusedError("Those are not its digits. Nothing was destroyed.")


def _show(session: Session, done: Destruction, people: People) -> None:
    event = done.event
    others = ", ".join(str(seq) for seq in done.events)
    pairs(
        [
            ("Destroyed", done.bundle.id.hex()),
            ("Event", f"{event.seq}, {utc(event.time)}, {people.shown(event.actor)}"),
            ("Deleted", count(done.deletion.deleted, "file")),
            *(
                [("Cleared", f"{count(done.cleared, 'file')} of interrupted work")]
                * bool(done.cleared)
            ),
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
            + ", ".join(
                session.filled(f"`evault rekey VAULT --shred-epoch {one.hex()}`")
                for one in done.epochs
            )
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
        "withheld": list(done.deletion.withheld),
        "unread": list(done.deletion.unread),
        "cleared": done.cleared,
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
    withheld, unread = done.deletion.withheld, done.deletion.unread
    if unread:
        say(
            f"Private fields of this bundle may have stayed: {count(len(unread), 'list')} of "
            f"re-encrypted files can't be read, such as {escape(unread[0])}. Once it is put back "
            "from a good copy, `evault doctor` deletes them."
        )
    if withheld:
        say(
            f"Not deleted: {count(len(withheld), 'other file')} that should be gone, such as "
            f"{escape(withheld[0])}: what took its place, or what else it opens, is damaged. "
            "`evault verify` says what."
        )
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
