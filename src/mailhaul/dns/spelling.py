"""Record values as people and providers write them, made canonical as in `dns.records`."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name
from mailhaul.dns.records import Kind, MailHost

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def canonical(kind: Kind, text: str) -> str:
    """The value, spelled as in `dns.records`. Names may be written with their final dot and in any
    case, TXT with or without quotes. Raises `BadInput` for what no value of that kind can be."""
    try:
        return _SPELLED[kind](text.strip())
    except (ValueError, KeyError) as error:
        raise BadInput(
            f"“{printable(text, 120)}” is no value of {kind}; write it as {_EXAMPLES[kind]}"
        ) from error


def mail_host(text: str) -> MailHost:
    """One MX record from its value. Raises `BadInput`."""
    preference, _, host = canonical(Kind.MX, text).partition(" ")
    return MailHost(int(preference), host.rstrip("."))


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise ValueError(text)
    return int(text)


def _name(text: str) -> str:
    """A dot alone is kept: "nothing here" of MX and SRV (RFC 7505, RFC 2782)."""
    return text if text == "." else domain_name(text)


def _mx(text: str) -> str:
    preference, host = text.split()
    return f"{_number(preference, 65535)} {_name(host)}"


def _srv(text: str) -> str:
    *numbers, host = text.split()
    priority, weight, port = (_number(each, 65535) for each in numbers)
    return f"{priority} {weight} {port} {_name(host)}"


def _txt(text: str) -> str:
    """The strings of a quoted text joined; one without quotes as it is."""
    if not _STRINGS.fullmatch(text):
        return text
    return "".join(re.sub(r"\\(.)", r"\1", each) for each in _STRING.findall(text))


def _tlsa(text: str) -> str:
    usage, selector, matching, *octets = text.split()
    numbers = (_number(each, 255) for each in (usage, selector, matching))
    return " ".join([*map(str, numbers), bytes.fromhex("".join(octets)).hex()])


_SPELLED: dict[Kind, Callable[[str], str]] = {
    Kind.A: lambda text: str(IPv4Address(text)),
    Kind.AAAA: lambda text: str(IPv6Address(text)),
    Kind.CNAME: domain_name,
    Kind.NS: domain_name,
    Kind.MX: _mx,
    Kind.SRV: _srv,
    Kind.TXT: _txt,
    Kind.TLSA: _tlsa,
}
_EXAMPLES = {
    Kind.A: "192.0.2.1",
    Kind.AAAA: "2001:db8::1",
    Kind.CNAME: "host.example.org",
    Kind.NS: "ns1.example.org",
    Kind.MX: "10 mx.example.org",
    Kind.SRV: "0 0 443 host.example.org",
    Kind.TXT: "a text",
    Kind.TLSA: "3 1 1 and the digest in hexadecimal",
    Kind.SOA: "the zone's server does: it isn't written by hand",
    Kind.DS: "the registrar does: it isn't written by hand",
}
