"""The same zone shapes on Knot and BIND, asked over the wire, give the same findings."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

import pytest

from mailhaul.dns.asking import asking
from mailhaul.dns.check_domain import diagnose
from mailhaul.dns.guard import allowance
from mailhaul.dns.records import Kind, zone_value
from tests.dns.shapes import Shape, codes_of
from tests.dns.test_shapes_mail import SHAPES as MAIL
from tests.dns.test_shapes_senders import SHAPES as SENDERS
from tests.servers.bind import Bind
from tests.servers.knot import Knot
from tests.servers.names import AuthoritativeServer
from tests.servers.unbound import Unbound

HERE = allowance(["127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"])
ON_KNOT = (
    "all is well since the switch",
    "all is well before the switch",
    "a wildcard address",
    "a wildcard CNAME",
    "a wildcard CNAME to nowhere",
    "a heap of verification texts",
    "MX was not switched",
    "the old host stays as a backup",
    "MX leads to the new system too early",
    "a null MX",
    "the host is a CNAME to nowhere",
    "the zone editor added the domain",
    "the host speaks IPv6 only",
    "the old SRV stays",
    "autodiscover is an address",
    "an SRV record leads nowhere",
    "mail. leads to the old system",
    "two SPF records",
    "eleven look-ups",
    "three terms that find nothing",
    "two records that include each other",
    "an alias to a key",
    "a key that was cut at 255",
    "reports to a domain that has not agreed",
    "TLSA that nobody has verified",
)
ON_BIND = (
    "all is well since the switch",
    "a wildcard CNAME",
    "the old host stays as a backup",
    "a key with blanks in it",
    "ten look-ups",
)
SHAPES = {row.name: row for row in (*MAIL, *SENDERS)}
Value = TypeVar("Value")


def moved(value: Value, spell: Callable[[str], str]) -> Value:
    """The value with every text in it spelled anew."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return cast("Value", spell(value))
    if isinstance(value, tuple):
        return cast("Value", tuple(moved(each, spell) for each in value))
    if is_dataclass(value) and not isinstance(value, type):
        own = {each.name: moved(getattr(value, each.name), spell) for each in fields(value)}
        return cast("Value", replace(cast("Any", value), **own))
    return value


def lines(row: Shape, spell: Callable[[str], str], zone: str) -> Iterator[str]:
    """The row's records that lie in the zone, as its file has them."""
    for name, node in row.resolver.zone.items():
        if not f".{spell(name)}".endswith(f".{zone}"):
            continue
        for kind, values in node.items():
            for value in [values] if isinstance(values, str) else cast("list[str]", values):
                if kind != "SOA":
                    yield f"{spell(name)}. {kind} {zone_value(Kind(kind), spell(value))}"


async def look(server: AuthoritativeServer, unbound: Unbound, row: Shape) -> set[str]:
    """What is found of the shape, served by that server under names of its own."""
    domain, world = server.fresh("domain"), server.fresh("world")

    def spell(text: str) -> str:
        own = text.replace("example.org", domain)
        return re.sub(r"\b([a-z0-9-]+)\.example\b", rf"\1.{world}", own)

    for zone in (domain, world):
        server.zone(zone, *lines(row, spell, zone), ttl=row.ttl, minimum=300)
        unbound.serve(zone, [server])
    whom = asking(HERE, [f"{unbound.address}@{unbound.port}"], port=server.port)
    found = await diagnose(
        whom.own(domain), moved(row.expected, spell), moment=row.moment, allowance=HERE
    )
    return codes_of(found)


@pytest.mark.parametrize("name", ON_KNOT)
async def test_a_zone_on_knot_gives_the_same_findings(
    knot: Knot, unbound: Unbound, name: str
) -> None:
    assert await look(knot, unbound, SHAPES[name]) == SHAPES[name].codes


@pytest.mark.parametrize("name", ON_BIND)
async def test_a_zone_on_bind_gives_the_same_findings(
    bind: Bind, unbound: Unbound, name: str
) -> None:
    assert await look(bind, unbound, SHAPES[name]) == SHAPES[name].codes
