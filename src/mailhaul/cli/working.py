"""What `mailhaul run` and `mailhaul worker` have in common: a worker in this process."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import DATABASE_VARIABLE, Installation
from mailhaul.cli.options import Arguments
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.cli.stopping import Stop
    from mailhaul.journey.shop import Place

# ruff: noqa: PLC0415 - the engine is imported once the command line is good.

STOPPING = 25.0
"""Seconds after which a worker that was asked to stop is cut off; it needs less than 20."""
LOOK = 0.2


def work_here(
    arguments: Arguments,
    surroundings: Surroundings,
    home: Installation,
    *,
    farewell: str,
    over: "Callable[[Connection], bool] | None" = None,
    beside: "Callable[[], None] | None" = None,
) -> None:
    """Works until asked to stop (`Interrupted`, with `farewell`) or `over` is true; calls `beside`
    about once a second meanwhile. Raises `Busy` and `BadInput` when there is no slot."""
    from mailhaul.cli.stopping import run
    from mailhaul.journey.shop import opened_shop
    from mailhaul.journey.worker import work

    async def working(stop: "Stop") -> Exit:
        from mailhaul.cli.exits import Interrupted
        from mailhaul.cli.stopping import loaded

        asked = asyncio.Event()
        async with opened_shop(_place(arguments, surroundings, home), home.database) as shop:
            loaded()
            watch = asyncio.create_task(_watch(stop, asked, beside))
            try:
                await work(shop, asked, over)
            finally:
                watch.cancel()
        if beside is not None:
            beside()
        if stop.asked:
            raise Interrupted(farewell)
        return Exit.COMPLETE

    run(working, surroundings.console, farewell, grace=STOPPING)


async def _watch(stop: "Stop", asked: asyncio.Event, beside: Callable[[], None] | None) -> None:
    turns = 0
    while not stop.asked:
        await asyncio.sleep(LOOK)
        turns += 1
        if beside is not None and turns % 5 == 0:
            # A short look into the database; what it shows is written by this very process.
            await asyncio.to_thread(beside)
    asked.set()


def _place(arguments: Arguments, surroundings: Surroundings, home: Installation) -> "Place":
    from mailhaul.journey.shop import Place

    url = arguments.text("--database") or surroundings.environ.get(DATABASE_VARIABLE) or None
    return Place(
        directory=home.directory,
        database=url,
        environ=surroundings.environ,
        learn=surroundings.scrubber.learn,
        warn=surroundings.console.warn,
        tell=lambda error: _defect(error, surroundings),
    )


def _defect(error: BaseException, surroundings: Surroundings) -> str:
    """Keeps the traceback, without any secret, and says where."""
    from mailhaul.cli.crash import crash_report, keep_crash_report
    from mailhaul.core.text import printable

    report = crash_report(error, surroundings.scrubber)
    path = keep_crash_report(report, surroundings.environ)
    surroundings.console.aside(report.rstrip())
    kept = f", the report is in {printable(str(path), 300)}" if path is not None else ""
    return f"{type(error).__name__}{kept}"
