"""One run of a probe or a canary: hosts are asked, one message is sent, or mailboxes looked at.

Short, as all runs are. What is about to be said stands in rows first, with a moment by which it is
over; a run that is cut off leaves them so, and who comes after that moment asks again, or looks for
what may have been sent. Nothing is sent a second time unless a host has said no to the first.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection

from mailhaul.canary.judging import Fate, judge_canary
from mailhaul.canary.mark import new_canary
from mailhaul.canary.probe import Asked, Probes
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Act
from mailhaul.canary.send import Sent
from mailhaul.canary.smtp import Reached
from mailhaul.canary.terms import PATIENCE
from mailhaul.canary.watch import EVERY, EVERYTHING, Bookmark, Found, Look, Side, bookmark, look
from mailhaul.canary.watch import remove as take_out
from mailhaul.core.errors import BadInput, Busy, MailhaulError, RetryLater
from mailhaul.core.store import Source
from mailhaul.core.text import printable
from mailhaul.journey.canary_account import sent_of
from mailhaul.journey.canary_rows import (
    TRIES,
    CanaryRow,
    Sighting,
    Stage,
    beside,
    canary_row,
    canary_run,
    clear_at,
    era_of,
    write_canary,
    written_bookmarks,
    written_sightings,
)
from mailhaul.journey.domains import DomainRow, domain
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.events import Record, record
from mailhaul.journey.mail_routes import mail_address
from mailhaul.journey.means import Means, Pair, opened_pair
from mailhaul.journey.plans import PlanRow, PlanState, plan_row
from mailhaul.journey.post import Post
from mailhaul.journey.rows import MailboxRow, Stale, mailbox
from mailhaul.journey.states import ENDED, State

SHORTEST_PAUSE = 300.0
LONGEST_PAUSE = 3600.0
"""Seconds until a host is asked again; greylisting hosts want some minutes."""
ACCEPTED_LASTS = 86_400.0
"""Seconds after which a host that took an address is asked about it again."""
MISSED = 3600.0
"""Seconds after which a message that nobody has seen is told to be missing."""
GIVEN_UP = 86_400.0
"""Seconds for which it is looked for all the same."""
LINGER = 900.0
"""Seconds for which a second copy is looked for."""
SLOWEST_LOOK = 600.0
LATEST_LOOK = 3600.0
LOOKING = 45.0
"""Seconds for one look: its permits last a little longer."""
BUSY_PAUSE = 5.0

_FOR_GOOD = frozenset({Verdict.REFUSED, Verdict.NO_RELAY, Verdict.UNFIT})
_PASSING = frozenset({Verdict.TEMPORARY, Verdict.SILENT})
_SWEPT = ENDED | {State.VERIFIED, State.UNDOING}
"""Nothing is carried to the mailbox any more: neither is a canary."""


@dataclass(frozen=True, slots=True)
class _Errand:
    """Whose turn it is."""

    row: CanaryRow
    plan: PlanRow
    zone: DomainRow
    mailbox: MailboxRow


async def tend(means: Means, run: Run) -> Next | None:
    """Does what is due for the probe or the message; nothing follows at once."""
    post = means.post
    errand = await means.database.run(lambda c: _standing(c, run, means.clock.now()))
    if errand is None or post is None:
        return None
    try:
        if errand.row.stage is Stage.SOUGHT:
            await _seek(means, errand)
        elif errand.row.kind is Act.ASK:
            await _ask(means, post, errand)
        else:
            await _send(means, post, errand)
    except Stale:
        return None
    except MailhaulError as error:
        await _put_off(means, errand.row, error)
    except TimeoutError:
        await _put_off(means, errand.row, RetryLater("a server of its mailboxes took too long"))
    except OSError as error:
        said = printable(error.strerror or type(error).__name__, 200)
        await _put_off(means, errand.row, RetryLater(f"this machine says: {said}"))
    return None


async def canary_defect(means: Means, run: Run, why: str) -> None:
    """The run ended in a way that mailhaul itself is to blame for: it is left, and told."""

    def done(connection: Connection) -> None:
        row = canary_row(connection, run.generation)
        if canary_run(row) == run:
            due = means.clock.now() + LONGEST_PAUSE
            write_canary(connection, row, due_at=due, reason=printable(why, 1000))

    await means.database.run(done)


def _standing(connection: Connection, run: Run, now: float) -> _Errand | None:
    """What the run is for, if it is still to be done."""
    row = canary_row(connection, run.generation)
    if canary_run(row) != run or row.stage is Stage.OVER:
        return None
    plan = plan_row(connection, row.plan)
    zone = domain(connection, row.domain)
    if plan.state is not PlanState.RUNNING or plan.started_at is None:
        # It is the same work for another run, once the plan goes on.
        write_canary(connection, row)
        return None
    person = mailbox(connection, row.mailbox)
    canary = plan.plan.canary
    if row.stage is Stage.SPEAKING:
        _lost_track(connection, row, now)
        return None
    if row.stage is Stage.DUE:
        wanted = canary is not None and canary.on and plan.plan.dns is not None
        if not wanted or era_of(zone) != row.era or person.state in ENDED:
            left = row.outcome or ("" if row.kind is Act.ASK else Fate.UNSENT.value)
            why = row.reason or "its time is over"
            write_canary(
                connection, row, stage=Stage.OVER.value, due_at=None, outcome=left, reason=why
            )
            return None
        if person.state in (State.PAUSED, State.UNDOING):
            write_canary(connection, row, due_at=now + SHORTEST_PAUSE, reason="its mailbox rests")
            return None
        if (clear := clear_at(connection, row.plan)) > now:
            write_canary(connection, row, due_at=clear)
            return None
    return _Errand(row, plan, zone, person)


def _lost_track(connection: Connection, row: CanaryRow, now: float) -> None:
    """Whoever was speaking has ended. Asking again does no harm; sending again would."""
    if row.kind is Act.ASK:
        write_canary(connection, row, stage=Stage.DUE.value, due_at=now)
        return
    write_canary(
        connection,
        row,
        stage=Stage.SOUGHT.value,
        due_at=now,
        taken_at=row.sent_at,
        deadline_at=row.sent_at + MISSED,
        verdict=Verdict.UNCERTAIN.value,
        said="whoever sent it ended before the answer was kept",
    )


# asking


async def _ask(means: Means, post: Post, errand: _Errand) -> None:
    begun = await means.database.run(lambda c: _batch(c, means, errand))
    if not begun:
        return
    names = {mail_address(row.address): row for row in begun}
    token = secrets.token_hex(16)
    try:
        async with asyncio.timeout(_lasts(errand.plan, len(begun) + 1) - PATIENCE):
            probes = await post.ask(errand.plan, errand.zone, errand.row.via, [*names], token)
    except MailhaulError as error:
        for row in begun:
            await _put_off(means, row, error)
        return
    except TimeoutError:
        for row in begun:
            await _put_off(means, row, RetryLater("the host took too long"))
        return
    await means.database.run(lambda c: _answered(c, errand.plan, names, probes, means.clock.now()))


def _batch(connection: Connection, means: Means, errand: _Errand) -> list[CanaryRow]:
    """Those who are asked about now, each marked so."""
    now = means.clock.now()
    fit: dict[str, CanaryRow] = {}
    for row in beside(connection, errand.row, now):
        try:
            fit.setdefault(mail_address(row.address), row)
        except BadInput as error:
            _unfit(connection, row, error)
    free, over = _until(means, errand.plan, len(fit) + 1, now)
    return [
        write_canary(
            connection,
            row,
            stage=Stage.SPEAKING.value,
            sent_at=now,
            clear_at=free,
            due_at=over,
            tries=row.tries + 1,
        )
        for row in fit.values()
    ]


def _answered(
    connection: Connection,
    plan: PlanRow,
    rows: dict[str, CanaryRow],
    probes: Probes,
    now: float,
) -> None:
    changed: list[Asked] = []
    reached = "" if probes.reached is None else _written(probes.reached)
    for each in probes.answers:
        row = rows[each.recipient]
        pause, tries = LONGEST_PAUSE, 0
        if each.verdict is Verdict.ACCEPTED:
            pause = ACCEPTED_LASTS
        elif each.verdict in _PASSING:
            pause, tries = _pause(row), row.tries
        if row.verdict != each.verdict:
            changed.append(each)
        write_canary(
            connection,
            row,
            stage=Stage.DUE.value,
            due_at=now + pause,
            tries=tries,
            verdict=each.verdict.value,
            outcome=each.verdict.value,
            said=printable(each.words, 1000),
            reached=reached,
            takes_anyone=probes.takes_anyone,
            reason="",
        )
    if changed:
        taken = sum(each.verdict is Verdict.ACCEPTED for each in changed)
        figures = {"domain": probes.domain, "via": probes.via.value}
        what = Record(
            "canary_asked",
            why=f"{taken} of {len(changed)} addresses accepted by {probes.via.words}",
            figures={**figures, "asked": len(changed), "accepted": taken},
        )
        record(connection, plan.id, what, now)


# sending


async def _send(means: Means, post: Post, errand: _Errand) -> None:
    row = errand.row
    try:
        recipient = mail_address(row.address)
    except BadInput as error:
        failure = error
        await means.database.run(lambda c: _unfit(c, row, failure))
        return
    since = row.since
    if not row.token:
        since = await _bookmarks(means, errand)

    def begin(connection: Connection) -> CanaryRow:
        now = means.clock.now()
        free, over = _until(means, errand.plan, 1, now)
        fresh = new_canary(recipient, row.via, time.time())
        return write_canary(
            connection,
            row,
            stage=Stage.SPEAKING.value,
            token=row.token or fresh.token,
            made_at=row.made_at or fresh.made,
            since=written_bookmarks(since),
            sent_at=now,
            clear_at=free,
            due_at=over,
            tries=row.tries + 1,
        )

    begun = await means.database.run(begin)
    canary = replace(begun.canary, recipient=recipient)
    try:
        async with asyncio.timeout(_lasts(errand.plan, 1) - PATIENCE):
            sent = await post.send(errand.plan, errand.zone, canary)
    except TimeoutError:
        # It may have gone: who comes when its time is over looks for it.
        return
    except MailhaulError as error:
        await _put_off(means, begun, error)
        return
    await means.database.run(lambda c: _handed_over(c, errand.plan, begun, sent, means.clock.now()))


async def _bookmarks(means: Means, errand: _Errand) -> dict[Side, Bookmark]:
    """Where both mailboxes end before anything is sent. Raises what the new side raises; an old one
    that can't be opened is looked into from its beginning, once it can."""
    found = dict.fromkeys(Side, EVERYTHING)
    async with _opened(means, errand) as pair:
        found[Side.NEW] = await _end_of(pair.target)
        try:
            found[Side.OLD] = await _end_of(pair.source)
        except MailhaulError:
            found[Side.OLD] = EVERYTHING
    return found


async def _end_of(mailbox: Source) -> Bookmark:
    await mailbox.open()
    return await bookmark(mailbox)


def _handed_over(
    connection: Connection, plan: PlanRow, row: CanaryRow, sent: Sent, now: float
) -> None:
    values: dict[str, Any] = {
        "verdict": sent.verdict.value,
        "said": printable(sent.words, 1000),
        "reached": "" if sent.reached is None else _written(sent.reached),
        "reason": "",
    }
    figures = {"domain": row.name, "via": row.via.value}
    if sent.at is not None:
        values |= {
            "stage": Stage.SOUGHT.value,
            "due_at": now + EVERY,
            "taken_at": sent.at,
            "deadline_at": sent.at + MISSED,
            "tries": 0,
        }
        what = Record("canary_sent", mailbox=row.mailbox, why=row.via.words, figures=figures)
        record(connection, plan.id, what, now)
    elif sent.verdict in _FOR_GOOD:
        values |= {
            "stage": Stage.OVER.value,
            "due_at": None,
            "outcome": Fate.REFUSED.value,
        }
        why = f"{row.via.words}: {sent.words}"
        what = Record("canary_seen", mailbox=row.mailbox, why=printable(why, 500), figures=figures)
        record(connection, plan.id, what, now)
    else:
        values |= _again(row, sent.words, now)
    write_canary(connection, row, **values)


# looking


async def _seek(means: Means, errand: _Errand) -> None:
    """One look into both mailboxes; what is found on the new side is kept, then taken out."""
    row, clock = errand.row, means.clock.now
    async with asyncio.timeout(LOOKING), _opened(means, errand) as pair:
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
        _judged(connection, errand, replace(kept, seen=tuple(rest)), troubles, means.clock.now())

    await means.database.run(done)


def _judged(
    connection: Connection, errand: _Errand, row: CanaryRow, troubles: str, now: float
) -> None:
    over = row.deadline_at is not None and now >= row.deadline_at
    judged = judge_canary(
        sent_of(row), [each.found for each in row.seen], over=over, switched=row.era.switched
    )
    due = _next_look(row, judged.fate, errand.mailbox, now)
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


# common


def _opened(means: Means, errand: _Errand) -> AbstractAsyncContextManager[Pair]:
    """Both mailboxes, while no pass is at them."""
    aside = replace(means, opener=means.aside or means.opener)
    return opened_pair(aside, errand.plan, errand.mailbox, rationed=False)


def _until(means: Means, plan: PlanRow, names: int, now: float) -> tuple[float, float]:
    """From when on others may be named, and when this is over however it ends."""
    assert plan.plan.canary is not None
    speed = means.clock.speed
    pace = names * 60.0 / plan.plan.canary.per_minute
    return now + pace * speed, now + _lasts(plan, names) * speed


def _lasts(plan: PlanRow, names: int) -> float:
    """Seconds, real ones, that naming so many takes at most."""
    assert plan.plan.canary is not None
    return names * (60.0 / plan.plan.canary.per_minute + PATIENCE) + 5 * PATIENCE


def _pause(row: CanaryRow) -> float:
    return min(SHORTEST_PAUSE * 2.0 ** max(0, min(row.tries, 10) - 1), LONGEST_PAUSE)


def _again(row: CanaryRow, why: str, now: float) -> dict[str, Any]:
    """The message is offered again later, or no more."""
    reason = printable(why, 1000)
    if row.tries >= TRIES:
        over = {"stage": Stage.OVER.value, "due_at": None, "outcome": Fate.UNSENT.value}
        return {**over, "reason": reason}
    return {"stage": Stage.DUE.value, "due_at": now + _pause(row), "reason": reason}


def _unfit(connection: Connection, row: CanaryRow, error: BadInput) -> None:
    outcome = Verdict.UNFIT.value if row.kind is Act.ASK else Fate.REFUSED.value
    write_canary(
        connection,
        row,
        stage=Stage.OVER.value,
        due_at=None,
        verdict=Verdict.UNFIT.value,
        outcome=outcome,
        said=printable(str(error), 1000),
    )


async def _put_off(means: Means, row: CanaryRow, error: MailhaulError) -> None:
    """It could not be done now, and nothing was said or changed by it."""

    def done(connection: Connection) -> None:
        now = means.clock.now()
        why = printable(str(error), 1000)
        if isinstance(error, Busy):
            stage = Stage.DUE if row.stage is Stage.SPEAKING else row.stage
            due = now + BUSY_PAUSE
            write_canary(connection, row, stage=stage.value, due_at=due, reason=why)
        elif row.stage is Stage.SOUGHT:
            given_up = now - (row.taken_at or now) > GIVEN_UP
            write_canary(
                connection,
                # What was found by then has been kept.
                canary_row(connection, row.id),
                stage=Stage.OVER.value if given_up else Stage.SOUGHT.value,
                due_at=None if given_up else now + min(_pause(row) / 10, SLOWEST_LOOK),
                tries=row.tries + 1,
                reason=why,
                **({"outcome": row.outcome or Fate.MISSING.value} if given_up else {}),
            )
        elif row.kind is Act.ASK:
            due = now + _pause(row)
            write_canary(connection, row, stage=Stage.DUE.value, due_at=due, reason=why)
        else:
            tries = row.tries + (0 if row.stage is Stage.SPEAKING else 1)
            write_canary(connection, row, tries=tries, **_again(row, why, now))

    try:
        await means.database.run(done)
    except Stale:
        return


def _written(reached: Reached) -> str:
    return json.dumps(asdict(reached))
