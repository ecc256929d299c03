"""The tests' name servers are what they say: real, private, refusing what isn't signed."""

import threading
import time
from pathlib import Path

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from tests.servers.bind import Bind
from tests.servers.knot import Knot
from tests.servers.names import AuthoritativeServer, Tsig
from tests.servers.unbound import Unbound

OLD, NEW = "10 mx.old.test.", "10 mx.new.test."


@pytest.fixture(params=["knot", "bind"])
def authority(request: pytest.FixtureRequest) -> AuthoritativeServer:
    """Knot, then BIND."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, AuthoritativeServer)
    return server


def test_a_zone_has_its_records_serial_and_glue(authority: AuthoritativeServer) -> None:
    domain = authority.fresh()
    authority.zone(domain, f"@ 7 MX {OLD}", "* TXT wild", serial=41)
    answer = authority.ask(domain, "MX")
    assert answer.answer[0].ttl == 7
    assert authority.values(domain, "MX") == [OLD]
    assert authority.serial(domain) == 41
    assert authority.values(f"ns1.{domain}", "A") == [authority.address]
    assert authority.values(f"any.{domain}", "TXT") == ['"wild"']


def test_a_signed_update_is_taken_and_moves_the_serial(authority: AuthoritativeServer) -> None:
    domain = authority.fresh()
    authority.zone(domain, f"@ 5 MX {OLD}")
    authority.update(domain, f"@ 5 MX {NEW}", "@ 5 MX 20 mx.too.test.")
    assert authority.values(domain, "MX") == [NEW, "20 mx.too.test."]
    assert authority.serial(domain) > 1


STRANGE = Tsig("strange", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")


def test_an_unsigned_update_is_refused(authority: AuthoritativeServer) -> None:
    domain = authority.fresh()
    authority.zone(domain, f"@ 5 MX {OLD}")
    answer = dns.query.tcp(_change(domain), authority.address, timeout=5, port=authority.port)
    # Knot 3.2 says NOTAUTH, BIND 9.18 REFUSED.
    assert answer.rcode() in {dns.rcode.NOTAUTH, dns.rcode.REFUSED}
    assert authority.values(domain, "MX") == [OLD]


@pytest.mark.parametrize(
    ("own_name", "refused"),
    [(False, dns.tsig.PeerBadKey), (True, dns.tsig.PeerBadSignature)],
    ids=["by a key that it doesn't know", "wrongly"],
)
def test_an_update_signed_otherwise_is_refused(
    authority: AuthoritativeServer, own_name: bool, refused: type[Exception]
) -> None:
    domain = authority.fresh()
    authority.zone(domain, f"@ 5 MX {OLD}")
    change = _change(domain)
    name = authority.key.name if own_name else STRANGE.name
    change.use_tsig(dns.tsig.Key(name, STRANGE.secret, STRANGE.algorithm))
    with pytest.raises(refused):
        dns.query.tcp(change, authority.address, timeout=5, port=authority.port)
    assert authority.values(domain, "MX") == [OLD]


@pytest.mark.parametrize("kind", [Knot, Bind])
def test_what_was_updated_outlives_a_crash(kind: type[AuthoritativeServer]) -> None:
    with kind() as server:
        domain = server.fresh()
        server.zone(domain, f"@ 5 MX {OLD}")
        server.update(domain, f"@ 5 MX {NEW}")
        if kind is Knot:
            # It answers first, and writes the file a moment later.
            server.wait(lambda: NEW in server.zone_file(domain).read_text())
        server.stop()
        server.start()
        server.wait(lambda: server.serial(domain) >= 0)
        assert server.values(domain, "MX") == [NEW]


def test_several_servers_share_a_port_with_serials_of_their_own(bind: Bind) -> None:
    with Knot(addresses=2, port=bind.port) as knot:
        parent = knot.fresh("parent")
        knot.zone(parent)
        child = f"child.{parent}"
        knot.zone(child, serial=7, servers=[knot, bind])
        bind.zone(child, serial=5, servers=[knot, bind])
        knot.delegate(parent, child, [knot, bind])
        told = {
            address: knot.values(f"ns{number}.{child}", "A")
            for number, address in enumerate((*knot.addresses, bind.address), 1)
        }
        assert told == {address: [address] for address in (*knot.addresses, bind.address)}
        assert (knot.serial(child), bind.serial(child)) == (7, 5)
        assert [knot.ask(child, "SOA", address=each).rcode() for each in knot.addresses] == [0, 0]


@pytest.mark.parametrize(("first", "second"), [("knot", "bind"), ("bind", "knot")])
def test_a_secondary_follows_its_primary(
    first: str, second: str, request: pytest.FixtureRequest
) -> None:
    primary, secondary = request.getfixturevalue(first), request.getfixturevalue(second)
    domain = primary.fresh()
    primary.zone(domain, f"@ 5 MX {OLD}")
    secondary.secondary(domain, primary)
    assert secondary.values(domain, "MX") == [OLD]
    primary.update(domain, f"@ 5 MX {NEW}")
    secondary.wait(lambda: secondary.values(domain, "MX") == [NEW])
    assert secondary.serial(domain) == primary.serial(domain)


def test_a_resolver_remembers_for_the_ttl_and_no_longer(knot: Knot, unbound: Unbound) -> None:
    domain = knot.fresh()
    knot.zone(domain, f"@ 2 MX {OLD}")
    unbound.serve(domain, [knot])
    assert unbound.values(domain, "MX", recursive=True) == [OLD]
    asked = time.monotonic()
    knot.update(domain, f"@ 2 MX {NEW}")
    assert unbound.values(domain, "MX", recursive=True) == [OLD]
    unbound.wait(lambda: unbound.values(domain, "MX", recursive=True) == [NEW])
    assert 1 <= time.monotonic() - asked < 5


def test_knot_signs_a_zone(knot: Knot) -> None:
    domain = knot.fresh()
    knot.zone(domain, f"@ 5 MX {OLD}", signed=True)
    assert knot.values(domain, "DNSKEY")


def test_zones_may_be_added_from_several_threads(authority: AuthoritativeServer) -> None:
    domains = [authority.fresh() for _ in range(4)]
    threads = [threading.Thread(target=authority.zone, args=(domain,)) for domain in domains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [authority.serial(domain) for domain in domains] == [1] * 4


def test_a_closed_server_leaves_nothing_behind() -> None:
    with Knot() as server:
        directory = server.directory
        process = server._process
        assert process is not None
    assert not directory.exists()
    assert not Path(f"/proc/{process.pid}").exists()


def _change(domain: str) -> dns.update.UpdateMessage:
    change = dns.update.UpdateMessage(domain)
    change.replace("@", 5, "MX", NEW)
    return change
