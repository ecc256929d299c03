"""DANE: TLSA records of the mail hosts, which signing senders take at their word (RFC 7672)."""

import asyncio

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.checks.looking import Look, evidence, found, listed, untold
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.records import Kind, mail_hosts

TOPIC = "DANE"
USABLE = frozenset({"2", "3"})
"""DANE-TA and DANE-EE; senders ignore the others (RFC 7672 section 3.1.3)."""
HOSTS_MOST = 10


async def check_dane(look: Look) -> list[Aspect]:
    """One aspect for each host with TLSA records, or whose question failed."""
    answer = await look.ask(look.domain, Kind.MX)
    new = [each.host for each in look.expected.mx]
    here = [each.host for each in mail_hosts(answer.values) if each.host]
    hosts = list(dict.fromkeys([*new, *here]))[:HOSTS_MOST]
    answers = await asyncio.gather(*(look.ask(f"_25._tcp.{host}", Kind.TLSA) for host in hosts))
    had = [host for host, each in zip(hosts, answers, strict=True) if each.values]
    lost = bool(had) and not any(host in new for host in had) and bool(new)
    return [
        _aspect(each, lost=lost and host not in new)
        for host, each in zip(hosts, answers, strict=True)
        if each.values or not each.told
    ]


def _aspect(answer: Answer, *, lost: bool) -> Aspect:
    findings: list[Finding] = []
    if answer.outcome is Outcome.SERVFAIL:
        # A sender that validates holds mail back rather than send it (RFC 7672 section 2.1.1).
        findings = [found("DANE_FAILS", evidence(answer))]
    elif not answer.told:
        findings = [untold(answer)]
    else:
        unusable = [each for each in answer.values if each.partition(" ")[0] not in USABLE]
        if unusable:
            findings.append(found("DANE_UNUSABLE", listed(unusable)))
        if not answer.secure:
            findings.append(found("DANE_UNSIGNED", evidence(answer)))
        if lost:
            findings.append(found("DANE_LOST", evidence(answer)))
    return Aspect(
        TOPIC,
        answer.name,
        Kind.TLSA,
        found=answer.values,
        ttl=answer.ttl,
        findings=tuple(findings),
    )
