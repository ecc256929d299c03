"""Octets that a name server might send, read without a socket."""

import random

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from mailhaul.dns.answers import Outcome, Server
from mailhaul.dns.records import Kind, RecordSet, zone_lines
from mailhaul.dns.wire import Reply, answer, question, read

ASKED = question("example.org", Kind.MX, recursive=False, number=0x1234)
SERVER = Server("192.0.2.1")


def reply_octets() -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(ASKED.octets))
    for name, kind, text in (
        ("example.org.", "MX", "10 a.example.org."),
        ("a.example.org.", "A", "192.0.2.1"),
        ("example.org.", "TXT", '"one" "two"'),
        ("_x.example.org.", "SRV", "0 1 2 a.example.org."),
        ("_x.example.org.", "TLSA", "3 1 1 " + "ab" * 32),
        ("example.org.", "SOA", "a.org. b.org. 1 2 3 4 5"),
        ("example.org.", "RRSIG", "MX 13 2 1 20300101000000 20200101000000 1 example.org. AAAA"),
    ):
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", kind, text))
    return reply.to_wire()


def test_whatever_octets_come_they_are_read_or_refused_and_raise_nothing() -> None:
    chance = random.Random(7)
    whole = reply_octets()
    read_at_all = 0
    for _ in range(2500):
        octets = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            octets[chance.randrange(2, len(octets))] = chance.randrange(256)
        cut = bytes(octets[: chance.choice([len(octets), chance.randrange(len(octets))])])
        reply = read(cut, ASKED)
        if reply is not None:
            read_at_all += 1
            answer(reply, "example.org", Kind.MX, SERVER, recursive=chance.random() < 0.5)
    assert read_at_all > 200


@pytest.mark.parametrize("octets", [b"", b"\x12", b"\x12\x34", b"\x12\x34\x84", b"\0" * 12])
def test_what_is_too_short_for_a_reply_is_none(octets: bytes) -> None:
    assert read(octets, ASKED) is None


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("edns", [True, False])
@pytest.mark.parametrize("signed", [True, False])
def test_a_question_is_what_another_library_reads(
    recursive: bool, edns: bool, signed: bool
) -> None:
    sent = question(
        "_25._tcp.Example.ORG", Kind.TLSA, recursive=recursive, number=7, edns=edns, signed=signed
    )
    message = dns.message.from_wire(sent.octets)
    assert message.id == 7
    assert [each.to_text() for each in message.question] == ["_25._tcp.example.org. IN TLSA"]
    assert bool(message.flags & dns.flags.RD) is recursive
    assert bool(message.flags & dns.flags.AD) is recursive
    assert (message.edns == 0) is edns
    assert bool(message.ednsflags & dns.flags.DO) is (edns and signed)
    assert message.payload == (1232 if edns else 0)


@pytest.mark.parametrize(
    ("code", "asked", "fits"),
    [
        ("REFUSED", None, True),
        ("SERVFAIL", None, True),
        ("NOERROR", None, False),
        ("NXDOMAIN", None, False),
        ("NOERROR", "example.org. IN MX", True),
        ("NOERROR", "EXAMPLE.org. IN MX", True),
        ("NOERROR", "example.org. IN A", False),
        ("NOERROR", "example.org. CH MX", False),
        ("REFUSED", "example.net. IN MX", False),
    ],
)
def test_a_reply_is_about_what_was_asked(code: str, asked: str | None, fits: bool) -> None:
    reply = dns.message.make_response(dns.message.from_wire(ASKED.octets))
    reply.set_rcode(dns.rcode.from_text(code))
    reply.question = []
    if asked is not None:
        name, group, kind = asked.split()
        reply.question = [
            dns.rrset.RRset(
                dns.name.from_text(name),
                dns.rdataclass.from_text(group),
                dns.rdatatype.from_text(kind),
            )
        ]
    assert (read(reply.to_wire(), ASKED) is not None) is fits


def test_a_reply_with_another_id_is_none() -> None:
    assert read(b"\x12\x35" + reply_octets()[2:], ASKED) is None


def test_signatures_are_seen() -> None:
    reply = read(reply_octets(), ASKED)
    assert reply is not None
    assert reply.signed


@pytest.mark.parametrize(
    ("ttl", "minimum", "remembered"),
    [(3600, 60, 60), (60, 3600, 60), (2**31, 3600, 0)],
)
def test_that_there_is_nothing_is_remembered_as_the_soa_says(
    ttl: int, minimum: int, remembered: int
) -> None:
    reply = dns.message.make_response(dns.message.from_wire(ASKED.octets))
    soa = f"a.org. b.org. 1 2 3 4 {minimum}"
    reply.authority.append(dns.rrset.from_text("example.org.", ttl, "IN", "SOA", soa))
    came = read(reply.to_wire(), ASKED)
    assert came is not None
    told = answer(came, "example.org", Kind.MX, SERVER, recursive=True)
    assert (told.outcome, told.ttl) == (Outcome.NODATA, remembered)


def test_the_shortest_ttl_of_a_chain_counts() -> None:
    chain = (
        RecordSet("example.org", Kind.CNAME, 60, ("b.org",)),
        RecordSet("b.org", Kind.MX, 300, ("10 c.org",)),
    )
    told = answer(
        Reply(Outcome.RECORDS, chain), "example.org", Kind.MX, SERVER, recursive=True
    )  # fmt: skip
    assert (told.values, told.aliases, told.ttl) == (("10 c.org",), ("b.org",), 60)


def test_a_failure_that_carries_records_says_nothing() -> None:
    records = (RecordSet("example.org", Kind.MX, 300, ("10 c.org",)),)
    failed = Reply(Outcome.SERVFAIL, records, code=2)
    assert answer(failed, "example.org", Kind.MX, SERVER, recursive=True).values == ()


def test_a_text_that_is_no_utf_8_is_written_back_as_it_was() -> None:
    reply = dns.message.make_response(dns.message.from_wire(ASKED.octets))
    text = dns.rrset.from_text("example.org.", 60, "IN", "TXT", r'"\255\\\"caf\195\169" "x"')
    reply.answer.append(text)
    came = read(reply.to_wire(), ASKED)
    assert came is not None
    (line,) = zone_lines(came.answer[0])
    assert line == r'example.org. 60 IN TXT "\255\\\"caf\195\169x"'
