"""The same on Knot, BIND and Unbound: who serves a zone, what each says, how a change spreads."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from mailhaul.core.finding import Severity
from mailhaul.dns.answers import Outcome, Server
from mailhaul.dns.asking import Asking, asking
from mailhaul.dns.guard import allowance
from mailhaul.dns.propagation import Look, Seen, Switched, look, spread, watched
from mailhaul.dns.records import Kind
from mailhaul.dns.server_checks import server_aspects
from mailhaul.dns.server_codes import Code
from tests.servers.bind import Bind
from tests.servers.knot import Knot
from tests.servers.unbound import Unbound

OLD, NEW = "10 mx.old.test.", "10 mx.new.test."
LOOPBACK = allowance(["127.0.0.0/8"])


@pytest.fixture(scope="module")
def second(knot: Knot) -> Iterator[Bind]:
    """A BIND on the port of the Knot, so that they can serve one zone together."""
    with Bind(port=knot.port) as server:
        yield server


def world(knot: Knot, unbound: Unbound) -> tuple[str, Asking]:
    """A parent zone on Knot, known to the resolver, and who asks."""
    parent = knot.fresh("parent")
    knot.zone(parent)
    unbound.serve(parent, [knot])
    resolver = f"{unbound.address}@{unbound.port}"
    return parent, asking(LOOPBACK, [resolver], port=knot.port)


async def test_a_zone_on_two_servers_is_surveyed(
    knot: Knot, second: Bind, unbound: Unbound
) -> None:
    parent, made = world(knot, unbound)
    child = f"child.{parent}"
    knot.zone(child, f"@ 5 MX {OLD}", serial=7, servers=[knot, second])
    second.zone(child, f"@ 5 MX {OLD}", serial=5, servers=[knot, second])
    knot.delegate(parent, child, [knot, second])
    unbound.serve(child, [knot, second])
    authority = await made.delegations.survey(child)
    assert authority.zone == child
    assert {each.server.address: each.serial for each in authority.standings} == {
        knot.address: 7,
        second.address: 5,
    }
    found = [each.code for aspect in server_aspects(authority) for each in aspect.findings]
    assert found == [Code.SERIALS_DIFFER, Code.UNSIGNED]


async def test_a_delegation_without_a_common_server_comes_with_its_glue(
    knot: Knot, second: Bind, unbound: Unbound
) -> None:
    parent, made = world(knot, unbound)
    child = f"child.{parent}"
    second.zone(child, f"@ 5 MX {OLD}", "www CNAME mail", "mail A 192.0.2.1", servers=[second])
    knot.delegate(parent, child, [second])
    unbound.serve(child, [second])
    authority = await made.delegations.survey(child)
    assert authority.cut.parent == parent
    assert authority.cut.names == (f"ns1.{child}",)
    assert authority.hosts[0].glue == (second.address,)
    own = made.own(child)
    mx = await own.look_up(child, Kind.MX)
    assert (mx.values, mx.ttl, mx.authoritative) == (("10 mx.old.test",), 5, True)
    www = await own.look_up(f"www.{child}", Kind.A)
    assert (www.values, www.aliases) == (("192.0.2.1",), (f"mail.{child}",))
    nothing = await own.look_up(f"nothing.{child}", Kind.A)
    assert (nothing.outcome, nothing.ttl) == (Outcome.NXDOMAIN, 5)


async def test_a_server_that_never_heard_of_the_zone_is_lame(
    knot: Knot, second: Bind, unbound: Unbound
) -> None:
    parent, made = world(knot, unbound)
    child = f"child.{parent}"
    knot.zone(child, servers=[knot, second])
    knot.delegate(parent, child, [knot, second])
    unbound.serve(child, [knot])
    authority = await made.delegations.survey(child)
    assert [each.host for each in authority.servers] == [f"ns1.{child}"]
    codes = {each.code for each in server_aspects(authority)[0].findings}
    assert codes == {Code.SERVER_LAME, Code.SINGLE_SERVER}


async def test_a_signed_zone_without_ds_is_an_island(knot: Knot, unbound: Unbound) -> None:
    parent, made = world(knot, unbound)
    child = f"child.{parent}"
    knot.zone(child, signed=True)
    knot.delegate(parent, child, [knot])
    unbound.serve(child, [knot])
    authority = await made.delegations.survey(child)
    assert [each.code for each in server_aspects(authority)[2].findings] == [Code.ISLAND]


async def test_a_name_that_the_parent_does_not_have_blocks(knot: Knot, unbound: Unbound) -> None:
    parent, made = world(knot, unbound)
    authority = await made.delegations.survey(f"nobody.{parent}")
    (aspect,) = server_aspects(authority)
    assert [each.code for each in aspect.findings] == [Code.DOMAIN_ABSENT]
    assert aspect.severity is Severity.BLOCKS


@pytest.mark.parametrize("length", [100, 9000])
async def test_a_long_text_comes_whole(knot: Knot, unbound: Unbound, length: int) -> None:
    _, made = world(knot, unbound)
    domain = knot.fresh()
    text = "v=spf1 " + "x" * length
    strings = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
    knot.zone(domain, f"@ TXT {strings}")
    server = Server(knot.address, knot.port)
    answer = await made.network.ask(server, domain, Kind.TXT, recursive=False)
    assert answer.values == (text,)


async def test_a_change_spreads_and_the_last_cache_lets_go_when_it_was_said_to(
    knot: Knot, second: Bind, unbound: Unbound
) -> None:
    """Two servers that are changed one after the other, and a cache that has the old one."""
    parent, made = world(knot, unbound)
    child = f"child.{parent}"
    servers = [knot, second]
    for each in servers:
        each.zone(child, f"@ 3 MX {OLD}", servers=servers)
    knot.delegate(parent, child, servers)
    unbound.serve(child, servers)
    authority = await made.delegations.survey(child)
    asked = watched(authority, made.caches)
    record = Switched(child, Kind.MX, ("10 mx.old.test",), ("10 mx.new.test",), ttl=3)
    looks: list[Look] = []

    async def again() -> list[Seen]:
        looks.extend(await look(made.network, asked, [record], time.time))
        return [each.seen for each in spread([record], looks).rows[0].looks]

    assert await again() == [Seen.OLD] * 3
    knot.update(child, f"@ 3 MX {NEW}")
    assert sorted((await again())[:2]) == [Seen.NEW, Seen.OLD]
    assert spread([record], looks).gone is None
    second.update(child, f"@ 3 MX {NEW}")
    changed = time.time()
    assert (await again())[:2] == [Seen.NEW] * 2
    gone = spread([record], looks).gone
    assert gone is not None
    assert changed + 3 <= gone <= time.time() + 3
    while not spread([record], looks).whole(time.time()):
        assert time.time() < gone + 10, spread([record], looks).reasons(time.time())
        await asyncio.sleep(0.2)
        await again()
    # What was foretold held: the cache had the new one by then.
    assert time.time() >= gone
    assert unbound.values(child, "MX", recursive=True) == [NEW]
