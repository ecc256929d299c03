"""DNS for orders about zones without a network: one zone in memory, written for real by the switch,
and servers that copy it when told to."""

from dataclasses import dataclass, field

from mailhaul.core.text import Secret
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.propagation import Watched
from mailhaul.dns.records import Kind
from mailhaul.dns.zone import Held, Key, ZoneWriter
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.wired_zones import WiredZones
from mailhaul.journey.zone_reach import Ears
from mailhaul.journey.zones import Seen as Row
from mailhaul.journey.zones import Sight, Standing
from tests.dns.memory_zone import MemoryZone

PRIMARY, SECONDARY, CACHE = (Server(f"192.0.2.{n}") for n in (1, 2, 3))


async def no_key(*_: object) -> Secret:
    raise AssertionError("no key is needed")


@dataclass
class PlayedNetwork:
    """`primary` answers from the zone as it is; the others from what they last copied."""

    zone: MemoryZone
    views: dict[Server, dict[Key, Held]] = field(default_factory=dict)
    silent: set[Server] = field(default_factory=set)

    def spread(self, *servers: Server) -> None:
        """Those servers, or all, hold what the primary holds."""
        for each in servers or (SECONDARY, CACHE):
            self.views[each] = self.zone.records()

    async def ask(self, server: Server, name: str, kind: Kind, *, recursive: bool) -> Answer:
        if server in self.silent:
            return Answer(name, kind, Outcome.TIMEOUT, server=server)
        held = self.zone.records() if server == PRIMARY else self.views[server]
        there = held.get((name, kind))
        if there is None:
            return Answer(name, kind, Outcome.NODATA, ttl=600, server=server)
        ttl = there.records.ttl
        return Answer(name, kind, Outcome.RECORDS, there.records.values, ttl, server=server)


@dataclass(frozen=True)
class MemoryReach(WiredZones):
    """`Reach` on a zone in memory; what switches and gives back is the real thing."""

    zone: MemoryZone = field(default_factory=lambda: MemoryZone("acme.example"))
    network: PlayedNetwork = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", PlayedNetwork(self.zone))
        self.network.spread()

    async def writers(self, plan: PlanRow, row: DomainRow) -> tuple[ZoneWriter, ...]:
        return (self.zone,)

    async def ears(self, plan: PlanRow, row: DomainRow) -> Ears:
        asked = (Watched(PRIMARY, True), Watched(SECONDARY, True), Watched(CACHE, False))
        return Ears(self.network, asked, self.zone)

    async def look(self, plan: PlanRow, row: DomainRow) -> Sight:
        new = {str(each) for each in (plan.plan.dns.mx if plan.plan.dns else ())}
        seen = []
        for server in (PRIMARY, SECONDARY, CACHE):
            answer = await self.network.ask(server, row.name, Kind.MX, recursive=False)
            standing = Standing.NEW if set(answer.values) == new else Standing.OLD
            if not answer.told:
                standing = Standing.SILENT
            seen.append(
                Row(str(server), row.name, Kind.MX, standing, answer.outcome.value, answer.values,
                    answer.ttl, server != CACHE)
            )  # fmt: skip
        return Sight(tuple(seen))


def reach(zone: MemoryZone) -> MemoryReach:
    return MemoryReach(no_key, zone=zone)
