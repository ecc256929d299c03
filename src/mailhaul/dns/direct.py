"""A resolver that believes nobody but a domain's own servers, where they can be asked."""

from collections.abc import Collection
from dataclasses import replace

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.authority import Delegations
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind
from mailhaul.dns.recursive import GAP, first_telling
from mailhaul.dns.resolver import Network, Resolver
from mailhaul.dns.wire import LONGEST_CHAIN


class DirectResolver:
    """A `Resolver` that asks the servers of `domains` for what lies in these, and `elsewhere` for
    all other names, also those that a CNAME leads to.

    A server that has once been too slow or told nothing is asked last from then on. What none of a
    domain's servers tells, `elsewhere` is asked for too: its word, with its name in the answer, is
    better than none; where it knows nothing either, the answer is that of the domain's servers.
    """

    def __init__(
        self,
        network: Network,
        delegations: Delegations,
        elsewhere: Resolver,
        domains: Collection[str],
        *,
        gap: float = GAP,
    ) -> None:
        self._network = network
        self._delegations = delegations
        self._elsewhere = elsewhere
        self._domains = frozenset(domains)
        self._gap = gap
        self._turn = 0
        self._late: set[Server] = set()

    async def look_up(self, name: str, kind: Kind) -> Answer:
        """As `Resolver` has it."""
        answer = await self._step(name, kind)
        followed = answer.aliases
        while answer.outcome is Outcome.RECORDS and not answer.values and followed:
            if len(followed) >= LONGEST_CHAIN:
                return replace(
                    answer,
                    outcome=Outcome.MALFORMED,
                    said="its CNAMEs lead in a circle, or further than anybody follows",
                )
            further = await self._step(followed[-1], kind)
            followed = (*followed, *further.aliases)
            known = [each.ttl for each in (answer, further) if each.ttl is not None]
            answer = replace(
                further, name=name, aliases=followed, ttl=min(known, default=None), secure=False
            )
            if not further.aliases:
                break
        return answer

    async def _step(self, name: str, kind: Kind) -> Answer:
        domain = next((each for each in self._domains if inside(name, each)), None)
        if domain is None:
            return await self._elsewhere.look_up(name, kind)
        answer = await self._own(domain, name, kind)
        if answer.outcome is Outcome.LAME and name != domain:
            # Part of the domain may be delegated further.
            answer = await self._own(name, name, kind)
        if answer.told:
            return answer
        other = await self._elsewhere.look_up(name, kind)
        return other if other.told else answer

    async def _own(self, within: str, name: str, kind: Kind) -> Answer:
        """What the servers say of the zone that `within` lies in."""
        cut = await self._delegations.cut(within)
        servers = list(await self._delegations.servers(cut))
        if not servers:
            outcome = cut.heard.outcome
            if outcome in (Outcome.RECORDS, Outcome.NODATA):
                outcome = Outcome.UNREACHABLE
            said = cut.heard.said or "its name servers have no address"
            return Answer(name, kind, outcome, server=cut.heard.server, said=said)
        self._turn += 1
        start = self._turn % len(servers)
        order = [*servers[start:], *servers[:start]]
        order.sort(key=lambda each: each in self._late)
        answer = await first_telling(
            self._network, order, name, kind, recursive=False, gap=self._gap
        )
        if answer.told and answer.server != order[0]:
            self._late.add(order[0])
        return answer
