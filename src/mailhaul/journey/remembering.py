"""A provider whose longest lists are asked for once for many accounts.

A look at one account needs the whole service's addresses, to collide with none. Asked anew for each
of a thousand accounts that would be a million questions, and hosters throttle.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailhaul.core.text import Secret
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import Action
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import Planned, Provider, Task
from mailhaul.providers.service import Account, Contacts, HostedDomain, Service

FRESH = 20.0
"""Seconds for which a list is as good as new. What is about to be begun is asked for by itself."""


@dataclass(slots=True)
class Memory:
    """What one service said lately. `now` is a clock on the wall."""

    now: Callable[[], float]
    _said: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def of(self, name: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What was said, or is said now; of several who ask at once one does."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            found = self._said.get(name)
            if found is None or self.now() - found[0] > FRESH:
                answer = await ask()
                found = self._said[name] = (self.now(), answer)
            return found[1]


class RememberingProvider:
    """See `Provider`: lists of the whole service may be some seconds old, all else is asked for."""

    def __init__(self, inner: Provider, memory: Memory) -> None:
        self._inner = inner
        self._memory = memory

    async def service(self) -> Service:
        found: Service = await self._memory.of("service", self._inner.service)
        return found

    async def accounts(self) -> Sequence[Account]:
        found: Sequence[Account] = await self._memory.of("accounts", self._inner.accounts)
        return found

    async def account(self, address: str) -> Account | None:
        return await self._inner.account(address)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        if address:
            return await self._inner.extras(address)
        found: Sequence[Extra] = await self._memory.of("extras", self._inner.extras)
        return found

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        return await self._inner.obstacles(address, action)

    async def domains(self) -> Sequence[HostedDomain]:
        return await self._inner.domains()

    async def contacts(self) -> Contacts:
        found: Contacts = await self._memory.of("contacts", self._inner.contacts)
        return found

    async def zone(self, domain: str) -> ZoneWriter:
        return await self._inner.zone(domain)

    async def plan(self, action: Action) -> Planned:
        return await self._inner.plan(action)

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        return await self._inner.begin(action, key, secret)

    async def task(self, number: str) -> Task:
        return await self._inner.task(number)

    async def close(self) -> None:
        await self._inner.close()
