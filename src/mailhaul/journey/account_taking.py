"""One step of an account's move, taken as far as it goes now: begun, asked for again, or looked at.

A task's word is not the truth: what ended in error may hold, and what is done may not. So when a
task is over, it is looked at what stands (`providers.effects`).
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_steps import StepRow
from mailhaul.journey.control import Providers
from mailhaul.journey.plans import PlanRow
from mailhaul.providers.actions import HandOver
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.provider import OVER, Provider, Refused, Task, TaskState, Unsupported

ASK_EVERY = 0.3
"""Seconds between two questions after a task that somebody stays with."""
TRIES = 3
"""So often is begun what ended in error and can be begun again."""


class Came(StrEnum):
    """What came of it."""

    DONE = "done"
    WAITS = "the provider is at it"
    AGAIN = "it is to be begun once more"
    REFUSED = "nothing was changed"
    BROKEN = "it ended half way"


@dataclass(frozen=True, slots=True)
class Taken:
    """How far the step is. `said` is printable; `task` is the provider's number for it."""

    came: Came
    said: str = ""
    task: str = ""
    by_person: bool = False


async def take(
    providers: Providers,
    plan: PlanRow,
    step: StepRow,
    secret: Secret | None,
    *,
    first: bool,
    stay: float = 0.0,
) -> Taken:
    """Begins the step, or asks how far it is, and for `stay` seconds asks again. The step's row
    says BEGUN already; `first`: nobody has begun it before. Raises what providers raise; it may
    have been begun by then."""
    assert step.action is not None
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(providers.opened(plan, step.side))
        other: Provider | None = None
        if isinstance(step.action, HandOver):
            other = await stack.enter_async_context(providers.opened(plan, Side.TARGET))
        if step.task:
            try:
                task = await provider.task(step.task)
            except BadInput:
                return await _forgotten(provider, other, step)
        else:
            try:
                task = await provider.begin(step.action, step.key, secret)
            except (Refused, Unsupported, BadInput) as error:
                return await _refused(provider, other, step, str(error), first)
        return await _judged(provider, other, step, await _ended(provider, task, stay))


async def _ended(provider: Provider, task: Task, stay: float) -> Task:
    """The task once it is over, or how far it is when the time is."""
    until = time.monotonic() + stay
    while task.state not in OVER and not task.by_person and time.monotonic() < until:
        await asyncio.sleep(ASK_EVERY)
        try:
            task = await provider.task(task.id)
        except BadInput:
            # Forgotten so soon; whoever asks next looks at what holds.
            break
    return task


async def _judged(provider: Provider, other: Provider | None, step: StepRow, task: Task) -> Taken:
    assert step.action is not None
    said = printable(task.said, 500)
    waits = Taken(Came.WAITS, said, task.id, task.by_person)
    if task.state not in OVER:
        return waits
    held = await holding(provider, step.action, other)
    if held is Holding.HOLDS or (task.by_person and task.state is TaskState.DONE):
        return Taken(Came.DONE, said, task.id, task.by_person)
    if held is Holding.UNKNOWN:
        return waits
    if task.state is TaskState.DONE:
        # Some tell of an account only minutes after they have made it.
        why = "the provider says that it is done, and it can't be seen yet"
        return Taken(Came.WAITS, f"{said}; {why}" if said else why, task.id)
    why = printable(f"the provider's task ended: {task.state}{f', {said}' if said else ''}", 500)
    if step.tries < TRIES:
        return Taken(Came.AGAIN, why)
    return Taken(Came.REFUSED if held is Holding.ABSENT else Came.BROKEN, why)


async def _forgotten(provider: Provider, other: Provider | None, step: StepRow) -> Taken:
    """The provider knows nothing of its task any more."""
    assert step.action is not None
    match await holding(provider, step.action, other):
        case Holding.HOLDS:
            return Taken(Came.DONE, "the provider has forgotten its task; it holds", step.task)
        case Holding.UNKNOWN:
            return Taken(Came.WAITS, "the provider is at work on it", step.task)
        case held:
            why = "the provider has forgotten its task, and it doesn't hold"
            if step.tries < TRIES:
                return Taken(Came.AGAIN, why)
            return Taken(Came.REFUSED if held is Holding.ABSENT else Came.BROKEN, why)


async def _refused(
    provider: Provider, other: Provider | None, step: StepRow, why: str, first: bool
) -> Taken:
    """An earlier try, of which nothing was heard, may have left something."""
    assert step.action is not None
    said = printable(why, 1000)
    if first:
        return Taken(Came.REFUSED, said)
    match await holding(provider, step.action, other):
        case Holding.HOLDS:
            return Taken(Came.DONE, said)
        case Holding.UNKNOWN:
            return Taken(Came.WAITS, said)
        case Holding.PARTLY:
            return Taken(Came.BROKEN, said)
        case Holding.ABSENT:
            return Taken(Came.REFUSED, said)
