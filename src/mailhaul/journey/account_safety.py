"""A copy of everything that an account holds, in files, before its provider is let at it.

It is made by an ordinary pass, with a ledger of its own, and is what the mailbox is carried from
once the account has been handed over: so every message is proven to be at the target.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import cast

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import MailhaulError
from mailhaul.core.pair import pair_name
from mailhaul.core.text import plural, printable
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Carried, Event, Finished, Options, Side
from mailhaul.engine.passes import run_pass
from mailhaul.journey.account_places import kept_at, kept_endpoint
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.means import CLOSING, Means, Opening, login_of
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.stores.registry import open_target

FRESH = 60.0
"""Seconds on a clock on the wall: a pass that took no longer has missed nothing worth another."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How far the copy is. `whole`: everything is in it that was there a moment ago, but for what
    the words say can't be read."""

    whole: bool
    words: str


async def keep(means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow) -> Kept:
    """Copies for a while. Raises what a pass raises, and `Busy` while somebody else is at it."""
    place, endpoint = kept_at(means, plan, row), kept_endpoint(means, plan, row)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    old = parse_endpoint(person.source)
    async with means.opener.admitted(plan, person):
        with Ledger.open(place / "ledger", pair_name(old, endpoint)) as ledger:
            login = await login_of(means, plan, person, Side.SOURCE)
            spool = means.spool(person)
            source = means.opener.source(Opening(plan, person, old, login, spool))
            target = open_target(endpoint, spool=spool)
            try:
                return await _followed(means, run_pass(source, target, ledger, Options()))
            finally:
                for store in (source, target):
                    with suppress(TimeoutError, MailhaulError):
                        async with asyncio.timeout(CLOSING):
                            await store.close()


async def _followed(means: Means, events: object) -> Kept:
    began, carried = time.monotonic(), 0
    stream = cast("AsyncGenerator[Event, None]", events)
    finished: Finished | None = None
    async with aclosing(stream):
        async for event in stream:
            if isinstance(event, Finished):
                finished = event
            if isinstance(event, Carried):
                carried += event.messages
            late = carried and time.monotonic() - began >= means.slice_seconds
            if late or means.stopping.is_set():
                break
    if finished is None:
        return Kept(False, f"{plural(carried, 'message')} copied in this run")
    tally = finished.tally
    left = tally.refused + tally.missing
    words = f"{plural(tally.census - left, 'message')} kept"
    if left:
        words += f"; {plural(left, 'message')} can't be read, and lie in no copy"
    if finished.unfinished:
        return Kept(False, printable("; ".join(finished.unfinished), 1000))
    return Kept(not tally.carried or time.monotonic() - began < FRESH, words)
