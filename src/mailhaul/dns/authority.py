"""Who answers for a domain: the zone that it lies in, whom the parent delegates that to, and what
each of those servers says by itself.

The parent is found by a recursive resolver, and asked directly; its word on who serves the zone is
taken before anybody else's, since that is where the world begins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from mailhaul.dns.answers import SAID, Answer, Outcome, Server
from mailhaul.dns.names import inside, shown
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.recursive import GAP, first_good
from mailhaul.dns.resolver import Resolver
from mailhaul.dns.wire import Reply, answer, serial

MOST_NAMES = 13
"""Name servers of one zone that are asked; a delegation to hundreds is an attack on somebody."""

MOST_ADDRESSES = 6
"""Addresses of one name server that are asked."""

_DEEPEST = 12
"""Delegations that are followed from the nearest zone that a resolver knows."""

Found = TypeVar("Found")


class Replying(Protocol):
    """Something that asks one server and passes its whole reply on: `network.WireNetwork`."""

    async def reply(
        self, server: Server, name: str, kind: Kind, *, recursive: bool, signed: bool = False
    ) -> Reply:
        """Raises nothing that a server could cause."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a zone begins, as its parent has it.

    `names` are the NS that the parent gives, `glue` the addresses that it sends along, `ds` the
    fingerprints of the zone's keys, each sorted. `heard` is what was said of the name that was
    looked for, by the last server on the way down: its outcome is RECORDS where the zone begins at
    that name, NODATA where the name lies within the zone, NXDOMAIN where it isn't there. Any other:
    that server could not be asked, and `names` are the resolver's word or the last known, or empty
    like `zone` where nothing is known. A server that holds both zones tells of no delegation; names
    and all are the zone's own then.
    """

    zone: str
    parent: str
    heard: Answer
    names: tuple[str, ...] = ()
    glue: tuple[RecordSet, ...] = ()
    ds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A name server's name and its addresses. `glue` are those that the parent sends along,
    `resolved` those that its name leads to; `alias` that it is a CNAME. `failure` is the answer
    that left it without any."""

    name: str
    glue: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    alias: bool = False
    failure: Answer | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each address once, IPv4 first."""
        both = sorted({*self.glue, *self.resolved}, key=lambda each: (":" in each, each))
        return tuple(both[:MOST_ADDRESSES])


@dataclass(frozen=True, slots=True)
class Standing:
    """What one server, at one address, says of the zone. `signed`: it sends signatures along."""

    server: Server
    soa: Answer
    names: Answer
    signed: bool = False

    @property
    def serving(self) -> bool:
        """Whether it speaks for the zone."""
        return self.soa.outcome is Outcome.RECORDS and bool(self.soa.values)

    @property
    def serial(self) -> int | None:
        return serial(self.soa.values[0]) if self.serving else None


@dataclass(frozen=True, slots=True)
class Authority:
    """All that there is to know about who answers for `domain`. `verdict` is what the recursive
    resolver makes of the zone: `secure` where it has verified it."""

    domain: str
    cut: Cut
    hosts: tuple[Host, ...]
    standings: tuple[Standing, ...]
    verdict: Answer

    @property
    def zone(self) -> str:
        return self.cut.zone

    @property
    def servers(self) -> tuple[Server, ...]:
        """Those that speak for the zone."""
        return tuple(each.server for each in self.standings if each.serving)


class Delegations:
    """Finds zones and their servers, and remembers what it has found: made for one look at any
    number of domains. `port` is that of all authoritative servers."""

    def __init__(
        self, network: Replying, resolver: Resolver, *, port: int = 53, gap: float = GAP
    ) -> None:
        self._network = network
        self._resolver = resolver
        self._port = port
        self._gap = gap
        self._cuts: dict[str, asyncio.Task[Cut]] = {}
        self._servers: dict[str, asyncio.Task[tuple[Host, ...]]] = {}

    async def cut(self, name: str) -> Cut:
        """The beginning of the zone that the name lies in. Raises nothing."""
        return await _once(self._cuts, name, lambda: self._found(name))

    async def hosts(self, cut: Cut) -> tuple[Host, ...]:
        """The servers that the cut names, with their addresses."""
        return await _once(self._servers, cut.zone, lambda: self._hosts(cut.names, cut.glue))

    async def servers(self, cut: Cut) -> tuple[Server, ...]:
        """Every address of the servers that the cut names."""
        return tuple(self._at(await self.hosts(cut)))

    async def survey(self, domain: str) -> Authority:
        """What the parent, every server of the zone and the resolver say. Raises nothing."""
        cut = await self.cut(domain)
        if not cut.names or cut.heard.outcome is Outcome.NXDOMAIN:
            return Authority(domain, cut, (), (), await self._resolver.look_up(domain, Kind.SOA))
        verdict = asyncio.ensure_future(self._resolver.look_up(cut.zone, Kind.SOA))
        hosts = await self.hosts(cut)
        standings = await self._standings(cut.zone, self._at(hosts))
        own = {name for each in standings for name in each.names.values} - set(cut.names)
        if own:
            more = await self._hosts(sorted(own))
            known = {each.server.address for each in standings}
            fresh = [each for each in self._at(more) if each.address not in known]
            hosts, standings = (
                (*hosts, *more),
                (*standings, *await self._standings(cut.zone, fresh)),
            )
        return Authority(domain, cut, hosts, tuple(standings), await verdict)

    async def _found(self, name: str) -> Cut:
        """From the nearest zone above that the resolver knows, down along the delegations."""
        zone, names, heard = await self._nearest(name)
        if not names and heard.told:
            # That there are no zones above a name is no word on the name itself.
            said = f"it knows no zone above {shown(name)}"
            heard = Answer(name, Kind.NS, Outcome.MALFORMED, server=heard.server, said=said)
        cut = None
        servers = tuple(self._at(await self._hosts(names[:4])))
        for _ in range(_DEEPEST if names else 0):
            server, reply = await self._word(servers, zone, name)
            heard = answer(reply, name, Kind.NS, server, recursive=False)
            further = _referral(reply, zone, name)
            if further is not None:
                cut = _delegated(further, zone, reply, heard)
                zone, servers = cut.zone, await self.servers(cut)
                if zone == name:
                    return cut
                continue
            if heard.outcome is Outcome.RECORDS and heard.values and not heard.aliases:
                ds = await self._resolver.look_up(name, Kind.DS)
                return Cut(name, zone, heard, heard.values, reply.additional, ds.values)
            if not heard.told:
                break
            # It lies in the zone whose servers were asked.
            nothing = Outcome.NXDOMAIN if heard.outcome is Outcome.NXDOMAIN else Outcome.NODATA
            heard = replace(heard, outcome=nothing, values=())
            above = cut or (await self.cut(zone) if zone else None)
            if above is not None and above.zone == zone:
                return replace(above, heard=heard)
            return Cut(zone, "", heard, names)
        return replace(cut, heard=heard) if cut else await self._by_resolver(name, heard)

    async def _nearest(self, name: str) -> tuple[str, tuple[str, ...], Answer]:
        """The nearest zone above the name, and its servers; the root is the empty name."""
        above = name
        while True:
            above = above.partition(".")[2]
            heard = await self._resolver.look_up(above or ".", Kind.NS)
            if heard.values and not heard.aliases:
                return above, heard.values, heard
            if not above:
                return "", (), heard

    async def _by_resolver(self, name: str, heard: Answer) -> Cut:
        """The zone as the resolver has it, where no server above can be asked."""
        zone = name
        while zone:
            known = await self._resolver.look_up(zone, Kind.NS)
            if known.values and not known.aliases:
                return Cut(zone, "", heard, known.values)
            if not known.told:
                break
            zone = zone.partition(".")[2]
        return Cut("", "", heard)

    async def _hosts(
        self, names: Iterable[str], glue: Iterable[RecordSet] = ()
    ) -> tuple[Host, ...]:
        sent = tuple(glue)
        wanted = tuple(names)[:MOST_NAMES]
        return tuple(await asyncio.gather(*(self._host(name, sent) for name in wanted)))

    async def _host(self, name: str, glue: Iterable[RecordSet]) -> Host:
        sent = tuple(
            value
            for each in glue
            if each.name == name and each.kind in (Kind.A, Kind.AAAA)
            for value in each.values
        )
        found = await asyncio.gather(
            self._resolver.look_up(name, Kind.A), self._resolver.look_up(name, Kind.AAAA)
        )
        resolved = tuple(value for each in found for value in each.values)
        failure = None if sent or resolved else found[0]
        return Host(name, sent, resolved, any(each.aliases for each in found), failure)

    def _at(self, hosts: Iterable[Host]) -> Iterator[Server]:
        """Each address once, whatever the names; every name's first address before any second."""
        seen: set[str] = set()
        addresses = [(host.name, host.addresses) for host in hosts]
        for turn in range(MOST_ADDRESSES):
            for name, own in addresses:
                if turn < len(own) and own[turn] not in seen:
                    seen.add(own[turn])
                    yield Server(own[turn], self._port, name)

    async def _word(self, servers: Iterable[Server], zone: str, name: str) -> tuple[Server, Reply]:
        """What the zone's first server says that knows who serves the name, be it whom to ask
        instead; else what the last one says."""

        def knows(came: tuple[Server, Reply]) -> bool:
            _, reply = came
            said = reply.authoritative and reply.outcome in SAID
            return said or _referral(reply, zone, name) is not None

        def ask(server: Server) -> Callable[[], Awaitable[tuple[Server, Reply]]]:
            async def asked() -> tuple[Server, Reply]:
                return server, await self._network.reply(
                    server, name, Kind.NS, recursive=False, signed=True
                )

            return asked

        came = await first_good([ask(each) for each in servers], knows, self._gap)
        if not came:
            return Server("", self._port), Reply(
                Outcome.UNREACHABLE, said="its name servers have no address"
            )
        return came[-1]

    async def _standings(self, zone: str, servers: Iterable[Server]) -> tuple[Standing, ...]:
        return tuple(await asyncio.gather(*(self._standing(zone, each) for each in servers)))

    async def _standing(self, zone: str, server: Server) -> Standing:
        soa, names = await asyncio.gather(
            self._network.reply(server, zone, Kind.SOA, recursive=False, signed=True),
            self._network.reply(server, zone, Kind.NS, recursive=False),
        )
        return Standing(
            server,
            answer(soa, zone, Kind.SOA, server, recursive=False),
            answer(names, zone, Kind.NS, server, recursive=False),
            soa.signed,
        )


def _referral(reply: Reply, zone: str, name: str) -> RecordSet | None:
    """The delegation towards the name that the reply tells of; None: it tells of none that leads
    further down than `zone`, as an upward one or one to itself of a lame server."""
    if reply.outcome is not Outcome.RECORDS or reply.authoritative or reply.answer:
        return None
    for each in reply.authority:
        below = each.name != zone and (not zone or inside(each.name, zone))
        if each.kind is Kind.NS and below and inside(name, each.name):
            return each
    return None


def _delegated(further: RecordSet, parent: str, reply: Reply, heard: Answer) -> Cut:
    ds = tuple(
        value
        for each in reply.authority
        if each.key == (further.name, Kind.DS)
        for value in each.values
    )
    told = replace(heard, outcome=Outcome.RECORDS, values=further.values, ttl=further.ttl, said="")
    return Cut(further.name, parent, told, further.values, reply.additional, ds)


async def _once(
    known: dict[str, asyncio.Task[Found]],
    key: str,
    start: Callable[[], Coroutine[None, None, Found]],
) -> Found:
    """What was found under the key, or is being found: whoever began may be cancelled meanwhile."""
    task = known.get(key)
    if task is None:
        task = known[key] = asyncio.create_task(start())
    return await asyncio.shield(task)
