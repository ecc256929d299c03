"""The providers of real journeys: from a plan's sections to control planes on the network."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import Secret
from mailhaul.engine.outcomes import Side
from mailhaul.journey.control import section_of
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.remembering import Memory, RememberingProvider
from mailhaul.plan.model import ProviderSection
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlasts a run, while the process does: of the provider that this section opens."""

    section: ProviderSection
    directory: Path
    memory: Memory = field(default_factory=lambda: Memory(time.monotonic))
    secrets: dict[str, Secret] = field(default_factory=dict)


class WiredProviders:
    """See `journey.control.Providers`. `resolve` finds what a reference leads to."""

    def __init__(self, resolve: Callable[[str, Path], Awaitable[Credentials]]) -> None:
        self._resolve = resolve
        self._kept: dict[tuple[int, Side], Kept] = {}

    @asynccontextmanager
    async def opened(self, plan: PlanRow, side: Side) -> AsyncIterator[Provider]:
        """See `Providers`."""
        section = section_of(plan, side)
        if section is None:
            raise BadInput(f"the plan names no provider of its {side}; add [{side}.provider]")

        async def login() -> Credentials:
            if not section.secret:
                return Credentials()
            return await self._resolve(section.secret, plan.directory)

        # A plan that is loaded anew may name another service; nobody asks the old one any more.
        kept = self._kept.get((plan.id, side))
        if kept is None or (kept.section, kept.directory) != (section, plan.directory):
            kept = self._kept[plan.id, side] = Kept(section, plan.directory)
        provider = open_provider(
            Settings(
                kind=section.kind,
                service=section.service,
                login=login,
                url=section.url,
                values=section.values,
                directory=plan.directory,
                secrets=kept.secrets,
            )
        )
        try:
            yield RememberingProvider(provider, kept.memory)
        except MailhaulError as error:
            error.side = error.side or side
            raise
        finally:
            await provider.close()
