"""Many accounts, aliases and groups made at one provider: looked at first, licences counted before
anything is begun, each one's end told. What stands already is left as it is, so that whatever was
interrupted is finished by saying it again.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import Secret, plural, printable
from mailhaul.providers.actions import Action, Add, Configure, Create
from mailhaul.providers.addresses import folded
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.obstacles import KNOWN
from mailhaul.providers.picking import Picked, pick_all
from mailhaul.providers.provider import (
    OVER,
    Planned,
    Provider,
    Refused,
    Task,
    TaskState,
    Unsupported,
)
from mailhaul.providers.service import AccountState, Verb

AT_ONCE = 4
"""Microsoft Graph allows an application four requests beside each other."""
ATTEMPTS = 3
ABSENT = "ACCOUNT_EMPTY"


@dataclass(frozen=True, slots=True)
class Pause:
    """How waiting is done: between two looks at a task `first` seconds, then longer each time up to
    `every`; `patience` seconds in all. `sleep` waits."""

    first: float = 0.2
    every: float = 5.0
    patience: float = 3600.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Fate(StrEnum):
    """What came of one of them."""

    THERE = "there already"
    MADE = "created"
    WAITS = "waits"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Looked:
    """One that is wanted, and what making it would do. `why` is printable and says why it can't be
    made; empty where it can."""

    action: Action
    holds: bool = False
    lines: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """One that was wanted, and what came of it; `said` is printable."""

    action: Action
    fate: Fate
    said: str = ""


def address_of(action: Action) -> str:
    """What it is called for people: its address, or an extra's."""
    match action:
        case Create(address=address) | Configure(address=address):
            return address
        case Add(extra=extra):
            return getattr(extra, "alias", "") or extra.address
        case _:
            raise AssertionError(f"{type(action).__name__} makes nothing")


async def look(
    provider: Provider,
    wanted: Sequence[Action],
    reserved: Collection[str] = (),
    coming: Collection[str] = (),
) -> list[Looked]:
    """What making each of them would do now; changes nothing. Accounts are made from placeholders
    where the service has these, `reserved` ones left out. That an account isn't there yet stands in
    nobody's way where it is `coming`. Raises as the provider does, but not for one that can't be
    made."""
    soon = {folded(each) for each in coming}
    free = asyncio.Semaphore(AT_ONCE)

    async def one(each: Looked) -> Looked:
        if each.why or each.holds:
            return each
        async with free:
            try:
                planned = await provider.plan(each.action)
            except (Unsupported, BadInput) as error:
                return Looked(each.action, why=printable(str(error), 500))
            return _judged(each.action, planned, soon)

    return await asyncio.gather(*map(one, await _placed(provider, wanted, reserved)))


def lacking(looked: Iterable[Looked], free: int | None) -> str:
    """How many accounts or licences are lacking for all that would be made; empty when none are, or
    when the provider doesn't count them."""
    needed = sum(isinstance(each.action, Create | Configure) and not each.holds for each in looked)
    if free is None or needed <= free:
        return ""
    return (
        f"{plural(needed, 'account')} would be made and {free} can be; order or buy "
        f"{needed - free} more, or take them out of the list"
    )


async def make(
    provider: Provider,
    looked: Sequence[Looked],
    key: Callable[[Action, int], str],
    secret: Callable[[Action], Awaitable[Secret | None]],
    pause: Pause,
) -> AsyncGenerator[Made, None]:
    """Makes all that can be and isn't there, a few beside each other, in the order in which they
    end. `key` is by which the provider knows each again, the same for the same action and number
    of attempts in every process. Raises what is wrong with the whole control plane (`Closed`);
    whatever has been begun goes on at the provider then, and is found by the next run."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(each: Looked) -> Made:
        if each.holds:
            return Made(each.action, Fate.THERE)
        if each.why:
            return Made(each.action, Fate.FAILED, each.why)
        async with free:
            return await _made(provider, each.action, key, secret, pause)

    tasks = [asyncio.create_task(one(each)) for each in looked]
    try:
        for ended in asyncio.as_completed(tasks):
            yield await ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settled(provider: Provider, pause: Pause) -> None:
    """Waits until no account of the service is being changed: what an earlier run began is over
    then, and no placeholder is chosen twice. Raises `RetryLater` when patience ends."""
    waiting = _Waiting(pause)
    while any(each.state is AccountState.BUSY for each in await provider.accounts()):
        if waiting.left <= 0:
            raise RetryLater(
                "accounts of the service are still being changed; wait for the provider's tasks, "
                "then say it again"
            )
        await waiting.some()


async def _placed(
    provider: Provider, wanted: Sequence[Action], reserved: Collection[str]
) -> list[Looked]:
    """Each with its placeholder, where accounts are made so."""
    service = await provider.service()
    accounts = await provider.accounts()
    there = {
        folded(each.address) for each in accounts if each.state is not AccountState.PLACEHOLDER
    }
    sizes = {
        each.address: each.quota
        for each in wanted
        if isinstance(each, Create) and folded(each.address) not in there
    }
    places: Mapping[str, Picked] = {}
    if Verb.CONFIGURE in service.verbs:
        places = pick_all(accounts, sizes, reserved, service.quota)
    return [_at(each, there, places, Verb.CREATE in service.verbs) for each in wanted]


def _at(
    action: Action, there: Collection[str], places: Mapping[str, Picked], creates: bool
) -> Looked:
    if not isinstance(action, Create):
        return Looked(action)
    if folded(action.address) in there:
        return Looked(action, holds=True)
    place = places.get(action.address)
    if place is None or (place.placeholder is None and creates):
        return Looked(action)
    if place.placeholder is None:
        return Looked(action, why="; ".join(map(_told, place.findings)))
    return Looked(Configure(place.placeholder, action.address, action.name))


def _judged(action: Action, planned: Planned, soon: Collection[str]) -> Looked:
    awaited = isinstance(action, Add) and folded(action.extra.address) in soon
    against = [
        each
        for each in planned.findings
        if each.severity is Severity.BLOCKS and not (awaited and each.code == ABSENT)
    ]
    why = "; ".join(map(_told, against))
    return Looked(action, planned.holds, planned.lines, "" if planned.holds else why)


def _told(found: Finding) -> str:
    """Fact, value, cure: a code's meaning is no part of the finding."""
    known = KNOWN.get(found.code)
    fact = found.evidence
    if known is not None and known.means != fact:
        fact = f"{known.means}: {fact}"
    return printable(f"{fact}; {found.remedy}", 500)


async def _made(
    provider: Provider,
    action: Action,
    key: Callable[[Action, int], str],
    secret: Callable[[Action], Awaitable[Secret | None]],
    pause: Pause,
) -> Made:
    waiting = _Waiting(pause)
    try:
        for attempt in range(ATTEMPTS):
            task = await _over(provider, action, key(action, attempt), secret, waiting)
            if task.state not in OVER:
                return Made(action, Fate.WAITS, _said(task, "the provider's task goes on"))
            if task.state is not TaskState.DONE:
                said = _said(task, "the provider gives no reason")
                return Made(action, Fate.FAILED, f"its task ended in {task.state.value}: {said}")
            if await holding(provider, action) is Holding.HOLDS:
                return Made(action, Fate.MADE)
            # A task of an earlier run, whose work somebody has taken away since.
            await waiting.some()
    except Refused as error:
        return Made(action, Fate.FAILED, "; ".join(map(_told, error.findings)))
    except (Unsupported, BadInput) as error:
        return Made(action, Fate.FAILED, printable(str(error), 500))
    except RetryLater as error:
        return Made(action, Fate.WAITS, printable(str(error), 500))
    return Made(action, Fate.FAILED, "the provider says that it is done, and it isn't there")


class _Waiting:
    """How long has been waited for one of them."""

    def __init__(self, pause: Pause) -> None:
        self.pause = pause
        self.left = pause.patience
        self.next = pause.first

    async def some(self, seconds: float = 0.0) -> None:
        """So long, or until the next look."""
        if not seconds:
            seconds, self.next = self.next, min(self.pause.every, 2 * self.next)
        self.left -= max(seconds, 0.1)
        await self.pause.sleep(seconds)


async def _over(
    provider: Provider,
    action: Action,
    key: str,
    secret: Callable[[Action], Awaitable[Secret | None]],
    waiting: _Waiting,
) -> Task:
    """The task once it is over, or when patience has ended, or a person has to do it."""
    number: str | None = None
    while True:
        try:
            if number is None:
                task = await provider.begin(action, key, await secret(action))
            else:
                task = await _asked(provider, action, number)
        except RetryLater as error:
            if waiting.left <= 0:
                raise
            await waiting.some(error.after)
            continue
        number = task.id
        if task.state in OVER or task.by_person or waiting.left <= 0:
            return task
        await waiting.some()


async def _asked(provider: Provider, action: Action, number: str) -> Task:
    """How far the task is; of one that the provider has forgotten, what became of it."""
    try:
        return await provider.task(number)
    except BadInput:
        if await holding(provider, action) is Holding.HOLDS:
            return Task(number, TaskState.DONE)
        return Task(number, TaskState.ERROR, "the provider has forgotten its task")


def _said(task: Task, otherwise: str) -> str:
    return printable(task.said, 500) or otherwise
