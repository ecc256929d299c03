"""`Post` is all that journeys know of mail hosts: asking whom they know, handing them one message.

The worker is handed one in its means; tests have one without a network.
"""

import ssl
from collections.abc import Sequence
from typing import Protocol

from mailhaul.canary.mark import Canary
from mailhaul.canary.pace import Pace
from mailhaul.canary.probe import Probes, ask
from mailhaul.canary.routes import Route, Via
from mailhaul.canary.send import Sent, send
from mailhaul.canary.smtp import trusting
from mailhaul.dns.asking import asking
from mailhaul.dns.guard import Allowance, allowance
from mailhaul.dns.records import MailHost
from mailhaul.journey.clock import Clock
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.mail_routes import canary_terms, route_by_mx, route_to
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.zones import expected_of


class Post(Protocol):
    """Mail hosts from the outside. Addresses are as `mail_routes.mail_address` writes them."""

    async def ask(
        self, plan: PlanRow, zone: DomainRow, via: Via, recipients: Sequence[str], token: str
    ) -> Probes:
        """Asks once about recipients of the domain by that way; nothing is sent. Raises
        `RetryLater` when nobody says where the hosts are, and `BadInput` for what the plan has not
        agreed to."""

    async def send(self, plan: PlanRow, zone: DomainRow, canary: Canary) -> Sent:
        """Hands the message to the first host of its way, once. Raises as `ask` does, and then
        nothing was said to anybody."""


class WiredPost:
    """`Post` on the real network. One serves all plans of a worker: each has one pace."""

    def __init__(self, clock: Clock, trust: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._trust = trust
        self._paces: dict[tuple[int, float], Pace] = {}

    async def ask(
        self, plan: PlanRow, zone: DomainRow, via: Via, recipients: Sequence[str], token: str
    ) -> Probes:
        """See `Post`."""
        assert plan.plan.canary is not None
        terms = canary_terms(plan.plan.canary, recipients, [zone.name])
        route, allowed = await self._route(plan, zone, via)
        pace = self._pace(plan)
        return await ask(route, recipients, terms, pace, allowed, self._trusted(), token)

    async def send(self, plan: PlanRow, zone: DomainRow, canary: Canary) -> Sent:
        """See `Post`."""
        assert plan.plan.canary is not None
        terms = canary_terms(plan.plan.canary, [canary.recipient], [zone.name])
        route, allowed = await self._route(plan, zone, canary.via)
        pace, now = self._pace(plan), self._clock.now
        return await send(canary, route, terms, pace, allowed, self._trusted(), now)

    async def _route(self, plan: PlanRow, zone: DomainRow, via: Via) -> tuple[Route, Allowance]:
        dns, canary = plan.plan.dns, plan.plan.canary
        assert dns is not None
        assert canary is not None
        allowed = allowance(dns.allow_networks)
        resolver = asking(allowed, dns.resolvers, port=dns.port).recursive
        if via in (Via.MX, Via.FILTER):
            return await route_by_mx(resolver, zone.name, via, canary.port), allowed
        expected = expected_of(plan.plan, zone.name, zone.old_mx or ())
        hosts = expected.mx
        if via is Via.OLD:
            hosts = tuple(MailHost(*each) for each in enumerate(expected.old_mx))
        return await route_to(resolver, zone.name, hosts, via, canary.port), allowed

    def _pace(self, plan: PlanRow) -> Pace:
        assert plan.plan.canary is not None
        key = plan.id, plan.plan.canary.per_minute
        if key not in self._paces:
            self._paces[key] = Pace(plan.plan.canary.per_minute)
        return self._paces[key]

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = trusting()
        return self._trust
