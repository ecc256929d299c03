"""A mailbox pair at work: both sides, the ledger, the options, and where to tell what happens."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mailhaul.core.errors import RetryLater
from mailhaul.core.store import Source, Target
from mailhaul.engine.beside import Beside
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Event, Options, Side, Waiting
from mailhaul.engine.pace import Pace, Sleep
from mailhaul.engine.sides import blamed

_Done = TypeVar("_Done")


@dataclass(slots=True, eq=False)
class Pair:
    """What all in a pass work with; `unfinished` and `notes` gather sentences for its end."""

    source: Source
    target: Target
    ledger: Ledger
    options: Options
    tell: Callable[[Event], None]
    sleep: Sleep
    random: random.Random
    beside: Beside | None = None
    unfinished: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def pace(self) -> Pace:
        """A count of failures that begins now."""
        return Pace(self.options.retries, self.random)

    async def patiently(self, act: Callable[[], Awaitable[_Done]], side: Side) -> _Done:
        """What `act` gives, tried again as long as the pace lets one; its errors are about `side`.
        Raises the last `RetryLater`, and everything else at once."""
        pace = self.pace()
        while True:
            try:
                async with blamed(side):
                    return await act()
            except RetryLater as error:
                pause = pace.pause(error)
                if pause is None:
                    raise
                await self.wait(error, pause)

    async def wait(self, error: RetryLater, pause: float) -> None:
        """Waits, and says for what."""
        self.tell(Waiting(Side(error.side or Side.TARGET), str(error), pause, error.throttled))
        await self.sleep(pause)

    def round_trips(self) -> dict[Side, int]:
        return {
            Side.SOURCE: self.source.traffic.round_trips,
            Side.TARGET: self.target.traffic.round_trips,
        }
