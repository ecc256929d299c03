"""A name server in this process, on real sockets, that also plays every misbehaviour.

Several of them share one port on 127.0.0.x addresses, so that a delegation with plain A records
leads from one to the next.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailhaul.dns.answers import Server


class Manner(StrEnum):
    """How a server behaves."""

    HONEST = "as it should"
    SILENT = "never answers"
    SILENT_ONCE = "lets the first question go by"
    SERVFAIL = "fails"
    EXPLAINED = "fails and says why (RFC 8914)"
    REFUSES = "refuses"
    NOTAUTH = "says that it has no such zone"
    NOT_AUTHORITATIVE = "answers without AA"
    UPWARD = "refers to the root"
    WRONG_ID = "answers another id only"
    WRONG_ID_FIRST = "another id comes first, then the reply"
    OTHER_QUESTION = "answers a question that wasn't asked"
    LIES_FIRST = "a forged reply to another question comes first"
    GARBAGE = "sends octets that are no message behind the right id"
    SHORT = "sends three octets"
    QUESTION_BACK = "sends the question back as it came"
    FOREIGN_RECORDS = "adds records of other people's names"
    CUT_SHORT = "cuts every datagram short"
    CUT_WITHIN = "cuts every datagram off within a record"
    CUT_TCP_CLOSED = "cuts datagrams short and hangs up on connections"
    CUT_TCP_HALF = "cuts datagrams short and sends half by TCP"
    CUT_TCP_SILENT = "cuts datagrams short and is silent by TCP"
    CUT_TCP_STRANGE = "cuts datagrams short and answers another id by TCP"
    NO_EDNS = "has never heard of EDNS"
    NO_RECURSION = "refers instead of looking up"
    FLOOD = "sends strange datagrams without end"


Zone = Mapping[str, Mapping[str, object]]
"""Name → kind → values in a zone file's spelling (a text or several). The apex has an SOA; a name
below it with NS is a delegation; `*.example.org` is a wildcard."""


@dataclass
class Played:
    """One server. `asked` is every question, as `name kind` or `name kind tcp`."""

    zones: Mapping[str, Zone] = field(default_factory=dict)
    manner: Manner = Manner.HONEST
    ttl: int = 300
    delay: float = 0.0
    recursive: bool = False
    secure: bool = False
    signed: bool = False
    asked: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    ports: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


@asynccontextmanager
async def serving(servers: Mapping[str, Played]) -> AsyncIterator[int]:
    """Serves every address; gives the port that they share."""
    port = 0
    closers: list[Callable[[], None]] = []
    loop = asyncio.get_running_loop()
    try:
        for address, played in servers.items():
            transport, _ = await loop.create_datagram_endpoint(
                lambda played=played: _Datagrams(played),  # type: ignore[misc]
                local_addr=(address, port),
            )
            closers.append(transport.close)
            port = transport.get_extra_info("sockname")[1]
            listener = await asyncio.start_server(_connections(played), address, port)
            closers.append(listener.close)
        yield port
    finally:
        for close in closers:
            close()
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn


def at(address: str, port: int, host: str = "") -> Server:
    return Server(address, port, host)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, played: Played) -> None:
        self._played = played
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, octets: bytes, source: tuple[str, int]) -> None:
        self._played.ports.append(source[1])
        self._played.ids.append(int.from_bytes(octets[:2], "big"))
        task = asyncio.get_running_loop().create_task(self._reply(octets, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, octets: bytes, source: tuple[str, int]) -> None:
        played = self._played
        played.under_way += 1
        played.most_under_way = max(played.most_under_way, played.under_way)
        try:
            await asyncio.sleep(played.delay)
            for reply in _datagrams(played, octets):
                self._transport.sendto(reply, source)
        finally:
            played.under_way -= 1


def _connections(
    played: Played,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            octets = await reader.readexactly(length)
            if played.manner is Manner.CUT_TCP_SILENT:
                await reader.read()
            reply = _answered(played, octets, " tcp").to_wire(max_size=65535)
            framed = len(reply).to_bytes(2, "big") + reply
            if played.manner is Manner.CUT_TCP_CLOSED:
                framed = b""
            if played.manner is Manner.CUT_TCP_HALF:
                framed = framed[: len(framed) // 2]
            if played.manner is Manner.CUT_TCP_STRANGE:
                framed = framed[:2] + _other_id(framed[2:])
            writer.write(framed)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    return connected


def _datagrams(played: Played, octets: bytes) -> Sequence[bytes]:
    """What goes out for one datagram that came in."""
    manner = played.manner
    first = not played.asked
    reply = _answered(played, octets)
    wire = reply.to_wire(max_size=65535)
    if manner is Manner.SILENT or (manner is Manner.SILENT_ONCE and first):
        return []
    if manner is Manner.WRONG_ID:
        return [_other_id(wire)]
    if manner is Manner.WRONG_ID_FIRST:
        return [_other_id(wire), wire]
    if manner is Manner.LIES_FIRST:
        return [octets[:2] + _forged(octets)[2:], wire]
    if manner is Manner.GARBAGE:
        return [octets[:2] + b"\x84\x00" + b"\xff" * 60]
    if manner is Manner.SHORT:
        return [wire[:3]]
    if manner is Manner.QUESTION_BACK:
        return [octets]
    if manner is Manner.FLOOD:
        return [_other_id(wire)] * 300
    if manner is Manner.CUT_WITHIN:
        return [wire[:2] + bytes([wire[2] | 2]) + wire[3:-5]]
    if manner.name.startswith("CUT_"):
        cut = dns.message.make_response(dns.message.from_wire(octets))
        cut.flags |= dns.flags.TC | dns.flags.AA
        return [cut.to_wire()]
    return [wire]


def _other_id(wire: bytes) -> bytes:
    return struct.pack("!H", int.from_bytes(wire[:2], "big") ^ 0x1234) + wire[2:]


def _forged(octets: bytes) -> bytes:
    asked = dns.message.make_query("forged.example", "A", id=int.from_bytes(octets[:2], "big"))
    forged = dns.message.make_response(asked)
    forged.flags |= dns.flags.AA
    forged.answer.append(dns.rrset.from_text("forged.example.", 60, "IN", "A", "6.6.6.6"))
    return forged.to_wire()


def _answered(played: Played, octets: bytes, how: str = "") -> dns.message.Message:
    query = dns.message.from_wire(octets)
    name = query.question[0].name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(query.question[0].rdtype)
    played.asked.append(f"{name} {kind}{how}")
    reply = dns.message.make_response(query, recursion_available=played.recursive)
    manner = played.manner
    if manner is Manner.NO_EDNS and query.edns >= 0:
        reply.set_rcode(dns.rcode.FORMERR)
        reply.use_edns(False)
        return reply
    codes = {
        Manner.SERVFAIL: dns.rcode.SERVFAIL,
        Manner.EXPLAINED: dns.rcode.SERVFAIL,
        Manner.REFUSES: dns.rcode.REFUSED,
        Manner.NOTAUTH: dns.rcode.NOTAUTH,
    }
    if manner in codes:
        reply.set_rcode(codes[manner])
        if manner is Manner.EXPLAINED:
            why = dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "signature\x1b expired")
            reply.use_edns(0, options=[why])
        return reply
    if manner is Manner.UPWARD:
        reply.authority.append(dns.rrset.from_text(".", 60, "IN", "NS", "a.root-servers.net."))
        return reply
    if manner is Manner.NO_RECURSION:
        reply.flags &= ~dns.flags.RA
        reply.authority.append(dns.rrset.from_text("org.", 60, "IN", "NS", "a0.org.example."))
        return reply
    if manner is Manner.OTHER_QUESTION:
        return dns.message.from_wire(octets[:2] + _forged(octets)[2:])
    _look_up(played, reply, name, kind)
    if manner is Manner.NOT_AUTHORITATIVE:
        reply.flags &= ~dns.flags.AA
    if manner is Manner.FOREIGN_RECORDS:
        foreign = dns.rrset.from_text("victim.example.", 60, "IN", "A", "6.6.6.6")
        reply.answer.insert(0, foreign)
        reply.additional.append(foreign)
    if played.secure:
        reply.flags |= dns.flags.AD
    return reply


def _look_up(played: Played, reply: dns.message.Message, name: str, kind: str) -> None:
    """Fills the reply as an authoritative server does, or, `recursive`, over all its zones."""
    for _ in range(9):
        zone = _zone_of(played, name, kind)
        if zone is None:
            if not reply.answer:
                reply.set_rcode(dns.rcode.REFUSED)
            return
        apex, records = zone
        if not played.recursive:
            reply.flags |= dns.flags.AA
        cut = _cut(apex, records, name, kind)
        if cut and not played.recursive:
            reply.flags &= ~dns.flags.AA
            for kept in ("NS", "DS"):
                if kept in records[cut]:
                    _add(played, reply.authority, cut, kept, records[cut][kept])
            for host in _texts(records[cut]["NS"]):
                for glued in ("A", "AAAA"):
                    glue = records.get(host.rstrip("."), {})
                    if glued in glue:
                        _add(played, reply.additional, host.rstrip("."), glued, glue[glued])
            return
        node = _node(records, name)
        if node is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif kind in node:
            _add(played, reply.answer, name, kind, node[kind])
            return
        elif "CNAME" in node:
            _add(played, reply.answer, name, "CNAME", node["CNAME"])
            name = str(node["CNAME"]).rstrip(".").lower()
            continue
        _add(played, reply.authority, apex, "SOA", records[apex]["SOA"])
        return


def _zone_of(played: Played, name: str, kind: str) -> tuple[str, Zone] | None:
    """The deepest zone that holds the name; a DS is the parent's."""
    apex = name
    if kind == "DS" and len(played.zones) > 1:
        apex = name.partition(".")[2]
    while apex not in played.zones:
        if not apex:
            return None
        apex = apex.partition(".")[2]
    return apex, played.zones[apex]


def _cut(apex: str, records: Zone, name: str, kind: str) -> str | None:
    """The delegation that the name lies at or under."""
    at_cut = name
    while at_cut not in ("", apex):
        if "NS" in records.get(at_cut, {}) and not (kind == "DS" and at_cut == name):
            return at_cut
        at_cut = at_cut.partition(".")[2]
    return None


def _node(records: Zone, name: str) -> Mapping[str, object] | None:
    if name in records:
        return records[name]
    if any(each.endswith(f".{name}") for each in records):
        return {}
    parent = name
    while "." in parent:
        parent = parent.partition(".")[2]
        if f"*.{parent}" in records:
            return records[f"*.{parent}"]
        if parent in records:
            break
    return None


def _texts(values: object) -> list[str]:
    return [values] if isinstance(values, str) else [str(each) for each in values]  # type: ignore[attr-defined]


def _add(
    played: Played, section: list[dns.rrset.RRset], name: str, kind: str, values: object
) -> None:
    owner = f"{name}." if name else "."
    section.append(dns.rrset.from_text(owner, played.ttl, "IN", kind, *_texts(values)))
    if played.signed:
        expiry = "20300101000000 20200101000000"
        signature = f"{kind} 13 2 {played.ttl} {expiry} 1 {owner} AAAA"
        section.append(dns.rrset.from_text(owner, played.ttl, "IN", "RRSIG", signature))
