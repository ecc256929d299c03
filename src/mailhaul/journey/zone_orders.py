"""What a person orders about a domain's zone apart from the switch: what is to be written is shown,
what does no harm is written ahead, what is over is tidied away, and all of it goes back.

The records of the switch itself are never written here: that is what the gate `go` is for. As with
the switch, a snapshot is a row before the first record is written, what stands is compared before
each write, and whoever is cut off gives the same order again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import plural, printable
from mailhaul.dns.desired import Key, keys
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.names import shown
from mailhaul.dns.snapshot import Snapshot
from mailhaul.dns.switch import Applied, Result, apply, put_back, read, target
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.watching import Seen, verify
from mailhaul.dns.zone import Edit, Held, ZoneWriter
from mailhaul.journey.domain_orders import recall
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domain, domain_run, hold_domains
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.watching import AHEAD, END, SWITCH, watch
from mailhaul.journey.zone_plans import (
    DUE,
    Share,
    Stage,
    Ttls,
    first_ttls,
    moment_of,
    shares,
    ttls,
)
from mailhaul.journey.zone_reach import Desk
from mailhaul.journey.zone_rows import (
    BUSY,
    WORDS,
    Facts,
    Kept,
    Order,
    forget,
    keep_snapshot,
    note_returned,
    note_written,
    zone_facts,
)
from mailhaul.journey.zones import expected_of

PATIENCE = 20
"""Seconds for which a worker that was faster is waited for."""


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """What a domain's zone is to become. `due`: whose shares may be written now, apart from the
    switch; `by_person`: somebody else has to."""

    row: DomainRow
    stage: Stage
    shares: tuple[Share, ...]
    ttls: Ttls
    by_person: bool

    @property
    def due(self) -> tuple[Share, ...]:
        moments = DUE[self.stage]
        return tuple(each for each in self.shares if each.moment in moments)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a share (`now`, `switch` or `end`), or of bringing it back. `edits` are what was
    to be done, and can be watched for; `lines` what a person has to write, or what is left."""

    moment: str
    result: Result
    edits: tuple[Edit, ...]
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()
    why: str = ""


async def zone_plan(desk: Desk, plan: PlanRow, row: DomainRow) -> ZonePlan:
    """What is to be written, moment by moment; nothing is. Raises `BadInput`, `RetryLater` and
    `ZoneError` where the zone can't be read."""
    facts = await facts_of(desk, plan, row)
    writers = await desk.zones.writers(plan, facts.row)
    expected, there = await _read(plan, facts, writers)
    now = moment_of(desk.clock.now())
    return ZonePlan(
        facts.row,
        facts.stage,
        _shares(facts, expected, there, writers, now),
        _ttls(facts, expected, there, now),
        all(each.by_person for each in writers),
    )


async def write_ahead(
    desk: Desk, plan: PlanRow, row: DomainRow, *, who: str, login: str
) -> list[Written]:
    """Writes what is due apart from the switch, share by share, as far as it goes; empty when
    nothing is to be written. `who` says so, from the account `login`. Raises as `zone_plan`, and
    `BadInput` while the domain is being switched or returned, and for a plan that is cancelled."""
    order = Order(plan, row, named(who), login)
    facts = await facts_of(desk, plan, row)
    if plan.state is PlanState.CANCELLED:
        raise BadInput(f"plan {plan.name} is cancelled; nothing is written for it any more")
    if facts.stage is Stage.BUSY:
        raise BadInput(f"{shown(row.name)} is {_busy(facts.row)}")
    found = []
    for moment in DUE[facts.stage]:
        written = await _write_share(desk, order, moment)
        if written is not None:
            found.append(written)
            if written.result is not Result.DONE:
                break
    return found


async def bring_back(
    desk: Desk, plan: PlanRow, row: DomainRow, *, who: str, login: str, everything: bool = False
) -> list[Written]:
    """Puts records back exactly as they were before mailhaul wrote them. Where the domain has been
    switched, those of the switch and what was tidied since: as a worker would, and when one does so
    at the same time, one of both finds it done. What was written ahead goes back where nothing has
    ever been switched, and with `everything`. Empty when nothing is left to be put back: the order
    may be given any number of times. Raises as `recall` and `zone_plan`."""
    order = Order(plan, row, named(who), login)
    facts = await facts_of(desk, plan, row)
    found: list[Written] = []
    switched = facts.row.state in (*BUSY, DomainState.SWITCHED)
    if switched and plan.state is not PlanState.COMPLETED:
        found.append(await _recall(desk, facts, order))
        if not everything or found[0].result is not Result.DONE:
            return found
        facts = await facts_of(desk, plan, row)
        switched = False
    if switched:
        moments: tuple[str, ...] = (END,)
    elif facts.row.state is DomainState.RETURNED and not everything:
        moments = ()
    else:
        moments = (AHEAD, END)
    shown_already: set[Key] = set()
    for kept in reversed([each for each in facts.open if each.moment in moments]):
        writers = await desk.zones.writers(plan, facts.row)
        edits = [edit.undone for edit in kept.snapshot.edits if edit.key not in shown_already]
        if not edits:
            continue
        applied = await put_back(writers, kept.snapshot, leaving=shown_already)
        done = _written(kept.moment, applied, edits)
        if shown_already and done.result is Result.DONE:
            # The rest of it waits for what a person has to write first.
            continue
        await desk.database.run(
            lambda c, kept=kept, done=done: note_returned(  # type: ignore[misc]
                c, order, kept, done.result, done.why, desk.clock.now()
            )
        )
        found.append(done)
        if done.result is Result.WAITS:
            shown_already |= {edit.key for edit in edits}
        elif done.result is not Result.DONE:
            break
    if not found and switched:
        raise BadInput(f"plan {plan.name} is completed; its switch is not returned any more")
    return found


async def heard(
    desk: Desk, plan: PlanRow, row: DomainRow, edits: Sequence[Edit]
) -> tuple[Seen, ...]:
    """What each of the zone's own servers has of those edits now. Raises nothing that a server
    could cause."""
    ears = await desk.zones.ears(plan, row)
    servers = [each.server for each in ears.asked if each.authoritative]
    return await verify(ears.network, servers, edits)


async def facts_of(desk: Desk, plan: PlanRow, row: DomainRow) -> Facts:
    """What rows say of the domain now."""
    return await desk.database.run(lambda c: zone_facts(c, plan, domain(c, row.id)))


def named(who: str) -> str:
    """The name as it is written down. Raises `BadInput` without one."""
    name = printable(" ".join(who.split()), 100)
    if not name:
        raise BadInput("zones are changed by a person's word; give a name with --as NAME")
    return name


def _busy(row: DomainRow) -> str:
    if row.state is DomainState.FAILED:
        return (
            f"stopped: {row.reason}; mailhaul retry lets it go on, mailhaul dns return takes it "
            "back"
        )
    word = "switched" if row.state is DomainState.SWITCHING else "returned"
    return f"being {word}; wait for that, then say it again"


async def _read(
    plan: PlanRow, facts: Facts, writers: Sequence[ZoneWriter]
) -> tuple[Expected, dict[Key, Held]]:
    """What is expected, and what stands under all of it and of what was written."""
    expected = expected_of(plan.plan, facts.row.name, facts.row.old_mx or ())
    wanted = dict.fromkeys(keys(expected))
    wanted |= dict.fromkeys(edit.key for each in facts.open for edit in each.snapshot.edits)
    return expected, await read(writers, wanted)


def _shares(
    facts: Facts,
    expected: Expected,
    there: Mapping[Key, Held],
    writers: Sequence[ZoneWriter],
    now: datetime,
) -> tuple[Share, ...]:
    zones = [each.zone for each in writers]
    first = first_ttls(each.snapshot for each in facts.open)
    return shares(expected, there, zones, facts.stage, first, now)


def _ttls(facts: Facts, expected: Expected, there: Mapping[Key, Held], now: datetime) -> Ttls:
    lowered: dict[Key, tuple[int, datetime]] = {}
    for each in facts.open:
        if each.moment == AHEAD and each.written_at is not None:
            longer = first_ttls([each.snapshot])
            lowered |= {key: (ttl, moment_of(each.written_at)) for key, ttl in longer.items()}
    row = facts.row
    until = [(seen + timedelta(seconds=ttl)).timestamp() for ttl, seen in lowered.values()]
    return replace(
        ttls(expected, there, facts.cutover, lowered, now),
        seen=row.ttl,
        low_since=row.lowered_at,
        cached_until=max(until, default=row.cached_until),
    )


async def _write_share(desk: Desk, order: Order, moment: Moment) -> Written | None:
    facts = await facts_of(desk, order.plan, order.domain)
    writers = await desk.zones.writers(order.plan, facts.row)
    expected, there = await _read(order.plan, facts, writers)
    found = _shares(facts, expected, there, writers, moment_of(desk.clock.now()))
    share = next(each for each in found if each.moment is moment)
    kept = await desk.database.run(
        lambda c: _settled(c, order, facts, share, there, desk.clock.now())
    )
    if share.trouble:
        raise BadInput(share.trouble)
    if not share.snapshot.edits:
        return None

    async def keep(taken: Snapshot) -> None:
        nonlocal kept
        if kept is None:
            number = await desk.database.run(
                lambda c: keep_snapshot(c, order, moment, taken, desk.clock.now())
            )
            kept = Kept(number, WORDS[moment], taken, None, None)

    snapshot = share.snapshot if kept is None else kept.snapshot
    done = _written(WORDS[moment], await apply(writers, snapshot, keep), snapshot.edits)
    # Nothing is kept of what was found to be in the way before.
    if kept is not None:
        here = kept
        await desk.database.run(
            lambda c: note_written(c, order, here, done.result, done.why, desk.clock.now())
        )
    return done


def _settled(
    connection: Connection,
    order: Order,
    facts: Facts,
    share: Share,
    there: Mapping[Key, Held],
    at: float,
) -> Kept | None:
    """What tries that were cut off, or left to a person, have come to. One is gone on with if what
    is left of it is what is wanted now; it is over if something else is, and nothing of it stands;
    else it is kept for the way back."""
    going_on, over = None, []
    for kept in facts.open:
        if kept.moment != WORDS[share.moment] or kept.written_at is not None:
            continue
        edits = kept.snapshot.edits
        left = [edit for edit in edits if target(edit, there[edit.key]) != there[edit.key]]
        if not left:
            note_written(connection, order, kept, Result.DONE, "", at)
        elif set(left) == set(share.snapshot.edits):
            going_on = kept
        elif all(there[edit.key] == edit.before for edit in edits):
            over.append(kept)
    forget(connection, over, at)
    return going_on


async def _recall(desk: Desk, facts: Facts, order: Order) -> Written:
    """The switch goes back, by the same run that a worker makes."""

    def recalled(connection: Connection) -> DomainRow:
        hold_domains(connection, order.plan.id)
        there = domain(connection, facts.row.id)
        recall(connection, order.plan, [there], who=order.who, at=desk.clock.now())
        return domain(connection, there.id)

    kept = [each for each in facts.open if each.moment != AHEAD]
    edits = tuple(edit.undone for each in reversed(kept) for edit in each.snapshot.edits)
    row = await desk.database.run(recalled)
    wait = (row.due_at or 0.0) - desk.clock.now()
    if wait > 0 and row.step == 0:
        why = (
            "an update may be on its way; a worker brings the records back in "
            f"{plural(ceil(wait), 'second')}, or the same order given again then"
        )
        return Written(SWITCH, Result.WAITS, edits, why=why)
    await watch(desk, domain_run(row))
    for _ in range(PATIENCE):
        row = await desk.database.run(lambda c: domain(c, facts.row.id))
        if row.state is not DomainState.RETURNING or row.reason:
            break
        await desk.clock.sleep(1)
    if row.state is DomainState.RETURNED:
        return Written(SWITCH, Result.DONE, edits)
    if row.state is DomainState.FAILED:
        return Written(SWITCH, Result.NOTHING, edits, why=row.reason)
    writers = await desk.zones.writers(order.plan, row)
    lines: tuple[str, ...] = ()
    if all(each.by_person for each in writers):
        # Putting back only reads where a person writes. The newest snapshot goes first.
        for each in reversed(kept):
            applied = await put_back(writers, each.snapshot)
            lines = tuple(line for zone in applied.zones for line in zone.lines)
            if lines:
                edits = tuple(edit.undone for edit in each.snapshot.edits)
                break
    return Written(SWITCH, Result.WAITS, edits, lines=lines, why=row.reason)


def _written(moment: str, applied: Applied, edits: Sequence[Edit]) -> Written:
    why = "; ".join(
        f"{each.evidence}; {each.remedy}" if each.remedy else each.evidence
        for each in applied.findings
        if each.severity is Severity.BLOCKS
    )
    lines = tuple(line for zone in applied.zones for line in zone.lines)
    told = tuple(each for each in applied.findings if each.code != Code.ZONE_WAITS)
    return Written(moment, applied.result, tuple(edits), told, lines, printable(why, 1000))
