"""Resolvers as a person names them, put together with everything that asks them."""

import asyncio

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.asking import asking
from mailhaul.dns.guard import Allowance, allowance
from mailhaul.dns.network import Patience, WireNetwork
from mailhaul.dns.records import Kind
from mailhaul.dns.recursive import PUBLIC, RecursiveResolver, Remembering, first_telling
from tests.dns.wire_server import Manner, Played, Zone, serving

LOOPBACK = allowance(["127.0.0.0/8"])
ZONE: Zone = {
    "example.org": {"SOA": "a. b. 1 2 3 4 60", "MX": "10 mx.example.org."},
}
QUICK = Patience(first=0.3, second=0.5, connection=0.8)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("9.9.9.9", Server("9.9.9.9", 53)),
        (" 2620:fe::fe ", Server("2620:fe::fe", 53)),
        ("9.9.9.9@5353", Server("9.9.9.9", 5353)),
    ],
)
def test_a_resolver_is_named_by_its_address(text: str, server: Server) -> None:
    assert asking(Allowance(), [text], port=5300).caches == (server,)


@pytest.mark.parametrize(
    "text", ["", "dns.google", "9.9.9.9:53", "9.9.9.9@", "9.9.9.9@0", "9.9.9.9@65536", "9@\x1b"]
)
def test_what_is_no_resolver_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(BadInput, match="write its address as"):
        asking(Allowance(), [text])


def test_a_resolver_that_is_not_public_needs_the_operators_word() -> None:
    with pytest.raises(BadInput, match="a loopback address"):
        asking(Allowance(), ["127.0.0.1"])
    assert asking(LOOPBACK, ["127.0.0.1"]).caches == (Server("127.0.0.1"),)


def test_without_any_named_the_public_ones_are_asked() -> None:
    assert asking(Allowance()).caches == PUBLIC


@pytest.mark.parametrize(
    ("first", "second", "outcome", "teller"),
    [
        (Manner.HONEST, Manner.HONEST, Outcome.RECORDS, 2),
        (Manner.SERVFAIL, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.REFUSES, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.SILENT, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.GARBAGE, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.WRONG_ID, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.NO_RECURSION, Manner.HONEST, Outcome.RECORDS, 3),
        (Manner.SILENT, Manner.SERVFAIL, Outcome.SERVFAIL, 3),
        (Manner.SERVFAIL, Manner.SILENT, Outcome.SERVFAIL, 2),
        (Manner.REFUSES, Manner.SILENT, Outcome.REFUSED, 2),
        (Manner.SILENT, Manner.SILENT, Outcome.TIMEOUT, 0),
    ],
)
async def test_another_resolver_is_asked_when_one_does_not_tell(
    first: Manner, second: Manner, outcome: Outcome, teller: int
) -> None:
    played = {
        "127.0.0.2": Played({"example.org": ZONE}, first, recursive=True),
        "127.0.0.3": Played({"example.org": ZONE}, second, recursive=True),
    }
    async with serving(played) as port:
        servers = [Server(address, port) for address in played]
        network = WireNetwork(LOOPBACK, patience=QUICK)
        resolver = RecursiveResolver(network, servers, gap=0.05)
        answer = await resolver.look_up("example.org", Kind.MX)
        again = await resolver.look_up("example.org", Kind.MX)
    assert answer.outcome is outcome
    assert again.outcome is outcome
    if teller:
        assert answer.server is not None
        assert answer.server.address == f"127.0.0.{teller}"
    if (first, second) == (Manner.SILENT, Manner.HONEST):
        assert len(played["127.0.0.2"].asked) == 1  # the one that told is asked first from then on


async def test_without_servers_nothing_can_be_reached() -> None:
    network = WireNetwork(LOOPBACK)
    answer = await first_telling(network, [], "example.org", Kind.A, recursive=True)
    assert answer.outcome is Outcome.UNREACHABLE


class Counted:
    """A resolver that takes its time; counts."""

    def __init__(self, outcome: Outcome = Outcome.RECORDS, ttl: int = 300) -> None:
        self.asked = 0
        self.outcome = outcome
        self.ttl = ttl

    async def look_up(self, name: str, kind: Kind) -> Answer:
        self.asked += 1
        await asyncio.sleep(0.01)
        return Answer(name, kind, self.outcome, ttl=self.ttl)


@pytest.mark.parametrize(
    ("outcome", "ttl", "later", "asked"),
    [
        (Outcome.RECORDS, 300, 59, 1),
        (Outcome.RECORDS, 300, 61, 2),
        (Outcome.RECORDS, 10, 11, 2),
        (Outcome.RECORDS, 0, 0, 2),
        (Outcome.NXDOMAIN, 30, 29, 1),
        (Outcome.SERVFAIL, 300, 4, 1),
        (Outcome.SERVFAIL, 300, 6, 2),
    ],
)
async def test_an_answer_is_remembered_for_its_ttl_and_never_long(
    outcome: Outcome, ttl: int, later: float, asked: int
) -> None:
    now = 1000.0
    counted = Counted(outcome, ttl)
    resolver = Remembering(counted, clock=lambda: now)
    await resolver.look_up("example.org", Kind.MX)
    now += later
    await resolver.look_up("example.org", Kind.MX)
    assert counted.asked == asked


async def test_the_same_question_is_under_way_once_and_outlives_whoever_asked_first() -> None:
    counted = Counted()
    resolver = Remembering(counted)
    first = asyncio.create_task(resolver.look_up("example.org", Kind.MX))
    others = [asyncio.create_task(resolver.look_up("example.org", Kind.MX)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()
    answers = await asyncio.gather(*others)
    assert counted.asked == 1
    assert {each.outcome for each in answers} == {Outcome.RECORDS}


async def test_no_more_is_remembered_than_allowed() -> None:
    counted = Counted()
    resolver = Remembering(counted, entries=3)
    for name in ("a", "b", "c", "d", "d", "c"):
        await resolver.look_up(name, Kind.MX)
    assert counted.asked == 4
    await resolver.look_up("a", Kind.MX)
    assert counted.asked == 5
