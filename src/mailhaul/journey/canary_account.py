"""What canary mail has shown: findings, figures, and what speaks against a switch.

Everything is read from rows and judged anew; nothing here asks a server.
"""

# ruff: noqa: PLC0415 - what speaks SMTP is imported where there are answers to be judged.

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailhaul.canary.routes import Act, Via
from mailhaul.canary.watch import Side
from mailhaul.core.finding import Finding, Severity
from mailhaul.journey.canary_rows import CanaryRow, Stage, canaries_of
from mailhaul.journey.canary_wants import UNSEEN, era_of
from mailhaul.journey.domains import DomainRow, domains
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.states import ENDED

if TYPE_CHECKING:
    from mailhaul.canary.judging import Judged
    from mailhaul.canary.probe import Probes
    from mailhaul.canary.send import Sent
    from mailhaul.canary.smtp import Reached

_ASKED_OF = (Via.NEW, Via.FILTER)
"""Whose answers decide whether mail may be switched."""
_OPEN = (*UNSEEN, "not now", "no answer in time")


@dataclass(frozen=True, slots=True)
class CanaryFigures:
    """Canary mail of a domain, or of several (`domain` empty), in its present era: before the
    switch or since. Probes are counted by what the new system's host (or the filter) says, messages
    by where they came out; those by the old host apart. `left` lie in a mailbox still; `seconds`
    are the delays of those that arrived in the new mailbox by the MX of now, the shortest first."""

    domain: str = ""
    switched: bool = False
    wanted: int = 0
    """Addresses that are to be asked about."""
    asked: int = 0
    accepted: int = 0
    refused: int = 0
    sent: int = 0
    arrived: int = 0
    at_old: int = 0
    lost: int = 0
    bounced: int = 0
    under_way: int = 0
    unsent: int = 0
    by_old: int = 0
    """Messages that the old host was given."""
    by_old_at_old: int = 0
    """Of these, those that it delivered into the old mailbox."""
    by_old_at_new: int = 0
    left: int = 0
    seconds: tuple[float, ...] = ()

    @property
    def middle(self) -> float | None:
        """The median delay."""
        return self.seconds[len(self.seconds) // 2] if self.seconds else None


@dataclass(frozen=True, slots=True)
class CanaryShown:
    """One probe or message, and what was found by it; the worst finding first."""

    row: CanaryRow
    seconds: float | None
    findings: tuple[Finding, ...]


def canary_figures(connection: Connection, plan: PlanRow) -> list[CanaryFigures]:
    """Of each domain of the plan; none where it has no canary mail and never had any."""
    rows = canaries_of(connection, plan.id)
    on = plan.plan.canary is not None and plan.plan.canary.on
    if not (rows or on):
        return []
    return [
        _figures(each, [row for row in rows if row.domain == each.id])
        for each in domains(connection, plan.id)
    ]


def canary_total(every: Sequence[CanaryFigures]) -> CanaryFigures | None:
    """All of them together; None without any."""
    if not every:
        return None
    counts = {
        each.name: sum(getattr(one, each.name) for one in every)
        for each in fields(CanaryFigures)
        if each.name not in ("domain", "switched", "seconds")
    }
    seconds = tuple(sorted(second for one in every for second in one.seconds))
    return CanaryFigures(switched=any(one.switched for one in every), seconds=seconds, **counts)


def canary_list(connection: Connection, plan: PlanRow) -> list[CanaryShown]:
    """Every probe and message of the plan, the newest era of each domain last."""
    return [canary_shown(row) for row in canaries_of(connection, plan.id)]


def canary_counts(
    connection: Connection, plan: PlanRow, mailboxes: Collection[int]
) -> dict[str, tuple[int, int]]:
    """Of these mailboxes' newest probes and messages how many were good, of how many that have
    been answered, or have been missed: for the runbook. What the old host says does not count."""
    newest: dict[tuple[int, Act], CanaryRow] = {}
    for row in canaries_of(connection, plan.id):
        if row.mailbox in mailboxes and row.via is not Via.OLD:
            newest[row.mailbox, row.kind] = row
    found = {}
    for name, kind, good in (("probe", Act.ASK, "accepted"), ("message", Act.SEND, "arrived")):
        told = [row.outcome for (_, each), row in newest.items() if each is kind]
        told = [each for each in told if each not in _OPEN]
        found[name] = (told.count(good), len(told))
    return found


def canary_doubts(connection: Connection, plan: PlanRow, zone: DomainRow) -> list[str]:
    """What canary mail says against switching the domain now, as sentences: whom the new system
    refuses, who has not been asked about. Nothing where the plan wants none."""
    canary, era = plan.plan.canary, era_of(zone)
    if canary is None or not canary.on or era is None:
        return []
    rows = [
        row
        for row in canaries_of(connection, plan.id, domain=zone.id)
        if row.era == era
        and row.kind is Act.ASK
        and row.via in _ASKED_OF
        and row.person not in ENDED
    ]
    found = [
        f"{each.evidence}; {each.remedy}" if each.remedy else each.evidence
        for each in probe_findings(rows)
        if each.severity is Severity.BLOCKS
    ]
    unasked = [row.address for row in rows if not row.verdict]
    if unasked or not rows:
        who = f"{len(unasked)} of {len(rows)} addresses are" if rows else "its addresses are"
        found.append(
            f"{who} still to be asked about at the new system; a worker does, "
            f"{canary.per_minute:g} a minute"
        )
    return found


def probe_findings(rows: Iterable[CanaryRow]) -> list[Finding]:
    """What probes found, those of one way and one host together."""
    from mailhaul.canary.judging import judge_probes

    alike: dict[tuple[int, Via, str, bool | None], list[CanaryRow]] = {}
    for row in rows:
        if row.kind is Act.ASK and row.verdict:
            alike.setdefault((row.domain, row.via, row.reached, row.takes_anyone), []).append(row)
    return [each for group in alike.values() for each in judge_probes(_probes(group))]


def canary_shown(row: CanaryRow) -> CanaryShown:
    """The row, judged as far as is known."""
    from mailhaul.canary.judging import Fate, judge_canary

    if row.kind is Act.ASK:
        return CanaryShown(row, None, tuple(_gravest(probe_findings([row]))))
    if row.stage is Stage.SPEAKING or not (row.verdict or row.seen):
        return CanaryShown(row, None, ())
    over = row.outcome == Fate.MISSING
    found = [each.found for each in row.seen]
    judged: Judged = judge_canary(sent_of(row), found, over=over, switched=row.era.switched)
    return CanaryShown(row, judged.seconds, tuple(_gravest(judged.findings)))


def sent_of(row: CanaryRow) -> "Sent":
    """What came of sending it, as `canary.send` told it."""
    from mailhaul.canary.replies import Verdict
    from mailhaul.canary.send import Sent

    verdict = Verdict(row.verdict or Verdict.UNCERTAIN)
    return Sent(row.canary, verdict, row.said, row.taken_at, _reached(row.reached))


def _figures(zone: DomainRow, every: Sequence[CanaryRow]) -> CanaryFigures:
    from mailhaul.canary.judging import Fate

    switched = zone.switched_at is not None and zone.returned_at is None
    rows = [row for row in every if row.era.switched == switched]
    if rows:
        newest = max(row.era.at for row in rows)
        rows = [row for row in rows if row.era.at == newest]
    asked = [row for row in rows if row.kind is Act.ASK and row.via in _ASKED_OF]
    sent = [row for row in rows if row.kind is Act.SEND and row.taken_at is not None]
    ours = [row for row in sent if row.via is not Via.OLD]
    theirs = [row for row in sent if row.via is Via.OLD]
    here = Counter(row.outcome for row in ours)
    there = Counter(row.outcome for row in theirs)
    verdicts = Counter(row.verdict for row in asked if row.verdict)
    tried = [row for row in rows if row.kind is Act.SEND and row.taken_at is None]
    shown = [canary_shown(row) for row in ours if row.outcome == Fate.ARRIVED]
    return CanaryFigures(
        domain=zone.name,
        switched=switched,
        wanted=len(asked),
        asked=verdicts.total(),
        accepted=verdicts["accepted"],
        refused=verdicts["refused"] + verdicts["not its domain"],
        sent=len(ours),
        arrived=here[Fate.ARRIVED],
        at_old=here[Fate.AT_OLD] + here[Fate.AT_BOTH],
        lost=here[Fate.MISSING],
        bounced=sum(row.outcome == Fate.REFUSED for row in tried if row.via is not Via.OLD),
        under_way=here[""] + here[Fate.UNDERWAY],
        unsent=sum(
            row.outcome == Fate.UNSENT or row.stage is not Stage.OVER
            for row in tried
            if row.via is not Via.OLD
        ),
        by_old=len(theirs),
        by_old_at_old=there[Fate.AT_OLD] + there[Fate.AT_BOTH],
        by_old_at_new=there[Fate.ARRIVED],
        left=sum(
            any(each.found.side is Side.OLD or not each.gone for each in row.seen) for row in sent
        ),
        seconds=tuple(sorted(each.seconds for each in shown if each.seconds is not None)),
    )


def _probes(rows: Sequence[CanaryRow]) -> "Probes":
    from mailhaul.canary.probe import Asked, Probes
    from mailhaul.canary.replies import Verdict

    first = rows[0]
    answers = tuple(Asked(row.address, Verdict(row.verdict), row.said) for row in rows)
    return Probes(first.via, first.name, answers, first.takes_anyone, _reached(first.reached))


def _reached(text: str) -> "Reached | None":
    from mailhaul.canary.smtp import Reached

    return Reached(**json.loads(text)) if text else None


def _gravest(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: each.severity.rank)
