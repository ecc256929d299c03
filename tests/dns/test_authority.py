"""Who answers for a domain, found over real sockets from servers that do what servers do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from mailhaul.core.finding import Severity
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.authority import Authority, Delegations
from mailhaul.dns.direct import DirectResolver
from mailhaul.dns.guard import allowance
from mailhaul.dns.network import Patience, WireNetwork
from mailhaul.dns.records import Kind
from mailhaul.dns.recursive import RecursiveResolver
from mailhaul.dns.server_checks import server_aspects
from mailhaul.dns.server_codes import MEANINGS, Code
from tests.dns.wire_server import Manner, Played, serving

QUICK = Patience(first=0.3, second=0.5, connection=0.8)
RESOLVER, PARENT, FIRST, SECOND, THIRD = (f"127.0.0.{number}" for number in (10, 11, 21, 22, 23))
SOA = "ns1.example.org. root.example.org. {serial} 7200 900 1209600 60"


def zone(serial: int = 7) -> dict[str, dict[str, object]]:
    return {
        "example.org": {
            "SOA": SOA.format(serial=serial),
            "NS": ["ns1.example.org.", "ns2.example.org."],
            "MX": "10 mx.example.org.",
        },
        "ns1.example.org": {"A": FIRST},
        "ns2.example.org": {"A": SECOND},
        "mx.example.org": {"A": "192.0.2.1"},
        "autodiscover.example.org": {"CNAME": "mail.hoster.net."},
        "inner.example.org": {"CNAME": "mx.example.org."},
        "lost.example.org": {"CNAME": "none.hoster.net."},
        "*.wild.example.org": {"A": "192.0.2.7"},
        "sub.example.org": {"NS": "ns1.hoster.net."},
    }


@dataclass
class World:
    """A resolver that knows everything, a parent, two servers of the domain, and a third that
    nobody names yet."""

    org: dict[str, dict[str, object]] = field(
        default_factory=lambda: {
            "org": {"SOA": SOA.format(serial=1), "NS": "a0.nic.org."},
            "a0.nic.org": {"A": PARENT},
            "example.org": {"NS": ["ns1.example.org.", "ns2.example.org."]},
            "ns1.example.org": {"A": FIRST},
            "ns2.example.org": {"A": SECOND},
        }
    )
    first: dict[str, dict[str, object]] = field(default_factory=zone)
    hoster: dict[str, dict[str, object]] = field(
        default_factory=lambda: {
            "hoster.net": {"SOA": SOA.format(serial=2), "NS": "ns1.hoster.net."},
            "ns1.hoster.net": {"A": THIRD},
            "mail.hoster.net": {"A": "192.0.2.50"},
        }
    )

    def __post_init__(self) -> None:
        below: dict[str, dict[str, object]] = {
            "sub.example.org": {"SOA": SOA.format(serial=3), "NS": "ns1.hoster.net."},
            "mx.sub.example.org": {"A": "192.0.2.77"},
        }
        everything = {"org": self.org, "example.org": self.first, "hoster.net": self.hoster}
        self.played = {
            RESOLVER: Played({**everything, "sub.example.org": below}, recursive=True),
            PARENT: Played({"org": self.org}),
            FIRST: Played({"example.org": self.first}),
            SECOND: Played({"example.org": self.first}),
            THIRD: Played({"sub.example.org": below, "hoster.net": self.hoster}),
        }


async def surveyed(world: World, domain: str = "example.org") -> Authority:
    async with serving(world.played) as port:
        network = WireNetwork(allowance(["127.0.0.0/8"]), patience=QUICK)
        resolver = RecursiveResolver(network, [Server(RESOLVER, port)])
        return await Delegations(network, resolver, port=port).survey(domain)


def codes(authority: Authority) -> set[str]:
    """What is found but that nothing is signed."""
    found = {each.code for aspect in server_aspects(authority) for each in aspect.findings}
    return found - {Code.UNSIGNED}


async def test_a_domain_in_order_is_found_from_its_parent_down() -> None:
    authority = await surveyed(World())
    assert (authority.zone, authority.cut.parent) == ("example.org", "org")
    assert authority.cut.names == ("ns1.example.org", "ns2.example.org")
    assert [(each.host, each.address) for each in authority.servers] == [
        ("ns1.example.org", FIRST),
        ("ns2.example.org", SECOND),
    ]
    assert [each.serial for each in authority.standings] == [7, 7]
    assert codes(authority) == set()
    assert authority.cut.heard.server is not None
    assert authority.cut.heard.server.address == PARENT


def _manner(address: str, manner: Manner) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.played[address].manner = manner

    return change


def _both(*changes: Callable[[World], None]) -> Callable[[World], None]:
    def change(world: World) -> None:
        for each in changes:
            each(world)

    return change


def _old_version(world: World) -> None:
    world.played[SECOND].zones = {"example.org": zone(serial=6)}


def _own_list(*names: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.first["example.org"]["NS"] = [f"{name}." for name in names]

    return change


def _third_named_by_zone(world: World) -> None:
    _own_list("ns1.example.org", "ns2.example.org", "ns3.example.org")(world)
    world.first["ns3.example.org"] = {"A": THIRD}


def _parent_names(*names: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.org["example.org"]["NS"] = [f"{name}." for name in names]

    return change


def _address(name: str, *addresses: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.first[name] = {"A": list(addresses)}

    return change


def _absent(world: World) -> None:
    for name in ("example.org", "ns1.example.org", "ns2.example.org"):
        del world.org[name]


def _ds(world: World) -> None:
    world.org["example.org"]["DS"] = "4711 13 2 " + "AB" * 32


def _signed(world: World) -> None:
    world.played[FIRST].signed = world.played[SECOND].signed = True


def _verified(world: World) -> None:
    world.played[RESOLVER].secure = True


def _alias(world: World) -> None:
    _both(
        _parent_names("ns1.example.org", "alias.example.org"),
        _own_list("ns1.example.org", "alias.example.org"),
    )(world)
    world.first["alias.example.org"] = {"CNAME": "ns2.example.org."}


def _no_address(world: World) -> None:
    del world.org["ns2.example.org"]
    del world.first["ns2.example.org"]


def _world_without_zones(world: World) -> None:
    """A captive network's resolver, that says of everything that it isn't there."""
    world.played[RESOLVER].zones = {"": {"": {"SOA": SOA.format(serial=1)}}}


def _walled_in(world: World) -> None:
    """The resolver knows this zone and nothing above it."""
    world.played[RESOLVER].zones = {
        "": {"": {"SOA": SOA.format(serial=1)}},
        "example.org": world.first,
    }


def _stale_glue(world: World) -> None:
    world.org["ns2.example.org"] = {"A": THIRD}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_manner(SECOND, Manner.REFUSES), {Code.SERVER_LAME, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.NOT_AUTHORITATIVE), {Code.SERVER_LAME, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.UPWARD), {Code.SERVER_LAME, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.NOTAUTH), {Code.SERVER_LAME, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.SERVFAIL), {Code.SERVER_FAILS, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.SILENT), {Code.SERVER_SILENT, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.GARBAGE), {Code.SERVER_GARBLED, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.CUT_TCP_CLOSED), {Code.SERVER_GARBLED, Code.SINGLE_SERVER}),
        (_manner(SECOND, Manner.CUT_SHORT), set()),
        (_manner(SECOND, Manner.LIES_FIRST), set()),
        (_manner(SECOND, Manner.NO_EDNS), set()),
        (
            _both(_manner(FIRST, Manner.REFUSES), _manner(SECOND, Manner.SILENT)),
            {Code.NOBODY_SERVES, Code.SERVER_LAME, Code.SERVER_SILENT},
        ),
        (_old_version, {Code.SERIALS_DIFFER}),
        (_own_list("ns1.example.org"), {Code.SERVERS_DISAGREE}),
        (_third_named_by_zone, {Code.SERVERS_DISAGREE, Code.SERVER_LAME}),
        (_parent_names("ns1.example.org"), {Code.SERVERS_DISAGREE}),
        (
            _both(_parent_names("ns1.example.org"), _own_list("ns1.example.org")),
            {Code.SINGLE_SERVER},
        ),
        (_address("ns2.example.org", "10.1.2.3"), {Code.SERVER_PRIVATE, Code.GLUE_DIFFERS}),
        (_address("ns2.example.org", SECOND, THIRD), {Code.SERVER_LAME}),
        (_alias, {Code.SERVER_ALIAS}),
        (_no_address, {Code.SERVER_WITHOUT_ADDRESS, Code.SINGLE_SERVER}),
        (_stale_glue, {Code.GLUE_DIFFERS, Code.SERVER_LAME}),
        (_absent, {Code.DOMAIN_ABSENT}),
        (_manner(PARENT, Manner.SILENT), {Code.PARENT_SILENT}),
        (_manner(PARENT, Manner.SERVFAIL), {Code.PARENT_SILENT}),
        (
            _manner(RESOLVER, Manner.SILENT),
            {Code.PARENT_SILENT},
        ),
        (_world_without_zones, {Code.PARENT_SILENT, Code.DOMAIN_ABSENT}),
        (_walled_in, {Code.PARENT_SILENT}),
        (_both(_ds, _signed, _verified), {Code.SIGNED}),
        (_both(_ds, _signed), {Code.NOT_VERIFIED}),
        (_ds, {Code.CHAIN_BROKEN}),
        (_signed, {Code.ISLAND}),
    ],
)
async def test_what_is_wrong_with_the_servers_is_found(
    change: Callable[[World], None], found: set[str]
) -> None:
    world = World()
    change(world)
    authority = await surveyed(world)
    assert codes(authority) == found


@pytest.mark.parametrize(
    ("ds", "signed", "verdict", "code"),
    [
        (True, True, Answer("", Kind.SOA, Outcome.RECORDS, secure=True), Code.SIGNED),
        (True, True, Answer("", Kind.SOA, Outcome.SERVFAIL), Code.CHAIN_BROKEN),
        (True, False, Answer("", Kind.SOA, Outcome.RECORDS), Code.CHAIN_BROKEN),
        (True, True, Answer("", Kind.SOA, Outcome.RECORDS), Code.NOT_VERIFIED),
        (True, True, Answer("", Kind.SOA, Outcome.TIMEOUT), Code.RESOLVER_SILENT),
        (False, True, Answer("", Kind.SOA, Outcome.RECORDS), Code.ISLAND),
        (False, False, Answer("", Kind.SOA, Outcome.RECORDS), Code.UNSIGNED),
        (False, False, Answer("", Kind.SOA, Outcome.SERVFAIL), Code.RESOLVER_SILENT),
    ],
)
async def test_signatures_are_judged_by_parent_servers_and_resolver(
    ds: bool, signed: bool, verdict: Answer, code: str
) -> None:
    world = World()
    if ds:
        _ds(world)
    if signed:
        _signed(world)
    authority = replace(await surveyed(world), verdict=verdict)
    (found,) = server_aspects(authority)[2].findings
    assert found.code == code


async def test_findings_say_who_said_what() -> None:
    world = World()
    _manner(SECOND, Manner.REFUSES)(world)
    _own_list("ns1.example.org")(world)
    authority = await surveyed(world)
    servers = server_aspects(authority)[0]
    evidence = {each.code: each.evidence for each in servers.findings}
    port = authority.servers[0].port
    assert evidence == {
        Code.SERVER_LAME: f"ns2.example.org ({SECOND} port {port}): refused (REFUSED)",
        Code.SINGLE_SERVER: f"ns1.example.org ({FIRST} port {port})",
        Code.SERVERS_DISAGREE: (
            f"only the parent names ns2.example.org (by ns1.example.org ({FIRST} port {port}))"
        ),
    }
    assert (servers.expected, servers.found) == (
        ("ns1.example.org", "ns2.example.org"),
        ("ns1.example.org",),
    )


@pytest.mark.parametrize(
    ("domain", "zone_found", "outcome"),
    [
        ("mx.example.org", "example.org", Outcome.NODATA),
        ("autodiscover.example.org", "example.org", Outcome.NODATA),
        ("nothing.example.org", "example.org", Outcome.NXDOMAIN),
        ("sub.example.org", "sub.example.org", Outcome.RECORDS),
        ("mx.sub.example.org", "sub.example.org", Outcome.NODATA),
        ("absent.org", "", Outcome.NXDOMAIN),
    ],
)
async def test_a_name_is_found_in_its_zone(domain: str, zone_found: str, outcome: Outcome) -> None:
    authority = await surveyed(World(), domain)
    assert authority.cut.heard.outcome is outcome
    if zone_found:
        assert authority.zone == zone_found


async def test_a_server_that_holds_parent_and_zone_is_seen_through() -> None:
    world = World()
    world.played[PARENT].zones = {"org": world.org, "example.org": world.first}
    authority = await surveyed(world)
    assert authority.cut.parent == "org"
    assert authority.cut.names == ("ns1.example.org", "ns2.example.org")
    assert codes(authority) == set()


@pytest.mark.parametrize(
    ("name", "values", "aliases", "asked"),
    [
        ("mx.example.org", ("192.0.2.1",), (), FIRST),
        ("inner.example.org", ("192.0.2.1",), ("mx.example.org",), FIRST),
        ("autodiscover.example.org", ("192.0.2.50",), ("mail.hoster.net",), RESOLVER),
        ("mail.hoster.net", ("192.0.2.50",), (), RESOLVER),
        ("mx.sub.example.org", ("192.0.2.77",), (), THIRD),
        ("any.wild.example.org", ("192.0.2.7",), (), FIRST),
    ],
)
async def test_a_domains_own_servers_are_asked_for_its_names(
    name: str, values: tuple[str, ...], aliases: tuple[str, ...], asked: str
) -> None:
    world = World()
    world.played[SECOND].manner = Manner.REFUSES
    async with serving(world.played) as port:
        network = WireNetwork(allowance(["127.0.0.0/8"]), patience=QUICK)
        resolver = RecursiveResolver(network, [Server(RESOLVER, port)])
        delegations = Delegations(network, resolver, port=port)
        direct = DirectResolver(network, delegations, resolver, ["example.org"])
        answers = [await direct.look_up(name, Kind.A) for _ in range(3)]
    for answer in answers:
        assert (answer.values, answer.aliases) == (values, aliases)
        assert answer.server is not None
        assert answer.server.address == asked


async def test_what_own_servers_do_not_tell_the_resolver_is_asked_for() -> None:
    world = World()
    world.played[FIRST].manner = world.played[SECOND].manner = Manner.SILENT
    async with serving(world.played) as port:
        network = WireNetwork(allowance(["127.0.0.0/8"]), patience=QUICK)
        resolver = RecursiveResolver(network, [Server(RESOLVER, port)])
        delegations = Delegations(network, resolver, port=port)
        direct = DirectResolver(network, delegations, resolver, ["example.org"])
        answer = await direct.look_up("mx.example.org", Kind.A)
        assert (answer.values, answer.server) == (("192.0.2.1",), Server(RESOLVER, port))
        world.played[RESOLVER].manner = Manner.SERVFAIL
        answer = await direct.look_up("ns1.example.org", Kind.A)
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.server is not None
    assert answer.server.address in (FIRST, SECOND)


async def test_a_survey_asks_little() -> None:
    """Round trips count: with 40 ms each, a look at one domain must take two seconds at most."""
    world = World()
    await surveyed(world)
    assert world.played[PARENT].asked == ["example.org NS"]
    assert sorted(world.played[FIRST].asked) == ["example.org NS", "example.org SOA"]
    assert len(world.played[RESOLVER].asked) <= 8


def test_every_code_has_a_meaning_and_a_cure_where_one_is_needed() -> None:
    assert set(MEANINGS) == set(Code)
    for code, meaning in MEANINGS.items():
        assert (meaning.severity is Severity.TELLS) or meaning.remedy, code
