"""Opening mailboxes within the plan's budgets: permits for connections, rations of messages and
octets, held by all workers together (`journey.budgets`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import Busy
from mailhaul.core.store import Source, Target
from mailhaul.db.database import Database
from mailhaul.journey.budgets import (
    PERMIT_LASTS,
    BudgetSpent,
    Limits,
    account_name,
    release,
    system_name,
    take_connections,
)
from mailhaul.journey.clock import Clock
from mailhaul.journey.means import Opener, Opening, PlainOpener
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.ration import Ration, RationedSource, rationed_target
from mailhaul.journey.rows import MailboxRow
from mailhaul.plan.model import System
from mailhaul.plan.presets import Side, budget_of


@dataclass(frozen=True, slots=True)
class _Permit:
    name: str
    wanted: int
    most: int | None


class BudgetedOpener:
    """The opener of real journeys. One serves all mailboxes of a worker: what is rationed is
    rationed for all of them."""

    def __init__(
        self, database: Database, clock: Clock, worker: str, inner: Opener | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._rations: dict[tuple[str, Limits], Ration] = {}
        self._inner = inner or PlainOpener()

    def source(self, opening: Opening) -> Source:
        """See `Opener`."""
        inner = self._inner.source(opening)
        rations = self._for(opening, opening.read, Side.SOURCE)
        return RationedSource(inner, rations) if rations else inner

    def target(self, opening: Opening) -> Target:
        """See `Opener`."""
        inner = self._inner.target(opening)
        rations = self._for(opening, opening.written, Side.TARGET)
        return rationed_target(inner, rations) if rations else inner

    @asynccontextmanager
    async def admitted(
        self, plan: PlanRow, row: MailboxRow, *, rationed: bool = True
    ) -> AsyncIterator[None]:
        """See `Opener`. Whoever found the day's octets taken keeps the others from trying."""
        if rationed:
            self._refuse_spent(row)
        permits = _permits(plan, row)

        def take(connection: Connection) -> None:
            # In the order of their names, so that two never wait for each other.
            for permit in permits:
                taken = take_connections(
                    connection,
                    permit.name,
                    row.id,
                    permit.wanted,
                    permit.most,
                    worker=self._worker,
                    at=self._clock.now(),
                    lasts=PERMIT_LASTS * self._clock.speed,
                )
                if not taken:
                    # With the transaction go the permits that were there.
                    raise Busy(f"all connections to {permit.name} that the plan allows are in use")

        def give_back(connection: Connection) -> None:
            for permit in permits:
                release(connection, permit.name, row.id, worker=self._worker)

        if permits:
            await self._database.run(take)
        try:
            yield
        finally:
            if permits:
                await self._database.run(give_back)

    async def close(self) -> None:
        """Gives back what was taken and not used."""
        for ration in self._rations.values():
            await ration.close()
        self._rations.clear()

    def _refuse_spent(self, row: MailboxRow) -> None:
        """Raises `BudgetSpent` while the day's octets of one of the row's systems are taken."""
        now = self._clock.now()
        ends = {Side.SOURCE: parse_endpoint(row.source), Side.TARGET: parse_endpoint(row.target)}
        names = {
            f"{name} {side}"
            for side, endpoint in ends.items()
            for name in (system_name(endpoint), account_name(endpoint))
        }
        for (name, _), ration in self._rations.items():
            if name in names and ration.spent_until > now:
                text = f"{name}: the day's octets have been carried; it goes on tomorrow"
                until = ration.spent_until
                raise BudgetSpent(text, until=until, after=max(1.0, until - now))

    def _for(self, opening: Opening, system: System, side: Side) -> list[Ration]:
        endpoint, zone = opening.endpoint, opening.plan.plan.zone
        if endpoint.is_file:
            return []
        budget = budget_of(system, side)
        each = [
            (
                f"{system_name(endpoint)} {side}",
                Limits(None, budget.messages_per_second, budget.octets_per_day),
            ),
            (
                f"{account_name(endpoint)} {side}",
                Limits(None, budget.messages_per_second_each, budget.octets_per_day_each),
            ),
        ]
        if not opening.rationed:
            each = [(name, replace(limits, octets_per_day=None)) for name, limits in each]
        found = []
        for name, limits in each:
            if limits == Limits():
                continue
            if (name, limits) not in self._rations:
                ration = Ration(self._database, name, limits, zone, self._clock)
                self._rations[name, limits] = ration
            found.append(self._rations[name, limits])
        return found


def _permits(plan: PlanRow, row: MailboxRow) -> list[_Permit]:
    sides = (
        (plan.plan.source, Side.SOURCE, parse_endpoint(row.source)),
        (plan.plan.target, Side.TARGET, parse_endpoint(row.target)),
    )
    found: dict[str, _Permit] = {}
    for system, side, endpoint in sides:
        most = budget_of(system, side).connections
        name = system_name(endpoint)
        if most is None or not name:
            continue
        before = found.get(name, _Permit(name, 0, most))
        # Both sides at one system: what is stricter holds.
        wanted = before.wanted + system.connections_each
        found[name] = _Permit(name, wanted, min(most, before.most or most))
    return sorted(found.values(), key=lambda permit: permit.name)


def places(plan: PlanRow, usual: int) -> int:
    """How many of the plan's mailboxes can be carried at the same time within its budgets."""
    sides = ((plan.plan.source, Side.SOURCE), (plan.plan.target, Side.TARGET))
    found = [
        max(1, budget.connections // system.connections_each)
        for system, side in sides
        if (budget := budget_of(system, side)).connections is not None
    ]
    return min(found, default=usual)
