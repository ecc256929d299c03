"""The zone itself: whether anybody serves it, what its wildcards answer, how long it is kept."""

import asyncio

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.checks.looking import Look, evidence, found, listed
from mailhaul.dns.desired import Key
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind, RecordSet

NEGATIVE_MOST = 3600
"""Seconds that a missing name may be remembered for without being in the way."""
TEXT_MOST = 1200
"""Octets of TXT at one name that still go into one answer by UDP."""


async def check_zone(look: Look) -> list[Aspect]:
    """Whether the domain is there at all."""
    soa, alias = await asyncio.gather(
        look.ask(look.domain, Kind.SOA), look.ask(look.domain, Kind.CNAME)
    )
    findings: list[Finding] = []
    if not soa.told:
        findings = [found("DOMAIN_UNSERVED", evidence(soa))]
    elif soa.outcome is Outcome.NXDOMAIN:
        findings = [found("DOMAIN_MISSING", evidence(soa))]
    elif alias.values:
        findings = [found("DOMAIN_IS_ALIAS", evidence(alias))]
    remembered = _remembered(soa)
    if remembered is not None and remembered > NEGATIVE_MOST:
        findings.append(found("NEGATIVE_TTL_LONG", f"{remembered} s; {evidence(soa)}"))
    aspect = Aspect(
        "zone", look.domain, Kind.SOA, found=soa.values, ttl=soa.ttl, findings=tuple(findings)
    )
    return [aspect, *_wildcards(look), *await _texts(look)]


def _remembered(soa: Answer) -> int | None:
    """How long it is remembered that a name is not there (RFC 2308 section 5)."""
    if not soa.values:
        return None
    minimum = soa.values[0].split()[-1]
    if not minimum.isascii() or not minimum.isdigit():
        return None
    return int(minimum) if soa.ttl is None or not soa.authoritative else min(int(minimum), soa.ttl)


def _wildcards(look: Look) -> list[Aspect]:
    return [
        Aspect(
            "wildcard",
            f"*.{look.domain}",
            kind,
            found=answer.aliases[:1] or answer.values,
            ttl=answer.ttl,
            findings=(found("WILDCARD_MX" if kind is Kind.MX else "WILDCARD", evidence(answer)),),
        )
        for kind, answer in look.wildcard.items()
        if not (answer.aliases and kind is not Kind.A)
    ]


async def _texts(look: Look) -> list[Aspect]:
    answer = await look.ask(look.domain, Kind.TXT)
    octets = sum(
        len(each.encode(errors="surrogateescape")) + 1 + len(each) // 255 for each in answer.values
    )
    if octets <= TEXT_MOST:
        return []
    finding = found("TEXTS_LARGE", f"{octets} octets in {len(answer.values)} texts")
    return [
        Aspect("zone", look.domain, Kind.TXT, found=answer.values, ttl=answer.ttl,
               findings=(finding,))
    ]  # fmt: skip


async def check_ttl(look: Look) -> list[Aspect]:
    """Before the switch: whether what it changes is forgotten soon enough."""
    if look.due(Moment.SWITCH):
        return []
    changing: list[Key] = [
        (each.name, each.kind) for each in look.expected.records if each.moment is Moment.SWITCH
    ]
    if look.expected.mx and look.expected.filter is None:
        changing.insert(0, (look.domain, Kind.MX))
    answers = await asyncio.gather(*(look.ask(*key) for key in dict.fromkeys(changing)))
    aspects = []
    for answer in answers:
        findings: tuple[Finding, ...] = ()
        if answer.values and answer.ttl is not None and answer.ttl > look.expected.ttl:
            findings = (found("TTL_LONG", evidence(answer)),)
        elif answer.values and answer.ttl == 0:
            findings = (found("TTL_ZERO", evidence(answer)),)
        if findings:
            aspects.append(
                Aspect(
                    "TTL",
                    answer.name,
                    answer.kind,
                    expected=(f"{look.expected.ttl} s at most",),
                    found=(f"{answer.ttl} s: {listed(answer.values)}",),
                    ttl=answer.ttl,
                    findings=findings,
                    write=_lowered(look, answer),
                )
            )
    return aspects


def _lowered(look: Look, answer: Answer) -> tuple[RecordSet, ...]:
    """The same values, remembered as long as they should be."""
    if answer.aliases and answer.kind is not Kind.CNAME:
        return ()
    return (RecordSet(answer.name, answer.kind, look.expected.ttl, answer.values),)
