"""The wire format: a question's octets, and what the octets of a reply say. No I/O.

A reply is believed only as far as it fits: its id, its question, and those of its records that are
about the name asked for. What else a server puts into an answer section is left alone.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.DS
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV
import dns.rrset

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.records import Kind, RecordSet

PAYLOAD = 1232
"""Octets of a UDP reply that cross any network whole (DNS flag day 2020)."""

LONGEST_TTL = 2**31 - 1
"""Seconds. A larger one counts as 0 (RFC 2181 section 8)."""

LONGEST_CHAIN = 12
"""CNAMEs that are followed; a longer chain is taken for a loop."""

WITHOUT_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
"""What servers say that know no EDNS (RFC 6891 section 7)."""

_HEADER = struct.Struct("!HHHHHH")
"""Id, flags, how many records in each section (RFC 1035 section 4.1.1)."""

_ASKED = struct.Struct("!HH")
"""Type and class of a question (RFC 1035 section 4.1.2)."""

_EDNS = struct.Struct("!BHHIH")
"""The OPT record: root, type, octets of a datagram, flags, no options (RFC 6891 section 6.1.2)."""

_TYPES = {kind: dns.rdatatype.from_text(kind.value) for kind in Kind}
_KINDS = {number: kind for kind, number in _TYPES.items()}

_WITHOUT_QUESTION = WITHOUT_EDNS | {dns.rcode.SERVFAIL, dns.rcode.REFUSED}
"""What a server may say without repeating the question."""

_OUTCOMES: Mapping[int, Outcome] = {
    dns.rcode.NOERROR: Outcome.RECORDS,
    dns.rcode.NXDOMAIN: Outcome.NXDOMAIN,
    dns.rcode.REFUSED: Outcome.REFUSED,
    dns.rcode.NOTAUTH: Outcome.LAME,
    dns.rcode.FORMERR: Outcome.MALFORMED,
}
"""What a reply's code comes to; any other is a failure of the server."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its octets."""

    name: dns.name.Name
    kind: Kind
    octets: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One message of a server. `outcome` is what its code comes to alone: RECORDS may well hold
    none. `code` is the response code, `signed` says that signatures came along (RRSIG), `recursing`
    that the server looks up for others, `truncated` that the rest was cut off."""

    outcome: Outcome
    answer: tuple[RecordSet, ...] = ()
    authority: tuple[RecordSet, ...] = ()
    additional: tuple[RecordSet, ...] = ()
    code: int = 0
    authoritative: bool = False
    recursing: bool = False
    secure: bool = False
    signed: bool = False
    truncated: bool = False
    said: str = ""
    seconds: float = 0.0

    @property
    def came(self) -> bool:
        """Whether it is a server's word, whatever it says."""
        return self.outcome not in _NEVER_CAME


_NEVER_CAME = frozenset({Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.FORBIDDEN})


def question(
    name: str, kind: Kind, *, recursive: bool, number: int, edns: bool = True, signed: bool = False
) -> Question:
    """The question with that id (16 bits; whoever sends it makes it unguessable). `signed` asks for
    signatures too (DO, RFC 3225). Raises `BadInput` for what no name can be."""
    try:
        asked = dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise BadInput(f"“{printable(name, 100)}” is no name to ask for") from error
    # AD in a question asks for AD in the reply (RFC 6840 section 5.7).
    flags = dns.flags.RD | dns.flags.AD if recursive else 0
    octets = _HEADER.pack(number, flags, 1, 0, 0, int(edns)) + asked.to_digestable()
    octets += _ASKED.pack(_TYPES[kind], dns.rdataclass.IN)
    if edns:
        octets += _EDNS.pack(0, dns.rdatatype.OPT, PAYLOAD, dns.flags.DO if signed else 0, 0)
    return Question(asked, kind, octets)


def read(octets: bytes, sent: Question) -> Reply | None:
    """What the octets say; None: they are no reply to that question, whoever sent them. What is one
    and makes no sense is `MALFORMED`."""
    if len(octets) < 12 or octets[:2] != sent.octets[:2] or not octets[2] & 0x80:
        return None
    try:
        message = dns.message.from_wire(octets, ignore_trailing=True)
        fits = _fits(message, sent)
    except (dns.exception.DNSException, ValueError) as error:
        if octets[2] & 0x02:
            # Some cut their reply off within a record; it is asked for again by TCP anyway.
            return Reply(Outcome.RECORDS, truncated=True)
        return Reply(Outcome.MALFORMED, said=printable(f"its reply can't be read: {error}", 200))
    if not fits:
        return None
    code = message.rcode()
    return Reply(
        _OUTCOMES.get(code, Outcome.SERVFAIL),
        tuple(_record_sets(message.answer)),
        tuple(_record_sets(message.authority)),
        tuple(_record_sets(message.additional)),
        code,
        authoritative=bool(message.flags & dns.flags.AA),
        recursing=bool(message.flags & dns.flags.RA),
        secure=bool(message.flags & dns.flags.AD),
        signed=_holds_signatures(message),
        truncated=bool(message.flags & dns.flags.TC),
        said=_said(message),
    )


def answer(reply: Reply, name: str, kind: Kind, server: Server, *, recursive: bool) -> Answer:
    """What the reply says to the question. RECORDS without values: the name leads on, by `aliases`,
    to a name that this server holds nothing of. A server that was asked for its own word and gives
    another's is `LAME`; one that was asked to look up and doesn't, has `REFUSED`."""
    aliases, found = _followed(reply.answer, name, kind) if reply.answer else ([], None)
    outcome, said = reply.outcome, reply.said
    values = found.values if found and outcome is Outcome.RECORDS else ()
    ttl = min((each.ttl for each in (*aliases, *((found,) if found else ()))), default=None)
    soa = next((each for each in reply.authority if each.kind is Kind.SOA), None)
    if outcome is Outcome.RECORDS:
        if not recursive and not reply.authoritative:
            outcome, values, said = Outcome.LAME, (), said or _refers(reply)
        elif len(aliases) >= LONGEST_CHAIN:
            outcome, values, said = Outcome.MALFORMED, (), "its CNAMEs lead in a circle"
        elif found is None and recursive and soa is None and not aliases and not reply.recursing:
            outcome, said = Outcome.REFUSED, said or "it doesn't look up for others"
        elif found is None and (soa is not None or not aliases):
            outcome = Outcome.NODATA
    if outcome in (Outcome.NODATA, Outcome.NXDOMAIN):
        # RFC 2308 section 5: remembered for the lesser of the SOA's TTL and its last field.
        values, ttl = (), None if soa is None else min(soa.ttl, minimum(soa.values[0]))
    return Answer(
        name,
        kind,
        outcome,
        values,
        ttl,
        tuple(each.values[0] for each in aliases),
        server,
        reply.authoritative,
        reply.secure,
        said,
        reply.seconds,
    )


def serial(soa: str) -> int:
    """The serial number of an SOA's value."""
    return int(soa.split(" ")[2])


def minimum(soa: str) -> int:
    """The seconds for which it may be remembered that there is nothing, by an SOA's value."""
    return int(soa.split(" ")[6])


def spelled(name: dns.name.Name) -> str:
    """The name as this room holds it; the root is `.`."""
    return name.to_text(omit_final_dot=True).lower()


def value(rdata: dns.rdata.Rdata) -> str:
    """The record's data in the spelling of `dns.records`. Octets of a text that are no UTF-8 are
    kept as lone surrogates (PEP 383), so that they can be written back as they were."""
    match rdata:
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return str(ip_address(rdata.address))
        case dns.rdtypes.ANY.CNAME.CNAME() | dns.rdtypes.ANY.NS.NS():
            return spelled(rdata.target)
        case dns.rdtypes.ANY.MX.MX():
            return f"{rdata.preference} {spelled(rdata.exchange)}"
        case dns.rdtypes.IN.SRV.SRV():
            target = spelled(rdata.target)
            return f"{rdata.priority} {rdata.weight} {rdata.port} {target}"
        case dns.rdtypes.ANY.TXT.TXT():
            return b"".join(rdata.strings).decode(errors="surrogateescape")
        case dns.rdtypes.ANY.SOA.SOA():
            names = f"{spelled(rdata.mname)} {spelled(rdata.rname)}"
            times = f"{rdata.refresh} {rdata.retry} {rdata.expire} {rdata.minimum}"
            return f"{names} {rdata.serial} {times}"
        case dns.rdtypes.ANY.TLSA.TLSA():
            return f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
        case dns.rdtypes.ANY.DS.DS():
            key = f"{rdata.key_tag} {int(rdata.algorithm)} {int(rdata.digest_type)}"
            return f"{key} {rdata.digest.hex()}"
    return rdata.to_text()


def _fits(message: dns.message.Message, sent: Question) -> bool:
    """Whether it is about what was asked, and that alone (RFC 5452 section 9.1)."""
    if message.opcode() != dns.opcode.QUERY:
        return False
    if not message.question:
        return message.rcode() in _WITHOUT_QUESTION
    (first, *more) = message.question
    return (
        not more
        and first.name == sent.name
        and first.rdtype == _TYPES[sent.kind]
        and first.rdclass == dns.rdataclass.IN
    )


def _record_sets(section: Iterable[dns.rrset.RRset]) -> Iterator[RecordSet]:
    for rrset in section:
        kind = _KINDS.get(rrset.rdtype)
        if kind is None or rrset.rdclass is not dns.rdataclass.IN or not len(rrset):
            continue
        ttl = rrset.ttl if 0 <= rrset.ttl <= LONGEST_TTL else 0
        yield RecordSet(spelled(rrset.name), kind, ttl, tuple(sorted(map(value, rrset))))


def _followed(
    records: Iterable[RecordSet], name: str, kind: Kind
) -> tuple[list[RecordSet], RecordSet | None]:
    """The CNAMEs that lead from the name, and the records that they lead to."""
    by_key = {each.key: each for each in records}
    aliases: list[RecordSet] = []
    name = spelled(dns.name.from_text(name))
    while (name, kind) not in by_key and len(aliases) < LONGEST_CHAIN:
        alias = by_key.get((name, Kind.CNAME))
        if alias is None:
            return aliases, None
        aliases.append(alias)
        name = alias.values[0]
    return aliases, by_key.get((name, kind))


def _refers(reply: Reply) -> str:
    names = [
        printable(host, 80)
        for each in reply.authority
        if each.kind is Kind.NS
        for host in each.values
    ]
    return f"it refers to {', '.join(names[:4])}" if names else "it doesn't speak for the name"


def _holds_signatures(message: dns.message.Message) -> bool:
    return any(
        rrset.rdtype == dns.rdatatype.RRSIG for rrset in (*message.answer, *message.authority)
    )


def _said(message: dns.message.Message) -> str:
    """What the code is called, where no outcome tells, and why (RFC 8914)."""
    said = []
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        said.append(dns.rcode.to_text(message.rcode()))
    for option in message.options:
        if isinstance(option, dns.edns.EDEOption):
            words = dns.edns.EDECode.to_text(option.code).replace("_", " ").lower()
            said.append(f"{words}: {option.text}" if option.text else words)
    return printable("; ".join(said), 200)
