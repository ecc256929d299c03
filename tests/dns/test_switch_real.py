"""The switch at real servers: Knot and BIND, whole zones compared before and after."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dns.query
import dns.rdatatype
import dns.zone
import pytest

from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.desired import desired, keys
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.guard import allowance
from mailhaul.dns.network import WireNetwork
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.snapshot import Snapshot, from_text, planned, to_text
from mailhaul.dns.switch import Applied, Fate, Result, apply, put_back, read
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.watching import Standing, everywhere, verify, watched
from mailhaul.dns.zone import Held, Key, ZoneWriter
from tests.dns.dying import MOMENTS
from tests.servers.bind import Bind
from tests.servers.knot import Knot
from tests.servers.names import AuthoritativeServer

LOOPBACK = allowance(["127.0.0.0/8"])
NOW = datetime(2030, 1, 31, 20, tzinfo=UTC)
TXT = dns.rdatatype.TXT
RECORDS = (
    "@ 300 MX 10 mail.old.test.",
    "@ 300 MX 20 mail2.old.test.",
    '@ 3600 TXT "v=spf1 mx " "-all"',
    '@ 3600 TXT "google-site-verification=x"',
    "autodiscover 600 A 192.0.2.1",
    "autodiscover 600 TXT old",
    "_autodiscover._tcp 600 SRV 0 0 443 mail.old.test.",
    "* 300 A 192.0.2.9",
    "www 300 A 192.0.2.2",
)


@pytest.fixture(params=["knot", "bind"])
def authority(request: pytest.FixtureRequest) -> AuthoritativeServer:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, AuthoritativeServer)
    return server


def expected(zone: str) -> Expected:
    return Expected(
        zone,
        mx=(MailHost(0, "mx.new.test"),),
        records=(
            Wanted(
                "autodiscover",
                f"autodiscover.{zone}",
                Kind.CNAME,
                ("ad.new.test",),
                Moment.SWITCH,
            ),
            Wanted("autodiscover", f"_autodiscover._tcp.{zone}", Kind.SRV, (), Moment.SWITCH),
            Wanted(
                "imap", f"_imaps._tcp.{zone}", Kind.SRV, ("0 1 993 imap.new.test",), Moment.SWITCH
            ),
        ),
        ttl=60,
    )


def writer(server: AuthoritativeServer, zone: str) -> UpdatedZone:
    key = TsigKey(server.key.name, Secret(server.key.secret))
    return UpdatedZone(zone, Server(server.address, server.port), key, LOOPBACK, seconds=5)


def dump(server: AuthoritativeServer, zone: str) -> list[str]:
    """The whole zone by transfer, but for the SOA, whose serial goes on, and for capitals in names:
    servers share the end of names in a message whatever their case (RFC 4343 section 4.1)."""
    transfer = dns.query.xfr(server.address, zone, port=server.port, relativize=False)
    whole = dns.zone.from_xfr(transfer, relativize=False)
    return sorted(
        f"{name} {ttl} {rdata.rdtype.name} {rdata if rdata.rdtype == TXT else str(rdata).lower()}"
        for name, ttl, rdata in whole.iterate_rdatas()
        if rdata.rdtype != dns.rdatatype.SOA
    )


async def plan(writers: Sequence[ZoneWriter]) -> Snapshot:
    """As a journey does it: what is expected, laid over what the zones hold."""
    wanted: list[RecordSet] = []
    present: dict[Key, Held] = {}
    for each in writers:
        present |= await read([each], keys(expected(each.zone)))
        held = {key: there.records for key, there in present.items() if there.records.values}
        wanted += desired(expected(each.zone), held, Moment.SWITCH)
    return planned([each.zone for each in writers], present, wanted, NOW)


async def kept(_: Snapshot) -> None:
    """Kept by the test itself."""


def codes(applied: Applied) -> list[str]:
    return [each.code for each in applied.findings]


async def test_a_zone_is_switched_and_put_back_exactly(
    authority: AuthoritativeServer,
) -> None:
    zone = authority.fresh()
    authority.zone(zone, *RECORDS)
    writers, before = [writer(authority, zone)], dump(authority, zone)
    snapshot = await plan(writers)
    assert snapshot.lines() == [
        f"- autodiscover.{zone}. 600 IN A 192.0.2.1",
        f'- autodiscover.{zone}. 600 IN TXT "old"',
        f"- _autodiscover._tcp.{zone}. 600 IN SRV 0 0 443 mail.old.test.",
        f"- {zone}. 300 IN MX 10 mail.old.test.",
        f"- {zone}. 300 IN MX 20 mail2.old.test.",
        f"+ {zone}. 60 IN MX 0 mx.new.test.",
        f"+ autodiscover.{zone}. 60 IN CNAME ad.new.test.",
        f"+ _imaps._tcp.{zone}. 60 IN SRV 0 1 993 imap.new.test.",
    ]
    assert (await apply(writers, snapshot, kept)).zones[0].fate is Fate.WRITTEN
    switched = set(dump(authority, zone))
    assert {line.replace(f"{zone}.", "@") for line in switched - set(before)} == {
        "@ 60 MX 0 mx.new.test.",
        "autodiscover.@ 60 CNAME ad.new.test.",
        "_imaps._tcp.@ 60 SRV 0 1 993 imap.new.test.",
    }
    assert len(set(before) - switched) == 5
    again = await apply(writers, snapshot, kept)
    assert again.zones[0].fate is Fate.STOOD
    assert (await plan(writers)).changes == ()
    assert (await put_back(writers, from_text(to_text(snapshot)))).result is Result.DONE
    assert dump(authority, zone) == before


async def test_a_signed_zone_is_signed_on(knot: Knot) -> None:
    zone = knot.fresh()
    knot.zone(zone, *RECORDS, signed=True)
    writers = [writer(knot, zone)]
    snapshot = await plan(writers)
    assert (await apply(writers, snapshot, kept)).result is Result.DONE
    assert knot.values(zone, "MX") == ["0 mx.new.test."]
    # Knot leaves it out at first: the signatures of what stood there haven't gone yet.
    assert knot.values(f"autodiscover.{zone}", "CNAME") == ["ad.new.test."]
    assert [line for line in dump(knot, zone) if line.startswith(zone) and " RRSIG mx " in line]
    assert (await put_back(writers, snapshot)).result is Result.DONE
    assert knot.values(zone, "MX") == ["10 mail.old.test.", "20 mail2.old.test."]
    assert knot.values(f"autodiscover.{zone}", "A") == ["192.0.2.1"]


@pytest.mark.parametrize("when", ["after the plan", "in the last moment"])
async def test_somebodys_edit_is_never_overwritten(
    when: str, authority: AuthoritativeServer
) -> None:
    zone = authority.fresh()
    authority.zone(zone, *RECORDS)
    writers = [writer(authority, zone)]
    snapshot = await plan(writers)

    def edit() -> None:
        authority.update(zone, "@ 300 MX 5 mx.third.test.")

    async def keep(_: Snapshot) -> None:
        if when == "in the last moment":
            edit()

    if when == "after the plan":
        edit()
    edited = dump(authority, zone) if when == "after the plan" else None
    applied = await apply(writers, snapshot, keep)
    assert (applied.result, codes(applied)) == (Result.NOTHING, [Code.ZONE_EDITED])
    assert authority.values(zone, "MX") == ["5 mx.third.test."]
    assert authority.values(f"_imaps._tcp.{zone}", "SRV") == []
    assert edited is None or dump(authority, zone) == edited


async def test_an_edit_after_the_switch_is_not_overwritten_by_the_return(
    authority: AuthoritativeServer,
) -> None:
    zone = authority.fresh()
    authority.zone(zone, *RECORDS)
    writers = [writer(authority, zone)]
    snapshot = await plan(writers)
    await apply(writers, snapshot, kept)
    authority.update(zone, "@ 300 MX 5 mx.third.test.")
    edited = dump(authority, zone)
    back = await put_back(writers, snapshot)
    assert (back.result, codes(back)) == (Result.NOTHING, [Code.ZONE_EDITED])
    assert dump(authority, zone) == edited
    left = await put_back(writers, snapshot, leaving=[(zone, Kind.MX)])
    assert left.result is Result.DONE
    assert authority.values(zone, "MX") == ["5 mx.third.test."]
    assert authority.values(f"autodiscover.{zone}", "A") == ["192.0.2.1"]


async def test_a_server_that_dies_half_way_undoes_the_zone_before(knot: Knot) -> None:
    with Bind() as dying:
        zones = [knot.fresh(), dying.fresh()]
        knot.zone(zones[0], *RECORDS)
        dying.zone(zones[1], *RECORDS)
        writers = [writer(knot, zones[0]), writer(dying, zones[1])]
        snapshot, before = await plan(writers), dump(knot, zones[0])
        others = dump(dying, zones[1])

        async def keep(_: Snapshot) -> None:
            dying.stop()

        applied = await apply(writers, snapshot, keep)
        assert [each.fate for each in applied.zones] == [Fate.UNDONE, Fate.UNTOUCHED]
        assert codes(applied) == [Code.ZONE_UNDONE, Code.ZONE_UNREACHABLE]
        assert dump(knot, zones[0]) == before
        dying.start()
        dying.wait(lambda: dying.serial(zones[1]) >= 0)
        assert dump(dying, zones[1]) == others
        assert (await apply(writers, snapshot, kept)).result is Result.DONE
        assert (await put_back(writers, snapshot)).result is Result.DONE
        assert (dump(knot, zones[0]), dump(dying, zones[1])) == (before, others)


async def test_what_a_server_leaves_out_in_silence_is_found_and_undone(
    authority: AuthoritativeServer,
) -> None:
    zone = authority.fresh()
    # CAA is no kind that mailhaul reads, and yet no CNAME may stand beside it.
    authority.zone(zone, *RECORDS, 'autodiscover CAA 0 issue "ca.test"')
    writers, before = [writer(authority, zone)], dump(authority, zone)
    applied = await apply(writers, await plan(writers), kept)
    assert (applied.result, codes(applied)) == (Result.NOTHING, [Code.ZONE_NOT_TAKEN])
    assert dump(authority, zone) == before


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_killed_switch_goes_on_and_goes_back(
    moment: str, knot: Knot, bind: Bind, tmp_path: Path
) -> None:
    servers: list[AuthoritativeServer] = [knot, bind]
    zones = [server.fresh() for server in servers]
    for server, zone in zip(servers, zones, strict=True):
        server.zone(zone, *RECORDS)
    writers = [writer(server, zone) for server, zone in zip(servers, zones, strict=True)]
    snapshot = await plan(writers)
    before = [dump(server, zone) for server, zone in zip(servers, zones, strict=True)]
    keep = tmp_path / "snapshot"
    told = {
        "zones": [
            {
                "zone": zone,
                "address": server.address,
                "port": server.port,
                "key": server.key.name,
                "secret": server.key.secret,
            }
            for server, zone in zip(servers, zones, strict=True)
        ],
        "snapshot": to_text(snapshot),
        "keep": str(keep),
        "moment": moment,
    }
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.dns.dying"],
        input=json.dumps(told).encode(),
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert killed.returncode == -signal.SIGKILL
    dumps = [dump(server, zone) for server, zone in zip(servers, zones, strict=True)]
    written = {"after 1": 1, "after 2": 2}.get(moment, 0)
    assert [one != other for one, other in zip(dumps, before, strict=True)] == [
        number < written for number in range(2)
    ]
    # Nothing was written that wasn't kept before.
    assert keep.exists() is (moment != "before keeping")
    on = from_text(keep.read_text()) if keep.exists() else await plan(writers)
    assert on.changes == snapshot.changes
    applied = await apply(writers, on, kept)
    assert [each.fate for each in applied.zones] == [
        Fate.STOOD if number < written else Fate.WRITTEN for number in range(2)
    ]
    assert (await put_back(writers, on)).result is Result.DONE
    assert [dump(server, zone) for server, zone in zip(servers, zones, strict=True)] == before


@pytest.mark.parametrize("moment", MOMENTS[1:3])
async def test_a_killed_switch_goes_back_from_where_it_was(
    moment: str, knot: Knot, bind: Bind
) -> None:
    servers: list[AuthoritativeServer] = [knot, bind]
    zones = [server.fresh() for server in servers]
    for server, zone in zip(servers, zones, strict=True):
        server.zone(zone, *RECORDS)
    writers = [writer(server, zone) for server, zone in zip(servers, zones, strict=True)]
    snapshot = await plan(writers)
    before = [dump(server, zone) for server, zone in zip(servers, zones, strict=True)]
    if moment == "after 1":
        await writers[0].change(snapshot.changes[0].edits)
    back = await put_back(writers, snapshot)
    assert back.result is Result.DONE
    assert [dump(server, zone) for server, zone in zip(servers, zones, strict=True)] == before


async def test_the_change_is_watched_until_every_server_has_it(bind: Bind) -> None:
    with Knot(port=bind.port) as knot:
        zone = bind.fresh()
        bind.zone(zone, *RECORDS, servers=[bind, knot])
        knot.secondary(zone, bind)
        writers = [writer(bind, zone)]
        network = WireNetwork(LOOPBACK)
        servers = [Server(each.address, each.port) for each in (bind, knot)]
        snapshot = await plan(writers)
        edits = snapshot.edits
        old = await verify(network, servers, edits)
        assert {(each.server.address, each.standing) for each in old} == {
            (server.address, Standing.OLD) for server in servers
        }
        await apply(writers, snapshot, kept)
        first = await verify(network, servers[:1], edits)
        assert everywhere(first)
        rounds = [seen async for seen in watched(network, servers, edits, every=0.2, rounds=50)]
        assert everywhere(rounds[-1])
        knot.stop()
        silent = await verify(network, servers, edits)
        assert {each.standing for each in silent if each.server == servers[1]} == {Standing.SILENT}
