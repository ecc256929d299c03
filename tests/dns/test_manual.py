"""A zone in a person's hand: what to write is shown, and what was written is seen."""

from datetime import UTC, datetime

import pytest

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.manual import ManualZone
from mailhaul.dns.network import WireNetwork
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.snapshot import Snapshot, planned
from mailhaul.dns.switch import Fate, Result, apply, put_back, read
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.watching import Standing, everywhere, verify, watched
from mailhaul.dns.zone import Edit, Held, ZoneError, nothing
from tests.servers.bind import Bind
from tests.servers.knot import Knot

NOW = datetime(2030, 1, 31, 20, tzinfo=UTC)
MX, TXT, A, CNAME, SOA = Kind.MX, Kind.TXT, Kind.A, Kind.CNAME, Kind.SOA
OLD, NEW = "10 mx.old.test", "0 mx.new.test"
ONE, TWO = Server("192.0.2.1"), Server("192.0.2.2")


class Said:
    """A network of dicts: server → (name, kind) → values, or an outcome; a TTL before values. What
    isn't there is NODATA."""

    def __init__(self, **servers: dict[tuple[str, Kind], object]) -> None:
        self.servers = {"192.0.2.1": servers.get("one", {}), "192.0.2.2": servers.get("two", {})}

    async def ask(self, server: Server, name: str, kind: Kind, *, recursive: bool) -> Answer:
        assert not recursive
        there = self.servers[server.address].get((name, kind))
        if isinstance(there, Outcome):
            return Answer(name, kind, there, server=server)
        if there is None:
            return Answer(name, kind, Outcome.NODATA, server=server)
        assert isinstance(there, tuple)
        ttl, *values = there
        return Answer(name, kind, Outcome.RECORDS, tuple(values), ttl, server=server)


def soa(serial: int) -> tuple[int, str]:
    return 300, f"ns.a.test root.a.test {serial} 1 1 1 1"


def there(kind: Kind, ttl: int, *values: str) -> Held:
    return Held(RecordSet("x.a.test", kind, ttl, values)) if values else nothing(("x.a.test", kind))


async def keep(_: Snapshot) -> None:
    """Kept by the test itself."""


async def test_a_person_is_shown_what_to_write_and_seen_to_have_written_it(bind: Bind) -> None:
    with Knot(port=bind.port) as knot:
        zone = bind.fresh()
        bind.zone(zone, "@ 300 MX 10 mx.old.test.", servers=[bind, knot])
        knot.secondary(zone, bind)
        servers = [Server(each.address, each.port) for each in (bind, knot)]
        network = WireNetwork(allowance(["127.0.0.0/8"]))
        writers = [ManualZone(zone, servers, network)]
        want = RecordSet(zone, MX, 60, (NEW,))
        snapshot = planned([zone], await read(writers, [want.key]), [want], NOW)
        waits = await apply(writers, snapshot, keep)
        assert (waits.result, waits.zones[0].lines) == (
            Result.WAITS,
            (f"- {zone}. 300 IN MX 10 mx.old.test.", f"+ {zone}. 60 IN MX 0 mx.new.test."),
        )
        bind.update(zone, "@ 3600 MX 0 mx.new.test.")
        done = await apply(writers, snapshot, keep)
        assert (done.result, [each.code for each in done.findings]) == (
            Result.DONE,
            [Code.ZONE_TTL_DIFFERS],
        )
        rounds = [
            seen async for seen in watched(network, servers, snapshot.edits, every=0.2, rounds=50)
        ]
        assert everywhere(rounds[-1])
        back = await put_back(writers, snapshot)
        assert back.zones[0].lines == (
            f"- {zone}. 3600 IN MX 0 mx.new.test.",
            f"+ {zone}. 300 IN MX 10 mx.old.test.",
        )
        bind.update(zone, "@ 300 MX 10 mx.old.test.")
        assert (await put_back(writers, snapshot)).zones[0].fate is Fate.STOOD


@pytest.mark.parametrize(
    ("one", "two", "newest"),
    [(5, 7, "two"), (7, 5, "one"), (7, 7, "one"), (2, 2**32 - 5, "one"), (2**32 - 5, 2, "two")],
)
async def test_the_server_with_the_newest_serial_is_read(one: int, two: int, newest: str) -> None:
    said = Said(
        one={("a.test", SOA): soa(one), ("a.test", MX): (60, "1 one.test")},
        two={("a.test", SOA): soa(two), ("a.test", MX): (60, "1 two.test")},
    )
    found = await ManualZone("a.test", [ONE, TWO], said).read([("a.test", MX)])
    assert found["a.test", MX].records.values == (f"1 {newest}.test",)


async def test_servers_that_say_nothing_are_left_out_and_none_left_is_told() -> None:
    said = Said(
        one={("a.test", SOA): Outcome.TIMEOUT},
        two={("a.test", SOA): soa(7), ("a.test", MX): (60, OLD), ("a.test", TXT): Outcome.SERVFAIL},
    )
    zone = ManualZone("a.test", [ONE, TWO], said)
    assert (await zone.read([("a.test", MX)]))["a.test", MX].records.ttl == 60
    with pytest.raises(ZoneError, match=r"192\.0\.2\.2 says of TXT a\.test: the server failed"):
        await zone.read([("a.test", TXT)])
    with pytest.raises(ZoneError, match=r"tells its serial: 192\.0\.2\.1: no answer in time"):
        await ManualZone("a.test", [ONE], said).read([("a.test", MX)])
    with pytest.raises(ZoneError, match="none is known"):
        await ManualZone("a.test", [], said).read([("a.test", MX)])
    with pytest.raises(ZoneError, match="is not in the zone"):
        await zone.read([("b.test", MX)])


async def test_a_wildcards_answer_is_no_record_to_remove() -> None:
    said = Said(
        one={
            ("a.test", SOA): soa(7),
            ("x.a.test", A): (60, "192.0.2.9"),
            ("y.a.test", A): (60, "192.0.2.8"),
            ("*.a.test", A): (60, "192.0.2.9"),
        }
    )
    keys = [("x.a.test", A), ("y.a.test", A)]
    found = await ManualZone("a.test", [ONE], said).read(keys)
    assert [found[key].records.values for key in keys] == [(), ("192.0.2.8",)]


async def test_nothing_to_write_needs_no_person() -> None:
    await ManualZone("a.test", [ONE], Said()).change([])


@pytest.mark.parametrize(
    ("before", "after", "said", "standing"),
    [
        (there(MX, 300, OLD), there(MX, 60, NEW), (60, OLD), Standing.OLD),
        (there(MX, 300, OLD), there(MX, 60, NEW), (900, NEW), Standing.NEW),
        (there(MX, 300, OLD), there(MX, 60, NEW), (60, NEW, OLD), Standing.OTHER),
        (there(MX, 300, OLD), there(MX, 60, NEW), None, Standing.OTHER),
        (there(MX, 300, OLD), there(MX, 60, NEW), Outcome.NXDOMAIN, Standing.OTHER),
        (there(MX, 300, OLD), there(MX, 60, NEW), Outcome.TIMEOUT, Standing.SILENT),
        (there(MX, 300, OLD), there(MX, 60, NEW), Outcome.LAME, Standing.SILENT),
        (there(MX, 300, OLD), there(MX, 60, OLD), (60, OLD), Standing.NEW),
        (there(MX, 300, OLD), there(MX, 60, OLD), (300, OLD), Standing.OLD),
        (there(MX, 300, OLD), there(MX, 60, OLD), (900, OLD), Standing.OTHER),
        (there(MX, 300, OLD), there(MX, 0), None, Standing.NEW),
        (there(MX, 300, OLD), there(MX, 0), (60, OLD), Standing.OLD),
        (there(A, 300, "192.0.2.1"), there(A, 0), (60, "192.0.2.9"), Standing.NEW),
        (there(A, 300, "192.0.2.1"), there(A, 0), (60, "192.0.2.7"), Standing.OTHER),
        (there(A, 300, "192.0.2.1"), there(A, 60, "192.0.2.2"), (60, "192.0.2.9"), Standing.OTHER),
        (there(TXT, 300, "x"), there(TXT, 60, "y"), (60, "y", "other"), Standing.NEW),
        (there(TXT, 300, "x"), there(TXT, 60, "y"), (60, "x", "other"), Standing.OLD),
        (there(TXT, 300, "x"), there(TXT, 60, "y"), (60, "x", "y"), Standing.OTHER),
    ],
)
async def test_each_server_has_the_old_the_new_or_neither(
    before: Held, after: Held, said: object, standing: Standing
) -> None:
    network = Said(one={before.key: said, ("*.a.test", A): (60, "192.0.2.9")})
    (seen,) = await verify(network, [ONE], [Edit(before, after)])
    assert seen.standing is standing


async def test_where_a_cname_has_come_the_address_has_gone() -> None:
    edit = Edit(there(A, 300, "192.0.2.1"), there(A, 0))

    class Led(Said):
        async def ask(self, server: Server, name: str, kind: Kind, *, recursive: bool) -> Answer:
            if name != "x.a.test":
                return Answer(name, kind, Outcome.NODATA, server=server)
            led = ("new.test",)
            return Answer(name, kind, Outcome.RECORDS, ("192.0.2.7",), 60, led, server)

    (seen,) = await verify(Led(), [ONE], [edit])
    assert seen.standing is Standing.NEW


async def test_watching_ends_when_all_have_it_or_the_rounds_are_over() -> None:
    network, edit = (
        Said(one={("x.a.test", MX): (60, OLD)}),
        Edit(there(MX, 300, OLD), there(MX, 60, NEW)),
    )
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            network.servers["192.0.2.1"]["x.a.test", MX] = (60, NEW)

    first = [each async for each in watched(network, [ONE], [edit], every=9, rounds=3, sleep=sleep)]
    assert [everywhere(each) for each in first] == [False, False, False]
    then = [each async for each in watched(network, [ONE], [edit], every=9, rounds=9, sleep=sleep)]
    assert ([everywhere(each) for each in then], waits) == ([False, False, True], [9] * 4)
