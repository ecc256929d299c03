"""One question to one server, over real sockets, whatever the server does."""

import asyncio
import time

import pytest

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.network import NO_ROUTE, Patience, WireNetwork
from mailhaul.dns.records import Kind
from tests.dns.wire_server import Manner, Played, Zone, serving

SOA = "ns1.example.org. root.example.org. 7 7200 900 1209600 60"
ZONE: Zone = {
    "example.org": {
        "SOA": SOA,
        "NS": ["ns1.example.org.", "ns2.example.org."],
        "MX": ["20 b.example.org.", "10 A.Example.ORG."],
        "TXT": ['"v=spf1 " "-all"', r'"caf\195\169 \255"'],
        "DS": "1 13 2 ABCD" + "00" * 30,
    },
    "a.example.org": {"A": ["192.0.2.9", "192.0.2.10"], "AAAA": "2001:DB8:0::1"},
    "www.example.org": {"CNAME": "web.example.org."},
    "web.example.org": {"CNAME": "a.example.org."},
    "away.example.org": {"CNAME": "host.elsewhere.net."},
    "gone.example.org": {"CNAME": "none.example.org."},
    "circle.example.org": {"CNAME": "square.example.org."},
    "square.example.org": {"CNAME": "circle.example.org."},
    "_imaps._tcp.example.org": {"SRV": "0 1 993 A.example.org."},
    "_25._tcp.a.example.org": {"TLSA": "3 1 1 " + "AB" * 32},
    "null.example.org": {"MX": "0 ."},
    "*.wild.example.org": {"TXT": "w"},
    "sub.example.org": {"NS": "ns.sub.example.org."},
    "ns.sub.example.org": {"A": "192.0.2.1"},
}
QUICK = Patience(first=0.3, second=0.5, connection=0.8)
LOOPBACK = allowance(["127.0.0.0/8", "::1"])


async def asked(
    played: Played, name: str, kind: Kind, *, recursive: bool = False, patience: Patience = QUICK
) -> Answer:
    network = WireNetwork(LOOPBACK, patience=patience)
    async with serving({"127.0.0.2": played}) as port:
        return await network.ask(Server("127.0.0.2", port), name, kind, recursive=recursive)


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("example.org", Kind.MX, ("10 a.example.org", "20 b.example.org")),
        ("EXAMPLE.org", Kind.NS, ("ns1.example.org", "ns2.example.org")),
        ("example.org", Kind.SOA, (SOA.replace(". ", " "),)),
        ("example.org", Kind.TXT, ("café \udcff", "v=spf1 -all")),
        ("a.example.org", Kind.A, ("192.0.2.10", "192.0.2.9")),
        ("a.example.org", Kind.AAAA, ("2001:db8::1",)),
        ("_imaps._tcp.example.org", Kind.SRV, ("0 1 993 a.example.org",)),
        ("_25._tcp.a.example.org", Kind.TLSA, ("3 1 1 " + "ab" * 32,)),
        ("null.example.org", Kind.MX, ("0 .",)),
        ("www.example.org", Kind.CNAME, ("web.example.org",)),
        ("any.wild.example.org", Kind.TXT, ("w",)),
        ("example.org", Kind.DS, ("1 13 2 abcd" + "00" * 30,)),
    ],
)
async def test_values_come_in_one_spelling(name: str, kind: Kind, values: tuple[str, ...]) -> None:
    answer = await asked(Played({"example.org": ZONE}), name, kind)
    assert (answer.outcome, answer.values) == (Outcome.RECORDS, values)
    assert answer.authoritative
    assert answer.ttl == 300


@pytest.mark.parametrize(
    ("name", "outcome", "values", "aliases", "ttl"),
    [
        (
            "www.example.org",
            Outcome.RECORDS,
            ("192.0.2.10", "192.0.2.9"),
            ("web.example.org", "a.example.org"),
            300,
        ),
        ("away.example.org", Outcome.RECORDS, (), ("host.elsewhere.net",), 300),
        ("gone.example.org", Outcome.NXDOMAIN, (), ("none.example.org",), 60),
        ("nothing.example.org", Outcome.NXDOMAIN, (), (), 60),
        ("_tcp.example.org", Outcome.NODATA, (), (), 60),
        ("example.org", Outcome.NODATA, (), (), 60),
        ("host.sub.example.org", Outcome.LAME, (), (), None),
        ("example.net", Outcome.REFUSED, (), (), None),
    ],
)
async def test_what_there_is_not_is_told_apart(
    name: str,
    outcome: Outcome,
    values: tuple[str, ...],
    aliases: tuple[str, ...],
    ttl: int | None,
) -> None:
    answer = await asked(Played({"example.org": ZONE}), name, Kind.A)
    assert (answer.outcome, answer.values, answer.aliases) == (outcome, values, aliases)
    assert answer.ttl == ttl


async def test_aliases_in_a_circle_make_no_sense() -> None:
    answer = await asked(Played({"example.org": ZONE}), "circle.example.org", Kind.A)
    assert answer.outcome is Outcome.MALFORMED
    assert "circle" in answer.said


@pytest.mark.parametrize(
    ("manner", "outcome", "said"),
    [
        (Manner.SILENT, Outcome.TIMEOUT, ""),
        (Manner.SILENT_ONCE, Outcome.RECORDS, ""),
        (Manner.SERVFAIL, Outcome.SERVFAIL, "SERVFAIL"),
        (
            Manner.EXPLAINED,
            Outcome.SERVFAIL,
            r"SERVFAIL; dnssec bogus: signature\x1b expired",
        ),
        (Manner.REFUSES, Outcome.REFUSED, "REFUSED"),
        (Manner.NOTAUTH, Outcome.LAME, "NOTAUTH"),
        (Manner.NOT_AUTHORITATIVE, Outcome.LAME, "it doesn't speak for the name"),
        (Manner.UPWARD, Outcome.LAME, "it refers to a.root-servers.net"),
        (Manner.WRONG_ID, Outcome.MALFORMED, "what it sends answers another question"),
        (Manner.WRONG_ID_FIRST, Outcome.RECORDS, ""),
        (Manner.OTHER_QUESTION, Outcome.MALFORMED, "what it sends answers another question"),
        (Manner.LIES_FIRST, Outcome.RECORDS, ""),
        (Manner.GARBAGE, Outcome.MALFORMED, "its reply can't be read"),
        (Manner.SHORT, Outcome.MALFORMED, "what it sends answers another question"),
        (Manner.QUESTION_BACK, Outcome.MALFORMED, "what it sends answers another question"),
        (Manner.FLOOD, Outcome.MALFORMED, "what it sends answers another question"),
        (Manner.FOREIGN_RECORDS, Outcome.RECORDS, ""),
        (Manner.CUT_SHORT, Outcome.RECORDS, ""),
        (Manner.CUT_WITHIN, Outcome.RECORDS, ""),
        (Manner.CUT_TCP_CLOSED, Outcome.MALFORMED, "cut short by UDP, and by TCP it hung up"),
        (Manner.CUT_TCP_HALF, Outcome.MALFORMED, "cut short by UDP, and by TCP it hung up"),
        (Manner.CUT_TCP_SILENT, Outcome.TIMEOUT, "cut short by UDP, and by TCP no answer in time"),
        (Manner.CUT_TCP_STRANGE, Outcome.MALFORMED, "cut short by UDP, and by TCP what it sends"),
        (Manner.NO_EDNS, Outcome.RECORDS, ""),
    ],
)
async def test_a_misbehaving_server_has_an_outcome_of_its_own(
    manner: Manner, outcome: Outcome, said: str
) -> None:
    answer = await asked(Played({"example.org": ZONE}, manner), "a.example.org", Kind.A)
    assert answer.outcome is outcome
    assert answer.values == (("192.0.2.10", "192.0.2.9") if outcome is Outcome.RECORDS else ())
    assert answer.said.startswith(said)
    assert bool(said) or not answer.said
    assert 0 <= answer.seconds < 3


async def test_a_resolver_that_does_not_look_up_has_refused() -> None:
    played = Played({"example.org": ZONE}, Manner.NO_RECURSION)
    answer = await asked(played, "a.example.org", Kind.A, recursive=True)
    assert (answer.outcome, answer.said) == (Outcome.REFUSED, "it doesn't look up for others")


@pytest.mark.parametrize("secure", [True, False])
async def test_a_resolver_says_whether_it_has_verified(secure: bool) -> None:
    played = Played({"example.org": ZONE}, recursive=True, secure=secure)
    answer = await asked(played, "a.example.org", Kind.A, recursive=True)
    assert answer.outcome is Outcome.RECORDS
    assert answer.secure is secure
    assert not answer.authoritative


async def test_a_long_answer_comes_whole_by_tcp() -> None:
    texts = [f'"{number:03}{"x" * 200}"' for number in range(200)]
    zone: Zone = {"example.org": {"SOA": SOA, "TXT": texts}}
    played = Played({"example.org": zone}, Manner.CUT_SHORT)
    answer = await asked(played, "example.org", Kind.TXT)
    assert len(answer.values) == 200
    assert played.asked == ["example.org TXT", "example.org TXT tcp"]


@pytest.mark.parametrize(
    "name", ["", "a..example.org", "x" * 64 + ".org", ".".join(["abc"] * 80), "\udcff.org"]
)
async def test_a_name_that_no_question_can_hold_is_not_asked(name: str) -> None:
    played = Played({"example.org": ZONE})
    answer = await asked(played, name, Kind.A)
    if name:
        assert answer.outcome is Outcome.MALFORMED
        assert played.asked == []
    else:
        assert answer.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.2", "its address is a loopback address"),
        ("169.254.169.254", "its address is a cloud's metadata address"),
        ("::ffff:10.0.0.1", "its address is a private address"),
        ("localhost", "its address is no IP address"),
    ],
)
async def test_an_address_that_is_not_public_is_not_asked(address: str, said: str) -> None:
    played = Played({"example.org": ZONE})
    async with serving({"127.0.0.2": played}) as port:
        server = Server(address, port)
        answer = await WireNetwork(allowance([])).ask(server, "a.org", Kind.A, recursive=False)
    assert (answer.outcome, answer.said) == (Outcome.FORBIDDEN, said)
    assert played.asked == []


async def test_a_trusted_resolver_is_asked_wherever_it_is_and_its_neighbour_is_not() -> None:
    played = Played({"example.org": ZONE})
    async with serving({"127.0.0.2": played}) as port:
        trusted = Server("127.0.0.2", port)
        network = WireNetwork(allowance([]), trusted=[trusted])
        first = await network.ask(trusted, "a.example.org", Kind.A, recursive=False)
        other = await network.ask(
            Server("127.0.0.2", port + 1), "a.example.org", Kind.A, recursive=False
        )
    assert (first.outcome, other.outcome) == (Outcome.RECORDS, Outcome.FORBIDDEN)


async def test_a_closed_port_is_told_at_once() -> None:
    async with serving({"127.0.0.2": Played()}) as port:
        pass
    began = time.monotonic()
    server = Server("127.0.0.2", port)
    answer = await WireNetwork(LOOPBACK).ask(server, "example.org", Kind.A, recursive=False)
    assert (answer.outcome, answer.said) == (Outcome.UNREACHABLE, "nothing listens at its port")
    assert time.monotonic() - began < 1


async def test_a_server_that_this_machine_has_no_way_to_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.socket.connect", nowhere)
    server = Server("2606:4700:4700::1111")
    answer = await WireNetwork(LOOPBACK).ask(server, "example.org", Kind.A, recursive=False)
    assert (answer.outcome, answer.said) == (Outcome.UNREACHABLE, NO_ROUTE)


async def test_every_question_leaves_from_another_port_with_another_id() -> None:
    played = Played({"example.org": ZONE})
    network = WireNetwork(LOOPBACK)
    async with serving({"127.0.0.2": played}) as port:
        server = Server("127.0.0.2", port)
        for _ in range(40):
            await network.ask(server, "a.example.org", Kind.A, recursive=False)
    assert len(set(played.ports)) > 30
    assert len(set(played.ids)) > 30


async def test_no_more_questions_are_under_way_than_allowed_and_waiting_costs_no_deadline() -> None:
    slow, other = (Played({"example.org": ZONE}, delay=0.05) for _ in range(2))
    network = WireNetwork(LOOPBACK, patience=QUICK, at_once=6, per_server=4)
    async with serving({"127.0.0.2": slow, "127.0.0.3": other}) as port:
        answers = await asyncio.gather(
            *(
                network.ask(Server(address, port), "a.example.org", Kind.A, recursive=False)
                for _ in range(24)
                for address in ("127.0.0.2", "127.0.0.3")
            )
        )
    assert {each.outcome for each in answers} == {Outcome.RECORDS}
    assert slow.most_under_way <= 4
    assert other.most_under_way <= 4
    assert len(slow.asked) == len(other.asked) == 24


async def test_a_server_silent_for_long_is_left_alone_for_a_while_and_then_asked_again() -> None:
    now = 0.0
    played = Played({"example.org": ZONE}, Manner.SILENT)
    patience = Patience(first=0.1, second=0.1, silences=3, pause=10)
    network = WireNetwork(LOOPBACK, patience=patience, clock=lambda: now)
    async with serving({"127.0.0.2": played}) as port:

        async def ask() -> Answer:
            server = Server("127.0.0.2", port)
            return await network.ask(server, "a.example.org", Kind.A, recursive=False)

        for _ in range(3):
            assert (await ask()).outcome is Outcome.TIMEOUT
        before = len(played.asked)
        left_alone = await ask()
        assert left_alone.outcome is Outcome.TIMEOUT
        assert left_alone.said == "it let the last 3 questions go by"
        assert len(played.asked) == before
        played.manner = Manner.HONEST
        now = 11.0
        assert (await ask()).outcome is Outcome.RECORDS
