"""The zone itself: whether anybody serves it, what its wildcards answer, how long it is kept."""

import asyncio

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.checks.looking import Look, evidence, found
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.records import Kind

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
