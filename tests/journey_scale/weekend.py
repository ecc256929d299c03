"""A weekend of many mailboxes: real phases, real tables and ledgers on SQLite, the worker's own
reconciler, mailboxes in memory, and a clock that jumps to whatever is due next.

Three days go by: a day between the initial copy and the switch, two of sweeps after it. Meanwhile
mail arrives, and the worker dies again and again: what it had under way is cut off, and sometimes
the engine's database is lost with it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, event, func, select

from mailhaul.core.folder import INBOX_PATH
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey import orders
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.phases import perform
from mailhaul.journey.questions import Gate
from mailhaul.journey.slots import FIRST, FileSlot
from mailhaul.journey.worker import Reconciler, Shop
from mailhaul.lab.wound_engine import Kept, WoundEngine
from mailhaul.plan.model import Deltas, Sweeps
from tests.journey.house import BEGIN, HOUR, House, letter, plan_of

DELTAS = timedelta(hours=12)
SWITCH = 24 * HOUR
SWEEPS = 48
LAST_ARRIVAL = SWITCH + (SWEEPS - 4) * HOUR
"""What comes later than that makes the sweeps go on for longer than two days."""

_Result = TypeVar("_Result")


class InLine(Database):
    """Without threads the same seed gives the same weekend, in less time."""

    async def run(self, work: Callable[[Connection], _Result], *, reading: bool = False) -> _Result:
        with self.read() if reading else self.begin() as connection:
            return work(connection)


@dataclass
class Weekend:
    """See the module. `deaths`: one in so many turns of the reconciler ends with the worker's
    death; of those one in three takes the engine's database with it."""

    directory: Path
    mailboxes: int
    deaths: int = 40
    arriving: float = 0.01
    """The share of mailboxes that get a message in an hour."""
    seed: int = 1
    delivered: int = 0
    restarts: int = 0
    lost_engines: int = 0
    runs: int = 0
    memory: list[int] = field(default_factory=list)
    """Octets of this process at the end of each hour of the sweeps."""

    def __post_init__(self) -> None:
        people = tuple(f"p{number}" for number in range(self.mailboxes))
        plan = plan_of(deltas=Deltas(every=DELTAS), sweeps=Sweeps())
        self.house = House(self.directory, plan, people)
        database = InLine(self.house.database.engine)
        self.house.means = replace(self.house.means, database=database, look_seconds=1.0)
        self.delivered = 3 * self.mailboxes
        self.kept = Kept()
        self._chance = random.Random(self.seed)
        self._slot = FileSlot(self.directory)

    async def go_by(self) -> None:
        """From the start until all is verified."""
        house = self.house
        await self._until(BEGIN + SWITCH)
        house.open(Gate.GO)
        await self._until(None)
        self._slot.release()

    def complete(self) -> None:
        self.house.open(Gate.SIGN_OFF)
        self.house.order(orders.complete, who="Kim")

    async def _until(self, moment: float | None) -> None:
        """Until then; else until nothing is due any more."""
        while not await self._worked(moment):
            self.restarts += 1
            if self._chance.random() < 1 / 3:
                self.lost_engines += 1
                self.kept = Kept()

    async def _worked(self, moment: float | None) -> bool:
        """One worker's life; false when it died."""
        house = self.house
        engine = WoundEngine(house.hand.clock.now, house.hand.clock.sleep, self.kept, FIRST)
        shop = Shop(house.means, engine, self._slot)
        reconciler = Reconciler(shop)

        async def performed(run: Run) -> Next | None:
            self.runs += 1
            return await perform(house.means, run)

        await engine.launch(performed)
        try:
            while True:
                await reconciler.turn()
                idle = not self.kept.live and not self._anything_due()
                if idle and not await self._on(engine, moment):
                    return True
                dying = self.deaths and self._chance.random() < 1 / self.deaths
                left = self._chance.randrange(30) if dying else 0
                while len(self.kept.live) > left:  # noqa: ASYNC110 - the engine tells nobody
                    await asyncio.sleep(0.001)
                if dying:
                    return False
        finally:
            await engine.stop(0)

    async def _on(self, engine: WoundEngine, moment: float | None) -> bool:
        """The clock goes on to what is due next; false once there is nothing, or it lies later
        than `moment`."""
        hand, table = self.house.hand, tables.mailbox
        with self.house.database.begin() as connection:
            due = connection.execute(select(func.min(table.c.due_at))).scalar_one()
        before = hand.time
        if due is None or (moment is not None and due > moment):
            if moment is not None:
                hand.time = moment
            return False
        hand.time = due
        if int((due - BEGIN) // HOUR) > int((before - BEGIN) // HOUR):
            await engine.forget()
            self.house.logins.clear()
            if due <= BEGIN + LAST_ARRIVAL:
                self._arrive()
            self.memory.append(resident())
        return True

    def _anything_due(self) -> bool:
        table = tables.mailbox
        with self.house.database.begin() as connection:
            return (
                connection.execute(
                    select(table.c.id).where(table.c.due_at <= self.house.hand.time).limit(1)
                ).first()
                is not None
            )

    def _arrive(self) -> None:
        count = round(self.mailboxes * self.arriving)
        for person in self._chance.sample(self.house.people, count):
            self.delivered += 1
            name = f"{person}-{self.delivered}"
            self.house.sources[person].deliver(letter(name), INBOX_PATH)

    # what came of it

    def sums(self, *columns: str) -> tuple[int, ...]:
        table = tables.mailbox
        with self.house.database.begin() as connection:
            row = connection.execute(select(*(func.sum(table.c[name]) for name in columns))).one()
        return tuple(int(each) for each in row)

    def actions(self) -> Counter[str]:
        table = tables.event
        with self.house.database.begin() as connection:
            rows = connection.execute(
                select(table.c.action, func.count()).group_by(table.c.action)
            ).all()
        return Counter({action: count for action, count in rows})

    def octets(self) -> tuple[int, int]:
        """Of the database, and of all ledgers."""
        with self.house.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        ours = sum(each.stat().st_size for each in self.directory.glob("mailhaul.sqlite*"))
        ledgers = sum(
            each.stat().st_size for each in self.directory.glob("ledgers/**/*") if each.is_file()
        )
        return ours, ledgers


def resident() -> int:
    """Octets of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    """What is executed on the connection meanwhile."""
    found: list[str] = []

    def executed(_: object, __: object, statement: str, *more: object) -> None:
        found.append(statement)

    event.listen(connection, "before_cursor_execute", executed)
    try:
        yield found
    finally:
        event.remove(connection, "before_cursor_execute", executed)
