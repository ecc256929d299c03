"""The rehearsal's name server answers, and takes updates, as real ones do; dnspython asks it."""

from collections.abc import Iterator

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.tsigkeyring
import dns.update
import pytest

from mailhaul.dns.records import Kind, RecordSet
from mailhaul.lab.name_server import HOST, KEY_NAME, NameServer, name_server

ZONE = "rosenberg.example"


@pytest.fixture
def server() -> Iterator[NameServer]:
    sets = [
        RecordSet(ZONE, Kind.MX, 3600, (f"10 mx.{ZONE}",)),
        RecordSet(ZONE, Kind.TXT, 300, ("v=spf1 mx -all", 'a "quoted" text; ' + "x" * 300)),
        RecordSet(f"mx.{ZONE}", Kind.A, 60, ("127.0.0.1",)),
        RecordSet(f"www.{ZONE}", Kind.CNAME, 60, (f"web.{ZONE}",)),
        RecordSet(f"web.{ZONE}", Kind.A, 60, ("127.0.0.2",)),
        RecordSet(f"a.deep.{ZONE}", Kind.A, 60, ("127.0.0.3",)),
        RecordSet(f"*.wild.{ZONE}", Kind.A, 60, ("127.0.0.4",)),
        RecordSet(f"sub.{ZONE}", Kind.NS, 60, (f"ns.sub.{ZONE}",)),
        RecordSet(f"big.{ZONE}", Kind.TXT, 60, tuple(f"{n} " + "y" * 200 for n in range(20))),
    ]
    with name_server({ZONE: sets}) as found:
        yield found


def ask(server: NameServer, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    return dns.query.udp_with_fallback(query, HOST, 5, server.port)[0]


@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        (ZONE, "MX", [f"10 mx.{ZONE}."]),
        (f"www.{ZONE}", "A", [f"web.{ZONE}.", "127.0.0.2"]),
        (f"any.wild.{ZONE}", "A", ["127.0.0.4"]),
        (f"www.{ZONE}", "CNAME", [f"web.{ZONE}."]),
        (f"ns.{ZONE}", "A", [HOST]),
        (f"deep.{ZONE}", "A", []),
        (f"mx.{ZONE}", "AAAA", []),
    ],
)
def test_what_is_there_is_answered_with_authority(
    server: NameServer, name: str, kind: str, answers: list[str]
) -> None:
    answer = ask(server, name, kind)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert [each.to_text() for rrset in answer.answer for each in rrset] == answers
    soa = [rrset.rdtype for rrset in answer.authority]
    assert soa == ([] if answers else [dns.rdatatype.SOA])


def test_what_is_not_there_is_told_with_the_soa(server: NameServer) -> None:
    answer = ask(server, f"nothing.{ZONE}", "MX")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype for rrset in answer.authority] == [dns.rdatatype.SOA]


def test_names_of_others_are_refused_and_those_below_a_cut_referred(server: NameServer) -> None:
    assert ask(server, "elsewhere.example", "MX").rcode() == dns.rcode.REFUSED
    answer = ask(server, f"mail.sub.{ZONE}", "MX")
    assert not answer.flags & dns.flags.AA
    assert [rrset.name.to_text() for rrset in answer.authority] == [f"sub.{ZONE}."]


def test_what_is_too_large_for_udp_is_fetched_by_tcp(server: NameServer) -> None:
    query = dns.message.make_query(f"big.{ZONE}", "TXT")
    assert dns.query.udp(query, HOST, 5, server.port).flags & dns.flags.TC
    answer = ask(server, f"big.{ZONE}", "TXT")
    assert len(answer.answer[0]) == 20


def signed(server: NameServer, secret: str | None = None) -> dns.update.UpdateMessage:
    keyring = dns.tsigkeyring.from_text({KEY_NAME: ("hmac-sha256", secret or server.secret)})
    return dns.update.UpdateMessage(ZONE, keyring=keyring)


def send(server: NameServer, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
    return dns.query.tcp(update, HOST, 5, server.port).rcode()


def test_a_signed_update_changes_all_it_says_and_the_serial(server: NameServer) -> None:
    before = ask(server, ZONE, "SOA").answer[0][0].serial
    update = signed(server)
    update.present(ZONE + ".", "MX", f"10 mx.{ZONE}.")
    update.replace(ZONE + ".", 60, "MX", "0 new.example.")
    update.add(f"autodiscover.{ZONE}.", 60, "CNAME", "auto.new.example.")
    update.delete(f"www.{ZONE}.")
    assert send(server, update) == dns.rcode.NOERROR
    assert server.stands(ZONE, "MX") == (60, ("0 new.example.",))
    assert server.stands(f"autodiscover.{ZONE}", "CNAME") == (60, ("auto.new.example.",))
    assert ask(server, f"www.{ZONE}", "A").rcode() == dns.rcode.NXDOMAIN
    assert ask(server, ZONE, "SOA").answer[0][0].serial > before


def _another_set(update: dns.update.UpdateMessage) -> None:
    update.present(ZONE + ".", "MX", f"10 mx.{ZONE}.", "20 other.example.")


def _nothing_there(update: dns.update.UpdateMessage) -> None:
    update.present(f"nothing.{ZONE}.")


def _absent(update: dns.update.UpdateMessage) -> None:
    update.absent(ZONE + ".", "MX")


def _absent_name(update: dns.update.UpdateMessage) -> None:
    update.absent(f"web.{ZONE}.")


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (_another_set, dns.rcode.NXRRSET),
        (_nothing_there, dns.rcode.NXDOMAIN),
        (_absent, dns.rcode.YXRRSET),
        (_absent_name, dns.rcode.YXDOMAIN),
    ],
)
def test_an_update_whose_condition_does_not_hold_changes_nothing(
    server: NameServer, condition: object, code: dns.rcode.Rcode
) -> None:
    update = signed(server)
    assert callable(condition)
    condition(update)
    update.replace(ZONE + ".", 60, "MX", "0 new.example.")
    assert send(server, update) == code
    assert server.stands(ZONE, "MX") == (3600, (f"10 mx.{ZONE}.",))


def test_unsigned_and_wrongly_signed_updates_are_refused(server: NameServer) -> None:
    unsigned = dns.update.UpdateMessage(ZONE)
    unsigned.replace(ZONE + ".", 60, "MX", "0 new.example.")
    assert send(server, unsigned) == dns.rcode.REFUSED
    wrong = signed(server, "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZ3dyb25n")
    wrong.replace(ZONE + ".", 60, "MX", "0 new.example.")
    with pytest.raises(dns.exception.DNSException):
        send(server, wrong)
    assert server.stands(ZONE, "MX")[0] == 3600


@pytest.mark.parametrize("wire", [b"", b"\0" * 5, b"\xff" * 40, b"\0" * 12], ids=repr)
def test_garbage_is_no_question(server: NameServer, wire: bytes) -> None:
    server.answer(wire, by_udp=True)
    assert ask(server, ZONE, "MX").rcode() == dns.rcode.NOERROR
