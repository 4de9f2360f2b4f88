"""What may be done in a vault and what comes of it, from the words of docs/spec.md alone.

:class:`Model` knows people by name and bundles by number. For each verb it says which rules forbid
it now (none: it must succeed), and, when it was done, what is so from then on. It knows nothing of
events, files or keys, and never asks the vault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["Bundle", "Model", "Release"]

_CUSTODIAN: Final = frozenset(("custodian",))
_WRITERS: Final[dict[str, frozenset[str]]] = {
    "custody.accepted": frozenset(("owner", "custodian", "reader")),
    "custody.declined": frozenset(("owner", "custodian", "reader")),
    "custody.assumed": frozenset(("owner",)),
    "destruction.approved": frozenset(("owner", "custodian")),
    "bundle.opened": frozenset(("custodian", "reader")),
    "bundle.noted": frozenset(("custodian", "reader")),
    "bundle.checked": frozenset(("custodian", "reader")),
    "vault.noted": frozenset(("owner", "custodian", "reader")),
    "vault.rekeyed": frozenset(("reader",)),
    "vault.policy": frozenset(("owner",)),
    "member.admitted": frozenset(("owner",)),
    "member.removed": frozenset(("owner",)),
}
"""Who may write what; what is not named here, custodians."""


@dataclass(slots=True)
class Release:
    """A release that was neither answered nor taken back; ``seq`` is its event's number."""

    seq: int
    to: str
    expires: int | None


@dataclass(slots=True)
class Bundle:
    """``epoch`` is the number of the one it was sealed to."""

    holder: str
    epoch: int
    release: Release | None = None
    interrupted: bool = False
    holds: list[bytes] = field(default_factory=list)
    request: tuple[int, str] | None = None
    approval: int | None = None
    destroyed: bool = False
    consent: tuple[str, int] | None = None


@dataclass(slots=True)
class Model:
    """The state; ``now`` is the time of the next event, in seconds."""

    roles: dict[str, frozenset[str]]
    now: int
    two: bool = False
    gone: set[str] = field(default_factory=set)
    bundles: list[Bundle] = field(default_factory=list)
    epochs: list[tuple[frozenset[str], bool]] = field(default_factory=list)

    def having(self, role: str) -> frozenset[str]:
        """Return who has a role now."""
        return frozenset(who for who, roles in self.roles.items() if role in roles)

    # --- who may ----------------------------------------------------------------------------

    def who(self, actor: str, verb: str) -> set[str]:
        """The rules about who writes, whatever it is about."""
        if actor in self.gone:
            return {"removed-member"}
        if actor not in self.roles:
            return {"not-a-member"}
        return set() if self.roles[actor] & _WRITERS.get(verb, _CUSTODIAN) else {"role"}

    def about(self, actor: str, verb: str, bundle: Bundle) -> set[str]:
        """The rules about who writes, and about what is gone."""
        late = {"destroyed"} if bundle.destroyed and verb != "bundle.noted" else set()
        return self.who(actor, verb) | late

    # --- roster -----------------------------------------------------------------------------

    def _owners(self, actor: str, whom: str) -> set[str]:
        """An owner is not unmade by herself, and never the last."""
        if whom not in self.having("owner"):
            return set()
        if self.having("owner") == {whom}:
            return {"last-owner"}
        return {"second-owner"} if actor == whom else set()

    def admit(self, actor: str, whom: str, roles: frozenset[str]) -> set[str]:
        broken = self.who(actor, "member.admitted")
        if whom in self.gone:
            broken.add("removed-key-returns")
        if "owner" not in roles:
            broken |= self._owners(actor, whom)
        if "reader" not in roles and self.having("reader") == {whom}:
            broken.add("last-reader")
        return broken

    def admitted(self, actor: str, whom: str, roles: frozenset[str], history: bool) -> None:
        before = self.having("reader")
        self.roles[whom] = roles
        newcomer = whom in self.having("reader") - before
        self._readers_changed(actor, before, history or not newcomer)

    def remove(self, actor: str, whom: str) -> set[str]:
        broken = self.who(actor, "member.removed")
        if whom not in self.roles:
            return broken | {"member-unknown"}
        if self.having("reader") == {whom}:
            broken.add("last-reader")
        return broken | self._owners(actor, whom)

    def removed(self, actor: str, whom: str) -> None:
        before = self.having("reader")
        del self.roles[whom]
        self.gone.add(whom)
        self._readers_changed(actor, before, True)

    def _readers_changed(self, actor: str, before: frozenset[str], history: bool) -> None:
        after = self.having("reader")
        if before != after:
            # Only who reads can pass on what opens the epochs before.
            self.epochs.append((after, history and actor in self.epochs[-1][0]))

    def opens(self, who: str, epoch: int) -> bool:
        """Whether somebody can open what is encrypted to an epoch: a file of that one or of a later
        one, which goes back so far, was made for her.
        """
        for number in range(epoch, len(self.epochs)):
            if number > epoch and not self.epochs[number][1]:
                return False
            if who in self.epochs[number][0]:
                return True
        return False

    # --- custody ----------------------------------------------------------------------------

    def _open(self, bundle: Bundle) -> Release | None:
        """The release that still stands: one that expired is none to a writer of anything new."""
        release = bundle.release
        expired = release is not None and release.expires is not None and self.now > release.expires
        return None if expired else release

    def release(self, actor: str, bundle: Bundle, to: str) -> set[str]:
        broken = self.about(actor, "custody.released", bundle)
        if actor != bundle.holder:
            broken.add("holder")
        if self._open(bundle) is not None:
            broken.add("release-open")
        if bundle.interrupted:
            broken.add("interrupted")
        if to == actor or to not in self.roles:
            broken.add("release-to")
        return broken

    def answer(self, actor: str, verb: str, bundle: Bundle, seq: int) -> set[str]:
        """Accepting and declining."""
        broken = self.about(actor, verb, bundle)
        accepting = verb == "custody.accepted"
        if accepting and bundle.interrupted:
            broken.add("interrupted")
        if bundle.release is None or bundle.release.seq != seq:
            return broken | {"release-unknown"}
        if bundle.release.to != actor:
            broken.add("recipient")
        if accepting and self._open(bundle) is None:
            broken.add("release-expired")
        return broken

    def recall(self, actor: str, bundle: Bundle, seq: int) -> set[str]:
        broken = self.about(actor, "custody.recalled", bundle)
        if bundle.release is None or bundle.release.seq != seq:
            return broken | {"release-unknown"}
        return broken | ({"holder"} if actor != bundle.holder else set())

    def assume(self, actor: str, bundle: Bundle) -> set[str]:
        """Where the holder can't hand it on: removed, no custodian, or interrupted."""
        answers = bundle.holder in self.having("custodian") and not bundle.interrupted
        return self.about(actor, "custody.assumed", bundle) | (
            {"holder-answers"} if answers else set()
        )

    def takes(self, actor: str, bundle: Bundle) -> None:
        """By acceptance or assumption; what the holder before asked for ends."""
        bundle.holder, bundle.release = actor, None
        bundle.request = bundle.approval = None

    def interrupt(self, actor: str, bundle: Bundle, begins: bool) -> set[str]:
        broken = self.about(actor, "custody.interrupted", bundle)
        return broken | ({"interruption"} if bundle.interrupted == begins else set())

    # --- destruction ------------------------------------------------------------------------

    def request(self, actor: str, bundle: Bundle) -> set[str]:
        broken = self.about(actor, "destruction.requested", bundle)
        return broken | ({"hold"} if bundle.holds else set())

    def approve(self, actor: str, bundle: Bundle, seq: int) -> set[str]:
        broken = self.about(actor, "destruction.approved", bundle)
        if bundle.request is None or bundle.request[0] != seq:
            return broken | {"request-unknown"}
        return broken | ({"own-request"} if bundle.request[1] == actor else set())

    def destroy(self, actor: str, bundle: Bundle) -> set[str]:
        broken = self.about(actor, "bundle.destroyed", bundle)
        if actor != bundle.holder:
            broken.add("holder")
        if bundle.holds:
            broken.add("hold")
        if self._open(bundle) is not None:
            broken.add("release-open")
        if self.two and (bundle.request is None or bundle.approval is None):
            broken.add("two-person")
        return broken

    # --- opening ----------------------------------------------------------------------------

    def look(self, actor: str, bundle: Bundle, use: str, authority: bool) -> set[str]:
        """The rules for who can open the bundle at all: consent counts as far as it can be read."""
        broken = self.about(actor, "bundle.opened", bundle)
        if authority or bundle.consent is None or not self.opens(actor, bundle.consent[1]):
            return broken
        status = bundle.consent[0]
        if status in ("refused", "withdrawn"):
            broken.add("consent-withdrawn")
        if status == "limited" and use != "trial":
            broken.add("consent-use")
        return broken
