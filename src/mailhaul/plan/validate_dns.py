"""What can be wrong with the sections [dns] and [canary] of a plan: names, addresses, the writer.

Whether a profile is known and what a file of expected records means is for those who know DNS.
"""

import ipaddress
import re
from collections.abc import Iterator

from mailhaul.core.errors import BadInput
from mailhaul.plan.listing import address_fault
from mailhaul.plan.mistakes import Mistake, said, suggestion
from mailhaul.plan.model import Canary, Dns, Plan, Writer, WriterKind
from mailhaul.plan.shape import Lines
from mailhaul.plan.toml_lines import Place
from mailhaul.plan.validate import secret_faults

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
"""RFC 8945 section 6, without what it advises against."""
_WRITERS: dict[WriterKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    WriterKind.MANUAL: (("server", "zone", "key", "secret", "place"), ()),
    WriterKind.RFC2136: (("place",), ("server", "key", "secret")),
    WriterKind.OVH: (("server", "key"), ("secret",)),
}
"""What each kind of writer has no use for, and what it needs."""
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MX = re.compile(r"(\d{1,5}) +(\S+)")


def dns_checks(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    """All that is wrong with the two sections."""
    if plan.canary is not None and plan.canary.on and plan.dns is None:
        text = "nothing says which way the mail is to go"
        yield lines.mistake(("canary", "on"), True, text, "add a table [dns], or take it out")
    if plan.canary is not None:
        yield from _canary(plan.canary, lines)
    if plan.dns is None:
        return
    yield from _aim(plan.dns, lines)
    yield from _names(plan.dns, lines)
    yield from _addresses(plan.dns, lines)
    yield from _writer(plan.dns.writer, lines)


def host_fault(name: str) -> str:
    """Why `name` can't be a domain's or a host's; empty when it can."""
    labels = name.rstrip(".").lower().split(".")
    try:
        plain = [label if label.isascii() else label.encode("idna").decode() for label in labels]
    except UnicodeError:
        return "this is no domain name"
    if not all(_LABEL.fullmatch(label) for label in plain) or len(".".join(plain)) > 253:
        return "this is no domain name"
    return "" if len(labels) > 1 else "this name has one part only"


def server_address(text: str) -> tuple[str, int]:
    """`9.9.9.9`, `127.0.0.1@5353` or `2620:fe::9`: address and port. Raises `BadInput`."""
    host, at, port = text.strip().partition("@")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError as error:
        raise BadInput("this is no address; write it like 9.9.9.9 or 127.0.0.1@5353") from error
    if at and not (port.isdecimal() and port.isascii() and 1 <= int(port) <= 65535):
        raise BadInput("this is no port; write it like 127.0.0.1@5353")
    return address, int(port or 53)


def _aim(dns: Dns, lines: Lines) -> Iterator[Mistake]:
    if not (dns.profile or dns.expect or dns.mx or dns.filter):
        text = "nothing says where the mail is to go"
        cure = 'write profile = "…", mx = ["10 mx.new.example"] or expect = "expect.toml"'
        yield lines.mistake(("dns",), None, text, cure)
    if dns.values and not dns.profile:
        text = "these values are a profile's, and none is named"
        yield lines.mistake(("dns", "values"), {}, text, 'write profile = "…", or take them out')
    for number, value in enumerate(dns.mx):
        found = _MX.fullmatch(value.strip())
        if found is None or int(found[1]) > 65535:
            cure = 'write a preference and a host, like "10 mx.new.example"'
            yield lines.mistake(("dns", "mx", number), value, "this is no mail host", cure)
        elif fault := host_fault(found[2]):
            yield lines.mistake(("dns", "mx", number), value, fault, "write the host's whole name")


def _names(dns: Dns, lines: Lines) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for name, every in (("domains", dns.domains), ("old_hosts", dns.old_hosts)):
        seen.clear()
        for number, value in enumerate(every):
            place: Place = ("dns", name, number)
            if fault := host_fault(value):
                yield lines.mistake(place, value, fault, "write it like acme.example")
            first = seen.setdefault(value.casefold().rstrip("."), value)
            if first is not value:
                yield lines.mistake(place, value, "this is named already", "take one of them out")


def _addresses(dns: Dns, lines: Lines) -> Iterator[Mistake]:
    for number, value in enumerate(dns.resolvers):
        try:
            server_address(value)
        except BadInput as error:
            fact, cure = said(error)
            yield lines.mistake(("dns", "resolvers", number), value, fact, cure)
    for number, value in enumerate(dns.allow_networks):
        try:
            ipaddress.ip_network(value)
        except ValueError:
            place: Place = ("dns", "allow_networks", number)
            cure = "write it like 10.0.0.0/8 or 192.0.2.7"
            yield lines.mistake(place, value, "this is no network", cure)


def _canary(canary: Canary, lines: Lines) -> Iterator[Mistake]:
    if canary.name and (fault := host_fault(canary.name)):
        cure = "write this machine's whole name, or take it out"
        yield lines.mistake(("canary", "name"), canary.name, fault, cure)
    if canary.sender and (told := address_fault(canary.sender)):
        yield lines.mistake(("canary", "sender"), canary.sender, *told)


def _writer(writer: Writer, lines: Lines) -> Iterator[Mistake]:
    place: Place = ("dns", "writer")
    foreign, needed = _WRITERS[writer.kind]
    for name in foreign:
        if getattr(writer, name):
            text = f"this is not for a zone of the kind {writer.kind}"
            if writer.kind is WriterKind.MANUAL:
                text = "this is for a zone that is written by itself"
            value = "" if name == "secret" else getattr(writer, name)
            kinds = " or ".join(
                f'"{kind}"' for kind, (not_its, _) in _WRITERS.items() if name not in not_its
            )
            cure = f"write kind = {kinds} under [dns.writer], or take it out"
            yield lines.mistake((*place, name), value, text, cure)
    for name in needed:
        if not getattr(writer, name):
            text = f"{name} is missing in [dns.writer]"
            yield lines.mistake(place, None, text, f'write {name} = "…"')
    if writer.kind is WriterKind.MANUAL:
        return
    if writer.algorithm not in ALGORITHMS:
        cure = suggestion(writer.algorithm, ALGORITHMS) or f"there are {', '.join(ALGORITHMS)}"
        yield lines.mistake((*place, "algorithm"), writer.algorithm, "not an algorithm here", cure)
    for text, cure in secret_faults(writer.secret):
        yield lines.mistake((*place, "secret"), "", text, cure)
