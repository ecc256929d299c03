"""MX: the set, its order, and the hosts that it names."""

import asyncio
from collections.abc import Iterator

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import (
    Look,
    addresses,
    evidence,
    found,
    from_wildcard,
    listed,
    untold,
)
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.filters import filter_of
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind, MailHost, mail_hosts

TOPIC = "MX"
HOSTS_MOST = 20
"""So many hosts are looked at; no sender tries more."""


async def check_mx(look: Look) -> list[Aspect]:
    """The set beside the expected one, then each host of both."""
    answer = await look.ask(look.domain, Kind.MX)
    hosts = mail_hosts(answer.values)
    findings = await _set_findings(look, answer, hosts)
    key = (look.domain, Kind.MX)
    aspects = [
        Aspect(
            TOPIC,
            look.domain,
            Kind.MX,
            expected=_expected(look),
            found=answer.values,
            ttl=answer.ttl,
            findings=tuple(findings),
            write=look.write(key),
        )
    ]
    named = dict.fromkeys(each.host for each in (*look.expected.mx, *hosts) if each.host)
    every = list(named)[:HOSTS_MOST]
    return [*aspects, *await asyncio.gather(*(_host_aspect(look, host) for host in every))]


def _expected(look: Look) -> tuple[str, ...]:
    if look.expected.filter is not None:
        return look.expected.filter.hosts
    return tuple(map(str, look.expected.mx))


async def _set_findings(look: Look, answer: Answer, hosts: list[MailHost]) -> list[Finding]:
    if not answer.told:
        return [untold(answer)]
    if not hosts:
        return [await _without(look, answer)]
    if any(not each.host for each in hosts):
        code = "MX_NULL" if len(hosts) == 1 else "MX_NULL_AMONG_OTHERS"
        return [found(code, evidence(answer))]
    if look.expected.filter is not None:
        return list(_behind_filter(look, answer, hosts))
    findings = list(_compared(look, answer, hosts)) if look.expected.mx else []
    seen = filter_of([each.host for each in hosts], look.filters)
    new = {each.host for each in look.expected.mx}
    if seen is not None and not new & {each.host for each in hosts}:
        findings.append(found("FILTER_UNPLANNED", f"{seen} stands in front; {evidence(answer)}"))
    return findings


async def _without(look: Look, answer: Answer) -> Finding:
    """No MX: mail then goes to the domain's own address (RFC 5321 section 5.1)."""
    own = await addresses(look, look.domain)
    if own.values:
        return found("MX_IMPLICIT", f"{evidence(answer)}; {evidence(own.four)}")
    return found("MX_MISSING", evidence(answer))


def _behind_filter(look: Look, answer: Answer, hosts: list[MailHost]) -> Iterator[Finding]:
    planned = look.expected.filter
    assert planned is not None
    here = {each.host for each in hosts}
    new = {each.host for each in look.expected.mx}
    if here & new:
        yield found("FILTER_PASSED_BY", f"the plan says {planned.name}; {evidence(answer)}")
    elif planned.hosts and not here <= set(planned.hosts):
        yield found("FILTER_OTHER", f"the plan says {planned.name}; {evidence(answer)}")
    elif not planned.hosts and (seen := filter_of(sorted(here), look.filters)) is not None:
        known = seen.casefold() in planned.name.casefold()
        known = known or planned.name.casefold() in seen.casefold()
        code = "FILTER_STAYS" if known else "FILTER_OTHER"
        yield found(code, f"the plan says {planned.name}, MX leads to {seen}; {evidence(answer)}")
    else:
        yield found("FILTER_STAYS", f"{planned.name}; {evidence(answer)}")


def _compared(look: Look, answer: Answer, hosts: list[MailHost]) -> Iterator[Finding]:
    new, here = list(look.expected.mx), {each.host for each in hosts}
    wanted, old = {each.host for each in new}, set(look.expected.old_mx)
    if not look.due(Moment.SWITCH):
        if here & wanted:
            yield found("MX_TOO_EARLY", evidence(answer))
        else:
            yield found("MX_TO_SWITCH", evidence(answer))
            if old and not here <= old:
                yield found("MX_FOREIGN", f"neither old nor new: {listed(sorted(here - old))}")
        return
    if not here & wanted:
        elsewhere = old and not here & old
        yield found("MX_FOREIGN" if elsewhere else "MX_OLD", evidence(answer))
        return
    if here - wanted:
        yield found("MX_MIXED", f"besides the new: {listed(sorted(here - wanted))}")
    if wanted - here:
        yield found("MX_PARTIAL", f"missing: {listed(sorted(wanted - here))}")
    if here == wanted and set(hosts) != set(new):
        same = _order(hosts) == _order(new)
        yield found("MX_PREFERENCES" if same else "MX_ORDER", evidence(answer))


def _order(hosts: list[MailHost]) -> list[set[str]]:
    """Which hosts are tried first, second …"""
    steps = sorted({each.preference for each in hosts})
    return [{each.host for each in hosts if each.preference == step} for step in steps]


async def _host_aspect(look: Look, host: str) -> Aspect:
    """One host: it must have addresses, and they must be its own."""
    found_there = await addresses(look, host)
    findings = list(_name_findings(look, host))
    if not findings:
        if not found_there.told:
            findings = [untold(found_there.untold)]
        elif not found_there.values:
            why = f"{evidence(found_there.four)}; {evidence(found_there.six)}"
            findings = [found("MX_HOST_UNRESOLVED", why)]
        else:
            findings = list(_address_findings(look, found_there.values))
            if inside(host, look.domain) and from_wildcard(look, found_there.four):
                findings.append(found("MX_HOST_FROM_WILDCARD", evidence(found_there.four)))
    if found_there.aliases:
        findings.append(found("MX_HOST_IS_ALIAS", f"{host} is {listed(found_there.aliases)}"))
    return Aspect(
        "MX host",
        host,
        Kind.A,
        found=found_there.values,
        ttl=found_there.four.ttl,
        findings=tuple(findings),
    )


def _name_findings(look: Look, host: str) -> Iterator[Finding]:
    labels = host.split(".")
    if all(label.isdigit() for label in labels) and len(labels) == 4:
        yield found("MX_HOST_IS_ADDRESS", host)
    elif inside(host, f"{look.domain}.{look.domain}"):
        yield found("MX_HOST_DOUBLED", host)
    elif len(labels) == 1 or labels[-1] in ("local", "localhost", "lan", "internal", "localdomain"):
        yield found("MX_HOST_LOCAL", host)


def _address_findings(look: Look, values: tuple[str, ...]) -> Iterator[Finding]:
    closed = [value for value in values if not look.allowed(value)]
    if closed:
        yield found("MX_HOST_PRIVATE", listed(closed))
    if all(":" in value for value in values):
        yield found("MX_HOST_V6_ONLY", listed(values))
