"""Looking for a canary in both mailboxes of its recipient, and taking it out of the new one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from mailhaul.canary.judging import Fate, judge_canary
from mailhaul.canary.watch import EVERY, Found, Look, Side, look
from mailhaul.canary.watch import remove as take_out
from mailhaul.core.errors import MailhaulError
from mailhaul.core.text import printable
from mailhaul.journey.canary_account import sent_of
from mailhaul.journey.canary_rows import (
    CanaryRow,
    Sighting,
    Stage,
    write_canary,
    written_bookmarks,
    written_sightings,
)
from mailhaul.journey.canary_turns import (
    GIVEN_UP,
    SLOWEST_LOOK,
    Turn,
    opened_aside,
)
from mailhaul.journey.events import Record, record
from mailhaul.journey.means import Means
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import ENDED, State

LINGER = 900.0
"""Seconds for which a second copy is looked for."""
LATEST_LOOK = 3600.0
LOOKING = 45.0
"""Seconds for one look: its permits last a little longer."""

_SWEPT = ENDED | {State.VERIFIED, State.UNDOING}
"""Nothing is carried to the mailbox any more: neither is a canary."""


async def seek(means: Means, turn: Turn) -> None:
    """One look into both mailboxes; what is found on the new side is kept, then taken out."""
    row, clock = turn.row, means.clock.now
    async with asyncio.timeout(LOOKING), opened_aside(means, turn) as pair:
        await pair.target.open()
        new = await look(Side.NEW, pair.target, [row.canary], row.since[Side.NEW], clock)
        old, trouble = Look((), row.since[Side.OLD]), ""
        try:
            await pair.source.open()
            old = await look(Side.OLD, pair.source, [row.canary], row.since[Side.OLD], clock)
        except MailhaulError as error:
            trouble = f"the old mailbox: {error}"
        seen = [*row.seen, *(Sighting(each) for each in (*new.found, *old.found))]
        since = {Side.NEW: new.since, Side.OLD: old.since}
        troubles = "; ".join([*new.troubles, *old.troubles, *([trouble] if trouble else [])])
        kept = await means.database.run(
            lambda c: write_canary(
                c,
                row,
                seen=written_sightings(seen),
                since=written_bookmarks(since),
                reason=printable(troubles, 1000),
            )
        )
        left = [each.found for each in kept.seen if each.found.side is Side.NEW and not each.gone]
        removed: Sequence[Found] = ()
        if left:
            removal = await take_out(pair.target, left)
            removed = removal.removed
            troubles = "; ".join(filter(None, (troubles, *removal.troubles)))
    rest = [replace(each, gone=each.gone or each.found in removed) for each in kept.seen]

    def done(connection: Connection) -> None:
        _judged(connection, turn, replace(kept, seen=tuple(rest)), troubles, means.clock.now())

    await means.database.run(done)


def _judged(connection: Connection, turn: Turn, row: CanaryRow, troubles: str, now: float) -> None:
    over = row.deadline_at is not None and now >= row.deadline_at
    judged = judge_canary(
        sent_of(row), [each.found for each in row.seen], over=over, switched=row.era.switched
    )
    due = _next_look(row, judged.fate, turn.mailbox, now)
    new = [each for each in row.seen if each.found.side is Side.NEW]
    first = min((each.found for each in row.seen), key=lambda each: each.seen, default=None)
    fate = judged.fate
    if fate is Fate.AT_BOTH and row.outcome == Fate.AT_OLD:
        fate = Fate.AT_OLD  # a sweep has carried it since
    write_canary(
        connection,
        row,
        stage=Stage.OVER.value if due is None else Stage.SOUGHT.value,
        due_at=due,
        tries=0,
        outcome=fate.value,
        seen=written_sightings(row.seen),
        found_at=None if first is None else first.seen,
        side="" if first is None else first.side.value,
        removed_at=now if new and all(each.gone for each in new) else None,
        reason=printable(troubles, 1000),
    )
    if fate.value != row.outcome and fate is not Fate.UNDERWAY:
        figures: dict[str, Any] = {"domain": row.name, "via": row.via.value}
        if judged.seconds is not None:
            figures["seconds"] = round(judged.seconds, 1)
        why = f"by {row.via.words}: {fate}"
        what = Record("canary_seen", mailbox=row.mailbox, why=why, figures=figures)
        record(connection, row.plan, what, now)


def _next_look(row: CanaryRow, fate: Fate, person: MailboxRow, now: float) -> float | None:
    """When it is looked for again; None: there is nothing more to be seen or removed."""
    since = now - (row.taken_at or now)
    waiting = min(max(EVERY, since / 10), SLOWEST_LOOK)
    if any(each.found.side is Side.NEW and not each.gone for each in row.seen):
        return now + waiting if person.state not in ENDED else None
    if any(each.found.side is Side.OLD for each in row.seen):
        # The next sweep carries it to the new side.
        here = any(each.found.side is Side.NEW for each in row.seen)
        if person.state in _SWEPT or (here and since > LINGER):
            return None
        return now + min(max(SLOWEST_LOOK / 2, since / 20), LATEST_LOOK)
    if fate is Fate.ARRIVED:
        return None if since > LINGER else now + LINGER / 3
    return None if since > GIVEN_UP or person.state in ENDED else now + waiting
