"""Ctrl-C and SIGTERM: the first asks the work to stop where it may, the second leaves at once."""

import asyncio
import gc
import os
import signal
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TypeVar, cast

from mailhaul.cli.exits import Exit, Interrupted
from mailhaul.cli.render import Console
from mailhaul.core.store import Source

GRACE = 3.0
"""Seconds that the work gets to come to a message boundary before it is cut off; what was in
flight then is settled by the next pass, which looks before it sends (A2)."""
TICK = 0.2
CLOSING = 5.0
"""Seconds for a polite goodbye to a server."""

Told = TypeVar("Told")


class Stop:
    """Whether stopping was asked for."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False


def loaded() -> None:
    """Said by a command once all it needs is imported: from here on garbage is looked for, but
    not among what is there already, for that stays."""
    gc.freeze()
    gc.enable()


def run(
    work: Callable[[Stop], Awaitable[Exit]],
    console: Console,
    farewell: str,
    *,
    grace: float = GRACE,
) -> Exit:
    """Runs `work` to its end in an event loop of its own.

    Asked to stop, raises `Interrupted` with `farewell` as soon as the work has stopped, at the
    latest when it has been cut off `grace` seconds later. Asked again, the process ends there and
    then with the same exit code.
    """
    return asyncio.run(_guarded(work, console, farewell, grace))


async def follow(
    events: AsyncIterator[Told],
    take: Callable[[Told], None],
    tick: Callable[[], None],
    stop: Stop,
) -> bool:
    """Hands every event to `take`, and calls `tick` a few times a second meanwhile.

    False when stopping was asked for before the last event; the iterator is closed either way.
    """
    ticker = asyncio.create_task(_ticking(tick))
    try:
        # `events` is an async generator wherever it comes from; the type only says iterator.
        async with aclosing(cast("AsyncGenerator[Told, None]", events)) as open_events:
            async for event in open_events:
                take(event)
                if stop.asked:
                    return False
        return True
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker


@asynccontextmanager
async def closing(*stores: Source) -> AsyncIterator[None]:
    """Closes every store at the end, however it came; a server that is slow to say goodbye is
    left without one."""
    try:
        yield
    finally:
        for store in stores:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await store.close()


async def _guarded(
    work: Callable[[Stop], Awaitable[Exit]], console: Console, farewell: str, grace: float
) -> Exit:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stop = Stop()
    # asyncio would write tracebacks to standard error by itself, and past the scrubber.
    loop.set_exception_handler(lambda _, context: console.aside(_described(context)))

    def begin_to_stop() -> None:
        if grace:
            console.stopping()
        loop.call_later(grace, task.cancel)

    def asked(number: int, frame: object) -> None:
        # A plain handler: it also runs while something keeps the loop from turning. It must not
        # print, for it may have interrupted a print.
        if stop.asked:
            console.leave()
            os._exit(Exit.INTERRUPTED)
        stop.asked = True
        loop.call_soon_threadsafe(begin_to_stop)

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        exit_code = await work(stop)
    except asyncio.CancelledError as error:
        if not stop.asked:
            raise
        task.uncancel()
        raise Interrupted(farewell) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return exit_code


def _described(context: dict[str, object]) -> str:
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if isinstance(error, Exception) else ""
    return f"in the background: {context.get('message')}\n{trace}".rstrip()


async def _ticking(tick: Callable[[], None]) -> None:
    while True:
        tick()
        await asyncio.sleep(TICK)
