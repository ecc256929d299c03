"""A zone that a person changes: shown what to write, and watched at its own servers."""

import asyncio
from collections.abc import Iterable, Sequence

from mailhaul.dns.answers import Outcome, Server
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind, zone_value
from mailhaul.dns.resolver import Network
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.watching import by_wildcard, own_values
from mailhaul.dns.wire import serial
from mailhaul.dns.zone import Edit, Held, Key, PersonWrites, ZoneError, difference, held, nothing

_ROUND = 1 << 32


class ManualZone:
    """A `ZoneWriter` whose hand is a person's: `change` always ends in `PersonWrites`. `servers`
    are the zone's own, all their addresses; `dns.watching.watched` tells when all have the change,
    and `dns.switch.apply` with the same snapshot says DONE as soon as the newest of them has."""

    by_person = True

    def __init__(self, zone: str, servers: Sequence[Server], network: Network) -> None:
        self._zone = zone
        self._servers = tuple(servers)
        self._network = network

    @property
    def zone(self) -> str:
        return self._zone

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        """As `ZoneWriter` has it, from the server with the newest serial: those behind it haven't
        heard yet."""
        keys = tuple(keys)
        for key in keys:
            if not inside(key[0], self._zone):
                raise ZoneError(Code.ZONE_NOT_SERVED, f"{key[0]} is not in the zone {self._zone}")
        server = await self._newest()
        found = await asyncio.gather(*(self._read(server, key) for key in keys))
        return dict(zip(keys, found, strict=True))

    async def change(self, edits: Sequence[Edit]) -> None:
        """As `ZoneWriter` has it: raises `PersonWrites`, or nothing where nothing is to do."""
        if edits:
            raise PersonWrites(difference(edits))

    async def _newest(self) -> Server:
        answers = await asyncio.gather(
            *(
                self._network.ask(server, self._zone, Kind.SOA, recursive=False)
                for server in self._servers
            )
        )
        told = [each for each in answers if each.outcome is Outcome.RECORDS and each.values]
        if not told:
            said = "; ".join(f"{each.server}: {each.outcome}" for each in answers)
            raise ZoneError(
                Code.ZONE_UNREACHABLE,
                f"none of the servers of {self._zone} tells its serial: {said or 'none is known'}",
            )
        newest = told[0]
        for each in told[1:]:
            if _later(serial(each.values[0]), serial(newest.values[0])):
                newest = each
        assert newest.server is not None
        return newest.server

    async def _read(self, server: Server, key: Key) -> Held:
        name, kind = key
        answer = await self._network.ask(server, name, kind, recursive=False)
        if not answer.told:
            said = f": {answer.said}" if answer.said else ""
            raise ZoneError(
                Code.ZONE_UNREACHABLE, f"{server} says of {kind} {name}: {answer.outcome}{said}"
            )
        values = own_values(answer)
        if not values:
            return nothing(key)
        if name != self._zone and await by_wildcard(self._network, server, answer):
            return nothing(key)
        return held(name, kind, answer.ttl or 0, {each: zone_value(kind, each) for each in values})


def _later(one: int, other: int) -> bool:
    """Serial numbers go round (RFC 1982 section 3.2)."""
    return 0 < (one - other) % _ROUND < _ROUND // 2
