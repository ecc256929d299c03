"""The time by which journeys go: the real one, one that is wound for rehearsals, one moved by hand.

Nothing in journeys asks the system for the time of day. Every process of an installation has the
same clock: how it is wound stands in the `installation` table.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from mailhaul.db import tables

_SPEED = "clock speed"
_ORIGIN = "clock origin"
_BEGAN = "clock began"


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is seconds since 1970 (UTC) by this clock; `sleep` waits so many of its seconds; one
    real second is `speed` of them."""

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    speed: float = 1.0


def real_clock() -> Clock:
    """The system's."""
    return Clock(time.time, asyncio.sleep)


def wound_clock(
    speed: float, origin: float, began: float, real: Callable[[], float] = time.time
) -> Clock:
    """A clock that showed `origin` when it was `began` by the real one, and has gone `speed` times
    as fast since; the same in every process that is told the same."""
    assert speed > 0

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / speed)

    return Clock(lambda: origin + (real() - began) * speed, sleep, speed)


def wind(connection: Connection, speed: float, origin: float, began: float) -> None:
    """From now on the installation's clock is that wound one."""
    table = tables.installation
    values = {_SPEED: speed, _ORIGIN: origin, _BEGAN: began}
    connection.execute(delete(table).where(table.c.name.in_(values)))
    connection.execute(
        insert(table), [{"name": name, "value": repr(value)} for name, value in values.items()]
    )


def installed_clock(connection: Connection) -> Clock:
    """The installation's clock: the real one unless it has been wound."""
    table = tables.installation
    found = {
        name: float(value)
        for name, value in connection.execute(
            select(table.c.name, table.c.value).where(table.c.name.in_((_SPEED, _ORIGIN, _BEGAN)))
        )
    }
    if not found:
        return real_clock()
    return wound_clock(found[_SPEED], found[_ORIGIN], found[_BEGAN])


@dataclass(slots=True)
class HandClock:
    """A clock for tests: it stands still until `advance` moves it, and wakes who sleeps in the
    order in which they wanted to be woken."""

    time: float = 0.0
    _sleeping: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)

    @property
    def sleepers(self) -> int:
        return len(self._sleeping)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleeping.append((self.time + seconds, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Moves on, stopping at each sleeper's moment until it has had its turn."""
        end = self.time + seconds
        while True:
            self._sleeping = [each for each in self._sleeping if not each[1].done()]
            due = min(self._sleeping, key=lambda each: each[0], default=None)
            if due is None or due[0] > end:
                break
            self._sleeping.remove(due)
            self.time = max(self.time, due[0])
            due[1].set_result(None)
            await _settle()
        self.time = end
        await _settle()


async def _settle() -> None:
    """Lets everything that can go on go on; ten turns of the loop are more than tests need."""
    for _ in range(10):
        await asyncio.sleep(0)
