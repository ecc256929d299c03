"""What OVHcloud says of a domain on a service, and which records it wants to see in the zone.

It writes expected records as lines of a zone file in one place and as bare values in another; both
are read. What can't be read is left out: it is a hint, and the zone's diagnosis finds it missing.
"""

import re
from collections.abc import Iterable, Iterator

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.names import domain_name
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.providers.ovh_answers import Fields
from mailhaul.providers.service import DomainStatus, HostedDomain, Mode

MODES = {"authoritative": Mode.AUTHORITATIVE, "nonAuthoritative": Mode.NON_AUTHORITATIVE}
"""OVHcloud's words for them."""

_PREFERENCES = (1, 5, 50, 100, 200)
"""Where OVHcloud names hosts without one: those of its own set of MX records."""
_LINE = re.compile(r"\S+\s+(?:\d+\s+)?IN\s+[A-Z]+\s+(.*)", re.DOTALL)
_STATUSES = {
    "creating": DomainStatus.CREATING,
    "deleting": DomainStatus.DELETING,
    "ok": DomainStatus.OK,
}


def hosted(found: Fields, dkim: Iterable[Fields] = ()) -> HostedDomain:
    """The domain (email.mxplan.Domain, email.pro.Domain, email.exchange.Domain) with the selectors
    of its DKIM."""
    name = _name(found.text("name"))
    status = _STATUSES.get(found.text("state"), DomainStatus.ERROR)
    proof = None
    if status is DomainStatus.OK and not found.flag("domainValidated"):
        status = DomainStatus.UNPROVEN
        proof = _proof(name, found.text("cnameToCheck"))
    return HostedDomain(
        name,
        status,
        MODES.get(found.text("type"), Mode.AUTHORITATIVE),
        printable(found.text("mxRelay"), 253),
        proof,
        _expected(name, found, dkim),
    )


def recommended(name: str, records: Iterable[Fields]) -> Expected:
    """What the older MX Plan wants to see (email.domain.Record)."""
    mx: list[MailHost] = []
    spf: tuple[str, ...] = ()
    ending = ""
    wanted: list[Wanted] = []
    for each in records:
        type_, target = each.text("fieldType"), each.text("target")
        subdomain = each.text("subDomain").rstrip(".")
        place = f"{subdomain}.{name}" if subdomain else name
        if type_ == "MX":
            mx += _mail_hosts([target])
        elif type_ in ("SPF", "TXT") and _unquoted(target).startswith("v=spf1"):
            spf, ending = _spf(target)
        elif type_ == "SRV":
            wanted += _service("client set-up", place, target)
        elif type_ == "CNAME":
            wanted += _alias("client set-up", place, target, Moment.SWITCH)
    return Expected(
        name, tuple(mx), spf=spf, spf_all=ending, records=tuple(wanted), source="OVHcloud's API"
    )


def _expected(name: str, found: Fields, dkim: Iterable[Fields]) -> Expected:
    spf, ending = _spf(found.text("expectedSPF"))
    records = list(
        _service(
            "autodiscover", f"_autodiscover._tcp.{name}", found.text("expectedAutodiscoverSRV")
        )
    )
    for each in dkim:
        if each.text("recordType") in ("CNAME", ""):
            place = each.text("customerRecord").rstrip(".")
            records += _alias("DKIM", place, each.text("targetRecord"), Moment.NOW)
    return Expected(
        name,
        tuple(_mail_hosts(found.texts("expectedMX"))),
        spf=spf,
        spf_all=ending,
        records=tuple(records),
        source="OVHcloud's API",
    )


def _mail_hosts(lines: Iterable[str]) -> Iterator[MailHost]:
    for place, line in enumerate(lines):
        words = _plain(line).split()
        if len(words) == 1:
            later = _PREFERENCES[-1] * (place - len(_PREFERENCES) + 2)
            words = [str(_PREFERENCES[place] if place < len(_PREFERENCES) else later), *words]
        if len(words) == 2 and words[0].isdecimal() and int(words[0]) < 65536:
            host = _name(words[1])
            if host:
                yield MailHost(int(words[0]), host)


def _spf(line: str) -> tuple[tuple[str, ...], str]:
    """Its terms and how it ends."""
    words = _unquoted(_plain(line)).split()
    if not words or words[0] != "v=spf1":
        return (), ""
    ending = words[-1] if words[-1].lstrip("+-~?") == "all" else ""
    terms = tuple(printable(word, 200) for word in words[1:] if word != ending)
    return terms, ending


def _service(topic: str, place: str, line: str) -> Iterator[Wanted]:
    words = _plain(line).split()
    host = _name(words[-1]) if len(words) == 4 else ""
    if host and all(word.isdecimal() and int(word) < 65536 for word in words[:3]):
        value = " ".join([*words[:3], host])
        yield Wanted(topic, place, Kind.SRV, (value,), Moment.SWITCH)


def _alias(topic: str, place: str, target: str, moment: Moment) -> Iterator[Wanted]:
    name, host = _name(place), _name(_plain(target))
    if name and host:
        yield Wanted(topic, name, Kind.CNAME, (host,), moment)


def _proof(name: str, check: str) -> RecordSet | None:
    """OVHcloud's guide: a CNAME of that name that leads to ovh.com."""
    label = check.strip().rstrip(".")
    if not label:
        return None
    place = label if label.casefold().endswith(f".{name}") else f"{label}.{name}"
    spelled = _name(place)
    return RecordSet(spelled, Kind.CNAME, 3600, ("ovh.com",)) if spelled else None


def _plain(line: str) -> str:
    """The value of a line of a zone file, or the line itself."""
    found = _LINE.fullmatch(line.strip())
    return found[1].strip() if found else line.strip()


def _unquoted(text: str) -> str:
    return text.strip().strip('"')


def _name(text: str) -> str:
    """Empty for what is none."""
    try:
        return domain_name(text)
    except BadInput:
        return ""
