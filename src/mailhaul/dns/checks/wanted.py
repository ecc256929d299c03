"""Records of which every value is known: ownership, autodiscover, DKIM aliases, client set-up."""

import asyncio

from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer, Outcome
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
from mailhaul.dns.expected import Moment, Wanted
from mailhaul.dns.records import Kind

LEADING = frozenset({"autodiscover", "client set-up"})
"""Topics whose names lead programs somewhere, so that there must be an address in the end."""


async def check_wanted(look: Look) -> list[Aspect]:
    """Each wanted set beside what is found."""
    return list(await asyncio.gather(*(_aspect(look, each) for each in look.expected.records)))


async def _aspect(look: Look, wanted: Wanted) -> Aspect:
    answer = await look.ask(wanted.name, wanted.kind)
    findings = [] if answer.told else [untold(answer)]
    if answer.told:
        findings += await _findings(look, wanted, answer)
    return Aspect(
        wanted.topic,
        wanted.name,
        wanted.kind,
        expected=wanted.values or ("no such record",),
        found=answer.values,
        ttl=answer.ttl,
        findings=tuple(findings),
        write=look.write((wanted.name, wanted.kind)),
    )


async def _findings(look: Look, wanted: Wanted, answer: Answer) -> list[Finding]:
    due = look.due(wanted.moment)
    if not wanted.values:
        if not answer.values:
            return []
        return [found("RECORD_STAYS" if due else "RECORD_TO_GO", evidence(answer))]
    if _stands(wanted, answer):
        early = wanted.moment is Moment.SWITCH and not due
        findings = [found("RECORD_EARLY", evidence(answer))] if early else []
        return [*findings, *await _dead(look, wanted)]
    if from_wildcard(look, answer):
        return [found("RECORD_FROM_WILDCARD", evidence(answer)), *_later(due, answer)]
    if wanted.kind is Kind.CNAME:
        beside = await addresses(look, wanted.name)
        if beside.values and not beside.aliases:
            return [found("RECORD_SHADOWED", listed(beside.values)), *_later(due, answer)]
    if not due:
        return _later(due, answer)
    doubled = await _doubled(look, wanted, answer)
    code = "RECORD_DIFFERS" if _other(wanted, answer) else "RECORD_MISSING"
    return [*doubled, found(code, evidence(answer))]


def _other(wanted: Wanted, answer: Answer) -> bool:
    """Whether something stands in its place; texts of other people don't."""
    if wanted.kind is not Kind.TXT:
        return bool(answer.values)
    return bool(set(map(_label, wanted.values)) & set(map(_label, answer.values)))


def _label(text: str) -> str:
    """What kind of text it is: `v=dmarc1`, `ms`, `google-site-verification`."""
    if text.casefold().startswith("v="):
        return text.casefold().partition(";")[0].split()[0]
    return text.casefold().partition("=")[0]


def _later(due: bool, answer: Answer) -> list[Finding]:
    return [] if due else [found("RECORD_TO_WRITE", evidence(answer))]


def _stands(wanted: Wanted, answer: Answer) -> bool:
    """Of texts, others may stand beside them."""
    if wanted.kind is Kind.TXT:
        return set(wanted.values) <= set(answer.values)
    return set(wanted.values) == set(answer.values)


async def _dead(look: Look, wanted: Wanted) -> list[Finding]:
    """The targets that lead nowhere."""
    if wanted.topic not in LEADING or wanted.kind not in (Kind.CNAME, Kind.SRV):
        return []
    targets = [value.rpartition(" ")[2] for value in wanted.values]
    reached = await asyncio.gather(*(addresses(look, each) for each in targets))
    return [
        found("RECORD_TARGET_DEAD", evidence(each.four))
        for each in reached
        if each.told and not each.values
    ]


async def _doubled(look: Look, wanted: Wanted, answer: Answer) -> list[Finding]:
    """The usual slip of zone editors: the domain is put behind a name that ends with it already."""
    if answer.values or wanted.name == look.domain:
        return []
    twice = await look.ask(f"{wanted.name}.{look.domain}", wanted.kind)
    if twice.outcome is not Outcome.RECORDS or from_wildcard(look, twice):
        return []
    return [found("NAME_DOUBLED", evidence(twice))]
