"""Resolvers that stand between a question and the servers: one over recursive servers, with
failover, and one that remembers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.records import Kind
from mailhaul.dns.resolver import Network, Resolver

GAP = 0.4
"""Seconds after which the next server is asked beside one that hasn't answered yet."""

PUBLIC = (
    Server("1.1.1.1", host="Cloudflare"),
    Server("8.8.8.8", host="Google"),
    Server("9.9.9.9", host="Quad9"),
    Server("208.67.222.222", host="OpenDNS"),
)
"""Resolvers that anybody may ask and that are far from each other."""

Told = TypeVar("Told")

_TELLING = (
    Outcome.LAME,
    Outcome.SERVFAIL,
    Outcome.MALFORMED,
    Outcome.REFUSED,
    Outcome.TIMEOUT,
    Outcome.UNREACHABLE,
    Outcome.FORBIDDEN,
)
"""Answers that don't tell, the one that says most first."""


class RecursiveResolver:
    """A `Resolver` over recursive servers, at least one.

    The one that told last is asked first, the next when it doesn't tell or takes longer than `gap`
    seconds. When none tells, the answer is the one that says most about why.
    """

    def __init__(self, network: Network, servers: Sequence[Server], *, gap: float = GAP) -> None:
        self._network = network
        self._servers = tuple(servers)
        self._gap = gap
        self._first = 0

    async def look_up(self, name: str, kind: Kind) -> Answer:
        """As `Resolver` has it."""
        order = [*self._servers[self._first :], *self._servers[: self._first]]
        answer = await first_telling(
            self._network, order, name, kind, recursive=True, gap=self._gap
        )
        if answer.told and answer.server in self._servers:
            self._first = self._servers.index(answer.server)
        return answer


class Remembering:
    """A `Resolver` that asks another one, and the same thing only once at a time.

    What was told is remembered for its TTL, but no longer than `longest` seconds; that nothing was
    told for `failed` seconds, so that one dead zone isn't waited for by every check. At most
    `entries` answers are held.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        clock: Callable[[], float] = time.monotonic,
        longest: float = 60.0,
        failed: float = 5.0,
        entries: int = 20_000,
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._longest = longest
        self._failed = failed
        self._entries = entries
        self._known: dict[tuple[str, Kind], tuple[float, Answer]] = {}
        self._under_way: dict[tuple[str, Kind], asyncio.Task[Answer]] = {}

    async def look_up(self, name: str, kind: Kind) -> Answer:
        """As `Resolver` has it."""
        key = name, kind
        until, answer = self._known.get(key, (0.0, None))
        if answer is not None and self._clock() < until:
            return answer
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._resolver.look_up(name, kind))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Whoever asked first may be cancelled; the others still wait for the same answer.
        answer = await asyncio.shield(task)
        seconds = min(answer.ttl or 0, self._longest) if answer.told else self._failed
        self._known.pop(key, None)
        while len(self._known) >= self._entries:
            del self._known[next(iter(self._known))]
        self._known[key] = self._clock() + seconds, answer
        return answer


async def first_telling(
    network: Network,
    servers: Sequence[Server],
    name: str,
    kind: Kind,
    *,
    recursive: bool,
    gap: float = GAP,
) -> Answer:
    """The first answer of these servers that tells; else the one that says most about why none
    does. Without servers: `UNREACHABLE`."""

    def ask(server: Server) -> Callable[[], Awaitable[Answer]]:
        return lambda: network.ask(server, name, kind, recursive=recursive)

    answers = await first_good([ask(each) for each in servers], lambda each: each.told, gap)
    if not answers:
        return Answer(name, kind, Outcome.UNREACHABLE, said="there is no server to ask")
    last = answers[-1]
    return last if last.told else min(answers, key=lambda each: _TELLING.index(each.outcome))


async def first_good(
    starts: Sequence[Callable[[], Awaitable[Told]]],
    good: Callable[[Told], bool],
    gap: float,
) -> list[Told]:
    """What came, in that order, until one was good, which is then the last. Each is begun `gap`
    seconds after the one before, at once where that has come to nothing; those that are still under
    way at the end are given up."""
    came: list[Told] = []
    waiting = list(reversed(starts))
    running: set[asyncio.Task[Told]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop()()))
            done, running = await asyncio.wait(
                running,
                timeout=gap if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                came.append(task.result())
                if good(came[-1]):
                    return came
        return came
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
