"""A worker: takes a slot, runs the phases of mailboxes that are due, and sees to it that none is
forgotten.

The engine is handed what is due by the *reconciler*, which looks at our tables every second: waits
are rows there (`mailbox.due_at`), so that orders, gates and a lost engine need nothing else. What a
dead worker had begun is taken over by whoever notices first.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, case, insert, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from mailhaul import __version__
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.journey.account_rows import (
    MoveRow,
    due_moves,
    move_run,
    moves_accounts,
    working_plans,
    write_move,
)
from mailhaul.journey.budgets import PERMIT_LASTS, renew
from mailhaul.journey.canary_rows import (
    CanaryRow,
    canary_run,
    due_canaries,
    write_canary,
)
from mailhaul.journey.canary_wants import want
from mailhaul.journey.domains import DomainRow, domain_run, due_domains, write_domain
from mailhaul.journey.engine import Engine, Next, Run
from mailhaul.journey.gates import admissible, going
from mailhaul.journey.means import Means
from mailhaul.journey.opening import places
from mailhaul.journey.phases import failed_by_defect, perform
from mailhaul.journey.plans import PlanRow, PlanState, plan_row
from mailhaul.journey.rows import Change, MailboxRow, Stale, due_in, from_row, move_all, write
from mailhaul.journey.runs import run_of
from mailhaul.journey.slots import Slot, fence
from mailhaul.journey.states import PHASES, State, Trigger

GRACE = 15.0
"""Seconds that what is under way gets once the worker is asked to stop; `stop` takes a few more."""
USUAL_PLACES = 16
"""Mailboxes of a plan that one partition carries at the same time, where no budget says."""
LOOKING_PLACES = 50
SOUGHT_PLACES = 4
"""Canaries that are looked for at the same time; of one plan one is spoken of at a time."""
ACCOUNT_PLACES = 4
"""Accounts of a plan about which providers are asked at the same time; hosters bear few more."""
WANT_EVERY = 30.0
"""Seconds between two looks which canaries are wanted."""
QUEUED = 3
"""For each place so many runs stand in the engine's queue: enough that none is idle, few enough
that what is urgent need not wait behind them."""

RECONCILE_EVERY = 1.0
HEARTBEAT_EVERY = 5.0
ADOPT_EVERY = 3.0
FORGET_EVERY = 600.0
DELIVER_EVERY = 2.0
"""Seconds of a clock on the wall."""
DATABASE_TRIES = 12

_URGENT = (State.FINAL, State.SWEEPING, State.RETURNING, State.UNDOING, State.VERIFYING)

_Done = TypeVar("_Done")
_Due = MailboxRow | DomainRow | CanaryRow | MoveRow
Deliver = Callable[[], Awaitable[int]]
Tell = Callable[[BaseException], str]
"""Keeps a report of a defect; what a person is told of it."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What a worker consists of."""

    means: Means
    engine: Engine
    slot: Slot
    deliver: Deliver | None = None
    tell: Tell = field(default=lambda error: type(error).__name__)
    fence: Callable[[], None] = fence
    reconcile_every: float = RECONCILE_EVERY
    adopt_every: float = ADOPT_EVERY


async def work(
    shop: Shop,
    stop: asyncio.Event,
    over: Callable[[Connection], bool] | None = None,
) -> None:
    """Works until `stop` is set, or `over` is true of the rows; then comes to rest within 20 s.

    What is under way then stops at a message boundary and goes on wherever there is a worker.
    """
    means, engine, slot = shop.means, shop.engine, shop.slot
    reconciler = Reconciler(shop)
    try:
        slot.guard(shop.fence)
        # The engine makes or changes its tables now.
        with slot.alone():
            await engine.launch(lambda run: _performed(shop, run))
        await means.database.run(lambda c: _seen(c, shop, began=True))
        async with _going_on(
            _every(shop.reconcile_every, reconciler.turn),
            _every(HEARTBEAT_EVERY, lambda: _heartbeat(shop)),
            _every(shop.adopt_every, lambda: adopt(shop)),
            _every(FORGET_EVERY, engine.forget, first=FORGET_EVERY),
            *([] if shop.deliver is None else [_every(DELIVER_EVERY, shop.deliver)]),
        ) as loops:
            await _until(stop, shop, reconciler, over, loops)
    finally:
        means.stopping.set()
        await engine.stop(GRACE)
        with suppress(DBAPIError):
            await means.database.run(lambda c: _stopped(c, shop))
        slot.release()


class Reconciler:
    """Hands what is due to the engine, and what gates let pass to the next state."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._limits: dict[str, int] = {}
        self._asked: set[str] = set()
        """Runs that were handed to the engine in the last turn."""
        self._wanted_at = -WANT_EVERY

    async def turn(self) -> None:
        """One look at everything."""
        means, engine = self._shop.means, self._shop.engine
        # Whoever is moved by somebody else in the same moment is seen by the next turn.
        with suppress(Stale):
            await means.database.run(lambda c: pass_gates(c, means.clock.now()))
        live = await engine.live()
        plans, due = await means.database.run(lambda c: self._due(c, live))
        for plan in plans:
            await self._limit(plan)
        asked = set()
        for row, run in due:
            if run.id in self._asked:
                # The engine says that it has been performed, and nothing came of it.
                with suppress(Stale):
                    await means.database.run(partial(_step_on, row=row))
                continue
            asked.add(run.id)
            await engine.enqueue(Next(run))
        self._asked = asked

    def _due(
        self, connection: Connection, live: set[str]
    ) -> tuple[list[PlanRow], list[tuple[_Due, Run]]]:
        """What is due and not live, as much of it as there are places for; urgent things first."""
        table = tables.mailbox
        now = self._shop.means.clock.now()
        plans = {
            number: plan_row(connection, number)
            for number in connection.execute(
                select(tables.plan.c.id).where(
                    tables.plan.c.state.in_((PlanState.RUNNING.value, PlanState.CANCELLED.value))
                    | tables.plan.c.id.in_(working_plans(connection))
                )
            ).scalars()
        }
        ending = (PlanState.RUNNING, PlanState.CANCELLED)
        active = [plan.id for plan in plans.values() if plan.state in ending]
        if not plans:
            return [], []
        urgent = case((table.c.state.in_([each.value for each in _URGENT]), 0), else_=1)
        rows = connection.execute(
            select(table)
            .where(
                table.c.due_at <= now,
                table.c.plan_id.in_(active),
                table.c.state.in_([each.value for each in PHASES]),
            )
            .order_by(urgent, table.c.due_at, table.c.position)
            .limit(len(live) + self._most(plans.values()))
        )
        room: dict[str, int] = {}
        found: list[tuple[_Due, Run]] = []
        asked: list[tuple[_Due, Run | None]] = []
        if self._shop.means.zones is not None:
            asked += [(row, domain_run(row)) for row in due_domains(connection, now)]
        if self._shop.means.providers is not None:
            moves = due_moves(connection, now, QUEUED * ACCOUNT_PLACES * len(plans))
            asked += [(row, move_run(row)) for row in moves if row.plan in plans]
        asked += [(row, run_of(row)) for row in map(from_row, rows)]
        if self._shop.means.post is not None:
            self._want(connection, [plans[number] for number in active], now)
            asked += [
                (row, canary_run(row))
                for row in due_canaries(connection, now, QUEUED * SOUGHT_PLACES)
                if row.plan in active
            ]
        for row, run in asked:
            assert run is not None
            left = room.setdefault(run.partition, self._most([plans[row.plan]]))
            if left > 0:
                room[run.partition] = left - 1
                if run.id not in live:
                    found.append((row, run))
        return [each for each in plans.values() if each.state is PlanState.RUNNING], found

    def _want(self, connection: Connection, plans: Iterable[PlanRow], now: float) -> None:
        if now - self._wanted_at >= WANT_EVERY or now < self._wanted_at:
            for plan in plans:
                want(connection, plan, now)
            self._wanted_at = now

    def _most(self, plans: Iterable[PlanRow]) -> int:
        return sum(QUEUED * max(places(plan, USUAL_PLACES), LOOKING_PLACES) for plan in plans)

    async def _limit(self, plan: PlanRow) -> None:
        most = places(plan, USUAL_PLACES)
        partitions = {"carry": most, "switch": most, "look": LOOKING_PLACES}
        if plan.plan.dns is not None:
            partitions["zone"] = LOOKING_PLACES
        if moves_accounts(plan.plan):
            partitions["account"] = ACCOUNT_PLACES
        if plan.plan.canary is not None:
            partitions |= {"spoken": 1, "sought": SOUGHT_PLACES}
        for name, count in partitions.items():
            partition = f"{plan.id}:{name}"
            if self._limits.get(partition) != count:
                await self._shop.engine.limit(partition, count)
                self._limits[partition] = count


def _step_on(connection: Connection, row: _Due) -> None:
    """The same work is for another run."""
    if isinstance(row, CanaryRow):
        write_canary(connection, row)
        return
    if isinstance(row, DomainRow):
        write_domain(connection, row, step=row.step + 1)
    elif isinstance(row, MoveRow):
        write_move(connection, row, step=row.step + 1)
    else:
        write(connection, row, step=row.step + 1)


def pass_gates(connection: Connection, at: float) -> None:
    """Mailboxes whose gate is open go on. Raises `Stale`; then nothing is to be committed."""
    for trigger, rows, state in (
        (Trigger.ADMITTED, admissible(connection), State.READY),
        (Trigger.WENT, going(connection), State.FINAL),
    ):
        plans: dict[int, list[Change]] = {}
        for row in rows:
            plans.setdefault(row.plan, []).append(Change(row, trigger, due_in(state, at)))
        for changes in plans.values():
            move_all(connection, changes, at=at)


async def adopt(shop: Shop) -> int:
    """What dead workers had begun goes on elsewhere; how many runs that is."""
    adopted = await shop.engine.reclaim()
    for name in await shop.engine.orphans():
        if await asyncio.to_thread(shop.slot.dead, name):
            try:
                adopted += await shop.engine.adopt(name)
            finally:
                await asyncio.to_thread(shop.slot.bury, name)
    return adopted


# the loops


async def _until(
    stop: asyncio.Event,
    shop: Shop,
    reconciler: Reconciler,
    over: Callable[[Connection], bool] | None,
    loops: Sequence[asyncio.Task[None]],
) -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        while True:
            watched = {stopping, *loops}
            done, _ = await asyncio.wait(
                watched,
                timeout=None if over is None else shop.reconcile_every,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done & set(loops):
                # A loop never ends by itself: this raises what ended it.
                task.result()
            if stopping in done:
                return
            if over is not None and await _patiently(
                lambda: shop.means.database.run(over, reading=True)
            ):
                return
    finally:
        stopping.cancel()


@asynccontextmanager
async def _going_on(*loops: Coroutine[None, None, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each) for each in loops]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _every(
    seconds: float, act: Callable[[], Awaitable[object]], *, first: float = 0.0
) -> None:
    await asyncio.sleep(first)
    while True:
        await _patiently(act)
        await asyncio.sleep(seconds)


async def _patiently(act: Callable[[], Awaitable[_Done]]) -> _Done:
    """Does it, waiting for a database that is away for a while (it restarts, it fails over)."""
    pause = 0.3
    for attempt in range(DATABASE_TRIES):
        try:
            return await act()
        except (OperationalError, InterfaceError):
            if attempt == DATABASE_TRIES - 1:
                raise
        await asyncio.sleep(pause)
        pause *= 1.8
    raise AssertionError("unreachable")


async def _heartbeat(shop: Shop) -> None:
    await shop.means.database.run(lambda c: _seen(c, shop, began=False))


def _seen(connection: Connection, shop: Shop, *, began: bool) -> None:
    table, now = tables.worker, shop.means.clock.now()
    process = printable(f"{socket.gethostname()} {os.getpid()}", 200)
    values: dict[str, object] = {"process": process, "version": __version__, "seen_at": now}
    values["stopped_at"] = None
    if began:
        values["since_at"] = now
    done = connection.execute(update(table).where(table.c.name == shop.slot.name).values(**values))
    if done.rowcount == 0:
        connection.execute(insert(table).values(**{"since_at": now, **values}, name=shop.slot.name))
    lasts = PERMIT_LASTS * shop.means.clock.speed
    renew(connection, shop.slot.name, at=now, lasts=lasts)


def _stopped(connection: Connection, shop: Shop) -> None:
    table = tables.worker
    connection.execute(
        update(table)
        .where(table.c.name == shop.slot.name)
        .values(stopped_at=shop.means.clock.now())
    )


# a run


async def _performed(shop: Shop, run: Run) -> Next | None:
    """Performs the run; whatever happens, its mailbox is not left without anybody who knows."""
    try:
        found = await _patiently(lambda: perform(shop.means, run))
    except (OperationalError, InterfaceError):
        # The reconciler finds the mailbox still due, once the database is back.
        return None
    except Exception as error:
        # One of the two edges where everything is caught: one mailbox never stops another.
        said = shop.tell(error)
        why = f"this is a defect of mailhaul: {said}; retry it once that is mended"
        await _patiently(lambda: failed_by_defect(shop.means, run, why))
        return None
    return found
