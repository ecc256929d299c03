"""The workflow engine of rehearsals and simulations: in memory, on a clock that can be wound.

What was enqueued is kept in a `Kept`, which outlives the engine as a database would: another engine
on the same one goes on where a killed one was. It forgets what has ended once it is told to.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailhaul.journey.engine import Next, Perform, Run


@dataclass(slots=True)
class Kept:
    """What engines of one installation have between them."""

    waiting: dict[str, deque[Run]] = field(default_factory=dict)
    """Due runs by partition, the oldest first."""
    delayed: list[tuple[float, int, Run]] = field(default_factory=list)
    under_way: dict[str, tuple[str, Run]] = field(default_factory=dict)
    """By run id: whose it is, and the run."""
    live: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=dict)
    count: int = 0


class WoundEngine:
    """An engine of `journey.engine`. `now` and `sleep` are the wound clock's."""

    def __init__(
        self,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        kept: Kept | None = None,
        worker: str = "w1",
    ) -> None:
        self.kept = kept or Kept()
        self._now = now
        self._sleep = sleep
        self._worker = worker
        self._perform: Perform | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._turning: asyncio.Task[None] | None = None

    async def launch(self, perform: Perform) -> None:
        """See `Engine`."""
        self._perform = perform
        await self.adopt(self._worker)
        self._turning = asyncio.create_task(self._turn())

    async def enqueue(self, following: Next) -> None:
        """See `Engine`."""
        kept, run = self.kept, following.run
        if run.id in kept.live or run.id in kept.ended:
            return
        kept.live.add(run.id)
        if following.delay > 0:
            kept.count += 1
            heapq.heappush(kept.delayed, (self._now() + following.delay, kept.count, run))
        else:
            self._wait(run)
        self._changed.set()

    async def live(self, mailboxes: set[int] | None = None) -> set[str]:
        """See `Engine`."""
        if mailboxes is None:
            return set(self.kept.live)
        return {each for each in self.kept.live if int(each.split(":")[0]) in mailboxes}

    async def cancel(self, mailbox: int) -> None:
        """See `Engine`."""
        kept = self.kept
        for each in await self.live({mailbox}):
            kept.live.discard(each)
            kept.ended.add(each)
            if each in kept.under_way:
                kept.cancelled.add(each)
            if each in self._tasks:
                self._tasks[each].cancel()

    async def orphans(self) -> dict[str, int]:
        """See `Engine`."""
        found: dict[str, int] = {}
        for worker, _ in self.kept.under_way.values():
            if worker != self._worker:
                found[worker] = found.get(worker, 0) + 1
        return found

    async def adopt(self, worker: str) -> int:
        """See `Engine`."""
        kept = self.kept
        runs = [run for whose, run in kept.under_way.values() if whose == worker]
        for run in runs:
            del kept.under_way[run.id]
            if run.id not in kept.cancelled:
                self._wait(run)
        self._changed.set()
        return len(runs)

    async def reclaim(self) -> int:
        """See `Engine`: nobody else bears our name."""
        return 0

    async def limit(self, partition: str, most: int) -> None:
        """See `Engine`."""
        self.kept.limits[partition] = most
        self._changed.set()

    async def forget(self) -> int:
        """See `Engine`."""
        forgotten = len(self.kept.ended)
        self.kept.ended.clear()
        self.kept.cancelled &= set(self.kept.under_way)
        return forgotten

    async def stop(self, grace: float) -> None:
        """See `Engine`; `grace` is in seconds of a clock on the wall."""
        self._perform = None
        if self._turning is not None:
            self._turning.cancel()
            await asyncio.wait([self._turning])
        tasks = [*self._tasks.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wait(self, run: Run) -> None:
        self.kept.waiting.setdefault(run.partition, deque()).append(run)

    async def _turn(self) -> None:
        while True:
            self._changed.clear()
            self._begin()
            delayed = self.kept.delayed
            if not delayed:
                await self._changed.wait()
                continue
            rest = asyncio.ensure_future(self._sleep(max(0.0, delayed[0][0] - self._now())))
            changed = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait([rest, changed], return_when=asyncio.FIRST_COMPLETED)
            finally:
                rest.cancel()
                changed.cancel()

    def _begin(self) -> None:
        """Begins whatever is due, as far as the limits allow."""
        kept = self.kept
        while kept.delayed and kept.delayed[0][0] <= self._now():
            self._wait(heapq.heappop(kept.delayed)[2])
        busy: dict[str, int] = {}
        for _, run in kept.under_way.values():
            busy[run.partition] = busy.get(run.partition, 0) + 1
        for partition, queue in kept.waiting.items():
            while queue and busy.get(partition, 0) < kept.limits.get(partition, 1):
                run = queue.popleft()
                if run.id not in kept.live:
                    continue
                busy[partition] = busy.get(partition, 0) + 1
                kept.under_way[run.id] = (self._worker, run)
                self._tasks[run.id] = asyncio.create_task(self._work(run))

    async def _work(self, run: Run) -> None:
        kept, perform = self.kept, self._perform
        assert perform is not None
        try:
            following = await perform(run)
            if kept.under_way.pop(run.id, None) is None or run.id in kept.cancelled:
                return
            if following is not None:
                await self.enqueue(following)
            kept.live.discard(run.id)
            kept.ended.add(run.id)
        finally:
            if run.id in kept.cancelled:
                kept.under_way.pop(run.id, None)
            self._tasks.pop(run.id, None)
            self._changed.set()
