"""Telling mail hosts names, and one of them one message. What will be said stands in rows first."""

import asyncio
import json
import secrets
import time
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection

from mailhaul.canary.judging import Fate
from mailhaul.canary.mark import new_canary
from mailhaul.canary.probe import Asked, Probes
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Act
from mailhaul.canary.send import Sent
from mailhaul.canary.smtp import Reached
from mailhaul.canary.terms import PATIENCE
from mailhaul.canary.watch import EVERY, EVERYTHING, Bookmark, Side, bookmark
from mailhaul.core.errors import BadInput, MailhaulError, RetryLater
from mailhaul.core.store import Source
from mailhaul.core.text import printable
from mailhaul.journey.canary_rows import (
    CanaryRow,
    Stage,
    beside,
    write_canary,
    written_bookmarks,
)
from mailhaul.journey.canary_turns import (
    LONGEST_PAUSE,
    Turn,
    offered_again,
    opened_aside,
    pause_after,
    put_off,
)
from mailhaul.journey.events import Record, record
from mailhaul.journey.mail_routes import mail_address
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.post import Post

ACCEPTED_LASTS = 86_400.0
"""Seconds after which a host that took an address is asked about it again."""
MISSED = 3600.0
"""Seconds after which a message that nobody has seen is told to be missing."""

_FOR_GOOD = frozenset({Verdict.REFUSED, Verdict.NO_RELAY, Verdict.UNFIT})
_PASSING = frozenset({Verdict.TEMPORARY, Verdict.SILENT})


async def ask_about(means: Means, post: Post, turn: Turn) -> None:
    begun = await means.database.run(lambda c: _batch(c, means, turn))
    if not begun:
        return
    names = {mail_address(row.address): row for row in begun}
    token = secrets.token_hex(16)
    try:
        async with asyncio.timeout(_lasts(turn.plan, len(begun) + 1) - PATIENCE):
            probes = await post.ask(turn.plan, turn.zone, turn.row.via, [*names], token)
    except MailhaulError as error:
        for row in begun:
            await put_off(means, row, error)
        return
    except TimeoutError:
        for row in begun:
            await put_off(means, row, RetryLater("the host took too long"))
        return
    await means.database.run(lambda c: _answered(c, turn.plan, names, probes, means.clock.now()))


def _batch(connection: Connection, means: Means, turn: Turn) -> list[CanaryRow]:
    """Those who are asked about now, each marked so."""
    now = means.clock.now()
    fit: dict[str, CanaryRow] = {}
    for row in beside(connection, turn.row, now):
        try:
            fit.setdefault(mail_address(row.address), row)
        except BadInput as error:
            _unfit(connection, row, error)
    free, over = _until(means, turn.plan, len(fit) + 1, now)
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
            pause, tries = pause_after(row), row.tries
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


async def send_one(means: Means, post: Post, turn: Turn) -> None:
    row = turn.row
    try:
        recipient = mail_address(row.address)
    except BadInput as error:
        failure = error
        await means.database.run(lambda c: _unfit(c, row, failure))
        return
    since = row.since
    if not row.token:
        since = await _bookmarks(means, turn)

    def begin(connection: Connection) -> CanaryRow:
        now = means.clock.now()
        free, over = _until(means, turn.plan, 1, now)
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
        async with asyncio.timeout(_lasts(turn.plan, 1) - PATIENCE):
            sent = await post.send(turn.plan, turn.zone, canary)
    except TimeoutError:
        # It may have gone: who comes when its time is over looks for it.
        return
    except MailhaulError as error:
        await put_off(means, begun, error)
        return
    await means.database.run(lambda c: _handed_over(c, turn.plan, begun, sent, means.clock.now()))


async def _bookmarks(means: Means, turn: Turn) -> dict[Side, Bookmark]:
    """Where both mailboxes end before anything is sent. Raises what the new side raises; an old one
    that can't be opened is looked into from its beginning, once it can."""
    found = dict.fromkeys(Side, EVERYTHING)
    async with opened_aside(means, turn) as pair:
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
        values |= offered_again(row, sent.words, now)
    write_canary(connection, row, **values)


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


def _written(reached: Reached) -> str:
    return json.dumps(asdict(reached))
