"""An authoritative name server for rehearsals: zones in memory, on loopback, no root.

It answers by UDP and TCP as RFC 1034 and RFC 2308 say (CNAMEs within the zone, wildcards,
delegations, SOA with what isn't there), and takes updates that are signed with its key (RFC 2136,
RFC 8945), prerequisites first, all or nothing.
"""

import secrets
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone

from mailhaul.dns.records import RecordSet, zone_lines

HOST = "127.0.0.1"
KEY_NAME = "rehearsal"
ALIASES = 8
UDP_SIZE = 1232
"""Octets that an answer by UDP may have: the usual advice against fragments."""


@dataclass(slots=True)
class NameServer:
    """A running server on `host`. `secret` is the text in base64 of the key `KEY_NAME`."""

    host: str
    port: int
    secret: str
    _zones: dict[dns.name.Name, dns.zone.Zone]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stands(self, name: str, kind: str) -> tuple[int, tuple[str, ...]]:
        """TTL and values of a record set as it stands, in zone-file spelling; none: no values."""
        wanted = dns.name.from_text(name)
        with self._lock:
            for origin, zone in self._zones.items():
                if wanted.is_subdomain(origin):
                    found = zone.get_rdataset(wanted, kind)
                    if found is not None:
                        return found.ttl, tuple(sorted(each.to_text() for each in found))
        return 0, ()

    def answer(self, wire: bytes, *, by_udp: bool) -> bytes | None:
        """The answer to one message; None for what is no question."""
        keyring = dns.tsigkeyring.from_text({KEY_NAME: ("hmac-sha256", self.secret)})
        try:
            query = dns.message.from_wire(wire, keyring=keyring)
        except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey):
            return _refusal(wire, dns.rcode.NOTAUTH)
        except dns.message.UnknownTSIGKey:
            return _refusal(wire, dns.rcode.NOTAUTH)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        response = dns.message.make_response(query, recursion_available=False)
        with self._lock:
            if isinstance(query, dns.update.UpdateMessage):
                response.set_rcode(self._update(query))
            elif query.opcode() == dns.opcode.QUERY and len(query.question) == 1:
                self._find(query.question[0].name, query.question[0].rdtype, response)
            else:
                response.set_rcode(dns.rcode.NOTIMP)
        size = UDP_SIZE if by_udp else 65535
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()

    def _find(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, response: dns.message.Message
    ) -> None:
        origin = max(
            (each for each in self._zones if name.is_subdomain(each)), key=len, default=None
        )
        if origin is None:
            response.set_rcode(dns.rcode.REFUSED)
            return
        zone = self._zones[origin]
        for _ in range(ALIASES):
            cut = _cut(zone, origin, name)
            if cut is not None:
                response.authority.append(_rrset(cut, zone, dns.rdatatype.NS, cut))
                return
            response.flags |= dns.flags.AA
            node, owner = _node(zone, origin, name)
            if node is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            found = node.get_rdataset(dns.rdataclass.IN, kind)
            if found is not None:
                response.answer.append(_rrset(name, zone, kind, owner))
                return
            alias = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)
            if alias is None:
                break
            response.answer.append(_rrset(name, zone, dns.rdatatype.CNAME, owner))
            name = alias[0].target
            if not name.is_subdomain(origin):
                return
        response.authority.append(_rrset(origin, zone, dns.rdatatype.SOA, origin))

    def _update(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """RFC 2136 section 3: who, whether, what."""
        if not update.had_tsig:
            return dns.rcode.REFUSED
        origin = update.zone[0].name
        zone = self._zones.get(origin)
        if zone is None:
            return dns.rcode.NOTAUTH
        exact: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], set[dns.rdata.Rdata]] = {}
        for wanted in update.prerequisite:
            if wanted.deleting is None:
                # A set comes record by record; it is compared as a whole (section 3.2.5).
                exact.setdefault((wanted.name, wanted.rdtype), set()).update(wanted)
            elif (code := _prerequisite(zone, wanted)) != dns.rcode.NOERROR:
                return code
        for (name, kind), values in exact.items():
            there = zone.get_rdataset(name, kind)
            if there is None or set(there) != values:
                return dns.rcode.NXRRSET
        if not all(each.name.is_subdomain(origin) for each in update.update):
            return dns.rcode.NOTZONE
        with zone.writer() as transaction:
            for each in update.update:
                if each.deleting == dns.rdataclass.ANY:
                    if each.rdtype == dns.rdatatype.ANY:
                        transaction.delete(each.name)
                    else:
                        transaction.delete(each.name, each.rdtype)
                elif each.deleting == dns.rdataclass.NONE:
                    transaction.delete(each.name, dns.rdataset.from_rdata_list(0, list(each)))
                else:
                    transaction.add(each.name, dns.rdataset.from_rdata_list(each.ttl, list(each)))
            transaction.update_serial(name=origin)
        return dns.rcode.NOERROR


@contextmanager
def name_server(zones: Mapping[str, list[RecordSet]], *, host: str = HOST) -> Iterator[NameServer]:
    """Serves those zones until the block ends. SOA and NS are made where a zone has none; what the
    name server is called is `ns.` and the zone's name."""
    made = {dns.name.from_text(name): _zone(name, sets, host) for name, sets in zones.items()}
    with ExitStack() as stack:
        found = NameServer(
            host, 0, secrets.token_urlsafe(32).replace("-", "A").replace("_", "B"), made
        )
        found.secret += "=" * (-len(found.secret) % 4)
        tcp, udp = _sockets(found, host)
        found.port = tcp.server_address[1]
        for server in (tcp, udp):
            thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield found


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True


def _sockets(server: NameServer, host: str) -> tuple[_Tcp, _Udp]:
    """Both at one port, which is free for both."""

    class OverTcp(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            with suppress(OSError):
                while len(length := self.rfile.read(2)) == 2:
                    wire = self.rfile.read(struct.unpack("!H", length)[0])
                    answer = server.answer(wire, by_udp=False)
                    if answer is None:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

    class OverUdp(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            answer = server.answer(self.packet, by_udp=True)
            if answer is not None:
                self.wfile.write(answer)

    while True:
        tcp = _Tcp((host, 0), OverTcp)
        try:
            return tcp, _Udp(tcp.server_address, OverUdp)
        except OSError:
            tcp.server_close()


def _zone(name: str, sets: list[RecordSet], host: str) -> dns.zone.Zone:
    lines = [line for each in sets for line in zone_lines(each)]
    kinds = {(each.name, each.kind.value) for each in sets}
    if (name, "SOA") not in kinds:
        lines.append(f"{name}. 3600 IN SOA ns.{name}. hostmaster.{name}. 1 3600 900 604800 300")
    if (name, "NS") not in kinds:
        lines += [f"{name}. 3600 IN NS ns.{name}.", f"ns.{name}. 3600 IN A {host}"]
    return dns.zone.from_text("\n".join(lines), origin=name, relativize=False, allow_include=False)


def _cut(zone: dns.zone.Zone, origin: dns.name.Name, name: dns.name.Name) -> dns.name.Name | None:
    """Where the zone hands the name on to other servers."""
    for length in range(len(origin) + 1, len(name) + 1):
        below = name.split(length)[1]
        if zone.get_rdataset(below, dns.rdatatype.NS) is not None:
            return below
    return None


def _node(
    zone: dns.zone.Zone, origin: dns.name.Name, name: dns.name.Name
) -> tuple[dns.node.Node | None, dns.name.Name]:
    """The node that answers for the name, and its own name: a wildcard's (RFC 4592 section 3.3),
    an empty one where only names below exist."""
    node = zone.get_node(name)
    if node is not None:
        return node, name
    if any(each.is_subdomain(name) for each in zone.nodes):
        return dns.node.Node(), name  # type: ignore[no-untyped-call]
    parent = name
    while parent != origin:
        parent = parent.parent()
        wild = dns.name.Name((b"*", *parent.labels))
        if (node := zone.get_node(wild)) is not None:
            return node, wild
        if any(each.is_subdomain(parent) for each in zone.nodes):
            return None, name
    return None, name


def _rrset(
    name: dns.name.Name,
    zone: dns.zone.Zone,
    kind: dns.rdatatype.RdataType,
    owner: dns.name.Name,
) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(
        name, zone.find_rdataset(owner, kind).ttl, list(zone.find_rdataset(owner, kind))
    )


def _prerequisite(zone: dns.zone.Zone, wanted: dns.rrset.RRset) -> dns.rcode.Rcode:
    """RFC 2136 sections 3.2.1 to 3.2.4: whether something, or nothing, is in use. dnspython writes
    the class of a prerequisite into `deleting`."""
    node = zone.get_node(wanted.name)
    there = None if node is None else node.get_rdataset(dns.rdataclass.IN, wanted.rdtype)
    any_type = wanted.rdtype == dns.rdatatype.ANY
    if wanted.deleting == dns.rdataclass.ANY:
        if any_type:
            return dns.rcode.NOERROR if node is not None else dns.rcode.NXDOMAIN
        return dns.rcode.NOERROR if there is not None else dns.rcode.NXRRSET
    if any_type:
        return dns.rcode.NOERROR if node is None else dns.rcode.YXDOMAIN
    return dns.rcode.NOERROR if there is None else dns.rcode.YXRRSET


def _refusal(wire: bytes, code: dns.rcode.Rcode) -> bytes | None:
    """What is said to somebody whose signature is not good: unsigned."""
    if len(wire) < 12:
        return None
    (flags,) = struct.unpack("!H", wire[2:4])
    opcode = flags & 0x7800
    return wire[:2] + struct.pack("!HHHHH", 0x8000 | opcode | code, 0, 0, 0, 0)
