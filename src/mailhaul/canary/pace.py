"""How fast: one recipient after the other, evenly, over everything that shares one `Pace`."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """Gives turns, `per_minute` of them; the first one at once."""

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._apart = 60.0 / per_minute
        self._clock = clock
        self._pause = pause
        self._next = -float("inf")

    async def turn(self) -> None:
        """Waits until it is the caller's turn. Who gives up waiting leaves a turn unused."""
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._apart
        if mine > now:
            await self._pause(mine - now)
