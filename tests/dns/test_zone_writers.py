"""Every writer of zones keeps the same contract: in memory, at Knot, BIND and the lab's server, and
at OVHcloud's simulator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.zone import Edit, Held, ZoneError, ZoneWriter, nothing
from mailhaul.lab.name_server import KEY_NAME, name_server
from tests.dns.memory_zone import MemoryZone
from tests.providers.memory import MemoryHoster
from tests.providers.ovh_house import ovh_zone
from tests.providers.ovh_simulator import OvhCloud
from tests.servers.names import AuthoritativeServer

LOOPBACK = allowance(["127.0.0.0/8"])


def updated_zone(server: AuthoritativeServer, zone: str) -> UpdatedZone:
    """The writer of that zone at that server."""
    key = TsigKey(server.key.name, Secret(server.key.secret))
    return UpdatedZone(zone, Server(server.address, server.port), key, LOOPBACK, seconds=5)


Opened = Callable[[dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]], ZoneWriter]
"""Makes a zone of (name in the zone or @, kind) → (TTL, values), and its writer."""


@pytest.fixture(params=["memory", "knot", "bind", "lab", "ovh"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    if request.param in ("knot", "bind"):
        yield _real(request.getfixturevalue(request.param))
    elif request.param == "memory":
        yield lambda zone: MemoryZone("zone.test", *_sets("zone.test", zone))
    elif request.param == "ovh":
        yield lambda zone: ovh_zone(
            OvhCloud(MemoryHoster()), "zone.test", *_sets("zone.test", zone)
        )
    else:
        with _lab() as made:
            yield made


def _real(server: AuthoritativeServer) -> Opened:
    def made(zone: dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]) -> ZoneWriter:
        name = server.fresh()
        lines = [line for each in _sets(name, zone) for line in Held(each).lines()]
        server.zone(name, *lines)
        return updated_zone(server, name)

    return made


@contextmanager
def _lab() -> Iterator[Opened]:
    stack = []

    def made(zone: dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]) -> ZoneWriter:
        running = name_server({"zone.test": list(_sets("zone.test", zone))})
        server = running.__enter__()
        stack.append(running)
        key = TsigKey(KEY_NAME, Secret(server.secret))
        return UpdatedZone("zone.test", Server("127.0.0.1", server.port), key, LOOPBACK)

    yield made
    for running in stack:
        running.__exit__(None, None, None)


def _sets(
    zone: str, sets: dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]
) -> Iterator[RecordSet]:
    for (name, kind), (ttl, values) in sets.items():
        yield RecordSet(_in(zone, name), kind, ttl, tuple(sorted(values)))


def _in(zone: str, name: str) -> str:
    return zone if name == "@" else f"{name}.{zone}"


MX = ("@", Kind.MX)
OLD = (300, ("10 mx.old.test", "20 mx.older.test"))
LONG = "v=DKIM1; p=" + "A" * 400
ODD = 'a "quoted" \\ text; with ümläute'


@dataclass(frozen=True)
class Case:
    """`zone` becomes `after` by one change of the sets in which they differ."""

    name: str
    zone: dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]
    after: dict[tuple[str, Kind], tuple[int, tuple[str, ...]]]


CASES = [
    Case("records take others' place", {MX: OLD}, {MX: (60, ("0 mx.new.test",))}),
    Case("records are added", {}, {MX: (60, ("0 mx.new.test",))}),
    Case("records are removed", {MX: OLD}, {}),
    Case("only the TTL changes", {MX: OLD}, {MX: (60, OLD[1])}),
    Case(
        "a CNAME takes an address's place",
        {("autodiscover", Kind.A): (300, ("192.0.2.1",))},
        {("autodiscover", Kind.CNAME): (60, ("ad.new.test",))},
    ),
    Case(
        "an address takes a CNAME's place",
        {("autodiscover", Kind.CNAME): (60, ("ad.new.test",))},
        {("autodiscover", Kind.A): (300, ("192.0.2.1",))},
    ),
    Case(
        "texts may be long, odd, empty and no text at all",
        {("@", Kind.TXT): (300, ("v=spf1 -all", "proof"))},
        {("@", Kind.TXT): (300, ("", LONG, ODD, "octets \udcff\udc80", "v=spf1 -all"))},
    ),
    Case(
        "all kinds at once",
        {("a", Kind.A): (300, ("192.0.2.1", "192.0.2.2"))},
        {
            ("b", Kind.AAAA): (300, ("2001:db8::1",)),
            ("_autodiscover._tcp", Kind.SRV): (300, ("0 0 443 host.test",)),
            ("_25._tcp.mx", Kind.TLSA): (300, ("3 1 1 " + "ab" * 32,)),
            ("null", Kind.MX): (300, ("0 .",)),
            ("*", Kind.MX): (300, ("5 wild.test",)),
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_change_is_carried_out_whole_and_back(case: Case, opened: Opened) -> None:
    writer = opened(case.zone)
    keys = [(_in(writer.zone, name), kind) for name, kind in case.zone | case.after]
    before, after = (
        {key: nothing(key) for key in keys}
        | {each.key: Held(each) for each in _sets(writer.zone, sets)}
        for sets in (case.zone, case.after)
    )
    assert await writer.read(keys) == before
    there = [Edit(before[key], after[key]) for key in keys if before[key] != after[key]]
    await writer.change(there)
    assert await writer.read(keys) == after
    await writer.change([edit.undone for edit in there])
    assert await writer.read(keys) == before


STALE = [
    Case("its values are others by now", {MX: OLD}, {MX: (300, ("10 mx.old.test",))}),
    Case("it has gone", {}, {MX: OLD}),
    Case("it has come", {MX: OLD}, {}),
]


@pytest.mark.parametrize("case", STALE, ids=lambda case: case.name)
async def test_a_change_of_what_stands_no_more_changes_nothing(case: Case, opened: Opened) -> None:
    writer = opened(case.zone)
    mx, txt = (writer.zone, Kind.MX), (writer.zone, Kind.TXT)
    thought = next(map(Held, _sets(writer.zone, case.after)), nothing(mx))
    stands = await writer.read([mx, txt])
    with pytest.raises(ZoneError) as raised:
        await writer.change(
            [
                Edit(nothing(txt), Held(RecordSet(*txt, 60, ("new",)))),
                Edit(thought, Held(RecordSet(*mx, 60, ("0 mx.new.test",)))),
            ]
        )
    assert (raised.value.code, raised.value.written) == (Code.ZONE_EDITED, False)
    assert await writer.read([mx, txt]) == stands


@pytest.fixture(params=["knot", "bind"])
def authority(request: pytest.FixtureRequest) -> AuthoritativeServer:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, AuthoritativeServer)
    return server


@pytest.mark.parametrize(
    ("asked", "kind", "found"),
    [
        ("any", Kind.TXT, ()),
        ("deep.er", Kind.TXT, ()),
        ("own", Kind.TXT, ("wild",)),
        ("*", Kind.TXT, ("wild",)),
        ("alias", Kind.TXT, ()),
        ("alias", Kind.CNAME, ("own.{}",)),
    ],
    ids=[
        "a wildcard's answer is no record",
        "nor is that to a name further down",
        "a record that says what the wildcard says",
        "the wildcard itself",
        "what a CNAME leads to stands elsewhere",
        "the CNAME itself",
    ],
)
async def test_only_what_the_zone_itself_holds_is_read(
    asked: str, kind: Kind, found: tuple[str, ...], authority: AuthoritativeServer
) -> None:
    zone = authority.fresh()
    authority.zone(zone, '* TXT "wild"', 'own TXT "wild"', "alias CNAME own")
    serial = authority.serial(zone)
    key = _in(zone, asked), kind
    read = (await updated_zone(authority, zone).read([key]))[key]
    assert read.records.values == tuple(each.format(zone) for each in found)
    assert authority.serial(zone) == serial


async def test_records_come_back_as_the_zone_had_spelled_them(
    authority: AuthoritativeServer,
) -> None:
    zone = authority.fresh()
    authority.zone(zone, "@ MX 10 Mail.OLD.test.", 'k TXT "v=DKIM1; " "p=abc"')
    writer = updated_zone(authority, zone)
    keys = [(zone, Kind.MX), (f"k.{zone}", Kind.TXT)]
    held = await writer.read(keys)
    assert [each.records.values for each in held.values()] == [
        ("10 mail.old.test",),
        ("v=DKIM1; p=abc",),
    ]
    spelled = authority.values(zone, "MX"), authority.values(f"k.{zone}", "TXT")
    edits = [Edit(each, nothing(key)) for key, each in held.items()]
    await writer.change(edits)
    assert authority.values(zone, "MX") == []
    await writer.change([edit.undone for edit in edits])
    assert (authority.values(zone, "MX"), authority.values(f"k.{zone}", "TXT")) == spelled
