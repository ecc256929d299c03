"""Which names still lead to the old system: programs that know them go on talking to it."""

import asyncio
from dataclasses import dataclass

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import Look, evidence, found, from_wildcard, untold
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind, mail_hosts

STALE = ("mail", "imap", "pop", "pop3", "smtp", "webmail")
"""Names that people have typed into their programs over the years."""
HOSTS = ("autodiscover", "autoconfig")
SERVICES = ("autodiscover", "imaps", "imap", "submissions", "submission", "pop3s")
"""Outlook's, and those of RFC 6186 and RFC 8314 section 5.1."""
PLAIN = {"imap": "imaps", "submission": "submissions"}
"""Services without TLS from the start, and what is better."""
OLD_MOST = 6


@dataclass(frozen=True, slots=True)
class Old:
    """The old system, by names and addresses; empty where it isn't known."""

    hosts: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    def has(self, *answers: Answer) -> bool:
        """Whether the answers lead there."""
        return any(
            self.hosts & {each.name, *each.aliases} or self.addresses & {*each.values}
            for each in answers
        )


async def check_stale_names(look: Look) -> list[Aspect]:
    """`mail.`, `imap.` and their like, where they lead to the old system or nowhere."""
    old = await _old(look)
    taken = {wanted.name for wanted in look.expected.records} | {
        each.host for each in look.expected.mx
    }
    names = [name for label in STALE if (name := f"{label}.{look.domain}") not in taken]
    answers = await asyncio.gather(*(look.ask(name, Kind.A) for name in names))
    aspects = []
    for answer in answers:
        code = ""
        if answer.aliases and answer.told and not answer.values:
            code = "STALE_NAME_DEAD"
        elif old.has(answer) and not from_wildcard(look, answer):
            code = "STALE_NAME"
        if code:
            finding = found(code, evidence(answer))
            aspects.append(
                Aspect(
                    "names",
                    answer.name,
                    Kind.A,
                    found=answer.values,
                    ttl=answer.ttl,
                    findings=(finding,),
                )
            )
    return aspects


async def check_client_setup(look: Look) -> list[Aspect]:
    """Autodiscover, autoconfig and SRV of which no value is expected: where they lead."""
    old = await _old(look)
    known = {(wanted.name, wanted.kind) for wanted in look.expected.records}
    names = {name for name, _ in known}
    hosts = [name for label in HOSTS if (name := f"{label}.{look.domain}") not in names]
    services = [
        (service, name)
        for service in SERVICES
        if ((name := f"_{service}._tcp.{look.domain}"), Kind.SRV) not in known
    ]
    through_hosts, through_services = await asyncio.gather(
        asyncio.gather(*(look.ask(name, Kind.A) for name in hosts)),
        asyncio.gather(*(look.ask(name, Kind.SRV) for _, name in services)),
    )
    aspects = [aspect for answer in through_hosts if (aspect := _host(look, answer, old))]
    offered = {
        service
        for (service, _), answer in zip(services, through_services, strict=True)
        if answer.values and not from_wildcard(look, answer)
    } | {name.partition(".")[0].lstrip("_") for name, kind in known if kind is Kind.SRV}
    for (service, _), answer in zip(services, through_services, strict=True):
        if service in offered or not answer.told:
            aspects.append(await _service(look, service, answer, old, offered))
    return aspects


async def _old(look: Look) -> Old:
    """Told, or before the switch what MX names; with a filter in front that is the filter."""
    expected = look.expected
    hosts = expected.old_mx
    if not hosts and expected.mx and expected.filter is None and not look.due(Moment.SWITCH):
        answer = await look.ask(look.domain, Kind.MX)
        new = {each.host for each in expected.mx}
        hosts = tuple(
            each.host for each in mail_hosts(answer.values) if each.host and each.host not in new
        )
    asked = [(host, kind) for host in hosts[:OLD_MOST] for kind in (Kind.A, Kind.AAAA)]
    answers = await asyncio.gather(*(look.ask(host, kind) for host, kind in asked))
    there = frozenset(value for answer in answers for value in answer.values)
    return Old(frozenset(hosts), there)


def _host(look: Look, answer: Answer, old: Old) -> Aspect | None:
    findings: tuple[Finding, ...] = ()
    if not answer.told:
        findings = (untold(answer),)
    elif answer.aliases and not answer.values:
        findings = (found("CLIENTS_DEAD", evidence(answer)),)
    elif from_wildcard(look, answer):
        findings = (found("CLIENTS_FROM_WILDCARD", evidence(answer)),)
    elif old.has(answer):
        findings = (found("CLIENTS_OLD", evidence(answer)),)
    if not findings and not answer.values:
        return None
    return Aspect(
        "client set-up",
        answer.name,
        Kind.A,
        found=answer.aliases[:1] or answer.values,
        ttl=answer.ttl,
        findings=findings,
    )


async def _service(look: Look, service: str, answer: Answer, old: Old, offered: set[str]) -> Aspect:
    findings: list[Finding] = []
    if not answer.told:
        findings = [untold(answer)]
    targets = [value.rpartition(" ")[2] for value in answer.values]
    reached = await asyncio.gather(
        *(look.ask(each, kind) for each in targets if each != "." for kind in (Kind.A, Kind.AAAA))
    )
    if targets == ["."]:
        findings.append(found("CLIENTS_NONE", evidence(answer)))
    elif old.has(*reached):
        findings.append(found("CLIENTS_OLD", evidence(answer)))
    elif reached and all(each.told and not each.values for each in reached):
        findings.append(found("CLIENTS_DEAD", evidence(answer)))
    if targets not in ([], ["."]) and service in PLAIN and PLAIN[service] not in offered:
        findings.append(found("CLIENTS_PLAIN", evidence(answer)))
    return Aspect(
        "client set-up",
        answer.name,
        Kind.SRV,
        found=answer.values,
        ttl=answer.ttl,
        findings=tuple(findings),
    )
