"""What an audit has to say: findings, anchors, a verdict. Data only; text is made at the rim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

__all__ = [
    "Anchor",
    "Coverage",
    "Finding",
    "Former",
    "History",
    "Report",
    "Severity",
    "Verdict",
    "verdict_of",
]

Severity: TypeAlias = Literal["contradicted", "altered", "note"]
Verdict: TypeAlias = Literal["contradicted", "altered", "intact"]

_Id: TypeAlias = bytes  # a field of Coverage goes by that name
_ORDER: Final = ("contradicted", "altered", "note")


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. ``code`` is stable; ``place`` is a file or an event.

    ``altered``: stored bytes are missing or differ from what was signed. ``contradicted``: validly
    signed records break a rule, or contradict one another or a pin. ``note``: worth knowing.
    """

    code: str
    severity: Severity
    place: str
    detail: str = ""


@final
@dataclass(frozen=True, slots=True)
class Anchor:
    """Something outside the vault that it was, or was not, held against.

    ``status`` is ``matched``, ``failed`` or ``absent``.
    """

    kind: Literal["vault-id", "pin", "checkpoint", "history", "cosigners", "timestamps"]
    status: Literal["matched", "failed", "absent"]
    detail: str = ""


@final
@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at: counts, bytes, and whether private contents were (``deep``).

    ``destroyed`` of the ``bundles`` are gone by an event. ``since`` is the size of the log at the
    audit that this one trusts, 0 for a full one; and ``evidence_read`` when every file was last
    read, in UTC seconds, where it trusts one. ``chosen`` are the bundles whose files alone were
    read, beside those of no bundle (None: all); of the others' files only the sizes are known.
    """

    events: int = 0
    files: int = 0
    bytes: int = 0
    bundles: int = 0
    deep: bool = False
    unreadable: int = 0
    since: int = 0
    evidence_read: int | None = None
    destroyed: int = 0
    chosen: tuple[_Id, ...] | None = None


@final
@dataclass(frozen=True, slots=True)
class Former:
    """A member of a vault, by fingerprint, and what they were in the vault that it continues.

    ``roles`` are those where the new vault takes over (none: they were not on that roster), and
    ``removed`` is the event by which the old vault removed them, then or since.
    """

    fingerprint: bytes
    roles: tuple[str, ...]
    removed: int | None = None


@final
@dataclass(frozen=True, slots=True)
class History:
    """What a vault says in its first event that it continues: the first ``size`` events of
    ``vault``, whose RFC 6962 root is ``root``.

    Where a copy of that vault was given and shows those events, ``report`` is its own audit,
    ``members`` says of every member of the new vault what they were in the old one, and
    ``by_owner`` whether who made the new one was an owner of the old one and was not removed.
    Otherwise they are None, () and None; ``by_owner`` is None also where that can't be told.
    """

    vault: bytes
    size: int
    root: bytes
    reason: str
    report: Report | None = None
    members: tuple[Former, ...] = ()
    by_owner: bool | None = None


@final
@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit. ``size`` and ``root`` are those of the log as far as it verified;
    ``vault`` is None where not even genesis could be read, ``history`` where it continues none.
    """

    verdict: Verdict
    vault: bytes | None
    size: int
    root: bytes | None
    findings: tuple[Finding, ...]
    anchors: tuple[Anchor, ...]
    coverage: Coverage
    history: History | None = None


def verdict_of(findings: list[Finding]) -> Verdict:
    """Return the worst that the findings say."""
    severities = {finding.severity for finding in findings}
    if "contradicted" in severities:
        return "contradicted"
    return "altered" if "altered" in severities else "intact"


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings worst first, otherwise as they were found, each once."""
    return tuple(
        sorted(dict.fromkeys(findings), key=lambda finding: _ORDER.index(finding.severity))
    )
